"""A night of more rows than the function can take is a job elsewhere, of the same code: started once for each tick."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

from shared.domain.telemetry import fact


class Jobs(Protocol):
    """Whoever runs processes of ours for longer than an answer may take. Raises Unavailable, and Misconfigured."""

    def settled(self, tick: str) -> bool:
        """Whether there is a job of `tick` that waits, runs, has ended well or was stopped by somebody: anything but failed."""

    def start(self, tick: str, arguments: Sequence[str]) -> None:
        """Start a job of `tick`, `python -m shared.runtime.training` with `arguments`. After Unavailable it may run."""


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """above: rows beyond which a night goes there."""

    above: int
    jobs: Jobs


def hand_over(jobs: Jobs, now: datetime, parameters: bytes) -> None:
    """Have a job train as of `now`, unless one does already or has done. Raises Unavailable, and Misconfigured.

    Who asks again, because the answer to a start was lost, finds what that start left behind. Should two run in spite of it,
    the same instant and the same rows make the same model, and it is crowned once.
    """
    tick = f"{now.astimezone(UTC):%Y%m%dt%H%M%S%f}z"
    if jobs.settled(tick):
        fact("training_job_found", tick=tick)
        return
    jobs.start(tick, ["--at", now.isoformat(), "--request", parameters.decode() or "{}"])
    fact("training_job_started", tick=tick)
