"""What `shared.flows.ports` promises, held against every backend: SQLite, PostgreSQL, and Google Cloud's emulators."""

import hashlib
import random
import threading
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from shared.domain.errors import Conflict, Misconfigured
from shared.flows.ports import (
    Accumulate,
    Create,
    Delete,
    Document,
    Documents,
    Key,
    Ports,
    Replace,
    Snapshot,
    Unchanged,
    Write,
)

T = TypeVar("T")

NOON = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)
THREADS = 50


@pytest.fixture
def documents(backend: Ports) -> Documents:
    return backend.documents


@pytest.fixture
def collection() -> str:
    """A collection nobody else uses."""
    return f"c{uuid.uuid4().hex}"


def at_once(count: int, work: Callable[[int], T]) -> list[T]:
    """`work(0)` to `work(count - 1)`, all beginning together."""
    gate = threading.Barrier(count)

    def begin(number: int) -> T:
        gate.wait()
        return work(number)

    with ThreadPoolExecutor(count) as threads:
        return list(threads.map(begin, range(count)))


def the(documents: Documents, key: Key) -> Snapshot:
    [found] = documents.get([key])
    assert found is not None
    return found


def until_it_holds(write: Callable[[], None]) -> None:
    """As flows do: again after a conflict, with jitter."""
    for attempt in range(200):
        try:
            return write()
        except Conflict:
            time.sleep(random.uniform(0, min(0.02 * 2**attempt, 0.5)))
    raise AssertionError("200 conflicts in a row")


def test_documents_are_read_in_the_order_asked_with_none_where_there_is_none(
    documents: Documents, collection: str
) -> None:
    first, second, missing = (Key(collection, name) for name in ("first", "second", "missing"))
    documents.commit([Create(first, {"n": 1}), Create(second, {"n": 2})])
    found = documents.get([second, missing, first, second])
    assert [one and one.document["n"] for one in found] == [2, None, 1, 2]
    assert [one and one.key for one in found] == [second, None, first, second]
    assert documents.get([]) == []


def test_a_document_is_created_once(documents: Documents, collection: str) -> None:
    key = Key(collection, "once")
    documents.commit([Create(key, {"by": "first"})])
    with pytest.raises(Conflict):
        documents.commit([Create(key, {"by": "second"})])
    assert the(documents, key).document == {"by": "first"}


def test_a_replacement_needs_the_version_that_was_read(documents: Documents, collection: str) -> None:
    key = Key(collection, "a")
    documents.commit([Create(key, {"n": 1, "gone": True, "map": {"x": 1, "y": 2}})])
    before = the(documents, key)
    documents.commit([Replace(key, {"n": 2, "map": {"y": 3}}, before.version)])
    assert the(documents, key).document == {"n": 2, "map": {"y": 3}}
    with pytest.raises(Conflict):
        documents.commit([Replace(key, {"n": 3}, before.version)])
    assert the(documents, key).document["n"] == 2


def test_a_replacement_of_a_document_that_was_made_anew_conflicts(documents: Documents, collection: str) -> None:
    key = Key(collection, "a")
    documents.commit([Create(key, {"n": 1})])
    before = the(documents, key)
    documents.commit([Delete(key)])
    with pytest.raises(Conflict):
        documents.commit([Replace(key, {"n": 2}, before.version)])
    documents.commit([Create(key, {"n": 1})])
    with pytest.raises(Conflict):
        documents.commit([Replace(key, {"n": 2}, before.version)])


def test_what_is_proved_unchanged_keeps_its_version_and_what_is_proved_absent_is_not_made(
    documents: Documents, collection: str
) -> None:
    there, gone, new = (Key(collection, name) for name in ("there", "gone", "new"))
    documents.commit([Create(there, {"n": 1, "at": NOON})])
    before = the(documents, there)
    documents.commit([Unchanged(there, before.version), Unchanged(gone, None), Create(new, {})])
    assert documents.get([there, gone, new]) == [before, None, the(documents, new)]
    documents.commit([Unchanged(there, before.version), Unchanged(gone, None)])
    documents.commit([Replace(there, {"n": 2}, before.version), Create(gone, {})])


