"""Stripe: snapshot events, and thin ones that are read back; both signed over the raw body.

| fact | value |
|---|---|
| signed | `<t>.<raw body>`, HMAC-SHA256, lower hex, in `Stripe-Signature: t=<unix s>,v1=<hex>[,v1=<hex>]` |
| key | the endpoint's secret as it is written, `whsec_` included, not decoded |
| not signed | nothing of the body; schemes other than v1 are ignored |
| age | within 300 s of receipt, both ways (Stripe's libraries refuse only old ones) |
| acknowledge | any 2xx; live mode retries for up to 3 days, each retry signed anew; no order is promised |
| rotation | a rolled secret may live on for 24 h, with one v1 for each secret that is live |
| identity | `id` (evt_…), which is one over all accounts and is kept under the endpoint's: which messages name the account differs. `account`, or the end of `context`, is whose event it is |
| amounts | integers; zero-decimal list as ISO 4217 and MGA; ISK and UGX with two decimals that are 00 |
| money | payments' captured and refunded amounts are running totals: `cumulative`; a refund object's is its own. A charge counts a hold that was released, whole or in part, as refunded: what was never captured is not. Whether a release also sends `refund.created` is not settled by public pages |
| refunds called fraud | `reason` of a refund, `fraudulent` where whoever made it says so; Stripe then blocks card and address as well |
| answerable | not without `due_by`; not a debit that a bank returned (`FINAL_REASONS`), nor a Klarna inquiry, which takes no evidence. Contesting a compliance dispute costs 500 USD |
| answered by | us; Stripe where `intended_submission_method` is `smart_disputes`, or `prefer_smart_disputes` and `smart_disputes.status` is `available`; never where that status says that it finds no evidence (`requires_evidence`, `unavailable`): then it answers nothing at all |
| fetch-back | GET /v1/events/{id} for a thin event's snapshot; where a thin event names none, GET /v2/core/events/{id} does or names the object to read; API_STRIPE's key is a secret or restricted key |
| merchant's own words | `metadata`: `customer_id`, `device_id`, `ip`, `initiator` (customer or merchant), `order_id` |

Names: a payment is its payment intent, or its charge where there is none; the other of the two is an alias. A
dispute of an API version from before disputes had ids goes by its charge, which could have only one.

Thin events (`object: v2.core.event`) have a name of their own and carry nothing but the object's; `v1.charge.captured`
is the thin `charge.captured`, and its `snapshot_event` the snapshot's id. So a thin event is a poke for that snapshot,
and both together are one fact. Of an event that Stripe itself failed to make
(`v2.core.health.event_generation_failure.resolved`) the object is read back, and a person is told that there was a gap.
Events of the v2 API's own objects tell of no payment: ignored.

Sources: Stripe docs "Receive events in your webhook endpoint", "Migrate from snapshot events to thin events", "Handle
event-generation failures", "Event types", "Disputes", "Currencies", "Decline codes", "Klarna disputes", "Visa compliance
disputes", "Mastercard compliance disputes"; changelog 2026-10-28 "intended submission method", "smart disputes availability"; "Set up Smart Disputes"; support "SEPA Direct Debit
payment disputes"; the enumerations and object fields of Stripe's OpenAPI description and
Python SDK 16.1.0.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from shared.domain.delivery import Credentials, Delivery, Verdict
from shared.domain.errors import Misconfigured, SignatureInvalid
from shared.domain.events import (
    AnyEvent,
    Card,
    DisputeChanged,
    DisputeReason,
    DisputeStage,
    DisputeStatus,
    Finder,
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
from shared.providers.kit.envelope import Base
from shared.providers.kit.protocol import Answer, FetchCertificate, Normalized, Traits
from shared.providers.kit.reading import (
    Node,
    first_email,
    minor_money,
    one_sum,
    opened,
    or_doubt,
    unix_time,
    unreadable,
)
from shared.providers.kit.signing import header, hex_text, matching_key

NAME = "stripe"
ANSWER = Answer()
SIGNED_HEADERS = ("stripe-signature",)
PAYLOAD_VERSION = (("api_version",),)
TOLERANCE = timedelta(seconds=300)
SENT_WITH = {"MGA": 0, "ISK": 2, "UGX": 2}
_MOST_SIGNATURES = 16
THIN, SNAPSHOT = "v2.core.event", "event"
EVENTS, THIN_EVENTS = "events", "core_events"
FAILED_TO_TELL = "v2.core.health.event_generation_failure.resolved"


def check_credentials(credentials: Credentials) -> None:
    for key_id, secret in credentials.keys.items():
        if not secret.startswith("whsec_") or len(secret) < 16 or not secret.isascii():
            raise Misconfigured(
                f"WEBHOOK_STRIPE key {key_id!r} is no endpoint secret: set it to the whole whsec_… text",
                reason="bad_secret",
            )


def verify(delivery: Delivery, credentials: Credentials, fetch_certificate: FetchCertificate) -> Verdict:
    signature = header(delivery.headers, "stripe-signature")
    if not signature:
        raise SignatureInvalid("no Stripe-Signature", reason="missing_signature")
    times: set[str] = set()
    offered: list[str] = []
    for part in signature.split(","):
        scheme, _, value = part.strip().partition("=")
        if scheme == "t":
            times.add(value)
        elif scheme == "v1" and len(offered) < _MOST_SIGNATURES:
            offered.append(value.lower())
    # Two different times would leave open which one was judged and which one was signed.
    if len(times) != 1 or not offered:
        raise SignatureInvalid("not one time and a v1 signature", reason="malformed_signature")
    stamp = times.pop()
    if not stamp.isascii() or not stamp.isdigit() or len(stamp) > 12:
        raise SignatureInvalid("the signed time is no number", reason="malformed_signature")
    keys = {key_id: secret.encode("utf-8", "surrogatepass") for key_id, secret in credentials.keys.items()}
    key_id = matching_key(keys, stamp.encode() + b"." + delivery.body, offered, hex_text)
    if key_id is None:
        raise SignatureInvalid("no signature matches", reason="signature_mismatch")
    age = delivery.received_at.timestamp() - int(stamp)
    if abs(age) > TOLERANCE.total_seconds():
        raise SignatureInvalid("signed too long ago" if age > 0 else "signed in the future", reason="outside_tolerance")
    return Verdict(key_ids=(key_id,), signed_at=datetime.fromtimestamp(int(stamp), UTC))


def normalize(delivery: Delivery, verdict: Verdict, credentials: Credentials) -> Normalized:
    event = opened(delivery)
    shape, kind, event_id = event.word("object"), event.word("type"), event.word("id")
    context = event.maybe_text("context")
    account = event.maybe_text("account") or (owner(context) if context else credentials.account)
    delivery_id = f"{NAME}:{credentials.account}:{event_id}"
    livemode = event.flag("livemode")
    if shape not in (THIN, SNAPSHOT):
        raise unreadable("object", "not an event", "not_an_event")
    base: Base = {
        "event_id": delivery_id,
        "provider": NAME,
        "account": account,
        "delivery_id": delivery_id,
        "livemode": bool(livemode),
        "unsigned": verdict.unsigned,
    }
    notes: tuple[str, ...] = ()
    # Whoever reads it back has to name the whole way to its account.
    found = poke(event, {**base, "account": context or account}) if shape == THIN else told(event, base)
    if found is None:
        return Normalized(delivery_id, types=(kind,), livemode=livemode, ignored=(kind,))
    if kind == FAILED_TO_TELL:
        notes = ("type: a gap, for Stripe failed to tell of something: its object is read back",)
    if isinstance(found, DisputeChanged) and found.status is None:
        notes = ("data.object.status: a dispute status that we do not know",)
    events = (found, *beside(found, event.at("data", "object")))
    return Normalized(delivery_id, events=events, types=(kind,), livemode=livemode, unreadable=(*notes, *event.doubts))


def owner(context: str) -> str:
    """The account at the end of a context, which may lead there from an organization or a platform: `org_…/acct_…`. A
    snapshot names that account alone."""
    return context.rpartition("/")[2]


def told(event: Node, base: Base) -> AnyEvent | None:
    """What a snapshot event says; None where nothing of ours follows it. Raises Unreadable."""
    kind = event.word("type")
    if kind not in TYPES:
        return None
    subject = event.at("data", "object")
    if not subject.value:
        raise unreadable("data.object", "missing", "missing_field")
    return TYPES[kind](subject, kind, {**base, "occurred_at": event.unix("created")})


def poke(event: Node, base: Base) -> ResourceChanged | None:
    """What to read for a thin event; None where nothing of ours follows it. Raises Unreadable."""
    kind, own = event.word("type"), event.word("id")
    if kind != FAILED_TO_TELL and kind.removeprefix("v1.") not in TYPES:
        return None
    snapshot = event.maybe_text("snapshot_event")
    return ResourceChanged(
        **{**base, "event_id": f"{base['event_id']}.poke"},
        occurred_at=event.instant("created"),
        resource=EVENTS if snapshot else THIN_EVENTS,
        resource_id=snapshot or own,
        hint=kind,
    )


# Payments


def _names(subject: Node) -> tuple[str, tuple[str, ...]]:
    """(payment id, aliases) of an object that names an intent, a charge, or both."""
    intent, charge = subject.reference("payment_intent"), subject.reference("charge")
    if intent is None and charge is None:
        raise unreadable(subject.where("payment_intent"), "neither an intent nor a charge", "missing_field")
    return intent or charge or "", (charge,) if intent and charge else ()


def _money(subject: Node, *members: str) -> Money:
    """The first of these amounts that is there, in the object's currency."""
    name = next((member for member in members if subject.raw(member) is not None), members[0])
    return minor_money(subject, name, "currency", SENT_WITH)


