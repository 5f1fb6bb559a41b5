"""Mollie as our endpoint sees it: signed events around objects, classic pokes, and an API that tells of payments.

Chargebacks take the money and nobody can answer them; Mollie tells of no early fraud warnings.
"""

import hashlib
import hmac
import json
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from shared.domain.events import Initiator
from shared.domain.money import Money
from tests.simulator.facts import Attempt, Fact, FactKind, Habits, SignedRequest, SimulatedDispute
from tests.simulator.providers.shaping import ApiReply, SignsTheBody, name, not_found, once, secret, zulu

Json = dict[str, Any]

_NETWORKS = {"visa": "Visa", "mastercard": "Mastercard", "amex": "American Express"}
_FAILURES = {
    "insufficient_funds": "insufficient_funds",
    "stolen_card": "inactive_card",
    "lost_card": "inactive_card",
    "expired_card": "card_expired",
    "incorrect_cvc": "invalid_cvv",
}


class Simulator(SignsTheBody):
    name = "mollie"
    habits = Habits()

    def __init__(self, seed: int, folder: Path) -> None:
        self._keys = {key: secret(seed, f"mollie-{key}")[:32] for key in ("current", "next")}
        self._push = secret(seed, "mollie-push")[:32]
        self._payments: dict[str, Json] = {}
        self._led_to: dict[str, str] = {}

    def environment(self) -> dict[str, str]:
        return {"WEBHOOK_MOLLIE": json.dumps({"keys": {**self._keys, "push": self._push}})}

    def payment_id(self, attempt: Attempt) -> str:
        return f"tr_{name('payment', attempt.id, 10)}"

    def dispute_id(self, dispute: SimulatedDispute) -> str:
        return f"chb_{name('dispute', dispute.id, 10)}"

    def _signed(self, body: bytes, key: str) -> SignedRequest:
        mac = hmac.new(key.encode(), body, hashlib.sha256).hexdigest()
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "Mollie/2.0",
            "X-Mollie-Signature": f"sha256={mac}",
        }
        return SignedRequest("/mollie", headers, body)

    def pushes(self, fact: Fact) -> list[SignedRequest]:
        """What a classic webhook says of `fact`: that the payment changed."""
        if not self.requests(fact):
            return []
        return [self.push(self.payment_id(fact.attempt))]

    def push(self, own: str) -> SignedRequest:
        """The classic webhook of any object."""
        headers = {"Content-Type": "application/x-www-form-urlencoded", "User-Agent": "Mollie/1.0"}
        return SignedRequest(f"/mollie?{urlencode({'key': self._push})}", headers, urlencode({"id": own}).encode())

    def leading_to(self, attempt: Attempt) -> tuple[str, str, str]:
        """The order, the payment link and the sales invoice by which `attempt` was made."""
        found = (
            f"ord_{name('order', attempt.id, 6)}",
            f"pl_{name('link', attempt.id, 10)}",
            f"invoice_{name('invoice', attempt.id, 10)}",
        )
        self._led_to |= dict.fromkeys(found, self.payment_id(attempt))
        return found

    def answer(self, method: str, path: str, headers: dict[str, str]) -> ApiReply:
        """What the API says at `path`, such as /v2/payments/tr_1?embed=refunds,chargebacks."""
        if not headers.get("authorization", "").startswith("Bearer "):
            return ApiReply(401, b'{"status": 401, "title": "Unauthorized Request"}')
        _, _, kind, own, *rest = path.partition("?")[0].split("/")
        found: Json | None = self._payments.get(own) if (method, kind, rest) == ("GET", "payments", []) else None
        paid = self._payments.get(self._led_to.get(own, ""))
        if paid and method == "GET" and (kind, rest) in (("orders", []), ("payment-links", ["payments"])):
            found = {"_embedded": {"payments": [paid]}}
            found |= {"count": 1} if rest else {"resource": "order", "id": own, "mode": "test", "status": "paid"}
        if paid and method == "GET" and (kind, rest) == ("sales-invoices", []):
            details = {"source": "payment", "sourceReference": paid["id"]}
            found = {"resource": "sales-invoice", "id": own, "status": "paid", "paymentDetails": details}
        return ApiReply(200, json.dumps(found).encode()) if found else not_found()

    def requests(self, fact: Fact) -> list[bytes]:
        match fact.kind:
            case FactKind.AUTHORIZED:
                return [self._event(fact, "payment.authorized", self._payment(fact, "authorized", "authorizedAt"))]
            case FactKind.CAPTURED:
                return [self._event(fact, "payment.paid", self._payment(fact, "paid", "paidAt"))]
            case FactKind.DECLINED:
                return [self._event(fact, "payment.failed", self._payment(fact, "failed", "failedAt"))]
            case FactKind.CANCELED:
                return [self._event(fact, "payment.canceled", self._payment(fact, "canceled", "canceledAt"))]
            case FactKind.REFUNDED:
                refund = self._refund(fact)
                self._keep(fact, "refunds", refund)
                return [self._event(fact, "refund.refunded", refund)]
            case FactKind.DISPUTE_OPENED:
                chargeback = self._chargeback(fact, None)
                self._keep(fact, "chargebacks", chargeback)
                return [self._event(fact, "chargeback.received", chargeback)]
            case FactKind.DISPUTE_WON:
                chargeback = self._chargeback(fact, fact.at)
                self._keep(fact, "chargebacks", chargeback)
                return [self._event(fact, "chargeback.reversed", chargeback)]
            case FactKind.UNKNOWN_TYPE:
                profile = {"resource": "profile", "id": f"pfl_{name('profile', fact.attempt.id, 10)}", "mode": "test"}
                return [self._event(fact, "profile.verified", profile)]
            case FactKind.FRAUD_WARNED | FactKind.DISPUTE_ANSWERED | FactKind.DISPUTE_LOST:
                return []

    def _event(self, fact: Fact, kind: str, entity: Json) -> bytes:
        event = {
            "resource": "event",
            "id": f"event_{name('event', f'{kind}{once(fact)}', 16)}",
            "type": kind,
            "entityId": entity["id"],
            "createdAt": zulu(fact.at),
            "_embedded": {"entity": entity},
        }
        return json.dumps(event, separators=(",", ":")).encode()

    def _keep(self, fact: Fact, of: str, thing: Json) -> None:
        """Embed `thing` in the payment that the API tells of."""
        own = self.payment_id(fact.attempt)
        if own not in self._payments:
            self._payment(fact, "paid", "paidAt")
        embedded = self._payments[own]["_embedded"]
        embedded[of] = [*(one for one in embedded.get(of, []) if one["id"] != thing["id"]), thing]

    def _payment(self, fact: Fact, status: str, when: str) -> Json:
        attempt = fact.attempt
        own = self.payment_id(attempt)
        details = {
            "cardFingerprint": name("fingerprint", attempt.card.token, 24),
            "cardBin": attempt.card.bin,
            "cardNumber": attempt.card.last4,
            "cardLabel": _NETWORKS[attempt.card.network],
            "cardFunding": attempt.card.funding,
            "cardCountryCode": attempt.card.country,
            "cardSecurity": "3dsecure" if attempt.three_d_secure else "normal",
        }
        if status == "failed":
            details["failureReason"] = _FAILURES.get(attempt.decline_code or "", "card_declined")
        told = {
            "resource": "payment",
            "id": own,
            "mode": "test",
            "createdAt": zulu(attempt.at),
            "amount": _money(attempt.amount),
            "description": attempt.plan,
            "method": "creditcard",
            "metadata": {
                "customer_id": attempt.customer,
                "order_id": attempt.id,
                **({"device_id": attempt.device} if attempt.device else {}),
                **({"ip": attempt.ip} if attempt.ip else {}),
            },
            "status": status,
            when: zulu(fact.at),
            "details": details,
            "countryCode": attempt.country,
            "billingAddress": {"country": attempt.country, "email": attempt.email},
            "profileId": "pfl_SIMULATED",
            "customerId": f"cst_{name('customer', attempt.customer, 10)}",
            "sequenceType": "recurring" if attempt.initiator is Initiator.MERCHANT else "first",
        }
        if status == "paid":
            told["amountCaptured"] = _money(attempt.amount)
        # What the webhook tells stays as it was; the API's payment goes on changing.
        self._payments[own] = {**told, "_embedded": self._payments.get(own, {}).get("_embedded", {})}
        return told

    def _refund(self, fact: Fact) -> Json:
        return {
            "resource": "refund",
            "id": f"re_{name('refund', fact.refund_id or fact.attempt.id, 10)}",
            "mode": "test",
            "amount": _money(fact.amount or fact.attempt.amount),
            "status": "refunded",
            "paymentId": self.payment_id(fact.attempt),
            "createdAt": zulu(fact.at),
        }

    def _chargeback(self, fact: Fact, reversed_at: datetime | None) -> Json:
        assert fact.dispute is not None, "a dispute fact names its dispute"
        return {
            "resource": "chargeback",
            "id": self.dispute_id(fact.dispute),
            "amount": _money(fact.amount or fact.attempt.amount),
            "reason": None,
            "paymentId": self.payment_id(fact.attempt),
            "createdAt": zulu(fact.at),
            "reversedAt": zulu(reversed_at) if reversed_at else None,
        }


def _money(money: Money) -> Json:
    return {"currency": money.currency, "value": f"{money.major():f}"}
