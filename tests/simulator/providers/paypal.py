"""PayPal as our endpoint sees it: REST webhooks signed by a certificate under a throw-away root of our own.

Three in four payments are captured at once, which is one message; the others are authorized first, so that the
capture takes the authorization's place under another id. PayPal tells of no early fraud warnings. Its API tells of
every event that was sent.
"""

import base64
import json
import zlib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from shared.domain.events import DisputeReason, Initiator
from shared.domain.money import Money
from tests.simulator.facts import Attempt, Fact, FactKind, Habits, SignedRequest, SimulatedDispute
from tests.simulator.providers.shaping import ApiReply, name, not_found, once, secret, write_whole, zulu

Json = dict[str, Any]

CERTIFICATE_NAME = "messageverificationcerts.sandbox.paypal.com"
_CERTIFICATES = "https://api.sandbox.paypal.com/v1/notifications/certs/"
_API = "https://api.sandbox.paypal.com"
_LETTERS = "ABCDEFGHJKLMNPQRSTUVWXY3456789"
# A virtual clock may stand anywhere between.
_FROM, _UNTIL = datetime(2020, 1, 1, tzinfo=UTC), datetime(2040, 1, 1, tzinfo=UTC)
_REASONS = {
    DisputeReason.FRAUD: "UNAUTHORISED",
    DisputeReason.NOT_RECEIVED: "MERCHANDISE_OR_SERVICE_NOT_RECEIVED",
    DisputeReason.NOT_AS_DESCRIBED: "MERCHANDISE_OR_SERVICE_NOT_AS_DESCRIBED",
    DisputeReason.DUPLICATE: "DUPLICATE_TRANSACTION",
    DisputeReason.CANCELED: "CANCELED_RECURRING_BILLING",
    DisputeReason.CREDIT_NOT_PROCESSED: "CREDIT_NOT_PROCESSED",
    DisputeReason.OTHER: "OTHER",
}


