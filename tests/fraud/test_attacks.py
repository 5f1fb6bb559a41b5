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
from shared.fraud.attacks import (
    ALL,
    ANSWERED,
    BEFORE,
    KNOWN,
    NEWCOMERS_SQL,
    WATCHED,
    Burst,
    Newcomers,
    asked_at,
    at_least,
    bursts,
)
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
    doubted: bool = False
    let_through: datetime | None = None
    account: str = "one"


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


def told(attempts: Iterable[Attempt]) -> list[tuple[datetime, Burst]]:
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
    sets: dict[tuple[str, str, str], tuple[set[str], ...]] = {}
    recent, answered = now - WATCHED, now - ANSWERED
    for one in seen:
        waits = one.doubted and one.at <= answered and (one.let_through is None or one.let_through > now)
        # The places of what it counts as, in the order of the query.
        if one.at > recent:
            places = (0, 1) if one.refused else (0, 2) if waits else (0,)
        else:
            places = (3, 4) if waits else (3,)
        for kind, value in ((ALL, ALL), ("bin", one.bin), ("device", one.device), ("address", one.address)):
            told = sets.get((kind, value, one.account))
            if told is None:
                told = sets[kind, value, one.account] = (set(), set(), set(), set(), set())
            for place in places:
                told[place].add(one.card)
    lately = {(kind, value) for (kind, value, _), told in sets.items() if told[0]}
    return [
        Newcomers(
            kind=kind,
            value=value,
            account=account,
            cards=len(told[0]),
            refused=len(told[1]),
            doubted=len(told[2]),
            earlier=len(told[3]),
            earlier_doubted=len(told[4]),
        )
        for (kind, value, account), told in sets.items()
        if (kind, value) in lately
    ]


def challenged(attempts: Iterable[Attempt], chance: random.Random, passing: float) -> list[Attempt]:
    """The same people, of whom nobody was refused and everybody challenged because a rule says fraud; so many of them
    authenticate, within three minutes."""
    return [
        replace(
            one,
            refused=False,
            doubted=True,
            let_through=one.at + chance.random() * 3 * MINUTE if chance.random() < passing else None,
        )
        for one in attempts
    ]


def test_ordinary_days_a_campaign_and_an_issuer_that_is_down_are_no_attack() -> None:
    chance = random.Random(1)
    ordinary = days(5, chance)
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
    near = [one for one in ordinary if noon - BEFORE - TICK < one.at < noon + 4 * HOUR]
    # The campaign's customers are all challenged, and most authenticate.
    assert told([*near, *challenged(campaign, chance, 0.85)]) == []
    # A shop whose rules challenge everybody, and that never hears how it ended: there a challenge says nothing.
    assert [one for tick, one in told(challenged([*near, *campaign], chance, 0)) if tick > noon] == []


@pytest.mark.parametrize("stopped", ["declined", "challenged"])
@pytest.mark.parametrize(
    ("fixed", "cards"),
    [({"bin": "456789"}, 60), ({"bin": "400001"}, 300), ({"device": "bot"}, 10), ({"address": "203.0.113.9"}, 15)],
    ids=["a small BIN", "the largest BIN", "a device", "an address"],
)
def test_a_burst_is_told_within_a_tick_of_its_end_and_nothing_else_is(
    fixed: dict[str, str], cards: int, stopped: str
) -> None:
    chance = random.Random(2)
    [[kind, value]] = fixed.items()
    starts = [MIDNIGHT + DAY + hours * HOUR for hours in (3, 9, 14, 20)]
    attacks = [one for at in starts for one in an_attack(at, cards, 20 * MINUTE, chance, **fixed)]
    if stopped == "challenged":
        attacks = challenged(attacks, chance, 0.2)
    found = told([*days(2, chance), *attacks])
    assert {(one.kind, one.value) for _, one in found} == {(kind, value)}
    for at in starts:
        assert any(at < tick <= at + 30 * MINUTE for tick, _ in found), at
    assert all(any(at < tick <= at + HOUR for at in starts) for tick, _ in found)


def at_a_shop(account: str, attempts: Iterable[Attempt]) -> list[Attempt]:
    """The same attempts as people of another shop."""
    return [
        replace(
            one, account=account, card=f"{one.card}_{account}", device=f"{one.device}_{account}", bin=f"7{one.bin[1:]}"
        )
        for one in attempts
    ]


def around_noon(attempts: Iterable[Attempt]) -> list[Attempt]:
    """Those that matter to the ticks after noon of the second day."""
    return [one for one in attempts if 32 * HOUR < one.at - MIDNIGHT < 38 * HOUR]


def a_campaign(chance: random.Random, cards: int) -> list[Attempt]:
    """An hour of it, at noon of the second day; everybody is challenged, and nobody tells how it ended."""
    return [
        replace(one, at=MIDNIGHT + 36 * HOUR + chance.random() * HOUR, card=f"{one.card}c", device=f"{one.device}c")
        for one in challenged(days(1, chance, cards), chance, 0)
    ]


def test_where_too_few_others_came_nobody_knows_what_a_doubt_says() -> None:
    chance = random.Random(1)
    quiet = challenged(days(2, chance, 100), chance, 0)
    assert told([*quiet, *a_campaign(chance, 300)]) == []


@pytest.mark.parametrize(("others", "told_of"), [(0, 0), (KNOWN - 1, 0), (KNOWN, 10)])
def test_a_doubt_counts_from_so_many_others_on(others: int, told_of: int) -> None:
    ten = Newcomers(
        kind="bin", value="456789", account="a", cards=20, refused=10, doubted=10, earlier=0, earlier_doubted=0
    )
    [burst] = bursts([ten, replace(ten, kind=ALL, value=ALL, earlier=others)])
    assert burst.doubted == told_of


