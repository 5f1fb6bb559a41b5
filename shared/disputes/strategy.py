"""Fight or accept: what answering a dispute is worth, and what may be done about it without a person.

expected value = P(win) x what is disputed - what an answer costs - what losing it adds to a network's programme

P(win) comes from our own disputes that were answered and decided (`Outcomes`), and from a prior where there are few: the mean
over everything is the prior of a reason's, that of its network's, that of its provider's (Beta-binomial, each level with the
weight of `Strategy.weight` disputes). The interval is what the last level does not know.

Nothing here answers a dispute: `decide` says what may be done, from when on, and why.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from shared.disputes.reason_codes import list_of
from shared.domain.answers import Act
from shared.domain.disputes import AnsweredBy, Dispute
from shared.domain.events import DisputeReason, DisputeStage, DisputeStatus
from shared.domain.evidence import CompellingEvidence
from shared.domain.money import Money

ANY = ""
"""In place of a network or a provider that is not told."""


# What a verdict that weighed a dispute comes to; among its reasons there is one of these.
WORTH_IT = "it is answered"
TOO_MUCH = "too much to be accepted without a person: it is answered when time runs out"
NOT_ACCEPTED = "the provider takes no acceptance: it is answered when time runs out"
TOO_LATE = "no time is left to announce that it is accepted: it is answered"
SMALL = "it is accepted, unless a person says otherwise until then"
WORDS = (WORTH_IT, TOO_MUCH, NOT_ACCEPTED, TOO_LATE, SMALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Count:
    """Disputes that were answered and finally decided."""

    won: int = 0
    lost: int = 0

    def __add__(self, other: "Count") -> "Count":
        return Count(won=self.won + other.won, lost=self.lost + other.lost)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcomes:
    """counts: by reason, network (as `reason_codes.list_of` names it) and provider."""

    counts: Mapping[tuple[str, str, str], Count] = field(default_factory=dict)

    @classmethod
    def of(cls, rows: Sequence[Mapping[str, object]]) -> "Outcomes":
        """From the rows of `OUTCOMES_SQL`."""
        counts: dict[tuple[str, str, str], Count] = {}
        for row in rows:
            network = list_of(str(row["network"] or ANY))
            key = (str(row["reason"] or DisputeReason.OTHER), network, str(row["provider"]))
            told = Count(won=int(str(row["won"])), lost=int(str(row["lost"])))
            counts[key] = counts.get(key, Count()) + told
        return cls(counts=counts)

    def within(self, *told: str) -> Count:
        """All of those whose reason, network and provider begin so."""
        return sum((one for key, one in self.counts.items() if key[: len(told)] == told), Count())


# Of disputes that were answered, those that our provider answered in our name say nothing of us. Answered is what the provider
# had under review: of what nobody answered too a provider tells at the end that it is lost.
OUTCOMES_SQL = """SELECT provider, reason, network,
  SUM(CASE WHEN status = 'won' THEN 1 ELSE 0 END) AS won,
  SUM(CASE WHEN status = 'lost' THEN 1 ELSE 0 END) AS lost
FROM (
  SELECT provider, reason, network, status, final, same_as,
    MAX(CASE WHEN told_status = 'under_review' THEN 1 ELSE 0 END)
      OVER (PARTITION BY provider, dispute_id) AS answered,
    MAX(CASE WHEN answered_by = 'provider' THEN 1 ELSE 0 END)
      OVER (PARTITION BY provider, dispute_id) AS answered_for_us,
    ROW_NUMBER() OVER (
      PARTITION BY provider, dispute_id ORDER BY revision DESC, occurred_at DESC, update_id
    ) AS place
  FROM dispute_updates
  WHERE occurred_at >= @since AND occurred_at < @until
) AS told
WHERE place = 1 AND same_as IS NULL AND final AND status IN ('won', 'lost') AND answered = 1 AND answered_for_us = 0
GROUP BY provider, reason, network"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Costs:
    """In minor units of one currency. answer: what a prepared answer costs us beside the provider's fee (a look at it, the
    provider's counter fee). accept_below: what may be accepted without a person; 0: nothing. programme_item: what one more
    dispute of the month costs while an account is in a network's programme (VAMP: some USD 8). dispute_fee: what the provider
    takes for a dispute, won or lost (Stripe's price in the US; in Europe it is higher). refund_below: of which payments one may be
    refunded without a person, to have no dispute; 0: none."""

    answer: int
    accept_below: int
    programme_item: int
    dispute_fee: int
    refund_below: int


