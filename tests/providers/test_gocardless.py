"""GoCardless: its vectors and library, batches, actions, and what is read back."""

import dataclasses
import importlib
import json
from pathlib import Path
from typing import Any

import pytest

from shared import providers
from shared.domain import payments
from shared.domain.api import ApiCredentials
from shared.domain.delivery import Credentials, Delivery, Verdict
from shared.domain.errors import SignatureInvalid, Unreadable
from shared.domain.events import (
    DisputeChanged,
    DisputeReason,
    DisputeStatus,
    PaymentChanged,
    PaymentStep,
    PayoutChanged,
    ResourceChanged,
)
from shared.domain.money import Money
from shared.domain.payments import Payment
from shared.providers.gocardless import api
from shared.providers.gocardless import webhook as adapter
from shared.providers.kit.protocol import Normalized
from shared.providers.kit.unmapped import unmapped
from tests.builders import HOUR
from tests.providers.kits import NOON, SAMPLES, a_kit

FOLDER = SAMPLES / "gocardless"
there = pytest.mark.skipif(not FOLDER.exists(), reason="the folder of real payloads is absent")


def nobody(url: str) -> bytes:
    raise AssertionError(f"nothing is fetched for GoCardless: {url}")


def an_event(resource: str, action: str, own: str = "PM123", number: int = 1, **details: Any) -> dict[str, Any]:
    return {
        "id": f"EV{number}",
        "created_at": "2026-05-01T12:00:00.000Z",
        "resource_type": resource,
        "action": action,
        "links": {resource.removesuffix("s"): own},
        "details": {"origin": "bank", **details},
        "metadata": {},
    }


def read(*items: Any, meta: dict[str, Any] | None = None) -> Normalized:
    body = {"events": list(items), "meta": meta or {"webhook_id": "WB1"}}
    return adapter.normalize(
        Delivery("gocardless", json.dumps(body).encode(), {}, NOON), Verdict(("k",)), Credentials(keys={"k": "s"})
    )


def a_poke(resource: str, action: str, own: str = "PM123", **details: Any) -> ResourceChanged:
    normalized = read(an_event(resource, action, own, **details))
    (poke,) = normalized.events
    assert isinstance(poke, ResourceChanged)
    return poke


PAYMENT = {"id": "PM123", "amount": 1999, "currency": "EUR", "status": "confirmed", "scheme": "sepa_core"}
REFUND = {"id": "RF123", "amount": 500, "currency": "EUR", "status": "paid", "links": {"payment": "PM123"}}


def told(poke: ResourceChanged, thing: dict[str, Any]) -> Any:
    return api.read_resource(poke, json.dumps({poke.resource: thing}).encode())


def test_the_official_library_agrees(tmp_path: Path) -> None:
    library = importlib.import_module("gocardless_pro.webhooks")
    errors = importlib.import_module("gocardless_pro.errors")
    kit = a_kit("gocardless", tmp_path)
    secret = kit.credentials.keys["current"]
    for body in kit.bodies():
        genuine, forged = kit.simulator.sign(body, NOON), kit.simulator.forge(body, NOON)
        (parsed,) = library.parse(body, secret, genuine.headers["Webhook-Signature"])
        assert parsed.id == json.loads(body)["events"][0]["id"]
        with pytest.raises(errors.InvalidSignatureError):
            library.parse(body, secret, forged.headers["Webhook-Signature"])


# As the tests of the Python and of the Go library have them.
VECTORS = [
    (
        "python/webhook_body.json",
        "ED7D658C-D8EB-4941-948B-3973214F2D49",
        "2693754819d3e32d7e8fcb13c729631f316c6de8dc1cf634d6527f1c07276e7e",
    ),
    ("go/webhook_request.json", "testing", "243f3efa57743c24eec7c5e10edc475b547830d256d5b583745afe319dd90936"),
]


@there
@pytest.mark.parametrize(("file", "secret", "signature"), VECTORS)
def test_a_published_signature_verifies(file: str, secret: str, signature: str) -> None:
    whole = (FOLDER / file).read_bytes()
    body = whole.strip() if file.startswith("python") else whole
    credentials = Credentials(keys={"k": secret})
    for sent in (signature, signature.upper()):
        delivery = Delivery("gocardless", body, {"webhook-signature": sent}, NOON)
        assert adapter.verify(delivery, credentials, nobody).key_ids == ("k",)
    with pytest.raises(SignatureInvalid):
        adapter.verify(dataclasses.replace(delivery, body=body + b" "), credentials, nobody)


