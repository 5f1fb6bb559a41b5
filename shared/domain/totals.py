"""What the steps of a payment moved, reference by reference: the provider's latest word on each is what counts.

Totals are computed from the *set* of words, so neither the order in which words arrive can matter nor how often each does.
"""

import re
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from hashlib import sha256
from itertools import accumulate
from typing import NamedTuple

from shared.domain.events import PaymentStep

# What a text of words may take of a document of 1 MiB (Firestore): some ten thousand words.
MOST_BYTES = 600_000


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
    return (instant - _EPOCH) // timedelta(microseconds=1)


def by_step(words: Iterable[Word]) -> Words:
    found: defaultdict[PaymentStep, list[Word]] = defaultdict(list)
    for word in words:
        found[word.step].append(word)
    return found


def currency_of(words: Words) -> tuple[str | None, bool]:
    """The currency of the first amount that some total counts, and whether there is another."""
    told = {(word.at, word.currency) for step in _MONEY for word in words.get(step, ()) if word.currency}
    return min(told)[1] if told else None, len({currency for _, currency in told}) > 1


def authorized(words: Words, currency: str | None) -> int:
    """What is held, in minor units of `currency`.

    Several references are several holds, and add up; the latest word on a reference is what it holds. A running total,
    or an amount without a reference, states the whole anew: what was told until then is in it.
    """
    told = [
        word for word in words.get(PaymentStep.AUTHORIZED, ()) if word.currency == currency and word.minor is not None
    ]
    whole = max(
        ((word.at, word.minor or 0) for word in told if word.running or not word.reference), default=(_NEVER, 0)
    )
    now: dict[str, tuple[int, int]] = {}
    then: dict[str, tuple[int, int]] = {}
    for word in told:
        if word.reference and not word.running:
            _raise(now, word.reference, word.at, word.minor or 0)
            if word.at <= whole[0]:
                _raise(then, word.reference, word.at, word.minor or 0)
    held = sum(minor - then.get(reference, (_NEVER, 0))[1] for reference, (_, minor) in now.items())
    return max(0, whole[1] + held)


def captured(words: Words, currency: str | None, untold: int) -> Moved:
    """What was captured. A decline of what had been captured before is a capture that failed: banks may report the
    failure of a Direct Debit after they had confirmed it, in the words of any other failure."""
    first: dict[str, int] = {}
    for word in words.get(PaymentStep.CAPTURED, ()):
        first[word.reference] = min(word.at, first.get(word.reference, word.at))
    late = [
        word
        for word in words.get(PaymentStep.DECLINED, ())
        if word.reference and word.at > first.get(word.reference, word.at)
    ]
    return moved(
        words.get(PaymentStep.CAPTURED, ()), [*words.get(PaymentStep.CAPTURE_FAILED, ()), *late], currency, untold
    )


def refunded(words: Words, currency: str | None, untold: int) -> Moved:
    return moved(words.get(PaymentStep.REFUNDED, ()), words.get(PaymentStep.REFUND_FAILED, ()), currency, untold)


def reversed_(words: Words, currency: str | None, untold: int) -> Moved:
    return moved(words.get(PaymentStep.REVERSED, ()), (), currency, untold)


