"""Somebody's labeled payments as our events, and our features of them, computed by the product's own SQL.

A mapping (TOML, `mappings/*.toml`) says which column of a data set is which member of a payment event:

    id = "TRANSACTION_ID"        # optional: the row's own number
    at = "TX_DATETIME"           # a timestamp, taken for UTC, or { start = 2009-01-01, day = "day", hour = "hour1" }
    amount = "TX_AMOUNT"         # in major units of `currency`, EUR where nothing is said
    fraud = "TX_FRAUD"
    compromised = "CUSTOMER_ID"  # optional: whose known frauds leave the test, and what CP@100 ranks
    beside = ["field1"]          # optional: numbers that go to the model beside our features

    [members]                    # of `PaymentChanged`, `card.` before those of its card
    device_id = "TERMINAL_ID"
    email_domain = { column = "email", after = "@" }
"""

import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from shared.domain.codec import encode_event
from shared.domain.events import AnyEvent, Card, PaymentStep
from shared.domain.instants import microseconds
from shared.domain.money import Money, exponent
from shared.flows.train_model import COLUMNS
from shared.fraud.point_in_time import point_in_time_sql
from shared.learning.data_set import Flags, Floats, Instants, Table
from tests.builders import a_fraud_warning, a_payment_event
from tests.local import local_ports

DAY = timedelta(days=1)
Row = dict[str, Any]
Names = NDArray[np.str_]


class Text(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Of `column` what stands after the first `after`, with `before` put before it."""

    column: str
    after: str | None = None
    before: str = ""

    def of(self, row: Row) -> str | None:
        value = row[self.column]
        text = "" if value is None else str(value)
        if self.after is not None:
            text = text.partition(self.after)[2]
        return f"{self.before}{text}" if text else None


class Days(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Whole days after `start`, and the hour: rows of one hour keep the order in which they stand."""

    start: date
    day: str
    hour: str


class DataSet(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a mapping says."""

    at: str | Days
    amount: str
    fraud: str
    members: dict[str, str | Text]
    id: str | None = None
    currency: str = "EUR"
    compromised: str | None = None
    beside: list[str] = []

    def instant(self, number: int, row: Row) -> datetime:
        """Of row `number` of the file."""
        if isinstance(self.at, str):
            at: datetime = row[self.at]
            return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
        midnight = datetime.combine(self.at.start, time(tzinfo=UTC))
        return midnight + timedelta(days=int(row[self.at.day]), hours=int(row[self.at.hour]), microseconds=number)

    def payment(self, number: int, row: Row) -> AnyEvent:
        """The attempt that row `number` tells of; what the data set does not say, the event does not say."""
        told: dict[str, Any] = dict.fromkeys(_UNTOLD)
        card: dict[str, str | None] = {"last4": "0000"}
        for member, column in self.members.items():
            value = (column if isinstance(column, Text) else Text(column)).of(row)
            if member.startswith("card."):
                card[member.removeprefix("card.")] = value
            else:
                told[member] = value
        minor = round(float(row[self.amount]) * 10 ** exponent(self.currency))
        return a_payment_event(
            PaymentStep.AUTHORIZED,
            event_id=f"data:a:{number}",
            payment_id=str(number),
            occurred_at=self.instant(number, row),
            amount=Money(minor, self.currency),
            card=Card(**card),
            **told,
        )


_UNTOLD = ("customer_id", "device_id", "ip", "email_hash", "email_domain", "billing_country")


@dataclass(frozen=True, slots=True)
class Labeled:
    """table: our features and what stands beside them, in order of time. number: of each row in the file. who: whose
    known frauds leave the test; empty where the mapping names nobody."""

    table: Table
    number: Instants
    who: Names

    def part(self, rows: Flags) -> "Labeled":
        return Labeled(self.table.part(rows), self.number[rows], self.who[rows])

    def between(self, start: datetime, end: datetime) -> Flags:
        inside: Flags = (self.table.at >= microseconds(start)) & (self.table.at < microseconds(end))
        return inside


def read_mapping(file: Path) -> DataSet:
    return msgspec.toml.decode(file.read_bytes(), type=DataSet)


def labeled(
    file: Path, data: DataSet, delay: timedelta, since: datetime, keep_from: datetime, until: datetime
) -> Labeled:
    """Rows of `file` from `keep_from` on and before `until`, with our features of them, history from `since` on.

    Fraud is told `delay` after the payment, and no feature knows it sooner; the label knows it at once.
    """
    fraud: dict[int, bool] = {}
    who: dict[int, str] = {}
    beside: dict[int, list[float]] = {}

    def events() -> Iterator[AnyEvent]:
        for number, row in enumerate(_rows(file)):
            at = data.instant(number, row)
            if not since <= at < until:
                continue
            yield data.payment(number, row)
            if row[data.fraud]:
                yield a_fraud_warning(event_id=f"data:a:news_{number}", payment_id=str(number), occurred_at=at + delay)
            if at >= keep_from:
                fraud[number] = bool(row[data.fraud])
                who[number] = str(row[data.compromised]) if data.compromised else ""
                beside[number] = [float(row[name]) for name in data.beside]

    number, at, values = computed(events(), COLUMNS, since, keep_from, until + delay + DAY)
    numbers = [int(one) for one in number]
    if data.beside:
        values = np.column_stack([values, np.array([beside[one] for one in numbers])])
    truth = np.array([fraud[one] for one in numbers], dtype=np.bool_)
    table = Table((*COLUMNS, *data.beside), values, truth, at, np.ones(len(at)))
    return Labeled(table, np.array(numbers, dtype=np.int64), np.array([who[one] for one in numbers]))


def computed(
    events: Iterable[AnyEvent], columns: Sequence[str], since: datetime, keep_from: datetime, as_of: datetime
) -> tuple[list[str], Instants, Floats]:
    """Payment ids, instants and features of the attempts from `keep_from` on, in order of time."""
    vector = ", ".join(f"COALESCE(CAST({name} AS FLOAT64), CAST('nan' AS FLOAT64))" for name in columns)
    sql = f"""SELECT payment_id, at_us, [{vector}] AS vector FROM ({point_in_time_sql()}) AS known
WHERE at_us >= @keep_from ORDER BY at_us, event_id"""
    left = iter(events)
    with tempfile.TemporaryDirectory() as folder:
        ports = local_ports(Path(folder))
        while batch := [msgspec.json.decode(encode_event(event)) for event in islice(left, 50_000)]:
            ports.warehouse.append("payment_events", batch)
        parameters: Mapping[str, Any] = {"since": since, "as_of": as_of, "keep_from": microseconds(keep_from)}
        rows = ports.warehouse.query(sql, parameters)
    values = np.array([row.pop("vector") for row in rows], dtype=np.float64).reshape(len(rows), len(columns))
    at = np.array([row["at_us"] for row in rows], dtype=np.int64)
    return [row["payment_id"] for row in rows], at, values


def _rows(file: Path) -> Iterator[Row]:
    import pyarrow.parquet as parquet

    for batch in parquet.ParquetFile(file).iter_batches(50_000):
        yield from batch.to_pylist()
