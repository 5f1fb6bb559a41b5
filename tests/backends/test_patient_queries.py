"""A query of BigQuery's that runs for long, against the few calls of its interface that we make."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import msgspec
import pytest

from shared.backends.gcp.warehouse import BigQueryWarehouse
from shared.domain.errors import Rejected, Unavailable
from shared.flows.ports import Bound
from tests.builders import NOON

SQL = "SELECT 7 AS n"
WHERE = "europe-west1"


class Jobs(ThreadingHTTPServer):
    """Runs every query to 7. hangs: none ends. too_dear: each would read too much. scans: ids of the jobs that were begun; canceled: of those that were stopped."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.hangs = self.too_dear = False
        self.configurations: list[dict[str, Any]] = []
        self.scans: list[str] = []
        self.canceled: set[str] = set()
        self.origin = f"http://127.0.0.1:{self.server_address[1]}"

    def job(self, job_id: str) -> dict[str, Any]:
        done = not self.hangs or job_id in self.canceled
        stopped: dict[str, Any] = (
            {"errorResult": {"reason": "stopped", "message": "canceled"}} if job_id in self.canceled else {}
        )
        if self.too_dear:
            # As BigQuery says it, which its client takes for a fault of the server (500).
            told = "Query exceeded limit for bytes billed: 1. 10485760 or higher required."
            error = {"reason": "bytesBilledLimitExceeded", "message": told}
            stopped = {"errorResult": error, "errors": [error]}
        return {
            "jobReference": {"projectId": "p", "jobId": job_id, "location": WHERE},
            "configuration": {"jobType": "QUERY", "query": {"query": SQL}},
            "status": {"state": "DONE" if done else "RUNNING", **stopped},
            "statistics": {"query": {"statementType": "SELECT"}},
        }

    def rows(self, job_id: str) -> dict[str, Any]:
        told = {"jobReference": self.job(job_id)["jobReference"], "jobComplete": not self.hangs}
        schema = {"fields": [{"name": "n", "type": "INTEGER", "mode": "NULLABLE"}]}
        return told if self.hangs else {**told, "schema": schema, "rows": [{"f": [{"v": "7"}]}], "totalRows": "1"}


class _Handler(BaseHTTPRequestHandler):
    server: Jobs
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        *_, name = path = urlsplit(self.path).path.split("/")
        if name == "cancel":
            self.server.canceled.add(path[-2])
            return self._answer(200, {"job": self.server.job(path[-2])})
        asked = msgspec.json.decode(body)
        job_id = asked["jobReference"]["jobId"]
        if job_id in self.server.scans:
            return self._answer(409, {"error": {"code": 409, "message": "Already Exists"}})
        self.server.scans.append(job_id)
        self.server.configurations.append(asked["configuration"])
        return self._answer(200, self.server.job(job_id))

    def do_GET(self) -> None:
        asked = urlsplit(self.path)
        *_, kind, name = asked.path.split("/")
        if kind == "datasets":
            return self._answer(200, {"datasetReference": {"projectId": "p", "datasetId": name}, "location": WHERE})
        # As BigQuery, which knows a job outside the multi-regions by its location only.
        if parse_qs(asked.query).get("location") != [WHERE]:
            return self._answer(404, {"error": {"code": 404, "message": "Not found"}})
        return self._answer(200, self.server.rows(name) if kind == "queries" else self.server.job(name))

    def _answer(self, status: int, body: dict[str, Any]) -> None:
        data = msgspec.json.encode(body)
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        return


@pytest.fixture
def jobs() -> Iterator[Jobs]:
    with Jobs() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def asked(jobs: Jobs, *, once: bool = True, patience: float = 0.3, **parameters: object) -> list[dict[str, Any]]:
    """By an instance that has just started."""
    return BigQueryWarehouse("p", "d", jobs.origin, patience).query(SQL, {"at": NOON, **parameters}, once=once)


def test_who_gives_up_cancels_what_it_asked_for_and_bigquery_knows_its_patience_too(jobs: Jobs) -> None:
    jobs.hangs = True
    with pytest.raises(Unavailable):
        asked(jobs, once=False)
    assert jobs.canceled == set(jobs.scans) != set()
    assert [one["jobTimeoutMs"] for one in jobs.configurations] == ["300"]


def test_a_question_of_a_person_has_bounds_of_its_own(jobs: Jobs) -> None:
    bound = Bound(bytes=5 << 30, seconds=0.2)
    jobs.hangs = True
    with pytest.raises(Unavailable):
        BigQueryWarehouse("p", "d", jobs.origin).query(SQL, bound=bound)
    assert jobs.canceled == set(jobs.scans) != set()
    assert [(one["jobTimeoutMs"], one["query"]["maximumBytesBilled"]) for one in jobs.configurations] == [
        ("200", str(5 << 30))
    ]


def test_what_would_read_too_much_is_the_askers_turn(jobs: Jobs) -> None:
    jobs.too_dear = True
    with pytest.raises(Rejected, match="ask of less time"):
        BigQueryWarehouse("p", "d", jobs.origin).query(SQL, bound=Bound(bytes=1, seconds=5.0))


def test_what_is_asked_once_is_answered_by_the_run_that_was_begun(jobs: Jobs) -> None:
    assert asked(jobs) == asked(jobs) == [{"n": 7}]
    assert len(jobs.scans) == 1
    assert asked(jobs, sample="ff") == asked(jobs, once=False) == [{"n": 7}]
    assert len(set(jobs.scans)) == 3


def test_what_was_canceled_is_asked_anew(jobs: Jobs) -> None:
    jobs.hangs = True
    with pytest.raises(Unavailable):
        asked(jobs)
    jobs.hangs = False
    assert asked(jobs) == [{"n": 7}]
    first, second = jobs.scans
    assert jobs.canceled == {first}
    assert asked(jobs) == [{"n": 7}]
    assert jobs.scans == [first, second]


def test_what_fails_each_time_is_not_asked_for_ever(jobs: Jobs) -> None:
    jobs.hangs = True
    for _ in range(5):
        with pytest.raises(Unavailable):
            asked(jobs, patience=0.05)
    with pytest.raises(Unavailable, match="has failed 5 times"):
        asked(jobs, patience=0.05)
    assert len(jobs.scans) == 5


def test_what_is_derived_goes_on_when_its_caller_has_no_more_time_and_the_next_one_finds_it(jobs: Jobs) -> None:
    def derive() -> None:
        found = BigQueryWarehouse("p", "d", jobs.origin, patience=0.3)
        found.derive("purchases", "at", NOON, "SELECT @n AS payment", {"n": 7}, as_of=NOON)

    jobs.hangs = True
    with pytest.raises(Unavailable):
        derive()
    assert jobs.canceled == set()
    jobs.hangs = False
    derive()
    assert len(jobs.scans) == 1
    [asked] = jobs.configurations
    assert asked["jobTimeoutMs"] == "1800000"
    assert asked["query"]["query"].startswith("MERGE purchases AS kept")
