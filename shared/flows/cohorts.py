"""What became of the decisions of a time, as it was known at an instant: read for whoever looks after the models."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from shared.domain.decisions import CHALLENGER_DIGITS, Outcome
from shared.domain.reference_amount import reference_minor_sql
from shared.domain.telemetry import fact
from shared.flows.challengers import challenger_of, line_in
from shared.flows.champions import Line
from shared.flows.ports import Ports, Warehouse
from shared.flows.scorer import CHAMPION
from shared.learning.labels import FRAUD_SQL, LABELED_SQL, with_labels

if TYPE_CHECKING:
    from shared.learning.cohort import Performance
    from shared.learning.compare import Comparison
    from shared.learning.data_set import Flags, Floats, Table

ROWS = 10_000
"""Genuine payments that are looked at, and frauds, at most about so many each: a thousandth is told of either."""

SEED = 0

COUNT_SQL = """SELECT COUNT(DISTINCT event_id) AS payments,
  COUNT(DISTINCT CASE WHEN fraud_reported_at IS NOT NULL THEN event_id END) AS frauds
FROM fraud_decisions
WHERE occurred_at >= @since AND occurred_at <= @until AND sample = '00'"""

# Whoever is named as the other one did not decide. Of both scores there is one only where both were asked.
_DECIDED = f"""SELECT event_id, UNIX_MICROS(occurred_at) AS at_us, step, outcome, score,
    UNIX_MICROS(fraud_reported_at) AS fraud_reported_at,
    {reference_minor_sql("amount.minor", "amount.currency")} AS money,
    CASE WHEN challenger = @challenger AND SUBSTR(model_digest, 1, {CHALLENGER_DIGITS}) = @champion THEN score
      WHEN challenger = @champion AND SUBSTR(model_digest, 1, {CHALLENGER_DIGITS}) = @challenger
      THEN challenger_score END AS champion_said,
    CASE WHEN challenger = @challenger AND SUBSTR(model_digest, 1, {CHALLENGER_DIGITS}) = @champion THEN challenger_score
      WHEN challenger = @champion AND SUBSTR(model_digest, 1, {CHALLENGER_DIGITS}) = @challenger
      THEN score END AS challenger_said
  FROM (
    SELECT event_id, occurred_at, outcome, score, amount, challenger, challenger_score, model_digest, fraud_reported_at,
      MAX(step) OVER (PARTITION BY event_id) AS step
    FROM fraud_decisions
    WHERE occurred_at >= @since AND occurred_at <= @until AND sample <= @sample
    QUALIFY ROW_NUMBER() OVER (
      PARTITION BY event_id ORDER BY COALESCE(claims_revision, 0) DESC, linked_event_id DESC
    ) = 1
  ) AS one"""  # noqa: S608 - constants of ours

COHORT_SQL = f"""SELECT at_us, outcome, score, money, champion_said, challenger_said, fraud_known_at
FROM (
{with_labels(_DECIDED)}
) AS known
WHERE {LABELED_SQL} AND ({FRAUD_SQL} OR SUBSTR(TO_HEX(MD5(event_id)), 1, 8) < @below)
ORDER BY at_us, event_id"""  # noqa: S608 - constants of ours


@dataclass(frozen=True, slots=True)
class Cohort:
    """Decisions on payments that were made, with what is known of them. stopped: not approved. score: by which it was decided,
    NaN without one. champion, challenger: what each of the two said, NaN where not both were asked."""

    of: "Table"
    stopped: "Flags"
    score: "Floats"
    champion: "Floats"
    challenger: "Floats"

    @property
    def payments(self) -> int:
        return round(float(self.of.weight.sum()))

    def performance(self) -> "Performance | None":
        from shared.learning.cohort import performance

        return performance(self.of, self.stopped, self.score, SEED)

    def comparison(self) -> "Comparison | None":
        """The challenger beside the champion, on the same payments; None where they were asked of too few to say."""
        import numpy as np

        from shared.learning.compare import compare

        both = ~np.isnan(self.champion) & ~np.isnan(self.challenger)
        of = self.of.part(both)
        return compare(self.challenger[both], self.champion[both], of, SEED) if 0 < of.frauds < len(of) else None


def read(warehouse: Warehouse, line: Line, since: datetime, until: datetime, as_of: datetime) -> Cohort:
    """Of the payments from `since` to `until`, what was known `as_of`; of as many as `ROWS` wants, drawn by their ids."""
    import numpy as np

    from shared.learning.data_set import SAMPLES, Table, sampling

    within: dict[str, Any] = {"since": since, "until": until}
    [counted] = warehouse.query(COUNT_SQL, within)
    kept = sampling(int(counted["payments"]) * SAMPLES, int(counted["frauds"]) * SAMPLES, ROWS)
    asked = {**within, **both_of(line), "as_of": as_of, "sample": kept.sample, "below": kept.below}
    rows = warehouse.query(COHORT_SQL, asked)
    fraud = np.array([row["fraud_known_at"] is not None for row in rows], dtype=np.bool_)
    weight = np.where(fraud, 1.0, 1.0 / kept.share)

    def column(name: str) -> "Floats":
        return np.array([np.nan if row[name] is None else row[name] for row in rows], dtype=np.float64)

    at = np.array([row["at_us"] for row in rows], dtype=np.int64)
    return Cohort(
        of=Table(("amount",), column("money").reshape(-1, 1), fraud, at, weight),
        stopped=np.array([row["outcome"] != Outcome.APPROVE for row in rows], dtype=np.bool_),
        score=column("score"),
        champion=column("champion_said"),
        challenger=column("challenger_said"),
    )


def both_of(line: Line) -> Mapping[str, str]:
    """By which decisions name the champion and the challenger; nothing that any names, where there is none."""
    champion, challenger = (one.digest[:CHALLENGER_DIGITS] if one else "" for one in (line.current, line.challenger))
    return {"champion": champion, "challenger": challenger}


def compare_challenger(
    ports: Ports, now: datetime, digest: str, back: timedelta, mature: timedelta
) -> "Comparison | None":
    """The challenger `digest` beside the champion on the same payments, by what both said when they were asked: those from
    `back` ago to `mature` ago, with what is known of them now. None, and a fact that says so, where nothing can be told yet.
    Raises Rejected where it is not the challenger."""
    line = line_in(ports.documents.get([CHAMPION])[0])
    challenger_of(line, digest)
    found = read(ports.warehouse, line, now - back, now - mature, now).comparison()
    if found is None:
        fact("challenger_not_comparable", digest=digest)
        return None
    fact(
        "challenger_compared",
        digest=digest,
        payments=found.payments,
        frauds_compared=found.frauds,
        money=found.money.estimate,
        money_low=found.money.low,
        money_high=found.money.high,
        average_precision=found.average_precision.estimate,
        average_precision_low=found.average_precision.low,
        average_precision_high=found.average_precision.high,
    )
    return found
