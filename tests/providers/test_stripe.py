import dataclasses
import hashlib
import hmac
import inspect
import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import stripe as sdk
import stripe._event as sdk_events
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.domain.api import ApiCredentials
from shared.domain.delivery import Credentials, Delivery, Verdict
from shared.domain.errors import SignatureInvalid, Unreadable
from shared.domain.events import (
    AnyEvent,
    DisputeChanged,
    DisputeReason,
    DisputeStage,
    DisputeStatus,
    FraudFound,
    FraudWarned,
    Initiator,
    PaymentChanged,
    PaymentStep,
    PayoutChanged,
    ResourceChanged,
    ReviewChanged,
)
from shared.domain.money import Money
from shared.domain.payments import Payment, record
from shared.providers.kit.protocol import Normalized
from shared.providers.stripe import api
from shared.providers.stripe import webhook as stripe
from tests.providers.kits import Kit, a_fact, a_kit
from tests.simulator.facts import FactKind

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
AT = int(NOON.timestamp())
SECRET = "whsec_of_the_test_endpoint_1"
CREDENTIALS = Credentials(keys={"main": SECRET}, account="acct_ours")
DUE = AT + 9 * 86_400


def refuse_to_fetch(url: str) -> bytes:
    raise AssertionError("Stripe has no certificates to fetch")


def verify(header: str, body: bytes = b"{}", received_at: datetime = NOON, **keys: str) -> Verdict:
    credentials = Credentials(keys=keys) if keys else CREDENTIALS
    delivery = Delivery("stripe", body, {"stripe-signature": header}, received_at)
    return stripe.verify(delivery, credentials, refuse_to_fetch)


def v1(body: bytes = b"{}", secret: str = SECRET, t: int | str = AT) -> str:
    return hmac.new(secret.encode(), f"{t}.".encode() + body, hashlib.sha256).hexdigest()


def translated(kind: str, subject: dict[str, Any], **event: Any) -> Normalized:
    whole = {
        "id": "evt_1",
        "object": "event",
        "type": kind,
        "created": AT,
        "livemode": False,
        "data": {"object": subject},
        **event,
    }
    delivery = Delivery("stripe", json.dumps(whole).encode(), {}, NOON)
    return stripe.normalize(delivery, Verdict(("main",)), CREDENTIALS)


def payment(kind: str, subject: dict[str, Any]) -> PaymentChanged:
    (event,) = translated(kind, subject).events
    assert isinstance(event, PaymentChanged)
    return event


def dispute(kind: str = "charge.dispute.updated", **changes: Any) -> DisputeChanged:
    subject = {
        "id": "du_1",
        "charge": "ch_1",
        "payment_intent": "pi_1",
        "amount": 1999,
        "currency": "eur",
        "status": "needs_response",
        "reason": "fraudulent",
        "evidence_details": {"due_by": DUE, "past_due": False, "submission_count": 0},
        "payment_method_details": {
            "card": {"case_type": "chargeback", "network": "visa", "network_reason_code": "10.4"}
        },
        **changes,
    }
    (event,) = translated(kind, subject).events
    assert isinstance(event, DisputeChanged)
    return event


CHARGE = {"id": "ch_1", "payment_intent": "pi_1", "amount": 1999, "currency": "eur"}
INTENT = {"id": "pi_1", "latest_charge": "ch_1", "amount": 1999, "currency": "eur"}
SESSION = {"id": "cs_1", "payment_intent": "pi_1", "amount_total": 1999, "currency": "eur", "payment_status": "paid"}
REFUND = {"id": "re_1", "charge": "ch_1", "payment_intent": "pi_1", "amount": 500, "currency": "eur"}


# Signatures


def test_what_the_sdk_signs_we_verify_and_what_we_verify_the_sdk_does() -> None:
    body = '{"id": "evt_1", "name": "Zoë"}'
    header = sdk.WebhookSignature.generate_signature_header(body, SECRET, AT)
    assert verify(header, body.encode()).signed_at == NOON
    ours = f"t={AT},v1={v1(body.encode())}"
    assert sdk.WebhookSignature.verify_header(body, ours, SECRET, tolerance=None)


