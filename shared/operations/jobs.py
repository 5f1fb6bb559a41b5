"""What runs by schedule: when each was last seen to run, and a run asked for by a person."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from shared.domain.errors import Rejected
from shared.flows.audit import Changed, Errand, begun, ended
from shared.flows.ports import Bus, Documents, Logs, Message

TICKS = "ticks"
MOST_LINES = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Declared:
    """schedule: five fields of cron, in UTC. signs: the facts that a run of it tells."""

    name: str
    schedule: str
    signs: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """last: when a run last told of itself, None where it did not since then. told: by which fact. runs: how many of the newest
    `MOST_LINES` lines of all jobs are of it."""

    name: str
    schedule: str
    last: datetime | None = None
    told: str | None = None
    runs: int = 0


def declared(functions: Mapping[str, Mapping[str, object]]) -> list[Declared]:
    """What of the topology's `functions` runs by schedule: a function by its own name, or each of the jobs that it has."""
    return [job for name, one in functions.items() for job in _jobs_of(name, one)]


def _jobs_of(name: str, one: Mapping[str, object]) -> Iterator[Declared]:
    schedules, signs = one.get("schedules"), one.get("signs")
    if isinstance(schedules, dict):
        by_job = signs if isinstance(signs, dict) else {}
        for job, schedule in schedules.items():
            yield Declared(name=job, schedule=str(schedule), signs=tuple(_texts(by_job.get(job))))
    elif "schedule" in one:
        yield Declared(name=name, schedule=str(one["schedule"]), signs=tuple(_texts(signs)))


def _texts(value: object) -> list[str]:
    return [str(one) for one in value] if isinstance(value, list) else []


def jobs(every: Sequence[Declared], logs: Logs, since: datetime) -> list[Job]:
    """Each job by the log's lines since then: one reading of it."""
    by_sign = {sign: one.name for one in every for sign in one.signs}
    lines = logs.lines(sorted(by_sign), since, MOST_LINES) if by_sign else []
    found = []
    for one in every:
        own = [line for line in lines if by_sign[line["event"]] == one.name]
        newest = own[0] if own else None
        found.append(
            Job(
                name=one.name,
                schedule=one.schedule,
                last=newest["at"] if newest else None,
                told=newest["event"] if newest else None,
                runs=len(own),
            )
        )
    return found


def run(every: Sequence[Declared], bus: Bus, documents: Documents, name: str, errand: Errand) -> None:
    """Ask for a run of `name` now, as its schedule does. Jobs do what is due, each thing once, however often they run. Raises
    Rejected for what has no schedule."""
    if name not in {one.name for one in every}:
        raise Rejected(f"no job is called {name}: {', '.join(one.name for one in every)}", reason="unknown_job")
    record = begun(documents, errand, [Changed(name=f"job:{name}")])
    bus.publish([Message(TICKS, b"{}", {"job": name})])
    ended(documents, record, "its tick is published")
