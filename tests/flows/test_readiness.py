"""A panel of subscribers, each looked at by the networks' own rules, as their payments are stored."""

from dataclasses import replace
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.disputes.compelling import Finding
from shared.domain.codec import encode_event
from shared.domain.evidence import CompellingEvidence, Purchase
from shared.flows import readiness as flow
from shared.flows.dispute_desk import ready_for
from shared.flows.ports import Ports
from shared.flows.readiness import Readiness, panel_readiness
from shared.flows.record_payment import record_payment
from shared.flows.track_dispute import track_dispute
from tests.builders import DAY, HOUR, NOON, a_card, a_dispute_event, a_payment_event, eur
from tests.flows.counting import Counting

SINCE, UNTIL, NOW = NOON - 12 * HOUR, NOON + 12 * HOUR, NOON + 16 * HOUR
PAID = Purchase(provider="stripe", payment_id="pi_1", at=NOON, amount=eur(1999))
READY = Finding(
    rule="visa_ce3",
    evidence=CompellingEvidence(rule="visa_ce3", disputed=PAID, priors=(PAID, PAID), matched=("ip", "login")),
)
SHORT = Finding(rule="visa_ce3", missing=("2 earlier payments are needed",), unfit={"a": "was disputed itself"})


def paid(ports: Ports, customer: str, *days: int, network: str = "visa", **fields: Any) -> None:
    """A subscriber who paid so many days before noon, each time from where they live."""
    for number in days:
        at = NOON - number * DAY
        told: dict[str, Any] = {
            "payment_id": f"pi_{customer}_{number}",
            "event_id": f"stripe:acct_1:{customer}_{number}",
            "occurred_at": at,
            "customer_id": customer,
            "card": a_card(network=network),
            "ip": "203.0.114.7",
            "device_id": "device-0123456789abcdef",
            "amount": eur(1999),
            **fields,
        }
        event = a_payment_event(**told)
        record_payment(event, ports, at)
        ports.warehouse.append("payment_events", [msgspec.json.decode(encode_event(event))])


def test_of_those_who_paid_that_day_so_many_could_be_defended_and_the_others_are_explained(ports: Ports) -> None:
    paid(ports, "cus_ready", 0, 150, 200)
    paid(ports, "cus_new", 0, 30, 60)
    paid(ports, "cus_disputed", 0, 150, 200)
    track_dispute(a_dispute_event(dispute_id="dp_9", payment_id="pi_cus_disputed_150"), ports, NOON)
    paid(ports, "cus_elsewhere", 0, 150, 200, network="mastercard")
    paid(ports, "cus_gone", 3, 150, 200)
    mastercard, visa = panel_readiness(ports, SINCE, UNTIL, NOW)
    assert (mastercard.rule, mastercard.subscribers, mastercard.ready) == ("mastercard_fpt", 1, 1)
    assert (visa.rule, visa.subscribers, visa.ready) == ("visa_ce3", 3, 1)
    assert visa.share == pytest.approx(1 / 3)
    assert visa.unfit == {"is younger than 120 days": 1, "was disputed itself": 1}
    assert visa.low < visa.share < visa.high
    # The same as whoever asks about one of them is told.
    [finding] = ready_for(ports, "cus_disputed", NOW)
    assert finding.evidence is None


def test_a_panel_is_a_query_and_a_read_for_each_of_its_subscribers_however_many_pay(
    ports: Ports, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flow, "PANEL", 3)
    for number in range(8):
        paid(ports, f"cus_{number}", 0, 150)
    documents = Counting(ports.documents)
    [found] = panel_readiness(replace(ports, documents=documents), SINCE, UNTIL, NOW)
    assert (found.subscribers, documents.reads) == (3, 6)
    paid(ports, "cus_1", -1)
    assert panel_readiness(ports, SINCE, UNTIL, NOW) == [found]


@given(st.lists(st.sampled_from([READY, SHORT]), min_size=1, max_size=400))
def test_a_share_lies_in_its_interval_which_never_leaves_what_is_possible(findings: list[Finding]) -> None:
    found = Readiness.of("visa_ce3", findings)
    assert 0 <= found.low <= found.share <= found.high <= 1
    assert (found.ready, found.subscribers) == (findings.count(READY), len(findings))
    assert found.unfit.get("was disputed itself", 0) == findings.count(SHORT)
