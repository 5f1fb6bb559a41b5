"""A burst of new cards on one BIN, device or address, most of them refused: somebody is trying out stolen numbers.

Only attempts with a card that nobody had seen before, by somebody who was there, are looked at
(`shared.flows.decisions.Newcomer`): a renewal is neither, so a day on which half of all subscriptions renew is none. An
issuer that is down refuses many cards and brings no new ones; a campaign brings many and few are refused.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta

WATCHED = timedelta(minutes=30)
"""How far back a burst is looked for; two ticks see it."""

BEFORE = timedelta(hours=3)
"""How far back what is usual is looked for."""

LEAST = {"bin": 20, "device": 6, "address": 10}
"""New cards below which nothing is a burst: a family shares a device, a dormitory an address, millions a BIN."""

REFUSED = 0.5
"""The part of the new cards that was refused. Of honest ones it is a tenth; of numbers that are tried out, most."""

CHANCE = 1e-6
"""How improbable twice what is usual, and one card more, would make so many."""

# It reads two columns: the instant, and `newcomer`, which is null of nearly all payments and weighs nothing there.
NEWCOMERS_SQL = """SELECT kind, value,
  COUNT(DISTINCT CASE WHEN recent THEN card END) AS cards,
  COUNT(DISTINCT CASE WHEN recent AND refused THEN card END) AS refused,
  COUNT(DISTINCT CASE WHEN NOT recent THEN card END) AS earlier
FROM (
  SELECT kind, occurred_at > @recent AS recent, fraud_decisions.newcomer.card AS card,
    fraud_decisions.newcomer.refused AS refused,
    CASE kind WHEN 'bin' THEN fraud_decisions.newcomer.bin WHEN 'device' THEN fraud_decisions.newcomer.device
      ELSE fraud_decisions.newcomer.address END AS value
  FROM fraud_decisions CROSS JOIN UNNEST(['bin', 'device', 'address']) AS kind
  WHERE occurred_at > @since AND occurred_at <= @until AND fraud_decisions.newcomer.card IS NOT NULL
) AS attempts
WHERE value IS NOT NULL
GROUP BY kind, value
HAVING COUNT(DISTINCT CASE WHEN recent THEN card END) >= @least"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Newcomers:
    """Distinct new cards of one `value` of a `kind` (bin, device, address): in the time WATCHED, those of them that were
    refused, and in the rest of BEFORE."""

    kind: str
    value: str
    cards: int
    refused: int
    earlier: int

    @classmethod
    def of(cls, row: Mapping[str, object]) -> "Newcomers":
        return cls(**{name: row[name] for name in cls.__slots__})  # type: ignore[arg-type]

    @property
    def usual(self) -> float:
        """New cards that so long a time had so far."""
        return self.earlier * (WATCHED / (BEFORE - WATCHED))

    @property
    def is_burst(self) -> bool:
        return (
            self.cards >= LEAST[self.kind]
            and self.refused >= REFUSED * self.cards
            and at_least(self.cards, 2 * self.usual + 1) < CHANCE
        )


def bursts(found: Iterable[Newcomers]) -> list[Newcomers]:
    """The bursts among what was counted, the largest first."""
    return sorted((one for one in found if one.is_burst), key=lambda one: (-one.cards, one.kind, one.value))


def at_least(events: int, expected: float) -> float:
    """How probable `events` or more are, where `expected` come on the average, each by itself (Poisson)."""
    if events <= expected:
        return 1.0
    term = math.exp(events * math.log(expected) - expected - math.lgamma(events + 1))
    total = 0.0
    while term > total * 1e-12:
        total += term
        events += 1
        term *= expected / events
    return total
