"""Adyen: classic JSON notifications (each item signed over eight fields) and platform webhooks (signed whole).

| fact | value |
|---|---|
| signed, of each item | `pspReference:originalReference:merchantAccountCode:merchantReference:amount.value:amount.currency:eventCode:success`, absent parts empty, nothing escaped; HMAC-SHA256, base64, in `additionalData.hmacSignature` |
| key | the hex text of the Customer Area, decoded; basic auth on the URL is required beside it |
| not signed | `additionalData`, `eventDate`, `reason`, `paymentMethod`, `operations`, `live`: what we read of them is named in `unsigned` |
| age | there is no time and no nonce in the scheme: an item replays for ever, and only its event id stops it. An `eventDate` more than 5 minutes after its delivery is not read |
| batch | several items; every one is verified, or the delivery is refused |
| acknowledge | 200 with the body `[accepted]`, within 10 s; otherwise repeated for up to 30 days, and later ones queue behind |
| rotation | queued items stay signed with the key they were signed with: keep the previous one for 30 days |
| identity | none is given: eventCode, pspReference, originalReference, success (signed ones only, so that a replay with another eventDate is the same event); a dispute's events share its pspReference |
| amounts | integers; against ISO 4217, CLP and ISK have two decimals, CVE and IDR none |
| not told | captures that Adyen makes by itself: such a payment stays authorized, and its refunds are measured against that |
| not ours | PAYOUT_THIRDPARTY and its kin pay somebody else, on our order; VOID_PENDING_REFUND ends a refund at a terminal that was of no payment (its originalReference is that refund), as is REFUND_WITH_DATA without one: ignored as types |
| platform webhooks | header `HmacSignature`: base64 HMAC-SHA256 over the raw body, whatever that is; verified and ignored as a type |
| answerable | where `defendable` says so; a bank's debit never is |
| merchant's own words | `metadata.<key>` in additionalData: customer_id, device_id, ip, initiator |

Only merchantReference may hold a colon: with one in any other signed field, the same signature would fit two
different items. Official examples of later dispute events (CHARGEBACK_REVERSED, SECOND_CHARGEBACK, PREARBITRATION_*)
have no originalReference; their reason codes may have a leading space. Public pages leave open whether pspReference is
then the dispute's or the payment's. Both are found: what is told under the payment's name belongs to its only dispute;
where there are several, or none, it stands by itself and is alarmed a day later. So switch on "Include the
originalReference for CHARGEBACK_REVERSED events" in the webhook's risk settings.
A capture that failed may be made again by Adyen (reason "Transaction Recaptured"). Public pages leave open whether it
then has a pspReference of its own. If it has the failed one's, only its unsigned date and reason tell it from a replay
of the first: it counts, by its later date, and an alarm asks somebody to look.

Sources: Adyen docs "Verify HMAC signatures", "Handle webhook events", "Webhook types", "Dispute webhooks", "Currency
codes", "Refusal reasons", "Result codes: avsResult, cvcResult"; Adyen's OpenAPI Webhooks-v1.
"""

import base64
import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from datetime import timedelta
from typing import Any

from shared.domain.delivery import Credentials, Delivery, Verdict
from shared.domain.errors import Misconfigured, SignatureInvalid, Unreadable
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
    ReviewChanged,
)
from shared.domain.money import Money
from shared.providers.kit.answering import is_bank_debit
from shared.providers.kit.envelope import Base
from shared.providers.kit.protocol import Answer, FetchCertificate, Normalized, Traits
from shared.providers.kit.reading import Node, first_email, minor_money, opened, unreadable
from shared.providers.kit.signing import basic_auth_matches, header, matching_key

NAME = "adyen"
ANSWER = Answer(body=b"[accepted]")
SIGNED_HEADERS = ("hmacsignature",)
PAYLOAD_VERSION = ()
SKEW = timedelta(minutes=5)
# The number of the batch, and what a merchant may have Adyen add to it.
SETTLEMENT_REPORT = re.compile(r"settlement_detail_report_batch_[0-9]{1,12}[A-Za-z0-9_\-]{0,60}\.csv", flags=re.ASCII)
SENT_WITH = {"CLP": 2, "ISK": 2, "CVE": 0, "IDR": 0}

