"""What an alert says to do first is `payin`, and is run here, on what a small shop's days have left."""

import json
import re
import shlex
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from shared import settings
from shared.backends.local import connect
from shared.domain.codec import utc_text
from shared.flows.ports import Accumulate, Key
from shared.operations.facts import told as told_by_the_code
from shared.operations.jobs import MOST_LINES
from shared.runtime.topology import ROOT
from tests.cli.calling import payin, told
from tests.cli.operated import filled_in, operated
from tests.providers.kits import NOON, a_kit
from tests.simulator.apis import serving
from tests.simulator.listing import ListApi, answering

ALERTS, SLOS = (
    json.loads((ROOT / "terraform" / "monitoring" / f"{name}.json").read_text()) for name in ("alerts", "slos")
)
FIRST: dict[str, list[str]] = {
    name: [command.replace("{provider}", "<provider>") for command in one["first"]]
    for name, one in (ALERTS | SLOS).items()
}
TOLD = {one.event for one in told_by_the_code(ROOT)}
COMMANDS = sorted({command for commands in FIRST.values() for command in commands})


@pytest.fixture(scope="module")
def meant(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """A shop's folder, and Stripe's list beside it."""
    listed = ListApi("stripe", a_kit("stripe", tmp_path_factory.mktemp("listed")).simulator, frozenset())
    with serving(answering(listed)) as api, pytest.MonkeyPatch.context() as environment:
        for variable, value in api.environment("stripe").items():
            environment.setenv(variable, value)
        yield operated(tmp_path_factory.mktemp("alarmed"))


@pytest.mark.parametrize("name", FIRST)
def test_what_comes_first_is_three_commands_of_payin(name: str) -> None:
    assert len(FIRST[name]) == 3
    assert [command.split()[0] for command in FIRST[name]] == ["payin"] * 3


def test_facts_that_are_asked_for_are_told_by_the_code() -> None:
    asked = {word for command in COMMANDS if "payin facts " in command for word in re.findall(r"[a-z_]{6,}", command)}
    assert asked - TOLD == set()


def test_an_alarm_that_calls_somebody_is_what_they_look_at() -> None:
    for name, alert in ALERTS.items():
        values = set(alert["when"].get("values", ())) if alert["when"].get("label") == "event" else set()
        looked_at = {word for command in FIRST[name] for word in command.split()}
        # Deliveries that could not be read are listed as what they are.
        assert values <= looked_at or name == "deliveries_unread", name


@pytest.mark.parametrize("command", COMMANDS)
def test_what_comes_first_can_be_done(command: str, meant: dict[str, str]) -> None:
    line = filled_in(command, meant)
    assert "<" not in line, "say in tests/cli/operated.py what that stands for"
    result = payin(Path(meant["home"]), *shlex.split(line)[1:])
    assert (result.exit_code, bool(result.stdout.strip())) == (0, True), result.output


# The commands that only alerts name


def shown_at(instant: datetime) -> str:
    """As JSON has it."""
    return instant.isoformat().replace("+00:00", "Z")


def log(meant: dict[str, str], function: str, event: str, ago: timedelta, **fields: Any) -> None:
    folder = Path(meant["home"]) / "logs"
    folder.mkdir(exist_ok=True)
    line = {"time": utc_text(NOON - ago), "severity": "INFO", "event": event, "message": event, "function": function}
    with (folder / f"{function}.log").open("a") as opened:
        opened.write(json.dumps(line | fields) + "\n")


def test_facts_are_told_with_what_they_say_the_newest_first(meant: dict[str, str]) -> None:
    for minutes, provider in ((90, "stripe"), (50, "stripe"), (10, "adyen")):
        log(meant, "respond_dispute", "answer_delayed", timedelta(minutes=minutes), provider=provider, reason="down")
    home = Path(meant["home"])
    assert [one["provider"] for one in told(home, "facts", "answer_delayed")] == ["adyen", "stripe"]
    assert len(told(home, "facts", "answer_delayed", "--since", "2h", "--provider", "stripe")) == 2
    assert "provider=adyen  reason=down" in payin(home, "facts", "answer_delayed").stdout
    assert "nobody told of answer_delayed" in payin(home, "facts", "answer_delayed", "--since", "1m").stdout


def test_what_a_rare_provider_says_is_found_behind_what_another_says_often(meant: dict[str, str]) -> None:
    home = Path(meant["home"])
    log(meant, "reconcile", "reconcile_stopped", timedelta(minutes=59), provider="klarna", reason="down")
    for minute in range(3):
        log(meant, "reconcile", "reconcile_stopped", timedelta(minutes=minute), provider="stripe", reason="down")
    asked = ("facts", "reconcile_stopped", "--limit", "3")
    assert {one["provider"] for one in told(home, *asked)} == {"stripe"}
    [rare] = told(home, *asked, "--provider", "klarna")
    assert rare["at"] == shown_at(NOON - timedelta(minutes=59))
    assert "nobody told of reconcile_stopped of adyen" in payin(home, *asked, "--provider", "adyen").stdout


def test_a_fact_that_nothing_tells_is_refused_and_near_ones_are_named(meant: dict[str, str]) -> None:
    refused = payin(Path(meant["home"]), "facts", "deadline_mised", "job_ended")
    said = " ".join(refused.stderr.replace("│", " ").split())
    assert (refused.exit_code, "nothing tells deadline_mised: did you mean deadline_missed" in said) == (2, True), said
    assert payin(Path(meant["home"]), "facts", "xyzzy").exit_code == 2
    assert payin(Path(meant["home"]), "facts", "job_ended", "--provider", "stripes").exit_code == 2
    ahead = payin(Path(meant["home"]), "facts", "job_ended", "--since", "2999-01-01")
    assert (ahead.exit_code, "lies ahead" in ahead.stderr) == (2, True)


def test_a_job_that_stands_still_is_seen_and_can_be_run(meant: dict[str, str]) -> None:
    home = Path(meant["home"])
    log(meant, "check_deadlines", "job_ended", timedelta(minutes=3), job="check_deadlines")
    log(meant, "check_deadlines", "job_ended", timedelta(minutes=8), job="check_deadlines")
    shown = {one["name"]: one for one in told(home, "jobs", "show")}
    assert shown["check_deadlines"]["runs"] == 2
    assert shown["check_deadlines"]["last"] == shown_at(NOON - timedelta(minutes=3))
    assert shown["train_model"]["last"] is None
    assert "not seen" in payin(home, "jobs", "show").stdout
    bus: Any = connect(settings.read({"PAYIN_HOME": str(home)})).bus
    bus.subscribe("listening", "ticks")
    assert payin(home, "jobs", "run", "train_model", "--yes", "-r", "a night was lost").exit_code == 0
    [tick] = bus.pull("listening", 9, 60.0)
    assert tick.attributes["job"] == "train_model"
    refused = payin(home, "jobs", "run", "webhook", "--yes", "-r", "?")
    assert (refused.exit_code, "check_deadlines" in refused.stderr) == (65, True)


def test_a_rare_job_is_seen_beside_one_that_runs_each_minute(meant: dict[str, str]) -> None:
    log(meant, "erase", "job_ended", timedelta(hours=20), job="erase")
    for minute in range(MOST_LINES + 1):
        log(meant, "watch_providers", "job_ended", timedelta(minutes=minute), job="canary")
    shown = {one["name"]: one for one in told(Path(meant["home"]), "jobs", "show")}
    assert shown["erase"]["last"] == shown_at(NOON - timedelta(hours=20))
    assert shown["canary"]["runs"] == MOST_LINES
    assert "1,000 or more" in payin(Path(meant["home"]), "jobs", "show").stdout


def test_an_endpoint_that_is_gone_is_shown_until_somebody_enables_it(meant: dict[str, str]) -> None:
    home = Path(meant["home"])
    documents = connect(settings.read({"PAYIN_HOME": str(home)})).documents
    gone: dict[tuple[str, ...], Any] = {("url",): "https://crm.example/hooks", ("disabled_at",): NOON}
    documents.commit([Accumulate(Key("endpoints", "crm"), put=gone)])
    assert told(home, "endpoints", "show")["crm"]["disabled_at"] == shown_at(NOON)
    assert payin(home, "endpoints", "enable", "crm", "--yes", "-r", "they are back").exit_code == 0
    after = told(home, "endpoints", "show")["crm"]
    assert (after["disabled_at"], bool(after["enabled_by"])) == (None, True)
    assert "endpoints enable" in {one["what"] for one in told(home, "audit", "--since", "1d")}
    assert payin(home, "endpoints", "enable", "nobody", "--yes", "-r", "?").exit_code == 3


def test_who_waits_for_a_person_is_told_the_late_ones_alone_where_asked(meant: dict[str, str]) -> None:
    home = Path(meant["home"])
    assert told(home, "reviews", "--late") == []
    assert "nobody waits longer than was promised" in payin(home, "reviews", "--late").stdout
