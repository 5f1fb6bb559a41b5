"""Google Play: tokens and their claims, google-auth, kinds of notification, and what is read back."""

import base64
import dataclasses
import importlib
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from shared.domain.api import ApiCredentials
from shared.domain.delivery import Credentials, Delivery, Verdict
from shared.domain.errors import Misconfigured, SignatureInvalid, Unavailable, Unreadable
from shared.domain.events import (
    DisputeChanged,
    DisputeStage,
    DisputeStatus,
    Initiator,
    PaymentChanged,
    PaymentStep,
    ResourceChanged,
)
from shared.domain.money import Money
from shared.providers.google import api
from shared.providers.google import webhook as adapter
from shared.providers.kit.protocol import Normalized
from tests.providers.kits import NOON, Kit, a_kit
from tests.simulator.providers import google as simulated

PACKAGE = "example.music.player"
ORDER = "GPA.3345-1234-5678-90123"


@pytest.fixture(scope="module")
def kit(tmp_path_factory: pytest.TempPathFactory) -> Kit:
    return a_kit("google", tmp_path_factory.mktemp("google"))


def sender(kit: Kit, which: str = "current") -> str:
    return kit.credentials.keys[which].partition(" ")[0]


def with_token(kit: Kit, claims: dict[str, Any] | None = None, body: bytes | None = None, **head: Any) -> Delivery:
    """A genuine delivery whose token has other claims, signed by Google's own key."""
    told: dict[str, Any] = {
        "iss": "https://accounts.google.com",
        "aud": simulated.AUDIENCE,
        "email": sender(kit),
        "email_verified": True,
        "iat": int(NOON.timestamp()),
        "exp": int(NOON.timestamp()) + 3600,
    } | (claims or {})
    told = {name: value for name, value in told.items() if value is not None}
    token = simulated.jwt(told, kit.simulator._key, **head)  # type: ignore[attr-defined]
    headers = {"authorization": f"Bearer {token}"}
    return Delivery("google", body if body is not None else kit.bodies()[0], headers, NOON)


def reason(kit: Kit, delivery: Delivery, credentials: Credentials | None = None) -> str | None:
    try:
        kit.verify(delivery, credentials)
    except SignatureInvalid as error:
        return error.reason
    return None


# Tokens


def test_a_token_as_googles_is_proves_the_sender(kit: Kit) -> None:
    assert kit.verify(with_token(kit)).key_ids == ("current",)
    assert kit.verify(with_token(kit, {"iss": "accounts.google.com", "email": sender(kit, "next")})).key_ids == (
        "next",
    )


@pytest.mark.parametrize(
    ("claims", "expected"),
    [
        ({"iss": "https://accounts.google.com.example"}, "wrong_issuer"),
        ({"iss": None}, "wrong_issuer"),
        ({"email_verified": False}, "wrong_issuer"),
        ({"email_verified": "true"}, "wrong_issuer"),
        ({"email_verified": None}, "wrong_issuer"),
        ({"aud": "https://payin.example/google/"}, "wrong_audience"),
        ({"aud": ["https://payin.example/google"]}, "wrong_audience"),
        ({"aud": None}, "wrong_audience"),
        ({"email": "another@project.iam.gserviceaccount.com"}, "signature_mismatch"),
        ({"email": None}, "signature_mismatch"),
        ({"iat": None}, "malformed_signature"),
        ({"exp": None}, "malformed_signature"),
        ({"exp": int(NOON.timestamp()) - 61}, "outside_tolerance"),
        ({"exp": 2**33 + 10**9, "iat": int(NOON.timestamp()) - 3661}, "malformed_signature"),
        ({"exp": 4_000_000_000, "iat": int(NOON.timestamp()) - 3661}, "outside_tolerance"),
        ({"iat": int(NOON.timestamp()) + 61}, "outside_tolerance"),
        ({"exp": 1e400}, "malformed_signature"),
    ],
    ids=str,
)
def test_a_token_of_googles_with_a_wrong_claim_is_refused(kit: Kit, claims: dict[str, Any], expected: str) -> None:
    assert reason(kit, with_token(kit, claims)) == expected


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        ({"alg": "none"}, "wrong_algorithm"),
        ({"alg": "HS256"}, "wrong_algorithm"),
        ({"alg": "RS512"}, "wrong_algorithm"),
        ({"crit": ["b64"]}, "wrong_algorithm"),
        ({"kid": "another"}, "signature_mismatch"),
        ({"kid": None}, "signature_mismatch"),
        ({"kid": ["simulated-key-1"]}, "signature_mismatch"),
    ],
    ids=str,
)
def test_another_algorithm_or_key_is_refused(kit: Kit, head: dict[str, Any], expected: str) -> None:
    assert reason(kit, with_token(kit, **head)) == expected


