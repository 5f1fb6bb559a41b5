"""Mercado Pago: pokes whose signature covers an id and a time, and objects that are read back.

| fact | value |
|---|---|
| signed | `id:<data.id of the URL>;request-id:<x-request-id>;ts:<ts>;`, without what is absent, HMAC-SHA256, hex, in `x-signature: ts=<ts>,v1=<hex>` |
| key | the secret signature of the application's webhooks |
| not signed | **the whole body**, and the URL but for `data.id`: neither what kind of object it is nor what happened is proved. All of it is read back |
| the id's case | documentation lower-cases ids with letters, the official library does not: as received is tried first, then lower case |
| age | `ts` in seconds or in milliseconds (both are sent): at most 8 days before receipt, at most 5 minutes after |
| acknowledge | 200 or 201 within 22 s; tried again after 15 minutes, then ever more seldom, for about a week |
| rotation | one secret an application: renew it and keep both keys for the retries |
| identity | `x-request-id` and `data.id`; the signed time where there is no request id |
| amounts | decimal numbers in major units, read exactly |
| deadline | `date_documentation_deadline` of the chargeback; no answer is taken where it is not eligible for coverage or needs no documents |
| fetch-back | GET /v1/payments/{id}, /v1/chargebacks/{id}, /post-purchase/v1/claims/{id} |
| mode | `live_mode` of the object; the body's is not signed |
| fraud alert | `stop_delivery_op_wh` has no `data.id`, and names its payment only in the unsigned body: it is for a person to look at. It is **not** sent again if it is refused |
| merchant's own words | `metadata`: `customer_id`, `device_id`, `ip`, `initiator` (customer or merchant) |

Notifications of QR codes and of the older IPN are not signed: refused. The `order` topic of the Orders API is ignored:
subscribe to `payment`. The buyer's documents and names are never kept.

Sources: Mercado Pago docs "Webhooks", "Chargebacks: manage", "Payment status"; the official Python library's
validator, fixtures and entities. Not settled in public: the members of claims beyond status, stage and resolution.
"""

import re
from collections.abc import Callable, Collection
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import unquote_plus

from shared.domain.api import ApiCredentials, ApiRequest
from shared.domain.delivery import Credentials, Delivery, Verdict
from shared.domain.errors import Misconfigured, SignatureInvalid, Unreadable
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
    ResourceChanged,
)
from shared.domain.money import Money, from_major
from shared.providers.protocol import Answer, FetchCertificate, Normalized, Traits
from shared.providers.reading import Node, opened, parse, unix_milliseconds, unix_time, unreadable
from shared.providers.signing import as_bytes, header, hex_text, is_text_key, matching_key

__all__ = ["opened"]

NAME = "mercadopago"
ANSWER = Answer()
SIGNED_HEADERS = ("x-signature", "x-request-id")
KEPT_QUERY = ("data.id", "type")
UNSIGNED = ("resource", "hint", "occurred_at")
API_HOSTS = frozenset({"api.mercadopago.com"})
OLDEST = timedelta(days=8)
SKEW = timedelta(minutes=5)
_MOST_FIELDS = 32

# What goes into the signed text, so that no id can pretend to be the next pair of it; and into an address.
_ID = re.compile(r"[A-Za-z0-9_\-]{1,64}", flags=re.ASCII)
_REQUEST_ID = re.compile(r"[A-Za-z0-9_\-.]{1,128}", flags=re.ASCII)
_STAMP = re.compile(r"[0-9]{9,14}", flags=re.ASCII)
_MILLISECONDS_FROM = 10**11

Base = dict[str, Any]


def check_credentials(credentials: Credentials) -> None:
    for key_id, secret in credentials.keys.items():
        if not is_text_key(secret):
            raise Misconfigured(
                f"WEBHOOK_MERCADOPAGO key {key_id!r} is no secret signature: set it to the whole text",
                reason="bad_secret",
            )


