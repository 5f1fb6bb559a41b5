resource "google_firestore_database" "documents" {
  name                              = local.firestore_name
  location_id                       = var.region
  type                              = "FIRESTORE_NATIVE"
  concurrency_mode                  = "OPTIMISTIC"
  point_in_time_recovery_enablement = local.is_prod ? "POINT_IN_TIME_RECOVERY_ENABLED" : "POINT_IN_TIME_RECOVERY_DISABLED"
  delete_protection_state           = local.is_prod ? "DELETE_PROTECTION_ENABLED" : "DELETE_PROTECTION_DISABLED"
  deletion_policy                   = local.deletion_policy

  dynamic "cmek_config" {
    for_each = local.kms
    content {
      kms_key_name = cmek_config.value
    }
  }
  depends_on = [google_project_service.used, google_kms_crypto_key_iam_member.agents]
}

# Point-in-time recovery puts back any minute of the last week, from the database itself. Backups are for its loss, and
# for what was found too late: each is a whole copy, and is paid for as one. The younger daily copy is never older than a
# day, and topics keep the week since. The older weekly one is always behind the week of recovery; older ones would hold
# whoever was erased, and what came of events can be made from payment_events again, which stays.
# They lie in the region of the database, so that they are no help when the region is lost.
# (https://cloud.google.com/firestore/native/docs/backups)
resource "google_firestore_backup_schedule" "daily" {
  count     = local.is_prod ? 1 : 0
  database  = google_firestore_database.documents.name
  retention = "${local.classes[local.kept.backups.daily].days * 86400}s"
  daily_recurrence {}
}

resource "google_firestore_backup_schedule" "weekly" {
  count     = local.is_prod ? 1 : 0
  database  = google_firestore_database.documents.name
  retention = "${local.classes[local.kept.backups.weekly].days * 86400}s"
  weekly_recurrence {
    day = "SUNDAY"
  }
}

# Documents are read by name. No field is indexed unless a query uses it: an index on a rising timestamp bears 500
# writes a second, a payment's facts would be hundreds of entries, and every entry is paid for with each write.
resource "google_firestore_field" "unindexed" {
  for_each   = local.topology.collections
  database   = google_firestore_database.documents.name
  collection = each.key
  field      = "*"
  index_config {}
}

# What a query asks for: instants that are due, and texts by which documents are found. The latter do not rise, so that no
# rate of writes is too many for them. The order of a list rises too, with deadlines; disputes are 120,000 events a day, a
# hundredth of what it bears.
resource "google_firestore_field" "due" {
  for_each = { for pair in flatten([for collection, c in local.topology.collections : [
    for field in concat(try(c.due, []), try(c.found, []), keys(try(c.listed, {}))) : { key = "${collection}/${field}", collection = collection, field = field }
  ]]) : pair.key => pair }
  database   = google_firestore_database.documents.name
  collection = each.value.collection
  field      = each.value.field
  index_config {
    indexes {
      order       = "ASCENDING"
      query_scope = "COLLECTION"
    }
  }
  depends_on = [google_firestore_field.unindexed]
}

# A list is narrowed by one text with an index of both, and by several with those together:
# https://cloud.google.com/firestore/docs/query-data/index-overview#taking_advantage_of_index_merging
resource "google_firestore_index" "listed" {
  for_each = { for one in flatten([for collection, c in local.topology.collections : [
    for order, texts in try(c.listed, {}) : [
      for text in texts : { key = "${collection}/${text}", collection = collection, order = order, text = text }
    ]
  ]]) : one.key => one }
  database    = google_firestore_database.documents.name
  collection  = each.value.collection
  query_scope = "COLLECTION"
  fields {
    field_path = each.value.text
    order      = "ASCENDING"
  }
  fields {
    field_path = each.value.order
    order      = "ASCENDING"
  }
}

# Firestore deletes what has expired, within a day or so. A field that expires needs no index.
resource "google_firestore_field" "expires" {
  for_each = { for pair in flatten([for collection, c in local.topology.collections : [
    for field in try(c.expires, []) : { key = "${collection}/${field}", collection = collection, field = field }
  ]]) : pair.key => pair }
  database   = google_firestore_database.documents.name
  collection = each.value.collection
  field      = each.value.field
  index_config {}
  ttl_config {}
  depends_on = [google_firestore_field.unindexed]
}

# Models are named by the SHA-256 of their bytes and never change.
resource "google_storage_bucket" "models" {
  name                        = "${var.project}-payin-models"
  location                    = var.region
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"
  force_destroy               = !local.is_prod
  deletion_policy             = local.deletion_policy

  # A decision must be explainable with the model that made it, for as long as it can be disputed: until then an object can
  # be neither deleted nor replaced. Versioning would add nothing to that, and Cloud Storage has long refused the two
  # together (https://cloud.google.com/storage/docs/bucket-lock).
  retention_policy {
    retention_period = tostring(local.is_prod ? local.classes[local.kept.buckets.models].at_least_days * 86400 : 86400)
  }
  dynamic "encryption" {
    for_each = local.kms
    content {
      default_kms_key_name = encryption.value
    }
  }
  depends_on = [google_project_service.used, google_kms_crypto_key_iam_member.agents]
}

# The evidence that was sent to providers, by the SHA-256 of its bytes: personal data, which stays as long as a case may come
# back (pre-arbitration and arbitration end within a year of the dispute), and goes then.
resource "google_storage_bucket" "evidence" {
  name                        = "${var.project}-payin-evidence"
  location                    = var.region
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"
  force_destroy               = !local.is_prod
  deletion_policy             = local.deletion_policy

  retention_policy {
    retention_period = tostring(local.is_prod ? local.classes[local.kept.buckets.evidence].at_least_days * 86400 : 86400)
  }
  lifecycle_rule {
    action {
      type = "Delete"
    }
    condition {
      age = local.classes[local.kept.buckets.evidence].days
    }
  }
  dynamic "encryption" {
    for_each = local.kms
    content {
      default_kms_key_name = encryption.value
    }
  }
  depends_on = [google_project_service.used, google_kms_crypto_key_iam_member.agents]
}
