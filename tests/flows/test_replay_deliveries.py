"""What could not be read when it came is understood later from what was stored, as if it had been understood then."""

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest

from shared import providers, settings
from shared.backends.local import connect
from shared.domain.codec import utc_text
from shared.domain.delivery import Delivery
from shared.domain.errors import Rejected, SignatureInvalid, Unreadable
from shared.flows import replay_deliveries as replays
from shared.flows.event_messages import event_message
from shared.flows.ports import Message, Warehouse
from shared.flows.receive_delivery import receive
from shared.flows.replay_deliveries import PAGE, Replayed, as_received, event_in, replay_deliveries
from shared.providers.kit.protocol import Provider
from tests.providers.kits import NOON, Kit, a_fact, a_kit
from tests.simulator.facts import FactKind

DAY = timedelta(days=1)


@dataclass
class Shop:
    """One provider's deliveries into a real warehouse, by a bus whose `deliveries` become rows at once."""

    kit: Kit
    warehouse: Warehouse
    events: list[bytes] = field(default_factory=list)
    messages: list[Message] = field(default_factory=list)
    published: int = 0

    def publish(self, messages: Sequence[Message]) -> None:
        for message in messages:
            self.published += 1
            if message.topic == "deliveries":
                row = json.loads(message.data) | {
                    "publish_time": utc_text(NOON + self.published * timedelta(seconds=1))
                }
                self.warehouse.append("deliveries", [row])
            else:
                self.events.append(message.data)
                self.messages.append(message)
                published = {"publish_time": utc_text(NOON + self.published * timedelta(seconds=1))}
                self.warehouse.append("payment_events", [json.loads(message.data) | published])

    def receive(self, *deliveries: Delivery, adapter: Provider | None = None) -> None:
        for delivery in deliveries:
            receive(delivery, adapter or self.kit.provider, self.kit.credentials, self, self.kit.fetch)

    def replay(self, **changes: Any) -> Replayed:
        asked = {"provider": self.kit.provider.NAME, "since": utc_text(NOON - DAY)} | changes
        return replay_deliveries(msgspec.json.encode(asked), providers.load, self.warehouse, self, NOON + DAY)

    def told(self) -> list[bytes]:
        """The events since the last time we asked."""
        told, self.events = self.events, []
        return told


class BeforeItWasMended:
    """An adapter that verifies and cannot read."""

    def __init__(self, adapter: Provider) -> None:
        self._adapter = adapter

    def __getattr__(self, name: str) -> Any:
        return getattr(self._adapter, name)

    def normalize(self, *_: object) -> Any:
        raise Unreadable("body: not as it was last week", reason="not_json")


def a_shop(name: str, folder: Path) -> Shop:
    return Shop(a_kit(name, folder / name), connect(settings.read({"PAYIN_HOME": str(folder)})).warehouse)


def broken(shop: Shop) -> Provider:
    return cast(Provider, BeforeItWasMended(shop.kit.provider))


def everything_of(kit: Kit) -> list[Delivery]:
    """Whatever the provider sends, pushes among it."""
    requests = [kit.simulator.sign(body, NOON) for body in kit.bodies()]
    if hasattr(kit.simulator, "pushes"):
        requests += [push for kind in FactKind for push in cast(Any, kit.simulator).pushes(a_fact(kind))]
    return [kit.delivery(request) for request in requests]


@pytest.fixture
def stripe(tmp_path: Path) -> Shop:
    return a_shop("stripe", tmp_path)


@pytest.mark.parametrize("name", providers.names())
def test_every_stored_delivery_is_understood_again_as_if_it_had_been_at_once(name: str, tmp_path: Path) -> None:
    shop = a_shop(name, tmp_path)
    shop.receive(*everything_of(shop.kit))
    at_once = shop.told()
    assert at_once
    shop = Shop(shop.kit, connect(settings.read({"PAYIN_HOME": str(tmp_path / "later")})).warehouse)
    deliveries = everything_of(shop.kit)
    shop.receive(*deliveries, adapter=broken(shop))
    assert shop.told() == []
    found = shop.replay()

    def known(events: list[bytes]) -> set[str]:
        """Each once, apart from the name of the delivery: what was not understood goes by the digest of its bytes; and
        from when it was heard, which is when it was first understood."""
        return {json.dumps(json.loads(event) | {"delivery_id": "", "heard_at": ""}, sort_keys=True) for event in events}

    later = shop.told()
    assert known(later) == known(at_once)
    assert {json.loads(event)["heard_at"] for event in at_once} == {NOON.isoformat().replace("+00:00", "Z")}
    assert {json.loads(event)["heard_at"] for event in later} == {(NOON + DAY).isoformat().replace("+00:00", "Z")}
    assert found.looked_at == len({(delivery.body, delivery.query) for delivery in deliveries}) >= found.replayed


