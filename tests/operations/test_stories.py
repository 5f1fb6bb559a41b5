"""Where the bytes of a story are looked for."""

from datetime import timedelta
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from shared.operations.stories import AROUND, CAME_BEFORE, MOST_SPANS, spans
from tests.builders import DAY, HOUR, NOON


def test_what_came_within_a_day_is_one_look_and_what_came_months_apart_are_two() -> None:
    near, far = [NOON, NOON + 2 * HOUR], NOON + 45 * DAY
    assert spans([far, *near]) == [
        (NOON - CAME_BEFORE, NOON + 2 * HOUR + AROUND),
        (far - CAME_BEFORE, far + AROUND),
    ]


def test_where_an_instant_is_not_known_all_is_looked_at() -> None:
    assert spans([NOON, None]) == []
    assert spans(NOON + 3 * DAY * place for place in range(MOST_SPANS + 1)) == []


@given(st.lists(st.integers(0, 60 * 24 * 60), min_size=1, max_size=40))
def test_every_instant_lies_in_a_span_and_no_two_of_them_meet(minutes: list[int]) -> None:
    instants = [NOON + timedelta(minutes=one) for one in minutes]
    found = spans(instants)
    assert not found or all(any(begin <= at < end for begin, end in found) for at in instants)
    assert all(before[1] < after[0] for before, after in pairwise(found))
