"""The contract of `notify`, version 1: what systems outside of Google Cloud were told, and what people do about it.

Pub/Sub pushes to /<endpoint>/<topic>, from the subscriptions that Terraform makes for each endpoint. Who may call is decided
by Google IAM, in front of the function. Members may be added within a version; none is taken away and none changes its meaning.
"""

from collections.abc import Callable
from datetime import datetime
from functools import cache, partial
from typing import Annotated

from pydantic import BaseModel, Field, StringConstraints

from shared.domain.notifications import Endpoint, Notification, NotificationUnknown
from shared.flows.notify import ENDPOINTS, TOPICS, disabled_at, enable, listed, notify, resend
from shared.flows.ports import Key
from shared.runtime import contracts, entry
from shared.runtime.app import App
from shared.runtime.contracts import Closed, Operation
from shared.runtime.outgoing import Outgoing

LARGEST = 16 << 10
PATH = "/v1/notifications"

Name = Annotated[str, StringConstraints(pattern="^[a-z][a-z0-9_]{0,30}$")]
Id = Annotated[str, StringConstraints(pattern="^msg_[0-9a-f]{32}$")]


class Of(Closed):
    endpoint: Name


class ListOf(Of):
    """What was sent to an endpoint."""

    after: Id | None = Field(None, description="The last one of the page before")


class Resend(Of):
    """The same bytes once more, under the same id."""

    notification_id: Id


class Enable(Of):
    """Somebody listens again at an endpoint that had said 410."""


class ToldEndpoint(BaseModel):
    endpoint: str
    url: str
    disabled_at: datetime | None = Field(description="When it said 410; null where it did not")


class ToldEndpoints(BaseModel):
    endpoints: tuple[ToldEndpoint, ...]


class ToldNotification(BaseModel):
    """status: of the last answer, 0 where none came."""

    notification_id: str
    kind: str
    body: str
    tries: int
    tried_at: datetime
    status: int
    delivered_at: datetime | None
    resent_by: str | None

    @classmethod
    def of(cls, one: Notification) -> "ToldNotification":
        return cls(**{name: getattr(one, name) for name in cls.model_fields})


class ToldNotifications(BaseModel):
    notifications: tuple[ToldNotification, ...]


def desk(app: App, send: Outgoing | None = None) -> entry.Handler:
    """Messages at /<endpoint>/<topic>, the endpoints at GET /v1/notifications, what people do at its POSTs, and GET
    /openapi.json. Raises Misconfigured for endpoints that cannot be told anything."""
    endpoints = app.settings.endpoints()
    sending = send or Outgoing()

    def named(name: str) -> Endpoint:
        if name not in endpoints:
            raise NotificationUnknown("no endpoint of this name", reason="unknown_endpoint")
        return endpoints[name]

    def told(endpoint: Endpoint, topic: str, call: entry.Call) -> entry.Answer:
        message = entry.pushed(call.body)
        at = message.published_at or app.now()
        notify(endpoint, topic, message.data, message.attributes, at, app.ports, sending, app.now())
        return b"", "application/json"

    def all_of_them(call: entry.Call) -> BaseModel:
        call.caller()
        found = app.ports.documents.get([Key(ENDPOINTS, name) for name in endpoints]) if endpoints else []
        states = zip(endpoints.values(), found, strict=True)
        return ToldEndpoints(
            endpoints=tuple(
                ToldEndpoint(endpoint=one.name, url=one.url, disabled_at=disabled_at(one, state))
                for one, state in states
            )
        )

    def sent(call: entry.Call) -> BaseModel:
        call.caller()
        asked = contracts.read(call.body, ListOf)
        found = listed(named(asked.endpoint), app.ports, asked.after or "")
        return ToldNotifications(notifications=tuple(map(ToldNotification.of, found)))

    def again(call: entry.Call) -> BaseModel:
        by, asked = call.caller(), contracts.read(call.body, Resend)
        endpoint = named(asked.endpoint)
        return ToldNotification.of(resend(endpoint, asked.notification_id, app.ports, sending, by, app.now()))

    def enabled(call: entry.Call) -> BaseModel:
        by, asked = call.caller(), contracts.read(call.body, Enable)
        one = named(asked.endpoint)
        enable(one.name, app.ports, by)
        return ToldEndpoint(endpoint=one.name, url=one.url, disabled_at=None)

    pushes: dict[str, Callable[[entry.Call], entry.Answer]] = {
        f"/{one.name}/{topic}": partial(told, one, topic) for one in endpoints.values() for topic in TOPICS
    }
    acts = {"list": sent, "resend": again, "enable": enabled}
    return contracts.desk(PATH, all_of_them, acts, openapi, entry.LARGEST_PUSH, posted=pushes)


@cache
def openapi() -> bytes:
    """The OpenAPI 3.1 document of the function."""
    known = {"401": "Nobody says who calls", "503": "A dependency is down: ask again"}
    one = known | {"404": "No such endpoint, or nothing of this name was sent to it"}
    return contracts.openapi(
        "Pay-In: notifications",
        "1",
        "What systems outside of Google Cloud were told, each message signed by Standard Webhooks.",
        [
            Operation(PATH, "list_endpoints", "Who is told", ToldEndpoints, "All of them", refusals=known),
            Operation(
                f"{PATH}/list", "list_notifications", "What was sent", ToldNotifications, "A page of it", ListOf, one
            ),
            Operation(f"{PATH}/resend", "resend", "Send it again", ToldNotification, "What came of it", Resend, one),
            Operation(f"{PATH}/enable", "enable", "Somebody listens again", ToldEndpoint, "Its state", Enable, one),
        ],
        entry.LARGEST_PUSH,
        signed=True,
    )
