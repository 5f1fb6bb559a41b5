"""Checkout.com as our endpoint sees it: workflow webhooks. It tells of no early fraud warnings."""

import hashlib
import hmac
import json
from pathlib import Path
from typing import Any

from shared.domain.events import DisputeReason, DisputeStage
from tests.simulator.facts import Attempt, Fact, FactKind, Habits, SignedRequest, SimulatedDispute
from tests.simulator.providers.shaping import SignsTheBody, in_minor, name, once, secret, zulu

Json = dict[str, Any]

SENT_WITH = {"CLP": 2}
_LETTERS = "abcdefghijkmnpqrstuvwxyz234567"
_API = "https://simulated.api.sandbox.checkout.com"
_RESPONSES = {
    "insufficient_funds": "20051",
    "stolen_card": "30043",
    "lost_card": "30041",
    "expired_card": "30033",
    "invalid_number": "20014",
    "fraudulent": "20059",
}
_CATEGORIES = {
    DisputeReason.FRAUD: "fraudulent",
    DisputeReason.NOT_RECEIVED: "product_service_not_received",
    DisputeReason.NOT_AS_DESCRIBED: "not_as_described",
    DisputeReason.DUPLICATE: "duplicate",
    DisputeReason.CANCELED: "canceled_recurring",
    DisputeReason.CREDIT_NOT_PROCESSED: "credit_not_issued",
    DisputeReason.OTHER: "general",
}
_DISPUTES = {
    FactKind.DISPUTE_OPENED: "dispute_evidence_required",
    FactKind.DISPUTE_ANSWERED: "dispute_evidence_submitted",
    FactKind.DISPUTE_WON: "dispute_won",
    FactKind.DISPUTE_LOST: "dispute_lost",
}
_ARBITRATIONS = {
    FactKind.DISPUTE_ANSWERED: "dispute_arbitration_evidence_submitted",
    FactKind.DISPUTE_WON: "dispute_arbitration_won",
    FactKind.DISPUTE_LOST: "dispute_arbitration_lost",
}


