"""How good our features and our training are, on labeled data that others have published on and in our own world.

    python -m tests.benchmarks fraud_quality [--only handbook|fico|world] [--settings NAME] [--choose] [--ablate] [--json FILE]
    python -m tests.benchmarks fraud_quality --events FILE.parquet --mapping FILE.toml
        --train-start D --train-end D --delay-days N --test-end D [--history-days N] [--json FILE]

Features are those of the product, computed by its own SQL; the forest is the product's `fit` with its defaults, or with other
`SETTINGS`. What a data set calls its columns stands in `mappings/*.toml` (`tests.benchmarks.labeled_data`).

Defaults were chosen by `--choose`, which sees nothing later than what is learned from when it is tested: on the Handbook's four
folds that are kept for that (five of the eight settings, until 2026-11-28), and on four splits in order of time within FICO's
days of training. They have the highest sum of the two mean APs of those.

- Fraud Detection Handbook (simulated): train a week, news of fraud after 7 days, test on the week after those; customers
  known by then to be compromised are left out. The windows of our features and what counts as a large payment were
  chosen on the four folds that the Handbook keeps for that (tests until 2018-07-31); the single split (test from
  2018-08-08) had no say in it. AUC, AP, CP@100: the part of the hundred riskiest customers of a day that are
  compromised, each counted once. `prequential`: every week that the file holds, one fold each. `at best`: what a score
  reaches that knew the simulator, and of the past what ours is told (`handbook_world`). A quarter of the frauds are of customers and at
  terminals of which nothing is known by then.
- FICO/UCSD 2009, task 2 (real): train on days 8 to 61, a week's gap, test on days 69 to 98; its other columns go beside
  our features. Three seeds draw nine tenths of the training rows each, and which features a split may choose from; the spread
  between them is told beside the figure of all rows. The Handbook's single split has three seeds of the latter.
- Our world, 150 days: train on days 14 to 70 with what was told of them by day 100, test on all attempts after that, of
  each pattern the part that scores above all but 0.5 % of the honest ones. No issuer or cardholder ever tells of trial
  abuse: once training has heard only them, once also the people to whom the shipped rules send payments for review, as the
  product's training does. Friendly fraud is drawn by lot among honest payments: what a score could reach at best that
  knew the lot's own chances stands beside.

Dates are days in UTC; ends are exclusive. A data set that is not here is skipped, and the reason is printed.
"""

import argparse
import dataclasses
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from msgspec.structs import replace
from sklearn.metrics import roc_curve

from shared.domain.instants import microseconds
from shared.flows.train_model import COLUMNS
from shared.fraud.features import LONG_TAILED, NAMES, Entity
from shared.learning.compare import at_place
from shared.learning.data_set import Flags, Floats, Table
from shared.learning.evaluate import evaluate
from shared.learning.fit import fit
from shared.learning.request import TrainingRequest
from shared.learning.split import MICROSECONDS_A_DAY
from tests.benchmarks.handbook_world import chances, read_transactions
from tests.benchmarks.labeled_data import DAY, Labeled, labeled, read_mapping
from tests.benchmarks.simulated_shop import BURN_IN, TESTED_FROM, TRAINED_UNTIL, Shop, found_by_people, shop
from tests.simulator.world import HALF_DENY_AGAIN, Fraud

DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data"
MAPPINGS = Path(__file__).resolve().parent / "mappings"
CARDS = 100
FALSE_POSITIVES = 0.005

FAMILIES: Mapping[str, Callable[[str], bool]] = {
    "matured shares": lambda name: "_matured_share_" in name,
    "runs of fraud": lambda name: "_fraud_run_" in name,
    "large payments": lambda name: "_large_" in name,
    "counts and sums": lambda name: name.partition("_")[2].startswith(("payments", "declined", "small", "amount")),
    "first meetings": lambda name: "_new_" in name or name.startswith("new_"),
    "frauds told": lambda name: "_frauds_" in name or "_fraud_share_" in name,
}
"""What `--ablate` leaves out, one after the other."""

SETTINGS: Mapping[str, TrainingRequest] = {
    "chosen": TrainingRequest(),
    "before 2026-11-28": TrainingRequest(split_part=1.0, l2=1.0),
    "all features": TrainingRequest(split_part=1.0),
    "fewer features": TrainingRequest(split_part=0.1),
    "less drawn to nothing": TrainingRequest(l2=10.0),
    "more drawn to nothing": TrainingRequest(l2=40.0),
    "slower": TrainingRequest(learning_rate=0.04),
    "slower, less drawn to nothing": TrainingRequest(learning_rate=0.04, l2=10.0),
}
"""What `--settings` may name, and `--choose` chooses from."""

