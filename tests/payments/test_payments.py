"""What a set of facts means for a payment's state and money."""

from itertools import permutations

import pytest

from shared.domain import payments, timeline
from shared.domain.codec import from_document
from shared.domain.events import PaymentChanged, PaymentStep, ReviewChanged
from shared.domain.money import Money
from shared.domain.payments import Payment, PaymentState
from tests.builders import DAY, HOUR, NOON, SECOND, a_card, a_payment_event, a_refund_event, a_review_event, eur

AUTHORIZED, CAPTURED, REFUNDED = PaymentStep.AUTHORIZED, PaymentStep.CAPTURED, PaymentStep.REFUNDED


def payment_after(*events: PaymentChanged | ReviewChanged) -> Payment:
    payment = Payment(provider="stripe", payment_id="pi_1", account="acct_1")
    for event in events:
        payment = payments.record(payment, event)
    return payment


def test_an_authorization_and_its_capture_are_one_captured_payment() -> None:
    payment = payment_after(a_payment_event(AUTHORIZED), a_payment_event(CAPTURED, occurred_at=NOON + HOUR))
    assert (payment.state, payment.authorized, payment.captured) == (PaymentState.CAPTURED, eur(1999), eur(1999))


def test_several_partial_captures_add_up() -> None:
    first = a_payment_event(CAPTURED, amount=eur(500), reference="cap_1")
    second = a_payment_event(CAPTURED, amount=eur(700), reference="cap_2")
    payment = payment_after(a_payment_event(AUTHORIZED), first, second)
    assert (payment.state, payment.captured) == (PaymentState.PARTIALLY_CAPTURED, eur(1200))


def test_one_reference_counts_once_however_many_events_tell_of_it() -> None:
    told = [a_payment_event(CAPTURED, amount=eur(amount), reference="cap_1") for amount in (500, 700, 700)]
    assert payment_after(*told).captured == eur(700)


def test_amounts_without_a_reference_may_repeat_each_other_and_are_not_added() -> None:
    assert payment_after(a_payment_event(CAPTURED), a_payment_event(CAPTURED)).captured == eur(1999)


def test_a_running_total_and_the_refunds_it_sums_are_not_added_to_each_other() -> None:
    payment = payment_after(
        a_payment_event(CAPTURED),
        a_refund_event(amount=eur(500), reference="re_1"),
        a_refund_event(amount=eur(500), cumulative=True, reference="ch_1"),
        a_refund_event(amount=eur(300), reference="re_2"),
    )
    assert (payment.state, payment.refunded) == (PaymentState.PARTIALLY_REFUNDED, eur(800))


def test_a_payment_refunded_in_parts_is_refunded_when_nothing_is_left() -> None:
    parts = [a_refund_event(amount=eur(amount), reference=f"re_{amount}") for amount in (999, 1000)]
    assert payment_after(a_payment_event(CAPTURED), *parts).state is PaymentState.REFUNDED


def test_a_failed_refund_is_no_refund_whichever_way_it_was_told() -> None:
    refund = a_refund_event(amount=eur(500))
    running = a_refund_event(amount=eur(500), cumulative=True, reference="ch_1")
    failed = a_refund_event(step=PaymentStep.REFUND_FAILED, amount=eur(500), occurred_at=NOON + 2 * DAY)
    for told in permutations([a_payment_event(CAPTURED), refund, running, failed]):
        payment = payment_after(*told)
        assert (payment.state, payment.refunded) == (PaymentState.CAPTURED, eur(0))


def test_a_refund_after_a_failed_one_counts_alone() -> None:
    failed = a_refund_event(step=PaymentStep.REFUND_FAILED, amount=None, occurred_at=NOON + 2 * DAY)
    again = a_refund_event(amount=eur(400), reference="re_2", occurred_at=NOON + 3 * DAY)
    running = a_refund_event(amount=eur(400), cumulative=True, reference=None, occurred_at=NOON + 3 * DAY)
    payment = payment_after(a_payment_event(CAPTURED), a_refund_event(amount=eur(500)), failed, again, running)
    assert payment.refunded == eur(400)