class Simulator:
    name = "paypal"
    habits = Habits(named_when=frozenset({FactKind.CAPTURED, FactKind.DECLINED}))

    def __init__(self, seed: int, folder: Path) -> None:
        self._folder = folder
        self._seed = seed
        self._webhooks = {key: secret(seed, f"paypal-{key}")[:17].upper() for key in ("current", "next")}
        self._signing = "current"
        self._token = secret(seed, "paypal-token")
        self._events: dict[str, Json] = {}
        folder.mkdir(parents=True, exist_ok=True)
        root, root_certificate = _kept(folder, "root", None)
        self._certificates = {key: f"CERT-simulated-{key}" for key in self._webhooks}
        self._keys = {
            key: _kept(folder, certificate, (root, root_certificate))[0]
            for key, certificate in self._certificates.items()
        }

    def environment(self) -> dict[str, str]:
        return {
            "WEBHOOK_PAYPAL": json.dumps({"keys": self._webhooks, "account": "simulated"}),
            "PAYIN_PAYPAL_CERTIFICATES": str(self._folder),
        }

    def rotate(self) -> None:
        self._signing = "next"

    def payment_id(self, attempt: Attempt) -> str:
        """The capture's. An authorization that is never captured stays under its own id."""
        return name("capture", attempt.id, 17, _LETTERS)

    def authorization_id(self, attempt: Attempt) -> str:
        return name("authorization", attempt.id, 17, _LETTERS)

    def dispute_id(self, dispute: SimulatedDispute) -> str:
        return f"PP-R-{name('dispute', dispute.id, 3, _LETTERS)}-{name('case', dispute.id, 8, _LETTERS)}"

    def sign(self, body: bytes, at: datetime) -> SignedRequest:
        return self._signed(body, at, self._webhooks[self._signing], self._keys[self._signing])

    def forge(self, body: bytes, at: datetime) -> SignedRequest:
        """Signed by a true certificate, for a webhook of somebody else's."""
        return self._signed(body, at, "0FORGED0000000000", self._keys[self._signing])

    def _signed(self, body: bytes, at: datetime, webhook: str, key: RSAPrivateKey) -> SignedRequest:
        digest = secret(self._seed, f"{zulu(at)}{zlib.crc32(body)}")
        transmission = str(UUID(hex=digest[:32]))
        message = f"{transmission}|{zulu(at)}|{webhook}|{zlib.crc32(body)}"
        signature = base64.b64encode(key.sign(message.encode(), PKCS1v15(), SHA256())).decode()
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "PayPal/AUHR-214.0-55417034",
            "PAYPAL-TRANSMISSION-ID": transmission,
            "PAYPAL-TRANSMISSION-TIME": zulu(at),
            "PAYPAL-TRANSMISSION-SIG": signature,
            "PAYPAL-CERT-URL": _CERTIFICATES + self._certificates[self._signing],
            "PAYPAL-AUTH-ALGO": "SHA256withRSA",
            "PAYPAL-AUTH-VERSION": "v2",
        }
        return SignedRequest("/paypal", headers, body)

    def answer(self, method: str, path: str, headers: dict[str, str]) -> ApiReply:
        """What the API says at `path`: a token for a client's id and secret, and the events that were sent for a token."""
        scheme, _, proof = headers.get("authorization", "").partition(" ")
        if (method, path) == ("POST", "/v1/oauth2/token") and scheme == "Basic" and proof:
            answered = {"access_token": self._token, "token_type": "Bearer", "expires_in": 32400}
            return ApiReply(200, json.dumps(answered).encode())
        if (scheme, proof) != ("Bearer", self._token):
            return ApiReply(401, b'{"error": "invalid_token"}')
        found = self._events.get(path.removeprefix("/v1/notifications/webhooks-events/")) if method == "GET" else None
        return ApiReply(200, json.dumps(found).encode()) if found else not_found()

    def requests(self, fact: Fact) -> list[bytes]:
        authorizes = self._authorizes(fact.attempt)
        match fact.kind:
            case FactKind.AUTHORIZED if authorizes:
                told = [("PAYMENT.AUTHORIZATION.CREATED", "authorization", self._authorization(fact, "CREATED"))]
            case FactKind.CANCELED if authorizes:
                told = [("PAYMENT.AUTHORIZATION.VOIDED", "authorization", self._authorization(fact, "VOIDED"))]
            case FactKind.CANCELED:
                order = {"order_id": self._order(fact.attempt), "purchase_units": []}
                told = [("CHECKOUT.PAYMENT-APPROVAL.REVERSED", "checkout-order", order)]
            case FactKind.AUTHORIZED | FactKind.FRAUD_WARNED:
                told = []
            case FactKind.CAPTURED:
                told = [("PAYMENT.CAPTURE.COMPLETED", "capture", self._capture(fact, "COMPLETED"))]
            case FactKind.DECLINED:
                told = [("PAYMENT.CAPTURE.DECLINED", "capture", self._capture(fact, "DECLINED"))]
            case FactKind.REFUNDED:
                told = [("PAYMENT.CAPTURE.REFUNDED", "refund", self._refund(fact))]
            case FactKind.UNKNOWN_TYPE:
                subscription = {"id": f"I-{name('subscription', fact.attempt.customer, 12, _LETTERS)}"}
                told = [("BILLING.SUBSCRIPTION.UPDATED", "subscription", subscription)]
            case FactKind.DISPUTE_OPENED:
                told = [("CUSTOMER.DISPUTE.CREATED", "dispute", self._dispute(fact, "OPEN", None))]
            case FactKind.DISPUTE_ANSWERED:
                told = [("CUSTOMER.DISPUTE.UPDATED", "dispute", self._dispute(fact, "UNDER_REVIEW", None))]
            case FactKind.DISPUTE_WON:
                outcome = "RESOLVED_SELLER_FAVOUR"
                told = [("CUSTOMER.DISPUTE.RESOLVED", "dispute", self._dispute(fact, "RESOLVED", outcome))]
            case FactKind.DISPUTE_LOST:
                outcome = "RESOLVED_BUYER_FAVOUR"
                told = [("CUSTOMER.DISPUTE.RESOLVED", "dispute", self._dispute(fact, "RESOLVED", outcome))]
        return [self._event(fact, kind, of, resource) for kind, of, resource in told]

    def _authorizes(self, attempt: Attempt) -> bool:
        return name("flow", attempt.id, 1, "abcd") == "a"

    def _order(self, attempt: Attempt) -> str:
        return name("order", attempt.id, 17, _LETTERS)

    def _event(self, fact: Fact, kind: str, of: str, resource: Json) -> bytes:
        event_id = f"WH-{name(kind, once(fact), 17, _LETTERS)}-{name('delivery', once(fact), 17, _LETTERS)}"
        event = {
            "id": event_id,
            "event_version": "1.0",
            "create_time": fact.at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z"),
            "resource_type": of,
            "resource_version": "2.0",
            "event_type": kind,
            "summary": f"{of} {kind.rpartition('.')[2].lower()}",
            "resource": resource,
            "links": [{"href": f"{_API}/v1/notifications/webhooks-events/{event_id}", "rel": "self", "method": "GET"}],
        }
        self._events[event_id] = event
        return json.dumps(event, separators=(",", ":")).encode()

    def _own_words(self, attempt: Attempt) -> str:
        initiator = "cit" if attempt.initiator is Initiator.CUSTOMER else "mit"
        told = {"c": attempt.customer, "d": attempt.device, "i": attempt.ip, "n": initiator}
        return "&".join(f"{key}={value}" for key, value in told.items() if value is not None)

    def _money(self, money: Money) -> Json:
        # It takes and sends no decimals of these.
        decimals = ".0f" if money.currency in ("HUF", "JPY", "TWD") else "f"
        return {"value": f"{money.major():{decimals}}", "currency_code": money.currency}

    def _payment(self, fact: Fact, kind: str, name_: str, status: str) -> Json:
        return {
            "id": name_,
            "amount": self._money(fact.amount or fact.attempt.amount),
            "custom_id": self._own_words(fact.attempt),
            "invoice_id": fact.attempt.id,
            "status": status,
            "seller_protection": {"status": "ELIGIBLE", "dispute_categories": ["UNAUTHORIZED_TRANSACTION"]},
            "create_time": zulu(fact.at),
            "update_time": zulu(fact.at),
            "links": [{"href": f"{_API}/v2/payments/{kind}/{name_}", "rel": "self", "method": "GET"}],
        }

    def _authorization(self, fact: Fact, status: str) -> Json:
        resource = self._payment(fact, "authorizations", self.authorization_id(fact.attempt), status)
        return {**resource, "supplementary_data": {"related_ids": {"order_id": self._order(fact.attempt)}}}

    def _capture(self, fact: Fact, status: str) -> Json:
        attempt = fact.attempt
        related = {"order_id": self._order(attempt)}
        if self._authorizes(attempt) and status == "COMPLETED":
            related["authorization_id"] = self.authorization_id(attempt)
        resource = self._payment(fact, "captures", self.payment_id(attempt), status)
        resource["final_capture"] = True
        resource["supplementary_data"] = {"related_ids": related}
        if status == "DECLINED":
            codes = {"insufficient_funds": "5120", "stolen_card": "9520", "lost_card": "9520", "expired_card": "5400"}
            resource["processor_response"] = {"response_code": codes.get(attempt.decline_code or "", "0500")}
            resource["status_details"] = {"reason": "DECLINED_BY_RISK_FRAUD_FILTERS"}
        return resource

    def _refund(self, fact: Fact) -> Json:
        refund = name("refund", fact.refund_id or fact.attempt.id, 17, _LETTERS)
        resource = self._payment(fact, "refunds", refund, "COMPLETED")
        up = {"href": f"{_API}/v2/payments/captures/{self.payment_id(fact.attempt)}", "rel": "up", "method": "GET"}
        return {**resource, "links": [*resource["links"], up]}

    def _dispute(self, fact: Fact, status: str, outcome: str | None) -> Json:
        assert fact.dispute is not None, "a dispute fact names its dispute"
        dispute_id = self.dispute_id(fact.dispute)
        open_ = status == "OPEN"
        due = fact.dispute.respond_by
        at = f"{_API}/v1/customer/disputes/{dispute_id}"
        relations = ["self", *(["provide_evidence", "accept_claim", "make_offer"] if open_ else [])]
        resource: Json = {
            "dispute_id": dispute_id,
            "create_time": zulu(fact.at),
            "update_time": zulu(fact.at),
            "disputed_transactions": [
                {
                    "seller_transaction_id": self.payment_id(fact.attempt),
                    "invoice_number": fact.attempt.id,
                    "custom": self._own_words(fact.attempt),
                    "seller": {"merchant_id": "SIMULATEDMUSIC"},
                }
            ],
            "reason": _REASONS[fact.dispute.reason],
            "external_reason_code": fact.dispute.reason_code,
            "status": status,
            "dispute_state": {"OPEN": "REQUIRED_ACTION", "UNDER_REVIEW": "UNDER_PAYPAL_REVIEW"}.get(status, status),
            "dispute_amount": self._money(fact.amount or fact.attempt.amount),
            "dispute_life_cycle_stage": fact.dispute.stage.value.upper(),
            "dispute_channel": "INTERNAL",
            "links": [{"href": at, "rel": rel, "method": "GET" if rel == "self" else "POST"} for rel in relations],
        }
        if due and open_:
            resource["seller_response_due_date"] = zulu(due)
        if outcome:
            resource["dispute_outcome"] = {"outcome_code": outcome}
        return resource


