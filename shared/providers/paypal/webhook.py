"""PayPal: REST webhooks, signed with RSA by a certificate that the delivery names.

| fact | value |
|---|---|
| signed | `<transmission id>\\|<transmission time>\\|<our webhook's id>\\|<CRC-32 of the raw body>`, RSA PKCS #1 v1.5 with SHA-256 |
| key | our webhook's id, which is in no request; a delivery to another webhook does not verify here |
| not signed | **the body**: it is covered by its CRC-32 only, and whoever holds one captured delivery can make another body with the same CRC for three days. PayPal's own call for verifying takes the same CRC, so it proves no more. So a delivery is a poke: its event is read back by id, and nothing else of the body counts |
| certificate | fetched from four hosts of PayPal only, two for each environment; chain to public roots, through its issuer's, which is fetched from DigiCert where PayPal serves it alone (as its libraries expect; not settled by public pages); named `messageverificationcerts….paypal.com`, with `.sandbox.` exactly when the endpoint is not live; valid at receipt |
| algorithm | SHA256withRSA, whatever the header offers |
| age | sent at most 3 days and 5 minutes before receipt, at most 5 minutes after |
| acknowledge | any 2xx; otherwise up to 25 tries over 3 days |
| rotation | no secret; certificates change by URL, and two webhook ids may be active |
| identity | `id` (WH-…) |
| fetch-back | GET /v1/notifications/webhooks-events/{id}, which has the event as it was sent, for some weeks; API_PAYPAL's key is `<client id>:<secret>`, exchanged for a token. Events of the dashboard's simulator are not there |
| amounts | decimal text in major units: `{value, currency_code}`, or `{total, currency}` in v1 |
| dispute fees | `money_movements` of the seller, all until then; of the newer `fund_movements` public pages do not say which way they go |
| mode | not in the body: the certificate's environment says it |
| merchant's own words | `custom_id` (v1: `custom`): `c=<customer>&d=<device>&i=<ip>&n=<cit or mit>` |

Names: a payment is its capture (v2) or sale (v1). A capture of an authorization also tells that the authorization
was succeeded by it. An order is an alias of its captures. A dispute may be about several transactions, with one amount,
one stage and one answer for all: it is filed with the first that is named, and a person is told of the others.

Public roots are certifi's (Mozilla's list).

Sources: PayPal docs "Webhooks: integrate", "Webhook event names", "Disputes"; PayPal's OpenAPI descriptions
notifications_webhooks_v1, customer_disputes_v1, payments_payment_v2, checkout_orders_v2, invoicing_v1 and _v2; the
models of PayPal's server SDK; the certificate rule of PayPal's Java SDK.
"""

import base64
import binascii
import re
import zlib
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from shared.domain.delivery import Credentials, Delivery, Verdict
from shared.domain.errors import Misconfigured, SignatureInvalid
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
    PayoutChanged,
    ResourceChanged,
)
from shared.domain.money import Money
from shared.providers.kit.envelope import Base
from shared.providers.kit.protocol import Answer, FetchCertificate, Normalized, Traits
from shared.providers.kit.reading import (
    LONGEST_TEXT,
    Node,
    first_email,
    major_money,
    one_sum,
    opened,
    or_doubt,
    rfc3339,
    unreadable,
)
from shared.providers.kit.signing import as_bytes, header

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
    from cryptography.x509 import Certificate
    from cryptography.x509.verification import Store

NAME = "paypal"
ANSWER = Answer()
SIGNED_HEADERS = (
    "paypal-transmission-id",
    "paypal-transmission-time",
    "paypal-transmission-sig",
    "paypal-cert-url",
    "paypal-auth-algo",
)
PAYLOAD_VERSION = (("event_version",), ("resource_version",))
OLDEST = timedelta(days=3, minutes=5)
SKEW = timedelta(minutes=5)
ALGORITHM = "SHA256withRSA"
UNSIGNED = ("event_id", "occurred_at", "resource_id", "hint")
EVENTS = "webhooks-events"
EVENT_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_\-]{0,127}", flags=re.ASCII)

