# Who looked at what, and whose key it lies under.

# Reading a secret, a document, a model or a row is on record, and so is taking on an identity. Not what functions do all
# day: 160 million operations on documents would cost more to log than to make, and each of them tells its facts itself.
# `datastore.googleapis.com` stands for Firestore too: https://cloud.google.com/firestore/docs/audit-logging. BigQuery
# writes its own always.
resource "google_project_iam_audit_config" "access" {
  for_each = {
    "datastore.googleapis.com"     = ["DATA_READ", "DATA_WRITE"]
    "iam.googleapis.com"           = ["ADMIN_READ", "DATA_READ"]
    "secretmanager.googleapis.com" = ["DATA_READ"]
    "storage.googleapis.com"       = ["DATA_READ", "DATA_WRITE"]
    "sts.googleapis.com"           = ["DATA_READ"]
  }
  project = var.project
  service = each.key

  dynamic "audit_log_config" {
    for_each = each.value
    content {
      log_type         = audit_log_config.value
      exempted_members = contains(["datastore.googleapis.com", "storage.googleapis.com"], each.key) ? sort([for f in values(local.deployed) : f.member]) : []
    }
  }
  depends_on = [google_project_service.used]
}

# A key of one's own (CMEK) for what is kept: documents, rows, messages, models, secrets. It is made elsewhere, in this
# region, and outlives the project. Google's agents use it; https://cloud.google.com/kms/docs/cmek lists them.
locals {
  kms = var.kms_key == null ? toset([]) : toset([var.kms_key])
  agents = {
    bigquery      = "bq-${var.project_number}@bigquery-encryption.iam.gserviceaccount.com"
    firestore     = "service-${var.project_number}@gcp-sa-firestore.iam.gserviceaccount.com"
    pubsub        = "service-${var.project_number}@gcp-sa-pubsub.iam.gserviceaccount.com"
    secretmanager = "service-${var.project_number}@gcp-sa-secretmanager.iam.gserviceaccount.com"
    storage       = "service-${var.project_number}@gs-project-accounts.iam.gserviceaccount.com"
  }
}

resource "google_kms_crypto_key_iam_member" "agents" {
  for_each      = var.kms_key == null ? {} : local.agents
  crypto_key_id = var.kms_key
  role          = "roles/cloudkms.cryptoKeyEncrypterDecrypter"
  member        = "serviceAccount:${each.value}"
  depends_on    = [google_project_service.used]
}
