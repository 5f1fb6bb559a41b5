"""What documents remember of an entity, and the features read from it.

A document is `{"first": µs, "last": µs, "ever": {measure: n}, "hours": {"493021": {measure: n}}, ...,
"seen": {"device:<hash>": µs}}`. Beside these there are `expires_at` and what lists say of the entity (`shared.fraud.lists`),
which are no history: a document of nothing else is of an entity that was never seen. Every change is commutative, so payments of one card scored at the same moment on two
machines never conflict, and the sums do not depend on their order. What a reader can miss is at most the payments
being scored at that very moment; a decision records what it saw.
"""

import hashlib
import math
from collections.abc import Callable, Collection, Mapping, Sequence
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
    LABELED_AFTER,
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
    Cell,
    Clock,
    Differs,
    Entity,
    Feature,
    FraudRun,
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

_PLACE: Mapping[Cell, int] = {
    cell: place for place, cell in enumerate((entity, *sum_of) for entity, cells in CELLS.items() for sum_of in cells)
}
"""Of every sum that is read, its place among them all."""

Sums = Sequence[int | None]
"""By place; None of an entity without a past."""
Reader = Callable[["Known", Sums], float | None]

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

_OWN: Mapping[Entity, range] = {
    entity: range(min(places), max(places) + 1)
    for entity in Entity
    if (places := [place for cell, place in _PLACE.items() if cell[0] is entity])
}
_COUNTED_IN: Mapping[Entity, Mapping[Grain, Mapping[str, tuple[tuple[int, int], ...]]]] = {
    entity: {
        grain: {
            measure: tuple((_PLACE[entity, one, window], count) for one, window, count in reads if one is measure)
            for measure in {row[0] for row in reads}
        }
        for grain, reads in grains.items()
    }
    for entity, grains in _READS.items()
}
"""Entity → width of bucket → what a bucket holds → the places of the sums that it is part of, and of how many buckets they are."""

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
    """What was read: the documents by entity (None: there is none), for one payment. read False: nobody knows. also: those of the
    customer under other names of their address, of which what is listed counts, and no history."""

    attempt: Attempt
    documents: Mapping[Entity, Document | None]
    read: bool = True
    also: Sequence[Document | None] = ()

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

    def fraud_run(self, entity: Entity, days: int) -> float | None:
        """See `FraudRun`."""
        document = self.past(entity)
        if document is None:
            return None
        today = self.attempt.at // GRAIN_MICROSECONDS[Grain.DAYS]
        oldest = max(today - days, self._gone(entity, document, Grain.DAYS)) + 1
        free, frauds = oldest - 1, []
        for index, bucket in document.get(Grain.DAYS, {}).items():
            if oldest <= (day := int(index)) <= today:
                if bucket.get(Measure.CONFIRMED, 0) > 0:
                    frauds.append(day)
                elif day <= today - LABELED_AFTER and bucket.get(Measure.PAYMENTS, 0) > 0:
                    free = max(free, day)
        began = min((day for day in frauds if day > free), default=None)
        return None if began is None else float(today - began)

    def features(self) -> tuple[FeatureValue, ...]:
        """The vector, in the order of FEATURES."""
        sums = self._sums()
        return tuple(
            usual.get(value := read(self, sums)) or FeatureValue(name=name, value=value)
            for name, read, usual in _FEATURES_READ
        )

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

    def _gone(self, entity: Entity, document: Document, grain: Grain) -> int:
        """The newest bucket that the entity's newest payment has made too old: it and those before it are gone, whether or
        not they were dropped yet."""
        return int(document.get(Moment.LAST, self.attempt.at)) // GRAIN_MICROSECONDS[grain] - KEPT[entity][grain]

    def _sums(self) -> Sums:
        sums: list[Any] = [None] * len(_PLACE)
        for entity in self.documents:
            if (document := self.past(entity)) is None:
                continue
            for place in _OWN[entity]:
                sums[place] = 0
            for grain, counted_in in _COUNTED_IN[entity].items():
                current = self.attempt.at // GRAIN_MICROSECONDS[grain]
                gone = self._gone(entity, document, grain)
                for index, bucket in document.get(grain, {}).items():
                    number = int(index)
                    age = current - number
                    if age >= 0 and number > gone:
                        for measure, value in bucket.items():
                            for place, count in counted_in.get(measure, ()):
                                if age < count:
                                    sums[place] += value
            ever = document.get("ever", {})
            for measure in _EVER[entity]:
                sums[_PLACE[entity, measure, Window.EVER]] = ever.get(measure, 0)
            for place in _OWN[entity]:
                # Below nothing: fraud was disproved after what had counted it was forgotten.
                if sums[place] < 0:
                    sums[place] = 0
        return sums

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


