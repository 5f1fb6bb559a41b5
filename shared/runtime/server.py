"""The server below functions-framework: a request reaches a function when all of it is here, and never before.

functions-framework's own server gives a connection a thread from its first byte on, so that as many slow senders as there
are threads stop an instance, and what a function never asked for is read all the same. Waitress receives everybody's
headers and bodies in one loop, up to a limit, and takes a thread for a request that is whole. What it leaves to others
stands here: how long a request may take to arrive, and that whoever is refused hears a status and nothing else, while
our log says why.
"""

import logging
import signal
import socket
import time
from typing import Any, NoReturn

from waitress.adjustments import Adjustments
from waitress.channel import HTTPChannel
from waitress.parser import HTTPRequestParser, ParsingError, TransferEncodingNotImplemented
from waitress.server import TcpWSGIServer
from waitress.task import ErrorTask, WSGITask
from waitress.utilities import BadRequest, Error, RequestEntityTooLarge, RequestHeaderFieldsTooLarge

from shared.domain.telemetry import fact

WITHIN = 10.0
"""Seconds from a request's first byte to its last; and from a connection to its first request's."""

LINGERS = 2.0
"""Seconds in which a refused sender may go on sending: a reset would take our answer from it (RFC 9112 §9.6)."""

_IDLE = 60
_LARGEST_HEADERS = 64 << 10
MOST_CONNECTIONS = 800  # a process may usually open 1,024 files


def install(largest_body: int, threads: int) -> None:
    """Let functions-framework serve with this server, which it has no setting for."""
    from functions_framework import _http

    framework: Any = _http
    own = framework.HTTPServer

    def chosen(app: Any, debug: bool, **options: Any) -> Any:  # noqa: FBT001 - functions-framework's own signature
        return own(app, debug, **options) if debug else Server(app, largest_body, threads)

    framework.HTTPServer = chosen


class Server:
    """What functions-framework runs: `app` (WSGI), with this many threads, for bodies up to `largest_body`."""

    def __init__(self, app: Any, largest_body: int, threads: int) -> None:
        self._app = app
        self._largest_body = largest_body
        self._threads = threads

    def run(self, host: str, port: int) -> None:
        """Serve until SIGTERM, then let the requests in hand end."""
        signal.signal(signal.SIGTERM, _leave)
        logging.getLogger("waitress").setLevel(logging.ERROR)  # a queue is no news: Cloud Run counts what waits
        listener = _Listener(
            self._app,
            adj=Adjustments(
                host=host,
                port=port,
                threads=self._threads,
                # Chunks bring their frames along. Up to its exact limit the function looks itself.
                max_request_body_size=self._largest_body + self._largest_body // 8 + 1024,
                max_request_header_size=_LARGEST_HEADERS,
                connection_limit=MOST_CONNECTIONS,
                channel_timeout=_IDLE,
                cleanup_interval=1,
                recv_bytes=1 << 16,
                asyncore_use_poll=True,
                log_socket_errors=False,
                clear_untrusted_proxy_headers=False,  # nobody believes them, and an adapter may want what was signed
                ident=None,
            ),
        )
        listener.run()


def _leave(_signal: int, _frame: object) -> NoReturn:
    raise SystemExit


class _TooSlow(Error):
    code = 408
    reason = "Request Timeout"


class _EndedEarly(BadRequest):
    """The sender ended before the request did. It gets 400, and nothing of it is kept, so that it sends it again."""


_REASONS = {
    RequestEntityTooLarge: "too_large",
    RequestHeaderFieldsTooLarge: "headers_too_large",
    _TooSlow: "too_slow",
    _EndedEarly: "disconnected",
}


class _Request(HTTPRequestParser):
    """A request that is arriving."""

    def __init__(self, adj: Adjustments) -> None:
        super().__init__(adj)
        self.began = time.monotonic()

    def received(self, data: bytes) -> int:
        taken: int = super().received(data)
        # What follows on something malformed is no further request.
        return len(data) if self.error is not None else taken

    def parse_header(self, header_plus: bytes) -> None:
        try:
            super().parse_header(header_plus)
        except TransferEncodingNotImplemented as error:
            # It would be a 501, as if we had failed.
            raise ParsingError(str(error)) from error
        except ValueError as error:
            # A length of thousands of digits, an address that is none.
            raise ParsingError("the request line or a header has no meaning") from error


class _Answer(WSGITask):
    def set_close_on_finish(self) -> None:
        # Waitress ends the connection after an answer without a length, and a 204 has none.
        may_stay = self.request.version == "1.1" and self.request.headers.get("CONNECTION", "").lower() != "close"
        if self.has_body or not may_stay:
            super().set_close_on_finish()


class _Refusal(ErrorTask):
    """A status, an empty body, and the end of the connection."""

    def execute(self) -> None:
        error = self.request.error
        self.status = f"{error.code} {error.reason}"
        self.set_close_on_finish()
        self.content_length = 0
        self.channel.refused = True
        self.write(b"")


class _Connection(HTTPChannel):
    task_class = _Answer
    error_task_class = _Refusal
    parser_class = _Request

    request: Any = None
    refused = False
    lingers_until = 0.0

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.silent_since: float | None = time.monotonic()

    def handle_read(self) -> None:
        try:
            data = self.socket.recv(self.adj.recv_bytes)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        self.silent_since = None
        if data and not self.lingers_until:
            self.last_activity = time.time()
            self.received(data)
        elif not data and not self.refuse(_EndedEarly("")):
            self.handle_close()

    def refuse(self, error: Error, before: float = float("inf")) -> bool:
        """Answer a request that began `before` and is not whole yet with `error`; False when there is none."""
        with self.requests_lock:
            request = self.request
            if request is None or self.requests or request.began >= before:
                return False
            self.request = None
            request.error, request.completed = error, True
            self.requests.append(request)
            self.server.add_task(self)
            return True

    def service(self) -> None:
        if error := self.requests[0].error:
            fact("request_refused", reason=_REASONS.get(type(error), "malformed_request"), status=error.code)
        super().service()

    def handle_close(self) -> None:
        """The end; but a refused sender is listened to, unheard, until it has ended too."""
        if not self.refused or self.lingers_until or not self.connected:
            super().handle_close()
            return
        self.will_close = False
        self.lingers_until = time.monotonic() + LINGERS
        try:
            self.socket.shutdown(socket.SHUT_WR)
        except OSError:
            super().handle_close()

    def look(self, now: float) -> None:
        """What time does to a connection, looked at every second."""
        if self.lingers_until:
            self.will_close = self.will_close or now >= self.lingers_until
        elif self.silent_since is None:
            self.refuse(_TooSlow(""), before=now - WITHIN)
        else:
            # It keeps others out, and there is nothing to answer.
            self.will_close = self.will_close or now >= self.silent_since + WITHIN


class _Listener(TcpWSGIServer):
    channel_class = _Connection

    def maintenance(self, now: float) -> None:
        """As waitress does every second, which ends idle connections; and our own."""
        super().maintenance(now)
        for connection in list(self.active_channels.values()):
            connection.look(time.monotonic())
