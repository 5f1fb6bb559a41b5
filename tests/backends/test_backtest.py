"""A rule tried in the warehouse means what it means where a payment waits: the same rows, on every warehouse there is."""

import itertools
import random
from collections import Counter
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from shared.domain.codec import utc_text
from shared.domain.decisions import Outcome
from shared.flows.backtest import MATURITY
from shared.flows.ports import Bound, Ports, Warehouse
from shared.fraud.backtest import Fate, backtest_sql, summed
from shared.fraud.features import NAMES, SCHEMA_VERSION
from shared.fraud.rules import Rule, Scope, Segment, State, Table
from tests.builders import DAY, NOON
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
        "other_schema": draw(st.sampled_from([False, False, False, True])),
        "amount": draw(st.sampled_from([None, ("EUR", 999), ("JPY", 500)])),
    }


def rows_of(decision: Mapping[str, Any], event_id: str, at: Any) -> list[dict[str, Any]]:
    values = {**NOTHING, **decision["values"]}
    currency, minor = decision["amount"] or (None, None)
    row = {
        "event_id": event_id,
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


def fate_of(decision: Mapping[str, Any], *, mature: bool) -> Fate:
    if decision["fraud"] == "now":
        return Fate.FRAUD if mature else Fate.EARLY_FRAUD
    if decision["step"] in (None, "declined"):
        return Fate.UNTOLD
    return Fate.GENUINE if mature else Fate.YOUNG


def ask(warehouse: Warehouse, candidates: list[Rule], live: list[Rule], since: Any, matured: Any) -> Any:
    sql, texts = backtest_sql(candidates, live)
    within = {"since": since, "until": since + DAY, "matured_until": matured, "from_sample": "00", "sample": "ff"}
    return summed(warehouse.query(sql, {**texts, **within}, bound=Bound(10**9, 60.0)), candidates, live)


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
    others, rows = 0, list[dict[str, Any]]()
    for n, decision in enumerate(told):
        at = since + n * timedelta(hours=4)
        event_id = f"{since:%Y%m%d}-{n}"
        rows += rows_of(decision, event_id, at)
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
