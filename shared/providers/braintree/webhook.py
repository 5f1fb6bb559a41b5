"""Braintree: a form of base64 XML, signed with a key pair of the gateway account.

| fact | value |
|---|---|
| signed | the text of `bt_payload` as received (some frameworks strip its last newline, so both are tried), HMAC-SHA1, lower hex, in `bt_signature`: `<public key>\\|<hex>` pairs joined by `&` |
| key | the 20 raw bytes of SHA-1 of the private key; the key id is the public key |
| not signed | nothing of the notification; other fields of the form are not read |
| challenge | GET `?bt_challenge=<20 to 32 lower hex>` is answered `<public key>\\|<HMAC of the challenge>`. Whoever asks gets a signature of a text that base64 could be, so a payload that looks like a challenge is refused |
| age | the scheme has none; the notification's own `timestamp`, which is signed, may be 31 days old and 5 minutes ahead |
| acknowledge | any 2xx, within 30 s; otherwise hourly for 24 h (sandbox: 3 h). From memory of the docs, not settled; we answer in far less |
| rotation | one signature for each key pair that is live: keep both pairs until the old one is deleted |
| identity | none is given: the kind and the SHA-256 of the decoded XML, which holds the time; a retry repeats it |
| amounts | decimal text in major units and `currency-iso-code`; where a kind sends no currency, we have no amount |
| deadline | `reply-by-date`, a date without a zone: read as the first moment of that date anywhere (midnight at UTC+14), so finish the day before |
| answerable | all but what Visa's Rapid Dispute Resolution settled, and a bank's debit (`payment-instrument-type`) |
| not told | authorizations, voids and refunds of ordinary cards, and early fraud warnings, have no notification |
| XML | expat itself, with document types and entities refused: no library to import, none to trust |

Names: a payment is its transaction; a local payment's `payment-id` is an alias of it, and its name while it has no
transaction. The transaction that another one tries again (`retried-transaction-id`) or settles a part of
(`authorized-transaction-id`) is an alias of that other one. A round of a dispute (a pre-arbitration after a chargeback that
was won) has an id of its own and names the first (`original-dispute-id`): all rounds are one dispute under that id,
and `answer_id` is the round's own, by which it is finalized. A subscription's notification lists up to twenty
transactions, the newest first: it tells of that one.

Sources: Braintree docs "Dispute response object", GraphQL "DisputeType", "Webhooks: parse", "Webhooks reference: dispute, subscription, transaction, local payment,
disbursement"; the enumerations and sample notifications of Braintree's Python SDK 4.48.0; the members that its Java SDK
reads of a transaction and its payment methods.
"""

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any, cast
from urllib.parse import parse_qsl
from xml.parsers import expat

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
    PayoutChanged,
    ReviewChanged,
)
from shared.domain.money import Money
from shared.providers.kit.answering import is_bank_debit
from shared.providers.kit.countries import alpha_2
from shared.providers.kit.envelope import Base, envelope
from shared.providers.kit.protocol import Answer, FetchCertificate, Normalized, Traits
from shared.providers.kit.reading import DEEPEST, Node, first_email, major_money, rfc3339, unreadable
from shared.providers.kit.signing import as_bytes, hex_text, is_text_key, matching_key

NAME = "braintree"
ANSWER = Answer()
SIGNED_HEADERS = ()
PAYLOAD_VERSION = ()
OLDEST = timedelta(days=31)
SKEW = timedelta(minutes=5)

_KEY = re.compile(r"[A-Za-z0-9_\-]{1,64}", flags=re.ASCII)
_CHALLENGE = re.compile(r"[a-f0-9]{20,32}", flags=re.ASCII)
_PAYLOAD = re.compile(r"[A-Za-z0-9+/=\n]+", flags=re.ASCII)
# The notification's own time is its first; later ones are a dispute's history.
_CHARACTER = re.compile(
    "&#(?:x(?P<hex>[0-9A-Fa-f]{1,8})|(?P<decimal>[0-9]{1,8}));|[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]"
)
_TIMESTAMP = re.compile(rb"<timestamp[^<>]{0,64}>([^<>]{1,64})</timestamp>")
_MOST_FIELDS, _MOST_PAIRS = 16, 16


