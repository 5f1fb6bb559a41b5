"""A rule tried in the warehouse means what it means where a payment waits: the same rows, on every warehouse there is."""

import itertools
import json
import random
from collections import Counter
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.backends.local.warehouse import LocalWarehouse
from shared.domain.codec import encode_event, from_document, utc_text
from shared.domain.decisions import Decision, Outcome
from shared.domain.errors import Unavailable
from shared.flows.backtest import MATURITY
from shared.flows.decisions import row_of
from shared.flows.ports import Bound, Ports, Warehouse
from shared.flows.recompute_decisions import replayed_sql
from shared.flows.rule_health import HITS_SQL, MEASURED_SQL
from shared.fraud.backtest import Fate, backtest_sql, summed
from shared.fraud.decide import decide
from shared.fraud.features import NAMES, SCHEMA_VERSION, Attempt
from shared.fraud.history import Known
from shared.fraud.rules import Rule, Scope, Segment, State, Table
from tests.builders import DAY, NOON, a_card, a_payment_event
from tests.fraud.test_expressions import CONDITIONS, NOTHING, USED, VALUES

_days = itertools.count()
"""Each example has a day of its own, so that all of them may share one warehouse."""

COUNTRIES = st.sampled_from([None, "DE", "FR"])
SCOPES = st.builds(
    Scope,
    countries=st.sampled_from([(), ("DE",), ("DE", "FR")]),
    initiators=st.sampled_from([(), ("customer",)]),
    providers=st.sampled_from([(), ("stripe",), ("adyen",)]),
)


@st.composite
def decisions(draw: st.DrawFn) -> dict[str, Any]:
    """A decision as far as rules and labels look at it, told once or twice."""
    return {
        "values": draw(st.fixed_dictionaries(dict.fromkeys(USED, VALUES))),
        "country": draw(COUNTRIES),
        "initiator": draw(st.sampled_from([None, "customer", "merchant"])),
        "snoozed": draw(st.sampled_from([(), ("rule_0",), ("rule_1", "live_0")])),
        "step": draw(st.sampled_from([None, "captured", "declined"])),
        "outcome": draw(st.sampled_from(list(Outcome))),
        "fraud": draw(st.sampled_from([None, "now", "fallen"])),
        "verdict": draw(st.sampled_from([None, None, None, "third_party_fraud", "genuine"])),
        "other_schema": draw(st.sampled_from([False, False, False, True])),
        "amount": draw(st.sampled_from([None, ("EUR", 999), ("JPY", 500)])),
    }


def decision_rows(decision: Mapping[str, Any], event_id: str, at: Any) -> list[dict[str, Any]]:
    values = {**NOTHING, **decision["values"]}
    currency, minor = decision["amount"] or (None, None)
    row = {
        "event_id": event_id,
        "payment_id": f"pi_{event_id}",
        "provider": "stripe",
        "account": "acct_1",
        "occurred_at": utc_text(at),
        "decided_at": utc_text(at),
        "outcome": decision["outcome"].value,
        "amount": {"minor": minor, "currency": currency} if currency else None,
        "schema_version": "0" * 16 if decision["other_schema"] else SCHEMA_VERSION,
        "features": [{"name": name, "value": values[name]} for name in NAMES],
        "listed": [{"action": "snooze", "kind": "card", "rule": code} for code in decision["snoozed"]],
        "country": decision["country"],
        "initiator": decision["initiator"],
        "sample": "00",
        "step": None,
        "claims_revision": 0,
    }
    told = [row, {**row, "step": decision["step"], "linked_event_id": "later"}]
    if decision["fraud"]:
        told.append({**row, "claims_revision": 1, "fraud_reported_at": utc_text(at + DAY)})
    if decision["fraud"] == "fallen":
        told.append({**row, "claims_revision": 2})
    random.Random(event_id).shuffle(told)
    return told


def verdict_rows(decision: Mapping[str, Any], event_id: str, at: Any) -> list[dict[str, Any]]:
    """A reviewer's word on the payment, before anybody claims anything of it."""
    if decision["verdict"] is None:
        return []
    row = {
        "label_id": f"{event_id}/review",
        "provider": "stripe",
        "payment_id": f"pi_{event_id}",
        "label": decision["verdict"],
        "source": "manual_review",
        "known_at": utc_text(at + timedelta(hours=1)),
        "revision": 0,
    }
    return [row, row]


