"""Razorpay: JSON events, signed over the raw body.

| fact | value |
|---|---|
| signed | the raw body, HMAC-SHA256, lower hex, in `X-Razorpay-Signature` |
| key | the secret written when the webhook was set up; never the API key's secret |
| not signed | every header, `x-razorpay-event-id` among them: not read. Whoever could choose it could tell one event often |
| age | the scheme has no time: a delivery replays for ever, and only its event id stops it |
| acknowledge | 2xx within 5 s; retried with growing pauses for 24 h, then the webhook is switched off until a person acts |
| rotation | a retry of an older event stays signed with the old secret: keep both for 24 h |
| identity | the body has none: type, the object's id, `created_at` and the body's digest, all of them signed; `account_id` as the account |
| amounts | integers in the currency's smallest unit, as ISO 4217 |
| deadline | `respond_by`, unix seconds |
| order | none is promised, and `payment.failed` may be followed by `payment.captured` of the same payment |
| reason | `reason_code` is Razorpay's own wording, kept as it is, not the network's code |
| not told | the card's fingerprint, mode |
| merchant's own words | `notes`: `customer_id`, `device_id`, `ip`, `initiator` (customer or merchant) |

A link, an invoice, a subscription, a QR code and a virtual account tell of the payment beside them: it is read, whatever
else tells of it too. An authorization that is never captured is not voided but refunded, by Razorpay itself: the payment beside such a refund
was not `captured`, no money of ours moves, and to us it is canceled. A payer who gave no e-mail address has Razorpay's.

A dispute of phase `fraud` is the bank's report of fraud: an inquiry, and an early fraud warning. A UPI address names a
person as an e-mail address does, and is never kept. Settlements name no currency.

Sources: Razorpay docs "Webhooks", "Payments webhook events", "Payment Links: sample payload", "Subscribe to webhooks",
"BharatQR: notifications", "Refunds", "Disputes", "Card error codes"; the tests of
Razorpay's Python SDK; the objects in the documents and types of its Node SDK.
"""

import hashlib
from collections.abc import Callable

from shared.domain.delivery import Credentials, Delivery, Verdict
from shared.domain.events import (
    AnyEvent,
    Card,
    DisputeChanged,
    DisputeReason,
    DisputeStage,
    DisputeStatus,
    FraudWarned,
    Initiator,
    PaymentChanged,
    PaymentStep,
    PayoutChanged,
)
from shared.domain.money import Money
from shared.providers.kit.countries import alpha_2
from shared.providers.kit.envelope import Base, envelope
from shared.providers.kit.protocol import Answer, FetchCertificate, Normalized, Traits
from shared.providers.kit.reading import Node, first_email, minor_money, opened, unreadable
from shared.providers.kit.signing import check_text_keys, verified_body

NAME = "razorpay"
ANSWER = Answer()
SIGNED_HEADERS = ("x-razorpay-signature",)
PAYLOAD_VERSION = ()


def check_credentials(credentials: Credentials) -> None:
    check_text_keys(NAME, credentials, "is no webhook secret that holds: set one of 16 characters or more")


def verify(delivery: Delivery, credentials: Credentials, fetch_certificate: FetchCertificate) -> Verdict:
    return verified_body(delivery, credentials, "x-razorpay-signature")


def normalize(delivery: Delivery, verdict: Verdict, credentials: Credentials) -> Normalized:
    event = opened(delivery)
    if event.word("entity") != "event":
        raise unreadable("entity", "not an event", "not_an_event")
    kind = event.word("event")
    account = event.maybe_text("account_id") or credentials.account
    member, translate = TYPES.get(kind, ("", None))
    # Of the types that nothing of ours follows we know no shape: the object's name is where `contains` says.
    contains = event.raw("contains")
    named = member or (contains[0] if type(contains) is list and contains and type(contains[0]) is str else "")
    thing = event.at("payload", named, "entity")
    # The published example of refund.speed_changed has its time inside `payload`.
    when = event if event.raw("created_at") is not None else event.at("payload")
    occurred_at = when.unix("created_at")
    own = thing.text("id") if member else thing.hint("id") or ""
    # The published examples give `created_at` of the object to several events of it.
    digest = hashlib.sha256(delivery.body).hexdigest()[:16]
    delivery_id = f"{NAME}:{account}:{kind}:{own}:{when.integer('created_at')}:{digest}"
    if translate is None:
        return Normalized(delivery_id, types=(kind,), ignored=(kind,))
    base = envelope(NAME, delivery_id, occurred_at, verdict, credentials, account=account)
    events = tuple(translate(thing, event.at("payload"), kind, base))
    lines = tuple(
        f"{thing.where('status')}: a dispute status that we do not know"
        for found in events
        if isinstance(found, DisputeChanged) and found.status is None
    )
    return Normalized(delivery_id, events=events, types=(kind,), unreadable=(*lines, *event.doubts))


# Payments

