"""Mercado Pago: its library, what the signature leaves open, and what is read back."""

import dataclasses
import hashlib
import hmac
import importlib
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from shared import providers
from shared.domain.api import ApiCredentials
from shared.domain.delivery import Credentials, Delivery, Verdict
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
from shared.providers.kit.unmapped import unmapped
from shared.providers.mercadopago import api
from shared.providers.mercadopago import webhook as adapter
from tests.providers.kits import NOON, SAMPLES, a_kit
from tests.simulator.facts import FactKind

SECRET = "s" * 32
CREDENTIALS = Credentials(keys={"k": SECRET})
AT = "2026-05-01T12:00:00.000-04:00"
THEN = NOON + timedelta(hours=4)
FOLDER = SAMPLES / "mercadopago"
there = pytest.mark.skipif(not FOLDER.exists(), reason="the folder of real payloads is absent")


def nobody(url: str) -> bytes:
    raise AssertionError(f"nothing is fetched for Mercado Pago: {url}")


def signed(
    own: str = "123",
    stamp: int | None = None,
    request_id: str = "request-1",
    query: str | None = None,
    body: bytes = b'{"type": "payment"}',
    manifest: str | None = None,
) -> Delivery:
    stamp = int(NOON.timestamp()) if stamp is None else stamp
    pairs = (("id", own), ("request-id", request_id), ("ts", str(stamp)))
    message = manifest if manifest is not None else "".join(f"{name}:{value};" for name, value in pairs if value)
    mac = hmac.new(SECRET.encode(), message.encode(), hashlib.sha256).hexdigest()
    headers = {"x-signature": f"ts={stamp},v1={mac}"} | ({"x-request-id": request_id} if request_id else {})
    query = f"data.id={own}&type=payment" if query is None else query
    return Delivery("mercadopago", body, headers, NOON, path="/mercadopago", query=query)


def verdict(delivery: Delivery) -> Verdict:
    return adapter.verify(delivery, CREDENTIALS, nobody)


def test_the_official_library_agrees(tmp_path: Path) -> None:
    library = importlib.import_module("mercadopago.webhook")
    kit = a_kit("mercadopago", tmp_path)
    for body in kit.bodies():
        for request, genuine in ((kit.simulator.sign(body, NOON), True), (kit.simulator.forge(body, NOON), False)):
            arguments = (
                request.headers["X-Signature"],
                request.headers["X-Request-Id"],
                json.loads(body)["data"]["id"],
                kit.credentials.keys["current"],
            )
            if genuine:
                library.WebhookSignatureValidator.validate(*arguments)
            else:
                with pytest.raises(library.InvalidWebhookSignatureError):
                    library.WebhookSignatureValidator.validate(*arguments)


@pytest.mark.parametrize("factor", [1, 1000], ids=["seconds", "milliseconds"])
def test_the_time_is_read_in_seconds_and_in_milliseconds(factor: int) -> None:
    assert verdict(signed(stamp=int(NOON.timestamp()) * factor)).signed_at == NOON


def test_an_id_with_letters_is_signed_in_either_case() -> None:
    stamp = int(NOON.timestamp())
    lowered = signed("ABC9", manifest=f"id:abc9;request-id:request-1;ts:{stamp};")
    assert verdict(signed("ABC9")).key_ids == verdict(lowered).key_ids == ("k",)


def test_a_delivery_without_a_request_id_is_signed_without_it() -> None:
    assert verdict(signed(request_id="")).key_ids == ("k",)


@pytest.mark.parametrize(
    "delivery",
    [
        signed(query="type=payment"),
        signed(query="data.id=124&type=payment"),
        signed(query="data.id=123&data.id=124"),
        signed(query="data.id=123&data.id=123"),
        signed("1;request-id:x"),
        signed("1/2"),
        signed(own="", query="data.id="),
        signed(request_id="a;ts:1"),
        signed(query="data.id=123&" + "x=1&" * 99),
    ],
    ids=lambda delivery: delivery.query[:30],
)
def test_an_id_that_was_not_signed_or_could_be_read_in_two_ways_is_refused(delivery: Delivery) -> None:
    with pytest.raises(SignatureInvalid):
        verdict(delivery)


