"""A person is erased: nothing that names them is left anywhere, and of everybody else everything, to the byte."""

import hashlib
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from shared.backends import tables
from shared.backends.overlay import Overlay
from shared.domain.codec import decode, encode, encode_event, from_document
from shared.domain.decisions import Action
from shared.domain.disputes import Dispute
from shared.domain.erasing import BATCH, COLLECTIONS, FRESH, SETTLED, TABLES, Fate
from shared.domain.errors import Rejected
from shared.domain.events import AnyEvent, DisputeStatus, PaymentAssessed, PaymentChanged, PaymentStep
from shared.domain.instants import microseconds
from shared.domain.payments import Payment
from shared.domain.privacy import email_parts, nameable
from shared.domain.pseudonyms import DEVELOPMENT, Keyring
from shared.domain.reviews import Review, ReviewAction
from shared.domain.telemetry import told_instead
from shared.domain.usage import Consent, CustomerMessage, Played, SignIn, Told, Usage, after, record
from shared.flows import reviews
from shared.flows.assess_payment import count
from shared.flows.audit import Errand, audited, records, seen
from shared.flows.erasure import Nobody, Report, Stage, begin, follow_up, look, name_of, names_of, proof
from shared.flows.judged import Judged
from shared.flows.keep_evidence import keep_evidence
from shared.flows.listing import list_entity
from shared.flows.nameless import make_nameless, nameless_until
from shared.flows.ports import Delete, Key, Ports
from shared.flows.recompute_decisions import recompute_decisions
from shared.flows.record_payment import record_payment
from shared.flows.reviews import Word, claim
from shared.flows.reviews import decide as decide_review
from shared.flows.score_payment import score_payment
from shared.flows.scorer import Scorer
from shared.flows.track_dispute import track_dispute
from shared.fraud.decide import decide
from shared.fraud.lists import Entry
from tests.builders import (
    DAY,
    HOUR,
    NOON,
    a_card,
    a_dispute_event,
    a_fraud_warning,
    a_payment_event,
    an_assessment,
)
from tests.local import local_ports, published
from tests.stack.topology import ROOT

TOPOLOGY: dict[str, Any] = msgspec.json.decode((ROOT / "functions" / "topology.json").read_bytes())
ALL = tuple(TOPOLOGY["collections"])
ANA, BOB = "customer-ana", "customer-bob"
WHY = {"who": "eve@shop.example", "why": f"{ANA} asked for it"}


def of(customer: str, **told: Any) -> dict[str, Any]:
    """What names a customer in an event: all of it begins with their name."""
    return {
        "customer_id": customer,
        "device_id": f"{customer}-device",
        "ip": "203.0.113.7" if customer == ANA else "198.51.100.9",
        "email_hash": f"mail-v1-{customer}",
        "email_domain": f"{customer}.example",
        "card": a_card(fingerprint=f"{customer}-card", last4="4711" if customer == ANA else "8022"),
        **told,
    }


NAMES = (ANA, "203.0.113.7", '"4711', hashlib.sha256(f"{ANA}-card".encode()).hexdigest()[:16])


@dataclass
class World:
    """The flows on a real backend; what is published becomes rows, and the nights come."""

    ports: Ports
    now: datetime = NOON
    heard: int = 0

    def hear(self, *events: AnyEvent) -> None:
        """A delivery of each, and whoever listens."""
        for event in events:
            self.heard += 1
            delivery = {
                "delivery_id": f"d{self.heard}",
                "received_at": _text(event.occurred_at),
                "outcome": "accepted",
                "headers": '{"signature": "s"}',
                "body": msgspec.json.encode(encode_event(event)).decode()[1:-1],
            }
            self.ports.warehouse.append("deliveries", [delivery])
            self.ports.warehouse.append(
                "payment_events", [decode(encode_event(event, event.occurred_at), dict[str, Any])]
            )
            record_payment(event, self.ports, self.now)
            score_payment(event, self.ports, self.now, Scorer(use_model=False))
            track_dispute(event, self.ports, self.now)
        self.store()

    def ask(self, asked: PaymentAssessed) -> None:
        count(
            asked,
            self.ports,
            self.now,
            Scorer(use_model=False),
            lambda known, _, book, __: decide(known, None, self.now, book),
        )
        self.hear(asked)

    def store(self) -> None:
        for topic, table in (("fraud-decisions", "fraud_decisions"), ("dispute-updates", "dispute_updates")):
            self.ports.warehouse.append(table, published(self.ports, topic))

    def nights(self, until: datetime) -> None:
        """Some of them: what a night has missed the next one does."""
        while self.now < until:
            self.now += 6 * DAY
            self.expire()
            make_nameless(self.ports, self.now)
            follow_up(self.ports, self.now)

    def expire(self) -> None:
        """As Firestore does."""
        for name, told in TOPOLOGY["collections"].items():
            for expires in told.get("expires", ()):
                gone = self.ports.documents.due(name, expires, self.now, 1000)
                self.ports.documents.commit([Delete(one.key) for one in gone])

    def documents(self) -> dict[Key, Any]:
        return {one.key: one.document for name in ALL for one in self.ports.documents.scan(name, 10_000)}

    def rows(self) -> dict[str, list[bytes]]:
        found = {table: self.ports.warehouse.query(f"SELECT * FROM {table}") for table in TABLES}
        return {table: sorted(encode(row) for row in rows) for table, rows in found.items()}


