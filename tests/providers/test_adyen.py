import base64
import gzip
import hashlib
import hmac
import json
from datetime import UTC, datetime, timedelta
from textwrap import indent
from typing import Any, cast

import pytest
from Adyen import util as sdk

from shared.domain.delivery import Credentials, Delivery, Verdict
from shared.domain.errors import Misconfigured, SignatureInvalid, Unreadable
from shared.domain.events import (
    AnyEvent,
    DisputeChanged,
    DisputeReason,
    DisputeStage,
    DisputeStatus,
    FraudWarned,
    Initiator,
    PaymentChanged,
    PaymentStep,
    PayoutChanged,
    ReviewChanged,
)
from shared.domain.money import Money
from shared.providers.adyen import webhook as adyen
from shared.providers.kit.protocol import Normalized, Provider
from shared.providers.kit.unmapped import unmapped
from tests.providers.kits import SAMPLES

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
# The key of the signed examples in Adyen's own libraries.
PUBLISHED_KEY = "74F490DD33F7327BAECC88B2947C011FC02D014A473AAA33A8EC93E4DC069174"
KEY, OLD_KEY = "ab" * 32, "cd" * 32
CREDENTIALS = Credentials(
    keys={"now": KEY, "before": OLD_KEY, "published": PUBLISHED_KEY}, basic_auth={"adyen": "pass:wörd", "next": "two"}
)


def refuse_to_fetch(url: str) -> bytes:
    raise AssertionError("Adyen has no certificates to fetch")


def basic(pair: str = "adyen:pass:wörd") -> str:
    return "Basic " + base64.b64encode(pair.encode()).decode()


def an_item(code: str = "AUTHORISATION", **changes: Any) -> dict[str, Any]:
    item = {
        "pspReference": "QFQTPCQ8HXSKGK82",
        "merchantAccountCode": "OurECOM",
        "merchantReference": "order-1",
        "amount": {"currency": "EUR", "value": 1999},
        "eventCode": code,
        "eventDate": "2026-05-01T14:00:00+02:00",
        "success": "true",
        "paymentMethod": "visa",
        "reason": "",
        **changes,
    }
    return {key: value for key, value in item.items() if value is not None}


def signed(item: dict[str, Any], key: str = KEY) -> dict[str, Any]:
    mac = sdk.generate_notification_sig(item, key).decode()
    return {**item, "additionalData": {**item.get("additionalData", {}), "hmacSignature": mac}}


def batch(*items: dict[str, Any], live: str = "false") -> bytes:
    wrapped = [{"NotificationRequestItem": item} for item in items]
    return json.dumps({"live": live, "notificationItems": wrapped}).encode()


def a_delivery(body: bytes, **headers: str) -> Delivery:
    return Delivery("adyen", body, {"authorization": basic(), **headers}, NOON)


def verify(body: bytes, **headers: str) -> Verdict:
    return adyen.verify(a_delivery(body, **headers), CREDENTIALS, refuse_to_fetch)


def translated(*items: dict[str, Any], live: str = "false") -> Normalized:
    body = batch(*items, live=live)
    return adyen.normalize(a_delivery(body), Verdict(("now",), unsigned=adyen.UNSIGNED), CREDENTIALS)


def told(item: dict[str, Any]) -> AnyEvent:
    found = translated(item)
    assert found.unreadable == ()
    (event,) = found.events
    return event


def dispute(code: str, extra: dict[str, str] | None = None, **changes: Any) -> DisputeChanged:
    event = told(an_item(code, **{"originalReference": "9913140798220028", "additionalData": extra or {}, **changes}))
    assert isinstance(event, DisputeChanged)
    return event


# Signatures


def test_adyens_own_signed_notifications_verify_with_their_published_key() -> None:
    files = sorted((SAMPLES / "adyen" / "signed").glob("*.json"))
    if not files:
        pytest.skip("the folder of real payloads is absent")
    for file in files:
        assert verify(batch(json.loads(file.read_bytes()))).key_ids == ("published",), file.name


