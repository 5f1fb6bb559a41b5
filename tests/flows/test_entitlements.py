"""Customers are suspended and restored as claims of fraud come and go: told in any order, the same in the end."""

import random
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.domain.entitlements import Suspends
from shared.domain.events import AnyEvent, DisputeReason, DisputeStage, DisputeStatus, Finder
from shared.flows.check_deadlines import check_deadlines
from shared.flows.ports import Ports
from shared.flows.record_payment import record_payment
from shared.flows.track_dispute import track_dispute
from tests.builders import DAY, HOUR, MINUTE, NOON, a_dispute_event, a_finding, a_fraud_warning, a_payment_event
from tests.crashing import Steps, stepping
from tests.local import local_ports, published, wipe

WON, CLOSED, LOST = DisputeStatus.WON, DisputeStatus.CLOSED, DisputeStatus.LOST


def after(days: int, **fields: Any) -> AnyEvent:
    return a_dispute_event(occurred_at=NOON + days * DAY, **fields)


def heard(ports: Ports, *events: AnyEvent, suspends: Suspends = Suspends.DISPUTES) -> list[dict[str, Any]]:
    """What was told after each of `events`, a minute apart."""
    for number, event in enumerate(events):
        track_dispute(event, ports, NOON + number * MINUTE, suspends)
    return published(ports, "payment-actions")


def effective(told: list[dict[str, Any]]) -> list[tuple[str, str]]:
    """The changes, each once, as whoever knows an action_id acts on it once."""
    return list({one["action_id"]: (one["action"], one["source"]) for one in told}.values())


def newest(told: list[dict[str, Any]]) -> str:
    return str(max(told, key=lambda one: one["revision"])["action"]) if told else "none"


@pytest.fixture
def paid(tmp_path: Path) -> Ports:
    ports = local_ports(tmp_path)
    record_payment(a_payment_event(), ports, NOON)
    return ports


@pytest.mark.parametrize(
    ("events", "changes"),
    [
        ([after(0)], [("suspend", "dispute")]),
        ([after(0), after(1, status=WON)], [("suspend", "dispute"), ("restore", "dispute_won")]),
        ([after(0), after(1, status=CLOSED)], [("suspend", "dispute"), ("restore", "dispute_withdrawn")]),
        # A win that may be turned over restores nobody.
        ([after(0), after(1, status=WON, final=False)], [("suspend", "dispute")]),
        ([after(0), after(1, status=LOST)], [("suspend", "dispute")]),
        (
            [after(0), after(1, status=WON), after(2, stage=DisputeStage.PRE_ARBITRATION)],
            [("suspend", "dispute"), ("restore", "dispute_won"), ("suspend", "dispute")],
        ),
        ([after(0, reason=DisputeReason.CANCELED, reason_code=None)], []),
        ([after(0, stage=DisputeStage.INQUIRY)], []),
        ([a_fraud_warning()], []),
        ([a_finding()], [("suspend", "refund")]),
        ([a_finding(), a_fraud_warning()], [("suspend", "refund")]),
        ([a_fraud_warning(), a_finding()], [("suspend", "refund")]),
        # Whom a reviewer stops they decide with their verdict.
        ([a_finding(found_by=Finder.REVIEW), after(1, reason=DisputeReason.CANCELED, reason_code=None)], []),
    ],
)
def test_each_change_is_told_once_and_a_claim_that_does_not_hold_restores(
    paid: Ports, events: list[AnyEvent], changes: list[tuple[str, str]]
) -> None:
    told = heard(paid, *events, *events)
    assert effective(told) == changes
    assert {one["customer_id"] for one in told} <= {"cus_1"}


def test_nobody_is_suspended_unless_that_is_wanted(paid: Ports) -> None:
    assert heard(paid, after(0), suspends=Suspends.NOTHING) == []


def test_where_it_is_wanted_a_report_suspends_and_the_dispute_that_follows_changes_nothing(paid: Ports) -> None:
    told = heard(paid, a_fraud_warning(), after(1), suspends=Suspends.WARNINGS)
    assert effective(told) == [("suspend", "early_fraud_warning")]


def test_of_a_payment_that_becomes_known_it_is_told_again_by_its_own_name(tmp_path: Path) -> None:
    ports = local_ports(tmp_path)
    [told] = heard(ports, after(0, payment_id="ch_1"))
    assert (told["payment_id"], told["customer_id"]) == ("ch_1", None)
    record_payment(a_payment_event(aliases=("ch_1",)), ports, NOON)
    check_deadlines(ports, NOON + HOUR, Suspends.DISPUTES)
    [told] = published(ports, "payment-actions")
    assert (told["action"], told["payment_id"], told["customer_id"]) == ("suspend", "pi_1", "cus_1")


EVENTS = (after(0), after(1, status=WON), after(2, stage=DisputeStage.PRE_ARBITRATION), after(3, status=LOST))
# Whether the customer is suspended when the first so many of them were told, in whatever order.
SUSPENDED = (False, True, False, True, True)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 4), st.randoms(use_true_random=False))
def test_whatever_order_and_however_often_whoever_takes_the_newest_is_right(
    shared_ports: Ports, many: int, chance: random.Random
) -> None:
    wipe(shared_ports)
    record_payment(a_payment_event(), shared_ports, NOON)
    events = [*EVENTS[:many], *chance.sample(EVENTS[:many], many // 2)]
    chance.shuffle(events)
    told = heard(shared_ports, *events)
    chance.shuffle(told)
    assert (newest(told) == "suspend") is SUSPENDED[many]


class _Dying(Steps):
    def take(self) -> None:
        self.taken += 1
        if self.taken == self.kill_after:
            raise KeyboardInterrupt


@pytest.mark.parametrize("step", range(1, 6))
def test_killed_after_any_step_the_copy_of_the_message_tells_it(paid: Ports, step: int) -> None:
    event, steps = after(0), _Dying(step)
    try:
        track_dispute(event, stepping(paid, steps), NOON, Suspends.DISPUTES)
    except KeyboardInterrupt:
        track_dispute(event, paid, NOON + timedelta(minutes=1), Suspends.DISPUTES)
    assert effective(published(paid, "payment-actions")) == [("suspend", "dispute")]
