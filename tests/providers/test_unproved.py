"""What no signature covers moves no money, no deadline, no payment's name and no label: it only says what to read back.

PayPal's bodies of the same CRC-32 are in test_paypal.
"""

import dataclasses
from collections.abc import Iterator
from datetime import timedelta
from typing import Any, cast

import pytest

from shared import providers
from shared.domain.delivery import Delivery
from shared.domain.errors import SignatureInvalid, Unreadable
from shared.domain.events import AnyEvent, DisputeChanged, PaymentChanged, ResourceChanged
from tests.providers.kits import Kit, a_fact, a_kit, another, leaves, put
from tests.simulator.facts import FactKind

UNPROVED = ["google", "klarna", "mercadopago", "mollie", "paypal"]


@pytest.fixture(scope="module", params=UNPROVED)
def kit(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Kit:
    return a_kit(request.param, tmp_path_factory.mktemp(request.param))


def pokes(kit: Kit) -> Iterator[ResourceChanged]:
    """Each at the time when the API tells what it is about."""
    for kind in FactKind:
        for poke in kit.pokes(kind):
            assert {"hint", "occurred_at"} <= {*poke.unsigned}
            yield poke


def deliveries(kit: Kit) -> Iterator[Delivery]:
    simulator = cast(Any, kit.simulator)
    for kind in FactKind:
        if hasattr(simulator, "pushes"):
            yield from (kit.delivery(request) for request in simulator.pushes(a_fact(kind)))
        else:
            yield from (kit.signed(body) for body in simulator.requests(a_fact(kind)))


def without_its_time(event: AnyEvent) -> AnyEvent:
    return dataclasses.replace(event, occurred_at=a_fact(FactKind.CAPTURED).at)


def test_every_scheme_that_leaves_a_body_open_is_among_these() -> None:
    for name in providers.names():
        marks = vars(providers.load(name))
        assert (name in UNPROVED) == bool({"hint"} & {*marks.get("UNSIGNED", ()), *marks.get("PUSH_UNSIGNED", ())})


def test_a_changed_body_under_a_valid_proof_is_at_most_a_poke(kit: Kit) -> None:
    for delivery in deliveries(kit):
        try:
            whole = kit.provider.opened(delivery).value
        except Unreadable:
            continue
        for path in leaves(kit.opened(delivery.body) if delivery.body.startswith(b"{") else {}):
            for change in (another, put(None), put("99999.00"), put("approved"), put("chargebacks")):
                forged = dataclasses.replace(delivery, body=kit.changed(delivery.body, path, change))
                try:
                    told = kit.normalize(forged, kit.verify(forged)).events
                except (SignatureInvalid, Unreadable):
                    continue
                assert all(isinstance(event, ResourceChanged) for event in told), (whole, path)


def without_its_token(event: AnyEvent) -> AnyEvent:
    """Google wants to be given back a token that came with the hint: by it an answer is known, and nothing is decided."""
    if not isinstance(event, DisputeChanged):
        return event
    return dataclasses.replace(event, event_id=event.event_id.partition(".token-")[0], answer_id=None)


def test_a_hint_that_nobody_proved_decides_nothing(kit: Kit) -> None:
    for poke in pokes(kit):
        told = kit.told(poke)
        for hint in (None, "invented", "pending_refund_review", "voided", "customer somebody"):
            other = kit.told(dataclasses.replace(poke, hint=hint))
            assert list(map(without_its_token, other)) == list(map(without_its_token, told))


def test_a_time_that_nobody_proved_moves_at_most_when_a_payment_failed(kit: Kit) -> None:
    for poke in pokes(kit):
        late = kit.told(dataclasses.replace(poke, occurred_at=poke.occurred_at + timedelta(days=3650)))
        told = kit.told(poke)
        assert [without_its_time(event) for event in late] == [without_its_time(event) for event in told]
        for one, other in zip(late, told, strict=True):
            assert one == other or isinstance(one, PaymentChanged)
