# ruff: noqa: S608 - every name and number in this SQL is a constant of ours; values are bound as parameters
"""The features of the past, compiled from the same declarations to one BigQuery query over `payment_events`.

A row is what was served: it sees what was known when its payment was decided on, in the windows of event time that the
online history has. `known` is ordered by the instant of the decision (`fraud_decisions`), for everything else by when
it was heard (`heard_at`: when we published it, or Pub/Sub's own time, or for rows that have neither when it happened).
Two things can still differ by nature, and only for payments that share an entity: decisions made at the same moment on
two machines, which did not see each other, and news that was published but not yet committed when a payment was read
(a fraction of a second; as long as a backlog of `score_payment` lasts). History from before @since is not seen either.
`served_sql` therefore takes the vector that the decision recorded, wherever there is one.

Each entity's rows are sorted once by when they were known, and a window's sum is a running total before this row minus
the running total of the buckets that have left the window: cost is linear in rows (times their sort), whatever the
windows are, where a self-join would be quadratic on a busy address. Only payments that came later than their own bucket
are joined. The order is total, so that the same rows always give the same features.
"""

from collections.abc import Iterable
from datetime import timedelta
from typing import assert_never

from shared.domain.events import DisputeReason, DisputeStatus, PaymentStep
from shared.domain.reference_amount import reference_minor_sql
from shared.fraud.claims import (
    CLAIMING_STAGES,
    CLAIMING_STATUSES,
    DISPROVED,
    OPEN,
    RULINGS,
    STAGES,
    UNTOLD_REASON,
    WORD,
)
from shared.fraud.features import (
    ATTEMPT_STEPS,
    BUCKETS,
    CAP,
    CAPPED,
    CARD_METHOD,
    CELLS,
    ENTITY_FIELDS,
    FEATURES,
    FREE_MAIL,
    GRAIN_MICROSECONDS,
    LABELED_AFTER,
    LARGE_ABOVE,
    LARGE_FROM,
    LARGE_OF,
    MAGNITUDES,
    MICROSECOND,
    NAMES,
    NAMING,
    NEW,
    PAIRS,
    SCHEMA_VERSION,
    SEEN_LIMIT,
    SMALL_AMOUNT,
    Amount,
    AmountDeviation,
    AmountRatio,
    Clock,
    Differs,
    Entity,
    Feature,
    FraudRun,
    Grain,
    Is,
    MaturedShare,
    Measure,
    Novelty,
    Number,
    Share,
    Since,
    Total,
    Window,
)
from shared.fraud.history import KEPT

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

_REPORTS = "'fraud_warning', 'fraud_found'"

_RUNS = tuple(feature for feature in FEATURES if isinstance(feature, FraudRun))


def point_in_time_sql(cap: int = CAP, seen_limit: int = SEEN_LIMIT, *, audited: bool = False) -> str:
    """One row for each payment decided on between @since and @as_of (aware instants), as it was known at its time:
    `event_id`, `provider`, `payment_id`, `at_us` (µs), `step`, `fraud_reported_at` (µs; when fraud was first claimed, null
    where nothing of it stands at @as_of) and a column for each feature.

    A duplicate of an event changes nothing. Payments before @since are not seen as history either.
    audited: only what was decided on is an attempt, so that @since may cut a payment's first event off; and beside each row
    stands what rows cannot tell of its order (`at_once`, `on_its_way`, `behind`, see `audited_sql`).
    """
    entities = "".join(_entity_sql(entity, cap) for entity in Entity)
    joins = "".join(
        f"\nLEFT JOIN {name} ON {name}.event_id = attempts.event_id"
        for name in (
            *(f"{entity}_history" for entity in Entity),
            *(f"{run.name}_history" for run in _RUNS),
        )
    )
    features = ",\n  ".join(f"{_feature_sql(feature)} AS {feature.name}" for feature in FEATURES)
    unsettled = f",\n{_unsettled_sql()}" if audited else ""
    beside = "COALESCE(unsettled.at_once, 0) AS at_once, COALESCE(unsettled.on_its_way, 0) AS on_its_way,\n  "
    beside += "COALESCE(unsettled.behind, 0) AS behind,\n  "
    if audited:
        joins += "\nLEFT JOIN unsettled ON unsettled.event_id = attempts.event_id"
    return f"""WITH {_common_sql(seen_limit, audited=audited)}{entities}{unsettled}
SELECT attempts.event_id, attempts.provider, attempts.payment_id, attempts.at_us, {_TOLD_STEP}, labels.fraud_reported_at,
  {beside if audited else ""}{features}
FROM attempts
LEFT JOIN (SELECT root, step FROM attempts WHERE is_root = 0) AS others ON others.root = attempts.event_id
LEFT JOIN labels ON labels.root = attempts.event_id{joins}
WHERE attempts.is_root = 1"""


