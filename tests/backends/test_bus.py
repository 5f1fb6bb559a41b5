"""The bus: what is published is there for every subscription; the local one also behaves as Pub/Sub's subscriptions do."""

import hashlib
import json
import threading
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from shared.backends.gcp.bus import BY_PROVIDER, PubSubBus, address
from shared.backends.local.bus import LocalBus
from shared.backends.local.filters import compiled
from shared.backends.local.sql import Database
from shared.domain.errors import Misconfigured, Unavailable
from shared.flows.ports import Bus, Message
from shared.providers import names
from tests.stack.servers import free_port
from tests.stack.topology import ROOT, topics

pytestmark = pytest.mark.filterwarnings("ignore:The return_immediately")

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
LATER = datetime(2100, 1, 1, tzinfo=UTC)

Read = Callable[[str], list[tuple[bytes, dict[str, str]]]]


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def bus(request: pytest.FixtureRequest, tmp_path: Path) -> LocalBus:
    if request.param == "sqlite":
        return LocalBus(Database(f"sqlite:///{tmp_path}/bus.sqlite"))
    return LocalBus(Database(request.getfixturevalue("postgres_url")))


@pytest.fixture
def topic() -> str:
    return f"t{uuid.uuid4().hex}"


@pytest.fixture(
    params=[
        "sqlite",
        pytest.param("postgresql", marks=pytest.mark.postgres),
        pytest.param("gcp", marks=pytest.mark.emulators),
    ]
)
def published(request: pytest.FixtureRequest, tmp_path: Path, topic: str) -> Iterator[tuple[Bus, Read]]:
    """A bus with the topics `topic` and `topic`-2, and how to read what has arrived in one."""
    if request.param != "gcp":
        url = f"sqlite:///{tmp_path}/bus.sqlite"
        local = LocalBus(Database(url if request.param == "sqlite" else request.getfixturevalue("postgres_url")))
        for name in (topic, f"{topic}-2"):
            local.subscribe(name, name)

        def read(name: str) -> list[tuple[bytes, dict[str, str]]]:
            pulled = local.pull(name, 5000, 60)
            return [(one.data, dict(one.attributes)) for one in pulled]

        yield local, read
        return

    import grpc
    from google.cloud import pubsub_v1  # type: ignore[attr-defined]
    from google.pubsub_v1.services.publisher.transports import PublisherGrpcTransport
    from google.pubsub_v1.services.subscriber.transports import SubscriberGrpcTransport

    emulator = request.getfixturevalue("pubsub_emulator")
    project = f"payin-{uuid.uuid4().hex[:12]}"
    with grpc.insecure_channel(emulator, options=[("grpc.max_receive_message_length", -1)]) as channel:
        publisher = pubsub_v1.PublisherClient(transport=PublisherGrpcTransport(channel=channel))
        subscriber = pubsub_v1.SubscriberClient(transport=SubscriberGrpcTransport(channel=channel))
        for name in (topic, f"{topic}-2"):
            path = publisher.topic_path(project, name)
            publisher.create_topic(name=path)
            subscriber.create_subscription(name=subscriber.subscription_path(project, name), topic=path)

        def pull(name: str) -> list[tuple[bytes, dict[str, str]]]:
            found: list[tuple[bytes, dict[str, str]]] = []
            subscription = subscriber.subscription_path(project, name)
            # There is no waiting for what is not there, for a publish returns when all of it is.
            ask = {"subscription": subscription, "max_messages": 1000, "return_immediately": True}
            while batch := subscriber.pull(request=ask).received_messages:
                found += [(one.message.data, dict(one.message.attributes)) for one in batch]
                subscriber.acknowledge(subscription=subscription, ack_ids=[one.ack_id for one in batch])
            return found

        yield PubSubBus(project, emulator), pull


def test_what_is_published_is_there_when_publish_returns(published: tuple[Bus, Read], topic: str) -> None:
    bus, read = published
    bus.publish(
        [
            Message(topic, b"\x00\xffraw", {"kind": "payment", "note": "ünï\"code'"}),
            Message(f"{topic}-2", b"{}", {}),
            Message(topic, b"second"),
        ]
    )
    assert sorted(read(topic)) == [(b"\x00\xffraw", {"kind": "payment", "note": "ünï\"code'"}), (b"second", {})]
    assert read(f"{topic}-2") == [(b"{}", {})]


def test_an_attribute_that_pubsub_would_refuse_travels_as_its_digest(published: tuple[Bus, Read], topic: str) -> None:
    bus, read = published
    fits, long = "é" * 512, "é" * 512 + "x"
    bus.publish([Message(topic, b"{}", {"fits": fits, "long": long})])
    [(_, attributes)] = read(topic)
    assert attributes == {"fits": fits, "long": f"sha256-{hashlib.sha256(long.encode()).hexdigest()}"}


def test_publishing_nothing_is_no_work(published: tuple[Bus, Read]) -> None:
    published[0].publish([])


