"""From a score and the rules that hold to an outcome: thresholds, and what they are derived from."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from hashlib import sha256

from shared.domain.decisions import Outcome, ScaExemption
from shared.fraud.rules import LastChange, Scope, Segment, version_of

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
        return sha256(repr(self).encode()).hexdigest()[:16]


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
    insult * (1 - p). Each threshold is where two neighbours cost the same. Raises ValueError for costs by which harder
    outcomes do not become cheaper one after the other.
    """
    if not (0 <= costs.review_missed < costs.challenge_missed < 1 and costs.challenge_friction > 0):
        raise ValueError("a review misses less than a challenge, and asking costs something")
    if not costs.challenge_friction <= costs.review_friction < costs.insult:
        raise ValueError("a challenge costs no more than a review, and a review less than turning a good customer away")
    challenge = costs.challenge_friction / (1 - costs.challenge_missed)
    review = (costs.review_friction - costs.challenge_friction) / (costs.challenge_missed - costs.review_missed)
    decline = (costs.insult - costs.review_friction) / (costs.insult + costs.review_missed)
    return Thresholds(challenge=challenge, review=max(review, challenge), decline=max(decline, review, challenge))


def cheapest_authenticated(costs: Costs, loss: float) -> Thresholds:
    """The same for a payment whose cardholder has authenticated, where `loss` of what a fraud costs stays with us.

    An authenticated payment shifts liability: a dispute for fraud is the issuer's loss, not ours. What stays is the fee of
    the dispute, what was delivered where liability does not shift (an issuer outside the scheme's rule, a wallet), and
    the place in the schemes' programmes, which count it all the same. So approving costs loss * p, review
    friction + missed * loss * p, and a challenge is never asked: it has been passed. An exempted payment, or one that the
    merchant initiates, is not authenticated and shifts nothing. Raises ValueError unless 0 < loss <= 1.
    """
    if not 0 < loss <= 1:
        raise ValueError("what stays of a loss is above 0 and at most 1")
    review = costs.review_friction / (loss * (1 - costs.review_missed))
    to_decline = (costs.insult - costs.review_friction) / (costs.insult + costs.review_missed * loss)
    # Where review is cheaper nowhere, declining follows approving.
    decline = to_decline if review < to_decline else costs.insult / (costs.insult + loss)
    review = min(review, decline)
    return Thresholds(challenge=review, review=review, decline=decline)


