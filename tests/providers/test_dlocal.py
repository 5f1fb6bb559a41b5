"""dLocal: where login, date and body end, and objects that do not say what they are."""

import dataclasses
import hashlib
import hmac
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from shared.domain.delivery import Credentials, Delivery, Verdict
from shared.domain.errors import Misconfigured, SignatureInvalid, Unreadable
from shared.domain.events import DisputeChanged, DisputeReason, DisputeStage, DisputeStatus, PaymentChanged, PaymentStep
from shared.domain.money import Money
from shared.domain.payments import Payment, PaymentState, record
from shared.providers.dlocal import webhook as adapter
from shared.providers.kit.protocol import Normalized
from tests.providers.kits import NOON, a_kit

SECRET = "s" * 40
DATE = "2026-05-01T12:00:00.000Z"
CREDENTIALS = Credentials(keys={"login": SECRET})


def nobody(url: str) -> bytes:
    raise AssertionError(f"nothing is fetched for dLocal: {url}")


def read(body: str | dict[str, Any]) -> Normalized:
    text = body if isinstance(body, str) else json.dumps(body)
    return adapter.normalize(Delivery("dlocal", text.encode(), {}, NOON), Verdict(("login",)), CREDENTIALS)


def event(body: str | dict[str, Any]) -> Any:
    (found,) = read(body).events
    return found


def a_payment(**changes: Any) -> dict[str, Any]:
    payment = {"id": "D-4-1", "amount": 12.5, "currency": "USD", "status": "PAID", "status_code": "200"}
    return payment | {"created_date": "2026-05-01T11:00:00.000+0000", "order_id": "o1"} | changes


def a_chargeback(**changes: Any) -> dict[str, Any]:
    chargeback = {"id": "CHAR1", "payment_id": "D-4-1", "amount": 12.5, "currency": "USD", "status": "COMPLETED"}
    return chargeback | {"status_code": 200, "created_date": "2026-05-01T12:00:00-00:00"} | changes


def a_refund(**changes: Any) -> dict[str, Any]:
    refund = {"id": "REF1", "payment_id": "D-4-1", "amount": 5, "currency": "USD", "status": "SUCCESS"}
    return refund | {"status_code": "200", "created_date": "2026-05-01T12:00:00Z"} | changes


def signed(body: bytes = b"{}", login: str = "login", date: str = DATE, secret: str = SECRET) -> str:
    return hmac.new(secret.encode(), f"{login}{date}".encode() + body, hashlib.sha256).hexdigest()


def delivery(headers: dict[str, str], body: bytes = b"{}") -> Delivery:
    return Delivery("dlocal", body, {"x-login": "login", "x-date": DATE} | headers, NOON)


@pytest.mark.parametrize(
    "headers",
    [
        {"authorization": f"V2-HMAC-SHA256, Signature: {signed()}"},
        {"authorization": f"V2-HMAC-SHA256,Signature:{signed().upper()}"},
        {"signature": signed()},
        {"signature": signed(), "authorization": "Bearer something-else"},
    ],
)
def test_the_signature_is_taken_from_either_header(headers: dict[str, str]) -> None:
    assert adapter.verify(delivery(headers), CREDENTIALS, nobody) == Verdict(("login",), signed_at=NOON)


def test_no_byte_changes_sides_between_login_date_and_body() -> None:
    headers = {"signature": signed(b'{"id":1}')}
    assert adapter.verify(delivery(headers, b'{"id":1}'), CREDENTIALS, nobody)
    for moved in ({"x-login": "logi", "x-date": f"n{DATE}"}, {"x-date": DATE + "{"}, {"x-date": DATE[:-1]}):
        body = {"{": b'"id":1}', "Z": b'Z{"id":1}'}.get(moved.get("x-date", DATE)[-1], b'Z{"id":1}')
        with pytest.raises(SignatureInvalid):
            adapter.verify(delivery(headers | moved, body), CREDENTIALS, nobody)


