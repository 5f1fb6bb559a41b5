"""What the forest is made of: copies of long tails, and leaves as large as the number of frauds allows."""

import numpy as np
import pytest
from msgspec.structs import replace

from shared.learning.data_set import Floats, Table
from shared.learning.fit import Fitted, fit, tails_of, with_tails
from shared.learning.request import TrainingRequest

NOTHING = np.nan
ROWS = 1000


def a_table(frauds: int = 0, **columns: Floats) -> Table:
    rows = len(next(iter(columns.values())))
    return Table(
        tuple(columns),
        np.column_stack(list(columns.values())),
        np.arange(rows) < frauds,
        np.arange(rows, dtype=np.int64),
        np.ones(rows),
    )


def test_a_tail_begins_at_the_95th_percentile_of_what_is_there() -> None:
    rising = np.arange(ROWS, dtype=np.float64)
    half = np.where(rising % 2 == 0, rising, NOTHING)
    found = tails_of(a_table(other=rising, amount=rising * 10, age=half), ["age", "amount"])
    # Of 0, 10, … 9990 the next above 9490.5; of 0, 2, … 998 the next above 948.1. In the order in which they were asked for.
    assert found == ((2, 950.0), (1, 9500.0))


def test_a_tail_begins_above_the_floor_where_nearly_all_payments_lie_on_it() -> None:
    floor = np.zeros(20 * ROWS)
    floor[:ROWS] = 3.0 + np.arange(ROWS)
    assert tails_of(a_table(declines=floor[1:]), ["declines"]) == ((0, 4.0),)


def test_what_is_missing_constant_or_unknown_has_no_tail_and_takes_none_from_the_next() -> None:
    empty, constant = np.full(ROWS, NOTHING), np.full(ROWS, 4.0)
    rising = np.arange(ROWS, dtype=np.float64)
    whole = a_table(empty=empty, constant=constant, rising=rising)
    assert tails_of(whole, ["unknown", "empty", "constant", "rising"]) == ((2, 950.0),)


@pytest.mark.parametrize(("values", "copies"), [(255, 0), (256, 1)])
def test_what_takes_no_more_values_than_there_are_bins_has_no_tail(values: int, copies: int) -> None:
    counted = np.arange(ROWS, dtype=np.float64) % values
    assert len(tails_of(a_table(declines=counted), ["declines"])) == copies


def test_a_tails_copy_holds_the_tail_and_is_missing_below() -> None:
    values = np.array([[1.0, 10.0], [2.0, NOTHING], [3.0, 30.0]])
    copied = with_tails(values, [(1, 30.0), (0, 2.0)])
    told = [[1, 10, NOTHING, NOTHING], [2, NOTHING, NOTHING, 2], [3, 30, 30, 3]]
    np.testing.assert_array_equal(copied, np.array(told))
    np.testing.assert_array_equal(with_tails(values, []), values)


def fitted(frauds: int, rows: int = ROWS, **asked: float) -> Fitted:
    chance = np.random.default_rng(1)
    fraud = np.arange(rows) < frauds
    table = a_table(frauds, told=fraud + chance.normal(size=rows), empty=np.full(rows, NOTHING))
    return fit(table, ["told", "empty"], replace(TrainingRequest(iterations=3, leaves=4), **asked))


@pytest.mark.parametrize(
    ("frauds", "asked", "least"),
    [(30, {}, 10), (66, {}, 11), (120, {}, 20), (306, {}, 50), (400, {}, 50), (120, {"least_leaf": 77}, 77)],
)
def test_a_leaf_holds_a_sixth_of_the_frauds_or_what_is_asked(frauds: int, asked: dict[str, int], least: int) -> None:
    forest = fitted(frauds, leaves=255, **asked).forest
    assert forest.min_samples_leaf == least
    counts = [node["count"] for [tree] in forest._predictors for node in tree.nodes if node["is_leaf"]]
    assert min(counts) >= least


def test_what_is_asked_for_is_what_is_grown() -> None:
    forest = fitted(100, iterations=7, leaves=5, learning_rate=0.25, seed=3, split_part=0.75, l2=3.0).forest
    leaves = [int(tree.nodes["is_leaf"].sum()) for [tree] in forest._predictors]
    assert leaves == [5] * 7
    assert (forest.learning_rate, forest.random_state) == (0.25, 3)
    assert (forest.max_features, forest.l2_regularization) == (0.75, 3.0)
    # Every row teaches, also of more than 10 000, of which scikit-learn would hold some back to stop early.
    assert forest.early_stopping is False
    assert forest._predictors[0][0].nodes["count"][0] == 1000


def test_the_forest_asks_of_tails_and_never_of_what_was_missing_everywhere() -> None:
    grown = fitted(100)
    assert [column for column, _ in grown.tails] == [0]
    asked = {
        int(node["feature_idx"]) for [tree] in grown.forest._predictors for node in tree.nodes if not node["is_leaf"]
    }
    assert 1 not in asked
    values = np.array([[4.0, NOTHING], [-4.0, NOTHING]])
    risky, safe = grown.probability(values)
    assert 0 < safe < 0.1 < risky < 1
    assert grown.raw(values) == pytest.approx(np.log([risky / (1 - risky), safe / (1 - safe)]))
