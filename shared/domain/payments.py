"""What a payment is: the set of what its provider told of it, and the state that this set means."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime
from enum import StrEnum
from operator import attrgetter
from typing import Any

from shared.domain import ledger, timeline, totals
from shared.domain.codec import encode
from shared.domain.events import Card, Initiator, PaymentChanged, PaymentStep, ReviewChanged
from shared.domain.ledger import Ledger
from shared.domain.money import Money

# Of what does not add up the one thing that nobody has to look at: what is no longer listed counts.
TIMELINE_FULL = "timeline_full"


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
    """Who paid and how. See `events.PaymentChanged`.

    Each member is as the latest fact tells it, but for those that say with what the payment was made (`customer_id`,
    `device_id`, `ip`): these are what was first told of the attempt that went through, and nothing later changes them. A
    dispute months later is answered with them, so that nobody looks up what is true by then.
    """

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
class Folded:
    """What still counts of facts for which the timeline has no room. `words`: what they said of money; `steps`: when each
    step was told last, `told_at`: when each of `details`, and `review_open`, was."""

    words: Ledger = field(default_factory=Ledger)
    steps: Mapping[PaymentStep, datetime] = field(default_factory=dict)
    details: Details = Details()
    review_open: bool | None = None
    told_at: Mapping[str, datetime] = field(default_factory=dict)
    told_by: Mapping[str, int] = field(default_factory=dict)
    first_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Payment:
    """A payment. Everything but its names, `facts` and `folded` is computed from those two by `settle`.

    authorized: what is held, or was until it was captured or canceled as a whole: `state` says whether it still is, and
    what was held tells a person, and a capture that comes too late, of how much. captured, refunded, reversed:
    totals, see `totals`; None where no such step was told or no amount known. first_at, last_at: the provider's times
    of its first and last fact. paid_by: the customer, by their address's pseudonym where no id of theirs is told, of a
    payment of which something can be given back; `subscribers` finds it by that. tried_by: the customer of any other, so that nobody who is erased is missed. nameless: whoever paid was
    erased, and what is told later does not bring them back. known: of how many different words all this is made; it rises whenever a total
    changes, and never falls.
    inconsistent: what does not add up, for a person: `currency_disagreement` (amounts in another currency than the
    first are left out of every total), `timeline_full` (the oldest facts are no longer listed, but count),
    `totals_incomplete` (there were more words than a document can hold: totals are of those that it holds),
    `unsigned_step` (an unsigned word says refund or release where signed facts prove the other, and those count).
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
    paid_by: str | None = None
    tried_by: str | None = None
    nameless: bool = False
    aliases: tuple[str, ...] = ()
    inconsistent: tuple[str, ...] = ()
    known: int = 0
    facts: Mapping[str, PaymentFact] = field(default_factory=dict)
    folded: Folded | None = None


def takeable(captured: Money | None, authorized: Money | None) -> Money | None:
    """What can be given back of a payment: what was captured or, where no capture was ever told, what is held. A provider
    may capture by itself and say nothing of it (Adyen)."""
    return authorized if captured is None else captured


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


def may_have_happened_again(payment: Payment, event: PaymentChanged | ReviewChanged) -> bool:
    """Whether `event` is told once more, under a later time that nobody signed, of what was undone in between: the same step
    made again, as which it counts, or a replay. Somebody has to look."""
    known, told = payment.facts.get(event.event_id), fact_of(event)
    if known is None or known.step not in _UNDONE_BY or "occurred_at" not in event.unsigned:
        return False
    return any(
        fact.step in _UNDONE_BY[known.step]
        and fact.reference == known.reference
        and known.occurred_at <= fact.occurred_at < told.occurred_at
        for fact in payment.facts.values()
    )


def record(payment: Payment, event: PaymentChanged | ReviewChanged) -> Payment:
    """`payment` with `event` among its facts. The same payment, when the fact is known."""
    fact = _nameless(fact_of(event)) if payment.nameless else fact_of(event)
    facts, left_out = timeline.newest(payment.facts, event.event_id, fact)
    told = event.aliases if isinstance(event, PaymentChanged) else ()
    return settle(
        replace(
            payment,
            facts=facts,
            folded=_folded(payment, facts, left_out) if left_out or payment.folded else None,
            account=min(payment.account, event.account),
            aliases=tuple(sorted({*payment.aliases, *told} - {payment.payment_id, ""})),
        )
    )


def without_person(payment: Payment) -> Payment:
    """`payment` with nothing that says whose it is, now and whatever is told later: money and state are as they were."""
    folded = payment.folded
    if folded is not None:
        folded = replace(
            folded,
            details=_without_names(folded.details),
            told_at={name: at for name, at in folded.told_at.items() if name not in _PERSONAL},
            told_by={name: by for name, by in folded.told_by.items() if name not in _PERSONAL},
        )
    facts = {name: _nameless(fact) for name, fact in payment.facts.items()}
    return settle(replace(payment, facts=facts, folded=folded, nameless=True))