def test_a_login_may_have_two_secrets_and_another_login_none_of_them() -> None:
    both = Credentials(keys={"login": "o" * 40, "login/2026": SECRET})
    assert adapter.verify(delivery({"signature": signed()}), both, nobody).key_ids == ("login/2026",)
    other = {"x-login": "other", "signature": signed(login="other")}
    with pytest.raises(SignatureInvalid):
        adapter.verify(delivery(other), both, nobody)


def test_a_key_id_that_names_no_login_does_not_start() -> None:
    with pytest.raises(Misconfigured, match="X-Login"):
        adapter.check_credentials(Credentials(keys={"/label": SECRET}))


def test_a_stale_date_is_refused_though_it_is_signed(tmp_path: Path) -> None:
    kit = a_kit("dlocal", tmp_path)
    late = dataclasses.replace(kit.signed(kit.bodies()[0]), received_at=NOON + timedelta(days=9))
    with pytest.raises(SignatureInvalid, match="eight days"):
        kit.verify(late)


@pytest.mark.parametrize(
    ("status", "step"),
    [
        ("PENDING", PaymentStep.PENDING),
        ("AUTHORIZED", PaymentStep.AUTHORIZED),
        ("PAID", PaymentStep.CAPTURED),
        ("REJECTED", PaymentStep.DECLINED),
        ("CANCELLED", PaymentStep.CANCELED),
        ("EXPIRED", PaymentStep.CANCELED),
    ],
)
def test_payments(status: str, step: PaymentStep) -> None:
    found = event(a_payment(status=status))
    assert isinstance(found, PaymentChanged)
    assert (found.step, found.payment_id, found.amount) == (step, "D-4-1", Money(1250, "USD"))
    assert found.occurred_at == NOON - timedelta(hours=1)


@pytest.mark.parametrize(
    ("number", "currency", "minor"),
    [("72.00", "USD", 7200), ("72.10", "USD", 7210), ("0.07", "BRL", 7), ("5000", "CLP", 5000), ("1e2", "USD", 10000)],
)
def test_decimal_numbers_are_read_exactly(number: str, currency: str, minor: int) -> None:
    text = json.dumps(a_payment(currency=currency)).replace("12.5", number)
    assert event(text).amount == Money(minor, currency)


def test_a_capture_goes_on_under_its_authorizations_name() -> None:
    found = event(a_payment(id="D-4-2", authorization_id="D-4-1"))
    assert (found.payment_id, found.aliases, found.reference) == ("D-4-1", ("D-4-2",), "D-4-2")


@pytest.mark.parametrize(("code", "hard"), [("302", False), (313, True), ("309", True)])
def test_a_rejections_code_says_whether_to_try_again(code: Any, hard: bool) -> None:
    found = event(a_payment(status="REJECTED", status_code=code))
    assert (found.decline_code, found.hard_decline) == (str(code), hard)


@pytest.mark.parametrize(
    ("status", "step"),
    [
        ("PENDING", PaymentStep.REFUND_PENDING),
        ("SUCCESS", PaymentStep.REFUNDED),
        ("REJECTED", PaymentStep.REFUND_FAILED),
        ("CANCELLED", PaymentStep.REFUND_FAILED),
    ],
)
def test_refunds(status: str, step: PaymentStep) -> None:
    found = event(a_refund(status=status))
    assert (found.step, found.payment_id, found.reference) == (step, "D-4-1", "REF1")
    assert found.amount == Money(500, "USD")


