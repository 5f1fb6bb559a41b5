"""Who changed what, when and why: a record beside every change that a person makes, in the same commit.

Flows need not know of it: they are given documents that write the record along with whatever is committed. What is done
outside of them (a message that is dropped, a subscription that is stopped) is written down before it is done.
"""

import secrets
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

from shared.domain.codec import encode, from_document, to_document, utc_text
from shared.domain.errors import Rejected
from shared.domain.people import colleague
from shared.domain.privacy import mask
from shared.domain.telemetry import fact
from shared.flows.ports import Accumulate, Create, Delete, Document, Documents, Key, Ports, Replace, Snapshot, Write

COLLECTION = "audit"
LISTS = "lists"
SUBJECT = "subject"
NOBODY: Mapping[str, str] = {}
_WHO = ("by", "author", "owner")
"""How members are called that say who of us did something, or in what."""
LONGEST = 2000
"""Characters that are kept of how a document was, or is; what it was whole is kept by whoever owns it."""
MOST = 100
PAGE = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Errand:
    """What somebody is about to change. what: a stable word or two, `rules publish`. Raises Rejected where nobody says who or
    why: a change without them is not made."""

    who: str
    why: str
    what: str
    at: datetime

    def __post_init__(self) -> None:
        for name in ("who", "why", "what"):
            if not getattr(self, name).strip():
                raise Rejected(f"a change says {name}", reason="unaccounted_change")


@dataclass(frozen=True, slots=True, kw_only=True)
class Changed:
    """One thing: a document by `<collection>:<id>`, or what is no document. before, after: the members that differ, as JSON;
    None where it was not, or is not any more."""

    name: str
    before: str | None = None
    after: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    who: str
    why: str
    what: str
    at: datetime
    changes: tuple[Changed, ...] = ()
    outcome: str | None = None
    """What came of something that is no document; None while that is not known, or was never to be."""
    subject: str | None = None
    """Whom it names: a card, a customer, a device or an address by `<kind>:<value>`, or a review by `reviews:<id>`. Who is erased is
    found by it."""


def audited(ports: Ports, errand: Errand) -> Ports:
    """`ports`, every commit of which writes a record of `errand` too."""
    return replace(ports, documents=AuditedDocuments(ports.documents, errand))


def begun(documents: Documents, errand: Errand, changes: Sequence[Changed]) -> Key:
    """Write down that `errand` is about to be done, where no document shows it; `ended` says what came of it."""
    key = _key(errand)
    documents.commit([_made(key, errand, changes)])
    _tell(errand)
    return key


def ended(documents: Documents, key: Key, outcome: str) -> None:
    documents.commit([Accumulate(key, put={("outcome",): mask(outcome)[:LONGEST]})])


PORTION, LOOKS = 1000, 40
SEEN = "read"
"""`Record.what` where nothing was changed: somebody was shown what is known of a person."""


def seen(documents: Documents, who: str, at: datetime, names: Sequence[str]) -> None:
    """Write down that `who` is shown those documents, by `<collection>:<id>`. One read more where that is what lists say of
    somebody."""
    errand = Errand(who=who, why="looked at", what=SEEN, at=at)
    listed = [Key(LISTS, rest) for kind, _, rest in (one.partition(":") for one in names) if kind == LISTS]
    people = dict(_erased(one.document for one in documents.get(listed) if one is not None) if listed else ())
    documents.commit([_made(_key(errand), errand, [Changed(name=name) for name in names], people)])


def records(documents: Documents, since: datetime, limit: int) -> list[Record]:
    """Of changes from `since` on, the oldest first, at most `limit`."""
    return [from_document(one.document, Record) for one in documents.scan(COLLECTION, limit, utc_text(since))]