UNSIGNED = (
    "occurred_at", "livemode",
    "method", "card", "customer_id", "device_id", "ip", "ip_network", "email_hash", "email_domain", "billing_country", "initiator",
    "three_d_secure", "cvv_result", "avs_result", "decline_code", "hard_decline", "provider_score",
    "network_transaction_id",
    "reason", "reason_code", "network", "respond_by", "respond_by_text", "can_respond", "autodefended",
    "provider_status", "status_unknown", "arn", "fraud_type",
)  # fmt: skip
"""Fields of our events that come from outside the eight. `step` and `status` join them where a hint decided them."""


def check_credentials(credentials: Credentials) -> None:
    for key_id, secret in credentials.keys.items():
        if not _hex_key(secret):
            raise Misconfigured(
                f"WEBHOOK_ADYEN key {key_id!r} is no HMAC key: set it to the hex text from the Customer Area",
                reason="bad_secret",
            )
    if not credentials.basic_auth:
        raise Misconfigured(
            "WEBHOOK_ADYEN has no basic_auth: set the user and password that the webhook is configured with in the"
            " Customer Area, for the signature leaves most of a notification open",
            reason="missing_basic_auth",
        )


def _hex_key(secret: str) -> bytes:
    """The key's bytes; empty, which never verifies, for what is no hex text of at least 16 bytes."""
    try:
        return bytes.fromhex(secret) if len(secret) >= 32 and " " not in secret else b""
    except ValueError:
        return b""


def verify(delivery: Delivery, credentials: Credentials, fetch_certificate: FetchCertificate) -> Verdict:
    if not basic_auth_matches(header(delivery.headers, "authorization"), credentials.basic_auth):
        raise SignatureInvalid("no user with that password", reason="basic_auth_mismatch")
    keys = {key_id: _hex_key(secret) for key_id, secret in credentials.keys.items()}
    try:
        body = opened(delivery)
    except Unreadable:
        body = Node({}, "")  # signed whole, or not at all
    if "notificationItems" not in body.value:
        offered = header(delivery.headers, "hmacsignature")
        if not offered:
            raise SignatureInvalid("no items and no HmacSignature", reason="missing_signature")
        key_id = matching_key(keys, delivery.body, [offered], base64.b64encode)
        if key_id is None:
            raise SignatureInvalid("no signature matches", reason="signature_mismatch")
        return Verdict(key_ids=(key_id,))
    items = body.raw("notificationItems")
    if type(items) is not list or not items:
        raise SignatureInvalid("no items", reason="missing_signature")
    key_ids = dict.fromkeys(_verified_by(Node({"item": item}, ""), keys) for item in items)
    return Verdict(key_ids=tuple(key_ids), unsigned=UNSIGNED)


def _verified_by(wrapper: Node, keys: dict[str, bytes]) -> str:
    """The id of the key that signed this item. Raises SignatureInvalid."""
    item = wrapper.at("item", "NotificationRequestItem")
    offered = item.raw("additionalData", "hmacSignature")
    if type(offered) is not str or not offered:
        raise SignatureInvalid("an item without a signature", reason="missing_signature")
    reference = item.raw("merchantReference")
    parts = [
        item.raw("pspReference"),
        item.raw("originalReference"),
        item.raw("merchantAccountCode"),
        reference,
        item.raw("amount", "value"),
        item.raw("amount", "currency"),
        item.raw("eventCode"),
        item.raw("success"),
    ]
    texts = ["" if part is None else str(part) for part in parts]
    plain = all(
        part is None or type(part) is str or (place == 4 and type(part) is int) for place, part in enumerate(parts)
    )
    if not plain or any(":" in text for place, text in enumerate(texts) if place != 3):
        raise SignatureInvalid("a signed field of another shape than Adyen's", reason="malformed_signature")
    key_id = matching_key(keys, ":".join(texts).encode("utf-8", "surrogatepass"), [offered], base64.b64encode)
    if key_id is None:
        raise SignatureInvalid("no signature matches", reason="signature_mismatch")
    return key_id


