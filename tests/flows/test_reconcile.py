"""What never arrived is found in the provider's own list and told as if it had come: each gap once, wherever the run is killed."""

import importlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory, mkdtemp
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import settings as trying
from hypothesis import strategies as st

from shared import providers, settings
from shared.backends.local import connect
from shared.domain.codec import decode_event, utc_text
from shared.domain.errors import Conflict, Rejected, Unavailable, Unreadable
from shared.domain.events import AnyEvent, ResourceChanged
from shared.domain.money import Money
from shared.domain.telemetry import told_instead
from shared.flows import reconcile as flow
from shared.flows.event_messages import event_message
from shared.flows.ports import Create, Document, Key, Message, Ports, Replace, Snapshot, Warehouse, Write
from shared.flows.receive_delivery import receive
from shared.flows.reconcile import (
    HAD_SQL,
    HELD_SQL,
    RECEIVED_SQL,
    SETTLES,
    SLICE,
    Budget,
    Lister,
    Ours,
    Reconciled,
    Source,
    reconcile,
    reconcile_by_hand,
    standings,
)
from shared.flows.record_payment import record_payment
from shared.flows.track_dispute import track_dispute
from shared.providers.kit.listing import Item, Page, Stream
from shared.runtime.reconciling import listed
from tests.local import everything, local_ports
from tests.providers.kits import NOON, Kit, a_dispute, a_fact, a_kit, an_attempt
from tests.simulator.facts import FactKind
from tests.simulator.listing import LISTS, ListApi
from tests.simulator.providers.shaping import ApiReply

LATER = NOON + timedelta(hours=2)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


class Killed(BaseException):
    """Gone between two calls to the outside, or after one of them."""


@dataclass
class Outside:
    """Counts every call to the outside; the one numbered `kill_at` never comes back: it was made, or it was not."""

    kill_at: int | None = None
    made: bool = True
    taken: int = 0

    def call(self, act: Callable[[], Any]) -> Any:
        self.taken += 1
        killed = self.taken == self.kill_at
        if killed and not self.made:
            raise Killed
        found = act()
        if killed:
            raise Killed
        return found


@dataclass
class Memory:
    """Documents, the bus and the archive. What is published is seen by the archive when `settle` is called, and not before."""

    account: str = "main"
    live: bool = False
    heard: bool = True
    outside: Outside = field(default_factory=Outside)
    documents: dict[Key, tuple[Document, int]] = field(default_factory=dict)
    published: list[Message] = field(default_factory=list)
    events: dict[str, AnyEvent] = field(default_factory=dict)
    deliveries: set[str] = field(default_factory=set)
    queries: int = 0
    settled: int = 0

    def get(self, keys: Sequence[Key]) -> list[Snapshot | None]:
        def found() -> list[Snapshot | None]:
            return [Snapshot(key, *self.documents[key]) if key in self.documents else None for key in keys]

        return cast(list[Snapshot | None], self.outside.call(found))

    def commit(self, writes: Sequence[Write]) -> None:
        def written() -> None:
            for write in writes:
                assert isinstance(write, Create | Replace)
                _, version = self.documents.get(write.key, ({}, 0))
                if version != (write.version if isinstance(write, Replace) else 0):
                    raise Conflict("somebody else was here")
                self.documents[write.key] = (write.document, version + 1)

        self.outside.call(written)

    def publish(self, messages: Sequence[Message]) -> None:
        self.outside.call(lambda: self.published.extend(messages))

    def settle(self) -> None:
        for message in self.published[self.settled :]:
            if message.topic == "deliveries":
                self.deliveries.add(json.loads(message.data)["delivery_id"])
            else:
                event = decode_event(message.data)
                self.events[event.event_id] = event
        self.settled = len(self.published)

    def query(self, sql: str, parameters: dict[str, Any]) -> list[dict[str, Any]]:
        self.queries += 1
        return cast(list[dict[str, Any]], self.outside.call(lambda: self._found(sql, parameters)))

    def _found(self, sql: str, asked: dict[str, Any]) -> list[dict[str, Any]]:
        if sql == flow.ENDPOINT_SQL:
            return [{"endpoint_account": self.account, "endpoint_live": self.live}] if self.heard else []
        if sql == RECEIVED_SQL:
            return [{"id": one} for one in self.deliveries & set(asked["ids"].split("\n"))]
        assert sql in (HAD_SQL, HELD_SQL)
        named = set(asked["ids"].split("\n")) if sql == HELD_SQL else set(self.events)
        within = {own for own, event in self.events.items() if asked["since"] <= event.occurred_at < asked["until"]}
        return [{"id": one} for one in within & named]


