"""Braintree: forms, challenges, XML that is not to be trusted, and every kind of notification there is."""

import base64
import contextlib
import dataclasses
import importlib
import inspect
import itertools
import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from shared.disputes import lifecycle
from shared.domain.delivery import Credentials, Delivery, Verdict
from shared.domain.disputes import Dispute
from shared.domain.errors import SignatureInvalid, Unreadable
from shared.domain.events import (
    Card,
    DisputeChanged,
    DisputeReason,
    DisputeStage,
    DisputeStatus,
    Initiator,
    PaymentChanged,
    PaymentStep,
    PayoutChanged,
    ReviewChanged,
)
from shared.domain.money import Money
from shared.providers import load
from shared.providers.braintree import webhook as adapter
from shared.providers.kit.protocol import Normalized
from shared.providers.kit.unmapped import unmapped
from tests.providers.kits import NOON, SAMPLES, a_fact, a_kit
from tests.simulator.facts import FactKind

PUBLIC, PRIVATE = "integration_public_key", "integration_private_key"
CREDENTIALS = Credentials(keys={PUBLIC: PRIVATE})


def nobody(url: str) -> bytes:
    raise AssertionError(f"nothing is fetched for Braintree: {url}")


def a_form(xml: str, at: datetime = NOON) -> Delivery:
    """Not signed: for what comes after verification."""
    body = urlencode({"bt_signature": "a|b", "bt_payload": base64.encodebytes(xml.encode())})
    return Delivery("braintree", body.encode(), {}, at)


def a_notification(kind: str, subject: str) -> Delivery:
    xml = f"<notification><timestamp>2026-05-01T12:00:00Z</timestamp><kind>{kind}</kind><subject>{subject}</subject></notification>"
    return a_form(xml)


def read(kind: str, subject: str) -> Normalized:
    return adapter.normalize(a_notification(kind, subject), Verdict((PUBLIC,)), CREDENTIALS)


def event(kind: str, subject: str) -> Any:
    normalized = read(kind, subject)
    assert normalized.unreadable == ()
    (found,) = normalized.events
    return found


def a_dispute(**changes: str) -> str:
    members = {
        "id": "d1",
        "amount": "100.00",
        "amount-disputed": "90.00",
        "currency-iso-code": "USD",
        "kind": "chargeback",
        "reason": "fraud",
        "reply-by-date": "2026-05-20",
        "transaction": "<id>t1</id>",
    } | {name.replace("_", "-"): value for name, value in changes.items()}
    return "<dispute>" + "".join(f"<{name}>{value}</{name}>" for name, value in members.items()) + "</dispute>"


def a_transaction(**changes: str) -> str:
    members = {"id": "t1", "type": "sale", "amount": "12.50", "currency-iso-code": "USD"} | {
        name.replace("_", "-"): value for name, value in changes.items()
    }
    return "<transaction>" + "".join(f"<{name}>{value}</{name}>" for name, value in members.items()) + "</transaction>"


# The challenge


def test_the_published_challenge_is_answered_as_published() -> None:
    answer = adapter.challenge("bt_challenge=20f9f8ed05f77439fe955c977e4c8a53", CREDENTIALS)
    assert answer is not None
    assert answer.body == b"integration_public_key|d9b899556c966b3f06945ec21311865d35df3ce4"


@pytest.mark.parametrize(
    "query",
    [
        "",
        "bt_challenge=",
        "bt_challenge=20f9f8ed05f77439fe9",
        "bt_challenge=20F9F8ED05F77439FE955C977E4C8A53",
        "bt_challenge=20f9f8ed05f77439fe955c977e4c8a53%0A",
        "bt_challenge=" + "a" * 33,
        "bt_challenge=20f9f8ed05f77439fe95&bt_challenge=20f9f8ed05f77439fe95",
        "&".join(f"x{n}=1" for n in range(100)),
        "bt_challenge=%ff%fe",
    ],
)
def test_what_is_no_challenge_is_not_answered(query: str) -> None:
    assert adapter.challenge(query, CREDENTIALS) is None


def test_the_answer_to_a_challenge_cannot_be_used_as_a_delivery() -> None:
    asked = "a1" * 16
    answer = adapter.challenge(f"bt_challenge={asked}", CREDENTIALS)
    assert answer is not None
    for payload in (asked, asked + "\n"):
        body = urlencode({"bt_signature": answer.body.decode(), "bt_payload": payload}).encode()
        with pytest.raises(SignatureInvalid):
            adapter.verify(Delivery("braintree", body, {}, NOON), CREDENTIALS, nobody)


