variable "project" {
  description = "Google Cloud project id. One project per environment."
  type        = string
}

variable "project_number" {
  description = "The project's number: Google's own service agents are named by it."
  type        = string
  validation {
    condition     = can(regex("^[0-9]+$", var.project_number))
    error_message = "project_number is the project's number, not its id: gcloud projects describe PROJECT --format='value(projectNumber)'."
  }
}

variable "env" {
  description = "dev or prod. prod turns on protection against deletion, backups and warm instances."
  type        = string
  validation {
    condition     = contains(["dev", "prod"], var.env)
    error_message = "env is dev or prod."
  }
}

variable "region" {
  description = "Where everything runs and where payments, messages, rows, models and secrets are stored. Logs and metrics, which hold ids and no personal data, are Google's global ones."
  type        = string
  default     = "europe-west1"
}

variable "labels" {
  description = "Further labels on everything that takes labels."
  type        = map(string)
  default     = {}
}

variable "bundles" {
  description = "Deployment (score_payment, webhook-stripe) to the object that holds its bundle, as `make package` names it. Written by the deploy script."
  type        = map(string)
  validation {
    condition     = alltrue([for name, object in var.bundles : can(regex("^${name}-[0-9a-f]{16}\\.zip$", object))])
    error_message = "A bundle is named <deployment>-<16 hex digits of its contents' hash>.zip: without the hash a changed source is not redeployed."
  }
}

variable "payment_providers" {
  description = <<-EOT
    Payment providers, one webhook deployment each.
    enabled: false closes the endpoint to the internet (403, the provider tries again later) and leaves all else.
    secret_versions: labels of the versions that exist of its webhook's secret; a rotation adds one and, later, removes
    the older. pinned: the one that the function reads; the last of them unless told otherwise.
    api_versions: the same of its API's key, if its objects are read back or its disputes answered; the last one is read.
  EOT
  type = map(object({
    enabled         = optional(bool, true)
    secret_versions = optional(list(string), ["1"])
    pinned          = optional(string)
    api_versions    = optional(list(string), [])
    concurrency     = optional(number)
    max_instances   = optional(number)
    min_instances   = optional(number)
  }))
  validation {
    condition     = alltrue([for name in keys(var.payment_providers) : can(regex("^[a-z][a-z0-9_]{1,14}$", name))])
    error_message = "A provider is named as its module in shared/providers: at most 15 lower-case letters, digits and underscores."
  }
  validation {
    condition = alltrue([for p in values(var.payment_providers) :
      length(p.secret_versions) >= 1 && length(p.secret_versions) <= 2 && length(p.api_versions) <= 2
      && (p.pinned == null ? true : contains(p.secret_versions, p.pinned))
    ])
    error_message = "One or two secret versions live at a time, and pinned is one of them."
  }
}

variable "pseudonym_versions" {
  description = "Labels of the versions that exist of PAYIN_PSEUDONYM_KEYS; the last one is read."
  type        = list(string)
  default     = ["1"]
  validation {
    condition     = length(var.pseudonym_versions) >= 1 && length(var.pseudonym_versions) <= 2
    error_message = "One or two secret versions live at a time."
  }
}

variable "secret_values" {
  description = "WEBHOOK_<PROVIDER>, API_<PROVIDER> and PAYIN_PSEUDONYM_KEYS to their JSON. Needed only by the apply that adds a secret version; never stored."
  type        = map(string)
  default     = {}
  ephemeral   = true
  sensitive   = true
}

variable "assessments" {
  description = "Whether payments are assessed before authorisation (assess_payment) and found again by their merchant reference: one more read and write for each payment that has one."
  type        = bool
  default     = true
}

variable "without_history" {
  description = "What the customer does (`flow`) to the mildest outcome of such a payment where its history is not known in time; \"\" is anything else, and approve where nothing is said."
  type        = map(string)
  default     = {}
  validation {
    condition     = alltrue([for outcome in values(var.without_history) : contains(["approve", "challenge", "review", "decline"], outcome)])
    error_message = "without_history maps a flow to approve, challenge, review or decline."
  }
}

variable "entitlements" {
  description = "What suspends what a customer has bought, told on payment-actions: off, disputes (for fraud, and refunds that were called fraud), or warnings (an issuer's report of fraud as well)."
  type        = string
  default     = "off"
  nullable    = false
  validation {
    condition     = contains(["off", "disputes", "warnings"], var.entitlements)
    error_message = "entitlements is off, disputes or warnings."
  }
}

