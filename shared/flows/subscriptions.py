"""What providers send to our endpoints, read twice a day where a provider tells, and held against what its adapter follows.

What was found stands in `told_endpoints/<provider>`. A provider that cannot be asked keeps what was found before, and somebody
is called when it has not answered for `UNANSWERED`.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Protocol

from shared.domain.api import ApiCredentials, ApiRequest, Ask
from shared.domain.codec import from_document, to_document
from shared.domain.errors import Misconfigured, Unavailable, Unreadable
from shared.domain.provider_endpoints import ToldEndpoint, differences
from shared.domain.telemetry import alarm, fact
from shared.flows.apis import Api
from shared.flows.committing import Decision, Seen, change, write
from shared.flows.ports import Documents, Key, Ports, Snapshot

COLLECTION = "told_endpoints"

UNANSWERED = timedelta(days=2)
"""An outage of a provider's ends sooner, and a look that fails once calls nobody."""


class EndpointReader(Protocol):
    """`shared.providers.<name>.endpoint`, of a provider that tells where it sends what.

    TOLD_BY: its call, for the table of providers. FOLLOWED: the types that have to arrive, by the names under which they are
    subscribed to. VERSIONS: those of its API that the adapter is written for; none: it does not matter, or is not told."""

    NAME: str
    API_HOSTS: frozenset[str]
    TOLD_BY: str
    FOLLOWED: Collection[str]
    VERSIONS: Collection[str]

    def endpoints(self, ask: Ask, api: ApiCredentials, *, livemode: bool) -> Iterable[ToldEndpoint]:
        """All there are. Raises what `ask` raises, and Unreadable."""


@dataclass(frozen=True, slots=True)
class Listening:
    """What was found of one provider. read_at: when it was asked and answered last, None where it never did. differences: each in
    a sentence; none: all that we follow is sent. unanswered_since: when it was first asked in vain after that."""

    read_at: datetime | None
    differences: tuple[str, ...] = ()
    unanswered_since: datetime | None = None


def look(
    readers: Mapping[str, EndpointReader],
    urls: Mapping[str, str],
    api_of: Callable[[EndpointReader], Api],
    ports: Ports,
    now: datetime,
    *,
    livemode: bool,
) -> None:
    """Read each of `readers`, and alarm for what is not as it has to be. One that cannot be asked keeps nobody waiting: it is
    asked again the next time, and where it refuses us, or has not answered for `UNANSWERED`, that is an alarm too. Raises
    Unavailable when documents are down."""
    read = 0
    for name, reader in readers.items():
        try:
            api = api_of(reader)
            told = tuple(reader.endpoints(_asking(api), api.credentials(livemode=livemode), livemode=livemode))
        except Unreadable as error:
            alarm("subscriptions_unread", provider=name, reason=error.reason, detail=str(error)[:300])
        except (Unavailable, Misconfigured) as error:
            fact("subscriptions_not_asked", provider=name, reason=error.reason)
            since = _in_vain(ports.documents, name, now)
            if now - since >= UNANSWERED:
                days = (now - since) // timedelta(days=1)
                alarm("subscriptions_unanswered", provider=name, reason=error.reason, days=days)
        else:
            read += 1
            found = differences(urls[name], told, reader.FOLLOWED, reader.VERSIONS)
            _keep(ports.documents, name, now, found)
            fact("subscriptions_read", provider=name, endpoints=len(told), differences=len(found))
            if found:
                alarm("subscription_drifted", provider=name, differences="; ".join(found)[:1000])
    fact("subscriptions_asked", providers=len(readers), read=read)


def listening(documents: Documents, providers: Sequence[str]) -> dict[str, Listening]:
    """What was found last of each of `providers` that was ever asked, in one read."""
    found = documents.get([Key(COLLECTION, name) for name in providers])
    return {name: one for name, snapshot in zip(providers, found, strict=True) if (one := _of(snapshot))}


def _asking(api: Api) -> Ask:
    def ask(request: ApiRequest) -> bytes:
        answer = api.send(request)
        if answer.status != 200:
            raise Unreadable(f"it answers {answer.status} to the question for our endpoint", reason="endpoint_refused")
        return answer.body

    return ask


def _keep(documents: Documents, name: str, now: datetime, found: tuple[str, ...]) -> None:
    key = Key(COLLECTION, name)

    def decide(seen: Seen) -> Decision[None]:
        before = _of(seen[key])
        newer = before is None or before.read_at is None or before.read_at < now
        return Decision(None, [write(key, seen[key], to_document(Listening(now, found)))] if newer else [])

    change(documents, [key], decide)


def _in_vain(documents: Documents, name: str, now: datetime) -> datetime:
    """Write down that `name` did not answer; answers since when."""
    key = Key(COLLECTION, name)

    def decide(seen: Seen) -> Decision[datetime]:
        before = _of(seen[key]) or Listening(None)
        if before.unanswered_since is not None:
            return Decision(before.unanswered_since)
        return Decision(now, [write(key, seen[key], to_document(replace(before, unanswered_since=now)))])

    return change(documents, [key], decide)


def _of(snapshot: Snapshot | None) -> Listening | None:
    return from_document(snapshot.document, Listening) if snapshot else None
