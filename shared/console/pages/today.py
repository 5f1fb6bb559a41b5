"""What is due, what may be lost, and what stands outside of its band."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from shared.console.site import Site, Visit
from shared.domain.disputes import Dispute
from shared.domain.events import DisputeStatus
from shared.domain.health import HealthMeasured
from shared.flows.approvals import waiting
from shared.flows.dispute_desk import LISTED
from shared.flows.review_desk import queue
from shared.flows.teamwork import in_queue
from shared.operations.deadlines import deadlines
from shared.operations.model_quality import measured
from shared.operations.parking import parked
from shared.providers import names

AHEAD, DAY = timedelta(hours=72), timedelta(hours=24)
LOOKED_BACK = timedelta(days=35)
"""What is measured is so once a day, and a few hours late; the newest day of these is shown, whichever it is."""
SHOWN = 8
RATES = ("approved", "declined")
PROGRAMMES = ("programme_items", "programme_left", "programme_ratio")


def register(site: Site) -> None:
    site.page("/", "today", _look, title="Today")


def _look(visit: Visit) -> Mapping[str, Any]:
    documents, now = visit.ports.documents, visit.now
    found = deadlines(documents, now, AHEAD)
    open_ = in_queue(documents, {"status": DisputeStatus.NEEDS_RESPONSE.value}, LISTED)
    missed = in_queue(documents, {"status": DisputeStatus.EXPIRED.value}, LISTED)
    promise = visit.bench.settings.promise()
    reviews = queue(documents, now, promise)
    rows = measured(visit.ports.warehouse, now - LOOKED_BACK, now, measure=None, unusual=False)
    return {
        "due": _by_time([*missed, *open_], visit),
        "full": len(open_) == LISTED and _soon(open_[-1], visit),
        "many_missed": len(missed) == LISTED,
        "risky": [one for one in found if one.risks][:SHOWN],
        "shown": SHOWN,
        "reviews": len(reviews),
        "late": sum(now - one.opened_at >= promise.within for one in reviews),
        "approvals": waiting(documents, now),
        "parked": parked(documents, names()),
        "rates": _newest(rows, RATES, lambda one: one.subject == "all"),
        "unusual": [one for one in _newest(rows) if one.unusual][:SHOWN],
        "programmes": _programmes(_newest(rows, PROGRAMMES)),
        "misses": [one for one in _newest(rows, ("deadlines_at_risk",)) if one.value > 0],
        "measured_on": max((one.day for one in rows), default=None),
    }


def _soon(dispute: Dispute, visit: Visit) -> bool:
    return dispute.respond_by is not None and dispute.respond_by - visit.now < AHEAD


def _by_time(found: Sequence[Dispute], visit: Visit) -> Mapping[str, list[Dispute]]:
    """What is due within AHEAD, or was and nobody has ruled, by how near that is."""
    parts: dict[str, list[Dispute]] = {"overdue": [], "day": [], "days": []}
    for one in found:
        if one.respond_by is not None and _soon(one, visit):
            left = one.respond_by - visit.now
            parts["overdue" if left <= timedelta(0) else "day" if left < DAY else "days"].append(one)
    return parts


def _newest(
    rows: Iterable[HealthMeasured], measures: Sequence[str] = (), which: Any = lambda _: True
) -> list[HealthMeasured]:
    """Of each measure the rows of the newest day on which it was measured."""
    kept = [one for one in rows if (not measures or one.measure in measures) and which(one)]
    newest: dict[str, Any] = {}
    for one in kept:
        newest[one.measure] = max(newest.get(one.measure, one.day), one.day)
    return [one for one in kept if one.day == newest[one.measure]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Gauge:
    """How full an account's programme of a network is. counted: items so far, `left` until it takes the account in; forecast, low,
    high: at the month's end."""

    subject: str
    counted: int
    left: float
    forecast: float
    low: float | None
    high: float | None
    ratio: float | None
    risky: bool

    @property
    def full(self) -> float:
        """From 0 to 1."""
        limit = self.counted + self.left
        return min(self.counted / limit, 1.0) if limit > 0 else 1.0


def _programmes(rows: Iterable[HealthMeasured]) -> list[Gauge]:
    """A gauge for each account in each programme, the fullest first."""
    by_subject: dict[str, dict[str, HealthMeasured]] = {}
    for one in rows:
        by_subject.setdefault(one.subject, {})[one.measure] = one
    gauges = [
        Gauge(
            subject=subject,
            counted=found["programme_items"].payments,
            left=found["programme_left"].value,
            forecast=found["programme_items"].value,
            low=found["programme_items"].low,
            high=found["programme_items"].high,
            ratio=found["programme_ratio"].value if "programme_ratio" in found else None,
            risky=found["programme_left"].unusual,
        )
        for subject, found in by_subject.items()
        if {"programme_items", "programme_left"} <= found.keys()
    ]
    return sorted(gauges, key=lambda one: (one.left, one.subject))
