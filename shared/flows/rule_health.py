"""How right rules are, a day at a time: what each of them hit, and what became of what it hit before.

Told of each rule that was live or in shadow, by its own version, so that a rule that was changed begins anew:

| measure | of what |
|---|---|
| `rule_hits` | payments of the day for which the rule held, of those that were judged by it |
| `rule_precision` | the part of its hits of the day that became old enough (`MATURITY` before) that was fraud |
| `rule_dead` | that it held for none in `DEAD_AFTER` days |

Whom a rule declined has no outcome, so that precision is of those who paid all the same: what was challenged or reviewed
and let pass, what only stood in shadow, and what was decided when it was over.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Any, Final

from shared.domain.counts import Count, Interval
from shared.flows.backtest import MATURITY
from shared.flows.book_of_rules import kept_book, standing_book
from shared.flows.ports import Documents, Ports, Warehouse
from shared.fraud.backtest import FATE_SQL, LAST_TOLD_SQL, REVIEWED_WITHIN, VERDICTS_SQL, Fate
from shared.fraud.book import Book, book_shipped
from shared.fraud.features import NAMES
from shared.fraud.rules import Rule, State

DEAD_AFTER: Final = timedelta(days=30)
DAY: Final = timedelta(days=1)

_COLUMNS = "event_id, occurred_at, fraud_reported_at, claims_revision, book_revision, rules_version, reasons, shadow"

HITS_SQL = f"""SELECT book_revision, rules_version, held, shadows, fate, COUNT(*) AS payments
FROM (
  SELECT book_revision, rules_version, {FATE_SQL} AS fate, ARRAY_TO_STRING(told.shadow, ' ') AS shadows,
    ARRAY_TO_STRING(ARRAY(SELECT one.code FROM UNNEST(told.reasons) AS one WHERE one.source = 'rule'), ' ') AS held
  FROM (
  {LAST_TOLD_SQL.format(columns=_COLUMNS)}
  ) AS told
  {VERDICTS_SQL}
) AS judged
GROUP BY book_revision, rules_version, held, shadows, fate"""  # noqa: S608 - constants of ours

# Of each day the row that was measured last.
MEASURED_SQL = """SELECT measure, subject, SUM(payments) AS payments, SUM(with_it) AS with_it, COUNT(*) AS days,
  MAX(CASE WHEN with_it > 0 THEN day END) AS last
