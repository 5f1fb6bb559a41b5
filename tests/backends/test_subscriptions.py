"""What waits in subscriptions, taken by people's tools: the local bus and Pub/Sub's emulator by the same words."""

import threading
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import urllib3

from shared.backends.gcp.bus import PubSubBus
from shared.backends.gcp.subscriptions import PubSubSubscriptions
from shared.backends.local.bus import LocalBus
from shared.backends.local.sql import Database
from shared.domain.errors import Misconfigured
from shared.flows.ports import Bus, Message, Pulled, Subscriptions
from shared.operations.dead_letters import dead_letters


@dataclass
class Place:
    """A topic, and a subscription to it of the same name that is pushed to somebody who takes nothing."""

    bus: Bus
    subscriptions: Subscriptions
    name: str

    def publish(self, *texts: str) -> None:
        self.bus.publish([Message(self.name, text.encode(), {"n": text}) for text in texts])

    def take(self, count: int) -> list[Pulled]:
        """What waits, until `count` are here: Pub/Sub may give them in portions."""
        found: list[Pulled] = []
        until = time.monotonic() + 20
        while len(found) < count and time.monotonic() < until:
            found += self.subscriptions.take(self.name, 100)
        return found


@pytest.fixture(
    params=[
        "sqlite",
        pytest.param("postgresql", marks=pytest.mark.postgres),
        pytest.param("gcp", marks=pytest.mark.emulators),
    ]
)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    name = f"t{uuid.uuid4().hex}"
    if request.param != "gcp":
        url = f"sqlite:///{tmp_path}/bus.sqlite"
        local = LocalBus(Database(url if request.param == "sqlite" else request.getfixturevalue("postgres_url")))
        local.subscribe(name, name)
        yield Place(local, local, name)
        return
    emulator, project = request.getfixturevalue("pubsub_emulator"), f"payin-{uuid.uuid4().hex[:12]}"
    refusing = ThreadingHTTPServer(("127.0.0.1", 0), _Refusing)
    threading.Thread(target=refusing.serve_forever, daemon=True).start()
    made: dict[str, dict[str, Any]] = {
        f"topics/{name}": {},
        f"subscriptions/{name}": {
            "topic": f"projects/{project}/topics/{name}",
            "pushConfig": {"pushEndpoint": f"http://127.0.0.1:{refusing.server_port}/"},
        },
    }
    for path, body in made.items():
        assert urllib3.request("PUT", f"http://{emulator}/v1/projects/{project}/{path}", json=body).status == 200
    yield Place(PubSubBus(project, emulator), PubSubSubscriptions(project, emulator, patience=1.0), name)
    refusing.shutdown()


class _Refusing(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        self.send_response(503)
        self.end_headers()

    def log_message(self, *_: Any) -> None: ...


def test_nothing_is_pushed_where_that_was_stopped_and_everything_waits_until_it_goes_on(place: Place) -> None:
    where = place.subscriptions.pushed_to(place.name)
    assert where is not None
    for _ in range(2):
        place.subscriptions.push_to(place.name, None)
        assert place.subscriptions.pushed_to(place.name) is None
    place.publish("a", "b", "c")
    if isinstance(place.bus, LocalBus):
        assert place.bus.pull(place.name, 10, 60) == []
    found = place.take(3)
    assert {one.data for one in found} == {b"a", b"b", b"c"}
    assert {one.attributes["n"] for one in found} == {"a", "b", "c"}
    place.subscriptions.give_back(place.name, [one.ack_id for one in found])
    again = place.take(3)
    assert {one.message_id for one in again} == {one.message_id for one in found}
    assert all(one.published_at.utcoffset() is not None for one in again)
    place.subscriptions.ack(place.name, [one.ack_id for one in again])
    assert place.subscriptions.take(place.name, 10) == []
    for _ in range(2):
        place.subscriptions.push_to(place.name, where)
        assert place.subscriptions.pushed_to(place.name) == where
    place.publish("d")
    if isinstance(place.bus, LocalBus):
        assert [one.data for one in place.bus.pull(place.name, 10, 60)] == [b"d"]


def test_dead_letters_are_looked_at_and_stay(place: Place) -> None:
    place.subscriptions.push_to(place.name, None)
    place.publish("a", "b")
    for _ in range(2):
        [group] = dead_letters(place.subscriptions, [place.name], lambda *_: "malformed_message").groups
        assert (group.count, group.reason, group.letters) == (2, "malformed_message", place.name)


def test_a_subscription_that_is_not_there_is_named(place: Place) -> None:
    for ask in (
        lambda: place.subscriptions.take("nobody", 1),
        lambda: place.subscriptions.pushed_to("nobody"),
        lambda: place.subscriptions.push_to("nobody", None),
    ):
        with pytest.raises(Misconfigured, match="nobody"):
            ask()