def test_a_changed_byte_of_the_id_in_the_url_is_refused() -> None:
    genuine = signed("ABC9-12_z")
    begins = genuine.query.index("ABC9")
    for place in range(begins, begins + 9):
        for other in "0aZ-&%":
            query = genuine.query[:place] + other + genuine.query[place + 1 :]
            # Ids are signed in lower case, whatever the URL has.
            if query.lower() != genuine.query.lower():
                with pytest.raises(SignatureInvalid):
                    verdict(dataclasses.replace(genuine, query=query))


@pytest.mark.parametrize(
    "signature",
    [
        "v1={mac}",
        "ts={ts}",
        "ts={ts},ts={ts},v1={mac}",
        "ts=soon,v1={mac}",
        "ts=12345678,v1={mac}",
        "ts=123456789012345,v1={mac}",
        "ts=-{ts},v1={mac}",
        "ts=,v1={mac}",
        "x=1,x=2,x=3,x=4,x=5,x=6,x=7,x=8,ts={ts},v1={mac}",
    ],
)
def test_anything_but_one_time_and_a_signature_is_malformed(signature: str) -> None:
    delivery = signed()
    ts, mac = (part.partition("=")[2] for part in delivery.headers["x-signature"].split(","))
    headers = {**delivery.headers, "x-signature": signature.format(ts=ts, mac=mac)}
    with pytest.raises(SignatureInvalid) as error:
        verdict(dataclasses.replace(delivery, headers=headers))
    assert error.value.reason == "malformed_signature"


def test_nothing_of_the_body_counts_as_signed() -> None:
    delivery = signed(body=b'{"type": "payment", "action": "payment.approved", "data": {"id": "999"}}')
    (poke,) = adapter.normalize(delivery, verdict(delivery), CREDENTIALS).events
    assert isinstance(poke, ResourceChanged)
    assert (poke.resource, poke.resource_id, poke.hint) == ("payments", "123", "payment.approved")
    assert {"resource", "hint"} <= set(poke.unsigned)


@pytest.mark.parametrize(("topic", "resource"), adapter.TOPICS.items())
def test_topics(topic: str, resource: str) -> None:
    delivery = signed(body=json.dumps({"type": topic}).encode())
    (poke,) = adapter.normalize(delivery, verdict(delivery), CREDENTIALS).events
    assert isinstance(poke, ResourceChanged)
    assert poke.resource == resource


@pytest.mark.parametrize("topic", sorted(adapter.IGNORED))
def test_topics_that_say_nothing_about_money_are_ignored(topic: str) -> None:
    delivery = signed(body=json.dumps({"type": topic}).encode())
    told = adapter.normalize(delivery, verdict(delivery), CREDENTIALS)
    assert (told.events, told.ignored, told.unreadable) == ((), (topic,), ())


@pytest.mark.parametrize("topic", ["invoice", "newfangled", "<b>"])
def test_an_object_that_cannot_be_read_back_is_for_a_person(topic: str) -> None:
    delivery = signed(body=json.dumps({"type": topic}).encode())
    told = adapter.normalize(delivery, verdict(delivery), CREDENTIALS)
    assert told.events == ()
    assert "cannot be read back" in told.unreadable[0]


@pytest.mark.parametrize(
    ("topic", "first"),
    [
        ("order", "ORD"),
        ("orders", "ORD"),
        ("topic_merchant_order_wh", "5"),
        ("merchant_order", "5"),
        ("subscription_authorized_payment", "6"),
        ("subscription_preapproval", "pre"),
        ("subscription", "pre"),
        ("point_integration_wh", "int"),
    ],
)
@pytest.mark.parametrize("kind", [FactKind.CAPTURED, FactKind.REFUNDED])
def test_what_leads_to_payments_is_followed_to_what_they_tell(
    topic: str, first: str, kind: FactKind, tmp_path: Path
) -> None:
    kit = a_kit("mercadopago", tmp_path)
    (payment,) = kit.pokes(kind)
    told = [dataclasses.replace(event, delivery_id="") for event in kit.told(payment)]
    delivery = signed(f"{first}{payment.resource_id}", body=json.dumps({"type": topic}).encode())
    (poke,) = adapter.normalize(delivery, verdict(delivery), CREDENTIALS).events
    assert [dataclasses.replace(event, delivery_id="") for event in kit.told(poke)] == told


