"""Canaries that are heard, that are not, and that nobody was to hear."""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.domain.canaries import HEADER, derived, prove, sign
from shared.domain.delivery import Delivery
from shared.domain.events import CanarySent
from shared.domain.pseudonyms import DEVELOPMENT
from shared.domain.telemetry import told_instead
from shared.flows.canaries import SEVERAL, SLOW, UNHEARD, hear, heard, watch
from shared.flows.ports import Documents, Ports
from shared.flows.receive_canary import receive_canary
from shared.flows.record_payment import record_payment
from shared.flows.score_payment import score_payment
from shared.flows.scorer import Scorer
from shared.flows.track_dispute import track_dispute
from shared.operations.provider_health import health
from tests.builders import MINUTE, NOON, SECOND
from tests.cli.shop import Shop, a_shop, run_for_days
from tests.local import everything, wipe

KEYS = derived(DEVELOPMENT)
URLS = {"adyen": "https://hooks.example/adyen", "stripe": "https://hooks.example/stripe"}


@dataclass
class World:
    """Webhooks that take canaries, and deliver them after a while; those in `deaf` are lost on their way."""

    ports: Ports
    now: datetime = NOON
    takes: timedelta = SECOND
    deaf: Collection[str] = ()
    parked: Collection[str] = ()
    sent: list[str] = field(default_factory=list)
    told: list[tuple[str, Mapping[str, Any]]] = field(default_factory=list)

    def post(self, letters: Mapping[str, tuple[str, bytes, Mapping[str, str]]]) -> dict[str, int]:
        for name, (url, body, headers) in letters.items():
            assert url == URLS[name]
            proved = prove(KEYS, Delivery(name, body, headers, self.now))
            self.sent.append(name)
            if name not in self.deaf:
                hear(a_canary(name, proved.sent_at), self.ports.documents, self.now + self.takes)
        return dict.fromkeys(letters, 204)

    def tick(self, later: timedelta = MINUTE) -> list[tuple[str, str]]:
        """The alarms of the next tick, each with its provider."""
        self.now += later
        heard: list[tuple[str, str]] = []

        def listen(level: int, event: str, fields: Mapping[str, Any]) -> None:
            self.told.append((event, fields))
            if level >= 40:
                heard.append((event, fields["provider"]))

        with told_instead(listen):
            watch(URLS, self.who_is_parked, KEYS, self.post, self.ports, self.now)
        return heard

    def who_is_parked(self, _: Documents, providers: Sequence[str]) -> Collection[str]:
        return set(self.parked) & set(providers)


@pytest.fixture
def world(ports: Ports) -> World:
    return World(ports)


def a_canary(provider: str = "stripe", at: datetime = NOON) -> CanarySent:
    return CanarySent(
        event_id=f"{provider}:main:canary-{at:%H%M%S%f}", provider=provider, account="main", occurred_at=at
    )


def minutes(time: timedelta) -> int:
    return int(time / MINUTE)


def test_while_canaries_are_heard_nobody_is_called(world: World) -> None:
    assert [alarm for _ in range(12) for alarm in world.tick()] == []
    assert world.sent == ["adyen", "stripe"] * 12
    last = heard(world.ports.documents, ["adyen", "stripe", "paypal"])
    assert {name: one.seconds for name, one in last.items()} == {"adyen": 1.0, "stripe": 1.0}
    assert last["stripe"].sent_at == world.now


def test_of_the_provider_whose_canaries_are_lost_somebody_is_called_after_some_minutes(world: World) -> None:
    world.tick()
    world.deaf = ["adyen"]
    silent = [world.tick() for _ in range(minutes(UNHEARD) + 2)]
    assert silent[: minutes(UNHEARD)] == [[]] * minutes(UNHEARD)
    assert silent[-1] == [("canary_unheard", "adyen")]
    world.deaf = []
    world.tick()
    assert world.tick() == []


def test_a_provider_that_was_never_heard_is_missed_as_soon(world: World) -> None:
    world.deaf = ["adyen", "stripe"]
    assert [len(world.tick()) for _ in range(minutes(UNHEARD) + 2)] == [0] * minutes(UNHEARD) + [2, 2]


def test_a_parked_provider_is_sent_none_and_missed_only_from_when_it_goes_on(world: World) -> None:
    world.tick()
    world.parked = ["stripe"]
    world.sent.clear()
    assert [alarm for _ in range(60) for alarm in world.tick()] == []
    assert set(world.sent) == {"adyen"}
    world.parked = []
    assert [alarm for _ in range(10) for alarm in world.tick()] == []
    assert "stripe" in world.sent


def test_nobody_is_called_for_what_was_never_sent(world: World) -> None:
    world.tick()
    assert world.tick(60 * MINUTE) == []
    assert world.tick() == []
    world.deaf = ["stripe"]
    assert world.tick(3 * MINUTE) == []


