"""One dispute: how it came to stand where it does, what there is to answer it with, and what a person may do about it.

What nobody can take back (an answer that goes out, a claim that is accepted) has a page of its own that says what comes of it, and
takes two people where it is large, or costs more than the ordinary fees.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from html import escape
from typing import Any
from zoneinfo import ZoneInfo

from shared.console.pages.disputes import MINE, NOBODY, path_of, whose
from shared.console.site import File, Site, Visit, Went, address, done, link, whole_number
from shared.disputes import evidence
from shared.disputes.deadlines import is_ours
from shared.disputes.evidence import DIGITAL_SUBSCRIPTION, SOURCES, Source
from shared.disputes.packet import ANYWHERE, PDF, TITLES, written
from shared.disputes.queue import is_open
from shared.domain.answers import Act
from shared.domain.codec import to_document
from shared.domain.disputes import AnswerState, Dispute, Supplied
from shared.domain.errors import PayInError, Rejected
from shared.domain.events import DisputeStage
from shared.domain.evidence import Item, Packet
from shared.domain.money import Money
from shared.domain.payments import Payment
from shared.domain.people import NotAllowed, Role, colleague
from shared.domain.privacy import mask
from shared.domain.reference_amount import reference_minor
from shared.flows import cases
from shared.flows.answering import (
    LONGEST_TEXT,
    AnswerTaken,
    accept,
    hold,
    mark,
    piece_of,
    recorded_elsewhere,
    submit,
    supply,
    withdraw,
)
from shared.flows.approvals import GOOD_FOR, Approval, Stand, ask, good_until, waiting
from shared.flows.dispute_desk import view
from shared.flows.evidence import kept
from shared.flows.keep_evidence import COLLECTION as USAGE
from shared.flows.keep_evidence import usage_of
from shared.flows.ports import Key, Ports
from shared.flows.record_payment import payment_of
from shared.flows.respond_dispute import contest_of
from shared.flows.teamwork import LONGEST, Comment, assign, comment, comments
from shared.operations.finding import Found, Kind
from shared.operations.stories import Story, kept_story, pauses, story
from shared.runtime.answers import prepared
from shared.runtime.responders import check_acceptance, responder, responder_of

AHEAD = timedelta(minutes=5)
"""So far may the clock of who records an answer be ahead of ours."""
FINAL = {Act.SUBMIT: "dispute submit", Act.ACCEPT: "dispute accept"}
KEPT_FOR = 10 * GOOD_FOR
"""An approval's document goes then; the audit keeps what was said."""
_ONE = "<provider>/<name:dispute_id>"


SAID_HERE, SAID_THERE = 12_000, 50_000
"""Bytes of comments on the dispute's page, and on one of their own: a page has 100 kB at most."""
SHOWN = 1_500
"""Characters of a piece of evidence: the whole is in the packet."""


class AskedAlready(Rejected):
    """Another person's word on this is waited for. Answered 409."""

    reason = "asked_already"
    status = 409


@dataclass(frozen=True, slots=True)
class Checked:
    """An item of evidence. source, as_of: who says so, and how new that is; None where it is missing."""

    title: str
    required: bool
    text: str | None
    source: str | None
    as_of: datetime | None


def register(site: Site) -> None:
    site.page(f"/disputes/{_ONE}", "dispute", _look)
    site.page(f"/dispute/story/{_ONE}", "dispute_story", _whole_story)
    site.page(f"/dispute/comments/{_ONE}", "dispute_comments", _all_said)
    site.file(f"/dispute/packet.pdf/{_ONE}", "dispute_pdf", partial(_packet, as_json=False))
    site.file(f"/dispute/packet.json/{_ONE}", "dispute_json", partial(_packet, as_json=True))
    for act, name in FINAL.items():
        site.page(f"/dispute/{act}/{_ONE}", f"dispute_{act}", partial(_confirm, act), role=Role.ANALYST)
        site.act(f"/dispute/{act}/{_ONE}", f"dispute_{act}_now", Role.ANALYST, partial(_final, act))
        site.carries[name] = partial(_carry, act)
    acts = {
        "hold": _hold,
        "record": _record,
        "evidence": _supply,
        "withdraw": _withdraw,
        "assign": _assign,
        "comment": _comment,
    }
    for name, do in acts.items():
        site.act(f"/dispute/{name}/{_ONE}", f"dispute_{name}", Role.ANALYST, do)


