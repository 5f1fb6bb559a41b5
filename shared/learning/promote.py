"""Whether a new model earns the place of the one that decides."""

from shared.learning.compare import Comparison, Interval
from shared.learning.evaluate import Quality

LEAST_LIFT = 2.0
"""Times the prior that average precision must reach, at the low end of its interval: below it the model is not worth its
reasons, and a few frauds that it found by luck are no reach."""

LEAST_AUC = 0.6

LEAST_HOURS = 5
"""Hours with fraud that a comparison is made of: payments of one raid are one piece of evidence, and of few pieces no draw
can tell what is chance."""

MARGIN = 0.10
"""The part of the fraud's money that a newer model may lose to the champion as far as anybody can tell. What cannot be told
to be smaller is not taken for nothing: within it, fresh is better."""


def is_worse(comparison: Comparison | None, least_frauds: int) -> bool:
    """Whether the challenger catches less of the fraud's money than the champion on the same payments, beyond chance."""
    return comparison is not None and _can_tell(comparison, least_frauds) and comparison.money.high < 0


def _can_tell(comparison: Comparison, least_frauds: int) -> bool:
    return comparison.frauds >= least_frauds and comparison.hours >= LEAST_HOURS


def objections(
    challenger: Quality,
    precision: Interval,
    comparison: Comparison | None,
    least_frauds: int,
    least_lift: float = LEAST_LIFT,
) -> list[str]:
    """What speaks against `challenger`, in sentences; empty when nothing does. precision: the interval of its average
    precision. comparison: with the model that decides now, on payments that neither has learned from; None when there is
    none that scores them. least_frauds: among those, or the two cannot be told apart."""
    found = []
    if precision.low < least_lift * challenger.prior:
        found.append(
            f"average precision {challenger.average_precision:.4f} may be {precision.low:.4f}, which is below "
            f"{least_lift:g} times the part of fraud, {challenger.prior:.4f}"
        )
    if challenger.roc_auc < LEAST_AUC:
        found.append(f"area under the curve {challenger.roc_auc:.4f} is below {LEAST_AUC:g}")
    if comparison is None:
        return found
    if comparison.frauds < least_frauds:
        return [
            *found,
            f"{comparison.frauds} frauds are too few to tell it from the champion, which takes {least_frauds}",
        ]
    if comparison.hours < LEAST_HOURS:
        return [
            *found,
            f"{comparison.frauds} frauds in {comparison.hours} hours are too few raids to tell it from the champion, which takes "
            f"{LEAST_HOURS}",
        ]
    money = comparison.money
    told = (
        f"{comparison.challenger:.1%} of the fraud's money caught against the champion's {comparison.champion:.1%} on the "
        f"same payments, {money.low:+.1%} to {money.high:+.1%}"
    )
    if is_worse(comparison, least_frauds):
        found.append(f"worse than the champion: {told}")
    elif money.low < -MARGIN:
        found.append(f"perhaps worse than the champion by more than {MARGIN:.0%}: {told}")
    return found