def test_a_shop_that_challenges_everybody_makes_no_attack_of_its_campaign_beside_one_that_does_not() -> None:
    chance = random.Random(1)
    small = [*challenged(days(2, chance, 300), chance, 0), *a_campaign(chance, 400)]
    assert told([*days(2, chance, 2700), *at_a_shop("another", small)]) == []


def test_a_shop_that_challenges_everybody_hides_no_tester_of_another() -> None:
    chance = random.Random(1)
    shop, other = (around_noon(days(2, chance, 1500)) for _ in range(2))
    other = at_a_shop("another", challenged(other, chance, 0))
    tester = challenged(an_attack(MIDNIGHT + 36 * HOUR, 60, 20 * MINUTE, chance, bin="456789"), chance, 0.2)
    assert {one.value for _, one in told([*shop, *other, *tester])} == {"456789"}


def test_a_burst_over_two_shops_is_one_and_each_says_what_a_doubt_is_worth_there() -> None:
    chance = random.Random(1)
    tester = challenged(an_attack(MIDNIGHT + 36 * HOUR, 10, MINUTE, chance, device="bot"), chance, 0)
    halves = [*tester[:5], *(replace(one, account="another") for one in tester[5:])]
    shops = around_noon([*days(2, chance, 1500), *at_a_shop("another", days(2, chance, 1500))])
    [(_, burst), *_] = told([*shops, *halves])
    assert (burst.kind, burst.cards, burst.doubted) == ("device", 10, 10)
    # The other one challenges everybody: half of the ten say something, and that is enough; fewer are not.
    strict = [challenged([one], chance, 0)[0] if one.account == "another" else one for one in shops]
    [(_, burst), *_] = told([*strict, *halves])
    assert (burst.kind, burst.cards, burst.doubted) == ("device", 10, 5)
    assert told([*strict, *(replace(one, account="another") for one in halves[:4]), *halves[4:]]) == []


def test_the_query_counts_as_the_days_above_do_at_midnight_too_and_copies_once(tmp_path: Path) -> None:
    chance = random.Random(3)
    now = MIDNIGHT + DAY + HOUR
    tried = an_attack(now - 25 * MINUTE, 30, 20 * MINUTE, chance, bin="456789")
    stopped = challenged(an_attack(now - 25 * MINUTE, 40, 20 * MINUTE, chance, device="bot"), chance, 0.2)
    near = [one for one in days(2, chance, 2400) if now - 4 * HOUR < one.at < now + HOUR]
    attempts = [*near, *tried, *stopped, *challenged(days(1, chance, 100), chance, 0.5)]
    attempts = [
        replace(one, card=f"{one.card}_{place}", account=f"of_{place % 3}") for place, one in enumerate(attempts)
    ]
    ports = local_ports(tmp_path)
    rows = [row_of(one) for one in attempts]
    let_through = [row_of(replace(one, doubted=False)) for one in attempts if one.let_through]
    before = {"event_id": "known", "occurred_at": utc_text(now)}
    ports.warehouse.append("fraud_decisions", [*rows, *rows[::3], *let_through, before])
    found = [Newcomers.of(row) for row in ports.warehouse.query(NEWCOMERS_SQL, {**asked_at(now), "least": 1})]
    told_by_now = [replace(one, let_through=one.at) if one.let_through else one for one in attempts]
    expected = counted([one for one in told_by_now if now - BEFORE < one.at <= now], now)
    assert sorted(found, key=repr) == sorted(expected, key=repr)
    assert [one.value for one in bursts(found)] == ["bot", "456789"]


def row_of(one: Attempt) -> dict[str, Any]:
    newcomer = {name: getattr(one, name) for name in ("account", "card", "bin", "device", "address", "refused")}
    if one.doubted and not one.refused:
        newcomer["doubted"] = True
    return {"event_id": one.card, "occurred_at": utc_text(one.at), "newcomer": newcomer}


def test_a_renewal_is_no_newcomer_and_an_unknown_card_is_one_once(tmp_path: Path) -> None:
    ports, scorer = local_ports(tmp_path), Scorer(use_model=False)
    declined = PaymentStep.DECLINED
    renewal = a_payment_event(declined, payment_id="r", card=a_card(fingerprint="moved"), initiator=Initiator.MERCHANT)
    first = a_payment_event(declined, payment_id="a", card=a_card(fingerprint="new", bin="456789"))
    again = replace(first, event_id="stripe:acct_1:evt_b", payment_id="b", occurred_at=NOON + MINUTE)
    for event in (renewal, first, again):
        score_payment(event, ports, event.occurred_at, scorer)
    rows = {row["payment_id"]: row["newcomer"] for row in published(ports, "fraud-decisions")}
    newcomer: dict[str, Any] = {"card": "new", "bin": "456789", "device": "dev_1", "address": "203.0.113.7"}
    newcomer |= {"refused": True, "account": "5b6a51"}
    assert rows == {"r": None, "a": newcomer, "b": None}


def test_the_chance_of_as_many_is_that_of_poisson() -> None:
    assert at_least(0, 1.0) == 1.0
    assert at_least(1, 0.5) == pytest.approx(1 - math.exp(-0.5))
    assert at_least(4, 2.0) == pytest.approx(1 - math.exp(-2) * (1 + 2 + 2 + 4 / 3))
    assert at_least(10_000, 0.5) == 0.0  # less than any number but zero
