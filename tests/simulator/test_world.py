"""The simulated business is the same every time, and its numbers make sense."""

from collections import Counter
from dataclasses import replace
from datetime import timedelta
from functools import cache
from itertools import pairwise

import pytest

from shared.domain.events import Initiator
from shared.domain.money import exponent
from tests.simulator.facts import Fact, FactKind
from tests.simulator.places import BY_CODE
from tests.simulator.world import DAY, DENIES_AGAIN_WITHIN, HALF_DENY_AGAIN, SCALES, THIRD_PARTY, Fraud, World

SHORT = SCALES["short"]


@cache
def told(seed: int = 7, scale: str = "short") -> tuple[World, tuple[Fact, ...]]:
    """A world of that seed, and all of its story with nobody answering a dispute."""
    world = World(SCALES[scale], seed)
    return world, tuple(world.until(world.end))


def test_the_same_seed_tells_the_same_story_however_it_is_read() -> None:
    _, whole = told()
    world = World(SHORT, 7)
    in_pieces = []
    instant = world.start
    while instant < world.end:
        instant += timedelta(hours=7)
        in_pieces += list(world.until(instant))
    assert tuple(in_pieces) == whole


def test_another_seed_tells_another_story() -> None:
    assert told(seed=8)[1] != told()[1]


def test_facts_come_in_order_of_time_and_within_the_story() -> None:
    world, facts = told()
    assert all(earlier.at <= later.at for earlier, later in pairwise(facts))
    assert world.start <= facts[0].at <= facts[-1].at < world.end


@pytest.mark.parametrize("seed", range(5))
def test_the_scales_promise_their_sizes(seed: int) -> None:
    assert 2_500 <= len(told(seed, "demo")[0].attempts) <= 3_200
    assert 450 <= len(told(seed, "short")[0].attempts) <= 850


def test_every_amount_is_a_price_of_its_country_in_minor_units() -> None:
    world, _ = told(scale="demo")
    currencies = set()
    for attempt in world.attempts:
        country = BY_CODE[attempt.country]
        prices = {country.trial, country.monthly, country.premium, country.premium - country.monthly, *country.gifts}
        assert attempt.amount.currency == country.currency
        assert attempt.amount.minor in prices
        currencies.add(country.currency)
    assert {exponent(currency) for currency in currencies} == {0, 2, 3}
    assert {"JPY", "ISK", "KWD", "USD", "EUR", "SEK", "BRL"} <= currencies


def test_three_decimal_amounts_end_in_zero_as_card_networks_settle_two() -> None:
    _, facts = told(scale="demo")
    for fact in facts:
        for money in (fact.attempt.amount, fact.amount):
            assert money is None or money.currency != "KWD" or money.minor % 10 == 0


def test_paypal_is_not_used_for_currencies_that_it_does_not_take() -> None:
    assert not [
        attempt
        for attempt in told(scale="demo")[0].attempts
        if attempt.provider == "paypal" and attempt.country in ("KW", "IS")
    ]


def test_a_business_with_one_provider_uses_only_that_one() -> None:
    world = World(SHORT, 7, ["paypal"])
    assert {fact.attempt.provider for fact in world.until(world.end)} == {"paypal"}


def test_a_business_without_a_known_provider_is_refused() -> None:
    with pytest.raises(ValueError, match="no simulated business"):
        World(SHORT, 7, ["cowries"])


def test_renewals_bunch_on_a_few_days_and_carry_no_device_or_address() -> None:
    renewals = [one for one in told(scale="demo")[0].attempts if one.initiator is Initiator.MERCHANT]
    assert all(one.device is None and one.ip is None and one.cvv_matches is None for one in renewals)
    days = Counter(one.at.day for one in renewals)
    assert sum(count for _, count in days.most_common(3)) > 0.4 * len(renewals)


