"""Are the tables that the marts and the models are made of fresh, and as full as they were? Views are as fresh as what they read.

Once a day the rows of the day before are counted (`table_rows`): a table is thin where they are less than half of the fewest of the same
weekday in the weeks before, of which `LEAST_WEEKS` are known and each had `LEAST_ROWS`. Once an hour a table is stale
(`table_stale`) where nothing has happened for a hundred times the usual gap between two rows of yesterday, and for an hour at
least: of a table that gets 200 rows a second that is an hour, of one that gets 500 a day five. Where it would be longer than
`LONGEST`, nobody could tell silence from a quiet day, and the daily count has to do.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from shared.flows.ports import Warehouse

TABLES: Mapping[str, str] = {
    "deliveries": "received_at",
    "payment_events": "occurred_at",
    "fraud_decisions": "occurred_at",
    "fraud_labels": "known_at",
    "dispute_updates": "occurred_at",
}
"""Each with its partition's column. `model_health` is not among them, for what it holds are these counts; nor `provider_traffic` and
`payouts`, which a job each writes, and `purchases` and `readiness`, which one derives: that one stands still is told of the job."""

DAY = timedelta(days=1)
WEEKS = 5
LEAST_WEEKS = 3
LEAST_ROWS = 100
GAPS = 100
SHORTEST, LONGEST = timedelta(hours=1), timedelta(hours=20)

# Nothing but the partition's column is read: eight bytes a row.
ROWS_SQL = "\nUNION ALL ".join(
    f"SELECT '{table}' AS name, COUNT(*) AS counted FROM {table} WHERE {of} >= @since AND {of} < @until"  # noqa: S608
    for table, of in TABLES.items()
)
SINCE_SQL = "\nUNION ALL ".join(
    f"SELECT '{table}' AS name, COUNT(*) AS counted FROM {table} WHERE {of} >= @{table} AND {of} < @until"  # noqa: S608
    for table, of in TABLES.items()
)
COUNTED_SQL = f"""SELECT subject, value FROM model_health
WHERE day IN ({", ".join(f"@week_{week}" for week in range(1, WEEKS + 1))}) AND measure = 'table_rows'
QUALIFY ROW_NUMBER() OVER (PARTITION BY row_id ORDER BY measured_at DESC) = 1"""  # noqa: S608 - constants of ours
YESTERDAY_SQL = """SELECT subject, value FROM model_health WHERE day = @day AND measure = 'table_rows'
QUALIFY ROW_NUMBER() OVER (PARTITION BY row_id ORDER BY measured_at DESC) = 1"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Volume:
    """rows: of the day. least: the fewest of the same weekday of the weeks before; None while too few are known, or they had
    too few rows to say."""

    table: str
    rows: int
    least: int | None

    @property
    def thin(self) -> bool:
        return self.least is not None and self.rows < self.least / 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Silence:
    """Nothing happened in `table` for `quiet`, in which of yesterday's rows a hundred would have come."""

    table: str
    quiet: timedelta

    @property
    def hours(self) -> float:
        return round(self.quiet / timedelta(hours=1), 1)


def volumes(warehouse: Warehouse, day: datetime) -> Sequence[Volume]:
    """Of each of TABLES, on the day that begins at `day`."""
    weeks = {f"week_{week}": day - week * 7 * DAY for week in range(1, WEEKS + 1)}
    before: dict[str, list[int]] = {}
    for row in warehouse.query(COUNTED_SQL, weeks):
        before[row["subject"]] = [*before.get(row["subject"], ()), int(row["value"])]
    counted = {
        row["name"]: int(row["counted"]) for row in warehouse.query(ROWS_SQL, {"since": day, "until": day + DAY})
    }
    return [Volume(table=table, rows=counted[table], least=_least(before.get(table, ()))) for table in TABLES]


def _least(before: Sequence[int]) -> int | None:
    return min(before) if len(before) >= LEAST_WEEKS and min(before) >= LEAST_ROWS else None


def silences(warehouse: Warehouse, now: datetime) -> Iterator[Silence]:
    """Those of TABLES that are stale at `now`, by what was counted of the newest day that was."""
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    known: dict[str, int] = {}
    # Until yesterday is counted, in the morning, the day before it has to do.
    for days in (2, 1):
        for row in warehouse.query(YESTERDAY_SQL, {"day": midnight - days * DAY}):
            known[row["subject"]] = int(row["value"])
    quiet = {
        table: max(SHORTEST, GAPS * DAY / rows) for table in TABLES if (rows := known.get(table, 0)) and rows > GAPS
    }
    quiet = {table: one for table, one in quiet.items() if one <= LONGEST}
    if not quiet:
        return
    # Of a table that nobody can be sure of nothing is read.
    asked = {table: now - quiet[table] if table in quiet else now for table in TABLES}
    for row in warehouse.query(SINCE_SQL, {**asked, "until": now}):
        if row["name"] in quiet and not row["counted"]:
            yield Silence(table=row["name"], quiet=quiet[row["name"]])
