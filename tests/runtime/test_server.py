"""The door as strangers find it: a real function under functions-framework, met over raw sockets."""

import json
import random
import socket
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from shared.backends.local.bus import LocalBus
from shared.backends.local.sql import Database
from shared.runtime import server
from shared.settings import read
from tests.benchmarks.requests import pushed_payment, stripe_delivery
from tests.benchmarks.worlds import STRIPE
from tests.simulator import loading
from tests.stack import servers

ROOT = Path(__file__).resolve().parents[2]
THREADS = 4
LARGEST = 1 << 20
BRAINTREE = json.dumps({"keys": {"integration_public_key": "integration_private_key"}})


@dataclass(frozen=True)
class Door:
    """A running webhook of three providers, one of which signs no body, and four threads."""

    address: tuple[str, int]
    process: int
    log: Path
    bus: LocalBus
    home: Path

    def say(self, *pieces: bytes, ends: bool = False, within: float = 15) -> bytes:
        """Everything the door answers until it closes, to `pieces` sent one by one; `ends`: the sender says no more."""
        with socket.create_connection(self.address, timeout=within) as sender:
            answer = b""
            try:
                for piece in pieces:
                    sender.sendall(piece)
                if ends:
                    sender.shutdown(socket.SHUT_WR)
                while (more := sender.recv(65536)) and not _whole(answer := answer + more):
                    pass
            except ConnectionError:
                pass
            return answer

    def status(self, *pieces: bytes, ends: bool = False, within: float = 15) -> int | None:
        return _status(self.say(*pieces, ends=ends, within=within))

    def lines(self) -> list[str]:
        return self.log.read_text(errors="replace").splitlines()

    def serves(self, within: float = 15) -> float:
        """How long a genuine delivery takes that comes now."""
        began = time.monotonic()
        delivery = stripe_delivery(datetime.now(UTC), f"now-{time.time_ns()}")
        assert self.status(a_post(delivery.path, delivery.body, delivery.headers), within=within) == 200
        return time.monotonic() - began

    def stored(self) -> list[dict[str, object]]:
        """What was stored since the last time we asked."""
        pulled = self.bus.pull("check", 1000, 60)
        self.bus.ack("check", [one.ack_id for one in pulled])
        return [json.loads(one.data) for one in pulled]

    def memory(self) -> int:
        """The process's largest footprint so far, in bytes."""
        (line,) = [one for one in Path(f"/proc/{self.process}/status").read_text().splitlines() if "VmHWM" in one]
        return int(line.split()[1]) << 10


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    home = tmp_path_factory.mktemp("door")
    environment = {
        "PYTHONPATH": str(ROOT),
        "PAYIN_HOME": str(home),
        "THREADS": str(THREADS),
        "PROVIDERS": "stripe,braintree,mercadopago",
        **loading.load("mercadopago", 1, home).environment(),
        "WEBHOOK_STRIPE": STRIPE,
        "WEBHOOK_BRAINTREE": BRAINTREE,
    }
    bus = LocalBus(Database(read(environment).database_url))
    bus.subscribe("check", "deliveries")
    source = str(ROOT / "functions/webhook/main.py")
    command = [sys.executable, "-m", "functions_framework", "--source", source, "--target", "webhook"]
    started = servers.start(
        "webhook", lambda port: [*command, "--port", str(port)], home / "log", _listens, environment=environment
    )
    host, port = started.address.split(":")
    try:
        yield Door((host, int(port)), started.process, home / "log", bus, home)
    finally:
        started.stop()


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def _whole(answer: bytes) -> bool:
    """Whether that is a final answer with all of its body."""
    head, ended, body = answer.rpartition(b"HTTP/1.")[2].partition(b"\r\n\r\n")
    if not ended or b" 100 " in head[:8]:
        return False
    if b" 204 " in head[:8]:
        return True  # it has no body, and so no length
    lengths = [int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")]
    return bool(lengths) and len(body) >= lengths[0]


def _answer(sender: socket.socket) -> bytes:
    """The next answer, with all of its body: one `recv` may bring a part of it."""
    answer = b""
    while not _whole(answer):
        more = sender.recv(65536)
        assert more, answer
        answer += more
    return answer


def _status(answer: bytes) -> int | None:
    """None where the connection was closed without a word."""
    statuses = [line.split()[1] for line in answer.split(b"\r\n") if line.startswith(b"HTTP/1.")]
    return int(statuses[-1]) if statuses else None


def a_post(path: str, body: bytes, headers: dict[str, str], length: int | None = None) -> bytes:
    told = {"Host": "webhook.example", "Content-Length": str(len(body) if length is None else length), **headers}
    head = "".join(f"{name}: {value}\r\n" for name, value in told.items())
    return f"POST {path} HTTP/1.1\r\n{head}\r\n".encode() + body


def a_request(line: bytes = b"POST /stripe HTTP/1.1", *headers: bytes, body: bytes = b"") -> bytes:
    return b"\r\n".join([line, b"Host: webhook.example", *headers, b"", body])


CHUNKED = b"Transfer-Encoding: chunked"
MALFORMED = {
    "a chunk size that is no number": a_request(b"POST /stripe HTTP/1.1", CHUNKED, body=b"zz\r\n{}\r\n0\r\n\r\n"),
    "a negative chunk size": a_request(b"POST /stripe HTTP/1.1", CHUNKED, body=b"-2\r\n{}\r\n0\r\n\r\n"),
    "a chunk size with a sign": a_request(b"POST /stripe HTTP/1.1", CHUNKED, body=b"+2\r\n{}\r\n0\r\n\r\n"),
    "an empty chunk extension": a_request(b"POST /stripe HTTP/1.1", CHUNKED, body=b"2;\x01\r\n{}\r\n0\r\n\r\n"),
    "a chunk longer than its size": a_request(b"POST /stripe HTTP/1.1", CHUNKED, body=b"1\r\n{}\r\n0\r\n\r\n"),
    "an endless chunk size": a_request(b"POST /stripe HTTP/1.1", CHUNKED, body=b"f" * 3_000_000),
    "a chunk of sixteen exabytes": a_request(
        b"POST /stripe HTTP/1.1", CHUNKED, body=b"f" * 16 + b"\r\n" + b"x" * 2_000_000
    ),
    "endless trailers": a_request(b"POST /stripe HTTP/1.1", CHUNKED, body=b"0\r\n" + b"a: b\r\n" * 500_000),
    "a length that is no number": a_request(b"POST /stripe HTTP/1.1", b"Content-Length: two", body=b"{}"),
    "a negative length": a_request(b"POST /stripe HTTP/1.1", b"Content-Length: -2", body=b"{}"),
    "a length with a sign": a_request(b"POST /stripe HTTP/1.1", b"Content-Length: +2", body=b"{}"),
    "a length in other digits": a_request(b"POST /stripe HTTP/1.1", "Content-Length: ²".encode("latin-1"), body=b"{}"),
    "a length of five thousand digits": a_request(b"POST /stripe HTTP/1.1", b"Content-Length: " + b"9" * 5000),
    "two lengths": a_request(b"POST /stripe HTTP/1.1", b"Content-Length: 2", b"Content-Length: 3", body=b"{}"),
    "a coding that is not chunked": a_request(b"POST /stripe HTTP/1.1", b"Transfer-Encoding: gzip", body=b"{}"),
    "a coding that nobody knows": a_request(b"POST /stripe HTTP/1.1", b"Transfer-Encoding: \xff", body=b"{}"),
    "chunked, and then not": a_request(b"POST /stripe HTTP/1.1", b"Transfer-Encoding: chunked, gzip", body=b"{}"),
    "headers of a megabyte": a_request(b"POST /stripe HTTP/1.1", b"X: " + b"x" * (1 << 20)),
    "a hundred thousand headers": a_request(b"POST /stripe HTTP/1.1", *[b"X: y"] * 100_000),
    "a target of a megabyte": a_request(b"POST /" + b"x" * (1 << 20) + b" HTTP/1.1"),
    "a header without a colon": a_request(b"POST /stripe HTTP/1.1", b"nonsense"),
    "a header without a name": a_request(b"POST /stripe HTTP/1.1", b": value"),
    "a header with a NUL": a_request(b"POST /stripe HTTP/1.1", b"X: a\x00b"),
    "a bare carriage return": a_request(b"POST /stripe HTTP/1.1", b"X: a\rb"),
    "no request at all": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\r\n\r\n",
    "a method in small letters": a_request(b"post /stripe HTTP/1.1"),
    "a target that is no address": a_request(b"POST http://[::1 HTTP/1.1"),
    "a target of no address's characters": a_request("POST http://ⅷ℀/ HTTP/1.1".encode()),
    "an unknown version": a_request(b"POST /stripe HTTP/9.9 x"),
}
NO_LENGTH = b"Content-Length: 0"
UNUSUAL = {
    "a folded header": a_request(b"POST /stripe HTTP/1.1", b" folded"),
    "no target": a_request(b"POST HTTP/1.1"),
    "HTTP/1.0": a_request(b"POST /stripe HTTP/1.0", b"Content-Length: 2", body=b"{}"),
    "HTTP/2.0, said in HTTP/1": a_request(b"POST /stripe HTTP/2.0", b"Content-Length: 2", body=b"{}"),
    "no host": b"POST /stripe HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}",
    "two hosts": a_request(b"POST /stripe HTTP/1.1", b"Host: other", NO_LENGTH),
    "a host that is none": b'POST /stripe HTTP/1.1\r\nHost: a b<>"\xff:99999999\r\nContent-Length: 2\r\n\r\n{}',
    "a port that is none": b"POST /stripe HTTP/1.1\r\nHost: [::1]:x\r\nContent-Length: 2\r\n\r\n{}",
    "chunked, and a length": a_request(
        b"POST /stripe HTTP/1.1", CHUNKED, b"Content-Length: 90", body=b"2\r\n{}\r\n0\r\n\r\n"
    ),
    "an expectation": a_request(b"POST /stripe HTTP/1.1", b"Expect: 100-continue", b"Content-Length: 2", body=b"{}"),
    "an expectation that nobody knows": a_request(b"POST /stripe HTTP/1.1", b"Expect: money", NO_LENGTH),
    "an upgrade": a_request(
        b"POST /stripe HTTP/1.1", b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", NO_LENGTH
    ),
    "an absolute target": a_request(b"POST http://other.example/stripe?a=b HTTP/1.1", NO_LENGTH),
    "an authority for a target": a_request(b"CONNECT other.example:443 HTTP/1.1"),
    "an asterisk for a target": a_request(b"OPTIONS * HTTP/1.1"),
    "a method that nobody knows": a_request(b"BREW /stripe HTTP/1.1"),
    "a method of signs": a_request(b"!#$% /stripe HTTP/1.1"),
    "HEAD": a_request(b"HEAD /stripe HTTP/1.1"),
    "TRACE": a_request(b"TRACE /stripe HTTP/1.1"),
    "a path upwards": a_request(b"POST /../../etc/passwd HTTP/1.1", NO_LENGTH),
    "a path of slashes": a_request(b"POST //stripe//x/ HTTP/1.1", NO_LENGTH),
    "a path with a NUL": a_request(b"POST /stripe%00 HTTP/1.1", NO_LENGTH),
    "a path that is no UTF-8": a_request(b"POST /%ff%fe%ed%a0%80 HTTP/1.1", NO_LENGTH),
    "a path of raw bytes": a_request(b"POST /\xff\xfe HTTP/1.1", NO_LENGTH),
    "half an escape": a_request(b"POST /stripe%2 HTTP/1.1", NO_LENGTH),
    "an escape that is none": a_request(b"POST /%zz%u1234 HTTP/1.1", NO_LENGTH),
    "a line break in the path": a_request(b"POST /stripe%0d%0aX:y HTTP/1.1", NO_LENGTH),
    "a query of raw bytes": a_request(b"POST /stripe?\xff=\xfe&%ff=%fe HTTP/1.1", NO_LENGTH),
    "a challenge of raw bytes": a_request(b"GET /braintree?bt_challenge=\xff\xfe%00%ff HTTP/1.1"),
    "an endless challenge": a_request(b"GET /braintree?bt_challenge=" + b"f" * 60_000 + b" HTTP/1.1"),
    "a poke whose query is broken": a_request(
        b"POST /mercadopago?data.id=%ff&data.id=&&=%00 HTTP/1.1", b"x-signature: ts=\xff,v1=,,=", NO_LENGTH
    ),
    "headers that are not ASCII": a_request(
        b"POST /stripe HTTP/1.1", b"Stripe-Signature: t=\xff\xfe,v1=\xc3\xa9", b"traceparent: \xff", NO_LENGTH
    ),
    "a header twice": a_request(
        b"POST /stripe HTTP/1.1", b"Stripe-Signature: t=1", b"Stripe-Signature: t=2", NO_LENGTH
    ),
    "a signature of numbers that are too long": a_request(
        b"POST /stripe HTTP/1.1", b"Stripe-Signature: t=" + b"9" * 6000 + b",v1=a", NO_LENGTH
    ),
    "a type that is none": a_request(
        b"POST /stripe HTTP/1.1", b'Content-Type: multipart/form-data; boundary="\xff', b"Content-Length: 2", body=b"{}"
    ),
    "an encoding that is none": a_request(
        b"POST /stripe HTTP/1.1", b"Content-Encoding: gzip", b"Content-Length: 2", body=b"{}"
    ),
    "an execution's id": a_request(b"POST /stripe HTTP/1.1", b'Function-Execution-Id: \xff"\x09{}', NO_LENGTH),
    "a trace of another kind": a_request(b"POST /stripe HTTP/1.1", b"X-Cloud-Trace-Context: a/9;o=1", NO_LENGTH),
}


@pytest.mark.parametrize("raw", [pytest.param(raw, id=name) for name, raw in MALFORMED.items()])
def test_what_is_no_request_is_the_senders_turn_and_a_fact(raw: bytes, door: Door) -> None:
    before = len(door.lines())
    answer = door.say(raw, ends=True)
    assert _status(answer) in (400, 413, 431), answer
    assert answer.endswith(b"\r\n\r\n"), answer
    told = [json.loads(line) for line in door.lines()[before:]]
    assert [(one["event"], one["severity"], one["status"]) for one in told] == [
        ("request_refused", "INFO", _status(answer))
    ]


@pytest.mark.parametrize("raw", [pytest.param(raw, id=name) for name, raw in UNUSUAL.items()])
def test_no_stranger_makes_the_door_fail_or_raise_its_voice(raw: bytes, door: Door) -> None:
    before = len(door.lines())
    status = door.status(raw, ends=True)
    assert status is not None
    assert 300 <= status < 500
    assert [line for line in door.lines()[before:] if json.loads(line)["severity"] != "INFO"] == []


def test_no_stranger_makes_the_door_fail_whatever_bytes_he_turns(door: Door) -> None:
    chance = random.Random(22)
    before = len(door.lines())

    def turned(raw: bytes) -> bytes:
        torn = bytearray(raw[:4000])
        for _ in range(chance.randint(1, 6)):
            at = chance.randrange(len(torn))
            match chance.randrange(4):
                case 0:
                    torn[at] = chance.randrange(256)
                case 1:
                    del torn[at : at + chance.randint(1, 9)]
                case 2:
                    torn[at:at] = chance.choice([b"\r\n", b"\x00", b": ", b"%", b"\xff" * 3, b" ", b"0\r\n\r\n"])
                case _:
                    torn += torn[at : at + 30]
            if not torn:
                break
        return bytes(torn)

    asked = [turned(chance.choice([*MALFORMED.values(), *UNUSUAL.values()])) for _ in range(600)]
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda raw: (raw, door.say(raw, ends=True)), asked))
    assert [(raw, answer) for raw, answer in answers if b"HTTP/1.1 5" in answer or b"HTTP/1.0 5" in answer] == []
    assert [line for line in door.lines()[before:] if not line.startswith('{"severity":"INFO"')] == []
    assert door.serves() < 5


