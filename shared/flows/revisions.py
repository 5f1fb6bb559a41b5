"""What people decide by is changed a revision at a time, and every revision is kept: who made it, why, when, and after which."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from shared.domain.errors import Rejected
from shared.domain.telemetry import fact
from shared.flows.committing import Decision as Effect
from shared.flows.committing import Seen, change, write
from shared.flows.ports import Create, Document, Documents, Key

LARGEST = 512 * 1024
"""Bytes of what is published, half of what a document may have: every instance reads it once a minute."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Revision:
    """Who made a revision, when and why, and which stood before; after: None where it was what is shipped."""

    revision: int
    after: int | None
    author: str
    why: str
    at: datetime


class Overtaken(Rejected):
    """Somebody else was first to change what this was made from. Answered 409."""

    status = 409


@dataclass(frozen=True, slots=True)
class Published:
    """Something of which one revision stands, as `name` in sentences and reasons. standing: where that is found; kept:
    where each of them is, by its number in eight digits. A document has the members of a Revision, and its `contents` as text."""

    name: str
    standing: Key
    kept: Callable[[str], Key]

    def now(self, documents: Documents) -> Document | None:
        """None while what is shipped stands."""
        [found] = documents.get([self.standing])
        return found.document if found else None

    def still(self, documents: Documents, after: int | None) -> Document | None:
        """`now`, of whoever makes something from revision `after`. Raises Overtaken where another one stands."""
        found = self.now(documents)
        self._same(found, after)
        return found

    def at(self, documents: Documents, revision: int) -> Document | None:
        """That revision, whoever has published since; None where there was none."""
        [found] = documents.get([self._kept(revision)])
        return found.document if found else None

    def history(self, documents: Documents, *, before: int | None, limit: int) -> tuple[Revision, ...]:
        """The newest `limit` revisions below `before`, of all for None, the newest first."""
        standing = self.now(documents)
        newest = standing["revision"] if standing else 0
        last = newest if before is None else min(newest, before - 1)
        # Contents may be half a document's size: one at a time, so that only one is held.
        kept = (self.at(documents, revision) for revision in range(last, max(last - limit, 0), -1))
        return tuple(Revision(**{name: one[name] for name in Revision.__slots__}) for one in kept if one)

    def publish(
        self, documents: Documents, contents: bytes, now: datetime, *, after: int | None, author: str, why: str
    ) -> int:
        """`contents` stand from now on (within a minute); answers the new revision. One commit, its predecessor kept.

        after: the revision that `contents` was made from, None for what is shipped; whoever was not the first to change that
        one looks again. Raises Overtaken for that, and Rejected without an author or a reason and for what is too long.
        """
        if not author or not why:
            raise Rejected(f"a change of the {self.name} has an author and a reason", reason=f"bad_{self.name}")
        if len(contents) > LARGEST:
            raise Rejected(f"a {self.name} has at most {LARGEST} bytes", reason=f"bad_{self.name}")

        def effect(seen: Seen) -> Effect[int]:
            current = seen[self.standing]
            self._same(current.document if current else None, after)
            revision = (after or 0) + 1
            made = {
                "revision": revision,
                "after": after,
                "author": author,
                "why": why,
                "at": now,
                "contents": contents.decode(),
            }
            return Effect(revision, [write(self.standing, current, made), Create(self._kept(revision), made)])

        revision = change(documents, [self.standing], effect)
        fact("revision_published", of=self.name, revision=revision, after=after)
        return revision

    def _same(self, found: Document | None, after: int | None) -> None:
        standing = found["revision"] if found else None
        if standing != after:
            told = f"the {self.name} is at revision {standing} by now, and not {after}"
            raise Overtaken(told, reason=f"{self.name}_changed")

    def _kept(self, revision: int) -> Key:
        return self.kept(f"{revision:08}")
