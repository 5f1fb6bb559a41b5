"""What a set of facts means for a payment's state and money."""

from dataclasses import replace
from itertools import permutations
from random import Random
from typing import Any

import pytest

from shared.domain import ledger, payments, timeline
from shared.domain.codec import from_document
from shared.domain.events import PaymentChanged, PaymentStep, ReviewChanged
from shared.domain.ledger import Ledger
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


def test_what_was_undone_and_happens_again_counts_again() -> None:
    captured = [
        a_payment_event(CAPTURED, amount=eur(2500), reference="PM1"),
        a_payment_event(PaymentStep.DECLINED, amount=eur(2500), reference="PM1", occurred_at=NOON + DAY),
        a_payment_event(PaymentStep.CAPTURE_FAILED, amount=None, reference="PM1", occurred_at=NOON + DAY + HOUR),
        a_payment_event(PaymentStep.PENDING, amount=eur(2500), occurred_at=NOON + 2 * DAY),
        a_payment_event(CAPTURED, amount=eur(2500), reference="PM1", occurred_at=NOON + 3 * DAY),
    ]
    for told in permutations(captured):
        payment = payment_after(*told)
        assert (payment.state, payment.captured) == (PaymentState.CAPTURED, eur(2500))
    refunds = [
        a_payment_event(CAPTURED, amount=eur(999)),
        a_refund_event(amount=eur(999)),
        a_refund_event(step=PaymentStep.REFUND_FAILED, amount=eur(999), occurred_at=NOON + 2 * DAY),
        a_refund_event(amount=eur(999), occurred_at=NOON + 3 * DAY),
    ]
    for told in permutations(refunds):
        payment = payment_after(*told)
        assert (payment.state, payment.refunded) == (PaymentState.REFUNDED, eur(999))
        assert payment_after(*told, *refunds[:3]) == payment


def test_a_reference_that_happens_again_with_another_amount_moved_that_amount() -> None:
    undone = a_refund_event(step=PaymentStep.REFUND_FAILED, amount=None, occurred_at=NOON + 2 * DAY)
    again = a_refund_event(amount=eur(300), occurred_at=NOON + 3 * DAY)
    for told in permutations([a_payment_event(CAPTURED), a_refund_event(amount=eur(500)), undone, again]):
        assert payment_after(*told).refunded == eur(300)


def test_a_reference_that_happens_again_without_an_amount_moved_what_it_had_moved_before() -> None:
    undone = a_refund_event(step=PaymentStep.REFUND_FAILED, amount=None, occurred_at=NOON + 2 * DAY)
    again = a_refund_event(amount=None, occurred_at=NOON + 3 * DAY)
    for told in permutations([a_payment_event(CAPTURED), a_refund_event(amount=eur(500)), undone, again]):
        assert payment_after(*told).refunded == eur(500)


def test_of_doing_and_undoing_at_one_instant_the_undoing_is_the_later() -> None:
    done, undone = a_refund_event(), a_refund_event(step=PaymentStep.REFUND_FAILED)
    for told in permutations([a_payment_event(CAPTURED), done, undone, a_refund_event()]):
        assert payment_after(*told).refunded == eur(0)


def test_a_capture_that_nobody_numbers_counts_again_after_it_failed() -> None:
    failed = a_payment_event(PaymentStep.CAPTURE_FAILED, amount=None, occurred_at=NOON + DAY)
    again = a_payment_event(CAPTURED, amount=eur(800), occurred_at=NOON + 2 * DAY)
    for told in permutations([a_payment_event(CAPTURED), failed]):
        assert payment_after(*told).captured == eur(0)
    for told in permutations([a_payment_event(CAPTURED), failed, again]):
        assert payment_after(*told).captured == eur(800)


def test_the_latest_running_total_holds_and_one_that_was_undone_since_is_lower() -> None:
    first = a_refund_event(amount=eur(800), cumulative=True, reference=None)
    lower = a_refund_event(amount=eur(300), cumulative=True, reference=None, occurred_at=NOON + 3 * DAY)
    failed = a_refund_event(step=PaymentStep.REFUND_FAILED, amount=eur(500), occurred_at=NOON + 2 * DAY)
    again = a_refund_event(amount=eur(500), occurred_at=NOON + 4 * DAY)
    for told in permutations([a_payment_event(CAPTURED), first, lower]):
        assert payment_after(*told).refunded == eur(300)
    for told in permutations([a_payment_event(CAPTURED), first, failed]):
        assert payment_after(*told).refunded == eur(300)
    for told in permutations([a_payment_event(CAPTURED), first, failed, again]):
        assert payment_after(*told).refunded == eur(800)


