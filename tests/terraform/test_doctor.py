"""What a project would stop a deployment with is found beforehand, and each finding says what to do. Answers have the form
that Google's reference documents, whose pages doctor.py names."""

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from terraform.tools import doctor, google
from terraform.tools.google import Answer, Google, Unanswered

PROD = replace(doctor.read("prod"), cpu_quota=250)
POLICIES = f"https://orgpolicy.googleapis.com/v2/projects/{PROD.project}/policies"
RUN = f"https://cloudquotas.googleapis.com/v1/projects/{PROD.project}/locations/global/services/run.googleapis.com/quotaInfos"
CPU, MEMORY = f"{RUN}/CpuAllocPerProjectRegion", f"{RUN}/MemAllocPerProjectRegion"
BUCKET = f"https://storage.googleapis.com/storage/v1/b/{PROD.state}"
PROJECT = f"https://cloudresourcemanager.googleapis.com/v1/projects/{PROD.project}"
BILLING = "https://cloudbilling.googleapis.com/v1"
BUDGETS = f"{BILLING}/billingAccounts/{PROD.billing_account}:testIamPermissions"
DOCUMENTS = f"https://firestore.googleapis.com/v1/projects/{PROD.project}/databases/payin/documents"


def a_quota(value: str, region: str = "europe-west1") -> Answer:
    one = {"dimensions": {"region": region}, "details": {"value": value}, "applicableLocations": [region]}
    return Answer(200, {"quotaId": "x", "metricUnit": "milli-vCPU", "dimensionsInfos": [one]})


def a_policy(*rules: Mapping[str, Any]) -> Answer:
    return Answer(200, {"name": "projects/1/policies/x", "spec": {"rules": list(rules)}})


def an_error(status: int, message: str) -> Answer:
    return Answer(status, {"error": {"code": status, "message": message}})


SOUND: Mapping[str, Answer] = {
    PROJECT: Answer(200, {"projectNumber": PROD.project_number, "projectId": PROD.project}),
    f"{PROJECT}:testIamPermissions": Answer(200, {"permissions": list(doctor.DEPLOYING)}),
    f"{BILLING}/projects/{PROD.project}/billingInfo": Answer(200, {"billingEnabled": True}),
    BUDGETS: Answer(200, {"permissions": ["billing.budgets.create"]}),
    BUCKET: Answer(200, {"versioning": {"enabled": True}, "iamConfiguration": {"publicAccessPrevention": "enforced"}}),
    f"{POLICIES}/iam.allowedPolicyMemberDomains:getEffectivePolicy": a_policy({"allowAll": True}),
    f"{POLICIES}/iam.managed.allowedPolicyMembers:getEffectivePolicy": an_error(404, "Requested entity was not found."),
    f"{POLICIES}/run.managed.requireInvokerIam:getEffectivePolicy": a_policy({"enforce": False}),
    f"{POLICIES}/run.allowedIngress:getEffectivePolicy": a_policy({"allowAll": True}),
    f"{POLICIES}/gcp.resourceLocations:getEffectivePolicy": a_policy(
        {"values": {"allowedValues": ["in:eu-locations"]}}
    ),
    CPU: a_quota("250000"),
    MEMORY: a_quota(str(500 * 2**30)),
    f"{DOCUMENTS}/registry/champion": Answer(200, {"fields": {"digest": {"stringValue": "d" * 64}}}),
}


@dataclass(frozen=True)
class Simulated(Google):
    """Answers as it is told to, by the whole URL; a question that nobody foresaw fails the test."""

    answers: Mapping[str, Answer] = field(default_factory=dict)

    def ask(self, method: str, url: str, body: Mapping[str, Any] | None = None) -> Answer:
        return self.answers[url]


def findings(_of: doctor.Environment = PROD, /, **changed: Answer) -> list[str]:
    google = Simulated("p", "t", {**SOUND, **{CHANGES[name]: answer for name, answer in changed.items()}})
    return [sentence for sentences in doctor.examined(_of, google).values() for sentence in sentences]


