"""What an answer is made of, out of what is stored, and what is to be done by it."""

from pathlib import Path
from typing import Any

import pytest

from shared.disputes.strategy import Outcomes, Strategy
from shared.domain.answers import Act
from shared.domain.disputes import Dispute
from shared.domain.errors import Unavailable
from shared.domain.evidence import Item, Merchant
from shared.flows.filing import dispute_of
from shared.flows.ports import Key, Ports
from shared.flows.preparing import Prepared, judge, outcomes_until, prepare
from shared.flows.record_payment import record_payment
from shared.flows.track_dispute import track_dispute
from tests.builders import DAY, HOUR, NOON, a_card, a_dispute_event, a_payment_event, eur
from tests.local import local_ports

MERCHANT = Merchant(name="Shop", product="Music", cancellation="in the account", refunds="none after a month has begun")
RESPOND_BY = NOON + 20 * DAY
WITH = {
    "ip": "203.0.113.7",
    "device_id": "device-0123456789abcdef",
    "customer_id": "cus_1",
    "card": a_card(network="visa"),
}


@pytest.fixture
def ports(tmp_path: Path) -> Ports:
    return local_ports(tmp_path)


def paid(ports: Ports, payment_id: str, days_before: int, **fields: Any) -> None:
    at = NOON - days_before * DAY
    event = a_payment_event(payment_id=payment_id, occurred_at=at, amount=eur(1999), **{**WITH, **fields})
    record_payment(event, ports, at)


def disputed(ports: Ports, **fields: Any) -> Dispute:
    told = {
        "respond_by": RESPOND_BY,
        "network": "visa",
        "reason_code": "10.4",
        "payment_id": "pi_1",
        "amount": eur(1999),
    }
    track_dispute(a_dispute_event(**{**told, **fields}), ports, NOON)
    dispute = dispute_of(ports.documents.get([Key("disputes", "stripe:dp_1")])[0])
    assert dispute is not None
    return dispute


def prepared(ports: Ports, dispute: Dispute) -> Prepared:
    return prepare(dispute, ports, NOON + HOUR, MERCHANT)


def test_a_subscriber_of_many_months_at_two_providers_has_compelling_evidence(ports: Ports) -> None:
    paid(ports, "pi_1", 10)
    paid(ports, "psp_2", 200, provider="adyen", event_id="adyen:a:2", network_transaction_id="MCC1234560101")
    paid(ports, "pi_3", 300)
    found = prepared(ports, disputed(ports))
    assert found.finding.evidence is not None
    assert found.packet.compelling == found.finding.evidence
    assert Item.PRIOR_PAYMENTS in found.packet.texts
    verdict = judge(disputed(ports), found, Outcomes(), Strategy(), NOON + HOUR)
    assert (verdict.act, verdict.by) == (Act.SUBMIT, "strategy/0")
    assert verdict.due_at == NOON + HOUR + Strategy().announced


def test_who_paid_once_has_none_and_is_told_what_is_missing(ports: Ports) -> None:
    paid(ports, "pi_1", 10)
    found = prepared(ports, disputed(ports))
    assert found.finding.evidence is None
    verdict = judge(disputed(ports), found, Outcomes(), Strategy(), NOON + HOUR)
    assert set(found.finding.missing) <= set(verdict.why)


def test_of_a_payment_that_is_not_among_ours_there_is_a_packet_all_the_same(ports: Ports) -> None:
    dispute = disputed(ports)
    assert prepared(ports, dispute).packet.completeness < 0.5


def test_what_is_due_never_comes_after_the_buffer_and_never_in_the_past(ports: Ports) -> None:
    paid(ports, "pi_1", 10)
    dispute = disputed(ports)
    found = prepared(ports, dispute)
    late = RESPOND_BY - 30 * HOUR
    assert judge(dispute, found, Outcomes(), Strategy(), late).due_at == RESPOND_BY - Strategy().buffer
    too_late = RESPOND_BY - 2 * HOUR
    assert judge(dispute, found, Outcomes(), Strategy(), too_late).due_at == too_late


def test_what_costs_more_than_ordinary_fees_is_a_persons(ports: Ports) -> None:
    paid(ports, "pi_1", 10)
    dispute = disputed(ports, contest_fee=eur(50_000))
    verdict = judge(dispute, prepared(ports, dispute), Outcomes(), Strategy(), NOON + HOUR)
    assert verdict.act is None


def test_a_warehouse_that_is_down_loses_no_case(ports: Ports, caplog: pytest.LogCaptureFixture) -> None:
    class Down:
        def query(self, *_: object, **__: object) -> list[dict[str, Any]]:
            raise Unavailable("no warehouse")

        def append(self, *_: object) -> None:
            raise Unavailable("no warehouse")

        def derive(self, *_: object, **__: object) -> None:
            raise Unavailable("no warehouse")

        def blank(self, *_: object) -> None:
            raise Unavailable("no warehouse")

    caplog.set_level("INFO", logger="payin")
    assert outcomes_until(NOON, Down(), NOON - DAY) == Outcomes()
    assert "outcomes_unknown" in [entry.message for entry in caplog.records]
