# One address for all webhooks, https://<domain>/<provider>, with a limit per sender before anything of ours runs.
variable "project" {
  type = string
}

variable "region" {
  type = string
}

variable "domain" {
  type = string
}

variable "requests_per_minute" {
  description = "From one address; above it the sender is banned for ten minutes. Providers send from few addresses: keep it high."
  type        = number
}

variable "services" {
  description = "Provider to the name of its Cloud Run service."
  type        = map(string)
}

resource "google_compute_security_policy" "webhooks" {
  project = var.project
  name    = "payin-webhooks"

  # No body rules: signed JSON trips them, and the signature judges every byte anyway.
  rule {
    action      = "rate_based_ban"
    priority    = 1000
    description = "A flood from one address"
    match {
      versioned_expr = "SRC_IPS_V1"
      config {
        src_ip_ranges = ["*"]
      }
    }
    rate_limit_options {
      enforce_on_key   = "IP"
      conform_action   = "allow"
      exceed_action    = "deny(429)"
      ban_duration_sec = 600
      rate_limit_threshold {
        count        = var.requests_per_minute
        interval_sec = 60
      }
      ban_threshold {
        count        = 10 * var.requests_per_minute
        interval_sec = 60
      }
    }
  }
  rule {
    action      = "allow"
    priority    = 2147483647
    description = "Default"
    match {
      versioned_expr = "SRC_IPS_V1"
      config {
        src_ip_ranges = ["*"]
      }
    }
  }
}

resource "google_compute_region_network_endpoint_group" "webhook" {
  for_each              = var.services
  project               = var.project
  region                = var.region
  name                  = "payin-${each.value}"
  network_endpoint_type = "SERVERLESS"
  cloud_run {
    service = each.value
  }
}

resource "google_compute_backend_service" "webhook" {
  for_each              = var.services
  project               = var.project
  name                  = "payin-${each.value}"
  load_balancing_scheme = "EXTERNAL_MANAGED"
  protocol              = "HTTPS"
  security_policy       = google_compute_security_policy.webhooks.id
  backend {
    group = google_compute_region_network_endpoint_group.webhook[each.key].id
  }
  log_config {
    enable = false # the function's own facts say more, without headers
  }
}

resource "google_compute_url_map" "webhooks" {
  project         = var.project
  name            = "payin-webhooks"
  default_service = google_compute_backend_service.webhook[sort(keys(var.services))[0]].id # answers 404 to what is not its path

  host_rule {
    hosts        = [var.domain]
    path_matcher = "providers"
  }
  path_matcher {
    name            = "providers"
    default_service = google_compute_backend_service.webhook[sort(keys(var.services))[0]].id
    dynamic "path_rule" {
      for_each = var.services
      content {
        paths   = ["/${path_rule.key}"]
        service = google_compute_backend_service.webhook[path_rule.key].id
      }
    }
  }
}

resource "google_compute_managed_ssl_certificate" "webhooks" {
  project = var.project
  name    = "payin-webhooks"
  managed {
    domains = [var.domain]
  }
}

resource "google_compute_ssl_policy" "modern" {
  project         = var.project
  name            = "payin-modern"
  profile         = "MODERN"
  min_tls_version = "TLS_1_2"
}

resource "google_compute_target_https_proxy" "webhooks" {
  project          = var.project
  name             = "payin-webhooks"
  url_map          = google_compute_url_map.webhooks.id
  ssl_certificates = [google_compute_managed_ssl_certificate.webhooks.id]
  ssl_policy       = google_compute_ssl_policy.modern.id
}

resource "google_compute_global_address" "webhooks" {
  project = var.project
  name    = "payin-webhooks"
}

resource "google_compute_global_forwarding_rule" "webhooks" {
  project               = var.project
  name                  = "payin-webhooks"
  load_balancing_scheme = "EXTERNAL_MANAGED"
  target                = google_compute_target_https_proxy.webhooks.id
  ip_address            = google_compute_global_address.webhooks.address
  port_range            = "443"
}

output "address" {
  value = google_compute_global_address.webhooks.address
}
