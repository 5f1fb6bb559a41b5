"""Google Play's purchases and orders, read back: its notifications only name them."""

import hashlib
import re
from collections.abc import Collection
from datetime import datetime, timedelta

from shared.domain.api import ApiCredentials, ApiRequest
from shared.domain.events import (
    AnyEvent,
    DisputeChanged,
    DisputeStage,
    DisputeStatus,
    Initiator,
    PaymentChanged,
    PaymentStep,
    ResourceChanged,
)
from shared.domain.money import Money, exponent
from shared.providers.google.webhook import NAME, ORDER_ID, PACKAGE, PATTERNS, REVIEW, matching
from shared.providers.kit.envelope import Base, of_poke
from shared.providers.kit.reading import Node, parse, unreadable

API_HOSTS = frozenset({"androidpublisher.googleapis.com"})
API_SCOPE = "https://www.googleapis.com/auth/androidpublisher"
REVIEW_WITHIN = timedelta(hours=24)
_UNITS = re.compile(r"-?[0-9]{1,18}")
_RENEWAL = re.compile(r"\.\.[0-9]+$", flags=re.ASCII)
PATHS = {
    "subscriptions": "purchases/subscriptionsv2/tokens",
    "products": "purchases/productsv2/tokens",
    "orders": "orders",
}
# Our own id, where the app sets one.
ACCOUNT = "obfuscatedExternalAccountId"
# A purchase by a license tester has one of these, empty or not.
TEST_PURCHASES = ("testPurchase", "testPurchaseContext")


def resource_request(event: ResourceChanged, api: ApiCredentials) -> ApiRequest:
    pattern = PATTERNS.get(event.resource)
    if pattern is None or not pattern.fullmatch(event.resource_id) or not PACKAGE.fullmatch(event.account):
        raise unreadable("resource_id", "not an id of Google's", "unreadable_id")
    base = api.base_url or "https://androidpublisher.googleapis.com"
    path = f"androidpublisher/v3/applications/{event.account}/{PATHS[event.resource]}/{event.resource_id}"
    return ApiRequest("GET", f"{base}/{path}", {"Authorization": f"Bearer {api.key}", "Accept": "application/json"})


def read_resource(event: ResourceChanged, body: bytes) -> tuple[AnyEvent, ...]:
    thing = parse(body)
    # Orders do not say it, the purchases that lead to them do.
    base = of_poke(event, livemode=event.livemode and not any(thing.raw(name) is not None for name in TEST_PURCHASES))
    if event.resource == "orders":
        if matching(thing, ORDER_ID, "orderId") != event.resource_id:
            raise unreadable("orderId", "another object than was asked for", "another_object")
        return tuple(_order(thing, event, base))
    if event.resource == "subscriptions":
        return tuple(_subscribed(thing, event, base))
    if thing.raw("orderId") is None:
        thing.text("kind")  # a purchase that was paid with a promotion has no order; what has no kind is none
        return ()
    return (_order_of(thing, ("orderId",), event, base, thing.hint(ACCOUNT)),)


def _order_of(
    node: Node, keys: tuple[str, ...], event: ResourceChanged, base: Base, customer: str | None = None
) -> ResourceChanged:
    """The order that tells the money of a purchase."""
    order = matching(node, ORDER_ID, *keys)
    return ResourceChanged(
        **base,
        event_id=f"{event.event_id}:{order}",
        occurred_at=event.occurred_at,
        resource="orders",
        resource_id=order,
        # Proved by now, unlike what the notification said.
        hint=f"customer {customer}" if customer else None,
    )


def _known(base: Base, own: str, state: str, at: datetime) -> Base:
    """Who tells it and when. The same state read again is the same event."""
    return {**base, "event_id": f"{NAME}:{base['account']}:{own}.{state}", "occurred_at": at}


