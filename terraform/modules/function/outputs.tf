output "name" {
  value = google_cloudfunctions2_function.this.name
}

output "url" {
  value = google_cloudfunctions2_function.this.service_config[0].uri
}

output "member" {
  description = "The function's own service account, as a member of policies."
  value       = google_service_account.runtime.member
}

# What is deployed, read back from the resources: for tests and for the deploy script.

output "environment" {
  value = google_cloudfunctions2_function.this.service_config[0].environment_variables
}

output "secrets" {
  description = "Environment variable to the secret that it is filled from."
  value       = { for s in google_cloudfunctions2_function.this.service_config[0].secret_environment_variables : s.key => s.secret }
}

output "secret_readers" {
  value = { for variable, grant in google_secret_manager_secret_iam_member.reads : variable => grant.member }
}

output "concurrency" {
  value = google_cloudfunctions2_function.this.service_config[0].max_instance_request_concurrency
}

output "min_instances" {
  value = google_cloudfunctions2_function.this.service_config[0].min_instance_count
}

output "max_instances" {
  value = google_cloudfunctions2_function.this.service_config[0].max_instance_count
}

output "ingress" {
  value = google_cloudfunctions2_function.this.service_config[0].ingress_settings
}

output "roles" {
  value = distinct(concat(values(google_secret_manager_secret_iam_member.reads)[*].role, values(google_cloud_run_service_iam_member.invoker)[*].role))
}

output "invokers" {
  value = { for name, grant in google_cloud_run_service_iam_member.invoker : name => grant.member }
}

output "whole_image" {
  value = length(google_cloudfunctions2_function.this.build_config[0].on_deploy_update_policy) > 0
}

output "build_service_account" {
  value = google_cloudfunctions2_function.this.build_config[0].service_account
}
