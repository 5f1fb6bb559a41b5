"""Worldpay as our endpoint sees it: Access events. Of disputes it tells that they were opened and reversed, no more."""

import hashlib
import hmac
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from shared.domain.events import DisputeStage
from tests.simulator.facts import Attempt, Fact, FactKind, Habits, SignedRequest, SimulatedDispute
from tests.simulator.providers.shaping import name, once, secret

Json = dict[str, Any]


class Simulator:
    name = "worldpay"
    habits = Habits(names_nobody=True)

    def __init__(self, seed: int, folder: Path) -> None:
        self._keys = {key: secret(seed, f"worldpay-{key}") for key in ("current", "next")}
        self._signing = "current"

    def environment(self) -> dict[str, str]:
        return {"WEBHOOK_WORLDPAY": json.dumps({"keys": self._keys, "account": "simulated"})}

    def rotate(self) -> None:
        self._signing = "next"

    def payment_id(self, attempt: Attempt) -> str:
        return f"Music-{attempt.id}"

    def dispute_id(self, dispute: SimulatedDispute) -> str:
        return name("chargeback", dispute.id, 18)

    def sign(self, body: bytes, at: datetime) -> SignedRequest:
        """The signature does not depend on `at`: a retry is the same request."""
        return self._signed(body, bytes.fromhex(self._keys[self._signing]))

    def forge(self, body: bytes, at: datetime) -> SignedRequest:
        return self._signed(body, b"guessed by an attacker")

    def _signed(self, body: bytes, key: bytes) -> SignedRequest:
        headers = {
            "Content-Type": "application/vnd.worldpay.events-v1.hal+json",
            "Event-Signature": f"{self._signing}/SHA256/{hmac.new(key, body, hashlib.sha256).hexdigest()}",
        }
        return SignedRequest("/worldpay", headers, body)

    def requests(self, fact: Fact) -> list[bytes]:
        match fact.kind:
            case FactKind.AUTHORIZED:
                return [self._event(fact, "payment", "authorized")]
            case FactKind.CAPTURED:
                return [self._event(fact, "payment", "sentForSettlement")]
            case FactKind.DECLINED:
                return [self._event(fact, "payment", "refused")]
            case FactKind.CANCELED:
                return [self._event(fact, "payment", "cancelled")]
            case FactKind.REFUNDED:
                return [self._event(fact, "payment", "sentForRefund", fact.refund_id or fact.attempt.id)]
            case FactKind.UNKNOWN_TYPE:
                return [self._event(fact, "payment", "topUpRejected")]
            case FactKind.DISPUTE_OPENED if fact.dispute:
                inquiry = fact.dispute.stage is DisputeStage.INQUIRY
                kind = "informationRequested" if inquiry else "chargedBack"
                return [self._event(fact, "chargeback", kind, self.dispute_id(fact.dispute))]
            case FactKind.DISPUTE_WON if fact.dispute:
                return [self._event(fact, "chargeback", "chargebackReversed", self.dispute_id(fact.dispute))]
            case _:
                return []

    def _event(self, fact: Fact, classification: str, kind: str, reference: str | None = None) -> bytes:
        money = fact.amount or fact.attempt.amount
        details: Json = {
            "classification": classification,
            "type": kind,
            "transactionReference": self.payment_id(fact.attempt),
            "downstreamReference": name("downstream", fact.attempt.id, 24),
            "date": fact.attempt.at.date().isoformat(),
            "amount": {"value": money.minor, "currencyCode": money.currency},
            "paymentInstrument": {"method": "card"},
            "_links": {"payment": {"href": ""}},
        }
        event = {
            "eventId": str(UUID(hex=hashlib.sha256(f"{kind}{once(fact)}".encode()).hexdigest()[:32])),
            # Worldpay's examples have no zone.
            "eventTimestamp": fact.at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.000"),
            "eventDetails": details | ({"reference": reference} if reference else {}),
        }
        return json.dumps(event).encode()
