env            = "dev"
project        = "payin-dev-example" # yours
project_number = "100000000001"      # yours
scoring_model  = "none"              # until train_model has chosen a first champion

# Pages for people, by groups of your organisation; leave it out where there are none.
console = {
  groups = { approver = ["payments-developers@example.com"] } # yours
}

# One entry for each adapter in shared/providers.
payment_providers = {
  adyen       = { api_versions = ["1"] }
  apple       = { api_versions = ["1"] }
  braintree   = { api_versions = ["1"] }
  checkout    = { api_versions = ["1"] }
  dlocal      = {}
  gocardless  = { api_versions = ["1"] }
  google      = {}
  klarna      = { api_versions = ["1"] }
  mercadopago = { api_versions = ["1"] }
  mollie      = { api_versions = ["1"] }
  paypal      = { api_versions = ["1"] }
  razorpay    = { api_versions = ["1"] }
  square      = { api_versions = ["1"] }
  stripe      = { api_versions = ["1"] }
  worldpay    = {}
}