def _text(at: datetime) -> str:
    return at.isoformat()


def everywhere(home: Path) -> bytes:
    """All that is in the database, without what SQLite has deleted and not yet written over; all rows; and all decisions, unpacked."""
    compact = home / "compact.sqlite"
    compact.unlink(missing_ok=True)
    with sqlite3.connect(home / "payin.sqlite") as database:
        database.execute("VACUUM INTO ?", (str(compact),))
    files = [compact, *sorted((home / "warehouse").rglob("*.ndjson"))]
    assert len(files) > 1
    return b"".join(one.read_bytes() for one in files)


def unpacked(world: World) -> bytes:
    found = [Judged.of(one) for one in world.ports.documents.scan("decisions", 10_000)]
    return b"".join(encode(one.decision) for one in found if one)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(local_ports(tmp_path))


def a_life(world: World) -> None:
    """Of Ana: a payment that was disputed and lost, a declined one, a request of which nothing came, use and an entry."""
    paid = of(ANA, payment_id="pi_1", merchant_reference="order-1")
    world.hear(
        a_payment_event(PaymentStep.AUTHORIZED, event_id="stripe:acct_1:e1", **paid),
        a_payment_event(PaymentStep.CAPTURED, event_id="stripe:acct_1:e2", **paid),
        a_payment_event(PaymentStep.DECLINED, event_id="stripe:acct_1:e3", **of(ANA, payment_id="pi_2")),
        a_dispute_event(event_id="stripe:acct_1:e4", payment_id="pi_1", status=DisputeStatus.LOST),
        a_payment_event(PaymentStep.CAPTURED, event_id="stripe:acct_1:e5", **of(BOB, payment_id="pi_9")),
    )
    world.ask(an_assessment(**of(ANA, request_id="r1", merchant_reference="order-3")))
    for customer in (ANA, BOB):
        seen = SignIn(first_at=NOON, last_at=NOON, ip="203.0.113.7" if customer == ANA else None)
        keep_evidence(Told(message_id="m1", source="player", customer_id=customer, sign_ins=(seen,)), world.ports, NOON)


def proved(world: World) -> Report:
    told = proof(world.ports, ANA, DEVELOPMENT)
    assert told is not None
    return told


def test_every_collection_and_every_column_says_what_erasing_does_with_it() -> None:
    assert set(COLLECTIONS) == set(ALL)
    assert set(TABLES) == set(tables.names())
    for table, rule in TABLES.items():
        declared = {
            f"{column.name}.{one.name}" if column.fields else column.name
            for column in tables.columns(table)
            for one in (column.fields or (column,))
        }
        assert declared == {*rule.names, *rule.stays}, f"{table}: a new column wants a rule in shared/domain/erasing.py"
        assert not {*rule.names} & rule.stays
        assert rule.at == TOPOLOGY["tables"][table]["partition"]
        assert rule.repeated == {
            c.name
            for c in tables.columns(table)
            if c.mode == "REPEATED" and c.name in {name.partition(".")[0] for name in rule.names}
        }
        tables.members_of(table, rule.names)


def test_nothing_that_names_a_customer_is_left_and_what_has_to_stay_is(world: World, tmp_path: Path) -> None:
    a_life(world)
    before = everywhere(tmp_path) + unpacked(world)
    assert all(name.encode() in before for name in NAMES[:3])
    told = begin(world.ports, ANA, DEVELOPMENT, world.now, **WHY)
    assert told.stage is Stage.ERASED
    assert {one.place: one.found for one in told.lines if one.found} == {
        "payments": 2,
        "decisions": 3,
        "feature_state": 5,
        "usage": 1,
    }
    assert ANA.encode() not in unpacked(world)
    world.nights(NOON + SETTLED + 9 * DAY)
    assert proved(world).stage is Stage.PROVED
    left = everywhere(tmp_path) + unpacked(world)
    assert [name for name in NAMES if name.encode() in left] == []
    payment = from_document(world.documents()[Key("payments", "stripe:pi_1")], Payment)
    assert (payment.state, payment.captured, payment.details.merchant_reference) == (
        "captured",
        payment.authorized,
        "order-1",
    )
    assert Key("disputes", "stripe:dp_1") in world.documents()
    # Bob is there.
    assert all(name in left for name in (BOB.encode(), b"8022"))


def test_what_people_wrote_of_them_in_a_review_goes_and_what_they_decided_stays(world: World, tmp_path: Path) -> None:
    for payment_id in ("pi_3", "pi_4"):
        doubtful = of(ANA, payment_id=payment_id, three_d_secure="failed")
        world.hear(a_payment_event(event_id=f"stripe:acct_1:{payment_id}", **doubtful))
    word = reviews.Word(
        request_id="w1", action=ReviewAction.RELEASE, code="known_customer", reason=f"{ANA} called", label="genuine"
    )
    reviews.claim(world.ports, "stripe:pi_3", "eve@shop.example", NOON)
    reviews.decide(world.ports, "stripe:pi_3", "eve@shop.example", NOON, word)
    key, waiting = Key("reviews", "stripe:pi_3"), Key("reviews", "stripe:pi_4")
    before = world.documents()
    told = begin(world.ports, ANA, DEVELOPMENT, NOON, **WHY)
    assert {one.place: one.found for one in told.lines}["reviews"] == 1
    after = world.documents()
    assert after[waiting] == before[waiting]
    kept, was = (from_document(found[key], Review) for found in (after, before))
    assert was.verdict is not None
    assert was.verdict.reason == f"{ANA} called"
    assert kept.verdict == replace(was.verdict, reason="")
    assert [(step.at, step.by, step.act) for step in kept.trail] == [(step.at, step.by, step.act) for step in was.trail]
    assert f"{ANA} called".encode() not in encode(after[key])


