"""Each night: which subscribers' payments could be defended by a network's own rule, were they called fraud today.

`shared.disputes.ready_flags` says what is derived. `registry/readiness` says which days of `purchases` there are, and of which day
the flags are; whoever is killed between two steps does the last one again, which changes nothing. A day's words are derived the
day after, and again a week and a month later, for what came late. Days before the first night are made up for, FILLED each night, the
latest first: until then a flag knows of fewer earlier payments than there are, and says no where more of them would say yes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from shared.disputes.ready_flags import (
    FLAG_SQL,
    LOOKED,
    MEASURED_SQL,
    PURCHASES_SQL,
    READINESS_SQL,
    WHY_UNFIT,
    asked_at,
)
from shared.domain.telemetry import fact
from shared.flows.ports import ASKED, Accumulate, Key, Ports, Warehouse

MARK: Final = Key("registry", "readiness")
DAY: Final = timedelta(days=1)
LATE: Final = (timedelta(days=7), timedelta(days=31))
"""Pub/Sub keeps messages for a week; what never arrived is looked for, and heard, for 30 days."""
FILLED: Final = 14
KEPT: Final = timedelta(days=3)
"""Flags are of the newest night; those before are there for whoever reads one while the next is made."""
GONE: Final = 5_000
"""Payments that one statement names: BigQuery takes 10,000 parameters."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Readiness:
    """Of the `subscribers` who pay through the rule's network: those `ready`, and how many of the others have an earlier payment
    that cannot be used, by why."""

    rule: str
    subscribers: int
    ready: int
    unfit: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Flag:
    """As of the end of `day`: whether a subscriber is `ready` by `rule`, by how many earlier payments that can be used and by
    what is alike; otherwise what is `missing`."""

    day: datetime
    rule: str
    ready: bool
    priors: int
    matched: str | None
    missing: str | None


FIRST_SQL: Final = """SELECT MIN(occurred_at) AS first FROM payment_events
WHERE occurred_at >= @since AND occurred_at < @until AND kind = 'payment'"""
REST_SQL: Final = "SELECT * FROM purchases WHERE at >= @since AND at < @until AND payment NOT IN ({gone})"


def is_flagged(ports: Ports, day: datetime) -> bool:
    """Whether the flags as of the end of the day that begins at `day`, or of a later one, were derived and told of."""
    [mark] = ports.documents.get([MARK])
    return mark is not None and "flagged" in mark.document and bool(mark.document["flagged"] >= day)


def flag(ports: Ports, day: datetime) -> None:
    """Derive the flags of everybody as of the end of the day that begins at `day`, and what they are made of where it is not there.
    A repeat changes nothing, and goes on where the one before was killed; `flagged` says that there is no need of one. Raises Unavailable."""
    [mark] = ports.documents.get([MARK])
    known = mark.document if mark else {}
    begun, until = known.get("begun", day), known.get("until", day)
    if (first := known.get("first")) is None:
        first = _first_day(ports.warehouse, day)
        _remember(ports, first=first)
    oldest = max(day + DAY - LOOKED, first)
    while until <= day:
        # Of a night that was missed too: nobody else reads these days again.
        for late in (timedelta(0), *LATE):
            derive_purchases(ports.warehouse, until - late, as_of=day)
        until += DAY
        _remember(ports, begun=begun, until=until)
    for _ in range(FILLED):
        if begun - DAY < oldest:
            break
        begun -= DAY
        derive_purchases(ports.warehouse, begun, as_of=day)
        _remember(ports, begun=begun, until=until)
    ports.warehouse.derive("readiness", "day", day, READINESS_SQL, asked_at(day + DAY), as_of=day)
    fact("readiness_flagged", day=f"{day:%Y-%m-%d}", missing_days=max((begun - oldest).days, 0))


def _first_day(warehouse: Warehouse, day: datetime) -> datetime:
    """The first day within what is looked at of which there are words; asked once, for before it there is nothing to make up for."""
    [row] = warehouse.query(FIRST_SQL, {"since": day + DAY - LOOKED, "until": day + DAY})
    first: datetime = row["first"] or day
    return first.replace(hour=0, minute=0, second=0, microsecond=0)


def flagged(ports: Ports, day: datetime) -> None:
    """What was to be told of the flags as of that day's end was told."""
    _remember(ports, flagged=day)


def derive_purchases(warehouse: Warehouse, day: datetime, *, as_of: datetime) -> None:
    """The words of the day that begins at `day`, as they are known at `as_of`."""
    warehouse.derive("purchases", "at", day, PURCHASES_SQL, {"since": day, "until": day + DAY}, as_of=as_of)


def forget(warehouse: Warehouse, day: datetime, payments: Sequence[str], *, as_of: datetime) -> None:
    """The rows of the day that begins at `day` without those of `payments`, by their providers' names for them: whoever made them was
    erased. Flags that were made of them are gone after KEPT."""
    for start in range(0, len(payments), GONE):
        names = {f"gone{number}": name for number, name in enumerate(payments[start : start + GONE])}
        sql = REST_SQL.format(gone=", ".join(f"FARM_FINGERPRINT(@{name})" for name in names))
        warehouse.derive("purchases", "at", day, sql, {"since": day, "until": day + DAY, **names}, as_of=as_of)


def measured(warehouse: Warehouse, day: datetime) -> list[Readiness]:
    """By rule, of everybody, as of the end of the day that begins at `day`; nothing where there are no flags of it."""
    return [
        Readiness(
            rule=row["rule"],
            subscribers=row["subscribers"],
            ready=row["ready"],
            unfit={words: row[why] for why, words in WHY_UNFIT.items() if row[why]},
        )
        for row in warehouse.query(MEASURED_SQL, {"since": day, "until": day + DAY})
    ]


def flags_of(warehouse: Warehouse, customer_id: str, now: datetime) -> list[Flag]:
    """The newest flags of `customer_id`, by rule. Nothing of who paid through neither network in the last year, or not before
    last night. Raises Unavailable."""
    rows = warehouse.query(FLAG_SQL, {"since": now - KEPT, "customer_id": customer_id}, bound=ASKED)
    return [Flag(**row) for row in rows]


def _remember(ports: Ports, **days: datetime) -> None:
    ports.documents.commit([Accumulate(MARK, put={(name,): day for name, day in days.items()})])
