"""What takes two people."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.errors import UsedOtherwise
from shared.flows.approvals import (
    COLLECTION,
    GOOD_FOR,
    Approval,
    ApprovalClosed,
    ApprovalUnknown,
    Stand,
    approval,
    ask,
    carried_out,
    decide,
    waiting,
    withdraw,
)
from shared.flows.ports import Ports
from tests.local import wipe
from tests.providers.kits import NOON

ANA, PETRA, PAUL = "ana@shop.example", "petra@shop.example", "paul@shop.example"
WANTED = Approval(
    id="f-1",
    what="dispute accept",
    about="disputes:stripe:dp_1",
    says="the claim of EUR 900.00 is accepted",
    parameters={"provider": "stripe", "dispute_id": "dp_1"},
    by=ANA,
    why="they are right",
    asked_at=NOON,
    open_until=NOON + GOOD_FOR,
    expires_at=NOON + timedelta(days=400),
)


def test_what_is_agreed_to_is_what_was_asked(ports: Ports) -> None:
    ask(ports, WANTED)
    assert waiting(ports.documents, NOON) == [WANTED]
    told = decide(ports, "f-1", PETRA, NOON, agreed=True, why="so they are")
    assert (told.stand, told.parameters, told.decided_by) == (Stand.AGREED, WANTED.parameters, PETRA)
    assert waiting(ports.documents, NOON) == []


def test_the_same_form_asks_once(ports: Ports) -> None:
    ask(ports, WANTED)
    decide(ports, "f-1", PETRA, NOON, agreed=False, why="they are not")
    assert ask(ports, replace(WANTED, asked_at=NOON + timedelta(hours=1), says="in other words")).stand is Stand.REFUSED


@pytest.mark.parametrize(
    "other", [{"why": "for another reason"}, {"about": "disputes:stripe:dp_2"}, {"parameters": {}}, {"by": PAUL}]
)
def test_a_form_that_was_used_for_something_else_changes_nothing_and_says_so(
    ports: Ports, other: dict[str, Any]
) -> None:
    ask(ports, WANTED)
    with pytest.raises(UsedOtherwise, match="nothing was changed"):
        ask(ports, replace(WANTED, **other))
    assert waiting(ports.documents, NOON) == [WANTED]


def test_who_asked_withdraws_it_and_nobody_else_does(ports: Ports) -> None:
    ask(ports, WANTED)
    with pytest.raises(ApprovalClosed, match="only who asked"):
        withdraw(ports, "f-1", PETRA, NOON, "I would not")
    for _ in range(2):
        told = withdraw(ports, "f-1", ANA, NOON, "they have paid")
    assert (told.stand, told.decided_by, told.decided_why) == (Stand.WITHDRAWN, ANA, "they have paid")
    assert waiting(ports.documents, NOON) == []
    with pytest.raises(ApprovalClosed, match="ana was quicker: it is withdrawn"):
        decide(ports, "f-1", PETRA, NOON, agreed=True, why="so they are")


def test_what_another_person_agreed_to_is_not_withdrawn(ports: Ports) -> None:
    ask(ports, WANTED)
    decide(ports, "f-1", PETRA, NOON, agreed=True, why="so they are")
    with pytest.raises(ApprovalClosed, match="petra"):
        withdraw(ports, "f-1", ANA, NOON, "they have paid")


def test_nobody_agrees_to_their_own_wish(ports: Ports) -> None:
    ask(ports, WANTED)
    with pytest.raises(ApprovalClosed, match="another person"):
        decide(ports, "f-1", ANA, NOON, agreed=True, why="I am sure")


def test_of_two_who_decide_the_first_one_counts(ports: Ports) -> None:
    ask(ports, WANTED)
    decide(ports, "f-1", PETRA, NOON, agreed=True, why="so they are")
    decide(ports, "f-1", PETRA, NOON, agreed=True, why="so they are")
    with pytest.raises(ApprovalClosed, match="petra"):
        decide(ports, "f-1", PAUL, NOON, agreed=False, why="they are not")


def test_too_late_is_never(ports: Ports) -> None:
    ask(ports, WANTED)
    late = NOON + GOOD_FOR
    assert waiting(ports.documents, late) == []
    with pytest.raises(ApprovalClosed, match="asked for again"):
        decide(ports, "f-1", PETRA, late, agreed=True, why="so they are")


def test_a_deadline_that_was_moved_nearer_ends_the_wish_earlier_and_one_that_was_moved_away_does_not(
    ports: Ports,
) -> None:
    hours = timedelta(hours=1)
    ask(ports, replace(WANTED, deadline=NOON + 30 * hours, open_until=NOON + 29 * hours))
    with pytest.raises(ApprovalClosed, match="in time"):
        decide(ports, "f-1", PETRA, NOON + 5 * hours, agreed=True, why="", deadline=NOON + 6 * hours)
    assert approval(ports.documents, "f-1").stand is Stand.ASKED
    with pytest.raises(ApprovalClosed, match="in time"):
        decide(ports, "f-1", PETRA, NOON + 29 * hours, agreed=True, why="", deadline=NOON + 90 * hours)
    assert (
        decide(ports, "f-1", PETRA, NOON + 4 * hours, agreed=True, why="", deadline=NOON + 6 * hours).stand
        is Stand.AGREED
    )


def test_what_was_never_asked_is_unknown(ports: Ports) -> None:
    with pytest.raises(ApprovalUnknown):
        decide(ports, "f-2", PETRA, NOON, agreed=True, why="so they are")
    with pytest.raises(ApprovalUnknown):
        approval(ports.documents, "f-2")


@given(st.lists(st.sampled_from(["ask", "agree", "refuse", "done", "own", "withdraw"]), max_size=8))
def test_nothing_is_done_that_another_person_did_not_agree_to(shared_ports: Ports, words: list[str]) -> None:
    wipe(shared_ports, (COLLECTION,))
    agreed = False
    for word in words:
        try:
            if word == "ask":
                ask(shared_ports, WANTED)
            elif word == "done":
                carried_out(shared_ports, "f-1", "accepted")
            elif word == "withdraw":
                withdraw(shared_ports, "f-1", ANA, NOON, "no more")
            else:
                by = ANA if word == "own" else PETRA
                decide(shared_ports, "f-1", by, NOON, agreed=word != "refuse", why="because")
                agreed = agreed or word == "agree"
        except (ApprovalClosed, ApprovalUnknown):
            continue
    try:
        stand = approval(shared_ports.documents, "f-1").stand
    except ApprovalUnknown:
        return
    assert stand not in (Stand.AGREED, Stand.DONE) or agreed
