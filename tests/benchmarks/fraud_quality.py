"""How good our features and our training are on labeled data that others have published on.

Two data sets are read where they are beside the repository, and mapped to payment events as far as they fit:
- the Fraud Detection Handbook's simulated transactions: customer → customer, terminal → device. Protocol: train on
  2018-07-25 to 07-31, news of fraud after 7 days, test on 08-08 to 08-14, customers known to be compromised left out.
- FICO/UCSD 2009, task 2 (real): card surrogate → card, e-mail → customer and domain, three-digit zip code → address;
  its other columns go beside our features. Train on days 8 to 61, a week's gap, test on days 69 to 98.

`python -m tests.benchmarks fraud_quality`. Published figures: Handbook chapters 3 and 5 (XGBoost); for FICO a random
forest and a boosted forest on the raw columns, measured under the same split.
"""

import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from shared.domain.codec import encode_event
from shared.domain.events import AnyEvent, Card, PaymentStep
from shared.domain.money import Money
from shared.flows.ports import Ports
from shared.flows.train_model import COLUMNS
from shared.fraud.features import LONG_TAILED
from shared.fraud.point_in_time import point_in_time_sql
from shared.learning.data_set import Flags, Floats, Table, table
from shared.learning.evaluate import Quality, evaluate
from shared.learning.fit import fit
from shared.learning.request import TrainingRequest
from tests.builders import a_fraud_warning, a_payment_event
from tests.local import local_ports

DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data"
DAY = timedelta(days=1)
LABEL_DELAY = 7 * DAY
Row = dict[str, Any]


def main() -> None:
    for name, measure, published in (
        ("fdh_simulated", handbook, "XGBoost: AUC .862 AP .639; random forest: .867 .658"),
        ("fico_ucsd2009", fico, "raw columns, random forest: AUC .834 AP .426 recall@1% .445; boosted: .838 .399 .397"),
    ):
        file = DATA / name / "transactions.parquet"
        if not file.exists():
            print(f"{name}: skipped, its data is not beside the repository")
            continue
        started = time.monotonic()
        quality = measure(file)
        print(
            f"{name}: {quality.payments} payments, {quality.frauds} frauds, AUC {quality.roc_auc:.3f} "
            f"AP {quality.average_precision:.3f} recall@1% {quality.recall_at_1_percent_false:.3f} "
            f"(published: {published}) in {time.monotonic() - started:.0f} s"
        )


def handbook(file: Path) -> Quality:
    """The single split of chapter 3, on our features."""
    start, train_from, test_from = (datetime(2018, *day, tzinfo=UTC) for day in ((6, 18), (7, 25), (8, 8)))
    rows = [row for row in _rows(file) if start <= row["TX_DATETIME"].replace(tzinfo=UTC) < test_from + 7 * DAY]

    def events() -> Iterator[AnyEvent]:
        for row in rows:
            at = row["TX_DATETIME"].replace(tzinfo=UTC)
            yield from _payment(
                row["TRANSACTION_ID"],
                at,
                row["TX_AMOUNT"],
                bool(row["TX_FRAUD"]),
                customer_id=f"c{row['CUSTOMER_ID']}",
                device_id=f"t{row['TERMINAL_ID']}",
                email_hash=None,
                card=Card(last4="0000"),
            )

    whole = _computed(events(), start, test_from + 7 * DAY, train_from)
    customer = {row["TRANSACTION_ID"]: row["CUSTOMER_ID"] for row in rows}
    train, test = (
        _between(whole.at, train_from, train_from + 7 * DAY),
        _between(whole.at, test_from, test_from + 7 * DAY),
    )
    # Frauds of the training week and of the days whose news had come by the day of the payment.
    caught: dict[int, datetime] = {}
    for row in rows:
        at = row["TX_DATETIME"].replace(tzinfo=UTC)
        if row["TX_FRAUD"] and train_from <= at:
            known = max((at + 8 * DAY).replace(hour=0, minute=0, second=0), test_from)
            caught[row["CUSTOMER_ID"]] = min(caught.get(row["CUSTOMER_ID"], known), known)
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    known_by = [caught.get(customer[key]) for key in whole.keys]
    fresh = np.array(
        [
            known is None or (known - epoch) // timedelta(microseconds=1) > at
            for known, at in zip(known_by, whole.at, strict=True)
        ]
    )
    return _quality(whole.table, train, test & fresh)


