"""Mercado Pago as our endpoint sees it: signed pokes, and an API that tells what payments and chargebacks are.

Its fraud alerts are about shipping, which a subscription business does not do: none are simulated.
"""

import hashlib
import hmac
import json
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

from shared.domain.events import DisputeReason
from tests.simulator.facts import Attempt, Fact, FactKind, Habits, SignedRequest, SimulatedDispute
from tests.simulator.providers.shaping import ApiReply, name, not_found, once, secret, unix, zulu

Json = dict[str, Any]

_NETWORKS = {"mastercard": "master"}
_DETAILS = {
    "insufficient_funds": "cc_rejected_insufficient_amount",
    "stolen_card": "cc_rejected_blacklist",
    "lost_card": "cc_rejected_blacklist",
    "expired_card": "cc_rejected_bad_filled_date",
    "incorrect_cvc": "cc_rejected_bad_filled_security_code",
}


class Simulator:
    name = "mercadopago"
    habits = Habits()

    def __init__(self, seed: int, folder: Path) -> None:
        self._keys = {key: secret(seed, f"mercadopago-{key}") for key in ("current", "next")}
        self._signing = "current"
        self._objects: dict[str, Json] = {}

    def environment(self) -> dict[str, str]:
        return {"WEBHOOK_MERCADOPAGO": json.dumps({"keys": self._keys})}

    def rotate(self) -> None:
        self._signing = "next"

    def payment_id(self, attempt: Attempt) -> str:
        return f"1{name('payment', attempt.id, 10, '0123456789')}"

    def dispute_id(self, dispute: SimulatedDispute) -> str:
        return f"2340{name('dispute', dispute.id, 14, '0123456789')}"

    def sign(self, body: bytes, at: datetime) -> SignedRequest:
        """A retry has the same request id and a new time."""
        return self._signed(body, at, self._keys[self._signing])

    def forge(self, body: bytes, at: datetime) -> SignedRequest:
        return self._signed(body, at, "guessed_by_an_attacker")

    def _signed(self, body: bytes, at: datetime, key: str) -> SignedRequest:
        told = json.loads(body if body.endswith(b"}}") else body + b"}")  # a broken one goes to the same address
        own = told["data"]["id"]
        request_id = str(UUID(hex=hashlib.sha256(body).hexdigest()[:32]))
        stamp = unix(at)
        mac = hmac.new(key.encode(), f"id:{own};request-id:{request_id};ts:{stamp};".encode(), hashlib.sha256)
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "MercadoPago WebHook v1.0 payment",
            "X-Request-Id": request_id,
            "X-Signature": f"ts={stamp},v1={mac.hexdigest()}",
        }
        return SignedRequest(f"/mercadopago?data.id={own}&type={told['type']}", headers, body)

    def answer(self, method: str, path: str, headers: dict[str, str]) -> ApiReply:
        """What the API says at `path`, such as /v1/payments/123."""
        if not headers.get("authorization", "").startswith("Bearer "):
            return ApiReply(401, b'{"message": "invalid access token", "status": 401}')
        found = self._objects.get(path) if method == "GET" else None
        return ApiReply(200, json.dumps(found, default=float).encode()) if found else not_found()

    @staticmethod
    def broken(body: bytes) -> bytes:
        """Of the body the signature needs the object's id alone, which is also in the address; the end is missing."""
        return body[:-1]

    def requests(self, fact: Fact) -> list[bytes]:
        match fact.kind:
            case FactKind.AUTHORIZED:
                return [self._payment(fact, "authorized", "pending_capture")]
            case FactKind.CAPTURED:
                return [self._payment(fact, "approved", "accredited")]
            case FactKind.DECLINED:
                detail = _DETAILS.get(fact.attempt.decline_code or "", "cc_rejected_other_reason")
                return [self._payment(fact, "rejected", detail)]
            case FactKind.CANCELED:
                return [self._payment(fact, "cancelled", "expired")]
            case FactKind.REFUNDED:
                return [self._refunded(fact)]
            case FactKind.DISPUTE_OPENED:
                return [self._chargeback(fact, None, "not_supplied")]
            case FactKind.DISPUTE_ANSWERED:
                return [self._chargeback(fact, None, "review_pending")]
            case FactKind.DISPUTE_WON:
                return [self._chargeback(fact, True, "valid")]
            case FactKind.DISPUTE_LOST:
                return [self._chargeback(fact, False, "invalid")]
            case FactKind.UNKNOWN_TYPE:
                return [self._poke(fact, "mp-connect", "application.authorized", name("application", once(fact), 10))]
            case FactKind.FRAUD_WARNED:
                return []

    def _poke(self, fact: Fact, topic: str, action: str, own: str) -> bytes:
        poke = {
            "id": int(name("notification", once(fact), 11, "123456789")),
            "live_mode": False,
            "type": topic,
            "date_created": zulu(fact.at),
            "user_id": 44444,
            "api_version": "v1",
            "action": action,
            "data": {"id": own},
        }
        return json.dumps(poke, separators=(",", ":")).encode()

    def _payment(self, fact: Fact, status: str, detail: str) -> bytes:
        attempt, own = fact.attempt, self.payment_id(fact.attempt)
        told: Json = {
            "id": int(own),
            "date_created": zulu(attempt.at),
            "date_approved": zulu(fact.at) if status == "approved" else None,
            "date_last_updated": zulu(fact.at),
            "payment_method_id": _NETWORKS.get(attempt.card.network, attempt.card.network),
            "payment_type_id": f"{attempt.card.funding}_card",
            "status": status,
            "status_detail": detail,
            "currency_id": attempt.amount.currency,
            "transaction_amount": _number(attempt.amount.major()),
            "transaction_amount_refunded": 0,
            "captured": status == "approved",
            "external_reference": attempt.id,
            "live_mode": False,
            "metadata": {
                "customer_id": attempt.customer,
                "device_id": attempt.device,
                "ip": attempt.ip,
                "initiator": attempt.initiator.value,
            },
            "payer": {"id": "44445", "email": attempt.email, "identification": {"type": "CPF", "number": None}},
            "card": {"first_six_digits": attempt.card.bin, "last_four_digits": attempt.card.last4},
            "refunds": [],
        }
        self._objects[f"/v1/payments/{own}"] = told
        self._objects |= self._leading_to(own)
        return self._poke(fact, "payment", "payment.updated", own)

    @staticmethod
    def _leading_to(own: str) -> dict[str, Json]:
        """What else of Mercado Pago's leads to a payment, by paths: its id with another first digit, or with letters."""
        payment = {"id": int(own), "status": "approved"}
        charge = {"id": int(f"6{own}"), "preapproval_id": f"pre{own}", "status": "processed", "payment": payment}
        return {
            f"/v1/orders/ORD{own}": {
                "id": f"ORD{own}",
                "status": "processed",
                "transactions": {"payments": [{"id": f"PAY{own}", "status": "processed", "reference_id": own}]},
            },
            f"/merchant_orders/5{own}": {"id": int(f"5{own}"), "status": "closed", "payments": [payment]},
            f"/authorized_payments/6{own}": charge,
            f"/authorized_payments/search?preapproval_id=pre{own}": {"paging": {"total": 1}, "results": [charge]},
            f"/point/integration-api/payment-intents/int{own}": {"id": f"int{own}", "payment": {"id": int(own)}},
        }

    def _refunded(self, fact: Fact) -> bytes:
        path = f"/v1/payments/{self.payment_id(fact.attempt)}"
        if path not in self._objects:
            self._payment(fact, "approved", "accredited")
        money = fact.amount or fact.attempt.amount
        refund = {
            "id": int(f"1{name('refund', fact.refund_id or fact.attempt.id, 9, '0123456789')}"),
            "payment_id": int(self.payment_id(fact.attempt)),
            "amount": _number(money.major()),
            "date_created": zulu(fact.at),
            "status": "approved",
        }
        self._objects[path]["refunds"] = [refund]
        self._objects[path]["transaction_amount_refunded"] = _number(money.major())
        return self._poke(fact, "payment", "payment.updated", self.payment_id(fact.attempt))

    def _chargeback(self, fact: Fact, covered: bool | None, papers: str) -> bytes:
        assert fact.dispute is not None, "a dispute fact names its dispute"
        own = self.dispute_id(fact.dispute)
        money = fact.amount or fact.attempt.amount
        due = fact.dispute.respond_by
        self._objects[f"/v1/chargebacks/{own}"] = {
            "id": own,
            "payments": [int(self.payment_id(fact.attempt))],
            "currency": money.currency,
            "amount": _number(money.major()),
            "reason": "fraud" if fact.dispute.reason is DisputeReason.FRAUD else "general",
            "coverage_applied": covered,
            "coverage_elegible": True,
            "documentation_required": papers == "not_supplied",
            "documentation_status": papers,
            "documentation": [],
            "date_documentation_deadline": zulu(due) if due else None,
            "date_created": zulu(fact.at),
            "date_last_updated": zulu(fact.at),
            "live_mode": False,
        }
        return self._poke(fact, "topic_chargebacks_wh", "chargebacks.updated", own)


def _number(amount: Decimal) -> int | float:
    """As JSON writes it: a plain number."""
    return int(amount) if amount == amount.to_integral_value() else float(amount)