THREE_D_SECURE = {
    "authenticated": "authenticated",
    "attempt_acknowledged": "attempted",
    "exempted": "exempted",
    "failed": "failed",
    "not_supported": "not_supported",
    "processing_error": "failed",
}
CHECKS = {"pass": "match", "fail": "mismatch", "unavailable": "unchecked", "unchecked": "unchecked"}
INITIATORS = {
    "customer": Initiator.CUSTOMER,
    "cit": Initiator.CUSTOMER,
    "merchant": Initiator.MERCHANT,
    "mit": Initiator.MERCHANT,
}
# Stripe's decline codes that its documentation says never to retry with the same card.
HARD_DECLINES = frozenset(
    {
        "card_not_supported",
        "expired_card",
        "fraudulent",
        "incorrect_number",
        "invalid_account",
        "invalid_number",
        "lost_card",
        "merchant_blacklist",
        "new_account_information_available",
        "pickup_card",
        "restricted_card",
        "revocation_of_all_authorizations",
        "revocation_of_authorization",
        "security_violation",
        "stolen_card",
        "stop_payment_order",
    }
)


def _address_check(checks: Node) -> str | None:
    found = {CHECKS.get(checks.hint(name) or "") for name in ("address_line1_check", "address_postal_code_check")}
    return next((result for result in ("mismatch", "match", "unchecked") if result in found), None)


