"""Documents in Firestore.

On the generated client of `google-cloud-firestore`, one layer below `firestore.Client`: a commit is then exactly the
writes we mean (a replacement that removes fields too and has a precondition; a merge and transforms in one write),
and a document is converted once, with the names that Firestore reserves escaped on the way.
"""

import random
import re
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, Final, assert_never

import grpc
from google.api_core import exceptions
from google.api_core.retry import Retry, if_exception_type
from google.auth.exceptions import DefaultCredentialsError, GoogleAuthError
from google.cloud.firestore_v1.services.firestore import FirestoreClient
from google.cloud.firestore_v1.services.firestore.transports import FirestoreGrpcTransport
from google.cloud.firestore_v1.types import BatchGetDocumentsRequest, CommitRequest, RunQueryRequest, StructuredQuery

from shared.backends.once import Once
from shared.backends.values import check_paths, checked
from shared.domain.errors import Conflict, Misconfigured, Unavailable
from shared.flows.ports import Accumulate, Create, Delete, Document, Key, Replace, Snapshot, Unchanged, Write

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)

_TIMEOUT: Final = 5.0
_PATIENCE: Final = 8.0
_READ_AGAIN: Final = Retry(
    predicate=if_exception_type(
        exceptions.ServiceUnavailable, exceptions.InternalServerError, exceptions.ResourceExhausted
    ),
    initial=0.1,
    maximum=1.0,
    multiplier=2.0,
    timeout=5.0,
)
# A connection that died while Cloud Run had frozen the instance is noticed before a request waits for it.
_CHANNEL: Final = (
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", -1),
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 5_000),
)


class FirestoreDocuments:
    """`shared.flows.ports.Documents`. A version is the document's update time, (seconds, nanoseconds)."""

    def __init__(self, project: str, database: str, emulator: str | None) -> None:
        self._database = f"projects/{project}/databases/{database}"
        self._root = f"{self._database}/documents"
        self._emulator = emulator
        self._client: Once[Any] = Once(self._connect)
        self._metadata = [("google-cloud-resource-prefix", self._database)]
        if emulator:
            self._metadata.append(("authorization", "Bearer owner"))

    def _connect(self) -> Any:
        try:
            if self._emulator:
                channel = grpc.insecure_channel(self._emulator, options=_CHANNEL)
            else:
                channel = FirestoreGrpcTransport.create_channel(options=_CHANNEL)
        except DefaultCredentialsError as error:
            raise Misconfigured(
                "no Google credentials: run as a service account, or `gcloud auth application-default login`",
                reason="missing_credentials",
            ) from error
        return FirestoreClient(transport=FirestoreGrpcTransport(channel=channel))

    def get(self, keys: Sequence[Key]) -> list[Snapshot | None]:
        if not keys:
            return []
        request = BatchGetDocumentsRequest.pb(BatchGetDocumentsRequest())
        request.database = self._database
        request.documents.extend(dict.fromkeys(self._name(key) for key in keys))
        found = {}
        with _translated():
            answers = self._client().batch_get_documents(
                BatchGetDocumentsRequest.wrap(request), retry=_READ_AGAIN, timeout=_TIMEOUT, metadata=self._metadata
            )
            for answer in answers:
                if answer._pb.WhichOneof("result") == "found":
                    snapshot = self._snapshot(answer._pb.found)
                    found[snapshot.key] = snapshot
        return [found.get(key) for key in keys]

    def commit(self, writes: Sequence[Write]) -> None:
        if len({write.key for write in writes}) < len(writes):
            raise ValueError("a commit writes each key once")
        if not writes:
            return
        request = CommitRequest.pb(CommitRequest())
        request.database = self._database
        for write in writes:
            self._add(request.writes.add(), write)
        until = time.monotonic() + _PATIENCE
        attempt = 0
        while True:
            try:
                with _translated():
                    # Not retried by the client: a commit whose answer was lost may have counted something already.
                    self._client().commit(
                        CommitRequest.wrap(request), retry=None, timeout=_TIMEOUT, metadata=self._metadata
                    )
                return
            except _Aborted:
                # Nothing was written: Firestore gave way to another writer, and the preconditions still hold us to ours.
                pause = random.uniform(0, min(0.05 * 2**attempt, 1.0))  # noqa: S311 - jitter
                if time.monotonic() + pause >= until:
                    raise
                time.sleep(pause)
                attempt += 1
            except Unavailable as error:
                if isinstance(error.__cause__, exceptions.AlreadyExists | exceptions.FailedPrecondition) or (
                    isinstance(error.__cause__, exceptions.NotFound)
                    and any(isinstance(write, Replace | Unchanged) for write in writes)
                ):
                    raise Conflict("a document to be written has changed") from error
                raise

    def _add(self, to: Any, write: Write) -> None:
        """`write`, in Firestore's words."""
        name = self._name(write.key)
        match write:
            case Create():
                to.update.name = name
                _fill(to.update.fields, checked(write.document))
                to.current_document.exists = False
            case Replace():
                # Without a mask the whole document is written anew.
                to.update.name = name
                _fill(to.update.fields, checked(write.document))
                _expect(to.current_document, write.version)
            case Accumulate():
                check_paths(write)
                to.update.name = name
                # An empty mask still makes the document.
                to.update_mask.SetInParent()
                to.update_mask.field_paths.extend(_field_path(path) for path in (*write.put, *write.drop))
                for path, value in write.put.items():
                    fields = to.update.fields
                    for segment in path[:-1]:
                        fields = fields[_escape_key(segment)].map_value.fields
                    _set(fields[_escape_key(path[-1])], checked(value))
                for kind, numbers in (
                    ("increment", write.add),
                    ("maximum", write.largest),
                    ("minimum", write.smallest),
                ):
                    for path, number in numbers.items():
                        transform = to.update_transforms.add()
                        transform.field_path = _field_path(path)
                        getattr(transform, kind).integer_value = number
            case Delete():
                to.delete = name
            case Unchanged(version=None):
                # There is nothing to delete: what is asked for is the precondition.
                # https://cloud.google.com/firestore/docs/reference/rpc/google.firestore.v1#precondition
                to.delete = name
                to.current_document.exists = False
            case Unchanged():
                # A write that changes nothing leaves the update time as it is.
                # https://cloud.google.com/firestore/docs/reference/rpc/google.firestore.v1#writeresult
                to.update.name = name
                to.update_mask.SetInParent()
                _expect(to.current_document, write.version)
            case _:
                assert_never(write)

    def due(self, collection: str, field: str, until: datetime, limit: int) -> list[Snapshot]:
        path = _field_path((field,))
        request, query = self._query(collection, limit)
        query.where.field_filter.field.field_path = path
        query.where.field_filter.op = StructuredQuery.FieldFilter.Operator.LESS_THAN_OR_EQUAL
        _set(query.where.field_filter.value, checked(until))
        query.order_by.add().field.field_path = path
        return self._found(request)

    def scan(self, collection: str, limit: int, after: str = "") -> list[Snapshot]:
        request, query = self._query(collection, limit)
        query.order_by.add().field.field_path = "__name__"
        if after:
            query.start_at.values.add().reference_value = self._name(Key(collection, after))
            query.start_at.before = False
        return self._found(request)

    def _query(self, collection: str, limit: int) -> tuple[Any, Any]:
        request = RunQueryRequest.pb(RunQueryRequest())
        request.parent = self._root
        query = request.structured_query
        query.from_.add().collection_id = _escape_id(collection)
        query.limit.value = limit
        return request, query

    def _found(self, request: Any) -> list[Snapshot]:
        with _translated():
            answers = self._client().run_query(
                RunQueryRequest.wrap(request), retry=_READ_AGAIN, timeout=_TIMEOUT, metadata=self._metadata
            )
            return [self._snapshot(answer._pb.document) for answer in answers if answer._pb.HasField("document")]

    def _name(self, key: Key) -> str:
        return f"{self._root}/{_escape_id(key.collection)}/{_escape_id(key.id)}"

    def _snapshot(self, found: Any) -> Snapshot:
        collection, name = found.name.removeprefix(f"{self._root}/").split("/")
        version = (found.update_time.seconds, found.update_time.nanos)
        return Snapshot(Key(_unescape_id(collection), _unescape_id(name)), _document(found.fields), version)