STEPS = {
    "payment.authorized": PaymentStep.AUTHORIZED,
    "payment.captured": PaymentStep.CAPTURED,
    "order.paid": PaymentStep.CAPTURED,
    "payment.failed": PaymentStep.DECLINED,
}
# What was paid by something else of Razorpay's: the payment is beside it, with its own status.
BESIDE = (
    *("invoice.paid", "invoice.partially_paid", "payment_link.paid", "payment_link.partially_paid"),
    *("qr_code.credited", "subscription.charged", "virtual_account.credited"),
)
BESIDE_OBJECTS = ("invoice", "payment_link", "subscription", "virtual_account", "qr_code")
STATUS_STEPS = {
    "created": PaymentStep.PENDING,
    "authorized": PaymentStep.AUTHORIZED,
    "captured": PaymentStep.CAPTURED,
    "refunded": PaymentStep.CAPTURED,
    "failed": PaymentStep.DECLINED,
}
REFUND_STEPS = {
    "refund.created": PaymentStep.REFUND_PENDING,
    "refund.processed": PaymentStep.REFUNDED,
    "refund.failed": PaymentStep.REFUND_FAILED,
}
# The speed of a refund changes without a word on what became of it: its status says that.
REFUND_STATUSES = {
    "pending": PaymentStep.REFUND_PENDING,
    "processed": PaymentStep.REFUNDED,
    "failed": PaymentStep.REFUND_FAILED,
}
# What stands for the address of a payer who gave none; it is nobody's, and one for all of them.
NOBODY = frozenset({"void@razorpay.com", "null@razorpay.com"})
NETWORKS = {"american express": "amex", "maestro": "mastercard", "diners club": "diners"}
INITIATORS = {"customer": Initiator.CUSTOMER, "merchant": Initiator.MERCHANT}
# Reasons that say that the same card will never be accepted.
HARD_DECLINES = frozenset(
    {"card_expired", "card_number_invalid", "debit_instrument_blocked", "debit_instrument_inactive"}
)


def _payer(payment: Node, payload: Node) -> Base:
    """Who pays: as the payment tells, or else what is beside it, of which a virtual account is one person's too."""
    beside = [payload.at(name, "entity") for name in BESIDE_OBJECTS]
    people = [node for one in beside for node in (one.at("customer_details"), one.at("customer"))]
    told = [*((one, "email") for one in (payment, *people)), *((one, "customer_email") for one in people)]
    emails = (node.email(name) for node, name in told if _is_given(node.raw(name)))
    email_hash, email_domain = first_email(emails)
    countries = (alpha_2(one.hint("billing_address", "country")) for one in people)
    names = (one.customer("customer_id") for one in (payment, *beside))
    return {
        "customer_id": payment.at("notes").customer("customer_id") or next((name for name in names if name), None),
        "email_hash": email_hash,
        "email_domain": email_domain,
        "billing_country": next((country for country in countries if country), None),
    }


def _is_given(email: object) -> bool:
    return not (type(email) is str and email.strip().lower() in NOBODY)


def _payment(payment: Node, payload: Node, kind: str, base: Base) -> list[AnyEvent]:
    step = STEPS.get(kind) or STATUS_STEPS.get(payment.word("status"))
    if step is None:
        raise unreadable(payment.where("status"), "a payment status that we do not know", "unknown_status")
    own = payment.text("id")
    notes = payment.at("notes")
    card = payment.at("card")
    network = card.lowered("network")
    declined = step is PaymentStep.DECLINED
    reason = payment.first_hint("error_reason", "error_code")
    return [
        PaymentChanged(
            **base,
            payment_id=own,
            step=step,
            amount=minor_money(payment, "amount", "currency", {}),
            # Captured in one piece, and told of twice (payment.captured, order.paid): it counts once.
            reference=own,
            merchant_reference=payment.hint("order_id"),
            method=payment.lowered("method"),
            card=Card(
                bin=card.digits("iin", least=6, most=8),
                last4=card.digits("last4", least=4, most=4),
                network=NETWORKS.get(network, network) if network else None,
                funding=card.lowered("type"),
            )
            if card.value
            else None,
            **_payer(payment, payload),
            device_id=notes.hint("device_id"),
            ip=notes.ip("ip"),
            initiator=INITIATORS.get(notes.lowered("initiator") or ""),
            decline_code=reason if declined else None,
            hard_decline=reason in HARD_DECLINES if declined and reason else None,
        )
    ]


def _refund(refund: Node, payload: Node, kind: str, base: Base) -> list[AnyEvent]:
    step = REFUND_STEPS.get(kind) or REFUND_STATUSES.get(refund.word("status"))
    if step is None:
        raise unreadable(refund.where("status"), "a refund status that we do not know", "unknown_status")
    if step is PaymentStep.REFUNDED and payload.at("payment", "entity").flag("captured") is False:
        step = PaymentStep.CANCELED
    return [
        PaymentChanged(
            **base,
            payment_id=refund.text("payment_id"),
            step=step,
            amount=minor_money(refund, "amount", "currency", {}),
            reference=refund.text("id"),
        )
    ]


