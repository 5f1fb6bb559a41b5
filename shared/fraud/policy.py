"""From a score and the rules that hold to an outcome: thresholds, and what they are derived from."""

import hashlib
import math
from collections.abc import Iterable
from dataclasses import dataclass

from shared.domain.decisions import Outcome

SEVERITY: tuple[Outcome, ...] = tuple(Outcome)
"""From the mildest to the hardest: when several speak, the hardest is heard."""


@dataclass(frozen=True, slots=True)
class Thresholds:
    """The lowest score (calibrated probability of fraud) of each outcome; below `challenge` a payment is approved."""

    challenge: float
    review: float
    decline: float

    def __post_init__(self) -> None:
        if not 0 < self.challenge <= self.review <= self.decline <= 1:
            raise ValueError("thresholds rise from challenge over review to decline, above 0 and at most 1")

    def outcome(self, score: float) -> Outcome:
        table = ((self.decline, Outcome.DECLINE), (self.review, Outcome.REVIEW), (self.challenge, Outcome.CHALLENGE))
        return next((outcome for floor, outcome in table if score >= floor), Outcome.APPROVE)

    @property
    def version(self) -> str:
        return hashlib.sha256(repr(self).encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Costs:
    """What each answer costs, in units of what one fraud costs us when approved (goods, fee and scheme penalty).

    missed: the part of fraud that gets through a challenge or a review all the same. friction: what asking costs.
    insult: what turning a good customer away costs: for a subscription, the renewals that never come.
    """

    challenge_friction: float = 0.02
    challenge_missed: float = 0.30
    review_friction: float = 0.08
    review_missed: float = 0.10
    insult: float = 1.0


@dataclass(frozen=True, slots=True)
class Capacity:
    """The largest part of all payments that may be asked to authenticate, and that people can look at."""

    challenge: float = 0.10
    review: float = 0.02


def cheapest(costs: Costs) -> Thresholds:
    """The scores at which the next harder outcome becomes the cheaper one in expectation.

    With fraud probability p: approving costs p; challenging friction + missed * p; reviewing likewise; declining
    insult * (1 - p). Each threshold is where two neighbours cost the same.
    """
    challenge = costs.challenge_friction / (1 - costs.challenge_missed)
    review = (costs.review_friction - costs.challenge_friction) / (costs.challenge_missed - costs.review_missed)
    decline = (costs.insult - costs.review_friction) / (costs.insult + costs.review_missed)
    return Thresholds(challenge=challenge, review=max(review, challenge), decline=max(decline, review, challenge))


def within_capacity(thresholds: Thresholds, scored: Iterable[tuple[float, float]], capacity: Capacity) -> Thresholds:
    """`thresholds`, review and challenge raised so far that no more than the capacity is asked of anyone, on payments
    like `scored`: pairs of a score and how many payments it stands for. Declining takes nobody's time."""
    ranked = sorted(scored, reverse=True)
    payments = math.fsum(weight for _, weight in ranked)

    def raised(floor: float, ceiling: float, part: float) -> float:
        room = part * payments
        for score, weight in ranked:
            if floor <= score < ceiling:
                room -= weight
                if room < 0:
                    # The first that no longer fits, and every tie of it, stays below.
                    return min(math.nextafter(score, math.inf), ceiling)
        return floor

    review = raised(thresholds.review, thresholds.decline, capacity.review)
    challenge = raised(thresholds.challenge, review, capacity.challenge)
    return Thresholds(challenge=challenge, review=review, decline=thresholds.decline)


def hardest(outcomes: Iterable[Outcome]) -> Outcome:
    """The hardest of `outcomes`; approve when there are none."""
    return max(outcomes, key=SEVERITY.index, default=Outcome.APPROVE)


DEFAULT_THRESHOLDS = cheapest(Costs())