# One pattern over the whole URL, so that no parser's leniency (userinfo, ports, dots, escapes) can be used against us.
_CERTIFICATE_URL = re.compile(
    r"https://(api|api-m)(\.sandbox)?\.paypal\.com(?::443)?/v1/notifications/certs/[A-Za-z0-9][A-Za-z0-9_.\-]{0,127}",
    flags=re.ASCII,
)
# DigiCert, whom PayPal's published certificates and the trust of its own libraries are from.
_ISSUER_URL = re.compile(r"https?://cacerts\.digicert\.com/([A-Za-z0-9][A-Za-z0-9_.\-]{0,127})", flags=re.ASCII)
_CERTIFICATE_NAME = re.compile(r"messageverificationcerts(\.[a-z0-9\-]+)*\.paypal\.com", flags=re.ASCII)
_PEM = re.compile(rb"-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----")
_TRANSMISSION_ID = re.compile(r"[A-Za-z0-9\-]{1,64}", flags=re.ASCII)
_WEBHOOK_ID = re.compile(r"[A-Za-z0-9\-]{1,64}", flags=re.ASCII)


def check_credentials(credentials: Credentials) -> None:
    for key_id, webhook_id in credentials.keys.items():
        if not _WEBHOOK_ID.fullmatch(webhook_id):
            raise Misconfigured(
                f"WEBHOOK_PAYPAL key {key_id!r} is no webhook id: set it to the webhook's id in PayPal's dashboard",
                reason="bad_secret",
            )
    if credentials.trust is not None:
        try:
            _roots(credentials.trust)
        except ValueError:
            raise Misconfigured(
                "root.pem in PAYIN_PAYPAL_CERTIFICATES holds no certificate: set it to the simulator's folder",
                reason="bad_trust",
            ) from None


def verify(delivery: Delivery, credentials: Credentials, fetch_certificate: FetchCertificate) -> Verdict:
    sent, stamp, signature, url, algorithm = (header(delivery.headers, name) for name in SIGNED_HEADERS)
    if not (sent and stamp and signature and url):
        raise SignatureInvalid("a header of the signature is missing", reason="missing_signature")
    if algorithm != ALGORITHM:
        raise SignatureInvalid(f"signed with another algorithm than {ALGORITHM}", reason="wrong_algorithm")
    signed_at = rfc3339(stamp)
    decoded = _signature(signature)
    if signed_at is None or decoded is None or not _TRANSMISSION_ID.fullmatch(sent):
        raise SignatureInvalid("a header of the signature is malformed", reason="malformed_signature")
    # Before the certificate is fetched: an old or made-up delivery costs no request.
    if not -SKEW <= delivery.received_at - signed_at <= OLDEST:
        raise SignatureInvalid("not sent in the last three days", reason="outside_tolerance")
    found = _CERTIFICATE_URL.fullmatch(url)
    if not found or bool(found[2]) == credentials.live:
        raise SignatureInvalid("not a certificate of PayPal's for this environment", reason="untrusted_certificate_url")
    key = _public_key(fetch_certificate(url), credentials, delivery.received_at, fetch_certificate)
    crc = zlib.crc32(delivery.body)
    matched = [
        key_id
        for key_id, webhook_id in credentials.keys.items()
        if webhook_id and _signed(key, decoded, f"{sent}|{stamp}|{webhook_id}|{crc}")
    ]
    if not matched:
        raise SignatureInvalid("no signature matches", reason="signature_mismatch")
    return Verdict(key_ids=(matched[0],), signed_at=signed_at, unsigned=UNSIGNED)


def _signature(text: str) -> bytes | None:
    """The signature's bytes; None unless `text` is exactly how base64 writes them."""
    try:
        decoded = base64.b64decode(as_bytes(text), validate=True)
    except (binascii.Error, ValueError):
        return None
    return decoded if base64.b64encode(decoded) == as_bytes(text) else None


def _signed(key: "RSAPublicKey", signature: bytes, message: str) -> bool:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
    from cryptography.hazmat.primitives.hashes import SHA256

    try:
        key.verify(signature, as_bytes(message), PKCS1v15(), SHA256())
    except (InvalidSignature, ValueError):
        return False
    return True


@lru_cache(maxsize=4)
def _roots(trust: bytes | None) -> "Store":
    """The roots that a chain may end in: `trust`, or the public ones. Reading them takes milliseconds: once.

    Raises ValueError where `trust` holds none.
    """
    from cryptography.x509 import load_pem_x509_certificate
    from cryptography.x509.verification import Store

    if trust is None:
        import certifi

        with open(certifi.where(), "rb") as file:
            trust = file.read()
    roots = []
    for pem in _PEM.findall(trust):
        # The public list holds old roots that a stricter reader refuses; the others stand without them.
        with suppress(ValueError):
            roots.append(load_pem_x509_certificate(pem))
    return Store(roots)


