"""Klarna: key ids, states, disputes that count their arbitration otherwise, and pushes that nobody signs."""

import base64
import dataclasses
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest

from shared.disputes.lifecycle import record
from shared.domain import payments
from shared.domain.delivery import Credentials, Delivery, Verdict
from shared.domain.disputes import Dispute
from shared.domain.errors import SignatureInvalid, Unreadable
from shared.domain.events import (
    DisputeChanged,
    DisputeReason,
    DisputeStage,
    DisputeStatus,
    PaymentChanged,
    PaymentStep,
    ResourceChanged,
)
from shared.domain.money import Money
from shared.domain.payments import Payment, PaymentState
from shared.providers.kit.protocol import Normalized, Provider
from shared.providers.kit.unmapped import unmapped
from shared.providers.klarna import api
from shared.providers.klarna import webhook as adapter
from tests.providers.kits import NOON, a_kit

TOKEN = "a-url-that-only-klarna-was-told"
CREDENTIALS = Credentials(keys={"krn:key:1": "s" * 32, "push": TOKEN})


def nobody(url: str) -> bytes:
    raise AssertionError(f"nothing is fetched for Klarna: {url}")


def read(kind: str, payload: dict[str, Any], **metadata: Any) -> Normalized:
    told = {"event_type": kind, "event_id": "e-1", "occurred_at": "2026-05-01T12:00:00Z"} | metadata
    body = json.dumps({"metadata": told, "payload": payload}).encode()
    return adapter.normalize(Delivery("klarna", body, {}, NOON), Verdict(("krn:key:1",)), CREDENTIALS)


def event(kind: str, payload: dict[str, Any], **metadata: Any) -> Any:
    normalized = read(kind, payload, **metadata)
    assert normalized.unreadable == ()
    (found,) = normalized.events
    return found


def a_dispute(**changes: Any) -> dict[str, Any]:
    return {
        "payment_dispute_id": "d1",
        "payment_transaction_id": "t1",
        "order_id": "o1",
        "dispute_reason": "REFUND_NOT_PROCESSED",
        "dispute_details": {"dispute_amount": 39900, "currency": "EUR"},
    } | changes


@pytest.mark.parametrize(
    ("state", "step"),
    [
        ("submitted", PaymentStep.PENDING),
        ("prepared", PaymentStep.PENDING),
        ("in-progress", PaymentStep.PENDING),
        ("pending-confirmation", PaymentStep.PENDING),
        ("completed", PaymentStep.PENDING),
        ("authorized", PaymentStep.AUTHORIZED),
        ("declined", PaymentStep.DECLINED),
        ("canceled", PaymentStep.CANCELED),
        ("expired", PaymentStep.CANCELED),
    ],
)
def test_payment_requests(state: str, step: PaymentStep) -> None:
    context = {"payment_transaction_id": "t1"}
    payload = {"payment_request_id": "r1", "amount": 39900, "currency": "EUR", "state_context": context}
    found = event(f"payment.request.state-change.{state}", payload)
    assert isinstance(found, PaymentChanged)
    assert (found.step, found.payment_id, found.aliases) == (step, "r1", ("t1",))
    assert found.amount == Money(39900, "EUR")


@pytest.mark.parametrize(
    ("state", "more", "stage", "status"),
    [
        ("initiated", {}, DisputeStage.CHARGEBACK, DisputeStatus.NEEDS_RESPONSE),
        ("representment", {}, DisputeStage.CHARGEBACK, DisputeStatus.UNDER_REVIEW),
        ("pre-arbitration", {}, DisputeStage.PRE_ARBITRATION, DisputeStatus.NEEDS_RESPONSE),
        ("arbitration", {}, DisputeStage.ARBITRATION, DisputeStatus.UNDER_REVIEW),
        ("closed", {"dispute_outcome": "WON"}, None, DisputeStatus.WON),
        ("closed", {"dispute_outcome": "LOST"}, None, DisputeStatus.LOST),
        ("closed", {"state_context": {"dispute_outcome": "WON"}}, None, DisputeStatus.WON),
    ],
)
def test_disputes(state: str, more: dict[str, Any], stage: DisputeStage | None, status: DisputeStatus) -> None:
    found = event(f"payment.dispute.state-change.{state}", a_dispute(**more))
    assert isinstance(found, DisputeChanged)
    assert (found.dispute_id, found.payment_id, found.payment_aliases) == ("d1", "t1", ("o1",))
    assert (found.stage, found.status, found.reason) == (stage, status, DisputeReason.CREDIT_NOT_PROCESSED)
    assert found.amount == Money(39900, "EUR")


