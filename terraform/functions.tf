module "function" {
  source   = "./modules/function"
  for_each = merge(local.consumers, local.callable, local.pages)

  name            = replace(each.key, "_", "-")
  entry_point     = each.key
  project         = var.project
  region          = var.region
  labels          = local.labels
  bundle          = { bucket = google_storage_bucket.source.name, object = var.bundles[each.key] }
  build           = local.build
  whole_image     = each.key == local.trainer
  environment     = local.environment[each.key]
  memory          = each.value.memory
  cpu             = each.value.cpu
  concurrency     = each.value.concurrency
  timeout_seconds = each.value.timeout_seconds
  min_instances   = local.is_prod ? try(each.value.min_instances_prod, 0) : 0
  max_instances   = min(each.value.max_instances, floor(var.cpu_quota / tonumber(each.value.cpu)))
  ingress         = each.value.trigger == "pubsub" ? "ALLOW_INTERNAL_ONLY" : "ALLOW_ALL"
  secrets = { for variable, secret in local.pinned : variable => secret
    if contains(try(each.value.secrets, []), variable) || contains(try(local.asked[each.value.asks], []), variable) || (try(each.value.endpoints, false) && startswith(variable, "NOTIFY_"))
  }
  # For Pub/Sub this is the subscription's own identity, which can do nothing but call this function.
  invokers = each.value.trigger == "pubsub" ? {
    push = google_service_account.push[each.key].member
    } : each.value.trigger == "pages" ? {
    proxy = local.iap_agent
    } : merge(
    { for member in try(var.invokers[each.key], []) : member => member },
    try(each.value.endpoints, false) ? { for name, account in google_service_account.tells : name => account.member } : {},
  )

  depends_on = [google_project_service.used, google_project_iam_member.build, google_project_iam_member.build_source, google_storage_bucket_iam_member.build, google_artifact_registry_repository_iam_member.build]
}

# One deployment per provider: its own secret, identity, quota and switch, so that one's flood or leak is no other's.
module "webhook" {
  source   = "./modules/function"
  for_each = var.payment_providers

  name            = "webhook-${replace(each.key, "_", "-")}"
  entry_point     = "webhook"
  project         = var.project
  region          = var.region
  labels          = merge(local.labels, { provider = each.key })
  bundle          = { bucket = google_storage_bucket.source.name, object = var.bundles["webhook-${each.key}"] }
  build           = local.build
  environment     = merge(local.environment["webhook"], { PROVIDERS = each.key })
  memory          = local.webhook.memory
  cpu             = local.webhook.cpu
  concurrency     = coalesce(each.value.concurrency, local.webhook.concurrency)
  timeout_seconds = local.webhook.timeout_seconds
  min_instances   = local.is_prod ? coalesce(each.value.min_instances, local.webhook.min_instances_prod) : 0
  max_instances   = min(coalesce(each.value.max_instances, local.webhook.max_instances), floor(var.cpu_quota / tonumber(local.webhook.cpu)))
  ingress         = !each.value.enabled ? "ALLOW_INTERNAL_ONLY" : var.edge != null ? "ALLOW_INTERNAL_AND_GCLB" : "ALLOW_ALL"
  # Senders cannot authenticate to Google; the signature on the exact bytes is what protects.
  # The service's own switch, where that grant is not allowed, is none of the function's (terraform-provider-google #23360).
  invokers = each.value.enabled && var.webhook_access == "grant" ? { public = "allUsers" } : {}
  secrets = { for variable, secret in local.pinned : variable => secret
    if contains(local.webhook.secrets, variable) || variable == "WEBHOOK_${upper(each.key)}"
  }

  depends_on = [google_project_service.used, google_project_iam_member.build, google_project_iam_member.build_source, google_storage_bucket_iam_member.build, google_artifact_registry_repository_iam_member.build]
}

# Building: an identity of its own; the default one may edit the whole project.
locals {
  build = {
    service_account = google_service_account.build.id
    repository      = google_artifact_registry_repository.functions.id
  }
  google_copies = "projects/_/buckets/gcf-v2-sources-${var.project_number}-${var.region}"
}

resource "google_service_account" "build" {
  account_id   = "build-functions"
  display_name = "Builds functions from their bundles"
  depends_on   = [google_project_service.used]
}

resource "google_project_iam_member" "build" {
  project = var.project
  role    = "roles/logging.logWriter"
  member  = google_service_account.build.member
}

# The build reads not our bucket but Google's copy of the bundle, in a bucket that Google makes with the first function
# (hashicorp/terraform-provider-google #20571). What is not there yet has no policy of its own, so it is granted by name.
resource "google_project_iam_member" "build_source" {
  project = var.project
  role    = "roles/storage.objectViewer"
  member  = google_service_account.build.member

  condition {
    title      = "only-google-s-copies-of-bundles"
    expression = "resource.name == \"${local.google_copies}\" || resource.name.startsWith(\"${local.google_copies}/objects/\")"
  }
}

resource "google_storage_bucket_iam_member" "build" {
  bucket = google_storage_bucket.source.name
  role   = "roles/storage.objectViewer"
  member = google_service_account.build.member
}

resource "google_artifact_registry_repository_iam_member" "build" {
  location   = var.region
  repository = google_artifact_registry_repository.functions.repository_id
  role       = "roles/artifactregistry.writer"
  member     = google_service_account.build.member
}

resource "google_artifact_registry_repository" "functions" {
  repository_id = "functions"
  location      = var.region
  format        = "DOCKER"
  description   = "Images that Cloud Build makes of the bundles"

  cleanup_policies {
    id     = "keep-latest"
    action = "KEEP"
    most_recent_versions {
      keep_count = 5
    }
  }
  cleanup_policies {
    id     = "delete-old"
    action = "DELETE"
    condition {
      older_than = "2592000s"
    }
  }
  depends_on = [google_project_service.used]
}

resource "google_storage_bucket" "source" {
  name                        = "${var.project}-payin-source"
  location                    = var.region
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"
  force_destroy               = !local.is_prod

  # Deploy records (deployments/) say what ran when and stay; bundles are made again from git if ever wanted later.
  lifecycle_rule {
    action {
      type = "Delete"
    }
    condition {
      age            = local.classes[local.kept.buckets.source].days
      matches_suffix = [".zip"]
    }
  }
  depends_on = [google_project_service.used]
}
