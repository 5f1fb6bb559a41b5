"""What was measured of the model that decides: a row of the warehouse's `model_health`."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthMeasured:
    """One measure of one day. row_id: of the measure, its subject and the day, so that a repeated run tells the same row.

    day: the day that was looked at begins (UTC). measure: what (`shared.flows.monitor_model` lists them); subject: of
    what: a feature, a segment, a cohort, an entity. model: the digest of the model that it is of, where it is of one.
    low, high: where the value is usual, or its interval; None where too little is known. payments: it was measured on.
    unusual: somebody is called for it.
    """

    row_id: str
    day: datetime
    measured_at: datetime
    measure: str
    subject: str
    model: str | None
    value: float
    low: float | None
    high: float | None
    payments: int
    unusual: bool
