"""Apple: App Store Server Notifications V2, a JWS signed under Apple's own root.

| fact | value |
|---|---|
| signed | everything: `signedPayload` is a JWS (ES256), and so are the transaction and the renewal inside it, each verified again |
| key | `<bundle id> <app's Apple id>` of an app that this endpoint serves; the Apple id is needed when live, for sandbox notifications have none |
| certificates | exactly three in `x5c`: a leaf and an intermediate that bear Apple's marks, and a root whose SHA-256 is the one pinned here. A chain that only agrees with itself is worth nothing |
| not signed | nothing |
| algorithm | ES256, whatever the header offers |
| age | signed at most 8 days before receipt (the last retry comes after 6.5), at most 5 minutes after |
| acknowledge | 200 to 206, within a few seconds (no figure is told); otherwise tried again 1, 12, 24, 48 and 72 hours after the one before, in production only |
| rotation | no secret: leaves and intermediates change under the root, which lives until 2039. Two apps may share an endpoint |
| identity | `notificationUUID`, and the bundle id as the account |
| amounts | `price` in thousandths of the currency's major unit, whatever the currency |
| deadline | none in the message: 12 hours from a CONSUMPTION_REQUEST, as Apple's documentation says |
| mode | `environment`: Production or Sandbox. Xcode and LocalTesting sign with no key of Apple's, and are refused |
| not told | card, e-mail address, device, decline code, the refunded amount (a percentage of the price instead) |

Names: a payment is its transaction. A renewal that failed has no transaction yet: it goes by its subscription (the
original transaction) and the date it was due. Apple refunds on the customer's request and its own judgement: the
request is an inquiry (CONSUMPTION_REQUEST), a refund loses it and money goes back, a declined or reversed refund wins
it. An inquiry has no id of its own and goes by the transaction. Family Sharing gives each member a transaction of their
own (`inAppOwnershipType` FAMILY_SHARED) and tells of it in the same types: nobody pays for those, so they are ignored. Revocation is not checked online: the intermediate and
the leaf are judged by chain, marks and validity at the signed time.

Sources: Apple docs "App Store Server Notifications V2", "notificationType", "JWSTransactionDecodedPayload",
"JWSRenewalInfoDecodedPayload", "inAppOwnershipType", "Supporting Family Sharing in your app", "Responding to App Store Server Notifications"; Apple's Python server library.
"""

import base64
import hashlib
import re
from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from functools import lru_cache
from typing import TYPE_CHECKING, Any, cast

from shared.domain.delivery import Credentials, Delivery, Verdict
from shared.domain.errors import Misconfigured, SignatureInvalid, Unreadable
from shared.domain.events import (
    AnyEvent,
    DisputeChanged,
    DisputeReason,
    DisputeStage,
    DisputeStatus,
    Initiator,
    PaymentChanged,
    PaymentStep,
)
from shared.domain.money import Money, exponent
from shared.providers.kit.countries import alpha_2
from shared.providers.kit.envelope import Base
from shared.providers.kit.protocol import Answer, FetchCertificate, Normalized, Traits
from shared.providers.kit.reading import Node, parse, unix_milliseconds, unreadable
from shared.providers.kit.signing import base64url

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey

NAME = "apple"
ANSWER = Answer()
SIGNED_HEADERS = ()
PAYLOAD_VERSION = (("version",),)
OLDEST = timedelta(days=8)
SKEW = timedelta(minutes=5)
ANSWER_WITHIN = timedelta(hours=12)
# Apple Root CA - G3.
ROOT = "63343abfb89a6a03ebb57e9b3f5fa7be7c4f5c756f3017b3a8c488c3653e9179"
LEAF_MARK = "1.2.840.113635.100.6.11.1"
INTERMEDIATE_MARK = "1.2.840.113635.100.6.2.1"
ENVIRONMENTS = frozenset({"Sandbox", "Production"})

