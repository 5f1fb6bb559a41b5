"""Square: JSON events, signed over the notification URL and the raw body.

| fact | value |
|---|---|
| signed | the notification URL as it stands in the subscription, then the raw body, HMAC-SHA256, base64, in `x-square-hmacsha256-signature` |
| key | the subscription's signature key as it is written. Two subscriptions on one URL have two keys: list both |
| URL | `url` among the credentials, character for character (a slash at the end counts); never the request's Host. Several, with a space between, where two subscriptions send here under two URLs, or while one moves |
| not signed | nothing of the body; `x-square-signature` (SHA-1, deprecated) and the retry headers are not read |
| age | the scheme has no time: a delivery replays for ever, and only its event id stops it |
| acknowledge | any 2xx as soon as possible (older docs: 10 s); retried for 24 h (older docs: 72 h), then dropped |
| rotation | a new key replaces the old one at once; whether retries are signed anew is not said: keep both for 72 h |
| identity | `event_id`, and `merchant_id` as the account |
| amounts | integers in the currency's smallest unit, as ISO 4217 |
| deadline | `due_at`, an instant; without a zone the earliest that it can mean |
| answerable | not `EMV_LIABILITY_SHIFT`: Square does not challenge it, for it is decided by how the card was read |
| fetch-back | orders name themselves alone, invoices and terminals something else: GET /v2/orders/{id}, whose tenders are its payments, GET /v2/payments/{id} and /v2/refunds/{id}; API_SQUARE's key is an access token. Parcels of an order (`order.fulfillment.updated`) move no money |
| order | `created_at` of the event, which rises with the dispute's `version` |
| not told | early fraud warnings, the network's reason code, the customer's address on the internet or device |

Payments have two types of event, and their `status` says what happened. `dispute.state.changed` is the deprecated
name of `dispute.state.updated`. Examples of payout events are dated 1970: where an event's time is of no century of
ours, the object's own is taken.

Sources: Square docs "Validate webhook event notifications", "Troubleshoot webhooks", "Process disputes", "Payments
integration" (orders' tenders); Square community "Chip cards, chargebacks"; the enumerations, types and event examples of
Square's connect-api-specification and Python SDK.
"""

import base64
import re
from collections.abc import Callable
from typing import Any

from shared.domain.delivery import Credentials, Delivery, Verdict
from shared.domain.errors import Misconfigured, SignatureInvalid
from shared.domain.events import (
    AnyEvent,
    Card,
    DisputeChanged,
    DisputeReason,
    DisputeStage,
    DisputeStatus,
    Initiator,
    PaymentChanged,
    PaymentStep,
    PayoutChanged,
    ResourceChanged,
)
from shared.domain.money import Money
from shared.domain.privacy import holds_personal
from shared.providers.kit.envelope import Base, envelope
from shared.providers.kit.protocol import Answer, FetchCertificate, Normalized, Traits
from shared.providers.kit.reading import Node, first_email, minor_money, opened, rfc3339, unreadable
from shared.providers.kit.signing import as_bytes, check_text_keys, header, matching_key

NAME = "square"
ANSWER = Answer()
SIGNED_HEADERS = ("x-square-hmacsha256-signature",)
PAYLOAD_VERSION = ()

ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_\-]{0,254}", flags=re.ASCII)
_URL = re.compile(r"https?://[!-~]{1,500}", flags=re.ASCII)


def check_credentials(credentials: Credentials) -> None:
    check_text_keys(NAME, credentials, "is no signature key: set it to the subscription's, as it is written")
    if not all(_URL.fullmatch(url) for url in credentials.url.split(" ")):
        raise Misconfigured(
            "WEBHOOK_SQUARE has no url: set it to the subscription's notification URL, for Square signs that too",
            reason="missing_url",
        )


def verify(delivery: Delivery, credentials: Credentials, fetch_certificate: FetchCertificate) -> Verdict:
    offered = header(delivery.headers, "x-square-hmacsha256-signature")
    if not offered:
        raise SignatureInvalid("no x-square-hmacsha256-signature", reason="missing_signature")
    keys = {key_id: as_bytes(secret) for key_id, secret in credentials.keys.items()}
    for url in credentials.url.split(" "):
        key_id = matching_key(keys, as_bytes(url) + delivery.body, [offered], base64.b64encode)
        if key_id is not None:
            return Verdict(key_ids=(key_id,))
    raise SignatureInvalid("no signature matches", reason="signature_mismatch")


