"""Payments, a row each, as their events tell: what was held, captured and given back, and where it stands.

The totals and the state are those of the payment's document, by the rules of `shared.domain.totals` and
`shared.domain.payments`, in whatever order and however often the events came; a property test holds them equal, over any words. The
document forgets what it has no room for (`totals_incomplete`), the mart has every word.

A payment is of the instant at which it was first told of. What was told up to `BEFORE` earlier is read too, so that the rest of an
older payment is not taken for a new one; one that was silent for longer than that is of the instant at which it goes on.

Test data is left out. Who paid stands nowhere: a payment has its provider's name for it and nothing of the customer.
"""

from datetime import datetime, timedelta

BEFORE = timedelta(days=7)
"""How long before the first instant that is asked for words are read: by then most authorizations are captured or lapse."""

COLUMNS = {
    "provider": "Who took the payment.",
    "payment_id": "The provider's name for it; with provider the key of a row.",
    "account": "Our account at the provider.",
    "first_at": "When it was first told of, by the provider's time: the instant that the payment is of.",
    "last_at": "When it was last told of.",
    "state": "pending, authorized, partially_captured, captured, partially_refunded, refunded, declined, canceled, reversed, succeeded_by.",
    "currency": "ISO 4217, of the amounts; amounts in another one are in no total. Null where nobody told an amount.",
    "authorized": "Minor units that are held, or were until they were captured.",
    "captured": "Minor units captured; null where no capture was told.",
    "refunded": "Minor units that we gave back; null where no refund was told.",
    "reversed": "Minor units that the provider took back itself; null where it did not.",
    "net": "Minor units that are ours: captured less refunded and reversed; of a provider that tells of no captures, of what is held.",
    "method": "card, paypal, sepa_debit and so on, as last told.",
    "network": "The card's network, in the provider's word.",
    "funding": "credit, debit, prepaid.",
    "card_country": "The issuer's, ISO 3166-1 alpha-2.",
    "billing_country": "The customer's, ISO 3166-1 alpha-2.",
    "initiator": "customer where somebody was there, merchant for a later charge under an agreement.",
    "decline_code": "The provider's word on the last attempt that failed.",
}

_PAYMENT = "PARTITION BY provider, payment_id"
_TOTAL = f"{_PAYMENT}, total"
_REFERENCE = f"{_PAYMENT}, total, reference"
_DETAILS = {
    "method": "method",
    "network": "card.network",
    "funding": "card.funding",
    "card_country": "card.country",
    "billing_country": "billing_country",
    "initiator": "initiator",
    "decline_code": "CASE WHEN step NOT IN ('refund_pending', 'refunded', 'refund_failed', 'reversed') THEN decline_code END",
}


def _newest(member: str) -> str:
    """The latest that was told of `member`, of two at one instant the greater."""
    return (
        f"FIRST_VALUE({member}) OVER ({_PAYMENT} "
        f"ORDER BY CASE WHEN {member} IS NULL THEN 1 ELSE 0 END, told_at DESC, {member} DESC) AS {member}"
    )


def _of(total: str, value: str, by: str = "SUM") -> str:
    """Over the rows of a payment that are about `total`."""
    return f"{by}(CASE WHEN total = '{total}' THEN {value} END) OVER ({_PAYMENT})"


def _moved(total: str, whole: str) -> tuple[str, str]:
    """What `total` comes to, each of which nobody told an amount being `whole`; and 1 where any of it stands, else 0.

    See `shared.domain.totals.Sum.moved`: this is the same in SQL.
    """
    since = f"COALESCE({_of(total, f'since_minor + since_untold * {whole}')}, 0)"
    before = f"COALESCE({_of(total, f'before_minor + before_untold * {whole}')}, 0)"
    # An undoing without a reference takes what it tells from what was told until then, and everything where it tells nothing.
    before = f"""CASE WHEN {_of(total, "swept_at", "MAX")} IS NULL OR {_of(total, "taken", "MAX")} IS NULL THEN 0
      ELSE GREATEST(0, {before} - {_of(total, "taken", "MAX")}) END"""
    # Of a floor as well: with what took everything in it, it is no number, and no floor.
    left = f"""COALESCE(minor, {whole}) - lost_minor - lost_untold * {whole}
      - CASE WHEN swept_at IS NULL OR told_at > swept_at THEN 0 ELSE taken END"""
    floor = f"COALESCE({_of(total, f'CASE WHEN is_floor THEN {left} END', 'MAX')}, 0)"
    kept = "(swept_at IS NULL OR told_at > swept_at) AND lost_references = 0"
    floor_stands = _of(total, f"CASE WHEN is_floor AND ({left} > 0 OR ({kept})) THEN 1 ELSE 0 END", "MAX")
    live = f"""CASE WHEN {_of(total, "CASE WHEN live THEN 1 ELSE 0 END", "MAX")} = 1
      AND ({_of(total, "swept_at", "MAX")} IS NULL OR {before} + {since} > 0) THEN 1 ELSE 0 END"""
    return f"GREATEST(0, {before} + {since}, {floor})", f"GREATEST(COALESCE({floor_stands}, 0), {live})"


