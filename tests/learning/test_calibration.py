"""Probabilities from log-odds, where there is little or nothing to learn them from."""

import numpy as np
import pytest

from shared.fraud import model
from shared.learning.data_set import Flags, Floats
from shared.learning.fit import ISOTONIC_FROM, SIGMOID_FROM, calibrated, calibration

PAYMENTS = 200
NOISE: Floats = np.random.default_rng(0).normal(size=PAYMENTS)


def told_apart(frauds: int) -> Floats:
    return np.where(np.arange(PAYMENTS) < frauds, 4.0, -4.0)


@pytest.mark.parametrize(
    ("raw", "frauds"),
    [
        (NOISE, 0),
        (NOISE, PAYMENTS),
        (NOISE, SIGMOID_FROM - 1),
        (np.zeros(PAYMENTS), 20),
        (told_apart(20), 20),
        (-told_apart(20), 20),
    ],
    ids=["no fraud", "nothing but fraud", "too few frauds", "one score", "told apart", "upside down"],
)
def test_probabilities_are_probabilities_and_rise_with_the_score(raw: Floats, frauds: int) -> None:
    by = calibration(raw, np.arange(PAYMENTS) < frauds, np.ones(PAYMENTS), 1.0)
    scores = calibrated(np.linspace(-6, 6, 50), by)
    assert np.isfinite(scores).all()
    assert (scores > 0).all()
    assert (scores < 1).all()
    assert (np.diff(scores) > 0).all()
    walked = model._calibration(by)
    assert [walked(raw) for raw in np.linspace(-6, 6, 50).tolist()] == pytest.approx(scores.tolist(), abs=1e-12)


@pytest.mark.parametrize("frauds", [0, PAYMENTS, SIGMOID_FROM - 1])
def test_with_nothing_to_learn_from_only_the_thinning_out_is_put_right(frauds: int) -> None:
    by = calibration(NOISE, np.arange(PAYMENTS) < frauds, np.ones(PAYMENTS), 0.25)
    # Odds of a quarter: three genuine payments of four were left out.
    odds = calibrated(np.zeros(1), by) / (1 - calibrated(np.zeros(1), by))
    assert odds[0] == pytest.approx(0.25)


def by_chance(payments: int, slope: float, intercept: float, spread: float) -> tuple[Floats, Flags]:
    """Scores, and frauds that follow a logistic curve of theirs."""
    chance = np.random.default_rng(5)
    raw = chance.normal(scale=spread, size=payments)
    return raw, chance.random(payments) < 1 / (1 + np.exp(-(slope * raw + intercept)))


@pytest.mark.parametrize("share", [1.0, 0.05])
@pytest.mark.parametrize(
    ("raw", "fraud"),
    [
        by_chance(3000, 1.0, -2.0, 1.0),
        by_chance(3000, 0.02, -3.0, 60.0),
        by_chance(1500, 40.0, -1.0, 0.05),
        (told_apart(20), np.arange(PAYMENTS) < 20),
        (told_apart(20) - 12, np.arange(PAYMENTS) < 20),
        (NOISE + np.linspace(1, 0, PAYMENTS), np.arange(PAYMENTS) < SIGMOID_FROM),
    ],
    ids=["usual", "wide", "narrow", "told apart", "far away", "just enough frauds"],
)
def test_a_sigmoid_is_the_likeliest_for_smoothed_targets(raw: Floats, fraud: Flags, share: float) -> None:
    """Platt 1999: fraud counts as (n+1)/(n+2) and the rest as 1/(m+2). The likeliest curve expects as many frauds as
    there are, and expects them where they are: both derivatives of the likelihood are nought."""
    weight = np.where(fraud, 1.0, 1 / share)
    by = calibration(raw, fraud, weight, share)
    assert by["kind"] == "sigmoid"
    frauds, rest = weight[fraud].sum(), weight[~fraud].sum()
    target = np.where(fraud, (frauds + 1) / (frauds + 2), 1 / (rest + 2))
    missed = weight * (calibrated(raw, by) - target)
    assert missed.sum() == pytest.approx(0, abs=1e-6)
    assert (missed * (raw - raw.mean()) / raw.std()).sum() == pytest.approx(0, abs=1e-6)


def test_scores_that_are_upside_down_are_not_turned_round() -> None:
    by = calibration(-told_apart(20), np.arange(PAYMENTS) < 20, np.ones(PAYMENTS), 0.5)
    assert by == {"kind": "sigmoid", "slope": 1.0, "intercept": pytest.approx(np.log(0.5))}


def steps(*told: tuple[float, int, int]) -> tuple[Floats, Flags]:
    """Payments with few different scores: (score, frauds, genuine)."""
    raw = np.concatenate([np.full(frauds + rest, score) for score, frauds, rest in told])
    return raw, np.concatenate([np.arange(frauds + rest) < frauds for _, frauds, rest in told])


def test_many_frauds_bend_a_curve_that_never_falls_and_never_reaches_nothing_or_one() -> None:
    """What lies the wrong way round is pooled: 40 of 400 at -1 and 10 of 200 at 0 are 50 of 600 at both."""
    raw, fraud = steps((-3, 0, 500), (-1, 40, 360), (0, 10, 190), (2, 600, 600), (5, ISOTONIC_FROM - 650, 0))
    by = calibration(raw, fraud, np.ones(len(raw)), 1.0)
    assert by["kind"] == "isotonic"
    asked = np.array([-9.0, -3.0, -1.0, 0.0, 1.0, 2.0, 5.0, 9.0])
    between = (50 / 600 + 1 / 2) / 2
    told = [1e-6, 1e-6, 50 / 600, 50 / 600, between, 0.5, 1 - 1e-6, 1 - 1e-6]
    assert calibrated(asked, by).tolist() == pytest.approx(told, rel=1e-9)
    walked = model._calibration(by)
    assert [walked(raw) for raw in asked.tolist()] == pytest.approx(told, rel=1e-9)


def test_a_curve_counts_a_row_for_as_many_payments_as_it_stands_for() -> None:
    raw, fraud = steps((0, 400, 100), (1, 600, 50))
    by = calibration(raw, fraud, np.where(fraud, 1.0, 20.0), 0.05)
    assert calibrated(np.array([0.0, 1.0]), by).tolist() == pytest.approx([400 / 2400, 600 / 1600])


def test_a_curve_is_bent_by_a_thousand_frauds_and_by_no_fewer() -> None:
    raw, fraud = by_chance(5000, 1.0, -0.5, 1.0)
    enough = np.cumsum(fraud) <= ISOTONIC_FROM
    fewer = np.cumsum(fraud) < ISOTONIC_FROM
    for kept, kind in ((enough, "isotonic"), (fewer, "sigmoid")):
        assert calibration(raw[kept], fraud[kept], np.ones(kept.sum()), 1.0)["kind"] == kind
