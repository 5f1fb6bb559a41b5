"""Worldpay: events of Access Worldpay, signed over the raw body.

| fact | value |
|---|---|
| signed | the raw body, HMAC-SHA256, hex, in `Event-Signature: <key id>/SHA256/<hex>`, several joined by commas in any order |
| key | the shared secret of that key id; another hash name is refused. That the secret is hex to be decoded is known from an integration only, not from the docs: a secret that is hex is tried decoded and as it is written |
| asked for | the signature is off until Worldpay's implementation manager turns it on; without it nothing is accepted |
| not signed | nothing of the body |
| age | the scheme has no time: a delivery replays for ever, and only its event id stops it |
| acknowledge | 200, nothing else, within 10 s; retried after 30 s (older docs: 15 min) to 2 h, for a week. What is not acknowledged delays or loses later events in its queue |
| rotation | both signatures are sent while a new secret comes in: list both key ids |
| identity | `eventId` |
| time | `eventTimestamp`, without a zone in the examples: read as UTC |
| amounts | integers with `currencyCode`; as ISO 4217, which the docs do not say otherwise |
| deadline | none, and no reason code: Worldpay's chargeback events do not have them; ask the dispute portal |
| not told | card, customer, decline codes, early fraud warnings |

A payment is its `transactionReference`, which is the merchant's own. `sentForSettlement` is our capture and
`sentForRefund` our refund: their confirmations, `settled` and `refunded`, come in certain use cases only and do not say
which part they confirm. `refundFailed` gives the money back to us. A payout by basic disbursement is told as a
`sentForRefund` too: a payment with a refund and nothing else. A dispute has no id of its own: it goes by its
`reference`, or else by the payment's. `informationRequested` is all that the docs list as a chargeback event, and
`chargedBack` they list as a payment's; chargebackReversed is not in them: if it never comes, nothing is lost.

A forgery is answered 401, where the docs would have 400; neither acknowledges it.

Sources: Worldpay docs "Events", "Events: signature", "Events: OpenAPI"; how hyperswitch verifies and maps them.
"""

import re
from collections.abc import Callable, Collection

from shared.domain.delivery import Credentials, Delivery, Verdict
from shared.domain.errors import Misconfigured, SignatureInvalid
from shared.domain.events import (
    AnyEvent,
    DisputeChanged,
    DisputeStage,
    DisputeStatus,
    PaymentChanged,
    PaymentStep,
    PayoutChanged,
)
from shared.domain.money import Money
from shared.providers.kit.answering import is_bank_debit
from shared.providers.kit.envelope import Base, envelope
from shared.providers.kit.protocol import Answer, FetchCertificate, Normalized, Traits
from shared.providers.kit.reading import Node, minor_money, opened, rfc3339, unreadable
from shared.providers.kit.signing import as_bytes, header, hex_text, is_text_key, matching_key

NAME = "worldpay"
ANSWER = Answer()
SIGNED_HEADERS = ("event-signature",)
PAYLOAD_VERSION = ()
HASH = "SHA256"

_HEX = re.compile(r"(?:[0-9A-Fa-f]{2})+", flags=re.ASCII)
_MOST_SIGNATURES = 16


def check_credentials(credentials: Credentials) -> None:
    for key_id, secret in credentials.keys.items():
        if not is_text_key(secret) or set("/,") & set(key_id):
            raise Misconfigured(
                f"WEBHOOK_WORLDPAY key {key_id!r} is no shared secret: set the keyId of Event-Signature as the key id"
                " and the secret that Worldpay gave for it",
                reason="bad_secret",
            )


def verify(delivery: Delivery, credentials: Credentials, fetch_certificate: FetchCertificate) -> Verdict:
    value = header(delivery.headers, "event-signature")
    if not value:
        raise SignatureInvalid("no Event-Signature", reason="missing_signature")
    offered: dict[str, list[str]] = {}
    for signature in value.split(",", _MOST_SIGNATURES)[:_MOST_SIGNATURES]:
        key_id, _, rest = signature.strip().partition("/")
        name, _, mac = rest.partition("/")
        if name == HASH:
            offered.setdefault(key_id, []).append(mac.lower())
    for key_id, secret in credentials.keys.items():
        for key in _readings(secret):
            if matching_key({key_id: key}, delivery.body, offered.get(key_id, ()), hex_text):
                return Verdict(key_ids=(key_id,))
    raise SignatureInvalid("no signature matches", reason="signature_mismatch")


def _readings(secret: str) -> tuple[bytes, ...]:
    return (bytes.fromhex(secret), as_bytes(secret)) if _HEX.fullmatch(secret) else (as_bytes(secret),)


