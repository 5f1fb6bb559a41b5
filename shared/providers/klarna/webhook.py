"""Klarna: notifications of the Klarna Network, signed over the raw body, and the unsigned pushes of its older APIs.

| fact | value |
|---|---|
| signed | the raw body, HMAC-SHA256, in `Klarna-Signature`, with the key named by `Klarna-Signing-Key-Id`. The docs do not say how it is written: Klarna's partner's plugin for WooCommerce compares hex, and base64 is taken too, for it proves as much |
| key | the signing key as it is written; up to 50 may live. The key id is Klarna's |
| not signed | nothing of the body |
| age | the scheme has no time: a delivery replays for ever, and only its event id stops it |
| acknowledge | 200, 201, 202 or 204, how soon is not said; otherwise retried with growing delay for up to 12 h, then failed for good |
| rotation | by key id, both live as long as one likes |
| identity | `metadata.event_id` |
| mode | `metadata.live` |
| amounts | integers in minor units, as ISO 4217 |
| deadline | `representment.expires_at`, moved by `evidence_response_deadline_at`; for the appeal `arbitration_expires_at`; instants, but one of the reference's examples has no zone: then the earliest that it can mean |
| fetch-back | GET /ordermanagement/v1/orders/{id} of the European API, for pushes; API_KLARNA's key is `<username>:<password>` |
| not told | captures and refunds, but for orders that are read back; early fraud warnings; what a dispute took or gave back: when Klarna debits it is a matter of the contract, and the closing message has no amount |

Pushes (Order Management, Checkout, Payments, Hosted Payment Page) are not signed at all: `?klarna_order_id=…`,
`{"order_id", "event_type"}` or `{"session": {"order_id"}}`; one that names no order is unreadable, so a person is told. They are taken only from where a key id `push` is configured, by deliveries whose URL
carries its secret as `key=`: give Klarna such a URL as the merchant URL, and know that access logs hold URLs. What they
say is a poke all the same: the order is to be read back, and nothing else follows. A push has no id, so every one is an
event of its own; its URL is not stored, so a stored one cannot be verified again.

Names: a payment is its payment request, with the payment transaction that comes of it as an alias; disputes name the
transaction. What is read back is an order, which goes by its own id, its captures' ids are aliases. At Klarna PRE_ARBITRATION is a preliminary loss that may be appealed, and ARBITRATION the appeal.

Sources: Klarna docs "Webhooks", "Disputes: states", "Integrate disputes notifications", "Monitor the payment request
state"; its notifications, disputes and Order Management APIs' reference; the SDK generated from it; krokedil's plugins.
"""

import base64
import hmac
import re
from collections.abc import Collection
from datetime import datetime
from urllib.parse import parse_qsl

from shared.domain.delivery import Credentials, Delivery, Verdict
from shared.domain.errors import Misconfigured, SignatureInvalid, Unreadable
from shared.domain.events import (
    AnyEvent,
    DisputeChanged,
    DisputeReason,
    DisputeStage,
    DisputeStatus,
    PaymentChanged,
    PaymentStep,
    ResourceChanged,
)
from shared.domain.money import Money
from shared.providers.kit.envelope import Base
from shared.providers.kit.protocol import Answer, FetchCertificate, Normalized, Traits
from shared.providers.kit.reading import Node, minor_money, opened, unreadable
from shared.providers.kit.signing import as_bytes, header, hex_text, is_text_key, matching_key

NAME = "klarna"
ANSWER = Answer()
SIGNED_HEADERS = ("klarna-signature", "klarna-signing-key-id")
PAYLOAD_VERSION = (("metadata", "event_version"),)
KEPT_QUERY = ("klarna_order_id",)
PUSH = "push"
"""The key id whose secret is in the URL of pushes."""
PUSH_UNSIGNED = ("occurred_at", "resource", "resource_id", "hint")
_MOST_FIELDS = 16
ORDER_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_\-]{0,63}", flags=re.ASCII)


