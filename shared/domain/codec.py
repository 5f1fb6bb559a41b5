"""Between our dataclasses and the bytes and documents that hold them.

JSON is what topics and BigQuery see: enums by value, instants as RFC 3339 UTC text, tuples as arrays, absent
values as null, bytes as base64. Documents (Firestore and its local stand-in) keep instants as aware `datetime`.
Both directions are typed: `decode` and `from_document` raise `Unreadable` naming the path that does not fit.
"""

from datetime import UTC, datetime
from threading import Lock
from typing import Any, TypeVar

import msgspec

from shared.domain.errors import Unreadable
from shared.domain.events import KIND_OF, KINDS, AnyEvent

T = TypeVar("T")


_learned: set[object] = set()
_learning = Lock()


def _learn(of: type) -> None:
    """Let msgspec learn `of` in one thread, before any other reads by it.

    It keeps what it knows of a class on the class, and puts it there half made: a thread that reads by the class at that
    moment ends the process (0.22.0: a segmentation fault, in most starts under 32 requests at once).
    """
    if of not in _learned:
        with _learning:
            msgspec.json.Decoder(of)
            _learned.add(of)


def encode(value: object) -> bytes:
    """Deterministic JSON: the same value gives the same bytes."""
    return msgspec.json.encode(value, order="deterministic")


def decode(data: bytes | str, of: type[T]) -> T:
    """Read `data` as `of`. Unknown members are left out, so that an older reader takes a newer writer's message."""
    _learn(of)
    try:
        return msgspec.json.decode(data, type=of)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Unreadable(f"not a {of.__name__}: {error}", reason="malformed_message") from error


def to_document(value: object) -> dict[str, Any]:
    """A document of plain values; instants stay aware `datetime`s."""
    document: dict[str, Any] = msgspec.to_builtins(value, builtin_types=(datetime,))
    return document


def from_document(document: object, of: type[T]) -> T:
    """Read a stored document as `of`."""
    _learn(of)
    try:
        return msgspec.convert(document, of, builtin_types=(datetime,))
    except msgspec.ValidationError as error:
        raise Unreadable(f"not a stored {of.__name__}: {error}", reason="malformed_document") from error


def encode_event(event: AnyEvent, heard_at: datetime | None = None) -> bytes:
    """An event as it travels on `payment-events` and lands in BigQuery: its members, `kind`, and when we published it.

    That is no part of the fact, which is the same however often it is told: no reader of events sees it.
    """
    heard = {} if heard_at is None else {"heard_at": heard_at}
    members = msgspec.to_builtins(event)
    if not members.get(_SELDOM, True):
        del members[_SELDOM]
    return encode({"kind": KIND_OF[type(event)], **members, **heard})


_SELDOM = "email_hash_also"
"""Told only where it says something, and so never but around a rotation of keys."""


_INSTANTS = ("occurred_at", "respond_by")


def decode_event(data: bytes) -> AnyEvent:
    """The event in a message of `payment-events`. Raises Unreadable for a kind or a shape that is not ours."""
    kind = decode(data, dict[str, msgspec.Raw]).get("kind")
    of = KINDS.get(decode(bytes(kind), str)) if kind is not None else None
    if of is None:
        raise Unreadable("a message of no known kind", reason="unknown_kind")
    event: AnyEvent = decode(data, of)
    for name in _INSTANTS:
        if (instant := getattr(event, name, None)) is not None:
            in_utc(instant)
    return event


def in_utc(instant: datetime) -> datetime:
    """`instant` in UTC. Raises Unreadable for one without a zone, and for one that is out of the calendar there."""
    if instant.tzinfo is None:
        raise Unreadable("an instant without a time zone", reason="naive_time")
    try:
        return instant.astimezone(UTC)
    except OverflowError as error:
        raise Unreadable("an instant that is out of the calendar", reason="impossible_time") from error


def utc_text(instant: datetime) -> str:
    """`2026-11-23T11:51:00.000000Z`: fixed width, so that text order is time order."""
    return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
