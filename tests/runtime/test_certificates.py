import http.server
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from itertools import islice
from pathlib import Path

import pytest

from shared.domain.errors import SignatureInvalid, Unavailable
from shared.runtime.certificates import AT_ONCE, LARGEST, MOST, Certificates


class Host(http.server.BaseHTTPRequestHandler):
    asked: list[str] = []  # noqa: RUF012 - one list for the server's life, which is what is counted
    answers = threading.Event()

    def do_GET(self) -> None:
        self.asked.append(self.path)
        match self.path.split("/")[1]:
            case "good":
                self.send_response(200)
                self.end_headers()
                self.wfile.write(b"pem" + b"x" * LARGEST)
            case "moved":
                self.send_response(302)
                self.send_header("Location", "/good")
                self.end_headers()
            case "slow":
                Host.answers.wait(10)
                self.send_response(404)
                self.end_headers()
            case status:
                self.send_response(int(status))
                self.end_headers()

    def log_message(self, *_: object) -> None:
        """Quiet."""


@pytest.fixture
def host() -> Iterator[str]:
    Host.asked.clear()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Host)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_a_certificate_is_fetched_once_and_never_more_than_its_size(host: str) -> None:
    certificates = Certificates()
    assert len(certificates(f"{host}/good")) == LARGEST
    certificates(f"{host}/good")
    assert Host.asked == ["/good"]


def test_a_redirect_is_not_followed(host: str) -> None:
    with pytest.raises(Unavailable):
        Certificates()(f"{host}/moved")
    assert Host.asked == ["/moved"]


@pytest.mark.parametrize("status", [404, 410])
def test_a_certificate_that_its_host_does_not_know_proves_a_forgery(host: str, status: int) -> None:
    with pytest.raises(SignatureInvalid):
        Certificates()(f"{host}/{status}")


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_host_in_trouble_is_asked_again_later(host: str, status: int) -> None:
    certificates = Certificates()
    for _ in range(2):
        with pytest.raises(Unavailable):
            certificates(f"{host}/{status}")
    assert len(Host.asked) == 2


def test_a_host_that_does_not_answer_is_unavailable() -> None:
    with pytest.raises(Unavailable):
        Certificates()("http://127.0.0.1:1/good")


def test_a_sender_who_names_ever_other_certificates_does_not_fill_the_memory(host: str) -> None:
    certificates = Certificates()
    for number in range(MOST + 5):
        certificates(f"{host}/good/{number}")
    assert len(certificates._cache) == MOST


def test_names_that_a_forger_makes_up_keep_no_thread_waiting_and_no_known_certificate_from_its_users(host: str) -> None:
    certificates = Certificates()
    certificates(f"{host}/good")
    Host.answers.clear()
    with ThreadPoolExecutor(12) as threads:
        forged = [threads.submit(certificates, f"{host}/slow/{number}") for number in range(12)]
        turned_away = list(islice(as_completed(forged, timeout=5), 12 - AT_ONCE))
        certificates(f"{host}/good")
        Host.answers.set()
    assert all(isinstance(one.exception(), Unavailable) for one in turned_away)
    assert len(Host.asked) == 1 + AT_ONCE


def test_a_local_stack_reads_the_simulators_files(tmp_path: Path) -> None:
    (tmp_path / "cert-1.pem").write_bytes(b"pem")
    certificates = Certificates(str(tmp_path))
    assert certificates("https://api.sandbox.paypal.com/v1/notifications/certs/cert-1") == b"pem"
    with pytest.raises(SignatureInvalid):
        certificates("https://api.sandbox.paypal.com/v1/notifications/certs/cert-2")