CHANGES = {
    "project": PROJECT,
    "rights": f"{PROJECT}:testIamPermissions",
    "billing": f"{BILLING}/projects/{PROD.project}/billingInfo",
    "budgets": BUDGETS,
    "state": BUCKET,
    "domains": f"{POLICIES}/iam.allowedPolicyMemberDomains:getEffectivePolicy",
    "members": f"{POLICIES}/iam.managed.allowedPolicyMembers:getEffectivePolicy",
    "invokers": f"{POLICIES}/run.managed.requireInvokerIam:getEffectivePolicy",
    "ingress": f"{POLICIES}/run.allowedIngress:getEffectivePolicy",
    "places": f"{POLICIES}/gcp.resourceLocations:getEffectivePolicy",
    "cpu": CPU,
    "memory": MEMORY,
    "champion": f"{DOCUMENTS}/registry/champion",
}


def test_a_sound_project_has_no_findings() -> None:
    assert findings() == []


ONE_CUSTOMER = a_policy({"values": {"allowedValues": ["C03g5e3bc"]}})


@pytest.mark.parametrize(
    ("what", "answer", "sentence"),
    [
        ("project", an_error(403, "The caller does not have permission"), "make it, or correct project in"),
        ("project", Answer(200, {"projectNumber": "7"}), "has the number 7: write that as project_number"),
        ("rights", Answer(200, {}), "have roles/owner granted, or the roles that modules/ci lists"),
        ("billing", Answer(200, {"billingEnabled": False}), "gcloud billing projects link"),
        ("budgets", Answer(200, {}), "have roles/billing.costsManager granted"),
        ("state", an_error(404, "The specified bucket does not exist."), "gcloud storage buckets create gs://"),
        ("state", an_error(403, "denied"), "it may be another's; choose one"),
        ("state", Answer(200, {"iamConfiguration": {"publicAccessPrevention": "enforced"}}), "--versioning"),
        ("state", Answer(200, {"versioning": {"enabled": True}}), "--public-access-prevention"),
        ("domains", ONE_CUSTOMER, "allowedPolicyMemberDomains refuses allUsers"),
        ("domains", an_error(403, "denied"), "have roles/orgpolicy.policyViewer granted"),
        ("members", a_policy({"enforce": True}), "allowedPolicyMembers refuses allUsers"),
        ("ingress", a_policy({"values": {"allowedValues": ["internal"]}}), "run.allowedIngress does not allow all"),
        ("places", a_policy({"values": {"allowedValues": ["in:us-locations"]}}), "does not name europe-west1"),
        ("cpu", a_quota("20000"), "gives this project 20 CPUs: set cpu_quota = 20"),
        ("cpu", a_quota("250000", "us-east1"), "CpuAllocPerProjectRegion of europe-west1 cannot be read"),
        ("memory", a_quota(str(40 * 2**30)), "score-payment could use 80 GiB of 40"),
        ("champion", an_error(404, "not found"), "alarms until train_model has chosen one"),
    ],
)
def test_what_would_stop_or_mislead_is_found_and_says_what_to_do(what: str, answer: Answer, sentence: str) -> None:
    assert [found for found in findings(**{what: answer}) if sentence in found]


def test_where_all_users_are_refused_the_other_way_in_is_looked_at_and_only_that() -> None:
    other = replace(PROD, webhook_access="unchecked")
    assert findings(other, domains=ONE_CUSTOMER, members=a_policy({"enforce": True})) == []
    [found] = findings(other, invokers=a_policy({"enforce": True}))
    assert "run.managed.requireInvokerIam refuses" in found


def test_a_new_projects_quota_holds_every_function_and_is_said_to_be_too_small_for_prods_warm_instances() -> None:
    new = {"cpu": a_quota("20000"), "memory": a_quota(str(40 * 2**30))}
    found = findings(replace(PROD, cpu_quota=20), **new)
    assert [one for one in found if one.startswith("17 CPUs are always in use and a deployment starts 10 more, of 20")]
    assert [
        one for one in found if one.startswith("cpu_quota = 20 holds assess-payment, record-payment, score-payment")
    ]
    assert len(found) == 2
    assert findings(replace(PROD, env="dev", cpu_quota=20), **new) == []


def test_who_decides_by_rules_on_purpose_is_told_of_no_champion() -> None:
    assert findings(replace(PROD, scoring_model="none"), champion=an_error(404, "not found")) == []


def test_what_the_environments_files_say_is_what_terraform_reads() -> None:
    prod, dev = doctor.read("prod"), doctor.read("dev")
    assert (prod.cpu_quota, prod.region, prod.scoring_model, dev.scoring_model) == (
        20,
        "europe-west1",
        "champion",
        "none",
    )
    assert prod.instances["webhook-stripe"] == (25, 1, 1.0, 0.5)
    assert prod.instances["train-model"] == (1, 0, 4.0, 8.0)
    assert (prod.state, dev.billing_account) == ("payin-prod-example-state", None)