# A card in a reader is a card, and so are Korea's; MobilePay, Amazon Pay and Revolut Pay name the one behind them.
CARDS = (
    *(("card",), ("card_present",), ("interac_present",), ("kr_card",), ("mobilepay", "card")),
    *((wallet, "funding", "card") for wallet in ("amazon_pay", "revolut_pay")),
)


def _card_of(method: Node) -> Node:
    """The card that was paid with; an empty object where it was none."""
    return next((card for path in CARDS if (card := method.at(*path)).value), method.at("card"))


def _evidence(charge: Node, metadata: Node) -> Base:
    """What a charge (or, after a decline, a payment method) tells about card, customer and checks."""
    method = charge.at("payment_method_details") if charge.raw("payment_method_details") else charge
    card = _card_of(method)
    checks = card.at("checks")
    billing = charge.at("billing_details")
    wallets = method.email("paypal", "payer_email"), method.email("link", "email")
    emails = billing.email("email"), charge.email("receipt_email"), *wallets
    email_hash, email_domain = first_email(emails)
    network = card.lowered("network") or card.lowered("brand")
    customer = metadata.customer("customer_id")
    return {
        "method": method.lowered("type"),
        "card": Card(
            fingerprint=card.hint("fingerprint"),
            bin=card.digits("iin", least=6, most=8),
            last4=card.digits("last4", least=4, most=4),
            network=network,
            funding=card.lowered("funding"),
            country=card.hint("country"),
        )
        if card.value
        else None,
        "customer_id": customer or charge.first_hint("customer", "customer_account"),
        "device_id": metadata.hint("device_id"),
        "ip": metadata.ip("ip"),
        "email_hash": email_hash,
        "email_domain": email_domain,
        "billing_country": billing.hint("address", "country")
        or method.hint("klarna", "payer_details", "address", "country")
        or method.hint("paypal", "country"),
        "initiator": INITIATORS.get(metadata.lowered("initiator") or ""),
        "merchant_reference": metadata.first_hint("order_id", "merchant_reference"),
        "three_d_secure": THREE_D_SECURE.get(card.hint("three_d_secure", "result") or ""),
        "cvv_result": CHECKS.get(checks.hint("cvc_check") or ""),
        "avs_result": _address_check(checks),
        "provider_score": charge.score("outcome", "risk_score"),
        "network_transaction_id": card.hint("network_transaction_id"),
    }


