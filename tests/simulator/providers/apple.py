"""Apple as our endpoint sees it: notifications signed under a throw-away root of our own, for apps of ours.

A body is what is inside the JWS; signing wraps it. Apple tells of no authorizations and of no early fraud warnings,
and answers nothing when we have answered a request for a refund.
"""

import base64
import binascii
import hashlib
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import (
    ECDSA,
    SECP256R1,
    SECP384R1,
    EllipticCurvePrivateKey,
    generate_private_key,
)
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import NameOID

from shared.domain.events import DisputeReason, Initiator
from shared.domain.money import Money
from tests.simulator.facts import Attempt, Fact, FactKind, Habits, SignedRequest, SimulatedDispute
from tests.simulator.providers.shaping import name, once, secret, without, write_whole

Json = dict[str, Any]
Issuer = tuple[EllipticCurvePrivateKey, x509.Certificate]

_LEAF_MARK = x509.ObjectIdentifier("1.2.840.113635.100.6.11.1")
_INTERMEDIATE_MARK = x509.ObjectIdentifier("1.2.840.113635.100.6.2.1")
# A virtual clock may stand anywhere between.
_FROM, _UNTIL = datetime(2020, 1, 1, tzinfo=UTC), datetime(2040, 1, 1, tzinfo=UTC)
_REASONS = {
    DisputeReason.NOT_RECEIVED: "FULFILLMENT_ISSUE",
    DisputeReason.NOT_AS_DESCRIBED: "UNSATISFIED_WITH_PURCHASE",
    DisputeReason.FRAUD: "UNINTENDED_PURCHASE",
}
_NESTED = ("signedTransactionInfo", "signedRenewalInfo")


