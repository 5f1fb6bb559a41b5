"""Months of deliveries, as fifteen providers might send them, with outages that are known. Counts by the quarter of an hour."""

import math
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

import numpy as np
from numpy.typing import NDArray

from shared.learning.expectation import Judgement, Past, judge

DAY, HOUR, QUARTER = timedelta(days=1), timedelta(hours=1), timedelta(minutes=15)
FIRST = date(2026, 3, 2)
"""A Monday; clocks change on the 28th day."""
QUARTERS = 96
Quarters = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Profile:
    """daily: deliveries on an ordinary day. evening: how much busier evenings are than nights. weekend, billing: times an
    ordinary day. batch: what part comes in one hour of the night. spread: by how much days differ beyond chance, burst: hours.
    growth: times in a month. summer: whether its hours follow clocks that change."""

    name: str
    daily: float
    evening: float = 4.0
    weekend: float = 1.0
    billing: float = 1.0
    batch: float = 0.0
    spread: float = 0.05
    burst: float = 0.05
    growth: float = 1.0
    summer: bool = False


PROFILES = (
    Profile(name="large", daily=240_000, evening=5, weekend=1.15, billing=1.8, summer=True),
    Profile(name="renewals", daily=40_000, evening=2, billing=4, batch=0.3),
    Profile(name="shop", daily=12_000, evening=8, weekend=0.7, spread=0.1, burst=0.1, summer=True),
    Profile(name="growing", daily=6_000, growth=1.15, weekend=1.2),
    Profile(name="office", daily=2_500, evening=12, weekend=0.15, spread=0.1),
    Profile(name="bursty", daily=1_200, spread=0.2, burst=0.4),
    Profile(name="shrinking", daily=800, growth=0.9, weekend=0.8),
    Profile(name="refunds", daily=180, evening=6, weekend=0.5, spread=0.1),
    Profile(name="disputes", daily=40, weekend=0.4, spread=0.15),
    Profile(name="warnings", daily=12, weekend=0.6),
    Profile(name="rare", daily=3),
)
BY_NAME = {one.name: one for one in PROFILES}
HOLIDAYS = {37: 0.7, 96: 0.66, 130: 0.7}
"""Days on which less comes of everything, and how much."""


@dataclass(frozen=True, kw_only=True)
class Outage:
    """left: the part that comes all the same. What is lost is retried, and comes within the two hours after."""

    since: datetime
    until: datetime
    left: float = 0.0


def at(nth: int, hour: float) -> datetime:
    """An hour of the day that is `nth` after the first."""
    return datetime.combine(FIRST + nth * DAY, time(), UTC) + hour * HOUR


def a_world(profile: Profile, days: int, seed: int, outage: Outage | None = None) -> Quarters:
    """Of each day 96 counts. A provider's size is drawn at random, from a third to three times the profile's mostly."""
    chance = np.random.default_rng((seed, PROFILES.index(profile)))
    rates = _rates(profile, days, float(np.exp(chance.normal(0, 0.5))), chance)
    counts = chance.poisson(rates).astype(np.int64)
    if outage is not None:
        flat = counts.reshape(-1)
        first, last = (round((when - at(0, 0)) / QUARTER) for when in (outage.since, outage.until))
        came = chance.binomial(flat[first:last], outage.left)
        lost = int((flat[first:last] - came).sum())
        flat[first:last] = came
        after = flat[last : last + 8]
        after += chance.multinomial(lost, np.full(len(after), 1 / max(len(after), 1)))
    return counts


def _rates(profile: Profile, days: int, size: float, chance: np.random.Generator) -> NDArray[np.float64]:
    rows = np.zeros((days, QUARTERS))
    hours = (np.arange(QUARTERS) + 0.5) / 4
    for nth in range(days):
        day = FIRST + nth * DAY
        shift = 1.0 if profile.summer and date(2026, 3, 29) <= day < date(2026, 10, 25) else 0.0
        shape = 1 + (profile.evening - 1) * (0.5 + 0.5 * np.cos((hours + shift - 19) / 12 * math.pi)) ** 2
        shape /= shape.sum()
        if profile.batch:
            batch = np.zeros(QUARTERS)
            batch[24:28] = 0.25
            shape = (1 - profile.batch) * shape + profile.batch * batch
        factor = profile.weekend if day.weekday() >= 5 else 1.0
        if day.day in (1, 15) or (day + DAY).day == 1:
            factor = profile.billing * (0.8 if day.day == 15 else 1.0)
        factor *= profile.growth ** (nth / 30) * math.exp(chance.normal(0, profile.spread)) * HOLIDAYS.get(nth, 1.0)
        bursts = np.repeat(np.exp(chance.normal(0, profile.burst, 24)), 4)
        rows[nth] = profile.daily * size * factor * shape * bursts
    return rows


def judged(world: Quarters, until: datetime, standing: datetime | None = None) -> Judgement:
    """What is said at `until`, a whole quarter of an hour, of all that came before."""
    nth, quarter = divmod(round((until - at(0, 0)) / QUARTER), QUARTERS)
    past = world[max(0, nth - 120) : nth]
    every = np.ones(len(past), dtype=np.bool_)
    hours = past.reshape(len(past), 24, 4).sum(axis=2)
    first = FIRST + max(0, nth - 120) * DAY
    today = world[nth][:quarter].tolist() if nth < len(world) else []
    return judge(Past(first=first, counts=hours, known=every, learned=every), today, until, standing)


def found_after(world: Quarters, outage: Outage, every: timedelta = HOUR) -> timedelta | None:
    """How long after its begin an outage is called by looks at each whole hour; None where it is over before."""
    look = outage.since.replace(minute=0) + HOUR
    while look <= outage.until:
        if judged(world, look).calls:
            return look - outage.since
        look += every
    return None
