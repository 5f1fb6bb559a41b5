"""How near each account is to a network's monitoring programme: this month so far, at its end, and what is left until then.

| programme | items | of | from |
|---|---|---|---|
| `vamp` | Visa's fraud reports (TC40) and disputes (TC15); fraud that is both reported and disputed counts twice | payments settled this month | a ratio, beyond so many items |
| `ecm`, `hecm` | Mastercard's chargebacks of this month | payments settled last month | both so many and a ratio |
| `efm` | Mastercard's chargebacks of this month that claim fraud | payments settled last month, so many at least | both so much money and a ratio, and too few authenticated payments |

An inquiry is no item, nor is what was settled before a dispute was filed. A payment counts as settled when its capture is told:
of a provider that tells none the ratio is overstated, never understated. What names no network counts for none.

EFM goes by US dollars: amounts are compared at fixed rates (`reference_amount`), one in a currency without a rate adds nothing. It asks that a half of the payments
be authenticated in countries where the law asks for it, and a tenth elsewhere: an account's country is not known here, so it is
a half. A payment is authenticated when a word on its authorization or capture says that 3-D Secure was passed or attempted.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from shared.disputes.reason_codes import list_of
from shared.disputes.strategy import beta_below
from shared.domain.money import Money
from shared.domain.reference_amount import reference_minor, scale

UNPROVEN = 0.05
"""What an interval leaves out, on each side."""

BEFORE = timedelta(days=540)
"""How long before the month a dispute may have been told of first: as long as a cardholder may file one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Threshold:
    """since: in force from that day on, until another one of the programme is. items: so many at least. ratio: of items to
    payments, at least. of_last_month: to those of the month before. reports: whether fraud reports are items too. frauds: whether
    only what claims fraud is one. worth: what the items are worth together, at least. payments: of so many at least.
    authenticated: nobody is in it from this part of this month's payments on."""

    programme: str
    network: str
    since: date
    items: int
    ratio: float
    of_last_month: bool
    reports: bool
    frauds: bool = False
    worth: Money | None = None
    payments: int = 0
    authenticated: float | None = None


# support.checkout.com on VAMP, and docs.antom.com: a merchant is excessive from 2.2 %, from April 2026 on from 1.5 % (outside of
# the Middle East and Africa), and only beyond 1,500 items. For Mastercard's Excessive Chargeback Programme several
# acquirers' guides agree on both conditions of both grades. Of the Excessive Fraud Merchant programme do so
# developer.paypal.com (Braintree, "Excessive Fraud Merchant Program"), payvision.com and support.forte.net; the first alone
# says 15,000 USD and 0.2 % for Australia. They differ in whether what was won back is taken off: here it is not.
THRESHOLDS: Sequence[Threshold] = (
    Threshold(
        programme="vamp",
        network="visa",
        since=date(2025, 6, 1),
        items=1501,
        ratio=0.022,
        of_last_month=False,
        reports=True,
    ),
    Threshold(
        programme="vamp",
        network="visa",
        since=date(2026, 4, 1),
        items=1501,
        ratio=0.015,
        of_last_month=False,
        reports=True,
    ),
    Threshold(
        programme="ecm",
        network="mastercard",
        since=date(2019, 10, 1),
        items=100,
        ratio=0.015,
        of_last_month=True,
        reports=False,
    ),
    Threshold(
        programme="hecm",
        network="mastercard",
        since=date(2019, 10, 1),
        items=300,
        ratio=0.03,
        of_last_month=True,
        reports=False,
    ),
    Threshold(
        programme="efm",
        network="mastercard",
        since=date(2019, 10, 1),
        items=1,
        ratio=0.005,
        of_last_month=True,
        reports=False,
        frauds=True,
        worth=Money(5_000_000, "USD"),
        payments=1000,
        authenticated=0.5,
    ),
)

# Mastercard's codes of fraud that nobody saw the card for, the second of which it has retired. Where no code of a network's
# is told, which are digits, but none or the provider's own word, the reason says it.
_FRAUD = (
    "(reason_code IN ('4837', '4863')"
    " OR (reason = 'fraud' AND SUBSTR(COALESCE(reason_code, ''), 1, 1) NOT BETWEEN '0' AND '9'))"
)