def fate_of(decision: Mapping[str, Any], *, mature: bool) -> Fate:
    fallen = decision["fraud"] == "fallen"
    if decision["fraud"] == "now" or (decision["verdict"] == "third_party_fraud" and not fallen):
        return Fate.FRAUD if mature else Fate.EARLY_FRAUD
    if decision["step"] in (None, "declined") and decision["verdict"] is None:
        return Fate.UNTOLD
    return Fate.GENUINE if mature else Fate.YOUNG


def a_day(since: Any, matured: Any) -> dict[str, Any]:
    """All decisions on payments of the day from `since` on."""
    times = {"since": since, "until": since + DAY, "matured_until": matured, "reviewed_until": since + 2 * DAY}
    return {**times, "from_sample": "00", "sample": "ff"}


def ask(warehouse: Warehouse, candidates: list[Rule], live: list[Rule], since: Any, matured: Any) -> Any:
    sql, texts = backtest_sql(candidates, live)
    return summed(warehouse.query(sql, {**texts, **a_day(since, matured)}, bound=Bound(10**9, 60.0)), candidates, live)


@settings(max_examples=10, deadline=None)
@given(
    told=st.lists(decisions(), max_size=6),
    trees=st.lists(st.tuples(CONDITIONS, SCOPES, st.sampled_from(list(Outcome)[1:])), min_size=1, max_size=2),
    standing=st.lists(st.tuples(CONDITIONS, SCOPES, st.sampled_from(list(Outcome)[1:])), max_size=1),
)
def test_the_warehouse_counts_what_the_request_path_would_have_said(
    warehouses: Ports, told: list[dict[str, Any]], trees: list[Any], standing: list[Any]
) -> None:
    def rules(prefix: str, of: list[Any]) -> list[Rule]:
        return [
            Rule(code=f"{prefix}_{n}", outcome=outcome, sql="", tree=tree, scope=scope, state=State.LIVE)
            for n, (tree, scope, outcome) in enumerate(of)
        ]

    candidates, live = rules("rule", trees), rules("live", standing)
    since = NOON + next(_days) * DAY
    matured = since + DAY / 2
    expected: Counter[tuple[str, Fate]] = Counter()
    both: Counter[tuple[str, str]] = Counter()
    money: Counter[tuple[str, Fate, str]] = Counter()
    others, rows, labels = 0, list[dict[str, Any]](), list[dict[str, Any]]()
    for n, decision in enumerate(told):
        at = since + n * timedelta(hours=4)
        event_id = f"{since:%Y%m%d}-{n}"
        rows += decision_rows(decision, event_id, at)
        labels += verdict_rows(decision, event_id, at)
        if decision["other_schema"]:
            others += 1
            continue
        segment = Segment(
            account="acct_1", provider="stripe", country=decision["country"], initiator=decision["initiator"]
        )
        holding = {
            rule.code
            for rule in Table([*candidates, *live]).judge({**NOTHING, **decision["values"]}, segment)
            if rule.code not in decision["snoozed"]
        }
        fate = fate_of(decision, mature=at <= matured)
        for rule in candidates:
            if rule.code in holding:
                expected[rule.code, fate] += 1
                both.update((rule.code, one.code) for one in live if one.code in holding)
                if decision["amount"]:
                    money[rule.code, fate, decision["amount"][0]] += decision["amount"][1]
    warehouses.warehouse.append("fraud_decisions", rows)
    warehouses.warehouse.append("fraud_labels", labels)
    _, uncompared, tried = ask(warehouses.warehouse, candidates, live, since, matured)
    assert uncompared == others
    assert {(one.code, fate): of.payments for one in tried for fate, of in one.fates.items()} == expected
    assert {(one.code, code): n for one in tried for code, n in one.beside.items()} == both
    assert {
        (one.code, fate, currency): minor
        for one in tried
        for fate, of in one.fates.items()
        for currency, minor in of.money.items()
    } == money


def test_of_nothing_nothing_is_known(warehouses: Ports) -> None:
    rule = Rule(code="any", outcome=Outcome.REVIEW, sql="", tree=[">=", "amount", 0])
    fates, others, [tried] = ask(warehouses.warehouse, [rule], [], NOON - 400 * DAY, NOON - MATURITY)
    assert (fates, others, tried.hits, tried.fates) == ({}, 0, 0, {})
    assert (tried.precision.low, tried.precision.high) == (0.0, 1.0)