def normalize(delivery: Delivery, verdict: Verdict, credentials: Credentials) -> Normalized:
    event = opened(delivery)
    kind = event.word("type")
    account = event.maybe_text("merchant_id") or credentials.account
    delivery_id = f"{NAME}:{account}:{event.word('event_id')}"
    if kind in LEADING:
        pokes = _pokes(
            event, kind, envelope(NAME, delivery_id, event.instant("created_at"), verdict, credentials, account=account)
        )
        return Normalized(delivery_id, events=pokes, types=(kind,), ignored=() if pokes else (kind,))
    member, translate = TYPES.get(kind, ("", None))
    if translate is None:
        return Normalized(delivery_id, types=(kind,), ignored=(kind,))
    thing = event.at("data", "object", member)
    if not thing.value:
        raise unreadable(thing.path, "missing", "missing_field")
    times = (event.raw("created_at"), thing.raw("updated_at"), thing.raw("created_at"))
    occurred_at = next((at for text in times if type(text) is str and (at := rfc3339(text))), None)
    base = envelope(
        NAME, delivery_id, occurred_at or event.instant("created_at"), verdict, credentials, account=account
    )
    found = translate(thing, base)
    if found is None:
        return Normalized(delivery_id, types=(kind,), ignored=(kind,))
    lines: tuple[str, ...] = ()
    if isinstance(found, DisputeChanged) and found.status is None:
        lines = (f"{thing.where('state')}: a dispute state that we do not know",)
    return Normalized(delivery_id, events=(found,), types=(kind,), unreadable=(*lines, *event.doubts))


# What is paid or refunded by another object: its member, and what of it is to be read by which id.
LEADING = {
    "order.created": ("order_created", "orders", "order_id"),
    "order.updated": ("order_updated", "orders", "order_id"),
    "invoice.payment_made": ("invoice", "orders", "order_id"),
    "invoice.refunded": ("invoice", "orders", "order_id"),
    "terminal.checkout.updated": ("checkout", "payments", "payment_ids"),  # none until somebody has paid
    "terminal.refund.updated": ("refund", "payments", "payment_id"),
}


def _pokes(event: Node, kind: str, base: Base) -> tuple[ResourceChanged, ...]:
    member, resource, name = LEADING[kind]
    thing = event.at("data", "object", member)
    listed = thing.raw(name)
    named = listed if type(listed) is list or (listed is None and name == "payment_ids") else [listed]
    return tuple(
        ResourceChanged(
            **{**base, "event_id": f"{base['event_id']}:{own}"}, resource=resource, resource_id=own, hint=kind
        )
        for own in dict.fromkeys(checked(one, thing.where(name)) for one in named or ())
    )


def checked(value: Any, path: str) -> str:
    """An id that can go into an address as it is, and is no card's number. Raises Unreadable."""
    if type(value) is not str or not ID.fullmatch(value) or holds_personal(value):
        raise unreadable(path, "not an id of Square's", "unreadable_id")
    return value


def _money(node: Node, *names: str) -> Money | None:
    """The first of these that is there."""
    for name in names:
        money = node.at(name)
        if money.value:
            currency = "currency" if money.raw("currency") is not None else "currency_code"
            return minor_money(money, "amount", currency, {})
    return None


# Payments

STEPS = {
    "PENDING": PaymentStep.PENDING,
    "APPROVED": PaymentStep.AUTHORIZED,
    "COMPLETED": PaymentStep.CAPTURED,
    "CANCELED": PaymentStep.CANCELED,
    "FAILED": PaymentStep.DECLINED,
}
REFUND_STEPS = {
    "PENDING": PaymentStep.REFUND_PENDING,
    "APPROVED": PaymentStep.REFUND_PENDING,
    "COMPLETED": PaymentStep.REFUNDED,
    "REJECTED": PaymentStep.REFUND_FAILED,
    "FAILED": PaymentStep.REFUND_FAILED,
}
NETWORKS = {"american_express": "amex", "discover_diners": "diners", "china_unionpay": "unionpay"}
CHECKS = {"ACCEPTED": "match", "REJECTED": "mismatch", "NOT_CHECKED": "unchecked"}
# Codes that say that the same card will never be accepted.
HARD_DECLINES = frozenset(
    {
        "CARD_EXPIRED",
        "CARD_NOT_SUPPORTED",
        "INVALID_ACCOUNT",
        "INVALID_CARD",
        "INVALID_CARD_DATA",
        "INVALID_EXPIRATION",
        "PAN_FAILURE",
        "UNSUPPORTED_CARD_BRAND",
    }
)