def _decline(charge: Node, error: Node) -> Base:
    """Why it was declined: the issuer's word where there is one. Advice from the network beats our list."""
    code = (
        error.hint("decline_code")
        or charge.hint("outcome", "reason")
        or charge.hint("failure_code")
        or error.hint("code")
    )
    advice = error.hint("advice_code") or charge.hint("outcome", "advice_code")
    return {
        "decline_code": code,
        "hard_decline": code is not None and (advice == "do_not_try_again" or (not advice and code in HARD_DECLINES)),
    }


def _charge(step: PaymentStep, *amounts: str) -> "Translate":
    """A payment step told by a charge; `amounts` are the members that hold its running total."""

    def translate(charge: Node, kind: str, base: Base) -> AnyEvent:
        charge_id, intent = charge.text("id"), charge.reference("payment_intent")
        metadata = charge.at("metadata")
        declined = step is PaymentStep.DECLINED
        return PaymentChanged(
            **base,
            payment_id=intent or charge_id,
            aliases=(charge_id,) if intent else (),
            step=step,
            amount=_money(charge, *amounts),
            cumulative=not declined,
            reference=charge_id if declined else None,
            **_evidence(charge, metadata),
            **(_decline(charge, charge.at("last_payment_error")) if declined else {}),
        )

    return translate


def _charge_succeeded(charge: Node, kind: str, base: Base) -> AnyEvent | None:
    if charge.flag("captured"):
        return _charge(PaymentStep.CAPTURED, "amount_captured", "amount")(charge, kind, base)
    return _charge(PaymentStep.AUTHORIZED, "amount")(charge, kind, base)


def _charge_refunded(charge: Node, kind: str, base: Base) -> AnyEvent | None:
    """What came back of what was captured. To Stripe the release of a hold, or of the rest of one, is a refund too."""
    if charge.flag("captured") is False:
        return _charge(PaymentStep.CANCELED, "amount")(charge, kind, base)
    told = _money(charge, "amount_refunded")
    released = _money(charge, "amount").minor - _money(charge, "amount_captured", "amount").minor
    refunded = Money(told.minor - max(released, 0), told.currency)
    if refunded.minor <= 0:
        return None
    found = _charge(PaymentStep.REFUNDED, "amount_refunded")(charge, kind, base)
    return replace(found, amount=refunded) if isinstance(found, PaymentChanged) else found


def _held(intent: Node) -> Money:
    """All that was authorized: what can still be captured, and of a multicapture what was captured before."""
    told = _money(intent, "amount_capturable", "amount")
    if intent.raw("amount_capturable") is None or intent.raw("amount_received") is None:
        return told
    return Money(told.minor + _money(intent, "amount_received").minor, told.currency)


