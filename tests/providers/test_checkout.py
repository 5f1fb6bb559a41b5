"""Checkout.com: every type of its table, amounts, and the header that an action can be given."""

import base64
import dataclasses
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from shared.domain import payments
from shared.domain.delivery import Credentials, Delivery, Verdict
from shared.domain.errors import SignatureInvalid
from shared.domain.events import DisputeChanged, DisputeReason, DisputeStage, DisputeStatus, PaymentChanged, PaymentStep
from shared.domain.money import Money
from shared.domain.payments import Payment
from shared.providers import load
from shared.providers.checkout import webhook as adapter
from shared.providers.kit.protocol import Normalized
from shared.providers.kit.unmapped import unmapped
from tests.providers.kits import NOON, a_kit

PAYMENT = {"id": "pay_1", "action_id": "act_1", "reference": "order-1", "amount": 1250, "currency": "EUR"}
DISPUTE = {
    "id": "dsp_1",
    "payment_id": "pay_1",
    "category": "not_as_described",
    "reason_code": "13.3",
    "amount": 1250,
    "currency": "EUR",
    "payment_method": "VISA",
}


def read(kind: str, data: dict[str, Any], **event: Any) -> Normalized:
    body = {"id": "evt_1", "type": kind, "timestamp": "2026-05-01T12:00:00.1234567+00:00", "data": data} | event
    delivery = Delivery("checkout", json.dumps(body).encode(), {}, NOON)
    return adapter.normalize(delivery, Verdict(("k",)), Credentials(keys={"k": "s"}))


def event(kind: str, data: dict[str, Any], **changes: Any) -> Any:
    (found,) = read(kind, data, **changes).events
    return found


@pytest.mark.parametrize(
    ("kind", "step"),
    [
        ("payment_approved", PaymentStep.AUTHORIZED),
        ("payment_authorization_incremented", PaymentStep.AUTHORIZED),
        ("payment_captured", PaymentStep.CAPTURED),
        ("payment_pending", PaymentStep.PENDING),
        ("payment_capture_pending", PaymentStep.PENDING),
        ("payment_declined", PaymentStep.DECLINED),
        ("payment_retry_scheduled", PaymentStep.DECLINED),
        ("payment_capture_declined", PaymentStep.CAPTURE_FAILED),
        ("payment_authentication_failed", PaymentStep.DECLINED),
        ("payment_expired", PaymentStep.DECLINED),
        ("payment_canceled", PaymentStep.CANCELED),
        ("payment_voided", PaymentStep.CANCELED),
        ("payment_refunded", PaymentStep.REFUNDED),
        ("payment_refund_declined", PaymentStep.REFUND_FAILED),
        ("payment_refund_pending", PaymentStep.REFUND_PENDING),
        ("payment_returned", PaymentStep.REVERSED),
    ],
)
def test_payments(kind: str, step: PaymentStep) -> None:
    found = event(kind, PAYMENT)
    assert isinstance(found, PaymentChanged)
    assert (found.step, found.payment_id, found.reference) == (step, "pay_1", "act_1")
    assert (found.amount, found.merchant_reference) == (Money(1250, "EUR"), "order-1")


@pytest.mark.parametrize("kind", ["payment_void_declined", "issuing_chargeback_processed", "payment_newfangled"])
def test_what_changes_nothing_of_ours_is_ignored(kind: str) -> None:
    assert read(kind, PAYMENT).ignored == (kind,)


def test_a_payout_is_no_payment_though_it_has_the_same_type() -> None:
    payout = PAYMENT | {"destination": {"type": "card"}}
    for funded in ({}, {"source": {"type": "currency_account", "id": "ca_1"}}):
        assert read("payment_approved", payout | funded).ignored == ("payment_approved",)


def test_a_bank_that_takes_a_payment_back_reverses_it_and_one_that_sends_a_payout_back_does_not() -> None:
    payment = Payment(provider="checkout", payment_id="pay_1", account="main")
    for number, kind in enumerate(("payment_captured", "payment_returned")):
        told = event(kind, PAYMENT | {"action_id": f"act_{number}"}, id=f"evt_{number}")
        payment = payments.record(payment, told)
    assert (payment.state, payment.reversed) == (payments.PaymentState.REVERSED, Money(1250, "EUR"))
    payout = PAYMENT | {"source": {"type": "currency_account"}, "destination": {"type": "bank_account"}}
    assert read("payment_returned", payout).ignored == ("payment_returned",)


