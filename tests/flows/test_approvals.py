"""What takes two people."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

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
    assert ask(ports, replace(WANTED, why="again")).stand is Stand.REFUSED


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


def test_what_was_never_asked_is_unknown(ports: Ports) -> None:
    with pytest.raises(ApprovalUnknown):
        decide(ports, "f-2", PETRA, NOON, agreed=True, why="so they are")
    with pytest.raises(ApprovalUnknown):
        approval(ports.documents, "f-2")


@given(st.lists(st.sampled_from(["ask", "agree", "refuse", "done", "own"]), max_size=8))
def test_nothing_is_done_that_another_person_did_not_agree_to(shared_ports: Ports, words: list[str]) -> None:
    wipe(shared_ports, (COLLECTION,))
    agreed = False
    for word in words:
        try:
            if word == "ask":
                ask(shared_ports, WANTED)
            elif word == "done":
                carried_out(shared_ports, "f-1", "accepted")
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