def test_what_was_read_and_has_changed_conflicts(documents: Documents, collection: str) -> None:
    changed, deleted, anew, made = (Key(collection, name) for name in ("changed", "deleted", "anew", "made"))
    documents.commit([Create(key, {"n": 1}) for key in (changed, deleted, anew)])
    versions = {key: the(documents, key).version for key in (changed, deleted, anew)}
    documents.commit([Accumulate(changed, add={("n",): 1}), Delete(deleted), Delete(anew), Create(made, {})])
    documents.commit([Create(anew, {"n": 1})])
    for offence in (*(Unchanged(key, version) for key, version in versions.items()), Unchanged(made, None)):
        others: list[list[Write]] = [[], [Create(Key(collection, "other"), {})]]
        for more in others:
            with pytest.raises(Conflict):
                documents.commit([offence, *more])
    assert documents.get([Key(collection, "other")]) == [None]


def test_of_two_that_each_decide_on_what_the_other_writes_one_conflicts(documents: Documents, collection: str) -> None:
    def race(number: int, absent: bool) -> list[bool]:
        keys = [Key(collection, f"{absent}:{number}:{name}") for name in "ab"]
        if not absent:
            documents.commit([Create(key, {"n": 0}) for key in keys])
        found = documents.get(keys)

        def decide(mine: int) -> bool:
            own, other = found[mine], found[1 - mine]
            written = Replace(keys[mine], {"n": 1}, own.version) if own else Create(keys[mine], {"n": 1})
            try:
                documents.commit([written, Unchanged(keys[1 - mine], other.version if other else None)])
            except Conflict:
                return False
            return True

        return at_once(2, decide)

    for number in range(20):
        for absent in (True, False):
            assert sum(race(number, absent)) <= 1


def test_a_conflict_writes_nothing(documents: Documents, collection: str) -> None:
    taken, changed, counted, fresh, doomed = (Key(collection, name) for name in "tcnfd")
    documents.commit([Create(taken, {"n": 1}), Create(changed, {"n": 1}), Create(doomed, {"n": 1, "at": NOON})])
    version = the(documents, changed).version
    documents.commit([Replace(changed, {"n": 2}, version)])
    others: list[Write] = [
        Create(fresh, {"n": 1, "at": NOON}),
        Accumulate(counted, add={("n",): 1}, put={("at",): NOON}),
        Delete(doomed),
    ]
    offences: list[Write] = [
        Create(taken, {"n": 9}),
        Replace(changed, {"n": 9}, version),
        Unchanged(taken, None),
        Unchanged(changed, version),
    ]
    for offence in offences:
        for writes in ([offence, *others], [*others, offence]):
            with pytest.raises(Conflict):
                documents.commit(writes)
    found = documents.get([taken, changed, counted, fresh, doomed])
    assert [one and one.document.get("n") for one in found] == [1, 2, None, None, 1]
    assert [one.key.id for one in documents.due(collection, "at", NOON, 9)] == ["d"]


def test_deleting_what_is_gone_is_no_complaint(documents: Documents, collection: str) -> None:
    key = Key(collection, "a")
    documents.commit([Delete(key)])
    documents.commit([Create(key, {"at": NOON})])
    documents.commit([Delete(key)])
    documents.commit([Delete(key)])
    assert documents.get([key]) == [None]
    assert documents.due(collection, "at", NOON, 9) == []


def test_a_commit_that_names_a_key_twice_is_a_mistake(documents: Documents, collection: str) -> None:
    key = Key(collection, "a")
    with pytest.raises(ValueError, match="once"):
        documents.commit([Create(key, {}), Delete(key)])
    documents.commit([])


# Accumulate