def test_an_increment_tells_the_whole_authorization() -> None:
    data = PAYMENT | {"amount": 100, "balances": {"total_authorized": 1350}}
    found = event("payment_authorization_incremented", data)
    assert (found.amount, found.cumulative) == (Money(1350, "EUR"), True)


def test_an_attempt_that_is_to_be_made_again_was_declined_until_one_is_approved() -> None:
    payment = Payment(provider="checkout", payment_id="pay_1", account="main")
    told = [
        event(kind, PAYMENT | {"action_id": f"act_{hour}", "response_code": code}, id=f"evt_{hour}", timestamp=at)
        for hour, (kind, code) in enumerate([("payment_retry_scheduled", "20051"), ("payment_approved", "10000")])
        for at in [f"2026-05-0{hour + 1}T12:00:00Z"]
    ]
    payment = payments.record(payment, told[0])
    assert (payment.state, payment.details.decline_code) == (payments.PaymentState.DECLINED, "20051")
    assert payments.record(payment, told[1]).state is payments.PaymentState.AUTHORIZED


@pytest.mark.parametrize(
    ("code", "advice", "hard"), [("20051", None, False), ("30043", None, True), ("20005", "03", True)]
)
def test_a_decline_in_the_30000s_or_by_the_networks_advice_is_for_good(
    code: str, advice: str | None, hard: bool
) -> None:
    data = PAYMENT | {"response_code": code, "processing": {"partner_merchant_advice_code": advice}}
    found = event("payment_declined", data)
    assert (found.decline_code, found.hard_decline) == (code, hard)


@pytest.mark.parametrize(
    ("currency", "sent", "minor"),
    [("EUR", 1250, 1250), ("JPY", 1250, 1250), ("KWD", 1250, 1250), ("CLP", 125000, 1250)],
)
def test_amounts_have_their_own_decimals(currency: str, sent: int, minor: int) -> None:
    found = event("payment_captured", PAYMENT | {"amount": sent, "currency": currency})
    assert found.amount == Money(minor, currency)


@pytest.mark.parametrize(
    ("kind", "stage", "status"),
    [
        ("dispute_received", DisputeStage.CHARGEBACK, DisputeStatus.NEEDS_RESPONSE),
        ("dispute_evidence_required", DisputeStage.CHARGEBACK, DisputeStatus.NEEDS_RESPONSE),
        ("dispute_evidence_submitted", DisputeStage.CHARGEBACK, DisputeStatus.UNDER_REVIEW),
        ("dispute_evidence_acknowledged_by_scheme", DisputeStage.CHARGEBACK, DisputeStatus.UNDER_REVIEW),
        ("dispute_won", DisputeStage.CHARGEBACK, DisputeStatus.WON),
        ("dispute_lost", DisputeStage.CHARGEBACK, DisputeStatus.LOST),
        ("dispute_accepted", DisputeStage.CHARGEBACK, DisputeStatus.ACCEPTED),
        ("dispute_expired", DisputeStage.CHARGEBACK, DisputeStatus.EXPIRED),
        ("dispute_canceled", DisputeStage.CHARGEBACK, DisputeStatus.CLOSED),
        ("dispute_resolved", DisputeStage.INQUIRY, DisputeStatus.PREVENTED),
        ("dispute_arbitration_evidence_submitted", DisputeStage.ARBITRATION, DisputeStatus.UNDER_REVIEW),
        ("dispute_arbitration_sent_to_scheme", DisputeStage.ARBITRATION, DisputeStatus.UNDER_REVIEW),
        ("dispute_arbitration_won", DisputeStage.ARBITRATION, DisputeStatus.WON),
        ("dispute_arbitration_lost", DisputeStage.ARBITRATION, DisputeStatus.LOST),
    ],
)
def test_disputes(kind: str, stage: DisputeStage, status: DisputeStatus) -> None:
    found = event(kind, DISPUTE)
    assert isinstance(found, DisputeChanged)
    assert (found.dispute_id, found.payment_id, found.stage, found.status) == ("dsp_1", "pay_1", stage, status)
    assert (found.reason, found.reason_code, found.network) == (DisputeReason.NOT_AS_DESCRIBED, "13.3", "visa")
    assert found.respond_by is None


