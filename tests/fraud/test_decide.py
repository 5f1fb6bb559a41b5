"""Limits, exploration and exemptions, through the decision that they make."""

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.domain.codec import encode
from shared.domain.decisions import Action, Decision, Outcome, ScaExemption
from shared.domain.events import Initiator, PaymentAssessed, PaymentAttempt
from shared.domain.pseudonyms import MAIL, Keyring, unkeyed
from shared.flows.train_model import COLUMNS
from shared.fraud.book import SHIPPED, Book, Contents
from shared.fraud.decide import SPENT, decide, digest, judged_by, recompute, same_request
from shared.fraud.features import EPOCH, Attempt
from shared.fraud.history import Known
from shared.fraud.lists import Entry
from shared.fraud.model import Model
from shared.fraud.policy import (
    DEFAULT_THRESHOLDS,
    Costs,
    Exemptions,
    Exploration,
    Limits,
    Policy,
    Thresholds,
    cheapest_challenged,
)
from shared.fraud.rules import Scope, Table
from tests.builders import DAY, NOON, a_payment_event, an_assessment, eur
from tests.flows.test_book_of_rules import a_rule
from tests.fraud.forests import fitted, loaded

PASS = Thresholds(challenge=1.0, review=1.0, decline=1.0)
STOP = Thresholds(challenge=1e-12, review=1e-11, decline=1e-10)


@pytest.fixture(scope="module")
def model() -> Model:
    return loaded(COLUMNS, fitted(COLUMNS))


def judged(policy: Policy, model: Model | None, event: PaymentAttempt | None = None, **more: Any) -> Decision:
    """The decision by `policy`, which comes out the same when it is computed again."""
    book = Book(Contents(policy=policy, rules=more.pop("rules", ()), entries=more.pop("entries", ())))
    decision = decide(Known(Attempt.of(event or an_assessment()), {}), model, NOON, book, **more)
    assert encode(recompute(decision, model, book)) == encode(decision)
    return decision


def test_the_first_limits_whose_segment_covers_a_payment_decide(model: Model) -> None:
    policy = Policy(
        limits=(
            Limits(name="trial", scope=Scope(products=("trial",)), thresholds=STOP),
            Limits(name="here", scope=Scope(countries=("DE",), providers=("stripe",)), thresholds=PASS),
        )
    )
    assert judged(policy, model, an_assessment(product="trial")).outcome is Outcome.DECLINE
    assert judged(policy, model, an_assessment(product="annual")).outcome is Outcome.APPROVE
    # No provider's event tells the product.
    assert judged(policy, model, a_payment_event()).outcome is Outcome.APPROVE


def test_a_rule_judges_the_products_of_its_scope_only() -> None:
    rules = (a_rule(scope=Scope(products=("trial",))),)
    assert judged(Policy(), None, an_assessment(product="trial"), rules=rules).outcome is Outcome.REVIEW
    for product in (None, "annual"):
        assert judged(Policy(), None, an_assessment(product=product), rules=rules).outcome is Outcome.APPROVE


def test_what_says_nothing_of_later_members_has_the_version_that_it_had() -> None:
    """As the release before products, exemptions and the day's amount computed them."""
    earlier = Limits(name="a", scope=Scope(countries=("FR",)), costs=Costs(insult=2.0))
    exploring = Policy(limits=(earlier,), exploration=Exploration(share=0.01, most=5000))
    # As they were shipped then.
    changed = {f"known_fraud_{whose}": [">=", f"{whose[3:]}_frauds_ever", 1] for whose in ("on_card", "of_customer")}
    then = [rule for rule in SHIPPED.contents.rules if rule.code != "many_customers_on_device"]
    before = [replace(rule, tree=changed.get(rule.code, rule.tree)) for rule in then]
    assert Table(before).version == "30ef5ab28bda833a"
    assert exploring.version(DEFAULT_THRESHOLDS) == "7f537412baa716b3"
    more = [
        replace(exploring, limits=(replace(earlier, scope=Scope(countries=("FR",), products=("trial",))),)),
        replace(exploring, limits=(replace(earlier, authenticated_loss=0.5),)),
        replace(exploring, exploration=Exploration(share=0.01, most=5000, most_a_day=1)),
        replace(exploring, exemptions=(Exemptions(name="eea", low_value=True),)),
    ]
    versions = {one.version(DEFAULT_THRESHOLDS) for one in (exploring, *more)}
    assert len(versions) == 5
    assert digest(an_assessment(product="trial")) != digest(an_assessment())