def _nameless(fact: PaymentFact) -> PaymentFact:
    return replace(fact, details=_without_names(fact.details))


def _without_names(details: Details) -> Details:
    card = details.card
    return replace(
        details,
        card=replace(card, fingerprint=None, last4=None) if card else None,
        **dict.fromkeys(_PERSONAL),
    )


def settle(payment: Payment) -> Payment:
    """`payment` with everything that follows from its facts computed anew."""
    facts, folded = payment.facts.values(), payment.folded or Folded()
    listed, rest, priced, known = ledger.enough(payment.folded.words if payment.folded else None, words_of(facts))
    proved = _with_proved_steps(listed)
    words = totals.by_step(proved)
    currency, disagree = totals.currency_of(words)
    currency = currency or priced
    sums = totals.sums(words, currency, rest.whole) + rest
    last = _last_told(folded, facts, proved)

    def money(step: PaymentStep, minor: int) -> Money | None:
        return Money(minor, currency) if currency and step in last else None

    given_up = totals.given_up(words, currency, sums)
    authorized = sums.authorized() - given_up
    captured = sums.captured.moved(authorized)
    # What comes back before the capture was told is measured against the authorization.
    whole = captured.minor or authorized
    refunded, reversed_ = sums.refunded.moved(whole), sums.reversed.moved(whole)
    if given_up:
        del last[PaymentStep.CANCELED]
    latest = _latest(folded, facts)
    troubles = {_INCOMPLETE} if folded.words.incomplete else set()
    troubles |= {TIMELINE_FULL} if payment.folded and len(payment.facts) == timeline.LISTED else set()
    troubles |= {_CURRENCIES} if disagree else set()
    troubles |= {_UNSIGNED} if proved != listed else set()
    instants = [fact.occurred_at for fact in facts]
    held = takeable(money(PaymentStep.CAPTURED, captured.minor), money(PaymentStep.AUTHORIZED, authorized))
    # As histories have it: the same address is the same customer where a provider gives no id of theirs.
    customer = latest.details.customer_id or latest.details.email_hash
    return replace(
        payment,
        state=_state(last, authorized, captured, refunded, reversed_),
        authorized=money(PaymentStep.AUTHORIZED, authorized),
        captured=money(PaymentStep.CAPTURED, captured.minor),
        refunded=money(PaymentStep.REFUNDED, refunded.minor),
        reversed=money(PaymentStep.REVERSED, reversed_.minor),
        first_at=min([*instants, *([folded.first_at] if folded.first_at else [])], default=None),
        last_at=max(instants, default=None),
        review_open=latest.review_open,
        details=latest.details,
        paid_by=customer if held and held.minor > 0 else None,
        tried_by=None if held and held.minor > 0 else customer,
        inconsistent=tuple(sorted(troubles)),
        known=known,
    )


def words_of(facts: Iterable[PaymentFact]) -> list[totals.Word]:
    """What `facts` say of money, those that say something."""
    return [word for fact in facts if (word := _word_of(fact))]


def _word_of(fact: PaymentFact) -> totals.Word | None:
    """A decline that names no attempt undoes none."""
    step, amount = fact.step, fact.amount
    if step is None:
        return None
    if not fact.step_unsigned and (step in _MOVE_NOTHING or (step is PaymentStep.DECLINED and not fact.reference)):
        return None
    return totals.Word(
        totals.name_of(fact.reference),
        step,
        totals.micros(fact.occurred_at),
        amount.minor if amount else None,
        amount.currency if amount else None,
        bool(fact.cumulative),
        bool(fact.step_unsigned),
    )


def _last_told(folded: Folded, facts: Iterable[PaymentFact], words: Iterable[totals.Word]) -> dict[PaymentStep, int]:
    """When each step was told last; `words`, among which are those of unsigned steps, as they are proved."""
    last = {step: totals.micros(at) for step, at in _steps(folded.steps, facts).items()}
    for word in words:
        if word.unproved:
            last[word.step] = max(word.at, last.get(word.step, word.at))
    return last


def _steps(before: Mapping[PaymentStep, datetime], facts: Iterable[PaymentFact]) -> dict[PaymentStep, datetime]:
    """When each step that is signed was told last, in `facts` or `before` them."""
    last = dict(before)
    for fact in facts:
        if fact.step and not fact.step_unsigned:
            last[fact.step] = max(fact.occurred_at, last.get(fact.step, fact.occurred_at))
    return last


def _folded(payment: Payment, facts: Mapping[str, PaymentFact], left_out: list[PaymentFact]) -> Folded:
    """What is folded of `payment` when `facts` are listed, and `left_out` no longer are."""
    before = payment.folded or Folded()
    words = ledger.folded(before.words, words_of(left_out), words_of(payment.facts.values()), words_of(facts.values()))
    if not left_out:
        return replace(before, words=words)
    first_at = min([fact.occurred_at for fact in left_out] + ([before.first_at] if before.first_at else []))
    return replace(_latest(before, left_out), words=words, steps=_steps(before.steps, left_out), first_at=first_at)


