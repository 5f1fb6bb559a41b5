"""What features that we do not have would add, in our own world: `python -m tests.benchmarks candidates`.

Each family is computed here in one pass over the story, in plain Python, from what was told before the attempt, and stands
beside all the features that we have. What it adds is the mean over two worlds and two draws of the fit; a line that moves
less than the draws do (told as ±) says nothing. The world in which half of those who deny a payment deny another is taken, so that
a customer's own past may say something.

An address of theirs says here what the customer says, as everybody has one; on FICO's payments the address is the customer.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import pairwise
from math import exp, nan

import msgspec
import numpy as np
from rich.console import Console
from rich.table import Table as Shown

from shared.domain.events import Initiator
from shared.domain.instants import EPOCH
from shared.learning.data_set import Floats, Table
from shared.learning.request import TrainingRequest
from tests.benchmarks.fraud_quality import by_pattern
from tests.benchmarks.simulated_shop import Shop, shop
from tests.simulator.facts import Attempt, Fact, FactKind
from tests.simulator.places import DISPOSABLE_MAIL
from tests.simulator.world import DAY, HALF_DENY_AGAIN, HOUR

WORLDS, DRAWS = (11, 12), (0, 1)
LABELED_AFTER, MONTH = 7 * DAY, 30 * DAY
MOST_MET = 16
"""Of whom somebody has met, so many are looked at: what a document could hold."""

Vector = dict[str, float]
Place = tuple[str, str]
"""An entity's kind and its value."""


