"""How each provider is doing, by what the warehouse has of a day."""

import threading
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from shared.console.site import Site, Visit
from shared.operations.finding import AHEAD
from shared.operations.parking import parked
from shared.operations.provider_health import Health, health, told_by
from shared.providers import names

DAY = timedelta(days=1)
KEPT = timedelta(hours=1)
"""A look reads a day of deliveries, for three cents: everybody sees the same one for so long."""


class _Kept:
    """The newest look of this instance."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._found: tuple[datetime, list[Health]] | None = None

    def of(self, visit: Visit) -> tuple[datetime, list[Health]]:
        with self._lock:
            if self._found is None or visit.now - self._found[0] >= KEPT:
                since = visit.now - DAY
                asked = health(visit.ports.warehouse, names(), since, visit.now + AHEAD)
                self._found = visit.now, told_by(visit.bench.logs, asked, since)
            return self._found


def register(site: Site) -> None:
    kept = _Kept()
    site.page("/providers", "providers", lambda visit: _look(visit, kept), title="Providers")


def _look(visit: Visit, kept: _Kept) -> Mapping[str, Any]:
    at, found = kept.of(visit)
    stopped = parked(visit.ports.documents, names())
    heard = [one for one in found if one.deliveries or one.refused or one.provider in stopped]
    return {
        "heard": heard,
        "silent": [one.provider for one in found if one not in heard],
        "parked": stopped,
        "at": at,
        "lag": lambda one: None if one.lag_seconds is None else timedelta(seconds=one.lag_seconds),
    }