# What is shown


def _look(visit: Visit) -> Mapping[str, Any]:
    dispute = _the(visit)
    documents = visit.ports.documents
    visit.saw(*_read(dispute))
    said = comments(documents, dispute.provider, dispute.dispute_id)
    first = _newest(said, len(said), SAID_HERE)
    asked = [one for one in waiting(documents, visit.now) if one.about == _about(dispute)]
    told = kept_story(visit.ports, dispute, visit.now)
    packet, trouble = _best(visit, dispute)
    problems = _problems(dispute, packet) if packet is not None and _would_be_sent(dispute) else ()
    return {
        "one": dispute,
        "answer": dispute.answer,
        "opens": is_open(dispute),
        "free": _is_free(dispute),
        "path": path_of(dispute.provider, dispute.dispute_id),
        "acts": partial(_act_path, dispute),
        "mark": mark(dispute),
        "story": told,
        "moments": list(pauses(told.moments)),
        "packet": packet,
        "trouble": trouble,
        "checks": _checked(visit, dispute, packet) if packet is not None else (),
        "size": sum(len(one.data) for one in packet.documents) if packet else 0,
        "pages": sum(one.pages for one in packet.documents) if packet else 0,
        "limits": ANYWHERE,
        "problems": problems,
        "supplied": _supplied(dispute),
        "longest": LONGEST_TEXT,
        "longest_comment": LONGEST,
        "items": [(item.value, title) for item, title in TITLES.items()],
        "comments": said[first:],
        "earlier": first,
        "shown": SHOWN,
        "asked_for": asked,
        "facts": [
            (event_id, {name: value for name, value in to_document(fact).items() if value not in (None, [], ())})
            for event_id, fact in sorted(dispute.facts.items(), key=lambda each: each[1].occurred_at)
        ],
        "may": visit.may(Role.ANALYST),
        "takes_acceptance": _acceptance(dispute) is None,
        "no_acceptance": _acceptance(dispute),
        "MINE": MINE,
        "NOBODY": NOBODY,
    }


def _whole_story(visit: Visit) -> Mapping[str, Any]:
    """With the bytes and rows in which it came and went: a handful of queries of the warehouse."""
    dispute = _the(visit)
    visit.saw(*_read(dispute))
    found = Found(kind=Kind.DISPUTE, provider=dispute.provider, id=dispute.dispute_id, how="its name")
    told: Story = story(visit.ports, found, visit.now)
    return {
        "one": dispute,
        "path": path_of(dispute.provider, dispute.dispute_id),
        "story": told,
        "moments": list(pauses(told.moments)),
    }


def _all_said(visit: Visit) -> Mapping[str, Any]:
    """Comments, the newest of those that stand before the place `until`, in the order in which they were written."""
    dispute = _the(visit)
    visit.saw(*_read(dispute))
    said = comments(visit.ports.documents, dispute.provider, dispute.dispute_id)
    until = whole_number(visit.asked.get("until", ""), len(said))
    end = len(said) if until is None else until
    first = _newest(said, end, SAID_THERE)
    return {
        "one": dispute,
        "path": path_of(dispute.provider, dispute.dispute_id),
        "comments": said[first:end],
        "first": first,
        "end": end,
        "all": len(said),
        "earlier": link(_act_path(dispute, "comments"), until=first) if first else "",
    }


def _newest(said: Sequence[Comment], end: int, most: int) -> int:
    """The place of the first of those before `end` that fit into `most` bytes of a page; one always does."""
    first, size = end, 0
    while first > 0 and (size := size + len(escape(said[first - 1].text).encode()) + 300) <= most:
        first -= 1
    return first if first < end else max(end - 1, 0)