def test_a_dispute_that_was_won_has_taken_no_money_though_its_last_message_has_no_amount() -> None:
    dispute = Dispute(provider="klarna", dispute_id="d1", account="main")
    told = a_dispute(representment={"state": "EVIDENCE_REQUESTED", "expires_at": "2026-05-22T09:45:00Z"})
    closed = {key: told[key] for key in ("payment_dispute_id", "order_id")} | {"dispute_outcome": "WON"}
    for hour, (state, payload) in enumerate((("initiated", told), ("closed", closed))):
        kind, at = f"payment.dispute.state-change.{state}", f"2026-05-01T1{hour}:00:00Z"
        dispute = record(dispute, event(kind, payload, event_id=state, occurred_at=at), NOON)
    assert (dispute.status, dispute.amount) == (DisputeStatus.WON, Money(39900, "EUR"))
    assert dispute.moved is None or dispute.moved.minor == 0


@pytest.mark.parametrize(
    ("reason", "ours"),
    [
        ("PRODUCTS_OR_SERVICES_NOT_RECEIVED", DisputeReason.NOT_RECEIVED),
        ("PRODUCTS_DEFECTIVE_OR_NOT_AS_DESCRIBED", DisputeReason.NOT_AS_DESCRIBED),
        ("PURCHASE_HIGH_RISK", DisputeReason.FRAUD),
        ("PURCHASE_UNAUTHORIZED", DisputeReason.FRAUD),
        ("INCORRECT_AMOUNT", DisputeReason.OTHER),
        ("NEWFANGLED", DisputeReason.OTHER),
    ],
)
def test_reasons(reason: str, ours: DisputeReason) -> None:
    found = event("payment.dispute.state-change.initiated", a_dispute(dispute_reason=reason))
    assert (found.reason, found.reason_code) == (ours, reason)


@pytest.mark.parametrize(
    ("request_", "can_respond"),
    [("EVIDENCE_REQUESTED", True), ("EVIDENCE_WAIVED", False), ("REPRESENTMENT_AUTOMATICALLY_REJECTED", False)],
)
def test_a_request_for_evidence_that_is_over_waits_for_no_answer(request_: str, can_respond: bool) -> None:
    payload = a_dispute(representment={"state": request_, "expires_at": "2026-05-22T09:45:00Z"})
    assert event("payment.dispute.state-change.initiated", payload).can_respond is can_respond


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2025-06-24T05:51:48.123Z", datetime(2025, 6, 24, 5, 51, 48, 123000, tzinfo=UTC)),
        ("2025-06-24T05:51:48", datetime(2025, 6, 23, 15, 51, 48, tzinfo=UTC)),
        ("2025-06-24T05:51", datetime(2025, 6, 23, 15, 51, tzinfo=UTC)),
        ("2025-06-24", datetime(2025, 6, 23, 10, tzinfo=UTC)),
    ],
)
def test_a_deadline_without_a_zone_is_over_where_it_comes_first(text: str, instant: datetime) -> None:
    found = event("payment.dispute.state-change.pre-arbitration", a_dispute(arbitration_expires_at=text))
    assert (found.respond_by, found.respond_by_text) == (instant, text)