def test_what_was_replayed_is_not_replayed_again(stripe: Shop) -> None:
    stripe.receive(*everything_of(stripe.kit), adapter=broken(stripe))
    first = stripe.replay()
    assert first.replayed == first.looked_at > 0
    stripe.told()
    assert stripe.replay() == Replayed(0, 0, 0, 0)
    assert stripe.told() == []


def test_what_still_cannot_be_read_stays_and_is_not_written_again(stripe: Shop) -> None:
    stripe.receive(stripe.kit.signed(b'{"id": "evt_1", "type'))
    before = stripe.published
    assert stripe.replay() == Replayed(looked_at=1, replayed=0, unchanged=1, events=0)
    assert stripe.published == before


def test_a_batch_of_which_more_can_be_read_is_published_whole(tmp_path: Path) -> None:
    shop = a_shop("gocardless", tmp_path)
    bodies = [
        json.loads(shop.kit.simulator.requests(a_fact(kind))[0]) for kind in (FactKind.CAPTURED, FactKind.REFUNDED)
    ]
    batch = {**bodies[0], "events": [event for body in bodies for event in body["events"]]}

    class HalfMended(BeforeItWasMended):
        def normalize(self, *arguments: Any) -> Any:
            whole = self._adapter.normalize(*arguments)
            return type(whole)(
                whole.delivery_id, events=whole.events[:1], types=whole.types[:1], unreadable=("events[1]: not a name",)
            )

    shop.receive(shop.kit.signed(json.dumps(batch).encode()), adapter=cast(Provider, HalfMended(shop.kit.provider)))
    assert len(shop.told()) == 1
    assert shop.replay() == Replayed(looked_at=1, replayed=1, unchanged=0, events=2)
    assert len(shop.told()) == 2


def test_a_delivery_of_the_other_mode_is_still_not_acted_upon(stripe: Shop) -> None:
    body = json.dumps(json.loads(stripe.kit.bodies()[0]) | {"livemode": True}).encode()
    stripe.receive(stripe.kit.signed(body), adapter=broken(stripe))
    assert stripe.replay().events == 0
    assert stripe.told() == []
    assert stripe.replay().looked_at == 0


def test_types_that_nothing_followed_are_looked_at_when_asked_for(stripe: Shop) -> None:
    [body] = stripe.kit.simulator.requests(a_fact(FactKind.UNKNOWN_TYPE))
    stripe.receive(stripe.kit.signed(body))
    assert stripe.replay().looked_at == 0
    assert stripe.replay(ignored=True) == Replayed(looked_at=1, replayed=0, unchanged=1, events=0)


def test_only_the_time_that_was_asked_for_is_looked_at(stripe: Shop) -> None:
    stripe.receive(stripe.kit.signed(b"{", received_at=NOON))
    for since, until, looked_at in ((NOON, None, 1), (NOON + timedelta(seconds=1), None, 0), (NOON - DAY, NOON, 0)):
        asked = {"since": utc_text(since)} | ({"until": utc_text(until)} if until else {})
        assert stripe.replay(**asked).looked_at == looked_at


def test_more_than_a_page_is_looked_at_whole(stripe: Shop) -> None:
    stripe.receive(*(stripe.kit.signed(f"{{{number}".encode()) for number in range(PAGE + 3)))
    assert stripe.replay().looked_at == PAGE + 3


def test_what_is_kept_of_a_url_holds_no_secret(tmp_path: Path) -> None:
    for name in ("klarna", "mollie", "mercadopago"):
        shop = a_shop(name, tmp_path)
        shop.receive(*everything_of(shop.kit))
        rows = shop.warehouse.query(f"SELECT query FROM deliveries WHERE provider = '{name}'")
        assert rows
        for secret in shop.kit.credentials.keys.values():
            assert all(secret not in row["query"] for row in rows)


@pytest.mark.parametrize(
    "asked",
    [
        b"",
        b"[]",
        b'{"provider": "stripe"}',
        b'{"provider": "stripe", "since": "2026-11-01T00:00:00"}',
        b'{"provider": "stripe", "since": "2026-11-01T00:00:00Z", "all": true}',
        b'{"provider": "strype", "since": "2026-11-01T00:00:00Z"}',
        b'{"provider": "stripe", "since": "2026-11-01T00:00:00Z", "events": true, "kind": "disputes"}',
        b'{"provider": "stripe", "since": "2026-11-01T00:00:00Z", "events": true, "ignored": true}',
        b'{"provider": "stripe", "since": "2026-11-01T00:00:00Z", "kind": "dispute"}',
    ],
)
def test_a_request_that_does_not_fit_is_refused(asked: bytes, stripe: Shop) -> None:
    with pytest.raises(Rejected):
        replay_deliveries(asked, providers.load, stripe.warehouse, stripe, NOON)


