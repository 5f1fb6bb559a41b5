"""Klarna as our endpoint sees it: notifications of the Klarna Network, which know neither captures nor refunds, and
pushes of its older APIs with the orders behind them, which do."""

import hashlib
import hmac
import json
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from shared.domain.events import DisputeReason, DisputeStage
from tests.simulator.facts import Attempt, Fact, FactKind, Habits, SignedRequest, SimulatedDispute
from tests.simulator.providers.shaping import ApiReply, SignsTheBody, in_minor, name, not_found, once, secret, zulu

Json = dict[str, Any]

_REASONS = {
    DisputeReason.FRAUD: "PURCHASE_UNAUTHORIZED",
    DisputeReason.NOT_RECEIVED: "PRODUCTS_OR_SERVICES_NOT_RECEIVED",
    DisputeReason.NOT_AS_DESCRIBED: "PRODUCTS_DEFECTIVE_OR_NOT_AS_DESCRIBED",
    DisputeReason.DUPLICATE: "ALREADY_PAID",
    DisputeReason.CANCELED: "INCORRECT_AMOUNT",
    DisputeReason.CREDIT_NOT_PROCESSED: "REFUND_NOT_PROCESSED",
    DisputeReason.OTHER: "INCORRECT_AMOUNT",
}


class Simulator(SignsTheBody):
    name = "klarna"
    habits = Habits()

    def __init__(self, seed: int, folder: Path) -> None:
        # The key id is Klarna's signing key id.
        self._keys = {key: secret(seed, f"klarna-{key}") for key in ("current", "next")}
        self._push = secret(seed, "klarna-push")
        self._orders: dict[str, Json] = {}

    def environment(self) -> dict[str, str]:
        keys = {**self._keys, "push": self._push}
        return {"WEBHOOK_KLARNA": json.dumps({"keys": keys, "account": "simulated"})}

    def payment_id(self, attempt: Attempt) -> str:
        return f"krn:payment:eu1:request:{_uuid(f'request:{attempt.id}')}"

    def transaction_id(self, attempt: Attempt) -> str:
        return f"krn:payment:eu1:transaction:{_uuid(f'transaction:{attempt.id}')}"

    def dispute_id(self, dispute: SimulatedDispute) -> str:
        return f"krn:network:eu1:test:payment:dispute:{name('dispute', dispute.id, 12)}"

    def _signed(self, body: bytes, key: str) -> SignedRequest:
        headers = {
            "Content-Type": "application/json",
            "Klarna-Signature": hmac.new(key.encode(), body, hashlib.sha256).hexdigest(),
            "Klarna-Signing-Key-Id": self._signing,
        }
        return SignedRequest("/klarna", headers, body)

    def pushes(self, fact: Fact) -> list[SignedRequest]:
        """What the older APIs say of `fact`: that the order changed."""
        if fact.kind not in (FactKind.AUTHORIZED, FactKind.CAPTURED, FactKind.REFUNDED):
            return []
        attempt, money = fact.attempt, fact.amount or fact.attempt.amount
        own = _uuid(f"order:{attempt.id}")
        order: Json = {
            "order_id": own,
            "status": "AUTHORIZED" if fact.kind is FactKind.AUTHORIZED else "CAPTURED",
            "fraud_status": "ACCEPTED",
            "order_amount": in_minor(attempt.amount, {}),
            "purchase_currency": attempt.amount.currency,
            "created_at": zulu(attempt.at),
            "expires_at": zulu(attempt.at + timedelta(days=28)),
            "billing_address": {"country": attempt.country, "email": attempt.email},
            "merchant_reference1": attempt.id,
            "captures": [],
            "refunds": [],
        }
        if fact.kind is not FactKind.AUTHORIZED:
            captured = {"captured_amount": in_minor(attempt.amount, {}), "captured_at": zulu(attempt.at)}
            order["captures"] = [{"capture_id": _uuid(f"capture:{attempt.id}"), **captured}]
        if fact.kind is FactKind.REFUNDED:
            order["refunds"] = [{"refunded_amount": in_minor(money, {}), "refunded_at": zulu(fact.at)}]
        self._orders[f"/ordermanagement/v1/orders/{own}"] = order
        return [SignedRequest(f"/klarna?{urlencode({'key': self._push, 'klarna_order_id': own})}", {}, b"")]

    def answer(self, method: str, path: str, headers: dict[str, str]) -> ApiReply:
        """What the API says at `path`, such as /ordermanagement/v1/orders/1."""
        if not headers.get("authorization", "").startswith("Basic "):
            return ApiReply(401, b"")
        found = self._orders.get(path) if method == "GET" else None
        return ApiReply(200, json.dumps(found).encode()) if found else not_found()

    def requests(self, fact: Fact) -> list[bytes]:
        request, dispute = "payment.request.state-change", "payment.dispute.state-change"
        match fact.kind:
            case FactKind.AUTHORIZED:
                return [self._event(fact, f"{request}.authorized", self._request(fact, "AUTHORIZED"))]
            case FactKind.DECLINED:
                return [self._event(fact, f"{request}.declined", self._request(fact, "DECLINED"))]
            case FactKind.CANCELED:
                return [self._event(fact, f"{request}.canceled", self._request(fact, "CANCELED"))]
            case FactKind.CAPTURED | FactKind.REFUNDED | FactKind.FRAUD_WARNED:
                return []
            case FactKind.UNKNOWN_TYPE:
                return [self._event(fact, "customer.token.state-change.revoked", {"customer_token_id": "krn:1"})]
            case FactKind.DISPUTE_OPENED:
                late = fact.dispute is not None and fact.dispute.stage in (
                    DisputeStage.PRE_ARBITRATION,
                    DisputeStage.ARBITRATION,
                )
                state = "pre-arbitration" if late else "initiated"
                return [self._event(fact, f"{dispute}.{state}", self._dispute(fact, state))]
            case FactKind.DISPUTE_ANSWERED:
                late = fact.dispute is not None and fact.dispute.stage is DisputeStage.ARBITRATION
                state = "arbitration" if late else "representment"
                return [self._event(fact, f"{dispute}.{state}", self._dispute(fact, state))]
            case FactKind.DISPUTE_WON | FactKind.DISPUTE_LOST:
                return [self._event(fact, f"{dispute}.closed", self._dispute(fact, "closed"))]

    def _event(self, fact: Fact, kind: str, payload: Json) -> bytes:
        metadata = {
            "event_type": kind,
            "event_id": _uuid(f"{kind}{once(fact)}"),
            "event_version": "v2",
            "correlation_id": _uuid(f"correlation{kind}{once(fact)}"),
            "occurred_at": zulu(fact.at),
            "subject_account_id": "krn:partner:global:account:test:SIMULATED",
            "recipient_account_id": "krn:partner:global:account:test:SIMULATED",
            "product_instance_id": "krn:partner:product:payment:simulated",
            "webhook_id": "krn:partner:global:notification:webhook:simulated",
            "merchant_id": "K000000",
            "live": False,
        }
        # Disputes repeat some of it outside.
        outside = {key: metadata[key] for key in ("event_type", "event_id", "occurred_at")}
        told = outside if "dispute" in kind else {}
        return json.dumps({**told, "metadata": metadata, "payload": payload}).encode()

    def _request(self, fact: Fact, state: str) -> Json:
        attempt = fact.attempt
        money = fact.amount or attempt.amount
        authorized = {"payment_transaction_id": self.transaction_id(attempt)} if state == "AUTHORIZED" else {}
        return {
            "payment_request_id": self.payment_id(attempt),
            "payment_request_reference": attempt.id,
            "amount": money.minor,
            "currency": money.currency,
            "state": state,
            "previous_state": "IN_PROGRESS",
            "state_context": authorized,
            "klarna_customer": {"customer_profile": {"email": attempt.email, "address": {"country": attempt.country}}},
        }

    def _dispute(self, fact: Fact, state: str) -> Json:
        assert fact.dispute is not None, "a dispute fact names its dispute"
        money = fact.amount or fact.attempt.amount
        due = zulu(fact.dispute.respond_by) if fact.dispute.respond_by else None
        outcome = "WON" if fact.kind is FactKind.DISPUTE_WON else "LOST"
        # Only what opens a dispute here says why and how much.
        opening = {
            "dispute_reason": _REASONS[fact.dispute.reason],
            "dispute_details": {
                "dispute_amount": money.minor,
                "currency": money.currency,
                "created_by": "CUSTOMER",
            },
            "created_at": zulu(fact.at),
        }
        request = {"requested_at": zulu(fact.at), "additional_information": "Show that the goods arrived."}
        told: dict[str, Json] = {
            "initiated": opening
            | {"representment": {"state": "EVIDENCE_REQUESTED", "expires_at": due, "request": request}},
            "representment": {
                "partner_evidence": {
                    "created_at": zulu(fact.at),
                    "additional_information": "They did.",
                    "attachments": [{"payment_dispute_attachment_id": "krn:1", "mime_type": "application/pdf"}],
                }
            },
            "pre-arbitration": opening
            | {"arbitration_expires_at": due, "arbitration": {"preliminary_outcome": "LOST"}},
            "arbitration": {"arbitration_request": request},
            "closed": {"dispute_outcome": outcome, "dispute_outcome_detailed": "REVIEWED", "closed_at": zulu(fact.at)},
        }
        return {
            "payment_dispute_id": self.dispute_id(fact.dispute),
            "payment_transaction_id": self.transaction_id(fact.attempt),
            "payment_transaction_reference": fact.attempt.id,
            "purchase_reference": fact.attempt.id,
            "state": state.upper().replace("-", "_"),
            "updated_at": zulu(fact.at),
            "configuration": {"base_framework": "FRAMEWORK_2026", "options": {"hold_policy": "NONE"}},
            **told.get(state, {}),
        }


def _uuid(of: str) -> str:
    return str(UUID(hex=hashlib.sha256(of.encode()).hexdigest()[:32]))
