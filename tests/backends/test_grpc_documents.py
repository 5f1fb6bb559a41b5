"""Firestore by gRPC when it refuses, is slow or breaks off: each is whose turn it is, in time."""

import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import grpc
import pytest

from shared.backends.gcp import documents as by_grpc
from shared.backends.gcp.documents import FirestoreDocuments
from shared.domain.errors import Conflict, Unavailable
from shared.flows.ports import Create, Key, Replace
from tests.stack.servers import free_port

KEY = Key("c", "a")
NAME = "projects/payin/databases/(default)/documents/c/a"


@dataclass
class Google:
    """Firestore's place; `refusals` are given first, one a call. before: of a refusal, documents that are streamed first."""

    refusals: list[grpc.StatusCode] = field(default_factory=list)
    before: int = 0
    slow: float = 0.0  # seconds
    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list)

    def heard(self, method: str, context: Any) -> None:
        self.asked.append((method, dict(context.invocation_metadata())))
        time.sleep(self.slow)

    def refuse(self, context: Any) -> None:
        if self.refusals:
            context.abort(self.refusals.pop(0), "words of Google's")


@pytest.fixture
def google(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Google, FirestoreDocuments]]:
    told = Google()

    def read(request: Any, context: Any) -> Iterator[Any]:
        told.heard("read", context)
        for _ in range(told.before if told.refusals else 0):
            yield by_grpc._FOUND(found={"name": NAME})
        told.refuse(context)
        for name in request.documents:
            yield by_grpc._FOUND(found={"name": name, "update_time": {"seconds": 7}})

    def commit(_: Any, context: Any) -> Any:
        told.heard("commit", context)
        told.refuse(context)
        return by_grpc._COMMITTED()

    def query(_: Any, context: Any) -> Iterator[Any]:
        told.heard("query", context)
        told.refuse(context)
        yield by_grpc._ANSWERED(document={"name": NAME})

    serialized = {"response_serializer": lambda answer: answer.SerializeToString()}
    methods = {
        "BatchGetDocuments": grpc.unary_stream_rpc_method_handler(read, by_grpc._READ.FromString, **serialized),
        "Commit": grpc.unary_unary_rpc_method_handler(commit, by_grpc._COMMIT.FromString, **serialized),
        "RunQuery": grpc.unary_stream_rpc_method_handler(query, by_grpc._QUERY.FromString, **serialized),
    }
    port = free_port()
    with ThreadPoolExecutor(8) as threads:
        server = grpc.server(threads)
        server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler("google.firestore.v1.Firestore", methods),)
        )
        server.add_insecure_port(f"127.0.0.1:{port}")
        server.start()
        monkeypatch.setattr(by_grpc, "_FIRST_PAUSE", 0.01)
        try:
            yield told, FirestoreDocuments("payin", "(default)", f"127.0.0.1:{port}")
        finally:
            server.stop(None).wait()


TROUBLE = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.INTERNAL, grpc.StatusCode.RESOURCE_EXHAUSTED)


@pytest.mark.parametrize("trouble", TROUBLE)
def test_what_is_read_is_asked_for_again_after_trouble_of_google_s(
    google: tuple[Google, FirestoreDocuments], trouble: grpc.StatusCode
) -> None:
    told, documents = google
    told.refusals = [trouble, trouble]
    [found] = documents.get([KEY])
    assert found is not None
    assert (found.key, found.version) == (KEY, (7, 0))
    told.refusals = [trouble]
    assert [one.key for one in documents.scan("c", 10)] == [KEY]
    assert [method for method, _ in told.asked] == ["read"] * 3 + ["query"] * 2


def test_a_read_that_breaks_off_is_begun_anew(google: tuple[Google, FirestoreDocuments]) -> None:
    told, documents = google
    told.before, told.refusals = 1, [grpc.StatusCode.UNAVAILABLE]
    found = documents.get([KEY, Key("c", "b")])
    assert [one.version for one in found if one] == [(7, 0), (7, 0)], "nothing of the half read is left"


def test_a_read_that_is_refused_for_good_is_not_asked_again(google: tuple[Google, FirestoreDocuments]) -> None:
    told, documents = google
    told.refusals = [grpc.StatusCode.PERMISSION_DENIED]
    with pytest.raises(Unavailable, match="PERMISSION_DENIED") as raised:
        documents.get([KEY])
    assert len(told.asked) == 1
    assert "words of Google's" not in str(raised.value), "what a server says is not repeated"


