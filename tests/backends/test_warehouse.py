"""One SQL, one answer: DuckDB behind sqlglot and bqemulator answer as BigQuery's reference says."""

import base64
import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from shared.backends import tables
from shared.backends.local.warehouse import LocalWarehouse
from shared.domain.codec import encode_event, utc_text
from shared.domain.errors import Misconfigured
from shared.domain.events import AnyEvent, PaymentStep
from shared.flows.backtest import COUNT_SQL
from shared.flows.monitor_model import BEFORE_SQL, CANARY_SQL, RATES_SQL, SHADOW_SQL, VECTORS_SQL
from shared.flows.ports import Ports, Warehouse
from shared.flows.replay_deliveries import STORED_SQL, TOLD_SQL, event_in
from shared.flows.skew import Skew, audit
from shared.fraud.attacks import NEWCOMERS_SQL
from shared.fraud.features import NAMES, SCHEMA_VERSION
from shared.fraud.point_in_time import served_sql
from shared.learning.data_set import labeled_sql, named_sql
from tests.backends import declared
from tests.builders import a_payment_event
from tests.fraud.test_point_in_time import served_on
from tests.local import local_ports

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def payment(number: int, **members: Any) -> dict[str, Any]:
    """Payment e<number>, `number` minutes after noon and 0.7 s, of `number` euros, by one of two cards."""
    return {
        "kind": "payment",
        "event_id": f"e{number}",
        "occurred_at": utc_text(NOON + timedelta(minutes=number, seconds=0.7)),
        "amount": {"minor": number * 100, "currency": "EUR"},
        "card": {"fingerprint": f"card{number % 2}", "country": None},
        "aliases": [f"alias{number}", "common"],
        "step": "authorized",
        **members,
    }


@pytest.fixture(scope="module")
def warehouse(warehouses: Ports) -> Warehouse:
    fill(warehouses.warehouse)
    return warehouses.warehouse


def fill(found: Warehouse) -> None:
    """Six payments, the third told twice, one dispute, and a delivery."""
    found.append("payment_events", [payment(number) for number in range(6)])
    found.append(
        "payment_events",
        [
            payment(3, delivery_id="again"),
            {
                "kind": "dispute",
                "event_id": "d1",
                "occurred_at": "2026-03-05T23:59:59.999999Z",
                "payment_id": None,
                "amount": None,
                "final": False,
                "nobody_declared_this": {"at": "all"},
                "moved": {"minor": -5, "currency": "EUR", "nor": "this"},
            },
        ],
    )
    body = base64.b64encode(b"\x00\xff{}").decode()
    found.append("deliveries", [{"delivery_id": "x", "body": body, "received_at": utc_text(NOON), "key_ids": ["k1"]}])
    found.append("deliveries", [])


def at(minutes: float, seconds: float = 0.7) -> datetime:
    return NOON + timedelta(minutes=minutes, seconds=seconds)


