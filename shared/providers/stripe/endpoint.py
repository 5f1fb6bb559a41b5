"""What Stripe sends to our endpoint: by a webhook endpoint of its v1 API, or an event destination of its v2 API (thin events).

| fact | value |
|---|---|
| asked | GET /v1/webhook_endpoints, pages by `starting_after`, and GET /v2/core/event_destinations, which tells a URL only where that is included, pages by `next_page_url` |
| types | `enabled_events`; `*` is all, but for those that want explicit selection; of thin events with `v1.` in front |
| state | `status`: enabled or disabled |
| version | `api_version`, or `snapshot_api_version` of a destination; null is the account's default and tells nothing. Versions of one release, the word after the date, do not break each other |
| key | API_STRIPE's; a restricted key needs to read webhook endpoints and event destinations |

Sources: Stripe API reference "The Webhook Endpoint object", "List all webhook endpoints", "Event Destinations"; docs "API
versioning".
"""

from collections.abc import Iterator

from shared.domain.api import ApiCredentials, ApiRequest, Ask
from shared.domain.provider_endpoints import MOST_PAGES, ToldEndpoint
from shared.providers.kit.reading import Node, parse, unreadable
from shared.providers.stripe.api import API_HOSTS as API_HOSTS
from shared.providers.stripe.api import API_VERSION, ID, headers
from shared.providers.stripe.webhook import NAME as NAME
from shared.providers.stripe.webhook import TYPES

TOLD_BY = "GET /v1/webhook_endpoints, /v2/core/event_destinations"
FOLLOWED = frozenset(TYPES)
_RELEASE = API_VERSION.partition(".")[2]
VERSIONS = frozenset({_RELEASE})
_DESTINATIONS = "/v2/core/event_destinations"


def endpoints(ask: Ask, api: ApiCredentials, *, livemode: bool) -> Iterator[ToldEndpoint]:
    base = api.base_url or "https://api.stripe.com"
    after = ""
    for _ in range(MOST_PAGES):
        page = parse(ask(ApiRequest("GET", f"{base}/v1/webhook_endpoints?limit=100{after}", headers(api, ""))))
        found = page.nodes("data")
        yield from (_endpoint(one) for one in found if one.flag("livemode") is livemode)
        if not page.flag("has_more") or not found:
            break
        last = found[-1].word("id")
        if not ID.fullmatch(last):
            raise unreadable("data[].id", "not an id of Stripe's", "unreadable_id")
        after = f"&starting_after={last}"
    path = f"{_DESTINATIONS}?limit=100&include=webhook_endpoint.url"
    for _ in range(MOST_PAGES):
        page = parse(ask(ApiRequest("GET", base + path, headers(api, ""))))
        yield from (
            _destination(one)
            for one in page.nodes("data")
            if one.hint("type") == "webhook_endpoint" and one.flag("livemode") is livemode
        )
        path = page.maybe_text("next_page_url") or ""
        if not path.startswith(f"{_DESTINATIONS}?"):
            break


def _endpoint(one: Node) -> ToldEndpoint:
    return ToldEndpoint(
        url=one.maybe_text("url") or "",
        enabled=one.word("status") == "enabled",
        state=one.word("status"),
        types=_types(one),
        version=_release(one.maybe_text("api_version")),
    )


def _destination(one: Node) -> ToldEndpoint:
    return ToldEndpoint(
        url=one.maybe_text("webhook_endpoint", "url") or "",
        enabled=one.word("status") == "enabled",
        state=one.word("status"),
        types=_types(one),
        version=_release(one.maybe_text("snapshot_api_version")),
    )


def _types(one: Node) -> frozenset[str] | None:
    listed = one.raw("enabled_events")
    found = frozenset(str(kind).removeprefix("v1.") for kind in (listed if type(listed) is list else []))
    return None if "*" in found else found


def _release(version: str | None) -> str | None:
    """Of the versions from before releases had names, the date."""
    return (version.partition(".")[2] or version) if version else None
