"""Plans made once for all workers: Terraform takes seconds."""

import fcntl
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from terraform.tools import check, tool

Plan = dict[str, Any]


@pytest.fixture(scope="session")
def stand_in() -> tool.StandIn:
    """Terraform and the stand-in for the google provider; skips with the sentence that `make terraform-check` prints."""
    try:
        found = tool.choose(dry_run=True)
    except tool.Missing as missing:
        pytest.skip(str(missing))
    assert isinstance(found, tool.StandIn)
    return found


@pytest.fixture(scope="session")
def provider() -> tool.Provider:
    """What plans without a cloud: the stand-in, which is quicker, or the registry's provider; skips with the sentence that
    `make terraform-check` prints where neither can be had."""
    try:
        return tool.choose(dry_run=True)
    except tool.Missing:
        pass
    try:
        return tool.choose()
    except tool.Missing as missing:
        pytest.skip(str(missing))


@pytest.fixture(scope="session")
def planned(provider: tool.Provider, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Plan]:
    """The plan of an environment, everything optional included, as `terraform show -json` tells it."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base

    def plan(env: str) -> Plan:
        kept = shared / f"plan-{env}.json"
        with (shared / f"plan-{env}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not kept.exists():
                scratch: Path = tmp_path_factory.mktemp(env)
                kept.write_text(json.dumps(check.planned(tool.ROOT, env, provider, scratch)))
        read: Plan = json.loads(kept.read_text())
        return read

    return plan
