"""What providers tell of the endpoints that they send to, as their references document it: the calls, the forms, the pages, and
the refusal of whoever has no key."""

import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

from shared.providers import load_endpoint
from tests.simulator.apis import Answering
from tests.simulator.providers.shaping import ApiReply


@dataclass
class Configured:
    """One endpoint, as somebody has entered it at the provider. thin: of Stripe's, one of thin events."""

    url: str
    types: Collection[str]
    enabled: bool = True
    version: str | None = None
    live: bool = False
    thin: bool = False


VERSIONS = {"square": "2026-09-16", "stripe": "2026-09-30.endive"}


def as_it_should_be(name: str, url: str) -> Configured:
    """Our endpoint at `name`, entered so that all is sent that its adapter follows."""
    followed = () if name == "adyen" else load_endpoint(name).FOLLOWED
    return Configured(url, followed, version=VERSIONS.get(name))


@dataclass
class Console:
    """A provider's pages on which endpoints are entered. page: how many of them an answer has at most. asked: every path."""

    name: str
    endpoints: list[Configured] = field(default_factory=list)
    page: int = 100
    asked: list[str] = field(default_factory=list)

    @property
    def answer(self) -> Answering:
        told = TOLD[self.name]

        def answered(method: str, path: str, headers: dict[str, str]) -> ApiReply:
            self.asked.append(path)
            if method == "POST" and path == "/v1/oauth2/token":
                return _json({"access_token": "A21AA", "expires_in": 32400, "token_type": "Bearer"})
            if not (headers.get("authorization", "").startswith("Bearer ") or headers.get("x-api-key")):
                return ApiReply(401, b"{}")
            url = urlsplit(path)
            found = told(self, url.path, {name: values[-1] for name, values in parse_qs(url.query).items()})
            return ApiReply(404, b"{}") if found is None else _json(found)

        return answered


def _json(told: Any) -> ApiReply:
    return ApiReply(200, json.dumps(told).encode())


Told = Callable[[Console, str, Mapping[str, str]], Any]


def _stripe(console: Console, path: str, query: Mapping[str, str]) -> Any:
    if path == "/v1/webhook_endpoints":
        own = [(f"we_{at}", one) for at, one in enumerate(console.endpoints) if not one.thin]
        names = [name for name, _ in own]
        begins = names.index(query["starting_after"]) + 1 if "starting_after" in query else 0
        some = own[begins : begins + console.page]
        return {
            "object": "list",
            "url": path,
            "has_more": begins + console.page < len(own),
            "data": [
                {
                    "id": name,
                    "object": "webhook_endpoint",
                    "api_version": one.version,
                    "application": None,
                    "created": 1680122196,
                    "enabled_events": sorted(one.types),
                    "livemode": one.live,
                    "metadata": {},
                    "status": "enabled" if one.enabled else "disabled",
                    "url": one.url,
                }
                for name, one in some
            ],
        }
    if path == "/v2/core/event_destinations":
        thin = [one for one in console.endpoints if one.thin]
        begins = int(query.get("page", "0"))
        following = f"{path}?page={begins + console.page}&include=webhook_endpoint.url"
        return {
            "data": [
                {
                    "id": f"ed_{at}",
                    "object": "v2.core.event_destination",
                    "type": "webhook_endpoint",
                    "event_payload": "thin",
                    "enabled_events": sorted(f"v1.{kind}" for kind in one.types),
                    "livemode": one.live,
                    "status": "enabled" if one.enabled else "disabled",
                    "snapshot_api_version": one.version,
                    "webhook_endpoint": {"url": one.url} if query.get("include") == "webhook_endpoint.url" else None,
                }
                for at, one in enumerate(thin[begins : begins + console.page])
            ],
            "next_page_url": following if begins + console.page < len(thin) else None,
            "previous_page_url": None,
        }
    return None


