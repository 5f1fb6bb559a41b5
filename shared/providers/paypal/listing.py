"""PayPal's events, listed: GET /v1/notifications/webhooks-events, the events of all of an app's webhooks.

By when they were made, both ends counted; a page's `next` link leads on, of which only the query is taken. How long PayPal
keeps them is not settled by public pages: thirty days are asked for, as many as its dashboard shows.

Sources: PayPal's OpenAPI description notifications_webhooks_v1; docs "Webhooks events dashboard".
"""

import re
from datetime import timedelta
from urllib.parse import urlencode, urlsplit

from shared.domain.api import ApiCredentials, ApiRequest
from shared.providers.kit.listing import Asked, Item, Page, Stream, raw_items
from shared.providers.kit.reading import parse, unreadable
from shared.providers.paypal.api import API_HOSTS as API_HOSTS
from shared.providers.paypal.api import base_url
from shared.providers.paypal.api import read_token as read_token
from shared.providers.paypal.api import token_request as token_request
from shared.providers.paypal.webhook import EVENTS, NAME

STREAMS = (Stream("events", timedelta(days=30), 100),)
_QUERY = re.compile(r"[A-Za-z0-9_\-.~%&=:+,]{1,2000}", flags=re.ASCII)
__all__ = ["API_HOSTS", "NAME", "STREAMS", "list_request", "read_page", "read_token", "token_request"]


def list_request(asked: Asked, api: ApiCredentials) -> ApiRequest:
    if asked.cursor and not _QUERY.fullmatch(asked.cursor):
        raise unreadable("cursor", "not a query of PayPal's", "unreadable_cursor")
    query = asked.cursor or urlencode(
        {
            "page_size": asked.page,
            "start_time": asked.since.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "end_time": asked.until.strftime("%Y-%m-%dT%H:%M:%SZ"),
        }
    )
    return ApiRequest(
        "GET",
        f"{base_url(api, livemode=asked.livemode)}/v1/notifications/{EVENTS}?{query}",
        {"Authorization": f"Bearer {api.key}", "Accept": "application/json"},
    )


def read_page(asked: Asked, body: bytes) -> Page:
    del asked
    events = raw_items(body, "events")
    following = [link.raw("href") for link in parse(body).nodes("links") if link.raw("rel") == "next"]
    href = following[0] if following and events else None
    return Page(tuple(map(Item, events)), urlsplit(href).query or None if type(href) is str else None)
