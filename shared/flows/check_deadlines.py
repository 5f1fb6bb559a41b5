"""What is due on disputes is done: remind, have them answered, expire, look for the payment. Each once, however often this
runs."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from shared.disputes import deadlines, lifecycle
from shared.disputes.deadlines import LEASE, LOOKS, REMINDING, Task
from shared.domain import timeline
from shared.domain.codec import encode
from shared.domain.disputes import (
    Action,
    ActionState,
    Answer,
    AnswerAsked,
    AnswerState,
    Case,
    Dispute,
    DisputeReminder,
    ExpiredCause,
    Rung,
)
from shared.domain.entitlements import Suspends
from shared.domain.errors import Unreadable
from shared.domain.telemetry import alarm, fact, failure
from shared.flows.committing import Decision, Seen, change, write
from shared.flows.entitlements import entitlement_messages
from shared.flows.filing import COLLECTION, Filed, dispute_of, filed, linked
from shared.flows.labels import label_messages, told_of
from shared.flows.ports import Key, Message, Ports, Snapshot, Write
from shared.flows.track_dispute import message

TOPIC = "dispute-actions"
PAGE = 100
MOST = 2_000
"""Disputes that one run handles: it ends in its time though each were a commit of its own at a tenth of a second, and
twelve runs an hour are 24,000."""
# Pub/Sub repeats by itself what is not acknowledged; after that long it has given up.
ASKED_AGAIN = timedelta(minutes=30)
# What the warehouse is told of: the dispute has become another.
_UPDATES = (Rung.EXPIRE, Rung.LINK)


@dataclass(frozen=True, slots=True)
class Summary:
    """What one run did: disputes looked at, and actions by rung, of those that were told to the world."""

    looked_at: int = 0
    done: dict[str, int] = field(default_factory=dict)


def check_deadlines(ports: Ports, now: datetime, suspends: Suspends = Suspends.NOTHING) -> Summary:
    """Do what is due by `now`, that of MOST disputes at most, and read nothing else; the next run goes on from there.

    Each action is claimed in its dispute by version, with a lease; then published under an id of its own; then
    marked done. A run that dies in between leaves the claims of one page, and the run after the lease publishes the same
    ids again. A page of reminders and of answers that are asked for is a query, two commits, a publish and a read.
    Raises Unavailable; what was claimed until then is done by a later run.
    """
    looked_at = missed = handled = 0
    done: dict[str, int] = {}
    for fresh in _pages(ports, now):
        looked_at += len(fresh)
        claims = _claimed(fresh, ports, now)
        messages = [message for claim in claims for message in claim.messages]
        # Of a payment by another name nobody knew whose it was.
        linked = [labels for claim in claims for labels in told_of((), claim.linked)]
        if messages := [*messages, *entitlement_messages(linked, suspends, ports.documents)]:
            ports.bus.publish(messages)
        for claim in claims:
            claim.tell()
            done[claim.rung] = done.get(claim.rung, 0) + 1
            missed += claim.missed
        _mark(claims, ports)
        # Those that cannot be handled must not use up what a run may do.
        handled += len({claim.dispute for claim in claims})
        if handled >= MOST:
            break
    by_rung = {f"done_{rung}": count for rung, count in done.items()}
    fact("deadlines_checked", looked_at=looked_at, missed=missed, **by_rung)
    return Summary(looked_at, done)


@dataclass(frozen=True, slots=True)
class _Claim:
    """An action that is ours to do: publish `messages`, mark `key` in `dispute`, `tell` the log. missed: a deadline that
    could have been met. linked: the disputes of a payment that has become known."""

    dispute: Key
    key: str
    rung: Rung
    messages: Sequence[Message]
    tell: Callable[[], None]
    missed: bool = False
    linked: Sequence[tuple[Dispute, Case | None]] = ()


def _pages(ports: Ports, now: datetime) -> Iterator[list[Snapshot]]:
    """What is due, each dispute once, page by page, each page read when the one before is done.

    A dispute that cannot be handled stays due: it is looked at once a run, and the page grows by as many of those as
    stand in front, for a hundred of them must not hide the rest.
    """
    looked_at: set[Key] = set()
    limit = PAGE
    while True:
        due = ports.documents.due(COLLECTION, "next_action_at", now, limit)
        fresh = [snapshot for snapshot in due if snapshot.key not in looked_at]
        looked_at.update(snapshot.key for snapshot in fresh)
        yield fresh
        if len(due) < limit:
            return
        limit = PAGE + len(due) - len(fresh)


def _claimed(page: Sequence[Snapshot], ports: Ports, now: datetime) -> list[_Claim]:
    """Claim all that is due on the disputes of `page`: in one commit on those of which it concerns nobody else, and where it
    is news of a case too, in one for each, for two of them may stand in one case."""
    readable = [(snapshot, dispute) for snapshot in page if (dispute := _dispute(snapshot)) is not None]
    together = [snapshot for snapshot, dispute in readable if _concerns_it_alone(dispute, now)]
    apart = [snapshot for snapshot, dispute in readable if not _concerns_it_alone(dispute, now)]

    def decide(seen: Seen) -> Decision[list[_Claim]]:
        claims: list[_Claim] = []
        writes: list[Write] = []
        for snapshot in together:
            # Looked at only where it is written: the others need no proof that they stayed as they were.
            dispute = _dispute(seen.glance(snapshot.key))
            if dispute is not None and _due(dispute, now) and _concerns_it_alone(dispute, now):
                decided = _decided_on(dispute, snapshot.key, seen, now)
                claims += decided.result
                writes += decided.writes
        return Decision(claims, writes)

    claims = change(ports.documents, [one.key for one in together], decide, already_read=together) if together else []
    for snapshot in apart:
        claims += _claimed_apart(snapshot, ports, now)
    return claims


def _claimed_apart(snapshot: Snapshot, ports: Ports, now: datetime) -> list[_Claim]:
    def decide(seen: Seen) -> Decision[list[_Claim]]:
        dispute = _dispute(seen[snapshot.key])
        return _decided_on(dispute, snapshot.key, seen, now) if dispute and _due(dispute, now) else Decision([])

    try:
        return change(ports.documents, [snapshot.key], decide, already_read=[snapshot])
    except Unreadable as error:
        # Another document of its case.
        _cannot_be_read(snapshot.key, error)
        return []


def _dispute(snapshot: Snapshot | None) -> Dispute | None:
    """The dispute in a stored document; None, which is told, for one that cannot be read: it holds up no other."""
    try:
        return dispute_of(snapshot)
    except Unreadable as error:
        if snapshot is not None:
            _cannot_be_read(snapshot.key, error)
        return None


def _cannot_be_read(key: Key, error: Unreadable) -> None:
    failure("dispute_unreadable", error, dispute=key.id)


def _due(dispute: Dispute, now: datetime) -> list[Task]:
    return [task for task in deadlines.tasks(dispute) if task.due <= now]


def _concerns_it_alone(dispute: Dispute, now: datetime) -> bool:
    """Whether nothing that is due on `dispute` is news of its case too."""
    return all(task.rung is Rung.ANSWER or task.rung in REMINDING for task in _due(dispute, now))


def _decided_on(before: Dispute, at: Key, seen: Seen, now: datetime) -> Decision[list[_Claim]]:
    """What is due on `before`, claimed."""
    due = _due(before, now)
    asks = any(task.rung is Rung.ANSWER for task in due)
    due = [task for task in due if task.rung is not Rung.ANSWER]
    found = before if _concerns_it_alone(before, now) else linked(before, seen)
    actions = _decided(found, due, now)
    round_ = deadlines.pursued(before) if asks else None
    answers = {**before.answers, round_: _asked(before, round_, now)} if round_ else before.answers
    after = lifecycle.settle(replace(found, actions={**before.actions, **actions}, answers=answers))
    asked = [_asking(at, after, round_)] if round_ else []
    ours = {key: action for key, action in actions.items() if action.state is ActionState.CLAIMED}
    if any(action.rung in _UPDATES for action in ours.values()):
        # Only who publishes what a case has become may change it.
        done = filed(after, seen)
    else:
        done = Filed([write(at, seen[at], timeline.compact(after))], [(after, None)])
    claims = [_claim(at, key, action, done.rows) for key, action in ours.items()]
    return Decision([*claims, *asked], done.writes)


def _asked(dispute: Dispute, round_: str, now: datetime) -> Answer:
    """The answer that is due, asked for; and again when nobody has gone on with it for a while."""
    blank = Answer(state=AnswerState.ASKED, stage=dispute.stage, at=now, changes=0)
    answer = dispute.answers.get(round_) or blank
    again = deadlines.in_time(dispute, ASKED_AGAIN, now)
    return replace(answer, wake_at=now + again, changes=answer.changes + 1)


def _asking(at: Key, dispute: Dispute, round_: str) -> _Claim:
    asked = AnswerAsked(provider=dispute.provider, dispute_id=dispute.dispute_id, round=round_)
    asking = Message(TOPIC, encode(asked), {"provider": dispute.provider, "action": "answer"})
    ids = {"provider": dispute.provider, "dispute_id": dispute.dispute_id}
    return _Claim(at, Rung.ANSWER, Rung.ANSWER, [asking], lambda: fact("answer_asked", **ids))


def _decided(dispute: Dispute, due: Sequence[Task], now: datetime) -> dict[str, Action]:
    """The actions that `due` become."""
    remind = deadlines.tightest(due)
    expires = any(task.rung is Rung.EXPIRE for task in due)
    decided: dict[str, Action] = {}

    def become(task: Task, state: ActionState) -> None:
        before = dispute.actions.get(task.key)
        is_claimed = state is ActionState.CLAIMED
        decided[task.key] = Action(
            rung=task.rung,
            state=state,
            at=before.at if before else now,
            lease_until=now + LEASE if is_claimed else None,
            cause=(before.cause if before else deadlines.expired_cause(dispute)) if task.rung is Rung.EXPIRE else None,
        )

    for task in due:
        if task.rung in REMINDING:
            become(task, ActionState.CLAIMED if task == remind and not expires else ActionState.SUPERSEDED)
        elif task.rung in LOOKS:
            # The last look speaks up, so it must not be lost; the others only look.
            last = task.rung is Rung.LOOK_LAST and dispute.linked_to is None
            become(task, ActionState.CLAIMED if last else ActionState.DONE)
        else:
            become(task, ActionState.CLAIMED)
    if dispute.linked_to is not None and any(task.rung in LOOKS for task in due):
        become(Task(now, Rung.LINK, Rung.LINK), ActionState.CLAIMED)
    return decided


def _claim(at: Key, key: str, action: Action, rows: Sequence[tuple[Dispute, Case | None]]) -> _Claim:
    """`action` on the dispute of the first of `rows`; the others are those of its case."""
    dispute, _ = rows[0]
    ids = {"provider": dispute.provider, "dispute_id": dispute.dispute_id, "payment_id": dispute.payment_id}
    action_id = f"{dispute.provider}:{dispute.dispute_id}/{key}"
    rung = action.rung

    def updated(occurred_at: datetime) -> list[Message]:
        return [
            message(
                lifecycle.update_of(
                    one,
                    case,
                    update_id=action_id if one is dispute else f"{action_id}/{one.dispute_id}",
                    event_id=None,
                    occurred_at=occurred_at,
                )
            )
            for one, case in rows
        ]

    if rung is Rung.EXPIRE and dispute.respond_by is not None:
        return _Claim(
            at,
            key,
            rung,
            updated(dispute.respond_by),
            lambda: alarm("deadline_missed", cause=action.cause, **ids),
            missed=action.cause is not ExpiredCause.TOLD_TOO_LATE,
        )
    if rung is Rung.LINK:
        # Labels are told of a payment by its own name.
        linked = [*updated(action.at), *label_messages((), rows)]
        return _Claim(at, key, rung, linked, lambda: fact("dispute_linked", **ids), linked=rows)
    if rung is Rung.LOOK_LAST:
        return _Claim(at, key, rung, (), lambda: alarm("dispute_without_payment", **ids))
    reminder = [_reminder(action_id, rung, dispute)]
    if rung in (Rung.NO_DEADLINE, Rung.ESTIMATE_OVER):
        return _Claim(at, key, rung, reminder, lambda: alarm("dispute_without_deadline", rung=rung, **ids))
    return _Claim(at, key, rung, reminder, lambda: fact("dispute_reminded", rung=rung, **ids))


def _reminder(action_id: str, rung: Rung, dispute: Dispute) -> Message:
    if dispute.respond_by is None:
        raise ValueError("nobody is reminded of a deadline that is not known")
    reminder = DisputeReminder(
        action_id=action_id,
        rung=rung,
        provider=dispute.provider,
        account=dispute.account,
        dispute_id=dispute.dispute_id,
        answer_id=dispute.answer_id,
        payment_id=dispute.payment_id,
        stage=dispute.stage,
        respond_by=dispute.respond_by,
        respond_by_text=dispute.respond_by_text,
        deadline_unsigned=dispute.deadline_unsigned,
        deadline_estimated=dispute.deadline_estimated,
        answered_by=dispute.answered_by,
        contest_fee=dispute.contest_fee,
        amount=dispute.amount,
        reason=dispute.reason,
        reason_code=dispute.reason_code,
        network=dispute.network,
    )
    return Message(TOPIC, encode(reminder), {"provider": dispute.provider, "action": "remind", "rung": rung})


def _mark(claims: Sequence[_Claim], ports: Ports) -> None:
    """The world knows: what was claimed is done. That an answer was asked for is marked by its own clock."""
    told: dict[Key, set[str]] = {}
    for claim in claims:
        if claim.rung is not Rung.ANSWER:
            told.setdefault(claim.dispute, set()).add(claim.key)
    if not told:
        return

    def decide(seen: Seen) -> Decision[None]:
        writes: list[Write] = []
        for key, names in told.items():
            dispute = _dispute(seen.glance(key))
            if dispute is None:
                continue
            done = {
                name: replace(dispute.actions[name], state=ActionState.DONE, lease_until=None)
                for name in sorted(names & dispute.actions.keys())
            }
            after = lifecycle.settle(replace(dispute, actions={**dispute.actions, **done}))
            if after != dispute:
                writes.append(write(key, seen[key], timeline.compact(after)))
        return Decision(None, writes)

    change(ports.documents, list(told), decide)