def normalize(delivery: Delivery, verdict: Verdict, credentials: Credentials) -> Normalized:
    body = opened(delivery)
    digest = f"sha256-{hashlib.sha256(delivery.body).hexdigest()}"
    if "notificationItems" not in body.value:
        kind = body.word("type")
        livemode = {"live": True, "test": False}.get(body.hint("environment") or "")
        delivery_id = f"{NAME}:{credentials.account}:{digest}"
        return Normalized(delivery_id, types=(kind,), livemode=livemode, ignored=(kind,))
    items = body.raw("notificationItems")
    if type(items) is not list:
        raise unreadable("notificationItems", "not an array", "missing_field")
    livemode = body.flag("live")
    delivery_id = f"{NAME}:{credentials.account}:{digest}"
    events: list[AnyEvent] = []
    types: list[str] = []
    ignored: list[str] = []
    lines: list[str] = []
    for place, wrapped in enumerate(items):
        path = f"notificationItems[{place}].NotificationRequestItem"
        try:
            item = Node(wrapped if type(wrapped) is dict else {}, "").at("NotificationRequestItem")
            item = Node(item.value, path)
            code = item.word("eventCode")
            types.append(code)
            event = _event(item, code, verdict, delivery, delivery_id, livemode=bool(livemode))
            lines.extend(item.doubts)
        except Unreadable as error:
            lines.append(str(error))
            continue
        if event is None:
            ignored.append(code)
        else:
            events.append(event)
    return Normalized(delivery_id, tuple(events), tuple(types), livemode, tuple(ignored), tuple(lines))


def _event(
    item: Node, code: str, verdict: Verdict, delivery: Delivery, delivery_id: str, *, livemode: bool
) -> AnyEvent | None:
    translate = CODES.get(code)
    if translate is None:
        return None
    account, psp = item.text("merchantAccountCode"), item.text("pspReference")
    original = item.maybe_text("originalReference")
    success = item.flag("success")
    if success is None:
        raise unreadable(item.where("success"), "neither true nor false")
    occurred_at = item.instant("eventDate")
    # Nobody signed it, and the latest fact is the one that counts: a made-up date would be the last word for ever.
    if occurred_at > delivery.received_at + SKEW:
        raise unreadable(item.where("eventDate"), "later than the delivery that it came in", "unlikely_time")
    base: Base = {
        "event_id": f"{NAME}:{account}:{code}.{psp}.{original or ''}.{'true' if success else 'false'}",
        "provider": NAME,
        "account": account,
        "occurred_at": occurred_at,
        "delivery_id": delivery_id,
        "livemode": livemode,
    }
    found = translate(_Item(item, code, psp, original, success, base))
    if found is None:
        return None
    # Each event names those of its own fields that nobody signed, and what a hint decided about it besides.
    own = _fields_of(type(found))
    return replace(found, unsigned=(*(name for name in verdict.unsigned if name in own), *found.unsigned))


def _fields_of(kind: type[AnyEvent]) -> frozenset[str]:
    if kind not in _FIELDS:
        _FIELDS[kind] = frozenset(field.name for field in fields(kind))
    return _FIELDS[kind]


_FIELDS: dict[type[AnyEvent], frozenset[str]] = {}


@dataclass(frozen=True, slots=True)
class _Item:
    """One notification item, with what every translation of it needs."""

    item: Node
    code: str
    psp: str
    original: str | None
    success: bool
    base: Base

    def money(self) -> Money | None:
        """Absent on events without an amount; not readable is not the same as absent."""
        amount = self.item.at("amount")
        return minor_money(amount, "value", "currency", SENT_WITH) if amount.value else None

    def changed(self) -> str:
        """The payment that this changes. Raises Unreadable: a change is never a payment of its own name."""
        if self.original is None:
            raise unreadable(self.item.where("originalReference"), "missing", "missing_field")
        return self.original

    def extra(self) -> Node:
        return self.item.at("additionalData")


