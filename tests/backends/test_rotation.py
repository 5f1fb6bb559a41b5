"""The key of pseudonyms is rotated while customers are listed by their e-mail address: at both doors, on every store."""

import json
import re
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from time import monotonic
from typing import Any

import pytest

from shared.domain.codec import decode, decode_event
from shared.domain.decisions import Action, Decision, Listed, Outcome
from shared.domain.errors import Rejected
from shared.domain.events import PaymentAssessed, PaymentChanged
from shared.domain.pseudonyms import MAIL, NAME, Keyring, unkeyed
from shared.flows.assess_payment import Assessor, settle
from shared.flows.book_of_rules import BOOK, publish_book, standing_book
from shared.flows.entries_by_key import named_entries, watch_entries
from shared.flows.event_messages import event_message
from shared.flows.listing import list_entity, take_back
from shared.flows.ports import Delete, Key, Message, Ports
from shared.flows.pseudonyms import PseudonymousBus
from shared.flows.score_payment import score_payment
from shared.flows.scorer import Scorer
from shared.fraud.book import Contents
from shared.fraud.lists import Entry
from shared.runtime.assessments import read
from shared.runtime.rule_book import manage_rules
from tests.builders import DAY, HOUR, MINUTE, NOON, a_payment_event
from tests.flows.counting import Counting

pytestmark = pytest.mark.parametrize(
    "backend", ["sqlite", pytest.param("gcp-grpc", marks=pytest.mark.emulators)], indirect=True
)
FIRST = Keyring({"1": b"a" * 32}, "1")
ADDED = Keyring({"1": b"a" * 32, "2": b"b" * 32}, "2")
THIRD = Keyring({"1": b"a" * 32, "2": b"b" * 32, "3": b"c" * 32}, "3")
TAKEN_BACK = Keyring(ADDED.keys, "1")
DROPPED = Keyring({"2": b"b" * 32}, "2")


class Kept:
    def __init__(self) -> None:
        self.messages: list[Message] = []

    def publish(self, messages: Sequence[Message]) -> None:
        self.messages += messages


@pytest.fixture
def address() -> str:
    """Nobody else's: stores are shared."""
    return f"{uuid.uuid4().hex}@music.example"


@pytest.fixture
def ports(backend: Ports) -> Ports:
    return replace(backend, bus=Kept())


@pytest.fixture
def book(backend: Ports) -> Iterator[None]:
    """A book of this test's own."""
    yield
    backend.documents.commit([Delete(BOOK), Delete(Key("rule_books", "00000001"))])


def told(address: str, keyring: Keyring, **fields: Any) -> PaymentChanged:
    """What a webhook publishes of a payment by whom only the address is known."""
    name = f"pi_{uuid.uuid4().hex}"
    nobody: dict[str, Any] = {"method": "paypal", "customer_id": None, "device_id": None, "ip": None, "card": None}
    event = a_payment_event(
        **nobody | {"payment_id": name, "event_id": f"stripe:a:{name}", "email_hash": unkeyed(MAIL, address)} | fields
    )
    kept = Kept()
    PseudonymousBus(kept, keyring).publish([event_message(event, NOON)])
    made = decode_event(kept.messages[0].data)
    assert isinstance(made, PaymentChanged)
    return made


def asked(address: str, keyring: Keyring, *, hashed: bool = False, **fields: Any) -> PaymentAssessed:
    """What `assess_payment` makes of a request by that address, or by its digest."""
    whom = {"email_sha256": unkeyed(MAIL, address)[-64:]} if hashed else {"email": address}
    body = {"request_id": uuid.uuid4().hex, "provider": "stripe", "amount": {"minor": 999, "currency": "EUR"}}
    return read(json.dumps({**body, **whom, **fields}).encode()).asked(keyring, NOON)


def by_webhook(ports: Ports, address: str, keyring: Keyring) -> Decision:
    bus = Kept()
    score_payment(told(address, keyring), replace(ports, bus=bus), NOON + HOUR, Scorer(use_model=False))
    return decode(bus.messages[-1].data, Decision)


def by_request(ports: Ports, address: str, keyring: Keyring) -> Decision:
    return _assessed(ports, asked(address, keyring))


def by_digest(ports: Ports, address: str, keyring: Keyring) -> Decision:
    return _assessed(ports, asked(address, keyring, hashed=True))


def _assessed(ports: Ports, event: PaymentAssessed) -> Decision:
    assessor = Assessor(lambda: ports, Scorer(use_model=False), {}, 4)
    return assessor.assess(event, NOON + HOUR, until=monotonic() + 30).decision


Door = Callable[[Ports, str, Keyring], Decision]
DOORS = pytest.mark.parametrize("door", [by_webhook, by_request, by_digest])


def name_of(address: str, keyring: Keyring) -> str:
    return keyring.keyed_text(unkeyed(MAIL, address))