def _like_euros(times: int) -> Costs:
    return Costs(
        answer=300 * times,
        accept_below=500 * times,
        programme_item=800 * times,
        dispute_fee=1500 * times,
        refund_below=5000 * times,
    )


SOONEST = timedelta(hours=6)
"""Less is no time for a person, nor for a provider that is down."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Strategy:
    """What people may change. version: named by every verdict that it made; 0 is what is shipped.

    priors: P(win) by reason before anything of ours is known, with the weight of `weight` disputes. Published rates of answered
    chargebacks are 54 % in the US, 49 % in the UK, 37 % in Brazil (Datos Insights 2025, as legalclarity.org tells it); by
    reason nobody publishes one that could be relied on: they are assumed around 0.45, higher where a record of ours settles the
    matter (a duplicate, a refund, a cancellation) and lower where it is word against word.
    completeness: the part of P(win) that the emptiest packet keeps; a complete one keeps all. Assumed.
    compelling: P(win) at least, where a network's own criteria are met. Assumed: the rules then make the issuer liable, and
    not every issuer agrees that they are met.
    costs: by currency; where none are given nothing is accepted without a person. Assumed.
    escalates: how often an inquiry that is lost becomes a chargeback. Assumed.
    announced: how long before an acceptance people are told of it, so that one of them can cancel it.
    buffer: how long before the deadline the packet goes out by itself, whatever is expected of it.
    unproven: as a part of all, what the interval leaves out on each side.
    """

    version: int = 0
    priors: Mapping[DisputeReason, float] = field(
        default_factory=lambda: {
            DisputeReason.FRAUD: 0.35,
            DisputeReason.NOT_RECEIVED: 0.5,
            DisputeReason.NOT_AS_DESCRIBED: 0.35,
            DisputeReason.DUPLICATE: 0.6,
            DisputeReason.CANCELED: 0.45,
            DisputeReason.CREDIT_NOT_PROCESSED: 0.55,
            DisputeReason.OTHER: 0.4,
        }
    )
    weight: float = 10.0
    completeness: float = 0.4
    compelling: float = 0.8
    costs: Mapping[str, Costs] = field(
        default_factory=lambda: {
            **dict.fromkeys(("EUR", "USD", "GBP", "CHF", "AUD", "CAD"), _like_euros(1)),
            **dict.fromkeys(("SEK", "NOK", "DKK"), _like_euros(10)),
            **dict.fromkeys(("BRL", "PLN"), _like_euros(5)),
            **dict.fromkeys(("MXN",), _like_euros(20)),
            "INR": _like_euros(90),
            # No decimals.
            "JPY": Costs(answer=500, accept_below=800, programme_item=1300, dispute_fee=2000, refund_below=8000),
            # Three.
            "KWD": Costs(answer=1000, accept_below=1700, programme_item=2700, dispute_fee=4500, refund_below=16000),
        }
    )
    escalates: float = 0.5
    announced: timedelta = timedelta(hours=48)
    buffer: timedelta = timedelta(hours=24)
    unproven: float = 0.05

    def __post_init__(self) -> None:
        """Raises ValueError for what nothing could be decided by."""
        if set(self.priors) != set(DisputeReason) or not all(0 < prior < 1 for prior in self.priors.values()):
            raise ValueError("every reason has a prior between 0 and 1")
        if any(min(one.answer, one.accept_below, one.programme_item) < 0 for one in self.costs.values()):
            raise ValueError("nothing costs less than nothing")
        if self.announced < SOONEST or self.buffer < SOONEST:
            raise ValueError(f"people have {SOONEST} at least to decide otherwise, and an answer to arrive")
        parts = (self.completeness, self.compelling, self.escalates)
        if self.weight <= 0 or not 0 < self.unproven < 0.5 or not all(0 <= part <= 1 for part in parts):
            raise ValueError("a part is between 0 and 1, the weight above 0, the interval leaves out less than half")


SHIPPED = Strategy()


@dataclass(frozen=True, slots=True, kw_only=True)
class Chance:
    """P(win), and where it lies by what we know."""

    estimate: float
    low: float
    high: float
    of: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What may be done without a person. act: None where nothing is sent by itself. by: what decided. why: in words, for a
    person. p_win, interval: of an answer; None where none is weighed. expected: what an answer is worth, where the amount and
    the costs are known. earliest_at: not before; until then a person may decide otherwise. None: at once."""

    act: Act | None
    by: str
    why: tuple[str, ...]
    p_win: float | None = None
    interval: tuple[float, float] | None = None
    expected: Money | None = None
    earliest_at: datetime | None = None


