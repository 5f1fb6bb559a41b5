"""Rows for training: point-in-time features with mature labels, few enough to fit in memory, in order of time."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shared.learning.labels import FRAUD_SQL, LABELED_SQL, with_labels

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Instants = NDArray[np.int64]

SAMPLES = 256
LOGGED_SQL = """SELECT COUNT(DISTINCT event_id) AS payments, MIN(occurred_at) AS first,
  COUNT(DISTINCT CASE WHEN fraud_reported_at IS NOT NULL THEN event_id END) AS frauds
FROM fraud_decisions
WHERE occurred_at >= @since AND occurred_at <= @until AND schema_version = @schema_version AND sample = '00'
  AND step IS NOT NULL"""
"""One of `SAMPLES` parts of what was decided and heard of: enough to know how much there is, for a part of its price."""

COUNT_SQL = """SELECT COUNT(DISTINCT CASE WHEN kind = 'payment' THEN payment_id END) AS payments,
  MIN(CASE WHEN kind = 'payment' THEN occurred_at END) AS first,
  COUNT(DISTINCT CASE WHEN kind <> 'payment' THEN COALESCE(dispute_id, event_id) END) AS frauds
FROM payment_events
WHERE kind IN ('payment', 'dispute', 'fraud_warning', 'fraud_found') AND occurred_at >= @since AND occurred_at <= @as_of"""
"""frauds: not more than so many."""


LOOKED_AT = 200
"""Times `max_rows` payments that are looked at, at most: where one in two hundred is fraud, there are as many of them."""


def labeled_sql(point_in_time: str) -> str:
    """`point_in_time`'s rows since @learned_from (µs) with what is known of them at @as_of (`with_labels`), of the payments that
    @sample names: all frauds, and of the others those whose hash is below @below."""
    return f"""SELECT * FROM (
{with_labels(point_in_time)}
) AS known
WHERE {LABELED_SQL} AND at_us >= @learned_from AND SUBSTR(TO_HEX(MD5(event_id)), 1, 2) <= @sample
  AND ({FRAUD_SQL} OR SUBSTR(TO_HEX(MD5(event_id)), 1, 8) < @below)
ORDER BY at_us, event_id"""  # noqa: S608 - compiled from our own declarations, values are parameters


def named_sql(point_in_time: str) -> str:
    """`point_in_time`'s rows with the `network` and the `country` of the card, for people."""
    return f"""SELECT told.*, cards.network, cards.country FROM (
{point_in_time}
) AS told
LEFT JOIN (
  SELECT event_id AS named, payment_events.card.network AS network,
    COALESCE(payment_events.card.country, billing_country) AS country
  FROM payment_events
  WHERE occurred_at >= @since AND occurred_at <= @as_of AND kind IN ('payment', 'assessment')
    AND SUBSTR(TO_HEX(MD5(event_id)), 1, 2) <= @sample
  QUALIFY ROW_NUMBER() OVER (PARTITION BY event_id ORDER BY occurred_at) = 1
) AS cards ON cards.named = told.event_id"""  # noqa: S608 - compiled from our own declarations, values are parameters


@dataclass(frozen=True, slots=True)
class Sampling:
    """sample: the greatest first two digits of a payment's hash that are looked at; below: the hash that genuine ones stay
    below. share: how many of the genuine payments looked at are kept. rows: some so many in all, frauds among them."""

    share: float
    sample: str
    below: str
    rows: int


def sampling(payments: int, frauds: int, max_rows: int) -> Sampling:
    """What to keep of `payments`, of which `frauds` are fraud: some `max_rows` genuine ones, and all frauds among as many
    as are looked at, which are `LOOKED_AT` times `max_rows`, or fewer where those would hold more than `max_rows` frauds
    (in whole parts of `SAMPLES`, at least one)."""
    looked_at = min(_parts(LOOKED_AT * max_rows, payments), _parts(max_rows, frauds))
    sample = f"{looked_at - 1:02x}"
    if payments * looked_at <= max_rows * SAMPLES:
        return Sampling(1.0, sample, "g", payments * looked_at // SAMPLES)  # above every hexadecimal digit
    below = max(int(max_rows / payments * 2**32), 1)
    rows = max_rows + frauds * looked_at // SAMPLES
    return Sampling(below / 2**32 / (looked_at / SAMPLES), sample, f"{below:08x}", rows)


def _parts(wanted: int, there: int) -> int:
    """How many of `SAMPLES` parts hold `wanted` of what is `there`."""
    return min(-(-SAMPLES * wanted // there), SAMPLES) if there else SAMPLES


def chance_of(event_id: str) -> float:
    """A number between 0 and 1, always the same of one event, and independent of whether it is sampled and kept."""
    return int(hashlib.md5(event_id.encode(), usedforsecurity=False).hexdigest()[8:16], 16) / 2**32


@dataclass(frozen=True, slots=True)
class Table:
    """values: rows x columns, NaN where missing, in order of time. weight: how many payments a row stands for."""

    columns: tuple[str, ...]
    values: Floats
    fraud: Flags
    at: Instants
    weight: Floats

    def __len__(self) -> int:
        return len(self.at)

    def part(self, rows: Flags) -> "Table":
        return Table(self.columns, self.values[rows], self.fraud[rows], self.at[rows], self.weight[rows])

    @property
    def frauds(self) -> int:
        return int(self.fraud.sum())


def table(rows: Sequence[Mapping[str, Any]], columns: Sequence[str], share: float) -> Table:
    """`rows` of the labeled query as arrays; genuine ones stand for 1/share payments each."""
    values = np.empty((len(rows), len(columns)))
    for place, row in enumerate(rows):  # one at a time: a list of them all would be as large again
        values[place] = [np.nan if row[name] is None else row[name] for name in columns]
    fraud = np.array([row["fraud_known_at"] is not None for row in rows], dtype=np.bool_)
    at = np.array([row["at_us"] for row in rows], dtype=np.int64)
    return Table(tuple(columns), values, fraud, at, np.where(fraud, 1.0, 1.0 / share))