# Signatures


def signed_forms() -> list[Any]:
    files = sorted((SAMPLES / "braintree" / "signed").glob("*.json"))
    return [pytest.param(file, id=file.stem) for file in files] or [
        pytest.param(Path(), marks=pytest.mark.skip(reason="the folder of real payloads is absent"))
    ]


@pytest.mark.parametrize(
    "fields",
    [
        [],
        [("bt_signature", "a|b")],
        [("bt_payload", "YQ==")],
        [("bt_signature", "a|b"), ("bt_signature", "a|b"), ("bt_payload", "YQ==")],
        [("bt_signature", "a|b"), ("bt_payload", "YQ=="), ("bt_payload", "YQ==")],
    ],
)
def test_a_form_without_one_signature_of_one_payload_says_so(fields: list[tuple[str, str]]) -> None:
    with pytest.raises(SignatureInvalid) as refusal:
        adapter.verify(Delivery("braintree", urlencode(fields).encode(), {}, NOON), CREDENTIALS, nobody)
    assert refusal.value.reason == "missing_signature"


@pytest.mark.parametrize("file", signed_forms())
def test_every_published_notification_verifies_and_is_read(file: Path) -> None:
    form = json.loads(file.read_bytes())
    body = urlencode({"bt_signature": form["bt_signature"], "bt_payload": form["bt_payload"]}).encode()
    delivery = Delivery("braintree", body, {}, datetime(2026, 11, 22, 7, tzinfo=UTC))
    verdict = adapter.verify(delivery, CREDENTIALS, nobody)
    assert verdict.key_ids == (PUBLIC,)
    assert verdict.signed_at == datetime(2026, 11, 22, 6, 51, 25, tzinfo=UTC)
    normalized = adapter.normalize(delivery, verdict, CREDENTIALS)
    assert normalized.unreadable == ()
    assert bool(normalized.events) != bool(normalized.ignored)


def test_every_published_body_is_read_the_legacy_ones_too() -> None:
    files = sorted((SAMPLES / "braintree").glob("*.xml"))
    if not files:
        pytest.skip("the folder of real payloads is absent")
    assert any("legacy" in file.name for file in files)
    for file in files:
        delivery = a_form(file.read_text())
        normalized = adapter.normalize(delivery, Verdict((PUBLIC,)), CREDENTIALS)
        assert normalized.types == (file.name.split(".")[0],)
        assert normalized.unreadable == ()
        assert unmapped(load("braintree"), delivery, normalized) == (), file.name
        for found in normalized.events:
            if isinstance(found, DisputeChanged):
                assert found.amount
                assert found.payment_id
                assert found.respond_by


def test_every_kind_and_every_member_that_the_official_library_knows_is_no_news() -> None:
    braintree = importlib.import_module("braintree")
    kinds = {value for name, value in vars(braintree.WebhookNotification.Kind).items() if name[0].isupper()}
    for kind in kinds - set(adapter.KINDS):
        delivery = a_notification(kind, "<check>true</check>")
        normalized = adapter.normalize(delivery, Verdict((PUBLIC,)), CREDENTIALS)
        assert unmapped(load("braintree"), delivery, normalized) == (), kind
    # What the library reads of an answer, it reads of a notification too: both are the same object.
    source = inspect.getsource(braintree.transaction.Transaction)
    read = set(re.findall(r'attributes\["([a-z_]+)"\]|"([a-z_]+)" in attributes', source)) | {
        (name, "") for name in re.findall(r'"([a-z_]+)"', inspect.getsource(braintree.transaction.Transaction.__repr__))
    }
    members = {name for names in read for name in names if name} - {"credit_card_details", "meta_checkout_token"}
    told = a_transaction(**dict.fromkeys(members - {"id", "type", "amount", "currency_iso_code", "status"}, ""))
    delivery = a_notification("transaction_settled", told)
    normalized = adapter.normalize(delivery, Verdict((PUBLIC,)), CREDENTIALS)
    assert unmapped(load("braintree"), delivery, normalized) == ()


NO_CARD = "<token nil='true'/><bin nil='true'/><last-4 nil='true'/><card-type nil='true'/>"