def check_credentials(credentials: Credentials) -> None:
    for key_id, secret in credentials.keys.items():
        if not is_text_key(secret):
            raise Misconfigured(
                f"WEBHOOK_KLARNA key {key_id!r} is no signing key: set Klarna's signing key id and key, or {PUSH!r} and"
                " 16 characters or more of your own for the URL of pushes",
                reason="bad_secret",
            )


def verify(delivery: Delivery, credentials: Credentials, fetch_certificate: FetchCertificate) -> Verdict:
    offered, signed_with = (header(delivery.headers, name) for name in SIGNED_HEADERS)
    if not offered and not signed_with:
        return _pushed(delivery, credentials)
    if not offered or not signed_with:
        raise SignatureInvalid("a signature without a key id, or the reverse", reason="missing_signature")
    keys = {
        key_id: as_bytes(secret)
        for key_id, secret in credentials.keys.items()
        if key_id == signed_with and key_id != PUSH
    }
    key_id = matching_key(keys, delivery.body, [offered.lower()], hex_text)
    key_id = key_id or matching_key(keys, delivery.body, [offered], base64.b64encode)
    if key_id is None:
        raise SignatureInvalid("no signature matches", reason="signature_mismatch")
    return Verdict(key_ids=(key_id,))


def _pushed(delivery: Delivery, credentials: Credentials) -> Verdict:
    """A delivery whose URL only Klarna was told. Raises SignatureInvalid."""
    expected, given = as_bytes(credentials.keys.get(PUSH, "")), as_bytes(_query(delivery).get("key", ""))
    if not hmac.compare_digest(expected, given) or not expected:
        raise SignatureInvalid("no Klarna-Signature", reason="missing_signature")
    return Verdict(key_ids=(PUSH,), unsigned=PUSH_UNSIGNED)


def _query(delivery: Delivery) -> dict[str, str]:
    try:
        return dict(parse_qsl(delivery.query, max_num_fields=_MOST_FIELDS))
    except ValueError:
        return {}


def normalize(delivery: Delivery, verdict: Verdict, credentials: Credentials) -> Normalized:
    if verdict.key_ids == (PUSH,):
        return _poke(delivery, verdict, credentials)
    event = opened(delivery)
    metadata, payload = event.at("metadata"), event.at("payload")
    kind = metadata.word("event_type")
    livemode = metadata.flag("live")
    delivery_id = f"{NAME}:{credentials.account}:{metadata.word('event_id')}"
    family, _, change = kind.rpartition(".")
    base: Base = {
        "event_id": delivery_id,
        "provider": NAME,
        "account": credentials.account,
        "delivery_id": delivery_id,
        "livemode": credentials.live if livemode is None else livemode,
        "unsigned": verdict.unsigned,
    }
    lines: list[str] = []
    found: AnyEvent | None = None
    if family == "payment.request.state-change" and change in STEPS:
        found = _payment(_needed(payload), STEPS[change], base | {"occurred_at": metadata.instant("occurred_at")})
    elif kind.startswith(("payment.dispute.state-change.", "payment.dispute.updated.")):
        moved = family == "payment.dispute.state-change"
        dated = base | {"occurred_at": metadata.instant("occurred_at")}
        found = _dispute(_needed(payload), change if moved else None, dated, lines)
    if found is None:
        return Normalized(delivery_id, types=(kind,), livemode=livemode, ignored=(kind,))
    lines.extend(event.doubts)
    return Normalized(delivery_id, events=(found,), types=(kind,), livemode=livemode, unreadable=tuple(lines))


def _needed(payload: Node) -> Node:
    if not payload.value:
        raise unreadable(payload.path, "missing", "missing_field")
    return payload


