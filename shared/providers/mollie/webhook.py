"""Mollie: signed webhooks that hold the object, and classic ones that only name a payment.

| fact | value |
|---|---|
| signed | the raw body, HMAC-SHA256, hex, with or without `sha256=` in front, in `X-Mollie-Signature`, which may be repeated |
| key | the webhook's secret, told once when it is made |
| classic | a form with `id=tr_…` to the payment's own `webhookUrl`, signed by nobody. Taken only where a key id `push` is configured, by deliveries whose URL has that secret as `key`: anybody else could make us ask Mollie without end |
| not signed | of a classic delivery nothing: it is a poke, and the payment is read back |
| age | neither has a time: they replay for ever. An event's id is made of the object's id and state, so a replay is the same event |
| acknowledge | 200, within a time that Mollie does not tell; classic ones are retried 10 times over 26 h (from memory, not settled in public) |
| rotation | several webhooks, or several signatures during a migration: list both keys |
| identity | none that both kinds share: the object's id, its status and its money |
| amounts | decimal text in major units: `{value, currency}` |
| deadline | none in the message: papers against a card's chargeback must reach Mollie within 2 days, as its help says |
| answerable | a card's chargeback, in the dashboard; a bank's debit (it has a reason code) never is |
| fetch-back | GET /v2/payments/{id} with its refunds and chargebacks; orders, payment links and sales invoices that were paid lead to their payments |
| mode | `mode`, live or test; chargebacks do not say |
| merchant's own words | `metadata`, where it is an object: `customer_id`, `device_id`, `ip`, `order_id` |

A payload is an event around the object, or the object alone. A payment that is paid tells how much was captured so
far: its running amount goes by the payment's name. Objects have no time of change: a payment has one for each status,
refunds only that of their making.

Sources: Mollie help "What are chargebacks", "Reversals of SEPA Direct Debit transactions"; Mollie docs "Webhooks", "Next-gen webhooks", "Webhooks for the Sales Invoices API", "Payment status"; Mollie's OpenAPI description of 2026-08 and
Python SDK (statuses, event types, failure reasons, signature validator).
"""

import hmac
import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qsl

from shared.domain.codec import utc_text
from shared.domain.delivery import Credentials, Delivery, Verdict
from shared.domain.errors import Misconfigured, SignatureInvalid
from shared.domain.events import (
    AnyEvent,
    Card,
    DisputeChanged,
    DisputeReason,
    DisputeStage,
    DisputeStatus,
    Initiator,
    PaymentChanged,
    PaymentStep,
    PayoutChanged,
    ResourceChanged,
)
from shared.domain.money import Money
from shared.providers.kit import reading
from shared.providers.kit.answering import is_bank_debit
from shared.providers.kit.envelope import Base
from shared.providers.kit.protocol import Answer, FetchCertificate, Normalized, Traits
from shared.providers.kit.reading import Node, first_email, major_money, or_doubt, unreadable
from shared.providers.kit.signing import as_bytes, header, hex_text, is_text_key, matching_key

NAME = "mollie"
ANSWER = Answer()
SIGNED_HEADERS = ("x-mollie-signature",)
PAYLOAD_VERSION = ()
PUSH = "push"
"""The key id whose secret is in the URL of classic webhooks."""
PUSH_UNSIGNED = ("event_id", "occurred_at", "resource", "resource_id", "hint")
_MOST_SIGNATURES = 16
_MOST_FIELDS = 16
_PAYMENT = re.compile(r"tr_[A-Za-z0-9]{1,40}", flags=re.ASCII)
_ORDER = re.compile(r"ord_[A-Za-z0-9]{1,40}", flags=re.ASCII)
_LINK = re.compile(r"pl_[A-Za-z0-9]{1,40}", flags=re.ASCII)
_INVOICE = re.compile(r"invoice_[A-Za-z0-9]{1,40}", flags=re.ASCII)
# Kinds of object that can be read back, by how their ids are written: payments, and what leads to payments.
IDS = {"payments": _PAYMENT, "orders": _ORDER, "payment-links": _LINK, "sales-invoices": _INVOICE}
LEADING = ("order", "payment-link")
INVOICE_PAID = "sales-invoice.paid"  # what else happens to an invoice moves no money


