"""Events that are right in every field a test does not mention. Shared by all suites; each answers a frozen event."""

import itertools
from datetime import UTC, datetime, timedelta
from typing import Any

from shared.disputes import lifecycle
from shared.domain.disputes import Dispute
from shared.domain.events import (
    Card,
    DisputeChanged,
    DisputeReason,
    DisputeStage,
    DisputeStatus,
    Finder,
    FraudFound,
    FraudWarned,
    PaymentAssessed,
    PaymentChanged,
    PaymentStep,
    PayoutChanged,
    ResourceChanged,
    ReviewChanged,
)
from shared.domain.money import Money

NOON = datetime(2026, 11, 2, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)

_numbers = itertools.count(1)


def eur(minor: int) -> Money:
    return Money(minor, "EUR")


def an_event_id(provider: str = "stripe", account: str = "acct_1") -> str:
    """A new event id on every call, in the one shape that ids have."""
    return f"{provider}:{account}:evt_{next(_numbers)}"


def a_card(**fields: Any) -> Card:
    return Card(
        **{
            "fingerprint": "fp_1",
            "bin": "424242",
            "last4": "4242",
            "network": "visa",
            "funding": "credit",
            "country": "DE",
            **fields,
        }
    )


def _envelope(fields: dict[str, Any]) -> dict[str, Any]:
    provider, account = fields.get("provider", "stripe"), fields.get("account", "acct_1")
    return {
        "event_id": fields.get("event_id") or an_event_id(provider, account),
        "provider": provider,
        "account": account,
        "occurred_at": NOON,
        "delivery_id": f"{provider}:{account}:delivery_1",
    }


def _payer() -> dict[str, Any]:
    return {
        "amount": eur(1999),
        "method": "card",
        "card": a_card(),
        "customer_id": "cus_1",
        "device_id": "dev_1",
        "ip": "203.0.113.7",
        "email_hash": "3f" * 32,
        "email_domain": "example.com",
        "billing_country": "DE",
    }


def a_payment_event(step: PaymentStep = PaymentStep.CAPTURED, **fields: Any) -> PaymentChanged:
    """EUR 19.99 captured at noon on card fp_1 by customer cus_1, unless told otherwise."""
    return PaymentChanged(
        **{
            **_envelope(fields),
            "payment_id": "pi_1",
            "step": step,
            **_payer(),
            **fields,
        }
    )


def an_assessment(**fields: Any) -> PaymentAssessed:
    """EUR 19.99 about to be paid at noon, by the same card and customer as `a_payment_event`, asked as req_1."""
    request_id = fields.get("request_id", "req_1")
    return PaymentAssessed(
        **{
            "event_id": f"stripe:main:assessment:{request_id}",
            "provider": "stripe",
            "account": "main",
            "occurred_at": NOON,
            "livemode": True,
            "request_id": request_id,
            "payment_id": f"request:{request_id}",
            "merchant_reference": "order-1",
            **_payer(),
            **fields,
        }
    )


def a_refund_event(**fields: Any) -> PaymentChanged:
    """A refund of EUR 19.99 a day later, with its own reference."""
    return a_payment_event(**{"step": PaymentStep.REFUNDED, "occurred_at": NOON + DAY, "reference": "re_1", **fields})


def a_dispute_event(**fields: Any) -> DisputeChanged:
    """A fraud chargeback of EUR 19.99 on pi_1 that needs a response within 20 days, unless told otherwise."""
    return DisputeChanged(
        **{
            **_envelope(fields),
            "dispute_id": "dp_1",
            "payment_id": "pi_1",
            "stage": DisputeStage.CHARGEBACK,
            "status": DisputeStatus.NEEDS_RESPONSE,
            "amount": eur(1999),
            "reason": DisputeReason.FRAUD,
            "reason_code": "10.4",
            "network": "visa",
            "respond_by": NOON + 20 * DAY,
            "respond_by_text": "1795348800",
            **fields,
        }
    )


def a_fraud_warning(**fields: Any) -> FraudWarned:
    """An issuer's report of fraud on pi_1, EUR 19.99."""
    return FraudWarned(
        **{
            **_envelope(fields),
            "warning_id": "issfr_1",
            "payment_id": "pi_1",
            "amount": eur(1999),
            "fraud_type": "unauthorized_use_of_card",
            "network": "visa",
            "actionable": True,
            **fields,
        }
    )


def a_finding(**fields: Any) -> FraudFound:
    """A refund of pi_1 was called fraud, unless somebody else is told."""
    return FraudFound(**{**_envelope(fields), "payment_id": "pi_1", "found_by": Finder.REFUND, **fields})


def a_review_event(**fields: Any) -> ReviewChanged:
    """The provider opens its manual review of pi_1."""
    return ReviewChanged(**{**_envelope(fields), "payment_id": "pi_1", "open": True, **fields})


def a_payout_event(**fields: Any) -> PayoutChanged:
    return PayoutChanged(
        **{**_envelope(fields), "payout_id": "po_1", "status": "paid", "amount": eur(100_000), **fields}
    )


def a_resource_event(**fields: Any) -> ResourceChanged:
    """A poke about pi_1."""
    return ResourceChanged(**{**_envelope(fields), "resource": "payment", "resource_id": "pi_1", **fields})


def dispute_after(*events: DisputeChanged) -> Dispute:
    """A dispute of which `events` were told."""
    dispute = Dispute(provider="stripe", dispute_id="dp_1", account="acct_1")
    for event in events:
        dispute = lifecycle.record(dispute, event, NOON)
    return dispute
