"""What Adyen sends to our endpoint: a standard webhook of a company account or of a merchant account.

| fact | value |
|---|---|
| asked | GET /v3/companies and /v3/merchants for the accounts of the key, then each one's /webhooks, pages by `pageNumber` up to `pagesTotal` |
| types | a standard webhook sends Adyen's own choice of them. `additionalSettings.includeEventCodes` are sent beside it, `excludeEventCodes` are left out. Which are Adyen's choice is not told: what is excluded counts as missing, and nothing else |
| state | `active`; `hasError` where deliveries fail, which changes nothing of what is sent |
| version | none; `communicationFormat` has to be json, which is the only one that we read |
| key | API_ADYEN's, with the roles "Management API - Account read" and "Management API - Webhooks read" |
| hosts | management-live.adyen.com and management-test.adyen.com |

Sources: Adyen API reference "Management API v3": companies, merchants, webhooks; docs "Configure and manage webhooks"; the
field list of Adyen's OpenAPI ManagementService-v3.
"""

import re
from collections.abc import Iterator

from shared.domain.api import ApiCredentials, ApiRequest, Ask
from shared.domain.provider_endpoints import MOST_PAGES, ToldEndpoint
from shared.providers.adyen.webhook import CODES
from shared.providers.adyen.webhook import NAME as NAME
from shared.providers.kit.reading import Node, parse, unreadable

API_HOSTS = frozenset({"management-live.adyen.com", "management-test.adyen.com"})
TOLD_BY = "GET /v3/companies/{id}/webhooks, /v3/merchants/{id}/webhooks"
FOLLOWED = frozenset(CODES)
VERSIONS = frozenset({"json"})
_ACCOUNT = re.compile(r"[A-Za-z0-9][A-Za-z0-9_\-]{0,79}", flags=re.ASCII)


def endpoints(ask: Ask, api: ApiCredentials, *, livemode: bool) -> Iterator[ToldEndpoint]:
    own_host = f"https://management-{'live' if livemode else 'test'}.adyen.com"
    base = f"{api.base_url or own_host}/v3"
    for kind in ("companies", "merchants"):
        for account in _pages(ask, api, f"{base}/{kind}"):
            own = account.text("id")
            if not _ACCOUNT.fullmatch(own):
                raise unreadable("data[].id", "not an account of Adyen's", "unreadable_id")
            for one in _pages(ask, api, f"{base}/{kind}/{own}/webhooks"):
                if one.hint("type") == "standard":
                    yield _endpoint(one)


def _pages(ask: Ask, api: ApiCredentials, url: str) -> Iterator[Node]:
    headers = {"X-API-Key": api.key, "Accept": "application/json"}
    for number in range(1, MOST_PAGES + 1):
        page = parse(ask(ApiRequest("GET", f"{url}?pageSize=100&pageNumber={number}", headers)))
        yield from page.nodes("data")
        if number >= page.integer("pagesTotal"):
            return


def _endpoint(one: Node) -> ToldEndpoint:
    active, excluded = one.flag("active") is True, one.raw("additionalSettings", "excludeEventCodes")
    return ToldEndpoint(
        url=one.maybe_text("url") or "",
        enabled=active,
        state="active" if active else "inactive",
        without=frozenset(map(str, excluded if type(excluded) is list else [])),
        version=one.maybe_text("communicationFormat"),
    )
