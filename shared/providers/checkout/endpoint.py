"""What Checkout.com sends to our endpoint: workflows whose action is a webhook.

| fact | value |
|---|---|
| asked | GET /workflows for those there are, then GET /workflows/{id} for what each does |
| types | of the condition `event`, by who tells of them: `events.gateway`, `events.dispute` and others |
| state | `active` |
| version | none is told |
| key | API_CHECKOUT's: the secret key, or an access token with the scope `flow:workflows` |

Conditions on entities and processing channels narrow a workflow further, which is not held against anything: which of them are
ours is not known here.

Sources: Checkout.com docs "Manage webhooks", "Manage webhooks using the API"; its API reference "Workflows".
"""

import re
from collections.abc import Iterator

from shared.domain.api import ApiCredentials, ApiRequest, Ask
from shared.domain.provider_endpoints import ToldEndpoint
from shared.providers.checkout.webhook import NAME as NAME
from shared.providers.checkout.webhook import TYPES
from shared.providers.kit.reading import Node, parse, unreadable

API_HOSTS = frozenset({"api.checkout.com", "api.sandbox.checkout.com"})
TOLD_BY = "GET /workflows/{id}"
FOLLOWED = frozenset(TYPES)
VERSIONS: frozenset[str] = frozenset()
_WORKFLOW = re.compile(r"wf_[A-Za-z0-9]{1,60}", flags=re.ASCII)


def endpoints(ask: Ask, api: ApiCredentials, *, livemode: bool) -> Iterator[ToldEndpoint]:
    base = api.base_url or f"https://api.{'' if livemode else 'sandbox.'}checkout.com"
    headers = {"Authorization": f"Bearer {api.key}", "Accept": "application/json"}
    for one in parse(ask(ApiRequest("GET", f"{base}/workflows", headers))).nodes("data"):
        own = one.word("id")
        if not _WORKFLOW.fullmatch(own):
            raise unreadable("data[].id", "not an id of Checkout.com's", "unreadable_id")
        yield from _endpoints(parse(ask(ApiRequest("GET", f"{base}/workflows/{own}", headers))))


def _endpoints(workflow: Node) -> Iterator[ToldEndpoint]:
    active = workflow.flag("active") is True
    of_events = [one for one in workflow.nodes("conditions") if one.hint("type") == "event"]
    for action in workflow.nodes("actions"):
        if action.hint("type") == "webhook":
            yield ToldEndpoint(
                url=action.maybe_text("url") or "",
                enabled=active,
                state="active" if active else "inactive",
                # Every condition has to be met.
                types=frozenset.intersection(*map(_types, of_events)) if of_events else None,
            )


def _types(condition: Node) -> frozenset[str]:
    listed = condition.raw("events")
    sources = listed.values() if type(listed) is dict else []
    return frozenset(str(kind) for kinds in sources if type(kinds) is list for kind in kinds)
