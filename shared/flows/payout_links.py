"""Whether what payouts pay are payments of ours, and whether our payments are paid: two questions of the warehouse, once a week.

A day's payouts have as many lines as there are payments, and a read of each would cost more than the rest of this together; so lines
travel in rows of thousands, and are joined with events there, all of them, exactly. Weekly, for the join reads two weeks of
events: payments are paid out within days, and a week's payouts are looked at together.

A line is found by any name that an event gives a payment: its id, an alias, or that of the capture or refund. Lines of one name in
one payout are one, and their sum has to be an amount that was told, in the currency in which the customer paid.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from shared.domain.codec import from_document
from shared.domain.payouts import LISTED, Unlinked, name_of
from shared.flows.ports import Warehouse

PAID_SINCE = timedelta(days=8)
"""Payouts that a run looks at: a day more than lies between two."""

HAPPENED_SINCE = timedelta(days=16)
SETTLED_WITHIN = timedelta(days=9)
"""When a capture is to be in a payout: the longest cycle of those we read is seven working days."""

# Of a payout the newest reading that came to its end: its part 0 is told last. Copies of a part are alike.
_LINES = """SELECT told.provider, told.account, told.payout_id, told.kind, line.reference, told.charged_in AS currency,
    SUM(line.minor) AS minor, COUNT(*) AS lines
  FROM (
    SELECT provider, account, payout_id, read_at, kind, charged_in, lines FROM payouts
    WHERE paid_at >= @paid_since AND paid_at < @until AND part > 0
    QUALIFY ROW_NUMBER() OVER (PARTITION BY row_id, read_at ORDER BY message_id) = 1
  ) AS told
  JOIN (
    SELECT provider, account, payout_id, MAX(read_at) AS read_at FROM payouts
    WHERE paid_at >= @paid_since AND paid_at < @until AND part = 0
    GROUP BY provider, account, payout_id
  ) AS whole ON whole.provider = told.provider AND whole.account = told.account
    AND whole.payout_id = told.payout_id AND whole.read_at = told.read_at
  CROSS JOIN UNNEST(told.lines) AS line
  GROUP BY told.provider, told.account, told.payout_id, told.kind, line.reference, told.charged_in"""

_NAMES = "ARRAY_CONCAT([payment_id, COALESCE(reference, payment_id)], COALESCE(aliases, ARRAY<STRING>[]))"

LINKS_SQL = f"""SELECT provider, account, payout_id, kind, why, currency, SUM(minor) AS minor, SUM(lines) AS lines,
  MIN(reference) AS example
FROM (
  SELECT told.provider, told.account, told.payout_id, told.kind, told.currency, told.reference, told.minor, told.lines,
    CASE
      WHEN COUNT(known.name) = 0 THEN 'unknown'
      WHEN SUM(CASE WHEN known.minor = ABS(told.minor) AND known.currency = told.currency THEN 1 ELSE 0 END) = 0
        THEN 'other_amount'
      ELSE 'linked'
    END AS why
  FROM ({_LINES}) AS told
  LEFT JOIN (
    SELECT DISTINCT provider, kind, name, minor, currency FROM (
      SELECT provider, CASE step WHEN 'captured' THEN 'capture' ELSE 'refund' END AS kind,
        amount.minor AS minor, amount.currency AS currency, {_NAMES} AS names
      FROM payment_events
      WHERE occurred_at >= @happened_since AND occurred_at < @until AND livemode = @livemode
        AND step IN ('captured', 'refunded')
    ) AS happened CROSS JOIN UNNEST(names) AS name
  ) AS known ON known.provider = told.provider AND known.kind = told.kind AND known.name = told.reference
  GROUP BY told.provider, told.account, told.payout_id, told.kind, told.currency, told.reference, told.minor, told.lines
) AS compared
GROUP BY provider, account, payout_id, kind, why, currency
ORDER BY provider, account, payout_id, kind, why, currency"""  # noqa: S608 - constants of ours

# Of providers whose lines have names: where none has, nothing can be missed.
UNPAID_SQL = f"""SELECT provider, account, currency, COUNT(*) AS payments, SUM(minor) AS minor, MIN(at) AS oldest,
  MIN(payment_id) AS example
FROM (
  SELECT captured.provider, captured.account, captured.payment_id, captured.currency, MAX(captured.minor) AS minor,
    MIN(captured.at) AS at, COUNT(paid.reference) AS paid
  FROM (
    SELECT provider, account, payment_id, amount.minor AS minor, amount.currency AS currency, occurred_at AS at,
      {_NAMES} AS names
    FROM payment_events
    WHERE occurred_at >= @happened_since AND occurred_at < @settled AND livemode = @livemode AND step = 'captured'
  ) AS captured
  CROSS JOIN UNNEST(captured.names) AS name
  LEFT JOIN (SELECT DISTINCT provider, reference FROM ({_LINES}) AS lines WHERE kind = 'capture') AS paid
    ON paid.provider = captured.provider AND paid.reference = name
  GROUP BY captured.provider, captured.account, captured.payment_id, captured.currency
) AS found
WHERE paid = 0 AND provider IN (SELECT provider FROM ({_LINES}) AS named WHERE kind = 'capture')
GROUP BY provider, account, currency
ORDER BY provider, account, currency"""  # noqa: S608 - constants of ours


@dataclass(frozen=True, slots=True, kw_only=True)
class Unpaid:
    """Captures of a week that no payout has paid although they are older than `SETTLED_WITHIN`. minor: what they came to.
    example: one of their payments."""

    provider: str
    account: str
    currency: str
    payments: int
    minor: int
    oldest: datetime
    example: str


def linked(warehouse: Warehouse, now: datetime, *, livemode: bool) -> Mapping[str, tuple[Unlinked, ...]]:
    """By a payout's name, of those of the last week whose lines have names: what of them was not found; nothing where all was."""
    asked = {"paid_since": now - PAID_SINCE, "happened_since": now - HAPPENED_SINCE, "until": now, "livemode": livemode}
    found: dict[str, list[Unlinked]] = {}
    for row in warehouse.query(LINKS_SQL, asked):
        of = found.setdefault(name_of(row["provider"], row["account"], row["payout_id"]), [])
        if row["why"] != "linked":
            of.append(from_document(row, Unlinked))
    return {name: tuple(rows[:LISTED]) for name, rows in found.items()}


def unpaid(warehouse: Warehouse, now: datetime, *, livemode: bool) -> tuple[Unpaid, ...]:
    """What was captured in the week that ended `SETTLED_WITHIN` ago, and is in no payout since."""
    asked: dict[str, Any] = {
        "happened_since": now - HAPPENED_SINCE,
        "settled": now - SETTLED_WITHIN,
        "paid_since": now - HAPPENED_SINCE,
        "until": now,
        "livemode": livemode,
    }
    return tuple(from_document(row, Unpaid) for row in warehouse.query(UNPAID_SQL, asked))