@pytest.mark.parametrize("cut", [1, 20, 400])
def test_a_body_that_ends_early_is_asked_for_again_and_not_kept(cut: int, door: Door) -> None:
    door.stored()
    simulator = loading.load("mercadopago", 1, door.home)
    poke = {"action": "payment.updated", "id": cut, "x": "y" * 500, "type": "payment", "data": {"id": "123"}}
    body = json.dumps(poke).encode()
    signed = simulator.sign(body, datetime.now(UTC))
    whole = a_post(signed.path, body, dict(signed.headers))
    assert door.status(whole[:-cut], ends=True) == 400
    assert door.stored() == []
    assert door.status(whole) == 200
    assert len(door.stored()) == 1


@pytest.mark.slow
def test_slow_senders_hold_no_thread_and_are_sent_away_in_time(door: Door) -> None:
    slow = [
        a_post("/stripe", b"{", {}, length=1000),  # a body that stops
        a_request(b"POST /stripe HTTP/1.1", CHUNKED, body=b"5\r\n{"),  # a chunk that does
        b"POST /stripe HTTP/1.1\r\nHost: webh",  # headers that do
        a_request(b"GET /braintree?bt_challenge=x HTTP/1.1", b"Content-Length: 90", body=b"x"),
        a_post("/stripe", b"", {"Expect": "100-continue"}, length=10),
    ]
    before = len(door.lines())
    began = time.monotonic()
    senders = [socket.create_connection(door.address) for _ in range(5 * THREADS * len(slow))]
    for number, sender in enumerate(senders):
        sender.sendall(slow[number % len(slow)])
    trickling = [
        (one, slow[number % len(slow)]) for number, one in enumerate(senders) if number % len(slow) in (0, 2, 3)
    ]
    while time.monotonic() - began < server.WITHIN - 2:
        assert door.serves() < 2
        for sender, raw in trickling:
            sender.sendall(b"\r\nX: y" if raw == slow[2] else b"x")
        time.sleep(1)
    for sender in senders:
        sender.settimeout(max(began + server.WITHIN + 4 - time.monotonic(), 0.1))
        answer = b""
        while more := sender.recv(1000):
            answer += more
        sender.close()
        assert _status(answer) == 408
    told = [json.loads(line) for line in door.lines()[before:]]
    assert len([one for one in told if one.get("reason") == "too_slow"]) == len(senders)
    assert {one["severity"] for one in told} == {"INFO"}


