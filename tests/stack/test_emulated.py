"""The emulator tells no backlog: what functions have still to do is read from their logs."""

from pathlib import Path

import pytest

from tests.stack.emulated import Traces

TICK = "ab" * 16


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    for name in ("webhook", "assess_payment", "manage_dispute", "check_deadlines", "respond_dispute"):
        (tmp_path / f"{name}.log").touch()
    return tmp_path


def say(logs: Path, function: str, event: str, **fields: str) -> None:
    trace = f'"logging.googleapis.com/trace":"projects/p/traces/{TICK}"'
    told = "".join(f',"{name}":"{value}"' for name, value in fields.items())
    with (logs / f"{function}.log").open("a") as file:
        file.write(f'{{"event":"{event}",{trace}{told}}}\n')


def test_a_tick_is_done_when_its_last_line_is_there_and_every_answer_that_it_asked_for_is_as_far_as_it_gets(
    logs: Path,
) -> None:
    traces = Traces(logs, ())
    traces.expect("check_deadlines", TICK)
    for name in ("dp_1", "dp_2"):
        say(logs, "check_deadlines", "answer_asked", dispute_id=name)
    assert traces.left() == {"check_deadlines": 1, "respond_dispute": 2}
    say(logs, "check_deadlines", "reviews_checked")
    # One that is announced may be on its way in the same breath.
    say(logs, "respond_dispute", "dispute_answered", outcome="announced", dispute_id="dp_1")
    assert traces.left() == {"respond_dispute": 2}
    # Twice the same dispute is not the other one.
    say(logs, "respond_dispute", "answer_parked", dispute_id="dp_1")
    say(logs, "respond_dispute", "answer_waits", dispute_id="dp_1")
    assert traces.left() == {"respond_dispute": 1}
    say(logs, "respond_dispute", "dispute_answered", outcome="taken", dispute_id="dp_2")
    assert traces.left() == {}


def test_an_alert_that_was_heard_is_an_event_that_every_follower_has_to_handle(logs: Path) -> None:
    traces = Traces(logs, ("respond_dispute",))
    say(logs, "manage_dispute", "alert_heard", dispute_id="A-1")
    assert traces.left() == {"respond_dispute": 1}