def test_accumulating_makes_changes_and_drops_at_any_depth(documents: Documents, collection: str) -> None:
    key = Key(collection, "a")
    first = Accumulate(
        key,
        add={("total",): 5, ("buckets", "h:1", "count"): 1},
        largest={("last",): 10, ("buckets", "h:1", "most"): 3},
        smallest={("first",): 10},
        put={("seen", "card"): NOON, ("tags",): ["a", {"b": None}]},
    )
    documents.commit([first])
    assert the(documents, key).document == {
        "total": 5,
        "buckets": {"h:1": {"count": 1, "most": 3}},
        "last": 10,
        "first": 10,
        "seen": {"card": NOON},
        "tags": ["a", {"b": None}],
    }
    second = Accumulate(
        key,
        add={("total",): -7, ("buckets", "h:2", "count"): 4},
        largest={("last",): 9, ("buckets", "h:1", "most"): 4},
        smallest={("first",): 9},
        put={("tags",): {}},
        drop=[("seen", "card"), ("never", "was"), ("buckets", "h:1", "count")],
    )
    documents.commit([second])
    found = the(documents, key).document
    found.pop("never", None)
    assert found == {
        "total": -2,
        "buckets": {"h:1": {"most": 4}, "h:2": {"count": 4}},
        "last": 10,
        "first": 9,
        "seen": {},
        "tags": {},
    }


def test_accumulating_nothing_makes_the_document(documents: Documents, collection: str) -> None:
    key = Key(collection, "a")
    documents.commit([Accumulate(key)])
    assert the(documents, key).document == {}


def test_accumulating_changes_the_version(documents: Documents, collection: str) -> None:
    key = Key(collection, "a")
    documents.commit([Create(key, {"n": 1})])
    before = the(documents, key)
    documents.commit([Accumulate(key, add={("n",): 1})])
    with pytest.raises(Conflict):
        documents.commit([Replace(key, {"n": 9}, before.version)])
    assert the(documents, key).document == {"n": 2}


ODD = [
    "dots.in.it",
    "a/b",
    "naïve ☃ 𝄞",
    "back`tick",
    "back\\slash",
    "*",
    "1",
    " ",
    "__reserved__",
    "$",
    "a\x01",
    "[0]~",
]


def test_paths_may_hold_any_text(documents: Documents, collection: str) -> None:
    key = Key(collection, "a")
    for _ in range(2):
        documents.commit(
            [
                Accumulate(
                    key,
                    add={("add", odd, odd): 1 for odd in ODD},
                    put={("put", odd): odd for odd in ODD},
                    largest={(f"{odd}!",): 3 for odd in ODD},
                )
            ]
        )
    expected: Document = {f"{odd}!": 3 for odd in ODD}
    expected |= {"add": {odd: {odd: 2} for odd in ODD}, "put": {odd: odd for odd in ODD}}
    assert the(documents, key).document == expected
    documents.commit([Accumulate(key, drop=[("put", odd) for odd in ODD] + [(f"{odd}!",) for odd in ODD])])
    assert the(documents, key).document == {"add": expected["add"], "put": {}}


@pytest.mark.parametrize(
    "write",
    [
        Accumulate(Key("c", "a"), add={(): 1}),
        Accumulate(Key("c", "a"), add={("a", ""): 1}),
        Accumulate(Key("c", "a"), add={("a", "b", "c", "d", "e"): 1}),
        Accumulate(Key("c", "a"), add={("a",): 1}, put={("a",): 1}),
        Accumulate(Key("c", "a"), add={("a", "b"): 1}, drop=[("a",)]),
    ],
)
def test_paths_that_contradict_each_other_are_a_mistake(documents: Documents, write: Accumulate) -> None:
    with pytest.raises(ValueError, match="path"):
        documents.commit([write])


# Many at once


def test_of_fifty_who_create_a_document_at_once_exactly_one_wins(documents: Documents, collection: str) -> None:
    key = Key(collection, "claim")

    def claim(number: int) -> bool:
        try:
            documents.commit([Create(key, {"by": number}), Accumulate(Key(collection, "wins"), add={("n",): 1})])
        except Conflict:
            return False
        return True

    won = at_once(THREADS, claim)
    assert sum(won) == 1
    assert the(documents, key).document == {"by": won.index(True)}
    assert the(documents, Key(collection, "wins")).document == {"n": 1}


