"""The book of rules, as it stands, as it stood, and as it is published."""

from collections.abc import Set
from dataclasses import replace
from datetime import datetime
from itertools import accumulate
from typing import TypeVar, assert_never

from shared.domain.codec import decode, encode, in_utc
from shared.domain.errors import Rejected, Unreadable
from shared.flows.ports import Document, Documents, Key, Ports
from shared.flows.revisions import Published
from shared.fraud.book import SHIPPED, Book, Contents
from shared.fraud.features import NAMES
from shared.fraud.lists import LONGEST_SNOOZE, Entry, named_value
from shared.fraud.policy import Exemptions, Limits
from shared.fraud.rules import LastChange, Rule, State

BOOK = Key("registry", "rules")
BOOKS = Published("book", BOOK, lambda revision: Key("rule_books", revision))

Part = TypeVar("Part", Rule, Entry, Limits, Exemptions)

# Letters, to Unicode, of which nothing is seen.
_UNSEEN = frozenset("\u115f\u1160\u3164\uffa0")

MOST_TOLD = 10
"""Of so many parts that lack something a refusal tells."""


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
    return _readable(BOOKS.at(documents, revision), names)


def _readable(found: Document | None, names: Set[str] = frozenset(NAMES)) -> Book | None:
    try:
        return book_in(found, names) if found else None
    except Unreadable:
        # A later release may judge by what this one does not know.
        return None


def says_something(text: str) -> bool:
    """Whether anybody can read it: of an owner or a reason a letter or a digit is seen at least."""
    return any(letter.isalnum() and letter not in _UNSEEN for letter in text)


def unknown(revision: int) -> Rejected:
    return Rejected(f"there is no revision {revision} that can be read", reason="unknown_revision")


def publish_book(ports: Ports, contents: Contents, now: datetime, *, after: int | None, author: str, why: str) -> int:
    """Judge by `contents` from now on, as `Published.publish` says; what is new or changed in it is signed by `author`. Raises
    as that, and Rejected for contents by which nobody can judge and for what is new or changed and says no owner or no reason."""
    # Before all else: whose book is overtaken looks again anyway.
    found = BOOKS.still(ports.documents, after)
    _judges(contents, now)
    before = _readable(found) if found else SHIPPED
    change = LastChange(revision=(after or 0) + 1, author=author, at=now)
    signed = _signed(contents, before.contents if before else Contents(), change)
    return BOOKS.publish(ports.documents, _kept(signed), now, after=after, author=author, why=why)


def restore_book(ports: Ports, to: int | None, now: datetime, *, after: int | None, author: str, why: str) -> int:
    """Judge by what revision `to` holds once more (None: what is shipped): as it was kept, to the byte, also what nobody owned,
    and signed as it was. Raises as `Published.publish`, and Rejected for a revision that there is not, or by which nobody can
    judge now."""
    found = BOOKS.at(ports.documents, to) if to is not None else None
    if to is not None and (found is None or _readable(found) is None):
        raise unknown(to)
    contents: str = found["contents"] if found else _kept(SHIPPED.contents).decode()
    _judges(decode(contents, Contents), now)
    return BOOKS.publish(ports.documents, contents.encode(), now, after=after, author=author, why=why)


def _kept(contents: Contents) -> bytes:
    """As short as before it was noted who changed what, where nobody is: an old book that is close to its longest is still
    published with one rule less. No text holds these bytes, for its quotes are escaped."""
    return encode(contents).replace(b',"changed":null', b"")


def _judges(contents: Contents, now: datetime) -> None:
    try:
        Book(contents)
    except ValueError as error:
        raise Rejected(str(error), reason="bad_book") from error
    if any(entry.rule and entry.until > now + LONGEST_SNOOZE for entry in contents.entries):
        raise Rejected(f"a rule is snoozed for {LONGEST_SNOOZE.days} days at most", reason="bad_book")


def _signed(contents: Contents, before: Contents, change: LastChange) -> Contents:
    """What stood in `before` as it was signed there, and all else by `change`."""
    eased = {rule.code: rule for rule in before.rules}
    rules, ownerless = _parts("rules", contents.rules, before.rules, change)
    # What nobody owned may be taken out of force by anybody, for that is done in haste; whoever lets it decide owns it.
    wrong = [told for rule, told in ownerless if not _only_eased(rule, eased.get(rule.code))]
    entries, ownerless_entries = _parts("entries", contents.entries, before.entries, change)
    limits, ownerless_limits = _parts(
        "policy.limits", contents.policy.limits, before.policy.limits, change, first_decides=True
    )
    exemptions, others = _parts(
        "policy.exemptions", contents.policy.exemptions, before.policy.exemptions, change, first_decides=True
    )
    wrong += [told for _, told in (*ownerless_entries, *ownerless_limits, *others)]
    if wrong:
        told = "; ".join(wrong[:MOST_TOLD])
        raise Rejected(f"{told}; what is new or changed says who answers for it and why it is there", reason="bad_book")
    return Contents(rules=rules, entries=entries, policy=replace(contents.policy, limits=limits, exemptions=exemptions))


def _parts(
    member: str,
    parts: tuple[Part, ...],
    before: tuple[Part, ...],
    change: LastChange,
    *,
    first_decides: bool = False,
) -> tuple[tuple[Part, ...], list[tuple[Part, str]]]:
    """`parts`, signed; and those that are new or changed and lack an owner or a reason, with a sentence. first_decides: one
    that now comes before another, which it came behind, is changed too."""
    stood: dict[bytes, list[tuple[int, Part]]] = {}
    for place, part in enumerate(before):
        stood.setdefault(_words(part), []).append((place, part))
    found = [places.pop(0) if (places := stood.get(_words(part))) else None for part in parts]
    # Of each part the first place that any behind it had.
    behind = list(accumulate((one[0] if one else len(before) for one in reversed(found)), min, initial=len(before)))
    signed, lacking = [], []
    for number, (part, one) in enumerate(zip(parts, found, strict=True)):
        overtakes = first_decides and one is not None and behind[len(parts) - 1 - number] < one[0]
        as_it_stood = None if one is None or overtakes else one[1]
        signed.append(replace(part, changed=as_it_stood.changed if as_it_stood else change))
        missing = [name for name, said in (("owner", part.owner), ("reason", part.reason)) if not says_something(said)]
        if missing and as_it_stood is None:
            lacking.append((part, f"book.{member}[{number}] {_name(part)}: give its {' and its '.join(missing)}"))
    return tuple(signed), lacking


def _only_eased(rule: Rule, before: Rule | None) -> bool:
    """Whether nothing is changed but its state, and that to one in which it does not decide."""
    return (
        before is not None
        and rule.state is not State.LIVE
        and _words(replace(rule, state=before.state)) == _words(before)
    )


def _words(part: Rule | Entry | Limits | Exemptions) -> bytes:
    """By which a part is the same as another one: all but who changed it, in the letters that payments have, for books of
    earlier releases hold others, which nobody has touched."""
    if not isinstance(part, Entry):
        return encode(replace(part, changed=None, scope=part.scope.in_our_letters()))
    try:
        value = named_value(part.kind, part.value)
    except ValueError:
        # What no payment says was taken once: it is in no other letters.
        value = part.value
    return encode(replace(part, changed=None, value=value, until=in_utc(part.until)))


def _name(part: Rule | Entry | Limits | Exemptions) -> str:
    match part:
        case Rule():
            return part.code
        case Entry():
            return f"({part.action} by {part.kind})"
        case Limits() | Exemptions():
            return part.name
        case _:
            assert_never(part)
