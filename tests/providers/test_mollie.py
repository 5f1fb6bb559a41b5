"""Mollie: its library, both kinds of webhook, statuses, and what is read back."""

import dataclasses
import hashlib
import hmac
import importlib
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from shared.domain.api import ApiCredentials
from shared.domain.delivery import Credentials, Delivery, Verdict
from shared.domain.errors import SignatureInvalid, Unreadable
from shared.domain.events import (
    DisputeChanged,
    DisputeStage,
    DisputeStatus,
    Initiator,
    PaymentChanged,
    PaymentStep,
    PayoutChanged,
    ResourceChanged,
)
from shared.domain.money import Money
from shared.providers.kit.protocol import Normalized
from shared.providers.mollie import api
from shared.providers.mollie import webhook as adapter
from tests.providers.kits import NOON, SAMPLES, a_fact, a_kit
from tests.simulator.facts import FactKind

CREDENTIALS = Credentials(keys={"k": "k" * 32, "push": "p" * 32})
AT = "2026-05-01T12:00:00+00:00"
LATER = "2026-05-03T12:00:00+00:00"


def nobody(url: str) -> bytes:
    raise AssertionError(f"nothing is fetched for Mollie: {url}")


def read(body: Any) -> Normalized:
    return adapter.normalize(Delivery("mollie", json.dumps(body).encode(), {}, NOON), Verdict(("k",)), CREDENTIALS)


def events(body: Any) -> Any:
    normalized = read(body)
    assert normalized.unreadable == ()
    return normalized.events


def eur(value: str) -> dict[str, str]:
    return {"currency": "EUR", "value": value}


def a_payment(status: str = "paid", **more: Any) -> dict[str, Any]:
    when = adapter.STEPS.get(status, (None, "createdAt"))[1]
    return {
        "resource": "payment",
        "id": "tr_1",
        "mode": "test",
        "createdAt": AT,
        when: AT,
        "amount": eur("19.99"),
        "status": status,
        **more,
    }


def a_chargeback(**more: Any) -> dict[str, Any]:
    return {
        "resource": "chargeback",
        "id": "chb_1",
        "amount": eur("19.99"),
        "paymentId": "tr_1",
        "createdAt": AT,
        "reversedAt": None,
        **more,
    }


def enveloped(kind: str, entity: dict[str, Any] | None) -> dict[str, Any]:
    event = {"resource": "event", "id": "event_1", "type": kind, "entityId": "tr_1", "createdAt": AT}
    return event | ({"_embedded": {"entity": entity}} if entity else {})


# Signatures


def test_the_official_library_agrees(tmp_path: Path) -> None:
    library = importlib.import_module("mollie.utils.webhooks.signature_validator")
    kit = a_kit("mollie", tmp_path)
    theirs = library.SignatureValidator(kit.credentials.keys["current"])
    for body in kit.bodies():
        genuine, forged = kit.simulator.sign(body, NOON), kit.simulator.forge(body, NOON)
        assert theirs.validate_payload(body.decode(), genuine.headers["X-Mollie-Signature"])
        with pytest.raises(library.InvalidSignatureException):
            theirs.validate_payload(body.decode(), forged.headers["X-Mollie-Signature"])


@pytest.mark.parametrize("form", ["{}", "sha256={}", "00,{}", "sha256=00, sha256={}", "{},{}", "sha256={} , "])
def test_a_signature_is_found_in_every_form_that_it_is_sent_in(form: str) -> None:
    body = b'{"resource": "event"}'
    mac = hmac.new(b"k" * 32, body, hashlib.sha256).hexdigest()
    delivery = Delivery("mollie", body, {"x-mollie-signature": form.replace("{}", mac)}, NOON)
    assert adapter.verify(delivery, CREDENTIALS, nobody).key_ids == ("k",)


def test_the_secret_of_the_url_signs_nothing() -> None:
    body = b'{"resource": "event"}'
    mac = hmac.new(b"p" * 32, body, hashlib.sha256).hexdigest()
    with pytest.raises(SignatureInvalid):
        adapter.verify(Delivery("mollie", body, {"x-mollie-signature": mac}, NOON), CREDENTIALS, nobody)


