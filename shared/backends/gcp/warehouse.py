"""BigQuery."""

import hashlib
import io
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final

import msgspec
from google.api_core import exceptions
from google.api_core.client_options import ClientOptions
from google.api_core.retry import Retry
from google.auth.credentials import AnonymousCredentials
from google.auth.exceptions import DefaultCredentialsError, GoogleAuthError
from google.cloud import bigquery

from shared.backends.once import Once
from shared.backends.tables import Column, columns, declared, members_of, names, of_the_day
from shared.domain.errors import Misconfigured, Rejected, Unavailable
from shared.flows.ports import Bound

_TYPES: Final = {bool: "BOOL", int: "INT64", float: "FLOAT64", str: "STRING"}
_PATIENCE: Final = 300.0  # a training query may run for minutes; nobody waits for an answer
_DERIVING: Final = 1800.0  # nobody waits for all of it: whoever asks again finds the job
_ATTEMPTS: Final = 5
_TOO_DEAR: Final = "bytesBilledLimitExceeded"  # cloud.google.com/bigquery/docs/best-practices-costs#limit_query_costs_by_restricting_the_number_of_bytes_billed
_AGAIN: Final = Retry(initial=0.5, maximum=10.0, timeout=60.0)


class BigQueryWarehouse:
    """`shared.flows.ports.Warehouse`; tables named plainly are those of `dataset`."""

    def __init__(self, project: str, dataset: str, emulator: str | None, patience: float = _PATIENCE) -> None:
        self._project = project
        self._patience = patience
        self._dataset = f"{project}.{dataset}"
        self._emulator = emulator
        self._client: Once[Any] = Once(self._connect)

    def _connect(self) -> Any:
        if self._emulator:
            origin = self._emulator if "://" in self._emulator else f"http://{self._emulator}"
            nobody = AnonymousCredentials()  # type: ignore[no-untyped-call]
            return bigquery.Client(self._project, nobody, client_options=ClientOptions(api_endpoint=origin))
        try:
            return bigquery.Client(self._project)
        except DefaultCredentialsError as error:
            raise Misconfigured(
                "no Google credentials: run as a service account, or `gcloud auth application-default login`",
                reason="missing_credentials",
            ) from error

    def query(
        self,
        sql: str,
        parameters: Mapping[str, Any] | None = None,
        *,
        once: bool = False,
        bound: Bound | None = None,
    ) -> list[dict[str, Any]]:
        patience = bound.seconds if bound else self._patience
        # BigQuery stops it by itself too: whoever asks may be killed while it waits, and would not cancel.
        config = self._config(parameters, patience, bound.bytes if bound else None)
        return self._run(sql, config, _named(sql, parameters or {}) if once else None, patience, cancel=True)

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
        merge = _deriving(table, at, sql)
        asked = {**(parameters or {}), "day_begins": day, "day_ends": day + timedelta(days=1)}
        name = _named(merge, {**asked, "as_of": as_of})
        self._run(merge, self._config(asked, _DERIVING, None), name, self._patience, cancel=False)

    def _config(self, parameters: Mapping[str, Any] | None, seconds: float, most: int | None) -> Any:
        return bigquery.QueryJobConfig(
            default_dataset=self._dataset,
            query_parameters=[_parameter(name, value) for name, value in (parameters or {}).items()],
            job_timeout_ms=int(seconds * 1000),
            maximum_bytes_billed=most,
        )

    def _run(self, sql: str, config: Any, name: str | None, patience: float, *, cancel: bool) -> list[dict[str, Any]]:
        try:
            job = self._begun(sql, config, name)
            try:
                return [dict(row) for row in job.result(timeout=patience, retry=_AGAIN, job_retry=None)]
            except _TROUBLE:
                if cancel:
                    _cancel(job)
                raise
        except _TROUBLE as error:
            if any(told.get("reason") == _TOO_DEAR for told in getattr(error, "errors", ())):
                raise Rejected(
                    "this would read more than one question may: ask of less time", reason="too_dear"
                ) from error
            if not isinstance(error, exceptions.BadRequest | exceptions.NotFound):
                raise Unavailable(f"BigQuery does not answer: {type(error).__name__}", reason="bigquery") from error
            raise Misconfigured(f"the warehouse refuses this SQL: {error.message}", reason="bad_sql") from error

    def _begun(self, sql: str, config: Any, name: str | None) -> Any:
        """A job of this SQL. With a name: the one that has it already, if there is one that did not fail; a job's id is
        taken for good, so that the one after a failure has another."""
        client = self._client()
        if name is None:
            return client.query(sql, job_config=config, retry=_AGAIN, job_retry=None)
        for attempt in range(_ATTEMPTS):
            job_id = f"{name}-{attempt}"
            try:
                return client.query(sql, job_config=config, job_id=job_id, retry=_AGAIN, job_retry=None)
            except exceptions.Conflict:
                # Jobs outside the multi-regions are found by their location only.
                location = client.get_dataset(self._dataset, retry=_AGAIN).location
                job = client.get_job(job_id, location=location, retry=_AGAIN)
                if not job.error_result:
                    return job
        raise Unavailable(f"this query has failed {_ATTEMPTS} times", reason="bigquery")

    def append(self, table: str, rows: Sequence[Mapping[str, Any]]) -> None:
        of = columns(table)
        if not rows:
            return
        data = b"".join(msgspec.json.encode(declared(row, of)) + b"\n" for row in rows)
        # A load, not streamed rows: all of them at once or none, and readable when this returns. Without a size it is
        # a resumable upload: the multipart one that the client makes otherwise is refused by bqemulator.
        config = bigquery.LoadJobConfig(source_format="NEWLINE_DELIMITED_JSON", write_disposition="WRITE_APPEND")
        try:
            job = self._client().load_table_from_file(
                io.BytesIO(data), f"{self._dataset}.{table}", job_config=config, num_retries=3
            )
            job.result(timeout=_PATIENCE)
        except _TROUBLE as error:
            raise Unavailable(f"BigQuery does not take rows: {type(error).__name__}", reason="bigquery") from error

    def blank(
        self,
        table: str,
        members: Sequence[str],
        at: str,
        since: datetime,
        until: datetime,
        only: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        where = f"{at} >= @since AND {at} < @until"
        texts: dict[str, str] = {}
        for column, values in (only or {}).items():
            named = {f"{column}{number}": value for number, value in enumerate(values)}
            where += f" AND {column} IN ({', '.join(f'@{name}' for name in named)})"
            texts |= named
        self.query(_blanking(table, members, where), {"since": since, "until": until, **texts})

    def ensure_tables(self) -> None:
        """Make the dataset and every declared table, for emulators; Terraform makes the real ones."""
        client = self._client()
        client.create_dataset(self._dataset, exists_ok=True)
        for table in names():
            schema = [bigquery.SchemaField.from_api_repr(msgspec.to_builtins(column)) for column in columns(table)]
            client.create_table(bigquery.Table(f"{self._dataset}.{table}", schema), exists_ok=True)


def _deriving(table: str, at: str, sql: str) -> str:
    """One MERGE that matches nothing: all rows of the day go and those of `sql` come, in one statement. A query's destination may be
    a partition as well, but of the emulator's none may."""
    names = [column.name for column in columns(table)]
    # NOT MATCHED BY SOURCE reads the partition alone: cloud.google.com/bigquery/docs/using-dml-with-partitioned-tables
    return f"""MERGE {table} AS kept USING ({of_the_day(table, at, sql)}) AS made ON FALSE
WHEN NOT MATCHED BY TARGET THEN INSERT ({", ".join(names)}) VALUES ({", ".join(f"made.{name}" for name in names)})
WHEN NOT MATCHED BY SOURCE AND kept.{at} >= @day_begins AND kept.{at} < @day_ends THEN DELETE"""  # noqa: S608 - names of our own declarations


def _blanking(table: str, members: Sequence[str], where: str) -> str:
    """One UPDATE: a record is written anew with the members that stay, for a member of a repeated one cannot be set."""
    named = members_of(table, members)
    sets = [
        f"{column.name} = {_without(column, named[column.name])}" for column in columns(table) if column.name in named
    ]
    return f"UPDATE {table} SET {', '.join(sets)} WHERE {where}"  # noqa: S608 - names of our own declarations


def _without(column: Column, gone: frozenset[str]) -> str:
    if not gone:
        return f"ARRAY<{column.type}>[]" if column.mode == "REPEATED" else "NULL"
    item = "one" if column.mode == "REPEATED" else column.name
    kept = ", ".join(
        f"CAST(NULL AS {field.type}) AS {field.name}" if field.name in gone else f"{item}.{field.name} AS {field.name}"
        for field in column.fields
    )
    if column.mode == "REPEATED":
        rows = f"UNNEST({column.name}) AS one WITH OFFSET AS place ORDER BY place"
        return f"ARRAY(SELECT AS STRUCT {kept} FROM {rows})"  # noqa: S608
    return f"IF({column.name} IS NULL, NULL, STRUCT({kept}))"


_TROUBLE: Final = (exceptions.GoogleAPICallError, exceptions.RetryError, GoogleAuthError, OSError, TimeoutError)


def _named(sql: str, parameters: Mapping[str, Any]) -> str:
    """By which the same question is known again, as part of a job's id."""
    asked = repr((sql, sorted(parameters.items())))
    return f"payin-{hashlib.sha256(asked.encode()).hexdigest()[:40]}"


def _cancel(job: Any) -> None:
    """Nobody waits for it any more. Where that cannot be said, its own timeout stops it."""
    with suppress(*_TROUBLE):
        job.cancel(retry=None, timeout=5)


def _parameter(name: str, value: Any) -> Any:
    if isinstance(value, datetime):
        return bigquery.ScalarQueryParameter(name, "TIMESTAMP", value)
    if isinstance(value, StrEnum):
        value = value.value  # a word of a closed list is a text
    return bigquery.ScalarQueryParameter(name, _TYPES[type(value)], value)
