"""Documents in Firestore through its client: quickest once it runs, and slowest to start (`rest_documents` is the other way).

On the generated client of `google-cloud-firestore`, one layer below `firestore.Client`: a commit is then exactly the
writes we mean (a replacement that removes fields too and has a precondition; a merge and transforms in one write),
and a document is converted once, with the names that Firestore reserves escaped on the way.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, Final, assert_never

import grpc
import msgspec
from google.api_core import exceptions
from google.api_core.retry import Retry, if_exception_type
from google.auth.exceptions import DefaultCredentialsError, GoogleAuthError
from google.cloud.firestore_v1.services.firestore import FirestoreClient
from google.cloud.firestore_v1.services.firestore.transports import FirestoreGrpcTransport
from google.cloud.firestore_v1.types import BatchGetDocumentsRequest, CommitRequest, RunQueryRequest, StructuredQuery

from shared.backends.gcp.firestore import TIMEOUT, Firestore, Query, Refused, escape_key, field_path, unescape_key
from shared.backends.once import Once
from shared.backends.values import check_paths, checked
from shared.domain.errors import Misconfigured
from shared.flows.ports import Accumulate, Create, Delete, Document, Replace, Snapshot, Unchanged, Write

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)

_READ_AGAIN: Final = Retry(
    predicate=if_exception_type(
        exceptions.ServiceUnavailable, exceptions.InternalServerError, exceptions.ResourceExhausted
    ),
    initial=0.1,
    maximum=1.0,
    multiplier=2.0,
    timeout=TIMEOUT,
)
# A connection that died while Cloud Run had frozen the instance is noticed before a request waits for it.
_CHANNEL: Final = (
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", -1),
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 5_000),
)


class FirestoreDocuments(Firestore):
    """A version is the document's update time, (seconds, nanoseconds)."""

    def __init__(self, project: str, database: str, emulator: str | None) -> None:
        super().__init__(project, database)
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

    def _read(self, names: Sequence[str]) -> Iterator[Snapshot]:
        request = BatchGetDocumentsRequest.pb(BatchGetDocumentsRequest())
        request.database = self._database
        request.documents.extend(names)
        with _translated():
            answers = self._client().batch_get_documents(
                BatchGetDocumentsRequest.wrap(request), retry=_READ_AGAIN, timeout=TIMEOUT, metadata=self._metadata
            )
            for answer in answers:
                if answer._pb.WhichOneof("result") == "found":
                    yield self._snapshot(answer._pb.found)

    def _prepared(self, writes: Sequence[Write]) -> Any:
        request = CommitRequest.pb(CommitRequest())
        request.database = self._database
        for write in writes:
            self._add(request.writes.add(), write)
        return CommitRequest.wrap(request)

    def _send(self, request: Any) -> None:
        with _translated():
            self._client().commit(request, retry=None, timeout=TIMEOUT, metadata=self._metadata)

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

    def _found(self, query: Query) -> Iterator[Snapshot]:
        text = msgspec.json.encode(query).decode()
        request = RunQueryRequest(parent=self._root, structured_query=StructuredQuery.from_json(text))
        with _translated():
            answers = self._client().run_query(request, retry=_READ_AGAIN, timeout=TIMEOUT, metadata=self._metadata)
            for answer in answers:
                if answer._pb.HasField("document"):
                    yield self._snapshot(answer._pb.document)

    def _snapshot(self, found: Any) -> Snapshot:
        version = (found.update_time.seconds, found.update_time.nanos)
        return Snapshot(self._key(found.name), _document(found.fields), version)


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except exceptions.GoogleAPICallError as error:
        code = error.grpc_status_code
        raise Refused(code.name if code else "UNKNOWN", type(error).__name__) from error
    except (exceptions.RetryError, GoogleAuthError) as error:
        raise Refused("UNAVAILABLE", type(error).__name__) from error


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