def _poke(delivery: Delivery, verdict: Verdict, credentials: Credentials) -> Normalized:
    query = Node(_query(delivery), "query")
    try:
        body = opened(delivery)
    except Unreadable:
        body = Node({}, "body")  # a push by URL has no body to speak of
    # A hosted payment page tells of its session, which names the order once there is one.
    named = next((node for node in (body, body.at("session")) if node.raw("order_id") is not None), None)
    order = named.word("order_id") if named else query.word("klarna_order_id")
    hint = body.hint("event_type")
    at: datetime = delivery.received_at
    delivery_id = f"{NAME}:{credentials.account}:push.{order}.{hint or ''}.{at.isoformat()}"
    poke = ResourceChanged(
        event_id=delivery_id,
        provider=NAME,
        account=credentials.account,
        occurred_at=at,
        delivery_id=delivery_id,
        livemode=credentials.live,
        unsigned=verdict.unsigned,
        resource="order",
        resource_id=order,
        hint=hint,
    )
    return Normalized(delivery_id, events=(poke,), types=(f"push.{hint}" if hint else PUSH,))


# Payments

STEPS = {
    "submitted": PaymentStep.PENDING,
    "prepared": PaymentStep.PENDING,
    "in-progress": PaymentStep.PENDING,
    "pending-confirmation": PaymentStep.PENDING,
    # The customer has agreed; the transaction is still to be authorized with the token that came of it.
    "completed": PaymentStep.PENDING,
    "authorized": PaymentStep.AUTHORIZED,
    "declined": PaymentStep.DECLINED,
    "canceled": PaymentStep.CANCELED,
    "expired": PaymentStep.CANCELED,
}
TRANSACTIONS = ("payment_transaction_id", "payment_authorization_id")


def _money(node: Node, *names: str) -> Money | None:
    name = next((name for name in names if node.raw(name) is not None), None)
    return minor_money(node, name, "currency", {}) if name and node.raw("currency") is not None else None


def _payment(request: Node, step: PaymentStep, base: Base) -> AnyEvent:
    context, profile = request.at("state_context"), request.at("klarna_customer", "customer_profile")
    aliases = [node.maybe_text(name) for node in (request, context) for name in TRANSACTIONS]
    email_hash, email_domain = profile.email("email")
    return PaymentChanged(
        **base,
        payment_id=request.text("payment_request_id"),
        aliases=tuple(dict.fromkeys(alias for alias in aliases if alias)),
        step=step,
        amount=_money(request, "payment_amount", "amount", "purchase_amount"),
        merchant_reference=request.first_hint("payment_request_reference", "purchase_reference"),
        method="klarna",
        email_hash=email_hash,
        email_domain=email_domain,
        billing_country=profile.hint("address", "country"),
    )


# Disputes

STATES = {
    "initiated": (DisputeStage.CHARGEBACK, DisputeStatus.NEEDS_RESPONSE),
    "representment": (DisputeStage.CHARGEBACK, DisputeStatus.UNDER_REVIEW),
    "pre-arbitration": (DisputeStage.PRE_ARBITRATION, DisputeStatus.NEEDS_RESPONSE),
    "arbitration": (DisputeStage.ARBITRATION, DisputeStatus.UNDER_REVIEW),
}
OUTCOMES = {"WON": DisputeStatus.WON, "LOST": DisputeStatus.LOST}
# Klarna calls it won too when the customer gives up; its detailed outcomes are no closed list in public.
WITHDRAWN = ("WITHDR", "CANCEL")
# The newer API's reasons, then older ones.
REASONS = {
    "refund_not_processed": DisputeReason.CREDIT_NOT_PROCESSED,
    "products_or_services_not_received": DisputeReason.NOT_RECEIVED,
    "products_defective_or_not_as_described": DisputeReason.NOT_AS_DESCRIBED,
    "incorrect_amount": DisputeReason.OTHER,
    "purchase_high_risk": DisputeReason.FRAUD,
    "purchase_unauthorized": DisputeReason.FRAUD,
    "non_compliance": DisputeReason.OTHER,
    "non_guaranteed_payment_program": DisputeReason.OTHER,
    "fraud": DisputeReason.FRAUD,
    "high_risk_order": DisputeReason.FRAUD,
    "unauthorized_purchase": DisputeReason.FRAUD,
    "goods_not_received": DisputeReason.NOT_RECEIVED,
    "faulty_goods": DisputeReason.NOT_AS_DESCRIBED,
    "already_paid": DisputeReason.DUPLICATE,
    "return": DisputeReason.CREDIT_NOT_PROCESSED,
}
# What became of Klarna's request for evidence: whether it can still be answered.
REQUESTS = {
    "EVIDENCE_REQUESTED": True,
    "EVIDENCE_RECEIVED": False,
    "EVIDENCE_REQUEST_EXPIRED": False,
    "EVIDENCE_WAIVED": False,
    "REPRESENTMENT_AUTOMATICALLY_REJECTED": False,
}
DEADLINES = (
    ("updated_fields", "evidence_response_deadline_at"),
    ("representment", "expires_at"),
    ("arbitration_expires_at",),
    ("expires_at",),
)


