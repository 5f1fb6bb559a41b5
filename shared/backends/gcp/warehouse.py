"""BigQuery."""

import io
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import msgspec
from google.api_core import exceptions
from google.api_core.client_options import ClientOptions
from google.api_core.retry import Retry
from google.auth.credentials import AnonymousCredentials
from google.auth.exceptions import DefaultCredentialsError, GoogleAuthError
from google.cloud import bigquery

from shared.backends.once import Once
from shared.backends.tables import columns, declared, names
from shared.domain.errors import Misconfigured, Unavailable

_TYPES: Final = {bool: "BOOL", int: "INT64", float: "FLOAT64", str: "STRING"}
_PATIENCE: Final = 300.0  # a training query may run for minutes; nobody waits for an answer
_AGAIN: Final = Retry(initial=0.5, maximum=10.0, timeout=60.0)


class BigQueryWarehouse:
    """`shared.flows.ports.Warehouse`; tables named plainly are those of `dataset`."""

    def __init__(self, project: str, dataset: str, emulator: str | None) -> None:
        self._project = project
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

    def query(self, sql: str, parameters: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
        config = bigquery.QueryJobConfig(
            default_dataset=self._dataset,
            query_parameters=[_parameter(name, value) for name, value in (parameters or {}).items()],
        )
        try:
            job = self._client().query(sql, job_config=config, retry=_AGAIN, job_retry=None)
            return [dict(row) for row in job.result(timeout=_PATIENCE)]
        except (exceptions.BadRequest, exceptions.NotFound) as error:
            raise Misconfigured(f"the warehouse refuses this SQL: {error.message}", reason="bad_sql") from error
        except _TROUBLE as error:
            raise Unavailable(f"BigQuery does not answer: {type(error).__name__}", reason="bigquery") from error

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

    def ensure_tables(self) -> None:
        """Make the dataset and every declared table, for emulators; Terraform makes the real ones."""
        client = self._client()
        client.create_dataset(self._dataset, exists_ok=True)
        for table in names():
            schema = [bigquery.SchemaField.from_api_repr(msgspec.to_builtins(column)) for column in columns(table)]
            client.create_table(bigquery.Table(f"{self._dataset}.{table}", schema), exists_ok=True)


_TROUBLE: Final = (exceptions.GoogleAPICallError, exceptions.RetryError, GoogleAuthError, OSError, TimeoutError)


def _parameter(name: str, value: Any) -> Any:
    if isinstance(value, datetime):
        return bigquery.ScalarQueryParameter(name, "TIMESTAMP", value)
    return bigquery.ScalarQueryParameter(name, _TYPES[type(value)], value)
