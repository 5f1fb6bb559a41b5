"""Apple: what its library signed and accepts, chains that prove nothing, types, and milliunits."""

import base64
import hashlib
import importlib
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, SECP384R1, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding

from shared.domain.delivery import Credentials, Delivery, Verdict
from shared.domain.errors import Misconfigured, SignatureInvalid, Unreadable
from shared.domain.events import (
    DisputeChanged,
    DisputeReason,
    DisputeStage,
    DisputeStatus,
    Initiator,
    PaymentChanged,
    PaymentStep,
)
from shared.domain.money import Money
from shared.providers import load
from shared.providers.apple import webhook as adapter
from shared.providers.kit.protocol import Normalized
from shared.providers.kit.unmapped import unmapped
from tests.providers.kits import NOON, SAMPLES, Kit, a_kit
from tests.simulator.providers import apple as simulated

SIGNED = SAMPLES / "apple" / "signed"
DECODED = SAMPLES / "apple" / "decoded"
there = pytest.mark.skipif(not SIGNED.exists(), reason="the folder of real payloads is absent")
MILLISECONDS = int(NOON.timestamp() * 1000)


def nobody(url: str) -> bytes:
    raise AssertionError(f"nothing is fetched for Apple: {url}")


def a_delivery(jws: str, at: datetime = NOON) -> Delivery:
    return Delivery("apple", json.dumps({"signedPayload": jws}).encode(), {}, at)


def reason(delivery: Delivery, credentials: Credentials) -> str | None:
    try:
        adapter.verify(delivery, credentials, nobody)
    except SignatureInvalid as error:
        return error.reason
    return None


# What Apple's own library is tested with


def under_the_test_root() -> Credentials:
    """The root that its test notification carries: the same name and key as the file of it, another serial number."""
    protected = (SIGNED / "testNotification.jws").read_text().partition(".")[0]
    x5c = json.loads(base64.urlsafe_b64decode(protected + "=" * (-len(protected) % 4)))["x5c"]
    carried = x509.load_der_x509_certificate(base64.b64decode(x5c[2]))
    file = x509.load_der_x509_certificate((SIGNED / "testCA.der").read_bytes())
    assert (carried.subject, carried.public_key()) == (file.subject, file.public_key())
    return Credentials(keys={"k": "com.example"}, trust=carried.public_bytes(Encoding.PEM))


SIGNED_AT = datetime.fromtimestamp(1681314324, UTC)


@there
def test_a_notification_of_apples_own_test_suite_verifies_under_its_root_and_not_under_the_pinned_one() -> None:
    delivery = a_delivery((SIGNED / "testNotification.jws").read_text().strip(), SIGNED_AT)
    verdict = adapter.verify(delivery, under_the_test_root(), nobody)
    assert (verdict.key_ids, verdict.signed_at) == (("k",), SIGNED_AT)
    assert adapter.normalize(delivery, verdict, under_the_test_root()).ignored == ("TEST",)
    assert reason(delivery, Credentials(keys={"k": "com.example"})) == "untrusted_certificate"


@there
@pytest.mark.parametrize("file", ["wrongBundleId", "missingX5CHeaderClaim", "transactionInfo", "legacyTransaction"])
def test_what_apples_own_library_refuses_is_refused(file: str) -> None:
    delivery = a_delivery((SIGNED / f"{file}.jws").read_text().strip(), SIGNED_AT)
    assert reason(delivery, under_the_test_root())


@there
def test_the_pinned_root_is_apples() -> None:
    der = (SIGNED / "AppleRootCA-G3.der").read_bytes()
    assert hashlib.sha256(der).hexdigest() == adapter.ROOT
    assert x509.load_der_x509_certificate(der).not_valid_after_utc.year == 2039


