# No message is lost without a trace, and none is delivered while it is being worked on.
# No cloud is asked, and none is needed: an apply fills in made-up values.
mock_provider "google" {}

variables {
  project           = "payin-test"
  project_number    = "300000000003"
  env               = "prod"
  bundles           = { for name in concat(["webhook-adyen", "webhook-stripe"], keys(jsondecode(file("../functions/topology.json")).functions)) : name => "${name}-0000000000000000.zip" }
  payment_providers = { stripe = {}, adyen = { secret_versions = ["1", "2"], api_versions = ["1"], concurrency = 8, max_instances = 3 } }
  secret_values     = { WEBHOOK_STRIPE = "s", WEBHOOK_ADYEN = "a" }
}

run "every_message_has_somewhere_to_go_and_every_push_outlasts_its_function" {
  command = apply

  assert {
    condition = alltrue([for name, s in google_pubsub_subscription.push :
      s.ack_deadline_seconds > local.functions[local.pushes[name].function].timeout_seconds && s.ack_deadline_seconds <= 600
    ])
    error_message = "A message would be delivered again while its function still works on it."
  }
  assert {
    condition = alltrue([for name, s in google_pubsub_subscription.push :
      s.push_config[0].oidc_token[0].service_account_email == google_service_account.push[local.pushes[name].function].email
      && s.push_config[0].oidc_token[0].audience == module.function[local.pushes[name].function].url
    ])
    error_message = "A push does not carry a token of the subscription's own identity for its function."
  }
  assert {
    condition = alltrue([for name, s in google_pubsub_subscription.push : contains(
      [for f in [local.functions[local.pushes[name].function]] : concat([try(f.filter, "")], values(try(f.beside, {})))][0], s.filter == null ? "" : s.filter
    )])
    error_message = "A subscription's filter is not the topology's."
  }
  assert {
    condition = toset(keys(google_pubsub_subscription.push)) == toset([
      "check-deadlines", "erase", "explain-payouts", "keep-evidence", "monitor-model", "reconcile", "respond-dispute", "train-model", "watch-providers", "watch-traffic",
      "fetch-resource-adyen", "record-payment-adyen", "score-payment-adyen", "track-dispute-adyen", "track-dispute-refunds-adyen",
      "fetch-resource-stripe", "record-payment-stripe", "score-payment-stripe", "track-dispute-stripe", "track-dispute-refunds-stripe",
    ])
    error_message = "Two providers wait in one queue, or disputes behind refunds."
  }
  assert {
    condition = alltrue([for name, s in google_pubsub_subscription.push :
      s.topic == google_pubsub_topic.topic["payment-events/${regex("[a-z]+$", name)}"].id
      if !contains(["check-deadlines", "erase", "explain-payouts", "keep-evidence", "monitor-model", "reconcile", "respond-dispute", "train-model", "watch-providers", "watch-traffic"], name)
    ])
    error_message = "A subscription takes another provider's events."
  }

  assert {
    condition     = toset(keys(google_pubsub_topic.dead_letter)) == toset(keys(google_pubsub_subscription.dead_letter))
    error_message = "A dead-letter topic without a subscription loses what it is given."
  }
  assert {
    condition     = toset(concat(values(google_pubsub_subscription.push)[*].dead_letter_policy[0].dead_letter_topic, values(google_pubsub_subscription.warehouse)[*].dead_letter_policy[0].dead_letter_topic)) == toset(values(google_pubsub_topic.dead_letter)[*].id)
    error_message = "Every consumer that can give up has a dead-letter topic of its own."
  }
  assert {
    condition = alltrue([for s in concat(values(google_pubsub_subscription.push), values(google_pubsub_subscription.warehouse)) :
      length(s.dead_letter_policy) == 1 && length(s.retry_policy) == 1 && s.expiration_policy[0].ttl == ""
    ])
    error_message = "A subscription lacks a dead letter, a retry policy, or expires when idle."
  }
  assert {
    condition = alltrue([for s in concat(values(google_pubsub_subscription.dead_letter), values(google_pubsub_subscription.pulled)) :
      s.expiration_policy[0].ttl == "" && s.message_retention_duration == "2678400s"
    ])
    error_message = "What waits for a person waits for 31 days and does not expire."
  }
  assert {
    condition     = alltrue([for t in concat(values(google_pubsub_topic.topic), values(google_pubsub_topic.dead_letter)) : t.message_storage_policy[0].allowed_persistence_regions == toset([var.region])])
    error_message = "Messages are stored in another region than variables.tf promises."
  }
  assert {
    condition = alltrue([for name, t in google_pubsub_topic.topic :
      t.message_retention_duration == (contains(["deliveries", "fraud-decisions", "fraud-labels", "dispute-updates", "model-health", "payouts", "provider-traffic"], name) ? "86400s" : "604800s")
    ])
    error_message = "A topic that somebody seeks back in cannot be replayed for 7 days, or one that only the warehouse reads for one."
  }
  assert {
    condition     = toset(keys(google_pubsub_topic_iam_member.dead_letter)) == toset(keys(google_pubsub_topic.dead_letter)) && toset(values(google_pubsub_subscription_iam_member.dead_letter)[*].subscription) == toset(concat(values(google_pubsub_subscription.push)[*].name, values(google_pubsub_subscription.warehouse)[*].name))
    error_message = "Pub/Sub may not move a message to its dead letter."
  }

  assert {
    condition = { for name, job in google_cloud_scheduler_job.tick : name => job.schedule } == merge(
      { for name, f in local.functions : name => f.schedule if can(f.schedule) }, [for f in local.functions : try(f.schedules, {})]...
    )
    error_message = "Jobs and schedules differ."
  }
  assert {
    condition = alltrue([for name, job in google_cloud_scheduler_job.tick :
      strcontains(local.functions[local.scheduled[name].function].filter, "attributes.job = \"${job.pubsub_target[0].attributes.job}\"")
    ])
    error_message = "A tick does not pass its function's filter."
  }

  assert {
    condition = { for s in google_pubsub_subscription.warehouse : s.topic => s.bigquery_config[0].table } == merge([for topic, table in local.topology.warehouse : {
      for key, t in google_pubsub_topic.topic : t.id => "payin-test.payin.${table}" if split("/", key)[0] == topic
    }]...)
    error_message = "A topic does not end in its table."
  }
  assert {
    condition     = alltrue([for s in google_pubsub_subscription.warehouse : s.bigquery_config[0].use_table_schema && s.bigquery_config[0].drop_unknown_fields])
    error_message = "A newer writer's row would be refused."
  }
  assert {
    condition = alltrue([for name, s in google_pubsub_subscription.warehouse :
      (s.filter == null ? "" : s.filter) == (can(local.topology.unstored[local.rows[name].logical]) ? "NOT (${local.topology.unstored[local.rows[name].logical]})" : "")
    ]) && length([for s in google_pubsub_subscription.warehouse : s if s.filter != null]) == 3
    error_message = "Canaries are in the warehouse, or something else is not."
  }
  assert {
    condition     = toset(values(google_bigquery_table_iam_member.subscription)[*].table_id) == toset([for s in google_pubsub_subscription.warehouse : element(split(".", s.bigquery_config[0].table), 2)])
    error_message = "Pub/Sub may not write to a table it feeds."
  }
  assert {
    condition = alltrue([for table in values(local.topology.warehouse) :
      strcontains(google_bigquery_table.once[table].view[0].query, local.tables[table].partition)
    ])
    error_message = "A filter on the partition would not reach through the de-duplicating view."
  }
  assert {
    condition = alltrue([for q in google_bigquery_routine.question :
      strcontains(q.definition_body, "FROM `payin-test.payin.dispute_updates`") && length(q.arguments) > 0
    ]) && length(google_bigquery_routine.question) == 3
    error_message = "A table function asks another table, or by a parameter that it does not have."
  }
  assert {
    condition = alltrue(concat(
      [for q in google_bigquery_routine.mart : strcontains(q.definition_body, "FROM `payin-test.payin.") && !strcontains(q.definition_body, "{") && q.dataset_id == "payin_marts"],
      [for v in google_bigquery_table.mart : strcontains(v.view[0].query, "FROM `payin-test.payin.") && !strcontains(v.view[0].query, "{") && v.dataset_id == "payin_marts"],
      [for v in google_bigquery_table.mart : alltrue([for column in jsondecode(v.schema) : length(column.description) > 0])],
    )) && length(google_bigquery_table.mart) == 3 && length(google_bigquery_routine.mart) == 3
    error_message = "A mart asks another table, or a column of it is not described."
  }
  assert {
    condition = (google_bigquery_dataset_access.mart_views.dataset[0].dataset[0].dataset_id == "payin_marts"
      && keys(google_bigquery_dataset_access.mart_asked) == keys(google_bigquery_routine.mart)
    && alltrue([for a in google_bigquery_dataset_access.mart_asked : a.dataset_id == "payin"]))
    error_message = "A mart could not read the rows for whoever asks it."
  }
}

