# The code says what there is: functions/topology.json and shared/learning/sql/tables. Here it gets a place to run.
locals {
  topology  = jsondecode(file("${path.module}/../functions/topology.json"))
  functions = local.topology.functions
  is_prod   = var.env == "prod"
  labels    = merge({ app = "pay-in", env = var.env }, var.labels)

  # What holds data is kept when prod's configuration forgets it.
  deletion_policy = local.is_prod ? "PREVENT" : "DELETE"

  consumers = { for name, f in local.functions : name => f if f.trigger == "pubsub" }
  # A job by its name: that of its function, where that has only one.
  scheduled = merge(
    { for name, f in local.functions : name => { function = name, schedule = f.schedule } if can(f.schedule) },
    [for name, f in local.functions : { for job, schedule in try(f.schedules, {}) : job => { function = name, schedule = schedule } }]...
  )
  callable = { for name, f in local.functions : name => f if f.trigger == "http" && !try(f.public, false) }
  webhook  = local.functions.webhook
  # Pages for people, where it is said who may see them.
  pages = { for name, f in local.functions : name => f if f.trigger == "pages" && var.console != null }

  # Topics as the code names them, each with those that it is in Pub/Sub: one for each provider where one's flood must
  # not be another's queue.
  topics = { for topic in local.topology.topics : topic => (
    contains(local.topology.by_provider, topic)
    ? { for provider in keys(var.payment_providers) : provider => "${topic}-${replace(provider, "_", "-")}" }
    : { "" = topic }
  ) }
  # Pub/Sub's name of a topic to its key here.
  addresses = merge([for topic, of in local.topics : {
    for provider, address in of : (provider == "" ? topic : "${topic}/${provider}") => address
  }]...)

  # How long everything is kept, by its class, and why: functions/retention.json.
  kept    = jsondecode(file("${path.module}/../functions/retention.json"))
  classes = local.kept.classes

  # A topic that somebody outside of Google Cloud hears is read again as well as one that a consumer does.
  retention         = "${local.classes["message"].days * 86400}s"
  archive_retention = "${local.classes["stored message"].days * 86400}s"
  given_up_for      = "${local.classes[local.kept.topics["dead-letter"]].days * 86400}s"
  sought            = toset(concat([for f in values(local.functions) : f.topic if can(f.topic)], keys(local.topology.pulled), flatten([for e in values(var.endpoints) : keys(e.topics)])))

  pubsub_agent   = "serviceAccount:service-${var.project_number}@gcp-sa-pubsub.iam.gserviceaccount.com"
  firestore_name = var.firestore_database
  dataset        = "payin"

  # Environment by what a function needs of the world, and by the settings it asks for by name.
  needs = {
    documents = { PAYIN_FIRESTORE_DATABASE = local.firestore_name }
    models    = { PAYIN_MODEL_BUCKET = google_storage_bucket.models.name }
    evidence  = { PAYIN_EVIDENCE_BUCKET = google_storage_bucket.evidence.name }
    warehouse = { PAYIN_DATASET = local.dataset }
  }
  settings = {
    PAYIN_MODEL          = var.scoring_model
    PAYIN_ASSESSMENTS    = var.assessments ? "on" : "off"
    PAYIN_MAX_BODY_BYTES = tostring(var.max_body_bytes)
    # What is decided, by what the customer does, where a payment's history is not known in time.
    PAYIN_WITHOUT_HISTORY = jsonencode(var.without_history)
    PAYIN_REVIEWS         = jsonencode(var.reviews)
    PAYIN_ENTITLEMENTS    = var.entitlements
    PAYIN_MERCHANT        = jsonencode(var.merchant)
    PAYIN_ENDPOINTS       = jsonencode({ for name, e in var.endpoints : name => { url = e.url } })
    # By the address that Cloud Run gives a service by its name, which is known before there is one. Who is closed is sent none.
    PAYIN_WEBHOOK_URLS = jsonencode({ for provider, p in var.payment_providers : provider => (
      var.edge == null
      ? "https://webhook-${replace(provider, "_", "-")}-${var.project_number}.${var.region}.run.app/${provider}"
      : "https://${try(var.edge.domain, "")}/${provider}"
    ) if p.enabled })
    PAYIN_TRAINING_JOB = jsonencode({
      above = var.training_job.above, region = var.region, machine = var.training_job.machine
      # By its name, which a plan knows.
      service_account = "job-train-model@${var.project}.iam.gserviceaccount.com"
    })
    PAYIN_LIVE    = local.is_prod ? "on" : "off"
    PROVIDERS     = join(",", keys(var.payment_providers))
    PAYIN_CONSOLE = jsonencode({ audience = local.console_audience, groups = try(var.console.groups, {}), four_eyes_above = try(var.console.four_eyes_above, 0) })
  }
  environment = { for name, f in local.functions : name => merge(
    { PAYIN_BACKEND = "gcp", GOOGLE_CLOUD_PROJECT = var.project },
    var.spans > 0 ? { PAYIN_SPANS = tostring(var.spans) } : {},
    merge([for need in keys(f.needs) : local.needs[need]]...),
    { for setting in try(f.settings, []) : setting => local.settings[setting] },
    can(f.firestore) ? { PAYIN_FIRESTORE_TRANSPORT = f.firestore } : {},
  ) }
}

resource "google_project_service" "used" {
  for_each = toset(concat([
    "aiplatform.googleapis.com",
    "artifactregistry.googleapis.com",
    "bigquery.googleapis.com",
    "cloudbuild.googleapis.com",
    "cloudfunctions.googleapis.com",
    "cloudresourcemanager.googleapis.com",
    "cloudscheduler.googleapis.com",
    "firestore.googleapis.com",
    "iam.googleapis.com",
    "iamcredentials.googleapis.com",
    "logging.googleapis.com",
    "monitoring.googleapis.com",
    "pubsub.googleapis.com",
    "run.googleapis.com",
    "secretmanager.googleapis.com",
    "serviceusage.googleapis.com",
    "storage.googleapis.com",
    "sts.googleapis.com",
    ],
    var.edge == null ? [] : ["compute.googleapis.com"],
    var.kms_key == null ? [] : ["cloudkms.googleapis.com"],
    var.console == null ? [] : ["iap.googleapis.com", "cloudidentity.googleapis.com"],
    var.spans > 0 ? ["cloudtrace.googleapis.com", "telemetry.googleapis.com"] : [],
  ))
  service            = each.value
  disable_on_destroy = false
}
