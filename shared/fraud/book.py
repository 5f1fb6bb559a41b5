"""The book of rules: everything by which an analyst changes decisions, in one value that has a revision."""

import json
from collections.abc import Set
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from shared.domain.codec import from_document
from shared.fraud.features import NAMES
from shared.fraud.lists import Entry, Lists
from shared.fraud.policy import Policy
from shared.fraud.rules import Rule, Table

SHIPPED_RULES = Path(__file__).with_name("shipped_rules.json")
FORMER_RULES = Path(__file__).with_name("former_rules.json")
"""All that earlier releases shipped, by the version that decisions name: they are computed again by it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """What stands in a book."""

    rules: tuple[Rule, ...] = ()
    entries: tuple[Entry, ...] = ()
    policy: Policy = field(default_factory=Policy)


class Book:
    """A book, ready to judge by. revision: None of what is shipped, and of others the number under which it is kept. names:
    the features of the vectors to be judged, those of this release unless told otherwise.

    Raises ValueError for contents by which nobody can judge.
    """

    def __init__(self, contents: Contents, revision: int | None = None, names: Set[str] = frozenset(NAMES)) -> None:
        self.contents: Final = contents
        self.revision: Final = revision
        self.table: Final = Table(contents.rules, names)
        self.lists: Final = Lists(contents.entries)
        self.policy: Final = contents.policy
        codes = {rule.code for rule in contents.rules}
        if unknown := {entry.rule for entry in contents.entries if entry.rule} - codes:
            raise ValueError(f"a snooze names a rule that is not in the book: {', '.join(sorted(unknown))}")


def shipped_rules() -> tuple[Rule, ...]:
    """The rules that decide until somebody publishes a book."""
    return from_document(json.loads(SHIPPED_RULES.read_bytes()), tuple[Rule, ...])


def book_shipped(rules_version: str, names: Set[str]) -> Book | None:
    """The book that this or an earlier release shipped with rules of that version, for vectors of the features `names`. None
    where none did. Raises ValueError where those rules ask about others."""
    if rules_version == SHIPPED.table.version:
        rules = SHIPPED.contents.rules
    else:
        former = json.loads(FORMER_RULES.read_bytes())
        if rules_version not in former:
            return None
        rules = from_document(former[rules_version], tuple[Rule, ...])
    return Book(Contents(rules=rules), names=names)


SHIPPED = Book(Contents(rules=shipped_rules()))
