"""Mollie's payments with their refunds and chargebacks, read back when a webhook has named them or what led to them."""

from collections.abc import Collection
from dataclasses import replace

from shared.domain.api import ApiCredentials, ApiRequest
from shared.domain.events import (
    AnyEvent,
    ResourceChanged,
)
from shared.providers.kit.envelope import of_poke
from shared.providers.kit.reading import Node, parse, unreadable
from shared.providers.mollie.webhook import (
    FAILURES,
    HARD_DECLINES,
    IDS,
    INITIATORS,
    REFUND_STEPS,
    STEPS,
    payment_events,
)
from shared.providers.mollie.webhook import NAME as NAME

MANUAL = "manual"
SOURCES = {"payment": "payments", "payment-link": "payment-links"}
API_HOSTS = frozenset({"api.mollie.com"})
# A link may have been paid any number of times: its newest payments, as many as one answer holds.
PATHS = {
    "payments": "/v2/payments/{}?embed=refunds,chargebacks",
    "orders": "/v2/orders/{}?embed=payments",
    "payment-links": "/v2/payment-links/{}/payments?limit=250",
    "sales-invoices": "/v2/sales-invoices/{}",
}


def resource_request(event: ResourceChanged, api: ApiCredentials) -> ApiRequest:
    pattern = IDS.get(event.resource)
    if pattern is None or not pattern.fullmatch(event.resource_id):
        raise unreadable("resource_id", "not an id of Mollie's", "unreadable_id")
    base = api.base_url or "https://api.mollie.com"
    return ApiRequest(
        "GET",
        base + PATHS[event.resource].format(event.resource_id),
        {"Authorization": f"Bearer {api.key}", "Accept": "application/hal+json"},
    )


def read_resource(event: ResourceChanged, body: bytes) -> tuple[AnyEvent, ...]:
    payment = parse(body)
    if event.resource == "payment-links":
        payment.integer("count")  # what has none is no list
        return tuple(_payments_of(payment, event))
    if payment.word("id") != event.resource_id:
        raise unreadable("id", "another object than was asked for", "another_object")
    if event.resource == "sales-invoices":
        return _settled_by(payment.at("paymentDetails"), event)
    if event.resource == "orders":
        payment.word("status")
        return tuple(_payments_of(payment, event))
    return tuple(payment_events(payment, of_poke(event, livemode=payment.word("mode") == "live")))


def _payments_of(thing: Node, event: ResourceChanged) -> list[ResourceChanged]:
    """The payments that an order or a link led to: each is read for itself, with its refunds and chargebacks."""
    return [_leads("payments", payment.word("id"), event) for payment in thing.nodes("_embedded", "payments")]


def _settled_by(details: Node, event: ResourceChanged) -> tuple[ResourceChanged, ...]:
    """The payment or the link by which a sales invoice was paid; nothing where it was paid elsewhere."""
    source = details.word("source")
    if source == MANUAL:
        return ()
    resource = SOURCES.get(source)
    if resource is None:
        raise unreadable(details.where("source"), "a way of paying that we do not know", "unknown_status")
    return (_leads(resource, details.word("sourceReference"), event),)


def _leads(resource: str, own: str, event: ResourceChanged) -> ResourceChanged:
    return replace(
        event, event_id=f"{event.event_id}:{own}", unsigned=(), resource=resource, resource_id=own, hint=None
    )


RESOURCE_WORDS: dict[str, dict[str, Collection[str]]] = {
    "sales-invoices": {"paymentDetails.source": (MANUAL, *SOURCES)},
    "payments": {
        "status": STEPS,
        "sequenceType": INITIATORS,
        "details.failureReason": (*HARD_DECLINES, *FAILURES),
        "_embedded.refunds[].status": REFUND_STEPS,
    },
}