@dataclass
class World:
    """One provider that tells facts, an endpoint that hears some of them, and runs that find the rest."""

    kit: Kit
    api: ListApi
    memory: Memory
    now: datetime = LATER

    def fact_told(self, kind: FactKind, number: int, *, arrives: bool) -> None:
        name = f"attempt-{number}"
        at = NOON + timedelta(minutes=number)
        attempt = an_attempt(id=name, at=at, customer=f"customer-{number}", amount=Money(1000 + number, "EUR"))
        dispute = a_dispute(id=f"dispute-{number}")
        for body in self.kit.simulator.requests(
            a_fact(kind, attempt, at=at, dispute=dispute, refund_id=f"refund-{number}")
        ):
            self.api.tell(body, at, delivered=arrives)
            if arrives:
                receive(self.kit.signed(body, at), self.kit.provider, self.kit.credentials, self.memory, self.kit.fetch)

    def read_back(self, since: int = 0) -> None:
        """What `fetch_resource` does with the pokes among what was published."""
        for message in list(self.memory.published[since:]):
            if message.topic == "payment-events" and isinstance(poke := decode_event(message.data), ResourceChanged):
                self.memory.publish([event_message(one, self.now) for one in self.kit.told(poke)])

    def run(self, calls: int = 1000, **changes: Any) -> Reconciled:
        return reconcile(self.source, self.ours, changes.get("now", self.now), Budget(calls, 1.0, lambda: 0.0))

    def by_hand(self, since: datetime, *, dry_run: bool = False, until: datetime | None = None) -> Reconciled:
        budget = Budget(1000, 1.0, lambda: 0.0)
        return reconcile_by_hand(self.source, self.ours, self.now, since, until, budget, dry_run=dry_run)

    @property
    def source(self) -> Source:
        lister = cast(Lister, providers.load_listing(self.kit.provider.NAME))
        return Source(lister, self.kit.provider, self.api, self.kit.api)

    @property
    def ours(self) -> Ours:
        memory = cast(Any, self.memory)
        return Ours(Ports(memory, memory, memory, memory, memory), memory, lambda text: text)

    @property
    def known(self) -> dict[str, AnyEvent]:
        """By id, whoever told it: a healed one is of a delivery of its own where an object was listed."""
        self.memory.settle()
        return {
            own: replace(event, delivery_id="")
            for own, event in self.memory.events.items()
            if not isinstance(event, ResourceChanged)
        }

    @property
    def document(self) -> Document:
        """As it is kept between runs."""
        found, _ = self.memory.documents.get(Key(flow.COLLECTION, self.kit.provider.NAME), ({"lists": {}}, 0))
        return found

    @property
    def state(self) -> flow.Standing:
        return standings(cast(Any, self.memory), [self.kit.provider.NAME])[self.kit.provider.NAME]


@cache
def kit_of(name: str) -> Kit:
    """One for all: what a simulator has told is the same in every world, and keys take their time."""
    return a_kit(name, Path(mkdtemp(dir=FOLDER.name)))


FOLDER = TemporaryDirectory()


def a_world(name: str, most: int = 1000) -> World:
    kit = kit_of(name)
    lister = cast(Lister, providers.load_listing(name))
    return World(
        kit, ListApi(name, kit.simulator, lister.API_HOSTS, most), Memory(kit.credentials.account, kit.credentials.live)
    )


# Of things that are listed as they are now, each is told once.
STORY = (
    *(FactKind.CAPTURED, FactKind.DECLINED, FactKind.CAPTURED, FactKind.UNKNOWN_TYPE),
    *(FactKind.REFUNDED, FactKind.DISPUTE_LOST, FactKind.CAPTURED, FactKind.DISPUTE_OPENED),
)
STORIES = {"mercadopago": (FactKind.CAPTURED, FactKind.DECLINED, FactKind.CAPTURED, FactKind.REFUNDED) * 2}


def story_of(name: str) -> tuple[FactKind, ...]:
    return STORIES.get(name, STORY)