def test_a_request_is_told_by_the_words_by_which_earlier_releases_told_it() -> None:
    """What is stored was made of the dataclass's own words, and is compared with what comes now."""
    asked = an_assessment(product="trial", ip="2001:db8::1", aliases=("pi_1", "it's"), decision="answered")
    # Which knew of one name of an address alone, and forget those that came with a further key.
    words = repr(replace(asked, occurred_at=EPOCH, decision="")).replace(", email_hash_also=()", "")
    assert digest(asked) == hashlib.sha256(words.encode()).hexdigest()[:16]
    assert digest(an_assessment()) == "6cfb45edd915f63f", "of a request, in every release"


@pytest.mark.parametrize(("old", "new"), [("1", "2"), ("9", "10"), ("k2", "k10"), ("2026", "2025b")])
def test_a_request_stays_the_same_through_a_rotation_whatever_the_keys_are_called(old: str, new: str) -> None:
    a, b = b"a" * 32, b"b" * 32
    before, added = Keyring({old: a}, old), Keyring({old: a, new: b}, old)
    switched, dropped = Keyring(added.keys, new), Keyring({new: b}, new)

    def under(keyring: Keyring, address: str = "ana@music.example") -> PaymentAssessed:
        marked = unkeyed(MAIL, address)
        return an_assessment(email_hash=keyring.keyed_text(marked), email_hash_also=keyring.others(marked))

    for then, now in (
        (before, added),
        (before, switched),
        (added, switched),
        (added, before),
        (switched, added),
        (switched, dropped),
    ):
        assert same_request(under(now), digest(under(then)))
        assert not same_request(under(now, "eve@music.example"), digest(under(then)))
    # Answered under a key that is gone by now: nobody can know that it is the same address.
    assert not same_request(under(dropped), digest(under(added)))
    assert same_request(an_assessment(email_hash=None), digest(an_assessment(email_hash=None)))


def drawn(policy: Policy) -> Iterator[str]:
    return (f"r-{n}" for n in range(100_000) if policy.exploration.draws(f"stripe:r-{n}"))


EXPLORING = Policy(
    limits=(Limits(name="all", thresholds=STOP),), exploration=Exploration(share=0.01, most=5000, most_a_day=10_000)
)


def test_exploration_lets_a_drawn_payment_pass_and_says_how_probable_that_was(model: Model) -> None:
    explored = judged(EXPLORING, model, an_assessment(request_id=next(drawn(EXPLORING))))
    assert (explored.outcome, explored.explored, explored.propensity) == (Outcome.APPROVE, True, 0.01)
    assert "instead_of_decline" in [reason.code for reason in explored.reasons]
    other = judged(EXPLORING, model, an_assessment(request_id="r-not"))
    assert (other.outcome, other.explored, other.propensity) == (Outcome.DECLINE, False, 0.99)


def test_exploration_leaves_alone_what_is_large_or_named_by_a_rule_or_a_list_or_was_not_stopped(model: Model) -> None:
    name = next(drawn(EXPLORING))
    asked = an_assessment(request_id=name)
    block = Entry(action=Action.BLOCK, kind="country", value="DE", until=NOON + DAY)
    for decision in (
        judged(EXPLORING, model, replace(asked, amount=eur(5001))),
        judged(EXPLORING, model, asked, rules=(a_rule(),)),
        judged(EXPLORING, model, asked, entries=(block,)),
        judged(replace(EXPLORING, limits=(Limits(name="all", thresholds=PASS),)), model, asked),
        judged(EXPLORING, None, asked),
    ):
        assert (decision.explored, decision.propensity) == (None, None)


def test_what_is_drawn_once_the_day_is_spent_is_stopped_and_told_apart(model: Model) -> None:
    asked = an_assessment(request_id=next(drawn(EXPLORING)))
    looked: list[int] = []
    spent = judged(EXPLORING, model, asked, may_lose=lambda amount: looked.append(amount) or False)  # type: ignore[func-returns-value]
    assert (spent.outcome, spent.explored, spent.propensity) == (Outcome.DECLINE, False, SPENT)
    assert looked == [1999]
    judged(EXPLORING, model, an_assessment(request_id="r-not"), may_lose=lambda amount: looked.append(amount) or True)  # type: ignore[func-returns-value]
    assert looked == [1999]


