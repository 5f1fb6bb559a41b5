"""Spans of a share of the traces: one for each request that was taken, linked by the trace that messages carry.

A trace is asked by its id whether it is among them, by OpenTelemetry's own rule (TraceIdRatioBased: the lower 64 bits), so that every
function says the same without a word about it. Of the others nothing is kept, and their `traceparent` travels as it came.

Nobody waits for a span. It is put in a queue, and a thread that begins with the first one sends what is there, as OTLP over HTTP in
JSON (https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding), which Google's Telemetry API takes
(https://docs.cloud.google.com/stackdriver/docs/otlp/overview). OpenTelemetry's SDK is not asked to write these few lines: its import is 67 ms of
a processor and 3 MB in each instance, and a webhook's whole start is 212 ms.
"""

import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Final

import msgspec

from shared.domain.errors import PayInError
from shared.domain.telemetry import fact

WAITING: Final = 512
"""Spans that wait to be sent, at most: what is more is left out, and counted."""
BATCH: Final = 256
GATHERED: Final = 2.0
"""Seconds in which spans gather before they are sent."""

SERVER, CONSUMER = 2, 5
_ERROR: Final = 2

Send = Callable[[bytes], object]
"""Sends an ExportTraceServiceRequest. Raises Unavailable, Misconfigured."""


class Span(msgspec.Struct, frozen=True, kw_only=True):
    """Nanoseconds since 1970. parent: of another function's, or the caller's; empty: the first of its trace."""

    trace: str
    own: str
    parent: str
    name: str
    kind: int
    began: int
    ended: int
    status: int


class _Open(msgspec.Struct):
    kept: Callable[[str], bool]
    began: int
    trace: str = ""
    own: str = ""
    parent: str = ""
    kind: int = SERVER


_open: ContextVar[_Open | None] = ContextVar("open span", default=None)


def joined(traceparent: str, *, first: bool = False, pushed: bool = False) -> str:
    """The `traceparent` under which the request in hand goes on: its own span's where its trace is kept, otherwise as it is.
    first: nobody sent one, and it was made here. pushed: it came in a message."""
    here = _open.get()
    if here is None:
        return traceparent
    version, trace, parent, flags = traceparent.split("-")
    if not here.kept(trace):
        here.trace = ""
        return traceparent
    here.trace, here.parent, here.kind = trace, "" if first else parent, CONSUMER if pushed else SERVER
    here.own = parent if first else here.own or os.urandom(8).hex()
    return f"{version}-{trace}-{here.own}-{flags}"


class Spans:
    """Those of one function. share: of traces, 0 to 1; at 0 nothing is done at all."""

    def __init__(self, function: str, project: str, share: float, send: Send) -> None:
        self._function, self._project, self._send = function, project, send
        self._bound = round(share * (1 << 64))
        self._waiting: deque[Span] = deque()
        self._some = threading.Event()
        self._left_out = 0
        self._beginning = threading.Lock()
        self._thread: threading.Thread | None = None

    def kept(self, trace: str) -> bool:
        return int(trace[16:], 16) < self._bound

    @contextmanager
    def request(self) -> Iterator[Callable[[int], None]]:
        """Around a request; tell it the status. Of what was refused there is no span: strangers choose no traces of ours."""
        if not self._bound:
            yield _untold
            return
        here = _Open(self.kept, time.time_ns())
        token = _open.set(here)

        def told(status: int) -> None:
            if here.trace and not 400 <= status < 500:
                self._keep(here, status)

        try:
            yield told
        finally:
            _open.reset(token)

    def _keep(self, here: _Open, status: int) -> None:
        span = Span(
            trace=here.trace,
            own=here.own,
            parent=here.parent,
            name=self._function,
            kind=here.kind,
            began=here.began,
            ended=time.time_ns(),
            status=status,
        )
        if len(self._waiting) < WAITING:
            self._waiting.append(span)
        else:
            self._left_out += 1
        self._some.set()
        if self._thread is None:
            with self._beginning:
                if self._thread is None:
                    self._thread = threading.Thread(target=self._go_on, name="spans", daemon=True)
                    self._thread.start()

    def _go_on(self) -> None:
        while True:
            self._some.wait()
            time.sleep(GATHERED)
            self._some.clear()
            while self._waiting or self._left_out:
                self._send_some()

    def _send_some(self) -> None:
        """What waits, BATCH of it. What cannot be sent is left out, and counted in the log."""
        spans = [self._waiting.popleft() for _ in range(min(BATCH, len(self._waiting)))]
        left_out, self._left_out = self._left_out, 0
        try:
            if spans:
                self._send(encoded(self._function, self._project, spans))
        except PayInError as error:
            fact("spans_left_out", spans=left_out + len(spans), reason=error.reason)
            return
        if left_out:
            fact("spans_left_out", spans=left_out, reason="too_many")


def _untold(_: int) -> None:
    return


def encoded(function: str, project: str, spans: Sequence[Span]) -> bytes:
    """An ExportTraceServiceRequest of protobuf's JSON: ids in hex, 64-bit numbers as text."""
    resource = {"service.name": function, "gcp.project_id": project}
    scope = {"scope": {"name": "payin"}, "spans": [_told(one) for one in spans]}
    told = {"resourceSpans": [{"resource": {"attributes": _attributes(resource)}, "scopeSpans": [scope]}]}
    return msgspec.json.encode(told)


def _told(one: Span) -> dict[str, Any]:
    return {
        "traceId": one.trace,
        "spanId": one.own,
        "parentSpanId": one.parent,
        "name": one.name,
        "kind": one.kind,
        "startTimeUnixNano": str(one.began),
        "endTimeUnixNano": str(one.ended),
        "attributes": _attributes({"http.response.status_code": one.status}),
        "status": {"code": _ERROR} if one.status >= 500 else {},
    }


def _attributes(members: Mapping[str, str | int]) -> list[dict[str, Any]]:
    return [
        {"key": name, "value": {"intValue": str(value)} if isinstance(value, int) else {"stringValue": value}}
        for name, value in members.items()
    ]
