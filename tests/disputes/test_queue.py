"""In which order people go through open disputes."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.disputes.lifecycle import record, settle
from shared.disputes.queue import LAST, place_of
from shared.domain.answers import Act
from shared.domain.disputes import Answer, AnswerState, Dispute
from shared.domain.events import DisputeStatus
from shared.domain.money import Money
from tests.builders import DAY, HOUR, NOON, a_dispute_event


def opened(respond_by: datetime | None = NOON + 9 * DAY, expected: Money | None = None) -> Dispute:
    event = a_dispute_event(status=DisputeStatus.NEEDS_RESPONSE, respond_by=respond_by)
    dispute = record(Dispute(provider=event.provider, dispute_id=event.dispute_id, account=event.account), event, NOON)
    if expected is None:
        return dispute
    answer = Answer(state=AnswerState.ANNOUNCED, act=Act.SUBMIT, at=NOON, stage=dispute.stage, expected=expected)
    return settle(replace(dispute, answers={dispute.round or "": answer}))


MONEY = st.builds(Money, st.integers(-100_000, 9_000_000), st.sampled_from(["EUR", "USD", "JPY"]))


@given(
    st.lists(
        st.tuples(st.integers(0, 3), st.integers(0, 2_000_000), st.integers(-99_999, 9_000_000)), min_size=2, max_size=5
    )
)
def test_the_nearest_deadline_comes_first_and_of_one_deadline_what_is_worth_most(
    told: list[tuple[int, int, int]],
) -> None:
    def dispute(days: int, microseconds: int, worth: int) -> Dispute:
        at = NOON + timedelta(days=9 + days, microseconds=microseconds)
        return opened(at, Money(worth, "EUR"))

    right = sorted(told, key=lambda one: (one[0], one[1], -one[2]))
    assert [place_of(dispute(*one)) for one in right] == sorted(str(place_of(dispute(*one))) for one in told)


@given(MONEY, MONEY)
def test_what_is_worth_more_never_comes_later(one: Money, other: Money) -> None:
    places = [str(opened(expected=worth).queue) for worth in (one, other)]
    assert len({len(place) for place in places}) == 1
    if one.currency == other.currency and one.minor > other.minor:
        assert places[0] <= places[1]


def test_it_is_open_until_it_is_answered_or_the_provider_rules() -> None:
    dispute = opened()
    assert dispute.queue is not None
    given_ = Answer(state=AnswerState.TAKEN, act=Act.SUBMIT, at=NOON, answered_at=NOON + HOUR, stage=dispute.stage)
    assert settle(replace(dispute, answers={dispute.round or "": given_})).queue is None
    lost = a_dispute_event(event_id="evt_lost", status=DisputeStatus.LOST, occurred_at=NOON + DAY)
    assert record(dispute, lost, NOON + DAY).queue is None


@pytest.mark.parametrize("of", [{"can_respond": False}, {"autodefended": True}])
def test_what_we_do_not_answer_is_not_among_them(of: dict[str, bool]) -> None:
    event = a_dispute_event(status=DisputeStatus.NEEDS_RESPONSE, respond_by=NOON + DAY, **of)
    dispute = Dispute(provider=event.provider, dispute_id=event.dispute_id, account=event.account)
    assert record(dispute, event, NOON).queue is None
    assert settle(replace(opened(), same_as="dp_2")).queue is None


def test_one_that_nobody_answered_stays_until_the_provider_rules() -> None:
    missed = replace(opened(), status=DisputeStatus.EXPIRED)
    assert place_of(missed) == opened().queue
    assert place_of(replace(missed, told_status=DisputeStatus.EXPIRED)) is None


def test_one_without_a_deadline_comes_last() -> None:
    place = place_of(replace(opened(), respond_by=None))
    assert place is not None
    assert place.startswith(LAST)
    assert place > str(opened(NOON + 3000 * DAY).queue)
