resource "google_service_account" "runtime" {
  project      = var.project
  account_id   = "fn-${var.name}"
  display_name = "Runs ${var.name}"
}

resource "google_secret_manager_secret_iam_member" "reads" {
  for_each  = var.secrets
  project   = var.project
  secret_id = each.value.secret
  role      = "roles/secretmanager.secretAccessor"
  member    = google_service_account.runtime.member
}

resource "google_cloudfunctions2_function" "this" {
  project  = var.project
  location = var.region
  name     = var.name
  labels   = var.labels

  build_config {
    runtime           = "python313"
    entry_point       = var.entry_point
    service_account   = var.build.service_account
    docker_repository = var.build.repository
    # By default Google changes the base under a function, so the image that is built has none and runs nowhere else.
    # cloud.google.com/run/docs/configuring/services/automatic-base-image-updates
    dynamic "on_deploy_update_policy" {
      for_each = var.whole_image ? [1] : []
      content {}
    }
    source {
      storage_source {
        bucket = var.bundle.bucket
        object = var.bundle.object # holds the contents' hash: Terraform sees a changed source by its name alone
      }
    }
  }

  service_config {
    service_account_email            = google_service_account.runtime.email
    available_memory                 = var.memory
    available_cpu                    = var.cpu
    max_instance_request_concurrency = var.concurrency
    # The front end answers 504 after this, from the request's first byte on, and the container works on. It ends TLS and
    # slow headers itself, takes 32 MiB at most over HTTP/1, and promises to hold no body back until it is whole: a slow one
    # takes a place of `concurrency` here. Ten seconds is what shared/runtime/server.py gives a request to arrive.
    timeout_seconds    = var.timeout_seconds
    min_instance_count = var.min_instances
    max_instance_count = var.max_instances
    ingress_settings   = var.ingress
    # Deploying makes a revision and moves no request: tools/traffic.py does, by share. The provider really sends false since
    # GoogleCloudPlatform/magic-modules #16981 of April 2026; before, it was left out, which means true.
    all_traffic_on_latest_revision = false
    environment_variables = merge(var.environment, {
      THREADS          = tostring(var.concurrency) # as many as Cloud Run sends at once: the rest would queue here
      LOG_EXECUTION_ID = "true"                    # Google sets it; unsaid, every plan would want to unset it
    })

    dynamic "secret_environment_variables" {
      for_each = var.secrets
      content {
        key        = secret_environment_variables.key
        project_id = var.project
        secret     = secret_environment_variables.value.secret
        version    = secret_environment_variables.value.version
      }
    }
  }

  lifecycle {
    precondition {
      condition     = var.concurrency == 1 || tonumber(var.cpu) >= 1
      error_message = "${var.name}: Cloud Run serves several requests at once only with a whole CPU."
    }
  }

  # A revision that cannot read its secret does not start.
  depends_on = [google_secret_manager_secret_iam_member.reads]
}

# On the service below the function: the function's own invoker role does not admit HTTP calls.
resource "google_cloud_run_service_iam_member" "invoker" {
  for_each = var.invokers
  project  = var.project
  location = var.region
  service  = google_cloudfunctions2_function.this.name
  role     = "roles/run.invoker"
  member   = each.value

  lifecycle {
    # A function made anew has a service made anew, which has forgotten who may call it.
    replace_triggered_by = [google_cloudfunctions2_function.this.id]
  }
}
