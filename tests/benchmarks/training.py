"""A fit beside scikit-learn's own on the same rows with as many threads, and the memory that the two took.

A night fits twice: the model that is judged, on three fifths of the rows, and the one that decides, on all of them. What
the long tails' copies cost is counted as ours; calibration and bootstrap are no part of a fit. ROWS=1000000 asks for more.
"""

import os
import resource
import time
from collections.abc import Callable

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier
from threadpoolctl import threadpool_limits

from shared.flows.train_model import COLUMNS
from shared.fraud.features import LONG_TAILED
from shared.learning.data_set import Table
from shared.learning.fit import THREADS, fit
from shared.learning.request import TrainingRequest

ROWS = int(os.environ.get("ROWS", "200000"))


def main() -> None:
    chance, request = np.random.default_rng(1), TrainingRequest()
    shape = (ROWS, len(COLUMNS))
    values = np.where(chance.random(shape) < 0.25, np.nan, chance.exponential(3, shape).round(1))
    fraud = chance.random(ROWS) < 0.1
    values[fraud, :5] += 2
    known = Table(COLUMNS, values, fraud, np.arange(ROWS), np.ones(ROWS))
    plain = HistGradientBoostingClassifier(
        max_iter=request.iterations,
        learning_rate=request.learning_rate,
        max_leaf_nodes=request.leaves,
        min_samples_leaf=50,
        l2_regularization=1.0,
        early_stopping=False,
    )
    with threadpool_limits(limits=THREADS):
        theirs = _seconds(lambda: plain.fit(values, fraud))
    ours = _seconds(lambda: fit(known, LONG_TAILED, request))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(
        f"fit of {ROWS:,} rows: {ours:.1f} s, scikit-learn's own {theirs:.1f} s: {ours / theirs:.2f} of it; "
        f"a matrix of {values.nbytes / 2**30:.2f} GiB, {peak:.2f} GiB at most"
    )


def _seconds(act: Callable[[], object]) -> float:
    begun = time.perf_counter()
    act()
    return time.perf_counter() - begun