def served_sql() -> str:
    """The rows of `point_in_time_sql`, with the vector itself where a decision of this schema recorded it: nothing is
    closer to what was served. Computed are only those that no decision holds, or one of another schema."""
    features = ",\n  ".join(
        f"CASE WHEN served.event_id IS NULL THEN computed.{name} ELSE {_RECORDED.format(place=place)} END AS {name}"
        for place, name in enumerate(NAMES)
    )
    return f"""SELECT computed.event_id, computed.provider, computed.payment_id, computed.at_us, computed.step,
  computed.fraud_reported_at,
  {features}
FROM (
{point_in_time_sql()}
) AS computed
LEFT JOIN (
{_SERVED_SQL}
) AS served ON served.event_id = computed.event_id"""


def logged_sql() -> str:
    """The rows of `served_sql` that a decision of this schema recorded, and no others, with the `network` and the `country` of
    the payment, for people.

    Nothing is read but decisions of the payments that @sample names: each is published again with what became of its
    payment, the issuer's word where it was decided on before, and every word on fraud, of which the latest counts."""
    features = ",\n  ".join(f"{_RECORDED.format(place=place)} AS {name}" for place, name in enumerate(NAMES))
    return f"""SELECT event_id, provider, payment_id, UNIX_MICROS(occurred_at) AS at_us, step,
  UNIX_MICROS(fraud_reported_at) AS fraud_reported_at, network, country,
  {features}
FROM (
  SELECT event_id, provider, payment_id, occurred_at, fraud_reported_at, network, country, features,
    MAX(step) OVER (PARTITION BY event_id) AS step
  FROM fraud_decisions
  WHERE occurred_at >= @since AND occurred_at <= @as_of AND schema_version = '{SCHEMA_VERSION}' AND sample <= @sample
  QUALIFY ROW_NUMBER() OVER (PARTITION BY event_id ORDER BY COALESCE(claims_revision, 0) DESC, linked_event_id DESC) = 1
) AS served"""


def audited_sql(cap: int = CAP, seen_limit: int = SEEN_LIMIT) -> str:
    """The decisions on payments since @start that @sample names and that were made by @as_of, the first of each event:
    `event_id`, `decided_schema`, `fallback`, `linked_event_id`, `features` as recorded, `at_us` (null where no event says
    that there was such a payment), and a column for each feature as it is computed from the rows since @since.

    `at_once`: 1 where another payment of an entity was decided on while this one was, so that either may have been seen by
    the other. `on_its_way`: 1 where something else that is counted was heard less than `ON_ITS_WAY` before, and may have
    waited for its commit. `behind`: 1 where something of an entity was decided on or heard later by its own clock, and
    published earlier by Pub/Sub's, which is one for all: one of the two clocks is wrong.
    """
    names = ", ".join(f"computed.{name}" for name in NAMES)
    return f"""SELECT logged.event_id, logged.schema_version AS decided_schema, logged.fallback, logged.linked_event_id,
  logged.features, computed.at_us, computed.at_once, computed.on_its_way, computed.behind,
  {names}
FROM (
  SELECT event_id, schema_version, fallback, linked_event_id, features
  FROM fraud_decisions
  WHERE occurred_at >= @start AND occurred_at <= @as_of AND decided_at <= @as_of AND sample <= @sample
  QUALIFY ROW_NUMBER() OVER (PARTITION BY event_id ORDER BY decided_at, linked_event_id DESC) = 1
) AS logged
LEFT JOIN (
{point_in_time_sql(cap, seen_limit, audited=True)}
) AS computed ON computed.event_id = logged.event_id"""


ON_ITS_WAY = timedelta(minutes=10)
"""How long what was published may wait for its commit before its absence from a vector wants another explanation."""

# Of a payment that was assessed first: what the issuer then said of it.
_TOLD_STEP = "COALESCE(attempts.step, others.step) AS step"
_RECORDED = "served.features[OFFSET({place})].value"

# `sample` is what the table is clustered by, so that the filter leaves the blocks of all other payments unread.
_SERVED_SQL = f"""  SELECT event_id, features
  FROM fraud_decisions
  WHERE occurred_at >= @since AND occurred_at <= @as_of AND schema_version = '{SCHEMA_VERSION}' AND sample <= @sample
  QUALIFY ROW_NUMBER() OVER (PARTITION BY event_id ORDER BY decided_at) = 1"""


_AMOUNT = ("amount.minor", "amount.currency")


def _texts(values: Iterable[str]) -> str:
    return ", ".join(f"'{value}'" for value in values)


def _column(path: str) -> str:
    return f"member_{path.replace('.', '_')}"


def _flat(path: str) -> str:
    """What `known` calls the member of a record: read once, from the table itself, for not everything that speaks this SQL
    finds a record's member through further queries."""
    return path.replace(".", "__")


_FLATTENED = ", ".join(
    f"payment_events.{path} AS {_flat(path)}"
    for path in dict.fromkeys(
        path
        for path in (*(one for fields in ENTITY_FIELDS.values() for one in fields), *_MEMBERS, *NAMING, *_AMOUNT)
        if "." in path
    )
)


