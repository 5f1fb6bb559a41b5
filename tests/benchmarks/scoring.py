"""What judging one payment costs, beside scikit-learn scoring the same row in the same process."""

import hashlib
import logging
import subprocess
import sys
import tempfile
from dataclasses import replace
from functools import partial
from pathlib import Path
from statistics import median

from threadpoolctl import threadpool_limits

from shared.flows.ports import Create, Key, Ports
from shared.flows.score_payment import score_payment
from shared.flows.scorer import CHAMPION, Scorer
from shared.flows.train_model import COLUMNS
from shared.fraud import model
from shared.fraud.decide import decide
from shared.fraud.features import Attempt
from shared.fraud.history import Known
from shared.learning.fit import with_tails
from tests.benchmarks.timing import at, line, timed
from tests.builders import HOUR, NOON, a_card, a_payment_event
from tests.flows.counting import Counting
from tests.fraud.forests import artifact, fitted, noise
from tests.local import local_ports
from tests.stack.topology import ROOT

ROWS = 3000


def main() -> None:
    logging.disable(logging.CRITICAL)
    forest = fitted(COLUMNS)
    data = artifact(COLUMNS, forest)
    digest = hashlib.sha256(data).hexdigest()
    walker = model.load(data, digest)
    print(f"load, with golden rows, as an instance does: {_load_ms(data):.0f} ms for {len(data) // 1024} KiB")
    values = noise(ROWS, COLUMNS, seed=3).values
    rows = [[None if number != number else number for number in row] for row in values.tolist()]
    wide = with_tails(values, forest.tails)
    ours = timed(partial(walker.score, row) for row in rows)
    # One thread: on one row it is the fastest, and the baseline must not be slow because the machine is busy.
    with threadpool_limits(limits=1):
        theirs = timed(partial(forest.forest.predict_proba, wide[at : at + 1]) for at in range(300))
    line("score and its reasons, 200 trees of 8 leaves", ours)
    line("scikit-learn, the score alone", theirs)
    print(f"ratio of the medians: {at(theirs, 0.5) / at(ours, 0.5):.0f}")
    with tempfile.TemporaryDirectory() as folder:
        _flow(local_ports(Path(folder)), data)


_LOAD = """
import sys, time
from shared.fraud import model
data = sys.stdin.buffer.read()
began = time.perf_counter()
model.load(data, sys.argv[1])
print((time.perf_counter() - began) * 1000)
"""


def _load_ms(data: bytes) -> float:
    """In a process of its own, the median of five: beside scikit-learn the collector of garbage has more to look at."""
    command = [sys.executable, "-c", _LOAD, hashlib.sha256(data).hexdigest()]
    runs = [subprocess.run(command, cwd=ROOT, input=data, capture_output=True, check=True) for _ in range(5)]
    return median(float(run.stdout) for run in runs)


def _flow(ports: Ports, data: bytes) -> None:
    digest = ports.models.store(data)
    ports.documents.commit([Create(CHAMPION, {"digest": digest, "since": NOON, "former": []})])
    champion = model.load(data, digest)
    scorer = Scorer()
    scorer.start(ports, NOON)
    counting = Counting(ports.documents)
    counted = replace(ports, documents=counting)
    events = [
        a_payment_event(payment_id=f"pi_{n}", card=a_card(fingerprint=f"fp_{n % 3}"), occurred_at=NOON + n * HOUR)
        for n in range(400)
    ]
    whole = timed(partial(score_payment, event, counted, event.occurred_at, scorer) for event in events)
    line("a payment through SQLite, everything included", whole)
    reads, commits = counting.reads / len(events), counting.commits / len(events)
    print(f"round trips to documents a payment: {reads:.2f} reads, {commits:.2f} commits (target 1 and 1)")
    attempt = Attempt.of(a_payment_event(payment_id="pi_last", occurred_at=NOON + 400 * HOUR))
    keys = [(entity, f"{entity}:{value}") for entity, value in attempt.entities.items()]
    found = ports.documents.get([Key("feature_state", name) for _, name in keys])
    known = Known(
        attempt, {entity: shot.document if shot else None for (entity, _), shot in zip(keys, found, strict=True)}
    )
    line("features of it", timed(known.features for _ in range(1000)))
    line(
        "decision on it: features, rules, score, reasons",
        timed(partial(decide, known, champion, NOON) for _ in range(1000)),
    )