# Adyen's libraries for Python, Node and Java each publish items with the signature that Adyen gives them.
PUBLISHED = [
    (
        "44782DEF547AAA06C910C43932B1EB0C71FC68D9D0C057550C48EC2ACF6BA056",
        "coqCmt/IZ4E3CzPvMY8zTjQVL5hYJUiBRg8UU+iCWo0=",
        ("7914073381342284", None, "TestMerchant", "TestPayment-1407325143704", 1130, "AUTHORISATION"),
    ),
    (
        "DFB1EB5485895CFA84146406857104ABB4CBCABDC8AAF103A624C8F6A3EAAB00",
        "xhpHvYq2u2Np0rstbZ6QjLGu7JWhvf7Iwaa6EviJSX0=",
        ("pspReference", "originalReference", "merchantAccount", "reference", 1000, "CAPTURE"),
    ),
    (  # an amount may be sent as text: such an item is as genuine as the others, and Adyen would repeat it for a month
        "9064450A8892A093D9E97EFCC9639DE31B74F3A7803135555A3C96F5A57915D6",
        "NuEkADFmlCC6VgX+wcoPAegIWxVPNBPCuKlM4Hzo5qc=",
        ("test_REPORT_AVAILABLE", None, "Magento2Rik", "testMerchantRef1", "0", "REPORT_AVAILABLE"),
    ),
    (
        PUBLISHED_KEY,
        "CZErGCNQaSsxbaQfZaJlakqo7KPP+mIa8a+wx3yNs9A=",
        ("ZVWN7D3WSMK2WN82", None, "AntoniStroinski", "\\:/\\/slashes are fun", 1000, "AUTHORISATION"),
    ),
]


@pytest.mark.parametrize(("key", "signature", "fields"), PUBLISHED)
def test_the_published_vectors_verify(key: str, signature: str, fields: tuple[Any, ...]) -> None:
    psp, original, account, reference, value, code = fields
    item = an_item(
        code,
        pspReference=psp,
        originalReference=original,
        merchantAccountCode=account,
        merchantReference=reference,
        amount={"currency": "EUR", "value": value},
        additionalData={"hmacSignature": signature},
    )
    credentials = Credentials(keys={"published": key}, basic_auth=CREDENTIALS.basic_auth)
    assert adyen.verify(a_delivery(batch(item)), credentials, refuse_to_fetch).key_ids == ("published",)
    item["success"] = "false"
    with pytest.raises(SignatureInvalid):
        adyen.verify(a_delivery(batch(item)), credentials, refuse_to_fetch)


def test_the_sdk_and_we_agree_on_what_is_genuine() -> None:
    for reference in ("order:1", "a\\b", "a/b", "Zoë", ""):
        item = signed(an_item(merchantReference=reference, originalReference="9913140798220028"))
        assert sdk.is_valid_hmac_notification({"notificationItems": [{"NotificationRequestItem": item}]}, KEY)
        assert verify(batch(item)).key_ids == ("now",)
        item["success"] = "false"
        assert not sdk.is_valid_hmac_notification({"notificationItems": [{"NotificationRequestItem": item}]}, KEY)
        with pytest.raises(SignatureInvalid):
            verify(batch(item))


@pytest.mark.parametrize(
    "field", ["pspReference", "originalReference", "merchantAccountCode", "merchantReference", "eventCode", "success"]
)
def test_every_character_of_every_signed_field_is_covered(field: str) -> None:
    item = signed(an_item(originalReference="9913140798220028"))
    for place in range(len(item[field])):
        flipped = item[field][:place] + chr(ord(item[field][place]) ^ 1) + item[field][place + 1 :]
        with pytest.raises(SignatureInvalid):
            verify(batch({**item, field: flipped}))
    with pytest.raises(SignatureInvalid):
        verify(batch({key: value for key, value in item.items() if key != field}))


@pytest.mark.parametrize("amount", [{"currency": "EUR", "value": 1998}, {"currency": "EUS", "value": 1999}, {}, None])
def test_the_amount_is_covered(amount: Any) -> None:
    with pytest.raises(SignatureInvalid):
        verify(batch({**signed(an_item()), "amount": amount}))


def test_every_item_of_a_batch_is_verified_which_the_sdk_does_not() -> None:
    good, forged = signed(an_item()), signed(an_item("CAPTURE"), key="ef" * 32)
    both = {"notificationItems": [{"NotificationRequestItem": good}, {"NotificationRequestItem": forged}]}
    assert sdk.is_valid_hmac_notification(both, KEY)
    with pytest.raises(SignatureInvalid):
        verify(batch(good, forged))
    with pytest.raises(SignatureInvalid):
        verify(batch(good, an_item("CAPTURE")))


