# ruff: noqa: S608 - every name and number in this SQL is a constant of ours; values are bound as parameters
"""The features of the past, compiled from the same declarations to one BigQuery query over `payment_events`.

Each entity's rows are sorted once, and a window's sum is a running total before this row minus the running total of
the buckets that have left the window: cost is linear in rows (times their sort), whatever the windows are, where a
self-join would be quadratic on a busy address. Order is event time, then event id: a total order, so that the same
rows always give the same features.
"""

from collections.abc import Iterable
from typing import assert_never

from shared.domain.events import DisputeReason, PaymentStep
from shared.fraud.features import (
    ATTEMPT_STEPS,
    BUCKETS,
    CAP,
    CAPPED,
    CARD_METHOD,
    CELLS,
    ENTITY_FIELDS,
    FEATURES,
    FRAUD_STAGES,
    FREE_MAIL,
    GRAIN_MICROSECONDS,
    NAMING,
    NEW,
    PAIRS,
    SMALL_AMOUNT,
    Amount,
    AmountDeviation,
    AmountRatio,
    Clock,
    Differs,
    Entity,
    Feature,
    Grain,
    Is,
    Measure,
    Novelty,
    Number,
    Share,
    Since,
    Total,
    Window,
)
from shared.fraud.reference_amount import reference_minor_sql

_MEMBERS = tuple(
    dict.fromkeys(
        path
        for feature in FEATURES
        for path in (
            (feature.member,)
            if isinstance(feature, Is | Number)
            else (feature.left, feature.right)
            if isinstance(feature, Differs)
            else ()
        )
    )
)


def point_in_time_sql(cap: int = CAP) -> str:
    """One row for each decided payment between @since and @as_of (aware instants), as it was known at its time:
    `event_id`, `provider`, `payment_id`, `at_us` (µs), `step`, `fraud_reported_at` (µs; the first report of fraud that
    still stands at @as_of, null without one) and a column for each feature.

    A duplicate of an event changes nothing. Payments before @since are not seen as history either.
    """
    entities = "".join(_entity_sql(entity, cap) for entity in Entity)
    joins = "".join(
        f"\nLEFT JOIN {entity}_history ON {entity}_history.event_id = attempts.event_id" for entity in Entity
    )
    features = ",\n  ".join(f"{_feature_sql(feature)} AS {feature.name}" for feature in FEATURES)
    return f"""WITH {_COMMON_SQL}{entities}
SELECT attempts.event_id, attempts.provider, attempts.payment_id, attempts.at_us, attempts.step, frauds.fraud_reported_at,
  {features}
FROM attempts
LEFT JOIN frauds ON frauds.event_id = attempts.event_id{joins}"""


def _texts(values: Iterable[str]) -> str:
    return ", ".join(f"'{value}'" for value in values)


def _column(path: str) -> str:
    return f"member_{path.replace('.', '_')}"


def _named(entity: Entity) -> str:
    """The entity's name in a row of `payment_events`; null where it has none or keeps no history."""
    value = ", ".join(f"NULLIF({path}, '')" for path in ENTITY_FIELDS[entity])
    value = f"COALESCE({value})" if len(ENTITY_FIELDS[entity]) > 1 else value
    return (
        f"CASE WHEN {value} IN ({_texts(FREE_MAIL)}) THEN NULL ELSE {value} END"
        if entity is Entity.EMAIL_DOMAIN
        else value
    )


_ATTEMPT_COLUMNS = ",\n    ".join(
    (
        *(f"{_named(entity)} AS {entity}" for entity in Entity),
        *(f"{path} AS {_column(path)}" for path in _MEMBERS),
        f"{reference_minor_sql('amount.minor', 'amount.currency')} AS amount_reference",
    )
)

_PAIR_COLUMNS = ",\n    ".join(
    f"CASE WHEN {keeper} IS NULL OR {other} IS NULL THEN NULL WHEN ROW_NUMBER() OVER "
    f"(PARTITION BY {keeper}, {other} ORDER BY at_us, event_id) = 1 THEN 1 ELSE 0 END AS new_{other}_of_{keeper}"
    for keeper, other in PAIRS
)

_NAMED = "COALESCE(" + ", ".join(f"NULLIF({path}, '')" for path in NAMING) + ") IS NOT NULL"

# News that came before the event that binds the name it speaks of to a payment is known from that event on.
_CAME_LATER = "claims.at_us > owners.at_us OR (claims.at_us = owners.at_us AND claims.event_id > owners.event_id)"

