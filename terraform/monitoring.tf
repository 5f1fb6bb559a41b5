# monitoring/*.json say what is counted, when somebody is called and what they read then. A test holds them to the event
# names in the code, both ways.
locals {
  metrics = jsondecode(file("${path.module}/monitoring/metrics.json"))
  alerts  = jsondecode(file("${path.module}/monitoring/alerts.json"))
  slos    = jsondecode(file("${path.module}/monitoring/slos.json"))

  # Said before the commands of every alert.
  payin = "By the command line of people on call, with the settings of `terraform output operator`:"

  # One of these or more for every event.
  sampled = ["delivery", "payment_recorded", "payment_judged", "payment_already_judged"]

  # One objective for each provider's webhook, one for everything else.
  objectives = merge([for name, slo in local.slos : (
    slo.service == "webhook"
    ? { for provider in keys(var.payment_providers) : "${name}_${provider}" => { slo = name, provider = provider, service = "webhook-${replace(provider, "_", "-")}" } }
    : { (name) = { slo = name, provider = "", service = slo.service } }
  )]...)
  burns = { for pair in flatten([for name, objective in local.objectives : [
    # A month's budget gone in two days, and in five: the first wakes somebody, the second is a task for the morning.
    { key = "${name}_fast", name = name, slo = objective.slo, rate = 14.4, long = "3600s", short = "300s", severity = "CRITICAL" },
    { key = "${name}_slow", name = name, slo = objective.slo, rate = 6, long = "21600s", short = "1800s", severity = "WARNING" },
  ]]) : pair.key => pair }
}

resource "google_logging_metric" "ours" {
  for_each    = local.metrics
  name        = each.key
  description = each.value.what
  filter = join(" AND ", compact([
    "resource.type=\"cloud_run_revision\"",
    "jsonPayload.event=(${join(" OR ", [for event in each.value.events : "\"${event}\""])})",
    can(each.value.severity) ? "severity>=${each.value.severity}" : "",
  ]))
  label_extractors = { for label in each.value.labels : label => "EXTRACT(jsonPayload.${label})" }
  value_extractor  = can(each.value.value) ? "EXTRACT(jsonPayload.${each.value.value})" : null

  metric_descriptor {
    metric_kind = "DELTA"
    value_type  = can(each.value.value) ? "DISTRIBUTION" : "INT64"
    unit        = try(each.value.unit, "1")
    dynamic "labels" {
      for_each = toset(each.value.labels)
      content {
        key        = labels.value
        value_type = "STRING"
      }
    }
  }
  dynamic "bucket_options" {
    for_each = can(each.value.value) ? [1] : []
    content {
      # 0.001 to 17,000 in steps of a quarter: fine for a score, for milliseconds and for counts.
      exponential_buckets {
        scale              = 0.001
        growth_factor      = 1.25
        num_finite_buckets = 75
      }
    }
  }
  depends_on = [google_project_service.used]
}

# Cloud Run writes a line for every request, larger than ours and with the sender's address. Of those that were answered
# as they should be, ours say more; what is counted and timed of them (run.googleapis.com) does not come from the log.
resource "google_logging_project_exclusion" "answered" {
  name        = "answered-requests"
  description = "Request lines of Cloud Run that tell of no trouble"
  filter      = "resource.type=\"cloud_run_revision\" AND log_id(\"run.googleapis.com/requests\") AND httpRequest.status<400"
  depends_on  = [google_project_service.used]
}

# What went as it should is told for metrics, which count and time excluded lines as well, and can be read of one trace in
# ten, whole. Every event of every trace is in the warehouse; alarms, and all that tells of trouble, are kept of all.
resource "google_logging_project_exclusion" "went_well" {
  name        = "went-well"
  description = "Facts of nine traces in ten that went as they should: the warehouse has their rows, the metrics their counts"
  filter = join(" AND ", [
    "resource.type=\"cloud_run_revision\"",
    "severity=INFO",
    "jsonPayload.event=(${join(" OR ", [for event in local.sampled : "\"${event}\""])})",
    "-jsonPayload.outcome=\"duplicate\"",
    "sample(trace, 0.9)",
  ])
  depends_on = [google_project_service.used]
}

resource "google_monitoring_notification_channel" "email" {
  for_each     = toset(var.alert_emails)
  display_name = each.value
  type         = "email"
  labels       = { email_address = each.value }
  depends_on   = [google_project_service.used]
}

