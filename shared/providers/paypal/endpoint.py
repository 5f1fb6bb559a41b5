"""What PayPal sends to our endpoint: a webhook of the app's.

| fact | value |
|---|---|
| asked | GET /v1/notifications/webhooks, all at once: an app has ten at most |
| types | `event_types[].name`; `*` is all. Each has a `status` where it is not ENABLED |
| state | there is none: what is listed is on |
| version | none is told |
| key | API_PAYPAL's, exchanged for a token as for anything else |

Sources: PayPal API reference "Webhooks Management: list webhooks", "EventType".
"""

from collections.abc import Iterator

from shared.domain.api import ApiCredentials, ApiRequest, Ask
from shared.domain.provider_endpoints import ToldEndpoint
from shared.providers.kit.reading import Node, parse
from shared.providers.paypal.api import API_HOSTS as API_HOSTS
from shared.providers.paypal.api import base_url
from shared.providers.paypal.api import read_token as read_token
from shared.providers.paypal.api import token_request as token_request
from shared.providers.paypal.webhook import NAME as NAME
from shared.providers.paypal.webhook import TYPES

TOLD_BY = "GET /v1/notifications/webhooks"
# What CUSTOMER.DISPUTE.CREATED tells today.
FOLLOWED = frozenset(TYPES) - {"RISK.DISPUTE.CREATED"}
VERSIONS: frozenset[str] = frozenset()


def endpoints(ask: Ask, api: ApiCredentials, *, livemode: bool) -> Iterator[ToldEndpoint]:
    headers = {"Authorization": f"Bearer {api.key}", "Accept": "application/json"}
    request = ApiRequest("GET", f"{base_url(api, livemode=livemode)}/v1/notifications/webhooks", headers)
    yield from map(_endpoint, parse(ask(request)).nodes("webhooks"))


def _endpoint(one: Node) -> ToldEndpoint:
    listed = one.nodes("event_types")
    names = frozenset(kind.word("name") for kind in listed if kind.raw("name") != "*" and _sent(kind))
    return ToldEndpoint(
        url=one.maybe_text("url") or "",
        enabled=True,
        state="enabled",
        types=None if any(kind.raw("name") == "*" for kind in listed) else names,
    )


def _sent(kind: Node) -> bool:
    return kind.maybe_text("status") in (None, "ENABLED")
