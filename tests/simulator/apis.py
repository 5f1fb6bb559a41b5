"""Providers' APIs over real local HTTP, answered by their simulators, and troubled on demand."""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Protocol, runtime_checkable

from tests.simulator.facts import ProviderSimulator
from tests.simulator.providers.shaping import ApiReply
from tests.stack.serving import served

Answering = Callable[[str, str, dict[str, str]], ApiReply]
"""Method, path and headers (named in lower case) to what a provider's API says."""


@runtime_checkable
class ApiSimulator(Protocol):
    """A provider whose messages only name objects answers as its API does, too."""

    def answer(self, method: str, path: str, headers: dict[str, str]) -> ApiReply:
        """As `Answering`."""


@dataclass
class SimulatedApi:
    """A running API. `troubles` are answered first, one a request; `asked` has every path, in order."""

    url: str
    troubles: list[ApiReply] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    def environment(self, provider: str) -> dict[str, str]:
        """The setting under which our side asks it in the place of `provider`."""
        return {f"API_{provider.upper()}": json.dumps({"key": "a-key-of-ours", "base_url": self.url})}


@contextmanager
def serving(answer: Answering) -> Iterator[SimulatedApi]:
    api = SimulatedApi("")

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1  # as at `desks.open_desk`

        def do_GET(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            api.asked.append(self.path)
            headers = {name.lower(): value for name, value in self.headers.items()}
            reply = api.troubles.pop(0) if api.troubles else answer(self.command, self.path, headers)
            self.send_response(reply.status)
            for name, value in _with_length(reply).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(reply.body)

        do_POST = do_GET  # noqa: N815 - the base class's way of naming

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
            """Quiet."""

    with served(Handler) as address:
        api.url = f"http://{address}"
        yield api


@contextmanager
def serving_all(simulators: Mapping[str, ProviderSimulator]) -> Iterator[dict[str, str]]:
    """The APIs of those that answer as one, running, and the settings under which our side asks them."""
    environment: dict[str, str] = {}
    with ExitStack() as running:
        for name, simulator in simulators.items():
            if isinstance(simulator, ApiSimulator):
                environment |= running.enter_context(serving(simulator.answer)).environment(name)
        yield environment


def _with_length(reply: ApiReply) -> Mapping[str, str]:
    return {"Content-Type": "application/json", "Content-Length": str(len(reply.body)), **reply.headers}
