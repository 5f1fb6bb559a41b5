"""What `respond_dispute` asks before it answers an alert: what is to be done, and once more, just before, whether it may be."""

from datetime import datetime

from shared.disputes import alerts
from shared.disputes.alerts import AlertRules
from shared.disputes.refunds import Advice, may_refund
from shared.disputes.strategy import Outcomes, Strategy
from shared.domain.answers import Act
from shared.domain.disputes import AlertOutcome, Dispute
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
    """Whether the payment of `alert` may be refunded, for all that is known but the alert itself. Three round trips at most."""
    advice, _ = _asked(alert, documents)
    return advice


def judge(
    alert: Dispute, documents: Documents, outcomes: Outcomes, strategy: Strategy, rules: AlertRules, now: datetime
) -> Verdict:
    """What is to be done about `alert` by itself, and when. Three round trips at most."""
    advice, payment = _asked(alert, documents)
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


def _asked(alert: Dispute, documents: Documents) -> tuple[Advice, Payment | None]:
    payment, case, disputes = all_of(documents, alert.provider, alert.payment_id or "")
    # Who waits for an outcome does not wait for what a report may come to.
    less = [] if alert.alert is Alert.REPORT else [Alert.REPORT]
    on_their_way = [one for one in disputes if one.alert in less and one.status is not DisputeStatus.PREVENTED]
    others = [one for one in disputes if one.dispute_id != alert.dispute_id and one not in on_their_way]
    return may_refund(payment, case, others), payment
