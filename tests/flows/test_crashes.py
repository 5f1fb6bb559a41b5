"""A consumer is killed after every single step it takes, and gets its message again: nothing is lost or doubled.

The consumer is a real process on a real SQLite bus and database; the kill is SIGKILL. What is left is compared with
what a run without a crash leaves: every document, every distinct published message, and every model.
"""

import json
import multiprocessing
import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest

from shared.backends.local.bus import LocalBus
from shared.domain.api import ApiAnswer, ApiCredentials, ApiRequest
from shared.domain.codec import decode, decode_event, encode, encode_event
from shared.domain.events import AnyEvent, DisputeStatus
from shared.domain.pseudonyms import DEVELOPMENT
from shared.domain.reviews import Promise, ReviewAction
from shared.flows.check_deadlines import check_deadlines
from shared.flows.fetch_resource import fetch_resource
from shared.flows.keep_evidence import keep_evidence
from shared.flows.ports import Key, Message, Ports
from shared.flows.record_payment import record_payment
from shared.flows.reviews import Word, check_reviews, claim, decide
from shared.flows.score_payment import score_payment
from shared.flows.scorer import Scorer
from shared.flows.track_dispute import track_dispute
from shared.flows.train_model import train_model
from shared.runtime import usage
from shared.runtime.apis import fetcher
from tests.builders import (
    DAY,
    HOUR,
    MINUTE,
    NOON,
    a_dispute_event,
    a_fraud_warning,
    a_payment_event,
    a_refund_event,
    eur,
)
from tests.crashing import Steps, stepping
from tests.learning.shop import DAYS, OPENED, fill, past
from tests.local import COLLECTIONS, TOPICS, everything, local_ports, published
from tests.providers.kits import Kit, a_kit
from tests.simulator.facts import FactKind

ALL = (*COLLECTIONS, "decisions", "feature_state", "known_frauds", "fraud_claims", "registry", "reviews", "usage")
INBOX = "inbox"
RESPOND_BY = NOON + 20 * DAY


def _recorded(event: AnyEvent, ports: Ports) -> None:
    record_payment(event, ports, NOON)


def _tracked(event: AnyEvent, ports: Ports) -> None:
    track_dispute(event, ports, NOON)


def _scored(event: AnyEvent, ports: Ports) -> None:
    score_payment(event, ports, NOON, Scorer(use_model=False))


class MolliesApi:
    """Mollie's API as its simulator answers it; each answer is a step."""

    def __init__(self, kit: Kit, steps: Steps) -> None:
        self._kit = kit
        self._steps = steps

    def credentials(self, *, livemode: bool) -> ApiCredentials:
        return ApiCredentials(key=f"a-{'live' if livemode else 'test'}-key-of-ours")

    def send(self, request: ApiRequest, *, once: bool = False) -> ApiAnswer:
        path = request.url.partition("mollie.com")[2]
        headers = {name.lower(): value for name, value in request.headers.items()}
        reply = cast(Any, self._kit.simulator).answer(request.method, path, headers)
        self._steps.take()
        return ApiAnswer(reply.status, reply.body)


def mollie() -> tuple[Kit, list[AnyEvent]]:
    """Mollie, of which a payment was captured and refunded, and its pokes about that: the same ones on every call."""
    kit = a_kit("mollie", Path("nowhere"))
    return kit, [poke for kind in (FactKind.CAPTURED, FactKind.REFUNDED) for poke in kit.pokes(kind)]


def _fetched(data: bytes, ports: Ports, steps: Steps) -> None:
    kit, _ = mollie()
    fetch_resource(decode_event(data), fetcher, lambda _: MolliesApi(kit, steps), ports.bus, NOON)


def _trained(data: bytes, ports: Ports, steps: Steps) -> None:
    train_model(ports, OPENED + (DAYS + 10) * DAY, data)


def _on_event(consume: Callable[[AnyEvent, Ports], None]) -> Callable[[bytes, Ports, Steps], None]:
    return lambda data, ports, _: consume(decode_event(data), ports)


def _on_tick(data: bytes, ports: Ports, steps: Steps) -> None:
    check_deadlines(ports, decode(data, datetime))