@dataclass(slots=True)
class Counts:
    """Numbers by place and hour, and by day, summed over what lies before an instant."""

    hours: dict[Place, Counter[int]] = field(default_factory=lambda: defaultdict(Counter))
    days: dict[Place, Counter[int]] = field(default_factory=lambda: defaultdict(Counter))

    def add(self, place: Place, at: datetime) -> None:
        self.hours[place][(at - EPOCH) // HOUR] += 1
        self.days[place][(at - EPOCH) // DAY] += 1

    def within(self, place: Place, at: datetime, window: timedelta) -> int:
        width, buckets = (HOUR, self.hours) if window <= DAY else (DAY, self.days)
        counted, last = buckets.get(place, Counter()), (at - EPOCH) // width
        asked = range(last - window // width + 1, last + 1)
        return sum(counted[bucket] for bucket in (asked if len(asked) < len(counted) else counted) if bucket in asked)


@dataclass(slots=True)
class Decayed:
    """A sum in which each number has lost all but 1/e of itself after `after`."""

    after: timedelta
    of: dict[Place, tuple[float, datetime]] = field(default_factory=dict)

    def at(self, place: Place, at: datetime) -> float:
        total, then = self.of.get(place, (0.0, at))
        return total * exp(-max((at - then) / self.after, 0.0))

    def add(self, place: Place, at: datetime) -> None:
        self.of[place] = self.at(place, at) + 1.0, at


@dataclass(slots=True)
class Past:
    """What was told until now."""

    attempts: Counts = field(default_factory=Counts)
    declined: Counts = field(default_factory=Counts)
    intents: Counts = field(default_factory=Counts)
    frauds: Counts = field(default_factory=Counts)  # by when they became known
    confirmed: Counts = field(default_factory=Counts)  # by when they were paid
    refunds: Counts = field(default_factory=Counts)
    disputes: Counts = field(default_factory=Counts)
    renewals_denied: Counts = field(default_factory=Counts)
    attempts_lately: Decayed = field(default_factory=lambda: Decayed(HOUR))
    attempts_of_days: Decayed = field(default_factory=lambda: Decayed(DAY))
    declined_of_days: Decayed = field(default_factory=lambda: Decayed(DAY))
    frauds_of_days: Decayed = field(default_factory=lambda: Decayed(10 * DAY))
    gaps: dict[Place, list[datetime]] = field(default_factory=lambda: defaultdict(list))
    met: dict[Place, set[Place]] = field(default_factory=lambda: defaultdict(set))
    known: Counter[Place] = field(default_factory=Counter)
    claimed: set[str] = field(default_factory=set)
    wanted: dict[tuple[str, int], datetime] = field(default_factory=dict)

    def happen(self, fact: Fact) -> None:
        attempt, at = fact.attempt, fact.at
        customer = ("customer", attempt.customer)
        match fact.kind:
            case FactKind.AUTHORIZED | FactKind.DECLINED:
                self._attempt(attempt, at)
            case FactKind.REFUNDED:
                self.refunds.add(customer, at)
            case FactKind.FRAUD_WARNED | FactKind.DISPUTE_OPENED:
                if fact.dispute is not None:
                    self.disputes.add(customer, at)
                fraud = fact.dispute is None or fact.dispute.reason == "fraud"
                if fraud and attempt.id not in self.claimed:
                    self.claimed.add(attempt.id)
                    self._claim(attempt, at)
            case _:
                pass

    def _attempt(self, attempt: Attempt, at: datetime) -> None:
        wanted = (attempt.customer, attempt.amount.minor)
        anew = wanted not in self.wanted or at - self.wanted[wanted] > HOUR
        self.wanted[wanted] = at
        for place in places(attempt):
            self.attempts.add(place, at)
            self.attempts_lately.add(place, at)
            self.attempts_of_days.add(place, at)
            self.gaps[place] = [*self.gaps[place][-5:], at]
            if anew:
                self.intents.add(place, at)
            if attempt.decline_code is not None:
                self.declined.add(place, at)
                self.declined_of_days.add(place, at)
        customer = ("customer", attempt.customer)
        for place in met_by(attempt):
            for one, other in ((customer, place), (place, customer)):
                if len(self.met[one]) < MOST_MET:
                    self.met[one].add(other)

    def _claim(self, attempt: Attempt, at: datetime) -> None:
        for place in places(attempt):
            self.frauds.add(place, at)
            self.confirmed.add(place, attempt.at)
            self.frauds_of_days.add(place, at)
            self.known[place] += 1
        if attempt.initiator is Initiator.MERCHANT:
            self.renewals_denied.add(("customer", attempt.customer), at)

    def share(self, part: Counts, place: Place, at: datetime, window: timedelta) -> float:
        among = self.attempts.within(place, at, window)
        return part.within(place, at, window) / among if among else nan

    def labeled_share(self, place: Place, at: datetime) -> float:
        """Fraud's part of the attempts of 30 days that have a label by now."""
        early = self.confirmed.within(place, at, LABELED_AFTER)
        late = self.attempts.within(place, at, LABELED_AFTER)
        among = self.attempts.within(place, at, MONTH) - late + early
        return self.confirmed.within(place, at, MONTH) / among if among > 0 else nan

    def two_hops(self, attempt: Attempt) -> Vector:
        """Frauds known of others: of whom this device and card have met, and at the devices and cards that this customer has met."""
        customer = ("customer", attempt.customer)
        own = self.known[customer]
        people = {other for place in met_by(attempt) for other in self.met[place]} - {customer}
        things = self.met[customer] | set(met_by(attempt))
        return {
            "frauds_of_people_met": sum(self.known[one] for one in people),
            "people_with_frauds_met": sum(self.known[one] > 0 for one in people),
            "frauds_at_things_met": sum(max(self.known[one] - own, 0) for one in things),
        }


def places(attempt: Attempt) -> Iterator[Place]:
    yield "customer", attempt.customer
    yield "card", attempt.card.token
    if attempt.device:
        yield "device", attempt.device
    if attempt.ip:
        yield "ip", attempt.ip
    yield "domain", attempt.email.partition("@")[2]
    yield "bin", attempt.card.bin
    yield "bin and country", f"{attempt.card.bin} {attempt.country}"
    yield "account", attempt.provider
    yield "product", attempt.plan


def met_by(attempt: Attempt) -> list[Place]:
    return [place for place in places(attempt) if place[0] in ("card", "device")]


def of_kinds(attempt: Attempt, *kinds: str) -> Iterator[Place]:
    return (place for place in places(attempt) if place[0] in kinds)


def _risk(past: Past, attempt: Attempt, kind: str) -> Vector:
    [place] = of_kinds(attempt, kind)
    return {
        f"{kind} attempts": past.attempts.within(place, attempt.at, DAY),
        f"{kind} declined": past.share(past.declined, place, attempt.at, DAY),
        f"{kind} frauds": past.share(past.frauds, place, attempt.at, MONTH),
    }


def _gaps(past: Past, attempt: Attempt) -> Vector:
    told: Vector = {}
    for kind, value in of_kinds(attempt, "card", "device", "customer"):
        before = past.gaps[kind, value]
        between = [(later - earlier).total_seconds() for earlier, later in pairwise(before)]
        told[f"{kind} mean gap"] = sum(between) / len(between) if between else nan
        told[f"{kind} least gap"] = min(between, default=nan)
    return told


PLANS = ("trial", "monthly", "upgrade", "gift", "renewal")

FAMILIES: Mapping[str, Callable[[Past, Attempt], Vector]] = {
    "refunds and disputes of the customer": lambda past, attempt: {
        f"{name} {window}": counts.within(("customer", attempt.customer), attempt.at, window)
        for name, counts in (("refunds", past.refunds), ("disputes", past.disputes), ("renewals", past.renewals_denied))
        for window in (60 * DAY, 365 * DAY)
    },
    "frauds of the customer in 30 days": lambda past, attempt: {
        "customer frauds": past.frauds.within(("customer", attempt.customer), attempt.at, MONTH)
    },
    "disposable mail": lambda _, attempt: {"disposable": float(attempt.email.endswith(DISPOSABLE_MAIL))},
    "labels of card, customer, address and domain": lambda past, attempt: {
        f"{kind} labeled share": past.labeled_share((kind, value), attempt.at)
        for kind, value in of_kinds(attempt, "card", "customer", "ip", "domain")
    },
    "BIN": lambda past, attempt: _risk(past, attempt, "bin"),
    "BIN and the payer's country": lambda past, attempt: _risk(past, attempt, "bin and country"),
    "account": lambda past, attempt: _risk(past, attempt, "account"),
    "product": lambda past, attempt: {plan: float(attempt.plan == plan) for plan in PLANS},
    "two hops": lambda past, attempt: past.two_hops(attempt),
    "decayed rates": lambda past, attempt: {
        f"{name} of {kind}": decayed.at((kind, value), attempt.at)
        for kind, value in of_kinds(attempt, "card", "customer", "device", "ip")
        for name, decayed in (
            ("hour", past.attempts_lately),
            ("day", past.attempts_of_days),
            ("declined", past.declined_of_days),
            ("frauds", past.frauds_of_days),
        )
    },
    "time between attempts": _gaps,
    "retries of one intent once": lambda past, attempt: {
        f"{kind} intents {window}": past.intents.within((kind, value), attempt.at, window)
        for kind, value in of_kinds(attempt, "card", "customer", "device", "ip")
        for window in (HOUR, DAY)
    },
}


def computed(told: Shop) -> Mapping[str, Floats]:
    """Of each family its columns, a row for each of `told`'s."""
    rows = {name: row for row, name in enumerate(told.names)}
    found: dict[str, list[Vector]] = {family: [{} for _ in rows] for family in FAMILIES}
    past = Past()
    for fact in told.facts:
        if fact.kind in (FactKind.AUTHORIZED, FactKind.DECLINED):
            for family, of in FAMILIES.items():
                found[family][rows[fact.attempt.id]] = of(past, fact.attempt)
        past.happen(fact)
    return {family: _matrix(vectors) for family, vectors in found.items()}


def _matrix(vectors: Sequence[Vector]) -> Floats:
    columns = sorted({name for vector in vectors for name in vector})
    return np.array([[vector.get(name, nan) for name in columns] for vector in vectors])


def beside(told: Shop, more: Floats) -> Shop:
    """`told` with further columns."""
    table = told.table
    names = (*table.columns, *(f"candidate_{n}" for n in range(more.shape[1])))
    wide = Table(names, np.column_stack([table.values, more]), table.fraud, table.at, table.weight)
    return replace(told, table=wide)


def main() -> None:
    console = Console(width=150)
    figures: dict[str, list[list[float]]] = defaultdict(list)
    names: list[str] = []
    for world in WORLDS:
        told = shop(world, denies_again=HALF_DENY_AGAIN)
        families = {"none": np.empty((len(told.table), 0)), **computed(told)}
        for family, more in families.items():
            wide = beside(told, more)
            for draw in DRAWS:
                found = by_pattern(wide, msgspec.structs.replace(TrainingRequest(), seed=draw))
                names = [name for name in found if name not in ("payments", "frauds")]
                figures[family].append([found[name] for name in names])
            console.print(f"world {world}, {family}: {dict(zip(names, figures[family][-1], strict=True))}")
    base = np.array(figures.pop("none"))
    spread = np.abs(base[:: len(DRAWS)] - base[1 :: len(DRAWS)]).max(axis=0)
    shown = Shown(title="what each family adds to what we have, mean of two worlds and two draws")
    for heading in ("", *names):
        shown.add_column(heading, justify="right" if heading else "left")
    shown.add_row(
        "what we have", *(f"{mean:.3f} ±{by:.3f}" for mean, by in zip(base.mean(axis=0), spread, strict=True))
    )
    for family, runs in figures.items():
        shown.add_row(family, *(f"{added:+.3f}" for added in (np.array(runs) - base).mean(axis=0)))
    console.print(shown)