def verify(delivery: Delivery, credentials: Credentials, fetch_certificate: FetchCertificate) -> Verdict:
    signature, request_id = header(delivery.headers, "x-signature"), header(delivery.headers, "x-request-id")
    if not signature:
        raise SignatureInvalid("no x-signature", reason="missing_signature")
    stamps: list[str] = []
    offered: list[str] = []
    for part in signature.split(",", 8):
        name, _, value = part.strip().partition("=")
        if name == "ts":
            stamps.append(value)
        elif name == "v1":
            offered.append(value.lower())
    own = _data_id(delivery)
    # Two of anything would leave open which one was judged and which one was signed.
    if len(stamps) != 1 or not offered or not _STAMP.fullmatch(stamps[0]):
        raise SignatureInvalid("not one time and a v1 signature", reason="malformed_signature")
    if own is None or not (own or request_id) or (request_id and not _REQUEST_ID.fullmatch(request_id)):
        raise SignatureInvalid("no id that could have been signed", reason="malformed_signature")
    keys = {key_id: as_bytes(secret) for key_id, secret in credentials.keys.items()}
    rest = f"request-id:{request_id};ts:{stamps[0]};" if request_id else f"ts:{stamps[0]};"
    key_id = None
    for form in dict.fromkeys((own, own.lower())):
        manifest = f"id:{form};{rest}" if form else rest
        key_id = key_id or matching_key(keys, manifest.encode("ascii"), offered, hex_text)
    if key_id is None:
        raise SignatureInvalid("no signature matches", reason="signature_mismatch")
    number = int(stamps[0])
    signed_at = unix_milliseconds(number) if number > _MILLISECONDS_FROM else unix_time(number)
    if signed_at is None or not -SKEW <= delivery.received_at - signed_at <= OLDEST:
        raise SignatureInvalid("not signed in the last eight days", reason="outside_tolerance")
    return Verdict(key_ids=(key_id,), signed_at=signed_at, unsigned=UNSIGNED)


def _query(delivery: Delivery) -> list[tuple[str, str]] | None:
    parts = delivery.query.split("&", _MOST_FIELDS)
    if len(parts) > _MOST_FIELDS:
        return None
    decoded = unquote_plus if "%" in delivery.query or "+" in delivery.query else str
    return [(decoded(name), decoded(value)) for name, _, value in (part.partition("=") for part in parts)]


def _data_id(delivery: Delivery) -> str | None:
    """The id that the URL names once and only once; empty where it names none; None where it is no id."""
    query = _query(delivery)
    if query is None:
        return None
    found = [value for name, value in query if name == "data.id"]
    if not found:
        return ""
    return found[0] if len(found) == 1 and _ID.fullmatch(found[0]) else None


TOPICS = {
    "payment": "payments",
    "topic_chargebacks_wh": "chargebacks",
    "chargebacks": "chargebacks",
    "topic_claims_integration_wh": "claims",
    "claim": "claims",
}
FRAUD_ALERTS = ("stop_delivery_op_wh", "delivery_cancellation")


def normalize(delivery: Delivery, verdict: Verdict, credentials: Credentials) -> Normalized:
    own = _data_id(delivery)
    if own is None:
        raise unreadable("query.data.id", "missing", "missing_field")
    lines: tuple[str, ...] = ()
    try:
        body = opened(delivery)
    except Unreadable as error:
        # Nothing of it is signed: what the URL signs and says is enough to read the object back.
        body, lines = Node({}, ""), (str(error),)
    query = Node(dict(_query(delivery) or ()), "query")
    topic = body.hint("type") or body.hint("topic") or query.hint("type") or "unnamed"
    topic = topic if _ID.fullmatch(topic) else "unnamed"
    request_id = header(delivery.headers, "x-request-id")
    if not _REQUEST_ID.fullmatch(request_id):
        request_id = f"at-{verdict.signed_at.timestamp():.3f}" if verdict.signed_at else ""
    delivery_id = f"{NAME}:{credentials.account}:{own}.{request_id}"
    if topic in FRAUD_ALERTS:
        line = "body: a fraud alert that nobody signed: ship nothing until a person looked at it"
        return Normalized(delivery_id, types=(topic,), unreadable=(*lines, line))
    resource = TOPICS.get(topic)
    if not own and (resource or topic == "unnamed"):
        raise unreadable("query.data.id", "missing", "missing_field")
    if resource is None:
        return Normalized(delivery_id, types=(topic,), ignored=(topic,), unreadable=lines)
    poke = ResourceChanged(
        event_id=delivery_id,
        provider=NAME,
        account=credentials.account,
        occurred_at=_told_at(body) or verdict.signed_at or delivery.received_at,
        delivery_id=delivery_id,
        livemode=credentials.live,
        unsigned=verdict.unsigned,
        resource=resource,
        resource_id=own,
        hint=body.hint("action"),
    )
    return Normalized(delivery_id, events=(poke,), types=(topic,), unreadable=lines)