@pytest.mark.parametrize(
    ("kind", "member", "told", "last4", "network"),
    [
        ("credit_card", "credit-card", "<last-4>1111</last-4><card-type>Visa</card-type>", "1111", "visa"),
        ("apple_pay_card", "apple-pay", "<last-4>2222</last-4><card-type>Apple Pay - Visa</card-type>", "2222", "visa"),
        (
            "apple_pay_card",
            "apple-pay",
            "<last-4>2222</last-4><card-type>Apple Pay - American Express</card-type>",
            "2222",
            "amex",
        ),
        (
            "android_pay_card",
            "android-pay-card",
            "<virtual-card-last-4>9999</virtual-card-last-4><virtual-card-type>Visa</virtual-card-type>"
            "<source-card-last-4>3333</source-card-last-4><source-card-type>MasterCard</source-card-type>",
            "3333",
            "mastercard",
        ),
        (
            "android_pay_card",
            "android-pay-card",
            "<virtual-card-last-4>9999</virtual-card-last-4><virtual-card-type>Visa</virtual-card-type>",
            "9999",
            "visa",
        ),
        (
            "visa_checkout_card",
            "visa-checkout-card",
            "<last-4>4444</last-4><card-type>Visa</card-type>",
            "4444",
            "visa",
        ),
        ("credit_card", "network-token", "<last-4>5555</last-4><card-type>Visa</card-type>", "5555", "visa"),
    ],
)
def test_a_card_in_a_wallet_is_a_card(kind: str, member: str, told: str, last4: str, network: str) -> None:
    bin_ = "<bin>411111</bin><country-of-issuance>USA</country-of-issuance><debit>Yes</debit>"
    empty = {} if member == "credit-card" else {"credit-card": NO_CARD}
    found = event("transaction_settled", a_transaction(payment_instrument_type=kind, **empty, **{member: bin_ + told}))
    assert found.method == "card"
    assert found.card == Card(bin="411111", last4=last4, network=network, funding="debit", country="US")


def test_whoever_pays_by_paypal_is_known_by_the_address_of_that() -> None:
    paypal = "<payer-email>Ana@music.example</payer-email>"
    found = event("transaction_settled", a_transaction(payment_instrument_type="paypal_account", paypal=paypal))
    assert (found.method, found.card, found.email_domain) == ("paypal", None, "music.example")
    known = a_transaction(paypal=paypal, customer="<email>ana@shop.example</email>")
    assert event("transaction_settled", known).email_domain == "shop.example"


def test_a_debited_bank_account_tells_whose_it_is_where_nothing_else_does() -> None:
    account = "<merchant-or-partner-customer-id>c-17</merchant-or-partner-customer-id><last-4>1111</last-4>"
    told = a_transaction(payment_instrument_type="sepa_debit_account", sepa_debit_account_detail=account)
    found = event("transaction_settled", told)
    assert (found.method, found.card, found.customer_id) == ("sepa_debit", None, "c-17")


def test_a_payload_whose_last_newline_was_stripped_verifies_too(tmp_path: Path) -> None:
    kit = a_kit("braintree", tmp_path)
    delivery = kit.signed(kit.bodies()[0])
    assert delivery.body.endswith(b"%0A")
    stripped = dataclasses.replace(delivery, body=delivery.body.removesuffix(b"%0A"))
    assert kit.verify(stripped).key_ids == ("current",)


def test_the_private_key_itself_is_not_the_hmac_key(tmp_path: Path) -> None:
    import hashlib
    import hmac

    payload = base64.encodebytes(b"<notification/>")
    mac = hmac.new(PRIVATE.encode(), payload, hashlib.sha1).hexdigest()
    body = urlencode({"bt_signature": f"{PUBLIC}|{mac}", "bt_payload": payload}).encode()
    with pytest.raises(SignatureInvalid):
        adapter.verify(Delivery("braintree", body, {}, NOON), CREDENTIALS, nobody)