NETWORKS = {"mc": "mastercard", "cup": "unionpay", "amex": "amex", "visa": "visa", "discover": "discover",
            "jcb": "jcb", "diners": "diners", "maestro": "maestro", "cartebancaire": "cartes_bancaires"}  # fmt: skip


def _network(word: str | None) -> str | None:
    """visa of visacredit, visa_applepay and visa."""
    if word is None:
        return None
    return next((name for prefix, name in NETWORKS.items() if word.startswith(prefix)), None)


# Payments

# avsResult and cvcResult are sent as "<number> <words>".
AVS = {"1": "mismatch", "2": "mismatch", "6": "mismatch", "7": "match"}
CVC = {"1": "match", "2": "mismatch"}
# Adyen's refusal reasons that say that the same card will never be accepted, lower case.
HARD_REFUSALS = frozenset(
    {
        "acquirer fraud",
        "blocked card",
        "closed account",
        "expired card",
        "fraud",
        "fraud-cancelled",
        "invalid card number",
        "issuer suspected fraud",
        "restricted card",
        "revocation of auth",
    }
)
DO_NOT_TRY_AGAIN = ("03", "21")  # Mastercard's merchant advice codes
INTERACTIONS = {"ecommerce": Initiator.CUSTOMER, "moto": Initiator.CUSTOMER, "contauth": Initiator.MERCHANT}
INITIATORS = {"customer": Initiator.CUSTOMER, "merchant": Initiator.MERCHANT}


# The tokenization's name is the recurring one's successor. Whom a PayPal account belongs to is better than nobody.
CUSTOMERS = (
    *("metadata.customer_id", "shopperReference", "tokenization.shopperReference", "recurring.shopperReference"),
    "paypalPayerId",
)
COUNTRIES = ("billingAddress.country", "shopperCountry", "countryCode", "paypalPayerResidenceCountry")


def _evidence(told: _Item) -> Base:
    """What additionalData tells of card, shopper and checks."""
    extra = told.extra()
    brand = told.item.lowered("paymentMethod") or extra.lowered("paymentMethod")
    network = _network(brand)
    email_hash, email_domain = first_email((extra.email("shopperEmail"), extra.email("paypalEmail")))
    avs, cvc = extra.hint("avsResult"), extra.hint("cvcResult")
    card = Card(
        fingerprint=extra.first_hint("alias", "PaymentAccountReference", "paymentAccountReference"),
        bin=extra.digits("cardBin", least=6, most=8) or extra.digits("issuerBin", least=6, most=8),
        last4=extra.digits("cardSummary", least=4, most=4),
        network=network,
        funding=extra.lowered("fundingSource"),
        country=extra.first_hint("cardIssuingCountry", "issuerCountry"),
    )
    return {
        "method": "card" if network else brand,
        "card": card if network or card.last4 or card.fingerprint else None,
        "customer_id": extra.customer(*CUSTOMERS),
        "device_id": extra.hint("metadata.device_id"),
        "ip": extra.ip("shopperIP") or extra.ip("metadata.ip"),
        "email_hash": email_hash,
        "email_domain": email_domain,
        "billing_country": extra.first_hint(*COUNTRIES),
        "initiator": INITIATORS.get(extra.lowered("metadata.initiator") or "")
        or INTERACTIONS.get(extra.lowered("shopperInteraction") or ""),
        "three_d_secure": _three_d_secure(extra),
        "cvv_result": CVC.get(cvc[:1], "unchecked") if cvc else None,
        "avs_result": AVS.get(avs[:1], "unchecked") if avs else None,
        "provider_score": extra.score("totalFraudScore"),
        "network_transaction_id": extra.first_hint("networkTxReference", "visaTransactionId"),
    }


def _three_d_secure(extra: Node) -> str | None:
    if extra.flag("threeDAuthenticated"):
        return "authenticated"
    if extra.flag("threeDOffered"):
        return "attempted"
    return "exempted" if extra.hint("scaExemptionRequested") else None


def _refusal(told: _Item) -> Base:
    code = told.item.hint("reason") or told.extra().hint("refusalReasonRaw")
    advice = told.extra().hint("merchantAdviceCode") or ""
    hard = (code or "").lower() in HARD_REFUSALS or advice[:2] in DO_NOT_TRY_AGAIN
    return {"decline_code": code, "hard_decline": hard}