def test_without_credentials_it_says_which_command_gives_them(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    gcloud = tmp_path / "gcloud"
    gcloud.write_text("#!/bin/sh\necho 'ERROR: Your default credentials were not found.' >&2\nexit 1\n")
    gcloud.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.delenv("GOOGLE_OAUTH_ACCESS_TOKEN", raising=False)
    assert doctor.main(["--env", "prod"]) == 1
    assert "gcloud auth application-default login" in capsys.readouterr().out


def test_a_finding_fails_the_command(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "read", lambda env: PROD)
    assert doctor.main(["--env", "prod"], lambda _: Simulated("p", "t", SOUND)) == 0
    assert "BAD" not in capsys.readouterr().out
    without = Simulated("p", "t", {**SOUND, BUCKET: an_error(404, "no")})
    assert doctor.main(["--env", "prod"], lambda _: without) == 1
    assert "BAD state\n    the state's bucket does not exist" in capsys.readouterr().out


def a_count(n: int) -> Answer:
    return Answer(200, {"items": [{"result": {"aggregateFields": {"n": {"integerValue": str(n)}}}, "readTime": "x"}]})


def test_a_restored_database_is_held_to_the_one_that_runs(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "read", lambda env: replace(PROD, collections=("payments", "cases")))
    counting = ":runAggregationQuery"
    restored = DOCUMENTS.replace("/payin/", "/payin-drill/")
    counts = {DOCUMENTS + counting: a_count(1200), restored + counting: a_count(1190)}
    assert doctor.main(["--env", "prod", "--database", "payin-drill"], lambda _: Simulated("p", "t", counts)) == 0
    assert "1,190 of 1,200" in capsys.readouterr().out
    counts[restored + counting] = a_count(0)
    assert doctor.main(["--env", "prod", "--database", "payin-drill"], lambda _: Simulated("p", "t", counts)) == 1
    assert "payin-drill has none of 1,200 documents in cases" in capsys.readouterr().out
    counts[restored + counting] = Answer(404, {"items": [{"error": {"code": 404, "message": "does not exist"}}]})
    assert doctor.main(["--env", "prod", "--database", "payin-drill"], lambda _: Simulated("p", "t", counts)) == 1
    assert "cannot be counted (does not exist): is its restore done?" in capsys.readouterr().out


@contextmanager
def serving(status: int, document: Any) -> Iterator[tuple[str, list[Mapping[str, str]]]]:
    asked: list[Mapping[str, str]] = []

    class Always(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(dict(self.headers))
            data = json.dumps(document).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None: ...

    server = HTTPServer(("127.0.0.1", 0), Always)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1/x", asked
    finally:
        server.shutdown()
        server.server_close()


def test_google_is_asked_with_our_token_and_on_the_projects_quota() -> None:
    with serving(200, {"state": "ENABLED"}) as (url, asked):
        assert Google("payin", "secret").ask("GET", url) == Answer(200, {"state": "ENABLED"})
    assert (asked[0]["Authorization"], asked[0]["X-Goog-User-Project"]) == ("Bearer secret", "payin")


def test_an_api_that_is_not_enabled_a_stale_token_and_nobody_there_are_sentences() -> None:
    disabled = {"error": {"code": 403, "message": "off", "details": [{"reason": "SERVICE_DISABLED"}]}}
    with serving(403, disabled) as (url, _), pytest.raises(Unanswered, match=r"gcloud services enable 127\.0\.0\.1"):
        Google("payin", "t").ask("GET", url)
    with serving(401, {}) as (url, _), pytest.raises(Unanswered, match="application-default login"):
        Google("payin", "t").ask("GET", url)
    with pytest.raises(Unanswered, match="cannot be reached"):
        Google("payin", "t").ask("GET", "http://127.0.0.1:1/")


def test_terraforms_missing_credentials_are_explained() -> None:
    said = "Error: google: could not find default credentials. See https://cloud.google.com/docs/authentication"
    assert google.explained(said).startswith(
        "Terraform has no credentials: run `gcloud auth application-default login`"
    )
    assert google.explained("Error: a quota was met") == "Error: a quota was met"
