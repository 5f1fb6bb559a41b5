"""What was given up is seen by what it has in common, published again where it came from, or dropped for a reason."""

import json
from collections.abc import Sequence
from datetime import timedelta
from typing import cast

import pytest

from shared.backends.local.bus import LocalBus
from shared.domain.errors import Misconfigured, Rejected
from shared.flows.audit import Errand, records
from shared.flows.ports import Message, Ports, Pulled
from shared.operations.dead_letters import dead_letters, drop, requeue
from tests.builders import MINUTE, NOON

LETTERS = {"dead-letter-record-payment": "payment-events", "dead-letter-track-dispute": "payment-events"}
NAMES = tuple(LETTERS)


def diagnose(_: str, pulled: Pulled) -> str:
    return "no_name" if b"nameless" in pulled.data else "goes through now"


def errand(what: str) -> Errand:
    return Errand(who="ana", why="the adapter is mended", what=what, at=NOON)


@pytest.fixture
def bus(ports: Ports) -> LocalBus:
    """Two consumers that give up at once, and their dead letters."""
    bus = cast(LocalBus, ports.bus)
    for name, kind in zip(NAMES, ("payment", "dispute"), strict=True):
        bus.subscribe(f"{name}-stripe", "payment-events", f'attributes.kind = "{kind}"', 1, name)
        bus.subscribe(name, name)
    return bus


def give_up(bus: LocalBus, *bodies: bytes, kind: str = "payment") -> None:
    name = f"dead-letter-{'record-payment' if kind == 'payment' else 'track-dispute'}-stripe"
    told = [
        Message("payment-events", body, {"kind": kind, "provider": "stripe", "event_id": f"evt_{number}"})
        for number, body in enumerate(bodies)
    ]
    bus.publish(told)
    bus.nack(name, [one.ack_id for one in bus.pull(name, 100, 60)])
    assert bus.pull(name, 100, 60) == []


def look(bus: LocalBus) -> Sequence[tuple[str, str, str, int, str]]:
    found = dead_letters(bus, NAMES, diagnose).groups
    return [(one.letters, one.kind, one.reason, one.count, one.example) for one in found]


def test_letters_are_told_by_what_they_have_in_common_and_stay(ports: Ports, bus: LocalBus) -> None:
    give_up(bus, b"nameless 1", b"whole", b"nameless 2")
    give_up(bus, b"whole", kind="dispute")
    told = [
        ("dead-letter-record-payment", "payment", "no_name", 2, "evt_0"),
        ("dead-letter-record-payment", "payment", "goes through now", 1, "evt_1"),
        ("dead-letter-track-dispute", "dispute", "goes through now", 1, "evt_0"),
    ]
    for _ in range(2):
        found = look(bus)
        assert found[0] == told[0]
        assert sorted(found) == sorted(told)
    [first, *_] = dead_letters(bus, NAMES, diagnose).groups
    assert (first.source, first.provider) == ("dead-letter-record-payment-stripe", "stripe")
    assert first.first <= first.last
    assert first.last - first.first < timedelta(minutes=1)


def test_one_group_is_published_again_as_it_was_and_the_others_stay(ports: Ports, bus: LocalBus) -> None:
    give_up(bus, b'{"n": "nameless"}', b'{"n": 1}', b'{"n": 2}')
    before = len(bus.pull("payment-events", 10, 60))
    [group] = [one for one in dead_letters(bus, NAMES, diagnose).groups if one.reason == "goes through now"]
    done = requeue(bus, bus, ports.documents, LETTERS, group.fingerprint, diagnose, errand("requeue"))
    assert done.count == 2
    assert (before, [json.loads(one.data)["n"] for one in bus.pull("payment-events", 10, 60)]) == (3, [1, 2])
    again = bus.pull("dead-letter-record-payment-stripe", 10, 60)
    assert [set(one.attributes) for one in again] == [{"kind", "provider", "event_id"}] * 2
    assert [one[2:4] for one in look(bus)] == [("no_name", 1)]
    [told] = records(ports.documents, NOON - MINUTE, 10)
    assert (told.who, told.why, told.what) == ("ana", "the adapter is mended", "requeue")
    assert told.outcome == "2 published again"
    assert [one.name for one in told.changes] == [f"dead-letter-record-payment:evt_{n}" for n in (1, 2)]


def test_one_group_is_dropped_and_its_ids_are_kept(ports: Ports, bus: LocalBus) -> None:
    give_up(bus, b"nameless", b"whole")
    [group] = [one for one in dead_letters(bus, NAMES, diagnose).groups if one.reason == "no_name"]
    drop(bus, ports.documents, NAMES, group.fingerprint, diagnose, errand("drop"))
    assert [one[2:4] for one in look(bus)] == [("goes through now", 1)]
    [told] = records(ports.documents, NOON - MINUTE, 10)
    assert told.outcome == "1 dropped"
    assert told.changes[0].name == "dead-letter-record-payment:evt_0"


def test_what_nobody_calls_so_is_not_touched(ports: Ports, bus: LocalBus) -> None:
    give_up(bus, b"whole")
    with pytest.raises(Rejected, match="cafebabe"):
        requeue(bus, bus, ports.documents, LETTERS, "cafebabe", diagnose, errand("requeue"))
    with pytest.raises(Rejected, match="cafebabe"):
        drop(bus, ports.documents, NAMES, "cafebabe", diagnose, errand("drop"))
    assert [one[3] for one in look(bus)] == [1]
    assert records(ports.documents, NOON - MINUTE, 10) == []


def test_a_diagnosis_that_fails_loses_no_letter(ports: Ports, bus: LocalBus) -> None:
    give_up(bus, b"whole")

    def failing(*_: object) -> str:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        dead_letters(bus, NAMES, failing)
    assert [one[3] for one in look(bus)] == [1]


def test_a_subscription_that_is_missing_hides_none_of_the_others(ports: Ports, bus: LocalBus) -> None:
    give_up(bus, b"whole")
    names = ("dead-letter-of-nobody", *NAMES)
    found = dead_letters(bus, names, diagnose)
    assert [(one.letters, one.count) for one in found.groups] == [("dead-letter-record-payment", 1)]
    assert found.unseen == {"dead-letter-of-nobody": "there is no subscription dead-letter-of-nobody"}
    topics = {**LETTERS, "dead-letter-of-nobody": "payment-events"}
    [group] = found.groups
    assert requeue(bus, bus, ports.documents, topics, group.fingerprint, diagnose, errand("requeue")).count == 1
    with pytest.raises(Misconfigured, match="dead-letter-of-nobody"):
        dead_letters(bus, names[:1], diagnose)
