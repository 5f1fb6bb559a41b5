"""What analysts are told, against cases counted by hand and against the documents; on both warehouses."""

import json
import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import sqlglot
from google.api_core.client_options import ClientOptions
from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery
from sqlglot import exp

from shared.backends.gcp.warehouse import BigQueryWarehouse
from shared.backends.local.warehouse import LocalWarehouse
from shared.disputes.dispute_rates import RATES_SQL
from shared.disputes.dispute_rates import asked_from as rates_from
from shared.domain.codec import encode_event, utc_text
from shared.domain.events import PaymentChanged, PaymentStep
from shared.domain.money import Money
from shared.domain.payments import Payment
from shared.flows.ports import Ports, Warehouse
from shared.marts.catalogue import MARTS, NOW, Mart
from shared.marts.decisions import DECISIONS_SQL
from shared.marts.disputes import AT_RISK_SQL, DISPUTES_SQL, asked_at
from shared.marts.payments import PAYMENTS_SQL, asked_for
from tests.builders import DAY, HOUR, MINUTE, NOON, a_payment_event
from tests.payments.test_totals import payment_after

ROOT = Path(__file__).parents[2]
_numbers = count(1)


def rows_of(*events: PaymentChanged) -> list[dict[str, Any]]:
    return [json.loads(encode_event(replace(event, livemode=True))) for event in events]


OF_TYPE = {"TIMESTAMP": datetime, "INT64": int, "FLOAT64": float, "BOOL": bool, "STRING": str}


