"""A stand-in for Google's metadata server: it gives tokens, slowly, badly or not at all, as it is told."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from urllib.parse import parse_qs, urlsplit

from tests.stack.serving import served


@dataclass
class Metadata:
    """`moods` are answered first, one a request: a status, a body, or seconds to be slow by."""

    host: str = ""
    expires_in: float = 3599
    moods: list[int | bytes | float] = field(default_factory=list)
    flavor: str = "Google"
    scopes: list[str] = field(default_factory=list)  # those of each request that was answered
    asked: int = 0


@contextmanager
def metadata_server() -> Iterator[Metadata]:
    told = Metadata()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            told.asked += 1
            own = told.asked
            at = urlsplit(self.path)
            if at.path != "/computeMetadata/v1/instance/service-accounts/default/token":
                return self.answer(404, b"")
            if self.headers.get("metadata-flavor") != "Google":
                return self.answer(403, b"")
            mood = told.moods.pop(0) if told.moods else None
            if isinstance(mood, float):
                time.sleep(mood)
            elif isinstance(mood, int):
                return self.answer(mood, b"")
            elif isinstance(mood, bytes):
                return self.answer(200, mood)
            told.scopes.append(parse_qs(at.query).get("scopes", [""])[0])
            body = {"access_token": f"token-{own}", "expires_in": told.expires_in, "token_type": "Bearer"}
            return self.answer(200, json.dumps(body).encode())

        def answer(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("metadata-flavor", told.flavor)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its own word
            return

    with served(Handler) as host:
        told.host = host
        yield told
