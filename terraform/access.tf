# What each function may do, from the topology: `publishes` and `needs`. Nothing is granted by hand.
locals {
  # Every deployment: its service account and the function whose code it runs.
  deployed = merge(
    { for name, f in module.function : name => { member = f.member, of = name } },
    { for provider, f in module.webhook : "webhook-${provider}" => { member = f.member, of = "webhook" } },
    { (local.training) = { member = google_service_account.training.member, of = local.trainer } },
  )
  # Keys must be known before anything exists, so they come from the configuration and not from the modules.
  runs = merge(
    { for name in concat(keys(local.consumers), keys(local.callable), keys(local.pages)) : name => name },
    { for provider in keys(var.payment_providers) : "webhook-${provider}" => "webhook" },
    # A job works on what its function works on.
    { (local.training) = local.trainer },
  )
  publishes = { for pair in flatten([for name, of in local.runs : [
    # A webhook speaks for its own provider alone; who serves all publishes to all.
    for topic in local.functions[of].publishes : [
      for provider in keys(local.topics[topic]) : { name = name, topic = provider == "" ? topic : "${topic}/${provider}" }
      if provider == "" || of != "webhook" || name == "webhook-${provider}"
    ]
  ]]) : "${pair.name}/${pair.topic}" => pair }
  needing = { for need in keys(local.needs) : need => {
    for name, of in local.runs : name => local.functions[of].needs[need] if can(local.functions[of].needs[need])
  } }
}

resource "google_pubsub_topic_iam_member" "publisher" {
  for_each = local.publishes
  topic    = google_pubsub_topic.topic[each.value.topic].id
  role     = "roles/pubsub.publisher"
  member   = local.deployed[each.value.name].member
}

# Systems of ours that are not deployed from here.
resource "google_pubsub_topic_iam_member" "usage" {
  for_each = toset(var.usage_publishers)
  topic    = google_pubsub_topic.topic["usage-evidence"].id
  role     = "roles/pubsub.publisher"
  member   = each.value
}

resource "google_project_iam_member" "documents" {
  for_each = local.needing.documents
  project  = var.project
  role     = each.value == "write" ? "roles/datastore.user" : "roles/datastore.viewer"
  member   = local.deployed[each.key].member

  # Firestore has no policy of its own; the condition is what keeps the grant to one database.
  condition {
    title      = "only-${local.firestore_name}"
    expression = "resource.name == \"projects/${var.project}/databases/${local.firestore_name}\""
  }
  lifecycle {
    create_before_destroy = true # after a restore the right to the new database comes before the old one goes
  }
}

resource "google_storage_bucket_iam_member" "models_read" {
  for_each = local.needing.models
  bucket   = google_storage_bucket.models.name
  role     = "roles/storage.objectViewer"
  member   = local.deployed[each.key].member
}

# objectCreator can neither overwrite nor delete: a model, once stored, is what it was.
resource "google_storage_bucket_iam_member" "models_write" {
  for_each = { for name, access in local.needing.models : name => access if access == "write" }
  bucket   = google_storage_bucket.models.name
  role     = "roles/storage.objectCreator"
  member   = local.deployed[each.key].member
}

resource "google_storage_bucket_iam_member" "evidence_read" {
  for_each = local.needing.evidence
  bucket   = google_storage_bucket.evidence.name
  role     = "roles/storage.objectViewer"
  member   = local.deployed[each.key].member
}

# What was sent stays what it was.
resource "google_storage_bucket_iam_member" "evidence_write" {
  for_each = { for name, access in local.needing.evidence : name => access if access == "write" }
  bucket   = google_storage_bucket.evidence.name
  role     = "roles/storage.objectCreator"
  member   = local.deployed[each.key].member
}

resource "google_bigquery_dataset_iam_member" "warehouse" {
  for_each   = local.needing.warehouse
  dataset_id = google_bigquery_dataset.warehouse.dataset_id
  role       = each.value == "write" ? "roles/bigquery.dataEditor" : "roles/bigquery.dataViewer"
  member     = local.deployed[each.key].member
}

# Running a query is a permission of the project that pays for it.
resource "google_project_iam_member" "queries" {
  for_each = local.needing.warehouse
  project  = var.project
  role     = "roles/bigquery.jobUser"
  member   = local.deployed[each.key].member
}

# Where spans are exported, by every function; it can add to traces and read none.
resource "google_project_iam_member" "spans" {
  for_each = var.spans > 0 ? local.runs : {}
  project  = var.project
  role     = "roles/telemetry.tracesWriter"
  member   = local.deployed[each.key].member
}