def check_credentials(credentials: Credentials) -> None:
    for key_id, secret in credentials.keys.items():
        if not is_text_key(secret):
            raise Misconfigured(
                f"WEBHOOK_MOLLIE key {key_id!r} is no webhook secret: set it to the whole text or, for {PUSH!r}, to 16"
                " characters or more of your own for the URL of classic webhooks",
                reason="bad_secret",
            )


def verify(delivery: Delivery, credentials: Credentials, fetch_certificate: FetchCertificate) -> Verdict:
    signatures = header(delivery.headers, "x-mollie-signature")
    if not signatures:
        return _pushed(delivery, credentials)
    # A header that is repeated reaches us as one, with commas.
    offered = [one.strip().lower().removeprefix("sha256=") for one in signatures.split(",", _MOST_SIGNATURES)]
    keys = {key_id: as_bytes(secret) for key_id, secret in credentials.keys.items() if key_id != PUSH}
    key_id = matching_key(keys, delivery.body, offered[:_MOST_SIGNATURES], hex_text)
    if key_id is None:
        raise SignatureInvalid("no signature matches", reason="signature_mismatch")
    return Verdict(key_ids=(key_id,))


def _pushed(delivery: Delivery, credentials: Credentials) -> Verdict:
    """A delivery whose URL only Mollie was told. Raises SignatureInvalid."""
    expected, given = as_bytes(credentials.keys.get(PUSH, "")), as_bytes(_form(delivery.query).get("key", ""))
    if not hmac.compare_digest(expected, given) or not expected:
        raise SignatureInvalid("no X-Mollie-Signature", reason="missing_signature")
    return Verdict(key_ids=(PUSH,), unsigned=PUSH_UNSIGNED)


def _form(text: str) -> dict[str, str]:
    try:
        return dict(parse_qsl(text, max_num_fields=_MOST_FIELDS))
    except ValueError:
        return {}


def opened(delivery: Delivery) -> Node:
    """The object in the body, or the fields of a classic webhook's form, which never begins as an object does."""
    if delivery.body.lstrip().startswith(b"{"):
        return reading.opened(delivery)
    return Node(_form(delivery.body.decode("utf-8", "replace")), "form")


def normalize(delivery: Delivery, verdict: Verdict, credentials: Credentials) -> Normalized:
    if PUSH in verdict.key_ids:
        return _poke(delivery, verdict, credentials)
    whole = reading.opened(delivery)
    resource = whole.word("resource")
    enveloped = resource == "event"
    thing = whole.at("_embedded", "entity") if enveloped else whole
    if enveloped:
        kind, own = whole.word("type"), whole.word("id")
        resource = kind.partition(".")[0]
    else:
        state = whole.hint("status") or ("reversed" if whole.raw("reversedAt") else "received")
        kind, own = f"{resource}.{state}", f"{whole.word('id')}.{state}"
    delivery_id = f"{NAME}:{credentials.account}:{own}"
    leads = resource in LEADING or kind == INVOICE_PAID
    read_back = leads or (enveloped and not thing.value)
    translate = RESOURCES.get(kind) or RESOURCES.get(resource)
    mode = thing.hint("mode")
    livemode = mode == "live" if mode in ("live", "test") else None
    if translate is None and not leads:
        return Normalized(delivery_id, types=(kind,), livemode=livemode, ignored=(kind,))
    base: Base = {
        "provider": NAME,
        "account": credentials.account,
        "delivery_id": delivery_id,
        "livemode": credentials.live if livemode is None else livemode,
        "unsigned": verdict.unsigned,
    }
    found: list[AnyEvent] = []
    if read_back:
        # It leads to payments, or was subscribed to without the object: refunds cannot be read by their id alone.
        member = "entityId" if enveloped else "id"
        found = [_named(whole, member, whole.instant("createdAt"), kind, own, base)]
    elif translate is not None:
        found = translate(thing, base)
    return Normalized(
        delivery_id, events=tuple(found), types=(kind,), livemode=livemode, ignored=() if found else (kind,)
    )