_KEY = re.compile(r"([A-Za-z0-9\-]+(?:\.[A-Za-z0-9\-]+)+)(?: ([0-9]{1,20}))?", flags=re.ASCII)
_TRANSACTION = re.compile(r"[0-9]{1,20}", flags=re.ASCII)
_PEM = re.compile(rb"-----BEGIN CERTIFICATE-----([^-]+)-----END CERTIFICATE-----")
_HOLDERS = ("data", "summary", "externalPurchaseToken", "appData")
_NESTED = ("signedTransactionInfo", "signedRenewalInfo", "signedAppTransactionInfo")


def check_credentials(credentials: Credentials) -> None:
    for key_id, key in credentials.keys.items():
        found = _KEY.fullmatch(key)
        if not found or (credentials.live and not found[2]):
            raise Misconfigured(
                f"WEBHOOK_APPLE key {key_id!r} names no app: set it to the bundle id, a space and the app's Apple id "
                "(the latter may be missing in the sandbox)",
                reason="bad_secret",
            )
    if not _pins(credentials.trust):
        raise Misconfigured("root.pem in PAYIN_APPLE_CERTIFICATES holds no certificate", reason="bad_trust")


def verify(delivery: Delivery, credentials: Credentials, fetch_certificate: FetchCertificate) -> Verdict:
    try:
        jws = _Jws(parse(delivery.body).raw("signedPayload"))
    except Unreadable:
        raise SignatureInvalid("no JWS in signedPayload", reason="malformed_signature") from None
    signed_at = _signed_at(jws.payload)
    # What has no readable time is unreadable altogether: nothing acts on it, and a person looks.
    if signed_at and not -SKEW <= delivery.received_at - signed_at <= OLDEST:
        raise SignatureInvalid("not signed in the last eight days", reason="outside_tolerance")
    jws.verify(credentials, signed_at or delivery.received_at)
    holder = _holder(jws.payload)
    bundle, environment = holder.raw("bundleId"), _environment(jws.payload)
    if environment not in ENVIRONMENTS:
        raise SignatureInvalid("signed for an environment that proves nothing", reason="wrong_environment")
    key_id = next((key_id for key_id, key in credentials.keys.items() if _names(key, holder, environment)), None)
    if key_id is None:
        raise SignatureInvalid("signed for another app", reason="signature_mismatch")
    for member in _NESTED:
        if holder.raw(member) is not None:
            _verify_nested(holder.raw(member), credentials, signed_at or delivery.received_at, bundle, environment)
    return Verdict(key_ids=(key_id,), signed_at=signed_at)


def _signed_at(payload: Node) -> datetime | None:
    when = payload.raw("signedDate")
    return unix_milliseconds(when) if type(when) is int else None


def _names(key: str, holder: Node, environment: str) -> bool:
    """Whether `key` names the app that the notification is for."""
    bundle, _, app = key.partition(" ")
    if not bundle or holder.raw("bundleId") != bundle:
        return False
    return environment != "Production" or (bool(app) and str(holder.raw("appAppleId")) == app)


def _verify_nested(text: Any, credentials: Credentials, signed_at: datetime, bundle: Any, environment: str) -> None:
    try:
        jws = _Jws(text)
    except Unreadable:
        raise SignatureInvalid("a JWS inside cannot be read", reason="malformed_signature") from None
    jws.verify(credentials, _signed_at(jws.payload) or signed_at)
    told = (jws.payload.raw("environment") or jws.payload.raw("receiptType"), jws.payload.raw("bundleId") or bundle)
    if told != (environment, bundle):
        raise SignatureInvalid("a JWS inside is for another app or environment", reason="signature_mismatch")


def _holder(payload: Node) -> Node:
    """What the notification is about: whichever of the four members is there."""
    return next((payload.at(name) for name in _HOLDERS if type(payload.raw(name)) is dict), payload.at("data"))


