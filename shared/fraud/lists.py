"""Who is let pass and who is not, and for whom a rule says nothing, by name.

Classes that are few stand in the book (a BIN, a country, an e-mail domain, the hash of an e-mail address), which is read
once a minute. Those that are many (a card, a customer, a device, an address) stand in the document of their history, which
every decision reads already. Either way a list costs a decision nothing.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from shared.domain.addresses import address, network
from shared.domain.decisions import Action, Listed
from shared.domain.privacy import email_parts
from shared.fraud.features import Entity, document_name, member
from shared.fraud.rules import LastChange

MEMBERS: Mapping[str, tuple[str, ...]] = {
    "bin": ("card.bin",),
    "country": ("card.country", "billing_country"),
    "email_domain": ("email_domain",),
    "email_hash": ("email_hash",),
}
"""Kinds that the book lists, and the event's members that tell them: the first that is there."""

ENTITIES: tuple[Entity, ...] = (Entity.CARD, Entity.CUSTOMER, Entity.DEVICE, Entity.IP)
"""Kinds that are listed in their own documents, by the value that a decision's history names."""

SHORTEST_BIN: Final = 6

_BIN = re.compile("[0-9]{6,8}")
_COUNTRY = re.compile("[A-Z]{2}")
_DOMAIN = re.compile("[^@]+")
_PSEUDONYM = re.compile("(mail-.+-)([0-9a-fA-F]{64})")

LONGEST_SNOOZE = timedelta(days=180)
"""A rule that is wrong for longer is a rule to be changed."""

LISTED: Final = "listed"
"""The member of an entity's document: what is said of it (`name_of`) → the instant from which on it no longer is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A line of a list. until: an aware instant from which on it says nothing. rule: the code of the rule that is snoozed;
    raises ValueError where a snooze names none, or another entry does. owner: who answers for it. changed: of an entry of a book."""

    action: Action
    kind: str
    value: str
    until: datetime
    rule: str | None = None
    owner: str = ""
    reason: str = ""
    changed: LastChange | None = None

    def __post_init__(self) -> None:
        if (self.action is Action.SNOOZE) is not bool(self.rule):
            raise ValueError("a snooze names the rule that says nothing, and no other entry names one")


class Lists:
    """The entries of one book. Raises ValueError for a kind that the book does not list."""

    def __init__(self, entries: Iterable[Entry]) -> None:
        self._said: dict[tuple[str, str], dict[str, datetime]] = {}
        for entry in entries:
            if entry.kind not in MEMBERS:
                raise ValueError(f"the book does not list by {entry.kind}")
            self._said.setdefault((entry.kind, entry.value), {})[name_of(entry.action, entry.rule)] = entry.until

    def of(self, event: object, now: datetime) -> Iterator[Listed]:
        """What is named of the payment of `event`, or of what has its members that `MEMBERS` names."""
        if not self._said:
            return
        for kind, paths in MEMBERS.items():
            value = next((found for path in paths if (found := member(event, path))), None)
            if value:
                names = (*_names(kind, str(value)), *(_also(event) if kind == "email_hash" else ()))
                said = _longest([self._said.get((kind, name), {}) for name in names])
                yield from _standing(said, kind, now)


def _names(kind: str, value: str) -> Sequence[str]:
    """By which `value` may be listed: a BIN by any of its beginnings too, for one provider tells six digits of it and
    another one eight."""
    return [value[:length] for length in range(SHORTEST_BIN, len(value) + 1)] if kind == "bin" else [value]


def _also(event: object) -> Sequence[str]:
    """Other names of the payment's address: an entry by any of them means it."""
    return getattr(event, "email_hash_also", ())


def named_value(kind: str, value: str) -> str:
    """What events call the `value` of a kind that the book lists, which people write in other letters. Raises ValueError
    for what no event can ever say, and for an e-mail address, which stands nowhere."""
    match kind:
        case "bin":
            said, fits, form = value, _BIN.fullmatch(value), "six to eight digits"
        case "country":
            said = value.upper()
            fits, form = _COUNTRY.fullmatch(said), "two letters, ISO 3166-1"
        case "email_domain":
            # As it is read out of an address.
            said = email_parts(f"anybody@{value.removeprefix('@')}")[1] or ""
            fits, form = _DOMAIN.fullmatch(said), "what stands behind the sign of an address"
        case "email_hash":
            said, fits, form = value, None, "the pseudonym that events have, mail-<version>-<64 hexadecimal digits>"
            if fits := _PSEUDONYM.fullmatch(value):
                said = f"{fits[1]}{fits[2].lower()}"
        case _:
            return value
    if not fits:
        raise ValueError(f"it is listed by {form}")
    return said


class EntityLists:
    """Entries on entities as if they stood, tried on payments of the past. Raises ValueError for a kind that is not listed by
    itself, and as `listed_value`."""

    def __init__(self, entries: Iterable[Entry]) -> None:
        self._said: dict[tuple[Entity, str], dict[str, datetime]] = {}
        for entry in entries:
            if entry.kind not in ENTITIES:
                raise ValueError(f"{entry.kind}: this stands in a book; here are {', '.join(ENTITIES)}")
            entity = Entity(entry.kind)
            named = document_name(listed_value(entity, entry.value))
            self._said.setdefault((entity, named), {})[name_of(entry.action, entry.rule)] = entry.until

    def __bool__(self) -> bool:
        return bool(self._said)

    def of(self, named: Mapping[Entity, str | None], at: datetime, also: Sequence[str] = ()) -> Iterator[Listed]:
        """What is said of those whom a payment names. also: the customer's other names."""
        for entity in ENTITIES:
            if value := named.get(entity):
                names = (value, *(also if entity is Entity.CUSTOMER else ()))
                said = [self._said.get((entity, document_name(name)), {}) for name in names]
                yield from _standing(_longest(said), entity.value, at)


def listed_in(
    documents: Mapping[Entity, Mapping[str, Any] | None],
    now: datetime,
    also: Sequence[Mapping[str, Any] | None] = (),
) -> Iterator[Listed]:
    """What the documents of a payment's entities say of them. also: those of the customer's other names."""
    for entity in ENTITIES:
        found = (documents.get(entity), *(also if entity is Entity.CUSTOMER else ()))
        said = [document[LISTED] for document in found if document is not None and LISTED in document]
        if said:
            yield from _standing(_longest(said), entity.value, now)


def _longest(said: Sequence[Mapping[str, datetime]]) -> Mapping[str, datetime]:
    """What is said under any of several names, and until when the last of them says it."""
    if len(said) == 1:
        return said[0]
    every = {what for one in said for what in one}
    return {what: max(one[what] for one in said if what in one) for what in every}


def listed_value(entity: Entity, value: str) -> str:
    """What history knows `value` by: of an address the subscriber's, IPv4 itself or the /64 of IPv6, which may be given as
    such. Raises ValueError for what is no address, and for a block of another size."""
    if entity is not Entity.IP:
        return value
    first, _, size = value.partition("/")
    found = address(first)
    if found is None or size not in ("", "64" if ":" in found else "32"):
        raise ValueError("an address is listed by itself, IPv6 by its /64")
    return network(found)


def name_of(action: Action, rule: str | None) -> str:
    return f"{action}:{rule}" if rule else action.value


def _standing(said: Mapping[str, datetime], kind: str, now: datetime) -> Iterator[Listed]:
    for name in sorted(said):
        if now < said[name]:
            action, _, rule = name.partition(":")
            yield Listed(action=Action(action), kind=kind, rule=rule or None)
