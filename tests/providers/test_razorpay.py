"""Razorpay: its vector and its library, types, statuses and phases."""

import dataclasses
import importlib
import json
from datetime import UTC, datetime
from itertools import permutations
from pathlib import Path
from typing import Any, cast

import pytest

from shared.domain.delivery import Credentials, Delivery, Verdict
from shared.domain.errors import SignatureInvalid, Unreadable
from shared.domain.events import (
    DisputeChanged,
    DisputeReason,
    DisputeStage,
    DisputeStatus,
    FraudWarned,
    PaymentChanged,
    PaymentStep,
    PayoutChanged,
)
from shared.domain.money import Money
from shared.domain.payments import Payment, PaymentState, record
from shared.domain.privacy import email_parts
from shared.providers.kit.protocol import Normalized, Provider
from shared.providers.kit.unmapped import unmapped
from shared.providers.razorpay import webhook as adapter
from tests.providers.kits import NOON, SAMPLES, a_kit

SDK = SAMPLES / "razorpay" / "sdk" / "fake_payment_authorized_webhook.json"
# From the library's own tests, with the secret `key_secret`.
PUBLISHED = "d60e67fd884556c045e9be7dad57903e33efc7172c17c6e3ef77db42d2b366e9"
SECONDS = int(NOON.timestamp())


def nobody(url: str) -> bytes:
    raise AssertionError(f"nothing is fetched for Razorpay: {url}")


def read(kind: str, payload: dict[str, Any], **event: Any) -> Normalized:
    body = {
        "entity": "event",
        "account_id": "acc_1",
        "event": kind,
        "contains": list(payload),
        "payload": {name: {"entity": thing} for name, thing in payload.items()},
        "created_at": SECONDS,
    } | event
    return adapter.normalize(
        Delivery("razorpay", json.dumps(body).encode(), {}, NOON), Verdict(("k",)), Credentials(keys={"k": "s"})
    )


def events(kind: str, **payload: Any) -> Any:
    normalized = read(kind, payload)
    assert normalized.unreadable == ()
    return normalized.events


def a_payment(**more: Any) -> dict[str, Any]:
    return {"id": "pay_1", "amount": 1999, "currency": "INR", "order_id": "order_1", "method": "card", **more}


def a_dispute(**more: Any) -> dict[str, Any]:
    return {
        "id": "disp_1",
        "payment_id": "pay_1",
        "amount": 1999,
        "currency": "INR",
        "reason_code": "goods_or_services_not_received_or_partially_received",
        "respond_by": SECONDS + 86400,
        "status": "open",
        "phase": "chargeback",
        **more,
    }


@pytest.mark.skipif(not SDK.exists(), reason="the folder of real payloads is absent")
def test_the_published_vector_verifies_as_the_official_library_says() -> None:
    razorpay = importlib.import_module("razorpay")
    utility = razorpay.Client(auth=("key_id", "key_secret")).utility
    body = SDK.read_bytes()
    delivery = Delivery("razorpay", body, {"x-razorpay-signature": PUBLISHED}, NOON)
    credentials = Credentials(keys={"other": "o" * 20, "k": "key_secret"})
    assert adapter.verify(delivery, credentials, nobody).key_ids == ("k",)
    assert utility.verify_webhook_signature(body.decode(), PUBLISHED, "key_secret")


def test_the_official_library_agrees_on_everything_that_is_simulated(tmp_path: Path) -> None:
    razorpay = importlib.import_module("razorpay")
    utility = razorpay.Client(auth=("key_id", "key_secret")).utility
    kit = a_kit("razorpay", tmp_path)
    for body in kit.bodies():
        secret = kit.credentials.keys["current"]
        genuine, forged = kit.simulator.sign(body, NOON), kit.simulator.forge(body, NOON)
        assert utility.verify_webhook_signature(body.decode(), genuine.headers["X-Razorpay-Signature"], secret)
        with pytest.raises(razorpay.errors.SignatureVerificationError):
            utility.verify_webhook_signature(body.decode(), forged.headers["X-Razorpay-Signature"], secret)


def test_a_signature_is_read_in_either_case_and_one_of_another_body_is_refused(tmp_path: Path) -> None:
    kit = a_kit("razorpay", tmp_path)
    body, other = kit.bodies()[:2]
    signature = kit.simulator.sign(body, NOON).headers["X-Razorpay-Signature"]
    upper = Delivery("razorpay", body, {"x-razorpay-signature": signature.upper()}, NOON)
    assert kit.verify(upper).key_ids == ("current",)
    with pytest.raises(SignatureInvalid):
        kit.verify(Delivery("razorpay", other, {"x-razorpay-signature": signature}, NOON))


