"""What an operator may ask of the book of rules and of the lists, and what is answered: the contract of `manage_rules`.

A call is JSON with an `act`. A book is told as it is published, its rules in SQL, so that what `show` answers may be edited
and sent back. What does not fit is Rejected with a sentence that names the member.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from pydantic import AwareDatetime, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from shared.domain.codec import decode, encode, in_utc
from shared.domain.decisions import Action, Outcome
from shared.domain.errors import Rejected
from shared.flows.book_of_rules import Revision, history, kept_book, publish_book, standing_book
from shared.flows.listing import Change, ListedEntity, list_entity, listed_entities, listed_entity, take_back
from shared.flows.ports import Documents, Ports
from shared.fraud.book import SHIPPED, Book, Contents
from shared.fraud.expressions import Tree, features_of
from shared.fraud.lists import Entry
from shared.fraud.parsing import parse
from shared.fraud.policy import Costs
from shared.fraud.rules import State
from shared.runtime.contracts import TOLD, Closed, sentences

MOST_RULES = 500
MOST_HISTORY = 50
MOST_LISTED = 200
Number = Annotated[int, Field(ge=1, le=99_999_999)]
Text = Annotated[str, Field(max_length=2000)]
Said = Annotated[str, Field(min_length=1, max_length=2000)]
RuleCode = Annotated[str, Field(pattern="^[a-z][a-z0-9_]{0,63}$")]
Value = Annotated[str, Field(min_length=1, max_length=300)]
Codes = Annotated[tuple[Annotated[str, Field(min_length=1, max_length=100)], ...], Field(max_length=300)]


_COSTS = Costs()


class Told(Closed):
    model_config = ConfigDict(allow_inf_nan=False, str_strip_whitespace=True)


class ToldScope(Told):
    accounts: Codes = ()
    providers: Codes = ()
    countries: Codes = ()
    initiators: Codes = ()
    products: Codes = ()


class ToldRule(Told):
    """`shared.fraud.rules.Rule`, whose tree is made of its SQL here."""

    code: RuleCode
    outcome: Outcome
    sql: str
    state: State = State.DRAFT
    scope: ToldScope = ToldScope()
    owner: Text = ""
    reason: Text = ""
    measured: Text = ""


class ToldEntry(Told):
    action: Action
    kind: Annotated[str, Field(min_length=1, max_length=40)]
    value: Value
    until: AwareDatetime
    rule: RuleCode | None = None
    owner: Text = ""
    reason: Text = ""

    def entry(self) -> Entry:
        """Raises Rejected for a snooze that names no rule, and for another entry that names one."""
        said = {name: getattr(self, name) for name in ("action", "kind", "value", "rule", "owner", "reason")}
        try:
            return Entry(**said, until=in_utc(self.until))
        except ValueError as error:
            raise Rejected(f"{self.kind}: {error}", reason="bad_entry") from error


class ToldThresholds(Told):
    challenge: float
    review: float
    decline: float


class ToldCosts(Told):
    challenge_friction: float = _COSTS.challenge_friction
    challenge_missed: float = _COSTS.challenge_missed
    review_friction: float = _COSTS.review_friction
    review_missed: float = _COSTS.review_missed
    insult: float = _COSTS.insult


class ToldLimits(Told):
    name: Said
    scope: ToldScope = ToldScope()
    thresholds: ToldThresholds | None = None
    costs: ToldCosts | None = None
    authenticated_loss: float | None = None
    owner: Text = ""
    reason: Text = ""


class ToldExploration(Told):
    share: float = 0.0
    most: Annotated[int, Field(ge=0, le=10**15)] = 0
    most_a_day: Annotated[int, Field(ge=0, le=10**15)] | None = None

    @model_validator(mode="after")
    def _capped(self) -> "ToldExploration":
        if self.share and self.most_a_day is None:
            raise ValueError("exploration says what a day may lose: most_a_day")
        return self


class ToldExemptions(Told):
    name: Said
    scope: ToldScope = ToldScope()
    low_value: bool = False
    acquirer_fraud_rate: float | None = None
    owner: Text = ""
    reason: Text = ""


class ToldPolicy(Told):
    limits: tuple[ToldLimits, ...] = ()
    exploration: ToldExploration = ToldExploration()
    exemptions: tuple[ToldExemptions, ...] = ()


class ToldBook(Told):
    rules: Annotated[tuple[ToldRule, ...], Field(max_length=MOST_RULES)] = ()
    entries: tuple[ToldEntry, ...] = ()
    policy: ToldPolicy = ToldPolicy()

    def contents(self) -> Contents:
        """Ready to publish. Raises Rejected for conditions that are none, and Unreadable for what no policy says."""
        made: dict[str, Any] = self.model_dump(mode="json")
        wrong = []
        for number, (rule, told) in enumerate(zip(made["rules"], self.rules, strict=True)):
            try:
                rule["tree"] = parse(told.sql)
            except Rejected as error:
                wrong.append(f"book.rules[{number}].sql of {told.code}: {error}")
        if wrong:
            raise Rejected("; ".join(wrong[:TOLD]), reason="bad_rule")
        return decode(encode({**made, "entries": [one.entry() for one in self.entries]}), Contents)


class Show(Told):
    """The book that decides now, or that of a revision."""

    act: Literal["show"]
    revision: Number | None = None


class History(Told):
    """Revisions, the newest first, from the one before `before` on."""

    act: Literal["history"]
    before: Number | None = None
    limit: Annotated[int, Field(ge=1, le=MOST_HISTORY)] = 20


class Check(Told):
    act: Literal["check"]
    rules: Annotated[tuple[str, ...], Field(max_length=MOST_RULES)]


class Publish(Told):
    """after: the revision that `book` was made from; null for what is shipped."""

    act: Literal["publish"]
    book: ToldBook
    after: Number | None
    author: Said
    reason: Said


class Back(Told):
    """The contents of an older revision once more, as a new one. to: null for what is shipped."""

    act: Literal["back"]
    to: Number | None
    author: Said
    reason: Said


class Diff(Told):
    """What changed between two revisions, null being what is shipped."""

    act: Literal["diff"]
    since: Annotated[Number | None, Field(alias="from")]
    to: Number | None


class ListEntity(ToldEntry):
    """Of a card, a customer, a device or an address, as a decision's history names it: allow, block, or snooze a rule."""

    act: Literal["list"]
    owner: Said
    reason: Said
    author: Said