def test_a_batch_that_mixes_an_old_and_a_new_key_names_both() -> None:
    assert verify(batch(signed(an_item(), OLD_KEY), signed(an_item("CAPTURE")))).key_ids == ("before", "now")


def test_a_colon_cannot_move_a_signature_to_another_item() -> None:
    genuine = signed(an_item(originalReference="", merchantReference="order"))
    moved = {**genuine, "merchantAccountCode": "OurECOM:order", "merchantReference": ""}
    joined = ":".join(("QFQTPCQ8HXSKGK82", "", "OurECOM:order", "", "1999", "EUR", "AUTHORISATION", "true"))
    mac = base64.b64encode(hmac.new(bytes.fromhex(KEY), joined.encode(), hashlib.sha256).digest()).decode()
    moved["additionalData"] = {"hmacSignature": mac}
    with pytest.raises(SignatureInvalid) as refusal:
        verify(batch(moved))
    assert refusal.value.reason == "malformed_signature"


@pytest.mark.parametrize(
    ("body", "because"),
    [
        (batch(), "no items"),
        (b'{"notificationItems": {}}', "no items"),
        (b"{}", "no items and no HmacSignature"),
        (b"[]", "no items and no HmacSignature"),
        (b"{", "no items and no HmacSignature"),
        (b'{"notificationItems": [1]}', "an item without a signature"),
        (batch(an_item()), "an item without a signature"),
        (batch(signed(an_item()), an_item("CAPTURE")), "an item without a signature"),
        (batch(an_item(additionalData={"hmacSignature": ""})), "an item without a signature"),
        (batch(an_item(additionalData={"hmacSignature": 7})), "an item without a signature"),
    ],
)
def test_a_body_with_nothing_signed_is_refused_and_told_from_one_that_is_signed_wrongly(
    body: bytes, because: str
) -> None:
    with pytest.raises(SignatureInvalid, match=f"^{because}$") as refusal:
        verify(body)
    assert refusal.value.reason == "missing_signature"


@pytest.mark.parametrize(
    "authorization",
    [
        "",
        basic("adyen:wrong"),
        basic("two:adyen"),
        "Bearer x",
        "Basic",
        "Basic ###",
        basic("adyen"),
        basic(":"),
        "Basic é",
    ],
)
def test_a_true_signature_is_refused_without_the_password(authorization: str) -> None:
    with pytest.raises(SignatureInvalid) as refusal:
        verify(batch(signed(an_item())), authorization=authorization)
    assert refusal.value.reason == "basic_auth_mismatch"


def test_each_active_user_is_let_in() -> None:
    assert verify(batch(signed(an_item())), authorization=basic("next:two"))
    assert verify(batch(signed(an_item())), authorization="basic  " + basic()[6:])


@pytest.mark.parametrize(
    "credentials",
    [
        Credentials(keys={"k": "not hex at all, but long enough"}, basic_auth={"a": "b"}),
        Credentials(keys={"k": "abcd"}, basic_auth={"a": "b"}),
        Credentials(keys={"k": KEY}),
    ],
)
def test_settings_that_could_not_protect_us_are_refused_at_start(credentials: Credentials) -> None:
    with pytest.raises(Misconfigured, match="WEBHOOK_ADYEN"):
        adyen.check_credentials(credentials)


def test_a_platform_webhook_is_verified_over_its_raw_body_and_ignored_as_a_type() -> None:
    body = b'{"type":"balancePlatform.dispute.created","environment":"test","data":{}}'
    mac = sdk.generate_payload_sig(body, KEY).decode()
    verdict = verify(body, hmacsignature=mac)
    assert (verdict.key_ids, verdict.unsigned) == (("now",), ())
    found = adyen.normalize(a_delivery(body), verdict, CREDENTIALS)
    assert (found.ignored, found.livemode) == (("balancePlatform.dispute.created",), False)
    for place in range(len(body)):
        flipped = body[:place] + bytes([body[place] ^ 1]) + body[place + 1 :]
        with pytest.raises(SignatureInvalid):
            verify(flipped, hmacsignature=mac)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        gzip.compress(b'{"type": "balancePlatform.transfer.created"}', mtime=0),
        b"[]",
        b"\xff",
        b'{"type":',
        b'{"type": 7}',
    ],
)
def test_a_platform_body_that_cannot_be_read_is_proved_all_the_same_and_stored(body: bytes) -> None:
    mac = sdk.generate_payload_sig(body, KEY).decode()
    verdict = verify(body, hmacsignature=mac)
    with pytest.raises(Unreadable):
        adyen.normalize(a_delivery(body), verdict, CREDENTIALS)
    with pytest.raises(SignatureInvalid):
        verify(body + b" ", hmacsignature=mac)
    with pytest.raises(SignatureInvalid):
        verify(body)


