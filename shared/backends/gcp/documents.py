"""Documents in Firestore through gRPC: quickest once it runs, and slowest to start (`rest_documents` is the other way).

With the messages of `google-cloud-firestore`, and its channel, but not its client: a commit is exactly the writes we mean
(a replacement that removes fields too and has a precondition; a merge and transforms in one write), a document is converted
once, with the names that Firestore reserves escaped on the way, and a call goes straight to gRPC. What the client puts
around one (a request wrapped twice, interceptors that log, its own retries) takes as much of a processor as the call.
"""

import random
import time
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Final, assert_never

import grpc
import msgspec
from google.api_core.gapic_v1 import routing_header
from google.auth.exceptions import DefaultCredentialsError, GoogleAuthError
from google.cloud.firestore_v1.services.firestore.transports import FirestoreGrpcTransport
from google.cloud.firestore_v1.types import (
    BatchGetDocumentsRequest,
    BatchGetDocumentsResponse,
    CommitRequest,
    CommitResponse,
    RunQueryRequest,
    RunQueryResponse,
    StructuredQuery,
)
from grpc.experimental import ChannelOptions

from shared.backends.gcp.firestore import TIMEOUT, Firestore, Query, Refused, escape_key, field_path, unescape_key
from shared.backends.once import Once
from shared.backends.values import check_paths, checked
from shared.domain.errors import Misconfigured
from shared.flows.ports import Accumulate, Create, Delete, Document, Replace, Snapshot, Unchanged, Write

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)

_SERVICE: Final = "/google.firestore.v1.Firestore"
# Protobuf's own classes, of which the library's are covers.
_READ, _FOUND = BatchGetDocumentsRequest.pb(), BatchGetDocumentsResponse.pb()
_COMMIT, _COMMITTED = CommitRequest.pb(), CommitResponse.pb()
_QUERY, _ANSWERED = RunQueryRequest.pb(), RunQueryResponse.pb()

_READ_AGAIN: Final = frozenset({"UNAVAILABLE", "INTERNAL", "RESOURCE_EXHAUSTED"})
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 1.0  # seconds
_CHANNEL: Final = (
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", -1),
    # A connection that died without a word, as while Cloud Run had frozen the instance, is given up. How long is waited for
    # the answer to a ping gRPC takes from the last of these (otherwise a minute), and for TCP's from the one before.
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    ("grpc.http2.ping_timeout_ms", 5_000),
    # Whoever asks takes the answer: otherwise each read starts a thread that hands it over.
    (ChannelOptions.SingleThreadedUnaryStream, 1),
)


class _Calls:
    """Firestore's methods on one channel."""

    def __init__(self, channel: Any) -> None:
        self.read = channel.unary_stream(f"{_SERVICE}/BatchGetDocuments", _READ.SerializeToString, _FOUND.FromString)
        self.commit = channel.unary_unary(f"{_SERVICE}/Commit", _COMMIT.SerializeToString, _COMMITTED.FromString)
        self.query = channel.unary_stream(f"{_SERVICE}/RunQuery", _QUERY.SerializeToString, _ANSWERED.FromString)