def _environment(payload: Node) -> str:
    token = payload.at("externalPurchaseToken")
    if token.value:
        # The only kind that does not say it: a sandbox token bears the word in its id.
        return "Sandbox" if (token.hint("externalPurchaseId") or "").startswith("SANDBOX") else "Production"
    return _holder(payload).hint("environment") or ""


class _Jws:
    """A JWS in compact form, split and decoded; nothing of it is proved before `verify`. Raises Unreadable."""

    def __init__(self, text: Any) -> None:
        parts = text.split(".") if type(text) is str else []
        if len(parts) != 3:
            raise unreadable("signedPayload", "not a JWS", "not_a_jws")
        header, payload, signature = (_decoded(part) for part in parts)
        self.header = parse(header)
        self.payload = parse(payload)
        self._signature = signature
        self._message = f"{parts[0]}.{parts[1]}".encode("ascii")

    def verify(self, credentials: Credentials, at: datetime) -> None:
        """Prove that a key of Apple's signed it, one whose certificates were valid at `at`. Raises SignatureInvalid."""
        certificates = self.header.raw("x5c")
        if self.header.raw("alg") != "ES256" or self.header.raw("crit") is not None:
            raise SignatureInvalid("signed with another algorithm than ES256", reason="wrong_algorithm")
        if type(certificates) is not list or [type(text) for text in certificates] != [str] * 3:
            raise SignatureInvalid("not three certificates", reason="untrusted_certificate")
        key, begins, ends = _chain(*certificates, _pins(credentials.trust))
        if not begins <= at <= ends:
            raise SignatureInvalid("a certificate was not valid then", reason="untrusted_certificate")
        if not _signed(key, self._signature, self._message):
            raise SignatureInvalid("no signature matches", reason="signature_mismatch")


def _decoded(segment: str) -> bytes:
    decoded = base64url(segment)
    if not decoded:
        raise unreadable("signedPayload", "not base64url", "not_a_jws")
    return decoded


@lru_cache(maxsize=4)
def _pins(trust: bytes | None) -> frozenset[str]:
    """SHA-256 of every root that a chain may end in: Apple's, or those of a local stack."""
    if trust is None:
        return frozenset({ROOT})
    pins = set()
    for text in _PEM.findall(trust):
        pins.add(hashlib.sha256(base64.b64decode(text)).hexdigest())
    return frozenset(pins)


@lru_cache(maxsize=16)
def _chain(
    leaf_text: str, intermediate_text: str, root_text: str, pins: frozenset[str]
) -> "tuple[EllipticCurvePublicKey, datetime, datetime]":
    """The leaf's key, and from when until when all three certificates are valid. Raises SignatureInvalid.

    Kept, for Apple signs with one leaf for years; what is refused is not kept, so that nobody can fill the memory.
    """
    from cryptography import x509
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey

    try:
        ders = [base64.b64decode(text, validate=True) for text in (leaf_text, intermediate_text, root_text)]
        if hashlib.sha256(ders[2]).hexdigest() not in pins:
            raise SignatureInvalid("the chain ends in another root", reason="untrusted_certificate")
        leaf, intermediate, root = (x509.load_der_x509_certificate(der) for der in ders)
        intermediate.verify_directly_issued_by(root)
        leaf.verify_directly_issued_by(intermediate)
        leaf.extensions.get_extension_for_oid(x509.ObjectIdentifier(LEAF_MARK))
        intermediate.extensions.get_extension_for_oid(x509.ObjectIdentifier(INTERMEDIATE_MARK))
        authority = intermediate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
        usages = [usage.value for usage in intermediate.extensions if isinstance(usage.value, x509.KeyUsage)]
        key = leaf.public_key()
    except (
        ValueError,
        TypeError,
        InvalidSignature,
        UnsupportedAlgorithm,
        x509.InvalidVersion,
        x509.ExtensionNotFound,
        x509.DuplicateExtension,
        x509.UnsupportedGeneralNameType,
    ):
        raise SignatureInvalid("the certificates prove nothing", reason="untrusted_certificate") from None
    # RFC 5280 §4.2.1.3: a certificate that does not limit its use may sign others.
    may_sign = all(usage.key_cert_sign for usage in usages)
    if not (authority and may_sign and isinstance(key, EllipticCurvePublicKey) and isinstance(key.curve, SECP256R1)):
        raise SignatureInvalid("a certificate for another purpose", reason="untrusted_certificate")
    all_three = (leaf, intermediate, root)
    begins = max(certificate.not_valid_before_utc for certificate in all_three)
    ends = min(certificate.not_valid_after_utc for certificate in all_three)
    return key, begins, ends


