"""dLocal: the object itself, signed over login, date and raw body.

| fact | value |
|---|---|
| signed | `X-Login`, `X-Date` and the raw body, one after the other, HMAC-SHA256, hex, in `Authorization: V2-HMAC-SHA256, Signature: <hex>`; some products send the hex alone in `Signature` |
| key | the secret key of that login. The key id is the login, or `<login>/<any label>` for a second secret of it |
| boundaries | nothing stands between the three: the login must be one of ours and the date a whole RFC 3339 instant, so that no byte can change sides |
| not signed | nothing of the body |
| age | `X-Date` may lie 8 days back (retries last 7 at most) and 5 minutes ahead; dLocal gives no tolerance of its own |
| acknowledge | any 2xx, how soon is not said; hourly for 6 h, then every 12 h for 4 days, 12 times at most; infractions hourly for 7 days |
| rotation | a secret is changed at once: keep both until the retries are over |
| identity | none is given, nor a type: kind, id, status, status code and date; of an infraction its deadline too, which may be moved |
| amounts | decimal numbers in major units, read exactly. A refund is in the payer's currency whatever its payment was in: then their totals disagree, and say so |
| deadline | none for chargebacks; an infraction's `due_date`, an instant; without a zone the earliest that it can mean |
| not told | early fraud warnings |

Which object it is, its members tell: an `infraction`; else, beside a `payment_id`, a chargeback has statuses or
members of its own and a refund others; else a payment. What could be either is unreadable. A capture is a payment
that names its `authorization_id`: it goes on under that name. A payment that was paid is dated by `approved_date`, any
other by `created_date`: an authorization has both, and a cancellation may repeat only the latter. Enrollments and
tokens of wallets, by which payers agree to later payments, come to the same URL and are ignored. Of a chargeback `chargeback_date` is the time; where
only the constant `created_date` is sent, the order of its statuses decides which is the latest.

`Authorization` is never stored; the signature in it, which is no secret, is kept as `Signature`.

Sources: dLocal docs "Receive notifications", "Generate a signature", "Payment status codes", "Refund status codes",
"The refund object", "Chargeback status", "Chargeback asynchronous notification", "The infraction object", "Infractions
notifications", "The order object", "Cancel an enrollment", "Cancel token".
"""

import hashlib
import re
from collections.abc import Mapping
from datetime import timedelta

from shared.domain.delivery import Credentials, Delivery, Verdict
from shared.domain.errors import Misconfigured, SignatureInvalid
from shared.domain.events import (
    AnyEvent,
    Card,
    DisputeChanged,
    DisputeReason,
    DisputeStage,
    DisputeStatus,
    PaymentChanged,
    PaymentStep,
)
from shared.domain.money import Money
from shared.providers.kit.envelope import Base, envelope
from shared.providers.kit.protocol import Answer, FetchCertificate, Normalized, Traits
from shared.providers.kit.reading import Node, major_money, opened, rfc3339, unreadable
from shared.providers.kit.signing import as_bytes, header, hex_text, is_text_key, matching_key

NAME = "dlocal"
ANSWER = Answer()
SIGNED_HEADERS = ("x-login", "x-date", "signature")
PAYLOAD_VERSION = ()
OLDEST = timedelta(days=8)
SKEW = timedelta(minutes=5)

_AUTHORIZATION = re.compile(r"V2-HMAC-SHA256, ?Signature: ?([0-9A-Fa-f]{64})", flags=re.ASCII)
_GAPS = re.compile(r"[\s\-]+")
_BARE = re.compile(r"[0-9A-Fa-f]{64}", flags=re.ASCII)


def check_credentials(credentials: Credentials) -> None:
    for key_id, secret in credentials.keys.items():
        if not is_text_key(secret) or not _login(key_id):
            raise Misconfigured(
                f"WEBHOOK_DLOCAL key {key_id!r} is no secret key: set the X-Login as the key id and its secret key as"
                " the secret",
                reason="bad_secret",
            )


def _login(key_id: str) -> str:
    return key_id.partition("/")[0]