def decide(
    dispute: Dispute,
    *,
    packet_completeness: float,
    compelling: CompellingEvidence | None,
    outcomes: Outcomes,
    strategy: Strategy,
    now: datetime,
    acknowledged: bool = False,
    announced_at: datetime | None = None,
    acceptable: bool = True,
) -> Verdict:
    """What may be done about `dispute` without a person.

    packet_completeness: of the best packet there is, 0 to 1. acknowledged: somebody has agreed to what a costly contest costs.
    acceptable: whether the provider takes an acceptance at all. announced_at: when people were told that it would be accepted; None while they were not, and then `now` counts.

    Silence loses a case, so an answer that is not worth its cost goes out all the same at `respond_by` less the buffer,
    unless the dispute is small enough to be accepted and there is time to announce that. What costs more than the ordinary
    fees goes out by no rule: only where it is `acknowledged`.
    """
    by = f"strategy/{strategy.version}"
    if (nobody := _nobody_answers(dispute, now)) is not None:
        return Verdict(act=None, by=by, why=(nobody,))
    chance = chance_of(dispute, packet_completeness, compelling, outcomes, strategy)
    weighed = _worth(dispute, chance, strategy)
    why = [
        f"an answer wins with {chance.estimate:.0%} ({chance.low:.0%} to {chance.high:.0%}): {_grounds(dispute, chance)}",
        f"the packet has {packet_completeness:.0%} of what its template asks for",
    ]
    if compelling is not None:
        why.append(
            f"{compelling.rule}: {len(compelling.priors)} earlier payments, {', '.join(compelling.matched)} alike"
        )
    why.append(weighed.words)

    def verdict(act: Act | None, word: str, earliest_at: datetime | None = None) -> Verdict:
        return Verdict(
            act=act,
            by=by,
            why=(*why, word),
            p_win=chance.estimate,
            interval=(chance.low, chance.high),
            expected=weighed.expected,
            earliest_at=earliest_at,
        )

    if (costly := _costly(dispute)) is not None and not acknowledged:
        return verdict(None, f"{costly}: somebody has to agree to that first")
    if weighed.expected is None or weighed.expected.minor > 0:
        return verdict(Act.SUBMIT, WORTH_IT)
    last = dispute.respond_by - strategy.buffer if dispute.respond_by else None
    from_then = (announced_at or now) + strategy.announced
    if not _is_small(dispute, strategy):
        return verdict(Act.SUBMIT, TOO_MUCH, last)
    if not acceptable:
        return verdict(Act.SUBMIT, NOT_ACCEPTED, last)
    if last is not None and from_then > last:
        return verdict(Act.SUBMIT, TOO_LATE, last)
    return verdict(Act.ACCEPT, SMALL, from_then)


def _nobody_answers(dispute: Dispute, now: datetime) -> str | None:
    if dispute.same_as is not None:
        return "this is told of another dispute"
    if dispute.status is not DisputeStatus.NEEDS_RESPONSE:
        return f"it waits for no answer: {dispute.status or 'nothing is told of it'}"
    if dispute.answered_by is AnsweredBy.PROVIDER:
        return "the provider answers in our name"
    if not dispute.can_respond:
        return "the provider takes no answer"
    if dispute.respond_by is not None and dispute.respond_by <= now and not dispute.deadline_estimated:
        return "its deadline has passed"
    return None


def _costly(dispute: Dispute) -> str | None:
    """Why a contest costs more than the ordinary fees."""
    if dispute.contest_fee is not None and dispute.contest_fee.minor > 0:
        return f"contesting it costs {dispute.contest_fee}"
    if dispute.stage is DisputeStage.ARBITRATION:
        return "who loses an arbitration pays for it"
    return None


@dataclass(frozen=True, slots=True)
class _Weighed:
    expected: Money | None
    words: str