def test_replacements_at_once_with_retries_lose_nothing(documents: Documents, collection: str) -> None:
    key = Key(collection, "counter")
    documents.commit([Create(key, {"n": 0, "by": []})])

    def increment(number: int) -> None:
        def once() -> None:
            found = the(documents, key)
            new = {"n": found.document["n"] + 1, "by": [*found.document["by"], number]}
            documents.commit([Replace(key, new, found.version)])

        until_it_holds(once)

    at_once(12, increment)
    found = the(documents, key).document
    assert found["n"] == 12
    assert sorted(found["by"]) == list(range(12))


def test_accumulations_at_once_lose_nothing_and_never_conflict(documents: Documents, collection: str) -> None:
    keys = [Key(collection, f"{number}") for number in range(4)]

    def accumulate(number: int) -> None:
        # In every order, on documents that nobody has made yet.
        for key in random.Random(number).sample(keys, 4):
            documents.commit([Accumulate(key, add={("n",): 1, ("by", str(number)): 1}, largest={("max",): number})])
        documents.commit([Accumulate(key, add={("n",): 1}) for key in random.Random(number).sample(keys, 3)])

    at_once(THREADS, accumulate)
    found = [the(documents, key).document for key in keys]
    assert sum(one["n"] for one in found) == THREADS * 7
    assert [one["max"] for one in found] == [THREADS - 1] * 4
    assert all(one["by"] == {str(number): 1 for number in range(THREADS)} for one in found)


def test_deletions_and_accumulations_at_once_never_conflict(documents: Documents, collection: str) -> None:
    key = Key(collection, "a")

    def work(number: int) -> None:
        for _ in range(5):
            documents.commit([Delete(key)] if number % 4 == 0 else [Accumulate(key, add={("n",): 1})])

    at_once(12, work)
    documents.commit([Accumulate(key, add={("n",): 1})])
    assert the(documents, key).document["n"] >= 1


# Due and scan


def test_due_documents_come_earliest_first_and_at_most_as_many_as_asked(documents: Documents, collection: str) -> None:
    order = [3, 1, 4, 0, 2]
    documents.commit(
        [
            *(Create(Key(collection, f"d{n}"), {"n": n, "at": NOON + timedelta(microseconds=n)}) for n in order),
            Create(Key(collection, "none"), {"at": None}),
            Create(Key(collection, "without"), {"n": 9}),
            Create(Key(collection, "text"), {"at": "2020-01-01"}),
            Create(Key(collection, "inside"), {"map": {"at": NOON}}),
            Create(Key(collection, "later"), {"at": NOON + timedelta(days=1)}),
        ]
    )

    def due(until: datetime, limit: int = 9) -> list[Any]:
        return [one.document["n"] for one in documents.due(collection, "at", until, limit)]

    assert due(NOON - timedelta(microseconds=1)) == []
    assert due(NOON + timedelta(microseconds=3)) == [0, 1, 2, 3]
    assert due(NOON + timedelta(hours=1), 2) == [0, 1]
    assert due(NOON + timedelta(hours=1)) == [0, 1, 2, 3, 4]


def test_what_was_changed_is_due_at_its_new_instant_only(documents: Documents, collection: str) -> None:
    key = Key(collection, "a")

    def due(field: str = "at") -> list[str]:
        return [one.key.id for one in documents.due(collection, field, NOON, 9)]

    documents.commit([Create(key, {"at": NOON, "other": NOON})])
    assert due() == due("other") == ["a"]
    documents.commit([Replace(key, {"at": NOON + timedelta(days=1)}, the(documents, key).version)])
    assert due() == due("other") == []
    documents.commit([Accumulate(key, put={("at",): NOON})])
    assert due() == ["a"]
    documents.commit([Accumulate(key, drop=[("at",)])])
    assert due() == []


# Find


