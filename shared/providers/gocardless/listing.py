"""GoCardless' events, listed: GET /events, each with the id that it has in a webhook's batch.

Newest first, 500 a page at most, `meta.cursors.after` leads on. Created at or after the beginning and before the end.

Sources: GoCardless API reference "Events: list", "Cursor pagination".
"""

from datetime import timedelta
from urllib.parse import urlencode

from shared.domain.api import ApiCredentials, ApiRequest
from shared.providers.gocardless.api import API_HOSTS as API_HOSTS
from shared.providers.gocardless.api import API_VERSION
from shared.providers.gocardless.webhook import ID, NAME
from shared.providers.kit.listing import Asked, Item, Page, Stream, raw_items
from shared.providers.kit.reading import parse, unreadable

STREAMS = (Stream("events", timedelta(days=30), 500),)
__all__ = ["API_HOSTS", "NAME", "STREAMS", "list_request", "read_page"]


def list_request(asked: Asked, api: ApiCredentials) -> ApiRequest:
    query = {
        "limit": str(asked.page),
        "created_at[gte]": asked.since.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "created_at[lt]": asked.until.strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
    if asked.cursor:
        if not ID.fullmatch(asked.cursor):
            raise unreadable("cursor", "not an event of GoCardless'", "unreadable_id")
        query["after"] = asked.cursor
    host = "https://api.gocardless.com" if asked.livemode else "https://api-sandbox.gocardless.com"
    headers = {"Authorization": f"Bearer {api.key}", "GoCardless-Version": API_VERSION, "Accept": "application/json"}
    return ApiRequest("GET", f"{api.base_url or host}/events?{urlencode(query)}", headers)


def read_page(asked: Asked, body: bytes) -> Page:
    """Each event as a batch of its own: who hears it goes by the event, not by the batch."""
    del asked
    events = raw_items(body, "events")
    after = parse(body).raw("meta", "cursors", "after")
    items = tuple(Item(b'{"events":[' + event + b"]}") for event in events)
    return Page(items, after if type(after) is str and events else None)
