"""Real documents that count how often they are asked, and how much they answer."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from shared.flows.ports import Documents, Key, Snapshot, Write


class Counting:
    """`inner`, and: `reads` and `commits` in round trips, `documents` in documents read."""

    def __init__(self, inner: Documents) -> None:
        self._inner = inner
        self.reads = self.commits = self.documents = 0

    def get(self, keys: Sequence[Key]) -> list[Snapshot | None]:
        self.reads += 1
        self.documents += len(keys)
        return self._inner.get(keys)

    def commit(self, writes: Sequence[Write]) -> None:
        self.commits += 1
        self._inner.commit(writes)

    def due(self, collection: str, field: str, until: datetime, limit: int) -> list[Snapshot]:
        self.reads += 1
        found = self._inner.due(collection, field, until, limit)
        self.documents += len(found)
        return found

    def find(self, collection: str, field: str, value: str, limit: int) -> list[Snapshot]:
        self.reads += 1
        found = self._inner.find(collection, field, value, limit)
        self.documents += len(found)
        return found

    def listed(
        self, collection: str, order: str, where: Mapping[str, str], limit: int, after: tuple[str, str] | None = None
    ) -> list[Snapshot]:
        self.reads += 1
        found = self._inner.listed(collection, order, where, limit, after)
        self.documents += len(found)
        return found

    def scan(self, collection: str, limit: int, after: str = "") -> list[Snapshot]:
        raise AssertionError("no request scans")
