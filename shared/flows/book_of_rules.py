"""The book of rules is changed a revision at a time, and every revision is kept: who made it, why, when, and after which."""

from collections.abc import Set
from dataclasses import dataclass
from datetime import datetime

from shared.domain.codec import decode, encode
from shared.domain.errors import Rejected, Unreadable
from shared.domain.telemetry import fact
from shared.flows.committing import Decision as Effect
from shared.flows.committing import Seen, change, write
from shared.flows.ports import Create, Document, Documents, Key, Ports
from shared.fraud.book import SHIPPED, Book, Contents
from shared.fraud.features import NAMES
from shared.fraud.lists import LONGEST_SNOOZE

BOOK = Key("registry", "rules")
BOOKS = "rule_books"
LARGEST = 512 * 1024
"""Bytes of a book, half of what a document may have: every instance reads it once a minute."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Revision:
    """Who made a revision, when and why, and which stood before; after: None where it was what is shipped."""

    revision: int
    after: int | None
    author: str
    why: str
    at: datetime


def standing_book(documents: Documents) -> Book:
    """The book that decides now. Raises Unreadable for one by which nobody can judge."""
    [found] = documents.get([BOOK])
    return book_in(found.document) if found else SHIPPED


def history(documents: Documents, *, before: int | None, limit: int) -> tuple[Revision, ...]:
    """The newest `limit` revisions below `before`, of all for None, the newest first."""
    [found] = documents.get([BOOK])
    newest = found.document["revision"] if found else 0
    last = newest if before is None else min(newest, before - 1)
    keys = [_kept(revision) for revision in range(last, max(last - limit, 0), -1)]
    # A book may be half a document's size: one at a time, so that only one is held.
    kept = (one for key in keys for one in documents.get([key]) if one)
    return tuple(Revision(**{name: one.document[name] for name in Revision.__slots__}) for one in kept)


def book_in(document: Document, names: Set[str] = frozenset(NAMES)) -> Book:
    """The book in a document, for vectors of the features `names`. Raises Unreadable for one by which nobody can judge."""
    try:
        revision, contents = document["revision"], document["contents"]
        return Book(decode(contents, Contents), int(revision), names)
    except (KeyError, TypeError, ValueError) as error:
        raise Unreadable(f"not a book of rules: {error!r}"[:300], reason="bad_book") from error


def kept_book(documents: Documents, revision: int, names: Set[str] = frozenset(NAMES)) -> Book | None:
    """The book of that revision, whoever has written since, for vectors of the features `names`. None where there is none
    that can be read."""
    [found] = documents.get([_kept(revision)])
    try:
        return book_in(found.document, names) if found else None
    except Unreadable:
        # A later release may judge by what this one does not know.
        return None


def publish_book(ports: Ports, contents: Contents, now: datetime, *, after: int | None, author: str, why: str) -> int:
    """Judge by `contents` from now on (within a minute); answers the new revision. One commit, its predecessor kept.

    after: the revision that `contents` was made from, None for what is shipped; whoever was not the first to change that one
    looks again. Raises Rejected for that, for contents by which nobody can judge, and without an author or a reason.
    """
    if not author or not why:
        raise Rejected("a change of the book has an author and a reason", reason="bad_book")
    try:
        Book(contents)
    except ValueError as error:
        raise Rejected(str(error), reason="bad_book") from error
    if any(entry.rule and entry.until > now + LONGEST_SNOOZE for entry in contents.entries):
        raise Rejected(f"a rule is snoozed for {LONGEST_SNOOZE.days} days at most", reason="bad_book")
    data = encode(contents).decode()
    if len(data.encode()) > LARGEST:
        raise Rejected(f"a book has at most {LARGEST} bytes", reason="bad_book")

    def effect(seen: Seen) -> Effect[int]:
        current = seen[BOOK]
        standing = current.document["revision"] if current else None
        if standing != after:
            raise Rejected(f"the book is at revision {standing} by now, and not {after}", reason="book_changed")
        revision = (standing or 0) + 1
        made = {
            "revision": revision,
            "after": standing,
            "author": author,
            "why": why,
            "at": now,
            "contents": data,
        }
        return Effect(revision, [write(BOOK, current, made), Create(_kept(revision), made)])

    revision = change(ports.documents, [BOOK], effect)
    fact("book_published", revision=revision, after=after)
    return revision


def _kept(revision: int) -> Key:
    return Key(BOOKS, f"{revision:08}")
