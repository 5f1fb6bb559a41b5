"""A database that does not answer: whoever asks is told so in time, with as many asking as there are threads and more."""

import os
import signal
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path

import pytest
import sqlalchemy as sa

from shared import settings
from shared.backends.gcp import firestore
from shared.backends.local import connect, sql
from shared.domain.errors import Unavailable
from shared.flows.ports import Accumulate, Create, Key, Message, Ports
from tests.stack import postgres
from tests.stack.servers import Server

REAL = sql.PATIENCE, sql._STATEMENT
SLACK = 3.0  # a busy machine's, and the last try's


@pytest.fixture(autouse=True)
def _shorter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sql, "PATIENCE", 2.0)
    monkeypatch.setattr(sql, "_STATEMENT", 1.5)


def test_the_local_backend_is_as_patient_as_firestore_is() -> None:
    assert (firestore.PATIENCE, firestore.TIMEOUT) == REAL


def ports_of(url: str, home: Path) -> Ports:
    return connect(settings.read({"PAYIN_DATABASE_URL": url, "PAYIN_HOME": str(home)}))


@contextmanager
def a_writer(file: Path) -> Iterator[None]:
    """Another process that writes and does not end."""
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("PRAGMA journal_mode = WAL")
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


def outcomes(asked: Callable[[int], object], times: int = 40) -> list[tuple[str, float]]:
    """What each of so many at once was told, and after how many seconds."""
    together = threading.Barrier(times)

    def ask(number: int) -> tuple[str, float]:
        together.wait()
        began = time.monotonic()
        try:
            asked(number)
        except Unavailable as error:
            return error.reason, time.monotonic() - began
        return "done", time.monotonic() - began

    with ThreadPoolExecutor(times) as pool:
        return list(pool.map(ask, range(times)))


def writes(ports: Ports) -> Callable[[int], object]:
    def write(number: int) -> None:
        if number % 2:
            ports.bus.publish([Message("t", b"x")])
        else:
            ports.documents.commit([Accumulate(Key("c", f"{number}"), add={("n",): 1})])

    return write


@pytest.mark.parametrize("first", [True, False], ids=["at its first use", "in use"])
def test_whoever_waits_for_sqlites_writer_waits_no_longer_than_his_patience(first: bool, tmp_path: Path) -> None:
    file = tmp_path / "payin.sqlite"
    ports = ports_of(f"sqlite:///{file}", tmp_path)
    if not first:
        ports.documents.commit([Create(Key("c", "a"), {})])
    with a_writer(file):
        told = outcomes(writes(ports))
        assert {reason for reason, _ in told} <= {"database_busy", "database_down"}
        assert max(seconds for _, seconds in told) < sql.PATIENCE + SLACK
        if not first:
            # Nobody who reads waits.
            assert {reason for reason, _ in outcomes(lambda _: ports.documents.get([Key("c", "a")]))} == {"done"}
    assert {reason for reason, _ in outcomes(writes(ports))} == {"done"}


@pytest.mark.postgres
def test_a_postgresql_that_stands_still_is_unavailable_in_time_and_serves_when_it_goes_on(tmp_path: Path) -> None:
    server = postgres.start(tmp_path / "log")
    ports = ports_of(postgres.database_url(server.address, "postgres"), tmp_path)
    try:
        assert {reason for reason, _ in outcomes(writes(ports))} == {"done"}
        for asked in (writes(ports), lambda _: ports.documents.get([Key("c", "0")])):
            with standing_still(server):
                told = outcomes(asked)
            assert {reason for reason, _ in told} <= {"database_busy", "database_down"}
            assert max(seconds for _, seconds in told) < sql.PATIENCE + sql._CONNECT + SLACK
            assert {reason for reason, _ in outcomes(writes(ports))} == {"done"}
    finally:
        server.stop()


@pytest.mark.postgres
def test_a_postgresql_that_stands_still_under_a_transaction_is_unavailable_in_time(tmp_path: Path) -> None:
    server = postgres.start(tmp_path / "log")
    ports = ports_of(postgres.database_url(server.address, "postgres"), tmp_path)
    try:
        ports.documents.commit([Create(Key("c", "a"), {})])
        database = sql.Database(postgres.database_url(server.address, "postgres"))
        with ExitStack() as stack:

            def body(connection: sa.Connection) -> None:
                stack.enter_context(standing_still(server))
                connection.execute(sa.text("SELECT 1"))

            began = time.monotonic()
            with pytest.raises(Unavailable):
                database.write(body)
            assert time.monotonic() - began < sql.PATIENCE + SLACK
    finally:
        server.stop()


@contextmanager
def standing_still(server: Server) -> Iterator[None]:
    """Its connections are open, and nobody is there."""
    family = _family(server.process)
    try:
        for process in family:
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGSTOP)
        yield
    finally:
        for process in family:
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGCONT)


def _family(process: int) -> list[int]:
    """The process and its children, first the parent."""
    children = [
        int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit() and _parent(entry) == process
    ]
    return [process, *children]


def _parent(entry: Path) -> int | None:
    try:
        return int((entry / "stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return None
