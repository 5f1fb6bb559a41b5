"""Candidates see what a feature would see: what was told before."""

from datetime import timedelta

import numpy as np

from shared.learning.data_set import Table
from tests.benchmarks.candidates import FAMILIES, Counts, beside, computed
from tests.benchmarks.simulated_shop import Shop
from tests.builders import NOON
from tests.simulator.facts import FactKind
from tests.simulator.world import DAY, HOUR, SCALES, World


def a_shop(until: timedelta) -> Shop:
    """What was told of a small world by then."""
    world = World(SCALES["short"], 7)
    facts = tuple(world.until(world.start + until))
    names = [fact.attempt.id for fact in facts if fact.kind in (FactKind.AUTHORIZED, FactKind.DECLINED)]
    rows = len(names)
    at = np.arange(rows, dtype=np.int64)
    table = Table(("one",), np.zeros((rows, 1)), np.zeros(rows, dtype=np.bool_), at, np.ones(rows))
    flags = np.zeros(rows, dtype=np.bool_)
    return Shop(table, flags, np.array([""] * rows), np.zeros(rows), world.start, names, facts)


def test_what_comes_later_changes_no_candidate() -> None:
    early, late = computed(a_shop(30 * DAY)), computed(a_shop(45 * DAY))
    for family in FAMILIES:
        rows = len(early[family])
        assert 200 < rows < len(late[family])
        np.testing.assert_array_equal(early[family], late[family][:rows])
        assert np.nanstd(late[family]) > 0 or family == "two hops"


def test_counts_reach_back_over_their_window_and_no_further() -> None:
    counts = Counts()
    for hours in (0, 23, 24, 29 * 24, 31 * 24):
        counts.add(("card", "fp_1"), NOON - hours * HOUR)
    assert [counts.within(("card", "fp_1"), NOON, window) for window in (HOUR, DAY, 30 * DAY)] == [1, 2, 4]
    assert counts.within(("card", "fp_2"), NOON, DAY) == 0


def test_a_candidate_stands_behind_the_columns_that_there_are() -> None:
    told = a_shop(20 * DAY)
    wide = beside(told, np.ones((len(told.table), 2))).table
    assert wide.columns == ("one", "candidate_0", "candidate_1")
    assert wide.values.sum(axis=0).tolist() == [0.0, len(told.table), len(told.table)]
