terraform {
  required_version = ">= 1.11" # write-only arguments keep secret values out of plans and state

  required_providers {
    google = {
      source  = "hashicorp/google"
      version = "~> 8.0"
    }
  }

  # One state per environment: terraform init -backend-config=envs/<env>.gcs.tfbackend
  backend "gcs" {}
}

provider "google" {
  project        = var.project
  region         = var.region
  default_labels = local.labels
  # Some APIs refuse a person's credentials unless told which project's quota they use.
  user_project_override = true
  billing_project       = var.project
}
