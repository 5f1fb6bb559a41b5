"""Days of new cards as a shop sees them, with and without somebody who tries out stolen ones: what is told of whom."""

import math
import random
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from shared.domain.codec import utc_text
from shared.domain.events import Initiator, PaymentStep
from shared.flows.score_payment import score_payment
from shared.flows.scorer import Scorer
from shared.fraud.attacks import BEFORE, LEAST, NEWCOMERS_SQL, WATCHED, Newcomers, at_least, bursts
from tests.builders import DAY, HOUR, MINUTE, NOON, SECOND, a_card, a_payment_event
from tests.local import local_ports, published

TICK = 15 * MINUTE
MIDNIGHT = NOON - 12 * HOUR


@dataclass(frozen=True)
class Attempt:
    """Of somebody new, with a card that nobody has seen."""

    at: datetime
    card: str
    bin: str
    device: str
    address: str
    refused: bool


def days(number: int, chance: random.Random, a_day: int = 3000) -> list[Attempt]:
    """Newcomers as they come: three quarters by day, on few large BINs and many small ones, one in twelve refused, one in
    fifty behind an address that many share."""
    found = []
    for index in range(number * a_day):
        second = chance.random() * number * 86_400
        while chance.random() > 0.6 - 0.4 * math.cos(second / 86_400 * 2 * math.pi):
            second = chance.random() * number * 86_400
        found.append(
            Attempt(
                at=MIDNIGHT + second * SECOND,
                card=f"card_{index}",
                bin=f"4{min(int(chance.paretovariate(0.7)), 300):05}",
                device=f"device_{index}",
                address="198.51.100.1" if chance.random() < 0.02 else f"2001:db8:{index:x}::",
                refused=chance.random() < 1 / 12,
            )
        )
    return found


def an_attack(at: datetime, cards: int, lasting: timedelta, chance: random.Random, **fixed: Any) -> list[Attempt]:
    """So many stolen cards, each on a BIN, device and address of its own but for what is `fixed`; four of five refused."""
    return [
        replace(
            Attempt(
                at=at + chance.random() * lasting,
                card=f"stolen_{at:%d%H%M}_{index}",
                bin=f"5{chance.randrange(300):05}",
                device=f"bot_{at:%d%H%M}_{index}",
                address=f"2001:db8:bad:{at:%H%M}{index:x}::",
                refused=chance.random() < 0.8,
            ),
            **fixed,
        )
        for index in range(cards)
    ]


def told(attempts: Iterable[Attempt]) -> list[tuple[datetime, Newcomers]]:
    """What each tick tells, counted as the query counts."""
    rows = sorted(attempts, key=lambda one: one.at)
    at = [one.at for one in rows]
    found = []
    tick = rows[0].at.replace(minute=0, second=0, microsecond=0)
    while tick <= rows[-1].at + TICK:
        tick += TICK
        seen = rows[bisect_left(at, tick - BEFORE) : bisect_left(at, tick)]
        found += [(tick, one) for one in bursts(counted(seen, tick))]
    return found


def counted(seen: Sequence[Attempt], now: datetime) -> list[Newcomers]:
    sets: dict[tuple[str, str], tuple[set[str], set[str], set[str]]] = {}
    for one in seen:
        for kind in LEAST:
            cards, refused, earlier = sets.setdefault((kind, getattr(one, kind)), (set(), set(), set()))
            if one.at > now - WATCHED:
                cards.add(one.card)
                if one.refused:
                    refused.add(one.card)
            else:
                earlier.add(one.card)
    return [
        Newcomers(kind=kind, value=value, cards=len(cards), refused=len(refused), earlier=len(earlier))
        for (kind, value), (cards, refused, earlier) in sets.items()
    ]


def test_ordinary_days_a_campaign_and_an_issuer_that_is_down_are_no_attack() -> None:
    chance = random.Random(1)
    ordinary = days(6, chance)
    [noon] = [MIDNIGHT + 2 * DAY + 12 * HOUR]
    campaign = [
        replace(one, at=noon + chance.random() * 3 * HOUR, card=f"{one.card}c", device=f"{one.device}c")
        for one in days(1, chance, 3000)
    ]
    down = [
        replace(one, refused=True) if one.bin == "400001" and noon + DAY < one.at < noon + DAY + HOUR else one
        for one in ordinary
    ]
    assert told([*down, *campaign]) == []