def moved(done: Iterable[Word], undone: Iterable[Word], currency: str | None, untold: int = 0) -> Moved:
    """What `done` moved together in `currency`, less what `undone` undid.

    Several references add up. Of one reference the latest word counts: it is undone while that is of `undone`, and counts
    again when it happens again; its amount is the latest that was told of it, or `untold` if none ever was. Of words at one
    instant an undoing is the later, and of amounts the larger.

    A running total (the latest), or an amount without a reference, which might repeat any other, is only a floor. It is
    lowered by the references that were undone since. An undoing without a reference takes what it tells, or everything,
    from what had been told until then.
    """
    amounts: dict[str, tuple[int, int]] = {}
    last: dict[str, int] = {}
    floors: list[tuple[int, int]] = []
    running: tuple[int, int] | None = None
    for word in done:
        if word.currency not in (None, currency):
            continue
        if word.running and word.minor is not None:
            running = max(running or (word.at, word.minor), (word.at, word.minor))
        elif word.running or not word.reference:
            floors.append((word.at, untold if word.minor is None else word.minor))
        else:
            last[word.reference] = max(word.at, last.get(word.reference, word.at))
            if word.minor is not None:
                _raise(amounts, word.reference, word.at, word.minor)
    floors += [running] if running else []

    ends: dict[str, int] = {}
    undone_amounts: dict[str, int] = {}
    for word in undone:
        if word.currency not in (None, currency):
            continue
        ends[word.reference] = max(word.at, ends.get(word.reference, word.at))
        if word.minor is not None:
            undone_amounts[word.reference] = max(word.minor, undone_amounts.get(word.reference, 0))
    everything_until = ends.pop("", _NEVER)
    taken = undone_amounts.get("")

    def amount(reference: str) -> int:
        return amounts[reference][1] if reference in amounts else untold

    def less_unnamed(minor: int, at: int) -> int:
        return minor if at > everything_until else 0 if taken is None else minor - taken

    live = [reference for reference, at in last.items() if at > ends.get(reference, _NEVER)]
    before = sum(amount(reference) for reference in live if last[reference] <= everything_until)
    since = sum(amount(reference) for reference in live if last[reference] > everything_until)
    named = max(0, less_unnamed(before, everything_until)) + since

    lost = sorted(
        (at, max(undone_amounts.get(reference, 0), amounts.get(reference, (0, 0))[1]) or untold)
        for reference, at in ends.items()
        if at >= last.get(reference, _NEVER)
    )
    times = [at for at, _ in lost]
    # What was lost at each of `times` or later; nothing after the last.
    later = [*accumulate((minor for _, minor in reversed(lost)), initial=0)][::-1]
    floor, floor_stands = 0, False
    for at, minor in floors:
        lost_since = bisect_left(times, at)
        left = less_unnamed(minor - later[lost_since], at)
        floor = max(floor, left)
        floor_stands = floor_stands or left > 0 or (at > everything_until and lost_since == len(times))
    return Moved(
        max(named, floor), floor_stands or (bool(live) and (named > 0 or everything_until == _NEVER or since > 0))
    )


# Words as text


def folded(text: str, words: Iterable[Word]) -> tuple[str, bool]:
    """`text`, which holds words, with `words` in it, and whether all fit.

    A line for each different word, in order; a line stays while those before it have less than MOST_BYTES. So the one that
    crosses the bound stays, and all that would follow it, sooner or later, is left out: in every order the same.
    """
    lines = text.splitlines()
    for line in map(_line, words):
        place = bisect_left(lines, line)
        if place == len(lines) or lines[place] != line:
            lines.insert(place, line)
    text = "\n".join(lines)
    end = text.find("\n", MOST_BYTES)
    return (text, True) if end < 0 else (text[:end], False)


def unfolded(text: str, words: Iterable[Word] = ()) -> list[Word]:
    """The words in `text`, and those of `words` that are not, each once."""
    lines = text.splitlines()
    told = [_word(line) for line in lines]
    more = set(words)
    return told + list(more.difference(told) if lines else more)


def _line(word: Word) -> str:
    flags = ("+" if word.running else "") + ("?" if word.unproved else "")
    minor = "-" if word.minor is None else word.minor
    return f"{word.reference or '-'} {word.step.value}{flags} {word.at} {minor} {word.currency or '-'}"


def _word(line: str) -> Word:
    reference, step, at, minor, currency = line.split(" ")
    return Word(
        "" if reference == "-" else reference,
        _STEPS[step.rstrip("+?")],
        int(at),
        None if minor == "-" else int(minor),
        None if currency == "-" else currency,
        "+" in step,
        "?" in step,
    )


def _raise(to: dict[str, tuple[int, int]], reference: str, at: int, minor: int) -> None:
    """Of two amounts of a reference the later stands, and of two at one instant the larger."""
    told = (at, minor)
    if told > to.get(reference, (_NEVER, 0)):
        to[reference] = told


_EPOCH = datetime.fromisoformat("1970-01-01T00:00:00+00:00")
_NEVER = -(2**63)
_PLAIN = re.compile(r"(?![-#])[!-~]{1,40}")
_STEPS = {step.value: step for step in PaymentStep}
_MONEY = (
    PaymentStep.AUTHORIZED,
    PaymentStep.CAPTURED,
    PaymentStep.CAPTURE_FAILED,
    PaymentStep.REFUNDED,
    PaymentStep.REFUND_FAILED,
    PaymentStep.REVERSED,
)