@pytest.fixture(params=listed())
def world(request: pytest.FixtureRequest) -> World:
    return a_world(request.param)


def tell(world: World, lost: frozenset[int] | set[int]) -> None:
    for number, kind in enumerate(story_of(world.kit.provider.NAME)):
        world.fact_told(kind, number, arrives=number not in lost)
    world.read_back()
    world.memory.settle()


@cache
def whole(name: str) -> dict[str, AnyEvent]:
    """What there is where nothing was lost."""
    world = a_world(name)
    tell(world, set())
    return world.known


def test_every_list_has_its_simulator() -> None:
    assert set(listed()) == set(LISTS)


def test_what_was_lost_is_told_under_the_ids_that_it_would_have_had(world: World) -> None:
    name = world.kit.provider.NAME
    tell(world, {0, 3, 4, 5})
    before = len(world.memory.published)
    assert whole(name) != world.known
    found = world.run()
    assert (found.complete, found.healed) == (True, found.missing)
    world.read_back(before)
    assert world.known == whole(name)
    assert world.state.healed == found.healed > 0
    assert world.state.finished_at == world.now


def test_a_webhook_that_comes_after_all_is_a_duplicate(world: World) -> None:
    tell(world, {0})
    before = len(world.memory.published)
    world.run()
    world.read_back(before)
    known = world.known
    late = world.api.told[0]
    signed = world.kit.signed(late.body, LATER)
    receive(signed, world.kit.provider, world.kit.credentials, world.memory, world.kit.fetch)
    world.read_back(len(world.memory.published) - 2)
    assert world.known == known


def test_where_nothing_is_missing_nothing_is_told_and_few_are_asked(world: World) -> None:
    tell(world, set())
    before = len(world.memory.published)
    first = world.run()
    assert (first.missing, len(world.memory.published)) == (0, before)
    streams = len(world.source.lister.STREAMS)
    # The first run looks through a day, in slices.
    assert first.calls <= streams * (DAY / SLICE + 2)
    world.api.asked.clear()
    second = world.run(now=world.now + 2 * HOUR)
    assert second.missing == 0
    assert len(world.api.asked) == second.calls <= streams
    assert world.memory.queries <= 3 + streams * (DAY / SLICE + 2)


def test_what_is_still_under_way_is_no_gap(world: World) -> None:
    tell(world, {0})
    early = NOON + SETTLES - timedelta(seconds=1)
    assert world.run(now=early).missing == 0
    assert world.run(now=early + timedelta(minutes=2)).missing > 0


def test_small_pages_lead_to_the_same(world: World) -> None:
    world.api.most = 1
    tell(world, {0, 4, 5})
    before = len(world.memory.published)
    assert world.run().complete
    world.read_back(before)
    assert world.known == whole(world.kit.provider.NAME)


def test_a_run_ends_with_its_budget_and_the_next_goes_on(world: World) -> None:
    world.api.most = 1
    tell(world, {0, 1, 2, 4, 5})
    before, runs = len(world.memory.published), 0
    while not world.run(calls=2).complete:
        runs += 1
        assert runs < 100
    assert runs > 1
    world.read_back(before)
    assert world.known == whole(world.kit.provider.NAME)


def test_a_refused_key_is_for_a_person_and_what_was_healed_stays(world: World) -> None:
    tell(world, {0})
    world.api.troubles = [ApiReply(403)]
    told: list[str] = []
    with told_instead(lambda level, event, fields: told.append(event)), pytest.raises(Unavailable, match="403"):
        world.run()
    assert "fetch_refused" in told
    assert world.run().missing > 0


WRONG = {"data": 1, "events": 1, "notificationHistory": 1, "_embedded": 1, "results": 1}


@pytest.mark.parametrize("body", [b"", b"[]", b"<html>", json.dumps(WRONG).encode()], ids=str)
def test_an_answer_that_is_no_page_is_for_a_person(world: World, body: bytes) -> None:
    tell(world, {0})
    world.api.troubles = [ApiReply(200, body)]
    with pytest.raises(Unreadable):
        world.run()