def _money(node: Node, *keys: str) -> Money | None:
    """`{currencyCode, units, nanos}` of the major unit; None where it is absent. Raises Unreadable."""
    amount = node.at(*keys)
    if not amount.value:
        return None
    units, nanos = amount.raw("units") or "0", amount.raw("nanos") or 0
    currency = (amount.maybe_text("currencyCode") or "").upper()
    try:
        # Units are 64 bits, and so a text; of negative money both parts are negative.
        whole = int(units) if type(units) is str and _UNITS.fullmatch(units) else None
        if whole is None or type(nanos) is not int or abs(nanos) >= 10**9:
            raise ValueError("not units and nanos")
        minor, rest = divmod(whole * 10**9 + nanos, 10 ** (9 - exponent(currency)))
        if rest:
            raise ValueError("digits below the minor unit")
        return Money(minor, currency)
    except ValueError:
        raise unreadable(amount.path, "not an amount of that currency", "unreadable_money") from None


LAPSED = {
    "SUBSCRIPTION_STATE_ON_HOLD": PaymentStep.DECLINED,
    "SUBSCRIPTION_STATE_IN_GRACE_PERIOD": PaymentStep.DECLINED,
    "SUBSCRIPTION_STATE_EXPIRED": PaymentStep.CANCELED,
}


def _subscribed(subscription: Node, event: ResourceChanged, base: Base) -> list[AnyEvent]:
    """The renewal that failed, if one did, and the order of the last one that did not."""
    state = subscription.word("subscriptionState")
    items = subscription.nodes("lineItems")
    customer = subscription.hint("externalAccountIdentifiers", ACCOUNT)
    events: list[AnyEvent] = []
    if state in LAPSED and items:
        due = items[0].instant("expiryTime")
        # The purchase token is long and secret: the order names the subscription, its digest stands in for none.
        first = subscription.raw("latestOrderId") or items[0].raw("latestSuccessfulOrderId")
        own = (
            _RENEWAL.sub("", first) if type(first) is str and ORDER_ID.fullmatch(first) else _digest(event.resource_id)
        )
        name = f"{own}-renewal-{due.date().isoformat()}"
        step = LAPSED[state]
        events.append(
            PaymentChanged(
                # In a grace period it lasts until that ends, although the renewal has failed by now.
                **_known(base, name, step.value, min(due, event.occurred_at)),
                payment_id=name,
                step=step,
                amount=_money(items[0], "autoRenewingPlan", "recurringPrice"),
                method="google_play",
                customer_id=customer,
                initiator=Initiator.MERCHANT,
            )
        )
    orders = [
        (node, keys)
        for node, keys in [
            *((item, ("latestSuccessfulOrderId",)) for item in items),
            (subscription, ("latestOrderId",)),
        ]
        if node.raw(*keys) is not None
    ]
    if orders:
        events.append(_order_of(*orders[0], event, base, customer))
    return events


def _digest(text: str) -> str:
    return f"token-{hashlib.sha256(text.encode()).hexdigest()[:24]}"


REFUND_STEPS = {"PENDING": PaymentStep.REFUND_PENDING, "PROCESSED_SUCCESSFULLY": PaymentStep.REFUNDED}


def _order(order: Node, event: ResourceChanged, base: Base) -> list[AnyEvent]:
    """All that happened to an order: paid or canceled, refunded in parts or in whole, charged back, under review."""
    own, state = event.resource_id, order.word("state")
    history = order.at("orderHistory")
    total = _money(order, "total")
    said, _, named = (event.hint or "").partition(" ")
    common: Base = {
        "payment_id": own,
        "method": "google_play",
        "customer_id": named if said == "customer" and "hint" not in event.unsigned else None,
        "billing_country": order.hint("buyerAddress", "buyerCountry"),
        "initiator": Initiator.MERCHANT if _RENEWAL.search(own) else Initiator.CUSTOMER,
    }
    events: list[AnyEvent] = []
    parts: list[Money] = []
    if state == "PENDING":
        known = _known(base, own, "pending", order.instant("createTime"))
        events.append(PaymentChanged(**known, **common, step=PaymentStep.PENDING, amount=total))
    if history.raw("cancellationEvent") is not None:
        known = _known(base, own, "canceled", history.instant("cancellationEvent", "eventTime"))
        events.append(PaymentChanged(**known, **common, step=PaymentStep.CANCELED, amount=total))
    if history.raw("processedEvent") is not None:
        known = _known(base, own, "processed", history.instant("processedEvent", "eventTime"))
        events.append(PaymentChanged(**known, **common, step=PaymentStep.CAPTURED, amount=total, reference=own))
    for part in history.nodes("partialRefundEvents"):
        word, created = part.word("state"), part.instant("createTime")
        step = REFUND_STEPS.get(word)
        if step is None:
            raise unreadable(part.where("state"), "a refund's state that we do not know", "unknown_status")
        stamp = f"refund-{int(created.timestamp() * 1000)}"
        at = part.instant("processTime") if part.raw("processTime") is not None else created
        known = _known(base, own, f"{stamp}.{word.lower()}", at)
        amount = _money(part, "refundDetails", "total")
        parts += [amount] if amount else []
        events.append(PaymentChanged(**known, **common, step=step, amount=amount, reference=f"{own}-{stamp}"))
    if history.raw("refundEvent") is not None:
        events.append(_voided(history.at("refundEvent"), own, _rest(total, parts), common, base))
    if state == "PENDING_REFUND":
        # Whether a review was announced or we asked for the refund ourselves, only an unproved notification says: of
        # the two mistakes, a reminder too many is the smaller one.
        events.append(_review(order, own, total, named if said == REVIEW and named else None, base))
    return events