def _named(entity: Entity) -> str:
    """The entity's name in a row of what was `told`; null where it has none or keeps no history."""
    value = ", ".join(f"NULLIF({_flat(path)}, '')" for path in ENTITY_FIELDS[entity])
    value = f"COALESCE({value})" if len(ENTITY_FIELDS[entity]) > 1 else value
    return (
        f"CASE WHEN {value} IN ({_texts(FREE_MAIL)}) THEN NULL ELSE {value} END"
        if entity is Entity.EMAIL_DOMAIN
        else value
    )


_ATTEMPT_COLUMNS = ",\n    ".join(
    (
        *(f"{_named(entity)} AS {entity}" for entity in Entity),
        *(f"{_flat(path)} AS {_column(path)}" for path in _MEMBERS),
        f"{reference_minor_sql(*map(_flat, _AMOUNT))} AS amount_reference",
    )
)

_NAMED = "COALESCE(" + ", ".join(f"NULLIF({_flat(path)}, '')" for path in NAMING) + ") IS NOT NULL"

_PAIRS_SQL = [
    (f"{keeper}_{other}", keeper, f"{keeper} IS NOT NULL AND {other} IS NOT NULL", other) for keeper, other in PAIRS
]

# Whether a pair is met for the first time, and how many others its keeper had met before, of any kind.
_MET = ",\n    ".join(
    f"CASE WHEN {both} AND ROW_NUMBER() OVER (PARTITION BY {keeper}, {other} ORDER BY heard) = 1 THEN 1 ELSE 0 END AS met_{pair}"
    for pair, keeper, both, other in _PAIRS_SQL
)
_REMEMBERED = ",\n    ".join(
    f"COALESCE(SUM({' + '.join(f'met_{pair}' for pair, of, _, _ in _PAIRS_SQL if of is keeper)}) OVER "
    f"(PARTITION BY COALESCE({keeper}, event_id) ORDER BY heard ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0) "
    f"AS remembered_by_{keeper}"
    for keeper in dict.fromkeys(keeper for keeper, _ in PAIRS)
)


def _new_sql(seen_limit: int) -> str:
    """The counterpart of `Known.novelty`: unknown, where the keeper remembered too many already to remember this one."""
    return ",\n    ".join(
        f"CASE WHEN NOT ({both}) OR MIN(CASE WHEN met_{pair} = 1 THEN remembered_by_{keeper} END) OVER "
        f"(PARTITION BY {keeper}, {other}) >= {seen_limit} THEN NULL ELSE met_{pair} END AS new_{other}_of_{keeper}"
        for pair, keeper, both, other in _PAIRS_SQL
    )


def _stages_sql() -> str:
    return " ".join(f"WHEN '{stage}' THEN {rank}" for stage, rank in STAGES.items())


def _ruling_sql() -> str:
    """The counterpart of `claims._ruling`."""
    rulings = " ".join(f"WHEN '{status}' THEN {ruling}" for status, ruling in RULINGS.items())
    not_final = f"status = '{DisputeStatus.WON}' AND NOT COALESCE(final, TRUE)"
    return f"CASE WHEN {not_final} THEN {OPEN} ELSE CASE status {rulings} ELSE {OPEN} END END"


# The order in which things became known, to the last tie: when we decided on an event, or else heard it; of two at one
# instant, what was published first was committed first.
_HEARD = "CONCAT({}, event_id)".format(
    ", ".join(f"LPAD(CAST(UNIX_MICROS({at}) AS STRING), 17, '0')" for at in ("known_at", "published_at", "occurred_at"))
)


def _common_sql(seen_limit: int, *, audited: bool) -> str:
    """What was told, the attempts that were decided on, and the news of fraud on them."""
    published = "MIN(publish_time)"
    return f"{_names_sql(published)},\n{_attempts_sql(seen_limit, audited=audited)},\n{_claims_sql()}"


