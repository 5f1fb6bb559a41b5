"""The artifact is plain JSON that says what it is, and the same to the byte for the same forest."""

import json
from typing import Any

import numpy as np
import pytest

from shared.learning.data_set import Table
from shared.learning.export import GOLDEN_ROWS, export
from shared.learning.fit import Fitted, calibrated, fit
from shared.learning.request import TrainingRequest

ROWS = 1000
SIGMOID = {"kind": "sigmoid", "slope": 0.5, "intercept": -1.0}


def held_out() -> Table:
    chance = np.random.default_rng(2)
    values = chance.normal(size=(ROWS, 2))
    fraud = values[:, 0] + chance.normal(size=ROWS) > 2
    values[::7, 1] = np.nan
    return Table(("first", "second"), values, fraud, np.arange(ROWS, dtype=np.int64), np.ones(ROWS))


def exported(forest: Fitted, rows: Table) -> bytes:
    return export(
        forest,
        rows,
        form="some-forest-1",
        schema_version="of these columns",
        calibration=SIGMOID,
        thresholds={"review": 0.5},
        learning={"request": 1},
    )


def numbers(row: list[float | None]) -> list[float]:
    return [np.nan if value is None else value for value in row]


@pytest.fixture(scope="module")
def forest() -> Fitted:
    return fit(held_out(), ["first"], TrainingRequest(iterations=5, leaves=4, split_part=1.0))


def test_an_artifact_says_what_it_is_and_what_its_columns_are(forest: Fitted) -> None:
    artifact: dict[str, Any] = json.loads(exported(forest, held_out()))
    golden, trees = artifact.pop("golden"), artifact.pop("trees")
    [[column, floor]] = artifact.pop("tails")
    assert (column, floor) == forest.tails[0]
    fraud = held_out().fraud.mean()
    assert artifact.pop("baseline") == pytest.approx(np.log(fraud / (1 - fraud)))
    assert artifact == {
        "format": "some-forest-1",
        "schema_version": "of these columns",
        "features": ["first", "second"],
        "calibration": SIGMOID,
        "thresholds": {"review": 0.5},
        "learning": {"request": 1},
    }
    assert set(golden) == {"rows", "probabilities", "scores"}
    assert len(trees) == 5


def test_golden_rows_are_spread_over_all_ranks_with_the_answers_of_the_forest(forest: Fitted) -> None:
    golden = json.loads(exported(forest, held_out()))["golden"]
    rows = np.array([numbers(row) for row in golden["rows"]])
    assert len(rows) == GOLDEN_ROWS
    assert golden["probabilities"] == forest.probability(rows).tolist()
    assert golden["scores"] == calibrated(forest.raw(rows), SIGMOID).tolist()
    raw = forest.raw(held_out().values)
    # Many rows lie in the same leaves: of those the earlier one is meant, on every machine.
    ranked = np.argsort(raw, kind="stable")[np.linspace(0, ROWS - 1, GOLDEN_ROWS).astype(np.int64)]
    np.testing.assert_array_equal(rows, held_out().values[ranked])
    assert np.isnan(rows).any()


def test_rows_fewer_than_are_golden_are_all_golden_and_none_twice(forest: Fitted) -> None:
    few = held_out().part(np.arange(ROWS) < 3)
    golden = json.loads(exported(forest, few))["golden"]
    assert sorted(row[0] for row in golden["rows"]) == sorted(few.values[:, 0].tolist())


def test_trees_are_lists_of_one_length_whose_leaves_lead_nowhere(forest: Fitted) -> None:
    for tree, [grown] in zip(json.loads(exported(forest, held_out()))["trees"], forest.forest._predictors, strict=True):
        leaf = grown.nodes["is_leaf"].astype(bool)
        assert tree["left"] == np.where(leaf, 0, grown.nodes["left"]).tolist()
        assert tree["right"] == np.where(leaf, 0, grown.nodes["right"]).tolist()
        assert tree["feature"] == grown.nodes["feature_idx"].tolist()
        assert tree["value"] == grown.nodes["value"].tolist()
        assert tree["count"] == grown.nodes["count"].tolist()
        assert tree["missing_left"] == grown.nodes["missing_go_to_left"].tolist()
        assert tree["threshold"] == [
            value if np.isfinite(value) else None for value in grown.nodes["num_threshold"].tolist()
        ]
        assert sum(leaf) == 4


def test_a_threshold_that_asks_only_whether_a_value_is_there_is_null() -> None:
    there = held_out()
    there.values[:, 1] = np.where(there.fraud, 1.0, np.nan)
    artifact = json.loads(exported(fit(there, [], TrainingRequest(iterations=1, leaves=2)), there))
    assert artifact["trees"][0]["threshold"][0] is None
    assert artifact["trees"][0]["feature"][0] == 1


def test_the_bytes_are_in_one_order_and_hold_no_space_and_nothing_that_is_no_json(forest: Fitted) -> None:
    data = exported(forest, held_out())
    assert data == json.dumps(json.loads(data), sort_keys=True, separators=(",", ":")).encode()
    with pytest.raises(ValueError, match="JSON compliant"):
        export(
            forest,
            held_out(),
            form="",
            schema_version="",
            calibration=SIGMOID,
            thresholds={"review": np.inf},
            learning={},
        )


def test_a_split_by_category_is_refused_rather_than_walked_wrongly(forest: Fitted) -> None:
    split = fit(held_out(), [], TrainingRequest(iterations=1, leaves=2))
    split.forest._predictors[0][0].nodes["is_categorical"][0] = 1
    with pytest.raises(ValueError, match=r"^trees with categorical splits are not exported$"):
        exported(split, held_out())