def _signed(key: "EllipticCurvePublicKey", signature: bytes, message: bytes) -> bool:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ec import ECDSA
    from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
    from cryptography.hazmat.primitives.hashes import SHA256

    if len(signature) != 64:
        return False
    der = encode_dss_signature(int.from_bytes(signature[:32]), int.from_bytes(signature[32:]))
    try:
        key.verify(der, message, ECDSA(SHA256()))
    except InvalidSignature:
        return False
    return True


def opened(delivery: Delivery) -> Node:
    """The payload, with what is in the JWS inside it in their place; one that is none is left out."""
    found = delivery.memo.get("opened")
    if found is None:
        whole = dict(_Jws(parse(delivery.body).raw("signedPayload")).payload.value)
        for name in _HOLDERS:
            if type(whole.get(name)) is dict:
                whole[name] = {member: value for member, value in whole[name].items() if member not in _NESTED} | {
                    member: inner
                    for member in _NESTED
                    if member in whole[name] and (inner := _inside(whole[name][member])) is not None
                }
        found = delivery.memo["opened"] = Node(whole, "")
    return cast(Node, found)


def _inside(jws: Any) -> Any:
    try:
        return _Jws(jws).payload.value
    except Unreadable:
        return None


def normalize(delivery: Delivery, verdict: Verdict, credentials: Credentials) -> Normalized:
    payload = opened(delivery)
    kind, subtype = payload.word("notificationType"), payload.hint("subtype")
    holder = _holder(payload)
    account = holder.maybe_text("bundleId") or credentials.account
    delivery_id = f"{NAME}:{account}:{payload.word('notificationUUID')}"
    types = (f"{kind}.{subtype}" if subtype else kind,)
    livemode = _environment(payload) == "Production"
    translate = TYPES.get(kind) or TYPES.get(types[0])
    if translate is None or (translate in OF_WHO_PAYS and _is_shared(holder)):
        return Normalized(delivery_id, types=types, livemode=livemode, ignored=types)
    occurred_at = unix_milliseconds(payload.integer("signedDate"))
    if occurred_at is None:
        raise unreadable("signedDate", "not a time of this century", "unreadable_time")
    base: Base = {
        "event_id": delivery_id,
        "provider": NAME,
        "account": account,
        "occurred_at": occurred_at,
        "delivery_id": delivery_id,
        "livemode": livemode,
        "unsigned": verdict.unsigned,
    }
    notification = _Notification(holder, base)
    return Normalized(delivery_id, events=tuple(translate(notification)), types=types, livemode=livemode)


def _is_shared(holder: Node) -> bool:
    """Whether somebody of the payer's family has the purchase, under a transaction of their own."""
    return holder.hint("signedTransactionInfo", "inAppOwnershipType") == "FAMILY_SHARED"


class _Notification:
    """What a notification is about, with its parts. Raises Unreadable where one is missing."""

    def __init__(self, holder: Node, base: Base) -> None:
        self.holder = holder
        self.base = base

    def part(self, name: str) -> Node:
        found = self.holder.raw(name)
        if type(found) is not dict:
            raise unreadable(name, "not a JWS", "not_a_jws")
        return Node(found, name)

    @property
    def transaction(self) -> Node:
        return self.part("signedTransactionInfo")