resource "google_monitoring_alert_policy" "alert" {
  for_each              = local.alerts
  display_name          = each.value.title
  severity              = each.value.severity
  combiner              = "OR"
  notification_channels = [for channel in google_monitoring_notification_channel.email : channel.name]
  user_labels           = merge(local.labels, { alert = each.key })

  conditions {
    display_name = each.value.title

    dynamic "condition_threshold" {
      for_each = can(each.value.when.absent) ? [] : [each.value.when]
      content {
        filter = join(" AND ", compact([
          "metric.type=\"${try(condition_threshold.value.google, "logging.googleapis.com/user/${google_logging_metric.ours[condition_threshold.value.metric].name}")}\"",
          "resource.type=\"${try(condition_threshold.value.resource, "cloud_run_revision")}\"",
          can(condition_threshold.value.values) ? "metric.labels.${condition_threshold.value.label}=one_of(${join(",", [for v in condition_threshold.value.values : "\"${v}\""])})" : "",
          try(condition_threshold.value.where, ""),
        ]))
        comparison      = "COMPARISON_GT"
        threshold_value = condition_threshold.value.above
        duration        = try(condition_threshold.value.for, "0s")
        aggregations {
          alignment_period     = "300s"
          per_series_aligner   = try(condition_threshold.value.align, "ALIGN_DELTA")
          cross_series_reducer = "REDUCE_SUM"
          group_by_fields = [for field in try(condition_threshold.value.by, [condition_threshold.value.label], []) :
          strcontains(field, ".") ? field : "metric.label.${field}"]
        }
      }
    }
    dynamic "condition_absent" {
      for_each = can(each.value.when.absent) ? [each.value.when] : []
      content {
        filter = join(" AND ", [
          "metric.type=\"logging.googleapis.com/user/${google_logging_metric.ours[condition_absent.value.absent].name}\"",
          "resource.type=\"cloud_run_revision\"",
          "metric.labels.${condition_absent.value.label}=one_of(${join(",", [for v in condition_absent.value.values : "\"${v}\""])})",
        ])
        duration = condition_absent.value.for
        aggregations {
          alignment_period     = "300s"
          per_series_aligner   = "ALIGN_DELTA"
          cross_series_reducer = "REDUCE_SUM"
        }
      }
    }
  }
  documentation {
    mime_type = "text/markdown"
    subject   = each.value.title
    content = replace(replace(replace(join("\n\n", compact([
      "**What it means.** ${each.value.means}",
      "**First.** ${local.payin}\n\n${join("\n", [for i, command in each.value.first : "${i + 1}. `${command}`"])}",
      can(each.value.then) ? "**Then.**\n\n${join("\n", [for command in each.value.then : "- `${command}`"])}" : "",
      "**Back.** ${each.value.rollback}",
    ])), "{project}", var.project), "{region}", var.region), "{env}", var.env)
  }
  alert_strategy {
    auto_close = "86400s"
  }
  depends_on = [google_project_service.used]
}

resource "google_monitoring_custom_service" "service" {
  for_each     = toset(concat([for provider in keys(var.payment_providers) : "webhook-${replace(provider, "_", "-")}"], ["decisions", "disputes"]))
  service_id   = each.value
  display_name = "Pay-In ${each.value}"
  depends_on   = [google_project_service.used]
}

resource "google_monitoring_slo" "objective" {
  for_each            = local.objectives
  service             = google_monitoring_custom_service.service[each.value.service].service_id
  slo_id              = replace(each.key, "_", "-")
  display_name        = replace(local.slos[each.value.slo].title, "{provider}", each.value.provider)
  goal                = local.slos[each.value.slo].goal
  rolling_period_days = 28

  # A window's sum would have to be of a gauge, and a metric on logs is none: so what may never happen is a value that
  # each run tells, 0 among them.
  request_based_sli {
    dynamic "good_total_ratio" {
      for_each = can(local.slos[each.value.slo].bad) ? [local.slos[each.value.slo]] : []
      content {
        total_service_filter = replace(good_total_ratio.value.total, "{service}", each.value.service)
        bad_service_filter   = replace(good_total_ratio.value.bad, "{service}", each.value.service)
      }
    }
    dynamic "distribution_cut" {
      for_each = can(local.slos[each.value.slo].distribution) ? [local.slos[each.value.slo]] : []
      content {
        distribution_filter = replace(distribution_cut.value.distribution, "{service}", each.value.service)
        range {
          max = distribution_cut.value.within
        }
      }
    }
  }
  depends_on = [google_logging_metric.ours]
}

# A long window says that it matters, a short one that it is still so.
resource "google_monitoring_alert_policy" "burn" {
  for_each              = local.burns
  display_name          = "${google_monitoring_slo.objective[each.value.name].display_name}: budget burns ${each.value.rate} times too fast"
  severity              = each.value.severity
  combiner              = "AND"
  notification_channels = [for channel in google_monitoring_notification_channel.email : channel.name]
  user_labels           = merge(local.labels, { alert = each.key })

  dynamic "conditions" {
    for_each = [each.value.long, each.value.short]
    content {
      display_name = "over ${conditions.value}"
      condition_threshold {
        filter          = "select_slo_burn_rate(\"${google_monitoring_slo.objective[each.value.name].name}\", \"${conditions.value}\")"
        comparison      = "COMPARISON_GT"
        threshold_value = each.value.rate
        duration        = "0s"
      }
    }
  }
  documentation {
    mime_type = "text/markdown"
    subject   = google_monitoring_slo.objective[each.value.name].display_name
    content = join("\n\n", [
      "**What it means.** ${local.slos[each.value.slo].means} At this rate the budget of 28 days is gone in ${ceil(28 / each.value.rate)} days.",
      "**First.** ${local.payin}\n\n${join("\n", [for i, command in local.slos[each.value.slo].first : "${i + 1}. `${replace(command, "{provider}", local.objectives[each.value.name].provider)}`"])}",
      "**Then.**\n\n- `gcloud run revisions list --region=${var.region} --project=${var.project}`\n- `gcloud logging read 'severity>=ERROR resource.type=\"cloud_run_revision\"' --project=${var.project} --freshness=1h --limit=20 --format=json`",
      "**Back.** ${replace(replace(local.slos[each.value.slo].rollback, "{env}", var.env), "{provider}", local.objectives[each.value.name].provider)}",
    ])
  }
}

resource "google_monitoring_dashboard" "board" {
  for_each       = { for file in fileset("${path.module}/monitoring/dashboards", "*.json") : trimsuffix(file, ".json") => file }
  dashboard_json = file("${path.module}/monitoring/dashboards/${each.value}")
  depends_on     = [google_logging_metric.ours]
}