def _names_sql(published: str = "CAST(NULL AS TIMESTAMP)") -> str:
    """What was told, and which attempts are of one payment.

    A payment may be named by several ids (a charge and its intent). The event that its decision names, or, where there
    is no decision, the first that was heard, is decided on; whatever names one of its ids too is the same payment, also
    through one more id between. What was asked before authorisation is a payment of its own, unless a decision was
    published with the event that was linked to it (`ties`): then whichever of the two came second is the other.

    published: the time of a decision's first message, where the order of payments matters and is worth its bytes.
    """
    return f"""decided AS (
  SELECT event_id AS decided_on, MIN(decided_at) AS decided_at, {published} AS told_at
  FROM fraud_decisions
  WHERE occurred_at >= @since AND occurred_at <= @as_of
  GROUP BY event_id
),
linked AS (
  SELECT event_id AS assessment, linked_event_id AS event
  FROM fraud_decisions
  WHERE occurred_at >= @since AND occurred_at <= @as_of AND linked_event_id IS NOT NULL
  GROUP BY event_id, linked_event_id
),
ties AS (
  SELECT CASE WHEN own.decided_on IS NULL THEN assessment ELSE event END AS root,
    CASE WHEN own.decided_on IS NULL THEN event ELSE assessment END AS other
  FROM linked LEFT JOIN decided AS own ON own.decided_on = linked.event
),
known AS (
  SELECT payment_events.*, decided.decided_on, card IS NOT NULL AS has_card, {_FLATTENED},
    COALESCE(decided.decided_at, heard_at, publish_time, occurred_at) AS known_at,
    COALESCE(decided.told_at, publish_time, occurred_at) AS published_at, decided.told_at
  FROM payment_events LEFT JOIN decided ON decided.decided_on = payment_events.event_id
  WHERE occurred_at >= @since AND occurred_at <= @as_of AND kind IN ('payment', 'assessment', 'dispute', {_REPORTS})
),
told AS (
  SELECT *, UNIX_MICROS(occurred_at) AS at_us, {_HEARD} AS heard
  FROM known
  WHERE known_at <= @as_of
  QUALIFY ROW_NUMBER() OVER (PARTITION BY event_id ORDER BY known_at, published_at) = 1
),
candidates AS (
  SELECT event_id, provider, payment_id, aliases, at_us, heard, step,
    UNIX_MICROS(known_at) AS known_us, UNIX_MICROS(told_at) AS told_us,
    CASE WHEN decided_on IS NULL OR ties.other IS NOT NULL THEN 1 ELSE 0 END AS undecided,
    COALESCE(ties.root, CASE WHEN kind = 'assessment' THEN event_id END) AS settled,
    {_ATTEMPT_COLUMNS}
  FROM told
  LEFT JOIN ties ON ties.other = told.event_id
  WHERE kind = 'assessment' OR kind = 'payment' AND step IN ({_texts(ATTEMPT_STEPS)})
    AND (COALESCE(method, '') NOT IN ('', '{CARD_METHOD}')
      OR (has_card AND (step <> '{PaymentStep.CAPTURED}' OR {_NAMED})))
),
mentions AS (
  SELECT event_id, provider, heard, undecided, settled, id
  FROM candidates CROSS JOIN UNNEST(ARRAY_CONCAT([payment_id], COALESCE(aliases, ARRAY<STRING>[]))) AS id
),
owners AS (
  SELECT provider, id, event_id, heard, undecided FROM mentions
  QUALIFY ROW_NUMBER() OVER (PARTITION BY provider, id ORDER BY undecided, heard) = 1
),
parents AS (
  SELECT mentions.event_id AS event_id, COALESCE(mentions.settled, owners.event_id) AS parent
  FROM mentions JOIN owners ON owners.provider = mentions.provider AND owners.id = mentions.id
  QUALIFY ROW_NUMBER() OVER (PARTITION BY mentions.event_id ORDER BY owners.undecided, owners.heard) = 1
)"""


def _attempts_sql(seen_limit: int, *, audited: bool) -> str:
    """The attempts that were decided on, with whom they met for the first time; and beside a payment that both doors saw,
    what the other one added (is_root 0): whom it named that the first did not (adds_*), and what its issuer said."""
    named = ", ".join(f"COALESCE(candidates.{entity}, firsts.{entity}) AS {entity}" for entity in Entity)
    added = ", ".join(
        f"CASE WHEN candidates.{entity} IS NULL OR candidates.{entity} = firsts.{entity} THEN 0 ELSE 1 END AS adds_{entity}"
        for entity in Entity
    )
    return f"""both AS (
  SELECT candidates.*, event_id AS root, 1 AS is_root, {", ".join(f"1 AS adds_{entity}" for entity in Entity)}
  FROM candidates
  WHERE event_id IN (SELECT event_id FROM parents WHERE parent = event_id){" AND undecided = 0" if audited else ""}
  UNION ALL
  SELECT candidates.* REPLACE ({named}), ties.root, 0, {added}
  FROM candidates JOIN ties ON ties.other = candidates.event_id
  JOIN candidates AS firsts ON firsts.event_id = ties.root
),
met AS (
  SELECT both.*,
    {_MET}
  FROM both
),
counted AS (
  SELECT met.*,
    {_REMEMBERED}
  FROM met
),
attempts AS (
  SELECT counted.*,
    {_new_sql(seen_limit)},
    {_magnitude_sql("amount_reference")} AS magnitude
  FROM counted
)"""


