"""What a person should know of a model before it decides: on which payments it was tested, where it is weak, how far its
probabilities come true, and what it looks at. The same rows give the same card, to the byte."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shared.learning.compare import Interval, interval_of
from shared.learning.data_set import Flags, Floats, Table
from shared.learning.evaluate import Quality
from shared.learning.fit import Fitted

RESAMPLES = 200
LARGEST = 10
"""Values of one dimension that have a line of their own; the others share one."""

BINS = 10
FEATURES = 20
BANDS = ((1_000, "below 10"), (5_000, "10 to 50"), (20_000, "50 to 200"), (np.inf, "200 and more"))
"""Reference minor units below which an amount has that name, in euros."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Payments that have something in common. observed, expected: the part that was fraud, and that the scores say. caught:
    of the frauds, the part at or above the review threshold; None without frauds."""

    name: str
    payments: int
    frauds: int
    expected: float
    observed: Interval
    caught: Interval | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Importance:
    """share: of all that splits gained in training, those that ask about the feature."""

    feature: str
    share: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """model: the digest of what was tested. period: first and last instant of each slice of time (µs), with its rows and
    frauds. precision: the interval of the average precision. parts: by dimension; calibration: by rising score."""

    model: str
    library: str
    schema_version: str
    period: Mapping[str, Mapping[str, int]]
    quality: Quality
    precision: Interval
    thresholds: Mapping[str, float]
    parts: Mapping[str, tuple[Part, ...]]
    calibration: tuple[Part, ...]
    importance: tuple[Importance, ...]


def parts_of(
    test: Table, names: Mapping[str, Sequence[str | None]], score: Floats, review: float, drawn: Sequence[Floats]
) -> dict[str, tuple[Part, ...]]:
    """The payments of `test` by each dimension of `names` (one value a row), by amount, and by whether the customer was
    new. drawn: weights of the rows in each draw (`compare.draws`)."""
    dimensions: dict[str, NDArray[np.str_]] = {
        dimension: np.array([value or "not told" for value in values]) for dimension, values in names.items()
    }
    dimensions["customer"] = _customer(test)
    dimensions["amount (EUR)"] = _band(test)
    return {
        dimension: tuple(_part(name, rows, test, score, review, drawn) for name, rows in _grouped(values, test.weight))
        for dimension, values in dimensions.items()
    }


def calibration_of(test: Table, score: Floats, review: float, drawn: Sequence[Floats]) -> tuple[Part, ...]:
    """Payments from the lowest scores to the highest, each part with a tenth of what the scores expect of fraud: where
    fraud is rare, parts of as many payments would all but one be empty of it."""
    order = np.lexsort((test.fraud, test.weight, score))
    expected = np.cumsum((test.weight * score)[order])
    place = np.minimum((expected / expected[-1] * BINS).astype(np.int64), BINS - 1)
    found = []
    for number in range(BINS):
        rows = np.zeros(len(test), dtype=np.bool_)
        rows[order[place == number]] = True
        if rows.any():
            found.append(_part(f"{score[rows].min():.3g} to {score[rows].max():.3g}", rows, test, score, review, drawn))
    return tuple(found)


def importance_of(fitted: Fitted, columns: Sequence[str]) -> tuple[Importance, ...]:
    """The features that splits gained most by, the copies of their tails included."""
    sources = (*range(len(columns)), *(column for column, _ in fitted.tails))
    gained = np.zeros(len(columns))
    for [tree] in fitted.forest._predictors:
        for node in tree.nodes[tree.nodes["is_leaf"] == 0]:
            gained[sources[node["feature_idx"]]] += node["gain"]
    whole = float(gained.sum()) or 1.0
    ranked = sorted(range(len(columns)), key=lambda column: (-gained[column], columns[column]))
    return tuple(
        Importance(feature=columns[column], share=float(gained[column]) / whole)
        for column in ranked[:FEATURES]
        if gained[column] > 0
    )


def _customer(test: Table) -> NDArray[np.str_]:
    column = "since_first_of_customer"
    if column not in test.columns:
        return np.full(len(test), "not told")
    known = ~np.isnan(test.values[:, test.columns.index(column)])
    return np.where(known, "known", "new, or not named")


def _band(test: Table) -> NDArray[np.str_]:
    if "amount" not in test.columns:
        return np.full(len(test), "not told")
    amount = test.values[:, test.columns.index("amount")]
    named = np.select([amount < limit for limit, _ in BANDS], [name for _, name in BANDS], "not told")
    return np.asarray(named, dtype=np.str_)


def _grouped(values: NDArray[np.str_], weight: Floats) -> Iterator[tuple[str, Flags]]:
    """Each value with its rows, the commonest first, and those that are not among the commonest together."""
    names, of = np.unique(values, return_inverse=True)
    sizes = np.bincount(of, weight)
    ranked = sorted(range(len(names)), key=lambda place: (-sizes[place], names[place]))
    for place in ranked[:LARGEST]:
        yield str(names[place]), of == place
    if ranked[LARGEST:]:
        yield f"{len(ranked) - LARGEST} others", np.isin(of, ranked[LARGEST:])


def _part(name: str, rows: Flags, test: Table, score: Floats, review: float, weights: Sequence[Floats]) -> Part:
    part, above = test.part(rows), score[rows] >= review
    frauds = part.fraud
    drawn = [weight[rows] for weight in weights]
    return Part(
        name=name,
        payments=round(float(part.weight.sum())),
        frauds=part.frauds,
        expected=float(np.average(score[rows], weights=part.weight)),
        observed=_ratio(frauds, np.ones_like(frauds), part.weight, drawn),
        caught=_ratio(frauds & above, frauds, part.weight, drawn) if part.frauds else None,
    )


def _ratio(top: Flags, bottom: Flags, weight: Floats, drawn: Sequence[Floats]) -> Interval:
    ratios = [float(one[top].sum() / below) for one in drawn if (below := one[bottom].sum()) > 0]
    return interval_of(float(weight[top].sum() / weight[bottom].sum()), ratios)
