"""GoCardless: batches of events on Direct Debit, signed over the raw body, that name objects and no amounts.

| fact | value |
|---|---|
| signed | the raw body, HMAC-SHA256, lower hex, in `Webhook-Signature` |
| key | the webhook endpoint's secret as it is written |
| not signed | nothing of the body |
| age | the scheme has no time: a delivery replays for ever, and only its events' ids stop it |
| acknowledge | any 2xx (204 by convention), within some 10 s as others report; retried at growing pauses, up to 8 times, and on request |
| rotation | an endpoint has one secret: make a second endpoint, and keep both keys while the first one's retries run out |
| identity | each event's `id` (EV…); `links.organisation` as the account, for a partner's |
| batch | up to 250 events; one that cannot be read is named, and the others stand |
| amounts | none in the event: payments and refunds are read back, integers in the smallest unit, as ISO 4217 |
| deadline | none: a Direct Debit chargeback takes the money at once and cannot be answered |
| fetch-back | GET /payments/{id} and /refunds/{id}; the signed action says what happened, the object says how much |
| not told | cards, declines' network codes, fraud warnings, mode (an endpoint of the sandbox gets only its own) |

A payment's amount never changes, so what is read back is the event itself with its money: it keeps the event's id.
A payment may fail after it was confirmed, where the bank reports late: the same `failed` then takes the money back,
for it goes by the same reference. A chargeback has no id of its own and goes by its payment; it is final only once it
is settled.

Sources: GoCardless docs "Webhooks", "Event types", API reference (payments, refunds, events); the tests of the Python
and Go libraries. Not settled in public: how long it waits for an answer, and how often it retries.
"""

import re
from collections.abc import Collection

from shared.domain.delivery import Credentials, Delivery, Verdict
from shared.domain.errors import Unreadable
from shared.domain.events import (
    AnyEvent,
    DisputeReason,
    DisputeStatus,
    PaymentStep,
    PayoutChanged,
    ResourceChanged,
)
from shared.providers.kit.envelope import envelope
from shared.providers.kit.protocol import Answer, FetchCertificate, Normalized, Traits
from shared.providers.kit.reading import Node, opened, unreadable
from shared.providers.kit.signing import check_text_keys, verified_body

NAME = "gocardless"
ANSWER = Answer(status=204)
SIGNED_HEADERS = ("webhook-signature",)
PAYLOAD_VERSION = ()

ID = re.compile(r"[A-Za-z0-9_\-]{1,64}", flags=re.ASCII)


def check_credentials(credentials: Credentials) -> None:
    check_text_keys(NAME, credentials, "is no endpoint secret: set it to the whole text")


def verify(delivery: Delivery, credentials: Credentials, fetch_certificate: FetchCertificate) -> Verdict:
    return verified_body(delivery, credentials, "webhook-signature")


def normalize(delivery: Delivery, verdict: Verdict, credentials: Credentials) -> Normalized:
    whole = opened(delivery)
    if type(whole.raw("events")) is not list:
        raise unreadable("events", "not an array", "missing_field")
    items = whole.nodes("events")
    lines = ["events: an item that is no object"] if len(items) != len(whole.value["events"]) else []
    webhook = whole.maybe_text("meta", "webhook_id")
    # Older webhooks have no id: their first event's stands for the batch.
    delivery_id = f"{NAME}:{credentials.account}:{webhook or (items[0].hint('id') if items else None) or 'empty'}"
    events: list[AnyEvent] = []
    types: list[str] = []
    ignored: list[str] = []
    for item in items:
        try:
            kind = f"{item.word('resource_type')}.{item.word('action')}"
            types.append(kind)
            found = _event(item, delivery_id, verdict, credentials)
        except Unreadable as error:
            lines.append(str(error))
            continue
        if found is None:
            ignored.append(kind)
        else:
            events.append(found)
    return Normalized(
        delivery_id, events=tuple(events), types=tuple(types), ignored=tuple(ignored), unreadable=tuple(lines)
    )


