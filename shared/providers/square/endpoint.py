"""What Square sends to our endpoint: a webhook subscription of the application's.

| fact | value |
|---|---|
| asked | GET /v2/webhooks/subscriptions?include_disabled=true, pages by `cursor` |
| types | `event_types` |
| state | `enabled` |
| version | `api_version` |
| key | API_SQUARE's, which has to be the application's personal access token: a seller's OAuth token may not |

Sources: Square docs "Webhook Subscriptions API"; Square API reference "WebhookSubscription", "List webhook subscriptions".
"""

from collections.abc import Iterator
from urllib.parse import quote

from shared.domain.api import ApiCredentials, ApiRequest, Ask
from shared.domain.provider_endpoints import MOST_PAGES, ToldEndpoint
from shared.providers.kit.reading import Node, parse
from shared.providers.square.api import API_HOSTS as API_HOSTS
from shared.providers.square.api import API_VERSION
from shared.providers.square.webhook import NAME as NAME
from shared.providers.square.webhook import TRAITS, TYPES

TOLD_BY = "GET /v2/webhooks/subscriptions"
# Names of before, under which old versions sent what others are sent under today: nobody can subscribe to them any more.
_FORMER = frozenset({"dispute.state.changed", "dispute.evidence.added", "dispute.evidence.removed"})
FOLLOWED = frozenset({*TYPES, *TRAITS.payments, *TRAITS.refunds, *TRAITS.disputes}) - _FORMER
VERSIONS = frozenset({API_VERSION})


def endpoints(ask: Ask, api: ApiCredentials, *, livemode: bool) -> Iterator[ToldEndpoint]:
    base = api.base_url or f"https://connect.{'squareup' if livemode else 'squareupsandbox'}.com"
    headers = {"Authorization": f"Bearer {api.key}", "Accept": "application/json", "Square-Version": API_VERSION}
    cursor: str | None = ""
    for _ in range(MOST_PAGES):
        query = f"include_disabled=true&limit=100{f'&cursor={quote(cursor)}' if cursor else ''}"
        page = parse(ask(ApiRequest("GET", f"{base}/v2/webhooks/subscriptions?{query}", headers)))
        yield from map(_endpoint, page.nodes("subscriptions"))
        cursor = page.maybe_text("cursor")
        if not cursor:
            break


def _endpoint(one: Node) -> ToldEndpoint:
    enabled, listed = one.flag("enabled") is True, one.raw("event_types")
    return ToldEndpoint(
        url=one.maybe_text("notification_url") or "",
        enabled=enabled,
        state="enabled" if enabled else "disabled",
        types=frozenset(map(str, listed if type(listed) is list else [])),
        version=one.maybe_text("api_version"),
    )
