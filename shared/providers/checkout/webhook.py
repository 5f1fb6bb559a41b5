"""Checkout.com: workflow webhooks, signed over the raw body.

| fact | value |
|---|---|
| signed | the raw body, HMAC-SHA256, hex, in `Cko-Signature` |
| key | the signature key of the workflow's webhook action, as it is written (the older webhooks use the account's secret key). In the dashboard it is optional: without one nothing is accepted here |
| also | `Authorization`, a header that the action can be given: where credentials have basic_auth, it must carry one of those |
| not signed | nothing of the body |
| age | the scheme has no time: a delivery replays for ever, and only its event id stops it |
| acknowledge | any 2xx; otherwise retried. Neither the time to answer in (10 s is what we hold to) nor the schedule (about a day) is settled by public pages |
| rotation | an action has one key, changed at once: keep both until the retries are over |
| identity | `id` (evt_…) |
| time | `timestamp`, or `created_on` of older payment events |
| amounts | integers: ISO 4217, but CLP with two decimals that are 00; three-decimal currencies end in 0 |
| deadline | `evidence_required_by`, an instant, absent from most types; without a zone it is read as the earliest that it can mean |
| answerable | what asks for evidence; a bank's debit never is |
| not told | early fraud warnings |
| merchant's own words | `metadata`: customer_id, device_id, ip, initiator |

A payment is `data.id` (pay_…), a capture or refund its `data.action_id` (act_…). A declined void leaves the payment as
it was, so it tells nothing; `issuing_*` is the issuer's side.

Sources: Checkout.com docs "Receive webhooks", "Set up your webhook receiver", "Webhook event types", "Payment returned", "Smart Dunning retries", "Disputes API",
"Format the amount value", "Response codes"; the enumerations of its Go and Java SDKs.
"""

from collections.abc import Callable

from shared.domain.delivery import Credentials, Delivery, Verdict
from shared.domain.errors import SignatureInvalid
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
)
from shared.domain.money import Money
from shared.providers.kit.answering import is_bank_debit
from shared.providers.kit.envelope import Base, envelope
from shared.providers.kit.protocol import Answer, FetchCertificate, Normalized, Traits
from shared.providers.kit.reading import Node, minor_money, opened, unreadable
from shared.providers.kit.signing import basic_auth_matches, check_text_keys, header, verified_body

NAME = "checkout"
ANSWER = Answer()
SIGNED_HEADERS = ("cko-signature",)
PAYLOAD_VERSION = (("version",),)
SENT_WITH = {"CLP": 2}


def check_credentials(credentials: Credentials) -> None:
    check_text_keys(
        NAME,
        credentials,
        "is no signature key: give the webhook action one of 16 characters or more, and set it here as it is written",
    )


def verify(delivery: Delivery, credentials: Credentials, fetch_certificate: FetchCertificate) -> Verdict:
    if credentials.basic_auth and not basic_auth_matches(
        header(delivery.headers, "authorization"), credentials.basic_auth
    ):
        raise SignatureInvalid("no user with that password", reason="basic_auth_mismatch")
    return verified_body(delivery, credentials, "cko-signature")


def normalize(delivery: Delivery, verdict: Verdict, credentials: Credentials) -> Normalized:
    event = opened(delivery)
    kind = event.word("type")
    delivery_id = f"{NAME}:{credentials.account}:{event.word('id')}"
    translate = TYPES.get(kind)
    if translate is None:
        return Normalized(delivery_id, types=(kind,), ignored=(kind,))
    base = envelope(
        NAME,
        delivery_id,
        event.instant("timestamp" if event.raw("timestamp") is not None else "created_on"),
        verdict,
        credentials,
    )
    data = event.at("data")
    if not data.value:
        raise unreadable("data", "missing", "missing_field")
    found = translate(data, kind, base)
    if found is None:
        return Normalized(delivery_id, types=(kind,), ignored=(kind,))
    return Normalized(delivery_id, events=(found,), types=(kind,), unreadable=tuple(event.doubts))


def _money(data: Node, *amount: str) -> Money | None:
    """None where the type tells no amount (a payment that was canceled as a whole)."""
    node, name = data.at(*amount[:-1]), amount[-1]
    if node.raw(name) is None:
        return None
    return minor_money(
        Node({name: node.raw(name), "currency": data.raw("currency")}, node.path), name, "currency", SENT_WITH
    )


