"""Adyen as our endpoint sees it: classic JSON notifications, one item each, basic auth on the URL."""

import base64
import hashlib
import hmac
import json
import re
from datetime import datetime
from pathlib import Path
from typing import Any

from shared.domain.events import DisputeStage, Initiator
from tests.simulator.facts import Attempt, Fact, FactKind, Habits, SignedRequest, SimulatedDispute
from tests.simulator.providers.shaping import in_minor, name, secret

Json = dict[str, Any]

SENT_WITH = {"CLP": 2, "ISK": 2, "CVE": 0, "IDR": 0}
ACCOUNT = "SimulatedMusicECOM"
_PSP_LETTERS = "BCDFGHKLMNPQRSTVWXZ23456789"
_BRANDS = {"mastercard": "mc"}
_REFUSALS = {
    "insufficient_funds": "Not enough balance",
    "stolen_card": "Blocked Card",
    "lost_card": "Blocked Card",
    "fraudulent": "FRAUD",
    "expired_card": "Expired Card",
    "incorrect_cvc": "CVC Declined",
    "invalid_number": "Invalid Card Number",
    "issuer_not_available": "Issuer Unavailable",
}


class Simulator:
    name = "adyen"
    habits = Habits()

    def __init__(self, seed: int, folder: Path) -> None:
        self._keys = {key: secret(seed, f"adyen-{key}").upper() for key in ("current", "next")}
        self._password = secret(seed, "adyen-password")[:24]
        self._signing = "current"
        self._queued: dict[bytes, str] = {}  # which key signed what was sent before

    def environment(self) -> dict[str, str]:
        secrets = {"keys": self._keys, "basic_auth": {"adyen": self._password}, "account": ACCOUNT}
        return {"WEBHOOK_ADYEN": json.dumps(secrets)}

    def rotate(self) -> None:
        self._signing = "next"

    def payment_id(self, attempt: Attempt) -> str:
        return name("psp", attempt.id, 16, _PSP_LETTERS)

    def dispute_id(self, dispute: SimulatedDispute) -> str:
        return name("dispute", dispute.id, 16, _PSP_LETTERS)

    def sign(self, body: bytes, at: datetime) -> SignedRequest:
        """The signature does not depend on `at`: a retry is the same request, also when the key has changed since."""
        key = self._queued.setdefault(hashlib.sha256(body).digest(), self._signing)
        return self._signed(body, self._keys[key], self._password)

    def forge(self, body: bytes, at: datetime) -> SignedRequest:
        return self._signed(body, "00" * 32, "guessed")

    def _signed(self, body: bytes, key: str, password: str) -> SignedRequest:
        notification = json.loads(body)
        for wrapped in notification["notificationItems"]:
            item = wrapped["NotificationRequestItem"]
            item["additionalData"] = {**item.get("additionalData", {}), "hmacSignature": _hmac(item, key)}
        headers = {
            "Content-Type": "application/json; charset=utf-8",
            "User-Agent": "Adyen HttpClient 1.0",
            "Authorization": "Basic " + base64.b64encode(f"adyen:{password}".encode()).decode(),
        }
        return SignedRequest("/adyen", headers, json.dumps(notification).encode())

    @staticmethod
    def broken(body: bytes) -> bytes:
        """Eight members of each item are signed; the break is in one of the others, an instant that is none."""
        return re.sub(rb'"eventDate"\s*:\s*"[^"]*"', b'"eventDate": "yesterday"', body)

    def requests(self, fact: Fact) -> list[bytes]:
        attempt, dispute = fact.attempt, fact.dispute
        match fact.kind:
            case FactKind.AUTHORIZED | FactKind.DECLINED:
                items = [self._payment(fact)]
            case FactKind.CAPTURED:
                items = [self._modification(fact, "CAPTURE", f"{attempt.id}-capture")]
            case FactKind.CANCELED:
                items = [self._modification(fact, "CANCELLATION", f"{attempt.id}-cancel")]
            case FactKind.REFUNDED:
                items = [self._modification(fact, "REFUND", fact.refund_id or f"{attempt.id}-refund")]
            case FactKind.FRAUD_WARNED:
                items = [self._modification(fact, "NOTIFICATION_OF_FRAUD", f"{attempt.id}-nof")]
                items[0]["additionalData"] = {"nofReasonCode": "6", "nofSchemeCode": self._brand(attempt)}
                items[0]["reason"] = "Fraudulent Use of Account Number"
            case FactKind.UNKNOWN_TYPE:
                items = [self._modification(fact, "RECURRING_CONTRACT", f"{attempt.id}-contract")]
            case FactKind.DISPUTE_OPENED:
                opened = {
                    DisputeStage.INQUIRY: ("REQUEST_FOR_INFORMATION",),
                    DisputeStage.CHARGEBACK: ("NOTIFICATION_OF_CHARGEBACK", "CHARGEBACK"),
                    DisputeStage.PRE_ARBITRATION: ("PREARBITRATION_OPEN",),
                    DisputeStage.ARBITRATION: ("SCHEME_ARBITRATION",),
                }
                assert dispute is not None, "a dispute fact names its dispute"
                items = [self._dispute(fact, code, "Undefended") for code in opened[dispute.stage]]
            case FactKind.DISPUTE_ANSWERED:
                items = [self._dispute(fact, "INFORMATION_SUPPLIED", "Responded")]
            case FactKind.DISPUTE_WON:
                codes = ("CHARGEBACK_REVERSED", "ISSUER_RESPONSE_TIMEFRAME_EXPIRED")
                items = [self._dispute(fact, code, "Won") for code in codes]
                del items[0]["originalReference"]  # as in Adyen's own examples
            case FactKind.DISPUTE_LOST:
                items = [self._dispute(fact, "SECOND_CHARGEBACK", "Lost")]
                del items[0]["originalReference"]
        return [
            json.dumps({"live": "false", "notificationItems": [{"NotificationRequestItem": item}]}).encode()
            for item in items
        ]

    def _brand(self, attempt: Attempt) -> str:
        return _BRANDS.get(attempt.card.network, attempt.card.network)

    def _item(self, fact: Fact, code: str, psp: str) -> Json:
        money = fact.amount or fact.attempt.amount
        return {
            "amount": {"currency": money.currency, "value": in_minor(money, SENT_WITH)},
            "eventCode": code,
            "eventDate": fact.at.isoformat(timespec="seconds"),
            "merchantAccountCode": ACCOUNT,
            "merchantReference": fact.attempt.id,
            "paymentMethod": self._brand(fact.attempt),
            "pspReference": psp,
            "reason": "",
            "success": "true",
        }

    def _payment(self, fact: Fact) -> Json:
        attempt = fact.attempt
        declined = fact.kind is FactKind.DECLINED
        told = {
            "alias": name("alias", attempt.card.token, 16),
            "avsResult": "4 AVS not supported for this card type",
            "cardBin": attempt.card.bin,
            "cardIssuingCountry": attempt.card.country,
            "cardSummary": attempt.card.last4,
            "cvcResult": {True: "1 Matches", False: "2 Doesn't match", None: None}[attempt.cvv_matches],
            "expiryDate": f"08/{attempt.at.year + 3}",
            "fundingSource": attempt.card.funding.upper(),
            "metadata.customer_id": attempt.customer,
            "metadata.device_id": attempt.device,
            "networkTxReference": name("network", attempt.id, 15),
            "paymentMethodVariant": self._brand(attempt) + attempt.card.funding,
            "shopperCountry": attempt.country,
            "shopperEmail": attempt.email,
            "shopperIP": attempt.ip,
            "shopperInteraction": "Ecommerce" if attempt.initiator is Initiator.CUSTOMER else "ContAuth",
            "shopperReference": attempt.customer,
            "threeDAuthenticated": "true" if attempt.three_d_secure else "false",
            "totalFraudScore": name("risk", attempt.id, 2, "0123456789"),
        }
        item = self._item(fact, "AUTHORISATION", self.payment_id(attempt))
        item["additionalData"] = {key: value for key, value in told.items() if value is not None}
        item["operations"] = [] if declined else ["CANCEL", "CAPTURE", "REFUND"]
        item["success"] = "false" if declined else "true"
        item["reason"] = (
            _REFUSALS.get(attempt.decline_code or "", "Refused")
            if declined
            else f"052095:{attempt.card.last4}:08/{attempt.at.year + 3}"
        )
        return item

    def _modification(self, fact: Fact, code: str, world_id: str) -> Json:
        item = self._item(fact, code, name("psp", world_id, 16, _PSP_LETTERS))
        return {**item, "originalReference": self.payment_id(fact.attempt)}

    def _dispute(self, fact: Fact, code: str, status: str) -> Json:
        assert fact.dispute is not None, "a dispute fact names its dispute"
        due = fact.dispute.respond_by
        told = {
            # Adyen's own examples have this leading space.
            "chargebackReasonCode": f" {fact.dispute.reason_code}",
            "chargebackSchemeCode": self._brand(fact.attempt),
            "defendable": "true" if due else "false",
            "defensePeriodEndsAt": due.isoformat(timespec="seconds") if due else None,
            "disputeStatus": status,
            "modificationMerchantReferences": "",
        }
        item = self._item(fact, code, self.dispute_id(fact.dispute))
        item["additionalData"] = {key: value for key, value in told.items() if value is not None}
        item["originalReference"] = self.payment_id(fact.attempt)
        return item


def _hmac(item: Json, key: str) -> str:
    parts = (
        item["pspReference"],
        item.get("originalReference", ""),
        item["merchantAccountCode"],
        item["merchantReference"],
        str(item["amount"]["value"]),
        item["amount"]["currency"],
        item["eventCode"],
        item["success"],
    )
    return base64.b64encode(hmac.new(bytes.fromhex(key), ":".join(parts).encode(), hashlib.sha256).digest()).decode()