class Simulator:
    name = "apple"
    habits = Habits(repeats_for=timedelta(days=6), named_when=frozenset({FactKind.CAPTURED}), refunds_what_is_lost=True)

    def __init__(self, seed: int, folder: Path) -> None:
        self._folder = folder
        self._bundles = {key: f"example.music.{secret(seed, f'apple-{key}')[:8]}.{key}" for key in ("current", "next")}
        self._signing = "current"
        self._disputed: dict[str, str] = {}
        folder.mkdir(parents=True, exist_ok=True)
        root = _kept(folder, "root", None)
        intermediate = _kept(folder, "intermediate", root)
        leaf = _kept(folder, "leaf", intermediate)
        self._genuine = (leaf[0], [leaf[1], intermediate[1], root[1]])
        self._guessed: tuple[EllipticCurvePrivateKey, list[x509.Certificate]] | None = None

    def environment(self) -> dict[str, str]:
        return {
            "WEBHOOK_APPLE": json.dumps({"keys": self._bundles}),
            "PAYIN_APPLE_CERTIFICATES": str(self._folder),
        }

    def rotate(self) -> None:
        self._signing = "next"

    def payment_id(self, attempt: Attempt) -> str:
        return f"2000{name('transaction', attempt.id, 12, '0123456789')}"

    def dispute_id(self, dispute: SimulatedDispute) -> str:
        """A request for a refund goes by its transaction; `requests` was told of it before anybody asks."""
        return self._disputed[dispute.id]

    def sign(self, body: bytes, at: datetime) -> SignedRequest:
        """A retry is the same JWS."""
        return self._sent(body, self._genuine)

    def forge(self, body: bytes, at: datetime) -> SignedRequest:
        """Signed well, under a root that anyone can make."""
        if self._guessed is None:
            folder = self._folder / "guessed"
            folder.mkdir(exist_ok=True)
            root = _kept(folder, "root", None)
            intermediate = _kept(folder, "intermediate", root)
            leaf = _kept(folder, "leaf", intermediate)
            self._guessed = (leaf[0], [leaf[1], intermediate[1], root[1]])
        return self._sent(body, self._guessed)

    def _sent(self, body: bytes, signer: tuple[EllipticCurvePrivateKey, list[x509.Certificate]]) -> SignedRequest:
        payload = json.loads(body)
        bundle = self._bundles[self._signing]
        data = payload["data"]
        data["bundleId"] = bundle
        for member in _NESTED:
            if member in data:
                inside = data[member] | ({"bundleId": bundle} if "bundleId" in data[member] else {})
                data[member] = jws(inside, *signer)
        sent = json.dumps({"signedPayload": jws(payload, *signer)}, separators=(",", ":"))
        headers = {"Content-Type": "application/json", "User-Agent": "App Store Server Notifications"}
        return SignedRequest("/apple", headers, sent.encode())

    @staticmethod
    def opened(body: bytes) -> Any:
        """A delivery's body with every JWS of it as `{"payload": …, "protected": …, "signature": …}`."""
        return _opened(json.loads(body))

    @staticmethod
    def sealed(tree: Any) -> bytes:
        def closed(value: Any) -> Any:
            if isinstance(value, dict):
                value = {key: closed(child) for key, child in value.items()}
                if value.keys() == {"payload", "protected", "signature"}:
                    parts = [value["protected"], _base64(json.dumps(value["payload"]).encode()), value["signature"]]
                    return ".".join(str(part) for part in parts)
            return value

        return json.dumps(closed(tree)).encode()

    @staticmethod
    def broken(body: bytes) -> bytes:
        """What is signed is made of objects: the break is an object without its id."""
        return without(body, "notificationUUID")

    def requests(self, fact: Fact) -> list[bytes]:
        if fact.dispute is not None:
            self._disputed[fact.dispute.id] = self.payment_id(fact.attempt)
        match fact.kind:
            case FactKind.CAPTURED:
                renewed = fact.attempt.initiator is Initiator.MERCHANT
                return [self._notification(fact, "DID_RENEW" if renewed else "SUBSCRIBED")]
            case FactKind.DECLINED:
                return [self._notification(fact, "DID_FAIL_TO_RENEW")]
            case FactKind.CANCELED:
                return [self._notification(fact, "EXPIRED", "BILLING_RETRY")]
            case FactKind.REFUNDED | FactKind.DISPUTE_LOST:
                return [self._notification(fact, "REFUND")]
            case FactKind.DISPUTE_OPENED:
                return [self._notification(fact, "CONSUMPTION_REQUEST")]
            case FactKind.DISPUTE_WON:
                return [self._notification(fact, "REFUND_DECLINED")]
            case FactKind.UNKNOWN_TYPE:
                return [self._notification(fact, "DID_CHANGE_RENEWAL_STATUS", "AUTO_RENEW_DISABLED")]
            case FactKind.AUTHORIZED | FactKind.FRAUD_WARNED | FactKind.DISPUTE_ANSWERED:
                return []

    def _notification(self, fact: Fact, kind: str, subtype: str | None = None) -> bytes:
        data: Json = {
            "environment": "Sandbox",
            "bundleId": "",
            "bundleVersion": "1",
            "status": 1,
            "signedTransactionInfo": self._transaction(fact, kind),
            "signedRenewalInfo": self._renewal(fact),
        }
        if kind == "CONSUMPTION_REQUEST" and fact.dispute is not None:
            data["consumptionRequestReason"] = _REASONS.get(fact.dispute.reason, "OTHER")
        told = {
            "notificationType": kind,
            "subtype": subtype,
            "notificationUUID": str(UUID(hex=hashlib.sha256(f"{kind}{once(fact)}".encode()).hexdigest()[:32])),
            "version": "2.0",
            "signedDate": _milliseconds(fact.at),
            "data": data,
        }
        return json.dumps({key: value for key, value in told.items() if value is not None}).encode()

    def _transaction(self, fact: Fact, kind: str) -> Json:
        attempt = fact.attempt
        told: Json = {
            "transactionId": self.payment_id(attempt),
            "originalTransactionId": self._original(attempt),
            "bundleId": "",
            "productId": f"example.music.{attempt.plan}",
            "purchaseDate": _milliseconds(attempt.at),
            "quantity": 1,
            "type": "Auto-Renewable Subscription",
            "appAccountToken": attempt.customer,
            "inAppOwnershipType": "PURCHASED",
            "signedDate": _milliseconds(fact.at),
            "environment": "Sandbox",
            "transactionReason": "PURCHASE" if attempt.initiator is Initiator.CUSTOMER else "RENEWAL",
            "storefront": "USA",
            "price": _thousandths(attempt.amount),
            "currency": attempt.amount.currency,
        }
        if kind == "REFUND":
            part = fact.amount or attempt.amount
            told |= {"revocationDate": _milliseconds(fact.at), "revocationReason": 0}
            told["revocationPercentage"] = round(part.minor * 100_000 / attempt.amount.minor)
        return told

    def _renewal(self, fact: Fact) -> Json:
        return {
            "originalTransactionId": self._original(fact.attempt),
            "productId": f"example.music.{fact.attempt.plan}",
            "autoRenewStatus": 1,
            "signedDate": _milliseconds(fact.at),
            "environment": "Sandbox",
            "renewalDate": _milliseconds(fact.attempt.at),
            "renewalPrice": _thousandths(fact.attempt.amount),
            "currency": fact.attempt.amount.currency,
        }

    def _original(self, attempt: Attempt) -> str:
        return f"2000{name('subscription', attempt.customer, 12, '0123456789')}"