def _the(visit: Visit) -> Dispute:
    """Raises DisputeUnknown."""
    return view(visit.ports.documents, visit.asked["provider"], visit.asked["dispute_id"])


def _read(dispute: Dispute) -> list[str]:
    payment_id = dispute.linked_to or dispute.payment_id
    paid = [f"{cases.PAYMENTS}:{dispute.provider}:{payment_id}"] if payment_id else []
    return [_about(dispute), *paid]


def _about(dispute: Dispute) -> str:
    return f"disputes:{dispute.provider}:{dispute.dispute_id}"


def _act_path(dispute: Dispute, act: str) -> str:
    return address("dispute", act, dispute.provider, dispute.dispute_id)


def _is_free(dispute: Dispute) -> bool:
    """Whether a person may still say what is done."""
    answer = dispute.answer
    return is_ours(dispute) and (answer is None or answer.state is not AnswerState.SENDING)


def _would_be_sent(dispute: Dispute) -> bool:
    return dispute.alert is None and _is_free(dispute)


def _best(visit: Visit, dispute: Dispute) -> tuple[Packet | None, str | None]:
    """What was sent, or would be sent now; and why there is none."""
    answer = dispute.answer
    try:
        if _would_be_sent(dispute):
            return prepared(visit.bench, dispute, visit.now).packet, None
        if answer is not None and answer.packet is not None:
            return kept(answer.packet, visit.ports), None
    except PayInError as error:
        return None, mask(str(error))
    if dispute.alert is not None:
        return None, "an alert is answered by a refund or by none: no evidence is sent to anybody"
    return None, "nothing was sent by us, and nothing is asked for"


def _problems(dispute: Dispute, packet: Packet) -> Sequence[str]:
    """Why the provider would not take it as it is."""
    known = responder_of(dispute)
    if known is None:
        return (f"{dispute.provider} takes answers on its own pages only: send it there, and record it here",)
    return known.problems(contest_of(dispute, Act.SUBMIT, "", packet, acknowledged=True))


def _acceptance(dispute: Dispute) -> str | None:
    """Why the claim cannot be accepted through us."""
    try:
        check_acceptance(dispute.provider, lambda: dispute)
    except Rejected as error:
        return str(error)
    return None


def _checked(visit: Visit, dispute: Dispute, packet: Packet) -> list[Checked]:
    asked = evidence.template(DIGITAL_SUBSCRIPTION, dispute.reason, dispute.network)
    own = {
        one.item: one for one in (dispute.answer.supplied if dispute.answer else {}).values() if not one.withdrawn_at
    }
    as_of = _as_of(visit, dispute)
    extra = [item for item in packet.texts if item not in asked.items]
    required = {one.item for one in asked.wanted if one.required}
    shown = []
    for item in (*asked.items, *extra):
        text, mine = packet.texts.get(item), own.get(item)
        is_there = text is not None or mine is not None
        source = f"put there by {mine.by}" if mine else SOURCES[item].value
        instant = (mine.at if mine else as_of.get(SOURCES[item])) if is_there else None
        said = text or (f"a file, {mine.media_type}" if mine else None)
        shown.append(Checked(TITLES[item], item in required, said, source if is_there else None, instant))
    return shown


def _as_of(visit: Visit, dispute: Dispute) -> dict[Source, datetime | None]:
    """How new what each says is."""
    payment = _payment(visit.ports, dispute)
    customer = payment.details.customer_id if payment else None
    usage = usage_of(visit.ports.documents.get([Key(USAGE, customer)])[0]) if customer else None
    return {
        Source.PROVIDER: payment.last_at if payment else None,
        Source.SERVICE: usage.newest_at if usage else None,
        Source.PURCHASES: visit.now,
        Source.MERCHANT: None,
    }


def _payment(ports: Ports, dispute: Dispute) -> Payment | None:
    name = dispute.linked_to or dispute.payment_id
    if name is None:
        return None
    return payment_of(ports.documents.get([Key(cases.PAYMENTS, f"{dispute.provider}:{name}")])[0])


def _supplied(dispute: Dispute) -> list[tuple[str, Supplied]]:
    pieces = dispute.answer.supplied if dispute.answer else {}
    return sorted(pieces.items(), key=lambda each: each[1].at)


