"""What the service tells of a subscriber is what its contract takes, and nothing that has not happened yet."""

import pytest

from shared.domain import usage
from shared.domain.pseudonyms import DEVELOPMENT
from shared.runtime.usage import read
from tests.simulator.facts import Fact, FactKind
from tests.simulator.service import usage_message
from tests.simulator.world import SCALES, Fraud, World


@pytest.fixture(scope="module")
def story() -> tuple[World, list[Fact]]:
    world = World(SCALES["short"], 7)
    return world, [fact for fact in world.until(world.end) if fact.kind is FactKind.DISPUTE_OPENED]


def test_of_every_disputed_payment_the_service_tells_what_the_contract_takes(story: tuple[World, list[Fact]]) -> None:
    world, disputed = story
    assert len(disputed) > 20
    for fact in disputed:
        message = usage_message(world, fact)
        assert message == usage_message(world, fact)
        told = read(message, DEVELOPMENT)
        assert told.customer_id == fact.attempt.customer
        assert usage.latest(told) <= fact.at
        assert told.policies
        assert told.plans


def test_whoever_denies_what_he_bought_has_used_it_and_thieves_hardly_do(story: tuple[World, list[Fact]]) -> None:
    world, disputed = story

    def used(kind: Fraud) -> float:
        own = [fact for fact in disputed if world.truth.get(fact.attempt.id) is kind]
        days = sum((fact.at - fact.attempt.at).days for fact in own)
        return sum(len(read(usage_message(world, fact), DEVELOPMENT).plays) for fact in own) / max(days, 1)

    assert used(Fraud.FRIENDLY) > 0.4 > used(Fraud.STOLEN_CARD)
