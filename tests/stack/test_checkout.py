"""The checkout asks about what comes by it, in words by which the door knows the payment again when its provider tells of it."""

from dataclasses import replace
from pathlib import Path

import pytest

from shared.domain.events import Initiator, PaymentChanged
from shared.domain.money import Money
from shared.domain.pseudonyms import Keyring
from shared.runtime.assessments import read
from tests.providers.kits import a_kit
from tests.simulator.facts import Attempt, Fact, FactKind, SimulatedCard
from tests.simulator.world import MINUTE, START
from tests.stack.checkout import TAKES_CARDS_FOR, Checkout, request_of

KEYRING = Keyring({"1": b"k" * 32}, "1")


def begun(provider: str = "stripe", kind: FactKind = FactKind.AUTHORIZED) -> Fact:
    attempt = Attempt(
        id="a000007",
        provider=provider,
        at=START,
        amount=Money(1999, "EUR"),
        customer="c1",
        email="ana@music.example",
        card=SimulatedCard(token="card-1", bin="424242", last4="4242", network="visa", country="DE"),
        device="dev-1",
        ip="198.18.1.1",
        country="DE",
    )
    return Fact(kind=kind, attempt=attempt, at=START)


@pytest.mark.parametrize("provider", sorted(TAKES_CARDS_FOR))
def test_the_door_is_told_of_the_same_payer_as_the_providers_event(provider: str, tmp_path: Path) -> None:
    kit = a_kit(provider, tmp_path)
    request = request_of(begun(provider), kit.simulator, kit.credentials)
    asked = read(request.body).asked(KEYRING, START)
    [body] = kit.simulator.requests(begun(provider))
    delivery = kit.signed(body, START, START + MINUTE)
    [event] = kit.normalize(delivery, kit.verify(delivery)).events
    assert isinstance(event, PaymentChanged)
    assert (asked.amount, asked.customer_id, asked.card) == (event.amount, event.customer_id, event.card)
    known_by_id = event.payment_id in asked.aliases
    assert known_by_id or asked.merchant_reference == event.merchant_reference is not None


def test_whom_the_provider_bills_or_takes_to_its_own_pages_nobody_asks_about() -> None:
    assert Checkout.asks(begun())
    assert Checkout.asks(begun(kind=FactKind.DECLINED))
    assert not Checkout.asks(begun("paypal"))
    assert not Checkout.asks(begun(kind=FactKind.CAPTURED))
    renewal = replace(begun().attempt, initiator=Initiator.MERCHANT)
    assert not Checkout.asks(replace(begun(), attempt=renewal))