SEEDS = (1, 2, 3)

Figures = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Fold:
    """Ends are exclusive; what lies between training and test is as long as news of fraud takes."""

    train_from: datetime
    train_until: datetime
    test_from: datetime
    test_until: datetime

    @classmethod
    def week(cls, start: datetime, trained_from: datetime | None = None) -> "Fold":
        """The Handbook's: seven days of training, of delay and of test."""
        return cls(trained_from or start, start + 7 * DAY, start + 14 * DAY, start + 21 * DAY)


def main(arguments: Sequence[str] = ()) -> None:
    asked = _arguments(arguments)
    found: dict[str, Figures] = {}
    if asked.events:
        found[asked.events.stem] = generic(asked)
        _show(asked.events.stem, found[asked.events.stem])
    else:
        for name, folder, measure in (
            ("handbook", "fdh_simulated", handbook),
            ("fico", "fico_ucsd2009", fico),
            ("world", None, world),
        ):
            if asked.only not in (None, name):
                continue
            file = DATA / folder / "transactions.parquet" if folder else None
            if file is not None and not file.exists():
                print(f"{name}: skipped, its data is not beside the repository")
                continue
            started = time.monotonic()
            for part, figures in measure(file, asked):
                found[part] = figures
                _show(part, figures)
            print(f"{name}: {time.monotonic() - started:.0f} s")
    if asked.json:
        asked.json.write_text(json.dumps(found, indent=2))