QUERIES: list[tuple[str, str, list[dict[str, Any]]]] = [
    (
        "columns come back as they were written",
        "SELECT event_id, occurred_at, amount, aliases, card.fingerprint, final, step FROM payment_events"
        " WHERE event_id = 'e1'",
        [
            {
                "event_id": "e1",
                "occurred_at": at(1),
                "amount": {"minor": 100, "currency": "EUR"},
                "aliases": ["alias1", "common"],
                "fingerprint": "card1",
                "final": None,
                "step": "authorized",
            }
        ],
    ),
    (
        "absent members are null, and empty where repeated",
        "SELECT payment_id, aliases, amount, final, moved.minor AS moved, occurred_at FROM payment_events"
        " WHERE kind = 'dispute'",
        [
            {
                "payment_id": None,
                "aliases": [],
                "amount": None,
                "final": False,
                "moved": -5,
                "occurred_at": datetime(2026, 3, 5, 23, 59, 59, 999999, tzinfo=UTC),
            }
        ],
    ),
    ("a table without rows has none", "SELECT COUNT(*) AS n FROM fraud_decisions", [{"n": 0}]),
    (
        "counts, distinct counts, sums and averages",
        "SELECT COUNT(*) AS n, COUNT(DISTINCT event_id) AS events, SUM(amount.minor) AS minor,"
        " AVG(amount.minor) AS mean, COUNTIF(amount.minor >= @least) AS large, COUNT(payment_id) AS known"
        " FROM payment_events",
        [{"n": 8, "events": 7, "minor": 1800, "mean": 1800 / 7, "large": 4, "known": 0}],
    ),
    (
        "QUALIFY keeps one of each event",
        "SELECT event_id, delivery_id FROM payment_events WHERE kind = 'payment'"
        " QUALIFY ROW_NUMBER() OVER (PARTITION BY event_id ORDER BY delivery_id DESC) = 1 ORDER BY event_id LIMIT 2 OFFSET 3",
        [{"event_id": "e3", "delivery_id": "again"}, {"event_id": "e4", "delivery_id": None}],
    ),
    (
        "a window over a range of seconds counts what came strictly before",
        "SELECT event_id, COUNT(*) OVER (PARTITION BY card.fingerprint ORDER BY UNIX_SECONDS(occurred_at)"
        " RANGE BETWEEN 180 PRECEDING AND 1 PRECEDING) AS n FROM payment_events"
        " WHERE kind = 'payment' AND delivery_id IS NULL ORDER BY event_id",
        [{"event_id": f"e{n}", "n": 0 if n < 2 else 1} for n in range(6)],
    ),
    (
        "windows over rows, and values of the row before",
        "SELECT event_id, SUM(amount.minor) OVER (ORDER BY occurred_at ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) AS two,"
        " LAG(amount.minor) OVER (ORDER BY occurred_at) AS before FROM payment_events"
        " WHERE kind = 'payment' AND delivery_id IS NULL ORDER BY occurred_at LIMIT 3",
        [
            {"event_id": "e0", "two": 0, "before": None},
            {"event_id": "e1", "two": 100, "before": 0},
            {"event_id": "e2", "two": 300, "before": 100},
        ],
    ),
    (
        "UNNEST of a column and of a list of values",
        "SELECT alias, COUNT(*) AS n FROM payment_events, UNNEST(aliases) AS alias"
        " WHERE event_id IN UNNEST(['e1', 'e2']) GROUP BY alias ORDER BY alias",
        [{"alias": "alias1", "n": 1}, {"alias": "alias2", "n": 1}, {"alias": "common", "n": 2}],
    ),
    (
        "SAFE_DIVIDE by zero is null",
        "SELECT SAFE_DIVIDE(amount.minor, @zero) AS none, SAFE_DIVIDE(amount.minor, 8) AS eighth FROM payment_events"
        " WHERE event_id = 'e1'",
        [{"none": None, "eighth": 12.5}],
    ),
    (
        "instants: arithmetic, parameters, differences, truncation, parts",
        "SELECT TIMESTAMP_SUB(occurred_at, INTERVAL 90 SECOND) AS earlier,"
        " TIMESTAMP_ADD(occurred_at, INTERVAL @hours HOUR) AS later,"
        " TIMESTAMP_DIFF(occurred_at, @noon, SECOND) AS seconds,"
        " TIMESTAMP_TRUNC(occurred_at, DAY) AS day, DIV(UNIX_MICROS(occurred_at), 1000000) AS unix,"
        " UNIX_MICROS(occurred_at) AS micros, EXTRACT(HOUR FROM occurred_at) AS hour,"
        " EXTRACT(DAYOFWEEK FROM occurred_at) AS weekday, TIMESTAMP_SECONDS(60) AS early"
        " FROM payment_events WHERE event_id = 'e1' AND occurred_at > @noon",
        [
            {
                "earlier": at(-0.5),
                "later": at(181),
                "seconds": 60,
                "day": datetime(2026, 3, 1, tzinfo=UTC),
                "unix": int(NOON.timestamp()) + 60,
                "micros": int(NOON.timestamp()) * 1_000_000 + 60_700_000,
                "hour": 12,
                "weekday": 1,  # a Sunday
                "early": datetime(1970, 1, 1, 0, 1, tzinfo=UTC),
            }
        ],
    ),
    (
        "structs, lists of structs, conditions and nulls",
        "SELECT STRUCT(event_id AS id, occurred_at AS at) AS one, IF(amount.minor > 50, 'large', 'small') AS size,"
        " COALESCE(card.country, @country) AS country, ARRAY_LENGTH(aliases) AS aliases,"
        " CAST(amount.minor AS FLOAT64) / 3 AS third, DIV(amount.minor, 3) AS whole, MOD(amount.minor, 7) AS rest"
        " FROM payment_events WHERE event_id = 'e1'",
        [
            {
                "one": {"id": "e1", "at": at(1)},
                "size": "large",
                "country": "DE",
                "aliases": 2,
                "third": 100 / 3,
                "whole": 33,
                "rest": 2,
            }
        ],
    ),
    (
        "ascending order puts nulls first",
        "SELECT amount.minor AS minor FROM payment_events ORDER BY amount.minor LIMIT 2",
        [{"minor": None}, {"minor": 0}],
    ),
    (
        "a join with what was known before",
        "WITH payments AS (SELECT DISTINCT event_id, occurred_at, card.fingerprint AS card FROM payment_events"
        " WHERE kind = @kind)"
        " SELECT p.event_id, COUNT(q.event_id) AS earlier, MAX(q.occurred_at) AS last FROM payments AS p"
        " LEFT JOIN payments AS q ON q.card = p.card AND q.occurred_at < p.occurred_at"
        " GROUP BY p.event_id HAVING earlier > 1 ORDER BY p.event_id",
        [{"event_id": "e4", "earlier": 2, "last": at(2)}, {"event_id": "e5", "earlier": 2, "last": at(3)}],
    ),
]