def test_the_official_library_agrees(tmp_path: Path) -> None:
    library = importlib.import_module("appstoreserverlibrary.signed_data_verifier")
    environment = importlib.import_module("appstoreserverlibrary.models.Environment").Environment
    kit = a_kit("apple", tmp_path)
    assert kit.credentials.trust is not None
    root = x509.load_pem_x509_certificate(kit.credentials.trust).public_bytes(Encoding.DER)
    theirs = library.SignedDataVerifier([root], False, environment.SANDBOX, kit.credentials.keys["current"])
    for body in kit.bodies():
        genuine = json.loads(kit.simulator.sign(body, NOON).body)["signedPayload"]
        decoded = theirs.verify_and_decode_notification(genuine)
        assert decoded.rawNotificationType == json.loads(body)["notificationType"]
        theirs.verify_and_decode_signed_transaction(decoded.data.signedTransactionInfo)
        forged = json.loads(kit.simulator.forge(body, NOON).body)["signedPayload"]
        with pytest.raises(library.VerificationException):
            theirs.verify_and_decode_notification(forged)


# Chains that agree with themselves and prove nothing

DAY = timedelta(days=1)


def a_chain(**wrong: Any) -> tuple[Any, list[x509.Certificate]]:
    """A leaf's key and its chain, under a root of its own. `leaf`, `intermediate`: what is wrong with them."""
    keys = {"leaf": generate_private_key(wrong.get("curve", SECP256R1()))}
    keys |= {role: generate_private_key(SECP384R1()) for role in ("intermediate", "root")}
    root = simulated.a_certificate(keys["root"], "root", None)
    intermediate = simulated.a_certificate(
        keys["intermediate"], "intermediate", (keys["root"], root), **wrong.get("intermediate", {})
    )
    leaf = simulated.a_certificate(keys["leaf"], "leaf", (keys["intermediate"], intermediate), **wrong.get("leaf", {}))
    return keys["leaf"], [leaf, intermediate, root]


def trusting(certificate: x509.Certificate) -> Credentials:
    return Credentials(keys={"k": "com.example.music"}, trust=certificate.public_bytes(Encoding.PEM))


def a_payload(**more: Any) -> dict[str, Any]:
    data = {"bundleId": "com.example.music", "environment": "Sandbox"} | more.pop("data", {})
    return {"notificationType": "TEST", "notificationUUID": "u-1", "signedDate": MILLISECONDS, "data": data, **more}


def test_a_chain_as_apples_is_verifies() -> None:
    key, chain = a_chain()
    assert reason(a_delivery(simulated.jws(a_payload(), key, chain)), trusting(chain[2])) is None


@pytest.mark.parametrize(
    "wrong",
    [
        {"leaf": {"mark": False}},
        {"intermediate": {"mark": False}},
        {"intermediate": {"authority": False}},
        {"leaf": {"ends": NOON - DAY}},
        {"leaf": {"begins": NOON + DAY}},
        {"intermediate": {"ends": NOON - DAY}},
        {"curve": SECP384R1()},
    ],
    ids=["leaf mark", "intermediate mark", "authority", "leaf ended", "leaf to begin", "intermediate ended", "curve"],
)
def test_a_chain_with_something_wrong_is_refused(wrong: dict[str, Any]) -> None:
    key, chain = a_chain(**wrong)
    assert reason(a_delivery(simulated.jws(a_payload(), key, chain)), trusting(chain[2])) == "untrusted_certificate"


@pytest.mark.parametrize("when", [None, "yesterday", 10**30])
def test_a_notification_without_a_readable_time_is_proved_and_stored_for_a_person(when: Any) -> None:
    key, chain = a_chain()
    delivery = a_delivery(simulated.jws(a_payload(signedDate=when, notificationType="DID_RENEW"), key, chain))
    verdict = adapter.verify(delivery, trusting(chain[2]), nobody)
    assert verdict.signed_at is None
    with pytest.raises(Unreadable):
        adapter.normalize(delivery, verdict, trusting(chain[2]))


CHAINS: dict[str, Callable[[list[x509.Certificate], list[x509.Certificate]], list[x509.Certificate]]] = {
    "no intermediate": lambda ours, _: [ours[0], ours[2]],
    "a root too many": lambda ours, _: [*ours, ours[2]],
    "another root": lambda ours, other: [ours[0], ours[1], other[2]],
    "another intermediate": lambda ours, other: [ours[0], other[1], ours[2]],
    "another leaf": lambda ours, other: [other[0], ours[1], ours[2]],
    "another chain under our root": lambda ours, other: [other[0], other[1], ours[2]],
    "none": lambda ours, _: [],
}