def _square(console: Console, path: str, query: Mapping[str, str]) -> Any:
    if path != "/v2/webhooks/subscriptions":
        return None
    shown = [one for one in console.endpoints if one.enabled or query.get("include_disabled") == "true"]
    begins = int(query.get("cursor", "0"))
    following = {"cursor": str(begins + console.page)} if begins + console.page < len(shown) else {}
    return {
        "subscriptions": [
            {
                "id": f"wbhk_{at}",
                "name": "ours",
                "enabled": one.enabled,
                "event_types": sorted(one.types),
                "notification_url": one.url,
                "api_version": one.version,
                "created_at": "2026-01-10 19:20:42 +0000 UTC",
            }
            for at, one in enumerate(shown[begins : begins + console.page])
        ],
        **following,
    }


def _paypal(console: Console, path: str, query: Mapping[str, str]) -> Any:
    """What is switched off is not listed."""
    if path != "/v1/notifications/webhooks":
        return None
    return {
        "webhooks": [
            {
                "id": f"0EH4{at}",
                "url": one.url,
                "event_types": [
                    {"name": kind, "description": "…", "status": "ENABLED"} if kind != "*" else {"name": "*"}
                    for kind in sorted(one.types)
                ],
            }
            for at, one in enumerate(console.endpoints)
            if one.enabled
        ]
    }


def _checkout(console: Console, path: str, query: Mapping[str, str]) -> Any:
    if path == "/workflows":
        return {
            "data": [
                {"id": f"wf_{at}", "name": "ours", "active": one.enabled} for at, one in enumerate(console.endpoints)
            ]
        }
    own = path.removeprefix("/workflows/wf_")
    if not own.isdigit() or int(own) >= len(console.endpoints):
        return None
    one = console.endpoints[int(own)]
    disputes = sorted(kind for kind in one.types if kind.startswith("dispute"))
    return {
        "id": f"wf_{own}",
        "name": "ours",
        "active": one.enabled,
        "conditions": [
            {
                "id": "wfc_1",
                "type": "event",
                "events": {"gateway": sorted(set(one.types) - {*disputes}), "dispute": disputes},
            },
            {"id": "wfc_2", "type": "entity", "entities": ["ent_1"]},
        ],
        "actions": [
            {
                "id": "wfa_1",
                "type": "webhook",
                "url": one.url,
                "headers": {"Authorization": "a-secret"},
                "signature": {"method": "HMACSHA256", "key": "another-secret"},
            }
        ],
    }


def _adyen(console: Console, path: str, query: Mapping[str, str]) -> Any:
    """Of two accounts, the merchant's endpoints. `types` of an endpoint are those that it leaves out, written with a minus."""
    found: list[Any]
    match path.split("/")[1:]:
        case ["v3", "companies"]:
            found = [{"id": "OurCompany", "name": "Ours", "status": "Active"}]
        case ["v3", "merchants"]:
            found = [{"id": "OurMerchant_ECOM", "companyId": "OurCompany", "status": "Active"}]
        case ["v3", "companies", "OurCompany", "webhooks"]:
            found = [{"id": "S2-0", "type": "rreq-notification", "url": "https://others.example/", "active": True}]
        case ["v3", "merchants", "OurMerchant_ECOM", "webhooks"]:
            found = [
                {
                    "id": f"S2-{at}",
                    "type": "standard",
                    "url": one.url,
                    "active": one.enabled,
                    "hasError": False,
                    "hasPassword": True,
                    "communicationFormat": one.version or "json",
                    "additionalSettings": {
                        "excludeEventCodes": sorted(kind.removeprefix("-") for kind in one.types if kind[0] == "-")
                    },
                }
                for at, one in enumerate(console.endpoints)
            ]
        case _:
            return None
    pages = max(1, -(-len(found) // console.page))
    begins = (int(query["pageNumber"]) - 1) * console.page
    return {"itemsTotal": len(found), "pagesTotal": pages, "data": found[begins : begins + console.page]}


TOLD: Mapping[str, Told] = {
    "adyen": _adyen,
    "checkout": _checkout,
    "paypal": _paypal,
    "square": _square,
    "stripe": _stripe,
}