def test_the_published_platform_webhook_verifies_with_its_every_space() -> None:
    told = {
        "type": "merchant.created",
        "environment": "test",
        "createdAt": "01-01-2024",
        "data": {
            "capabilities": {"sendToTransferInstrument": {"requested": True, "requestedLevel": "notApplicable"}},
            "companyId": "YOUR_COMPANY_ID",
            "merchantId": "YOUR_MERCHANT_ACCOUNT",
            "status": "PreActive",
        },
    }
    body = f"\n{indent(json.dumps(told, indent=4), ' ' * 8)}\n{' ' * 8}".encode()
    key = "44782DEF547AAA06C910C43932B1EB0C71FC68D9D0C057550C48EC2ACF6BA056"
    credentials = Credentials(keys={"published": key}, basic_auth=CREDENTIALS.basic_auth)
    headers = {"hmacsignature": "fX74xUdztFmaXAn3IusMFFUBUSkLmDQUK0tm8xL6ZTU="}
    assert adyen.verify(a_delivery(body, **headers), credentials, refuse_to_fetch).key_ids == ("published",)
    with pytest.raises(SignatureInvalid):
        adyen.verify(a_delivery(body.strip(), **headers), credentials, refuse_to_fetch)


def test_a_classic_notification_is_never_verified_by_the_platform_header() -> None:
    body = batch(an_item())
    with pytest.raises(SignatureInvalid):
        verify(body, hmacsignature=sdk.generate_payload_sig(body, KEY).decode())


# What is not signed


def test_every_event_names_its_fields_that_nobody_signed() -> None:
    event = dispute("CHARGEBACK", {"disputeStatus": "Lost", "defensePeriodEndsAt": "2026-05-20T00:00:00+02:00"})
    assert {"respond_by", "reason_code", "occurred_at", "can_respond", "status"} <= set(event.unsigned)
    assert not {"amount", "moved", "dispute_id", "payment_id", "stage", "event_id"} & set(event.unsigned)
    assert "status" not in dispute("SECOND_CHARGEBACK", {"disputeStatus": "Won"}).unsigned


def test_a_hint_never_overrules_a_signed_outcome() -> None:
    assert dispute("PREARBITRATION_LOST", {"disputeStatus": "Won"}).status is DisputeStatus.LOST


def test_cancel_or_refund_is_told_apart_by_an_unsigned_word_and_says_so() -> None:
    for action, step in (
        (None, PaymentStep.CANCELED),
        ("cancel", PaymentStep.CANCELED),
        ("refund", PaymentStep.REFUNDED),
    ):
        event = told(
            an_item("CANCEL_OR_REFUND", originalReference="99", additionalData={"modification.action": action})
        )
        assert isinstance(event, PaymentChanged)
        assert event.step is step
        assert "step" in event.unsigned


def test_a_replay_with_another_unsigned_date_is_the_same_event() -> None:
    first, again = told(an_item()), told(an_item(eventDate="2025-01-01T00:00:00Z"))
    assert first.event_id == again.event_id == "adyen:OurECOM:AUTHORISATION.QFQTPCQ8HXSKGK82..true"


@pytest.mark.parametrize(("ahead", "read"), [(timedelta(minutes=5), True), (timedelta(minutes=5, seconds=1), False)])
def test_a_date_that_nobody_signed_is_not_later_than_its_own_delivery(ahead: timedelta, read: bool) -> None:
    found = translated(an_item("INFORMATION_SUPPLIED", eventDate=(NOON + ahead).isoformat()))
    assert bool(found.events) is read
    if not read:
        assert found.unreadable == (
            "notificationItems[0].NotificationRequestItem.eventDate: later than the delivery that it came in",
        )


def test_a_deadline_without_a_zone_is_read_as_the_earliest_that_it_can_mean() -> None:
    event = dispute("CHARGEBACK", {"defensePeriodEndsAt": "2026-05-20"})
    assert (event.respond_by, event.respond_by_text) == (datetime(2026, 5, 19, 10, tzinfo=UTC), "2026-05-20")