@pytest.mark.parametrize(
    "header",
    [
        "t={t},v1={mac},v0=00",
        "v1={mac},t={t}",
        "t={t},v1={wrong},v1={mac}",
        " t={t} , v1={mac} ",
        "t={t},v1={upper}",
        "t={t},v1={mac}, t={t},v1={mac}",
        "t={t},v1={mac},v9=new,odd",
    ],
)
def test_a_header_with_one_true_v1_is_enough_however_it_is_written(header: str) -> None:
    mac = v1()
    assert verify(header.format(t=AT, mac=mac, wrong="0" * 64, upper=mac.upper())).key_ids == ("main",)


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        ("t={t},v0={mac}", "malformed_signature"),
        ("v1={mac}", "malformed_signature"),
        ("t={t},t={later},v1={mac}", "malformed_signature"),
        ("t=+{t},v1={mac}", "malformed_signature"),
        ("t=١,v1={mac}", "malformed_signature"),
        ("t=9{t}9,v1={mac}", "signature_mismatch"),
        ("t=99999{t}99999,v1={mac}", "malformed_signature"),
        ("t={t},v1=", "signature_mismatch"),
        ("t={t},v1={short}", "signature_mismatch"),
        ("t={later},v1={mac}", "signature_mismatch"),
    ],
)
def test_any_other_header_is_refused_with_its_reason(header: str, reason: str) -> None:
    with pytest.raises(SignatureInvalid) as refusal:
        verify(header.format(t=AT, later=AT + 1, mac=v1(), short=v1()[:-1]))
    assert refusal.value.reason == reason


def test_while_a_secret_is_rolled_either_of_two_signatures_verifies_and_is_named() -> None:
    header = f"t={AT},v1={v1(secret='whsec_old_secret_0000')},v1={v1(secret='whsec_new_secret_0000')}"
    assert verify(header, new="whsec_new_secret_0000").key_ids == ("new",)
    assert verify(header, old="whsec_old_secret_0000").key_ids == ("old",)


def test_the_key_is_the_whole_secret_with_its_prefix() -> None:
    with pytest.raises(SignatureInvalid):
        verify(f"t={AT},v1={v1(secret=SECRET.removeprefix('whsec_'))}")


def test_a_signature_made_with_an_empty_key_is_refused_even_if_that_key_is_configured() -> None:
    with pytest.raises(SignatureInvalid):
        verify(f"t={AT},v1={v1(secret='')}", empty="")


def test_a_signature_from_the_future_is_refused_which_the_sdk_accepts() -> None:
    later = 4_000_000_000  # in 2096: the SDK has its own clock
    header = f"t={later},v1={v1(t=later)}"
    assert sdk.WebhookSignature.verify_header("{}", header, SECRET, tolerance=300)
    with pytest.raises(SignatureInvalid) as refusal:
        verify(header)
    assert refusal.value.reason == "outside_tolerance"


def test_the_age_is_judged_to_the_fraction_of_a_second() -> None:
    header = f"t={AT},v1={v1()}"
    assert verify(header, received_at=NOON + timedelta(seconds=300))
    with pytest.raises(SignatureInvalid):
        verify(header, received_at=NOON + timedelta(seconds=300, milliseconds=1))


# Envelope


def test_a_thin_event_of_what_nothing_follows_is_recognised_and_ignored() -> None:
    thin = {
        "id": "evt_v2",
        "object": "v2.core.event",
        "type": "v1.billing.meter.error_report_triggered",
        "livemode": True,
    }
    found = stripe.normalize(Delivery("stripe", json.dumps(thin).encode(), {}, NOON), Verdict(("main",)), CREDENTIALS)
    assert (found.events, found.ignored) == ((), ("v1.billing.meter.error_report_triggered",))
    assert found.livemode is True


def test_an_event_of_a_connected_account_carries_that_account() -> None:
    (event,) = translated("charge.failed", CHARGE, account="acct_theirs").events
    assert (event.account, event.event_id) == ("acct_theirs", "stripe:acct_ours:evt_1")


def test_an_event_of_our_own_goes_by_the_endpoints_account() -> None:
    assert translated("charge.failed", CHARGE).delivery_id == "stripe:acct_ours:evt_1"


def test_an_event_bridge_envelope_is_not_mistaken_for_an_event() -> None:
    with pytest.raises(Unreadable):
        stripe.normalize(Delivery("stripe", b'{"detail": {"object": "event"}}', {}, NOON), Verdict(()), CREDENTIALS)


# The table of types