def _named(node: Node, member: str, at: Any, hint: str | None, own: str, base: Base) -> ResourceChanged:
    """A payment that has to be read back, or something that leads to payments."""
    named = node.text(member)
    resource = next((kind for kind, pattern in IDS.items() if pattern.fullmatch(named)), None)
    if resource is None:
        raise unreadable(node.where(member), "not the id of a thing that can be read back", "unreadable_id")
    event_id = f"{NAME}:{base['account']}:{own}"
    return ResourceChanged(**base, event_id=event_id, occurred_at=at, resource=resource, resource_id=named, hint=hint)


def _poke(delivery: Delivery, verdict: Verdict, credentials: Credentials) -> Normalized:
    named = Node(_form(delivery.body.decode("utf-8", "replace")), "form")
    own = named.word("id")
    kind = f"{PUSH}.{own.partition('_')[0]}"
    # It has no id and no time: every one is an event of its own, and what is read back is known by its state.
    name = f"{PUSH}.{own}.{utc_text(delivery.received_at)}"
    delivery_id = f"{NAME}:{credentials.account}:{name}"
    base: Base = {
        "provider": NAME,
        "account": credentials.account,
        "delivery_id": delivery_id,
        "livemode": credentials.live,
        "unsigned": verdict.unsigned,
    }
    poke = _named(named, "id", delivery.received_at, None, name, base)
    return Normalized(delivery_id, events=(poke,), types=(kind,))


# Payments

STEPS = {
    "open": (PaymentStep.PENDING, "createdAt"),
    "pending": (PaymentStep.PENDING, "createdAt"),
    "authorized": (PaymentStep.AUTHORIZED, "authorizedAt"),
    "paid": (PaymentStep.CAPTURED, "paidAt"),
    "canceled": (PaymentStep.CANCELED, "canceledAt"),
    "expired": (PaymentStep.CANCELED, "expiredAt"),
    "failed": (PaymentStep.DECLINED, "failedAt"),
}
REFUND_STEPS = {
    "queued": PaymentStep.REFUND_PENDING,
    "pending": PaymentStep.REFUND_PENDING,
    "processing": PaymentStep.REFUND_PENDING,
    "refunded": PaymentStep.REFUNDED,
    "failed": PaymentStep.REFUND_FAILED,
    "canceled": PaymentStep.REFUND_FAILED,
}
NETWORKS = {"american express": "amex", "diners club": "diners", "maestro": "mastercard", "vpay": "visa"}
INITIATORS = {"oneoff": Initiator.CUSTOMER, "first": Initiator.CUSTOMER, "recurring": Initiator.MERCHANT}
# Reasons that say that the same card will never be accepted.
HARD_DECLINES = frozenset(
    {"card_expired", "inactive_card", "invalid_card_number", "invalid_card_type", "possible_fraud"}
)


def _money(node: Node, name: str) -> Money | None:
    amount = node.at(name)
    return major_money(amount, "value", "currency") if amount.value else None


