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
    condition     = !google_storage_bucket.models.force_destroy && google_storage_bucket.models.retention_policy[0].retention_period == "63072000" && google_storage_bucket.models.uniform_bucket_level_access
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

run "a_start_fits_a_new_project_and_grows_with_its_quota" {
  command = plan

  assert {
    condition     = alltrue([for name, f in module.function : f.max_instances * tonumber(local.functions[name].cpu) <= 20])
    error_message = "A new project's quota of 20 CPUs would refuse a function."
  }
  assert {
    condition     = module.webhook["stripe"].max_instances == 20 && module.webhook["adyen"].max_instances == 3
    error_message = "A webhook could take more than the quota, or does not keep to what its provider was given."
  }
}

run "with_the_quota_of_the_peak_the_topology_decides" {
  command = plan
  variables {
    cpu_quota = 250
  }
  assert {
    condition     = { for name, f in module.function : name => f.max_instances } == { for name, f in module.function : name => local.functions[name].max_instances }
    error_message = "A function is held below what the topology gives it."
  }
}

run "a_key_of_ones_own_lies_over_everything_that_is_kept" {
  command = plan
  variables {
    kms_key = "projects/keys/locations/europe-west1/keyRings/payin/cryptoKeys/payin"
  }
  assert {
    condition = alltrue(concat(
      [for t in concat(values(google_pubsub_topic.topic), values(google_pubsub_topic.dead_letter)) : t.kms_key_name == var.kms_key],
      [for s in google_secret_manager_secret.provider : s.replication[0].user_managed[0].replicas[0].customer_managed_encryption[0].kms_key_name == var.kms_key],
      [google_firestore_database.documents.cmek_config[0].kms_key_name == var.kms_key],
      [for d in [google_bigquery_dataset.warehouse, google_bigquery_dataset.marts] : d.default_encryption_configuration[0].kms_key_name == var.kms_key],
      [google_storage_bucket.models.encryption[0].default_kms_key_name == var.kms_key],
      [google_storage_bucket.evidence.encryption[0].default_kms_key_name == var.kms_key],
    ))
    error_message = "Something is kept under Google's key."
  }
  assert {
    condition     = toset(keys(google_kms_crypto_key_iam_member.agents)) == toset(["bigquery", "firestore", "pubsub", "secretmanager", "storage"])
    error_message = "A service could not use the key."
  }
}

run "a_key_of_another_region_is_refused" {
  command = plan
  variables {
    kms_key = "projects/keys/locations/us-east1/keyRings/payin/cryptoKeys/payin"
  }
  expect_failures = [var.kms_key]
}

run "after_a_restore_everything_goes_to_the_new_database" {
  command = plan
  variables {
    firestore_database = "payin-restored"
  }
  assert {
    condition = (google_firestore_database.documents.name == "payin-restored"
      && alltrue([for m in google_project_iam_member.documents : m.condition[0].expression == "resource.name == \"projects/payin-test/databases/payin-restored\""])
      && alltrue([for f in module.function : f.environment.PAYIN_FIRESTORE_DATABASE == "payin-restored" if can(f.environment.PAYIN_FIRESTORE_DATABASE)])
    )
    error_message = "Somebody still works on the former database."
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
