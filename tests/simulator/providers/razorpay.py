"""Razorpay as our endpoint sees it: JSON events, an object's snapshot inside each."""

import hashlib
import hmac
import json
from pathlib import Path
from typing import Any

from shared.domain.events import DisputeReason, DisputeStage
from tests.simulator.facts import Attempt, Fact, FactKind, Habits, SignedRequest, SimulatedDispute
from tests.simulator.providers.shaping import SignsTheBody, in_minor, name, once, secret, unix

Json = dict[str, Any]

ACCOUNT = "acc_SimulatedMusic"
_NETWORKS = {"visa": "Visa", "mastercard": "MasterCard", "amex": "American Express"}
_ERRORS = {
    "insufficient_funds": "insufficient_funds",
    "stolen_card": "debit_instrument_blocked",
    "lost_card": "debit_instrument_blocked",
    "expired_card": "card_expired",
    "incorrect_cvc": "incorrect_cvv",
}
_REASONS = {
    DisputeReason.FRAUD: "fraudulent_transaction",
    DisputeReason.NOT_RECEIVED: "goods_or_services_not_received_or_partially_received",
    DisputeReason.NOT_AS_DESCRIBED: "goods_or_services_not_as_described",
    DisputeReason.DUPLICATE: "duplicate_processing",
    DisputeReason.CANCELED: "cancelled_recurring_transaction",
    DisputeReason.CREDIT_NOT_PROCESSED: "credit_not_processed",
    DisputeReason.OTHER: "chargeback",
}
_PHASES = {
    DisputeStage.INQUIRY: "retrieval",
    DisputeStage.CHARGEBACK: "chargeback",
    DisputeStage.PRE_ARBITRATION: "pre_arbitration",
    DisputeStage.ARBITRATION: "arbitration",
}


class Simulator(SignsTheBody):
    name = "razorpay"
    habits = Habits()

    def __init__(self, seed: int, folder: Path) -> None:
        self._keys = {key: secret(seed, f"razorpay-{key}") for key in ("current", "next")}

    def environment(self) -> dict[str, str]:
        return {"WEBHOOK_RAZORPAY": json.dumps({"keys": self._keys})}

    def payment_id(self, attempt: Attempt) -> str:
        return f"pay_{name('payment', attempt.id, 14)}"

    def dispute_id(self, dispute: SimulatedDispute) -> str:
        return f"disp_{name('dispute', dispute.id, 14)}"

    def _signed(self, body: bytes, key: str) -> SignedRequest:
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "Razorpay-Webhook/v1",
            "X-Razorpay-Event-Id": name("event", hashlib.sha256(body).hexdigest(), 14),
            "X-Razorpay-Signature": hmac.new(key.encode(), body, hashlib.sha256).hexdigest(),
        }
        return SignedRequest("/razorpay", headers, body)

    def requests(self, fact: Fact) -> list[bytes]:
        match fact.kind:
            case FactKind.AUTHORIZED:
                return [self._event(fact, "payment.authorized", payment=self._payment(fact, "authorized"))]
            case FactKind.CAPTURED:
                return [self._event(fact, "payment.captured", payment=self._payment(fact, "captured"))]
            case FactKind.DECLINED:
                return [self._event(fact, "payment.failed", payment=self._payment(fact, "failed"))]
            case FactKind.REFUNDED | FactKind.CANCELED:
                # What was never captured is refunded by Razorpay itself.
                status = "captured" if fact.kind is FactKind.REFUNDED else "refunded"
                told = {"refund": self._refund(fact), "payment": self._payment(fact, status)}
                return [self._event(fact, "refund.processed", **told)]
            case FactKind.FRAUD_WARNED:
                return []
            case FactKind.UNKNOWN_TYPE:
                downtime = {"id": f"down_{name('downtime', once(fact), 14)}", "entity": "payment.downtime"}
                return [self._event(fact, "payment.downtime.started", **{"payment.downtime": downtime})]
            case FactKind.DISPUTE_OPENED:
                return [self._disputed(fact, "created", "open")]
            case FactKind.DISPUTE_ANSWERED:
                return [self._disputed(fact, "under_review", "under_review")]
            case FactKind.DISPUTE_WON:
                return [self._disputed(fact, "won", "won")]
            case FactKind.DISPUTE_LOST:
                return [self._disputed(fact, "lost", "lost")]

    def _disputed(self, fact: Fact, event: str, status: str) -> bytes:
        payment, dispute = self._payment(fact, "captured"), self._dispute(fact, status)
        return self._event(fact, f"payment.dispute.{event}", payment=payment, dispute=dispute)

    def _event(self, fact: Fact, kind: str, **things: Json) -> bytes:
        event = {
            "entity": "event",
            "account_id": ACCOUNT,
            "event": kind,
            "contains": list(things),
            "payload": {of: {"entity": thing} for of, thing in things.items()},
            "created_at": unix(fact.at),
        }
        return json.dumps(event, separators=(",", ":")).encode()

    def _payment(self, fact: Fact, status: str) -> Json:
        attempt = fact.attempt
        money = attempt.amount if fact.kind is FactKind.REFUNDED else fact.amount or attempt.amount
        failed = status == "failed"
        notes = {
            "customer_id": attempt.customer,
            "device_id": attempt.device,
            "ip": attempt.ip,
            "initiator": attempt.initiator.value,
        }
        return {
            "id": self.payment_id(attempt),
            "entity": "payment",
            "amount": in_minor(money, {}),
            "currency": money.currency,
            "status": status,
            "order_id": f"order_{name('order', attempt.id, 14)}",
            "international": attempt.country != "IN",
            "method": "card",
            "amount_refunded": 0,
            "refund_status": None,
            "captured": status == "captured",
            "card_id": f"card_{name('card', attempt.id, 14)}",
            "card": {
                "id": f"card_{name('card', attempt.id, 14)}",
                "entity": "card",
                "last4": attempt.card.last4,
                "iin": attempt.card.bin,
                "network": _NETWORKS[attempt.card.network],
                "type": attempt.card.funding,
                "international": attempt.card.country != "IN",
            },
            "email": attempt.email,
            "notes": {key: value for key, value in notes.items() if value is not None},
            "error_code": "BAD_REQUEST_ERROR" if failed else None,
            "error_reason": _ERRORS.get(attempt.decline_code or "", "card_declined") if failed else None,
            "created_at": unix(attempt.at),
        }

    def _refund(self, fact: Fact) -> Json:
        money = fact.amount or fact.attempt.amount
        return {
            "id": f"rfnd_{name('refund', fact.refund_id or fact.attempt.id, 14)}",
            "entity": "refund",
            "amount": in_minor(money, {}),
            "currency": money.currency,
            "payment_id": self.payment_id(fact.attempt),
            "status": "processed",
            "speed_processed": "normal",
            "created_at": unix(fact.at),
        }

    def _dispute(self, fact: Fact, status: str) -> Json:
        assert fact.dispute is not None, "a dispute fact names its dispute"
        money = fact.amount or fact.attempt.amount
        due = fact.dispute.respond_by
        return {
            "id": self.dispute_id(fact.dispute),
            "entity": "dispute",
            "payment_id": self.payment_id(fact.attempt),
            "amount": in_minor(money, {}),
            "currency": money.currency,
            "amount_deducted": in_minor(money, {}) if status == "lost" else 0,
            "reason_code": _REASONS[fact.dispute.reason],
            "respond_by": unix(due) if due else None,
            "status": status,
            "phase": _PHASES[fact.dispute.stage],
            "created_at": unix(fact.at),
        }