def test_a_cursor_that_the_provider_has_forgotten_begins_the_list_anew(world: World) -> None:
    world.api.most = 1
    tell(world, {0, 1, 4, 5})
    before = len(world.memory.published)
    while not any(one["window"] and one["window"]["cursor"] for one in world.document["lists"].values()):
        assert not world.run(calls=1).complete
    world.api.troubles = [ApiReply(400)]
    told: list[str] = []
    with told_instead(lambda level, event, fields: told.append(event)):
        assert world.run().complete
    assert "reconcile_begun_anew" in told
    world.read_back(before)
    assert world.known == whole(world.kit.provider.NAME)


def test_a_page_that_is_too_large_is_asked_for_in_halves() -> None:
    world = a_world("stripe")
    tell(world, set(range(8)))
    world.api.largest = 5000
    assert world.run().missing > 0
    sizes = [int(request.url.partition("limit=")[2].partition("&")[0]) for request in world.api.asked]
    assert sorted(set(sizes), reverse=True)[:3] == [100, 50, 25]


def test_a_dry_run_names_the_gaps_and_changes_nothing(world: World) -> None:
    tell(world, {0, 1})
    before = (len(world.memory.published), dict(world.memory.documents))
    found = world.by_hand(NOON - HOUR, dry_run=True)
    assert len(found.gaps) == found.missing > 0
    assert found.healed == 0
    assert before == (len(world.memory.published), world.memory.documents)
    done = world.by_hand(NOON - HOUR)
    assert done.healed == found.missing
    assert world.state.finished_at is None
    assert world.by_hand(NOON - HOUR).missing == 0


def test_a_time_that_the_provider_has_forgotten_is_refused(world: World) -> None:
    with pytest.raises(Rejected, match="remembers nothing"):
        world.by_hand(NOON - 400 * DAY)


def test_whoever_was_never_heard_of_has_no_endpoint_yet(world: World) -> None:
    world.fact_told(FactKind.CAPTURED, 0, arrives=False)
    world.memory.heard = False
    done = world.run()
    assert (done.calls, done.complete, done.not_asked) == (0, False, flow.NO_ENDPOINT)


@dataclass
class Circling:
    """Stripe's list, whose last page is never told to be the last: `after` is what each leads to."""

    lister: Any
    after: Callable[[str], str]

    def __getattr__(self, name: str) -> Any:
        return getattr(self.lister, name)

    def read_page(self, asked: Any, body: bytes) -> Page:
        page = cast(Page, self.lister.read_page(asked, body))
        circles = page.items or asked.cursor
        return replace(page, cursor=page.cursor or self.after(asked.cursor)) if circles else page


@pytest.mark.parametrize(
    ("most", "after"),
    [(1000, lambda cursor: "evt_same"), (1, lambda cursor: cursor), (1000, lambda cursor: f"{cursor or 'evt_'}x")],
    ids=["leads to a place of its own", "leads to itself", "leads on and on"],
)
def test_a_list_without_an_end_is_told_of_and_what_is_on_it_is_healed(most: int, after: Callable[[str], str]) -> None:
    world = a_world("stripe", most)
    tell(world, {0, 4})
    # Of a cursor that it does not know the simulator says so; a list that circles answers with the same again.
    genuine = world.api.send
    last: list[Any] = []

    def send(request: Any, *, once: bool = False) -> Any:
        answer = genuine(request, once=once)
        last.append(answer if answer.status == 200 else last[-1])
        return last[-1]

    world.api.send = send  # type: ignore[method-assign]
    source = replace(world.source, lister=cast(Lister, Circling(world.source.lister, after)))
    told: list[str] = []
    budget = Budget(1000, 1.0, lambda: 0.0)
    with told_instead(lambda level, event, fields: told.append(event)):
        found = reconcile(source, world.ours, world.now, budget)
    assert (found.complete, set(found.endless), found.healed) == (False, {"disputes", "undelivered"}, 3)
    assert told.count("reconcile_endless") == len(found.endless)
    assert budget.calls > 700
    world.api.send = genuine  # type: ignore[method-assign]
    assert world.run().complete
    world.read_back()
    assert world.known == whole("stripe")


def test_pages_with_nothing_on_them_end_some_time() -> None:
    trail = flow._Trail()
    pages = [Page((), str(number)) for number in range(200)]
    assert next(number for number, page in enumerate(pages) if trail.leads_nowhere(page)) == flow.MOST_STALE