def _rest(total: Money | None, parts: list[Money]) -> Money | None:
    """What is left of an order when parts of it have gone back, or are about to."""
    if total is None or any(part.currency != total.currency for part in parts):
        return total
    return Money(max(0, total.minor - sum(max(0, part.minor) for part in parts)), total.currency)


def _voided(refund: Node, own: str, rest: Money | None, common: Base, base: Base) -> AnyEvent:
    """The rest of the money went back: by our choice or Google's, or by a chargeback that nobody can answer."""
    at = refund.instant("eventTime")
    told = _money(refund, "refundDetails", "total")
    # The details of a full refund may be those of the whole order: what went back in parts went back once.
    amount = rest if told is None or (rest and rest.currency == told.currency and rest.minor < told.minor) else told
    if refund.hint("refundReason") != "CHARGEBACK":
        known = _known(base, own, "refunded", at)
        refunded = PaymentStep.REFUNDED
        return PaymentChanged(**known, **common, step=refunded, amount=amount, reference=f"{own}-refund")
    return DisputeChanged(
        **_known(base, own, "charged_back", at),
        dispute_id=own,
        payment_id=own,
        stage=DisputeStage.CHARGEBACK,
        status=DisputeStatus.LOST,
        amount=amount,
        moved=Money(-amount.minor, amount.currency) if amount else None,
        can_respond=False,
        provider_status="CHARGEBACK",
    )


def _review(order: Node, own: str, total: Money | None, token: str | None, base: Base) -> AnyEvent:
    """`token`: what an answer names. Nobody proved it, and nothing but the answer uses it: a wrong one Google refuses."""
    asked_at = order.instant("lastEventTime")
    state = f"review.{int(asked_at.timestamp() * 1000)}"
    return DisputeChanged(
        # A poke that brings no token may come first: then this is news.
        **_known(base, own, f"{state}.{_digest(token)}" if token else state, asked_at),
        dispute_id=own,
        answer_id=token,
        payment_id=own,
        stage=DisputeStage.INQUIRY,
        status=DisputeStatus.NEEDS_RESPONSE,
        amount=total,
        respond_by=asked_at + REVIEW_WITHIN,
        respond_by_text=f"within 24 hours of {asked_at.isoformat()}",
        can_respond=True,
        provider_status="PENDING_REFUND",
    )


RESOURCE_WORDS: dict[str, dict[str, Collection[str]]] = {
    "subscriptions": {
        "subscriptionState": (
            *LAPSED,
            *("SUBSCRIPTION_STATE_ACTIVE", "SUBSCRIPTION_STATE_CANCELED", "SUBSCRIPTION_STATE_PAUSED"),
            *("SUBSCRIPTION_STATE_PENDING", "SUBSCRIPTION_STATE_PENDING_PURCHASE_CANCELED"),
        )
    },
    "orders": {
        "state": ("PENDING", "PROCESSED", "CANCELED", "PENDING_REFUND", "PARTIALLY_REFUNDED", "REFUNDED"),
        "orderHistory.partialRefundEvents[].state": REFUND_STEPS,
        "orderHistory.refundEvent.refundReason": ("OTHER", "CHARGEBACK"),
    },
}