class Unlist(Told):
    """That this is said of the entity no longer."""

    act: Literal["unlist"]
    action: Action
    kind: str
    value: Value
    rule: RuleCode | None = None
    author: Said
    reason: Said


class ShowListed(Told):
    """What was ever said of one entity, or what stands of all, those after `after`."""

    act: Literal["listed"]
    kind: str | None = None
    value: Value | None = None
    after: Annotated[str, Field(max_length=400)] = ""
    limit: Annotated[int, Field(ge=1, le=MOST_LISTED)] = MOST_LISTED

    @model_validator(mode="after")
    def _one_or_all(self) -> "ShowListed":
        if (self.kind is None) is not (self.value is None):
            raise ValueError("an entity is named by its kind and its value")
        return self


Call = Show | History | Check | Publish | Back | Diff | ListEntity | Unlist | ShowListed
_CALL: TypeAdapter[Call] = TypeAdapter(Annotated[Call, Field(discriminator="act")])


@dataclass(frozen=True, slots=True)
class Shown:
    """revision: None of what is shipped."""

    revision: int | None
    rules_version: str
    book: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Revisions:
    revisions: tuple[Revision, ...]


@dataclass(frozen=True, slots=True)
class Condition:
    """Either the tree and the features that it looks at, or what is wrong."""

    sql: str
    tree: Tree = None
    features: tuple[str, ...] = ()
    wrong: str | None = None


@dataclass(frozen=True, slots=True)
class Checked:
    fits: bool
    rules: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Published:
    revision: int


@dataclass(frozen=True, slots=True)
class Changed:
    """Of each rule that differs (by its code), list entry and policy: how it was and how it is; null where it is not."""

    rules: dict[str, tuple[Any, Any]]
    removed_entries: tuple[Any, ...]
    added_entries: tuple[Any, ...]
    policy: tuple[Any, Any] | None


