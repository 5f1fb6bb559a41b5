"""Providers' lists of what they told, as documented: by time, in pages, with cursors that lead on, and with the errors that they have.

A list is built on what a provider's simulator has sent: `tell` takes a body when it is made, whether it arrives or not.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, cast
from urllib.parse import parse_qs, urlsplit

from shared.domain.api import ApiAnswer, ApiCredentials, ApiRequest
from shared.domain.errors import Unreadable
from tests.simulator.facts import ProviderSimulator
from tests.simulator.providers.shaping import ApiReply, zulu

Json = dict[str, Any]
Query = dict[str, str]


@dataclass
class Told:
    """body: what was sent. own: what the list names it by. delivered: whether we answered 2xx."""

    at: datetime
    body: bytes
    own: str
    delivered: bool = True


@dataclass
class ListApi:
    """The list of one provider, and the rest of its API as its simulator answers it; takes the place of a `flows.apis.Api`.

    most: the largest page that it gives, whatever is asked for. largest: of an answer, in bytes, as our side takes it. troubles are answered first, one a request. asked: every request for
    a list, in order."""

    name: str
    simulator: ProviderSimulator
    hosts: frozenset[str]
    most: int = 1000
    told: list[Told] = field(default_factory=list)
    troubles: list[ApiReply] = field(default_factory=list)
    asked: list[ApiRequest] = field(default_factory=list)
    largest: int = 1 << 20
    before: Callable[[], None] = lambda: None

    def tell(self, body: bytes, at: datetime, *, delivered: bool = True) -> None:
        self.told.append(Told(at, body, f"id{len(self.told):06}", delivered))

    def credentials(self, *, livemode: bool) -> ApiCredentials:
        return ApiCredentials(key="a-key-of-ours")

    def send(self, request: ApiRequest, *, once: bool = False) -> ApiAnswer:
        self.before()
        url = urlsplit(request.url)
        assert (url.scheme, url.hostname in self.hosts) == ("https", True)
        self.asked.append(request)
        query = {name: ",".join(values) for name, values in parse_qs(url.query, keep_blank_values=True).items()}
        if self.troubles:
            reply = self.troubles.pop(0)
        elif not {name.lower(): value for name, value in request.headers.items()}["authorization"].startswith(
            "Bearer "
        ):
            reply = ApiReply(401)
        else:
            reply = LISTS[self.name](self, request.method, url.path, query, json.loads(request.body or b"{}"))
        if len(reply.body) > self.largest:
            raise Unreadable("more than an answer may have", reason="answer_too_large")
        return ApiAnswer(reply.status, reply.body)

    # What several have in common

    def within(self, since: datetime, until: datetime, *, closed: bool = False) -> list[Told]:
        """The oldest first. closed: of the very end too."""
        found = [one for one in self.told if since <= one.at < until or (closed and one.at == until)]
        return sorted(found, key=lambda one: (one.at, one.own))

    def cut(self, found: list[Any], size: int, begins: int) -> tuple[list[Any], int | None]:
        """A page of `found`, and where the next one begins."""
        ends = begins + min(size, self.most)
        return found[begins:ends], ends if ends < len(found) else None


def _at(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _reply(answer: Any) -> ApiReply:
    return ApiReply(200, json.dumps(answer, default=float).encode())


def _refused(message: str) -> ApiReply:
    return ApiReply(400, json.dumps({"error": message}).encode())


def _stripe(api: ListApi, method: str, path: str, query: Query, body: Json) -> ApiReply:
    if (method, path) != ("GET", "/v1/events") or not 1 <= int(query.get("limit", 10)) <= 100:
        return _refused("invalid_request_error")
    since, until = (datetime.fromtimestamp(int(query[f"created[{name}]"]), UTC) for name in ("gte", "lt"))
    found = api.within(since, until)[::-1]
    if "types[]" in query:
        kinds = query["types[]"].split(",")
        assert len(kinds) <= 20, "Stripe takes no more"
        found = [one for one in found if json.loads(one.body)["type"] in kinds]
    if query.get("delivery_success") == "false":
        found = [one for one in found if not one.delivered]
    ids = [json.loads(one.body)["id"] for one in found]
    after = query.get("starting_after")
    if after is not None and after not in ids:
        return _refused("no such event")
    page, more = api.cut(found, int(query.get("limit", 10)), ids.index(after) + 1 if after else 0)
    data = [json.loads(one.body) for one in page]
    return _reply({"object": "list", "url": "/v1/events", "has_more": more is not None, "data": data})


def _paypal(api: ListApi, method: str, path: str, query: Query, body: Json) -> ApiReply:
    if (method, path) != ("GET", "/v1/notifications/webhooks-events"):
        return _refused("INVALID_REQUEST")
    found = api.within(_at(query["start_time"]), _at(query["end_time"]), closed=True)[::-1]
    page, more = api.cut(found, int(query.get("page_size", 10)), int(query.get("start_index", 0)))
    links = [{"rel": "self", "href": "https://api-m.sandbox.paypal.com/", "method": "GET"}]
    if more is not None:
        own = f"page_size={query['page_size']}&start_time={query['start_time']}&end_time={query['end_time']}"
        href = f"https://api-m.sandbox.paypal.com{path}?{own}&start_index={more}"
        links.append({"rel": "next", "href": href, "method": "GET"})
    events = [{**json.loads(one.body), "transmissions": []} for one in page]
    return _reply({"events": events, "count": len(events), "links": links})


def _gocardless(api: ListApi, method: str, path: str, query: Query, body: Json) -> ApiReply:
    if (method, path) != ("GET", "/events") or int(query["limit"]) > 500:
        return _refused("invalid_api_usage")
    told = api.within(_at(query["created_at[gte]"]), _at(query["created_at[lt]"]))[::-1]
    found = [event for one in told for event in json.loads(one.body)["events"]]
    ids = [one["id"] for one in found]
    begins = ids.index(query["after"]) + 1 if "after" in query else 0
    page, more = api.cut(found, int(query["limit"]), begins)
    cursors = {"before": None, "after": page[-1]["id"] if more is not None else None}
    return _reply({"events": page, "meta": {"cursors": cursors, "limit": int(query["limit"])}})


def _apple(api: ListApi, method: str, path: str, query: Query, body: Json) -> ApiReply:
    if (method, path) != ("POST", "/inApps/v1/notifications/history"):
        return _refused("4000000")
    since, until = (datetime.fromtimestamp(body[name] / 1000, UTC) for name in ("startDate", "endDate"))
    found = [one for one in api.within(since, until) if not body.get("onlyFailures") or not one.delivered]
    token = query.get("paginationToken")
    if token is not None and not token.startswith("token-"):
        return _refused("4000015")
    page, more = api.cut(found, 20, int(token.removeprefix("token-")) if token else 0)
    sent = [json.loads(api.simulator.sign(one.body, one.at).body)["signedPayload"] for one in page]
    history = [{"signedPayload": one, "sendAttempts": []} for one in sent]
    # Every answer has a token.
    return _reply(
        {"notificationHistory": history, "hasMore": more is not None, "paginationToken": f"token-{more or 0}"}
    )


def _square(api: ListApi, method: str, path: str, query: Query, body: Json) -> ApiReply:
    if (method, path) != ("POST", "/v2/events") or not 1 <= body["limit"] <= 100:
        return _refused("INVALID_REQUEST_ERROR")
    between = body["query"]["filter"]["created_at"]
    kinds = body["query"]["filter"]["event_types"]
    found = api.within(_at(between["start_at"]), _at(between["end_at"]), closed=True)
    found = [one for one in found if json.loads(one.body)["type"] in kinds]
    page, more = api.cut(found, body["limit"], int(body.get("cursor", 0)))
    answer: Json = {"metadata": []}
    if page:
        answer["events"] = [json.loads(one.body) for one in page]
    return _reply(answer | ({"cursor": str(more)} if more is not None else {}))


def _objects(api: ListApi, resource: str) -> list[Json]:
    """Mollie's things as they are now: the last word on each."""
    found: dict[str, Json] = {}
    for one in api.told:
        event = json.loads(one.body)
        thing = event.get("_embedded", {}).get("entity", event)
        if thing.get("resource") == resource:
            found[thing["id"]] = thing
    return sorted(found.values(), key=lambda thing: (thing["createdAt"], thing["id"]), reverse=True)