@pytest.mark.parametrize(
    ("kind", "subject", "step", "minor", "cumulative"),
    [
        ("charge.succeeded", {**CHARGE, "captured": False}, PaymentStep.AUTHORIZED, 1999, True),
        ("charge.succeeded", {**CHARGE, "captured": True, "amount_captured": 1500}, PaymentStep.CAPTURED, 1500, True),
        ("charge.captured", {**CHARGE, "amount_captured": 1500}, PaymentStep.CAPTURED, 1500, True),
        ("charge.pending", CHARGE, PaymentStep.PENDING, 1999, True),
        ("charge.failed", CHARGE, PaymentStep.DECLINED, 1999, False),
        ("charge.expired", CHARGE, PaymentStep.CANCELED, 1999, True),
        ("charge.refunded", {**CHARGE, "amount_refunded": 700}, PaymentStep.REFUNDED, 700, True),
        ("payment_intent.created", INTENT, PaymentStep.PENDING, 1999, False),
        ("payment_intent.processing", INTENT, PaymentStep.PENDING, 1999, False),
        ("payment_intent.requires_action", INTENT, PaymentStep.PENDING, 1999, False),
        (
            "payment_intent.amount_capturable_updated",
            {**INTENT, "amount_capturable": 1800},
            PaymentStep.AUTHORIZED,
            1800,
            True,
        ),
        (
            "payment_intent.amount_capturable_updated",
            {**INTENT, "amount_capturable": 700, "amount_received": 300},
            PaymentStep.AUTHORIZED,
            1000,
            True,
        ),
        ("payment_intent.succeeded", {**INTENT, "amount_received": 1800}, PaymentStep.CAPTURED, 1800, True),
        ("payment_intent.payment_failed", INTENT, PaymentStep.DECLINED, 1999, False),
        ("payment_intent.canceled", INTENT, PaymentStep.CANCELED, 1999, False),
        ("checkout.session.completed", SESSION, PaymentStep.CAPTURED, 1999, True),
        ("checkout.session.completed", {**SESSION, "payment_status": "unpaid"}, PaymentStep.PENDING, 1999, False),
        ("checkout.session.async_payment_succeeded", SESSION, PaymentStep.CAPTURED, 1999, True),
        ("checkout.session.async_payment_failed", SESSION, PaymentStep.DECLINED, 1999, False),
        ("checkout.session.expired", SESSION, PaymentStep.CANCELED, 1999, False),
        ("refund.created", {**REFUND, "status": "succeeded"}, PaymentStep.REFUNDED, 500, False),
        ("refund.created", {**REFUND, "status": "pending"}, PaymentStep.REFUND_PENDING, 500, False),
        ("refund.updated", {**REFUND, "status": "requires_action"}, PaymentStep.REFUND_PENDING, 500, False),
        ("refund.updated", {**REFUND, "status": "canceled"}, PaymentStep.REFUND_FAILED, 500, False),
        ("refund.failed", {**REFUND, "status": "failed"}, PaymentStep.REFUND_FAILED, 500, False),
        ("charge.refund.updated", REFUND, PaymentStep.REFUNDED, 500, False),
    ],
)
def test_each_type_tells_its_step_of_the_payment(
    kind: str, subject: dict[str, Any], step: PaymentStep, minor: int, cumulative: bool
) -> None:
    event = payment(kind, subject)
    assert (event.payment_id, event.step) == ("pi_1", step)
    assert (event.amount, event.cumulative) == (Money(minor, "EUR"), cumulative)
    assert event.occurred_at == NOON


def test_a_hold_that_was_released_is_no_refund_though_stripe_calls_it_one() -> None:
    event = payment("charge.refunded", {**CHARGE, "captured": False, "amount_captured": 0, "amount_refunded": 1999})
    assert (event.step, event.amount) == (PaymentStep.CANCELED, Money(1999, "EUR"))


@pytest.mark.parametrize(
    ("captured", "sent", "refunded"), [(1999, 700, 700), (1500, 1199, 700), (1500, 1999, 1500), (2500, 700, 700)]
)
def test_a_refund_does_not_count_what_was_never_captured(captured: int, sent: int, refunded: int) -> None:
    charge = {**CHARGE, "captured": True, "amount_captured": captured, "amount_refunded": sent}
    assert payment("charge.refunded", charge).amount == Money(refunded, "EUR")


def test_the_release_of_the_rest_of_a_hold_gives_nothing_back() -> None:
    charge = {**CHARGE, "captured": True, "amount_captured": 1500, "amount_refunded": 499}
    assert translated("charge.refunded", charge).ignored == ("charge.refunded",)


def test_every_type_of_the_adapter_is_one_that_the_sdk_knows() -> None:
    known = set(inspect.getsource(sdk_events).split('"'))
    assert set(stripe.TYPES) <= known


def test_a_payment_goes_by_its_intent_and_its_charge_is_an_alias() -> None:
    assert payment("charge.failed", CHARGE).aliases == ("ch_1",)
    assert payment("payment_intent.succeeded", INTENT).aliases == ("ch_1",)
    expanded = {**CHARGE, "payment_intent": {"id": "pi_1", "object": "payment_intent"}}
    assert payment("charge.failed", expanded).payment_id == "pi_1"
    alone = {**CHARGE, "payment_intent": None}
    assert (payment("charge.failed", alone).payment_id, payment("charge.failed", alone).aliases) == ("ch_1", ())


def test_a_session_without_a_payment_of_its_own_is_ignored() -> None:
    assert translated("checkout.session.completed", {**SESSION, "payment_intent": None}).ignored