def newest(
    documents: Documents, until: datetime, since: datetime, most: int, wanted: Callable[[Record], bool] = lambda _: True
) -> tuple[list[Record], datetime]:
    """Those `wanted` of the records before `until` and from `since` on, the newest first, `most` or somewhat more; and the instant
    before which the next ones are: `since` where there are none. The times that are looked at grow where little happened."""
    found: list[Record] = []
    end, width = until, timedelta(minutes=10)
    for _ in range(LOOKS):
        if end <= since or len(found) >= most:
            break
        begin = max(end - width, since)
        read = documents.scan(COLLECTION, PORTION, utc_text(begin))
        inside = [one for one in read if one.key.id < utc_text(end)]
        if len(inside) == PORTION and width > timedelta(seconds=1):
            width /= 4  # more than one look sees: what is newest would be left out
            continue
        told = (from_document(one.document, Record) for one in reversed(inside))
        found += [one for one in told if wanted(one)]
        end, width = begin, width * 2
    return found, end


def about(documents: Documents, names: Collection[str], since: datetime, most: int) -> tuple[list[Record], bool]:
    """Of the records from `since` on those that changed one of `names` (of documents without their collection), and whether
    all were looked at: the oldest `most` are."""
    found: list[Record] = []
    after, left = utc_text(since), most
    while left > 0:
        page = documents.scan(COLLECTION, min(PAGE, left), after)
        every = (from_document(one.document, Record) for one in page)
        found += [one for one in every if any(names_one(change.name, names) for change in one.changes)]
        if len(page) < PAGE:
            return found, True
        after, left = page[-1].key.id, left - len(page)
    return found, False


def names_one(name: str, names: Collection[str]) -> bool:
    return name in names or name.partition(":")[2] in names


class AuditedDocuments:
    """`Documents` in whose every commit that changes something stands a record of it. Before is what was read here last."""

    def __init__(self, documents: Documents, errand: Errand) -> None:
        self._documents = documents
        self._errand = errand
        self._read: dict[Key, Document] = {}

    def get(self, keys: Sequence[Key]) -> list[Snapshot | None]:
        found = self._documents.get(keys)
        self._remember(found)
        return found

    def commit(self, writes: Sequence[Write]) -> None:
        changes = [change for write in writes if (change := self._change(write)) is not None]
        if not changes:
            self._documents.commit(writes)
            return
        people = dict(
            _erased(self._read[one.key] for one in writes if one.key in self._read and one.key.collection == LISTS)
        )
        self._documents.commit([*writes, _made(_key(self._errand), self._errand, changes, people)])
        _tell(self._errand)

    def due(self, collection: str, field: str, until: datetime, limit: int) -> list[Snapshot]:
        return self._remember(self._documents.due(collection, field, until, limit))

    def find(self, collection: str, field: str, value: str, limit: int) -> list[Snapshot]:
        return self._remember(self._documents.find(collection, field, value, limit))

    def listed(
        self, collection: str, order: str, where: Mapping[str, str], limit: int, after: tuple[str, str] | None = None
    ) -> list[Snapshot]:
        return self._remember(self._documents.listed(collection, order, where, limit, after))

    def scan(self, collection: str, limit: int, after: str = "") -> list[Snapshot]:
        return self._remember(self._documents.scan(collection, limit, after))

    def _remember(self, found: Iterable[Snapshot | None]) -> list[Any]:
        kept = list(found)
        self._read |= {one.key: one.document for one in kept if one is not None}
        return kept

    def _change(self, write: Write) -> Changed | None:
        before = self._read.get(write.key)
        match write:
            case Create(document=after) | Replace(document=after):
                return changed(_name(write.key), before if isinstance(write, Replace) else None, after)
            case Accumulate():
                sets = (
                    ("add", write.add),
                    ("largest", write.largest),
                    ("smallest", write.smallest),
                    ("put", write.put),
                )
                after = {word: {".".join(path): one for path, one in told.items()} for word, told in sets if told}
                dropped = {"drop": [".".join(path) for path in write.drop]} if write.drop else {}
                return Changed(name=_name(write.key), after=_text({**after, **dropped}))
            case Delete():
                return Changed(name=_name(write.key), before=_text(before or {}))
            case _:
                return None