@pytest.mark.parametrize("fields", [{}, {"cumulative": True, "reference": "adjustment"}, {"reference": "psp_1"}])
def test_an_authorization_that_is_adjusted_states_the_new_total(fields: dict[str, object]) -> None:
    held = a_payment_event(AUTHORIZED, amount=eur(800), reference="psp_1" if fields else None)
    adjusted = a_payment_event(AUTHORIZED, amount=eur(500), occurred_at=NOON + HOUR, **fields)
    captured = a_payment_event(CAPTURED, amount=eur(500), occurred_at=NOON + DAY, reference="cap_1")
    for told in permutations([held, adjusted, captured]):
        payment = payment_after(*told)
        assert (payment.state, payment.authorized) == (PaymentState.CAPTURED, eur(500))
    raised = a_payment_event(AUTHORIZED, amount=eur(1200), occurred_at=NOON + 2 * HOUR, **fields)
    for told in permutations([held, adjusted, raised, captured]):
        payment = payment_after(*told)
        assert (payment.state, payment.authorized) == (PaymentState.PARTIALLY_CAPTURED, eur(1200))


def test_separate_authorizations_add_up_and_one_told_again_changes_nothing() -> None:
    first = a_payment_event(AUTHORIZED, amount=eur(800), reference="auth_1")
    again = a_payment_event(AUTHORIZED, amount=eur(800), reference="auth_1", occurred_at=NOON + HOUR)
    second = a_payment_event(AUTHORIZED, amount=eur(300), reference="auth_2", occurred_at=NOON + DAY)
    adjusted = a_payment_event(AUTHORIZED, amount=eur(200), reference="auth_2", occurred_at=NOON + 2 * DAY)
    total = a_payment_event(AUTHORIZED, amount=eur(900), cumulative=True, occurred_at=NOON + DAY + HOUR)
    for told in permutations([first, again, second]):
        assert payment_after(*told).authorized == eur(1100)
    for told in permutations([first, second, total, adjusted]):
        assert payment_after(*told).authorized == eur(800)


@pytest.mark.parametrize(
    ("refunded", "reversed_", "state"),
    [
        (0, 300, PaymentState.PARTIALLY_REFUNDED),
        (0, 1000, PaymentState.REVERSED),
        (300, 300, PaymentState.PARTIALLY_REFUNDED),
        (400, 600, PaymentState.REFUNDED),
        (400, 1000, PaymentState.REVERSED),
        (1000, 0, PaymentState.REFUNDED),
        (0, 0, PaymentState.CAPTURED),
    ],
)
def test_the_state_is_what_the_amounts_say(refunded: int, reversed_: int, state: PaymentState) -> None:
    events = [
        a_payment_event(AUTHORIZED, amount=eur(1500)),
        a_payment_event(CAPTURED, amount=eur(1000), occurred_at=NOON + HOUR),
        a_payment_event(AUTHORIZED, amount=eur(1000), occurred_at=NOON + HOUR),
        a_refund_event(amount=eur(refunded)),
        a_payment_event(PaymentStep.REVERSED, amount=eur(reversed_), reference="rev_1", occurred_at=NOON + DAY),
    ]
    for told in permutations(events):
        assert payment_after(*told).state is state


def test_a_reversal_of_an_untold_amount_is_of_the_whole() -> None:
    reversal = a_payment_event(PaymentStep.REVERSED, amount=None, reference="rev_1", occurred_at=NOON + DAY)
    for before in ([], [a_payment_event(AUTHORIZED)], [a_payment_event(CAPTURED)]):
        for told in permutations([*before, reversal]):
            assert payment_after(*told).state is PaymentState.REVERSED


def test_a_refund_of_an_untold_amount_that_arrives_before_its_capture_is_of_the_whole() -> None:
    payment = payment_after(a_payment_event(AUTHORIZED), a_refund_event(amount=None))
    assert payment.state is PaymentState.REFUNDED


def test_a_verification_of_nothing_is_authorized_and_captured_by_nothing() -> None:
    held = a_payment_event(AUTHORIZED, amount=eur(0))
    assert payment_after(held).state is PaymentState.AUTHORIZED
    assert payment_after(held, a_payment_event(CAPTURED, amount=eur(0))).state is PaymentState.CAPTURED
    nothing = a_payment_event(CAPTURED, amount=eur(0))
    assert payment_after(a_payment_event(AUTHORIZED), nothing).state is PaymentState.AUTHORIZED


