"""A poke said that something changed: read the object back from the provider and tell what it says."""

from collections.abc import Callable, Collection, Mapping
from datetime import datetime, timedelta
from typing import Protocol

from shared.domain.api import ApiCredentials, ApiRequest
from shared.domain.errors import Unavailable, Unreadable
from shared.domain.events import AnyEvent, ResourceChanged
from shared.domain.telemetry import alarm, fact
from shared.flows.apis import Api
from shared.flows.event_messages import event_message
from shared.flows.ports import Bus
from shared.flows.receive_delivery import tell_unknown
from shared.providers.kit.reading import parse
from shared.providers.kit.unmapped import unmapped_words

# Providers speak of an object before every server of theirs knows it: until then, "not found" means "not yet".
SETTLES_WITHIN = timedelta(minutes=10)


class Fetcher(Protocol):
    """What a provider's module offers as well, if its webhooks are pokes: how the object behind one is read back.

    API_HOSTS: the only hosts that a request of its own may go to. RESOURCE_WORDS: kind of object → path in it → the
    words that may stand there; any other is told of (see `unmapped_words`). A module with `API_SCOPE` is asked with an access
    token of our own service account for that scope, where no key is configured; a module that is an `apis.Exchanger` with the
    token that the key is exchanged for.
    """

    NAME: str
    API_HOSTS: frozenset[str]
    RESOURCE_WORDS: Mapping[str, Mapping[str, Collection[str]]]

    def resource_request(self, event: ResourceChanged, api: ApiCredentials) -> ApiRequest:
        """How to ask for the object that `event` names. Raises Unreadable for an id that is none of the provider's."""

    def read_resource(self, event: ResourceChanged, body: bytes) -> tuple[AnyEvent, ...]:
        """What the object says, in our words: all that happened to it, in order, for a poke may be the only one
        of many that arrived. Every read of the same state gives the same event ids. A ResourceChanged among them
        names another object that has to be read for the rest. Raises Unreadable. Nothing else."""


def fetch_resource(
    event: AnyEvent,
    fetchers: Callable[[str], Fetcher],
    apis: Callable[[Fetcher], Api],
    bus: Bus,
    now: datetime,
) -> None:
    """Publish to `payment-events` what the object behind `event` says; an event that is no poke is left alone.

    A repeat reads again and, while nothing changed, publishes the same events. Raises Unavailable, Unreadable and
    Misconfigured; then nothing was published and Pub/Sub tells us again.
    """
    if not isinstance(event, ResourceChanged):
        fact("fetch_ignored", event_id=event.event_id, provider=event.provider)
        return
    fetcher = fetchers(event.provider)
    api = apis(fetcher)
    answer = api.send(fetcher.resource_request(event, api.credentials(livemode=event.livemode)))
    if answer.status in (404, 410):
        _missing(event, answer.status, now)
        return
    if answer.status != 200:
        # Refused (401, 403) or redirected: an operator's turn, and until then the poke is kept.
        alarm("fetch_refused", provider=event.provider, resource=event.resource, status=answer.status)
        raise Unavailable(f"{event.provider} answered {answer.status}", reason="fetch_refused")
    # First, for a word that cannot be read either is the one to be told of.
    unknown = unmapped_words(parse(answer.body).value, fetcher.RESOURCE_WORDS.get(event.resource, {}))
    tell_unknown(event.provider, event.resource, unknown, event.delivery_id)
    told = fetcher.read_resource(event, answer.body)
    events = [one for one in told if one.livemode == event.livemode]
    if len(events) != len(told):
        alarm("fetched_other_mode", provider=event.provider, event_id=event.event_id, resource=event.resource)
    if any(isinstance(one, ResourceChanged) and one.event_id == event.event_id for one in events):
        raise Unreadable("an object that leads to itself", reason="endless_resource")
    if events:
        bus.publish([event_message(one, now) for one in events])
    fact(
        "resource_fetched",
        provider=event.provider,
        resource=event.resource,
        event_id=event.event_id,
        outcome="read" if events else "nothing_new",
        events=len(events),
        age_seconds=max(0, int((now - event.occurred_at).total_seconds())),
    )


def _missing(event: ResourceChanged, status: int, now: datetime) -> None:
    """Raises Unavailable for an object that may only be late."""
    # Where nobody proved the time, it may lie in the future: nothing is asked for until then.
    if status == 404 and abs(now - event.occurred_at) < SETTLES_WITHIN:
        raise Unavailable(f"{event.provider} does not know the object yet", reason="not_found_yet")
    alarm("resource_missing", provider=event.provider, resource=event.resource, event_id=event.event_id, status=status)