@pytest.mark.parametrize("text", ["soon", "2025-06-24T05", "2025-06-24T05:51:48+1", "24.06.2025"])
def test_a_deadline_that_is_none_is_for_a_person(text: str) -> None:
    found = read("payment.dispute.state-change.pre-arbitration", a_dispute(arbitration_expires_at=text))
    assert found.unreadable == ("payload.arbitration_expires_at: neither an instant nor a date",)
    assert [(told.respond_by, told.respond_by_text) for told in found.events] == [(None, text)]  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("kind", "more"),
    [
        ("state-change.initiated", {"representment": {"expires_at": "2026-05-22T09:45:00Z"}}),
        ("state-change.initiated", {"state_context": {"expires_at": "2026-05-22T09:45:00Z"}}),
        ("state-change.pre-arbitration", {"arbitration_expires_at": "2026-05-22T09:45:00Z"}),
        (
            "updated.representment-deadline-extended",
            {
                "updated_fields": {"evidence_response_deadline_at": "2026-05-22T09:45:00Z"},
                "previous_fields": {"evidence_response_deadline_at": "2026-05-15T09:45:00Z"},
            },
        ),
    ],
)
def test_a_deadline_wherever_it_is_told(kind: str, more: dict[str, Any]) -> None:
    found = event(f"payment.dispute.{kind}", a_dispute(**more))
    assert found.respond_by == datetime(2026, 5, 22, 9, 45, tzinfo=UTC)
    assert found.respond_by_text == "2026-05-22T09:45:00Z"


def test_an_update_says_nothing_about_where_the_dispute_stands() -> None:
    found = event("payment.dispute.updated.newfangled", a_dispute(state="INITIATED"))
    assert (found.stage, found.status, found.provider_status) == (None, None, "INITIATED")


@pytest.mark.parametrize(
    ("kind", "path"), [("closed", "payload.dispute_outcome"), ("newfangled", "metadata.event_type")]
)
def test_an_outcome_or_state_that_we_do_not_know_is_said_and_the_rest_stands(kind: str, path: str) -> None:
    normalized = read(f"payment.dispute.state-change.{kind}", a_dispute(dispute_outcome="SPLIT"))
    (line,) = normalized.unreadable
    assert path in line
    assert "SPLIT" not in line
    assert len(normalized.events) == 1


def test_what_is_published_of_a_completed_request_is_no_news_and_names_nobody() -> None:
    address = {"street_address": "Kungsgatan 1", "postal_code": "11143", "city": "Stockholm", "country": "SE"}
    person = {"given_name": "Ana", "family_name": "Lind", "email": "ana@music.example", "phone": "+46700000000"}
    payload = {
        "payment_request_id": "r1",
        "state": "COMPLETED",
        "klarna_network_session_token": "krn:token",
        "klarna_customer": {"customer_profile": {**person, "address": address}},
        "shipping": {"recipient": person, "address": address},
    }
    metadata = {"event_type": "payment.request.state-change.completed", "event_id": "e-1"}
    body = {"metadata": metadata | {"occurred_at": "2026-05-01T12:00:00Z"}, "payload": payload}
    delivery = Delivery("klarna", json.dumps(body).encode(), {}, NOON)
    told = adapter.normalize(delivery, Verdict(("krn:key:1",)), CREDENTIALS)
    assert unmapped(cast(Provider, adapter), delivery, told) == ()
    (found,) = told.events
    assert isinstance(found, PaymentChanged)
    assert (found.billing_country, found.email_domain) == ("SE", "music.example")
    assert not any(word in repr(found) for word in ("Ana", "Lind", "ana@", "Kungsgatan", "+467", "krn:token"))


@pytest.mark.parametrize("kind", ["payment.request.state-change.newfangled", "customer.token.state-change.revoked"])
def test_other_types_are_ignored(kind: str) -> None:
    assert read(kind, {"payment_request_id": "r1"}).ignored == (kind,)


def test_the_mode_is_what_the_notification_says() -> None:
    assert read("customer.x", {}, live=True).livemode is True
    assert read("customer.x", {}).livemode is None


def test_a_signature_is_judged_by_the_key_that_it_names_alone(tmp_path: Path) -> None:
    kit = a_kit("klarna", tmp_path)
    delivery = kit.signed(kit.bodies()[0])
    for named in ("next", "push", "nobody's"):
        other = dataclasses.replace(delivery, headers={**delivery.headers, "klarna-signing-key-id": named})
        with pytest.raises(SignatureInvalid):
            kit.verify(other)


