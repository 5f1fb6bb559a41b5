"""What people do about the answer to a dispute: submit now, accept, hold, put evidence to it, record what was given elsewhere.

A person and the clock write the same answer, each proving what it saw: one of them is first, and the other is told.
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from shared.disputes import deadlines, files, lifecycle
from shared.disputes.evidence import DIGITAL_SUBSCRIPTION, template
from shared.disputes.packet import ANYWHERE, NAME, least
from shared.domain import timeline
from shared.domain.answers import Act, Contest
from shared.domain.codec import encode
from shared.domain.disputes import GIVEN, Answer, AnswerAsked, AnswerState, Dispute, Supplied
from shared.domain.errors import Rejected
from shared.domain.events import DisputeStatus
from shared.domain.evidence import Document, Item, Own, Packet
from shared.domain.people import colleague
from shared.domain.privacy import mask
from shared.domain.telemetry import fact
from shared.flows.committing import Decision, Seen, change, write
from shared.flows.filing import dispute_of, key_of
from shared.flows.own_evidence import TEXT, own_of
from shared.flows.ports import Message, Ports
from shared.flows.respond_dispute import TOPIC, contest_of, told
from shared.flows.responding import Responder, takes_evidence

Acted = Callable[[Ports, str, str, str, str, datetime], Dispute]


class DisputeUnknown(Rejected):
    reason = "unknown_dispute"
    status = 404


class AnswerTaken(Rejected):
    """Somebody was faster, or nothing is asked. Answered 409."""

    reason = "not_now"
    status = 409


class PieceUnknown(Rejected):
    reason = "unknown_evidence"
    status = 404


class NotTaken(Rejected):
    """Evidence that would not be taken. Answered 422."""

    reason = "evidence_not_taken"
    status = 422


# What is put to one answer: live pieces, their bytes together, and all that ever were.
MOST_PIECES, MOST_BYTES, MOST_EVER = 8, 10_000_000, 30
LONGEST_TEXT = 20_000
"""Characters of a text."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Evidence about `item`: a text of `TEXT`, or a file that was read."""

    item: Item
    data: bytes = field(repr=False)
    media_type: str
    pages: int


def piece_of(item: Item, *, text: str | None = None, data: bytes | None = None) -> Piece:
    """A person's text, whole, with what names a person in it masked, or the bytes of their file. Raises NotTaken for a text that
    is too long, and for a file that is none."""
    if data is None:
        told = text or ""
        if len(told) > LONGEST_TEXT:
            raise NotTaken(
                f"a text has {LONGEST_TEXT} characters at most, and this one has {len(told)}: nothing of it was kept",
                reason="text_too_long",
            )
        return Piece(item, mask(told, LONGEST_TEXT).encode(), TEXT, 0)
    try:
        media_type, pages = files.read(data)
    except files.NotTaken as error:
        raise NotTaken(f"the file is not taken: {error}", reason="unreadable_file") from error
    return Piece(item, data, media_type, pages)


def submit(
    ports: Ports,
    provider: str,
    dispute_id: str,
    by: str,
    why: str,
    now: datetime,
    *,
    acknowledged: bool = False,
    looked_at: str | None = None,
) -> Dispute:
    """The best evidence that there is goes out now; an alert is answered without a refund. acknowledged: `by` agrees to what
    this contest costs. looked_at: the `mark` of what `by` has decided on.

    Raises DisputeUnknown, AnswerTaken for what is answered, on its way or not asked, and for what is not as it was looked at.
    """
    return _announced(ports, provider, dispute_id, by, why, now, Act.SUBMIT, by if acknowledged else None, looked_at)


def accept(
    ports: Ports, provider: str, dispute_id: str, by: str, why: str, now: datetime, *, looked_at: str | None = None
) -> Dispute:
    """The claim is accepted now; the payment of an alert is refunded, if that pays nothing twice. Raises as `submit`."""
    return _announced(ports, provider, dispute_id, by, why, now, Act.ACCEPT, None, looked_at)