def _told_at(body: Node) -> datetime | None:
    try:
        return body.instant("date_created")
    except Unreadable:
        return None


# Reading back

PATHS = {
    "payments": "/v1/payments/",
    "chargebacks": "/v1/chargebacks/",
    "claims": "/post-purchase/v1/claims/",
}


def resource_request(event: ResourceChanged, api: ApiCredentials) -> ApiRequest:
    path = PATHS.get(event.resource)
    if path is None or not _ID.fullmatch(event.resource_id):
        raise unreadable("resource_id", "not an id of Mercado Pago's", "unreadable_id")
    base = api.base_url or "https://api.mercadopago.com"
    headers = {"Authorization": f"Bearer {api.key}", "Accept": "application/json"}
    return ApiRequest("GET", f"{base}{path}{event.resource_id}", headers)


def read_resource(event: ResourceChanged, body: bytes) -> tuple[AnyEvent, ...]:
    thing = parse(body)
    translate = READERS.get(event.resource)
    if translate is None:
        raise unreadable("resource", "not a kind of object that we know", "unknown_resource")
    # Ids with letters may come in either case; a chargeback is asked for by its own or by its case's.
    if event.resource_id.lower() not in {_id(thing, name).lower() for name in ("id", "case_id") if thing.raw(name)}:
        raise unreadable("id", "another object than was asked for", "another_object")
    live = thing.flag("live_mode")
    base: Base = {
        "provider": NAME,
        "account": event.account,
        "delivery_id": event.delivery_id,
        "livemode": event.livemode if live is None else live,
    }
    return tuple(translate(thing, base))


def _id(node: Node, *keys: str) -> str:
    """An id: a number, or a text. It may be as long as a card's number, which the API never tells."""
    value = node.raw(*keys)
    text = str(value) if type(value) is int else value
    if type(text) is not str or not _ID.fullmatch(text):
        raise unreadable(node.where(*keys), "not an id", "missing_field")
    return text


def _known(base: Base, own: str, state: str, at: datetime) -> Base:
    """Who tells it and when. The same state read again is the same event."""
    stamp = int(at.timestamp() * 1000)
    return {**base, "event_id": f"{NAME}:{base['account']}:{own}.{state}.{stamp}", "occurred_at": at}


def _money(node: Node, value: str, currency: str) -> Money | None:
    """Decimal number or text `value` of the currency that `currency` names. Raises Unreadable."""
    amount = node.raw(value)
    if amount is None:
        return None
    try:
        return from_major(amount if not isinstance(amount, bool | float | dict | list) else "", currency)
    except ValueError:
        raise unreadable(node.where(value), "not an amount of that currency", "unreadable_money") from None


# Payments

STEPS = {
    "pending": PaymentStep.PENDING,
    "in_process": PaymentStep.PENDING,
    "authorized": PaymentStep.AUTHORIZED,
    "approved": PaymentStep.CAPTURED,
    "in_mediation": PaymentStep.CAPTURED,
    "refunded": PaymentStep.CAPTURED,
    "charged_back": PaymentStep.CAPTURED,
    "rejected": PaymentStep.DECLINED,
    "cancelled": PaymentStep.CANCELED,
}
REFUND_STEPS = {
    "approved": PaymentStep.REFUNDED,
    "in_process": PaymentStep.REFUND_PENDING,
    "authorized": PaymentStep.REFUND_PENDING,
    "rejected": PaymentStep.REFUND_FAILED,
    "cancelled": PaymentStep.REFUND_FAILED,
}
NETWORKS = {"master": "mastercard", "debmaster": "mastercard", "debvisa": "visa"}
FUNDING = {"credit_card": "credit", "debit_card": "debit", "prepaid_card": "prepaid"}
INITIATORS = {"customer": Initiator.CUSTOMER, "merchant": Initiator.MERCHANT}
# Details that say that the same card will never be accepted.
HARD_DECLINES = frozenset({"cc_rejected_blacklist", "cc_rejected_card_disabled", "cc_rejected_bad_filled_card_number"})


