"""Stripe's events and objects, read back where a thin event names them."""

import hashlib
import re
from collections.abc import Collection
from dataclasses import replace

from shared.domain.api import ApiCredentials, ApiRequest
from shared.domain.codec import encode_event
from shared.domain.events import AnyEvent, ResourceChanged
from shared.providers.kit.envelope import Base, of_poke
from shared.providers.kit.reading import Node, parse, unreadable
from shared.providers.stripe.webhook import (
    EVENTS,
    FAILED_TO_TELL,
    REFUND_STEPS,
    SNAPSHOT,
    STATUSES,
    THIN,
    THIN_EVENTS,
    TYPES,
    beside,
    owner,
    poke,
    told,
)
from shared.providers.stripe.webhook import NAME as NAME

API_HOSTS = frozenset({"api.stripe.com"})
API_VERSION = "2026-09-30.endive"  # the first whose thin events name their snapshot
# Kind of object, as `related_object` names it, to where it is. The address that a message tells is not followed.
PATHS = {
    EVENTS: "/v1/events/",
    THIN_EVENTS: "/v2/core/events/",
    "charge": "/v1/charges/",
    "checkout.session": "/v1/checkout/sessions/",
    "dispute": "/v1/disputes/",
    "payment_intent": "/v1/payment_intents/",
    "payout": "/v1/payouts/",
    "radar.early_fraud_warning": "/v1/radar/early_fraud_warnings/",
    "refund": "/v1/refunds/",
    "review": "/v1/reviews/",
}
ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_]{0,254}", flags=re.ASCII)
_CONTEXT = re.compile(r"(?:acct|org)_[A-Za-z0-9]+(?:/(?:acct|org)_[A-Za-z0-9]+)*", flags=re.ASCII)


def resource_request(event: ResourceChanged, api: ApiCredentials) -> ApiRequest:
    path = PATHS.get(event.resource)
    if path is None or not ID.fullmatch(event.resource_id):
        raise unreadable("resource_id", "not an id of Stripe's", "unreadable_id")
    url = f"{api.base_url or 'https://api.stripe.com'}{path}{event.resource_id}"
    return ApiRequest("GET", url, headers(api, event.account))


def headers(api: ApiCredentials, account: str) -> dict[str, str]:
    """Of every request. Whoever asks for another account than the key's own names it."""
    found = {"Authorization": f"Bearer {api.key}", "Accept": "application/json", "Stripe-Version": API_VERSION}
    if _CONTEXT.fullmatch(account):
        found["Stripe-Context"] = account
    return found


def read_resource(event: ResourceChanged, body: bytes) -> tuple[AnyEvent, ...]:
    thing = parse(body)
    if thing.word("id") != event.resource_id:
        raise unreadable("id", "another object than was asked for", "another_object")
    live = thing.flag("livemode")
    account = thing.maybe_text("account") if event.resource == EVENTS else None
    account = account or owner(event.account)
    base: Base = {
        **of_poke(event, livemode=live),
        "event_id": f"{_endpoint(event)}:{event.resource_id}",
        "account": account,
    }
    if event.resource in (EVENTS, THIN_EVENTS):
        if thing.word("object") != (THIN if event.resource == THIN_EVENTS else SNAPSHOT):
            raise unreadable("object", "not an event", "not_an_event")
        found = _of_thin(thing, event, base) if event.resource == THIN_EVENTS else told(thing, base)
    else:
        found = _of_object(thing, event, base)
    if found is None:
        return ()
    subject = thing.at("data", "object") if event.resource == EVENTS else thing
    return (found, *beside(found, subject))


def _endpoint(event: ResourceChanged) -> str:
    """What the ids of all that the poke's endpoint hears begin with."""
    return event.event_id.rpartition(":")[0]


def _of_thin(thin: Node, event: ResourceChanged, base: Base) -> AnyEvent | None:
    """The snapshot that belongs to a thin event or, where there is none, the object that it is about."""
    found = poke(thin, {**base, "account": event.account})
    if found is None:
        return None
    found = replace(found, event_id=f"{event.event_id}.{found.resource_id}")
    if found.resource == EVENTS:
        return found
    if found.hint == FAILED_TO_TELL:
        about = thin.at("data", "impact")
        kind, account = about.word("event_type"), about.maybe_text("context") or event.account
    else:
        about, kind, account = thin, thin.word("type").removeprefix("v1."), event.account
    if kind not in TYPES:
        return None
    subject = about.at("related_object")
    return replace(found, account=account, resource=subject.word("type"), resource_id=subject.word("id"), hint=kind)


def _of_object(subject: Node, event: ResourceChanged, base: Base) -> AnyEvent | None:
    """What happened to an object of which no snapshot tells, by what it says now. It may have gone on since, so that
    another reading says more: every state is an event of its own."""
    kind = event.hint or ""
    if kind not in TYPES:
        raise unreadable("hint", "not a type that is followed", "unreadable_hint")
    known = f"{base['event_id']}.{kind}.{int(event.occurred_at.timestamp() * 1000)}"
    found = TYPES[kind](subject, kind, {**base, "event_id": known, "occurred_at": event.occurred_at})
    if found is None:
        return None
    state = hashlib.sha256(encode_event(replace(found, delivery_id=""))).hexdigest()[:16]
    return replace(found, event_id=f"{known}.{state}")


RESOURCE_WORDS: dict[str, dict[str, Collection[str]]] = {
    EVENTS: {
        # Of charges, intents, refunds, disputes, sessions and payouts.
        "data.object.status": (
            *(*REFUND_STEPS, *STATUSES),
            *("requires_payment_method", "requires_confirmation", "requires_action", "requires_capture", "processing"),
            *("open", "complete", "expired", "paid", "in_transit"),
        )
    }
}