def _public_key(
    pem: bytes, credentials: Credentials, at: datetime, fetch_certificate: FetchCertificate
) -> "RSAPublicKey":
    """The key of the certificate that `pem` starts with, once its name, chain and validity at `at` are proved."""
    from cryptography import x509
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
    from cryptography.x509.verification import PolicyBuilder, VerificationError

    try:
        leaf, *others = x509.load_pem_x509_certificates(pem)
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        dns = [name.lower() for name in names.get_values_for_type(x509.DNSName)]
        key = leaf.public_key()
    except (
        ValueError,
        TypeError,
        UnsupportedAlgorithm,
        x509.InvalidVersion,
        x509.ExtensionNotFound,
        x509.DuplicateExtension,
        x509.UnsupportedGeneralNameType,
    ):
        raise SignatureInvalid("the certificate cannot be read", reason="untrusted_certificate") from None
    name = next((name for name in dns if _CERTIFICATE_NAME.fullmatch(name)), None)
    if (
        name is None
        or (".sandbox." in name) == credentials.live
        or not isinstance(key, RSAPublicKey)
        or key.key_size < 2048
    ):
        raise SignatureInvalid("a certificate for another purpose", reason="untrusted_certificate")
    verifier = PolicyBuilder().store(_roots(credentials.trust)).time(at).build_server_verifier(x509.DNSName(name))
    try:
        verifier.verify(leaf, others or _issuer(leaf, fetch_certificate))
    except VerificationError:
        raise SignatureInvalid("no chain to a trusted root, or not valid now", reason="untrusted_certificate") from None
    return key


def _issuer(leaf: "Certificate", fetch_certificate: FetchCertificate) -> "list[Certificate]":
    """The certificate of whoever issued `leaf`, from where `leaf` says that it is; none for any place but DigiCert's.

    It need not be trusted to be fetched: it only links `leaf` to a root, or fails to.
    """
    from cryptography import x509
    from cryptography.x509.oid import AuthorityInformationAccessOID

    try:
        told = leaf.extensions.get_extension_for_class(x509.AuthorityInformationAccess).value
    except x509.ExtensionNotFound:
        return []
    for access in told:
        place = access.access_location.value if access.access_method == AuthorityInformationAccessOID.CA_ISSUERS else ""
        found = _ISSUER_URL.fullmatch(place) if type(place) is str else None
        if found:
            with suppress(ValueError):
                return [x509.load_der_x509_certificate(fetch_certificate(f"https://cacerts.digicert.com/{found[1]}"))]
    return []


def normalize(delivery: Delivery, verdict: Verdict, credentials: Credentials) -> Normalized:
    """A poke by the event's id. The body is read only to say at once what of it nobody can read."""
    event = opened(delivery)
    kind, event_id = event.word("event_type"), event.word("id")
    delivery_id = f"{NAME}:{credentials.account}:{event_id}"
    if kind not in TYPES:
        return Normalized(delivery_id, types=(kind,), ignored=(kind,))
    if not EVENT_ID.fullmatch(event_id):
        raise unreadable("id", "not an event of PayPal's", "unreadable_id")
    base: Base = {
        "provider": NAME,
        "account": credentials.account,
        "delivery_id": delivery_id,
        "livemode": credentials.live,
        "unsigned": verdict.unsigned,
    }
    said = told(event, {**base, "event_id": delivery_id})
    if not said:
        return Normalized(delivery_id, types=(kind,), ignored=(kind,))
    poke = ResourceChanged(
        **base,
        event_id=f"{delivery_id}.poke",
        occurred_at=event.instant("create_time"),
        resource=EVENTS,
        resource_id=event_id,
        hint=kind,
    )
    if any(isinstance(one, DisputeChanged) and one.status is None for one in said):
        event.doubts["resource.status: does not tell where the dispute stands: read it back"] = None
    return Normalized(delivery_id, events=(poke,), types=(kind,), unreadable=tuple(event.doubts))


def told(event: Node, base: Base) -> tuple[AnyEvent, ...]:
    """What an event says, in our words; nothing of a type that nobody here follows. Raises Unreadable."""
    translate = TYPES.get(event.word("event_type"))
    if translate is None:
        return ()
    resource = event.at("resource")
    if not resource.value:
        raise unreadable("resource", "missing", "missing_field")
    return tuple(translate(resource, {**base, "occurred_at": event.instant("create_time")}))


# Payments