def _payment(
    told: _Item, step: PaymentStep | None, payment_id: str, *, cumulative: bool = False, **more: Any
) -> AnyEvent | None:
    if step is None:
        return None
    declined = step in (PaymentStep.DECLINED, PaymentStep.CAPTURE_FAILED, PaymentStep.REFUND_FAILED)
    return PaymentChanged(
        **told.base,
        payment_id=payment_id,
        step=step,
        amount=told.money(),
        cumulative=cumulative,
        reference=told.psp,
        merchant_reference=told.item.hint("merchantReference"),
        **_evidence(told),
        **(_refusal(told) if declined else {}),
        **more,
    )


Translate = Callable[[_Item], AnyEvent | None]


def _own(success: PaymentStep, failure: PaymentStep | None) -> Translate:
    """The payment itself: its pspReference is the payment's id."""
    return lambda told: _payment(told, success if told.success else failure, told.psp)


def _modification(success: PaymentStep, failure: PaymentStep | None, *, total: bool = False) -> Translate:
    """A change of an earlier payment: that one is originalReference, and pspReference names the change."""

    def translate(told: _Item) -> AnyEvent | None:
        step = success if told.success else failure
        return _payment(told, step, told.changed(), cumulative=total) if step else None

    return translate


def _expired(told: _Item) -> AnyEvent | None:
    """What was not captured of an authorization, which Adyen's own example names by pspReference alone. Its amount is what was
    authorized at first, however much was added to that: it is no part that lapsed."""
    found = _payment(told, PaymentStep.CANCELED, told.original or told.psp) if told.success else None
    return replace(found, amount=None) if isinstance(found, PaymentChanged) else None


def _unreferenced(success: PaymentStep, failure: PaymentStep) -> Translate:
    """A refund that may be of no payment at all: then it gives money to a card that paid elsewhere."""
    follow = _modification(success, failure)
    return lambda told: follow(told) if told.original else None


def _cancel_or_refund(told: _Item) -> AnyEvent | None:
    """Adyen chose between the two, and says which outside its signature: what was captured before is what decides."""
    if not told.success:
        return None
    action = told.extra().hint("modification.action")
    step = PaymentStep.REFUNDED if action == "refund" else PaymentStep.CANCELED
    return _payment(told, step, told.changed(), unsigned=("step",))


# Disputes

# What `disputeStatus` says where it is sent (never for Brazil). Undefended: the time to defend is still running.
HINTS = {
    "unresponded": DisputeStatus.NEEDS_RESPONSE,
    "undefended": DisputeStatus.NEEDS_RESPONSE,
    "responded": DisputeStatus.UNDER_REVIEW,
    "pending": DisputeStatus.UNDER_REVIEW,
    "expired": DisputeStatus.EXPIRED,
    "accepted": DisputeStatus.ACCEPTED,
    "lost": DisputeStatus.LOST,
    "won": DisputeStatus.WON,
}
ANY = frozenset(HINTS.values())
OVER = frozenset({DisputeStatus.EXPIRED, DisputeStatus.ACCEPTED, DisputeStatus.LOST})
REASON_CODES: dict[DisputeReason, tuple[str, ...]] = {
    DisputeReason.FRAUD: (
        "10.1", "10.2", "10.3", "10.4", "10.5", "4837", "4849", "4863", "4870", "4871",
        "F10", "F14", "F24", "F29", "F30", "F31", "FR2", "FR4", "FR6",
        "UA01", "UA02", "UA05", "UA06", "UA10", "UA11", "UA12", "AA",
    ),
    DisputeReason.NOT_RECEIVED: ("13.1", "13.9", "4855", "C08", "RG", "NF"),
    DisputeReason.NOT_AS_DESCRIBED: ("13.3", "13.4", "13.5", "C31", "C32", "RM"),
    DisputeReason.DUPLICATE: ("12.6.1", "12.6.2", "12.6", "C14", "DP", "PM"),
    DisputeReason.CANCELED: ("13.2", "13.7", "4841", "C05", "C18", "C28", "AP"),
    DisputeReason.CREDIT_NOT_PROCESSED: ("13.6", "4860", "C02", "C04", "RN"),
}  # fmt: skip
_REASON_OF = {code: reason for reason, codes in REASON_CODES.items() for code in codes}


