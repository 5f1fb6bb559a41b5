"""BigQuery's SQL on one machine: rows as NDJSON files, queries on DuckDB, the dialect translated by sqlglot.

DuckDB's answers are BigQuery's for what our SQL uses; where sqlglot's translation differs from BigQuery's reference,
`_exact` mends it. Tables are read into memory once and grow by the files that were added since, and are read anew after rows were blanked.
"""

import os
import secrets
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from threading import Event, Lock, Thread
from typing import Any

import duckdb
import msgspec
import sqlglot
from sqlglot import exp

from shared.backends.once import Once
from shared.backends.tables import Column, blanked, columns, declared, members_of, of_the_day
from shared.domain.codec import utc_text
from shared.domain.errors import Misconfigured, Unavailable
from shared.flows.ports import Bound

_TYPES = {
    "STRING": "VARCHAR",
    "INT64": "BIGINT",
    "INTEGER": "BIGINT",
    "FLOAT64": "DOUBLE",
    "FLOAT": "DOUBLE",
    "BOOL": "BOOLEAN",
    "BOOLEAN": "BOOLEAN",
    "NUMERIC": "DECIMAL(38, 9)",
    "TIMESTAMP": "TIMESTAMP WITH TIME ZONE",
    "DATE": "DATE",
    "JSON": "JSON",
    "BYTES": "VARCHAR",  # base64 in the file; a column of bytes in the table
}


_PATIENCE = 300.0
REWRITTEN = ".rewritten"
"""The file in a table's folder that is another one after rows were changed in place."""


