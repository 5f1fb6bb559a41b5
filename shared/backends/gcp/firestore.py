"""What is Firestore's, whichever way it is reached: its names, its queries, what its refusals mean and how long to ask."""

import random
import re
import time
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any, Final

from shared.backends.values import check_found_by, check_listed_by, checked, findable
from shared.domain.errors import Conflict, Unavailable
from shared.flows.ports import Key, Replace, Snapshot, Unchanged, Write

TIMEOUT: Final = 5.0
PATIENCE: Final = 8.0

# https://cloud.google.com/firestore/docs/reference/rest/v1/StructuredQuery, in its JSON words.
Query = dict[str, Any]


class Refused(Exception):
    """Firestore does not serve this. `status` is a google.rpc.Code's name: what a server said, or UNAVAILABLE."""

    def __init__(self, status: str, detail: str) -> None:
        super().__init__(detail)
        self.status = status

    def meaning(self) -> Unavailable:
        if self.status == "ABORTED":
            return Conflict("Firestore is too contended", reason="contended")
        return Unavailable(f"Firestore does not serve this: {self.status} {self}", reason="firestore")


class Firestore(ABC):
    """`shared.flows.ports.Documents`, over what a transport does: read by name, commit once, query."""

    def __init__(self, project: str, database: str) -> None:
        self._database = f"projects/{project}/databases/{database}"
        self._root = f"{self._database}/documents"

    @abstractmethod
    def _read(self, names: Sequence[str]) -> Iterable[Snapshot]:
        """The documents that there are. Raises Refused."""

    @abstractmethod
    def _prepared(self, writes: Sequence[Write]) -> Any:
        """The request of a commit. Raises TypeError and ValueError for what no document can hold."""

    @abstractmethod
    def _send(self, request: Any) -> None:
        """Commit, once: one whose answer was lost may have counted something already. Raises Refused."""

    @abstractmethod
    def _found(self, query: Query) -> Iterable[Snapshot]:
        """Raises Refused."""

    def get(self, keys: Sequence[Key]) -> list[Snapshot | None]:
        if not keys:
            return []
        try:
            found = {one.key: one for one in self._read(list(dict.fromkeys(map(self._name, keys))))}
        except Refused as refused:
            raise refused.meaning() from refused
        return [found.get(key) for key in keys]

    def commit(self, writes: Sequence[Write]) -> None:
        if len({write.key for write in writes}) < len(writes):
            raise ValueError("a commit writes each key once")
        if not writes:
            return
        request = self._prepared(writes)
        until = time.monotonic() + PATIENCE
        attempt = 0
        while True:
            try:
                self._send(request)
                return
            except Refused as refused:
                changed = refused.status in ("ALREADY_EXISTS", "FAILED_PRECONDITION") or (
                    refused.status == "NOT_FOUND" and any(isinstance(write, Replace | Unchanged) for write in writes)
                )
                if changed:
                    raise Conflict("a document to be written has changed") from refused
                # Nothing was written: Firestore gave way to another writer, and the preconditions still hold us to ours.
                pause = random.uniform(0, min(0.05 * 2**attempt, 1.0))  # noqa: S311 - jitter
                if refused.status != "ABORTED" or time.monotonic() + pause >= until:
                    raise refused.meaning() from refused
                time.sleep(pause)
                attempt += 1

    def due(self, collection: str, field: str, until: datetime, limit: int) -> list[Snapshot]:
        named = {"fieldPath": field_path((field,))}
        value = {"timestampValue": checked(until).isoformat().replace("+00:00", "Z")}
        where = {"fieldFilter": {"field": named, "op": "LESS_THAN_OR_EQUAL", "value": value}}
        return self._asked({"where": where, "orderBy": [{"field": named}]}, collection, limit)

    def find(self, collection: str, field: str, value: str, limit: int) -> list[Snapshot]:
        check_found_by(field)
        if not findable(value):
            return []
        # Firestore's own order, which its index of the field has.
        return self._asked(
            {"where": _is(field, value), "orderBy": [{"field": {"fieldPath": "__name__"}}]}, collection, limit
        )

    def listed(
        self, collection: str, order: str, where: Mapping[str, str], limit: int, after: tuple[str, str] | None = None
    ) -> list[Snapshot]:
        check_listed_by(order, where)
        if not all(map(findable, where.values())):
            return []
        filters = [_is(field, value) for field, value in where.items()]
        query: Query = {
            "orderBy": [{"field": {"fieldPath": field_path((order,))}}, {"field": {"fieldPath": "__name__"}}]
        }
        if filters:
            # An index for each text with the order; of several Firestore merges theirs:
            # https://cloud.google.com/firestore/docs/query-data/index-overview#taking_advantage_of_index_merging
            query["where"] = {"compositeFilter": {"op": "AND", "filters": filters}}
        # From the least text on: what is no text comes before it.
        begin: list[Query] = [{"stringValue": ""}]
        if after is not None:
            place, own = after
            begin = [{"stringValue": place}, {"referenceValue": self._name(Key(collection, own))}]
        query["startAt"] = {"values": begin, "before": after is None}
        return self._asked(query, collection, limit)

    def scan(self, collection: str, limit: int, after: str = "") -> list[Snapshot]:
        start = {"startAt": {"values": [{"referenceValue": self._name(Key(collection, after))}], "before": False}}
        order = [{"field": {"fieldPath": "__name__"}}]
        return self._asked({"orderBy": order, **(start if after else {})}, collection, limit)

    def _asked(self, query: Query, collection: str, limit: int) -> list[Snapshot]:
        try:
            return list(self._found({**query, "from": [{"collectionId": _escape_id(collection)}], "limit": limit}))
        except Refused as refused:
            raise refused.meaning() from refused

    def _name(self, key: Key) -> str:
        return f"{self._root}/{_escape_id(key.collection)}/{_escape_id(key.id)}"

    def _key(self, name: str) -> Key:
        collection, own = name.removeprefix(f"{self._root}/").split("/")
        return Key(_unescape_id(collection), _unescape_id(own))


