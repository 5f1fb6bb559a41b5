"""Four eyes: what one person asks for and only another one may agree to.

What is asked for is kept with all that carrying it out takes, so that what is agreed to is what was asked, word for word. Agreeing
and carrying out are two steps: killed between them, it stands there as agreed and is carried out by whoever looks next, once, for
every act that takes part is one by its own claim.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum

from shared.domain.codec import from_document, to_document
from shared.domain.errors import Rejected, UsedOtherwise
from shared.domain.money import Money
from shared.domain.people import colleague
from shared.domain.privacy import mask
from shared.flows.committing import Decision, Seen, change
from shared.flows.ports import Create, Documents, Key, Ports, Replace, Snapshot

COLLECTION = "approvals"
EXPIRES = {"approvals": "expires_at"}
"""By which of its members a document goes, as Terraform has it: what was said stays in the audit."""
GOOD_FOR = timedelta(days=3)
LEFT_TO_ACT = timedelta(hours=1)
"""Before a deadline: whoever agrees just so in time agrees to what still can be done."""
LISTED = 500


class Stand(StrEnum):
    ASKED = "asked"
    AGREED = "agreed"  # and not known to be carried out
    REFUSED = "refused"
    WITHDRAWN = "withdrawn"  # by who asked
    DONE = "done"
    FAILED = "failed"  # agreed to, and it can never be done


CARRIED = frozenset({Stand.DONE, Stand.FAILED})
"""Agreed to, and tried: what came of it is known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    """id: of the form by which it was asked for. what: the act, `dispute accept`; about: the document that it changes, or a name of
    it for people; says: what comes of it, in a sentence; gives_up: what it costs for good, in words; parameters: all that
    carrying it out takes. deadline: of what it is about, as it stood then: open_until lies before it. open_until: until when
    somebody may agree; None as soon as nothing is left to be done about it."""

    id: str
    what: str
    about: str
    says: str
    gives_up: str = ""
    parameters: Mapping[str, str] = field(default_factory=dict)
    amount: Money | None = None
    by: str
    why: str
    asked_at: datetime
    deadline: datetime | None = None
    open_until: datetime | None
    expires_at: datetime
    stand: Stand = Stand.ASKED
    decided_by: str | None = None
    decided_at: datetime | None = None
    decided_why: str | None = None
    outcome: str | None = None


class ApprovalUnknown(Rejected):
    """Nobody asked for anything of this name. Answered 404."""

    reason = "unknown_approval"
    status = 404


class ApprovalClosed(Rejected):
    """Somebody said their word, it is too late, or it is the asker's own. Answered 409; nothing was done."""

    reason = "approval_closed"
    status = 409


def good_until(asked_at: datetime, deadline: datetime | None) -> datetime:
    """How long another person may agree to what was asked for then: never beyond the deadline of what it is about."""
    if deadline is None:
        return asked_at + GOOD_FOR
    return min(asked_at + GOOD_FOR, max(deadline - LEFT_TO_ACT, asked_at + (deadline - asked_at) / 2))


def closes_at(one: Approval, deadline: datetime | None) -> datetime | None:
    """Until when somebody may agree to it, where the `deadline` is another one by now; None where nothing is left to be done."""
    if one.open_until is None or deadline is None or deadline == one.deadline:
        return one.open_until
    return min(one.open_until, good_until(one.asked_at, deadline))


def ask(ports: Ports, wanted: Approval) -> Approval:
    """Keep it; asked by the same form again, what is kept already, as it stands now. Raises UsedOtherwise where that form has
    asked for something else, or for another reason."""
    key = _key(wanted.id)

    def kept(seen: Seen) -> Decision[Approval]:
        found = seen[key]
        if found is not None:
            there = from_document(found.document, Approval)
            if _asked(there) != _asked(wanted):
                raise UsedOtherwise(
                    "this form was used for something else already, and nothing was changed: open the page again, and ask there"
                )
            return Decision(there)
        return Decision(wanted, [Create(key, {**to_document(wanted), EXPIRES[COLLECTION]: wanted.expires_at})])

    return change(ports.documents, [key], kept)


