"""`make doctor ENV=…`: what would stop a deployment, or mislead it, asked of the project before anything is applied.

Each finding is one sentence that says what to do. Exit 1 when there is any, and also when something could not be asked.
`make doctor ENV=… DATABASE=payin-drill` instead holds a database that was restored to the one that runs.
"""

import argparse
import json
import math
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from shared.flows.champions import SCHEMAS  # noqa: E402 - after the path that finds it
from shared.fraud.features import SCHEMA_VERSION  # noqa: E402
from terraform.tools.google import Google, Unanswered, credentials  # noqa: E402 - after the path that finds it

# Terraform makes that many things at a time, and a function that is being replaced has an instance of each revision.
AT_A_TIME = 10
NEW_PROJECT = 20
DEPLOYING = (
    "cloudfunctions.functions.create",
    "iam.serviceAccounts.actAs",
    "monitoring.timeSeries.list",
    "pubsub.topics.create",
    "resourcemanager.projects.setIamPolicy",
    "run.services.update",
    "serviceusage.services.enable",
)


@dataclass(frozen=True)
class Environment:
    """What an environment's files say of its project. instances: deployment to (most, always running, CPUs, GiB)."""

    env: str
    project: str
    project_number: str
    region: str
    cpu_quota: int
    webhook_access: str
    edge: bool
    scoring_model: str
    database: str
    collections: tuple[str, ...]
    state: str
    billing_account: str | None
    instances: Mapping[str, tuple[int, int, float, float]]


def read(env: str, root: Path = ROOT) -> Environment:
    folder = root / "terraform"
    text = (folder / "envs" / f"{env}.tfvars").read_text()
    backend = (folder / "envs" / f"{env}.gcs.tfbackend").read_text()
    budget = folder / "budget" / f"{env}.tfvars"
    topology = json.loads((root / "functions" / "topology.json").read_text())
    head, _, providers = text.partition("payment_providers")

    def said(name: str, default: str | None = None, of: str = head) -> str:
        found = re.search(rf'^{name}\s*=\s*"?([^"\s#]+)', of, re.MULTILINE)
        if not found and default is None:
            raise Unanswered(f"{name} is not set in terraform/envs/{env}.tfvars")
        return found[1] if found else default or ""

    instances = {}
    for name, f in topology["functions"].items():
        each = (f["max_instances"], f.get("min_instances_prod", 0), float(f["cpu"]), _gib(f["memory"]))
        if not f.get("public"):
            instances[name.replace("_", "-")] = each
            continue
        for provider, rest in re.findall(r"^  (\w+)\s*= \{(.*)\}", providers, re.MULTILINE):
            own = re.search(r"max_instances\s*=\s*(\d+)", rest)
            instances[f"webhook-{provider}"] = (int(own[1]) if own else each[0], *each[1:])
    return Environment(
        env=env,
        project=said("project"),
        project_number=said("project_number"),
        region=said("region", "europe-west1"),
        cpu_quota=int(said("cpu_quota", str(NEW_PROJECT))),
        webhook_access=said("webhook_access", "grant"),
        edge=bool(re.search(r"^edge\s*=\s*\{", head, re.MULTILINE)),
        scoring_model=said("scoring_model", "champion"),
        database=said("firestore_database", "payin"),
        collections=tuple(topology["collections"]),
        state=said("bucket", of=backend),
        billing_account=said("billing_account", of=budget.read_text()) if budget.exists() else None,
        instances=instances,
    )


def _gib(memory: str) -> float:
    return float(memory[:-2]) / (1 if memory.endswith("Gi") else 1024)


Check = Callable[[Environment, Google], Iterator[str]]


