"""`make plan`, `make deploy`, `make rollback`, `make destroy`, …: from sources to what runs, with one question in between.

plan: say in words what a deployment from here would change, against the real state; nothing is uploaded or written.
deploy: package, upload what is new, plan, say in words what changes and why, ask, record, apply, try it from outside.
An apply that meets what Google has not taken in yet waits and goes on with the rest of what was agreed (transient.py).
What is new gets a share of the requests first, and goes back by itself when it burns an objective (traffic.py).
destroy: everything, but never in prod.
In seconds, without a build and without Terraform: rollback, to the revision that served before; close, one provider's
webhook to the internet; scoring, by rules alone.

The record of a deployment (`deployments/<time>.json` in the bucket of bundles) holds each deployment's bundle and the
hash of every file in it: the next one explains itself by it. `served/<time>.json` holds which revision served each from
then on: a rollback finds its way by it. `held/<revision>` was taken back.
`--dry-run` does all of it against the stand-in provider, with a folder for the bucket; nothing leaves this machine.
"""

import argparse
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from shared import providers, settings  # noqa: E402 - after the path that finds it
from shared.domain.errors import Misconfigured  # noqa: E402
from terraform.tools import bundle, google, tool, traffic, transient  # noqa: E402

CONFIGURATION = ROOT / "terraform"
DRY_RUNS = ROOT / ".payin" / "dry-run"

# What is gone when one of these is deleted or made anew, besides the thing itself.
LOSES = {
    "google_pubsub_subscription": "its backlog",
    "google_pubsub_topic": "a week of messages",
    "google_bigquery_table": "its rows",
    "google_bigquery_dataset": "its tables",
    "google_firestore_database": "its documents",
    "google_storage_bucket": "its objects",
    "google_secret_manager_secret": "its versions",
}
UNCHANGED = (["no-op"], ["read"])

# What a stranger's request meets: a webhook refuses it itself; Google refuses it before a private function.
REFUSED_BY_US = {400, 401}
REFUSED_BY_GOOGLE = {401, 403, 404}


class Stop(Exception):
    """Why nothing is done; a sentence for the operator."""


@dataclass(frozen=True)
class Deployment:
    """What was asked for at `at`, and runs since, as far as the apply came. bundles: deployment to object. files: deployment to path to the SHA-256 of its contents."""

    env: str
    at: str
    commit: str
    bundles: Mapping[str, str]
    files: Mapping[str, Mapping[str, str]] = field(repr=False)


class Shelf(Protocol):
    """Where bundles and records are kept."""

    said: str

    def names(self, prefix: str) -> list[str]:
        """Names that start with `prefix`, sorted."""

    def put(self, file: Path, name: str) -> None: ...

    def read(self, name: str) -> bytes: ...


class Bucket:
    """A Cloud Storage bucket, through the gcloud that the operator is signed in to."""

    def __init__(self, name: str) -> None:
        self.said = f"gs://{name}"

    def exists(self) -> bool:
        found = _ran(["gcloud", "storage", "buckets", "describe", self.said], check=False)
        if found.returncode and "not found" not in found.stderr:
            raise Stop(f"{self.said} cannot be looked at: {found.stderr.strip()}")
        return found.returncode == 0

    def names(self, prefix: str) -> list[str]:
        # No match is an error of gcloud's, and an empty shelf of ours. Any other error must not look like one.
        found = _ran(["gcloud", "storage", "ls", f"{self.said}/{prefix}*"], check=False)
        if found.returncode and "matched no objects" not in found.stderr:
            raise Stop(f"{self.said} cannot be listed: {found.stderr.strip()}")
        return sorted(line.removeprefix(f"{self.said}/") for line in found.stdout.split())

    def put(self, file: Path, name: str) -> None:
        _ran(["gcloud", "storage", "cp", "--no-clobber", str(file), f"{self.said}/{name}"])

    def read(self, name: str) -> bytes:
        return _ran(["gcloud", "storage", "cat", f"{self.said}/{name}"]).stdout.encode()


class Folder:
    """A dry run's bucket."""

    def __init__(self, folder: Path) -> None:
        self.said = str(folder)
        self._folder = folder

    def names(self, prefix: str) -> list[str]:
        files = (path.relative_to(self._folder).as_posix() for path in self._folder.rglob("*") if path.is_file())
        return sorted(name for name in files if name.startswith(prefix))

    def put(self, file: Path, name: str) -> None:
        target = self._folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if not target.exists():
            shutil.copyfile(file, target)

    def read(self, name: str) -> bytes:
        return (self._folder / name).read_bytes()


