"""Whether what payouts pay are payments of ours, and whether our payments are paid: two questions of the warehouse, once a week.

A day's payouts have as many lines as there are payments, and a read of each would cost more than the rest of this together; so lines
travel in rows of thousands, and are joined with events there, all of them, exactly. Weekly, for the join reads two weeks of
events: payments are paid out within days, and a week's payouts are looked at together. What was not paid is looked for from its own
day on, until it is paid or somebody accepts it: a provider that pays nothing at all any more is the one to be told of longest.

A line is found by any name that an event gives a payment: its id, an alias, or that of the capture or refund. Lines of one name in
one payout are one, and their sum has to be an amount that was told, in the currency in which the customer paid.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from shared.domain.codec import from_document
from shared.domain.errors import Rejected
from shared.domain.payouts import LISTED, Unlinked, name_of
from shared.flows.ports import Warehouse

PAID_SINCE = timedelta(days=8)
"""Payouts that a run looks at: a day more than lies between two."""

HAPPENED_SINCE = timedelta(days=16)
SETTLED_WITHIN = timedelta(days=9)
"""When a capture is to be in a payout: the longest cycle of those we read is seven working days."""

SOUGHT_FOR = timedelta(days=160)
"""How long a payment is looked for: rows of lines are kept for 180 days. What is older stays unpaid until somebody accepts it."""

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

UNPAID_SQL = f"""SELECT provider, account, currency, COUNT(*) AS payments, SUM(minor) AS minor, MIN(at) AS oldest,
  MIN(payment_id) AS example
FROM (
  SELECT captured.provider, captured.account, captured.payment_id, captured.currency, MAX(captured.minor) AS minor,
    MIN(captured.at) AS at, COUNT(paid.reference) AS paid
  FROM (
    SELECT provider, account, payment_id, amount.minor AS minor, amount.currency AS currency, occurred_at AS at,
      {_NAMES} AS names
    FROM payment_events
    WHERE occurred_at >= @paid_since AND occurred_at < @settled AND livemode = @livemode AND step = 'captured'
      AND provider IN UNNEST(SPLIT(@providers, '\\n'))
  ) AS captured
  CROSS JOIN UNNEST(captured.names) AS name
  LEFT JOIN (SELECT DISTINCT provider, reference FROM ({_LINES}) AS lines WHERE kind = 'capture') AS paid
    ON paid.provider = captured.provider AND paid.reference = name
  GROUP BY captured.provider, captured.account, captured.payment_id, captured.currency
) AS found
WHERE paid = 0
GROUP BY provider, account, currency, TIMESTAMP_TRUNC(at, DAY)
ORDER BY provider, account, currency, oldest"""  # noqa: S608 - constants of ours


@dataclass(frozen=True, slots=True, kw_only=True)
class Unpaid:
    """Captures of one account in one currency that no payout has paid although they are older than `SETTLED_WITHIN`. minor: what
    they came to. example: one of the oldest day's payments."""

    provider: str
    account: str
    currency: str
    payments: int
    minor: int
    oldest: datetime
    example: str

    @property
    def name(self) -> str:
        return name_of(self.provider, self.account, self.currency)


@dataclass(frozen=True, slots=True, kw_only=True)
class Owed:
    """What is owed to us as of `linked_at`: captures before `until`, whole days, at `providers`, whose lines name payments.

    unpaid: those that are looked for again, from the day of the oldest. forgone: those that are not, for lines as old are not
    kept. accepted: by `Unpaid.name`, before when somebody knows of all that is not paid.
    """

    linked_at: datetime | None = None
    until: datetime | None = None
    providers: tuple[str, ...] = ()
    unpaid: tuple[Unpaid, ...] = ()
    forgone: tuple[Unpaid, ...] = ()
    accepted: Mapping[str, datetime] = field(default_factory=dict)

    @property
    def found(self) -> tuple[Unpaid, ...]:
        """Both, one of each name."""
        return _together((*self.unpaid, *self.forgone))

    def accept(self, name: str, payments: int, minor: int) -> "Owed":
        """Without what is called `name`, as it was seen. Raises Rejected where there is none, or another by now."""
        one = next((one for one in self.found if one.name == name), None)
        if one is None or self.until is None:
            raise Rejected(f"{name} has nothing that is not paid", reason="no_unpaid")
        if (one.payments, one.minor) != (payments, minor):
            raise Rejected(f"what is not paid of {name} is another sum by now: look at it again", reason="other_unpaid")
        return replace(
            self,
            unpaid=tuple(other for other in self.unpaid if other.name != name),
            forgone=tuple(other for other in self.forgone if other.name != name),
            accepted={**self.accepted, name: self.until},
        )


def linked(warehouse: Warehouse, now: datetime, *, livemode: bool) -> Mapping[str, tuple[Unlinked, ...]]:
    """By a payout's name, of those of the last week whose lines have names: what of them was not found; nothing where all was."""
    asked = {"paid_since": now - PAID_SINCE, "happened_since": now - HAPPENED_SINCE, "until": now, "livemode": livemode}
    found: dict[str, list[Unlinked]] = {}
    for row in warehouse.query(LINKS_SQL, asked):
        of = found.setdefault(name_of(row["provider"], row["account"], row["payout_id"]), [])
        if row["why"] != "linked":
            of.append(from_document(row, Unlinked))
    return {name: tuple(rows[:LISTED]) for name, rows in found.items()}


def owed(warehouse: Warehouse, now: datetime, before: Owed, providers: Collection[str], *, livemode: bool) -> Owed:
    """What is owed at `providers` by now, with what was already `before`. What somebody has accepted is not told again."""
    until = _day(now - SETTLED_WITHIN)
    since = min((_day(one.oldest) for one in before.unpaid), default=before.until or _day(now - HAPPENED_SINCE))
    asked = {
        "paid_since": since,
        "settled": until,
        "until": now,
        "livemode": livemode,
        "providers": "\n".join(providers),
    }
    days = [from_document(row, Unpaid) for row in warehouse.query(UNPAID_SQL, asked)] if providers else []
    open_ = [one for one in days if one.oldest >= before.accepted.get(one.name, one.oldest)]
    # Nobody reads payouts there any more: what is owed is as it was.
    open_ += [one for one in before.unpaid if one.provider not in providers]
    kept_from = _day(now - SOUGHT_FOR)
    sought = _together(one for one in open_ if _day(one.oldest) >= kept_from)
    again = min((_day(one.oldest) for one in sought), default=until)
    return Owed(
        linked_at=now,
        until=until,
        providers=tuple(sorted(providers)),
        unpaid=sought,
        forgone=_together((*before.forgone, *(one for one in open_ if _day(one.oldest) < kept_from))),
        accepted={name: then for name, then in before.accepted.items() if then > again},
    )


def _together(rows: Iterable[Unpaid]) -> tuple[Unpaid, ...]:
    """One for each name."""
    found: dict[str, Unpaid] = {}
    for one in sorted(rows, key=lambda one: (one.name, one.oldest)):
        known = found.get(one.name)
        together = (known.payments + one.payments, known.minor + one.minor) if known else (one.payments, one.minor)
        found[one.name] = replace(known or one, payments=together[0], minor=together[1])
    return tuple(found.values())


def _day(instant: datetime) -> datetime:
    return instant.replace(hour=0, minute=0, second=0, microsecond=0)