def _arguments(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m tests.benchmarks fraud_quality", description=__doc__.split("\n")[0])
    parser.add_argument("--only", choices=("handbook", "fico", "world"))
    parser.add_argument("--settings", choices=SETTINGS, default="chosen")
    parser.add_argument("--choose", action="store_true", help="try all settings, on what is learned from alone")
    parser.add_argument("--ablate", action="store_true", help="measure again without each family of features")
    parser.add_argument("--json", type=Path, help="write the figures there as well")
    parser.add_argument("--events", type=Path, help="a parquet file of labeled payments, in order of time")
    parser.add_argument("--mapping", type=Path)
    for name in ("--train-start", "--train-end", "--test-end"):
        parser.add_argument(name, type=_day)
    parser.add_argument("--delay-days", type=float, help="from a payment to the news that it was fraud")
    parser.add_argument("--history-days", type=float, default=60.0, help="of history before the first training row")
    asked = parser.parse_args(list(arguments))
    needs = ("mapping", "train_start", "train_end", "delay_days", "test_end")
    if asked.events and (lacking := [name for name in needs if getattr(asked, name) is None]):
        parser.error(f"--events needs {', '.join('--' + name.replace('_', '-') for name in lacking)} too")
    return asked


def _day(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def generic(asked: argparse.Namespace) -> Figures:
    """One split of somebody's file: the test begins when the news of the last training day has come."""
    delay = asked.delay_days * DAY
    fold = Fold(asked.train_start, asked.train_end, asked.train_end + delay, asked.test_end)
    since = fold.train_from - asked.history_days * DAY
    data = labeled(asked.events, read_mapping(asked.mapping), delay, since, fold.train_from, fold.test_until)
    return judged(data, fold, delay, SETTINGS[asked.settings])


def handbook(file: Path | None, asked: argparse.Namespace) -> Iterator[tuple[str, Figures]]:
    assert file is not None, "the Handbook's transactions are a file"
    delay, first, last = 7 * DAY, datetime(2018, 6, 20, tzinfo=UTC), datetime(2018, 7, 25, tzinfo=UTC)
    data = labeled(file, read_mapping(MAPPINGS / "handbook.toml"), delay, first - 41 * DAY, first, last + 21 * DAY)
    weeks = [first + n * 7 * DAY for n in range((last - first) // (7 * DAY) + 1)]
    if asked.choose:
        yield from _choice("handbook", data, [Fold.week(start) for start in weeks[:4]], delay)
        return
    request = SETTINGS[asked.settings]
    folds = [judged(data, Fold.week(start), delay, request) for start in weeks]
    for start, figures in zip(weeks, folds, strict=True):
        yield f"handbook, test from {start + 14 * DAY:%m-%d}", figures
    chance = chances(read_transactions(file), delay // DAY)[data.number]
    best = [at_best(data, Fold.week(start), delay, chance) for start in weeks]
    names = ("auc", "ap", "cp_at_100")
    yield "handbook, prequential mean", _mean(folds, names)
    yield "handbook, prequential deviation", {name: float(np.std([one[name] for one in folds])) for name in names}
    yield "handbook, prequential mean, at best", _mean(best, names)
    yield "handbook, single split", folds[-1]
    seeded = [judged(data, Fold.week(last), delay, replace(request, seed=seed)) for seed in SEEDS]
    yield from _spread("handbook, single split", seeded, names)
    yield "handbook, single split, at best", best[-1]
    everything = judged(data, Fold.week(last, trained_from=first), delay, request)
    yield "handbook, single split, trained on all weeks before", everything
    for family, kept in _without(data.table.columns) if asked.ablate else ():
        yield f"handbook, single split without {family}", judged(data, Fold.week(last), delay, request, kept)


def fico(file: Path | None, asked: argparse.Namespace) -> Iterator[tuple[str, Figures]]:
    assert file is not None, "FICO's payments are a file"
    start, delay = datetime(2009, 1, 1, tzinfo=UTC), 7 * DAY
    data = labeled(file, read_mapping(MAPPINGS / "fico.toml"), delay, start, start, start + 100 * DAY)
    if asked.choose:
        days = ((8, 28, 35, 41), (8, 34, 41, 48), (8, 41, 48, 55), (8, 48, 55, 62))
        yield from _choice("fico", data, [Fold(*(start + day * DAY for day in fold)) for fold in days], delay)
        return
    request = SETTINGS[asked.settings]
    fold = Fold(start + 8 * DAY, start + 62 * DAY, start + 69 * DAY, start + 99 * DAY)
    score, test = scored(data, fold, delay, request)
    yield "fico", figures_of(score, test, fold)
    told = history_told(test.table)
    for name, rows in (("of whom fraud was told", told), ("of all others", ~told)):
        yield f"fico, {name}", caught(score, test.table.fraud, rows)
    others = caught(score, test.table.fraud, ~told)["flagged"]
    by = {settings: caught_alone(data, fold, delay, one, others) for settings, one in SETTINGS.items()}
    yield "fico, of all others, by a model of their own, by its settings", by
    drawn = [judged(data, fold, delay, replace(request, seed=seed), drawn_by=seed) for seed in SEEDS]
    yield from _spread("fico", drawn, ("auc", "ap", "recall_at_1_percent"))
    for family, kept in _without(data.table.columns) if asked.ablate else ():
        yield f"fico without {family}", judged(data, fold, delay, request, kept)


def _choice(name: str, data: Labeled, folds: Sequence[Fold], delay: timedelta) -> Iterator[tuple[str, Figures]]:
    """How all settings do on `folds`."""
    for settings, request in SETTINGS.items():
        figures = [judged(data, fold, delay, request) for fold in folds]
        yield f"{name}, {settings}", _mean(figures, [one for one in figures[0] if one not in ("payments", "frauds")])


def _mean(figures: Sequence[Figures], names: Sequence[str]) -> Figures:
    return {name: float(np.mean([one[name] for one in figures])) for name in names}


def _spread(name: str, seeded: Sequence[Figures], names: Sequence[str]) -> Iterator[tuple[str, Figures]]:
    for one in names:
        told = [figures[one] for figures in seeded]
        yield (
            f"{name}, {one} of {len(told)} seeds",
            {"least": min(told), "mean": float(np.mean(told)), "most": max(told)},
        )


def world(_: Path | None, asked: argparse.Namespace) -> Iterator[tuple[str, Figures]]:
    if asked.choose:  # nothing is chosen by what our own world says
        return
    request = SETTINGS[asked.settings]
    everything = shop(columns=NAMES)  # what rules ask about
    found = found_by_people(everything)
    places = [NAMES.index(name) for name in COLUMNS]
    table = Table(
        COLUMNS,
        everything.table.values[:, places],
        everything.table.fraud,
        everything.table.at,
        everything.table.weight,
    )
    told = dataclasses.replace(everything, table=table)
    taught = dataclasses.replace(told, table=dataclasses.replace(table, fraud=table.fraud | found))
    yield "world, as issuers and cardholders tell", by_pattern(told, request)
    yield "world, with verdicts on what rules ask people", by_pattern(taught, request)
    yield "world, at best", {Fraud.FRIENDLY.value: friendly_bound(told)}
    again = shop(denies_again=HALF_DENY_AGAIN)
    yield "world where half deny again, as issuers tell", by_pattern(again, request)
    yield "world where half deny again, at best", {Fraud.FRIENDLY.value: friendly_bound(again)}
    for family, kept in _without(COLUMNS) if asked.ablate else ():
        yield f"world without {family}", by_pattern(taught, request, kept)


def friendly_bound(told: Shop) -> float:
    """The part of friendly fraud that scores above all but FALSE_POSITIVES of the honest attempts, in expectation, where the
    score is the chance by which the world itself drew it, the issuer's answer known: no score can be better."""
    tested = told.table.at >= microseconds(told.start + TESTED_FROM * DAY)
    truth, chance = told.pattern[tested], told.denial[tested]
    asked = (truth == "") | (truth == Fraud.FRIENDLY.value)
    false, true, _ = roc_curve(truth[asked] != "", chance[asked])
    return at_place(FALSE_POSITIVES, false, true)


def _without(columns: Sequence[str]) -> Iterator[tuple[str, tuple[int, ...]]]:
    for family, belongs in FAMILIES.items():
        yield family, tuple(place for place, name in enumerate(columns) if not belongs(name))


def judged(
    data: Labeled,
    fold: Fold,
    delay: timedelta,
    request: TrainingRequest,
    kept: Sequence[int] | None = None,
    drawn_by: int | None = None,
) -> Figures:
    """Train on the fold's first part, measure on its last. drawn_by: a seed that draws nine tenths of the training."""
    return figures_of(*scored(data, fold, delay, request, kept, drawn_by), fold)


def scored(
    data: Labeled,
    fold: Fold,
    delay: timedelta,
    request: TrainingRequest,
    kept: Sequence[int] | None = None,
    drawn_by: int | None = None,
) -> tuple[Floats, Labeled]:
    """The score of what is tested, and that itself."""
    train = thinned(data.table.part(data.between(fold.train_from, fold.train_until)), drawn_by)
    test = data.part(tested(data, fold, delay))
    return _scored(train, test.table, request, kept), test


def at_best(data: Labeled, fold: Fold, delay: timedelta, chance: Floats) -> Figures:
    """What a score that is `chance` itself reaches on the fold's last part."""
    rows = tested(data, fold, delay)
    return figures_of(chance[rows], data.part(rows), fold)


def tested(data: Labeled, fold: Fold, delay: timedelta) -> Flags:
    """Of the fold's last part, payments of those of whom no fraud was known."""
    rows: Flags = data.between(fold.test_from, fold.test_until) & ~known_compromised(data, fold, delay)
    return rows


def history_told(table: Table) -> Flags:
    """Payments of a card or a customer of whom a fraud had been told by then, ever."""
    card, customer = (
        table.values[:, table.columns.index(f"{entity}_frauds_ever")] > 0  # missing is not more than nothing
        for entity in (Entity.CARD, Entity.CUSTOMER)
    )
    told: Flags = card | customer
    return told


def caught(score: Floats, fraud: Flags, rows: Flags) -> Figures:
    """Of the frauds and the genuine payments among `rows`, how many score above all but a hundredth of all genuine ones."""
    flagged = score > float(np.quantile(score[~fraud], 0.99, method="higher"))
    return {
        "frauds": int((rows & fraud).sum()),
        "caught": int((rows & fraud & flagged).sum()),
        "genuine": int((rows & ~fraud).sum()),
        "flagged": int((rows & ~fraud & flagged).sum()),
    }


def caught_alone(data: Labeled, fold: Fold, delay: timedelta, request: TrainingRequest, flagged: int) -> int:
    """How many frauds of those of whom none was told a model finds that learned from such payments alone, where it flags
    `flagged` genuine ones."""
    train, test = (
        thinned(data.table.part(data.between(fold.train_from, fold.train_until))),
        data.part(tested(data, fold, delay)),
    )
    train, rows = train.part(~history_told(train)), test.table.part(~history_told(test.table))
    score = _scored(train, rows, request, None)
    return int((score[rows.fraud] > np.sort(score[~rows.fraud])[-flagged - 1]).sum())


def figures_of(score: Floats, test: Labeled, fold: Fold) -> Figures:
    quality = evaluate(score, test.table.fraud, test.table.weight, {})
    figures: Figures = {
        "payments": quality.payments,
        "frauds": quality.frauds,
        "auc": quality.roc_auc,
        "ap": quality.average_precision,
        "recall_at_1_percent": quality.recall_at_1_percent_false,
    }
    if test.who[0]:
        figures["cp_at_100"] = card_precision(score, test, microseconds(fold.test_from))
    return figures


def thinned(train: Table, drawn_by: int | None = None) -> Table:
    """At most as many genuine payments as the product trains on, drawn evenly; of frauds all."""
    most, rows = TrainingRequest().max_rows, np.ones(len(train), dtype=np.bool_)
    chance = np.random.default_rng(drawn_by or 0).random(len(train))
    if drawn_by is not None:
        rows &= chance < 0.9
    genuine = int((~train.fraud & rows).sum())
    if genuine > most:
        rows &= train.fraud | (np.random.default_rng(0).random(len(train)) < most / genuine)
    return train.part(rows)


def known_compromised(data: Labeled, fold: Fold, delay: timedelta) -> Flags:
    """Payments of those of whom a fraud was known by that day: one of the last week of training, or of after. Nobody's,
    where the data set names nobody."""
    known_from: dict[str, int] = {}
    test_from = microseconds(fold.test_from)
    margin = delay // timedelta(microseconds=1) + MICROSECONDS_A_DAY
    lately = max(fold.train_from, fold.train_until - 7 * DAY)
    for row in np.nonzero(data.table.fraud & data.between(lately, fold.test_until))[0]:
        told = (int(data.table.at[row]) + margin) // MICROSECONDS_A_DAY * MICROSECONDS_A_DAY
        who = str(data.who[row])
        known_from[who] = min(known_from.get(who, told), max(told, test_from))
    known_from.pop("", None)
    never = np.iinfo(np.int64).max
    since = np.array([known_from.get(who, never) for who in data.who.tolist()], dtype=np.int64)
    known: Flags = data.table.at >= since
    return known


def card_precision(score: Floats, test: Labeled, test_from: int) -> float:
    """The mean over the days of how many of the day's CARDS riskiest are compromised on it. Whoever was found is out."""
    days = (test.table.at - test_from) // MICROSECONDS_A_DAY
    found: set[str] = set()
    precisions = []
    for day in np.unique(days):
        riskiest: dict[str, float] = {}
        compromised: set[str] = set()
        for row in np.nonzero(days == day)[0]:
            if (who := str(test.who[row])) not in found:
                riskiest[who] = max(riskiest.get(who, 0.0), float(score[row]))
                compromised.update([who] if test.table.fraud[row] else [])
        caught = compromised.intersection(sorted(riskiest, key=lambda who: (-riskiest[who], who))[:CARDS])
        precisions.append(len(caught) / CARDS)
        found |= caught
    return float(np.mean(precisions))


def by_pattern(told: Shop, request: TrainingRequest, kept: Sequence[int] | None = None) -> Figures:
    """The part of each pattern's attempts in the test that scores above all but FALSE_POSITIVES of the honest ones."""
    table, start = told.table, told.start
    burnt, trained, tested = (microseconds(start + days * DAY) for days in (BURN_IN, TRAINED_UNTIL, TESTED_FROM))
    train, test = table.part((table.at >= burnt) & (table.at < trained) & ~told.declined), table.at >= tested
    score, truth = _scored(train, table.part(test), request, kept), told.pattern[test]
    floor = float(np.quantile(score[truth == ""], 1 - FALSE_POSITIVES, method="higher"))
    figures: Figures = {"payments": int(test.sum()), "frauds": int((truth != "").sum())}
    figures["ap"] = evaluate(score, truth != "", np.ones(len(score)), {}).average_precision
    for fraud in Fraud:
        figures[fraud.value] = float((score[truth == fraud.value] > floor).mean())
    return figures


def _scored(train: Table, test: Table, request: TrainingRequest, kept: Sequence[int] | None) -> Floats:
    if kept is not None:
        train, test = (
            Table(tuple(one.columns[place] for place in kept), one.values[:, kept], one.fraud, one.at, one.weight)
            for one in (train, test)
        )
    answer: Floats = fit(train, LONG_TAILED, request).probability(test.values)
    return answer


def _show(name: str, figures: Figures) -> None:
    told = "  ".join(
        f"{key} {value:.3f}" if isinstance(value, float) else f"{key} {value:,}" for key, value in figures.items()
    )
    print(f"{name:52} {told}", flush=True)
