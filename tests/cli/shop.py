"""A local stack's folder after a small shop's days: real deliveries, through the real flows, into documents and warehouse."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, cast

from shared import settings
from shared.backends.local import connect
from shared.backends.local.bus import LocalBus
from shared.domain.codec import decode_event, encode, utc_text
from shared.domain.errors import Unreadable
from shared.domain.traffic import TrafficCounted
from shared.flows.check_deadlines import check_deadlines
from shared.flows.ports import Ports
from shared.flows.receive_delivery import receive
from shared.flows.record_payment import record_payment
from shared.flows.score_payment import score_payment
from shared.flows.scorer import Scorer
from shared.flows.track_dispute import track_dispute
from shared.providers.kit.protocol import Provider
from tests.providers.kits import NOON, Kit, a_fact, a_kit, an_attempt
from tests.simulator.facts import Fact, FactKind
from tests.stack import topology

SECOND = timedelta(seconds=1)
LATER = timedelta(hours=1)


class Unmended:
    """An adapter that verifies and cannot read."""

    def __init__(self, adapter: Provider) -> None:
        self._adapter = adapter

    def __getattr__(self, name: str) -> Any:
        return getattr(self._adapter, name)

    def normalize(self, *_: object) -> Any:
        raise Unreadable("data.object: not as it was last week", reason="missing_field")


@dataclass
class Shop:
    """A stack of the providers `served`. twice: every message is heard twice, the last one first. bus_ahead: by how much the
    bus's clock, which stamps messages, differs from the virtual one."""

    home: Path
    now: datetime = NOON
    served: tuple[str, ...] = ("stripe", "adyen")
    twice: bool = False
    bus_ahead: timedelta = timedelta(0)
    kits: dict[str, Kit] = field(default_factory=dict)
    scorer: Scorer = field(default_factory=lambda: Scorer(use_model=False))

    def __post_init__(self) -> None:
        self.home.mkdir(parents=True, exist_ok=True)
        self.ports: Ports = connect(settings.read({"PAYIN_HOME": str(self.home)}))
        self.bus = cast(LocalBus, self.ports.bus)
        for own in [*topology.pushed(self.served), *self._stored(), *topology.pulled()]:
            self.bus.subscribe(own.name, own.topic, own.whole_filter, topology.TRIES, own.dead_letters)
        for name in topology.dead_letters():
            self.bus.subscribe(name, name)
        self.at(self.now)

    def at(self, now: datetime) -> None:
        """The virtual clock, ours and that of `payin`."""
        self.now = now
        (self.home / "clock").write_text(utc_text(now), encoding="ascii")

    def kit(self, provider: str) -> Kit:
        if provider not in self.kits:
            self.kits[provider] = a_kit(provider, self.home / "providers" / provider)
        return self.kits[provider]

    def tell(self, fact: Fact, provider: str = "stripe", *, unmended: bool = False) -> None:
        """The provider tells of `fact`, as of now."""
        kit = self.kit(provider)
        adapter = cast(Provider, Unmended(kit.provider)) if unmended else kit.provider
        for body in kit.simulator.requests(fact):
            receive(kit.signed(body, self.now), adapter, kit.credentials, self.ports.bus, kit.fetch)

    def happens(self, kind: FactKind, provider: str = "stripe", **changes: Any) -> None:
        """Told and heard of, a second later than what came before."""
        self.at(self.now + SECOND)
        self.tell(a_fact(kind, changes.pop("attempt", None), **{"at": self.now, **changes}), provider)
        self.run()

    @property
    def payment(self) -> str:
        """Stripe's name of the payment that is disputed."""
        return str(self.kit("stripe").simulator.payment_id(an_attempt()))

    @property
    def dispute(self) -> str:
        return self.ports.documents.scan("disputes", 1)[0].key.id.partition(":")[2]

    def run(self, *deaf: str) -> None:
        """What is published is heard; those who are `deaf` never will."""
        hear: dict[str, Callable[[Any], object]] = {
            "record_payment": lambda event: record_payment(event, self.ports, self.now),
            "score_payment": lambda event: score_payment(event, self.ports, self.now, self.scorer),
            "track_dispute": lambda event: track_dispute(event, self.ports, self.now),
        }
        for own in topology.pushed(self.served):
            act = hear.get(own.function or "")
            taken = self._taken(own.name)
            for data in [*reversed(taken), *taken] if self.twice else taken:
                if act is not None and own.function not in deaf:
                    act(decode_event(data))
        if "check_deadlines" not in deaf:
            check_deadlines(self.ports, self.now)
        self.store()

    def store(self) -> None:
        """What waits for the warehouse becomes rows."""
        for table, own in topology.stored(self.served):
            published_at = utc_text(self.now + self.bus_ahead)
            rows = [{**json.loads(data), "publish_time": published_at} for data in self._taken(own.name)]
            self.ports.warehouse.append(table, rows)

    def _stored(self) -> list[topology.Subscription]:
        return [own for _, own in topology.stored(self.served)]

    def _taken(self, name: str) -> list[bytes]:
        found: list[bytes] = []
        while pulled := self.bus.pull(name, 1000, 60):
            found += [one.data for one in pulled]
            self.bus.ack(name, [one.ack_id for one in pulled])
        return found


def a_shop(home: Path, *, twice: bool = False) -> Shop:
    """One payment that is captured and disputed, one of which the delivery could not be read, and one of Adyen's."""
    return run_for_days(Shop(home, twice=twice))


def run_for_days(shop: Shop) -> Shop:
    """As `a_shop` does."""
    shop.happens(FactKind.AUTHORIZED)
    shop.happens(FactKind.CAPTURED)
    shop.happens(FactKind.DISPUTE_OPENED)
    shop.happens(FactKind.CAPTURED, "adyen")
    other = an_attempt(id="attempt-2", customer="customer-2")
    shop.at(shop.now + SECOND)
    shop.tell(a_fact(FactKind.CAPTURED, other, at=shop.now), unmended=True)
    shop.run()
    return shop


def count(ports: Ports, provider: str, kind: str, day: datetime) -> None:
    """As `watch_traffic` has counted that type on that day."""
    row = TrafficCounted(
        row_id=f"{day:%Y-%m-%d}/{provider}/{kind}",
        day=day,
        counted_at=day + timedelta(days=1),
        provider=provider,
        type=kind,
        deliveries=24,
        hours=(1,) * 24,
        expected=None,
    )
    ports.warehouse.append("provider_traffic", [json.loads(encode(row))])