def _reviewed(data: bytes, ports: Ports, steps: Steps) -> None:
    """A reviewer's program, which asks again until it is answered; beside it the clock, of a promise that refuses."""
    review_id, by = "stripe:pi_1", "ana@shop.example"
    match data.split():
        case [b"claim"]:
            claim(ports, review_id, by, NOON)
        case [b"decide"]:
            word = Word(request_id="w", action=ReviewAction.RELEASE, code="known_customer", label="genuine")
            decide(ports, review_id, by, NOON, word)
        case [b"tick", hours]:
            check_reviews(ports, NOON + int(hours) * HOUR, Promise(then=ReviewAction.REFUSE))
        case _:
            _scored(decode_event(data), ports)


def _kept(data: bytes, ports: Ports, steps: Steps) -> None:
    keep_evidence(usage.read(data, DEVELOPMENT), ports, NOON)


CONSUMERS: dict[str, Callable[[bytes, Ports, Steps], None]] = {
    "record_payment": _on_event(_recorded),
    "track_dispute": _on_event(_tracked),
    "score_payment": _on_event(_scored),
    "check_deadlines": _on_tick,
    "fetch_resource": _fetched,
    "train_model": _trained,
    "review_payment": _reviewed,
    "keep_evidence": _kept,
}


@dataclass(frozen=True)
class Scenario:
    """What was there before (told, or in the warehouse only), and the messages that come, one after the other."""

    consumer: str
    messages: Sequence[bytes]
    before: Sequence[AnyEvent] = ()
    in_warehouse: Sequence[AnyEvent] = ()


def told(*events: AnyEvent) -> list[bytes]:
    return [encode_event(event) for event in events]


def ticks(*instants: datetime) -> list[bytes]:
    return [encode(instant) for instant in instants]


def told_of_use() -> list[bytes]:
    """Two messages, and the first one again."""
    who = {"customer_id": "cus_1"}
    login = {"kind": "login", "at": "2026-11-01T11:00:00Z", "ip": "203.0.113.7"}
    wrote = {
        "kind": "message",
        "at": "2026-11-01T12:00:00Z",
        "direction": "to_customer",
        "channel": "chat",
        "text": "Hello",
    }
    player = json.dumps({"message_id": "1", "source": "player", "records": [login], **who}).encode()
    return [player, json.dumps({"message_id": "1", "source": "support", "records": [wrote], **who}).encode(), player]


SCENARIOS = {
    "a payment and its refund": Scenario(
        "record_payment",
        told(
            a_payment_event(aliases=("ch_1",)),
            a_refund_event(amount=eur(500)),
            a_refund_event(amount=eur(500), reference="re_2"),
        ),
    ),
    "a warned and refunded payment and its dispute": Scenario(
        "track_dispute",
        told(
            a_fraud_warning(occurred_at=NOON - DAY),
            a_dispute_event(payment_aliases=("ch_1",)),
            a_refund_event(amount=eur(500)),
            a_dispute_event(payment_id=None, status=DisputeStatus.LOST, occurred_at=NOON + DAY),
            a_dispute_event(dispute_id="pi_1", payment_id=None, status=DisputeStatus.WON, occurred_at=NOON + 2 * DAY),
        ),
    ),
    "a payment, another of the same card, and news of fraud": Scenario(
        "score_payment",
        told(
            a_payment_event(),
            a_payment_event(payment_id="pi_2", occurred_at=NOON + HOUR),
            a_fraud_warning(occurred_at=NOON + DAY),
        ),
    ),
    "a reminder, with wider ones missed": Scenario(
        "check_deadlines",
        # At the last one an answer is asked for again, whoever died before.
        ticks(*(RESPOND_BY - 12 * HOUR + minutes * MINUTE for minutes in (0, 5, 35))),
        before=[a_payment_event(), a_dispute_event(), a_dispute_event(dispute_id="dp_2")],
    ),
    "a missed deadline": Scenario(
        "check_deadlines",
        ticks(RESPOND_BY - DAY, RESPOND_BY - DAY + 5 * MINUTE, RESPOND_BY + MINUTE, RESPOND_BY + 6 * MINUTE),
        before=[a_payment_event(), a_dispute_event(), a_refund_event()],
    ),
    "a payment that is found later": Scenario(
        "check_deadlines",
        ticks(NOON + timedelta(minutes=10), NOON + timedelta(minutes=15)),
        before=[a_dispute_event(payment_id="ch_1"), a_payment_event(aliases=("ch_1",))],
    ),
    "a payment that never comes": Scenario(
        "check_deadlines",
        ticks(*(NOON + DAY + minutes * MINUTE for minutes in (0, 5, 35))),
        before=[a_dispute_event()],
    ),
    "a payment that somebody looks at": Scenario(
        "review_payment", [*told(a_payment_event(three_d_secure="failed")), b"claim", b"decide", b"tick 1"]
    ),
    "a payment that nobody looks at": Scenario(
        "review_payment", [*told(a_payment_event(three_d_secure="failed")), b"tick 30", b"tick 31"]
    ),
    "what a player and a support desk tell of one subscriber": Scenario("keep_evidence", told_of_use()),
    "a payment that has to be read back": Scenario("fetch_resource", told(*mollie()[1])),
    "a night's training": Scenario(
        "train_model",
        [
            json.dumps(
                {"maturity_days": 8, "gap_days": 2, "burn_in_days": 0, "iterations": 4, "least_frauds_held_out": 5}
            ).encode()
        ],
        in_warehouse=list(past(payments=400, frauds=80)),
    ),
}