def hold(
    ports: Ports,
    provider: str,
    dispute_id: str,
    by: str,
    why: str,
    now: datetime,
    until: datetime,
    *,
    looked_at: str | None = None,
) -> Dispute:
    """Nothing goes out until `until`; then it is decided anew. Raises as `submit`, and AnswerTaken for a hold that is over, and for one
    that would lose the case: one that leaves no six hours before the deadline."""

    def held(dispute: Dispute, answer: Answer) -> Answer:
        latest = dispute.respond_by - deadlines.SENT_BEFORE if dispute.respond_by else until
        if until <= now:
            raise AnswerTaken("it is held until an instant that lies ahead", reason="hold_past")
        if until > latest:
            raise AnswerTaken("the answer is not held for so long: its deadline would pass", reason="hold_too_long")
        return replace(answer, state=AnswerState.HELD, act=None, due_at=until, wake_at=until)

    return _changed(ports, provider, dispute_id, by, why, now, held, looked_at=looked_at)


def recorded_elsewhere(
    ports: Ports,
    provider: str,
    dispute_id: str,
    by: str,
    why: str,
    act: Act,
    at: datetime,
    now: datetime,
    *,
    looked_at: str | None = None,
) -> Dispute:
    """An answer to what is asked now was given `at` the provider by other ways. Raises as `submit`; of a dispute that is over
    there is nothing to record."""

    def elsewhere(dispute: Dispute, answer: Answer) -> Answer:
        given = _as_answered(dispute, act)
        told_at = min(at, now)
        # Many know the day alone, and nobody answers what is not asked yet.
        given_at = max(told_at, lifecycle.asked_since(dispute) or told_at)
        return replace(answer, state=AnswerState.ELSEWHERE, act=given, answered_at=given_at, wake_at=None)

    return _changed(ports, provider, dispute_id, by, why, now, elsewhere, late=True, looked_at=looked_at)


def _announced(
    ports: Ports,
    provider: str,
    dispute_id: str,
    by: str,
    why: str,
    now: datetime,
    act: Act,
    acknowledged_by: str | None,
    looked_at: str | None,
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

    return _changed(ports, provider, dispute_id, by, why, now, announced, looked_at=looked_at)


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
    looked_at: str | None = None,
) -> Dispute:
    """late: also of a dispute whose deadline has passed, as far as we know."""

    def decided(dispute: Dispute, before: Answer) -> Answer:
        # What was parked begins anew: with another packet, and not as the same request.
        fresh = replace(before, packet=None, intent=None, sent_at=None, done={}, code=None, told=None, tries=0)
        return replace(what(dispute, fresh), at=now, by=by, why=(why,), lease_until=None)

    return _committed(ports, provider, dispute_id, now, decided, late=late, looked_at=looked_at)


def supply(
    ports: Ports,
    provider: str,
    dispute_id: str,
    by: str,
    now: datetime,
    piece: Piece,
    responder: Responder | None,
) -> Dispute:
    """`piece` goes with the answer. A text takes the place of ours about its item, and of what a person wrote before; a file
    stands beside ours. What the platform has decided is decided anew with it; what a person has decided stays.

    The same piece again changes nothing that is sent. Raises as `submit`, NotTaken for what the provider would not have, and
    Unavailable.
    """
    if responder is None:
        raise NotTaken(f"{provider} takes answers on its own pages only: no evidence is sent there", reason="no_api")
    if not takes_evidence(responder):
        raise NotTaken(
            f"{provider} is told how a purchase was used, and takes neither texts nor files", reason="no_evidence"
        )
    digest = hashlib.sha256(piece.data).hexdigest()
    name = f"{piece.item}-{digest[:12]}"
    new = Supplied(
        item=piece.item,
        sha256=digest,
        media_type=piece.media_type,
        bytes=len(piece.data),
        pages=piece.pages,
        by=by,
        at=now,
    )
    dispute = dispute_of(ports.documents.get([key_of(provider, dispute_id)])[0])
    if dispute is None:
        raise _unknown()
    if dispute.alert is not None:
        raise NotTaken(
            "an alert is answered by a refund or by none: no evidence is sent to anybody", reason="no_evidence"
        )
    before = _free(dispute, now, late=False)
    after = _with(before.supplied if before else {}, name, new)
    # Before it is looked at with the others, and harmless where it is refused: nothing names it.
    ports.evidence.store(piece.data)
    if problems := _new_problems(dispute, after, ports, responder):
        raise NotTaken(f"{provider} would not take it: {'; '.join(problems)}")

    def supplied(dispute: Dispute, before: Answer) -> Answer:
        return _decided_anew(dispute, replace(before, supplied=_with(before.supplied, name, new)), now)

    return _committed(ports, provider, dispute_id, now, supplied)


