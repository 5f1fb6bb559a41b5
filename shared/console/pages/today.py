"""What is due, and what stands out."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from shared.console.site import Site, Visit
from shared.operations.deadlines import Due, deadlines

AHEAD = timedelta(hours=72)
DAY = timedelta(hours=24)


def register(site: Site) -> None:
    site.page("/", "today", _look, title="Today")


def _look(visit: Visit) -> Mapping[str, Any]:
    found = deadlines(visit.ports.documents, visit.now, AHEAD)
    return {"due": _by_time(found, visit)}


def _by_time(found: Sequence[Due], visit: Visit) -> Mapping[str, list[Due]]:
    """What has a deadline, by how near that is."""
    parts: dict[str, list[Due]] = {"overdue": [], "day": [], "days": []}
    for one in found:
        if one.respond_by is None:
            continue
        left = one.respond_by - visit.now
        parts["overdue" if left <= timedelta(0) else "day" if left < DAY else "days"].append(one)
    return parts
