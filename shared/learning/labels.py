"""What a payment turned out to be, as of an instant.

Fraud is what an issuer reported or a cardholder claimed as such, and nobody disproved (`shared.fraud.claims`), and what a
reviewer found to be; first-party fraud too, which is lost as well. No news becomes good news only with age
(`shared.learning.maturity`): leaving the unknown ones in as genuine would teach the model that recent fraud is fine. Payments
that their issuers declined have a label only where a reviewer gave one.
"""

from shared.domain.events import PaymentStep
from shared.domain.labels import FRAUD_CLASSES, LabelClass, LabelSource

CLAIMED = "claimed"
"""The source of what is known of the payment's decision alone: of before there were labels."""

LABELED_SQL = f"""(step IS NOT NULL AND step <> '{PaymentStep.DECLINED}'
  OR label_source = '{LabelSource.MANUAL_REVIEW}' AND label IS NOT NULL)"""
"""Condition on a row of `with_labels`: what became of its payment is known, or will be."""

FRAUD_SQL = "fraud_known_at IS NOT NULL"

_FRAUD = str(tuple(map(str, FRAUD_CLASSES)))
_BY_A_PERSON = f"source = '{LabelSource.MANUAL_REVIEW}'"

# A word of a review bears the id of the decision that asked for it: whatever its payment was called then.
_SAID = f"""SELECT said.*, {_BY_A_PERSON} AS by_a_person, label IN {_FRAUD} AS is_fraud,
    UNIX_MICROS(known_at) AS known_us
  FROM (
    SELECT label_id, provider, payment_id, label, source, known_at
    FROM fraud_labels
    WHERE known_at >= @since AND known_at <= @as_of
    QUALIFY ROW_NUMBER() OVER (PARTITION BY label_id ORDER BY revision DESC) = 1
  ) AS said"""  # noqa: S608 - constants of ours

_NAMED = """SELECT DISTINCT event_id, provider, name
  FROM fraud_decisions CROSS JOIN UNNEST(ARRAY_CONCAT([payment_id], claimed_as)) AS name
  WHERE occurred_at >= @since AND occurred_at <= @until AND sample <= @sample"""

_MEANT = f"""SELECT named.event_id, label, source, known_us, is_fraud,
    MIN(CASE WHEN is_fraud THEN known_us END) OVER (PARTITION BY named.event_id) AS first_us,
    FIRST_VALUE(source) OVER (
      PARTITION BY named.event_id ORDER BY CASE WHEN is_fraud THEN 0 ELSE 1 END, known_us, label_id
    ) AS first_source,
    MAX(CASE WHEN by_a_person THEN 0 ELSE 1 END) OVER (PARTITION BY named.event_id) AS is_told
  FROM (
{_NAMED}
  ) AS named
  JOIN (
{_SAID}
  ) AS said ON said.provider = named.provider AND said.payment_id = named.name
  QUALIFY ROW_NUMBER() OVER (PARTITION BY named.event_id ORDER BY known_us DESC, label_id DESC) = 1"""  # noqa: S608 - constants of ours

# Of before there were labels: what the decision says is claimed, unless a person spoke later.
_OWN = """(fraud_reported_at <= UNIX_MICROS(@as_of) AND COALESCE(is_told, 0) = 0
      AND fraud_reported_at > COALESCE(known_us, 0))"""


def with_labels(decided: str) -> str:
    """The rows of `decided` (a query with `event_id` and `fraud_reported_at`, what the decision itself says, in µs) with what
    is known of each at @as_of: `label` (null: nothing), `label_source`; and where that is fraud, `fraud_known_at` (µs) and
    `fraud_source`: since when, and by whom first.

    A label is the latest word until then, in the order in which they were heard; of its copies the one with the greatest
    `revision` counts, which differs from others only by what was heard before it. Of decisions of the payments between @since
    and @until that @sample names the names are read, by which labels are found.
    """
    return f"""SELECT judged.* EXCEPT (is_own, own_label, own_source, first_us, first_source, is_fraud),
  CASE WHEN is_own THEN '{LabelClass.THIRD_PARTY_FRAUD}' ELSE own_label END AS label,
  CASE WHEN is_own THEN '{CLAIMED}' ELSE own_source END AS label_source,
  CASE WHEN is_own THEN COALESCE(first_us, fraud_reported_at) WHEN is_fraud THEN first_us END AS fraud_known_at,
  CASE WHEN is_own AND first_us IS NULL THEN '{CLAIMED}' WHEN is_own OR is_fraud THEN first_source END AS fraud_source
FROM (
  SELECT decided.*, meant.label AS own_label, meant.source AS own_source, first_us, first_source, is_fraud,
    {_OWN} AS is_own
  FROM (
{decided}
  ) AS decided
  LEFT JOIN (
{_MEANT}
  ) AS meant ON meant.event_id = decided.event_id
) AS judged"""  # noqa: S608 - constants of ours, values are parameters