def test_a_charge_of_a_subscription_that_was_not_tried_yet_tells_nothing() -> None:
    delivery = signed("61", body=b'{"type": "subscription_authorized_payment"}')
    (poke,) = adapter.normalize(delivery, verdict(delivery), CREDENTIALS).events
    assert isinstance(poke, ResourceChanged)
    assert api.read_resource(poke, b'{"id": 61, "status": "scheduled", "payment": null}') == ()
    with pytest.raises(Unreadable, match="another object"):
        api.read_resource(poke, b'{"id": 62, "payment": {"id": 7}}')


def an_order(status: str = "processed", reference: Any = "123", **transactions: Any) -> dict[str, Any]:
    payment = {"id": "PAY01J6TC8BYRR0T4ZKY0QRTZ0E24", "status": status, "reference_id": reference}
    return {"id": "ORD01JV3AW3NFST", "transactions": {"payments": [payment], **transactions}}


def test_an_order_leads_to_its_payments_and_chargebacks_by_the_names_that_they_have_elsewhere() -> None:
    disputed = an_order("charged_back", chargebacks=[{"id": "CHB01", "transaction_id": "PAY01", "case_id": "2340"}])
    assert [(one.resource, one.resource_id) for one in told("orders", disputed)] == [
        ("payments", "123"),
        ("chargebacks", "2340"),
    ]
    older = an_order(reference=None)
    older["transactions"]["payments"][0]["reference"] = {"id": "124"}
    assert [one.resource_id for one in told("orders", older)] == ["124"]


def test_an_order_that_nobody_has_paid_yet_leads_nowhere() -> None:
    assert all(told("orders", an_order(status, reference=None)) == () for status in api.UNPAID)
    assert told("orders", {"id": "ORD01JV3AW3NFST", "status": "created"}) == ()


@pytest.mark.parametrize("status", ["processed", "refunded", "charged_back", "invented"])
@pytest.mark.parametrize("reference", [None, "", {"id": 1}, "not an id"])
def test_what_was_paid_under_an_order_and_names_no_payment_is_unreadable(status: str, reference: Any) -> None:
    with pytest.raises(Unreadable, match="reference"):
        told("orders", an_order(status, reference))
    with pytest.raises(Unreadable, match="case_id"):
        told("orders", an_order(chargebacks=[{"id": "CHB01"}]))


def test_another_order_than_was_asked_for_is_refused() -> None:
    with pytest.raises(Unreadable, match="another object"):
        api.read_resource(a_poke("orders", "ORD01"), json.dumps(an_order()).encode())


def test_a_body_that_cannot_be_read_does_not_lose_what_the_url_names() -> None:
    delivery = signed(body=b"<html>")
    normalized = adapter.normalize(delivery, verdict(delivery), CREDENTIALS)
    (poke,) = normalized.events
    assert isinstance(poke, ResourceChanged)
    assert (poke.resource, poke.resource_id) == ("payments", "123")
    assert normalized.unreadable == ("body: not JSON",)


def test_a_card_number_in_the_url_reaches_nobody() -> None:
    delivery = signed(query="data.id=123&type=4242424242424242", body=b"{}")
    assert "4242" not in repr(adapter.normalize(delivery, verdict(delivery), CREDENTIALS))


@pytest.mark.parametrize("topic", adapter.FRAUD_ALERTS)
@pytest.mark.parametrize("query", [None, "", "type=stop_delivery_op_wh"])
def test_a_fraud_alert_is_for_a_person_and_changes_nothing_by_itself(topic: str, query: str | None) -> None:
    # Its URL has no data.id, so that the request id and the time are all that is signed.
    body = json.dumps({"type": topic, "data": {"payment_id": 1, "merchant_order": 2}}).encode()
    delivery = signed(own="123" if query is None else "", query=query, body=body)
    normalized = adapter.normalize(delivery, verdict(delivery), CREDENTIALS)
    assert normalized.events == ()
    assert "fraud alert" in normalized.unreadable[0]


