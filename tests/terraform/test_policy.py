"""The policy holds of our plans, and each of its rules finds what it is there to find."""

import copy
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from terraform.tools import policy

Plan = dict[str, Any]


def resources(module: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        *module.get("resources", []),
        *(one for child in module.get("child_modules", []) for one in resources(child)),
    ]


def the(plan: Plan, address: str) -> dict[str, Any]:
    """Values of the resource at `address`, to be spoiled."""
    [found] = [one for one in resources(plan["planned_values"]["root_module"]) if one["address"] == address]
    values: dict[str, Any] = found["values"]
    return values


def ratio(plan: Plan) -> dict[str, Any]:
    """Stripe's objective of availability, to be spoiled."""
    objective = the(plan, 'google_monitoring_slo.objective["webhook_availability_stripe"]')
    found: dict[str, Any] = objective["request_based_sli"][0]["good_total_ratio"][0]
    return found


def condition(plan: Plan, alert: str) -> dict[str, Any]:
    """What that alert waits for, to be spoiled."""
    policy_of = the(plan, f'google_monitoring_alert_policy.alert["{alert}"]')
    found: dict[str, Any] = policy_of["conditions"][0]["condition_threshold"][0]
    return found


@pytest.mark.parametrize("env", ["dev", "prod"])
def test_our_plans_are_sound(env: str, planned: Callable[[str], Plan]) -> None:
    assert policy.judge(planned(env), prod=env == "prod") == []


def test_nothing_is_not_sound() -> None:
    assert policy.judge({}, prod=False) == ["there is nothing in it"]


