"""A disputed payment of a subscriber who used what was bought, as our records have it."""

from typing import Any

from shared.disputes.evidence import Known
from shared.domain import payments, usage
from shared.domain.events import PaymentStep
from shared.domain.evidence import Merchant, Purchase
from shared.domain.payments import Payment
from shared.domain.usage import (
    CancellationStep,
    CustomerMessage,
    PlanChanged,
    Played,
    PolicyAccepted,
    SignIn,
    Told,
    Usage,
)
from tests.builders import DAY, HOUR, MINUTE, NOON, a_dispute_event, a_payment_event, dispute_after, eur

MERCHANT = Merchant(
    name="Tonspur GmbH",
    descriptors={"": "TONSPUR*MUSIC"},
    product="Tonspur Premium, a music streaming subscription, billed monthly until canceled.",
    cancellation="One cancels under Account, Subscription, Cancel, with effect from the end of the paid month.",
    refunds="A month that has begun is not refunded once music was played in it.",
    sampled=True,
)


def a_sign_in(day: int, **fields: Any) -> SignIn:
    at = NOON + day * DAY - HOUR
    return SignIn(**{"first_at": at, "last_at": at, "ip": "203.0.113.7", "device_id": "dev_1", **fields})


def played(day: int, **fields: Any) -> Played:
    at = NOON + day * DAY
    return Played(
        **{"count": 12, "seconds": 2520, "first_at": at + HOUR, "last_at": at + 4 * HOUR + 7 * MINUTE, **fields}
    )


def told(**fields: Any) -> Told:
    """One message of a subscriber who signed in and played before and after the payment."""
    return Told(
        **{
            "message_id": "m1",
            "source": "player",
            "customer_id": "cus_1",
            "sign_ins": tuple(a_sign_in(day) for day in (-30, -2, 0, 3, 9)),
            "plays": tuple(played(day) for day in (-30, -2, 0, 1, 3, 9, 14)),
            "plans": (PlanChanged(at=NOON - 200 * DAY, plan="Premium"),),
            "policies": (PolicyAccepted(at=NOON - 200 * DAY, policy="terms", version="2026-03", digest="5e" * 32),),
            "cancellations": (CancellationStep(at=NOON + 12 * DAY, step="abandoned"),),
            "messages": (
                CustomerMessage(
                    at=NOON + 2 * DAY, from_customer=True, channel="email", text="How do I\nget\tmy music offline?"
                ),
            ),
            **fields,
        }
    )


def used(*messages: Told) -> Usage:
    found = Usage(customer_id="cus_1")
    for message in messages or (told(),):
        found = usage.record(found, message)
    return found


def a_payment(**fields: Any) -> Payment:
    """EUR 19.99, authorized at noon, with the cardholder authenticated, and captured a minute later."""
    payment = Payment(provider="stripe", payment_id="pi_1", account="acct_1")
    details = {"three_d_secure": "authenticated", "cvv_result": "match", **fields}
    for event in (
        a_payment_event(PaymentStep.AUTHORIZED, **details),
        a_payment_event(PaymentStep.CAPTURED, occurred_at=NOON + MINUTE, **details),
    ):
        payment = payments.record(payment, event)
    return payment


def a_purchase(month: int, **fields: Any) -> Purchase:
    """The same subscription, so many months before."""
    return Purchase(
        **{
            "provider": "stripe",
            "payment_id": f"pi_before_{month}",
            "at": NOON - month * 30 * DAY,
            "amount": eur(1999),
            "ip": "203.0.113.7",
            "device_id": "dev_1",
            "login": "cus_1",
            **fields,
        }
    )


PURCHASES = tuple(a_purchase(month) for month in range(1, 7))


def a_dispute(**fields: Any) -> Any:
    return dispute_after(a_dispute_event(**{"occurred_at": NOON + 20 * DAY, "respond_by": NOON + 40 * DAY, **fields}))


def known(**fields: Any) -> Known:
    """A fraud chargeback over Visa, against which everything speaks."""
    return Known(
        **{
            "payment": a_payment(),
            "dispute": a_dispute(),
            "usage": used(),
            "purchases": PURCHASES,
            "merchant": MERCHANT,
            **fields,
        }
    )
