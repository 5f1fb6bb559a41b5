"""A stand-in for what Google puts in front of the console: Identity-Aware Proxy, which signs who is there, and Cloud Identity,
which knows the groups. The console proves and asks exactly as it does deployed.

Whoever comes chooses who to be, at /_who; a request may also say so in the header `X-Stand-In-Person`.
"""

import base64
import html
import http.client
import json
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlsplit

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

AUDIENCE = "/projects/1/locations/europe-west1/services/console"
PEOPLE: Mapping[str, str] = {
    "vera@shop.example": "viewer",
    "ana@shop.example": "analyst",
    "bo@shop.example": "analyst",
    "petra@shop.example": "approver",
    "paul@shop.example": "approver",
}
GROUPS = {role: f"payin-{role}s@shop.example" for role in ("viewer", "analyst", "approver")}
STRANGER = "stranger@shop.example"
CHOSEN = "stand_in_person"


def _text(part: bytes) -> str:
    return base64.urlsafe_b64encode(part).decode().rstrip("=")


@dataclass
class Signer:
    """As IAP signs: ES256, https://cloud.google.com/iap/docs/signed-headers-howto."""

    name: str = "key-1"
    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))

    def public(self) -> dict[str, str]:
        pem = self.key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        return {self.name: pem.decode()}

    def assertion(self, person: str, /, **claims: Any) -> str:
        now = int(time.time())
        said = {
            "iss": "https://cloud.google.com/iap",
            "aud": AUDIENCE,
            "email": person,
            "sub": f"accounts.google.com:{person}",
            "iat": now,
            "exp": now + 600,
            **claims,
        }
        parts = [json.dumps(part).encode() for part in ({"alg": "ES256", "typ": "JWT", "kid": self.name}, said)]
        signed = ".".join(map(_text, parts))
        r, s = decode_dss_signature(self.key.sign(signed.encode(), ec.ECDSA(hashes.SHA256())))
        return f"{signed}.{_text(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"


def environment(front: str) -> dict[str, str]:
    """The console's own settings, with a stand-in at `front` (host and port)."""
    return {
        "PAYIN_CONSOLE": json.dumps(
            {
                "audience": AUDIENCE,
                "groups": {role: [group] for role, group in GROUPS.items()},
                "four_eyes_above": 50_000,
            }
        ),
        "PAYIN_CONSOLE_KEY": "a stand-in's key, of no use to anybody else",
        "PAYIN_IAP_KEYS_URL": f"http://{front}/_keys",
        "PAYIN_DIRECTORY_URL": f"http://{front}/_directory",
    }


@dataclass
class Front:
    """What is served at `address` (host and port). behind: the console's."""

    address: str
    signer: Signer
    behind: str = ""


@contextmanager
def standing_in(port: int = 0) -> Iterator[Front]:
    """A proxy at a free port, or at `port`; it passes on nothing until its `behind` is set."""
    server = ThreadingHTTPServer(("127.0.0.1", port), _Handler)
    server.daemon_threads = True
    front = Front(f"127.0.0.1:{server.server_port}", Signer())
    server.front = front  # type: ignore[attr-defined]
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    try:
        yield front
    finally:
        server.shutdown()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def _any(self) -> None:
        front: Front = self.server.front  # type: ignore[attr-defined]
        path = urlsplit(self.path)
        if path.path == "/_keys":
            self._say(200, json.dumps(front.signer.public()).encode(), "application/json")
        elif path.path.startswith("/_directory/"):
            self._directory(path.path.removeprefix("/_directory"), parse_qs(path.query))
        elif path.path == "/_who":
            self._who(parse_qs(path.query))
        else:
            self._pass_on(front)

    do_GET = do_POST = do_HEAD = do_PUT = do_DELETE = _any  # noqa: N815 - http.server's own names

    def _directory(self, path: str, query: dict[str, list[str]]) -> None:
        groups = {f"groups/{role}": (role, group) for role, group in GROUPS.items()}
        if path == "/v1/groups:lookup":
            wanted = query["groupKey.id"][0]
            found = next((name for name, (_, group) in groups.items() if group == wanted), None)
            status, answer = (200, {"name": found}) if found else (404, {"error": {"status": "NOT_FOUND"}})
        else:
            name = unquote(path.removeprefix("/v1/").partition("/memberships")[0])
            email = query["query"][0].partition("'")[2].rstrip("'")
            status, answer = 200, {"hasMembership": PEOPLE.get(email) == groups[name][0]}  # type: ignore[assignment]
        self._say(status, json.dumps(answer).encode(), "application/json")

    def _who(self, query: dict[str, list[str]]) -> None:
        if "be" in query:
            self.send_response(303)
            self.send_header("Location", "/")
            self.send_header("Set-Cookie", f"{CHOSEN}={quote(query['be'][0])}; Path=/; HttpOnly; SameSite=Lax")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        offered = "".join(
            f'<li><a href="/_who?be={quote(email)}">{html.escape(email)}</a>, {role}</li>'
            for email, role in {**PEOPLE, STRANGER: "in no group"}.items()
        )
        page = f"<!doctype html><html lang=en><title>Who are you?</title><h1>Who are you?</h1><ul>{offered}</ul>"
        self._say(200, page.encode(), "text/html; charset=utf-8")

    def _pass_on(self, front: Front) -> None:
        cookies = dict(part.strip().partition("=")[::2] for part in self.headers.get("Cookie", "").split(";"))
        person = self.headers.get("X-Stand-In-Person") or unquote(cookies.get(CHOSEN, ""))
        if not person:
            self.send_response(302)
            self.send_header("Location", "/_who")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        kept = {
            name: value
            for name, value in self.headers.items()
            if name.lower() not in ("connection", "x-goog-iap-jwt-assertion", "x-stand-in-person", "accept-encoding")
        }
        connection = http.client.HTTPConnection(front.behind, timeout=60)
        try:
            kept["X-Goog-IAP-JWT-Assertion"] = front.signer.assertion(person)
            connection.request(self.command, self.path, body or None, kept)
            answer = connection.getresponse()
            data = answer.read()
            self.send_response(answer.status)
            for name, value in answer.getheaders():
                if name.lower() not in ("connection", "transfer-encoding", "content-length", "server", "date"):
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)
        finally:
            connection.close()

    def _say(self, status: int, body: bytes, kind: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Says nothing."""
