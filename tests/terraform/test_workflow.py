"""The workflow that deploys holds no key, uses no action that could change under it, and applies only where it is approved."""

import re
from typing import Any

import yaml

from terraform.tools import tool

FILES = sorted((tool.ROOT / ".github" / "workflows").glob("*.yml"))
[WORKFLOW] = [yaml.safe_load(file.read_text()) for file in FILES]
JOBS: dict[str, dict[str, Any]] = WORKFLOW["jobs"]
STEPS = {name: job["steps"] for name, job in JOBS.items()}


def commands(job: str) -> str:
    return "\n".join(step.get("run", "") for step in STEPS[job])


def test_every_action_is_pinned_to_a_commit_and_says_its_version() -> None:
    text = FILES[0].read_text()
    used = re.findall(r"uses: (\S+)(.*)", text)
    assert used
    for action, rest in used:
        assert re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40}", action), action
        assert re.fullmatch(r" # v\d+\.\d+\.\d+", rest), action


def test_no_secret_and_no_key_is_in_it() -> None:
    text = FILES[0].read_text()
    assert not re.search(r"secrets\.|credentials_json|SECRETS=|\b(?:AIza|ya29\.)", text)
    for steps in STEPS.values():
        [auth] = [step["with"] for step in steps if step.get("uses", "").startswith("google-github-actions/auth@")]
        assert set(auth) == {"workload_identity_provider", "service_account"}


def test_nothing_a_stranger_writes_is_run_with_our_rights() -> None:
    events = WORKFLOW[True]  # YAML 1.1 reads the key `on` as a truth
    assert set(events) == {"pull_request", "push"}  # pull_request_target and workflow_run have rights on a fork's code
    assert events["push"] == {"branches": ["main"]}
    assert "head.repo.full_name == github.repository" in JOBS["plan"]["if"]
    assert not re.search(r"\$\{\{\s*github\.", "".join(map(commands, JOBS)))
    assert WORKFLOW["permissions"] == {"contents": "read"}
    for job in JOBS.values():
        assert job["permissions"] == {"contents": "read", "id-token": "write"}
        assert job["timeout-minutes"]


def test_a_pull_request_plans_as_the_planner_and_only_an_approved_push_applies_one_at_a_time() -> None:
    assert "make plan ENV=prod" in commands("plan")
    assert "make deploy" not in commands("plan")
    assert "vars.GCP_DEPLOYER" not in str(STEPS["plan"])
    applies = JOBS["deploy"]
    assert "make deploy ENV=prod YES=1" in commands("deploy")
    assert (applies["if"], applies["needs"], applies["environment"]) == ("github.event_name == 'push'", "plan", "prod")
    assert applies["concurrency"] == {"group": "deploy-prod", "cancel-in-progress": False}


def test_a_plan_that_fails_fails_its_job() -> None:
    [piped] = [step for step in STEPS["plan"] if "|" in step.get("run", "")]
    assert piped["shell"] == "bash"