INITIATORS = {
    **dict.fromkeys(("cit", "customer"), Initiator.CUSTOMER),
    **dict.fromkeys(("mit", "merchant"), Initiator.MERCHANT),
}
CVV = {"M": "match", "N": "mismatch", "P": "unchecked", "S": "unchecked", "U": "unchecked", "X": "unchecked"}
AVS = {
    **dict.fromkeys("XYDFM", "match"),
    **dict.fromkeys("AWZPBN", "mismatch"),
    **dict.fromkeys("CEGIRSU", "unchecked"),
}
# Processor response codes: the card is lost, stolen, closed, blocked or does not exist.
HARD_RESPONSES = frozenset({"1000", "1330", "5110", "5130", "9500", "9510", "9520", "9530", "9540", "9600"})


def _money(resource: Node, *keys: str) -> Money | None:
    """v2's `{value, currency_code}` or v1's `{total, currency}`; refunds of v1 are negative, ours are not."""
    amount = resource.at(*keys)
    if not amount.value:
        return None
    value = "value" if amount.raw("value") is not None else "total"
    currency = "currency_code" if amount.raw("currency_code") is not None else "currency"
    money = major_money(amount, value, currency)
    return Money(abs(money.minor), money.currency)


def _own_words(resource: Node) -> Base:
    """Our convention in `custom_id`: a query string. Anything else there is not ours, and tells nothing."""
    # As it is, for each word of it is read as a hint.
    text = next((told for name in ("custom_id", "custom") if type(told := resource.raw(name)) is str), "")[
        :LONGEST_TEXT
    ]
    try:
        words = Node(dict(parse_qsl(text, max_num_fields=8)), "custom_id")
    except ValueError:
        words = Node({}, "custom_id")
    return {
        "customer_id": words.customer("c"),
        "device_id": words.hint("d"),
        "ip": words.ip("i"),
        "initiator": INITIATORS.get(words.lowered("n") or ""),
    }


def _linked(resource: Node, rel: str, kind: str) -> str | None:
    """The id that a link of this relation ends in, as `…/captures/<id>`."""
    for link in resource.nodes("links"):
        href = link.raw("href")
        if link.raw("rel") == rel and type(href) is str and len(href) <= 512:
            head, _, name = href.partition("?")[0].rstrip("/").rpartition("/")
            if head.endswith(f"/{kind}"):
                return Node({"id": name}, resource.where("links")).maybe_text("id")
    return None


def _payment(
    resource: Node, base: Base, step: PaymentStep, payment_id: str, *, suffix: str = "", **more: Any
) -> PaymentChanged:
    response = resource.at("processor_response")
    code = response.hint("response_code")
    declined = step is PaymentStep.DECLINED
    return PaymentChanged(
        **{**base, "event_id": base["event_id"] + suffix},
        payment_id=payment_id,
        step=step,
        method="paypal",
        amount=_money(resource, "amount"),
        merchant_reference=resource.first_hint("invoice_id", "invoice_number"),
        cvv_result=CVV.get(response.hint("cvv_code") or ""),
        avs_result=AVS.get(response.hint("avs_code") or ""),
        decline_code=(code or resource.hint("status_details", "reason")) if declined else None,
        hard_decline=code in HARD_RESPONSES if declined and code else None,
        network_transaction_id=resource.hint("network_transaction_reference", "id"),
        # What we wrote there ourselves goes before what PayPal knows.
        **more | {name: word for name, word in _own_words(resource).items() if word is not None},
    )


def _authorization(step: PaymentStep) -> "Translate":
    def translate(resource: Node, base: Base) -> list[AnyEvent]:
        order = resource.maybe_text("supplementary_data", "related_ids", "order_id")
        return [_payment(resource, base, step, resource.text("id"), aliases=(order,) if order else ())]

    return translate


def _capture(step: PaymentStep) -> "Translate":
    """A capture tells of itself and, once it is made, of the authorization that it takes the place of."""

    def translate(resource: Node, base: Base) -> list[AnyEvent]:
        capture = resource.text("id")
        related = resource.at("supplementary_data", "related_ids")
        order = related.maybe_text("order_id")
        authorization = (
            related.maybe_text("authorization_id")
            or _linked(resource, "up", "authorizations")
            or _linked(resource, "authorization", "authorization")  # v1
        )
        events: list[AnyEvent] = [
            _payment(resource, base, step, capture, reference=capture, aliases=(order,) if order else ())
        ]
        if authorization and step is not PaymentStep.DECLINED:
            events.append(_succeeded(resource, base, authorization, capture))
        return events

    return translate


def _succeeded(resource: Node, base: Base, earlier: str, capture: str) -> PaymentChanged:
    """The money of `earlier` goes on under `capture`."""
    suffix = f"/{earlier}"
    return _payment(resource, base, PaymentStep.SUCCEEDED_BY, earlier, suffix=suffix, reference=capture)