def test_a_list_that_is_forgotten_at_each_page_does_not_begin_anew_for_ever() -> None:
    world = a_world("stripe", 1)
    tell(world, {0, 1, 4})
    genuine = world.api.send

    def send(request: Any, *, once: bool = False) -> Any:
        world.api.troubles = [ApiReply(400)] if "starting_after" in request.url else []
        return genuine(request, once=once)

    world.api.send = send  # type: ignore[method-assign]
    with pytest.raises(Unavailable, match="400"):
        world.run()
    assert len(world.api.asked) < 20


def test_nobody_uses_up_anothers_share_and_what_is_left_of_one_is_everybodys() -> None:
    greedy, modest = Budget(100, 1.0, lambda: 0.0).shares(2)
    assert sum(greedy.take() for _ in range(1000)) == 75
    assert sum(modest.take() for _ in range(5)) == 5
    modest.release()
    assert sum(greedy.take() for _ in range(1000)) == 20
    assert not modest.take()


def test_a_time_that_is_too_young_was_not_looked_at(world: World) -> None:
    found = world.by_hand(LATER - timedelta(minutes=20), dry_run=True)
    assert (found.calls, found.not_asked) == (0, flow.TOO_YOUNG)


def test_what_failed_is_looked_for_again_every_day_for_thirty_days() -> None:
    """An event that Stripe was still trying, and gave up on days later."""
    world = a_world("stripe")
    tell(world, set())
    world.run()
    world.fact_told(FactKind.CAPTURED, 9, arrives=False)
    days = []
    for number in range(1, 5):
        days.append(world.run(now=LATER + number * 12 * HOUR).missing)
        world.memory.settle()
    assert days == [0, 2, 0, 0]  # the charge and its intent, a day after the first look


def test_a_list_that_the_budget_cannot_follow_alarms() -> None:
    world = a_world("gocardless")
    tell(world, set())
    world.run()
    for number in range(20, 26):
        world.fact_told(FactKind.CAPTURED, number, arrives=True)
    told: list[tuple[str, Any]] = []
    with told_instead(lambda level, event, fields: told.append((event, fields))):
        world.run(calls=0, now=LATER + 8 * HOUR)
    assert [event for event, _ in told if event == "reconcile_behind"] == ["reconcile_behind"]


def test_a_provider_that_does_not_answer_for_hours_is_told_of() -> None:
    world = a_world("gocardless")
    tell(world, set())
    world.api.before = gone
    told: list[str] = []
    for hours in (0, 3, 8):
        with told_instead(lambda level, event, fields: told.append(event)), pytest.raises(Unavailable):
            world.run(now=LATER + hours * HOUR)
    # Of a first run that never came to an end too: by where it was to end.
    assert told.count("reconcile_behind") == 3


def gone() -> None:
    raise Unavailable("no connection", reason="provider_unavailable")


def test_two_at_once_win_and_lose_whole_pages() -> None:
    world = a_world("stripe")
    tell(world, {0, 4})
    raced: list[Reconciled] = []

    def race() -> None:
        if world.api.asked and not raced:
            world.api.before = lambda: None
            raced.append(world.run())

    world.api.before = race
    with pytest.raises(Conflict):
        world.run()
    assert raced[0].healed == world.state.healed
    assert world.run().missing == 0


def test_a_thing_of_the_other_mode_is_left_alone_and_told_of() -> None:
    world = a_world("stripe")
    tell(world, set())
    body = json.loads(world.api.told[0].body) | {"id": "evt_other", "livemode": True}
    world.api.tell(json.dumps(body).encode(), NOON, delivered=False)
    told: list[str] = []
    with told_instead(lambda level, event, fields: told.append(event)):
        assert world.run().missing == 0
    assert "fetched_other_mode" in told


def test_what_cannot_be_read_is_kept_for_a_person_once() -> None:
    world = a_world("stripe")
    tell(world, set())
    body = json.loads(world.api.told[0].body)
    body |= {"id": "evt_unread", "data": {"object": {"id": 7}}}
    world.api.tell(json.dumps(body).encode(), NOON, delivered=False)
    assert world.run().healed == 1
    rows = [json.loads(one.data) for one in world.memory.published if one.topic == "deliveries"]
    assert [row["key_ids"] for row in rows if row["outcome"] == "unparsed"] == [["listed"]]
    world.memory.settle()
    assert world.run(now=LATER + DAY).missing == 0


# Any loss, any page, any death