@pytest.mark.parametrize("name", CHAINS)
def test_certificates_that_do_not_belong_together_are_refused(name: str) -> None:
    (key, ours), (_, other) = a_chain(), a_chain()
    delivery = a_delivery(simulated.jws(a_payload(), key, CHAINS[name](ours, other)))
    assert reason(delivery, trusting(ours[2])) == "untrusted_certificate"


@pytest.mark.parametrize("header", [{"alg": "none"}, {"alg": "HS256"}, {"alg": "ES384"}, {"crit": ["x"]}], ids=str)
def test_another_algorithm_is_refused_whoever_signed(header: dict[str, Any]) -> None:
    key, chain = a_chain()
    assert reason(a_delivery(simulated.jws(a_payload(), key, chain, **header)), trusting(chain[2])) == "wrong_algorithm"


# The app, the environment, and what is inside


@pytest.mark.parametrize(
    ("live", "key", "data", "accepted"),
    [
        (False, "com.example.music", {}, True),
        (False, "com.example.music 41", {}, True),
        (False, "com.example.other", {}, False),
        (True, "com.example.music 41", {"environment": "Production", "appAppleId": 41}, True),
        (True, "com.example.music 42", {"environment": "Production", "appAppleId": 41}, False),
        (True, "com.example.music", {"environment": "Production", "appAppleId": 41}, False),
        (True, "com.example.music 41", {"environment": "Production"}, False),
        (False, "com.example.music", {"environment": "Xcode"}, False),
        (False, "com.example.music", {"environment": "LocalTesting"}, False),
        (False, "com.example.music", {"environment": None}, False),
    ],
)
def test_a_notification_is_for_an_app_of_ours_in_an_environment_that_proves_something(
    live: bool, key: str, data: dict[str, Any], accepted: bool
) -> None:
    signer, chain = a_chain()
    credentials = Credentials(keys={"k": key}, live=live, trust=chain[2].public_bytes(Encoding.PEM))
    assert (reason(a_delivery(simulated.jws(a_payload(data=data), signer, chain)), credentials) is None) is accepted


@pytest.mark.parametrize("member", ["signedTransactionInfo", "signedRenewalInfo"])
def test_a_transaction_inside_that_apple_did_not_sign_or_for_another_app_is_refused(member: str) -> None:
    (key, chain), (other_key, other_chain) = a_chain(), a_chain()
    credentials = trusting(chain[2])

    def judged(inside: str) -> str | None:
        return reason(a_delivery(simulated.jws(a_payload(data={member: inside}), key, chain)), credentials)

    own = {"bundleId": "com.example.music", "environment": "Sandbox", "signedDate": MILLISECONDS}
    assert judged(simulated.jws(own, key, chain)) is None
    assert judged(simulated.jws(own, other_key, other_chain)) == "untrusted_certificate"
    assert judged(simulated.jws(own, other_key, chain)) == "signature_mismatch"
    assert judged(simulated.jws(own | {"bundleId": "com.example.other"}, key, chain)) == "signature_mismatch"
    assert judged(simulated.jws(own | {"environment": "Production"}, key, chain)) == "signature_mismatch"
    assert judged("not a JWS") == "malformed_signature"


@pytest.mark.parametrize(
    ("signed_at", "why"), [(NOON - 2 * DAY, None), (NOON, "untrusted_certificate"), (None, "untrusted_certificate")]
)
def test_a_transaction_inside_is_judged_by_the_time_at_which_it_was_signed_itself(
    signed_at: datetime | None, why: str | None
) -> None:
    (key, chain), (older_key, older) = a_chain(), a_chain(leaf={"ends": NOON - DAY})
    roots = b"".join(root.public_bytes(Encoding.PEM) for root in (chain[2], older[2]))
    own: dict[str, Any] = {"bundleId": "com.example.music", "environment": "Sandbox"}
    if signed_at:
        own["signedDate"] = int(signed_at.timestamp() * 1000)
    outer = a_payload(data={"signedTransactionInfo": simulated.jws(own, older_key, older)})
    credentials = Credentials(keys={"k": "com.example.music"}, trust=roots)
    assert reason(a_delivery(simulated.jws(outer, key, chain)), credentials) == why