def _intent(step: PaymentStep, *amounts: str) -> "Translate":
    """A payment step told by a payment intent. Older API versions embed its charges, newer ones name the latest."""

    def translate(intent: Node, kind: str, base: Base) -> AnyEvent:
        embedded = intent.nodes("charges", "data")
        latest = intent.at("latest_charge") if type(intent.raw("latest_charge")) is dict else None
        charge = embedded[0] if embedded else latest or Node({}, intent.where("latest_charge"))
        error = intent.at("last_payment_error")
        charge_id = charge.maybe_text("id") or intent.reference("latest_charge") or error.reference("charge")
        metadata = intent.at("metadata")
        declined = step is PaymentStep.DECLINED
        evidence = _evidence(charge if charge.value or not declined else error.at("payment_method"), metadata)
        if evidence["customer_id"] is None:
            evidence["customer_id"] = intent.first_hint("customer", "customer_account")
        if evidence["email_hash"] is None:
            evidence["email_hash"], evidence["email_domain"] = intent.email("receipt_email")
        if evidence["merchant_reference"] is None:
            evidence["merchant_reference"] = intent.hint("payment_details", "order_reference")
        return PaymentChanged(
            **base,
            payment_id=intent.text("id"),
            aliases=(charge_id,) if charge_id else (),
            step=step,
            amount=_held(intent) if step is PaymentStep.AUTHORIZED else _money(intent, *amounts),
            cumulative=step in (PaymentStep.AUTHORIZED, PaymentStep.CAPTURED),
            reference=charge_id if declined else None,
            **evidence,
            **(_decline(charge, error) if declined else {}),
        )

    return translate


def _session(step: PaymentStep) -> "Translate":
    """A payment step told by a checkout session, where the session has a payment of its own."""

    def translate(session: Node, kind: str, base: Base) -> AnyEvent | None:
        intent = session.reference("payment_intent")
        if intent is None:  # a subscription's first invoice or a saved card: other events tell of its payment
            return None
        paid = step is not PaymentStep.CAPTURED or session.hint("payment_status") == "paid"
        emails = session.email("customer_details", "email"), session.email("customer_email")
        email_hash, email_domain = first_email(emails)
        metadata = session.at("metadata")
        return PaymentChanged(
            **base,
            payment_id=intent,
            step=step if paid else PaymentStep.PENDING,
            amount=_money(session, "amount_total"),
            cumulative=step is PaymentStep.CAPTURED and paid,
            customer_id=metadata.customer("customer_id") or session.first_hint("customer", "customer_account"),
            device_id=metadata.hint("device_id"),
            ip=metadata.ip("ip"),
            initiator=Initiator.CUSTOMER,  # a session is a page that the customer is on
            email_hash=email_hash,
            email_domain=email_domain,
            billing_country=session.hint("customer_details", "address", "country"),
            merchant_reference=session.hint("client_reference_id") or metadata.hint("order_id"),
        )

    return translate


REFUND_STEPS = {
    "succeeded": PaymentStep.REFUNDED,
    "pending": PaymentStep.REFUND_PENDING,
    "requires_action": PaymentStep.REFUND_PENDING,
    "failed": PaymentStep.REFUND_FAILED,
    "canceled": PaymentStep.REFUND_FAILED,  # the money stays, or comes back
}


CALLED_FRAUD = "fraudulent"
OUR_KEY = "pay_in_alert"
"""Where a refund of ours keeps by what it is found again."""


def _refund(refund: Node, kind: str, base: Base) -> AnyEvent:
    # Refunds of the oldest API versions have no status; they existed only once they had succeeded.
    status = "failed" if kind == "refund.failed" else refund.maybe_text("status") or "succeeded"
    step = REFUND_STEPS.get(status)
    if step is None:
        raise unreadable(refund.where("status"), "a refund status that we do not know", "unknown_status")
    payment_id, aliases = _names(refund)
    return PaymentChanged(
        **base,
        payment_id=payment_id,
        aliases=aliases,
        step=step,
        amount=_money(refund, "amount"),
        reference=refund.text("id"),
        merchant_reference=refund.at("metadata").hint("order_id"),
    )


