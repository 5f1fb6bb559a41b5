"""Braintree as our endpoint sees it: forms of base64 XML.

It sends no message for authorizations, voids and refunds of cards, nor for early fraud warnings. Charges of a
subscription business come as charges of a subscription.
"""

import base64
import hashlib
import hmac
import json
import re
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode
from xml.etree import ElementTree

from shared.domain.events import DisputeReason, DisputeStage, Initiator
from tests.simulator.facts import Attempt, Fact, FactKind, Habits, SignedRequest, SimulatedDispute
from tests.simulator.providers.shaping import name, secret, zulu

Json = dict[str, Any]

_LETTERS = "bcdfghjkmnpqrstvwxyz23456789"
_KINDS = {
    DisputeStage.INQUIRY: "retrieval",
    DisputeStage.CHARGEBACK: "chargeback",
    DisputeStage.PRE_ARBITRATION: "pre_arbitration",
    DisputeStage.ARBITRATION: "pre_arbitration",
}
_REASONS = {
    DisputeReason.FRAUD: "fraud",
    DisputeReason.NOT_RECEIVED: "product_not_received",
    DisputeReason.NOT_AS_DESCRIBED: "product_unsatisfactory",
    DisputeReason.DUPLICATE: "duplicate",
    DisputeReason.CANCELED: "cancelled_recurring_transaction",
    DisputeReason.CREDIT_NOT_PROCESSED: "credit_not_processed",
    DisputeReason.OTHER: "general",
}
_DECLINES = {
    "insufficient_funds": "2001",
    "stolen_card": "2013",
    "lost_card": "2012",
    "expired_card": "2004",
    "incorrect_cvc": "2010",
    "invalid_number": "2005",
    "fraudulent": "2014",
}
_CARDS = {"visa": "Visa", "mastercard": "MasterCard", "amex": "American Express"}