def _worth(dispute: Dispute, chance: Chance, strategy: Strategy) -> _Weighed:
    """Rounded down, to the minor unit."""
    amount = dispute.amount
    if amount is None:
        return _Weighed(None, "what it is worth is not known: the provider tells no amount")
    costs = strategy.costs.get(amount.currency)
    if costs is None:
        return _Weighed(None, f"what an answer costs in {amount.currency} is not configured")
    cost = costs.answer
    if dispute.contest_fee is not None and dispute.contest_fee.currency == amount.currency:
        cost += dispute.contest_fee.minor
    # A dispute that is filed counts in the programmes whether it is won or lost. An inquiry does not, until it is lost.
    risk = 0.0
    if dispute.stage is DisputeStage.INQUIRY:
        risk = (1 - chance.estimate) * strategy.escalates * costs.programme_item
    expected = Money(math.floor(chance.estimate * amount.minor - cost - risk), amount.currency)
    risky = f", less {Money(round(risk), amount.currency)} for the networks' programmes" if round(risk) else ""
    words = f"{chance.estimate:.0%} of {amount}, less {Money(cost, amount.currency)} for the answer{risky}"
    return _Weighed(expected, f"it is worth {expected}: {words}")


def _is_small(dispute: Dispute, strategy: Strategy) -> bool:
    """Whether it may be accepted without a person."""
    amount = dispute.amount
    costs = strategy.costs.get(amount.currency) if amount else None
    return amount is not None and costs is not None and amount.minor < costs.accept_below


def _grounds(dispute: Dispute, chance: Chance) -> str:
    told = (dispute.reason or DisputeReason.OTHER, dispute.network or "any network", dispute.provider)
    return f"{chance.of} decided disputes of {', '.join(told)}, and what is known of others"


def chance_of(
    dispute: Dispute,
    packet_completeness: float,
    compelling: CompellingEvidence | None,
    outcomes: Outcomes,
    strategy: Strategy,
) -> Chance:
    """P(win) of an answer with such a packet."""
    reason = dispute.reason or DisputeReason.OTHER
    levels = (reason, list_of(dispute.network or ANY), dispute.provider)
    mean = strategy.priors[reason]
    loses, count = 1 - mean, Count()
    for depth in range(1, len(levels) + 1):
        count = outcomes.within(*levels[:depth])
        alpha = strategy.weight * mean + count.won
        beta = strategy.weight * loses + count.lost
        # Each by itself: of 1 less nearly 1 nothing would be left.
        mean, loses = alpha / (alpha + beta), beta / (alpha + beta)
    low, high = (beta_quantile(part, alpha, beta) for part in (strategy.unproven, 1 - strategy.unproven))
    # Of many lost and none won the mean lies beyond nearly all of the distribution.
    known = (mean, min(low, mean), max(high, mean))

    def sent(chance: float) -> float:
        """With this packet: rising with `chance`, so that an interval stays one."""
        kept = strategy.completeness + (1 - strategy.completeness) * min(max(packet_completeness, 0.0), 1.0)
        return max(chance * kept, strategy.compelling if compelling else 0.0)

    estimate, low, high = map(sent, known)
    return Chance(estimate=estimate, low=low, high=high, of=count.won + count.lost)


def beta_quantile(part: float, alpha: float, beta: float) -> float:
    """Below which `part` of the Beta distribution of `alpha` and `beta` (both positive) lies, to 1e-9."""
    low, high = 0.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        if beta_below(middle, alpha, beta) < part:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def beta_below(x: float, alpha: float, beta: float) -> float:
    """The regularised incomplete beta function, by its continued fraction (DLMF 8.17.22), evaluated by Lentz's method."""
    if x <= 0.0:
        return 0.0
    if x >= 1.0:
        return 1.0
    if x > (alpha + 1) / (alpha + beta + 2):
        # The fraction converges quickly on the other side alone.
        return 1.0 - beta_below(1 - x, beta, alpha)
    front = math.exp(
        math.lgamma(alpha + beta) - math.lgamma(alpha) - math.lgamma(beta) + alpha * math.log(x) + beta * math.log1p(-x)
    )
    tiny = 1e-300
    c, d = 1.0, 1.0 / _not_zero(1 - (alpha + beta) * x / (alpha + 1), tiny)
    fraction = d
    for step in range(1, 10_000):
        even = step * (beta - step) * x / ((alpha + 2 * step - 1) * (alpha + 2 * step))
        odd = -(alpha + step) * (alpha + beta + step) * x / ((alpha + 2 * step) * (alpha + 2 * step + 1))
        for term in (even, odd):
            d = 1.0 / _not_zero(1 + term * d, tiny)
            c = _not_zero(1 + term / c, tiny)
            fraction *= c * d
        if abs(c * d - 1) < 1e-14:
            break
    return front * fraction / alpha


def _not_zero(value: float, tiny: float) -> float:
    return value if abs(value) > tiny else tiny