def test_a_refund_that_is_called_fraud_says_so_of_its_payment() -> None:
    called = {**REFUND, "status": "pending", "reason": "fraudulent"}
    (_, found), other = translated("refund.created", called).events, {**called, "reason": "requested_by_customer"}
    assert isinstance(found, FraudFound)
    assert (found.payment_id, found.payment_aliases, found.found_by) == ("pi_1", ("ch_1",), "refund")
    assert found.event_id == "stripe:acct_ours:re_1:fraud"
    assert found.delivery_id
    assert len(translated("refund.created", other).events) == 1
    # Its every message says the same, at the refund's own time.
    later = translated("refund.updated", {**called, "created": AT - 60}, id="evt_2", created=AT + 900).events[1]
    assert (later.event_id, later.occurred_at) == (found.event_id, NOON - timedelta(minutes=1))
    # Ours answers who warned, whatever it is called.
    assert len(translated("refund.created", {**called, "metadata": {"pay_in_alert": "k"}}).events) == 1
    # The money is ours again; what the first message said of the payment stands.
    assert len(translated("refund.failed", {**called, "status": "failed"}).events) == 1


def test_a_refund_counts_once_by_its_reference() -> None:
    assert payment("refund.created", {**REFUND, "status": "succeeded"}).reference == "re_1"


@pytest.mark.parametrize(
    ("currency", "sent", "minor"),
    [
        ("jpy", 500, 500),
        ("kwd", 1230, 1230),
        ("isk", 50000, 500),
        ("ugx", 50000, 500),
        ("mga", 500, 50000),
        ("usd", 5, 5),
    ],
)
def test_amounts_follow_stripes_decimals(currency: str, sent: int, minor: int) -> None:
    assert payment("charge.failed", {**CHARGE, "amount": sent, "currency": currency}).amount == Money(
        minor, currency.upper()
    )


def test_digits_below_a_minor_unit_are_unreadable_rather_than_rounded() -> None:
    with pytest.raises(Unreadable, match=r"data\.object\.amount"):
        translated("charge.failed", {**CHARGE, "amount": 50001, "currency": "isk"})


def test_a_charge_tells_of_card_customer_checks_and_our_own_metadata() -> None:
    event = payment(
        "charge.failed",
        {
            **CHARGE,
            "customer": "cus_1",
            "billing_details": {"email": "Ana@Music.example", "address": {"country": "DE"}},
            "metadata": {
                "ip": "2001:db8::1",
                "device_id": "d-1",
                "initiator": "mit",
                "customer_id": "c-1",
                "order_id": "o-1",
            },
            "outcome": {"reason": "stolen_card", "risk_score": 71},
            "payment_method_details": {
                "type": "card",
                "card": {
                    "brand": "visa",
                    "fingerprint": "fp",
                    "iin": "424242",
                    "last4": "4242",
                    "country": "US",
                    "funding": "credit",
                    "checks": {"cvc_check": "fail", "address_postal_code_check": "pass", "address_line1_check": "fail"},
                    "three_d_secure": {"result": "attempt_acknowledged"},
                },
            },
        },
    )
    assert event.card is not None
    assert (event.card.fingerprint, event.card.bin, event.card.last4, event.card.network) == (
        "fp",
        "424242",
        "4242",
        "visa",
    )
    assert (event.customer_id, event.device_id, event.ip, event.initiator) == (
        "c-1",
        "d-1",
        "2001:db8::1",
        Initiator.MERCHANT,
    )
    assert (event.email_domain, event.billing_country, event.merchant_reference) == ("music.example", "DE", "o-1")
    assert (event.cvv_result, event.avs_result, event.three_d_secure) == ("mismatch", "mismatch", "attempted")
    assert (event.decline_code, event.hard_decline, event.provider_score) == ("stolen_card", True, 71.0)


@pytest.mark.parametrize(
    ("kind", "thing"),
    [("charge.failed", CHARGE), ("payment_intent.payment_failed", {**INTENT, "last_payment_error": {}})],
)
def test_a_customer_of_the_second_generation_is_an_account(kind: str, thing: dict[str, Any]) -> None:
    assert payment(kind, {**thing, "customer": None, "customer_account": "acct_c1"}).customer_id == "acct_c1"


def test_an_intents_failure_is_told_by_its_last_error_where_no_charge_is_embedded() -> None:
    error = {
        "charge": "ch_2",
        "code": "card_declined",
        "decline_code": "insufficient_funds",
        "advice_code": "do_not_try_again",
        "payment_method": {"type": "card", "card": {"brand": "mastercard", "last4": "4444"}},
    }
    event = payment("payment_intent.payment_failed", {**INTENT, "latest_charge": None, "last_payment_error": error})
    assert event.card is not None
    assert (event.card.network, event.reference, event.aliases) == ("mastercard", "ch_2", ("ch_2",))
    assert (event.decline_code, event.hard_decline) == ("insufficient_funds", True)


# Disputes


