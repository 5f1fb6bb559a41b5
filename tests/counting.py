"""Round trips, counted: a port that tells how often it was asked."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from shared.flows.ports import Documents, Key, Snapshot, Write


@dataclass
class CountingDocuments:
    """`inner`, and how many calls (each one round trip) were made by name: get, commit, due, scan."""

    inner: Documents
    calls: Counter[str] = field(default_factory=Counter)

    def get(self, keys: Sequence[Key]) -> list[Snapshot | None]:
        self.calls["get"] += 1
        return self.inner.get(keys)

    def commit(self, writes: Sequence[Write]) -> None:
        self.calls["commit"] += 1
        self.inner.commit(writes)

    def due(self, collection: str, field: str, until: datetime, limit: int) -> list[Snapshot]:
        self.calls["due"] += 1
        return self.inner.due(collection, field, until, limit)

    def scan(self, collection: str, limit: int, after: str = "") -> list[Snapshot]:
        self.calls["scan"] += 1
        return self.inner.scan(collection, limit, after)