Issuer = tuple[RSAPrivateKey, x509.Certificate]


def _kept(folder: Path, file: str, issuer: Issuer | None) -> Issuer:
    """The key and certificate called `file` in `folder`, made once. Without an issuer it is a root."""
    certificate_file, key_file = folder / f"{file}.pem", folder / f"{file}.key"
    if not certificate_file.exists():
        key = generate_private_key(public_exponent=65537, key_size=2048)
        certificate = _certificate(key, issuer)
        text = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        write_whole(key_file, text)
        write_whole(certificate_file, certificate.public_bytes(Encoding.PEM))  # last: it says that both are there
        return key, certificate
    found = load_pem_private_key(key_file.read_bytes(), None)
    assert isinstance(found, RSAPrivateKey), f"{key_file} is not a key that this simulator wrote"
    return found, x509.load_pem_x509_certificate(certificate_file.read_bytes())


def _certificate(key: RSAPrivateKey, issuer: Issuer | None) -> x509.Certificate:
    authority = issuer is None
    common = "Simulated Root" if authority else CERTIFICATE_NAME
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])
    signer, signed_by = (key, subject) if issuer is None else (issuer[0], issuer[1].subject)
    builder = (
        x509.CertificateBuilder(subject_name=subject, issuer_name=signed_by, public_key=key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(_FROM)
        .not_valid_after(_UNTIL)
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
        .add_extension(
            x509.KeyUsage(
                digital_signature=not authority,
                key_cert_sign=authority,
                crl_sign=authority,
                content_commitment=False,
                key_encipherment=False,
                data_encipherment=False,
                key_agreement=False,
                encipher_only=False,
                decipher_only=False,
            ),
            critical=True,
        )
    )
    if authority:
        builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    else:
        builder = builder.add_extension(
            x509.SubjectAlternativeName([x509.DNSName(CERTIFICATE_NAME)]), critical=False
        ).add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
    return builder.sign(signer, SHA256())
