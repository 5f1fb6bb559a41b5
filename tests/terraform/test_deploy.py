"""What an operator is told and asked, and that a dry run of every command goes from end to end."""

import json
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from shared import providers, settings
from shared.backends.gcp import connect
from shared.domain.errors import Unavailable
from shared.flows.audit import Errand
from shared.flows.ports import Create, Pulled
from shared.flows.scorer import CHAMPION
from shared.operations.parking import park, unpark
from terraform.tools import bundle, deploy, google, policy, tool, traffic, transient
from terraform.tools.deploy import Deployment, Stop, smoke, summary, why
from tests.providers.kits import NOON, a_kit
from tests.runtime.test_webhook import Webhook
from tests.terraform.google_world import World

A = Deployment(
    "dev",
    "2026-11-01T10:00:00Z",
    "aaa",
    {"webhook-stripe": "webhook-stripe-a.zip", "score_payment": "score-1.zip"},
    {"webhook-stripe": {"main.py": "1", "shared/old.py": "2"}, "score_payment": {"main.py": "1"}},
)
B = replace(
    A,
    at="2026-11-02T10:00:00Z",
    commit="bbb",
    bundles={**A.bundles, "webhook-stripe": "webhook-stripe-b.zip"},
    files={**A.files, "webhook-stripe": {"main.py": "9", "shared/new.py": "3"}},
)


def a_change(address: str, actions: list[str], before: Any = None, after: Any = None) -> dict[str, Any]:
    kind = re.sub(r"^module\.\w+\[[^]]*\]\.", "", address).split(".")[0]
    return {
        "address": address,
        "type": kind,
        "index": "",
        "change": {"actions": actions, "before": before, "after": after},
    }


def a_function(bundle: str, **service: Any) -> dict[str, Any]:
    return {
        "name": "webhook-stripe",
        "build_config": [{"entry_point": "webhook", "source": [{"storage_source": [{"object": bundle}]}]}],
        "service_config": [{"available_memory": "512Mi", "environment_variables": {"PAYIN_MODEL": "none"}, **service}],
    }


FUNCTION = 'module.webhook["stripe"].google_cloudfunctions2_function.this'


def test_a_redeployment_names_the_files_that_cause_it() -> None:
    plan = {
        "resource_changes": [
            a_change(FUNCTION, ["update"], a_function("webhook-stripe-a.zip"), a_function("webhook-stripe-b.zip"))
        ]
    }
    assert summary(plan, A, B) == [
        "redeploy webhook-stripe: webhook-stripe-a.zip -> webhook-stripe-b.zip",
        "    changed main.py",
        "    new shared/new.py",
        "    gone shared/old.py",
        "In all: 1 to change",
    ]


def test_a_redeployment_names_the_settings_that_cause_it_and_no_values_of_the_environment() -> None:
    after = a_function(
        "webhook-stripe-b.zip", available_memory="1Gi", environment_variables={"PAYIN_MODEL": "champion"}
    )
    lines = summary(
        {"resource_changes": [a_change(FUNCTION, ["update"], a_function("webhook-stripe-b.zip"), after)]}, B, B
    )
    assert lines[:2] == [
        "redeploy webhook-stripe: available_memory 512Mi -> 1Gi",
        "redeploy webhook-stripe: environment PAYIN_MODEL",
    ]


def test_a_function_that_is_made_anew_stands_out_and_every_other_change_of_one_is_told() -> None:
    a, b = a_function("webhook-stripe-b.zip"), a_function("webhook-stripe-b.zip")
    assert summary({"resource_changes": [a_change(FUNCTION, ["delete", "create"], a, b)]}, B, B) == [
        f"!! replace {FUNCTION}",
        "In all: 1 to replace",
    ]
    labelled = {**b, "labels": {"team": "risk"}}
    assert summary({"resource_changes": [a_change(FUNCTION, ["update"], a, labelled)]}, B, B) == [
        "redeploy webhook-stripe: labels",
        "In all: 1 to change",
    ]
    newer = {**b, "build_config": [{**b["build_config"][0], "runtime": "python314"}]}
    assert summary({"resource_changes": [a_change(FUNCTION, ["update"], a, newer)]}, B, B)[:1] == [
        "redeploy webhook-stripe: runtime None -> python314"
    ]


def test_what_would_be_lost_stands_out() -> None:
    plan = {
        "resource_changes": [
            a_change('google_pubsub_subscription.push["score_payment"]', ["delete", "create"]),
            a_change('google_bigquery_table.table["deliveries"]', ["delete"]),
            a_change("google_logging_metric.ours", ["create"]),
        ]
    }
    assert summary(plan, A, B) == [
        '!! replace google_pubsub_subscription.push["score_payment"]: its backlog lost',
        '!! delete google_bigquery_table.table["deliveries"]: its rows lost',
        "create 1 logging_metric",
        "In all: 1 to create, 1 to delete, 1 to replace",
    ]