def beside(found: AnyEvent, subject: Node) -> tuple[FraudFound, ...]:
    """What else `subject` says than `found`: that whoever made a refund called the payment fraud, by the refund's own name and
    time, for its every message repeats it. A refund of ours answers who warned, and is no word of its own."""
    if not isinstance(found, PaymentChanged) or found.step not in (PaymentStep.REFUNDED, PaymentStep.REFUND_PENDING):
        return ()
    if subject.hint("reason") != CALLED_FRAUD or subject.hint("metadata", OUR_KEY):  # a charge has no reason
        return ()
    made = subject.raw("created")
    return (
        FraudFound(
            event_id=f"{found.event_id.rpartition(':')[0]}:{found.reference}:fraud",
            provider=found.provider,
            account=found.account,
            occurred_at=(unix_time(made) if type(made) is int else None) or found.occurred_at,
            delivery_id=found.delivery_id,
            livemode=found.livemode,
            unsigned=found.unsigned,
            payment_id=found.payment_id,
            payment_aliases=found.aliases,
            found_by=Finder.REFUND,
        ),
    )


# Disputes and warnings

STATUSES = {
    "warning_needs_response": (DisputeStage.INQUIRY, DisputeStatus.NEEDS_RESPONSE),
    "warning_under_review": (DisputeStage.INQUIRY, DisputeStatus.UNDER_REVIEW),
    "warning_closed": (DisputeStage.INQUIRY, DisputeStatus.CLOSED),
    "prevented": (DisputeStage.INQUIRY, DisputeStatus.PREVENTED),
    "needs_response": (None, DisputeStatus.NEEDS_RESPONSE),
    "under_review": (None, DisputeStatus.UNDER_REVIEW),
    "won": (None, DisputeStatus.WON),
    "lost": (None, DisputeStatus.LOST),
    "charge_refunded": (DisputeStage.INQUIRY, DisputeStatus.PREVENTED),  # only in old API versions
    "appeal_needs_response": (DisputeStage.PRE_ARBITRATION, DisputeStatus.NEEDS_RESPONSE),
    "appeal_under_review": (DisputeStage.PRE_ARBITRATION, DisputeStatus.UNDER_REVIEW),
}
REASONS = {
    "fraudulent": DisputeReason.FRAUD,
    "unrecognized": DisputeReason.FRAUD,
    "debit_not_authorized": DisputeReason.FRAUD,
    "product_not_received": DisputeReason.NOT_RECEIVED,
    "product_unacceptable": DisputeReason.NOT_AS_DESCRIBED,
    "duplicate": DisputeReason.DUPLICATE,
    "subscription_canceled": DisputeReason.CANCELED,
    "credit_not_processed": DisputeReason.CREDIT_NOT_PROCESSED,
}


# Only banks that return a debit give these; there is no appeal.
FINAL_REASONS = frozenset(
    {
        "bank_cannot_process",
        "check_returned",
        "customer_initiated",
        "incorrect_account_details",
        "insufficient_funds",
    }
)
COMPLIANCE = ("visa_compliance", "mastercard_compliance")
# Where Stripe answers in our name: the status of its own packet of evidence, by the method that we chose. Older API
# versions tell no status.
PACKETS: dict[str, tuple[str | None, ...]] = {
    "smart_disputes": ("available", "processing", None),
    "prefer_smart_disputes": ("available",),
}
COMPLIANCE_FEE = Money(50_000, "USD")


def _contest_fee(dispute: Node, details: Node, case_type: str | None, reason: str | None) -> Money | None:
    """What contesting costs: the network's fee of a compliance case, which is given back to who wins."""
    listed = dispute.raw("enhanced_eligibility_types")
    eligible = [*(listed if type(listed) is list else ()), *details.at("enhanced_eligibility").value]
    is_compliance = "compliance" in (case_type, dispute.hint("payment_method_details", "case_type"))
    if is_compliance or reason == "noncompliant" or any(name in eligible for name in COMPLIANCE):
        return COMPLIANCE_FEE
    return None