def test_the_official_library_signs_what_we_verify_and_answers_challenges_as_we_do() -> None:
    braintree = importlib.import_module("braintree")
    gateway = braintree.BraintreeGateway(
        braintree.Configuration(
            environment=braintree.Environment.Sandbox, merchant_id="m", public_key=PUBLIC, private_key=PRIVATE
        )
    )
    kinds = [value for name, value in vars(braintree.WebhookNotification.Kind).items() if name[0].isupper()]
    assert len(kinds) > 35
    for kind in kinds:
        form = gateway.webhook_testing.sample_notification(kind, "my_id")
        body = urlencode({name: form[name] for name in ("bt_signature", "bt_payload")}).encode()
        delivery = Delivery("braintree", body, {}, datetime.now(UTC))
        verdict = adapter.verify(delivery, CREDENTIALS, nobody)
        if kind == "refund_failed":  # the sample names what it refunds by a database key alone
            with pytest.raises(Unreadable, match="refunded-transaction-id"):
                adapter.normalize(delivery, verdict, CREDENTIALS)
            continue
        normalized = adapter.normalize(delivery, verdict, CREDENTIALS)
        assert normalized.types == (kind,)
        assert normalized.unreadable == ()
    asked = "20f9f8ed05f77439fe955c977e4c8a53"
    answer = adapter.challenge(f"bt_challenge={asked}", CREDENTIALS)
    assert answer is not None
    assert answer.body.decode() == gateway.webhook_notification.verify(asked)


def test_what_we_call_forged_the_official_library_refuses_too(tmp_path: Path) -> None:
    braintree = importlib.import_module("braintree")
    from urllib.parse import parse_qs

    kit = a_kit("braintree", tmp_path)
    gateway = braintree.BraintreeGateway(
        braintree.Configuration(
            environment=braintree.Environment.Sandbox,
            merchant_id="m",
            public_key="current",
            private_key=kit.credentials.keys["current"],
        )
    )
    for request, genuine in (
        (kit.simulator.sign(kit.bodies()[0], NOON), True),
        (kit.simulator.forge(kit.bodies()[0], NOON), False),
    ):
        form = {name: values[0] for name, values in parse_qs(request.body.decode()).items()}
        if genuine:
            gateway.webhook_notification.parse(form["bt_signature"], form["bt_payload"])
        else:
            with pytest.raises(braintree.exceptions.invalid_signature_error.InvalidSignatureError):
                gateway.webhook_notification.parse(form["bt_signature"], form["bt_payload"])


@pytest.mark.parametrize(
    "body",
    [b"", b"bt_signature=a|b", b"bt_payload=YQ==", b"a&b&c", b"\xff", b"&".join(b"x=1" for _ in range(5000))],
)
def test_what_is_no_form_of_a_signature_and_a_payload_is_refused(body: bytes) -> None:
    with pytest.raises(SignatureInvalid):
        adapter.verify(Delivery("braintree", body, {}, NOON), CREDENTIALS, nobody)


def test_two_payloads_in_one_form_are_refused_for_nobody_could_say_which_was_signed(tmp_path: Path) -> None:
    kit = a_kit("braintree", tmp_path)
    delivery = kit.signed(kit.bodies()[0])
    with pytest.raises(SignatureInvalid):
        kit.verify(dataclasses.replace(delivery, body=delivery.body + b"&bt_payload=YQ%3D%3D"))


# XML


@pytest.mark.parametrize(
    "xml",
    [
        '<!DOCTYPE n [<!ENTITY a "b">]><notification>&a;</notification>',
        '<!DOCTYPE n SYSTEM "file:///etc/passwd"><notification/>',
        '<!DOCTYPE n [<!ENTITY x SYSTEM "file:///etc/passwd">]><notification>&x;</notification>',
        "<notification>&undefined;</notification>",
        "<notification>",
        "<a>" * 500_000,
        "",
        "\x00",
    ],
)
def test_xml_with_entities_or_broken_is_unreadable(xml: str) -> None:
    with pytest.raises(Unreadable):
        adapter.parse_xml(xml.encode())


@pytest.mark.parametrize(
    ("xml", "text"),
    [
        (b"<a>caf\xe9</a>", "caf\ufffd"),
        (b'<?xml version="1.0" encoding="ISO-8859-1"?><a>caf\xe9</a>', "caf\ufffd"),
        (b"\xef\xbb\xbf<a>caf\xc3\xa9</a>", "caf\u00e9"),
        (b"<a>x&#xD83C;y&#55356;z&#x1F355;&#233;</a>", "x\ufffdy\ufffdz\U0001f355\u00e9"),
        (b"<a>x\x01&#0;&#xFFFFFFFF;</a>", "x\ufffd\ufffd\ufffd"),
        (b"<a>" + b"<b>" * 200 + b"deep" + b"</b>" * 200 + b"</a>", None),
    ],
)
def test_what_no_character_of_xml_is_or_lies_too_deep_sinks_nothing(xml: bytes, text: str | None) -> None:
    found = adapter.parse_xml(xml).value["a"]
    assert found == text if text is not None else "deep" not in str(found)