def test_without_a_record_no_reason_is_invented() -> None:
    assert why(None, {"main.py": "1"}) == ["no record of what it had before"]


@pytest.mark.parametrize(
    ("said", "names"),
    [
        (
            "echo gs://b/deployments/2.json; echo gs://b/deployments/1.json",
            ["deployments/1.json", "deployments/2.json"],
        ),
        ("echo 'ERROR: One or more URLs matched no objects.' >&2; exit 1", []),
        ("echo 'ERROR: Reauthentication failed.' >&2; exit 1", None),
    ],
)
def test_a_bucket_that_cannot_be_listed_is_not_taken_for_an_empty_one(
    said: str, names: list[str] | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "gcloud").write_text(f"#!/bin/sh\n{said}\n")
    (tmp_path / "gcloud").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    bucket = deploy.Bucket("b")
    if names is not None:
        assert bucket.names("deployments/") == names
    else:
        with pytest.raises(Stop, match="Reauthentication failed"):
            bucket.names("deployments/")


def test_a_secret_that_no_webhook_would_start_with_is_refused_without_being_shown(tmp_path: Path) -> None:
    file = tmp_path / "secrets.json"
    file.write_text(json.dumps({"WEBHOOK_STRIPE": {"keys": {"k1": ""}, "account": "hush"}}))
    with pytest.raises(Stop) as stopped:
        deploy.checked_secrets(file)
    assert "WEBHOOK_STRIPE" in str(stopped.value)
    assert "hush" not in str(stopped.value)


def test_a_good_secret_goes_to_terraform_as_the_webhook_will_read_it(tmp_path: Path) -> None:
    file = tmp_path / "secrets.json"
    secret = {"keys": {"k1": "whsec_" + "a" * 32}}
    pseudonyms = {"current": "1", "keys": {"1": "r" * 32}}
    file.write_text(json.dumps({"WEBHOOK_STRIPE": secret, "PAYIN_PSEUDONYM_KEYS": pseudonyms}))
    given = deploy.checked_secrets(file)
    assert json.loads(given["WEBHOOK_STRIPE"]) == secret
    assert json.loads(given["PAYIN_PSEUDONYM_KEYS"]) == pseudonyms