def _dispute(
    stage: DisputeStage | None,
    status: DisputeStatus | None,
    *,
    hinted: frozenset[DisputeStatus] = frozenset(),
    final: bool = True,
    moves: int = 0,
) -> Translate:
    """A dispute event. `hinted`: what disputeStatus, which is not signed, may say better than the event code."""

    def translate(told: _Item) -> AnyEvent | None:
        extra = told.extra()
        word = extra.hint("disputeStatus")
        by_hint = HINTS.get((word or "").lower())
        is_unknown = word is not None and by_hint is None
        if by_hint not in hinted:
            by_hint = None
        code = extra.first_hint("chargebackReasonCode", "rfiReasonCode")
        amount = told.money()
        scheme = extra.lowered("chargebackSchemeCode") or extra.lowered("rfiSchemeCode")
        return DisputeChanged(
            **told.base,
            unsigned=("status",) if by_hint else (),
            dispute_id=told.psp,
            payment_id=told.original,
            stage=stage,
            status=by_hint or status,
            status_unknown=is_unknown,
            final=final,
            amount=amount,
            moved=Money(moves * amount.minor, amount.currency) if moves and amount else None,
            reason=_REASON_OF.get(code.upper(), DisputeReason.OTHER) if code else None,
            reason_code=code,
            network=_network(scheme or told.item.lowered("paymentMethod")),
            **extra.deadline("defensePeriodEndsAt"),
            can_respond=False if is_bank_debit(told.item.hint("paymentMethod")) else extra.flag("defendable"),
            autodefended=extra.flag("autoDefended") is True,
            provider_status=word or told.code,
            evidence_submitted=True if told.code == "INFORMATION_SUPPLIED" else None,
            arn=extra.hint("arn"),
        )

    return translate


def _warning(told: _Item) -> AnyEvent:
    extra = told.extra()
    return FraudWarned(
        **told.base,
        warning_id=told.psp,
        payment_id=told.changed(),
        amount=told.money(),
        fraud_type=extra.hint("nofReasonCode"),
        network=_network(extra.lowered("nofSchemeCode") or told.item.lowered("paymentMethod")),
    )


def _report(it: _Item) -> AnyEvent | None:
    """A settlement batch was closed and its report can be read; other reports are nobody's here. The file's name is signed."""
    if not it.success or not SETTLEMENT_REPORT.fullmatch(it.psp):
        return None
    return PayoutChanged(**it.base, payout_id=it.psp, status="report_available")


def _review(verdict: str) -> Translate:
    return lambda told: ReviewChanged(**told.base, payment_id=told.changed(), open=False, verdict=verdict)


_S, _D, _T = PaymentStep, DisputeStage, DisputeStatus