# Where bqemulator 1.4.0 departs from BigQuery's reference: it keeps the base64 of loaded BYTES as it is, rounds
# UNIX_SECONDS to the nearest second, and counts the boundaries that TIMESTAMP_DIFF crosses, not whole intervals.
OURS: list[tuple[str, str, list[dict[str, Any]]]] = [
    (
        "bytes are bytes",
        "SELECT body, key_ids, received_at FROM deliveries",
        [{"body": b"\x00\xff{}", "key_ids": ["k1"], "received_at": NOON}],
    ),
    (
        "seconds are rounded down",
        "SELECT UNIX_SECONDS(occurred_at) AS unix, UNIX_SECONDS(TIMESTAMP '1969-12-31 23:59:59.5+00') AS before"
        " FROM payment_events WHERE event_id = 'e1'",
        [{"unix": int(NOON.timestamp()) + 60, "before": -1}],
    ),
    (
        "differences are whole intervals, in both directions",
        "SELECT TIMESTAMP_DIFF(TIMESTAMP '2026-03-03 11:00:00+00', occurred_at, DAY) AS days,"
        " TIMESTAMP_DIFF(occurred_at, TIMESTAMP '2026-03-03 11:00:00+00', DAY) AS back,"
        " TIMESTAMP_DIFF(occurred_at, TIMESTAMP '2026-03-01 11:59:59+00', HOUR) AS hours"
        " FROM payment_events WHERE event_id = 'e1'",
        [{"days": 1, "back": -1, "hours": 0}],
    ),
]

PARAMETERS = {"least": 300, "zero": 0, "hours": 3, "noon": NOON, "country": "DE", "kind": "payment"}


@pytest.mark.parametrize(("sql", "expected"), [pytest.param(sql, rows, id=name) for name, sql, rows in QUERIES])
def test_the_same_sql_has_the_same_answer(warehouse: Warehouse, sql: str, expected: list[dict[str, Any]]) -> None:
    used = {name: value for name, value in PARAMETERS.items() if f"@{name}" in sql}
    assert warehouse.query(sql, used) == expected


@pytest.mark.parametrize(("sql", "expected"), [pytest.param(sql, rows, id=name) for name, sql, rows in OURS])
def test_the_local_warehouse_answers_as_bigquery_where_its_emulator_does_not(
    tmp_path: Path, sql: str, expected: list[dict[str, Any]]
) -> None:
    warehouse = LocalWarehouse(tmp_path)
    fill(warehouse)
    assert warehouse.query(sql) == expected


