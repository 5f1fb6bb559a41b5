"""A fitted forest as JSON that any language can walk, with proof inside.

scikit-learn keeps its trees in a private attribute; the version is pinned, and a test holds the exported trees to
`predict_proba`, to the bit.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from shared.learning.data_set import Table
from shared.learning.fit import Fitted, calibrated

GOLDEN_ROWS = 200


def export(
    fitted: Fitted,
    held_out: Table,
    *,
    form: str,
    schema_version: str,
    calibration: dict[str, Any],
    thresholds: Mapping[str, float],
    learning: Mapping[str, Any],
) -> bytes:
    """The artifact's bytes: the same forest gives the same ones. `learning` says where it comes from, for people."""
    trees = [_tree(iteration[0].nodes) for iteration in fitted.forest._predictors]
    # The surest frauds, the surest genuine payments, and what is between: evenly over the ranks.
    ranked = np.argsort(fitted.raw(held_out.values), kind="stable")
    golden = held_out.values[ranked[np.unique(np.linspace(0, len(ranked) - 1, GOLDEN_ROWS).astype(np.int64))]]
    artifact = {
        "format": form,
        "schema_version": schema_version,
        "features": list(held_out.columns),
        "tails": [list(tail) for tail in fitted.tails],
        "baseline": float(fitted.forest._baseline_prediction.ravel()[0]),
        "trees": trees,
        "calibration": calibration,
        "thresholds": dict(thresholds),
        "golden": {
            "rows": [_row(row) for row in golden],
            "probabilities": [float(value) for value in fitted.probability(golden)],
            "scores": [float(value) for value in calibrated(fitted.raw(golden), calibration)],
        },
        "learning": dict(learning),
    }
    return json.dumps(artifact, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()


def _row(row: Sequence[float]) -> list[float | str | None]:
    """JSON has no infinity: as text."""
    return [None if np.isnan(value) else float(value) if np.isfinite(value) else str(float(value)) for value in row]


def _tree(nodes: Any) -> dict[str, list[Any]]:
    """Parallel lists, one item a node; `left` 0 marks a leaf. A threshold of null parts missing values from all others."""
    if nodes["is_categorical"].any():
        raise ValueError("trees with categorical splits are not exported")
    asked = nodes["num_threshold"][nodes["is_leaf"] == 0]
    if (np.isnan(asked) | np.isneginf(asked)).any():
        raise ValueError("a threshold is a number, or infinity where only presence is asked")
    return {
        "feature": [int(index) for index in nodes["feature_idx"]],
        "threshold": [float(value) if np.isfinite(value) else None for value in nodes["num_threshold"]],
        "missing_left": [int(flag) for flag in nodes["missing_go_to_left"]],
        "left": [0 if leaf else int(index) for index, leaf in zip(nodes["left"], nodes["is_leaf"], strict=True)],
        "right": [0 if leaf else int(index) for index, leaf in zip(nodes["right"], nodes["is_leaf"], strict=True)],
        "value": [float(value) for value in nodes["value"]],
        "count": [int(count) for count in nodes["count"]],
    }
