"""A record is the set of its facts; everything else about it is computed from that set.

So the order in which facts arrive cannot matter, nor how often each does: a set has neither.
"""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from shared.domain.codec import encode, to_document

F = TypeVar("F")

# A real payment or dispute has a handful of facts, at most about 1 KB each; a document holds 1 MiB (Firestore).
LIMIT = 400


def add(
    facts: Mapping[str, F], event_id: str, fact: F, worth: Callable[[str, F], tuple[Any, ...]]
) -> tuple[dict[str, F], bool]:
    """`facts` with `fact`, and whether it all still fits.

    Beyond LIMIT the facts of least `worth` are left out. The greatest LIMIT of a union are the greatest LIMIT of
    its parts' greatest, so this too gives the same answer in every order. Two different facts under one id, which
    a provider without event ids can produce, leave the one whose bytes are greater.
    """
    known = facts.get(event_id)
    merged = {**facts, event_id: fact if known is None else max(known, fact, key=encode)}
    kept = sorted(merged.items(), key=lambda item: worth(*item))[-LIMIT:]
    return dict(kept), len(merged) <= LIMIT


def compact(value: object) -> dict[str, Any]:
    """`value` as a document without what is not told: None, empty lists and maps cost space and say nothing."""
    document: dict[str, Any] = _told(to_document(value))
    return document


def _told(value: Any) -> Any:
    match value:
        case dict():
            return {name: _told(item) for name, item in value.items() if item not in (None, [], (), {})}
        case list() | tuple():
            return [_told(item) for item in value]
        case _:
            return value