@pytest.mark.parametrize(
    ("status", "stage", "stands", "moved"),
    [
        ("PENDING", DisputeStage.CHARGEBACK, DisputeStatus.NEEDS_RESPONSE, None),
        ("COMPLETED", DisputeStage.CHARGEBACK, DisputeStatus.NEEDS_RESPONSE, -1250),
        ("DISPUTE_RECEIVED", DisputeStage.CHARGEBACK, DisputeStatus.UNDER_REVIEW, None),
        ("IN_DISPUTE", DisputeStage.CHARGEBACK, DisputeStatus.UNDER_REVIEW, None),
        ("DISPUTE_LOST", DisputeStage.CHARGEBACK, DisputeStatus.LOST, None),
        ("REVERSAL", DisputeStage.CHARGEBACK, DisputeStatus.WON, 1250),
        ("INQUIRY", DisputeStage.INQUIRY, DisputeStatus.NEEDS_RESPONSE, None),
    ],
)
def test_chargebacks(status: str, stage: DisputeStage, stands: DisputeStatus, moved: int | None) -> None:
    found = event(a_chargeback(status=status, reason_code=" 13.1 ", arn="a1"))
    assert isinstance(found, DisputeChanged)
    assert (found.dispute_id, found.payment_id, found.stage, found.status) == ("CHAR1", "D-4-1", stage, stands)
    assert (found.reason_code, found.arn, found.provider_status) == ("13.1", "a1", status)
    assert found.moved == (Money(moved, "USD") if moved else None)


@pytest.mark.parametrize(
    ("word", "stage"),
    [
        ("PRE-ARBITRATION", DisputeStage.PRE_ARBITRATION),
        ("Retrieval Request", DisputeStage.INQUIRY),
        ("arbitration", DisputeStage.ARBITRATION),
        ("SOMETHING NEW", DisputeStage.CHARGEBACK),
    ],
)
def test_the_acquirers_word_for_the_stage(word: str, stage: DisputeStage) -> None:
    assert event(a_chargeback(chargeback_stage=word)).stage is stage


@pytest.mark.parametrize(
    ("status", "verdict", "stands"),
    [
        ("OPEN", "PENDING", DisputeStatus.NEEDS_RESPONSE),
        ("ACKNOWLEDGED", "PENDING", DisputeStatus.NEEDS_RESPONSE),
        ("ACKNOWLEDGED", "DISAGREED", DisputeStatus.UNDER_REVIEW),
        ("CLOSED", "AGREED", DisputeStatus.ACCEPTED),
        ("CLOSED", "DISAGREED", DisputeStatus.WON),
        ("CLOSED", "PENDING", DisputeStatus.CLOSED),
        ("CANCELLED", "PENDING", DisputeStatus.CLOSED),
    ],
)
def test_pix_infractions_ask_for_an_answer_until_they_are_due(status: str, verdict: str, stands: DisputeStatus) -> None:
    infraction = {
        "infraction_id": "INF-1",
        "amount": "150.00",
        "reason": "FRAUD",
        "status": status,
        "analysis_status": verdict,
        "creation_date": "2026-05-01T12:00:00Z",
        "due_date": "2026-05-08T23:59:59Z",
    }
    found = event({"infraction": infraction, "payment_id": "D-4-1"})
    assert (found.dispute_id, found.payment_id, found.stage) == ("INF-1", "D-4-1", DisputeStage.INQUIRY)
    assert (found.status, found.amount, found.reason) == (stands, Money(15000, "BRL"), DisputeReason.FRAUD)
    assert (found.respond_by, found.respond_by_text) == (
        datetime(2026, 5, 8, 23, 59, 59, tzinfo=UTC),
        "2026-05-08T23:59:59Z",
    )


def test_what_could_be_a_refund_or_a_chargeback_is_for_a_person() -> None:
    with pytest.raises(Unreadable, match="payment_id"):
        read(a_refund(id="1", status="PENDING"))
    assert event(a_refund(id="1", status="PENDING", amount_refunded=5)).step is PaymentStep.REFUND_PENDING
    assert event(a_chargeback(id="1", status="PENDING", reason_code="10.4")).dispute_id == "1"