def _id(node: Node, name: str) -> str:
    """A transaction's id: a plain number, as long as a card's. Apple never sees our customers' cards, nor do we here."""
    value = node.raw(name)
    if type(value) is not str or not _TRANSACTION.fullmatch(value):
        raise unreadable(node.where(name), "not a transaction's id", "missing_field")
    return value


# Payments

# Our own id where the app sets one, else Apple's for this app in the customer's Apple account.
CUSTOMERS = ("appAccountToken", "appTransactionId")
INITIATORS = {"PURCHASE": Initiator.CUSTOMER, "RENEWAL": Initiator.MERCHANT}


def _money(node: Node, name: str, share: Decimal = Decimal(1)) -> Money | None:
    """Thousandths of a major unit as Money; None where there is no price. Raises Unreadable.

    A price is never finer than its currency's minor unit; a share of it may be, and is rounded half up.
    """
    if node.raw(name) is None:
        return None
    thousandths, currency = node.integer(name), node.text("currency").upper()
    minor = Decimal(thousandths).scaleb(exponent(currency) - 3)
    if minor != minor.to_integral_value():
        raise unreadable(node.where(name), "not an amount of that currency", "unreadable_money")
    try:
        return Money(int((minor * share).to_integral_value(ROUND_HALF_UP)), currency)
    except ValueError:
        raise unreadable(node.where(name), "not an amount of that currency", "unreadable_money") from None


def _refunded(transaction: Node) -> Money | None:
    """The part of the price that went back: all of it, unless a percentage is told, in thousandths of one."""
    share = Decimal(1)
    if transaction.raw("revocationPercentage") is not None:
        share = Decimal(transaction.integer("revocationPercentage")).scaleb(-5)
        if not 0 <= share <= 1:
            raise unreadable(transaction.where("revocationPercentage"), "not a percentage", "unreadable_money")
    return _money(transaction, "price", share)


def _payment(about: _Notification, transaction: Node, step: PaymentStep, **more: Any) -> PaymentChanged:
    return PaymentChanged(
        **about.base,
        payment_id=_id(transaction, "transactionId"),
        step=step,
        method="apple",
        customer_id=transaction.customer(*CUSTOMERS),
        billing_country=alpha_2(transaction.hint("storefront")),
        initiator=INITIATORS.get(transaction.hint("transactionReason") or ""),
        **more,
    )


def _captured(about: _Notification) -> list[AnyEvent]:
    transaction = about.transaction
    own = _id(transaction, "transactionId")
    return [_payment(about, transaction, PaymentStep.CAPTURED, amount=_money(transaction, "price"), reference=own)]


def _renewal(step: PaymentStep) -> "Translate":
    """A renewal that has not been paid, or never will be."""

    def translate(about: _Notification) -> list[AnyEvent]:
        renewal = about.part("signedRenewalInfo")
        original = _id(renewal, "originalTransactionId")
        name = f"{original}-renewal"
        if renewal.raw("renewalDate") is not None:
            due = unix_milliseconds(renewal.integer("renewalDate"))
            if due is None:
                raise unreadable("signedRenewalInfo.renewalDate", "not a time of this century", "unreadable_time")
            name = f"{name}-{due.date().isoformat()}"
        return [
            PaymentChanged(
                **about.base,
                payment_id=name,
                step=step,
                amount=_money(renewal, "renewalPrice"),
                method="apple",
                customer_id=renewal.customer(*CUSTOMERS),
                initiator=Initiator.MERCHANT,
            )
        ]

    return translate


def _revoked(about: _Notification) -> list[AnyEvent]:
    """A family's share in somebody's purchase ended; whoever paid is told of with REFUND."""
    return [_payment(about, about.transaction, PaymentStep.CANCELED)]


# Refunds, and the requests for them

