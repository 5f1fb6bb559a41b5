"""What a payment is: the set of what its provider told of it, and the state that this set means."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from shared.domain import timeline
from shared.domain.events import Card, Initiator, PaymentChanged, PaymentStep, ReviewChanged
from shared.domain.money import Money


class PaymentState(StrEnum):
    PENDING = "pending"
    AUTHORIZED = "authorized"
    PARTIALLY_CAPTURED = "partially_captured"
    CAPTURED = "captured"
    PARTIALLY_REFUNDED = "partially_refunded"
    REFUNDED = "refunded"
    DECLINED = "declined"
    CANCELED = "canceled"
    REVERSED = "reversed"
    SUCCEEDED_BY = "succeeded_by"


@dataclass(frozen=True, slots=True, kw_only=True)
class Details:
    """Who paid and how, each member as the latest fact that tells it. See `events.PaymentChanged`."""

    merchant_reference: str | None = None
    method: str | None = None
    card: Card | None = None
    customer_id: str | None = None
    device_id: str | None = None
    ip: str | None = None
    email_hash: str | None = None
    email_domain: str | None = None
    billing_country: str | None = None
    initiator: Initiator | None = None
    three_d_secure: str | None = None
    cvv_result: str | None = None
    avs_result: str | None = None
    decline_code: str | None = None
    hard_decline: bool | None = None
    provider_score: float | None = None
    network_transaction_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentFact:
    """One event, as the timeline keeps it. `step` is None for a review. An unsigned amount is not kept. `step_unsigned`:
    the provider's own choice between a refund and a release, told outside its signature (Adyen's CANCEL_OR_REFUND)."""

    occurred_at: datetime
    step: PaymentStep | None = None
    step_unsigned: bool | None = None
    amount: Money | None = None
    cumulative: bool | None = None
    reference: str | None = None
    review_open: bool | None = None
    verdict: str | None = None
    details: Details = Details()


@dataclass(frozen=True, slots=True, kw_only=True)
class Payment:
    """A payment. Everything but its names and `facts` is computed from `facts` by `settle`.

    authorized: the largest amount authorized at once. captured, refunded, reversed: totals; None where no such
    step was told or no amount known. first_at, last_at: the provider's times of its first and last fact.
    inconsistent: what does not add up, for a person: `currency_disagreement` (amounts in another currency than the
    first are left out of every total), `timeline_full` (facts were left out), `unsigned_step` (an unsigned word says
    refund or release where signed facts prove the other, and those count).
    """

    provider: str
    payment_id: str
    account: str
    state: PaymentState = PaymentState.PENDING
    authorized: Money | None = None
    captured: Money | None = None
    refunded: Money | None = None
    reversed: Money | None = None
    first_at: datetime | None = None
    last_at: datetime | None = None
    review_open: bool | None = None
    details: Details = Details()
    aliases: tuple[str, ...] = ()
    inconsistent: tuple[str, ...] = ()
    facts: Mapping[str, PaymentFact] = field(default_factory=dict)


def fact_of(event: PaymentChanged | ReviewChanged) -> PaymentFact:
    """What the timeline keeps of `event`."""
    occurred_at = event.occurred_at.astimezone(UTC)
    if isinstance(event, ReviewChanged):
        return PaymentFact(occurred_at=occurred_at, review_open=event.open, verdict=event.verdict)
    return PaymentFact(
        occurred_at=occurred_at,
        step=event.step,
        step_unsigned="step" in event.unsigned or None,
        amount=None if "amount" in event.unsigned else event.amount,
        cumulative=event.cumulative or None,
        reference=event.reference,
        details=Details(**{name: getattr(event, name) for name in _DETAILS}),
    )


def record(payment: Payment, event: PaymentChanged | ReviewChanged) -> Payment:
    """`payment` with `event` among its facts. The same payment, when the fact is known."""
    facts, fits = timeline.add(payment.facts, event.event_id, fact_of(event), _worth)
    told = event.aliases if isinstance(event, PaymentChanged) else ()
    return settle(
        replace(
            payment,
            facts=facts,
            account=min(payment.account, event.account),
            aliases=tuple(sorted({*payment.aliases, *told} - {payment.payment_id, ""})),
            inconsistent=payment.inconsistent if fits else (*payment.inconsistent, _FULL),
        )
    )


def settle(payment: Payment) -> Payment:
    """`payment` with everything that follows from its facts computed anew."""
    facts = [payment.facts[event_id] for event_id in sorted(payment.facts, key=lambda id_: _order(id_, payment.facts))]
    told = _with_late_failures(facts)
    facts = _with_proved_steps(told)
    steps = {fact.step for fact in facts}
    currencies = list(dict.fromkeys(fact.amount.currency for fact in facts if fact.amount))
    currency = currencies[0] if currencies else None

    def money(step: PaymentStep, minor: int) -> Money | None:
        return Money(minor, currency) if currency and step in steps else None

    authorized = max((_minor(fact, currency) for fact in facts if fact.step is PaymentStep.AUTHORIZED), default=0)
    captured = total(facts, PaymentStep.CAPTURED, PaymentStep.CAPTURE_FAILED, currency, untold=authorized)
    refunded = total(facts, PaymentStep.REFUNDED, PaymentStep.REFUND_FAILED, currency, untold=captured)
    reversed_ = total(facts, PaymentStep.REVERSED, None, currency, untold=captured)
    troubles = {_FULL} & set(payment.inconsistent)
    troubles |= {_CURRENCIES} if len(currencies) > 1 else set()
    troubles |= {_UNSIGNED} if facts != told else set()
    return replace(
        payment,
        state=_state(facts, authorized, captured, refunded),
        authorized=money(PaymentStep.AUTHORIZED, authorized),
        captured=money(PaymentStep.CAPTURED, captured),
        refunded=money(PaymentStep.REFUNDED, refunded),
        reversed=money(PaymentStep.REVERSED, reversed_),
        first_at=min((fact.occurred_at for fact in facts), default=None),
        last_at=max((fact.occurred_at for fact in facts), default=None),
        review_open=_last(fact.review_open for fact in facts),
        details=Details(**{name: _last(getattr(fact.details, name) for fact in facts) for name in _DETAILS}),
        inconsistent=tuple(sorted(troubles)),
    )


def total(
    facts: Iterable[PaymentFact], step: PaymentStep, undo: PaymentStep | None, currency: str | None, untold: int = 0
) -> int:
    """Minor units of `currency` that all facts of `step` moved together, less what facts of `undo` undid.

    Amounts of several references add up; several amounts of one reference do not, the largest holds. A running
    total, or an amount without a reference, which might repeat any other, is only a floor. An undone reference
    counts nothing, and lowers the running totals told before it was undone. An `undo` without a reference lowers
    the total by what it tells, or to nothing. A fact of `step` without an amount moved `untold`.
    """
    facts = [fact for fact in facts if fact.amount is None or fact.amount.currency == currency]
    of_reference: dict[str, int] = {}
    floors: list[tuple[datetime, int]] = []
    undone: dict[str | None, tuple[datetime, int]] = {}
    for fact in facts:
        minor = fact.amount.minor if fact.amount else untold
        if fact.step is step and fact.reference and not fact.cumulative:
            of_reference[fact.reference] = max(minor, of_reference.get(fact.reference, 0))
        elif fact.step is step:
            floors.append((fact.occurred_at, minor))
    for fact in facts:
        if undo is not None and fact.step is undo:
            at, most = undone.get(fact.reference, (fact.occurred_at, of_reference.get(fact.reference or "", 0)))
            told = fact.amount.minor if fact.amount else most or untold
            undone[fact.reference] = max(at, fact.occurred_at), max(most, told)
    anonymous = undone[None][1] if None in undone else 0
    live = sum(minor for reference, minor in of_reference.items() if reference not in undone) - anonymous
    floor = max((minor - sum(lost for at, lost in undone.values() if at >= told) for told, minor in floors), default=0)
    return max(0, live, floor)


def _with_late_failures(facts: list[PaymentFact]) -> list[PaymentFact]:
    """`facts`, where a decline of what was captured before and not again after is a capture that failed.

    Banks may report the failure of a Direct Debit after they had confirmed it, in the words of any other failure.
    """
    captures = {fact.reference: fact.occurred_at for fact in facts if fact.step is PaymentStep.CAPTURED}
    return [
        replace(fact, step=PaymentStep.CAPTURE_FAILED)
        if fact.step is PaymentStep.DECLINED
        and fact.reference
        and fact.occurred_at > captures.get(fact.reference, fact.occurred_at)
        else fact
        for fact in facts
    ]


def _with_proved_steps(facts: list[PaymentFact]) -> list[PaymentFact]:
    """`facts`, where an unsigned choice is what signed facts prove: what was captured is refunded, what was not is
    released."""
    captured = any(fact.step is PaymentStep.CAPTURED for fact in facts)
    proved = PaymentStep.REFUNDED if captured else PaymentStep.CANCELED
    return [replace(fact, step=proved) if fact.step_unsigned else fact for fact in facts]


def _state(facts: list[PaymentFact], authorized: int, captured: int, refunded: int) -> PaymentState:
    steps = {fact.step for fact in facts}
    if refunded or (PaymentStep.REFUNDED in steps and PaymentStep.REFUND_FAILED not in steps):
        if PaymentStep.REVERSED in steps:
            return PaymentState.REVERSED
        # A refund that arrives before its capture is measured against the authorization.
        return PaymentState.PARTIALLY_REFUNDED if refunded < (captured or authorized) else PaymentState.REFUNDED
    if PaymentStep.REVERSED in steps:
        return PaymentState.REVERSED
    if captured or (PaymentStep.CAPTURED in steps and PaymentStep.CAPTURE_FAILED not in steps):
        return PaymentState.PARTIALLY_CAPTURED if captured < authorized else PaymentState.CAPTURED
    if PaymentStep.SUCCEEDED_BY in steps:
        return PaymentState.SUCCEEDED_BY
    # A decline before a successful retry, or a pending before the answer, says nothing any more, whatever its time.
    open_ = _AFTER_AUTHORIZATION if PaymentStep.AUTHORIZED in steps else _BEFORE_AUTHORIZATION
    told = [(fact.occurred_at, list(open_).index(fact.step)) for fact in facts if fact.step in open_]
    return list(open_.values())[max(told)[1]] if told else PaymentState.PENDING


# Which step is the state while no money has moved: the latest, and of two at one instant the lower row.
_BEFORE_AUTHORIZATION = {
    PaymentStep.PENDING: PaymentState.PENDING,
    PaymentStep.DECLINED: PaymentState.DECLINED,
    PaymentStep.CAPTURE_FAILED: PaymentState.DECLINED,
    PaymentStep.CANCELED: PaymentState.CANCELED,
}
_AFTER_AUTHORIZATION = {
    PaymentStep.AUTHORIZED: PaymentState.AUTHORIZED,
    PaymentStep.CANCELED: PaymentState.CANCELED,
}
_DETAILS = tuple(each.name for each in fields(Details))
_CURRENCIES, _FULL, _UNSIGNED = "currency_disagreement", "timeline_full", "unsigned_step"
# Left out last when a timeline overflows.
_MATTERS = frozenset(PaymentStep) - {PaymentStep.PENDING, PaymentStep.REFUND_PENDING, PaymentStep.DECLINED}


def _worth(event_id: str, fact: PaymentFact) -> tuple[bool, datetime, str]:
    return fact.step in _MATTERS, fact.occurred_at, event_id


def _order(event_id: str, facts: Mapping[str, PaymentFact]) -> tuple[datetime, str]:
    return facts[event_id].occurred_at, event_id


def _minor(fact: PaymentFact, currency: str | None) -> int:
    return fact.amount.minor if fact.amount and fact.amount.currency == currency else 0


def _last(values: Iterable[Any]) -> Any:
    told = None
    for value in values:
        if value is not None:
            told = value
    return told
