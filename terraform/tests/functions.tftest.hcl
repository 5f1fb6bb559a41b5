# Functions as Cloud Run needs them, and what holds data protected in prod.
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

run "threads_are_concurrency_and_prod_is_protected" {
  command = plan

  assert {
    condition = (google_firestore_database.documents.point_in_time_recovery_enablement == "POINT_IN_TIME_RECOVERY_ENABLED"
    && google_firestore_database.documents.delete_protection_state == "DELETE_PROTECTION_ENABLED" && google_firestore_database.documents.deletion_policy == "PREVENT")
    error_message = "Documents can be lost."
  }
  assert {
    condition     = length(google_firestore_backup_schedule.daily) == 1 && length(google_firestore_backup_schedule.weekly) == 1
    error_message = "Documents are not backed up."
  }
  assert {
    condition     = alltrue([for t in google_bigquery_table.table : t.deletion_protection && t.require_partition_filter && length(t.clustering) > 0])
    error_message = "A table can be deleted, or read whole by mistake."
  }
  assert {
    condition     = !google_storage_bucket.models.force_destroy && google_storage_bucket.models.versioning[0].enabled && google_storage_bucket.models.uniform_bucket_level_access
    error_message = "Models can be lost."
  }
  assert {
    condition     = alltrue([for s in google_secret_manager_secret.provider : s.deletion_protection])
    error_message = "A secret can be deleted."
  }
  assert {
    condition     = alltrue([for name, f in module.function : f.min_instances == try(local.functions[name].min_instances_prod, 0)])
    error_message = "Instances are warm where latency needs them, and nowhere else."
  }

  assert {
    condition     = alltrue([for f in merge(module.function, module.webhook) : f.environment.THREADS == tostring(f.concurrency)])
    error_message = "The framework would serve fewer requests at once than Cloud Run sends."
  }
  assert {
    condition     = alltrue([for f in merge(module.function, module.webhook) : f.environment.LOG_EXECUTION_ID == "true" && f.environment.PAYIN_BACKEND == "gcp"])
    error_message = "A function lacks a setting that every one has."
  }
}

run "dev_costs_nothing_while_idle" {
  command = plan
  variables {
    env = "dev"
  }

  assert {
    condition     = alltrue([for f in merge(module.function, module.webhook) : f.min_instances == 0])
    error_message = "dev keeps an instance warm."
  }
  assert {
    condition     = length(google_firestore_backup_schedule.daily) == 0 && google_firestore_database.documents.deletion_policy == "DELETE"
    error_message = "dev cannot be taken down."
  }
}

run "a_bundle_without_its_hash_is_refused" {
  command = plan
  variables {
    bundles = { webhook-stripe = "webhook-stripe.zip" }
  }
  expect_failures = [var.bundles]
}
