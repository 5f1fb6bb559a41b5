"""Requests to load the functions with: one realistic Stripe delivery, and the push of a payment event."""

import base64
import hashlib
import hmac
import json
from datetime import datetime

from shared.domain.codec import encode_event
from tests.benchmarks.servers import Request
from tests.benchmarks.worlds import SECRET
from tests.builders import a_dispute_event, a_payment_event


def stripe_delivery(at: datetime, unique: str) -> Request:
    """A `charge.succeeded` of about two kilobytes, signed as Stripe signs."""
    charge = {
        "id": f"ch_{unique}",
        "object": "charge",
        "amount": 1199,
        "amount_captured": 1199,
        "amount_refunded": 0,
        "billing_details": {"address": {"country": "SE", "postal_code": "11122"}, "email": "ana@music.example"},
        "captured": True,
        "created": int(at.timestamp()),
        "currency": "eur",
        "customer": f"cus_{unique[-6:]}",
        "livemode": False,
        "metadata": {"ip": "192.0.2.7", "device_id": f"device-{unique[-5:]}", "initiator": "customer"},
        "outcome": {"network_status": "approved_by_network", "risk_level": "normal", "type": "authorized"},
        "paid": True,
        "payment_intent": f"pi_{unique}",
        "payment_method_details": {
            "card": {
                "brand": "visa",
                "checks": {"cvc_check": "pass", "address_postal_code_check": "pass"},
                "country": "SE",
                "fingerprint": f"fp{unique[-8:]}",
                "funding": "debit",
                "last4": "4242",
                "network": "visa",
            },
            "type": "card",
        },
        "description": "Premium, monthly. " * 30,
        "refunded": False,
        "status": "succeeded",
    }
    event = {
        "id": f"evt_{unique}",
        "object": "event",
        "api_version": "2026-10-28",
        "created": int(at.timestamp()),
        "data": {"object": charge},
        "livemode": False,
        "type": "charge.succeeded",
    }
    body = json.dumps(event, indent=2).encode()
    seconds = str(int(at.timestamp()))
    signature = hmac.new(SECRET.encode(), f"{seconds}.".encode() + body, hashlib.sha256).hexdigest()
    headers = {"Stripe-Signature": f"t={seconds},v1={signature}", "Content-Type": "application/json"}
    return Request("/stripe", headers, body)


def pushed(data: bytes, **attributes: str) -> Request:
    push = {
        "message": {"data": base64.b64encode(data).decode(), "attributes": attributes, "messageId": "1"},
        "subscription": "projects/p/subscriptions/s",
    }
    return Request("/", {"Content-Type": "application/json"}, json.dumps(push).encode())


def pushed_payment(unique: str) -> Request:
    event = a_payment_event(payment_id=f"pi_{unique}", event_id=f"stripe:main:evt_{unique}")
    return pushed(encode_event(event), kind="payment", step=event.step.value)


def pushed_dispute(unique: str) -> Request:
    event = a_dispute_event(dispute_id=f"dp_{unique}", event_id=f"stripe:main:evt_{unique}")
    return pushed(encode_event(event), kind="dispute")