def cheapest_challenged(costs: Costs, loss: float) -> Thresholds:
    """`cheapest`, where who passes a challenge has authenticated: of the fraud that gets through, `loss` stays with us.

    So challenging costs friction + missed * loss * p, and may leave nothing to review. Raises ValueError unless
    0 < loss <= 1.
    """
    if not 0 < loss <= 1:
        raise ValueError("what stays of a loss is above 0 and at most 1")
    missed = costs.challenge_missed * loss
    challenge = costs.challenge_friction / (1 - missed)
    to_decline = (costs.insult - costs.review_friction) / (costs.insult + costs.review_missed)
    gained = missed - costs.review_missed
    review = (costs.review_friction - costs.challenge_friction) / gained if gained > 0 else math.inf
    # Where review is cheaper nowhere, declining follows challenging.
    decline = to_decline if review < to_decline else (costs.insult - costs.challenge_friction) / (costs.insult + missed)
    decline = max(decline, challenge)
    return Thresholds(challenge=challenge, review=max(min(review, decline), challenge), decline=decline)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The thresholds of a segment: said outright, or what costs make of them. They stand in the place of the model's.

    authenticated_loss: what stays with us of a fraud on an authenticated payment, 0 to 1: of one that is authenticated
    already (`cheapest_authenticated`), and of one that would be challenged (`cheapest_challenged`); None: authenticating
    shifts no liability. Raises ValueError unless there are either thresholds or costs.
    """

    name: str
    scope: Scope = field(default_factory=Scope)
    thresholds: Thresholds | None = None
    costs: Costs | None = None
    authenticated_loss: float | None = None
    owner: str = ""
    reason: str = ""
    changed: LastChange | None = None

    def __post_init__(self) -> None:
        if (self.thresholds is None) is (self.costs is None):
            raise ValueError("a segment has thresholds or costs, and not both")
        if self.authenticated_loss is not None and self.costs is None:
            raise ValueError("what authentication changes follows from costs")
        for authenticated in (False, True):
            self.of(authenticated=authenticated)

    def of(self, *, authenticated: bool) -> Thresholds:
        if self.costs is None:
            assert self.thresholds is not None
            return self.thresholds
        if self.authenticated_loss is None:
            return cheapest(self.costs)
        shifted = cheapest_authenticated if authenticated else cheapest_challenged
        return shifted(self.costs, self.authenticated_loss)


LOW_VALUE = 3_000
"""Reference minor units: EUR 30, up to which a remote payment of low value may be exempted; Commission Delegated Regulation
(EU) 2018/389, Article 16. What was spent since the customer last authenticated (EUR 100, or five payments) the issuer counts."""

RISK_ANALYSIS: tuple[tuple[int, float], ...] = ((50_000, 0.0001), (25_000, 0.0006), (10_000, 0.0013))
"""Up to which amount a remote card payment may be exempted by transaction risk analysis, reference minor units, and up to
which fraud rate of the acquirer; the same Regulation, Article 18 and Annex."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Exemptions:
    """Which exemptions from strong customer authentication may be asked for in a segment. Liability then stays with us.

    The Regulation is about payments with both banks in the European Economic Area: the scope names their countries and
    the provider. acquirer_fraud_rate: the provider's own overall rate, value of fraud by value of card payments over 90 days
    (Article 19); None: it analyses no risk for us. Raises ValueError for a rate that is none.
    """

    name: str
    scope: Scope = field(default_factory=Scope)
    low_value: bool = False
    acquirer_fraud_rate: float | None = None
    owner: str = ""
    reason: str = ""
    changed: LastChange | None = None

    def __post_init__(self) -> None:
        if self.acquirer_fraud_rate is not None and not 0 <= self.acquirer_fraud_rate <= 1:
            raise ValueError("an acquirer's fraud rate is a share: 0 to 1")

    def of(self, amount: float, *, analyzed: bool) -> ScaExemption | None:
        """analyzed: the payment's own risk was looked at, as Article 18 asks. Of both that of risk analysis, for no issuer
        counts how often it was asked for."""
        rate = self.acquirer_fraud_rate
        if analyzed and rate is not None and any(amount <= most and rate <= least for most, least in RISK_ANALYSIS):
            return ScaExemption.RISK_ANALYSIS
        return ScaExemption.LOW_VALUE if self.low_value and amount <= LOW_VALUE else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Exploration:
    """The part of the payments that the model alone would have stopped and that are let pass all the same, so that it can
    be learned what became of them. share: 0 to 0.01. most: the largest amount, reference minor units. most_a_day: what all
    that are let pass on one day (UTC) may amount to, and so what a day can lose; None: as many as are drawn. Raises
    ValueError beyond those."""

    share: float = 0.0
    most: int = 0
    most_a_day: int | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.share <= 0.01 or self.most < 0 or (self.most_a_day or 0) < 0:
            raise ValueError("exploration takes 0 to 1 % of the payments, up to amounts that are not below nothing")

    def takes(self, amount: float | None) -> bool:
        """Whether a payment of `amount` may be explored at all."""
        return self.share > 0 and amount is not None and amount <= self.most

    def draws(self, payment: str) -> bool:
        """Whether `payment` (its provider and id) is explored: by its hash, so that a repeat draws the same."""
        return int.from_bytes(sha256(f"explore:{payment}".encode()).digest()[:8]) / 2**64 < self.share


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """Thresholds and exemptions by segment, of each the first that covers a payment, and exploration. Empty: the model's
    own thresholds for everyone, and no exemption is named."""

    limits: tuple[Limits, ...] = ()
    exploration: Exploration = field(default_factory=Exploration)
    exemptions: tuple[Exemptions, ...] = ()

    def thresholds(self, otherwise: Thresholds, segment: Segment, *, authenticated: bool) -> Thresholds:
        found = next((limits for limits in self.limits if limits.scope.covers(segment)), None)
        return otherwise if found is None else found.of(authenticated=authenticated)

    def exemption(self, segment: Segment, amount: float | None, *, analyzed: bool) -> ScaExemption | None:
        found = next((one for one in self.exemptions if one.scope.covers(segment)), None)
        return None if found is None or amount is None else found.of(amount, analyzed=analyzed)

    def version(self, otherwise: Thresholds) -> str:
        """Short SHA-256 of all by which a score could have led elsewhere."""
        if self == _EMPTY:
            return otherwise.version
        limits = [
            [one.scope, one.thresholds, one.costs, one.authenticated_loss, *_challenged(one)] for one in self.limits
        ]
        exemptions = [[one.scope, one.low_value, one.acquirer_fraud_rate] for one in self.exemptions]
        return version_of([otherwise, limits, self.exploration, *([exemptions] if exemptions else [])])


_EMPTY = Policy()


def _challenged(limits: Limits) -> list[str]:
    """By which thresholds that count on the liability of challenged payments are told from those of before."""
    return [] if limits.authenticated_loss is None else [cheapest_challenged.__name__]


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
