"""What each provider that tells of our endpoint says of it, asked over HTTP, and what of it calls somebody."""

import json
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from shared import settings
from shared.domain.api import ApiAnswer, ApiCredentials, ApiRequest
from shared.domain.errors import Unavailable
from shared.domain.provider_endpoints import ToldEndpoint, differences, is_same
from shared.domain.telemetry import told_instead
from shared.flows.apis import Api
from shared.flows.ports import Ports
from shared.flows.subscriptions import EndpointReader, Listening, listening, look
from shared.providers import load, load_endpoint, names
from shared.runtime.apis import Apis
from tests.builders import DAY, NOON
from tests.local import local_ports
from tests.simulator.apis import serving
from tests.simulator.endpoints import TOLD, Console, as_it_should_be
from tests.simulator.providers.shaping import ApiReply

URL = "https://hooks.shop.example/{}"
OLDER = {"square": "2024-01-18", "stripe": "2025-04-30.basil", "adyen": "soap"}


def reader(name: str) -> EndpointReader:
    found: EndpointReader | None = load_endpoint(name)
    assert found is not None
    return found


TELLING = [name for name in names() if load_endpoint(name) is not None]


@dataclass
class World:
    """A provider beside our side, which looks once a day."""

    name: str
    ports: Ports
    console: Console
    told: list[tuple[str, Mapping[str, Any]]] = field(default_factory=list)
    days: int = 0

    @property
    def url(self) -> str:
        return URL.format(self.name)

    def enter(self, **changes: Any) -> None:
        """Our endpoint, entered as it has to be, but for `changes`."""
        self.console.endpoints.append(replace(as_it_should_be(self.name, self.url), **changes))

    def look(self, reply: ApiReply | None = None, *, livemode: bool = False) -> list[str]:
        """The alarms of a day, in words."""
        heard: list[str] = []

        def listen(level: int, event: str, fields: Mapping[str, Any]) -> None:
            self.told.append((event, fields))
            if level >= 40:
                heard.append(f"{event}: {fields.get('differences', fields.get('reason'))}")

        self.days += 1
        with asking(self.name, self.console, reply) as apis, told_instead(listen):
            look(
                {self.name: reader(self.name)},
                {self.name: self.url},
                apis,
                self.ports,
                NOON + self.days * DAY,
                livemode=livemode,
            )
        return heard

    @property
    def found(self) -> Listening | None:
        return listening(self.ports.documents, [self.name]).get(self.name)


@contextmanager
def asking(name: str, console: Console, reply: ApiReply | None) -> Iterator[Callable[[EndpointReader], Api]]:
    with serving(console.answer if reply is None else lambda *_: reply) as api:
        yield Apis(settings.read(api.environment(name)))


@pytest.fixture(params=TELLING)
def world(request: pytest.FixtureRequest, tmp_path: Any) -> World:
    return World(request.param, local_ports(tmp_path), Console(request.param))


def test_each_provider_that_tells_is_simulated() -> None:
    assert sorted(TOLD) == TELLING


def test_where_all_that_we_follow_is_sent_nobody_is_called(world: World) -> None:
    world.enter(url="https://others.example/")
    world.enter()
    assert world.look() == []
    assert world.found == Listening(NOON + DAY)
    assert world.told[-2][0] == "subscriptions_read"


def test_what_is_followed_is_what_the_adapter_has_in_its_tables(world: World) -> None:
    provider: Any = load(world.name)
    followed = set(reader(world.name).FOLLOWED)
    traits = provider.TRAITS
    counted = {*traits.payments, *traits.refunds, *traits.disputes, *traits.warnings}
    assert followed <= counted | {*getattr(provider, "TYPES", ()), *getattr(provider, "CODES", ())}
    # What is told of a payment, a refund, a dispute or a warning under a name that can be subscribed to today.
    former = {"RISK.DISPUTE.CREATED", "dispute.state.changed", "dispute.evidence.added", "dispute.evidence.removed"}
    assert counted - former <= followed


def test_a_type_that_is_followed_and_not_sent_is_named(world: World) -> None:
    lost = sorted(reader(world.name).FOLLOWED)[0]
    world.enter(types=[f"-{lost}"] if world.name == "adyen" else {*reader(world.name).FOLLOWED} - {lost})
    assert world.look() == [f"subscription_drifted: does not send {lost}"]
    assert world.found is not None
    assert world.found.differences == (f"does not send {lost}",)
    # A second endpoint may send it.
    world.enter(types=[] if world.name == "adyen" else [lost])
    assert world.look() == []
    assert world.found == Listening(NOON + 2 * DAY)


def test_an_endpoint_that_is_switched_off_or_gone_calls_somebody(world: World) -> None:
    assert "none is ours" in " ".join(world.look())
    world.enter(enabled=False)
    [said] = world.look()
    assert ("none is ours" if world.name == "paypal" else "is switched off") in said
    world.enter()
    assert world.look() == []


def test_all_is_all(world: World) -> None:
    if world.name in ("stripe", "paypal"):
        world.enter(types=["*"])
        assert world.look() == []


@pytest.mark.parametrize("world", [name for name in TELLING if name in OLDER], indirect=True)
def test_another_version_of_its_api_calls_somebody(world: World) -> None:
    world.enter(version=OLDER[world.name])
    [said] = world.look()
    assert f"writes in version {OLDER[world.name].rpartition('.')[2]}" in said


