"""Whether what a model sees, and what it says, is still what it was when it was judged: measures, and when they are unusual."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from shared.domain.counts import Count as Count
from shared.domain.counts import Interval
from shared.learning.data_set import Floats, Table

BINS = 10
ACT = 0.25
"""The population stability index from which a distribution is another one, by the usual convention."""

LEAST_SPREAD = 500
"""Payments below which a spread says nothing: ten bins of none in particular differ by chance."""

DEVIATIONS = 4.0
"""How far outside of chance is unusual: a thousand segments, looked at each day, would be so by chance once in weeks."""

LEAST_SEGMENT = 200
"""Payments of a segment in a day below which its rate says nothing."""

LEAST_WEEKS = 3
"""Weeks before that a band is made of, at least."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """How values are spread: the part of them that is missing, then at or below each of `edges`, then above the last."""

    edges: tuple[float, ...]
    parts: tuple[float, ...]

    @classmethod
    def of(cls, values: Floats, weight: Floats) -> "Spread":
        """`values` (NaN: missing), parted at their own tenths; a single value that is more than a tenth of them has a part of
        its own. weight: how many payments each stands for."""
        there = ~np.isnan(values)
        order = np.argsort(values[there], kind="stable")
        ranked, along = values[there][order], np.cumsum(weight[there][order])
        if len(ranked):
            places = np.searchsorted(along, along[-1] * np.arange(1, BINS) / BINS)
            finite = [float(edge) for edge in np.unique(ranked[places]) if np.isfinite(edge)]
            # Else what was nearly always 1 and is 0 now would be in the part "at or below 1" as before.
            alone = [edge for edge in finite if weight[there][order][ranked == edge].sum() * BINS > along[-1]]
            edges = tuple(sorted([*finite, *(math.nextafter(edge, -math.inf) for edge in alone)]))
        else:
            edges = ()
        return cls(edges=edges, parts=_parts(values, weight, edges))

    def drift(self, values: Floats) -> "Drift":
        """How far the spread of `values` has moved from this one."""
        now = np.array(_parts(values, np.ones(len(values)), self.edges))
        before = np.array(self.parts)
        # A bin that one of them has nothing in has half a payment, or the index would be infinite.
        least = 0.5 / max(len(values), 1)
        one, other = np.maximum(now, least), np.maximum(before, least)
        return Drift(
            stability=float(np.sum((one - other) * np.log(one / other))),
            distance=float(np.max(np.abs(np.cumsum(now - before)))),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """stability: the population stability index. distance: the largest difference of the two cumulated distributions (the
    Kolmogorov-Smirnov statistic, at the edges of the bins, missing values before all others)."""

    stability: float
    distance: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """What a model was judged on: the spread of each feature, and of its scores."""

    features: Mapping[str, Spread]
    score: Spread

    @classmethod
    def of(cls, judged_on: Table, score: Floats) -> "Reference":
        weight = judged_on.weight
        return cls(
            features={
                name: Spread.of(judged_on.values[:, place], weight) for place, name in enumerate(judged_on.columns)
            },
            score=Spread.of(score, weight),
        )


def _parts(values: Floats, weight: Floats, edges: Sequence[float]) -> tuple[float, ...]:
    there = ~np.isnan(values)
    counted = np.bincount(np.searchsorted(edges, values[there], side="left"), weight[there], len(edges) + 1)
    whole = float(weight.sum()) or 1.0
    return (float(weight[~there].sum()) / whole, *(float(one) / whole for one in counted))


def band(before: Iterable[Count], payments: int) -> tuple[float, float] | None:
    """Where the rate of `payments` is usual, by the same weekday of the weeks before; None where they say too little.

    Chance by the counts of both, and what the weeks differ by beyond it.
    """
    weeks = [week for week in before if week.of >= LEAST_SEGMENT]
    if len(weeks) < LEAST_WEEKS or payments < LEAST_SEGMENT:
        return None
    whole = sum(weeks, Count(of=0, with_it=0))
    # Two payments that nobody made keep a rate of 0 or 1 from being certain.
    rate = (whole.with_it + 1) / (whole.of + 2)
    chance = rate * (1 - rate)
    spread = sum((week.rate - rate) ** 2 for week in weeks) / (len(weeks) - 1)
    beyond = max(spread - chance * sum(1 / week.of for week in weeks) / len(weeks), 0.0)
    half = DEVIATIONS * math.sqrt(chance * (1 / payments + 1 / whole.of) + beyond * (1 + 1 / len(weeks)))
    return max(rate - half, 0.0), min(rate + half, 1.0)


def difference(one: Count, other: Count) -> Interval:
    """By how much the rate of `one` is more, and where that lies, `DEVIATIONS` wide: who looks every few minutes must be
    surer than 95 %."""
    rates = [(count.with_it + 1) / (count.of + 2) for count in (one, other)]
    half = DEVIATIONS * math.sqrt(
        sum(rate * (1 - rate) / (count.of + 2) for rate, count in zip(rates, (one, other), strict=True))
    )
    apart = one.rate - other.rate
    return Interval(low=apart - half, estimate=apart, high=apart + half)
