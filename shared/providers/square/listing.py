"""Square's events, listed: POST /v2/events, 28 days back, 100 a page.

They are there only while searching them is switched on for the application (PUT /v2/events/enable, once), and only for its
personal access token. The cursor leads on, with the same query as the first. Every type is there, subscribed or not: asked for is
what tells of money by itself, not what leads to it (orders, invoices, terminals).

Sources: Square API reference "Search events", "Enable events"; docs "Events API".
"""

import json
from datetime import timedelta

from shared.domain.api import ApiCredentials, ApiRequest
from shared.providers.kit.listing import Asked, Item, Page, Stream, raw_items
from shared.providers.kit.reading import parse
from shared.providers.square.api import API_HOSTS as API_HOSTS
from shared.providers.square.api import API_VERSION
from shared.providers.square.webhook import NAME, TYPES

STREAMS = (Stream("events", timedelta(days=28), 100),)
__all__ = ["API_HOSTS", "NAME", "STREAMS", "list_request", "read_page"]


def list_request(asked: Asked, api: ApiCredentials) -> ApiRequest:
    base = api.base_url or f"https://connect.{'squareup' if asked.livemode else 'squareupsandbox'}.com"
    between = {
        "start_at": asked.since.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "end_at": asked.until.strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
    body = {
        "limit": asked.page,
        "query": {
            "filter": {"created_at": between, "event_types": sorted(TYPES)},
            "sort": {"field": "DEFAULT", "order": "ASC"},
        },
        **({"cursor": asked.cursor} if asked.cursor else {}),
    }
    headers = {
        "Authorization": f"Bearer {api.key}",
        "Accept": "application/json",
        "Content-Type": "application/json",
        "Square-Version": API_VERSION,
    }
    return ApiRequest("POST", f"{base}/v2/events", headers, json.dumps(body).encode())


def read_page(asked: Asked, body: bytes) -> Page:
    del asked
    whole = parse(body)
    # A page without events has no array.
    events = raw_items(body, "events") if whole.raw("events") is not None else []
    cursor = whole.raw("cursor")
    return Page(tuple(map(Item, events)), cursor if type(cursor) is str and cursor else None)