def _event(item: Node, delivery_id: str, verdict: Verdict, credentials: Credentials) -> AnyEvent | None:
    resource, action = item.word("resource_type"), item.word("action")
    if (resource, action) not in FOLLOWED:
        return None
    account = item.maybe_text("links", "organisation") or credentials.account
    base = envelope(
        NAME,
        delivery_id,
        item.instant("created_at"),
        verdict,
        credentials,
        account=account,
        event_id=f"{NAME}:{account}:{item.word('id')}",
    )
    own = item.text("links", resource.removesuffix("s"))
    if resource == "payouts":
        return PayoutChanged(**base, payout_id=own, status=action)
    # What the object will not tell: why. All of it is signed.
    words = (action, item.hint("details", "cause"), item.hint("details", "reason_code"))
    return ResourceChanged(
        **base,
        resource=resource,
        resource_id=checked(resource, own),
        hint=" ".join(word if word and " " not in word else "-" for word in words),
    )


def checked(resource: str, own: str) -> str:
    """An id that can go into an address as it is. Raises Unreadable."""
    if resource not in ("payments", "refunds") or not ID.fullmatch(own):
        raise unreadable(f"links.{resource.removesuffix('s')}", "not an id of GoCardless'", "unreadable_id")
    return own


PAYMENT_STEPS = {
    "created": PaymentStep.PENDING,
    "customer_approval_granted": PaymentStep.PENDING,
    "submitted": PaymentStep.PENDING,
    "resubmission_requested": PaymentStep.PENDING,
    "customer_approval_denied": PaymentStep.CANCELED,
    "cancelled": PaymentStep.CANCELED,
    "confirmed": PaymentStep.CAPTURED,
    "paid_out": PaymentStep.CAPTURED,
    "failed": PaymentStep.DECLINED,
    "late_failure_settled": PaymentStep.CAPTURE_FAILED,
}
REFUND_STEPS = {
    "created": PaymentStep.REFUND_PENDING,
    "paid": PaymentStep.REFUNDED,
    "refund_settled": PaymentStep.REFUNDED,
    "failed": PaymentStep.REFUND_FAILED,
    "bounced": PaymentStep.REFUND_FAILED,
    "funds_returned": PaymentStep.REFUND_FAILED,
}
# Status, whether it is the last word, and which way the money goes.
CHARGEBACKS = {
    "charged_back": (DisputeStatus.LOST, False, -1),
    # Nobody rules on a debit that was charged back: its payer has given up.
    "chargeback_cancelled": (DisputeStatus.CLOSED, False, 1),
    "chargeback_settled": (DisputeStatus.LOST, True, 0),
}
FOLLOWED = frozenset(
    {("payments", action) for action in (*PAYMENT_STEPS, *CHARGEBACKS)}
    | {("refunds", action) for action in REFUND_STEPS}
    | {("payouts", "paid")}
)
# Causes after which the same account will never pay.
HARD_DECLINES = frozenset(
    {
        "authorisation_disputed",
        "bank_account_closed",
        "bank_account_disabled",
        "direct_debit_not_enabled",
        "invalid_bank_details",
        "mandate_cancelled",
        "mandate_expired",
    }
)
REASONS = {
    "authorisation_disputed": DisputeReason.FRAUD,
    "mandate_cancelled": DisputeReason.CANCELED,
}
WORDS: dict[str, Collection[str]] = {"events.details.cause": (*REASONS, *HARD_DECLINES)}
TRAITS = Traits(
    scheme="HMAC-SHA256 of the body",
    replay="event id",
    rotation="two endpoints",
    fetch_back=True,
    payments=[f"payments.{action}" for action in PAYMENT_STEPS],
    refunds=[f"refunds.{action}" for action in REFUND_STEPS],
    disputes=[f"payments.{action}" for action in CHARGEBACKS],
)
