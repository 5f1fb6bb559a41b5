"""Mercado Pago: pokes whose signature covers an id and a time, and objects that are read back.

| fact | value |
|---|---|
| signed | `id:<data.id of the URL>;request-id:<x-request-id>;ts:<ts>;`, without what is absent, HMAC-SHA256, hex, in `x-signature: ts=<ts>,v1=<hex>` |
| key | the secret signature of the application's webhooks |
| not signed | **the whole body**, and the URL but for `data.id`: neither what kind of object it is nor what happened is proved. All of it is read back |
| the id's case | documentation lower-cases ids with letters, the official library does not: as received is tried first, then lower case |
| age | `ts` in seconds or in milliseconds (both are sent): at most 8 days before receipt, at most 5 minutes after |
| acknowledge | 200 or 201 within 22 s; tried again after 15 minutes, then ever more seldom, for about a week |
| rotation | one secret an application: renew it and keep both keys for the retries |
| identity | `x-request-id` and `data.id`; the signed time where there is no request id |
| amounts | decimal numbers in major units, read exactly |
| deadline | `date_documentation_deadline` of the chargeback; no answer is taken where it is not eligible for coverage or needs no documents |
| fetch-back | GET /v1/payments/{id}, /v1/chargebacks/{id}, /post-purchase/v1/claims/{id}; orders of both APIs, subscriptions with their charges, and a Point's intents lead to their payments |
| mode | `live_mode` of the object; the body's is not signed |
| fraud alert | `stop_delivery_op_wh` has no `data.id`, and names its payment only in the unsigned body: it is for a person to look at. It is **not** sent again if it is refused |
| merchant's own words | `metadata`: `customer_id`, `device_id`, `ip`, `initiator` (customer or merchant) |

Notifications of QR codes and of the older IPN are not signed: refused. An order of the Orders API (GET /v1/orders/{id},
topic `order`) has names of its own for its payments; `reference_id` is the payment's, as a Point's intent told it in
`payment.id`, and `case_id` the chargeback's. A payment of it that was paid and has no such name is unreadable. A topic that
is not known is for a person to look at. The buyer's documents and names are never kept.

Sources: Mercado Pago docs "Webhooks", "Chargebacks: manage", "Payment status", "How to migrate from the Payment Intent API
to the Orders API", "Checkout API: configure chargeback notifications", "Get order by ID", "Get reason for claim"; the official Python library's
validator, fixtures and entities. Not settled in public: the members of claims beyond status, stage, reason and resolution.
"""

import re
from datetime import datetime, timedelta
from urllib.parse import unquote_plus

from shared.domain.delivery import Credentials, Delivery, Verdict
from shared.domain.errors import Misconfigured, SignatureInvalid, Unreadable
from shared.domain.events import (
    ResourceChanged,
)
from shared.providers.kit.protocol import Answer, FetchCertificate, Normalized, Traits
from shared.providers.kit.reading import Node, opened, unix_milliseconds, unix_time, unreadable
from shared.providers.kit.signing import as_bytes, header, hex_text, is_text_key, matching_key

__all__ = ["opened"]

NAME = "mercadopago"
ANSWER = Answer()
SIGNED_HEADERS = ("x-signature", "x-request-id")
PAYLOAD_VERSION = (("api_version",),)
KEPT_QUERY = ("data.id", "type")
UNSIGNED = ("resource", "hint", "occurred_at")
OLDEST = timedelta(days=8)
SKEW = timedelta(minutes=5)
_MOST_FIELDS = 32

# What goes into the signed text, so that no id can pretend to be the next pair of it; and into an address.
ID = re.compile(r"[A-Za-z0-9_\-]{1,64}", flags=re.ASCII)
_REQUEST_ID = re.compile(r"[A-Za-z0-9_\-.]{1,128}", flags=re.ASCII)
_STAMP = re.compile(r"[0-9]{9,14}", flags=re.ASCII)
_MILLISECONDS_FROM = 10**11


def check_credentials(credentials: Credentials) -> None:
    for key_id, secret in credentials.keys.items():
        if not is_text_key(secret):
            raise Misconfigured(
                f"WEBHOOK_MERCADOPAGO key {key_id!r} is no secret signature: set it to the whole text",
                reason="bad_secret",
            )


def verify(delivery: Delivery, credentials: Credentials, fetch_certificate: FetchCertificate) -> Verdict:
    signature, request_id = header(delivery.headers, "x-signature"), header(delivery.headers, "x-request-id")
    if not signature:
        raise SignatureInvalid("no x-signature", reason="missing_signature")
    stamps: list[str] = []
    offered: list[str] = []
    for part in signature.split(",", 8):
        name, _, value = part.strip().partition("=")
        if name == "ts":
            stamps.append(value)
        elif name == "v1":
            offered.append(value.lower())
    own = _data_id(delivery)
    # Two of anything would leave open which one was judged and which one was signed.
    if len(stamps) != 1 or not offered or not _STAMP.fullmatch(stamps[0]):
        raise SignatureInvalid("not one time and a v1 signature", reason="malformed_signature")
    if own is None or not (own or request_id) or (request_id and not _REQUEST_ID.fullmatch(request_id)):
        raise SignatureInvalid("no id that could have been signed", reason="malformed_signature")
    keys = {key_id: as_bytes(secret) for key_id, secret in credentials.keys.items()}
    rest = f"request-id:{request_id};ts:{stamps[0]};" if request_id else f"ts:{stamps[0]};"
    key_id = None
    for form in dict.fromkeys((own, own.lower())):
        manifest = f"id:{form};{rest}" if form else rest
        key_id = key_id or matching_key(keys, manifest.encode("ascii"), offered, hex_text)
    if key_id is None:
        raise SignatureInvalid("no signature matches", reason="signature_mismatch")
    number = int(stamps[0])
    signed_at = unix_milliseconds(number) if number > _MILLISECONDS_FROM else unix_time(number)
    if signed_at is None or not -SKEW <= delivery.received_at - signed_at <= OLDEST:
        raise SignatureInvalid("not signed in the last eight days", reason="outside_tolerance")
    return Verdict(key_ids=(key_id,), signed_at=signed_at, unsigned=UNSIGNED)


