"""`make terraform-check`: format, validate, every `terraform test`, and for each environment a plan held to policy.py.

With the registry's provider where it can be reached, otherwise with the stand-in; the first line says which. With the
stand-in each plan is also applied (to a state file, there is no cloud behind it), because a state knows values that a
plan does not; then planned again, which must find nothing to do. Where there is neither, it says so and exits 69, which
no CI takes for a pass.

`check.py FOLDER` only validates another folder: every error in it is printed, and the exit code is 1 if there is any.
"""

import json
import os
import re
import sys
import tempfile
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from terraform.tools import bundle, policy, tool  # noqa: E402 - after the path that finds it

ENVIRONMENTS = ("dev", "prod")

# Everything optional, so that it is planned too.
EVERYTHING = {
    "edge": {"domain": "hooks.example.com"},
    "kms_key": "projects/keys/locations/europe-west1/keyRings/payin/cryptoKeys/payin",
    "spans": 0.001,
    "ci": {"repository": "acme/pay-in", "repository_id": "42", "repository_owner_id": "7", "state_bucket": "state"},
}


def variables(env: str, scratch: Path, more: Mapping[str, Any] | None = None) -> list[str]:
    """Arguments of plan: the environment's file, the bundles as they are now, every optional part, and `more`."""
    file = scratch / f"{env}.tfvars.json"
    file.write_text(json.dumps({"bundles": bundle.names(), **EVERYTHING, **(more or {})}))
    return [f"-var-file=envs/{env}.tfvars", f"-var-file={file}"]


def prepared(provider: tool.Provider, folder: Path, scratch: Path, state: Path | None = None) -> tool.Terraform:
    """Terraform ready in `folder`, a copy that may be written to."""
    if isinstance(provider, tool.StandIn):
        return tool.with_stand_in(provider, folder, scratch, state)
    return tool.without_backend(folder)


def planned(root: Path, env: str, provider: tool.Provider, scratch: Path) -> dict[str, Any]:
    """The plan of an environment from nothing, as JSON."""
    terraform = prepared(provider, tool.copy_of(root, scratch), scratch)
    return terraform.plan(scratch / "plan", *variables(env, scratch))


def environment(
    root: Path, env: str, provider: tool.Provider, scratch: Path, more: Mapping[str, Any] | None = None
) -> list[str]:
    """Findings over the plan of `env` and, with the stand-in, over what it becomes and over a second plan."""
    folder = tool.copy_of(root, scratch)
    terraform = prepared(provider, folder, scratch, scratch / "state.tfstate")
    arguments = variables(env, scratch, more)
    plan = terraform.plan(scratch / "plan", *arguments)
    findings = policy.judge(plan, prod=env == "prod")
    if isinstance(provider, tool.StandIn):
        terraform.run("apply", "-no-color", "-auto-approve", str(scratch / "plan"))
        state = json.loads(terraform.run("show", "-json", "-no-color").stdout)
        findings += [one for one in policy.judge(state, prod=env == "prod") if one not in findings]
        again = terraform.plan(scratch / "again", *arguments)
        findings += [
            f"{change['address']}: a second plan would {'/'.join(change['change']['actions'])} it"
            for change in again.get("resource_changes", ())
            if change["change"]["actions"] not in (["no-op"], ["read"])
        ]
    return findings


def budget(root: Path, provider: tool.Provider, scratch: Path) -> list[str]:
    """The budget's own configuration can be planned with prod's file; raises Failed where it cannot."""
    terraform = prepared(provider, tool.copy_of(root, scratch) / "budget", scratch)
    told = ("-var=project=payin-test", "-var=project_number=1", "-var=env=prod", '-var=channels=["channel"]')
    plan = terraform.plan(scratch / "plan", "-var-file=prod.tfvars", *told)
    made = sorted(change["type"] for change in plan["resource_changes"])
    return [] if made == ["google_billing_budget", "google_project_service"] else [f"it would make {made}"]


def suite(root: Path, name: str, provider: tool.Provider, scratch: Path) -> list[str]:
    """Findings of one `terraform test` file."""
    terraform = prepared(provider, tool.copy_of(root, scratch), scratch)
    ran = terraform.run("test", "-no-color", f"-filter=tests/{name}", check=False)
    return [] if ran.returncode == 0 else [ran.stdout]


def suites(root: Path) -> list[str]:
    return sorted(file.name for file in (root / "terraform" / "tests").glob("*.tftest.hcl"))