def _packet(visit: Visit, *, as_json: bool) -> File:
    dispute = _the(visit)
    packet, trouble = _best(visit, dispute)
    if packet is None:
        raise Rejected(trouble or "there is no packet", reason="no_packet")
    visit.saw(*_read(dispute))
    name = f"evidence-{dispute.dispute_id[:60]}"
    if as_json:
        return File(f"{name}.json", "application/json", written(packet))
    data = next((one.data for one in packet.documents if one.media_type == PDF), b"")
    return File(f"{name}.pdf", PDF, data)


# What nobody can take back


def _confirm(act: Act, visit: Visit) -> Mapping[str, Any]:
    dispute = _the(visit)
    packet, trouble = _best(visit, dispute) if act is Act.SUBMIT else (None, None)
    visit.saw(*_read(dispute))
    return {
        "one": dispute,
        "answer": dispute.answer,
        "act": act.value,
        "free": _is_free(dispute),
        "path": path_of(dispute.provider, dispute.dispute_id),
        "action": _act_path(dispute, act),
        "acts": partial(_act_path, dispute),
        "mark": mark(dispute),
        "packet": packet,
        "trouble": trouble,
        "titles": [TITLES[item] for item in packet.texts] if packet else [],
        "problems": _problems(dispute, packet) if packet else (),
        "refused": _acceptance(dispute) if act is Act.ACCEPT else None,
        "two": _takes_two(dispute, act, visit),
        "costly": _costs(dispute) if act is Act.SUBMIT else None,
    }


def _final(act: Act, visit: Visit) -> Went:
    dispute = _the(visit)
    page = path_of(dispute.provider, dispute.dispute_id)
    seen, why = visit.asked.get("_mark", ""), mask(visit.why)
    if (already := _was_done(dispute, act, visit.person.email, seen)) is not None:
        return done(page, already)
    acknowledged = _costs(dispute) is not None and act is Act.SUBMIT
    if acknowledged and visit.asked.get("agreed") != "yes":
        raise Rejected(
            "this contest costs more than the ordinary fees: tick that you agree to that", reason="not_agreed"
        )
    if (reason := _takes_two(dispute, act, visit)) is not None:
        return done(page, _asked(visit, dispute, act, seen, reason))
    return done(page, _do(act, visit, dispute, visit.person.email, why, seen, why))


def _carry(act: Act, visit: Visit, agreed: Approval) -> str:
    told = agreed.parameters
    dispute = view(visit.ports.documents, told["provider"], told["dispute_id"])
    if dispute.amount != agreed.amount or (_costs(dispute) or "") != told["costs"]:
        raise AnswerTaken(
            "meanwhile it is about another amount, or costs more than was agreed to: look at it, and ask again",
            reason="changed_meanwhile",
        )
    why = f"{agreed.why} ({colleague(agreed.decided_by or '')} agreed)"
    return _do(act, visit, dispute, agreed.by, mask(why), told["mark"], agreed.decided_why or agreed.why)


def _do(act: Act, visit: Visit, dispute: Dispute, by: str, why: str, seen: str, audit_why: str) -> str:
    """What came of it: once, however often the same is asked for. Raises as the flows do."""
    if (already := _was_done(dispute, act, by, seen)) is not None:
        return already
    ports = visit.acting(FINAL[act], audit_why)
    named = (ports, dispute.provider, dispute.dispute_id, by, why, visit.now)
    try:
        if act is Act.ACCEPT:
            check_acceptance(dispute.provider, lambda: dispute)
            accept(*named, looked_at=seen)
        else:
            submit(*named, acknowledged=_costs(dispute) is not None, looked_at=seen)
    except AnswerTaken:
        # A copy of the same form may have been quicker.
        now = view(visit.ports.documents, dispute.provider, dispute.dispute_id)
        if (already := _was_done(now, act, by, seen)) is None:
            raise
        return already
    return "the claim is accepted: it goes out now" if act is Act.ACCEPT else "the evidence goes out now"