@pytest.mark.parametrize(
    "value", [7, -1.5, 'it\'s "quoted"', True, datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)], ids=repr
)
def test_a_parameter_comes_back_as_it_is(warehouse: Warehouse, value: Any) -> None:
    assert warehouse.query("SELECT @value AS value", {"value": value}) == [{"value": value}]


def test_a_replay_finds_the_latest_word_on_each_delivery_in_order_and_page_by_page(warehouse: Warehouse) -> None:
    def row(delivery_id: str, minute: int, outcome: str, told: int) -> dict[str, Any]:
        at = {"received_at": utc_text(NOON + timedelta(minutes=minute)), "publish_time": utc_text(NOON + told * HOUR)}
        body = base64.b64encode(b"\x00\xff" + delivery_id.encode()).decode()
        return {"delivery_id": delivery_id, "provider": "replayed", "outcome": outcome, "body": body, **at}

    rows = [
        row("b", 1, "unparsed", 1),
        row("b", 1, "accepted", 2),
        row("c", 1, "unparsed", 1),
        row("a", 2, "unparsed", 1),
    ]
    warehouse.append("deliveries", [*rows, row("d", 3, "ignored", 1), row("e", 60, "unparsed", 1)])
    asked = {"provider": "replayed", "since": NOON, "until": NOON + HOUR, "after": "", "ignored": False, "page": 2}
    asked |= dict.fromkeys(("delivery_id", "outcome", "type"), "")
    found = warehouse.query(STORED_SQL, asked)
    assert [one["delivery_id"] for one in found] == ["c", "a"]
    assert found[0]["received_at"] == NOON + timedelta(minutes=1)
    assert (found[0]["key_ids"], found[0]["unsigned"], found[0]["query"]) == ([], [], None)
    onwards = {"since": found[-1]["received_at"], "after": found[-1]["delivery_id"]}
    assert [one["delivery_id"] for one in warehouse.query(STORED_SQL, {**asked, **onwards, "ignored": True})] == ["d"]


def test_a_replay_of_events_finds_each_once_by_when_it_was_heard(warehouse: Warehouse) -> None:
    def heard(number: int, minute: int) -> dict[str, Any]:
        event = replace(
            a_payment_event(PaymentStep.CAPTURED), provider="retold", event_id=f"retold:main:{number}", occurred_at=NOON
        )
        row: dict[str, Any] = json.loads(encode_event(event, NOON + timedelta(minutes=minute)))
        return row

    events = [heard(number, minute) for number, minute in ((2, 1), (1, 1), (3, 2), (3, 5), (4, 60))]
    warehouse.append("payment_events", [one | {"publish_time": utc_text(NOON + HOUR)} for one in events])
    asked = {"provider": "retold", "kind": "payment", "since": NOON, "until": NOON + HOUR, "after": "", "page": 2}
    asked |= {"earliest": NOON - HOUR, "latest": NOON + HOUR, "delivery_id": "", "event_id": "", "payment_id": ""}
    first = warehouse.query(TOLD_SQL, asked)
    assert [one["event_id"] for one in first] == ["retold:main:1", "retold:main:2"]
    onwards = {"since": first[-1]["heard"], "after": first[-1]["event_id"]}
    [last] = warehouse.query(TOLD_SQL, asked | onwards)
    assert json.loads(encode_event(event_in(last), last["heard"])) == events[2]


def test_sql_that_is_none_is_misconfigured(warehouse: Warehouse) -> None:
    for sql in ("SELEKT 1", "SELECT no_such_column FROM payment_events"):
        with pytest.raises(Misconfigured):
            warehouse.query(sql)


def test_a_table_that_is_not_declared_is_misconfigured(warehouse: Warehouse) -> None:
    with pytest.raises(Misconfigured):
        warehouse.append("no_such_table", [{"a": 1}])
    with pytest.raises(Misconfigured):
        warehouse.query("SELECT * FROM no_such_table")


# The local one


@pytest.mark.parametrize("sql", ["DELETE FROM payment_events WHERE TRUE", "SELECT 1; SELECT 2", ""])
def test_only_one_select_is_run(tmp_path: Path, sql: str) -> None:
    with pytest.raises(Misconfigured):
        LocalWarehouse(tmp_path).query(sql)