def test_many_and_large_messages_are_all_taken(published: tuple[Bus, Read], topic: str) -> None:
    bus, read = published
    bus.publish([Message(topic, f"{n}".encode(), {"n": f"{n}"}) for n in range(1, 2100)])
    bus.publish([Message(f"{topic}-2", bytes([n]) * 1_400_000, {"n": f"{n}"}) for n in range(1, 9)])
    assert sorted(int(data) for data, _ in read(topic)) == list(range(1, 2100))
    assert sorted(data[0] for data, _ in read(f"{topic}-2")) == list(range(1, 9))


def test_publishing_from_many_threads_loses_nothing(published: tuple[Bus, Read], topic: str) -> None:
    bus, read = published
    with ThreadPoolExecutor(20) as threads:
        list(threads.map(lambda n: bus.publish([Message(topic, b"%d" % n), Message(f"{topic}-2", b"x")]), range(100)))
    assert sorted(int(data) for data, _ in read(topic)) == list(range(100))
    assert len(read(f"{topic}-2")) == 100


@pytest.mark.emulators
def test_each_provider_has_the_topics_of_its_own_that_the_topology_says() -> None:
    assert json.loads((ROOT / "functions" / "topology.json").read_text())["by_provider"] == sorted(BY_PROVIDER)
    for provider in names():
        message = Message("payment-events", b"{}", {"provider": provider})
        assert address(message) in topics([provider])
        assert address(message) not in topics([other for other in names() if other != provider])
    assert address(Message("ticks", b"{}", {"job": "check_deadlines"})) == "ticks"


def test_a_topic_that_does_not_exist_is_not_published_to(pubsub_emulator: str) -> None:
    with pytest.raises(Unavailable, match="404"):
        PubSubBus("payin-none", pubsub_emulator).publish([Message("none", b"x")])


def test_a_bus_that_is_gone_is_unavailable_within_ten_seconds() -> None:
    begun = datetime.now(UTC)
    with pytest.raises(Unavailable):
        PubSubBus("payin", f"127.0.0.1:{free_port()}").publish([Message("a", b"x"), Message("b", b"x")])
    assert datetime.now(UTC) - begun < timedelta(seconds=10)


@pytest.mark.parametrize(
    "answer",
    [
        *(b"", b"{}", b"[]", b"\xff", b"<html>ok</html>", b'{"messageIds": "12"}', b'{"messageIds": ["1"]}'),
        *(b'{"messageIds": ["1", ""]}', b'{"messageIds": ["1", "1"]}', b'{"messageIds": ["1", "2", "3"]}'),
    ],
)
def test_a_publish_is_confirmed_by_one_id_a_message_and_by_nothing_else(answer: bytes) -> None:
    with answering(answer) as host:
        with pytest.raises(Unavailable) as refused:
            PubSubBus("payin", host).publish([Message("a", b"x"), Message("a", b"y")])
        assert refused.value.reason == "publish_unconfirmed"
    with answering(b'{"messageIds": ["1", "2"], "kind": "new"}') as host:
        PubSubBus("payin", host).publish([Message("a", b"x"), Message("a", b"y")])