def _payment(payment: Node, base: Base) -> list[AnyEvent]:
    status, own = payment.word("status"), _id(payment, "id")
    step = STEPS.get(status)
    if step is None:
        raise unreadable(payment.where("status"), "a payment status that we do not know", "unknown_status")
    currency = payment.text("currency_id")
    amount = _money(payment, "transaction_amount", currency)
    created = payment.instant("date_created")
    when = {PaymentStep.CAPTURED: "date_approved", PaymentStep.CANCELED: "date_last_updated"}.get(step, "date_created")
    at = payment.instant(when) if payment.raw(when) is not None else created
    card, metadata = payment.at("card"), payment.at("metadata")
    network = payment.lowered("payment_method_id")
    declined = step is PaymentStep.DECLINED
    detail = payment.hint("status_detail")
    email_hash, email_domain = payment.email("payer", "email")
    events: list[AnyEvent] = [
        PaymentChanged(
            **_known(base, f"payment-{own}", step.value, at),
            payment_id=own,
            step=step,
            amount=amount,
            reference=own,
            merchant_reference=payment.hint("external_reference"),
            method=payment.lowered("payment_type_id"),
            card=Card(
                bin=card.digits("first_six_digits", least=6, most=8),
                last4=card.digits("last_four_digits", least=4, most=4),
                network=NETWORKS.get(network, network) if network else None,
                funding=FUNDING.get(payment.lowered("payment_type_id") or ""),
            )
            if card.value
            else None,
            customer_id=metadata.customer("customer_id") or payment.at("payer").customer("id"),
            device_id=metadata.hint("device_id"),
            ip=metadata.ip("ip") or payment.ip("additional_info", "ip_address"),
            email_hash=email_hash,
            email_domain=email_domain,
            initiator=INITIATORS.get(metadata.lowered("initiator") or ""),
            decline_code=detail if declined else None,
            hard_decline=detail in HARD_DECLINES if declined and detail else None,
        )
    ]
    refunds = payment.nodes("refunds")
    events.extend(_refund(refund, own, currency, base) for refund in refunds)
    returned = _money(payment, "transaction_amount_refunded", currency)
    if returned and returned.minor and not refunds:
        # Told in sum alone: a running total, until somebody tells of its parts.
        at = payment.instant("date_last_updated") if payment.raw("date_last_updated") is not None else created
        known = _known(base, f"payment-{own}", f"refunded.{returned.minor}", at)
        refunded = PaymentStep.REFUNDED
        events.append(PaymentChanged(**known, payment_id=own, step=refunded, amount=returned, cumulative=True))
    return events


def _refund(refund: Node, payment_id: str, currency: str, base: Base) -> AnyEvent:
    own, status = _id(refund, "id"), refund.hint("status") or "approved"
    step = REFUND_STEPS.get(status)
    if step is None:
        raise unreadable(refund.where("status"), "a refund status that we do not know", "unknown_status")
    return PaymentChanged(
        **_known(base, f"refund-{own}", status, refund.instant("date_created")),
        payment_id=payment_id,
        step=step,
        amount=_money(refund, "amount", currency),
        reference=own,
    )


# Disputes

OUTCOMES = {"settled": DisputeStatus.LOST, "reimbursed": DisputeStatus.WON}
# Where no outcome is told yet: of the papers.
DOCUMENTATION = {
    "pending": DisputeStatus.NEEDS_RESPONSE,
    "not_supplied": DisputeStatus.NEEDS_RESPONSE,
    "invalid": DisputeStatus.NEEDS_RESPONSE,
    "review_pending": DisputeStatus.UNDER_REVIEW,
    "valid": DisputeStatus.UNDER_REVIEW,
}
IN_PROCESS, NO_PAPERS = "in_process", "not_applicable"
UNDECIDED = frozenset({"pending", "review_pending"})
# Only where all of these hold are documents taken; their first one is written in two ways.
CONDITIONS = ("coverage_eligible", "coverage_elegible", "documentation_required")
REASONS = {"fraud": DisputeReason.FRAUD}


