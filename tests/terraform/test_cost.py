"""The bill and the limits follow from what the flows really do, and the arithmetic is right."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import pytest

from shared.domain.codec import encode_event
from shared.domain.events import PaymentStep
from shared.flows.ports import Documents, Key, Message, Ports, Snapshot, Write
from shared.flows.record_payment import record_payment
from shared.flows.score_payment import Scorer, score_payment
from shared.flows.track_dispute import track_dispute
from terraform import cost
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
    assert (counted.reads, counted.writes) == (each.record_reads, each.record_writes)

    scorer = Scorer(use_model=False)
    ports, counted = world.step()
    score_payment(attempt, ports, NOON, scorer)
    assert (counted.reads, counted.writes) == (each.score_reads, each.score_writes)
    assert size(world.published[-1]) <= each.decision_bytes

    ports, counted = world.step()
    score_payment(capture, ports, NOON, scorer)
    assert (counted.reads, counted.writes) == (each.reread_reads, 0)

    ports, counted = world.step()
    track_dispute(a_dispute_event(), ports, NOON)
    assert (counted.reads, counted.writes) == (each.dispute_reads, each.dispute_writes)
    assert size(world.published[-1]) <= each.update_bytes
    assert len(encode_event(attempt)) <= each.event_bytes


def size(message: Message) -> int:
    return len(message.data) + sum(len(name) + len(text) for name, text in message.attributes.items())


def dollars(plan: cost.Plan, item: str) -> float:
    [line] = [line for line in cost.costs(plan) if line.item == item]
    return line.dollars


def test_the_arithmetic_can_be_followed_by_hand() -> None:
    plan = cost.read_plan()
    # 16 M events and 6 M decisions a day, 30 days, $0.90 a million: 16*1 + 6*6 + 0.12*2 = 52.24 M writes a day.
    assert dollars(plan, "Firestore writes") == pytest.approx(52.24 * 30 * 0.90)
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