_GOING = frozenset({AnswerState.ANNOUNCED, AnswerState.SENDING, AnswerState.TAKEN})


def _was_done(dispute: Dispute, act: Act, by: str, seen: str) -> str | None:
    """What to say where the same person has done the same since what they had looked at."""
    round_ = seen.partition(":")[0]
    answer = dispute.answers.get(round_)
    if answer is None or seen == f"{round_}:{answer.changes}" or answer.by != by or answer.state not in _GOING:
        return None
    same = answer.act is act or (act is Act.SUBMIT and answer.act is Act.DECLINE)
    return f"that was done already: {answer.act} is {answer.state}" if same else None


def _asked(visit: Visit, dispute: Dispute, act: Act, seen: str, reason: str) -> str:
    what = FINAL[act]
    open_ones = waiting(visit.ports.documents, visit.now)
    for one in open_ones:
        if one.what == what and one.about == _about(dispute) and one.id != visit.once:
            raise AskedAlready(f"{colleague(one.by)} has asked for that already: it waits for somebody to agree")
    says = f"{'Accept' if act is Act.ACCEPT else 'Fight'} {dispute.dispute_id} at {dispute.provider}: {reason}"
    wanted = Approval(
        id=visit.once,
        what=what,
        about=_about(dispute),
        says=says,
        gives_up=_gives_up(dispute, act),
        parameters={
            "provider": dispute.provider,
            "dispute_id": dispute.dispute_id,
            "mark": seen,
            "costs": _costs(dispute) or "",
            "page": path_of(dispute.provider, dispute.dispute_id),
        },
        amount=dispute.amount,
        by=visit.person.email,
        why=mask(visit.why),
        asked_at=visit.now,
        deadline=dispute.respond_by,
        open_until=_open_until(dispute, visit.now),
        expires_at=visit.now + KEPT_FOR,
    )
    told = ask(visit.acting(f"{what} asked", visit.why), wanted)
    if told.stand is not Stand.ASKED:
        return f"that was asked for already: it is {told.stand}"
    return "asked for: nothing is done until another person agrees, under Approvals"


def _open_until(dispute: Dispute, now: datetime) -> datetime:
    """How long another person may agree: never beyond the deadline, and with time left to act. Raises AnswerTaken where it has
    passed."""
    until = dispute.respond_by
    if until is None or (dispute.deadline_estimated and until <= now):
        return good_until(now, None)
    if until <= now:
        raise AnswerTaken("its deadline has passed: the provider takes no answer any more", reason="too_late")
    return good_until(now, until)


def _gives_up(dispute: Dispute, act: Act) -> str:
    """What nobody gets back, for whoever agrees to it."""
    if act is Act.SUBMIT:
        return f"no other answer can be given; {_costs(dispute) or 'nothing beside the ordinary fees'}"
    fees = f", and {dispute.fees} of fees" if dispute.fees else ""
    expected = dispute.answer.expected if dispute.answer else None
    return f"{dispute.amount or 'an amount nobody knows'}{fees}{f'; an answer would be worth {expected}' if expected else ''}"


def _takes_two(dispute: Dispute, act: Act, visit: Visit) -> str | None:
    """Why one person is not enough for it; None where one is."""
    costs = _costs(dispute) if act is Act.SUBMIT else None
    if costs is not None:
        return costs
    if dispute.amount is None:
        return "its amount is not known"
    worth = reference_minor(dispute.amount)
    if worth is None or worth > visit.admission.four_eyes_above:
        limit = Money(visit.admission.four_eyes_above, "EUR")
        return f"{dispute.amount} is more than {limit}, up to which one person is enough"
    return None


def _costs(dispute: Dispute) -> str | None:
    """What fighting it costs beside the ordinary fees."""
    if dispute.contest_fee is not None and dispute.contest_fee.minor > 0:
        return f"fighting it costs {dispute.contest_fee}"
    return "who loses an arbitration pays for it" if dispute.stage is DisputeStage.ARBITRATION else None


# What can be changed again