REASONS = {
    "FULFILLMENT_ISSUE": DisputeReason.NOT_RECEIVED,
    "UNSATISFIED_WITH_PURCHASE": DisputeReason.NOT_AS_DESCRIBED,
}


def _request(about: _Notification, transaction: Node, status: DisputeStatus, **more: Any) -> DisputeChanged:
    own = _id(transaction, "transactionId")
    return DisputeChanged(
        **{**about.base, "event_id": f"{about.base['event_id']}:request"},
        dispute_id=own,
        payment_id=own,
        stage=DisputeStage.INQUIRY,
        status=status,
        **more,
    )


def _requested(about: _Notification) -> list[AnyEvent]:
    transaction = about.transaction
    reason = about.holder.hint("consumptionRequestReason")
    asked_at: datetime = about.base["occurred_at"]
    return [
        _request(
            about,
            transaction,
            DisputeStatus.NEEDS_RESPONSE,
            amount=_money(transaction, "price"),
            reason=REASONS.get(reason, DisputeReason.OTHER) if reason else None,
            provider_status=reason,
            respond_by=asked_at + ANSWER_WITHIN,
            respond_by_text=f"within 12 hours of {asked_at.isoformat()}",
            can_respond=True,
        )
    ]


def _refund(step: PaymentStep, status: DisputeStatus) -> "Translate":
    """One transaction can be refunded once, so its refund goes by its name, also when it is reversed."""

    def translate(about: _Notification) -> list[AnyEvent]:
        transaction = about.transaction
        amount = _refunded(transaction)
        reference = f"{_id(transaction, 'transactionId')}-refund"
        return [
            _payment(about, transaction, step, amount=amount, reference=reference),
            _request(about, transaction, status, amount=amount),
        ]

    return translate


def _declined(about: _Notification) -> list[AnyEvent]:
    return [_request(about, about.transaction, DisputeStatus.WON)]


Translate = Callable[[_Notification], list[AnyEvent]]

# By type, or by type and subtype where only that one moves money.
PAYMENTS: dict[str, Translate] = {
    "SUBSCRIBED": _captured,
    "DID_RENEW": _captured,
    "ONE_TIME_CHARGE": _captured,
    "DID_CHANGE_RENEWAL_PREF.UPGRADE": _captured,
    "OFFER_REDEEMED.UPGRADE": _captured,
    "DID_FAIL_TO_RENEW": _renewal(PaymentStep.DECLINED),
    "EXPIRED": _renewal(PaymentStep.CANCELED),
    "GRACE_PERIOD_EXPIRED": _renewal(PaymentStep.CANCELED),
}
REFUNDS: dict[str, Translate] = {
    "REVOKE": _revoked,
    "REFUND": _refund(PaymentStep.REFUNDED, DisputeStatus.LOST),
    "REFUND_REVERSED": _refund(PaymentStep.REFUND_FAILED, DisputeStatus.WON),
}
DISPUTES: dict[str, Translate] = {
    "REFUND_DECLINED": _declined,
    "CONSUMPTION_REQUEST": _requested,
}
TYPES = PAYMENTS | REFUNDS | DISPUTES
# What refunds are asked of and given back is the payer's whoever is named.
OF_WHO_PAYS = frozenset({*PAYMENTS.values(), _revoked})

WORDS = {"data.consumptionRequestReason": REASONS, "Transaction.transactionReason": INITIATORS}
TRAITS = Traits(
    scheme="JWS (ES256) under Apple's root, nested ones too",
    replay="signed time −8 d … +5 min, event id",
    rotation="certificates under a pinned root",
    retry_days=6.5,
    deadline="12 h after CONSUMPTION_REQUEST",
    response_api="PUT /inApps/v2/transactions/consumption/{id}",
    payments=PAYMENTS,
    refunds=REFUNDS,
    disputes=(*DISPUTES, "REFUND", "REFUND_REVERSED"),
)