@dataclass(frozen=True, slots=True)
class Standing:
    """Of one entity: what stands, by action and rule. changes: all that was ever said of it, where it was asked for alone."""

    kind: str
    value: str
    standing: dict[str, Change]
    changes: tuple[Change, ...] = ()


@dataclass(frozen=True, slots=True)
class Entities:
    """after: to ask on from; None at the end."""

    entities: tuple[Standing, ...]
    after: str | None


Answer = Shown | Revisions | Checked | Published | Changed | Standing | Entities


def manage_rules(asked: bytes, ports: Ports, now: datetime) -> Answer:
    """What the call in `asked` asks for. Raises Rejected, with a sentence, for what does not fit, and Unreadable for a
    policy by which nobody can judge and for a standing book that cannot be read."""
    call, documents = _read(asked), ports.documents
    match call:
        case Show(revision=None):
            return _shown(standing_book(documents))
        case Show(revision=revision):
            return _shown(_kept(documents, revision))
        case History():
            return Revisions(history(documents, before=call.before, limit=call.limit))
        case Check():
            checked = tuple(map(_checked, call.rules))
            return Checked(all(one.wrong is None for one in checked), checked)
        case Publish():
            made = call.book.contents()
            return Published(publish_book(ports, made, now, after=call.after, author=call.author, why=call.reason))
        case Back():
            again = _kept(documents, call.to)
            standing = next(iter(history(documents, before=None, limit=1)), None)
            after = standing.revision if standing else None
            return Published(publish_book(ports, again.contents, now, after=after, author=call.author, why=call.reason))
        case Diff():
            return _changed(_kept(documents, call.since), _kept(documents, call.to))
        case ListEntity():
            return _standing(list_entity(ports, call.entry(), now, author=call.author), now)
        case Unlist():
            of = (call.kind, call.value, call.action, call.rule)
            return _standing(take_back(ports, *of, now, author=call.author, reason=call.reason), now)
        case ShowListed(kind=str(kind), value=str(value)):
            return _standing(listed_entity(documents, kind, value), now)
        case ShowListed():
            found = listed_entities(documents, after=call.after, limit=call.limit)
            whole = tuple(_standing(one, now) for one in found)
            last = f"{whole[-1].kind}:{whole[-1].value}" if len(whole) == call.limit else None
            return Entities(tuple(replace(one, changes=()) for one in whole if one.standing), last)


def _standing(entity: ListedEntity, now: datetime) -> Standing:
    return Standing(entity.kind, entity.value, entity.standing(now), entity.changes)


def _read(asked: bytes) -> Call:
    try:
        return _CALL.validate_json(asked)
    except ValidationError as error:
        # Of a call whose act is known, the first step is the act.
        raise Rejected("; ".join(sentences(error, "the call", skip=1)), reason="bad_call") from error


def _kept(documents: Documents, revision: int | None) -> Book:
    if (found := SHIPPED if revision is None else kept_book(documents, revision)) is None:
        raise Rejected(f"there is no revision {revision} that can be read", reason="unknown_revision")
    return found


def _shown(book: Book) -> Shown:
    return Shown(book.revision, book.table.version, _told(book))


def _told(book: Book) -> dict[str, Any]:
    """The book as `publish` takes it."""
    told: dict[str, Any] = msgspec.to_builtins(book.contents)
    for rule in told["rules"]:
        del rule["tree"]
    return told


def _checked(sql: str) -> Condition:
    try:
        tree = parse(sql)
    except Rejected as error:
        return Condition(sql, wrong=str(error))
    return Condition(sql, tree, tuple(sorted(features_of(tree))))


def _changed(before: Book, after: Book) -> Changed:
    was, now = _told(before), _told(after)
    old, new = ({rule["code"]: rule for rule in one["rules"]} for one in (was, now))
    return Changed(
        {code: (old.get(code), new.get(code)) for code in sorted({*old, *new}) if old.get(code) != new.get(code)},
        tuple(one for one in was["entries"] if one not in now["entries"]),
        tuple(one for one in now["entries"] if one not in was["entries"]),
        None if was["policy"] == now["policy"] else (was["policy"], now["policy"]),
    )
