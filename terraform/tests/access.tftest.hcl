# Who may do what: no more than the topology says.
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

run "everybody_has_an_identity_of_its_own_and_no_more_rights_than_the_topology_says" {
  command = apply

  assert {
    condition     = alltrue([for f in module.function : alltrue([for member in values(f.invokers) : !contains(["allUsers", "allAuthenticatedUsers"], member)])])
    error_message = "A function other than a webhook answers strangers."
  }
  assert {
    condition     = alltrue([for name, f in module.function : f.ingress == "ALLOW_INTERNAL_ONLY" && f.invokers == { push = google_service_account.push[name].member } if local.functions[name].trigger == "pubsub"])
    error_message = "A consumer is called by its own subscription alone, from within Google Cloud."
  }

  assert {
    condition     = length(distinct(concat(values(module.function)[*].member, values(module.webhook)[*].member))) == length(module.function) + length(module.webhook)
    error_message = "Two deployments share a service account."
  }
  assert {
    condition     = alltrue([for name, f in merge(module.function, module.webhook) : f.build_service_account == google_service_account.build.id])
    error_message = "Something is built by the default service account, which may edit the project."
  }

  assert {
    condition = toset(keys(google_pubsub_topic_iam_member.publisher)) == toset(flatten([
      [for name in ["check_deadlines", "review_payment"] : ["${name}/fraud-labels", "${name}/payment-actions"]],
      [for name in ["manage_dispute", "respond_dispute"] : ["${name}/dispute-actions", "${name}/dispute-updates"]],
      ["check_deadlines/dispute-actions", "check_deadlines/dispute-updates", "explain_payouts/payouts", "monitor_model/model-health", "record_payment/dispute-updates", "score_payment/fraud-decisions", "track_dispute/dispute-updates", "track_dispute/fraud-labels", "track_dispute/payment-actions", "watch_traffic/provider-traffic"],
      [for name in ["assess_payment", "check_deadlines", "fetch_resource", "manage_dispute", "reconcile", "replay_deliveries", "review_payment"] : ["${name}/payment-events/adyen", "${name}/payment-events/stripe"]],
      ["reconcile/deliveries", "replay_deliveries/deliveries"],
      [for provider in keys(var.payment_providers) : ["webhook-${provider}/deliveries", "webhook-${provider}/payment-events/${provider}"]],
    ]))
    error_message = "Somebody may publish where the topology does not say so, or may not where it does; a webhook speaks for its own provider alone."
  }
  assert {
    condition     = alltrue([for m in google_project_iam_member.documents : length(m.condition) == 1 && m.condition[0].expression == "resource.name == \"projects/payin-test/databases/payin\""])
    error_message = "A grant on documents is not held to our database."
  }
  assert {
    condition     = toset([for m in concat(values(google_project_iam_member.documents), values(google_project_iam_member.queries), [google_project_iam_member.build]) : m.role]) == toset(["roles/datastore.user", "roles/bigquery.jobUser", "roles/logging.logWriter"])
    error_message = "A role is granted project-wide that need not be."
  }
  assert {
    condition = (google_project_iam_member.build_source.member == google_service_account.build.member
      && google_project_iam_member.build_source.role == "roles/storage.objectViewer"
      && google_project_iam_member.build_source.condition[0].expression == "resource.name == \"projects/_/buckets/gcf-v2-sources-300000000003-europe-west1\" || resource.name.startsWith(\"projects/_/buckets/gcf-v2-sources-300000000003-europe-west1/objects/\")"
    )
    error_message = "Builds cannot read Google's copy of a bundle, or may read more of the project than that."
  }
  assert {
    condition = toset(concat(
      flatten([for f in merge(module.function, module.webhook) : f.roles]),
      values(google_pubsub_topic_iam_member.publisher)[*].role, values(google_pubsub_topic_iam_member.dead_letter)[*].role,
      values(google_pubsub_subscription_iam_member.dead_letter)[*].role,
      values(google_storage_bucket_iam_member.models_read)[*].role, values(google_storage_bucket_iam_member.models_write)[*].role,
      values(google_storage_bucket_iam_member.evidence_read)[*].role, values(google_storage_bucket_iam_member.evidence_write)[*].role,
      values(google_bigquery_dataset_iam_member.warehouse)[*].role, values(google_bigquery_table_iam_member.subscription)[*].role,
      [google_storage_bucket_iam_member.build.role, google_artifact_registry_repository_iam_member.build.role],
      )) == toset([
      "roles/run.invoker", "roles/secretmanager.secretAccessor", "roles/pubsub.publisher", "roles/pubsub.subscriber",
      "roles/storage.objectViewer", "roles/storage.objectCreator", "roles/bigquery.dataViewer", "roles/bigquery.dataEditor",
      "roles/artifactregistry.writer",
    ])
    error_message = "A role is granted on a resource that is not among those that are needed."
  }
  assert {
    condition     = !anytrue([for name in concat(keys(google_project_iam_member.documents), keys(google_project_iam_member.queries), keys(google_storage_bucket_iam_member.models_read)) : startswith(name, "webhook")])
    error_message = "The webhook has no database, no warehouse and no models."
  }
  assert {
    condition     = [for name, m in google_bigquery_dataset_iam_member.warehouse : name if m.role == "roles/bigquery.dataEditor"] == ["erase", "monitor_model"]
    error_message = "Only erasing and deriving change rows."
  }
  assert {
    condition     = keys(google_storage_bucket_iam_member.models_write) == ["train_model", "train_model-job"]
    error_message = "Only training stores models, in its function or its job."
  }
  assert {
    condition     = keys(google_storage_bucket_iam_member.evidence_write) == ["manage_dispute", "respond_dispute"] && keys(google_storage_bucket_iam_member.evidence_read) == ["manage_dispute", "respond_dispute"]
    error_message = "Only who answers disputes, by the clock or for people, keeps evidence, and reads it."
  }
}