@pytest.mark.parametrize(
    ("word", "stage", "status"),
    [
        ("warning_needs_response", DisputeStage.INQUIRY, DisputeStatus.NEEDS_RESPONSE),
        ("warning_under_review", DisputeStage.INQUIRY, DisputeStatus.UNDER_REVIEW),
        ("warning_closed", DisputeStage.INQUIRY, DisputeStatus.CLOSED),
        ("needs_response", DisputeStage.CHARGEBACK, DisputeStatus.NEEDS_RESPONSE),
        ("under_review", DisputeStage.CHARGEBACK, DisputeStatus.UNDER_REVIEW),
        ("won", DisputeStage.CHARGEBACK, DisputeStatus.WON),
        ("lost", DisputeStage.CHARGEBACK, DisputeStatus.LOST),
        ("prevented", DisputeStage.INQUIRY, DisputeStatus.PREVENTED),
        ("appeal_needs_response", DisputeStage.PRE_ARBITRATION, DisputeStatus.NEEDS_RESPONSE),
        ("appeal_under_review", DisputeStage.PRE_ARBITRATION, DisputeStatus.UNDER_REVIEW),
    ],
)
def test_each_status_tells_stage_and_status(word: str, stage: DisputeStage, status: DisputeStatus) -> None:
    event = dispute(status=word)
    assert (event.stage, event.status, event.provider_status) == (stage, status, word)


def test_a_status_we_do_not_know_still_tells_the_deadline_and_asks_for_a_person() -> None:
    found = translated("charge.dispute.updated", {**CHARGE, "id": "du_1", "charge": "ch_1", "status": "brand_new",
                                                  "evidence_details": {"due_by": DUE}})  # fmt: skip
    (event,) = found.events
    assert isinstance(event, DisputeChanged)
    assert (event.stage, event.status) == (None, None)
    assert event.respond_by
    assert found.unreadable == ("data.object.status: a dispute status that we do not know",)


@pytest.mark.parametrize("due", [0, None])
def test_without_a_due_date_no_answer_is_possible(due: int | None) -> None:
    event = dispute(evidence_details={"due_by": due})
    assert (event.respond_by, event.can_respond) == (None, False)


def test_a_deadline_is_kept_as_an_instant_and_as_it_was_written() -> None:
    event = dispute()
    assert event.respond_by == NOON + timedelta(days=9)
    assert (event.respond_by_text, event.can_respond) == (str(DUE), True)


def test_evidence_that_was_late_in_one_round_does_not_close_the_next() -> None:
    details = {"due_by": DUE, "past_due": True, "submission_count": 1}
    assert dispute(status="appeal_needs_response", evidence_details=details).can_respond is True


def test_a_dispute_names_payment_reason_and_network() -> None:
    event = dispute()
    assert (event.dispute_id, event.payment_id, event.payment_aliases) == ("du_1", "pi_1", ("ch_1",))
    assert (event.reason, event.reason_code, event.network) == (DisputeReason.FRAUD, "10.4", "visa")


@pytest.mark.parametrize(
    ("method", "code"), [("klarna", "unauthorized_purchase"), ("paypal", "MERCHANDISE_OR_SERVICE_NOT_RECEIVED")]
)
def test_the_reason_of_whoever_is_no_card_is_kept_as_they_write_it(method: str, code: str) -> None:
    event = dispute(payment_method_details={"type": method, method: {"reason_code": code}})
    assert (event.reason, event.reason_code) == (DisputeReason.FRAUD, code)


def test_where_no_code_is_told_stripes_own_word_is_kept() -> None:
    event = dispute(reason="bank_cannot_process", payment_method_details={"type": "sepa_debit", "sepa_debit": {}})
    assert (event.reason, event.reason_code) == (DisputeReason.OTHER, "bank_cannot_process")


def test_money_that_moved_is_signed_and_without_the_fee() -> None:
    moves = [{"amount": -1999, "currency": "eur", "fee": 1500}, {"amount": 1999, "currency": "eur", "fee": 0}]
    taken = dispute("charge.dispute.funds_withdrawn", balance_transactions=moves[:1])
    given = dispute("charge.dispute.funds_reinstated", balance_transactions=moves, status="won")
    assert (taken.moved, given.moved) == (Money(-1999, "EUR"), Money(1999, "EUR"))
    assert dispute("charge.dispute.funds_withdrawn").moved == Money(-1999, "EUR")
    assert dispute("charge.dispute.closed", status="won").moved is None


def test_fees_are_all_that_was_charged_until_then_in_the_currency_of_the_balance() -> None:
    taken = {"amount": -2163, "currency": "usd", "fee": 1500}
    given = {"amount": 2188, "currency": "usd", "fee": -1500}
    first = dispute("charge.dispute.funds_withdrawn", balance_transactions=[taken])
    assert (first.amount, first.moved, first.fees) == (Money(1999, "EUR"), Money(-2163, "USD"), Money(1500, "USD"))
    last = dispute("charge.dispute.funds_reinstated", balance_transactions=[taken, given], status="won")
    assert (last.moved, last.fees) == (Money(2188, "USD"), Money(0, "USD"))