# A dispute is of the month in which it was first told to have taken money.
COUNTS_SQL = f"""SELECT provider, account, network,
  SUM(settled) AS settled, SUM(settled_before) AS settled_before, SUM(authenticated) AS authenticated,
  SUM(disputes) AS disputes, SUM(reports) AS reports, SUM(frauds) AS frauds,
  fraud_currency, SUM(fraud_minor) AS fraud_minor
FROM (
  SELECT provider, account, network,
    SUM(paid) AS settled, SUM(paid_before) AS settled_before, SUM(paid * proved) AS authenticated,
    0 AS disputes, 0 AS reports, 0 AS frauds, '' AS fraud_currency, 0 AS fraud_minor
  FROM (
    SELECT provider, account, payment_id, MAX(card.network) AS network,
      MAX(CASE WHEN step = 'captured' AND occurred_at >= @month THEN 1 ELSE 0 END) AS paid,
      MAX(CASE WHEN step = 'captured' AND occurred_at < @month THEN 1 ELSE 0 END) AS paid_before,
      MAX(CASE WHEN three_d_secure IN ('authenticated', 'attempted') THEN 1 ELSE 0 END) AS proved
    FROM payment_events
    WHERE occurred_at >= @month_before AND occurred_at < @until AND kind = 'payment' AND step IN ('authorized', 'captured')
    GROUP BY provider, account, payment_id
  ) AS payments
  GROUP BY provider, account, network
  UNION ALL
  SELECT provider, account, network, 0, 0, 0, 0, COUNT(DISTINCT warning_id), 0, '', 0
  FROM payment_events
  WHERE occurred_at >= @month AND occurred_at < @until AND kind = 'fraud_warning'
  GROUP BY provider, account, network
  UNION ALL
  SELECT provider, account, network, 0, 0, 0,
    SUM(CASE WHEN filed_at >= @month THEN 1 ELSE 0 END), 0,
    SUM(CASE WHEN filed_at >= @month AND {_FRAUD} THEN 1 ELSE 0 END), COALESCE(amount.currency, ''),
    SUM(CASE WHEN filed_at >= @month AND {_FRAUD} THEN COALESCE(amount.minor, 0) ELSE 0 END)
  FROM (
    SELECT provider, account, network, same_as, reason, reason_code, amount,
      MIN(CASE WHEN stage IN ('chargeback', 'pre_arbitration', 'arbitration') THEN occurred_at END)
        OVER (PARTITION BY provider, dispute_id) AS filed_at,
      ROW_NUMBER() OVER (
        PARTITION BY provider, dispute_id ORDER BY revision DESC, occurred_at DESC, update_id
      ) AS place
    FROM dispute_updates
    WHERE occurred_at >= @disputes_since AND occurred_at < @until
  ) AS told
  WHERE place = 1 AND same_as IS NULL
  GROUP BY provider, account, network, COALESCE(amount.currency, '')
) AS counted
GROUP BY provider, account, network, fraud_currency"""  # noqa: S608 - constants of ours


