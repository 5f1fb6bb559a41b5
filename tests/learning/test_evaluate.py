"""How good a score is does not depend on the order in which its rows happen to lie."""

import math
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.learning.evaluate import Quality, evaluate


def quality(rows: list[tuple[float, bool, float]]) -> Quality:
    score, fraud, weight = (np.array(column) for column in zip(*rows, strict=True))
    return evaluate(score.astype(np.float64), fraud.astype(np.bool_), weight.astype(np.float64), {"review": 0.5})


some_rows = st.lists(
    st.tuples(
        st.sampled_from([0.0, 0.1, 0.5, 0.9]) | st.floats(0, 1), st.booleans(), st.sampled_from([1.0, 3.7, 10.1])
    ),
    min_size=2,
    max_size=40,
).filter(lambda rows: len({fraud for _, fraud, _ in rows}) == 2)


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_any_order_of_the_rows_gives_the_same_numbers_to_the_bit(data: st.DataObject) -> None:
    rows = data.draw(some_rows)
    assert quality(data.draw(st.permutations(rows))) == quality(rows)


@pytest.mark.parametrize("place", range(4))
def test_the_lift_of_tied_payments_is_what_a_draw_among_them_finds(place: int) -> None:
    """100 payments, 5 frauds; of the four with the highest score one is fraud: the riskiest one is 5 times the prior."""
    top = [(0.9, index == place, 1.0) for index in range(4)]
    rest = [(0.1, index < 4, 1.0) for index in range(96)]
    assert quality(top + rest).lift_at_1_percent == pytest.approx(5.0)


def test_a_score_that_tells_nothing_apart_lifts_nothing() -> None:
    found = quality([(0.3, index < 7, 1.0) for index in range(350)])
    assert found.lift_at_1_percent == pytest.approx(1)
    assert found.recall_at_1_percent_false == pytest.approx(0.01)
    assert found.average_precision == pytest.approx(found.prior)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.sampled_from([0.2, 0.8]), st.booleans()), min_size=3, max_size=5))
def test_ties_count_as_the_mean_over_every_way_to_break_them(told: list[tuple[float, bool]]) -> None:
    told = [*told, (0.8, True), (0.2, False)]
    rows = [(score, fraud, 1.0) for score, fraud in told]
    prior = sum(fraud for _, fraud in told) / len(told)
    firsts = [next(fraud for score, fraud in order if score == 0.8) for order in permutations(told)]
    assert quality(rows).lift_at_1_percent == pytest.approx(sum(firsts) / math.factorial(len(told)) / prior)


def test_untied_rows_are_measured_as_ever() -> None:
    rows = [(1 - index / 1000, index in (0, 3, 12, 400), 1.0) for index in range(1000)]
    found = quality(rows)
    assert found.lift_at_1_percent == pytest.approx(2 / 10 / 0.004)
    assert found.recall_at_1_percent_false == pytest.approx(2 / 4)  # nine of 996 genuine ones may be above


def test_a_row_that_stands_for_many_payments_counts_as_many() -> None:
    thinned = [(0.9, True, 1.0), (0.9, False, 10.0), (0.1, True, 1.0), (0.1, False, 10.0)]
    whole = [(score, fraud, 1.0) for score, fraud, weight in thinned for _ in range(int(weight))]
    few, many = quality(thinned), quality(whole)
    for name in ("average_precision", "roc_auc", "recall_at_1_percent_false", "lift_at_1_percent", "brier", "prior"):
        assert getattr(few, name) == pytest.approx(getattr(many, name))
