"""Google Play as our endpoint sees it: Pub/Sub pushes with a token, and an API that tells of purchases and orders.

Google tells of no authorizations and of no early fraud warnings, and not how a chargeback under review ended well.
"""

import base64
import binascii
import contextlib
import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

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
from cryptography.x509.oid import NameOID

from shared.domain.events import Initiator
from shared.domain.money import Money, exponent
from tests.simulator.facts import Attempt, Fact, FactKind, Habits, SignedRequest, SimulatedDispute
from tests.simulator.providers.shaping import ApiReply, name, not_found, once, secret, unix, zulu

Json = dict[str, Any]

AUDIENCE = "https://payin.example/google"
PACKAGE = "example.music.player"
SUBSCRIPTION = "projects/simulated/subscriptions/play"
KEY_ID = "simulated-key-1"
_API = f"/androidpublisher/v3/applications/{PACKAGE}"
# A virtual clock may stand anywhere between.
_FROM, _UNTIL = datetime(2020, 1, 1, tzinfo=UTC), datetime(2040, 1, 1, tzinfo=UTC)
_DIGITS = "0123456789"


class Simulator:
    name = "google"
    package = PACKAGE
    habits = Habits(skew=timedelta(seconds=50), named_when=frozenset({FactKind.CAPTURED}))

    def __init__(self, seed: int, folder: Path) -> None:
        self._folder = folder
        self._seed = seed
        self._senders = {
            key: f"push-{secret(seed, f'google-{key}')[:8]}@simulated.iam.gserviceaccount.com"
            for key in ("current", "next")
        }
        self._signing = "current"
        self._objects: dict[str, Json] = {}
        self._disputed: dict[str, str] = {}
        self._guessed: RSAPrivateKey | None = None
        folder.mkdir(parents=True, exist_ok=True)
        self._key = _kept(folder)

    def environment(self) -> dict[str, str]:
        keys = {key: f"{email} {SUBSCRIPTION}" for key, email in self._senders.items()}
        return {
            "WEBHOOK_GOOGLE": json.dumps({"keys": keys, "url": AUDIENCE}),
            "PAYIN_GOOGLE_CERTIFICATES": str(self._folder),
        }

    def rotate(self) -> None:
        self._signing = "next"

    def payment_id(self, attempt: Attempt) -> str:
        own = name("order", attempt.id, 17, _DIGITS)
        renewal = "..0" if attempt.initiator is Initiator.MERCHANT else ""
        return f"GPA.{own[:4]}-{own[4:8]}-{own[8:12]}-{own[12:]}{renewal}"

    def review_token(self, opened: Fact) -> str:
        """By which a review of the refund that `opened` begins is answered."""
        return name("review", once(opened), 40)

    def dispute_id(self, dispute: SimulatedDispute) -> str:
        """A chargeback goes by its order; `requests` was told of it before anybody asks."""
        return self._disputed[dispute.id]

    def sign(self, body: bytes, at: datetime) -> SignedRequest:
        return self._sent(body, at, self._key)

    def forge(self, body: bytes, at: datetime) -> SignedRequest:
        """The same token, signed with a key that anyone can make."""
        self._guessed = self._guessed or generate_private_key(public_exponent=65537, key_size=2048)
        return self._sent(body, at, self._guessed)

    def _sent(self, body: bytes, at: datetime, key: RSAPrivateKey) -> SignedRequest:
        claims = {
            "iss": "https://accounts.google.com",
            "aud": AUDIENCE,
            "sub": "100000000000000000001",
            "azp": "100000000000000000001",
            "email": self._senders[self._signing],
            "email_verified": True,
            "iat": unix(at),
            "exp": unix(at + timedelta(hours=1)),
        }
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "APIs-Google; (+https://developers.google.com/webmasters/APIs-Google.html)",
            "Authorization": f"Bearer {jwt(claims, key)}",
        }
        return SignedRequest("/google", headers, body)

    @staticmethod
    def opened(body: bytes) -> Any:
        """A push's body, with what is in its message as the object that it is."""
        whole = json.loads(body)
        message = whole.get("message") if isinstance(whole, dict) else None
        if isinstance(message, dict) and isinstance(message.get("data"), str):
            with contextlib.suppress(binascii.Error, ValueError):
                message["data"] = json.loads(base64.b64decode(message["data"], validate=True))
        return whole

    @staticmethod
    def sealed(tree: Any) -> bytes:
        message = tree.get("message") if isinstance(tree, dict) else None
        if isinstance(message, dict) and isinstance(message.get("data"), dict):
            data = base64.b64encode(json.dumps(message["data"]).encode()).decode()
            tree = {**tree, "message": {**message, "data": data}}
        return json.dumps(tree).encode()

    def answer(self, method: str, path: str, headers: dict[str, str]) -> ApiReply:
        """What the API says at `path`."""
        if not headers.get("authorization", "").startswith("Bearer "):
            return ApiReply(401, b'{"error": {"code": 401, "status": "UNAUTHENTICATED"}}')
        found = self._objects.get(path) if method == "GET" else None
        return ApiReply(200, json.dumps(found).encode()) if found else not_found()

    @staticmethod
    def broken(body: bytes) -> bytes:
        """The token names the subscription in the envelope; the break is in what the envelope holds."""
        whole = json.loads(body)
        data = whole["message"]["data"]
        return json.dumps({**whole, "message": {**whole["message"], "data": data[: len(data) // 8 * 4]}}).encode()

    def requests(self, fact: Fact) -> list[bytes]:
        if fact.dispute is not None:
            self._disputed[fact.dispute.id] = self.payment_id(fact.attempt)
        processed = {"processedEvent": {"eventTime": zulu(fact.attempt.at)}}
        match fact.kind:
            case FactKind.CAPTURED:
                renewed = fact.attempt.initiator is Initiator.MERCHANT
                self._order(fact, "PROCESSED", processed)
                return [self._subscription(fact, 2 if renewed else 4, "ACTIVE", order=True)]
            case FactKind.DECLINED:
                return [self._subscription(fact, 5, "ON_HOLD", order=False)]
            case FactKind.CANCELED:
                self._order(fact, "CANCELED", {"cancellationEvent": {"eventTime": zulu(fact.at)}})
                return [self._subscription(fact, 20, "PENDING_PURCHASE_CANCELED", order=True)]
            case FactKind.REFUNDED:
                part = {
                    "createTime": zulu(fact.at),
                    "processTime": zulu(fact.at),
                    "state": "PROCESSED_SUCCESSFULLY",
                    "refundDetails": {"total": _money(fact.amount or fact.attempt.amount)},
                }
                self._order(fact, "PARTIALLY_REFUNDED", processed | {"partialRefundEvents": [part]})
                return [self._voided(fact)]
            case FactKind.DISPUTE_OPENED:
                self._order(fact, "PENDING_REFUND", processed)
                review = {
                    "version": "1.0",
                    "pendingRefundToken": self.review_token(fact),
                    "orderId": self.payment_id(fact.attempt),
                    "refundReason": 7,
                }
                return [self._message(fact, pendingRefundReviewNotification=review)]
            case FactKind.DISPUTE_LOST:
                refund = {
                    "eventTime": zulu(fact.at),
                    "refundReason": "CHARGEBACK",
                    "refundDetails": {"total": _money(fact.attempt.amount)},
                }
                self._order(fact, "REFUNDED", processed | {"refundEvent": refund})
                return [self._voided(fact)]
            case FactKind.UNKNOWN_TYPE:
                return [self._message(fact, testNotification={"version": "1.0"})]
            case FactKind.AUTHORIZED | FactKind.FRAUD_WARNED | FactKind.DISPUTE_ANSWERED | FactKind.DISPUTE_WON:
                return []

    def _message(self, fact: Fact, **notification: Json) -> bytes:
        told = {
            "version": "1.0",
            "packageName": PACKAGE,
            "eventTimeMillis": str(unix(fact.at) * 1000),
            **notification,
        }
        (kind,) = notification
        message = {
            "data": base64.b64encode(json.dumps(told).encode()).decode(),
            "messageId": f"1{name('message', f'{kind}{once(fact)}', 15, _DIGITS)}",
            "publishTime": zulu(fact.at),
            "attributes": {},
        }
        return json.dumps({"message": message, "subscription": SUBSCRIPTION}).encode()

    def _subscription(self, fact: Fact, number: int, state: str, *, order: bool) -> bytes:
        attempt = fact.attempt
        token = f"t{name('token', attempt.id, 60)}"
        item: Json = {
            "productId": attempt.plan,
            "expiryTime": zulu(fact.at),
            "autoRenewingPlan": {"autoRenewEnabled": True, "recurringPrice": _money(attempt.amount)},
        }
        told: Json = {
            "kind": "androidpublisher#subscriptionPurchaseV2",
            "regionCode": attempt.country,
            "subscriptionState": f"SUBSCRIPTION_STATE_{state}",
            "externalAccountIdentifiers": {"obfuscatedExternalAccountId": attempt.customer},
            "lineItems": [item],
            "testPurchase": {},
        }
        if order:
            item["latestSuccessfulOrderId"] = told["latestOrderId"] = self.payment_id(attempt)
        self._objects[f"{_API}/purchases/subscriptionsv2/tokens/{token}"] = told
        notification = {"version": "1.0", "notificationType": number, "purchaseToken": token}
        return self._message(fact, subscriptionNotification=notification)

    def _voided(self, fact: Fact) -> bytes:
        voided = {
            "purchaseToken": f"t{name('token', fact.attempt.id, 60)}",
            "orderId": self.payment_id(fact.attempt),
            "productType": 1,
            "refundType": 1,
        }
        return self._message(fact, voidedPurchaseNotification=voided)

    def _order(self, fact: Fact, state: str, history: Json) -> None:
        own = self.payment_id(fact.attempt)
        self._objects[f"{_API}/orders/{own}"] = {
            "orderId": own,
            "purchaseToken": f"t{name('token', fact.attempt.id, 60)}",
            "state": state,
            "createTime": zulu(fact.attempt.at),
            "lastEventTime": zulu(fact.at),
            "buyerAddress": {"buyerCountry": fact.attempt.country},
            "total": _money(fact.attempt.amount),
            "orderDetails": {"taxInclusive": True},
            "orderHistory": history,
        }


def _money(money: Money) -> Json:
    scale = 10 ** exponent(money.currency)
    units, rest = divmod(money.minor, scale)
    return {"currencyCode": money.currency, "units": str(units), "nanos": rest * 10**9 // scale}


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def jwt(claims: Json, key: RSAPrivateKey, **head: Any) -> str:
    """`claims`, signed by `key` as Google's, whose name is `KEY_ID`."""
    message = ".".join(
        _base64(json.dumps(part).encode()) for part in ({"alg": "RS256", "kid": KEY_ID, "typ": "JWT", **head}, claims)
    )
    return f"{message}.{_base64(key.sign(message.encode(), PKCS1v15(), SHA256()))}"


def _kept(folder: Path) -> RSAPrivateKey:
    """The key in `folder`, made once; the list of certificates beside it is what Google serves."""
    key_file, certificates_file = folder / "google.key", folder / "certs.pem"
    if certificates_file.exists():
        found = load_pem_private_key(key_file.read_bytes(), None)
        assert isinstance(found, RSAPrivateKey), f"{key_file} is not a key that this simulator wrote"
        return found
    key = generate_private_key(public_exponent=65537, key_size=2048)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "federated-signon.system.gserviceaccount.com")])
    certificate = (
        x509.CertificateBuilder(subject_name=subject, issuer_name=subject, public_key=key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(_FROM)
        .not_valid_after(_UNTIL)
        .sign(key, SHA256())
    )
    _write(key_file, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    listed = {KEY_ID: certificate.public_bytes(Encoding.PEM).decode()}
    _write(certificates_file, json.dumps(listed).encode())  # last: it says that both are there
    return key


def _write(file: Path, content: bytes) -> None:
    """Whole or not at all, for readers in other processes."""
    draft = file.with_suffix(f".{os.getpid()}")
    draft.write_bytes(content)
    draft.replace(file)