def test_every_page_is_read(world: World) -> None:
    world.console.page = 2
    for number in range(4):
        world.enter(url=f"https://others.example/{number}")
    world.enter()
    assert world.look() == []


def test_of_stripe_thin_events_count_as_well_and_endpoints_of_the_other_mode_do_not(tmp_path: Any) -> None:
    world = World("stripe", local_ports(tmp_path), Console("stripe", page=1))
    world.enter(thin=True, url="https://others.example/")
    world.enter(thin=True)
    assert world.look() == []
    assert "none is ours" in " ".join(world.look(livemode=True))


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_provider_that_refuses_us_calls_somebody_and_keeps_what_was_found(world: World, status: int) -> None:
    world.enter()
    world.look()
    before = world.found
    [said] = world.look(ApiReply(status, b"{}"))
    assert before is not None
    assert world.found is not None
    assert said.startswith("subscriptions_unread" if world.name != "paypal" else "fetch_refused")
    assert replace(world.found, unanswered_since=None) == before


@pytest.mark.parametrize("body", [b"", b"[]", b"null", b'{"data": [{}], "webhooks": [{"event_types": [{}]}]}'])
def test_an_answer_in_another_form_breaks_nothing(world: World, body: bytes) -> None:
    heard = world.look(ApiReply(200, body))
    assert len(heard) == 1
    assert "a-key-of-ours" not in str(world.told)


def test_a_provider_without_a_key_or_in_trouble_is_asked_again_tomorrow(ports: Ports) -> None:
    told: list[tuple[str, Any]] = []

    class Down:
        def credentials(self, *, livemode: bool) -> ApiCredentials:
            raise Unavailable("down", reason="provider_unavailable")

        def send(self, request: ApiRequest, *, once: bool = False) -> ApiAnswer:
            raise AssertionError("nobody is asked without credentials")

    with told_instead(lambda level, event, fields: told.append((event, fields.get("reason")))):
        urls, readers = {"stripe": URL.format("stripe")}, {"stripe": reader("stripe")}
        look(readers, urls, Apis(settings.read({})), ports, NOON, livemode=True)
        look(readers, urls, lambda _: Down(), ports, NOON, livemode=True)
    assert told[::2] == [
        ("subscriptions_not_asked", "missing_secret"),
        ("subscriptions_not_asked", "provider_unavailable"),
    ]
    assert listening(ports.documents, ["stripe"]) == {"stripe": Listening(None, (), NOON)}


def test_a_provider_that_never_answers_calls_somebody_until_it_does(tmp_path: Any) -> None:
    world = World("stripe", local_ports(tmp_path), Console("stripe"))
    world.enter()
    assert world.look() == []
    down = ApiReply(503, b"")
    assert world.look(down) == world.look(down) == []
    assert world.found == Listening(NOON + DAY, (), NOON + 2 * DAY), "what was found before stands"
    assert world.look(down) == ["subscriptions_unanswered: provider_unavailable"]
    assert world.look(down) == ["subscriptions_unanswered: provider_unavailable"]
    assert world.look() == []
    assert world.found == Listening(NOON + 6 * DAY)
    assert world.look(down) == []


def test_a_run_says_how_many_were_asked_and_how_many_answered(tmp_path: Any) -> None:
    world = World("stripe", local_ports(tmp_path), Console("stripe"))
    world.enter()
    world.look()
    assert world.told[-1] == ("subscriptions_asked", {"providers": 1, "read": 1})
    world.look(ApiReply(503, b""))
    assert world.told[-1] == ("subscriptions_asked", {"providers": 1, "read": 0})


@pytest.fixture
def ports(tmp_path: Any) -> Ports:
    return local_ports(tmp_path)


# Which endpoint is ours


OURS = "https://webhook-stripe-300000000003.europe-west1.run.app/stripe"


@pytest.mark.parametrize(
    ("told", "same"),
    [
        (OURS, True),
        (f"{OURS}/", True),
        ("https://webhook-stripe-x4fzq3kqpa-ew.a.run.app/stripe", True),
        ("https://webhook-adyen-x4fzq3kqpa-ew.a.run.app/stripe", False),
        ("https://webhook-stripe-x4fzq3kqpa-ew.a.run.app/adyen", False),
        ("https://webhook-stripe.example/stripe", False),
        ("https://hooks.shop.example/stripe", False),
        ("", False),
        ("no address", False),
    ],
)
def test_our_endpoint_is_known_by_either_address_of_its_service(told: str, same: bool) -> None:
    assert is_same(OURS, told) is same


def test_two_addresses_without_a_service_are_the_same_only_where_they_are_equal() -> None:
    assert is_same("https://hooks.shop.example/stripe", "https://hooks.shop.example/stripe")
    assert not is_same("https://hooks.shop.example/stripe", "https://other.shop.example/stripe")


def test_an_older_endpoint_that_is_off_is_no_matter_beside_one_that_is_on() -> None:
    def one(enabled: bool, types: Collection[str]) -> ToldEndpoint:
        return ToldEndpoint(url=OURS, enabled=enabled, state="off", types=frozenset(types))

    assert differences(OURS, [one(False, "ab"), one(True, "ab")], "ab", ()) == ()
    assert differences(OURS, [one(False, "ab"), one(True, "a")], "ab", ()) == ("does not send b",)
    assert json.dumps(differences(OURS, [one(False, "ab")], "ab", ())) == '["our endpoint is switched off: off"]'