@pytest.mark.slow
def test_who_connects_and_says_nothing_is_sent_away_in_time_too(door: Door) -> None:
    """As many as the door takes at all: the next one waits outside until they are gone."""
    before = len(door.lines())
    silent = [socket.create_connection(door.address, timeout=30) for _ in range(server.MOST_CONNECTIONS)]
    began = time.monotonic()
    try:
        assert door.serves(within=server.WITHIN + 5) < server.WITHIN + 5
        for one in silent[: server.MOST_CONNECTIONS // 2]:
            one.settimeout(max(began + server.WITHIN + 5 - time.monotonic(), 0.1))
            assert one.recv(1) == b""
    finally:
        for one in silent:
            one.close()
    assert [line for line in door.lines()[before:] if json.loads(line)["severity"] != "INFO"] == []


def test_no_path_holds_more_than_its_limit(door: Door) -> None:
    door.serves()
    before = door.memory()
    lines = [b"GET /braintree?bt_challenge=x", b"GET /stripe", b"POST /nobody", b"PUT /stripe", b"POST /stripe"]
    announced = f"Content-Length: {32 << 20}".encode()
    chunks = (b"100000\r\n" + b"x" * (1 << 20) + b"\r\n") * 32 + b"0\r\n\r\n"
    asked = [a_request(line + b" HTTP/1.1", announced, body=b"x" * (32 << 20)) for line in lines]
    asked += [a_request(line + b" HTTP/1.1", CHUNKED, body=chunks) for line in lines]
    with ThreadPoolExecutor(10) as pool:
        statuses = list(pool.map(lambda number: door.status(asked[number % len(asked)]), range(40)))
    assert set(statuses) <= {413, None}
    assert door.memory() - before < 100 << 20
    # Up to the limit it is read, in one piece and in chunks.
    assert door.status(a_post("/stripe", b"x" * LARGEST, {})) == 401
    chunk = b"10000\r\n" + b"x" * (1 << 16) + b"\r\n"
    assert door.status(a_request(b"POST /stripe HTTP/1.1", CHUNKED, body=chunk * 16 + b"0\r\n\r\n")) == 401
    assert door.status(a_request(b"POST /stripe HTTP/1.1", CHUNKED, body=chunk * 16 + b"1\r\nx\r\n0\r\n\r\n")) == 413


def test_a_connection_is_kept_for_the_next_request(door: Door) -> None:
    with socket.create_connection(door.address, timeout=10) as sender:
        for _ in range(3):
            sender.sendall(a_post("/stripe", b"{}", {}))
            assert _status(_answer(sender)) == 401


def test_a_server_that_is_told_to_stop_ends_what_it_has_in_hand(tmp_path: Path) -> None:
    main = tmp_path / "main.py"
    main.write_text(
        "import time\nimport functions_framework\nfrom shared.runtime import entry\n"
        "def slowly(asked):\n    print('begun', flush=True)\n    time.sleep(1)\n    return 'done'\n"
        "handle = entry.start('slow', lambda app: entry.on_call(slowly))\n"
        "@functions_framework.http\ndef slow(request):\n    return handle(request)\n"
    )
    command = [sys.executable, "-m", "functions_framework", "--source", str(main), "--target", "slow"]
    started = servers.start(
        "slow",
        lambda port: [*command, "--port", str(port)],
        tmp_path / "log",
        _listens,
        environment={"PYTHONPATH": str(ROOT), "PAYIN_HOME": str(tmp_path)},
    )
    host, port = started.address.split(":")
    with ThreadPoolExecutor(1) as pool, socket.create_connection((host, int(port)), timeout=10) as sender:
        sender.sendall(a_post("/", b"", {}))
        until = time.monotonic() + 5
        while "begun" not in (tmp_path / "log").read_text() and time.monotonic() < until:
            time.sleep(0.02)
        stopped = pool.submit(started.stop)
        assert _answer(sender).endswith(b'"done"')
        stopped.result(10)


def test_an_acknowledgement_without_a_body_keeps_the_connection_too(tmp_path: Path) -> None:
    main = ROOT / "functions/record_payment/main.py"
    command = [sys.executable, "-m", "functions_framework", "--source", str(main), "--target", "record_payment"]
    started = servers.start(
        "record_payment",
        lambda port: [*command, "--port", str(port)],
        tmp_path / "log",
        _listens,
        environment={"PYTHONPATH": str(ROOT), "PAYIN_HOME": str(tmp_path)},
    )
    host, port = started.address.split(":")
    pushed = pushed_payment("1")
    try:
        with socket.create_connection((host, int(port)), timeout=10) as sender:
            for _ in range(3):
                sender.sendall(a_post(pushed.path, pushed.body, pushed.headers))
                assert _status(_answer(sender)) == 204
            sender.sendall(a_post(pushed.path, pushed.body, {**pushed.headers, "Connection": "close"}))
            assert _status(_answer(sender)) == 204
            assert sender.recv(1) == b""
    finally:
        started.stop()
