"""How often payments are disputed: by the month of the payment, and by the month of the dispute.

| rate | disputes | of payments | says |
|---|---|---|---|
| `rate_by_payment` | all until now of payments of the month, whenever they were filed | of the month | how good the month's payments were; it grows for months |
| `rate_by_dispute` | filed in the month, whenever they were paid | of the month | what the networks look at; it is final with the month |

They differ when the business grows or shrinks: disputes come weeks after their payments, so that of a month that sold twice as
much as the one before the second rate is half of what the first will be. A rule that stops fraud today moves the first at once and the second
only over the months that follow.

`maturing`: cardholders may still dispute payments of the month, so that the first rate is too low yet. `undated`: of the disputes filed in the month
those whose payment is not known, which are in no month's first rate.

A dispute counts when it takes money, from its first such word on; what settled before (an alert, an inquiry) counts in neither. A payment is of the month in
which its first capture was told. Test data counts nowhere. Networks by the name of their list; '' where none is told.
"""

from datetime import datetime, timedelta

from shared.disputes.programmes import BEFORE
from shared.disputes.reason_codes import list_of_sql

MATURE = timedelta(days=120)
"""After the month: how long networks mostly give a cardholder who was charged (Visa's and Mastercard's rules on fraud)."""

RATES_SQL = f"""SELECT month, provider, account, network,
  SUM(paid) AS payments, SUM(of_payments) AS disputes_of_payments, SUM(filed) AS disputes_filed,
  SUM(of_payments) / NULLIF(SUM(paid), 0) AS rate_by_payment,
  SUM(filed) / NULLIF(SUM(paid), 0) AS rate_by_dispute,
  TIMESTAMP_ADD(TIMESTAMP_TRUNC(TIMESTAMP_ADD(month, INTERVAL 32 DAY), MONTH), INTERVAL {MATURE.days} DAY) > @until AS maturing,
  SUM(undated) AS undated
FROM (
  SELECT TIMESTAMP_TRUNC(paid_at, MONTH) AS month, payments.provider, account, network,
    COUNT(*) AS paid, SUM(COALESCE(disputes, 0)) AS of_payments, 0 AS filed, 0 AS undated
  FROM (
    SELECT provider, payment_id, MIN(account) AS account, {list_of_sql("MAX(card.network)")} AS network, MIN(occurred_at) AS paid_at
    FROM payment_events
    WHERE occurred_at >= @since AND occurred_at < @until AND kind = 'payment' AND step = 'captured'
      AND (COALESCE(livemode, TRUE) OR @test_data)
    GROUP BY provider, payment_id
  ) AS payments
  LEFT JOIN (
    SELECT provider, payment_id, COUNT(DISTINCT dispute_id) AS disputes
    FROM (
      SELECT provider, dispute_id, payment_id, same_as, ROW_NUMBER() OVER (
          PARTITION BY provider, dispute_id ORDER BY revision DESC, occurred_at DESC, update_id
        ) AS place,
        MAX(CASE WHEN stage <> 'inquiry' THEN 1 ELSE 0 END) OVER (PARTITION BY provider, dispute_id) AS takes
      FROM dispute_updates
      WHERE occurred_at >= @since AND occurred_at < @until AND (COALESCE(livemode, TRUE) OR @test_data)
    ) AS told
    WHERE place = 1 AND same_as IS NULL AND takes = 1 AND payment_id IS NOT NULL
    GROUP BY provider, payment_id
  ) AS disputed ON disputed.provider = payments.provider AND disputed.payment_id = payments.payment_id
  GROUP BY TIMESTAMP_TRUNC(paid_at, MONTH), payments.provider, account, network
  UNION ALL
  SELECT TIMESTAMP_TRUNC(filed_at, MONTH) AS month, provider, account, {list_of_sql("network")} AS network,
    0 AS paid, 0 AS of_payments, COUNT(*) AS filed, SUM(CASE WHEN payment_known THEN 0 ELSE 1 END) AS undated
  FROM (
    SELECT provider, account, network, same_as, payment_known,
      MIN(CASE WHEN stage <> 'inquiry' THEN occurred_at END) OVER (PARTITION BY provider, dispute_id) AS filed_at,
      ROW_NUMBER() OVER (
        PARTITION BY provider, dispute_id ORDER BY revision DESC, occurred_at DESC, update_id
      ) AS place
    FROM dispute_updates
    WHERE occurred_at >= @told_since AND occurred_at < @until AND (COALESCE(livemode, TRUE) OR @test_data)
  ) AS told
  WHERE place = 1 AND same_as IS NULL AND filed_at >= @since
  GROUP BY TIMESTAMP_TRUNC(filed_at, MONTH), provider, account, {list_of_sql("network")}
) AS counted
GROUP BY month, provider, account, network
ORDER BY month, provider, account, network"""  # noqa: S608 - constants of ours


def asked_from(since: datetime, until: datetime, *, test_data: bool = False) -> dict[str, datetime | bool]:
    """The parameters of `RATES_SQL`: the months from `since`, the first instant of one, as they stood at `until`. test_data: of
    test data too, for where there is no other."""
    return {"told_since": since - BEFORE, "since": since, "until": until, "test_data": test_data}
