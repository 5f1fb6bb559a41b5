"""Terraform, with the registry's google provider or with a stand-in for it, and never in doubt which.

The stand-in knows the provider's schema and no cloud: it validates and plans, and an "apply" changes a state file only.
It is no part of the project: `PAYIN_TERRAFORM_STAND_IN` names its folder (`tfstub.py` and a schema), or it stands at
`shared/tools/terraform` beside the project.
"""

import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
REGISTRY = ("registry.terraform.io", 443)

# What the configuration is made of: its own folder, and what it reads of the code.
PARTS = ("terraform", "functions/topology.json", "functions/retention.json", "shared/learning/sql", "shared/providers")


# EX_UNAVAILABLE of sysexits.h: nothing was done, for want of something that this machine does not have.
UNAVAILABLE = 69


class Missing(Exception):
    """Something that this machine does not have; the message is a sentence for people."""


@dataclass(frozen=True)
class StandIn:
    """A folder with `tfstub.py` and `google-<version>.schema.json.gz`."""

    folder: Path

    @property
    def schema(self) -> Path:
        return max(self.folder.glob("google-*.schema.json.gz"))

    @property
    def said(self) -> str:
        return f"the stand-in for the google provider, schema {self.schema.name.split('-')[1].removesuffix('.schema.json.gz')}"


@dataclass(frozen=True)
class Registry:
    said: str = "the google provider from registry.terraform.io"


Provider = StandIn | Registry


def stand_in(root: Path = ROOT) -> StandIn | None:
    """The stand-in, if it is here with all that it needs."""
    told = os.environ.get("PAYIN_TERRAFORM_STAND_IN")
    folder = Path(told) if told else root.parent / "shared" / "tools" / "terraform"
    if not (folder / "tfstub.py").exists() or not list(folder.glob("google-*.schema.json.gz")):
        return None
    if missing := [name for name in ("grpc", "google.protobuf", "msgpack") if find_spec(name) is None]:
        raise Missing(
            f"the stand-in for the google provider needs {', '.join(missing)}: pip install -r terraform/requirements.txt"
        )
    return StandIn(folder)


def choose(*, dry_run: bool = False) -> Provider:
    """The registry's provider where it can be reached, otherwise the stand-in. A dry run wants the stand-in alone: it
    applies. Raises Missing with the sentence to print."""
    if not shutil.which("terraform"):
        raise Missing("terraform is not installed: https://developer.hashicorp.com/terraform/install (1.11 or newer)")
    if not dry_run and reachable():
        return Registry()
    found = stand_in()
    if found is None:
        raise Missing(
            "a dry run also applies, which it must not do to a cloud: it needs a stand-in for the google provider, which is "
            "no part of this repository. Set PAYIN_TERRAFORM_STAND_IN to its folder (tfstub.py and "
            "google-<version>.schema.json.gz); without one, `make terraform-check` validates and plans with the provider "
            "of registry.terraform.io"
            if dry_run
            else "neither registry.terraform.io nor a stand-in for the google provider (PAYIN_TERRAFORM_STAND_IN) is here"
        )
    return found


def reachable() -> bool:
    try:
        with socket.create_connection(REGISTRY, timeout=3):
            return True
    except OSError:
        return False


class Terraform:
    """Commands in one folder of configuration. Makes nothing but what `init` makes."""

    def __init__(self, folder: Path, environment: Mapping[str, str] | None = None) -> None:
        self.folder = folder
        self._environment = {
            **os.environ,
            "TF_IN_AUTOMATION": "1",
            "CHECKPOINT_DISABLE": "1",
            "TF_INPUT": "0",
            **(environment or {}),
        }

    def told(self, environment: Mapping[str, str]) -> "Terraform":
        """The same, with further variables in its environment."""
        return Terraform(self.folder, {**self._environment, **environment})

    def run(self, *arguments: str, check: bool = True, quiet: bool = True) -> "subprocess.CompletedProcess[str]":
        """What it said is kept; unless `quiet`, it is also shown while it says it."""
        command = ["terraform", f"-chdir={self.folder}", *arguments]
        with subprocess.Popen(
            command, env=self._environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        ) as running:
            said = []
            for line in running.stdout or ():
                said.append(line)
                if not quiet:
                    print(line, end="", flush=True)
        ran = subprocess.CompletedProcess(command, running.returncode, "".join(said))
        if check and ran.returncode:
            raise Failed(f"terraform {arguments[0]} failed\n{ran.stdout}")
        return ran

    def plan(self, out: Path, *arguments: str) -> dict[str, Any]:
        """The plan, saved to `out`, as JSON."""
        self.run("plan", "-no-color", "-lock=false", f"-out={out}", *arguments)
        return self.show(out)

    def show(self, plan: Path) -> dict[str, Any]:
        shown: dict[str, Any] = json.loads(self.run("show", "-json", "-no-color", str(plan)).stdout)
        return shown

    def output(self) -> dict[str, Any]:
        read = json.loads(self.run("output", "-json", "-no-color").stdout)
        return {name: value["value"] for name, value in read.items()}


class Failed(Exception):
    """Terraform said no; the message is what it said."""


def copy_of(root: Path, into: Path, parts: Sequence[str] = PARTS) -> Path:
    """The configuration and what it reads of the code, in `into`; answers the folder to run Terraform in."""
    left_out = shutil.ignore_patterns(".terraform*", "*.tfstate*", "__pycache__")
    for part in parts:
        source, target = root / part, into / part
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=left_out, dirs_exist_ok=True)
        else:
            shutil.copy2(source, target)
    return into / "terraform"


def with_stand_in(found: StandIn, folder: Path, scratch: Path, state: Path | None = None) -> Terraform:
    """Terraform in `folder` (a copy: it is written to), initialised, on the stand-in, with local state at `state`."""
    subprocess.run(
        [sys.executable, str(found.folder / "tfstub.py"), "install", str(scratch / "mirror"), str(found.schema)],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    if any('backend "' in file.read_text() for file in folder.glob("*.tf")):
        path = f"\n    path = {json.dumps(str(state))}" if state else ""
        (folder / "zz_stand_in_override.tf").write_text(f'terraform {{\n  backend "local" {{{path}\n  }}\n}}\n')
    terraform = Terraform(
        folder,
        # The mirror is the only source there is, and the stand-in speaks without TLS over a socket of its own.
        {"TF_CLI_CONFIG_FILE": str(scratch / "mirror" / "cli.tfrc"), "TF_DISABLE_PLUGIN_TLS": "1"},
    )
    terraform.run("init", "-no-color")
    return terraform


def without_backend(folder: Path) -> Terraform:
    """Terraform in `folder` (a copy), initialised from the registry, with no state and no credentials: an access token
    that is never used lets the provider start, and planning what does not exist yet asks Google nothing."""
    (folder / "zz_check_override.tf").write_text('terraform {\n  backend "local" {\n  }\n}\n')
    terraform = Terraform(folder, {"GOOGLE_OAUTH_ACCESS_TOKEN": "never-used"})
    terraform.run("init", "-no-color")
    return terraform
