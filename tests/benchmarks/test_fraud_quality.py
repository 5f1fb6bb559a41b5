"""What the benchmark of fraud quality measures is what it says: no figure is judged here."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from shared.domain.events import PaymentChanged
from shared.domain.instants import microseconds
from shared.domain.money import Money
from shared.fraud.features import NAMES
from shared.learning.data_set import Floats, Table
from shared.learning.request import TrainingRequest
from tests.benchmarks import fraud_quality
from tests.benchmarks.fraud_quality import (
    MAPPINGS,
    Fold,
    at_best,
    card_precision,
    caught,
    caught_alone,
    friendly_bound,
    history_told,
    known_compromised,
)
from tests.benchmarks.labeled_data import DAY, Labeled, read_mapping
from tests.benchmarks.simulated_shop import TESTED_FROM, Shop, found_by_people

START = datetime(2018, 7, 25, tzinfo=UTC)
FOLD = Fold.week(START)


def rows(*told: tuple[float, str, bool]) -> Labeled:
    """Payments by the day after START, by whom, and whether they were fraud."""
    count = len(told)
    at = np.array([microseconds(START + day * DAY) for day, _, _ in told])
    fraud = np.array([one[2] for one in told])
    table = Table(("amount",), np.zeros((count, 1)), fraud, at, np.ones(count))
    return Labeled(table, np.arange(count), np.array([who for _, who, _ in told]))


@pytest.mark.parametrize("mapping", sorted(MAPPINGS.glob("*.toml")), ids=lambda file: file.stem)
def test_every_mapping_can_be_read(mapping: Path) -> None:
    assert read_mapping(mapping).members


def test_a_mapping_says_which_column_is_which_member() -> None:
    row = {"day": 3, "hour1": 7, "amount": 12.95, "custAttr1": 99, "custAttr2": "a.b@x.example", "zip1": 940}
    event = read_mapping(MAPPINGS / "fico.toml").payment(5, row)
    assert isinstance(event, PaymentChanged)
    assert event.card is not None
    assert (event.card.fingerprint, event.customer_id, event.email_domain) == ("99", "a.b@x.example", "x.example")
    assert (event.ip_network, event.device_id, event.amount) == ("zip 940", None, Money(1295, "EUR"))
    assert event.occurred_at == datetime(2009, 1, 4, 7, 0, 0, 5, tzinfo=UTC)


def test_whose_fraud_was_known_leaves_the_test_from_the_day_after_the_news() -> None:
    data = rows((1, "trained", True), (14.1, "trained", False), (8.5, "late", True), (16.2, "late", False))
    later = rows((8.5, "late", True), (15.9, "late", False), (16.0, "late", False), (16.0, "other", False))
    assert known_compromised(data, FOLD, 7 * DAY).tolist() == [False, True, False, True]
    assert known_compromised(later, FOLD, 7 * DAY).tolist() == [False, False, True, False]


def test_a_compromised_customer_counts_once_among_the_riskiest_of_a_day(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fraud_quality, "CARDS", 2)
    test = rows(
        *((14.1, "a", True), (14.2, "b", False), (14.3, "c", True)),  # a and b are looked at, one of them right
        *((15.1, "a", True), (15.2, "b", False), (15.3, "c", True)),  # a was found: b and c
    )
    score = np.array([0.9, 0.8, 0.7, 0.9, 0.8, 0.7])
    assert card_precision(score, test, microseconds(FOLD.test_from)) == pytest.approx((1 / 2 + 1 / 2) / 2)


def test_what_is_caught_is_told_apart_by_whether_fraud_was_told_of_card_or_customer() -> None:
    columns = ("card_frauds_ever", "customer_frauds_ever")
    values = np.array([[1.0, np.nan], [0.0, 2.0], [np.nan, np.nan], [0.0, 0.0]])
    fraud = np.array([True, False, True, False])
    known = history_told(Table(columns, values, fraud, np.arange(4), np.ones(4)))
    assert known.tolist() == [True, True, False, False]
    score = np.array([0.9, 0.7, 0.6, 0.1])  # a hundredth of two genuine ones is none: 0.7 is the floor
    assert caught(score, fraud, known) == {"frauds": 1, "caught": 1, "genuine": 1, "flagged": 0}
    assert caught(score, fraud, ~known) == {"frauds": 1, "caught": 0, "genuine": 1, "flagged": 0}


def test_a_model_of_those_of_whom_no_fraud_was_told_learns_from_them_alone_and_flags_as_many(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    names = ("a", "b", "c", "d", "e", "f", "g")
    days, fraud = (1, 2, 14.1, 14.2, 14.3, 14.4, 14.5), (False, True, False, True, False, True, False)
    data = rows(*zip(days, names, fraud, strict=True))
    # Of b and of g fraud was told before; g scores above all.
    values = np.array([[0, 1, 0, 0, 0, 0, 1], [0, 0, 0, 0, 0, 0, 0], [0, 0, 9, 8, 7, 6, 10]], dtype=np.float64).T
    columns = ("card_frauds_ever", "customer_frauds_ever", "score")
    data = replace(data, table=replace(data.table, columns=columns, values=values))
    learned: list[int] = []

    def scored(train: Table, test: Table, request: TrainingRequest, kept: Sequence[int] | None) -> Floats:
        learned.append(len(train))
        score: Floats = test.values[:, 2]
        return score

    monkeypatch.setattr(fraud_quality, "_scored", scored)
    assert [caught_alone(data, FOLD, 7 * DAY, TrainingRequest(), flagged) for flagged in (0, 1)] == [0, 1]
    assert set(learned) == {1}


def test_a_score_that_is_the_chance_is_measured_on_the_payments_that_are_tested() -> None:
    data = rows((1, "trained", True), (14.1, "a", True), (14.2, "b", False), (16.0, "trained", False), (30, "c", True))
    best = at_best(data, FOLD, 7 * DAY, np.array([0.0, 0.9, 0.1, 0.95, 1.0]))
    assert (best["payments"], best["frauds"], best["ap"]) == (2, 1, 1.0)


def test_a_split_of_a_file_asks_for_all_that_it_needs(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        fraud_quality.main(["--events", "some.parquet", "--train-start", "2018-07-25"])
    assert "--mapping, --train-end, --delay-days, --test-end" in capsys.readouterr().err


def a_shop(values: Floats, pattern: list[str], declined: list[bool], denial: list[float]) -> Shop:
    """Attempts of the days that are tested, with features for rules."""
    rows = len(pattern)
    at = np.full(rows, microseconds(START + TESTED_FROM * DAY), dtype=np.int64)
    table = Table(NAMES, values, np.zeros(rows, dtype=np.bool_), at, np.ones(rows))
    return Shop(table, np.array(declined), np.array(pattern), np.array(denial), START)


def test_friendly_fraud_is_reached_at_best_as_the_world_drew_it() -> None:
    honest, refused, friendly, stolen = 200, 100, 3, 5
    rows = honest + refused + friendly + stolen
    told = a_shop(
        np.zeros((rows, len(NAMES))),
        [""] * (honest + refused) + ["friendly"] * friendly + ["stolen_card"] * stolen,
        [False] * honest + [True] * refused + [False] * (friendly + stolen),
        [0.004] * honest + [0.0] * refused + [0.004] * friendly + [0.0] * stolen,
    )
    # Half a percent of 300 honest attempts are 1.5, all of them drawn among the 200 that can be denied.
    assert friendly_bound(told) == pytest.approx(1.5 / honest)


def test_people_find_the_accepted_fraud_that_a_rule_shows_them_and_take_a_denier_for_an_owner() -> None:
    values = np.full((5, len(NAMES)), np.nan)
    shown = {"device_new_customers_30d": 2.0, "new_device_of_customer": 1.0, "prepaid_card": 1.0}
    for name, value in shown.items():
        values[:4, NAMES.index(name)] = value
    pattern = ["trial_abuse", "trial_abuse", "friendly", "", "trial_abuse"]
    told = a_shop(values, pattern, [False, True, False, False, False], [0.0] * 5)
    assert found_by_people(told).tolist() == [True, False, False, False, False]
