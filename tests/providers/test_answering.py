"""What can be answered, by whom and at what price; and that one fate of a dispute is one fate at every provider."""

import base64
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

import msgspec
import pytest

from shared.disputes import lifecycle
from shared.disputes.deadlines import tasks
from shared.domain.delivery import Credentials, Delivery, Verdict
from shared.domain.disputes import AnsweredBy, Dispute, Rung
from shared.domain.events import DisputeChanged, DisputeReason, DisputeStage, DisputeStatus, ResourceChanged
from shared.domain.money import Money
from shared.providers import load, load_api, names
from shared.providers.kit.answering import is_bank_debit
from tests.providers.kits import NOON

CREDENTIALS = Credentials(keys={"k": "whsec_" + "s" * 32})
DUE = int((NOON + timedelta(days=9)).timestamp())
AT = "2026-05-01T12:00:00Z"


def told(provider: str, body: Any) -> DisputeChanged:
    raw = body if isinstance(body, bytes) else msgspec.json.encode(body)
    found = load(provider).normalize(Delivery(provider, raw, {}, NOON), Verdict(("k",)), CREDENTIALS)
    assert all("that we do not know" in line for line in found.unreadable)
    (event,) = found.events
    assert isinstance(event, DisputeChanged)
    return event


def stripe(**changes: Any) -> DisputeChanged:
    dispute = {
        "id": "du_1",
        "charge": "ch_1",
        "amount": 1999,
        "currency": "eur",
        "status": "needs_response",
        "reason": "fraudulent",
        "evidence_details": {"due_by": DUE, "submission_count": 0},
        "payment_method_details": {"type": "card", "card": {"case_type": "chargeback", "network": "visa"}},
        **changes,
    }
    event = {"object": "event", "id": "evt_1", "type": "charge.dispute.created", "created": DUE - 86400 * 9}
    return told("stripe", {**event, "data": {"object": dispute}})


def square(**changes: Any) -> DisputeChanged:
    dispute = {"id": "d1", "state": "EVIDENCE_REQUIRED", "due_at": "2026-05-20T00:00:00Z", **changes}
    event = {"event_id": "e1", "type": "dispute.created", "created_at": AT, "data": {"object": {"dispute": dispute}}}
    return told("square", event)


def adyen(code: str = "CHARGEBACK", **changes: Any) -> DisputeChanged:
    extra = {"defensePeriodEndsAt": "2026-05-20T00:00:00Z", "defendable": "true", "chargebackReasonCode": "10.4"}
    item = {
        "pspReference": "P1",
        "originalReference": "P0",
        "merchantAccountCode": "M",
        "success": "true",
        "eventCode": code,
        "eventDate": AT,
        "amount": {"value": 1999, "currency": "EUR"},
        "paymentMethod": "visa",
        "additionalData": extra,
        **changes,
    }
    return told("adyen", {"live": "false", "notificationItems": [{"NotificationRequestItem": item}]})


def checkout(kind: str = "dispute_evidence_required", **changes: Any) -> DisputeChanged:
    data = {"id": "dsp_1", "payment_id": "pay_1", "amount": 1999, "currency": "EUR", "payment_method": "VISA"}
    data |= {"category": "fraudulent", "evidence_required_by": "2026-05-20T00:00:00Z", **changes}
    return told("checkout", {"id": "evt_1", "type": kind, "timestamp": AT, "data": data})


def worldpay(method: str) -> DisputeChanged:
    details = {"classification": "payment", "type": "chargedBack", "transactionReference": "o-1"}
    details |= {"paymentInstrument": {"method": method}}  # type: ignore[dict-item]
    return told("worldpay", {"eventId": "e1", "eventTimestamp": AT, "eventDetails": details})


def braintree(kind: str, **changes: str) -> DisputeChanged:
    members = {"id": "d1", "amount": "19.99", "currency-iso-code": "EUR", "kind": "chargeback", "reason": "fraud"}
    members |= {"transaction": "<id>t1</id>", **{name.replace("_", "-"): value for name, value in changes.items()}}
    dispute = "".join(f"<{name}>{value}</{name}>" for name, value in members.items())
    xml = f"<notification><timestamp>{AT}</timestamp><kind>{kind}</kind>"
    xml += f"<subject><dispute>{dispute}</dispute></subject></notification>"
    form = {"bt_signature": "k|0", "bt_payload": base64.encodebytes(xml.encode()).decode()}
    return told("braintree", urlencode(form).encode())