@pytest.mark.parametrize("step", [PaymentStep.REFUND_FAILED, PaymentStep.REFUNDED, PaymentStep.REFUND_PENDING])
def test_why_a_refund_failed_is_no_decline_of_the_payment(step: PaymentStep) -> None:
    failed = a_refund_event(step=step, decline_code="account_closed", hard_decline=True)
    for told in permutations([a_payment_event(CAPTURED), failed]):
        details = payment_after(*told).details
        assert (details.decline_code, details.hard_decline) == (None, None)
    declined = a_payment_event(PaymentStep.DECLINED, decline_code="do_not_honor", hard_decline=False)
    assert payment_after(declined, failed).details.decline_code == "do_not_honor"


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


def a_release(amount: int | None, **fields: Any) -> PaymentChanged:
    return a_payment_event(
        PaymentStep.CANCELED, amount=None if amount is None else eur(amount), **{"reference": "void_1", **fields}
    )


def test_a_part_that_is_released_is_no_longer_held_and_the_rest_is() -> None:
    held, part = a_payment_event(AUTHORIZED, amount=eur(100)), a_release(40)
    for told in permutations([held, part, part]):
        payment = payment_after(*told)
        assert (payment.state, payment.authorized) == (PaymentState.AUTHORIZED, eur(60))
    captured = payment_after(held, part, a_payment_event(CAPTURED, amount=eur(60)))
    assert (captured.state, captured.authorized) == (PaymentState.CAPTURED, eur(60))
    assert payment_after(held, part, a_payment_event(CAPTURED, amount=None)).captured == eur(60)


@pytest.mark.parametrize(
    "releases",
    [
        [a_release(100)],
        [a_release(120)],
        [a_release(None)],
        [a_release(40), a_release(60, reference="void_2")],
        [a_release(40), a_release(None, reference="void_2")],
        [a_release(40, unsigned=("amount",))],
    ],
)
def test_an_authorization_is_canceled_once_nothing_of_it_is_held(releases: list[PaymentChanged]) -> None:
    payment = payment_after(a_payment_event(AUTHORIZED, amount=eur(100), occurred_at=NOON - HOUR), *releases)
    assert (payment.state, payment.authorized) == (PaymentState.CANCELED, eur(100))


def test_an_authorization_told_as_a_whole_again_holds_what_was_released_before() -> None:
    held = a_payment_event(AUTHORIZED, amount=eur(100), occurred_at=NOON)
    part = a_release(40, occurred_at=NOON + HOUR)
    again = a_payment_event(AUTHORIZED, amount=eur(80), occurred_at=NOON + 2 * HOUR)
    payment = payment_after(held, part, again)
    assert (payment.state, payment.authorized) == (PaymentState.AUTHORIZED, eur(80))


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


def made_with(payment: Payment) -> tuple[str | None, ...]:
    return payment.details.customer_id, payment.details.device_id, payment.details.ip


ELSEWHERE = {"customer_id": "cus_2", "device_id": "dev_2", "ip": "198.51.100.9"}


def test_what_comes_later_does_not_change_what_a_payment_was_made_with() -> None:
    told = (
        a_payment_event(AUTHORIZED),
        a_payment_event(CAPTURED, occurred_at=NOON + DAY, **ELSEWHERE),
        a_refund_event(occurred_at=NOON + 90 * DAY, **ELSEWHERE),
    )
    for some in permutations(told):
        assert made_with(payment_after(*some)) == ("cus_1", "dev_1", "203.0.113.7")


def test_what_a_payment_was_made_with_is_told_by_the_attempt_that_went_through() -> None:
    refused = a_payment_event(PaymentStep.DECLINED, occurred_at=NOON - HOUR, **ELSEWHERE)
    told = (a_payment_event(PaymentStep.PENDING, occurred_at=NOON - DAY, **ELSEWHERE), refused)
    assert made_with(payment_after(*told)) == ("cus_2", "dev_2", "198.51.100.9")
    for some in permutations([*told, a_payment_event(CAPTURED, ip=None)]):
        # The address of the attempt that went through is not told: the earliest other one is the best there is.
        assert made_with(payment_after(*some)) == ("cus_1", "dev_1", "198.51.100.9")


def test_what_a_payment_was_made_with_stays_however_much_is_told_later() -> None:
    first = a_payment_event(AUTHORIZED)
    more = [
        a_payment_event(
            CAPTURED, reference=f"c{n}", occurred_at=NOON + n * SECOND, **{**ELSEWHERE, "ip": f"192.0.2.{n}"}
        )
        for n in range(1, timeline.LISTED + 30)
    ]
    there = payment_after(first, *more)
    assert there == payment_after(*reversed(more), first) == payment_after(*more[40:], first, *more[:50])
    assert made_with(there) == ("cus_1", "dev_1", "203.0.113.7")
    assert from_document(timeline.compact(there), Payment) == there


