"""Disputes and alerts, a row each, by the newest word on each; and what may be lost by those that are open.

The outcome and who answered are those of the ledger (`shared.disputes.outcome_ledger`). What was last told of more than
`BEFORE` ago is over for good, and not among them: no cardholder may file later than that. Test data is left out, and so is whose decision an
answer was, which names people.
"""

from datetime import datetime

from shared.disputes.outcome_ledger import ANSWERED, ANSWERS, OUTCOME, PLACE
from shared.disputes.programmes import BEFORE

COLUMNS = {
    "provider": "Where it was filed.",
    "dispute_id": "The provider's name for it; with provider the key of a row.",
    "account": "Our account at the provider.",
    "payment_id": "The disputed payment, as in the mart of payments; while payment_known is false, the name that the provider told.",
    "payment_known": "Whether that payment is among ours.",
    "alert": "fraud_report, ethoca, cdrn, rdr: this is no dispute, but who warns of one; null of disputes.",
    "stage": "inquiry, chargeback, pre_arbitration, arbitration. An inquiry has taken no money.",
    "outcome": "open, won, partial, lost, accepted, expired, reversed (won once, and lost again), closed, prevented.",
    "final": "False while the provider may still turn the outcome over.",
    "answered": "platform, people, provider, nobody: who has answered it.",
    "answer_state": "How far our answer to this round is: announced, held, taken, elsewhere, parked, over; null before it is decided.",
    "reason": "fraud, not_received, not_as_described, duplicate, canceled, credit_not_processed, other.",
    "reason_code": "The network's code.",
    "network": "The card's network, in the provider's word.",
    "currency": "ISO 4217, of amount.",
    "amount": "Minor units that are disputed.",
    "settled_in": "ISO 4217, of withdrawn and returned: what the provider settles in. Null where it tells of no money that moves.",
    "withdrawn": "The most minor units that were gone at any one time.",
    "returned": "Minor units of those that came back.",
    "opened_at": "When it was first told of.",
    "filed_at": "When it was first told to take money; null of inquiries and alerts.",
    "status_since": "Since when it stands as it does.",
    "respond_by": "The last instant at which evidence is accepted.",
    "deadline_estimated": "The provider named no deadline, and respond_by is our estimate.",
    "answered_at": "When the provider had our answer to this round.",
}

DISPUTES_SQL = f"""SELECT provider, dispute_id, account, payment_id, payment_known, alert, stage, {OUTCOME} AS outcome, final,
  {ANSWERED} AS answered, answer_state, reason, reason_code, network, amount.currency AS currency, amount.minor AS amount,
  withdrawn.currency AS settled_in, withdrawn.minor AS withdrawn, moved.minor + withdrawn.minor AS returned,
  opened_at, filed_at, COALESCE(status_since, occurred_at) AS status_since, respond_by, deadline_estimated, answered_at
FROM (
  SELECT provider, dispute_id, account, payment_id, payment_known, alert, stage, status, final, answer_state, answered_at, reason,
    reason_code, network, amount, moved, withdrawn, won_before, status_since, occurred_at, respond_by, deadline_estimated, same_as,
    MIN(occurred_at) OVER (PARTITION BY provider, dispute_id) AS opened_at,
    MIN(CASE WHEN stage <> 'inquiry' THEN occurred_at END) OVER (PARTITION BY provider, dispute_id) AS filed_at,
    {ANSWERS},
    {PLACE} AS place
  FROM dispute_updates
  WHERE occurred_at >= @told_since AND occurred_at < @until AND (COALESCE(livemode, TRUE) OR @test_data)
) AS told
WHERE place = 1 AND same_as IS NULL"""  # noqa: S608 - constants of ours

AT_RISK_COLUMNS = {
    "provider": "Where they were filed.",
    "account": "Our account at the provider.",
    "currency": "ISO 4217, of at_risk.",
    "kind": "dispute, or alert: a warning of one, which is lost only if it is filed.",
    "stage": "inquiry, chargeback, pre_arbitration, arbitration.",
    "reason": "What is claimed.",
    "due": "passed, within 24 hours, within 7 days, later, not told: when evidence is accepted until.",
    "answer": "given, parked (only a person can go on), prepared, none: how far our answer is.",
    "cases": "How many.",
    "at_risk": "Minor units that are disputed and not decided, which is what is lost if all of them are.",
    "oldest": "When the oldest of them was opened.",
}

AT_RISK_SQL = f"""SELECT provider, account, currency, kind, stage, reason, due, answer,
  COUNT(*) AS cases, SUM(amount) AS at_risk, MIN(opened_at) AS oldest
FROM (
  SELECT provider, account, currency, stage, reason, amount, opened_at,
    CASE WHEN alert IS NULL THEN 'dispute' ELSE 'alert' END AS kind,
    CASE
      WHEN respond_by IS NULL THEN 'not told' WHEN respond_by < @until THEN 'passed'
      WHEN respond_by < TIMESTAMP_ADD(@until, INTERVAL 24 HOUR) THEN 'within 24 hours'
      WHEN respond_by < TIMESTAMP_ADD(@until, INTERVAL 7 DAY) THEN 'within 7 days'
      ELSE 'later'
    END AS due,
    CASE
      WHEN answer_state IN ('taken', 'elsewhere') THEN 'given' WHEN answer_state = 'parked' THEN 'parked'
      WHEN answer_state IN ('announced', 'held') THEN 'prepared' ELSE 'none'
    END AS answer
  FROM ({DISPUTES_SQL}) AS disputes
  WHERE outcome = 'open'
) AS open_now
GROUP BY provider, account, currency, kind, stage, reason, due, answer"""  # noqa: S608 - constants of ours


def asked_at(now: datetime) -> dict[str, datetime | bool]:
    """The parameters of `DISPUTES_SQL` and `AT_RISK_SQL`: as it stands at `now`."""
    return {"told_since": now - BEFORE, "until": now, "test_data": False}
