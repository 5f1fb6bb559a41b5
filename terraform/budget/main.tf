# The budget, in a state of its own: reading one needs a role on the billing account, which is more than a plan of CI, or
# whoever deploys, should have. `make budget ENV=prod`, by somebody with roles/billing.costsManager there.
terraform {
  required_version = ">= 1.11"

  required_providers {
    google = {
      source  = "hashicorp/google"
      version = "~> 8.0"
    }
  }

  backend "gcs" {}
}

variable "project" {
  type = string
}

variable "project_number" {
  type = string
}

variable "env" {
  type = string
}

variable "billing_account" {
  type = string
}

variable "monthly_budget" {
  description = "In whole units of the billing account's currency. Mails at 50, 90 and 100 %, and at 100 % forecast."
  type        = number
}

variable "channels" {
  description = "Notification channels that are told besides the billing account's own people."
  type        = list(string)
  default     = []
}

provider "google" {
  project = var.project
  # The API refuses a person's credentials unless told which project's quota they use.
  user_project_override = true
  billing_project       = var.project
}

resource "google_project_service" "budgets" {
  service            = "billingbudgets.googleapis.com"
  disable_on_destroy = false
}

resource "google_billing_budget" "month" {
  billing_account = var.billing_account
  display_name    = "Pay-In ${var.env}"

  budget_filter {
    projects        = ["projects/${var.project_number}"]
    calendar_period = "MONTH"
  }
  amount {
    specified_amount {
      units = tostring(var.monthly_budget)
    }
  }
  dynamic "threshold_rules" {
    for_each = [0.5, 0.9, 1.0]
    content {
      threshold_percent = threshold_rules.value
    }
  }
  threshold_rules {
    threshold_percent = 1.0
    spend_basis       = "FORECASTED_SPEND"
  }
  all_updates_rule {
    monitoring_notification_channels = var.channels
  }
  depends_on = [google_project_service.budgets]
}
