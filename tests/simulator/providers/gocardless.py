"""GoCardless as our endpoint sees it: events that name objects, and an API that tells how much they are.

Direct Debit: no cards and no authorizations, chargebacks that nobody can answer, and no early fraud warnings.
"""

import hashlib
import hmac
import json
from pathlib import Path
from typing import Any

from shared.domain.events import DisputeReason
from tests.simulator.facts import Attempt, Fact, FactKind, Habits, SignedRequest, SimulatedDispute
from tests.simulator.providers.shaping import ApiReply, SignsTheBody, in_minor, name, not_found, once, secret, zulu

Json = dict[str, Any]

_LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZ0123456789"
_CAUSES = {
    "insufficient_funds": "insufficient_funds",
    "stolen_card": "bank_account_closed",
    "lost_card": "bank_account_closed",
    "expired_card": "mandate_expired",
}
_REASONS = {DisputeReason.FRAUD: "authorisation_disputed", DisputeReason.CANCELED: "mandate_cancelled"}


class Simulator(SignsTheBody):
    name = "gocardless"
    habits = Habits(takes_answers=False)

    def __init__(self, seed: int, folder: Path) -> None:
        self._keys = {key: secret(seed, f"gocardless-{key}")[:40] for key in ("current", "next")}
        self._objects: dict[str, Json] = {}
        self._disputed: dict[str, str] = {}

    def environment(self) -> dict[str, str]:
        return {"WEBHOOK_GOCARDLESS": json.dumps({"keys": self._keys})}

    def payment_id(self, attempt: Attempt) -> str:
        return f"PM{name('payment', attempt.id, 12, _LETTERS)}"

    def dispute_id(self, dispute: SimulatedDispute) -> str:
        """A chargeback goes by its payment; `requests` was told of it before anybody asks."""
        return self._disputed[dispute.id]

    def _signed(self, body: bytes, key: str) -> SignedRequest:
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "gocardless-webhook-service/1.1",
            "Webhook-Signature": hmac.new(key.encode(), body, hashlib.sha256).hexdigest(),
        }
        return SignedRequest("/gocardless", headers, body)

    def answer(self, method: str, path: str, headers: dict[str, str]) -> ApiReply:
        """What the API says at `path`, such as /payments/PM123."""
        if not headers.get("authorization", "").startswith("Bearer ") or "gocardless-version" not in headers:
            return ApiReply(401, b'{"error": {"code": 401, "type": "invalid_api_usage"}}')
        resource, _, own = path.strip("/").partition("/")
        found = self._objects.get(own) if method == "GET" else None
        return ApiReply(200, json.dumps({resource: found}).encode()) if found else not_found()

    def requests(self, fact: Fact) -> list[bytes]:
        if fact.dispute is not None:
            self._disputed[fact.dispute.id] = self.payment_id(fact.attempt)
        match fact.kind:
            case FactKind.CAPTURED:
                return [self._payment(fact, "confirmed")]
            case FactKind.DECLINED:
                cause = _CAUSES.get(fact.attempt.decline_code or "", "refer_to_payer")
                return [self._payment(fact, "failed", cause=cause, reason_code="AC04", will_attempt_retry=False)]
            case FactKind.CANCELED:
                return [self._payment(fact, "cancelled")]
            case FactKind.REFUNDED:
                return [self._refund(fact)]
            case FactKind.DISPUTE_LOST:
                assert fact.dispute is not None, "a dispute fact names its dispute"
                cause = _REASONS.get(fact.dispute.reason, "refer_to_payer")
                return [self._payment(fact, "charged_back", cause=cause, reason_code="MD06")]
            case FactKind.DISPUTE_WON:
                return [self._payment(fact, "chargeback_cancelled")]
            case FactKind.UNKNOWN_TYPE:
                mandate = f"MD{name('mandate', fact.attempt.customer, 12, _LETTERS)}"
                return [self._event(fact, "mandates", "created", {"mandate": mandate}, {"cause": "mandate_created"})]
            case FactKind.AUTHORIZED | FactKind.FRAUD_WARNED | FactKind.DISPUTE_OPENED | FactKind.DISPUTE_ANSWERED:
                return []

    def _event(self, fact: Fact, resource: str, action: str, links: Json, details: Json) -> bytes:
        own = name("event", f"{resource}{action}{once(fact)}", 12, _LETTERS)
        event = {
            "id": f"EV{own}",
            "created_at": zulu(fact.at),
            "resource_type": resource,
            "action": action,
            "links": links,
            "details": {"origin": "bank", "scheme": "sepa_core", **details},
            "metadata": {},
        }
        return json.dumps({"events": [event], "meta": {"webhook_id": f"WB{own}"}}).encode()

    def _payment(self, fact: Fact, action: str, **details: Any) -> bytes:
        attempt, own = fact.attempt, self.payment_id(fact.attempt)
        self._objects[own] = {
            "id": own,
            "created_at": zulu(attempt.at),
            "amount": in_minor(attempt.amount, {}),
            "currency": attempt.amount.currency,
            "status": "confirmed" if action == "chargeback_cancelled" else action,
            "reference": attempt.id,
            "scheme": "sepa_core",
            "metadata": {"customer_id": attempt.customer},
            "links": {"mandate": f"MD{name('mandate', attempt.customer, 12, _LETTERS)}", "creditor": "CRSIMULATED"},
        }
        return self._event(fact, "payments", action, {"payment": own}, details)

    def _refund(self, fact: Fact) -> bytes:
        money = fact.amount or fact.attempt.amount
        own = f"RF{name('refund', fact.refund_id or fact.attempt.id, 12, _LETTERS)}"
        self._objects[own] = {
            "id": own,
            "created_at": zulu(fact.at),
            "amount": in_minor(money, {}),
            "currency": money.currency,
            "reference": fact.attempt.id,
            "status": "paid",
            "links": {"payment": self.payment_id(fact.attempt)},
        }
        return self._event(fact, "refunds", "paid", {"refund": own}, {"cause": "refund_paid"})