SCORE = 'module.function["score_payment"].google_cloudfunctions2_function.this'
WEBHOOK = 'module.webhook["stripe"].google_cloudfunctions2_function.this'
Spoil = Callable[[Plan], object]
SPOILED: dict[str, Spoil] = {
    "through which API": lambda p: resources(p["planned_values"]["root_module"])[0].update(
        type="google_alloydb_cluster"
    ),
    "is not enabled": lambda p: the(p, 'google_project_service.used["compute.googleapis.com"]').update(service="x"),
    "THREADS differs": lambda p: the(p, SCORE)["service_config"][0].update(max_instance_request_concurrency=7),
    "LOG_EXECUTION_ID unset": lambda p: the(p, SCORE)["service_config"][0]["environment_variables"].pop(
        "LOG_EXECUTION_ID"
    ),
    "runtime is not": lambda p: the(p, SCORE)["build_config"][0].update(runtime="python310"),
    "has no hash": lambda p: the(p, SCORE)["build_config"][0]["source"][0]["storage_source"][0].update(object="a.zip"),
    "no service account of its own": lambda p: the(
        p, 'module.function["score_payment"].google_service_account.runtime'
    ).update(account_id="shared"),
    "an event trigger": lambda p: the(p, SCORE).update(event_trigger=[{"event_type": "x"}]),
    "is not pinned": lambda p: the(p, WEBHOOK)["service_config"][0].update(
        secret_environment_variables=[{"key": "WEBHOOK_STRIPE", "secret": "webhook-stripe", "version": "latest"}]
    ),
    "no warm instance": lambda p: the(p, WEBHOOK)["service_config"][0].update(min_instance_count=0),
    "loses its messages": lambda p: the(p, 'google_pubsub_subscription.dead_letter["score-payment"]').update(
        name="elsewhere"
    ),
    "keep its messages for 7 days": lambda p: the(p, 'google_pubsub_topic.topic["payment-events/stripe"]').update(
        message_retention_duration="86400s"
    ),
    "keep its messages for 1 days": lambda p: the(p, 'google_pubsub_topic.topic["deliveries"]').update(
        message_retention_duration=None
    ),
    "keep its messages for 31 days": lambda p: the(p, 'google_pubsub_topic.dead_letter["score-payment"]').update(
        message_retention_duration="604800s"
    ),
    "after 31 idle days": lambda p: the(p, 'google_pubsub_subscription.push["score-payment-stripe"]').update(
        expiration_policy=[]
    ),
    "256 bytes": lambda p: the(p, 'google_pubsub_subscription.push["score-payment-stripe"]').update(filter="x" * 257),
    "hold up all": lambda p: the(p, 'google_pubsub_subscription.push["score-payment-stripe"]').update(
        enable_message_ordering=True
    ),
    "has no dead letter": lambda p: the(p, 'google_pubsub_subscription.warehouse["deliveries"]').update(
        dead_letter_policy=[]
    ),
    "comes back at once": lambda p: the(p, 'google_pubsub_subscription.push["score-payment-stripe"]').update(
        retry_policy=[]
    ),
    "5 to 100": lambda p: the(p, 'google_pubsub_subscription.push["score-payment-stripe"]')["dead_letter_policy"][
        0
    ].update(max_delivery_attempts=3),
    "without proof": lambda p: the(p, 'google_pubsub_subscription.push["score-payment-stripe"]')["push_config"][
        0
    ].update(oidc_token=[]),
    "while its function still works": lambda p: the(
        p, 'google_pubsub_subscription.push["score-payment-stripe"]'
    ).update(ack_deadline_seconds=30),
    "among the roles granted project-wide": lambda p: the(p, "google_project_iam_member.build").update(
        role="roles/editor"
    ),
    "not held to our database": lambda p: the(p, 'google_project_iam_member.documents["score_payment"]').update(
        condition=[]
    ),
    "among the roles granted": lambda p: the(p, 'google_storage_bucket_iam_member.models_read["score_payment"]').update(
        role="roles/storage.admin"
    ),
    "only webhooks answer strangers": lambda p: the(
        p, 'module.function["score_payment"].google_cloud_run_service_iam_member.invoker["push"]'
    ).update(member="allUsers"),
    "roles/owner is not among the roles of CI's deployer": lambda p: the(
        p, 'module.ci[0].google_project_iam_member.deployer["roles/run.admin"]'
    ).update(role="roles/owner"),
    "roles/resourcemanager.projectIamAdmin is not among the roles of CI's planner": lambda p: the(
        p, 'module.ci[0].google_project_iam_member.planner["roles/run.viewer"]'
    ).update(role="roles/resourcemanager.projectIamAdmin"),
    "roles/secretmanager.admin is not among the roles of CI's planner": lambda p: the(
        p, 'module.ci[0].google_project_iam_member.planner["roles/secretmanager.viewer"]'
    ).update(role="roles/secretmanager.admin"),
    'filters for step = "refund_fail", which no message has': lambda p: the(
        p, 'google_pubsub_subscription.push["track-dispute-refunds-stripe"]'
    ).update(filter='attributes.step = "refunded" OR attributes.step = "refund_fail"'),
    "filters by kinds, which no message": lambda p: the(
        p, 'google_pubsub_subscription.push["record-payment-stripe"]'
    ).update(filter='attributes.kinds = "payment"'),
    'filters for job = "train"': lambda p: the(p, 'google_pubsub_subscription.push["train-model"]').update(
        filter='attributes.job = "train"'
    ),
    "not a subscription filter": lambda p: the(p, 'google_pubsub_subscription.push["record-payment-stripe"]').update(
        filter='attributes.kind == "payment"'
    ),
    "metric.labels.response_class, which run.googleapis.com/request_count does not have": lambda p: ratio(p).update(
        bad_service_filter=ratio(p)["bad_service_filter"].replace("response_code_class", "response_class")
    ),
    'response_code_class = "5XX", which': lambda p: ratio(p).update(
        bad_service_filter=ratio(p)["bad_service_filter"].replace("5xx", "5XX")
    ),
    "resource.labels.service, which": lambda p: ratio(p).update(
        bad_service_filter=ratio(p)["bad_service_filter"].replace("service_name", "service")
    ),
    "run.googleapis.com/requests, which nothing counts": lambda p: ratio(p).update(
        total_service_filter=ratio(p)["total_service_filter"].replace("request_count", "requests")
    ),
    "watches the service webhook-strpe": lambda p: ratio(p).update(
        total_service_filter=ratio(p)["total_service_filter"].replace("webhook-stripe", "webhook-strpe")
    ),
    'event = "deadlines_missed", which': lambda p: condition(p, "clocks_disagree").update(
        filter=condition(p, "clocks_disagree")["filter"].replace("clocks_disagree", "deadlines_missed")
    ),
    "metric.labels.vendor, which": lambda p: condition(p, "forgeries")["aggregations"][0].update(
        group_by_fields=["metric.label.vendor"]
    ),
    "on cloud_run_job, and it is measured on cloud_run_revision": lambda p: condition(p, "forgeries").update(
        filter=condition(p, "forgeries")["filter"].replace("cloud_run_revision", "cloud_run_job")
    ),
    "metric.labels.outcom, which": lambda p: the(p, 'google_monitoring_dashboard.board["fraud"]').update(
        dashboard_json=the(p, 'google_monitoring_dashboard.board["fraud"]')["dashboard_json"].replace(
            "metric.label.outcome", "metric.label.outcom"
        )
    ),
    "whoever signs in": lambda p: the(p, "module.ci[0].google_iam_workload_identity_pool_provider.repository").update(
        attribute_condition="true"
    ),
    "the secret is in the state": lambda p: the(
        p, 'google_secret_manager_secret_version.provider["WEBHOOK_STRIPE/1"]'
    ).update(secret_data="x"),
    "one deployment reads a secret": lambda p: the(p, 'module.webhook["adyen"].google_cloudfunctions2_function.this')[
        "service_config"
    ][0].update(secret_environment_variables=the(p, WEBHOOK)["service_config"][0]["secret_environment_variables"]),
    "rules of their own": lambda p: the(p, "google_storage_bucket.source").update(uniform_bucket_level_access=False),
    "made public": lambda p: the(p, "google_storage_bucket.source").update(public_access_prevention="inherited"),
    "could be deleted with it": lambda p: the(p, "google_storage_bucket.models").update(force_destroy=True),
    "overwritten model": lambda p: the(p, "google_storage_bucket.models").update(versioning=[]),
    "while decisions refer": lambda p: the(p, "google_storage_bucket.models").update(retention_policy=[]),
    "is read whole": lambda p: the(p, 'google_bigquery_table.table["deliveries"]').update(clustering=None),
    "pay for all": lambda p: the(p, 'google_bigquery_table.table["deliveries"]').update(require_partition_filter=False),
    "rows could be deleted": lambda p: the(p, 'google_bigquery_table.table["deliveries"]').update(
        deletion_protection=False
    ),
    "native mode": lambda p: the(p, "google_firestore_database.documents").update(type="DATASTORE_MODE"),
    "documents could be deleted": lambda p: the(p, "google_firestore_database.documents").update(
        delete_protection_state=None
    ),
    "a minute ago": lambda p: the(p, "google_firestore_database.documents").update(
        point_in_time_recovery_enablement=None
    ),
    "which nothing counts": lambda p: the(p, 'google_logging_metric.ours["payin_alarms"]').update(name="renamed"),
    "its documentation lacks": lambda p: the(p, 'google_monitoring_alert_policy.alert["dead_letters"]')[
        "documentation"
    ][0].update(content="?"),
}


