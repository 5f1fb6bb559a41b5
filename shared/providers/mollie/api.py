"""Mollie's payments with their refunds and chargebacks, read back when a webhook has named them."""

from collections.abc import Collection
from typing import Any

from shared.domain.api import ApiCredentials, ApiRequest
from shared.domain.events import (
    AnyEvent,
    ResourceChanged,
)
from shared.providers.kit.reading import parse, unreadable
from shared.providers.mollie.webhook import (
    FAILURES,
    HARD_DECLINES,
    INITIATORS,
    NAME,
    PAYMENT_ID,
    REFUND_STEPS,
    STEPS,
    payment_events,
)

Base = dict[str, Any]

API_HOSTS = frozenset({"api.mollie.com"})


def resource_request(event: ResourceChanged, api: ApiCredentials) -> ApiRequest:
    if event.resource != "payments" or not PAYMENT_ID.fullmatch(event.resource_id):
        raise unreadable("resource_id", "not the id of a payment", "unreadable_id")
    base = api.base_url or "https://api.mollie.com"
    return ApiRequest(
        "GET",
        f"{base}/v2/payments/{event.resource_id}?embed=refunds,chargebacks",
        {"Authorization": f"Bearer {api.key}", "Accept": "application/hal+json"},
    )


def read_resource(event: ResourceChanged, body: bytes) -> tuple[AnyEvent, ...]:
    payment = parse(body)
    if payment.word("id") != event.resource_id:
        raise unreadable("id", "another object than was asked for", "another_object")
    base: Base = {
        "provider": NAME,
        "account": event.account,
        "delivery_id": event.delivery_id,
        "livemode": payment.word("mode") == "live",
    }
    return tuple(payment_events(payment, base))


RESOURCE_WORDS: dict[str, dict[str, Collection[str]]] = {
    "payments": {
        "status": STEPS,
        "sequenceType": INITIATORS,
        "details.failureReason": (*HARD_DECLINES, *FAILURES),
        "_embedded.refunds[].status": REFUND_STEPS,
    }
}
