"""A small shop's past as events: regular customers, and thieves who try cards on one device and take large amounts."""

import random
from collections.abc import Iterator
from datetime import timedelta

import msgspec

from shared.domain.codec import encode_event
from shared.domain.events import AnyEvent, PaymentStep
from shared.domain.money import Money
from shared.flows.ports import Ports
from tests.builders import DAY, HOUR, NOON, a_card, a_fraud_warning, a_payment_event

OPENED = NOON
DAYS = 60


def past(payments: int = 2500, frauds: int = 150, seed: int = 1) -> Iterator[AnyEvent]:
    """Payments over DAYS days from OPENED, in no particular order, and an issuer's report of each fraud two days later."""
    chance = random.Random(seed)
    for index in range(payments):
        at = OPENED + chance.random() * DAYS * DAY
        customer = chance.randrange(payments // 8)
        yield a_payment_event(
            event_id=f"stripe:a:good_{index:05}",
            payment_id=f"good_{index}",
            occurred_at=at,
            amount=Money(chance.choice([999, 1999, 4999]) + chance.randrange(50), "EUR"),
            customer_id=f"cus_{customer}",
            card=a_card(fingerprint=f"fp_{customer}_{chance.random() < 0.1}"),
            device_id=f"dev_{customer}",
            ip=f"192.0.2.{customer % 250}",
            email_domain=chance.choice(["gmail.com", f"firm{customer % 20}.example"]),
            cvv_result=chance.choice(["match", "match", "match", None]),
            step=PaymentStep.DECLINED if chance.random() < 0.03 else PaymentStep.CAPTURED,
        )
    for index in range(frauds):
        raid = index // 5
        # Every fourth thief has taken over an account, and looks like its owner: no model finds those.
        owner = chance.randrange(payments // 8) if index % 4 == 0 else None
        at = OPENED + (raid + 0.5) / (frauds / 5) * DAYS * DAY + (index % 5) * timedelta(minutes=7)
        fraud = a_payment_event(
            event_id=f"stripe:a:bad_{index:05}",
            payment_id=f"bad_{index}",
            occurred_at=at + chance.random() * HOUR / 60,
            amount=Money(chance.choice([1999, 4999, 29_900] if owner is None else [1999, 4999]), "EUR"),
            customer_id=f"thief_{index}" if owner is None else f"cus_{owner}",
            card=a_card(
                fingerprint=f"stolen_{index}" if owner is None else f"fp_{owner}_False",
                country=chance.choice(["US", "DE"]) if owner is None else "DE",
            ),
            device_id=f"lair_{raid}" if owner is None else f"dev_{owner}",
            ip=f"198.51.100.{raid % 250}",
            email_domain="gmail.com",
            cvv_result=chance.choice(["mismatch", "match", None]) if owner is None else "match",
        )
        yield fraud
        yield a_fraud_warning(
            event_id=f"stripe:a:news_{index:05}", payment_id=fraud.payment_id, occurred_at=fraud.occurred_at + 2 * DAY
        )


def fill(ports: Ports, events: Iterator[AnyEvent]) -> list[AnyEvent]:
    """Put `events` into the warehouse, as the subscription does."""
    told = list(events)
    ports.warehouse.append("payment_events", [msgspec.json.decode(encode_event(event)) for event in told])
    return told
