"""Who is listed by a pseudonym, and under which key: a key that is left out takes with it what was listed under it.

An address is looked for under every key that is held (`email_hash_also`), an id that could be a card's number under the oldest.
So nothing lapses while keys are added; when one is dropped, somebody has to know whom that lets go.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from shared.domain.codec import from_document, utc_text
from shared.domain.pseudonyms import MAIL, NAME, Keyring, version_of
from shared.domain.telemetry import alarm
from shared.flows.book_of_rules import standing_book
from shared.flows.listing import LISTS, ListedEntity
from shared.flows.ports import Documents
from shared.fraud.features import Entity
from shared.fraud.lists import name_of

_PAGE: Final = 200
_WHERE: Final = ((Entity.CARD, NAME), (Entity.CUSTOMER, MAIL), (Entity.CUSTOMER, NAME), (Entity.DEVICE, NAME))
"""Who may be listed by which kind of pseudonym, in the order of documents."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedEntry:
    """An entry that stands, of somebody who goes by a pseudonym. name: what it says, and of a snooze which rule. holds: whether
    whoever is meant is still found by it."""

    kind: str
    value: str
    version: str
    name: str
    until: datetime
    owner: str
    holds: bool


def named_entries(documents: Documents, keyring: Keyring, now: datetime) -> list[NamedEntry]:
    """All that stand, by the version of their key and then as they are kept. Raises Unavailable, and Unreadable for a book that
    cannot be read."""
    return sorted(_entries(documents, keyring, now, lapsed_alone=False), key=lambda one: (one.version, one.kind))


def watch_entries(documents: Documents, keyring: Keyring, now: datetime) -> None:
    """Alarm where entries stand that nobody is found by, for their key is not held any more. A few reads: what goes by a key that is held
    is passed over. Raises as `named_entries`."""
    gone = list(_entries(documents, keyring, now, lapsed_alone=True))
    for version in sorted({one.version for one in gone}):
        its = [one for one in gone if one.version == version]
        alarm(
            "entries_lapsed",
            key=version,
            entries=len(its),
            kinds=" ".join(sorted({f"{one.name}:{one.kind}" for one in its})),
            last_until=utc_text(max(one.until for one in its)),
        )


def under_another_key(documents: Documents, kind: str, value: str, now: datetime) -> str | None:
    """What to do, where `value` names a customer by their address and entries stand by names under other keys: one of them may
    mean the same customer, which only their payment tells. None where none can. A few reads."""
    of = version_of(value)
    if kind != Entity.CUSTOMER or of is None or of[0] != MAIL:
        return None
    others = _entities(documents, lambda _, version: version == of[1], now, Entity.CUSTOMER, MAIL, lapsed_alone=True)
    if (other := next(others, None)) is None:
        return None
    return (
        f"entries stand by names under another key of pseudonyms (mail-{other.version}-…), and this customer may be meant by one: "
        "email_hash_also of their payment in payment_events has their other names, `payin lists keys` shows the entries"
    )


def _entries(documents: Documents, keyring: Keyring, now: datetime, *, lapsed_alone: bool) -> Iterator[NamedEntry]:
    for entry in standing_book(documents).contents.entries:
        of = version_of(entry.value)
        if entry.kind != "email_hash" or of is None or entry.until <= now:
            continue
        holds = keyring.names_by(*of)
        if not (holds and lapsed_alone):
            yield NamedEntry(
                kind=entry.kind,
                value=entry.value,
                version=of[1],
                name=name_of(entry.action, entry.rule),
                until=entry.until,
                owner=entry.owner,
                holds=holds,
            )
    for entity, kind in _WHERE:
        yield from _entities(documents, keyring.names_by, now, entity, kind, lapsed_alone=lapsed_alone)


def _entities(
    documents: Documents,
    found_by: Callable[[str, str], bool],
    now: datetime,
    entity: Entity,
    kind: str,
    *,
    lapsed_alone: bool,
) -> Iterator[NamedEntry]:
    begins = f"{entity}:{kind}-"
    after, most = begins, 1
    while True:
        page = documents.scan(LISTS, most, after)
        for found in page:
            if not found.key.id.startswith(begins):
                return
            after = found.key.id
            value = after.removeprefix(f"{entity}:")
            # A provider's own id may begin as ours do.
            if (of := version_of(value)) is None:
                continue
            holds = found_by(*of)
            if holds and lapsed_alone:
                # The first name behind all that go by this key.
                after, most = f"{begins}{of[1]}.", 1
                break
            for name, said in from_document(found.document, ListedEntity).standing(now).items():
                assert said.until is not None
                yield NamedEntry(
                    kind=entity, value=value, version=of[1], name=name, until=said.until, owner=said.owner, holds=holds
                )
        else:
            if len(page) < most:
                return
            most = _PAGE
