"""`make terraform-check` finds what is wrong, says what it used, and pretends nothing."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from terraform.tools import check, tool

# The line of each planted error and a word of what is said about it.
PLANTED = {
    18: "message_retention_durations",
    23: "idd",
    25: "dead_letter_topics",
    29: '"location" is required',
    42: "ALLOW_INTERNAL",
    43: '"secret" is required',
    48: "a number is required",
    50: "event_triggers",
    55: "google_pubsub_topik",
    60: "Fraud_SA",
}


def test_every_planted_error_is_found_and_no_other(stand_in: tool.StandIn, tmp_path: Path) -> None:
    folder = stand_in.folder / "planted_errors"
    if not folder.is_dir():
        pytest.skip("this stand-in comes without planted_errors")
    found = check.errors(folder, stand_in, tmp_path)
    for line, word in PLANTED.items():
        assert [one for one in found if one.startswith(f"main.tf:{line}:") and word in one], f"{line}: {word}"
    assert len(found) == len(PLANTED)


@pytest.mark.parametrize("name", check.suites(tool.ROOT))
@pytest.mark.slow
def test_a_suite_of_terraform_tests_passes(name: str, provider: tool.Provider, tmp_path: Path) -> None:
    assert check.suite(tool.ROOT, name, provider, tmp_path) == []


@pytest.mark.slow
def test_what_dev_becomes_is_sound_and_stays(provider: tool.Provider, tmp_path: Path) -> None:
    # Two providers say as much as all, in a third of the time.
    told = {"crm": {"url": "https://crm.example/", "topics": {"payment-actions": 'attributes.action = "refuse"'}}}
    few = {"payment_providers": {"stripe": {}, "gocardless": {"api_versions": ["1"]}}, "endpoints": told}
    assert check.environment(tool.ROOT, "dev", provider, tmp_path, few) == []


def test_the_budget_can_be_planned_by_itself(stand_in: tool.StandIn, tmp_path: Path) -> None:
    assert check.budget(tool.ROOT, stand_in, tmp_path) == []


def test_the_registry_is_used_where_it_can_be_reached_the_stand_in_elsewhere_and_which_is_said(
    stand_in: tool.StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tool, "reachable", lambda: True)
    assert tool.choose().said == "the google provider from registry.terraform.io"
    # A dry run applies, so it never takes the real one.
    assert tool.choose(dry_run=True) == stand_in
    monkeypatch.setattr(tool, "reachable", lambda: False)
    assert tool.choose() == stand_in
    assert stand_in.said == "the stand-in for the google provider, schema 8.7.0"


def test_a_dry_run_without_a_stand_in_says_what_it_needs_and_what_can_be_done_instead(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")
    monkeypatch.setenv("PAYIN_TERRAFORM_STAND_IN", str(tmp_path))
    with pytest.raises(tool.Missing, match=r"PAYIN_TERRAFORM_STAND_IN.*tfstub\.py.*make terraform-check"):
        tool.choose(dry_run=True)


def test_without_any_provider_it_says_so(tmp_path: Path) -> None:
    ran = subprocess.run(
        [sys.executable, str(tool.ROOT / "terraform" / "tools" / "check.py")],
        env={"PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == tool.UNAVAILABLE  # what no CI takes for a pass
    assert ran.stdout.startswith("terraform-check checked nothing: terraform is not installed")


def test_the_stand_in_is_never_part_of_the_project() -> None:
    names = {path.name for path in (tool.ROOT / "terraform").rglob("*") if ".terraform" not in path.parts}
    assert not names & {"tfstub.py", "policy_check.py", "check_schema.py", ".terraform.lock.hcl"}
    assert not [name for name in names if name.endswith((".schema.json", ".schema.json.gz"))]