@pytest.mark.parametrize(
    ("topic", "data"),
    [
        ("stop_delivery_op_wh", ("description", "merchant_order", "payment_id", "site_id")),
        (
            "topic_chargebacks_wh",
            ("checkout", "date_updated", "id", "payment_id", "product_id", "site_id", "transaction_intent_id"),
        ),
        ("topic_claims_integration_wh", ("id", "resource")),
        ("topic_merchant_order_wh", ("id",)),
        ("order", ("external_reference", "id", "status", "status_detail", "total_paid_amount", "type", "version")),
    ],
)
def test_the_members_of_a_documented_notification_are_no_news(topic: str, data: tuple[str, ...]) -> None:
    told = {"type": topic, "action": "any", "actions": ["any"], "data": dict.fromkeys(data, "1"), "application_id": 1}
    delivery = signed(body=json.dumps(told).encode())
    assert (
        unmapped(providers.load("mercadopago"), delivery, adapter.normalize(delivery, verdict(delivery), CREDENTIALS))
        == ()
    )


@pytest.mark.parametrize("body", [b"{}", b'{"type": "payment"}', b'{"type": "payment", "data": {"id": "123"}}'])
def test_a_message_that_signs_no_id_is_about_nothing(body: bytes) -> None:
    delivery = signed(own="", query="", body=body)
    with pytest.raises(Unreadable):
        adapter.normalize(delivery, verdict(delivery), CREDENTIALS)


def test_a_signature_of_nothing_but_the_time_proves_nothing() -> None:
    with pytest.raises(SignatureInvalid):
        verdict(signed(own="", query="", request_id=""))


def test_two_deliveries_about_one_object_are_two_also_where_no_request_id_tells_them_apart() -> None:
    stamp = int(NOON.timestamp())
    first, later = (signed(request_id="", stamp=at) for at in (stamp, stamp + 1))
    ids = {adapter.normalize(one, verdict(one), CREDENTIALS).delivery_id for one in (first, later)}
    assert len(ids) == 2


# Reading back


def a_poke(resource: str = "payments", own: str = "123", **changes: Any) -> ResourceChanged:
    poke = ResourceChanged(
        event_id="mercadopago:main:123.request-1",
        provider="mercadopago",
        account="main",
        occurred_at=NOON,
        resource=resource,
        resource_id=own,
    )
    return dataclasses.replace(poke, **changes)


def told(resource: str, thing: dict[str, Any]) -> Any:
    return api.read_resource(a_poke(resource, str(thing["id"])), json.dumps(thing).encode())


def a_payment(status: str = "approved", **more: Any) -> dict[str, Any]:
    return {
        "id": 123,
        "status": status,
        "currency_id": "BRL",
        "transaction_amount": 58.8,
        "date_created": AT,
        "date_approved": AT if status == "approved" else None,
        "live_mode": False,
        **more,
    }


def a_chargeback(**more: Any) -> dict[str, Any]:
    return {
        "id": "234000062890459000",
        "payments": [123],
        "currency": "ARS",
        "amount": 1000.5,
        "coverage_applied": None,
        "documentation_status": "not_supplied",
        "date_documentation_deadline": "2026-05-11T00:00:00.000-04:00",
        "date_created": AT,
        "live_mode": False,
        **more,
    }


@pytest.mark.parametrize(
    ("resource", "path"),
    [
        ("payments", "/v1/payments/123"),
        ("chargebacks", "/v1/chargebacks/123"),
        ("claims", "/post-purchase/v1/claims/123"),
    ],
)
def test_each_object_has_its_address(resource: str, path: str) -> None:
    request = api.resource_request(a_poke(resource), ApiCredentials(key="token"))
    assert request.url == f"https://api.mercadopago.com{path}"
    assert request.headers["Authorization"] == "Bearer token"