def _ran(command: Sequence[str], *, check: bool = True) -> "subprocess.CompletedProcess[str]":
    try:
        ran = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        raise Stop(f"{command[0]} is not installed") from error
    if check and ran.returncode:
        raise Stop(f"{' '.join(command[:4])} failed: {ran.stderr.strip()}")
    return ran


@dataclass(frozen=True)
class Target:
    """An environment as it can be reached from here. parked: subscriptions that somebody keeps from being pushed."""

    env: str
    terraform: tool.Terraform
    shelf: Shelf
    scratch: Path
    dry: bool
    yes: bool
    secrets: Mapping[str, str]
    parked: tuple[str, ...] = ()

    def traffic(self) -> "traffic.CloudRun | traffic.Rehearsal":
        """Who is served by what, to be asked and changed. Raises Unanswered."""
        if self.dry:
            return traffic.Rehearsal(Path(self.shelf.said) / "traffic.json")
        asking = google.credentials(setting(self.env, "project"))
        return traffic.CloudRun(asking, setting(self.env, "region", "europe-west1"))

    def served(self) -> list[dict[str, str]]:
        """Service to the revision that served it, after every change, oldest first."""
        return [json.loads(self.shelf.read(name)) for name in self.shelf.names("served/")]

    def note(self, serving: Mapping[str, str]) -> None:
        """Record what serves from now on, if it is not what served before."""
        before = self.served()[-1:] or [{}]
        if (now := {**before[0], **serving}) != before[0]:
            self._put(now, f"served/{_now()}.json")

    def latest(self) -> Deployment | None:
        names = self.shelf.names("deployments/")
        return self._recorded(names[-1]) if names else None

    def _recorded(self, name: str) -> Deployment:
        return Deployment(**json.loads(self.shelf.read(name)))

    def plan(self, bundles: Mapping[str, str], *more: str) -> dict[str, Any]:
        return self.terraform.plan(self.plan_file, *self.variables(bundles), *more)

    def variables(self, bundles: Mapping[str, str]) -> list[str]:
        """Arguments for whatever command evaluates the configuration."""
        file = self.scratch / "bundles.tfvars.json"
        file.write_text(json.dumps({"bundles": dict(bundles), "parked": self.parked}))
        return [f"-var-file=envs/{self.env}.tfvars", f"-var-file={file}"]

    @property
    def plan_file(self) -> Path:
        return self.scratch / "plan"

    def agreed(self) -> None:
        """Raises Stop unless the operator wants it."""
        if self.dry or self.yes:
            print("dry run: nobody is asked" if self.dry else "YES=1: nobody is asked")
        elif input(f"Type {self.env} to apply: ").strip() != self.env:
            raise Stop("nothing was changed")

    def apply(self) -> None:
        # Terraform's own lines: an apply takes minutes, and its operator wants to see where it is.
        self.terraform.run("apply", "-no-color", str(self.plan_file), quiet=self.dry)

    def applied(
        self,
        agreed: Mapping[str, Any],
        bundles: Mapping[str, str],
        *more: str,
        between: Callable[[], object] = lambda: None,
    ) -> None:
        """Apply the plan that was agreed to. What Google has not taken in yet is waited for, at most 18 minutes in all, and
        what is left of the plan is applied then, after `between`; anything beyond it, or any other error, ends it. Raises
        Stop, Failed."""
        for wait in (*transient.WAITS, None):
            try:
                self.apply()
                return
            except tool.Failed as failed:
                why = transient.reasons(str(failed))
                if not why or wait is None:
                    raise
            print(f"not yet: {'; '.join(why)}. It goes on by itself in {wait} seconds", flush=True)
            time.sleep(wait)
            between()
            if beyond := transient.beyond(agreed, self.plan(bundles, *more)):
                raise Stop(f"after what broke off, a plan would do what was not agreed to: {', '.join(beyond)}")

    def record(self, deployment: Deployment) -> None:
        self._put(asdict(deployment), f"deployments/{deployment.at}.json")

    def held(self) -> set[str]:
        """Revisions that were taken back, and wait for whoever mends them."""
        return {name.removeprefix("held/") for name in self.shelf.names("held/")}

    def hold(self, revision: str) -> None:
        self._put({}, f"held/{revision}")

    def _put(self, document: Mapping[str, Any], name: str) -> None:
        file = self.scratch / "record.json"
        file.write_text(json.dumps(document, indent=1, sort_keys=True))
        self.shelf.put(file, name)