def verify(delivery: Delivery, credentials: Credentials, fetch_certificate: FetchCertificate) -> Verdict:
    login, date = header(delivery.headers, "x-login"), header(delivery.headers, "x-date")
    found = _AUTHORIZATION.fullmatch(header(delivery.headers, "authorization"))
    bare = _BARE.fullmatch(header(delivery.headers, "signature"))
    offered = [*((found[1].lower(),) if found else ()), *((bare[0].lower(),) if bare else ())]
    if not (login and date and offered):
        raise SignatureInvalid("no login, date or signature", reason="missing_signature")
    signed_at = rfc3339(date)
    if signed_at is None:
        raise SignatureInvalid("the date is no instant", reason="malformed_signature")
    keys = {key_id: as_bytes(secret) for key_id, secret in credentials.keys.items() if _login(key_id) == login}
    key_id = matching_key(keys, as_bytes(login) + as_bytes(date) + delivery.body, offered, hex_text)
    if key_id is None:
        raise SignatureInvalid("no signature matches", reason="signature_mismatch")
    if not -SKEW <= delivery.received_at - signed_at <= OLDEST:
        raise SignatureInvalid("not signed in the last eight days", reason="outside_tolerance")
    return Verdict(key_ids=(key_id,), signed_at=signed_at)


def kept_headers(headers: Mapping[str, str]) -> Mapping[str, str]:
    found = _AUTHORIZATION.fullmatch(header(headers, "authorization"))
    return {"signature": found[1]} if found else {}


def normalize(delivery: Delivery, verdict: Verdict, credentials: Credentials) -> Normalized:
    body = opened(delivery)
    kind = _kind(body)
    if kind == "enrollment":
        agreed = (f"{kind}.{body.hint('status') or 'UNKNOWN'}",)
        digest = hashlib.sha256(delivery.body).hexdigest()
        return Normalized(f"{NAME}:{credentials.account}:{kind}.{digest}", types=agreed, ignored=agreed)
    thing = body.at("infraction") if kind == "infraction" else body
    own = thing.text("infraction_id" if kind == "infraction" else "id")
    status = thing.word("status")
    times = TIMES["paid" if kind == "payment" and status == "PAID" else kind]
    when = next((name for name in times if thing.raw(name) is not None), times[-1])
    dated = thing.raw(when) is not None
    occurred_at = verdict.signed_at if verdict.signed_at and not dated else thing.instant(when)
    code = _code(thing) or thing.hint("analysis_status") or ""
    due = f".{thing.hint('due_date') or ''}" if kind == "infraction" else ""
    delivery_id = f"{NAME}:{credentials.account}:{kind}.{own}.{status}.{code}.{thing.hint(when) or ''}{due}"
    types = (f"{kind}.{status}",)
    base = envelope(NAME, delivery_id, occurred_at, verdict, credentials)
    match kind:
        case "payment":
            found: AnyEvent | None = _payment(thing, own, status, base)
        case "refund":
            found = _refund(thing, own, status, base)
        case "chargeback":
            found = _chargeback(thing, own, status, base)
        case _:
            found = _infraction(thing, body.maybe_text("payment_id"), own, status, base)
    if found is None:
        return Normalized(delivery_id, types=types, ignored=types)
    return Normalized(delivery_id, events=(found,), types=types, unreadable=tuple(body.doubts))


# Where each kind tells its time, the best first.
TIMES = {
    "paid": ("approved_date", "created_date"),
    "payment": ("created_date",),
    "refund": ("created_date",),
    "chargeback": ("chargeback_date", "created_date"),
    "infraction": ("last_modified_date", "creation_date"),
}


def _kind(body: Node) -> str:
    if body.at("infraction").value:
        return "infraction"
    status, own = body.hint("status") or "", (body.hint("id") or "").upper()
    if own.startswith("E-") or (body.raw("id") is None and ("enrollment" in body.value or "wallet" in body.value)):
        return "enrollment"
    if body.raw("payment_id") is None:
        return "payment"
    chargeback = status in CHARGEBACKS and status not in REFUNDS
    refund = status in REFUNDS and status not in CHARGEBACKS
    if chargeback or own.startswith("CHAR") or any(name in body.value for name in CHARGEBACK_MEMBERS):
        return "chargeback"
    if refund or own.startswith("REF") or "amount_refunded" in body.value:
        return "refund"
    raise unreadable("payment_id", "could be of a refund or of a chargeback", "ambiguous")