def project(of: Environment, google: Google) -> Iterator[str]:
    """https://cloud.google.com/resource-manager/reference/rest/v1/projects"""
    url = f"https://cloudresourcemanager.googleapis.com/v1/projects/{of.project}"
    answer = google.ask("GET", url)
    if answer.status != 200:
        yield f"project {of.project} cannot be read ({answer.message}): make it, or correct project in terraform/envs/{of.env}.tfvars"
        return
    if (number := answer.document.get("projectNumber")) != of.project_number:
        yield f"{of.project} has the number {number}: write that as project_number into terraform/envs/{of.env}.tfvars"
    allowed = google.ask("POST", f"{url}:testIamPermissions", {"permissions": list(DEPLOYING)})
    if lacking := sorted({*DEPLOYING} - set(allowed.document.get("permissions", ()))):
        yield f"you may not {', '.join(lacking)} in {of.project}: have roles/owner granted, or the roles that modules/ci lists"


def billing(of: Environment, google: Google) -> Iterator[str]:
    """https://cloud.google.com/billing/docs/reference/rest/v1/projects/getBillingInfo and billingAccounts/testIamPermissions"""
    api = "https://cloudbilling.googleapis.com/v1"
    answer = google.ask("GET", f"{api}/projects/{of.project}/billingInfo")
    if not answer.document.get("billingEnabled"):
        yield f"{of.project} has no billing, without which Cloud Run and Firestore refuse: gcloud billing projects link {of.project} --billing-account=<id>"
    if of.billing_account:
        account = f"{api}/billingAccounts/{of.billing_account}"
        asked = {"permissions": ["billing.budgets.create"]}
        if not google.ask("POST", f"{account}:testIamPermissions", asked).document.get("permissions"):
            yield f"you may not make a budget on {of.billing_account}: have roles/billing.costsManager granted there, or leave make budget to somebody who has it"


def state(of: Environment, google: Google) -> Iterator[str]:
    """https://cloud.google.com/storage/docs/json_api/v1/buckets/get"""
    answer = google.ask("GET", f"https://storage.googleapis.com/storage/v1/b/{of.state}")
    if answer.status == 404:
        yield f"the state's bucket does not exist: gcloud storage buckets create gs://{of.state} --project={of.project} --location={of.region} --uniform-bucket-level-access --public-access-prevention"
    elif answer.status != 200:
        yield f"the state's bucket gs://{of.state} cannot be read ({answer.message}): names are the world's, so it may be another's; choose one in terraform/envs/{of.env}.gcs.tfbackend"
    else:
        if not answer.document.get("versioning", {}).get("enabled"):
            yield f"the state could not be put back after an accident: gcloud storage buckets update gs://{of.state} --versioning"
        if answer.document.get("iamConfiguration", {}).get("publicAccessPrevention") != "enforced":
            yield f"the state could be made public: gcloud storage buckets update gs://{of.state} --public-access-prevention"


def organisation(of: Environment, google: Google) -> Iterator[str]:
    """https://cloud.google.com/resource-manager/docs/reference/orgpolicy/rest/v2/projects.policies/getEffectivePolicy"""
    ask = (
        "have the organisation's policy administrator except this project, or set webhook_access"
        f' = "unchecked" in terraform/envs/{of.env}.tfvars'
    )
    granted = of.webhook_access == "grant"
    if granted and _list(of, google, "iam.allowedPolicyMemberDomains") is not None:
        yield f"the organisation's iam.allowedPolicyMemberDomains refuses allUsers, so no provider would reach a webhook: {ask}"
    if granted and _enforced(of, google, "iam.managed.allowedPolicyMembers"):
        yield f"the organisation's iam.managed.allowedPolicyMembers refuses allUsers, so no provider would reach a webhook: {ask}"
    if not granted and _enforced(of, google, "run.managed.requireInvokerIam"):
        yield 'the organisation\'s run.managed.requireInvokerIam refuses webhook_access = "unchecked": have this project excepted from it'
    wanted = {"internal", "internal-and-cloud-load-balancing" if of.edge else "all"}
    ingress = _list(of, google, "run.allowedIngress")
    if ingress is not None and (closed := sorted(wanted - ingress)) and "all" not in ingress:
        yield f"the organisation's run.allowedIngress does not allow {', '.join(closed)}: have it allowed for this project, or set edge to put a load balancer before the webhooks"
    places = _list(of, google, "gcp.resourceLocations")
    if places is not None and of.region not in places and not any(_holds(place, of.region) for place in places):
        yield f"the organisation's gcp.resourceLocations does not name {of.region}: set region to one of {', '.join(sorted(places))}, or have it added"


