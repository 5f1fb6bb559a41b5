"""Firestore's REST interface when it refuses, is slow, breaks off or is not there: each is whose turn it is, in time."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest

from shared.backends.gcp import firestore
from shared.backends.gcp import rest_documents as rest
from shared.backends.gcp.rest_documents import RestDocuments
from shared.domain.errors import Conflict, Unavailable
from shared.flows.ports import Accumulate, Create, Delete, Key, Replace, Unchanged, Write
from tests.builders import NOON
from tests.stack.servers import free_port
from tests.stack.serving import served

ROOT = "projects/payin/databases/(default)/documents"
KEY = Key("c", "a")
VERSION = "2026-03-01T12:00:00.000001Z"
Answer = tuple[int, Any]


@dataclass
class Google:
    """Firestore's place; `answers` are given first, one a request: a status and a body, or None to break off."""

    host: str = ""
    answers: list[Answer | None] = field(default_factory=list)
    otherwise: Answer = (200, {})
    asked: list[tuple[str, Any]] = field(default_factory=list)
    connections: int = 0
    slow: float = 0.0  # seconds before an answer
    drips: bool = False  # a byte of the answer each half a second


@pytest.fixture
def google() -> Iterator[Google]:
    told = Google()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def setup(self) -> None:
            told.connections += 1
            super().setup()

        def do_POST(self) -> None:
            told.asked.append((self.path, json.loads(self.rfile.read(int(self.headers["content-length"])))))
            answer = told.answers.pop(0) if told.answers else told.otherwise
            time.sleep(told.slow)
            if answer is None:
                self.close_connection = True
                return
            status, body = answer
            data = body if isinstance(body, bytes) else json.dumps(body).encode()
            self.send_response(status)
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            try:
                for one in (bytes([byte]) for byte in data) if told.drips else [data]:
                    self.wfile.write(one)
                    time.sleep(0.5 if told.drips else 0)
            except OSError:
                self.close_connection = True  # nobody waits any more

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its own word
            return

    with served(Handler) as host:
        told.host = host
        yield told


@pytest.fixture
def documents(google: Google) -> RestDocuments:
    return RestDocuments("payin", "(default)", google.host, None)


def impatient(google: Google, monkeypatch: pytest.MonkeyPatch) -> RestDocuments:
    """As patient as a test has time for."""
    monkeypatch.setattr(firestore, "PATIENCE", 1.0)
    monkeypatch.setattr(rest, "PATIENCE", 1.0)
    monkeypatch.setattr(rest, "TIMEOUT", 0.6)
    return RestDocuments("payin", "(default)", google.host, None)


def refusal(code: int, status: str) -> Answer:
    return code, {"error": {"code": code, "message": "no", "status": status}}


DONE: Answer = (200, {"writeResults": [{}], "commitTime": VERSION})
NOT_THERE: Answer = (200, [{"missing": f"{ROOT}/c/a", "readTime": VERSION}])
THERE: Answer = (200, [{"found": {"name": f"{ROOT}/c/a", "fields": {}, "updateTime": VERSION}}])


@pytest.mark.parametrize(
    ("answer", "writes"),
    [
        (refusal(409, "ALREADY_EXISTS"), [Create(KEY, {})]),
        (refusal(400, "FAILED_PRECONDITION"), [Replace(KEY, {}, VERSION)]),
        (refusal(400, "FAILED_PRECONDITION"), [Unchanged(KEY, None)]),
        (refusal(404, "NOT_FOUND"), [Unchanged(KEY, VERSION)]),
        (refusal(404, "NOT_FOUND"), [Replace(KEY, {}, VERSION)]),
    ],
)
def test_a_precondition_that_does_not_hold_is_a_conflict_at_once(
    google: Google, documents: RestDocuments, answer: Answer, writes: list[Write]
) -> None:
    google.otherwise = answer
    with pytest.raises(Conflict):
        documents.commit(writes)
    assert len(google.asked) == 1


def test_a_database_that_does_not_exist_is_no_conflict(google: Google, documents: RestDocuments) -> None:
    google.otherwise = refusal(404, "NOT_FOUND")
    with pytest.raises(Unavailable) as told:
        documents.commit([Create(KEY, {}), Accumulate(Key("c", "b"), add={("n",): 1}), Delete(Key("c", "c"))])
    assert not isinstance(told.value, Conflict)


def test_a_commit_that_gave_way_is_made_again(google: Google, documents: RestDocuments) -> None:
    google.answers = [*[refusal(409, "ABORTED")] * 3, DONE]
    documents.commit([Create(KEY, {"n": 1})])
    assert len(google.asked) == 4
    assert len({json.dumps(asked) for asked in google.asked}) == 1


def test_a_commit_that_gives_way_for_ever_is_too_contended_in_time(
    google: Google, monkeypatch: pytest.MonkeyPatch
) -> None:
    google.otherwise = refusal(409, "ABORTED")
    began = time.monotonic()
    with pytest.raises(Conflict) as told:
        impatient(google, monkeypatch).commit([Create(KEY, {})])
    assert told.value.reason == "contended"
    assert time.monotonic() - began < 3


