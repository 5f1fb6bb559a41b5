"""Mercado Pago's payments, listed: GET /v1/payments/search by when they changed last; it has no list of notifications.

A notification only names a payment, and the events' ids are made of its state: so what is listed tells which events there should
be, and a poke has it read back with its refunds. The oldest change comes first. A payment that changes meanwhile leaves the
window and everything behind it moves up, so the next page is not counted off but begins at the last change that was seen;
where all of a page changed at one instant, behind it by number.

Chargebacks and claims are not searched for: public pages name no search by time.

Sources: Mercado Pago docs "Search payments" (`sort`, `criteria`, `range`, `begin_date`, `end_date`), "Received payments management".
"""

import re
from datetime import timedelta
from urllib.parse import urlencode

from shared.domain.api import ApiCredentials, ApiRequest
from shared.providers.kit.listing import Asked, Item, Page, Stream, raw_items
from shared.providers.kit.reading import parse, unreadable
from shared.providers.mercadopago.api import API_HOSTS as API_HOSTS
from shared.providers.mercadopago.api import identifier
from shared.providers.mercadopago.webhook import NAME

STREAMS = (Stream("payments", timedelta(days=30), 100),)
_CURSOR = re.compile(r"([0-9T:.\-]{19,26}Z) ([0-9]{1,6})", flags=re.ASCII)
__all__ = ["API_HOSTS", "NAME", "STREAMS", "list_request", "read_page"]


def list_request(asked: Asked, api: ApiCredentials) -> ApiRequest:
    begins, skipped = _place(asked)
    query = {
        "sort": "date_last_updated",
        "criteria": "asc",
        "range": "date_last_updated",
        "begin_date": begins,
        "end_date": asked.until.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "limit": str(asked.page),
        "offset": str(skipped),
    }
    headers = {"Authorization": f"Bearer {api.key}", "Accept": "application/json"}
    url = f"{api.base_url or 'https://api.mercadopago.com'}/v1/payments/search?{urlencode(query)}"
    return ApiRequest("GET", url, headers)


def _place(asked: Asked) -> tuple[str, int]:
    """From which change on, and how many of those are seen already."""
    if not asked.cursor:
        return asked.since.strftime("%Y-%m-%dT%H:%M:%SZ"), 0
    found = _CURSOR.fullmatch(asked.cursor)
    if found is None:
        raise unreadable("cursor", "not a place in a list of payments", "unreadable_cursor")
    return found[1], int(found[2])


def read_page(asked: Asked, body: bytes) -> Page:
    payments = raw_items(body, "results")
    read = [parse(one) for one in payments]
    items = tuple(Item(one, "payments", identifier(node, "id")) for one, node in zip(payments, read, strict=True))
    begins, skipped = _place(asked)
    if not items or skipped + len(items) >= parse(body).integer("paging", "total"):
        return Page(items)
    last = read[-1].instant("date_last_updated").strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return Page(items, f"{begins} {skipped + len(items)}" if last == begins else f"{last} 0")