def test_a_message_of_another_subscription_is_refused_where_one_is_named(kit: Kit) -> None:
    body = json.dumps(json.loads(kit.bodies()[0]) | {"subscription": "projects/other/subscriptions/play"}).encode()
    assert reason(kit, with_token(kit, body=body)) == "signature_mismatch"
    anyone = dataclasses.replace(kit.credentials, keys={"k": sender(kit)})
    assert reason(kit, with_token(kit, body=body), anyone) is None


def test_certificates_are_asked_for_once_an_hour_and_only_for_a_sender_of_ours(kit: Kit) -> None:
    asked: list[str] = []

    def fetch(url: str) -> bytes:
        asked.append(url)
        return kit.fetch(url)

    adapter.verify(with_token(kit), kit.credentials, fetch)
    adapter.verify(with_token(kit), kit.credentials, fetch)
    assert set(asked) == {f"{adapter.CERTIFICATES}#2026050112"}
    for claims in ({"email": "x@y.iam.gserviceaccount.com"}, {"aud": "x"}):
        with pytest.raises(SignatureInvalid):
            adapter.verify(with_token(kit, claims), kit.credentials, lambda url: b"never")


@pytest.mark.parametrize("certificates", [b"", b"[]", b"{", b'{"simulated-key-1": 1}', b'{"simulated-key-1": "x"}'])
def test_certificates_that_cannot_be_read_are_nobodys_forgery(kit: Kit, certificates: bytes) -> None:
    with pytest.raises(Unavailable):
        adapter.verify(with_token(kit), kit.credentials, lambda url: certificates)


def test_the_official_library_agrees(tmp_path: Path) -> None:
    id_token = importlib.import_module("google.oauth2.id_token")
    now = datetime.now(UTC)
    kit = a_kit("google", tmp_path)

    class Answer:
        status = 200
        data = kit.fetch(adapter.CERTIFICATES)

    for body in kit.bodies()[:2]:
        for request, genuine in ((kit.simulator.sign(body, now), True), (kit.simulator.forge(body, now), False)):
            token = request.headers["Authorization"].removeprefix("Bearer ")
            arguments = (token, lambda *_, **__: Answer(), simulated.AUDIENCE)
            if genuine:
                assert id_token.verify_oauth2_token(*arguments)["email"] == sender(kit)
                kit.verify(kit.delivery(request, now))
            else:
                with pytest.raises(ValueError, match="signature"):
                    id_token.verify_oauth2_token(*arguments)


@pytest.mark.parametrize("key", ["no-address", "a@b", "a@b.example projects/p", "a@b.example extra words"])
def test_a_key_that_names_no_sender_is_refused_at_start(key: str) -> None:
    with pytest.raises(Misconfigured, match="WEBHOOK_GOOGLE"):
        adapter.check_credentials(Credentials(keys={"k": key}, url="https://payin.example/google"))


def test_an_endpoint_without_an_audience_does_not_start() -> None:
    with pytest.raises(Misconfigured, match="audience"):
        adapter.check_credentials(Credentials(keys={"k": "a@b.example"}))


# Notifications


