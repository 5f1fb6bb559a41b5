"""What only PayPal has: links that say what is allowed, notes that tell our answer again, evidence that is asked for."""

import json
from dataclasses import replace
from datetime import timedelta

import pytest

from shared.domain.answers import Refused, Standing
from shared.domain.api import ApiAnswer
from shared.domain.events import DisputeStage
from shared.domain.evidence import Item
from shared.providers.paypal import answer
from tests.simulator.answering import DUE, NOON, Caller, a_document, a_packet, accepting, play
from tests.simulator.answering.paypal import EXAMPLE, KEY, PayPalDesk
from tests.simulator.desks import open_desk


def test_what_paypal_asks_for_is_told_as_that_and_the_rest_as_other() -> None:
    desk = PayPalDesk(asks_for=("PROOF_OF_FULFILLMENT", "PROOF_FOR_SOFTWARE_OR_SERVICE_DELIVERED"))
    desk.open(EXAMPLE)
    with open_desk(desk, now=NOON) as running:
        play(Caller(answer, running.url, KEY), EXAMPLE)
    told = desk.taken[0].told
    assert set(told) == {"PROOF_FOR_SOFTWARE_OR_SERVICE_DELIVERED", "OTHER"}
    assert "Played on 12 days" in told["PROOF_FOR_SOFTWARE_OR_SERVICE_DELIVERED"]
    assert "Played on 12 days" not in told["OTHER"]
    assert "3-D Secure" in told["OTHER"]


def test_a_decision_that_may_be_appealed_is_appealed() -> None:
    desk = PayPalDesk()
    desk.open_to_appeal(EXAMPLE)
    with open_desk(desk, now=NOON) as running:
        caller = Caller(answer, running.url, KEY)
        assert caller.standing(EXAMPLE) is Standing.WAITS
        played = play(caller, EXAMPLE)
    assert played.steps[-1].request.url.endswith("/appeal")
    assert len(desk.taken) == 1


def test_a_claim_is_accepted_only_where_a_full_refund_is_allowed() -> None:
    desk = PayPalDesk()
    desk.accept_types = ("REFUND_WITH_RETURN",)
    desk.open(EXAMPLE)
    with open_desk(desk, now=NOON) as running:
        played = play(Caller(answer, running.url, KEY), accepting(EXAMPLE))
    assert played.refused is not None
    assert [step.name for step in played.steps] == ["dispute"]
    assert desk.taken == []


def test_our_key_in_the_notes_tells_our_answer_again_even_while_paypal_still_waits() -> None:
    body = {
        "dispute_id": EXAMPLE.answer_id,
        "status": "WAITING_FOR_SELLER_RESPONSE",
        "links": [{"rel": "provide_evidence", "href": "x"}],
        "evidences": [{"source": "SUBMITTED_BY_SELLER", "notes": f"Reference: {EXAMPLE.key}"}],
    }
    read = ApiAnswer(200, json.dumps(body).encode())
    assert answer.read_standing(EXAMPLE, read) is Standing.ANSWERED
    # More is asked for, and this answer is another one.
    assert answer.read_standing(replace(EXAMPLE, key="c" * 40), read) is Standing.WAITS


def resolved(outcome: str, *, early: bool) -> ApiAnswer:
    decided = DUE - timedelta(days=1) if early else DUE
    body = {
        "dispute_id": EXAMPLE.answer_id,
        "status": "RESOLVED",
        "dispute_outcome": {"outcome_code": outcome},
        "update_time": decided.isoformat(),
        "seller_response_due_date": DUE.isoformat(),
    }
    return ApiAnswer(200, json.dumps(body).encode())


@pytest.mark.parametrize(
    ("read", "standing"),
    [
        (resolved("ACCEPTED", early=False), Standing.ANSWERED),
        (resolved("RESOLVED_BUYER_FAVOUR", early=True), Standing.ANSWERED),
        (resolved("RESOLVED_BUYER_FAVOUR", early=False), Standing.OVER),
        (resolved("CANCELED_BY_BUYER", early=True), Standing.OVER),
    ],
)
def test_a_claim_that_was_accepted_is_told_from_a_deadline_that_was_missed(read: ApiAnswer, standing: Standing) -> None:
    assert answer.read_standing(accepting(EXAMPLE), read) is standing
    assert answer.read_standing(EXAMPLE, read) is Standing.OVER


INQUIRY = replace(EXAMPLE, stage=DisputeStage.INQUIRY)