# Batches


def test_an_item_that_cannot_be_read_does_not_sink_the_others() -> None:
    bad = [
        "no object",
        {},
        an_event("payments", "confirmed", own="../v2/x", number=3),
        an_event("payments", "confirmed", number=4) | {"created_at": "yesterday"},
        an_event("payments", "confirmed", number=5) | {"links": {}},
    ]
    normalized = read(an_event("payments", "confirmed", number=1), *bad, an_event("refunds", "paid", "RF1", number=9))
    assert [event.event_id for event in normalized.events] == ["gocardless:main:EV1", "gocardless:main:EV9"]
    assert len(normalized.unreadable) == len(bad)
    assert "yesterday" not in " ".join(normalized.unreadable)


def test_a_batch_of_what_nothing_follows_is_ignored() -> None:
    normalized = read(an_event("mandates", "created", "MD1"), an_event("payments", "surcharge_fee_debited"))
    assert normalized.ignored == ("mandates.created", "payments.surcharge_fee_debited")
    assert normalized.delivery_id == "gocardless:main:WB1"


@pytest.mark.parametrize(
    ("resource", "action", "told"),
    [
        ("mandates", "cancelled", ()),
        ("billing_requests", "fulfilled", ()),
        ("payments", "surcharge_fee_debited", ()),
        ("payments", "exploded", ("type=payments.exploded",)),
        ("loans", "created", ("type=loans.created",)),
    ],
)
def test_what_is_documented_and_nothing_follows_is_no_news(resource: str, action: str, told: tuple[str, ...]) -> None:
    body = json.dumps({"events": [an_event(resource, action)], "meta": {"webhook_id": "WB1"}}).encode()
    normalized = read(an_event(resource, action))
    assert unmapped(providers.load("gocardless"), Delivery("gocardless", body, {}, NOON), normalized) == told


def test_a_batch_without_an_id_goes_by_its_first_event() -> None:
    assert read(an_event("mandates", "created", "MD1"), meta={"x": 1}).delivery_id == "gocardless:main:EV1"


def test_a_partners_events_are_of_their_organisation() -> None:
    item = an_event("payments", "confirmed")
    item["links"]["organisation"] = "OR123"
    (poke,) = read(item).events
    assert (poke.account, poke.event_id) == ("OR123", "gocardless:OR123:EV1")


def test_a_payout_needs_no_reading_back() -> None:
    (found,) = read(an_event("payouts", "paid", "PO123")).events
    assert isinstance(found, PayoutChanged)
    assert (found.payout_id, found.status, found.amount) == ("PO123", "paid", None)


# Reading back


@pytest.mark.parametrize("livemode", [True, False])
def test_the_object_is_asked_for_where_its_mode_is(livemode: bool) -> None:
    poke = dataclasses.replace(a_poke("payments", "confirmed"), livemode=livemode)
    request = api.resource_request(poke, ApiCredentials(key="token"))
    host = "api.gocardless.com" if livemode else "api-sandbox.gocardless.com"
    assert (request.method, request.url) == ("GET", f"https://{host}/payments/PM123")
    assert request.headers["Authorization"] == "Bearer token"
    assert "token" not in repr(request)


@pytest.mark.parametrize("own", ["", "a/b", "..", "PM1?x=1", "PM1#", "é", "a" * 65, "PM 1"])
def test_an_id_that_would_change_the_address_is_refused(own: str) -> None:
    poke = dataclasses.replace(a_poke("payments", "confirmed"), resource_id=own)
    with pytest.raises(Unreadable):
        api.resource_request(poke, ApiCredentials(key="token"))


@pytest.mark.parametrize(("action", "step"), adapter.PAYMENT_STEPS.items())
def test_payments(action: str, step: PaymentStep) -> None:
    (found,) = told(a_poke("payments", action), PAYMENT | {"status": "failed", "metadata": {"customer_id": "c-1"}})
    assert isinstance(found, PaymentChanged)
    assert (found.step, found.payment_id, found.amount) == (step, "PM123", Money(1999, "EUR"))
    assert (found.event_id, found.customer_id, found.method) == ("gocardless:main:EV1", "c-1", "sepa_core")