class FirestoreDocuments(Firestore):
    """A version is the document's update time, (seconds, nanoseconds)."""

    def __init__(self, project: str, database: str, emulator: str | None) -> None:
        super().__init__(project, database)
        self._emulator = emulator
        self._calls = Once(self._connect)
        own = [("google-cloud-resource-prefix", self._database)]
        if emulator:
            own.append(("authorization", "Bearer owner"))
        self._metadata = (*own, _way("database", self._database))
        self._of_queries = (*own, _way("parent", self._root))

    def _connect(self) -> _Calls:
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
        except GoogleAuthError as error:
            raise Refused("UNAVAILABLE", type(error).__name__) from error
        return _Calls(channel)

    def _read(self, names: Sequence[str]) -> Iterable[Snapshot]:
        request = _READ(database=self._database, documents=names)
        answers = _patiently(partial(self._calls().read, request, metadata=self._metadata))
        return [self._snapshot(answer.found) for answer in answers if answer.WhichOneof("result") == "found"]

    def _prepared(self, writes: Sequence[Write]) -> Any:
        request = _COMMIT(database=self._database)
        for write in writes:
            self._add(request.writes.add(), write)
        return request

    def _send(self, request: Any) -> None:
        calls = self._calls()
        try:
            calls.commit(request, timeout=TIMEOUT, metadata=self._metadata)
        except grpc.RpcError as error:
            raise _refused(error) from error

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
                to.update_mask.field_paths.extend(field_path(path) for path in (*write.put, *write.drop))
                for path, value in write.put.items():
                    fields = to.update.fields
                    for segment in path[:-1]:
                        fields = fields[escape_key(segment)].map_value.fields
                    _set(fields[escape_key(path[-1])], checked(value))
                for kind, numbers in (
                    ("increment", write.add),
                    ("maximum", write.largest),
                    ("minimum", write.smallest),
                ):
                    for path, number in numbers.items():
                        transform = to.update_transforms.add()
                        transform.field_path = field_path(path)
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

    def _found(self, query: Query) -> Iterable[Snapshot]:
        structured = StructuredQuery.pb(StructuredQuery.from_json(msgspec.json.encode(query).decode()))
        request = _QUERY(parent=self._root, structured_query=structured)
        answers = _patiently(partial(self._calls().query, request, metadata=self._of_queries))
        return [self._snapshot(answer.document) for answer in answers if answer.HasField("document")]

    def _snapshot(self, found: Any) -> Snapshot:
        version = (found.update_time.seconds, found.update_time.nanos)
        return Snapshot(self._key(found.name), _document(found.fields), version)


def _way(member: str, value: str) -> tuple[str, str]:
    """The header by which Google finds the way to the database: what the request says, which it does not open for that."""
    header: tuple[str, str] = routing_header.to_grpc_metadata(((member, value),))  # type: ignore[no-untyped-call]
    return header


def _patiently(ask: Callable[..., Iterable[Any]]) -> list[Any]:
    """All that a reading call streams; asked again, within TIMEOUT, where Firestore has trouble of its own. Raises Refused."""
    until = time.monotonic() + TIMEOUT
    pause = _FIRST_PAUSE
    while True:
        try:
            return list(ask(timeout=max(until - time.monotonic(), 0.0)))
        except grpc.RpcError as error:
            refused = _refused(error)
            wait = random.uniform(0, pause)  # noqa: S311 - jitter
            if refused.status not in _READ_AGAIN or time.monotonic() + wait >= until:
                raise refused from error
        time.sleep(wait)
        pause = min(2 * pause, _LONGEST_PAUSE)


def _refused(error: Any) -> Refused:
    return Refused(error.code().name, "by gRPC")


def _expect(precondition: Any, version: object) -> None:
    match version:
        case (int(seconds), int(nanos)):
            precondition.update_time.seconds, precondition.update_time.nanos = seconds, nanos
        case _:
            raise TypeError("not a version of a document in Firestore")


# How Firestore holds documents.


def _fill(fields: Any, document: Document) -> None:
    for key, value in document.items():
        _set(fields[escape_key(key)], value)


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
    return {unescape_key(key): _value(value) for key, value in fields.items()}


def _value(value: Any) -> Any:
    kind = value.WhichOneof("value_type")
    match kind:
        case "integer_value":
            # Nearly all that documents of histories hold.
            return value.integer_value
        case "map_value":
            return _document(value.map_value.fields)
        case "null_value":
            return None
        case "timestamp_value":
            instant = value.timestamp_value
            return _EPOCH + timedelta(seconds=instant.seconds, microseconds=instant.nanos // 1000)
        case "array_value":
            return [_value(item) for item in value.array_value.values]
        case _:
            return getattr(value, kind)