ALL = Policy(
    limits=(Limits(name="all", thresholds=PASS),),
    exemptions=(Exemptions(name="eea", scope=Scope(countries=("DE",)), low_value=True, acquirer_fraud_rate=0.0006),),
)


@pytest.mark.parametrize(
    ("rate", "minor", "exemption"),
    [
        (0.0001, 50_000, ScaExemption.RISK_ANALYSIS),
        (0.0001, 50_001, None),
        (0.00011, 25_000, ScaExemption.RISK_ANALYSIS),
        (0.0006, 25_001, None),
        (0.00061, 10_000, ScaExemption.RISK_ANALYSIS),
        (0.0013, 10_001, None),
        (0.00131, 3_000, ScaExemption.LOW_VALUE),
        (0.00131, 3_001, None),
        (None, 3_000, ScaExemption.LOW_VALUE),
    ],
)
def test_the_exemption_that_may_be_asked_for_follows_from_the_amount_and_the_acquirers_rate(
    rate: float | None, minor: int, exemption: ScaExemption | None, model: Model
) -> None:
    policy = replace(ALL, exemptions=(replace(ALL.exemptions[0], acquirer_fraud_rate=rate),))
    assert judged(policy, model, an_assessment(amount=eur(minor))).sca_exemption is exemption


def test_exemptions_of_one_provider_are_named_for_no_other(model: Model) -> None:
    theirs = replace(ALL, exemptions=(replace(ALL.exemptions[0], scope=Scope(providers=("stripe",))),))
    assert judged(theirs, model).sca_exemption is ScaExemption.RISK_ANALYSIS
    assert judged(theirs, model, an_assessment(provider="adyen")).sca_exemption is None


def test_judged_by_another_book_a_decision_is_the_one_that_this_book_makes(model: Model) -> None:
    known = Known(Attempt.of(an_assessment()), {})
    other = Book(Contents(policy=Policy(limits=EXPLORING.limits), rules=(a_rule(),)), 7)
    assert encode(judged_by(decide(known, model, NOON), model, other)) == encode(decide(known, model, NOON, other))


def test_no_exemption_is_named_where_none_is_asked_for_or_anything_speaks_against_the_payment(model: Model) -> None:
    stopped = replace(ALL, limits=EXPLORING.limits)
    exploring = replace(stopped, exploration=EXPLORING.exploration)
    allowed = Entry(action=Action.ALLOW, kind="country", value="DE", until=NOON + DAY)
    for decision in (
        judged(Policy(limits=ALL.limits), model),
        judged(ALL, model, a_payment_event()),
        judged(ALL, model, an_assessment(initiator=Initiator.MERCHANT)),
        judged(ALL, model, an_assessment(three_d_secure="authenticated")),
        judged(ALL, model, an_assessment(three_d_secure="failed")),
        judged(ALL, model, an_assessment(method="paypal")),
        judged(ALL, model, an_assessment(amount=None)),
        judged(ALL, model, an_assessment(card=None, billing_country="US")),
        judged(ALL, model, rules=(a_rule(),)),
        judged(stopped, model),
        judged(stopped, model, entries=(allowed,)),
        judged(exploring, model, an_assessment(request_id=next(drawn(exploring)))),
    ):
        assert decision.sca_exemption is None
    # Without a model nothing was analyzed.
    assert judged(ALL, None).sca_exemption is ScaExemption.LOW_VALUE


@given(st.floats(0.01, 1), st.floats(0.01, 0.05), st.floats(0.2, 0.5), st.floats(0.06, 0.1), st.floats(0.5, 3))
@settings(max_examples=25, deadline=None)
def test_a_payment_that_would_be_challenged_is_answered_by_what_costs_least_where_a_challenge_shifts_liability(
    loss: float, friction: float, missed: float, review: float, insult: float
) -> None:
    costs = Costs(challenge_friction=friction, challenge_missed=missed, review_friction=review, insult=insult)
    found = cheapest_challenged(costs, loss)

    def cost(outcome: Outcome, p: float) -> float:
        return {
            Outcome.APPROVE: p,
            Outcome.CHALLENGE: friction + missed * loss * p,
            Outcome.REVIEW: review + costs.review_missed * p,
            Outcome.DECLINE: insult * (1 - p),
        }[outcome]

    for hundredth in range(1, 100):
        p = hundredth / 100
        assert cost(found.outcome(p), p) <= min(cost(outcome, p) for outcome in Outcome) + 1e-9