@pytest.mark.parametrize(("action", "step"), adapter.REFUND_STEPS.items())
def test_refunds(action: str, step: PaymentStep) -> None:
    (found,) = told(a_poke("refunds", action, "RF123"), REFUND)
    assert (found.step, found.payment_id, found.reference) == (step, "PM123", "RF123")
    assert found.amount == Money(500, "EUR")


def test_a_refund_of_a_mandate_is_of_no_payment() -> None:
    assert told(a_poke("refunds", "paid", "RF123"), REFUND | {"links": {"mandate": "MD1"}}) == ()


@pytest.mark.parametrize(("cause", "hard"), [("bank_account_closed", True), ("insufficient_funds", False)])
def test_a_failed_payment_says_why(cause: str, hard: bool) -> None:
    (found,) = told(a_poke("payments", "failed", cause=cause, reason_code="AM04"), PAYMENT)
    assert (found.decline_code, found.hard_decline) == (cause, hard)


@pytest.mark.parametrize(("actions", "captured"), [(("failed",), 0), (("failed", "confirmed"), 1999)])
def test_a_payment_that_fails_after_it_was_confirmed_is_not_money_until_it_is_confirmed_again(
    actions: tuple[str, ...], captured: int
) -> None:
    payment = Payment(provider="gocardless", payment_id="PM123", account="main")
    for hours, action in enumerate(("confirmed", *actions)):
        poke = a_poke("payments", action)
        (found,) = told(dataclasses.replace(poke, event_id=f"EV{hours}", occurred_at=NOON + hours * HOUR), PAYMENT)
        payment = payments.record(payment, found)
    assert payment.captured == Money(captured, "EUR")


@pytest.mark.parametrize(
    ("status", "captured"), [("failed", 0), ("submitted", 0), ("confirmed", 1999), ("paid_out", 1999)]
)
def test_the_settlement_of_a_late_failure_takes_nothing_of_what_was_collected_again(status: str, captured: int) -> None:
    again = {"failed": (), "submitted": ("submitted",)}.get(status, ("submitted", status))
    payment = Payment(provider="gocardless", payment_id="PM123", account="main")
    for hours, action in enumerate(("confirmed", "paid_out", "failed", *again, "late_failure_settled")):
        poke = dataclasses.replace(a_poke("payments", action), event_id=f"EV{hours}", occurred_at=NOON + hours * HOUR)
        for found in told(poke, PAYMENT | {"status": status}):
            payment = payments.record(payment, found)
    assert payment.captured == Money(captured, "EUR")


@pytest.mark.parametrize(
    ("action", "status", "final", "moved"),
    [
        ("charged_back", DisputeStatus.LOST, False, Money(-1999, "EUR")),
        ("chargeback_cancelled", DisputeStatus.CLOSED, False, Money(1999, "EUR")),
        ("chargeback_settled", DisputeStatus.LOST, True, None),
    ],
)
def test_a_chargeback_takes_the_money_and_cannot_be_answered(
    action: str, status: DisputeStatus, final: bool, moved: Money | None
) -> None:
    poke = a_poke("payments", action, cause="authorisation_disputed", reason_code="MD06")
    (found,) = told(poke, PAYMENT | {"status": "charged_back"})
    assert isinstance(found, DisputeChanged)
    assert (found.status, found.final, found.moved, found.can_respond) == (status, final, moved, False)
    assert (found.dispute_id, found.payment_id, found.respond_by) == ("PM123", "PM123", None)
    assert (found.reason, found.reason_code) == (DisputeReason.FRAUD, "MD06")


def test_another_object_than_was_asked_for_is_refused() -> None:
    with pytest.raises(Unreadable, match="another"):
        told(a_poke("payments", "confirmed"), PAYMENT | {"id": "PM999"})


def test_a_cause_of_several_words_does_not_shift_the_others() -> None:
    (found,) = told(a_poke("payments", "charged_back", cause="two words", reason_code="MD06"), PAYMENT)
    assert (found.reason, found.reason_code) == (None, "MD06")
