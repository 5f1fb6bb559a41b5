"""Totals against an oracle that knows the whole story in order, and documents in every order."""

from collections.abc import Sequence
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.disputes.case import known, merge, with_refund
from shared.domain import ledger, payments, timeline, totals
from shared.domain.codec import from_document
from shared.domain.disputes import Case, CaseFlag
from shared.domain.events import PaymentChanged, PaymentStep
from shared.domain.ledger import Ledger
from shared.domain.money import Money
from shared.domain.payments import Payment
from tests.builders import HOUR, MINUTE, NOON, a_payment_event, eur

DOES = {
    PaymentStep.CAPTURED: (PaymentStep.CAPTURE_FAILED, PaymentStep.DECLINED),
    PaymentStep.REFUNDED: (PaymentStep.REFUND_FAILED,),
}


BLANK, OPENED = (
    Payment(provider="stripe", payment_id="pi_1", account="acct_1"),
    Case(provider="stripe", payment_id="pi_1"),
)


def payment_after(events: Sequence[PaymentChanged], payment: Payment = BLANK) -> Payment:
    for event in events:
        payment = payments.record(payment, event)
    return payment


@st.composite
def a_story(draw: st.DrawFn) -> tuple[list[PaymentChanged], dict[PaymentStep, int]]:
    """References that are done, undone and done again, each at its own instant, and what that comes to in the end."""
    events: list[PaymentChanged] = [a_payment_event(PaymentStep.AUTHORIZED, amount=eur(0), occurred_at=NOON - HOUR)]
    expected = dict.fromkeys(DOES, 0)
    instants = iter(draw(st.permutations(range(60))))
    for number in range(draw(st.integers(1, 8))):
        step = draw(st.sampled_from(list(DOES)))
        reference = f"r{number}" if draw(st.booleans()) else f"an odd reference {number} " * 10
        times = sorted(next(instants) for _ in range(draw(st.integers(1, 5))))
        amount = 0
        for place, minute in enumerate(times):
            happens = place % 2 == 0
            told = draw(st.integers(1, 500)) if happens and (place == 0 or draw(st.booleans())) else None
            amount = told or amount
            word = step if happens else draw(st.sampled_from(DOES[step]))
            events.append(
                a_payment_event(
                    word,
                    amount=eur(told) if told else None,
                    reference=reference,
                    occurred_at=NOON + minute * MINUTE,
                    customer_id=draw(st.sampled_from([None, "cus_1", "cus_2"])),
                )
            )
        expected[step] += amount if len(times) % 2 else 0
    return events, expected


@settings(max_examples=80, deadline=None)
@given(a_story(), st.data(), st.integers(1, 6))
def test_what_was_moved_is_what_the_story_ends_with_whatever_the_order_and_the_room(
    story: tuple[list[PaymentChanged], dict[PaymentStep, int]], data: st.DataObject, room: int
) -> None:
    events, expected = story
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(timeline, "LISTED", room)
        there = payment_after(events)
        copies = data.draw(st.lists(st.sampled_from(events), max_size=8))
        assert payment_after(data.draw(st.permutations(events + copies))) == there
    assert (there.captured or eur(0)).minor == expected[PaymentStep.CAPTURED]
    assert (there.refunded or eur(0)).minor == expected[PaymentStep.REFUNDED]
    unlimited = payment_after(events)
    assert (there.state, there.details, there.known) == (unlimited.state, unlimited.details, unlimited.known)
    assert (there.first_at, there.last_at) == (unlimited.first_at, unlimited.last_at)


def anything() -> st.SearchStrategy[PaymentChanged]:
    """Any word at few instants, so that they meet: running totals, no references, no amounts, unsigned steps."""
    return st.builds(
        a_payment_event,
        st.sampled_from(PaymentStep),
        event_id=st.just("stripe:acct_1:one_id") | st.uuids().map("stripe:acct_1:{}".format),
        occurred_at=st.integers(0, 3).map(lambda number: NOON + number * MINUTE),
        amount=st.none() | st.builds(Money, st.integers(0, 900), st.sampled_from(["EUR", "EUR", "EUR", "JPY"])),
        cumulative=st.booleans(),
        reference=st.sampled_from([None, "", "r1", "r2", "-", "#1", "a b", "é"]),
        unsigned=st.sampled_from([(), (), ("step",), ("amount",)]),
        customer_id=st.sampled_from([None, "cus_1", "cus_2"]),
    )


