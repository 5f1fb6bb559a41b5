"""Mercado Pago's payments, chargebacks and claims, read back: its webhooks only name them."""

from collections.abc import Callable, Collection
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

from shared.domain.api import ApiCredentials, ApiRequest
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
from shared.providers.kit.envelope import Base, of_poke
from shared.providers.kit.reading import Node, parse, unreadable
from shared.providers.mercadopago.webhook import ID, NAME

API_HOSTS = frozenset({"api.mercadopago.com"})
PATHS = {
    "payments": "/v1/payments/{}",
    "chargebacks": "/v1/chargebacks/{}",
    "claims": "/post-purchase/v1/claims/{}",
    # What leads to payments. A subscription does not name its charges; they are searched for.
    "orders": "/v1/orders/{}",
    "merchant_orders": "/merchant_orders/{}",
    "authorized_payments": "/authorized_payments/{}",
    "preapprovals": "/authorized_payments/search?preapproval_id={}",
    "intents": "/point/integration-api/payment-intents/{}",
}


def resource_request(event: ResourceChanged, api: ApiCredentials) -> ApiRequest:
    path = PATHS.get(event.resource)
    if path is None or not ID.fullmatch(event.resource_id):
        raise unreadable("resource_id", "not an id of Mercado Pago's", "unreadable_id")
    base = api.base_url or "https://api.mercadopago.com"
    headers = {"Authorization": f"Bearer {api.key}", "Accept": "application/json"}
    return ApiRequest("GET", base + path.format(event.resource_id), headers)


def read_resource(event: ResourceChanged, body: bytes) -> tuple[AnyEvent, ...]:
    thing = parse(body)
    if event.resource in LEADING:
        return tuple(_paid_by(thing, event))
    translate = READERS.get(event.resource)
    if translate is None:
        raise unreadable("resource", "not a kind of object that we know", "unknown_resource")
    # Ids with letters may come in either case; a chargeback is asked for by its own or by its case's.
    if event.resource_id.lower() not in {
        identifier(thing, name).lower() for name in ("id", "case_id") if thing.raw(name)
    }:
        raise unreadable("id", "another object than was asked for", "another_object")
    return tuple(translate(thing, of_poke(event, livemode=thing.flag("live_mode"))))


LEADING = ("orders", "merchant_orders", "authorized_payments", "preapprovals", "intents")
# Of an order's payment: what it is in while nobody has paid, and need not have a payment's id.
UNPAID = ("created", "at_terminal", "action_required", "processing", "in_review", "failed", "canceled", "expired")


def _paid_by(thing: Node, event: ResourceChanged) -> list[ResourceChanged]:
    """The payments that an order, a subscription or one of its charges, or a Point's intent led to so far, and an order's
    chargebacks: each is read for itself."""
    if event.resource == "preapprovals":
        if type(thing.raw("results")) is not list:
            raise unreadable("results", "missing", "missing_field")
        charges = thing.nodes("results")
        found = [charge.at("payment") for charge in charges]
        owners = [identifier(charge, "preapproval_id") for charge in charges]
    else:
        found = thing.nodes("payments") if event.resource == "merchant_orders" else [thing.at("payment")]
        owners = [identifier(thing, "id")]
    if any(owner.lower() != event.resource_id.lower() for owner in owners):
        raise unreadable("id", "another object than was asked for", "another_object")
    named = [("payments", identifier(payment, "id")) for payment in found if payment.value]
    if event.resource == "orders":
        named = _of_order(thing.at("transactions"))
    return [
        replace(
            event,
            event_id=f"{event.event_id}:{own}",
            unsigned=(),
            resource=resource,
            resource_id=own,
            hint=None,
        )
        for resource, own in dict.fromkeys(named)
    ]


def _of_order(transactions: Node) -> list[tuple[str, str]]:
    """The payments and chargebacks of an order of the Orders API, by the ids that they have elsewhere: its own (PAY…, CHB…)
    name nothing there."""
    named = []
    for payment in transactions.nodes("payments"):
        # Notifications and older answers keep it in an object.
        member = ("reference_id",) if payment.raw("reference_id") else ("reference", "id")
        if payment.raw(*member) or payment.raw("status") not in UNPAID:
            named.append(("payments", identifier(payment, *member)))
    return named + [("chargebacks", identifier(dispute, "case_id")) for dispute in transactions.nodes("chargebacks")]


