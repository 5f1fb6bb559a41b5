"""What proves a payment, in our words: the items, the documents, and the packet in which they go to a provider."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from shared.domain.money import Money


class Item(StrEnum):
    """A piece of evidence. Each provider's module says which of its own fields takes it."""

    PAYMENT = "payment"  # its timeline: authorized, captured, how much, when
    DESCRIPTOR = "descriptor"  # what stood on the cardholder's statement
    PRODUCT = "product"  # what was sold
    PURCHASE_IP = "purchase_ip"
    DEVICE = "device"
    LOGIN = "login"  # the account that paid, as it was logged in
    BILLING_COUNTRY = "billing_country"
    AUTHENTICATION = "authentication"  # 3-D Secure, CVV and address checks
    PRIOR_PAYMENTS = "prior_payments"  # earlier ones of the same subscriber that nobody disputed
    USAGE = "usage"  # logins and plays: the service was used
    SERVICE_DATE = "service_date"
    PLAN = "plan"  # which subscription, since when, and what was changed
    CANCELLATION = "cancellation"  # whether and when it was canceled, and how one cancels
    POLICY = "policy"  # the version of the terms that was accepted, and when
    REFUNDS = "refunds"  # what was given back, or why nothing was
    DUPLICATE = "duplicate"  # the other payment, and what each was for
    MESSAGES = "messages"  # what the customer wrote to us, and we answered


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A file. `name` has no path; `pages`: 0 where it has none. `items`: what it shows."""

    name: str
    media_type: str
    data: bytes = field(repr=False)
    pages: int
    items: tuple[Item, ...]

    @property
    def digest(self) -> str:
        """SHA-256 of its bytes, lower-case hex."""
        return hashlib.sha256(self.data).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Purchase:
    """A payment as it was made: what compelling evidence compares. All of it was known when the payment was recorded.

    credential: the card's fingerprint at `provider`. network_reference: the id by which the network knows it (ARN, or the
    network's transaction id). bin, last4: of the card, by which it is known again at another provider. settled: money was
    captured of it and all of it is still ours. disputed: somebody disputed it, whatever came of that; fraud_reported: an
    issuer reported fraud on it.
    """

    provider: str
    payment_id: str
    at: datetime
    amount: Money
    credential: str | None = None
    network: str | None = None
    network_reference: str | None = None
    ip: str | None = None
    device_id: str | None = None
    login: str | None = None
    product: str | None = None
    bin: str | None = None
    last4: str | None = None
    settled: bool = False
    disputed: bool = False
    fraud_reported: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class CompellingEvidence:
    """That a network's own criteria are met: `rule` names them, `priors` are the payments that do, `matched` what all have
    alike (ip, device, login)."""

    rule: str
    disputed: Purchase
    priors: tuple[Purchase, ...]
    matched: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Consumption:
    """What an app store asks of a purchase whose buyer wants the money back.

    consented: the customer has agreed that the store is told of it. delivered: what was bought arrived, and works. sampled:
    before the purchase there was a sample or a trial, or it was told what is sold. share: how much of it was used, in
    thousandths of a percent (0 to 100,000); None where nobody can say it, and of a subscription that renews itself, of which
    the store knows. uses: when it was used.
    """

    consented: bool
    delivered: bool
    sampled: bool
    share: int | None = None
    uses: tuple[datetime, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Packet:
    """The evidence of one dispute, ready to be sent. The same evidence makes the same bytes.

    digest: SHA-256 of what it says, documents and all. completeness: 0 to 1, by its template. texts: plain English, no
    personal data beyond what the template asks for.
    """

    digest: str
    template: str
    completeness: float
    texts: Mapping[Item, str]
    documents: tuple[Document, ...] = ()
    compelling: CompellingEvidence | None = None
    consumption: Consumption | None = None


@dataclass(frozen=True, slots=True)
class Own:
    """People's own evidence: texts in the place of ours, and documents beside ours."""

    texts: Mapping[Item, str] = field(default_factory=dict)
    documents: tuple[Document, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Merchant:
    """What packets say of us, in an operator's words; what is empty is left out, and lowers their completeness.

    descriptors: an account's name → what stands on statements; "" for any other. product: what is sold, in a sentence or two.
    cancellation, refunds: how one cancels, and what is given back, as the customer was told. sampled: whether everybody could
    try it before paying, or was told what it does; None: nobody said so. store_consent: the policy by whose acceptance a
    subscriber agrees that app stores are told of the use; empty: there is none.
    """

    name: str = ""
    descriptors: Mapping[str, str] = field(default_factory=dict)
    product: str = ""
    cancellation: str = ""
    refunds: str = ""
    sampled: bool | None = None
    store_consent: str = ""
