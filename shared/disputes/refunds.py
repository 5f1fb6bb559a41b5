"""May this payment be refunded? Asked before anybody does, for whoever refunds what is disputed may pay twice.

The answer goes by what a dispute is and where it stands, not by whether there is one: a chargeback has taken the money already,
an inquiry has not and often ends with a refund, and one that the network settled beforehand is a refund.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from shared.disputes.case import takes_money
from shared.domain.answers import Act
from shared.domain.disputes import GIVEN, AlertOutcome, AnswerState, Case, Dispute
from shared.domain.events import DisputeStage, DisputeStatus
from shared.domain.money import Money
from shared.domain.payments import Payment, takeable


class MayRefund(StrEnum):
    YES = "yes"
    NO = "no"
    ASK = "ask"  # a person who knows the case has to say


@dataclass(frozen=True, slots=True)
class Advice:
    """may: the strictest of all that speaks. left: what could go back at most without paying twice. why: for a person. settled:
    what there is to say to a network that asks for a refund, where it needs none any more. underway_until: when a refund that is
    on its way is due, after which there is more to say; None where there is none."""

    may: MayRefund
    left: Money | None
    why: tuple[str, ...]
    settled: AlertOutcome | None = None
    underway_until: datetime | None = None


_STRICTNESS = (MayRefund.YES, MayRefund.ASK, MayRefund.NO)
_OPEN = frozenset({DisputeStatus.NEEDS_RESPONSE, DisputeStatus.UNDER_REVIEW, None})
_GONE = frozenset({DisputeStatus.LOST, DisputeStatus.ACCEPTED, DisputeStatus.EXPIRED})


def may_refund(payment: Payment | None, case: Case | None, disputes: Iterable[Dispute]) -> Advice:
    """What to say to somebody who is about to refund `payment`; `case` and `disputes` are all that there are of it."""
    paid = takeable(payment.captured, payment.authorized) if payment else None
    if payment is None or paid is None or not paid.minor:
        return Advice(MayRefund.NO, None, ("no payment of this name has taken any money",))
    own = [one for one in disputes if one.same_as is None]
    takers = [one for one in own if one.alert is None]
    found = [_of(one) for one in own]
    returned = payment.refunded.minor if payment.refunded else 0
    left = paid.minor - returned - (payment.reversed.minor if payment.reversed else 0)
    taken = 0
    for dispute in own:
        if takes_money(dispute):
            amount = dispute.amount
            taken += amount.minor if amount and amount.currency == paid.currency else left
    left = max(0, left - taken)
    if case is not None and case.warnings and not found:
        told = "its issuer reported fraud: a refund now may prevent the dispute, and does not take the report back"
        found.append((MayRefund.YES, told))
    if not left:
        found.append((MayRefund.NO, f"nothing is left of {paid}: it went back already, or a dispute has taken it"))
    elif not found:
        found.append((MayRefund.YES, "nobody disputes it"))
    may = max((word for word, _ in found), key=_STRICTNESS.index)
    settled = None
    if takers and any(one.status not in (DisputeStatus.CLOSED, DisputeStatus.PREVENTED) for one in takers):
        settled = AlertOutcome.ALREADY_DISPUTED
    elif may is MayRefund.NO:
        settled = AlertOutcome.PREVIOUSLY_REFUNDED
    underway = [one.answer.due_at or one.answer.at for one in own if one.answer and one.alert and _refunds(one)]
    return Advice(may, Money(left, paid.currency), tuple(why for _, why in found), settled, max(underway, default=None))


def _of(dispute: Dispute) -> tuple[MayRefund, str]:
    name, status = f"{'alert' if dispute.alert else 'dispute'} {dispute.dispute_id}", dispute.status
    if dispute.alert and _refunds(dispute):
        return MayRefund.ASK, f"{name} is about to be answered by a refund"
    if dispute.alert and _declined(dispute):
        return MayRefund.ASK, f"{name} was answered: nothing is refunded"
    if status is DisputeStatus.PREVENTED:
        return MayRefund.NO, f"{name} was settled beforehand: the network has refunded it already"
    if status is DisputeStatus.CLOSED:
        return MayRefund.YES, f"{name} was withdrawn or closed without a ruling"
    if dispute.alert and status in _OPEN:
        return MayRefund.YES, f"{name} asks for it, before a dispute is filed"
    if dispute.stage is DisputeStage.INQUIRY:
        if status in _OPEN:
            return MayRefund.YES, f"{name} is an inquiry, which has taken nothing: a refund in full ends most of them"
        return MayRefund.ASK, f"{name} is an inquiry that ended as {status}: a chargeback may follow"
    if status is DisputeStatus.WON:
        if dispute.final:
            return MayRefund.ASK, f"{name} was won: the issuer has found that nothing is owed"
        return MayRefund.NO, f"{name} was won, but not for good: its money may be taken again"
    if status in _GONE:
        return MayRefund.NO, f"{name} was {status}: the customer has that money from their bank"
    return MayRefund.NO, f"{name} has taken the money and is open: accept it instead of a refund"


def _refunds(alert: Dispute) -> bool:
    answer = alert.answer
    on_its_way = (AnswerState.ANNOUNCED, AnswerState.SENDING)
    return answer is not None and answer.act is Act.ACCEPT and answer.state in on_its_way


def _declined(alert: Dispute) -> bool:
    """By choice, and not because there was nothing left to refund."""
    given = [one for one in alert.answers.values() if one.state in GIVEN and one.act is Act.DECLINE]
    return any(one.code in (None, AlertOutcome.DECLINED) for one in given)
