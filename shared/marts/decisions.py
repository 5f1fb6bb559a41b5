"""Fraud decisions, a row each: what was said of an attempt, and what its fraud was claimed to be since.

A row of `fraud_decisions` is published again when it is linked to its payment and whenever a word on fraud is told; the one that knows
most counts. Copies are equal in `occurred_at`, by which the window is parted too: so a question's days reach the table's
partitions. Test data is left out, and with it the vector, the history and the newcomer: they name whom the payment was of.
"""

COLUMNS = {
    "provider": "Through whom the payment goes.",
    "account": "Our account at the provider.",
    "payment_id": "The payment, as in the mart of payments; request:<id> of one that was asked about and never came.",
    "event_id": "What was decided on; with occurred_at the key of a row.",
    "occurred_at": "When the attempt was made: the partition. A question names a range of it.",
    "decided_at": "When it was decided.",
    "asked_before": "Whether it was asked before authorisation, so that the answer could stop it.",
    "currency": "ISO 4217, of amount.",
    "amount": "Minor units that were to be paid.",
    "outcome": "approve, challenge, review, decline.",
    "score": "The calibrated probability of fraud, 0 to 1; null where rules alone decided.",
    "fallback": "Why no model was asked: no_model, store_slow, store_down and so on; null where one was.",
    "first_reason": "The first of its reasons, lists before rules before the model: list:<what>, rule:<code>, fallback:<why>, model:<feature>.",
    "step": "What became of the attempt: authorized, captured, declined by the issuer; null while nobody has said.",
    "fraud_reported_at": "When fraud on the payment was first claimed; null where no claim stands. Young payments have none yet.",
    "country": "Of the card's issuer or of who is billed, ISO 3166-1 alpha-2.",
    "network": "The card's network.",
    "initiator": "customer, or merchant for a later charge under an agreement.",
    "product": "What is bought, in the caller's words.",
    "sca_exemption": "What the provider may ask the issuer for instead of authentication.",
    "explored": "It was let pass to learn from it, though the model would have stopped it.",
    "propensity": "How probable this outcome was where exploration had a say.",
    "model": "SHA-256 of the model that decided.",
    "rules_version": "Of the rules.",
    "policy_version": "Of thresholds and exemptions.",
    "book_revision": "Of the book of rules.",
}

DECISIONS_SQL = """SELECT provider, account, payment_id, event_id, occurred_at, decided_at, request_id IS NOT NULL AS asked_before,
  amount.currency AS currency, amount.minor AS amount, outcome, score, fallback,
  CASE WHEN ARRAY_LENGTH(reasons) > 0 THEN CONCAT(reasons[OFFSET(0)].source, ':', reasons[OFFSET(0)].code) END AS first_reason,
  step, fraud_reported_at, country, network, initiator, product, sca_exemption, COALESCE(explored, FALSE) AS explored, propensity,
  model_digest AS model, rules_version, policy_version, book_revision
FROM fraud_decisions
WHERE (COALESCE(livemode, TRUE) OR @test_data)
QUALIFY ROW_NUMBER() OVER (
  PARTITION BY event_id, occurred_at
  ORDER BY CASE WHEN linked_event_id IS NULL THEN 1 ELSE 0 END, COALESCE(claims_revision, 0) DESC, decided_at DESC
) = 1"""