def test_documents_are_found_by_the_very_text_in_order_of_id_and_at_most_as_many_as_asked(
    documents: Documents, collection: str
) -> None:
    documents.commit(
        [
            *(Create(Key(collection, f"d{n}"), {"n": n, "paid_by": "cus_1"}) for n in (3, 1, 4, 0, 2)),
            Create(Key(collection, "other"), {"paid_by": "cus_2"}),
            Create(Key(collection, "longer"), {"paid_by": "cus_11"}),
            Create(Key(collection, "capital"), {"paid_by": "CUS_1"}),
            Create(Key(collection, "none"), {"paid_by": None}),
            Create(Key(collection, "without"), {"n": 9}),
            Create(Key(collection, "number"), {"paid_by": 1}),
            Create(Key(collection, "inside"), {"map": {"paid_by": "cus_1"}}),
            Create(Key(f"{collection}x", "elsewhere"), {"paid_by": "cus_1"}),
        ]
    )

    def found(value: str, limit: int = 9) -> list[str]:
        return [one.key.id for one in documents.find(collection, "paid_by", value, limit)]

    assert found("cus_1") == ["d0", "d1", "d2", "d3", "d4"]
    assert found("cus_1", 2) == ["d0", "d1"]
    assert found("cus_2") == ["other"]
    assert found("nobody") == found("") == []
    [one] = documents.find(collection, "paid_by", "cus_2", 9)
    assert one == the(documents, one.key)


def test_what_was_changed_is_found_by_its_new_text_only(documents: Documents, collection: str) -> None:
    key = Key(collection, "a")

    def found(value: str) -> list[str]:
        return [one.key.id for one in documents.find(collection, "paid_by", value, 9)]

    documents.commit([Create(key, {"paid_by": "x", "at": NOON})])
    assert (found("x"), found("y")) == (["a"], [])
    documents.commit([Replace(key, {"paid_by": "y", "at": NOON}, the(documents, key).version)])
    assert (found("x"), found("y")) == ([], ["a"])
    documents.commit([Accumulate(key, put={("paid_by",): "x"})])
    assert (found("x"), found("y")) == (["a"], [])
    documents.commit([Accumulate(key, drop=[("paid_by",)])])
    assert found("x") == []
    documents.commit([Accumulate(key, put={("paid_by",): "x"})])
    documents.commit([Delete(key)])
    assert found("x") == []


@pytest.mark.parametrize("text", ["é", "𝄞\x00", "a/b", "`'\"\\;", "x" * 1000, "é" * 500])
def test_documents_are_found_by_any_text_that_is_not_too_long(documents: Documents, collection: str, text: str) -> None:
    documents.commit([Create(Key(collection, "a"), {"paid_by": text}), Create(Key(collection, "b"), {"paid_by": "x"})])
    assert [one.key.id for one in documents.find(collection, "paid_by", text, 9)] == ["a"]


def test_a_text_that_is_too_long_is_kept_and_not_found(documents: Documents, collection: str) -> None:
    key, text = Key(collection, "a"), "x" * 5000
    documents.commit([Create(key, {"paid_by": text})])
    assert the(documents, key).document == {"paid_by": text}
    assert documents.find(collection, "paid_by", text, 9) == []


def test_what_no_index_serves_is_a_mistake_to_look_for(documents: Documents, collection: str) -> None:
    with pytest.raises(ValueError, match="found by at"):
        documents.find(collection, "at", "x", 9)


# Listed


def test_documents_are_listed_in_order_of_a_text_and_of_ids_page_by_page(documents: Documents, collection: str) -> None:
    places = {"d": "2", "b": "1", "a/": "3", "a": "3", "c": "1", "e": "10", "none": None, "number": 3}
    documents.commit([Create(Key(collection, name), {"queue": place, "n": 1}) for name, place in places.items()])
    documents.commit([Create(Key(collection, "without"), {}), Create(Key(f"{collection}x", "other"), {"queue": "1"})])
    seen: list[str] = []
    after: tuple[str, str] | None = None
    while page := documents.listed(collection, "queue", {}, 2, after):
        seen += [one.key.id for one in page]
        after = (page[-1].document["queue"], page[-1].key.id)
    assert seen == ["b", "c", "e", "d", "a", "a/"]
    assert page == []
    [first] = documents.listed(collection, "queue", {}, 1)
    assert first == the(documents, first.key)


