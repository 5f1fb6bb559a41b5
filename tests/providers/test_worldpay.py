"""Worldpay: several signatures, a secret that may be hex, and every type of event."""

import hashlib
import hmac
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from shared.domain.delivery import Credentials, Delivery, Verdict
from shared.domain.errors import Misconfigured, SignatureInvalid, Unreadable
from shared.domain.events import DisputeChanged, DisputeStage, DisputeStatus, PaymentChanged, PaymentStep, PayoutChanged
from shared.domain.money import Money
from shared.domain.payments import Payment, PaymentState, record
from shared.providers.kit.protocol import Normalized
from shared.providers.worldpay import webhook as adapter
from tests.providers.kits import NOON

BODY = b'{"eventId": "e1"}'
OLD, NEW = "00ff" * 16, "11ee" * 16
CREDENTIALS = Credentials(keys={"1": OLD, "2": NEW})


def nobody(url: str) -> bytes:
    raise AssertionError(f"nothing is fetched for Worldpay: {url}")


def mac(key: bytes) -> str:
    return hmac.new(key, BODY, hashlib.sha256).hexdigest()


def verified_by(signature: str, credentials: Credentials = CREDENTIALS) -> tuple[str, ...]:
    delivery = Delivery("worldpay", BODY, {"event-signature": signature}, NOON)
    return adapter.verify(delivery, credentials, nobody).key_ids


def read(kind: str, classification: str = "payment", **changes: Any) -> Normalized:
    details = {
        "classification": classification,
        "type": kind,
        "transactionReference": "order-1",
        "amount": {"value": 1250, "currencyCode": "EUR"},
    }
    event = {"eventId": "e1", "eventTimestamp": "2026-05-01T12:00:00.000", "eventDetails": details | changes}
    delivery = Delivery("worldpay", json.dumps(event).encode(), {}, NOON)
    return adapter.normalize(delivery, Verdict(("1",)), CREDENTIALS)


def event(kind: str, classification: str = "payment", **changes: Any) -> Any:
    (found,) = read(kind, classification, **changes).events
    return found


def test_signatures_come_in_any_order_and_each_belongs_to_its_key_id() -> None:
    one, two = f"1/SHA256/{mac(bytes.fromhex(OLD))}", f"2/SHA256/{mac(bytes.fromhex(NEW))}"
    assert verified_by(f"{one},{two}") == verified_by(f"{two}, {one}") == ("1",)
    assert verified_by(f"9/SHA256/{'0' * 64},{two.upper()}") == ("2",)
    with pytest.raises(SignatureInvalid):
        verified_by(f"2/SHA256/{mac(bytes.fromhex(OLD))}")


@pytest.mark.parametrize(
    "signature",
    ["1", "1/SHA256", "1//", "//", ",,,", f"1/SHA1/{'0' * 40}", f"1/sha256/{mac(bytes.fromhex(OLD))}", "," * 5000],
)
def test_another_form_or_hash_is_refused(signature: str) -> None:
    with pytest.raises(SignatureInvalid):
        verified_by(signature)


def test_a_secret_is_tried_as_hex_and_as_it_is_written() -> None:
    assert verified_by(f"1/SHA256/{mac(OLD.encode())}") == ("1",)
    text = Credentials(keys={"1": "not hex but a long secret".replace(" ", "-")})
    assert verified_by(f"1/SHA256/{mac(b'not-hex-but-a-long-secret')}", text) == ("1",)


def test_a_key_id_that_no_header_could_name_does_not_start() -> None:
    with pytest.raises(Misconfigured, match="keyId"):
        adapter.check_credentials(Credentials(keys={"1/SHA256": OLD}))


@pytest.mark.parametrize(
    ("kind", "step"),
    [
        ("sentForAuthorization", PaymentStep.PENDING),
        ("authorized", PaymentStep.AUTHORIZED),
        ("sentForSettlement", PaymentStep.CAPTURED),
        ("settled", PaymentStep.CAPTURED),
        ("settlementFailed", PaymentStep.CAPTURE_FAILED),
        ("cancelled", PaymentStep.CANCELED),
        ("cancelledByCustomer", PaymentStep.CANCELED),
        ("expired", PaymentStep.CANCELED),
        ("requestExpired", PaymentStep.CANCELED),
        ("refused", PaymentStep.DECLINED),
        ("error", PaymentStep.DECLINED),
        ("sentForRefund", PaymentStep.REFUNDED),
        ("refunded", PaymentStep.REFUNDED),
        ("refundFailed", PaymentStep.REFUND_FAILED),
    ],
)
def test_payments(kind: str, step: PaymentStep) -> None:
    found = event(kind, reference="part-1", downstreamReference="d1")
    assert isinstance(found, PaymentChanged)
    assert (found.step, found.payment_id, found.reference) == (step, "order-1", "part-1")
    assert (found.amount, found.aliases) == (Money(1250, "EUR"), ("d1",))


