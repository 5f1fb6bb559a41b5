"""How long fraud takes to be known, and what is learned of payments that are too young to be sure of."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from shared.learning.maturity import LEAST_KNOWN, LEAST_WATCHED, Maturity, maturity

Days = NDArray[np.int64]
WATCHED = 120
AGES = (0, 3, 7, 14, 30, 45, 60, 90, WATCHED)


def a_world(payments: int, seed: int, oldest: int = 300) -> tuple[Days, Days, list[str]]:
    """Frauds of payments of all ages: six in ten are reported within days, the others disputed within weeks."""
    chance = np.random.default_rng(seed)
    reported = chance.random(payments) < 0.6
    delay = np.where(reported, chance.exponential(5, payments), chance.gamma(4, 9, payments)).astype(np.int64)
    age = chance.integers(0, oldest, payments)
    return delay, age, ["early_fraud_warning" if one else "dispute" for one in reported]


def learned(delay: Days, age: Days, sources: list[str]) -> Maturity:
    """What is learned of those that are known."""
    known = delay <= age
    of = [source for source, is_known in zip(sources, known, strict=True) if is_known]
    return maturity(delay[known], age[known], of, watched_days=WATCHED, mature_days=60, complete=0.95)


def test_what_is_not_known_yet_is_missed_by_no_curve() -> None:
    # Young payments are many, as in a shop that grows, so that what is known of them is mostly what is told quickly.
    delay, age, sources = a_world(40_000, seed=1)
    age = (age * age) // 300
    found = learned(delay, age, sources)
    known = delay <= age
    for at in AGES:
        truth = float(np.mean(delay <= at))
        assert found.known[at] == pytest.approx(truth, abs=0.02), at
    # Counted as they are seen, a third and more of the way to certainty would be invented.
    assert float(np.mean(delay[known] <= 7)) > float(np.mean(delay <= 7)) + 0.05
    assert found.known[found.mature_days] >= 0.95 > found.known[found.mature_days - 1]


def test_payments_of_today_say_nothing_of_what_tomorrow_brings() -> None:
    delay, age = np.array([0] * 20 + [1] * 20 + [0] * 1_000), np.array([WATCHED] * 40 + [0] * 1_000)
    assert learned(delay, age, ["dispute"] * len(age)).known[:2].tolist() == [0.5, 1.0]


def test_each_source_has_its_own_curve_and_a_rare_one_that_of_all() -> None:
    delay, age, sources = a_world(8_000, seed=2)
    sources[:40] = ["manual_review"] * 40
    found = learned(delay, age, sources)
    assert set(found.by_source) == {"early_fraud_warning", "dispute"}
    assert found.by_source["early_fraud_warning"][14] > 0.9
    assert found.by_source["dispute"][14] < 0.2


@pytest.mark.parametrize("told_in_time", [0, 2])
def test_frauds_that_were_all_heard_of_too_late_make_no_payment_mature(told_in_time: int) -> None:
    delay = np.array([0] * told_in_time + [WATCHED + 180] * 200)
    found = learned(delay, np.full(len(delay), WATCHED + 200), ["dispute"] * len(delay))
    assert (found.mature_days, found.counted) == (60, 0)


def test_before_enough_old_frauds_are_there_an_operators_word_counts() -> None:
    delay, age, sources = a_world(500, seed=3, oldest=WATCHED)
    found = learned(delay, age, sources)
    assert (found.mature_days, found.counted, found.by_source) == (60, 0, {})
    assert found.known_at(np.array([59, 60])).tolist() == [0.0, 1.0]
    frauds = np.ones(2, dtype=np.bool_)
    assert found.taught_by(frauds, np.array([59, 60]), np.zeros(2)).tolist() == [False, True]
    age[:LEAST_WATCHED] = WATCHED
    assert learned(np.minimum(delay, 5), age, sources).counted > 0


def test_a_young_day_has_the_odds_that_it_will_have_in_the_end() -> None:
    delay, age, sources = a_world(20_000, seed=4)
    found = learned(delay, age, sources)
    chance = np.random.default_rng(5)
    payments = 3_000_000
    later, ages, _ = a_world(payments, seed=6)
    will_be = chance.random(payments) < 0.02
    fraud = will_be & (later <= ages)
    taught = found.taught_by(fraud, ages, chance.random(payments))
    for young in range(5, found.mature_days, 10):
        of = taught & (ages >= young) & (ages < young + 10)
        assert fraud[of].mean() == pytest.approx(0.02, rel=0.1), young
    # No fraud that is known waits for its payment to be old, but where next to nothing is known of its age.
    assert not (fraud & ~taught & (found.known_at(ages) >= LEAST_KNOWN)).any()
    assert taught[ages >= found.mature_days].all()


@given(
    st.lists(
        st.tuples(st.integers(0, 200), st.integers(0, 300), st.sampled_from(["a", "b"])).filter(lambda o: o[0] <= o[1]),
        max_size=200,
    ),
    st.randoms(use_true_random=False),
)
def test_a_curve_never_falls_and_no_order_of_frauds_matters(frauds: list[tuple[int, int, str]], chance: object) -> None:
    frauds = [*frauds, *[(1, 200, "a")] * LEAST_WATCHED]
    mixed = frauds.copy()
    chance.shuffle(mixed)  # type: ignore[attr-defined]
    curves = []
    for told in (frauds, mixed):
        delay, age = (np.array([one[place] for one in told], dtype=np.int64) for place in (0, 1))
        curves.append(learned(delay, age, [one[2] for one in told]).known)
    assert np.allclose(curves[0], curves[1])
    assert np.all(np.diff(curves[0]) >= -1e-9)
    assert 0 <= curves[0][0] <= curves[0][-1] == 1.0
