"""What runs by schedule: when each was last seen to run, and a run asked for by a person."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from shared.domain.errors import Rejected
from shared.flows.audit import Changed, Errand, begun, ended
from shared.flows.ports import Bus, Documents, Logs, Message

TICKS = "ticks"
ENDED = "job_ended"
MOST_LINES = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Declared:
    """schedule: five fields of cron, in UTC."""

    name: str
    schedule: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """last: when a run last came to its end, None where none did since then. runs: how many did, of which the newest
    `MOST_LINES` are counted."""

    name: str
    schedule: str
    last: datetime | None = None
    runs: int = 0


def declared(functions: Mapping[str, Mapping[str, object]]) -> list[Declared]:
    """What of the topology's `functions` runs by schedule: a function by its own name, or each of the jobs that it has."""
    return [job for name, one in functions.items() for job in _jobs_of(name, one)]


def _jobs_of(name: str, one: Mapping[str, object]) -> Iterator[Declared]:
    schedules = one.get("schedules")
    if isinstance(schedules, dict):
        for job, schedule in schedules.items():
            yield Declared(name=job, schedule=str(schedule))
    elif "schedule" in one:
        yield Declared(name=name, schedule=str(one["schedule"]))


def jobs(every: Sequence[Declared], logs: Logs, since: datetime) -> list[Job]:
    """Each job by the log's lines since then: one reading of it for each, so that none hides another."""
    return [_seen(one, logs.lines([ENDED], since, MOST_LINES, {"job": one.name})) for one in every]


def _seen(one: Declared, lines: Sequence[Mapping[str, Any]]) -> Job:
    """lines: the newest first."""
    last = lines[0]["at"] if lines else None
    return Job(name=one.name, schedule=one.schedule, last=last, runs=len(lines))


def run(every: Sequence[Declared], bus: Bus, documents: Documents, name: str, errand: Errand) -> None:
    """Ask for a run of `name` now, as its schedule does. Jobs do what is due, each thing once, however often they run. Raises
    Rejected for what has no schedule."""
    if name not in {one.name for one in every}:
        raise Rejected(f"no job is called {name}: {', '.join(one.name for one in every)}", reason="unknown_job")
    record = begun(documents, errand, [Changed(name=f"job:{name}")])
    bus.publish([Message(TICKS, b"{}", {"job": name})])
    ended(documents, record, "its tick is published")