def test_a_dry_run_changes_nothing(world: World, tmp_path: Path) -> None:
    a_life(world)
    before = world.documents(), world.rows()
    assert look(world.ports, ANA, DEVELOPMENT, world.now).stage is Stage.FOUND
    assert (world.documents(), world.rows()) == before


@st.composite
def two_lives(draw: st.DrawFn) -> list[AnyEvent]:
    """Events of two customers in any order, repeated: of payments, declined and paid, warned of and refunded, now and then with one card."""
    events: list[AnyEvent] = []
    for number in range(draw(st.integers(2, 5))):
        customer = draw(st.sampled_from([ANA, BOB])) if number else ANA  # who is unknown is refused
        who = of(customer, payment_id=f"pi_{number}", occurred_at=NOON + draw(st.integers(0, 3)) * HOUR)
        if draw(st.booleans()):
            who["card"] = a_card(fingerprint="a-card-of-both", last4=None)
        first = draw(st.sampled_from([PaymentStep.DECLINED, PaymentStep.AUTHORIZED, PaymentStep.CAPTURED]))
        events.append(a_payment_event(first, event_id=f"stripe:acct_1:{number}a", **who))
        if draw(st.booleans()):
            later = draw(st.sampled_from([PaymentStep.CAPTURED, PaymentStep.REFUNDED]))
            events.append(a_payment_event(later, event_id=f"stripe:acct_1:{number}b", **who))
        if draw(st.booleans()):
            events.append(a_fraud_warning(event_id=f"stripe:acct_1:{number}c", payment_id=f"pi_{number}"))
    events = draw(st.permutations(events))
    return [*events, *draw(st.lists(st.sampled_from(events), max_size=2))]


@settings(max_examples=5, deadline=None, phases=[Phase.explicit, Phase.generate])
@given(two_lives())
def test_erasing_one_leaves_another_as_they_are_to_the_byte(
    tmp_path_factory: pytest.TempPathFactory, events: Sequence[AnyEvent]
) -> None:
    homes = [tmp_path_factory.mktemp("erased") / name for name in ("with", "without")]
    worlds = [World(local_ports(home)) for home in homes]
    for one in worlds:
        one.hear(*events)
    with_, without = worlds
    begin(with_.ports, ANA, DEVELOPMENT, NOON + DAY, **WHY)
    # What comes again changes nothing, for whomever.
    for one in worlds:
        one.now = NOON + DAY
        one.hear(*events)
        one.nights(NOON + SETTLED + 20 * DAY)
    assert proved(with_).stage is Stage.PROVED
    left = everywhere(homes[0]) + unpacked(with_)
    assert [name for name in NAMES if name.encode() in left] == []
    theirs = _of_ana(events)
    ours = {key: document for key, document in without.documents().items() if not _is(key, theirs)}
    kept = {key: document for key, document in with_.documents().items() if not _is(key, theirs)}
    assert {key: one for key, one in kept.items() if key.collection not in NOT_COMPARED} == {
        key: one for key, one in ours.items() if key.collection not in NOT_COMPARED
    }
    for table, rows in without.rows().items():
        mine = [row for row in rows if not any(payment in row for payment in theirs)]
        assert [row for row in with_.rows()[table] if not any(payment in row for payment in theirs)] == mine


NOT_COMPARED = {"erasures", "audit", "registry"}


def _of_ana(events: Sequence[AnyEvent]) -> list[bytes]:
    """Ana's payments, as they stand in rows, and what nobody but her has used."""
    paid = [one for one in events if isinstance(one, PaymentChanged)]
    used = {one.card.fingerprint for one in paid if one.customer_id == BOB and one.card}
    found = {
        name for one in paid if one.customer_id == ANA for name in (one.payment_id, one.card and one.card.fingerprint)
    }
    return [f'"{one}"'.encode() for one in sorted(map(str, found - used))]


def _is(key: Key, theirs: Sequence[bytes]) -> bool:
    value = key.id.partition(":")[2]
    return f'"{value}"'.encode() in theirs or value.startswith(ANA) or value == "203.0.113.7" or key.id == ANA


def test_whoever_is_killed_after_any_step_and_begins_again_leaves_the_same(tmp_path: Path) -> None:
    whole = World(local_ports(tmp_path / "whole"))
    a_life(whole)
    steps = _Steps()
    begin(replace(whole.ports, documents=steps.around(whole.ports.documents)), ANA, DEVELOPMENT, NOON, **WHY)
    expected = _comparable(whole)
    assert steps.taken > 15
    start = World(local_ports(tmp_path / "start"))
    a_life(start)
    for dies_at in range(1, steps.taken):
        # Each try on documents of its own, over the same life.
        killed = World(replace(start.ports, documents=Overlay(start.ports.documents)))
        dying = replace(killed.ports, documents=_Steps(dies_at).around(killed.ports.documents))
        with pytest.raises(_Killed):
            begin(dying, ANA, DEVELOPMENT, NOON, **WHY)
        begin(killed.ports, ANA, DEVELOPMENT, NOON, **WHY)
        assert _comparable(killed) == expected, dies_at


