"""A gradient-boosted forest, walked in plain Python: no library to import, and the trainer's own numbers to the bit.

The artifact is JSON, named by the SHA-256 of its bytes. It brings its own proof: rows with the answers that the
trainer's library gave, and a model that does not give them again is not loaded.
"""

import bisect
import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from shared.domain.errors import Misconfigured
from shared.fraud.features import SCHEMA_VERSION
from shared.fraud.policy import Thresholds

FORMAT = "payin-forest-1"
TOLERANCE = 1e-12

Node = tuple[int, float, Any, Any]
"""(column, threshold, left, right), or at a leaf (-1, value, what each feature contributed, None)."""


@dataclass(frozen=True, slots=True)
class Scored:
    """raw: log-odds of fraud; `base + sum of contributions`, up to rounding. score: calibrated probability.
    contributions: feature index → what it added to the log-odds."""

    raw: float
    score: float
    contributions: dict[int, float]


class Model:
    """A loaded artifact. Immutable; scoring is pure and safe for many threads."""

    def __init__(self, digest: str, artifact: dict[str, Any]) -> None:
        self.digest = digest
        self.names: tuple[str, ...] = tuple(artifact["features"])
        self.thresholds = Thresholds(**artifact["thresholds"])
        self.schema_version: str = artifact["schema_version"]
        self._tails = tuple((int(column), float(floor)) for column, floor in artifact["tails"])
        self._baseline = float(artifact["baseline"])
        self._calibrate = _calibration(artifact["calibration"])
        sources = (*range(len(self.names)), *(column for column, _ in self._tails))
        trees = [_tree(tree, sources) for tree in artifact["trees"]]
        self._trees = tuple(root for root, _ in trees)
        self.base = self._baseline + math.fsum(expected for _, expected in trees)

    def score(self, features: Sequence[float | None]) -> Scored:
        """Score one vector in the order of `names`; None is missing."""
        row = self._row(features)
        raw = self._baseline
        contributions: dict[int, float] = {}
        get = contributions.get
        for node in self._trees:
            column, threshold, left, right = node
            while column >= 0:
                column, threshold, left, right = left if row[column] <= threshold else right
            raw += threshold
            for feature, amount in left:
                contributions[feature] = get(feature, 0.0) + amount
        return Scored(raw, self._calibrate(raw), contributions)

    def probability(self, features: Sequence[float | None]) -> float:
        """The trainer's `predict_proba`, before calibration."""
        return expit(self.score(features).raw)

    def _row(self, features: Sequence[float | None]) -> list[float]:
        """Two copies of the vector and its tails: with missing values below everything, then as no number, which is never
        at or below a threshold. A node that sends missing values left looks at the first, the others at the second, and
        neither has to ask. Infinity is a value like others: above each threshold, and there where only that is asked."""
        low = [-math.inf if value is None else value for value in features]
        high = [math.nan if value is None else value for value in features]
        for column, floor in self._tails:
            value = features[column]
            inside = value is not None and value >= floor
            low.append(value if inside and value is not None else -math.inf)
            high.append(value if inside and value is not None else math.nan)
        return low + high


def load(data: bytes, digest: str) -> Model:
    """The model in `data`. Raises Misconfigured when the bytes are not the ones named `digest`, when the model was
    trained on other features than ours, or when it does not give its own golden answers here."""
    if hashlib.sha256(data).hexdigest() != digest:
        raise Misconfigured(f"model {digest[:12]} is damaged: its bytes have another digest", reason="model_digest")
    try:
        artifact = json.loads(data)
        if artifact["format"] != FORMAT:
            raise Misconfigured(f"model {digest[:12]} is in an unknown format: train again", reason="model_format")
        if artifact["schema_version"] != SCHEMA_VERSION:
            raise Misconfigured(
                f"model {digest[:12]} was trained on feature schema {artifact['schema_version']} and this release "
                f"computes {SCHEMA_VERSION}: run train_model, or roll back the release",
                reason="model_schema",
            )
        model = Model(digest, artifact)
        golden = artifact["golden"]
        # JSON has no infinity: it stands there as text.
        vectors = ([None if value is None else float(value) for value in row] for row in golden["rows"])
        rows = zip(vectors, golden["probabilities"], golden["scores"], strict=True)
        errors = [
            error
            for row, probability, score in rows
            for scored in (model.score(row),)
            for error in (expit(scored.raw) - probability, scored.score - score)
        ]
    except (KeyError, TypeError, ValueError, IndexError, ArithmeticError, RecursionError) as error:
        raise Misconfigured(f"model {digest[:12]} cannot be read: {error!r}", reason="model_format") from error
    # Written so that an error that is no number is no proof either.
    if not errors or not all(abs(error) <= TOLERANCE for error in errors):
        raise Misconfigured(
            f"model {digest[:12]} does not give the answers to its golden rows that its trainer gave",
            reason="model_golden",
        )
    return model


def expit(raw: float) -> float:
    """1 / (1 + e^-raw), without overflow."""
    return 1.0 / (1.0 + math.exp(-raw)) if raw > -700 else math.exp(raw)


def _calibration(table: dict[str, Any]) -> Any:
    if table["kind"] == "sigmoid":
        slope, intercept = float(table["slope"]), float(table["intercept"])
        return lambda raw: expit(slope * raw + intercept)
    if table["kind"] != "isotonic":
        raise ValueError("an unknown calibration")
    xs, ys = [float(x) for x in table["raw"]], [float(y) for y in table["probability"]]
    if not xs or len(xs) != len(ys) or xs != sorted(xs):
        raise ValueError("an isotonic calibration is a rising list of points")

    def interpolate(raw: float) -> float:
        right = bisect.bisect_right(xs, raw)
        if right == 0 or right == len(xs):
            return ys[0] if right == 0 else ys[-1]
        low, high = xs[right - 1], xs[right]
        return ys[right - 1] + (ys[right] - ys[right - 1]) * ((raw - low) / (high - low))

    return interpolate


def _tree(tree: dict[str, list[Any]], sources: Sequence[int]) -> tuple[Node, float]:
    """A nested tree from parallel lists, and its mean answer. sources: the feature that each column is made of.

    What a feature contributed at a leaf is how the mean answer moved at the nodes on the way that asked about it; a
    tail copy speaks for its feature. Leaves carry it ready made.
    """
    features, thresholds, lefts, rights = tree["feature"], tree["threshold"], tree["left"], tree["right"]
    values, counts, missing_left = tree["value"], tree["count"], tree["missing_left"]
    means = [0.0] * len(features)
    # Children follow their parents in the lists, so from the end every child is known before its parent.
    for index in reversed(range(len(features))):
        if lefts[index] == 0:
            means[index] = float(values[index])
        else:
            left, right = lefts[index], rights[index]
            if left <= index or right <= index:
                raise ValueError("a tree's children follow their parents")
            total = counts[left] + counts[right]
            means[index] = (means[left] * counts[left] + means[right] * counts[right]) / total

    def build(index: int, path: dict[int, float]) -> Node:
        if lefts[index] == 0:
            return (-1, float(values[index]), tuple(path.items()), None)
        column, source = features[index], sources[features[index]]

        def follow(child: int) -> Node:
            return build(child, {**path, source: path.get(source, 0.0) + means[child] - means[index]})

        # A threshold of None asks only whether the value is there: everything that is there goes left.
        threshold = math.inf if thresholds[index] is None else float(thresholds[index])
        looked_at = column if missing_left[index] else column + len(sources)
        return (looked_at, threshold, follow(lefts[index]), follow(rights[index]))

    return build(0, {}), means[0]