@contextmanager
def answering(status: int) -> Iterator[str]:
    class Always(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    server = HTTPServer(("127.0.0.1", 0), Always)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/stripe"
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize(
    ("status", "opened", "sound"),
    [(401, True, True), (403, True, False), (403, False, True), (204, True, False), (500, True, False)],
)
def test_the_smoke_test_wants_strangers_refused_by_the_right_side(
    status: int, opened: bool, sound: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deploy.answer, "__defaults__", (0.0,))
    with answering(status) as url:
        outputs = {"webhooks": {"stripe": url}, "private": {}, "enabled": ["stripe"] if opened else []}
        if sound:
            smoke(outputs, dry=False)
        else:
            with pytest.raises(Stop, match=f"answered {status}"):
                smoke(outputs, dry=False)


@pytest.mark.parametrize("name", providers.names())
def test_every_webhook_refuses_what_the_smoke_test_sends_in_the_way_it_wants(name: str, tmp_path: Path) -> None:
    webhook = Webhook(tmp_path, **a_kit(name, tmp_path).simulator.environment())
    status = webhook.post(b"{}", {"Content-Type": "application/x-www-form-urlencoded"}, f"/{name}").status_code
    assert status in deploy.REFUSED_BY_US


def test_prod_is_never_destroyed(capsys: pytest.CaptureFixture[str]) -> None:
    assert deploy.main(["destroy", "--env", "prod", "--yes"]) == 1
    assert "prod is never destroyed" in capsys.readouterr().err


def test_saying_no_changes_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    at = deploy.Target(
        "prod", tool.Terraform(tmp_path), deploy.Folder(tmp_path), tmp_path, dry=False, yes=False, secrets={}
    )
    monkeypatch.setattr("builtins.input", lambda _: "yes")
    with pytest.raises(Stop, match="nothing was changed"):
        at.agreed()


class Breaking(tool.Terraform):
    """Plans one change, and cannot apply it."""

    def plan(self, out: Path, *arguments: str) -> dict[str, Any]:
        return {
            "resource_changes": [
                a_change(FUNCTION, ["update"], a_function("webhook-stripe-a.zip"), a_function("webhook-stripe-b.zip"))
            ]
        }

    def run(self, *arguments: str, check: bool = True, quiet: bool = True) -> "subprocess.CompletedProcess[str]":
        raise tool.Failed("a quota was met")


def test_a_deployment_that_breaks_off_is_on_record_so_that_the_next_explains_itself_by_it(tmp_path: Path) -> None:
    at = deploy.Target("dev", Breaking(tmp_path), deploy.Folder(tmp_path), tmp_path, dry=True, yes=False, secrets={})
    at.record(A)
    with pytest.raises(tool.Failed):
        deploy._carry_out(at, B, A, deploy.Pace())
    assert at.latest() == B


# As the issues that transient.py names have them.
BUILD_DENIED = """
Error: Error waiting to create function: Error waiting for Creating function: Error code 13, message: Build failed with status: FAILURE and message: failed to Fetch: failed to download archive gs://gcf-v2-sources-594424405950-us-central1/fn/function-source.zip: Access to bucket gcf-v2-sources-594424405950-us-central1 denied. You must grant Storage Object Viewer permission to build-functions@p.iam.gserviceaccount.com.

  with module.webhook["stripe"].google_cloudfunctions2_function.this,
  on modules/function/main.tf line 16, in resource "google_cloudfunctions2_function" "this":
"""
SUBSCRIPTION_DENIED = """
│ Error: Error creating Subscription: googleapi: Error 403: The caller does not have permission
│
│   with google_pubsub_subscription.warehouse["deliveries"],
│   on warehouse.tf line 54, in resource "google_pubsub_subscription" "warehouse":
"""
METRIC_UNKNOWN = """
Error: Error creating AlertPolicy: googleapi: Error 404: Cannot find metric(s) that match type = "logging.googleapis.com/user/payin_alarms". If a metric was created recently, it could take up to 10 minutes to become available. Please try again soon.

  with google_monitoring_alert_policy.alert["scoring_degraded"],
"""
REPOSITORY_UNKNOWN = """
Error: Error creating function: googleapi: Error 403: Unable to retrieve the repository metadata for projects/p/locations/europe-west1/repositories/functions. Ensure that the Cloud Functions service account has 'artifactregistry.repositories.list' permissions.

  with module.function["score_payment"].google_cloudfunctions2_function.this,
"""
QUOTA = """
Error: Error creating function: googleapi: Error 400: Max instances must be set to 20 or fewer to set the requested total CPU.

  with module.function["score_payment"].google_cloudfunctions2_function.this,
"""
DEPLOYER_DENIED = """
Error: Error creating Topic: googleapi: Error 403: The caller does not have permission

  with google_pubsub_topic.topic["deliveries"],
"""


@pytest.mark.parametrize("said", [BUILD_DENIED, SUBSCRIPTION_DENIED, METRIC_UNKNOWN, REPOSITORY_UNKNOWN])
def test_what_google_has_not_taken_in_yet_is_known_for_that(said: str) -> None:
    assert len(transient.reasons(said)) == 1
    assert len(transient.reasons(said + BUILD_DENIED + said)) in (1, 2)


@pytest.mark.parametrize("said", [QUOTA, DEPLOYER_DENIED, BUILD_DENIED + QUOTA, "terraform apply failed"])
def test_what_does_not_go_away_is_not_waited_for(said: str) -> None:
    assert transient.reasons(said) == []


class Settling(tool.Terraform):
    """Each apply says what it was told to, and the last ones succeed. plans: what is left after each."""

    def __init__(self, folder: Path, said: list[str], plans: list[dict[str, Any]]) -> None:
        super().__init__(folder)
        self.said = said
        self.plans = plans
        self.ran: list[tuple[str, ...]] = []

    def plan(self, out: Path, *arguments: str) -> dict[str, Any]:
        self.ran.append(("plan", *(one for one in arguments if one.startswith("-target"))))
        return self.plans.pop(0)

    def run(self, *arguments: str, check: bool = True, quiet: bool = True) -> "subprocess.CompletedProcess[str]":
        self.ran.append(arguments[:1])
        if arguments[0] == "apply" and self.said:
            raise tool.Failed(f"terraform apply failed\n{self.said.pop(0)}")
        return subprocess.CompletedProcess(arguments, 0, "")


def settling(tmp_path: Path, said: list[str], plans: list[dict[str, Any]]) -> tuple[deploy.Target, Settling]:
    terraform = Settling(tmp_path, said, plans)
    folder = deploy.Folder(tmp_path)
    return deploy.Target("dev", terraform, folder, tmp_path, dry=False, yes=True, secrets={}), terraform


def of(*changes: tuple[str, list[str]]) -> dict[str, Any]:
    return {"resource_changes": [a_change(address, actions) for address, actions in changes]}


WAREHOUSE = 'google_pubsub_subscription.warehouse["deliveries"]'


def test_one_deployment_of_an_empty_project_goes_on_by_itself_until_all_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    waits: list[float] = []
    monkeypatch.setattr("time.sleep", waits.append)
    agreed = of((FUNCTION, ["create"]), (WAREHOUSE, ["create"]))
    # A function whose build broke off is half made: Terraform makes it anew.
    plans = [of((FUNCTION, ["delete", "create"]), (WAREHOUSE, ["create"])), of((WAREHOUSE, ["create"]))]
    at, terraform = settling(tmp_path, [BUILD_DENIED + SUBSCRIPTION_DENIED, SUBSCRIPTION_DENIED], plans)
    at.applied(agreed, {}, "-target=x")
    assert terraform.ran == [("apply",), ("plan", "-target=x"), ("apply",), ("plan", "-target=x"), ("apply",)]
    assert waits == [60, 120]
    assert "right to read its source has not arrived; Pub/Sub's right" in capsys.readouterr().out


def test_it_does_not_wait_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    monkeypatch.setattr("time.sleep", waits.append)
    agreed = of((WAREHOUSE, ["create"]))
    at, _ = settling(tmp_path, [SUBSCRIPTION_DENIED] * 99, [agreed] * 99)
    with pytest.raises(tool.Failed, match="does not have permission"):
        at.applied(agreed, {})
    assert sum(waits) == 18 * 60


def test_another_error_ends_it_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", lambda _: pytest.fail("waited"))
    at, _ = settling(tmp_path, [SUBSCRIPTION_DENIED + QUOTA], [])
    with pytest.raises(tool.Failed, match="Max instances"):
        at.applied(of((WAREHOUSE, ["create"])), {})


@pytest.mark.parametrize("rest", [of(("google_pubsub_topic.topic", ["create"])), of((WAREHOUSE, ["delete", "create"]))])
def test_nothing_is_applied_that_was_not_agreed_to(
    rest: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)
    at, terraform = settling(tmp_path, [SUBSCRIPTION_DENIED], [rest])
    with pytest.raises(Stop, match="not agreed to: google_pubsub"):
        at.applied(of((WAREHOUSE, ["update"])), {})
    assert terraform.ran.count(("apply",)) == 1


def a_gcloud(folder: Path, script: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A gcloud that does as `script` says, and the file where it writes what it was asked."""
    asked = folder / "asked"
    program = folder / "gcloud"
    program.write_text(f'#!/bin/sh\necho "$*" >> {asked}\n{script}\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    return asked


def test_a_bucket_that_cannot_be_looked_at_is_not_taken_for_one_that_is_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    a_gcloud(
        tmp_path, "echo 'ERROR: (gcloud.storage.buckets.describe) gs://b not found: 404.' >&2; exit 1", monkeypatch
    )
    assert not deploy.Bucket("b").exists()
    a_gcloud(tmp_path, "echo 'ERROR: Reauthentication failed.' >&2; exit 1", monkeypatch)
    with pytest.raises(Stop, match="Reauthentication"):
        deploy.Bucket("b").exists()


def test_the_first_deployment_makes_grants_and_the_bucket_before_anything_and_then_pubsubs_agent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    a_gcloud(tmp_path, "echo 'gs://b not found: 404.' >&2; exit 1", monkeypatch)
    agents: list[tuple[str, str]] = []
    monkeypatch.setattr(google.Google, "make_agent", lambda self, number, service: agents.append((number, service)))
    monkeypatch.setenv("GOOGLE_OAUTH_ACCESS_TOKEN", "t")
    terraform = Settling(tmp_path, [], [of(("google_storage_bucket.source", ["create"]))])
    at = deploy.Target("dev", terraform, deploy.Bucket("b"), tmp_path, dry=False, yes=True, secrets={})
    deploy._prepared(at, {})
    assert terraform.ran[0] == ("plan", *(f"-target={address}" for address in deploy.FIRST))
    assert terraform.ran[1] == ("apply",)
    assert agents == [("100000000001", "pubsub.googleapis.com"), ("100000000001", "iap.googleapis.com")]


def test_what_is_made_first_is_in_the_plan(planned: Callable[[str], dict[str, Any]]) -> None:
    made = {resource.address for resource in policy.world(planned("prod"), prod=True).resources}
    assert set(deploy.FIRST) <= made


def test_where_all_users_are_refused_open_webhooks_are_not_asked_who_calls_and_closed_ones_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = a_gcloud(tmp_path, "exit 0", monkeypatch)
    at, _ = settling(tmp_path, [], [])
    services = {"stripe": "webhook-stripe", "adyen": "webhook-adyen"}
    outputs = {"webhook_access": "unchecked", "services": services, "enabled": ["stripe"], "region": "europe-west1"}
    deploy._set_invoker_checks(at, outputs)
    place = "--region=europe-west1 --project=payin-dev-example --quiet"
    assert asked.read_text().splitlines() == [
        f"run services update webhook-stripe --no-invoker-iam-check {place}",
        f"run services update webhook-adyen --invoker-iam-check {place}",
    ]
    asked.unlink()
    deploy._set_invoker_checks(at, {**outputs, "webhook_access": "grant"})
    assert not asked.exists()


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (None, "cannot be read: No such file"),
        ('{"WEBHOOK_STRIPE": {"keys": {"k1": "whsec_secret"}', "is no JSON, from line 1, column"),
        ('["whsec_secret"]', "is no object of"),
        ("\ud800", "is no UTF-8 text"),
    ],
)
def test_a_file_of_secrets_that_cannot_be_read_is_a_sentence_and_shows_nothing_of_it(
    text: str | None, sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "secrets.json"
    if text is not None:
        file.write_bytes(text.encode("utf-8", "surrogatepass"))
    assert deploy.main(["deploy", "--env", "dev", "--secrets", str(file)]) == 1
    said = capsys.readouterr().err
    assert sentence in said
    assert "Traceback" not in said
    assert "whsec_secret" not in said


def test_a_dry_run_without_a_stand_in_ends_as_nothing_that_passed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PAYIN_TERRAFORM_STAND_IN", str(tmp_path))
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")
    assert deploy.main(["deploy", "--dry-run"]) == tool.UNAVAILABLE
    assert "nothing was done: a dry run also applies" in capsys.readouterr().err


def test_a_plan_uploads_records_and_applies_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plan = {"resource_changes": [a_change("google_logging_metric.ours", ["create"])]}
    at, terraform = settling(tmp_path, [], [plan])
    at = replace(at, shelf=deploy.Folder(tmp_path / "bucket"))
    deploy.preview(at)
    assert "create 1 logging_metric" in capsys.readouterr().out
    assert terraform.ran == [("plan",)]
    assert not (tmp_path / "bucket").exists()


def test_a_restored_database_takes_the_place_of_the_former_in_the_state_and_nothing_is_deleted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    at, terraform = settling(tmp_path, [], [])
    with pytest.raises(Stop, match='first set firestore_database = "payin-20261126"'):
        deploy.adopt(at, "payin-20261126")
    listed = [
        "google_bigquery_dataset.warehouse",
        "google_firestore_database.documents",
        'google_firestore_field.due["a"]',
    ]
    ran: list[tuple[str, ...]] = []

    def run(*arguments: str, check: bool = True, quiet: bool = True) -> "subprocess.CompletedProcess[str]":
        ran.append(arguments)
        return subprocess.CompletedProcess(arguments, 0, "\n".join(listed) if arguments[1] == "list" else "")

    monkeypatch.setattr(terraform, "run", run)
    monkeypatch.setattr(deploy, "setting", lambda env, name, default=None: "payin-20261126" if default else "p")
    deploy.adopt(at, "payin-20261126")
    assert ran[1] == ("state", "rm", "google_firestore_database.documents", 'google_firestore_field.due["a"]')
    assert ran[2][0] == "import"
    assert ran[2][-2:] == ("google_firestore_database.documents", "projects/p/databases/payin-20261126")


def reaching(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[deploy.Target, Settling]:
    """A target whose Google is `world`."""
    monkeypatch.setattr("time.sleep", lambda _: None)
    monkeypatch.setattr(google, "credentials", lambda _: world)
    terraform = Settling(tmp_path, [], [])
    shelf = deploy.Folder(tmp_path / "bucket")
    return deploy.Target("dev", terraform, shelf, tmp_path, dry=False, yes=True, secrets={}), terraform


def test_a_deployment_pins_what_serves_before_it_applies_and_rolls_out_what_is_new_after_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World()
    at, terraform = reaching(world, tmp_path, monkeypatch)
    world.deploy("webhook-stripe", 1)
    monkeypatch.setattr(terraform, "output", lambda: {"webhook_access": "grant"})
    monkeypatch.setattr(deploy, "smoke", lambda outputs, *, dry: world.said.append(("smoke", None)))
    before, after = a_function("webhook-stripe-a.zip"), a_function("webhook-stripe-b.zip")
    terraform.plans = [{"resource_changes": [a_change(FUNCTION, ["update"], before, after)]}]

    def apply(*arguments: str, check: bool = True, quiet: bool = True) -> "subprocess.CompletedProcess[str]":
        world.said.append((arguments[0], None))
        document = world.services["webhook-stripe"]
        document["latestReadyRevision"] = document["latestReadyRevision"].replace("00001", "00002")
        return subprocess.CompletedProcess(arguments, 0, "")

    monkeypatch.setattr(terraform, "run", apply)
    deploy._carry_out(at, B, A, deploy.Pace())
    one, two = "webhook-stripe-00001", "webhook-stripe-00002"
    assert world.said == [
        ("webhook-stripe", {one: 100}),
        ("apply", None),
        ("webhook-stripe", {one: 95, two: 5}),
        ("webhook-stripe", {two: 100}),
        ("smoke", None),
    ]
    assert at.served() == [{"webhook-stripe": two}]


def test_what_broke_off_is_rolled_out_by_the_next_deployment_which_says_so_and_asks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    world = World()
    at, terraform = reaching(world, tmp_path, monkeypatch)
    world.deploy("webhook-stripe", 2, r1=100)
    same = a_function("webhook-stripe-b.zip")
    terraform.plans = [{"resource_changes": [a_change(FUNCTION, ["no-op"], same, same)]}]
    monkeypatch.setattr("builtins.input", lambda _: "no")
    with pytest.raises(Stop, match="nothing was changed"):
        deploy._carry_out(replace(at, yes=False), B, B, deploy.Pace())
    said = "!! webhook-stripe: webhook-stripe-00002 is rolled out now; 100 % to webhook-stripe-00001"
    assert said in capsys.readouterr().out
    assert world.said == []


@pytest.mark.parametrize("taken_back", ["by an operator", "by itself"])
def test_what_was_taken_back_stays_so_when_something_else_is_deployed_until_its_bundle_changes_or_somebody_says(
    taken_back: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    world = World()
    at, terraform = reaching(world, tmp_path, monkeypatch)
    same = a_function("webhook-stripe-b.zip")
    terraform.plans = [{"resource_changes": [a_change(FUNCTION, ["no-op"], same, same)]} for _ in range(4)]
    monkeypatch.setattr(terraform, "output", lambda: {"webhook_access": "grant"})
    monkeypatch.setattr(deploy, "smoke", lambda outputs, *, dry: None)
    at.note({"webhook-stripe": "webhook-stripe-00001"})
    world.figures["webhook-stripe-00002", "answers"] = 100
    if taken_back == "by itself":
        world.deploy("webhook-stripe", 2, r1=100)
        world.figures["webhook-stripe-00002", "failures"] = 50
        with pytest.raises(traffic.Burned):
            deploy._carry_out(at, B, B, deploy.Pace())
        del world.figures["webhook-stripe-00002", "failures"]
    else:
        world.deploy("webhook-stripe", 2, r2=100)
        at.note({"webhook-stripe": "webhook-stripe-00002"})
        deploy.rollback(at, "webhook-stripe")
    serves = {"webhook-stripe-00001": 100}
    assert world.shares("webhook-stripe") == serves

    capsys.readouterr()
    deploy._carry_out(at, B, B, deploy.Pace())
    assert "webhook-stripe-00002 was taken back and stays so without RESUME=1" in capsys.readouterr().out
    assert world.shares("webhook-stripe") == serves
    deploy._carry_out(at, B, B, deploy.Pace(resumes=True))
    assert world.shares("webhook-stripe") == {"webhook-stripe-00002": 100}

    world.deploy("webhook-stripe", 3, r1=100)
    deploy._carry_out(at, B, B, deploy.Pace())
    assert world.shares("webhook-stripe") == {"webhook-stripe-00003": 100}


def test_a_rollback_is_one_change_of_the_service_and_a_second_goes_further_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World()
    at, terraform = reaching(world, tmp_path, monkeypatch)
    world.deploy("webhook-stripe", 4, r4=100)
    for number in (1, 2, 4):
        at.note({"webhook-stripe": f"webhook-stripe-0000{number}"})
    deploy.rollback(at, "webhook-stripe")
    deploy.rollback(at, "webhook-stripe")
    assert world.said == [
        ("webhook-stripe", {"webhook-stripe-00002": 100}),
        ("webhook-stripe", {"webhook-stripe-00001": 100}),
    ]
    assert at.served()[-1] == {"webhook-stripe": "webhook-stripe-00001"}
    with pytest.raises(traffic.NoFormer):
        deploy.rollback(at, "webhook-stripe")
    with pytest.raises(Stop, match="there is no 'webhook'"):
        deploy.rollback(at, "webhook")
    assert terraform.ran == []


def test_closing_a_provider_is_one_change_of_its_service_and_is_seen_from_outside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    world = World()
    at, terraform = reaching(world, tmp_path, monkeypatch)
    world.deploy("webhook-stripe", 1, r1=100)
    asked: list[str] = []
    statuses = [404, 401]

    def answer(url: str, expected: set[int]) -> int:
        asked.append(url)
        return statuses.pop(0)

    monkeypatch.setattr(deploy, "answer", answer)
    deploy.close(at, "stripe")
    assert "say enabled = false in terraform/envs/dev.tfvars" in capsys.readouterr().out
    deploy.close(at, "stripe", again=True)
    with pytest.raises(Stop, match="answers 401 all the same"):
        deploy.close(at, "stripe")
    assert world.said[:2] == [
        ("webhook-stripe", "INGRESS_TRAFFIC_INTERNAL_ONLY"),
        ("webhook-stripe", "INGRESS_TRAFFIC_ALL"),
    ]
    assert asked == ["https://webhook-stripe.run.app/stripe"] * 2
    assert terraform.ran == []


@pytest.mark.parametrize(("told", "closed"), [([], ""), (["PROVIDER=adyen"], "adyen")])
def test_nobody_closes_a_provider_without_naming_it(told: list[str], closed: str) -> None:
    ran = subprocess.run(["make", "-n", "close", *told], cwd=tool.ROOT, capture_output=True, text=True, check=True)
    assert f'--provider "{closed}"' in ran.stdout


@dataclass
class Pushes:
    """Subscriptions, and where they are pushed to; breaks_after: so many changes, nobody answers."""

    where: dict[str, str | None]
    breaks_after: int = 9

    def pushed_to(self, name: str) -> str | None:
        return self.where[name]

    def push_to(self, name: str, where: str | None) -> None:
        if self.breaks_after == 0:
            raise Unavailable("Pub/Sub does not answer")
        self.breaks_after -= 1
        self.where[name] = where

    def take(self, name: str, limit: int) -> list[Pulled]:
        return []

    def ack(self, name: str, ack_ids: Sequence[str]) -> None: ...

    def give_back(self, name: str, ack_ids: Sequence[str]) -> None: ...


def test_rules_alone_decide_within_a_minute_of_an_operators_word_and_the_champion_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gcp_environment: dict[str, str]
) -> None:
    """Against Firestore itself, as its emulator is: what the tool writes is what an instance reads."""
    project = gcp_environment["GOOGLE_CLOUD_PROJECT"]
    at, _ = reaching(World(), tmp_path, monkeypatch)
    monkeypatch.setattr(deploy, "FIRESTORE", f"http://{gcp_environment['FIRESTORE_EMULATOR_HOST']}/v1")
    monkeypatch.setattr(google, "credentials", lambda _: google.Google(project, "owner"))
    monkeypatch.setattr(
        deploy, "setting", lambda env, name, default=None: "(default)" if name.endswith("database") else project
    )
    with pytest.raises(Stop, match="there is no champion"):
        deploy.scoring(at, "none")
    documents = connect(settings.read(gcp_environment)).documents
    documents.commit([Create(CHAMPION, {"digest": "d" * 64, "former": []})])
    for model, alone in (("none", True), ("none", True), ("champion", False)):
        deploy.scoring(at, model)
        [champion] = documents.get([CHAMPION])
        assert champion is not None
        assert champion.document == {"digest": "d" * 64, "former": [], "rules_alone": alone}


def test_a_deployment_leaves_parked_what_somebody_has_parked_also_where_that_broke_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gcp_environment: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    """Against Firestore itself, as its emulator is: what `payin` writes is what the deployment reads."""
    project = gcp_environment["GOOGLE_CLOUD_PROJECT"]
    at, terraform = reaching(World(), tmp_path, monkeypatch)
    monkeypatch.setattr(deploy, "FIRESTORE", f"http://{gcp_environment['FIRESTORE_EMULATOR_HOST']}/v1")
    monkeypatch.setattr(google, "credentials", lambda _: google.Google(project, "owner"))
    monkeypatch.setattr(
        deploy, "setting", lambda env, name, default=None: "(default)" if name.endswith("database") else project
    )
    assert deploy.parked(at) == ()
    ports = connect(settings.read(gcp_environment))
    errand = Errand(who="ana", why="amounts are wrong", what="providers park", at=NOON)
    pushes = Pushes({"record-payment-stripe": "https://r", "score-payment-stripe": "https://s"}, breaks_after=1)
    with pytest.raises(Unavailable):
        park(ports, pushes, "stripe", sorted(pushes.where), errand)
    # The second was written down, and is stopped by the deployment where nobody came to it.
    assert deploy.parked(at) == ("record-payment-stripe", "score-payment-stripe")
    park(ports, Pushes({"fetch-resource-adyen": "https://f"}), "adyen", ["fetch-resource-adyen"], errand)
    at = replace(at, parked=deploy.parked(at))
    terraform.plans = [{"resource_changes": []}]
    deploy.preview(at)
    assert "!! parked, and left so: fetch-resource-adyen, record-payment-stripe" in capsys.readouterr().out
    assert json.loads((tmp_path / "bundles.tfvars.json").read_text())["parked"] == list(at.parked)
    # Whoever lets it go on has all of it pushed, the deployment too.
    with pytest.raises(Unavailable):
        unpark(ports, Pushes({}, breaks_after=0), "stripe", errand)
    assert deploy.parked(at) == ("fetch-resource-adyen",)


def test_where_nobody_says_who_is_parked_nothing_is_deployed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refused = google.Answer(403, {"error": {"message": "Missing permission datastore.entities.get"}})
    at, _ = reaching(World(refuses={"firestore": refused}), tmp_path, monkeypatch)
    with pytest.raises(Stop, match=r"who is parked cannot be read: Missing permission"):
        deploy.parked(at)
    missing = google.Answer(404, {"error": {"message": "The database does not exist"}})
    at, _ = reaching(World(refuses={"firestore": missing}), tmp_path, monkeypatch)
    assert deploy.parked(at) == ()


@pytest.mark.slow
def test_a_dry_run_goes_from_the_first_deployment_to_a_rollback_and_the_end(
    stand_in: tool.StandIn, tmp_path: Path
) -> None:
    for part in ("shared", "functions", "terraform"):
        shutil.copytree(tool.ROOT / part, tmp_path / part, ignore=shutil.ignore_patterns("__pycache__", ".terraform*"))

    # One provider is enough to see everything.
    variables = tmp_path / "terraform" / "envs" / "dev.tfvars"
    variables.write_text(variables.read_text().split("payment_providers")[0] + "payment_providers = { stripe = {} }\n")

    def run(*arguments: str) -> str:
        ran = subprocess.run(
            [sys.executable, "terraform/tools/deploy.py", *arguments, "--dry-run"],
            cwd=tmp_path,
            env={**os.environ, "PAYIN_TERRAFORM_STAND_IN": str(stand_in.folder)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert ran.returncode == 0, ran.stdout + ran.stderr
        return ran.stdout

    first = run("deploy")
    assert "deploy webhook-stripe: new" in first
    assert "would post an unsigned body" in first
    assert "would give" not in first  # nothing served before

    assert "Nothing changes." in run("deploy")

    flow = tmp_path / "shared" / "flows" / "check_deadlines.py"
    flow.write_text(flow.read_text() + "\n# changed\n")
    changed = run("deploy")
    assert re.findall(r"^redeploy (\S+):", changed, re.MULTILINE) == ["check-deadlines"]
    assert "    changed shared/flows/check_deadlines.py" in changed
    assert "would give 100 % to check-deadlines-00002 of check-deadlines" in changed
    assert f"{len(bundle.deployments())} bundles, 1 new" in changed

    planned = run("plan")
    assert "Nothing changes." in planned

    # A provider is parked: a deployment stops what was not stopped yet, and changes nothing about it from then on.
    parked = tmp_path / ".payin" / "dry-run" / "dev" / "bucket" / deploy.PARKED
    parked.write_text(json.dumps(["record-payment-stripe"]))
    stopped = run("deploy")
    assert "!! parked, and left so: record-payment-stripe" in stopped
    assert 'change google_pubsub_subscription.push["record-payment-stripe"]: push_config' in stopped
    assert "Nothing changes." in run("plan")
    parked.unlink()
    assert 'change google_pubsub_subscription.push["record-payment-stripe"]: push_config' in run("deploy")

    # The drill of a restore, as README has it.
    variables.write_text(f'firestore_database = "payin-drill"\n{variables.read_text()}')
    assert "!! replace google_firestore_database.documents: its documents lost" in run("plan")
    assert "dry run: would import projects/payin-dev-example/databases/payin-drill" in run(
        "adopt", "--database", "payin-drill"
    )
    led = run("deploy")
    assert "lost" not in led
    for name in ("record-payment", "score-payment", "track-dispute", "check-deadlines", "train-model"):
        assert f"redeploy {name}: environment PAYIN_FIRESTORE_DATABASE" in led

    back = run("rollback", "--function", "check_deadlines")
    assert "would give 100 % to check-deadlines-00002 of check-deadlines" in back
    assert "would give 100 % to check-deadlines-00001 of" in run("rollback", "--function", "check_deadlines")
    assert "check-deadlines-00003 was taken back and stays so" in run("deploy")
    resumed = run("deploy", "--resume")
    assert "!! check-deadlines: check-deadlines-00003 is rolled out now; 100 % to check-deadlines-00001" in resumed
    assert "would give 100 % to check-deadlines-00003 of check-deadlines" in resumed
    assert "INGRESS_TRAFFIC_INTERNAL_ONLY on webhook-stripe" in run("close", "--provider", "stripe")
    assert "rules alone" in run("scoring", "--model", "none")

    assert "dev is gone" in run("destroy")
