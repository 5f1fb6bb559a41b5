# WEBHOOK_<PROVIDER>: one JSON object with every key that is active; API_<PROVIDER>: the key of its API;
# NOTIFY_<ENDPOINT>: what notifications to it are signed with; see shared/settings.py. A rotation is a new version holding the old key and the new, then, when `key_id` in the logs shows
# the old one unused, a version with the new alone. PAYIN_PSEUDONYM_KEYS is ours, shared by the functions that publish
# what providers say (see shared/domain/pseudonyms.py): each version holds every key that still names something.
# PAYIN_CONSOLE_KEY marks the forms of the pages as ours: a new version makes those stale that people have open.
locals {
  # Environment variable to the versions of its secret and the one that is read.
  secrets = merge(
    { for name, p in var.payment_providers : "WEBHOOK_${upper(name)}" => {
      versions = p.secret_versions
      pinned   = coalesce(p.pinned, p.secret_versions[length(p.secret_versions) - 1])
    } },
    { for name, p in var.payment_providers : "API_${upper(name)}" => {
      versions = p.api_versions
      pinned   = p.api_versions[length(p.api_versions) - 1]
    } if length(p.api_versions) > 0 },
    { for name, e in var.endpoints : "NOTIFY_${upper(name)}" => {
      versions = e.secret_versions
      pinned   = e.secret_versions[length(e.secret_versions) - 1]
    } },
    { for variable in ["PAYIN_CONSOLE_KEY"] : variable => {
      versions = var.console.secret_versions
      pinned   = var.console.secret_versions[length(var.console.secret_versions) - 1]
    } if var.console != null },
    { for variable in local.shared_secrets : variable => {
      versions = var.pseudonym_versions
      pinned   = var.pseudonym_versions[length(var.pseudonym_versions) - 1]
    } },
  )
  # A function that asks providers by one module of their adapters reads the keys of those that have it, and no other.
  asked = { for part in ["api", "answer", "endpoint", "listing", "payouts"] : part => [
    for file in fileset("${path.module}/../shared/providers", "*/${part}.py") : "API_${upper(dirname(file))}"
  ] }
  shared_secrets = toset([for variable in flatten([for f in local.functions : try(f.secrets, [])]) : variable if variable != "PAYIN_CONSOLE_KEY"])
  secret_versions = { for pair in flatten([for variable, s in local.secrets : [
    for version in s.versions : { key = "${variable}/${version}", variable = variable, version = version }
  ]]) : pair.key => pair }

  # As modules/function wants them.
  pinned = { for variable, s in local.secrets : variable => {
    secret  = google_secret_manager_secret.provider[variable].secret_id
    version = google_secret_manager_secret_version.provider["${variable}/${s.pinned}"].version
  } }
}

resource "google_secret_manager_secret" "provider" {
  for_each            = local.secrets
  secret_id           = lower(replace(each.key, "_", "-"))
  deletion_protection = local.is_prod
  replication {
    user_managed {
      replicas {
        location = var.region
        dynamic "customer_managed_encryption" {
          for_each = local.kms
          content {
            kms_key_name = customer_managed_encryption.value
          }
        }
      }
    }
  }
  depends_on = [google_project_service.used, google_kms_crypto_key_iam_member.agents]
}

resource "google_secret_manager_secret_version" "provider" {
  for_each = local.secret_versions
  secret   = google_secret_manager_secret.provider[each.value.variable].id
  # Write-only: in no plan and no state. Not given, a new version holds a word that no function starts with.
  secret_data_wo         = lookup(var.secret_values, each.value.variable, "not-set")
  secret_data_wo_version = each.value.version
  # A removed version can be enabled again, until somebody destroys it on purpose.
  deletion_policy = "DISABLE"
}
