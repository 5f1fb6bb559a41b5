"""What people do about the answer to a dispute: submit now, accept, hold, record what was given elsewhere.

A person and the clock write the same answer, each proving what it saw: one of them is first, and the other is told.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from shared.disputes import deadlines, lifecycle
from shared.domain import timeline
from shared.domain.answers import Act
from shared.domain.codec import encode
from shared.domain.disputes import GIVEN, Answer, AnswerAsked, AnswerState, Dispute
from shared.domain.errors import Rejected
from shared.domain.telemetry import fact
from shared.flows.committing import Decision, Seen, change, write
from shared.flows.filing import dispute_of, key_of
from shared.flows.ports import Message, Ports
from shared.flows.respond_dispute import TOPIC, told

Acted = Callable[[Ports, str, str, str, str, datetime], Dispute]


class DisputeUnknown(Rejected):
    reason = "unknown_dispute"
    status = 404


class AnswerTaken(Rejected):
    """Somebody was faster, or nothing is asked. Answered 409."""

    reason = "not_now"
    status = 409


def submit(
    ports: Ports, provider: str, dispute_id: str, by: str, why: str, now: datetime, *, acknowledged: bool = False
) -> Dispute:
    """The best evidence that there is goes out now; an alert is answered without a refund. acknowledged: `by` agrees to what
    this contest costs.

    Raises DisputeUnknown, AnswerTaken for what is answered, on its way or not asked.
    """
    return _announced(ports, provider, dispute_id, by, why, now, Act.SUBMIT, by if acknowledged else None)


def accept(ports: Ports, provider: str, dispute_id: str, by: str, why: str, now: datetime) -> Dispute:
    """The claim is accepted now; the payment of an alert is refunded, if that pays nothing twice. Raises as `submit`."""
    return _announced(ports, provider, dispute_id, by, why, now, Act.ACCEPT, None)


def hold(ports: Ports, provider: str, dispute_id: str, by: str, why: str, now: datetime, until: datetime) -> Dispute:
    """Nothing goes out until `until`; then it is decided anew. Raises as `submit`, and AnswerTaken for a hold that would lose
    the case: one that leaves no six hours before the deadline."""

    def held(dispute: Dispute, answer: Answer) -> Answer:
        latest = dispute.respond_by - deadlines.SENT_BEFORE if dispute.respond_by else until
        if until > latest or until <= now:
            raise AnswerTaken("the answer is not held for so long: its deadline would pass", reason="hold_too_long")
        return replace(answer, state=AnswerState.HELD, act=None, due_at=until, wake_at=until)

    return _changed(ports, provider, dispute_id, by, why, now, held)


def recorded_elsewhere(
    ports: Ports, provider: str, dispute_id: str, by: str, why: str, act: Act, at: datetime, now: datetime
) -> Dispute:
    """An answer was given `at` the provider by other ways. Raises as `submit`."""

    def elsewhere(dispute: Dispute, answer: Answer) -> Answer:
        given = _as_answered(dispute, act)
        return replace(answer, state=AnswerState.ELSEWHERE, act=given, answered_at=min(at, now), wake_at=None)

    return _changed(ports, provider, dispute_id, by, why, now, elsewhere, late=True)


def _announced(
    ports: Ports,
    provider: str,
    dispute_id: str,
    by: str,
    why: str,
    now: datetime,
    act: Act,
    acknowledged_by: str | None,
) -> Dispute:
    def announced(dispute: Dispute, answer: Answer) -> Answer:
        return replace(
            answer,
            state=AnswerState.ANNOUNCED,
            act=_as_answered(dispute, act),
            due_at=now,
            wake_at=now,
            acknowledged_by=acknowledged_by,
        )

    return _changed(ports, provider, dispute_id, by, why, now, announced)


def _as_answered(dispute: Dispute, act: Act) -> Act:
    """There is no evidence to submit against an alert: whoever would fight it declines to refund."""
    return Act.DECLINE if dispute.alert and act is Act.SUBMIT else act


def _changed(
    ports: Ports,
    provider: str,
    dispute_id: str,
    by: str,
    why: str,
    now: datetime,
    what: Callable[[Dispute, Answer], Answer],
    *,
    late: bool = False,
) -> Dispute:
    """late: also of a dispute whose deadline has passed, as far as we know."""
    key = key_of(provider, dispute_id)

    def decide(seen: Seen) -> Decision[tuple[Dispute, str]]:
        dispute = dispute_of(seen[key])
        if dispute is None:
            raise DisputeUnknown("no dispute of this name was ever told of")
        answer = _free(dispute, late=late)
        blank = Answer(state=AnswerState.ASKED, stage=dispute.stage, at=now, changes=0)
        before = answer or blank
        # What was parked begins anew: with another packet, and not as the same request.
        fresh = replace(before, packet=None, intent=None, sent_at=None, done={}, code=None, told=None, tries=0)
        mine = replace(
            what(dispute, fresh),
            at=now,
            by=by,
            why=(why,),
            lease_until=None,
            changes=before.changes + 1,
            words=before.words + 1,
        )
        assert dispute.round is not None
        after = lifecycle.settle(replace(dispute, answers={**dispute.answers, dispute.round: mine}))
        return Decision((after, dispute.round), [write(key, seen[key], timeline.compact(after))])

    after, round_ = change(ports.documents, [key], decide)
    messages = list(told(after, round_, ports).messages)
    if after.answers[round_].state is AnswerState.ANNOUNCED:
        asked = AnswerAsked(provider=provider, dispute_id=dispute_id, round=round_)
        messages.append(Message(TOPIC, encode(asked), {"provider": provider, "action": "answer"}))
    ports.bus.publish(messages)
    fact("answer_changed_by_person", provider=provider, dispute_id=dispute_id, state=after.answers[round_].state)
    return after


def _free(dispute: Dispute, *, late: bool) -> Answer | None:
    """The answer that a person may change. Raises AnswerTaken."""
    answer = dispute.answer
    if answer is not None and answer.state in GIVEN:
        raise AnswerTaken("the answer is given: the dispute is answered", reason="answered")
    if answer is not None and answer.state is AnswerState.SENDING:
        raise AnswerTaken("the answer is on its way", reason="on_its_way")
    if not deadlines.is_ours(dispute) and not (late and dispute.status is not None):
        raise AnswerTaken("the answer is not asked for: the provider waits for none of ours", reason="nothing_asked")
    return answer