def _claims_sql() -> str:
    """The news of fraud, the payments that it is of, and what it comes to."""
    return f"""news AS (
  SELECT event_id, provider, heard,
    CASE WHEN kind = 'dispute' THEN CONCAT('dispute:', dispute_id) ELSE CONCAT('report:', event_id) END AS claim,
    CASE WHEN kind IN ({_REPORTS}) THEN at_us END AS warned_at,
    CASE WHEN reason = '{DisputeReason.FRAUD}' THEN at_us END AS fraud_at,
    CASE WHEN reason NOT IN ('{DisputeReason.FRAUD}', '{UNTOLD_REASON}') THEN at_us END AS other_at,
    CASE WHEN stage IN ({_texts(CLAIMING_STAGES)}) OR status IN ({_texts(CLAIMING_STATUSES)})
      THEN at_us END AS claimed_at,
    CASE WHEN status IS NOT NULL
      THEN at_us * {WORD} + CASE stage {_stages_sql()} ELSE 0 END * 3 + {_ruling_sql()} END AS word,
    CASE WHEN {_ruling_sql()} = {DISPROVED} THEN at_us END AS disproved_at,
    ARRAY_CONCAT(CASE WHEN payment_id IS NULL THEN ARRAY<STRING>[] ELSE [payment_id] END,
      COALESCE(payment_aliases, ARRAY<STRING>[])) AS ids
  FROM told
  WHERE kind IN ('dispute', {_REPORTS})
),
links AS (
  SELECT named.provider, named.claim, roots.parent AS root, MIN(GREATEST(named.heard, owners.heard)) AS linked
  FROM (SELECT provider, claim, heard, id FROM news CROSS JOIN UNNEST(ids) AS id) AS named
  JOIN owners ON owners.provider = named.provider AND owners.id = named.id
  JOIN parents ON parents.event_id = owners.event_id
  JOIN parents AS roots ON roots.event_id = parents.parent
  GROUP BY named.provider, named.claim, roots.parent
),
claims AS (
  SELECT links.root, links.claim, GREATEST(news.heard, links.linked) AS heard, news.event_id, news.warned_at,
    MAX(fraud_at) OVER so_far AS fraud_at, MAX(other_at) OVER so_far AS other_at,
    MIN(claimed_at) OVER so_far AS claimed_at, MAX(word) OVER so_far AS word,
    MAX(disproved_at) OVER so_far AS disproved_at
  FROM links JOIN news ON news.provider = links.provider AND news.claim = links.claim
  WINDOW so_far AS (PARTITION BY links.root, links.claim ORDER BY GREATEST(news.heard, links.linked), news.event_id
    ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)
),
made AS (
  SELECT root, claim, heard, event_id, warned_at,
    CASE WHEN fraud_at IS NULL THEN NULL ELSE claimed_at END AS claimed_at,
    CASE WHEN fraud_at IS NULL OR claimed_at IS NULL THEN NULL ELSE disproved_at END AS disproved_at,
    CASE WHEN claimed_at IS NOT NULL AND fraud_at >= COALESCE(other_at, 0)
      AND MOD(MOD(COALESCE(word, 0), {WORD}), 3) <> {DISPROVED} THEN 1 ELSE 0 END AS stands
  FROM claims
),
moved AS (
  SELECT *, stands - COALESCE(LAG(stands) OVER (PARTITION BY root, claim ORDER BY heard, event_id), 0) AS more
  FROM made
),
summed AS (
  SELECT root, heard, event_id, SUM(more) OVER so_far AS standing, MAX(disproved_at) OVER so_far AS disproved_at,
    MAX(warned_at) OVER so_far AS warned_until, MIN(COALESCE(warned_at, claimed_at)) OVER so_far AS first_at
  FROM moved
  WINDOW so_far AS (PARTITION BY root ORDER BY heard, event_id ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)
),
verdicts AS (
  SELECT root, heard, event_id,
    CASE WHEN standing > 0 OR warned_until > COALESCE(disproved_at, -1) THEN first_at END AS known_at
  FROM summed
),
turns AS (
  SELECT root, heard, known_at, LAG(known_at) OVER (PARTITION BY root ORDER BY heard, event_id) AS before
  FROM verdicts
),
frauds AS (
  SELECT root, heard, known_at AS at_us, 1 AS number, 0 AS confirmed FROM turns WHERE known_at <> COALESCE(before, -1)
  UNION ALL
  SELECT root, heard, before, -1, 0 FROM turns WHERE before <> COALESCE(known_at, -1)
  UNION ALL
  SELECT root, heard, NULL, 0, CASE WHEN before IS NULL THEN 1 ELSE -1 END
  FROM turns WHERE (known_at IS NULL) <> (before IS NULL)
),
labels AS (
  SELECT root, known_at AS fraud_reported_at FROM verdicts
  QUALIFY ROW_NUMBER() OVER (PARTITION BY root ORDER BY heard DESC, event_id DESC) = 1
)"""