def test_a_fee_that_is_not_told_or_cannot_be_read_is_none_and_sinks_no_dispute() -> None:
    assert dispute(balance_transactions=[]).fees is None
    for told in ({"fee": "1500"}, {"fee": 1500, "currency": "euros"}, {"fee": 1500}):
        event = dispute(balance_transactions=[told])
        assert (event.fees, event.status) == (None, DisputeStatus.NEEDS_RESPONSE)
    two = [{"amount": -1, "currency": one, "fee": 5} for one in ("eur", "usd")]
    assert dispute(balance_transactions=two).fees is None


def test_smart_disputes_answer_in_our_name() -> None:
    details = {"due_by": DUE, "submission_method": "smart_disputes", "submission_count": 1}
    event = dispute(status="under_review", evidence_details=details)
    assert (event.autodefended, event.evidence_submitted) == (True, True)


@pytest.mark.parametrize("word", ["needs_response", "warning_needs_response", "appeal_needs_response"])
def test_what_smart_disputes_answered_once_is_no_answer_when_stripe_asks_again(word: str) -> None:
    details = {"due_by": DUE, "submission_method": "smart_disputes", "submission_count": 1}
    asked_again = dispute(status=word, evidence_details=details)
    assert asked_again.autodefended is False
    assert asked_again.can_respond


# The rest


@pytest.mark.parametrize(
    ("more", "domain"),
    [
        ({}, "wallet.example"),
        ({"receipt_email": "ana@receipt.example"}, "receipt.example"),
        ({"billing_details": {"email": "ana@billing.example"}}, "billing.example"),
    ],
)
def test_whoever_pays_by_paypal_is_known_by_the_address_of_that_where_no_other_is_told(
    more: dict[str, Any], domain: str
) -> None:
    paypal = {"type": "paypal", "paypal": {"payer_email": "ana@wallet.example", "payer_id": "P1"}}
    (event,) = translated("charge.succeeded", CHARGE | {"payment_method_details": paypal} | more).events
    assert isinstance(event, PaymentChanged)
    assert (event.method, event.card, event.email_domain) == ("paypal", None, domain)


STANDS_BEHIND = {
    "brand": "visa",
    "country": "DE",
    "exp_month": 8,
    "exp_year": 2029,
    "funding": "debit",
    "last4": "4242",
}


@pytest.mark.parametrize(
    ("kind", "told", "fingerprint", "funding"),
    [
        ("card_present", STANDS_BEHIND | {"fingerprint": "fp_reader"}, "fp_reader", "debit"),
        ("interac_present", STANDS_BEHIND | {"fingerprint": "fp_interac"}, "fp_interac", "debit"),
        ("amazon_pay", {"funding": {"card": STANDS_BEHIND, "type": "card"}}, None, "debit"),
        ("revolut_pay", {"funding": {"card": STANDS_BEHIND, "type": "card"}}, None, "debit"),
        ("kr_card", {"brand": "visa", "last4": "4242", "buyer_id": "b_1"}, None, None),
        ("mobilepay", {"card": {"brand": "visa", "country": "DK", "last4": "4242"}}, None, None),
    ],
)
def test_a_card_in_a_reader_or_behind_a_wallet_is_a_card(
    kind: str, told: dict[str, Any], fingerprint: str | None, funding: str | None
) -> None:
    (event,) = translated("charge.succeeded", CHARGE | {"payment_method_details": {"type": kind, kind: told}}).events
    assert isinstance(event, PaymentChanged)
    assert event.card is not None
    assert (event.method, event.card.last4, event.card.network) == (kind, "4242", "visa")
    assert (event.card.fingerprint, event.card.funding) == (fingerprint, funding)


@pytest.mark.parametrize(
    ("method", "expected"),
    [
        ({"type": "paypal", "paypal": {"country": "SE"}}, "SE"),
        ({"type": "klarna", "klarna": {"payer_details": {"address": {"country": "SE"}}}}, "SE"),
        ({"type": "sepa_debit", "sepa_debit": {"country": "SE"}}, None),  # the bank's, who may be anywhere
    ],
)
def test_the_country_that_a_wallet_knows_of_its_customer_is_told_where_no_address_is(
    method: dict[str, Any], expected: str | None
) -> None:
    charge = CHARGE | {"payment_method_details": method, "billing_details": {"address": {"country": None}}}
    (event,) = translated("charge.succeeded", charge).events
    assert isinstance(event, PaymentChanged)
    assert event.billing_country == expected
    (event,) = translated("charge.succeeded", charge | {"billing_details": {"address": {"country": "NO"}}}).events
    assert isinstance(event, PaymentChanged)
    assert event.billing_country == "NO"


def test_after_a_decline_the_address_of_a_link_account_is_known() -> None:
    told = {"type": "link", "link": {"email": "ana@link.example", "persistent_token": None}}
    intent = {"id": "pi_1", "amount": 1999, "currency": "eur", "last_payment_error": {"payment_method": told}}
    (event,) = translated("payment_intent.payment_failed", intent).events
    assert isinstance(event, PaymentChanged)
    assert (event.method, event.email_domain) == ("link", "link.example")


