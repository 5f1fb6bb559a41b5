"""A subscriber's payments at all providers, as compelling evidence compares them."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.disputes.compelling import examine
from shared.domain.events import AnyEvent, DisputeChanged, DisputeStatus, FraudWarned, PaymentStep
from shared.domain.evidence import Purchase
from shared.flows.filing import dispute_of, key_of
from shared.flows.ports import Key, Ports
from shared.flows.record_payment import record_payment
from shared.flows.subscribers import LIMIT, purchases_of
from shared.flows.track_dispute import track_dispute
from tests.builders import (
    DAY,
    NOON,
    a_card,
    a_dispute_event,
    a_fraud_warning,
    a_payment_event,
    a_refund_event,
    eur,
)
from tests.flows.counting import Counting
from tests.local import wipe


def happen(ports: Ports, *events: AnyEvent) -> None:
    for event in events:
        if isinstance(event, DisputeChanged | FraudWarned):
            track_dispute(event, ports, NOON)
        else:
            record_payment(event, ports, NOON)


def names(purchases: tuple[Purchase, ...]) -> list[str]:
    return [one.payment_id for one in purchases]


def test_a_payment_is_told_as_it_was_made(ports: Ports) -> None:
    happen(ports, a_payment_event(network_transaction_id="nti_1", device_id="d" * 32))
    assert purchases_of("cus_1", ports) == (
        Purchase(
            provider="stripe",
            payment_id="pi_1",
            at=NOON,
            amount=eur(1999),
            credential="fp_1",
            network="visa",
            network_reference="nti_1",
            ip="203.0.113.7",
            device_id="d" * 32,
            login="cus_1",
            bin="424242",
            last4="4242",
            settled=True,
        ),
    )
    assert purchases_of("cus_2", ports) == ()


def test_they_come_from_every_provider_newest_first(ports: Ports) -> None:
    happen(
        ports,
        a_payment_event(payment_id="old", occurred_at=NOON - 9 * DAY),
        a_payment_event(payment_id="A1", provider="adyen", account="main"),
        a_payment_event(payment_id="mid", occurred_at=NOON - DAY),
        a_payment_event(payment_id="theirs", customer_id="cus_2"),
    )
    assert names(purchases_of("cus_1", ports)) == ["A1", "mid", "old"]


@pytest.mark.parametrize(
    "event",
    [
        a_payment_event(PaymentStep.DECLINED),
        a_payment_event(PaymentStep.PENDING),
        a_payment_event(PaymentStep.AUTHORIZED, amount=eur(0)),
        a_payment_event(customer_id=None),
    ],
)
def test_whoever_only_tried_to_pay_is_not_found(ports: Ports, event: AnyEvent) -> None:
    happen(ports, event)
    assert purchases_of("cus_1", ports) == ()


@pytest.mark.parametrize(
    ("more", "settled"),
    [
        ([], True),
        ([a_refund_event()], False),
        ([a_refund_event(amount=eur(1))], False),
        ([a_payment_event(PaymentStep.CAPTURE_FAILED, occurred_at=NOON + DAY)], False),
    ],
)
def test_settled_is_what_was_captured_and_is_still_ours_as_a_whole(
    ports: Ports, more: list[AnyEvent], settled: bool
) -> None:
    happen(ports, a_payment_event(), *more)
    found = purchases_of("cus_1", ports)
    assert [one for one in found if one.settled] == (list(found) if settled else [])
    assert found or not settled


def test_what_is_only_held_has_not_settled(ports: Ports) -> None:
    happen(ports, a_payment_event(PaymentStep.AUTHORIZED))
    [held] = purchases_of("cus_1", ports)
    assert not held.settled


@pytest.mark.parametrize("status", DisputeStatus)
def test_a_disputed_payment_says_so_however_it_ended(ports: Ports, status: DisputeStatus) -> None:
    happen(ports, a_payment_event(), a_dispute_event(status=status))
    assert [(one.disputed, one.fraud_reported) for one in purchases_of("cus_1", ports)] == [(True, False)]


def test_a_payment_that_was_reported_as_fraud_says_so(ports: Ports) -> None:
    happen(ports, a_fraud_warning(), a_payment_event())
    assert [(one.disputed, one.fraud_reported) for one in purchases_of("cus_1", ports)] == [(False, True)]


def test_a_customer_who_pays_often_costs_two_reads_and_no_more_than_the_limit(
    ports: Ports, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("shared.flows.subscribers.LIMIT", 5)
    happen(ports, *(a_payment_event(payment_id=f"p{n}", occurred_at=NOON + n * DAY) for n in range(7)))
    counting = Counting(ports.documents)
    found = purchases_of("cus_1", replace(ports, documents=counting))
    assert names(found) == ["p4", "p3", "p2", "p1", "p0"]
    assert (counting.reads, counting.documents, counting.commits) == (2, 10, 0)
    assert LIMIT == 200


def test_a_claim_is_answered_by_what_was_paid_at_two_providers(ports: Ports) -> None:
    device = "d" * 32
    card = a_card(fingerprint="adyens")
    happen(
        ports,
        a_payment_event(payment_id="own", occurred_at=NOON - 200 * DAY, device_id=device),
        a_payment_event(
            provider="adyen",
            account="main",
            payment_id="A1",
            occurred_at=NOON - 150 * DAY,
            device_id=device,
            card=card,
            network_transaction_id="nti_1",
        ),
        a_payment_event(payment_id="pi_1", device_id=device),
        a_dispute_event(occurred_at=NOON + DAY),
    )
    [found] = ports.documents.get([key_of("stripe", "dp_1")])
    dispute = dispute_of(found)
    assert dispute is not None
    history = purchases_of("cus_1", ports)
    [disputed] = [one for one in history if one.payment_id == "pi_1"]
    finding = examine(dispute, disputed, history)
    assert finding.evidence is not None
    assert names(finding.evidence.priors) == ["own", "A1"]


# Whatever order things are heard in.

payments = st.builds(
    a_payment_event,
    st.sampled_from([PaymentStep.AUTHORIZED, PaymentStep.CAPTURED, PaymentStep.REFUNDED, PaymentStep.DECLINED]),
    provider=st.sampled_from(["stripe", "adyen"]),
    payment_id=st.sampled_from(["p1", "p2", "p3"]),
    occurred_at=st.integers(0, 3).map(lambda n: NOON + n * timedelta(minutes=1)),
    aliases=st.sampled_from([(), ("a1",)]),
    customer_id=st.sampled_from(["cus_1", "cus_1", "cus_2", None]),
)
troubles = st.one_of(
    st.builds(
        a_dispute_event,
        provider=st.sampled_from(["stripe", "adyen"]),
        payment_id=st.sampled_from(["p1", "p2", "p3"]),
        dispute_id=st.sampled_from(["d1", "d2"]),
        # One dispute is of one payment.
    ).map(lambda event: replace(event, dispute_id=f"{event.dispute_id}_{event.payment_id}")),
    st.builds(
        a_fraud_warning,
        provider=st.sampled_from(["stripe", "adyen"]),
        payment_id=st.sampled_from(["p1", "p2", "p3"]),
    ),
)


@given(st.data(), st.lists(payments, min_size=1, max_size=5), st.lists(troubles, max_size=2))
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_any_order_and_any_repetition_tells_the_same_purchases(
    shared_ports: Ports, data: st.DataObject, paid: list[Any], troubled: list[Any]
) -> None:
    events = [*paid, *troubled]
    wipe(shared_ports)
    happen(shared_ports, *events)
    told = {customer: purchases_of(customer, shared_ports) for customer in ("cus_1", "cus_2")}
    again = data.draw(st.permutations([*events, *data.draw(st.lists(st.sampled_from(events), max_size=3))]))
    wipe(shared_ports)
    happen(shared_ports, *again)
    assert {customer: purchases_of(customer, shared_ports) for customer in told} == told
    # Each payment is found by one customer at most: the one that its document names.
    found = [(one.provider, one.payment_id) for purchases in told.values() for one in purchases]
    assert len(found) == len(set(found))
    for provider, payment_id in found:
        [document] = shared_ports.documents.get([Key("payments", f"{provider}:{payment_id}")])
        assert document is not None
        assert document.document["paid_by"] in told


def test_documents_of_before_are_found_from_their_next_event_on(ports: Ports, tmp_path: Path) -> None:
    happen(ports, a_payment_event())
    key = Key("payments", "stripe:pi_1")
    [stored] = ports.documents.get([key])
    assert stored is not None
    from shared.flows.ports import Replace

    older = {name: value for name, value in stored.document.items() if name != "paid_by"}
    ports.documents.commit([Replace(key, older, stored.version)])
    assert purchases_of("cus_1", ports) == ()
    happen(ports, a_refund_event())
    assert names(purchases_of("cus_1", ports)) == ["pi_1"]
