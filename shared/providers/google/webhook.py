"""Google Play: real-time developer notifications, pushed by Pub/Sub with a token that proves the sender.

| fact | value |
|---|---|
| signed | nothing of the message: `Authorization: Bearer <JWT>` proves that Google sent the request for a service account of ours |
| token | RS256 whatever it offers, by a certificate that Google lists under its key id; issued by accounts.google.com, for our audience, its e-mail verified and one that is configured: any Google customer can get a token for our audience, but not with our e-mail |
| key | `<push service account's e-mail>`, or `<e-mail> <projects/…/subscriptions/…>` to take that subscription's messages only |
| audience | `url` among the credentials, as it stands in the push subscription (its endpoint's URL, where nothing else is set) |
| not signed | **the whole body**: which purchase and what happened are read back from the API |
| age | the token lives for an hour; one minute of skew |
| acknowledge | 102, 200, 201, 202 or 204, within the subscription's acknowledgement deadline (10 s, unless it is set); anything else is sent again with growing pauses while the subscription keeps it (7 days) |
| rotation | two service accounts, and two subscriptions, may push at once. Google's own certificates change every few days and are fetched anew every hour |
| identity | `messageId`, and the package as the account; the same news may be published twice, and is known by the order's state |
| amounts | none in the message; the order has units and nanos of the major unit |
| deadline | none in the message: 24 hours from a review of a refund, as Google's documentation says |
| fetch-back | purchases.subscriptionsv2.get or productsv2.getproductpurchasev2 names the order, orders.get tells its money; with our service account's own token |
| not told | cards, e-mail addresses, why a renewal failed |

Names: a payment is its order; renewals end in `..0`, `..1`, …. A renewal that failed has no order yet: it goes by its
subscription's order and the date it was due. A voided purchase does not say whether it was refunded or charged back:
its order does. A review of a refund (July 2026: a customer's chargeback, before it is granted) is an inquiry; that
an order's refund is pending is what proves it, for the notification proves nothing. Its `pendingRefundToken`, which an answer has
to name, is passed on: whether it is Google's only Google can tell, who refuses any other.

Sources: Android docs "Real-time developer notifications reference"; Android Publisher API v3 (orders, purchases);
Google Cloud docs "Push subscriptions: authentication"; google-auth. Not settled in public: what states an order under
review may have but PENDING_REFUND.
"""

import base64
import binascii
import json
import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from shared.domain.delivery import Credentials, Delivery, Verdict
from shared.domain.errors import Misconfigured, SignatureInvalid, Unavailable, Unreadable
from shared.domain.events import (
    ResourceChanged,
)
from shared.domain.privacy import holds_personal
from shared.providers.kit.protocol import Answer, FetchCertificate, Normalized, Traits
from shared.providers.kit.reading import Node, parse, unix_milliseconds, unix_time, unreadable
from shared.providers.kit.signing import base64url, header

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

NAME = "google"
ANSWER = Answer(status=204)
SIGNED_HEADERS = ()
PAYLOAD_VERSION = (("message", "data", "version"),)
UNSIGNED = ("event_id", "account", "occurred_at", "resource", "resource_id", "hint")
CERTIFICATES = "https://www.googleapis.com/oauth2/v1/certs"
ISSUERS = frozenset({"accounts.google.com", "https://accounts.google.com"})
SKEW = timedelta(minutes=1)
LONGEST_LIFE = timedelta(hours=1)

_KEY = re.compile(
    r"[A-Za-z0-9._\-]+@[A-Za-z0-9.\-]+\.[a-z]+(?: projects/[A-Za-z0-9.:\-]+/subscriptions/[A-Za-z0-9._~+%\-]+)?",
    flags=re.ASCII,
)
_URL = re.compile(r"[!-~]{1,500}", flags=re.ASCII)
PACKAGE = re.compile(r"[A-Za-z][A-Za-z0-9_]*(?:\.[A-Za-z][A-Za-z0-9_]*)+", flags=re.ASCII)
ORDER_ID = re.compile(r"[A-Z]{2,8}\.[A-Za-z0-9_\-]{1,40}(?:\.\.[0-9]{1,6})?", flags=re.ASCII)
_TOKEN = re.compile(r"(?=.*[A-Za-z])[A-Za-z0-9][A-Za-z0-9._\-]{0,999}", flags=re.ASCII)
REVIEW_TOKEN = re.compile(r"(?=.*[A-Za-z])[A-Za-z0-9][A-Za-z0-9._~:+/=\-]{0,999}", flags=re.ASCII)
_STAMP = re.compile(r"[0-9]{1,15}", flags=re.ASCII)
_MESSAGE_ID = re.compile(r"[A-Za-z0-9_\-]{1,64}", flags=re.ASCII)


def check_credentials(credentials: Credentials) -> None:
    for key_id, key in credentials.keys.items():
        if not _KEY.fullmatch(key):
            raise Misconfigured(
                f"WEBHOOK_GOOGLE key {key_id!r} names no sender: set it to the push service account's e-mail address,"
                " and after a space the subscription's full name if you like",
                reason="bad_secret",
            )
    if not _URL.fullmatch(credentials.url):
        raise Misconfigured(
            "WEBHOOK_GOOGLE has no url: set it to the push subscription's audience", reason="missing_url"
        )