def instrument(of: str, word: str) -> str:
    return f"<payment-instrument-{of}>{word}</payment-instrument-{of}>"


def mollie(**changes: Any) -> DisputeChanged:
    chargeback = {"resource": "chargeback", "id": "chb_1", "paymentId": "tr_1", "createdAt": AT}
    return told("mollie", {**chargeback, "amount": {"currency": "EUR", "value": "19.99"}, **changes})


def mollie_payment(method: str) -> DisputeChanged:
    """A chargeback without a reason, of a payment that says how it was paid."""
    chargeback = {"id": "chb_1", "paymentId": "tr_1", "createdAt": AT, "amount": {"currency": "EUR", "value": "19.99"}}
    payment = {"resource": "payment", "id": "tr_1", "status": "paid", "createdAt": AT, "method": method}
    body = msgspec.json.encode({**payment, "_embedded": {"chargebacks": [chargeback]}})
    found = load("mollie").normalize(Delivery("mollie", body, {}, NOON), Verdict(("k",)), CREDENTIALS)
    assert isinstance(found.events[-1], DisputeChanged)
    return found.events[-1]


def klarna(**changes: Any) -> DisputeChanged:
    metadata = {"event_id": "e1", "event_type": "payment.dispute.state-change.closed", "occurred_at": AT}
    return told("klarna", {"metadata": metadata, "payload": {"payment_dispute_id": "d1", **changes}})


def klarna_moved(state: str) -> DisputeChanged:
    metadata = {"event_id": "e1", "event_type": f"payment.dispute.state-change.{state}", "occurred_at": AT}
    return told("klarna", {"metadata": metadata, "payload": {"payment_dispute_id": "d1"}})


def razorpay(**changes: Any) -> DisputeChanged:
    dispute = {"id": "disp_1", "payment_id": "pay_1", "amount": 100, "currency": "INR", "status": "open", **changes}
    dispute |= {"phase": "chargeback", "reason_code": "fraud"}
    event = {"entity": "event", "event": "payment.dispute.created", "created_at": DUE, "contains": ["dispute"]}
    return told("razorpay", {**event, "payload": {"dispute": {"entity": dispute}}})


def dlocal(**changes: Any) -> DisputeChanged:
    chargeback = {"id": "CHAR1", "payment_id": "D-1", "amount": 10, "currency": "BRL", "created_date": AT}
    return told("dlocal", {**chargeback, "status": "PENDING", **changes})


def infraction(**changes: Any) -> DisputeChanged:
    found = {"infraction_id": "INF-1", "amount": "1.00", "reason": "FRAUD", "creation_date": AT, "status": "OPEN"}
    return told("dlocal", {"infraction": {**found, **changes}, "payment_id": "D-1"})


def paypal(**changes: Any) -> DisputeChanged:
    dispute = {"dispute_id": "PP-1", "status": "OPEN", "dispute_state": "REQUIRED_ACTION", **changes}
    poke = ResourceChanged(
        event_id="paypal:main:WH-1.poke",
        provider="paypal",
        account="main",
        occurred_at=NOON,
        resource="webhooks-events",
        resource_id="WH-1",
        hint="CUSTOMER.DISPUTE.UPDATED",
    )
    return read_back(
        poke,
        {"id": "WH-1", "event_type": "CUSTOMER.DISPUTE.UPDATED", "create_time": AT, "resource": dispute},
    )


def mercadopago(resource: str, **changes: Any) -> DisputeChanged:
    poke = ResourceChanged(
        event_id="mercadopago:main:1.poke",
        provider="mercadopago",
        account="main",
        occurred_at=NOON,
        resource=resource,
        resource_id="5",
    )
    thing = {"id": 5, "date_created": AT, "currency": "BRL", "payment_id": 123, "payments": [123], "live_mode": True}
    return read_back(poke, thing | changes)


def read_back(poke: ResourceChanged, body: Any) -> DisputeChanged:
    (event,) = load_api(poke.provider).read_resource(poke, msgspec.json.encode(body))
    assert isinstance(event, DisputeChanged)
    return event