_GIVEN_UP, _ = _moved("canceled", "0")
_CAPTURED, _CAPTURED_STANDS = _moved("captured", "authorized")
_REFUNDED, _REFUNDED_STANDS = _moved("refunded", "whole")
_REVERSED, _REVERSED_STANDS = _moved("reversed", "whole")


def _last(*steps: str) -> str:
    named = ", ".join(f"'{step}'" for step in steps)
    return f"MAX(CASE WHEN step IN ({named}) THEN told_at END)"


# Each of these reads the one before it and nothing else, so that the table is read once.
PAYMENTS_SQL = f"""WITH told AS (
  SELECT provider, payment_id, account, event_id, occurred_at AS told_at, step, COALESCE(reference, '') AS reference,
    COALESCE(cumulative, FALSE) AS running, 'step' IN UNNEST(unsigned) AS unproved,
    CASE WHEN 'amount' IN UNNEST(unsigned) THEN NULL ELSE amount.minor END AS minor,
    CASE WHEN 'amount' IN UNNEST(unsigned) THEN NULL ELSE amount.currency END AS currency,
    {", ".join(f"{told} AS {name}" for name, told in _DETAILS.items())}
  FROM payment_events
  WHERE occurred_at >= @told_since AND occurred_at < @until AND kind = 'payment' AND (COALESCE(livemode, TRUE) OR @test_data)
  QUALIFY ROW_NUMBER() OVER (PARTITION BY event_id, occurred_at ORDER BY publish_time DESC) = 1
),
seen AS (
  SELECT *, MAX(CASE WHEN step = 'captured' THEN 1 ELSE 0 END) OVER ({_PAYMENT}) AS any_captured,
    MIN(CASE WHEN step = 'captured' THEN told_at END) OVER ({_PAYMENT}, reference) AS captured_at
  FROM told
),
proved AS (
  SELECT * EXCEPT (step), CASE
      WHEN NOT unproved THEN step WHEN any_captured = 1 THEN 'refunded' ELSE 'canceled'
    END AS step
  FROM seen
),
priced AS (
  SELECT * EXCEPT (currency), currency AS told_in, FIRST_VALUE(
      CASE WHEN step IN ('authorized', 'captured', 'capture_failed', 'refunded', 'refund_failed', 'reversed') THEN currency END
    ) OVER ({_PAYMENT} ORDER BY CASE
      WHEN currency IS NOT NULL AND step IN ('authorized', 'captured', 'capture_failed', 'refunded', 'refund_failed', 'reversed')
      THEN 0 ELSE 1 END, told_at, currency) AS currency
  FROM proved
),
placed AS (
  SELECT *, NOT (step IN ('capture_failed', 'refund_failed', 'declined')) AS done, running OR reference = '' AS loose, CASE
      WHEN step = 'authorized' THEN CASE WHEN told_in = currency AND minor IS NOT NULL THEN 'authorized' END
      WHEN NOT (told_in IS NULL OR told_in = currency) THEN NULL
      WHEN step IN ('captured', 'capture_failed') THEN 'captured'
      WHEN step = 'declined' AND reference <> '' AND told_at > captured_at THEN 'captured'
      WHEN step IN ('refunded', 'refund_failed') THEN 'refunded'
      WHEN step IN ('reversed', 'canceled') THEN step
    END AS placed_in
  FROM priced
),
held AS (
  SELECT *, MAX(CASE WHEN placed_in = 'authorized' AND loose THEN told_at END) OVER ({_PAYMENT}) AS whole_at
  FROM placed
),
stated AS (
  SELECT *, MAX(CASE WHEN placed_in = 'authorized' AND loose AND told_at = whole_at THEN minor END) OVER ({_PAYMENT}) AS whole_minor,
    MAX(CASE WHEN step = 'canceled' AND minor IS NULL AND (whole_at IS NULL OR told_at >= whole_at) THEN 1 ELSE 0 END)
      OVER ({_PAYMENT}) AS ended,
    CASE WHEN placed_in = 'canceled' AND told_at < whole_at THEN NULL ELSE placed_in END AS total,
    (done AND NOT loose) OR (NOT done AND reference <> '') AS named
  FROM held
),
timed AS (
  SELECT *, MAX(CASE WHEN done AND NOT loose THEN told_at END) OVER ({_REFERENCE}) AS last_done,
    MAX(CASE WHEN done AND NOT loose AND minor IS NOT NULL THEN told_at END) OVER ({_REFERENCE}) AS amount_at,
    MAX(CASE WHEN done AND NOT loose AND told_at <= whole_at THEN told_at END) OVER ({_REFERENCE}) AS stated_at,
    MAX(CASE WHEN NOT done THEN told_at END) OVER ({_REFERENCE}) AS undone_at,
    MAX(CASE WHEN NOT done THEN minor END) OVER ({_REFERENCE}) AS undone_minor,
    MAX(CASE WHEN NOT done AND reference = '' THEN told_at END) OVER ({_TOTAL}) AS swept_at,
    MAX(CASE WHEN NOT done AND reference = '' THEN minor END) OVER ({_TOTAL}) AS taken,
    MAX(CASE WHEN done AND running AND minor IS NOT NULL THEN told_at END) OVER ({_TOTAL}) AS running_at,
    ROW_NUMBER() OVER ({_REFERENCE}, named ORDER BY told_at, event_id) AS place
  FROM stated
),
amounts AS (
  SELECT *, MAX(CASE WHEN done AND NOT loose AND told_at = amount_at THEN minor END) OVER ({_REFERENCE}) AS amount,
    MAX(CASE WHEN done AND NOT loose AND told_at = stated_at THEN minor END) OVER ({_REFERENCE}) AS stated,
    MAX(CASE WHEN done AND running AND told_at = running_at THEN minor END) OVER ({_TOTAL}) AS running_minor
  FROM timed
),
standing AS (
  SELECT *, named AND place = 1 AND last_done IS NOT NULL AND (undone_at IS NULL OR last_done > undone_at) AS live,
    named AND place = 1 AND undone_at IS NOT NULL AND (last_done IS NULL OR undone_at >= last_done) AS lost,
    done AND loose AND (NOT running OR minor IS NULL OR (told_at = running_at AND minor = running_minor)) AS is_floor,
    NULLIF(GREATEST(COALESCE(undone_minor, 0), COALESCE(amount, 0)), 0) AS lost_amount,
    GREATEST(0, COALESCE(whole_minor, 0) + COALESCE(
      SUM(CASE WHEN total = 'authorized' AND named AND place = 1 THEN amount - COALESCE(stated, 0) END) OVER ({_PAYMENT}), 0
    )) AS told_authorized
  FROM amounts
),
counted AS (
  SELECT *,
    CASE WHEN live AND NOT COALESCE(last_done <= swept_at, FALSE) THEN COALESCE(amount, 0) ELSE 0 END AS since_minor,
    CASE WHEN live AND NOT COALESCE(last_done <= swept_at, FALSE) AND amount IS NULL THEN 1 ELSE 0 END AS since_untold,
    CASE WHEN live AND last_done <= swept_at THEN COALESCE(amount, 0) ELSE 0 END AS before_minor,
    CASE WHEN live AND last_done <= swept_at AND amount IS NULL THEN 1 ELSE 0 END AS before_untold,
    SUM(CASE WHEN lost THEN COALESCE(lost_amount, 0) ELSE 0 END) OVER (
      {_TOTAL} ORDER BY CASE WHEN lost THEN undone_at ELSE told_at END DESC
    ) AS lost_minor,
    SUM(CASE WHEN lost AND lost_amount IS NULL THEN 1 ELSE 0 END) OVER (
      {_TOTAL} ORDER BY CASE WHEN lost THEN undone_at ELSE told_at END DESC
    ) AS lost_untold,
    SUM(CASE WHEN lost THEN 1 ELSE 0 END) OVER (
      {_TOTAL} ORDER BY CASE WHEN lost THEN undone_at ELSE told_at END DESC
    ) AS lost_references
  FROM standing
),
released AS (
  SELECT *, {_GIVEN_UP} AS part FROM counted
),
authorized AS (
  SELECT *, ended = 0 AND part > 0 AND part < told_authorized AS given_up,
    told_authorized - CASE WHEN ended = 0 AND part < told_authorized THEN part ELSE 0 END AS authorized
  FROM released
),
captured AS (
  SELECT *, {_CAPTURED} AS captured, {_CAPTURED_STANDS} AS captured_stands FROM authorized
),
measured AS (
  SELECT *, CASE WHEN captured <> 0 THEN captured ELSE authorized END AS whole FROM captured
),
returned AS (
  SELECT *, {_REFUNDED} AS refunded, {_REFUNDED_STANDS} AS refunded_stands,
    {_REVERSED} AS reversed, {_REVERSED_STANDS} AS reversed_stands
  FROM measured
),
detailed AS (
  SELECT * EXCEPT ({", ".join(_DETAILS)}), {", ".join(map(_newest, _DETAILS))} FROM returned
),
folded AS (
  SELECT provider, payment_id, MIN(account) AS account, MIN(told_at) AS first_at, MAX(told_at) AS last_at, MIN(currency) AS currency,
    MIN(authorized) AS authorized, MIN(captured) AS captured, MIN(refunded) AS refunded, MIN(reversed) AS reversed,
    MIN(whole) AS whole, MIN(captured_stands) AS captured_stands, MIN(refunded_stands) AS refunded_stands,
    MIN(reversed_stands) AS reversed_stands, {_last("authorized")} AS authorized_at, {_last("captured")} AS captured_at,
    {_last("refunded")} AS refunded_at, {_last("reversed")} AS reversed_at, {_last("pending")} AS pending_at,
    {_last("declined", "capture_failed")} AS declined_at, {_last("succeeded_by")} AS succeeded_at,
    CASE WHEN MAX(CASE WHEN given_up THEN 1 ELSE 0 END) = 0 THEN {_last("canceled")} END AS canceled_at,
    {", ".join(f"MIN({name}) AS {name}" for name in _DETAILS)}
  FROM detailed
  GROUP BY provider, payment_id
)
SELECT provider, payment_id, account, first_at, last_at, CASE
    WHEN reversed_stands = 1 AND reversed >= whole THEN 'reversed'
    WHEN (refunded_stands = 1 OR reversed_stands = 1) AND refunded + reversed >= whole THEN 'refunded'
    WHEN refunded + reversed > 0 THEN 'partially_refunded'
    WHEN captured_stands = 1 AND captured > 0 AND captured < authorized THEN 'partially_captured'
    WHEN captured_stands = 1 AND (captured > 0 OR authorized = 0) THEN 'captured'
    WHEN succeeded_at IS NOT NULL THEN 'succeeded_by'
    WHEN authorized_at IS NOT NULL THEN CASE WHEN canceled_at >= authorized_at THEN 'canceled' ELSE 'authorized' END
    WHEN canceled_at IS NOT NULL AND (pending_at IS NULL OR canceled_at >= pending_at)
      AND (declined_at IS NULL OR canceled_at >= declined_at) THEN 'canceled'
    WHEN declined_at IS NOT NULL AND (pending_at IS NULL OR declined_at >= pending_at) THEN 'declined'
    ELSE 'pending'
  END AS state, currency,
  CASE WHEN currency IS NOT NULL AND authorized_at IS NOT NULL THEN authorized END AS authorized,
  CASE WHEN currency IS NOT NULL AND captured_at IS NOT NULL THEN captured END AS captured,
  CASE WHEN currency IS NOT NULL AND refunded_at IS NOT NULL THEN refunded END AS refunded,
  CASE WHEN currency IS NOT NULL AND reversed_at IS NOT NULL THEN reversed END AS reversed,
  CASE WHEN currency IS NOT NULL THEN
    CASE WHEN captured_at IS NULL THEN CASE WHEN refunded + reversed > 0 THEN authorized ELSE 0 END ELSE captured END
    - refunded - reversed
  END AS net, {", ".join(_DETAILS)}
FROM folded
WHERE first_at >= @since"""  # noqa: S608 - constants of ours


def asked_for(since: datetime, until: datetime) -> dict[str, datetime | bool]:
    """The parameters of `PAYMENTS_SQL`: payments first told of from `since` on, as they stood at `until`."""
    return {"told_since": since - BEFORE, "since": since, "until": until, "test_data": False}
