"""Square: the URL that is signed too, statuses, states and its own published examples."""

import dataclasses
import importlib
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from shared.domain.api import ApiCredentials
from shared.domain.delivery import Credentials, Delivery, Verdict
from shared.domain.errors import Misconfigured, SignatureInvalid, Unreadable
from shared.domain.events import (
    DisputeChanged,
    DisputeReason,
    DisputeStage,
    DisputeStatus,
    PaymentChanged,
    PaymentStep,
    PayoutChanged,
    ResourceChanged,
)
from shared.domain.money import Money
from shared.providers.kit.protocol import Normalized
from shared.providers.square import api
from shared.providers.square import webhook as adapter
from tests.providers.kits import NOON, SAMPLES, a_fact, a_kit, an_attempt
from tests.simulator.facts import FactKind

SIGNED = SAMPLES / "square" / "signed" / "webhooks.test_notification.json"


def nobody(url: str) -> bytes:
    raise AssertionError(f"nothing is fetched for Square: {url}")


def read(kind: str, member: str, thing: dict[str, Any], **event: Any) -> Normalized:
    body = {
        "merchant_id": "M1",
        "type": kind,
        "event_id": "e1",
        "created_at": "2026-05-01T12:00:00.123456789Z",
        "data": {"type": member, "object": {member: thing}},
    } | event
    return adapter.normalize(
        Delivery("square", json.dumps(body).encode(), {}, NOON), Verdict(("k",)), Credentials(keys={"k": "s"})
    )


def event(kind: str, member: str, thing: dict[str, Any], **changes: Any) -> Any:
    normalized = read(kind, member, thing, **changes)
    assert normalized.unreadable == ()
    (found,) = normalized.events
    return found


def money(amount: int = 1250, currency: str = "USD") -> dict[str, Any]:
    return {"amount": amount, "currency": currency}


@pytest.mark.skipif(not SIGNED.exists(), reason="the folder of real payloads is absent")
def test_the_published_vector_verifies_and_a_slash_at_the_end_of_the_url_breaks_it() -> None:
    vector = json.loads(SIGNED.read_bytes())
    header = {"x-square-hmacsha256-signature": vector["x-square-hmacsha256-signature"]}
    delivery = Delivery("square", vector["body"].encode(), header, NOON)
    credentials = Credentials(keys={"other": "o" * 22, "k": vector["signature_key"]}, url=vector["notification_url"])
    assert adapter.verify(delivery, credentials, nobody).key_ids == ("k",)
    for url in (f"{credentials.url}/", credentials.url.replace("https", "http"), ""):
        with pytest.raises(SignatureInvalid):
            adapter.verify(delivery, dataclasses.replace(credentials, url=url), nobody)


def test_the_official_library_agrees(tmp_path: Path) -> None:
    helper = importlib.import_module("square.utils.webhooks_helper")
    kit = a_kit("square", tmp_path)
    for body in kit.bodies():
        for request, genuine in ((kit.simulator.sign(body, NOON), True), (kit.simulator.forge(body, NOON), False)):
            verdict = helper.verify_signature(
                request_body=request.body.decode(),
                signature_header=request.headers["X-Square-Hmacsha256-Signature"],
                signature_key=kit.credentials.keys["current"],
                notification_url=kit.credentials.url,
            )
            assert verdict is genuine


def test_two_subscriptions_may_send_here_under_two_urls(tmp_path: Path) -> None:
    kit = a_kit("square", tmp_path)
    delivery = kit.signed(kit.bodies()[0])
    for urls in (f"https://old.example/square {kit.credentials.url}", f"{kit.credentials.url} https://old.example"):
        both = dataclasses.replace(kit.credentials, url=urls)
        adapter.check_credentials(both)
        assert kit.verify(delivery, both).key_ids == ("current",)
    with pytest.raises(SignatureInvalid):
        kit.verify(delivery, dataclasses.replace(both, url="https://old.example/square https://old.example"))


@pytest.mark.parametrize(
    "url",
    [
        *("", "payin.example/square", "https://payin.example/square ", "ftp://payin.example"),
        *("https://payin.example  https://old.example", "https://payin.example old.example"),
    ],
)
def test_an_endpoint_that_does_not_know_its_url_does_not_start(url: str) -> None:
    with pytest.raises(Misconfigured, match="url"):
        adapter.check_credentials(Credentials(keys={"k": "k" * 22}, url=url))


