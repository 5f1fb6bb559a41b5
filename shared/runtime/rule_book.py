"""What an operator may ask of the book of rules and of the lists, and what is answered: the contract of `manage_rules`.

Who changes something is who calls, by their ID token; `author` names somebody where no token does, and says nothing else.
A call is JSON with an `act`. A book is told as it is published, its rules in SQL, so that what `show` answers may be edited
and sent back. What does not fit is Rejected with a sentence that names the member.
"""

from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated, Any, Literal

from msgspec import to_builtins
from pydantic import AfterValidator, AwareDatetime, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from shared.domain.codec import decode, encode, in_utc
from shared.domain.decisions import Action, Outcome
from shared.domain.errors import Rejected
from shared.flows.audit import Errand, audited
from shared.flows.backtest import MATURITY, Backtested, Window, backtest
from shared.flows.book_of_rules import (
    BOOKS,
    kept_book,
    publish_book,
    restore_book,
    says_something,
    standing_book,
    unknown,
)
from shared.flows.challengers import challenger_in
from shared.flows.champions import usable
from shared.flows.entries_by_key import under_another_key
from shared.flows.listing import (
    Change,
    ListedEntity,
    NothingStands,
    list_entity,
    listed_entities,
    listed_entity,
    take_back,
)
from shared.flows.ports import Documents, Ports
from shared.flows.recompute_decisions import Replayed, replay_decisions
from shared.flows.revisions import Revision
from shared.flows.rule_health import RuleHealth, health_of
from shared.fraud.book import SHIPPED, Book, Contents
from shared.fraud.expressions import Tree, features_of
from shared.fraud.lists import EntityLists, Entry, named_value
from shared.fraud.parsing import parse
from shared.fraud.policy import Costs, Policy
from shared.fraud.rules import State
from shared.runtime.contracts import TOLD, Closed, sentences

MOST_RULES = 500
MOST_TRIED = 50
MOST_HISTORY = 50
CHALLENGER = "challenger"
MOST_LISTED = 200
Number = Annotated[int, Field(ge=1, le=99_999_999)]
Text = Annotated[str, Field(max_length=2000)]


def _said(text: str) -> str:
    if not says_something(text):
        raise ValueError("nothing can be read in it: say it in words")
    return text


Said = Annotated[str, Field(min_length=1, max_length=2000), AfterValidator(_said)]
RuleCode = Annotated[str, Field(pattern="^[a-z][a-z0-9_]{0,63}$")]
Value = Annotated[str, Field(min_length=1, max_length=300)]
Codes = Annotated[tuple[Annotated[str, Field(min_length=1, max_length=100)], ...], Field(max_length=300)]


_COSTS = Costs()


class Told(Closed):
    model_config = ConfigDict(allow_inf_nan=False, str_strip_whitespace=True)


