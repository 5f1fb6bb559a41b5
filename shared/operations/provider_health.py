"""How each provider's deliveries are doing, by what the warehouse has of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final

from shared.flows.ports import ASKED, Logs, Warehouse

# The latest word on each delivery, so that what was mended is not told as broken.
HEALTH_SQL: Final = """SELECT provider, MAX(received_at) AS last, COUNT(*) AS deliveries,
  COUNTIF(outcome = 'accepted') AS accepted, COUNTIF(outcome = 'ignored') AS ignored,
  COUNTIF(outcome = 'unparsed') AS unparsed, COUNTIF(outcome = 'mode_mismatch') AS mode_mismatch,
  COUNTIF(unmapped > 0) AS unmapped, AVG(apart) AS lag
FROM (
  SELECT provider, received_at, outcome, ARRAY_LENGTH(unknown) AS unmapped,
    TIMESTAMP_DIFF(received_at, signed_at, MILLISECOND) AS apart,
    ROW_NUMBER() OVER (PARTITION BY delivery_id, received_at ORDER BY publish_time DESC) AS nth
  FROM deliveries
  WHERE received_at >= @since AND received_at < @until
) AS told
WHERE nth = 1
GROUP BY provider
ORDER BY provider"""

KEYS_SQL: Final = """SELECT provider, key_id, COUNT(DISTINCT delivery_id) AS deliveries
FROM deliveries CROSS JOIN UNNEST(key_ids) AS key_id
WHERE received_at >= @since AND received_at < @until
GROUP BY provider, key_id
ORDER BY provider, key_id"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """Of one provider, in the time that was asked about. last: its last delivery, None where there was none. unmapped:
    deliveries in which something is that the adapter does not know. lag_seconds: from the provider's signature to us, in the
    mean, where it signs a time. keys: how many each key proved. refused: what nothing proved, by the reason; of the newest
    `MOST_LINES` lines of the log. breaker_open_since: since when its API is left alone, as the log's last word on that."""

    provider: str
    last: datetime | None = None
    deliveries: int = 0
    accepted: int = 0
    ignored: int = 0
    unparsed: int = 0
    mode_mismatch: int = 0
    unmapped: int = 0
    lag_seconds: float | None = None
    keys: Mapping[str, int]
    refused: Mapping[str, int] = field(default_factory=dict)
    breaker_open_since: datetime | None = None


MOST_LINES: Final = 5000
REFUSED, OPENED, CLOSED = "delivery_refused", "circuit_opened", "circuit_closed"


def told_by(logs: Logs, found: Sequence[Health], since: datetime) -> list[Health]:
    """`found`, with what only the log knows: there is no row of what was refused."""
    refused: dict[str, dict[str, int]] = {}
    opened: dict[str, datetime | None] = {}
    for line in logs.lines((REFUSED, OPENED, CLOSED), since, MOST_LINES, {}):
        provider = str(line.get("provider", ""))
        if line["event"] == REFUSED:
            reasons = refused.setdefault(provider, {})
            reasons[str(line.get("reason"))] = reasons.get(str(line.get("reason")), 0) + 1
        else:
            opened.setdefault(provider, line["at"] if line["event"] == OPENED else None)
    return [
        replace(one, refused=refused.get(one.provider, {}), breaker_open_since=opened.get(one.provider))
        for one in found
    ]


def health(warehouse: Warehouse, providers: Sequence[str], since: datetime, until: datetime) -> list[Health]:
    """Of each of `providers`, and of whoever else sent something, by name. Two queries, of that time's rows."""
    between = {"since": since, "until": until}
    keys: dict[str, dict[str, int]] = {}
    for row in warehouse.query(KEYS_SQL, between, bound=ASKED):
        keys.setdefault(row["provider"], {})[row["key_id"]] = row["deliveries"]
    told = {row["provider"]: _of(row) for row in warehouse.query(HEALTH_SQL, between, bound=ASKED)}
    return [
        Health(provider=name, keys=keys.get(name, {}), **told.get(name, {})) for name in sorted({*providers, *told})
    ]


def _of(row: Mapping[str, Any]) -> dict[str, Any]:
    seconds = None if row["lag"] is None else float(row["lag"]) / 1000
    return {name: value for name, value in row.items() if name not in ("provider", "lag")} | {"lag_seconds": seconds}