def _unsettled_sql() -> str:
    """Whose order rows cannot tell: a payment reads its history and commits at some moment between its decision and its
    first message, in a request that lives for less than `ON_ITS_WAY`; what has no decision, at some moment after it was heard."""
    late = ON_ITS_WAY // MICROSECOND
    known = "GREATEST(frauds.heard, attempts.heard)"
    heard_us, published_us = f"CAST(SUBSTR({known}, 1, 17) AS INT64)", "CAST(SUBSTR({}, 18, 17) AS INT64)"
    near = "\n  UNION ALL\n".join(
        f"""  SELECT event_id, '{entity}' AS entity, {entity} AS value, known_us, LEAST(COALESCE(told_us, known_us + {late}), known_us + {late}) AS until_us,
    CASE WHEN is_root = 1 THEN 0 ELSE 1 END AS is_news, {published_us.format("heard")} AS published_us
  FROM attempts WHERE {entity} IS NOT NULL
  UNION ALL
  SELECT frauds.root, '{entity}', attempts.{entity}, {heard_us}, {heard_us} + {late}, 1, {published_us.format("frauds.heard")}
  FROM frauds JOIN attempts ON attempts.root = frauds.root
  WHERE attempts.{entity} IS NOT NULL"""
        for entity in Entity
    )

    def met(news: int) -> str:
        return (
            f"CASE WHEN MAX(CASE WHEN is_news = {news} THEN until_us END) OVER earlier >= known_us "
            f"OR MIN(CASE WHEN is_news = {news} THEN known_us END) OVER later <= until_us THEN 1 ELSE 0 END"
        )

    return f"""near AS (
{near}
),
beside AS (
  SELECT event_id, is_news, {met(0)} AS at_once, {met(1)} AS on_its_way,
    CASE WHEN MAX(known_us) OVER published > known_us THEN 1 ELSE 0 END AS behind
  FROM near
  WINDOW earlier AS (PARTITION BY entity, value ORDER BY known_us, event_id, is_news
      ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING),
    later AS (PARTITION BY entity, value ORDER BY known_us, event_id, is_news
      ROWS BETWEEN 1 FOLLOWING AND UNBOUNDED FOLLOWING),
    published AS (PARTITION BY entity, value ORDER BY published_us, event_id, is_news
      ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)
),
unsettled AS (
  SELECT event_id, MAX(at_once) AS at_once, MAX(on_its_way) AS on_its_way, MAX(behind) AS behind
  FROM beside WHERE is_news = 0
  GROUP BY event_id
)"""


def _entity_sql(entity: Entity, cap: int) -> str:
    """The entity's rows, payments and news of fraud alike, and the sums before each payment.

    A row counts in a window from when it was known until the entity's newest payment leaves it behind, so a sum over a
    window is what was known before this row less what lies too far back from it. That holds for payments that are in
    the newest bucket; the few that came later than that are joined, one by one, with the buckets that they look at.
    """
    windows = tuple(dict.fromkeys(window for _, window in CELLS[entity] if window is not Window.EVER))
    grains = tuple(dict.fromkeys(BUCKETS[window][0] for window in windows))
    measures = tuple(dict.fromkeys(measure for measure, _ in CELLS[entity]))
    payment = ", ".join(f"{_adds_sql(entity, measure)} AS {measure}" for measure in measures)
    told = {Measure.FRAUDS: "frauds.number", Measure.CONFIRMED: "frauds.confirmed"}
    news = ", ".join(f"{told.get(measure, '0')} AS {measure}" for measure in measures)
    pairs = [f"new_{other}_of_{keeper}" for keeper, other in PAIRS if entity in (keeper, other)]
    says = " OR ".join(
        (f"adds_{entity} = 1", f"step = '{PaymentStep.DECLINED}'", *(f"COALESCE({pair}, 0) = 1" for pair in pairs))
    )
    columns = ", ".join(
        (
            "event_id",
            f"{entity} AS value",
            "at_us",
            "heard",
            "amount_reference",
            "step",
            f"adds_{entity} AS adds",
            "magnitude",
            *((f"{_large_sql(entity)} AS large",) if entity in LARGE_OF else ()),
            *pairs,
            f"{_kept_sql(entity, cap)} AS kept",
        )
    )
    buckets = ", ".join(
        f"DIV(at_us, {width}) AS {grain}, DIV(newest, {width}) AS newest_{grain}"
        for grain, width in GRAIN_MICROSECONDS.items()
    )
    sums = ",\n    ".join(_sum_sql(measure, window) for measure, window in CELLS[entity])
    left = "".join(
        f",\n    left_{window} AS (PARTITION BY value ORDER BY {BUCKETS[window][0]} "
        f"RANGE BETWEEN UNBOUNDED PRECEDING AND {BUCKETS[window][1]} PRECEDING)"
        for window in windows
    ) + "".join(
        f",\n    reached_{grain} AS (PARTITION BY value ORDER BY {grain} RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)"
        for grain in grains
    )
    late = "".join(_late_sql(entity, grain) for grain in grains)
    joined = "".join(
        f"\n  LEFT JOIN {entity}_late_{grain} ON {entity}_late_{grain}.event_id = running.event_id" for grain in grains
    )
    taken = ",\n    ".join(
        f"running.{measure}_{window}"
        if window is Window.EVER
        else f"CASE WHEN running.{grain} < running.newest_{grain} THEN COALESCE({entity}_late_{grain}.{measure}_{window}, 0) "
        f"ELSE running.{measure}_{window} END AS {measure}_{window}"
        for measure, window in CELLS[entity]
        for grain in [BUCKETS[window][0] if window is not Window.EVER else None]
    )
    return f""",
{entity}_payments AS (
  SELECT {columns}
  FROM attempts WHERE {entity} IS NOT NULL AND ({says})
  WINDOW before AS (PARTITION BY {entity} ORDER BY heard ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)
),
{entity}_rows AS (
  SELECT event_id, value, at_us, heard, 0 AS is_news, CASE WHEN kept = 1 THEN at_us END AS paid_at, {payment} FROM {entity}_payments
  UNION ALL
  SELECT frauds.root, attempts.{entity}, COALESCE(frauds.at_us, attempts.at_us), GREATEST(frauds.heard, attempts.heard), 1, NULL, {news}
  FROM frauds JOIN attempts ON attempts.root = frauds.root
  WHERE attempts.{entity} IS NOT NULL AND attempts.adds_{entity} = 1
),
{entity}_timed AS (
  SELECT *, {buckets}
  FROM (
    SELECT *, MAX(CASE WHEN is_news = 0 THEN at_us END) OVER (PARTITION BY value ORDER BY heard, is_news
      ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS newest
    FROM {entity}_rows
  ) AS aged
){late},
{entity}_running AS (
  SELECT event_id, is_news, {", ".join(f"{grain}, newest_{grain}" for grain in grains)},
    MIN(paid_at) OVER earlier AS first_at, MAX(paid_at) OVER earlier AS last_at,
    {sums}
  FROM {entity}_timed
  QUALIFY is_news = 0
  WINDOW earlier AS (PARTITION BY value ORDER BY heard, is_news ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING){left}
),
{entity}_history AS (
  SELECT running.event_id, running.first_at, running.last_at,
    {taken}
  FROM {entity}_running AS running{joined}
){"".join(_fraud_run_sql(run) for run in _RUNS if run.entity is entity)}"""