# Classic webhooks


def a_push(query: str, body: bytes = b"id=tr_1") -> Delivery:
    return Delivery("mollie", body, {}, NOON, path="/mollie", query=query)


def test_a_classic_webhook_is_a_poke_that_nobody_proved() -> None:
    delivery = a_push(f"key={'p' * 32}")
    verdict = adapter.verify(delivery, CREDENTIALS, nobody)
    (poke,) = adapter.normalize(delivery, verdict, CREDENTIALS).events
    assert isinstance(poke, ResourceChanged)
    assert (poke.resource, poke.resource_id, poke.hint) == ("payments", "tr_1", None)
    assert set(poke.unsigned) == set(adapter.PUSH_UNSIGNED)
    # The same words a second later are news: nothing else tells two of them apart.
    later = dataclasses.replace(delivery, received_at=NOON + timedelta(seconds=1))
    again = adapter.normalize(later, verdict, CREDENTIALS)
    assert (again.events[0].event_id, again.delivery_id) != (poke.event_id, poke.delivery_id)


@pytest.mark.parametrize("query", ["", "id=tr_1", "key=", "key=guess", f"key={'k' * 32}", "key=%ff&" * 99])
@pytest.mark.parametrize(
    "credentials", [CREDENTIALS, Credentials(keys={"k": "k" * 32}), Credentials(keys={"push": ""})]
)
def test_a_classic_webhook_to_a_url_that_anyone_could_guess_is_refused(query: str, credentials: Credentials) -> None:
    with pytest.raises(SignatureInvalid):
        adapter.verify(a_push(query), credentials, nobody)


@pytest.mark.parametrize("kind", [FactKind.CAPTURED, FactKind.REFUNDED, FactKind.DISPUTE_OPENED])
def test_a_classic_webhook_of_an_order_or_a_link_is_read_back_into_what_its_payment_tells(
    kind: FactKind, tmp_path: Path
) -> None:
    kit = a_kit("mollie", tmp_path)
    (payment,) = kit.pokes(kind)
    told = [dataclasses.replace(event, delivery_id="") for event in kit.told(payment)]
    for own in kit.simulator.leading_to(a_fact(kind).attempt):  # type: ignore[attr-defined]
        delivery = kit.delivery(kit.simulator.push(own))  # type: ignore[attr-defined]
        (poke,) = kit.normalize(delivery, kit.verify(delivery)).events
        assert [dataclasses.replace(event, delivery_id="") for event in kit.told(poke)] == told


@pytest.mark.parametrize("name", ["ord_1", "pl_1"])
def test_an_order_or_a_link_that_a_signed_event_names_is_a_poke_too(name: str) -> None:
    resource = "order" if name == "ord_1" else "payment-link"
    thing = {"resource": resource, "id": name, "mode": "test", "createdAt": "2026-05-01T12:00:00+00:00"}
    for whole in ({**enveloped(f"{resource}.paid", thing), "entityId": name}, thing):
        (poke,) = events(whole)
        assert isinstance(poke, ResourceChanged)
        assert (poke.resource, poke.resource_id) == (f"{resource}s", name)


@pytest.mark.parametrize("simple", [True, False])
def test_a_sales_invoice_that_was_paid_is_a_poke_and_what_else_happens_to_one_is_not(simple: bool) -> None:
    invoice = {"resource": "sales-invoice", "id": "invoice_1", "mode": "test", "createdAt": "2026-05-01T12:00:00+00:00"}
    envelope = {**enveloped("sales-invoice.paid", invoice), "entityId": "invoice_1"}
    if simple:
        del envelope["_embedded"]
    for whole in (envelope, {**invoice, "status": "paid"}):
        (poke,) = events(whole)
        assert isinstance(poke, ResourceChanged)
        assert (poke.resource, poke.resource_id) == ("sales-invoices", "invoice_1")
    issued = read({**envelope, "type": "sales-invoice.issued"})
    assert (issued.events, issued.ignored) == ((), ("sales-invoice.issued",))