def read(**notification: Any) -> Normalized:
    told = {"version": "1.0", "packageName": PACKAGE, "eventTimeMillis": str(int(NOON.timestamp()) * 1000)}
    message = {"data": base64.b64encode(json.dumps(told | notification).encode()).decode(), "messageId": "136969346945"}
    body = json.dumps({"message": message, "subscription": "projects/p/subscriptions/s"}).encode()
    verdict = Verdict(("k",), unsigned=adapter.UNSIGNED)
    return adapter.normalize(Delivery("google", body, {}, NOON), verdict, Credentials(keys={"k": "x"}))


TOKEN = "aKeyOfAPurchase.AO-J1O"
NOTIFICATIONS: list[tuple[dict[str, Any], str, str]] = [
    *(
        ({"subscriptionNotification": {"notificationType": number, "purchaseToken": TOKEN}}, "subscriptions", TOKEN)
        for number in adapter.FOLLOWED
    ),
    *(
        ({"oneTimeProductNotification": {"notificationType": number, "purchaseToken": TOKEN}}, "products", TOKEN)
        for number in adapter.PRODUCTS
    ),
    ({"voidedPurchaseNotification": {"orderId": ORDER, "purchaseToken": TOKEN}}, "orders", ORDER),
    ({"pendingRefundReviewNotification": {"orderId": ORDER, "refundReason": 7}}, "orders", ORDER),
]


@pytest.mark.parametrize(("notification", "resource", "own"), NOTIFICATIONS, ids=str)
def test_notifications_are_pokes_of_which_nothing_is_proved(
    notification: dict[str, Any], resource: str, own: str
) -> None:
    (poke,) = read(**notification).events
    assert isinstance(poke, ResourceChanged)
    assert (poke.resource, poke.resource_id, poke.account) == (resource, own, PACKAGE)
    assert (poke.event_id, poke.occurred_at) == (f"google:{PACKAGE}:136969346945", NOON)
    assert set(poke.unsigned) == set(adapter.UNSIGNED)


@pytest.mark.parametrize(
    "notification",
    [
        {"testNotification": {"version": "1.0"}},
        {"subscriptionNotification": {"notificationType": 8, "purchaseToken": TOKEN}},
    ],
    ids=str,
)
def test_what_moves_no_money_is_ignored(notification: dict[str, Any]) -> None:
    told = read(**notification)
    assert (len(told.ignored), told.events, told.unreadable) == (1, (), ())


@pytest.mark.parametrize(
    ("notification", "resource"),
    [
        ({"subscriptionNotification": {"notificationType": 999, "purchaseToken": TOKEN}}, "subscriptions"),
        ({"subscriptionNotification": {"notificationType": "4", "purchaseToken": TOKEN}}, "subscriptions"),
        ({"oneTimeProductNotification": {"notificationType": 3, "purchaseToken": TOKEN}}, "products"),
    ],
    ids=str,
)
def test_what_is_new_of_a_purchase_is_read_back(notification: dict[str, Any], resource: str) -> None:
    (poke,) = read(**notification).events
    assert isinstance(poke, ResourceChanged)
    assert (poke.resource, poke.resource_id) == (resource, TOKEN)


def test_a_notification_of_a_new_kind_is_for_a_person() -> None:
    told = read(newfangledNotification={"version": "1.0"})
    assert told.events == ()
    assert "do not know" in told.unreadable[0]


@pytest.mark.parametrize(
    "notification",
    [
        {"packageName": "../x"},
        {"packageName": None},
        {"eventTimeMillis": "soon"},
        {"eventTimeMillis": "9" * 400},
        {"voidedPurchaseNotification": {"orderId": "../../x"}},
        {"voidedPurchaseNotification": {"orderId": ".."}},
        {"voidedPurchaseNotification": {"orderId": "4242424242424242"}},
    ],
    ids=str,
)
def test_an_id_or_a_time_that_is_none_is_unreadable(notification: dict[str, Any]) -> None:
    with pytest.raises(Unreadable):
        read(**({"voidedPurchaseNotification": {"orderId": ORDER}} | notification))


# Reading back