def test_soft_declined_renewals_are_tried_again_on_the_dunning_days_and_hard_ones_are_not() -> None:
    world, _ = told(scale="demo")
    renewals: dict[str, list[tuple[object, str | None]]] = {}
    gaps = Counter[int]()
    for one in sorted(world.attempts, key=lambda each: each.at):
        if one.initiator is Initiator.MERCHANT:
            renewals.setdefault(one.customer, []).append((one.at, one.decline_code))
    for history in renewals.values():
        for (at, declined), (again, _) in pairwise(history):
            if declined in ("expired_card", "lost_card"):
                continue
            if declined is not None:
                gaps[(again - at) // DAY] += 1  # type: ignore[operator]
    assert gaps[1] > 20
    assert gaps[3] > 5
    assert gaps[7] > 0


def test_a_customer_uses_several_devices_and_addresses_and_carriers_share_theirs() -> None:
    honest = [one for one in told(scale="demo")[0].attempts if one.device and one.ip]
    assert max(Counter(customer for customer, _ in {(one.customer, one.device) for one in honest}).values()) >= 2
    assert max(Counter(ip for ip, _ in {(one.ip, one.customer) for one in honest}).values()) > 20


def test_every_kind_of_fraud_happens_and_most_traffic_is_honest() -> None:
    world, _ = told(scale="demo")
    kinds = Counter(world.truth.values())
    assert set(kinds) == set(Fraud)
    assert 0.05 < len(world.truth) / len(world.attempts) < 0.16
    assert sum(kinds[kind] for kind in THIRD_PARTY) > 200


def test_news_of_fraud_comes_days_to_weeks_after_the_payment() -> None:
    world, facts = told(scale="demo")
    waits = sorted(
        (fact.at - fact.attempt.at) / DAY
        for fact in facts
        if fact.kind in (FactKind.DISPUTE_OPENED, FactKind.FRAUD_WARNED) and fact.attempt.id in world.truth
    )
    assert waits[0] >= 0.5
    assert 3 < waits[len(waits) // 2] < 14
    assert waits[-1] > 20


def test_card_testing_is_many_cards_on_one_machine_in_minutes() -> None:
    world, _ = told(scale="demo")
    bursts: dict[str, list[str]] = {}
    for attempt in world.attempts:
        if world.truth.get(attempt.id) is Fraud.CARD_TESTING and attempt.ip:
            bursts.setdefault(attempt.ip, []).append(attempt.card.token)
    assert max(len(set(cards)) for cards in bursts.values()) >= 8


def test_captured_money_is_never_refunded_beyond_its_amount() -> None:
    refunded: Counter[str] = Counter()
    for fact in told(scale="demo")[1]:
        if fact.kind is FactKind.REFUNDED and fact.amount is not None:
            refunded[fact.attempt.id] += fact.amount.minor
            assert refunded[fact.attempt.id] <= fact.attempt.amount.minor


def test_an_unanswered_dispute_is_lost_after_its_deadline() -> None:
    _, facts = told()
    lost = {fact.dispute.id: fact for fact in facts if fact.kind is FactKind.DISPUTE_LOST and fact.dispute}
    assert lost
    for fact in lost.values():
        assert fact.dispute is not None
        assert fact.dispute.respond_by is not None
        assert fact.at > fact.dispute.respond_by


def test_an_answered_dispute_is_ruled_on_once_and_changes_no_other_story() -> None:
    world = World(SHORT, 7)
    facts: list[Fact] = []
    answered = None
    for fact in world.until(world.end):
        facts.append(fact)
        if fact.kind is FactKind.DISPUTE_OPENED and answered is None and fact.dispute is not None:
            answered = fact.dispute.id
            assert world.answer(answered, fact.at + DAY)
            assert not world.answer(answered, fact.at + 2 * DAY)
    own = [fact.kind for fact in facts if fact.dispute is not None and fact.dispute.id == answered]
    assert own[:2] == [FactKind.DISPUTE_OPENED, FactKind.DISPUTE_ANSWERED]
    assert own[2:] in ([FactKind.DISPUTE_WON], [FactKind.DISPUTE_LOST])

    def others(story: tuple[Fact, ...]) -> list[Fact]:
        return [fact for fact in story if fact.dispute is None or fact.dispute.id != answered]

    assert others(tuple(facts)) == others(told()[1])


def test_a_claim_that_is_accepted_is_lost_and_answered_no_more() -> None:
    world = World(SHORT, 7)
    accepted: list[Fact] = []
    told = []
    for fact in world.until(world.end):
        told.append(fact)
        if fact.kind is FactKind.DISPUTE_OPENED and not accepted and fact.dispute is not None:
            accepted.append(fact)
            assert world.accept(fact.dispute.id, fact.at + DAY)
            assert not world.accept(fact.dispute.id, fact.at + DAY)
            assert not world.answer(fact.dispute.id, fact.at + DAY)
    own = [(fact.kind, fact.at - accepted[0].at) for fact in told if fact.dispute == accepted[0].dispute]
    assert own == [
        (FactKind.DISPUTE_OPENED, timedelta()),
        (FactKind.DISPUTE_LOST, 2 * DAY),
    ]


def test_an_answer_after_the_deadline_is_refused() -> None:
    world = World(SHORT, 7)
    dispute = next(fact.dispute for fact in world.until(world.end) if fact.kind is FactKind.DISPUTE_OPENED)
    assert dispute is not None
    assert dispute.respond_by is not None
    assert not world.answer(dispute.id, dispute.respond_by + timedelta(seconds=1))


def first(facts: tuple[Fact, ...], plan: str, initiator: Initiator = Initiator.CUSTOMER) -> Fact:
    return next(
        fact
        for fact in facts
        if fact.kind is FactKind.AUTHORIZED and fact.attempt.plan == plan and fact.attempt.initiator is initiator
    )


def test_of_a_payment_that_was_turned_away_nothing_more_is_told_and_every_other_story_goes_on() -> None:
    world = World(SHORT, 7)
    away = first(told()[1], "gift").attempt
    facts = []
    for fact in world.until(world.end):
        facts.append(fact)
        if fact.attempt == away and fact.kind is FactKind.AUTHORIZED:
            world.turn_away(away)
    assert [fact.kind for fact in facts if fact.attempt == away] == [FactKind.AUTHORIZED]
    assert [fact for fact in facts if fact.attempt != away] == [fact for fact in told()[1] if fact.attempt != away]


@pytest.mark.parametrize("comes_back", [False, True])
def test_who_was_turned_away_at_sign_up_is_billed_only_after_getting_through(comes_back: bool) -> None:
    billed = {fact.attempt.customer for fact in told()[1] if fact.attempt.initiator is Initiator.MERCHANT}
    signed_up = next(
        fact.attempt
        for fact in told()[1]
        if fact.kind is FactKind.AUTHORIZED
        and fact.attempt.plan in ("trial", "monthly")
        and fact.attempt.customer in billed
    )
    world = World(SHORT, 7)
    world.turn_away(signed_up)
    if comes_back:
        world.let_through(signed_up)
    renewals = [
        fact
        for fact in world.until(world.end)
        if fact.attempt.customer == signed_up.customer and fact.attempt.initiator is Initiator.MERCHANT
    ]
    assert bool(renewals) is comes_back


def test_most_owners_stand_a_challenge_and_few_thieves_do_and_each_of_them_always_or_never() -> None:
    world, _ = told(scale="demo")
    stood: dict[bool, list[bool]] = {True: [], False: []}
    for attempt in world.attempts:
        if attempt.initiator is Initiator.CUSTOMER:
            stood[world.truth.get(attempt.id) in THIRD_PARTY].append(world.proves(attempt))
            assert world.proves(attempt) is stood[world.truth.get(attempt.id) in THIRD_PARTY][-1]
    owners, thieves = stood[False], stood[True]
    assert 0.85 < sum(owners) / len(owners) < 0.95
    assert sum(thieves) / len(thieves) < 0.1


def test_who_denies_is_drawn_by_the_chance_that_the_world_tells() -> None:
    worlds = [told(seed, "demo")[0] for seed in range(5)]
    expected = sum(world.chance_of_denial(attempt) for world in worlds for attempt in world.attempts)
    denied = sum(kind is Fraud.FRIENDLY for world in worlds for kind in world.truth.values())
    assert denied == pytest.approx(expected, abs=3 * expected**0.5)
    world, facts = told(0, "demo")
    declined = next(fact.attempt for fact in facts if fact.kind is FactKind.DECLINED)
    stolen = next(one for one in world.attempts if world.truth.get(one.id) is Fraud.STOLEN_CARD)
    assert world.chance_of_denial(declined) == world.chance_of_denial(stolen) == 0


def test_half_of_those_who_deny_a_payment_deny_another_where_the_world_says_so() -> None:
    often = World(replace(SCALES["bench"], subscribers=2000, days=120, denies_again=HALF_DENY_AGAIN), 7)
    denials: dict[str, list[Fact]] = {}
    for fact in often.until(often.end):
        if fact.kind is FactKind.DISPUTE_OPENED and often.truth.get(fact.attempt.id) is Fraud.FRIENDLY:
            denials.setdefault(fact.attempt.customer, []).append(fact)
    # Of those who had the time to pay twice more.
    first = [told for told in denials.values() if told[0].at + DENIES_AGAIN_WITHIN < often.traffic_end]
    again = [told for told in first if any(one.attempt.at < told[0].at + DENIES_AGAIN_WITHIN for one in told[1:])]
    assert len(first) > 50
    assert 0.35 < len(again) / len(first) < 0.65
    assert {round(often.chance_of_denial(one.attempt), 2) for told in again for one in told} >= {0.3}