def errors(folder: Path, provider: tool.Provider, scratch: Path) -> list[str]:
    """Every error in the .tf files of `folder`, as `file:line: sentence`.

    Terraform stops at a layer: a value is checked when the block's shape is right, a reference when all resources are
    sound. So what it found is mended or blanked in a copy, and it is asked again until it has nothing new to say.
    """
    copy = tool.copy_of(folder.parent, scratch, [folder.name]).parent / folder.name
    terraform = prepared(provider, copy, scratch)
    texts = {file.name: _Text(file) for file in copy.glob("*.tf")}
    found: list[str] = []
    while True:
        ran = json.loads(terraform.run("validate", "-json", check=False).stdout)
        said = [one for one in ran["diagnostics"] if one["severity"] == "error" and one.get("range")]
        # All places first: mending moves lines.
        places = [texts[one["range"]["filename"]].place(one["range"]["start"]["line"]) for one in said]
        mended = False
        for one, place in zip(said, places, strict=True):
            detail = " ".join(one.get("detail", "").split())
            sentence = f"{one['range']['filename']}:{place.number}: {one['summary']}{': ' + detail if detail else ''}"
            if place.number is None:
                mended |= place.blank()
            elif sentence not in found:
                found.append(sentence)
                mended |= texts[one["range"]["filename"]].mend(place, one["summary"], detail)
        if not mended:
            return found
        for text in texts.values():
            text.write()


@dataclass
class _Line:
    """One line of a file; what we put in has no number."""

    number: int | None
    text: str

    @property
    def code(self) -> str:
        return self.text.split("#")[0].rstrip()

    def blank(self) -> bool:
        had = bool(self.text)
        self.text = ""
        return had


class _Text:
    """A file whose lines keep their numbers while errors are taken out of it."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._lines = [_Line(*numbered) for numbered in enumerate(file.read_text().split("\n"), 1)]

    def place(self, line: int) -> _Line:
        return self._lines[line - 1]

    def mend(self, place: _Line, summary: str, detail: str) -> bool:
        """Take out what is wrong at `place`, or put in what is missing there. A value becomes one that is likely to do."""
        at = next(index for index, line in enumerate(self._lines) if line is place)
        if missing := re.search(r'The argument "(\w+)" is required', detail):
            self._lines.insert(at + 1, _Line(None, f'{missing[1]} = "placeholder"'))
        elif place.code.endswith("{"):
            self._blank_block(at)
        elif summary == "Unsupported argument" or not (argument := re.match(r"\s*(\w+)\s*=", place.code)):
            place.text = ""
        else:
            self._lines[at] = _Line(None, f'{argument[1]} = "placeholder"')
        return True

    def write(self) -> None:
        self._file.write_text("\n".join(line.text for line in self._lines))

    def _blank_block(self, start: int) -> None:
        depth = 0
        for line in self._lines[start:]:
            depth += line.code.count("{") - line.code.count("}")
            line.text = ""
            if depth <= 0:
                return


def main(arguments: list[str]) -> int:
    try:
        provider = tool.choose()
    except tool.Missing as missing:
        print(f"terraform-check checked nothing: {missing}.")
        return tool.UNAVAILABLE
    print(f"terraform-check with {provider.said}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        if arguments:
            found = errors(Path(arguments[0]).resolve(), provider, scratch)
            print("\n".join(found) or "no errors")
            return bool(found)
        return _whole(provider, scratch)


def _whole(provider: tool.Provider, scratch: Path) -> int:
    checks: dict[str, Callable[[Path], list[str]]] = {"format": lambda _: _format(ROOT / "terraform")}
    for env in ENVIRONMENTS:
        checks[f"{env}: plan, policy"] = lambda at, env=env: environment(ROOT, env, provider, at)  # type: ignore[misc]
    checks["budget: plan"] = lambda at: budget(ROOT, provider, at)
    for name in suites(ROOT):
        checks[f"test {name.removesuffix('.tftest.hcl')}"] = lambda at, name=name: suite(ROOT, name, provider, at)  # type: ignore[misc]

    def ran(item: tuple[str, Callable[[Path], list[str]]]) -> list[str]:
        name, check = item
        at = scratch / name.replace(" ", "-")
        at.mkdir()
        try:
            return check(at)
        except tool.Failed as failed:
            return [str(failed)]

    # Terraform and its provider are processes of their own; threads only wait for them.
    with ThreadPoolExecutor(max_workers=os.cpu_count() or 2) as pool:
        wrong = 0
        for name, findings in zip(checks, pool.map(ran, checks.items()), strict=True):
            wrong += len(findings)
            print(f"{'ok ' if not findings else 'BAD'} {name}", *findings, sep="\n    ", flush=True)
    print("no findings" if not wrong else f"{wrong} findings")
    return bool(wrong)


def _format(folder: Path) -> list[str]:
    ran = tool.Terraform(folder).run("fmt", "-check", "-recursive", "-list=true", check=False)
    return (
        [] if ran.returncode == 0 else ["make terraform-check wants `terraform fmt -recursive terraform`", ran.stdout]
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
