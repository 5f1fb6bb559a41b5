"""Documents that are read from a store and written nowhere: what a change would come to, before it is made."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from threading import Lock
from typing import assert_never

from shared.backends.accumulating import accumulated
from shared.backends.values import check_found_by, check_listed_by, checked, findable, in_order, listing
from shared.domain.errors import Conflict
from shared.flows.ports import Accumulate, Create, Delete, Document, Documents, Key, Replace, Snapshot, Unchanged, Write


@dataclass(frozen=True, slots=True, eq=False)
class _Written:
    """A document as it was written here, and the version of that: equal to itself alone. None: it was deleted."""

    document: Document | None


class Overlay:
    """`Documents` over those of a store, which it reads and never writes. What is committed is seen here and nowhere else.

    What is read of the store stays as it was first read, as if the store stood still.
    """

    def __init__(self, below: Documents) -> None:
        self._below = below
        self._found: dict[Key, Snapshot | None] = {}
        self._written: dict[Key, _Written] = {}
        self._lock = Lock()

    def written(self) -> list[tuple[Key, Document | None, Document | None]]:
        """Of each document that was written here, by key: how it is in the store, and how it would be; None where it is not."""
        with self._lock:
            return [
                (key, found.document if (found := self._found[key]) else None, self._written[key].document)
                for key in sorted(self._written)
            ]

    def get(self, keys: Sequence[Key]) -> list[Snapshot | None]:
        with self._lock:
            self._look(keys)
            return [self._now(key) for key in keys]

    def commit(self, writes: Sequence[Write]) -> None:
        ordered = in_order(writes)
        with self._lock:
            self._look([write.key for write in ordered])
            self._written |= dict([made for write in ordered for made in self._made(write)])

    def _made(self, write: Write) -> Iterable[tuple[Key, _Written]]:
        before = self._now(write.key)
        match write:
            case Create():
                if before is not None:
                    raise Conflict("a document to be created is there already")
                yield write.key, _Written(checked(write.document))
            case Replace():
                if before is None or before.version != write.version:
                    raise Conflict("a document to be replaced has changed")
                yield write.key, _Written(checked(write.document))
            case Accumulate():
                yield write.key, _Written(checked(accumulated(before.document if before else {}, write)))
            case Delete():
                if before is not None:
                    yield write.key, _Written(None)
            case Unchanged():
                if (before.version if before else None) != write.version:
                    raise Conflict("a document that was decided on has changed")
            case _:
                assert_never(write)

    def due(self, collection: str, field: str, until: datetime, limit: int) -> list[Snapshot]:
        def at(one: Snapshot) -> datetime | None:
            instant = one.document.get(field)
            return instant if isinstance(instant, datetime) and instant <= until else None

        found = self._all(collection, lambda most: self._below.due(collection, field, until, most), limit)
        dated = [(instant, one.key, one) for one in found if (instant := at(one)) is not None]
        return [one for *_, one in sorted(dated, key=lambda each: each[:2])][:limit]

    def find(self, collection: str, field: str, value: str, limit: int) -> list[Snapshot]:
        check_found_by(field)
        found = self._all(collection, lambda most: self._below.find(collection, field, value, most), limit)
        named = [one for one in found if one.document.get(field) == value and findable(value)]
        return sorted(named, key=lambda one: one.key)[:limit]

    def listed(
        self, collection: str, order: str, where: Mapping[str, str], limit: int, after: tuple[str, str] | None = None
    ) -> list[Snapshot]:
        check_listed_by(order, where)
        found = self._all(collection, lambda most: self._below.listed(collection, order, where, most, after), limit)
        placed = [
            ((place, one.key.id), one) for one in found if (place := listing(one.document, order, where)) is not None
        ]
        return [one for place, one in sorted(placed, key=lambda each: each[0]) if after is None or place > after][
            :limit
        ]

    def scan(self, collection: str, limit: int, after: str = "") -> list[Snapshot]:
        found = self._all(collection, lambda most: self._below.scan(collection, most, after), limit)
        return sorted((one for one in found if one.key.id > after), key=lambda one: one.key)[:limit]

    def _all(self, collection: str, ask: Callable[[int], list[Snapshot]], limit: int) -> list[Snapshot]:
        """What the store answers and what was written here, as it is now: so many more are asked for as may be gone here."""
        with self._lock:
            own = [key for key in self._written if key.collection == collection]
            told = ask(limit + len(own))
            for found in told:
                self._found.setdefault(found.key, found)
            keys = dict.fromkeys([*(found.key for found in told), *own])
            return [one for key in keys if (one := self._now(key)) is not None]

    def _look(self, keys: Iterable[Key]) -> None:
        missing = [key for key in dict.fromkeys(keys) if key not in self._found]
        if missing:
            self._found |= dict(zip(missing, self._below.get(missing), strict=True))

    def _now(self, key: Key) -> Snapshot | None:
        if (written := self._written.get(key)) is None:
            return self._found[key]
        return None if written.document is None else Snapshot(key, written.document, written)