def test_a_review_opens_and_closes_without_touching_the_money() -> None:
    closed = a_review_event(open=False, verdict="approved", occurred_at=NOON + HOUR)
    payment = payment_after(a_payment_event(CAPTURED), closed, a_review_event())
    assert (payment.state, payment.review_open) == (PaymentState.CAPTURED, False)


def test_a_payment_comes_back_from_its_document() -> None:
    payment = payment_after(a_payment_event(AUTHORIZED), a_refund_event(aliases=("ch_1",)), a_review_event())
    assert from_document(timeline.compact(payment), Payment) == payment


def test_an_unsigned_release_takes_nothing_from_a_later_one_that_is_signed() -> None:
    doubtful = a_payment_event(
        PaymentStep.REFUNDED, amount=None, reference="or_1", unsigned=("step",), occurred_at=NOON - HOUR
    )
    held = a_payment_event(AUTHORIZED)
    released = a_payment_event(PaymentStep.CANCELED, amount=None, occurred_at=NOON + HOUR)
    for told in permutations([doubtful, held, released]):
        assert payment_after(*told).state is PaymentState.CANCELED


def test_an_endless_timeline_keeps_the_money_and_says_that_it_is_full() -> None:
    noise = [
        a_payment_event(PaymentStep.PENDING, amount=None, occurred_at=NOON + number * SECOND)
        for number in range(timeline.LISTED + 10)
    ]
    first, last = a_payment_event(AUTHORIZED, occurred_at=NOON - DAY), a_payment_event(CAPTURED)
    there = payment_after(first, *noise, last)
    back = payment_after(last, *reversed(noise), first)
    assert there == back
    assert len(there.facts) == timeline.LISTED
    assert (there.state, there.inconsistent) == (PaymentState.CAPTURED, ("timeline_full",))
    assert (there.first_at, there.last_at) == (NOON - DAY, noise[-1].occurred_at)
    assert payments.record(there, noise[0]) == there


def test_a_thousand_refunds_are_a_thousand_in_any_order_however_often_told() -> None:
    captured = a_payment_event(CAPTURED, amount=eur(100_000), customer_id="cus_9", occurred_at=NOON - DAY)
    opened = a_review_event(occurred_at=NOON - DAY)
    refunds = [
        a_refund_event(
            amount=eur(10 + number % 7), reference=f"re_{number}", occurred_at=NOON + number * SECOND, customer_id=None
        )
        for number in range(1000)
    ]
    undone = [
        a_refund_event(
            step=PaymentStep.REFUND_FAILED,
            amount=None,
            reference=f"re_{number}",
            occurred_at=NOON + DAY,
            customer_id=None,
        )
        for number in range(0, 1000, 10)
    ]
    events: list[PaymentChanged | ReviewChanged] = [captured, opened, *refunds, *undone]
    expected = sum(10 + number % 7 for number in range(1000) if number % 10)
    there = payment_after(*events)
    random = Random(7)
    shuffled = random.sample(events, len(events)) + random.sample(events, 100)
    assert payment_after(*shuffled) == there
    assert there.refunded == eur(expected)
    assert (there.captured, there.details.customer_id, there.review_open) == (eur(100_000), "cus_9", True)
    assert there.inconsistent == ("timeline_full",)
    assert from_document(timeline.compact(there), Payment) == there
    # However many there were, few are read again.
    assert len(ledger.enough(folded_of(there), payments.words_of(there.facts.values())).words) <= 2 * timeline.LISTED


def folded_of(payment: Payment) -> Ledger | None:
    return payment.folded.words if payment.folded else None


@pytest.mark.parametrize(
    "more",
    [
        {"cumulative": True, "reference": "ch_1"},
        {"reference": None},
        {"step": CAPTURED},
        {"step": AUTHORIZED, "reference": None},
    ],
)
def test_a_payment_of_hundreds_of_words_reads_few_of_them_again(more: dict[str, Any]) -> None:
    told = [a_payment_event(AUTHORIZED, amount=eur(100_000)), a_payment_event(CAPTURED, amount=eur(100_000))]
    for number in range(300):
        at = NOON + DAY + number * SECOND
        told.append(a_refund_event(amount=eur(5), reference=f"re_{number}", occurred_at=at))
        other = {"amount": eur(5 * number), "occurred_at": at, "reference": f"cap_{number}"}
        told.append(a_refund_event(**{**other, **more}))
    there = payment_after(*told)
    assert there.folded
    assert there.folded.words.lines > 200
    assert len(ledger.enough(there.folded.words, payments.words_of(there.facts.values())).words) <= 2 * timeline.LISTED


