"""Canaries: sent to every webhook each minute, heard where payments are recorded, missed by whoever sends them.

What was heard last of a provider stands in `canaries/<provider>`, and which canaries wait to be heard in `canaries/sending`. A
provider of which nothing is to be heard, for it is parked, is sent none. So an alarm is told of what was sent and did not
arrive, however often the sender sends, and of nothing else: not of a pause of the sender, and not of a provider that just began.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from shared.domain.canaries import HEADER, CanaryKeys, sign
from shared.domain.codec import encode, from_document, to_document, utc_text
from shared.domain.events import CanarySent
from shared.domain.telemetry import alarm, fact
from shared.flows.committing import Decision, Seen, change, write
from shared.flows.ports import Documents, Key, Ports, Snapshot

COLLECTION = "canaries"

UNHEARD = timedelta(minutes=5)
"""For so long nothing was heard, of `SEVERAL` in a row: one that is lost, or an instance that starts, calls nobody."""

SEVERAL = 3

SLOW = timedelta(minutes=1)
"""From sent to heard, some hundred times of what it usually takes."""

Post = Callable[[Mapping[str, tuple[str, bytes, Mapping[str, str]]]], Mapping[str, int]]
"""To each provider its URL, body and headers, all at once; answers each status, 0 where there was none."""


@dataclass(frozen=True, slots=True)
class Heard:
    """The newest canary of a provider that was heard, and when that was first."""

    sent_at: datetime
    heard_at: datetime

    @property
    def seconds(self) -> float:
        """On its way."""
        return (self.heard_at - self.sent_at).total_seconds()


@dataclass(frozen=True, slots=True)
class _Waiting:
    """Canaries of a provider that were sent and not heard yet, the oldest of them at `since`."""

    since: datetime
    sent: int


@dataclass(frozen=True, slots=True)
class _Sending:
    """at: the last tick. waiting: of each provider that was sent one then."""

    at: datetime
    waiting: Mapping[str, _Waiting] = field(default_factory=dict)


def hear(event: CanarySent, documents: Documents, now: datetime) -> None:
    """A canary went all the way. Of copies, and of those that others have overtaken, nothing is kept. Raises Unavailable."""
    key = Key(COLLECTION, event.provider)
    told = Heard(event.occurred_at, now)

    def decide(seen: Seen) -> Decision[bool]:
        before = _heard(seen[key])
        if before is not None and before.sent_at >= told.sent_at:
            return Decision(False)
        return Decision(True, [write(key, seen[key], to_document(told))])

    newest = change(documents, [key], decide)
    fact("canary_heard", event_id=event.event_id, provider=event.provider, seconds=told.seconds, newest=newest)


def heard(documents: Documents, providers: Sequence[str]) -> dict[str, Heard]:
    """What was heard last of each of `providers` of which there was anything, in one read."""
    found = documents.get([Key(COLLECTION, name) for name in providers])
    return {name: one for name, snapshot in zip(providers, found, strict=True) if (one := _heard(snapshot))}


def watch(
    urls: Mapping[str, str],
    parked: Callable[[Documents, Sequence[str]], Collection[str]],
    keys: CanaryKeys,
    post: Post,
    ports: Ports,
    now: datetime,
) -> None:
    """Alarm for each provider whose canaries of the last minutes were not heard, or slowly; then send the next to each of
    `urls` that is not parked. Raises Unavailable.

    One read of each provider, and one write. Of two that watch at once both send, which does no harm.
    """
    names = sorted(urls)
    silent = set(parked(ports.documents, names))
    before, last = _sending(ports.documents), heard(ports.documents, names)
    waiting = _waiting(before, last) if before else {}
    sent_to = [name for name in names if name not in silent]
    for name in sent_to:
        _judge(name, waiting.get(name), last.get(name), before, now)
    sending = _Sending(now, {name: _one_more(waiting.get(name), now) for name in sent_to})
    body = encode({"canary": utc_text(now)})
    answers = post(
        {
            name: (
                urls[name],
                body,
                {
                    HEADER: sign(keys, name, body, now),
                    "content-type": "application/json",
                    "user-agent": "pay-in-canary",
                },
            )
            for name in sent_to
        }
    )
    for name, status in answers.items():
        if not 200 <= status < 300:
            fact("canary_refused", provider=name, status=status)
    _keep(ports.documents, sending)
    fact("canaries_watched", sent=len(answers), parked=len(silent))


def _waiting(before: _Sending, last: Mapping[str, Heard]) -> dict[str, _Waiting]:
    """Of each provider of which something is to be heard. What others have overtaken is waited for no more."""
    found = {}
    for name, waiting in before.waiting.items():
        newest = last[name].sent_at if name in last else None
        if newest is None or newest < waiting.since:
            found[name] = waiting
        elif newest < before.at:
            # Some in between may wait as well: which they are was not written down.
            found[name] = _Waiting(before.at, 1)
    return found


def _one_more(waiting: _Waiting | None, now: datetime) -> _Waiting:
    return replace(waiting, sent=waiting.sent + 1) if waiting else _Waiting(now, 1)


def _judge(name: str, waiting: _Waiting | None, found: Heard | None, before: _Sending | None, now: datetime) -> None:
    if waiting and waiting.sent >= SEVERAL and now - waiting.since >= UNHEARD:
        alarm("canary_unheard", provider=name, minutes=int((now - waiting.since) / timedelta(minutes=1)))
    elif found and before and found.heard_at > before.at and found.heard_at - found.sent_at > SLOW:
        # Of what was heard since the last look alone, so that nobody is called twice for one.
        alarm("canary_slow", provider=name, seconds=found.seconds)


def _sending(documents: Documents) -> _Sending | None:
    [snapshot] = documents.get([_SENDING])
    return from_document(snapshot.document, _Sending) if snapshot else None


def _keep(documents: Documents, sending: _Sending) -> None:
    change(
        documents,
        [_SENDING],
        lambda seen: Decision(None, [write(_SENDING, seen[_SENDING], to_document(sending))]),
    )


def _heard(snapshot: Snapshot | None) -> Heard | None:
    return from_document(snapshot.document, Heard) if snapshot else None


_SENDING = Key(COLLECTION, "sending")
