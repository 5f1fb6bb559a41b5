"""What `respond_dispute` asks before it answers an alert: what is to be done, and once more, just before, whether it may be."""

from collections.abc import Callable
from datetime import datetime

from shared.disputes import alerts
from shared.disputes.alerts import AlertRules
from shared.disputes.refunds import Advice, may_refund
from shared.disputes.strategy import Outcomes, Strategy
from shared.domain.answers import Act
from shared.domain.disputes import AlertOutcome, AnswerState, Dispute
from shared.domain.events import Alert, DisputeStatus
from shared.domain.payments import Payment
from shared.flows.dispute_desk import all_of
from shared.flows.ports import Documents
from shared.flows.respond_dispute import Verdict

AUTHENTICATED = "authenticated"
"""In `Details.three_d_secure`: the payer proved to the issuer who they are, so that the issuer bears a fraud."""

UNDERWAY = "refund_underway"
"""Why an alert is held: the payment is about to be refunded for another one."""


def guard(alert: Dispute, documents: Documents) -> Advice:
    """Whether the payment of `alert`, whose answer is written down as on its way, may be refunded, for all that is known but the
    alert itself. Three round trips at most."""
    # What is announced asks the same before it goes, and finds this one on its way.
    advice, _ = _asked(alert, documents, lambda _: True)
    return advice


def judge(
    alert: Dispute, documents: Documents, outcomes: Outcomes, strategy: Strategy, rules: AlertRules, now: datetime
) -> Verdict:
    """What is to be done about `alert` by itself, and when. Three round trips at most."""
    latest = alert.respond_by - rules.buffer if alert.respond_by else None
    # Nobody waits for what comes too late: that one finds this one.
    advice, payment = _asked(alert, documents, lambda due_at: latest is not None and due_at >= latest)
    found = alerts.decide(
        alert,
        advice,
        authenticated=payment is not None and payment.details.three_d_secure == AUTHENTICATED,
        outcomes=outcomes,
        strategy=strategy,
        rules=rules,
        now=now,
    )
    declined = advice.settled or AlertOutcome.DECLINED
    waits = found.act is None and found.earliest_at is not None
    return Verdict(
        act=found.act,
        by=found.by,
        why=found.why,
        due_at=found.earliest_at or now,
        code=declined if found.act is Act.DECLINE else UNDERWAY if waits else "for_a_person",
        waits=waits,
    )


def _asked(
    alert: Dispute, documents: Documents, passes_over: Callable[[datetime], bool]
) -> tuple[Advice, Payment | None]:
    """passes_over: whether a refund that is announced until then counts for nothing."""

    def counts(one: Dispute) -> bool:
        if one.alert is None or one.status is DisputeStatus.PREVENTED:
            return True
        answer = one.answer
        if answer is not None and answer.state is AnswerState.SENDING:
            return True
        # Who waits for an outcome does not wait for what a report may come to.
        if one.alert is Alert.REPORT and alert.alert is not Alert.REPORT:
            return False
        is_announced = answer is not None and answer.state is AnswerState.ANNOUNCED and answer.act is Act.ACCEPT
        return not (is_announced and answer and passes_over(answer.due_at or answer.at))

    payment, case, disputes = all_of(documents, alert.provider, alert.payment_id or "")
    others = [one for one in disputes if one.dispute_id != alert.dispute_id and counts(one)]
    return may_refund(payment, case, others), payment
