"""A fit beside scikit-learn's own with the same settings and as many threads, in alternation.

    python -m tests.benchmarks training [--rows 30000 100000 300000] [--times 3] [--only shop|noise]

Rows are of two kinds: attempts of our simulated shop, drawn again and again until they are enough, and noise, a quarter of it
missing and no number twice, so that every long-tailed column has its copy. scikit-learn fits twice: what we are given, and the
matrix that we hand to it, with the long tails' copies. What making these costs is counted as ours; calibration and bootstrap are
no part of a fit. Told are medians of the processor's time,
which a machine with other work distorts least, and of the clock's; at the end, what memory all of it took at most.
A night fits twice: the model that is judged, on three fifths of the rows, and the one that decides, on all of them.
"""

import argparse
import resource
import time
from collections.abc import Callable, Iterator, Sequence
from statistics import median

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier
from threadpoolctl import threadpool_limits

from shared.flows.train_model import COLUMNS
from shared.fraud.features import LONG_TAILED
from shared.learning.data_set import Floats, Table
from shared.learning.fit import THREADS, fit, forest_of, matrix, tails_of
from shared.learning.request import TrainingRequest
from tests.benchmarks.simulated_shop import shop

ROWS = (30_000, 100_000, 300_000)
TIMES = 3
SHOP_DAYS = 75

Taken = tuple[float, float]
"""Seconds of the processor, and of the clock."""


def main(arguments: Sequence[str] = ()) -> None:
    parser = argparse.ArgumentParser("python -m tests.benchmarks training", description=__doc__.split("\n")[0])
    parser.add_argument("--rows", type=int, nargs="+", default=ROWS)
    parser.add_argument("--times", type=int, default=TIMES, help="each fit is made so often")
    parser.add_argument("--only", choices=("shop", "noise"))
    asked = parser.parse_args(list(arguments))
    for kind, tables in (("shop", _drawn(asked.rows)), ("noise", map(_noise, asked.rows))):
        for known in tables if asked.only in (None, kind) else ():
            print(f"{kind}, {len(known):,} rows: {_compared(known, asked.times)}", flush=True)
    print(f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.2f} GiB at most")


def _drawn(sizes: Sequence[int]) -> Iterator[Table]:
    told = shop(days=SHOP_DAYS).table
    for rows in sizes:
        drawn = np.sort(np.random.default_rng(1).integers(len(told), size=rows))
        yield Table(COLUMNS, told.values[drawn], told.fraud[drawn], told.at[drawn], np.ones(rows))


def _noise(rows: int) -> Table:
    chance, shape = np.random.default_rng(1), (rows, len(COLUMNS))
    values = np.where(chance.random(shape) < 0.25, np.nan, chance.exponential(3, shape))
    fraud = chance.random(rows) < 0.1
    values[fraud, :5] += 2
    return Table(COLUMNS, values, fraud, np.arange(rows), np.ones(rows))


def _compared(known: Table, times: int) -> str:
    request = TrainingRequest()
    given, handed = known.values.copy(), matrix(known.values, tails_of(known, LONG_TAILED))
    given[:, np.isnan(given).all(axis=0)] = 0.0
    forest = forest_of(known, request)
    fits: dict[str, Callable[[], object]] = {
        "ours": lambda: fit(known, LONG_TAILED, request),
        "scikit-learn's own": lambda: _plain(forest, given, known),
        "on our matrix": lambda: _plain(forest, handed, known),
    }
    taken: dict[str, list[Taken]] = {name: [] for name in fits}
    for _ in range(times):
        for name, act in fits.items():
            taken[name].append(_seconds(act))
    processor, clock = (
        {name: median(one[place] for one in runs) for name, runs in taken.items()} for place in range(2)
    )
    told = ", ".join(f"{name} {processor[name]:.1f} s ({clock[name]:.1f} by the clock)" for name in fits)
    ratios = [
        f"{of['ours'] / of[name]:.2f}" for of in (processor, clock) for name in ("scikit-learn's own", "on our matrix")
    ]
    return (
        f"{told}; ours is {ratios[0]} and {ratios[1]} of these two in the processor's time, {ratios[2]} and {ratios[3]} "
        f"by the clock; {handed.shape[1]} columns of {given.shape[1]}, {handed.nbytes / 2**30:.2f} GiB"
    )


def _plain(forest: HistGradientBoostingClassifier, values: Floats, known: Table) -> None:
    with threadpool_limits(limits=THREADS):
        forest.fit(values, known.fraud)


def _seconds(act: Callable[[], object]) -> Taken:
    processor, clock = time.process_time(), time.perf_counter()
    act()
    return time.process_time() - processor, time.perf_counter() - clock