def _sale(step: PaymentStep) -> "Translate":
    """v1. A refund or reversal is a resource of its own that names its sale; a reversal may be the sale itself, and
    then its link to itself says so."""

    def translate(resource: Node, base: Base) -> list[AnyEvent]:
        own = sale = resource.text("id")
        if step in (PaymentStep.REFUNDED, PaymentStep.REVERSED):
            named = resource.maybe_text("sale_id") or _linked(resource, "sale", "sale")
            sale = named or _linked(resource, "self", "sale") or ""
        if not sale:
            raise unreadable(resource.where("sale_id"), "no sale is named", "missing_field")
        parent = resource.maybe_text("parent_payment")
        return [_payment(resource, base, step, sale, reference=own, aliases=(parent,) if parent else ())]

    return translate


def _refund(step: PaymentStep) -> "Translate":
    """A refund or reversal names the capture by its link upwards, or (v1) by a member; a reversal may be the capture
    itself, and then its link to itself says so."""

    def translate(resource: Node, base: Base) -> list[AnyEvent]:
        refund = resource.text("id")
        capture = (
            _linked(resource, "up", "captures")
            or resource.maybe_text("supplementary_data", "related_ids", "capture_id")
            or resource.maybe_text("capture_id")
            or _linked(resource, "capture", "capture")  # v1
            or _linked(resource, "self", "captures")
            or _linked(resource, "self", "capture")
        )
        if capture is None:
            raise unreadable(resource.where("links"), "no link to the capture", "missing_field")
        return [_payment(resource, base, step, capture, reference=refund)]

    return translate


# What the issuer said of who holds the card (EMV 3-D Secure's transStatus); any other letter says neither.
THREE_D_SECURE = {"Y": "authenticated", "A": "attempted", "N": "failed", "R": "failed"}


def _payer(order: Node) -> Base:
    """Who pays for an order and with what: `payment_source` has taken the place of `payer`."""
    source = order.at("payment_source")
    method = source.at(next((name for name, told in source.value.items() if type(told) is dict and told), "paypal"))
    card = source.at("card") if source.raw("card") else method.at("card")  # Apple Pay and Google Pay have one in them
    emails = order.email("payer", "email_address"), method.email("email_address"), method.email("email")
    email_hash, email_domain = first_email(emails)
    vaults = (node.at("attributes", "vault", "customer") for node in (method, card))
    told = card.hint("authentication_result", "three_d_secure", "authentication_status")
    initiators = (node.lowered("stored_credential", "payment_initiator") for node in (method, card))
    return {
        "email_hash": email_hash,
        "email_domain": email_domain,
        "billing_country": order.hint("payer", "address", "country_code")
        or method.hint("address", "country_code")
        or card.hint("billing_address", "country_code")
        or method.hint("country_code"),
        "customer_id": next((name for vault in vaults if (name := vault.customer("merchant_customer_id", "id"))), None),
        "initiator": next((INITIATORS[word] for word in initiators if word in INITIATORS), None),
        "three_d_secure": THREE_D_SECURE.get(told or ""),
        "card": Card(
            bin=card.digits("bin_details", "bin", least=6, most=8),
            last4=card.digits("last_digits", least=4, most=4),
            network=card.lowered("brand"),
            funding=card.lowered("type"),
            country=card.hint("bin_details", "bin_country_code"),
        )
        if card.value
        else None,
    }


def _order_approved(order: Node, base: Base) -> list[AnyEvent]:
    units = order.nodes("purchase_units")
    unit = units[0] if units else Node({}, order.where("purchase_units"))
    return [_payment(unit, base, PaymentStep.PENDING, order.text("id"), **_payer(order))]


def _order_completed(order: Node, base: Base) -> list[AnyEvent]:
    """Its completed captures, each once more (the capture's own event has the same reference)."""
    order_id = order.text("id")
    events: list[AnyEvent] = []
    for unit in order.nodes("purchase_units"):
        for capture in unit.nodes("payments", "captures"):
            if capture.hint("status") in (None, "COMPLETED"):
                name = capture.text("id")
                events.append(
                    _payment(
                        capture,
                        base,
                        PaymentStep.CAPTURED,
                        name,
                        suffix=f"/{name}",
                        reference=name,
                        aliases=(order_id,),
                        **_payer(order),
                    )
                )
    return events


def _approval_reversed(resource: Node, base: Base) -> list[AnyEvent]:
    order = resource.maybe_text("order_id") or resource.text("id")
    return [_payment(resource, base, PaymentStep.CANCELED, order)]


