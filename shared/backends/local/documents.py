"""Documents as JSON rows of a SQL database."""

import math
import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any, assert_never

import msgspec
import sqlalchemy as sa

from shared.backends.accumulating import accumulated
from shared.backends.local.sql import Database, Direct, TryAgain, documents, instants, listings, texts
from shared.backends.once import Once
from shared.backends.values import check_found_by, check_listed_by, checked, findable, in_order, listing
from shared.domain.errors import Conflict
from shared.flows.ports import (
    FOUND_BY,
    LISTED_BY,
    Accumulate,
    Create,
    Delete,
    Document,
    Key,
    Replace,
    Snapshot,
    Unchanged,
    Write,
)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

# Statements are made once: for SQLAlchemy making one is more work than running it.


@cache
def _among(shape: tuple[int, ...]) -> sa.Select[Any]:
    """Documents by id, so many out of each collection. Equalities and nothing else: SQLite looks up each of them by the
    primary key, while for a list of pairs it reads the whole table."""
    named = [
        sa.and_(
            documents.c.collection == sa.bindparam(f"of{n}"),
            documents.c.id.in_([sa.bindparam(f"named{n}_{place}") for place in range(ids)]),
        )
        for n, ids in enumerate(shape)
    ]
    return sa.select(documents).where(sa.or_(*named))


@cache
def _locked(shape: tuple[int, ...]) -> sa.Select[Any]:
    return _among(shape).order_by(documents.c.collection, documents.c.id).with_for_update()


_UPDATE = (
    sa.update(documents)
    .where(documents.c.collection == sa.bindparam("of"), documents.c.id == sa.bindparam("named"))
    .values(version=sa.bindparam("version"), body=sa.bindparam("body"))
)
_DELETE = sa.delete(documents).where(
    documents.c.collection == sa.bindparam("of"), documents.c.id == sa.bindparam("named")
)


class _Index:
    """A table of what documents are looked up by: `read` tells the rows of one, without its name."""

    def __init__(self, table: sa.Table, read: Callable[[Document], list[dict[str, Any]]]) -> None:
        self.read = read
        self.forget = sa.delete(table).where(
            table.c.collection == sa.bindparam("of"), table.c.id == sa.bindparam("named")
        )
        self.remember = sa.insert(table).inline()

    def rows(self, key: Key, document: Document) -> list[dict[str, Any]]:
        return [_row(key) | row for row in self.read(document)]