def test_more_words_than_a_document_holds_are_told_as_incomplete_and_never_silently_wrong(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(timeline, "LISTED", 3)
    monkeypatch.setattr(ledger, "MOST_BYTES", 200)
    refunds = [a_refund_event(amount=eur(10), reference=f"re_{number}") for number in range(9)]
    events = [a_payment_event(CAPTURED), *refunds]
    there, back = payment_after(*events), payment_after(*reversed(events), *events)
    assert there == back
    assert there.inconsistent == ("timeline_full", "totals_incomplete")


def test_two_different_facts_under_one_id_leave_the_same_one_in_every_order() -> None:
    one = a_payment_event(CAPTURED, event_id="adyen:shop:1", amount=eur(5))
    other = a_payment_event(CAPTURED, event_id="adyen:shop:1", amount=eur(7))
    assert payment_after(one, other) == payment_after(other, one, other, one)
    assert payment_after(one, other).inconsistent == ()


def test_an_id_of_nothing_is_no_other_name_of_a_payment_and_neither_is_its_own() -> None:
    told = [a_payment_event(aliases=("", "pi_1", "ch_2")), a_payment_event(aliases=("ch_1", "ch_2"))]
    assert payment_after(*told).aliases == ("ch_1", "ch_2")


ONCE = a_refund_event(event_id="stripe:acct_1:refunded", unsigned=("occurred_at",))
UNDONE = a_refund_event(step=PaymentStep.REFUND_FAILED, occurred_at=NOON + 2 * DAY)
ONCE_MORE = replace(ONCE, occurred_at=NOON + 3 * DAY)


@pytest.mark.parametrize(
    ("told", "event", "again"),
    [
        ([ONCE, UNDONE], ONCE_MORE, True),
        ([ONCE, replace(UNDONE, occurred_at=ONCE.occurred_at)], ONCE_MORE, True),
        ([ONCE, UNDONE], replace(ONCE_MORE, unsigned=()), False),
        ([ONCE, UNDONE], replace(ONCE_MORE, unsigned=("amount",)), False),
        ([ONCE, UNDONE], replace(ONCE_MORE, occurred_at=UNDONE.occurred_at), False),
        ([ONCE, replace(UNDONE, occurred_at=NOON)], ONCE_MORE, False),
        ([ONCE, replace(UNDONE, reference="re_2")], ONCE_MORE, False),
        ([ONCE, replace(UNDONE, step=PaymentStep.CAPTURE_FAILED)], ONCE_MORE, False),
        ([ONCE], ONCE_MORE, False),
        ([UNDONE], ONCE_MORE, False),
        ([replace(ONCE, step=PaymentStep.REVERSED), UNDONE], ONCE_MORE, False),
    ],
    ids=[
        *("undone in between", "undone at once", "a signed time", "another member unsigned", "before it was undone"),
        *("undone before it happened", "another undone", "another thing undone", "never undone", "not yet known"),
        "what is never undone",
    ],
)
def test_what_was_undone_may_have_happened_again_when_it_is_told_under_a_later_time_that_nobody_signed(
    told: list[PaymentChanged], event: PaymentChanged, *, again: bool
) -> None:
    assert payments.may_have_happened_again(payment_after(*told), event) is again


@pytest.mark.parametrize(("at", "held"), [(30, 5_000 + 89 * 100), (200, 5_000)])
def test_a_whole_authorization_tells_anew_what_the_ones_before_it_held_also_when_they_are_listed_no_longer(
    at: int, held: int
) -> None:
    """Of 120 authorizations of EUR 1.00, a second apart, 89 come after the 31st second; none after the 200th."""
    parts = [
        a_payment_event(AUTHORIZED, amount=eur(100), reference=f"auth_{number}", occurred_at=NOON + number * SECOND)
        for number in range(120)
    ]
    whole = a_payment_event(AUTHORIZED, amount=eur(5_000), occurred_at=NOON + at * SECOND)
    for told in ([*parts, whole], [whole, *reversed(parts)], [*parts[:60], whole, *parts[60:]]):
        payment = payment_after(*told)
        assert (payment.authorized, payment.inconsistent) == (eur(held), ("timeline_full",))