def check_credentials(credentials: Credentials) -> None:
    for public, private in credentials.keys.items():
        if not _KEY.fullmatch(public) or not is_text_key(private):
            raise Misconfigured(
                "WEBHOOK_BRAINTREE keys are the gateway's API keys: the public key as the key id, the private key as"
                " its secret",
                reason="bad_secret",
            )


def challenge(query: str, credentials: Credentials) -> Answer | None:
    """The answer to Braintree's GET when a webhook is set up, by the first key pair; None for what is no challenge."""
    try:
        asked = [value for field, value in parse_qsl(query, max_num_fields=_MOST_FIELDS) if field == "bt_challenge"]
    except ValueError:
        return None
    if len(asked) != 1 or not _CHALLENGE.fullmatch(asked[0]):
        return None
    public, private = next((public, private) for public, private in credentials.keys.items() if private)
    mac = hmac.digest(_hmac_key(private), asked[0].encode(), "sha1").hex()
    return Answer(body=f"{public}|{mac}".encode())


def _hmac_key(private: str) -> bytes:
    """SHA-1 of the private key; empty, which never verifies, for an empty one."""
    return hashlib.sha1(as_bytes(private), usedforsecurity=False).digest() if private else b""


def verify(delivery: Delivery, credentials: Credentials, fetch_certificate: FetchCertificate) -> Verdict:
    signature, payload = _fields(delivery.body)
    pairs = [pair.partition("|") for pair in signature.split("&", _MOST_PAIRS)[:_MOST_PAIRS]]
    found: str | None = None
    for public, private in credentials.keys.items():
        offered = [mac for key, bar, mac in pairs if bar and key == public]
        for message in (payload, payload + b"\n"):
            found = found or matching_key({public: _hmac_key(private)}, message, offered, hex_text, "sha1")
    if found is None:
        raise SignatureInvalid("no signature matches", reason="signature_mismatch")
    stamp = _TIMESTAMP.search(_decoded(payload))
    signed_at = rfc3339(stamp[1].decode("ascii", "replace")) if stamp else None
    # What has no readable time is unreadable altogether: nothing acts on it, and a person looks.
    if signed_at and not -SKEW <= delivery.received_at - signed_at <= OLDEST:
        raise SignatureInvalid("not of the last month", reason="outside_tolerance")
    return Verdict(key_ids=(found,), signed_at=signed_at)


def _fields(body: bytes) -> tuple[str, bytes]:
    """The signature and the payload, each exactly once in the form. Raises SignatureInvalid."""
    try:
        form = parse_qsl(body.decode("ascii"), max_num_fields=_MOST_FIELDS)
    except ValueError:
        raise SignatureInvalid("not a form", reason="malformed_signature") from None
    signatures = [value for field, value in form if field == "bt_signature"]
    payloads = [value for field, value in form if field == "bt_payload"]
    if len(signatures) != 1 or len(payloads) != 1:
        raise SignatureInvalid("not one bt_signature and one bt_payload", reason="missing_signature")
    # Our own answer to a challenge would sign such a payload for anybody.
    if not _PAYLOAD.fullmatch(payloads[0]) or _CHALLENGE.fullmatch(payloads[0].strip("\n")):
        raise SignatureInvalid("not a payload", reason="malformed_signature")
    return signatures[0], payloads[0].encode()


def _decoded(payload: bytes) -> bytes:
    """The XML; empty for what is no base64."""
    try:
        return base64.b64decode(payload.replace(b"\n", b""), validate=True)
    except (binascii.Error, ValueError):
        return b""