def _comparable(world: World) -> dict[Key, Any]:
    return {key: one for key, one in world.documents().items() if key.collection != "audit"}


class _Killed(BaseException):
    pass


class _Steps:
    def __init__(self, dies_at: int = 0) -> None:
        self.taken, self._dies_at = 0, dies_at

    def around(self, documents: Any) -> Any:
        steps = self

        class Dying:
            def __getattr__(self, name: str) -> Any:
                def call(*arguments: Any, **named: Any) -> Any:
                    found = getattr(documents, name)(*arguments, **named)
                    steps.taken += 1
                    if steps.taken == steps._dies_at:
                        raise _Killed
                    return found

                return call

        return Dying()


def test_what_is_told_after_an_erasure_does_not_bring_the_customer_back(world: World, tmp_path: Path) -> None:
    a_life(world)
    begin(world.ports, ANA, DEVELOPMENT, NOON, **WHY)
    features = [key for key in world.documents() if key.collection == "feature_state"]
    world.nights(NOON + SETTLED + 9 * DAY)
    refunded = of(ANA, payment_id="pi_1", occurred_at=world.now)
    world.hear(
        a_payment_event(PaymentStep.REFUNDED, event_id="stripe:acct_1:e8", **refunded),
        a_payment_event(PaymentStep.AUTHORIZED, event_id="stripe:acct_1:e1", **{**refunded, "occurred_at": NOON}),
        a_fraud_warning(event_id="stripe:acct_1:e9", payment_id="pi_1"),
    )
    assert from_document(world.documents()[Key("payments", "stripe:pi_1")], Payment).state == "refunded"
    assert [key for key in world.documents() if key.collection == "feature_state"] == features
    world.nights(world.now + BATCH + FRESH)
    left = everywhere(tmp_path) + unpacked(world)
    assert [name for name in NAMES if name.encode() in left] == []


def test_a_payment_made_after_they_asked_is_no_part_of_it(world: World) -> None:
    a_life(world)
    begin(world.ports, ANA, DEVELOPMENT, NOON + DAY, **WHY)
    world.now = NOON + 3 * DAY
    world.hear(a_payment_event(event_id="stripe:acct_1:e7", **of(ANA, payment_id="pi_7", occurred_at=world.now)))
    world.ask(an_assessment(**of(ANA, request_id="r7", merchant_reference="order-7", occurred_at=world.now)))
    world.nights(NOON + SETTLED + 10 * DAY)
    assert proved(world).stage is Stage.PROVED
    assert proved(world).returned
    assert from_document(world.documents()[Key("payments", "stripe:pi_7")], Payment).paid_by == ANA
    assert Key("feature_state", f"customer:{ANA}") in world.documents()
    named = "SELECT DISTINCT payment_id FROM payment_events WHERE customer_id = @customer ORDER BY payment_id"
    rows = world.ports.warehouse.query(named, {"customer": ANA})
    assert [row["payment_id"] for row in rows] == ["pi_7", "request:r7"]
    assert b"r7" in unpacked(world)


def test_whoever_goes_on_paying_while_a_dispute_is_fought_loses_what_is_of_before_all_the_same(
    world: World, tmp_path: Path
) -> None:
    old = {"device_id": "a-device-of-before", "ip": "192.0.2.44"}
    world.hear(
        a_payment_event(event_id="stripe:acct_1:e1", **of(ANA, payment_id="pi_1", **old)),
        a_dispute_event(event_id="stripe:acct_1:e2", payment_id="pi_1"),
    )
    sign_in(world, NOON - DAY, "192.0.2.44")
    assert begin(world.ports, ANA, DEVELOPMENT, NOON + DAY, **WHY).stage is Stage.WAITS
    world.now = NOON + 3 * DAY
    world.hear(a_payment_event(event_id="stripe:acct_1:e3", **of(ANA, payment_id="pi_7", occurred_at=world.now)))
    sign_in(world, world.now, "203.0.113.7")
    won = a_dispute_event(
        event_id="stripe:acct_1:e4", payment_id="pi_1", status=DisputeStatus.WON, occurred_at=world.now
    )
    world.hear(won)
    world.nights(NOON + 9 * DAY)
    # They go on: with the same card, which is theirs alone.
    world.hear(a_payment_event(event_id="stripe:acct_1:e5", **of(ANA, payment_id="pi_8", occurred_at=world.now)))
    world.nights(NOON + SETTLED + 20 * DAY)
    told = proved(world)
    assert (told.stage, told.returned) == (Stage.PROVED, True)
    found = {one.place: one.found for one in told.lines}
    assert (found["payments"], found["usage"]) == (1, 1)
    left = everywhere(tmp_path) + unpacked(world)
    assert [name for name in old.values() if name.encode() in left] == []
    documents = world.documents()
    [seen] = documents[Key("usage", ANA)]["sign_ins"].values()
    assert seen["ip"] == "203.0.113.7"
    began = {key.id: one["first"] for key, one in documents.items() if key.collection == "feature_state"}
    assert began.keys() >= {f"customer:{ANA}", f"card:{ANA}-card", f"device:{ANA}-device"}
    assert min(began.values()) > microseconds(told.asked_at)
    assert from_document(documents[Key("payments", "stripe:pi_8")], Payment).paid_by == ANA