def test_rows_that_others_add_are_seen_by_the_next_query(tmp_path: Path) -> None:
    here, there = LocalWarehouse(tmp_path), LocalWarehouse(tmp_path)
    for number in range(1, 4):
        there.append("payment_events", [payment(number)])
        assert here.query("SELECT COUNT(*) AS n FROM payment_events") == [{"n": number}]


def test_a_row_that_does_not_fit_is_an_operators_turn_and_is_not_quoted(tmp_path: Path) -> None:
    warehouse = LocalWarehouse(tmp_path)
    warehouse.append("payment_events", [{"event_id": "a", "kind": "payment"}])
    warehouse.append("payment_events", [{"event_id": "b", "kind": "payment", "occurred_at": "ana@music.example"}])
    with pytest.raises(Misconfigured, match="a row of payment_events") as refused:
        warehouse.query("SELECT event_id FROM payment_events")
    assert "ana" not in str(refused.value)


def test_many_small_files_are_read(tmp_path: Path) -> None:
    warehouse = LocalWarehouse(tmp_path)
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda number: warehouse.append("payment_events", [payment(number)]), range(1500)))
    assert warehouse.query("SELECT COUNT(DISTINCT event_id) AS n FROM payment_events") == [{"n": 1500}]


def test_queries_from_many_threads_do_not_mix(tmp_path: Path) -> None:
    warehouse = LocalWarehouse(tmp_path)
    warehouse.append("payment_events", [payment(number) for number in range(50)])
    sql = "SELECT event_id, @n AS n FROM payment_events WHERE amount.minor = @n * 100"
    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(lambda n: warehouse.query(sql, {"n": n}), range(50)))
    assert found == [[{"event_id": f"e{n}", "n": n}] for n in range(50)]


# The declarations


def test_the_payment_events_table_is_exactly_what_the_events_say() -> None:
    text = (declared.FOLDER / "payment_events.json").read_text(encoding="utf-8")
    assert text == declared.text_of(declared.tables()["payment_events"]), "run python -m tests.backends.declared"


@pytest.mark.parametrize("table", ["fraud_decisions", "dispute_updates"])
def test_every_member_of_a_message_has_its_column(table: str) -> None:
    there = {column.name: column for column in tables.columns(table)}
    for column in declared.tables()[table]:
        assert there[column["name"]].type in (column["type"], "STRING")
        assert (there[column["name"]].mode == "REPEATED") is (column["mode"] == "REPEATED")


@pytest.mark.parametrize("table", tables.names())
def test_every_declared_table_can_be_queried(tmp_path: Path, table: str) -> None:
    assert LocalWarehouse(tmp_path).query(f"SELECT * FROM {table}") == []


def test_what_a_model_trains_on_is_asked_alike_of_both(warehouse: Warehouse) -> None:
    """The longest query there is: windows over windows, members of records, arrays, and a decision to join."""
    long_ago = datetime(2024, 3, 1, 12, tzinfo=UTC)
    paid = [
        payment(0, event_id=f"t{number}", provider="stripe", payment_id=f"pi_t{number}", method="card", aliases=[])
        | {"occurred_at": utc_text(long_ago + number * HOUR)}
        for number in range(3)
    ]
    warned = {
        "kind": "fraud_warning",
        "event_id": "w0",
        "provider": "stripe",
        "payment_id": "pi_t0",
        "warning_id": "w0",
    }
    warehouse.append("payment_events", [*paid, warned | {"occurred_at": utc_text(long_ago + 9 * HOUR)}])
    asked = {
        "since": long_ago,
        "as_of": long_ago + 90 * 24 * HOUR,
        "learned_from": 0,
        "until": long_ago + 90 * 24 * HOUR,
        "below": "g",
        "sample": "ff",
    }
    rows = warehouse.query(labeled_sql(named_sql(served_sql())), asked)
    told = {row["event_id"]: (row["fraud_known_at"] is not None, row["card_payments_24h"]) for row in rows}
    assert told == {"t0": (True, None), "t1": (False, 1), "t2": (False, 2)}