def test_a_list_is_narrowed_by_any_of_its_texts_and_by_several(documents: Documents, collection: str) -> None:
    def one(name: str, place: str, **texts: Any) -> Create:
        return Create(Key(collection, name), {"queue": place, **texts})

    documents.commit(
        [
            one("a", "4", provider="stripe", status="open", assignee=""),
            one("b", "3", provider="stripe", status="over", assignee="ana"),
            one("c", "2", provider="adyen", status="open", assignee="ana"),
            one("d", "1", provider="stripe", status="open", assignee="ana"),
            one("e", "0", provider="stripe", status=None, assignee=1),
            Create(Key(collection, "f"), {"provider": "stripe", "status": "open", "assignee": ""}),
        ]
    )

    def listed(**where: str) -> list[str]:
        return [one.key.id for one in documents.listed(collection, "queue", where, 9)]

    assert listed() == ["e", "d", "c", "b", "a"]
    assert listed(provider="stripe") == ["e", "d", "b", "a"]
    assert listed(assignee="") == ["a"]
    assert listed(status="open", assignee="ana") == ["d", "c"]
    assert listed(status="open", provider="stripe", assignee="ana") == ["d"]
    assert listed(status="ope") == listed(provider="é" * 600) == []
    after = documents.listed(collection, "queue", {"status": "open", "provider": "stripe"}, 1)[0]
    rest = documents.listed(collection, "queue", {"status": "open", "provider": "stripe"}, 9, ("1", after.key.id))
    assert [one.key.id for one in rest] == ["a"]


def test_what_was_changed_is_listed_as_it_is_now_only(documents: Documents, collection: str) -> None:
    key = Key(collection, "a")

    def listed(**where: str) -> list[str]:
        return [one.key.id for one in documents.listed(collection, "queue", where, 9)]

    documents.commit([Create(key, {"queue": "1", "status": "open"})])
    documents.commit([Accumulate(key, put={("status",): "over"})])
    assert (listed(status="open"), listed(status="over")) == ([], ["a"])
    documents.commit([Replace(key, {"queue": "2", "status": "open"}, the(documents, key).version)])
    assert (listed(status="open"), listed(status="over")) == (["a"], [])
    documents.commit([Accumulate(key, drop=[("queue",)])])
    assert listed() == listed(status="open") == []
    documents.commit([Accumulate(key, put={("queue",): "3"})])
    assert listed() == ["a"]
    documents.commit([Delete(key)])
    assert listed() == []


def test_what_no_index_serves_is_a_mistake_to_list(documents: Documents, collection: str) -> None:
    with pytest.raises(ValueError, match="listed by"):
        documents.listed(collection, "at", {}, 9)
    with pytest.raises(ValueError, match="listed by"):
        documents.listed(collection, "queue", {"reason": "fraud"}, 9)


IDS = [
    "a",
    "b",
    "A",
    "é",
    "ｆ",
    "𝄞",
    "10",
    "9",
    "stripe:main:evt_1",
    "192.168.0.1",
    "a/b",
    "a.b",
    "a/",
    "a.",
    "a0",
    "/",
    ".",
    "..",
    "...",
    "__x__",
    "____",
    "__x__y",
    "__id7__",
    "%2F",
    "a b",
    "\x00",
    "\x01",
    "a\x00",
    "a\x01",
    "\U0010ffff",
    ".\U0010ffff",
    "`'\"\\;",
    "x" * 1000,
]


def test_an_id_may_be_any_text_and_scanning_follows_its_code_points(documents: Documents, collection: str) -> None:
    documents.commit([Create(Key(collection, name), {"id": name}) for name in IDS])
    found = documents.get([Key(collection, name) for name in IDS])
    assert [one and (one.key.id, one.document["id"]) for one in found] == [(name, name) for name in IDS]
    pages: list[str] = []
    while page := documents.scan(collection, 7, pages[-1] if pages else ""):
        assert all(one.key == Key(collection, one.document["id"]) for one in page)
        pages += [one.key.id for one in page]
    assert pages == sorted(IDS)