@pytest.mark.parametrize(
    ("status", "step"),
    [
        ("PENDING", PaymentStep.PENDING),
        ("APPROVED", PaymentStep.AUTHORIZED),
        ("COMPLETED", PaymentStep.CAPTURED),
        ("CANCELED", PaymentStep.CANCELED),
        ("FAILED", PaymentStep.DECLINED),
    ],
)
@pytest.mark.parametrize("kind", ["payment.created", "payment.updated"])
def test_a_payments_status_says_what_happened(kind: str, status: str, step: PaymentStep) -> None:
    thing = {"id": "p1", "status": status, "amount_money": money(1000), "total_money": money(1250)}
    found = event(kind, "payment", thing)
    assert isinstance(found, PaymentChanged)
    assert (found.step, found.payment_id, found.amount) == (step, "p1", Money(1250, "USD"))
    assert (found.reference, found.account, found.event_id) == ("p1", "M1", "square:M1:e1")


@pytest.mark.parametrize(
    ("status", "step"),
    [
        ("PENDING", PaymentStep.REFUND_PENDING),
        ("APPROVED", PaymentStep.REFUND_PENDING),
        ("COMPLETED", PaymentStep.REFUNDED),
        ("REJECTED", PaymentStep.REFUND_FAILED),
        ("FAILED", PaymentStep.REFUND_FAILED),
    ],
)
@pytest.mark.parametrize("kind", ["refund.created", "refund.updated"])
def test_refunds(kind: str, status: str, step: PaymentStep) -> None:
    thing = {"id": "r1", "payment_id": "p1", "status": status, "amount_money": money(500)}
    found = event(kind, "refund", thing)
    assert (found.step, found.payment_id, found.reference) == (step, "p1", "r1")
    assert found.amount == Money(500, "USD")


def test_a_refund_that_is_linked_to_no_payment_is_ignored() -> None:
    assert read("refund.created", "refund", {"id": "r1", "status": "COMPLETED"}).ignored == ("refund.created",)


@pytest.mark.parametrize(("kind", "member"), [("payment.updated", "payment"), ("refund.updated", "refund")])
def test_a_status_that_we_do_not_know_is_for_a_person(kind: str, member: str) -> None:
    with pytest.raises(Unreadable, match="status"):
        read(kind, member, {"id": "x", "payment_id": "p", "status": "NEWFANGLED"})


@pytest.mark.parametrize(
    ("state", "stage", "status"),
    [
        ("INQUIRY_EVIDENCE_REQUIRED", DisputeStage.INQUIRY, DisputeStatus.NEEDS_RESPONSE),
        ("INQUIRY_PROCESSING", DisputeStage.INQUIRY, DisputeStatus.UNDER_REVIEW),
        ("INQUIRY_CLOSED", DisputeStage.INQUIRY, DisputeStatus.CLOSED),
        ("EVIDENCE_REQUIRED", DisputeStage.CHARGEBACK, DisputeStatus.NEEDS_RESPONSE),
        ("PROCESSING", DisputeStage.CHARGEBACK, DisputeStatus.UNDER_REVIEW),
        ("WON", DisputeStage.CHARGEBACK, DisputeStatus.WON),
        ("LOST", DisputeStage.CHARGEBACK, DisputeStatus.LOST),
        ("ACCEPTED", DisputeStage.CHARGEBACK, DisputeStatus.ACCEPTED),
    ],
)
@pytest.mark.parametrize("kind", [kind for kind in adapter.TYPES if kind.startswith("dispute.")])
@pytest.mark.parametrize("id_", ["id", "dispute_id"])
def test_disputes_by_every_name_of_their_events_and_ids(
    kind: str, id_: str, state: str, stage: DisputeStage, status: DisputeStatus
) -> None:
    thing = {
        id_: "d1",
        "state": state,
        "amount_money": money(),
        "disputed_payment": {"payment_id": "p1"},
        "due_at": "2026-05-20T00:00:00.000Z",
        "reason": "NOT_RECEIVED",
        "card_brand": "AMERICAN_EXPRESS",
    }
    found = event(kind, "dispute", thing)
    assert isinstance(found, DisputeChanged)
    assert (found.dispute_id, found.payment_id, found.stage, found.status) == ("d1", "p1", stage, status)
    assert (found.respond_by, found.respond_by_text) == (datetime(2026, 5, 20, tzinfo=UTC), thing["due_at"])
    assert (found.reason, found.reason_code, found.network) == (DisputeReason.NOT_RECEIVED, thing["reason"], "amex")


def test_a_state_that_we_do_not_know_is_said_and_the_rest_stands() -> None:
    normalized = read("dispute.state.updated", "dispute", {"id": "d1", "state": "NEWFANGLED"})
    assert len(normalized.unreadable) == len(normalized.events) == 1
    assert normalized.events[0].provider == "square"


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2026-05-20T00:00:00", datetime(2026, 5, 19, 10, tzinfo=UTC)),
        ("2026-05-20", datetime(2026, 5, 19, 10, tzinfo=UTC)),
    ],
)
def test_a_deadline_without_a_zone_is_over_where_it_comes_first(text: str, instant: datetime) -> None:
    found = event("dispute.created", "dispute", {"id": "d1", "state": "EVIDENCE_REQUIRED", "due_at": text})
    assert (found.respond_by, found.respond_by_text) == (instant, text)


