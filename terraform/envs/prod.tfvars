env            = "prod"
project        = "payin-prod-example" # yours
project_number = "200000000002"       # yours

alert_emails = ["payments-oncall@example.com"] # yours
cpu_quota    = 20                              # a new project's; ask for 250 before the peak, then raise it
spans        = 0.001                           # of traces, to Cloud Trace: within what is free

# Pages for people, by groups of your organisation; leave it out where there are none.
console = {
  groups = { viewer = ["payments-all@example.com"], analyst = ["disputes@example.com", "fraud@example.com"], approver = ["payments-leads@example.com"] } # yours
}

# One entry for each adapter in shared/providers.
payment_providers = {
  adyen       = { api_versions = ["1"], max_instances = 15 }
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
  stripe      = { api_versions = ["1"], max_instances = 25 }
  worldpay    = {}
}
