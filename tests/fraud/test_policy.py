"""Rules and thresholds: from evidence and a score to an outcome."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.decisions import Outcome
from shared.fraud.book import SHIPPED, shipped_rules
from shared.fraud.expressions import features_of
from shared.fraud.features import NAMES
from shared.fraud.parsing import parse
from shared.fraud.policy import (
    SEVERITY,
    Capacity,
    Costs,
    Exploration,
    Limits,
    Policy,
    Thresholds,
    cheapest,
    cheapest_authenticated,
    cheapest_challenged,
    hardest,
    within_capacity,
)
from shared.fraud.rules import Rule, Scope, Segment, Table

NOTHING: dict[str, float | None] = dict.fromkeys(NAMES)


def codes(**features: float) -> list[str]:
    return [rule.code for rule in SHIPPED.table.judge({**NOTHING, **features}, Segment(account="a", provider="p"))]


def bounds_of(rule: Rule) -> dict[str, float]:
    """A vector at which every comparison of a shipped rule holds, and only just."""
    comparisons = rule.tree[1:] if rule.tree[0] == "and" else [rule.tree]
    # What is not told of who initiates a payment does not keep a rule from holding.
    compared = [one for one in comparisons if one != ["=", ["coalesce", "merchant_initiated", 0], 0]]
    return {feature: bound if name == ">=" else bound - 1 for name, feature, bound in compared}


def test_what_is_missing_satisfies_no_rule() -> None:
    assert codes() == []


@pytest.mark.parametrize("rule", shipped_rules(), ids=lambda rule: rule.code)
def test_every_rule_holds_at_its_bounds_and_not_without_one_of_its_conditions(rule: Rule) -> None:
    bounds = bounds_of(rule)
    assert rule.code in codes(**bounds)
    for missing in bounds:
        assert rule.code not in codes(**{name: value for name, value in bounds.items() if name != missing})


@pytest.mark.parametrize("rule", shipped_rules(), ids=lambda rule: rule.code)
def test_every_shipped_rule_is_what_its_sql_says_and_says_why_it_is_there(rule: Rule) -> None:
    assert parse(rule.sql) == rule.tree
    assert rule.owner
    assert rule.reason
    assert rule.measured.startswith("Simulated world, ")


def test_two_rules_of_one_code_are_refused_by_that_code() -> None:
    first, second, *others = shipped_rules()
    with pytest.raises(ValueError, match=f"two rules have one code: {first.code}, {second.code}$"):
        Table([second, first, *others, second, first])


@pytest.mark.parametrize("whose", ["card", "customer"])
def test_after_known_fraud_a_renewal_that_nobody_is_there_for_is_left_alone(whose: str) -> None:
    known = {f"{whose}_frauds_ever": 1.0}
    found = {"card": "known_fraud_on_card", "customer": "known_fraud_of_customer"}[whose]
    assert codes(**known) == codes(**known, merchant_initiated=0) == [found]
    assert codes(**known, merchant_initiated=1) == []


def test_card_testing_on_one_device_is_declined() -> None:
    assert codes(device_new_cards_1h=4, device_declined_1h=2) == ["card_testing_on_device"]


def test_thresholds_are_where_two_outcomes_cost_the_same() -> None:
    costs = Costs()
    found = cheapest(costs)

    def cost(outcome: Outcome, p: float) -> float:
        return {
            Outcome.APPROVE: p,
            Outcome.CHALLENGE: costs.challenge_friction + costs.challenge_missed * p,
            Outcome.REVIEW: costs.review_friction + costs.review_missed * p,
            Outcome.DECLINE: costs.insult * (1 - p),
        }[outcome]

    for thousandth in range(1, 1000):
        p = thousandth / 1000
        assert cost(found.outcome(p), p) <= min(cost(outcome, p) for outcome in Outcome) + 1e-9


def test_where_people_cost_more_than_insults_a_threshold_still_lies_no_lower_than_the_one_before() -> None:
    """Reviewing pays above 0.14 / 0.2 = 0.7, and declining above 0.34 / 0.6 = 0.57 already, were it not the harder one."""
    found = cheapest(Costs(review_friction=0.16, insult=0.5))
    assert found.review == found.decline == pytest.approx(0.7)
    dear = cheapest(Costs(challenge_friction=0.6, review_friction=0.65, insult=0.7))
    assert dear.challenge == dear.review == dear.decline == pytest.approx(0.6 / 0.7)


@given(
    st.lists(st.tuples(st.floats(0, 1), st.sampled_from([1.0, 10.0])), max_size=200),
    st.floats(0.001, 0.5),
    st.floats(0.001, 0.5),
)
def test_no_more_is_asked_than_there_is_capacity_for(
    scored: Sequence[tuple[float, float]], challenge: float, review: float
) -> None:
    base = cheapest(Costs())
    limits = within_capacity(base, scored, Capacity(challenge=challenge, review=review))
    payments = sum(weight for _, weight in scored)
    for outcome, part in ((Outcome.CHALLENGE, challenge), (Outcome.REVIEW, review)):
        assert sum(w for score, w in scored if limits.outcome(score) is outcome) <= part * payments + 1e-9
    assert limits.decline == base.decline
    assert limits.challenge >= base.challenge


@pytest.mark.parametrize("wrong", [(0.5, 0.4, 0.9), (0.0, 0.4, 0.9), (0.1, 0.4, 1.1)])
def test_thresholds_that_do_not_rise_are_refused(wrong: tuple[float, float, float]) -> None:
    with pytest.raises(ValueError, match="thresholds rise"):
        Thresholds(*wrong)


def test_the_hardest_outcome_is_heard() -> None:
    assert hardest([]) is Outcome.APPROVE
    assert hardest([Outcome.REVIEW, Outcome.CHALLENGE]) is Outcome.REVIEW
    assert SEVERITY == (Outcome.APPROVE, Outcome.CHALLENGE, Outcome.REVIEW, Outcome.DECLINE)


SEGMENT = Segment(account="acct_1", provider="stripe", country="FR", initiator="customer")
OTHERWISE = cheapest(Costs())
PRIVATE = Limits(name="france", scope=Scope(countries=("FR",)), costs=Costs(insult=2.0), authenticated_loss=0.2)


def test_the_first_limits_that_cover_a_payment_stand_in_the_place_of_the_models() -> None:
    strict = Thresholds(challenge=0.01, review=0.02, decline=0.03)
    policy = Policy(limits=(PRIVATE, Limits(name="all", thresholds=strict)))
    assert policy.thresholds(OTHERWISE, SEGMENT, authenticated=False) == cheapest_challenged(Costs(insult=2.0), 0.2)
    assert policy.thresholds(OTHERWISE, replace(SEGMENT, country=None), authenticated=False) == strict
    assert Policy().thresholds(OTHERWISE, SEGMENT, authenticated=True) == OTHERWISE
    assert len({policy.version(OTHERWISE), Policy().version(OTHERWISE), policy.version(strict)}) == 3


@pytest.mark.parametrize("loss", [0.01, 0.05, 0.1, 0.25, 1.0])
def test_an_authenticated_payment_is_answered_by_what_costs_least_where_liability_has_shifted(loss: float) -> None:
    costs = Costs()
    found = cheapest_authenticated(costs, loss)

    def cost(outcome: Outcome, p: float) -> float:
        return {
            Outcome.APPROVE: loss * p,
            Outcome.REVIEW: costs.review_friction + costs.review_missed * loss * p,
            Outcome.DECLINE: costs.insult * (1 - p),
        }[outcome]

    for thousandth in range(1, 1000):
        p = thousandth / 1000
        assert found.outcome(p) is not Outcome.CHALLENGE
        answers = (Outcome.APPROVE, Outcome.REVIEW, Outcome.DECLINE)
        assert cost(found.outcome(p), p) <= min(cost(outcome, p) for outcome in answers) + 1e-9


def test_exploration_draws_its_share_and_the_same_again_and_nothing_above_its_amount() -> None:
    exploration = Exploration(share=0.01, most=5000)
    drawn = [exploration.draws(f"stripe:pi_{n}") for n in range(20_000)]
    assert 140 <= sum(drawn) <= 260
    assert drawn == [exploration.draws(f"stripe:pi_{n}") for n in range(20_000)]
    assert exploration.takes(5000)
    assert not exploration.takes(5001)
    assert not exploration.takes(None)
    assert not Exploration(most=5000).takes(1)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Exploration(share=0.011, most=1),
        lambda: Exploration(share=0.01, most=-1),
        lambda: Limits(name="neither"),
        lambda: Limits(name="both", thresholds=OTHERWISE, costs=Costs()),
        lambda: Limits(name="no costs", thresholds=OTHERWISE, authenticated_loss=0.5),
        lambda: Limits(name="no loss", costs=Costs(), authenticated_loss=0.0),
        lambda: Limits(name="reviews for nothing", costs=Costs(review_friction=0.0)),
    ],
)
def test_a_policy_by_which_nobody_can_judge_is_refused(make: Callable[[], object]) -> None:
    with pytest.raises(ValueError, match=r"exploration|segment|authentication|loss|challenge"):
        make()


def test_a_shipped_rule_that_declines_on_what_cardholders_said_earlier_is_none_of_ours() -> None:
    """Those who deny what they bought go on paying: 1.5 % of genuine payments come after such a claim (`rule_harm`)."""
    declining = [rule for rule in shipped_rules() if rule.outcome is Outcome.DECLINE]
    assert not [rule.code for rule in declining if any("_frauds_" in name for name in features_of(rule.tree))]
