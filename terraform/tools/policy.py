"""What must hold of any plan or state, whoever wrote the configuration. `python terraform/tools/policy.py PLAN.json [prod]`.

Reads `terraform show -json`. In a plan some values are not known yet; a rule about such a value is judged on a state.
Each rule has its reason beside it; a finding is one line, `address: sentence`.
"""

import json
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from shared.contracts.messages import TOPICS, Words, attributes  # noqa: E402 - after the path that finds it
from terraform.tools import vocabulary  # noqa: E402

# Project-wide, because the service has no narrower place to grant it.
PROJECT_ROLES = {
    "roles/logging.logWriter": "the build's log",
    "roles/datastore.user": "Firestore has no policy of its own; held to one database by a condition",
    "roles/datastore.viewer": "as above",
    "roles/bigquery.jobUser": "a query is run, and paid for, by a project",
    "roles/logging.viewer": "the console shows what was refused, of which only the log knows",
    "roles/pubsub.viewer": "the console shows whether a parked provider's subscriptions are pushed all the same",
    "roles/aiplatform.user": "a custom job is a project's; the function that trains starts one and sees them",
    "roles/telemetry.tracesWriter": "spans are a project's; it adds to them and reads none",
}
CONDITIONED = {"roles/datastore.user", "roles/datastore.viewer"}

# The one grant on objects that is project-wide: Google's copies of bundles lie in a bucket that Google makes, so the
# build's identity is held to it by name (hashicorp/terraform-provider-google #20571). Nothing wider passes.
GOOGLE_COPIES = r"projects/_/buckets/gcf-v2-sources-\d+-[a-z]+-[a-z]+\d+"
BUILD_READS = re.compile(
    rf'resource\.name == "({GOOGLE_COPIES})" \|\| resource\.name\.startsWith\("({GOOGLE_COPIES})/objects/"\)'
)
# CI's own, project-wide too: whoever wants another one says it here as well, where somebody reads it.
CI_ROLES = {
    # Plans, from any branch: everybody who may push one has these. None of them changes anything or reads a secret.
    "planner": {
        "roles/artifactregistry.reader",
        "roles/bigquery.metadataViewer",
        "roles/cloudfunctions.viewer",
        "roles/cloudscheduler.viewer",
        "roles/compute.viewer",
        "roles/datastore.viewer",
        "roles/iam.securityReviewer",
        "roles/iam.workloadIdentityPoolViewer",
        "roles/logging.viewer",
        "roles/monitoring.viewer",
        "roles/pubsub.viewer",
        "roles/run.viewer",
        "roles/secretmanager.viewer",
        "roles/serviceusage.serviceUsageConsumer",
        "roles/storage.bucketViewer",
    },
    # Applies, from the protected ref alone.
    "deployer": {
        "roles/artifactregistry.admin",
        "roles/bigquery.admin",
        "roles/cloudfunctions.admin",
        "roles/cloudscheduler.admin",
        "roles/compute.loadBalancerAdmin",
        "roles/compute.securityAdmin",
        "roles/datastore.owner",
        "roles/iam.serviceAccountAdmin",
        "roles/iam.serviceAccountUser",
        "roles/iam.workloadIdentityPoolViewer",
        "roles/logging.configWriter",
        "roles/monitoring.editor",
        "roles/pubsub.admin",
        "roles/resourcemanager.projectIamAdmin",
        "roles/run.admin",
        "roles/secretmanager.admin",
        "roles/serviceusage.serviceUsageAdmin",
        "roles/storage.admin",
    },
}