@pytest.mark.parametrize("body", [a_payment(status="NEW"), a_refund(status="NEW")])
def test_a_status_that_we_do_not_know_is_for_a_person(body: dict[str, Any]) -> None:
    with pytest.raises(Unreadable, match="status"):
        read(body)


def test_an_object_without_a_date_is_as_old_as_its_signature() -> None:
    body = {name: value for name, value in a_payment().items() if name != "created_date"}
    delivery = Delivery("dlocal", json.dumps(body).encode(), {}, NOON)
    (found,) = adapter.normalize(delivery, Verdict(("login",), signed_at=NOON), CREDENTIALS).events
    assert found.occurred_at == NOON
    with pytest.raises(Unreadable, match="created_date"):
        read(body)


def test_each_status_of_one_object_is_an_event_of_its_own_and_a_copy_is_the_same() -> None:
    ids = [event(a_payment(status=status)).event_id for status in ("PENDING", "PAID", "PAID")]
    assert ids[0] != ids[1] == ids[2]


def test_a_cancellation_that_repeats_only_the_first_date_ends_an_authorization_dated_later() -> None:
    authorized = event(a_payment(status="AUTHORIZED", approved_date="2026-05-01T11:00:04.000+0000"))
    canceled = event(a_payment(status="CANCELLED", status_code="400"))
    for told in ((authorized, canceled), (canceled, authorized)):
        payment = Payment(provider="dlocal", payment_id="D-4-1", account="main")
        for one in told:
            payment = record(payment, one)
        assert payment.state is PaymentState.CANCELED


def test_what_was_paid_is_dated_by_its_approval() -> None:
    assert event(a_payment(approved_date="2026-05-01T12:00:00.000+0000")).occurred_at == NOON


@pytest.mark.parametrize(
    "body",
    [
        {"id": "E-4-32e1", "currency": "BRL", "created_date": "2026-05-01T12:00:00Z", "status": "CANCELLED"},
        {"enrollment": {"id": "E-4-32e1", "external_id": "e1"}, "status": "CANCELLED", "status_code": "401"},
        {"wallet": {"token": "979d887a"}, "status": "CANCELLED", "status_code": "400"},
    ],
)
def test_an_enrollment_is_no_payment(body: dict[str, Any]) -> None:
    told = read(body)
    assert (told.events, told.ignored) == ((), ("enrollment.CANCELLED",))
    assert told.delivery_id != read(body | {"status_detail": "again"}).delivery_id


def test_a_payment_from_a_wallet_is_a_payment() -> None:
    assert event(a_payment(wallet={"token": "979d887a"})).step is PaymentStep.CAPTURED


def an_infraction(**changes: Any) -> dict[str, Any]:
    infraction = {"infraction_id": "INF-1", "amount": "150.00", "status": "OPEN", "analysis_status": "PENDING"}
    return {"infraction": infraction | {"creation_date": "2026-05-01T12:00:00Z"} | changes, "payment_id": "D-4-1"}


def test_a_deadline_that_is_moved_is_an_event_of_its_own() -> None:
    first, moved = (event(an_infraction(due_date=f"2026-05-0{day}T23:59:59Z")) for day in (8, 9))
    assert first.event_id != moved.event_id


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2026-05-08T23:59:59", datetime(2026, 5, 8, 9, 59, 59, tzinfo=UTC)),
        ("2026-05-08", datetime(2026, 5, 7, 10, tzinfo=UTC)),
    ],
)
def test_a_deadline_without_a_zone_is_over_where_it_comes_first(text: str, instant: datetime) -> None:
    found = event(an_infraction(due_date=text))
    assert (found.respond_by, found.respond_by_text) == (instant, text)


def test_an_infraction_is_dated_by_its_last_change() -> None:
    found = event(an_infraction(status="CLOSED", last_modified_date="2026-05-03T09:00:00Z"))
    assert found.occurred_at == datetime(2026, 5, 3, 9, tzinfo=UTC)
