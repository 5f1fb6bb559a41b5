"""A burst of new cards on one BIN, device or address, most of them refused: somebody is trying out stolen numbers.

Only attempts with a card that nobody had seen before, by somebody who was there, are looked at
(`shared.flows.decisions.Newcomer`): a renewal is neither, so a day on which half of all subscriptions renew is none. An
issuer that is down refuses many cards and brings no new ones; a campaign brings many and few are refused. Who is challenged
or sent to review because a rule or the score says fraud, and is let through by nobody, counts as refused: a tester has no
cardholder's phone. An honest customer authenticates within minutes. What being doubted says is known by the account: one that
challenges everybody makes no burst by it, and hides none of another's. A burst itself is counted over all accounts, for who
tries out numbers does not care whose shop it is; of each card in it, its own account says what a doubt is worth.
"""

import math
from collections import defaultdict
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
"""Where more of an account's other new cards than this were doubted too, rules or scores stop everybody (a policy of rules, or
of challenges whose end nobody tells us), and being doubted says nothing."""

KNOWN = 20
"""An account's other new cards below which it is not known whether doubt is rare there, so that it does not count."""

CHANCE = 1e-6
"""How improbable twice what is usual, and one card more, would make so many."""

ALL = "all"
"""The kind of a row that counts all newcomers of an account, whatever they have in common."""

# It reads two columns: the instant, and `newcomer`, which is null of nearly all payments and weighs nothing there (whose row
# it is, too, is in it: the column of all rows would cost more than all the rest). A card has a row for each word on its
# attempt, and is doubted as long as none of them lets it through: null is no, as it is in rows of releases before.
NEWCOMERS_SQL = f"""SELECT kind, value, account, cards, refused, doubted, earlier, earlier_doubted
FROM (
  SELECT *, SUM(cards) OVER (PARTITION BY kind, value) AS of_all
  FROM (
    SELECT kind, value, account, SUM(recent) AS cards, SUM(refused) AS refused,
      SUM(CASE WHEN recent = 1 AND refused = 0 THEN doubted ELSE 0 END) AS doubted,
      SUM(earlier) AS earlier, SUM(CASE WHEN earlier = 1 THEN doubted ELSE 0 END) AS earlier_doubted
    FROM (
      SELECT kind, value, card, MAX(account) AS account, MAX(CASE WHEN recent THEN 1 ELSE 0 END) AS recent,
        MAX(CASE WHEN recent THEN 0 ELSE 1 END) AS earlier, MAX(CASE WHEN recent AND refused THEN 1 ELSE 0 END) AS refused,
        MIN(CASE WHEN doubted AND occurred_at <= @answered THEN 1 ELSE 0 END) AS doubted
      FROM (
        SELECT kind, occurred_at, occurred_at > @recent AS recent, fraud_decisions.newcomer.account AS account,
          fraud_decisions.newcomer.card AS card, fraud_decisions.newcomer.refused AS refused,
          fraud_decisions.newcomer.doubted AS doubted,
          CASE kind WHEN '{ALL}' THEN '{ALL}' WHEN 'bin' THEN fraud_decisions.newcomer.bin
            WHEN 'device' THEN fraud_decisions.newcomer.device ELSE fraud_decisions.newcomer.address END AS value
        FROM fraud_decisions CROSS JOIN UNNEST(['{ALL}', 'bin', 'device', 'address']) AS kind
        WHERE occurred_at > @since AND occurred_at <= @until AND fraud_decisions.newcomer.card IS NOT NULL
      ) AS attempts
      WHERE value IS NOT NULL
      GROUP BY kind, value, card
    ) AS cards
    GROUP BY kind, value, account
  ) AS accounts
) AS counted
WHERE of_all >= @least"""  # noqa: S608 - constants of ours


@dataclass(frozen=True, slots=True, kw_only=True)
class Newcomers:
    """Distinct new cards of one `value` of a `kind` (bin, device, address; `ALL`: of all) at one account: in the time WATCHED,
    those of them that were refused, and the others that were doubted and let through by nobody; and in the rest of BEFORE,
    those of them that were doubted. account: None of rows that did not tell yet."""

    kind: str
    value: str
    account: str | None
    cards: int
    refused: int
    doubted: int
    earlier: int
    earlier_doubted: int

    @classmethod
    def of(cls, row: Mapping[str, object]) -> "Newcomers":
        return cls(**{name: row[name] for name in cls.__slots__})  # type: ignore[arg-type]

    def tells(self, whole: "Newcomers") -> bool:
        """Whether being doubted says something at this account, by its other new cards of before. whole: all its new cards."""
        others = whole.earlier - self.earlier
        return others >= KNOWN and whole.earlier_doubted - self.earlier_doubted <= RARE * others


@dataclass(frozen=True, slots=True, kw_only=True)
class Burst:
    """New cards of one `value` of a `kind` at all accounts. doubted: those of accounts where that says something."""

    kind: str
    value: str
    cards: int
    refused: int
    doubted: int
    earlier: int

    @property
    def usual(self) -> float:
        """New cards that so long a time had so far."""
        return self.earlier * (WATCHED / (BEFORE - WATCHED))

    @property
    def is_one(self) -> bool:
        return (
            self.cards >= LEAST[self.kind]
            and self.refused + self.doubted >= REFUSED * self.cards
            and at_least(self.cards, 2 * self.usual + 1) < CHANCE
        )


def asked_at(now: datetime) -> dict[str, object]:
    """What `NEWCOMERS_SQL` is asked with."""
    return {
        "since": now - BEFORE,
        "recent": now - WATCHED,
        "answered": now - ANSWERED,
        "until": now,
        "least": min(LEAST.values()),
    }


def bursts(found: Iterable[Newcomers]) -> list[Burst]:
    """The bursts among what was counted, the largest first."""
    whole: dict[str | None, Newcomers] = {}
    alike: dict[tuple[str, str], list[Newcomers]] = defaultdict(list)
    for one in found:
        if one.kind == ALL:
            whole[one.account] = one
        else:
            alike[one.kind, one.value].append(one)
    together = (
        Burst(
            kind=kind,
            value=value,
            cards=sum(one.cards for one in of_each),
            refused=sum(one.refused for one in of_each),
            doubted=sum(one.doubted for one in of_each if one.tells(whole[one.account])),
            earlier=sum(one.earlier for one in of_each),
        )
        for (kind, value), of_each in alike.items()
    )
    return sorted((one for one in together if one.is_one), key=lambda one: (-one.cards, one.kind, one.value))


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