# Events

SINCE_NOON = {"since": utc_text(NOON), "until": utc_text(NOON + timedelta(seconds=1)), "events": True}


def once(messages: list[Message]) -> dict[str, Message]:
    """Of copies the first."""
    return {message.attributes["event_id"]: message for message in reversed(messages)}


@pytest.mark.parametrize("name", providers.names())
def test_every_event_is_published_again_to_the_byte(name: str, tmp_path: Path) -> None:
    shop = a_shop(name, tmp_path)
    shop.receive(*everything_of(shop.kit))
    first, shop.messages = shop.messages, []
    found = shop.replay(**SINCE_NOON)
    assert once(shop.messages) == once(first)
    assert found == Replayed(0, 0, 0, events=len(once(first)))
    # What is now there twice is told once.
    assert shop.replay(**SINCE_NOON) == found


def test_events_of_one_kind_and_of_their_time_alone(stripe: Shop) -> None:
    stripe.receive(*everything_of(stripe.kit))
    disputes = {name for name, message in once(stripe.messages).items() if message.attributes["kind"] == "dispute"}
    assert disputes
    stripe.messages = []
    stripe.replay(**SINCE_NOON, kind="dispute")
    assert set(once(stripe.messages)) == disputes
    for asked in (
        {"since": utc_text(NOON - DAY), "until": utc_text(NOON)},
        {"since": utc_text(NOON + timedelta(microseconds=1))},
    ):
        assert stripe.replay(**SINCE_NOON | asked).events == 0


def test_events_are_looked_for_as_far_back_as_they_may_have_happened(stripe: Shop) -> None:
    stripe.receive(*everything_of(stripe.kit))
    [row, *_] = stripe.warehouse.query("SELECT * FROM payment_events WHERE kind = 'payment' ORDER BY event_id LIMIT 1")
    old = replace(event_in(row), event_id="stripe:acct_1:evt_old", occurred_at=NOON - timedelta(days=41))
    stripe.publish([event_message(old, NOON)])
    assert "stripe:acct_1:evt_old" in once(stripe.messages)
    stripe.messages = []
    stripe.replay(**SINCE_NOON)
    assert "stripe:acct_1:evt_old" not in once(stripe.messages)
    stripe.replay(**SINCE_NOON, late_days=42)
    assert "stripe:acct_1:evt_old" in once(stripe.messages)


