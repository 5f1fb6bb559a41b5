"""So many messages a second, and no more."""

import math
import time
from collections.abc import Callable, Sequence

from shared.flows.ports import Bus, Message


class PacedBus:
    """`bus` at `rate` messages a second: in portions of a second's worth at most, each after the time that the one before is
    worth."""

    def __init__(self, bus: Bus, rate: float, sleep: Callable[[float], None] = time.sleep) -> None:
        self._bus, self._rate, self._sleep = bus, rate, sleep
        self._portion = max(1, math.floor(rate))
        self._before = 0

    def publish(self, messages: Sequence[Message]) -> None:
        for start in range(0, len(messages), self._portion):
            portion = messages[start : start + self._portion]
            if self._before:
                self._sleep(self._before / self._rate)
            self._bus.publish(portion)
            self._before = len(portion)
