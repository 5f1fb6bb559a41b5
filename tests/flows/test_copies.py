"""Fifty copies of one message at once, on every database: one effect, and every copy is acknowledged."""

import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from flask import Flask, request

from shared.backends.gcp import connect as connect_gcp
from shared.backends.local import connect as connect_local
from shared.domain.codec import encode_event
from shared.domain.events import AnyEvent, PaymentChanged
from shared.flows.check_deadlines import check_deadlines
from shared.flows.ports import Bus, Key, Message, Ports
from shared.flows.record_payment import record_payment
from shared.flows.score_payment import score_payment
from shared.flows.scorer import Scorer
from shared.flows.track_dispute import track_dispute
from shared.runtime import entry
from shared.settings import read
from tests.benchmarks.requests import pushed
from tests.benchmarks.servers import Request
from tests.builders import DAY, NOON, a_dispute_event, a_fraud_warning, a_payment_event, a_refund_event

COPIES = 50

Act = Callable[[AnyEvent, Ports], object]


class Recorded:
    """A bus in front of the real one that remembers what was confirmed."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self.published: list[Message] = []

    def publish(self, messages: Any) -> None:
        self._bus.publish(messages)
        self.published.extend(messages)


@pytest.fixture(
    params=[
        "sqlite",
        pytest.param("postgresql", marks=pytest.mark.postgres),
        pytest.param("gcp", marks=pytest.mark.emulators),
    ]
)
def environment(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, str]:
    if request.param == "gcp":
        return dict(request.getfixturevalue("gcp_environment"))
    url = request.getfixturevalue("postgres_url") if request.param == "postgresql" else ""
    return {"PAYIN_HOME": str(tmp_path), "PAYIN_DATABASE_URL": url}


def scoring(event: AnyEvent, ports: Ports, scorer: Scorer = Scorer(use_model=False)) -> None:  # noqa: B008
    score_payment(event, ports, NOON, scorer)


def new(prefix: str) -> str:
    return f"{prefix}_{uuid.uuid4().hex}"


CASES: dict[str, tuple[Act, Callable[[], AnyEvent], list[str], str]] = {
    "record_payment": (
        lambda e, p: record_payment(e, p, NOON),
        lambda: a_payment_event(payment_id=new("pi")),
        ["payments"],
        "",
    ),
    "score_payment": (
        scoring,
        lambda: a_payment_event(payment_id=new("pi"), customer_id=new("cus")),
        ["decisions"],
        "fraud-decisions",
    ),
    "track_dispute": (
        lambda e, p: track_dispute(e, p, NOON),
        a_dispute_event,
        ["disputes", "cases"],
        "dispute-updates",
    ),
    "a warning": (lambda e, p: track_dispute(e, p, NOON), lambda: a_fraud_warning(payment_id=new("pi")), ["cases"], ""),
    "a refund": (lambda e, p: track_dispute(e, p, NOON), lambda: a_refund_event(payment_id=new("pi")), ["cases"], ""),
}


def connected(environment: dict[str, str]) -> tuple[Ports, Recorded]:
    connect = connect_gcp if environment.get("PAYIN_BACKEND") == "gcp" else connect_local
    ports = connect(read(environment))
    bus = Recorded(ports.bus)
    return replace(ports, bus=bus), bus


def statuses_of_copies(handler: entry.Handler, message: Request, environment: dict[str, str]) -> set[int]:
    """What a function answers to so many copies of `message` at the same moment."""
    handle = entry.start("copies", lambda _: handler, environment)
    app = Flask("copies")
    app.add_url_rule("/", view_func=lambda: handle(request), methods=["POST"])

    def post(_: int) -> int:
        return app.test_client().post("/", data=message.body, headers=message.headers).status_code

    with ThreadPoolExecutor(COPIES) as threads:
        return set(threads.map(post, range(COPIES)))


@pytest.mark.parametrize("case", CASES)
def test_fifty_copies_at_once_have_one_effect_and_every_copy_is_acknowledged(
    case: str, environment: dict[str, str]
) -> None:
    act, an_event, collections, topic = CASES[case]
    ports, bus = connected(environment)
    event = an_event()
    before = {name: {s.key for s in ports.documents.scan(name, 1000)} for name in collections}
    consumer = entry.consume(lambda event: act(event, ports))
    assert statuses_of_copies(consumer, pushed(encode_event(event)), environment) == {204}
    for name in collections:
        assert len({s.key for s in ports.documents.scan(name, 1000)} - before[name]) == 1
    bodies = {m.data for m in bus.published if m.topic == topic}
    assert len(bodies) == (1 if topic else 0)
    if isinstance(event, PaymentChanged) and case == "score_payment":
        alone = replace(event, payment_id=new("pi"), customer_id=new("cus"), event_id=new("stripe:main:evt"))
        act(alone, ports)
        keys = [Key("feature_state", f"customer:{payment.customer_id}") for payment in (event, alone)]
        fifty, one = ports.documents.get(keys)
        assert fifty is not None
        assert one is not None
        assert fifty.document == one.document


def test_fifty_ticks_at_once_remind_once_and_every_tick_is_acknowledged(environment: dict[str, str]) -> None:
    ports, bus = connected(environment)
    dispute = a_dispute_event(dispute_id=new("dp"), payment_id=new("pi"))
    track_dispute(dispute, ports, NOON)
    job = entry.on_tick("check_deadlines", lambda _: check_deadlines(ports, NOON + 13 * DAY))
    assert statuses_of_copies(job, pushed(b"", job="check_deadlines"), environment) == {204}
    told = [message for message in bus.published if dispute.dispute_id.encode() in message.data]
    actions = [message.attributes for message in told if message.topic == "dispute-actions"]
    assert [one["rung"] for one in actions if one["action"] == "remind"] == ["7d"]
    assert [one["action"] for one in actions].count("answer") == 1
