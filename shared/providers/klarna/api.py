"""Klarna's orders, read back from its Order Management API when a push has named them."""

import base64
from collections.abc import Collection

from shared.domain.api import ApiCredentials, ApiRequest
from shared.domain.events import (
    AnyEvent,
    PaymentChanged,
    PaymentStep,
    ResourceChanged,
)
from shared.providers.kit.envelope import Base, of_poke
from shared.providers.kit.reading import Node, minor_money, parse, unreadable
from shared.providers.kit.signing import as_bytes
from shared.providers.klarna.webhook import NAME, ORDER_ID

API_HOSTS = frozenset({"api.klarna.com", "api.playground.klarna.com"})


def resource_request(event: ResourceChanged, api: ApiCredentials) -> ApiRequest:
    if event.resource != "order" or not ORDER_ID.fullmatch(event.resource_id):
        raise unreadable("resource_id", "not an order of Klarna's", "unreadable_id")
    base = api.base_url or ("https://api.klarna.com" if event.livemode else "https://api.playground.klarna.com")
    basic = base64.b64encode(as_bytes(api.key)).decode("ascii")
    return ApiRequest(
        "GET",
        f"{base}/ordermanagement/v1/orders/{event.resource_id}",
        {"Authorization": f"Basic {basic}", "Accept": "application/json"},
    )


AUTHORIZED = {
    "ACCEPTED": PaymentStep.AUTHORIZED,
    "PENDING": PaymentStep.PENDING,
    "REJECTED": PaymentStep.DECLINED,
}
# Orders tell when they expire, but not when they were canceled: an authorization cannot be older than its order. Where its
# amount was changed they do not tell when either: then both are dated by who tells of them, in the order of that.
CANCELLED = "CANCELLED"
ENDED = {CANCELLED: "created_at", "EXPIRED": "expires_at"}


def read_resource(event: ResourceChanged, body: bytes) -> tuple[AnyEvent, ...]:
    order = parse(body)
    own, status, fraud = order.word("order_id"), order.word("status"), order.word("fraud_status")
    if own != event.resource_id:
        raise unreadable("order_id", "another object than was asked for", "another_object")
    begun = AUTHORIZED.get(fraud)
    if begun is None:
        raise unreadable("fraud_status", "a fraud status that we do not know", "unknown_status")
    captures = order.nodes("captures")
    email_hash, email_domain = order.email("billing_address", "email")
    common: Base = {
        **of_poke(event),
        "payment_id": own,
        "aliases": tuple(capture.word("capture_id") for capture in captures),
        "merchant_reference": order.first_hint("merchant_reference1", "klarna_reference"),
        "method": "klarna",
        "email_hash": email_hash,
        "email_domain": email_domain,
        "billing_country": order.hint("billing_address", "country"),
    }

    changed = order.raw("original_order_amount") not in (None, order.raw("order_amount"))

    def told(step: PaymentStep, node: Node, when: str | None, amount: str, reference: str | None = None) -> AnyEvent:
        """The same state read again is the same event, but for one that nobody dates (`when` is None)."""
        money = minor_money(
            Node({**node.value, "currency": order.raw("purchase_currency")}, node.path), amount, "currency", {}
        )
        at = node.instant(when) if when else event.occurred_at
        state = f"{reference or own}.{step.value}.{money.minor}.{int(at.timestamp() * 1000)}"
        event_id = f"{NAME}:{event.account}:{state}"
        return PaymentChanged(**common, event_id=event_id, occurred_at=at, step=step, amount=money, reference=reference)

    events = [told(begun, order, "created_at", "original_order_amount" if changed else "order_amount")]
    if changed and begun is PaymentStep.AUTHORIZED and status not in ENDED:
        events.append(told(begun, order, None, "order_amount"))
    events += [
        told(PaymentStep.CAPTURED, capture, "captured_at", "captured_amount", capture.word("capture_id"))
        for capture in captures
    ]
    for place, refund in enumerate(order.nodes("refunds")):
        reference = refund.maybe_text("refund_id") or f"{own}-refund-{place}"
        events.append(told(PaymentStep.REFUNDED, refund, "refunded_at", "refunded_amount", reference))
    if status in ENDED and not captures:
        undated = changed and status == CANCELLED
        events.append(told(PaymentStep.CANCELED, order, None if undated else ENDED[status], "order_amount"))
    return tuple(events)


RESOURCE_WORDS: dict[str, dict[str, Collection[str]]] = {
    "order": {
        "status": ("AUTHORIZED", "PART_CAPTURED", "CAPTURED", "CLOSED", *ENDED),
        "fraud_status": AUTHORIZED,
    }
}