def consume(consumer: str, ports: Ports, steps: Steps) -> None:
    """Receive, handle, acknowledge, until there is nothing left; the inbox and the acknowledgement are steps too."""
    outside = stepping(ports, steps)
    # No lease: what died with a consumer is there for the next one at once.
    bus = cast(LocalBus, outside.bus)
    while pulled := bus.pull(INBOX, limit=1, lease_seconds=0):
        for message in pulled:
            CONSUMERS[consumer](message.data, outside, steps)
            bus.ack(INBOX, [message.ack_id])


def consume_and_die(consumer: str, folder: Path, kill_after: int) -> None:
    consume(consumer, local_ports(folder), Steps(kill_after))


@dataclass(frozen=True)
class Outcome:
    documents: dict[Key, dict[str, Any]]
    published: set[bytes]
    models: set[str]
    steps: list[int]


def play(scenario: Scenario, folder: Path, crash: tuple[int, int] | None = None) -> Outcome:
    """Let each message be handled in turn; at `crash`, (message, step), first by a process that dies at that step."""
    folder.mkdir()
    ports = local_ports(folder)
    bus = cast(LocalBus, ports.bus)
    bus.subscribe(INBOX, INBOX)
    fill(ports, iter(scenario.in_warehouse))
    for event in scenario.before:
        _recorded(event, ports)
        _tracked(event, ports)
    steps = []
    for number, data in enumerate(scenario.messages):
        bus.publish([Message(INBOX, data)])
        if crash is not None and crash[0] == number:
            child = _processes.Process(target=consume_and_die, args=(scenario.consumer, folder, crash[1]))
            child.start()
            child.join(60)
            assert child.exitcode == -signal.SIGKILL
        taken = Steps()
        consume(scenario.consumer, ports, taken)
        steps.append(taken.taken)
    messages = {encode(message) for topic in TOPICS for message in published(ports, topic)}
    models = {path.name for path in folder.glob("models/[!.]*")}
    return Outcome(everything(ports, ALL), messages, models, steps)


# Forked from a server that has imported everything: a real process, without the start of a new interpreter.
_processes = multiprocessing.get_context("forkserver")
_processes.set_forkserver_preload(
    [
        *("pytest", "tests.flows.test_crashes", "shared.backends.local.bus", "shared.backends.local.documents"),
        *("shared.backends.local.warehouse", "shared.learning.fit", "shared.learning.evaluate"),
    ]
)


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_consumer_killed_after_any_step_leaves_what_one_that_lives_leaves(name: str, tmp_path: Path) -> None:
    scenario = SCENARIOS[name]
    unharmed = play(scenario, tmp_path / "unharmed")
    # Pull, read and acknowledge at least: a scenario in which nothing happens would prove nothing.
    assert max(unharmed.steps) >= 4
    assert bool(unharmed.models) == (SCENARIOS[name].consumer == "train_model")
    for message, steps in enumerate(unharmed.steps):
        for step in range(1, steps + 1):
            crashed = play(scenario, tmp_path / f"{message}_{step}", (message, step))
            where = f"killed after step {step} of message {message}"
            assert crashed.documents == unharmed.documents, where
            assert crashed.published == unharmed.published, where
            assert crashed.models == unharmed.models, where