def _holds(place: str, region: str) -> bool:
    """Whether a group of locations, `in:eu-locations` or `in:europe-west1-locations`, can be taken to hold `region`."""
    group = place.removeprefix("in:").removesuffix("-locations")
    return (
        group == region
        or (group in ("eu", "europe") and region.startswith("europe-"))
        or region.startswith(f"{group}-")
    )


def _rules(of: Environment, google: Google, constraint: str) -> list[Mapping[str, Any]]:
    url = f"https://orgpolicy.googleapis.com/v2/projects/{of.project}/policies/{constraint}:getEffectivePolicy"
    answer = google.ask("GET", url)
    if answer.status == 404:
        return []
    if answer.status != 200:
        raise Unanswered(
            f"{constraint} cannot be read ({answer.message}): have roles/orgpolicy.policyViewer granted, or ask whoever has it"
        )
    rules: list[Mapping[str, Any]] = answer.document.get("spec", {}).get("rules", [])
    return rules


def _list(of: Environment, google: Google, constraint: str) -> set[str] | None:
    """Values that a list allows; None when it allows all."""
    rules = _rules(of, google, constraint)
    if not rules or any(rule.get("allowAll") for rule in rules):
        return None
    if not any("allowedValues" in rule.get("values", {}) or rule.get("denyAll") for rule in rules):
        return None
    return {value for rule in rules for value in rule.get("values", {}).get("allowedValues", ())}


def _enforced(of: Environment, google: Google, constraint: str) -> bool:
    return any(rule.get("enforce") for rule in _rules(of, google, constraint))


def quotas(of: Environment, google: Google) -> Iterator[str]:
    """Cloud Run refuses a service whose instances could use more than the region's quota:
    https://cloud.google.com/run/docs/configuring/max-instances-limits, and the numbers by
    https://cloud.google.com/docs/quotas/reference/rest/v1/projects.locations.services.quotaInfos/get"""
    cpus = _quota(of, google, "CpuAllocPerProjectRegion") / 1000
    gib = _quota(of, google, "MemAllocPerProjectRegion") / 2**30
    if cpus < of.cpu_quota:
        yield f"{of.region} gives this project {cpus:g} CPUs: set cpu_quota = {cpus:.0f} in terraform/envs/{of.env}.tfvars, or ask for {of.cpu_quota} at https://console.cloud.google.com/iam-admin/quotas?project={of.project}"
    for name, (most, _, cpu, memory) in of.instances.items():
        held = min(most, math.floor(of.cpu_quota / cpu))
        if held * memory > gib:
            yield f"{name} could use {held * memory:g} GiB of {gib:g} in {of.region}: ask for as much, or lower its max_instances"
    if of.env != "prod":
        return
    warm = sum(always * cpu for _, always, cpu, _ in of.instances.values())
    if warm + AT_A_TIME > cpus:
        yield f"{warm:g} CPUs are always in use and a deployment starts {AT_A_TIME} more, of {cpus:g}: ask for {2 * (warm + AT_A_TIME):g} or more, or set min_instances = 0 for the quiet providers"
    if short := [name for name, (most, _, cpu, _) in of.instances.items() if most * cpu > of.cpu_quota]:
        yield f"cpu_quota = {of.cpu_quota} holds {', '.join(sorted(short))} below what the peak needs: ask for 250 CPUs, then raise it"


def _quota(of: Environment, google: Google, name: str) -> float:
    url = f"https://cloudquotas.googleapis.com/v1/projects/{of.project}/locations/global/services/run.googleapis.com/quotaInfos/{name}"
    answer = google.ask("GET", url)
    for one in answer.document.get("dimensionsInfos", ()):
        if of.region in one.get("applicableLocations", ()) or one.get("dimensions", {}).get("region") == of.region:
            value = float(one.get("details", {}).get("value", 0))
            return math.inf if value < 0 else value
    raise Unanswered(
        f"the quota {name} of {of.region} cannot be read ({answer.message}): look at https://console.cloud.google.com/iam-admin/quotas?project={of.project}"
    )


