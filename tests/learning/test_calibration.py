"""Probabilities from log-odds, where there is little or nothing to learn them from."""

import numpy as np
import pytest

from shared.fraud import model
from shared.learning.data_set import Floats
from shared.learning.fit import SIGMOID_FROM, calibrated, calibration

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
