"""Fight or accept: what follows from our outcomes, the packet and the costs, and what no rule may do."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import beta

from shared.disputes.strategy import (
    Chance,
    Costs,
    Count,
    Outcomes,
    Strategy,
    Verdict,
    beta_below,
    beta_quantile,
    chance_of,
    decide,
)
from shared.domain.answers import Act
from shared.domain.disputes import AnsweredBy, Dispute
from shared.domain.events import DisputeReason, DisputeStage, DisputeStatus
from shared.domain.evidence import CompellingEvidence, Purchase
from shared.domain.money import Money
from tests.builders import DAY, HOUR, NOON, a_dispute_event, dispute_after, eur

STRATEGY = Strategy(
    costs={"EUR": Costs(dispute_fee=1500, refund_below=5000, answer=300, accept_below=500, programme_item=800)}
)
NOW = NOON + HOUR
PAID = Purchase(provider="stripe", payment_id="pi_1", at=NOON, amount=eur(1999))
PROVED = CompellingEvidence(rule="visa_ce3", disputed=PAID, priors=(PAID, PAID), matched=("ip", "login"))


def a_dispute(**fields: Any) -> Dispute:
    """EUR 19.99 claimed as Visa 10.4, due in twenty days."""
    return dispute_after(a_dispute_event(**fields))


def decided(dispute: Dispute, **told: Any) -> Verdict:
    asked: dict[str, Any] = {
        "packet_completeness": 1.0,
        "compelling": None,
        "outcomes": Outcomes(),
        "strategy": STRATEGY,
        "now": NOW,
    }
    return decide(dispute, **{**asked, **told})


def counted(won: int, lost: int, *of: str) -> Outcomes:
    return Outcomes(counts={(of or ("fraud", "visa", "stripe")): Count(won=won, lost=lost)})  # type: ignore[dict-item]


# What it is worth.


def test_an_answer_that_is_worth_more_than_it_costs_is_given() -> None:
    verdict = decided(a_dispute(amount=eur(10_000)))
    # 35 % of EUR 100 less EUR 3.
    assert (verdict.act, verdict.expected, verdict.earliest_at) == (Act.SUBMIT, eur(3_200), None)
    assert verdict.p_win == pytest.approx(0.35)
    assert verdict.by == "strategy/0"
    assert "it is worth EUR 32.00: 35% of EUR 100.00, less EUR 3.00 for the answer" in verdict.why


def test_one_that_is_not_is_accepted_where_it_is_small_after_people_were_told() -> None:
    verdict = decided(a_dispute(amount=eur(499)))
    assert verdict.act is Act.ACCEPT
    assert verdict.expected == eur(-126)
    assert verdict.earliest_at == NOW + STRATEGY.announced
    told_before = decided(a_dispute(amount=eur(499)), announced_at=NOON - DAY)
    assert told_before.earliest_at == NOON - DAY + STRATEGY.announced


def test_nothing_is_accepted_without_a_person_from_the_configured_amount_on() -> None:
    dispute = a_dispute(amount=eur(500))
    verdict = decided(dispute)
    assert verdict.expected is not None
    assert verdict.expected.minor < 0
    assert (verdict.act, verdict.earliest_at) == (Act.SUBMIT, NOON + 20 * DAY - STRATEGY.buffer)


def test_where_the_provider_takes_no_acceptance_the_packet_goes_out_at_the_end() -> None:
    verdict = decided(a_dispute(amount=eur(499)), acceptable=False)
    assert (verdict.act, verdict.earliest_at) == (Act.SUBMIT, NOON + 20 * DAY - STRATEGY.buffer)
    assert "takes no acceptance" in verdict.why[-1]


def test_where_no_time_is_left_to_announce_an_acceptance_the_packet_goes_out() -> None:
    dispute = a_dispute(amount=eur(499), respond_by=NOW + STRATEGY.announced + STRATEGY.buffer - HOUR)
    verdict = decided(dispute)
    assert (verdict.act, verdict.earliest_at) == (Act.SUBMIT, NOW + STRATEGY.announced - HOUR)
    assert "no time is left" in verdict.why[-1]
    # It was announced in time.
    assert decided(dispute, announced_at=NOW - HOUR).act is Act.ACCEPT


@pytest.mark.parametrize("fields", [{"amount": None}, {"amount": Money(499, "XOF")}])
def test_what_cannot_be_weighed_is_answered(fields: dict[str, Any]) -> None:
    verdict = decided(a_dispute(**fields))
    assert (verdict.act, verdict.expected) == (Act.SUBMIT, None)


def test_an_inquiry_that_is_lost_may_become_a_chargeback_that_counts() -> None:
    chargeback, inquiry = (
        decided(a_dispute(amount=eur(10_000), stage=stage)) for stage in (DisputeStage.CHARGEBACK, DisputeStage.INQUIRY)
    )
    assert chargeback.expected is not None
    assert inquiry.expected == eur(chargeback.expected.minor - round(0.65 * 0.5 * 800))


# What no rule may do.


def test_a_contest_that_costs_more_waits_for_somebody_to_agree() -> None:
    dispute = a_dispute(amount=eur(100_000), contest_fee=eur(50_000))
    held = decided(dispute)
    assert (held.act, held.earliest_at) == (None, None)
    assert "contesting it costs EUR 500.00: somebody has to agree to that first" in held.why
    # 35 % of EUR 1000 is less than EUR 500 and EUR 3: who agreed to it has agreed to an answer, not to a loss at once.
    agreed = decided(dispute, acknowledged=True)
    assert agreed.expected == eur(35_000 - 50_000 - 300)
    assert (agreed.act, agreed.earliest_at) == (Act.SUBMIT, NOON + 20 * DAY - STRATEGY.buffer)


def test_arbitration_waits_for_somebody_to_agree() -> None:
    dispute = a_dispute(amount=eur(100_000), stage=DisputeStage.ARBITRATION)
    assert decided(dispute).act is None
    assert decided(dispute, acknowledged=True).act is Act.SUBMIT


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"autodefended": True}, "waits for no answer"),
        ({"status": DisputeStatus.UNDER_REVIEW}, "waits for no answer"),
        ({"status": DisputeStatus.WON}, "waits for no answer"),
        ({"can_respond": False}, "takes no answer"),
        ({"respond_by": NOON + HOUR}, "deadline has passed"),
    ],
)
def test_where_nobody_can_or_has_to_answer_nothing_is_done(fields: dict[str, Any], words: str) -> None:
    verdict = decided(a_dispute(**fields), acknowledged=True)
    assert (verdict.act, verdict.p_win, verdict.expected) == (None, None, None)
    assert words in verdict.why[0]


def test_where_the_provider_answers_in_our_name_we_do_not() -> None:
    told = a_dispute(amount=eur(100_000))
    assert decided(replace(told, answered_by=AnsweredBy.PROVIDER)).why == ("the provider answers in our name",)


def test_what_is_told_of_another_dispute_is_answered_there() -> None:
    assert decided(replace(a_dispute(), same_as="dp_2")).act is None


# How likely it is.


def chance(outcomes: Outcomes, completeness: float = 1.0, compelling: CompellingEvidence | None = None) -> Chance:
    return chance_of(a_dispute(), completeness, compelling, outcomes, STRATEGY)


def test_without_outcomes_the_prior_is_all_there_is() -> None:
    none = chance(Outcomes())
    assert none.estimate == pytest.approx(0.35)
    assert (none.low, none.high) == pytest.approx((beta.ppf(0.05, 3.5, 6.5), beta.ppf(0.95, 3.5, 6.5)), abs=1e-6)


def test_our_own_outcomes_outweigh_the_prior_and_narrow_the_interval() -> None:
    few, many = chance(counted(8, 2)), chance(counted(800, 200))
    assert 0.35 < few.estimate < many.estimate < 0.8
    assert many.estimate == pytest.approx(0.8, abs=0.01)
    assert many.high - many.low < few.high - few.low
    assert (few.of, many.of) == (10, 1000)


def test_by_hand_three_levels_each_the_prior_of_the_next() -> None:
    outcomes = Outcomes(
        counts={
            ("fraud", "visa", "stripe"): Count(won=3, lost=1),
            ("fraud", "visa", "adyen"): Count(won=1, lost=5),
            ("fraud", "mastercard", "stripe"): Count(won=10, lost=0),
            ("duplicate", "visa", "stripe"): Count(won=99, lost=0),
        }
    )
    by_reason = (3.5 + 14) / (10 + 20)
    by_network = (10 * by_reason + 4) / (10 + 10)
    assert chance(outcomes).estimate == pytest.approx((10 * by_network + 3) / (10 + 4))


def test_another_providers_outcomes_inform_where_this_one_has_none_and_another_reasons_do_not() -> None:
    nothing = chance(Outcomes()).estimate
    assert chance(counted(50, 0, "fraud", "visa", "adyen")).estimate > nothing
    assert chance(counted(50, 0, "duplicate", "visa", "stripe")).estimate == nothing


def test_an_emptier_packet_wins_less_and_met_criteria_win_whatever_it_has() -> None:
    full, half, empty = (chance(Outcomes(), part).estimate for part in (1.0, 0.5, 0.0))
    assert full > half > empty == pytest.approx(0.35 * STRATEGY.completeness)
    proved = chance(Outcomes(), 0.0, PROVED)
    assert proved.estimate == STRATEGY.compelling
    assert any(
        "visa_ce3: 2 earlier payments, ip, login alike" in word for word in decided(a_dispute(), compelling=PROVED).why
    )


counts = st.builds(Count, won=st.integers(0, 500), lost=st.integers(0, 500))
keys = st.tuples(
    st.sampled_from(["fraud", "duplicate"]),
    st.sampled_from(["visa", "mastercard", ""]),
    st.sampled_from(["stripe", "adyen"]),
)


@given(st.dictionaries(keys, counts), st.floats(0, 1), st.sampled_from([None, PROVED]), st.integers(1, 10**7))
def test_an_estimate_lies_in_its_interval_and_a_verdict_says_what_it_does(
    known: dict[tuple[str, str, str], Count], completeness: float, compelling: CompellingEvidence | None, minor: int
) -> None:
    dispute = a_dispute(amount=eur(minor))
    verdict = decided(dispute, outcomes=Outcomes(counts=known), packet_completeness=completeness, compelling=compelling)
    assert verdict.p_win is not None
    assert verdict.interval is not None
    low, high = verdict.interval
    assert 0 <= low <= verdict.p_win <= high <= 1
    assert verdict.expected is not None
    # Silence loses no case: something is done by itself, and before the deadline.
    assert verdict.act is not None
    assert verdict.earliest_at is None or verdict.earliest_at <= NOON + 20 * DAY - STRATEGY.buffer
    if verdict.act is Act.ACCEPT:
        assert minor < 500
        assert verdict.expected.minor <= 0
        assert verdict.earliest_at is not None
        assert verdict.earliest_at >= NOW + STRATEGY.announced


def test_the_estimate_lies_in_its_interval_where_hundreds_were_lost_and_none_was_won() -> None:
    lost = Count(lost=500)
    known = {("fraud", network, provider): lost for network in ("visa", "") for provider in ("stripe", "adyen")}
    found = chance(Outcomes(counts=known))
    assert found.low <= found.estimate <= found.high


@given(st.dictionaries(keys, counts), st.integers(1, 50))
def test_one_more_win_makes_no_win_less_likely(known: dict[tuple[str, str, str], Count], more: int) -> None:
    key = ("fraud", "visa", "stripe")
    better = {**known, key: known.get(key, Count()) + Count(won=more)}
    before, after = (chance(Outcomes(counts=each)) for each in (known, better))
    assert (after.estimate, after.low, after.high) >= (before.estimate, before.low, before.high)
    assert after.estimate >= before.estimate
    assert after.low >= before.low


@given(st.floats(0.05, 5000), st.floats(0.05, 5000), st.floats(0, 1))
def test_the_beta_distribution_is_scipys(alpha: float, beta_: float, x: float) -> None:
    assert beta_below(x, alpha, beta_) == pytest.approx(beta.cdf(x, alpha, beta_), abs=1e-9)


@given(st.floats(1, 5000), st.floats(1, 5000), st.sampled_from([0.05, 0.5, 0.95]))
def test_a_quantile_is_where_so_much_lies_below(alpha: float, beta_: float, part: float) -> None:
    assert beta.cdf(beta_quantile(part, alpha, beta_), alpha, beta_) == pytest.approx(part, abs=1e-6)


def test_rows_of_the_warehouse_become_counts_under_one_name_of_a_network() -> None:
    rows: list[dict[str, object]] = [
        {"provider": "adyen", "reason": "fraud", "network": "mc", "won": 2, "lost": 1},
        {"provider": "adyen", "reason": "fraud", "network": "mastercard", "won": 1, "lost": 0},
        {"provider": "adyen", "reason": None, "network": None, "won": 0, "lost": 4},
    ]
    assert Outcomes.of(rows).counts == {
        ("fraud", "mastercard", "adyen"): Count(won=3, lost=1),
        ("other", "", "adyen"): Count(won=0, lost=4),
    }


@pytest.mark.parametrize(
    "fields",
    [{"priors": {DisputeReason.FRAUD: 0.5}}, {"weight": 0.0}, {"unproven": 0.5}, {"completeness": 1.5}],
)
def test_a_strategy_by_which_nothing_can_be_decided_is_none(fields: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        Strategy(**fields)


def test_every_currency_of_the_shipped_strategy_has_costs_that_make_sense() -> None:
    for costs in Strategy().costs.values():
        assert 0 < costs.answer < costs.accept_below < costs.programme_item
    assert Strategy().announced + Strategy().buffer < timedelta(days=7)
