"""What goes out is signed so that any library of Standard Webhooks believes it, and goes nowhere but to the internet."""

import socket
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from shared import settings
from shared.domain.errors import Misconfigured
from shared.domain.notifications import Endpoint
from shared.runtime import outgoing
from shared.runtime.outgoing import Outgoing, is_public
from tests.stack.deployed import authority
from tests.stack.serving import served

OLD, NEW = "whsec_" + "b2xk" * 8, "whsec_" + "bmV3" * 8
HOOKS = Endpoint("crm", "https://hooks.example/pay-in?tenant=7", {"1": OLD, "2": NEW})
ID, BODY = "msg_" + "5e" * 16, '{"type":"dispute.updated","data":{"name":"Zoë"}}'


class Receiver(BaseHTTPRequestHandler):
    """Keeps what came, and answers `status`."""

    came: list[tuple[str, dict[str, str], bytes]]
    status: int

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.came.append((self.path, {name.lower(): value for name, value in self.headers.items()}, body))
        if self.status == 0:
            return
        self.send_response(self.status)
        self.send_header("Location", "https://elsewhere.example/")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture(scope="module")
def hooks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[type[Receiver], Outgoing]]:
    folder = tmp_path_factory.mktemp("tls")
    receiver = type("Ours", (Receiver,), {"came": [], "status": 204})
    with served(receiver, authority(folder, "hooks.example")) as address:
        trusting = ssl.create_default_context(cafile=str(folder / "authorities.pem"))
        yield (
            receiver,
            Outgoing(lambda _: ["127.0.0.1"], lambda: trusting, int(address.rpartition(":")[2]), public=lambda _: True),
        )


def test_any_library_believes_it_by_the_old_key_and_by_the_new(hooks: tuple[type[Receiver], Outgoing]) -> None:
    receiver, send = hooks
    receiver.came.clear()
    assert send(HOOKS, ID, BODY, datetime.now(UTC)) == 204
    [(path, headers, body)] = receiver.came
    assert (path, headers["host"], headers["webhook-id"]) == ("/pay-in?tenant=7", "hooks.example", ID)
    assert body.decode() == BODY
    for key in (OLD, NEW):
        assert Webhook(key).verify(body, headers)["data"] == {"name": "Zoë"}
    for wrong in ({**headers, "webhook-id": "msg_another"}, {**headers, "webhook-timestamp": "1"}):
        with pytest.raises(WebhookVerificationError):
            Webhook(OLD).verify(body, wrong)
    with pytest.raises(WebhookVerificationError):
        Webhook("whsec_" + "bm9uZQ==" * 4).verify(body, headers)


@pytest.mark.parametrize("status", [200, 302, 410, 500])
def test_the_status_is_told_and_no_redirect_is_followed(hooks: tuple[type[Receiver], Outgoing], status: int) -> None:
    receiver, send = hooks
    receiver.came.clear()
    receiver.status = status
    assert send(HOOKS, ID, BODY, datetime.now(UTC)) == status
    assert len(receiver.came) == 1
    receiver.status = 204


def test_who_does_not_answer_in_time_or_shows_no_certificate_of_its_name_is_silent(
    hooks: tuple[type[Receiver], Outgoing], monkeypatch: pytest.MonkeyPatch
) -> None:
    receiver, send = hooks
    impostor = Endpoint("crm", "https://bank.example/pay-in", HOOKS.keys)
    receiver.came.clear()
    assert send(impostor, ID, BODY, datetime.now(UTC)) == 0
    assert receiver.came == []
    monkeypatch.setattr(outgoing, "CONNECT", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as mute:
        slow = Outgoing(lambda _: ["127.0.0.1"], ssl.create_default_context, mute.getsockname()[1], lambda _: True)
        assert slow(HOOKS, ID, BODY, datetime.now(UTC)) == 0


@pytest.mark.parametrize(
    "ip",
    [
        "127.0.0.1",
        "10.0.0.8",
        "172.16.3.4",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",  # noqa: S104 - refused
        "224.0.0.1",
        "::1",
        "::",
        "fe80::1%eth0",
        "fd00:ec2::254",
        "::ffff:169.254.169.254",
        "64:ff9b::a9fe:a9fe",
        "2002:a9fe:a9fe::1",
        "ff02::1",
        "not an address",
        "",
    ],
)
def test_nothing_is_sent_into_a_network_of_ours(ip: str, hooks: tuple[type[Receiver], Outgoing]) -> None:
    assert not is_public(ip)
    receiver, _ = hooks
    receiver.came.clear()
    # One of two is enough: whoever answers for the name may not choose.
    assert Outgoing(lambda _: ["93.184.216.34", ip])(HOOKS, ID, BODY, datetime.now(UTC)) == 0
    assert receiver.came == []


@pytest.mark.parametrize("ip", ["93.184.216.34", "2606:2800:220:1:248:1893:25c8:1946"])
def test_the_internet_is_public(ip: str) -> None:
    assert is_public(ip)


def test_a_name_that_nobody_knows_is_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror("unknown")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    assert Outgoing()(HOOKS, ID, BODY, datetime.now(UTC)) == 0


def read(endpoints: str, secret: str = '{"keys": {"1": "' + OLD + '"}}') -> dict[str, Endpoint]:
    return settings.read({"PAYIN_ENDPOINTS": endpoints, "NOTIFY_CRM": secret}).endpoints()


def test_an_endpoint_is_a_name_an_address_over_tls_and_keys() -> None:
    assert read("") == {}
    assert read('{"crm": {"url": "https://crm.example/hooks"}}') == {
        "crm": Endpoint("crm", "https://crm.example/hooks", {"1": OLD})
    }


@pytest.mark.parametrize(
    "endpoints",
    [
        "[]",
        '{"crm": {}}',
        '{"crm": {"url": "https://crm.example", "more": 1}}',
        '{"CRM": {"url": "https://crm.example"}}',
        *(
            '{"crm": {"url": "' + url + '"}}'
            for url in (
                "http://crm.example",
                "https://crm.example:8443",
                "https://user:word@crm.example",
                "https://crm.example/#part",
                "https://[::1]/",
                "https://crm.example/ path",
                "https://crm.exämple",
            )
        ),
    ],
)
def test_an_endpoint_that_could_be_anything_else_keeps_the_function_from_starting(endpoints: str) -> None:
    with pytest.raises(Misconfigured):
        read(endpoints)


@pytest.mark.parametrize(
    "secret", ["", "{}", '{"keys": {}}', '{"keys": {"1": ""}}', '{"keys": {"1": "whsec_c2hvcnQ="}}', '{"keys": {"1": "' + "b2xk" * 8 + '"}}']
)  # fmt: skip
def test_keys_that_anybody_could_guess_keep_it_from_starting_too(secret: str) -> None:
    with pytest.raises(Misconfigured) as told:
        read('{"crm": {"url": "https://crm.example"}}', secret)
    assert "b2xk" not in str(told.value)
