"""A table that is stale or thin is told of; a quiet one and a young one are not."""

import json
import logging
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from shared.domain.codec import utc_text
from shared.flows.freshness import TABLES, Silence, Volume, silences, volumes
from shared.flows.monitor_model import monitor_model
from shared.flows.ports import Ports
from tests.builders import DAY, HOUR, MINUTE
from tests.local import published

NOON = datetime(2026, 11, 25, 12, 5, tzinfo=UTC)
MIDNIGHT = NOON.replace(hour=0, minute=0)


def tell(ports: Ports, table: str, begin: datetime, rows: int, over: timedelta = DAY) -> None:
    at = TABLES[table]
    ports.warehouse.append(table, [{at: utc_text(begin + over * number / rows)} for number in range(rows)])


def measured(ports: Ports, day: datetime, table: str, rows: float, revision: int = 1) -> None:
    row = {"row_id": f"{day:%Y-%m-%d}/table_rows/{table}", "day": utc_text(day), "measure": "table_rows"}
    at = utc_text(day + DAY + revision * HOUR)
    ports.warehouse.append("model_health", [{**row, "subject": table, "value": rows, "measured_at": at}])


def test_the_tables_are_those_of_the_topology() -> None:
    topology = json.loads((Path(__file__).parents[2] / "functions" / "topology.json").read_text())["tables"]
    watched_by_their_own = {"model_health", "payouts", "provider_traffic", "purchases", "readiness"}
    assert {name: of["partition"] for name, of in topology.items() if name not in watched_by_their_own} == TABLES


@pytest.mark.parametrize(
    ("before", "rows", "thin"),
    [
        ([1000, 1200, 900], 449, True),
        ([1000, 1200, 900], 450, False),
        ([1000, 1200], 0, False),  # too young to know
        ([1000, 1200, 90], 0, False),  # a weekday so quiet that nobody can tell
    ],
)
def test_thin_is_less_than_half_of_the_fewest_of_the_same_weekday(
    ports: Ports, before: list[int], rows: int, thin: bool
) -> None:
    for week, count in enumerate(before, 1):
        measured(ports, MIDNIGHT - week * 7 * DAY, "payment_events", count)
        measured(
            ports, MIDNIGHT - week * 7 * DAY, "payment_events", count + 7, revision=0
        )  # counted before, with fewer late ones
        measured(ports, MIDNIGHT - (week * 7 + 1) * DAY, "payment_events", 9)  # another weekday
    tell(ports, "payment_events", MIDNIGHT, rows or 1)
    found = {one.table: one for one in volumes(ports.warehouse, MIDNIGHT)}
    assert found["payment_events"].rows == (rows or 1)
    assert found["payment_events"].thin is thin
    assert found["deliveries"] == Volume(table="deliveries", rows=0, least=None)


@pytest.mark.parametrize(
    ("rows", "ago", "stale"),
    [
        (100_000, 59 * MINUTE, None),
        (100_000, 61 * MINUTE, HOUR),
        (480, 4 * HOUR, None),
        (480, 6 * HOUR, 5 * HOUR),
        (90, 11 * HOUR, None),  # nobody can tell
    ],
)
def test_stale_is_silence_for_a_hundred_gaps_of_yesterday_and_an_hour_at_least(
    ports: Ports, rows: int, ago: timedelta, stale: timedelta | None
) -> None:
    measured(ports, MIDNIGHT - DAY, "dispute_updates", rows)
    measured(ports, MIDNIGHT - 2 * DAY, "dispute_updates", 1_000_000)
    tell(ports, "dispute_updates", NOON - ago, 1)
    tell(ports, "dispute_updates", NOON + MINUTE, 1)  # of the future: somebody's clock is wrong
    expected = [Silence(table="dispute_updates", quiet=stale)] if stale else []
    assert list(silences(ports.warehouse, NOON)) == expected


def test_before_yesterday_is_counted_the_day_before_it_has_to_do(ports: Ports) -> None:
    measured(ports, MIDNIGHT - 2 * DAY, "deliveries", 100_000)
    assert [one.table for one in silences(ports.warehouse, MIDNIGHT + 3 * HOUR)] == ["deliveries"]
    measured(ports, MIDNIGHT - DAY, "deliveries", 50)
    assert list(silences(ports.warehouse, MIDNIGHT + 5 * HOUR)) == []


def test_somebody_is_called_and_a_row_says_why(ports: Ports, caplog: pytest.LogCaptureFixture) -> None:
    for week in range(1, 4):
        measured(ports, MIDNIGHT - DAY - week * 7 * DAY, "payment_events", 5000)
    measured(ports, MIDNIGHT - 2 * DAY, "payment_events", 5000)
    tell(ports, "payment_events", MIDNIGHT - DAY, 40)
    with caplog.at_level(logging.ERROR, "payin"):
        found = monitor_model(ports, MIDNIGHT + 4 * HOUR)
    rows = {(one.measure, one.subject): one for one in found if one.unusual}
    assert rows["table_rows", "payment_events"].low == 2500
    assert rows["table_stale", "payment_events"].value == 1.0
    assert {"table_thin", "table_stale"} <= {record.message for record in caplog.records}
    assert [message["measure"] for message in published(ports, "model-health")].count("table_rows") == 5
    # Between the hours nothing is read for it.
    assert monitor_model(ports, MIDNIGHT + 4 * HOUR + 15 * MINUTE) == []
