"""What an operator is told and asked, and that a dry run of every command goes from end to end."""

import json
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from shared import providers
from terraform.tools import bundle, deploy, tool
from terraform.tools.deploy import Deployment, Stop, previous, smoke, summary, why
from tests.providers.kits import a_kit
from tests.runtime.test_webhook import Webhook

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
C = replace(B, at="2026-11-03T10:00:00Z", commit="ccc", bundles={**B.bundles, "webhook-stripe": "webhook-stripe-c.zip"})


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


def test_a_rollback_goes_back_and_a_second_one_further_back() -> None:
    assert previous([A, B, C], "webhook-stripe") == B
    rolled_back = replace(B, at="2026-11-04T10:00:00Z", rolled_back="webhook-stripe")
    assert previous([A, B, C, rolled_back], "webhook-stripe") == A


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


def test_what_never_changed_cannot_be_rolled_back() -> None:
    with pytest.raises(Stop, match="no earlier bundle"):
        previous([A, B, C], "score_payment")


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


def test_a_deployment_that_breaks_off_is_on_record_so_that_a_rollback_goes_back_from_it(tmp_path: Path) -> None:
    at = deploy.Target("dev", Breaking(tmp_path), deploy.Folder(tmp_path), tmp_path, dry=True, yes=False, secrets={})
    at.record(A)
    with pytest.raises(tool.Failed):
        deploy._carry_out(at, B, A)
    assert at.latest() == B
    assert previous(at.history(), "webhook-stripe") == A


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

    assert "Nothing changes." in run("deploy")

    flow = tmp_path / "shared" / "flows" / "check_deadlines.py"
    flow.write_text(flow.read_text() + "\n# changed\n")
    changed = run("deploy")
    assert re.findall(r"^redeploy (\S+):", changed, re.MULTILINE) == ["check-deadlines"]
    assert "    changed shared/flows/check_deadlines.py" in changed
    assert f"{len(bundle.deployments())} bundles, 1 new" in changed

    back = run("rollback", "--function", "check_deadlines")
    assert re.findall(r"^redeploy (\S+):", back, re.MULTILINE) == ["check-deadlines"]
    assert "    changed shared/flows/check_deadlines.py" in back

    assert "dev is gone" in run("destroy")
