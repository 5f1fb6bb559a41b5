"""The stand-in for push subscriptions: delivers, tries again, gives up into dead letters."""

import base64
import json
import re
import threading
import time
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
from tests.stack import topology
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
    bus = LocalBus(Database(f"sqlite:///{file}"))
    bus.subscribe(name, "topic", "", 3, "dead")
    bus.subscribe("dead", "dead")
    with delivering(bus, file, {name: url}):
        yield bus


@contextmanager
def delivering(bus: LocalBus, file: Path, urls: dict[str, str]) -> Iterator[None]:
    watch = Watch(str(file), urls)
    pushers = [Pusher(bus, name, url, watch) for name, url in urls.items()]
    threads = [threading.Thread(target=run) for run in (watch.run, *(pusher.run for pusher in pushers))]
    for thread in threads:
        thread.start()
    try:
        yield
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


def an_event(provider: str, kind: str, name: str, **more: str) -> Message:
    return Message("payment-events", name.encode(), {"provider": provider, "kind": kind, **more})


def wait_until(happened: Callable[[], bool]) -> None:
    until = time.monotonic() + 30
    while not happened():
        assert time.monotonic() < until, "it did not happen"
        time.sleep(0.01)


def test_a_flood_at_one_provider_delays_no_others_message_and_no_dispute(tmp_path: Path) -> None:
    arrived: dict[tuple[str, str], float] = {}
    decision, dispute = ("score-payment-adyen", "decision"), ("track-dispute-stripe", "dispute")

    def slowly(pushed: dict[str, Any]) -> int:
        time.sleep(0.02)
        name = base64.b64decode(pushed["message"]["data"]).decode()
        arrived[pushed["subscription"].rpartition("/")[2], name] = time.monotonic()
        return 204

    flooded = ("score_payment", "track_dispute")
    bus = LocalBus(Database(f"sqlite:///{tmp_path / 'db'}"))
    with a_function(slowly) as (url, _):
        urls = {}
        for own in topology.pushed(["stripe", "adyen"]):
            if own.function in flooded:
                bus.subscribe(own.name, own.topic, own.whole_filter, topology.TRIES, own.dead_letters)
                urls[own.name] = url
        steps = ("captured", "refunded")
        bus.publish([an_event("stripe", "payment", f"flood {n}", step=steps[n % 2]) for n in range(800)])
        with delivering(bus, tmp_path / "db", urls):
            wait_until(lambda: len(arrived) >= 10)
            published = time.monotonic()
            bus.publish(
                [an_event("adyen", "payment", "decision", step="captured"), an_event("stripe", "dispute", "dispute")]
            )
            wait_until(lambda: {decision, dispute} <= set(arrived))
            left = bus.backlog("score-payment-stripe"), bus.backlog("track-dispute-refunds-stripe")
    assert min(left) > 200, "the flood must still be under way"
    assert max(arrived[decision], arrived[dispute]) - published < 0.6


def test_a_laptop_gives_up_where_the_cloud_does() -> None:
    messaging = (topology.ROOT / "terraform" / "messaging.tf").read_text()
    assert re.findall(r"^  tries += (\d+)$", messaging, re.MULTILINE) == [str(topology.TRIES)]
    assert topology.dead_letters() == [
        *(f"dead-letter-{name}" for name in ("fetch-resource", "record-payment", "score-payment", "track-dispute")),
        *(
            f"dead-letter-{name}"
            for name in (
                "keep-evidence",
                "check-deadlines",
                "respond-dispute",
                "explain-payouts",
                "train-model",
                "monitor-model",
                "reconcile",
                "watch-traffic",
                "watch-providers",
                "erase",
            )
        ),
        *(
            f"dead-letter-warehouse-{topic}"
            for topic in (
                "deliveries",
                "payment-events",
                "fraud-decisions",
                "fraud-labels",
                "dispute-updates",
                "model-health",
                "provider-traffic",
                "payouts",
            )
        ),
    ]