@pytest.mark.parametrize(
    ("details", "leads"),
    [
        ({"source": "payment", "sourceReference": "tr_1"}, [("payments", "tr_1")]),
        ({"source": "payment-link", "sourceReference": "pl_1"}, [("payment-links", "pl_1")]),
        ({"source": "manual", "sourceReference": None}, []),
        ({"source": "newfangled", "sourceReference": "x_1"}, None),
        ({"source": "payment"}, None),
        (None, None),
    ],
)
def test_an_invoice_says_what_paid_it_or_a_person_looks(details: Any, leads: Any) -> None:
    (poke,) = adapter.normalize(a_push("", b"id=invoice_1"), Verdict((adapter.PUSH,)), CREDENTIALS).events
    assert isinstance(poke, ResourceChanged)
    body = json.dumps({"resource": "sales-invoice", "id": "invoice_1", "paymentDetails": details}).encode()
    if leads is None:
        with pytest.raises(Unreadable, match="paymentDetails"):
            api.read_resource(poke, body)
        return
    told = [one for one in api.read_resource(poke, body) if isinstance(one, ResourceChanged)]
    assert [(one.resource, one.resource_id) for one in told] == leads


def test_an_order_that_nobody_paid_yet_tells_nothing() -> None:
    (poke,) = adapter.normalize(a_push("", b"id=ord_1"), Verdict((adapter.PUSH,)), CREDENTIALS).events
    assert isinstance(poke, ResourceChanged)
    assert api.read_resource(poke, b'{"id": "ord_1", "status": "created", "_embedded": {}}') == ()


@pytest.mark.parametrize(
    "body",
    [
        b"id=sub_1",
        b"id=cst_1",
        b"id=stl_1",
        b"id=tr_",
        b"id=tr_1.2",
        b"",
        b"{}",
        b"id=",
        b"id=tr_1/../x",
        b"id=%ff",
        b"id=<b>",
        b"a=1&" * 99,
    ],
)
def test_a_classic_webhook_that_names_nothing_is_unreadable(body: bytes) -> None:
    with pytest.raises(Unreadable):
        adapter.normalize(a_push("", body), Verdict((adapter.PUSH,)), CREDENTIALS)


# Objects


@pytest.mark.parametrize(
    ("account", "billing", "domain"),
    [
        ("ana@wallet.example", None, "wallet.example"),
        ("ana@wallet.example", "ana@shop.example", "shop.example"),
        ("NL55INGB0000000000", None, None),
    ],
)
def test_whoever_pays_by_paypal_is_known_by_the_address_of_that_where_no_other_is_told(
    account: str, billing: str | None, domain: str | None
) -> None:
    (event,) = events(a_payment(details={"consumerAccount": account}, billingAddress={"email": billing}))
    assert event.email_domain == domain


def test_a_payment_that_failed_at_a_terminal_says_why() -> None:
    told = {"code": "insufficient_funds", "message": "Not enough money."}
    (event,) = events(a_payment("failed", method="pointofsale", statusReason=told))
    assert (event.step, event.decline_code) == (PaymentStep.DECLINED, "insufficient_funds")


@pytest.mark.parametrize(
    ("told", "country"),
    [
        ({"billingAddress": {"country": "SE"}}, "SE"),
        ({"billingAddress": {"country": "SE"}, "countryCode": "NL"}, "NL"),
        ({}, None),
    ],
)
def test_the_country_of_a_payer_is_the_one_of_the_bill_where_no_other_is_told(
    told: dict[str, Any], country: str | None
) -> None:
    (event,) = events(a_payment(**told))
    assert event.billing_country == country


@pytest.mark.parametrize(("status", "step"), [(status, step) for status, (step, _) in adapter.STEPS.items()])
@pytest.mark.parametrize("alone", [True, False])
def test_payments(status: str, step: PaymentStep, alone: bool) -> None:
    entity = a_payment(status, sequenceType="recurring", countryCode="NL")
    (found,) = events(entity if alone else enveloped(f"payment.{status}", entity))
    assert isinstance(found, PaymentChanged)
    assert (found.step, found.payment_id, found.amount) == (step, "tr_1", Money(1999, "EUR"))
    assert (found.initiator, found.billing_country, found.reference) == (Initiator.MERCHANT, "NL", "tr_1")
    assert found.event_id.startswith(f"mollie:main:tr_1.{status}")


