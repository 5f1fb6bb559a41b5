"""What is usual, and when too little comes: on months that are made, with outages that are known."""

import math
from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.learning.expectation import LEAST_DAYS, QUIET, STEADY, Past, Usual, fit, judge, kind_of
from tests.benchmarks.silence_worlds import BY_NAME, FIRST, HOUR, Outage, a_world, at, found_after, judged

BILLED = (date(2026, 7, 1) - FIRST).days


def flat(days: int, an_hour: int = 60) -> Past:
    every = np.ones(days, dtype=np.bool_)
    return Past(first=FIRST, counts=np.full((days, 24), an_hour), known=every, learned=every)


@pytest.mark.parametrize(
    ("name", "hours"), [("large", 1), ("renewals", 1), ("growing", 1), ("bursty", 4), ("refunds", 9)]
)
def test_an_outage_is_called_within_the_hour_where_much_comes_and_later_where_little_does(
    name: str, hours: float
) -> None:
    for seed in (11, 12):
        outage = Outage(since=at(101, 1.25), until=at(102, 1.25))
        found = found_after(a_world(BY_NAME[name], 103, seed, outage), outage)
        assert found is not None
        assert found <= hours * HOUR


@pytest.mark.parametrize(("name", "hours"), [("large", 6), ("growing", 16), ("refunds", 120)])
def test_the_loss_of_half_is_called_the_sooner_the_more_comes(name: str, hours: float) -> None:
    outage = Outage(since=at(101, 9.25), until=at(111, 9.25), left=0.5)
    found = found_after(a_world(BY_NAME[name], 112, 11, outage), outage, 2 * HOUR)
    assert found is not None
    assert found <= hours * HOUR


def test_the_peak_of_a_billing_day_is_expected() -> None:
    outage = Outage(since=at(BILLED, 6.25), until=at(BILLED, 18.25))
    world = a_world(BY_NAME["renewals"], BILLED + 1, 11, outage)
    assert found_after(world, outage) == 0.75 * HOUR
    before = judged(world, outage.since)
    usual = judged(world, at(BILLED - 2, 6.25))
    assert before.expected is not None
    assert usual.expected is not None
    assert before.expected > 2.5 * usual.expected


@pytest.mark.parametrize("name", ["large", "shop", "growing", "bursty", "disputes", "warnings"])
def test_weekends_holidays_changed_clocks_and_billing_days_are_no_silence(name: str) -> None:
    # A holiday with a third less is the day 96, clocks changed on the 28th, and months end on the 60th and 90th.
    world = a_world(BY_NAME[name], 100, 11)
    for day in (30, 33, 61, 69, 90, 97, 98):
        for hour in (3, 9, 18, 23.75):
            assert not judged(world, at(day, hour)).calls, (day, hour)


def test_after_an_outage_its_retries_change_nothing_of_what_is_usual() -> None:
    outage = Outage(since=at(80, 4), until=at(81, 2))
    with_it, without = (a_world(BY_NAME["shop"], 95, 11, one) for one in (outage, None))
    until = at(94, 20)
    one, other = judged(with_it, until).expected, judged(without, until).expected
    assert one is not None
    assert one == pytest.approx(other, rel=0.03)


def test_a_silence_is_over_when_what_is_usual_comes_again() -> None:
    outage = Outage(since=at(80, 4), until=at(80, 10))
    world = a_world(BY_NAME["growing"], 82, 11, outage)
    silent = judged(world, at(80, 10))
    assert silent.calls
    assert not silent.over
    assert silent.since is not None
    assert abs(silent.since - outage.since) <= HOUR
    assert judged(world, at(80, 12), outage.since).over


def test_a_type_that_is_new_or_rare_has_no_expectation_and_says_why() -> None:
    until = at(60, 12)
    short = judge(flat(60), [0] * 48, until)
    assert short.calls
    new = flat(60)
    new.counts[: 60 - LEAST_DAYS] = 0
    found = judge(new, [0] * 48, until)
    assert (found.expected, found.why) == (None, "known for 20 days of the 21 that it takes")
    assert not found.calls
    rare = flat(60, 0)
    rare.counts[::3, 5] = 1
    assert judge(rare, [0] * 48, until).why == "too rare: 19 in 59 days"
    assert judge(flat(60, 0), [0] * 48, until).why == "nothing of it before today"


def test_days_that_nobody_counted_say_nothing() -> None:
    past = flat(60)
    past.counts[50:] = 0
    assert judge(past, [0], at(60, 0.25)).gone == 12
    known = past.known.copy()
    known[50:] = False
    assert judge(replace(past, known=known), [0], at(60, 0.25)).gone < 12
    found = judge(replace(past, known=known), [15] * 40, at(60, 10))
    assert found.expected == pytest.approx(600, rel=0.02)


def test_by_how_much_hours_and_days_differ_is_twice_what_lay_below_less_what_is_chance() -> None:
    past = flat(60, 600)
    # Of the 28 latest days without one of billing a week had a fifth less, and bursts say nothing of silences.
    latest = [nth for nth in range(60) if kind_of(FIRST + timedelta(days=nth)) == "ordinary"][-28:]
    past.counts[latest[7:14]] = 480
    past.counts[latest[14:21]] = 1200
    usual = fit(past)
    assert isinstance(usual, Usual)
    below = 2 * 0.2**2 / 4
    assert usual.dispersion == pytest.approx(below - 1 / 600)
    assert usual.quiet == pytest.approx(QUIET * (1 - (math.sqrt(below - 1 / (24 * 600)) - STEADY)))
    # Of all that came, a burst for a whole day is twice the usual.
    assert usual.sure == pytest.approx(1 - 1 / math.sqrt(past.counts[1:].sum()))


def test_in_an_hour_in_which_no_weekend_brought_anything_one_is_expected_of_all_weekends() -> None:
    past = flat(60, 10)
    days = [FIRST + timedelta(days=nth) for nth in range(60)]
    weekends = [nth for nth, day in enumerate(days) if day.weekday() >= 5]
    past.counts[weekends] = 0
    past.counts[weekends, 12] = 10
    usual = fit(past)
    assert isinstance(usual, Usual)
    learned = sum(nth > 0 and kind_of(days[nth]) == "ordinary" for nth in weekends)
    assert usual.shares[1][3] == pytest.approx(1 / (10 * learned + 24))


def test_billing_days_are_the_1st_the_15th_and_the_last() -> None:
    days = [date(2026, 2, 28) + timedelta(days=nth) for nth in range(20)]
    assert {day: kind for day in days if (kind := kind_of(day)) != "ordinary"} == {
        date(2026, 2, 28): "the last",
        date(2026, 3, 1): "the 1.",
        date(2026, 3, 15): "the 15.",
    }


@settings(max_examples=25, deadline=None)
@given(
    counts=st.lists(st.integers(0, 10**7), min_size=24, max_size=24),
    today=st.lists(st.integers(0, 10**7), max_size=96),
    days=st.integers(0, 90),
)
def test_whatever_came_the_evidence_is_a_number_and_more_of_it_is_never_more_silent(
    counts: list[int], today: list[int], days: int
) -> None:
    past = flat(days)
    past.counts[::2] = counts
    until = at(days, len(today) / 4) if len(today) < 96 else at(days, 23.99)
    found = judge(past, today, until)
    more = judge(past, [2 * one + 1 for one in today], until)
    for one in (found, more):
        assert 0 <= one.gone <= 12
        assert 0 <= one.thin <= 12
        assert one.expected is None or 0 <= one.expected < 10**9
    usual = fit(past)
    if isinstance(usual, Usual) and found.since is None:
        assert more.gone <= found.gone