def an_entry(kind: str, value: str, **changes: Any) -> Entry:
    made: dict[str, Any] = {"action": Action.BLOCK, "until": NOON + 30 * DAY, "owner": "risk", "reason": "a mule"}
    return Entry(kind=kind, value=value, **made | changes)


def block(ports: Ports, address: str, keyring: Keyring, **changes: Any) -> None:
    list_entity(ports, an_entry("customer", name_of(address, keyring), **changes), NOON, author="ana")


@DOORS
@pytest.mark.parametrize(
    ("listed_under", "seen_under", "found"),
    [
        (FIRST, FIRST, True),
        (FIRST, ADDED, True),
        (FIRST, THIRD, True),
        (ADDED, TAKEN_BACK, True),
        (ADDED, DROPPED, True),
        # Nobody can know: `entries_lapsed` tells.
        (FIRST, DROPPED, False),
    ],
    ids=["before", "added", "another one", "taken back", "dropped, listed since", "dropped"],
)
def test_whoever_is_listed_by_their_address_stays_so_while_the_key_is_held(
    ports: Ports, address: str, door: Door, listed_under: Keyring, seen_under: Keyring, found: bool
) -> None:
    block(ports, address, listed_under)
    decision = door(ports, address, seen_under)
    assert decision.listed == ((Listed(action=Action.BLOCK, kind="customer"),) if found else ())
    assert decision.outcome is (Outcome.DECLINE if found else Outcome.APPROVE)
    assert not door(ports, f"other-{address}", seen_under).listed


@DOORS
def test_the_books_entry_on_an_address_survives_too(ports: Ports, address: str, door: Door, book: None) -> None:
    contents = Contents(entries=(an_entry("email_hash", name_of(address, FIRST), action=Action.ALLOW),))
    publish_book(ports, contents, NOON, after=None, author="ana", why="a partner")
    for keyring, found in ((FIRST, True), (ADDED, True), (TAKEN_BACK, True), (DROPPED, False)):
        expected = (Listed(action=Action.ALLOW, kind="email_hash"),) if found else ()
        assert door(ports, address, keyring).listed == expected


@DOORS
def test_what_is_said_under_two_names_is_said_once_until_the_later_day(ports: Ports, address: str, door: Door) -> None:
    block(ports, address, FIRST, until=NOON + 2 * HOUR)
    block(ports, address, ADDED, until=NOON + MINUTE)
    assert door(ports, address, ADDED).listed == (Listed(action=Action.BLOCK, kind="customer"),)
    take_back(
        ports, "customer", name_of(address, FIRST), Action.BLOCK, None, NOON + MINUTE, author="ana", reason="her own"
    )
    assert door(ports, address, ADDED).listed == ()


def test_whoever_has_an_id_is_listed_by_that_and_nothing_more_is_read(ports: Ports, address: str) -> None:
    block(ports, address, FIRST)
    counting = Counting(ports.documents)
    event = told(address, ADDED, customer_id=uuid.uuid4().hex)
    assert event.email_hash_also == (name_of(address, FIRST),)
    score_payment(event, replace(ports, documents=counting), NOON, Scorer(use_model=False))
    bus = Kept()
    score_payment(event, replace(ports, bus=bus), NOON, Scorer(use_model=False))
    assert decode(bus.messages[-1].data, Decision).listed == ()
    # The decision's own, the customer, the domain and the book.
    assert counting.documents == 4


@pytest.mark.parametrize(("keyring", "documents"), [(FIRST, 4), (DROPPED, 4), (ADDED, 5), (THIRD, 6)])
def test_a_name_more_is_looked_for_only_while_a_further_key_is_held_and_in_the_same_read(
    ports: Ports, address: str, keyring: Keyring, documents: int
) -> None:
    counting = Counting(ports.documents)
    score_payment(told(address, keyring), replace(ports, documents=counting), NOON, Scorer(use_model=False))
    assert (counting.reads, counting.commits, counting.documents) == (1, 1, documents)
    counting = Counting(ports.documents)
    _assessed(replace(ports, documents=counting), asked(address, keyring))
    assert (counting.reads, counting.commits, counting.documents) == (1, 1, documents)


def test_a_redelivery_across_a_rotation_is_the_same_payment_and_the_same_request(ports: Ports, address: str) -> None:
    block(ports, address, FIRST)
    bus = Kept()
    there = replace(ports, bus=bus)
    name = f"pi_{uuid.uuid4().hex}"
    for keyring in (FIRST, ADDED, ADDED):
        event = told(address, keyring, payment_id=name, event_id=f"stripe:a:{name}")
        score_payment(event, there, NOON, Scorer(use_model=False))
    first, *again = [decode(one.data, Decision) for one in bus.messages if one.topic == "fraud-decisions"]
    assert again == [first, first]
    request = uuid.uuid4().hex
    before_it_as_text = Keyring({**FIRST.keys, "0": b"t" * 32}, "0")
    keyrings = (FIRST, ADDED, THIRD, before_it_as_text)
    answers = [_assessed(ports, asked(address, keyring, request_id=request)) for keyring in keyrings]
    assert answers == [answers[0]] * 4
    assert answers[0].outcome is Outcome.DECLINE


