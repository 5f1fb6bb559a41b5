"""What a request costs as more is stored: nothing more, on both databases of the local backend; and what one more fact of a
payment costs as more of it is known."""

import random
import tempfile
from collections.abc import Iterator
from datetime import timedelta
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import sqlalchemy as sa

from shared.backends.local.bus import LocalBus
from shared.backends.local.documents import SqlDocuments
from shared.backends.local.sql import Database
from shared.domain import payments, timeline
from shared.domain.codec import from_document
from shared.domain.events import PaymentChanged, PaymentStep
from shared.domain.money import Money
from shared.flows.ports import Accumulate, Create, Key, Message
from tests.benchmarks.timing import line, timed
from tests.builders import NOON, a_payment_event, a_refund_event
from tests.stack import postgres
from tests.stack.servers import Absent

SIZES = (100, 10_000, 100_000)
FACTS = (5, 10, 50, 1_000, 10_000)
FLAT = (10, 1_000)
ASKED = 300


def main() -> None:
    _facts()
    for name, url in _databases():
        database = Database(url)
        documents, bus = SqlDocuments(database), LocalBus(database)
        bus.subscribe("waiting", "later")
        stored = 0
        medians: dict[str, list[float]] = {}
        for size in SIZES:
            _fill(documents, bus, stored, size)
            if database.dialect == "postgresql":
                # As autovacuum would within a minute.
                database.write(lambda connection: connection.execute(sa.text("ANALYZE")))
            stored = size
            for what, taken in _cost(documents, bus, size).items():
                line(f"{name}, {size:,} documents: {what}", taken)
                medians.setdefault(what, []).append(median(taken))
        for what, costs in medians.items():
            print(f"{name}: {what}: {costs[-1] / costs[0]:.2f} times at {SIZES[-1]:,} of what it is at {SIZES[0]:,}")


def _facts() -> None:
    """One more refund, recorded into a payment's document: it is read, changed and written, and no store is asked."""
    blank = payments.Payment(provider="stripe", payment_id="pi_1", account="acct_1")
    payment = payments.record(blank, a_payment_event(PaymentStep.CAPTURED, amount=Money(10**9, "EUR")))
    known = 1
    costs: list[float] = []
    for size in FACTS:
        while known < size:
            payment, known = payments.record(payment, _refund(known)), known + 1
        document = timeline.compact(payment)
        taken = timed([partial(_one_more, document, _refund(size + number)) for number in range(ASKED)])
        line(f"a payment of {size:,} facts: one more", taken)
        costs.append(median(taken))
    first, last = FLAT
    flat = [cost for size, cost in zip(FACTS, costs, strict=True) if first <= size <= last]
    print(
        f"one more fact, from {first:,} to {last:,}: the dearest costs {max(flat) / min(flat):.2f} times the cheapest"
    )


def _one_more(document: dict[str, Any], event: PaymentChanged) -> None:
    timeline.compact(payments.record(from_document(document, payments.Payment), event))


def _refund(number: int) -> PaymentChanged:
    return a_refund_event(
        event_id=f"stripe:acct_1:evt_refund_{number}",
        reference=f"re_{number}",
        amount=Money(1, "EUR"),
        occurred_at=NOON + timedelta(seconds=number),
    )


def _databases() -> Iterator[tuple[str, str]]:
    with tempfile.TemporaryDirectory() as folder:
        yield "SQLite", f"sqlite:///{folder}/growth.sqlite"
        try:
            server = postgres.start(Path(folder) / "log")
        except Absent as absent:
            print(f"without PostgreSQL: {absent}")
            return
        try:
            yield "PostgreSQL", postgres.database_url(server.address, "postgres")
        finally:
            server.stop()


def _fill(documents: SqlDocuments, bus: LocalBus, begin: int, end: int) -> None:
    """Documents as large as a card's history, a message that waits for each."""
    body = {"n": {str(number): number for number in range(30)}, "at": NOON}
    for first in range(begin, end, 500):
        several = range(first, min(first + 500, end))
        documents.commit([Create(Key("feature_state", f"card:{number}"), body) for number in several])
        bus.publish([Message("later", b"{}") for _ in several])


def _cost(documents: SqlDocuments, bus: LocalBus, size: int) -> dict[str, list[float]]:
    chance = random.Random(size)

    def some() -> list[Key]:
        names = [Key("feature_state", f"card:{chance.randrange(size)}") for _ in range(5)]
        return list(dict.fromkeys([*names, Key("decisions", "none"), Key("known_frauds", "none")]))

    reads = [partial(documents.get, some()) for _ in range(ASKED)]
    commits = [
        partial(documents.commit, [Accumulate(key, add={("n", "1"): 1}) for key in some()]) for _ in range(ASKED)
    ]
    due = [partial(documents.due, "feature_state", "at", NOON, 10) for _ in range(ASKED)]
    publishes = [partial(bus.publish, [Message("nobody", b"{}")]) for _ in range(ASKED)]
    return {
        "a read of seven": timed(reads),
        "a commit of seven": timed(commits),
        "the first ten due": timed(due),
        "a publish": timed(publishes),
        "a pull of ten": timed([partial(bus.pull, "waiting", 10, 0.0) for _ in range(ASKED)]),
    }