def test_events_of_one_dispute_share_a_reference_and_have_ids_of_their_own() -> None:
    codes = ("NOTIFICATION_OF_CHARGEBACK", "CHARGEBACK", "CHARGEBACK_REVERSED", "SECOND_CHARGEBACK")
    events = [dispute(code) for code in codes]
    assert len({event.event_id for event in events}) == 4
    assert {event.dispute_id for event in events} == {"QFQTPCQ8HXSKGK82"}


# The table of codes


@pytest.mark.parametrize(
    ("code", "success", "step"),
    [
        ("AUTHORISATION", True, PaymentStep.AUTHORIZED),
        ("AUTHORISATION", False, PaymentStep.DECLINED),
        ("AUTHORISATION_ADJUSTMENT", True, PaymentStep.AUTHORIZED),
        ("AUTHORISATION_ADJUSTMENT", False, None),
        ("CAPTURE", True, PaymentStep.CAPTURED),
        ("CAPTURE", False, PaymentStep.CAPTURE_FAILED),
        ("CAPTURE_FAILED", True, PaymentStep.CAPTURE_FAILED),
        ("OFFER_CLOSED", True, PaymentStep.DECLINED),
        ("PENDING", True, PaymentStep.PENDING),
        ("CANCELLATION", True, PaymentStep.CANCELED),
        ("CANCELLATION", False, None),
        ("TECHNICAL_CANCEL", True, PaymentStep.CANCELED),
        ("EXPIRE", False, None),
        ("CANCEL_OR_REFUND", False, None),
        ("REFUND", True, PaymentStep.REFUNDED),
        ("REFUND", False, PaymentStep.REFUND_FAILED),
        ("REFUND_WITH_DATA", True, PaymentStep.REFUNDED),
        ("REFUND_FAILED", True, PaymentStep.REFUND_FAILED),
        ("REFUNDED_REVERSED", True, PaymentStep.REFUND_FAILED),
        ("POSTPONED_REFUND", True, PaymentStep.REFUND_PENDING),
        ("VOID_PENDING_REFUND", True, None),
        ("RECURRING_CONTRACT", True, None),
        ("REPORT_AVAILABLE", True, None),
        ("A_CODE_OF_NEXT_YEAR", True, None),
    ],
)
def test_each_code_tells_its_step_of_the_payment(code: str, success: bool, step: PaymentStep | None) -> None:
    own = code in ("AUTHORISATION", "PENDING", "OFFER_CLOSED")
    original = None if own else "9913140798220028"
    found = translated(an_item(code, success="true" if success else "false", originalReference=original))
    assert found.types == (code,)
    if step is None:
        assert (found.events, found.ignored) == ((), (code,))
        return
    (event,) = found.events
    assert isinstance(event, PaymentChanged)
    assert event.step is step
    assert event.payment_id == ("QFQTPCQ8HXSKGK82" if own else "9913140798220028")
    assert (event.reference, event.amount, event.merchant_reference) == (
        "QFQTPCQ8HXSKGK82",
        Money(1999, "EUR"),
        "order-1",
    )
    assert event.occurred_at == NOON
    assert event.cumulative is (code == "AUTHORISATION_ADJUSTMENT")