def told_of(*told: tuple[str, int, str | None]) -> list[PaymentChanged]:
    """Type, amount and the part's reference, a minute apart."""
    found = []
    for place, (kind, minor, part) in enumerate(told):
        one = event(kind, amount={"value": minor, "currencyCode": "EUR"}, **({"reference": part} if part else {}))
        found.append(replace(one, event_id=f"e{place}", occurred_at=NOON + timedelta(minutes=place)))
    return found


CAPTURED = (("authorized", 1250, None), ("sentForSettlement", 1250, None))


@pytest.mark.parametrize(
    ("told", "refunded", "state"),
    [
        ([("sentForRefund", 1250, None)], 1250, PaymentState.REFUNDED),
        ([("sentForRefund", 1250, None), ("refunded", 1250, None)], 1250, PaymentState.REFUNDED),
        # The confirmation does not say which part it confirms.
        (
            [
                ("sentForRefund", 500, "a"),
                ("refunded", 500, None),
                ("sentForRefund", 500, "b"),
                ("refunded", 500, None),
            ],
            1000,
            PaymentState.PARTIALLY_REFUNDED,
        ),
        (
            [("sentForRefund", 500, "a"), ("sentForRefund", 300, "b"), ("refundFailed", 300, "b")],
            500,
            PaymentState.PARTIALLY_REFUNDED,
        ),
        ([("sentForRefund", 1250, None), ("refundFailed", 1250, None)], 0, PaymentState.CAPTURED),
    ],
)
def test_a_refund_counts_once_whether_or_not_it_is_confirmed(
    told: list[tuple[str, int, str | None]], refunded: int, state: PaymentState
) -> None:
    events = told_of(*CAPTURED, *told)
    for arriving in (events, events[::-1]):
        payment = Payment(provider="worldpay", payment_id="order-1", account="main")
        for one in arriving:
            payment = record(payment, one)
        assert payment.refunded == Money(refunded, "EUR")
        assert payment.state is state


@pytest.mark.parametrize(
    ("kind", "stage", "status", "moved"),
    [
        ("informationRequested", DisputeStage.INQUIRY, DisputeStatus.NEEDS_RESPONSE, None),
        ("chargedBack", DisputeStage.CHARGEBACK, DisputeStatus.NEEDS_RESPONSE, -1250),
        ("chargebackReversed", DisputeStage.CHARGEBACK, DisputeStatus.WON, 1250),
    ],
)
@pytest.mark.parametrize("classification", ["payment", "chargeback"])
def test_disputes_under_either_classification(
    classification: str, kind: str, stage: DisputeStage, status: DisputeStatus, moved: int | None
) -> None:
    found = event(kind, classification)
    assert isinstance(found, DisputeChanged)
    assert (found.dispute_id, found.payment_id, found.stage, found.status) == ("order-1", "order-1", stage, status)
    assert found.moved == (Money(moved, "EUR") if moved else None)
    assert found.final == (kind != "chargebackReversed")


def test_payouts_are_kept_whatever_their_type() -> None:
    found = event("refunded", "payout")
    assert isinstance(found, PayoutChanged)
    assert (found.payout_id, found.status, found.amount) == ("order-1", "refunded", Money(1250, "EUR"))


@pytest.mark.parametrize("kind", ["topUpRejected", "newfangled"])
def test_other_types_are_ignored(kind: str) -> None:
    assert read(kind).ignored == (kind,)


def test_a_time_without_a_zone_is_utc_and_one_with_a_zone_is_kept() -> None:
    assert event("settled").occurred_at == NOON
    body = json.dumps(
        {
            "eventId": "e1",
            "eventTimestamp": "2026-05-01T12:00:00+02:00",
            "eventDetails": {"type": "settled", "transactionReference": "o"},
        }
    )
    (found,) = adapter.normalize(Delivery("worldpay", body.encode(), {}, NOON), Verdict(("1",)), CREDENTIALS).events
    assert found.occurred_at == datetime(2026, 5, 1, 10, tzinfo=UTC)
    bad = body.replace("2026-05-01T12:00:00+02:00", "yesterday")
    with pytest.raises(Unreadable, match="eventTimestamp"):
        adapter.normalize(Delivery("worldpay", bad.encode(), {}, NOON), Verdict(("1",)), CREDENTIALS)