def decide(
    ports: Ports, name: str, by: str, now: datetime, *, agreed: bool, why: str, deadline: datetime | None = None
) -> Approval:
    """`by` agrees, or does not. deadline: of what it is about, as it stands now. The same word of the same person again is harmless.
    Raises ApprovalUnknown, ApprovalClosed."""
    stand, key = Stand.AGREED if agreed else Stand.REFUSED, _key(name)

    def said(seen: Seen) -> Decision[Approval]:
        found = seen[key]
        one = _read(found)
        if one.by == by:
            raise ApprovalClosed(
                "who asks for it does not decide on it: that takes another person; it can be withdrawn"
            )
        if one.stand is not Stand.ASKED:
            if one.decided_by == by and (one.stand is stand or (agreed and one.stand in CARRIED)):
                return Decision(one)
            raise _closed(one)
        closes = closes_at(one, deadline)
        if closes is None or closes <= now:
            raise ApprovalClosed("nobody agreed in time: it has to be asked for again")
        until = one.open_until if agreed else None
        told = replace(one, stand=stand, open_until=until, decided_by=by, decided_at=now, decided_why=why)
        return Decision(told, _written(found, told))

    return change(ports.documents, [key], said)


def withdraw(ports: Ports, name: str, by: str, now: datetime, why: str) -> Approval:
    """Who asked for it asks no more, and nobody may agree. Again it is harmless. Raises ApprovalUnknown, ApprovalClosed."""
    key = _key(name)

    def taken_back(seen: Seen) -> Decision[Approval]:
        found = seen[key]
        one = _read(found)
        if one.by != by:
            raise ApprovalClosed("only who asked for it withdraws it: an approver refuses it")
        if one.stand is Stand.WITHDRAWN:
            return Decision(one)
        if one.stand is not Stand.ASKED:
            raise _closed(one)
        told = replace(one, stand=Stand.WITHDRAWN, open_until=None, decided_by=by, decided_at=now, decided_why=why)
        return Decision(told, _written(found, told))

    return change(ports.documents, [key], taken_back)


def carried_out(ports: Ports, name: str, outcome: str, *, failed: bool = False) -> None:
    """What was agreed to is done, or can never be (`failed`); outcome: what came of it. Raises ApprovalUnknown."""
    key, stand = _key(name), Stand.FAILED if failed else Stand.DONE

    def done(seen: Seen) -> Decision[None]:
        found = seen[key]
        one = _read(found)
        if one.stand is not Stand.AGREED:
            return Decision(None)
        return Decision(None, _written(found, replace(one, stand=stand, open_until=None, outcome=mask(outcome)[:500])))

    change(ports.documents, [key], done)


def unfinished(documents: Documents, now: datetime) -> list[Approval]:
    """What somebody may agree to now, and what was agreed to and is not known to be carried out; the oldest first. One query."""
    found = documents.due(COLLECTION, "open_until", now + GOOD_FOR, LISTED)
    kept = (from_document(one.document, Approval) for one in found)
    return [one for one in kept if one.stand is Stand.AGREED or (one.open_until is not None and one.open_until > now)]


def waiting(documents: Documents, now: datetime) -> list[Approval]:
    """What somebody may agree to now, the oldest first. One query."""
    return [one for one in unfinished(documents, now) if one.stand is Stand.ASKED]


def approval(documents: Documents, name: str) -> Approval:
    """Raises ApprovalUnknown."""
    [found] = documents.get([_key(name)])
    return _read(found)


def _asked(one: Approval) -> tuple[object, ...]:
    """What a person said by it: the rest is as things stood when they did."""
    return one.what, one.about, one.by, one.why, one.parameters


def _closed(one: Approval) -> ApprovalClosed:
    return ApprovalClosed(f"{colleague(one.decided_by or '')} was quicker: it is {one.stand}")


def _read(found: Snapshot | None) -> Approval:
    if found is None:
        raise ApprovalUnknown("nobody asked for that")
    return from_document(found.document, Approval)


def _written(found: Snapshot | None, told: Approval) -> list[Replace]:
    assert found is not None, "it was read"
    return [Replace(found.key, to_document(told), found.version)]


def _key(name: str) -> Key:
    return Key(COLLECTION, name)
