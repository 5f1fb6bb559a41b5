"""Events a second of one process of each consumer, 8 connections, beside a bare handler that makes the same two round trips
to documents and publishes to as many topics; and where a payment's time goes while it is judged. The consumers run without a model, whose
walk `scoring` measures: it takes a tenth of the whole.

What bounds scoring is the interpreter's lock: on SQLite, events a second times the processor's time of each come to one
second, however many threads there are. A part of that time is the work that `what_bounds_scoring` lists, the rest the server's
and what threads take to hand the lock over, which the row of one thread goes without. On emulators both servers share the
machine with Firestore's and Pub/Sub's, and those bound it: the processor's time is ours, the rest of a second is theirs.

That is why `track_dispute` is slower there than it once was, by 0.6, while the processor's time of its own rose by a fifth. Each
was taken out and measured: that a commit proves the three documents unchanged that it only read costs 1.1 times, labels
on a topic of their own 1.2 times, and Firestore's REST, which starts in half the time that gRPC takes, 1.3 times.
"""

import logging
import random
import tempfile
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import timedelta
from pathlib import Path
from statistics import median

from rich.console import Console
from rich.table import Table

from shared.backends.local.bus import LocalBus
from shared.backends.local.documents import SqlDocuments
from shared.domain.codec import encode_event
from shared.domain.events import PaymentChanged
from shared.flows.ports import Create
from shared.flows.score_payment import score_payment
from shared.flows.scorer import CHAMPION, Scorer
from shared.flows.train_model import COLUMNS
from tests.benchmarks.phases import Phases
from tests.benchmarks.requests import pushed
from tests.benchmarks.servers import Request, beside, serve
from tests.benchmarks.worlds import worlds
from tests.builders import NOON, a_card, a_dispute_event, a_payment_event
from tests.fraud.forests import artifact, fitted
from tests.local import local_ports
from tests.stack.topology import environment as own

ROOT = Path(__file__).resolve().parents[2]
CONNECTIONS = 8
ROUNDS, REQUESTS, WARM = 3, 300, 100

World = Callable[[], AbstractContextManager[dict[str, str]]]


def a_payment(number: int) -> PaymentChanged:
    """One of a shop with some thousands of customers, a few of whom pay often."""
    who = int(random.Random(number).paretovariate(1.2)) % 5000
    return a_payment_event(
        event_id=f"stripe:main:evt_{number}",
        payment_id=f"pi_{number}",
        card=a_card(fingerprint=f"fp_{who}"),
        customer_id=f"cus_{who}",
        device_id=f"device_{who % 900}",
        ip=f"192.0.2.{who % 250}",
        occurred_at=NOON + timedelta(seconds=number % 10**6),
    )


def payments(number: int) -> list[Request]:
    first = time.time_ns()
    events = [a_payment(first + n) for n in range(number)]
    return [pushed(encode_event(event), kind="payment", step=event.step.value) for event in events]


def disputes(number: int) -> list[Request]:
    first = time.time_ns()
    events = [
        a_dispute_event(
            event_id=f"stripe:main:evt_{first + n}", dispute_id=f"dp_{first + n}", payment_id=f"pi_{first + n}"
        )
        for n in range(number)
    ]
    return [pushed(encode_event(event), kind="dispute") for event in events]


CONSUMERS: dict[str, Callable[[int], list[Request]]] = {
    "record_payment": payments,
    "score_payment": payments,
    "track_dispute": disputes,
}
# On which topics an event of these ends.
TOPICS = {
    "record_payment": "",
    "score_payment": "fraud-decisions",
    "track_dispute": "dispute-updates fraud-labels",
}
ROWS = (*((name, CONNECTIONS) for name in CONSUMERS), ("score_payment", 1))
"""Which consumer with how many threads, of its own and of the bare one."""


def what_bounds_scoring() -> None:
    """The processor's time of one payment, without a server: all of it holds the interpreter's lock, so that a process
    judges no more a second than fit into one."""
    logging.disable(logging.CRITICAL)
    forest = fitted(COLUMNS)
    data = artifact(COLUMNS, forest)
    with tempfile.TemporaryDirectory() as folder:
        ports = local_ports(Path(folder))
        digest = ports.models.store(data)
        ports.documents.commit([Create(CHAMPION, {"digest": digest, "since": NOON, "former": []})])
        scorer = Scorer()
        scorer.start(ports, NOON)
        for number in range(1000):
            event = a_payment(number)
            score_payment(event, ports, event.occurred_at, scorer)
        phases = Phases()
        for owner, method in ((SqlDocuments, "get"), (SqlDocuments, "commit"), (LocalBus, "publish")):
            phases.part(owner, method, method)
        began = phases.told()[""]
        for number in range(1000, 1000 + REQUESTS):
            event = a_payment(number)
            score_payment(event, ports, event.occurred_at, scorer)
        spent = phases.told()
    whole = spent.pop("") - began
    spent["deciding: features, rules, model, record"] = whole - sum(spent.values())
    print(f"a payment judged on SQLite: {whole / REQUESTS * 1e3:.2f} ms, {REQUESTS / whole:.0f} a second at most")
    for name, seconds in sorted(spent.items(), key=lambda one: -one[1]):
        print(f"  {seconds / REQUESTS * 1e3:.2f} ms  {seconds / whole:4.0%}  {name}")


def main() -> None:
    what_bounds_scoring()
    console = Console()
    for world, environment in worlds():
        table = Table(
            title=f"events/s of one process, {world}, {CONNECTIONS} connections, {ROUNDS} x {REQUESTS} events"
        )
        for heading in ("", "threads", "ours", "bare", "ratio", "p50 ms", "p99 ms", "CPU ms", "bare's"):
            table.add_column(heading, justify="right")
        for name, threads in ROWS:
            table.add_row(name, str(threads), *_measured(name, threads, environment))
        console.print(table)


def _measured(name: str, threads: int, world: World) -> list[str]:
    fresh = CONSUMERS[name]
    with world() as settings:
        settings |= {"THREADS": str(threads), "PAYIN_MODEL": "none", "BARE_TOPICS": TOPICS[name], **own(name)}
        bare_at = ROOT / "tests/benchmarks/baseline/round_trips.py"
        with (
            serve(ROOT / "functions" / name / "main.py", name, settings, fresh(1)[0]) as served,
            serve(bare_at, "round_trips", settings, payments(1)[0]) as bare_served,
        ):
            before = [one.cpu_seconds() for one in (served, bare_served)]
            sides = [(served.port, fresh), (bare_served.port, payments)]
            ours, bare = beside(sides, CONNECTIONS, ROUNDS, REQUESTS, WARM)
            spent = [one.cpu_seconds() - then for one, then in zip((served, bare_served), before, strict=True)]
    rate, least = median(run.rate for run in ours), median(run.rate for run in bare)
    ratio = median(one.rate / other.rate for one, other in zip(ours, bare, strict=True))
    quantiles = (f"{median(run.quantile(part) for run in ours) * 1000:.1f}" for part in (0.5, 0.99))
    each = (f"{seconds / (WARM + ROUNDS * REQUESTS) * 1000:.2f}" for seconds in spent)
    return [f"{rate:.0f}", f"{least:.0f}", f"{ratio:.2f}", *quantiles, *each]


if __name__ == "__main__":
    main()
