"""Square's payments and refunds, read back where another object has led to them: orders, invoices, terminals."""

from collections.abc import Collection
from dataclasses import replace
from typing import Any

from shared.domain.api import ApiCredentials, ApiRequest
from shared.domain.events import AnyEvent, ResourceChanged
from shared.providers.kit.envelope import of_poke
from shared.providers.kit.reading import Node, parse, unreadable
from shared.providers.square.webhook import ID, NAME, REFUND_STEPS, STEPS, checked, payment_event, refund_event

API_HOSTS = frozenset({"connect.squareup.com", "connect.squareupsandbox.com"})
API_VERSION = "2026-09-16"
KINDS = {"orders": "order", "payments": "payment", "refunds": "refund"}


def resource_request(event: ResourceChanged, api: ApiCredentials) -> ApiRequest:
    if event.resource not in KINDS or not ID.fullmatch(event.resource_id):
        raise unreadable("resource_id", "not an id of Square's", "unreadable_id")
    base = api.base_url or f"https://connect.{'squareup' if event.livemode else 'squareupsandbox'}.com"
    headers = {"Authorization": f"Bearer {api.key}", "Accept": "application/json", "Square-Version": API_VERSION}
    return ApiRequest("GET", f"{base}/v2/{event.resource}/{event.resource_id}", headers)


def read_resource(event: ResourceChanged, body: bytes) -> tuple[AnyEvent, ...]:
    thing = parse(body).at(KINDS.get(event.resource, ""))
    if checked(thing.raw("id"), thing.where("id")) != event.resource_id:
        raise unreadable(thing.where("id"), "another object than was asked for", "another_object")
    if event.resource == "orders":
        # A tender has the id of its payment.
        return tuple(_leads("payments", [tender.raw("id") for tender in thing.nodes("tenders")], thing, event))
    at = thing.instant("updated_at" if thing.raw("updated_at") is not None else "created_at")
    state = f"{event.resource_id}.{thing.word('status')}.{int(at.timestamp() * 1000)}"
    base = {**of_poke(event), "event_id": f"{NAME}:{event.account}:{state}", "occurred_at": at}
    if event.resource == "refunds":
        found = refund_event(thing, base)
        return (found,) if found else ()
    refunds = thing.raw("refund_ids")
    return (
        payment_event(thing, base),
        *_leads("refunds", refunds if type(refunds) is list else [], thing, event),
    )


def _leads(resource: str, ids: list[Any], thing: Node, event: ResourceChanged) -> list[ResourceChanged]:
    """What is to be read for itself."""
    return [
        replace(event, event_id=f"{event.event_id}:{own}", unsigned=(), resource=resource, resource_id=own, hint=None)
        for own in dict.fromkeys(checked(one, thing.path) for one in ids)
    ]


RESOURCE_WORDS: dict[str, dict[str, Collection[str]]] = {
    "orders": {"order.state": ("DRAFT", "OPEN", "COMPLETED", "CANCELED")},
    "payments": {"payment.status": STEPS},
    "refunds": {"refund.status": REFUND_STEPS},
}