def champion(of: Environment, google: Google) -> Iterator[str]:
    """https://cloud.google.com/firestore/docs/reference/rest/v1/projects.databases.documents/get"""
    if of.scoring_model != "champion":
        return
    answer = google.ask("GET", f"{_documents(of.project, of.database)}/registry/champion")
    fields = answer.document.get("fields", {})
    lines = fields.get(SCHEMAS, {}).get("mapValue", {}).get("fields", {})
    # The earlier form does not say of which features its champion is.
    if SCHEMA_VERSION not in lines and "digest" not in fields:
        yield 'no champion was chosen for the features of this release, so rules alone decide and scoring_without_model alarms until train_model has chosen one: expect it, or set scoring_model = "none" until then'


def _documents(name: str, database: str) -> str:
    return f"https://firestore.googleapis.com/v1/projects/{name}/databases/{database}/documents"


CHECKS: Mapping[str, Check] = {
    "project": project,
    "billing": billing,
    "state": state,
    "organisation's policies": organisation,
    "quotas": quotas,
    "champion": champion,
}


def examined(of: Environment, google: Google) -> dict[str, list[str]]:
    """Findings of each check; what could not be asked is one."""
    found: dict[str, list[str]] = {}
    for name, check in CHECKS.items():
        sentences = found.setdefault(name, [])
        try:
            sentences.extend(check(of, google))
        except Unanswered as unanswered:
            sentences.append(str(unanswered))
    return found


def counted(of: Environment, google: Google, database: str) -> dict[str, tuple[int, int]]:
    """How many documents each collection has in `database`, a restored one, and in the one that runs."""
    return {
        collection: (_count(of, google, database, collection), _count(of, google, of.database, collection))
        for collection in of.collections
    }


def lacking(database: str, counts: Mapping[str, tuple[int, int]]) -> list[str]:
    """A sentence for each collection that a restored database has none of."""
    return [
        f"{database} has none of {here:,} documents in {collection}: it is no backup to go back to"
        for collection, (there, here) in counts.items()
        if here and not there
    ]


def _count(of: Environment, google: Google, database: str, collection: str) -> int:
    """https://cloud.google.com/firestore/docs/reference/rest/v1/projects.databases.documents/runAggregationQuery"""
    query = {
        "structuredAggregationQuery": {
            "structuredQuery": {"from": [{"collectionId": collection}]},
            "aggregations": [{"alias": "n", "count": {}}],
        }
    }
    answer = google.ask("POST", f"{_documents(of.project, database)}:runAggregationQuery", query)
    # A stream of answers is a list in JSON; `ask` reads an object, and a list as `items`.
    for one in answer.document.get("items", ()):
        if "result" in one:
            return int(one["result"]["aggregateFields"]["n"]["integerValue"])
    raise Unanswered(
        f"{database} cannot be counted ({answer.message}): is its restore done? gcloud firestore operations list --database={database} --project={of.project}"
    )


def main(arguments: list[str], connect: Callable[[str], Google] = credentials) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--env", default="dev", choices=["dev", "prod"])
    parser.add_argument("--database", help="a restored database, to be held to the one that runs")
    told = parser.parse_args(arguments)
    try:
        of = read(told.env)
        google = connect(of.project)
        if told.database:
            counts = counted(of, google, told.database)
            for collection, (there, here) in counts.items():
                print(f"    {collection:16} {there:>12,} of {here:,}")
            found = {f"restored {told.database}": lacking(told.database, counts)}
        else:
            found = examined(of, google)
    except Unanswered as unanswered:
        print(f"BAD {unanswered}")
        return 1
    for name, sentences in found.items():
        print(f"{'BAD' if sentences else 'ok '} {name}", *sentences, sep="\n    ")
    return int(any(found.values()))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
