output "webhooks" {
  description = "What to enter at each provider."
  value = { for provider in keys(var.payment_providers) : provider => (
    var.edge == null ? "${module.webhook[provider].url}/${provider}" : "https://${try(var.edge.domain, "")}/${provider}"
  ) }
}

output "private" {
  description = "Functions that must refuse strangers."
  value       = { for name, f in module.function : name => f.url }
}

output "enabled" {
  description = "Providers whose endpoint is open."
  value       = sort([for provider, p in var.payment_providers : provider if p.enabled])
}
