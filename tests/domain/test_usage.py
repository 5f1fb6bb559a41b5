"""What is kept of a subscriber: the same whatever the order and the repetition, and never more than there is room for."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.domain import timeline, usage
from shared.domain.codec import from_document
from shared.domain.usage import (
    CancellationStep,
    Consent,
    CustomerMessage,
    PlanChanged,
    Played,
    PolicyAccepted,
    SignIn,
    Told,
    Usage,
)
from tests.builders import DAY, HOUR, NOON
from tests.disputes.proofs import a_sign_in, played, told, used

NOTHING: dict[str, Any] = dict.fromkeys(
    ("sign_ins", "plays", "plans", "cancellations", "policies", "consents", "messages"), ()
)


def instants() -> st.SearchStrategy[Any]:
    """Few, so that they meet, and far apart, so that some are too old beside others."""
    return st.integers(0, 30).map(lambda number: NOON + number * 50 * DAY + (number % 3) * HOUR)


def messages() -> st.SearchStrategy[Told]:
    short = st.sampled_from(["a", "b"])
    maybe = st.none() | short
    sign_in = st.builds(
        lambda at, ip, device: SignIn(first_at=at, last_at=at, ip=ip, device_id=device), instants(), maybe, maybe
    )
    play = st.builds(
        lambda at, count: Played(count=count, first_at=at, last_at=at + count * timedelta(minutes=1)),
        instants(),
        st.integers(1, 9),
    )
    return st.builds(
        Told,
        message_id=short,
        source=short,
        customer_id=st.just("cus_1"),
        sign_ins=st.lists(sign_in, min_size=1, max_size=3).map(tuple),
        plays=st.lists(play, max_size=3).map(tuple),
        plans=st.lists(st.builds(PlanChanged, at=instants(), plan=short), max_size=2).map(tuple),
        cancellations=st.lists(st.builds(CancellationStep, at=instants(), step=short), max_size=2).map(tuple),
        policies=st.lists(st.builds(PolicyAccepted, at=instants(), policy=short, version=short), max_size=2).map(tuple),
        consents=st.lists(st.builds(Consent, at=instants(), purpose=short, given=st.booleans()), max_size=2).map(tuple),
        messages=st.lists(
            st.builds(CustomerMessage, at=instants(), from_customer=st.booleans(), channel=short, text=short),
            max_size=2,
        ).map(tuple),
    )


@settings(max_examples=200, deadline=None)
@given(st.lists(messages(), min_size=1, max_size=8), st.data(), st.integers(1, 4))
def test_any_order_and_any_repetition_leave_the_same_usage(news: list[Told], data: st.DataObject, room: int) -> None:
    delivered = data.draw(st.permutations(news + data.draw(st.lists(st.sampled_from(news), max_size=6))))
    with pytest.MonkeyPatch.context() as patch:
        for name in ("SIGN_INS", "PLAYS", "OTHERS"):
            patch.setattr(usage, name, room)
        there = used(*news)
        assert used(*delivered) == there
        assert usage.record(there, news[0]) == there
    for kept in (there.sign_ins, there.plays, there.plans, there.cancellations, there.policies, there.messages):
        assert len(kept) <= room
    assert from_document(timeline.compact(there), Usage) == there


def test_a_day_that_is_told_again_counts_as_it_was_told_last_and_two_systems_count_apart() -> None:
    early = told(**{**NOTHING, "plays": (played(0, count=3),)})
    late = replace(early, message_id="m2", plays=(played(0, count=5, last_at=NOON + 9 * HOUR),))
    other = replace(early, source="radio", plays=(played(0, count=2),))
    there = used(late, early, other)
    [(day, plays)] = usage.days(there.plays).items()
    assert day == "2026-11-02"
    assert [one.count for one in plays] == [5, 2]
    assert plays[0].last_at == NOON + 9 * HOUR


def test_the_days_that_are_kept_are_the_newest_and_what_was_agreed_outlives_them() -> None:
    agreed = told(**{**NOTHING, "policies": (PolicyAccepted(at=NOON - 900 * DAY, policy="terms", version="1"),)})
    days = [told(**{**NOTHING, "message_id": f"d{day}", "sign_ins": (a_sign_in(day),)}) for day in range(-900, 0)]
    there = used(agreed, *days)
    assert len(there.sign_ins) == usage.SIGN_INS
    assert min(there.sign_ins)[:10] == (NOON - usage.SIGN_INS * DAY).date().isoformat()
    assert len(there.policies) == 1
    assert there.newest_at == NOON - DAY - HOUR


def test_what_is_much_older_than_the_newest_is_forgotten_with_what_the_customer_wrote() -> None:
    written = CustomerMessage(at=NOON - usage.KEPT - DAY, from_customer=True, channel="email", text="hello")
    old = told(**{**NOTHING, "messages": (written,), "sign_ins": (a_sign_in(-450),)})
    new = told(**{**NOTHING, "message_id": "m2", "sign_ins": (a_sign_in(0),)})
    assert used(old).messages
    for there in (used(old, new), used(new, old)):
        assert not there.messages
        assert len(there.sign_ins) == 1