def opened(delivery: Delivery) -> Node:
    """`parse_xml` of the notification, once however often it is asked for; memo `xml` has its bytes."""
    found = delivery.memo.get("opened")
    if found is None:
        try:
            xml = delivery.memo["xml"] = _decoded(_fields(delivery.body)[1])
        except SignatureInvalid:
            raise unreadable("body", "not a form of ours") from None
        found = delivery.memo["opened"] = parse_xml(xml)
    return cast(Node, found)


def normalize(delivery: Delivery, verdict: Verdict, credentials: Credentials) -> Normalized:
    notification = opened(delivery).at("notification")
    kind = notification.word("kind")
    occurred_at = notification.instant("timestamp")
    subject = notification.at("subject")
    about = subject.at(next(iter(subject.value), ""))
    delivery_id = f"{NAME}:{credentials.account}:{kind}.{hashlib.sha256(delivery.memo['xml']).hexdigest()}"
    translate = KINDS.get(kind)
    if translate is None:
        return Normalized(delivery_id, types=(kind,), ignored=(kind,))
    base = envelope(NAME, delivery_id, occurred_at, verdict, credentials)
    if not about.value:
        raise unreadable(subject.path, "missing", "missing_field")
    lines: list[str] = []
    found = translate(about, base, lines)
    if found is None:
        return Normalized(delivery_id, types=(kind,), ignored=(kind,))
    return Normalized(delivery_id, events=(found,), types=(kind,), unreadable=(*lines, *about.doubts))


def parse_xml(xml: bytes) -> Node:
    """The document as nested objects: an element with children is an object of them, `type="array"` a list.

    Text is stripped; `nil="true"` is None. What nobody reads sinks no notification, as `kit.reading` says of JSON: of
    siblings with one name the last counts, what is no character of XML (half a surrogate pair) is U+FFFD, and what is
    deeper than `DEEPEST` is nothing. Raises Unreadable for anything else that is not XML, or declares a document type.
    """
    try:
        return _parse_xml(xml)
    except expat.ExpatError:
        text = _CHARACTER.sub(_lawful, xml.decode("utf-8-sig", "replace"))
    try:
        return _parse_xml(text.encode())
    except expat.ExpatError:
        raise Unreadable("body: not XML", reason="not_xml") from None


def _lawful(found: re.Match[str]) -> str:
    """A character, or a reference to one, if XML 1.0 §2.2 has it; otherwise U+FFFD."""
    number = int(found["hex"], 16) if found["hex"] else int(found["decimal"]) if found["decimal"] else 0
    lawful = number in (9, 10, 13) or 32 <= number < 0xD800 or 0xE000 <= number < 0xFFFE or 0x10000 <= number < 0x110000
    return found[0] if lawful else "\ufffd"


def _parse_xml(xml: bytes) -> Node:
    root: dict[str, Any] = {}
    open_: list[tuple[str, dict[str, str], dict[str, Any] | list[Any]]] = [("", {}, root)]
    text: list[str] = []
    deeper = 0

    def start(tag: str, attributes: dict[str, str]) -> None:
        nonlocal deeper
        if deeper or len(open_) > DEEPEST:
            deeper += 1
            return
        text.clear()
        open_.append((tag, attributes, [] if attributes.get("type") == "array" else {}))

    def end(tag: str) -> None:
        nonlocal deeper
        if deeper:
            deeper -= 1
            text.clear()
            return
        _, attributes, children = open_.pop()
        value: Any = children
        if not children and attributes.get("type") != "array":
            value = None if attributes.get("nil") == "true" else "".join(text).strip()
        text.clear()
        siblings = open_[-1][2]
        if isinstance(siblings, list):
            siblings.append(value)
        else:
            siblings[tag] = value

    def refuse(*_: object) -> None:
        raise Unreadable("body: XML that declares a document type", reason="forbidden_xml")

    parser = expat.ParserCreate("utf-8")
    parser.buffer_text = True
    parser.StartElementHandler, parser.EndElementHandler = start, end
    parser.CharacterDataHandler = text.append
    parser.StartDoctypeDeclHandler = parser.EntityDeclHandler = refuse
    parser.Parse(xml, True)
    return Node(root, "")