def test_scanning_sees_one_collection(documents: Documents, collection: str) -> None:
    documents.commit([Create(Key(collection, "a"), {}), Create(Key(f"{collection}x", "b"), {})])
    assert [one.key.id for one in documents.scan(collection, 9)] == ["a"]
    assert documents.scan(f"{collection}y", 9) == []


# Values

PLAIN = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(1 << 63), (1 << 63) - 1),
    st.floats(allow_nan=False).map(lambda number: number + 0.0),  # a zero has no sign
    st.text(st.characters(codec="utf-8"), max_size=20),
    st.timedeltas(timedelta(days=-700_000), timedelta(days=2_900_000)).map(lambda ago: NOON + ago),
)
KEYS = st.one_of(
    st.text(st.characters(codec="utf-8"), max_size=8), st.sampled_from(["$", "$$", "__x__", "", "a.b", "\x01"])
)
LISTED = st.recursive(PLAIN, lambda inner: st.dictionaries(KEYS, inner, max_size=3), max_leaves=4)
VALUES = st.recursive(
    st.one_of(PLAIN, st.lists(LISTED, max_size=3)), lambda inner: st.dictionaries(KEYS, inner, max_size=4), max_leaves=8
)


def exactly(value: Any) -> Any:
    """`value` so that 1, 1.0 and True differ."""
    match value:
        case dict():
            return {key: exactly(item) for key, item in value.items()}
        case list():
            return [exactly(item) for item in value]
        case _:
            return (type(value), repr(value))


@hypothesis_settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(document=st.dictionaries(KEYS, VALUES, max_size=5))
def test_whatever_a_document_may_hold_comes_back_unchanged(documents: Documents, document: Document) -> None:
    key = Key("values", uuid.uuid4().hex)
    documents.commit([Create(key, document)])
    assert exactly(the(documents, key).document) == exactly(document)


def test_instants_come_back_in_utc_to_the_microsecond(documents: Documents, collection: str) -> None:
    key = Key(collection, "a")
    elsewhere = NOON.astimezone(timezone(timedelta(hours=-9, minutes=-30)))
    documents.commit([Create(key, {"at": elsewhere, "in": [{"at": elsewhere}], "far": float("inf")})])
    found = the(documents, key).document
    assert found == {"at": NOON, "in": [{"at": NOON}], "far": float("inf")}
    assert found["at"].tzinfo is UTC
    assert found["in"][0]["at"].tzinfo is UTC


@pytest.mark.parametrize(
    "value", [1j, {1, 2}, b"bytes", [[1]], {"a": {1: 2}}, NOON.replace(tzinfo=None), 1 << 63], ids=repr
)
def test_what_no_store_could_give_back_is_a_mistake(documents: Documents, collection: str, value: Any) -> None:
    key = Key(collection, "a")
    for write in (Create(key, {"v": value}), Accumulate(key, put={("v",): value})):
        with pytest.raises((TypeError, ValueError)):
            documents.commit([write])
    assert documents.get([key]) == [None]


def test_a_large_document_and_a_large_commit_are_taken(documents: Documents, collection: str) -> None:
    documents.commit([Create(Key(collection, f"{n:03}"), {"n": n}) for n in range(300)])
    found = documents.get([Key(collection, f"{n:03}") for n in range(300)])
    assert [one and one.document["n"] for one in found] == list(range(300))
    large = {"events": {f"e{n}": {"at": NOON, "text": "x" * 200} for n in range(1000)}}
    documents.commit([Create(Key(collection, "large"), large)])
    assert the(documents, Key(collection, "large")).document == large


# Models


def test_a_model_is_kept_under_its_digest(backend: Ports) -> None:
    data = random.Random(7).randbytes(100_000)
    digest = backend.models.store(data)
    assert digest == hashlib.sha256(data).hexdigest() == backend.models.store(data)
    assert backend.models.load(digest) == data


@pytest.mark.parametrize("digest", ["0" * 64, "../../etc/passwd", "", "A" * 64])
def test_a_model_that_is_not_there_is_misconfigured(backend: Ports, digest: str) -> None:
    with pytest.raises(Misconfigured):
        backend.models.load(digest)