@pytest.mark.parametrize(("status", "step"), api.STEPS.items())
def test_payments(status: str, step: PaymentStep) -> None:
    found = told("payments", a_payment(status))[0]
    assert isinstance(found, PaymentChanged)
    assert (found.step, found.payment_id, found.amount) == (step, "123", Money(5880, "BRL"))
    assert found.occurred_at == THEN


@pytest.mark.parametrize(
    ("detail", "hard"), [("cc_rejected_blacklist", True), ("cc_rejected_insufficient_amount", False)]
)
def test_a_rejected_payment_says_why(detail: str, hard: bool) -> None:
    (found,) = told("payments", a_payment("rejected", status_detail=detail))
    assert (found.decline_code, found.hard_decline) == (detail, hard)


def test_amounts_are_read_exactly_by_the_currency() -> None:
    for amount, currency, minor in ((0.1, "BRL", 10), (1999, "CLP", 1999), (58.80, "ARS", 5880), (100, "COP", 10000)):
        (found,) = told("payments", a_payment(currency_id=currency, transaction_amount=amount))
        assert found.amount == Money(minor, currency)
    for odd in (58.805, "58,80", True, False, 1e41, [1]):
        with pytest.raises(Unreadable, match="amount"):
            told("payments", a_payment(transaction_amount=odd))


@pytest.mark.parametrize(("status", "step"), api.REFUND_STEPS.items())
def test_a_payment_tells_of_each_refund(status: str, step: PaymentStep) -> None:
    refund = {"id": 9, "amount": 5, "status": status, "date_created": AT}
    captured, refunded = told("payments", a_payment(refunds=[refund], transaction_amount_refunded=5))
    assert (captured.step, refunded.step) == (PaymentStep.CAPTURED, step)
    assert (refunded.reference, refunded.amount, refunded.cumulative) == ("9", Money(500, "BRL"), False)


def test_refunds_that_are_told_in_sum_are_a_running_total() -> None:
    _, refunded = told("payments", a_payment("refunded", transaction_amount_refunded=58.8))
    assert (refunded.step, refunded.amount, refunded.cumulative) == (PaymentStep.REFUNDED, Money(5880, "BRL"), True)


@pytest.mark.parametrize(
    ("more", "status"),
    [
        ({"documentation_status": "not_supplied"}, DisputeStatus.NEEDS_RESPONSE),
        ({"documentation_status": "pending"}, DisputeStatus.NEEDS_RESPONSE),
        ({"documentation_status": "invalid"}, DisputeStatus.NEEDS_RESPONSE),
        ({"documentation_status": "newfangled"}, DisputeStatus.NEEDS_RESPONSE),
        ({"documentation_status": "review_pending"}, DisputeStatus.UNDER_REVIEW),
        ({"documentation_status": "valid"}, DisputeStatus.UNDER_REVIEW),
        ({"documentation_status": "valid", "coverage_applied": True}, DisputeStatus.WON),
        ({"documentation_status": "valid", "coverage_applied": False}, DisputeStatus.LOST),
        ({"documentation_status": "not_supplied", "coverage_applied": False}, DisputeStatus.LOST),
        ({"documentation_status": "pending", "coverage_applied": False}, DisputeStatus.NEEDS_RESPONSE),
        ({"documentation_status": "review_pending", "coverage_applied": False}, DisputeStatus.UNDER_REVIEW),
        ({"status": "in_process", "coverage_applied": False}, DisputeStatus.NEEDS_RESPONSE),
        ({"status": "in_process", "coverage_applied": True}, DisputeStatus.WON),
        ({"status": "settled"}, DisputeStatus.LOST),
        ({"status": "reimbursed"}, DisputeStatus.WON),
    ],
)
def test_chargebacks(more: dict[str, Any], status: DisputeStatus) -> None:
    (found,) = told("chargebacks", a_chargeback(**more))
    assert isinstance(found, DisputeChanged)
    assert (found.status, found.stage) == (status, DisputeStage.CHARGEBACK)
    assert (found.dispute_id, found.payment_id) == ("234000062890459000", "123")
    assert found.amount == Money(100050, "ARS")
    assert found.respond_by == datetime(2026, 5, 11, 4, tzinfo=UTC)
    assert found.respond_by_text == "2026-05-11T00:00:00.000-04:00"


