"""A parked provider's events wait where nobody acts on them, and go through later: all of them, in order, at a rate."""

from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any, cast

import pytest

from shared.backends.local.bus import LocalBus
from shared.domain.errors import Rejected
from shared.flows.audit import Errand, records
from shared.flows.ports import Message, Ports, Subscriptions
from shared.operations.parking import SET_ASIDE, drain, ongoing, park, parked, unpark
from tests.builders import DAY, MINUTE, NOON

NAMES = ("record-payment-stripe", "track-dispute-stripe")
EVENTS = "payment-events"


@dataclass
class Shop:
    ports: Ports

    @property
    def bus(self) -> LocalBus:
        return cast(LocalBus, self.ports.bus)

    def tell(self, *texts: str) -> None:
        for text in texts:
            self.bus.publish([Message(EVENTS, text.encode(), {"provider": "stripe", "kind": text[0]})])

    def pushed(self) -> dict[str, list[str]]:
        """What has been pushed to each since the last time we asked."""
        found = {}
        for name in NAMES:
            pulled = self.bus.pull(name, 1000, 60)
            self.bus.ack(name, [one.ack_id for one in pulled])
            found[name] = [one.data.decode() for one in pulled]
        return found

    def heard(self) -> list[str]:
        """What whoever follows everything has heard since the last time we asked."""
        pulled = self.bus.pull(EVENTS, 1000, 60)
        self.bus.ack(EVENTS, [one.ack_id for one in pulled])
        return [one.data.decode() for one in pulled]

    def park(self) -> None:
        park(self.ports, self.bus, "stripe", NAMES, errand("park"))


def errand(what: str = "providers drain") -> Errand:
    return Errand(who="ana", why="their amounts are wrong", what=what, at=NOON)


@pytest.fixture
def shop(ports: Ports) -> Shop:
    """One subscription takes payments (p…), one disputes (d…), and one of ours everything."""
    bus = cast(LocalBus, ports.bus)
    for name, kind in zip(NAMES, "pd", strict=True):
        bus.subscribe(name, EVENTS, f'attributes.kind = "{kind}" OR attributes.kind = "b"')
    bus.subscribe(SET_ASIDE, SET_ASIDE)
    return Shop(ports)


def test_of_a_parked_provider_everything_is_kept_and_nothing_is_pushed(shop: Shop) -> None:
    shop.park()
    shop.park()
    shop.tell("p1", "d1", "b1")
    assert shop.pushed() == {name: [] for name in NAMES}
    [one] = parked(shop.ports.documents, ["adyen", "stripe"]).values()
    assert (one.provider, one.by, one.why, one.since) == ("stripe", "ana", "their amounts are wrong", NOON)
    assert ongoing(one, shop.bus) == []
    unpark(shop.ports, shop.bus, "stripe", errand("unpark"))
    assert shop.pushed() == {NAMES[0]: ["p1", "b1"], NAMES[1]: ["d1", "b1"]}
    assert parked(shop.ports.documents, ["stripe"]) == {}


def test_a_subscription_that_was_put_back_is_told_and_stopped_by_the_same_again(shop: Shop) -> None:
    shop.park()
    shop.bus.push_to(NAMES[1], "local")
    [one] = parked(shop.ports.documents, ["stripe"]).values()
    assert ongoing(one, shop.bus) == [NAMES[1]]
    shop.park()
    assert ongoing(one, shop.bus) == []


def test_what_was_kept_goes_through_in_order_once_and_at_the_rate(shop: Shop) -> None:
    shop.park()
    told = ["p1", "d1", "b1", "p2", "b2", "d2", "p3"]
    shop.tell(*told)
    shop.heard()
    slept: list[float] = []
    assert drain(shop.ports, shop.bus, "stripe", errand(), 2.0, slept.append) == len(told)
    assert shop.heard() == told
    assert shop.pushed() == {NAMES[0]: ["p1", "b1", "p2", "b2", "p3"], NAMES[1]: ["d1", "b1", "b2", "d2"]}
    assert slept == [1.0] * 3
    told_of = records(shop.ports.documents, NOON - MINUTE, 10)
    with pytest.raises(Rejected, match="not parked"):
        drain(shop.ports, shop.bus, "stripe", errand(), 2.0, slept.append)
    assert records(shop.ports.documents, NOON - MINUTE, 10) == told_of


