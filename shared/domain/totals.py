"""What the steps of a payment moved, reference by reference: the provider's latest word on each is what counts.

Totals are computed from the *set* of words, so neither the order in which words arrive can matter nor how often each does.
Sums of words that have no reference in common add up, so that not all words must be read to know what they come to.
"""

import re
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from hashlib import sha256
from itertools import accumulate
from typing import NamedTuple

from shared.domain.events import PaymentStep


class Word(NamedTuple):
    """What one message said of money. `at`: the provider's time, in microseconds since 1970. `running`: `minor` is the
    payment's total of this step. `unproved`: nobody signed whether it is this step or another."""

    reference: str
    step: PaymentStep
    at: int
    minor: int | None = None
    currency: str | None = None
    running: bool = False
    unproved: bool = False


class Moved(NamedTuple):
    """What a step moved in all, in minor units. `stands`: it happened and was not undone, whatever it moved."""

    minor: int
    stands: bool


Words = Mapping[PaymentStep, Sequence[Word]]


def name_of(reference: str | None) -> str:
    """`reference` as words spell it: itself, or a digest of one that is long or strange. Nothing where there is none."""
    if not reference or _PLAIN.fullmatch(reference):
        return reference or ""
    return "#" + sha256(reference.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def micros(instant: datetime) -> int:
    return (instant - _EPOCH) // _MICROSECOND


def by_step(words: Iterable[Word]) -> Words:
    found: defaultdict[PaymentStep, list[Word]] = defaultdict(list)
    for word in words:
        found[word.step].append(word)
    return found


def currency_of(words: Words) -> tuple[str | None, bool]:
    """The currency of the first amount that some total counts, and whether there is another."""
    told = {(word.at, word.currency) for step in _MONEY for word in words.get(step, ()) if word.currency}
    return min(told)[1] if told else None, len({currency for _, currency in told}) > 1


def loose(word: Word) -> bool:
    """Whether `word` may repeat any other: it names no reference, or sums several."""
    return word.running or not word.reference


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """An amount in minor units, None where nobody said how much, and when it was told."""

    at: int
    minor: int | None = None

    def amount(self, untold: int) -> int:
        return untold if self.minor is None else self.minor


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """References that happened and were not undone: how many, what they moved, how many of them never told an amount."""

    live: int = 0
    minor: int = 0
    untold: int = 0

    def __add__(self, other: "Standing") -> "Standing":
        return Standing(live=self.live + other.live, minor=self.minor + other.minor, untold=self.untold + other.untold)

    def __sub__(self, other: "Standing") -> "Standing":
        return Standing(live=self.live - other.live, minor=self.minor - other.minor, untold=self.untold - other.untold)

    def moved(self, untold: int) -> int:
        return self.minor + self.untold * untold


@dataclass(frozen=True, slots=True, kw_only=True)
class Sum:
    """What words about one step come to.

    Several references add up. Of one reference the latest word counts: it is undone while that is an undoing, and counts
    again when it happens again; its amount is the latest that was told of it. Of words at one instant an undoing is the
    later, and of amounts the larger.

    A running total (the latest), or an amount without a reference, which might repeat any other, is only a floor. It is
    lowered by the references that were undone since. An undoing without a reference (at `until`) takes what it tells
    (`taken`), or everything, from what had been told until then (`before`).

    lost: what was undone, in order. floors: those without a reference, but for such as another always exceeds.
    """

    since: Standing = Standing()
    before: Standing = Standing()
    until: int | None = None
    taken: int | None = None
    lost: tuple[Told, ...] = ()
    floors: tuple[Told, ...] = ()
    running: Told | None = None

    def __add__(self, other: "Sum") -> "Sum":
        """Of both, where they have no reference in common, and `other` undoes nothing without one."""
        if other == _NOTHING:
            return self
        return replace(
            self,
            since=self.since + other.since,
            lost=tuple(sorted((*self.lost, *other.lost), key=_order)),
            floors=_highest((*self.floors, *other.floors)),
            running=_later(self.running, other.running),
        )

    def __sub__(self, other: "Sum") -> "Sum":
        """Without the references in `other`, which were added before. What has no reference stays."""
        if other == _NOTHING:
            return self
        lost = list(self.lost)
        for each in other.lost:
            lost.remove(each)
        return replace(self, since=self.since - other.since, lost=tuple(lost))

    def moved(self, untold: int) -> Moved:
        """In all, where each of which nobody ever told an amount moved `untold`."""
        until = _NEVER if self.until is None else self.until

        def less_unnamed(minor: int, at: int) -> int:
            return minor if at > until else 0 if self.taken is None else minor - self.taken

        since = self.since.moved(untold)
        named = max(0, less_unnamed(self.before.moved(untold), until)) + since
        times = [each.at for each in self.lost]
        # What was lost at each of `times` or later; nothing after the last.
        later = [*accumulate((each.amount(untold) for each in reversed(self.lost)), initial=0)][::-1]
        floor, floor_stands = 0, False
        for each in (*self.floors, *([self.running] if self.running else [])):
            lost_since = bisect_left(times, each.at)
            left = less_unnamed(each.amount(untold) - later[lost_since], each.at)
            floor = max(floor, left)
            floor_stands = floor_stands or left > 0 or (each.at > until and lost_since == len(times))
        live = self.before.live + self.since.live > 0
        return Moved(max(named, floor), floor_stands or (live and (named > 0 or self.until is None or since > 0)))


_NOTHING = Sum()


@dataclass(frozen=True, slots=True, kw_only=True)
class Sums:
    """What words come to, step by step. held: authorizations by references; whole: the latest of a whole one."""

    held: int = 0
    whole: Told | None = None
    captured: Sum = Sum()
    refunded: Sum = Sum()
    reversed: Sum = Sum()

    def __add__(self, other: "Sums") -> "Sums":
        return Sums(
            held=self.held + other.held,
            whole=_later(self.whole, other.whole),
            captured=self.captured + other.captured,
            refunded=self.refunded + other.refunded,
            reversed=self.reversed + other.reversed,
        )

    def __sub__(self, other: "Sums") -> "Sums":
        return Sums(
            held=self.held - other.held,
            whole=self.whole,
            captured=self.captured - other.captured,
            refunded=self.refunded - other.refunded,
            reversed=self.reversed - other.reversed,
        )

    def authorized(self) -> int:
        """What is held, in minor units.

        Several references are several holds, and add up; the latest word on a reference is what it holds. A running
        total, or an amount without a reference, states the whole anew: what was told until then is in it.
        """
        return max(0, (self.whole.amount(0) if self.whole else 0) + self.held)


def sums(words: Words, currency: str | None, whole: Told | None = None) -> Sums:
    """What `words` come to in `currency`. `whole`: the latest word on a whole authorization among others than these."""
    held, whole = _held(words.get(PaymentStep.AUTHORIZED, ()), currency, whole)
    captured = words.get(PaymentStep.CAPTURED, ())
    # A decline of what had been captured before is a capture that failed: banks may report the failure of a Direct Debit
    # after they had confirmed it, in the words of any other failure.
    first: dict[str, int] = {}
    for word in captured:
        first[word.reference] = min(word.at, first.get(word.reference, word.at))
    late = [
        word
        for word in words.get(PaymentStep.DECLINED, ())
        if word.reference and word.at > first.get(word.reference, word.at)
    ]
    return Sums(
        held=held,
        whole=whole,
        captured=_sum(captured, [*words.get(PaymentStep.CAPTURE_FAILED, ()), *late], currency),
        refunded=_sum(words.get(PaymentStep.REFUNDED, ()), words.get(PaymentStep.REFUND_FAILED, ()), currency),
        reversed=_sum(words.get(PaymentStep.REVERSED, ()), (), currency),
    )


def given_up(words: Words, currency: str | None, told: Sums) -> int:
    """The part of an authorization that cancellations released, since it was told as a whole; 0 where they name no part
    of it, for that ends all of it."""
    since = [word for word in words.get(PaymentStep.CANCELED, ()) if not told.whole or word.at >= told.whole.at]
    if any(word.minor is None for word in since):
        return 0
    part = _sum(since, (), currency).moved(0).minor
    return part if part < told.authorized() else 0


def _held(words: Iterable[Word], currency: str | None, whole: Told | None) -> tuple[int, Told | None]:
    """What references hold besides the latest `whole`, and that."""
    told = [word for word in words if word.currency == currency and word.minor is not None]
    for word in filter(loose, told):
        whole = _later(whole, Told(at=word.at, minor=word.minor))
    now: dict[str, tuple[int, int]] = {}
    then: dict[str, tuple[int, int]] = {}
    for word in told:
        if not loose(word):
            _raise(now, word.reference, word.at, word.minor or 0)
            if whole and word.at <= whole.at:
                _raise(then, word.reference, word.at, word.minor or 0)
    return sum(minor - then.get(reference, (_NEVER, 0))[1] for reference, (_, minor) in now.items()), whole


def _sum(done: Collection[Word], undone: Collection[Word], currency: str | None) -> Sum:
    """What `done` moved in `currency`, and what `undone` undid of it."""
    if not done and not undone:
        return _NOTHING
    amounts: dict[str, tuple[int, int]] = {}
    last: dict[str, int] = {}
    floors: list[Told] = []
    running: Told | None = None
    for word in done:
        if word.currency not in (None, currency):
            continue
        if word.running and word.minor is not None:
            running = _later(running, Told(at=word.at, minor=word.minor))
        elif loose(word):
            floors.append(Told(at=word.at, minor=word.minor))
        else:
            last[word.reference] = max(word.at, last.get(word.reference, word.at))
            if word.minor is not None:
                _raise(amounts, word.reference, word.at, word.minor)

    ends: dict[str, int] = {}
    undone_amounts: dict[str, int] = {}
    for word in undone:
        if word.currency not in (None, currency):
            continue
        ends[word.reference] = max(word.at, ends.get(word.reference, word.at))
        if word.minor is not None:
            undone_amounts[word.reference] = max(word.minor, undone_amounts.get(word.reference, 0))
    until = ends.pop("", None)
    taken = undone_amounts.get("")

    def standing(live: Sequence[str]) -> Standing:
        told = [amounts[reference][1] for reference in live if reference in amounts]
        return Standing(live=len(live), minor=sum(told), untold=len(live) - len(told))

    def amount(reference: str) -> int | None:
        return max(undone_amounts.get(reference, 0), amounts.get(reference, (0, 0))[1]) or None

    live = [reference for reference, at in last.items() if at > ends.get(reference, _NEVER)]
    lost = [Told(at=at, minor=amount(reference)) for reference, at in ends.items() if at >= last.get(reference, _NEVER)]
    return Sum(
        since=standing([reference for reference in live if until is None or last[reference] > until]),
        before=standing([reference for reference in live if until is not None and last[reference] <= until]),
        until=until,
        taken=taken,
        lost=tuple(sorted(lost, key=_order)),
        floors=_highest(floors),
        running=running,
    )


def _highest(floors: Iterable[Told]) -> tuple[Told, ...]:
    """Those of `floors` that none exceeds which was told as late or later: undoings since take as little from that one.
    Of those without an amount that is the latest."""
    kept: list[Told] = []
    untold = [each for each in floors if each.minor is None]
    for each in sorted((each for each in floors if each.minor is not None), key=_order, reverse=True):
        if not kept or each.amount(0) > kept[-1].amount(0):
            kept.append(each)
    return (*reversed(kept), *([max(untold, key=_order)] if untold else []))


def _later(one: Told | None, other: Told | None) -> Told | None:
    """Of two the later, and of two at one instant the larger."""
    return max((each for each in (one, other) if each), key=_order, default=None)


def _order(told: Told) -> tuple[int, int]:
    return told.at, -1 if told.minor is None else told.minor


def _raise(to: dict[str, tuple[int, int]], reference: str, at: int, minor: int) -> None:
    """Of two amounts of a reference the later stands, and of two at one instant the larger."""
    told = (at, minor)
    if told > to.get(reference, (_NEVER, 0)):
        to[reference] = told


_EPOCH = datetime.fromisoformat("1970-01-01T00:00:00+00:00")
_MICROSECOND = timedelta(microseconds=1)
_NEVER = -(2**63)
_PLAIN = re.compile(r"(?![-#+])[!-~]{1,40}")
_MONEY = (
    PaymentStep.AUTHORIZED,
    PaymentStep.CAPTURED,
    PaymentStep.CAPTURE_FAILED,
    PaymentStep.REFUNDED,
    PaymentStep.REFUND_FAILED,
    PaymentStep.REVERSED,
)
