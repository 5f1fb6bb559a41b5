"""An answer to a dispute on its way to the provider: what is asked for, the requests that say it, what became of each.

A provider's module (`shared.providers.<name>.answer`) puts the requests together and reads the answers; it is pure and
keeps nothing. `shared.flows.respond_dispute` sends them, and writes down before and after each what was done.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from shared.domain.api import ApiRequest
from shared.domain.events import DisputeReason, DisputeStage
from shared.domain.evidence import Packet
from shared.domain.money import Money


class Act(StrEnum):
    """What an answer does; once taken by the provider none can be taken back."""

    SUBMIT = "submit"
    ACCEPT = "accept"  # of an alert: the payment is refunded
    DECLINE = "decline"  # of an alert alone: nothing is refunded, and nothing sent to the payment's provider


@dataclass(frozen=True, slots=True, kw_only=True)
class Contest:
    """One answer to one round of a dispute.

    key: the same for every repeat of this answer, and of no other; at most 40 characters out of [a-z0-9]. answer_id: what
    the provider calls what is answered. packet: what to submit, or what is told with an acceptance where the provider wants that; None otherwise. acknowledged: somebody has agreed to
    what this contest costs beside the provider's ordinary fees, up to `fee`. contested: how much of `amount` is fought for,
    where that is not all of it; not every provider takes less.
    """

    key: str
    act: Act
    dispute_id: str
    answer_id: str
    account: str
    livemode: bool
    payment_id: str | None = None
    stage: DisputeStage | None = None
    reason: DisputeReason | None = None
    reason_code: str | None = None
    network: str | None = None
    amount: Money | None = None
    contested: Money | None = None
    respond_by: datetime | None = None
    packet: Packet | None = None
    acknowledged: bool = False
    fee: Money | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A request on the way. name: the same for every repeat, unique within the contest: what it came to is remembered under
    it. final: its success is the answer, and cannot be taken back; whatever is not final may be repeated harmlessly.
    keyed: the request carries the provider's own idempotency key, so that its repeat is the same request, as long as the
    provider remembers keys."""

    name: str
    request: ApiRequest
    final: bool = False
    keyed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """The step is done. value: what later steps need of it (a file's id); for a final step the provider's reference."""

    value: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """The provider will not have it, however often it is repeated. told: its own words, for a person, masked and short;
    code: its word for machines. stands: whether the refusal only says that the answer has been given already."""

    code: str
    told: str = field(default="", repr=False)
    stands: bool = False


StepOutcome = Done | Refused


class Standing(StrEnum):
    """What a provider says of a dispute, read back."""

    WAITS = "waits"  # it takes an answer, and has none
    ANSWERED = "answered"  # it has our answer (evidence is submitted, or the claim accepted)
    OVER = "over"  # decided, expired, closed or withdrawn: nothing can be answered any more
    UNKNOWN = "unknown"  # it does not say


Remembered = Mapping[str, str]
"""Step's name → what it came to, of the steps that are done."""
