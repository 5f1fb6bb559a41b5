"""What a dispute asks of us next, and when: a pure function of the dispute, so that whoever writes it can say it.

A deadline is the last instant at which evidence is accepted: at that instant there is still time, a microsecond
later there is none. Everything here compares instants; zones and calendars were settled by the provider's adapter.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from shared.domain.codec import utc_text
from shared.domain.disputes import ActionState, Answer, AnsweredBy, AnswerState, Dispute, ExpiredCause, Rung
from shared.domain.events import DisputeStatus

# From wide to tight: of several that are due together only the last says what matters.
REMINDERS = {
    Rung.WEEK: timedelta(days=7),
    Rung.THREE_DAYS: timedelta(days=3),
    Rung.DAY: timedelta(hours=24),
    Rung.SIX_HOURS: timedelta(hours=6),
}
# What is sent to people, from wide to tight; the first and the last where the deadline is an estimate.
REMINDING = (Rung.NO_DEADLINE, *REMINDERS, Rung.ESTIMATE_OVER)
# Payment and dispute travel separately; a day is past every provider's quick retries.
LOOKS = {
    Rung.LOOK_SOON: timedelta(minutes=10),
    Rung.LOOK_AGAIN: timedelta(hours=1),
    Rung.LOOK_LAST: timedelta(hours=24),
}
# A provider may tell of a dispute and of its deadline in two messages.
NAMED_WITHIN = timedelta(minutes=10)
# Longer than a run takes from its claim to its mark, short beside the tightest rung.
LEASE = timedelta(minutes=5)
# What else is told of a payment and a dispute has mostly come by then.
DECIDED_AFTER = timedelta(hours=1)
# The last instant for an answer to set out, if nobody chose another.
SENT_BEFORE = timedelta(hours=6)
# The clock looks every five minutes.
SHORTEST_WAIT = timedelta(minutes=1)
_JUST_AFTER = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Task:
    """`rung` is to be done at `due`; `key` is its name in `dispute.actions`, unique to this deadline."""

    due: datetime
    rung: Rung
    key: str


def tasks(dispute: Dispute) -> list[Task]:
    """Everything still to be done by check_deadlines, if nobody tells us anything new; in no order."""
    if dispute.same_as is not None:
        return []
    found = []
    if is_awaiting(dispute) and dispute.respond_by is not None:
        found += [_task(dispute, rung, dispute.respond_by - before) for rung, before in REMINDERS.items()]
        over = dispute.respond_by + _JUST_AFTER
        if dispute.deadline_estimated:
            # Nobody expires a dispute by a guess.
            heard_at = dispute.deadline_heard_at or dispute.respond_by
            found.append(_task(dispute, Rung.NO_DEADLINE, heard_at + NAMED_WITHIN))
            found.append(_task(dispute, Rung.ESTIMATE_OVER, over))
        else:
            found.append(_task(dispute, Rung.EXPIRE, over))
    if (round_ := pursued(dispute)) is not None:
        answer = dispute.answers.get(round_)
        due = asked_at(dispute, answer) if answer else decided_at(dispute)
        found.append(None if due is None else Task(due, Rung.ANSWER, Rung.ANSWER))
    if dispute.status is DisputeStatus.EXPIRED and dispute.told_status is not DisputeStatus.EXPIRED:
        found.append(_task(dispute, Rung.EXPIRE, None))
    if dispute.linked_to is not None:
        found.append(_task(dispute, Rung.LINK, None))
    elif dispute.heard_at is not None:
        found += [_task(dispute, rung, dispute.heard_at + after) for rung, after in LOOKS.items()]
    return [task for task in found if task is not None]


def schedule(dispute: Dispute) -> datetime | None:
    """When the next of them is due."""
    return min((task.due for task in tasks(dispute)), default=None)


def is_awaiting(dispute: Dispute) -> bool:
    """Whether the provider waits for our answer and would take one."""
    return dispute.status is DisputeStatus.NEEDS_RESPONSE and dispute.can_respond


def is_ours(dispute: Dispute) -> bool:
    """Whether the provider waits for an answer, and for ours: where it answers in our name we do not."""
    return is_awaiting(dispute) and dispute.answered_by is AnsweredBy.US


def pursued(dispute: Dispute) -> str | None:
    """The round whose answer is to be gone on with: first one on its way of which nobody knows yet whether it arrived, though
    the provider may ask for another one by now; else the present one, where it asks for ours."""
    unproved = sorted(name for name, one in dispute.answers.items() if one.state is AnswerState.SENDING)
    present = dispute.round if is_ours(dispute) else None
    return next(iter(unproved), present)


def asked_at(dispute: Dispute, answer: Answer) -> datetime | None:
    """When the clock asks for `answer`: when it was to be, but of one that nobody asked for yet in time for the deadline there
    is now, which may have become an earlier one."""
    return goes_at(dispute, answer) if answer.wake_at == answer.due_at else answer.wake_at


def goes_at(dispute: Dispute, answer: Answer) -> datetime | None:
    """When an answer that was announced sets out, and one that is held is decided anew; None of any other."""
    if answer.due_at is None or dispute.respond_by is None:
        return answer.due_at
    return min(answer.due_at, dispute.respond_by - SENT_BEFORE)


def is_due(dispute: Dispute, answer: Answer, now: datetime) -> bool:
    """Whether the instant of `goes_at` has come."""
    due_at = goes_at(dispute, answer)
    return due_at is not None and due_at <= now


def in_time(dispute: Dispute, wait: timedelta, now: datetime) -> timedelta:
    """`wait`, or less where so many waits would use up the time until the deadline: then a quarter of what is left."""
    if dispute.respond_by is None or dispute.respond_by <= now:
        return wait
    return min(wait, max((dispute.respond_by - now) / 4, SHORTEST_WAIT))


def decided_at(dispute: Dispute) -> datetime | None:
    """When the answer is decided on: soon, and in time to be sent in time."""
    heard_at = dispute.deadline_heard_at or dispute.heard_at
    if heard_at is None or dispute.respond_by is None:
        return heard_at + DECIDED_AFTER if heard_at else None
    return min(heard_at + DECIDED_AFTER, max(heard_at, dispute.respond_by - SENT_BEFORE))


def action_key(dispute: Dispute, rung: Rung) -> str:
    """One action per dispute, or per deadline of it: a new stage or a new deadline starts a new ladder.

    An expiry is also one of what was known in time: if anything else of the dispute was heard before its deadline, by
    anybody's clock, then the clock that saw the deadline pass was wrong, and the expiry is none.
    """
    if rung in LOOKS or rung is Rung.LINK or dispute.respond_by is None:
        return rung
    key = f"{dispute.stage or 'unknown'}/{utc_text(dispute.respond_by)}/{rung}"
    if rung is not Rung.EXPIRE:
        return key
    return f"{key}/{sum(fact.heard_at <= dispute.respond_by for fact in dispute.facts.values())}"


def tightest(due: Iterable[Task]) -> Task | None:
    """The reminder to send when all of `due` are."""
    reminders = [task for task in due if task.rung in REMINDING]
    return max(reminders, key=lambda task: REMINDING.index(task.rung), default=None)


def expired_cause(dispute: Dispute) -> ExpiredCause:
    """Why the deadline of `dispute` passed without an answer."""
    if dispute.respond_by is None or dispute.deadline_heard_at is None:
        raise ValueError("a dispute without a deadline does not expire")
    if dispute.deadline_heard_at > dispute.respond_by - REMINDERS[Rung.SIX_HOURS]:
        return ExpiredCause.TOLD_TOO_LATE
    keys = {action_key(dispute, rung) for rung in REMINDERS}
    reminded = any(action.state is ActionState.DONE for key, action in dispute.actions.items() if key in keys)
    return ExpiredCause.NOBODY_ANSWERED if reminded else ExpiredCause.NOT_REMINDED


def _task(dispute: Dispute, rung: Rung, due: datetime | None) -> Task | None:
    """`rung` at `due`, or when the lease runs out if somebody has claimed it; None when it is over."""
    key = action_key(dispute, rung)
    action = dispute.actions.get(key)
    if action is not None:
        due = action.lease_until if action.state is ActionState.CLAIMED else None
    return None if due is None else Task(due, rung, key)