class Simulator:
    name = "braintree"
    habits = Habits()

    def __init__(self, seed: int, folder: Path) -> None:
        self._private = {public: secret(seed, f"braintree-{public}")[:32] for public in ("current", "next")}
        self._signing = "current"

    def environment(self) -> dict[str, str]:
        return {"WEBHOOK_BRAINTREE": json.dumps({"keys": self._private, "account": "simulated"})}

    def rotate(self) -> None:
        self._signing = "next"

    def payment_id(self, attempt: Attempt) -> str:
        return name("transaction", attempt.id, 8, _LETTERS)

    def dispute_id(self, dispute: SimulatedDispute) -> str:
        return name("dispute", dispute.id, 16, _LETTERS)

    def sign(self, body: bytes, at: datetime) -> SignedRequest:
        """The time is in the signed XML: a retry is the same request."""
        return self._signed(body, self._private[self._signing])

    def forge(self, body: bytes, at: datetime) -> SignedRequest:
        return self._signed(body, "guessed_by_an_attacker")

    def _signed(self, body: bytes, private: str) -> SignedRequest:
        payload = base64.encodebytes(body)
        mac = hmac.new(hashlib.sha1(private.encode()).digest(), payload, hashlib.sha1).hexdigest()  # noqa: S324 - Braintree's
        form = urlencode({"bt_signature": f"other_pair|{'0' * 40}&{self._signing}|{mac}", "bt_payload": payload})
        headers = {
            "Content-Type": "application/x-www-form-urlencoded",
            "User-Agent": "Braintree Gateway Webhook Delivery",
        }
        return SignedRequest("/braintree", headers, form.encode())

    def opened(self, body: bytes) -> Json:
        form = parse_qs(body.decode(), keep_blank_values=True, strict_parsing=True)
        root = ElementTree.fromstring(base64.b64decode(form["bt_payload"][0]))
        return {"bt_signature": form["bt_signature"][0], root.tag: _tree(root)}

    def sealed(self, tree: Json) -> bytes:
        fields = dict(tree)
        signature = fields.pop("bt_signature", "")
        xml = "".join(_xml(tag, value) for tag, value in fields.items()).encode("utf-8", "replace")
        return urlencode(
            {"bt_signature": str(signature), "bt_payload": base64.encodebytes(xml)}, errors="replace"
        ).encode()

    def requests(self, fact: Fact) -> list[bytes]:
        match fact.kind:
            case FactKind.AUTHORIZED | FactKind.CANCELED | FactKind.REFUNDED | FactKind.FRAUD_WARNED:
                return []
            case FactKind.CAPTURED:
                return [self._charged(fact, "subscription_charged_successfully", "submitted_for_settlement")]
            case FactKind.DECLINED:
                return [self._charged(fact, "subscription_charged_unsuccessfully", "processor_declined")]
            case FactKind.UNKNOWN_TYPE:
                subscription = {"id": name("subscription", fact.attempt.customer, 6, _LETTERS), "transactions": []}
                return [self._notification(fact, "subscription_went_active", {"subscription": subscription})]
            case FactKind.DISPUTE_OPENED:
                return [self._dispute(fact, "open")]
            case FactKind.DISPUTE_ANSWERED:
                return [self._dispute(fact, "disputed")]
            case FactKind.DISPUTE_WON:
                return [self._dispute(fact, "won")]
            case FactKind.DISPUTE_LOST:
                return [self._dispute(fact, "lost")]

    def _notification(self, fact: Fact, kind: str, subject: Json) -> bytes:
        whole = {"timestamp": zulu(fact.at), "kind": kind, "subject": subject}
        return _xml("notification", whole).encode()

    def _charged(self, fact: Fact, kind: str, status: str) -> bytes:
        attempt = fact.attempt
        declined = fact.kind is FactKind.DECLINED
        money = fact.amount or attempt.amount
        transaction = {
            "id": self.payment_id(attempt),
            "status": status,
            "type": "sale",
            "currency-iso-code": money.currency,
            "amount": f"{money.major():f}",
            "merchant-account-id": "simulated_music",
            "order-id": attempt.id,
            "created-at": zulu(attempt.at),
            "customer": {"id": attempt.customer, "first-name": None, "email": attempt.email},
            "billing": {"country-code-alpha2": attempt.country, "postal-code": None},
            "custom-fields": {"customer-id": attempt.customer, "device-id": attempt.device, "ip": attempt.ip},
            "avs-street-address-response-code": "I",
            "cvv-response-code": {True: "M", False: "N", None: "I"}[attempt.cvv_matches],
            "processor-response-code": _DECLINES.get(attempt.decline_code or "", "2000") if declined else "1000",
            "payment-instrument-type": "credit_card",
            "credit-card": {
                "bin": attempt.card.bin,
                "last-4": attempt.card.last4,
                "card-type": _CARDS.get(attempt.card.network, attempt.card.network),
                "unique-number-identifier": name("card", attempt.card.token, 32, "0123456789abcdef"),
                "debit": "Yes" if attempt.card.funding == "debit" else "No",
                "prepaid": "Yes" if attempt.card.funding == "prepaid" else "No",
            },
            "three-d-secure-info": {"status": "authenticate_successful"} if attempt.three_d_secure else None,
            "network-transaction-id": name("network", attempt.id, 15),
            "recurring": "false" if attempt.initiator is Initiator.CUSTOMER else "true",
        }
        subscription = {
            "id": name("subscription", attempt.customer, 6, _LETTERS),
            "plan-id": attempt.plan,
            "transactions": [transaction],
        }
        return self._notification(fact, kind, {"subscription": subscription})

    def _dispute(self, fact: Fact, status: str) -> bytes:
        assert fact.dispute is not None, "a dispute fact names its dispute"
        money = fact.amount or fact.attempt.amount
        due = fact.dispute.respond_by
        opened = fact.at.astimezone(UTC).date()
        dispute = {
            "id": self.dispute_id(fact.dispute),
            "amount": f"{money.major():f}",
            "amount-disputed": f"{money.major():f}",
            "amount-won": f"{money.major():f}" if status == "won" else "0.00",
            "case-number": name("case", fact.dispute.id, 10, _LETTERS),
            "currency-iso-code": money.currency,
            "kind": _KINDS[fact.dispute.stage],
            "merchant-account-id": "simulated_music",
            "pre-dispute-program": "none",
            "reason": _REASONS[fact.dispute.reason],
            "reason-code": fact.dispute.reason_code,
            "received-date": opened.isoformat(),
            "reply-by-date": _day(due) if due else None,
            "status": status,
            "updated-at": zulu(fact.at),
            "status-history": [{"status": status, "timestamp": zulu(fact.at)}],
            "evidence": [],
            "transaction": {
                "id": self.payment_id(fact.attempt),
                "amount": f"{fact.attempt.amount.major():f}",
                "order-id": fact.attempt.id,
                "payment-instrument-subtype": _CARDS.get(fact.attempt.card.network, fact.attempt.card.network),
            },
            "date-opened": opened.isoformat(),
        }
        kind = {"open": "dispute_opened"}.get(status, f"dispute_{status}")
        return self._notification(fact, kind, {"dispute": dispute})


def _day(due: datetime) -> str:
    day: date = due.astimezone(UTC).date()
    return day.isoformat()


def _tree(element: ElementTree.Element) -> Any:
    if element.get("type") == "array":
        return [_tree(child) for child in element]
    if len(element):
        return {child.tag: _tree(child) for child in element}
    return None if element.get("nil") == "true" else (element.text or "").strip()


def _xml(tag: str, value: Any) -> str:
    """As Braintree writes it: dashes in names, arrays and absent values marked by attributes. XML whatever the words."""
    tag = re.sub(r"[^A-Za-z0-9_\-]", "_", tag)
    tag = tag if tag[:1].isalpha() else f"x{tag}"
    match value:
        case None:
            return f'<{tag} nil="true"/>'
        case dict():
            return f"<{tag}>{''.join(_xml(child, inner) for child, inner in value.items())}</{tag}>"
        case list():
            items = "".join(_xml(tag.removesuffix("s"), item) for item in value)
            return f'<{tag} type="array">{items}</{tag}>'
        case _:
            text = re.sub("[^\t\n\x20-\ud7ff\ue000-\ufffd]", "?", str(value))
            text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
            return f"<{tag}>{text}</{tag}>"
