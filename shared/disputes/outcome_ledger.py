"""What became of disputes, and of their money: by month, provider, account, reason, who answered, and currency.

A dispute stands once, by its newest row until then, in the month (UTC) since when its present state holds; so the ledger of a month that
is over changes only where something late was told of it, or an outcome was turned over. Test data is left out.

| column | disputes of which |
|---|---|
| `won`, `partial` | the provider ruled for us, and all, or less than all, of what was taken came back |
| `lost`, `accepted`, `expired` | it ruled against us, we accepted, nobody answered in time |
| `reversed` | one of these three, after it was won once |
| `closed`, `prevented` | they ended without a ruling, or were settled before a chargeback |
| `open` | the outcome is not known; `provisional`: of the others, those that the provider may still turn over |

`answered`: `platform` sent the answer, or `people` gave one elsewhere, or the `provider` answered in our name, or `nobody` did.

Money is in minor units of the row's currency, and a dispute that was settled in another currency than it was filed in has its money in the rows of both:

| column | of | in |
|---|---|---|
| `disputed` | what was asked for | the dispute's currency |
| `withdrawn`, `returned` | the most that was gone at once, and what of it came back | the currency that the provider settles in |
| `fees` | what the provider charged for disputes, less what it gave back | that of the fee |
| `recovered` | what is ours again of disputes that are not open: what came back; where the provider tells of no money that moves, what was asked for in those that were won | the one that the money is in |
| `net_recovered` | `recovered` less `fees` | |

A fee that is not told is not there, nor guessed: `fees_told` says of how many disputes one is. `partial` is not told of money
that came back in another currency than was asked for: a rate may have changed in between.
"""

from datetime import datetime

from shared.disputes.programmes import BEFORE

# What the ledger and the mart of disputes (`shared.marts.disputes`) say alike.
OUTCOME = """CASE
        WHEN status IS NULL OR status IN ('needs_response', 'under_review') THEN 'open'
        WHEN status IN ('prevented', 'closed') THEN status
        WHEN status = 'won' AND withdrawn.currency = amount.currency
          AND moved.minor < 0 AND moved.minor + withdrawn.minor > 0 THEN 'partial'
        WHEN status = 'won' THEN 'won'
        WHEN won_before THEN 'reversed'
        ELSE status
      END"""
ANSWERS = """MAX(CASE WHEN answer_state = 'taken' THEN 1 ELSE 0 END) OVER (PARTITION BY provider, dispute_id) AS sent,
        MAX(CASE WHEN answer_state = 'elsewhere' THEN 1 ELSE 0 END) OVER (PARTITION BY provider, dispute_id) AS elsewhere,
        MAX(CASE WHEN answered_by = 'provider' THEN 1 ELSE 0 END) OVER (PARTITION BY provider, dispute_id) AS for_us"""
ANSWERED = """CASE
        WHEN sent = 1 THEN 'platform' WHEN elsewhere = 1 THEN 'people' WHEN for_us = 1 THEN 'provider' ELSE 'nobody'
      END"""
PLACE = """ROW_NUMBER() OVER (
          PARTITION BY provider, dispute_id ORDER BY revision DESC, occurred_at DESC, update_id
        )"""
"""1 is the newest row of a dispute."""

LEDGER_SQL = f"""SELECT month, provider, account, reason, answered, currency,
  SUM(CASE WHEN leg = 1 THEN 1 ELSE 0 END) AS disputes,
  SUM(CASE WHEN leg = 1 AND outcome = 'open' THEN 1 ELSE 0 END) AS open,
  SUM(CASE WHEN leg = 1 AND outcome = 'won' THEN 1 ELSE 0 END) AS won,
  SUM(CASE WHEN leg = 1 AND outcome = 'partial' THEN 1 ELSE 0 END) AS partial,
  SUM(CASE WHEN leg = 1 AND outcome = 'lost' THEN 1 ELSE 0 END) AS lost,
  SUM(CASE WHEN leg = 1 AND outcome = 'accepted' THEN 1 ELSE 0 END) AS accepted,
  SUM(CASE WHEN leg = 1 AND outcome = 'expired' THEN 1 ELSE 0 END) AS expired,
  SUM(CASE WHEN leg = 1 AND outcome = 'reversed' THEN 1 ELSE 0 END) AS reversed,
  SUM(CASE WHEN leg = 1 AND outcome = 'closed' THEN 1 ELSE 0 END) AS closed,
  SUM(CASE WHEN leg = 1 AND outcome = 'prevented' THEN 1 ELSE 0 END) AS prevented,
  SUM(CASE WHEN leg = 1 AND outcome <> 'open' AND NOT final THEN 1 ELSE 0 END) AS provisional,
  SUM(CASE WHEN leg = 1 THEN asked END) AS disputed,
  SUM(CASE WHEN leg = 2 THEN taken END) AS withdrawn,
  SUM(CASE WHEN leg = 2 THEN came_back END) AS returned,
  SUM(recovered) AS recovered,
  SUM(CASE WHEN leg = 3 THEN charged END) AS fees,
  SUM(CASE WHEN leg = 3 THEN 1 ELSE 0 END) AS fees_told,
  SUM(recovered) - SUM(CASE WHEN leg = 3 THEN charged ELSE 0 END) AS net_recovered
FROM (
  SELECT month, provider, account, reason, answered, outcome, final, leg, asked, taken, came_back, charged,
    CASE leg WHEN 1 THEN asked_in WHEN 2 THEN taken_in ELSE charged_in END AS currency,
    CASE
      WHEN leg = 1 AND taken IS NULL AND outcome = 'won' THEN COALESCE(asked, 0)
      WHEN leg = 2 AND outcome <> 'open' THEN came_back
      ELSE 0
    END AS recovered
  FROM (
    SELECT TIMESTAMP_TRUNC(COALESCE(status_since, occurred_at), MONTH) AS month, provider, account, reason, final,
      {ANSWERED} AS answered,
      {OUTCOME} AS outcome,
      amount.minor AS asked, amount.currency AS asked_in,
      withdrawn.minor AS taken, withdrawn.currency AS taken_in, moved.minor + withdrawn.minor AS came_back,
      fees.minor AS charged, fees.currency AS charged_in
    FROM (
      SELECT provider, account, reason, status, status_since, occurred_at, final, same_as, alert, won_before,
        amount, moved, withdrawn, fees,
        {ANSWERS},
        {PLACE} AS place
      FROM dispute_updates
      WHERE occurred_at >= @told_since AND occurred_at < @until AND (COALESCE(livemode, TRUE) OR @test_data)
    ) AS told
    WHERE place = 1 AND same_as IS NULL AND alert IS NULL AND COALESCE(status_since, occurred_at) >= @since
  ) AS decided
  CROSS JOIN (SELECT 1 AS leg UNION ALL SELECT 2 UNION ALL SELECT 3) AS legs
  WHERE leg = 1 OR (leg = 2 AND taken IS NOT NULL) OR (leg = 3 AND charged IS NOT NULL)
) AS legs_of
GROUP BY month, provider, account, reason, answered, currency
ORDER BY month, provider, account, reason, answered, currency"""  # noqa: S608 - constants of ours


def asked_for(since: datetime, until: datetime, *, test_data: bool = False) -> dict[str, datetime | bool]:
    """The parameters of `LEDGER_SQL`: disputes whose state holds since `since` or later, as they stood at `until`. test_data: of
    test data too, for where there is no other."""
    return {"told_since": since - BEFORE, "since": since, "until": until, "test_data": test_data}