variable "reviews" {
  description = "Within how many minutes a person looks at a payment under review, and what becomes of one at which nobody did, after how many: release, refuse, or null, by which it goes on waiting."
  type = object({
    within_minutes = optional(number, 240)
    then           = optional(string)
    after_minutes  = optional(number, 1440)
  })
  default  = {}
  nullable = false
  validation {
    condition     = var.reviews.then == null || contains(["release", "refuse"], coalesce(var.reviews.then, "none"))
    error_message = "reviews.then is release, refuse or null."
  }
  validation {
    condition     = var.reviews.within_minutes >= 1 && var.reviews.within_minutes <= var.reviews.after_minutes
    error_message = "reviews.after_minutes is no less than reviews.within_minutes, and both are a minute or more."
  }
}

variable "merchant" {
  description = "What evidence says of us to providers and issuers: our name, what stands on statements by account (\"\" for any other), what is sold, how one cancels and what is given back."
  type = object({
    name         = optional(string, "")
    descriptors  = optional(map(string), {})
    product      = optional(string, "")
    cancellation = optional(string, "")
    refunds      = optional(string, "")
    # What app stores are told: whether everybody could try it before paying, and the policy in which subscribers agree to it.
    sampled       = optional(bool)
    store_consent = optional(string, "")
  })
  default  = {}
  nullable = false
}

variable "scoring_model" {
  description = "champion, or none to decide by rules alone (before the first training, or in an emergency)."
  type        = string
  default     = "champion"
  validation {
    condition     = contains(["champion", "none"], var.scoring_model)
    error_message = "scoring_model is champion or none."
  }
}

variable "max_body_bytes" {
  description = "The largest delivery that a webhook takes."
  type        = number
  default     = 1048576
}

variable "invokers" {
  description = "HTTP functions that are not public, each with the members who may call it."
  type        = map(list(string))
  default     = {}
  validation {
    condition     = alltrue([for member in flatten(values(var.invokers)) : !contains(["allUsers", "allAuthenticatedUsers"], member)])
    error_message = "Only webhooks are public, and they need no entry here."
  }
}

variable "analysts" {
  description = "Who may ask the marts (groups, people, service accounts), and nothing of the rows below them."
  type        = list(string)
  default     = []
  validation {
    condition     = alltrue([for member in var.analysts : can(regex("^(group|user|serviceAccount):", member))])
    error_message = "Each is a group:, a user: or a serviceAccount:, never everybody."
  }
}

variable "usage_publishers" {
  description = "The systems that tell how subscribers used what they bought: service accounts that may publish to usage-evidence."
  type        = list(string)
  default     = []
  validation {
    condition     = alltrue([for member in var.usage_publishers : startswith(member, "serviceAccount:")])
    error_message = "What proves a payment is told by systems of ours, each a serviceAccount:."
  }
}

variable "spans" {
  description = "Share of traces, 0 to 1, whose spans go to Cloud Trace; 0: none. At planned traffic 0.001 is some 1.5 million spans a month, of which 2.5 million are free."
  type        = number
  default     = 0
  validation {
    condition     = var.spans >= 0 && var.spans <= 1
    error_message = "A share is 0 to 1."
  }
}

variable "parked" {
  description = "Subscriptions that are not pushed, for somebody has parked their provider (`payin providers park`). The deploy script reads who that is; it belongs in no file."
  type        = list(string)
  default     = []
}

variable "endpoints" {
  description = "Systems outside of Google Cloud that are told what happens: an address over TLS, the topics that each follows with a filter of attributes (\"\" for all), and the versions of its secret NOTIFY_<NAME>."
  type = map(object({
    url             = string
    topics          = map(string)
    secret_versions = optional(list(string), ["1"])
  }))
  default = {}
  validation {
    condition     = alltrue([for name, e in var.endpoints : can(regex("^[a-z][a-z0-9_]{0,30}$", name)) && can(regex("^https://[a-z0-9][a-z0-9.-]*([/?][!-\"$-~]*)?$", e.url))])
    error_message = "An endpoint is named by small letters, digits and underscores, and its url is https://<host>/<path>."
  }
  validation {
    condition     = alltrue([for topic in flatten([for e in values(var.endpoints) : keys(e.topics)]) : contains(["dispute-updates", "dispute-actions", "payment-actions"], topic)])
    error_message = "Told outside are dispute-updates, dispute-actions and payment-actions."
  }
  validation {
    condition     = alltrue([for e in values(var.endpoints) : length(e.secret_versions) > 0])
    error_message = "Without a key nothing is signed."
  }
}