def _is(field: str, value: str) -> Query:
    """Of a query: that the top-level `field` is the text `value`."""
    return {
        "fieldFilter": {"field": {"fieldPath": field_path((field,))}, "op": "EQUAL", "value": {"stringValue": value}}
    }


_PLAIN_SEGMENT: Final = re.compile(r"[A-Za-z_][A-Za-z_0-9]*")


def field_path(path: Iterable[str]) -> str:
    return ".".join(map(_segment, path))


# A few hundred name nearly all that is counted: sums, and buckets of this hour and this day.
@lru_cache(4096)
def _segment(segment: str) -> str:
    key = escape_key(segment)
    if _PLAIN_SEGMENT.fullmatch(key):
        return key
    return "`" + key.replace("\\", "\\\\").replace("`", "\\`") + "`"


# Firestore reserves the empty name and `__...__`: those get a control character at the end, and one more if they have some.
_RESERVED: Final = re.compile(r"(__.*__)?\x01*", re.DOTALL)
_RESERVED_BEGINS: Final = ("", "_", "\x01")


def escape_key(key: str) -> str:
    # Nearly every name says by its first letter that it is none of these.
    return f"{key}\x01" if key[:1] in _RESERVED_BEGINS and _RESERVED.fullmatch(key) else key


def unescape_key(key: str) -> str:
    return key[:-1] if key.endswith("\x01") and _RESERVED.fullmatch(key) else key


# An id has no `/`, is not `.` or `..`, and is not `__...__`. What stands for these keeps the order of code points:
# `/` is the one after `.`, so it is written as `.` and the greatest character, whose own place the two below it share.
_ID_ESCAPES: Final = (
    ("\x01", "\x01\x02"),
    ("\x00", "\x01\x01"),
    ("\U0010fffe", "\U0010fffe\U0010fffe"),
    ("\U0010ffff", "\U0010fffe\U0010ffff"),
    ("/", ".\U0010ffff"),
)
_ID_ESCAPE: Final = re.compile("[\x00\x01/\U0010fffe\U0010ffff]")
_ID_UNESCAPE: Final = re.compile("\x01[\x01\x02]|\U0010fffe[\U0010fffe\U0010ffff]|\\.\U0010ffff")
_ESCAPED: Final = dict(_ID_ESCAPES)
_UNESCAPED: Final = {escaped: plain for plain, escaped in _ID_ESCAPES}
_RESERVED_ID: Final = re.compile(r"\.\.?|__.*__", re.DOTALL)


def _escape_id(text: str) -> str:
    escaped = _ID_ESCAPE.sub(lambda found: _ESCAPED[found[0]], text)
    return f"{escaped}\x01" if _RESERVED_ID.fullmatch(escaped) else escaped


def _unescape_id(escaped: str) -> str:
    # A single one at the end: \x01 is always written as two characters.
    if _RESERVED_ID.fullmatch(escaped[:-1]) and escaped.endswith("\x01"):
        escaped = escaped[:-1]
    return _ID_UNESCAPE.sub(lambda found: _UNESCAPED[found[0]], escaped)