@pytest.mark.parametrize(
    ("told", "why"),
    [
        ({"receiptType": "Sandbox"}, None),
        ({"receiptType": "Production"}, "signature_mismatch"),
        ({"environment": "Production", "receiptType": "Sandbox"}, "signature_mismatch"),
        ({}, "signature_mismatch"),
    ],
)
def test_an_apps_own_transaction_says_its_environment_as_the_type_of_its_receipt(
    told: dict[str, str], why: str | None
) -> None:
    key, chain = a_chain()
    own = {"bundleId": "com.example.music", "signedDate": MILLISECONDS, **told}
    outer = a_payload(data={"signedAppTransactionInfo": simulated.jws(own, key, chain)})
    assert reason(a_delivery(simulated.jws(outer, key, chain)), trusting(chain[2])) == why


@pytest.mark.parametrize(("live", "key"), [(True, "com.example.music"), (False, "music"), (False, "com.example 4x")])
def test_a_key_that_names_no_app_is_refused_at_start(live: bool, key: str) -> None:
    with pytest.raises(Misconfigured, match="app"):
        adapter.check_credentials(Credentials(keys={"k": key}, live=live))


def test_a_folder_without_a_root_is_refused_at_start() -> None:
    with pytest.raises(Misconfigured, match="PAYIN_APPLE_CERTIFICATES"):
        adapter.check_credentials(Credentials(keys={"k": "com.example.music"}, trust=b"no certificate"))


# Types

KEY, CHAIN = a_chain()
TRANSACTION = {
    "transactionId": "2000000000000001",
    "originalTransactionId": "2000000000000000",
    "price": 10990,
    "currency": "USD",
    "appAccountToken": "7e3fb20b-4cdb-47cc-936d-99d65f608138",
    "transactionReason": "RENEWAL",
}
RENEWAL = {
    "originalTransactionId": "2000000000000000",
    "renewalPrice": 9990,
    "currency": "USD",
    "renewalDate": MILLISECONDS,
}


def notification(
    kind: str,
    subtype: str | None = None,
    transaction: dict[str, Any] | None = None,
    renewal: dict[str, Any] | None = None,
    **data: Any,
) -> tuple[Delivery, Normalized]:
    inside = {
        "signedTransactionInfo": simulated.jws(TRANSACTION | (transaction or {}), KEY, CHAIN),
        "signedRenewalInfo": simulated.jws(RENEWAL | (renewal or {}), KEY, CHAIN),
        **data,
    }
    payload = a_payload(notificationType=kind, data=inside) | ({"subtype": subtype} if subtype else {})
    delivery = a_delivery(simulated.jws(payload, KEY, CHAIN))
    return delivery, adapter.normalize(delivery, Verdict(("k",)), Credentials(keys={"k": "com.example.music"}))


def read(kind: str, subtype: str | None = None, *parts: Any, **data: Any) -> Normalized:
    return notification(kind, subtype, *parts, **data)[1]


def events(kind: str, subtype: str | None = None, **parts: Any) -> Any:
    normalized = read(kind, subtype, **parts)
    assert normalized.unreadable == ()
    return normalized.events


@pytest.mark.parametrize(
    ("kind", "subtype"),
    [
        ("SUBSCRIBED", "INITIAL_BUY"),
        ("SUBSCRIBED", "RESUBSCRIBE"),
        ("DID_RENEW", None),
        ("DID_RENEW", "BILLING_RECOVERY"),
        ("ONE_TIME_CHARGE", None),
        ("DID_CHANGE_RENEWAL_PREF", "UPGRADE"),
        ("OFFER_REDEEMED", "UPGRADE"),
    ],
)
def test_payments(kind: str, subtype: str | None) -> None:
    (found,) = events(kind, subtype)
    assert isinstance(found, PaymentChanged)
    assert (found.step, found.payment_id, found.reference) == (
        PaymentStep.CAPTURED,
        "2000000000000001",
        found.payment_id,
    )
    assert (found.amount, found.initiator) == (Money(1099, "USD"), Initiator.MERCHANT)
    assert (found.account, found.event_id) == ("com.example.music", "apple:com.example.music:u-1")
    assert found.customer_id == TRANSACTION["appAccountToken"]


