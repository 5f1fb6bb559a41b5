"""A record is the set of its facts; everything else about it is computed from that set.

So the order in which facts arrive cannot matter, nor how often each does: a set has neither.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Protocol, TypeVar

from shared.domain.codec import encode, to_document


class Dated(Protocol):
    @property
    def occurred_at(self) -> datetime: ...


F = TypeVar("F")
D = TypeVar("D", bound=Dated)

# A real payment or dispute has a handful of facts, at most about 1 KB each; a document holds 1 MiB (Firestore).
LIMIT = 200

# Of facts that count without being listed a few are enough: every event reads and writes those that are, so that with as
# many as most payments ever have, one more costs the same whatever came before.
LISTED = 10


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


def newest(facts: Mapping[str, D], event_id: str, fact: D) -> tuple[dict[str, D], list[D]]:
    """The LISTED newest of `facts` and `fact`, and those left out, for the caller to count in some other way.

    Which ones are left out in the end is the same in every order, and so is which of two different facts under one id
    stays: the later, or at one instant the one whose bytes are greater.
    """
    kept, left_out = dict(facts), []
    known = kept.get(event_id)
    if known is not None and known != fact:
        fact, lost = sorted((fact, known), key=lambda each: (each.occurred_at, encode(each)), reverse=True)
        left_out.append(lost)
    kept[event_id] = fact
    oldest = sorted(kept, key=lambda id_: (kept[id_].occurred_at, id_))[:-LISTED]
    left_out += [kept.pop(id_) for id_ in oldest]
    return kept, left_out


def compact(value: object) -> dict[str, Any]:
    """`value` as a document without what is not told: None, empty lists and maps cost space and say nothing."""
    document: dict[str, Any] = _told(to_document(value))
    return document


def _told(value: Any) -> Any:
    match value:
        case dict():
            return {name: _told(item) for name, item in value.items() if item or not _is_nothing(item)}
        case list() | tuple():
            return [_told(item) for item in value]
        case _:
            return value


def _is_nothing(item: Any) -> bool:
    return item is None or item in ([], (), {})
