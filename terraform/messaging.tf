resource "google_pubsub_topic" "topic" {
  for_each = local.addresses
  name     = each.value
  # Whatever a consumer got wrong can be read again: seek its subscription back. Beyond that `replay_deliveries` publishes
  # what the warehouse holds.
  message_retention_duration = contains(local.sought, split("/", each.key)[0]) ? local.retention : local.archive_retention
  deletion_policy            = local.deletion_policy
  kms_key_name               = var.kms_key
  # Without it a message is kept where its publisher happens to run, and one from outside of Google anywhere:
  # https://cloud.google.com/pubsub/docs/resource-location-restriction. Not `enforce_in_transit`: that refuses a person who
  # pulls from elsewhere.
  message_storage_policy {
    allowed_persistence_regions = [var.region]
  }
  depends_on = [google_project_service.used, google_kms_crypto_key_iam_member.agents]
}

locals {
  # Who pushes to a function: one for each provider where topics are theirs, and one beside it for what must not wait in
  # the same queue.
  pushes = merge(flatten([for name, f in local.consumers : [
    for beside, filter in merge({ "" = try(f.filter, null) }, try(f.beside, {})) : {
      for provider in keys(local.topics[f.topic]) : join("-", compact([for part in [name, beside, provider] : replace(part, "_", "-")])) => {
        function = name, topic = provider == "" ? f.topic : "${f.topic}/${provider}", filter = filter, timeout_seconds = f.timeout_seconds
      }
    }
  ]])...)
  # What the warehouse takes in.
  rows = merge([for topic, table in local.topology.warehouse : {
    for provider in keys(local.topics[topic]) : replace(join("-", compact([topic, provider])), "_", "-") => {
      logical = topic, topic = provider == "" ? topic : "${topic}/${provider}", table = table
    }
  }]...)
  # Who outside of Google Cloud is told: a subscription for each endpoint and topic, so that none waits for another.
  told = merge([for name, e in var.endpoints : {
    for topic, filter in e.topics : "notify-${replace(name, "_", "-")}-${topic}" => {
      endpoint = name, topic = topic, filter = filter == "" ? null : filter
    }
  }]...)
  notifying = one([for name, f in local.functions : name if try(f.endpoints, false)])
  # Whoever can give up on a message, whatever the provider.
  fallible = toset(concat(length(local.told) > 0 ? [replace(local.notifying, "_", "-")] : [], [for name in keys(local.consumers) : replace(name, "_", "-")], [for topic in keys(local.topology.warehouse) : "warehouse-${topic}"]))
  # Subscriptions from which Pub/Sub takes what was given up.
  giving_up = toset(concat(keys(local.pushes), keys(local.told), [for name in keys(local.rows) : "warehouse-${name}"]))
  # Waits of 5, 10, ... 320, 600, 600 ... seconds: twenty tries outlast a dependency's outage of two hours.
  first_wait = "5s"
  last_wait  = "600s"
  tries      = 20
}

resource "google_service_account" "push" {
  for_each     = local.consumers
  account_id   = "push-${replace(each.key, "_", "-")}"
  display_name = "Calls ${each.key} for its subscription, and nothing else"
  depends_on   = [google_project_service.used]
}

resource "google_pubsub_subscription" "push" {
  for_each                   = local.pushes
  name                       = each.key
  topic                      = google_pubsub_topic.topic[each.value.topic].id
  filter                     = each.value.filter
  message_retention_duration = "604800s"
  # Also the time that a push may take: it must outlast the function, or a message is delivered while it is worked on.
  ack_deadline_seconds = min(600, each.value.timeout_seconds + 30)

  # What somebody has parked waits until they let it go on; the deploy script tells who that is.
  dynamic "push_config" {
    for_each = contains(var.parked, each.key) ? [] : [module.function[each.value.function].url]
    content {
      push_endpoint = push_config.value
      oidc_token {
        service_account_email = google_service_account.push[each.value.function].email
        audience              = push_config.value
      }
    }
  }
  retry_policy {
    minimum_backoff = local.first_wait
    maximum_backoff = local.last_wait
  }
  dead_letter_policy {
    dead_letter_topic     = google_pubsub_topic.dead_letter[replace(each.value.function, "_", "-")].id
    max_delivery_attempts = local.tries
  }
  expiration_policy {
    ttl = "" # never: by default an idle subscription is deleted after 31 days
  }

  lifecycle {
    precondition {
      condition     = each.value.timeout_seconds <= 570
      error_message = "${each.key}: a push may take 600 seconds at most, so the function's timeout must stay 30 below."
    }
    precondition {
      condition     = length(coalesce(each.value.filter, "-")) <= 256
      error_message = "${each.key}: Pub/Sub takes filters of 256 bytes at most."
    }
  }
  depends_on = [google_pubsub_topic_iam_member.dead_letter]
}