def _mollie(api: ListApi, method: str, path: str, query: Query, body: Json) -> ApiReply:
    resource = path.removeprefix("/v2/")
    if method != "GET" or resource not in ("payments", "refunds", "chargebacks") or int(query["limit"]) > 250:
        return _refused("Bad Request")
    found = _objects(api, resource.removesuffix("s"))
    ids = [one["id"] for one in found]
    if "from" in query and query["from"] not in ids:
        return _refused("Bad Request")
    page, more = api.cut(found, int(query["limit"]), ids.index(query["from"]) if "from" in query else 0)
    following = None
    if more is not None:
        following = {"href": f"https://api.mollie.com{path}?from={ids[more]}&limit={query['limit']}"}
    return _reply({"count": len(page), "_embedded": {resource: page}, "_links": {"next": following}})


def _mercadopago(api: ListApi, method: str, path: str, query: Query, body: Json) -> ApiReply:
    if (method, path) != ("GET", "/v1/payments/search") or query["range"] != query["sort"] != "date_last_updated":
        return _refused("bad_request")
    found = sorted(_payments(api), key=lambda one: (one["date_last_updated"], one["id"]))
    since, until = _at(query["begin_date"]), _at(query["end_date"])
    found = [one for one in found if since <= _at(one["date_last_updated"]) <= until]
    page, _ = api.cut(found, int(query["limit"]), int(query["offset"]))
    paging = {"total": len(found), "limit": int(query["limit"]), "offset": int(query["offset"])}
    return _reply({"paging": paging, "results": page})


def _payments(api: ListApi) -> Iterator[Json]:
    """Each payment that was told of as the API has it now, changed when it was told of last."""
    changed = {
        json.loads(one.body)["data"]["id"]: one.at for one in api.told if json.loads(one.body)["type"] == "payment"
    }
    for own, at in changed.items():
        reply = cast(Any, api.simulator).answer("GET", f"/v1/payments/{own}", {"authorization": "Bearer a-key-of-ours"})
        yield {**json.loads(reply.body), "date_last_updated": zulu(at)}


LISTS: dict[str, Callable[[ListApi, str, str, Query, Json], ApiReply]] = {
    "stripe": _stripe,
    "paypal": _paypal,
    "gocardless": _gocardless,
    "apple": _apple,
    "square": _square,
    "mollie": _mollie,
    "mercadopago": _mercadopago,
}


def answering(listing: ListApi) -> Any:
    """The list over HTTP, to whoever has a token."""

    def answer(method: str, path: str, headers: dict[str, str]) -> ApiReply:
        url = urlsplit(path)
        query = {name: ",".join(values) for name, values in parse_qs(url.query).items()}
        assert headers["authorization"].startswith("Bearer ")
        return LISTS[listing.name](listing, method, url.path, query, {})

    return answer
