"""A gradient-boosted forest in plain Python: no library to import, and the trainer's own numbers to the bit.

No tree is walked. All leaves of the forest are bits of one number, and each feature's value strikes out, at once, those
that it cannot lead to; one of each tree remains (after QuickScorer, Lucchese et al., SIGIR 2015).

The artifact is JSON, named by the SHA-256 of its bytes. It brings its own proof: rows with the answers that the
trainer's library gave, and a model that does not give them again is not loaded.
"""

import bisect
import hashlib
import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from operator import and_, getitem, itemgetter
from typing import Any, Final

from shared.domain.errors import Misconfigured
from shared.fraud.features import SCHEMA_VERSION
from shared.fraud.policy import Thresholds

FORMAT = "payin-forest-1"
TOLERANCE = 1e-12

_NTH: Final = bytes.maketrans(bytes([0, *(1 << bit for bit in range(8))]), bytes(range(9)))
"""A byte with one bit set, or none → which one, from 1, or 0."""

Leaf = tuple[float, tuple[tuple[int, float], ...]]
"""Its value, and what each feature contributed."""

_NOTHING: Final[Leaf] = (0.0, ())


@dataclass(frozen=True, slots=True)
class Scored:
    """raw: log-odds of fraud; `base + sum of contributions`, up to rounding. score: calibrated probability.
    contributions: what each feature added to the log-odds, in the order of the model's names."""

    raw: float
    score: float
    contributions: Sequence[float]


class Model:
    """A loaded artifact. Immutable; scoring is pure and safe for many threads."""

    def __init__(self, digest: str, artifact: dict[str, Any]) -> None:
        self.digest = digest
        self.names: tuple[str, ...] = tuple(artifact["features"])
        self.thresholds = Thresholds(**artifact["thresholds"])
        self.schema_version: str = artifact["schema_version"]
        self._baseline = float(artifact["baseline"])
        self._calibrate = _calibration(artifact["calibration"])
        forest = _Forest(len(self.names), [(int(column), float(floor)) for column, floor in artifact["tails"]])
        expected = [forest.add(tree) for tree in artifact["trees"]]
        self._columns, self._leaves = forest.columns(), _side_by_side(forest.leaves)
        self._every = forest.every
        self.base = self._baseline + math.fsum(expected)

    def score(self, features: Sequence[float | None]) -> Scored:
        """Score one vector in the order of `names`; None is missing, and no number is NaN."""
        left = self._every
        for column, thresholds, reachable, if_missing in self._columns:
            value = features[column]
            left &= if_missing if value is None else reachable[bisect.bisect_left(thresholds, value)]
        raw = self._baseline
        contributions = [0.0] * len(self.names)
        for leaf, moved in map(getitem, self._leaves, left.to_bytes(len(self._leaves), "little").translate(_NTH)):
            raw += leaf
            for feature, amount in moved:
                contributions[feature] += amount
        return Scored(raw, self._calibrate(raw), contributions)

    def probability(self, features: Sequence[float | None]) -> float:
        """The trainer's `predict_proba`, before calibration."""
        return expit(self.score(features).raw)


