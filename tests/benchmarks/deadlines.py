"""What the clock and the answers take as more disputes are open: nothing more. And of thousands that are due in one hour: how
long, how often documents are asked, and how much memory it takes.

DUE=5000. On the emulators, where they are, at the first two sizes: they hold everything in memory.
"""

import os
import resource
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from statistics import median

from shared import settings
from shared.backends import gcp, local
from shared.disputes import lifecycle
from shared.disputes.strategy import Outcomes, Strategy
from shared.domain.api import ApiAnswer, ApiCredentials, ApiRequest
from shared.domain.disputes import Answer, AnswerAsked, AnswerState
from shared.domain.evidence import Merchant
from shared.domain.timeline import compact
from shared.flows.check_deadlines import check_deadlines
from shared.flows.evidence import keep, kept
from shared.flows.filing import dispute_of
from shared.flows.ports import Create, Delete, Document, Key, Message, Ports, Snapshot
from shared.flows.preparing import judge, prepare
from shared.flows.record_payment import record_payment
from shared.flows.respond_dispute import Clerk, respond_dispute
from shared.flows.track_dispute import track_dispute
from tests.benchmarks.worlds import worlds
from tests.builders import DAY, HOUR, MINUTE, NOON, a_dispute_event, a_payment_event
from tests.flows.corner import Corner, CornerDesk, a_contest
from tests.flows.counting import Counting
from tests.simulator.desks import ApiCall

SIZES = {"local on SQLite": (1_000, 10_000, 100_000), "gcp on emulators": (1_000, 10_000)}
DUE = int(os.environ.get("DUE", "5000"))
ROUNDS, DUE_AT_ONCE = 7, 100
MOST_GROWTH = 1.3
AT_ONCE = 8  # respond_dispute's concurrency
COUNTED = 64
RESPOND_BY = NOON + 20 * DAY
TELLS = RESPOND_BY - 7 * DAY


def main() -> None:
    for name, world in worlds():
        with world() as environment:
            ports = _connected(environment)
            _growth(name, ports)
            _clock(name, ports)
            if name.startswith("local"):
                _answers(name, ports)


def _connected(environment: Mapping[str, str]) -> Ports:
    read = settings.read(environment)
    if read.backend is settings.BackendName.GCP:
        return gcp.connect(read)
    return local.connect(read)


@dataclass
class _Publishing:
    """A bus that counts; the benchmark is of what the function does, and nobody listens."""

    rounds: int = 0
    messages: int = 0

    def publish(self, messages: Sequence[Message]) -> None:
        self.rounds += 1
        self.messages += len(messages)


def _dispute(ports: Ports, respond_by: datetime) -> Document:
    """A dispute as a function stored it, whose answer is a person's, so that reminders are all that is due."""
    record_payment(a_payment_event(), ports, NOON)
    track_dispute(a_dispute_event(dispute_id="model", respond_by=respond_by), ports, NOON)
    key = Key("disputes", "stripe:model")
    [found] = ports.documents.get([key])
    dispute = dispute_of(found)
    assert dispute is not None
    assert dispute.round is not None
    ports.documents.commit([Delete(key)])
    answers = {dispute.round: Answer(state=AnswerState.PARKED, stage=dispute.stage, at=NOON)}
    return compact(lifecycle.settle(replace(dispute, answers=answers)))


def _store(ports: Ports, document: Document, prefix: str, numbers: range) -> None:
    for first in range(numbers.start, numbers.stop, 100):
        several = range(first, min(first + 100, numbers.stop))
        ports.documents.commit(
            [
                Create(Key("disputes", f"stripe:{prefix}_{n}"), {**document, "dispute_id": f"{prefix}_{n}"})
                for n in several
            ]
        )


def _growth(name: str, ports: Ports) -> None:
    """So many due, beside ever more that are open: in processor time, which no neighbour on the machine changes, and by the
    clock without the queries, for Firestore's emulator answers one by looking through the whole collection."""
    ports = replace(ports, bus=_Publishing())
    waits, due = _dispute(ports, RESPOND_BY + 300 * DAY), _dispute(ports, RESPOND_BY)
    stored = 0
    costs: list[float] = []
    trips: set[int] = set()
    for size in SIZES[name]:
        _store(ports, waits, "open", range(stored, size))
        stored = size
        worked, waited, asked = [], [], []
        for turn in range(ROUNDS):
            _store(ports, due, f"due_{size}_{turn}", range(DUE_AT_ONCE))
            documents = _Queried(ports.documents)
            started, processor = time.perf_counter(), time.process_time()
            summary = check_deadlines(replace(ports, documents=documents), TELLS)
            worked.append(1000 * (time.process_time() - processor))
            waited.append(1000 * (time.perf_counter() - started - documents.queried))
            asked.append(1000 * documents.queried)
            assert summary.done == {"7d": DUE_AT_ONCE}, summary
            trips.add(documents.reads + documents.commits)
        costs.append(median(worked))
        print(
            f"{name}, {size:,} open: {DUE_AT_ONCE} due, {costs[-1]:.0f} ms of processor, {median(waited):.0f} ms by the "
            f"clock (best {min(waited):.0f}) and {median(asked):.0f} ms of queries, {max(trips)} round trips",
            flush=True,
        )
    growth = costs[-1] / costs[0]
    verdict = "holds" if growth <= MOST_GROWTH and len(trips) == 1 else "LACKS"
    print(
        f"{name}: {growth:.2f} times at {stored:,} of what it is at {SIZES[name][0]:,}, {MOST_GROWTH} at most: {verdict}"
    )