@pytest.mark.parametrize("every", [2 * MINUTE, 4 * MINUTE, 10 * MINUTE])
def test_a_sender_that_ticks_slowly_misses_what_is_not_heard_as_well(world: World, every: timedelta) -> None:
    assert [alarm for _ in range(4) for alarm in world.tick(every)] == []
    world.deaf = ["adyen"]
    ticks = [world.tick(every) for _ in range(8)]
    assert ticks[-1] == [("canary_unheard", "adyen")]
    # Of several in a row nothing was heard, and for some minutes.
    assert [bool(alarms) for alarms in ticks] == [False] * SEVERAL + [True] * 5
    world.deaf = []
    assert len(world.tick(every)) == 1
    assert world.tick(every) == []


def test_one_that_was_lost_before_a_pause_of_the_sender_calls_nobody(world: World) -> None:
    world.tick()
    world.deaf = ["adyen", "stripe"]
    world.tick()
    assert world.tick(60 * MINUTE) == []
    world.deaf = []
    assert [alarm for _ in range(10) for alarm in world.tick()] == []


def test_a_canary_that_takes_long_calls_somebody_until_one_is_quick(world: World) -> None:
    world.takes = SLOW + SECOND
    world.tick()
    assert world.tick() == [("canary_slow", "adyen"), ("canary_slow", "stripe")]
    world.takes = SLOW
    world.tick()
    assert world.tick() == []


def test_a_refused_canary_is_told_with_its_status(world: World) -> None:
    def refusing(letters: Mapping[str, Any]) -> dict[str, int]:
        return dict.fromkeys(letters, 503)

    told: list[tuple[str, Any]] = []
    with told_instead(lambda _, event, fields: told.append((event, fields.get("status")))):
        watch(URLS, world.who_is_parked, KEYS, refusing, world.ports, NOON)
    assert told == [("canary_refused", 503), ("canary_refused", 503), ("canaries_watched", None)]


@settings(max_examples=25, deadline=None)
@given(st.permutations(range(5)), st.lists(st.integers(0, 4), max_size=4))
def test_in_any_order_and_however_often_the_newest_stands_as_it_was_first_heard(
    shared_ports: Ports, order: list[int], again: list[int]
) -> None:
    wipe(shared_ports, ("canaries",))
    newest_heard = None
    for place, number in enumerate([*order, *again]):
        now = NOON + 10 * MINUTE + place * SECOND
        if number == 4 and newest_heard is None:
            newest_heard = now
        hear(a_canary(at=NOON + number * MINUTE), shared_ports.documents, now)
    [one] = heard(shared_ports.documents, ["stripe"]).values()
    assert (one.sent_at, one.heard_at) == (NOON + 4 * MINUTE, newest_heard)


# Kept out of everything

OTHERS = ("payments", "payment_aliases", "disputes", "cases", "decisions", "feature_state", "registry", "reviews")
TABLES = ("deliveries", "payment_events", "fraud_decisions", "fraud_labels", "dispute_updates")


class Watched(Shop):
    """A shop through whose webhooks canaries go before each thing that happens, as often as `canaries` says."""

    canaries: Sequence[int] = ()

    def tell(self, *arguments: Any, **named: Any) -> None:
        times, self.canaries = (self.canaries[0], self.canaries[1:]) if self.canaries else (1, ())
        for provider in self.served:
            for number in range(times):
                body = json.dumps({"canary": number}).encode()
                sealed = Delivery(provider, body, {HEADER: sign(KEYS, provider, body, self.now)}, self.now)
                receive_canary(sealed, self.kit(provider).credentials, KEYS, self.ports.bus)
        super().tell(*arguments, **named)


def seen(shop: Shop) -> tuple[Any, ...]:
    """Every document but the canaries' own, every row, and what people are told of providers."""
    documents = everything(shop.ports, OTHERS)
    rows = {
        table: sorted(
            json.dumps(row, default=str, sort_keys=True) for row in shop.ports.warehouse.query(f"SELECT * FROM {table}")
        )
        for table in TABLES
    }
    healthy = health(shop.ports.warehouse, shop.served, shop.now - timedelta(days=1), shop.now + timedelta(days=1))
    return documents, rows, healthy


@settings(max_examples=2, deadline=None)
@given(canaries=st.lists(st.integers(0, 3), min_size=5, max_size=5))
def test_a_canary_changes_no_document_no_row_and_no_count(
    canaries: list[int], tmp_path_factory: pytest.TempPathFactory
) -> None:
    plain = a_shop(tmp_path_factory.mktemp("plain") / "home")
    watched = play(tmp_path_factory.mktemp("watched") / "home", canaries)
    assert seen(watched) == seen(plain)
    assert heard(plain.ports.documents, plain.served) == {}
    assert bool(heard(watched.ports.documents, watched.served)) is any(canaries)


def play(home: Path, canaries: Sequence[int]) -> Shop:
    watched = Watched(home)
    watched.canaries = canaries
    return run_for_days(watched)


def test_a_canary_goes_by_every_consumer_of_events_and_leaves_no_trace(ports: Ports) -> None:
    score_payment(a_canary(), ports, NOON, Scorer(use_model=False))
    track_dispute(a_canary(), ports, NOON)
    assert everything(ports, (*OTHERS, "canaries")) == {}
    record_payment(a_canary(), ports, NOON)
    assert everything(ports, OTHERS) == {}