def _query(delivery: Delivery) -> list[tuple[str, str]] | None:
    parts = delivery.query.split("&", _MOST_FIELDS)
    if len(parts) > _MOST_FIELDS:
        return None
    decoded = unquote_plus if "%" in delivery.query or "+" in delivery.query else str
    return [(decoded(name), decoded(value)) for name, _, value in (part.partition("=") for part in parts)]


def _data_id(delivery: Delivery) -> str | None:
    """The id that the URL names once and only once; empty where it names none; None where it is no id."""
    query = _query(delivery)
    if query is None:
        return None
    found = [value for name, value in query if name == "data.id"]
    if not found:
        return ""
    return found[0] if len(found) == 1 and ID.fullmatch(found[0]) else None


TOPICS = {
    "payment": "payments",
    "topic_chargebacks_wh": "chargebacks",
    "chargebacks": "chargebacks",
    "topic_claims_integration_wh": "claims",
    "claim": "claims",
    "order": "orders",
    "orders": "orders",
    "topic_merchant_order_wh": "merchant_orders",
    "merchant_order": "merchant_orders",
    "subscription_authorized_payment": "authorized_payments",
    "subscription_preapproval": "preapprovals",
    "subscription": "preapprovals",
    "point_integration_wh": "intents",
}
# What tells of applications, wallets, cards on file, plans and parcels says nothing about money.
IGNORED = frozenset(
    {
        *("mp-connect", "wallet_connect", "automatic-payments", "topic_card_id_wh"),
        *("plan", "subscription_preapproval_plan", "delivery", "test"),
    }
)
FRAUD_ALERTS = ("stop_delivery_op_wh", "delivery_cancellation")


def normalize(delivery: Delivery, verdict: Verdict, credentials: Credentials) -> Normalized:
    own = _data_id(delivery)
    if own is None:
        raise unreadable("query.data.id", "missing", "missing_field")
    lines: tuple[str, ...] = ()
    try:
        body = opened(delivery)
    except Unreadable as error:
        # Nothing of it is signed: what the URL signs and says is enough to read the object back.
        body, lines = Node({}, ""), (str(error),)
    query = Node(dict(_query(delivery) or ()), "query")
    topic = body.hint("type") or body.hint("topic") or query.hint("type") or "unnamed"
    topic = topic if ID.fullmatch(topic) else "unnamed"
    request_id = header(delivery.headers, "x-request-id")
    if not _REQUEST_ID.fullmatch(request_id):
        request_id = f"at-{verdict.signed_at.timestamp():.3f}" if verdict.signed_at else ""
    delivery_id = f"{NAME}:{credentials.account}:{own}.{request_id}"
    if topic in FRAUD_ALERTS:
        line = "body: a fraud alert that nobody signed: ship nothing until a person looked at it"
        return Normalized(delivery_id, types=(topic,), unreadable=(*lines, line))
    resource = TOPICS.get(topic)
    if not own and (resource or topic == "unnamed"):
        raise unreadable("query.data.id", "missing", "missing_field")
    if resource is None:
        if topic not in IGNORED:
            lines = (*lines, "body.type: a kind of object that cannot be read back: look what became of it")
        return Normalized(delivery_id, types=(topic,), ignored=(topic,), unreadable=lines)
    poke = ResourceChanged(
        event_id=delivery_id,
        provider=NAME,
        account=credentials.account,
        occurred_at=_told_at(body) or verdict.signed_at or delivery.received_at,
        delivery_id=delivery_id,
        livemode=credentials.live,
        unsigned=verdict.unsigned,
        resource=resource,
        resource_id=own,
        hint=body.hint("action"),
    )
    return Normalized(delivery_id, events=(poke,), types=(topic,), unreadable=lines)


def _told_at(body: Node) -> datetime | None:
    try:
        return body.instant("date_created")
    except Unreadable:
        return None


WORDS = {"type": (*TOPICS, *FRAUD_ALERTS, *IGNORED)}
TRAITS = Traits(
    scheme="HMAC-SHA256 of the id and the time, not of the body",
    replay="signed time −8 d … +5 min, request id",
    rotation="keep both secrets for the retries",
    ack_seconds=22,
    retry_days=7,
    deadline="date_documentation_deadline",
    response_api="POST /v1/chargebacks/{id}/documentation",
    fetch_back=True,
    payments=[topic for topic, resource in TOPICS.items() if resource not in ("chargebacks", "claims")],
    refunds=("payment",),
    disputes=[topic for topic, resource in TOPICS.items() if resource in ("chargebacks", "claims")],
    warnings=FRAUD_ALERTS,
)