def test_the_unsigned_event_id_names_nothing(tmp_path: Path) -> None:
    kit = a_kit("razorpay", tmp_path)
    delivery = kit.signed(kit.bodies()[0])
    headers = {**delivery.headers, "x-razorpay-event-id": "chosen-by-a-replayer"}
    replayed = Delivery("razorpay", delivery.body, headers, NOON)
    assert kit.normalize(replayed, kit.verify(replayed)) == kit.normalize(delivery, kit.verify(delivery))


@pytest.mark.parametrize(
    ("kind", "step"),
    [
        ("payment.authorized", PaymentStep.AUTHORIZED),
        ("payment.captured", PaymentStep.CAPTURED),
        ("order.paid", PaymentStep.CAPTURED),
        ("payment.failed", PaymentStep.DECLINED),
    ],
)
def test_payments(kind: str, step: PaymentStep) -> None:
    (found,) = events(kind, payment=a_payment(error_reason="card_expired" if kind == "payment.failed" else None))
    assert isinstance(found, PaymentChanged)
    assert (found.step, found.payment_id, found.amount) == (step, "pay_1", Money(1999, "INR"))
    assert found.account == "acc_1"
    assert found.event_id.startswith(f"razorpay:acc_1:{kind}:pay_1:{SECONDS}:")
    assert (found.decline_code, found.hard_decline) == (
        ("card_expired", True) if step is PaymentStep.DECLINED else (None, None)
    )


def test_a_capture_that_is_told_twice_counts_once() -> None:
    (captured,) = events("payment.captured", payment=a_payment())
    (paid,) = events("order.paid", payment=a_payment(), order={"id": "order_1"})
    assert captured.reference == paid.reference
    assert captured.event_id != paid.event_id


@pytest.mark.parametrize("kind", adapter.BESIDE)
def test_what_is_paid_by_a_link_an_invoice_or_a_code_tells_of_the_payment_beside_it(kind: str) -> None:
    other = {kind.partition(".")[0]: {"id": "plink_1", "status": "paid", "notes": {"any": "thing"}}}
    (captured,) = events("payment.captured", payment=a_payment())
    (found,) = events(kind, **other, payment=a_payment(status="captured"))
    assert dataclasses.replace(found, event_id="", delivery_id="") == dataclasses.replace(
        captured, event_id="", delivery_id=""
    )
    (held,) = events(kind, **other, payment=a_payment(status="authorized"))
    assert held.step is PaymentStep.AUTHORIZED
    body = {"entity": "event", "event": kind, "created_at": SECONDS, "payload": {"payment": {"entity": a_payment()}}}
    body["payload"] |= {name: {"entity": thing} for name, thing in other.items()}  # type: ignore[operator]
    delivery = Delivery("razorpay", json.dumps(body).encode(), {}, NOON)
    assert unmapped(cast(Provider, adapter), delivery, read(kind, {"payment": a_payment(status="captured")})) == ()


@pytest.mark.parametrize(
    ("kind", "beside", "expected"),
    [
        ("virtual_account.credited", {"virtual_account": {"customer_id": "cust_7"}}, ("cust_7", None, None)),
        ("subscription.charged", {"subscription": {"customer_id": "cust_7"}}, ("cust_7", None, None)),
        ("payment_link.paid", {"payment_link": {"customer": {"email": "ana@m.example"}}}, (None, "m.example", None)),
        (
            "invoice.paid",
            {"invoice": {"customer_details": {"email": "ana@m.example", "billing_address": {"country": "in"}}}},
            (None, "m.example", "IN"),
        ),
        (
            "invoice.paid",
            {"invoice": {"customer_details": {"customer_email": "a@m.example"}}},
            (None, "m.example", None),
        ),
    ],
)
def test_who_pays_is_known_by_what_is_beside_a_payment_that_does_not_tell(
    kind: str, beside: dict[str, Any], expected: tuple[str | None, ...]
) -> None:
    nobody = a_payment(status="captured", email="void@razorpay.com", customer_id=None, notes={})
    (found,) = events(kind, payment=nobody, **beside)
    assert (found.customer_id, found.email_domain, found.billing_country) == expected
    told = a_payment(status="captured", email="bo@shop.example", customer_id="cust_1", notes={})
    (found,) = events(kind, payment=told, **beside)
    assert (found.customer_id, found.email_domain) == ("cust_1", "shop.example")


@pytest.mark.parametrize(
    "payment", [{}, a_payment(), a_payment(status="invented"), a_payment(id=None, status="captured")]
)
def test_what_is_paid_and_names_no_payment_is_unreadable(payment: dict[str, Any]) -> None:
    with pytest.raises(Unreadable):
        read("payment_link.paid", {"payment_link": {"id": "plink_1"}, **({"payment": payment} if payment else {})})


