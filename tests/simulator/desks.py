"""Where a provider takes answers to disputes, simulated: over real local HTTP, by its documented rules, troubled on demand."""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler
from threading import Lock
from typing import Protocol

from shared.domain.answers import Act, Contest
from tests.simulator.providers.shaping import ApiReply
from tests.stack.serving import served


@dataclass(frozen=True)
class ApiCall:
    """headers are named in lower case."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    at: datetime


@dataclass(frozen=True)
class Taken:
    """An answer that reached the provider for good."""

    dispute_id: str
    act: Act
    at: datetime
    told: dict[str, str]


class Desk(Protocol):
    """A provider's disputes and the API at which they are answered. It refuses what the provider documents that it refuses:
    a second answer, one after the deadline, a file of a wrong type, a missing part.

    taken: every answer that it took, in order: two of one round of one dispute are a failure of ours.
    """

    NAME: str
    taken: list[Taken]

    def open(self, contest: Contest) -> None:
        """The dispute of `contest` waits for an answer until its `respond_by`."""

    def reply(self, call: ApiCall) -> ApiReply:
        """What the API says."""


@dataclass(frozen=True)
class Refund:
    """All that was left of a payment went back. metadata: what whoever asked for it noted."""

    payment_id: str
    minor: int
    at: datetime
    metadata: dict[str, str]
    reason: str | None = None


class Till(Protocol):
    """Where payments are refunded, at a desk that does that too. paid: how much was, in minor units, by payment; disputed: those
    of which nothing is refunded any more; refunds: all that were made, in order."""

    paid: dict[str, int]
    disputed: set[str]
    refunds: list[Refund]


@dataclass(frozen=True)
class Trouble:
    """reply: this instead of an answer, and nothing is done. lost: it is done, and the connection is dropped before the
    answer. dropped: the connection is dropped and nothing is done. slow: so many seconds later."""

    reply: ApiReply | None = None
    lost: bool = False
    dropped: bool = False
    slow: float = 0.0


@dataclass
class RunningDesk:
    """`troubles` come first, one a call; `calls` has all that arrived, in order."""

    url: str = ""
    troubles: list[Trouble] = field(default_factory=list)
    calls: list[ApiCall] = field(default_factory=list)

    @property
    def counts(self) -> Counter[str]:
        return Counter(f"{call.method} {call.path}" for call in self.calls)


@contextmanager
def open_desk(
    desk: Desk, now: datetime | Callable[[], datetime] | None = None, loses: Callable[[Taken], bool] = lambda _: False
) -> Iterator[RunningDesk]:
    """`desk` behind an address; its clock stands at `now`, says what `now` does, or goes. loses: of an answer that it has just
    taken, whether that is lost on its way back."""
    running, lock = RunningDesk(), Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        # Head and body of an answer go together: a second packet would wait 40 ms for the first one's acknowledgement.
        wbufsize = -1

        def _do(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            headers = {name.lower(): value for name, value in self.headers.items()}
            at = now() if callable(now) else now or datetime.now(UTC)
            call = ApiCall(self.command, self.path, headers, body, at)
            with lock:
                running.calls.append(call)
                trouble = running.troubles.pop(0) if running.troubles else Trouble()
            time.sleep(trouble.slow)
            if trouble.dropped:
                return self._drop()
            with lock:
                before = len(desk.taken)
                reply = trouble.reply or desk.reply(call)
                lost = any(map(loses, desk.taken[before:]))
            if trouble.lost or lost:
                return self._drop()
            self.send_response(reply.status)
            with_type = {"Content-Type": "application/json", "Content-Length": str(len(reply.body)), **reply.headers}
            for name, value in with_type.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(reply.body)
            return None

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _do  # noqa: N815 - the base class's way of naming

        def _drop(self) -> None:
            self.close_connection = True
            self.connection.close()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
            """Quiet."""

    with served(Handler) as address:
        running.url = f"http://{address}"
        yield running
