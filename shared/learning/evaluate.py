"""How good a score is on payments later than all it learned from."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from sklearn.metrics import average_precision_score, brier_score_loss, roc_auc_score, roc_curve

from shared.learning.compare import at_place
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
    """prior: the part that is fraud; what average_precision is of a score that knows nothing. recall_at_1_percent_false:
    the part of fraud above the score that a hundredth of the genuine payments reach. lift_at_1_percent: how many times
    the prior among the riskiest hundredth, one payment at least.

    Of payments with one score none comes first: where a hundredth ends among them, it holds its part of their frauds,
    which is what a draw among them holds in expectation. average_precision takes them in one step."""

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
    """Measure `score`; `weight` says how many payments a row stands for. Needs both classes.

    The same rows in any order give the same numbers, to the bit.
    """
    # Sums of floating-point numbers depend on their order, so there is one.
    order = np.lexsort((weight, fraud, -score))
    score, fraud, weight = score[order], fraud[order], weight[order]
    total, bad = float(weight.sum()), float(weight[fraud].sum())
    false, true, _ = roc_curve(fraud, score, sample_weight=weight)
    return Quality(
        payments=round(total),
        frauds=int(fraud.sum()),
        prior=bad / total,
        average_precision=float(average_precision_score(fraud, score, sample_weight=weight)),
        roc_auc=float(roc_auc_score(fraud, score, sample_weight=weight)),
        recall_at_1_percent_false=at_place(0.01, false, true),
        lift_at_1_percent=_caught(score, fraud, weight, riskiest := max(total / 100, 1.0)) / riskiest / (bad / total),
        brier=float(brier_score_loss(fraud, np.clip(score, 0, 1), sample_weight=weight)),
        outcomes={name: _reached(score, fraud, weight, threshold) for name, threshold in thresholds.items()},
    )


def _caught(score: Floats, fraud: Flags, weight: Floats, payments: float) -> float:
    """The frauds expected among the riskiest `payments`; `score` falls."""
    last_of_tie = np.append(np.nonzero(np.diff(score))[0], len(score) - 1)
    looked_at = np.append(0.0, np.cumsum(weight)[last_of_tie])
    found = np.append(0.0, np.cumsum(np.where(fraud, weight, 0.0))[last_of_tie])
    return at_place(payments, looked_at, found)


def _reached(score: Floats, fraud: Flags, weight: Floats, threshold: float) -> Reached:
    inside = score >= threshold
    among, caught = float(weight[inside].sum()), float(weight[inside & fraud].sum())
    return Reached(
        threshold=threshold,
        part=among / float(weight.sum()),
        precision=caught / among if among else None,
        recall=caught / float(weight[fraud].sum()),
    )