_NOTHING_PAID, _PAID, _FRAUD = range(3)


def _fraud_run_sql(feature: FraudRun) -> str:
    """The counterpart of `Known.fraud_run`: what each day of an entity was known to be, from when on, which changes seldom, beside
    each payment that came after. Entities without a known fraud are left out, as nearly all are."""
    entity, days = feature.entity, BUCKETS[feature.window][1]
    is_what = f"CASE WHEN confirmed > 0 THEN {_FRAUD} WHEN payments > 0 THEN {_PAID} ELSE {_NOTHING_PAID} END"
    free = f"CASE WHEN was = {_PAID} AND age >= {LABELED_AFTER} THEN age END"
    return f""",
{feature.name}_known AS (
  SELECT value, days, heard, is_news, {is_what} AS was
  FROM (
    SELECT value, days, heard, is_news, SUM(payments) OVER so_far AS payments, SUM(confirmed) OVER so_far AS confirmed
    FROM {entity}_timed
    WHERE value IN (SELECT value FROM {entity}_timed WHERE confirmed <> 0)
    WINDOW so_far AS (PARTITION BY value, days ORDER BY heard, is_news ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)
  ) AS summed
),
{feature.name}_turns AS (
  SELECT value, days, heard, is_news, was FROM {feature.name}_known
  QUALIFY was <> COALESCE(LAG(was) OVER (PARTITION BY value, days ORDER BY heard, is_news), {_NOTHING_PAID})
),
{feature.name}_seen AS (
  SELECT rows_of.event_id, rows_of.days - turns.days AS age, turns.was
  FROM {entity}_timed AS rows_of JOIN {feature.name}_turns AS turns
    ON turns.value = rows_of.value AND turns.heard < rows_of.heard
      AND turns.days > rows_of.days - {days} AND turns.days <= rows_of.days
      AND turns.days > rows_of.newest_days - {KEPT[entity][Grain.DAYS]}
  WHERE rows_of.is_news = 0
  QUALIFY ROW_NUMBER() OVER (PARTITION BY rows_of.event_id, turns.days ORDER BY turns.heard DESC, turns.is_news DESC) = 1
),
{feature.name}_history AS (
  SELECT event_id, MAX(age) AS age
  FROM (
    SELECT event_id, age, was, MIN({free}) OVER (PARTITION BY event_id) AS free FROM {feature.name}_seen
  ) AS parted
  WHERE was = {_FRAUD} AND age < COALESCE(free, {days})
  GROUP BY event_id
)"""


def _kept_sql(entity: Entity, cap: int) -> str:
    """1 where the document still took the payment: one that is so late that its five-minute count is gone, it takes."""
    if entity not in CAPPED:
        return "1"
    bucket = f"DIV(at_us, {GRAIN_MICROSECONDS[Grain.MINUTES]})"
    return (
        f"CASE WHEN COALESCE(SUM(adds_{entity}) OVER (PARTITION BY {entity}, {bucket} ORDER BY heard "
        f"ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0) < {cap} "
        f"OR MAX({bucket}) OVER (PARTITION BY {entity} ORDER BY heard ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) "
        f"- {bucket} >= {KEPT[entity][Grain.MINUTES]} THEN 1 ELSE 0 END"
    )


