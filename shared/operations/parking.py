"""A provider is parked: its deliveries are accepted, verified and kept as ever, and nothing acts on what they tell.

That is done where events are pushed to who acts on them, and nowhere else: pushing stops for the provider's subscriptions,
which keep what comes. So it costs no delivery a read, holds within seconds, for every instance and for what was read back
from an API too, and needs no deployment. A deployment reads here what is parked and leaves it so; where somebody pushes it all
the same, `ongoing` tells.

Pub/Sub keeps what waits for seven days. What is older is published again from the warehouse (`replay_deliveries`).
"""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import chain

from shared.domain.codec import from_document, to_document, utc_text
from shared.domain.errors import Rejected
from shared.flows.audit import Changed, Errand, audited, begun, ended
from shared.flows.committing import Decision, Seen, change, write
from shared.flows.event_messages import TOPIC
from shared.flows.pacing import PacedBus
from shared.flows.parked import parked_key
from shared.flows.ports import Bus, Create, Delete, Documents, Message, Ports, Pulled, Snapshot, Subscriptions

SET_ASIDE = "parked"
"""The topic, and the subscription to it, through which what was kept goes at a rate: nothing else is pushed from it."""
KEPT_AT = "kept_at"
PORTION = 500
_LEASED = 20.0  # seconds of passing on that a portion may take, well below its lease


@dataclass(frozen=True, slots=True, kw_only=True)
class Parked:
    """pushes: subscriptions that are stopped, and where they were pushed to. ending: since when they are let go on."""

    provider: str
    since: datetime
    by: str
    why: str
    pushes: Mapping[str, str] = field(default_factory=dict)
    ending: datetime | None = None


def parked(documents: Documents, providers: Iterable[str]) -> dict[str, Parked]:
    """Those of `providers` that are parked, in one read."""
    found = map(_of, documents.get([parked_key(one) for one in providers]))
    return {one.provider: one for one in found if one is not None}


def ongoing(one: Parked, subscriptions: Subscriptions) -> list[str]:
    """Subscriptions of a parked provider that are pushed all the same: somebody, or a deployment, has put them back."""
    return [name for name in sorted(one.pushes) if subscriptions.pushed_to(name) is not None]


def park(ports: Ports, subscriptions: Subscriptions, provider: str, names: Sequence[str], errand: Errand) -> Parked:
    """Let nothing act on what `provider` tells, from now on: `names`, all its subscriptions, are stopped. A repeat stops what
    is not, and asks for no other reason. Where each was pushed to is written down before it is stopped."""
    key = parked_key(provider)

    def begin(seen: Seen) -> Decision[None]:
        if seen[key] is not None:
            return Decision(None)
        made = Parked(provider=provider, since=errand.at, by=errand.who, why=errand.why)
        return Decision(None, [Create(key, to_document(made))])

    change(audited(ports, errand).documents, [key], begin)
    for name in names:
        if (where := subscriptions.pushed_to(name)) is not None:
            change(ports.documents, [key], _noting(provider, name, where))
            subscriptions.push_to(name, None)
    return parked(ports.documents, [provider])[provider]


def _noting(provider: str, name: str, where: str) -> Callable[[Seen], Decision[None]]:
    key = parked_key(provider)

    def note(seen: Seen) -> Decision[None]:
        before = _of(seen[key])
        if before is None:
            raise Rejected(f"{provider} was unparked meanwhile: look, and park it again", reason="not_parked")
        after = replace(before, pushes={**before.pushes, name: where}, ending=None)
        return Decision(None, [write(key, seen[key], to_document(after))])

    return note