def test_an_entity_bomb_is_refused_before_it_grows() -> None:
    entities = "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 20))
    bomb = f'<!DOCTYPE n [<!ENTITY a0 "ha">{entities}]><n>&a19;</n>'
    with pytest.raises(Unreadable, match="document type"):
        adapter.parse_xml(bomb.encode())


def test_arrays_absent_values_and_repeated_names_are_read_as_braintree_means_them() -> None:
    xml = b'<a><b type="array"><c><d>1</d></c><c>2</c></b><e nil="true"/><f type="array"/><g>3</g><g> 4 </g><h/></a>'
    assert adapter.parse_xml(xml).value == {
        "a": {"b": [{"d": "1"}, "2"], "e": None, "f": [], "g": "4", "h": ""},
    }


@hypothesis_settings(max_examples=100, deadline=None)
@given(xml=st.binary(max_size=120) | st.text(alphabet='<>/ab&;="![]?-x \n', max_size=80).map(str.encode))
def test_any_bytes_are_xml_or_unreadable(xml: bytes) -> None:
    with contextlib.suppress(Unreadable):
        adapter.parse_xml(xml)


# Payments

TRANSACTION = "<transaction><id>t1</id><type>sale</type><amount>12.50</amount><currency-iso-code>USD</currency-iso-code></transaction>"
SUBSCRIPTION = f'<subscription><id>s</id><transactions type="array">{TRANSACTION}<transaction><id>older</id></transaction></transactions></subscription>'
LOCAL = f"<local-payment><payment-id>p1</payment-id>{TRANSACTION}</local-payment>"
NO_TRANSACTION = "<local-payment-expired><payment-id>p1</payment-id></local-payment-expired>"


@pytest.mark.parametrize(
    ("kind", "subject", "step", "payment", "reference", "amount"),
    [
        ("transaction_settled", TRANSACTION, PaymentStep.CAPTURED, "t1", "t1", 1250),
        ("transaction_disbursed", TRANSACTION, PaymentStep.CAPTURED, "t1", "t1", 1250),
        ("transaction_settlement_declined", TRANSACTION, PaymentStep.CAPTURE_FAILED, "t1", "t1", 1250),
        ("subscription_charged_successfully", SUBSCRIPTION, PaymentStep.CAPTURED, "t1", "t1", 1250),
        ("subscription_charged_unsuccessfully", SUBSCRIPTION, PaymentStep.DECLINED, "t1", "t1", 1250),
        ("local_payment_completed", LOCAL, PaymentStep.CAPTURED, "t1", "t1", 1250),
        ("local_payment_funded", LOCAL, PaymentStep.CAPTURED, "t1", "t1", 1250),
        ("local_payment_expired", NO_TRANSACTION, PaymentStep.DECLINED, "p1", None, None),
        ("local_payment_reversed", NO_TRANSACTION, PaymentStep.REVERSED, "p1", None, None),
        (
            "transaction_settled",
            a_transaction(type="credit", refunded_transaction_id="t0"),
            PaymentStep.REFUNDED,
            "t0",
            "t1",
            1250,
        ),
        (
            "transaction_settlement_declined",
            a_transaction(type="credit", refunded_transaction_id="t0"),
            PaymentStep.REFUND_FAILED,
            "t0",
            "t1",
            1250,
        ),
        (
            "refund_failed",
            a_transaction(type="credit", refunded_transaction_id="t0"),
            PaymentStep.REFUND_FAILED,
            "t0",
            "t1",
            1250,
        ),
        (
            "refund_failed",
            a_transaction(refunded_transaction_id="t0", refunded_transaction_fk="1"),
            PaymentStep.REFUND_FAILED,
            "t0",
            "t1",
            1250,
        ),
        (
            "transaction_retried",
            a_transaction(status="submitted_for_settlement"),
            PaymentStep.CAPTURED,
            "t1",
            "t1",
            1250,
        ),
        ("transaction_retried", a_transaction(status="processor_declined"), PaymentStep.DECLINED, "t1", "t1", 1250),
    ],
)
def test_payments(
    kind: str, subject: str, step: PaymentStep, payment: str, reference: str | None, amount: int | None
) -> None:
    found = event(kind, subject)
    assert isinstance(found, PaymentChanged)
    assert (found.step, found.payment_id, found.reference) == (step, payment, reference)
    assert found.amount == (Money(amount, "USD") if amount else None)
    assert found.occurred_at == NOON