def _late_sql(entity: Entity, grain: Grain) -> str:
    """The sums for payments that are older than the newest bucket of their time, over what was known and still kept."""
    sums = ", ".join(
        f"SUM(CASE WHEN known.{grain} > late.{grain} - {BUCKETS[window][1]} THEN known.{measure} ELSE 0 END) AS {measure}_{window}"
        for measure, window in CELLS[entity]
        if window is not Window.EVER and BUCKETS[window][0] is grain
    )
    return f""",
{entity}_late_{grain} AS (
  SELECT late.event_id, {sums}
  FROM (
    SELECT event_id, value, heard, {grain}, bucket
    FROM {entity}_timed CROSS JOIN UNNEST(GENERATE_ARRAY(newest_{grain} - {KEPT[entity][grain] - 1}, {grain})) AS bucket
    WHERE is_news = 0 AND {grain} < newest_{grain}
  ) AS late
  JOIN {entity}_timed AS known
    ON known.value = late.value AND known.{grain} = late.bucket AND known.heard < late.heard
  GROUP BY late.event_id
)"""


def _adds_sql(entity: Entity, measure: Measure) -> str:
    """What a row of `<entity>_payments` adds; the counterpart of `Attempt.adds` and of pairs in `Known.changes`."""
    match measure:
        case Measure.PAYMENTS:
            return "kept * adds"
        case Measure.DECLINED:
            return f"CASE WHEN step = '{PaymentStep.DECLINED}' THEN kept ELSE 0 END"
        case Measure.SMALL:
            return f"CASE WHEN amount_reference < {SMALL_AMOUNT} THEN kept * adds ELSE 0 END"
        case Measure.AMOUNT:
            return "COALESCE(amount_reference, 0) * kept * adds"
        case Measure.AMOUNT_SQUARED:
            return "COALESCE(amount_reference * amount_reference, 0) * kept * adds"
        case Measure.MAGNITUDE:
            return "magnitude * kept * adds"
        case Measure.LARGE:
            return "large * kept * adds"
        case Measure.FRAUDS | Measure.CONFIRMED:
            return "0"
        case Measure.NEW_CARDS | Measure.NEW_CUSTOMERS | Measure.NEW_DEVICES | Measure.NEW_IPS:
            other = next(other for other, new in NEW.items() if new is measure)
            keeper, kept_by = (entity, other) if (entity, other) in PAIRS else (other, entity)
            return f"COALESCE(new_{kept_by}_of_{keeper}, 0) * kept"
        case _:
            assert_never(measure)


def _sum_sql(measure: Measure, window: Window) -> str:
    if window is Window.EVER:
        return f"SUM({measure}) OVER earlier AS {measure}_{window}"
    grain, count = BUCKETS[window]
    # What was too old for the window already when it came never counts; news may also be of a bucket yet to come.
    live = f"CASE WHEN newest_{grain} - {grain} < {count} THEN {measure} ELSE 0 END"
    gone = f"COALESCE(SUM({live}) OVER left_{window}, 0)"
    if measure not in (Measure.FRAUDS, Measure.CONFIRMED):
        return f"SUM({live}) OVER earlier - {gone} AS {measure}_{window}"
    here = f"CASE WHEN newest_{grain} - {grain} BETWEEN 0 AND {count - 1} THEN {measure} ELSE 0 END"
    ahead = f"CASE WHEN {grain} > newest_{grain} THEN {measure} ELSE 0 END"
    return f"SUM({here}) OVER earlier + COALESCE(SUM({ahead}) OVER reached_{grain}, 0) - {gone} AS {measure}_{window}"


def _magnitude_sql(amount: str) -> str:
    """The counterpart of `features.magnitude`; of no amount it is 0's."""
    steps = sorted({step: number for number, step in enumerate(MAGNITUDES, 1)}.items(), reverse=True)
    return f"CASE {' '.join(f'WHEN {amount} >= {step} THEN {number}' for step, number in steps)} ELSE 0 END"


def _large_sql(entity: Entity) -> str:
    """The counterpart of `Known.large`, over rows of one entity and what was `before` them."""
    return (
        f"CASE WHEN amount_reference IS NOT NULL AND SUM(adds_{entity}) OVER before >= {LARGE_FROM} "
        f"AND (magnitude - {LARGE_ABOVE}) * SUM(adds_{entity}) OVER before >= SUM(magnitude * adds_{entity}) OVER before "
        "THEN 1 ELSE 0 END"
    )


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
        case MaturedShare():
            history = f"{feature.entity}_history"
            labeled = (
                f"({history}.{Measure.PAYMENTS}_{feature.window} - {history}.{Measure.PAYMENTS}_{Window.WEEK} "
                f"+ {history}.{Measure.CONFIRMED}_{Window.WEEK})"
            )
            confirmed = f"{history}.{Measure.CONFIRMED}_{feature.window}"
            return f"CASE WHEN {labeled} > 0 THEN {confirmed} / {labeled} END"
        case FraudRun():
            return f"{feature.name}_history.age"
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
            return f"GREATEST(attempts.at_us - {feature.entity}_history.{feature.moment}_at, 0) / 1000000"
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
