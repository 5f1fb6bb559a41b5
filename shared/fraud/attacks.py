"""A burst of new cards on one BIN, device or address, most of them refused: somebody is trying out stolen numbers.

Only attempts with a card that nobody had seen before, by somebody who was there, are looked at
(`shared.flows.decisions.Newcomer`): a renewal is neither, so a day on which half of all subscriptions renew is none. An
issuer that is down refuses many cards and brings no new ones; a campaign brings many and few are refused. Who is challenged
or sent to review because a rule or the score says fraud, and is let through by nobody, counts as refused: a tester has no
cardholder's phone. An honest customer authenticates within minutes.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

WATCHED = timedelta(minutes=30)
"""How far back a burst is looked for; two ticks see it."""

BEFORE = timedelta(hours=3)
"""How far back what is usual is looked for."""

LEAST = {"bin": 20, "device": 6, "address": 10}
"""New cards below which nothing is a burst: a family shares a device, a dormitory an address, millions a BIN."""

REFUSED = 0.5
"""The part of the new cards that was refused. Of honest ones it is a tenth; of numbers that are tried out, most."""

ANSWERED = timedelta(minutes=5)
"""By then who was challenged and is who they say has authenticated: a challenge that is younger says nothing yet."""

RARE = 0.2
"""Where more of the other new cards than this were doubted too, rules or scores stop everybody (a policy of rules, or of
challenges whose end nobody tells us), and being doubted says nothing."""

CHANCE = 1e-6
"""How improbable twice what is usual, and one card more, would make so many."""

ALL = "all"
"""The kind of a row that counts all newcomers, whatever they have in common."""

# It reads two columns: the instant, and `newcomer`, which is null of nearly all payments and weighs nothing there. A card has
# a row for each word on its attempt, and is doubted as long as none of them lets it through: null is no, as it is in rows of
# releases before.
NEWCOMERS_SQL = f"""SELECT kind, value, SUM(recent) AS cards, SUM(refused) AS refused,
  SUM(CASE WHEN recent = 1 AND refused = 0 THEN doubted ELSE 0 END) AS doubted,
  SUM(earlier) AS earlier, SUM(CASE WHEN earlier = 1 THEN doubted ELSE 0 END) AS earlier_doubted
FROM (
  SELECT kind, value, card, MAX(CASE WHEN recent THEN 1 ELSE 0 END) AS recent,
    MAX(CASE WHEN recent THEN 0 ELSE 1 END) AS earlier, MAX(CASE WHEN recent AND refused THEN 1 ELSE 0 END) AS refused,
    MIN(CASE WHEN doubted AND occurred_at <= @answered THEN 1 ELSE 0 END) AS doubted
  FROM (
    SELECT kind, occurred_at, occurred_at > @recent AS recent, fraud_decisions.newcomer.card AS card,
      fraud_decisions.newcomer.refused AS refused, fraud_decisions.newcomer.doubted AS doubted,
      CASE kind WHEN '{ALL}' THEN '{ALL}' WHEN 'bin' THEN fraud_decisions.newcomer.bin
        WHEN 'device' THEN fraud_decisions.newcomer.device ELSE fraud_decisions.newcomer.address END AS value
    FROM fraud_decisions CROSS JOIN UNNEST(['{ALL}', 'bin', 'device', 'address']) AS kind
    WHERE occurred_at > @since AND occurred_at <= @until AND fraud_decisions.newcomer.card IS NOT NULL
  ) AS attempts
  WHERE value IS NOT NULL
  GROUP BY kind, value, card
) AS cards
GROUP BY kind, value
HAVING SUM(recent) >= @least"""  # noqa: S608 - constants of ours


@dataclass(frozen=True, slots=True, kw_only=True)
class Newcomers:
    """Distinct new cards of one `value` of a `kind` (bin, device, address; `ALL`: of all): in the time WATCHED, those of them
    that were refused, and the others that were doubted and let through by nobody; and in the rest of BEFORE, those of them
    that were doubted."""

    kind: str
    value: str
    cards: int
    refused: int
    doubted: int
    earlier: int
    earlier_doubted: int

    @classmethod
    def of(cls, row: Mapping[str, object]) -> "Newcomers":
        return cls(**{name: row[name] for name in cls.__slots__})  # type: ignore[arg-type]

    @property
    def usual(self) -> float:
        """New cards that so long a time had so far."""
        return self.earlier * (WATCHED / (BEFORE - WATCHED))

    def is_burst(self, whole: "Newcomers") -> bool:
        """whole: all new cards, by which it is known what being doubted says."""
        stopped = self.refused + (self.doubted if self._says_something(whole) else 0)
        return (
            self.cards >= LEAST[self.kind]
            and stopped >= REFUSED * self.cards
            and at_least(self.cards, 2 * self.usual + 1) < CHANCE
        )

    def _says_something(self, whole: "Newcomers") -> bool:
        others = whole.earlier - self.earlier
        return others < LEAST["bin"] or whole.earlier_doubted - self.earlier_doubted <= RARE * others


def asked_at(now: datetime) -> dict[str, object]:
    """What `NEWCOMERS_SQL` is asked with."""
    return {
        "since": now - BEFORE,
        "recent": now - WATCHED,
        "answered": now - ANSWERED,
        "until": now,
        "least": min(LEAST.values()),
    }


def bursts(found: Iterable[Newcomers]) -> list[Newcomers]:
    """The bursts among what was counted, the largest first."""
    counted = {(one.kind, one.value): one for one in found}
    whole = counted.pop((ALL, ALL), None)
    if whole is None:
        return []
    burst = (one for one in counted.values() if one.is_burst(whole))
    return sorted(burst, key=lambda one: (-one.cards, one.kind, one.value))


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
