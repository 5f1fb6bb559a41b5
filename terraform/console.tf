# The pages for people (functions/console), and what stands before them. It is optional: it takes an organisation with groups.
locals {
  console_groups = toset(flatten(values(try(var.console.groups, {}))))
  # Whom the proxy's tokens are made for: https://cloud.google.com/iap/docs/signed-headers-howto.
  console_audience = "/projects/${var.project_number}/locations/${var.region}/services/console"
  iap_agent        = "serviceAccount:service-${var.project_number}@gcp-sa-iap.iam.gserviceaccount.com"
}

# Past the proxy come the groups, and nobody else; which role each has the console asks Cloud Identity itself.
resource "google_iap_web_cloud_run_service_iam_member" "people" {
  for_each               = local.console_groups
  project                = var.project
  location               = var.region
  cloud_run_service_name = module.function["console"].name
  role                   = "roles/iap.httpsResourceAccessor"
  member                 = "group:${each.value}"
  depends_on             = [google_project_service.used]
}

# What was given up is looked at, sent again and dropped there; where messages of a parked provider are pushed is shown.
resource "google_pubsub_subscription_iam_member" "console_letters" {
  for_each     = length(local.pages) > 0 ? local.fallible : toset([])
  subscription = google_pubsub_subscription.dead_letter[each.value].name
  role         = "roles/pubsub.subscriber"
  member       = local.deployed["console"].member
}

resource "google_project_iam_member" "console" {
  for_each = length(local.pages) > 0 ? toset(["roles/logging.viewer", "roles/pubsub.viewer"]) : toset([])
  project  = var.project
  role     = each.value
  member   = local.deployed["console"].member
}