def _settlement(settlement: Node, _: Node, kind: str, base: Base) -> list[AnyEvent]:
    return [PayoutChanged(**base, payout_id=settlement.text("id"), status=settlement.word("status"))]


# Disputes

STAGES = {
    "fraud": DisputeStage.INQUIRY,
    "retrieval": DisputeStage.INQUIRY,
    "chargeback": DisputeStage.CHARGEBACK,
    "pre_arbitration": DisputeStage.PRE_ARBITRATION,
    "arbitration": DisputeStage.ARBITRATION,
}
STATUSES = {
    "open": DisputeStatus.NEEDS_RESPONSE,
    "under_review": DisputeStatus.UNDER_REVIEW,
    "won": DisputeStatus.WON,
    "lost": DisputeStatus.LOST,
    "closed": DisputeStatus.CLOSED,
}
# Razorpay's wording has no closed list: its telling parts, from the more to the less particular.
REASONS = (
    ("not_received", DisputeReason.NOT_RECEIVED),
    ("not_as_described", DisputeReason.NOT_AS_DESCRIBED),
    ("defective", DisputeReason.NOT_AS_DESCRIBED),
    ("duplicate", DisputeReason.DUPLICATE),
    ("paid_by_other_means", DisputeReason.DUPLICATE),
    ("credit_not_processed", DisputeReason.CREDIT_NOT_PROCESSED),
    ("cancel", DisputeReason.CANCELED),
    ("fraud", DisputeReason.FRAUD),
    ("not_authorized", DisputeReason.FRAUD),
    ("unauthorized", DisputeReason.FRAUD),
    ("no_cardholder_authori", DisputeReason.FRAUD),
)


def _dispute(dispute: Node, payload: Node, kind: str, base: Base) -> list[AnyEvent]:
    word, phase = dispute.word("status"), dispute.lowered("phase")
    status = STATUSES.get(word)
    wording = dispute.lowered("reason_code") or ""
    # The phase is a reason only where the code is none that we know.
    otherwise = DisputeReason.FRAUD if phase == "fraud" else DisputeReason.OTHER
    reason = next((ours for part, ours in REASONS if part in wording), otherwise)
    amount = minor_money(dispute, "amount", "currency", {})
    # Nothing is deducted before a dispute is lost.
    lost = kind == "payment.dispute.lost" and dispute.raw("amount_deducted") is not None
    taken = minor_money(dispute, "amount_deducted", "currency", {}) if lost else None
    network = payload.at("payment", "entity", "card").lowered("network")
    own, payment_id = dispute.text("id"), dispute.text("payment_id")
    events: list[AnyEvent] = [
        DisputeChanged(
            **base,
            dispute_id=own,
            payment_id=payment_id,
            stage=STAGES.get(phase or ""),
            status=status,
            status_unknown=status is None,
            amount=amount,
            moved=Money(-taken.minor, taken.currency) if taken and taken.minor else None,
            reason=reason,
            reason_code=dispute.hint("reason_code"),
            network=NETWORKS.get(network, network) if network else None,
            **dispute.deadline("respond_by"),
            can_respond=True if status is DisputeStatus.NEEDS_RESPONSE else None,
            provider_status=word,
            # A draft of evidence is in the dispute long before it is sent.
            evidence_submitted=True if status is DisputeStatus.UNDER_REVIEW else None,
        )
    ]
    if phase == "fraud" and kind == "payment.dispute.created":
        warning = {**base, "event_id": f"{base['event_id']}:warning"}
        events.append(FraudWarned(**warning, warning_id=own, payment_id=payment_id, amount=amount))
    return events


Translate = Callable[[Node, Node, str, Base], list[AnyEvent]]

PAYMENTS = dict.fromkeys((*STEPS, *BESIDE), ("payment", _payment))
REFUNDS = dict.fromkeys((*REFUND_STEPS, "refund.speed_changed"), ("refund", _refund))
DISPUTES = dict.fromkeys(
    (f"payment.dispute.{step}" for step in ("created", "under_review", "action_required", "won", "lost", "closed")),
    ("dispute", _dispute),
)
TYPES: dict[str, tuple[str, Translate]] = {
    **PAYMENTS,
    **REFUNDS,
    **DISPUTES,
    "settlement.processed": ("settlement", _settlement),
}

WORDS = {
    "payload.dispute.entity.phase": STAGES,
    "payload.dispute.entity.status": STATUSES,
    "payload.payment.entity.status": STATUS_STEPS,
    "payload.refund.entity.status": REFUND_STATUSES,
}
TRAITS = Traits(
    scheme="HMAC-SHA256 of the body",
    replay="event id",
    rotation="keep both secrets for 24 h",
    ack_seconds=5,
    retry_days=1,
    deadline="respond_by",
    response_api="PATCH /v1/disputes/{id}/contest",
    payments=(*PAYMENTS, "refund.processed", "refund.speed_changed"),  # of what was never captured
    refunds=REFUNDS,
    disputes=DISPUTES,
    warnings=("payment.dispute.created",),  # in phase fraud
)
