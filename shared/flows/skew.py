"""Whether what was served is what the warehouse computes of it: decisions' vectors, computed again from the rows.

What reads the warehouse (training, backtests) reads the same SQL, so a difference here is one that a model learns from.
"""

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from shared.flows.judged import ONE_PURCHASE
from shared.flows.ports import Warehouse
from shared.fraud.features import (
    BUCKETS,
    FEATURES,
    GRAIN_MICROSECONDS,
    MICROSECOND,
    SCHEMA_VERSION,
    Entity,
    Feature,
    Measure,
    Novelty,
    Since,
    Total,
    Window,
    cells_of,
    microseconds,
)
from shared.fraud.point_in_time import audited_sql

NAMED = 20

HISTORY = timedelta(days=2)
"""What is read before the audited time, unless more is asked for: every day more is some 10 GB at six million payments a
day, however small the sample, for anybody's history may be anywhere in it."""


class Cause(StrEnum):
    """Why a vector may differ by nature."""

    AT_ONCE = "at_once"
    ON_ITS_WAY = "on_its_way"
    BEHIND = "behind"
    BLIND = "blind"
    OTHER_DOOR = "other_door"
    OTHER_RELEASE = "other_release"


NATURAL: Mapping[Cause, str] = {
    Cause.AT_ONCE: "another payment of the same card, customer, device, address or domain was decided on between this one's "
    "decision and its publication, and neither has to see the other",
    Cause.ON_ITS_WAY: "news of fraud, or the other attempt of a payment, was heard less than ten minutes before and may have "
    "waited for its commit",
    Cause.BEHIND: "what it saw was decided on or heard at a later instant, by the clock of another machine, and published before "
    "it: one of the two clocks is wrong, and rows are ordered by them",
    Cause.BLIND: "the history did not come within the request's budget, and the decision says so",
    Cause.OTHER_DOOR: "a request was answered while its payment was being decided on: the payment has one row, and it is the "
    "other decision's",
    Cause.OTHER_RELEASE: "the decision was made by a release with other features",
}


@dataclass(frozen=True, slots=True)
class Skew:
    """compared: decisions. different: those whose vector is not the computed one without a natural cause; `event_ids` names
    the first of them. by_feature: how often each feature was not the same in those. missing: those of `different` of which
    no event says that there was such a payment. natural: what differs, or is not there to compare, by its cause."""

    compared: int
    different: int
    missing: int
    by_feature: Mapping[str, int]
    natural: Mapping[Cause, int]
    event_ids: tuple[str, ...]


def audit(
    warehouse: Warehouse, start: datetime, end: datetime, sample: str = "ff", history: timedelta = HISTORY
) -> Skew:
    """Compute the decisions on payments of [start, end), those made by then, again from the rows, and compare.

    sample: the greatest first two hexadecimal digits of the hash of an event's id that are looked at ("00" is one payment in
    256). history: how far back rows are read, the first day of it (`ONE_PURCHASE`) for the first halves of payments alone;
    what a feature knows from before that is not compared: windows that do not fit, and of an entity that is known for
    longer all that it remembers. Bytes read grow with `history`, not with `sample`.
    Raises Unavailable.
    """
    since = start - history
    parameters = {"since": since, "start": start, "as_of": end - MICROSECOND, "sample": sample}
    natural: Counter[Cause] = Counter()
    by_feature: Counter[str] = Counter()
    compared, missing, different = 0, 0, []
    for row in warehouse.query(audited_sql(), parameters):
        cause: Cause | None = None
        differ: list[str] = []
        if row["decided_schema"] != SCHEMA_VERSION:
            natural[Cause.OTHER_RELEASE] += 1
            continue
        compared += 1
        if row["at_us"] is None:
            cause = Cause.OTHER_DOOR if row["linked_event_id"] else None
            missing += cause is None
        elif differ := _different(row, microseconds(since + ONE_PURCHASE)):
            cause = _cause(row)
        else:
            continue
        if cause:
            natural[cause] += 1
        else:
            by_feature.update(differ)
            different.append(row["event_id"])
    return Skew(
        compared=compared,
        different=len(different),
        missing=missing,
        by_feature=dict(by_feature),
        natural=dict(natural),
        event_ids=tuple(sorted(different)[:NAMED]),
    )


def _cause(row: Mapping[str, Any]) -> Cause | None:
    if row["fallback"] in ("store_slow", "store_down"):
        return Cause.BLIND
    if row["at_once"]:
        return Cause.AT_ONCE
    if row["on_its_way"]:
        return Cause.ON_ITS_WAY
    return Cause.BEHIND if row["behind"] else None


def _different(row: Mapping[str, Any], since: int) -> list[str]:
    """The features of a row that are not as they were served, those left out that know more than the rows after `since` µs."""
    served = {one["name"]: one["value"] for one in row["features"]}
    at = int(row["at_us"])
    ages = {entity: served[f"since_first_of_{entity}"] for entity in Entity}
    whole = {entity for entity, age in ages.items() if age is None or at - age * 1_000_000 >= since}
    return [
        feature.name
        for feature in FEATURES
        if not _same(served[feature.name], _computed(feature, row, whole)) and _fits(feature, at, since, whole)
    ]


def _computed(feature: Feature, row: Mapping[str, Any], whole: set[Entity]) -> float | None:
    """What the rows say. An entity that is in none of them, and known all the same, has done nothing in their time."""
    value: float | None = row[feature.name]
    return 0 if value is None and isinstance(feature, Total) and feature.entity not in whole else value


def _same(served: float | None, computed: float | None) -> bool:
    if served is None or computed is None:
        return served is computed
    # Sums are whole numbers on both sides; only what is divided, or a root, is rounded at another step.
    return math.isclose(served, float(computed), rel_tol=1e-9, abs_tol=0)


def _fits(feature: Feature, at: int, since: int, whole: set[Entity]) -> bool:
    """Whether all that `feature` looks at happened since `since`. whole: entities of which that is true of everything."""
    match feature:
        case Since():
            return feature.entity in whole
        case Novelty():
            return feature.keeper in whole
        case _:
            return all(
                (entity in whole and measure not in _OF_PAIRS)
                or (measure in _OF_PAYMENTS and _reach(window, at) >= since)
                for entity, measure, window in cells_of(feature)
            )


def _reach(window: Window, at: int) -> int:
    """Where the first bucket of `window` begins for a payment at `at`, in microseconds; before everything for EVER."""
    if window is Window.EVER:
        return -1
    grain, count = BUCKETS[window]
    return (at // GRAIN_MICROSECONDS[grain] - count + 1) * GRAIN_MICROSECONDS[grain]


# What one payment says of itself, whoever came before it.
_OF_PAYMENTS = frozenset({Measure.PAYMENTS, Measure.DECLINED, Measure.SMALL, Measure.AMOUNT})
# New to an entity is what its counterpart never met, which may be known for longer than the entity.
_OF_PAIRS = frozenset({Measure.NEW_CARDS, Measure.NEW_CUSTOMERS, Measure.NEW_DEVICES, Measure.NEW_IPS})