# On one resource each. What is not listed is refused until somebody lists it.
RESOURCE_ROLES = {
    "google_pubsub_topic_iam_member": {"roles/pubsub.publisher"},
    "google_pubsub_subscription_iam_member": {"roles/pubsub.subscriber"},
    "google_storage_bucket_iam_member": {
        "roles/storage.objectViewer",
        "roles/storage.objectCreator",
        "roles/storage.objectUser",
    },
    "google_secret_manager_secret_iam_member": {"roles/secretmanager.secretAccessor"},
    "google_bigquery_dataset_iam_member": {"roles/bigquery.dataViewer", "roles/bigquery.dataEditor"},
    "google_bigquery_table_iam_member": {"roles/bigquery.dataEditor"},
    "google_cloud_run_service_iam_member": {"roles/run.invoker", "roles/run.viewer"},
    "google_iap_web_cloud_run_service_iam_member": {"roles/iap.httpsResourceAccessor"},
    "google_artifact_registry_repository_iam_member": {"roles/artifactregistry.writer"},
    "google_service_account_iam_member": {"roles/iam.workloadIdentityUser", "roles/iam.serviceAccountUser"},
    "google_kms_crypto_key_iam_member": {"roles/cloudkms.cryptoKeyEncrypterDecrypter"},
}
# The API that a kind of resource is made through. A kind that is not listed is refused until somebody lists it.
APIS = {
    "google_artifact_registry_": "artifactregistry.googleapis.com",
    "google_bigquery_": "bigquery.googleapis.com",
    "google_billing_budget": "billingbudgets.googleapis.com",
    "google_cloud_run_": "run.googleapis.com",
    "google_cloud_scheduler_": "cloudscheduler.googleapis.com",
    "google_cloudfunctions2_": "cloudfunctions.googleapis.com",
    "google_compute_": "compute.googleapis.com",
    "google_firestore_": "firestore.googleapis.com",
    "google_iam_": "iam.googleapis.com",
    "google_iap_": "iap.googleapis.com",
    "google_kms_": "cloudkms.googleapis.com",
    "google_logging_": "logging.googleapis.com",
    "google_monitoring_": "monitoring.googleapis.com",
    "google_project_iam_": "cloudresourcemanager.googleapis.com",
    "google_project_service": "serviceusage.googleapis.com",
    "google_pubsub_": "pubsub.googleapis.com",
    "google_secret_manager_": "secretmanager.googleapis.com",
    "google_service_account": "iam.googleapis.com",
    "google_storage_": "storage.googleapis.com",
}
EVERYBODY = {"allUsers", "allAuthenticatedUsers"}
# Reading what these keep leaves a record in prod; a function is exempt from it, a person is not.
AUDITED = {"datastore.googleapis.com", "secretmanager.googleapis.com", "storage.googleapis.com"}


@dataclass(frozen=True)
class Resource:
    address: str
    type: str
    values: Mapping[str, Any]

    def block(self, name: str) -> Mapping[str, Any]:
        """The only block of that name; empty if there is none."""
        blocks = self.values.get(name) or [{}]
        first: Mapping[str, Any] = blocks[0]
        return first

    @property
    def module(self) -> str:
        return self.address.rpartition(f"{self.type}.")[0]


@dataclass(frozen=True)
class World:
    """Managed resources, and whether they are to be as safe as production."""

    resources: tuple[Resource, ...]
    prod: bool
    findings: list[str] = field(default_factory=list)

    def of(self, kind: str) -> list[Resource]:
        return [resource for resource in self.resources if resource.type == kind]

    @property
    def region(self) -> str:
        """Where the documents are."""
        return next((str(one.values["location_id"]) for one in self.of("google_firestore_database")), "one region")

    def need(self, holds: object, resource: Resource, sentence: str) -> None:
        if not holds:
            self.findings.append(f"{resource.address}: {sentence}")


def world(shown: Mapping[str, Any], *, prod: bool) -> World:
    """From `terraform show -json` of a plan or of a state."""
    values = shown.get("planned_values") or shown.get("values") or {}
    found = tuple(
        Resource(one["address"], one["type"], one["values"])
        for one in _resources(values.get("root_module", {}))
        if one["mode"] == "managed"
    )
    return World(found, prod)


