"""A model's card says where it is weak, with how sure one may be, and its page shows that without running anything."""

import re
from dataclasses import replace
from xml.etree import ElementTree

import numpy as np
import pytest

from shared.learning import card, page
from shared.learning.card import Card, Part
from shared.learning.compare import BLOCK_MICROSECONDS, Interval, average_precision, draws
from shared.learning.data_set import Table
from shared.learning.evaluate import evaluate
from shared.learning.fit import fit
from shared.learning.request import TrainingRequest
from tests.fraud.forests import noise

COLUMNS = ("amount", "since_first_of_customer", "strong", "weak", *(f"f{index}" for index in range(6)))
REVIEW = 0.5
EVIL = '"><script>alert(1)</script>'


def payments(rows: int = 4000) -> tuple[Table, np.ndarray[tuple[int], np.dtype[np.float64]], list[str | None]]:
    """Payments with the scores of a model that sees fraud in France and is blind to it in Spain."""
    chance = np.random.default_rng(1)
    fraud = chance.random(rows) < 0.05
    country: list[str | None] = [("FR", "ES", None, EVIL)[index % 4] for index in range(rows)]
    seen = np.array([one == "FR" for one in country])
    score = np.where(fraud & seen, 0.9, np.where(fraud, 0.05, chance.random(rows) * 0.05))
    values = chance.normal(size=(rows, len(COLUMNS)))
    values[:, 0] = np.where(np.arange(rows) % 2, 999, 25_000)
    values[::3, 1] = np.nan
    at = np.sort(chance.integers(24 * 30, size=rows)) * BLOCK_MICROSECONDS
    return Table(COLUMNS, values, fraud, at, np.where(fraud, 1.0, 3.0)), score, country


def by_name(parts: tuple[Part, ...]) -> dict[str, Part]:
    return {part.name: part for part in parts}


def test_where_a_model_is_blind_its_card_says_so_with_the_range_of_chance() -> None:
    test, score, country = payments()
    parts = card.parts_of(test, {"country": country}, score, REVIEW, draws(test, 0, card.RESAMPLES))
    seen, blind, nobody = (by_name(parts["country"])[name].caught for name in ("FR", "ES", "not told"))
    assert seen == Interval(low=1, estimate=1, high=1)
    assert blind == nobody == Interval(low=0, estimate=0, high=0)
    spain = by_name(parts["country"])["ES"]
    assert spain.frauds == int(test.fraud[1::4].sum())
    assert spain.observed.low < spain.observed.estimate < spain.observed.high
    assert spain.observed.estimate == pytest.approx(spain.frauds / test.weight[1::4].sum())
    assert spain.expected == pytest.approx(np.average(score[1::4], weights=test.weight[1::4]))
    assert set(by_name(parts["customer"])) == {"known", "new, or not named"}
    assert set(by_name(parts["amount (EUR)"])) == {"below 10", "200 and more"}
    for dimension in parts.values():
        assert sum(part.frauds for part in dimension) == test.frauds


def test_rare_values_share_a_line_and_a_part_without_fraud_has_nothing_to_catch() -> None:
    test, score, _ = payments(400)
    rare: list[str | None] = [f"c{min(index, 30)}" for index in range(400)]
    parts = card.parts_of(test, {"country": rare}, score, REVIEW, draws(test, 0, card.RESAMPLES))["country"]
    assert len(parts) == card.LARGEST + 1
    assert parts[-1].name == "21 others"
    assert any(part.caught is None for part in parts) == any(part.frauds == 0 for part in parts)
    assert any(part.frauds == 0 for part in parts)


def test_the_commonest_values_are_those_that_most_payments_have_not_most_rows() -> None:
    common = 20 * card.LARGEST
    test, score, _ = payments(common + 40)
    test = replace(test, weight=np.where(np.arange(len(test)) < common, 3.0, 1.0))
    told: list[str | None] = [f"c{min(index // 20, card.LARGEST)}" for index in range(len(test))]
    parts = card.parts_of(test, {"country": told}, score, REVIEW, draws(test, 0, card.RESAMPLES))["country"]
    assert [part.payments for part in parts] == [60] * card.LARGEST + [40]
    assert parts[-1].name == "1 others"


def test_probabilities_that_come_true_lie_within_their_ranges_and_those_that_do_not_outside() -> None:
    chance = np.random.default_rng(2)
    score = np.sort(chance.beta(0.4, 12, size=20_000))
    fraud = chance.random(len(score)) < score
    test = Table((), np.empty((len(score), 0)), fraud, np.arange(len(score)) * BLOCK_MICROSECONDS, np.ones(len(score)))
    true, doubled = (
        card.calibration_of(test, one, REVIEW, draws(test, 0, card.RESAMPLES))
        for one in (score, np.minimum(2 * score, 1))
    )
    assert len(true) == card.BINS
    assert sum(part.observed.low <= part.expected <= part.observed.high for part in true) >= 8
    assert sum(part.observed.low <= part.expected <= part.observed.high for part in doubled) == 0


def test_what_splits_gained_by_is_named_first_also_through_the_copy_of_its_tail() -> None:
    known = noise(3000, COLUMNS)
    fitted = fit(known, COLUMNS[:6], TrainingRequest(iterations=30))
    importance = card.importance_of(fitted, COLUMNS)
    # Fraud in `noise` depends on these three.
    assert {one.feature for one in importance[:3]} == {COLUMNS[1], COLUMNS[2], COLUMNS[5]}
    assert sum(one.share for one in importance) == pytest.approx(1)


def a_card() -> Card:
    test, score, country = payments()
    fitted = fit(noise(3000, COLUMNS), (), TrainingRequest(iterations=5))
    return Card(
        model="ab" * 32,
        library="scikit-learn",
        schema_version="0" * 16,
        period={"test": {"rows": len(test), "frauds": test.frauds, "from": 0, "to": 86_400_000_000}},
        quality=evaluate(score, test.fraud, test.weight, {"review": REVIEW, "decline": 0.99}),
        precision=average_precision(score, test, 0, 50),
        thresholds={"review": REVIEW},
        parts=card.parts_of(test, {"country": country}, score, REVIEW, draws(test, 0, card.RESAMPLES)),
        calibration=card.calibration_of(test, score, REVIEW, draws(test, 0, card.RESAMPLES)),
        importance=card.importance_of(fitted, COLUMNS),
    )


def test_the_page_draws_every_part_and_takes_no_text_for_markup() -> None:
    of = a_card()
    shown = page.page(of)
    assert "<script" not in shown
    assert "http" not in shown.replace('xmlns="http://www.w3.org/2000/svg"', "")
    curve, bars = (ElementTree.fromstring(svg) for svg in re.findall(r"<svg.*?</svg>", shown))
    space = "{http://www.w3.org/2000/svg}"
    dots = curve.findall(f"{space}circle")
    assert len(dots) == len([part for part in of.calibration if part.expected > 0])
    assert all(0 <= float(dot.get("cx", "nan")) <= page.WIDTH for dot in dots)
    assert all(0 <= float(dot.get("cy", "nan")) <= page.HEIGHT for dot in dots)
    widths = [float(bar.get("width", "nan")) for bar in bars.findall(f"{space}rect")]
    assert widths == sorted(widths, reverse=True)
    assert len(widths) == len(of.importance)
    assert shown.count("<tr>") == sum(map(len, of.parts.values())) + len(of.parts) + 1 + 1 + 8 + 3
    for table in re.findall(r"<table.*?</table>", shown):
        assert all(cell.tail is None for cell in ElementTree.fromstring(table).iter()), "text beside cells"
    assert page.page(a_card()) == shown