@pytest.mark.parametrize(
    ("code", "stage", "status", "final", "sign"),
    [
        ("REQUEST_FOR_INFORMATION", DisputeStage.INQUIRY, DisputeStatus.NEEDS_RESPONSE, True, 0),
        ("NOTIFICATION_OF_CHARGEBACK", DisputeStage.CHARGEBACK, DisputeStatus.NEEDS_RESPONSE, True, 0),
        ("DISPUTE_OPENED_WITH_CHARGEBACK", DisputeStage.CHARGEBACK, DisputeStatus.NEEDS_RESPONSE, True, 0),
        ("CHARGEBACK", DisputeStage.CHARGEBACK, DisputeStatus.NEEDS_RESPONSE, True, -1),
        ("INFORMATION_SUPPLIED", None, DisputeStatus.UNDER_REVIEW, True, 0),
        ("ISSUER_COMMENTS", None, None, True, 0),
        ("CHARGEBACK_REVERSED", DisputeStage.CHARGEBACK, DisputeStatus.WON, False, 1),
        ("SECOND_CHARGEBACK", DisputeStage.PRE_ARBITRATION, DisputeStatus.LOST, True, -1),
        ("ISSUER_RESPONSE_TIMEFRAME_EXPIRED", None, DisputeStatus.WON, True, 0),
        ("DISPUTE_DEFENSE_PERIOD_ENDED", None, DisputeStatus.EXPIRED, True, 0),
        ("PREARBITRATION_OPEN", DisputeStage.PRE_ARBITRATION, DisputeStatus.NEEDS_RESPONSE, True, 0),
        ("PREARBITRATION_ACCEPTED", DisputeStage.PRE_ARBITRATION, None, True, 0),
        ("PREARBITRATION_DECLINED", DisputeStage.PRE_ARBITRATION, None, True, 0),
        ("PREARBITRATION_WON", DisputeStage.PRE_ARBITRATION, DisputeStatus.WON, True, 0),
        ("PREARBITRATION_LOST", DisputeStage.PRE_ARBITRATION, DisputeStatus.LOST, True, 0),
        ("PREARBITRATION_ISSUER_WITHDRAWN", DisputeStage.PRE_ARBITRATION, DisputeStatus.CLOSED, True, 0),
        ("SCHEME_ARBITRATION", DisputeStage.ARBITRATION, DisputeStatus.UNDER_REVIEW, True, 0),
        ("SCHEME_ARBITRATION_WON", DisputeStage.ARBITRATION, DisputeStatus.WON, True, 0),
        ("SCHEME_ARBITRATION_LOST", DisputeStage.ARBITRATION, DisputeStatus.LOST, True, 0),
    ],
)
def test_each_dispute_code_tells_stage_status_and_money(
    code: str, stage: DisputeStage | None, status: DisputeStatus | None, final: bool, sign: int
) -> None:
    event = dispute(code)
    assert (event.stage, event.status, event.final) == (stage, status, final)
    assert event.moved == (Money(sign * 1999, "EUR") if sign else None)
    assert event.payment_id == "9913140798220028"


@pytest.mark.parametrize(
    ("hint", "status"),
    [
        ("Unresponded", DisputeStatus.NEEDS_RESPONSE),
        ("Undefended", DisputeStatus.NEEDS_RESPONSE),
        ("Responded", DisputeStatus.UNDER_REVIEW),
        ("Pending", DisputeStatus.UNDER_REVIEW),
        ("Expired", DisputeStatus.EXPIRED),
        ("Accepted", DisputeStatus.ACCEPTED),
        ("Lost", DisputeStatus.LOST),
        ("Won", DisputeStatus.WON),
        ("Something new", DisputeStatus.NEEDS_RESPONSE),
    ],
)
def test_a_chargeback_is_open_or_over_as_dispute_status_hints(hint: str, status: DisputeStatus) -> None:
    assert dispute("CHARGEBACK", {"disputeStatus": hint}).status is status


@pytest.mark.parametrize(
    ("hint", "status"),
    [
        (None, DisputeStatus.UNDER_REVIEW),
        ("Responded", DisputeStatus.UNDER_REVIEW),
        ("Pending", DisputeStatus.UNDER_REVIEW),
        ("Undefended", DisputeStatus.NEEDS_RESPONSE),
    ],
)
def test_documents_that_were_uploaded_are_no_defense_until_adyen_says_so(
    hint: str | None, status: DisputeStatus
) -> None:
    assert dispute("INFORMATION_SUPPLIED", {"disputeStatus": hint} if hint else {}).status is status


@pytest.mark.parametrize(
    ("code", "hint", "status"),
    [
        ("DISPUTE_DEFENSE_PERIOD_ENDED", "Undefended", DisputeStatus.EXPIRED),
        ("DISPUTE_DEFENSE_PERIOD_ENDED", "Pending", DisputeStatus.EXPIRED),
        ("DISPUTE_DEFENSE_PERIOD_ENDED", "Accepted", DisputeStatus.ACCEPTED),
        ("DISPUTE_DEFENSE_PERIOD_ENDED", "Lost", DisputeStatus.LOST),
        ("INFORMATION_SUPPLIED", "Won", DisputeStatus.UNDER_REVIEW),
    ],
)
def test_a_hint_says_more_than_the_signed_code_and_never_the_contrary(
    code: str, hint: str, status: DisputeStatus
) -> None:
    assert dispute(code, {"disputeStatus": hint}).status is status


def test_a_later_event_without_the_original_reference_still_names_its_dispute() -> None:
    event = dispute("SECOND_CHARGEBACK", originalReference=None)
    assert (event.dispute_id, event.payment_id) == ("QFQTPCQ8HXSKGK82", None)


