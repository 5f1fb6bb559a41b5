"""How good a score is on payments later than all it learned from."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from sklearn.metrics import average_precision_score, brier_score_loss, roc_auc_score, roc_curve

from shared.learning.data_set import Flags, Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class Reached:
    """Of payments at or above a threshold: their part of all, the part of them that is fraud (None: there are none),
    and the part of fraud among them."""

    threshold: float
    part: float
    precision: float | None
    recall: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Quality:
    """prior: the part that is fraud; what average_precision is of a score that knows nothing. lift_at_1_percent: how
    many times the prior among the riskiest hundredth."""

    payments: int
    frauds: int
    prior: float
    average_precision: float
    roc_auc: float
    recall_at_1_percent_false: float
    lift_at_1_percent: float
    brier: float
    outcomes: Mapping[str, Reached]


def evaluate(score: Floats, fraud: Flags, weight: Floats, thresholds: Mapping[str, float]) -> Quality:
    """Measure `score`; `weight` says how many payments a row stands for. Needs both classes."""
    total, bad = float(weight.sum()), float(weight[fraud].sum())
    false, true, _ = roc_curve(fraud, score, sample_weight=weight)
    riskiest = np.argsort(-score, kind="stable")
    top = riskiest[: max(int(np.searchsorted(np.cumsum(weight[riskiest]), total / 100)), 1)]
    return Quality(
        payments=round(total),
        frauds=int(fraud.sum()),
        prior=bad / total,
        average_precision=float(average_precision_score(fraud, score, sample_weight=weight)),
        roc_auc=float(roc_auc_score(fraud, score, sample_weight=weight)),
        recall_at_1_percent_false=float(true[np.searchsorted(false, 0.01, side="right") - 1]),
        lift_at_1_percent=float(weight[top][fraud[top]].sum() / weight[top].sum() / (bad / total)),
        brier=float(brier_score_loss(fraud, np.clip(score, 0, 1), sample_weight=weight)),
        outcomes={name: _reached(score, fraud, weight, threshold) for name, threshold in thresholds.items()},
    )


def _reached(score: Floats, fraud: Flags, weight: Floats, threshold: float) -> Reached:
    inside = score >= threshold
    among, caught = float(weight[inside].sum()), float(weight[inside & fraud].sum())
    return Reached(
        threshold=threshold,
        part=among / float(weight.sum()),
        precision=caught / among if among else None,
        recall=caught / float(weight[fraud].sum()),
    )