def test_an_event_around_an_object_and_the_object_alone_are_the_same_fact() -> None:
    (alone,), (around,) = events(a_payment()), events(enveloped("payment.paid", a_payment()))
    assert dataclasses.replace(alone, delivery_id="") == dataclasses.replace(around, delivery_id="")


def test_a_payment_that_is_captured_in_parts_tells_how_much_so_far() -> None:
    first, second = (events(a_payment(amountCaptured=eur(value)))[0] for value in ("5.00", "19.99"))
    assert (first.amount, second.amount) == (Money(500, "EUR"), Money(1999, "EUR"))
    assert first.event_id != second.event_id
    assert first.reference == second.reference


@pytest.mark.parametrize(("reason", "hard"), [("inactive_card", True), ("insufficient_funds", False)])
def test_a_failed_payment_says_why(reason: str, hard: bool) -> None:
    (found,) = events(a_payment("failed", details={"failureReason": reason, "cardNumber": "4242", "cardLabel": "Visa"}))
    assert (found.decline_code, found.hard_decline) == (reason, hard)
    assert (found.card.last4, found.card.network) == ("4242", "visa")


@pytest.mark.parametrize(("status", "step"), adapter.REFUND_STEPS.items())
def test_refunds(status: str, step: PaymentStep) -> None:
    refund = {"resource": "refund", "id": "re_1", "status": status, "amount": eur("5.00"), "paymentId": "tr_1"}
    (found,) = events(refund | {"createdAt": AT, "mode": "test"})
    assert (found.step, found.payment_id, found.reference, found.amount) == (step, "tr_1", "re_1", Money(500, "EUR"))


@pytest.mark.parametrize(
    ("reversed_at", "status", "moved"),
    [(None, DisputeStatus.LOST, Money(-1999, "EUR")), (LATER, DisputeStatus.WON, Money(1999, "EUR"))],
)
def test_a_chargeback_takes_the_money_until_it_is_reversed(
    reversed_at: str | None, status: DisputeStatus, moved: Money
) -> None:
    (found,) = events(a_chargeback(reversedAt=reversed_at, reason={"code": "MD01", "description": "x"}))
    assert isinstance(found, DisputeChanged)
    assert (found.status, found.moved, found.final) == (status, moved, status is DisputeStatus.WON)
    assert (found.stage, found.dispute_id, found.payment_id) == (DisputeStage.CHARGEBACK, "chb_1", "tr_1")
    assert (found.can_respond, found.respond_by, found.reason_code) == (False, None, "MD01")
    assert found.occurred_at == (NOON + timedelta(days=2) if reversed_at else NOON)


def test_the_money_of_a_chargeback_adds_up_also_if_the_first_event_comes_with_the_second_ones_object() -> None:
    reversed_by_now = a_chargeback(reversedAt=LATER)
    told = [
        event
        for kind in ("chargeback.received", "chargeback.reversed")
        for event in events(enveloped(kind, reversed_by_now))
    ]
    assert [(event.provider_status, event.moved.minor) for event in told] == [("received", -1999), ("reversed", 1999)]


def test_what_a_chargeback_takes_is_told_in_the_currency_that_is_settled_in() -> None:
    settled = {"settlementAmount": {"value": "-21.63", "currency": "USD"}}
    (taken,) = events(a_chargeback(**settled))
    (given,) = events(a_chargeback(**settled, reversedAt=LATER))
    assert (taken.amount, taken.moved, given.moved) == (Money(1999, "EUR"), Money(-2163, "USD"), Money(2163, "USD"))


def test_a_capture_that_failed_takes_back_and_one_that_succeeded_is_read_in_its_payment() -> None:
    capture = {"resource": "capture", "id": "cpt_1", "paymentId": "tr_1", "amount": eur("5.00"), "createdAt": AT}
    (failed,) = events(capture | {"status": "failed"})
    assert (failed.step, failed.reference) == (PaymentStep.CAPTURE_FAILED, "cpt_1")
    (poke,) = events(capture | {"status": "succeeded"})
    assert isinstance(poke, ResourceChanged)
    assert poke.resource_id == "tr_1"