def fico(file: Path) -> Quality:
    """Our features beside the raw columns; the split by days."""
    start = datetime(2009, 1, 1, tzinfo=UTC)
    rows = list(_rows(file))
    at_of = [start + row["day"] * DAY + timedelta(hours=row["hour1"], microseconds=n) for n, row in enumerate(rows)]

    def events() -> Iterator[AnyEvent]:
        for number, (row, at) in enumerate(zip(rows, at_of, strict=True)):
            email = str(row["custAttr2"])
            yield from _payment(
                number,
                at,
                row["amount"],
                bool(row["isFraud"]),
                card=Card(fingerprint=str(row["custAttr1"])),
                customer_id=email,
                email_hash=None,
                email_domain=email.partition("@")[2] or None,
                ip=f"zip {row['zip1']}",
                device_id=None,
            )

    whole = _computed(events(), start, start + 100 * DAY, start)
    raw_names = (
        "total",
        "hour1",
        "zip1",
        *(name for name in rows[0] if name.startswith(("field", "flag", "indicator"))),
    )
    raw = np.array([[float(rows[key][name]) for name in raw_names] for key in whole.keys])
    wide = Table(
        (*whole.table.columns, *raw_names),
        np.column_stack([whole.table.values, raw]),
        whole.table.fraud,
        whole.table.at,
        whole.table.weight,
    )
    train = _between(whole.at, start + 8 * DAY, start + 62 * DAY)
    return _quality(wide, train, _between(whole.at, start + 69 * DAY, start + 99 * DAY))


class _Computed(msgspec.Struct):
    """Point-in-time rows, in order of time, and the data set's own number of each."""

    table: Table
    keys: list[int]
    at: Any


def _payment(number: int, at: datetime, amount: float, fraud: bool, **who: Any) -> Iterator[AnyEvent]:
    nobody = {"ip": None, "email_domain": None, "billing_country": None}
    payment = a_payment_event(
        PaymentStep.AUTHORIZED,
        event_id=f"data:a:{number}",
        payment_id=str(number),
        occurred_at=at,
        amount=Money(round(amount * 100), "EUR"),
        **{**nobody, **who},
    )
    yield payment
    if fraud:
        yield a_fraud_warning(event_id=f"data:a:news_{number}", payment_id=str(number), occurred_at=at + LABEL_DELAY)


def _computed(events: Iterator[AnyEvent], since: datetime, until: datetime, keep_from: datetime) -> _Computed:
    with tempfile.TemporaryDirectory() as folder:
        ports: Ports = local_ports(Path(folder))
        while batch := [msgspec.json.decode(encode_event(event)) for event in islice(events, 50_000)]:
            ports.warehouse.append("payment_events", batch)
        sql = f"SELECT * FROM ({point_in_time_sql()}) AS known WHERE at_us >= @keep_from ORDER BY at_us, event_id"
        keep = int((keep_from - datetime(1970, 1, 1, tzinfo=UTC)) / timedelta(microseconds=1))
        # News of the last frauds comes after the last payment: it is their label, and no feature sees it.
        rows = ports.warehouse.query(sql, {"since": since, "as_of": until + LABEL_DELAY + DAY, "keep_from": keep})
    found = table(rows, COLUMNS, 1.0)
    return _Computed(found, [int(row["payment_id"]) for row in rows], found.at)


def _between(at: Any, start: datetime, end: datetime) -> Flags:
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    low, high = ((instant - epoch) // timedelta(microseconds=1) for instant in (start, end))
    inside: Flags = (at >= low) & (at < high)
    return inside


def _quality(whole: Table, train: Flags, test: Flags) -> Quality:
    fitted = fit(whole.part(train), LONG_TAILED, TrainingRequest())
    held_out = whole.part(test)
    score: Floats = fitted.probability(held_out.values)
    return evaluate(score, held_out.fraud, held_out.weight, {})


def _rows(file: Path) -> Iterator[Row]:
    import pyarrow.parquet as parquet

    for batch in parquet.ParquetFile(file).iter_batches(50_000):
        yield from batch.to_pylist()