variable "console" {
  description = "Who sees the pages for people, by groups of Google's in your organisation: each role may do what those before it may. four_eyes_above: hundredths of a euro, from which an act that nobody can take back wants two people. null: no pages are deployed."
  type = object({
    groups = object({
      viewer   = optional(list(string), [])
      analyst  = optional(list(string), [])
      approver = optional(list(string), [])
    })
    four_eyes_above = optional(number, 50000)
    secret_versions = optional(list(string), ["1"])
  })
  default = null
  validation {
    condition     = var.console == null || length(try(flatten(values(var.console.groups)), [])) > 0
    error_message = "Pages that nobody may see are better not deployed: name a group, or leave console out."
  }
  validation {
    condition     = alltrue([for group in try(flatten(values(var.console.groups)), []) : can(regex("^[^@\\s:]+@[^@\\s:]+$", group))])
    error_message = "A group is named by its e-mail address, without `group:` before it."
  }
  validation {
    condition     = try(var.console.four_eyes_above, 0) >= 0 && try(length(var.console.secret_versions), 1) > 0
    error_message = "four_eyes_above is 0 or more, and PAYIN_CONSOLE_KEY has a version."
  }
}

variable "training_job" {
  description = "rows: what a night learns from at most, of genuine payments and of frauds each; null: 100,000. From how many rows of both on (above) it is a custom job of Vertex AI, and on what machine; fewer are a run of train_model, whose limits README derives."
  type = object({
    rows    = optional(number)
    above   = optional(number, 400000)
    machine = optional(string, "n1-highmem-8")
  })
  default = {}
  validation {
    condition     = var.training_job.above >= 1 && var.training_job.above <= 400000 && floor(var.training_job.above) == var.training_job.above
    error_message = "above is a whole number of rows, 400,000 at most: more do not fit into train_model's time and memory."
  }
}

variable "alert_emails" {
  description = "Who is told when an alert fires."
  type        = list(string)
  default     = []
}

variable "firestore_database" {
  description = "Name of the database of documents. Another one after a restore, which always makes a new database; see README."
  type        = string
  default     = "payin"
  validation {
    condition     = can(regex("^[a-z][-a-z0-9]{2,61}[a-z0-9]$", var.firestore_database))
    error_message = "A database is named by 4 to 63 lower-case letters, digits and hyphens, a letter first."
  }
}

variable "kms_key" {
  description = "A key of one's own for what is kept: projects/P/locations/REGION/keyRings/R/cryptoKeys/K, in `region`. null: Google's keys. Only for a new project: what exists is not encrypted anew."
  type        = string
  default     = null
  validation {
    condition     = var.kms_key == null ? true : can(regex("^projects/[^/]+/locations/${var.region}/keyRings/[^/]+/cryptoKeys/[^/]+$", var.kms_key))
    error_message = "kms_key is projects/P/locations/REGION/keyRings/R/cryptoKeys/K, and its REGION is `region`."
  }
}

variable "cpu_quota" {
  description = <<-EOT
    Cloud Run's quota of CPUs in `region` (CpuAllocPerProjectRegion). A function whose instances could use more is refused
    when it is deployed, so each is held to it; a new project has 20. `make doctor` tells what there is. Ask for 250 before
    going live, and raise this with it.
  EOT
  type        = number
  default     = 20
  validation {
    condition     = var.cpu_quota >= 4
    error_message = "train_model alone has four CPUs."
  }
}

variable "webhook_access" {
  description = <<-EOT
    How strangers reach a webhook. grant: allUsers may invoke it, which an organisation's allowedPolicyMemberDomains refuses
    (in every organisation made since 2024-05-03). unchecked: Cloud Run does not ask who calls it; a function's service has
    that switch, the function has not, so the deploy script sets it after each apply. A load balancer does not help: it
    brings no identity along.
  EOT
  type        = string
  default     = "grant"
  validation {
    condition     = contains(["grant", "unchecked"], var.webhook_access)
    error_message = "webhook_access is grant or unchecked."
  }
}

variable "edge" {
  description = "Put a load balancer with Cloud Armor in front of the webhooks; then they take traffic from it alone. null: none."
  type = object({
    domain              = string
    requests_per_minute = optional(number, 30000)
  })
  default = null
}

variable "ci" {
  description = "Keyless deployment from GitHub Actions. null: none. Ids are numeric: names can be taken over by somebody else."
  type = object({
    repository          = string
    repository_id       = string
    repository_owner_id = string
    ref                 = optional(string, "refs/heads/main")
    state_bucket        = string
  })
  default = null
}
