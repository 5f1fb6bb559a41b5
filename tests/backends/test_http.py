"""Whom Google's REST interfaces are believed to be: whoever an authority of the system vouches for, under the name asked for."""

from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
import urllib3

from shared.backends.gcp import http
from shared.backends.gcp.http import Http
from shared.backends.once import Once
from shared.domain.errors import Unavailable
from tests.stack.deployed import authority
from tests.stack.serving import served


class Hello(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("content-length", "5")
        self.end_headers()
        self.wfile.write(b"hello")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its own word
        return


Ask = Callable[[str], tuple[int, bytes]]


@pytest.fixture
def system(tmp_path: Path) -> Path:
    """A system whose authorities are in here."""
    (tmp_path / "other").mkdir()
    return tmp_path


@pytest.fixture
def ask(monkeypatch: pytest.MonkeyPatch) -> Ask:
    """Ask a server, believing in what the environment says now."""

    def asked(host: str) -> tuple[int, bytes]:
        monkeypatch.setattr(http, "trusting_the_system", Once(http._trusting_the_system))
        return Http(patience=0.5).request("GET", f"https://localhost:{host.rpartition(':')[2]}/")

    return asked


def test_authorities_are_believed_as_a_folder_of_links_or_as_one_file(
    system: Path, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    tls = authority(system, "localhost")
    with served(Hello, tls) as host:
        for folder, file in (("authorities", "nothing.pem"), ("other", "authorities.pem")):
            monkeypatch.setenv("SSL_CERT_DIR", str(system / folder))
            monkeypatch.setenv("SSL_CERT_FILE", str(system / file))
            assert ask(host) == (200, b"hello")


@pytest.mark.parametrize(("vouched_for", "believed"), [("localhost", "other"), ("google.example", "authorities")])
def test_an_authority_that_the_system_does_not_know_and_another_name_are_not_believed(
    system: Path, ask: Ask, monkeypatch: pytest.MonkeyPatch, vouched_for: str, believed: str
) -> None:
    tls = authority(system, vouched_for)
    (system / "other.pem").write_bytes(b"")
    monkeypatch.setenv("SSL_CERT_DIR", str(system / believed))
    monkeypatch.setenv("SSL_CERT_FILE", str(system / "other.pem"))
    with served(Hello, tls) as host, pytest.raises(Unavailable, match="SSLError"):
        ask(host)


def test_authorities_are_read_once_for_all_connections(system: Path, ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    tls = authority(system, "localhost")
    monkeypatch.setenv("SSL_CERT_DIR", str(system / "authorities"))
    with served(Hello, tls) as host, served(Hello, tls) as another:
        ask(host)
        monkeypatch.setattr(urllib3.connection, "create_urllib3_context", None)
        client = Http(patience=0.5)
        for own in (host, another):
            assert client.request("GET", f"https://localhost:{own.rpartition(':')[2]}/")[0] == 200
