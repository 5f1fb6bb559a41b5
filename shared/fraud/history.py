"""What documents remember of an entity, and the features read from it.

A document is `{"first": µs, "last": µs, "ever": {measure: n}, "hours": {"493021": {measure: n}}, ...,
"seen": {"device:<hash>": µs}}`. Beside these there are `expires_at` and what lists say of the entity (`shared.fraud.lists`),
which are no history: a document of nothing else is of an entity that was never seen. Every change is commutative, so payments of one card scored at the same moment on two
machines never conflict, and the sums do not depend on their order. What a reader can miss is at most the payments
being scored at that very moment; a decision records what it saw.
"""

import hashlib
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, assert_never

from shared.domain.decisions import FeatureValue, History, HistoryState
from shared.fraud.features import (
    BUCKETS,
    CAP,
    CAPPED,
    CELLS,
    EPOCH,
    FEATURES,
    GRAIN_MICROSECONDS,
    LARGE_ABOVE,
    LARGE_FROM,
    LARGE_OF,
    MICROSECOND,
    NEW,
    PAIRS,
    SEEN_LIMIT,
    Amount,
    AmountDeviation,
    AmountRatio,
    Attempt,
    Clock,
    Differs,
    Entity,
    Feature,
    Grain,
    Is,
    MaturedShare,
    Measure,
    Moment,
    Novelty,
    Number,
    Share,
    Since,
    Total,
    Window,
    magnitude,
    member,
)
from shared.fraud.lists import LISTED

Document = Mapping[str, Any]
Path = tuple[str, ...]
Sums = dict[tuple[Entity, Measure, Window], int]

_READS: Mapping[Entity, Mapping[Grain, tuple[tuple[Measure, Window, int], ...]]] = {
    entity: {
        grain: reads
        for grain in Grain
        if (
            reads := tuple(
                (measure, window, BUCKETS[window][1])
                for measure, window in cells
                if window in BUCKETS and BUCKETS[window][0] is grain
            )
        )
    }
    for entity, cells in CELLS.items()
}
"""Entity → width of bucket → the sums over so many of them."""

KEPT: Mapping[Entity, Mapping[Grain, int]] = {
    entity: {grain: max(count for _, _, count in reads) for grain, reads in grains.items()}
    for entity, grains in _READS.items()
}
"""Entity → width of bucket → how many are ever read; older ones are dropped."""

_GRAINS: Mapping[Entity, Mapping[Measure, tuple[Grain, ...]]] = {
    entity: {
        measure: tuple(grain for grain, reads in _READS[entity].items() if any(row[0] is measure for row in reads))
        for measure, _ in cells
    }
    for entity, cells in CELLS.items()
}
_EVER: Mapping[Entity, frozenset[Measure]] = {
    entity: frozenset(measure for measure, window in cells if window is Window.EVER) for entity, cells in CELLS.items()
}


@dataclass(frozen=True, slots=True)
class Change:
    """Commutative changes to one entity's document: paths of map keys, as the documents port takes them."""

    add: Mapping[Path, int]
    largest: Mapping[Path, int]
    smallest: Mapping[Path, int]
    drop: Sequence[Path]


_NOTHING = Change(add={}, largest={}, smallest={}, drop=())
_NO_HISTORY = frozenset({LISTED, "expires_at"})


