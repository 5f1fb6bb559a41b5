"""Whether a payment may be refunded, by what its disputes are."""

from dataclasses import replace
from typing import Any

import pytest

from shared.disputes.case import with_dispute, with_warning
from shared.disputes.refunds import MayRefund, may_refund
from shared.domain import payments
from shared.domain.answers import Act
from shared.domain.disputes import Answer, AnswerState, Case, Dispute
from shared.domain.events import Alert, DisputeStage, DisputeStatus, PaymentStep
from shared.domain.payments import Payment
from tests.builders import (
    HOUR,
    NOON,
    a_dispute_event,
    a_fraud_warning,
    a_payment_event,
    a_refund_event,
    dispute_after,
    eur,
)


def a_payment(*steps: Any) -> Payment:
    payment = Payment(provider="stripe", payment_id="pi_1", account="acct_1")
    for event in steps or (a_payment_event(amount=eur(1999)),):
        payment = payments.record(payment, event)
    return payment


def a_dispute(**fields: Any) -> Dispute:
    return dispute_after(a_dispute_event(**{"amount": eur(1999), **fields}))


def test_what_nobody_disputes_may_be_refunded_as_far_as_anything_is_left() -> None:
    payment = a_payment(a_payment_event(amount=eur(1999)), a_refund_event(amount=eur(500)))
    advice = may_refund(payment, None, ())
    assert (advice.may, advice.left) == (MayRefund.YES, eur(1499))


@pytest.mark.parametrize("payment", [None, a_payment(a_payment_event(PaymentStep.DECLINED))])
def test_nothing_is_refunded_of_what_took_nothing(payment: Payment | None) -> None:
    assert may_refund(payment, None, ()).may is MayRefund.NO


@pytest.mark.parametrize(
    ("stage", "status", "final", "may", "left"),
    [
        (DisputeStage.CHARGEBACK, DisputeStatus.NEEDS_RESPONSE, True, MayRefund.NO, 0),
        (DisputeStage.CHARGEBACK, DisputeStatus.UNDER_REVIEW, True, MayRefund.NO, 0),
        (DisputeStage.CHARGEBACK, DisputeStatus.LOST, True, MayRefund.NO, 0),
        (DisputeStage.CHARGEBACK, DisputeStatus.WON, True, MayRefund.ASK, 1999),
        (DisputeStage.CHARGEBACK, DisputeStatus.WON, False, MayRefund.NO, 0),
        (DisputeStage.INQUIRY, DisputeStatus.NEEDS_RESPONSE, True, MayRefund.YES, 1999),
        (DisputeStage.INQUIRY, DisputeStatus.LOST, True, MayRefund.ASK, 1999),
        (DisputeStage.INQUIRY, DisputeStatus.PREVENTED, True, MayRefund.NO, 1999),
        (DisputeStage.CHARGEBACK, DisputeStatus.CLOSED, True, MayRefund.YES, 1999),
    ],
)
def test_the_answer_goes_by_what_the_dispute_is_and_where_it_stands(
    stage: DisputeStage, status: DisputeStatus, final: bool, may: MayRefund, left: int
) -> None:
    dispute = a_dispute(stage=stage, status=status, final=final)
    advice = may_refund(a_payment(), with_dispute(Case(provider="stripe", payment_id="pi_1"), dispute), [dispute])
    assert (advice.may, advice.left) == (may, eur(left))
    assert "dp_1" in advice.why[0]


def test_of_two_disputes_the_stricter_one_speaks_and_a_part_that_is_left_is_told() -> None:
    inquiry = a_dispute(stage=DisputeStage.INQUIRY, amount=eur(1999))
    part = replace(a_dispute(amount=eur(700)), dispute_id="dp_2")
    advice = may_refund(a_payment(), None, [inquiry, part])
    assert (advice.may, advice.left, len(advice.why)) == (MayRefund.NO, eur(1299), 2)


def test_a_report_of_fraud_speaks_for_a_refund() -> None:
    case = with_warning(Case(provider="stripe", payment_id="pi_1"), a_fraud_warning(), NOON)
    advice = may_refund(a_payment(), case, ())
    assert advice.may is MayRefund.YES
    assert "may prevent the dispute" in advice.why[0]


def test_what_is_told_of_another_dispute_counts_once() -> None:
    dispute = a_dispute()
    stray = replace(a_dispute(), dispute_id="pi_1", same_as="dp_1")
    assert may_refund(a_payment(), None, [dispute, stray]).left == eur(0)
    assert may_refund(a_payment(), None, [stray]).may is MayRefund.YES


def test_what_was_reversed_is_left_no_more() -> None:
    captured = a_payment_event(amount=eur(1999))
    payment = a_payment(captured, a_payment_event(PaymentStep.REVERSED, amount=eur(500), occurred_at=NOON + HOUR))
    assert may_refund(payment, None, ()).left == eur(1499)


def test_a_refund_is_on_its_way_until_it_is_due_or_since_it_was_decided() -> None:
    alert = a_dispute(stage=DisputeStage.INQUIRY, alert=Alert.ETHOCA, respond_by=NOON + 24 * HOUR)

    def answered(**told: Any) -> Dispute:
        answer = Answer(state=AnswerState.ANNOUNCED, act=Act.ACCEPT, at=NOON, **told)
        return replace(alert, answers={alert.round or "": answer})

    assert may_refund(a_payment(), None, [answered()]).underway_until == NOON
    assert may_refund(a_payment(), None, [answered(due_at=NOON + HOUR)]).underway_until == NOON + HOUR
    assert may_refund(a_payment(), None, [alert]).underway_until is None