class Simulator(SignsTheBody):
    name = "checkout"
    habits = Habits()

    def __init__(self, seed: int, folder: Path) -> None:
        self._keys = {key: secret(seed, f"checkout-{key}")[:36] for key in ("current", "next")}

    def environment(self) -> dict[str, str]:
        return {"WEBHOOK_CHECKOUT": json.dumps({"keys": self._keys, "account": "ent_simulated"})}

    def payment_id(self, attempt: Attempt) -> str:
        return f"pay_{name('payment', attempt.id, 26, _LETTERS)}"

    def dispute_id(self, dispute: SimulatedDispute) -> str:
        return f"dsp_{name('dispute', dispute.id, 22, _LETTERS)}"

    def _signed(self, body: bytes, key: str) -> SignedRequest:
        headers = {
            "Content-Type": "application/json; charset=utf-8",
            "User-Agent": "checkout.com-workflows/1.0",
            "Cko-Signature": hmac.new(key.encode(), body, hashlib.sha256).hexdigest(),
        }
        return SignedRequest("/checkout", headers, body)

    def requests(self, fact: Fact) -> list[bytes]:
        match fact.kind:
            case FactKind.AUTHORIZED:
                return [self._event(fact, "payment_approved", self._payment(fact, "10000"))]
            case FactKind.CAPTURED:
                return [self._event(fact, "payment_captured", self._action(fact, "capture"))]
            case FactKind.DECLINED:
                code = _RESPONSES.get(fact.attempt.decline_code or "", "20005")
                return [self._event(fact, "payment_declined", self._payment(fact, code))]
            case FactKind.CANCELED:
                return [self._event(fact, "payment_voided", self._action(fact, "void"))]
            case FactKind.REFUNDED:
                return [self._event(fact, "payment_refunded", self._action(fact, f"refund-{fact.refund_id}"))]
            case FactKind.FRAUD_WARNED:
                return []
            case FactKind.UNKNOWN_TYPE:
                return [self._event(fact, "card_verified", {"id": self.payment_id(fact.attempt)})]
            case (
                FactKind.DISPUTE_OPENED | FactKind.DISPUTE_ANSWERED | FactKind.DISPUTE_WON | FactKind.DISPUTE_LOST
            ) as kind:
                late = fact.dispute is not None and fact.dispute.stage is DisputeStage.ARBITRATION
                told = _ARBITRATIONS.get(kind, _DISPUTES[kind]) if late else _DISPUTES[kind]
                return [self._event(fact, told, self._dispute(fact))]

    def _event(self, fact: Fact, kind: str, data: Json) -> bytes:
        event_id = f"evt_{name(kind, once(fact), 26, _LETTERS)}"
        event = {
            "id": event_id,
            "type": kind,
            # Older payment events have their time under another name.
            "created_on" if kind == "payment_voided" else "timestamp": zulu(fact.at).replace("Z", ".0000000Z"),
            "version": "1.0.29",
            "data": data,
            "action_invocations": [],
            "_links": {"self": {"href": f"{_API}/workflows/events/{event_id}"}},
        }
        return json.dumps(event, indent=2).encode()

    def _action(self, fact: Fact, action: str) -> Json:
        attempt = fact.attempt
        money = fact.amount or attempt.amount
        told = {"customer_id": attempt.customer, "device_id": attempt.device, "initiator": attempt.initiator.value}
        return {
            "id": self.payment_id(attempt),
            "action_id": f"act_{name('action', f'{attempt.id}-{action}', 26, _LETTERS)}",
            "reference": attempt.id,
            "amount": in_minor(money, SENT_WITH),
            "currency": money.currency,
            "metadata": {key: value for key, value in told.items() if value is not None},
            "processed_on": zulu(fact.at),
            "processing": {"acquirer_transaction_id": name("acquirer", attempt.id, 20)},
            "response_code": "10000",
            "response_summary": "Approved",
        }

    def _payment(self, fact: Fact, code: str) -> Json:
        attempt = fact.attempt
        secure = {"version": "2.2.0", "authentication_response": "Y", "flow_type": "challenged"}
        return self._action(fact, "authorization") | {
            "auth_code": name("auth", attempt.id, 6),
            "customer": {"id": f"cus_{name('customer', attempt.customer, 26, _LETTERS)}", "email": attempt.email},
            "payment_ip": attempt.ip,
            "payment_type": "Regular",
            "response_code": code,
            "response_summary": "Approved" if code == "10000" else "Declined",
            "risk": {"flagged": False, "score": int(name("risk", attempt.id, 2, "0123456789"))},
            "scheme_id": name("network", attempt.id, 15),
            "source": {
                "id": f"src_{name('source', attempt.card.token, 26, _LETTERS)}",
                "type": "card",
                "billing_address": {"country": attempt.country},
                "expiry_month": 8,
                "expiry_year": attempt.at.year + 3,
                "scheme": attempt.card.network.capitalize(),
                "last_4": attempt.card.last4,
                "fingerprint": name("fingerprint", attempt.card.token, 64, "0123456789ABCDEF"),
                "bin": attempt.card.bin,
                "card_type": attempt.card.funding.upper(),
                "issuer_country": attempt.card.country,
                "cvv_check": {True: "Y", False: "N", None: None}[attempt.cvv_matches],
            },
            **({"3ds": secure} if attempt.three_d_secure else {}),
        }

    def _dispute(self, fact: Fact) -> Json:
        assert fact.dispute is not None, "a dispute fact names its dispute"
        money = fact.amount or fact.attempt.amount
        due = fact.dispute.respond_by if fact.kind is FactKind.DISPUTE_OPENED else None
        told = {
            "id": self.dispute_id(fact.dispute),
            "date": zulu(fact.at),
            "category": _CATEGORIES[fact.dispute.reason],
            "amount": in_minor(money, SENT_WITH),
            "currency": money.currency,
            "reason_code": fact.dispute.reason_code,
            "payment_id": self.payment_id(fact.attempt),
            "payment_reference": fact.attempt.id,
            "payment_method": fact.attempt.card.network.upper(),
            "entity_id": "ent_simulated",
            "evidence_required_by": zulu(due) if due else None,
        }
        return {key: value for key, value in told.items() if value is not None}