@pytest.mark.parametrize("why", ["rapid_dispute_resolution", "already_refunded", None])
def test_what_was_refunded_already_was_prevented_and_no_claim_was_taken_back(why: str | None) -> None:
    assert event("dispute_resolved", DISPUTE | {"resolved_reason": why}).status is DisputeStatus.PREVENTED


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        (
            "payment_approved",
            PAYMENT
            | {
                "3ds": {"challenged": False, "downgraded": False, "eci": "05", "enrolled": "Y", "exemption": "none"},
                "cko_network_token_available": True,
                "pan_type_processed": "fpan",
                "processing": {"Aft": "False", "acquirer_reference_number": "1"},
                "source": {"type": "card", "card_category": "CONSUMER", "card_wallet_type": "applepay", "name": "x"},
            },
        ),
        (
            "payment_voided",
            PAYMENT | {"balances": {"total_voided": 20}, "event_links": {"payment": "x"}, "trigger": "x"},
        ),
        ("dispute_resolved", DISPUTE | {"resolved_reason": "rapid_dispute_resolution"}),
    ],
)
def test_what_checkout_documents_is_no_news(kind: str, data: dict[str, Any]) -> None:
    body = {"id": "evt_1", "type": kind, "source": "dispute", "timestamp": "2026-05-01T12:00:00+00:00", "data": data}
    delivery = Delivery("checkout", json.dumps(body).encode(), {}, NOON)
    normalized = adapter.normalize(delivery, Verdict(("k",)), Credentials(keys={"k": "s"}))
    assert unmapped(load("checkout"), delivery, normalized) == ()


def test_the_table_is_the_whole_of_what_is_followed() -> None:
    assert len(adapter.TYPES) == 30


def test_the_deadline_keeps_its_text() -> None:
    text = "2026-05-20T18:00:00+00:00"
    found = event("dispute_evidence_required", DISPUTE | {"evidence_required_by": text})
    assert (found.respond_by, found.respond_by_text) == (datetime(2026, 5, 20, 18, tzinfo=UTC), text)
    assert found.can_respond


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2026-05-20", datetime(2026, 5, 19, 10, tzinfo=UTC)),
        ("2026-05-20T18:00:00", datetime(2026, 5, 20, 4, tzinfo=UTC)),
    ],
)
def test_a_deadline_without_a_zone_is_read_as_the_earliest_that_it_can_mean(text: str, instant: datetime) -> None:
    found = event("dispute_evidence_required", DISPUTE | {"evidence_required_by": text})
    assert (found.respond_by, found.respond_by_text) == (instant, text)


@pytest.mark.parametrize("due", ["next Friday", 7, {}])
def test_a_deadline_that_cannot_be_read_does_not_hide_its_dispute(due: Any) -> None:
    found = read("dispute_evidence_required", DISPUTE | {"evidence_required_by": due})
    (opened,) = found.events
    assert isinstance(opened, DisputeChanged)
    assert (opened.status, opened.respond_by) == (DisputeStatus.NEEDS_RESPONSE, None)
    assert found.unreadable == ("data.evidence_required_by: neither an instant nor a date",)


def test_older_events_have_their_time_under_another_name() -> None:
    found = event("payment_captured", PAYMENT, timestamp=None, created_on="2026-04-30T12:00:00Z")
    assert found.occurred_at == datetime(2026, 4, 30, 12, tzinfo=UTC)


def test_where_the_action_has_an_authorization_header_it_is_needed_too(tmp_path: Path) -> None:
    kit = a_kit("checkout", tmp_path)
    delivery = kit.signed(kit.bodies()[0])
    guarded = dataclasses.replace(kit.credentials, basic_auth={"payin": "secret"})
    with pytest.raises(SignatureInvalid, match="password"):
        kit.verify(delivery, guarded)
    basic = "Basic " + base64.b64encode(b"payin:secret").decode()
    allowed = dataclasses.replace(delivery, headers={**delivery.headers, "authorization": basic})
    assert kit.verify(allowed, guarded).key_ids == ("current",)
