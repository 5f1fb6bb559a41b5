"""What is due when, to the microsecond."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from shared.disputes import lifecycle
from shared.disputes.deadlines import action_key, expired_cause, schedule, tasks, tightest
from shared.domain.answers import Act
from shared.domain.disputes import Action, ActionState, Answer, AnswerState, Dispute, ExpiredCause, Rung
from shared.domain.events import DisputeStage, DisputeStatus
from tests.builders import DAY, HOUR, NOON, SECOND, a_dispute_event

RESPOND_BY = NOON + 20 * DAY
MICROSECOND = timedelta(microseconds=1)


def a_dispute(heard_at: datetime = NOON, **fields: Any) -> Dispute:
    """An open dispute of a known payment."""
    dispute = Dispute(provider="stripe", dispute_id="dp_1", account="acct_1", linked_to="pi_1")
    return lifecycle.record(dispute, a_dispute_event(**{"respond_by": RESPOND_BY, **fields}), heard_at)


def acted(dispute: Dispute, *rungs: Rung, state: ActionState = ActionState.DONE) -> Dispute:
    actions = {action_key(dispute, rung): Action(rung=rung, state=state, at=NOON) for rung in rungs}
    return lifecycle.settle(replace(dispute, actions=actions))


def answered(dispute: Dispute, state: AnswerState, at: datetime = NOON, **fields: Any) -> Dispute:
    """With an answer to what is asked now."""
    answer = Answer(**{"state": state, "stage": dispute.stage, "at": at, "answered_at": at, "words": 1, **fields})
    assert dispute.round is not None
    return lifecycle.settle(replace(dispute, answers={**dispute.answers, dispute.round: answer}))


def ladder(dispute: Dispute) -> datetime:
    """When the next rung is due, beside the answer itself."""
    return min(task.due for task in tasks(dispute) if task.rung is not Rung.ANSWER)


def due(dispute: Dispute, at: datetime) -> set[Rung]:
    return {task.rung for task in tasks(dispute) if task.due <= at}


@pytest.mark.parametrize(
    ("rung", "before"),
    [(Rung.WEEK, 7 * DAY), (Rung.THREE_DAYS, 3 * DAY), (Rung.DAY, DAY), (Rung.SIX_HOURS, 6 * HOUR)],
)
@pytest.mark.parametrize(("late", "is_due"), [(-SECOND, False), (0 * SECOND, True), (SECOND, True)])
def test_a_reminder_is_due_from_its_instant_on(rung: Rung, before: timedelta, late: timedelta, is_due: bool) -> None:
    assert (rung in due(a_dispute(), RESPOND_BY - before + late)) is is_due


@pytest.mark.parametrize(
    ("late", "expires"),
    [(-SECOND, False), (0 * SECOND, False), (MICROSECOND, True), (SECOND, True)],
)
def test_a_dispute_expires_just_after_the_last_instant_at_which_evidence_is_accepted(
    late: timedelta, expires: bool
) -> None:
    assert (Rung.EXPIRE in due(a_dispute(), RESPOND_BY + late)) is expires


def test_of_several_reminders_due_together_the_tightest_is_sent() -> None:
    found = [task for task in tasks(a_dispute()) if task.due <= RESPOND_BY - 12 * HOUR]
    first = tightest(found)
    assert first is not None
    assert first.rung is Rung.DAY
    assert tightest([]) is None


def test_what_is_done_is_not_due_again_and_the_next_is_scheduled() -> None:
    dispute = acted(a_dispute(), Rung.WEEK)
    assert ladder(dispute) == RESPOND_BY - 3 * DAY
    assert schedule(answered(acted(a_dispute(), *Rung), AnswerState.PARKED)) is None


def test_what_is_claimed_is_due_again_when_the_lease_runs_out() -> None:
    dispute = a_dispute()
    claim = Action(rung=Rung.WEEK, state=ActionState.CLAIMED, at=NOON, lease_until=NOON + HOUR)
    dispute = lifecycle.settle(replace(dispute, actions={action_key(dispute, Rung.WEEK): claim}))
    assert dispute.next_action_at == NOON + HOUR


@pytest.mark.parametrize(
    "fields",
    [
        {"status": DisputeStatus.UNDER_REVIEW},
        {"status": DisputeStatus.WON},
        {"can_respond": False},
        {"autodefended": True},
        {"status": None, "respond_by": None},
        {"status": None, "can_respond": False},
    ],
)
def test_nothing_is_due_where_nobody_waits_for_an_answer(fields: dict[str, Any]) -> None:
    assert schedule(a_dispute(**fields)) is None


def test_a_new_deadline_starts_a_new_ladder() -> None:
    dispute = acted(a_dispute(), Rung.WEEK, Rung.THREE_DAYS)
    moved = lifecycle.record(
        dispute, a_dispute_event(occurred_at=NOON + DAY, respond_by=RESPOND_BY + 10 * DAY), NOON + DAY
    )
    assert ladder(moved) == RESPOND_BY + 3 * DAY


def test_our_expiry_holds_until_the_provider_says_something_else() -> None:
    expired = acted(a_dispute(), Rung.EXPIRE)
    assert (expired.status, expired.told_status) == (DisputeStatus.EXPIRED, DisputeStatus.NEEDS_RESPONSE)
    again = lifecycle.record(expired, a_dispute_event(occurred_at=RESPOND_BY + DAY), RESPOND_BY + DAY)
    assert again.status is DisputeStatus.EXPIRED
    answered = a_dispute_event(status=DisputeStatus.UNDER_REVIEW, occurred_at=RESPOND_BY - DAY)
    assert lifecycle.record(expired, answered, NOON).status is DisputeStatus.UNDER_REVIEW
    appeal = a_dispute_event(occurred_at=RESPOND_BY + DAY, respond_by=RESPOND_BY + 9 * DAY)
    assert lifecycle.record(expired, appeal, NOON).status is DisputeStatus.NEEDS_RESPONSE


@pytest.mark.parametrize(
    ("heard_at", "reminded", "cause"),
    [
        (RESPOND_BY + DAY, False, ExpiredCause.TOLD_TOO_LATE),
        (RESPOND_BY - 6 * HOUR + SECOND, True, ExpiredCause.TOLD_TOO_LATE),
        (RESPOND_BY - 6 * HOUR, True, ExpiredCause.NOBODY_ANSWERED),
        (NOON, True, ExpiredCause.NOBODY_ANSWERED),
        (NOON, False, ExpiredCause.NOT_REMINDED),
    ],
)
def test_an_expiry_says_why_nobody_answered(heard_at: datetime, reminded: bool, cause: ExpiredCause) -> None:
    dispute = a_dispute(heard_at)
    assert expired_cause(acted(dispute, *([Rung.DAY] if reminded else []))) is cause


def test_a_reminder_that_was_only_claimed_was_not_sent() -> None:
    assert expired_cause(acted(a_dispute(), Rung.DAY, state=ActionState.CLAIMED)) is ExpiredCause.NOT_REMINDED


def test_a_dispute_without_its_payment_is_looked_at_again_three_times() -> None:
    lonely = lifecycle.settle(replace(a_dispute(status=DisputeStatus.UNDER_REVIEW), linked_to=None))
    assert sorted(task.due - NOON for task in tasks(lonely)) == [HOUR / 6, HOUR, DAY]


def test_an_expiry_is_none_once_anybody_heard_of_the_dispute_before_its_deadline() -> None:
    expired = acted(a_dispute(), Rung.EXPIRE)
    back = lifecycle.record(expired, a_dispute_event(occurred_at=NOON + DAY), NOON + DAY)
    assert (back.status, back.expired_cause) == (DisputeStatus.NEEDS_RESPONSE, None)
    assert ladder(back) == RESPOND_BY - 7 * DAY
    assert Rung.EXPIRE in due(back, RESPOND_BY + SECOND)


# Disputes of which the provider names no deadline


@pytest.mark.parametrize(
    ("network", "stage", "days"),
    [
        ("visa", DisputeStage.CHARGEBACK, 30),
        ("mastercard", DisputeStage.CHARGEBACK, 45),
        ("mc", DisputeStage.CHARGEBACK, 45),
        ("American Express", DisputeStage.PRE_ARBITRATION, 20),
        ("visa", DisputeStage.ARBITRATION, 10),
        ("amex", DisputeStage.ARBITRATION, 10),
        ("elo", DisputeStage.CHARGEBACK, 10),
        (None, None, 10),
    ],
)
def test_the_networks_time_stands_for_a_deadline_that_is_not_named(
    network: str | None, stage: DisputeStage | None, days: int
) -> None:
    dispute = a_dispute(respond_by=None, respond_by_text=None, network=network, stage=stage, reason_code=None)
    assert (dispute.respond_by, dispute.deadline_estimated) == (NOON + days * DAY, True)


def test_a_dispute_without_a_deadline_has_a_ladder_of_its_own_and_never_expires() -> None:
    dispute = a_dispute(respond_by=None, respond_by_text=None)
    assert dispute.next_action_at == NOON + HOUR / 6
    assert due(dispute, NOON + 40 * DAY) - {Rung.ANSWER} == {
        *(Rung.NO_DEADLINE, Rung.WEEK, Rung.THREE_DAYS, Rung.DAY, Rung.SIX_HOURS, Rung.ESTIMATE_OVER)
    }
    soonest = tightest(tasks(dispute))
    assert soonest is not None
    assert soonest.rung is Rung.ESTIMATE_OVER
    assert acted(dispute, *Rung).status is DisputeStatus.NEEDS_RESPONSE


@pytest.mark.parametrize("named", [NOON + 3 * DAY, NOON + 90 * DAY])
def test_a_deadline_that_the_provider_names_beats_the_estimate_whichever_comes_first(named: datetime) -> None:
    silent = a_dispute_event(respond_by=None, respond_by_text=None, occurred_at=NOON + SECOND)
    dispute = lifecycle.record(a_dispute(respond_by=named), silent, NOON)
    assert (dispute.respond_by, dispute.deadline_estimated) == (named, False)
    assert lifecycle.record(a_dispute(respond_by=None), a_dispute_event(respond_by=named), NOON).respond_by == named


@pytest.mark.parametrize(
    "fields", [{"status": DisputeStatus.WON}, {"can_respond": False}, {"autodefended": True}, {"status": None}]
)
def test_nothing_is_estimated_where_nobody_waits_for_an_answer(fields: dict[str, Any]) -> None:
    dispute = a_dispute(respond_by=None, respond_by_text=None, **fields)
    assert (dispute.respond_by, dispute.deadline_estimated, dispute.next_action_at) == (None, False, None)


# Answers


def test_the_answer_is_decided_on_an_hour_later_and_always_in_time() -> None:
    assert Rung.ANSWER not in due(a_dispute(), NOON + HOUR - SECOND)
    assert Rung.ANSWER in due(a_dispute(), NOON + HOUR)
    late = a_dispute(RESPOND_BY - 2 * HOUR)
    assert Rung.ANSWER in due(late, RESPOND_BY - 2 * HOUR)


@pytest.mark.parametrize(
    "fields", [{"autodefended": True}, {"can_respond": False}, {"status": DisputeStatus.UNDER_REVIEW}]
)
def test_nothing_is_answered_where_the_provider_answers_or_nobody_can(fields: dict[str, Any]) -> None:
    assert Rung.ANSWER not in due(a_dispute(**fields), RESPOND_BY)


@pytest.mark.parametrize(
    ("act", "status"), [(Act.SUBMIT, DisputeStatus.UNDER_REVIEW), (Act.ACCEPT, DisputeStatus.ACCEPTED)]
)
@pytest.mark.parametrize("state", [AnswerState.TAKEN, AnswerState.ELSEWHERE])
def test_what_was_answered_waits_for_nobody_even_where_the_provider_tells_nothing(
    act: Act, status: DisputeStatus, state: AnswerState
) -> None:
    dispute = answered(a_dispute(), state, NOON + DAY, act=act)
    assert (dispute.status, dispute.told_status) == (status, DisputeStatus.NEEDS_RESPONSE)
    assert schedule(dispute) is None


def test_a_deadline_that_was_met_is_never_called_missed() -> None:
    expired = acted(a_dispute(), Rung.EXPIRE)
    assert expired.status is DisputeStatus.EXPIRED
    dispute = answered(expired, AnswerState.ELSEWHERE, RESPOND_BY - HOUR, act=Act.SUBMIT)
    assert (dispute.status, dispute.expired_cause) == (DisputeStatus.UNDER_REVIEW, None)


def test_a_provider_that_repeats_that_it_waits_has_our_answer_all_the_same() -> None:
    dispute = answered(a_dispute(), AnswerState.TAKEN, NOON + DAY, act=Act.SUBMIT)
    again = lifecycle.record(
        dispute, a_dispute_event(occurred_at=NOON + 2 * DAY, respond_by=RESPOND_BY), NOON + 2 * DAY
    )
    assert again.status is DisputeStatus.UNDER_REVIEW
    assert again.round == dispute.round


def test_a_later_round_and_a_later_stage_ask_for_answers_of_their_own() -> None:
    dispute = answered(a_dispute(), AnswerState.TAKEN, NOON + DAY, act=Act.SUBMIT)
    taken = a_dispute_event(status=DisputeStatus.UNDER_REVIEW, occurred_at=NOON + 2 * DAY)
    asked = a_dispute_event(occurred_at=NOON + 3 * DAY, respond_by=RESPOND_BY + 9 * DAY)
    reopened = lifecycle.record(lifecycle.record(dispute, taken, NOON + 2 * DAY), asked, NOON + 3 * DAY)
    assert (reopened.status, reopened.round) == (DisputeStatus.NEEDS_RESPONSE, "chargeback/1")
    stage = {"stage": DisputeStage.PRE_ARBITRATION, "respond_by": RESPOND_BY + 9 * DAY}
    later = lifecycle.record(dispute, a_dispute_event(occurred_at=NOON + 3 * DAY, **stage), NOON + 3 * DAY)
    assert (later.status, later.round) == (DisputeStatus.NEEDS_RESPONSE, "pre_arbitration/0")


def test_an_answer_on_its_way_is_asked_about_until_somebody_knows_what_became_of_it() -> None:
    dispute = answered(a_dispute(), AnswerState.SENDING, answered_at=None, wake_at=NOON + HOUR)
    assert Rung.ANSWER in due(dispute, NOON + HOUR)
    word = a_dispute_event(status=DisputeStatus.UNDER_REVIEW, occurred_at=NOON + DAY)
    assert Rung.ANSWER in due(lifecycle.record(dispute, word, NOON + DAY), NOON + DAY)
