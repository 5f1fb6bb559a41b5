"""Refund or hold: by expected cost, never what went back already, and in doubt a person."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.disputes.alerts import SHOWN_WITHIN, AlertRules, decide, expected_of_holding, outcome_of
from shared.disputes.lifecycle import alert_of, record
from shared.disputes.refunds import Advice, MayRefund
from shared.disputes.strategy import Costs, Outcomes, Strategy, Verdict
from shared.domain.answers import Act
from shared.domain.disputes import AlertOutcome, Answer, AnswerState, Dispute
from shared.domain.events import Alert, DisputeReason, DisputeStage, DisputeStatus
from shared.domain.money import Money
from tests.builders import DAY, HOUR, NOON, a_dispute_event, a_fraud_warning, dispute_after, eur

COSTS = Costs(answer=300, accept_below=500, programme_item=800, dispute_fee=2000, refund_below=5000)
# P(win) of a fraud dispute with half a packet: 0.35 x (0.4 + 0.6 x 0.5) = 0.245.
STRATEGY = Strategy(costs={"EUR": COSTS})
RULES = AlertRules()


def a_report(**fields: Any) -> Dispute:
    return dispute_after(alert_of(a_fraud_warning(**fields)))


def an_alert(alert: Alert = Alert.ETHOCA, **fields: Any) -> Dispute:
    told = {"stage": DisputeStage.INQUIRY, "reason_code": None, "respond_by": NOON + DAY, "alert": alert}
    return dispute_after(a_dispute_event(**{**told, **fields}))


def decided(alert: Dispute, left: Money | None = None, **told: Any) -> Verdict:
    advice = Advice(
        told.pop("may", MayRefund.YES), left or eur(1999), ("nobody disputes it",), told.pop("settled", None)
    )
    asked = {"authenticated": False, "outcomes": Outcomes(), "strategy": STRATEGY, "rules": RULES, "now": NOON}
    return decide(alert, advice, **{**asked, **told})


@pytest.mark.parametrize(
    ("left", "held", "act"),
    [
        # 0.8 x (0.755 x 1999 + 2000 + 300 + 800) = 3687.4
        (1999, 3687, Act.ACCEPT),
        # 0.8 x (0.755 x 4999 + 3100) = 5499.4
        (4999, 5499, Act.ACCEPT),
        # 0.8 x (0.755 x 6000 + 3100) = 6104: dearer than the refund, and too much for a rule.
        (6000, 6104, None),
        # 0.8 x (0.755 x 9900 + 3100) = 8459.6
        (9900, 8460, Act.DECLINE),
    ],
)
def test_a_report_is_refunded_where_to_hold_is_expected_to_cost_more(left: int, held: int, act: Act | None) -> None:
    verdict = decided(a_report(), eur(left))
    assert (verdict.act, verdict.expected) == (act, eur(held))
    assert f"a refund costs {eur(left)}; to hold is expected to cost {eur(held)}" in verdict.why[1]


def test_where_three_d_secure_moved_the_liability_it_is_held() -> None:
    # 0.8 x 0.25 x (0.755 x 1999 + 3100) = 921.8
    verdict = decided(a_report(), authenticated=True)
    assert (verdict.act, verdict.expected) == (Act.DECLINE, eur(922))


def test_behind_a_networks_alert_an_issuer_waits_to_file() -> None:
    # Services are disputed as well: 0.95 x ((1 - 0.45 x 0.7) x 9900 + 3100) = 9387.4
    verdict = decided(an_alert(reason=DisputeReason.CANCELED), eur(9900))
    assert (verdict.act, verdict.expected) == (Act.DECLINE, eur(9387))


@given(
    st.integers(1, 10**9),
    st.floats(0, 1),
    st.floats(0, 1),
    st.builds(Costs, **dict.fromkeys(Costs.__slots__, st.integers(0, 10**6))),
)
def test_to_hold_costs_more_the_likelier_the_dispute_and_less_the_likelier_its_win(
    left: int, chance: float, p_win: float, costs: Costs
) -> None:
    held = expected_of_holding(eur(left), chance, p_win, costs).minor
    assert 0 <= held <= left + costs.dispute_fee + costs.answer + costs.programme_item
    assert held <= expected_of_holding(eur(left), min(1.0, chance + 0.1), p_win, costs).minor
    assert held >= expected_of_holding(eur(left), chance, min(1.0, p_win + 0.1), costs).minor


@pytest.mark.parametrize("settled", [AlertOutcome.ALREADY_DISPUTED, AlertOutcome.PREVIOUSLY_REFUNDED])
@pytest.mark.parametrize("may", MayRefund)
def test_what_went_back_or_is_disputed_is_never_refunded(settled: AlertOutcome, may: MayRefund) -> None:
    assert decided(an_alert(), may=may, settled=settled).act is Act.DECLINE


def test_in_doubt_a_person_says() -> None:
    assert decided(an_alert(), may=MayRefund.NO).act is None
    assert decided(an_alert(), may=MayRefund.ASK).act is None
    assert decided(an_alert(), Money(1999, "XAU")).act is None
    # A report that another alert is looking after wants nobody.
    assert decided(a_report(), may=MayRefund.ASK).act is Act.DECLINE


def test_one_that_waits_for_another_refund_is_looked_at_again_while_there_is_time_to_answer() -> None:
    for due, again_at in (
        (NOON + 3 * HOUR, NOON + 3 * HOUR + SHOWN_WITHIN),
        (NOON + 2 * DAY, NOON + DAY - RULES.buffer),
    ):
        advice = Advice(MayRefund.ASK, eur(1999), ("one is on its way",), None, underway_until=due)
        verdict = decide(
            an_alert(), advice, authenticated=False, outcomes=Outcomes(), strategy=STRATEGY, rules=RULES, now=NOON
        )
        assert (verdict.act, verdict.earliest_at) == (None, again_at)


def test_it_is_announced_for_as_long_as_its_window_leaves() -> None:
    assert decided(a_report()).earliest_at == NOON + DAY
    assert decided(an_alert()).earliest_at == NOON + 6 * HOUR
    assert decided(an_alert(), now=NOON + 14 * HOUR).earliest_at == NOON + 18 * HOUR
    assert decided(an_alert(), now=NOON + 20 * HOUR).earliest_at == NOON + 20 * HOUR


def test_rules_that_leave_an_alert_out_are_none() -> None:
    with pytest.raises(ValueError, match="every alert"):
        AlertRules(becomes={Alert.REPORT: 0.8})
    with pytest.raises(ValueError, match="every alert"):
        AlertRules(announced={Alert.REPORT: timedelta(0)})


def answered(act: Act | None, state: AnswerState, code: str | None = None) -> Answer:
    return Answer(state=state, act=act, at=NOON, answered_at=NOON, code=code)


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (answered(Act.ACCEPT, AnswerState.TAKEN), AlertOutcome.REFUNDED),
        (answered(Act.ACCEPT, AnswerState.ELSEWHERE), AlertOutcome.REFUNDED),
        (answered(Act.ACCEPT, AnswerState.SENDING), None),
        (answered(Act.ACCEPT, AnswerState.PARKED, "outcome_unknown"), None),
        (answered(Act.DECLINE, AnswerState.TAKEN, "declined"), AlertOutcome.DECLINED),
        (answered(Act.DECLINE, AnswerState.TAKEN, "already_disputed"), AlertOutcome.ALREADY_DISPUTED),
        (answered(Act.DECLINE, AnswerState.ANNOUNCED, "declined"), None),
        (answered(None, AnswerState.ELSEWHERE), AlertOutcome.PREVIOUSLY_REFUNDED),
        (answered(Act.ACCEPT, AnswerState.OVER, "nothing_taken"), AlertOutcome.ALREADY_DISPUTED),
        (answered(Act.ACCEPT, AnswerState.OVER, "overtaken"), None),
    ],
)
def test_the_outcome_is_what_is_final(answer: Answer, outcome: AlertOutcome | None) -> None:
    assert outcome_of(answer) is outcome


def test_a_report_has_no_deadline_and_one_that_asks_for_nothing_is_closed() -> None:
    asked, told = a_fraud_warning(), a_fraud_warning(occurred_at=NOON + HOUR, actionable=False)
    report = dispute_after(alert_of(asked))
    assert (report.status, report.respond_by, report.deadline_estimated) == (DisputeStatus.NEEDS_RESPONSE, None, False)
    assert dispute_after(alert_of(asked), alert_of(told)).status is DisputeStatus.CLOSED
    refunded = replace(answered(Act.ACCEPT, AnswerState.TAKEN), stage=DisputeStage.INQUIRY)
    both = replace(dispute_after(alert_of(asked)), answers={"inquiry/0": refunded})
    assert dispute_after(alert_of(asked)).round == "inquiry/0"
    assert record(both, alert_of(told), NOON).status is DisputeStatus.PREVENTED