@pytest.mark.parametrize(
    ("kind", "step"),
    [
        ("DID_FAIL_TO_RENEW", PaymentStep.DECLINED),
        ("EXPIRED", PaymentStep.CANCELED),
        ("GRACE_PERIOD_EXPIRED", PaymentStep.CANCELED),
    ],
)
def test_a_renewal_that_is_not_paid_is_not_the_payment_before_it(kind: str, step: PaymentStep) -> None:
    (found,) = events(kind)
    assert (found.step, found.amount) == (step, Money(999, "USD"))
    assert found.payment_id == "2000000000000000-renewal-2026-05-01"


def test_a_familys_share_that_ends_moves_no_money() -> None:
    (found,) = events("REVOKE")
    assert (found.step, found.amount) == (PaymentStep.CANCELED, None)


@pytest.mark.parametrize(
    ("kind", "subtype"),
    [
        ("SUBSCRIBED", "INITIAL_BUY"),
        ("DID_RENEW", None),
        ("DID_RENEW", "BILLING_RECOVERY"),
        ("ONE_TIME_CHARGE", None),
        ("DID_CHANGE_RENEWAL_PREF", "UPGRADE"),
        ("DID_FAIL_TO_RENEW", "GRACE_PERIOD"),
        ("EXPIRED", "BILLING_RETRY"),
        ("GRACE_PERIOD_EXPIRED", None),
        ("REVOKE", None),
    ],
)
def test_what_a_family_shares_is_paid_once_by_whoever_bought_it(kind: str, subtype: str | None) -> None:
    delivery, shared = notification(kind, subtype, {"inAppOwnershipType": "FAMILY_SHARED"})
    assert (shared.events, shared.ignored) == ((), shared.types)
    assert unmapped(load("apple"), delivery, shared) == ()
    assert len(events(kind, subtype, transaction={"inAppOwnershipType": "PURCHASED"})) == 1


def test_a_refund_that_is_asked_for_in_a_family_is_answered() -> None:
    (found,) = events("CONSUMPTION_REQUEST", transaction={"inAppOwnershipType": "FAMILY_SHARED"})
    assert found.status is DisputeStatus.NEEDS_RESPONSE


@pytest.mark.parametrize(
    ("kind", "step", "status"),
    [
        ("REFUND", PaymentStep.REFUNDED, DisputeStatus.LOST),
        ("REFUND_REVERSED", PaymentStep.REFUND_FAILED, DisputeStatus.WON),
    ],
)
def test_refunds_are_the_customers_request_granted_or_undone(
    kind: str, step: PaymentStep, status: DisputeStatus
) -> None:
    refund, request = events(kind)
    assert isinstance(refund, PaymentChanged)
    assert (refund.step, refund.amount, refund.reference) == (step, Money(1099, "USD"), "2000000000000001-refund")
    assert isinstance(request, DisputeChanged)
    assert (request.status, request.stage, request.dispute_id) == (status, DisputeStage.INQUIRY, refund.payment_id)
    assert refund.event_id != request.event_id


def test_a_refund_that_was_declined_is_a_request_that_we_won() -> None:
    (found,) = events("REFUND_DECLINED")
    assert (found.status, found.dispute_id) == (DisputeStatus.WON, "2000000000000001")


@pytest.mark.parametrize(
    ("told", "ours"),
    [
        ("FULFILLMENT_ISSUE", DisputeReason.NOT_RECEIVED),
        ("UNSATISFIED_WITH_PURCHASE", DisputeReason.NOT_AS_DESCRIBED),
        ("UNINTENDED_PURCHASE", DisputeReason.OTHER),
        ("LEGAL", DisputeReason.OTHER),
        ("NEWFANGLED", DisputeReason.OTHER),
        (None, None),
    ],
)
def test_a_request_for_a_refund_can_be_answered_for_twelve_hours(told: str | None, ours: DisputeReason | None) -> None:
    (found,) = events("CONSUMPTION_REQUEST", consumptionRequestReason=told)
    assert (found.stage, found.status) == (DisputeStage.INQUIRY, DisputeStatus.NEEDS_RESPONSE)
    assert (found.respond_by, found.can_respond) == (NOON + timedelta(hours=12), True)
    assert (found.reason, found.amount) == (ours, Money(1099, "USD"))