def dispute_of(event: DisputeChanged) -> Dispute:
    blank = Dispute(provider=event.provider, dispute_id=event.dispute_id, account=event.account, linked_to="p1")
    return lifecycle.record(blank, event, NOON)


def rungs(event: DisputeChanged) -> set[Rung]:
    return {task.rung for task in tasks(dispute_of(event))} - {Rung.LINK}


# What can be answered


@pytest.mark.parametrize(
    "event",
    [
        lambda: stripe(),
        lambda: stripe(reason="debit_not_authorized"),
        lambda: stripe(payment_method_details={"type": "klarna", "klarna": {}}),
        lambda: square(reason="NO_KNOWLEDGE"),
        lambda: adyen(),
        lambda: checkout(),
        lambda: worldpay("visa"),
        lambda: braintree("dispute_opened", transaction="<id>t1</id>" + instrument("type", "credit_card")),
        lambda: mollie(),
        lambda: mollie_payment("creditcard"),
    ],
)
def test_what_can_be_answered_is_reminded_of_and_expires(event: Callable[[], DisputeChanged]) -> None:
    assert dispute_of(event()).answered_by is AnsweredBy.US
    assert rungs(event()) & {Rung.EXPIRE, Rung.ESTIMATE_OVER}
    assert Rung.SIX_HOURS in rungs(event())


@pytest.mark.parametrize(
    "event",
    [
        lambda: stripe(evidence_details={"due_by": 0}),
        lambda: stripe(reason="insufficient_funds"),
        lambda: stripe(reason="bank_cannot_process"),
        lambda: stripe(reason="customer_initiated"),
        lambda: stripe(status="warning_needs_response", payment_method_details={"type": "klarna", "klarna": {}}),
        lambda: square(reason="EMV_LIABILITY_SHIFT"),
        lambda: adyen(paymentMethod="sepadirectdebit"),
        lambda: adyen(paymentMethod="ach"),
        lambda: checkout(payment_method="SEPA"),
        lambda: worldpay("sepa_direct_debit"),
        lambda: braintree("dispute_opened", transaction="<id>t1</id>" + instrument("type", "us_bank_account")),
        lambda: braintree("dispute_opened", transaction="<id>t1</id>" + instrument("subtype", "SEPA Debit Account")),
        lambda: mollie(reason={"code": "AC04", "description": "x"}),
        lambda: mollie_payment("bacs"),
        lambda: braintree("dispute_opened", pre_dispute_program="visa_rdr", reply_by_date="2026-05-20"),
    ],
)
def test_what_nobody_can_answer_is_neither_reminded_of_nor_missed(event: Callable[[], DisputeChanged]) -> None:
    assert event().can_respond is False
    assert dispute_of(event()).answered_by is None
    assert rungs(event()) == set()


DEBITS = {
    "adyen": "sepadirectdebit directdebit_GB ach ach_directdebit ach_plaid eftdirectdebit_CA",
    "braintree": "sepa_debit_account us_bank_account europe_bank_account",
    "checkout": "SEPA bacs ACH",
    "gocardless": "ach autogiro bacs becs becs_nz nz_becs betalingsservice pad sepa_core",
    "mollie": "directdebit bacs",
    "stripe": "acss_debit ach_debit au_becs_debit bacs_debit nz_bank_account sepa_debit us_bank_account",
    "worldpay": "sepa_direct_debit SEPA+Direct+Debit",
}


@pytest.mark.parametrize("method", [method for words in DEBITS.values() for method in words.split()])
def test_a_debit_is_known_in_every_providers_word(method: str) -> None:
    assert is_bank_debit(method)
    assert is_bank_debit(method.upper())


@pytest.mark.parametrize(
    "method", [None, "", "visa", "achat", "padel", "debit", "credit_card", "klarna", "paypal", "ideal"]
)
def test_what_is_no_debit_is_none(method: str | None) -> None:
    assert not is_bank_debit(method)


def test_papers_against_a_cards_chargeback_must_reach_mollie_within_two_days() -> None:
    found = mollie()
    assert (found.status, found.respond_by) == (DisputeStatus.NEEDS_RESPONSE, NOON + timedelta(days=2))
    assert found.respond_by_text == f"within 2 days of {NOON.isoformat()}"
    assert mollie(reversedAt="2026-05-03T12:00:00Z").status is DisputeStatus.WON


