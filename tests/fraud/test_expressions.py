"""A rule's condition: what an analyst may write, and that it means here what it means in the warehouse."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.backends.local.warehouse import LocalWarehouse
from shared.domain.errors import Rejected
from shared.fraud.expressions import DEEPEST, LARGEST, Tree, compiled, features_of, sql_of
from shared.fraud.features import NAMES
from shared.fraud.parsing import LONGEST, parse

NOTHING: Mapping[str, float | None] = dict.fromkeys(NAMES)


@pytest.fixture(scope="module")
def warehouse() -> Iterator[LocalWarehouse]:
    with TemporaryDirectory() as folder:
        yield LocalWarehouse(Path(folder))


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        (
            "device_new_cards_1h >= 4 AND device_declined_1h >= 2",
            ["and", [">=", "device_new_cards_1h", 4], [">=", "device_declined_1h", 2]],
        ),
        ("amount < 2 and (weekday = 1 and hour_of_day != 2.5)", None),
        ("amount BETWEEN 1 AND 5", ["and", [">=", "amount", 1], ["<=", "amount", 5]]),
        ("amount NOT IN (1, -2)", ["not", ["in", "amount", 1, -2]]),
        ("amount IS NOT NULL OR FALSE", ["or", ["not", ["is null", "amount"]], False]),
        ("card_declined_24h * 2 > card_payments_24h", [">", ["*", 2, "card_declined_24h"], "card_payments_24h"]),
        ("COALESCE(amount, 0) - 1e3 <= 0.25", ["<=", ["-", ["coalesce", "amount", 0], 1000], 0.25]),
    ],
)
def test_what_an_analyst_writes_becomes_a_tree_and_its_sql_becomes_the_same_tree(text: str, tree: Tree) -> None:
    parsed = parse(text)
    assert tree is None or parsed == tree
    assert parse(sql_of(parsed)) == parsed


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("device_new_card_1h >= 4", "no feature is called device_new_card_1h; the nearest: device_new_cards_1h"),
        ("zzz > 1", "no feature is called zzz"),
        ("amount", "amount is a number where a condition is asked"),
        ("amount AND weekday > 1", "amount is a number where a condition is asked"),
        ("amount > TRUE", "not a number"),
        ("(amount > 1) > 1", "not a number"),
        ("amount = 'x'", "features are numbers, and 'x' is a text"),
        # As in the warehouse, where it is no name of a column.
        ('amount = "weekday"', "features are numbers, and 'weekday' is a text"),
        ("amount = NULL", "write IS NULL"),
        ("amount / 2 > 1", "rules do not know DIV"),
        ("amount * weekday > 1", "a product is of a literal"),
        ("EXP(amount) > 1", "rules do not know EXP(amount)"),
        ("f.amount > 1", "rules do not know f.amount"),
        ("amount > (SELECT 1)", "rules do not know SUBQUERY"),
        ("amount IN (SELECT 1)", "rules do not know IN"),
        ("amount > @x", "rules do not know PARAMETER"),
        ("amount > 1 AS x", "rules do not know ALIAS"),
        ("SELECT 1", "rules do not know SELECT"),
        ("amount > 1; DROP TABLE payments", "write one condition"),
        ("", "write one condition"),
        ("amount > 1 GROUP BY 1", "not SQL that can be read"),
        ("amount > 1e400", "not a number between"),
        ("(" * 3000, "not SQL that can be read"),
        ("NOT " * 20 + "amount > 1", f"nested more than {DEEPEST} deep"),
        (" OR ".join(["amount > 1"] * 80), "more than 200 parts"),
        ("x" * (LONGEST + 1), "at most 4000 characters"),
    ],
)
def test_what_is_no_condition_is_refused_in_a_sentence(text: str, sentence: str) -> None:
    with pytest.raises(Rejected) as refused:
        parse(text)
    assert sentence in str(refused.value)


@pytest.mark.parametrize(
    "tree",
    [
        "amount",
        7,
        None,
        [],
        ["and"],
        ["and", True],
        [">=", "amount"],
        [">=", "amount", None],
        [">=", "amount", "nobody"],
        ["in", "amount"],
        ["in", "amount", "weekday"],
        [">", ["coalesce", "amount", "weekday"], 1],
        [">", "amount", float("nan")],
        [">", "amount", 1e16],
        ["drop", "amount", 1],
        {"and": 1},
    ],
)
def test_a_stored_tree_that_is_no_condition_is_refused(tree: Tree) -> None:
    with pytest.raises(ValueError, match=r"condition|number|feature"):
        compiled(tree)


USED = ("amount", "weekday", "card_declined_1h", "amount_over_card_mean")
LITERALS = st.one_of(st.integers(-3, 3), st.sampled_from([0.1, 0.2, 0.30000000000000004, -2.5, 1e-9, LARGEST]))
NUMBERS = st.recursive(
    st.one_of(st.sampled_from(USED), LITERALS),
    lambda parts: st.one_of(
        st.tuples(st.sampled_from(["+", "-"]), parts, parts).map(list),
        st.tuples(st.just("*"), LITERALS, parts).map(list),
        st.tuples(st.just("coalesce"), st.sampled_from(USED), LITERALS).map(list),
    ),
    max_leaves=4,
)
CONDITIONS = st.recursive(
    st.one_of(
        st.booleans(),
        st.tuples(st.sampled_from(["=", "<>", "<", "<=", ">", ">="]), NUMBERS, NUMBERS).map(list),
        st.tuples(st.just("is null"), NUMBERS).map(list),
        st.tuples(NUMBERS, st.lists(LITERALS, min_size=1, max_size=3)).map(lambda made: ["in", made[0], *made[1]]),
    ),
    lambda parts: st.one_of(
        parts.map(lambda part: ["not", part]),
        st.tuples(st.sampled_from(["and", "or"]), st.lists(parts, min_size=2, max_size=3)).map(
            lambda made: [made[0], *made[1]]
        ),
    ),
    max_leaves=6,
)
VALUES = st.one_of(
    st.none(), st.sampled_from([0.0, 1.0, 2.0, -1.0, 0.1, 0.2, 0.30000000000000004]), st.floats(-1e9, 1e9)
)
VECTORS = st.lists(st.fixed_dictionaries(dict.fromkeys(USED, VALUES)), min_size=1, max_size=8)


@settings(max_examples=50, deadline=None)
@given(tree=CONDITIONS, vectors=VECTORS)
def test_a_condition_answers_here_what_it_answers_in_the_warehouse(
    warehouse: LocalWarehouse, tree: Tree, vectors: list[dict[str, float | None]]
) -> None:
    condition = compiled(tree)
    here = [condition({**NOTHING, **vector}) for vector in vectors]
    parameters: dict[str, Any] = {}
    rows = []
    for n, vector in enumerate(vectors):
        columns = []
        for name in USED:
            value, told = vector[name], "NULL"
            if value is not None:
                told = f"@p{len(parameters)}"
                parameters[f"p{len(parameters)}"] = value
            columns.append(f"CAST({told} AS FLOAT64) AS {name}")
        rows.append(f"SELECT {n} AS nth, {', '.join(columns)}")
    sql = f"SELECT nth, {sql_of(tree)} AS held FROM ({' UNION ALL '.join(rows)}) AS vectors ORDER BY nth"
    assert [row["held"] for row in warehouse.query(sql, parameters)] == here


@pytest.mark.parametrize(
    "text",
    [
        "1000000000000000 * 1000000000000000 > amount",
        "10 * (1000000000 * 1000000000) = amount",
        "1000000000000000 * (1000000000000000 * weekday) > amount",
    ],
)
def test_a_product_of_the_largest_whole_numbers_is_one_in_the_warehouse_too(
    warehouse: LocalWarehouse, text: str
) -> None:
    tree = parse(text)
    sql = f"SELECT {sql_of(tree)} AS held FROM (SELECT CAST(@amount AS FLOAT64) AS amount, 1e0 AS weekday) AS vectors"
    [row] = warehouse.query(sql, {"amount": 1e19})
    assert row["held"] is True
    assert compiled(tree)({**NOTHING, "amount": 1e19, "weekday": 1.0}) is True


def test_the_features_of_a_condition_are_those_that_it_looks_at() -> None:
    assert features_of(parse("amount > 1 OR (weekday IS NULL AND amount < card_declined_1h * 2)")) == {
        "amount",
        "weekday",
        "card_declined_1h",
    }