def _network(word: str | None) -> str | None:
    return NETWORKS.get(word, word) if word else None


def payment_event(payment: Node, base: Base) -> AnyEvent:
    step = STEPS.get(payment.word("status"))
    if step is None:
        raise unreadable(payment.where("status"), "a payment status that we do not know", "unknown_status")
    own = payment.text("id")
    details = payment.at("card_details")
    card = details.at("card")
    later = payment.at("buy_now_pay_later_details")
    emails = (
        payment.email("buyer_email_address"),
        later.email("afterpay_details", "email_address"),
        later.email("clearpay_details", "email_address"),
    )
    email_hash, email_domain = first_email(emails)
    by_customer = payment.flag("customer_details", "customer_initiated")
    errors = [code for error in details.nodes("errors") if (code := error.hint("code"))]
    code = errors[0] if errors and step is PaymentStep.DECLINED else None
    method = payment.lowered("source_type")
    prepaid = card.hint("prepaid_type") == "PREPAID"
    return PaymentChanged(
        **base,
        payment_id=own,
        step=step,
        # The total includes the tip; every event repeats it, so it counts once, by the payment's own name.
        amount=_money(payment, "total_money", "amount_money"),
        reference=own,
        merchant_reference=payment.hint("reference_id"),
        method=method,
        card=Card(
            fingerprint=card.hint("fingerprint"),
            bin=card.digits("bin", least=6, most=8),
            last4=card.digits("last_4", least=4, most=4),
            network=_network(card.lowered("card_brand")),
            funding="prepaid" if prepaid else card.lowered("card_type"),
        )
        if card.value
        else None,
        customer_id=payment.customer("customer_id") or card.customer("customer_id"),
        email_hash=email_hash,
        email_domain=email_domain,
        billing_country=payment.hint("billing_address", "country")
        or card.hint("billing_address", "country")
        or payment.hint("wallet_details", "cash_app_details", "buyer_country_code"),
        initiator=None if by_customer is None else Initiator.CUSTOMER if by_customer else Initiator.MERCHANT,
        cvv_result=CHECKS.get((details.hint("cvv_status") or "").removeprefix("CVV_")),
        avs_result=CHECKS.get((details.hint("avs_status") or "").removeprefix("AVS_")),
        decline_code=code,
        hard_decline=code in HARD_DECLINES if code else None,
    )


def refund_event(refund: Node, base: Base) -> AnyEvent | None:
    """A refund of a payment; one that is linked to none gives money to a card that paid elsewhere."""
    payment_id = refund.maybe_text("payment_id")
    if payment_id is None:
        return None
    step = REFUND_STEPS.get(refund.word("status"))
    if step is None:
        raise unreadable(refund.where("status"), "a refund status that we do not know", "unknown_status")
    return PaymentChanged(
        **base, payment_id=payment_id, step=step, amount=_money(refund, "amount_money"), reference=refund.text("id")
    )


def _payout(payout: Node, base: Base) -> AnyEvent:
    return PayoutChanged(
        **base,
        payout_id=payout.text("id"),
        status=payout.word("status").lower(),
        amount=_money(payout, "amount_money"),
    )


# Disputes

