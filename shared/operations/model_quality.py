"""Which models decide, and what was measured of them, for whoever asks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from shared.domain.codec import from_document
from shared.domain.health import HealthMeasured
from shared.flows.challengers import line_in
from shared.flows.champions import RULES_ALONE, Line
from shared.flows.ports import Bound, Documents, Warehouse
from shared.flows.scorer import CHAMPION
from shared.fraud.features import SCHEMA_VERSION

MOST: Final = 1000
BOUND: Final = Bound(bytes=2**36, seconds=50.0)

MEASURED_SQL: Final = """SELECT row_id, day, measured_at, measure, subject, model, value, low, high, payments, unusual
FROM model_health
WHERE day >= @since AND day < @until AND (@measure = '' OR measure = @measure)
QUALIFY ROW_NUMBER() OVER (PARTITION BY row_id, day ORDER BY measured_at DESC) = 1
ORDER BY day DESC, measure, subject"""


@dataclass(frozen=True, slots=True)
class Standing:
    """The champions of the features `schema`, those of this release. rules_alone: an operator wants no model asked."""

    schema: str
    line: Line
    rules_alone: bool


def standing(documents: Documents) -> Standing:
    """One read."""
    [found] = documents.get([CHAMPION])
    document: Mapping[str, Any] = found.document if found else {}
    return Standing(SCHEMA_VERSION, line_in(found), bool(document.get(RULES_ALONE)))


def measured(
    warehouse: Warehouse, since: datetime, until: datetime, *, measure: str | None, unusual: bool
) -> Sequence[HealthMeasured]:
    """The newest word on each measure of the days from `since` to before `until`, the latest day first, MOST at most; of one
    `measure`, or of what was `unusual`."""
    parameters = {"since": since, "until": until, "measure": measure or ""}
    rows = warehouse.query(MEASURED_SQL, parameters, bound=BOUND)
    return [from_document(row, HealthMeasured) for row in rows if row["unusual"] or not unusual][:MOST]