class LocalWarehouse:
    """`shared.flows.ports.Warehouse` in `<folder>/<table>/*.ndjson`. Files are whole or absent, so nobody locks."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._connect = Once(_connect)
        self._lock = Lock()
        self._loaded: dict[str, set[str]] = {}
        self._rewritten: dict[str, str] = {}

    def append(self, table: str, rows: Sequence[Mapping[str, Any]]) -> None:
        of = columns(table)
        if not rows:
            return
        data = b"".join(msgspec.json.encode(declared(row, of)) + b"\n" for row in rows)
        folder = self._folder / table
        name = f"{time.time_ns():020}-{os.getpid()}-{secrets.token_hex(4)}.ndjson"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f".{name}").write_bytes(data)
            os.replace(folder / f".{name}", folder / name)
        except OSError as error:
            raise Unavailable(f"the warehouse's folder cannot be written: {error.strerror}") from error

    def derive(
        self,
        table: str,
        at: str,
        day: datetime,
        sql: str,
        parameters: Mapping[str, Any] | None = None,
        *,
        as_of: datetime,
    ) -> None:
        # One file holds the day, and is another one at once.
        of, folder = columns(table), self._folder / table
        asked = {**(parameters or {}), "day_begins": day, "day_ends": day + timedelta(days=1)}
        rows = self.query(of_the_day(table, at, sql), asked)
        name = f"{day:%Y-%m-%d}.ndjson"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._put(folder, name, [declared({key: _told(one) for key, one in row.items()}, of) for row in rows])
        except OSError as error:
            raise Unavailable(f"the warehouse's folder cannot be written: {error.strerror}") from error

    def blank(
        self,
        table: str,
        members: Sequence[str],
        at: str,
        since: datetime,
        until: datetime,
        only: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        named = members_of(table, members)
        folder = self._folder / table

        def meant(row: dict[str, Any]) -> bool:
            instant = datetime.fromisoformat(row[at]) if row.get(at) else None
            in_time = instant is not None and since <= instant < until
            return in_time and all(row.get(column) in texts for column, texts in (only or {}).items())

        try:
            # Each file at once; whoever is killed in between does the others the next time.
            for name in sorted(_files(folder)):
                rows = [msgspec.json.decode(line) for line in (folder / name).read_bytes().splitlines()]
                after = [blanked(row, named) if meant(row) else row for row in rows]
                if after != rows:
                    self._put(folder, name, after)
        except OSError as error:
            raise Unavailable(f"the warehouse's folder cannot be written: {error.strerror}") from error

    def _put(self, folder: Path, name: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """The file `name` holds `rows` and nothing else from now on."""
        (folder / f".{name}").write_bytes(b"".join(msgspec.json.encode(row) + b"\n" for row in rows))
        os.replace(folder / f".{name}", folder / name)
        # What others have read of it is no longer so.
        (folder / REWRITTEN).write_text(secrets.token_hex(8), encoding="ascii")

    def query(
        self,
        sql: str,
        parameters: Mapping[str, Any] | None = None,
        *,
        once: bool = False,
        bound: Bound | None = None,
    ) -> list[dict[str, Any]]:
        translated, tables = _translated(sql)
        connection = self._connect()
        with self._lock:
            for table in tables:
                self._load(connection, table)
            # Nothing is billed here: of a bound only the seconds count.
            try:
                with _stopped_after(connection, bound.seconds if bound else _PATIENCE):
                    result = connection.sql(translated, params=dict(parameters or {}))
                    return _rows(result)
            except duckdb.InterruptException as error:
                raise Unavailable("the query took too long, and was stopped", reason="too_slow") from error
            except duckdb.Error as error:
                raise Misconfigured(f"the warehouse refuses this SQL: {error}", reason="bad_sql") from error

    def _load(self, connection: duckdb.DuckDBPyConnection, table: str) -> None:
        """Bring `table` up to what its folder holds."""
        of = columns(table)
        folder = self._folder / table
        marker = folder / REWRITTEN
        rewritten = marker.read_text(encoding="ascii") if marker.is_file() else ""
        there = _files(folder)
        known = self._loaded.get(table)
        if known is None or not known <= there or self._rewritten.get(table, "") != rewritten:
            made = ", ".join(f'"{column.name}" {_stored_type(column)}' for column in of)
            connection.execute(f'CREATE OR REPLACE TABLE "{table}" ({made})')
            known = set()
        if new := sorted(there - known):
            # Values are bound as parameters; names of tables and columns are our own declarations.
            read = ", ".join(f"{_value(column)}" for column in of)
            insert = (
                f"INSERT INTO \"{table}\" SELECT {read} FROM read_json($files, format = 'newline_delimited', "  # noqa: S608
                "columns = $columns, maximum_object_size = 67108864)"
            )
            files = [str(folder / name) for name in new]
            try:
                connection.execute(insert, {"files": files, "columns": {column.name: _type(column) for column in of}})
            except duckdb.Error as error:
                # DuckDB's own message would quote the row.
                raise Misconfigured(
                    f"a row of {table} is not as the table is declared, in one of {len(new)} files from {new[0]} on: "
                    f"{type(error).__name__}",
                    reason="bad_rows",
                ) from None
        self._loaded[table] = there
        self._rewritten[table] = rewritten


def _files(folder: Path) -> set[str]:
    there = {entry.name for entry in os.scandir(folder)} if folder.is_dir() else set()
    return {name for name in there if not name.startswith(".")}


@contextmanager
def _stopped_after(connection: duckdb.DuckDBPyConnection, seconds: float) -> Iterator[None]:
    over = Event()

    def watch() -> None:
        if not over.wait(seconds):
            # Again and again: what has not begun to run is not stopped by it.
            while not over.wait(0.05):
                connection.interrupt()

    watching = Thread(target=watch, daemon=True)
    watching.start()
    try:
        yield
    finally:
        over.set()
        watching.join()


def _connect() -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect(":memory:", config={"threads": min(4, os.cpu_count() or 1)})
    connection.execute("SET TimeZone = 'UTC'")
    return connection


def _type(column: Column) -> str:
    one = _TYPES.get(column.type)
    if one is None:
        one = "STRUCT(" + ", ".join(f'"{field.name}" {_type(field)}' for field in column.fields) + ")"
    return f"{one}[]" if column.mode == "REPEATED" else one


def _stored_type(column: Column) -> str:
    return "BLOB" if column.type == "BYTES" else _type(column)


def _value(column: Column) -> str:
    if column.type == "BYTES":
        return f'from_base64("{column.name}")'
    # BigQuery has no null list.
    return f'coalesce("{column.name}", [])' if column.mode == "REPEATED" else f'"{column.name}"'


def _exact(node: exp.Expression) -> exp.Expression:
    """`node` in DuckDB's words, where sqlglot's own translation would answer differently from BigQuery's reference."""
    match node:
        case exp.FarmFingerprint():
            # Another number for a text, and the same one for the same text: nobody compares those of two warehouses. Null stays null.
            number = exp.func("MD5_NUMBER_LOWER", *node.expressions)
            return exp.cast(exp.BitwiseRightShift(this=number, expression=exp.Literal.number(1)), "BIGINT")
        case exp.UnixSeconds():
            # Rounded down (sqlglot rounds to the nearest), so that an event's own second never holds later ones.
            return exp.cast(
                exp.func(
                    "FLOOR", exp.Div(this=exp.func("EPOCH_US", node.this), expression=exp.Literal.number(1000000))
                ),
                "BIGINT",
            )
        case exp.TimestampDiff():
            # Whole intervals between the two (sqlglot counts the boundaries crossed).
            unit = exp.Literal.string(node.args["unit"].name.lower() if node.args.get("unit") else "second")
            return exp.Anonymous(this="DATE_SUB", expressions=[unit, node.expression, node.this])
        case exp.Extract() if node.name.upper() == "DAYOFWEEK":
            # Sunday is 1 (DuckDB says 0).
            return exp.Paren(this=exp.Add(this=node.copy(), expression=exp.Literal.number(1)))
        case _:
            return node