def _moved(dispute: Node, kind: str) -> Money | None:
    """The disputed money that this event took or gave back, without the dispute fee, in the currency of our balance."""
    sign = {"charge.dispute.funds_withdrawn": -1, "charge.dispute.funds_reinstated": 1}.get(kind)
    if sign is None:
        return None
    moves = [_money(entry, "amount") for entry in dispute.nodes("balance_transactions") if entry.raw("amount")]
    fitting = [money for money in moves if money.minor * sign > 0]
    if fitting:
        return fitting[-1]
    whole = _money(dispute, "amount")
    return Money(sign * whole.minor, whole.currency)


def _fees(dispute: Node) -> Money | None:
    """What was charged with the money that moved until now; a fee that is given back is negative there."""
    entries = [entry for entry in dispute.nodes("balance_transactions") if entry.raw("fee") is not None]
    return one_sum([_money(entry, "fee") for entry in entries])


def _dispute(dispute: Node, kind: str, base: Base) -> AnyEvent:
    payment_id, aliases = _names(dispute)
    word = dispute.word("status")
    told, status = STATUSES.get(word, (None, None))
    card = dispute.at("payment_method_details", "card")
    case_type, reason = card.hint("case_type"), dispute.hint("reason")
    by_case = DisputeStage.INQUIRY if case_type == "inquiry" else DisputeStage.CHARGEBACK
    stage = told or (by_case if status else None)
    details = dispute.at("evidence_details")
    due_node, due_name = (
        (details, "due_by") if details.raw("due_by") is not None else (dispute, "evidence_due_by")
    )  # the second name is the one that API versions before 2015 used
    has_deadline = due_node.raw(due_name) not in (None, 0)
    can_respond: bool | None = None
    method = dispute.lowered("payment_method_details", "type")
    asks_klarnas_customer = stage is DisputeStage.INQUIRY and method == "klarna"
    if not has_deadline or reason in FINAL_REASONS or asks_klarnas_customer:
        can_respond = False
    elif status is DisputeStatus.NEEDS_RESPONSE:
        can_respond = True  # past_due is about the evidence of the round before
    submissions, submitted_by = details.raw("submission_count"), details.hint("submission_method")
    # Of who answered last it tells on: an appeal, or a chargeback after an inquiry, asks again.
    answered_for_us = submitted_by == "smart_disputes" and status is not DisputeStatus.NEEDS_RESPONSE
    intended, packet = dispute.hint("intended_submission_method"), dispute.hint("smart_disputes", "status")
    will_be_answered = (
        word == "needs_response" and submitted_by != "manual" and packet in PACKETS.get(intended or "", ())
    )
    return DisputeChanged(
        **base,
        dispute_id=dispute.maybe_text("id") or dispute.reference("charge") or payment_id,
        payment_id=payment_id,
        payment_aliases=aliases,
        stage=stage,
        status=status,
        status_unknown=status is None,
        amount=_money(dispute, "amount"),
        moved=_moved(dispute, kind),
        reason=REASONS.get(reason, DisputeReason.OTHER) if reason else None,
        reason_code=card.hint("network_reason_code")
        or dispute.hint("network_reason_code")
        or dispute.at("payment_method_details", method or "").hint("reason_code")  # Klarna's and PayPal's own
        or reason,
        network=card.lowered("network") or card.lowered("brand"),
        **(due_node.deadline(due_name) if has_deadline else {}),
        can_respond=can_respond,
        autodefended=answered_for_us or will_be_answered,
        contest_fee=_contest_fee(dispute, details, case_type, reason),
        fees=or_doubt(lambda: _fees(dispute), dispute),
        provider_status=word,
        evidence_submitted=submissions > 0 if type(submissions) is int else None,
    )


def _warning(warning: Node, kind: str, base: Base) -> AnyEvent:
    payment_id, aliases = _names(warning)
    return FraudWarned(
        **base,
        warning_id=warning.text("id"),
        payment_id=payment_id,
        payment_aliases=aliases,
        fraud_type=warning.hint("fraud_type"),
        actionable=warning.flag("actionable"),
    )