def a_poke(resource: str, own: str, **changes: Any) -> ResourceChanged:
    poke = ResourceChanged(
        event_id=f"google:{PACKAGE}:1",
        provider="google",
        account=PACKAGE,
        occurred_at=NOON,
        resource=resource,
        resource_id=own,
        unsigned=adapter.UNSIGNED,
    )
    return dataclasses.replace(poke, **changes)


def told(poke: ResourceChanged, thing: dict[str, Any]) -> Any:
    return api.read_resource(poke, json.dumps(thing).encode())


def money(units: Any = "9", nanos: Any = 990_000_000, currency: str = "USD") -> dict[str, Any]:
    return {"currencyCode": currency, "units": units, "nanos": nanos}


AT = "2026-05-01T12:00:00Z"
LATER = "2026-05-02T12:00:00.5Z"


def an_order(history: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    history = {"processedEvent": {"eventTime": AT}} if history is None else history
    return {
        "orderId": ORDER,
        "state": "PROCESSED",
        "createTime": AT,
        "lastEventTime": LATER,
        "buyerAddress": {"buyerCountry": "US"},
        "total": money(),
        "orderHistory": history,
        **more,
    }


def a_subscription(state: str = "ACTIVE", **more: Any) -> dict[str, Any]:
    item = {"expiryTime": AT, "autoRenewingPlan": {"recurringPrice": money()}, "latestSuccessfulOrderId": ORDER}
    return {"subscriptionState": f"SUBSCRIPTION_STATE_{state}", "lineItems": [item], **more}


@pytest.mark.parametrize(
    ("resource", "own", "path"),
    [
        ("subscriptions", TOKEN, f"purchases/subscriptionsv2/tokens/{TOKEN}"),
        ("products", TOKEN, f"purchases/productsv2/tokens/{TOKEN}"),
        ("orders", ORDER, f"orders/{ORDER}"),
    ],
)
def test_each_object_has_its_address(resource: str, own: str, path: str) -> None:
    request = api.resource_request(a_poke(resource, own), ApiCredentials(key="token"))
    host = "https://androidpublisher.googleapis.com/androidpublisher/v3/applications"
    assert request.url == f"{host}/{PACKAGE}/{path}"


def test_a_package_that_would_change_the_address_asks_nobody() -> None:
    with pytest.raises(Unreadable):
        api.resource_request(a_poke("orders", ORDER, account="../x"), ApiCredentials(key="token"))


@pytest.mark.parametrize("resource", ["subscriptions", "products"])
def test_a_purchase_leads_to_its_order_and_says_whose_it_is(resource: str) -> None:
    account = {"obfuscatedExternalAccountId": "c-1"}
    purchases = {
        "subscriptions": a_subscription(externalAccountIdentifiers=account),
        "products": {"kind": "androidpublisher#productPurchaseV2", "orderId": ORDER, **account},
    }
    (order,) = told(a_poke(resource, TOKEN), purchases[resource])
    assert isinstance(order, ResourceChanged)
    assert (order.resource, order.resource_id, order.unsigned) == ("orders", ORDER, ())
    (captured,) = told(order, an_order())
    assert captured.customer_id == "c-1"


@pytest.mark.parametrize(
    ("state", "step"),
    [
        ("ON_HOLD", PaymentStep.DECLINED),
        ("IN_GRACE_PERIOD", PaymentStep.DECLINED),
        ("EXPIRED", PaymentStep.CANCELED),
    ],
)
def test_a_renewal_that_is_not_paid_is_not_the_payment_before_it(state: str, step: PaymentStep) -> None:
    renewal, order = told(a_poke("subscriptions", TOKEN), a_subscription(state))
    assert isinstance(renewal, PaymentChanged)
    assert (renewal.step, renewal.payment_id) == (step, f"{ORDER}-renewal-2026-05-01")
    assert (renewal.amount, renewal.initiator) == (Money(999, "USD"), Initiator.MERCHANT)
    assert isinstance(order, ResourceChanged)


def test_a_tester_is_told_apart() -> None:
    (order,) = told(a_poke("subscriptions", TOKEN, livemode=True), a_subscription(testPurchase={}))
    assert order.livemode is False
    (order,) = told(a_poke("products", TOKEN, livemode=True), {"kind": "k", "orderId": ORDER})
    assert order.livemode is True


def test_a_purchase_by_promotion_has_no_order() -> None:
    assert told(a_poke("products", TOKEN), {"kind": "androidpublisher#productPurchaseV2"}) == ()


@pytest.mark.parametrize(("own", "initiator"), [(ORDER, Initiator.CUSTOMER), (f"{ORDER}..3", Initiator.MERCHANT)])
def test_an_order_that_was_paid(own: str, initiator: Initiator) -> None:
    (found,) = told(a_poke("orders", own), an_order(orderId=own))
    assert isinstance(found, PaymentChanged)
    assert (found.step, found.payment_id, found.amount) == (PaymentStep.CAPTURED, own, Money(999, "USD"))
    assert (found.initiator, found.billing_country, found.occurred_at) == (initiator, "US", NOON)


def test_an_order_that_waits_and_one_that_was_canceled() -> None:
    (waiting,) = told(a_poke("orders", ORDER), an_order({}, state="PENDING"))
    (canceled,) = told(a_poke("orders", ORDER), an_order({"cancellationEvent": {"eventTime": AT}}, state="CANCELED"))
    assert (waiting.step, canceled.step) == (PaymentStep.PENDING, PaymentStep.CANCELED)


def test_an_order_tells_of_every_part_that_went_back() -> None:
    parts = [
        {"createTime": AT, "state": "PENDING", "refundDetails": {"total": money("1", 0)}},
        {
            "createTime": LATER,
            "processTime": LATER,
            "state": "PROCESSED_SUCCESSFULLY",
            "refundDetails": {"total": money("2", 0)},
        },
    ]
    rest = {"eventTime": LATER, "refundReason": "OTHER", "refundDetails": {"total": money("6", 990_000_000)}}
    history = {"processedEvent": {"eventTime": AT}, "partialRefundEvents": parts, "refundEvent": rest}
    captured, pending, part, last = told(a_poke("orders", ORDER), an_order(history, state="REFUNDED"))
    assert [one.step for one in (captured, pending, part, last)] == [
        PaymentStep.CAPTURED,
        PaymentStep.REFUND_PENDING,
        PaymentStep.REFUNDED,
        PaymentStep.REFUNDED,
    ]
    assert (pending.amount, part.amount, last.amount) == (Money(100, "USD"), Money(200, "USD"), Money(699, "USD"))
    assert len({one.reference for one in (captured, pending, part, last)}) == 4


@pytest.mark.parametrize(
    "details", [{}, {"refundDetails": {"total": money()}}, {"refundDetails": {"total": money("7", 990_000_000)}}]
)
@pytest.mark.parametrize("reason", ["OTHER", "CHARGEBACK"])
def test_no_more_goes_back_than_there_was_however_the_last_part_is_told(details: dict[str, Any], reason: str) -> None:
    part = {"createTime": AT, "state": "PROCESSED_SUCCESSFULLY", "refundDetails": {"total": money("2", 0)}}
    last = {"eventTime": LATER, "refundReason": reason, **details}
    history = {"processedEvent": {"eventTime": AT}, "partialRefundEvents": [part], "refundEvent": last}
    _, first, rest = told(a_poke("orders", ORDER), an_order(history, state="REFUNDED"))
    assert first.amount.minor + rest.amount.minor == 999


def test_a_renewal_that_failed_in_a_grace_period_failed_before_that_ends() -> None:
    ends = {"expiryTime": "2026-05-08T12:00:00Z"}
    (renewal,) = told(a_poke("subscriptions", TOKEN), a_subscription("IN_GRACE_PERIOD", lineItems=[ends]))
    assert (renewal.payment_id.endswith("-renewal-2026-05-08"), renewal.occurred_at) == (True, NOON)


def test_a_chargeback_is_lost_and_takes_the_money() -> None:
    history = {"refundEvent": {"eventTime": LATER, "refundReason": "CHARGEBACK"}}
    (found,) = told(a_poke("orders", ORDER), an_order(history, state="REFUNDED"))
    assert isinstance(found, DisputeChanged)
    assert (found.stage, found.status) == (DisputeStage.CHARGEBACK, DisputeStatus.LOST)
    assert (found.moved, found.can_respond) == (Money(-999, "USD"), False)


def test_a_refund_under_review_can_be_answered_for_a_day() -> None:
    poke = a_poke("orders", ORDER, hint=adapter.REVIEW)
    _, review = told(poke, an_order(state="PENDING_REFUND"))
    assert isinstance(review, DisputeChanged)
    assert (review.stage, review.status) == (DisputeStage.INQUIRY, DisputeStatus.NEEDS_RESPONSE)
    assert review.respond_by == datetime(2026, 5, 3, 12, 0, 0, 500_000, tzinfo=UTC)
    assert review.respond_by - review.occurred_at == timedelta(hours=24)
    # What nobody proved opens no inquiry; the state, which the API tells, does.
    assert len(told(poke, an_order())) == 1
    assert told(a_poke("orders", ORDER), an_order(state="PENDING_REFUND"))[1:] == (review,)


def test_what_an_answer_to_a_review_names_is_passed_on_and_is_news_of_its_own() -> None:
    review = {"orderId": ORDER, "refundReason": 7, "pendingRefundToken": "prt-1"}
    (poke,) = read(pendingRefundReviewNotification=review).events
    assert isinstance(poke, ResourceChanged)
    _, found = told(poke, an_order(state="PENDING_REFUND"))
    _, without = told(a_poke("orders", ORDER), an_order(state="PENDING_REFUND"))
    assert (found.dispute_id, found.answer_id) == (ORDER, "prt-1")
    assert (without.dispute_id, without.answer_id) == (ORDER, None)
    assert found.event_id != without.event_id
    assert "prt-1" not in found.event_id
    assert found == told(poke, an_order(state="PENDING_REFUND"))[1]


@pytest.mark.parametrize("token", [None, 7, "", "two words", "4242424242424242", "a" * 1001, "a@b.example", "é"])
def test_what_is_no_token_names_nothing(token: Any) -> None:
    (poke,) = read(pendingRefundReviewNotification={"orderId": ORDER, "pendingRefundToken": token}).events
    assert isinstance(poke, ResourceChanged)
    assert poke.hint == adapter.REVIEW
    _, found = told(poke, an_order(state="PENDING_REFUND"))
    assert found.answer_id is None


def test_a_customer_that_nobody_proved_is_nobodys() -> None:
    (found,) = told(a_poke("orders", ORDER, hint="customer c-1"), an_order())
    assert found.customer_id is None


@pytest.mark.parametrize(
    ("units", "nanos", "currency", "expected"),
    [
        ("9", 990_000_000, "USD", Money(999, "USD")),
        ("1480", None, "JPY", Money(1480, "JPY")),
        (None, 500_000_000, "EUR", Money(50, "EUR")),
        ("3", 990_000_000, "KWD", Money(3990, "KWD")),
    ],
)
def test_money_is_units_and_nanos(units: Any, nanos: Any, currency: str, expected: Money) -> None:
    (found,) = told(a_poke("orders", ORDER), an_order(total=money(units, nanos, currency)))
    assert found.amount == expected


@pytest.mark.parametrize(
    "total",
    [
        money("9", 995_000_000 + 1),
        money("9.5", 0),
        money(9, 0),
        money("9", "0.5"),
        money("9", 10**9),
        money("9", 0, "usdollar"),
        money("9" * 30, 0),
        money("1480", 1, "JPY"),
    ],
    ids=str,
)
def test_money_that_no_currency_has_is_unreadable(total: dict[str, Any]) -> None:
    with pytest.raises(Unreadable, match="total"):
        told(a_poke("orders", ORDER), an_order(total=total))
