resource "google_bigquery_dataset" "warehouse" {
  dataset_id                 = local.dataset
  location                   = var.region
  description                = "What came in, what we decided, what became of it"
  delete_contents_on_destroy = !local.is_prod
  max_time_travel_hours      = "168"
  deletion_policy            = local.deletion_policy

  dynamic "default_encryption_configuration" {
    for_each = local.kms
    content {
      kms_key_name = default_encryption_configuration.value
    }
  }
  depends_on = [google_project_service.used, google_kms_crypto_key_iam_member.agents]
}

locals {
  tables = local.topology.tables
  # Elsewhere than in prod there is no other.
  test_data = local.is_prod ? "FALSE" : "TRUE"
  schemas   = { for table in keys(local.tables) : table => jsondecode(file("${path.module}/../shared/learning/sql/tables/${table}.json")) }
}

resource "google_bigquery_table" "table" {
  for_each            = local.tables
  dataset_id          = google_bigquery_dataset.warehouse.dataset_id
  table_id            = each.key
  schema              = file("${path.module}/../shared/learning/sql/tables/${each.key}.json")
  clustering          = each.value.cluster
  deletion_protection = local.is_prod
  # A query that forgets the partition would read, and pay for, everything there ever was.
  require_partition_filter = true

  time_partitioning {
    type          = "DAY"
    field         = each.value.partition
    expiration_ms = try(local.classes[local.kept.tables[each.key]].days * 86400000, null) # of a class without an end none
  }
}

# Subscriptions write at least once, so a row may be there twice. The partition's column is among the keys: copies are
# equal in it, and only so does a filter on the view reach the table below.
resource "google_bigquery_table" "once" {
  for_each            = { for table, t in local.tables : table => t if can(t.once) }
  dataset_id          = google_bigquery_dataset.warehouse.dataset_id
  table_id            = "${each.key}_once"
  description         = "${each.key}, each row once"
  deletion_protection = false

  view {
    use_legacy_sql = false
    query          = <<-SQL
      SELECT * FROM `${var.project}.${local.dataset}.${each.key}`
      QUALIFY ROW_NUMBER() OVER (PARTITION BY ${join(", ", each.value.once)} ORDER BY ${each.value.newest} DESC) = 1
    SQL
  }
  depends_on = [google_bigquery_table.table]
}

# What people ask of disputes, by the SQL that the tests run: shared/disputes/table_functions.py writes the file.
resource "google_bigquery_routine" "question" {
  for_each        = jsondecode(file("${path.module}/../shared/learning/sql/functions.json"))
  dataset_id      = google_bigquery_dataset.warehouse.dataset_id
  routine_id      = each.key
  routine_type    = "TABLE_VALUED_FUNCTION"
  language        = "SQL"
  description     = each.value.description
  definition_body = replace(replace(each.value.body, "{dataset}", "${var.project}.${local.dataset}"), "{test_data}", local.test_data)

  dynamic "arguments" {
    for_each = each.value.arguments
    content {
      name      = arguments.value
      data_type = jsonencode({ typeKind = "TIMESTAMP" })
    }
  }
  depends_on = [google_bigquery_table.table]
}

# What analysts ask, by the SQL that the tests run: shared/marts/catalogue.py writes the file. In a data set of its own, whose views
# and functions read the rows for whoever may ask them: https://cloud.google.com/bigquery/docs/authorized-datasets takes in the views,
# https://cloud.google.com/bigquery/docs/authorized-routines each function by its name.
locals {
  marts      = jsondecode(file("${path.module}/../shared/learning/sql/marts.json"))
  mart_views = { for name, mart in local.marts : name => mart if length(mart.arguments) == 0 }
  mart_asked = { for name, mart in local.marts : name => mart if length(mart.arguments) > 0 }
}

resource "google_bigquery_dataset" "marts" {
  dataset_id                 = "${local.dataset}_marts"
  location                   = var.region
  description                = "Payments, disputes, decisions and what they may cost, each once and without anybody's name. Computed when asked"
  delete_contents_on_destroy = !local.is_prod
  deletion_policy            = local.deletion_policy

  dynamic "default_encryption_configuration" {
    for_each = local.kms
    content {
      kms_key_name = default_encryption_configuration.value
    }
  }
  depends_on = [google_project_service.used, google_kms_crypto_key_iam_member.agents]
}

