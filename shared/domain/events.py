"""The vocabulary: every provider's webhooks, translated into these facts and nothing else.

An event is a fact in our words. It is never edited. `event_id` is `<provider>:<account>:<provider's id>`, the
same for every copy of the same fact, so that doing it twice is doing it once. Times are aware UTC. Money is
`Money`. Identifiers are the provider's, stripped of surrounding space, otherwise untouched.

Events carry no e-mail address, no card number and no name: an e-mail becomes `email_hash` and `email_domain` at
the edge (`shared.domain.privacy`), and an id that could be a card's number a pseudonym (`shared.domain.pseudonyms`).
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from shared.domain.addresses import network
from shared.domain.labels import LabelClass
from shared.domain.money import Money


class PaymentStep(StrEnum):
    """What happened to a payment."""

    PENDING = "pending"  # started, or waiting for the customer or the bank
    AUTHORIZED = "authorized"
    CAPTURED = "captured"
    CAPTURE_FAILED = "capture_failed"  # a capture that we believed in did not settle
    DECLINED = "declined"
    CANCELED = "canceled"  # an authorization released, or lapsed, before capture
    REFUND_PENDING = "refund_pending"
    REFUNDED = "refunded"
    REFUND_FAILED = "refund_failed"  # the money of that refund came back to us
    REVERSED = "reversed"  # the provider took the money back itself
    SUCCEEDED_BY = "succeeded_by"  # the money goes on under another payment id (PayPal: a capture of an authorization)


class Initiator(StrEnum):
    CUSTOMER = "customer"  # CIT: the customer is present and acts
    MERCHANT = "merchant"  # MIT: a later charge under an earlier agreement


class DisputeStage(StrEnum):
    """How far a dispute has escalated, in order."""

    INQUIRY = "inquiry"
    CHARGEBACK = "chargeback"
    PRE_ARBITRATION = "pre_arbitration"
    ARBITRATION = "arbitration"


class DisputeStatus(StrEnum):
    """Where a dispute stands now."""

    NEEDS_RESPONSE = "needs_response"
    UNDER_REVIEW = "under_review"
    WON = "won"
    LOST = "lost"
    ACCEPTED = "accepted"
    EXPIRED = "expired"
    CLOSED = "closed"  # ended without a ruling, and the money is ours: an inquiry closed, a claim withdrawn
    # Settled before a chargeback was filed (RDR, alerts): neither lost nor won. Its stage is INQUIRY at every provider,
    # whatever the provider calls it: no network took any money.
    PREVENTED = "prevented"


class DisputeReason(StrEnum):
    """Our small set over all networks and providers."""

    FRAUD = "fraud"
    NOT_RECEIVED = "not_received"
    NOT_AS_DESCRIBED = "not_as_described"
    DUPLICATE = "duplicate"
    CANCELED = "canceled"  # a subscription or order that the customer says was canceled
    CREDIT_NOT_PROCESSED = "credit_not_processed"
    OTHER = "other"


class Alert(StrEnum):
    """Who warns of a dispute before there is one. Its stage is INQUIRY: it has taken no money."""

    REPORT = (
        "fraud_report"  # the issuer's report to its network (Visa TC40, Mastercard SAFE); nobody waits for an answer
    )
    ETHOCA = "ethoca"  # Mastercard's: the issuer waits for an outcome before it files
    CDRN = "cdrn"  # Verifi's, of Visa: the same
    RDR = "rdr"  # Verifi's: rules at the acquirer have refunded it before anybody here hears of it


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """What every event says of itself.

    occurred_at: the provider's time of the fact. unsigned: names of this event's fields that the provider's
    signature does not cover; nothing about money or a deadline is decided on them alone. delivery_id: the
    delivery it came in, for the way back to the raw bytes. livemode False marks test data.
    """

    event_id: str
    provider: str
    account: str
    occurred_at: datetime
    delivery_id: str = ""
    livemode: bool = False
    unsigned: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """What a provider tells about a card. `fingerprint` is its stable stand-in for the number; there is no number."""

    fingerprint: str | None = None
    bin: str | None = None
    last4: str | None = None
    network: str | None = None  # lower case: visa, mastercard, amex, discover, jcb, ...
    funding: str | None = None  # credit, debit, prepaid
    country: str | None = None  # issuer's, ISO 3166-1 alpha-2


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentAttempt(Event):
    """Who pays and how, of a payment that a provider tells of and of one that is only asked about: what features read.

    aliases: other ids by which the provider's later messages may name this payment (a charge of a payment intent).
    ip_network: what history is kept of, of `ip` (see `shared.domain.addresses.network`); it follows from `ip`.
    email_hash_also: what the same address is called under other keys that are held (`shared.domain.pseudonyms`): who is listed
    by one of these names is meant too. With one key, as ever but around a rotation, there are none, and nothing is told.
    """

    payment_id: str
    amount: Money | None = None
    aliases: tuple[str, ...] = ()
    merchant_reference: str | None = None
    method: str | None = None  # card, paypal, sepa_debit, ...
    card: Card | None = None
    customer_id: str | None = None
    device_id: str | None = None
    ip: str | None = None
    ip_network: str | None = None
    email_hash: str | None = None
    email_hash_also: tuple[str, ...] = ()
    email_domain: str | None = None
    billing_country: str | None = None
    initiator: Initiator | None = None
    three_d_secure: str | None = None  # authenticated, attempted, failed, exempted, ...
    cvv_result: str | None = None  # match, mismatch, unchecked
    avs_result: str | None = None  # match, mismatch, unchecked
    provider_score: float | None = None  # the provider's own fraud score, 0 to 100

    def __post_init__(self) -> None:
        if self.ip is not None:
            object.__setattr__(self, "ip_network", network(self.ip))


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentChanged(PaymentAttempt):
    """Something happened to a payment.

    amount: what this step moved. With `cumulative`, it is the payment's running total of that step instead
        (Stripe's `amount_refunded`). None where the provider does not say.
    reference: the provider's id of this capture or refund; one reference counts once, however many events tell of it.
    decline_code: the provider's word; hard_decline True means never retry.
    """

    step: PaymentStep
    cumulative: bool = False
    reference: str | None = None
    decline_code: str | None = None
    hard_decline: bool | None = None
    network_transaction_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentAssessed(PaymentAttempt):
    """Somebody asked us what to do with a payment, before a provider heard of it.

    event_id: `<provider>:<account>:assessment:<request_id>`. provider, account: through whom the payment would go.
    payment_id: `request:<request_id>`. aliases: the ids by which the provider's events will name it, where they are
    known. flow, product: what the customer is doing (checkout, trial, renewal), and buys, in the caller's words. decision: what was answered,
    packed (`shared.flows.decisions`), for whoever finds it uncounted.
    """

    request_id: str
    flow: str = ""
    product: str | None = None
    decision: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DisputeChanged(Event):
    """A dispute opened, moved or ended.

    payment_id is None where the provider does not repeat it (Adyen's second chargeback); the dispute remembers.
    stage and status are None where this message does not tell them (funds moved, comments arrived).
    status_unknown: it tells where the dispute stands in a word that we do not know; `status` is what the rest of it says.
    answer_id: what an answer to this round has to name, where that is not `dispute_id`.
    respond_by: the last instant at which evidence is accepted, read conservatively when the provider gives less
        than an instant; respond_by_text is what the provider wrote: alone, a deadline that cannot be read.
    can_respond False: no answer is possible.
    final: False for an outcome that may still be turned over (Adyen's reversed chargeback).
    autodefended: the provider answers in our name, so that nobody here has to. contest_fee: what an answer costs, beside
        the provider's ordinary fees.
    reason_code: the network's code as text, stripped, or else the provider's own word. provider_status: the provider's
        own word, for people.
    moved: money that this event took (negative) or gave back (positive), in the currency in which the provider settles with
        us where it tells that. fees: what the provider has charged for this dispute so far, less what of it was given back, as
        this message tells; None where it tells none.
    alert: this is no dispute yet, but who warns of one.
    """

    dispute_id: str
    payment_id: str | None = None
    answer_id: str | None = None
    payment_aliases: tuple[str, ...] = ()
    stage: DisputeStage | None = None
    status: DisputeStatus | None = None
    status_unknown: bool = False
    final: bool = True
    amount: Money | None = None
    moved: Money | None = None
    reason: DisputeReason | None = None
    reason_code: str | None = None
    network: str | None = None
    respond_by: datetime | None = None
    respond_by_text: str | None = None
    can_respond: bool | None = None
    autodefended: bool = False
    provider_status: str | None = None
    evidence_submitted: bool | None = None
    arn: str | None = None
    contest_fee: Money | None = None
    fees: Money | None = None
    alert: Alert | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FraudWarned(Event):
    """An issuer reported fraud on a payment (Visa TC40, Mastercard SAFE): a dispute may or may not follow."""

    warning_id: str
    payment_id: str
    payment_aliases: tuple[str, ...] = ()
    amount: Money | None = None
    fraud_type: str | None = None
    network: str | None = None
    actionable: bool | None = None


class Finder(StrEnum):
    """Whose word it is that a payment is fraud, where it is nobody's outside."""

    REFUND = "refund"  # whoever gave the money back said so at the provider
    REVIEW = "review"  # a reviewer of ours, whose label is told by the review


@dataclass(frozen=True, slots=True, kw_only=True)
class FraudFound(Event):
    """We ourselves take a payment for fraud, whatever its issuer says. It counts like an issuer's report (`shared.fraud.claims`),
    and asks for nothing: there is nobody to answer. One for each refund and for each verdict, however often they are told of.
    label: what it is called, of `labels.FRAUD_CLASSES`."""

    payment_id: str
    payment_aliases: tuple[str, ...] = ()
    found_by: Finder
    label: LabelClass = LabelClass.THIRD_PARTY_FRAUD


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewChanged(Event):
    """The provider's own manual review of a payment opened or closed."""

    payment_id: str
    open: bool
    verdict: str | None = None  # approved, rejected, refunded, ... in the provider's word


@dataclass(frozen=True, slots=True, kw_only=True)
class PayoutChanged(Event):
    """Money on its way to our bank: kept for reconciliation, acted upon by nobody here."""

    payout_id: str
    status: str
    amount: Money | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceChanged(Event):
    """A poke: something about this resource changed, and the provider did not say what, or did not sign it.

    `fetch_resource` reads the object back from the provider's API and publishes the full event. resource is the
    provider's word for the kind of object (payment, order, chargeback, refund); hint is its word for what happened.
    Where `unsigned` names them they are not proved, and an unproven hint is never acted upon.
    """

    resource: str
    resource_id: str
    hint: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CanarySent(Event):
    """No provider's word and nobody's business: a delivery of our own went through the provider's webhook at `occurred_at`,
    so that it can be seen whether, and how soon, deliveries arrive. It is not in the warehouse."""


AnyEvent = (
    PaymentChanged
    | PaymentAssessed
    | DisputeChanged
    | FraudWarned
    | FraudFound
    | ReviewChanged
    | PayoutChanged
    | ResourceChanged
    | CanarySent
)

# The `kind` attribute of a published event, by which subscriptions filter.
KINDS: dict[str, type[AnyEvent]] = {
    "payment": PaymentChanged,
    "assessment": PaymentAssessed,
    "dispute": DisputeChanged,
    "fraud_warning": FraudWarned,
    "fraud_found": FraudFound,
    "review": ReviewChanged,
    "payout": PayoutChanged,
    "resource": ResourceChanged,
    "canary": CanarySent,
}
KIND_OF: dict[type[AnyEvent], str] = {cls: kind for kind, cls in KINDS.items()}