def _resources(module: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield from module.get("resources", ())
    for child in module.get("child_modules", ()):
        yield from _resources(child)


def apis(w: World) -> None:
    enabled = {service.values["service"] for service in w.of("google_project_service")}
    for resource in w.resources:
        api = next((api for kind, api in APIS.items() if resource.type.startswith(kind)), None)
        w.need(api, resource, "nobody has said through which API it is made")
        w.need(api is None or api in enabled, resource, f"{api} is not enabled, so it cannot be made")


def functions(w: World) -> None:
    identities = [
        own.values["account_id"]
        for own in w.of("google_service_account")
        if own.address.endswith("google_service_account.runtime")
    ]
    builds = any(_reads_copies(grant) for grant in w.of("google_project_iam_member"))
    for f in w.of("google_cloudfunctions2_function"):
        build, service = f.block("build_config"), f.block("service_config")
        w.need(builds, f, "its build cannot read Google's copy of the bundle")
        environment = service.get("environment_variables") or {}
        source = (build.get("source") or [{}])[0].get("storage_source", [{}])[0].get("object") or ""
        w.need(
            environment.get("THREADS") == str(service.get("max_instance_request_concurrency")),
            f,
            "THREADS differs from the concurrency, so requests queue inside the instance",
        )
        w.need(
            service.get("all_traffic_on_latest_revision") is False,
            f,
            "a deployment would move all of its requests at once, unseen by tools/traffic.py",
        )
        w.need(environment.get("LOG_EXECUTION_ID"), f, "LOG_EXECUTION_ID unset: every plan would want to change it")
        w.need(build.get("runtime") == "python313", f, "runtime is not python313")
        w.need(re.search(r"-[0-9a-f]{16}\.zip$", source), f, "the bundle's name has no hash: changes would not deploy")
        w.need(
            identities.count(f"fn-{f.values['name']}") == 1,
            f,
            "no service account of its own: it would run as the default one, which may edit the project",
        )
        w.need(
            not f.values.get("event_trigger"), f, "an event trigger makes a subscription without a dead letter of ours"
        )
        for secret in service.get("secret_environment_variables") or ():
            w.need(
                secret.get("version") != "latest",
                f,
                f"{secret.get('key')} is not pinned: instances would differ in their keys",
            )
        if w.prod and f.values["name"].startswith(("webhook-", "score-payment")):
            w.need(service.get("min_instance_count"), f, "no warm instance in prod, where a sender waits")


def subscriptions(w: World) -> None:
    names = {own.values["name"] for own in w.of("google_pubsub_subscription")}
    topology = _topology()
    sought = (*(f["topic"] for f in topology["functions"].values() if "topic" in f), *topology["pulled"])
    for topic in w.of("google_pubsub_topic"):
        given_up = topic.values["name"].startswith("dead-letter-")
        if given_up:
            w.need(
                topic.values["name"] in names, topic, "a dead-letter topic without a subscription loses its messages"
            )
        w.need(
            topic.block("message_storage_policy").get("allowed_persistence_regions") == [w.region],
            topic,
            f"its messages could be stored outside of {w.region}",
        )
        days = 31 if given_up else 7 if topic.values["name"].startswith(sought) else 1
        kept = int((topic.values.get("message_retention_duration") or "0s").removesuffix("s"))
        w.need(
            kept == days * 86_400, topic, f"does not keep its messages for {days} days, as the runbook and the bill say"
        )
    for s in w.of("google_pubsub_subscription"):
        w.need(s.block("expiration_policy").get("ttl") == "", s, "is deleted after 31 idle days")
        w.need(len(s.values.get("filter") or "") <= 256, s, "Pub/Sub takes filters of 256 bytes at most")
        for sentence in _unknown_words(w, s):
            w.need(False, s, sentence)
        w.need(not s.values.get("enable_message_ordering"), s, "ordering lets one bad message hold up all of its key")
        if s.values.get("push_config") or s.values.get("bigquery_config"):
            w.need(s.values.get("dead_letter_policy"), s, "has no dead letter, so a bad message is tried for ever")
            w.need(s.values.get("retry_policy"), s, "has no retry policy, so a failing message comes back at once")
            w.need(
                5 <= s.block("dead_letter_policy").get("max_delivery_attempts", 0) <= 100,
                s,
                "max_delivery_attempts is 5 to 100",
            )
        if s.values.get("push_config"):
            w.need(s.block("push_config").get("oidc_token"), s, "pushes without proof of who it is")
            timeouts = [
                f.block("service_config")["timeout_seconds"]
                for f in w.of("google_cloudfunctions2_function")
                if f"{s.values['name']}-".startswith(f"{f.values['name']}-")
            ]
            w.need(
                timeouts and s.values["ack_deadline_seconds"] > timeouts[0],
                s,
                "a message would be delivered again while its function still works on it",
            )


def _topology() -> dict[str, Any]:
    read: dict[str, Any] = json.loads((ROOT / "functions" / "topology.json").read_text())
    return read


def _unknown_words(w: World, s: Resource) -> Iterator[str]:
    """What the subscription's filter asks for that no message of its topic has."""
    if text := s.values.get("filter"):
        topology = _topology()
        # A plan does not know the topic's id yet, so a subscription is known by the function that it pushes to, or by its own
        # name where people pull it or the warehouse stores what it takes.
        pulled = s.values["name"] if s.values["name"] in topology["pulled"] else ""
        stored = next(
            (one for one in topology["warehouse"] if f"{s.values['name']}-".startswith(f"warehouse-{one}-")), ""
        )
        topic = (
            pulled
            or stored
            or next(
                (
                    # An endpoint's subscription is named by its topic, as well.
                    function.get("topic") or next((one for one in TOPICS if s.values["name"].endswith(f"-{one}")), "")
                    for name, function in topology["functions"].items()
                    if f"{s.values['name']}-".startswith(f"{name.replace('_', '-')}-")
                ),
                "",
            )
        )
        yield from vocabulary.of_subscription(text, attributes(topic))


def access(w: World) -> None:
    for resource in w.resources:
        w.need(
            not resource.type.endswith(("_iam_binding", "_iam_policy")),
            resource,
            "authoritative for everybody: it would remove grants that Google's own services need",
        )
        w.need(resource.type != "google_service_account_key", resource, "a key that can be copied; nothing needs one")
        if resource.type == "google_project_iam_member":
            role = resource.values["role"]
            if ci := re.match(r"module\.ci\[0\]\.google_project_iam_member\.(\w+)", resource.address):
                w.need(role in CI_ROLES.get(ci[1], ()), resource, f"{role} is not among the roles of CI's {ci[1]}")
                continue
            if role == "roles/storage.objectViewer":
                w.need(_reads_copies(resource), resource, "reads more than Google's copies of bundles")
                continue
            w.need(role in PROJECT_ROLES, resource, f"{role} is not among the roles granted project-wide")
            if role in CONDITIONED:
                w.need(resource.values.get("condition"), resource, f"{role} is not held to our database")
        elif resource.type.endswith("_iam_member"):
            role = resource.values["role"]
            w.need(role in RESOURCE_ROLES.get(resource.type, ()), resource, f"{role} is not among the roles granted")
        if resource.values.get("member") in EVERYBODY:
            w.need(
                resource.type == "google_cloud_run_service_iam_member"
                and resource.values["service"].startswith("webhook-"),
                resource,
                "only webhooks answer strangers",
            )
    audited = {
        config.values["service"]
        for config in w.of("google_project_iam_audit_config")
        if "DATA_READ" in {one["log_type"] for one in config.values.get("audit_log_config") or ()}
    }
    for config in w.of("google_project_service"):
        service = config.values["service"].replace("firestore", "datastore")
        if w.prod and service in AUDITED:
            w.need(service in audited, config, "whoever reads what it keeps leaves no record")
    for pool in w.of("google_iam_workload_identity_pool_provider"):
        condition = pool.values.get("attribute_condition") or ""
        w.need(
            re.search(r"repository_owner_id == '\d+'", condition),
            pool,
            "whoever signs in at the same issuer could ask: hold it to the owner's numeric id",
        )


def _reads_copies(grant: Resource) -> bool:
    held = BUILD_READS.fullmatch(grant.block("condition").get("expression") or "")
    return bool(held and held[1] == held[2] and grant.address == "google_project_iam_member.build_source")


# Ours rather than a provider's: every function that publishes what providers say gives the same names.
SHARED_SECRETS = frozenset({"payin-pseudonym-keys"})
# Who asks providers' APIs: one key is for reading objects back, for answering disputes, for listing what was told, for reading what
# is sent to us and for reading payouts.
ASKING = frozenset({"explain-payouts", "fetch-resource", "reconcile", "respond-dispute", "watch-providers"})


def secrets(w: World) -> None:
    for version in w.of("google_secret_manager_secret_version"):
        w.need(not version.values.get("secret_data"), version, "the secret is in the state: use secret_data_wo")
    readers: dict[str, set[str]] = {}
    for f in w.of("google_cloudfunctions2_function"):
        for secret in f.block("service_config").get("secret_environment_variables") or ():
            readers.setdefault(secret["secret"], set()).add(f.values["name"])
    for secret in w.of("google_secret_manager_secret"):
        who = readers.get(secret.values["secret_id"], set())
        ours = secret.values["secret_id"] in SHARED_SECRETS
        of_an_api = secret.values["secret_id"].startswith("api-") and who <= ASKING
        w.need(
            len(who) == 1 or ((ours or of_an_api) and who),
            secret,
            f"is read by {', '.join(sorted(who)) or 'nobody'}; one deployment reads a secret",
        )


def storage(w: World) -> None:
    for bucket in w.of("google_storage_bucket"):
        w.need(bucket.values.get("uniform_bucket_level_access"), bucket, "objects could have access rules of their own")
        w.need(bucket.values.get("public_access_prevention") == "enforced", bucket, "could be made public")
        if w.prod:
            w.need(not bucket.values.get("force_destroy"), bucket, "prod's objects could be deleted with it")
        if "model" in bucket.values["name"]:
            w.need(
                bucket.values.get("retention_policy"),
                bucket,
                "a model could be deleted or overwritten while decisions refer to it",
            )
            w.need(
                not bucket.block("versioning").get("enabled"),
                bucket,
                "retention and versioning together may be refused, and retention alone keeps every model",
            )
    for table in w.of("google_bigquery_table"):
        if table.values.get("view"):
            continue
        w.need(table.values.get("time_partitioning") and table.values.get("clustering"), table, "is read whole")
        w.need(table.values.get("require_partition_filter"), table, "a query may forget the partition and pay for all")
        if w.prod:
            w.need(table.values.get("deletion_protection"), table, "prod's rows could be deleted with it")
    for database in w.of("google_firestore_database"):
        w.need(database.values.get("type") == "FIRESTORE_NATIVE", database, "is not in native mode")
        if w.prod:
            w.need(
                database.values.get("delete_protection_state") == "DELETE_PROTECTION_ENABLED",
                database,
                "prod's documents could be deleted",
            )
            w.need(
                database.values.get("point_in_time_recovery_enablement") == "POINT_IN_TIME_RECOVERY_ENABLED",
                database,
                "prod's documents could not be put back to a minute ago",
            )
            w.need(w.of("google_firestore_backup_schedule"), database, "prod's documents are not backed up")


def watched(w: World) -> None:
    """Monitoring takes a filter on what does not exist, and then shows nothing, for ever."""
    ours = {one.values["name"]: _counted(one) for one in w.of("google_logging_metric")}
    services = {one.values["name"] for one in w.of("google_cloudfunctions2_function")}
    for resource in w.resources:
        if not resource.type.startswith("google_monitoring_"):
            continue
        for text, by in _filters(resource):
            for sentence in vocabulary.of_metric(text, by, ours):
                w.need(False, resource, sentence)
            for name in re.findall(r'resource\.labels?\.service_name\s*=\s*"([^"]+)"', text):
                w.need(name in services, resource, f"watches the service {name}, which is not deployed")


def _counted(metric: Resource) -> vocabulary.Metric:
    """Our metric on logs, with the events that it counts."""
    labels: dict[str, Words] = {one["key"]: None for one in metric.block("metric_descriptor").get("labels") or ()}
    if "event" in labels and (events := re.search(r"jsonPayload\.event=\(([^)]*)\)", metric.values["filter"])):
        labels["event"] = re.findall(r'"(\w+)"', events[1])
    return vocabulary.Metric("cloud_run_revision", labels)


def _filters(node: Any) -> Iterator[tuple[str, list[str]]]:
    """Every filter in the values of a resource, at any depth and in a dashboard's JSON, with what it is grouped by."""
    match node:
        case Resource():
            yield from _filters(dict(node.values))
        case dict():
            for name, inner in node.items():
                if name == "dashboard_json" and inner:
                    yield from _filters(json.loads(inner))
                elif name.endswith("filter") and isinstance(inner, str):
                    by = node.get("aggregations") or [node.get("aggregation") or {}]
                    yield (
                        inner,
                        [one for each in by for one in each.get("group_by_fields") or each.get("groupByFields") or ()],
                    )
                else:
                    yield from _filters(inner)
        case list():
            for inner in node:
                yield from _filters(inner)


def alerts(w: World) -> None:
    for policy in w.of("google_monitoring_alert_policy"):
        text = policy.block("documentation").get("content") or ""
        for heading in ("**What it means.**", "**First.**", "**Back.**"):
            # A plan does not know the text while it holds an id that Google will give.
            w.need(heading in text or not text, policy, f"its documentation lacks {heading}")
        w.need(not re.search(r"\{(project|region|env)\}", text), policy, "its documentation has an unfilled place")
        if w.prod:
            w.need(policy.values.get("notification_channels") != [], policy, "nobody is told")


RULES: tuple[Callable[[World], None], ...] = (
    apis,
    functions,
    subscriptions,
    access,
    secrets,
    storage,
    watched,
    alerts,
)


def judge(shown: Mapping[str, Any], *, prod: bool, rules: Iterable[Callable[[World], None]] = RULES) -> list[str]:
    """Findings over `terraform show -json` of a plan or a state; none is good."""
    w = world(shown, prod=prod)
    if not w.resources:
        return ["there is nothing in it"]
    for rule in rules:
        rule(w)
    return w.findings


def main(arguments: list[str]) -> int:
    shown = json.loads(Path(arguments[0]).read_text())
    findings = judge(shown, prod="prod" in arguments[1:])
    print("\n".join(findings) or "no findings")
    return bool(findings)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
