"""Where a dispute stands, from whatever was told of it in whatever order."""

from dataclasses import replace
from datetime import timedelta, timezone
from itertools import permutations

import pytest

from shared.disputes import lifecycle
from shared.domain import timeline
from shared.domain.codec import from_document
from shared.domain.disputes import AnsweredBy, Dispute
from shared.domain.events import DisputeChanged, DisputeReason, DisputeStage, DisputeStatus
from shared.domain.money import Money
from tests.builders import DAY, HOUR, NOON, a_dispute_event, dispute_after, eur

NEEDS_RESPONSE, UNDER_REVIEW = DisputeStatus.NEEDS_RESPONSE, DisputeStatus.UNDER_REVIEW
WON, LOST = DisputeStatus.WON, DisputeStatus.LOST


def in_every_order(*events: DisputeChanged) -> Dispute:
    """The dispute after `events`, which is the same in every order."""
    first, *others = (dispute_after(*told) for told in permutations(events))
    assert all(other == first for other in others)
    return first


def test_an_opened_dispute_needs_a_response_by_its_deadline() -> None:
    dispute = dispute_after(a_dispute_event())
    assert (dispute.stage, dispute.status) == (DisputeStage.CHARGEBACK, NEEDS_RESPONSE)
    assert (dispute.respond_by, dispute.respond_by_text) == (NOON + 20 * DAY, "1795348800")
    assert dispute.next_action_at is not None


@pytest.mark.parametrize("end", [WON, LOST, DisputeStatus.ACCEPTED, DisputeStatus.PREVENTED, DisputeStatus.CLOSED])
def test_a_late_opening_does_not_reopen_what_has_ended(end: DisputeStatus) -> None:
    dispute = in_every_order(a_dispute_event(), a_dispute_event(status=end, occurred_at=NOON + DAY))
    assert dispute.status is end


def test_of_an_opening_and_an_end_at_the_same_second_the_end_is_newer() -> None:
    opening, end = a_dispute_event(event_id="stripe:acct_1:z"), a_dispute_event(event_id="stripe:acct_1:a", status=LOST)
    assert in_every_order(opening, end).status is LOST


def test_a_repeat_does_not_change_when_we_first_heard() -> None:
    event = a_dispute_event()
    assert lifecycle.record(dispute_after(event), event, NOON + DAY) == dispute_after(event)


def test_an_appeal_after_a_loss_needs_a_response_again() -> None:
    appeal = a_dispute_event(occurred_at=NOON + 30 * DAY, respond_by=NOON + 40 * DAY)
    dispute = in_every_order(a_dispute_event(), a_dispute_event(status=LOST, occurred_at=NOON + 25 * DAY), appeal)
    assert (dispute.status, dispute.respond_by) == (NEEDS_RESPONSE, NOON + 40 * DAY)


def test_a_deadline_that_had_passed_when_the_provider_asked_again_is_not_the_new_one() -> None:
    appeal = a_dispute_event(occurred_at=NOON + 30 * DAY, respond_by=None)
    dispute = in_every_order(a_dispute_event(), a_dispute_event(status=LOST, occurred_at=NOON + 25 * DAY), appeal)
    assert (dispute.status, dispute.respond_by) == (NEEDS_RESPONSE, NOON + 60 * DAY)
    assert dispute.deadline_estimated


def test_a_deadline_that_is_told_after_it_has_passed_is_still_the_deadline() -> None:
    dispute = dispute_after(a_dispute_event(occurred_at=NOON, respond_by=NOON - DAY))
    assert dispute.respond_by == NOON - DAY


def test_a_second_chargeback_overturns_a_provisional_win() -> None:
    won = a_dispute_event(status=WON, final=False, occurred_at=NOON + 10 * DAY, payment_id=None, respond_by=None)
    second = a_dispute_event(status=LOST, occurred_at=NOON + 40 * DAY, payment_id=None, respond_by=None)
    assert dispute_after(a_dispute_event(), won).final is False
    dispute = in_every_order(a_dispute_event(), won, second)
    assert (dispute.status, dispute.final, dispute.payment_id) == (LOST, True, "pi_1")


def test_a_new_stage_has_its_own_deadline() -> None:
    escalated = a_dispute_event(
        stage=DisputeStage.PRE_ARBITRATION, occurred_at=NOON + 30 * DAY, respond_by=NOON + 45 * DAY
    )
    dispute = in_every_order(a_dispute_event(), escalated)
    assert (dispute.stage, dispute.respond_by) == (DisputeStage.PRE_ARBITRATION, NOON + 45 * DAY)
    silent = dispute_after(a_dispute_event(), a_dispute_event(stage=DisputeStage.ARBITRATION, respond_by=None))
    assert silent.deadline_estimated


