"""Named conditions over the feature vector: what we know without a model, and what no model may overrule.

Rules are data (`shared.fraud.book`). They read features, and the segment of the payment in their scope, and nothing else, so
a stored decision can be judged again. A missing feature is unknown, and what is unknown does not hold. Counts are of earlier
payments: the one being judged is not among them.
"""

import hashlib
from collections.abc import Iterable, Set
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum

from shared.domain.codec import encode
from shared.domain.decisions import Outcome
from shared.fraud.expressions import Condition, Tree, Values, compiled
from shared.fraud.features import NAMES


class State(StrEnum):
    """Where a rule stands in its life. It may go back, and what is retired may be drafted again."""

    DRAFT = "draft"  # written, and judges nothing
    SHADOW = "shadow"  # a decision tells whether it held, and it changes nothing
    LIVE = "live"
    RETIRED = "retired"


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """Where a payment belongs. country: the card's, or the bill's where the card's is not told; ISO 3166-1 alpha-2.
    product: what is bought, in the words of whoever asks before authorisation; no provider's event tells it."""

    account: str
    provider: str
    country: str | None = None
    initiator: str | None = None
    product: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """The segments that a rule or a set of thresholds is for: of each member one of those named, or any where none is.
    What a payment does not tell is none of those that are named."""

    accounts: tuple[str, ...] = ()
    providers: tuple[str, ...] = ()
    countries: tuple[str, ...] = ()
    initiators: tuple[str, ...] = ()
    products: tuple[str, ...] = ()

    def covers(self, segment: Segment) -> bool:
        return (
            (not self.accounts or segment.account in self.accounts)
            and (not self.providers or segment.provider in self.providers)
            and (not self.countries or segment.country in self.countries)
            and (not self.initiators or segment.initiator in self.initiators)
            and (not self.products or segment.product in self.products)
        )

    def in_our_letters(self) -> "Scope":
        """The same in the letters that payments have: books of earlier releases kept what was written in any."""
        return replace(
            self,
            providers=tuple(one.lower() for one in self.providers),
            countries=tuple(one.upper() for one in self.countries),
            initiators=tuple(one.lower() for one in self.initiators),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class LastChange:
    """Who gave a part of a book its words of now, when, and in which revision, whose history says what for."""

    revision: int
    author: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """`outcome` at least, when the condition holds. `code` is the reason that a decision gives.

    sql: as it was written, for people. tree: what decides (`shared.fraud.expressions`). owner: who answers for it. reason:
    why it is there. measured: how right it was found to be, where, with an interval; empty where nobody has measured. changed:
    None of what is as a release shipped it, and of what was published before this was noted.
    """

    code: str
    outcome: Outcome
    sql: str
    tree: Tree
    state: State = State.DRAFT
    scope: Scope = field(default_factory=Scope)
    owner: str = ""
    reason: str = ""
    measured: str = ""
    changed: LastChange | None = None

    @property
    def version(self) -> str:
        """Short SHA-256 of when it holds and what it wants, whatever book it stands in and whether it is live there."""
        return version_of([self.code, self.outcome, self.tree, self.scope])


class Table:
    """The rules of one book that are live or in shadow, ready to judge vectors of the features `names`. Raises ValueError for
    a condition that is none, and for two rules of one code."""

    def __init__(self, rules: Iterable[Rule], names: Set[str] = frozenset(NAMES)) -> None:
        rules = tuple(rules)
        codes = [rule.code for rule in rules]
        if repeated := {code for code in codes if codes.count(code) > 1}:
            raise ValueError(f"two rules have one code: {', '.join(sorted(repeated))}")
        self._live: list[tuple[Rule, Condition]] = []
        self._shadow: list[tuple[Rule, Condition]] = []
        for rule in rules:
            # A draft's condition is proved too: it is a rule already, and shall be one when it goes live.
            condition = compiled(rule.tree, names)
            if rule.state is State.LIVE:
                self._live.append((rule, condition))
            elif rule.state is State.SHADOW:
                self._shadow.append((rule, condition))
        deciding = [
            [rule.code, rule.outcome, rule.tree, rule.scope, rule.state] for rule, _ in (*self._live, *self._shadow)
        ]
        self.version = version_of(deciding)
        """Short SHA-256 of all that a decision could have been different by; who wrote a rule, and why, is not in it."""

    def judge(self, values: Values, segment: Segment) -> tuple[Rule, ...]:
        """The live rules that hold, in the book's order."""
        return _holding(self._live, values, segment)

    def shadows(self, values: Values, segment: Segment) -> tuple[Rule, ...]:
        """Those in shadow that hold."""
        return _holding(self._shadow, values, segment)


# Members that came later, where they say nothing.
_SILENT = (b',"products":[]', b',"most_a_day":null')


def version_of(deciding: object) -> str:
    """Short SHA-256 of what decides. What says nothing by a member that came later has the version that it had before, so
    that the decisions of earlier releases are still told apart by what made them."""
    told = encode(deciding)
    for silent in _SILENT:
        told = told.replace(silent, b"")
    return hashlib.sha256(told).hexdigest()[:16]


def _holding(rules: list[tuple[Rule, Condition]], values: Values, segment: Segment) -> tuple[Rule, ...]:
    return tuple(rule for rule, condition in rules if condition(values) is True and rule.scope.covers(segment))