# A word that nobody knows

STRANGE: dict[str, Callable[[], DisputeChanged]] = {
    "adyen": lambda: adyen(additionalData={"disputeStatus": "Moonlit"}),
    "braintree": lambda: braintree("dispute_opened", status="moonlit"),
    "dlocal": lambda: dlocal(status="MOONLIT"),
    "dlocal, an infraction": lambda: infraction(status="MOONLIT"),
    "dlocal, our verdict": lambda: infraction(analysis_status="MOONLIT"),
    "klarna": lambda: klarna(dispute_outcome="MOONLIT"),
    "klarna, a state": lambda: klarna_moved("moonlit"),
    "mercadopago": lambda: mercadopago("chargebacks", status="moonlit"),
    "mercadopago, the papers": lambda: mercadopago("chargebacks", documentation_status="moonlit"),
    "mercadopago, a claim": lambda: mercadopago("claims", status="moonlit"),
    "paypal": lambda: paypal(status="MOONLIT"),
    "paypal, a state": lambda: paypal(dispute_state="MOONLIT"),
    "paypal, an outcome": lambda: paypal(status="RESOLVED", dispute_outcome={"outcome_code": "MOONLIT"}),
    "razorpay": lambda: razorpay(status="moonlit"),
    "square": lambda: square(state="MOONLIT"),
    "stripe": lambda: stripe(status="moonlit"),
}
KNOWN: dict[str, Callable[[], DisputeChanged]] = {
    "adyen": lambda: adyen(additionalData={"disputeStatus": "Undefended"}),
    "braintree": lambda: braintree("dispute_opened", status="Open"),
    "dlocal": dlocal,
    "dlocal, an infraction": lambda: infraction(analysis_status="AGREED"),
    "klarna": lambda: klarna(dispute_outcome="WON"),
    "klarna, a state": lambda: klarna_moved("initiated"),
    "mercadopago": lambda: mercadopago("chargebacks", status="in_process", documentation_status="pending"),
    "mercadopago, a claim": lambda: mercadopago("claims", status="closed"),
    "paypal": paypal,
    "paypal, resolved": lambda: paypal(status="RESOLVED", dispute_outcome={"outcome_code": "ACCEPTED"}),
    "razorpay": razorpay,
    "square": square,
    "stripe": stripe,
}
# Their messages have no word for it beside their own type, or the object that is read back none that we would follow.
BY_TYPE_ALONE = {"apple", "checkout", "gocardless", "google", "mollie", "worldpay"}


@pytest.mark.parametrize("name", STRANGE)
def test_a_word_for_where_a_dispute_stands_that_nobody_knows_is_told_and_sinks_nothing(name: str) -> None:
    event = STRANGE[name]()
    assert event.status_unknown
    assert dispute_of(event).status_unknown


@pytest.mark.parametrize("name", KNOWN)
def test_a_word_that_we_know_raises_no_such_flag(name: str) -> None:
    assert not KNOWN[name]().status_unknown


def test_every_provider_has_a_word_that_nobody_knows_or_none_at_all() -> None:
    assert {name.partition(",")[0] for name in STRANGE} | BY_TYPE_ALONE == set(names())


def test_a_claim_of_which_it_is_not_known_whether_it_ended_has_not_ended() -> None:
    strange = mercadopago("claims", status="moonlit", resolution={"benefited": ["complainant"]})
    assert (strange.status, strange.provider_status) == (None, "moonlit")
    assert strange.event_id != mercadopago("claims", status="closed").event_id


# Prevented


def test_a_prevented_dispute_is_one_thing_at_every_provider() -> None:
    prevented = [
        stripe(status="prevented"),
        stripe(status="charge_refunded"),
        checkout("dispute_resolved", resolved_reason="already_refunded", evidence_required_by=None),
        stripe(status="prevented", payment_method_details={"type": "card", "card": {"case_type": "resolution"}}),
        braintree("dispute_auto_accepted", pre_dispute_program="visa_rdr"),
        braintree("dispute_accepted", pre_dispute_program="visa_rdr"),
        checkout("dispute_resolved", resolved_reason="rapid_dispute_resolution", evidence_required_by=None),
    ]
    assert {(one.stage, one.status, one.reason, one.final, one.moved) for one in prevented} == {
        (DisputeStage.INQUIRY, DisputeStatus.PREVENTED, DisputeReason.FRAUD, True, None)
    }
    assert all(rungs(one) == set() for one in prevented)


