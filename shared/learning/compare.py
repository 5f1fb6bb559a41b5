"""What can be said of two scores on the same payments, and what is chance.

A paired bootstrap: hours are drawn with replacement, the same for both scores, for frauds come in raids and the payments
of one raid are one piece of evidence, not twenty. What both have in common cancels out, so that the interval of the
difference is far narrower than the difference of two intervals.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from shared.domain.counts import Interval as Interval
from shared.learning.data_set import Flags, Floats, Instants, Table

RESAMPLES = 1000
BLOCK_MICROSECONDS = 3_600_000_000
FALSE_PART = 0.01
"""The part of the genuine payments that either score may hinder: money is compared where both hinder as many."""


def interval_of(estimate: float, drawn: Sequence[float]) -> Interval:
    """Of the same measure in each draw; `estimate` itself where none of them says anything."""
    low, high = np.quantile(drawn or [estimate], [0.025, 0.975])
    return Interval(low=float(low), estimate=estimate, high=float(high))


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """challenger, champion: the part of the money of `frauds` that each catches where it hinders a hundredth of the genuine
    payments. hours: those that have any of the frauds, each of them one piece of evidence. money: by how much the challenger's is more.
    average_precision: likewise."""

    payments: int
    frauds: int
    hours: int
    challenger: float
    champion: float
    money: Interval
    average_precision: Interval


def compare(challenger: Floats, champion: Floats, of: Table, seed: int) -> Comparison:
    """Both scores of the rows of `of`. The same rows and seed give the same numbers; where one of the classes is missing
    there is nothing to compare, and each of them is 0."""
    if not 0 < of.frauds < len(of):
        nothing = Interval(low=0.0, estimate=0.0, high=0.0)
        payments = round(float(of.weight.sum()))
        return Comparison(
            payments=payments, frauds=0, hours=0, challenger=0.0, champion=0.0, money=nothing, average_precision=nothing
        )
    lost = money_of(of)
    new, old = (_Ranked.of(score, of.fraud, lost) for score in (challenger, champion))
    weights = list(draws(of, seed))
    return Comparison(
        payments=round(float(of.weight.sum())),
        frauds=of.frauds,
        hours=len(np.unique(of.at[of.fraud] // BLOCK_MICROSECONDS)),
        challenger=new.money(of.weight),
        champion=old.money(of.weight),
        money=_interval(lambda weight: new.money(weight) - old.money(weight), of.weight, weights),
        average_precision=_interval(
            lambda weight: new.average_precision(weight) - old.average_precision(weight), of.weight, weights
        ),
    )


def average_precision(score: Floats, of: Table, seed: int, resamples: int = RESAMPLES) -> Interval:
    """That of `score` on the rows of `of`, which has both classes."""
    ranked = _Ranked.of(score, of.fraud, money_of(of))
    return _interval(ranked.average_precision, of.weight, list(draws(of, seed, resamples)))


def money_of(of: Table) -> Floats:
    """What each payment is worth, in reference minor units; where no fraud's is known, each counts as one."""
    if "amount" in of.columns:
        amount = np.nan_to_num(of.values[:, of.columns.index("amount")])
        if amount[of.fraud].sum() > 0:
            return amount
    return np.ones(len(of))


def at_place(place: float, along: Floats, curve: Floats) -> float:
    """The highest value of `curve` at `place`, on straight lines between its points; `along` never falls."""
    after = int(np.searchsorted(along, place, side="right"))
    if after == len(along):
        return float(curve[-1])
    before = after - 1
    part = (place - along[before]) / (along[after] - along[before])
    return float(curve[before] + part * (curve[after] - curve[before]))


def draws(of: Table, seed: int, resamples: int = RESAMPLES) -> list[Floats]:
    """Weights of the rows in each draw. Those without both classes say nothing, and are left out."""
    blocks, block = np.unique(of.at // BLOCK_MICROSECONDS, return_inverse=True)
    chance = np.random.default_rng(seed)
    # Poisson's counts of each hour are the bootstrap's without drawing a fixed number of them.
    drawn = (of.weight * chance.poisson(1.0, len(blocks))[block] for _ in range(resamples))
    return [weight for weight in drawn if weight[of.fraud].sum() > 0 and weight[~of.fraud].sum() > 0]


def _interval(measure: Callable[[Floats], float], weight: Floats, draws: list[Floats]) -> Interval:
    return interval_of(measure(weight), [measure(drawn) for drawn in draws])


@dataclass(frozen=True, slots=True)
class _Ranked:
    """Rows from the highest score to the lowest. ends: the last row of each score, for of equals none comes first."""

    order: Instants
    ends: Instants
    fraud: Flags
    lost: Floats

    @classmethod
    def of(cls, score: Floats, fraud: Flags, lost: Floats) -> "_Ranked":
        order = np.lexsort((lost, fraud, -score))
        ends = np.append(np.nonzero(np.diff(score[order]))[0], len(order) - 1)
        return cls(order, ends, fraud[order], lost[order])

    def money(self, weight: Floats) -> float:
        """The part of the fraud's money above the score that `FALSE_PART` of the genuine payments reach."""
        weight = weight[self.order]
        genuine = np.append(0.0, np.cumsum(np.where(self.fraud, 0.0, weight))[self.ends])
        caught = np.append(0.0, np.cumsum(np.where(self.fraud, weight * self.lost, 0.0))[self.ends])
        return at_place(FALSE_PART * genuine[-1], genuine, caught) / float(caught[-1]) if caught[-1] else 0.0

    def average_precision(self, weight: Floats) -> float:
        weight = weight[self.order]
        looked_at = np.cumsum(weight)[self.ends]
        found = np.cumsum(np.where(self.fraud, weight, 0.0))[self.ends]
        precision = np.divide(found, looked_at, out=np.zeros_like(found), where=looked_at > 0)
        return float(np.sum(np.diff(found, prepend=0.0) * precision) / found[-1])