# A payment may be named by several ids (a charge and its intent). The first event that names any of them is decided
# on; whatever names one of them later is the same payment, also through one more id between.
_COMMON_SQL = f"""told AS (
  SELECT *, UNIX_MICROS(occurred_at) AS at_us
  FROM payment_events
  WHERE occurred_at >= @since AND occurred_at <= @as_of AND kind IN ('payment', 'dispute', 'fraud_warning')
  QUALIFY ROW_NUMBER() OVER (PARTITION BY event_id ORDER BY occurred_at) = 1
),
candidates AS (
  SELECT event_id, provider, payment_id, aliases, at_us, step,
    {_ATTEMPT_COLUMNS}
  FROM told
  WHERE kind = 'payment' AND step IN ({_texts(ATTEMPT_STEPS)})
    AND (COALESCE(method, '') NOT IN ('', '{CARD_METHOD}')
      OR (card IS NOT NULL AND (step <> '{PaymentStep.CAPTURED}' OR {_NAMED})))
),
mentions AS (
  SELECT event_id, provider, at_us, id
  FROM candidates CROSS JOIN UNNEST(ARRAY_CONCAT([payment_id], COALESCE(aliases, ARRAY<STRING>[]))) AS id
),
owners AS (
  SELECT provider, id, event_id, at_us FROM mentions
  QUALIFY ROW_NUMBER() OVER (PARTITION BY provider, id ORDER BY at_us, event_id) = 1
),
parents AS (
  SELECT mentions.event_id AS event_id, owners.event_id AS parent
  FROM mentions JOIN owners ON owners.provider = mentions.provider AND owners.id = mentions.id
  QUALIFY ROW_NUMBER() OVER (PARTITION BY mentions.event_id ORDER BY owners.at_us, owners.event_id) = 1
),
attempts AS (
  SELECT candidates.*,
    {_PAIR_COLUMNS}
  FROM candidates
  WHERE event_id IN (SELECT event_id FROM parents WHERE parent = event_id)
),
claims AS (
  SELECT event_id, provider, at_us, dispute_id,
    ARRAY_CONCAT(CASE WHEN payment_id IS NULL THEN ARRAY<STRING>[] ELSE [payment_id] END,
      COALESCE(payment_aliases, ARRAY<STRING>[])) AS ids
  FROM told
  WHERE kind = 'fraud_warning'
    OR (kind = 'dispute' AND reason = '{DisputeReason.FRAUD}' AND stage IN ({_texts(FRAUD_STAGES)}))
),
overturned AS (
  SELECT DISTINCT provider, dispute_id FROM told WHERE kind = 'dispute' AND status = 'won' AND COALESCE(final, TRUE)
),
claimed AS (
  SELECT attempts.event_id AS event_id, overturned.dispute_id IS NULL AS stands,
    CASE WHEN {_CAME_LATER} THEN claims.at_us ELSE owners.at_us END AS at_us,
    CASE WHEN {_CAME_LATER} THEN claims.event_id ELSE owners.event_id END AS told_by
  FROM (SELECT event_id, provider, at_us, dispute_id, id FROM claims CROSS JOIN UNNEST(ids) AS id) AS claims
  JOIN owners ON owners.provider = claims.provider AND owners.id = claims.id
  JOIN parents ON parents.event_id = owners.event_id
  JOIN parents AS roots ON roots.event_id = parents.parent
  JOIN attempts ON attempts.event_id = roots.parent
  LEFT JOIN overturned ON overturned.provider = claims.provider AND overturned.dispute_id = claims.dispute_id
),
frauds AS (
  SELECT event_id, at_us, told_by,
    MIN(CASE WHEN stands THEN at_us END) OVER (PARTITION BY event_id) AS fraud_reported_at
  FROM claimed
  QUALIFY ROW_NUMBER() OVER (PARTITION BY event_id ORDER BY at_us, told_by) = 1
)"""


def _entity_sql(entity: Entity, cap: int) -> str:
    """Two common table expressions: the entity's rows, payments and news of fraud alike, and the sums before each."""
    kept = (
        f"CASE WHEN ROW_NUMBER() OVER (PARTITION BY {entity}, DIV(at_us, {GRAIN_MICROSECONDS[Grain.MINUTES]}) "
        f"ORDER BY at_us, event_id) <= {cap} THEN 1 ELSE 0 END"
        if entity in CAPPED
        else "1"
    )
    measures = tuple(dict.fromkeys(measure for measure, _ in CELLS[entity]))
    payment = ", ".join(f"{_adds_sql(entity, measure)} AS {measure}" for measure in measures)
    news = ", ".join(f"{int(measure is Measure.FRAUDS)} AS {measure}" for measure in measures)
    sums = ",\n    ".join(_sum_sql(measure, window) for measure, window in CELLS[entity])
    windows = tuple(dict.fromkeys(window for _, window in CELLS[entity] if window is not Window.EVER))
    left = "".join(
        f",\n    left_{window} AS (PARTITION BY value ORDER BY {BUCKETS[window][0]} "
        f"RANGE BETWEEN UNBOUNDED PRECEDING AND {BUCKETS[window][1]} PRECEDING)"
        for window in windows
    )
    pairs = (f"new_{other}_of_{keeper}" for keeper, other in PAIRS if entity in (keeper, other))
    columns = ", ".join(
        ("event_id", f"{entity} AS value", "at_us", "amount_reference", "step", *pairs, f"{kept} AS kept")
    )
    grains = ", ".join(f"DIV(at_us, {width}) AS {grain}" for grain, width in GRAIN_MICROSECONDS.items())
    return f""",
{entity}_payments AS (
  SELECT {columns}
  FROM attempts WHERE {entity} IS NOT NULL
),
{entity}_rows AS (
  SELECT event_id, value, at_us, event_id AS told_by, 0 AS is_news, CASE WHEN kept = 1 THEN at_us END AS paid_at, {payment} FROM {entity}_payments
  UNION ALL
  SELECT frauds.event_id, attempts.{entity}, frauds.at_us, frauds.told_by, 1, NULL, {news}
  FROM frauds JOIN attempts ON attempts.event_id = frauds.event_id WHERE attempts.{entity} IS NOT NULL
),
{entity}_history AS (
  SELECT event_id, is_news,
    MIN(paid_at) OVER earlier AS first_at, MAX(paid_at) OVER earlier AS last_at,
    {sums}
  FROM (SELECT *, {grains} FROM {entity}_rows) AS timed
  QUALIFY is_news = 0
  WINDOW earlier AS (PARTITION BY value ORDER BY at_us, told_by, is_news ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING){left}
)"""


