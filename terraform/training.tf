# A night of training that is too large for train_model is a custom job of Vertex AI, which the function starts and does not
# wait for. No job runs below `training_job.above` rows, and what stands here costs nothing.
locals {
  trainer  = "train_model"
  training = "train_model-job"
}

resource "google_service_account" "training" {
  account_id   = "job-train-model"
  display_name = "Trains models where train_model does not suffice"
  depends_on   = [google_project_service.used]
}

# Whoever starts a job as somebody must be allowed to act as them.
# cloud.google.com/vertex-ai/docs/general/custom-service-account
resource "google_service_account_iam_member" "training" {
  service_account_id = google_service_account.training.name
  role               = "roles/iam.serviceAccountUser"
  member             = local.deployed[local.trainer].member
}

# Jobs are started and listed by a project; nothing narrower starts one.
resource "google_project_iam_member" "training" {
  project = var.project
  role    = "roles/aiplatform.user"
  member  = local.deployed[local.trainer].member
}

# The image of the revision that asks: a job runs the same code.
resource "google_cloud_run_service_iam_member" "training" {
  project  = var.project
  location = var.region
  service  = module.function[local.trainer].name
  role     = "roles/run.viewer"
  member   = local.deployed[local.trainer].member
}
