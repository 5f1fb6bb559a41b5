"""What the simulated world does, in no provider's words: the traffic model tells it, provider simulators say it.

A provider simulator (`tests/simulator/providers/<name>.py`) turns a `Fact` into the HTTP requests that the real
provider would send for it, signed as the real one signs.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Protocol

from shared.domain.events import DisputeReason, DisputeStage, Initiator
from shared.domain.money import Money


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedCard:
    """`token` is the card's identity in the simulated world; providers derive their fingerprint from it."""

    token: str
    bin: str
    last4: str
    network: str  # visa, mastercard, amex
    country: str
    funding: str = "credit"


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One payment attempt. `id` is unique in the world; provider ids are derived from it, the same every run."""

    id: str
    provider: str
    at: datetime
    amount: Money
    customer: str
    email: str
    card: SimulatedCard
    device: str | None = None  # None for a merchant-initiated renewal
    ip: str | None = None
    country: str = "US"
    initiator: Initiator = Initiator.CUSTOMER
    three_d_secure: bool = False
    cvv_matches: bool | None = None
    decline_code: str | None = (
        None  # None: it succeeds. Our neutral word: insufficient_funds, stolen_card, do_not_honor, ...
    )
    plan: str = "monthly"


class FactKind(StrEnum):
    AUTHORIZED = "authorized"
    CAPTURED = "captured"
    DECLINED = "declined"
    CANCELED = "canceled"
    REFUNDED = "refunded"
    FRAUD_WARNED = "fraud_warned"
    DISPUTE_OPENED = "dispute_opened"
    DISPUTE_ANSWERED = "dispute_answered"  # evidence sent: under review
    DISPUTE_WON = "dispute_won"
    DISPUTE_LOST = "dispute_lost"
    UNKNOWN_TYPE = "unknown_type"  # a real type of the provider that nothing of ours follows


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedDispute:
    id: str
    stage: DisputeStage = DisputeStage.CHARGEBACK
    reason: DisputeReason = DisputeReason.FRAUD
    reason_code: str = "10.4"
    respond_by: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """Something happened at `at`. `amount` is the money of this step where it is not the whole attempt's."""

    kind: FactKind
    attempt: Attempt
    at: datetime
    amount: Money | None = None
    refund_id: str | None = None
    dispute: SimulatedDispute | None = None


@dataclass(frozen=True, slots=True)
class SignedRequest:
    """A webhook request: POST `path` (starting with `/<provider>`) with these headers and exactly this body."""

    path: str
    headers: dict[str, str]
    body: bytes
    fact: Fact | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Habits:
    """What a story has to know of a provider besides what it sends.

    repeats_for: how late the same request is still believed. skew: how far off its clock may be. named_when: the facts
    of which one at least has to be told before a payment goes by the id that `payment_id` says. names_nobody: its messages tell neither card nor
    customer, so that there is nothing to judge. refunds_what_is_lost: a lost dispute is a refund of the store's. takes_answers:
    somebody may answer its disputes.
    """

    repeats_for: timedelta = timedelta(days=30)
    skew: timedelta = timedelta(seconds=200)
    named_when: frozenset[FactKind] = frozenset(FactKind)
    names_nobody: bool = False
    refunds_what_is_lost: bool = False
    takes_answers: bool = True


class ProviderSimulator(Protocol):
    """Built as `Simulator(seed: int, folder: Path)`; `folder` is where it may keep its throw-away certificates."""

    name: str
    habits: Habits

    def environment(self) -> dict[str, str]:
        """The settings under which our webhook verifies what this simulator signs."""

    def requests(self, fact: Fact) -> list[bytes]:
        """The bodies that the provider sends for `fact`, in its order; empty where it sends nothing."""

    def sign(self, body: bytes, at: datetime) -> SignedRequest:
        """Deliver `body` as the provider does at `at`: a retry is signed again where the provider does so."""

    def forge(self, body: bytes, at: datetime) -> SignedRequest:
        """The same request as an attacker would send it, without the secret."""

    def rotate(self) -> None:
        """Start signing with the next key; `environment()` has listed it from the beginning."""

    def payment_id(self, attempt: Attempt) -> str:
        """The id by which our events will name this payment."""

    def dispute_id(self, dispute: SimulatedDispute) -> str:
        """The id by which our events will name this dispute."""
