"""Where a dispute stands, from whatever was told of it in whatever order."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from itertools import permutations
from typing import Any

import pytest

from shared.disputes import lifecycle
from shared.domain import timeline
from shared.domain.answers import Act
from shared.domain.codec import from_document
from shared.domain.disputes import Answer, AnsweredBy, AnswerState, Dispute
from shared.domain.events import DisputeChanged, DisputeReason, DisputeStage, DisputeStatus
from shared.domain.money import Money
from tests.builders import DAY, HOUR, NOON, SECOND, a_dispute_event, dispute_after, eur

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


def took(minor: int, days: int, status: DisputeStatus | None = None, **fields: Any) -> DisputeChanged:
    """Money that moved, so many days after noon."""
    return a_dispute_event(moved=eur(minor), status=status, occurred_at=NOON + days * DAY, respond_by=None, **fields)


def test_what_was_gone_at_the_most_and_what_moved_in_all_say_what_came_back() -> None:
    opened = took(-1999, 0, NEEDS_RESPONSE)
    won = took(1999, 20, WON)
    again = took(-1999, 30, LOST, stage=DisputeStage.PRE_ARBITRATION)
    untold = dispute_after(a_dispute_event())
    assert (untold.withdrawn, untold.moved) == (None, None)
    lost, kept, lost_again = dispute_after(opened), in_every_order(opened, won), in_every_order(opened, won, again)
    assert [(one.withdrawn, one.moved) for one in (lost, kept, lost_again)] == [
        (eur(1999), eur(-1999)),
        (eur(1999), eur(0)),
        (eur(1999), eur(-1999)),
    ]
    assert [one.won_before for one in (lost, kept, lost_again)] == [False, False, True]
    part = in_every_order(opened, took(1500, 20, WON))
    assert (part.withdrawn, part.moved) == (eur(1999), eur(-499))
    # Only the return was told.
    assert (dispute_after(won).withdrawn, dispute_after(won).moved) == (eur(0), eur(1999))


def test_fees_are_those_that_were_told_last_and_what_nobody_proved_is_none() -> None:
    charged = a_dispute_event(fees=eur(1500))
    returned = a_dispute_event(fees=eur(0), status=WON, occurred_at=NOON + 20 * DAY)
    silent = a_dispute_event(status=WON, occurred_at=NOON + 30 * DAY)
    assert in_every_order(charged, silent).fees == eur(1500)
    assert in_every_order(charged, returned, silent).fees == eur(0)
    for name in ("fees", "amount"):
        assert dispute_after(a_dispute_event(fees=eur(1500), unsigned=(name,))).fees is None


def test_a_status_holds_since_the_provider_first_said_so_without_a_break() -> None:
    opened = a_dispute_event()
    lost, repeated = (a_dispute_event(status=LOST, occurred_at=NOON + days * DAY) for days in (20, 25))
    assert in_every_order(opened, lost, repeated).status_since == NOON + 20 * DAY
    assert dispute_after(opened).status_since == NOON


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


# PayPal tells of no network; and a network has codes that are in no list of ours.
@pytest.mark.parametrize(
    ("network", "told"),
    [
        ("visa", "13.1"),
        (None, "13.1"),
        ("visa", "13.99"),
        ("diners", "rg"),
        (None, "RG"),
        (None, "UA02"),
        ("new", "F1"),
    ],
)
def test_the_providers_own_word_never_takes_the_place_of_the_networks_code(network: str | None, told: str) -> None:
    code = a_dispute_event(network=network, reason_code=told)
    word = a_dispute_event(network=network, reason_code="MERCHANDISE_NOT_RECEIVED", occurred_at=NOON + HOUR)
    assert in_every_order(code, word).reason_code == told
    assert dispute_after(word).reason_code == "MERCHANDISE_NOT_RECEIVED"


def test_of_two_codes_of_the_networks_the_later_one_counts_also_where_we_do_not_know_it() -> None:
    first = a_dispute_event(network="visa", reason_code="13.1")
    later = a_dispute_event(network="visa", reason_code="13.99", occurred_at=NOON + HOUR)
    assert in_every_order(first, later).reason_code == "13.99"


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


def test_a_round_lasts_as_long_as_the_provider_says_the_same_and_keeps_its_deadline() -> None:
    reminded = a_dispute_event(occurred_at=NOON + 25 * DAY, respond_by=None)
    dispute = in_every_order(a_dispute_event(), reminded)
    assert (dispute.respond_by, dispute.deadline_estimated) == (NOON + 20 * DAY, False)


@pytest.mark.parametrize("ahead", [-HOUR, 0 * HOUR, HOUR])
@pytest.mark.parametrize("later", list(permutations(["again", "reviewed", "reopened"])))
def test_an_answer_counts_for_the_round_that_was_heard_of_before_it_however_far_the_providers_clock_is_off(
    later: tuple[str, ...], ahead: timedelta
) -> None:
    words = {
        "again": a_dispute_event(occurred_at=NOON + ahead + 2 * HOUR),
        "reviewed": a_dispute_event(occurred_at=NOON + ahead + DAY, status=UNDER_REVIEW),
        "reopened": a_dispute_event(occurred_at=NOON + ahead + 3 * DAY, respond_by=NOON + 30 * DAY),
    }
    given = Answer(
        state=AnswerState.TAKEN, stage=DisputeStage.CHARGEBACK, act=Act.SUBMIT, at=NOON, answered_at=NOON + SECOND
    )
    opened = dispute_after(a_dispute_event(occurred_at=NOON + ahead))
    dispute = lifecycle.settle(replace(opened, answers={opened.round or "": given}))
    assert (dispute.status, dispute.round, dispute.answer) == (UNDER_REVIEW, "chargeback/0", given)
    for days, word in enumerate(later):
        dispute = lifecycle.record(dispute, words[word], NOON + (3 + days) * DAY)
        if "reviewed" not in later[: days + 1]:
            assert (dispute.status, dispute.round) == (UNDER_REVIEW, "chargeback/0")
    # It stopped in between, so that this is another question.
    assert (dispute.status, dispute.round, dispute.answer) == (NEEDS_RESPONSE, "chargeback/1", None)


def test_a_deadline_that_passes_in_the_instant_in_which_the_provider_asks_again_is_not_the_new_one() -> None:
    lost = a_dispute_event(status=LOST, respond_by=None, occurred_at=NOON + 15 * DAY)
    appeal = a_dispute_event(occurred_at=NOON + 20 * DAY, respond_by=None)
    dispute = in_every_order(a_dispute_event(), lost, appeal)
    assert (dispute.respond_by, dispute.deadline_estimated) == (NOON + 50 * DAY, True)


def test_we_heard_of_a_deadline_when_it_was_first_told_and_not_when_the_dispute_was() -> None:
    dispute, told = dispute_after(a_dispute_event(respond_by=None)), NOON + 20 * DAY
    for days in (3, 2, 4):
        dispute = lifecycle.record(
            dispute, a_dispute_event(respond_by=told, occurred_at=NOON + days * HOUR), NOON + days * DAY
        )
    assert (dispute.heard_at, dispute.deadline_heard_at) == (NOON, NOON + 2 * DAY)


@pytest.mark.parametrize("unsigned", ["amount", "moved"])
def test_money_of_which_nobody_proved_that_it_moved_is_not_counted(unsigned: str) -> None:
    assert dispute_after(a_dispute_event(moved=eur(-1999), unsigned=(unsigned,))).moved is None


def test_what_the_provider_told_is_kept_with_the_last_instant_of_it() -> None:
    told = {
        "provider_status": "warning_needs_response",
        "evidence_submitted": True,
        "arn": "74537604221222132710572",
        "network": "visa",
        "reason_code": "10.4",
        "reason": DisputeReason.DUPLICATE,
        "respond_by_text": "by the 24th",
    }
    dispute = in_every_order(a_dispute_event(**told), a_dispute_event(status=None, occurred_at=NOON - DAY))
    assert {name: getattr(dispute, name) for name in told} == told
    assert (dispute.first_at, dispute.last_at) == (NOON - DAY, NOON)


def test_the_text_of_a_deadline_that_cannot_be_read_stands_beside_its_estimate() -> None:
    dispute = dispute_after(a_dispute_event(respond_by=None, respond_by_text="soon"))
    assert (dispute.respond_by_text, dispute.deadline_estimated) == ("soon", True)


def test_a_reason_that_is_only_ever_other_is_other() -> None:
    vague = [
        a_dispute_event(reason=DisputeReason.OTHER, network=None, reason_code=None, occurred_at=NOON + hours * HOUR)
        for hours in (0, 1)
    ]
    assert dispute_after(vague[0]).reason is DisputeReason.OTHER
    assert in_every_order(*vague).reason is DisputeReason.OTHER


def test_a_dispute_of_which_no_status_was_told_is_as_final_as_it_is_told() -> None:
    assert dispute_after(a_dispute_event(status=None)).final


def test_at_one_instant_the_further_stage_is_the_newer_and_a_message_without_one_is_the_oldest() -> None:
    silent = a_dispute_event(event_id="stripe:acct_1:z", stage=None, status=NEEDS_RESPONSE)
    inquiry = a_dispute_event(event_id="stripe:acct_1:y", stage=DisputeStage.INQUIRY, status=UNDER_REVIEW)
    chargeback = a_dispute_event(event_id="stripe:acct_1:a", stage=DisputeStage.CHARGEBACK, status=NEEDS_RESPONSE)
    assert in_every_order(silent, inquiry).status is UNDER_REVIEW
    dispute = in_every_order(silent, inquiry, chargeback)
    assert (dispute.stage, dispute.status) == (DisputeStage.CHARGEBACK, NEEDS_RESPONSE)


def test_a_payment_is_called_by_its_latest_name_first_and_by_ids_before_aliases() -> None:
    first = a_dispute_event(event_id="stripe:acct_1:z", payment_id="pi_old", payment_aliases=("ch_old",))
    latest = a_dispute_event(
        event_id="stripe:acct_1:a", payment_id="pi_new", payment_aliases=("ch_new",), occurred_at=NOON + DAY
    )
    dispute = in_every_order(first, latest)
    assert lifecycle.names(dispute) == ("pi_new", "pi_old", "ch_new", "ch_old")
    assert dispute.payment_id == "pi_new"


def test_two_accounts_that_tell_of_one_dispute_leave_it_with_the_same_one_in_every_order() -> None:
    assert in_every_order(a_dispute_event(account="acct_2"), a_dispute_event(account="acct_0")).account == "acct_0"
    assert dispute_after(a_dispute_event(account="acct_2")).account == "acct_1"


@pytest.mark.parametrize(
    "telling",
    [{"status": LOST}, {"respond_by": NOON + DAY}, {"moved": eur(-1999)}],
    ids=["status", "deadline", "money"],
)
def test_of_too_many_words_those_that_tell_of_status_deadline_or_money_stay_and_a_person_is_told(
    telling: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(timeline, "LIMIT", 2)
    nothing = {"status": None, "respond_by": None}
    early = a_dispute_event(**{**nothing, **telling})
    later = [a_dispute_event(**nothing, occurred_at=NOON + hours * HOUR) for hours in (1, 2)]
    dispute = in_every_order(early, *later)
    assert set(dispute.facts) == {early.event_id, later[1].event_id}
    assert dispute.inconsistent == ("timeline_full",)


def test_a_row_says_what_caused_it_and_rises_when_its_payment_becomes_known() -> None:
    event = a_dispute_event()
    dispute = dispute_after(event)
    linked = lifecycle.settle(replace(dispute, linked_to="pi_1"))
    before, after = (
        lifecycle.update_of(one, None, update_id="u", event_id=event.event_id, occurred_at=NOON)
        for one in (dispute, linked)
    )
    assert (before.event_id, before.occurred_at) == (event.event_id, NOON)
    assert (before.payment_known, after.payment_known) == (False, True)
    assert after.revision > before.revision


def test_two_readings_of_one_message_that_tell_as_much_leave_the_same_one_in_every_order() -> None:
    first = a_dispute_event(status=WON)
    assert in_every_order(first, replace(first, status=LOST)).status is not None


def test_the_text_of_a_deadline_is_the_one_that_it_was_told_with() -> None:
    unsigned = a_dispute_event(
        unsigned=("respond_by",), respond_by=NOON + 90 * DAY, respond_by_text="later", occurred_at=NOON + HOUR
    )
    assert in_every_order(a_dispute_event(), unsigned).respond_by_text == "1795348800"


def test_a_dispute_without_a_reason_code_has_none() -> None:
    assert dispute_after(a_dispute_event(reason_code=None)).reason_code is None
    assert dispute_after(a_dispute_event(reason_code=" ")).reason_code is None


def test_a_dispute_that_names_its_payment_is_its_own_even_under_the_payments_name() -> None:
    namesake, other = (
        lifecycle.record(
            Dispute(provider="stripe", dispute_id=name, account="acct_1"), a_dispute_event(dispute_id=name), NOON
        )
        for name in ("pi_1", "dp_2")
    )
    assert lifecycle.reunited([namesake, other]) == [namesake, other]


def test_a_status_that_nobody_knows_and_a_new_deadline_ask_for_an_answer_until_a_known_one_comes() -> None:
    strange = a_dispute_event(status=None, provider_status="awaiting_moon", occurred_at=NOON)
    later = {"occurred_at": NOON + DAY}
    asked = dispute_after(strange)
    assert (asked.status, asked.provider_status) == (DisputeStatus.NEEDS_RESPONSE, "awaiting_moon")
    assert asked.next_action_at is not None
    reviewed = a_dispute_event(status=DisputeStatus.UNDER_REVIEW, **later)
    assert dispute_after(strange, reviewed) == dispute_after(reviewed, strange)
    assert dispute_after(strange, reviewed).status is DisputeStatus.UNDER_REVIEW
    # Word of money that repeats the deadline asks nothing.
    moved = a_dispute_event(status=None, occurred_at=NOON + 2 * DAY)
    assert dispute_after(strange, reviewed, moved).status is DisputeStatus.UNDER_REVIEW
    again = a_dispute_event(status=None, occurred_at=NOON + 2 * DAY, respond_by=NOON + 30 * DAY)
    assert dispute_after(strange, reviewed, again).status is DisputeStatus.NEEDS_RESPONSE


def test_a_status_that_nobody_knows_is_told_of_until_a_later_one_that_we_know() -> None:
    opened = a_dispute_event()
    strange = a_dispute_event(status=None, status_unknown=True, occurred_at=NOON + DAY)
    assert (in_every_order(opened, strange).status, in_every_order(opened, strange).status_unknown) == (
        NEEDS_RESPONSE,
        True,
    )
    # One that was told before is old news, and so is one after which only money moved.
    assert not in_every_order(opened, replace(strange, occurred_at=NOON - DAY)).status_unknown
    moved = a_dispute_event(status=None, occurred_at=NOON + 2 * DAY)
    assert in_every_order(opened, strange, moved).status_unknown
    reviewed = a_dispute_event(status=DisputeStatus.UNDER_REVIEW, occurred_at=NOON + 2 * DAY)
    assert not in_every_order(opened, strange, reviewed).status_unknown


def test_an_answer_names_the_round_that_is_open() -> None:
    opened = a_dispute_event()
    again = a_dispute_event(stage=DisputeStage.PRE_ARBITRATION, answer_id="round_2", occurred_at=NOON + DAY)
    assert dispute_after(opened).answer_id is None
    assert in_every_order(opened, again).answer_id == "round_2"


@pytest.mark.parametrize(
    "nonsense", [datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)]
)
def test_a_deadline_of_no_century_of_ours_is_one_that_cannot_be_read(nonsense: datetime) -> None:
    dispute = dispute_after(a_dispute_event(respond_by=nonsense, respond_by_text=None))
    assert (dispute.deadline_estimated, dispute.respond_by_text) == (True, str(nonsense))
    assert dispute.next_action_at is not None