@lru_cache(maxsize=256)
def _translated(sql: str) -> tuple[str, tuple[str, ...]]:
    """`sql` in DuckDB's dialect, and the declared tables that it names."""
    try:
        [statement] = sqlglot.parse(sql, read="bigquery")
    except (sqlglot.errors.SqlglotError, ValueError) as error:
        raise Misconfigured(f"not one statement of BigQuery's SQL: {error}", reason="bad_sql") from error
    if not isinstance(statement, exp.Query):
        raise Misconfigured("the warehouse runs SELECT only", reason="bad_sql")
    made = {cte.alias for cte in statement.find_all(exp.CTE)}
    named = {table.name for table in statement.find_all(exp.Table)} - made
    try:
        exact = statement.transform(_exact)
        return exact.sql(dialect="duckdb", unsupported_level=sqlglot.ErrorLevel.RAISE), tuple(sorted(named))
    except sqlglot.errors.SqlglotError as error:
        raise Misconfigured(f"not SQL that DuckDB can run too: {error}", reason="bad_sql") from error


def _rows(result: duckdb.DuckDBPyRelation) -> list[dict[str, Any]]:
    """Python rows; an instant is an aware datetime in UTC, wherever it is."""
    names, types = result.columns, [str(kind) for kind in result.types]
    # DuckDB hands out instants with pytz only; without zone, in a session that is in UTC, they are the same instants.
    plain = ", ".join(
        f'CAST("{name}" AS {kind.replace("TIMESTAMP WITH TIME ZONE", "TIMESTAMP")}) AS "{name}"'
        for name, kind in zip(names, types, strict=True)
    )
    aware = ["TIMESTAMP WITH TIME ZONE" in kind for kind in types]
    return [
        {name: _aware(value) if is_aware else value for name, value, is_aware in zip(names, row, aware, strict=True)}
        for row in result.project(plain).fetchall()
    ]


def _told(value: Any) -> Any:
    """An instant as rows have it."""
    return utc_text(value) if isinstance(value, datetime) else value


def _aware(value: Any) -> Any:
    match value:
        case datetime():
            return value.replace(tzinfo=UTC)
        case list():
            return [_aware(item) for item in value]
        case dict():
            return {key: _aware(item) for key, item in value.items()}
        case _:
            return value
