"""How many deliveries of one type a provider sends in each hour, by what it sent before; and since when it sends too few.

**What is usual.** Hours are a level times a factor of the weekday times a share of the hour (those of weekends are others). The
1st, the 15th and the last of a month, on which subscriptions are billed, have factors and shares of their own. Each is a median
of the days before where there is enough to count, so that neither an outage nor the burst of retries after it makes the next
weeks wrong; of rare types sums are taken, of days that are cut at a bound. By how much hours differ beyond chance is a
negative binomial's dispersion, of what lay below (Farrington's and Noufaily's methods for the surveillance of infections:
doi:10.1002/sim.5595).

**What is too few.** The logarithm of how much likelier what came is where half is lost, or nearly all, than where a quarter is, is
summed up from hour to hour and never falls below nothing: Page's cumulated sum (doi:10.1093/biomet/41.1-2.100), for counts of a
negative binomial (Höhle and Paul, doi:10.1016/j.csda.2008.02.015). At `ALARM` somebody is called. So a type with
thousands an hour is judged within minutes, one with a few a day over weeks, and a day with three quarters of the usual is a
quiet day and no outage.

Pure: days are of UTC, hours are counts.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta

import numpy as np
from numpy.typing import NDArray

from shared.learning.data_set import Flags, Floats

DAY, HOUR, QUARTER = timedelta(days=1), timedelta(hours=1), timedelta(minutes=15)
HISTORY = 91
"""Days that are learned from, at most: three of each billing day, thirteen of each weekday."""

RECENT = 28
"""Days of which the level is taken, so that it follows a business that grows."""

LEAST_DAYS = 21
"""Days below which nothing is expected: three of each weekday."""

LEAST_SEEN = 40
"""Deliveries below which nothing is expected: their rate would be known to a sixth at best."""

WATCHED = 28
"""Days over which evidence is summed up."""

QUIET = 0.75
"""The part of what is usual that is a quiet day, and no outage; of a type whose days differ much by themselves, less."""

LEAST_QUIET = 0.58
STEADY = 0.05
"""By how much days differ of a type whose days are all alike."""

LOST = {"gone": 0.05, "thin": 0.5}
"""What is held against it: the parts that come where nearly everything, or half, is lost."""

ALARM = 12.0
"""The evidence at which somebody is called: a likelihood e^12 times that of a quiet day."""

OVER = ALARM / 2
"""The evidence for half at which a silence is over, once nothing says any more that all is lost."""

SUSPECT = 4.0
"""The evidence from which days are not learned from, until it is known what they were."""

MANY = 20.0
"""A day's deliveries from which medians say more than sums do."""

LEAST_DISPERSION = 0.01
"""Of hours, a squared coefficient of variation: what is left of a tenth by which a model like this is wrong at best."""

Counts = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """Whole days from `first` to the day before the one that is judged: `counts` of 24 hours each. known: whether a day was
    counted at all. learned: whether it may be learned from; days of silences that were told are not."""

    first: date
    counts: Counts
    known: Flags
    learned: Flags