# Payments

STEPS = {
    "authorizing": PaymentStep.PENDING,
    "authorized": PaymentStep.AUTHORIZED,
    "authorization_expired": PaymentStep.CANCELED,
    "submitted_for_settlement": PaymentStep.CAPTURED,
    "settling": PaymentStep.CAPTURED,
    "settlement_confirmed": PaymentStep.CAPTURED,
    "settlement_pending": PaymentStep.CAPTURED,
    "settled": PaymentStep.CAPTURED,
    "settlement_declined": PaymentStep.CAPTURE_FAILED,
    "voided": PaymentStep.CANCELED,
    "failed": PaymentStep.DECLINED,
    "gateway_rejected": PaymentStep.DECLINED,
    "processor_declined": PaymentStep.DECLINED,
}
# A transaction of type `credit` gives money back.
CREDITS = {
    PaymentStep.PENDING: PaymentStep.REFUND_PENDING,
    PaymentStep.AUTHORIZED: PaymentStep.REFUND_PENDING,
    PaymentStep.CAPTURED: PaymentStep.REFUNDED,
    PaymentStep.CAPTURE_FAILED: PaymentStep.REFUND_FAILED,
    PaymentStep.DECLINED: PaymentStep.REFUND_FAILED,
    PaymentStep.CANCELED: PaymentStep.REFUND_FAILED,
}
CVV = {"M": "match", "N": "mismatch", "U": "unchecked", "S": "unchecked", "I": "unchecked", "A": "unchecked"}
NETWORKS = {
    "american express": "amex",
    "diners club": "diners",
    "mastercard": "mastercard",
    "unionpay": "unionpay",
}
# Wallets tell of the card that is in them in elements of their own.
CARDS = (
    *("credit-card", "apple-pay", "android-pay-card", "samsung-pay-card", "visa-checkout-card", "masterpass-card"),
    *("meta-checkout-card", "meta-checkout-token", "amex-express-checkout-card", "network-token"),
)
# Google Pay names the customer's card and what stands for it.
LAST_FOUR = ("last-4", "source-card-last-4", "virtual-card-last-4")
CARD_TYPES = ("card-type", "source-card-type", "virtual-card-type")
METHODS = {
    **dict.fromkeys(("credit_card", "apple_pay_card", "android_pay_card", "samsung_pay_card"), "card"),
    **dict.fromkeys(("visa_checkout_card", "masterpass_card", "meta_checkout_card", "meta_checkout_token"), "card"),
    **dict.fromkeys(("amex_express_checkout_card", "network_token"), "card"),
    "paypal_account": "paypal",
    "sepa_debit_account": "sepa_debit",
    "venmo_account": "venmo",
}
THREE_D_SECURE = {
    "authenticate_successful": "authenticated",
    "authenticate_attempt_successful": "attempted",
    "authenticate_failed": "failed",
    "authenticate_rejected": "failed",
    "exempted": "exempted",
}
# Processor response codes that say that the same card will never be accepted: closed, stolen, lost, invalid, fraud.
HARD_RESPONSES = frozenset({"2004", "2005", "2007", "2008", "2009", "2012", "2013", "2014", "2047", "2053", "2108"})


def _money(node: Node, name: str = "amount", currency: str = "currency-iso-code") -> Money | None:
    """None where the kind sends no amount or no currency with it."""
    if node.raw(name) is None or node.raw(currency) is None:
        return None
    return major_money(node, name, currency)


def _network(word: str | None) -> str | None:
    word = word.lower().removeprefix("apple pay - ") if word else None
    return NETWORKS.get(word, word) if word else None