def test_hits_of_rules_and_what_was_measured_of_them_are_read_alike(warehouses: Ports) -> None:
    warehouse, since = warehouses.warehouse, NOON + next(_days) * DAY
    decision = {
        "values": dict.fromkeys(USED, 1.0),
        "country": "DE",
        "initiator": None,
        "snoozed": (),
        "step": "captured",
        "outcome": Outcome.REVIEW,
        "fraud": "now",
        "verdict": None,
        "other_schema": False,
        "amount": ("EUR", 5),
    }
    reasons = [{"source": source, "code": code} for source, code in (("list", "a"), ("rule", "b"), ("rule", "c"))]
    told = [{**row, "reasons": reasons, "shadow": ["d"]} for row in decision_rows(decision, f"h-{since:%Y%m%d}", since)]
    plain = decision_rows({**decision, "fraud": None}, f"i-{since:%Y%m%d}", since)
    warehouse.append("fraud_decisions", [*told, *plain])
    found = warehouse.query(HITS_SQL, a_day(since, since))
    assert sorted((row["held"] or "", row["shadows"] or "", row["fate"], row["payments"]) for row in found) == [
        ("", "", "genuine", 1),
        ("b c", "d", "fraud", 1),
    ]
    day = utc_text(since)
    row = {"row_id": day, "day": day, "measured_at": day, "measure": "rule_precision", "subject": "b 1", "payments": 4}
    later = {**row, "measured_at": utc_text(since + DAY), "value": 0.75}
    warehouse.append("model_health", [{**row, "value": 0.5}, later])
    [measured] = warehouse.query(MEASURED_SQL, {"since": since, "until": since + DAY})
    assert measured == {
        "measure": "rule_precision",
        "subject": "b 1",
        "payments": 4,
        "with_it": 3,
        "days": 1,
        "last": since,
    }


@pytest.mark.parametrize("also", [(), ("mail-1-a",), ("mail-1-a", "mail-2-a")])
def test_decisions_are_read_with_what_lists_go_by(warehouses: Ports, also: tuple[str, ...]) -> None:
    ports, since = warehouses, NOON + next(_days) * DAY
    event = a_payment_event(
        event_id=f"stripe:acct_1:r{since:%Y%m%d}",
        occurred_at=since,
        card=a_card(bin="411111"),
        email_hash_also=also,
    )
    known = Known(Attempt.of(event), {})
    decision = decide(known, None, since)
    ports.warehouse.append("fraud_decisions", [json.loads(row_of(decision, event))])
    ports.warehouse.append("payment_events", [json.loads(encode_event(event))])
    parameters: dict[str, Any] = {
        "since": since,
        "until": since + DAY,
        "matured_until": since,
        "reviewed_until": since + DAY,
    }
    parameters |= {"from_sample": "00", "sample": "ff"}
    for named in (True, False):
        [row] = ports.warehouse.query(replayed_sql(named=named), parameters, bound=Bound(10**9, 60.0))
        assert from_document(row, Decision) == decision
        assert row["fate"] == Fate.GENUINE
        assert (row["named"], row["bin"]) == (event.event_id, "411111") if named else "named" not in row
        assert not named or tuple(row["email_hash_also"]) == also
    [row] = ports.warehouse.query(replayed_sql(named=True, entities=True), parameters, bound=Bound(10**9, 60.0))
    whom = (row["fingerprint"], row["customer_id"], row["device_id"], row["ip_network"])
    assert whom == ("fp_1", "cus_1", "dev_1", "203.0.113.7")


def test_a_question_that_takes_too_long_is_stopped(tmp_path: Path) -> None:
    endless = """SELECT COUNT(*) AS n FROM (SELECT a FROM UNNEST(GENERATE_ARRAY(1, 100000)) AS a) AS one
      CROSS JOIN (SELECT b FROM UNNEST(GENERATE_ARRAY(1, 100000)) AS b) AS other WHERE MOD(a * b, 7) > 3"""
    with pytest.raises(Unavailable, match="stopped"):
        LocalWarehouse(tmp_path).query(endless, bound=Bound(1, 0.2))