def test_ci_has_every_role_that_the_policy_lets_it_have(planned: Callable[[str], Plan]) -> None:
    granted: dict[str, set[str]] = {}
    for one in resources(planned("prod")["planned_values"]["root_module"]):
        if one["address"].startswith("module.ci[0].google_project_iam_member."):
            granted.setdefault(one["name"], set()).add(one["values"]["role"])
    assert granted == policy.CI_ROLES


@pytest.mark.parametrize("sentence", SPOILED)
def test_a_spoiled_plan_is_found(sentence: str, planned: Callable[[str], Plan]) -> None:
    plan = planned("prod")
    SPOILED[sentence](plan)
    assert any(sentence in finding for finding in policy.judge(plan, prod=True))


@pytest.mark.parametrize(
    ("kind", "sentence"),
    [
        ("google_project_iam_binding", "authoritative for everybody"),
        ("google_pubsub_topic_iam_policy", "authoritative for everybody"),
        ("google_service_account_key", "a key that can be copied"),
    ],
)
def test_a_resource_that_is_never_wanted_is_found(kind: str, sentence: str, planned: Callable[[str], Plan]) -> None:
    plan = copy.deepcopy(planned("dev"))
    plan["planned_values"]["root_module"]["resources"].append(
        {"address": f"{kind}.x", "mode": "managed", "type": kind, "name": "x", "values": {"role": "roles/viewer"}}
    )
    assert [one for one in policy.judge(plan, prod=False) if one.startswith(f"{kind}.x: {sentence}")]


def references(node: Any) -> Iterator[str]:
    """Everything that an expression of the configuration names, at any depth."""
    for name, inner in node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ():
        if name == "references":
            yield from inner
        else:
            yield from references(inner)


def test_nothing_is_made_before_its_api_is_enabled(planned: Callable[[str], Plan]) -> None:
    root = planned("prod")["configuration"]["root_module"]
    waits = {one["address"]: {*references(one["expressions"]), *one.get("depends_on", ())} for one in root["resources"]}
    # Not all of a module hangs on what it is given, so it must say so itself.
    waits |= {f"module.{name}": set(call.get("depends_on", ())) for name, call in root["module_calls"].items()}
    waits["local.deployed"] = {"module.function"}
    after = {"google_project_service.used"}
    while more := {
        name
        for name, said in waits.items()
        if name not in after
        and any(one == known or one.startswith((f"{known}.", f"{known}[")) for one in said for known in after)
    }:
        after |= more
    assert set(waits) - after == set()