@contextmanager
def answering(body: bytes) -> Iterator[str]:
    """A server that answers every POST with 200 and `body`."""

    class Always(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            self.send_response(200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its own word
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Always) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()


# Subscriptions of the local bus


def test_every_subscription_gets_what_passes_its_filter(bus: LocalBus, topic: str) -> None:
    bus.subscribe(f"{topic}-all", topic)
    bus.subscribe(f"{topic}-payments", topic, 'attributes.kind = "payment"')
    bus.publish([Message(topic, b"1", {"kind": "payment"}), Message(topic, b"2", {"kind": "dispute"})])
    everything, payments = bus.pull(f"{topic}-all", 9, 60), bus.pull(f"{topic}-payments", 9, 60)
    assert [one.data for one in everything] == [b"1", b"2"]
    assert [one.data for one in payments] == [b"1"]
    assert everything[0].message_id == payments[0].message_id


def test_an_acknowledged_message_is_gone_and_a_leased_one_hides(bus: LocalBus, topic: str) -> None:
    bus.subscribe(topic, topic)
    bus.publish([Message(topic, b"1"), Message(topic, b"2")])
    [first] = bus.pull(topic, 1, 60)
    [second] = bus.pull(topic, 9, 60)
    assert bus.pull(topic, 9, 60) == []
    assert bus.backlog(topic) == 2
    bus.ack(topic, [first.ack_id, second.ack_id])
    assert bus.backlog(topic) == 0


def test_a_lease_that_ran_out_is_another_attempt_and_its_late_acknowledgement_is_worth_nothing(
    bus: LocalBus, topic: str
) -> None:
    bus.subscribe(topic, topic)
    bus.publish([Message(topic, b"1")])
    [first] = bus.pull(topic, 9, 10, LATER)
    assert bus.pull(topic, 9, 10, LATER + timedelta(seconds=9)) == []
    [again] = bus.pull(topic, 9, 10, LATER + timedelta(seconds=10))
    assert (first.attempt, again.attempt) == (1, 2)
    bus.ack(topic, [first.ack_id])
    assert bus.backlog(topic) == 1
    bus.ack(topic, [again.ack_id])
    assert bus.backlog(topic) == 0


def test_a_refused_message_comes_back_after_its_delay(bus: LocalBus, topic: str) -> None:
    bus.subscribe(topic, topic)
    bus.publish([Message(topic, b"1")])
    [pulled] = bus.pull(topic, 9, 60, LATER)
    bus.nack(topic, [pulled.ack_id], 5, LATER)
    assert bus.pull(topic, 9, 60, LATER + timedelta(seconds=4)) == []
    assert len(bus.pull(topic, 9, 60, LATER + timedelta(seconds=5))) == 1


def test_a_message_that_fails_too_often_moves_to_the_dead_letters(bus: LocalBus, topic: str) -> None:
    bus.subscribe(topic, topic, "", 3, f"{topic}-dead")
    bus.subscribe(f"{topic}-dead", f"{topic}-dead")
    bus.publish([Message(topic, b"bad", {"kind": "payment"}), Message(topic, b"good")])
    for attempt in (1, 2, 3):
        bad, *good = bus.pull(topic, 9, 60, LATER)
        assert bad.attempt == attempt
        bus.nack(topic, [bad.ack_id], 0, LATER)
        bus.ack(topic, [one.ack_id for one in good])
    assert bus.pull(topic, 9, 60, LATER) == []
    assert bus.backlog(topic) == 0
    [dead] = bus.pull(f"{topic}-dead", 9, 60, LATER)
    assert dead.data == b"bad"
    assert dead.attributes["kind"] == "payment"
    assert dead.attributes["CloudPubSubDeadLetterSourceDeliveryCount"] == "3"
    assert dead.attributes["CloudPubSubDeadLetterSourceSubscription"] == topic


def test_subscribers_at_once_never_get_the_same_message(bus: LocalBus, topic: str) -> None:
    bus.subscribe(topic, topic)
    bus.publish([Message(topic, b"%d" % n) for n in range(200)])
    with ThreadPoolExecutor(8) as threads:
        pulled = [one for batch in threads.map(lambda _: bus.pull(topic, 10, 60), range(40)) for one in batch]
    assert sorted(int(one.data) for one in pulled) == sorted({int(one.data) for one in pulled})
    assert len(pulled) == 200


def test_a_subscription_can_be_changed(bus: LocalBus, topic: str) -> None:
    bus.subscribe(topic, topic)
    bus.subscribe(topic, topic, 'attributes.kind = "payment"')
    bus.publish([Message(topic, b"1", {"kind": "dispute"})])
    assert bus.backlog(topic) == 0
    with pytest.raises(Misconfigured):
        bus.subscribe(topic, topic, "nonsense")


# Filters


@pytest.mark.parametrize(
    ("filter", "passes"),
    [
        ("", True),
        ('attributes.kind = "payment"', True),
        ('attributes.kind="dispute"', False),
        ('attributes.missing = ""', False),
        ("attributes:kind", True),
        ("attributes:missing", False),
        ('hasPrefix(attributes.kind, "pay")', True),
        ('hasPrefix( attributes.kind , "ay" )', False),
        ('attributes.kind = "dispute" OR attributes.step = "refunded"', True),
        ('attributes.kind = "payment" AND attributes.step = "captured"', False),
        ('NOT attributes.kind = "payment"', False),
        ('NOT attributes.kind = "x" AND attributes:step', True),
        ('(attributes.kind = "x" OR attributes:step) AND NOT (attributes:no OR attributes:never)', True),
        (r'attributes.quoted = "a\"b\\c"', True),
        ('attributes.kind = "a OR b" OR attributes.step = "refunded"', True),
    ],
)
def test_a_filter_reads_as_pubsub_reads_it(filter: str, passes: bool) -> None:  # noqa: A002
    assert compiled(filter)({"kind": "payment", "step": "refunded", "quoted": 'a"b\\c'}) is passes


@pytest.mark.parametrize(
    "filter",
    [
        "kind",
        "attributes.kind",
        'attributes.kind = payment"',
        "attributes.kind = 'payment'",
        '(attributes.kind = "a"',
        'attributes.kind = "a")',
        'attributes.kind = "a" attributes.kind = "b"',
        'attributes.kind = "a" AND',
        "NOT",
        'attributes.a = "1" AND attributes.b = "2" OR attributes.c = "3"',
        'attributes.kind = "a" and attributes.kind = "b"',
    ],
)
def test_a_filter_that_pubsub_would_refuse_is_refused(filter: str) -> None:  # noqa: A002
    with pytest.raises(Misconfigured):
        compiled(filter)


@hypothesis_settings(max_examples=200, deadline=None)
@given(st.text(st.sampled_from('abk.=" ()ANDORT,\\:'), max_size=30))
def test_any_text_is_a_filter_or_refused(text: str) -> None:
    with suppress(Misconfigured):
        assert compiled(text)({}) in (True, False)