def _hold(visit: Visit) -> Went:
    provider, dispute_id = visit.asked["provider"], visit.asked["dispute_id"]
    until, why = _instant(visit, "until"), mask(visit.why)
    ports = visit.acting("dispute hold", visit.why)
    hold(ports, provider, dispute_id, visit.person.email, why, visit.now, until, looked_at=visit.asked.get("_mark", ""))
    return done(path_of(provider, dispute_id), f"held until {visit.reader.instant(until)}")


def _record(visit: Visit) -> Went:
    provider, dispute_id = visit.asked["provider"], visit.asked["dispute_id"]
    act = {"submit": Act.SUBMIT, "accept": Act.ACCEPT}.get(visit.asked.get("act", ""))
    if act is None:
        raise Rejected("say what was done there: answered, or accepted", reason="no_act")
    dispute, at = _the(visit), _instant(visit, "at")
    if at > visit.now + AHEAD or (dispute.first_at is not None and at < dispute.first_at - timedelta(days=1)):
        raise Rejected(
            "that is not when it was answered: it is yet to come, or was before the dispute", reason="bad_instant"
        )
    reason = _takes_two(dispute, act, visit) if act is Act.ACCEPT else None
    if reason is not None and not visit.may(Role.APPROVER):
        raise NotAllowed(f"that gives the money up, and cannot be taken back: it takes the role approver ({reason})")
    why, ports = mask(visit.why), visit.acting("dispute record", visit.why)
    named = (ports, provider, dispute_id, visit.person.email, why, act, at, visit.now)
    recorded_elsewhere(*named, looked_at=visit.asked.get("_mark", ""))
    return done(path_of(provider, dispute_id), "recorded: it was answered elsewhere")


def _instant(visit: Visit, name: str) -> datetime:
    """Of a form, as the reader's clock shows it."""
    try:
        told = datetime.fromisoformat(visit.asked.get(name, ""))
        aware = told if told.tzinfo else told.replace(tzinfo=ZoneInfo(visit.reader.zone))
        return aware.astimezone(UTC)
    except (ValueError, OverflowError):
        raise Rejected("say when, as 2026-03-01 12:00", reason="no_instant") from None


def _supply(visit: Visit) -> Went:
    provider, dispute_id = visit.asked["provider"], visit.asked["dispute_id"]
    try:
        item = Item(visit.asked.get("item", ""))
    except ValueError:
        raise Rejected("say what the evidence is about", reason="no_item") from None
    text, file = visit.asked.get("text", ""), visit.files.get("file")
    if bool(text) == (file is not None):
        raise Rejected("write a text, or choose a file: one of the two", reason="either_of_two")
    piece = piece_of(item, text=text, data=file[2] if file else None)
    ports = visit.acting("dispute evidence", f"evidence about {item}")
    supply(ports, provider, dispute_id, visit.person.email, visit.now, piece, responder(provider))
    return done(path_of(provider, dispute_id), f"it goes with the answer: {TITLES[item]}")


def _withdraw(visit: Visit) -> Went:
    provider, dispute_id, name = visit.asked["provider"], visit.asked["dispute_id"], visit.asked.get("name", "")
    ports = visit.acting("dispute withdraw", f"evidence {name[:60]} is not sent")
    withdraw(ports, provider, dispute_id, visit.person.email, visit.now, name)
    return done(path_of(provider, dispute_id), "it does not go with the answer any more")


def _assign(visit: Visit) -> Went:
    provider, dispute_id, to = visit.asked["provider"], visit.asked["dispute_id"], whose(visit)
    assign(visit.acting("dispute assign", f"for {colleague(to) or 'nobody'}"), [(provider, dispute_id)], to)
    return done(path_of(provider, dispute_id), f"it is {colleague(to)}'s now" if to else "it is nobody's now")


def _comment(visit: Visit) -> Went:
    provider, dispute_id = visit.asked["provider"], visit.asked["dispute_id"]
    ports = visit.acting("dispute comment", "a comment")
    comment(ports, provider, dispute_id, visit.once, visit.person.email, visit.asked.get("text", ""), visit.now)
    return done(f"{path_of(provider, dispute_id)}", "the comment stands there")