def _with_proved_steps(words: list[totals.Word]) -> list[totals.Word]:
    """`words`, where an unsigned choice is what signed facts prove: what was captured is refunded, what was not is
    released."""
    captured = any(word.step is PaymentStep.CAPTURED for word in words)
    proved = PaymentStep.REFUNDED if captured else PaymentStep.CANCELED
    return [word._replace(step=proved) if word.unproved else word for word in words]


def _state(
    last: Mapping[PaymentStep, int],
    authorized: int,
    captured: totals.Moved,
    refunded: totals.Moved,
    reversed_: totals.Moved,
) -> PaymentState:
    """What the amounts say; where no money has moved, the latest step."""
    whole, returned = captured.minor or authorized, refunded.minor + reversed_.minor
    if reversed_.stands and reversed_.minor >= whole:
        return PaymentState.REVERSED
    if (refunded.stands or reversed_.stands) and returned >= whole:
        return PaymentState.REFUNDED
    if returned:
        return PaymentState.PARTIALLY_REFUNDED
    if captured.stands and (captured.minor or not authorized):
        return PaymentState.PARTIALLY_CAPTURED if captured.minor < authorized else PaymentState.CAPTURED
    if PaymentStep.SUCCEEDED_BY in last:
        return PaymentState.SUCCEEDED_BY
    # A decline before a successful retry, or a pending before the answer, says nothing any more, whatever its time.
    open_ = _AFTER_AUTHORIZATION if PaymentStep.AUTHORIZED in last else _BEFORE_AUTHORIZATION
    told = [(last[step], rank) for rank, step in enumerate(open_) if step in last]
    return list(open_.values())[max(told)[1]] if told else PaymentState.PENDING


def _latest(folded: Folded, facts: Iterable[PaymentFact]) -> Folded:
    """The word that counts on each detail and on the review, and when and by whom it was told: the latest, and on
    what the payment was made with the first of the attempt that went through. Of two at one instant the one whose bytes
    are greater: any rule will do that knows nothing of who came first."""
    values: dict[str, Any] = {name: getattr(folded.details, name) for name in folded.told_at if name != _REVIEW}
    told_at, told_by = dict(folded.told_at), dict(folded.told_by)
    if _REVIEW in told_at:
        values[_REVIEW] = folded.review_open
    for fact in facts:
        at = fact.occurred_at
        for name, value in ((_REVIEW, fact.review_open), *zip(_DETAILS, _told(fact.details), strict=True)):
            if value is None or (name in _ATTEMPT and fact.step in _GOING_BACK):
                continue
            if name in told_at:
                told, known = _weight(name, _witness(fact.step), at), _weight(name, told_by.get(name, 1), told_at[name])
                if told < known or (told == known and encode(value) <= encode(values[name])):
                    continue
            values[name], told_at[name] = value, at
            if name in _MADE_WITH:
                told_by[name] = _witness(fact.step)
    review_open = values.pop(_REVIEW, None)
    return Folded(details=Details(**values), review_open=review_open, told_at=told_at, told_by=told_by)


def _weight(name: str, witness: int, at: datetime) -> tuple[int, int]:
    """Of two words on the detail `name` the one that weighs more counts: the later; on what the payment was made with that of
    the better witness, and of two such the earlier."""
    return (witness, -totals.micros(at)) if name in _MADE_WITH else (0, totals.micros(at))


def _witness(step: PaymentStep | None) -> int:
    """Who knows best what the payment was made with: the attempt that went through, then any other, then what came back."""
    return 2 if step in _WENT_THROUGH else 0 if step in _GOING_BACK else 1


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
_told = attrgetter(*_DETAILS)
_PERSONAL = ("customer_id", "device_id", "ip", "email_hash", "email_domain")
_REVIEW = "review_open"
_CURRENCIES, _UNSIGNED, _INCOMPLETE = "currency_disagreement", "unsigned_step", "totals_incomplete"
_MOVE_NOTHING = frozenset({PaymentStep.PENDING, PaymentStep.REFUND_PENDING, PaymentStep.SUCCEEDED_BY})
# Why money did not go back says nothing of how it was paid.
_GOING_BACK = frozenset(
    {PaymentStep.REFUND_PENDING, PaymentStep.REFUNDED, PaymentStep.REFUND_FAILED, PaymentStep.REVERSED}
)
_MADE_WITH = frozenset({"customer_id", "device_id", "ip"})
_WENT_THROUGH = frozenset({PaymentStep.AUTHORIZED, PaymentStep.CAPTURED})
_UNDONE_BY = {
    PaymentStep.CAPTURED: (PaymentStep.CAPTURE_FAILED, PaymentStep.DECLINED),
    PaymentStep.REFUNDED: (PaymentStep.REFUND_FAILED,),
}
_ATTEMPT = frozenset({"decline_code", "hard_decline"})