def _adds_sql(entity: Entity, measure: Measure) -> str:
    """What a row of `<entity>_payments` adds; the counterpart of `Attempt.adds` and of pairs in `Known.changes`."""
    match measure:
        case Measure.PAYMENTS:
            return "kept"
        case Measure.DECLINED:
            return f"CASE WHEN step = '{PaymentStep.DECLINED}' THEN kept ELSE 0 END"
        case Measure.SMALL:
            return f"CASE WHEN amount_reference < {SMALL_AMOUNT} THEN kept ELSE 0 END"
        case Measure.AMOUNT:
            return "COALESCE(amount_reference, 0) * kept"
        case Measure.AMOUNT_SQUARED:
            return "COALESCE(amount_reference * amount_reference, 0) * kept"
        case Measure.FRAUDS:
            return "0"
        case Measure.NEW_CARDS | Measure.NEW_CUSTOMERS | Measure.NEW_DEVICES | Measure.NEW_IPS:
            other = next(other for other, new in NEW.items() if new is measure)
            keeper, kept_by = (entity, other) if (entity, other) in PAIRS else (other, entity)
            return f"COALESCE(new_{kept_by}_of_{keeper}, 0) * kept"
        case _:
            assert_never(measure)


def _sum_sql(measure: Measure, window: Window) -> str:
    before = f"SUM({measure}) OVER earlier"
    if window is Window.EVER:
        return f"{before} AS {measure}_{window}"
    return f"{before} - COALESCE(SUM({measure}) OVER left_{window}, 0) AS {measure}_{window}"


def _feature_sql(feature: Feature) -> str:
    """The feature over a row of `attempts` joined with every entity's history."""
    match feature:
        case Total():
            return f"{feature.entity}_history.{feature.measure}_{feature.window}"
        case Share():
            history = f"{feature.entity}_history"
            return (
                f"{history}.{feature.measure}_{feature.window} / "
                f"NULLIF({history}.{Measure.PAYMENTS}_{feature.window}, 0)"
            )
        case AmountRatio():
            return f"attempts.amount_reference / NULLIF({_mean_sql(feature.entity)}, 0)"
        case AmountDeviation():
            history, mean = f"{feature.entity}_history", _mean_sql(feature.entity)
            squares = (
                f"CAST({history}.{Measure.AMOUNT_SQUARED}_{Window.EVER} AS FLOAT64) / "
                f"NULLIF({history}.{Measure.PAYMENTS}_{Window.EVER}, 0)"
            )
            variance = f"CASE WHEN {squares} > {mean} * {mean} THEN {squares} - {mean} * {mean} ELSE 0 END"
            return f"(attempts.amount_reference - {mean}) / NULLIF(SQRT({variance} + {mean} / 4 * ({mean} / 4)), 0)"
        case Since():
            return f"(attempts.at_us - {feature.entity}_history.{feature.moment}_at) / 1000000"
        case Novelty():
            return f"attempts.new_{feature.other}_of_{feature.keeper}"
        case Amount():
            return "attempts.amount_reference"
        case Clock():
            return f"MOD(DIV(attempts.at_us, {feature.unit}) + {feature.shift}, {feature.cycle})"
        case Is():
            column = f"attempts.{_column(feature.member)}"
            return f"CASE WHEN {column} IS NULL THEN NULL WHEN {column} IN ({_texts(feature.values)}) THEN 1 ELSE 0 END"
        case Differs():
            left, right = f"attempts.{_column(feature.left)}", f"attempts.{_column(feature.right)}"
            return f"CASE WHEN {left} IS NULL OR {right} IS NULL THEN NULL WHEN {left} <> {right} THEN 1 ELSE 0 END"
        case Number():
            return f"attempts.{_column(feature.member)}"
        case _:
            assert_never(feature)


def _mean_sql(entity: Entity) -> str:
    history = f"{entity}_history"
    return f"(CAST({history}.{Measure.AMOUNT}_{Window.EVER} AS FLOAT64) / NULLIF({history}.{Measure.PAYMENTS}_{Window.EVER}, 0))"
