"""Who changed what, when and why stands in the commit of the change, whatever flow makes it."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from shared.domain.errors import Conflict, Rejected
from shared.flows.audit import MOST, SEEN, Errand, audited, begun, changed, ended, newest, records, seen
from shared.flows.ports import Accumulate, Create, Delete, Key, Ports, Replace, Unchanged
from tests.builders import DAY, MINUTE, NOON

AT = Key("registry", "thing")
ERRAND = Errand(who="ana@shop.example", why="it was wrong, says bo@shop.example", what="things change", at=NOON)


def test_a_change_and_its_record_are_one_commit(ports: Ports) -> None:
    documents = audited(ports, ERRAND).documents
    documents.commit([Create(AT, {"n": 1, "deep": {"a": 1, "b": 2}})])
    [found] = documents.get([AT])
    assert found is not None
    documents.commit([Replace(AT, {"n": 1, "deep": {"a": 5, "b": 2}, "new": True}, found.version)])
    documents.commit([Accumulate(AT, add={("deep", "b"): 3}, drop=[("new",)])])
    documents.commit([Delete(AT)])
    told = records(ports.documents, NOON, 10)
    assert {(one.who, one.what, one.at) for one in told} == {("ana@shop.example", "things change", NOON)}
    pairs = {(one.before, one.after) for record in told for one in record.changes}
    assert pairs == {
        (None, '{"deep":{"a":1,"b":2},"n":1}'),
        ('{"deep.a":1,"new":null}', '{"deep.a":5,"new":true}'),
        (None, '{"add":{"deep.b":3},"drop":["new"]}'),
        ('{"deep":{"a":1,"b":2},"n":1}', None),
    }


def test_what_is_not_written_leaves_no_record(ports: Ports) -> None:
    documents = audited(ports, ERRAND).documents
    documents.commit([Create(AT, {})])
    with pytest.raises(Conflict):
        documents.commit([Create(AT, {})])
    [found] = documents.get([AT])
    assert found is not None
    documents.commit([Unchanged(AT, found.version)])
    assert len(records(ports.documents, NOON, 10)) == 1


@pytest.mark.parametrize("member", ["who", "why", "what"])
def test_a_change_without_its_author_or_its_reason_is_not_made(member: str) -> None:
    with pytest.raises(Rejected, match=member):
        Errand(**{"who": "ana", "why": "it was wrong", "what": "things change", "at": NOON, member: "  "})  # type: ignore[arg-type]


def test_addresses_in_a_reason_are_masked_and_a_book_is_kept_short(ports: Ports) -> None:
    audited(ports, ERRAND).documents.commit([Create(AT, {"book": "x" * 500_000})])
    [told] = records(ports.documents, NOON, 10)
    assert "bo@" not in told.why
    assert len(told.changes[0].after or "") < 2100


def test_a_change_of_very_much_says_how_much(ports: Ports) -> None:
    many = [changed(f"letters:{number}", None, {}) for number in range(MOST + 3)]
    key = begun(ports.documents, ERRAND, many)
    ended(ports.documents, key, "done")
    [told] = records(ports.documents, NOON, 10)
    assert (len(told.changes), told.changes[-1].name, told.outcome) == (MOST + 1, "and 3 more", "done")


def test_records_are_read_by_time(ports: Ports) -> None:
    for days in (3, 1, 2):
        begun(ports.documents, replace(ERRAND, at=NOON + days * DAY), [])
    assert [one.at for one in records(ports.documents, NOON + 2 * DAY - MINUTE, 10)] == [NOON + 2 * DAY, NOON + 3 * DAY]


def test_the_newest_records_are_read_first_however_many_there_are_and_none_is_left_out(ports: Ports) -> None:
    every = [NOON - timedelta(seconds=37 * number) for number in range(400)]
    for at in every:
        seen(ports.documents, "ana@shop.example", at, ["payments:stripe:pi_1"])
    ports = audited(
        ports, Errand(who="bo@shop.example", why="a change", what="rules put", at=NOON - timedelta(hours=3))
    )
    ports.documents.commit([Create(Key("registry", "x"), {"a": 1})])
    since, end, found = NOON - timedelta(days=7), NOON + timedelta(seconds=1), list[datetime]()
    while end > since:
        part, end = newest(ports.documents, end, since, 50)
        found += [one.at for one in part]
    assert found == sorted([*every, NOON - timedelta(hours=3)], reverse=True)
    [change], _ = newest(ports.documents, NOON + timedelta(seconds=1), since, 50, lambda one: one.what != SEEN)
    assert change.who == "bo@shop.example"
