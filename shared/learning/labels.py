"""What a payment turned out to be, and when one may say so.

Fraud is what an issuer reported or a cardholder claimed as such, and nobody disproved (`shared.fraud.claims`: a dispute
that was won for good or withdrawn leaves a genuine payment, and what was settled to prevent one does not). No news becomes good news only with maturity: a younger payment is unknown, and leaving the
unknown ones in as genuine would teach the model that recent fraud is fine. Declined payments never get a label.
"""

from datetime import datetime, timedelta

from shared.domain.events import PaymentStep

LABELED_SQL = f"step <> '{PaymentStep.DECLINED}' AND at_us <= @matured_until"
"""Condition on a row of the point-in-time query: it has a label that counts."""

FRAUD_SQL = "fraud_reported_at IS NOT NULL"


def matured_until(now: datetime, maturity_days: float) -> datetime:
    """The youngest instant of a payment whose label counts."""
    return now - timedelta(days=maturity_days)