def test_decisions_are_audited_alike_by_both(warehouses: Ports, tmp_path: Path) -> None:
    """Longer still: beside what trains a model, in which order rows cannot tell."""
    day = datetime(2028, 3, 1, tzinfo=UTC)
    arrivals: list[tuple[datetime, AnyEvent]] = [
        (at, a_payment_event(event_id=f"audited{number}", payment_id=f"pi_a{number}", occurred_at=at))
        for number in range(3)
        for at in [day + number * HOUR]
    ]
    decisions = list(served_on(arrivals, local_ports(tmp_path)).values())
    [feature] = [one for one in decisions[2]["features"] if one["name"] == "card_payments_24h"]
    feature["value"] += 1
    events = [json.loads(encode_event(event, heard)) for heard, event in arrivals]
    warehouses.warehouse.append("payment_events", events)
    warehouses.warehouse.append("fraud_decisions", [{"publish_time": one["decided_at"], **one} for one in decisions])
    found = audit(warehouses.warehouse, day, day + 24 * HOUR)
    assert found == Skew(3, 1, 0, {"card_payments_24h": 1}, {}, ("audited2",))


def test_what_watches_the_model_is_answered_alike(warehouses: Ports) -> None:
    found, day = warehouses.warehouse, datetime(2027, 3, 1, tzinfo=UTC)
    within = {"since": day, "until": day + timedelta(days=1)}

    def decision(number: int, **members: Any) -> dict[str, Any]:
        return {
            "event_id": f"watched{number}",
            "occurred_at": utc_text(day + number * HOUR),
            "decided_at": utc_text(day + number * HOUR),
            "provider": "stripe",
            "account": "a",
            "outcome": "approve" if number % 2 else "decline",
            "score": number / 10,
            "model_digest": "m" * 64,
            "challenger": "c" * 12,
            "challenger_score": 0.25,
            "schema_version": SCHEMA_VERSION,
            "sample": "00",
            "features": [{"name": name, "value": None if place else number} for place, name in enumerate(NAMES)],
            "newcomer": {
                "card": f"card{number}",
                "bin": "424242",
                "device": None,
                "address": "x",
                "refused": number > 2,
                **({"doubted": True} if number < 3 else {"account": "5b6a51"} if number == 4 else {}),
            },
            **members,
        }

    decisions = [decision(number) for number in range(1, 5)]
    decisions[0] |= {"step": "captured", "network": "visa"}
    decisions[1] |= {"step": "declined", "network": "visa"}
    linked = {**decisions[3], "linked_event_id": "watched_by_its_provider", "step": "captured"}
    known = {"event_id": "known", "occurred_at": utc_text(day), "decided_at": utc_text(day), "outcome": "approve"}
    found.append("fraud_decisions", [*decisions, linked, known])
    measured = [
        {"row_id": "r", "day": utc_text(day), "measured_at": utc_text(day + number * HOUR), "measure": "approved"}
        | {"subject": "all", "value": number / 4, "payments": 8}
        for number in (1, 3)
    ]
    found.append("model_health", measured)

    newcomers = found.query(
        NEWCOMERS_SQL,
        {
            "since": day,
            "recent": day + 1.5 * HOUR,
            "answered": day + timedelta(days=1),
            "until": day + timedelta(days=1),
            "least": 3,
        },
    )
    accounts = (
        {"account": None, "cards": 2, "refused": 1, "doubted": 1, "earlier": 1, "earlier_doubted": 1},
        {"account": "5b6a51", "cards": 1, "refused": 1, "doubted": 0, "earlier": 0, "earlier_doubted": 0},
    )
    kinds = (("address", "x"), ("all", "all"), ("bin", "424242"))
    expected = [{"kind": kind, "value": value, **account} for kind, value in kinds for account in accounts]
    assert sorted(newcomers, key=str) == sorted(expected, key=str)
    rates = found.query(RATES_SQL, within)
    by_network = {
        (row["provider"], row["network"]): (row["payments"], row["approved"], row["declined"]) for row in rates
    }
    assert by_network == {("stripe", "visa"): (2, 1, 1), ("stripe", None): (2, 1, 1), (None, None): (1, 1, 0)}
    weeks = {f"week_{week}": day - (week - 1) * timedelta(days=7) for week in range(1, 6)}
    assert found.query(BEFORE_SQL, weeks) == [{"measure": "approved", "subject": "all", "value": 0.75, "payments": 8}]
    assert found.query(COUNT_SQL, within) == [{"payments": 4}]
    vectors = found.query(VECTORS_SQL, {**within, "sample": "00", "model": "m" * 64})
    assert sorted((row["score"], row[NAMES[0]], row[NAMES[1]]) for row in vectors) == [
        (0.1, 1.0, None),
        (0.4, 4.0, None),
    ]
    both = {**within, "champion": "m" * 12, "challenger": "c" * 12}
    assert found.query(SHADOW_SQL, {**both, "champion_from": 0.25, "challenger_from": 0.3}) == [
        {"payments": 4, "approved": 4, "agreed": 2}
    ]
    assert found.query(CANARY_SQL, both) == [{"canary": False, "payments": 4, "approved": 2}]