def verify(delivery: Delivery, credentials: Credentials, fetch_certificate: FetchCertificate) -> Verdict:
    scheme, _, token = header(delivery.headers, "authorization").partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise SignatureInvalid("no bearer token", reason="missing_signature")
    parts = token.strip().split(".")
    decoded = [base64url(part) for part in parts]
    if len(parts) != 3 or not all(decoded):
        raise SignatureInvalid("not a JWT", reason="malformed_signature")
    head, claims = _json(decoded[0]), _json(decoded[1])
    if head.raw("alg") != "RS256" or head.raw("crit") is not None:
        raise SignatureInvalid("signed with another algorithm than RS256", reason="wrong_algorithm")
    issued, expires = (_time(claims.raw(name)) for name in ("iat", "exp"))
    if issued is None or expires is None:
        raise SignatureInvalid("a token without its times", reason="malformed_signature")
    if not issued - SKEW <= delivery.received_at <= min(expires, issued + LONGEST_LIFE) + SKEW:
        raise SignatureInvalid("a token of another time", reason="outside_tolerance")
    if claims.raw("iss") not in ISSUERS or claims.raw("email_verified") is not True:
        raise SignatureInvalid("a token that Google did not issue so", reason="wrong_issuer")
    if not credentials.url or claims.raw("aud") != credentials.url:
        raise SignatureInvalid("a token for another audience", reason="wrong_audience")
    subscription = _subscription(delivery)
    found = [key_id for key_id, key in credentials.keys.items() if _names(key, claims.raw("email"), subscription)]
    if not found:
        raise SignatureInvalid("a token of another sender", reason="signature_mismatch")
    # Which certificates are asked for does not depend on the sender: nobody can make us fetch more than once an hour.
    certificates = fetch_certificate(f"{CERTIFICATES}#{delivery.received_at:%Y%m%d%H}")
    key = _keys(certificates).get(str(head.raw("kid")))
    if key is None or not _signed(key, decoded[2] or b"", f"{parts[0]}.{parts[1]}".encode("ascii")):
        raise SignatureInvalid("no signature matches", reason="signature_mismatch")
    return Verdict(key_ids=(found[0],), signed_at=issued, unsigned=UNSIGNED)


def _json(data: bytes | None) -> Node:
    try:
        return parse(data or b"")
    except Unreadable:
        raise SignatureInvalid("not a JWT", reason="malformed_signature") from None


def _time(value: Any) -> datetime | None:
    return unix_time(value) if type(value) is int else None


def _names(key: str, email: Any, subscription: Any) -> bool:
    sender, _, wanted = key.partition(" ")
    return bool(sender) and email == sender and (not wanted or subscription in (wanted, _UNREADABLE))


_UNREADABLE = object()


def _subscription(delivery: Delivery) -> Any:
    """The subscription that the body names. What cannot be read names none: it is kept for a person, and acted upon by nobody."""
    try:
        return parse(delivery.body).raw("subscription")
    except Unreadable:
        return _UNREADABLE


@lru_cache(maxsize=4)
def _keys(certificates: bytes) -> "Mapping[str, RSAPublicKey]":
    """Key id to key. Raises Unavailable for what is no list of certificates: the sender cannot help it."""
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
    from cryptography.x509 import load_pem_x509_certificate

    try:
        listed = json.loads(certificates)
        keys = {key_id: load_pem_x509_certificate(pem.encode()).public_key() for key_id, pem in listed.items()}
    except (ValueError, AttributeError, TypeError) as error:
        raise Unavailable("Google's certificates cannot be read", reason="certificate_unavailable") from error
    return {key_id: key for key_id, key in keys.items() if isinstance(key, RSAPublicKey) and key.key_size >= 2048}


def _signed(key: "RSAPublicKey", signature: bytes, message: bytes) -> bool:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
    from cryptography.hazmat.primitives.hashes import SHA256

    try:
        key.verify(signature, message, PKCS1v15(), SHA256())
    except InvalidSignature:
        return False
    return True


def opened(delivery: Delivery) -> Node:
    """The push request, with what is in the message as the object that it is. Raises Unreadable."""
    found: Node | None = delivery.memo.get("opened")
    if found is None:
        whole = parse(delivery.body)
        data = whole.raw("message", "data")
        try:
            inner = base64.b64decode(data, validate=True) if type(data) is str else b""
        except (binascii.Error, ValueError):
            raise unreadable("message.data", "not base64", "not_base64") from None
        try:
            told = parse(inner).value
        except Unreadable as error:
            raise unreadable("message.data", str(error).partition(": ")[2], error.reason) from None
        found = Node({**whole.value, "message": {**whole.at("message").value, "data": told}}, "")
        delivery.memo["opened"] = found
    return found