@dataclass(frozen=True, slots=True, kw_only=True)
class Usual:
    """By the hour of a day of each kind: how many come, less the error by which that is known."""

    level: float
    weekday: Floats
    shares: Floats  # of a working day, of a day of a weekend
    billing: Mapping[str, Floats]  # of the level, by the hour; a weekday does not matter to whoever is billed
    dispersion: float  # of hours
    sure: float
    quiet: float  # what part of it is a quiet day

    def hours(self, day: date) -> Floats:
        special = self.billing.get(kind_of(day))
        if special is not None:
            return np.asarray(self.level * self.sure * special)
        weekday = day.weekday()
        shares: Floats = self.shares[int(weekday >= _SATURDAY)]
        return np.asarray(self.level * self.sure * self.weekday[weekday] * shares)


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What is known of one provider's type at an instant.

    expected: how many would have come on the day until then; None where nothing is known to expect, and `why` says so. heard:
    how many came. gone, thin: the evidence for either. since: when that which is too few began, if anything is; lost: by how
    many it is less since then. an_hour: how many would come in the next hour.
    """

    heard: int
    expected: float | None = None
    why: str | None = None
    gone: float = 0.0
    thin: float = 0.0
    since: datetime | None = None
    lost: float = 0.0
    an_hour: float = 0.0

    @property
    def calls(self) -> bool:
        return max(self.gone, self.thin) >= ALARM

    @property
    def over(self) -> bool:
        """Of a silence that stands: whether it ended."""
        return self.expected is not None and self.gone == 0 and self.thin <= OVER


_SATURDAY = 5


def kind_of(day: date) -> str:
    """Which day of billing it is, or `ordinary`: whoever began on the 31st is billed on the last of any month."""
    if day.day in (1, 15):
        return f"the {day.day}."
    return "the last" if (day + DAY).day == 1 else "ordinary"


def judge(past: Past, today: Sequence[int], until: datetime, standing: datetime | None = None) -> Judgement:
    """What `today`, counts by the quarter of an hour from its midnight to `until`, and the days before it say.

    standing: since when a silence stands: its evidence is summed up from there at least.
    """
    day = datetime.combine(until.date(), time(), UTC)
    heard = int(sum(today))
    usual = fit(past)
    if isinstance(usual, str):
        return Judgement(heard=heard, why=usual)
    begins = max(past.first, min(until.date() - WATCHED * DAY, standing.date() if standing else date.max))
    found = _evidence(usual, past, begins, today, until)
    if found.since is not None and max(found.gone, found.thin) >= SUSPECT:
        # What may be a silence must not make itself usual.
        before = np.arange(len(past.counts)) < (found.since.date() - past.first).days
        again = fit(replace(past, learned=past.learned & before))
        if not isinstance(again, str):
            usual = again
            found = _evidence(usual, past, begins, today, until)
    hours = usual.hours(until.date())
    passed = (until - day) / HOUR
    whole = min(int(passed), 23)
    expected = float(hours[:whole].sum() + (passed - whole) * hours[whole])
    return Judgement(
        heard=heard,
        expected=expected,
        gone=found.gone,
        thin=found.thin,
        since=found.since,
        lost=found.lost,
        an_hour=float(hours[whole]),
    )


def fit(past: Past) -> Usual | str:
    """What is usual by the days that are learned from; in words why nothing is, where they say too little."""
    seen = np.flatnonzero(past.counts.any(axis=1))
    if not len(seen):
        return "nothing of it before today"
    # The day on which somebody began is no whole one.
    fits = past.learned & past.known & (np.arange(len(past.counts)) > seen[0])
    chosen = np.flatnonzero(fits)[-HISTORY:]
    if len(chosen) < LEAST_DAYS:
        return f"known for {len(chosen)} days of the {LEAST_DAYS} that it takes"
    rows = past.counts[chosen].astype(np.float64)
    total = rows.sum(axis=1)
    days = [past.first + int(at) * DAY for at in chosen]
    kinds = np.array([kind_of(day) for day in days])
    weekday = np.array([day.weekday() for day in days])
    ordinary = kinds == "ordinary"
    middle = float(np.median(total[ordinary]))
    # A burst, such as that of retries after an outage, counts as a busy day.
    bound = 3 * middle + 10
    cut = np.where(ordinary, np.minimum(total, bound), total)
    if cut.sum() < LEAST_SEEN:
        return f"too rare: {total.sum():.0f} in {len(chosen)} days"

    many = middle >= MANY
    factors = _weekdays(cut[ordinary], weekday[ordinary], many=many)
    even = cut / factors[weekday]
    latest = even[ordinary][-RECENT:] if many else even[ordinary]
    level = float(np.median(latest) if many else latest.mean())
    weekend = weekday >= _SATURDAY
    shares = np.stack([_shares(rows[ordinary & (weekend == late)], rows[ordinary]) for late in (False, True)])
    billing = {
        kind: special
        for kind in sorted(set(kinds) - {"ordinary"})
        if many and (special := _billing(rows[kinds == kind], level)) is not None
    }
    # A rate that is known of so many lies within so much of it.
    sure = 1 - 1 / math.sqrt(cut.sum())
    usual = Usual(level=level, weekday=factors, shares=shares, billing=billing, dispersion=0.0, sure=1.0, quiet=QUIET)
    latest_days = np.flatnonzero(ordinary)[-RECENT:]
    expected = np.stack([usual.hours(days[at]) for at in latest_days])
    return Usual(
        level=level,
        weekday=factors,
        shares=shares,
        billing=billing,
        dispersion=_dispersion(rows[latest_days], expected),
        sure=sure,
        quiet=_quiet(even[ordinary][-RECENT:], level),
    )


def _weekdays(total: Floats, weekday: NDArray[np.int64], *, many: bool) -> Floats:
    """By how much each weekday differs. Of rare types, whose weekdays differ by chance, drawn towards not at all."""
    whole = float(np.median(total) if many else total.mean()) or 1.0
    factors = np.ones(7)
    for at in range(7):
        mine = total[weekday == at]
        if not len(mine):
            continue
        if many:
            factors[at] = float(np.median(mine)) / whole
        else:
            factors[at] = (mine.sum() + MANY) / (len(mine) * whole + MANY)
    return np.maximum(factors, 0.01)


def _shares(rows: Floats, all_rows: Floats) -> Floats:
    """What part of a day comes in each hour. Of few, much as in all days together, and of very few evenly."""
    every = _pooled(all_rows) + 1.0
    mine = _pooled(rows) + 24 * every / every.sum()
    return np.asarray(mine / mine.sum())


def _pooled(rows: Floats) -> Floats:
    if not len(rows):
        return np.zeros(24)
    middle = np.median(rows, axis=0)
    # Where hours can be counted, the middle one of them; else their sum, of hours that are cut at a bound.
    summed = np.minimum(rows, 3 * middle + 3).sum(axis=0)
    return np.asarray(np.where(middle >= 5, middle * len(rows), summed))


def _billing(rows: Floats, level: float) -> Floats | None:
    """The least that came in each hour of such days before, beside the level: batches come an hour earlier or later."""
    if rows.sum() < LEAST_SEEN * len(rows):
        return None
    return np.asarray((np.median(rows, axis=0) if len(rows) > 2 else rows.min(axis=0)) / level)


def _dispersion(rows: Floats, expected: Floats) -> float:
    """By what lay below: what lies above is bursts, which say nothing of silences."""
    below = np.minimum(rows - expected, 0.0)
    squares = float((expected**2).sum()) / 2
    beyond = float((below**2).sum()) - float(expected.sum()) / 2
    return max(beyond / squares if squares else 0.0, LEAST_DISPERSION)


def _quiet(even: Floats, level: float) -> float:
    """By how much days lie below the usual, beyond chance, they may lie below a quiet day as well."""
    if level < MANY:
        return QUIET
    below = np.minimum(even / level - 1, 0.0)
    differ = math.sqrt(max(2 * float((below**2).mean()) - 1 / level, 0.0))
    return max(QUIET * (1 - max(differ - STEADY, 0.0)), LEAST_QUIET)


@dataclass(slots=True)
class _Sum:
    """evidence: of what nearly all, or half, is lost; since: when it began to rise."""

    evidence: float = 0.0
    since: datetime | None = None

    def add(self, more: float, at: datetime) -> None:
        before, self.evidence = self.evidence, min(max(self.evidence + more, 0.0), ALARM)
        if self.evidence == 0:
            self.since = None
        elif before == 0:
            self.since = at


@dataclass(frozen=True, slots=True)
class _Found:
    gone: float
    thin: float
    since: datetime | None
    lost: float


def _evidence(usual: Usual, past: Past, begins: date, today: Sequence[int], until: datetime) -> _Found:
    slots = list(_slots(usual, past, begins, today, until))
    expected = np.array([one.expected for one in slots])
    heard = np.array([one.heard for one in slots], dtype=np.float64)
    # An hour's chance is its own: what a part of it says is that part of what it would.
    weight = np.array([one.part for one in slots]) / usual.dispersion
    sums = {}
    for name, part in LOST.items():
        more = heard * math.log(part / usual.quiet) + (heard + weight) * np.log(
            (weight + usual.quiet * expected) / (weight + part * expected)
        )
        one = _Sum()
        for slot, gain in zip(slots, more.tolist(), strict=True):
            one.add(gain, slot.at)
        sums[name] = one
    told = [one.since for one in sums.values() if one.since is not None]
    since = min(told, default=None)
    lost = sum(one.expected - one.heard for one in slots if since is not None and one.at >= since)
    return _Found(sums["gone"].evidence, sums["thin"].evidence, since, max(lost, 0.0))


@dataclass(frozen=True, slots=True)
class _Slot:
    """part: of an hour."""

    at: datetime
    part: float
    heard: int
    expected: float


def _slots(usual: Usual, past: Past, begins: date, today: Sequence[int], until: datetime) -> Iterator[_Slot]:
    """Hours of the days before that are known, and quarters of an hour of today."""
    first = (begins - past.first).days
    for nth in np.flatnonzero(past.known[first:]) + first:
        day = past.first + int(nth) * DAY
        hours = usual.hours(day)
        at = datetime.combine(day, time(), UTC)
        for hour in range(24):
            yield _Slot(at + hour * HOUR, 1.0, int(past.counts[nth, hour]), float(hours[hour]))
    hours = usual.hours(until.date())
    at = datetime.combine(until.date(), time(), UTC)
    for quarter, heard in enumerate(today):
        part = min((until - at) / HOUR, 0.25)
        if part <= 0:
            break
        yield _Slot(at, part, heard, float(hours[quarter // 4]) * part)
        at += QUARTER