def test_a_pending_refund_has_not_happened() -> None:
    payment = payment_after(a_payment_event(CAPTURED), a_refund_event(step=PaymentStep.REFUND_PENDING))
    assert (payment.state, payment.refunded) == (PaymentState.CAPTURED, None)


def test_a_failed_capture_leaves_the_authorization() -> None:
    capture = a_payment_event(CAPTURED, reference="cap_1")
    failed = a_payment_event(PaymentStep.CAPTURE_FAILED, reference="cap_1", occurred_at=NOON + DAY)
    assert payment_after(a_payment_event(AUTHORIZED), capture, failed).state is PaymentState.AUTHORIZED
    assert payment_after(capture, failed).state is PaymentState.DECLINED


def test_a_refund_that_arrives_before_its_capture_is_measured_against_the_authorization() -> None:
    payment = payment_after(a_payment_event(AUTHORIZED), a_refund_event(amount=eur(500)))
    assert payment.state is PaymentState.PARTIALLY_REFUNDED


def test_a_decline_before_a_successful_retry_is_history() -> None:
    declined = a_payment_event(PaymentStep.DECLINED, decline_code="insufficient_funds", hard_decline=False)
    retried = a_payment_event(AUTHORIZED, occurred_at=NOON + HOUR)
    for told in permutations([declined, retried]):
        payment = payment_after(*told)
        assert payment.state is PaymentState.AUTHORIZED
        assert payment.details.decline_code == "insufficient_funds"


def test_a_decline_of_what_had_been_captured_takes_the_money_back_until_it_is_captured_again() -> None:
    captured = a_payment_event(CAPTURED, reference="PM1")
    declined = a_payment_event(PaymentStep.DECLINED, reference="PM1", occurred_at=NOON + DAY)
    again = a_payment_event(CAPTURED, reference="PM1", occurred_at=NOON + 2 * DAY)
    for told in permutations([captured, declined]):
        payment = payment_after(*told)
        assert (payment.state, payment.captured) == (PaymentState.DECLINED, eur(0))
    for told in permutations([captured, declined, again]):
        payment = payment_after(*told)
        assert (payment.state, payment.captured) == (PaymentState.CAPTURED, eur(1999))


@pytest.mark.parametrize("reference", [None, "another attempt"])
def test_a_decline_of_another_attempt_takes_nothing_back(reference: str | None) -> None:
    captured = a_payment_event(CAPTURED, reference="ch_1")
    declined = a_payment_event(PaymentStep.DECLINED, reference=reference, occurred_at=NOON + DAY)
    assert payment_after(captured, declined).captured == eur(1999)


@pytest.mark.parametrize(
    ("step", "state"),
    [
        (PaymentStep.PENDING, PaymentState.PENDING),
        (PaymentStep.DECLINED, PaymentState.DECLINED),
        (PaymentStep.CANCELED, PaymentState.CANCELED),
        (PaymentStep.REVERSED, PaymentState.REVERSED),
        (PaymentStep.SUCCEEDED_BY, PaymentState.SUCCEEDED_BY),
    ],
)
def test_a_lone_step_is_the_state(step: PaymentStep, state: PaymentState) -> None:
    assert payment_after(a_payment_event(step)).state is state


def test_what_is_left_of_an_authorization_may_lapse_after_a_partial_capture() -> None:
    captured = a_payment_event(CAPTURED, amount=eur(500))
    lapsed = a_payment_event(PaymentStep.CANCELED, occurred_at=NOON + DAY)
    assert payment_after(a_payment_event(AUTHORIZED), captured, lapsed).state is PaymentState.PARTIALLY_CAPTURED


def test_a_released_authorization_is_canceled() -> None:
    released = a_payment_event(PaymentStep.CANCELED, occurred_at=NOON)
    assert payment_after(a_payment_event(AUTHORIZED), released).state is PaymentState.CANCELED


def test_a_capture_without_an_amount_took_the_whole_authorization() -> None:
    payment = payment_after(a_payment_event(AUTHORIZED), a_payment_event(CAPTURED, amount=None))
    assert (payment.state, payment.captured) == (PaymentState.CAPTURED, eur(1999))


