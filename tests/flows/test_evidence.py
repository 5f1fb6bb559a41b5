"""A dispute's evidence is put together from what is stored, in two round trips, and can be shown as it was sent."""

from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from shared.disputes.packet import Limits, TooLarge
from shared.domain.disputes import Dispute
from shared.domain.errors import Misconfigured
from shared.domain.events import PaymentStep
from shared.domain.evidence import Item, Packet, Purchase
from shared.domain.usage import KEPT
from shared.flows.evidence import assemble, keep, kept, paid_for
from shared.flows.filing import dispute_of, key_of
from shared.flows.keep_evidence import keep_evidence
from shared.flows.ports import Ports
from shared.flows.record_payment import record_payment
from shared.flows.subscribers import purchases_of
from shared.flows.track_dispute import track_dispute
from tests.builders import DAY, HOUR, NOON, a_dispute_event, a_fraud_warning, a_payment_event, an_assessment
from tests.disputes.proofs import MERCHANT, PURCHASES, a_purchase, told
from tests.flows.counting import Counting
from tests.flows.test_assess_payment import assess, score
from tests.flows.test_assess_payment import told as asked_for
from tests.local import local_ports

OPENED = NOON + 20 * DAY


@pytest.fixture
def ports(tmp_path: Path) -> Ports:
    """A payment that was used and is disputed, as the consumers store it."""
    found = local_ports(tmp_path)
    record_payment(a_payment_event(three_d_secure="authenticated"), found, NOON)
    keep_evidence(told(), found, OPENED)
    track_dispute(a_dispute_event(occurred_at=OPENED, respond_by=OPENED + 20 * DAY), found, OPENED)
    return found


def stored(ports: Ports) -> Dispute:
    found = dispute_of(ports.documents.get([key_of("stripe", "dp_1")])[0])
    assert found
    return found


def assembled(dispute: Dispute, ports: Ports, now: datetime, **options: Any) -> Packet:
    return assemble(dispute, paid_for(dispute, ports), ports, now, **options)


def packet_of(ports: Ports, purchases: tuple[Purchase, ...] = PURCHASES) -> Packet:
    return assembled(stored(ports), ports, OPENED + HOUR, purchases=purchases, merchant=MERCHANT)


def test_all_that_proves_the_payment_is_in_the_packet_after_two_round_trips(ports: Ports) -> None:
    dispute, documents = stored(ports), Counting(ports.documents)
    packet = assembled(
        dispute,
        replace(ports, documents=documents),
        OPENED + HOUR,
        purchases=PURCHASES,
        merchant=MERCHANT,
    )
    assert (documents.reads, documents.commits, documents.documents) == (2, 0, 3)
    assert packet.template == "digital_subscription/fraud/visa"
    assert packet.completeness > 0.9
    assert "5 days" in packet.texts[Item.USAGE]
    assert packet == packet_of(ports)


def test_what_the_payment_was_made_with_is_what_was_told_when_it_was_made(ports: Ports) -> None:
    before = packet_of(ports)
    for step in (PaymentStep.AUTHORIZED, PaymentStep.CAPTURED, PaymentStep.REFUND_PENDING):
        later = {"customer_id": "cus_2", "device_id": "dev_2", "ip": "198.51.100.9", "amount": None}
        record_payment(a_payment_event(step, occurred_at=OPENED - DAY, **later), ports, OPENED)
    packet = packet_of(ports)
    for item in (Item.PURCHASE_IP, Item.DEVICE, Item.LOGIN, Item.USAGE):
        assert packet.texts[item] == before.texts[item]


@pytest.mark.parametrize("asked_first", [True, False])
def test_device_and_address_that_only_the_checkout_told_are_those_of_the_payments_decision(
    ports: Ports, asked_first: bool
) -> None:
    paid = a_payment_event(payment_id="pi_9", ip=None, device_id=None, merchant_reference="order-1")
    asked = an_assessment(ip="198.51.100.77", device_id="dev_9", occurred_at=NOON - HOUR)
    record_payment(paid, ports, NOON)
    if not asked_first:
        score(ports, paid)
    assess(ports, asked)
    score(ports, *asked_for(ports), paid)
    dispute = replace(stored(ports), payment_id="pi_9", linked_to="pi_9")
    documents = Counting(ports.documents)
    texts = assembled(dispute, replace(ports, documents=documents), OPENED + HOUR).texts
    assert (texts[Item.PURCHASE_IP], "device dev_9." in texts[Item.DEVICE]) == ("198.51.100.77", True)
    assert documents.reads == 2


def test_an_earlier_payment_that_is_disputed_or_reported_by_now_is_none_that_nobody_disputed(ports: Ports) -> None:
    disputed, reported = PURCHASES[0], PURCHASES[1]
    for one in PURCHASES:
        record_payment(a_payment_event(payment_id=one.payment_id, occurred_at=one.at), ports, one.at)
    track_dispute(a_dispute_event(dispute_id="dp_2", payment_id=disputed.payment_id), ports, OPENED)
    track_dispute(a_fraud_warning(payment_id=reported.payment_id), ports, OPENED)
    text = packet_of(ports, purchases_of("cus_1", ports)).texts[Item.PRIOR_PAYMENTS]
    assert text.startswith("4 earlier payments")
    assert disputed.payment_id not in text
    assert reported.payment_id not in text


def test_the_payment_itself_is_no_other_one(ports: Ports) -> None:
    itself = a_purchase(0, payment_id="pi_1", at=NOON)
    assert packet_of(ports, (*PURCHASES, itself)) == packet_of(ports)


def test_of_a_payment_that_is_not_among_ours_there_is_nothing_to_prove(tmp_path: Path) -> None:
    ports = local_ports(tmp_path / "empty")
    track_dispute(a_dispute_event(occurred_at=OPENED, respond_by=OPENED + 20 * DAY), ports, OPENED)
    packet = assembled(stored(ports), ports, OPENED + HOUR)
    assert packet.texts == {}
    assert packet.completeness == 0
    assert packet.documents[0].pages == 1


def test_what_has_expired_is_not_used_though_it_may_still_be_there(ports: Ports) -> None:
    dispute = stored(ports)
    newest = NOON + 14 * DAY + 4 * HOUR
    there = assembled(dispute, ports, newest + KEPT)
    gone = assembled(dispute, ports, newest + KEPT + HOUR)
    assert Item.USAGE in there.texts
    assert Item.USAGE not in gone.texts


def test_what_was_sent_can_be_shown_and_nothing_else_passes_for_it(ports: Ports, tmp_path: Path) -> None:
    packet = packet_of(ports)
    digest = keep(packet, ports)
    assert digest == packet.digest == keep(packet, ports)
    assert kept(digest, ports) == packet
    file = tmp_path / "evidence" / packet.documents[0].digest
    file.chmod(0o600)
    file.write_bytes(packet.documents[0].data + b"%")
    with pytest.raises(Misconfigured):
        kept(digest, ports)


def test_a_providers_limits_are_known_before_anything_is_sent(ports: Ports) -> None:
    with pytest.raises(TooLarge):
        assembled(stored(ports), ports, OPENED + HOUR, limits=Limits(bytes=1000))