def test_a_local_payment_keeps_its_first_name_as_an_alias() -> None:
    assert event("local_payment_funded", LOCAL).aliases == ("p1",)
    settled = a_transaction(payment_instrument_type="local_payment", local_payment="<payment-id>p1</payment-id>")
    assert event("transaction_settled", settled).aliases == ("p1",)
    both = f"<local-payment><payment-id>p1</payment-id>{settled}</local-payment>"
    assert event("local_payment_funded", both).aliases == ("p1",)


def test_a_transaction_tried_again_is_one_of_its_own_and_known_by_the_one_that_was_declined() -> None:
    subject = a_transaction(status="submitted_for_settlement", retried_transaction_id="t0")
    found = event("transaction_retried", subject)
    assert (found.payment_id, found.reference, found.aliases) == ("t1", "t1", ("t0",))


@pytest.mark.parametrize(
    ("kind", "changes"),
    [
        ("refund_failed", {}),
        ("refund_failed", {"refunded_transaction_fk": "1"}),
        ("refund_failed", {"type": "credit", "refunded_transaction_fk": "1"}),
        ("transaction_settled", {"type": "credit", "refunded_transaction_fk": "1"}),
    ],
)
def test_a_refund_that_names_no_transaction_makes_no_payment_under_a_key_or_a_name_of_its_own(
    kind: str, changes: dict[str, str]
) -> None:
    with pytest.raises(Unreadable, match="refunded-transaction-id: missing"):
        read(kind, a_transaction(**changes))


def test_a_subscription_charges_without_the_customer_and_only_its_newest_transaction_is_told() -> None:
    found = event("subscription_charged_successfully", SUBSCRIPTION)
    assert (found.payment_id, found.initiator) == ("t1", Initiator.MERCHANT)


def test_an_amount_without_a_currency_is_no_amount() -> None:
    assert event("transaction_settled", "<transaction><id>t1</id><amount>10</amount></transaction>").amount is None


def test_a_credit_that_gives_nothing_back_is_no_payment_of_ours() -> None:
    assert read("transaction_settled", a_transaction(type="credit")).ignored == ("transaction_settled",)


def test_a_review_and_a_disbursement_are_kept_for_people_and_reconciliation() -> None:
    review = "<transaction-review><transaction-id>t1</transaction-id><decision>reject</decision></transaction-review>"
    found = event("transaction_reviewed", review)
    assert isinstance(found, ReviewChanged)
    assert (found.payment_id, found.open, found.verdict) == ("t1", False, "reject")
    disbursement = (
        "<disbursement><id>p1</id><amount>100.00</amount><success>false</success>"
        "<merchant-account><currency-iso-code>USD</currency-iso-code></merchant-account></disbursement>"
    )
    payout = event("disbursement_exception", disbursement)
    assert isinstance(payout, PayoutChanged)
    assert (payout.payout_id, payout.status, payout.amount) == ("p1", "failed", Money(10000, "USD"))


@pytest.mark.parametrize("kind", ["check", "subscription_canceled", "partner_merchant_connected", "never_heard_of"])
def test_other_kinds_are_ignored(kind: str) -> None:
    assert read(kind, "<check>true</check>").ignored == (kind,)


# Disputes


@pytest.mark.parametrize(
    ("kind", "status", "moved"),
    [
        ("dispute_opened", DisputeStatus.NEEDS_RESPONSE, -9000),
        ("dispute_under_review", DisputeStatus.UNDER_REVIEW, None),
        ("dispute_disputed", DisputeStatus.UNDER_REVIEW, None),
        ("dispute_won", DisputeStatus.WON, 9000),
        ("dispute_lost", DisputeStatus.LOST, None),
        ("dispute_accepted", DisputeStatus.ACCEPTED, None),
        ("dispute_auto_accepted", DisputeStatus.ACCEPTED, None),
        ("dispute_expired", DisputeStatus.EXPIRED, None),
    ],
)
def test_disputes(kind: str, status: DisputeStatus, moved: int | None) -> None:
    found = event(kind, a_dispute())
    assert isinstance(found, DisputeChanged)
    assert (found.stage, found.status, found.amount) == (DisputeStage.CHARGEBACK, status, Money(9000, "USD"))
    assert (found.dispute_id, found.payment_id, found.reason) == ("d1", "t1", DisputeReason.FRAUD)
    assert found.moved == (Money(moved, "USD") if moved else None)


