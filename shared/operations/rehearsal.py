"""Events are tried before they are told: the consumers' own code on documents that forget, and what that would change."""

import logging
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Protocol

from shared.domain.codec import decode_event
from shared.domain.errors import PayInError, Rejected
from shared.domain.events import AnyEvent, ResourceChanged
from shared.domain.telemetry import Field, told_instead
from shared.flows.audit import Changed, changed
from shared.flows.event_messages import TOPIC
from shared.flows.ports import Document, Documents, Key, Message, Ports
from shared.flows.record_payment import record_payment
from shared.flows.score_payment import score_payment
from shared.flows.scorer import Scorer
from shared.flows.track_dispute import track_dispute

Consumer = Callable[[AnyEvent, Ports, datetime], None]


class Forgetting(Documents, Protocol):
    """Documents that are written nowhere."""

    def written(self) -> Sequence[tuple[Key, Document | None, Document | None]]:
        """Of each document that was written here: how it is, and how it would be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rehearsed:
    """events: those that were tried. changes: documents that would be other ones, by name. published: by topic, what would be
    told beside the events. alarms: who would be called, and how often. failed: by consumer and reason, what a consumer
    could not do. unread: those that only name what is to be read back from a provider, of which nothing was tried."""

    events: int
    changes: tuple[Changed, ...]
    published: Mapping[str, int]
    alarms: Mapping[str, int]
    failed: Mapping[str, int]
    unread: int

    @property
    def payments(self) -> tuple[Changed, ...]:
        """Those of `changes` that people ask for first."""
        return tuple(one for one in self.changes if one.name.split(":", 1)[0] in SHOWN_FIRST)


SHOWN_FIRST = ("payments", "disputes", "cases", "decisions", "reviews")


@dataclass
class Rehearsal:
    """A bus whose events go to the consumers at once, on `documents`, which forget. Nothing reaches a store, a topic or a log.

    Consumers are in process and take each event in turn; deployed, each takes them in an order of its own, which comes to the
    same documents. Reading back from providers' APIs is not tried: that is told as `unread`.
    """

    ports: Ports
    documents: Forgetting
    now: Callable[[], datetime]
    scorer: Scorer
    most: int = 5000
    _events: int = 0
    _unread: int = 0
    _published: Counter[str] = field(default_factory=Counter)
    _alarms: Counter[str] = field(default_factory=Counter)
    _failed: Counter[str] = field(default_factory=Counter)

    def consumers(self) -> Mapping[str, Consumer]:
        """By the names of their functions. What is not for one of them it leaves alone."""
        return {
            "record_payment": record_payment,
            "track_dispute": track_dispute,
            "score_payment": lambda event, ports, now: score_payment(event, ports, now, self.scorer),
        }

    def publish(self, messages: Sequence[Message]) -> None:
        """Raises Rejected for more than `most` events: what they would change is held in memory, and nobody reads it."""
        for message in messages:
            if message.topic != TOPIC:
                self._published[message.topic] += 1
                continue
            event = decode_event(message.data)
            self._events += 1
            if self._events > self.most:
                raise Rejected(f"more than {self.most} events: ask for a shorter time", reason="too_much_to_rehearse")
            self._unread += isinstance(event, ResourceChanged)
            for name in self.consumers():
                if reason := self.consume(name, event):
                    self._failed[f"{name}: {reason}"] += 1

    def consume(self, consumer: str, event: AnyEvent) -> str | None:
        """Let `consumer` take `event`; None where it can, else the reason for which it cannot."""
        ports = replace(self.ports, documents=self.documents, bus=_Counting(self._published))
        with self._unheard():
            try:
                self.consumers()[consumer](event, ports, self.now())
            except PayInError as error:
                return error.reason
            except Exception as error:  # noqa: BLE001 - whatever a consumer dies of is what was asked for
                return type(error).__name__
        return None

    def result(self) -> Rehearsed:
        changes = (changed(f"{key.collection}:{key.id}", *pair) for key, *pair in self.documents.written())
        return Rehearsed(
            events=self._events,
            changes=tuple(sorted((one for one in changes if one.before != one.after), key=_order)),
            published=dict(sorted(self._published.items())),
            alarms=dict(sorted(self._alarms.items())),
            failed=dict(sorted(self._failed.items())),
            unread=self._unread,
        )

    @contextmanager
    def _unheard(self) -> Iterator[None]:
        def hear(level: int, event: str, _: Mapping[str, Field]) -> None:
            if level >= logging.ERROR:
                self._alarms[event] += 1

        with told_instead(hear):
            yield


def _order(one: Changed) -> tuple[int, str]:
    collection = one.name.split(":", 1)[0]
    return SHOWN_FIRST.index(collection) if collection in SHOWN_FIRST else len(SHOWN_FIRST), one.name


@dataclass
class _Counting:
    counts: Counter[str]

    def publish(self, messages: Sequence[Message]) -> None:
        self.counts.update(message.topic for message in messages)