def test_a_signature_is_hex_or_base64_of_the_same_bytes(tmp_path: Path) -> None:
    kit = a_kit("klarna", tmp_path)
    delivery = kit.signed(kit.bodies()[0])
    digest = bytes.fromhex(delivery.headers["klarna-signature"])

    def signed(value: str) -> Delivery:
        return dataclasses.replace(delivery, headers={**delivery.headers, "klarna-signature": value})

    for written in (digest.hex(), digest.hex().upper(), base64.b64encode(digest).decode()):
        assert kit.verify(signed(written)).key_ids == ("current",)
    for other in (base64.b64encode(digest).decode().swapcase(), base64.b64encode(digest).decode().rstrip("="), ""):
        with pytest.raises(SignatureInvalid):
            kit.verify(signed(other))


# Pushes


def a_push(query: str, body: bytes = b"") -> Delivery:
    return Delivery("klarna", body, {}, NOON, path="/klarna", query=query)


@pytest.mark.parametrize(
    ("query", "body", "hint"),
    [
        (f"key={TOKEN}&klarna_order_id=o-1", b"", None),
        (f"key={TOKEN}", b'{"order_id": "o-1", "event_type": "FRAUD_RISK_REJECTED"}', "FRAUD_RISK_REJECTED"),
        (f"key={TOKEN}", b'{"event_id": "e-1", "session": {"session_id": "s-1", "order_id": "o-1"}}', None),
    ],
)
def test_a_push_is_a_poke_that_nobody_proved(query: str, body: bytes, hint: str | None) -> None:
    delivery = a_push(query, body)
    verdict = adapter.verify(delivery, CREDENTIALS, nobody)
    assert verdict.key_ids == ("push",)
    (poke,) = adapter.normalize(delivery, verdict, CREDENTIALS).events
    assert isinstance(poke, ResourceChanged)
    assert (poke.resource, poke.resource_id, poke.hint) == ("order", "o-1", hint)
    assert {"resource_id", "hint"} <= set(poke.unsigned)


def test_two_pushes_for_one_order_are_two_pokes() -> None:
    ids = set()
    for at in (NOON, NOON.replace(hour=13)):
        delivery = dataclasses.replace(a_push(f"key={TOKEN}&klarna_order_id=o-1"), received_at=at)
        (poke,) = adapter.normalize(delivery, Verdict(("push",)), CREDENTIALS).events
        ids.add(poke.event_id)
    assert len(ids) == 2


@pytest.mark.parametrize("query", ["", "klarna_order_id=o-1", "key=&klarna_order_id=o-1", "key=guess", "key=%ff&" * 99])
@pytest.mark.parametrize("credentials", [CREDENTIALS, Credentials(keys={"krn:key:1": "s" * 32}), Credentials(keys={})])
def test_a_push_to_a_url_that_anyone_could_guess_is_refused(query: str, credentials: Credentials) -> None:
    with pytest.raises(SignatureInvalid):
        adapter.verify(a_push(query, b'{"order_id": "o-1"}'), credentials, nobody)


def test_the_secret_of_pushes_signs_no_notification() -> None:
    import hashlib
    import hmac

    mac = hmac.new(TOKEN.encode(), b"{}", hashlib.sha256).hexdigest()
    headers = {"klarna-signature": mac, "klarna-signing-key-id": "push"}
    with pytest.raises(SignatureInvalid):
        adapter.verify(Delivery("klarna", b"{}", headers, NOON), CREDENTIALS, nobody)


@pytest.mark.parametrize(
    ("query", "body"),
    [
        ("", b"{}"),
        ("klarna_order_id=<b>", b""),
        ("", b'{"order_id": {}}'),
        ("", b'{"session_id": "s-1", "authorization_token": "t"}'),
    ],
)
def test_a_push_that_names_no_order_is_unreadable(query: str, body: bytes) -> None:
    with pytest.raises(Unreadable):
        adapter.normalize(a_push(query, body), Verdict(("push",)), CREDENTIALS)


# What pushes are about, read back