run "a_night_that_is_too_large_for_its_function_is_a_job_with_an_identity_of_its_own" {
  command = apply
  variables {
    training_job = { rows = 1000000, above = 100000, machine = "n1-highmem-16" }
  }
  assert {
    condition     = [for name, job in google_cloud_scheduler_job.tick : name if job.pubsub_target[0].data != null] == ["train_model"] && jsondecode(base64decode(google_cloud_scheduler_job.tick["train_model"].pubsub_target[0].data)) == { max_rows = 1000000 }
    error_message = "The nightly tick does not ask for as many rows as are wanted."
  }
  assert {
    condition = jsondecode(module.function["train_model"].environment.PAYIN_TRAINING_JOB) == {
      above = 100000, machine = "n1-highmem-16", region = "europe-west1", service_account = "job-train-model@payin-test.iam.gserviceaccount.com"
    }
    error_message = "train_model is not told from when on, where, on what and as whom its job runs."
  }
  assert {
    condition     = [for name, f in module.function : name if can(f.environment.PAYIN_TRAINING_JOB)] == ["train_model"] && [for name, f in module.function : name if f.whole_image] == ["train_model"]
    error_message = "Another function starts jobs, or the image of the one that does has no base of its own to run on."
  }
  assert {
    condition = (google_service_account.training.account_id == "job-train-model"
      && google_service_account_iam_member.training.role == "roles/iam.serviceAccountUser"
      && google_service_account_iam_member.training.service_account_id == google_service_account.training.name
      && google_project_iam_member.training.role == "roles/aiplatform.user"
      && google_cloud_run_service_iam_member.training.role == "roles/run.viewer"
    && toset([google_service_account_iam_member.training.member, google_project_iam_member.training.member, google_cloud_run_service_iam_member.training.member]) == toset([module.function["train_model"].member]))
    error_message = "train_model alone starts jobs, as their account, and reads the image of its own revisions."
  }
  assert {
    condition = alltrue([for grant in [
      google_project_iam_member.documents, google_project_iam_member.queries, google_bigquery_dataset_iam_member.warehouse,
      google_storage_bucket_iam_member.models_read, google_storage_bucket_iam_member.models_write,
    ] : grant["train_model-job"].member == google_service_account.training.member && grant["train_model-job"].role == grant["train_model"].role])
    error_message = "A job may do something else than its function."
  }
}

run "the_function_is_given_no_more_rows_than_it_can_take" {
  command = plan
  variables {
    training_job = { above = 400001 }
  }
  expect_failures = [var.training_job]
}

run "what_subscribers_did_is_told_by_those_who_are_named" {
  command = plan
  variables {
    usage_publishers = ["serviceAccount:player@shop.iam.gserviceaccount.com"]
  }
  assert {
    condition     = toset(values(google_pubsub_topic_iam_member.usage)[*].member) == toset(var.usage_publishers) && toset(values(google_pubsub_topic_iam_member.usage)[*].role) == toset(["roles/pubsub.publisher"])
    error_message = "Evidence may be told by others than those who were named, or they may do more than tell it."
  }
}

run "analysts_ask_the_marts_and_none_of_the_rows_below" {
  command = plan
  variables {
    analysts = ["group:analysts@example.com"]
  }
  assert {
    condition = (google_bigquery_dataset_iam_member.analyst["group:analysts@example.com"].dataset_id == "payin_marts"
      && google_bigquery_dataset_iam_member.analyst["group:analysts@example.com"].role == "roles/bigquery.dataViewer"
      && google_project_iam_member.analyst["group:analysts@example.com"].role == "roles/bigquery.jobUser"
    && !anytrue([for m in google_bigquery_dataset_iam_member.warehouse : contains(var.analysts, m.member)]))
    error_message = "An analyst could read who paid, or could not ask."
  }
}

run "nobody_asks_the_marts_who_is_not_named" {
  command = plan
  variables {
    analysts = ["allAuthenticatedUsers"]
  }
  expect_failures = [var.analysts]
}

