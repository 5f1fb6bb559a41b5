"""Which model decides, how good it is, what drifts, and the way back."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from shared.console.site import Site, Visit, Went, done
from shared.domain.errors import Rejected
from shared.domain.health import HealthMeasured
from shared.domain.people import Role
from shared.flows.challengers import pin, roll_back
from shared.flows.champions import Champion, Line
from shared.operations.model_quality import measured, standing

HERE = "/models"
DAYS = timedelta(days=35)
WIDTH, HEIGHT = 600.0, 140.0
CHARTS = (
    ("approved", "all", "Approved"),
    ("declined", "all", "Declined"),
    ("stability", "score", "How far scores are from those it was judged on (index)"),
    ("cohort_average_precision", None, "Average precision, as labels matured"),
)


def register(site: Site) -> None:
    site.page(HERE, "models", _look, title="Models")
    site.document(f"{HERE}/card/<digest>", "model_card", _card)
    site.act(f"{HERE}/roll-back", "models_roll_back", Role.APPROVER, _roll_back)
    site.act(f"{HERE}/pin", "models_pin", Role.APPROVER, _pin)


@dataclass(frozen=True, slots=True)
class Chart:
    """A line of days in a picture of WIDTH by HEIGHT. band: where it was usual, as the points of a polygon; empty where nobody
    knows. points: with their words, for those who cannot see it."""

    title: str
    line: str
    band: str
    points: tuple[tuple[float, float, HealthMeasured], ...]
    low: float
    high: float


def _look(visit: Visit) -> Mapping[str, Any]:
    found = standing(visit.ports.documents)
    rows = measured(visit.ports.warehouse, visit.now - DAYS, visit.now, measure=None, unusual=False)
    return {
        "line": found.line,
        "schema": found.schema,
        "rules_alone": found.rules_alone,
        "models": _roles(found.line),
        "charts": [made for measure, subject, title in CHARTS if (made := _chart(rows, measure, subject, title))],
        "unusual": [one for one in rows if one.unusual][:50],
        "drift": _drift(rows),
    }


def _roles(line: Line) -> Sequence[tuple[str, Champion]]:
    found = [("decides", line.current)] if line.current else []
    if line.challenger:
        share = line.canary.share if line.canary else 0.0
        found.append((f"is tried, decides for {share:.0%}" if share else "is tried in shadow", line.challenger))
    return found + [("decided before", one) for one in reversed(line.former)]


def _drift(rows: Sequence[HealthMeasured]) -> list[HealthMeasured]:
    """The features that moved most, on the newest day."""
    stable = [one for one in rows if one.measure == "stability"]
    newest = max((one.day for one in stable), default=None)
    return sorted((one for one in stable if one.day == newest), key=lambda one: -one.value)[:8]


def _chart(rows: Sequence[HealthMeasured], measure: str, subject: str | None, title: str) -> Chart | None:
    by_day: dict[datetime, HealthMeasured] = {}
    for one in rows:
        if one.measure == measure and (subject is None or one.subject == subject):
            by_day.setdefault(one.day, one)
    days = sorted(by_day)
    if len(days) < 2:
        return None
    told = [by_day[day] for day in days]
    values = [edge for one in told for edge in (one.value, one.low, one.high) if edge is not None]
    low, high = min(values), max(values)
    high = high if high > low else low + 1.0
    length = (days[-1] - days[0]).total_seconds()

    def place(one: HealthMeasured, value: float) -> tuple[float, float]:
        x = (one.day - days[0]).total_seconds() / length * WIDTH
        return round(x, 1), round(HEIGHT - (value - low) / (high - low) * HEIGHT, 1)

    banded = [one for one in told if one.low is not None and one.high is not None]
    upper = [place(one, one.high or 0.0) for one in banded]
    lower = [place(one, one.low or 0.0) for one in reversed(banded)]
    return Chart(
        title,
        " ".join(f"{x},{y}" for x, y in (place(one, one.value) for one in told)),
        " ".join(f"{x},{y}" for x, y in [*upper, *lower]) if len(banded) > 1 else "",
        tuple((*place(one, one.value), one) for one in told),
        low,
        high,
    )


def _card(visit: Visit) -> bytes:
    line = standing(visit.ports.documents).line
    kept = [one.page for _, one in _roles(line) if one.page and one.digest == visit.asked["digest"]]
    if not kept:
        raise Rejected("no model that stands has a card of this name", reason="no_card")
    return visit.ports.models.load(kept[0])


def _roll_back(visit: Visit) -> Went:
    line = standing(visit.ports.documents).line
    told = visit.asked.get("digest", "")
    if line.current is None or line.current.digest != told:
        raise Rejected("another model decides by now: look, and say it again", reason="model_changed")
    roll_back(visit.acting("models roll-back", visit.why), visit.now, told)
    return done(HERE, "The one before decides within a minute, and stays until its pin is taken out.")


def _pin(visit: Visit) -> Went:
    pinned = visit.asked.get("pinned") == "yes"
    pin(
        visit.acting("models pin" if pinned else "models unpin", visit.why),
        visit.asked.get("digest", ""),
        pinned=pinned,
    )
    return done(HERE, "It stays, whatever training finds." if pinned else "A better one may follow.")