@settings(max_examples=150, deadline=None)
@given(st.lists(anything(), min_size=1, max_size=12), st.data(), st.integers(1, 6), st.sampled_from([60, 600_000]))
def test_any_order_any_repetition_and_any_room_give_the_same_payment_and_the_same_case(
    events: list[PaymentChanged], data: st.DataObject, room: int, most: int
) -> None:
    refunds = [event for event in events if event.step in (PaymentStep.REFUNDED, PaymentStep.REFUND_FAILED)]
    delivered = data.draw(st.permutations(events + data.draw(st.lists(st.sampled_from(events), max_size=6))))
    split = data.draw(st.integers(0, len(refunds)))
    unlimited, unlimited_case = payment_after(events), case_after(refunds)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(timeline, "LISTED", room)
        patch.setattr(ledger, "MOST_BYTES", most)
        there = payment_after(events)
        assert payment_after(delivered) == there
        case = case_after(refunds)
        assert case_after([event for event in delivered if event in refunds]) == case
        assert merge(case_after(refunds[:split]), case_after(refunds[split:])) == case
    if "totals_incomplete" not in there.inconsistent:
        told = ("state", "authorized", "captured", "refunded", "reversed", "details", "known", "first_at")
        assert [getattr(there, name) for name in told] == [getattr(unlimited, name) for name in told]
    if CaseFlag.TOTALS_INCOMPLETE not in case.flags:
        assert (case.refunded, known(case)) == (unlimited_case.refunded, known(unlimited_case))
    assert from_document(timeline.compact(there), Payment) == there
    assert from_document(timeline.compact(case), Case) == case


@settings(max_examples=150, deadline=None)
@given(st.lists(anything(), min_size=2, max_size=12), st.data(), st.integers(1, 5))
def test_a_document_of_more_room_goes_on_as_if_there_never_had_been_more(
    events: list[PaymentChanged], data: st.DataObject, room: int
) -> None:
    delivered = data.draw(st.permutations(events))
    split = data.draw(st.integers(1, len(delivered) - 1))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(timeline, "LISTED", data.draw(st.integers(room, 12)))
        before = from_document(timeline.compact(payment_after(delivered[:split])), Payment)
        refunded = from_document(timeline.compact(case_after(delivered[:split])), Case)
        patch.setattr(timeline, "LISTED", room)
        assert payment_after(delivered[split:], before) == payment_after(events)
        assert case_after(delivered[split:], refunded) == case_after(events)


def case_after(refunds: Sequence[PaymentChanged], case: Case = OPENED) -> Case:
    for event in refunds:
        case = with_refund(case, event)
    return case


@settings(max_examples=80, deadline=None)
@given(st.lists(anything(), min_size=2, max_size=10))
def test_how_much_is_known_rises_whenever_what_was_captured_changes(events: list[PaymentChanged]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(timeline, "LISTED", 3)
        payment = payment_after(events[:1])
        for event in events[1:]:
            after = payments.record(payment, event)
            assert after.known > payment.known or (after.known, after.captured) == (payment.known, payment.captured)
            payment = after


def test_words_come_back_from_their_text() -> None:
    words = [
        totals.Word("re_1", PaymentStep.REFUNDED, 1_762_084_800_000_000, 500, "EUR"),
        totals.Word("", PaymentStep.REFUNDED, 5, 0, "EUR", running=True),
        totals.Word("r", PaymentStep.CANCELED, 5, unproved=True),
        totals.Word("", PaymentStep.REVERSED, totals.micros(NOON - timedelta(days=40_000))),
    ]
    kept = ledger.folded(Ledger(), words, (), ())
    assert sorted(ledger.unfolded(kept)) == sorted(words)
    assert ledger.unfolded(kept, words[:2]) == ledger.unfolded(kept)
    assert ledger.folded(kept, words, (), ()) == kept


def test_a_capture_that_failed_over_nothing_took_nothing_away() -> None:
    captured = a_payment_event(PaymentStep.CAPTURED, amount=eur(500), reference=None, occurred_at=NOON)
    failed = a_payment_event(PaymentStep.CAPTURE_FAILED, amount=eur(0), reference="r", occurred_at=NOON + HOUR)
    assert payment_after([captured, failed]).captured == eur(500)
