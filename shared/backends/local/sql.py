"""The local backend's one SQL database: a SQLite file, or PostgreSQL. Documents and the bus are tables in it."""

import random
import time
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from threading import Lock
from typing import Any, Final, TypeVar

import sqlalchemy as sa
from sqlalchemy import event, exc
from sqlalchemy.dialects import postgresql, sqlite

from shared.domain.errors import Misconfigured, Unavailable

T = TypeVar("T")

metadata = sa.MetaData()

# Text is compared by code points: SQLite does so (memcmp of UTF-8), PostgreSQL when told.
Exact = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")

documents = sa.Table(
    "documents",
    metadata,
    sa.Column("collection", Exact, primary_key=True),
    sa.Column("id", Exact, primary_key=True),
    sa.Column("version", sa.BigInteger, nullable=False),
    sa.Column("body", sa.Text, nullable=False),
)
# The top-level instants of documents, in microseconds since 1970: what `due` reads.
instants = sa.Table(
    "instants",
    metadata,
    sa.Column("collection", Exact, primary_key=True),
    sa.Column("id", Exact, primary_key=True),
    sa.Column("field", Exact, primary_key=True),
    sa.Column("instant", sa.BigInteger, nullable=False),
    sa.Index("instants_due", "collection", "field", "instant", "id"),
)
# The top-level texts by which documents are found: what `find` reads.
texts = sa.Table(
    "texts",
    metadata,
    sa.Column("collection", Exact, primary_key=True),
    sa.Column("id", Exact, primary_key=True),
    sa.Column("field", Exact, primary_key=True),
    sa.Column("text", Exact, nullable=False),
    sa.Index("texts_find", "collection", "field", "text", "id"),
)
# In which order documents are listed: a row for each list that one is in, all of them (`narrowed` and `text` are empty) and those
# of a text. What `listed` reads.
listings = sa.Table(
    "listings",
    metadata,
    sa.Column("collection", Exact, primary_key=True),
    sa.Column("id", Exact, primary_key=True),
    sa.Column("field", Exact, primary_key=True),
    sa.Column("narrowed", Exact, primary_key=True),
    sa.Column("text", Exact, nullable=False),
    sa.Column("place", Exact, nullable=False),
    sa.Index("listings_page", "collection", "field", "narrowed", "text", "place", "id"),
)
subscriptions = sa.Table(
    "subscriptions",
    metadata,
    sa.Column("name", Exact, primary_key=True),
    sa.Column("topic", Exact, nullable=False, index=True),
    sa.Column("filter", sa.Text, nullable=False),
    sa.Column("max_attempts", sa.Integer, nullable=False),
    sa.Column("dead_letter_topic", sa.Text),
)
# Subscriptions from which nothing is pushed: messages wait in them until somebody takes them.
stopped = sa.Table("stopped", metadata, sa.Column("subscription", Exact, primary_key=True))
# One row for each message and subscription: an acknowledgement is a delete, and nobody waits for anybody.
queue = sa.Table(
    "queue",
    metadata,
    sa.Column("seq", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=True),
    sa.Column("subscription", Exact, nullable=False),
    sa.Column("message_id", sa.Text, nullable=False),
    sa.Column("published_at", sa.BigInteger, nullable=False),
    sa.Column("data", sa.LargeBinary, nullable=False),
    sa.Column("attributes", sa.Text, nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("visible_at", sa.BigInteger, nullable=False),
    sa.Column("lease", sa.Text, nullable=False),
    sa.Index("queue_next", "subscription", "visible_at", "seq"),
)

PATIENCE: Final = 8.0
"""Seconds that a read or a write waits for other writers, for a connection and for the server together: as long as
Firestore's may take. Then it is somebody else's turn to try again."""

_STATEMENT: Final = 5.0
_CONNECT: Final = 2  # the least that libpq takes
_SCHEMA_LOCK: Final = 0x70617969  # any number, the same in every process
# serialization_failure, deadlock_detected: nothing was written, and the next time goes better
_TRY_AGAIN: Final = {"40001", "40P01"}


class TryAgain(Unavailable):
    """Raised inside a write: roll back and run it again."""

    def __init__(self) -> None:
        super().__init__("another writer was first", reason="contended")


_until: ContextVar[float | None] = ContextVar("until", default=None)


def _left() -> float:
    """Seconds that the read or write in hand may still take."""
    until = _until.get()
    return PATIENCE if until is None else max(until - time.monotonic(), 0.0)


@contextmanager
def _patient() -> Iterator[None]:
    token = _until.set(time.monotonic() + PATIENCE)
    try:
        yield
    finally:
        _until.reset(token)


@contextmanager
def _alone(lock: Lock) -> Iterator[None]:
    if not lock.acquire(timeout=_left()):
        raise Unavailable("other threads wait for the database already", reason="database_busy")
    try:
        yield
    finally:
        lock.release()


class Direct:
    """A connection as its driver has it, for what is done with every event: SQLAlchemy writes a statement once, and running
    it through SQLAlchemy takes ten times as long as SQLite does. Values are by the names of its parameters."""

    def __init__(self, driver: Any, text_of: Callable[[sa.ClauseElement], str]) -> None:
        self._driver = driver
        self._text_of = text_of

    def rows(self, statement: sa.ClauseElement, values: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        found: list[tuple[Any, ...]] = self._run(statement, values).fetchall()
        return found

    def changed(self, statement: sa.ClauseElement, values: Mapping[str, Any]) -> int:
        """How many rows the statement changed."""
        return int(self._run(statement, values).rowcount)

    def each(self, statement: sa.ClauseElement, rows: Sequence[Mapping[str, Any]]) -> None:
        """Run the statement with each of `rows`."""
        if len(rows) == 1:
            self._run(statement, rows[0])
        elif rows:
            self._driver.cursor().executemany(self._text_of(statement), rows)

    def _run(self, statement: sa.ClauseElement, values: Mapping[str, Any]) -> Any:
        cursor = self._driver.cursor()
        cursor.execute(self._text_of(statement), values)
        return cursor


class Database:
    """Connects at first use. Thread-safe; several processes may share the database. Reads and writes take no longer
    than PATIENCE, or raise Unavailable."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._connected: sa.Engine | None = None
        self._connecting = Lock()
        # SQLite has one writer at a time and lets the others poll; within a process a lock is fair and quicker.
        self._writer = Lock() if url.startswith("sqlite") else None
        self._texts: dict[sa.ClauseElement, str] = {}
        # And the driver's own, once there is one.
        self._troubles: tuple[type[Exception], ...] = (exc.OperationalError, exc.InterfaceError, exc.InternalError)

    def _engine(self) -> sa.Engine:
        if self._connected is None:
            with _alone(self._connecting):
                if self._connected is None:
                    self._connected = self._connect()
        return self._connected

    @property
    def dialect(self) -> str:
        return str(self._engine().dialect.name)

    def insert(self, table: sa.Table) -> sqlite.Insert | postgresql.Insert:
        """An insert into `table` that can say what to do on conflict."""
        return sqlite.insert(table) if self.dialect == "sqlite" else postgresql.insert(table)

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """A connection for reading. One statement sees one instant."""
        with _patient(), self._translated(), self._engine().connect() as connection:
            yield connection

    @contextmanager
    def reading(self) -> Iterator[Direct]:
        """As `read`, directly."""
        with _patient(), self._direct() as connection:
            yield connection

    def write(self, body: Callable[[sa.Connection], T]) -> T:
        """Run `body` in one transaction and commit; again when it lost to another writer, so `body` must bear that."""

        def written() -> T:
            with self._translated(), self._engine().execution_options(payin_writes=True).begin() as connection:
                return body(connection)

        return self._until_written(written)

    def writing(self, body: Callable[[Direct], T]) -> T:
        """As `write`, directly."""

        def written() -> T:
            with self._direct(writes=True) as connection:
                return body(connection)

        return self._until_written(written)

    def _until_written(self, written: Callable[[], T]) -> T:
        with _patient():
            attempt = 0
            while True:
                try:
                    if self._writer is None:
                        return written()
                    with _alone(self._writer):
                        return written()
                except TryAgain:
                    pause = random.uniform(0, 0.01 * 2 ** min(attempt, 5))  # noqa: S311 - jitter
                    if pause >= _left():
                        raise
                    time.sleep(pause)
                    attempt += 1

    @contextmanager
    def _direct(self, *, writes: bool = False) -> Iterator[Direct]:
        with self._translated():
            pooled = self._engine().raw_connection()
            try:
                connection: Any = pooled.driver_connection
                if writes and self._writer is not None:
                    connection.execute(_busy_timeout())
                    connection.execute("BEGIN IMMEDIATE")
                yield Direct(connection, self._text_of)
                if writes:
                    connection.commit()
            finally:
                # What was not committed is rolled back, and a connection that is broken is not kept.
                pooled.close()

    def beneath(self, connection: sa.Connection) -> Direct:
        """The same connection, in the same transaction, directly."""
        return Direct(connection.connection.driver_connection, self._text_of)

    def _text_of(self, statement: sa.ClauseElement) -> str:
        if (text := self._texts.get(statement)) is None:
            dialect = sqlite.dialect(paramstyle="named") if self._writer is not None else self._engine().dialect
            text = self._texts[statement] = str(statement.compile(dialect=dialect))
        return text

    def _connect(self) -> sa.Engine:
        with self._translated():
            try:
                url = sa.make_url(self._url)
                engine = _sqlite(url) if url.get_backend_name() == "sqlite" else _server(url)
            except (exc.ArgumentError, exc.NoSuchModuleError, ModuleNotFoundError) as error:
                raise Misconfigured(
                    "PAYIN_DATABASE_URL is no database we can open: set sqlite:///<file> or "
                    "postgresql+psycopg://<user>@<host>/<name>",
                    reason="bad_database_url",
                ) from error
            driver: Any = engine.dialect.loaded_dbapi
            self._troubles += (driver.OperationalError, driver.InterfaceError, driver.InternalError)
            # Whoever forgets the database gives its connections back, rather than leave them to the garbage collector.
            weakref.finalize(self, engine.dispose)
            _create_schema(engine)
        return engine

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except exc.TimeoutError as error:
            raise Unavailable("no database connection is free", reason="database_busy") from error
        except self._troubles as error:
            told = getattr(error, "orig", error)
            if getattr(told, "sqlstate", None) in _TRY_AGAIN:
                raise TryAgain from error
            raise Unavailable(f"the database does not answer: {type(told).__name__}", reason="database_down") from error


def _sqlite(url: sa.URL) -> sa.Engine:
    if not url.database or url.database == ":memory:":
        raise Misconfigured(
            "PAYIN_DATABASE_URL names no file: several threads and processes share it", reason="bad_database_url"
        )
    Path(url.database).parent.mkdir(parents=True, exist_ok=True)
    engine = sa.create_engine(url, pool_size=8, max_overflow=56, pool_timeout=PATIENCE / 2)

    @event.listens_for(engine, "connect")
    def settle(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # transactions begin where we say
        connection.execute(_busy_timeout())
        if connection.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
            connection.execute("PRAGMA journal_mode = WAL")
        # Survives a killed process; only a power cut may lose the last commits, never corrupt.
        connection.execute("PRAGMA synchronous = NORMAL")

    @event.listens_for(engine, "begin")
    def begin(connection: sa.Connection) -> None:
        # A transaction that reads first and writes later could not be upgraded while another writes.
        writes = connection.get_execution_options().get("payin_writes")
        if writes:
            # It waits here, and here alone: readers of a write-ahead log wait for nobody.
            connection.exec_driver_sql(_busy_timeout())
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


def _busy_timeout() -> str:
    return f"PRAGMA busy_timeout = {int(_left() * 1000)}"


def _server(url: sa.URL) -> sa.Engine:
    if url.get_backend_name() != "postgresql":
        raise exc.ArgumentError(url.get_backend_name())
    from psycopg import Connection, OperationalError, errors

    class Bounded(Connection[Any]):
        """The server's own time limits end with the server: one that stands still answers nothing, and not even that."""

        def wait(self, gen: Any, interval: float = 0.1, timeout: float | None = None) -> Any:
            try:
                return super().wait(gen, interval, min(_STATEMENT, _left()) if timeout is None else timeout)
            except errors._WaitTimeout as error:
                self.close()
                raise OperationalError("the server does not answer") from error

    engine = sa.create_engine(
        url.set(drivername="postgresql+psycopg"),
        pool_size=4,
        max_overflow=8,
        pool_timeout=PATIENCE / 2,
        pool_pre_ping=True,
        connect_args={
            "connect_timeout": _CONNECT,
            "options": "-c lock_timeout=3s -c statement_timeout=5s -c idle_in_transaction_session_timeout=30s",
        },
    )

    @event.listens_for(engine, "do_connect")
    def connect(_dialect: Any, _record: Any, arguments: Any, named: Any) -> Any:
        if not _left():
            raise OperationalError("no time is left to connect")
        return Bounded.connect(*arguments, **named)

    return engine


def _create_schema(engine: sa.Engine) -> None:
    while True:
        try:
            with engine.execution_options(payin_writes=True).begin() as connection:
                if engine.dialect.name == "postgresql":
                    connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_SCHEMA_LOCK)))
                metadata.create_all(connection)
                return
        except exc.OperationalError as error:
            # Going over to WAL needs the file alone and does not wait for it.
            if engine.dialect.name != "sqlite" or "locked" not in str(error.orig) or not _left():
                raise
            time.sleep(random.uniform(0, 0.05))  # noqa: S311 - jitter
