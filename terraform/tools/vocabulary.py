"""The words that filters may use. A filter with any other is taken by Google without a complaint, and matches nothing.

Of subscriptions: the attributes that our messages carry, with the values of the enums that they come from. Of objectives,
alerts and dashboards: the labels of our metrics, and those of Google's that we use.
"""

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from shared.backends.local.filters import named
from shared.contracts.messages import Words, attributes
from shared.domain.errors import Misconfigured


def of_subscription(text: str, known: Mapping[str, Words]) -> Iterator[str]:
    """A sentence for each word of a subscription's filter that no message has."""
    try:
        asked = named(text)
    except Misconfigured as error:
        yield str(error)
        return
    for attribute, value in asked:
        if attribute not in known:
            yield f"filters by {attribute}, which no message of its topic carries"
        elif value is not None and (words := known[attribute]) is not None and value not in words:
            yield f'filters for {attribute} = "{value}", which no message has'


def of_topology(topology: Mapping[str, Any]) -> list[str]:
    """A sentence for each word of the topology's filters that no message has."""
    return [
        f"{name}: {sentence}"
        for name, function in topology["functions"].items()
        for text in (function.get("filter"), *function.get("beside", {}).values())
        if text
        for sentence in of_subscription(text, attributes(function["topic"]))
    ] + [
        f"warehouse: {sentence}"
        for topic, text in topology["unstored"].items()
        for sentence in of_subscription(text, attributes(topic))
    ]


@dataclass(frozen=True)
class Metric:
    """resource: the kind of thing that it is measured on. labels: with what each may say."""

    resource: str
    labels: Mapping[str, Words]


_CLASSES = [f"{hundred}xx" for hundred in range(1, 6)]
_ANSWERED: Mapping[str, Words] = {"response_code": None, "response_code_class": _CLASSES, "route": None}

# cloud.google.com/monitoring/api/metrics_gcp, of the metrics that we use.
GOOGLE = {
    "run.googleapis.com/request_count": Metric("cloud_run_revision", _ANSWERED),
    "run.googleapis.com/request_latencies": Metric("cloud_run_revision", _ANSWERED),
    "run.googleapis.com/container/instance_count": Metric("cloud_run_revision", {"state": ["active", "idle"]}),
    "pubsub.googleapis.com/subscription/num_undelivered_messages": Metric("pubsub_subscription", {}),
    "pubsub.googleapis.com/subscription/oldest_unacked_message_age": Metric("pubsub_subscription", {}),
    "logging.googleapis.com/log_entry_count": Metric(
        "cloud_scheduler_job",
        {"log": None, "severity": ["DEFAULT", "DEBUG", "INFO", "NOTICE", "WARNING", "ERROR", "CRITICAL", "ALERT"]},
    ),
}
# cloud.google.com/monitoring/api/resources
RESOURCES = {
    "cloud_run_revision": {"project_id", "service_name", "revision_name", "location", "configuration_name"},
    "pubsub_subscription": {"project_id", "subscription_id"},
    "cloud_scheduler_job": {"project_id", "location", "job_id"},
}

_TYPE = re.compile(r'\bmetric\.type\s*=\s*"([^"]+)"')
_RESOURCE = re.compile(r'\bresource\.type\s*=\s*"([^"]+)"')
_LABEL = re.compile(r"\b(metric|resource)\.labels?\.(\w+)")
_EQUAL = re.compile(r'\bmetric\.labels?\.(\w+)\s*=\s*(?:"([^"]*)"|one_of\(([^)]*)\))')


def of_metric(text: str, by: Collection[str], ours: Mapping[str, Metric]) -> Iterator[str]:
    """A sentence for each word that is no metric's, in Monitoring's filter `text` and in what it groups `by`."""
    for name in _TYPE.findall(text):
        metric = (GOOGLE | {f"logging.googleapis.com/user/{own}": one for own, one in ours.items()}).get(name)
        if metric is None:
            yield f"watches {name}, which nothing counts"
            continue
        for resource in _RESOURCE.findall(text):
            if resource != metric.resource:
                yield f"looks for {name} on {resource}, and it is measured on {metric.resource}"
        known = {"metric": metric.labels, "resource": dict.fromkeys(RESOURCES[metric.resource])}
        for part, label in _LABEL.findall(" ".join((text, *by))):
            if label not in known[part]:
                yield f"looks at {part}.labels.{label}, which {name} does not have"
        for label, value, values in _EQUAL.findall(text):
            words = metric.labels.get(label)
            for one in [value] if value else re.findall(r'"([^"]*)"', values):
                if words is not None and one not in words:
                    yield f'looks for {label} = "{one}", which {name} never says'