def test_a_payment_that_failed_may_still_be_captured_and_counts_once_in_any_order() -> None:
    told = [
        found
        for kind in ("payment.failed", "payment.authorized", "payment.captured", "order.paid")
        for found in events(kind, payment=a_payment(error_reason="card_expired" if kind == "payment.failed" else None))
    ]
    for arriving in permutations(told):
        payment = Payment(provider="razorpay", payment_id="pay_1", account="acc_1")
        for one in arriving:
            payment = record(payment, one)
        assert (payment.state, payment.captured) == (PaymentState.CAPTURED, Money(1999, "INR"))


def test_a_decline_for_want_of_money_may_be_tried_again() -> None:
    (found,) = events(
        "payment.failed", payment=a_payment(error_code="BAD_REQUEST_ERROR", error_reason="insufficient_funds")
    )
    assert (found.decline_code, found.hard_decline) == ("insufficient_funds", False)


def test_a_upi_address_is_never_kept() -> None:
    (found,) = events(
        "payment.captured", payment=a_payment(method="upi", vpa="ana.example@upi", contact="+919876543210")
    )
    assert "ana" not in repr(found)
    assert "9876543210" not in repr(found)


@pytest.mark.parametrize("address", ["ana@okaxis", "ana@example.com"])
def test_a_customer_id_that_is_an_address_becomes_its_hash(address: str) -> None:
    (found,) = events("payment.captured", payment=a_payment(notes={"customer_id": address}))
    assert found.customer_id == email_parts(address)[0]


@pytest.mark.parametrize("placeholder", ["void@razorpay.com", " Void@Razorpay.com", "null@razorpay.com"])
def test_the_address_that_stands_for_none_ties_no_strangers_together(placeholder: str) -> None:
    (found,) = events("payment.captured", payment=a_payment(email=placeholder))
    assert (found.email_hash, found.email_domain) == (None, None)
    (found,) = events("payment.captured", payment=a_payment(email="ana@razorpay.com"))
    assert found.email_domain == "razorpay.com"


def test_the_refund_of_what_was_never_captured_is_a_cancellation() -> None:
    refund = {"id": "rfnd_1", "payment_id": "pay_1", "amount": 1999, "currency": "INR", "status": "processed"}
    payment = Payment(provider="razorpay", payment_id="pay_1", account="acc_1")
    (authorized,) = events("payment.authorized", payment=a_payment(captured=False))
    told = [authorized, *(events("refund.processed", refund=refund, payment=a_payment(captured=False)))]
    for one in told:
        payment = record(payment, one)
    assert (payment.state, payment.refunded) == (PaymentState.CANCELED, None)


def test_two_requests_for_more_evidence_of_one_second_are_two() -> None:
    payloads = [{"dispute": a_dispute(respond_by=SECONDS + days * 86400)} for days in (5, 9)]
    first, second = (read("payment.dispute.action_required", payload) for payload in payloads)
    again = read("payment.dispute.action_required", payloads[0])
    assert first.delivery_id == again.delivery_id != second.delivery_id


@pytest.mark.parametrize(
    ("kind", "status", "step"),
    [
        # The example of refund.created that Razorpay publishes has the status processed: the type decides.
        ("refund.created", "processed", PaymentStep.REFUND_PENDING),
        ("refund.processed", "processed", PaymentStep.REFUNDED),
        ("refund.failed", "failed", PaymentStep.REFUND_FAILED),
        ("refund.speed_changed", "pending", PaymentStep.REFUND_PENDING),
        ("refund.speed_changed", "processed", PaymentStep.REFUNDED),
        ("refund.speed_changed", "failed", PaymentStep.REFUND_FAILED),
    ],
)
def test_refunds(kind: str, status: str, step: PaymentStep) -> None:
    refund = {"id": "rfnd_1", "payment_id": "pay_1", "amount": 500, "currency": "INR", "status": status}
    (found,) = events(kind, refund=refund, payment=a_payment())
    assert (found.step, found.payment_id, found.reference) == (step, "pay_1", "rfnd_1")
    assert found.amount == Money(500, "INR")


def test_a_refund_of_a_status_that_we_do_not_know_is_for_a_person() -> None:
    refund = {"id": "rfnd_1", "payment_id": "pay_1", "amount": 500, "currency": "INR", "status": "newfangled"}
    with pytest.raises(Unreadable, match="status"):
        read("refund.speed_changed", {"refund": refund})


