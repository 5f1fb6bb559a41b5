"""At a desk a dispute is answered by the provider's rules, in the story's time and under the provider's names."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from shared.domain.answers import Act
from shared.domain.money import Money
from shared.providers import load_answer
from tests.simulator.answering import Caller, a_contest, accepting, desk_of, play
from tests.simulator.facts import Attempt, Fact, FactKind, SimulatedCard, SimulatedDispute
from tests.simulator.loading import load
from tests.simulator.world import DAY, HOUR, START
from tests.stack.desks import Reviews, has_desk, running_desks

DUE = START + 12 * DAY


def opened(provider: str, name: str) -> Fact:
    attempt = Attempt(
        id=f"a-{name}",
        provider=provider,
        at=START,
        amount=Money(1999, "EUR"),
        customer="c1",
        email="ana@music.example",
        card=SimulatedCard(token="card-1", bin="424242", last4="4242", network="visa", country="DE"),
    )
    dispute = SimulatedDispute(id=name, respond_by=DUE)
    return Fact(kind=FactKind.DISPUTE_OPENED, attempt=attempt, at=START + DAY, amount=attempt.amount, dispute=dispute)


@pytest.mark.parametrize("provider", ["adyen", "paypal", "stripe"])
def test_a_dispute_of_the_story_is_answered_once_and_no_later_than_its_deadline(provider: str, tmp_path: Path) -> None:
    simulator, clock = load(provider, 1, tmp_path), [START + 2 * DAY]
    module = load_answer(provider)
    assert module is not None

    def contest(name: str, url: str) -> object:
        fact = opened(provider, name)
        assert fact.dispute is not None
        desks.open(fact, simulator)
        account = json.loads(simulator.environment()[f"WEBHOOK_{provider.upper()}"])["account"]
        own = simulator.dispute_id(fact.dispute)
        asked = a_contest(own, account=account, respond_by=DUE, network=desk_of(provider).EXAMPLE.network)
        asked = replace(asked, packet=desk_of(provider).EXAMPLE.packet)
        return play(Caller(module, url, desk_of(provider).KEY, clock[0]), asked if name != "b" else accepting(asked))

    with running_desks([provider], lambda: clock[0], lambda _: False) as desks:
        url = json.loads(desks.settings[f"API_{provider.upper()}"])["base_url"]
        for name in ("a", "b"):
            contest(name, url)
        told = list(desks.news())
        clock[0] = DUE
        contest("c", url)
        assert list(desks.news()) == []
    named = {
        simulator.dispute_id(SimulatedDispute(id=name)): act for name, act in (("a", Act.SUBMIT), ("b", Act.ACCEPT))
    }
    assert [(one.dispute_id, one.act) for _, one in told] == sorted(named.items())
    assert {one.at for _, one in told} == {START + 2 * DAY}
    assert len(desks.taken[provider]) == 2


@pytest.mark.parametrize("provider", ["apple", "google"])
def test_a_store_waits_under_its_own_names_and_for_the_hours_that_it_documents(provider: str, tmp_path: Path) -> None:
    simulator, module, simulated = load(provider, 1, tmp_path), load_answer(provider), desk_of(provider)
    assert module is not None
    clock = [START + DAY + simulated.WITHIN - HOUR]
    with running_desks([provider], lambda: clock[0], lambda _: False) as desks:
        for name in ("a", "b"):
            fact = opened(provider, name)
            simulator.requests(fact)
            desks.open(fact, simulator)
            assert fact.dispute is not None
            asked = replace(simulated.EXAMPLE, dispute_id=simulator.dispute_id(fact.dispute))
            if isinstance(simulator, Reviews):
                asked = replace(asked, answer_id=simulator.review_token(fact), account=simulator.package)
            else:
                asked = replace(asked, answer_id=asked.dispute_id)
            url = json.loads(desks.settings[f"API_{provider.upper()}"])["base_url"]
            play(Caller(module, url, simulated.KEY, clock[0]), asked)
            clock[0] += HOUR
        assert [name for name, _ in desks.news()] == [provider]


def test_who_has_no_desk_is_answered_by_people() -> None:
    assert has_desk("square")
    assert not any(has_desk(name) for name in ("worldpay", "gocardless"))
    with running_desks(["worldpay"], lambda: START) as desks:
        assert desks.settings == {}
