"""A card, a customer, a device or an address is listed, and taken back: one commit, its audit and what decides together.

What decides stands in the document of the entity's history, where every decision looks already. Who said it, when and why,
and what stood before, is kept beside: `lists/<kind>:<value>`, for as long as the entity is remembered after its last entry.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from shared.domain.codec import encode, from_document, to_document, utc_text
from shared.domain.decisions import Action
from shared.domain.errors import Rejected
from shared.domain.privacy import nameable
from shared.domain.telemetry import fact
from shared.flows.book_of_rules import standing_book
from shared.flows.committing import Decision as Effect
from shared.flows.committing import Seen, change, write
from shared.flows.judged import EXPIRES, FORGOTTEN_AFTER, entity_key
from shared.flows.ports import Accumulate, Documents, Key, Ports, Snapshot, Write
from shared.fraud.features import Entity, document_name
from shared.fraud.lists import ENTITIES, LISTED, LONGEST_SNOOZE, MEMBERS, Entry, listed_value, name_of

LISTS = "lists"
# Below what an entity is remembered after a payment, so that one that is heard a month late does not shorten it.
LONGEST_ENTRY = timedelta(days=365)
MOST_STANDING = 20
LARGEST_AUDIT = 512 * 1024
"""Bytes of what is kept of one entity's entries."""


class NothingStands(Rejected):
    """What is taken back is not said of that entity, by this name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """Something was said of an entity, or taken back (`until` None). owner: who answers for it. author: who did it."""

    action: Action
    rule: str | None = None
    until: datetime | None
    owner: str
    reason: str
    author: str
    at: datetime

    @property
    def name(self) -> str:
        return name_of(self.action, self.rule)


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedEntity:
    """All that was said of one entity, the oldest first. The last word on each action and rule stands, until its instant.
    erased_as: how the audit calls whoever it is, once they were erased."""

    kind: str
    value: str
    changes: tuple[Change, ...] = ()
    erased_as: str | None = None

    def standing(self, now: datetime) -> dict[str, Change]:
        last = {change.name: change for change in self.changes}
        return {name: last[name] for name in sorted(last) if (until := last[name].until) is not None and now < until}


def list_entity(ports: Ports, entry: Entry, now: datetime, *, author: str) -> ListedEntity:
    """`entry` holds from the next decision on. The same again changes nothing; another one on the same action and rule takes its place.

    Raises Rejected for what is not listed here, an instant that is past or too far, and a rule that is not in the book.
    """
    longest = LONGEST_SNOOZE if entry.action is Action.SNOOZE else LONGEST_ENTRY
    if not now < entry.until <= now + longest:
        raise Rejected(f"until lies ahead, by {longest.days} days at most", reason="bad_entry")
    if entry.rule and entry.rule not in {rule.code for rule in standing_book(ports.documents).contents.rules}:
        raise Rejected(f"no rule of the book is called {entry.rule}", reason="bad_entry")
    made = Change(
        action=entry.action,
        rule=entry.rule,
        until=entry.until,
        owner=entry.owner,
        reason=entry.reason,
        author=author,
        at=now,
    )
    return _changed(ports, entry.kind, entry.value, made)


def take_back(
    ports: Ports, kind: str, value: str, action: Action, rule: str | None, now: datetime, *, author: str, reason: str
) -> ListedEntity:
    """That entry no longer holds, from the next decision on. Raises NothingStands."""
    made = Change(action=action, rule=rule, until=None, owner="", reason=reason, author=author, at=now)
    return _changed(ports, kind, value, made)


def listed_entity(documents: Documents, kind: str, value: str) -> ListedEntity:
    """What was said of that entity. Raises Rejected for what is not listed here."""
    value = _value(kind, value)
    [found] = documents.get([_audit(kind, value)])
    return _said(found, kind, value)


def listed_entities(documents: Documents, *, after: str, limit: int) -> tuple[ListedEntity, ...]:
    """Those of which something was said, by `<kind>:<value>`, after that name: `limit` of them at most."""
    found = documents.scan(LISTS, limit, after)
    return tuple(_said(one, *one.key.id.split(":", 1)) for one in found)


def _changed(ports: Ports, kind: str, value: str, made: Change) -> ListedEntity:
    value = _value(kind, value)
    audit, state = _audit(kind, value), entity_key(Entity(kind), value)

    def effect(seen: Seen) -> Effect[ListedEntity]:
        before = _said(seen[audit], kind, value)
        stands = before.standing(made.at).get(made.name)
        if made.until is None and stands is None:
            raise NothingStands("nothing of this kind is said of it now", reason="bad_entry")
        if stands is not None and _content(stands) == _content(made):
            return Effect(before)
        after = replace(before, changes=(*before.changes, made))
        standing = {name: one.until for name, one in after.standing(made.at).items() if one.until is not None}
        if len(standing) > MOST_STANDING or len(encode(after)) > LARGEST_AUDIT:
            raise Rejected("of one entity no more than this can be said", reason="bad_entry")
        kept = max(one.until or one.at for one in after.changes) + FORGOTTEN_AFTER
        document = {**to_document(after), EXPIRES[LISTS]: kept}
        # Payments add to the same document beside us: neither waits for the other.
        return Effect(after, [write(audit, seen[audit], document), *_say(state, seen.glance(state), standing)])

    after = change(ports.documents, [audit, state], effect)
    fact(
        "entity_listed",
        kind=kind,
        action=made.action,
        rule=made.rule,
        until=utc_text(made.until) if made.until else None,
    )
    return after


def _say(key: Key, found: Snapshot | None, standing: dict[str, datetime]) -> Iterable[Write]:
    document = found.document if found else {}
    if not standing:
        return [Accumulate(key, drop=[(LISTED,)])] if LISTED in document else []
    put: dict[tuple[str, ...], Any] = {(LISTED,): standing}
    field, latest = EXPIRES["feature_state"], max(standing.values())
    if (before := document.get(field)) is None or before < latest:
        put[(field,)] = latest
    return [Accumulate(key, put=put)]


def _said(found: Snapshot | None, kind: str, value: str) -> ListedEntity:
    return from_document(found.document, ListedEntity) if found else ListedEntity(kind=kind, value=value)


def _content(of: Change) -> tuple[object, ...]:
    return of.until, of.owner, of.reason, of.author


def _audit(kind: str, value: str) -> Key:
    return Key(LISTS, entity_key(Entity(kind), value).id)


def _value(kind: str, value: str) -> str:
    """The entity that is meant by `value`, as its history is kept."""
    if kind not in tuple(ENTITIES):
        where = "entries of this kind stand in the book" if kind in MEMBERS else f"there are: {', '.join(ENTITIES)}"
        raise Rejected(f"nothing is listed here by {kind}: {where}", reason="bad_entry")
    if nameable(value) != value:
        raise Rejected(
            "value could be a card's number or an e-mail address: give the name that a decision's history has",
            reason="bad_entry",
        )
    try:
        return document_name(listed_value(Entity(kind), value))
    except ValueError as error:
        raise Rejected(str(error), reason="bad_entry") from error