CHARGEBACK_MEMBERS = ("chargeback_date", "chargeback_stage", "reason_code", "arn", "processor_id")


def _code(thing: Node) -> str | None:
    """`status_code` is a number of some products and text of others."""
    value = thing.raw("status_code")
    return str(value) if type(value) is int and 0 <= value < 10_000 else thing.hint("status_code")


def _money(thing: Node) -> Money | None:
    return None if thing.raw("amount") is None else major_money(thing, "amount", "currency")


# Payments

STEPS: dict[str, PaymentStep | None] = {
    "PENDING": PaymentStep.PENDING,
    "AUTHORIZED": PaymentStep.AUTHORIZED,
    "PAID": PaymentStep.CAPTURED,
    "REJECTED": PaymentStep.DECLINED,
    "CANCELLED": PaymentStep.CANCELED,
    "EXPIRED": PaymentStep.CANCELED,
    "VERIFIED": None,  # a card was checked; no money was asked for
}
REFUNDS = {
    "PENDING": PaymentStep.REFUND_PENDING,
    "SUCCESS": PaymentStep.REFUNDED,
    "REJECTED": PaymentStep.REFUND_FAILED,
    "CANCELLED": PaymentStep.REFUND_FAILED,
}
NETWORKS = {"vi": "visa", "mc": "mastercard", "ae": "amex", "di": "discover", "dc": "diners", "jc": "jcb", "el": "elo"}
# Blacklisted, disabled, expired, lost, kept by the bank, restricted, stolen, invalid.
HARD_CODES = frozenset({"303", "308", "309", "310", "311", "312", "313", "314"})


def _payment(payment: Node, own: str, status: str, base: Base) -> AnyEvent | None:
    if status not in STEPS:
        raise unreadable(payment.where("status"), "a payment status that we do not know", "unknown_status")
    step = STEPS[status]
    if step is None:
        return None
    authorization = payment.maybe_text("authorization_id")
    payer, card = payment.at("payer"), payment.at("card")
    email_hash, email_domain = payer.email("email")
    brand = card.lowered("brand")
    code = _code(payment) if step is PaymentStep.DECLINED else None
    return PaymentChanged(
        **base,
        payment_id=authorization or own,
        aliases=(own,) if authorization else (),
        step=step,
        amount=_money(payment),
        reference=own,
        merchant_reference=payment.hint("order_id"),
        method=payment.lowered("payment_method_type"),
        card=Card(
            fingerprint=card.hint("card_id"),
            bin=card.digits("bin", least=6, most=8),
            last4=card.digits("last4", least=4, most=4),
            network=NETWORKS.get(brand or "", brand),
            funding=card.lowered("type"),
            country=card.hint("country"),
        )
        if card.value
        else None,
        customer_id=payer.customer("user_reference"),
        device_id=payer.hint("device_id"),
        ip=payer.ip("ip"),
        email_hash=email_hash,
        email_domain=email_domain,
        billing_country=payer.hint("address", "country") or payment.hint("country"),
        decline_code=code,
        hard_decline=code in HARD_CODES if code else None,
    )


def _refund(refund: Node, own: str, status: str, base: Base) -> AnyEvent:
    if status not in REFUNDS:
        raise unreadable(refund.where("status"), "a refund status that we do not know", "unknown_status")
    return PaymentChanged(
        **base,
        payment_id=refund.text("payment_id"),
        step=REFUNDS[status],
        amount=_money(refund),
        reference=own,
        merchant_reference=refund.hint("order_id"),
    )


# Disputes

