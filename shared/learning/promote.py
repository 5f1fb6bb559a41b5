"""Whether a new model earns the place of the one that decides."""

from shared.learning.evaluate import Quality

LEAST_LIFT = 2.0
"""Times the prior that average precision must reach: below it the model is not worth its reasons."""

LEAST_AUC = 0.6

TOLERANCE = 0.005
"""Average precision that a newer model may lose to the champion on the same payments: within noise, fresh is better."""


def objections(challenger: Quality, champion: Quality | None) -> list[str]:
    """What speaks against `challenger`, in sentences; empty when nothing does. champion: the quality of the model that
    decides now on the same payments, None when there is none that scores them."""
    found = []
    if challenger.average_precision < LEAST_LIFT * challenger.prior:
        found.append(
            f"average precision {challenger.average_precision:.4f} is below {LEAST_LIFT:g} times the part of fraud, "
            f"{challenger.prior:.4f}"
        )
    if challenger.roc_auc < LEAST_AUC:
        found.append(f"area under the curve {challenger.roc_auc:.4f} is below {LEAST_AUC:g}")
    if champion is not None and challenger.average_precision < champion.average_precision - TOLERANCE:
        found.append(
            f"average precision {challenger.average_precision:.4f} is worse than the champion's "
            f"{champion.average_precision:.4f} on the same payments"
        )
    return found