def unpark(ports: Ports, subscriptions: Subscriptions, provider: str, errand: Errand) -> None:
    """Let what was kept, and what comes, be acted on: at once, as fast as its consumers take it. Raises Rejected where the
    provider is not parked."""
    key = parked_key(provider)

    def begin(seen: Seen) -> Decision[Parked]:
        before = _of(seen[key])
        if before is None:
            raise Rejected(f"{provider} is not parked", reason="not_parked")
        after = replace(before, ending=before.ending or errand.at)
        return Decision(after, [write(key, seen[key], to_document(after))] if after != before else [])

    ending = change(audited(ports, errand).documents, [key], begin)
    for name, where in sorted(ending.pushes.items()):
        subscriptions.push_to(name, where)
    ports.documents.commit([Delete(key)])


def drain(
    ports: Ports,
    subscriptions: Subscriptions,
    provider: str,
    errand: Errand,
    rate: float,
    sleep: Callable[[float], None] = time.sleep,
) -> int:
    """Unpark `provider`, and let what was kept go through by when it was told, at `rate` messages a second; what comes
    meanwhile goes at once. Answers how many messages went through.

    What was kept is set aside first, in a topic of its own, so that it is at no time held here alone: broken off anywhere,
    the same again goes on. Raises Rejected where it is not parked and nothing is left over. Order is that of when events were published, as far as Pub/Sub gives them out in it: consumers need
    none. Each message goes to all that follow events of its kind, once.
    """
    found = parked(ports.documents, [provider]).get(provider)
    size = max(1, min(PORTION, int(rate * _LEASED)))
    left = [] if found is not None else subscriptions.take(SET_ASIDE, size)
    if found is None and not left:
        raise Rejected(
            f"{provider} is not parked, and nothing is left over of a drain: what one that was broken off held comes back"
            " within a minute",
            reason="not_parked",
        )
    told = [Changed(name=f"parked:{provider}", before=_said(found), after=f'{{"rate": {rate:g}}}')]
    record = begun(ports.documents, errand, told)
    if found is not None:
        _set_aside(ports.bus, subscriptions, sorted(found.pushes), errand.at)
        unpark(ports, subscriptions, provider, errand)
    count = _pass_on(PacedBus(ports.bus, rate, sleep), subscriptions, left, size)
    ended(ports.documents, record, f"{count} messages went through")
    return count


def _set_aside(bus: Bus, subscriptions: Subscriptions, names: Sequence[str], until: datetime) -> None:
    """What was published before `until`, once each, whoever of `names` follows it: published before it is taken away. What has
    come since is left: it goes on where it is."""
    waiting, known = list(names), set[str]()
    while waiting:
        taken = {name: subscriptions.take(name, PORTION) for name in waiting}
        every = sorted(chain.from_iterable(taken.values()), key=lambda one: one.published_at)
        new = {one.message_id: one for one in reversed(every) if one.message_id not in known}
        bus.publish(
            [
                Message(SET_ASIDE, one.data, {**one.attributes, KEPT_AT: utc_text(one.published_at)})
                for one in reversed(new.values())
            ]
        )
        known |= new.keys()
        for name, some in taken.items():
            subscriptions.ack(name, [one.ack_id for one in some])
        waiting = [name for name, some in taken.items() if any(one.published_at < until for one in some)]


def _pass_on(bus: Bus, subscriptions: Subscriptions, first: Sequence[Pulled], size: int) -> int:
    """What was set aside, `first` what of it was taken already, is told again, and then taken away."""
    count = 0
    while taken := first or subscriptions.take(SET_ASIDE, size):
        first = ()
        ordered = sorted(taken, key=lambda one: (one.attributes.get(KEPT_AT, ""), one.message_id))
        bus.publish(
            [
                Message(TOPIC, one.data, {name: told for name, told in one.attributes.items() if name != KEPT_AT})
                for one in ordered
            ]
        )
        subscriptions.ack(SET_ASIDE, [one.ack_id for one in ordered])
        count += len(ordered)
    return count


def _of(snapshot: Snapshot | None) -> Parked | None:
    return from_document(snapshot.document, Parked) if snapshot else None


def _said(one: Parked | None) -> str | None:
    return f'{{"since": "{utc_text(one.since)}"}}' if one else None