@pytest.mark.parametrize(
    ("kind", "stage", "moves"),
    [
        ("retrieval", DisputeStage.INQUIRY, False),
        ("chargeback", DisputeStage.CHARGEBACK, True),
        ("pre_arbitration", DisputeStage.PRE_ARBITRATION, True),
    ],
)
def test_the_kind_inside_is_the_stage_and_a_retrieval_takes_no_money(
    kind: str, stage: DisputeStage, moves: bool
) -> None:
    found = event("dispute_opened", a_dispute(kind=kind))
    assert (found.stage, found.moved is not None) == (stage, moves)


def test_a_reply_by_date_is_over_where_the_date_begins_first() -> None:
    found = event("dispute_opened", a_dispute())
    assert found.respond_by == datetime(2026, 5, 19, 10, tzinfo=UTC)
    assert found.respond_by_text == "2026-05-20"


def test_a_later_round_is_of_the_dispute_that_it_goes_on_with_and_is_what_counts() -> None:
    told = [
        event("dispute_opened", a_dispute()),
        event("dispute_won", a_dispute()),
        event("dispute_opened", a_dispute(id="d2", kind="pre_arbitration", original_dispute_id="d1")),
        event("dispute_lost", a_dispute(id="d2", kind="pre_arbitration", original_dispute_id="d1")),
    ]
    assert [one.dispute_id for one in told] == ["d1"] * 4
    assert [one.answer_id for one in told] == [None, None, "d2", "d2"]
    rounds = [dataclasses.replace(one, occurred_at=NOON + timedelta(days=day)) for day, one in enumerate(told)]
    for order in itertools.permutations(rounds):
        dispute = Dispute(provider="braintree", dispute_id="d1", account="")
        for one in order:
            dispute = lifecycle.settle(lifecycle.record(dispute, one, NOON))
        assert (dispute.stage, dispute.status) == (DisputeStage.PRE_ARBITRATION, DisputeStatus.LOST)
        assert dispute.moved == Money(-9000, "USD")
        assert dispute.answer_id == "d2"


def test_a_first_round_names_none_before_it() -> None:
    for original in ("", "d1"):
        first = event("dispute_opened", a_dispute(original_dispute_id=original))
        assert (first.dispute_id, first.answer_id) == ("d1", None)


def test_a_won_dispute_gives_back_what_was_won() -> None:
    assert event("dispute_won", a_dispute(amount_won="85.00")).moved == Money(8500, "USD")


def test_what_visa_resolved_by_our_own_rules_was_prevented_and_cannot_be_answered() -> None:
    found = event("dispute_auto_accepted", a_dispute(pre_dispute_program="visa_rdr"))
    assert (found.status, found.can_respond) == (DisputeStatus.PREVENTED, False)


@pytest.mark.parametrize(("member", "value"), [("kind", "newfangled"), ("reply_by_date", "soon")])
def test_a_word_that_we_do_not_know_is_said_and_the_rest_stands(member: str, value: str) -> None:
    normalized = read("dispute_opened", a_dispute(**{member: value}))
    (line,) = normalized.unreadable
    assert member.replace("_", "-") in line
    assert value not in line
    assert len(normalized.events) == 1


def test_a_later_notification_of_one_dispute_is_another_event_and_a_copy_is_the_same() -> None:
    first, copy = (event("dispute_opened", a_dispute(updated_at="2026-05-01T12:00:00Z")) for _ in range(2))
    later = event("dispute_opened", a_dispute(updated_at="2026-05-02T12:00:00Z"))
    assert first == copy
    assert first.event_id != later.event_id


def test_a_notification_of_more_than_a_month_ago_is_refused_and_of_two_weeks_ago_is_not(tmp_path: Path) -> None:
    kit = a_kit("braintree", tmp_path)
    (body,) = kit.simulator.requests(a_fact(FactKind.DISPUTE_OPENED))
    assert kit.verify(kit.signed(body, NOON, NOON + timedelta(days=14)))
    with pytest.raises(SignatureInvalid):
        kit.verify(kit.signed(body, NOON, NOON + timedelta(days=32)))
