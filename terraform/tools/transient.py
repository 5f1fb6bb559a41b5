"""What an apply meets on a new project, and what goes away by itself: Google takes in grants, metrics and services that
were just made over minutes. https://cloud.google.com/iam/docs/access-change-propagation says two, and seven or more.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

# Seconds before each further try: 18 minutes in all, for a metric may take ten until it can be watched.
WAITS = (60, 120, 240, 300, 360)


@dataclass(frozen=True)
class NotYet:
    """An error of a kind of resource that means: not yet. why: said to the operator. source: who else met it."""

    kind: str
    said: str
    why: str
    source: str


NOT_YET = (
    NotYet(
        "google_cloudfunctions2_function",
        r"Access to bucket gcf-v2-sources-\S+ denied",
        "the build's right to read its source has not arrived",
        "https://github.com/hashicorp/terraform-provider-google/issues/20571",
    ),
    NotYet(
        "google_cloudfunctions2_function",
        r"Unable to retrieve the repository metadata|Permission \S*artifactregistry\.\S+ denied",
        "the repository is not known to the functions' agent",
        "https://github.com/firebase/firebase-tools/issues/5244",
    ),
    NotYet(
        "google_cloudfunctions2_function",
        r"Permission denied on secret",
        "the function's right to its secret has not arrived",
        "https://cloud.google.com/secret-manager/docs/reference/consistency",
    ),
    NotYet(
        "google_cloudfunctions2_function",
        r"Quota exceeded for total allowable CPU",
        "instances that are being replaced still take the region's CPUs",
        "https://cloud.google.com/run/docs/troubleshooting",
    ),
    NotYet(
        "google_pubsub_subscription",
        r"Error 403: The caller does not have permission",
        "Pub/Sub's right to the table has not arrived",
        "https://github.com/hashicorp/terraform-provider-google/issues/17397 and 19085",
    ),
    NotYet(
        "google_monitoring_",
        r"Cannot find metric\(s\) that match|The metric referenced by the provided filter is unknown",
        "a metric cannot be watched until up to ten minutes after it is made",
        "https://github.com/GoogleCloudPlatform/cloud-foundation-fabric/pull/3739",
    ),
    NotYet(
        "google_",
        r"SERVICE_DISABLED|has not been used in project \S+ before or it is disabled",
        "an API that was just enabled is not on everywhere",
        "https://cloud.google.com/service-usage/docs/enable-disable",
    ),
    NotYet(
        "google_",
        r"Error 400: Service account \S+ does not exist",
        "an identity that was just made is not known everywhere",
        "https://cloud.google.com/iam/docs/service-accounts-create",
    ),
)


def reasons(said: str) -> list[str]:
    """Why each error that `terraform apply` said goes away by itself, each reason once. Empty when one of them does not."""
    errors = re.split(r"^(?:│ )?Error: ", said, flags=re.MULTILINE)[1:]
    found = [
        next((one.why for one in NOT_YET if _of(one.kind, error) and re.search(one.said, error)), None)
        for error in errors
    ]
    return list(dict.fromkeys(why for why in found if why)) if all(found) else []


def _of(kind: str, error: str) -> bool:
    return re.search(rf"\bwith (?:module\.[^\n]*\.)?{kind}", error) is not None


def beyond(agreed: Mapping[str, Any], rest: Mapping[str, Any]) -> list[str]:
    """Addresses at which `rest`, a plan after an apply that broke off, would do what `agreed` would not. What was half
    made is finished or made anew."""
    allowed = {one["address"]: one["change"]["actions"] for one in agreed.get("resource_changes", ())}
    return [
        one["address"]
        for one in rest.get("resource_changes", ())
        if one["change"]["actions"] not in (["no-op"], ["read"])
        and one["change"]["actions"] != (was := allowed.get(one["address"], []))
        and "create" not in was
    ]
