"""Through intake itself: what is published names no address and no number that could be a card's."""

import json
import logging
from collections.abc import Sequence
from pathlib import Path

import pytest

from shared import providers
from shared.domain.codec import decode_event
from shared.domain.events import AnyEvent, PaymentChanged
from shared.domain.pseudonyms import DEVELOPMENT, MAIL, NAME, Keyring, unkeyed
from shared.flows.ports import Message
from shared.flows.pseudonyms import PseudonymousBus
from shared.flows.receive_delivery import receive
from tests.providers.declared import DECLARED
from tests.providers.kits import Kit, a_fact, a_kit, an_attempt
from tests.simulator.facts import FactKind

PAN = "4242424242424242"
ONE = Keyring({"1": b"a" * 32}, "1")
ROTATED = Keyring({"1": b"a" * 32, "2": b"b" * 32}, "2")


class Kept:
    def __init__(self) -> None:
        self.messages: list[Message] = []

    def publish(self, messages: Sequence[Message]) -> None:
        self.messages += messages

    @property
    def events(self) -> list[AnyEvent]:
        return [decode_event(one.data) for one in self.messages if one.topic == "payment-events"]


@pytest.fixture(scope="module", params=providers.names())
def kit(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Kit:
    return a_kit(request.param, tmp_path_factory.mktemp(request.param))


def published(kit: Kit, body: bytes, keyring: Keyring = ONE) -> Kept:
    kept = Kept()
    receive(kit.signed(body), kit.provider, kit.credentials, PseudonymousBus(kept, keyring), kit.fetch)
    return kept


def test_no_plain_digest_of_an_address_is_published_by_any_provider(kit: Kit) -> None:
    plain = unkeyed(MAIL, an_attempt().email)
    for body in kit.bodies():
        for message in published(kit, body).messages:
            assert b"unkeyed-" not in message.data
            assert plain[-64:].encode() not in message.data


def under(messages: Sequence[Message], keyring: Keyring) -> list[Message]:
    kept = Kept()
    PseudonymousBus(kept, keyring).publish(messages)
    return kept.messages


def test_with_one_key_what_is_published_is_to_the_byte_what_it_always_was(kit: Kit) -> None:
    for body in kit.bodies():
        marked = Kept()
        receive(kit.signed(body), kit.provider, kit.credentials, marked, kit.fetch)
        assert not any(b"email_hash_also" in one.data for one in marked.messages)
        plain, rotated = under(marked.messages, ONE), under(marked.messages, ROTATED)
        assert [one.data for one in plain] == [ONE.keyed(one.data) for one in marked.messages]
        for one, two in zip(plain, rotated, strict=True):
            event, other = json.loads(one.data), json.loads(two.data)
            also = other.pop("email_hash_also", [])
            assert [*event] == [*other]
            # What the address is called under the other key is told beside its name of now, and so of nothing else.
            told = one.topic == "payment-events" and str(event.get("email_hash")).startswith("mail-1-")
            assert also == ([event["email_hash"]] if told else [])
            assert not told or other["email_hash"].startswith("mail-2-")


@pytest.mark.parametrize("provider", ["adyen", "checkout", "stripe"])
def test_around_a_rotation_a_provider_tells_of_an_address_under_both_keys(provider: str, tmp_path: Path) -> None:
    kit = a_kit(provider, tmp_path)
    told = [event for body in kit.bodies() for event in published(kit, body, ROTATED).events]
    names = {
        (one.email_hash, one.email_hash_also) for one in told if isinstance(one, PaymentChanged) and one.email_hash
    }
    assert names
    for name, also in names:
        assert str(name).startswith("mail-2-")
        assert [other.startswith("mail-1-") for other in also] == [True]


@pytest.mark.parametrize("topic", ["payment-events", "deliveries"])
def test_only_a_member_of_an_event_is_told_under_other_keys(topic: str) -> None:
    mail = unkeyed(MAIL, "ana@music.example")
    kept = Kept()
    within = json.dumps({"body": json.dumps({"email_hash": mail}), "email_hash": None}).encode()
    PseudonymousBus(kept, ROTATED).publish([Message(topic, within, {})])
    assert kept.messages[0].data == ROTATED.keyed(within)
    member = b'{"email_hash":"%s"}' % mail.encode()
    PseudonymousBus(kept, ROTATED).publish([Message(topic, member, {})])
    assert (b"email_hash_also" in kept.messages[1].data) is (topic == "payment-events")


def test_an_address_has_one_name_under_a_key_and_another_after_its_rotation() -> None:
    digest = unkeyed(MAIL, "ana@music.example").encode()
    assert ONE.keyed(digest) == ONE.keyed(b"x " + digest)[2:]
    assert ONE.keyed(digest).startswith(b"mail-1-")
    assert ROTATED.keyed(digest).startswith(b"mail-2-")
    assert ONE.keyed(digest)[-64:] not in (ROTATED.keyed(digest)[-64:], digest[-64:])
    assert DEVELOPMENT.keyed(digest)[-64:] != ONE.keyed(digest)[-64:]


def test_a_payment_keeps_its_name_through_a_rotation_as_long_as_its_key_is_listed() -> None:
    name = unkeyed(NAME, PAN).encode()
    assert ONE.keyed(name) == ROTATED.keyed(name)
    assert ONE.keyed(name).startswith(b"name-1-")


def test_a_payment_whose_id_could_be_a_card_number_is_published_under_one_name_and_alarmed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Razorpay's ids stand for any provider's: the same number as payment, reference and customer."""
    kit = a_kit("razorpay", tmp_path)
    own = kit.simulator.payment_id(an_attempt())
    names = set()
    for kind in (FactKind.AUTHORIZED, FactKind.CAPTURED, FactKind.REFUNDED):
        (body,) = kit.simulator.requests(a_fact(kind))
        monkeypatch.setattr(logging.getLogger("payin"), "propagate", True)
        with caplog.at_level(logging.ERROR, "payin"):
            kept = published(kit, body.replace(own.encode(), PAN.encode()))
        again = published(kit, body.replace(own.encode(), PAN.encode()))
        assert [one.data for one in kept.messages] == [one.data for one in again.messages]
        for event in kept.events:
            assert isinstance(event, PaymentChanged)
            names.add(event.payment_id)
        for message in kept.messages:
            told = json.loads(message.data)
            told.pop("body", None)  # the bytes as received
            assert PAN not in json.dumps(told)
            assert b"unkeyed-" not in message.data
            assert not any("unkeyed-" in value for value in message.attributes.values())
    assert len(names) == 1
    assert names.pop().startswith("name-1-")
    assert "name_hidden" in caplog.messages


def test_a_customer_whose_number_could_be_a_card_number_keeps_a_history(kit: Kit) -> None:
    attempt = an_attempt(customer=PAN)
    told = [
        one
        for kind in (FactKind.AUTHORIZED, FactKind.CAPTURED)
        for body in kit.simulator.requests(a_fact(kind, attempt))
        for event in published(kit, body).events
        for one in kit.told(event)
    ]
    customers = {one.customer_id for one in told if isinstance(one, PaymentChanged)} - {None}
    assert PAN not in str(told)
    if DECLARED[kit.provider.NAME].customer:
        (customer,) = customers
        assert ONE.keyed(str(customer).encode()) == ONE.keyed(unkeyed(NAME, PAN).encode())


def test_what_is_not_marked_passes_as_it_is() -> None:
    kept = Kept()
    message = Message("deliveries", b'{"a": "mail-1-x unkeyed-other-"}', {"event_id": "é\udc80"})
    PseudonymousBus(kept, ONE).publish([message])
    assert kept.messages == [message]