def withdraw(ports: Ports, provider: str, dispute_id: str, by: str, now: datetime, name: str) -> Dispute:
    """The piece called `name` does not go with the answer. Who put it there, and who took it out, stays. Raises as `submit`,
    and PieceUnknown."""

    def without(dispute: Dispute, before: Answer) -> Answer:
        piece = before.supplied.get(name)
        if piece is None or piece.withdrawn_at is not None:
            raise PieceUnknown("no piece of this name goes with the answer")
        gone = replace(piece, withdrawn_by=by, withdrawn_at=now)
        return _decided_anew(dispute, replace(before, supplied={**before.supplied, name: gone}), now)

    return _committed(ports, provider, dispute_id, now, without)


def _with(supplied: Mapping[str, Supplied], name: str, new: Supplied) -> dict[str, Supplied]:
    """`supplied` and `new`, which takes the place of a text about the same item. Raises NotTaken where they are too many."""
    found = dict(supplied)
    if new.media_type == TEXT:
        for key, one in found.items():
            if one.item is new.item and one.media_type == TEXT and one.withdrawn_at is None and key != name:
                found[key] = replace(one, withdrawn_by=new.by, withdrawn_at=new.at)
    there = found.get(name)
    if there is None or there.withdrawn_at is not None:
        found[name] = new
    live = [one for one in found.values() if one.withdrawn_at is None]
    if len(live) > MOST_PIECES or sum(one.bytes for one in live) > MOST_BYTES or len(found) > MOST_EVER:
        raise NotTaken(
            f"an answer has {MOST_PIECES} pieces of people's own at most, {MOST_BYTES} bytes together, and {MOST_EVER} with"
            " those that were withdrawn",
            reason="too_much_evidence",
        )
    return found


# What ours say of an item at most, and of those with a line for each day, payment or message.
_LONG, _LONGEST = 300, 1_200
_IN_LINES = frozenset({Item.USAGE, Item.PRIOR_PAYMENTS, Item.MESSAGES, Item.REFUNDS})


def _new_problems(dispute: Dispute, supplied: Mapping[str, Supplied], ports: Ports, responder: Responder) -> list[str]:
    """What the provider would not take of these pieces, beside ours as large as it may have to be: what it says of that is not
    these pieces' fault."""
    own = own_of(supplied, ports)
    needed = least(own.texts)
    if needed.pages > ANYWHERE.pages or needed.bytes > ANYWHERE.bytes:
        return [f"with these texts ours has some {needed.pages} pages: at most {ANYWHERE.pages} are taken"]
    known = set(responder.problems(_with_ours(dispute, Own())))
    return [one for one in responder.problems(_with_ours(dispute, own)) if one not in known]


def _with_ours(dispute: Dispute, own: Own) -> Contest:
    """An answer of `own` evidence and what stands in for ours."""
    asked, needed = template(DIGITAL_SUBSCRIPTION, dispute.reason, dispute.network), least(own.texts)
    ours = {item: "x" * (_LONGEST if item in _IN_LINES else _LONG) for item in asked.items}
    document = Document(
        name=NAME,
        media_type="application/pdf",
        data=b"%PDF-1.4".ljust(needed.bytes),
        pages=needed.pages,
        items=tuple({**ours, **own.texts}),
    )
    packet = Packet(
        digest="",
        template=asked.name,
        completeness=0.0,
        texts={**ours, **own.texts},
        documents=(document, *own.documents),
    )
    return contest_of(dispute, Act.SUBMIT, "", packet)


