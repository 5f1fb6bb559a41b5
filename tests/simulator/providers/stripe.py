"""Stripe as our endpoint sees it: snapshot events of API version 2025-09-30, each signed at its delivery.

A destination for thin events gets a thin one beside each, and the API tells of both and of the objects.
"""

import hashlib
import hmac
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from shared.domain.events import DisputeReason, DisputeStage
from shared.domain.money import Money
from tests.simulator.facts import Attempt, Fact, FactKind, Habits, SignedRequest, SimulatedDispute
from tests.simulator.providers.shaping import ApiReply, in_minor, name, not_found, once, secret, unix, zulu

Json = dict[str, Any]

SENT_WITH = {"MGA": 0, "ISK": 2, "UGX": 2}
_REASONS = {
    DisputeReason.FRAUD: "fraudulent",
    DisputeReason.NOT_RECEIVED: "product_not_received",
    DisputeReason.NOT_AS_DESCRIBED: "product_unacceptable",
    DisputeReason.DUPLICATE: "duplicate",
    DisputeReason.CANCELED: "subscription_canceled",
    DisputeReason.CREDIT_NOT_PROCESSED: "credit_not_processed",
    DisputeReason.OTHER: "general",
}


class Simulator:
    name = "stripe"
    habits = Habits()

    def __init__(self, seed: int, folder: Path) -> None:
        self._secrets = {key: f"whsec_{secret(seed, f'stripe-{key}')[:32]}" for key in ("current", "next")}
        self._signing = "current"
        self._things: dict[str, Json] = {}

    def environment(self) -> dict[str, str]:
        return {"WEBHOOK_STRIPE": json.dumps({"keys": self._secrets, "account": "acct_simulated"})}

    def rotate(self) -> None:
        self._signing = "next"

    def payment_id(self, attempt: Attempt) -> str:
        return f"pi_{name('pi', attempt.id, 24)}"

    def dispute_id(self, dispute: SimulatedDispute) -> str:
        return f"du_{name('du', dispute.id, 24)}"

    def sign(self, body: bytes, at: datetime) -> SignedRequest:
        return self._signed(body, at, self._secrets[self._signing])

    def forge(self, body: bytes, at: datetime) -> SignedRequest:
        return self._signed(body, at, "whsec_guessed_by_an_attacker_00000000")

    def _signed(self, body: bytes, at: datetime, key: str) -> SignedRequest:
        mac = hmac.new(key.encode(), f"{unix(at)}.".encode() + body, hashlib.sha256).hexdigest()
        headers = {
            "Content-Type": "application/json; charset=utf-8",
            "User-Agent": "Stripe/1.0 (+https://stripe.com/docs/webhooks)",
            "Stripe-Signature": f"t={unix(at)},v1={mac},v0={'0' * 64}",
        }
        return SignedRequest("/stripe", headers, body)

    def pushes(self, fact: Fact) -> list[SignedRequest]:
        """The thin events beside the snapshots, and each again as the API versions before 2026-09-30 send it."""
        found = []
        for body in self.requests(fact):
            thin = self.thin(json.loads(body)["id"])
            bare = {key: value for key, value in thin.items() if key != "snapshot_event"}
            found += [self.sign(json.dumps(one).encode(), fact.at) for one in (thin, bare)]
        return found

    def thin(self, snapshot: str) -> Json:
        """The thin event that belongs to the snapshot event of that id."""
        event = self._things[f"/v1/events/{snapshot}"]
        subject = event["data"]["object"]
        own = f"evt_{name('thin', snapshot, 38)}"
        found: Json = {
            "id": own,
            "object": "v2.core.event",
            "type": f"v1.{event['type']}",
            "created": zulu(datetime.fromtimestamp(event["created"], UTC)),
            "livemode": False,
            "context": None,
            "related_object": {"id": subject["id"], "type": subject["object"], "url": self._place(subject)},
            "snapshot_event": snapshot,
            "reason": None,
        }
        self._things[f"/v2/core/events/{own}"] = {**found, "changes": None, "data": {}}
        return found

    def _place(self, subject: Json) -> str:
        """Where the API has an object."""
        plural = subject["object"].replace(".", "/").replace("checkout/session", "checkout/sessions")
        return f"/v1/{plural if plural.endswith('s') else plural + 's'}/{subject['id']}"

    def answer(self, method: str, path: str, headers: dict[str, str]) -> ApiReply:
        """What the API says at `path`."""
        if not headers.get("authorization", "").startswith("Bearer ") or not headers.get("stripe-version"):
            return ApiReply(401, b'{"error": {"type": "invalid_request_error"}}')
        found = self._things.get(path) if method == "GET" else None
        return ApiReply(200, json.dumps(found).encode()) if found else not_found()

    def requests(self, fact: Fact) -> list[bytes]:
        match fact.kind:
            case FactKind.AUTHORIZED:
                told = [("charge.succeeded", self._charge(fact))]
            case FactKind.CAPTURED:
                told = [("charge.captured", self._charge(fact)), ("payment_intent.succeeded", self._intent(fact))]
            case FactKind.DECLINED:
                told = [("charge.failed", self._charge(fact))]
            case FactKind.CANCELED:
                told = [("payment_intent.canceled", self._intent(fact))]
            case FactKind.REFUNDED:
                told = [("refund.created", self._refund(fact))]
            case FactKind.FRAUD_WARNED:
                told = [("radar.early_fraud_warning.created", self._warning(fact))]
            case FactKind.UNKNOWN_TYPE:
                told = [("customer.updated", {"id": self._customer(fact.attempt), "object": "customer"})]
            case FactKind.DISPUTE_OPENED:
                told = [("charge.dispute.created", self._dispute(fact, "needs_response"))]
                if fact.dispute and fact.dispute.stage is not DisputeStage.INQUIRY:
                    told.append(("charge.dispute.funds_withdrawn", self._dispute(fact, "needs_response", moves=-1)))
            case FactKind.DISPUTE_ANSWERED:
                told = [("charge.dispute.updated", self._dispute(fact, "under_review"))]
            case FactKind.DISPUTE_WON:
                told = [("charge.dispute.closed", self._dispute(fact, "won"))]
                if fact.dispute and fact.dispute.stage is not DisputeStage.INQUIRY:
                    told.append(("charge.dispute.funds_reinstated", self._dispute(fact, "won", moves=1)))
            case FactKind.DISPUTE_LOST:
                told = [("charge.dispute.closed", self._dispute(fact, "lost"))]
        return [self._event(fact, kind, subject) for kind, subject in told]

    def _event(self, fact: Fact, kind: str, subject: Json) -> bytes:
        event = {
            "id": f"evt_{name(kind, once(fact), 24)}",
            "object": "event",
            "api_version": "2025-09-30.clover",
            "created": unix(fact.at),
            "data": {"object": subject},
            "livemode": False,
            "pending_webhooks": 1,
            "request": {"id": None, "idempotency_key": None},
            "type": kind,
        }
        self._things |= {f"/v1/events/{event['id']}": event, self._place(subject): subject}
        # Stripe indents its event bodies by two spaces.
        return json.dumps(event, indent=2).encode()

    def _customer(self, attempt: Attempt) -> str:
        return f"cus_{name('cus', attempt.customer, 14)}"

    def _charge_id(self, attempt: Attempt) -> str:
        return f"ch_{name('ch', attempt.id, 24)}"

    def _metadata(self, attempt: Attempt) -> dict[str, str]:
        told = {
            "customer_id": attempt.customer,
            "device_id": attempt.device,
            "ip": attempt.ip,
            "initiator": attempt.initiator.value,
            "order_id": attempt.id,
            "plan": attempt.plan,
        }
        return {key: value for key, value in told.items() if value is not None}

    def _amount(self, fact: Fact) -> int:
        return in_minor(fact.amount or fact.attempt.amount, SENT_WITH)

    def _charge(self, fact: Fact) -> Json:
        attempt = fact.attempt
        captured, declined = fact.kind is FactKind.CAPTURED, fact.kind is FactKind.DECLINED
        whole = in_minor(attempt.amount, SENT_WITH)
        check = {True: "pass", False: "fail", None: None}[attempt.cvv_matches]
        return {
            "id": self._charge_id(attempt),
            "object": "charge",
            "amount": whole,
            "amount_captured": self._amount(fact) if captured else 0,
            "amount_refunded": 0,
            "billing_details": {
                "address": {"city": None, "country": attempt.country, "line1": None, "postal_code": None},
                "email": attempt.email,
                "name": None,
                "phone": None,
            },
            "captured": captured,
            "created": unix(attempt.at),
            "currency": attempt.amount.currency.lower(),
            "customer": self._customer(attempt),
            "description": f"Subscription, {attempt.plan}",
            "disputed": False,
            "failure_code": "card_declined" if declined else None,
            "failure_message": "Your card was declined." if declined else None,
            "livemode": False,
            "metadata": self._metadata(attempt),
            "outcome": {
                "network_decline_code": "05" if declined else None,
                "network_status": "declined_by_network" if declined else "approved_by_network",
                "reason": attempt.decline_code,
                "risk_level": "normal",
                "risk_score": int(name("risk", attempt.id, 2, "0123456789")),
                "type": "issuer_declined" if declined else "authorized",
            },
            "paid": not declined,
            "payment_intent": self.payment_id(attempt),
            "payment_method": f"pm_{name('pm', attempt.card.token, 24)}",
            "payment_method_details": {
                "card": {
                    "amount_authorized": whole,
                    "brand": attempt.card.network,
                    "checks": {"address_line1_check": None, "address_postal_code_check": None, "cvc_check": check},
                    "country": attempt.card.country,
                    "exp_month": 8,
                    "exp_year": attempt.at.year + 3,
                    "fingerprint": name("fingerprint", attempt.card.token, 16),
                    "funding": attempt.card.funding,
                    "iin": attempt.card.bin,
                    "last4": attempt.card.last4,
                    "network": attempt.card.network,
                    "network_transaction_id": name("network", attempt.id, 15),
                    "three_d_secure": {"result": "authenticated", "version": "2.2.0"}
                    if attempt.three_d_secure
                    else None,
                    "wallet": None,
                },
                "type": "card",
            },
            "receipt_email": None,
            "refunded": False,
            "status": "failed" if declined else "succeeded",
        }

    def _intent(self, fact: Fact) -> Json:
        attempt = fact.attempt
        captured = fact.kind is FactKind.CAPTURED
        return {
            "id": self.payment_id(attempt),
            "object": "payment_intent",
            "amount": in_minor(attempt.amount, SENT_WITH),
            "amount_capturable": 0,
            "amount_received": self._amount(fact) if captured else 0,
            "cancellation_reason": None if captured else "abandoned",
            "capture_method": "manual",
            "created": unix(attempt.at),
            "currency": attempt.amount.currency.lower(),
            "customer": self._customer(attempt),
            "last_payment_error": None,
            "latest_charge": self._charge_id(attempt),
            "livemode": False,
            "metadata": self._metadata(attempt),
            "payment_method": f"pm_{name('pm', attempt.card.token, 24)}",
            "payment_method_types": ["card"],
            "receipt_email": attempt.email,
            "status": "succeeded" if captured else "canceled",
        }

    def _refund(self, fact: Fact) -> Json:
        return {
            "id": f"re_{name('re', fact.refund_id or fact.attempt.id, 24)}",
            "object": "refund",
            "amount": self._amount(fact),
            "charge": self._charge_id(fact.attempt),
            "created": unix(fact.at),
            "currency": fact.attempt.amount.currency.lower(),
            "destination_details": {"card": {"reference_status": "pending", "type": "refund"}, "type": "card"},
            "metadata": {},
            "payment_intent": self.payment_id(fact.attempt),
            "reason": "requested_by_customer",
            "status": "succeeded",
        }

    def _warning(self, fact: Fact) -> Json:
        return {
            "id": f"issfr_{name('issfr', fact.attempt.id, 24)}",
            "object": "radar.early_fraud_warning",
            "actionable": True,
            "charge": self._charge_id(fact.attempt),
            "created": unix(fact.at),
            "fraud_type": "unauthorized_use_of_card",
            "livemode": False,
            "payment_intent": self.payment_id(fact.attempt),
        }

    def _dispute(self, fact: Fact, status: str, moves: int = 0) -> Json:
        assert fact.dispute is not None, "a dispute fact names its dispute"
        amount: Money = fact.amount or fact.attempt.amount
        inquiry = fact.dispute.stage is DisputeStage.INQUIRY
        appeal = fact.dispute.stage in (DisputeStage.PRE_ARBITRATION, DisputeStage.ARBITRATION)
        if inquiry:
            status = {"needs_response": "warning_needs_response", "under_review": "warning_under_review"}.get(
                status, "warning_closed"
            )
        elif appeal and status in ("needs_response", "under_review"):
            status = f"appeal_{status}"
        due = fact.dispute.respond_by
        minor = in_minor(amount, SENT_WITH)
        # What was withdrawn, with the fee for it, stays in the list when it is reinstated.
        entries = [
            {
                "id": f"txn_{name(f'txn{sign}', fact.dispute.id, 24)}",
                "object": "balance_transaction",
                "amount": sign * minor,
                "currency": amount.currency.lower(),
                "fee": fee,
                "net": sign * minor - fee,
                "type": "adjustment",
            }
            for sign, fee in ((-1, 1500), (1, 0))
            if sign <= moves != 0
        ]
        return {
            "id": self.dispute_id(fact.dispute),
            "object": "dispute",
            "amount": minor,
            "balance_transactions": entries,
            "charge": self._charge_id(fact.attempt),
            "created": unix(fact.at),
            "currency": amount.currency.lower(),
            "evidence": {
                "customer_email_address": fact.attempt.email,
                "customer_purchase_ip": fact.attempt.ip,
                "uncategorized_text": None,
            },
            "evidence_details": {
                "due_by": unix(due) if due else None,
                "has_evidence": "review" in status,
                "past_due": False,
                "submission_count": 1 if "review" in status else 0,
                "submission_method": "manual" if "review" in status else "not_submitted",
            },
            "is_charge_refundable": inquiry,
            "livemode": False,
            "metadata": {},
            "payment_intent": self.payment_id(fact.attempt),
            "payment_method_details": {
                "card": {
                    "brand": fact.attempt.card.network,
                    "case_type": "inquiry" if inquiry else "chargeback",
                    "network": fact.attempt.card.network,
                    "network_reason_code": fact.dispute.reason_code,
                },
                "type": "card",
            },
            "reason": _REASONS[fact.dispute.reason],
            "status": status,
        }