@pytest.mark.parametrize(
    ("kind", "status", "ours"),
    [
        ("created", "open", DisputeStatus.NEEDS_RESPONSE),
        ("action_required", "open", DisputeStatus.NEEDS_RESPONSE),
        ("under_review", "under_review", DisputeStatus.UNDER_REVIEW),
        ("won", "won", DisputeStatus.WON),
        ("lost", "lost", DisputeStatus.LOST),
        ("closed", "closed", DisputeStatus.CLOSED),
    ],
)
@pytest.mark.parametrize(
    ("phase", "stage"),
    [
        ("retrieval", DisputeStage.INQUIRY),
        ("chargeback", DisputeStage.CHARGEBACK),
        ("pre_arbitration", DisputeStage.PRE_ARBITRATION),
        ("arbitration", DisputeStage.ARBITRATION),
    ],
)
def test_disputes(kind: str, status: str, ours: DisputeStatus, phase: str, stage: DisputeStage) -> None:
    dispute = a_dispute(status=status, phase=phase)
    (found,) = events(f"payment.dispute.{kind}", payment=a_payment(), dispute=dispute)
    assert isinstance(found, DisputeChanged)
    assert (found.dispute_id, found.payment_id, found.stage, found.status) == ("disp_1", "pay_1", stage, ours)
    assert found.respond_by == datetime.fromtimestamp(SECONDS + 86400, UTC)
    assert found.respond_by_text == str(SECONDS + 86400)
    assert found.can_respond is (True if ours is DisputeStatus.NEEDS_RESPONSE else None)
    assert (found.reason, found.reason_code) == (
        DisputeReason.NOT_RECEIVED,
        "goods_or_services_not_received_or_partially_received",
    )


@pytest.mark.parametrize(
    "phase", ["fraud", "retrieval", "chargeback", "pre_arbitration", "arbitration", "of next year"]
)
@pytest.mark.parametrize(
    ("code", "reason"),
    [("duplicate_processing", DisputeReason.DUPLICATE), ("fraudulent_transaction", DisputeReason.FRAUD)],
)
def test_the_reason_is_what_its_code_says_whatever_the_phase(phase: str, code: str, reason: DisputeReason) -> None:
    found = events("payment.dispute.won", dispute=a_dispute(status="won", phase=phase, reason_code=code))[0]
    assert isinstance(found, DisputeChanged)
    assert (found.reason, found.reason_code) == (reason, code)


@pytest.mark.parametrize(
    ("kind", "deducted", "moved"),
    [
        ("created", 0, None),
        ("won", 0, None),
        ("lost", 500, Money(-500, "INR")),
        ("lost", 0, None),
        ("lost", None, None),
    ],
)
def test_a_lost_dispute_takes_what_was_deducted_for_it(kind: str, deducted: int | None, moved: Money | None) -> None:
    status = "open" if kind == "created" else kind
    (found,) = events(f"payment.dispute.{kind}", dispute=a_dispute(status=status, amount_deducted=deducted))
    assert found.moved == moved


@pytest.mark.parametrize("kind", ["payout.processed", "virtual_account.closed", "transfer.processed"])
def test_a_documented_type_that_nothing_follows_is_no_news(kind: str) -> None:
    body = {"entity": "event", "event": kind, "contains": [], "payload": {}, "created_at": SECONDS}
    delivery = Delivery("razorpay", json.dumps(body).encode(), {}, NOON)
    told = adapter.normalize(delivery, Verdict(("k",)), Credentials(keys={"k": "s"}))
    assert told.ignored == (kind,)
    assert unmapped(cast(Provider, adapter), delivery, told) == ()


def test_the_banks_report_of_fraud_is_an_inquiry_and_a_warning_told_once() -> None:
    dispute = a_dispute(phase="fraud", reason_code="anything")
    inquiry, warning = events("payment.dispute.created", payment=a_payment(), dispute=dispute)
    assert isinstance(inquiry, DisputeChanged)
    assert (inquiry.stage, inquiry.reason, inquiry.reason_code) == (
        DisputeStage.INQUIRY,
        DisputeReason.FRAUD,
        "anything",
    )
    assert isinstance(warning, FraudWarned)
    assert (warning.warning_id, warning.payment_id, warning.amount) == ("disp_1", "pay_1", Money(1999, "INR"))
    assert inquiry.event_id != warning.event_id
    assert len(events("payment.dispute.won", payment=a_payment(), dispute=dispute | {"status": "won"})) == 1


def test_a_dispute_status_that_we_do_not_know_is_said_and_the_rest_stands() -> None:
    normalized = read("payment.dispute.created", {"payment": a_payment(), "dispute": a_dispute(status="newfangled")})
    assert len(normalized.unreadable) == len(normalized.events) == 1


def test_settlements_are_kept_without_a_currency() -> None:
    (found,) = events("settlement.processed", settlement={"id": "setl_1", "amount": 1524, "status": "processed"})
    assert isinstance(found, PayoutChanged)
    assert (found.payout_id, found.status, found.amount) == ("setl_1", "processed", None)


@pytest.mark.parametrize("kind", ["payment.downtime.started", "invoice.expired", "subscription.activated"])
def test_types_that_nothing_follows_are_ignored(kind: str) -> None:
    assert read(kind, {kind.rpartition(".")[0]: {"id": "x_1"}}).ignored == (kind,)
