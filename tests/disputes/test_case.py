"""What the disputes, warnings and refunds of one payment mean together."""

from datetime import timedelta

import pytest

from shared.disputes import lifecycle
from shared.disputes.case import with_dispute, with_refund, with_warning
from shared.domain.disputes import Case, CaseFlag, Dispute
from shared.domain.events import DisputeStage, DisputeStatus, PaymentStep
from tests.builders import DAY, NOON, SECOND, a_dispute_event, a_fraud_warning, a_refund_event, dispute_after, eur

WON, LOST = DisputeStatus.WON, DisputeStatus.LOST


def a_case() -> Case:
    return Case(provider="stripe", payment_id="pi_1")


def test_a_refund_of_a_disputed_payment_collides_and_both_amounts_are_told() -> None:
    case = with_dispute(a_case(), dispute_after(a_dispute_event(amount=eur(1500))))
    case = with_refund(case, a_refund_event(amount=eur(999)))
    assert (case.flags, case.refunded, case.disputed) == ((CaseFlag.REFUND_DISPUTE_COLLISION,), eur(999), eur(1500))


@pytest.mark.parametrize(
    ("fields", "collides"),
    [
        ({}, True),
        ({"stage": DisputeStage.INQUIRY}, False),
        ({"status": LOST}, False),
        ({"status": LOST, "final": False}, True),
        ({"status": DisputeStatus.ACCEPTED}, False),
        ({"status": DisputeStatus.UNDER_REVIEW}, True),
        ({"status": DisputeStatus.EXPIRED}, True),
        ({"status": WON}, False),
        ({"status": WON, "final": False}, True),
        ({"status": DisputeStatus.PREVENTED}, False),
        ({"status": DisputeStatus.CLOSED}, False),
    ],
)
def test_only_a_dispute_that_can_still_take_money_collides_with_a_refund(
    fields: dict[str, object], collides: bool
) -> None:
    case = with_refund(a_case(), a_refund_event())
    case = with_dispute(case, dispute_after(a_dispute_event(**fields)))
    assert (CaseFlag.REFUND_DISPUTE_COLLISION in case.flags) is collides


def test_a_refund_that_failed_collides_with_nothing() -> None:
    case = with_dispute(a_case(), dispute_after(a_dispute_event()))
    for event in (a_refund_event(), a_refund_event(step=PaymentStep.REFUND_FAILED, occurred_at=NOON + 2 * DAY)):
        case = with_refund(case, event)
    assert case.flags == ()


def test_a_refund_of_an_untold_amount_collides_too() -> None:
    case = with_dispute(a_case(), dispute_after(a_dispute_event()))
    assert with_refund(case, a_refund_event(amount=None)).flags == (CaseFlag.REFUND_DISPUTE_COLLISION,)


@pytest.mark.parametrize(("before", "warned"), [(SECOND, True), (0 * SECOND, False), (-SECOND, False)])
def test_a_warning_counts_as_one_only_before_the_dispute(before: timedelta, warned: bool) -> None:
    case = with_dispute(a_case(), dispute_after(a_dispute_event()))
    case = with_warning(case, a_fraud_warning(occurred_at=NOON - before))
    assert (CaseFlag.WARNED_BEFORE_DISPUTE in case.flags) is warned


def test_two_disputes_of_one_payment_are_several_and_their_amounts_add_up() -> None:
    other = lifecycle.record(
        Dispute(provider="stripe", dispute_id="dp_2", account="acct_1"), a_dispute_event(amount=eur(1)), NOON
    )
    case = with_dispute(with_dispute(a_case(), dispute_after(a_dispute_event())), other)
    assert (case.flags, case.disputed) == ((CaseFlag.SEVERAL_DISPUTES,), eur(2000))
