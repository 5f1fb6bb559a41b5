"""Refund or hold: what to answer to who warns of a dispute before there is one.

A refund costs what is left of the payment. To hold costs, as far as the warning comes true,

  chance of a dispute x ((1 - P(win)) x what is left + the dispute's fee + an answer + what it adds to a network's programme)

and whichever is expected to cost less is done. P(win) is that of `strategy`, from our own disputes. A refund does not take an
issuer's report back, so that this counts in the programmes either way; the dispute that follows counts beside it.

What an alert asks for is done once for its payment: what went back already, or is disputed by now, is told and not paid again.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from shared.disputes.refunds import Advice, MayRefund
from shared.disputes.strategy import Costs, Outcomes, Strategy, Verdict, chance_of
from shared.domain.answers import Act
from shared.domain.disputes import GIVEN, AlertOutcome, Answer, AnswerState, Dispute
from shared.domain.events import Alert, DisputeReason
from shared.domain.money import Money

WINDOWS: Mapping[Alert, timedelta] = {Alert.ETHOCA: timedelta(hours=24), Alert.CDRN: timedelta(hours=72)}
"""Within how long a network wants its outcome, where the alert itself names no deadline: Mastercard Developers "Ethoca Alerts
for Merchants", Outcome API tutorial (24 hours; the first final outcome is what the issuer hears); Verifi CDRN 72 hours, as
Justt and Kount tell it: Verifi publishes none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertRules:
    """What people may change. version: named by every verdict that it made.

    becomes: how often a warning that is left alone becomes a dispute. Of reports 80 % (Stripe docs "How disputes work",
    early fraud warnings); behind an alert of a network an issuer waits to file, for which nobody publishes a rate: assumed.
    authenticated: the part of that, where 3-D Secure has moved the liability to the issuer: assumed, and Stripe's 80 % leave
    those payments out.
    completeness: of the packet by which the dispute would be answered. Assumed: near the middle of those that we send.
    announced: how long before it is done people are told, so that one of them can say otherwise. A report is no hurry of
    hours: disputes follow within days or weeks. Of a network's window it leaves most.
    buffer: how long before the deadline it is done at the latest.
    """

    version: str = "1"
    becomes: Mapping[Alert, float] = field(
        default_factory=lambda: {Alert.REPORT: 0.8, Alert.ETHOCA: 0.95, Alert.CDRN: 0.95, Alert.RDR: 0.0}
    )
    authenticated: float = 0.25
    completeness: float = 0.5
    announced: Mapping[Alert, timedelta] = field(
        default_factory=lambda: {
            Alert.REPORT: timedelta(hours=24),
            Alert.ETHOCA: timedelta(hours=6),
            Alert.CDRN: timedelta(hours=24),
            Alert.RDR: timedelta(0),
        }
    )
    buffer: timedelta = timedelta(hours=6)

    def __post_init__(self) -> None:
        """Raises ValueError for what nothing could be decided by."""
        parts = (*self.becomes.values(), self.authenticated, self.completeness)
        if {*self.becomes} != {*Alert} or {*self.announced} != {*Alert} or not all(0 <= part <= 1 for part in parts):
            raise ValueError("every alert has a chance, between 0 and 1, and a time to be announced")


BY = "alerts"
"""Whose decisions these are: with the version of the rules after it."""
SHOWN_WITHIN = timedelta(minutes=10)
"""By then a refund that was due is mostly made and written down."""
LOOKS_EVERY = timedelta(hours=1)
REFUND = "it is refunded, unless a person says otherwise until then"
HOLD = "it is not refunded: to wait for the dispute is expected to cost less"
WAIT = "it is decided when that is known"
TOO_MUCH_TO_REFUND = "too much to be refunded without a person"