def test_codes_are_stripped_and_deadlines_kept_in_both_forms() -> None:
    event = dispute(
        "NOTIFICATION_OF_CHARGEBACK",
        {
            "chargebackReasonCode": " 4837",
            "chargebackSchemeCode": "mc",
            "defensePeriodEndsAt": "2026-05-20T03:03:07+02:00",
            "defendable": "false",
            "autoDefended": "true",
        },
    )
    assert (event.reason_code, event.reason, event.network) == ("4837", DisputeReason.FRAUD, "mastercard")
    assert event.respond_by == datetime(2026, 5, 20, 1, 3, 7, tzinfo=UTC)
    assert event.respond_by_text == "2026-05-20T03:03:07+02:00"
    assert (event.can_respond, event.autodefended) == (False, True)


def test_a_deadline_that_cannot_be_read_keeps_its_words_and_asks_for_a_person() -> None:
    found = translated(an_item("CHARGEBACK", additionalData={"defensePeriodEndsAt": "next Friday"}))
    (event,) = found.events
    assert isinstance(event, DisputeChanged)
    assert (event.respond_by, event.respond_by_text) == (None, "next Friday")
    assert "defensePeriodEndsAt" in found.unreadable[0]


def test_one_unreadable_item_does_not_sink_the_others() -> None:
    found = translated(an_item(), an_item(eventDate="yesterday"), an_item("CAPTURE", originalReference="99"))
    assert [event.event_id.split(":")[2].split(".")[0] for event in found.events] == ["AUTHORISATION", "CAPTURE"]
    assert found.unreadable == (
        "notificationItems[1].NotificationRequestItem.eventDate: not an RFC 3339 instant with an offset",
    )


@pytest.mark.parametrize(
    ("currency", "sent", "minor"),
    [
        ("CLP", 500000, 5000),
        ("ISK", 500000, 5000),
        ("CVE", 500, 50000),
        ("IDR", 500, 50000),
        ("JPY", 500, 500),
        ("KWD", 1230, 1230),
    ],
)
def test_amounts_follow_adyens_decimals(currency: str, sent: int, minor: int) -> None:
    event = told(an_item(amount={"currency": currency, "value": sent}))
    assert isinstance(event, PaymentChanged)
    assert event.amount == Money(minor, currency)


@pytest.mark.parametrize(("live", "mode"), [("true", True), ("false", False), ("", None)])
def test_live_is_a_word(live: str, mode: bool | None) -> None:
    found = translated(an_item(), live=live)
    assert found.livemode is mode
    assert found.events[0].livemode is bool(mode)


def test_the_answer_is_the_word_that_older_endpoints_must_send() -> None:
    assert (adyen.ANSWER.status, adyen.ANSWER.body) == (200, b"[accepted]")


def test_an_authorisation_tells_of_card_shopper_and_checks() -> None:
    event = told(
        an_item(
            success="false",
            reason="Blocked Card",
            additionalData={
                "cardSummary": "4242",
                "cardBin": "424242",
                "alias": "H1",
                "fundingSource": "DEBIT",
                "issuerCountry": "DE",
                "shopperEmail": "Ana@music.example",
                "shopperIP": "198.51.100.7",
                "shopperReference": "ana@music.example",
                "shopperInteraction": "ContAuth",
                "cvcResult": "2 Doesn't match",
                "avsResult": "7 Both postal code and address match",
                "totalFraudScore": "97",
                "threeDAuthenticated": "true",
                "metadata.device_id": "d-1",
            },
        )
    )
    assert isinstance(event, PaymentChanged)
    assert event.card is not None
    assert (event.card.network, event.card.bin, event.card.funding, event.card.country) == (
        "visa",
        "424242",
        "debit",
        "DE",
    )
    assert event.customer_id == event.email_hash
    assert (event.ip, event.device_id, event.initiator) == ("198.51.100.7", "d-1", Initiator.MERCHANT)
    assert (event.cvv_result, event.avs_result, event.provider_score) == ("mismatch", "match", 97.0)
    assert (event.decline_code, event.hard_decline, event.three_d_secure) == ("Blocked Card", True, "authenticated")


def test_an_approval_code_in_reason_is_not_taken_for_a_decline() -> None:
    event = told(an_item(reason="052095:4242:08/2029"))
    assert isinstance(event, PaymentChanged)
    assert event.decline_code is None


