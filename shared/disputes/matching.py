"""Which payment does an alert mean? One that fits everything that is told, or nobody knows: to refund another one pays twice.

The rule, in this order:

1. The alert names the payment, by the id or an alias that its provider gives it, as resellers do who have matched it already:
   it is that one, if nothing that the alert tells besides contradicts it.
2. It tells card, amount and day, as networks do: it is the payment of that account's provider with the same first six and last
   four digits, amount and currency, between five days before (banks date a payment by its clearing as well) and one day after
   (time zones). What is not known of a payment does not fit: a card without its last four digits is none.
3. Several that fit are a tie, and there is no tie-break: a person says which. So is a name that contradicts the rest.

Descriptors stand for an account, and whoever passes alerts on has told that. ARNs are not matched: of what providers tell of
payments we read none.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from shared.domain.money import Money
from shared.domain.payments import Payment, takeable

BEFORE, AFTER = timedelta(days=5), timedelta(days=1)
DIGITS = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Sought:
    """What an alert tells of its payment. bin: the first digits of the card, six at least; paid_at: when it was paid, by the
    issuer's books."""

    amount: Money
    bin: str | None = None
    last4: str | None = None
    paid_at: datetime | None = None

    @property
    def is_told(self) -> bool:
        """Whether there is enough to look for it without its name."""
        return bool(self.bin and self.last4 and self.paid_at)


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """What is known of a payment. amount: one that was authorized or captured of it."""

    payment_id: str
    at: datetime
    amount: Money
    bin: str | None = None
    last4: str | None = None


@dataclass(frozen=True, slots=True)
class Match:
    """payment_id: None where a person has to say. why: in words, for that person."""

    payment_id: str | None
    why: str


def by_name(sought: Sought, payment: Payment | None, name: str) -> Match:
    """The payment that is called `name`, None where none of ours is."""
    if payment is None:
        # It may be told later, and is linked then; whether anything was taken is asked before anything is refunded.
        return Match(name, "it is named, and not among ours yet")
    taken, card = takeable(payment.captured, payment.authorized), payment.details.card
    wrong = [
        taken is not None and (taken.currency != sought.amount.currency or taken.minor < sought.amount.minor),
        card is not None and bool(sought.last4 and card.last4) and sought.last4 != card.last4,
        card is not None and bool(sought.bin and card.bin) and _digits(sought.bin) != _digits(card.bin),
    ]
    if any(wrong):
        return Match(None, f"{name} is named, and what else is told is of another payment")
    return Match(payment.payment_id, "it is named")


def by_card(sought: Sought, candidates: Iterable[Candidate]) -> Match:
    """The only one of `candidates` that fits; those are all that might."""
    if not sought.is_told:
        return Match(None, "neither a name nor card, amount and day are told")
    fitting = {one.payment_id for one in candidates if _fits(sought, one)}
    if len(fitting) == 1:
        return Match(min(fitting), "of this account's payments it alone has this card, amount and day")
    return Match(None, f"{len(fitting)} payments have this card, amount and day")


def _fits(sought: Sought, one: Candidate) -> bool:
    assert sought.paid_at is not None
    in_time = sought.paid_at - BEFORE <= one.at <= sought.paid_at + AFTER
    same_card = bool(one.last4) and one.last4 == sought.last4 and _digits(one.bin) == _digits(sought.bin)
    return in_time and same_card and sought.amount == one.amount


def _digits(bin_: str | None) -> str | None:
    """The six that every BIN has; None for fewer, which fit nothing."""
    return bin_[:DIGITS] if bin_ and len(bin_) >= DIGITS else None


CANDIDATES_SQL = """SELECT payment_id, MIN(occurred_at) AS at, MAX(card.bin) AS bin
FROM payment_events
WHERE occurred_at >= @since AND occurred_at <= @until AND kind = 'payment' AND provider = @provider
  AND step IN ('authorized', 'captured') AND amount.minor = @minor AND amount.currency = @currency
  AND card.last4 = @last4
GROUP BY payment_id
LIMIT 100"""
"""Those that have amount and last four digits; a card that is told with another BIN as well is the greater one, for whoever
tells of its payment tells the same."""


def looked_for(sought: Sought, provider: str) -> dict[str, object]:
    """The parameters of `CANDIDATES_SQL`."""
    assert sought.paid_at is not None
    return {
        "since": sought.paid_at - BEFORE,
        "until": sought.paid_at + AFTER,
        "provider": provider,
        "minor": sought.amount.minor,
        "currency": sought.amount.currency,
        "last4": sought.last4,
    }
