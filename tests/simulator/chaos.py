"""What the internet does to webhooks: copies, disorder, month-old retries, forgeries, skewed clocks, broken bodies.

`Post` takes the world's facts, lets each provider's simulator say them, and hands out sendings in order of the
instant at which they leave. Everything it does on purpose is counted, so that a run can be held against the truth.
"""

import heapq
import itertools
import random
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from tests.simulator.facts import Fact, FactKind, ProviderSimulator, SignedRequest

SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Chaos:
    """Shares of bodies (0 to 1) to which each thing happens, independently.

    duplicated: a second copy within minutes. reordered: leaves minutes to hours late, after what followed it; of
    a dispute minutes, for its deadline does not wait.
    month_late: a retry 30 days later, or as late as the provider's is still believed; of a dispute it is a stale copy,
    for a dispute first told after its deadline is lost in any system. forged: an attacker's altered copy rides along.
    skewed: the sender's clock is off by as much as its scheme tolerates. unreadable: the same delivery, authentic but broken, goes ahead of the
    whole one. outages: from and to, after the start of the story, in which nothing of ours answers.
    """

    duplicated: float = 0.04
    reordered: float = 0.05
    month_late: float = 0.004
    forged: float = 0.02
    skewed: float = 0.05
    unreadable: float = 0.003
    outages: tuple[tuple[timedelta, timedelta], ...] = ()


CALM = Chaos(duplicated=0, reordered=0, month_late=0, forged=0, skewed=0, unreadable=0)


class How(StrEnum):
    """Why this sending exists."""

    FIRST = "first"
    DUPLICATE = "duplicate"
    MONTH_LATE = "month_late"
    FORGED = "forged"
    UNREADABLE = "unreadable"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sending:
    """One request to be made at `at`. `tries` counts how often it has failed; it is signed when it leaves.
    `counted`: what was done to it on purpose, by name."""

    provider: str
    body: bytes
    how: How
    at: datetime
    fact: Fact
    skew: timedelta = timedelta()
    tries: int = 0
    counted: tuple[str, ...] = ()

    def request(self, simulator: ProviderSimulator, now: datetime) -> SignedRequest:
        """The request as it leaves at `now`, signed by a clock that is `skew` ahead."""
        if self.how is How.FORGED:
            return simulator.forge(self.body, now)
        return simulator.sign(self.body, now + self.skew)


@dataclass(order=True, slots=True)
class _Due:
    at: datetime
    order: int
    sending: Sending = field(compare=False)


_DISPUTES = frozenset({FactKind.DISPUTE_OPENED, FactKind.DISPUTE_ANSWERED, FactKind.DISPUTE_WON, FactKind.DISPUTE_LOST})


class Post:
    """Between the world and our endpoint. `injected` counts what was done on purpose, by name."""

    def __init__(self, chaos: Chaos, seed: int, simulators: Mapping[str, ProviderSimulator], end: datetime) -> None:
        self.injected: Counter[str] = Counter()
        self._chaos = chaos
        self._rng = random.Random(f"chaos:{seed}")
        self._simulators = simulators
        self._end = end
        self._heap: list[_Due] = []
        self._order = itertools.count()

    def take(self, facts: Iterable[Fact]) -> list[Fact]:
        """Let the providers say `facts`; what they send waits for its time. Answers those of which they say anything."""
        said = []
        for fact in facts:
            provider = fact.attempt.provider
            bodies = self._simulators[provider].requests(fact)
            if bodies:
                said.append(fact)
            for body in bodies:
                self._disturb(Sending(provider=provider, body=body, how=How.FIRST, at=fact.at + 2 * SECOND, fact=fact))
        return said

    def until(self, instant: datetime) -> Iterator[Sending]:
        """What leaves before `instant`, in order of time."""
        while self._heap and self._heap[0].at < instant:
            yield heapq.heappop(self._heap).sending

    def withdraw(self, sending: Sending) -> None:
        """It was never said, for what it tells of never happened."""
        self.injected.subtract(sending.counted)

    def retry(self, sending: Sending, now: datetime) -> None:
        """Nobody answered, or with an error: again after 5 minutes, then ever less often, as providers do."""
        wait = min(6 * HOUR, 5 * MINUTE * 3**sending.tries)
        self.injected["retries"] += 1
        self._push(replace(sending, at=now + wait, tries=sending.tries + 1))

    @property
    def waiting(self) -> int:
        return len(self._heap)

    def _push(self, sending: Sending) -> None:
        heapq.heappush(self._heap, _Due(sending.at, next(self._order), sending))

    def _disturb(self, sending: Sending) -> None:
        chaos, fact = self._chaos, sending.fact
        habits = self._simulators[sending.provider].habits
        month_later = sending.at + habits.repeats_for
        if self._happens(chaos.skewed):
            limit = int(habits.skew.total_seconds())
            sending = self._counted("skewed", sending, skew=self._rng.randrange(-limit, limit + 1) * SECOND)
        if self._happens(chaos.unreadable):
            broken = broken_copy(self._simulators[sending.provider], sending.body)
            self._inject(sending, How.UNREADABLE, body=broken)
        if self._happens(chaos.duplicated):
            self._inject(sending, How.DUPLICATE, at=sending.at + self._rng.randrange(1, 600) * SECOND)
        if self._happens(chaos.forged):
            self._inject(sending, How.FORGED, at=sending.at + self._rng.randrange(1, 600) * SECOND)
        if self._happens(chaos.month_late) and month_later < self._end:
            self._inject(sending, How.MONTH_LATE, at=month_later)
            if fact.kind not in _DISPUTES:
                return
        if self._happens(chaos.reordered):
            most = 30 * MINUTE if fact.kind in _DISPUTES else 4 * HOUR
            late = self._rng.randrange(60, int(most.total_seconds())) * SECOND
            sending = self._counted("reordered", sending, at=sending.at + late)
        self._push(sending)

    def _inject(self, sending: Sending, how: How, **changes: Any) -> None:
        """A copy of `sending`, which is counted as a copy and not as what was done to the original."""
        self._push(self._counted(how.value, replace(sending, counted=()), how=how, **changes))

    def _counted(self, what: str, sending: Sending, **changes: Any) -> Sending:
        self.injected[what] += 1
        return replace(sending, counted=(*sending.counted, what), **changes)

    def _happens(self, share: float) -> bool:
        return self._rng.random() < share


def broken_copy(simulator: ProviderSimulator, body: bytes) -> bytes:
    """`body` as an authentic delivery that cannot be read.

    A scheme that signs raw bytes signs any bytes: the body is cut in half. Where the signature is over parts of it,
    or is made of what is in it, the simulator says what else can be broken.
    """
    broken: Callable[[bytes], bytes] | None = getattr(simulator, "broken", None)
    return broken(body) if broken else body[: len(body) // 2]