# Types of subscriptionNotification after which money has moved, or has not although it was due. One that is not known
# may be such a type: the purchase is read back all the same.
FOLLOWED = {
    1: "recovered",
    2: "renewed",
    3: "canceled",
    4: "purchased",
    5: "on_hold",
    6: "in_grace_period",
    12: "revoked",
    13: "expired",
    17: "items_changed",
    20: "pending_purchase_canceled",
}
# Restarted, a new price or a later date agreed to, paused or to be, canceled later, pending items changed.
NO_MONEY = frozenset({"7", "8", "9", "10", "11", "18", "19", "22"})
PRODUCTS = {1: "purchased", 2: "canceled"}
REVIEW = "pending_refund_review"
UNNAMED = "unnamed"


def normalize(delivery: Delivery, verdict: Verdict, credentials: Credentials) -> Normalized:
    message = opened(delivery).at("message")
    told = message.at("data")
    package = matching(told, PACKAGE, "packageName")
    message_id = message.raw("messageId") or message.raw("message_id")
    if type(message_id) is not str or not _MESSAGE_ID.fullmatch(message_id):
        raise unreadable("message.messageId", "missing", "missing_field")
    delivery_id = f"{NAME}:{package}:{message_id}"
    kind, resource, member, hint = _kind(told)
    if resource is None:
        lines = ("message.data: a kind of notification that we do not know",) if kind == UNNAMED else ()
        return Normalized(delivery_id, types=(kind,), ignored=(kind,), unreadable=lines)
    happened = told.raw("eventTimeMillis")
    stamp = int(happened) if type(happened) is str and _STAMP.fullmatch(happened) else happened
    occurred_at = unix_milliseconds(stamp) if type(stamp) is int and stamp < 10**15 else None
    if occurred_at is None:
        raise unreadable("message.data.eventTimeMillis", "not a time of this century", "unreadable_time")
    poke = ResourceChanged(
        event_id=delivery_id,
        provider=NAME,
        account=package,
        occurred_at=occurred_at,
        delivery_id=delivery_id,
        livemode=credentials.live,
        unsigned=verdict.unsigned,
        resource=resource,
        resource_id=matching(told, PATTERNS[resource], *member),
        hint=hint,
    )
    return Normalized(delivery_id, events=(poke,), types=(kind,))


def _kind(told: Node) -> tuple[str, str | None, tuple[str, ...], str | None]:
    """(name, kind of object to read or None, where its id is, what is said to have happened)."""
    subscription, product = told.at("subscriptionNotification"), told.at("oneTimeProductNotification")
    voided, review = told.at("voidedPurchaseNotification"), told.at("pendingRefundReviewNotification")
    if subscription.value:
        number = subscription.raw("notificationType")
        name = (FOLLOWED.get(number) if type(number) is int else None) or _number(number)
        where = ("subscriptionNotification", "purchaseToken")
        return f"subscription.{name}", None if name in NO_MONEY else "subscriptions", where, name
    if product.value:
        number = product.raw("notificationType")
        name = (PRODUCTS.get(number) if type(number) is int else None) or _number(number)
        return f"product.{name}", "products", ("oneTimeProductNotification", "purchaseToken"), name
    if voided.value:
        return "voided_purchase", "orders", ("voidedPurchaseNotification", "orderId"), "voided"
    if review.value:
        return REVIEW, "orders", ("pendingRefundReviewNotification", "orderId"), _review(review)
    return ("test" if told.at("testNotification").value else UNNAMED), None, (), None


def _review(review: Node) -> str:
    """What an answer to it has to name stands behind the word."""
    token = review.raw("pendingRefundToken")
    usable = type(token) is str and REVIEW_TOKEN.fullmatch(token) and not holds_personal(token)
    return f"{REVIEW} {token}" if usable else REVIEW


def _number(value: Any) -> str:
    return str(value) if type(value) is int and 0 <= value < 1000 else UNNAMED


def matching(node: Node, pattern: re.Pattern[str], *keys: str) -> str:
    """The text there, if it is as such an id is written; never a card's number, and harmless in an address."""
    value = node.raw(*keys)
    if type(value) is not str or not pattern.fullmatch(value):
        raise unreadable(node.where(*keys), "not an id of Google's", "unreadable_id")
    return value


PATTERNS = {"subscriptions": _TOKEN, "products": _TOKEN, "orders": ORDER_ID}


# Subscriptions


# Orders


WORDS: dict[str, tuple[str, ...]] = {}
TRAITS = Traits(
    scheme="OIDC token of the sender; the body is unsigned",
    replay="signed time (the token's) −1 … +61 min, message id",
    rotation="two service accounts at once",
    retry_days=7,
    deadline="24 h after a refund's review began",
    response_api="POST orders/{id}:reviewrefund",
    fetch_back=True,
    verified_again="no: the token is not kept",
    payments=[
        *(f"subscription.{name}" for name in FOLLOWED.values()),
        *(f"product.{name}" for name in PRODUCTS.values()),
    ],
    refunds=("voided_purchase",),
    disputes=("voided_purchase", REVIEW),
)
