"""How much a provider sent: a row of the warehouse's `provider_traffic`."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class TrafficCounted:
    """What came of one type of a provider's messages on a day. row_id: of the day, the provider and the type, so that a day
    that is counted again is the same row.

    day: it begins (UTC). provider, type: as the provider names it; an empty type is all of a provider's deliveries, an empty
    provider everybody's. hours: what came in each of the day's 24 hours, without canaries, replays and what is of the other
    mode. deliveries: their sum. expected: what would have been usual; None where too little was known.
    """

    row_id: str
    day: datetime
    counted_at: datetime
    provider: str
    type: str
    deliveries: int
    hours: tuple[int, ...]
    expected: float | None