def _review(review: Node, kind: str, base: Base) -> AnyEvent:
    payment_id, _ = _names(review)
    return ReviewChanged(
        **base, payment_id=payment_id, open=kind == "review.opened", verdict=review.hint("closed_reason")
    )


def _payout(payout: Node, kind: str, base: Base) -> AnyEvent:
    return PayoutChanged(
        **base, payout_id=payout.text("id"), status=payout.word("status"), amount=_money(payout, "amount")
    )


Translate = Callable[[Node, str, Base], AnyEvent | None]

PAYMENTS: dict[str, Translate] = {
    "charge.succeeded": _charge_succeeded,
    "charge.pending": _charge(PaymentStep.PENDING, "amount"),
    "charge.captured": _charge(PaymentStep.CAPTURED, "amount_captured", "amount"),
    "charge.failed": _charge(PaymentStep.DECLINED, "amount"),
    "charge.expired": _charge(PaymentStep.CANCELED, "amount"),
    "payment_intent.created": _intent(PaymentStep.PENDING, "amount"),
    "payment_intent.processing": _intent(PaymentStep.PENDING, "amount"),
    "payment_intent.requires_action": _intent(PaymentStep.PENDING, "amount"),
    "payment_intent.amount_capturable_updated": _intent(PaymentStep.AUTHORIZED),
    "payment_intent.succeeded": _intent(PaymentStep.CAPTURED, "amount_received", "amount"),
    "payment_intent.payment_failed": _intent(PaymentStep.DECLINED, "amount"),
    "payment_intent.canceled": _intent(PaymentStep.CANCELED, "amount"),
    "checkout.session.completed": _session(PaymentStep.CAPTURED),
    "checkout.session.async_payment_succeeded": _session(PaymentStep.CAPTURED),
    "checkout.session.async_payment_failed": _session(PaymentStep.DECLINED),
    "checkout.session.expired": _session(PaymentStep.CANCELED),
}
REFUNDS: dict[str, Translate] = {
    "charge.refunded": _charge_refunded,
    "refund.created": _refund,
    "refund.updated": _refund,
    "refund.failed": _refund,
    "charge.refund.updated": _refund,
}
DISPUTES: dict[str, Translate] = {
    **dict.fromkeys(
        (f"charge.dispute.{step}" for step in ("created", "updated", "closed", "funds_withdrawn", "funds_reinstated")),
        _dispute,
    ),
}
WARNINGS: dict[str, Translate] = {
    "radar.early_fraud_warning.created": _warning,
    "radar.early_fraud_warning.updated": _warning,
}
OTHERS: dict[str, Translate] = {
    "review.opened": _review,
    "review.closed": _review,
    **dict.fromkeys(
        (f"payout.{step}" for step in ("created", "paid", "failed", "canceled", "updated", "reconciliation_completed")),
        _payout,
    ),
}
TYPES = PAYMENTS | REFUNDS | DISPUTES | WARNINGS | OTHERS

WORDS = {
    "Dispute.status": STATUSES,
    "Dispute.reason": REASONS,
    "Dispute.intended_submission_method": ("manual", "prefer_manual", *PACKETS),
    "Dispute.smart_disputes.status": ("available", "processing", "requires_evidence", "unavailable"),
    "Refund.status": REFUND_STEPS,
    "Refund.reason": (CALLED_FRAUD, "duplicate", "requested_by_customer", "expired_uncaptured_charge"),
    "Charge.payment_method_details.card.checks.cvc_check": CHECKS,
    "Charge.payment_method_details.card.three_d_secure.result": THREE_D_SECURE,
}
TRAITS = Traits(
    scheme="HMAC-SHA256 of time and body",
    replay="signed time ±300 s, event id",
    rotation="both secrets sign for 24 h",
    retry_days=3,
    deadline="evidence_details.due_by",
    response_api="POST /v1/disputes/{id}",
    fetch_back=True,
    payments=PAYMENTS,
    refunds=REFUNDS,
    disputes=DISPUTES,
    warnings=WARNINGS,
)
