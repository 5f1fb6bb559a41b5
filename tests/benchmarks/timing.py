"""How long calls take, and a line that says it."""

import time
from collections.abc import Callable, Iterable


def timed(calls: Iterable[Callable[[], object]]) -> list[float]:
    """Microseconds of each call, sorted."""
    taken = []
    for call in calls:
        started = time.perf_counter()
        call()
        taken.append((time.perf_counter() - started) * 1e6)
    return sorted(taken)


def at(taken: list[float], part: float) -> float:
    return taken[int(len(taken) * part)]


def line(what: str, taken: list[float]) -> None:
    print(f"{what}: p50 {at(taken, 0.5):.0f} µs, p95 {at(taken, 0.95):.0f} µs, p99 {at(taken, 0.99):.0f} µs")