def load(data: bytes, digest: str, schema_version: str = SCHEMA_VERSION) -> Model:
    """The model in `data`. Raises Misconfigured when the bytes are not the ones named `digest`, when the model was
    trained on other features than those of `schema_version`, or when it does not give its own golden answers here."""
    if hashlib.sha256(data).hexdigest() != digest:
        raise Misconfigured(f"model {digest[:12]} is damaged: its bytes have another digest", reason="model_digest")
    try:
        artifact = json.loads(data)
        if artifact["format"] != FORMAT:
            raise Misconfigured(f"model {digest[:12]} is in an unknown format: train again", reason="model_format")
        if artifact["schema_version"] != schema_version:
            raise Misconfigured(
                f"model {digest[:12]} was trained on feature schema {artifact['schema_version']} and this release "
                f"computes {schema_version}: run train_model, or roll back the release",
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


Column = tuple[Sequence[float], Sequence[int], int]
"""What is asked of one value: the thresholds, rising; the leaves that it can lead to where so many of them are below it; and
those where it is missing. A leaf is a bit."""

Split = tuple[float, bool, int, int]
"""At or below the threshold, and where missing if so told: left. The leaves on the left, and those on the right."""


class _Forest:
    """A forest while it is read. features: how many columns it asks about. tails: those behind them, each a feature's copy in
    which everything below its floor is missing."""

    def __init__(self, features: int, tails: Sequence[tuple[int, float]]) -> None:
        self._tails = tails
        self._sources = (*range(features), *(feature for feature, _ in tails))
        self._splits: list[list[Split]] = [[] for _ in self._sources]
        self.every = 0
        self.leaves: list[Sequence[Leaf]] = []
        """Of each byte of leaves, which are of one tree, nothing and then its leaves."""

    def add(self, tree: dict[str, list[Any]]) -> float:
        """Take in a tree of parallel lists. Its mean answer.

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
        leaves: list[Leaf] = []
        first = 8 * len(self.leaves)

        def leaves_below(index: int, path: dict[int, float]) -> int:
            if lefts[index] == 0:
                leaves.append((float(values[index]), tuple(path.items())))
                return 1 << first + len(leaves) - 1
            column, source = features[index], self._sources[features[index]]
            left, right = (
                leaves_below(child, {**path, source: path.get(source, 0.0) + means[child] - means[index]})
                for child in (lefts[index], rights[index])
            )
            # A threshold of None asks only whether the value is there: everything that is there goes left.
            threshold = math.inf if thresholds[index] is None else float(thresholds[index])
            self._splits[column].append((threshold, bool(missing_left[index]), left, right))
            return left | right

        self.every |= leaves_below(0, {})
        self.leaves += ((_NOTHING, *leaves[at : at + 8]) for at in range(0, len(leaves), 8))
        return means[0]

    def columns(self) -> tuple[tuple[int, *Column], ...]:
        """Of each feature that is asked about, its place and where its value leads, a tail's questions among it."""
        columns = [_column(sorted(splits, key=itemgetter(0)), self.every) for splits in self._splits]
        own = columns[: len(columns) - len(self._tails)]
        for (feature, floor), tail in zip(self._tails, columns[len(own) :], strict=True):
            own[feature] = _with_tail(own[feature], tail, floor)
        return tuple((feature, *column) for feature, column in enumerate(own) if column[0])


def _side_by_side(trees: Iterable[Sequence[Leaf]]) -> tuple[tuple[Leaf, ...], ...]:
    """`trees`, made anew in the order in which they are asked. What a score looks at lies together in memory then, and not among
    all that was made while the forest was read: between two payments others empty the processor's cache."""
    return tuple(
        tuple((value * 1.0, tuple([(feature, amount * 1.0) for feature, amount in moved])) for value, moved in leaves)
        for leaves in trees
    )


def _column(splits: Sequence[Split], every: int) -> Column:
    """splits: of one column, by their thresholds."""
    # Of so many splits from the first the value is above the threshold; of the others it is not.
    went_right = _struck(every, (left for _, _, left, _ in splits))
    went_left = reversed(_struck(every, (right for _, _, _, right in reversed(splits))))
    *_, if_missing = _struck(every, (right if goes_left else left for _, goes_left, left, right in splits))
    return tuple(split[0] for split in splits), tuple(map(and_, went_right, went_left)), if_missing


def _with_tail(column: Column, tail: Column, floor: float) -> Column:
    """Both at once: where a value leads by its own questions and by those of its tail, which has none below `floor`."""
    if not tail[0]:
        return column
    below = math.nextafter(floor, -math.inf)
    ends = sorted({*column[0], *tail[0], below})

    def reached(of: Column, value: float | None) -> int:
        return of[2] if value is None else of[1][bisect.bisect_left(of[0], value)]

    # Between two ends all values lead where the upper one does; after the last they lead to the right of every question.
    reachable = [reached(column, end) & reached(tail, end if end >= floor else None) for end in ends]
    return tuple(ends), (*reachable, column[1][-1] & tail[1][-1]), column[2] & tail[2]


def _struck(every: int, unreachable: Iterable[int]) -> list[int]:
    """`every`, and what is left of it after each of `unreachable`."""
    return list(accumulate((~leaves for leaves in unreachable), and_, initial=every))