@contextmanager
def target(env: str, *, dry: bool, yes: bool, secrets: Path | None, plans: bool = True) -> Iterator[Target]:
    """Everything ready in `env`, and to plan there if it `plans`. Raises Stop, or tool.Missing."""
    if not (CONFIGURATION / "envs" / f"{env}.tfvars").exists():
        raise Stop(f"there is no terraform/envs/{env}.tfvars")
    given = checked_secrets(secrets)
    # Terraform's own way in for a value that must be in no file and no argument list.
    extra = {"TF_VAR_secret_values": json.dumps(given)} if given else {}
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        if dry and not plans:
            terraform = tool.Terraform(CONFIGURATION)
            shelf: Shelf = Folder(DRY_RUNS / env / "bucket")
        elif dry:
            found = tool.choose(dry_run=True)
            assert isinstance(found, tool.StandIn)
            home = DRY_RUNS / env
            home.mkdir(parents=True, exist_ok=True)
            copy = tool.copy_of(ROOT, scratch / "copy")
            terraform = tool.with_stand_in(found, copy, scratch, home / "terraform.tfstate").told(extra)
            shelf = Folder(home / "bucket")
            print(f"dry run: {found.said}, {home.relative_to(ROOT)} for the bucket and the state")
        else:
            terraform = tool.Terraform(CONFIGURATION, extra)
            if plans:
                terraform.run("init", "-no-color", "-reconfigure", f"-backend-config=envs/{env}.gcs.tfbackend")
            shelf = Bucket(f"{setting(env, 'project')}-payin-source")
        yield Target(env, terraform, shelf, scratch, dry, yes, given)


def has_key(env: str) -> bool:
    """Whether a key of one's own lies over what is kept, which further agents use then."""
    return (
        re.search(r'^kms_key\s*=\s*"', (CONFIGURATION / "envs" / f"{env}.tfvars").read_text(), re.MULTILINE) is not None
    )


def has_console(env: str) -> bool:
    """Whether pages for people are deployed, before which Identity-Aware Proxy stands."""
    return (
        re.search(r"^console\s*=\s*\{", (CONFIGURATION / "envs" / f"{env}.tfvars").read_text(), re.MULTILINE)
        is not None
    )


def setting(env: str, name: str, default: str | None = None) -> str:
    """A plain text in the environment's file."""
    text = (CONFIGURATION / "envs" / f"{env}.tfvars").read_text()
    found = re.search(rf'^{name}\s*=\s*"([^"]*)"', text, re.MULTILINE)
    if not found and default is None:
        raise Stop(f"{name} is not set in terraform/envs/{env}.tfvars")
    return found[1] if found else default or ""


