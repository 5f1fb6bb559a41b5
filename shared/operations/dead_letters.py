"""What was given up after all its tries: seen by what it has in common, tried again, or dropped for a reason."""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

from shared.domain.errors import Misconfigured, Rejected
from shared.flows.audit import Changed, Errand, begun, ended
from shared.flows.ports import Bus, Documents, Message, Pulled, Subscriptions

PORTION = 500
SOURCE = "CloudPubSubDeadLetterSourceSubscription"
TOLD_AT = "CloudPubSubDeadLetterSourceTopicPublishTime"
_FORWARDED = "CloudPubSubDeadLetter"
"""With which the attributes begin that Pub/Sub adds when it gives up on a message:
https://cloud.google.com/pubsub/docs/handling-failures#dead_letter_topic."""

Diagnose = Callable[[str, Pulled], str]
"""Why a message of the dead letters of that name cannot be taken, in a stable word or two; what it would be today, where it can
be tried. It changes nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Dead letters that have all of this in common. fingerprint: what they are called by. letters: the subscription in which
    they lie, source: that in which they were given up. first, last: when they were published first. example: one of their
    ids, an event's where it has one."""

    fingerprint: str
    letters: str
    source: str
    provider: str
    kind: str
    reason: str
    count: int
    first: datetime
    last: datetime
    example: str


@dataclass(frozen=True, slots=True)
class Lying:
    """What lies there, the largest group first. unseen: why some dead letters could not be looked into, by their name: a
    subscription that is missing hides none of the others."""

    groups: tuple[Group, ...]
    unseen: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class _Letter:
    name: str
    pulled: Pulled
    reason: str

    @property
    def told_at(self) -> datetime:
        """When it was published, before it was forwarded here."""
        try:
            at = datetime.fromisoformat(self.pulled.attributes.get(TOLD_AT, ""))
        except ValueError:
            return self.pulled.published_at
        return at if at.tzinfo else self.pulled.published_at

    @property
    def common(self) -> tuple[str, str, str, str, str]:
        told = self.pulled.attributes
        kind = told.get("kind") or told.get("job") or told.get("action") or ""
        return self.name, told.get(SOURCE, ""), told.get("provider", ""), kind, self.reason

    @property
    def fingerprint(self) -> str:
        return hashlib.sha256("\0".join(self.common).encode()).hexdigest()[:8]

    @property
    def id(self) -> str:
        return self.pulled.attributes.get("event_id") or self.pulled.message_id


def dead_letters(subscriptions: Subscriptions, names: Sequence[str], diagnose: Diagnose, limit: int = PORTION) -> Lying:
    """What lies in the dead letters of `names`, at most `limit` of each. They stay where they are."""
    with _taken(subscriptions, names, diagnose, limit) as (letters, unseen):
        return Lying(tuple(_groups(letters)), unseen)


def requeue(
    subscriptions: Subscriptions,
    bus: Bus,
    documents: Documents,
    topics: Mapping[str, str],
    fingerprint: str,
    diagnose: Diagnose,
    errand: Errand,
    limit: int = PORTION,
) -> Group:
    """Publish the letters of that fingerprint once more, where they came from (`topics`, by the name of the letters), and take
    them away then. All who follow that topic hear them; each knows what it has had. Raises Rejected where there are none."""
    with _taken(subscriptions, tuple(topics), diagnose, limit) as (letters, _):
        group, chosen = _chosen(letters, fingerprint)
        record = begun(documents, errand, _audit(chosen))
        bus.publish([Message(topics[one.name], one.pulled.data, _own(one.pulled.attributes)) for one in chosen])
        _gone(subscriptions, letters, chosen)
        ended(documents, record, f"{group.count} published again")
    return group


def drop(
    subscriptions: Subscriptions,
    documents: Documents,
    names: Sequence[str],
    fingerprint: str,
    diagnose: Diagnose,
    errand: Errand,
    limit: int = PORTION,
) -> Group:
    """Take the letters of that fingerprint away for good; the audit keeps their ids. Raises Rejected where there are none."""
    with _taken(subscriptions, names, diagnose, limit) as (letters, _):
        group, chosen = _chosen(letters, fingerprint)
        record = begun(documents, errand, _audit(chosen))
        _gone(subscriptions, letters, chosen)
        ended(documents, record, f"{group.count} dropped")
    return group


@contextmanager
def _taken(
    subscriptions: Subscriptions, names: Sequence[str], diagnose: Diagnose, limit: int
) -> Iterator[tuple[list[_Letter], Mapping[str, str]]]:
    """What lies there, leased until the end, and what could not be looked into; what is left in the list then waits again."""
    letters: list[_Letter] = []
    unseen: dict[str, str] = {}

    def take(name: str) -> None:
        own = 0
        try:
            while own < limit and (taken := subscriptions.take(name, limit - own)):
                own += len(taken)
                letters.extend(_Letter(name, one, "") for one in taken)
        except Misconfigured as error:
            unseen[name] = str(error)

    try:
        # Side by side: of an empty one it takes Pub/Sub seconds to say so.
        with ThreadPoolExecutor(len(names) or 1) as threads:
            list(threads.map(take, names))
        if unseen and len(unseen) == len(names):
            raise Misconfigured("; ".join(dict.fromkeys(unseen.values())), reason="no_dead_letters")
        letters[:] = [_Letter(one.name, one.pulled, diagnose(one.name, one.pulled)) for one in letters]
        yield letters, dict(sorted(unseen.items()))
    finally:
        for name in names:
            if left := [one.pulled.ack_id for one in letters if one.name == name]:
                subscriptions.give_back(name, left)


def _groups(letters: Sequence[_Letter]) -> list[Group]:
    by: dict[str, list[_Letter]] = {}
    for one in letters:
        by.setdefault(one.fingerprint, []).append(one)
    return sorted((_group(own) for own in by.values()), key=lambda group: (-group.count, group.fingerprint))


def _group(letters: Sequence[_Letter]) -> Group:
    name, source, provider, kind, reason = letters[0].common
    instants = [one.told_at for one in letters]
    return Group(
        fingerprint=letters[0].fingerprint,
        letters=name,
        source=source,
        provider=provider,
        kind=kind,
        reason=reason,
        count=len(letters),
        first=min(instants),
        last=max(instants),
        example=min(one.id for one in letters),
    )


def _chosen(letters: Sequence[_Letter], fingerprint: str) -> tuple[Group, list[_Letter]]:
    chosen = [one for one in letters if one.fingerprint == fingerprint]
    if not chosen:
        raise Rejected(f"no dead letters are called {fingerprint} now", reason="no_such_letters")
    return _group(chosen), sorted(chosen, key=lambda one: one.told_at)


def _gone(subscriptions: Subscriptions, letters: list[_Letter], chosen: Sequence[_Letter]) -> None:
    subscriptions.ack(chosen[0].name, [one.pulled.ack_id for one in chosen])
    letters[:] = [one for one in letters if one not in chosen]


def _audit(chosen: Sequence[_Letter]) -> list[Changed]:
    return [
        Changed(
            name=f"{one.name}:{one.id}", before=f"{one.reason}, sha256 {hashlib.sha256(one.pulled.data).hexdigest()}"
        )
        for one in chosen
    ]


def _own(attributes: Mapping[str, str]) -> dict[str, str]:
    return {name: told for name, told in attributes.items() if not name.startswith(_FORWARDED)}