def of_mart(name: str, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """`rows`, which are of the mart's types."""
    assert rows
    for row in rows:
        for column in MARTS[name].columns:
            value = row[column["name"]]
            assert value is None or type(value) is OF_TYPE[column["type"]], column["name"]
    return rows


def a_step(
    payment_id: str, step: PaymentStep, at: datetime, minor: int | None, currency: str = "EUR", **members: Any
) -> Any:
    """An event of a payment, under an id of its own."""
    amount = None if minor is None else Money(minor, currency)
    event_id = f"stripe:acct_1:m{next(_numbers)}"
    return a_payment_event(step, payment_id=payment_id, event_id=event_id, occurred_at=at, amount=amount, **members)


def totals(rows: Sequence[Mapping[str, Any]]) -> dict[str, tuple[Any, ...]]:
    told = ("state", "currency", "authorized", "captured", "refunded", "reversed", "net")
    return {row["payment_id"]: tuple(row[name] for name in told) for row in rows}


def test_payments_are_counted_once_each_in_its_currency_with_what_was_undone_undone(warehouses: Ports) -> None:
    found, since = warehouses.warehouse, datetime(2033, 3, 1, tzinfo=UTC)
    held, taken, back = PaymentStep.AUTHORIZED, PaymentStep.CAPTURED, PaymentStep.REFUNDED
    twice = a_step("copies", taken, since + HOUR, 1999)
    late = a_step("late", held, since, 1999)
    rows = rows_of(
        a_step("plain", held, since, 1999),
        a_step("plain", taken, since + MINUTE, 1999, card=a_payment_event().card, method="card"),
        twice,
        twice,
        # The refund was stored before what it gives back.
        a_step("late", back, since + 2 * DAY, 500, reference="re_1"),
        a_step("late", taken, since + DAY, 1999),
        late,
        # A running total that is told three times, of which the last stands.
        a_step("running", taken, since, 5000),
        *(a_step("running", back, since + n * HOUR, 1000 * n, cumulative=True) for n in (2, 1, 3)),
        a_step("failed refund", taken, since, 4000, "JPY"),
        a_step("failed refund", back, since + DAY, 4000, "JPY", reference="re_2"),
        a_step("failed refund", PaymentStep.REFUND_FAILED, since + 2 * DAY, 4000, "JPY", reference="re_2"),
        a_step("taken back", taken, since, 37_500, "KWD"),
        a_step("taken back", PaymentStep.REVERSED, since + DAY, None, "KWD", reference="rev_1"),
        a_step("failed capture", taken, since, 700, reference="cap_1"),
        a_step("failed capture", PaymentStep.CAPTURE_FAILED, since + DAY, 700, reference="cap_1"),
        a_step("refused", PaymentStep.DECLINED, since, 1999, decline_code="do_not_honor"),
        a_step("partly", held, since, 1000),
        a_step("partly", taken, since + MINUTE, 400, reference="cap_2"),
        # Before the range: of the month before, though it goes on in this one.
        a_step("older", held, since - 2 * DAY, 100),
        a_step("older", taken, since + DAY, 100),
        a_step("after", held, since + 31 * DAY, 100),
        a_step("unproved", taken, since, 99_900, unsigned=("amount",)),
    )
    test = {**rows_of(a_step("test data", taken, since, 1999))[0], "livemode": False}
    found.append("payment_events", [*rows, test, *rows[:3]])
    told = of_mart("payments", found.query(PAYMENTS_SQL, asked_for(since, since + 31 * DAY)))
    assert totals(told) == {
        "plain": ("captured", "EUR", 1999, 1999, None, None, 1999),
        "copies": ("captured", "EUR", None, 1999, None, None, 1999),
        "late": ("partially_refunded", "EUR", 1999, 1999, 500, None, 1499),
        "running": ("partially_refunded", "EUR", None, 5000, 3000, None, 2000),
        "failed refund": ("captured", "JPY", None, 4000, 0, None, 4000),
        "taken back": ("reversed", "KWD", None, 37_500, None, 37_500, 0),
        "failed capture": ("declined", "EUR", None, 0, None, None, 0),
        # Nothing was moved, so that there is no currency: decisions tell what was asked for.
        "refused": ("declined", None, None, None, None, None, None),
        "partly": ("partially_captured", "EUR", 1000, 400, None, None, 400),
        "unproved": ("captured", None, None, None, None, None, None),
    }
    [plain] = [row for row in told if row["payment_id"] == "plain"]
    assert (plain["first_at"], plain["last_at"], plain["method"]) == (since, since + MINUTE, "card")
    # As it stood a day later: nothing had been given back.
    early = totals(found.query(PAYMENTS_SQL, asked_for(since, since + DAY)))
    assert (early["late"], early["failed capture"][0]) == (("authorized", "EUR", 1999, None, None, None, 0), "captured")


def test_a_payment_is_what_its_document_says_whatever_was_told_and_in_whatever_order(warehouses: Ports) -> None:
    """Any words at few instants, so that they meet: of no reference, of no amount, running, unsigned, in two currencies."""
    found, chance, since = warehouses.warehouse, random.Random(7), NOON - DAY
    expected, rows = {}, []
    for number in range(400):
        events = [
            a_step(
                f"any{number}",
                chance.choice(list(PaymentStep)),
                NOON + chance.randrange(5) * MINUTE,
                None if chance.random() < 0.2 else chance.randrange(900),
                "JPY" if chance.random() < 0.1 else "EUR",
                cumulative=chance.random() < 0.3,
                reference=chance.choice([None, "r1", "r2", "r3", "-"]),
                unsigned=chance.choice([(), (), (), ("step",), ("amount",)]),
            )
            for _ in range(chance.randint(1, 10))
        ]
        blank = Payment(provider="stripe", payment_id=f"any{number}", account="acct_1")
        expected[blank.payment_id] = payment_after(events, blank)
        rows += rows_of(*events, *events[:2])
    chance.shuffle(rows)
    found.append("payment_events", rows)
    told = {row["payment_id"]: row for row in found.query(PAYMENTS_SQL, asked_for(since, NOON + DAY))}
    for name, payment in expected.items():
        row = told[name]
        for of in ("authorized", "captured", "refunded", "reversed"):
            money = getattr(payment, of)
            assert row[of] == (None if money is None else money.minor), (name, of)
        assert (row["state"], row["first_at"], row["last_at"]) == (payment.state, payment.first_at, payment.last_at)


def an_update(dispute_id: str, at: datetime, revision: int, status: str | None, **fields: Any) -> dict[str, Any]:
    return {
        "update_id": f"mart{next(_numbers)}",
        "occurred_at": utc_text(at),
        "revision": revision,
        "provider": "stripe",
        "account": "acct_1",
        "dispute_id": dispute_id,
        "payment_id": f"pi_{dispute_id}",
        "payment_known": True,
        "stage": "chargeback",
        "status": status,
        "final": True,
        "amount": {"minor": 1999, "currency": "EUR"},
        "reason": "fraud",
        "network": "visa",
        "deadline_unsigned": False,
        "deadline_estimated": False,
        "can_respond": True,
        "flags": [],
        "livemode": True,
        **fields,
    }


def tell_of_disputes(found: Warehouse, now: datetime) -> None:
    """Four that are open and what is not: decided, told under another name, test data, over for good."""
    yen = {"amount": {"minor": 4000, "currency": "JPY"}}
    moved = {
        "moved": {"minor": 0, "currency": "USD"},
        "withdrawn": {"minor": 2100, "currency": "USD"},
        "won_before": False,
    }
    opened = an_update("open", now - 9 * DAY, 1, "needs_response", stage="inquiry")
    newest = an_update(
        "open", now - 8 * DAY, 2, "needs_response", respond_by=utc_text(now + HOUR), answer_state="parked"
    )
    rows = [
        newest,
        opened,  # stored after what is newer
        newest,
        an_update("later", now - DAY, 1, "needs_response", respond_by=utc_text(now + 9 * DAY), **yen),
        an_update("sent", now - DAY, 1, "needs_response", respond_by=utc_text(now + 3 * DAY)),
        an_update("sent", now - HOUR, 2, "under_review", answer_state="taken", respond_by=utc_text(now + 3 * DAY)),
        an_update("warned", now - DAY, 1, "needs_response", alert="ethoca", stage="inquiry"),
        an_update("won", now - 5 * DAY, 1, "needs_response"),
        an_update("won", now - DAY, 2, "won", answer_state="taken", answer_by="ana@shop.example", **moved),
        an_update("reversed", now - 5 * DAY, 3, "lost", won_before=True),
        an_update("stray", now - DAY, 1, "needs_response", same_as="open"),
        an_update("test", now - DAY, 1, "needs_response", livemode=False),
        an_update("of before", now - DAY, 1, "closed", livemode=None),
        an_update("long ago", now - 541 * DAY, 1, "needs_response"),
        an_update("tomorrow", now + DAY, 1, "needs_response"),
    ]
    found.append("dispute_updates", rows)


def test_disputes_stand_by_the_newest_word_on_each(warehouses: Ports) -> None:
    found, now = warehouses.warehouse, datetime(2034, 6, 20, 12, tzinfo=UTC)
    tell_of_disputes(found, now)
    told = {row["dispute_id"]: row for row in of_mart("disputes", found.query(DISPUTES_SQL, asked_at(now)))}
    outcomes = {name: (row["outcome"], row["answered"]) for name, row in told.items()}
    assert outcomes == {
        "open": ("open", "nobody"),
        "later": ("open", "nobody"),
        "sent": ("open", "platform"),
        "warned": ("open", "nobody"),
        "won": ("won", "platform"),
        "reversed": ("reversed", "nobody"),
        "of before": ("closed", "nobody"),
    }
    assert (told["open"]["opened_at"], told["open"]["filed_at"]) == (now - 9 * DAY, now - 8 * DAY)
    assert told["warned"]["filed_at"] is None
    assert [told["won"][name] for name in ("settled_in", "withdrawn", "returned")] == ["USD", 2100, 2100]
    assert [told["later"][name] for name in ("currency", "amount")] == ["JPY", 4000]


def test_revenue_at_risk_is_what_open_disputes_ask_for_by_when_it_is_due_and_how_far_the_answer_is(
    warehouses: Ports,
) -> None:
    found, now = warehouses.warehouse, datetime(2037, 6, 20, 12, tzinfo=UTC)
    tell_of_disputes(found, now)
    told = ("kind", "currency", "stage", "due", "answer", "cases", "at_risk", "oldest")
    rows = of_mart("revenue_at_risk", found.query(AT_RISK_SQL, asked_at(now)))
    assert {tuple(row[name] for name in told) for row in rows} == {
        ("dispute", "EUR", "chargeback", "within 24 hours", "parked", 1, 1999, now - 9 * DAY),
        ("dispute", "JPY", "chargeback", "later", "none", 1, 4000, now - DAY),
        ("dispute", "EUR", "chargeback", "within 7 days", "given", 1, 1999, now - DAY),
        ("alert", "EUR", "inquiry", "not told", "none", 1, 1999, now - DAY),
    }


def a_decision(event_id: str, at: datetime, **members: Any) -> dict[str, Any]:
    return {
        "provider": "stripe",
        "account": "acct_1",
        "payment_id": f"pi_{event_id}",
        "event_id": event_id,
        "livemode": True,
        "occurred_at": utc_text(at),
        "decided_at": utc_text(at),
        "amount": {"minor": 999, "currency": "EUR"},
        "outcome": "approve",
        "score": 0.02,
        "reasons": [],
        "features": [],
        "history": [{"entity": "card", "value": "fp_1", "state": "known"}],
        "listed": [],
        "shadow": [],
        "claimed_as": [],
        "claims_revision": 0,
        "model_digest": "a" * 64,
        **members,
    }


def test_a_decision_stands_once_by_the_row_that_knows_most(warehouses: Ports) -> None:
    found, at = warehouses.warehouse, datetime(2034, 7, 1, 12, tzinfo=UTC)
    asked: dict[str, Any] = {"request_id": "r1", "payment_id": "request:r1"}
    linked = {**asked, "payment_id": "pi_1", "linked_event_id": "e1", "step": "captured"}
    because = {
        "outcome": "decline",
        "reasons": [{"source": "rule", "code": "velocity"}, {"source": "model", "code": "amount"}],
    }
    found.append(
        "fraud_decisions",
        [
            a_decision("asked", at, **linked),
            a_decision("asked", at, **asked),
            a_decision("claimed", at, claims_revision=2, fraud_reported_at=utc_text(at + 9 * DAY)),
            a_decision("claimed", at, claims_revision=1, fraud_reported_at=utc_text(at + 8 * DAY)),
            a_decision("claimed", at),
            a_decision("stopped", at + DAY, **because),
            a_decision("test", at, livemode=False),
            a_decision("another day", at + 3 * DAY),
        ],
    )
    sql = f"SELECT * FROM ({DECISIONS_SQL}) AS decisions WHERE occurred_at >= @since AND occurred_at < @until"
    rows = of_mart("decisions", found.query(sql, {"since": at, "until": at + 2 * DAY, "test_data": False}))
    told = {row["event_id"]: row for row in rows}
    assert set(told) == {"asked", "claimed", "stopped"}
    assert [told["asked"][name] for name in ("payment_id", "asked_before", "step")] == ["pi_1", True, "captured"]
    assert told["claimed"]["fraud_reported_at"] == at + 9 * DAY
    assert told["claimed"]["asked_before"] is False
    assert [told["stopped"][name] for name in ("outcome", "first_reason")] == ["decline", "rule:velocity"]
    assert (told["asked"]["first_reason"], told["asked"]["amount"], told["asked"]["currency"]) == (None, 999, "EUR")


def test_rates_by_cohort_leave_test_data_out(warehouses: Ports) -> None:
    found, may = warehouses.warehouse, datetime(2035, 5, 1, tzinfo=UTC)
    taken = rows_of(*(a_step(f"rate{n}", PaymentStep.CAPTURED, may + n * DAY, 999) for n in range(4)))
    taken += [{**row, "payment_id": f"test{n}", "livemode": False} for n, row in enumerate(taken)]
    found.append("payment_events", taken)
    filed = [an_update(f"rate{n}", may + 9 * DAY, 1, "needs_response", payment_id=f"rate{n}") for n in range(2)]
    filed[1]["livemode"] = False
    found.append("dispute_updates", [*filed, *filed])
    rows = found.query(RATES_SQL, rates_from(may, may + 31 * DAY))
    assert [
        (int(sum(row[name] for row in rows))) for name in ("payments", "disputes_of_payments", "disputes_filed")
    ] == [4, 1, 1]


# What is asked of all of them.


def plain(mart: Mart, now: datetime) -> tuple[str, dict[str, datetime]]:
    """The body as a query of tables that are named plainly, its arguments as parameters."""
    body = re.sub(r"`\{dataset\}\.(\w+)`", r"\1", mart.body).replace(NOW, "@now").replace("{test_data}", "FALSE")
    for name in mart.arguments:
        body = re.sub(rf"\b{name}\b", f"@{name}", body)
    asked = {"now": now, "since": now - 31 * DAY, "until": now}
    return body, {name: at for name, at in asked.items() if f"@{name}" in body}


def query_of(sql: str) -> exp.Query:
    parsed = sqlglot.parse_one(sql, dialect="bigquery")
    assert isinstance(parsed, exp.Query)
    return parsed


def test_columns_are_those_that_are_described() -> None:
    for name, mart in MARTS.items():
        if mart.columns:
            body, _ = plain(mart, NOON)
            told = query_of(body).named_selects
            assert told == [one["name"] for one in mart.columns], name
            assert all(one["description"].endswith(".") for one in mart.columns)


def test_no_argument_is_hidden_by_a_column_of_its_name() -> None:
    for name, mart in MARTS.items():
        named = {one.alias for one in query_of(plain(mart, NOON)[0].replace("@", "")).find_all(exp.Alias)}
        assert not named & set(mart.arguments), name


PERSONAL = {
    *("customer_id", "device_id", "ip", "ip_network", "email_hash", "email_domain", "fingerprint", "bin", "last4"),
    *(
        "history",
        "newcomer",
        "features",
        "answer_by",
        "by",
        "body",
        "headers",
        "query",
        "merchant_reference",
        "aliases",
    ),
    *(
        "payment_aliases",
        "network_transaction_id",
        "claimed_as",
        "packet",
        "attributes",
        "request_id",
        "request_digest",
    ),
    *("arn", "warning_id", "hint"),
}


def test_no_mart_tells_who_paid() -> None:
    for name, mart in MARTS.items():
        tree = query_of(plain(mart, NOON)[0])
        read = {one.name for one in tree.find_all(exp.Column)} | {one.name for one in tree.find_all(exp.Dot)}
        # Whether it was asked before is read of the request's name, and nothing else of it is told.
        assert read & PERSONAL <= ({"request_id"} if name == "decisions" else set()) | (
            {"answer_by"} if name == "outcome_ledger" else set()
        ), name
        assert not set(tree.named_selects) & PERSONAL
        assert not any(isinstance(one, exp.Star) for select in [tree] for one in select.expressions)


def test_every_table_is_read_by_a_range_of_its_partition() -> None:
    topology = json.loads((ROOT / "functions" / "topology.json").read_text())["tables"]
    for name, mart in MARTS.items():
        scans = [
            (select, table.name)
            for select in sqlglot.parse_one(plain(mart, NOON)[0], dialect="bigquery").find_all(exp.Select)
            for table in [select.args["from_"].this if select.args.get("from_") else None]
            if isinstance(table, exp.Table) and table.name in topology
        ]
        assert scans, name
        for select, table in scans:
            of = topology[table]["partition"]
            if mart.partition == of:
                # A question's own range reaches the table only past a window that is parted by that column too.
                [window] = select.args["qualify"].find_all(exp.Window)
                assert of in {one.name for one in window.args["partition_by"]}
                continue
            assert of in {one.name for one in select.args["where"].find_all(exp.Column)}, f"{name} of {table}"


PAGE = (ROOT / "README.md").read_text(encoding="utf-8").partition("## Asking the marts")[2].partition("\n## ")[0]
QUESTIONS = re.findall(r"```sql\n(.*?)\n```", PAGE, flags=re.DOTALL)
AUGUST, OCTOBER = datetime(2026, 8, 1, tzinfo=UTC), datetime(2026, 10, 1, tzinfo=UTC)


def tell_of_a_shop(found: Warehouse, now: datetime) -> None:
    """Five payments of October, one of them refused and one disputed; two decisions of August, one of which was fraud."""
    events = [a_step(f"pi_shop{n}", PaymentStep.CAPTURED, OCTOBER + n * DAY, 1000 + n) for n in range(4)]
    events.append(a_step("pi_shop0", PaymentStep.REFUNDED, OCTOBER + 9 * DAY, 400, reference="re_s"))
    events.append(a_step("pi_shop9", PaymentStep.DECLINED, OCTOBER, 999, method="card", decline_code="expired_card"))
    found.append("payment_events", [*rows_of(*events), *rows_of(*events)])
    due = {"respond_by": utc_text(now + 2 * DAY), "payment_id": "pi_shop1"}
    found.append("dispute_updates", [an_update("shop", OCTOBER + 20 * DAY, 1, "needs_response", **due)])
    fraud = a_decision("shop1", AUGUST + DAY, step="captured", score=0.25, fraud_reported_at=utc_text(OCTOBER))
    found.append("fraud_decisions", [fraud, fraud, a_decision("shop2", AUGUST + DAY, step="captured", score=0.05)])


def answered(found: Sequence[list[dict[str, Any]]]) -> None:
    """What the five questions of the page are answered of that shop."""
    taken, declined, rates, at_risk, decided = ([list(row.values()) for row in rows] for rows in found)
    assert taken == [["stripe", "EUR", 4, 4006, 400, 3606]]
    assert [row[2:] for row in declined] == [["expired_card", 1]]
    assert [row[1:3] for row in rates] == [[4, 0.25]]
    assert at_risk == [["EUR", "fraud", 1, 1999]]
    assert [(row[:3], round(row[3], 9)) for row in decided] == [(["approve", 2, 1], 0.15)]


def test_the_questions_of_the_page_are_answered(tmp_path: Path) -> None:
    found, now = LocalWarehouse(tmp_path), datetime(2026, 11, 1, tzinfo=UTC)
    tell_of_a_shop(found, now)
    rows = []
    for question in QUESTIONS:
        [name] = re.findall(r"payin_marts\.(\w+)", question)
        body, asked = plain(MARTS[name], now)
        instants = [
            datetime.fromisoformat(f"{one}T00:00:00+00:00") for one in re.findall(r'\(?TIMESTAMP "([\d-]+)"', question)
        ]
        asked |= dict(zip(MARTS[name].arguments, instants, strict=False))
        rows.append(
            found.query(
                re.sub(r"payin_marts\.\w+(\(.*?\))?", f"({body}) AS mart".replace("\\", r"\\"), question), asked
            )
        )
    answered(rows)


@pytest.mark.emulators
def test_bigquery_takes_the_marts_as_terraform_makes_them_and_answers_the_page(bigquery_emulator: str) -> None:
    found, now = BigQueryWarehouse("payin-test", "shop", bigquery_emulator), datetime(2026, 11, 1, tzinfo=UTC)
    nobody = AnonymousCredentials()  # type: ignore[no-untyped-call]
    client = bigquery.Client(
        "payin-test", nobody, client_options=ClientOptions(api_endpoint=f"http://{bigquery_emulator}")
    )
    found.ensure_tables()
    tell_of_a_shop(found, now)
    client.create_dataset("payin-test.payin_marts")
    instant = bigquery.StandardSqlDataType(type_kind=bigquery.StandardSqlTypeNames.TIMESTAMP)
    for name, mart in MARTS.items():
        body = mart.body.replace("{dataset}", "payin-test.shop").replace("{test_data}", "FALSE")
        body = body.replace(NOW, f"TIMESTAMP('{utc_text(now)}')")
        if mart.arguments:
            arguments = [bigquery.RoutineArgument(name=one, data_type=instant) for one in mart.arguments]
            client.create_routine(
                bigquery.Routine(
                    f"payin-test.payin_marts.{name}",
                    type_="TABLE_VALUED_FUNCTION",
                    language="SQL",
                    body=body,
                    arguments=arguments,
                )
            )
        else:
            view = bigquery.Table(f"payin-test.payin_marts.{name}")
            view.view_query = body
            client.create_table(view)
    answered([found.query(question) for question in QUESTIONS])


def test_terraform_has_the_marts_of_the_code() -> None:
    stored = json.loads((ROOT / "shared" / "learning" / "sql" / "marts.json").read_text(encoding="utf-8"))
    told = json.loads(json.dumps({name: asdict(one) for name, one in MARTS.items()}))
    assert stored == told, "run python -m shared.marts.catalogue > shared/learning/sql/marts.json"
    assert not any("@" in re.sub("'[^']*'", "", one.body) for one in MARTS.values())