def test_more_than_a_page_of_events_is_published_whole(stripe: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    stripe.receive(*everything_of(stripe.kit))
    first, stripe.messages = stripe.messages, []
    monkeypatch.setattr(replays, "EVENTS_PAGE", 3)
    stripe.replay(**SINCE_NOON)
    assert once(stripe.messages) == once(first)
    assert len(stripe.messages) == len(once(first)) > 6


def test_events_of_one_payment_or_one_delivery_or_one_event(stripe: Shop) -> None:
    stripe.receive(*everything_of(stripe.kit))
    told = once(stripe.messages)
    rows_of = {row["event_id"]: row for row in stripe.warehouse.query("SELECT * FROM payment_events")}
    [first, *_] = [row for row in rows_of.values() if row["payment_id"]]
    for asked in ("payment_id", "delivery_id", "event_id"):
        stripe.messages = []
        stripe.replay(**SINCE_NOON, **{asked: first[asked]})
        assert set(once(stripe.messages)) == {name for name in told if rows_of[name][asked] == first[asked]}, asked


def test_a_delivery_by_its_id_is_told_again_only_where_that_is_asked(stripe: Shop) -> None:
    stripe.receive(*everything_of(stripe.kit))
    [known] = [row for row in rows(stripe) if row["outcome"] == "accepted"][:1]
    stripe.told()
    assert stripe.replay(delivery_id=known["delivery_id"]) == Replayed(1, 0, 1, 0)
    assert stripe.told() == []
    found = stripe.replay(delivery_id=known["delivery_id"], again=True)
    assert (found.looked_at, found.replayed) == (1, 1)
    assert {json.loads(event)["delivery_id"] for event in stripe.told()} == {known["delivery_id"]}


def test_deliveries_of_one_outcome_and_of_one_type(stripe: Shop) -> None:
    stripe.receive(*everything_of(stripe.kit))
    accepted = [row for row in rows(stripe) if row["outcome"] == "accepted"]
    assert stripe.replay(outcome="accepted").looked_at == len({row["delivery_id"] for row in accepted})
    [kind] = accepted[0]["types"]
    of_it = {row["delivery_id"] for row in accepted if kind in row["types"]}
    assert stripe.replay(outcome="accepted", type=kind).looked_at == len(of_it)
    assert stripe.replay(type=kind).looked_at == 0


@pytest.mark.parametrize(
    "asked",
    [
        {"outcome": "mode_mismatch"},
        {"events": True, "outcome": "accepted"},
        {"events": True, "type": "charge.refunded"},
        {"events": True, "again": True},
        {"payment_id": "pi_1"},
        {"event_id": "stripe:acct_1:evt_1"},
        {"rate": 0},
    ],
)
def test_a_replay_that_contradicts_itself_is_refused(asked: dict[str, Any], stripe: Shop) -> None:
    with pytest.raises(Rejected):
        stripe.replay(**asked)


def test_a_replay_keeps_to_its_rate(stripe: Shop) -> None:
    stripe.receive(*everything_of(stripe.kit))
    count, slept, stripe.messages = len(once(stripe.messages)), list[float](), []
    asked = {"provider": "stripe", "rate": 4, **SINCE_NOON}
    replay_deliveries(msgspec.json.encode(asked), providers.load, stripe.warehouse, stripe, NOON + DAY, slept.append)
    assert len(stripe.messages) == count
    assert slept == [1.0] * ((count - 1) // 4)


# From the row alone


def rows(shop: Shop) -> list[dict[str, Any]]:
    return shop.warehouse.query("SELECT * FROM deliveries ORDER BY received_at, delivery_id")


def verified_again(shop: Shop, row: dict[str, Any]) -> bool:
    """Whether the row proves itself by the endpoint's keys, its password added where it has one."""
    delivery, then, _ = as_received(shop.kit.provider.NAME, row)
    for user, password in list(shop.kit.credentials.basic_auth.items())[:1]:
        pair = base64.b64encode(f"{user}:{password}".encode()).decode()
        delivery = replace(delivery, headers={**delivery.headers, "authorization": f"Basic {pair}"})
    try:
        return shop.kit.verify(delivery) == then
    except SignatureInvalid:
        return False


@pytest.mark.parametrize("name", providers.names())
def test_a_stored_delivery_is_verified_again_from_its_row_as_the_table_says(name: str, tmp_path: Path) -> None:
    shop = a_shop(name, tmp_path)
    # By the microsecond: every judgement of age is made against when it was received.
    at = NOON + timedelta(microseconds=1)
    signed = [shop.kit.signed(body, NOON, at) for body in shop.kit.bodies()]
    shop.receive(*signed)
    told = shop.kit.provider.TRAITS.verified_again
    assert len(rows(shop)) == len(signed)
    assert {verified_again(shop, row) for row in rows(shop)} == {not told.startswith("no")}


@pytest.mark.parametrize("name", ["klarna", "mollie"])
def test_a_push_is_not_verified_again_for_the_secret_in_its_address_is_not_kept(name: str, tmp_path: Path) -> None:
    shop = a_shop(name, tmp_path)
    pushes = cast(Any, shop.kit.simulator).pushes(a_fact(FactKind.CAPTURED))
    shop.receive(*(shop.kit.delivery(request) for request in pushes))
    assert {verified_again(shop, row) for row in rows(shop)} == {False}
    assert "no: " in shop.kit.provider.TRAITS.verified_again


@pytest.mark.parametrize("name", providers.names())
def test_a_changed_row_proves_nothing(name: str, tmp_path: Path) -> None:
    shop = a_shop(name, tmp_path)
    shop.receive(shop.kit.signed(shop.kit.bodies()[0]))
    (row,) = rows(shop)
    if not shop.kit.provider.TRAITS.verified_again.startswith("no"):
        assert verified_again(shop, row)
    assert not verified_again(shop, row | {"headers": "{}", "body": b"{}"})


@pytest.mark.parametrize("name", providers.names())
def test_a_row_names_the_adapters_version_and_the_payloads_own(name: str, tmp_path: Path) -> None:
    shop = a_shop(name, tmp_path)
    shop.receive(*(shop.kit.signed(body) for body in shop.kit.bodies()))
    assert {row["adapter_version"] for row in rows(shop)} == {providers.version(name)}
    told = {row["payload_version"] for row in rows(shop)}
    assert (told == {None}) is (shop.kit.provider.PAYLOAD_VERSION == ()), told


def test_a_version_is_of_the_adapters_own_text() -> None:
    versions = [providers.version(name) for name in providers.names()]
    assert len(set(versions)) == len(versions)
    assert all(len(version) == 12 for version in versions)