# One for all endpoints, where there are any: it can do nothing but call the function.
resource "google_service_account" "tells" {
  for_each     = length(local.told) > 0 ? { push = local.notifying } : {}
  account_id   = "push-${replace(each.value, "_", "-")}"
  display_name = "Calls ${each.value} for the endpoints' subscriptions, and nothing else"
  depends_on   = [google_project_service.used]
}

resource "google_pubsub_subscription" "told" {
  for_each                   = local.told
  name                       = each.key
  topic                      = google_pubsub_topic.topic[each.value.topic].id
  filter                     = each.value.filter
  message_retention_duration = "604800s"
  ack_deadline_seconds       = min(600, local.functions[local.notifying].timeout_seconds + 30)

  push_config {
    push_endpoint = "${module.function[local.notifying].url}/${each.value.endpoint}/${each.value.topic}"
    oidc_token {
      service_account_email = google_service_account.tells["push"].email
      audience              = module.function[local.notifying].url
    }
  }
  retry_policy {
    minimum_backoff = local.first_wait
    maximum_backoff = local.last_wait
  }
  # Of others' systems an outage may last: sixteen hours of tries.
  dead_letter_policy {
    dead_letter_topic     = google_pubsub_topic.dead_letter[replace(local.notifying, "_", "-")].id
    max_delivery_attempts = 100
  }
  expiration_policy {
    ttl = ""
  }
  lifecycle {
    precondition {
      condition     = length(coalesce(each.value.filter, "-")) <= 256
      error_message = "${each.key}: Pub/Sub takes filters of 256 bytes at most."
    }
  }
  depends_on = [google_pubsub_topic_iam_member.dead_letter]
}

# For people and tools: they pull.
resource "google_pubsub_subscription" "pulled" {
  for_each                   = local.topology.pulled
  name                       = each.key
  topic                      = google_pubsub_topic.topic[each.key].id
  filter                     = each.value
  message_retention_duration = local.given_up_for
  ack_deadline_seconds       = 60
  expiration_policy {
    ttl = ""
  }
}

resource "google_pubsub_topic" "dead_letter" {
  for_each                   = local.fallible
  name                       = "dead-letter-${each.value}"
  message_retention_duration = local.given_up_for
  deletion_policy            = local.deletion_policy
  kms_key_name               = var.kms_key
  message_storage_policy {
    allowed_persistence_regions = [var.region]
  }
  depends_on = [google_project_service.used, google_kms_crypto_key_iam_member.agents]
}

# A dead-letter topic that nobody subscribes to loses what it is given.
resource "google_pubsub_subscription" "dead_letter" {
  for_each                   = local.fallible
  name                       = "dead-letter-${each.key}"
  topic                      = google_pubsub_topic.dead_letter[each.key].id
  message_retention_duration = local.given_up_for
  ack_deadline_seconds       = 60
  expiration_policy {
    ttl = ""
  }
}

# Pub/Sub moves the message itself, and so needs both grants.
resource "google_pubsub_topic_iam_member" "dead_letter" {
  for_each = local.fallible
  topic    = google_pubsub_topic.dead_letter[each.key].id
  role     = "roles/pubsub.publisher"
  member   = local.pubsub_agent
}

resource "google_pubsub_subscription_iam_member" "dead_letter" {
  for_each = local.giving_up
  subscription = try(
    google_pubsub_subscription.push[each.value].name,
    google_pubsub_subscription.told[each.value].name,
    google_pubsub_subscription.warehouse[trimprefix(each.value, "warehouse-")].name,
  )
  role   = "roles/pubsub.subscriber"
  member = local.pubsub_agent
}

resource "google_cloud_scheduler_job" "tick" {
  for_each    = local.scheduled
  name        = replace(each.key, "_", "-")
  description = "Ticks for ${each.key}"
  schedule    = each.value.schedule
  time_zone   = "Etc/UTC"

  pubsub_target {
    topic_name = google_pubsub_topic.topic[local.functions[each.value.function].topic].id
    # A message needs data or an attribute; the attribute is what the subscription filters by.
    attributes = { job = each.key }
    data       = each.key == local.trainer && var.training_job.rows != null ? base64encode(jsonencode({ max_rows = var.training_job.rows })) : null
  }
  retry_config {
    retry_count          = 5
    min_backoff_duration = "5s"
    max_backoff_duration = "60s"
  }
  depends_on = [google_project_service.used]
}