def test_money_the_provider_took_back_is_no_longer_captured() -> None:
    payment = payment_after(a_payment_event(CAPTURED), a_payment_event(PaymentStep.REVERSED, occurred_at=NOON + DAY))
    assert (payment.state, payment.reversed) == (PaymentState.REVERSED, eur(1999))


def test_amounts_in_two_currencies_are_never_added_and_a_person_is_told() -> None:
    yen = a_payment_event(CAPTURED, amount=Money(2500, "JPY"), reference="cap_2", occurred_at=NOON + SECOND)
    for told in permutations([a_payment_event(CAPTURED, reference="cap_1"), yen]):
        payment = payment_after(*told)
        assert (payment.captured, payment.inconsistent) == (eur(1999), ("currency_disagreement",))


def test_an_amount_that_nobody_signed_is_not_counted() -> None:
    unsigned = a_payment_event(CAPTURED, amount=eur(999_999), unsigned=("amount",))
    assert payment_after(a_payment_event(AUTHORIZED), unsigned).captured == eur(1999)


@pytest.mark.parametrize("word", [REFUNDED, PaymentStep.CANCELED])
def test_whether_it_was_refunded_or_released_is_for_signed_facts_to_say(word: PaymentStep) -> None:
    unsigned = a_payment_event(word, reference="mod_1", occurred_at=NOON + DAY, unsigned=("step",))
    held, captured = a_payment_event(AUTHORIZED), a_payment_event(CAPTURED, occurred_at=NOON + HOUR)
    for events in permutations((held, unsigned)):
        payment = payment_after(*events)
        assert (payment.state, payment.refunded) == (PaymentState.CANCELED, None)
        assert payment.inconsistent == (("unsigned_step",) if word is REFUNDED else ())
    for events in permutations((held, captured, unsigned)):
        payment = payment_after(*events)
        assert (payment.state, payment.refunded) == (PaymentState.REFUNDED, eur(1999))
        assert payment.inconsistent == (() if word is REFUNDED else ("unsigned_step",))


def test_details_are_the_latest_told_and_silence_does_not_erase_them() -> None:
    later = a_payment_event(CAPTURED, card=a_card(last4="1111"), customer_id=None, occurred_at=NOON + HOUR)
    for told in permutations([a_payment_event(AUTHORIZED), later]):
        details = payment_after(*told).details
        assert details.card == a_card(last4="1111")
        assert details.customer_id == "cus_1"


def test_a_review_opens_and_closes_without_touching_the_money() -> None:
    closed = a_review_event(open=False, verdict="approved", occurred_at=NOON + HOUR)
    payment = payment_after(a_payment_event(CAPTURED), closed, a_review_event())
    assert (payment.state, payment.review_open) == (PaymentState.CAPTURED, False)


def test_a_payment_comes_back_from_its_document() -> None:
    payment = payment_after(a_payment_event(AUTHORIZED), a_refund_event(aliases=("ch_1",)), a_review_event())
    assert from_document(timeline.compact(payment), Payment) == payment


def test_an_endless_timeline_keeps_the_money_and_says_that_it_is_full() -> None:
    noise = [
        a_payment_event(PaymentStep.PENDING, amount=None, occurred_at=NOON + number * SECOND)
        for number in range(timeline.LIMIT + 10)
    ]
    first, last = a_payment_event(AUTHORIZED, occurred_at=NOON - DAY), a_payment_event(CAPTURED)
    there = payment_after(first, *noise, last)
    back = payment_after(last, *reversed(noise), first)
    assert there == back
    assert len(there.facts) == timeline.LIMIT
    assert (there.state, there.inconsistent) == (PaymentState.CAPTURED, ("timeline_full",))
    assert payments.record(there, noise[0]) == there


def test_two_different_facts_under_one_id_leave_the_same_one_in_every_order() -> None:
    one = a_payment_event(CAPTURED, event_id="adyen:shop:1", amount=eur(5))
    other = a_payment_event(CAPTURED, event_id="adyen:shop:1", amount=eur(7))
    assert payment_after(one, other) == payment_after(other, one, other, one)
