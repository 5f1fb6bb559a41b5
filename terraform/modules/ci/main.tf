# GitHub Actions without keys: its token is exchanged for ours, if it is of this repository. Any workflow of it may plan
# with rights to read; only an approved job of the protected ref may apply.
variable "project" {
  type = string
}

variable "repository" {
  description = "owner/name, for people to read."
  type        = string
}

variable "repository_id" {
  type = string
}

variable "repository_owner_id" {
  type = string
}

variable "ref" {
  type = string
}

variable "state_bucket" {
  type = string
}

variable "environment" {
  description = "GitHub's environment whose reviewers approve a deployment."
  type        = string
}

variable "source_bucket" {
  description = "Where records of deployments are kept, by which a plan explains itself."
  type        = string
}

locals {
  # What a plan reads, and what an apply changes. No basic role: each line is a kind of resource in this configuration.
  reads = toset([
    "roles/artifactregistry.reader", "roles/bigquery.metadataViewer", "roles/cloudfunctions.viewer",
    "roles/cloudscheduler.viewer", "roles/compute.viewer", "roles/datastore.viewer", "roles/iam.securityReviewer",
    "roles/iam.workloadIdentityPoolViewer", "roles/logging.viewer", "roles/monitoring.viewer", "roles/pubsub.viewer",
    "roles/run.viewer", "roles/secretmanager.viewer", "roles/serviceusage.serviceUsageConsumer", "roles/storage.bucketViewer",
  ])
  changes = toset([
    "roles/artifactregistry.admin", "roles/bigquery.admin", "roles/cloudfunctions.admin", "roles/cloudscheduler.admin",
    "roles/compute.loadBalancerAdmin", "roles/compute.securityAdmin", "roles/datastore.owner",
    "roles/iam.serviceAccountAdmin", "roles/iam.serviceAccountUser", "roles/iam.workloadIdentityPoolViewer",
    "roles/logging.configWriter", "roles/monitoring.editor", "roles/pubsub.admin", "roles/resourcemanager.projectIamAdmin",
    "roles/run.admin", "roles/secretmanager.admin", "roles/serviceusage.serviceUsageAdmin", "roles/storage.admin",
  ])
}

resource "google_iam_workload_identity_pool" "github" {
  project                   = var.project
  workload_identity_pool_id = "github"
  display_name              = "GitHub Actions"
}

resource "google_iam_workload_identity_pool_provider" "repository" {
  project                            = var.project
  workload_identity_pool_id          = google_iam_workload_identity_pool.github.workload_identity_pool_id
  workload_identity_pool_provider_id = "repository"
  display_name                       = substr(var.repository, 0, 32)
  attribute_mapping = {
    "google.subject"       = "assertion.sub"
    "attribute.repository" = "assertion.repository_id"
    # Which ref, and which environment: the subject of a job that GitHub let into one ends in its name, and only the job of
    # an environment that is protected was approved by somebody.
    # https://docs.github.com/actions/reference/security/oidc#filtering-for-a-specific-environment
    "attribute.deployment" = "assertion.repository_id + '/' + assertion.ref + '/' + (assertion.sub.contains(':environment:') ? assertion.sub.extract(':environment:{environment}') : '')"
  }
  # GitHub signs for everybody with one key: without this, any repository in the world could ask.
  attribute_condition = "assertion.repository_owner_id == '${var.repository_owner_id}' && assertion.repository_id == '${var.repository_id}'"
  oidc {
    issuer_uri = "https://token.actions.githubusercontent.com"
  }
}

resource "google_service_account" "planner" {
  project      = var.project
  account_id   = "ci-plan"
  display_name = "Plans, from any branch"
}

resource "google_service_account" "deployer" {
  project      = var.project
  account_id   = "ci-deploy"
  display_name = "Applies, from ${var.ref} once approved"
}

resource "google_service_account_iam_member" "planner" {
  service_account_id = google_service_account.planner.name
  role               = "roles/iam.workloadIdentityUser"
  member             = "principalSet://iam.googleapis.com/${google_iam_workload_identity_pool.github.name}/attribute.repository/${var.repository_id}"
}

resource "google_service_account_iam_member" "deployer" {
  service_account_id = google_service_account.deployer.name
  role               = "roles/iam.workloadIdentityUser"
  member             = "principalSet://iam.googleapis.com/${google_iam_workload_identity_pool.github.name}/attribute.deployment/${var.repository_id}/${var.ref}/${var.environment}"
}

resource "google_project_iam_member" "planner" {
  for_each = local.reads
  project  = var.project
  role     = each.value
  member   = google_service_account.planner.member
}

resource "google_project_iam_member" "deployer" {
  for_each = local.changes
  project  = var.project
  role     = each.value
  member   = google_service_account.deployer.member
}

# State is read by a plan and written by an apply; a plan from CI runs with -lock=false.
resource "google_storage_bucket_iam_member" "state_read" {
  bucket = var.state_bucket
  role   = "roles/storage.objectViewer"
  member = google_service_account.planner.member
}

resource "google_storage_bucket_iam_member" "records_read" {
  bucket = var.source_bucket
  role   = "roles/storage.objectViewer"
  member = google_service_account.planner.member
}

resource "google_storage_bucket_iam_member" "state_write" {
  bucket = var.state_bucket
  role   = "roles/storage.objectUser"
  member = google_service_account.deployer.member
}

output "workload_identity_provider" {
  value = google_iam_workload_identity_pool_provider.repository.name
}

output "planner_email" {
  value = google_service_account.planner.email
}

output "deployer_email" {
  value = google_service_account.deployer.email
}

output "condition" {
  value = google_iam_workload_identity_pool_provider.repository.attribute_condition
}

output "deployer" {
  value = google_service_account_iam_member.deployer.member
}
