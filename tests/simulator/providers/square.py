"""Square as our endpoint sees it: JSON events, and an API that tells what the order behind one came to. It tells of no
early fraud warnings."""

import base64
import hashlib
import hmac
import json
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from shared.domain.events import DisputeReason, DisputeStage, Initiator
from shared.domain.money import Money
from tests.simulator.facts import Attempt, Fact, FactKind, Habits, SignedRequest, SimulatedDispute
from tests.simulator.providers.shaping import ApiReply, name, not_found, once, secret, zulu

Json = dict[str, Any]

URL = "https://payin.example/square"
MERCHANT = "6SIMULATEDMUSIC"
_BRANDS = {"amex": "AMERICAN_EXPRESS"}
_ERRORS = {
    "insufficient_funds": "INSUFFICIENT_FUNDS",
    "stolen_card": "INVALID_ACCOUNT",
    "lost_card": "INVALID_ACCOUNT",
    "expired_card": "CARD_EXPIRED",
    "incorrect_cvc": "CVV_FAILURE",
    "invalid_number": "PAN_FAILURE",
}
_REASONS = {
    DisputeReason.FRAUD: "NO_KNOWLEDGE",
    DisputeReason.NOT_RECEIVED: "NOT_RECEIVED",
    DisputeReason.NOT_AS_DESCRIBED: "NOT_AS_DESCRIBED",
    DisputeReason.DUPLICATE: "DUPLICATE",
    DisputeReason.CANCELED: "CANCELLED",
    DisputeReason.CREDIT_NOT_PROCESSED: "CUSTOMER_REQUESTS_CREDIT",
    DisputeReason.OTHER: "AMOUNT_DIFFERS",
}
_INQUIRY = {
    "EVIDENCE_REQUIRED": "INQUIRY_EVIDENCE_REQUIRED",
    "PROCESSING": "INQUIRY_PROCESSING",
    "WON": "INQUIRY_CLOSED",
    "LOST": "INQUIRY_CLOSED",
}


