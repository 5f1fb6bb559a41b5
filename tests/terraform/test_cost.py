"""The bill and the limits follow from what the flows really do, and the arithmetic is right."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import pytest

from shared import providers, settings
from shared.domain.codec import decode_event, encode_event
from shared.domain.delivery import Delivery
from shared.domain.events import PaymentStep
from shared.flows.ports import Documents, Key, Message, Ports, Snapshot, Write
from shared.flows.receive_delivery import receive
from shared.flows.record_payment import record_payment
from shared.flows.score_payment import Scorer, score_payment
from shared.flows.track_dispute import track_dispute
from shared.runtime import logs
from terraform.tools import cost, tool
from tests.benchmarks.requests import stripe_delivery
from tests.benchmarks.worlds import STRIPE
from tests.builders import NOON, a_dispute_event, a_payment_event
from tests.local import local_ports


@dataclass
class Counted:
    """Documents that count what Firestore would bill: documents read and written."""

    inner: Documents
    reads: int = 0
    writes: int = 0

    def get(self, keys: Sequence[Key]) -> list[Snapshot | None]:
        self.reads += len(set(keys))
        return self.inner.get(keys)

    def commit(self, writes: Sequence[Write]) -> None:
        self.inner.commit(writes)
        self.writes += len(writes)

    def due(self, collection: str, field: str, until: datetime, limit: int) -> list[Snapshot]:
        raise AssertionError("no event makes a query")

    def scan(self, collection: str, limit: int, after: str = "") -> list[Snapshot]:
        raise AssertionError("no event makes a scan")


class Measured:
    """Ports on SQLite; what one step reads, writes and publishes."""

    def __init__(self, folder: Path) -> None:
        self._ports = local_ports(folder)
        self.published: list[Message] = []

    def publish(self, messages: Sequence[Message]) -> None:
        self.published += messages

    def step(self) -> tuple[Ports, Counted]:
        counted = Counted(self._ports.documents)
        return replace(self._ports, documents=counted, bus=self), counted


def test_what_an_event_takes_is_what_the_flows_take(tmp_path: Path) -> None:
    world, each = Measured(tmp_path), cost.Each()
    attempt, capture = a_payment_event(PaymentStep.AUTHORIZED), a_payment_event(PaymentStep.CAPTURED)

    ports, counted = world.step()
    record_payment(attempt, ports, NOON)
    assert (counted.reads, counted.writes) == (each.record_reads, each.record_writes + each.money_proofs)

    scorer = Scorer(use_model=False)
    ports, counted = world.step()
    score_payment(attempt, ports, NOON, scorer)
    assert (counted.reads, counted.writes) == (each.score_reads, each.score_writes)
    assert size(world.published[-1]) <= each.decision_bytes

    ports, counted = world.step()
    record_payment(capture, ports, NOON)
    assert (counted.reads, counted.writes) == (each.record_reads, each.record_writes)

    ports, counted = world.step()
    score_payment(capture, ports, NOON, scorer)
    assert (counted.reads, counted.writes) == (each.reread_reads, 0)

    ports, counted = world.step()
    track_dispute(a_dispute_event(), ports, NOON)
    assert (counted.reads, counted.writes) == (each.dispute_reads, each.dispute_writes)
    assert size(world.published[-1]) <= each.update_bytes
    assert len(encode_event(attempt)) <= each.event_bytes


def test_a_message_and_a_line_are_no_larger_than_they_are_charged_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    world, each = Measured(tmp_path), cost.Each()
    ports, _ = world.step()
    request = stripe_delivery(NOON, "1")
    delivery = Delivery("stripe", request.body, {k.lower(): v for k, v in request.headers.items()}, NOON, "/stripe")
    credentials = settings.read({"WEBHOOK_STRIPE": STRIPE}).credentials("stripe")
    logs.configure("score_payment", "payin-prod-example")
    token = logs.traceparent.set(TRACEPARENT)
    try:
        receive(delivery, providers.load("stripe"), credentials, world, lambda _: b"")
        event = decode_event(world.published[-1].data)
        record_payment(event, ports, NOON)
        score_payment(event, ports, NOON, Scorer(use_model=False))
    finally:
        logs.traceparent.reset(token)
    largest = {
        "deliveries": each.delivery_bytes,
        "payment-events": each.event_bytes,
        "fraud-decisions": each.decision_bytes,
    }
    assert {message.topic: size(message) <= largest[message.topic] for message in world.published} == dict.fromkeys(
        largest, True
    )
    # As the framework writes them anew where it is told to add the execution's id.
    labels = {"logging.googleapis.com/labels": {"execution_id": "tQ8bOafrlzgg"}}
    lines = [json.dumps({**json.loads(line), **labels}) for line in capsys.readouterr().out.splitlines()]
    assert len(lines) > 3
    assert 0.7 * each.log_bytes < max(map(len, lines)) <= each.log_bytes


def test_a_consumer_pays_for_what_its_filter_takes_out_too() -> None:
    plan = cost.read_plan()
    # Four consumers, and refunds beside disputes, of 16 M events of 1.1 kB a day; each provider's on a topic of its own.
    assert dollars(plan, "Pub/Sub pushed") == pytest.approx(5 * 16e6 * 1_100 * 30 / 2**40 * 40)


def test_backups_are_as_many_as_are_configured() -> None:
    text = (tool.ROOT / "terraform" / "storage.tf").read_text()
    daily, weekly = (int(seconds) // 86_400 for seconds in re.findall(r'retention = "(\d+)s"', text))
    assert daily + weekly // 7 == cost.BACKUPS


TRACEPARENT = f"00-{'a' * 32}-{'b' * 16}-01"


def size(message: Message) -> int:
    """With its trace, which the runtime adds."""
    attributes = {"traceparent": TRACEPARENT, **message.attributes}
    return len(message.data) + sum(len(name) + len(text) for name, text in attributes.items())


def dollars(plan: cost.Plan, item: str) -> float:
    [line] = [line for line in cost.costs(plan) if line.item == item]
    return line.dollars


def test_the_arithmetic_can_be_followed_by_hand() -> None:
    plan = cost.read_plan()
    # 16 M events and 6 M decisions a day, 30 days, $0.90 a million: 16*1 + 6*6 + 0.12*2 = 52.24 M writes a day.
    assert dollars(plan, "Firestore writes") == pytest.approx(58.48 * 30 * 0.90)
    # 20 M deliveries at 150 a second is 4 million seconds of half a GiB and one CPU.
    assert dollars(plan, "Cloud Run webhook") == pytest.approx(4_000_000 * (0.000024 + 0.5 * 0.0000025))


def test_twice_the_traffic_costs_twice_as_much_wherever_traffic_is_what_costs() -> None:
    plan = cost.read_plan()
    twice = cost.told(plan, ["traffic.webhooks_a_day=40e6", "traffic.payments_a_day=12e6"])
    fixed = {"Cloud Run warm instances", "Monitoring"}
    for before, after in zip(cost.costs(plan), cost.costs(twice), strict=True):
        assert after.dollars == pytest.approx(before.dollars * (1 if before.item in fixed else 2)), before.item


def test_prod_as_configured_holds_five_thousand_deliveries_a_second() -> None:
    assert [limit.sum for limit in cost.limits(cost.read_plan()) if not limit.holds] == []


def test_a_limit_that_lacks_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    cost.main(["--set", "traffic.webhooks_a_second_peak=50000"])
    assert "LACKS  webhook-stripe" in capsys.readouterr().out


def test_the_bill_in_the_readme_is_the_scripts(capsys: pytest.CaptureFixture[str]) -> None:
    cost.main([])
    assert capsys.readouterr().out in (tool.ROOT / "terraform" / "README.md").read_text(), (
        "put `make cost` in there anew"
    )


def test_the_readme_names_the_sum() -> None:
    plan = cost.read_plan()
    month = sum(one.dollars for one in cost.costs(plan))
    million = month / (plan.traffic.payments_a_day * cost.DAYS / 1e6)
    told = (tool.ROOT / "README.md").read_text()
    assert f"some ${round(month, -2):,.0f} a month at list prices, ${million:.0f} for a million" in told