def changed(name: str, before: Mapping[str, Any] | None, after: Mapping[str, Any] | None) -> Changed:
    """What of `before` is otherwise in `after`."""
    if before is None or after is None:
        return Changed(name=name, before=_text(before), after=_text(after))
    differing = list(_differing(before, after))
    return Changed(
        name=name,
        before=_text({path: old for path, old, _ in differing}),
        after=_text({path: new for path, _, new in differing}),
    )


def _differing(before: Mapping[str, Any], after: Mapping[str, Any], at: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Paths, with what stands there before and after: as deep as both have members."""
    for name in sorted({*before, *after}):
        old, new, path = before.get(name), after.get(name), f"{at}{name}"
        if isinstance(old, dict) and isinstance(new, dict):
            yield from _differing(old, new, f"{path}.")
        elif old != new:
            yield path, old, new


def _text(value: Mapping[str, Any] | None) -> str | None:
    if value is None:
        return None
    text = mask(encode(_colleagues(value)).decode())
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}… ({len(text)} characters)"


def _colleagues(value: Any, name: str = "") -> Any:
    """Who of us did something is told by their name: a whole address would be masked like a customer's."""
    match value:
        case dict():
            return {member: _colleagues(item, member) for member, item in value.items()}
        case list() | tuple():
            return [_colleagues(item, name) for item in value]
        case str() if name.endswith(_WHO):
            return colleague(value)
        case _:
            return value


def _name(key: Key) -> str:
    return f"{key.collection}:{key.id}"


def _key(errand: Errand) -> Key:
    # By time, so that a scan reads them in order; a few a day, so that nothing minds that they rise.
    return Key(COLLECTION, f"{utc_text(errand.at)}-{secrets.token_hex(4)}")


def _made(key: Key, errand: Errand, changes: Sequence[Changed], people: Mapping[str, str] = NOBODY) -> Create:
    """people: by their name, as what those are known who were erased."""
    kept = tuple(changes[:MOST])
    if len(changes) > MOST:
        kept = (*kept, Changed(name=f"and {len(changes) - MOST} more"))
    record = Record(
        who=errand.who,
        why=mask(errand.why)[:LONGEST],
        what=errand.what,
        at=errand.at.astimezone(UTC),
        changes=kept,
        subject=next((one for change in kept if (one := _subject(change.name)) is not None), None),
    )
    return Create(key, unnamed(to_document(record), people))


def _subject(name: str) -> str | None:
    collection, _, rest = name.partition(":")
    return rest if collection in (LISTS, "feature_state") else name if collection == "reviews" else None


def _erased(listed: Iterable[Document]) -> Iterator[tuple[str, str]]:
    """What lists go on saying of who was erased names them; the audit of it does not."""
    return ((one["value"], one["erased_as"]) for one in listed if one.get("erased_as"))


def renamed(text: str, people: Mapping[str, str]) -> str:
    """`text` with each of `people` called otherwise, wherever their name stands as a word, also where the text is JSON."""
    names = {form: other for name, other in people.items() for form in (name, encode(name).decode()[1:-1])}
    # The longest first, for one may begin with another.
    for name in sorted(names, key=len, reverse=True):
        text = _replaced(text, name, names[name])
    return text


def _replaced(text: str, name: str, other: str) -> str:
    first, *rest = text.split(name)
    told = [first]
    for before, part in pairwise((first, *rest)):
        alone = not (_in_word(before[-1:]) or _in_word(part[:1]))
        told += [other if alone else name, part]
    return "".join(told)


def _in_word(character: str) -> bool:
    """Of names and dates, which go on behind a hyphen."""
    return character.isalnum() or character in ("_", "-")


def unnamed(document: Document, people: Mapping[str, str]) -> Document:
    """A record without these names: in whom it is of, its words and what it changed, and not in who did what, and when."""
    kept = {name: renamed(text, people) for name in ("why", "outcome", SUBJECT) if (text := document.get(name))}
    changes = [{name: text and renamed(text, people) for name, text in one.items()} for one in document["changes"]]
    return {**document, **kept, "changes": changes}


def _tell(errand: Errand) -> None:
    fact("changed_by_person", act=errand.what)