@pytest.mark.parametrize(
    ("fixed", "cards"),
    [({"bin": "456789"}, 60), ({"bin": "400001"}, 300), ({"device": "bot"}, 10), ({"address": "203.0.113.9"}, 15)],
    ids=["a small BIN", "the largest BIN", "a device", "an address"],
)
def test_a_burst_is_told_within_a_tick_of_its_end_and_nothing_else_is(fixed: dict[str, str], cards: int) -> None:
    chance = random.Random(2)
    [[kind, value]] = fixed.items()
    starts = [MIDNIGHT + DAY + hours * HOUR for hours in (3, 9, 14, 20)]
    attacks = [one for at in starts for one in an_attack(at, cards, 20 * MINUTE, chance, **fixed)]
    found = told([*days(3, chance), *attacks])
    assert {(one.kind, one.value) for _, one in found} == {(kind, value)}
    for at in starts:
        assert any(at < tick <= at + 30 * MINUTE for tick, _ in found), at
    assert all(any(at < tick <= at + HOUR for at in starts) for tick, _ in found)


def test_the_query_counts_as_the_days_above_do_at_midnight_too_and_copies_once(tmp_path: Path) -> None:
    chance = random.Random(3)
    now = MIDNIGHT + DAY + HOUR
    attempts = [*days(2, chance, 400), *an_attack(now - 25 * MINUTE, 30, 20 * MINUTE, chance, bin="456789")]
    ports = local_ports(tmp_path)
    rows = [
        {
            "event_id": one.card,
            "occurred_at": utc_text(one.at),
            "newcomer": {name: getattr(one, name) for name in ("card", "bin", "device", "address", "refused")},
        }
        for one in attempts
    ]
    ports.warehouse.append("fraud_decisions", [*rows, *rows[::3], {"event_id": "known", "occurred_at": utc_text(now)}])
    parameters = {"since": now - BEFORE, "recent": now - WATCHED, "until": now, "least": 1}
    found = [Newcomers.of(row) for row in ports.warehouse.query(NEWCOMERS_SQL, parameters)]
    expected = counted([one for one in attempts if now - BEFORE < one.at <= now], now)
    assert sorted(found, key=repr) == sorted((one for one in expected if one.cards), key=repr)
    assert [one.value for one in bursts(found)] == ["456789"]


def test_a_renewal_is_no_newcomer_and_an_unknown_card_is_one_once(tmp_path: Path) -> None:
    ports, scorer = local_ports(tmp_path), Scorer(use_model=False)
    declined = PaymentStep.DECLINED
    renewal = a_payment_event(declined, payment_id="r", card=a_card(fingerprint="moved"), initiator=Initiator.MERCHANT)
    first = a_payment_event(declined, payment_id="a", card=a_card(fingerprint="new", bin="456789"))
    again = replace(first, event_id="stripe:acct_1:evt_b", payment_id="b", occurred_at=NOON + MINUTE)
    for event in (renewal, first, again):
        score_payment(event, ports, event.occurred_at, scorer)
    rows = {row["payment_id"]: row["newcomer"] for row in published(ports, "fraud-decisions")}
    newcomer = {"card": "new", "bin": "456789", "device": "dev_1", "address": "203.0.113.7", "refused": True}
    assert rows == {"r": None, "a": newcomer, "b": None}


def test_the_chance_of_as_many_is_that_of_poisson() -> None:
    assert at_least(0, 1.0) == 1.0
    assert at_least(1, 0.5) == pytest.approx(1 - math.exp(-0.5))
    assert at_least(4, 2.0) == pytest.approx(1 - math.exp(-2) * (1 + 2 + 2 + 4 / 3))
    assert at_least(10_000, 0.5) == 0.0  # less than any number but zero
