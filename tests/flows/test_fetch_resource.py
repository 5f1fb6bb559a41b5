"""Pokes become full events: read back over real HTTP from APIs that the simulators answer."""

import dataclasses
import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest

from shared import providers, settings
from shared.domain.codec import decode_event
from shared.domain.errors import Unavailable, Unreadable
from shared.domain.events import AnyEvent, PaymentChanged, PaymentStep, ResourceChanged
from shared.flows.fetch_resource import SETTLES_WITHIN, fetch_resource
from shared.flows.ports import Message
from shared.runtime.apis import Apis, fetcher
from tests.providers.kits import NOON, Kit, a_fact, a_kit
from tests.simulator.apis import SimulatedApi, serving
from tests.simulator.facts import FactKind
from tests.simulator.providers.shaping import ApiReply

POKES = [name for name in providers.names() if providers.load_api(name)]


class Published:
    """A bus that keeps what it is given."""

    def __init__(self) -> None:
        self.messages: list[Message] = []

    def publish(self, messages: Any) -> None:
        self.messages.extend(messages)

    @property
    def events(self) -> list[AnyEvent]:
        return [decode_event(message.data) for message in self.messages]


@dataclass
class World:
    kit: Kit
    api: SimulatedApi
    apis: Apis
    bus: Published = field(default_factory=Published)

    def fetch(self, event: AnyEvent, now: datetime = NOON) -> list[AnyEvent]:
        """What is published for `event` and, as subscriptions do, for every poke among that."""
        before = len(self.bus.messages)
        fetch_resource(event, fetcher, self.apis, self.bus, now)
        told: list[AnyEvent] = []
        for one in self.bus.events[before:]:
            told.extend(self.fetch(one, now) if isinstance(one, ResourceChanged) else [one])
        return told


@pytest.fixture(params=POKES)
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    kit = a_kit(request.param, tmp_path)
    simulator = cast(Any, kit.simulator)
    with serving(simulator.answer) as api:
        secrets = {f"API_{request.param.upper()}": json.dumps({"key": "a-key-of-ours", "base_url": api.url})}
        apis = Apis(settings.read(secrets))
        # Where the key is exchanged for a token, that was done before: what follows is about the object.
        apis(kit.fetcher).credentials(livemode=False)
        api.asked.clear()
        yield World(kit, api, apis)


def first_poke(world: World) -> ResourceChanged:
    return world.kit.pokes(FactKind.CAPTURED)[0]


def test_a_poke_becomes_the_payment_that_it_is_about(world: World) -> None:
    told = world.fetch(first_poke(world))
    (captured,) = (one for one in told if isinstance(one, PaymentChanged) and one.step is PaymentStep.CAPTURED)
    assert captured.amount == a_fact(FactKind.CAPTURED).attempt.amount
    assert captured.account == first_poke(world).account
    kinds = {message.attributes["kind"] for message in world.bus.messages}
    assert "payment" in kinds


def test_the_same_poke_twice_publishes_the_same_bytes(world: World) -> None:
    poke = first_poke(world)
    world.fetch(poke)
    once = list(world.bus.messages)
    world.fetch(poke)
    assert world.bus.messages == once * 2


@pytest.mark.parametrize("world", [name for name in POKES if name != "gocardless"], indirect=True)
def test_another_poke_about_the_same_state_is_the_same_events(world: World) -> None:
    # GoCardless' say what happened, and each has its own id.
    poke = first_poke(world)
    other = dataclasses.replace(poke, event_id=f"{poke.event_id}-again", delivery_id="another")
    ids = [[event.event_id for event in world.fetch(one)] for one in (poke, other)]
    assert ids[0] == ids[1] != []


def test_what_is_no_poke_is_left_alone(world: World) -> None:
    (told, *_) = world.fetch(first_poke(world))
    asked = list(world.api.asked)
    assert world.fetch(told) == []
    assert world.api.asked == asked


def test_an_object_that_is_not_there_yet_is_asked_for_again_and_later_given_up(world: World) -> None:
    poke = first_poke(world)
    poke = dataclasses.replace(poke, resource_id=poke.resource_id[:-1] + ("2" if poke.resource_id[-1] == "1" else "1"))
    asked_at = poke.occurred_at
    with pytest.raises(Unavailable, match="yet"):
        world.fetch(poke, asked_at + timedelta(seconds=5))
    assert world.fetch(poke, asked_at + SETTLES_WITHIN) == []
    assert world.bus.messages == []


@pytest.mark.parametrize("status", [401, 403, 302, 418])
def test_a_refusal_keeps_the_poke_until_a_person_acted(world: World, status: int) -> None:
    poke = first_poke(world)
    world.api.troubles = [ApiReply(status)]
    with pytest.raises(Unavailable, match=str(status)):
        world.fetch(poke)
    assert world.fetch(poke)


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b"<html>", b'{"id": "another"}', b'{"a":' * 200], ids=str)
def test_an_answer_that_cannot_be_read_is_for_a_person(world: World, body: bytes) -> None:
    poke = first_poke(world)
    world.api.troubles = [ApiReply(200, body)]
    with pytest.raises(Unreadable):
        world.fetch(poke)
    assert world.bus.messages == []


def test_a_word_that_an_object_has_and_no_table_is_told_and_counted(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    poke = first_poke(world)
    path = next(
        path
        for path in fetcher(world.kit.provider.NAME).RESOURCE_WORDS[poke.resource]
        if path.lower().endswith(("status", "state"))
    )
    thing = json.loads(world.kit.answered(poke))
    parent = thing
    for step in path.split(".")[:-1]:
        parent = parent[step]
    parent[path.split(".")[-1]] = "invented"
    world.api.troubles = [ApiReply(200, json.dumps(thing).encode())]
    with caplog.at_level("INFO", logger="payin"), suppress(Unreadable):
        world.fetch(poke)
    (fields,) = (vars(record)["fields"] for record in caplog.records if record.getMessage() == "unmapped")
    assert (fields["provider"], fields["type"]) == (world.kit.provider.NAME, poke.resource)
    assert (fields["count"], fields["paths"]) == (1, f"{path}=invented")


@pytest.mark.parametrize("own", ["../v2/x", "a/b", "x?y=1", "x#y", "é", "x" * 2000, " ", "a b"])
def test_an_id_that_would_change_the_address_asks_nobody(world: World, own: str) -> None:
    with pytest.raises(Unreadable):
        world.fetch(dataclasses.replace(first_poke(world), resource_id=own))
    assert world.api.asked == []


def test_a_kind_of_object_that_we_do_not_know_asks_nobody(world: World) -> None:
    with pytest.raises(Unreadable):
        world.fetch(dataclasses.replace(first_poke(world), resource="../admin"))
    assert world.api.asked == []


# The objects of the others do not say their mode: their test data is at another address.
@pytest.mark.parametrize(
    "world", [name for name in POKES if name not in ("gocardless", "klarna", "paypal", "square")], indirect=True
)
def test_test_data_at_a_live_endpoint_is_never_published(world: World) -> None:
    assert world.fetch(dataclasses.replace(first_poke(world), livemode=True)) == []


def test_an_object_of_a_time_that_nobody_proved_is_not_waited_for(world: World) -> None:
    poke = first_poke(world)
    poke = dataclasses.replace(poke, resource_id=poke.resource_id[:-1] + ("2" if poke.resource_id[-1] == "1" else "1"))
    assert world.fetch(poke, poke.occurred_at - timedelta(days=3650)) == []


def test_our_key_is_in_no_event(world: World) -> None:
    world.fetch(first_poke(world))
    assert all(b"a-key-of-ours" not in message.data for message in world.bus.messages)
