"""Read, decide, commit; and when somebody else wrote in between, again. The one loop by which every flow writes.

Two that each decide on what the other writes would both be right and together wrong (write skew). So a commit proves
whatever its decision looked at: by the version of what it replaces, and by `Unchanged` for what it only read.
"""

import random
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from shared.domain.errors import Conflict, Unavailable
from shared.flows.ports import Create, Document, Documents, Key, Replace, Snapshot, Unchanged, Write

T = TypeVar("T")
TRIES = 10
_FIRST_WAIT = 0.01  # seconds
_LONGEST_WAIT = 1.0


class Seen(Protocol):
    """What a decision may look at: documents as they were read in this try."""

    def __getitem__(self, key: Key) -> Snapshot | None:
        """The document on which the decision depends: unless it is written, the commit proves it unchanged."""

    def glance(self, key: Key) -> Snapshot | None:
        """The document, of which an older state does no harm: nobody's commit waits for it, and nothing is proved."""

    def read(self, keys: Iterable[Key]) -> None:
        """Read those of `keys` that were not read yet, in one round trip: for the rare decision that learns from
        one document which other it needs."""


@dataclass(frozen=True, slots=True)
class Decision(Generic[T]):
    """What to write (nothing: no commit is made) and what `change` answers once that is durable."""

    result: T
    writes: Sequence[Write] = ()


def change(
    documents: Documents,
    keys: Sequence[Key],
    decide: Callable[[Seen], Decision[T]],
    *,
    already_read: Iterable[Snapshot] = (),
    sleep: Callable[[float], None] = time.sleep,
) -> T:
    """Read `keys` in one round trip, let `decide` look at them, commit its writes in one round trip.

    Everything that `decide` looked at was true at one instant: that of the commit, which proves it, or of the one read;
    what it learned from several reads and writes nothing about is proved too. What was read and never looked at is not.

    On a Conflict everything is read and decided afresh, after a wait drawn at random below a bound that doubles
    (10 ms to 1 s), at most `TRIES` times; then Unavailable, so that the message is redelivered later. `decide`
    runs once a try and must do nothing but read and compute. `already_read` spares the first try those reads.
    """
    first: dict[Key, Snapshot | None] = {snapshot.key: snapshot for snapshot in already_read}
    for attempt in range(TRIES):
        if attempt:
            # Jitter is no secret: it only keeps competitors from waking together.
            sleep(random.uniform(0, min(_LONGEST_WAIT, _FIRST_WAIT * 2**attempt)))  # noqa: S311
        seen = _Reads(documents, first if not attempt else {})
        seen.read(keys)
        decision = decide(seen)
        if not decision.writes and seen.at_once():
            return decision.result
        try:
            documents.commit([*decision.writes, *seen.proofs(decision.writes)])
        except Conflict:
            continue
        return decision.result
    raise Unavailable(f"{keys[0].collection} is written by too many at once", reason="contended")


def write(key: Key, snapshot: Snapshot | None, document: Document) -> Create | Replace:
    """Put `document` in the place of what was read: nothing, or exactly that version."""
    return Create(key, document) if snapshot is None else Replace(key, document, snapshot.version)


class _Reads:
    def __init__(self, documents: Documents, seen: dict[Key, Snapshot | None]) -> None:
        self._documents = documents
        self._seen = dict(seen)
        self._rounds = dict.fromkeys(seen, 0)
        self._looked_at: dict[Key, Snapshot | None] = {}

    def read(self, keys: Iterable[Key]) -> None:
        missing = [key for key in dict.fromkeys(keys) if key not in self._seen]
        if missing:
            self._seen.update(zip(missing, self._documents.get(missing), strict=True))
            self._rounds.update(dict.fromkeys(missing, max(self._rounds.values(), default=0) + 1))

    def __getitem__(self, key: Key) -> Snapshot | None:
        found = self._looked_at[key] = self.glance(key)
        return found

    def glance(self, key: Key) -> Snapshot | None:
        self.read([key])
        return self._seen[key]

    def at_once(self) -> bool:
        """Whether all that was looked at came in one round trip, which sees one instant."""
        return len({self._rounds[key] for key in self._looked_at}) <= 1

    def proofs(self, writes: Iterable[Write]) -> list[Unchanged]:
        """That what was looked at and is not in `writes` is as it was read."""
        written = {write.key for write in writes}
        looked_at = [(key, found) for key, found in self._looked_at.items() if key not in written]
        return [Unchanged(key, found.version if found else None) for key, found in looked_at]
