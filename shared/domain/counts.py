"""How many of how many, and where the share of them lies."""

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """An estimate and where it lies in 95 of 100 draws."""

    low: float
    estimate: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Count:
    """Of so many payments, so many that have something: approved, declined, found."""

    of: int
    with_it: int

    @property
    def rate(self) -> float:
        return self.with_it / self.of if self.of else 0.0

    def __add__(self, other: "Count") -> "Count":
        return Count(of=self.of + other.of, with_it=self.with_it + other.with_it)

    @property
    def interval(self) -> Interval:
        """Where the rate lies with 95 % (Wilson); 0 to 1 of nothing."""
        if not self.of:
            return Interval(low=0.0, estimate=0.0, high=1.0)
        z2 = 1.96**2 / self.of
        middle = (self.rate + z2 / 2) / (1 + z2)
        half = math.sqrt(z2 * self.rate * (1 - self.rate) + z2 * z2 / 4) / (1 + z2)
        return Interval(low=max(middle - half, 0.0), estimate=self.rate, high=min(middle + half, 1.0))