# Payments

INITIATORS = {
    "customer": Initiator.CUSTOMER,
    "cit": Initiator.CUSTOMER,
    "merchant": Initiator.MERCHANT,
    "mit": Initiator.MERCHANT,
}
THREE_D_SECURE = {"Y": "authenticated", "A": "attempted", "N": "failed", "R": "failed", "U": "failed"}
CVV = {"Y": "match", "M": "match", "N": "mismatch", "P": "unchecked", "U": "unchecked", "X": "unchecked"}
AVS = {
    **dict.fromkeys("DFMXYV", "match"),
    **dict.fromkeys("ABLNOPQWZ", "mismatch"),
    **dict.fromkeys("CEGIRSU", "unchecked"),
}
DO_NOT_TRY_AGAIN = ("03", "21")  # Mastercard's merchant advice codes


def _payment(step: PaymentStep, *amount: str, total: bool = False) -> "Translate":
    """`amount`: where this type tells what the step moved. `total`: that is the payment's whole."""

    def translate(data: Node, kind: str, base: Base) -> AnyEvent | None:
        if data.raw("destination") is not None:
            return None  # a payout, told by the same types; its source is an account of ours
        source, metadata = data.at("source"), data.at("metadata")
        declined = step is PaymentStep.DECLINED
        code = data.hint("response_code")
        advice = data.hint("processing", "partner_merchant_advice_code") or ""
        network = source.lowered("scheme")
        email_hash, email_domain = data.email("customer", "email")
        told = _money(data, *amount) if amount else None
        return PaymentChanged(
            **base,
            payment_id=data.text("id"),
            step=step,
            amount=told or _money(data, "amount"),
            cumulative=total and told is not None,
            reference=data.maybe_text("action_id"),
            merchant_reference=data.hint("reference"),
            method=source.lowered("type"),
            card=Card(
                fingerprint=source.first_hint("fingerprint", "payment_account_reference"),
                bin=source.digits("bin", least=6, most=8),
                last4=source.digits("last_4", least=4, most=4),
                network={"american express": "amex", "diners club international": "diners"}.get(network or "", network),
                funding=source.lowered("card_type"),
                country=source.hint("issuer_country"),
            )
            if source.raw("last_4") is not None
            else None,
            customer_id=metadata.customer("customer_id") or data.at("customer").customer("id"),
            device_id=metadata.hint("device_id"),
            ip=data.ip("payment_ip") or metadata.ip("ip"),
            email_hash=email_hash,
            email_domain=email_domain,
            billing_country=data.hint("billing_address", "country") or source.hint("billing_address", "country"),
            initiator=INITIATORS.get(metadata.lowered("initiator") or ""),
            three_d_secure="failed"
            if kind == "payment_authentication_failed"
            else THREE_D_SECURE.get(data.hint("3ds", "authentication_response") or ""),
            cvv_result=CVV.get(source.hint("cvv_check") or ""),
            avs_result=AVS.get(source.hint("avs_check") or ""),
            decline_code=(code or data.hint("response_summary")) if declined else None,
            # The 30000s are what Checkout.com calls hard declines.
            hard_decline=code.startswith("30") or advice in DO_NOT_TRY_AGAIN if declined and code else None,
            provider_score=data.score("risk", "score"),
            network_transaction_id=data.hint("scheme_id"),
        )

    return translate


# Disputes

REASONS = {
    "fraudulent": DisputeReason.FRAUD,
    "unrecognized": DisputeReason.FRAUD,
    "product_service_not_received": DisputeReason.NOT_RECEIVED,
    "not_as_described": DisputeReason.NOT_AS_DESCRIBED,
    "duplicate": DisputeReason.DUPLICATE,
    "canceled_recurring": DisputeReason.CANCELED,
    "credit_not_issued": DisputeReason.CREDIT_NOT_PROCESSED,
}