@pytest.mark.parametrize("kind", ["payout.sent", "payout.paid", "payout.failed"])
def test_payouts_whose_event_is_dated_1970_go_by_their_own_time(kind: str) -> None:
    thing = {"id": "po_1", "status": "PAID", "amount_money": {"amount": 457, "currency_code": "EUR"}}
    thing |= {"created_at": "2026-04-30T12:00:00Z", "updated_at": "1970-01-01T00:20:28Z"}
    found = event(kind, "payout", thing, created_at="1970-01-01T00:20:28Z")
    assert isinstance(found, PayoutChanged)
    assert (found.payout_id, found.status, found.amount) == ("po_1", "paid", Money(457, "EUR"))
    assert found.occurred_at == datetime(2026, 4, 30, 12, tzinfo=UTC)


# What leads to payments


def pokes(kind: str, member: str, thing: dict[str, Any]) -> list[tuple[str, str]]:
    normalized = read(kind, member, thing)
    assert normalized.unreadable == ()
    found = [one for one in normalized.events if isinstance(one, ResourceChanged)]
    assert len(found) == len(normalized.events)
    assert bool(found) != bool(normalized.ignored)
    assert len({one.event_id for one in found}) == len(found)
    assert all(one.hint == kind for one in found)
    return [(one.resource, one.resource_id) for one in found]


def test_an_order_an_invoice_and_a_terminal_are_followed_to_what_was_paid() -> None:
    for kind, member in (("order.created", "order_created"), ("order.updated", "order_updated")):
        assert pokes(kind, member, {"order_id": "O1", "state": "OPEN", "version": 3}) == [("orders", "O1")]
    for kind in ("invoice.payment_made", "invoice.refunded"):
        assert pokes(kind, "invoice", {"id": "inv:0-ChA", "order_id": "O1"}) == [("orders", "O1")]
    checkout = {"id": "c1", "status": "COMPLETED", "payment_ids": ["P1", "P2", "P1"]}
    assert pokes("terminal.checkout.updated", "checkout", checkout) == [("payments", "P1"), ("payments", "P2")]
    assert pokes("terminal.checkout.updated", "checkout", {"id": "c1", "status": "PENDING"}) == []
    assert pokes("terminal.refund.updated", "refund", {"id": "r1", "payment_id": "P1"}) == [("payments", "P1")]


@pytest.mark.parametrize("own", [None, "", 7, "a/b", "4242424242424242", {"id": "O1"}])
def test_what_leads_to_nothing_that_can_be_asked_for_is_unreadable(own: Any) -> None:
    with pytest.raises(Unreadable):
        read("order.updated", "order_updated", {"order_id": own, "state": "COMPLETED"})
    with pytest.raises(Unreadable):
        read("terminal.checkout.updated", "checkout", {"payment_ids": [own]})


@pytest.mark.parametrize("kind", [FactKind.AUTHORIZED, FactKind.CAPTURED, FactKind.DECLINED, FactKind.REFUNDED])
def test_an_order_comes_to_what_its_payment_and_refund_say_themselves(kind: FactKind, tmp_path: Path) -> None:
    kit = a_kit("square", tmp_path)
    told = [one for poke in kit.pokes(kind) for one in kit.told(poke)]
    said = [dataclasses.replace(one, event_id="", delivery_id="") for one in told]
    for one in kit.events(a_fact(kind)):
        assert dataclasses.replace(one, event_id="", delivery_id="") in said
    (own, *refunds) = told
    assert isinstance(own, PaymentChanged)
    assert own.payment_id == kit.simulator.payment_id(an_attempt())
    assert len(refunds) == (kind is FactKind.REFUNDED)


def test_a_poke_asks_the_environment_that_it_came_from() -> None:
    (poke,) = read("order.updated", "order_updated", {"order_id": "O1"}).events
    assert isinstance(poke, ResourceChanged)
    for live, host in ((True, "connect.squareup.com"), (False, "connect.squareupsandbox.com")):
        request = api.resource_request(dataclasses.replace(poke, livemode=live), ApiCredentials(key="k"))
        assert request.url == f"https://{host}/v2/orders/O1"


def test_another_object_than_was_asked_for_is_refused() -> None:
    (poke,) = read("order.updated", "order_updated", {"order_id": "O1"}).events
    assert isinstance(poke, ResourceChanged)
    with pytest.raises(Unreadable, match="another object"):
        api.read_resource(poke, b'{"order": {"id": "O2", "tenders": [{"id": "P1"}]}}')
    assert api.read_resource(poke, b'{"order": {"id": "O1"}}') == ()