def test_nothing_is_proved_while_payments_of_before_may_hide_behind_those_of_after(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared.flows.erasure.MOST", 2)
    sign_in(world, NOON - DAY, "192.0.2.44")
    begin(world.ports, ANA, DEVELOPMENT, NOON, **WHY)
    for number in range(2):
        since = of(ANA, payment_id=f"pi_{number}", occurred_at=NOON + DAY)
        world.hear(a_payment_event(event_id=f"stripe:acct_1:{number}", **since))
    world.hear(a_payment_event(event_id="stripe:acct_1:late", **of(ANA, payment_id="pi_9")))
    world.nights(NOON + SETTLED + 9 * DAY)
    assert proved(world).stage is Stage.ERASED
    monkeypatch.undo()
    world.nights(NOON + 2 * SETTLED + BATCH)
    assert proved(world).stage is Stage.PROVED
    assert from_document(world.documents()[Key("payments", "stripe:pi_9")], Payment).nameless


def sign_in(world: World, at: datetime, ip: str) -> None:
    seen = SignIn(first_at=at, last_at=at, ip=ip)
    keep_evidence(Told(message_id=ip, source="player", customer_id=ANA, sign_ins=(seen,)), world.ports, world.now)


def test_use_that_began_before_they_asked_is_cut_and_what_is_of_after_is_as_it_was() -> None:
    def told(at: datetime, name: str) -> Told:
        return Told(
            message_id=name,
            source="player",
            customer_id=ANA,
            sign_ins=(SignIn(first_at=at, last_at=at + HOUR, ip=name),),
            plays=(Played(count=1, first_at=at, last_at=at + HOUR),),
            consents=(Consent(at=at, purpose="app_stores", given=True),),
            messages=(CustomerMessage(at=at, from_customer=True, channel="chat", text=name),),
        )

    before, over, since = told(NOON - 2 * DAY, "before"), told(NOON, "over"), told(NOON + DAY, "since")
    empty = Usage(customer_id=ANA)
    both = record(record(record(empty, before), over), since)
    assert after(both, NOON) == record(empty, since)
    assert after(record(record(empty, before), over), NOON) is None


RING = Keyring({"1": b"a" * 32, "2": b"b" * 32}, "2")


def test_a_customer_who_is_known_by_an_address_alone_is_found_by_it_under_each_key(
    world: World, tmp_path: Path
) -> None:
    address = "ana@music.example"
    mail, _ = email_parts(address)
    assert mail is not None
    mails, [named, *_] = RING.every(mail), RING.every(nameable(address))
    before = Keyring({"1": b"a" * 32}, "1")
    assert mails == tuple(ring.keyed(mail.encode()).decode() for ring in (before, RING))
    # One provider tells of no id, another has the address for one; usage and a request name it in their own way.
    world.hear(
        a_payment_event(event_id="stripe:acct_1:e1", **of(ANA, customer_id=None, email_hash=mails[0])),
        a_payment_event(
            event_id="adyen:acct_1:e2",
            provider="adyen",
            **of(ANA, payment_id="pi_2", customer_id=mails[1], email_hash=mails[1], email_hash_also=mails[:1]),
        ),
        a_payment_event(event_id="stripe:acct_1:e9", **of(BOB, payment_id="pi_9")),
    )
    around: dict[str, Any] = {"email_hash": mails[1], "email_hash_also": mails[:1]}
    world.ask(an_assessment(**of(ANA, request_id="r1", customer_id=None, **around)))
    world.ask(an_assessment(**of(ANA, request_id="r2", customer_id=named, email_hash=mails[1])))
    seen = SignIn(first_at=NOON, last_at=NOON)
    keep_evidence(Told(message_id="m1", source="player", customer_id=named, sign_ins=(seen,)), world.ports, NOON)
    told = begin(world.ports, "  Ana@Music.example ", RING, NOON, who="eve", why=f"{address} asked")
    found = {one.place: one.found for one in told.lines}
    assert (found["payments"], found["decisions"], found["usage"]) == (2, 4, 1)
    world.nights(NOON + SETTLED + 9 * DAY)
    shown = proof(world.ports, address, RING)
    assert shown is not None
    assert shown.stage is Stage.PROVED
    left = everywhere(tmp_path) + unpacked(world)
    assert [name for name in (*NAMES, address, named, *mails) if name.encode() in left] == []
    assert BOB.encode() in left


def test_of_whom_nothing_at_all_is_known_no_erasure_is_written_down(world: World) -> None:
    a_life(world)
    before = world.documents()
    for nobody in ("customer-an", "nobody@music.example"):
        with pytest.raises(Nobody):
            look(world.ports, nobody, DEVELOPMENT, NOON)
        with pytest.raises(Nobody):
            begin(world.ports, nobody, DEVELOPMENT, NOON, **WHY)
    with pytest.raises(Rejected):
        begin(world.ports, "  ", DEVELOPMENT, NOON, **WHY)
    assert world.documents() == before
    # Spaces are no part of a name; and whoever is erased already is not refused.
    assert begin(world.ports, f" {ANA}\n", DEVELOPMENT, NOON, **WHY).person == name_of(ANA, DEVELOPMENT)
    assert begin(world.ports, ANA, DEVELOPMENT, NOON + HOUR, **WHY).asked_at == NOON


def test_of_an_address_that_stands_only_beside_an_id_it_is_said_by_which_id_to_ask(world: World) -> None:
    hashed = next(name for name in names_of("ana@music.example", DEVELOPMENT))
    world.hear(a_payment_event(**of(ANA, payment_id="pi_1", email_hash=hashed)))
    with pytest.raises(Nobody, match=f"beside an id of the customer's, and are erased by that: {ANA}$"):
        look(world.ports, "Ana@music.example", DEVELOPMENT, NOON + DAY)
    with pytest.raises(Nobody, match="nothing at all is known"):
        look(world.ports, "bob@music.example", DEVELOPMENT, NOON + DAY)


def test_a_report_counts_what_was_looked_through_and_nothing_else(world: World) -> None:
    a_life(world)
    world.hear(a_dispute_event(event_id="stripe:acct_1:f1", dispute_id="du_2", payment_id="pi_1"))
    told = begin(world.ports, ANA, DEVELOPMENT, NOON, **WHY)
    found = {one.place: one.found for one in told.lines}
    assert (told.stage, found["payments"], found["usage"], found["reviews"]) == (Stage.WAITS, 2, 1, 0)
    counted = {place for place, number in found.items() if number is not None}
    assert counted == {"payments", "decisions", "feature_state", "lists", "usage", "reviews", "audit"}


def test_a_report_tells_of_bytes_that_nobody_could_read(world: World) -> None:
    a_life(world)
    told = look(world.ports, ANA, DEVELOPMENT, NOON)
    [raw] = [one for one in told.lines if one.place == "bytes of deliveries that could not be read"]
    kept = msgspec.json.decode((ROOT / "functions" / "retention.json").read_bytes())["classes"]["raw bytes"]["days"]
    assert raw.ground.startswith(f"{kept} days after they came: they cannot be attributed to a person")
    assert (raw.found, raw.fate) == (None, Fate.EXPIRES)


def test_nothing_goes_while_a_dispute_is_fought_and_all_of_it_when_that_ends(world: World, tmp_path: Path) -> None:
    a_life(world)
    fought = a_dispute_event(event_id="stripe:acct_1:f1", dispute_id="du_2", payment_id="pi_1")
    world.hear(fought)
    documents = world.documents()
    told = begin(world.ports, ANA, DEVELOPMENT, NOON, **WHY)
    assert (told.stage, told.fought) == (Stage.WAITS, ("stripe:du_2",))
    changed = {key for key, one in world.documents().items() if documents.get(key) != one}
    assert {key.collection for key in changed} == {"erasures", "audit"}
    world.nights(NOON + 15 * DAY)
    ended = replace(fought, event_id="stripe:acct_1:f2", status=DisputeStatus.WON, occurred_at=world.now)
    world.hear(ended)
    world.nights(NOON + SETTLED + 20 * DAY)
    assert proved(world).stage is Stage.PROVED
    left = everywhere(tmp_path) + unpacked(world)
    assert [name for name in NAMES if name.encode() in left] == []
    assert from_document(world.documents()[Key("disputes", "stripe:du_2")], Dispute).status is DisputeStatus.WON


def test_an_entry_that_holds_stays_and_one_that_has_ended_goes_with_its_audit(world: World, tmp_path: Path) -> None:
    a_life(world)
    for customer, until in ((ANA, NOON + DAY), (BOB, NOON + 200 * DAY)):
        entry = Entry(
            kind="customer",
            value=customer,
            action=Action.BLOCK,
            until=until,
            owner="fraud",
            reason=f"{customer} stole, says bob@music.example",
        )
        errand = Errand(who="ben", why="a wave", what="lists add", at=NOON)
        list_entity(audited(world.ports, errand), entry, NOON, author="ben")
        world.now = NOON + 2 * DAY
        begin(world.ports, customer, DEVELOPMENT, world.now, who="eve", why=f"{customer} asked")
    kept = {key for key in world.documents() if key.collection in ("lists", "feature_state") and "customer" in key.id}
    assert kept == {Key("lists", f"customer:{BOB}"), Key("feature_state", f"customer:{BOB}")}
    assert set(world.documents()[Key("feature_state", f"customer:{BOB}")]) == {"listed", "expires_at"}
    told = encode(records(world.ports.documents, NOON - DAY, 50)).decode()
    for customer in (ANA, BOB):
        assert customer not in told
        assert name_of(customer, DEVELOPMENT) in told
    bobs = proof(world.ports, BOB, DEVELOPMENT)
    assert bobs is not None
    [held] = [one for one in bobs.lines if one.place == "lists, entries that hold"]
    assert (held.found, held.fate, held.ends_at) == (1, Fate.KEPT, NOON + 200 * DAY)
    assert "comments" in {one.place for one in bobs.lines}
    [said] = world.documents()[Key("lists", f"customer:{BOB}")]["changes"]
    assert said["reason"] == f"{name_of(BOB, DEVELOPMENT)} stole, says [e-mail]"
    # And no longer than it holds.
    assert world.documents()[Key("lists", f"customer:{BOB}")]["expires_at"] == NOON + 200 * DAY


def listed(world: World, customer: str, until: datetime, reason: str) -> None:
    entry = Entry(kind="customer", value=customer, action=Action.BLOCK, until=until, owner="fraud", reason=reason)
    errand = Errand(who="ben", why=reason, what="lists add", at=world.now)
    list_entity(audited(world.ports, errand), entry, world.now, author="ben")


def told_by_audit(world: World) -> str:
    return encode(records(world.ports.documents, NOON - DAY, 50)).decode()


def test_who_looked_at_somebody_of_whom_nothing_was_ever_listed_is_told_and_whom_they_looked_at_is_not(
    world: World, tmp_path: Path
) -> None:
    a_life(world)
    longer = f"{ANA}2"
    for number, name in enumerate((ANA, f"{ANA}-device", longer)):
        kind = "device" if name.endswith("device") else "customer"
        seen(world.ports.documents, "eve", NOON + number * HOUR, [f"lists:{kind}:{name}"])
    begin(world.ports, ANA, DEVELOPMENT, NOON + DAY, **WHY)
    assert told_by_audit(world).replace(longer, "").count(ANA) == 0
    looks = [one for one in records(world.ports.documents, NOON - DAY, 50) if one.who == "eve"]
    person = name_of(ANA, DEVELOPMENT)
    assert [one.changes[0].name for one in looks] == [
        f"lists:customer:{person}",
        f"lists:device:{person}",
        f"lists:customer:{longer}",
    ]
    # And what is looked at while the erasure is on its way.
    seen(world.ports.documents, "eve", NOON + 2 * DAY, [f"lists:customer:{ANA}"])
    world.nights(NOON + SETTLED + 9 * DAY)
    assert proved(world).stage is Stage.PROVED
    left = everywhere(tmp_path) + unpacked(world)
    assert ANA.encode() not in left.replace(longer.encode(), b"")
    [counted] = [one.found for one in proved(world).lines if one.place == "audit"]
    assert counted == 2


def test_what_is_audited_while_an_erasure_is_on_its_way_is_found_at_its_end(world: World) -> None:
    a_life(world)
    told = of(ANA, payment_id="pi_4", three_d_secure="failed")
    world.hear(a_payment_event(PaymentStep.CAPTURED, event_id="stripe:acct_1:e9", **told))
    begin(world.ports, ANA, DEVELOPMENT, NOON, **WHY)
    # Neither the payment nor the device's history leads there any more.
    later = NOON + DAY
    seen(world.ports.documents, "eve", later, [f"lists:device:{ANA}-device"])
    errand = Errand(who="eve", why=f"{ANA} called", what="review_payment release", at=later)
    kept = audited(world.ports, errand)
    claim(kept, "stripe:pi_4", "eve", later, HOUR)
    said = Word(request_id="w", action=ReviewAction.RELEASE, code="known", reason=f"{ANA} called", label="genuine")
    decide_review(kept, "stripe:pi_4", "eve", later, said)
    world.nights(NOON + SETTLED + 9 * DAY)
    assert proved(world).stage is Stage.PROVED
    assert ANA not in told_by_audit(world)
    assert ANA.encode() not in unpacked(world)
    assert "subjects" not in world.documents()[Key("erasures", name_of(ANA, DEVELOPMENT))]


@pytest.mark.parametrize("customer", ["eve", "read", "lists", "2026", "11", "customer"])
def test_an_id_that_is_an_ordinary_word_leaves_who_did_what_and_when_as_it_was(world: World, customer: str) -> None:
    world.hear(a_payment_event(**of(customer, payment_id="pi_1")))
    seen(world.ports.documents, "eve", NOON, [f"lists:customer:{customer}"])
    listed(world, customer, NOON + 2 * HOUR, f"{customer} stole")
    before = records(world.ports.documents, NOON - DAY, 50)
    begin(world.ports, customer, DEVELOPMENT, NOON + DAY, who="ben", why="asked")
    after = records(world.ports.documents, NOON - DAY, 50)[: len(before)]
    assert [(one.who, one.what, one.at) for one in after] == [(one.who, one.what, one.at) for one in before]
    assert f"{customer} stole" not in told_by_audit(world)
    assert '\\"until\\":\\"2026-11-02T14:00:00Z\\"' in told_by_audit(world)


def test_what_is_done_after_an_erasure_to_an_entry_that_holds_is_audited_by_the_erasures_name(world: World) -> None:
    a_life(world)
    listed(world, ANA, NOON + 300 * DAY, "stolen cards")
    begin(world.ports, ANA, DEVELOPMENT, NOON + HOUR, **WHY)
    world.nights(NOON + SETTLED + 9 * DAY)
    assert proved(world).stage is Stage.PROVED
    listed(world, ANA, NOON + 310 * DAY, f"{ANA}: more of them")
    seen(world.ports.documents, "eve", world.now, [f"lists:customer:{ANA}", "lists:all"])
    person, told = name_of(ANA, DEVELOPMENT), told_by_audit(world)
    assert ANA not in told
    for words in (f"{person}: more of them", f'"lists:customer:{person}"', f'"feature_state:customer:{person}"'):
        assert words in told
    # It is the one that decides all the same.
    [state] = world.ports.documents.get([Key("feature_state", f"customer:{ANA}")])
    assert state is not None
    assert list(state.document["listed"].values()) == [NOON + 310 * DAY]


def test_of_a_review_the_audit_keeps_who_and_when_and_no_words(world: World) -> None:
    told = of(ANA, payment_id="pi_1", three_d_secure="failed")
    world.hear(a_payment_event(PaymentStep.CAPTURED, event_id="stripe:acct_1:e1", **told))
    word = Word(
        request_id="w", action=ReviewAction.REFUSE, code="stolen_card", reason="Ana called", label="third_party_fraud"
    )
    errand = Errand(who="eve", why="Ana called", what="review_payment refuse", at=NOON)
    kept = audited(world.ports, errand)
    claim(kept, "stripe:pi_1", "eve", NOON, HOUR)
    decide_review(kept, "stripe:pi_1", "eve", NOON, word)
    assert "Ana called" in told_by_audit(world)
    begin(world.ports, ANA, DEVELOPMENT, NOON + DAY, who="ben", why="it was asked for")
    assert "Ana called" not in told_by_audit(world)
    *by_eve, _ = records(world.ports.documents, NOON - DAY, 50)
    assert {(one.who, one.what, one.at) for one in by_eve} == {("eve", "review_payment refuse", NOON)}
    assert "reviews:stripe:pi_1" in {changed.name for one in by_eve for changed in one.changes}


def test_the_report_is_the_same_whenever_it_is_asked_for_and_its_digest_proves_it(world: World) -> None:
    a_life(world)
    begin(world.ports, ANA, DEVELOPMENT, NOON, **WHY)
    world.nights(NOON + SETTLED + 9 * DAY)
    first, again = proved(world), proved(world)
    assert first == again
    assert hashlib.sha256(encode(replace(first, digest=""))).hexdigest() == first.digest
    [kept] = world.ports.documents.get([Key("erasures", first.person)])
    assert kept is not None
    assert kept.document["digest"] == first.digest
    assert proof(world.ports, BOB, DEVELOPMENT) is None


def test_a_run_says_how_many_it_looked_at_also_where_there_is_nobody(world: World) -> None:
    told: list[tuple[str, Any]] = []
    with told_instead(lambda _, event, fields: told.append((event, fields.get("looked_at")))):
        follow_up(world.ports, world.now)
        a_life(world)
        begin(world.ports, ANA, DEVELOPMENT, NOON, **WHY)
        follow_up(world.ports, world.now + 2 * DAY)
    assert [looked_at for event, looked_at in told if event == "erasures_followed"] == [0, 1]


def test_asking_again_is_one_request(world: World) -> None:
    a_life(world)
    begin(world.ports, ANA, DEVELOPMENT, NOON, **WHY)
    told = begin(world.ports, ANA, DEVELOPMENT, NOON + DAY, **WHY)
    assert told.asked_at == NOON
    assert len([key for key in world.documents() if key.collection == "erasures"]) == 1


def test_decisions_explain_themselves_as_before(world: World) -> None:
    a_life(world)
    before = recompute_decisions(world.ports, NOON + HOUR, 10, DAY)
    begin(world.ports, ANA, DEVELOPMENT, NOON, **WHY)
    world.nights(NOON + SETTLED + 9 * DAY)
    assert recompute_decisions(world.ports, NOON + HOUR, 10, DAY) == before
    assert before.equal >= 3
    vectors = "SELECT event_id FROM fraud_decisions WHERE ARRAY_LENGTH(features) > 0"
    assert len(world.ports.warehouse.query(vectors)) >= 3


def test_rows_of_days_that_are_past_lose_whom_they_name_each_day_once(world: World) -> None:
    a_life(world)
    make_nameless(world.ports, NOON + FRESH)
    assert world.ports.warehouse.query("SELECT COUNT(*) AS n FROM deliveries WHERE body IS NULL") == [{"n": 0}]
    make_nameless(world.ports, NOON + FRESH + DAY)
    assert world.ports.warehouse.query("SELECT COUNT(*) AS n FROM deliveries WHERE body IS NOT NULL") == [{"n": 0}]
    assert (
        nameless_until(world.ports.documents, "deliveries")
        == datetime(NOON.year, NOON.month, NOON.day, tzinfo=NOON.tzinfo) + DAY
    )
    # What nobody could read is nobody's yet; features of the past are computed from events.
    late = {"delivery_id": "x", "received_at": _text(NOON), "body": "eA==", "headers": "{}"}
    world.ports.warehouse.append("deliveries", [{**late, "outcome": "unparsed"}, {**late, "outcome": "ignored"}])
    make_nameless(world.ports, NOON + 2 * FRESH + DAY)
    kept = world.ports.warehouse.query("SELECT outcome FROM deliveries WHERE body IS NOT NULL")
    assert kept == [{"outcome": "unparsed"}]
    named = "SELECT COUNT(*) AS n FROM payment_events WHERE customer_id IS NOT NULL"
    assert world.ports.warehouse.query(named)[0]["n"] >= 5


def test_a_batch_of_rows_that_takes_several_runs_goes_on_where_it_ended(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared.flows.erasure.DAYS_A_RUN", 1)
    for number in range(3):
        paid = of(ANA, payment_id=f"pi_{number}", occurred_at=NOON - number * DAY)
        world.hear(a_payment_event(event_id=f"stripe:acct_1:{number}", **paid))
    begin(world.ports, ANA, DEVELOPMENT, NOON, **WHY)
    named = "SELECT COUNT(*) AS n FROM payment_events WHERE customer_id IS NOT NULL"
    left = []
    for hour in range(4):
        follow_up(world.ports, NOON + BATCH + hour * HOUR)
        # Who is asked for meanwhile is of the next batch.
        told = Told(message_id="m1", source="player", customer_id=BOB, sign_ins=(SignIn(first_at=NOON, last_at=NOON),))
        keep_evidence(told, world.ports, NOON)
        begin(world.ports, BOB, DEVELOPMENT, NOON + BATCH + hour * HOUR, who="eve", why="asked")
        left += [row["n"] for row in world.ports.warehouse.query(named)]
    assert left == [2, 1, 0, 0]
    assert Key("registry", "rows_batch") not in world.documents()