def payment_events(payment: Node, base: Base) -> list[AnyEvent]:
    """What a payment says of itself and, where they are with it, of its refunds and chargebacks."""
    status = payment.word("status")
    if status not in STEPS:
        raise unreadable(payment.where("status"), "a payment status that we do not know", "unknown_status")
    step, when = STEPS[status]
    own = payment.text("id")
    amount = (_money(payment, "amountCaptured") if step is PaymentStep.CAPTURED else None) or _money(payment, "amount")
    details, metadata = payment.at("details"), payment.at("metadata")
    network = details.lowered("cardLabel")
    # At a terminal the reason is the status's, and no detail.
    reason = details.hint("failureReason") or payment.hint("statusReason", "code")
    declined = step is PaymentStep.DECLINED
    # To PayPal an account is an address; to a bank it is a number, of which nothing is kept.
    emails = payment.email("billingAddress", "email"), details.email("consumerAccount")
    email_hash, email_domain = first_email(emails)
    state = f"{own}.{status}" + (f".{amount.minor}" if amount and step is PaymentStep.CAPTURED else "")
    card = Card(
        fingerprint=details.hint("cardFingerprint"),
        bin=details.digits("cardBin", least=6, most=8),
        last4=details.digits("cardNumber", least=4, most=4),
        network=NETWORKS.get(network, network) if network else None,
        funding=details.lowered("cardFunding"),
        country=details.hint("cardCountryCode"),
    )
    events: list[AnyEvent] = [
        PaymentChanged(
            **base,
            event_id=f"{NAME}:{base['account']}:{state}",
            occurred_at=payment.instant(when if payment.raw(when) is not None else "createdAt"),
            payment_id=own,
            step=step,
            amount=amount,
            reference=own,
            merchant_reference=metadata.hint("order_id"),
            method=payment.lowered("method"),
            card=card if card != Card() else None,
            customer_id=metadata.customer("customer_id") or payment.customer("customerId"),
            device_id=metadata.hint("device_id"),
            ip=metadata.ip("ip"),
            email_hash=email_hash,
            email_domain=email_domain,
            billing_country=payment.hint("countryCode") or payment.hint("billingAddress", "country"),
            initiator=INITIATORS.get(payment.hint("sequenceType") or ""),
            three_d_secure="authenticated" if details.hint("cardSecurity") == "3dsecure" else None,
            decline_code=reason if declined else None,
            hard_decline=reason in HARD_DECLINES if declined and reason else None,
        )
    ]
    for refund in payment.nodes("_embedded", "refunds"):
        events.extend(_refund(refund, base))
    for chargeback in payment.nodes("_embedded", "chargebacks"):
        events.extend(_chargeback_history(chargeback, base, payment.hint("method")))
    return events


def _refund(refund: Node, base: Base) -> list[AnyEvent]:
    status = refund.word("status")
    step = REFUND_STEPS.get(status)
    if step is None:
        raise unreadable(refund.where("status"), "a refund status that we do not know", "unknown_status")
    own = refund.word("id")
    return [
        PaymentChanged(
            **base,
            event_id=f"{NAME}:{base['account']}:{own}.{status}",
            occurred_at=refund.instant("createdAt"),
            payment_id=refund.text("paymentId"),
            step=step,
            amount=_money(refund, "amount"),
            reference=own,
        )
    ]


def _capture(capture: Node, base: Base) -> list[AnyEvent]:
    """A capture that failed; of one that succeeded the payment tells, with the sum of all of them."""
    own, status = capture.word("id"), capture.hint("status")
    if status != "failed":
        return [
            _named(capture, "paymentId", capture.instant("createdAt"), f"capture.{status}", f"{own}.{status}", base)
        ]
    return [
        PaymentChanged(
            **base,
            event_id=f"{NAME}:{base['account']}:{own}.failed",
            occurred_at=capture.instant("createdAt"),
            payment_id=capture.text("paymentId"),
            step=PaymentStep.CAPTURE_FAILED,
            amount=_money(capture, "amount"),
            reference=own,
        )
    ]


def _payout(payout: Node, base: Base) -> list[AnyEvent]:
    own, status = payout.word("id"), payout.word("status")
    return [
        PayoutChanged(
            **base,
            event_id=f"{NAME}:{base['account']}:{own}.{status}",
            occurred_at=payout.instant("createdAt"),
            payout_id=own,
            status=status,
            amount=_money(payout, "amount"),
        )
    ]


# Chargebacks