class SqlDocuments:
    """`shared.flows.ports.Documents`. A version is a random number, so that a document deleted and made anew is another."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._insert = Once(lambda: database.insert(documents).on_conflict_do_nothing())

    def get(self, keys: Sequence[Key]) -> list[Snapshot | None]:
        if not keys:
            return []
        shape, names = _names(keys)
        with self._database.reading() as connection:
            rows = connection.rows(_among(shape), names)
        found = {one.key: one for one in map(_snapshot, rows)}
        return [found.get(key) for key in keys]

    def commit(self, writes: Sequence[Write]) -> None:
        # Everybody takes keys in the same order, so that nobody waits in a circle.
        ordered = in_order(writes)
        if ordered:
            self._database.writing(lambda connection: self._commit(connection, ordered))

    def _commit(self, connection: Direct, writes: Sequence[Write]) -> None:
        held = {}
        standing = [write.key for write in writes if not _makes(write)]
        if standing:
            shape, names = _names(standing)
            held = {one.key: one for one in map(_snapshot, connection.rows(_locked(shape), names))}
        changes = _Changes()
        for write in writes:
            before = held.get(write.key)
            match write:
                case Create():
                    if not self._inserted(connection, write.key, write.document, changes):
                        raise Conflict("a document to be created is there already")
                case Replace():
                    if before is None or before.version != write.version:
                        raise Conflict("a document to be replaced has changed")
                    changes.update(before, write.document)
                case Accumulate():
                    if before is not None:
                        changes.update(before, accumulated(before.document, write))
                    elif not self._inserted(connection, write.key, accumulated({}, write), changes):
                        # Another made it since we looked. Waiting for its lock here, out of order, could be a circle.
                        raise TryAgain
                case Unchanged(version=None):
                    # Its place is taken for a moment: that keeps out who would create it beside us.
                    if not self._inserted(connection, write.key, {}, changes):
                        raise Conflict("a document that was not there is there")
                    connection.changed(_DELETE, _named(write.key))
                case Unchanged():
                    if before is None or before.version != write.version:
                        raise Conflict("a document that was decided on has changed")
                case Delete():
                    if before is not None:
                        changes.delete(before)
                case _:
                    assert_never(write)
        changes.make(connection)

    def _inserted(self, connection: Direct, key: Key, document: Document, changes: "_Changes") -> bool:
        """At once, for only the database can say whether somebody else was first."""
        row = _row(key) | _written(document)
        if connection.changed(self._insert(), row) != 1:
            return False
        changes.remember(key, document)
        return True

    def due(self, collection: str, field: str, until: datetime, limit: int) -> list[Snapshot]:
        earliest = (instants.c.instant, instants.c.id)
        return self._indexed(instants, collection, field, instants.c.instant <= _microseconds(until), earliest, limit)

    def find(self, collection: str, field: str, value: str, limit: int) -> list[Snapshot]:
        check_found_by(field)
        return self._indexed(texts, collection, field, texts.c.text == _escape(value), (texts.c.id,), limit)

    def listed(
        self, collection: str, order: str, where: Mapping[str, str], limit: int, after: tuple[str, str] | None = None
    ) -> list[Snapshot]:
        check_listed_by(order, where)
        # Read along the list that is the shortest by what is declared; each of its documents is looked up in the others.
        along, *others = [one for one in LISTED_BY[order] if one in where] or [""]
        page = listings.alias()
        condition = sa.and_(page.c.narrowed == along, page.c.text == _escape(where.get(along, "")))
        for other in others:
            condition &= _is_listed(page, other, where[other])
        if after is not None:
            condition &= sa.tuple_(page.c.place, page.c.id) > sa.tuple_(*map(_escape, after))
        return self._indexed(page, collection, order, condition, (page.c.place, page.c.id), limit)

    def _indexed(
        self,
        index: sa.FromClause,
        collection: str,
        field: str,
        condition: sa.ColumnElement[bool],
        order: tuple[sa.ColumnElement[Any], ...],
        limit: int,
    ) -> list[Snapshot]:
        found = (
            sa.select(documents)
            .join(index, sa.and_(index.c.collection == documents.c.collection, index.c.id == documents.c.id))
            .where(index.c.collection == _escape(collection), index.c.field == _escape(field), condition)
            .order_by(*order)
            .limit(limit)
        )
        with self._database.read() as connection:
            return [_snapshot(row) for row in connection.execute(found)]

    def scan(self, collection: str, limit: int, after: str = "") -> list[Snapshot]:
        page = (
            sa.select(documents)
            .where(documents.c.collection == _escape(collection), documents.c.id > _escape(after))
            .order_by(documents.c.id)
            .limit(limit)
        )
        with self._database.read() as connection:
            return [_snapshot(row) for row in connection.execute(page)]


def _is_listed(page: sa.FromClause, narrowed: str, text: str) -> sa.ColumnElement[bool]:
    """Whether the document of a row of `page` is in that list as well."""
    other = listings.alias()
    same = (getattr(other.c, name) == getattr(page.c, name) for name in ("collection", "id", "field"))
    return sa.exists().where(*same, other.c.narrowed == narrowed, other.c.text == _escape(text))


def _makes(write: Write) -> bool:
    """Whether `write` expects no document."""
    return isinstance(write, Create) or (isinstance(write, Unchanged) and write.version is None)


def _names(keys: Iterable[Key]) -> tuple[tuple[int, ...], dict[str, str]]:
    """How many ids of each collection, and by the statement's names what they are. Of each a power of two, the last one being
    said again: there are few such statements then."""
    ids: dict[str, list[str]] = {}
    for key in keys:
        ids.setdefault(_escape(key.collection), []).append(_escape(key.id))
    names: dict[str, str] = {}
    shape = []
    for number, (collection, named) in enumerate(ids.items()):
        names[f"of{number}"] = collection
        shape.append(1 << (len(named) - 1).bit_length())
        named += [named[-1]] * (shape[-1] - len(named))
        names |= {f"named{number}_{place}": id_ for place, id_ in enumerate(named)}
    return tuple(shape), names


class _Changes:
    """What is done to documents whose locks are held: each kind in one statement for all of them."""

    def __init__(self) -> None:
        self._updates: list[dict[str, Any]] = []
        self._deletes: list[dict[str, Any]] = []
        self._forgets: list[list[dict[str, Any]]] = [[] for _ in _INDEXES]
        self._remembers: list[list[dict[str, Any]]] = [[] for _ in _INDEXES]

    def update(self, before: Snapshot, document: Document) -> None:
        self._updates.append(_named(before.key) | _written(document))
        for place, index in enumerate(_INDEXES):
            then = index.read(before.document)
            if then != index.read(document):
                if then:
                    self._forgets[place].append(_named(before.key))
                self._remembers[place] += index.rows(before.key, document)

    def delete(self, before: Snapshot) -> None:
        self._deletes.append(_named(before.key))
        for place, index in enumerate(_INDEXES):
            if index.read(before.document):
                self._forgets[place].append(_named(before.key))

    def remember(self, key: Key, document: Document) -> None:
        for place, index in enumerate(_INDEXES):
            self._remembers[place] += index.rows(key, document)

    def make(self, connection: Direct) -> None:
        statements: list[tuple[Any, list[dict[str, Any]]]] = [(_UPDATE, self._updates), (_DELETE, self._deletes)]
        for place, index in enumerate(_INDEXES):
            statements += [(index.forget, self._forgets[place]), (index.remember, self._remembers[place])]
        for statement, rows in statements:
            connection.each(statement, rows)


def _instants(document: Document) -> list[dict[str, Any]]:
    told = ((field, value) for field, value in document.items() if isinstance(value, datetime))
    return [{"field": _escape(field), "instant": _microseconds(value)} for field, value in told]


def _texts(document: Document) -> list[dict[str, Any]]:
    told = ((field, document.get(field)) for field in FOUND_BY)
    return [{"field": field, "text": _escape(text)} for field, text in told if isinstance(text, str) and findable(text)]


def _listings(document: Document) -> list[dict[str, Any]]:
    return [
        {"field": order, "narrowed": narrowed, "text": _escape(text), "place": _escape(place)}
        for order, narrowing in LISTED_BY.items()
        if (place := listing(document, order, {})) is not None
        for narrowed, text in _lists(document, narrowing)
    ]


def _lists(document: Document, narrowing: Sequence[str]) -> Iterator[tuple[str, str]]:
    yield "", ""
    for field in narrowing:
        text = document.get(field)
        if isinstance(text, str) and findable(text):
            yield field, text


_INDEXES = (_Index(instants, _instants), _Index(texts, _texts), _Index(listings, _listings))


def _microseconds(instant: datetime) -> int:
    return (instant - _EPOCH) // _MICROSECOND


# How rows hold keys and documents.

_PLAIN = frozenset({str, int, bool, type(None)})  # JSON has words for them, and most values are one of them


def _escape(text: str) -> str:
    """PostgreSQL's text has no NUL. Order by code points is kept."""
    return text.replace("\x01", "\x01\x02").replace("\x00", "\x01\x01")


