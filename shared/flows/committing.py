"""Read, decide, commit; and when somebody else wrote in between, again. The one loop by which every flow writes."""

import random
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from shared.domain.errors import Conflict, Unavailable
from shared.flows.ports import Create, Document, Documents, Key, Replace, Snapshot, Write

T = TypeVar("T")
TRIES = 10
_FIRST_WAIT = 0.01  # seconds
_LONGEST_WAIT = 1.0


class Seen(Protocol):
    """What a decision may look at: documents as they were read in this try."""

    def __getitem__(self, key: Key) -> Snapshot | None: ...

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
        if not decision.writes:
            return decision.result
        try:
            documents.commit(decision.writes)
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
        self._seen = seen

    def read(self, keys: Iterable[Key]) -> None:
        missing = [key for key in dict.fromkeys(keys) if key not in self._seen]
        if missing:
            self._seen.update(zip(missing, self._documents.get(missing), strict=True))

    def __getitem__(self, key: Key) -> Snapshot | None:
        self.read([key])
        return self._seen[key]
