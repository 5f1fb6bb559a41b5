"""What could be known of the Handbook's frauds at best."""

import numpy as np
import pytest

from shared.learning.data_set import Floats
from shared.learning.split import MICROSECONDS_A_DAY
from tests.benchmarks.handbook_world import LARGE, ROBBED, TAKEN_OVER, Transactions, chances

OTHERS = 100
"""Customers and terminals beside those that a test looks at."""
DELAY = 7


def the_chances(*told: tuple[float, int, int, float, int]) -> Floats:
    """Of the transactions (day, customer, terminal, amount, scenario), after thirty days on which all pay 20, and nothing
    else happens."""
    before = [(day / 2, who, who, 20.0, 0) for day in range(60) for who in range(OTHERS)]
    rows = np.array([*before, *((30 + day, *rest) for day, *rest in told)])
    day, customer, terminal, amount, scenario = rows.T
    at = (day * MICROSECONDS_A_DAY).astype(np.int64)
    whole = Transactions(at, customer.astype(int), terminal.astype(int), amount, scenario.astype(int))
    assert (np.diff(at) >= 0).all()
    return chances(whole, DELAY)[len(before) :]


def test_a_terminal_is_known_to_be_taken_over_once_a_fraud_there_was_told() -> None:
    early, told, over, after = the_chances(
        *((0.0, 1, 5, 20.0, TAKEN_OVER),),
        *((8.0, 2, 5, 20.0, TAKEN_OVER), (28.5, 3, 5, 20.0, 0), (29.5, 4, 5, 20.0, 0)),
    )
    assert (early < 0.2, told) == (True, 1.0)
    assert max(over, after) < 0.2


def test_a_terminal_that_was_free_lately_is_less_likely_to_be_taken_over() -> None:
    lately, long_ago = the_chances((6.9, 1, 5, 20.0, 0), (20.0, 1, 6, 20.0, 0))
    assert 0 < lately < long_ago < 1


def test_what_is_too_large_is_fraud() -> None:
    assert the_chances((1.0, 1, 1, LARGE + 0.01, 1)).tolist() == [1.0]


def test_a_customer_is_likely_robbed_who_pays_five_times_as_much_and_more_so_the_second_time() -> None:
    first, usual, second = the_chances((1.0, 1, 1, 55.0, 0), (1.5, 1, 1, 20.0, 0), (2.0, 1, 1, 55.0, ROBBED))
    assert usual < 0.2 < first < second


def test_what_is_known_to_have_been_genuine_speaks_for_the_customer() -> None:
    before, after = the_chances((1.0, 1, 1, 55.0, 0), (2.0, 1, 1, 55.0, 0))
    much_before, much_after = the_chances((1.0, 1, 1, 55.0, 0), (9.0, 1, 1, 55.0, 0))
    assert before == pytest.approx(much_before, abs=0.05)
    assert much_after < after