FROM (
  SELECT measure, subject, day, payments, CAST(ROUND(value * CASE WHEN measure = 'rule_precision' THEN payments ELSE 1 END) AS INT64) AS with_it
  FROM model_health
  WHERE day >= @since AND day < @until AND measure IN ('rule_hits', 'rule_precision')
  QUALIFY ROW_NUMBER() OVER (PARTITION BY row_id, day ORDER BY measured_at DESC) = 1
) AS measured
GROUP BY measure, subject"""


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleHealth:
    """Of one rule, in its version of now, over the last `DEAD_AFTER` days that were measured: days; hits of so many judged
    payments, the last of them on the day `last_hit`; precision, of the matured hits. dead: it was measured on each of these
    days and held on none."""

    version: str
    days: int
    judged: int
    hits: int
    last_hit: datetime | None
    matured: int
    precision: Interval
    dead: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """One row to be of `model_health`."""

    measure: str
    subject: str
    value: float
    payments: int
    usual: tuple[float, float] | None = None


def measured(ports: Ports, day: datetime) -> Iterator[Measure]:
    """What there is to say of the rules' day."""
    standing = {subject_of(rule) for rule in _judging(standing_book(ports.documents))}
    judged, hits, _ = _counted(ports, day, day)
    for subject in sorted({*judged, *hits, *standing}):
        yield Measure(measure="rule_hits", subject=subject, value=hits[subject], payments=judged[subject])
    _, _, fates = _counted(ports, day - MATURITY, day)
    for subject in sorted({subject for subject, _ in fates}):
        count = _precision(fates, subject)
        usual = (count.interval.low, count.interval.high)
        if count.of:
            yield Measure(measure="rule_precision", subject=subject, value=count.rate, payments=count.of, usual=usual)
    before = _measured(ports.warehouse, day + DAY - DEAD_AFTER, day)
    days = DEAD_AFTER // DAY - 1
    for subject in sorted(standing):
        earlier = before.get(("rule_hits", subject))
        if not hits[subject] and earlier and earlier["days"] >= days and not earlier["with_it"]:
            payments = judged[subject] + int(earlier["payments"])
            yield Measure(measure="rule_dead", subject=subject, value=DEAD_AFTER // DAY, payments=payments)


def health_of(warehouse: Warehouse, book: Book, now: datetime) -> dict[str, RuleHealth]:
    """By code, what was measured of the rules of `book` that are live or in shadow."""
    until = datetime(now.year, now.month, now.day, tzinfo=now.tzinfo)
    found = _measured(warehouse, until - DEAD_AFTER, until)
    return {rule.code: _health(rule, found) for rule in _judging(book)}


def subject_of(rule: Rule) -> str:
    return f"{rule.code} {rule.version}"


def _health(rule: Rule, found: Mapping[tuple[str, str], Mapping[str, Any]]) -> RuleHealth:
    nothing = {"payments": 0, "with_it": 0, "days": 0, "last": None}
    hits, matured = (found.get((measure, subject_of(rule)), nothing) for measure in ("rule_hits", "rule_precision"))
    count = Count(of=int(matured["payments"]), with_it=int(matured["with_it"]))
    return RuleHealth(
        version=rule.version,
        days=int(hits["days"]),
        judged=int(hits["payments"]),
        hits=int(hits["with_it"]),
        last_hit=hits["last"],
        matured=count.of,
        precision=count.interval,
        dead=not hits["with_it"] and hits["days"] >= DEAD_AFTER // DAY,
    )


def _judging(book: Book) -> Iterator[Rule]:
    return (rule for rule in book.contents.rules if rule.state in (State.LIVE, State.SHADOW))


def _measured(warehouse: Warehouse, since: datetime, until: datetime) -> dict[tuple[str, str], Mapping[str, Any]]:
    rows = warehouse.query(MEASURED_SQL, {"since": since, "until": until})
    return {(row["measure"], row["subject"]): row for row in rows}


def _counted(
    ports: Ports, day: datetime, matured_until: datetime
) -> tuple[Counter[str], Counter[str], Counter[tuple[str, Fate]]]:
    """Of the decisions on payments of `day`: by rule how many it judged, how many it held for, and what became of those."""
    rules = _rules_by(ports.documents)
    judged, hits, fates = Counter[str](), Counter[str](), Counter[tuple[str, Fate]]()
    until = day + DAY
    within = {"since": day, "until": until, "matured_until": matured_until, "from_sample": "00", "sample": "ff"}
    # Of a day that is not old enough yet nobody asks what became of it: no word is read.
    reviewed_until = until + REVIEWED_WITHIN if day < matured_until else day
    for row in ports.warehouse.query(HITS_SQL, {**within, "reviewed_until": reviewed_until}):
        payments = int(row["payments"])
        subjects = rules(row["book_revision"], row["rules_version"])
        judged.update(dict.fromkeys(subjects.values(), payments))
        for code in {*(row["held"] or "").split(), *(row["shadows"] or "").split()}:
            # Of a book that is not here any more: by the version of that.
            subject = subjects.get(code, f"{code} {row['rules_version']}")
            hits[subject] += payments
            fates[subject, Fate(row["fate"])] += payments
    return judged, hits, fates


def _rules_by(documents: Documents) -> Callable[[int | None, str], Mapping[str, str]]:
    """By a book's revision, and the version of its rules that decisions name: code → subject."""

    @cache
    def subjects(revision: int | None, version: str) -> Mapping[str, str]:
        book = book_shipped(version, frozenset(NAMES)) if revision is None else kept_book(documents, revision)
        if book is None or book.table.version != version:
            return {}
        return {rule.code: subject_of(rule) for rule in _judging(book)}

    return subjects


def _precision(fates: Counter[tuple[str, Fate]], subject: str) -> Count:
    fraud = fates[subject, Fate.FRAUD]
    return Count(of=fraud + fates[subject, Fate.GENUINE], with_it=fraud)
