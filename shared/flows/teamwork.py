"""What people keep among themselves about disputes: whose one is, what they wrote on it, and which lists each looks at.

Whose it is stands in the dispute, for it is a part of every list; what they wrote stands beside it, so that nobody's event waits
for it or reads it.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from shared.disputes import lifecycle
from shared.domain import timeline
from shared.domain.codec import from_document, to_document
from shared.domain.disputes import Dispute
from shared.domain.errors import Rejected, UsedOtherwise
from shared.domain.privacy import mask
from shared.flows.answering import DisputeUnknown
from shared.flows.committing import Decision, Seen, change, write
from shared.flows.filing import COLLECTION, dispute_of, key_of
from shared.flows.ports import Documents, Key, Ports, Write

COMMENTS = "comments"
VIEWS = "views"
MOST_AT_ONCE, MOST_COMMENTS, MOST_VIEWS = 50, 100, 20
LONGEST = 2000
"""Characters of a comment."""
_PERSON = re.compile(r"[^\s@]{1,64}@[^\s@]{1,180}")
_NAME = re.compile(r"\S(.{0,58}\S)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Comment:
    by: str
    at: datetime
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Comments:
    """By the name of the form that brought each."""

    comments: Mapping[str, Comment] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Views:
    """By the name that their owner gave each: what stands in its URL."""

    views: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


class NotKept(Rejected):
    """What people wrote is not kept: too much, or not what it has to be. Answered 422."""

    reason = "not_kept"
    status = 422


def in_queue(
    documents: Documents, where: Mapping[str, str], limit: int, after: tuple[str, str] | None = None
) -> list[Dispute]:
    """Open disputes in the order in which people go through them (`disputes.queue`), narrowed by `provider`, `status` and
    `assignee`, those after the place and the name of the last one seen. One query."""
    found = documents.listed(COLLECTION, "queue", where, limit, after)
    return [dispute for one in found if (dispute := dispute_of(one)) is not None]


def named(to: str) -> str:
    """`to`, an e-mail address or nobody's (""), as it is kept. Raises NotKept."""
    to = to.strip().lower()
    if to and not _PERSON.fullmatch(to):
        raise NotKept("whose it is is said by an e-mail address: a name, an @, and a domain")
    return to


def assign(ports: Ports, disputes: Sequence[tuple[str, str]], to: str) -> int:
    """Each of `disputes`, by provider and id, is `to`'s from now on, an e-mail address, or nobody's (""): all of them or none. How
    many that changed. Raises NotKept, and DisputeUnknown."""
    to = named(to)
    if len(disputes) > MOST_AT_ONCE:
        raise NotKept(f"{MOST_AT_ONCE} disputes at once, at most")
    keys = list(dict.fromkeys(key_of(*one) for one in disputes))

    def assigned(seen: Seen) -> Decision[int]:
        writes: list[Write] = []
        for key in keys:
            dispute = dispute_of(seen.glance(key))
            if dispute is None:
                raise DisputeUnknown("no dispute of this name was ever told of")
            if dispute.assignee != to:
                after = lifecycle.settle(replace(dispute, assignee=to))
                writes.append(write(key, seen.glance(key), timeline.compact(after)))
        return Decision(len(writes), writes)

    return change(ports.documents, keys, assigned) if keys else 0


def comment(ports: Ports, provider: str, dispute_id: str, once: str, by: str, text: str, now: datetime) -> None:
    """Keep `text`, with what names a person in it masked; under the same `once` again nothing is added. Raises NotKept,
    DisputeUnknown, and UsedOtherwise where `once` has brought another text."""
    told = mask(text.strip())
    if not told or len(told) > LONGEST:
        raise NotKept(f"a comment has {LONGEST} characters at most, and says something")
    key, of = Key(COMMENTS, f"{provider}:{dispute_id}"), key_of(provider, dispute_id)

    def kept(seen: Seen) -> Decision[None]:
        if seen.glance(of) is None:
            raise DisputeUnknown("no dispute of this name was ever told of")
        found = seen[key]
        there = from_document(found.document, _Comments).comments if found else {}
        if (before := there.get(once)) is not None:
            if (before.by, before.text) != (by, told):
                raise UsedOtherwise(
                    "this form has brought another comment already, which stands: nothing was changed, open the page again"
                )
            return Decision(None)
        if len(there) >= MOST_COMMENTS:
            raise NotKept(f"a dispute has {MOST_COMMENTS} comments at most")
        after = _Comments(comments={**there, once: Comment(by=by, at=now, text=told)})
        return Decision(None, [write(key, found, to_document(after))])

    change(ports.documents, [key, of], kept)


def comments(documents: Documents, provider: str, dispute_id: str) -> list[Comment]:
    """The oldest first."""
    [found] = documents.get([Key(COMMENTS, f"{provider}:{dispute_id}")])
    there = from_document(found.document, _Comments).comments if found else {}
    return sorted(there.values(), key=lambda one: (one.at, one.by, one.text))


def views(documents: Documents, of: str) -> Mapping[str, Mapping[str, str]]:
    """The lists that `of` has kept, by name."""
    [found] = documents.get([Key(VIEWS, of)])
    return from_document(found.document, _Views).views if found else {}


def keep_view(ports: Ports, of: str, name: str, view: Mapping[str, str] | None) -> None:
    """`of` finds `view` under `name` from now on, in the place of what was there; None: no more. Raises NotKept."""
    key, name = Key(VIEWS, of), mask(name.strip())
    if not _NAME.fullmatch(name):
        raise NotKept("a list's name has 1 to 60 characters")

    def kept(seen: Seen) -> Decision[None]:
        found = seen[key]
        there = from_document(found.document, _Views).views if found else {}
        after = {one: held for one, held in there.items() if one != name} | ({} if view is None else {name: view})
        if len(after) > MOST_VIEWS:
            raise NotKept(f"{MOST_VIEWS} lists of one's own, at most: take one away first")
        return Decision(None, [write(key, found, to_document(_Views(views=after)))] if after != there else [])

    change(ports.documents, [key], kept)
