variable "name" {
  description = "The deployment's name, with hyphens."
  type        = string
  validation {
    condition     = can(regex("^[a-z][-a-z0-9]{0,24}[a-z0-9]$", var.name))
    error_message = "At most 26 characters: the service account is fn-<name>, and 30 is all it may have."
  }
}

variable "entry_point" {
  description = "The Python function in main.py."
  type        = string
}

variable "project" {
  type = string
}

variable "region" {
  type = string
}

variable "labels" {
  type = map(string)
}

variable "bundle" {
  description = "Where the source is."
  type        = object({ bucket = string, object = string })
}

variable "build" {
  description = "Who builds it (a service account's full name) and where the image goes."
  type        = object({ service_account = string, repository = string })
}

variable "whole_image" {
  description = "Build an image that runs elsewhere as well; its base is patched when it is deployed, and not in between."
  type        = bool
  default     = false
}

variable "environment" {
  description = "Settings; see shared/settings.py."
  type        = map(string)
}

variable "secrets" {
  description = "Environment variable to a secret and its pinned version. A version is read when an instance starts."
  type        = map(object({ secret = string, version = string }))
  default     = {}
}

variable "memory" {
  type = string
}

variable "cpu" {
  type = string
}

variable "concurrency" {
  description = "Requests that one instance serves at a time; also the framework's number of threads."
  type        = number
}

variable "timeout_seconds" {
  type = number
}

variable "min_instances" {
  type = number
}

variable "max_instances" {
  type = number
}

variable "ingress" {
  type = string
}

variable "invokers" {
  description = "Who may call it: a name that is known beforehand, to a member."
  type        = map(string)
}