def _dispute(dispute: Node, change: str | None, base: Base, lines: list[str]) -> AnyEvent:
    """`change`: the state that it has moved to; None where something else of it was updated."""
    # Newer versions of the API keep what belongs to the state in an object of its own.
    places = (dispute, dispute.at("state_context"))
    stage, status = STATES.get(change or "", (None, None))
    outcome = next((word for node in places if (word := node.hint("dispute_outcome"))), None)
    if change == "closed":
        status = OUTCOMES.get(outcome or "")
        detailed = next((word for node in places if (word := node.hint("dispute_outcome_detailed"))), "")
        if status is DisputeStatus.WON and any(part in detailed.upper() for part in WITHDRAWN):
            status = DisputeStatus.CLOSED
        if status is None:
            lines.append(f"{dispute.where('dispute_outcome')}: an outcome that we do not know")
    elif change is not None and status is None:
        lines.append("metadata.event_type: a state of disputes that we do not know")
    due = next(((node, keys) for keys in DEADLINES for node in places if node.raw(*keys) is not None), None)
    names = [dispute.maybe_text(name) for name in (*TRANSACTIONS, "order_id", "payment_capture_id")]
    payments = [name for name in names if name]
    reason, word = dispute.hint("dispute_reason"), dispute.hint("state")
    open_ = REQUESTS.get(dispute.hint("representment", "state") or "", True)
    return DisputeChanged(
        **base,
        dispute_id=dispute.text("payment_dispute_id"),
        payment_id=payments[0] if payments else None,
        payment_aliases=tuple(payments[1:]),
        stage=stage,
        status=status,
        status_unknown=change is not None and status is None,
        amount=_money(dispute.at("dispute_details"), "dispute_amount"),
        reason=REASONS.get(reason.lower(), DisputeReason.OTHER) if reason else None,
        reason_code=reason,
        **(due[0].deadline(*due[1]) if due else {}),
        can_respond=open_ if status is DisputeStatus.NEEDS_RESPONSE else None,
        provider_status=f"{word} {outcome}" if word and outcome else word,
        evidence_submitted=True if status is DisputeStatus.UNDER_REVIEW else None,
    )


WORDS: dict[str, Collection[str]] = {
    "payload.dispute_outcome": OUTCOMES,
    "payload.dispute_reason": REASONS,
    "payload.representment.state": REQUESTS,
}
TRAITS = Traits(
    scheme="HMAC-SHA256 of the body, by key id; pushes: a secret in the URL",
    replay="event id",
    rotation="any number of keys, by key id",
    retry_days=0.5,
    deadline="representment.expires_at",
    response_api="POST /disputes/{id}/represent",
    fetch_back=True,
    verified_again="yes; pushes no: their secret is not kept",
    payments=[f"payment.request.state-change.{state}" for state in STEPS],
    disputes=[
        *(f"payment.dispute.state-change.{state}" for state in (*STATES, "closed")),
        "payment.dispute.updated.*",
    ],
)