STATES = {
    "INQUIRY_EVIDENCE_REQUIRED": (DisputeStage.INQUIRY, DisputeStatus.NEEDS_RESPONSE),
    "INQUIRY_PROCESSING": (DisputeStage.INQUIRY, DisputeStatus.UNDER_REVIEW),
    "INQUIRY_CLOSED": (DisputeStage.INQUIRY, DisputeStatus.CLOSED),
    "EVIDENCE_REQUIRED": (DisputeStage.CHARGEBACK, DisputeStatus.NEEDS_RESPONSE),
    "PROCESSING": (DisputeStage.CHARGEBACK, DisputeStatus.UNDER_REVIEW),
    "WON": (DisputeStage.CHARGEBACK, DisputeStatus.WON),
    "LOST": (DisputeStage.CHARGEBACK, DisputeStatus.LOST),
    "ACCEPTED": (DisputeStage.CHARGEBACK, DisputeStatus.ACCEPTED),
}
REASONS = {
    "NO_KNOWLEDGE": DisputeReason.FRAUD,
    "EMV_LIABILITY_SHIFT": DisputeReason.FRAUD,
    "NOT_RECEIVED": DisputeReason.NOT_RECEIVED,
    "NOT_AS_DESCRIBED": DisputeReason.NOT_AS_DESCRIBED,
    "DUPLICATE": DisputeReason.DUPLICATE,
    "PAID_BY_OTHER_MEANS": DisputeReason.DUPLICATE,
    "CANCELLED": DisputeReason.CANCELED,
    "CUSTOMER_REQUESTS_CREDIT": DisputeReason.CREDIT_NOT_PROCESSED,
}


UNCHALLENGED = frozenset({"EMV_LIABILITY_SHIFT"})


def _dispute(dispute: Node, base: Base) -> AnyEvent:
    word = dispute.word("state")
    stage, status = STATES.get(word, (None, None))
    reason = dispute.hint("reason")
    return DisputeChanged(
        **base,
        dispute_id=dispute.maybe_text("id") or dispute.text("dispute_id"),
        payment_id=dispute.maybe_text("disputed_payment", "payment_id"),
        stage=stage,
        status=status,
        status_unknown=status is None,
        amount=_money(dispute, "amount_money"),
        reason=REASONS.get(reason, DisputeReason.OTHER) if reason else None,
        reason_code=reason,
        network=_network(dispute.lowered("card_brand")),
        **dispute.deadline("due_at"),
        can_respond=reason not in UNCHALLENGED if status is DisputeStatus.NEEDS_RESPONSE else None,
        provider_status=word,
        # Uploaded evidence is not yet sent; a dispute is processed once it is.
        evidence_submitted=True if status is DisputeStatus.UNDER_REVIEW else None,
    )


Translate = Callable[[Node, Base], AnyEvent | None]

PAYMENTS: dict[str, tuple[str, Translate]] = {
    "payment.created": ("payment", payment_event),
    "payment.updated": ("payment", payment_event),
}
REFUNDS: dict[str, tuple[str, Translate]] = {
    "refund.created": ("refund", refund_event),
    "refund.updated": ("refund", refund_event),
}
DISPUTES: dict[str, tuple[str, Translate]] = {
    "dispute.created": ("dispute", _dispute),
    "dispute.state.updated": ("dispute", _dispute),
    "dispute.state.changed": ("dispute", _dispute),
    "dispute.evidence.created": ("dispute", _dispute),
    "dispute.evidence.deleted": ("dispute", _dispute),
    "dispute.evidence.added": ("dispute", _dispute),
    "dispute.evidence.removed": ("dispute", _dispute),
}
OTHERS: dict[str, tuple[str, Translate]] = {
    "payout.sent": ("payout", _payout),
    "payout.paid": ("payout", _payout),
    "payout.failed": ("payout", _payout),
}
TYPES = PAYMENTS | REFUNDS | DISPUTES | OTHERS

WORDS = {
    "data.object.payment.status": STEPS,
    "data.object.refund.status": REFUND_STEPS,
    "data.object.dispute.state": STATES,
    "data.object.dispute.reason": REASONS,
}
TRAITS = Traits(
    scheme="HMAC-SHA256 of URL and body",
    replay="event id",
    rotation="keep both keys for 72 h",
    ack_seconds=10,
    retry_days=1,
    deadline="due_at",
    response_api="POST /v2/disputes/{id}/submit-evidence",
    fetch_back=True,
    payments=(*PAYMENTS, *(kind for kind in LEADING if "refund" not in kind)),
    refunds=(*REFUNDS, *(kind for kind in LEADING if "refund" in kind)),
    disputes=DISPUTES,
)
