"""A night of training on as many rows as it takes at most, from the rows that the warehouse answered to the champion, its
card and its page: processor seconds, which no neighbour on the machine changes, beside the clock, and the memory.

What the warehouse takes to answer, and the way of the rows from it, is no part of it. ROWS=100000.
"""

import os
import resource
import tempfile
import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from shared.flows.ports import Bound, Warehouse
from shared.flows.train_model import COLUMNS, train_model
from shared.fraud.features import microseconds
from tests.local import local_ports

NOW = datetime(2026, 11, 1, tzinfo=UTC)
DAYS = 330
DAY_MICROSECONDS = 86_400_000_000


class Answered:
    """A warehouse that has its answer; what is added goes where it went before."""

    def __init__(self, rows: list[dict[str, Any]], behind: Warehouse) -> None:
        self._rows = rows
        self.append = behind.append
        self.blank = behind.blank
        self.derive = behind.derive

    def query(
        self, sql: str, parameters: Mapping[str, Any] | None = None, *, once: bool = False, bound: Bound | None = None
    ) -> list[dict[str, Any]]:
        if not once:
            return [{"payments": 10_000, "frauds": 100, "first": NOW - timedelta(days=DAYS + 30)}]
        return self._rows


def rows_of(genuine: int) -> list[dict[str, Any]]:
    """So many genuine payments and a tenth as many frauds, in order of time, with labels as late as in life."""
    chance = np.random.default_rng(1)
    payments = genuine + genuine // 10
    at = np.sort(microseconds(NOW) - (chance.random(payments) * DAYS * DAY_MICROSECONDS).astype(np.int64))
    fraud = chance.random(payments) < 1 / 11
    values = np.where(
        chance.random((payments, len(COLUMNS))) < 0.25, np.nan, chance.exponential(3, (payments, len(COLUMNS)))
    )
    values[fraud, :5] += 2
    known = at + (chance.gamma(2, 9, payments) * DAY_MICROSECONDS).astype(np.int64)
    is_known = fraud & (known <= microseconds(NOW))
    rows = []
    for index in range(payments):
        row: dict[str, Any] = {
            name: None if value != value else value for name, value in zip(COLUMNS, values[index].tolist(), strict=True)
        }
        of = {"event_id": f"stripe:a:{index}", "at_us": int(at[index]), "provider": "stripe"}
        told = {"fraud_known_at": int(known[index]), "fraud_source": "dispute"} if is_known[index] else {}
        rows.append({**row, "network": "visa", "country": "DE", "fraud_known_at": None, **told, **of})
    return rows


def main() -> None:
    rows = rows_of(int(os.environ.get("ROWS", "100000")))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    with tempfile.TemporaryDirectory() as folder:
        local = local_ports(Path(folder))
        ports = replace(local, warehouse=Answered(rows, local.warehouse))
        begun, worked = time.perf_counter(), time.process_time()
        report = train_model(ports, NOW)
        clock, processor = time.perf_counter() - begun, time.process_time() - worked
    assert report.promoted, report.objections
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(
        f"a night of {len(rows):,} rows: {processor:.0f} processor seconds on {os.cpu_count()} cores, {clock:.0f} s by the "
        f"clock, of the 540 s that the function has; {peak:.2f} GiB at most, {before:.2f} of it the rows as they come"
    )


if __name__ == "__main__":
    main()