class _Queried(Counting):
    """queried: seconds that queries took."""

    queried = 0.0

    def due(self, collection: str, field: str, until: datetime, limit: int) -> list[Snapshot]:
        started = time.perf_counter()
        found = super().due(collection, field, until, limit)
        self.queried += time.perf_counter() - started
        return found


def _clock(name: str, ports: Ports) -> None:
    """All of them at one instant, which is the most that an hour can ask."""
    documents, bus = Counting(ports.documents), _Publishing()
    _store(ports, _dispute(ports, RESPOND_BY + DAY), "burst", range(DUE))
    now, runs, longest, begun = TELLS + DAY, 0, 0.0, time.perf_counter()
    while True:
        started = time.perf_counter()
        done = check_deadlines(replace(ports, documents=documents, bus=bus), now).done
        if not done:
            break
        now, runs, longest = now + 5 * MINUTE, runs + 1, max(longest, time.perf_counter() - started)
    print(
        f"{name}: {DUE:,} reminders due at once: {runs} runs, {time.perf_counter() - begun:.1f} s in all, the longest "
        f"{longest:.1f} s; {documents.reads} reads, {documents.commits} commits and {bus.rounds} publishes: "
        f"{(documents.reads + documents.commits + bus.rounds) / DUE:.2f} round trips each; {_memory()}",
        flush=True,
    )


def _answers(name: str, ports: Ports) -> None:
    """Decided and sent, of a subscriber of a year each, at a provider that answers at once."""
    bus = _Publishing()
    ports = replace(ports, bus=bus)
    opened = NOON + 400 * DAY
    desk = CornerDesk()
    for number in range(DUE):
        paid = a_payment_event(payment_id=f"pi_{number}", event_id=f"stripe:acct_1:evt_p{number}", occurred_at=opened)
        record_payment(replace(paid, customer_id=f"cus_{number % 400}"), ports, opened)
        told = a_dispute_event(
            dispute_id=f"dp_{number}",
            event_id=f"stripe:acct_1:evt_d{number}",
            payment_id=f"pi_{number}",
            occurred_at=opened,
            respond_by=opened + 20 * DAY,
            network="visa",
            reason_code="10.4",
        )
        track_dispute(told, ports, opened)
        desk.open(replace(a_contest(f"dp_{number}", opened + 20 * DAY), answer_id=f"dp_{number}"))
    asked = [AnswerAsked(provider="stripe", dispute_id=f"dp_{n}", round="chargeback/0") for n in range(DUE)]
    for what, now in (("decided", opened + HOUR), ("sent", opened + 19 * DAY + HOUR)):
        documents = Counting(ports.documents)
        started, processor = time.perf_counter(), time.process_time()
        for one in asked[:COUNTED]:
            _respond(one, replace(ports, documents=documents), desk, now)
        rounds = (documents.reads + documents.commits) / COUNTED
        with ThreadPoolExecutor(AT_ONCE) as pool:
            list(pool.map(partial(_respond, ports=ports, desk=desk, now=now), asked[COUNTED:]))
        took, worked = time.perf_counter() - started, time.process_time() - processor
        print(
            f"{name}: {DUE:,} answers {what}: {took:.0f} s on one instance of {AT_ONCE} at once, "
            f"{1000 * took / DUE:.0f} ms each, {1000 * worked / DUE:.0f} ms of processor; {rounds:.1f} round trips each; {_memory()}",
            flush=True,
        )
    assert len(desk.taken) == DUE, len(desk.taken)


def _respond(asked: AnswerAsked, ports: Ports, desk: CornerDesk, now: datetime) -> None:
    respond_dispute(asked, ports, _clerk(ports, desk, now), lambda: now)


def _clerk(ports: Ports, desk: CornerDesk, now: datetime) -> Clerk:
    rules, merchant = Strategy(), Merchant()
    return Clerk(
        responder=lambda _: Corner(),
        api=lambda _: _Api(desk, now),
        judge=lambda one, at: judge(one, prepare(one, ports, at, merchant), Outcomes(), rules, at),
        prepare=lambda one, at: prepare(one, ports, at, merchant).packet,
        keep=lambda packet: keep(packet, ports),
        load=lambda digest: kept(digest, ports),
    )


@dataclass
class _Api:
    desk: CornerDesk
    now: datetime

    def credentials(self, *, livemode: bool) -> ApiCredentials:
        return ApiCredentials("a-key", "https://api.corner.example")

    def send(self, request: ApiRequest, *, once: bool = False) -> ApiAnswer:
        path = request.url.removeprefix("https://api.corner.example")
        reply = self.desk.reply(ApiCall(request.method, path, {}, request.body, self.now))
        return ApiAnswer(reply.status, reply.body)


def _memory() -> str:
    return f"peak {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB"