@pytest.mark.parametrize(("metadata", "expected"), [({}, "A-17"), ({"order_id": "O-1"}, "O-1")])
def test_an_order_that_is_told_to_the_networks_is_the_merchants_reference(
    metadata: dict[str, str], expected: str
) -> None:
    told = {"id": "pi_1", "amount": 1999, "currency": "eur", "metadata": metadata}
    intent = told | {"payment_details": {"customer_reference": None, "order_reference": "A-17"}}
    (event,) = translated("payment_intent.processing", intent).events
    assert isinstance(event, PaymentChanged)
    assert event.merchant_reference == expected


def test_warnings_reviews_and_payouts_are_told() -> None:
    warning = {"id": "issfr_1", "charge": "ch_1", "fraud_type": "misc", "actionable": False}
    (warned,) = translated("radar.early_fraud_warning.created", warning).events
    assert isinstance(warned, FraudWarned)
    assert (warned.payment_id, warned.fraud_type, warned.actionable) == ("ch_1", "misc", False)
    for kind, is_open in (("review.opened", True), ("review.closed", False)):
        (review,) = translated(kind, {"id": "prv_1", "payment_intent": "pi_1", "closed_reason": "approved"}).events
        assert isinstance(review, ReviewChanged)
        assert (review.payment_id, review.open, review.verdict) == ("pi_1", is_open, "approved")
    for word in ("created", "paid", "failed", "canceled", "updated", "reconciliation_completed"):
        payout = {"id": "po_1", "status": "paid", "amount": 5, "currency": "usd"}
        (paid,) = translated(f"payout.{word}", payout).events
        assert isinstance(paid, PayoutChanged)
        assert (paid.payout_id, paid.status, paid.amount) == ("po_1", "paid", Money(5, "USD"))


# Thin events


@pytest.fixture
def kit(tmp_path: Path) -> Kit:
    return a_kit("stripe", tmp_path)


KINDS = [kind for kind in FactKind if kind is not FactKind.UNKNOWN_TYPE]


@pytest.mark.parametrize("kind", KINDS)
def test_a_thin_event_is_read_back_into_the_event_of_its_snapshot(kit: Kit, kind: FactKind) -> None:
    snapshots = kit.events(a_fact(kind))
    by_snapshot, by_thin_event = kit.pokes(kind)[::2], kit.pokes(kind)[1::2]
    assert {poke.resource for poke in by_snapshot} <= {stripe.EVENTS}
    assert {poke.resource for poke in by_thin_event} <= {stripe.THIN_EVENTS}
    for pokes in (by_snapshot, by_thin_event):
        told = [event for poke in pokes for event in kit.told(poke)]
        assert [dataclasses.replace(one, delivery_id="") for one in told] == [
            dataclasses.replace(one, delivery_id="") for one in snapshots
        ]


@given(order=st.permutations(range(9)))
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
def test_snapshot_thin_or_both_in_any_order_give_one_payment(kit: Kit, order: list[int]) -> None:
    kinds = (FactKind.AUTHORIZED, FactKind.CAPTURED, FactKind.REFUNDED)
    snapshots = [event for kind in kinds for event in kit.events(a_fact(kind))]
    thin = [event for kind in kinds for poke in kit.pokes(kind) for event in kit.told(poke)]
    told = [*snapshots, *thin]
    expected = recorded(snapshots)
    assert recorded(thin) == expected
    assert recorded([told[place % len(told)] for place in order] + told) == expected


def recorded(events: Sequence[AnyEvent]) -> Payment:
    """The payment that these events come to, less by which delivery they came."""
    found = Payment(provider="stripe", payment_id="", account="acct_simulated")
    for event in events:
        assert isinstance(event, PaymentChanged)
        found = record(
            dataclasses.replace(found, payment_id=event.payment_id), dataclasses.replace(event, delivery_id="")
        )
    return found


def a_thin_event(kind: str, **changes: Any) -> dict[str, Any]:
    return {
        "id": "evt_thin",
        "object": "v2.core.event",
        "type": kind,
        "created": "2026-05-01T12:00:00.000Z",
        "livemode": False,
        "context": None,
        "related_object": {"id": "ch_1", "type": "charge", "url": "https://elsewhere.example/v1/charges/ch_1"},
        **changes,
    }


def normalized(thin: dict[str, Any]) -> Normalized:
    return stripe.normalize(Delivery("stripe", json.dumps(thin).encode(), {}, NOON), Verdict(("main",)), CREDENTIALS)


def the_poke(events: Sequence[AnyEvent]) -> ResourceChanged:
    (poke,) = events
    assert isinstance(poke, ResourceChanged)
    return poke