def _invoice(resource: Node) -> tuple[Node, list[Node]]:
    """An invoice, and what was paid of it by PayPal: what was paid elsewhere is noted there by hand (EXTERNAL)."""
    invoice = resource.at("invoice") if resource.raw("invoice") is not None else resource
    paid = invoice.nodes("payments", "transactions") or invoice.nodes("payments")  # v1
    if not paid:
        raise unreadable(invoice.where("payments"), "does not tell what it was paid by", "missing_field")
    return invoice, [one for one in paid if one.hint("type") != "EXTERNAL"]


def _paid_by(transaction: Node) -> str:
    return transaction.maybe_text("payment_id") or transaction.text("transaction_id")


def _recipient(invoice: Node) -> Base:
    """To whom an invoice was sent, where it was one alone."""
    recipients = invoice.nodes("primary_recipients") or invoice.nodes("billing_info")  # v1
    if len(recipients) != 1:
        return {}
    billing = recipients[0].at("billing_info") if recipients[0].raw("billing_info") else recipients[0]
    emails = billing.email("email_address"), billing.email("email")
    email_hash, email_domain = first_email(emails)
    country = billing.hint("address", "country_code")
    return {"email_hash": email_hash, "email_domain": email_domain, "billing_country": country}


def _invoice_paid(resource: Node, base: Base) -> list[AnyEvent]:
    """Each payment of an invoice under its own name, of which nothing else tells."""
    invoice, paid = _invoice(resource)
    number = invoice.raw("detail", "invoice_number") or invoice.raw("number")
    who = _recipient(invoice)
    events: list[AnyEvent] = []
    for one in paid:
        name, told = _paid_by(one), Node({**one.value, "invoice_number": number}, one.path)
        events.append(_payment(told, base, PaymentStep.CAPTURED, name, suffix=f"/{name}", reference=name, **who))
    return events


def _invoice_refunded(resource: Node, base: Base) -> list[AnyEvent]:
    """Refunds of an invoice, which do not say of which of its payments: where there are several a person has to look."""
    invoice, paid = _invoice(resource)
    refunds = invoice.nodes("refunds", "transactions") or invoice.nodes("refunded_transactions")  # v1
    back = [one for one in refunds if one.hint("type") != "EXTERNAL"]
    if back and len(paid) != 1:
        raise unreadable(invoice.where("refunds"), "could be of several payments", "ambiguous")
    events: list[AnyEvent] = []
    for one in back:
        name = one.maybe_text("refund_id") or one.text("transaction_id")
        events.append(_payment(one, base, PaymentStep.REFUNDED, _paid_by(paid[0]), suffix=f"/{name}", reference=name))
    return events


# Disputes

STAGES = {
    "INQUIRY": DisputeStage.INQUIRY,
    "CHARGEBACK": DisputeStage.CHARGEBACK,
    "PRE_ARBITRATION": DisputeStage.PRE_ARBITRATION,
    "ARBITRATION": DisputeStage.ARBITRATION,
}
STATUSES = {
    "OPEN": DisputeStatus.NEEDS_RESPONSE,
    "WAITING_FOR_SELLER_RESPONSE": DisputeStatus.NEEDS_RESPONSE,
    "WAITING_FOR_BUYER_RESPONSE": DisputeStatus.UNDER_REVIEW,
    "UNDER_REVIEW": DisputeStatus.UNDER_REVIEW,
}
STATES = {  # where `status` does not say
    "OPEN_INQUIRIES": DisputeStatus.NEEDS_RESPONSE,
    "REQUIRED_ACTION": DisputeStatus.NEEDS_RESPONSE,
    "REQUIRED_OTHER_PARTY_ACTION": DisputeStatus.UNDER_REVIEW,
    "UNDER_PAYPAL_REVIEW": DisputeStatus.UNDER_REVIEW,
}
SAYING_LITTLE = ("RESOLVED", "OTHER", "APPEALABLE")
# Whom PayPal finds for because the buyer gave up has won nothing: of `outcome_reason`.
WITHDRAWN = "BUYER_CANCELLED_CASE"
# PayPal refunds the buyer out of its own pocket and we keep the money. Nobody has found the claim untrue, so that it is no
# final win, which would take fraud for disproved and let the buyer be refunded once more.
PAID_OUT = "RESOLVED_WITH_PAYOUT"
# DENIED and NONE are not here: PayPal's documentation does not say which side they favour.
OUTCOMES = {
    "RESOLVED_SELLER_FAVOUR": DisputeStatus.WON,
    "RESOLVED_SELLER_FAVOR": DisputeStatus.WON,
    "RESOLVED_BUYER_FAVOUR": DisputeStatus.LOST,
    "RESOLVED_BUYER_FAVOR": DisputeStatus.LOST,
    PAID_OUT: DisputeStatus.WON,
    "CANCELED_BY_BUYER": DisputeStatus.CLOSED,
    "ACCEPTED": DisputeStatus.ACCEPTED,
}
REASONS = {
    "UNAUTHORISED": DisputeReason.FRAUD,
    "UNAUTHORIZED": DisputeReason.FRAUD,
    "MERCHANDISE_OR_SERVICE_NOT_RECEIVED": DisputeReason.NOT_RECEIVED,
    "MERCHANDISE_OR_SERVICE_NOT_AS_DESCRIBED": DisputeReason.NOT_AS_DESCRIBED,
    "DUPLICATE_TRANSACTION": DisputeReason.DUPLICATE,
    "PAYMENT_BY_OTHER_MEANS": DisputeReason.DUPLICATE,
    "CREDIT_NOT_PROCESSED": DisputeReason.CREDIT_NOT_PROCESSED,
    "CANCELED_RECURRING_BILLING": DisputeReason.CANCELED,
}
# Relations of links by which a seller can answer. What is not linked is not allowed.
ANSWERS = frozenset(
    {"provide_evidence", "provide_supporting_info", "appeal", "make_offer", "send_message", "acknowledge_return_item"}
)


