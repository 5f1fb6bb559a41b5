"""Canaries: sent to every webhook each minute, heard where payments are recorded, missed by whoever sends them.

What was heard last of a provider stands in `canaries/<provider>`, and since when its canaries are sent without a break in
`canaries/sending`. A provider of which nothing is to be heard, for it is parked, is sent none. So an alarm is told of what
was sent and did not arrive, and of nothing else: not of a pause of the sender, and not of a provider that just began.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from shared.domain.canaries import HEADER, CanaryKeys, sign
from shared.domain.codec import encode, from_document, to_document, utc_text
from shared.domain.events import CanarySent
from shared.domain.telemetry import alarm, fact
from shared.flows.committing import Decision, Seen, change, write
from shared.flows.ports import Documents, Key, Ports, Snapshot

COLLECTION = "canaries"

UNHEARD = timedelta(minutes=5)
"""Of several in a row nothing was heard: one that is lost, or an instance that starts, calls nobody."""

SLOW = timedelta(minutes=1)
"""From sent to heard, some hundred times of what it usually takes."""

BREAK = timedelta(minutes=3)
"""So long without a tick, and the sender itself was gone: what is missed counts from then on."""

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
class _Sending:
    """at: the last tick. since: from when on each provider's canaries are sent without a break."""

    at: datetime
    since: Mapping[str, datetime] = field(default_factory=dict)


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
    sending = _resumed(_sending(ports.documents), [name for name in names if name not in silent], now)
    last = heard(ports.documents, names)
    _judge(sending, last, now)
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
            for name in sending.since
        }
    )
    for name, status in answers.items():
        if not 200 <= status < 300:
            fact("canary_refused", provider=name, status=status)
    _keep(ports.documents, sending)
    fact("canaries_watched", sent=len(answers), parked=len(silent))


def _judge(sending: _Sending, last: Mapping[str, Heard], now: datetime) -> None:
    for name, since in sending.since.items():
        found = last.get(name)
        waiting_since = max(since, found.sent_at) if found else since
        if now - waiting_since > UNHEARD:
            alarm("canary_unheard", provider=name, minutes=int((now - waiting_since) / timedelta(minutes=1)))
        elif found and found.sent_at >= since and found.heard_at - found.sent_at > SLOW:
            alarm("canary_slow", provider=name, seconds=found.seconds)


def _resumed(before: _Sending | None, names: Sequence[str], now: datetime) -> _Sending:
    unbroken = before.since if before and now - before.at <= BREAK else {}
    return _Sending(now, {name: unbroken.get(name, now) for name in names})


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
