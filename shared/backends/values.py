"""What a document or a message may hold, settled the same way before every store: what one takes the other takes too."""

import hashlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

from shared.flows.ports import FINDABLE, FOUND_BY, LISTED_BY, Accumulate, Document, Write

# Pub/Sub refuses the whole message for a longer one (cloud.google.com/pubsub/quotas#resource_limits).
_ATTRIBUTE_BYTES = 1024
# Most of a document's values are one of these: they are passed first, for every document goes through here.
_PLAIN = frozenset({str, bool, float, type(None)})
_SMALLEST, _LARGEST = -(1 << 63), (1 << 63) - 1


def checked(value: Any) -> Any:
    """`value`, with instants in UTC. Raises TypeError or ValueError for what no store of ours can give back unchanged."""
    if type(value) is dict:
        # Written out, for every document goes through here, and most of what it holds are maps of plain values.
        told = {}
        for key, item in value.items():
            if type(key) is not str and not isinstance(key, str):
                raise TypeError("the keys of a document are text")
            kind = type(item)
            plain = kind in _PLAIN or (kind is int and _SMALLEST <= item <= _LARGEST)
            told[key] = item if plain else checked(item)
        return told
    match value:
        case None | bool() | float() | str():
            return value
        case int():
            if not _SMALLEST <= value <= _LARGEST:
                raise ValueError("a whole number in a document has at most 64 bits")
            return value
        case datetime():
            if value.tzinfo is None:
                raise ValueError("an instant in a document is aware")
            return value.astimezone(UTC)
        case list() | tuple():
            # Firestore has no lists of lists.
            if any(isinstance(item, list | tuple) for item in value):
                raise TypeError("a list in a document holds no list directly")
            return [checked(item) for item in value]
        case Mapping():
            return checked(dict(value))
        case _:
            raise TypeError(f"a document holds no {type(value).__name__}")


def findable(value: str) -> bool:
    """Whether a document with the text `value` can be found by it."""
    return len(value.encode("utf-8", "surrogatepass")) <= FINDABLE


def check_found_by(field: str) -> None:
    """Raises ValueError where `Documents.find` does not look for `field`."""
    if field not in FOUND_BY:
        raise ValueError(f"no document is found by {field}")


def listing(document: Document, order: str, where: Mapping[str, str]) -> str | None:
    """The text in whose order `document` is listed; None where it is not among those that `where` asks for."""
    place = document.get(order)
    if not isinstance(place, str) or not findable(place):
        return None
    asked = all(document.get(field) == value and findable(value) for field, value in where.items())
    return place if asked else None


def check_listed_by(order: str, where: Mapping[str, str]) -> None:
    """Raises ValueError where `Documents.listed` has no such list."""
    if order not in LISTED_BY or not set(where) <= set(LISTED_BY[order]):
        raise ValueError(f"no documents are listed by {', '.join([order, *where])}")


def check_paths(write: Accumulate) -> None:
    """Raises ValueError unless the paths are as `Accumulate` promises."""
    paths = sorted([*write.add, *write.largest, *write.smallest, *write.put, *write.drop])
    for path in paths:
        if not 1 <= len(path) <= 4 or not all(path):
            raise ValueError("a path is one to four non-empty segments")
    # Sorted, a path comes directly before those that it begins.
    for path, following in pairwise(paths):
        if following[: len(path)] == path:
            raise ValueError("no path is written twice, or is the beginning of another")


def in_order(writes: Sequence[Write]) -> list[Write]:
    """By key. Raises ValueError where a key is written twice, or a path is not as `Accumulate` promises."""
    ordered = sorted(writes, key=lambda write: write.key)
    if any(write.key == following.key for write, following in pairwise(ordered)):
        raise ValueError("a commit writes each key once")
    for write in ordered:
        if isinstance(write, Accumulate):
            check_paths(write)
    return ordered


def attributes(told: Mapping[str, str]) -> dict[str, str]:
    """`told`, as `Message` promises: a value that is too long is its digest instead."""
    return {name: text if len(text.encode()) <= _ATTRIBUTE_BYTES else _digest(text) for name, text in told.items()}


def _digest(text: str) -> str:
    return f"sha256-{hashlib.sha256(text.encode()).hexdigest()}"