@dataclass(frozen=True, slots=True)
class Known:
    """What was read: the documents by entity (None: there is none), for one payment. read False: nobody knows."""

    attempt: Attempt
    documents: Mapping[Entity, Document | None]
    read: bool = True

    def past(self, entity: Entity) -> Document | None:
        """The entity's history; None: never seen, whatever lists say of it."""
        document = self.documents.get(entity)
        return None if document is None or document.keys() <= _NO_HISTORY else document

    def saturated(self, entity: Entity) -> bool:
        """Whether the document takes no more payments in this five-minute bucket."""
        document = self.past(entity)
        if document is None or entity not in CAPPED:
            return False
        bucket = document.get(Grain.MINUTES, {}).get(str(self.attempt.at // GRAIN_MICROSECONDS[Grain.MINUTES]), {})
        return bool(bucket.get(Measure.PAYMENTS, 0) >= CAP)

    def novelty(self, keeper: Entity, other: Entity) -> bool | None:
        """Whether `keeper` was never seen with `other`; None when either is unnamed, or too many are remembered."""
        entities = self.attempt.entities
        if not self.read or keeper not in entities or other not in entities:
            return None
        seen = self._seen_with(keeper)
        if _token(other, entities[other]) in seen:
            return False
        return True if len(seen) < SEEN_LIMIT else None

    def large(self, entity: Entity) -> bool:
        """Whether the amount is several times what was usual of the entity (`LARGE_ABOVE`)."""
        ever = (self.documents.get(entity) or {}).get("ever", {})
        payments, amount = ever.get(Measure.PAYMENTS, 0), self.attempt.amount
        if amount is None or payments < LARGE_FROM:
            return False
        return bool((magnitude(amount) - LARGE_ABOVE) * payments >= ever.get(Measure.MAGNITUDE, 0))

    def features(self) -> tuple[FeatureValue, ...]:
        """The vector, in the order of FEATURES."""
        sums = self._sums()
        return tuple(FeatureValue(name=feature.name, value=self._value(feature, sums)) for feature in FEATURES)

    def history(self) -> tuple[History, ...]:
        return tuple(self._history(entity) for entity in Entity)

    def changes(self, counted: Collection[tuple[Entity, str]] = ()) -> dict[Entity, Change]:
        """What this payment adds to each entity's document.

        counted: the entities for which it was counted already, by its other name or at the other door: to those it adds
        the issuer's refusal and whom they had not met, and nothing where there is neither.
        """
        again = {Measure.DECLINED: 1} if self.attempt.declined else {}
        adds: dict[Entity, dict[Measure, int]] = {
            entity: dict(again) if (entity, value) in counted else self.attempt.adds()
            for entity, value in self.attempt.entities.items()
        }
        seen: dict[Entity, dict[Path, int]] = {entity: {} for entity in adds}
        at = self.attempt.at
        for entity in LARGE_OF:
            if (entity, self.attempt.entities.get(entity)) not in counted and self.large(entity):
                adds[entity][Measure.LARGE] = 1
        for keeper, other in PAIRS:
            new = self.novelty(keeper, other)
            if new:
                adds[keeper][NEW[other]] = adds[other][NEW[keeper]] = 1
            if new is not None:
                token = _token(other, self.attempt.entities[other])
                # Known already, but a late payment may have been the first.
                if new or at < self._seen_with(keeper)[token]:
                    seen[keeper]["seen", token] = at
        return {
            entity: _change(
                entity,
                self.documents.get(entity),
                at,
                measures,
                largest={("last",): at},
                smallest={("first",): at, **seen[entity]},
            )
            for entity, measures in adds.items()
            if measures and not self.saturated(entity)
        }

    def _seen_with(self, keeper: Entity) -> Mapping[str, int]:
        seen: Mapping[str, int] = (self.documents.get(keeper) or {}).get("seen", {})
        return seen

    def _sums(self) -> Sums:
        sums: Sums = {}
        for entity in self.documents:
            if (document := self.past(entity)) is None:
                continue
            for grain, reads in _READS[entity].items():
                current = self.attempt.at // GRAIN_MICROSECONDS[grain]
                # What the entity's newest payment has made too old is gone, whether or not it was dropped yet.
                gone = (
                    int(document.get(Moment.LAST, self.attempt.at)) // GRAIN_MICROSECONDS[grain] - KEPT[entity][grain]
                )
                totals = dict.fromkeys(reads, 0)
                for index, bucket in document.get(grain, {}).items():
                    age = current - int(index)
                    if age >= 0 and int(index) > gone:
                        for read in reads:
                            if age < read[2]:
                                totals[read] += bucket.get(read[0], 0)
                for (measure, window, _), total in totals.items():
                    sums[entity, measure, window] = max(total, 0)
            ever = document.get("ever", {})
            for measure in _EVER[entity]:
                # Below nothing: fraud was disproved after what had counted it was forgotten.
                sums[entity, measure, Window.EVER] = max(ever.get(measure, 0), 0)
        return sums

    def _value(self, feature: Feature, sums: Sums) -> float | None:
        attempt = self.attempt
        match feature:
            case Total():
                total = sums.get((feature.entity, feature.measure, feature.window))
                return None if total is None else float(total)
            case Share():
                among = sums.get((feature.entity, Measure.PAYMENTS, feature.window))
                return sums[feature.entity, feature.measure, feature.window] / among if among else None
            case MaturedShare():
                return _matured(sums, feature.entity, feature.window)
            case AmountRatio():
                mean = _mean(sums, feature.entity)
                return attempt.amount / mean if mean and attempt.amount is not None else None
            case AmountDeviation():
                mean = _mean(sums, feature.entity)
                if mean is None or attempt.amount is None:
                    return None
                squares = float(sums[feature.entity, Measure.AMOUNT_SQUARED, Window.EVER])
                payments = float(sums[feature.entity, Measure.PAYMENTS, Window.EVER])
                variance = max(squares / payments - mean * mean, 0.0)
                spread = math.sqrt(variance + (mean / 4) * (mean / 4))
                return (attempt.amount - mean) / spread if spread else None
            case Since():
                then = (self.documents.get(feature.entity) or {}).get(feature.moment)
                # An event may be late: something that came in before may have happened after.
                return None if then is None else max(attempt.at - int(then), 0) / 1_000_000
            case Novelty():
                new = self.novelty(feature.keeper, feature.other)
                return None if new is None else float(new)
            case Amount():
                return None if attempt.amount is None else float(attempt.amount)
            case Clock():
                return float((attempt.at // feature.unit + feature.shift) % feature.cycle)
            case Is():
                value = member(attempt.event, feature.member)
                return None if value is None else float(value in feature.values)
            case Differs():
                left, right = member(attempt.event, feature.left), member(attempt.event, feature.right)
                return None if left is None or right is None else float(left != right)
            case Number():
                number = member(attempt.event, feature.member)
                return float(number) if isinstance(number, int | float) and math.isfinite(number) else None
            case _:
                assert_never(feature)

    def _history(self, entity: Entity) -> History:
        if entity in self.attempt.shared:
            return History(entity=entity, value=None, state=HistoryState.SHARED)
        value = self.attempt.entities.get(entity)
        if value is None:
            return History(entity=entity, value=None, state=HistoryState.ABSENT)
        if not self.read:
            return History(entity=entity, value=value, state=HistoryState.UNKNOWN)
        document = self.past(entity)
        if document is None:
            return History(entity=entity, value=value, state=HistoryState.NEW)
        state = HistoryState.SATURATED if self.saturated(entity) else HistoryState.KNOWN
        last = document.get(Moment.LAST)
        return History(entity=entity, value=value, state=state, last_seen_at=None if last is None else instant(last))


def fraud_change(entity: Entity, at: int, known_at: int | None, before: int | None) -> Change:
    """Fraud on a payment of this entity, made at `at` microseconds, is known since `known_at`, and until now since
    `before`; None: it is not.

    News is no payment: it makes no bucket old, for payments before it may still be on their way.
    """
    if known_at == before:
        return _NOTHING
    told = [(known_at, Measure.FRAUDS, 1), (before, Measure.FRAUDS, -1)]
    if known_at is None or before is None:
        told.append((at, Measure.CONFIRMED, 1 if before is None else -1))
    made = _NOTHING
    for when, measure, number in told:
        if when is not None:
            made = merge(made, _change(entity, None, when, {measure: number}, largest={}, smallest={}))
    return made


def merge(first: Change, second: Change) -> Change:
    """Both changes as one, for a document that one commit names once."""
    add = dict(first.add)
    for path, number in second.add.items():
        add[path] = add.get(path, 0) + number
    # A bucket that either of them writes is not dropped, whatever the other's instant.
    drop = [path for path in dict.fromkeys((*first.drop, *second.drop)) if not any(p[:2] == path for p in add)]
    return Change(
        add=add,
        largest={**first.largest, **second.largest},
        smallest={**first.smallest, **second.smallest},
        drop=drop,
    )


def instant(at: int) -> datetime:
    """The aware UTC instant of `at` microseconds since the epoch."""
    return EPOCH + at * MICROSECOND


def _token(other: Entity, value: str) -> str:
    """What a keeper remembers of another: short, and no address in clear."""
    return f"{other}:{hashlib.sha256(value.encode()).hexdigest()[:16]}"


def _matured(sums: Sums, entity: Entity, window: Window) -> float | None:
    if (entity, Measure.CONFIRMED, window) not in sums:
        return None
    confirmed, early = (sums[entity, Measure.CONFIRMED, one] for one in (window, Window.WEEK))
    labeled = sums[entity, Measure.PAYMENTS, window] - sums[entity, Measure.PAYMENTS, Window.WEEK] + early
    return confirmed / labeled if labeled > 0 else None


def _mean(sums: Sums, entity: Entity) -> float | None:
    payments = sums.get((entity, Measure.PAYMENTS, Window.EVER))
    return float(sums[entity, Measure.AMOUNT, Window.EVER]) / float(payments) if payments else None


def _change(
    entity: Entity,
    document: Document | None,
    at: int,
    adds: Mapping[Measure, int],
    *,
    largest: Mapping[Path, int],
    smallest: Mapping[Path, int],
) -> Change:
    """`adds` in every bucket of `at` that some feature reads, and what has become too old to be read dropped."""
    newest = max(at, (document or {}).get("last", at))
    add: dict[Path, int] = {}
    for measure, number in adds.items():
        if number:
            # A late event whose buckets are gone still counts in the totals.
            for grain in _GRAINS[entity].get(measure, ()):
                bucket, width = at // GRAIN_MICROSECONDS[grain], GRAIN_MICROSECONDS[grain]
                if newest // width - bucket < KEPT[entity][grain]:
                    add[grain.value, str(bucket), measure.value] = number
            if measure in _EVER[entity]:
                add["ever", measure.value] = number
    drop = [
        (grain.value, index)
        for grain, kept in KEPT[entity].items()
        for index in (document or {}).get(grain, {})
        if newest // GRAIN_MICROSECONDS[grain] - int(index) >= kept
    ]
    return Change(add=add, largest=largest, smallest=smallest, drop=drop)