def _upper(codes: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(code.upper() for code in codes)


def _lower(codes: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(code.lower() for code in codes)


class ToldScope(Told):
    # Countries, providers and initiators are taken in the letters that payments have, however they are written.
    accounts: Codes = ()
    providers: Annotated[Codes, AfterValidator(_lower)] = ()
    countries: Annotated[Codes, AfterValidator(_upper)] = ()
    initiators: Annotated[Codes, AfterValidator(_lower)] = ()
    products: Codes = ()


class ToldChange(Told):
    """Who gave this its words of now, when and in which revision, as `show` tells it. What a call says here is not read."""

    revision: Number
    author: Text
    at: AwareDatetime


class ToldRule(Told):
    """`shared.fraud.rules.Rule`, whose tree is made of its SQL here. What is published new or changed has an owner and a
    reason of its own; so have entries, limits and exemptions."""

    code: RuleCode
    outcome: Outcome
    sql: str
    state: State = State.DRAFT
    scope: ToldScope = ToldScope()
    owner: Text = ""
    reason: Text = ""
    measured: Text = ""
    changed: ToldChange | None = None


class ToldEntry(Told):
    action: Action
    kind: Annotated[str, Field(min_length=1, max_length=40)]
    value: Value
    until: AwareDatetime
    rule: RuleCode | None = None
    owner: Text = ""
    reason: Text = ""

    def entry(self) -> Entry:
        """In the letters that events have. Raises Rejected for a snooze that names no rule, for another entry that names one,
        and for a value that no event can have."""
        said = {name: getattr(self, name) for name in ("action", "kind", "rule", "owner", "reason")}
        try:
            return Entry(**said, value=named_value(self.kind, self.value), until=in_utc(self.until))
        except ValueError as error:
            raise Rejected(f"{self.kind}: {error}", reason="bad_entry") from error


class BookEntry(ToldEntry):
    changed: ToldChange | None = None


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
    changed: ToldChange | None = None


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
    changed: ToldChange | None = None


class ToldPolicy(Told):
    limits: tuple[ToldLimits, ...] = ()
    exploration: ToldExploration = ToldExploration()
    exemptions: tuple[ToldExemptions, ...] = ()


_OURS: Any = {
    "rules": {"__all__": {"changed"}},
    "policy": {"limits": {"__all__": {"changed"}}, "exemptions": {"__all__": {"changed"}}},
}
"""Who changed what is said by us, whatever is sent."""


class ToldBook(Told):
    rules: Annotated[tuple[ToldRule, ...], Field(max_length=MOST_RULES)] = ()
    entries: tuple[BookEntry, ...] = ()
    policy: ToldPolicy = ToldPolicy()

    def contents(self) -> Contents:
        """Ready to publish. Raises Rejected for conditions that are none, and Unreadable for what no policy says."""
        made: dict[str, Any] = self.model_dump(mode="json", exclude=_OURS)
        wrong = []
        for number, (rule, told) in enumerate(zip(made["rules"], self.rules, strict=True)):
            try:
                rule["tree"] = parse(told.sql)
            except Rejected as error:
                wrong += [f"book.rules[{number}].sql of {told.code}: {error}"]
        if wrong:
            raise Rejected("; ".join(wrong[:TOLD]), reason="bad_rule")
        return decode(encode({**made, "entries": [one.entry() for one in self.entries]}), Contents)


class Show(Told):
    """The book that decides now, or that of a revision. health: and how right its rules were, by the last days' measures."""

    act: Literal["show"]
    revision: Number | None = None
    health: bool = False


class _During(Told):
    """Payments of the days from `since` to before `until` (UTC; instants are taken too). maturity_days: how old one is before
    no news means that it was genuine."""

    since: date | AwareDatetime
    until: date | AwareDatetime
    maturity_days: Annotated[int, Field(ge=0, le=400)] = MATURITY.days

    @property
    def window(self) -> Window:
        """Raises Unreadable for instants that are out of the calendar."""
        maturity = timedelta(days=self.maturity_days)
        return Window(since=_instant(self.since), until=_instant(self.until), maturity=maturity)


class Backtest(_During):
    """Each rule as if it had been live, alone: what it would have hit, of what became fraud and what was genuine, how much
    money that is, and which of the rules that decide now hold for the same payments. Of a window with more than two million
    decisions a share is looked at."""

    act: Literal["backtest"]
    rules: Annotated[tuple[ToldRule, ...], Field(min_length=1, max_length=MOST_TRIED)]


class Replay(_During):
    """Decisions judged again by another book (told, a revision, or what is shipped) or by another model (a digest, or
    `challenger`), or both: who would have been declined, and who let pass. Lists, thresholds and snoozes are tried so, those on
    cards, customers, devices and addresses by `listed`: as if they had stood at each decision until their instant."""

    act: Literal["replay"]
    book: ToldBook | None = None
    revision: Number | None = None
    shipped: bool = False
    model: Annotated[str, Field(pattern="^([0-9a-f]{64}|challenger)$")] | None = None
    listed: Annotated[tuple[ToldEntry, ...], Field(max_length=MOST_LISTED)] = ()

    @model_validator(mode="after")
    def _one_candidate(self) -> "Replay":
        books = sum((self.book is not None, self.revision is not None, self.shipped))
        if books > 1 or not (books or self.model or self.listed):
            raise ValueError("name what to judge by: one of book, revision and shipped, or a model, or who is listed")
        return self


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
    author: Said | None = None
    reason: Said


class Back(Told):
    """The contents of an older revision once more, as a new one. to: null for what is shipped."""

    act: Literal["back"]
    to: Number | None
    author: Said | None = None
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
    author: Said | None = None


class Unlist(Told):
    """That this is said of the entity no longer."""

    act: Literal["unlist"]
    action: Action
    kind: str
    value: Value
    rule: RuleCode | None = None
    author: Said | None = None
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


Call = Show | Backtest | Replay | History | Check | Publish | Back | Diff | ListEntity | Unlist | ShowListed
CALL: TypeAdapter[Call] = TypeAdapter(Annotated[Call, Field(discriminator="act")])


@dataclass(frozen=True, slots=True)
class Shown:
    """revision: None of what is shipped. health: by a rule's code, where it was asked for."""

    revision: int | None
    rules_version: str
    book: dict[str, Any]
    health: dict[str, RuleHealth] | None = None


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
    """Of one entity: what stands, by action and rule. changes: all that was ever said of it, where it was asked for alone.
    note: where it may be listed by another name too."""

    kind: str
    value: str
    standing: dict[str, Change]
    changes: tuple[Change, ...] = ()
    note: str | None = None


@dataclass(frozen=True, slots=True)
class Entities:
    """after: to ask on from; None at the end."""

    entities: tuple[Standing, ...]
    after: str | None


Answer = Shown | Backtested | Replayed | Revisions | Checked | Published | Changed | Standing | Entities


def manage_rules(asked: bytes, ports: Ports, now: datetime, caller: str | None = None) -> Answer:
    """What the call in `asked` asks for, by `caller`; None: nobody knows who that is. Raises Rejected, with a sentence, for what does not fit, and Unreadable for a
    policy by which nobody can judge and for a standing book that cannot be read."""
    call, documents = _read(asked), ports.documents
    match call:
        case Show():
            book = standing_book(documents) if call.revision is None else _kept(documents, call.revision)
            return _shown(book, health_of(ports.warehouse, book, now) if call.health else None)
        case Backtest():
            rules = ToldBook(rules=call.rules).contents().rules
            return backtest(ports, rules, standing_book(documents), call.window, now)
        case Replay():
            other = _candidate(documents, call)
            listed, model = _listed(documents, call, other), _model(ports, call)
            return replay_decisions(ports, call.window, now, book=other, model=model, listed=listed)
        case History():
            return Revisions(BOOKS.history(documents, before=call.before, limit=call.limit))
        case Check():
            checked = tuple(map(_checked, call.rules))
            return Checked(all(one.wrong is None for one in checked), checked)
        case Publish():
            made = call.book.contents()
            author, kept = _recorded(ports, call, caller, now)
            return Published(publish_book(kept, made, now, after=call.after, author=author, why=call.reason))
        case Back():
            standing = next(iter(BOOKS.history(documents, before=None, limit=1)), None)
            after = standing.revision if standing else None
            author, kept = _recorded(ports, call, caller, now)
            return Published(restore_book(kept, call.to, now, after=after, author=author, why=call.reason))
        case Diff():
            return _changed(_kept(documents, call.since), _kept(documents, call.to))
        case ListEntity():
            author, kept = _recorded(ports, call, caller, now)
            return _standing(list_entity(kept, call.entry(), now, author=author), now)
        case Unlist():
            author, kept = _recorded(ports, call, caller, now)
            note = under_another_key(documents, call.kind, call.value, now)
            of = (call.kind, call.value, call.action, call.rule)
            try:
                return _standing(take_back(kept, *of, now, author=author, reason=call.reason), now, note)
            except NothingStands as error:
                raise NothingStands(f"{error}; {note}" if note else str(error), reason="bad_entry") from error
        case ShowListed(kind=str(kind), value=str(value)):
            note = under_another_key(documents, kind, value, now)
            return _standing(listed_entity(documents, kind, value), now, note)
        case ShowListed():
            found = listed_entities(documents, after=call.after, limit=call.limit)
            whole = tuple(_standing(one, now) for one in found)
            last = f"{whole[-1].kind}:{whole[-1].value}" if len(whole) == call.limit else None
            return Entities(tuple(replace(one, changes=()) for one in whole if one.standing), last)


def _recorded(
    ports: Ports, call: Publish | Back | ListEntity | Unlist, caller: str | None, now: datetime
) -> tuple[str, Ports]:
    """Who changes this, and ports whose commits the audit tells of."""
    if not (author := caller or call.author):
        raise Rejected("author: no ID token says who calls, so the call has to", reason="bad_call")
    return author, audited(ports, Errand(who=author, why=call.reason, what=f"manage_rules {call.act}", at=now))


def _candidate(documents: Documents, call: Replay) -> Book | None:
    if call.book is not None:
        try:
            return Book(call.book.contents())
        except ValueError as error:
            raise Rejected(str(error), reason="bad_book") from error
    if call.shipped or call.revision is not None:
        return _kept(documents, call.revision)
    return None


def _listed(documents: Documents, call: Replay, book: Book | None) -> EntityLists:
    """Raises Rejected for what is not listed so, and for a snooze of a rule that is not in the book."""
    entries = [one.entry() for one in call.listed]
    codes = {entry.rule for entry in entries if entry.rule}
    known = {rule.code for rule in (book or standing_book(documents)).contents.rules} if codes else set()
    if unknown := codes - known:
        raise Rejected(f"listed: no rule of the book is called {min(unknown)}", reason="bad_entry")
    try:
        return EntityLists(entries)
    except ValueError as error:
        raise Rejected(f"listed: {error}", reason="bad_entry") from error


def _model(ports: Ports, call: Replay) -> str | None:
    digest = call.model if call.model != CHALLENGER else challenger_in(ports.documents)
    if call.model is not None and (digest is None or usable(ports.models, digest) is None):
        raise Rejected("model: there is none of this name that judges by the features of now", reason="unknown_model")
    return digest


def _instant(said: date | datetime) -> datetime:
    return in_utc(said) if isinstance(said, datetime) else datetime.combine(said, time(), UTC)


def _standing(entity: ListedEntity, now: datetime, note: str | None = None) -> Standing:
    return Standing(entity.kind, entity.value, entity.standing(now), entity.changes, note)


def _read(asked: bytes) -> Call:
    try:
        return CALL.validate_json(asked)
    except ValidationError as error:
        # Of a call whose act is known, the first step is the act.
        raise Rejected("; ".join(sentences(error, "the call", skip=1)), reason="bad_call") from error


def _kept(documents: Documents, revision: int | None) -> Book:
    if revision is None:
        return SHIPPED
    if (found := kept_book(documents, revision)) is None:
        raise unknown(revision)
    return found


def _shown(book: Book, health: dict[str, RuleHealth] | None) -> Shown:
    return Shown(book.revision, book.table.version, _told(book), health)


def _told(book: Book) -> dict[str, Any]:
    """The book as `publish` takes it."""
    told: dict[str, Any] = to_builtins(book.contents)
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
    was, now = before.contents, after.contents
    old, new = ({one["code"]: one for one in _told(book)["rules"]} for book in (before, after))
    # Who has signed what changes nothing.
    stood, stands = ({rule.code: replace(rule, changed=None) for rule in one.rules} for one in (was, now))
    return Changed(
        {code: (old.get(code), new.get(code)) for code in sorted({*old, *new}) if stood.get(code) != stands.get(code)},
        _only_in(was.entries, now.entries),
        _only_in(now.entries, was.entries),
        None if _unsigned(was.policy) == _unsigned(now.policy) else (to_builtins(was.policy), to_builtins(now.policy)),
    )


def _only_in(entries: tuple[Entry, ...], others: tuple[Entry, ...]) -> tuple[Any, ...]:
    there = {encode(replace(one, changed=None)) for one in others}
    return tuple(to_builtins(one) for one in entries if encode(replace(one, changed=None)) not in there)


def _unsigned(policy: Policy) -> Policy:
    return replace(
        policy,
        limits=tuple(replace(one, changed=None) for one in policy.limits),
        exemptions=tuple(replace(one, changed=None) for one in policy.exemptions),
    )
