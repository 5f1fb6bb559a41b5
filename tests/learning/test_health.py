"""Drift, bands and differences: numbers against what they should be, and chance that is not told."""

import numpy as np
import pytest

from shared.domain.codec import decode, encode
from shared.learning.data_set import Table
from shared.learning.health import ACT, Count, Reference, Spread, band, difference

ONES = np.ones


def spread(values: list[float], weight: list[float] | None = None) -> Spread:
    return Spread.of(np.array(values), np.array(weight) if weight else ONES(len(values)))


def test_a_spread_is_the_part_that_is_missing_and_the_parts_between_its_tenths() -> None:
    found = spread([float("nan"), *map(float, range(1, 10)), float("inf")])
    assert found.edges == tuple(map(float, range(1, 10)))
    assert found.parts == pytest.approx([1 / 11] * 11)


def test_a_row_that_stands_for_many_payments_counts_for_them() -> None:
    assert spread([1.0, 2.0], [9.0, 1.0]).parts == (0.0, 0.0, 0.9, 0.1)


def test_the_same_spread_has_not_moved_and_another_has() -> None:
    chance = np.random.default_rng(1)
    before = Spread.of(chance.lognormal(size=5000), ONES(5000))
    same, moved = (before.drift(chance.lognormal(mean=mean, size=2000)) for mean in (0.0, 0.8))
    assert same.stability < 0.03
    assert same.distance < 0.05
    assert moved.stability > ACT
    assert moved.distance > 0.25


def test_a_feature_that_is_suddenly_missing_has_moved() -> None:
    drift = spread([1.0, 2.0, 3.0]).drift(np.full(1000, np.nan))
    assert drift.stability > ACT
    assert drift.distance == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("before", "now"),
    [
        pytest.param([1.0] * 1000, [0.0] * 1000, id="a constant became a lower one"),
        pytest.param([0.0] * 50 + [1.0] * 950, [0.0] * 1000, id="what nearly all did nobody does"),
        pytest.param(
            [5.0] * 600 + [6.0, 7.0, 8.0, 9.0] * 100, [0.0] * 600 + [6.0, 7.0, 8.0, 9.0] * 100, id="the usual"
        ),
    ],
)
def test_a_feature_that_fell_from_its_usual_value_has_moved(before: list[float], now: list[float]) -> None:
    usual = spread(before)
    assert usual.drift(np.array(before)).stability == pytest.approx(0, abs=1e-9)
    assert usual.drift(np.array(now)).stability > ACT
    assert usual.drift(np.array(now)).distance > 0.5


def test_a_feature_that_hardly_anybody_has_can_be_measured() -> None:
    nothing = spread([float("nan")] * 5)
    assert nothing.edges == ()
    assert nothing.drift(np.full(1000, np.nan)).stability == pytest.approx(0, abs=1e-9)
    assert np.isfinite(nothing.drift(np.array([])).stability)


def test_a_reference_reads_back_as_it_was_written() -> None:
    table = Table(("a", "b"), np.array([[1.0, np.nan], [2.0, 3.0]]), np.array([True, False]), np.arange(2), ONES(2))
    reference = Reference.of(table, np.array([0.1, 0.9]))
    assert decode(encode(reference), Reference) == reference
    assert set(reference.features) == {"a", "b"}


def weeks(*rates: float, of: int = 2000) -> list[Count]:
    return [Count(of=of, with_it=round(rate * of)) for rate in rates]


def test_a_band_is_as_wide_as_chance_and_as_the_weeks_are_apart() -> None:
    calm, restless = band(weeks(0.9, 0.9, 0.9, 0.9), 2000), band(weeks(0.85, 0.95, 0.88, 0.92), 2000)
    assert calm is not None
    assert restless is not None
    assert calm[0] == pytest.approx(0.9 - 4 * (0.09 * (1 / 2000 + 1 / 8000)) ** 0.5, abs=1e-3)
    assert restless[0] < calm[0] < 0.9 < calm[1] < restless[1]


def test_few_payments_and_few_weeks_have_no_band() -> None:
    assert band(weeks(0.9, 0.9, 0.9), 199) is None
    assert band(weeks(0.9, 0.9), 2000) is None
    assert band([*weeks(0.9, 0.9), *weeks(0.9, of=199)], 2000) is None


def test_days_of_the_same_rate_are_in_their_band_and_a_release_that_declines_more_is_not() -> None:
    chance = np.random.default_rng(2)
    inside = 0
    for _ in range(500):
        before = [Count(of=800, with_it=int(chance.binomial(800, 0.93))) for _ in range(5)]
        limits = band(before, 600)
        assert limits is not None
        inside += limits[0] <= chance.binomial(600, 0.93) / 600 <= limits[1]
        assert not limits[0] <= 0.80 <= limits[1]
    assert inside >= 498


def test_a_rate_that_was_always_all_is_not_certain() -> None:
    limits = band(weeks(1.0, 1.0, 1.0), 1000)
    assert limits is not None
    assert limits[0] < 0.999


def test_a_difference_by_chance_includes_none_and_a_real_one_does_not() -> None:
    chance = difference(Count(of=1000, with_it=900), Count(of=9000, with_it=8150))
    assert chance.low < 0 < chance.high
    real = difference(Count(of=1000, with_it=800), Count(of=9000, with_it=8150))
    assert real.high < 0
    assert real.estimate == pytest.approx(0.8 - 8150 / 9000)


def test_an_interval_of_a_rate_holds_what_made_it_in_19_of_20_draws() -> None:
    chance = np.random.default_rng(3)
    drawn = (Count(of=60, with_it=int(chance.binomial(60, 0.1))).interval for _ in range(1000))
    assert 0.92 <= np.mean([one.low <= 0.1 <= one.high for one in drawn]) <= 0.99
    nothing = Count(of=0, with_it=0).interval
    assert (nothing.low, nothing.high) == (0.0, 1.0)