def test_reading_ends_with_its_patience(
    google: tuple[Google, FirestoreDocuments], monkeypatch: pytest.MonkeyPatch
) -> None:
    told, documents = google
    monkeypatch.setattr(by_grpc, "TIMEOUT", 0.3)
    told.slow = 1.0
    begun = time.monotonic()
    with pytest.raises(Unavailable, match="DEADLINE_EXCEEDED"):
        documents.get([KEY])
    told.slow, told.refusals = 0.0, [grpc.StatusCode.UNAVAILABLE] * 1000
    with pytest.raises(Unavailable, match="UNAVAILABLE"):
        documents.get([KEY])
    assert time.monotonic() - begun < 1.5


@pytest.mark.parametrize("trouble", [*TROUBLE, grpc.StatusCode.DEADLINE_EXCEEDED])
def test_a_commit_whose_answer_is_lost_is_never_sent_again(
    google: tuple[Google, FirestoreDocuments], trouble: grpc.StatusCode
) -> None:
    told, documents = google
    told.refusals = [trouble]
    with pytest.raises(Unavailable, match=trouble.name):
        documents.commit([Create(KEY, {})])
    assert len(told.asked) == 1


def test_a_commit_that_firestore_gave_way_with_is_sent_again_and_one_that_lost_is_not(
    google: tuple[Google, FirestoreDocuments],
) -> None:
    told, documents = google
    told.refusals = [grpc.StatusCode.ABORTED]
    documents.commit([Create(KEY, {})])
    assert len(told.asked) == 2
    told.refusals = [grpc.StatusCode.FAILED_PRECONDITION]
    with pytest.raises(Conflict):
        documents.commit([Replace(KEY, {}, (7, 0))])
    assert len(told.asked) == 3


def test_each_call_says_which_database_it_is_for(google: tuple[Google, FirestoreDocuments]) -> None:
    told, documents = google
    documents.get([KEY])
    documents.commit([Create(KEY, {})])
    documents.scan("c", 10)
    ways = [told_with["x-goog-request-params"] for _, told_with in told.asked]
    assert ways == [
        "database=projects/payin/databases/%28default%29",
        "database=projects/payin/databases/%28default%29",
        "parent=projects/payin/databases/%28default%29/documents",
    ]
    assert {told_with["google-cloud-resource-prefix"] for _, told_with in told.asked} == {
        "projects/payin/databases/(default)"
    }


def test_reading_starts_no_thread(google: tuple[Google, FirestoreDocuments], monkeypatch: pytest.MonkeyPatch) -> None:
    _, documents = google
    documents.get([KEY])
    mine, start, started = threading.get_ident(), threading.Thread.start, []

    def counted(thread: threading.Thread) -> None:
        if threading.get_ident() == mine:
            started.append(thread)
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", counted)
    documents.get([KEY])
    assert started == [], "each read would start one that hands its answer over"


class Line:
    """Between a client and a server; once `dead`, connections that there are carry nothing more and stay open."""

    def __init__(self, port: int) -> None:
        self._port, self._dead = port, set[int]()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._ends: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def dies(self) -> None:
        self._dead = set(map(id, self._ends))

    def close(self) -> None:
        for end in (self._listener, *self._ends):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)  # whoever waits for it is woken by that alone
            end.close()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            far = socket.create_connection(("127.0.0.1", self._port))
            self._ends += near, far
            for ends in ((near, far), (far, near)):
                threading.Thread(target=self._carry, args=ends, daemon=True).start()

    def _carry(self, of: socket.socket, to: socket.socket) -> None:
        try:
            while data := of.recv(1 << 16):
                if id(of) not in self._dead:
                    to.sendall(data)
        except OSError:
            pass


def test_a_connection_that_died_without_a_word_is_given_up(
    google: tuple[Google, FirestoreDocuments], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Every time of the channel's own a hundredth.
    quick = tuple((name, value // 100 if name.endswith("_ms") else value) for name, value in by_grpc._CHANNEL)
    monkeypatch.setattr(by_grpc, "_CHANNEL", quick)
    monkeypatch.setattr(by_grpc, "TIMEOUT", 0.5)
    _, documents = google
    line = Line(int(str(documents._emulator).rpartition(":")[2]))
    try:
        through = FirestoreDocuments("payin", "(default)", f"127.0.0.1:{line.port}")
        assert through.get([KEY]) != [None]
        time.sleep(0.2)  # until the pings that gRPC sends with the first answer are answered too
        line.dies()
        until = time.monotonic() + 5
        while time.monotonic() < until:
            try:
                assert through.get([KEY]) != [None]
            except Unavailable:
                continue
            return
        pytest.fail("still waiting for the dead one")
    finally:
        line.close()