def decide(
    alert: Dispute,
    advice: Advice,
    *,
    authenticated: bool,
    outcomes: Outcomes,
    strategy: Strategy,
    rules: AlertRules,
    now: datetime,
) -> Verdict:
    """What to answer to `alert`. advice: whether its payment may be refunded, the alert itself left out. authenticated: by
    3-D Secure. Raises ValueError for a dispute that is no alert.

    ACCEPT refunds all that is left, DECLINE refunds nothing; None is for a person: in doubt nothing is paid.
    """
    if alert.alert is None:
        raise ValueError("a dispute is weighed by the strategy")
    by = f"{BY}/{rules.version}"
    if advice.may is not MayRefund.YES or advice.settled is not None:
        # Nobody waits for an answer to a report, where another alert of the payment is answered, or about to be.
        is_looked_after = advice.settled is not None or (advice.may is MayRefund.ASK and alert.alert is Alert.REPORT)
        act = Act.DECLINE if is_looked_after else None
        if act is None and (again_at := asked_again_at(alert, advice, rules, now)) is not None:
            return Verdict(act=None, by=by, why=(*advice.why, WAIT), earliest_at=again_at)
        return Verdict(act=act, by=by, why=advice.why)
    left, costs = advice.left, strategy.costs.get(advice.left.currency) if advice.left else None
    if left is None or costs is None:
        return Verdict(act=None, by=by, why=(*advice.why, "what a dispute costs in this currency is not configured"))
    claimed = DisputeReason.FRAUD if alert.alert is Alert.REPORT else alert.reason or DisputeReason.OTHER
    p_win = chance_of(_with_reason(alert, claimed), rules.completeness, None, outcomes, strategy).estimate
    chance = rules.becomes[alert.alert] * (rules.authenticated if authenticated else 1)
    held = expected_of_holding(left, chance, p_win, costs)
    why = (
        *advice.why,
        f"a refund costs {left}; to hold is expected to cost {held}: {chance:.0%} of such alerts become disputes"
        f"{', fewer as 3-D Secure moved the liability' if authenticated else ''}, of which we would win {p_win:.0%}",
    )
    earliest_at = _announced_until(alert, rules, now)
    if held.minor <= left.minor:
        return Verdict(act=Act.DECLINE, by=by, why=(*why, HOLD), expected=held, earliest_at=earliest_at)
    if left.minor >= costs.refund_below:
        return Verdict(act=None, by=by, why=(*why, TOO_MUCH_TO_REFUND), expected=held)
    return Verdict(act=Act.ACCEPT, by=by, why=(*why, REFUND), expected=held, earliest_at=earliest_at)


def asked_again_at(alert: Dispute, advice: Advice, rules: AlertRules, now: datetime) -> datetime | None:
    """When to look at `alert` again, whose payment is about to be refunded for another one: after that, and never so late that no
    time is left to answer. None where nothing is on its way, or waiting would take what time a person needs."""
    if advice.underway_until is None or advice.settled is not None:
        return None
    again_at = max(advice.underway_until + SHOWN_WITHIN, now + LOOKS_EVERY)
    latest = alert.respond_by - rules.buffer if alert.respond_by else again_at
    return min(again_at, latest) if now < latest else None


def expected_of_holding(left: Money, chance: float, p_win: float, costs: Costs) -> Money:
    """What it is expected to cost to refund nothing, rounded to the minor unit."""
    lost = (1 - p_win) * left.minor + costs.dispute_fee + costs.answer + costs.programme_item
    return Money(round(chance * lost), left.currency)


def _with_reason(alert: Dispute, reason: DisputeReason) -> Dispute:
    return Dispute(
        provider=alert.provider,
        dispute_id=alert.dispute_id,
        account=alert.account,
        reason=reason,
        network=alert.network,
    )


def _announced_until(alert: Dispute, rules: AlertRules, now: datetime) -> datetime:
    assert alert.alert is not None
    until = now + rules.announced[alert.alert]
    return until if alert.respond_by is None else max(now, min(until, alert.respond_by - rules.buffer))


def outcome_of(answer: Answer) -> AlertOutcome | None:
    """What the network is to be told of an alert that was answered so; None as long as nothing is final, or nobody knows."""
    if answer.state in GIVEN and answer.act is Act.ACCEPT:
        return AlertOutcome.REFUNDED
    if answer.state in GIVEN and answer.act is Act.DECLINE:
        return AlertOutcome(answer.code) if answer.code else AlertOutcome.DECLINED
    if answer.state is AnswerState.ELSEWHERE:
        return AlertOutcome.PREVIOUSLY_REFUNDED
    return AlertOutcome.ALREADY_DISPUTED if answer.state is AnswerState.OVER and answer.code == NOTHING_TAKEN else None


NOTHING_TAKEN = "nothing_taken"
"""Why an answer is over: the provider refunds nothing of the payment any more, because it is disputed."""
