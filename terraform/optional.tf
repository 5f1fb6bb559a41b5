module "edge" {
  source = "./modules/edge"
  count  = var.edge == null ? 0 : 1

  project             = var.project
  region              = var.region
  domain              = try(var.edge.domain, "")
  requests_per_minute = try(var.edge.requests_per_minute, 0)
  services            = { for provider in keys(var.payment_providers) : provider => module.webhook[provider].name }
  depends_on          = [google_project_service.used]
}

module "ci" {
  source = "./modules/ci"
  count  = var.ci == null ? 0 : 1

  project             = var.project
  repository          = try(var.ci.repository, "")
  repository_id       = try(var.ci.repository_id, "")
  repository_owner_id = try(var.ci.repository_owner_id, "")
  ref                 = try(var.ci.ref, "")
  state_bucket        = try(var.ci.state_bucket, "")
  source_bucket       = google_storage_bucket.source.name
  environment         = var.env
  depends_on          = [google_project_service.used]
}