FEES = frozenset({"DISPUTE_FEE", "CHARGEBACK_FEE", "DISPUTE_SETTLEMENT_FEE"})
DIRECTIONS = {"DEBIT": 1, "CREDIT": -1}


def _fees(dispute: Node) -> Money | None:
    """What the seller was charged until now, less what was given back."""
    charged = []
    for movement in dispute.nodes("money_movements"):
        amount, sign = _money(movement, "amount"), DIRECTIONS.get(movement.hint("type") or "")
        if amount and sign and movement.hint("affected_party") == "SELLER" and movement.hint("reason") in FEES:
            charged.append(Money(sign * amount.minor, amount.currency))
    return one_sum(charged)


def _where_it_stands(dispute: Node, *, resolved: bool) -> tuple[DisputeStatus | None, bool]:
    """(status, final)."""
    status, state = dispute.hint("status") or "", dispute.hint("dispute_state") or ""
    if resolved or status == "RESOLVED" or (not status and state == "RESOLVED"):
        code = dispute.hint("dispute_outcome", "outcome_code") or ""
        outcome = OUTCOMES.get(code)
        if outcome is DisputeStatus.WON and dispute.hint("dispute_outcome", "outcome_reason") == WITHDRAWN:
            outcome = DisputeStatus.CLOSED
        return outcome, outcome is not None and code != PAID_OUT and state != "APPEALABLE"
    if state == "APPEALABLE":
        return DisputeStatus.LOST, False
    return STATUSES.get(status) or STATES.get(state), True


def _is_unknown(dispute: Node) -> bool:
    """Whether one of its words for where it stands is in no list, although another one may say it too."""
    status, state = dispute.hint("status"), dispute.hint("dispute_state")
    return bool(status and status not in (*STATUSES, *SAYING_LITTLE)) or bool(
        state and state not in (*STATES, *SAYING_LITTLE)
    )


def _dispute(*, resolved: bool) -> "Translate":
    def translate(dispute: Node, base: Base) -> list[AnyEvent]:
        transactions = dispute.nodes("disputed_transactions")
        payments = dict.fromkeys(one.maybe_text("seller_transaction_id") for one in transactions)
        payments.pop(None, None)
        if len(payments) > 1:
            dispute.doubts[f"{dispute.where('disputed_transactions')}: several payments: look at all but the first"] = (
                None
            )
        status, final = _where_it_stands(dispute, resolved=resolved)
        links = {(link.hint("rel") or "").replace("-", "_") for link in dispute.nodes("links")} - {""}
        reason = dispute.hint("reason")
        evidence = dispute.nodes("evidences")
        return [
            DisputeChanged(
                **base,
                dispute_id=dispute.text("dispute_id"),
                payment_id=next(iter(payments), None),
                stage=STAGES.get(dispute.hint("dispute_life_cycle_stage") or ""),
                status=status,
                status_unknown=status is None or _is_unknown(dispute),
                final=final,
                amount=_money(dispute, "dispute_amount"),
                reason=REASONS.get(reason, DisputeReason.OTHER) if reason else None,
                reason_code=dispute.hint("external_reason_code") or reason,
                **dispute.deadline("seller_response_due_date"),
                can_respond=bool(links & ANSWERS) if links and status is DisputeStatus.NEEDS_RESPONSE else None,
                provider_status=dispute.hint("dispute_outcome", "outcome_code") or dispute.hint("status"),
                evidence_submitted=any(one.hint("source") == "SUBMITTED_BY_SELLER" for one in evidence) or None,
                fees=or_doubt(lambda: _fees(dispute), dispute),
            )
        ]

    return translate