def _reader(feature: Feature) -> Reader:
    """What reads `feature`: what can be known of it before any payment is looked up here, once."""
    match feature:
        case Total():
            total = _PLACE[feature.entity, feature.measure, feature.window]
            return lambda _, sums: None if (found := sums[total]) is None else float(found)
        case Share():
            part = _PLACE[feature.entity, feature.measure, feature.window]
            whole = _PLACE[feature.entity, Measure.PAYMENTS, feature.window]

            def share(_: Known, sums: Sums) -> float | None:
                found, among = sums[part], sums[whole]
                return found / among if found is not None and among else None

            return share
        case MaturedShare():
            return _matured(feature)
        case FraudRun():
            entity, days = feature.entity, BUCKETS[feature.window][1]
            return lambda known, _: known.fraud_run(entity, days)
        case AmountRatio():
            amounts, payments = _usual(feature.entity)

            def ratio(known: Known, sums: Sums) -> float | None:
                amount, mean = known.attempt.amount, _mean(sums[amounts], sums[payments])
                return amount / mean if mean and amount is not None else None

            return ratio
        case AmountDeviation():
            return _deviation(feature)
        case Since():
            entity, moment = feature.entity, feature.moment

            def since(known: Known, _: Sums) -> float | None:
                then = (known.documents.get(entity) or {}).get(moment)
                # An event may be late: something that came in before may have happened after.
                return None if then is None else max(known.attempt.at - int(then), 0) / 1_000_000

            return since
        case Novelty():
            keeper, other = feature.keeper, feature.other
            return lambda known, _: None if (new := known.novelty(keeper, other)) is None else float(new)
        case Amount():
            return lambda known, _: None if known.attempt.amount is None else float(known.attempt.amount)
        case Clock():
            unit, shift, cycle = feature.unit, feature.shift, feature.cycle
            return lambda known, _: float((known.attempt.at // unit + shift) % cycle)
        case Is():
            named, values = feature.member, feature.values
            return lambda known, _: (
                None if (value := member(known.attempt.event, named)) is None else float(value in values)
            )
        case Differs():
            one, another = feature.left, feature.right

            def differs(known: Known, _: Sums) -> float | None:
                left, right = member(known.attempt.event, one), member(known.attempt.event, another)
                return None if left is None or right is None else float(left != right)

            return differs
        case Number():
            told = feature.member

            def number(known: Known, _: Sums) -> float | None:
                found = member(known.attempt.event, told)
                return float(found) if isinstance(found, int | float) and math.isfinite(found) else None

            return number
        case _:
            assert_never(feature)


def _mean(amounts: int | None, payments: int | None) -> float | None:
    return float(amounts) / float(payments) if amounts is not None and payments else None


def _usual(entity: Entity) -> tuple[int, int]:
    """The places of what an entity's mean is made of."""
    return _PLACE[entity, Measure.AMOUNT, Window.EVER], _PLACE[entity, Measure.PAYMENTS, Window.EVER]


def _matured(feature: MaturedShare) -> Reader:
    entity, window = feature.entity, feature.window
    confirmed_in, early_in = (_PLACE[entity, Measure.CONFIRMED, one] for one in (window, Window.WEEK))
    among_in, late_in = (_PLACE[entity, Measure.PAYMENTS, one] for one in (window, Window.WEEK))

    def matured(_: Known, sums: Sums) -> float | None:
        confirmed, early, among, late = sums[confirmed_in], sums[early_in], sums[among_in], sums[late_in]
        if confirmed is None or early is None or among is None or late is None:
            return None
        labeled = among - late + early
        return confirmed / labeled if labeled > 0 else None

    return matured


def _deviation(feature: AmountDeviation) -> Reader:
    amounts, payments = _usual(feature.entity)
    squares_in = _PLACE[feature.entity, Measure.AMOUNT_SQUARED, Window.EVER]

    def deviation(known: Known, sums: Sums) -> float | None:
        amount, mean, squares = known.attempt.amount, _mean(sums[amounts], sums[payments]), sums[squares_in]
        if mean is None or squares is None or amount is None:
            return None
        variance = max(float(squares) / float(sums[payments] or 0) - mean * mean, 0.0)
        spread = math.sqrt(variance + (mean / 4) * (mean / 4))
        return (amount - mean) / spread if spread else None

    return deviation


_FEATURES_READ: Sequence[tuple[str, Reader, Mapping[float | None, FeatureValue]]] = [
    (
        feature.name,
        _reader(feature),
        # Most of a vector is one of these, made once.
        {value: FeatureValue(name=feature.name, value=value) for value in (None, 0.0, 1.0)},
    )
    for feature in FEATURES
]


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