def _card(transaction: Node) -> Card | None:
    for card in map(transaction.at, CARDS):
        last4 = next((told for name in LAST_FOUR if (told := card.digits(name, least=4, most=4))), None)
        if not last4 and not card.hint("bin"):
            continue
        funding = next((name for name in ("prepaid", "debit") if card.lowered(name) == "yes"), None)
        return Card(
            fingerprint=card.first_hint("unique-number-identifier", "payment-account-reference"),
            bin=card.digits("bin", least=6, most=8),
            last4=last4,
            network=_network(card.first_hint(*CARD_TYPES)),
            funding=funding or ("credit" if card.lowered("debit") == "no" else None),
            country=alpha_2(card.hint("country-of-issuance")),
        )
    return None


def _evidence(transaction: Node) -> Base:
    customer = transaction.at("customer")
    email_hash, email_domain = first_email((customer.email("email"), transaction.email("paypal", "payer-email")))
    street, postal = (transaction.hint(f"avs-{part}-response-code") for part in ("street-address", "postal-code"))
    avs = {CVV.get(code or "") for code in (street, postal)}
    kind = transaction.lowered("payment-instrument-type")
    own = transaction.at("custom-fields")
    recurring = transaction.flag("recurring")
    return {
        "method": METHODS.get(kind, kind) if kind else None,
        "card": _card(transaction),
        "customer_id": own.customer("customer-id", "customer_id")
        or customer.customer("id")
        or transaction.customer("customer-id")
        or transaction.at("sepa-debit-account-detail").customer("merchant-or-partner-customer-id"),
        "device_id": own.first_hint("device-id", "device_id"),
        "ip": own.ip("ip"),
        "email_hash": email_hash,
        "email_domain": email_domain,
        "billing_country": transaction.hint("billing", "country-code-alpha2")
        or alpha_2(transaction.hint("billing", "country-code-alpha3")),
        "initiator": None if recurring is None else Initiator.MERCHANT if recurring else Initiator.CUSTOMER,
        "merchant_reference": transaction.hint("order-id"),
        "three_d_secure": THREE_D_SECURE.get(transaction.hint("three-d-secure-info", "status") or ""),
        "cvv_result": CVV.get(transaction.hint("cvv-response-code") or ""),
        "avs_result": next((result for result in ("mismatch", "match", "unchecked") if result in avs), None),
        "provider_score": transaction.score("risk-data", "transaction-risk-score"),
        "network_transaction_id": transaction.hint("network-transaction-id"),
    }


def _payment(
    transaction: Node, base: Base, step: PaymentStep, aliases: tuple[str | None, ...] = (), **more: Any
) -> AnyEvent | None:
    """A step of the transaction, or of the one that it refunds. A credit that refunds none is no payment of ours."""
    own, refunded = transaction.text("id"), None
    if transaction.lowered("type") == "credit" or step is PaymentStep.REFUND_FAILED:
        refunded = transaction.maybe_text("refunded-transaction-id")
        # `refunded-transaction-fk`, in the SDK's sample of a failed refund, is a key in Braintree's own database.
        if refunded is None and (step is PaymentStep.REFUND_FAILED or transaction.raw("refunded-transaction-fk")):
            raise unreadable(transaction.where("refunded-transaction-id"), "missing", "missing_field")
        if refunded is None:
            return None
        step = CREDITS.get(step, step)
    declined = step in (PaymentStep.DECLINED, PaymentStep.CAPTURE_FAILED)
    code = transaction.hint("processor-response-code") or transaction.hint("gateway-rejection-reason")
    # What was told of a local payment before there was a transaction was told under its own id.
    others = transaction.maybe_text("authorized-transaction-id"), transaction.maybe_text("local-payment", "payment-id")
    return PaymentChanged(
        **base,
        payment_id=refunded or own,
        aliases=tuple(dict.fromkeys(alias for alias in (*aliases, *others) if alias)),
        step=step,
        amount=_money(transaction),
        reference=own,
        decline_code=code if declined else None,
        hard_decline=code in HARD_RESPONSES if declined and code else None,
        **(_evidence(transaction) | more),
    )


