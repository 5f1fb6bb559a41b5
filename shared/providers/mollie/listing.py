"""Mollie's payments, refunds and chargebacks, listed: it has no list of events.

Its objects are told as its webhooks tell them, and an event's id is made of an object's id and state: so what is listed is the
delivery that would have told of that state. States before it leave no trace. Newest first, by when an object was made, 250 a
page, without times to ask by; `_links.next` leads on, of which only where it begins is taken. What was made days ago changes
today, so every day the last thirty are looked at again.

Sources: Mollie docs "Pagination", "List payments", "List refunds", "List chargebacks".
"""

import re
from datetime import timedelta
from urllib.parse import parse_qs, urlencode, urlsplit

from shared.domain.api import ApiCredentials, ApiRequest
from shared.providers.kit.listing import Asked, Item, Page, Stream, raw_items
from shared.providers.kit.reading import parse, unreadable
from shared.providers.mollie.api import API_HOSTS as API_HOSTS
from shared.providers.mollie.webhook import NAME

BACK = timedelta(days=30)
STREAMS = tuple(
    Stream(name, BACK, 250, again=True, from_newest=True) for name in ("chargebacks", "refunds", "payments")
)
OPEN = frozenset({"open", "pending", "queued", "processing"})
_FROM = re.compile(r"[a-z]{1,8}_[A-Za-z0-9]{1,40}", flags=re.ASCII)
__all__ = ["API_HOSTS", "NAME", "STREAMS", "list_request", "read_page"]


def list_request(asked: Asked, api: ApiCredentials) -> ApiRequest:
    query = {"limit": str(asked.page)}
    if asked.cursor:
        if not _FROM.fullmatch(asked.cursor):
            raise unreadable("cursor", "not an id of Mollie's", "unreadable_id")
        query["from"] = asked.cursor
    headers = {"Authorization": f"Bearer {api.key}", "Accept": "application/hal+json"}
    url = f"{api.base_url or 'https://api.mollie.com'}/v2/{asked.stream}?{urlencode(query)}"
    return ApiRequest("GET", url, headers)


def read_page(asked: Asked, body: bytes) -> Page:
    raw = raw_items(body, "_embedded", asked.stream)
    listed = [(node, node.instant("createdAt"), one) for one in raw for node in (parse(one),)]
    items = tuple(
        Item(one) for node, made, one in listed if asked.since <= made < asked.until and node.raw("status") not in OPEN
    )
    if not listed or listed[-1][1] < asked.since:
        return Page(items)
    following = parse(body).raw("_links", "next", "href")
    begins = parse_qs(urlsplit(following).query).get("from", []) if type(following) is str else []
    return Page(items, begins[0] if begins else None)