def checked_secrets(file: Path | None) -> dict[str, str]:
    """Variable to its JSON, from a file of `{"WEBHOOK_<PROVIDER>": {...}, "API_<PROVIDER>": {...}, …}`; each proven to be
    one that its function starts with. Raises Stop, without showing any of it."""
    if file is None:
        return {}
    try:
        read_in = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise Stop(f"{file} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise Stop(f"{file} is no UTF-8 text") from error
    except json.JSONDecodeError as error:
        raise Stop(f"{file} is no JSON, from line {error.lineno}, column {error.colno} on: {error.msg}") from error
    if not isinstance(read_in, dict):
        raise Stop(f'{file} is no object of {{"WEBHOOK_<PROVIDER>": {{...}}, ...}}')
    given = {name: secret if isinstance(secret, str) else json.dumps(secret) for name, secret in read_in.items()}
    for variable, text in given.items():
        kind, _, provider = variable.partition("_")
        try:
            read = settings.read({variable: text})
            match kind:
                case "WEBHOOK":
                    providers.load(provider.lower()).check_credentials(read.credentials(provider.lower()))
                case "API":
                    read.api(provider.lower())
                case "PAYIN" if variable == "PAYIN_PSEUDONYM_KEYS":
                    read.keyring()
                case "PAYIN" if variable == "PAYIN_CONSOLE_KEY":
                    settings.console_key(read.environment)
                case _:
                    raise Stop(
                        f"{file}: {variable} is neither WEBHOOK_<PROVIDER>, API_<PROVIDER>, PAYIN_PSEUDONYM_KEYS nor"
                        " PAYIN_CONSOLE_KEY"
                    )
        except Misconfigured as error:
            raise Stop(f"{file}: {error}") from error
    return given


# Saying what a plan means.


def digests(function: str) -> dict[str, str]:
    return {name: hashlib.sha256(data).hexdigest()[:16] for name, data in bundle.files(function).items()}


def why(before: Mapping[str, str] | None, after: Mapping[str, str]) -> list[str]:
    """What differs between two bundles, file by file."""
    if before is None:
        return ["no record of what it had before"]
    return [
        f"{'new' if name not in before else 'gone' if name not in after else 'changed'} {name}"
        for name in sorted({*before, *after})
        if before.get(name) != after.get(name)
    ]


def summary(plan: Mapping[str, Any], before: Deployment | None, after: Deployment) -> list[str]:
    """The plan in words: functions with the reason, then everything that is lost, then the rest by count."""
    changes = [one for one in plan.get("resource_changes", ()) if one["change"]["actions"] not in UNCHANGED]
    if not changes:
        return ["Nothing changes."]
    lines: list[str] = []
    rest: Counter[str] = Counter()
    for one in changes:
        verb = _verb(one["change"]["actions"])
        if verb in ("delete", "replace"):
            lines.append(
                f"!! {verb} {one['address']}" + (f": {LOSES[one['type']]} lost" if one["type"] in LOSES else "")
            )
        if one["type"] == "google_cloudfunctions2_function" and verb != "delete":
            lines += _function(one["change"], before, after)
        elif verb == "change":
            lines.append(f"change {one['address']}: {', '.join(_differing(one['change']))}")
        elif verb == "create":
            rest[one["type"].removeprefix("google_")] += 1
    if rest:
        lines.append("create " + ", ".join(f"{count} {kind}" for kind, count in sorted(rest.items())))
    totals = Counter(_verb(one["change"]["actions"]) for one in changes)
    return [*lines, "In all: " + ", ".join(f"{count} to {verb}" for verb, count in sorted(totals.items()))]


def _verb(actions: Sequence[str]) -> str:
    return "replace" if len(actions) == 2 else "change" if actions[0] == "update" else actions[0]


def _differing(change: Mapping[str, Any]) -> list[str]:
    before, after = change.get("before") or {}, change.get("after") or {}
    return sorted(name for name in {*before, *after} if before.get(name) != after.get(name)) or [
        "what is known after apply"
    ]


def _function(change: Mapping[str, Any], before: Deployment | None, after: Deployment) -> Iterator[str]:
    new = change["after"]
    if not change.get("before"):
        yield f"deploy {new['name']}: new"
        return
    old = change["before"]
    here, there = (one["build_config"][0]["source"][0]["storage_source"][0]["object"] for one in (old, new))
    if here != there:
        function = there.rpartition("-")[0]
        known = before.files.get(function) if before and before.bundles.get(function) == here else None
        yield f"redeploy {new['name']}: {here} -> {there}"
        yield from (f"    {line}" for line in why(known, after.files[function]))
    settings_before, settings_after = ({**one["build_config"][0], **one["service_config"][0]} for one in (old, new))
    for name in sorted({*settings_before, *settings_after} - {"source"}):
        was, will = settings_before.get(name), settings_after.get(name)
        if name == "environment_variables":
            told = sorted(key for key in {*(was or {}), *(will or {})} if (was or {}).get(key) != (will or {}).get(key))
            if told:
                yield f"redeploy {new['name']}: environment {', '.join(told)}"
        elif was != will and will is not None:
            yield f"redeploy {new['name']}: {name} {was} -> {will}"
    for name in sorted(set(new) - {"build_config", "service_config", "effective_labels", "terraform_labels"}):
        if new[name] is not None and new[name] != old.get(name):
            yield f"redeploy {new['name']}: {name}"


# Commands.


def preview(at: Target) -> None:
    """What `deploy` would do, from the real state; nothing is uploaded, asked, recorded or applied."""
    now = Deployment(at.env, _now(), _commit(), bundle.names(), {one: digests(one) for one in bundle.deployments()})
    before = at.latest() if not isinstance(at.shelf, Bucket) or at.shelf.exists() else None
    plan = at.plan(now.bundles)
    _tell_parked(at)
    print(*summary(plan, before, now), sep="\n")
    if missing := _unset_secrets(plan, at.secrets):
        print(f"a deployment would need SECRETS=<file> with {', '.join(missing)}")


@dataclass(frozen=True)
class Pace:
    """How what is new is rolled out: see traffic.roll_out. resumes: what was taken back too."""

    share: int = traffic.SHARE
    watched: timedelta = traffic.WATCHED
    resumes: bool = False


def deploy(at: Target, pace: Pace) -> None:
    folder = ROOT / ".payin" / "bundles"
    folder.mkdir(parents=True, exist_ok=True)
    files = {function: bundle.write(function, folder) for function in bundle.deployments()}
    now = Deployment(
        at.env,
        _now(),
        _commit(),
        {function: path.name for function, path in files.items()},
        {function: digests(function) for function in files},
    )
    _prepared(at, now.bundles)
    there = set(at.shelf.names(""))
    fresh = [path for path in files.values() if path.name not in there]
    for path in fresh:
        at.shelf.put(path, path.name)
    print(f"{len(files)} bundles, {len(fresh)} new in {at.shelf.said}")
    _carry_out(at, now, at.latest(), pace)


def rollback(at: Target, deployment: str) -> None:
    """Everything to the revision that served before: its code, its settings and the versions of its secrets."""
    if deployment not in bundle.deployments():
        raise Stop(f"there is no {deployment!r}: {', '.join(bundle.deployments())}")
    name, run = deployment.replace("_", "-"), at.traffic()
    service = run.services([name]).get(name)
    if service is None:
        raise Stop(f"{name} is not deployed to {at.env}")
    former = traffic.former(at.served(), service)
    print(f"{name}: {traffic.told(service.shares)} now; 100 % to {former} then")
    at.agreed()
    run.move({name: {former: 100}})
    at.note({name: former})
    at.hold(service.latest)
    print(f"{former} serves {name}")


def close(at: Target, provider: str, *, again: bool = False) -> None:
    """Shut the internet out of a provider's webhook, or let it in `again`."""
    name, run = f"webhook-{provider.replace('_', '-')}", at.traffic()
    service = run.services([name]).get(name)
    if service is None:
        raise Stop(f"{name} is not deployed to {at.env}")
    print(
        f"{name} is {'opened again' if again else 'closed: strangers get 404 from Google, and the provider tries again'}"
    )
    at.agreed()
    run.admit(name, _ingress(at.env) if again else "INGRESS_TRAFFIC_INTERNAL_ONLY")
    if not (at.dry or again) and (status := answer(f"{service.uri}/{provider}", REFUSED_BY_GOOGLE)) not in {403, 404}:
        raise Stop(f"{name} is closed and answers {status} all the same: look at it")
    print(f"say enabled = {str(again).lower()} in terraform/envs/{at.env}.tfvars, or the next deployment undoes it")


def _ingress(env: str) -> str:
    """From where an open webhook takes requests."""
    edge = re.search(r"^edge\s*=\s*\{", (CONFIGURATION / "envs" / f"{env}.tfvars").read_text(), re.MULTILINE)
    return "INGRESS_TRAFFIC_INTERNAL_LOAD_BALANCER" if edge else "INGRESS_TRAFFIC_ALL"


FIRESTORE = "https://firestore.googleapis.com/v1"


def scoring(at: Target, model: str) -> None:
    """By rules alone ("none"), or by the champion again: said in the registry, at which every instance looks once a minute.
    https://cloud.google.com/firestore/docs/reference/rest/v1/projects.databases.documents/patch"""
    project, database = setting(at.env, "project"), setting(at.env, "firestore_database", "payin")
    print(f"{at.env} scores by {'rules alone' if model == 'none' else 'the champion'} within a minute")
    at.agreed()
    if at.dry:
        return
    document = f"{FIRESTORE}/projects/{project}/databases/{database}/documents/registry/champion"
    said = google.credentials(project).ask(
        "PATCH",
        f"{document}?updateMask.fieldPaths=rules_alone&currentDocument.exists=true",
        {"fields": {"rules_alone": {"booleanValue": model == "none"}}},
    )
    if said.status == 404:
        raise Stop("there is no champion: rules decide already")
    if said.status != 200:
        raise Stop(f"the registry was not changed: {said.message}")


PARKED = "parked.json"


def parked(at: Target) -> tuple[str, ...]:
    """Subscriptions that `payin providers park` has stopped and nobody lets go on: a deployment leaves them as they are, and
    says so. Of each it is written down before it is stopped (shared/operations/parking.py), so that what was parked in part
    is known too. Raises Stop where the registry cannot be read: to push what is parked cannot be taken back.
    https://cloud.google.com/firestore/docs/reference/rest/v1/projects.databases.documents/batchGet"""
    if at.dry:
        return tuple(json.loads(at.shelf.read(PARKED))) if at.shelf.names(PARKED) else ()
    project, database = setting(at.env, "project"), setting(at.env, "firestore_database", "payin")
    documents = f"projects/{project}/databases/{database}/documents"
    said = google.credentials(project).ask(
        "POST",
        f"{FIRESTORE}/{documents}:batchGet",
        {"documents": [f"{documents}/registry/parked:{one}" for one in providers.names()]},
    )
    if said.status == 404:  # before the first deployment there is no database
        return ()
    if said.status != 200:
        raise Stop(f"who is parked cannot be read: {said.message}")
    found = [one["found"]["fields"] for one in said.document.get("items", ()) if "found" in one]
    kept = [fields for fields in found if fields.get("ending", {}).get("timestampValue") is None]
    return tuple(sorted(name for fields in kept for name in fields["pushes"]["mapValue"].get("fields", {})))


def _tell_parked(at: Target) -> None:
    if at.parked:
        print(f"!! parked, and left so: {', '.join(at.parked)} (payin providers unpark lets them go on)")


def adopt(at: Target, database: str) -> None:
    """Take `database`, which a restore has made, into the state in the place of the one that ran. That one stays in the
    project, with its documents, and is no longer Terraform's; `deploy` then leads everybody to the other."""
    if setting(at.env, "firestore_database", "payin") != database:
        raise Stop(f'first set firestore_database = "{database}" in terraform/envs/{at.env}.tfvars')
    ours = (
        "google_firestore_database.",
        "google_firestore_backup_schedule.",
        "google_firestore_field.",
        "google_firestore_index.",
    )
    former = [one for one in at.terraform.run("state", "list", quiet=True).stdout.split() if one.startswith(ours)]
    print(f"{database} is taken into the state; {len(former)} entries of the former database leave it, none is deleted")
    at.agreed()
    if former:
        at.terraform.run("state", "rm", *former)
    name = f"projects/{setting(at.env, 'project')}/databases/{database}"
    if at.dry:
        print(f"dry run: would import {name}")
    else:
        at.terraform.run(
            "import", "-no-color", *at.variables(bundle.names()), "google_firestore_database.documents", name
        )
    print(f"adopted; make deploy ENV={at.env} leads every function to it")


def budget(at: Target) -> None:
    """The budget, in a state of its own, so that nobody else needs a role on the billing account."""
    folder = CONFIGURATION / "budget"
    if not (folder / f"{at.env}.tfvars").exists():
        raise Stop(f"there is no terraform/budget/{at.env}.tfvars, so {at.env} has no budget")
    if at.dry:
        raise Stop("a budget has no dry run; make terraform-check plans it")
    terraform = tool.Terraform(folder)
    backend = (f"-backend-config=../envs/{at.env}.gcs.tfbackend", f"-backend-config=prefix=pay-in/{at.env}-budget")
    terraform.run("init", "-no-color", "-reconfigure", *backend)
    told = {"env": at.env, "project": setting(at.env, "project"), "project_number": setting(at.env, "project_number")}
    channels = json.dumps(at.terraform.output().get("channels", []))
    variables = [f"-var={name}={value}" for name, value in told.items()]
    plan = terraform.plan(at.plan_file, f"-var-file={at.env}.tfvars", *variables, f"-var=channels={channels}")
    print(*summary(plan, None, Deployment(at.env, "", "", {}, {})), sep="\n")
    at.agreed()
    terraform.run("apply", "-no-color", str(at.plan_file), quiet=False)


def destroy(at: Target) -> None:
    latest = at.latest()
    bundles = latest.bundles if latest else bundle.names()
    plan = at.plan(bundles, "-destroy")
    print(*summary(plan, None, Deployment(at.env, _now(), "", bundles, {})), sep="\n")
    at.agreed()
    at.applied(plan, bundles, "-destroy")
    print(f"{at.env} is gone")


def _carry_out(at: Target, now: Deployment, before: Deployment | None, pace: Pace) -> None:
    plan = at.plan(now.bundles)
    _tell_parked(at)
    print(*summary(plan, before, now), sep="\n")
    if missing := _unset_secrets(plan, at.secrets):
        sentence = f"a new secret version needs SECRETS=<file> with {', '.join(missing)}; see terraform/README.md"
        if not at.dry:
            raise Stop(sentence)
        print(f"dry run: {sentence}")
    run, changes = at.traffic(), _functions(plan)
    there = [change["before"]["name"] for change in changes if change.get("before")]
    names = [change["after"]["name"] for change in changes if change.get("after")]
    held = set() if pace.resumes else at.held()
    behind = traffic.behind(run, there)
    for one in behind:
        word = "was taken back and stays so without RESUME=1" if one.latest in held else "is rolled out now"
        print(f"!! {one.name}: {one.latest} {word}; {traffic.told(one.shares)}")
    changing = any(one["change"]["actions"] not in UNCHANGED for one in plan.get("resource_changes", ()))
    if changing or any(one.latest not in held for one in behind):
        at.agreed()
    if changing:
        # Before, not after: an apply that breaks off has replaced some functions, and the next one explains itself by it.
        at.record(now)
        traffic.pin(run, there)
        # A new function follows its latest revision until it is pinned, and unpinned would be changed, and built, again.
        at.applied(plan, now.bundles, between=lambda: traffic.pin(at.traffic(), names))
    if isinstance(run, traffic.Rehearsal):
        run.made(change["after"]["name"] for change in changes if change["actions"] not in (*UNCHANGED, ["delete"]))
    outputs = at.terraform.output()
    _set_invoker_checks(at, outputs)
    _set_proxy(at, outputs)
    # Asked anew: an apply may last longer than a token.
    watched = timedelta() if at.dry else pace.watched
    try:
        at.note(traffic.roll_out(at.traffic(), names, share=pace.share, watched=watched, held=held))
    except traffic.Burned as burned:
        at.hold(burned.revision)
        raise
    smoke(outputs, dry=at.dry)


def _functions(plan: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """What becomes of each function, of those too of which nothing does."""
    changes = plan.get("resource_changes", ())
    return [one["change"] for one in changes if one["type"] == "google_cloudfunctions2_function"]


def _set_invoker_checks(at: Target, outputs: Mapping[str, Any]) -> None:
    """Where allUsers may not be granted, open webhooks are not asked who calls them. Only the service below a function has
    that switch (terraform-provider-google #23360), so Terraform cannot hold it and every deployment sets it again.
    https://cloud.google.com/run/docs/authenticating/public"""
    if outputs["webhook_access"] != "unchecked":
        return
    for provider, service in outputs["services"].items():
        switch = "--no-invoker-iam-check" if provider in outputs["enabled"] else "--invoker-iam-check"
        place = [f"--region={outputs['region']}", f"--project={setting(at.env, 'project')}"]
        if at.dry:
            print(f"dry run: would set {switch} on {service}")
        else:
            _ran(["gcloud", "run", "services", "update", service, switch, *place, "--quiet"])


def _set_proxy(at: Target, outputs: Mapping[str, Any]) -> None:
    """Identity-Aware Proxy stands before the console. Only the service below a function has that switch, as above; until it is
    set the console lets nobody in, for it proves the proxy's word itself.
    https://cloud.google.com/run/docs/securing/identity-aware-proxy-cloud-run"""
    if (console := outputs.get("console")) is None:
        return
    place = [f"--region={outputs['region']}", f"--project={setting(at.env, 'project')}"]
    if at.dry:
        print(f"dry run: would set --iap on {console['service']}")
    else:
        _ran(["gcloud", "run", "services", "update", console["service"], "--iap", *place, "--quiet"])


def _unset_secrets(plan: Mapping[str, Any], given: Mapping[str, str]) -> list[str]:
    """Variables whose secret gets a version in this plan and of which no value was given."""
    created = (
        one["index"].split("/")[0]
        for one in plan.get("resource_changes", ())
        if one["type"] == "google_secret_manager_secret_version" and "create" in one["change"]["actions"]
    )
    return sorted(set(created) - set(given))


# Made before the bundles are uploaded: their bucket, and what builds need time to be granted.
FIRST = (
    "google_storage_bucket.source",
    "google_project_iam_member.build",
    "google_project_iam_member.build_source",
    "google_storage_bucket_iam_member.build",
    "google_artifact_registry_repository_iam_member.build",
)


def _prepared(at: Target, bundles: Mapping[str, str]) -> None:
    """The first deployment's bucket must exist before its bundles, and the bundles before everything else. Pub/Sub's agent
    must exist before anything is granted to it, and is made once its API is enabled."""
    if not isinstance(at.shelf, Bucket):
        return
    if not at.shelf.exists():
        first = [f"-target={address}" for address in FIRST]
        plan = at.plan(bundles, *first)
        print(
            "First the bucket for the bundles:", *summary(plan, None, Deployment(at.env, "", "", bundles, {})), sep="\n"
        )
        at.agreed()
        at.applied(plan, bundles, *first)
    asking = google.credentials(setting(at.env, "project"))
    number = setting(at.env, "project_number")
    asking.make_agent(number, "pubsub.googleapis.com")
    if has_console(at.env):
        asking.make_agent(number, "iap.googleapis.com")
    if has_key(at.env):
        asking.make_agents_of_a_key(number)


def smoke(outputs: Mapping[str, Any], *, dry: bool) -> None:
    """Ask as a stranger: webhooks must refuse an unsigned body, all else must not even be reached. Raises Stop."""
    opened = set(outputs["enabled"])
    asked = [(url, REFUSED_BY_US if name in opened else REFUSED_BY_GOOGLE) for name, url in outputs["webhooks"].items()]
    asked += [(url, REFUSED_BY_GOOGLE) for url in outputs["private"].values()]
    wrong = []
    for url, expected in asked:
        if dry:
            print(f"dry run: would post an unsigned body to {url} and want {sorted(expected)}")
        elif (status := answer(url, expected)) not in expected:
            wrong.append(f"{url} answered {status}, not one of {sorted(expected)}")
    if wrong:
        raise Stop("deployed, but: " + "; ".join(wrong))
    if not dry:
        print(f"smoke test: {len(asked)} endpoints refuse strangers as they should")


def answer(url: str, expected: set[int], patience: float = 60.0) -> int:
    """The status of an unsigned post, asked again for `patience` seconds while it is not expected: grants and load
    balancers take a while."""
    until = time.monotonic() + patience
    while True:
        request = urllib.request.Request(url, data=b"{}", method="POST")  # noqa: S310 - our own https outputs
        try:
            with urllib.request.urlopen(request, timeout=10) as response:  # noqa: S310
                status = response.status
        except urllib.error.HTTPError as error:
            status = error.code
        except urllib.error.URLError:
            status = 0
        if status in expected or time.monotonic() > until:
            return int(status)
        time.sleep(min(3.0, patience / 5))


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _commit() -> str:
    """The commit that this is, with a mark if files differ from it."""
    if not shutil.which("git"):
        return "unknown"
    said = subprocess.run(
        ["git", "-C", str(ROOT), "describe", "--always", "--dirty", "--exclude=*"],
        capture_output=True,
        text=True,
        check=False,
    )
    return said.stdout.strip() or "unknown"


PLANNING = ("plan", "deploy", "adopt", "budget", "destroy")
AT_ONCE = ("rollback", "close", "scoring")


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("command", choices=[*PLANNING, *AT_ONCE])
    parser.add_argument("--env", default="dev", choices=["dev", "prod"])
    parser.add_argument("--function", help="of a rollback: score_payment, webhook-stripe")
    parser.add_argument("--provider", help="to close")
    parser.add_argument("--again", action="store_true", help="open what was closed")
    parser.add_argument("--model", choices=["none", "champion"], help="to score by")
    parser.add_argument(
        "--share", type=int, choices=range(1, 101), default=traffic.SHARE, metavar="1..100", help="per cent"
    )
    parser.add_argument("--resume", action="store_true", help="roll out what was taken back too")
    parser.add_argument("--minutes", type=float, default=traffic.WATCHED.seconds / 60, help="for which it is watched")
    parser.add_argument("--database", help="that a restore made, to adopt")
    parser.add_argument("--secrets", type=Path, help='a file of {"WEBHOOK_<PROVIDER>": {...}} for new secret versions')
    parser.add_argument(
        "--dry-run", action="store_true", help="against the stand-in provider; nothing leaves this machine"
    )
    parser.add_argument("--yes", action="store_true", help="do not ask")
    told = parser.parse_args(arguments)
    # Whatever ends this, what has begun to be rolled out goes back.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        if told.command == "destroy" and told.env == "prod":
            raise Stop("prod is never destroyed from here")
        if told.command == "rollback" and not told.function:
            raise Stop("say which function: make rollback FN=score_payment, or FN=webhook-stripe")
        if told.command == "close" and not told.provider:
            raise Stop("say which provider: make close PROVIDER=stripe")
        if told.command == "scoring" and not told.model:
            raise Stop("say by what: make scoring MODEL=none, or MODEL=champion")
        if told.command == "adopt" and not told.database:
            raise Stop("say which database: make adopt DATABASE=payin-20261126")
        plans = told.command in PLANNING
        with target(told.env, dry=told.dry_run, yes=told.yes, secrets=told.secrets, plans=plans) as at:
            match told.command:
                case "plan":
                    preview(replace(at, parked=parked(at)))
                case "deploy":
                    deploy(
                        replace(at, parked=parked(at)), Pace(told.share, timedelta(minutes=told.minutes), told.resume)
                    )
                case "rollback":
                    rollback(at, told.function)
                case "close":
                    close(at, told.provider, again=told.again)
                case "scoring":
                    scoring(at, told.model)
                case "adopt":
                    adopt(at, told.database)
                case "budget":
                    budget(at)
                case _:
                    destroy(at)
    except tool.Missing as missing:
        print(f"stopped, and nothing was done: {missing}", file=sys.stderr)
        return tool.UNAVAILABLE
    except KeyboardInterrupt:
        print("stopped: broken off", file=sys.stderr)
        return 1
    except (Stop, google.Unanswered, tool.Failed, traffic.Burned, traffic.NoFormer) as stop:
        print(f"stopped: {google.explained(str(stop))}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    os.chdir(ROOT)
    sys.exit(main(sys.argv[1:]))