@pytest.mark.parametrize(
    ("price", "currency", "money"),
    [
        (10990, "USD", Money(1099, "USD")),
        (1480_000, "JPY", Money(1480, "JPY")),
        (3990, "KWD", Money(3990, "KWD")),
        (0, "EUR", Money(0, "EUR")),
    ],
)
def test_a_price_is_in_thousandths_whatever_the_currency(price: int, currency: str, money: Money) -> None:
    (found,) = events("SUBSCRIBED", transaction={"price": price, "currency": currency})
    assert found.amount == money


@pytest.mark.parametrize(("price", "currency"), [(10995, "USD"), (1480_500, "JPY"), ("10990", "USD"), (10**19, "USD")])
def test_a_price_that_no_currency_has_is_unreadable(price: Any, currency: str) -> None:
    with pytest.raises(Unreadable, match="price"):
        read("SUBSCRIBED", transaction={"price": price, "currency": currency})


@pytest.mark.parametrize(("percentage", "minor"), [(100_000, 1099), (50_000, 550), (33_333, 366), (0, 0)])
def test_a_partial_refund_is_a_percentage_of_the_price(percentage: int, minor: int) -> None:
    refund, _ = events("REFUND", transaction={"revocationPercentage": percentage})
    assert refund.amount == Money(minor, "USD")


def test_a_percentage_of_more_than_all_is_unreadable() -> None:
    with pytest.raises(Unreadable, match="Percentage"):
        read("REFUND", transaction={"revocationPercentage": 100_001})


@pytest.mark.parametrize(
    ("kind", "subtype"),
    [
        ("TEST", None),
        ("DID_CHANGE_RENEWAL_STATUS", "AUTO_RENEW_DISABLED"),
        ("DID_CHANGE_RENEWAL_PREF", "DOWNGRADE"),
        ("OFFER_REDEEMED", None),
        ("PRICE_INCREASE", "PENDING"),
        ("RENEWAL_EXTENDED", None),
        ("NEWFANGLED", None),
    ],
)
def test_types_that_move_no_money_are_ignored(kind: str, subtype: str | None) -> None:
    assert read(kind, subtype).ignored == (f"{kind}.{subtype}" if subtype else kind,)


@there
@pytest.mark.parametrize(
    "file",
    [
        "signedConsumptionRequestNotification",
        "signedExternalPurchaseTokenNotification",
        "signedExternalPurchaseTokenSandboxNotification",
        "signedNotification",
        "signedRescindConsentNotification",
        "signedSummaryNotification",
    ],
)
def test_published_examples_are_read(file: str) -> None:
    payload = json.loads((DECODED / f"{file}.json").read_bytes())
    if "data" in payload:
        transaction = json.loads((DECODED / "signedTransactionWithRevocation.json").read_bytes())
        renewal = json.loads((DECODED / "signedRenewalInfo.json").read_bytes())
        payload["data"]["signedTransactionInfo"] = simulated.jws(transaction, KEY, CHAIN)
        payload["data"]["signedRenewalInfo"] = simulated.jws(renewal, KEY, CHAIN)
    delivery = a_delivery(simulated.jws(payload, KEY, CHAIN))
    found = adapter.normalize(delivery, Verdict(("k",)), Credentials(keys={"k": "com.example"}))
    assert bool(found.events) == ("data" in payload)
    assert found.unreadable == ()
    assert found.livemode is (file == "signedExternalPurchaseTokenNotification")


def test_another_text_for_the_same_signature_is_refused(tmp_path: Path) -> None:
    kit: Kit = a_kit("apple", tmp_path)
    jws = json.loads(kit.signed(kit.bodies()[0]).body)["signedPayload"]
    signature = jws.rpartition(".")[2]
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    last = alphabet[alphabet.index(signature[-1]) | 1]
    assert base64.urlsafe_b64decode(signature + "==") == base64.urlsafe_b64decode(signature[:-1] + last + "==")
    for other in (jws[:-1] + last, jws + "==", jws + "\n"):
        assert reason(a_delivery(other), kit.credentials) == "malformed_signature"