def asked_at(now: datetime) -> dict[str, datetime]:
    """The parameters of `COUNTS_SQL`: the month of `now`, until `now`."""
    month = _month(now)
    return {
        "month": month,
        "month_before": _month(month - timedelta(days=1)),
        "disputes_since": month - BEFORE,
        "until": now,
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """An account in a programme. items, ratio: so far; a ratio is None where nothing settled. forecast, low, high: items at the end of the month, and where they lie
    with nine chances of ten. ratio_forecast: then. entry: with how many items at the end of the month it is in the programme;
    left: how many more that are. exempt: it has too few payments for it, or enough authenticated ones. reached: it is in it, if
    nothing more comes. at_risk: it may be, by the interval."""

    programme: str
    provider: str
    account: str
    items: int
    ratio: float | None
    forecast: float
    low: int
    high: int
    ratio_forecast: float | None
    entry: int
    left: int
    exempt: bool
    reached: bool
    at_risk: bool


def standings(rows: Iterable[Mapping[str, Any]], now: datetime) -> list[Standing]:
    """Each account of `rows` (of `COUNTS_SQL`) in each programme of its network, by programme and account."""
    counts: dict[tuple[str, str, str], dict[str, int]] = {}
    for row in rows:
        key = (str(row["provider"]), str(row["account"]), list_of(row["network"] or ""))
        known = counts.setdefault(key, dict.fromkeys((*_COUNTED, "fraud_cents"), 0))
        for name in _COUNTED:
            known[name] += int(row[name])
        known["fraud_cents"] += _cents(int(row["fraud_minor"]), str(row["fraud_currency"]))
    found = [
        _standing(threshold, provider, account, told, now)
        for (provider, account, network), told in counts.items()
        for threshold in in_force(now.date())
        if threshold.network == network
    ]
    return sorted(found, key=lambda one: (one.programme, one.provider, one.account))


_COUNTED = ("settled", "settled_before", "authenticated", "disputes", "reports", "frauds")


def _cents(minor: int, currency: str) -> int:
    """Of euros, at the fixed rate; none where there is none."""
    numerator, denominator, _ = scale(currency) or (0, 1, 0)
    return minor * numerator // denominator


def in_force(day: date) -> list[Threshold]:
    """The newest of each programme."""
    newest = {one.programme: one for one in sorted(THRESHOLDS, key=lambda one: one.since) if one.since <= day}
    return list(newest.values())


def _standing(of: Threshold, provider: str, account: str, told: Mapping[str, int], now: datetime) -> Standing:
    passed = passed_of_month(now)
    items = told["frauds"] if of.frauds else told["disputes"] + (told["reports"] if of.reports else 0)
    payments = told["settled_before"] if of.of_last_month else told["settled"]
    at_end = payments if of.of_last_month else payments / passed
    forecast, low, high = at_months_end(items, passed)
    entry = max(of.items, math.ceil(round(of.ratio * at_end, 9)))
    worth, is_worth = reference_minor(of.worth), told["fraud_cents"]
    if worth and is_worth:
        # So many as those that came until now.
        entry = max(entry, -(-worth * items // is_worth))
    exempt = payments < of.payments or (
        of.authenticated is not None and told["authenticated"] >= of.authenticated * max(told["settled"], 1)
    )
    may_be = not exempt and (worth is None or is_worth > 0)
    return Standing(
        programme=of.programme,
        provider=provider,
        account=account,
        items=items,
        ratio=items / payments if payments else None,
        forecast=forecast,
        low=low,
        high=high,
        ratio_forecast=forecast / at_end if at_end else None,
        entry=entry,
        left=max(entry - items, 0),
        exempt=exempt,
        reached=may_be and items >= entry,
        at_risk=may_be and high >= entry,
    )


def at_months_end(items: int, passed: float) -> tuple[float, int, int]:
    """How many there will be, and where that lies, when there were `items` after a part `passed` of the month (above 0).

    They come one by one at a rate that is not known better than by those that came (Jeffreys' prior): what is to come is then
    negative binomial.
    """
    if passed >= 1:
        return float(items), items, items
    shape = items + 0.5
    to_come = shape * (1 - passed) / passed
    return items + to_come, items + _least(UNPROVEN, shape, passed), items + _least(1 - UNPROVEN, shape, passed)


def _least(part: float, shape: float, passed: float) -> int:
    """The least number that the negative binomial is not above with a chance of `part`."""

    def below(number: int) -> bool:
        return beta_below(passed, shape, number + 1) < part

    low, high = -1, 1
    while below(high):
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if below(middle) else (low, middle)
    return high


def passed_of_month(now: datetime) -> float:
    """Which part of the month of `now` has passed, an hour at least."""
    month = _month(now)
    after = _month(month + timedelta(days=32))
    return max(now - month, timedelta(hours=1)) / (after - month)


def _month(at: datetime) -> datetime:
    """The first instant of its month, UTC."""
    at = at.astimezone(UTC)
    return datetime(at.year, at.month, 1, tzinfo=UTC)