ANSWER_WITHIN = timedelta(days=2)
# Codes of SEPA Direct Debit; cards have none here.
REASONS = {"MD01": DisputeReason.FRAUD, "MD06": DisputeReason.OTHER, "SL01": DisputeReason.OTHER}


def _chargeback(chargeback: Node, base: Base) -> list[AnyEvent]:
    """Its newest state: a webhook told of the one before."""
    return _chargeback_history(chargeback, base)[-1:]


def _chargeback_received(chargeback: Node, base: Base) -> list[AnyEvent]:
    """How it began, although it may be reversed by the time that this is sent again."""
    return _chargeback_history(chargeback, base)[:1]


def _chargeback_history(chargeback: Node, base: Base, method: str | None = None) -> list[AnyEvent]:
    """Received, when the money went, and reversed, when it came back."""
    own, amount = chargeback.word("id"), _money(chargeback, "amount")
    code = chargeback.hint("reason", "code")
    # What it takes from our balance is negative there, in the currency of that.
    settled = or_doubt(lambda: _money(chargeback, "settlementAmount"), chargeback) or amount
    received_at = chargeback.instant("createdAt")
    final = code is not None or is_bank_debit(method)
    due: Base = {"can_respond": False}
    if not final:
        due = {
            "can_respond": True,
            "respond_by": received_at + ANSWER_WITHIN,
            "respond_by_text": f"within 2 days of {received_at.isoformat()}",
        }
    states = [("received", "createdAt", DisputeStatus.LOST if final else DisputeStatus.NEEDS_RESPONSE, -1)]
    if chargeback.raw("reversedAt") is not None:
        states.append(("reversed", "reversedAt", DisputeStatus.WON, 1))
    return [
        DisputeChanged(
            **base,
            event_id=f"{NAME}:{base['account']}:{own}.{state}",
            occurred_at=chargeback.instant(when),
            dispute_id=own,
            payment_id=chargeback.text("paymentId"),
            stage=DisputeStage.CHARGEBACK,
            status=status,
            final=status is DisputeStatus.WON,
            amount=amount,
            moved=Money(sign * abs(settled.minor), settled.currency) if settled else None,
            reason=REASONS.get(code, DisputeReason.OTHER) if code else None,
            reason_code=code,
            provider_status=state,
            **(due if state == "received" else {"can_respond": False}),
        )
        for state, when, status, sign in states
    ]


Translate = Callable[[Node, Base], list[AnyEvent]]

# By the type of an event where that says more than the object.
RESOURCES: dict[str, Translate] = {
    "chargeback.received": _chargeback_received,
    "payment": payment_events,
    "refund": _refund,
    "chargeback": _chargeback,
    "capture": _capture,
    "payout": _payout,
}

FAILURES = (
    *("authentication_abandoned", "authentication_failed", "authentication_required", "authentication_unavailable_acs"),
    *("card_declined", "insufficient_funds", "invalid_cvv", "invalid_card_holder_name", "refused_by_issuer"),
    "unknown_reason",
)
TRAITS = Traits(
    scheme="HMAC-SHA256 of the body; classic: a secret in the URL",
    replay="object and state",
    rotation="several signatures, or webhooks",
    deadline="2 days after chargeback.received, of a card",
    fetch_back=True,
    verified_again="yes; classic ones no: their secret is not kept",
    payments=[
        *(f"payment.{status}" for status in STEPS),
        *("capture.succeeded", "capture.failed", "payment-link.paid", INVOICE_PAID),
    ],
    refunds=[f"refund.{status}" for status in REFUND_STEPS],
    disputes=("chargeback.received", "chargeback.reversed"),
)
WORDS = {
    "Payment.status": STEPS,
    "Payment.sequenceType": INITIATORS,
    "Payment.details.failureReason": (*HARD_DECLINES, *FAILURES),
    "Refund.status": REFUND_STEPS,
    "Event.type": (*TRAITS.payments, *TRAITS.refunds, *TRAITS.disputes),
}
