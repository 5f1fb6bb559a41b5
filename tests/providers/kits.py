"""A provider with its simulator, its settings as our endpoint reads them, and deliveries on demand."""

import importlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path, PurePosixPath
from typing import Any, cast
from urllib.parse import urlsplit

from shared import providers, settings
from shared.domain.api import ApiCredentials, ApiRequest
from shared.domain.delivery import Credentials, Delivery, Verdict
from shared.domain.errors import Unavailable
from shared.domain.events import AnyEvent, ResourceChanged
from shared.domain.money import Money
from shared.flows.apis import Exchanger
from shared.flows.fetch_resource import Fetcher
from shared.providers.kit.protocol import Normalized, Provider
from tests.simulator.facts import (
    Attempt,
    Fact,
    FactKind,
    ProviderSimulator,
    SignedRequest,
    SimulatedCard,
    SimulatedDispute,
)

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
SAMPLES = Path(__file__).resolve().parents[2].parent / "shared" / "samples"


def an_attempt(**changes: Any) -> Attempt:
    card = SimulatedCard(token="card-1", bin="424242", last4="4242", network="visa", country="US")
    attempt = Attempt(
        id="attempt-1",
        provider="any",
        at=NOON,
        amount=Money(1999, "EUR"),
        customer="customer-1",
        email="ana@music.example",
        card=card,
        device="device-1",
        ip="198.51.100.7",
        cvv_matches=True,
        three_d_secure=True,
    )
    return replace(attempt, **changes)


def a_dispute(**changes: Any) -> SimulatedDispute:
    return replace(SimulatedDispute(id="dispute-1", respond_by=NOON + timedelta(days=9)), **changes)


def a_fact(kind: FactKind, attempt: Attempt | None = None, **changes: Any) -> Fact:
    attempt = attempt or an_attempt(decline_code="stolen_card" if kind is FactKind.DECLINED else None)
    return Fact(**{"kind": kind, "attempt": attempt, "at": NOON, "refund_id": "r1", "dispute": a_dispute(), **changes})


@dataclass(frozen=True)
class Kit:
    provider: Provider
    simulator: ProviderSimulator
    credentials: Credentials
    folder: Path
    api: Fetcher | None

    @property
    def fetcher(self) -> Fetcher:
        """How the provider's objects are read back, of one whose objects are."""
        assert self.api is not None, f"nothing of {self.provider.NAME} is read back"
        return self.api

    def fetch(self, url: str) -> bytes:
        try:
            return (self.folder / f"{PurePosixPath(urlsplit(url).path).name}.pem").read_bytes()
        except OSError as error:
            raise Unavailable("no such certificate") from error

    def bodies(self) -> list[bytes]:
        """One body of everything that this provider tells."""
        return [body for kind in FactKind for body in self.simulator.requests(a_fact(kind))]

    def delivery(self, request: SignedRequest, received_at: datetime = NOON) -> Delivery:
        headers = {name.lower(): value for name, value in request.headers.items()}
        path, _, query = request.path.partition("?")
        return Delivery(self.provider.NAME, request.body, headers, received_at, path, query)

    def opened(self, body: bytes) -> Any:
        """What is in a delivery's body, as nested objects and lists. A simulator whose bodies are not JSON says how."""
        return getattr(self.simulator, "opened", json.loads)(body)

    def sealed(self, value: Any) -> bytes:
        """The other way round; whatever signature was in the body stays as it is in `value`."""
        return getattr(self.simulator, "sealed", lambda tree: json.dumps(tree).encode())(value)

    def changed(self, body: bytes, path: "Path_", change: Callable[[Any], Any]) -> bytes:
        """`body` with the leaf at `path` changed."""
        whole = self.opened(body)
        parent = whole
        for step in path[:-1]:
            parent = parent[step]
        parent[path[-1]] = change(parent[path[-1]])
        return self.sealed(whole)

    def signed(self, body: bytes, at: datetime = NOON, received_at: datetime | None = None) -> Delivery:
        return self.delivery(self.simulator.sign(body, at), received_at or at)

    def verify(self, delivery: Delivery, credentials: Credentials | None = None) -> Verdict:
        return self.provider.verify(delivery, credentials or self.credentials, self.fetch)

    def normalize(self, delivery: Delivery, verdict: Verdict) -> Normalized:
        return self.provider.normalize(delivery, verdict, self.credentials)

    def events(self, fact: Fact) -> list[AnyEvent]:
        """What our side understands of `fact`, all the way through signature and translation."""
        found: list[AnyEvent] = []
        for body in self.simulator.requests(fact):
            delivery = self.signed(body)
            normalized = self.normalize(delivery, self.verify(delivery))
            assert not normalized.unreadable, normalized.unreadable
            found.extend(told for event in normalized.events for told in self.told(event))
        return found

    def pokes(self, kind: FactKind) -> list[ResourceChanged]:
        """What our webhook publishes for `kind` that has to be read back."""
        simulator = cast(Any, self.simulator)
        if hasattr(simulator, "pushes"):
            deliveries = [self.delivery(request) for request in simulator.pushes(a_fact(kind))]
        else:
            deliveries = [self.signed(body) for body in simulator.requests(a_fact(kind))]
        found = [event for one in deliveries for event in self.normalize(one, self.verify(one)).events]
        return [poke for poke in found if isinstance(poke, ResourceChanged)]

    def told(self, event: AnyEvent) -> list[AnyEvent]:
        """What `event` means: for a poke, what the object behind it says, read back from the provider's API."""
        if not isinstance(event, ResourceChanged) or self.api is None:
            return [event]
        read = self.api.read_resource(event, self.answered(event))
        return [more for one in read for more in self.told(one)]

    def answered(self, poke: ResourceChanged) -> bytes:
        """What the provider's API says of the object behind `poke`."""
        api = ApiCredentials(key="a-key-of-ours")
        if hasattr(self.fetcher, "token_request"):
            exchanger = cast(Exchanger, self.fetcher)
            token, _ = exchanger.read_token(self._asked(exchanger.token_request(api, livemode=poke.livemode)))
            api = ApiCredentials(key=token)
        return self._asked(self.fetcher.resource_request(poke, api))

    def _asked(self, request: ApiRequest) -> bytes:
        url = urlsplit(request.url)
        assert url.hostname in self.fetcher.API_HOSTS
        headers = {name.lower(): value for name, value in request.headers.items()}
        path = url.path + (f"?{url.query}" if url.query else "")
        reply = cast(Any, self.simulator).answer(request.method, path, headers)
        assert reply.status == 200, reply
        body: bytes = reply.body
        return body


def a_kit(name: str, folder: Path, seed: int = 7) -> Kit:
    module = importlib.import_module(f"tests.simulator.providers.{name}")
    simulator = cast(ProviderSimulator, module.Simulator(seed, folder))
    credentials = settings.read(simulator.environment()).credentials(name)
    return Kit(providers.load(name), simulator, credentials, folder, providers.load_api(name))


# A body, leaf by leaf

Path_ = tuple[str | int, ...]


def leaves(value: Any, path: Path_ = ()) -> Iterator[Path_]:
    match value:
        case dict():
            for key, child in value.items():
                yield from leaves(child, (*path, key))
        case list():
            for place, child in enumerate(value):
                yield from leaves(child, (*path, place))
        case _:
            yield path


def put(value: Any) -> Callable[[Any], Any]:
    """The change that puts `value` there, whatever was."""
    return lambda _: value


def another(value: Any) -> Any:
    """A value of the same type that is not the same."""
    match value:
        case bool():
            return not value
        case int():
            return value + 1
        case str():
            return value + "1"
        case _:
            return "1"