def test_an_extended_deadline_replaces_the_first() -> None:
    extended = a_dispute_event(occurred_at=NOON + DAY, respond_by=NOON + 30 * DAY)
    assert in_every_order(a_dispute_event(), extended).respond_by == NOON + 30 * DAY


def test_a_message_without_status_moves_money_and_nothing_else() -> None:
    taken = a_dispute_event(stage=None, status=None, respond_by=None, moved=eur(-1999), occurred_at=NOON + HOUR)
    given = a_dispute_event(stage=None, status=None, respond_by=None, moved=eur(1999), occurred_at=NOON + 2 * HOUR)
    dispute = in_every_order(a_dispute_event(), taken, given)
    assert (dispute.status, dispute.moved) == (NEEDS_RESPONSE, eur(0))
    assert dispute_after(a_dispute_event(), taken).moved == eur(-1999)


def test_money_of_two_currencies_is_not_added_and_a_person_is_told() -> None:
    taken = a_dispute_event(moved=eur(-1999))
    fee = a_dispute_event(moved=Money(-1500, "USD"), occurred_at=NOON + HOUR)
    dispute = in_every_order(taken, fee)
    assert (dispute.moved, dispute.inconsistent) == (eur(-1999), ("currency_disagreement",))


def test_a_dispute_that_is_defended_for_us_needs_nobody() -> None:
    dispute = dispute_after(a_dispute_event(autodefended=True))
    assert (dispute.status, dispute.answered_by) == (UNDER_REVIEW, AnsweredBy.PROVIDER)


def test_either_we_answer_or_the_provider_by_its_last_word() -> None:
    theirs, ours = a_dispute_event(autodefended=True), a_dispute_event(occurred_at=NOON + HOUR)
    assert dispute_after(ours).answered_by is AnsweredBy.US
    back = in_every_order(theirs, ours)
    assert (back.status, back.answered_by) == (NEEDS_RESPONSE, AnsweredBy.US)
    assert dispute_after(a_dispute_event(can_respond=False)).answered_by is None


def test_what_an_answer_costs_is_remembered() -> None:
    asked, silent = a_dispute_event(contest_fee=Money(50_000, "USD")), a_dispute_event(occurred_at=NOON + HOUR)
    assert in_every_order(asked, silent).contest_fee == Money(50_000, "USD")


def test_the_reason_is_read_from_the_networks_code_where_the_provider_gives_none() -> None:
    assert dispute_after(a_dispute_event(reason=None, reason_code=" 13.1")).reason is DisputeReason.NOT_RECEIVED
    vague = a_dispute_event(reason=DisputeReason.OTHER, network="mc", reason_code="4837")
    assert dispute_after(vague).reason is DisputeReason.FRAUD
    assert dispute_after(a_dispute_event(reason=None, reason_code="99")).reason is None


def test_an_unsigned_deadline_is_marked_and_gives_way_to_a_signed_one() -> None:
    unsigned = a_dispute_event(unsigned=("respond_by",), occurred_at=NOON + HOUR, respond_by=NOON + 90 * DAY)
    assert dispute_after(unsigned).deadline_unsigned
    dispute = in_every_order(a_dispute_event(), unsigned)
    assert (dispute.respond_by, dispute.deadline_unsigned) == (NOON + 20 * DAY, False)


def test_an_unsigned_amount_is_not_kept() -> None:
    assert dispute_after(a_dispute_event(amount=eur(1), unsigned=("amount",))).amount is None


@pytest.mark.parametrize("hours", [-12, -1, 0, 5.75, 14])
def test_the_zone_in_which_an_instant_is_written_changes_nothing(hours: float) -> None:
    zone = timezone(timedelta(hours=hours))
    event = a_dispute_event()
    elsewhere = a_dispute_event(
        event_id=event.event_id, occurred_at=NOON.astimezone(zone), respond_by=(NOON + 20 * DAY).astimezone(zone)
    )
    assert timeline.compact(dispute_after(event)) == timeline.compact(dispute_after(elsewhere, event))


def test_a_dispute_comes_back_from_its_document() -> None:
    dispute = dispute_after(a_dispute_event(payment_aliases=("ch_1",), moved=eur(-1999)))
    assert from_document(timeline.compact(dispute), Dispute) == dispute


def test_a_message_that_is_read_again_and_better_counts_as_it_was_read_better() -> None:
    poorly = a_dispute_event(respond_by=None, respond_by_text="soon", status=None)
    well = replace(poorly, respond_by=NOON + 20 * DAY, respond_by_text="soon", status=NEEDS_RESPONSE)
    dispute = in_every_order(poorly, well, poorly)
    assert (dispute.status, dispute.respond_by) == (NEEDS_RESPONSE, NOON + 20 * DAY)
    before, after = (
        lifecycle.update_of(found, None, update_id="", event_id=None, occurred_at=NOON)
        for found in (dispute_after(poorly), dispute_after(poorly, well))
    )
    assert after.revision > before.revision