def normalize(delivery: Delivery, verdict: Verdict, credentials: Credentials) -> Normalized:
    event = opened(delivery)
    delivery_id = f"{NAME}:{credentials.account}:{event.word('eventId')}"
    details = event.at("eventDetails")
    kind, classification = details.word("type"), details.lowered("classification")
    translate = _payout if classification == "payout" else TYPES.get(kind)
    if translate is None:
        return Normalized(delivery_id, types=(kind,), ignored=(kind,))
    stamp = event.text("eventTimestamp")
    occurred_at = rfc3339(stamp) or rfc3339(f"{stamp}Z")
    if occurred_at is None:
        raise unreadable("eventTimestamp", "not an instant", "unreadable_time")
    base = envelope(NAME, delivery_id, occurred_at, verdict, credentials)
    return Normalized(delivery_id, events=(translate(details, kind, base),), types=(kind,))


def _money(details: Node) -> Money | None:
    amount = details.at("amount")
    return minor_money(amount, "value", "currencyCode", {}) if amount.value else None


def _payment(step: PaymentStep) -> "Translate":
    def translate(details: Node, kind: str, base: Base) -> AnyEvent:
        payment = details.text("transactionReference")
        downstream = details.maybe_text("downstreamReference")
        return PaymentChanged(
            **base,
            payment_id=payment,
            aliases=(downstream,) if downstream and downstream != payment else (),
            step=step,
            amount=_money(details),
            # A part has a reference; the whole has none, and is told again when it settles.
            reference=details.maybe_text("reference"),
            merchant_reference=payment,
            method=details.lowered("paymentInstrument", "method"),
            network_transaction_id=details.hint("schemeReference"),
        )

    return translate


def _dispute(stage: DisputeStage, status: DisputeStatus, *, moves: int = 0, final: bool = True) -> "Translate":
    def translate(details: Node, kind: str, base: Base) -> AnyEvent:
        payment = details.text("transactionReference")
        amount = _money(details)
        return DisputeChanged(
            **base,
            dispute_id=details.maybe_text("reference") or payment,
            payment_id=payment,
            stage=stage,
            status=status,
            final=final,
            amount=amount,
            moved=Money(moves * amount.minor, amount.currency) if moves and amount else None,
            can_respond=False if is_bank_debit(details.hint("paymentInstrument", "method")) else None,
            provider_status=kind,
        )

    return translate


def _payout(details: Node, kind: str, base: Base) -> AnyEvent:
    return PayoutChanged(**base, payout_id=details.text("transactionReference"), status=kind, amount=_money(details))


Translate = Callable[[Node, str, Base], AnyEvent]

PAYMENTS: dict[str, Translate] = {
    "sentForAuthorization": _payment(PaymentStep.PENDING),
    "authorized": _payment(PaymentStep.AUTHORIZED),
    "sentForSettlement": _payment(PaymentStep.CAPTURED),
    "settled": _payment(PaymentStep.CAPTURED),
    "settlementFailed": _payment(PaymentStep.CAPTURE_FAILED),
    "cancelled": _payment(PaymentStep.CANCELED),
    "cancelledByCustomer": _payment(PaymentStep.CANCELED),
    "expired": _payment(PaymentStep.CANCELED),
    "requestExpired": _payment(PaymentStep.CANCELED),
    "refused": _payment(PaymentStep.DECLINED),
    "error": _payment(PaymentStep.DECLINED),
}
REFUNDS: dict[str, Translate] = {
    # Most merchants are never sent its confirmation.
    "sentForRefund": _payment(PaymentStep.REFUNDED),
    "refunded": _payment(PaymentStep.REFUNDED),
    "refundFailed": _payment(PaymentStep.REFUND_FAILED),
}
DISPUTES: dict[str, Translate] = {
    "informationRequested": _dispute(DisputeStage.INQUIRY, DisputeStatus.NEEDS_RESPONSE),
    "chargedBack": _dispute(DisputeStage.CHARGEBACK, DisputeStatus.NEEDS_RESPONSE, moves=-1),
    # The issuer may charge back once more.
    "chargebackReversed": _dispute(DisputeStage.CHARGEBACK, DisputeStatus.WON, moves=1, final=False),
}
TYPES = PAYMENTS | REFUNDS | DISPUTES

WORDS: dict[str, Collection[str]] = {}
TRAITS = Traits(
    scheme="HMAC-SHA256 of the body, by key id",
    replay="event id",
    rotation="both keys sign",
    ack_seconds=10,
    retry_days=7,
    payments=PAYMENTS,
    refunds=REFUNDS,
    disputes=DISPUTES,
)