def _transaction(step: PaymentStep) -> "Translate":
    return lambda transaction, base, lines: _payment(transaction, base, step)


def _retried(transaction: Node, base: Base, lines: list[str]) -> AnyEvent | None:
    """A declined transaction tried again as another, which tells its own status and, as an alias, what it tries again."""
    step = STEPS.get(transaction.word("status"))
    if step is None:
        raise unreadable(transaction.where("status"), "a status that we do not know", "unknown_status")
    return _payment(transaction, base, step, (transaction.maybe_text("retried-transaction-id"),))


def _subscription(step: PaymentStep) -> "Translate":
    def translate(subscription: Node, base: Base, lines: list[str]) -> AnyEvent | None:
        transactions = subscription.nodes("transactions")
        if not transactions:
            raise unreadable(subscription.where("transactions"), "missing", "missing_field")
        return _payment(transactions[0], base, step, initiator=Initiator.MERCHANT)

    return translate


def _local(step: PaymentStep) -> "Translate":
    """A payment by bank, wallet or voucher, which may never come to a transaction."""

    def translate(local: Node, base: Base, lines: list[str]) -> AnyEvent | None:
        payment = local.text("payment-id")
        transaction = local.at("transaction")
        if transaction.value:
            return _payment(transaction, base, step, (payment,), method="local_payment")
        return PaymentChanged(**base, payment_id=payment, step=step, method="local_payment")

    return translate


def _review(review: Node, base: Base, lines: list[str]) -> AnyEvent:
    verdict = review.hint("decision")
    return ReviewChanged(**base, payment_id=review.text("transaction-id"), open=False, verdict=verdict)


def _disbursement(disbursement: Node, base: Base, lines: list[str]) -> AnyEvent:
    account = disbursement.at("merchant-account")
    told = {"amount": disbursement.raw("amount"), "currency-iso-code": account.raw("currency-iso-code")}
    return PayoutChanged(
        **base,
        payout_id=disbursement.text("id"),
        status="paid" if disbursement.flag("success") else "failed",
        amount=_money(Node(told, disbursement.path)),
    )


# Disputes

STAGES = {
    "retrieval": DisputeStage.INQUIRY,
    "chargeback": DisputeStage.CHARGEBACK,
    "pre_arbitration": DisputeStage.PRE_ARBITRATION,
}
STATUSES = {
    "open": DisputeStatus.NEEDS_RESPONSE,
    "disputed": DisputeStatus.UNDER_REVIEW,
    "under_review": DisputeStatus.UNDER_REVIEW,
    "won": DisputeStatus.WON,
    "lost": DisputeStatus.LOST,
    "accepted": DisputeStatus.ACCEPTED,
    "auto_accepted": DisputeStatus.ACCEPTED,
    "expired": DisputeStatus.EXPIRED,
}
REASONS = {
    "fraud": DisputeReason.FRAUD,
    "not_recognized": DisputeReason.FRAUD,
    "product_not_received": DisputeReason.NOT_RECEIVED,
    "product_unsatisfactory": DisputeReason.NOT_AS_DESCRIBED,
    "duplicate": DisputeReason.DUPLICATE,
    "cancelled_recurring_transaction": DisputeReason.CANCELED,
    "credit_not_processed": DisputeReason.CREDIT_NOT_PROCESSED,
}


