output "webhooks" {
  description = "What to enter at each provider."
  value = { for provider in keys(var.payment_providers) : provider => (
    var.edge == null ? "${module.webhook[provider].url}/${provider}" : "https://${try(var.edge.domain, "")}/${provider}"
  ) }
}

output "private" {
  description = "Functions that must refuse strangers."
  value       = { for name, f in module.function : name => f.url if !contains(keys(local.pages), name) }
}

output "console" {
  description = "The pages for people, behind Identity-Aware Proxy; null where there are none."
  value       = one([for name in keys(local.pages) : { service = module.function[name].name, url = module.function[name].url }])
}

output "ci" {
  description = "Variables of the repository for .github/workflows/deploy.yml."
  value = var.ci == null ? {} : {
    GCP_WORKLOAD_IDENTITY_PROVIDER = module.ci[0].workload_identity_provider
    GCP_PLANNER                    = module.ci[0].planner_email
    GCP_DEPLOYER                   = module.ci[0].deployer_email
  }
}

output "operator" {
  description = "Settings of payin, the command line of people on call."
  value       = merge({ PAYIN_BACKEND = "gcp", GOOGLE_CLOUD_PROJECT = var.project }, values(local.needs)...)
}

output "services" {
  description = "Providers and the Cloud Run services of their webhooks."
  value       = { for provider in keys(var.payment_providers) : provider => module.webhook[provider].name }
}

output "region" {
  value = var.region
}

output "webhook_access" {
  value = var.webhook_access
}

output "channels" {
  description = "Notification channels, for the budget, which has a state of its own."
  value       = [for channel in google_monitoring_notification_channel.email : channel.name]
}

output "enabled" {
  description = "Providers whose endpoint is open."
  value       = sort([for provider, p in var.payment_providers : provider if p.enabled])
}