# The provider makes a view first and describes its columns then, as BigQuery asks for. A change of its SQL takes the
# descriptions away until the next apply: https://github.com/hashicorp/terraform-provider-google/issues/16647.
resource "google_bigquery_table" "mart" {
  for_each            = local.mart_views
  dataset_id          = google_bigquery_dataset.marts.dataset_id
  table_id            = each.key
  description         = each.value.description
  schema              = jsonencode([for column in each.value.columns : merge(column, { mode = "NULLABLE" })])
  deletion_protection = false

  view {
    use_legacy_sql = false
    query          = replace(replace(each.value.body, "{dataset}", "${var.project}.${local.dataset}"), "{test_data}", local.test_data)
  }
  depends_on = [google_bigquery_table.table]
}

# A function's columns have no descriptions of their own: they are in its own.
resource "google_bigquery_routine" "mart" {
  for_each        = local.mart_asked
  dataset_id      = google_bigquery_dataset.marts.dataset_id
  routine_id      = each.key
  routine_type    = "TABLE_VALUED_FUNCTION"
  language        = "SQL"
  description     = join("\n", concat([each.value.description], [for column in each.value.columns : "${column.name}: ${column.description}"]))
  definition_body = replace(replace(each.value.body, "{dataset}", "${var.project}.${local.dataset}"), "{test_data}", local.test_data)

  dynamic "arguments" {
    for_each = each.value.arguments
    content {
      name      = arguments.value
      data_type = jsonencode({ typeKind = "TIMESTAMP" })
    }
  }
  depends_on = [google_bigquery_table.table]
}

resource "google_bigquery_dataset_access" "mart_views" {
  dataset_id = google_bigquery_dataset.warehouse.dataset_id
  dataset {
    dataset {
      project_id = var.project
      dataset_id = google_bigquery_dataset.marts.dataset_id
    }
    target_types = ["VIEWS"]
  }
}

resource "google_bigquery_dataset_access" "mart_asked" {
  for_each   = google_bigquery_routine.mart
  dataset_id = google_bigquery_dataset.warehouse.dataset_id
  routine {
    project_id = var.project
    dataset_id = google_bigquery_dataset.marts.dataset_id
    routine_id = each.value.routine_id
  }
}

# Those who may ask, and nothing of the rows below.
resource "google_bigquery_dataset_iam_member" "analyst" {
  for_each   = toset(var.analysts)
  dataset_id = google_bigquery_dataset.marts.dataset_id
  role       = "roles/bigquery.dataViewer"
  member     = each.value
}

resource "google_project_iam_member" "analyst" {
  for_each = toset(var.analysts)
  project  = var.project
  role     = "roles/bigquery.jobUser"
  member   = each.value
  # Roles are granted through an API that must be on first.
  depends_on = [google_project_service.used]
}

resource "google_bigquery_table_iam_member" "subscription" {
  for_each   = local.topology.warehouse
  dataset_id = google_bigquery_dataset.warehouse.dataset_id
  table_id   = google_bigquery_table.table[each.value].table_id
  role       = "roles/bigquery.dataEditor"
  member     = local.pubsub_agent
}

resource "google_pubsub_subscription" "warehouse" {
  for_each = local.rows
  name     = "warehouse-${each.key}"
  topic    = google_pubsub_topic.topic[each.value.topic].id
  # What is nobody's business is in no table, so that no query has to leave it out.
  filter                     = can(local.topology.unstored[each.value.logical]) ? "NOT (${local.topology.unstored[each.value.logical]})" : null
  message_retention_duration = "604800s"

  bigquery_config {
    table               = "${var.project}.${local.dataset}.${google_bigquery_table.table[each.value.table].table_id}"
    use_table_schema    = true
    drop_unknown_fields = true # a newer writer may say more than the table holds
    write_metadata      = contains(local.schemas[each.value.table][*].name, "message_id")
  }
  retry_policy {
    minimum_backoff = local.first_wait
    maximum_backoff = local.last_wait
  }
  dead_letter_policy {
    dead_letter_topic     = google_pubsub_topic.dead_letter["warehouse-${each.value.logical}"].id
    max_delivery_attempts = local.tries
  }
  expiration_policy {
    ttl = ""
  }
  depends_on = [google_bigquery_table_iam_member.subscription, google_pubsub_topic_iam_member.dead_letter]
}
