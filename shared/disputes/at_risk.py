"""Which open disputes will miss their deadline, if answers go on being given as quickly as they are.

Two queues, each in order of deadlines: `people` have to answer what is parked; the `platform` answers the rest. A queue's pace is how many
answers it gave: people's over seven days, for they do not work every day, and the platform's over one. Answers are given one after
the other at that pace, each to the case that is due first and whose deadline has not passed; at risk are those that get none.

A case that is missed takes no answer from the next. So with `turns` answers given by the deadline of the case at `place`, as many are
missed up to there as the greatest lack until then, `place` less `turns`; and a case is one of them where that grows.

A pace is a count, and of few answers not well known: somebody is called (`calls`) where some of a queue are missed at the quickest pace
too of which so few answers would come in one of twenty such spans (the upper limit of a Poisson count, by Wilson and Hilferty
1931). So two cases that are due in five days call nobody although nobody answered for a week, and their reminders come all the same; forty do.

What comes from now on is not in it: a case that is due sooner takes the place of a later one.
"""

from datetime import datetime, timedelta

PEOPLE, PLATFORM = "people", "platform"
DAYS = {PEOPLE: 7, PLATFORM: 1}
MOST = 1000
"""Cases that are named, those due first."""

OPEN_SINCE = timedelta(days=120)
"""How long ago the last word of an open dispute may be: nobody gives longer to answer."""

_AT_MOST = "(answers + 1) * POW(1 - 1 / (9 * (answers + 1)) + 1.6449 / (3 * SQRT(answers + 1)), 3)"

# What the people decide and the platform sends is people's work.
_BY_PEOPLE = "(answer_state = 'elsewhere' OR STRPOS(COALESCE(answer_by, ''), '@') > 0)"

AT_RISK_SQL = f"""SELECT provider, account, dispute_id, payment_id, stage, amount, respond_by, deadline_estimated, queue, place,
  answers, days, reached_at, COUNT(*) OVER (PARTITION BY queue) AS cases, calls,
  CONCAT(CAST(place AS STRING), ' of this queue are due by then, and ', queue, ' answered ', CAST(answers AS STRING),
    CASE days WHEN 1 THEN ' in a day' ELSE CONCAT(' in ', CAST(days AS STRING), ' days') END,
    CASE WHEN deadline_estimated THEN '; the deadline is our estimate' ELSE '' END) AS why
FROM (
  SELECT provider, account, dispute_id, payment_id, stage, amount, respond_by, deadline_estimated, queue, place, answers, days,
    behind < COALESCE(LAG(behind) OVER (PARTITION BY queue ORDER BY place), 0) AS missed,
    MIN(behind_at_most) OVER (PARTITION BY queue) < 0 AS calls,
    CASE WHEN answers > 0 THEN TIMESTAMP_ADD(@until, INTERVAL CAST(CEIL(
      (place + COALESCE(LAG(behind) OVER (PARTITION BY queue ORDER BY place), 0)) * days * 86400 / answers
    ) AS INT64) SECOND) END AS reached_at
  FROM (
    SELECT provider, account, dispute_id, payment_id, stage, amount, respond_by, deadline_estimated, queue, place, answers, days,
      LEAST(0, MIN(CAST(FLOOR(answers * seconds / (days * 86400)) AS INT64) - place)
        OVER (PARTITION BY queue ORDER BY place)) AS behind,
      LEAST(0, MIN(CAST(FLOOR({_AT_MOST} * seconds / (days * 86400)) AS INT64) - place)
        OVER (PARTITION BY queue ORDER BY place)) AS behind_at_most
    FROM (
      SELECT provider, account, dispute_id, payment_id, stage, amount, respond_by, deadline_estimated, queue,
        TIMESTAMP_DIFF(respond_by, @until, SECOND) AS seconds,
        ROW_NUMBER() OVER (PARTITION BY queue ORDER BY respond_by, provider, dispute_id) AS place,
        CASE queue WHEN '{PEOPLE}' THEN by_people ELSE by_platform END AS answers,
        CASE queue WHEN '{PEOPLE}' THEN {DAYS[PEOPLE]} ELSE {DAYS[PLATFORM]} END AS days
      FROM (
        SELECT provider, account, dispute_id, payment_id, stage, amount, respond_by, deadline_estimated, status,
          can_respond, answered_by, same_as, answer_state,
          CASE WHEN answer_state = 'parked' THEN '{PEOPLE}' ELSE '{PLATFORM}' END AS queue,
          ROW_NUMBER() OVER (
            PARTITION BY provider, dispute_id ORDER BY revision DESC, occurred_at DESC, update_id
          ) AS newest
        FROM dispute_updates
        WHERE occurred_at >= @told_since AND occurred_at < @until
      ) AS told
      CROSS JOIN (
        SELECT COUNT(CASE WHEN by_people AND answered_at >= @week THEN 1 END) AS by_people,
          COUNT(CASE WHEN NOT by_people AND answered_at >= @day THEN 1 END) AS by_platform
        FROM (
          SELECT DISTINCT provider, dispute_id, answered_at, {_BY_PEOPLE} AS by_people
          FROM dispute_updates
          WHERE occurred_at >= @week AND occurred_at < @until AND answered_at >= @week AND answered_at < @until
        ) AS given
      ) AS pace
      WHERE newest = 1 AND same_as IS NULL AND status = 'needs_response' AND can_respond AND answered_by = 'us'
        AND respond_by >= @until AND (answer_state IS NULL OR answer_state <> 'over')
    ) AS queued
  ) AS ordered
) AS reached
WHERE missed
ORDER BY respond_by, provider, dispute_id
LIMIT {MOST}"""  # noqa: S608 - constants of ours


def asked_at(now: datetime) -> dict[str, datetime]:
    """The parameters of `AT_RISK_SQL`: as it stands at `now`."""
    return {
        "told_since": now - OPEN_SINCE,
        "until": now,
        "week": now - timedelta(days=DAYS[PEOPLE]),
        "day": now - timedelta(days=DAYS[PLATFORM]),
    }