BLANKED = (
    "SELECT event_id, customer_id, email_hash_also, card, step, amount FROM payment_events WHERE provider = 'blank'"
    " ORDER BY event_id"
)


def test_what_is_blanked_is_null_in_the_rows_that_are_meant_and_nothing_else_changes(warehouses: Ports) -> None:
    found, since = warehouses.warehouse, NOON + timedelta(days=30)
    card = {"fingerprint": "f", "bin": "4242", "last4": "1111", "network": None, "funding": None, "country": "DE"}
    mine = [
        payment(
            number,
            provider="blank",
            customer_id="c",
            email_hash_also=["mail-1-a", "mail-2-a"],
            card=card,
            occurred_at=utc_text(since + number * HOUR),
        )
        for number in range(4)
    ]
    mine[3] |= {"card": None, "occurred_at": utc_text(since)}
    found.append("payment_events", mine)
    before = found.query(BLANKED)
    only = {"provider": ["blank"], "event_id": ["e0", "e2", "e3", "nobody"]}
    for _ in range(2):
        names = ["customer_id", "email_hash_also", "card.fingerprint"]
        found.blank("payment_events", names, "occurred_at", since, since + 2 * HOUR, only)
    nobody: dict[str, Any] = {"customer_id": None, "email_hash_also": []}
    less = {**nobody, "card": {**card, "fingerprint": None}}
    assert found.query(BLANKED) == [before[0] | less, *before[1:3], before[3] | nobody]
    assert before[1]["email_hash_also"] == ["mail-1-a", "mail-2-a"]


def test_a_member_of_a_repeated_record_is_blanked_in_each_item_in_their_order(warehouses: Ports) -> None:
    found, since = warehouses.warehouse, NOON + timedelta(days=30)
    history = [
        {"entity": entity, "value": f"{entity}-1", "state": "known", "last_seen_at": utc_text(NOON)}
        for entity in ("card", "customer", "ip")
    ]
    rows = [
        {"event_id": f"blank{number}", "occurred_at": utc_text(since), "history": told, "newcomer": None}
        for number, told in enumerate((history, []))
    ]
    found.append("fraud_decisions", rows)
    asked = "SELECT history FROM fraud_decisions WHERE occurred_at >= @since AND event_id IN ('blank0', 'blank1') ORDER BY event_id"
    before = found.query(asked, {"since": since})
    found.blank("fraud_decisions", ["history.value", "newcomer.card"], "occurred_at", since, since + HOUR)
    [after, none] = found.query(asked, {"since": since})
    assert after["history"] == [{**item, "value": None} for item in before[0]["history"]]
    assert none["history"] == []


@pytest.mark.parametrize("path", ["nothing", "card.nothing", "card", "aliases.x", "customer_id.x"])
def test_only_what_is_declared_and_may_be_null_or_empty_is_blanked(path: str, warehouses: Ports) -> None:
    with pytest.raises(Misconfigured):
        warehouses.warehouse.blank("payment_events", [path], "occurred_at", NOON, NOON + HOUR)