PAYMENTS: dict[str, Translate] = {
    "AUTHORISATION": _own(_S.AUTHORIZED, _S.DECLINED),
    "PENDING": _own(_S.PENDING, None),
    "OFFER_CLOSED": _own(_S.DECLINED, None),
    # The adjusted authorization's new whole amount.
    "AUTHORISATION_ADJUSTMENT": _modification(_S.AUTHORIZED, None, total=True),
    "CAPTURE": _modification(_S.CAPTURED, _S.CAPTURE_FAILED),
    "CAPTURE_FAILED": _modification(_S.CAPTURE_FAILED, None),
    "CANCELLATION": _modification(_S.CANCELED, None),
    "TECHNICAL_CANCEL": _modification(_S.CANCELED, None),
    "EXPIRE": _expired,
}
REFUNDS: dict[str, Translate] = {
    "CANCEL_OR_REFUND": _cancel_or_refund,
    "REFUND": _modification(_S.REFUNDED, _S.REFUND_FAILED),
    "REFUND_WITH_DATA": _unreferenced(_S.REFUNDED, _S.REFUND_FAILED),
    "REFUND_FAILED": _modification(_S.REFUND_FAILED, None),
    "REFUNDED_REVERSED": _modification(_S.REFUND_FAILED, None),
    "POSTPONED_REFUND": _modification(_S.REFUND_PENDING, _S.REFUND_FAILED),
}
DISPUTES: dict[str, Translate] = {
    "REQUEST_FOR_INFORMATION": _dispute(_D.INQUIRY, _T.NEEDS_RESPONSE, hinted=ANY),
    "NOTIFICATION_OF_CHARGEBACK": _dispute(_D.CHARGEBACK, _T.NEEDS_RESPONSE, hinted=ANY),
    # In the place of the notification where the scheme sends none. That the money went is what CHARGEBACK tells.
    "DISPUTE_OPENED_WITH_CHARGEBACK": _dispute(_D.CHARGEBACK, _T.NEEDS_RESPONSE, hinted=ANY),
    "CHARGEBACK": _dispute(_D.CHARGEBACK, _T.NEEDS_RESPONSE, hinted=ANY, moves=-1),
    # Documents were uploaded; whether they were also sent in our defense is known only to disputeStatus.
    "INFORMATION_SUPPLIED": _dispute(None, _T.UNDER_REVIEW, hinted=frozenset({_T.NEEDS_RESPONSE})),
    "ISSUER_COMMENTS": _dispute(None, None),
    "CHARGEBACK_REVERSED": _dispute(_D.CHARGEBACK, _T.WON, final=False, moves=1),
    "SECOND_CHARGEBACK": _dispute(_D.PRE_ARBITRATION, _T.LOST, moves=-1),
    "ISSUER_RESPONSE_TIMEFRAME_EXPIRED": _dispute(None, _T.WON),
    "DISPUTE_DEFENSE_PERIOD_ENDED": _dispute(None, _T.EXPIRED, hinted=OVER),
    "PREARBITRATION_OPEN": _dispute(_D.PRE_ARBITRATION, _T.NEEDS_RESPONSE, hinted=ANY),
    # Which side accepted or declined is known only to disputeStatus.
    "PREARBITRATION_ACCEPTED": _dispute(_D.PRE_ARBITRATION, None, hinted=ANY),
    "PREARBITRATION_DECLINED": _dispute(_D.PRE_ARBITRATION, None, hinted=ANY),
    "PREARBITRATION_WON": _dispute(_D.PRE_ARBITRATION, _T.WON),
    "PREARBITRATION_LOST": _dispute(_D.PRE_ARBITRATION, _T.LOST),
    "PREARBITRATION_ISSUER_WITHDRAWN": _dispute(_D.PRE_ARBITRATION, _T.CLOSED),
    "SCHEME_ARBITRATION": _dispute(_D.ARBITRATION, _T.UNDER_REVIEW),
    "SCHEME_ARBITRATION_WON": _dispute(_D.ARBITRATION, _T.WON),
    "SCHEME_ARBITRATION_LOST": _dispute(_D.ARBITRATION, _T.LOST),
}
WARNINGS: dict[str, Translate] = {
    "NOTIFICATION_OF_FRAUD": _warning,
}
OTHERS: dict[str, Translate] = {
    "REPORT_AVAILABLE": _report,
    "MANUAL_REVIEW_ACCEPT": _review("approved"),
    "MANUAL_REVIEW_REJECT": _review("rejected"),
}
CODES = PAYMENTS | REFUNDS | DISPUTES | WARNINGS | OTHERS

WORDS = {"notificationItems.NotificationRequestItem.additionalData.disputeStatus": HINTS}
TRAITS = Traits(
    scheme="HMAC-SHA256 of eight fields of each item; basic auth",
    replay="event id",
    rotation="keep both keys for 30 days",
    ack_seconds=10,
    retry_days=30,
    deadline="defensePeriodEndsAt",
    response_api="DisputeService v30 /defendDispute",
    verified_again="yes, but for the password",
    payments=PAYMENTS,
    refunds=REFUNDS,
    disputes=DISPUTES,
    warnings=WARNINGS,
)
