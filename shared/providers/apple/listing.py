"""Apple's notifications, listed: POST /inApps/v1/notifications/history, 180 days back (30 in the sandbox), 20 a page.

`failures` is what has not reached us, what Apple is trying again among it; by hand, `everything`. Each is the very JWS that
was sent. A page's `paginationToken` leads on while it says `hasMore`, with the same body as the first.
API_APPLE's key is the one that answers.

Sources: App Store Server API "Get Notification History", "NotificationHistoryRequest", "paginationToken".
"""

import json
import re
from datetime import timedelta
from urllib.parse import quote

from shared.domain.api import ApiCredentials, ApiRequest
from shared.providers.apple.answer import API_HOSTS as API_HOSTS
from shared.providers.apple.answer import signed_token as signed_token
from shared.providers.apple.webhook import NAME
from shared.providers.kit.listing import Asked, Item, Page, Stream, raw_items
from shared.providers.kit.reading import parse, unreadable

STREAMS = (
    Stream("failures", timedelta(days=30), 20, again=True, part=True),
    Stream("everything", timedelta(days=180), 20, by_hand=True),
)
_TOKEN = re.compile(r"[\x21-\x7e]{1,2000}", flags=re.ASCII)
__all__ = ["API_HOSTS", "NAME", "STREAMS", "list_request", "read_page", "signed_token"]


def list_request(asked: Asked, api: ApiCredentials) -> ApiRequest:
    own = "https://api.storekit.apple.com" if asked.livemode else "https://api.storekit-sandbox.apple.com"
    url = f"{api.base_url or own}/inApps/v1/notifications/history"
    if asked.cursor:
        if not _TOKEN.fullmatch(asked.cursor):
            raise unreadable("cursor", "not a token of Apple's", "unreadable_cursor")
        url += f"?paginationToken={quote(asked.cursor, safe='')}"
    body = {
        "startDate": int(asked.since.timestamp()) * 1000,
        "endDate": int(asked.until.timestamp()) * 1000,
        **({"onlyFailures": True} if asked.stream == "failures" else {}),
    }
    headers = {"Authorization": f"Bearer {api.key}", "Accept": "application/json", "Content-Type": "application/json"}
    return ApiRequest("POST", url, headers, json.dumps(body).encode())


def read_page(asked: Asked, body: bytes) -> Page:
    del asked
    whole = parse(body)
    sent = [parse(record).raw("signedPayload") for record in raw_items(body, "notificationHistory")]
    items = tuple(Item(json.dumps({"signedPayload": jws}).encode()) for jws in sent)
    token = whole.raw("paginationToken")
    return Page(items, token if whole.flag("hasMore") is True and type(token) is str and items else None)