def _chargeback(chargeback: Node, base: Base) -> list[AnyEvent]:
    own = _id(chargeback, "id")
    currency = chargeback.maybe_text("currency") or chargeback.text("currency_id")
    papers, covered = chargeback.hint("documentation_status"), chargeback.flag("coverage_applied")
    word = chargeback.hint("status")
    outcome = OUTCOMES.get(word or "")
    # Not covered may also be not covered yet: no ruling comes before the papers are in, or their time is over.
    ruled = word != IN_PROCESS and papers not in UNDECIDED
    if outcome is None and covered is not None and (covered or ruled):
        outcome = DisputeStatus.WON if covered else DisputeStatus.LOST
    status = outcome or DOCUMENTATION.get(papers or "", DisputeStatus.NEEDS_RESPONSE)
    due = chargeback.raw("date_documentation_deadline")
    times = ("date_last_updated", "date_created")
    when = next((name for name in times if chargeback.raw(name) is not None), times[-1])
    reason = chargeback.hint("reason")
    payments = chargeback.raw("payments")
    answerable = papers != NO_PAPERS and all(chargeback.flag(name) is not False for name in CONDITIONS)
    listed = Node({"id": payments[0]}, chargeback.where("payments[0]")) if type(payments) is list and payments else None
    return [
        DisputeChanged(
            **_known(base, f"chargeback-{own}", status.value, chargeback.instant(when)),
            dispute_id=own,
            payment_id=_id(listed, "id") if listed else _id(chargeback, "payment_id"),
            stage=DisputeStage.CHARGEBACK,
            status=status,
            amount=_money(chargeback, "amount", currency),
            reason=REASONS.get(reason, DisputeReason.OTHER) if reason else None,
            respond_by=chargeback.instant("date_documentation_deadline") if due is not None else None,
            respond_by_text=chargeback.text("date_documentation_deadline") if due is not None else None,
            can_respond=answerable if status is DisputeStatus.NEEDS_RESPONSE else None,
            provider_status=papers,
            evidence_submitted=True if status is DisputeStatus.UNDER_REVIEW else None,
        )
    ]


BENEFITED = {"respondent": DisputeStatus.WON, "complainant": DisputeStatus.LOST}


def _claim(claim: Node, base: Base) -> list[AnyEvent]:
    """The buyer complains to Mercado Pago: an inquiry, for the card's bank knows nothing of it."""
    own, word = _id(claim, "id"), claim.word("status")
    benefited = claim.raw("resolution", "benefited")
    names = benefited if type(benefited) is list else [benefited]
    outcomes = {BENEFITED[name] for name in names if type(name) is str and name in BENEFITED}
    status = DisputeStatus.NEEDS_RESPONSE
    if word != "opened":
        # Both sides, or none that is told: ended without a ruling.
        status = outcomes.pop() if len(outcomes) == 1 else DisputeStatus.CLOSED
    due = [
        (action.instant("due_date"), action.text("due_date"))
        for player in claim.nodes("players")
        if player.raw("role") == "respondent"
        for action in player.nodes("available_actions")
        if action.raw("due_date") is not None
    ]
    first = min(due, default=(None, None))
    when = "last_updated" if claim.raw("last_updated") is not None else "date_created"
    return [
        DisputeChanged(
            **_known(base, f"claim-{own}", status.value, claim.instant(when)),
            dispute_id=f"claim-{own}",
            payment_id=_id(claim, "resource_id") if claim.raw("resource") == "payment" else None,
            stage=DisputeStage.INQUIRY,
            status=status,
            respond_by=first[0],
            respond_by_text=first[1],
            can_respond=True if status is DisputeStatus.NEEDS_RESPONSE else None,
            provider_status=word,
        )
    ]


READERS: dict[str, Callable[[Node, Base], list[AnyEvent]]] = {
    "payments": _payment,
    "chargebacks": _chargeback,
    "claims": _claim,
}

RESOURCE_WORDS: dict[str, dict[str, Collection[str]]] = {
    "payments": {"status": STEPS, "refunds[].status": REFUND_STEPS},
    "chargebacks": {"status": (*OUTCOMES, IN_PROCESS), "documentation_status": (*DOCUMENTATION, NO_PAPERS)},
    "claims": {"status": ("opened", "closed"), "resolution.benefited[]": BENEFITED},
}
WORDS = {"type": (*TOPICS, *FRAUD_ALERTS)}
TRAITS = Traits(
    scheme="HMAC-SHA256 of the id and the time, not of the body",
    replay="signed time −8 d … +5 min, request id",
    rotation="keep both secrets for the retries",
    ack_seconds=22,
    retry_days=7,
    deadline="date_documentation_deadline",
    response_api="POST /v1/chargebacks/{id}/documentation",
    fetch_back=True,
    payments=("payment",),
    refunds=("payment",),
    disputes=[topic for topic, resource in TOPICS.items() if resource != "payments"],
    warnings=FRAUD_ALERTS,
)
