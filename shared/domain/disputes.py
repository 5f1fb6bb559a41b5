"""What a dispute is: the set of what its provider told, what we did about it, and the state that both mean."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from enum import StrEnum

from shared.domain.answers import Act
from shared.domain.events import Alert, DisputeReason, DisputeStage, DisputeStatus, Finder
from shared.domain.evidence import Item
from shared.domain.labels import LabelClass
from shared.domain.ledger import Ledger
from shared.domain.money import Money
from shared.domain.payments import PaymentFact


class Rung(StrEnum):
    """What we may do about a dispute by ourselves, each once."""

    # Reminders, by how long before `respond_by`; from wide to tight.
    WEEK = "7d"
    THREE_DAYS = "3d"
    DAY = "24h"
    SIX_HOURS = "6h"
    EXPIRE = "expire"
    # Where the provider names no deadline: a reminder soon, and one when our estimate is over.
    NO_DEADLINE = "no_deadline"
    ESTIMATE_OVER = "estimate_over"
    # Looks for a payment that we have not seen, by how long after we first heard of the dispute.
    LOOK_SOON = "look_10m"
    LOOK_AGAIN = "look_1h"
    LOOK_LAST = "look_24h"
    LINK = "link"
    # Have it decided, or what was decided done. It is no `Action`: `Dispute.answers` says how far that is.
    ANSWER = "answer"


class ActionState(StrEnum):
    CLAIMED = "claimed"  # decided; being told to the world; done again when its lease runs out
    DONE = "done"
    SUPERSEDED = "superseded"  # a tighter one was due at the same time


class ExpiredCause(StrEnum):
    """Why nobody answered in time."""

    TOLD_TOO_LATE = "told_too_late"  # we first heard of this deadline after it, or within six hours of it
    NOBODY_ANSWERED = "nobody_answered"  # we had reminded
    NOT_REMINDED = "not_reminded"  # our own failure


class AnsweredBy(StrEnum):
    """Who answers a dispute that can be answered: one of the two, at any time."""

    US = "us"
    PROVIDER = "provider"


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """Something we did. `at` is when it was first decided, whatever happened to the process then."""

    rung: Rung
    state: ActionState
    at: datetime
    lease_until: datetime | None = None
    cause: ExpiredCause | None = None


class AnswerState(StrEnum):
    ASKED = "asked"  # the clock has asked for a decision
    ANNOUNCED = "announced"  # decided, and done when it is due unless a person says otherwise
    HELD = "held"  # kept back for a while, by a person or until another refund is known
    SENDING = "sending"  # on its way; what of it has arrived is known step by step
    TAKEN = "taken"  # the provider has it
    ELSEWHERE = "elsewhere"  # somebody gave one at the provider, and not through us
    PARKED = "parked"  # only a person can go on: refused, not provable, or nothing can be sent
    OVER = "over"  # the provider takes none any more


GIVEN = frozenset({AnswerState.TAKEN, AnswerState.ELSEWHERE})


@dataclass(frozen=True, slots=True, kw_only=True)
class Supplied:
    """A piece of evidence that a person has put to an answer, a text in the place of ours or a file beside it: kept under its
    SHA-256. by, at: who, and when; withdrawn_by, withdrawn_at: who has taken it out again, so that it is not sent."""

    item: Item
    sha256: str
    media_type: str
    bytes: int
    pages: int
    by: str
    at: datetime
    withdrawn_by: str | None = None
    withdrawn_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """Our answer to one round of a dispute: decided, announced, sent, proved.

    act: what it does, once that is decided; by: whose decision that is, a person's address or a rule's name; why: its
    reasons, in words; chance: of winning, as it was estimated, low and high; expected: what an answer is worth by that; compelling:
    the network's own rule that the evidence meets. at: when it was decided; due_at: when it is to be
    done. wake_at: when the clock asks for it again; None when never. lease_until: until then somebody is at it. tries: how often sending it failed by nobody's fault; attempt: how many answers before
    this one the provider refused. packet: digest of what is sent; sent_at: when the step that counts was first on its way
    (`intent`, its name), and until `answered_at` is known nobody can say whether it arrived. done: what the steps before it
    came to. reference: the provider's own for it. code, told: why it is parked, the latter in the provider's words.
    acknowledged_by: who agreed to what it costs. supplied: people's own evidence, by its name. changes: how often this was written; words: how often the world had to be
    told of it.
    """

    state: AnswerState
    stage: DisputeStage | None = None
    act: Act | None = None
    by: str = ""
    why: tuple[str, ...] = ()
    chance: tuple[float, ...] = ()
    expected: Money | None = None
    compelling: str | None = None
    completeness: float | None = None
    at: datetime
    due_at: datetime | None = None
    wake_at: datetime | None = None
    lease_until: datetime | None = None
    tries: int = 0
    attempt: int = 0
    packet: str | None = None
    intent: str | None = None
    sent_at: datetime | None = None
    done: Mapping[str, str] = field(default_factory=dict)
    answered_at: datetime | None = None
    reference: str | None = None
    code: str | None = None
    told: str | None = None
    acknowledged_by: str | None = None
    supplied: Mapping[str, Supplied] = field(default_factory=dict)
    changes: int = 1
    words: int = 0

    @property
    def by_person(self) -> bool:
        """Whether a person decided so, not a rule."""
        return "@" in self.by


@dataclass(frozen=True, slots=True, kw_only=True)
class DisputeFact:
    """One event, as the timeline keeps it: the members of `events.DisputeChanged`, instants in UTC.

    heard_at: when we first stored it. `unsigned` names those that nobody proved; an unsigned amount is not kept.
    autodefended, status_unknown: None for False.
    told_as: the dispute id that it was told under, where that is the payment's own name and not this dispute's.
    livemode: None for False, test data.
    """

    occurred_at: datetime
    heard_at: datetime
    payment_id: str | None = None
    payment_aliases: tuple[str, ...] = ()
    answer_id: str | None = None
    stage: DisputeStage | None = None
    status: DisputeStatus | None = None
    status_unknown: bool | None = None
    final: bool = True
    amount: Money | None = None
    moved: Money | None = None
    reason: DisputeReason | None = None
    reason_code: str | None = None
    network: str | None = None
    respond_by: datetime | None = None
    respond_by_text: str | None = None
    can_respond: bool | None = None
    provider_status: str | None = None
    evidence_submitted: bool | None = None
    arn: str | None = None
    contest_fee: Money | None = None
    fees: Money | None = None
    autodefended: bool | None = None
    unsigned: tuple[str, ...] = ()
    told_as: str | None = None
    livemode: bool | None = None
    alert: Alert | None = None


def told(facts: Iterable[DisputeFact]) -> int:
    """How much `facts` tell, all in all: more with each fact, and with each member of one."""
    return sum(1 + members(fact) for fact in facts)


def members(fact: DisputeFact) -> int:
    """How many members `fact` tells."""
    return sum(getattr(fact, name) is not None for name in _MEMBERS)


_MEMBERS = tuple(member.name for member in fields(DisputeFact))


@dataclass(frozen=True, slots=True, kw_only=True)
class Dispute:
    """A dispute. Kept: its names, `facts` (written by track_dispute), `actions` (by check_deadlines), `answers` (by
    whoever answers, a person or the clock), `assignee` (by people: whose it is, their e-mail address, "" for nobody's), `linked_to` (by whichever of them first sees the payment). All else is computed
    from these by `disputes.lifecycle.settle`.

    status: where it stands; told_status: the provider's last word, which is needs_response where ours is expired.
    status_unknown: the last word is one that we do not know, so that it may stand elsewhere by now: look it up.
    answer_id: the id that an answer to the current stage has to name, where that is not `dispute_id`.
    final: False while the provider may still turn the outcome over. respond_by: the deadline of the current stage,
    as an instant; deadline_unsigned: the provider's signature does not cover it; deadline_estimated: the provider named
    none that can be read, and asks for an answer: ours, by the networks' times (`disputes.response_times`).
    answered_by: who answers, us or the provider in our name; contest_fee: what that costs, where it costs anything.
    deadline_heard_at: when we first heard of this deadline, or that there is one. moved: money taken (negative) and given back, in all;
    withdrawn: the most that was gone at any one time, so that both together are what came back; None where the provider tells of
    no money that moves. fees: what the provider has charged for it so far, less what of it was given back.
    status_since: since when `status` holds. won_before: it was won once, before what the provider says now.
    linked_to: the payment, once it is among ours; payment_id: that, or the name the provider told.
    first_at, last_at: the provider's times of the first and last fact. inconsistent: as for payments.
    round: which of `answers` is the one to what the provider asks now, whether it is there already or not.
    next_action_at: when check_deadlines has to look at it again; None when never. queue: its place among those that want a
    person's eye (`disputes.queue`); None where it wants none. same_as: this is what was told
    under the payment's own name, and it counts among the facts of that dispute of the payment. filed_under: the names
    of the cases in which it has stood; it stands in the last one and in no other. alert: who warns of a dispute that is none
    yet.
    """

    provider: str
    dispute_id: str
    account: str
    payment_id: str | None = None
    linked_to: str | None = None
    stage: DisputeStage | None = None
    status: DisputeStatus | None = None
    status_since: datetime | None = None
    won_before: bool = False
    told_status: DisputeStatus | None = None
    status_unknown: bool = False
    answer_id: str | None = None
    final: bool = True
    expired_cause: ExpiredCause | None = None
    amount: Money | None = None
    moved: Money | None = None
    withdrawn: Money | None = None
    fees: Money | None = None
    reason: DisputeReason | None = None
    reason_code: str | None = None
    network: str | None = None
    respond_by: datetime | None = None
    respond_by_text: str | None = None
    deadline_unsigned: bool = False
    deadline_estimated: bool = False
    deadline_heard_at: datetime | None = None
    can_respond: bool = True
    answered_by: AnsweredBy | None = None
    contest_fee: Money | None = None
    provider_status: str | None = None
    evidence_submitted: bool = False
    arn: str | None = None
    first_at: datetime | None = None
    last_at: datetime | None = None
    heard_at: datetime | None = None
    inconsistent: tuple[str, ...] = ()
    next_action_at: datetime | None = None
    queue: str | None = None
    same_as: str | None = None
    filed_under: tuple[str, ...] = ()
    livemode: bool = False
    alert: Alert | None = None
    round: str | None = None
    facts: Mapping[str, DisputeFact] = field(default_factory=dict)
    actions: Mapping[str, Action] = field(default_factory=dict)
    answers: Mapping[str, Answer] = field(default_factory=dict)
    assignee: str = ""

    @property
    def answer(self) -> Answer | None:
        """What is answered to what the provider asks now, as far as that is."""
        return self.answers.get(self.round) if self.round else None


class CaseFlag(StrEnum):
    REFUND_DISPUTE_COLLISION = "refund_dispute_collision"  # the customer may get the money twice
    WARNED_BEFORE_DISPUTE = "warned_before_dispute"
    SEVERAL_DISPUTES = "several_disputes"
    TIMELINE_FULL = "timeline_full"  # the oldest refunds are no longer listed, but count; or warnings were left out
    TOTALS_INCOMPLETE = "totals_incomplete"  # more refunds than a document can hold


@dataclass(frozen=True, slots=True, kw_only=True)
class DisputeSummary:
    """A dispute as its payment's case sees it: what the provider told last. facts: how much was told (`lifecycle.told`)."""

    opened_at: datetime
    facts: int = 0
    stage: DisputeStage | None = None
    status: DisputeStatus | None = None
    final: bool = True
    amount: Money | None = None
    alert: Alert | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FraudWarning:
    """One message of an early fraud warning. heard_at: when we first stored it; None for those of the first release."""

    occurred_at: datetime
    heard_at: datetime | None = None
    account: str = ""
    warning_id: str
    amount: Money | None = None
    fraud_type: str | None = None
    network: str | None = None
    actionable: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FraudFinding:
    """Our own word that the payment is fraud. heard_at: when we first stored it, of a reviewer's when it was said. label: what it
    is called."""

    occurred_at: datetime
    heard_at: datetime
    account: str
    found_by: Finder
    label: LabelClass


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """All that can go wrong with one payment, side by side: its disputes, fraud warnings and refunds.

    disputes by dispute id; warnings, findings and refunds by event id. folded: what older refunds said. captured: the
    payment's, or what is held of it where no capture is told, and payment_known, of how many words that is made: None
    while the payment is not among ours. refunded, disputed: what went back by our choice, and what the disputes that
    take money ask for. unplaced: how many facts of disputes were told under a name of the payment, by that name.
    known_before: how much more was known of disputes that stand in another case by now, so that what a case knows never
    falls.
    moved_to: this case was opened under another name of the payment and has moved there; nothing else of it counts.
    """

    provider: str
    payment_id: str
    disputes: Mapping[str, DisputeSummary] = field(default_factory=dict)
    warnings: Mapping[str, FraudWarning] = field(default_factory=dict)
    findings: Mapping[str, FraudFinding] = field(default_factory=dict)
    refunds: Mapping[str, PaymentFact] = field(default_factory=dict)
    folded: Ledger | None = None
    captured: Money | None = None
    payment_known: int | None = None
    refunded: Money | None = None
    disputed: Money | None = None
    flags: tuple[CaseFlag, ...] = ()
    unplaced: Mapping[str, int] = field(default_factory=dict)
    known_before: int | None = None
    moved_to: str | None = None

    @property
    def opened(self) -> dict[str, DisputeSummary]:
        """Its disputes but for those of which somebody only warned."""
        return {name: one for name, one in self.disputes.items() if one.alert is None}


@dataclass(frozen=True, slots=True, kw_only=True)
class DisputeUpdate:
    """A row of `dispute_updates`, published whenever a dispute or its case changed.

    update_id: the same for every copy of the same update. event_id: what caused it; None for our own doing.
    occurred_at: when that happened. revision: how much was known; of two rows of a dispute the greater is newer.
    same_as: this is no dispute of its own, and counts nowhere: what it tells is told by the row of that dispute.
    answer, answer_state, answer_by, answered_at, packet: our answer to this round, see `Answer`. alert: this is no dispute yet.
    livemode: False marks test data. The rest as in `Dispute`.
    """

    update_id: str
    event_id: str | None
    occurred_at: datetime
    revision: int
    provider: str
    account: str
    dispute_id: str
    payment_id: str | None
    payment_known: bool
    stage: DisputeStage | None
    status: DisputeStatus | None
    told_status: DisputeStatus | None
    final: bool
    expired_cause: ExpiredCause | None
    amount: Money | None
    moved: Money | None
    reason: DisputeReason | None
    reason_code: str | None
    network: str | None
    respond_by: datetime | None
    deadline_unsigned: bool
    deadline_estimated: bool
    can_respond: bool
    answered_by: AnsweredBy | None
    contest_fee: Money | None
    status_unknown: bool
    answer_id: str | None
    same_as: str | None
    flags: tuple[str, ...]
    answer: Act | None = None
    answer_state: AnswerState | None = None
    answer_by: str | None = None
    answered_at: datetime | None = None
    packet: str | None = None
    status_since: datetime | None = None
    won_before: bool = False
    withdrawn: Money | None = None
    fees: Money | None = None
    alert: Alert | None = None
    livemode: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class DisputeReminder:
    """A message on `dispute-actions`: somebody must answer this dispute. `action_id` is the same for every copy."""

    action_id: str
    rung: Rung
    provider: str
    account: str
    dispute_id: str
    answer_id: str | None
    payment_id: str | None
    stage: DisputeStage | None
    respond_by: datetime
    respond_by_text: str | None
    deadline_unsigned: bool
    deadline_estimated: bool
    answered_by: AnsweredBy | None
    contest_fee: Money | None
    amount: Money | None
    reason: DisputeReason | None
    reason_code: str | None
    network: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerAsked:
    """A message on `dispute-actions`: the answer to `round` of this dispute is due, to be decided or to be sent."""

    provider: str
    dispute_id: str
    round: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerTold:
    """A message on `dispute-actions`: what becomes of our answer, for people. `announced`: it will be done at `due_at`, and
    until then anybody may say otherwise. `parked`: nothing more happens by itself. See `Answer`."""

    action_id: str
    provider: str
    account: str
    dispute_id: str
    payment_id: str | None
    state: AnswerState
    act: Act | None
    by: str
    why: tuple[str, ...]
    due_at: datetime | None
    respond_by: datetime | None
    amount: Money | None
    code: str | None
    told: str | None


class AlertOutcome(StrEnum):
    """What became of an alert, in the words in which networks want to be told."""

    REFUNDED = "refunded"
    PREVIOUSLY_REFUNDED = "previously_refunded"
    ALREADY_DISPUTED = "already_disputed"
    DECLINED = "declined"  # it is not refunded; the issuer may file its dispute


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertAnswered:
    """A message on `dispute-actions`: tell the network that sent `alert_id` what became of it, by `respond_by`. action_id is
    the same for every copy, and there is one for each alert: what is told to an issuer cannot be taken back."""

    action_id: str
    alert: Alert
    alert_id: str
    outcome: AlertOutcome
    provider: str
    account: str
    payment_id: str | None
    refund: str | None
    answered_at: datetime
    respond_by: datetime | None