class _Aborted(Conflict):
    """Firestore gave way to another writer."""


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except exceptions.Aborted as error:
        raise _Aborted("Firestore is too contended", reason="contended") from error
    except (exceptions.GoogleAPICallError, exceptions.RetryError, GoogleAuthError) as error:
        raise Unavailable(f"Firestore does not serve this: {type(error).__name__}", reason="firestore") from error


def _expect(precondition: Any, version: object) -> None:
    match version:
        case (int(seconds), int(nanos)):
            precondition.update_time.seconds, precondition.update_time.nanos = seconds, nanos
        case _:
            raise TypeError("not a version of a document in Firestore")


# How Firestore holds documents.


def _fill(fields: Any, document: Document) -> None:
    for key, value in document.items():
        _set(fields[_escape_key(key)], value)


def _set(to: Any, value: Any) -> None:
    """`value`, checked before, into a Value message."""
    match value:
        case None:
            to.null_value = 0
        case bool():
            to.boolean_value = value
        case int():
            to.integer_value = value
        case float():
            to.double_value = value
        case str():
            to.string_value = value
        case datetime():
            to.timestamp_value.FromMicroseconds((value - _EPOCH) // _MICROSECOND)
        case list():
            to.array_value.SetInParent()
            for item in value:
                _set(to.array_value.values.add(), item)
        case _:
            to.map_value.SetInParent()
            _fill(to.map_value.fields, value)


def _document(fields: Any) -> Document:
    return {_unescape_key(key): _value(value) for key, value in fields.items()}


def _value(value: Any) -> Any:
    kind = value.WhichOneof("value_type")
    match kind:
        case "null_value":
            return None
        case "timestamp_value":
            instant = value.timestamp_value
            return _EPOCH + timedelta(seconds=instant.seconds, microseconds=instant.nanos // 1000)
        case "array_value":
            return [_value(item) for item in value.array_value.values]
        case "map_value":
            return _document(value.map_value.fields)
        case _:
            return getattr(value, kind)


_PLAIN_SEGMENT: Final = re.compile(r"[A-Za-z_][A-Za-z_0-9]*")


def _field_path(path: Iterable[str]) -> str:
    return ".".join(_segment(_escape_key(segment)) for segment in path)


def _segment(key: str) -> str:
    if _PLAIN_SEGMENT.fullmatch(key):
        return key
    return "`" + key.replace("\\", "\\\\").replace("`", "\\`") + "`"


# Firestore reserves the empty name and `__...__`: those get a control character at the end, and one more if they have some.
_RESERVED: Final = re.compile(r"(__.*__)?\x01*", re.DOTALL)


def _escape_key(key: str) -> str:
    return f"{key}\x01" if _RESERVED.fullmatch(key) else key


def _unescape_key(key: str) -> str:
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