@pytest.mark.parametrize("condition", ["coverage_eligible", "coverage_elegible", "documentation_required"])
def test_a_chargeback_that_takes_no_documents_wants_no_answer(condition: str) -> None:
    for met in (True, None, False):
        (found,) = told("chargebacks", a_chargeback(**{condition: met}))
        assert (found.status, found.can_respond) == (DisputeStatus.NEEDS_RESPONSE, met is not False)


def test_a_chargeback_may_be_asked_for_by_its_case() -> None:
    case = json.dumps(a_chargeback(case_id="CASE-1")).encode()
    (found,) = api.read_resource(a_poke("chargebacks", "CASE-1"), case)
    assert isinstance(found, DisputeChanged)
    assert found.dispute_id == "234000062890459000"
    with pytest.raises(Unreadable, match="another object"):
        api.read_resource(a_poke("chargebacks", "CASE-2"), case)


def test_a_chargeback_without_a_deadline_has_none_and_the_reason_fraud_is_fraud() -> None:
    (found,) = told("chargebacks", a_chargeback(date_documentation_deadline=None, reason="fraud"))
    assert (found.respond_by, found.respond_by_text, found.reason) == (None, None, DisputeReason.FRAUD)
    assert found.reason_code == "fraud"


@pytest.mark.parametrize(
    ("more", "status"),
    [
        ({"status": "opened"}, DisputeStatus.NEEDS_RESPONSE),
        ({"status": "closed", "resolution": {"benefited": ["respondent"]}}, DisputeStatus.WON),
        ({"status": "closed", "resolution": {"benefited": "complainant"}}, DisputeStatus.LOST),
        ({"status": "closed", "resolution": {"benefited": ["respondent", "complainant"]}}, DisputeStatus.CLOSED),
        ({"status": "closed", "resolution": None}, DisputeStatus.CLOSED),
    ],
)
def test_a_claim_is_an_inquiry_with_the_first_of_our_deadlines(more: dict[str, Any], status: DisputeStatus) -> None:
    actions = [{"action": "a", "due_date": AT}, {"action": "b", "due_date": "2026-05-01T11:00:00.000-04:00"}, {}]
    players = [
        {"role": "respondent", "available_actions": actions},
        {"role": "complainant", "available_actions": [{"due_date": "2026-04-01T00:00:00.000-04:00"}]},
    ]
    claim = {"id": 5, "resource": "payment", "resource_id": 123, "date_created": AT, "players": players}
    (found,) = told("claims", claim | more)
    assert (found.stage, found.status, found.payment_id) == (DisputeStage.INQUIRY, status, "123")
    assert found.respond_by == THEN - timedelta(hours=1)


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("PNR4071", DisputeReason.NOT_RECEIVED),
        ("PDD9939", DisputeReason.NOT_AS_DESCRIBED),
        ("CS5522", DisputeReason.CANCELED),
        ("NEW1", DisputeReason.OTHER),
        (None, None),
    ],
)
def test_what_a_claim_is_about_is_how_its_reason_begins(code: str | None, reason: DisputeReason | None) -> None:
    claim = {"id": 5, "resource": "payment", "resource_id": 123, "date_created": AT, "status": "opened"}
    (found,) = told("claims", claim | {"reason_id": code})
    assert (found.reason, found.reason_code) == (reason, code)


@there
@pytest.mark.parametrize(("file", "resource"), [("payment_get", "payments"), ("chargeback_get", "chargebacks")])
def test_published_objects_are_read_back(file: str, resource: str) -> None:
    thing = json.loads((FOLDER / f"{file}.json").read_bytes())
    (found,) = told(resource, thing)
    assert found.amount == Money(5880, "BRL")
    assert found.payment_id == "17014025134"
    assert "19119119100" not in repr(found)
    assert "APRO" not in repr(found)


def test_the_same_state_is_the_same_event_and_another_state_is_another() -> None:
    first, again = told("chargebacks", a_chargeback()), told("chargebacks", a_chargeback())
    assert first == again
    (other,) = told("chargebacks", a_chargeback(coverage_applied=True))
    assert other.event_id != first[0].event_id
