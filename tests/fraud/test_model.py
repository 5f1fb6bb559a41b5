"""The walker gives the trainer's own numbers, explains them, and refuses what is not what it says."""

import hashlib
import json
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from shared.domain.errors import Misconfigured
from shared.fraud import model
from shared.fraud.model import expit, load
from shared.learning.fit import calibrated, calibration, fit
from shared.learning.request import TrainingRequest
from tests.fraud.forests import artifact, fitted, loaded, noise

COLUMNS = tuple(f"f{index}" for index in range(30))


def rows_of(values: Any) -> list[list[float | None]]:
    return [[None if math.isnan(value) else value for value in row] for row in values.tolist()]


@pytest.mark.parametrize(("iterations", "leaves"), [(200, 8), (40, 31), (3, 2)])
def test_probabilities_equal_predict_proba_to_the_bit_also_where_values_are_missing(
    iterations: int, leaves: int
) -> None:
    forest = fitted(COLUMNS, iterations=iterations, leaves=leaves)
    walker = loaded(COLUMNS, forest)
    values = noise(4000, COLUMNS, seed=7).values
    values[0] = np.nan
    values[1] = 1e300
    values[2] = -1e300
    expected = forest.probability(values).tolist()
    assert [walker.probability(row) for row in rows_of(values)] == expected


def test_infinity_goes_where_the_trainer_sends_it_also_where_only_presence_is_asked() -> None:
    known = noise(6000, COLUMNS)
    # Enough of them for a bin of their own.
    for column in range(len(COLUMNS)):
        known.values[column * 7 :: 53, column] = math.inf
        known.values[column * 5 :: 61, column] = -math.inf
    forest = fit(known, COLUMNS[:8], TrainingRequest(iterations=60))
    # Golden rows bear infinity too, and are proven by loading.
    data = artifact(COLUMNS, forest, later=known)
    walker = load(data, hashlib.sha256(data).hexdigest())
    assert any("inf" in row for row in json.loads(data)["golden"]["rows"])
    asked = [column for tree in json.loads(data)["trees"] for column in tree["feature"]]
    presence = [None in tree["threshold"] for tree in json.loads(data)["trees"]]
    assert any(presence)
    for value in (math.inf, -math.inf):
        values = noise(300, COLUMNS, seed=7).values
        values[np.arange(300), np.array(asked[:300]) % len(COLUMNS)] = value
        values[:30] = value
        assert [walker.probability(row) for row in rows_of(values)] == forest.probability(values).tolist()


def test_values_on_a_threshold_go_the_same_way() -> None:
    forest = fitted(COLUMNS, iterations=40)
    walker = loaded(COLUMNS, forest)
    values = noise(500, COLUMNS, seed=8).values
    for tree in json.loads(artifact(COLUMNS, forest))["trees"]:
        for column, threshold, left in zip(tree["feature"], tree["threshold"], tree["left"], strict=True):
            if left and threshold is not None and column < len(COLUMNS):
                values[hash((column, threshold)) % 500, column] = threshold
    assert [walker.probability(row) for row in rows_of(values)] == forest.probability(values).tolist()


def test_contributions_add_up_to_the_score() -> None:
    walker = loaded(COLUMNS, fitted(COLUMNS))
    for row in rows_of(noise(300, COLUMNS, seed=9).values):
        scored = walker.score(row)
        assert math.isclose(walker.base + math.fsum(scored.contributions), scored.raw, abs_tol=1e-9)
        assert len(scored.contributions) == len(COLUMNS)


def plainly_walked(artifact: dict[str, Any], row: list[float | None]) -> tuple[float, list[float]]:
    """The log-odds and what each feature contributed, tree by tree and node by node, as the format is meant."""
    sources = [*range(len(row)), *(column for column, _ in artifact["tails"])]
    tails = [
        value if (value := row[column]) is not None and value >= floor else None for column, floor in artifact["tails"]
    ]
    wide, raw, contributions = [*row, *tails], artifact["baseline"], [0.0] * len(row)
    for tree in artifact["trees"]:

        def mean(node: int, tree: dict[str, list[Any]] = tree) -> tuple[float, int]:
            if not tree["left"][node]:
                return tree["value"][node], tree["count"][node]
            (low, few), (high, many) = mean(tree["left"][node]), mean(tree["right"][node])
            here = tree["count"][tree["left"][node]], tree["count"][tree["right"][node]]
            return (low * here[0] + high * here[1]) / sum(here), few + many

        node, path = 0, dict[int, float]()
        while tree["left"][node]:
            value, threshold = wide[tree["feature"][node]], tree["threshold"][node]
            goes_left = tree["missing_left"][node] if value is None else threshold is None or value <= threshold
            child = tree["left"][node] if goes_left else tree["right"][node]
            source = sources[tree["feature"][node]]
            path[source] = path.get(source, 0.0) + mean(child)[0] - mean(node)[0]
            node = child
        raw += tree["value"][node]
        for source, amount in path.items():
            contributions[source] += amount
    return raw, contributions


@pytest.mark.parametrize(("iterations", "leaves"), [(30, 8), (10, 31), (3, 2), (5, 9)])
def test_scores_and_contributions_are_those_of_trees_that_are_walked_to_the_bit(iterations: int, leaves: int) -> None:
    forest = fitted(COLUMNS, iterations=iterations, leaves=leaves)
    content, walker = json.loads(artifact(COLUMNS, forest)), loaded(COLUMNS, forest)
    for row in rows_of(noise(100, COLUMNS, seed=11).values):
        scored = walker.score(row)
        assert (scored.raw, scored.contributions) == plainly_walked(content, row)


