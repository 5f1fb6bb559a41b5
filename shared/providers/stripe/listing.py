"""Stripe's events, listed: GET /v1/events, which goes back 30 days.

| list | what is on it |
|---|---|
| `disputes` | disputes, warnings and reviews, whatever became of their deliveries |
| `undelivered` | every type, of which some endpoint has not said 2xx yet (`delivery_success=false`), an event that is tried again among them |
| `everything` | by hand: while an endpoint is switched off nothing is tried, and Stripe does not say whether that counts as delivered |

Newest first, 100 a page at most, the next page begins after the last event (`starting_after`). An event is told as its
endpoint's API version wrote it, with the id that its delivery had.

Sources: Stripe API reference "List all events", "Pagination".
"""

from datetime import timedelta
from urllib.parse import urlencode

from shared.domain.api import ApiCredentials, ApiRequest
from shared.providers.kit.listing import Asked, Item, Page, Stream, raw_items
from shared.providers.kit.reading import parse, unreadable
from shared.providers.stripe.api import API_HOSTS as API_HOSTS
from shared.providers.stripe.api import ID, headers
from shared.providers.stripe.webhook import DISPUTES, NAME, WARNINGS

BACK = timedelta(days=30)
DISPUTED = tuple(sorted({*DISPUTES, *WARNINGS, "review.opened", "review.closed"}))
"""Stripe takes twenty types at most."""
STREAMS = (
    Stream("disputes", BACK, 100, part=True),
    Stream("undelivered", BACK, 100, again=True, part=True),
    Stream("everything", BACK, 100, by_hand=True),
)
__all__ = ["API_HOSTS", "NAME", "STREAMS", "list_request", "read_page"]


def list_request(asked: Asked, api: ApiCredentials) -> ApiRequest:
    query = [
        ("limit", str(asked.page)),
        ("created[gte]", str(int(asked.since.timestamp()))),
        ("created[lt]", str(int(asked.until.timestamp()))),
    ]
    if asked.stream == "undelivered":
        query.append(("delivery_success", "false"))
    elif asked.stream == "disputes":
        query += [("types[]", kind) for kind in DISPUTED]
    if asked.cursor:
        if not ID.fullmatch(asked.cursor):
            raise unreadable("cursor", "not an event of Stripe's", "unreadable_id")
        query.append(("starting_after", asked.cursor))
    url = f"{api.base_url or 'https://api.stripe.com'}/v1/events?{urlencode(query)}"
    return ApiRequest("GET", url, headers(api, asked.account))


def read_page(asked: Asked, body: bytes) -> Page:
    del asked
    whole = parse(body)
    events = raw_items(body, "data")
    more = whole.flag("has_more") is True and bool(events)
    return Page(tuple(map(Item, events)), parse(events[-1]).word("id") if more else None)
