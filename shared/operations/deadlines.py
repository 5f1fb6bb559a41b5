"""Which disputes are due next, and which of them may end without an answer."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from shared.domain.disputes import GIVEN, AnsweredBy, AnswerState, Dispute
from shared.domain.events import DisputeStatus
from shared.domain.money import Money
from shared.flows.dispute_desk import due_next
from shared.flows.ports import Documents

CLOSE = timedelta(hours=24)
# check_deadlines runs every five minutes: what it has not come to after three of them waits for more than its turn.
LATE = timedelta(minutes=15)


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """A dispute at which the clock, or a person, is next. risks: why it may end without an answer, in words."""

    provider: str
    dispute_id: str
    payment_id: str | None
    stage: str | None
    status: str | None
    amount: Money | None
    respond_by: datetime | None
    next_action_at: datetime | None
    answer: str | None
    risks: tuple[str, ...]


def deadlines(documents: Documents, now: datetime, within: timedelta) -> list[Due]:
    """The disputes at which the clock is due until `within` from `now`, the first deadline first; those without one last."""
    found = [_due(dispute, now) for dispute in due_next(documents, now, within)]
    return sorted(found, key=lambda one: (one.respond_by is None, one.respond_by or now, one.dispute_id))


def _due(dispute: Dispute, now: datetime) -> Due:
    answer = dispute.answer
    return Due(
        provider=dispute.provider,
        dispute_id=dispute.dispute_id,
        payment_id=dispute.payment_id,
        stage=dispute.stage,
        status=dispute.status,
        amount=dispute.amount,
        respond_by=dispute.respond_by,
        next_action_at=dispute.next_action_at,
        answer=answer.state if answer else None,
        risks=tuple(risks(dispute, now)),
    )


def risks(dispute: Dispute, now: datetime) -> Iterator[str]:
    """Why `dispute` may end without an answer, in words; nothing where it does not, or where none is needed."""
    answer, until = dispute.answer, dispute.respond_by
    given = answer is not None and answer.state in GIVEN
    due = dispute.next_action_at
    # What was due before we heard of it waits since then.
    if due is not None and max(due, dispute.heard_at or due) < now - LATE:
        yield "the clock should have been here already: see check_deadlines"
    if dispute.status_unknown:
        yield "the provider's last word is one that we do not know: look it up there"
    asked = dispute.status is DisputeStatus.NEEDS_RESPONSE or dispute.status_unknown
    if given or not asked or not dispute.can_respond or dispute.answered_by is AnsweredBy.PROVIDER:
        return
    if answer is not None and answer.state is AnswerState.PARKED:
        yield f"parked, only a person can go on: {answer.code or 'no reason was told'}"
    if until is None:
        yield "the provider names no deadline"
    elif until < now:
        yield "the deadline has passed"
    elif until < now + CLOSE:
        yield "less than a day is left"
    if dispute.deadline_estimated:
        yield "the deadline is our estimate"
    if dispute.deadline_unsigned:
        yield "no signature covers the deadline"
