"""`make deploy`, `make rollback`, `make destroy`: from sources to what runs, with one question in between.

deploy: package, upload what is new, plan, say in words what changes and why, ask, record, apply, try it from outside.
rollback: the same with the bundle that one function had before. destroy: everything, but never in prod.

The record of a deployment (`deployments/<time>.json` in the bucket of bundles) holds each function's bundle and the
hash of every file in it: the next deployment explains itself by it, and a rollback finds its way by it.
`--dry-run` does all of it against the stand-in provider, with a folder for the bucket; nothing leaves this machine.
"""

import argparse
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from shared import providers, settings  # noqa: E402 - after the path that finds it
from shared.domain.errors import Misconfigured  # noqa: E402
from terraform.tools import bundle, tool  # noqa: E402

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
    """What was asked for at `at`, and runs since, as far as the apply came. bundles: function to object. files: function to path to the SHA-256 of its contents."""

    env: str
    at: str
    commit: str
    bundles: Mapping[str, str]
    files: Mapping[str, Mapping[str, str]] = field(repr=False)
    rolled_back: str | None = None


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
        return _ran(["gcloud", "storage", "buckets", "describe", self.said], check=False).returncode == 0

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
    """An environment as it can be reached from here."""

    env: str
    terraform: tool.Terraform
    shelf: Shelf
    scratch: Path
    dry: bool
    yes: bool
    secrets: Mapping[str, str]

    def history(self) -> list[Deployment]:
        """Every deployment, oldest first."""
        return [self._recorded(name) for name in self.shelf.names("deployments/")]

    def latest(self) -> Deployment | None:
        names = self.shelf.names("deployments/")
        return self._recorded(names[-1]) if names else None

    def _recorded(self, name: str) -> Deployment:
        return Deployment(**json.loads(self.shelf.read(name)))

    def plan(self, bundles: Mapping[str, str], *more: str) -> dict[str, Any]:
        file = self.scratch / "bundles.tfvars.json"
        file.write_text(json.dumps({"bundles": dict(bundles)}))
        return self.terraform.plan(self.plan_file, f"-var-file=envs/{self.env}.tfvars", f"-var-file={file}", *more)

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

    def record(self, deployment: Deployment) -> None:
        file = self.scratch / "deployment.json"
        file.write_text(json.dumps(asdict(deployment), indent=1, sort_keys=True))
        self.shelf.put(file, f"deployments/{deployment.at}.json")


@contextmanager
def target(env: str, *, dry: bool, yes: bool, secrets: Path | None) -> Iterator[Target]:
    """Everything ready to plan in `env`. Raises Stop, or tool.Missing."""
    if not (CONFIGURATION / "envs" / f"{env}.tfvars").exists():
        raise Stop(f"there is no terraform/envs/{env}.tfvars")
    given = checked_secrets(secrets)
    # Terraform's own way in for a value that must be in no file and no argument list.
    extra = {"TF_VAR_secret_values": json.dumps(given)} if given else {}
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        if dry:
            found = tool.choose(dry_run=True)
            assert isinstance(found, tool.StandIn)
            home = DRY_RUNS / env
            home.mkdir(parents=True, exist_ok=True)
            copy = tool.copy_of(ROOT, scratch / "copy")
            terraform = tool.with_stand_in(found, copy, scratch, home / "terraform.tfstate").told(extra)
            shelf: Shelf = Folder(home / "bucket")
            print(f"dry run: {found.said}, {home.relative_to(ROOT)} for the bucket and the state")
        else:
            terraform = tool.Terraform(CONFIGURATION, extra)
            terraform.run("init", "-no-color", "-reconfigure", f"-backend-config=envs/{env}.gcs.tfbackend")
            shelf = Bucket(f"{setting(env, 'project')}-payin-source")
        yield Target(env, terraform, shelf, scratch, dry, yes, given)


def setting(env: str, name: str) -> str:
    """A plain text in the environment's file."""
    text = (CONFIGURATION / "envs" / f"{env}.tfvars").read_text()
    found = re.search(rf'^{name}\s*=\s*"([^"]*)"', text, re.MULTILINE)
    if not found:
        raise Stop(f"{name} is not set in terraform/envs/{env}.tfvars")
    return found[1]