def _dispute(word: str, *, moves: int = 0) -> "Translate":
    """A dispute event. The kind of the notification says where it stands; the dispute's own status agrees with it."""

    def translate(dispute: Node, base: Base, lines: list[str]) -> AnyEvent:
        kind = dispute.word("kind")
        stage = STAGES.get(kind)
        if stage is None:
            lines.append(f"{dispute.where('kind')}: a kind of dispute that we do not know")
        status = STATUSES[word]
        # Visa's Rapid Dispute Resolution refunds by our own rules before a chargeback is filed.
        resolved = dispute.hint("pre-dispute-program") == "visa_rdr"
        if resolved:
            stage = DisputeStage.INQUIRY
            status = DisputeStatus.PREVENTED if status is DisputeStatus.ACCEPTED else status
        amount = _money(dispute, "amount-disputed") or _money(dispute)
        moved = (_money(dispute, "amount-won") if moves > 0 else None) or amount
        reason = dispute.hint("reason")
        means = (dispute.hint("transaction", f"payment-instrument-{name}") for name in ("type", "subtype"))
        is_debit = any(is_bank_debit(method) for method in means)
        own, original, told = dispute.text("id"), dispute.maybe_text("original-dispute-id"), dispute.hint("status")
        return DisputeChanged(
            **base,
            dispute_id=original or own,
            answer_id=own if original not in (None, own) else None,
            payment_id=dispute.maybe_text("transaction", "id"),
            stage=stage,
            status=status,
            status_unknown=told is not None and told.lower() not in STATUSES,
            amount=amount,
            moved=Money(moves * moved.minor, moved.currency)
            if moves and moved and stage is not DisputeStage.INQUIRY
            else None,
            reason=REASONS.get(reason, DisputeReason.OTHER) if reason else None,
            reason_code=dispute.hint("reason-code"),
            network=_network(dispute.hint("transaction", "payment-instrument-subtype")),
            **dispute.deadline("reply-by-date"),
            can_respond=False if resolved or is_debit else True if status is DisputeStatus.NEEDS_RESPONSE else None,
            provider_status=told or word,
            evidence_submitted=True if word == "disputed" else None,
            arn=dispute.hint("transaction", "acquirer-reference-number"),
        )

    return translate


Translate = Callable[[Node, Base, list[str]], AnyEvent | None]

PAYMENTS: dict[str, Translate] = {
    "transaction_settled": _transaction(PaymentStep.CAPTURED),
    "transaction_disbursed": _transaction(PaymentStep.CAPTURED),
    "transaction_settlement_declined": _transaction(PaymentStep.CAPTURE_FAILED),
    "transaction_retried": _retried,
    "subscription_charged_successfully": _subscription(PaymentStep.CAPTURED),
    "subscription_charged_unsuccessfully": _subscription(PaymentStep.DECLINED),
    "local_payment_completed": _local(PaymentStep.CAPTURED),
    "local_payment_funded": _local(PaymentStep.CAPTURED),
    "local_payment_expired": _local(PaymentStep.DECLINED),
}
REFUNDS: dict[str, Translate] = {
    "refund_failed": _transaction(PaymentStep.REFUND_FAILED),
    "local_payment_reversed": _local(PaymentStep.REVERSED),
}
DISPUTES: dict[str, Translate] = {
    "dispute_opened": _dispute("open", moves=-1),
    "dispute_under_review": _dispute("under_review"),
    "dispute_disputed": _dispute("disputed"),
    "dispute_won": _dispute("won", moves=1),
    "dispute_lost": _dispute("lost"),
    "dispute_accepted": _dispute("accepted"),
    "dispute_auto_accepted": _dispute("auto_accepted"),
    "dispute_expired": _dispute("expired"),
}
OTHERS: dict[str, Translate] = {
    "transaction_reviewed": _review,
    "disbursement": _disbursement,
    "disbursement_exception": _disbursement,
}
KINDS = PAYMENTS | REFUNDS | DISPUTES | OTHERS

WORDS = {
    "notification.subject.dispute.kind": STAGES,
    "notification.subject.dispute.status": STATUSES,
    "notification.subject.dispute.reason": REASONS,
    "Transaction.status": STEPS,
}
TRAITS = Traits(
    scheme="HMAC-SHA1 of the base64 XML, by key pair",
    replay="signed time −31 d … +5 min, event id",
    rotation="every live key pair signs",
    ack_seconds=30,
    retry_days=1,
    deadline="reply-by-date (a date)",
    response_api="PUT /disputes/{id}/finalize",
    payments=PAYMENTS,
    refunds=REFUNDS,
    disputes=DISPUTES,
)