def test_an_event_without_its_object_is_a_poke() -> None:
    (poke,) = events(enveloped("payment.paid", None))
    assert isinstance(poke, ResourceChanged)
    assert (poke.resource_id, poke.hint, poke.event_id) == ("tr_1", "payment.paid", "mollie:main:event_1")
    with pytest.raises(Unreadable):
        read(enveloped("refund.refunded", None) | {"entityId": "re_1"})


def test_payouts() -> None:
    payout = {"resource": "payout", "id": "payout_1", "status": "completed", "amount": eur("99.00"), "createdAt": AT}
    (found,) = events(enveloped("payout.completed", payout))
    assert isinstance(found, PayoutChanged)
    assert (found.status, found.amount) == ("completed", Money(9900, "EUR"))


@pytest.mark.parametrize(
    "thing",
    [a_payment("newfangled"), {"resource": "refund", "id": "re_1", "status": "newfangled", "createdAt": AT}],
    ids=["payment", "refund"],
)
def test_a_status_that_we_do_not_know_is_for_a_person(thing: dict[str, Any]) -> None:
    with pytest.raises(Unreadable, match="status"):
        read(thing)


def test_a_live_payment_says_so() -> None:
    normalized = read(a_payment(mode="live"))
    assert normalized.livemode is True
    assert normalized.events[0].livemode is True
    assert read(a_chargeback()).livemode is None


# Reading back


def a_poke(**changes: Any) -> ResourceChanged:
    poke = ResourceChanged(
        event_id="mollie:main:push.tr_1",
        provider="mollie",
        account="main",
        occurred_at=NOON,
        resource="payments",
        resource_id="tr_1",
    )
    return dataclasses.replace(poke, **changes)


def test_a_payment_is_asked_for_with_all_that_happened_to_it() -> None:
    request = api.resource_request(a_poke(), ApiCredentials(key="live_key"))
    assert request.url == "https://api.mollie.com/v2/payments/tr_1?embed=refunds,chargebacks"
    assert request.headers["Authorization"] == "Bearer live_key"


def test_a_payment_that_is_read_back_tells_its_refunds_and_both_states_of_its_chargebacks() -> None:
    refund = {"id": "re_1", "status": "refunded", "amount": eur("5.00"), "paymentId": "tr_1", "createdAt": AT}
    embedded = {"refunds": [refund], "chargebacks": [a_chargeback(reversedAt=LATER)]}
    told = api.read_resource(a_poke(), json.dumps(a_payment(_embedded=embedded)).encode())
    assert [event.event_id.removeprefix("mollie:main:") for event in told] == [
        "tr_1.paid.1999",
        "re_1.refunded",
        "chb_1.received",
        "chb_1.reversed",
    ]
    assert sum(event.moved.minor for event in told if isinstance(event, DisputeChanged) and event.moved) == 0


def test_what_is_read_back_is_what_a_signed_webhook_tells(tmp_path: Path) -> None:
    kit = a_kit("mollie", tmp_path)
    (signed,) = kit.events(a_fact(FactKind.CAPTURED))
    (read_back,) = kit.told(a_poke(resource_id=signed.payment_id))  # type: ignore[union-attr]
    assert dataclasses.replace(signed, delivery_id="") == dataclasses.replace(read_back, delivery_id="")


@pytest.mark.skipif(not SAMPLES.exists(), reason="the folder of real payloads is absent")
def test_a_published_payment_is_read_back() -> None:
    body = (SAMPLES / "mollie" / "classic" / "payment_single_no_links.json").read_bytes()
    (found,) = api.read_resource(a_poke(resource_id=json.loads(body)["id"]), body)
    assert isinstance(found, PaymentChanged)
    assert (found.step, found.amount) == (PaymentStep.PENDING, Money(1000, "EUR"))
    assert found.occurred_at == datetime(2018, 3, 20, 9, 13, 37, tzinfo=UTC)
