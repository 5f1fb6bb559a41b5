"""What every provider whose objects are read back must do, found by name with the simulator that answers as its API."""

import contextlib
import dataclasses
import json
from typing import Any, cast
from urllib.parse import urlsplit

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from shared import providers
from shared.domain.api import ApiCredentials
from shared.domain.codec import decode_event, encode_event
from shared.domain.errors import Unreadable
from shared.domain.events import AnyEvent, DisputeChanged, PaymentChanged, PaymentStep, ResourceChanged
from shared.providers.kit.unmapped import unmapped_words
from tests.providers.kits import Kit, a_fact, a_kit, leaves, put
from tests.providers.test_contract import ODD
from tests.simulator.facts import FactKind

PAN = "4242424242424242"
FETCHED = [name for name in providers.names() if providers.load_api(name)]
FUZZ = hypothesis_settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
# Members that hold a provider's own ids, which may be plain numbers as long as a card's.
NUMBERS = frozenset({"id", "payments", "payment_id", "resource_id"})


@pytest.fixture(scope="module", params=FETCHED)
def kit(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Kit:
    return a_kit(request.param, tmp_path_factory.mktemp(request.param))


Answered = list[tuple[ResourceChanged, bytes]]


@pytest.fixture(scope="module")
def answers(kit: Kit) -> Answered:
    """A poke and what the API answers to it, of everything that there is, and of what that leads to."""
    found: Answered = []
    for kind in FactKind:
        waiting: list[AnyEvent] = list(kit.pokes(kind))
        while waiting:
            poke = waiting.pop()
            if isinstance(poke, ResourceChanged):
                body = kit.answered(poke)
                found.append((poke, body))
                waiting.extend(read(kit, poke, body))
    return found


def read(kit: Kit, poke: ResourceChanged, body: bytes) -> tuple[AnyEvent, ...]:
    return kit.fetcher.read_resource(poke, body)


def changed(body: bytes, path: tuple[str | int, ...], value: Any) -> bytes:
    whole = json.loads(body)
    parent = whole
    for step in path[:-1]:
        parent = parent[step]
    parent[path[-1]] = put(value)(None)
    return json.dumps(whole).encode()


def test_pokes_are_published_for_captures_and_refunds(kit: Kit) -> None:
    for kind, step in ((FactKind.CAPTURED, PaymentStep.CAPTURED), (FactKind.REFUNDED, PaymentStep.REFUNDED)):
        told = [event for poke in kit.pokes(kind) for event in kit.told(poke)]
        assert [event for event in told if isinstance(event, PaymentChanged) and event.step is step]


def test_every_read_of_the_same_state_gives_the_same_events_and_they_travel(kit: Kit, answers: Answered) -> None:
    assert answers
    for poke, body in answers:
        events = read(kit, poke, body)
        assert events == read(kit, poke, body)
        assert len({event.event_id for event in events}) == len(events)
        for event in events:
            assert decode_event(encode_event(event)) == event
            assert event.event_id.startswith(f"{kit.provider.NAME}:{poke.account}:")
            assert (event.delivery_id, event.unsigned) == (poke.delivery_id, ())


def test_no_word_of_what_the_simulators_answer_is_unknown_and_an_invented_one_is_told(
    kit: Kit, answers: Answered
) -> None:
    words = kit.fetcher.RESOURCE_WORDS
    told: set[tuple[str, str]] = set()
    for poke, body in answers:
        known = words.get(poke.resource, {})
        assert unmapped_words(json.loads(body), known) == ()
        for path in leaves(json.loads(body)):
            found = unmapped_words(json.loads(changed(body, path, "Invented")), known)
            told |= {(poke.resource, one.removesuffix("=Invented")) for one in found}
    # Not everything that a provider may say is simulated.
    assert told <= {(resource, path) for resource, known in words.items() for path in known}
    assert {resource for resource, _ in told} >= {poke.resource for poke, _ in answers} & set(words)


def test_a_personal_word_of_an_object_is_told_as_a_star(kit: Kit) -> None:
    for known in kit.fetcher.RESOURCE_WORDS.values():
        for path in known:
            *way, last = path.replace("[]", "").split(".")
            thing: Any = {last: [PAN, "ana@music.example", "two words"]}
            for step in reversed(way):
                thing = {step: [thing]}
            assert unmapped_words(thing, known) == (f"{path}=*",)


def test_no_read_tells_of_more_money_than_there_was(kit: Kit, answers: Answered) -> None:
    for poke, body in answers:
        for event in read(kit, poke, body):
            if isinstance(event, PaymentChanged | DisputeChanged) and event.amount is not None:
                assert event.amount.currency == "EUR"
                assert 0 < event.amount.minor <= a_fact(FactKind.CAPTURED).attempt.amount.minor


def test_a_card_number_or_an_email_address_in_any_field_never_reaches_an_event(kit: Kit, answers: Answered) -> None:
    for poke, body in answers:
        for path in leaves(json.loads(body)):
            for form in (PAN, f"paid with {PAN}.", "4242 4242 4242 4242", "ana@music.example", int(PAN)):
                names = {step for step in path if isinstance(step, str)}
                if form in (PAN, int(PAN)) and names & NUMBERS:
                    continue
                try:
                    text = repr(read(kit, poke, changed(body, path, form))).replace(" ", "")
                except Unreadable as error:
                    text = str(error)
                assert PAN not in text, path
                assert "ana@" not in text, path


def test_a_deadline_that_cannot_be_read_leaves_its_dispute_with_the_text(kit: Kit, answers: Answered) -> None:
    for poke, body in answers:
        for path in leaves(json.loads(body)):
            before = read(kit, poke, body)
            for value in ("soon", 10**30, -1, True, {"at": 1}, PAN):
                try:
                    after = read(kit, poke, changed(body, path, value))
                except Unreadable:
                    continue  # of another field, which an event cannot do without
                for one, other in zip(before, after, strict=False):
                    if isinstance(one, DisputeChanged) and isinstance(other, DisputeChanged) and not other.respond_by:
                        assert not one.respond_by or other.respond_by_text


json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.sampled_from(["", "1" * 400]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=5,
)


def test_no_value_in_any_field_raises_anything_of_its_own(kit: Kit, answers: Answered) -> None:
    for poke, body in answers:
        for path in leaves(json.loads(body)):
            for value in ODD:
                with contextlib.suppress(Unreadable):
                    read(kit, poke, changed(body, path, value))


@FUZZ
@given(data=st.data())
def test_an_answer_of_anything_gives_events_or_unreadable(kit: Kit, answers: Answered, data: st.DataObject) -> None:
    poke, body = data.draw(st.sampled_from(answers))
    for _ in range(data.draw(st.integers(0, 3))):
        paths = list(leaves(json.loads(body)))
        if not paths:
            break
        path = data.draw(st.sampled_from(paths))
        path = path[: data.draw(st.integers(1, len(path)))]
        body = changed(body, path, data.draw(json_values))
    if data.draw(st.booleans()):
        body = data.draw(st.binary(max_size=50)) + body
    try:
        events = read(kit, poke, body)
    except Unreadable:
        return
    for event in events:
        assert decode_event(encode_event(event)) == event


@pytest.mark.parametrize("word", ["hint", "resource_id", "resource", "account"])
@FUZZ
@given(text=st.text(max_size=80) | st.sampled_from(["..", "a/b", "a?b", "a#b", "a%2fb", "a\nb", PAN]))
def test_whatever_a_poke_says_an_address_is_the_providers_own(
    kit: Kit, answers: Answered, word: str, text: str
) -> None:
    fetcher = kit.fetcher
    poke = answers[0][0]
    usual = urlsplit(fetcher.resource_request(poke, ApiCredentials(key="k")).url)
    try:
        request = fetcher.resource_request(
            dataclasses.replace(poke, **cast(Any, {word: text})), ApiCredentials(key="k")
        )
    except Unreadable:
        return
    url = urlsplit(request.url)
    assert url.hostname in fetcher.API_HOSTS
    assert (url.scheme, url.fragment, url.query) == ("https", "", usual.query)
    assert url.path.count("/") == usual.path.count("/")
    assert request.url.isascii()
    assert ".." not in url.path.split("/")


def test_a_key_is_only_in_the_header_that_carries_it(kit: Kit, answers: Answered) -> None:
    request = kit.fetcher.resource_request(answers[0][0], ApiCredentials(key="a-key-of-ours"))
    assert "a-key-of-ours" not in request.url
    assert "a-key-of-ours" not in repr(request)