def _payout(name: tuple[str, ...], status: tuple[str, ...], amount: tuple[str, ...]) -> "Translate":
    return lambda resource, base: [
        PayoutChanged(
            **base, payout_id=resource.text(*name), status=resource.word(*status), amount=_money(resource, *amount)
        )
    ]


Translate = Callable[[Node, Base], list[AnyEvent]]

_S = PaymentStep

PAYMENTS: dict[str, Translate] = {
    "CHECKOUT.ORDER.APPROVED": _order_approved,
    "CHECKOUT.ORDER.COMPLETED": _order_completed,
    "CHECKOUT.ORDER.VOIDED": _approval_reversed,
    "CHECKOUT.PAYMENT-APPROVAL.REVERSED": _approval_reversed,
    "INVOICING.INVOICE.PAID": _invoice_paid,
    "PAYMENT.AUTHORIZATION.CREATED": _authorization(_S.AUTHORIZED),
    "PAYMENT.AUTHORIZATION.VOIDED": _authorization(_S.CANCELED),
    "PAYMENT.CAPTURE.COMPLETED": _capture(_S.CAPTURED),
    "PAYMENT.CAPTURE.PENDING": _capture(_S.PENDING),
    "PAYMENT.CAPTURE.DECLINED": _capture(_S.DECLINED),
    "PAYMENT.CAPTURE.DENIED": _capture(_S.DECLINED),
    "PAYMENT.SALE.COMPLETED": _sale(_S.CAPTURED),
    "PAYMENT.SALE.PENDING": _sale(_S.PENDING),
    "PAYMENT.SALE.DENIED": _sale(_S.DECLINED),
}
REFUNDS: dict[str, Translate] = {
    "INVOICING.INVOICE.REFUNDED": _invoice_refunded,
    "PAYMENT.CAPTURE.REFUNDED": _refund(_S.REFUNDED),
    "PAYMENT.CAPTURE.REVERSED": _refund(_S.REVERSED),
    "PAYMENT.REFUND.PENDING": _refund(_S.REFUND_PENDING),
    "PAYMENT.REFUND.FAILED": _refund(_S.REFUND_FAILED),
    "PAYMENT.SALE.REFUNDED": _sale(_S.REFUNDED),
    "PAYMENT.SALE.REVERSED": _sale(_S.REVERSED),
}
DISPUTES: dict[str, Translate] = {
    "CUSTOMER.DISPUTE.CREATED": _dispute(resolved=False),
    "CUSTOMER.DISPUTE.UPDATED": _dispute(resolved=False),
    "CUSTOMER.DISPUTE.RESOLVED": _dispute(resolved=True),
    "RISK.DISPUTE.CREATED": _dispute(resolved=False),
}
OTHERS: dict[str, Translate] = {
    **dict.fromkeys(
        (
            f"PAYMENT.PAYOUTS-ITEM.{end}"
            for end in [
                "SUCCEEDED",
                "FAILED",
                "BLOCKED",
                "CANCELED",
                "DENIED",
                "HELD",
                "REFUNDED",
                "RETURNED",
                "UNCLAIMED",
            ]
        ),
        _payout(("payout_item_id",), ("transaction_status",), ("payout_item", "amount")),
    ),
    "PAYMENT.REFERENCED-PAYOUT-ITEM.COMPLETED": _payout(
        ("item_id",), ("processing_state", "status"), ("payout_amount",)
    ),
}
TYPES = PAYMENTS | REFUNDS | DISPUTES | OTHERS

WORDS = {
    "Resource.dispute_life_cycle_stage": STAGES,
    "Resource.dispute_outcome.outcome_code": OUTCOMES,
    "Resource.dispute_state": STATES,
    "Resource.reason": REASONS,
}
TRAITS = Traits(
    scheme="RSA-SHA256 of id, time, webhook id and CRC-32, by a certificate",
    replay="signed time −3 d … +5 min, event id",
    rotation="certificate by URL",
    retry_days=3,
    deadline="seller_response_due_date",
    response_api="POST /v1/customer/disputes/{id}/provide-evidence",
    fetch_back=True,
    payments=PAYMENTS,
    refunds=REFUNDS,
    disputes=DISPUTES,
)