@pytest.mark.parametrize("context", ["acct_theirs", "org_ours/acct_theirs", "acct_platform/acct_theirs"])
def test_the_snapshot_that_a_thin_event_leads_to_is_the_event_that_was_delivered_however_long_the_way_to_its_account(
    context: str,
) -> None:
    snapshot = {
        "id": "evt_snapshot",
        "object": "event",
        "type": "charge.captured",
        "created": int(NOON.timestamp()),
        "account": "acct_theirs",
        "livemode": False,
        "data": {"object": {**CHARGE, "captured": True, "amount_captured": 1999}},
    }
    (delivered,) = normalized(snapshot).events
    poke = the_poke(
        normalized(a_thin_event("v1.charge.captured", context=context, snapshot_event="evt_snapshot")).events
    )
    request = api.resource_request(poke, ApiCredentials(key="sk"))
    assert request.headers["Stripe-Context"] == context
    (read_back,) = api.read_resource(poke, json.dumps(snapshot).encode())
    assert (read_back.event_id, read_back.account) == (delivered.event_id, delivered.account)
    (from_older,) = api.read_resource(poke, json.dumps({**snapshot, "account": None}).encode())
    assert from_older.event_id == delivered.event_id


@pytest.mark.parametrize("context", [None, "acct_ours", "acct_elsewhere", "org_ours/acct_elsewhere"])
def test_a_snapshot_that_names_no_account_and_its_thin_event_are_one_fact_whatever_the_context(
    context: str | None,
) -> None:
    snapshot = {
        "id": "evt_snapshot",
        "object": "event",
        "type": "charge.captured",
        "created": int(NOON.timestamp()),
        "livemode": False,
        "data": {"object": {**CHARGE, "captured": True, "amount_captured": 1999}},
    }
    (delivered,) = normalized(snapshot).events
    thin = a_thin_event("v1.charge.captured", context=context, snapshot_event="evt_snapshot")
    bare = {key: value for key, value in thin.items() if key != "snapshot_event"}
    by_name = the_poke(normalized(thin).events)
    by_way = the_poke(api.read_resource(the_poke(normalized(bare).events), json.dumps(thin).encode()))
    for poke in (by_name, by_way):
        (read_back,) = api.read_resource(poke, json.dumps(snapshot).encode())
        assert read_back.event_id == delivered.event_id == "stripe:acct_ours:evt_snapshot"


def test_a_thin_event_without_a_snapshot_leads_to_its_object_by_our_own_address() -> None:
    thin = a_thin_event("v1.charge.captured", context="acct_theirs")
    first = the_poke(normalized(thin).events)
    second = the_poke(api.read_resource(first, json.dumps({**thin, "data": {}}).encode()))
    request = api.resource_request(second, ApiCredentials(key="sk"))
    assert request.url == "https://api.stripe.com/v1/charges/ch_1"
    assert (request.headers["Stripe-Context"], request.headers["Authorization"]) == ("acct_theirs", "Bearer sk")
    charge = {**CHARGE, "captured": True, "amount_captured": 1999}
    (captured,) = api.read_resource(second, json.dumps(charge).encode())
    assert isinstance(captured, PaymentChanged)
    assert (captured.step, captured.amount, captured.occurred_at) == (PaymentStep.CAPTURED, Money(1999, "EUR"), NOON)
    assert api.read_resource(second, json.dumps(charge).encode()) == (captured,)
    (later,) = api.read_resource(second, json.dumps({**charge, "amount_captured": 2000}).encode())
    assert later.event_id != captured.event_id


def test_an_event_that_stripe_failed_to_make_is_a_gap_that_a_person_is_told_of_and_its_object_is_read_back() -> None:
    kind = "v2.core.health.event_generation_failure.resolved"
    found = normalized(a_thin_event(kind, related_object=None))
    assert "gap" in found.unreadable[0]
    first = the_poke(found.events)
    impact = {
        "event_type": "payment_intent.succeeded",
        "related_object_id": "pi_1",
        "related_object": {"id": "pi_1", "type": "payment_intent", "url": "https://dashboard.stripe.com/x"},
    }
    whole = a_thin_event(kind, related_object=None, data={"alert_id": "halert_1", "impact": impact})
    second = the_poke(api.read_resource(first, json.dumps(whole).encode()))
    assert (
        api.resource_request(second, ApiCredentials(key="sk")).url == "https://api.stripe.com/v1/payment_intents/pi_1"
    )
    intent = {"id": "pi_1", "object": "payment_intent", "amount": 500, "amount_received": 500, "currency": "usd"}
    (captured,) = api.read_resource(second, json.dumps(intent).encode())
    assert isinstance(captured, PaymentChanged)
    assert (captured.payment_id, captured.step, captured.amount) == ("pi_1", PaymentStep.CAPTURED, Money(500, "USD"))
    customers = {**whole, "data": {"impact": {**impact, "event_type": "customer.created"}}}
    assert api.read_resource(first, json.dumps(customers).encode()) == ()
