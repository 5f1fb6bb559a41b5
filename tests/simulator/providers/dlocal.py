"""dLocal as our endpoint sees it: the object itself. It tells of no early fraud warnings."""

import hashlib
import hmac
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from shared.domain.events import DisputeStage
from shared.domain.money import Money
from tests.simulator.facts import Attempt, Fact, FactKind, Habits, SignedRequest, SimulatedDispute
from tests.simulator.providers.shaping import name, secret

Json = dict[str, Any]

_BRANDS = {"visa": "VI", "mastercard": "MC", "amex": "AE"}
_REJECTIONS = {
    "insufficient_funds": (302, "Insufficient amount."),
    "stolen_card": (313, "Card reported stolen."),
    "lost_card": (310, "Card reported lost."),
    "expired_card": (309, "Card expired."),
    "invalid_number": (314, "Invalid card number."),
    "fraudulent": (317, "Rejected due to high risk."),
}


class Simulator:
    name = "dlocal"
    habits = Habits()

    def __init__(self, seed: int, folder: Path) -> None:
        # The key id is the login; two logins are two accounts' keys.
        self._keys = {login: secret(seed, f"dlocal-{login}")[:45] for login in ("current", "next")}
        self._signing = "current"

    def environment(self) -> dict[str, str]:
        return {"WEBHOOK_DLOCAL": json.dumps({"keys": self._keys, "account": "simulated"})}

    def rotate(self) -> None:
        self._signing = "next"

    def payment_id(self, attempt: Attempt) -> str:
        return _id("D-4-", f"payment:{attempt.id}")

    def dispute_id(self, dispute: SimulatedDispute) -> str:
        return f"CHAR{name('chargeback', dispute.id, 8, '0123456789')}"

    def sign(self, body: bytes, at: datetime) -> SignedRequest:
        return self._signed(body, at, self._keys[self._signing])

    def forge(self, body: bytes, at: datetime) -> SignedRequest:
        return self._signed(body, at, "guessed_by_an_attacker")

    def _signed(self, body: bytes, at: datetime, key: str) -> SignedRequest:
        date = _stamp(at)
        mac = hmac.new(key.encode(), f"{self._signing}{date}".encode() + body, hashlib.sha256).hexdigest()
        headers = {
            "Content-Type": "application/json",
            "X-Login": self._signing,
            "X-Date": date,
            "Authorization": f"V2-HMAC-SHA256, Signature: {mac}",
        }
        return SignedRequest("/dlocal", headers, body)

    def requests(self, fact: Fact) -> list[bytes]:
        match fact.kind:
            case FactKind.AUTHORIZED:
                told = self._payment(fact, "AUTHORIZED", 600, "The payment was authorized.")
            case FactKind.CAPTURED:
                told = self._payment(fact, "PAID", 200, "The payment was paid.")
            case FactKind.DECLINED:
                code, detail = _REJECTIONS.get(fact.attempt.decline_code or "", (300, "The payment was rejected."))
                told = self._payment(fact, "REJECTED", code, detail)
            case FactKind.CANCELED:
                told = self._payment(fact, "CANCELLED", 400, "The payment was cancelled.")
            case FactKind.REFUNDED:
                told = self._refund(fact)
            case FactKind.FRAUD_WARNED:
                return []
            case FactKind.UNKNOWN_TYPE:
                told = self._payment(fact, "VERIFIED", 700, "The payment was verified.")
            case FactKind.DISPUTE_OPENED:
                inquiry = fact.dispute is not None and fact.dispute.stage is DisputeStage.INQUIRY
                told = self._chargeback(fact, *(("INQUIRY", 800) if inquiry else ("COMPLETED", 200)))
            case FactKind.DISPUTE_ANSWERED:
                told = self._chargeback(fact, "DISPUTE_RECEIVED", 101)
            case FactKind.DISPUTE_WON:
                told = self._chargeback(fact, "REVERSAL", 700)
            case FactKind.DISPUTE_LOST:
                told = self._chargeback(fact, "DISPUTE_LOST", 202)
        return [_json(told)]

    def _payment(self, fact: Fact, status: str, code: int, detail: str) -> Json:
        attempt = fact.attempt
        payer = {
            "name": "Simulated Customer",
            "email": attempt.email,
            "user_reference": attempt.customer,
            "ip": attempt.ip,
            "device_id": attempt.device,
        }
        told = {
            "id": self.payment_id(attempt),
            "amount": fact.amount or attempt.amount,
            "currency": attempt.amount.currency,
            "country": attempt.country,
            "payment_method_id": "CARD",
            "payment_method_type": "CARD",
            "payment_method_flow": "DIRECT",
            "payer": {key: value for key, value in payer.items() if value is not None},
            "card": {
                "holder_name": "Simulated Customer",
                "expiration_month": 8,
                "expiration_year": attempt.at.year + 3,
                "bin": attempt.card.bin,
                "last4": attempt.card.last4,
                "brand": _BRANDS.get(attempt.card.network, attempt.card.network),
                "card_id": f"CV-{name('card', attempt.card.token, 24)}",
                "type": attempt.card.funding.upper(),
            },
            "order_id": attempt.id,
            "status": status,
            "status_code": str(code),
            "status_detail": detail,
            "created_date": _stamp(fact.at),
            "notification_url": "https://payin.example/dlocal",
        }
        return told | ({"approved_date": _stamp(fact.at)} if status in ("AUTHORIZED", "PAID") else {})

    def _refund(self, fact: Fact) -> Json:
        return {
            "id": f"REF{name('refund', fact.refund_id or fact.attempt.id, 8, '0123456789')}",
            "payment_id": self.payment_id(fact.attempt),
            "amount": fact.amount or fact.attempt.amount,
            "currency": fact.attempt.amount.currency,
            "order_id": fact.attempt.id,
            "status": "SUCCESS",
            "status_code": 200,
            "status_detail": "The refund was paid.",
            "created_date": _stamp(fact.at),
        }

    def _chargeback(self, fact: Fact, status: str, code: int) -> Json:
        assert fact.dispute is not None, "a dispute fact names its dispute"
        return {
            "id": self.dispute_id(fact.dispute),
            "payment_id": self.payment_id(fact.attempt),
            "amount": fact.amount or fact.attempt.amount,
            "currency": fact.attempt.amount.currency,
            "order_id": fact.attempt.id,
            "reason_code": fact.dispute.reason_code,
            "chargeback_stage": fact.dispute.stage.value.upper(),
            "chargeback_date": _stamp(fact.at),
            "status": status,
            "status_code": code,
            "status_detail": "As told by the acquirer.",
            "created_date": _stamp(fact.at),
        }


def _id(prefix: str, of: str) -> str:
    return prefix + str(UUID(hex=hashlib.sha256(of.encode()).hexdigest()[:32]))


def _stamp(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")


def _json(told: Json) -> bytes:
    """Money as a plain decimal number, with its zeros, as dLocal writes it."""
    amount: Money = told["amount"]
    return json.dumps(told | {"amount": "$"}).replace('"$"', f"{amount.major():f}").encode()