@pytest.mark.parametrize(
    "answer",
    [
        refusal(503, "UNAVAILABLE"),
        refusal(500, "INTERNAL"),
        refusal(429, "RESOURCE_EXHAUSTED"),
        refusal(504, "DEADLINE_EXCEEDED"),
        refusal(403, "PERMISSION_DENIED"),
        refusal(400, "INVALID_ARGUMENT"),
        (502, b"<html>bad gateway</html>"),
        (200, b"<html>ok</html>"),
        (200, b'{"commitTime": '),
        (200, {}),
        (200, []),
        (200, [{"error": {"code": 503, "status": "UNAVAILABLE"}}]),
        (200, {"error": "odd"}),
        None,
    ],
)
def test_a_commit_that_is_not_confirmed_is_unavailable_and_not_sent_again(
    google: Google, documents: RestDocuments, answer: Answer | None
) -> None:
    google.answers = [answer]
    google.otherwise = DONE
    with pytest.raises(Unavailable) as told:
        documents.commit([Accumulate(KEY, add={("n",): 1})])
    assert not isinstance(told.value, Conflict)
    assert len(google.asked) == 1


READS: dict[str, Callable[[RestDocuments], object]] = {
    "get": lambda documents: documents.get([KEY]),
    "due": lambda documents: documents.due("c", "at", NOON, 9),
    "find": lambda documents: documents.find("c", "paid_by", "cus_1", 9),
    "listed": lambda documents: documents.listed("c", "queue", {"status": "open"}, 9, ("1", "a")),
    "scan": lambda documents: documents.scan("c", 9),
}


@pytest.mark.parametrize("read", READS)
@pytest.mark.parametrize("trouble", [(503, b""), (500, b"{}"), (429, b""), None])
def test_a_read_that_a_server_in_trouble_refuses_is_asked_again(
    google: Google, documents: RestDocuments, read: str, trouble: Answer | None
) -> None:
    google.answers = [trouble, trouble]
    google.otherwise = NOT_THERE if read == "get" else (200, [{"readTime": VERSION}])
    assert READS[read](documents) == ([None] if read == "get" else [])
    assert len(google.asked) == 3


@pytest.mark.parametrize("read", READS)
@pytest.mark.parametrize(
    "answer",
    [
        refusal(403, "PERMISSION_DENIED"),
        (200, [{"error": {"code": 503, "message": "no", "status": "UNAVAILABLE"}}]),
        (200, b"[{"),
        (200, [{"found": {}}, {"document": {}}]),
    ],
)
def test_a_read_that_is_not_answered_is_unavailable(
    google: Google, documents: RestDocuments, read: str, answer: Answer
) -> None:
    google.otherwise = answer
    with pytest.raises(Unavailable):
        READS[read](documents)


@pytest.mark.parametrize("answer", [(200, []), (200, {}), (200, [{"missing": f"{ROOT}/c/b"}])])
def test_a_document_of_which_nothing_is_told_is_not_taken_for_one_that_there_is_not(
    google: Google, documents: RestDocuments, answer: Answer
) -> None:
    google.otherwise = answer
    with pytest.raises(Unavailable):
        documents.get([KEY])


@pytest.mark.parametrize("manner", ["slow", "drips"])
def test_whoever_waits_is_told_in_time_with_more_asking_than_there_are_threads(
    google: Google, monkeypatch: pytest.MonkeyPatch, manner: str
) -> None:
    google.slow, google.drips = (3.0, False) if manner == "slow" else (0.0, True)
    google.otherwise = THERE
    documents = impatient(google, monkeypatch)
    together = threading.Barrier(20)

    def ask(number: int) -> tuple[str, float]:
        together.wait()
        began = time.monotonic()
        try:
            documents.get([KEY]) if number % 2 else documents.commit([Create(KEY, {})])
        except Unavailable as error:
            return error.reason, time.monotonic() - began
        return "done", 0.0

    with ThreadPoolExecutor(20) as pool:
        told = list(pool.map(ask, range(20)))
    assert {reason for reason, _ in told} == {"google_unavailable"}
    assert max(seconds for _, seconds in told) < 3.0


def test_a_firestore_that_is_gone_is_unavailable_in_time() -> None:
    documents = RestDocuments("payin", "(default)", f"127.0.0.1:{free_port()}", None)
    began = time.monotonic()
    with pytest.raises(Unavailable):
        documents.commit([Create(KEY, {})])
    assert time.monotonic() - began < 3, "a commit is not repeated"
    with pytest.raises(Unavailable):
        documents.get([KEY])
    assert time.monotonic() - began < 12


def test_one_connection_serves_request_after_request(google: Google, documents: RestDocuments) -> None:
    google.otherwise = NOT_THERE
    for _ in range(5):
        documents.get([KEY])
    assert (len(google.asked), google.connections) == (5, 1)


def test_each_method_has_its_address(google: Google, documents: RestDocuments) -> None:
    google.answers = [NOT_THERE, DONE, (200, [])]
    documents.get([KEY, KEY])
    documents.commit([Delete(KEY)])
    documents.scan("c", 9)
    assert [path for path, _ in google.asked] == [f"/v1/{ROOT}:{name}" for name in ("batchGet", "commit", "runQuery")]
    assert google.asked[0][1] == {"documents": [f"{ROOT}/c/a"]}


def test_a_version_of_another_store_is_a_mistake(documents: RestDocuments) -> None:
    with pytest.raises(TypeError):
        documents.commit([Replace(KEY, {}, (1, 2))])
