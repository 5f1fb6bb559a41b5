"""Who is let pass and who is not, by name. The book names classes that are few: a BIN, a country, an e-mail domain, the hash of
an e-mail address. It is read once a minute, so that a list costs a decision nothing."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from shared.domain.decisions import Action, Listed
from shared.domain.events import PaymentAttempt
from shared.fraud.features import member

MEMBERS: Mapping[str, tuple[str, ...]] = {
    "bin": ("card.bin",),
    "country": ("card.country", "billing_country"),
    "email_domain": ("email_domain",),
    "email_hash": ("email_hash",),
}
"""Kinds that are listed, and the event's members that tell them: the first that is there."""


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

    def of(self, event: PaymentAttempt, now: datetime) -> Iterator[Listed]:
        """What is named of the payment of `event`."""
        if not self._until:
            return
        for kind, paths in MEMBERS.items():
            value = next((found for path in paths if (found := member(event, path))), None)
            for action in Action:
                until = self._until.get((kind, str(value), action)) if value else None
                if until is not None and now < until:
                    yield Listed(action=action, kind=kind)