# Status, and which way the money goes. An executed chargeback has taken it, and may still be disputed.
CHARGEBACKS = {
    "INQUIRY": (DisputeStatus.NEEDS_RESPONSE, 0),
    "PENDING": (DisputeStatus.NEEDS_RESPONSE, 0),
    "COMPLETED": (DisputeStatus.NEEDS_RESPONSE, -1),
    "DISPUTE_RECEIVED": (DisputeStatus.UNDER_REVIEW, 0),
    "IN_DISPUTE": (DisputeStatus.UNDER_REVIEW, 0),
    "DISPUTE_LOST": (DisputeStatus.LOST, 0),
    "REVERSAL": (DisputeStatus.WON, 1),
}
# The acquirer's word for the stage is not a closed set: what we do not know is a chargeback.
STAGES = {
    "inquiry": DisputeStage.INQUIRY,
    "retrieval": DisputeStage.INQUIRY,
    "retrieval_request": DisputeStage.INQUIRY,
    "pre_arbitration": DisputeStage.PRE_ARBITRATION,
    "prearbitration": DisputeStage.PRE_ARBITRATION,
    "arbitration": DisputeStage.ARBITRATION,
}


def _chargeback(chargeback: Node, own: str, status: str, base: Base) -> AnyEvent:
    stands, moves = CHARGEBACKS.get(status, (None, 0))
    word = _GAPS.sub("_", chargeback.lowered("chargeback_stage") or "")
    stage = DisputeStage.INQUIRY if status == "INQUIRY" else STAGES.get(word, DisputeStage.CHARGEBACK)
    amount = _money(chargeback)
    return DisputeChanged(
        **base,
        dispute_id=own,
        payment_id=chargeback.text("payment_id"),
        stage=stage,
        status=stands,
        status_unknown=stands is None,
        amount=amount,
        moved=Money(moves * amount.minor, amount.currency) if moves and amount else None,
        reason_code=chargeback.hint("reason_code"),
        provider_status=status,
        evidence_submitted=True if stands is DisputeStatus.UNDER_REVIEW else None,
        arn=chargeback.hint("arn"),
    )


# Where an infraction stands, and where our own verdict on it says better.
INFRACTIONS = {
    "OPEN": DisputeStatus.NEEDS_RESPONSE,
    "ACKNOWLEDGED": DisputeStatus.NEEDS_RESPONSE,
    "CLOSED": DisputeStatus.CLOSED,
    "CANCELLED": DisputeStatus.CLOSED,
}
VERDICTS = {
    "AGREED": {"CLOSED": DisputeStatus.ACCEPTED},
    "DISAGREED": {
        "OPEN": DisputeStatus.UNDER_REVIEW,
        "ACKNOWLEDGED": DisputeStatus.UNDER_REVIEW,
        "CLOSED": DisputeStatus.WON,
    },
}


def _infraction(infraction: Node, payment_id: str | None, own: str, status: str, base: Base) -> AnyEvent:
    """A Pix infraction: the payer's bank asks for the money back, and we agree or do not until `due_date`."""
    verdict = infraction.hint("analysis_status")
    stands = VERDICTS.get(verdict or "", {}).get(status) or INFRACTIONS.get(status)
    priced = Node({"amount": infraction.raw("amount"), "currency": "BRL"}, infraction.path)
    return DisputeChanged(
        **base,
        dispute_id=own,
        payment_id=payment_id or infraction.maybe_text("payment_id"),
        stage=DisputeStage.INQUIRY,
        status=stands,
        status_unknown=stands is None or (verdict is not None and verdict not in VERDICTS),
        amount=_money(priced),
        reason=DisputeReason.FRAUD if infraction.hint("reason") == "FRAUD" else DisputeReason.OTHER,
        network="pix",
        **infraction.deadline("due_date"),
        provider_status=status,
    )


WORDS = {
    "status": {*STEPS, *REFUNDS, *CHARGEBACKS},
    "infraction.status": INFRACTIONS,
    "infraction.analysis_status": VERDICTS,
}
TRAITS = Traits(
    scheme="HMAC-SHA256 of login, date and body",
    replay="signed time −8 d … +5 min, event id",
    rotation="keep both secrets for 7 days",
    retry_days=7,
    deadline="infraction.due_date",
    payments=[f"payment.{status}" for status in STEPS],
    refunds=[f"refund.{status}" for status in REFUNDS],
    disputes=[*(f"chargeback.{status}" for status in CHARGEBACKS), *(f"infraction.{status}" for status in INFRACTIONS)],
)
