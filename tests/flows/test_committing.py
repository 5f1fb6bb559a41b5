"""The loop by which every flow writes."""

from collections.abc import Sequence

import pytest

from shared.domain.errors import Conflict, Unavailable
from shared.flows.committing import TRIES, Decision, Seen, change, write
from shared.flows.ports import Create, Delete, Key, Ports, Snapshot, Unchanged, Write
from tests.flows.counting import Counting

ONE, OTHER = Key("things", "one"), Key("things", "other")


class Contended(Counting):
    """Somebody else writes just before each of our first `times` commits."""

    def __init__(self, ports: Ports, times: int) -> None:
        super().__init__(ports.documents)
        self._ports, self._times = ports, times

    def commit(self, writes: Sequence[Write]) -> None:
        if self._times:
            self._times -= 1
            add_one(self._ports.documents.get([ONE])[0], self._ports)
        super().commit(writes)


def add_one(snapshot: Snapshot | None, ports: Ports) -> None:
    count = snapshot.document["count"] if snapshot else 0
    ports.documents.commit([write(ONE, snapshot, {"count": count + 1})])


def increment(seen: Seen) -> Decision[int]:
    snapshot = seen[ONE]
    count = (snapshot.document["count"] if snapshot else 0) + 1
    return Decision(count, [write(ONE, snapshot, {"count": count})])


def test_one_read_and_one_commit_when_nobody_interferes(ports: Ports) -> None:
    documents = Counting(ports.documents)
    assert change(documents, [ONE, OTHER], increment) == 1
    assert (documents.reads, documents.commits) == (1, 1)


def test_a_decision_to_write_nothing_commits_nothing(ports: Ports) -> None:
    documents = Counting(ports.documents)
    assert change(documents, [ONE], lambda seen: Decision(seen[ONE])) is None
    assert documents.commits == 0


def test_whoever_was_overtaken_decides_again_on_what_is_there_now(ports: Ports) -> None:
    waits: list[float] = []
    assert change(Contended(ports, 3), [ONE], increment, sleep=waits.append) == 4
    assert len(waits) == 3
    assert all(0 <= wait <= bound for wait, bound in zip(waits, (0.02, 0.04, 0.08), strict=True))


def test_what_is_always_contended_is_left_for_a_redelivery(ports: Ports) -> None:
    documents = Contended(ports, 10**9)
    with pytest.raises(Unavailable) as refused:
        change(documents, [ONE], increment, sleep=lambda _: None)
    assert not isinstance(refused.value, Conflict)
    assert documents.commits == TRIES


def test_a_document_read_already_is_not_read_again_until_it_has_changed(ports: Ports) -> None:
    change(ports.documents, [ONE], increment)
    (snapshot,) = ports.documents.get([ONE])
    assert snapshot is not None
    documents = Counting(ports.documents)
    assert change(documents, [ONE], increment, already_read=[snapshot]) == 2
    assert documents.reads == 0
    assert change(documents, [ONE], increment, already_read=[snapshot], sleep=lambda _: None) == 3
    assert documents.reads == 1


def test_a_decision_may_read_what_it_learns_it_needs(ports: Ports) -> None:
    documents = Counting(ports.documents)

    def decide(seen: Seen) -> Decision[Snapshot | None]:
        seen.read([ONE, OTHER])
        seen.read([OTHER])
        return Decision(seen[OTHER])

    assert change(documents, [ONE], decide) is None
    assert documents.reads == 2


class Overtaken(Counting):
    """Somebody else commits `meanwhile` just before our first commit. `committed`: what we tried, try by try."""

    def __init__(self, ports: Ports, meanwhile: Sequence[Write]) -> None:
        super().__init__(ports.documents)
        self._meanwhile = meanwhile
        self.committed: list[Sequence[Write]] = []

    def commit(self, writes: Sequence[Write]) -> None:
        meanwhile, self._meanwhile = self._meanwhile, ()
        self._inner.commit(meanwhile)
        self.committed.append(writes)
        super().commit(writes)


@pytest.mark.parametrize("is_there", [True, False])
def test_what_a_decision_only_looked_at_must_be_unchanged_when_it_is_committed(ports: Ports, is_there: bool) -> None:
    def decide(seen: Seen) -> Decision[bool]:
        return Decision(seen[OTHER] is not None, [write(ONE, seen[ONE], {"other": seen[OTHER] is not None})])

    if is_there:
        ports.documents.commit([Create(OTHER, {})])
    documents = Overtaken(ports, [Delete(OTHER) if is_there else Create(OTHER, {})])
    assert change(documents, [ONE, OTHER], decide, sleep=lambda _: None) is not is_there
    assert documents.commits == 2


def test_what_was_read_ahead_or_only_glanced_at_is_not_proved(ports: Ports) -> None:
    def decide(seen: Seen) -> Decision[None]:
        seen.glance(OTHER)
        return Decision(None, [write(ONE, seen[ONE], {})])

    documents = Overtaken(ports, [Create(OTHER, {})])
    change(documents, [ONE, OTHER, Key("things", "unused")], decide)
    assert documents.committed == [[Create(ONE, {})]]


def test_what_was_learned_from_two_reads_and_writes_nothing_is_proved_too(ports: Ports) -> None:
    def decide(seen: Seen) -> Decision[tuple[bool, bool]]:
        return Decision((seen[ONE] is not None, seen[OTHER] is not None))

    documents = Overtaken(ports, [Create(OTHER, {}), Create(ONE, {})])
    assert change(documents, [ONE], decide, sleep=lambda _: None) == (True, True)
    assert documents.committed[0] == [Unchanged(ONE, None), Unchanged(OTHER, None)]
    alone = Overtaken(ports, [])
    assert change(alone, [ONE, OTHER], decide) == (True, True)
    assert alone.committed == []
