"""The gate tells a worse model from bad luck, in money, and says when it cannot."""

from dataclasses import replace

import numpy as np
import pytest

from shared.learning.compare import BLOCK_MICROSECONDS, Comparison, Interval, average_precision, compare
from shared.learning.data_set import Floats, Table
from shared.learning.evaluate import evaluate
from shared.learning.promote import objections

HOURS = 24 * 30


def payments(frauds: int = 120, rows: int = 2500, raid: int = 1, seed: int = 0) -> Table:
    """A month of payments; frauds of ten and of a hundred euros in turn, `raid` of them in one hour."""
    chance = np.random.default_rng(seed)
    fraud = np.arange(rows) < frauds
    hour = chance.integers(HOURS, size=rows)
    hour[:frauds] = np.repeat(chance.integers(HOURS, size=frauds // raid), raid)
    amount = np.where(np.arange(rows) % 2 == 0, 1_000.0, 10_000.0)
    return Table(("amount",), amount[:, None], fraud, hour * BLOCK_MICROSECONDS, np.where(fraud, 1.0, 10.0))


def scored(of: Table, strength: float, seed: int) -> Floats:
    noise: Floats = np.random.default_rng(seed).normal(size=len(of))
    return noise + strength * of.fraud


def gate(comparison: Comparison | None, of: Table, score: Floats, least: int = 50) -> list[str]:
    quality = evaluate(score, of.fraud, of.weight, {})
    return objections(quality, average_precision(score, of, 0), comparison, least)


def test_a_model_is_as_good_as_itself_and_nothing_is_said_against_it() -> None:
    of = payments()
    score = scored(of, 3, seed=1)
    comparison = compare(score, score, of, 0)
    assert comparison.money == comparison.average_precision == Interval(low=0, estimate=0, high=0)
    assert 0.5 < comparison.champion == comparison.challenger < 1
    assert gate(comparison, of, score) == []


def test_a_little_noise_is_let_pass_and_a_worse_model_is_not() -> None:
    of = payments()
    champion = scored(of, 3, seed=1)
    nearly = champion + np.random.default_rng(2).normal(size=len(of)) / 20
    assert gate(compare(nearly, champion, of, 0), of, nearly) == []
    worse = champion + np.random.default_rng(2).normal(size=len(of)) * 2
    [objection] = gate(compare(worse, champion, of, 0), of, worse)
    assert objection.startswith("worse than the champion: ")
    assert gate(compare(champion, worse, of, 0), of, champion) == []


def test_what_cannot_be_told_is_not_taken_for_nothing() -> None:
    few = payments(frauds=20)
    champion = scored(few, 3, seed=1)
    [objection] = gate(compare(champion, champion, few, 0), few, champion)
    assert "20 frauds are too few" in objection
    other = scored(few, 3, seed=9)
    [objection] = gate(compare(other, champion, few, 0), few, other, least=10)
    assert "perhaps worse" in objection
    nothing = few.part(~few.fraud)
    assert "0 frauds are too few" in gate(compare(other[20:], champion[20:], nothing, 0), few, champion)[0]


def test_luck_with_a_few_frauds_is_no_reach() -> None:
    of = payments(frauds=8)
    score = np.random.default_rng(1).normal(size=len(of))
    score[0] = 9.0  # one of eight stands first; of the others it knows nothing
    assert evaluate(score, of.fraud, of.weight, {}).average_precision > 10 * 8 / of.weight.sum()
    assert any("average precision" in objection for objection in gate(None, of, score))
    assert gate(None, of, scored(of, 5, seed=1)) == []


def test_who_catches_the_dear_ones_is_better_at_the_same_number_of_frauds_and_false_alarms() -> None:
    of = payments()
    dear = of.values[:, 0] > 5_000
    low, high = (scored(of, 0, seed=1) + 9 * (of.fraud & which) for which in (~dear, dear))
    comparison = compare(high, low, of, 0)
    assert comparison.money.low > 0.6
    assert comparison.average_precision.low < 0 < comparison.average_precision.high
    assert gate(compare(low, high, of, 0), of, low)[0].startswith("worse than the champion")
    # Where no amount is known each fraud counts as one.
    unknown = replace(of, values=np.full((len(of), 1), np.nan))
    assert abs(compare(high, low, unknown, 0).money.estimate) < 0.05


@pytest.mark.parametrize("measure", ["money", "average_precision"])
def test_frauds_of_one_raid_are_less_evidence_than_as_many_apart(measure: str) -> None:
    widths = []
    for raid in (1, 20):
        of = payments(raid=raid)
        # Which of the two finds a raid is one matter, not twenty.
        finds = np.repeat(np.random.default_rng(5).random(120 // raid) < 0.5, raid)
        found = np.zeros(len(of), dtype=np.bool_)
        found[:120] = finds
        base = scored(of, 0, seed=3)
        interval = getattr(compare(base + 9 * found, base + 9 * (of.fraud & ~found), of, 0), measure)
        widths.append(interval.high - interval.low)
    assert widths[1] > 2 * widths[0]


def test_the_same_rows_in_another_order_give_the_same_interval() -> None:
    of = payments()
    new, old = scored(of, 3, seed=1), scored(of, 2, seed=2)
    shuffled = np.random.default_rng(4).permutation(len(of))
    again = Table(of.columns, of.values[shuffled], of.fraud[shuffled], of.at[shuffled], of.weight[shuffled])
    first, second = compare(new, old, of, 0), compare(new[shuffled], old[shuffled], again, 0)
    assert first.money.estimate == pytest.approx(second.money.estimate)
    assert first.money.low == pytest.approx(second.money.low)


def test_frauds_of_two_raids_decide_neither_for_nor_against_a_model() -> None:
    of = payments(frauds=120, raid=60)
    good, bad = scored(of, 3, seed=1), scored(of, 1, seed=2)
    for challenger, champion in ((good, bad), (bad, good)):
        comparison = compare(challenger, champion, of, 0)
        assert (comparison.frauds, comparison.hours) == (120, 2)
        assert "120 frauds in 2 hours are too few raids" in " ".join(gate(comparison, of, challenger))