def _thousandths(money: Money) -> int:
    return int(money.major() * 1000)


def _milliseconds(at: datetime) -> int:
    return int(at.timestamp() * 1000)


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _opened(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _opened(child) for key, child in value.items()}
    parts = value.split(".") if isinstance(value, str) else []
    if len(parts) != 3:
        return value
    try:
        payload = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (binascii.Error, ValueError):
        return value
    return {"payload": _opened(payload), "protected": parts[0], "signature": parts[2]}


def jws(payload: Json, key: EllipticCurvePrivateKey, certificates: list[x509.Certificate], **header: Any) -> str:
    """`payload` signed by `key`, whose certificates go along."""
    x5c = [base64.b64encode(certificate.public_bytes(Encoding.DER)).decode() for certificate in certificates]
    protected = _base64(json.dumps({"alg": "ES256", "x5c": x5c, **header}).encode())
    message = f"{protected}.{_base64(json.dumps(payload).encode())}"
    r, s = decode_dss_signature(key.sign(message.encode(), ECDSA(SHA256())))
    size = key.key_size // 8
    return f"{message}.{_base64(r.to_bytes(size) + s.to_bytes(size))}"


def _kept(folder: Path, file: str, issuer: Issuer | None) -> Issuer:
    """The key and certificate called `file` in `folder`, made once. Without an issuer it is a root."""
    certificate_file, key_file = folder / f"{file}.pem", folder / f"{file}.key"
    if not certificate_file.exists():
        key = generate_private_key(SECP256R1() if file == "leaf" else SECP384R1())
        certificate = a_certificate(key, file, issuer)
        text = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        write_whole(key_file, text)
        write_whole(certificate_file, certificate.public_bytes(Encoding.PEM))  # last: it says that both are there
        return key, certificate
    found = load_pem_private_key(key_file.read_bytes(), None)
    assert isinstance(found, EllipticCurvePrivateKey), f"{key_file} is not a key that this simulator wrote"
    return found, x509.load_pem_x509_certificate(certificate_file.read_bytes())


def a_certificate(
    key: EllipticCurvePrivateKey,
    role: str,
    issuer: Issuer | None,
    *,
    mark: bool = True,
    authority: bool | None = None,
    begins: datetime = _FROM,
    ends: datetime = _UNTIL,
) -> x509.Certificate:
    """A certificate for the role root, intermediate or leaf, as Apple's are; tests ask for what is wrong with it."""
    is_authority = role != "leaf" if authority is None else authority
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"Simulated App Store {role}")])
    signer, signed_by = (key, subject) if issuer is None else (issuer[0], issuer[1].subject)
    builder = (
        x509.CertificateBuilder(subject_name=subject, issuer_name=signed_by, public_key=key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins)
        .not_valid_after(ends)
        .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
        .add_extension(
            x509.KeyUsage(
                digital_signature=not is_authority,
                key_cert_sign=is_authority,
                crl_sign=is_authority,
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
    if mark and role != "root":
        oid = _LEAF_MARK if role == "leaf" else _INTERMEDIATE_MARK
        builder = builder.add_extension(x509.UnrecognizedExtension(oid, b"\x05\x00"), critical=False)
    return builder.sign(signer, SHA256())