def _decided_anew(dispute: Dispute, answer: Answer, now: datetime) -> Answer:
    """`answer` as the platform has to look at it again: with other evidence it decides otherwise, and what it could not send it
    may be able to. What a person has sent off goes, what is held is held, and what may have arrived is not begun again."""
    theirs = answer.state is AnswerState.HELD or (
        answer.state is AnswerState.ANNOUNCED and deadlines.is_due(dispute, answer, now)
    )
    if theirs or answer.sent_at is not None:
        return answer
    anew = replace(answer, wake_at=now, packet=None, done={}, code=None, told=None, tries=0)
    if answer.by_person and answer.act is Act.SUBMIT:
        # It could not be sent as it was: what they have decided is done with what there is now.
        return replace(anew, state=AnswerState.ANNOUNCED, due_at=now)
    return answer if answer.by_person else replace(anew, state=AnswerState.ASKED, act=None, due_at=None)


def _unknown() -> DisputeUnknown:
    return DisputeUnknown("no dispute of this name was ever told of")


def _committed(
    ports: Ports,
    provider: str,
    dispute_id: str,
    now: datetime,
    what: Callable[[Dispute, Answer], Answer],
    *,
    late: bool = False,
    looked_at: str | None = None,
) -> Dispute:
    """`what` becomes of the answer that a person may change, written and told, and gone on with where something is to be done."""
    key = key_of(provider, dispute_id)

    def decide(seen: Seen) -> Decision[tuple[Dispute, str]]:
        dispute = dispute_of(seen[key])
        if dispute is None:
            raise _unknown()
        blank = Answer(state=AnswerState.ASKED, stage=dispute.stage, at=now, changes=0)
        before = _free(dispute, now, late=late) or blank
        if looked_at not in (None, mark(dispute)):
            raise AnswerTaken(
                f"meanwhile it is {before.state}, by {colleague(before.by) or 'the clock'}: look at it again, nothing was done",
                reason="changed_meanwhile",
            )
        mine = replace(what(dispute, before), changes=before.changes + 1, words=before.words + 1)
        assert dispute.round is not None
        after = lifecycle.settle(replace(dispute, answers={**dispute.answers, dispute.round: mine}))
        return Decision((after, dispute.round), [write(key, seen[key], timeline.compact(after))])

    after, round_ = change(ports.documents, [key], decide)
    messages = list(told(after, round_, ports).messages)
    if after.answers[round_].state in (AnswerState.ANNOUNCED, AnswerState.ASKED):
        asked = AnswerAsked(provider=provider, dispute_id=dispute_id, round=round_)
        messages.append(Message(TOPIC, encode(asked), {"provider": provider, "action": "answer"}))
    ports.bus.publish(messages)
    fact("answer_changed_by_person", provider=provider, dispute_id=dispute_id, state=after.answers[round_].state)
    return after


def mark(dispute: Dispute) -> str:
    """Of the answer as it stands: another one as soon as anybody, a person or the clock, has changed it."""
    return f"{dispute.round or ''}:{dispute.answer.changes if dispute.answer else 0}"


_UNRULED = frozenset({DisputeStatus.NEEDS_RESPONSE, DisputeStatus.UNDER_REVIEW, DisputeStatus.EXPIRED})
"""Where an answer may have been given that we have not heard of."""


def _free(dispute: Dispute, now: datetime, *, late: bool) -> Answer | None:
    """The answer that a person may change. Raises AnswerTaken."""
    answer = dispute.answer
    if answer is not None and answer.state in GIVEN:
        raise AnswerTaken("the answer is given: the dispute is answered", reason="answered")
    if answer is not None and answer.state is AnswerState.SENDING:
        raise AnswerTaken("the answer is on its way", reason="on_its_way")
    if not deadlines.is_ours(dispute) and not (late and dispute.status in _UNRULED):
        raise AnswerTaken("the answer is not asked for: the provider waits for none of ours", reason="nothing_asked")
    is_over = dispute.respond_by is not None and now > dispute.respond_by and not dispute.deadline_estimated
    if is_over and not late:
        raise AnswerTaken("its deadline has passed: the provider takes no answer any more", reason="too_late")
    return answer
