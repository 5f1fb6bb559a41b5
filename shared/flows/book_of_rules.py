"""The book of rules, as it stands, as it stood, and as it is published."""

from collections.abc import Set
from datetime import datetime

from shared.domain.codec import decode, encode
from shared.domain.errors import Rejected, Unreadable
from shared.flows.ports import Document, Documents, Key, Ports
from shared.flows.revisions import Published
from shared.fraud.book import SHIPPED, Book, Contents
from shared.fraud.features import NAMES
from shared.fraud.lists import LONGEST_SNOOZE

BOOK = Key("registry", "rules")
BOOKS = Published("book", BOOK, lambda revision: Key("rule_books", revision))


def standing_book(documents: Documents) -> Book:
    """The book that decides now. Raises Unreadable for one by which nobody can judge."""
    found = BOOKS.now(documents)
    return book_in(found) if found else SHIPPED


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
    found = BOOKS.at(documents, revision)
    try:
        return book_in(found, names) if found else None
    except Unreadable:
        # A later release may judge by what this one does not know.
        return None


def publish_book(ports: Ports, contents: Contents, now: datetime, *, after: int | None, author: str, why: str) -> int:
    """Judge by `contents` from now on, as `Published.publish` says. Raises as that, and Rejected for contents by which nobody
    can judge."""
    try:
        Book(contents)
    except ValueError as error:
        raise Rejected(str(error), reason="bad_book") from error
    if any(entry.rule and entry.until > now + LONGEST_SNOOZE for entry in contents.entries):
        raise Rejected(f"a rule is snoozed for {LONGEST_SNOOZE.days} days at most", reason="bad_book")
    return BOOKS.publish(ports.documents, encode(contents), now, after=after, author=author, why=why)