def test_what_drives_fraud_is_what_is_named() -> None:
    walker = loaded(COLUMNS, fitted(COLUMNS))
    row: list[float | None] = [0.0] * len(COLUMNS)
    row[2] = None
    raised = walker.score(row).contributions
    assert max(range(len(raised)), key=lambda index: raised[index]) == 2


@pytest.mark.parametrize("frauds", [2, 200, 1500])
def test_calibration_by_any_table_is_the_trainers(frauds: int) -> None:
    chance = np.random.default_rng(3)
    raw = chance.normal(size=20_000) - 2
    fraud = np.zeros(len(raw), dtype=np.bool_)
    fraud[np.argsort(raw + chance.normal(size=len(raw)))[-frauds:]] = True
    by = calibration(raw, fraud, np.ones(len(raw)), 0.25)
    curve = model._calibration(by)
    expected = calibrated(raw, by)
    assert max(abs(curve(float(x)) - y) for x, y in zip(raw, expected, strict=True)) < 1e-12
    if frauds >= 200:
        assert expected.mean() == pytest.approx(fraud.mean(), rel=0.05)
    else:
        # Nothing to learn from: only the thinning out of genuine payments is put right.
        assert curve(0.0) == pytest.approx(0.25 / 1.25)


@pytest.mark.parametrize("raw", [-1e6, -745.0, -700.0, 0.0, 36.0, 1e6])
def test_probabilities_stay_between_nothing_and_one(raw: float) -> None:
    assert 0 <= expit(raw) <= 1


def changed(change: Callable[[dict[str, Any]], object]) -> bytes:
    content = json.loads(artifact(COLUMNS, fitted(COLUMNS, iterations=3, leaves=2)))
    change(content)
    return json.dumps(content).encode()


def refused(data: bytes, digest: str | None = None) -> Misconfigured:
    with pytest.raises(Misconfigured) as refusal:
        load(data, digest or hashlib.sha256(data).hexdigest())
    return refusal.value


def asking_nothing(content: dict[str, Any]) -> None:
    for tree in content["trees"]:
        for name, only in (("left", 0), ("right", 0), ("value", 0.25)):
            tree[name] = [only]
        for name in ("feature", "threshold", "missing_left", "count"):
            tree[name] = tree[name][:1]


@pytest.mark.parametrize("change", [asking_nothing, lambda content: content.update(trees=[])])
def test_a_forest_that_asks_nothing_answers_alike_whatever_is_told(change: Callable[[dict[str, Any]], object]) -> None:
    # No column told the two classes apart: least_leaf payments are more than there are.
    content = json.loads(changed(change))
    raw = content["baseline"] + sum(tree["value"][0] for tree in content["trees"])
    scored = model.Model("", content).score([None, *[1.0] * (len(COLUMNS) - 1)])
    assert scored.raw == pytest.approx(raw)
    assert not any(scored.contributions)


def test_a_forest_that_found_nothing_to_ask_is_loaded() -> None:
    forest = fit(noise(500, COLUMNS), COLUMNS[:8], TrainingRequest(iterations=3, least_leaf=400))
    walker = loaded(COLUMNS, forest)
    values = noise(20, COLUMNS, seed=7).values
    assert [walker.probability(row) for row in rows_of(values)] == forest.probability(values).tolist()


def test_bytes_under_another_name_are_refused() -> None:
    data = artifact(COLUMNS, fitted(COLUMNS, iterations=3, leaves=2))
    assert refused(data[:-1] + b" ", hashlib.sha256(data).hexdigest()).reason == "model_digest"


def test_a_model_of_another_schema_says_to_train_again() -> None:
    refusal = refused(changed(lambda content: content.update(schema_version="0" * 16)))
    assert refusal.reason == "model_schema"
    assert "run train_model" in str(refusal)


@pytest.mark.parametrize(
    "change",
    [
        lambda content: content["golden"]["probabilities"].__setitem__(
            0, content["golden"]["probabilities"][0] + 1e-11
        ),
        lambda content: content["golden"]["scores"].__setitem__(5, content["golden"]["scores"][5] - 1e-11),
        lambda content: content["trees"][0]["value"].__setitem__(1, 0.5),
        lambda content: content.update(baseline=content["baseline"] + 1e-9),
        lambda content: content["golden"]["scores"].__setitem__(5, math.nan),
        lambda content: content["golden"].update(rows=[], probabilities=[], scores=[]),
    ],
)
def test_a_model_that_does_not_give_its_golden_answers_is_refused(change: Callable[[dict[str, Any]], object]) -> None:
    assert refused(changed(change)).reason == "model_golden"


@pytest.mark.parametrize(
    "change",
    [
        lambda content: content.update(format="payin-forest-0"),
        lambda content: content.pop("trees"),
        lambda content: content["calibration"].update(kind="magic"),
        lambda content: content["trees"][0]["left"].__setitem__(0, 99),
        lambda content: content["trees"][0]["right"].__setitem__(0, 0),
        lambda content: content["thresholds"].update(review=2),
        lambda content: content.update(tails=[[99, 1.0]]),
        lambda content: content.update(baseline=10**400),
        lambda content: content["trees"][0].update(count=[0] * len(content["trees"][0]["count"])),
    ],
)
def test_an_artifact_that_is_not_one_is_refused(change: Callable[[dict[str, Any]], object]) -> None:
    assert refused(changed(change)).reason == "model_format"


def test_bytes_that_are_no_json_are_refused() -> None:
    assert refused(b"\x80\x04").reason == "model_format"
