"""The book of rules: everything by which an analyst changes decisions, in one value that has a revision."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from shared.domain.codec import from_document
from shared.fraud.lists import Entry, Lists
from shared.fraud.policy import Policy
from shared.fraud.rules import Rule, Table

SHIPPED_RULES = Path(__file__).with_name("shipped_rules.json")


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """What stands in a book."""

    rules: tuple[Rule, ...] = ()
    entries: tuple[Entry, ...] = ()
    policy: Policy = field(default_factory=Policy)


class Book:
    """A book, ready to judge by. revision: None of what is shipped, and of others the number under which it is kept.

    Raises ValueError for contents by which nobody can judge.
    """

    def __init__(self, contents: Contents, revision: int | None = None) -> None:
        self.contents: Final = contents
        self.revision: Final = revision
        self.table: Final = Table(contents.rules)
        self.lists: Final = Lists(contents.entries)
        self.policy: Final = contents.policy
        codes = {rule.code for rule in contents.rules}
        if unknown := {entry.rule for entry in contents.entries if entry.rule} - codes:
            raise ValueError(f"a snooze names a rule that is not in the book: {', '.join(sorted(unknown))}")


def shipped_rules() -> tuple[Rule, ...]:
    """The rules that decide until somebody publishes a book."""
    return from_document(json.loads(SHIPPED_RULES.read_bytes()), tuple[Rule, ...])


SHIPPED = Book(Contents(rules=shipped_rules()))