@trying(max_examples=50, deadline=None)
@given(
    name=st.sampled_from(listed()),
    lost=st.frozensets(st.integers(0, len(STORY) - 1)),
    most=st.integers(1, 9),
    calls=st.integers(1, 8),
    kills=st.lists(st.tuples(st.integers(1, 25), st.booleans()), max_size=5),
)
def test_whatever_is_lost_and_wherever_it_dies_it_ends_as_without_loss_each_gap_once(
    name: str, lost: frozenset[int], most: int, calls: int, kills: list[tuple[int, bool]]
) -> None:
    world = a_world(name, most)
    tell(world, lost)
    before = len(world.memory.published)
    gaps = {one.event_id for one in whole(name).values()} - set(world.known)
    for kill_at, made in kills:
        world.memory.outside = Outside(kill_at, made)
        try:
            world.run(calls=calls)
        except Killed:
            continue
    world.memory.outside = Outside()
    runs = 0
    while not world.run(calls=calls).complete:
        runs += 1
        assert runs < 400, "it comes to an end"
    world.read_back(before)
    told = world.known
    assert told == whole(name)
    # Counted once each, whatever was published twice: two events of a thing are one gap of it.
    assert world.state.healed <= len(gaps)
    assert bool(world.state.healed) == bool(gaps)
    healed = world.state.healed
    for hours in (0, 3, 30):
        assert world.run(now=LATER + hours * HOUR).missing == 0
    assert world.state.healed == healed


# What the documents and the real warehouse make of it


@pytest.mark.parametrize("name", ["stripe", "mollie", "mercadopago"])
def test_payments_and_disputes_end_the_same_as_without_loss(name: str, tmp_path: Path) -> None:
    def documents(lost: set[int], own: Path) -> dict[Key, dict[str, Any]]:
        world, ports = a_world(name), local_ports(own / "ours")
        tell(world, lost)
        before = len(world.memory.published)
        if lost:
            assert world.run().healed > 0
            world.read_back(before)
        for event in world.known.values():
            record_payment(event, ports, LATER)
            track_dispute(event, ports, LATER)
        return everything(ports)

    assert documents({0, 1, 4, 5, 7}, tmp_path / "some") == documents(set(), tmp_path / "all") != {}


class Rows:
    """A bus whose messages are rows of a real warehouse at once."""

    def __init__(self, warehouse: Warehouse) -> None:
        self.warehouse = warehouse
        self.published = 0

    def publish(self, messages: Sequence[Message]) -> None:
        for message in messages:
            self.published += 1
            table = message.topic.replace("-", "_")
            stamp = {"publish_time": utc_text(LATER + self.published * timedelta(seconds=1))}
            self.warehouse.append(table, [json.loads(message.data) | stamp])


@pytest.mark.parametrize("name", ["stripe", "mollie"])
def test_the_warehouse_itself_says_what_we_have(name: str, tmp_path: Path) -> None:
    ports = connect(settings.read({"PAYIN_HOME": str(tmp_path)}))
    world = a_world(name)
    bus = Rows(ports.warehouse)
    world.memory = cast(Any, bus)
    for number, kind in enumerate(STORY):
        world.fact_told(kind, number, arrives=number not in (0, 5))
    ours = Ours(ports, bus, lambda text: text)
    budget = Budget(1000, 1.0, lambda: 0.0)
    found = reconcile(world.source, ours, LATER, budget)
    assert found.healed == found.missing > 0
    # Remembered beside the cursor, and hours later known by the warehouse.
    assert reconcile(world.source, ours, LATER + 3 * HOUR, budget).missing == 0
    by_hand = reconcile_by_hand(world.source, ours, LATER + 5 * HOUR, NOON - HOUR, None, budget, dry_run=True)
    assert (by_hand.missing, by_hand.listed > 0) == (0, True)


def test_no_listing_module_names_a_host_that_its_provider_does_not_have() -> None:
    for name in listed():
        lister = importlib.import_module(f"shared.providers.{name}.listing")
        others = [providers.load_api(name), providers.load_answer(name)]
        assert any(other is not None and lister.API_HOSTS <= other.API_HOSTS for other in others)
        assert all(isinstance(one, Stream) for one in lister.STREAMS)


def test_an_item_says_what_it_is() -> None:
    assert Page((Item(b"{}"),)).cursor is None
