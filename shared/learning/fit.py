"""Gradient-boosted trees on rare fraud: the long tails kept apart, the probabilities put right afterwards."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.isotonic import IsotonicRegression
from threadpoolctl import threadpool_limits

from shared.learning.data_set import Flags, Floats, Table
from shared.learning.request import TrainingRequest

Tail = tuple[int, float]
"""(column, floor): a copy of the column in which everything below the floor is missing."""

TAIL_QUANTILE = 0.95
BINS = 255
"""Values of one column that a histogram tells apart; one with no more of them needs no copy."""
ALMOST_INFINITE = 1e300
THREADS = 2
"""Sums over all rows are added up by thread, and machines differ in their number of cores: sums in another order would be
another model. A sum of two does not depend on which of them comes first. A machine of one core alone has others."""
ISOTONIC_FROM = 1000
SIGMOID_FROM = 5
"""Frauds in the calibration slice: fewer than a thousand bend an isotonic curve, fewer than five say nothing."""


@dataclass(frozen=True, slots=True)
class Fitted:
    """A fitted forest. tails: the copies made, in order, behind the columns."""

    forest: HistGradientBoostingClassifier
    tails: tuple[Tail, ...]

    def raw(self, values: Floats) -> Floats:
        """Log-odds of fraud, as the forest learned them."""
        answer: Floats = self.forest.decision_function(with_tails(values, self.tails))
        return answer

    def probability(self, values: Floats) -> Floats:
        answer: Floats = self.forest.predict_proba(with_tails(values, self.tails))[:, 1]
        return answer


def fit(train: Table, long_tailed: Sequence[str], request: TrainingRequest) -> Fitted:
    """The forest for `train`. The same rows and seed give the same trees."""
    tails = tails_of(train, long_tailed)
    forest, values = forest_of(train, request), matrix(train.values, tails)
    with threadpool_limits(limits=THREADS):
        forest.fit(values, train.fraud)
    return Fitted(forest, tails)


def forest_of(train: Table, request: TrainingRequest) -> HistGradientBoostingClassifier:
    """What will learn from `train`, before it has."""
    return HistGradientBoostingClassifier(
        max_iter=request.iterations,
        max_bins=BINS,
        learning_rate=request.learning_rate,
        max_leaf_nodes=request.leaves,
        min_samples_leaf=request.least_leaf or min(max(train.frauds // 6, 10), 50),
        l2_regularization=request.l2,
        max_features=request.split_part,
        early_stopping=False,
        random_state=request.seed,
    )


def matrix(values: Floats, tails: Sequence[Tail]) -> Floats:
    """A copy of `values` with the tails behind them, as a forest can learn from it."""
    whole = with_tails(values, tails)
    # scikit-learn cannot bin a column that is missing everywhere; as a constant it is never asked about either.
    whole[:, np.isnan(whole).all(axis=0)] = 0.0
    # Nor between infinities: half way to one of them is no number. As the largest numbers they stay above everything.
    np.clip(whole, -ALMOST_INFINITE, ALMOST_INFINITE, out=whole)
    return whole


def tails_of(train: Table, long_tailed: Sequence[str]) -> tuple[Tail, ...]:
    """Where the tail of each long-tailed column begins: its 95th percentile, or the least above its commonest floor.

    A histogram has BINS bins of equal weight, so the last one merges the top 0.4 % of the payments, which is where
    fraud is. Missing values take no bins: in the copy all of them lie on the tail. A column with no more values than bins has
    none: each value has a bin of its own already, and a copy costs twice as much to learn from as another column.
    """
    tails: list[Tail] = []
    for name in long_tailed:
        if name not in train.columns:
            continue
        column = train.columns.index(name)
        values = train.values[:, column]
        values = values[np.isfinite(values)]  # a tail that begins at infinity would hold nothing else
        if len(np.unique(values)) <= BINS:
            continue
        floor = float(np.quantile(values, TAIL_QUANTILE, method="higher"))
        if floor <= (least := float(values.min())):
            floor = float(values[values > least].min())
        tails.append((column, floor))
    return tuple(tails)


def with_tails(values: Floats, tails: Sequence[Tail]) -> Floats:
    """A copy of `values`, with the tails behind them."""
    rows, columns = values.shape
    whole = np.empty((rows, columns + len(tails)))
    whole[:, :columns] = values
    for place, (column, floor) in enumerate(tails, columns):
        whole[:, place] = np.where(values[:, column] >= floor, values[:, column], np.nan)
    return whole


def calibration(raw: Floats, fraud: Flags, weight: Floats, share: float) -> dict[str, Any]:
    """A table from log-odds to probability, learned on payments later than the forest's.

    With too few frauds to learn from, only the thinning out of genuine payments to `share` is put right: each fraud
    weighed 1/share times too much, which is ln(share) in log-odds.
    """
    frauds = int(fraud.sum())
    thinning = {"kind": "sigmoid", "slope": 1.0, "intercept": math.log(share)}
    if frauds < SIGMOID_FROM or frauds == len(fraud):
        return thinning
    if frauds >= ISOTONIC_FROM:
        curve = IsotonicRegression(y_min=1e-6, y_max=1 - 1e-6, out_of_bounds="clip").fit(raw, fraud, weight)
        points = zip(curve.X_thresholds_, curve.y_thresholds_, strict=True)
        raws, probabilities = zip(*((float(x), float(y)) for x, y in points), strict=True)
        return {"kind": "isotonic", "raw": list(raws), "probability": list(probabilities)}
    slope, intercept = _platt(raw, fraud, weight)
    return {"kind": "sigmoid", "slope": slope, "intercept": intercept} if slope > 0 else thinning


def _platt(raw: Floats, fraud: Flags, weight: Floats) -> tuple[float, float]:
    """The logistic curve through (raw, fraud), by Newton's method on Platt's smoothed targets, which keep it finite
    where the two classes are told apart perfectly (Platt 1999; Lin, Lin, Weng 2007)."""
    positive, negative = float(weight[fraud].sum()), float(weight[~fraud].sum())
    target = np.where(fraud, (positive + 1) / (positive + 2), 1 / (negative + 2))
    design = np.column_stack([raw, np.ones_like(raw)])
    solution = np.array([1.0, math.log((positive + 1) / (negative + 1)) - float(np.average(raw, weights=weight))])

    def loss(at: Floats) -> float:
        margin = design @ at
        return float(np.sum(weight * (np.logaddexp(0, margin) - target * margin)))

    for _ in range(100):
        probability = np.exp(-np.logaddexp(0, -(design @ solution)))  # the logistic curve, without overflow
        gradient = design.T @ (weight * (probability - target))
        curvature = design.T @ (design * (weight * probability * (1 - probability))[:, None]) + 1e-9 * np.eye(2)
        step = np.linalg.solve(curvature, gradient)
        before, size = loss(solution), 1.0
        while size > 1e-6 and loss(solution - size * step) > before:
            size /= 2
        solution = solution - size * step
        if float(np.abs(size * step).max()) < 1e-10:
            break
    return float(solution[0]), float(solution[1])


def calibrated(raw: Floats, by: dict[str, Any]) -> Floats:
    """Probabilities of fraud for log-odds `raw`."""
    if by["kind"] == "isotonic":
        interpolated: Floats = np.interp(raw, by["raw"], by["probability"])
        return interpolated
    probability: Floats = 1 / (1 + np.exp(-(by["slope"] * raw + by["intercept"])))
    return probability
