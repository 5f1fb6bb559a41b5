"""What every provider in `shared.providers` must do, found by name with the simulator of the same name."""

import contextlib
import dataclasses
import json
import re
import timeit
import tracemalloc
from collections.abc import Callable
from datetime import timedelta, timezone
from pathlib import Path
from time import process_time
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from shared import providers
from shared.domain.codec import decode_event, encode_event
from shared.domain.delivery import Credentials, Delivery, Verdict
from shared.domain.errors import Misconfigured, SignatureInvalid, Unavailable, Unreadable
from shared.domain.events import (
    AnyEvent,
    DisputeChanged,
    DisputeStatus,
    FraudWarned,
    PaymentChanged,
    PaymentStep,
    ResourceChanged,
)
from shared.domain.money import Money
from shared.domain.privacy import email_parts
from shared.providers.kit.protocol import Normalized
from shared.providers.kit.unmapped import unmapped
from tests.providers.declared import DECLARED, Declared
from tests.providers.kits import NOON, SAMPLES, Kit, a_fact, a_kit, an_attempt, another, leaves, put
from tests.simulator.facts import FactKind

SECOND = timedelta(seconds=1)
PAN = "4242424242424242"
FUZZ = hypothesis_settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))


@pytest.fixture(scope="module", params=providers.names())
def kit(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Kit:
    return a_kit(request.param, tmp_path_factory.mktemp(request.param))


def where(applies: Callable[[Declared], bool]) -> pytest.MarkDecorator:
    """For the providers of whom what they declare makes it a question; those that declare nothing among them."""
    names = [name for name in providers.names() if name not in DECLARED or applies(DECLARED[name])]
    return pytest.mark.parametrize("kit", names, indirect=True)


@pytest.fixture
def declared(kit: Kit) -> Declared:
    assert kit.provider.NAME in DECLARED, f"say in tests/providers/declared.py what {kit.provider.NAME} signs"
    return DECLARED[kit.provider.NAME]


def refused(kit: Kit, delivery: Delivery, credentials: Credentials | None = None) -> str | None:
    """The reason of the refusal; None when it was accepted. A certificate that is not there is no acceptance."""
    try:
        kit.verify(delivery, credentials)
    except SignatureInvalid as error:
        return error.reason
    except Unavailable as error:
        return error.reason
    return None


# Signatures


def test_everything_the_provider_sends_is_verified_and_read(kit: Kit) -> None:
    kit.provider.check_credentials(kit.credentials)
    for body in kit.bodies():
        delivery = kit.signed(body)
        verdict = kit.verify(delivery)
        assert verdict.key_ids == ("current",)
        normalized = kit.normalize(delivery, verdict)
        assert normalized.unreadable == ()
        assert normalized.types
        assert bool(normalized.events) != bool(normalized.ignored)


def test_what_a_forger_sends_is_refused(kit: Kit) -> None:
    for body in kit.bodies():
        assert refused(kit, kit.delivery(kit.simulator.forge(body, NOON)))


@pytest.mark.parametrize("bit", [0x01, 0x20])
def test_a_changed_byte_of_the_body_is_refused_or_changes_nothing_that_counts_as_signed(
    kit: Kit, declared: Declared, bit: int
) -> None:
    for body in kit.simulator.requests(a_fact(FactKind.CAPTURED))[:1] + kit.simulator.requests(
        a_fact(FactKind.DISPUTE_OPENED)
    ):
        delivery = kit.signed(body)
        original = kit.normalize(delivery, kit.verify(delivery)).events
        for place in range(len(delivery.body)):
            flipped = bytearray(delivery.body)
            flipped[place] ^= bit
            forged = dataclasses.replace(delivery, body=bytes(flipped))
            if refused(kit, forged) is None:
                assert not declared.whole_body, f"byte {place} is not covered"
                _only_unsigned_fields_differ(kit, original, forged)


def test_a_changed_value_of_the_body_is_refused_or_changes_nothing_that_counts_as_signed(kit: Kit) -> None:
    for body in kit.bodies():
        delivery = kit.signed(body)
        original = kit.normalize(delivery, kit.verify(delivery)).events
        for path in leaves(kit.opened(delivery.body)):
            for change in (another, put(None), put({})):
                forged = dataclasses.replace(delivery, body=kit.changed(delivery.body, path, change))
                if kit.opened(forged.body) != kit.opened(delivery.body) and refused(kit, forged) is None:
                    _only_unsigned_fields_differ(kit, original, forged)


def _only_unsigned_fields_differ(kit: Kit, original: tuple[AnyEvent, ...], forged: Delivery) -> None:
    try:
        events = kit.normalize(forged, kit.verify(forged)).events
    except Unreadable:
        return
    for before, after in zip(original, events, strict=False):
        assert type(before) is type(after)
        one_event = before.event_id == after.event_id or "event_id" in before.unsigned
        assert one_event, "a replay with other unsigned parts must be the same event"
        differing = {
            field.name
            for field in dataclasses.fields(before)
            if getattr(before, field.name) != getattr(after, field.name)
        }
        assert differing <= {*before.unsigned, *after.unsigned, "unsigned", "delivery_id"}


def test_a_changed_byte_of_a_covered_header_is_refused(kit: Kit, declared: Declared) -> None:
    delivery = kit.signed(kit.bodies()[0])
    for name, covered in declared.headers.items():
        value = delivery.headers[name]
        (span,) = [match.span() for match in re.finditer(covered, value)]
        for place in range(*span):
            flipped = value[:place] + chr(ord(value[place]) ^ 1) + value[place + 1 :]
            forged = dataclasses.replace(delivery, headers={**delivery.headers, name: flipped})
            assert refused(kit, forged), f"{name} at {place}"
        longer = value[: span[1]] + "0" + value[span[1] :]
        assert refused(kit, dataclasses.replace(delivery, headers={**delivery.headers, name: longer})), name


def test_a_missing_or_empty_or_odd_header_is_refused(kit: Kit, declared: Declared) -> None:
    delivery = kit.signed(kit.bodies()[0])
    for name in declared.headers:
        without = {key: value for key, value in delivery.headers.items() if key != name}
        for headers in (without, *({**without, name: odd} for odd in ("", " ", "=", ",", "é\udc80", "x" * 100_000))):
            assert refused(kit, dataclasses.replace(delivery, headers=headers)), name


def test_noise_around_the_headers_does_not_matter(kit: Kit) -> None:
    delivery = kit.signed(kit.bodies()[0])
    noisy = {name: f"  {value} " for name, value in delivery.headers.items()} | {"x-forwarded-for": "é\udc80", "": ""}
    assert kit.verify(dataclasses.replace(delivery, headers=noisy)).key_ids == ("current",)


def test_the_key_that_verified_is_named_before_and_after_a_rotation(
    kit: Kit, tmp_path_factory: pytest.TempPathFactory
) -> None:
    rotated = a_kit(kit.provider.NAME, kit.folder)
    rotated.simulator.rotate()
    delivery = rotated.signed(kit.bodies()[0])
    assert kit.verify(delivery).key_ids == ("next",)
    old = dataclasses.replace(kit.credentials, keys={"current": kit.credentials.keys["current"]})
    assert refused(kit, delivery, old) == "signature_mismatch"


UNREADABLE_DEADLINES: tuple[Any, ...] = (
    "soon",
    "2026-02-31",
    "9" * 400,
    10**30,
    -1,
    True,
    1.5,
    {"at": 1},
    [],
    PAN,
    int(PAN),
)


def test_a_deadline_that_cannot_be_read_leaves_its_dispute_and_is_told_of(kit: Kit, declared: Declared) -> None:
    has_one = (
        isinstance(declared.deadline, str) and not declared.poke and FactKind.DISPUTE_OPENED not in declared.silent
    )
    broken = 0
    for body in kit.simulator.requests(a_fact(FactKind.DISPUTE_OPENED)) if has_one else ():
        delivery = kit.signed(body)
        verdict = kit.verify(delivery)

        def told(body: bytes, delivery: Delivery = delivery, verdict: Verdict = verdict) -> Normalized:
            return kit.normalize(dataclasses.replace(delivery, body=body), verdict)

        def dispute(found: Normalized) -> DisputeChanged | None:
            return next((event for event in found.events if isinstance(event, DisputeChanged)), None)

        before = dispute(told(delivery.body))
        for path in leaves(kit.opened(delivery.body)) if before and before.respond_by else ():
            try:
                without = dispute(told(kit.changed(delivery.body, path, put(None))))
            except Unreadable:
                continue  # an event cannot do without it
            if not before or not without or without.respond_by:
                continue
            for value in UNREADABLE_DEADLINES:
                broken += 1
                found = told(kit.changed(delivery.body, path, put(value)))
                after = dispute(found)
                assert after
                assert after.respond_by is None
                assert after.respond_by_text
                assert PAN not in after.respond_by_text
                assert [line for line in found.unreadable if line.endswith(": neither an instant nor a date")]
                own = {
                    name: getattr(before, name) for name in ("respond_by", "respond_by_text", "event_id", "delivery_id")
                }
                assert dataclasses.replace(after, **own) == before
    assert bool(broken) == has_one


def test_a_wrong_or_empty_secret_verifies_nothing(kit: Kit, tmp_path_factory: pytest.TempPathFactory) -> None:
    other = a_kit(kit.provider.NAME, tmp_path_factory.mktemp("other"), seed=8)
    delivery = kit.signed(kit.bodies()[0])
    wrong = dataclasses.replace(kit.credentials, keys=other.credentials.keys)
    empty = dataclasses.replace(kit.credentials, keys={"current": "", "next": ""})
    none = dataclasses.replace(kit.credentials, keys={})
    odd = dataclasses.replace(kit.credentials, keys={"current": "é\udc80"})
    for credentials in (wrong, empty, none, odd):
        assert refused(kit, delivery, credentials) == "signature_mismatch"


@pytest.mark.parametrize(
    ("kit", "secret"),
    [
        (name, secret)
        for name in providers.names()
        for secret in ("", " ", "é", "short")
        if (name, secret) != ("paypal", "short")  # it does not say how long a webhook id is
    ],
    indirect=["kit"],
)
def test_a_secret_that_could_never_verify_is_refused_at_start(kit: Kit, secret: str) -> None:
    with pytest.raises(Misconfigured, match=f"WEBHOOK_{kit.provider.NAME.upper()}"):
        kit.provider.check_credentials(dataclasses.replace(kit.credentials, keys={"current": secret}))


def test_a_delivery_is_accepted_up_to_each_edge_of_its_time_and_refused_beyond(kit: Kit, declared: Declared) -> None:
    body = kit.bodies()[0]
    if declared.earliest is None or declared.latest is None:
        assert kit.verify(kit.signed(body, NOON, NOON + timedelta(days=30))).signed_at is None
        return
    assert kit.verify(kit.signed(body, NOON, NOON - declared.earliest)).signed_at == NOON
    assert kit.verify(kit.signed(body, NOON, NOON + declared.latest)).signed_at == NOON
    for received_at in (NOON - declared.earliest - SECOND, NOON + declared.latest + SECOND):
        assert refused(kit, kit.signed(body, NOON, received_at)) == "outside_tolerance"


def test_a_stored_delivery_says_which_headers_it_needs_and_none_is_a_secret(kit: Kit) -> None:
    assert all(name == name.lower() for name in kit.provider.SIGNED_HEADERS)
    assert "authorization" not in kit.provider.SIGNED_HEADERS


# Translation


def test_every_copy_of_a_delivery_gives_the_same_events(kit: Kit) -> None:
    for body in kit.bodies():
        first, later = kit.signed(body), kit.signed(body, NOON + timedelta(hours=1))
        once, again = (kit.normalize(one, kit.verify(one)) for one in (first, later))
        assert once == again
        assert once.delivery_id.startswith(f"{kit.provider.NAME}:")


def test_event_ids_are_unique_and_events_travel(kit: Kit) -> None:
    events = [event for kind in FactKind for event in kit.events(a_fact(kind))]
    # An object that is read back again tells what it told before.
    facts = {(one.event_id, type(one), getattr(one, "step", ""), getattr(one, "amount", None)) for one in events}
    assert len({event.event_id for event in events}) == len(facts)
    for event in events:
        assert decode_event(encode_event(event)) == event
        assert event.event_id.startswith(f"{kit.provider.NAME}:{event.account}:")
        assert event.occurred_at == NOON


def test_what_a_provider_has_no_message_for_it_sends_nothing_for(kit: Kit, declared: Declared) -> None:
    never = {FactKind.FRAUD_WARNED, FactKind.AUTHORIZED, FactKind.CANCELED}  # for some payments of some providers
    for kind in FactKind:
        assert bool(kit.events(a_fact(kind))) or kind in declared.silent | never | {FactKind.UNKNOWN_TYPE}
        assert not (kind in declared.silent and kit.simulator.requests(a_fact(kind)))


def test_a_payment_keeps_its_name_its_money_and_what_tells_of_its_customer(kit: Kit, declared: Declared) -> None:
    attempt = an_attempt()
    told = [event for kind in (FactKind.AUTHORIZED, FactKind.CAPTURED) for event in kit.events(a_fact(kind, attempt))]
    payment = told[0]
    assert isinstance(payment, PaymentChanged)
    if declared.customer:
        assert (payment.customer_id, payment.device_id, payment.ip) == ("customer-1", "device-1", "198.51.100.7")
    assert payment.email_hash in (None, email_parts(attempt.email)[0])
    if FactKind.CAPTURED not in declared.silent:
        (captured, *_) = kit.events(a_fact(FactKind.CAPTURED, attempt))
        assert isinstance(captured, PaymentChanged)
        assert (captured.step, captured.amount) == (PaymentStep.CAPTURED, attempt.amount)
        assert captured.payment_id == kit.simulator.payment_id(attempt)
        payment = captured
    if FactKind.REFUNDED not in declared.silent:
        part = Money(500, "EUR")
        refunded = _the(PaymentStep.REFUNDED, kit.events(a_fact(FactKind.REFUNDED, attempt, amount=part)))
        assert refunded.amount == part
        assert refunded.payment_id == kit.simulator.payment_id(attempt)
        assert refunded.reference != payment.reference


def _the(step: PaymentStep, events: list[AnyEvent]) -> PaymentChanged:
    """The one event of `step`."""
    (found,) = (event for event in events if isinstance(event, PaymentChanged) and event.step is step)
    return found


@where(lambda declared: FactKind.DECLINED not in declared.silent)
def test_a_decline_says_that_a_stolen_card_is_not_to_be_tried_again(kit: Kit, declared: Declared) -> None:
    (declined,) = kit.events(a_fact(FactKind.DECLINED))
    assert isinstance(declined, PaymentChanged)
    assert declined.step is PaymentStep.DECLINED
    if declared.decline_code:
        assert declined.decline_code
        assert declined.hard_decline


@pytest.mark.parametrize(
    ("kit", "kind", "status"),
    [
        (name, kind, status)
        for name in providers.names()
        for kind, status in (
            (FactKind.DISPUTE_OPENED, DisputeStatus.NEEDS_RESPONSE),
            (FactKind.DISPUTE_ANSWERED, DisputeStatus.UNDER_REVIEW),
            (FactKind.DISPUTE_WON, DisputeStatus.WON),
            (FactKind.DISPUTE_LOST, DisputeStatus.LOST),
        )
        if name not in DECLARED or kind not in DECLARED[name].silent
    ],
    indirect=["kit"],
)
def test_a_dispute_is_followed_from_its_first_message_to_its_last(
    kit: Kit, declared: Declared, kind: FactKind, status: DisputeStatus
) -> None:
    fact = a_fact(kind)
    names = {kit.simulator.payment_id(fact.attempt)}
    for payment in kit.events(a_fact(FactKind.AUTHORIZED)) + kit.events(a_fact(FactKind.CAPTURED)):
        names |= set(payment.aliases) if isinstance(payment, PaymentChanged) else set()
    # The money of a dispute may be told of together with it (Apple), and an object read back tells all that it is.
    events = [event for event in kit.events(fact) if not isinstance(event, PaymentChanged)]
    assert events
    for event in events:
        assert isinstance(event, DisputeChanged)
        assert event.status is (declared.won if kind is FactKind.DISPUTE_WON else status)
        assert fact.dispute is not None
        assert event.dispute_id == kit.simulator.dispute_id(fact.dispute)
        assert event.payment_id in (None, *names)
        assert event.amount == fact.attempt.amount or (event.amount is None and kind is not FactKind.DISPUTE_OPENED)
        if kind is FactKind.DISPUTE_OPENED:
            assert event.reason_code == declared.reason_code
            due = fact.dispute.respond_by
            assert due is not None
            if declared.deadline == "date":
                due = due.replace(hour=0, tzinfo=timezone(timedelta(hours=14)))
            if isinstance(declared.deadline, timedelta):
                due = fact.at + declared.deadline
            assert event.respond_by == (due if declared.deadline else None)
            if declared.deadline:
                assert event.respond_by_text
                assert event.can_respond


def test_an_early_fraud_warning_names_its_payment(kit: Kit) -> None:
    for event in kit.events(a_fact(FactKind.FRAUD_WARNED)):
        assert isinstance(event, FraudWarned)
        assert event.payment_id == kit.simulator.payment_id(an_attempt())


@pytest.mark.parametrize(
    ("kit", "currency"),
    [
        (name, currency)
        for name in providers.names()
        for currency in ("EUR", "JPY", "KWD", "ISK", "UGX", "CLP", "HUF", "TWD", "MGA", "IDR", "CVE")
        if name not in DECLARED or currency in (DECLARED[name].currencies or {currency})
    ],
    indirect=["kit"],
)
def test_money_arrives_as_it_was_sent_in_every_currency(kit: Kit, declared: Declared, currency: str) -> None:
    # Whole major units: CVE, IDR and MGA have no smaller ones at the provider.
    money = Money(5000_000, currency)
    kinds = [kind for kind in FactKind if kind not in {*declared.silent, FactKind.UNKNOWN_TYPE}]
    events = [event for kind in kinds for event in kit.events(a_fact(kind, an_attempt(amount=money)))]
    told = {name: [value for event in events if (value := getattr(event, name, None))] for name in ("amount", "moved")}
    assert told["amount"]
    assert set(told["amount"]) == {money}
    assert {abs(moved.minor) for moved in told["moved"]} <= {money.minor}
    assert {moved.currency for moved in told["moved"]} <= {currency}


def test_a_card_number_or_an_email_address_in_any_field_never_reaches_an_event(kit: Kit, declared: Declared) -> None:
    forms = (PAN, f"paid with {PAN}.", "4242 4242 4242 4242", "ana@music.example", "<ana@music.example>")
    for body in kit.bodies():
        delivery = kit.signed(body)
        verdict = kit.verify(delivery)
        for path in leaves(kit.opened(delivery.body)):
            for form in (*forms, int(PAN)):
                if path[-1] in declared.numbers and form in (PAN, int(PAN)):
                    continue
                told = dataclasses.replace(delivery, body=kit.changed(delivery.body, path, put(form)))
                try:
                    text = repr(kit.normalize(told, verdict)).replace(" ", "")
                except Unreadable as error:
                    text = str(error)
                assert PAN not in text, path
                assert "ana@" not in text, path


def test_a_batch_or_message_with_an_unreadable_amount_says_where_and_not_what(kit: Kit, declared: Declared) -> None:
    seen = 0
    for body in kit.bodies():
        delivery = kit.signed(body)
        for path in leaves(kit.opened(delivery.body)):
            member = "".join(map(str, path[-2:])).lower()
            if "amount" not in member and "price" not in member:
                continue
            told = dataclasses.replace(delivery, body=kit.changed(delivery.body, path, put("12,3 secret")))
            try:
                lines = " ".join(kit.normalize(told, Verdict(("k",))).unreadable)
            except Unreadable as error:
                lines = str(error)
            assert "secret" not in lines
            seen += "amount" in lines or "price" in lines.lower()
    assert seen or declared.poke


# Anything at all


ODD: tuple[Any, ...] = (
    "9" * 5000,
    10**4000,
    -1,
    "",
    "\0",
    "é" * 300,
    True,
    [[]],
    [{}],
    {"a": []},
    "1e400",
    "-0",
    "0x1",
    "NaN",
)
json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.sampled_from(["", "1" * 400]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=5,
)
headers = st.dictionaries(
    st.sampled_from(sorted({"hmacsignature"}.union(*(declared.headers for declared in DECLARED.values())))),
    st.text(max_size=60) | st.sampled_from(["t=1,v1=00", "Basic Og==", "Basic \udc80"]),
)


queries = st.text(max_size=60) | st.sampled_from(
    ["data.id=1&data.id=2", "key=%ff", "data.id=%C3%A9", "&" * 999, "a=\udc80"]
)


@FUZZ
@given(
    body=st.binary(max_size=200) | json_values.map(lambda value: json.dumps(value).encode()),
    headers=headers,
    query=queries,
)
def test_verification_refuses_anything_else_and_raises_nothing_of_its_own(
    kit: Kit, body: bytes, headers: dict[str, str], query: str
) -> None:
    assert refused(kit, Delivery(kit.provider.NAME, body, headers, NOON, query=query))
    genuine = kit.signed(kit.bodies()[0])
    other = dataclasses.replace(genuine, headers={**genuine.headers, **headers}, body=body)
    if refused(kit, other) is None:
        assert DECLARED[kit.provider.NAME].bare
        with contextlib.suppress(Unreadable):
            told = kit.normalize(other, kit.verify(other)).events
            assert all(isinstance(event, ResourceChanged) for event in told)


@FUZZ
@given(data=st.data())
def test_translation_of_anything_gives_events_or_unreadable(kit: Kit, data: st.DataObject) -> None:
    genuine = kit.signed(data.draw(st.sampled_from(kit.bodies())))
    body, query = genuine.body, data.draw(st.just(genuine.query) | queries)
    for _ in range(data.draw(st.integers(0, 3))):
        paths = list(leaves(kit.opened(body)))
        if not paths:
            break
        path = data.draw(st.sampled_from(paths))
        path = path[: data.draw(st.integers(1, len(path)))]
        value = data.draw(json_values)
        body = kit.changed(body, path, put(value))
    if data.draw(st.booleans()):
        body = data.draw(st.binary(max_size=50)) + body
    try:
        normalized = kit.normalize(Delivery(kit.provider.NAME, body, {}, NOON, query=query), Verdict(("k",)))
    except Unreadable:
        return
    for event in normalized.events:
        assert decode_event(encode_event(event)) == event


def test_no_value_in_any_field_raises_anything_of_its_own(kit: Kit) -> None:
    for body in kit.bodies():
        whole, query = kit.signed(body).body, kit.signed(body).query
        for path in leaves(kit.opened(whole)):
            for value in ODD:
                with contextlib.suppress(Unreadable):
                    changed = kit.changed(whole, path, put(value))
                    delivery = Delivery(kit.provider.NAME, changed, {}, NOON, query=query)
                    kit.normalize(delivery, Verdict(("k",)))


MEBIBYTE = 1 << 20
FILLED: list[Callable[[int], bytes]] = [
    lambda size: b'{"a":[' + b",".join([b"{}"] * (size * 2 // 7)) + b"]}",
    lambda size: b"{" + b",".join(b'"%d":1' % place for place in range(size // 13)) + b"}",
    lambda size: b'{"a":"' + b"4 " * (size // 2 - 4) + b'"}',
    lambda size: b'{"a":' * (size // 5),
    lambda size: b"a=b&" * (size // 4),
    lambda size: b"%3Ca%3E" * (size // 7),
    lambda size: b"\xff" * size,
]


@pytest.mark.parametrize("filled", FILLED, ids=lambda filled: filled(64)[:8].decode("latin-1"))
def test_a_mebibyte_of_anything_is_judged_in_bounded_time_and_memory(kit: Kit, filled: Callable[[int], bytes]) -> None:
    """The largest body that the webhook takes: judged as it comes, and as a member of what the provider sends."""
    genuine = kit.signed(kit.bodies()[0])
    paths = [path for path in leaves(kit.opened(genuine.body)) if isinstance(path[-1], str)]

    def judged(size: int) -> None:
        body = filled(size)
        bodies = [body]
        with contextlib.suppress(ValueError, RecursionError):
            bodies.append(kit.changed(genuine.body, paths[-1], put(json.loads(body))))
        for told in bodies:
            delivery = dataclasses.replace(genuine, body=told)
            refused(kit, delivery)
            with contextlib.suppress(Unreadable):
                unmapped(kit.provider, delivery, kit.normalize(delivery, Verdict(("k",))))

    began = process_time()
    judged(MEBIBYTE)
    assert process_time() - began < 5  # a second is usual
    # Tracing makes it several times slower: memory is in proportion, so a part is enough.
    tracemalloc.start()
    try:
        judged(MEBIBYTE // 8)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 96 * MEBIBYTE // 8


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"[]",
        b"null",
        b"NaN",
        b'{"a": Infinity}',
        b'{"a": 1e999999999}',
        b'{"a": ' + b"9" * 5000 + b"}",
        b"\xff\xfe{}",
        b'{"a": "\\ud800"}',
        b"[" * 100_000,
        b'{"a":' * 200 + b"1" + b"}" * 200,
    ],
    ids=lambda body: body[:16].decode("latin-1"),
)
def test_a_body_that_is_no_message_is_unreadable(kit: Kit, body: bytes) -> None:
    with pytest.raises(Unreadable):
        kit.normalize(Delivery(kit.provider.NAME, body, {}, NOON), Verdict(("k",)))


# What nobody reads

UNREAD = {
    "half a pair": rb'"\ud83c"',
    "the other half": rb'"pizza \udf55"',
    "no UTF-8": b'"caf\xe9"',
    "1e400": b"1e400",
    "NaN": b"NaN",
    "500 digits": b"9" * 500,
    "5000 digits": b"9" * 5000,
    "deep objects": b'{"a":' * 500 + b"1" + b"}" * 500,
    "deep arrays": b"[" * 5000 + b"]" * 5000,
    "named twice": b'1, "a_member_nobody_reads": "2"',
}
MARK = '"a_mark"'


class _Told(str):
    """A simulator's JSON, with `odd` in the place of the mark once it becomes bytes."""

    odd = b""

    def encode(self, *arguments: str) -> bytes:
        return super().encode(*arguments).replace(MARK.encode(), self.odd)


def with_unread(kit: Kit, body: bytes, odd: bytes, monkeypatch: pytest.MonkeyPatch) -> Delivery:
    """The delivery of `body` with a further member whose JSON is `odd`, signed as the provider signs."""
    if body.lstrip().startswith(b"<"):
        text = odd.strip(b'"').replace(rb"\ud83c", b"&#xD83C;").replace(rb"\udf55", b"&#xDF55;")
        text = b"<a>" * 200 + b"</a>" * 200 if text[:1] in b"{[" else text
        end = body.rindex(b"</")
        return kit.signed(body[:end] + b"<a-member-nobody-reads>" + text + b"</a-member-nobody-reads>" + body[end:])
    marked = body.replace(b"{", b'{"a_member_nobody_reads": ' + MARK.encode() + b", ", 1)
    assert json.loads(marked)
    dumps = json.dumps
    with monkeypatch.context() as patch:
        told = type("_Told", (_Told,), {"odd": odd})
        patch.setattr(json, "dumps", lambda *value, **options: told(dumps(*value, **options)))
        delivery = kit.signed(marked)
    if MARK.encode() in delivery.body:  # signed as it is
        with contextlib.suppress(ValueError, RecursionError):
            return kit.signed(marked.replace(MARK.encode(), odd))
    return dataclasses.replace(delivery, body=delivery.body.replace(MARK.encode(), odd))


def said(events: tuple[AnyEvent, ...]) -> list[AnyEvent]:
    """Events but for their names, of which some are digests of the body."""
    return [dataclasses.replace(event, event_id="", delivery_id="") for event in events]


@pytest.mark.parametrize("odd", UNREAD)
def test_what_nobody_reads_sinks_no_delivery(kit: Kit, odd: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for body in kit.bodies():
        plain = kit.signed(body)
        delivery = with_unread(kit, body, UNREAD[odd], monkeypatch)
        assert delivery.body != plain.body
        normalized = kit.normalize(delivery, kit.verify(delivery))
        assert normalized.unreadable == ()
        assert said(normalized.events) == said(kit.normalize(plain, kit.verify(plain)).events)
        unmapped(kit.provider, delivery, normalized)
        for event in normalized.events:
            assert decode_event(encode_event(event)) == event


@pytest.mark.parametrize("odd", UNREAD)
def test_what_nobody_reads_sinks_no_object_that_is_read_back(kit: Kit, odd: str) -> None:
    if kit.api is None:
        return
    for poke in (one for kind in FactKind for one in kit.pokes(kind)):
        body = kit.answered(poke)
        member = b'{"a_member_nobody_reads": ' + UNREAD[odd] + b', "'
        told = body.replace(b'{"', member)
        assert told != body
        assert kit.api.read_resource(poke, told) == kit.api.read_resource(poke, body)


@pytest.mark.parametrize("body", [b"", b"\x1f\x8b\x08\x00", b"[]", b"\xff\xfe", b"{", b"null", b"<"])
def test_what_is_authentic_but_unreadable_is_stored_whatever_the_body(
    kit: Kit, declared: Declared, body: bytes
) -> None:
    """Of the providers that sign a body as a whole, or prove their sender beside it."""
    if declared.framed:
        return
    delivery = kit.signed(body)
    assert delivery.body == body
    verdict = kit.verify(delivery)
    assert verdict.key_ids == ("current",)
    with contextlib.suppress(Unreadable):
        assert not kit.normalize(delivery, verdict).events


# Real payloads


def samples() -> list[Any]:
    found = []
    for name in providers.names():
        for file in sorted((SAMPLES / name).rglob("*.json")):
            path = file.relative_to(SAMPLES).as_posix()
            if name not in DECLARED or not DECLARED[name].is_no_webhook(path):
                found.append(pytest.param(name, file, id=path))
    return found or [pytest.param("", Path(), marks=pytest.mark.skip(reason="the folder of real payloads is absent"))]


@pytest.mark.parametrize(("name", "file"), samples())
def test_a_real_payload_is_read_into_sensible_events(name: str, file: Path) -> None:
    provider = providers.load(name)
    verdict = Verdict(("k",))
    normalized = provider.normalize(
        Delivery(name, file.read_bytes(), {}, NOON), verdict, Credentials(keys={"k": "not used"})
    )
    assert normalized.unreadable == ()
    assert len(normalized.events) + len(normalized.ignored) >= len(normalized.types) > 0
    for event in normalized.events:
        assert decode_event(encode_event(event)) == event
        assert 2010 <= event.occurred_at.year <= 2026
        amount = getattr(event, "amount", None)
        assert amount is None or 0 <= amount.minor < 10**8


# Speed


def test_verifying_and_translating_takes_well_under_a_millisecond(kit: Kit) -> None:
    delivery = kit.signed(kit.bodies()[0])

    def both() -> None:
        kit.normalize(delivery, kit.verify(delivery))

    both()
    assert min(timeit.repeat(both, number=20, repeat=10)) / 20 < 0.001