def test_an_inquiry_is_answered_by_one_message_of_what_the_customer_may_be_told() -> None:
    desk = PayPalDesk()
    for_them, for_us = a_document(Item.USAGE, name="plays.pdf"), a_document(Item.USAGE, Item.LOGIN, name="logins.pdf")
    asked = replace(INQUIRY, packet=a_packet(documents=(for_them, for_us)))
    desk.open(asked)
    assert answer.problems(asked) == ()
    with open_desk(desk, now=NOON) as running:
        caller = Caller(answer, running.url, KEY)
        assert caller.standing(asked) is Standing.WAITS
        play(caller, asked)
        # Both sides may go on writing: that it is ours is told by our key alone.
        assert caller.standing(asked) is Standing.ANSWERED
        assert caller.standing(replace(asked, key="c" * 40)) is Standing.WAITS
    [taken] = desk.taken
    assert taken.told["files"] == "plays.pdf"
    assert "Played on 12 days" in taken.told["message"]
    assert taken.told["message"].endswith(asked.key)
    for private in ("203.0.113.7", "4711", "3-D Secure"):
        assert private not in taken.told["message"]


def test_who_writes_back_is_answered_by_a_person() -> None:
    desk = PayPalDesk()
    desk.open(INQUIRY)
    with open_desk(desk, now=NOON) as running:
        caller = Caller(answer, running.url, KEY)
        play(caller, INQUIRY)
        desk.write_back(INQUIRY.answer_id, "I never played that.")
        again = play(caller, replace(INQUIRY, key="c" * 40))
    assert again.refused is not None
    assert (again.refused.code, len(desk.taken)) == ("customer_wrote_back", 1)


def test_an_inquiry_of_which_the_customer_may_be_told_nothing_is_a_persons() -> None:
    private = replace(INQUIRY, packet=a_packet(texts={Item.LOGIN: "Account 4711"}))
    assert ["customer" in one for one in answer.problems(private)] == [True]


@pytest.mark.parametrize("by", ["accept_claim", "make_offer"])
def test_an_inquiry_is_accepted_as_a_claim_or_by_an_offer_of_all_of_it(by: str) -> None:
    desk, accepts = PayPalDesk(), accepting(INQUIRY)
    desk.without = () if by == "accept_claim" else ("accept_claim",)
    desk.open(INQUIRY)
    with open_desk(desk, now=NOON) as running:
        caller = Caller(answer, running.url, KEY)
        played = play(caller, accepts)
        assert played.steps[-1].request.url.endswith(by.replace("_", "-"))
        assert caller.standing(accepts) is Standing.ANSWERED
    assert [one.told for one in desk.taken] == [{"type": "REFUND"}]


def test_an_offer_that_paypal_does_not_allow_is_not_made() -> None:
    desk = PayPalDesk()
    desk.without, desk.offer_types = ("accept_claim",), ("REFUND_WITH_REPLACEMENT",)
    desk.open(INQUIRY)
    with open_desk(desk, now=NOON) as running:
        played = play(Caller(answer, running.url, KEY), accepting(INQUIRY))
    assert played.refused is not None
    assert (played.refused.code, desk.taken) == ("no_link", [])


def test_what_does_not_fit_into_the_notes_has_to_stand_in_a_document() -> None:
    long = {Item.PAYMENT: "x" * 1500, Item.USAGE: "y" * 450}
    shown = a_packet(texts=long, documents=(a_document(*Item),))
    assert answer.problems(replace(EXAMPLE, packet=shown)) == ()
    missing = a_packet(texts=long, documents=())
    assert answer.problems(replace(EXAMPLE, packet=missing))
    desk = PayPalDesk()
    desk.open(EXAMPLE)
    with open_desk(desk, now=NOON) as running:
        assert play(Caller(answer, running.url, KEY), replace(EXAMPLE, packet=shown)).refused is None
    assert len(desk.taken[0].told["OTHER"]) <= 2000


def test_a_race_that_was_lost_at_the_final_step_is_told_in_paypals_words() -> None:
    """The link was there, and is gone when the evidence comes."""
    desk = PayPalDesk()
    desk.open(EXAMPLE)
    with open_desk(desk, now=NOON) as running:
        caller = Caller(answer, running.url, KEY)
        ours = play(caller, EXAMPLE, until=lambda step: step.final)
        play(caller, replace(EXAMPLE, key="d" * 40))
        outcome = play(caller, EXAMPLE, ours).refused
    assert isinstance(outcome, Refused)
    assert outcome.code == "ACTION_NOT_ALLOWED"
    assert len(desk.taken) == 1


def test_ten_megabytes_are_too_many_for_one_file() -> None:
    large = a_document(Item.USAGE, data=b"%PDF-" + bytes(10_000_000 - 5))
    assert answer.problems(replace(EXAMPLE, packet=a_packet(documents=(large,))))
    fits = a_document(Item.USAGE, data=b"%PDF-" + bytes(10_000_000 - 6))
    assert answer.problems(replace(EXAMPLE, packet=a_packet(documents=(fits,)))) == ()
