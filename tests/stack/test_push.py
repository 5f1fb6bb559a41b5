"""The stand-in for push subscriptions: delivers, tries again, gives up into dead letters."""

import base64
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from shared.backends.local.bus import LocalBus
from shared.backends.local.sql import Database
from shared.flows.ports import Message
from tests.stack import push as push_module
from tests.stack.push import Pusher, Watch


@contextmanager
def a_function(answer: Callable[[dict[str, Any]], int]) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """An HTTP server that answers pushes with `answer`'s status, and what it was pushed."""
    got: list[dict[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            pushed = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            got.append(pushed)
            self.send_response(answer(pushed))
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/", got
    finally:
        server.shutdown()
        server.server_close()


@contextmanager
def pushing(file: Path, name: str, url: str) -> Iterator[LocalBus]:
    bus, watch = LocalBus(Database(f"sqlite:///{file}")), Watch(str(file), ["own"])
    bus.subscribe(name, "topic", "", 3, "dead")
    bus.subscribe("dead", "dead")
    threads = [threading.Thread(target=watch.run), threading.Thread(target=Pusher(bus, name, url, watch).run)]
    for thread in threads:
        thread.start()
    try:
        yield bus
    finally:
        watch.stop()
        for thread in threads:
            thread.join(10)


def rests(bus: LocalBus, name: str) -> None:
    for _ in range(1000):
        if bus.backlog(name) == 0:
            return
        threading.Event().wait(0.01)
    pytest.fail("messages do not drain")


def test_a_push_has_the_form_of_pub_sub(tmp_path: Path) -> None:
    with a_function(lambda _: 204) as (url, got), pushing(tmp_path / "db", "own", url) as bus:
        bus.publish([Message("topic", b'{"a":1}', {"kind": "payment"})])
        rests(bus, "own")
    [pushed] = got
    assert base64.b64decode(pushed["message"]["data"]) == b'{"a":1}'
    assert pushed["message"]["attributes"] == {"kind": "payment"}
    assert pushed["message"]["messageId"]
    assert pushed["message"]["publishTime"].endswith("Z")
    assert pushed["subscription"].endswith("/own")


def test_a_refused_message_is_pushed_again_until_it_is_taken(tmp_path: Path) -> None:
    answers = iter([503, 500])
    with a_function(lambda _: next(answers, 204)) as (url, got), pushing(tmp_path / "db", "own", url) as bus:
        bus.publish([Message("topic", b"{}")])
        rests(bus, "own")
    assert len(got) == 3
    assert len({one["message"]["messageId"] for one in got}) == 1


def test_a_message_that_is_never_taken_ends_among_the_dead_letters(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(push_module, "LONGEST_WAIT", 0.01)
    with a_function(lambda _: 400) as (url, got), pushing(tmp_path / "db", "own", url) as bus:
        bus.publish([Message("topic", b'{"bad":true}')])
        rests(bus, "own")
        [dead] = bus.pull("dead", 10, 60)
    assert len(got) == 3
    assert dead.data == b'{"bad":true}'


def test_a_function_that_is_down_gets_its_messages_when_it_is_back(tmp_path: Path) -> None:
    with a_function(lambda _: 204) as (url, _):
        pass
    with pushing(tmp_path / "db", "own", url) as bus:
        bus.subscribe("own", "topic")  # no dead letters: tried for ever
        bus.publish([Message("topic", b"{}")])
        threading.Event().wait(0.3)
        assert bus.backlog("own") == 1