# Every column is told, those of which there is nothing too.
OTHERS = [one for one in tables.columns("purchases") if one.name not in ("at", "provider", "payment", "captured")]
NOTHING = ", ".join(f"CAST(NULL AS {one.type}) AS {one.name}" for one in OTHERS)
DERIVED = f"""SELECT occurred_at AS at, provider, FARM_FINGERPRINT(payment_id) AS payment, amount.minor > 1 AS captured, {NOTHING}
FROM payment_events WHERE occurred_at >= @since AND provider = @provider"""
KEPT = "SELECT provider, payment, captured, at, card FROM purchases WHERE at >= @since AND provider = @provider ORDER BY at"


def test_a_day_of_a_derived_table_becomes_what_is_selected_and_no_other_day_does(warehouses: Ports) -> None:
    found, day = warehouses.warehouse, datetime(2027, 6, 1, tzinfo=UTC)
    asked = {"since": day, "provider": "derived"}
    rows = [
        payment(number, provider="derived", payment_id=f"p{number}", occurred_at=utc_text(day + number * 12 * HOUR))
        for number in (0, 1, 2, 5)
    ]
    found.append("payment_events", rows)
    # What it tells of other days is left out.
    for _ in range(2):
        found.derive("purchases", "at", day, DERIVED, asked, as_of=day)
    first = found.query(KEPT, asked)
    assert [(row["at"], row["captured"], row["card"]) for row in first] == [
        (day, False, None),
        (day + 12 * HOUR, True, None),
    ]
    found.derive("purchases", "at", day + 24 * HOUR, DERIVED, asked, as_of=day)
    assert [row["at"] for row in found.query(KEPT, asked)] == [day, day + 12 * HOUR, day + 24 * HOUR]
    # From the table itself, and again.
    rest = "SELECT * FROM purchases WHERE at >= @since AND payment <> FARM_FINGERPRINT(@gone)"
    for _ in range(2):
        found.derive("purchases", "at", day, rest, {"since": day, "gone": "p0"}, as_of=day)
    assert [row["at"] for row in found.query(KEPT, asked)] == [day + 12 * HOUR, day + 24 * HOUR]
    assert found.query(KEPT, asked)[0] == first[1]
    # Of a later instant the same is asked anew.
    found.derive("purchases", "at", day, DERIVED, asked, as_of=day + HOUR)
    assert found.query(KEPT, asked)[:2] == first


def test_what_does_not_tell_of_every_column_derives_nothing(warehouses: Ports) -> None:
    day = datetime(2027, 7, 1, tzinfo=UTC)
    with pytest.raises(Misconfigured):
        warehouses.warehouse.derive("purchases", "at", day, "SELECT @at AS at, 1 AS payment", {"at": day}, as_of=day)
    assert (
        warehouses.warehouse.query(
            "SELECT payment FROM purchases WHERE at >= @at AND at < @until", {"at": day, "until": day + HOUR}
        )
        == []
    )


def test_a_text_has_one_fingerprint_and_nothing_has_none(warehouses: Ports) -> None:
    sql = "SELECT FARM_FINGERPRINT(@one) = FARM_FINGERPRINT(@same) AS same, FARM_FINGERPRINT(@one) = FARM_FINGERPRINT(@other) AS other, FARM_FINGERPRINT(CAST(NULL AS STRING)) AS of_nothing"
    assert warehouses.warehouse.query(sql, {"one": "a", "same": "a", "other": "b"}) == [
        {"same": True, "other": False, "of_nothing": None}
    ]


def test_what_was_derived_is_seen_by_who_has_read_it_before(tmp_path: Path) -> None:
    """Two processes in one folder: one has the rows in memory, the other writes the day anew."""
    writer, reader, day = LocalWarehouse(tmp_path), LocalWarehouse(tmp_path), datetime(2027, 6, 1, tzinfo=UTC)
    nothing = ", ".join(f"NULL AS {name}" for name in ("provider", "captured", *(one.name for one in OTHERS)))
    sql = f"SELECT @at AS at, @n AS payment, {nothing}"
    for number in (1, 2):
        writer.derive("purchases", "at", day, sql, {"at": day, "n": number}, as_of=day)
        assert [row["payment"] for row in reader.query("SELECT payment FROM purchases")] == [number]