def identifier(node: Node, *keys: str) -> str:
    """An id: a number, or a text. It may be as long as a card's number, which the API never tells."""
    value = node.raw(*keys)
    text = str(value) if type(value) is int else value
    if type(text) is not str or not ID.fullmatch(text):
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
        return from_major(amount if type(amount) in (str, int, Decimal) else "", currency)
    except ValueError:
        raise unreadable(node.where(value), "not an amount of that currency", "unreadable_money") from None


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
    status, own = payment.word("status"), identifier(payment, "id")
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
    own, status = identifier(refund, "id"), refund.hint("status") or "approved"
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
    own = identifier(chargeback, "id")
    currency = chargeback.maybe_text("currency") or chargeback.text("currency_id")
    papers, covered = chargeback.hint("documentation_status"), chargeback.flag("coverage_applied")
    word = chargeback.hint("status")
    outcome = OUTCOMES.get(word or "")
    # Not covered may also be not covered yet: no ruling comes before the papers are in, or their time is over.
    ruled = word != IN_PROCESS and papers not in UNDECIDED
    if outcome is None and covered is not None and (covered or ruled):
        outcome = DisputeStatus.WON if covered else DisputeStatus.LOST
    status = outcome or DOCUMENTATION.get(papers or "", DisputeStatus.NEEDS_RESPONSE)
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
            payment_id=identifier(listed, "id") if listed else identifier(chargeback, "payment_id"),
            stage=DisputeStage.CHARGEBACK,
            status=status,
            # A word in no list may say that it is over: until then an answer is asked for all the same.
            status_unknown=word not in (*OUTCOMES, IN_PROCESS, None) or papers not in (*DOCUMENTATION, NO_PAPERS, None),
            amount=_money(chargeback, "amount", currency),
            reason=REASONS.get(reason, DisputeReason.OTHER) if reason else None,
            reason_code=reason,
            **chargeback.deadline("date_documentation_deadline"),
            can_respond=answerable if status is DisputeStatus.NEEDS_RESPONSE else None,
            provider_status=papers,
            evidence_submitted=True if status is DisputeStatus.UNDER_REVIEW else None,
        )
    ]


# How the reasons of claims begin: what did not arrive, what is another or broken, what is to be canceled.
CLAIMS = {
    "PNR": DisputeReason.NOT_RECEIVED,
    "PDD": DisputeReason.NOT_AS_DESCRIBED,
    "CS": DisputeReason.CANCELED,
}
_NOT_READ = datetime.max.replace(tzinfo=UTC)
OPENED, CLOSED = "opened", "closed"
BENEFITED = {"respondent": DisputeStatus.WON, "complainant": DisputeStatus.LOST}


def _claim(claim: Node, base: Base) -> list[AnyEvent]:
    """The buyer complains to Mercado Pago: an inquiry, for the card's bank knows nothing of it."""
    own, word = identifier(claim, "id"), claim.word("status")
    benefited = claim.raw("resolution", "benefited")
    names = benefited if type(benefited) is list else [benefited]
    outcomes = {BENEFITED[name] for name in names if type(name) is str and name in BENEFITED}
    # Where both sides benefit, or it is not told who does, a claim ended without a ruling.
    ended = next(iter(outcomes)) if len(outcomes) == 1 else DisputeStatus.CLOSED
    status = {OPENED: DisputeStatus.NEEDS_RESPONSE, CLOSED: ended}.get(word)
    due = [
        action.deadline("due_date")
        for player in claim.nodes("players")
        if player.raw("role") == "respondent"
        for action in player.nodes("available_actions")
        if action.raw("due_date") is not None
    ]
    first = min(due, default={}, key=lambda told: told["respond_by"] or _NOT_READ)
    code = claim.hint("reason_id")
    reason = next((ours for family, ours in CLAIMS.items() if code and code.startswith(family)), DisputeReason.OTHER)
    when = "last_updated" if claim.raw("last_updated") is not None else "date_created"
    return [
        DisputeChanged(
            **_known(base, f"claim-{own}", status or "unknown", claim.instant(when)),
            dispute_id=f"claim-{own}",
            payment_id=identifier(claim, "resource_id") if claim.raw("resource") == "payment" else None,
            stage=DisputeStage.INQUIRY,
            status=status,
            status_unknown=status is None,
            reason=reason if code else None,
            reason_code=code,
            **first,
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
    "orders": {
        "transactions.payments[].status": (*UNPAID, "processed", "refunded", "partially_refunded", "charged_back")
    },
    "payments": {"status": STEPS, "refunds[].status": REFUND_STEPS},
    "chargebacks": {"status": (*OUTCOMES, IN_PROCESS), "documentation_status": (*DOCUMENTATION, NO_PAPERS)},
    "claims": {"status": (OPENED, CLOSED), "resolution.benefited[]": BENEFITED},
}