def test_an_answer_that_is_counted_late_stands_as_it_was_given(ports: Ports, address: str) -> None:
    block(ports, address, FIRST)
    bus = Kept()
    answered = _assessed(replace(ports, bus=bus), asked(address, ADDED))
    [message] = [one for one in bus.messages if one.topic == "payment-events"]
    event = decode_event(message.data)
    assert isinstance(event, PaymentAssessed)
    assert event.email_hash_also == (name_of(address, FIRST),)
    settle(event, replace(ports, bus=bus))
    assert decode(bus.messages[-1].data, Decision) == answered


def test_who_is_listed_by_a_name_of_before_is_not_said_to_be_let_pass_by_the_name_of_now(
    ports: Ports, address: str
) -> None:
    def call(act: str, value: str, **members: Any) -> Any:
        asked = {"act": act, "kind": "customer", "value": value, **members}
        return manage_rules(json.dumps(asked).encode(), ports, NOON + HOUR, "ben")

    before, now = name_of(address, FIRST), name_of(address, ADDED)
    back: dict[str, Any] = {"action": "block", "rule": None, "reason": "her own card"}
    block(ports, address, FIRST)
    # By its name of now nothing stands, and that is not all.
    shown = call("listed", now)
    assert (shown.standing, shown.changes) == ({}, ())
    told_so = re.escape("under another key of pseudonyms (mail-") + "[0-9A-Za-z]+-.*email_hash_also.*payin lists keys"
    assert re.search(told_so, shown.note)
    with pytest.raises(Rejected, match=f"nothing of this kind is said of it now; .*{told_so}"):
        call("unlist", now, **back)
    [other] = told(address, ADDED).email_hash_also
    assert call("listed", other).standing.keys() == {"block"}
    assert call("unlist", other, **back).standing == {}
    assert by_request(ports, address, ADDED).listed == ()
    assert other == before
    assert call("listed", "cus_1").note is None


def holding(ports: Ports, keyring: Keyring) -> set[tuple[str, bool]]:
    return {(one.value, one.holds) for one in named_entries(ports.documents, keyring, NOON + HOUR)}


def test_a_key_that_is_dropped_while_entries_go_by_it_calls_somebody(
    ports: Ports, address: str, book: None, caplog: pytest.LogCaptureFixture
) -> None:
    # Versions of this test's own, for others have listed by theirs.
    old, new = (uuid.uuid4().hex[:12] for _ in range(2))
    before = Keyring({**THIRD.keys, old: b"o" * 32}, old)
    during = Keyring({**before.keys, new: b"n" * 32}, new)
    after = Keyring({**THIRD.keys, new: b"n" * 32}, new)
    ids = Keyring({old: b"o" * 32, **during.keys}, new)
    number = ids.keyed_text(unkeyed(NAME, "4242424242424242"))
    block(ports, address, before)
    block(ports, f"2-{address}", before, until=NOON + DAY)
    block(ports, f"3-{address}", during)
    list_entity(ports, an_entry("card", number), NOON, author="ana")
    list_entity(ports, an_entry("customer", "mail-order-7"), NOON, author="ana")
    entry = an_entry("email_hash", name_of(address, before), action=Action.ALLOW)
    publish_book(ports, Contents(entries=(entry,)), NOON, after=None, author="ana", why="a partner")
    assert standing_book(ports.documents).contents.entries

    def alarms(keyring: Keyring, now: datetime = NOON + HOUR) -> list[tuple[Any, ...]]:
        caplog.clear()
        watch_entries(ports.documents, keyring, now)
        fields = [record.fields for record in caplog.records if record.message == "entries_lapsed"]  # type: ignore[attr-defined]
        return [(one["key"], one["entries"], one["kinds"]) for one in fields if one["key"] in (old, new)]

    # An id goes by the oldest key, and that is another one here.
    assert alarms(during) == [(old, 1, "block:card")]
    assert alarms(ids) == []
    gone = (old, 4, "allow:email_hash block:card block:customer")
    assert alarms(after) == [gone]
    assert alarms(after, NOON + 2 * DAY) == [(old, 3, gone[2])]
    assert alarms(after, NOON + 31 * DAY) == []
    held = holding(ports, during)
    assert {(name_of(address, before), True), (name_of(f"3-{address}", during), True), (number, False)} <= held
    lapsed = holding(ports, after)
    assert {(name_of(address, before), False), (name_of(f"3-{address}", during), True)} <= lapsed
    assert "mail-order-7" not in {value for value, _ in lapsed}