run "nobody_tells_what_subscribers_did_in_a_persons_name" {
  command = plan
  variables {
    usage_publishers = ["allAuthenticatedUsers"]
  }
  expect_failures = [var.usage_publishers]
}

run "a_private_function_is_called_by_those_who_are_named" {
  command = plan
  variables {
    invokers = { replay_deliveries = ["group:on-call@example.com"] }
  }
  assert {
    condition     = values(module.function["replay_deliveries"].invokers) == ["group:on-call@example.com"]
    error_message = "Replays may be asked for by others than those who were named."
  }
}

run "where_an_organisation_refuses_all_users_nobody_is_granted_them" {
  command = plan
  variables {
    webhook_access = "unchecked"
  }
  assert {
    condition     = alltrue([for f in merge(module.function, module.webhook) : !contains(values(f.invokers), "allUsers")])
    error_message = "An apply would be refused by allowedPolicyMemberDomains."
  }
}

run "what_people_read_is_on_record_and_functions_are_not" {
  command = apply
  assert {
    condition     = toset([for one in google_project_iam_audit_config.access["datastore.googleapis.com"].audit_log_config : one.log_type]) == toset(["DATA_READ", "DATA_WRITE"])
    error_message = "Reading a document leaves no record."
  }
  assert {
    condition = alltrue([for one in google_project_iam_audit_config.access["datastore.googleapis.com"].audit_log_config :
    toset(one.exempted_members) == toset(concat(values(module.function)[*].member, values(module.webhook)[*].member, [google_service_account.training.member]))])
    error_message = "What functions read would be logged, at more than it costs to read, or what a person reads would not."
  }
  assert {
    condition     = alltrue([for one in google_project_iam_audit_config.access["secretmanager.googleapis.com"].audit_log_config : length(coalesce(one.exempted_members, [])) == 0])
    error_message = "Somebody reads secrets without a record."
  }
}

run "nobody_opens_a_private_function_to_the_world" {
  command = plan
  variables {
    invokers = { replay_deliveries = ["allUsers"] }
  }
  expect_failures = [var.invokers]
}

run "ci_deploys_from_the_protected_ref_alone" {
  command = apply
  variables {
    ci = { repository = "acme/pay-in", repository_id = "42", repository_owner_id = "7", state_bucket = "state" }
  }

  assert {
    condition     = strcontains(module.ci[0].condition, "assertion.repository_owner_id == '7'") && strcontains(module.ci[0].condition, "assertion.repository_id == '42'")
    error_message = "Any repository could exchange its token for ours."
  }
  assert {
    condition     = endswith(module.ci[0].deployer, "/attribute.deployment/42/refs/heads/main/prod")
    error_message = "A branch could deploy, or a job that nobody approved."
  }
}

run "pages_are_seen_by_groups_past_the_proxy_and_by_nobody_else" {
  command = apply
  variables {
    console       = { groups = { viewer = ["all@shop.example"], analyst = ["disputes@shop.example"], approver = ["leads@shop.example"] } }
    secret_values = { WEBHOOK_STRIPE = "s", WEBHOOK_ADYEN = "a", PAYIN_CONSOLE_KEY = "k" }
  }

  assert {
    condition     = module.function["console"].invokers == { proxy = "serviceAccount:service-300000000003@gcp-sa-iap.iam.gserviceaccount.com" }
    error_message = "The console is reached around its proxy."
  }
  assert {
    condition = toset([for one in google_iap_web_cloud_run_service_iam_member.people : one.member]) == toset(
    ["group:all@shop.example", "group:disputes@shop.example", "group:leads@shop.example"])
    error_message = "Others than the groups come past the proxy, or not all of them do."
  }
  assert {
    condition     = jsondecode(module.function["console"].environment.PAYIN_CONSOLE).audience == "/projects/300000000003/locations/europe-west1/services/console" && jsondecode(module.function["console"].environment.PAYIN_CONSOLE).four_eyes_above == 50000
    error_message = "The console does not know whom the proxy's tokens are made for."
  }
  assert {
    condition     = contains(keys(module.function["console"].secrets), "PAYIN_CONSOLE_KEY") && alltrue([for name, f in module.function : !contains(keys(f.secrets), "PAYIN_CONSOLE_KEY") if name != "console"])
    error_message = "The key of forms is read by others, or not by the console."
  }
  assert {
    condition     = output.console.service == "console" && !contains(keys(output.private), "console")
    error_message = "The deploy script does not find the console, or takes it for a function that Google refuses."
  }
}

run "pages_that_nobody_may_see_are_not_deployed" {
  command = plan
  variables {
    console = { groups = {} }
  }
  expect_failures = [var.console]
}

run "without_people_there_are_no_pages" {
  command = plan
  assert {
    condition     = !contains(keys(module.function), "console") && output.console == null && length(google_iap_web_cloud_run_service_iam_member.people) == 0
    error_message = "The console is deployed where nobody said who may see it."
  }
}