def _unescape(text: str) -> str:
    return text.replace("\x01\x01", "\x00").replace("\x01\x02", "\x01")


def _row(key: Key) -> dict[str, Any]:
    return {"collection": _escape(key.collection), "id": _escape(key.id)}


def _named(key: Key) -> dict[str, Any]:
    return {"of": _escape(key.collection), "named": _escape(key.id)}


def _snapshot(row: Sequence[Any]) -> Snapshot:
    """The document in a row of `documents`."""
    collection, id_, version, body = row
    return Snapshot(Key(_unescape(collection), _unescape(id_)), _read(body), version)


def _written(document: Document) -> dict[str, Any]:
    body = msgspec.json.encode(_tagged(checked(document))).decode()
    return {"version": random.getrandbits(62), "body": body}


def _tagged(value: Any) -> Any:
    """JSON of `value`: what JSON has no word for is a map with the one key `$`, and keys beginning with `$` get one more."""
    kind = type(value)
    if kind is dict:
        told = {}
        for key, item in value.items():
            plain = type(item) in _PLAIN
            told[f"${key}" if key.startswith("$") else key] = item if plain else _tagged(item)
        return told
    if kind is list:
        return [_tagged(item) for item in value]
    if isinstance(value, datetime):
        return {"$": _microseconds(value)}
    return {"$": str(value)} if isinstance(value, float) and not math.isfinite(value) else value


def _read(body: str) -> Document:
    """The document of which `_tagged` made `body`."""
    document: Document = msgspec.json.decode(body)
    # As many as there may be to be read back, and nearly all of them stand at the top: further down is seldom looked.
    tags = body.count('"$')
    if tags:
        for name, value in document.items():
            if type(value) is dict and "$" in value:
                document[name] = _untagged(value)
                tags -= 1
    return _untagged(document) if tags else document


def _untagged(value: Any) -> Any:
    match value:
        case {"$": int(instant)}:
            return _EPOCH + instant * _MICROSECOND
        case {"$": str(number)}:
            return float(number)
        case list():
            return [_untagged(item) for item in value]
        case dict():
            return {
                key.removeprefix("$"): item if type(item) in _PLAIN else _untagged(item) for key, item in value.items()
            }
        case _:
            return value