run "each_endpoint_is_told_by_subscriptions_and_keys_of_its_own" {
  command = apply
  variables {
    endpoints = {
      crm  = { url = "https://crm.example/hooks", topics = { "dispute-updates" = "", "payment-actions" = "attributes.action = \"refuse\"" } }
      shop = { url = "https://shop.example/", topics = { "payment-actions" = "" }, secret_versions = ["1", "2"] }
    }
    invokers = { notify = ["group:on-call@example.com"] }
  }
  assert {
    condition = { for name, s in google_pubsub_subscription.told : name => join(" ", compact([s.push_config[0].push_endpoint, s.filter])) } == {
      "notify-crm-dispute-updates"  = "${module.function["notify"].url}/crm/dispute-updates"
      "notify-crm-payment-actions"  = "${module.function["notify"].url}/crm/payment-actions attributes.action = \"refuse\""
      "notify-shop-payment-actions" = "${module.function["notify"].url}/shop/payment-actions"
    }
    error_message = "One endpoint's trouble would be another's wait, or somebody is told what is not theirs."
  }
  assert {
    condition = alltrue([for s in google_pubsub_subscription.told :
      s.push_config[0].oidc_token[0].service_account_email == google_service_account.tells["push"].email
      && s.push_config[0].oidc_token[0].audience == module.function["notify"].url
      && s.dead_letter_policy[0].dead_letter_topic == google_pubsub_topic.dead_letter["notify"].id
      && s.ack_deadline_seconds > local.functions["notify"].timeout_seconds
    ])
    error_message = "A push carries no token, outlasts nothing, or is given up without a trace."
  }
  assert {
    condition     = toset(values(module.function["notify"].invokers)) == toset([google_service_account.tells["push"].member, "group:on-call@example.com"])
    error_message = "Others than the subscriptions and those who were named may call notify."
  }
  assert {
    condition     = module.function["notify"].secrets == { NOTIFY_CRM = "notify-crm", NOTIFY_SHOP = "notify-shop" } && alltrue([for name, f in module.function : name == "notify" || !can(f.secrets.NOTIFY_CRM)])
    error_message = "What endpoints are signed with is read by notify alone."
  }
  assert {
    condition     = jsondecode(module.function["notify"].environment.PAYIN_ENDPOINTS) == { crm = { url = "https://crm.example/hooks" }, shop = { url = "https://shop.example/" } }
    error_message = "Notify does not know who is told."
  }
}

run "an_endpoint_without_tls_is_refused" {
  command = plan
  variables {
    endpoints = { crm = { url = "http://crm.example/hooks", topics = {} } }
  }
  expect_failures = [var.endpoints]
}

run "what_is_told_outside_is_not_for_everybody_to_choose" {
  command = plan
  variables {
    endpoints = { crm = { url = "https://crm.example/hooks", topics = { "deliveries" = "" } } }
  }
  expect_failures = [var.endpoints]
}

run "what_is_parked_is_not_pushed_and_everything_else_is" {
  command = plan

  variables {
    parked = ["record-payment-stripe", "track-dispute-refunds-stripe"]
  }
  assert {
    condition     = toset([for name, s in google_pubsub_subscription.push : name if length(s.push_config) == 0]) == toset(var.parked)
    error_message = "A deployment would let a parked provider's events through, or keep another's back."
  }
}
