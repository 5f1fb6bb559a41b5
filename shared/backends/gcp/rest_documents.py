"""Documents in Firestore through its REST interface: quick to start, for it imports nothing but urllib3.

Slower than the client once both run (JSON, and a connection for each request under way), so it is for functions that
start cold and work rarely. https://cloud.google.com/firestore/docs/reference/rest/v1/projects.databases.documents
"""

import math
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any, Final, assert_never

import msgspec

from shared.backends.gcp.firestore import (
    PATIENCE,
    TIMEOUT,
    Firestore,
    Query,
    Refused,
    escape_key,
    field_path,
    unescape_key,
)
from shared.backends.gcp.http import Http
from shared.backends.gcp.tokens import Tokens
from shared.backends.values import check_paths, checked
from shared.flows.ports import Accumulate, Create, Delete, Document, Replace, Snapshot, Unchanged, Write

_OK: Final = 200


class RestDocuments(Firestore):
    """A version is the document's update time, as Firestore writes it."""

    def __init__(self, project: str, database: str, emulator: str | None, tokens: Tokens | None) -> None:
        super().__init__(project, database)
        origin = f"http://{emulator}" if emulator else "https://firestore.googleapis.com"
        self._url = f"{origin}/v1/{self._root}"
        self._headers = {"content-type": "application/json"}
        if emulator:
            self._headers["authorization"] = "Bearer owner"
        self._http = Http(None if emulator else tokens, patience=PATIENCE, read_timeout=TIMEOUT)

    def _read(self, names: Sequence[str]) -> Iterator[Snapshot]:
        answers = self._call("batchGet", {"documents": names})
        if {one.found.name if one.found else one.missing for one in answers} != set(names):
            raise Refused("UNKNOWN", "not every document is told of")
        return (self._snapshot(one.found) for one in answers if one.found)

    def _prepared(self, writes: Sequence[Write]) -> Any:
        return {"writes": [self._written(write) for write in writes]}

    def _send(self, request: Any) -> None:
        if not any(one.commitTime for one in self._call("commit", request, again=False)):
            # Its 200 may be a proxy's.
            raise Refused("UNKNOWN", "the commit is not confirmed")

    def _found(self, query: Query) -> Iterator[Snapshot]:
        answers = self._call("runQuery", {"structuredQuery": query})
        return (self._snapshot(one.document) for one in answers if one.document)

    def _call(self, method: str, request: Any, *, again: bool = True) -> "list[_Answer]":
        """What is answered, piece by piece. Raises Refused."""
        body = msgspec.json.encode(request)
        status, answer = self._http.request("POST", f"{self._url}:{method}", body, self._headers, again=again)
        try:
            read = _ANSWERS.decode(answer)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            raise Refused("UNKNOWN", f"status {status}, and an answer that cannot be read") from None
        answers = read if isinstance(read, list) else [read]
        # What fails while it streams is a piece of its own, after a status that was sent before.
        failed = next((one.error.status for one in answers if one.error), "" if status == _OK else "UNKNOWN")
        if failed:
            raise Refused(failed, f"status {status}")
        return answers

    def _written(self, write: Write) -> dict[str, Any]:
        """`write`, in Firestore's words."""
        name = self._name(write.key)
        match write:
            case Create():
                return {"update": self._document(name, write.document), "currentDocument": {"exists": False}}
            case Replace():
                # Without a mask the whole document is written anew.
                return {"update": self._document(name, write.document), "currentDocument": _at(write.version)}
            case Accumulate():
                check_paths(write)
                fields: dict[str, Any] = {}
                for path, value in write.put.items():
                    inner = fields
                    for segment in path[:-1]:
                        inner = inner.setdefault(escape_key(segment), {"mapValue": {"fields": {}}})["mapValue"][
                            "fields"
                        ]
                    inner[escape_key(path[-1])] = _value(checked(value))
                transforms = [
                    {"fieldPath": field_path(path), kind: {"integerValue": str(number)}}
                    for kind, numbers in (
                        ("increment", write.add),
                        ("maximum", write.largest),
                        ("minimum", write.smallest),
                    )
                    for path, number in numbers.items()
                ]
                return {
                    "update": {"name": name, "fields": fields},
                    # An empty mask still makes the document.
                    "updateMask": {"fieldPaths": [field_path(path) for path in (*write.put, *write.drop)]},
                    "updateTransforms": transforms,
                }
            case Delete():
                return {"delete": name}
            case Unchanged(version=None):
                # There is nothing to delete: what is asked for is the precondition.
                return {"delete": name, "currentDocument": {"exists": False}}
            case Unchanged():
                # A write that changes nothing leaves the update time as it is.
                mask: dict[str, Any] = {"fieldPaths": []}
                return {"update": {"name": name}, "updateMask": mask, "currentDocument": _at(write.version)}
            case _:
                assert_never(write)

    def _document(self, name: str, document: Document) -> dict[str, Any]:
        return {"name": name, "fields": _fields(checked(document))}

    def _snapshot(self, found: "_Found") -> Snapshot:
        return Snapshot(self._key(found.name), _read_fields(found.fields), found.updateTime)


# Firestore's own names.
class _Found(msgspec.Struct):
    name: str
    updateTime: str  # noqa: N815
    fields: dict[str, dict[str, Any]] = {}


class _Error(msgspec.Struct):
    status: str = "UNKNOWN"


class _Answer(msgspec.Struct):
    found: _Found | None = None
    missing: str | None = None
    document: _Found | None = None
    commitTime: str | None = None  # noqa: N815
    error: _Error | None = None


# Made here, by the one thread that imports: see `shared.domain.codec` on what msgspec learns of a class.
_ANSWERS: Final = msgspec.json.Decoder(list[_Answer] | _Answer)


def _at(version: object) -> dict[str, str]:
    if not isinstance(version, str):
        raise TypeError("not a version of a document in Firestore")
    return {"updateTime": version}


def _fields(document: Document) -> dict[str, Any]:
    return {escape_key(key): _value(value) for key, value in document.items()}


def _value(value: Any) -> dict[str, Any]:
    """`value`, checked before, as JSON's Value."""
    match value:
        case None:
            return {"nullValue": None}
        case bool():
            return {"booleanValue": value}
        case int():
            return {"integerValue": str(value)}
        case float():
            # JSON has no word for these; Protocol Buffers' JSON has.
            odd = "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
            return {"doubleValue": value if math.isfinite(value) else odd}
        case str():
            return {"stringValue": value}
        case datetime():
            return {"timestampValue": value}
        case list():
            return {"arrayValue": {"values": [_value(item) for item in value]}}
        case _:
            return {"mapValue": {"fields": _fields(value)}}


def _read_fields(fields: dict[str, Any]) -> Document:
    return {unescape_key(key): _read_value(value) for key, value in fields.items()}


def _read_value(value: dict[str, Any]) -> Any:
    [(kind, held)] = value.items()
    match kind:
        case "integerValue":
            return int(held)
        case "doubleValue":
            return float(held)
        case "timestampValue":
            return datetime.fromisoformat(held)
        case "arrayValue":
            return [_read_value(item) for item in held.get("values", ())]
        case "mapValue":
            return _read_fields(held.get("fields", {}))
        case _:
            return held