def test_what_is_told_while_it_drains_is_not_lost(shop: Shop) -> None:
    shop.park()
    shop.tell("p1", "p2")
    late = iter(["p3", "p4"])
    later = replace(errand(), at=NOON + 3650 * DAY)  # after everything that this machine's clock publishes
    drain(shop.ports, shop.bus, "stripe", later, 1.0, lambda _: shop.tell(next(late)))
    assert sorted(set(shop.pushed()[NAMES[0]])) == ["p1", "p2", "p3"]


class Broken(BaseException):
    """Nothing catches it: the process is gone."""


@dataclass
class Breaking:
    """Calls that come back `left` times; after the next one has had its effect nobody hears of it."""

    left: int
    inner: Any = None
    parts: list["Breaking"] = field(default_factory=list)

    def of(self, inner: Any) -> Any:
        return _Calls(self, inner)


class _Calls:
    def __init__(self, breaking: Breaking, inner: Any) -> None:
        self._breaking, self._inner = breaking, inner

    def __getattr__(self, name: str) -> Any:
        def call(*arguments: Any, **named: Any) -> Any:
            answer = getattr(self._inner, name)(*arguments, **named)
            self._breaking.left -= 1
            if self._breaking.left == 0:
                raise Broken
            return answer

        return call


@pytest.mark.parametrize("how", ["drain", "unpark", "park"])
def test_broken_off_after_any_step_the_same_again_loses_nothing(
    how: str, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared.backends.local.bus.TAKEN_FOR", -1.0)  # leases that are over when they are needed
    told = ["p1", "d1", "b1", "p2"]

    def act(ports: Ports, subscriptions: Subscriptions) -> None:
        match how:
            case "drain":
                drain(ports, subscriptions, "stripe", errand(), 100.0, lambda _: None)
            case "unpark":
                unpark(ports, subscriptions, "stripe", errand("unpark"))
            case _:
                park(ports, subscriptions, "stripe", NAMES, errand("park"))

    for step in range(1, 60):
        shop.park()
        shop.tell(*told)
        breaking = Breaking(step)
        broken = replace(shop.ports, documents=breaking.of(shop.ports.documents), bus=breaking.of(shop.bus))
        ended = True
        try:
            act(broken, breaking.of(shop.bus))
        except Broken:
            ended = False
            if parked(shop.ports.documents, ["stripe"]) or how == "drain":
                # Broken off after all had gone through, there is nothing left to drain.
                with suppress(Rejected):
                    act(shop.ports, shop.bus)
        if how == "park":
            assert shop.pushed() == {name: [] for name in NAMES}
            unpark(shop.ports, shop.bus, "stripe", errand("unpark"))
        heard = shop.pushed()
        assert {name: set(some) for name, some in heard.items()} == {
            NAMES[0]: {"p1", "b1", "p2"},
            NAMES[1]: {"d1", "b1"},
        }
        if ended:
            break
    else:
        pytest.fail("it takes fewer steps")
    assert step > 3


def test_each_of_it_is_in_the_audit(shop: Shop) -> None:
    shop.park()
    drain(shop.ports, shop.bus, "stripe", errand(), 5.0, lambda _: None)
    told = records(shop.ports.documents, NOON - MINUTE, 10)
    assert sorted(one.what for one in told) == ["park", "providers drain", "providers drain"]
    assert {one.who for one in told} == {"ana"}
    assert "0 messages went through" in [one.outcome for one in told]


def test_nobody_unparks_what_is_not_parked(shop: Shop) -> None:
    with pytest.raises(Rejected, match="not parked"):
        unpark(shop.ports, shop.bus, "stripe", errand("unpark"))


def test_nothing_is_parked_without_a_reason() -> None:
    with pytest.raises(Rejected, match="why"):
        replace(errand(), why=" ")