def checked_secrets(file: Path | None) -> dict[str, str]:
    """Variable to its JSON, from a file of `{"WEBHOOK_<PROVIDER>": {...}, "API_<PROVIDER>": {...}, …}`; each proven to be
    one that its function starts with. Raises Stop, without showing any of it."""
    if file is None:
        return {}
    given = {name: json.dumps(secret) for name, secret in json.loads(file.read_text()).items()}
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
                case _:
                    raise Stop(
                        f"{file}: {variable} is neither WEBHOOK_<PROVIDER>, API_<PROVIDER> nor PAYIN_PSEUDONYM_KEYS"
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
    function = new["build_config"][0]["entry_point"]
    if not change.get("before"):
        yield f"deploy {new['name']}: new"
        return
    old = change["before"]
    here, there = (one["build_config"][0]["source"][0]["storage_source"][0]["object"] for one in (old, new))
    if here != there:
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


def deploy(at: Target) -> None:
    folder = ROOT / ".payin" / "bundles"
    folder.mkdir(parents=True, exist_ok=True)
    files = {function: bundle.write(function, folder) for function in bundle.functions()}
    now = Deployment(
        at.env,
        _now(),
        _commit(),
        {function: path.name for function, path in files.items()},
        {function: digests(function) for function in files},
    )
    _bucket(at, now.bundles)
    there = set(at.shelf.names(""))
    fresh = [path for path in files.values() if path.name not in there]
    for path in fresh:
        at.shelf.put(path, path.name)
    print(f"{len(files)} bundles, {len(fresh)} new in {at.shelf.said}")
    _carry_out(at, now, at.latest())


def rollback(at: Target, function: str) -> None:
    if function not in bundle.functions():
        raise Stop(f"there is no function {function!r}: {', '.join(bundle.functions())}")
    history = at.history()
    if not history:
        raise Stop(f"nothing was ever deployed to {at.env} from here")
    current = history[-1]
    earlier = previous(history, function)
    if earlier.bundles[function] not in at.shelf.names(function):
        raise Stop(
            f"{earlier.bundles[function]} is no longer in {at.shelf.said}: check out {earlier.commit} and deploy"
        )
    now = Deployment(
        at.env,
        _now(),
        current.commit,
        {**current.bundles, function: earlier.bundles[function]},
        {**current.files, function: earlier.files[function]},
        rolled_back=function,
    )
    print(f"{function} as it was deployed at {earlier.at} from {earlier.commit}; the configuration stays as it is here")
    _carry_out(at, now, current)


def previous(history: Sequence[Deployment], function: str) -> Deployment:
    """The deployment that brought the bundle which ran before the current one first came. So a second rollback goes
    one further back and never forward again. Raises Stop."""
    current = history[-1].bundles.get(function)
    first = next(index for index, one in enumerate(history) if one.bundles.get(function) == current)
    before = [one for one in history[:first] if function in one.bundles]
    if not before:
        raise Stop(f"{function} has no earlier bundle than {current}")
    return before[-1]


def destroy(at: Target) -> None:
    latest = at.latest()
    bundles = latest.bundles if latest else bundle.names()
    plan = at.plan(bundles, "-destroy")
    print(*summary(plan, None, Deployment(at.env, _now(), "", bundles, {})), sep="\n")
    at.agreed()
    at.apply()
    print(f"{at.env} is gone")


def _carry_out(at: Target, now: Deployment, before: Deployment | None) -> None:
    plan = at.plan(now.bundles)
    print(*summary(plan, before, now), sep="\n")
    if missing := _unset_secrets(plan, at.secrets):
        sentence = f"a new secret version needs SECRETS=<file> with {', '.join(missing)}; see terraform/README.md"
        if not at.dry:
            raise Stop(sentence)
        print(f"dry run: {sentence}")
    if any(one["change"]["actions"] not in UNCHANGED for one in plan.get("resource_changes", ())):
        at.agreed()
        # Before, not after: an apply that breaks off has replaced some functions, and a rollback must go back from them.
        at.record(now)
        at.apply()
    smoke(at.terraform.output(), dry=at.dry)


def _unset_secrets(plan: Mapping[str, Any], given: Mapping[str, str]) -> list[str]:
    """Variables whose secret gets a version in this plan and of which no value was given."""
    created = (
        one["index"].split("/")[0]
        for one in plan.get("resource_changes", ())
        if one["type"] == "google_secret_manager_secret_version" and "create" in one["change"]["actions"]
    )
    return sorted(set(created) - set(given))


def _bucket(at: Target, bundles: Mapping[str, str]) -> None:
    """The first deployment's bucket must exist before its bundles, and the bundles before everything else."""
    if isinstance(at.shelf, Bucket) and not at.shelf.exists():
        plan = at.plan(bundles, "-target=google_storage_bucket.source")
        print(
            "First the bucket for the bundles:", *summary(plan, None, Deployment(at.env, "", "", bundles, {})), sep="\n"
        )
        at.agreed()
        at.apply()


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


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("command", choices=["deploy", "rollback", "destroy"])
    parser.add_argument("--env", default="dev", choices=["dev", "prod"])
    parser.add_argument("--function", help="of a rollback")
    parser.add_argument("--secrets", type=Path, help='a file of {"WEBHOOK_<PROVIDER>": {...}} for new secret versions')
    parser.add_argument(
        "--dry-run", action="store_true", help="against the stand-in provider; nothing leaves this machine"
    )
    parser.add_argument("--yes", action="store_true", help="do not ask")
    told = parser.parse_args(arguments)
    try:
        if told.command == "destroy" and told.env == "prod":
            raise Stop("prod is never destroyed from here")
        if told.command == "rollback" and not told.function:
            raise Stop("say which function: make rollback FN=score_payment")
        with target(told.env, dry=told.dry_run, yes=told.yes, secrets=told.secrets) as at:
            match told.command:
                case "deploy":
                    deploy(at)
                case "rollback":
                    rollback(at, told.function)
                case _:
                    destroy(at)
    except (Stop, tool.Missing, tool.Failed) as stop:
        print(f"stopped: {stop}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    os.chdir(ROOT)
    sys.exit(main(sys.argv[1:]))
