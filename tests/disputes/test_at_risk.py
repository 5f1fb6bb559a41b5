"""Deadlines that will be missed: forecast from the rows, against what became of simulated weeks."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.backends.local.warehouse import LocalWarehouse
from shared.disputes.at_risk import AT_RISK_SQL, PEOPLE, PLATFORM, asked_at
from shared.domain.codec import utc_text

MONDAY = datetime(2026, 6, 1, tzinfo=UTC)
DAY = timedelta(days=1)


@dataclass(slots=True)
class Case:
    name: str
    opened: datetime
    due: datetime
    answered: datetime | None = None

    def rows(self, queue: str) -> list[dict[str, Any]]:
        asked: dict[str, Any] = {
            **dict.fromkeys(("payment_known", "final", "can_respond"), True),
            **dict.fromkeys(("deadline_unsigned", "deadline_estimated"), False),
            "update_id": f"{self.name}/asked",
            "occurred_at": utc_text(self.opened),
            "revision": 1,
            "provider": "stripe",
            "account": "acct_1",
            "dispute_id": self.name,
            "stage": "chargeback",
            "status": "needs_response",
            "answered_by": "us",
            "respond_by": utc_text(self.due),
            "answer_state": "parked" if queue == PEOPLE else "announced",
            "flags": [],
        }
        if self.answered is None:
            return [asked]
        at = utc_text(self.answered)
        done = {"update_id": f"{self.name}/done", "occurred_at": at, "answered_at": at, "revision": 2}
        state = "elsewhere" if queue == PEOPLE else "taken"
        return [asked, {**asked, **done, "status": "under_review", "answer_state": state}]


@dataclass(slots=True)
class Office:
    """Disputes come at random, so many a day, due a week to three later; `answers` says how many are answered on which day, those
    due first before others, none sooner than `waits`, and of what is too late none."""

    chance: random.Random
    a_day: float
    answers: Callable[[int], int]
    waits: timedelta = timedelta()
    cases: list[Case] = field(default_factory=list)

    def runs(self, days: int) -> "Office":
        for day in range(days):
            start = MONDAY + day * DAY
            for _ in range(round(self.chance.gauss(self.a_day, self.a_day**0.5))):
                opened = start + self.chance.random() * DAY
                due = opened + self.chance.uniform(7, 21) * DAY
                self.cases.append(Case(f"d{len(self.cases)}", opened, due))
            for turn in range(count := self.answers(day)):
                now = start + (turn + 0.5) / count * DAY
                waiting = [
                    one for one in self.cases if one.answered is None and one.opened + self.waits <= now <= one.due
                ]
                if waiting:
                    min(waiting, key=lambda one: one.due).answered = now
        return self


def workdays(count: int) -> Callable[[int], int]:
    return lambda day: count if day % 7 < 5 else 0


def forecast(folder: Path, office: Office, queue: str, days: int) -> Sequence[dict[str, Any]]:
    """What was known after so many days, as the rows tell it."""
    now = MONDAY + days * DAY
    warehouse = LocalWarehouse(folder)
    rows = [row for case in office.cases for row in case.rows(queue) if row["occurred_at"] < utc_text(now)]
    warehouse.append("dispute_updates", rows)
    return warehouse.query(AT_RISK_SQL, asked_at(now))


def missed(office: Office, days: int) -> set[str]:
    """Of those that were open then."""
    now = MONDAY + days * DAY
    open_then = [one for one in office.cases if one.opened < now <= one.due and (one.answered or one.due) >= now]
    return {one.name for one in open_then if one.answered is None}


@pytest.mark.parametrize("seed", range(3))
def test_a_backlog_that_came_at_once_is_found_and_a_team_that_keeps_up_is_left_alone(tmp_path: Path, seed: int) -> None:
    # Ten a day are seventy a week, as many as five days of fourteen.
    keeps_up = Office(random.Random(seed), 10, workdays(14)).runs(70)
    assert missed(keeps_up, 42) == set()
    for days in (41, 44):
        assert forecast(tmp_path / f"keeps up {days}", keeps_up, PEOPLE, days) == []
    backlog = Office(random.Random(seed), 10, workdays(14))
    at = MONDAY + 40 * DAY
    backlog.cases = [Case(f"burst{n}", at, at + backlog.chance.uniform(7, 9) * DAY) for n in range(150)]
    backlog.runs(70)
    for days in (42, 44):
        rows = forecast(tmp_path / f"backlog {days}", backlog, PEOPLE, days)
        told, truth = {row["dispute_id"] for row in rows}, missed(backlog, days)
        assert all(row["calls"] for row in rows)
        assert len(truth) >= 60
        # Measured: precision 0.80 to 0.91, recall 0.79 to 0.91; which of two that are due together is missed is chance.
        assert len(told & truth) / len(told) >= 0.75
        assert len(told & truth) / len(truth) >= 0.75


@pytest.mark.parametrize("seed", range(2))
def test_a_platform_that_stopped_sending_is_told_of_the_next_day_and_one_that_sends_is_not(
    tmp_path: Path, seed: int
) -> None:
    sends = Office(random.Random(seed), 30, lambda day: 40, waits=2 * DAY).runs(40)
    assert forecast(tmp_path / "sends", sends, PLATFORM, 30) == []
    stopped = Office(random.Random(seed), 30, lambda day: 40 if day < 29 else 0, waits=2 * DAY).runs(60)
    rows = forecast(tmp_path / "stopped", stopped, PLATFORM, 30)
    assert all(row["calls"] for row in rows)
    assert {row["dispute_id"] for row in rows} == missed(stopped, 30)
    assert rows[0]["why"].endswith("and platform answered 0 in a day")


def waiting(*days: float) -> list[Case]:
    """Open since Monday, due so many days after the week."""
    return [Case(f"w{place}", MONDAY, MONDAY + (7 + one) * DAY) for place, one in enumerate(days)]


def already(count: int) -> list[Case]:
    """Answered in the course of the week."""
    return [Case(f"answered{n}", MONDAY, MONDAY + 9 * DAY, MONDAY + (n + 0.5) / count * 7 * DAY) for n in range(count)]


def as_found(folder: Path, *cases: Case) -> Sequence[dict[str, Any]]:
    return forecast(folder, Office(random.Random(0), 0, lambda _: 0, cases=list(cases)), PEOPLE, 7)


def test_by_hand_answers_go_to_what_is_due_first_and_what_is_missed_takes_none(tmp_path: Path) -> None:
    now = MONDAY + 7 * DAY
    # Two a day: at 0.5, 1, 1.5, 2, 2.5 days. The third and the fifth find none; the others are due after theirs.
    rows = as_found(tmp_path, *already(14), *waiting(0.6, 1.1, 1.4, 1.6, 1.9, 9))
    assert [(row["dispute_id"], row["place"], row["reached_at"]) for row in rows] == [
        ("w2", 3, now + 1.5 * DAY),
        ("w4", 5, now + 2 * DAY),
    ]
    # Of fourteen answers one cannot be sure: at three a day nothing is missed.
    assert {(row["answers"], row["days"], row["cases"], row["calls"]) for row in rows} == {(14, 7, 2, False)}
    assert rows[0]["why"] == "3 of this queue are due by then, and people answered 14 in 7 days"


def test_a_few_cases_of_a_quiet_week_call_nobody_and_many_do(tmp_path: Path) -> None:
    few, many = (as_found(tmp_path / str(count), *waiting(*[5.0] * count)) for count in (2, 3))
    assert [row["reached_at"] for row in few] == [None, None]
    # 2.97 answers in seven days would be the most: two in five.
    assert [row["calls"] for row in (*few, *many)] == [False] * 2 + [True] * 3


@settings(max_examples=15, deadline=None)
@given(st.lists(st.integers(1, 480), max_size=40), st.integers(0, 30))
def test_whatever_is_open_as_many_are_missed_as_when_answers_are_given_one_by_one(
    tmp_path_factory: pytest.TempPathFactory, hours: list[int], answers: int
) -> None:
    cases = waiting(*(one / 24 for one in hours))
    rows = as_found(tmp_path_factory.mktemp("open"), *already(answers), *cases)
    turn, lost = 1, []
    for case in sorted(cases, key=lambda one: (utc_text(one.due), one.name)):
        if turn * 7 * DAY <= answers * (case.due - MONDAY - 7 * DAY):
            turn += 1
        else:
            lost.append(case.name)
    assert [row["dispute_id"] for row in rows] == lost