ORDER = {
    "order_id": "o-1",
    "status": "CAPTURED",
    "fraud_status": "ACCEPTED",
    "order_amount": 1999,
    "purchase_currency": "EUR",
    "created_at": "2026-05-01T12:00:00.000Z",
    "expires_at": "2026-05-29T00:00:00.000Z",
}


def read_back(at: datetime = NOON, **changes: Any) -> Any:
    poke = ResourceChanged(
        event_id="klarna:main:push",
        provider="klarna",
        account="main",
        occurred_at=at,
        resource="order",
        resource_id="o-1",
    )
    return api.read_resource(poke, json.dumps(ORDER | changes).encode())


@pytest.mark.parametrize(
    ("fraud_status", "step"),
    [("ACCEPTED", PaymentStep.AUTHORIZED), ("PENDING", PaymentStep.PENDING), ("REJECTED", PaymentStep.DECLINED)],
)
def test_an_order_begins_as_its_fraud_status_says(fraud_status: str, step: PaymentStep) -> None:
    (begun,) = read_back(fraud_status=fraud_status)
    assert (begun.step, begun.payment_id, begun.amount) == (step, "o-1", Money(1999, "EUR"))


def test_an_order_tells_of_each_capture_and_refund() -> None:
    captures = [
        {"capture_id": name, "captured_amount": amount, "captured_at": "2026-05-02T12:00:00Z"}
        for name, amount in (("c-1", 1000), ("c-2", 999))
    ]
    refunds = [{"refunded_amount": 500, "refunded_at": "2026-05-03T12:00:00Z"}]
    _, first, second, refund = read_back(captures=captures, refunds=refunds)
    assert [one.amount.minor for one in (first, second, refund)] == [1000, 999, 500]
    assert (first.aliases, first.reference, refund.step) == (("c-1", "c-2"), "c-1", PaymentStep.REFUNDED)


@pytest.mark.parametrize("status", ["CANCELLED", "EXPIRED"])
def test_an_order_that_ended_before_it_was_captured_is_canceled(status: str) -> None:
    assert [one.step for one in read_back(status=status)] == [PaymentStep.AUTHORIZED, PaymentStep.CANCELED]


CHANGED = {"original_order_amount": 800, "order_amount": 500}
CAPTURE = {"capture_id": "c-1", "captured_amount": 500, "captured_at": "2026-05-01T15:00:00Z"}


@pytest.mark.parametrize(
    ("states", "state", "authorized"),
    [
        ([CHANGED], PaymentState.AUTHORIZED, 500),
        ([CHANGED, CHANGED | {"order_amount": 900}, CHANGED], PaymentState.AUTHORIZED, 500),
        ([CHANGED, CHANGED | {"status": "CAPTURED", "captures": [CAPTURE]}], PaymentState.CAPTURED, 500),
        ([CHANGED, CHANGED | {"status": "CANCELLED"}], PaymentState.CANCELED, 500),
        ([CHANGED, CHANGED | {"status": "EXPIRED"}], PaymentState.CANCELED, 500),
    ],
)
def test_an_order_whose_amount_was_changed_holds_the_new_one(
    states: list[dict[str, Any]], state: PaymentState, authorized: int
) -> None:
    pokes = [{"order_amount": 800, "original_order_amount": 800, "status": "AUTHORIZED"}, *states]
    told = [
        event
        for hours, order in enumerate(pokes)
        for event in read_back(NOON + timedelta(hours=hours), **({"status": "AUTHORIZED"} | order))
    ]
    for arriving in (told, told[::-1], [*told[2:], *told]):
        payment = Payment(provider="klarna", payment_id="o-1", account="main")
        for event in arriving:
            payment = payments.record(payment, event)
        assert (payment.state, payment.authorized) == (state, Money(authorized, "EUR"))


@pytest.mark.parametrize("changes", [{"order_id": "o-2"}, {"fraud_status": "NEW"}, {"order_amount": "19.99"}])
def test_an_order_that_cannot_be_read_is_for_a_person(changes: dict[str, Any]) -> None:
    with pytest.raises(Unreadable):
        read_back(**changes)