def test_warnings_and_reviews_are_told() -> None:
    warned = told(an_item("NOTIFICATION_OF_FRAUD", originalReference="99", additionalData={"nofReasonCode": "6", "nofSchemeCode": "visa"}))  # fmt: skip
    assert isinstance(warned, FraudWarned)
    assert (warned.payment_id, warned.fraud_type, warned.network) == ("99", "6", "visa")
    for code, verdict in (("MANUAL_REVIEW_ACCEPT", "approved"), ("MANUAL_REVIEW_REJECT", "rejected")):
        review = told(an_item(code, originalReference="99"))
        assert isinstance(review, ReviewChanged)
        assert (review.payment_id, review.open, review.verdict) == ("99", False, verdict)


@pytest.mark.parametrize("code", ["PAYOUT_THIRDPARTY", "PAYOUT_DECLINE", "PAYOUT_EXPIRE", "PAIDOUT_REVERSED"])
def test_money_paid_to_somebody_else_is_no_payout_of_ours_and_no_news(code: str) -> None:
    found = translated(an_item(code, originalReference="99"))
    assert (found.events, found.ignored) == ((), (code,))
    assert unmapped(cast(Provider, adyen), a_delivery(batch(an_item(code))), found) == ()


@pytest.mark.parametrize(
    "code",
    [
        *("REFUND", "REFUND_FAILED", "REFUNDED_REVERSED", "POSTPONED_REFUND", "CANCEL_OR_REFUND"),
        *("CAPTURE", "CAPTURE_FAILED", "CANCELLATION", "TECHNICAL_CANCEL", "AUTHORISATION_ADJUSTMENT"),
        *("NOTIFICATION_OF_FRAUD", "MANUAL_REVIEW_ACCEPT", "MANUAL_REVIEW_REJECT"),
    ],
)
def test_a_change_that_names_no_payment_makes_none_under_its_own_name(code: str) -> None:
    found = translated(an_item(code))
    assert found.events == ()
    assert found.unreadable == ("notificationItems[0].NotificationRequestItem.originalReference: missing",)


@pytest.mark.parametrize("code", ["REFUND_WITH_DATA", "VOID_PENDING_REFUND"])
def test_a_refund_of_no_payment_and_its_end_are_nobodys_payment(code: str) -> None:
    original = "9913140798220028" if code == "VOID_PENDING_REFUND" else None  # the refund that it ends
    found = translated(an_item(code, originalReference=original))
    assert (found.events, found.ignored, found.unreadable) == ((), (code,), ())


@pytest.mark.parametrize(("original", "payment"), [(None, "QFQTPCQ8HXSKGK82"), ("99", "99")])
def test_an_authorization_that_expired_is_named_with_or_without_a_reference_of_its_end(
    original: str | None, payment: str
) -> None:
    event = told(an_item("EXPIRE", originalReference=original))
    assert isinstance(event, PaymentChanged)
    assert (event.payment_id, event.step, event.amount) == (payment, PaymentStep.CANCELED, None)
    assert (event.reference, event.merchant_reference) == ("QFQTPCQ8HXSKGK82", "order-1")


@pytest.mark.parametrize("member", ["shopperReference", "tokenization.shopperReference", "recurring.shopperReference"])
def test_the_shopper_is_read_under_each_of_adyens_names_for_it(member: str) -> None:
    event = told(an_item(additionalData={member: "customer-1"}))
    assert isinstance(event, PaymentChanged)
    assert event.customer_id == "customer-1"


@pytest.mark.parametrize(
    ("file", "success", "is_one"),
    [
        ("settlement_detail_report_batch_7.csv", "true", True),
        ("settlement_detail_report_batch_7_2026-11-25.csv", "true", True),
        ("settlement_detail_report_batch_7.csv", "false", False),
        ("payments_accounting_report_2026_11_25.csv", "true", False),
        ("settlement_detail_report_batch_7.csv/../x", "true", False),
    ],
)
def test_a_settlement_report_names_a_payout_and_no_other_report_does(file: str, success: str, is_one: bool) -> None:
    found = translated(an_item("REPORT_AVAILABLE", success=success, pspReference=file, originalReference=None))
    assert [(type(one), one.payout_id) for one in found.events if isinstance(one, PayoutChanged)] == (
        [(PayoutChanged, file)] if is_one else []
    )