class Simulator:
    name = "square"
    habits = Habits()

    def __init__(self, seed: int, folder: Path) -> None:
        self._keys = {key: secret(seed, f"square-{key}")[:22] for key in ("current", "next")}
        self._signing = "current"
        self._things: dict[str, Json] = {}

    def environment(self) -> dict[str, str]:
        return {"WEBHOOK_SQUARE": json.dumps({"keys": self._keys, "url": URL})}

    def rotate(self) -> None:
        self._signing = "next"

    def payment_id(self, attempt: Attempt) -> str:
        return f"{name('payment', attempt.id, 26)}ZY"

    def dispute_id(self, dispute: SimulatedDispute) -> str:
        return name("dispute", dispute.id, 21)

    def sign(self, body: bytes, at: datetime) -> SignedRequest:
        """The signature does not depend on `at`: a retry is the same request."""
        return self._signed(body, self._keys[self._signing])

    def forge(self, body: bytes, at: datetime) -> SignedRequest:
        return self._signed(body, "guessed_by_an_attacker")

    def _signed(self, body: bytes, key: str) -> SignedRequest:
        mac = hmac.new(key.encode(), URL.encode() + body, hashlib.sha256).digest()
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "Square Connect v2",
            "Square-Environment": "Sandbox",
            "X-Square-Hmacsha256-Signature": base64.b64encode(mac).decode(),
        }
        return SignedRequest("/square", headers, body)

    def pushes(self, fact: Fact) -> list[SignedRequest]:
        """Beside what says all, the order of it."""
        if not self.requests(fact) or fact.kind is FactKind.UNKNOWN_TYPE:
            return []
        order = self._order(fact)
        return [self.sign(self._event(fact, "order.updated", "order_updated", order), fact.at)]

    def answer(self, method: str, path: str, headers: dict[str, str]) -> ApiReply:
        """What the API says at `path`."""
        if not headers.get("authorization", "").startswith("Bearer ") or not headers.get("square-version"):
            return ApiReply(401, b'{"errors": [{"category": "AUTHENTICATION_ERROR", "code": "UNAUTHORIZED"}]}')
        found = self._things.get(path) if method == "GET" else None
        return ApiReply(200, json.dumps(found).encode()) if found else not_found()

    def _order(self, fact: Fact) -> Json:
        """As its event names it; the API has it with its payment and what was refunded of that."""
        own, payment = name("order", fact.attempt.id, 22), self.payment_id(fact.attempt)
        status = {FactKind.AUTHORIZED: "APPROVED", FactKind.DECLINED: "FAILED", FactKind.CANCELED: "CANCELED"}
        refunds = [self._refund(fact)] if fact.kind is FactKind.REFUNDED else []
        paid = self._payment(replace(fact, amount=None), status.get(fact.kind, "COMPLETED"))
        tender = {"id": payment, "type": "CARD", "transaction_id": own}
        self._things |= {
            f"/v2/orders/{own}": {"order": {"id": own, "state": "OPEN", "version": 2, "tenders": [tender]}},
            f"/v2/payments/{payment}": {"payment": {**paid, "refund_ids": [refund["id"] for refund in refunds]}},
            **{f"/v2/refunds/{refund['id']}": {"refund": refund} for refund in refunds},
        }
        return {"order_id": own, "state": "OPEN", "version": 2, "updated_at": zulu(fact.at)}

    def requests(self, fact: Fact) -> list[bytes]:
        match fact.kind:
            case FactKind.AUTHORIZED:
                return [self._event(fact, "payment.created", "payment", self._payment(fact, "APPROVED"))]
            case FactKind.CAPTURED:
                return [self._event(fact, "payment.updated", "payment", self._payment(fact, "COMPLETED"))]
            case FactKind.DECLINED:
                return [self._event(fact, "payment.created", "payment", self._payment(fact, "FAILED"))]
            case FactKind.CANCELED:
                return [self._event(fact, "payment.updated", "payment", self._payment(fact, "CANCELED"))]
            case FactKind.REFUNDED:
                return [self._event(fact, "refund.updated", "refund", self._refund(fact))]
            case FactKind.FRAUD_WARNED:
                return []
            case FactKind.UNKNOWN_TYPE:
                order = {"order_id": name("order", fact.attempt.id, 22), "state": "OPEN", "version": 1}
                return [self._event(fact, "order.fulfillment.updated", "order_fulfillment_updated", order)]
            case FactKind.DISPUTE_OPENED:
                return [self._event(fact, "dispute.created", "dispute", self._dispute(fact, "EVIDENCE_REQUIRED", 1))]
            case FactKind.DISPUTE_ANSWERED:
                return [self._event(fact, "dispute.state.updated", "dispute", self._dispute(fact, "PROCESSING", 3))]
            case FactKind.DISPUTE_WON:
                return [self._event(fact, "dispute.state.updated", "dispute", self._dispute(fact, "WON", 4))]
            case FactKind.DISPUTE_LOST:
                return [self._event(fact, "dispute.state.updated", "dispute", self._dispute(fact, "LOST", 4))]

    def _event(self, fact: Fact, kind: str, of: str, thing: Json) -> bytes:
        event = {
            "merchant_id": MERCHANT,
            "type": kind,
            "event_id": str(UUID(hex=hashlib.sha256(f"{kind}{once(fact)}".encode()).hexdigest()[:32])),
            "created_at": zulu(fact.at),
            "data": {"type": of, "id": str(thing.get("id") or thing.get("order_id")), "object": {of: thing}},
        }
        return json.dumps(event, separators=(",", ":")).encode()

    def _money(self, money: Money) -> Json:
        return {"amount": money.minor, "currency": money.currency}

    def _payment(self, fact: Fact, status: str) -> Json:
        attempt = fact.attempt
        money = self._money(fact.amount or attempt.amount)
        check = {True: "CVV_ACCEPTED", False: "CVV_REJECTED", None: "CVV_NOT_CHECKED"}[attempt.cvv_matches]
        card = {
            "bin": attempt.card.bin,
            "card_brand": _BRANDS.get(attempt.card.network, attempt.card.network.upper()),
            "card_type": "DEBIT" if attempt.card.funding == "debit" else "CREDIT",
            "exp_month": 8,
            "exp_year": attempt.at.year + 3,
            "fingerprint": f"sq-1-{name('fingerprint', attempt.card.token, 60)}",
            "last_4": attempt.card.last4,
            "prepaid_type": "PREPAID" if attempt.card.funding == "prepaid" else "NOT_PREPAID",
        }
        error = {
            "category": "PAYMENT_METHOD_ERROR",
            "code": _ERRORS.get(attempt.decline_code or "", "GENERIC_DECLINE"),
            "detail": "Authorization error.",
        }
        return {
            "id": self.payment_id(attempt),
            "amount_money": money,
            "total_money": money,
            "billing_address": {"country": attempt.country},
            "buyer_email_address": attempt.email,
            "card_details": {
                "avs_status": "AVS_NOT_CHECKED",
                "card": card,
                "cvv_status": check,
                "entry_method": "KEYED" if attempt.initiator is Initiator.CUSTOMER else "ON_FILE",
                "errors": [error] if status == "FAILED" else [],
                "status": {"APPROVED": "AUTHORIZED", "COMPLETED": "CAPTURED", "CANCELED": "VOIDED"}.get(status, status),
            },
            "created_at": zulu(attempt.at),
            "customer_details": {"customer_initiated": attempt.initiator is Initiator.CUSTOMER},
            "customer_id": attempt.customer,
            "location_id": "LSIMULATED",
            "order_id": name("order", attempt.id, 22),
            "reference_id": attempt.id,
            "risk_evaluation": {"created_at": zulu(attempt.at), "risk_level": "NORMAL"},
            "source_type": "CARD",
            "status": status,
            "updated_at": zulu(fact.at),
        }

    def _refund(self, fact: Fact) -> Json:
        return {
            "id": f"{self.payment_id(fact.attempt)}_{name('refund', fact.refund_id or fact.attempt.id, 40)}",
            "amount_money": self._money(fact.amount or fact.attempt.amount),
            "created_at": zulu(fact.at),
            "location_id": "LSIMULATED",
            "payment_id": self.payment_id(fact.attempt),
            "status": "COMPLETED",
            "updated_at": zulu(fact.at),
        }

    def _dispute(self, fact: Fact, state: str, version: int) -> Json:
        assert fact.dispute is not None, "a dispute fact names its dispute"
        due = fact.dispute.respond_by
        told = {
            "id": self.dispute_id(fact.dispute),
            "amount_money": self._money(fact.amount or fact.attempt.amount),
            "brand_dispute_id": name("brand", fact.dispute.id, 22),
            "card_brand": _BRANDS.get(fact.attempt.card.network, fact.attempt.card.network.upper()),
            "created_at": zulu(fact.at),
            "disputed_payment": {"payment_id": self.payment_id(fact.attempt)},
            "due_at": zulu(due) if due else None,
            "location_id": "LSIMULATED",
            "reason": _REASONS[fact.dispute.reason],
            "state": _INQUIRY[state] if fact.dispute.stage is DisputeStage.INQUIRY else state,
            "updated_at": zulu(fact.at),
            "version": version,
        }
        return {key: value for key, value in told.items() if value is not None}