# Who answers, and at what price


@pytest.mark.parametrize(
    ("intended", "changes", "by"),
    [
        (None, {}, AnsweredBy.US),
        ("manual", {}, AnsweredBy.US),
        ("prefer_manual", {}, AnsweredBy.US),
        ("prefer_smart_disputes", {}, AnsweredBy.US),
        ("prefer_smart_disputes", {"smart_disputes": {"status": "available"}}, AnsweredBy.PROVIDER),
        ("prefer_smart_disputes", {"smart_disputes": {"status": "processing"}}, AnsweredBy.US),
        ("prefer_smart_disputes", {"smart_disputes": {"status": "requires_evidence"}}, AnsweredBy.US),
        ("prefer_manual", {"smart_disputes": {"status": "available"}}, AnsweredBy.US),
        ("smart_disputes", {}, AnsweredBy.PROVIDER),
        ("smart_disputes", {"smart_disputes": {"status": "available"}}, AnsweredBy.PROVIDER),
        ("smart_disputes", {"smart_disputes": {"status": "processing"}}, AnsweredBy.PROVIDER),
        ("smart_disputes", {"smart_disputes": {"status": "requires_evidence"}}, AnsweredBy.US),
        ("smart_disputes", {"smart_disputes": {"status": "unavailable"}}, AnsweredBy.US),
        ("smart_disputes", {"smart_disputes": {"status": "a_word_of_tomorrow"}}, AnsweredBy.US),
        ("smart_disputes", {"status": "appeal_needs_response"}, AnsweredBy.US),
        ("smart_disputes", {"evidence_details": {"due_by": DUE, "submission_method": "manual"}}, AnsweredBy.US),
        ("prefer_smart_disputes", {"status": "under_review",
         "evidence_details": {"due_by": DUE, "submission_method": "smart_disputes"}}, AnsweredBy.PROVIDER),
    ],
)  # fmt: skip
def test_stripe_says_from_the_start_who_answers_and_only_we_are_reminded(
    intended: str | None, changes: dict[str, Any], by: AnsweredBy
) -> None:
    event = stripe(intended_submission_method=intended, **changes)
    assert dispute_of(event).answered_by is by
    assert bool(rungs(event)) is (by is AnsweredBy.US)


@pytest.mark.parametrize(
    "changes",
    [
        {"payment_method_details": {"type": "card", "card": {"case_type": "compliance", "network": "visa"}}},
        {"payment_method_details": {"type": "card", "case_type": "compliance"}},
        {"reason": "noncompliant"},
        {"enhanced_eligibility_types": ["visa_compliance"]},
        {"enhanced_eligibility_types": ["mastercard_compliance"]},
        {"evidence_details": {"due_by": DUE, "enhanced_eligibility": {"visa_compliance": {"status": "x"}}}},
    ],
)
def test_a_compliance_dispute_says_what_contesting_it_costs(changes: dict[str, Any]) -> None:
    assert stripe(**changes).contest_fee == Money(50_000, "USD")


def test_another_dispute_costs_nothing_but_the_ordinary_fees() -> None:
    assert stripe(enhanced_eligibility_types=["visa_compelling_evidence_3"]).contest_fee is None


# Withdrawn


@pytest.mark.parametrize(
    "event",
    [
        lambda: adyen("PREARBITRATION_ISSUER_WITHDRAWN"),
        lambda: checkout("dispute_canceled", evidence_required_by=None),
        lambda: klarna(dispute_outcome="WON", dispute_outcome_detailed="WITHDRAWN_BY_CUSTOMER"),
    ],
)
def test_what_was_withdrawn_is_closed_and_not_won(event: Callable[[], DisputeChanged]) -> None:
    assert event().status is DisputeStatus.CLOSED
    assert klarna(dispute_outcome="WON", dispute_outcome_detailed="EVIDENCE_SUFFICIENT").status is DisputeStatus.WON