def _dispute(stage: DisputeStage, status: DisputeStatus, *, evidence: bool | None = None) -> "Translate":
    def translate(data: Node, kind: str, base: Base) -> AnyEvent:
        category, method = data.hint("category"), data.lowered("payment_method")
        return DisputeChanged(
            **base,
            dispute_id=data.text("id"),
            payment_id=data.maybe_text("payment_id"),
            stage=stage,
            status=status,
            amount=_money(data, "amount"),
            reason=REASONS.get(category, DisputeReason.OTHER) if category else None,
            reason_code=data.hint("reason_code"),
            network=method,
            **data.deadline("evidence_required_by"),
            can_respond=False if is_bank_debit(method) else True if kind == "dispute_evidence_required" else None,
            provider_status=kind.removeprefix("dispute_"),
            evidence_submitted=evidence,
            arn=data.hint("payment_arn"),
        )

    return translate


Translate = Callable[[Node, str, Base], AnyEvent | None]

_D, _T = DisputeStage, DisputeStatus

PAYMENTS: dict[str, Translate] = {
    "payment_approved": _payment(PaymentStep.AUTHORIZED),
    # `amount` is the increment; the balances tell the whole.
    "payment_authorization_incremented": _payment(PaymentStep.AUTHORIZED, "balances", "total_authorized", total=True),
    "payment_pending": _payment(PaymentStep.PENDING),
    "payment_capture_pending": _payment(PaymentStep.PENDING),
    "payment_captured": _payment(PaymentStep.CAPTURED),
    "payment_capture_declined": _payment(PaymentStep.CAPTURE_FAILED),
    "payment_declined": _payment(PaymentStep.DECLINED),
    # In the place of that as long as another attempt is to follow.
    "payment_retry_scheduled": _payment(PaymentStep.DECLINED),
    "payment_authentication_failed": _payment(PaymentStep.DECLINED),
    "payment_expired": _payment(PaymentStep.DECLINED),
    "payment_canceled": _payment(PaymentStep.CANCELED),
    "payment_voided": _payment(PaymentStep.CANCELED),
}
REFUNDS: dict[str, Translate] = {
    "payment_refund_pending": _payment(PaymentStep.REFUND_PENDING),
    "payment_refunded": _payment(PaymentStep.REFUNDED),
    "payment_refund_declined": _payment(PaymentStep.REFUND_FAILED),
    # A bank took back what it had confirmed (ACH).
    "payment_returned": _payment(PaymentStep.REVERSED),
}
DISPUTES: dict[str, Translate] = {
    "dispute_received": _dispute(_D.CHARGEBACK, _T.NEEDS_RESPONSE),
    "dispute_evidence_required": _dispute(_D.CHARGEBACK, _T.NEEDS_RESPONSE),
    "dispute_evidence_submitted": _dispute(_D.CHARGEBACK, _T.UNDER_REVIEW, evidence=True),
    "dispute_evidence_acknowledged_by_scheme": _dispute(_D.CHARGEBACK, _T.UNDER_REVIEW, evidence=True),
    "dispute_won": _dispute(_D.CHARGEBACK, _T.WON),
    "dispute_lost": _dispute(_D.CHARGEBACK, _T.LOST),
    "dispute_accepted": _dispute(_D.CHARGEBACK, _T.ACCEPTED),
    "dispute_expired": _dispute(_D.CHARGEBACK, _T.EXPIRED),
    "dispute_canceled": _dispute(_D.CHARGEBACK, _T.CLOSED),  # the issuer withdrew it
    # The payment had been refunded already: no claim that was taken back.
    "dispute_resolved": _dispute(_D.INQUIRY, _T.PREVENTED),
    "dispute_arbitration_evidence_submitted": _dispute(_D.ARBITRATION, _T.UNDER_REVIEW, evidence=True),
    "dispute_arbitration_sent_to_scheme": _dispute(_D.ARBITRATION, _T.UNDER_REVIEW, evidence=True),
    "dispute_arbitration_won": _dispute(_D.ARBITRATION, _T.WON),
    "dispute_arbitration_lost": _dispute(_D.ARBITRATION, _T.LOST),
}
TYPES = PAYMENTS | REFUNDS | DISPUTES

WORDS = {"data.category": REASONS}
TRAITS = Traits(
    scheme="HMAC-SHA256 of the body",
    replay="event id",
    rotation="keep both keys until retries end",
    ack_seconds=10,
    deadline="evidence_required_by",
    response_api="PUT /disputes/{id}/evidence",
    verified_again="yes, but for the password",
    payments=PAYMENTS,
    refunds=REFUNDS,
    disputes=DISPUTES,
)
