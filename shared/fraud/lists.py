"""Who is let pass and who is not, by name: what lists say of a payment, and which rules are snoozed for something of it.

A list names a card, customer, device or address in the document of that entity's history, which every decision reads
anyway: `{"listed": {"block": µs}, "snoozed": {"<rule>": µs}}`, each until an instant. Classes that are few (a BIN, a country, an
e-mail domain, a hash of an e-mail address) are named in the book.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from shared.domain.decisions import Action, Listed
from shared.domain.events import PaymentChanged
from shared.fraud.features import Entity, member, microseconds

LONGEST_ENTRY = timedelta(days=400)
"""As long as an entity is remembered that is seen no more: who shall be listed for longer is listed again."""

LONGEST_SNOOZE = timedelta(days=180)

ENTITIES: Mapping[str, Entity] = {
    "card": Entity.CARD,
    "customer": Entity.CUSTOMER,
    "device": Entity.DEVICE,
    "address": Entity.IP,
}
"""Kinds that are listed with the entity's history, under the name that a decision's `history` tells. An address is its
network: IPv4 whole, IPv6 by its /64 (`shared.domain.addresses.network`)."""

MEMBERS: Mapping[str, tuple[str, ...]] = {
    "bin": ("card.bin",),
    "country": ("card.country", "billing_country"),
    "email_domain": ("email_domain",),
    "email_hash": ("email_hash",),
}
"""Kinds that are listed in the book, and the event's members that tell them: the first that is there."""

KINDS = (*ENTITIES, *MEMBERS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A line of a list. until: an aware instant from which on it says nothing. owner: who answers for it."""

    action: Action
    kind: str
    value: str
    until: datetime
    owner: str = ""
    reason: str = ""


class Lists:
    """The entries of one book. Raises ValueError for a kind that the book does not list."""

    def __init__(self, entries: Iterable[Entry]) -> None:
        self._until: dict[tuple[str, str, Action], datetime] = {}
        for entry in entries:
            if entry.kind not in MEMBERS:
                raise ValueError(f"the book does not list by {entry.kind}")
            self._until[entry.kind, entry.value, entry.action] = entry.until

    def of(self, event: PaymentChanged, now: datetime) -> Iterator[Listed]:
        """What is named of the payment of `event`."""
        if not self._until:
            return
        for kind, paths in MEMBERS.items():
            value = next((found for path in paths if (found := member(event, path))), None)
            for action in Action:
                until = self._until.get((kind, str(value), action)) if value else None
                if until is not None and now < until:
                    yield Listed(action=action, kind=kind)


def listed_in(documents: Mapping[Entity, Mapping[str, Any] | None], now: datetime) -> Iterator[Listed]:
    """What is named among the entities of a payment, by their documents."""
    at = microseconds(now)
    for kind, entity in ENTITIES.items():
        for action, until in sorted(((documents.get(entity) or {}).get("listed") or {}).items()):
            if at < until:
                yield Listed(action=Action(action), kind=kind)


def snoozed_in(documents: Mapping[Entity, Mapping[str, Any] | None], now: datetime) -> tuple[str, ...]:
    """The codes of rules that are snoozed for any entity of a payment, sorted."""
    at = microseconds(now)
    snoozes = ((document or {}).get("snoozed") or {} for document in documents.values())
    return tuple(sorted({code for snoozed in snoozes for code, until in snoozed.items() if at < until}))


def seen(document: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """The document of an entity that has paid before; None for one that is known to a list and to nobody else: a list
    makes nobody an old acquaintance."""
    return document if document is not None and "first" in document else None
