"""Every statement of the local backend looks up what it names, on both databases: what a request costs must not grow with
what is stored."""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy import event

from shared.backends.local.bus import LocalBus
from shared.backends.local.documents import SqlDocuments
from shared.backends.local.sql import Database, Direct
from shared.flows.ports import Accumulate, Create, Delete, Key, Message, Replace
from tests.builders import HOUR, NOON
from tests.stack import postgres

LISTED = {"queue": "1", "provider": "p", "status": "s", "assignee": ""}


@dataclass
class Told:
    """A database, and each statement that it was told, with the values it was told with."""

    database: Database
    engine: sa.Engine
    statements: dict[str, Any]


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def told(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Told]:
    url = f"sqlite:///{tmp_path}/plans.sqlite"
    if request.param == "postgresql":
        host, port = request.getfixturevalue("postgres_url").split("@")[1].split("/")[0].split(":")
        url = postgres.create_database(f"{host}:{port}", f"plans_{os.getpid()}_{tmp_path.name[-8:]}".lower())
    database = Database(url)
    engine = database._engine()
    statements: dict[str, Any] = {}

    @event.listens_for(engine, "before_cursor_execute")
    def tell(_connection: Any, _cursor: Any, statement: str, values: Any, _context: Any, many: bool) -> None:
        statements.setdefault(statement, values[0] if many else values)

    run, each = Direct._run, Direct.each

    def directly(connection: Direct, statement: sa.ClauseElement, values: Mapping[str, Any]) -> Any:
        statements.setdefault(connection._text_of(statement), values)
        return run(connection, statement, values)

    def each_directly(connection: Direct, statement: sa.ClauseElement, rows: Sequence[Mapping[str, Any]]) -> None:
        if rows:
            statements.setdefault(connection._text_of(statement), rows[0])
        each(connection, statement, rows)

    monkeypatch.setattr(Direct, "_run", directly)
    monkeypatch.setattr(Direct, "each", each_directly)
    yield Told(database, engine, statements)
    engine.dispose()


def test_every_statement_is_answered_by_an_index(told: Told) -> None:
    _everything(told.database)
    asked = {statement: values for statement, values in told.statements.items() if _reads(statement)}
    assert len(asked) > 10
    with told.engine.connect() as connection:
        plan = _sqlite if told.engine.dialect.name == "sqlite" else _postgresql
        assert {
            statement: found for statement, values in asked.items() if (found := plan(connection, statement, values))
        } == {}


def _everything(database: Database) -> None:
    """Whatever the flows and those who deliver messages may ask of it."""
    documents, bus = SqlDocuments(database), LocalBus(database)
    keys = [Key(collection, f"{n}") for collection in ("a", "b", "c") for n in range(3)]
    documents.commit([Create(key, {"at": NOON, "n": 1, "paid_by": "c", **LISTED}) for key in keys])
    found = [one for one in documents.get(keys) if one]
    documents.get(keys[:1])
    documents.commit([Replace(one.key, {"at": NOON + HOUR}, one.version) for one in found[:5]])
    documents.commit([Accumulate(keys[5], add={("n",): 1}), Accumulate(Key("d", "new"), put={("at",): NOON})])
    documents.commit([Delete(keys[6]), Delete(keys[0])])
    documents.due("a", "at", NOON + HOUR, 10)
    documents.find("a", "paid_by", "c", 10)
    documents.listed("a", "queue", {}, 10)
    documents.listed("a", "queue", {"status": "s", "provider": "p", "assignee": ""}, 10, ("1", "1"))
    documents.scan("a", 10)
    documents.scan("a", 10, after="1")
    bus.subscribe("s", "t", max_attempts=1, dead_letter_topic="dead")
    bus.publish([Message("t", b"x"), Message("u", b"x")])
    (pulled,) = bus.pull("s", 10, 0)
    bus.nack("s", [pulled.ack_id])
    bus.pull("s", 10, 0)
    bus.publish([Message("t", b"x")])
    bus.ack("s", [one.ack_id for one in bus.pull("s", 10, 60)])
    bus.backlog("s")


def _reads(statement: str) -> bool:
    return statement.startswith(("SELECT", "UPDATE", "DELETE", "WITH"))


def _sqlite(connection: sa.Connection, statement: str, values: Any) -> list[str]:
    """The steps of its plan that read a whole table or index."""
    plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values)
    return [str(row.detail) for row in plan if str(row.detail).startswith("SCAN")]


def _postgresql(connection: sa.Connection, statement: str, values: Any) -> list[str]:
    """The same. A table of a few rows is read whole whatever there is: the planner is told not to."""
    connection.exec_driver_sql("SET enable_seqscan = off")
    (told,) = connection.exec_driver_sql(f"EXPLAIN (FORMAT JSON) {statement}", values).scalar_one()
    waiting, found = [told["Plan"]], []
    while waiting:
        step = waiting.pop()
        waiting += step.get("Plans", [])
        by_index = "Index Cond" in step or step["Node Type"] == "Bitmap Heap Scan"
        if step["Node Type"].endswith("Scan") and not by_index:
            found.append(json.dumps(step))
    return found
