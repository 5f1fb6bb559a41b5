# Two providers share a folder of source and nothing else; a provider can be shut without touching another.
# No cloud is asked, and none is needed: an apply fills in made-up values.
mock_provider "google" {}

variables {
  project           = "payin-test"
  project_number    = "300000000003"
  env               = "prod"
  bundles           = { for name in concat(["webhook-adyen", "webhook-stripe"], keys(jsondecode(file("../functions/topology.json")).functions)) : name => "${name}-0000000000000000.zip" }
  payment_providers = { stripe = { api_versions = ["1"] }, adyen = { secret_versions = ["1", "2"], api_versions = ["1"], concurrency = 8, max_instances = 3 } }
  secret_values     = { WEBHOOK_STRIPE = "s", WEBHOOK_ADYEN = "a" }
}

run "two_providers_share_nothing_but_source" {
  command = apply

  assert {
    condition     = toset(keys(module.webhook)) == toset(["stripe", "adyen"])
    error_message = "The webhook is deployed once per provider."
  }
  assert {
    condition     = module.webhook["stripe"].member != module.webhook["adyen"].member
    error_message = "Two providers' deployments share a service account."
  }
  assert {
    condition     = google_secret_manager_secret.provider["WEBHOOK_STRIPE"].secret_id != google_secret_manager_secret.provider["WEBHOOK_ADYEN"].secret_id
    error_message = "Two providers share a secret."
  }
  assert {
    condition = alltrue([for provider in ["stripe", "adyen"] :
      module.webhook[provider].secrets == { "WEBHOOK_${upper(provider)}" = "webhook-${provider}", PAYIN_PSEUDONYM_KEYS = "payin-pseudonym-keys" }
      && module.webhook[provider].secret_readers == { for variable in ["WEBHOOK_${upper(provider)}", "PAYIN_PSEUDONYM_KEYS"] : variable => module.webhook[provider].member }
      && module.webhook[provider].environment.PROVIDERS == provider
    ])
    error_message = "A webhook reads its own provider's secret, with its own service account, and serves that provider alone."
  }
  assert {
    condition = (alltrue([for name in ["fetch_resource", "reconcile"] : module.function[name].secrets == { API_STRIPE = "api-stripe", PAYIN_PSEUDONYM_KEYS = "payin-pseudonym-keys" }])
      && alltrue([for name in ["assess_payment", "keep_evidence", "replay_deliveries"] : module.function[name].secrets == { PAYIN_PSEUDONYM_KEYS = "payin-pseudonym-keys" }])
      && module.function["respond_dispute"].secrets == { API_ADYEN = "api-adyen", API_STRIPE = "api-stripe" }
      && module.function["explain_payouts"].secrets == { API_ADYEN = "api-adyen", API_STRIPE = "api-stripe", PAYIN_PSEUDONYM_KEYS = "payin-pseudonym-keys" }
      && module.function["watch_providers"].secrets == { API_ADYEN = "api-adyen", API_STRIPE = "api-stripe", PAYIN_PSEUDONYM_KEYS = "payin-pseudonym-keys" }
    && alltrue([for name, f in module.function : contains(["assess_payment", "explain_payouts", "fetch_resource", "keep_evidence", "reconcile", "replay_deliveries", "respond_dispute", "watch_providers"], name) || f.secrets == {}]))
    error_message = "The key of a provider's API is read by what reads its objects back or lists what it told (nothing of Adyen's is), what answers its disputes, what reads its settings and what reads its payouts, the key of pseudonyms by what publishes or keeps them, and neither by anything else."
  }
  assert {
    condition     = module.webhook["adyen"].concurrency == 8 && module.webhook["stripe"].concurrency == local.webhook.concurrency
    error_message = "Concurrency is a provider's own."
  }

  assert {
    condition     = toset(keys(google_secret_manager_secret_version.provider)) == toset(["WEBHOOK_STRIPE/1", "WEBHOOK_ADYEN/1", "WEBHOOK_ADYEN/2", "API_ADYEN/1", "API_STRIPE/1", "PAYIN_PSEUDONYM_KEYS/1"])
    error_message = "Two versions of a secret can live side by side."
  }
  assert {
    condition     = { for variable, s in local.secrets : variable => s.pinned } == { WEBHOOK_STRIPE = "1", WEBHOOK_ADYEN = "2", API_ADYEN = "1", API_STRIPE = "1", PAYIN_PSEUDONYM_KEYS = "1" }
    error_message = "The last version is the pinned one unless told otherwise."
  }
}

run "a_provider_that_is_switched_off_is_closed_and_the_other_is_not" {
  command = apply
  variables {
    payment_providers = { stripe = {}, adyen = { enabled = false } }
  }

  assert {
    condition     = module.webhook["adyen"].invokers == {} && module.webhook["adyen"].ingress == "ALLOW_INTERNAL_ONLY"
    error_message = "A switched-off provider's endpoint must admit nobody."
  }
  assert {
    condition     = module.webhook["stripe"].invokers == { public = "allUsers" } && module.webhook["stripe"].ingress == "ALLOW_ALL"
    error_message = "Switching one provider off must not touch another."
  }
}

run "a_pinned_version_that_does_not_exist_is_refused" {
  command = plan
  variables {
    payment_providers = { stripe = { secret_versions = ["1"], pinned = "2" } }
  }
  expect_failures = [var.payment_providers]
}

run "behind_the_load_balancer_webhooks_take_no_traffic_around_it" {
  command = plan
  variables {
    edge = { domain = "hooks.example.com" }
  }

  assert {
    condition     = alltrue([for w in module.webhook : w.ingress == "ALLOW_INTERNAL_AND_GCLB"])
    error_message = "The load balancer can be gone around."
  }
  assert {
    condition     = output.webhooks["stripe"] == "https://hooks.example.com/stripe"
    error_message = "The URL to enter at the provider is the load balancer's."
  }
}
