"""A rule that is tried on what was decided already: as one query of the warehouse, and what its answer says.

The condition is run by the warehouse, over the vectors that decisions recorded; a property test holds it to what the
request path answers. What became of a payment is told by the latest row of its decision (`fraud_reported_at`) and by whoever
reviewed it: fraud when somebody claimed it and nobody disproved it, or a reviewer found it to be and nobody knew better
later; genuine when it is old enough and nobody did.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import Any, Final

from shared.domain.counts import Count, Interval
from shared.domain.events import PaymentStep
from shared.domain.labels import FRAUD_CLASSES, OF_REVIEW, LabelSource
from shared.fraud.expressions import sql_of
from shared.fraud.features import NAMES, SCHEMA_VERSION
from shared.fraud.policy import SEVERITY
from shared.fraud.rules import Rule, Scope

MOST_GROUPS: Final = 20_000
"""Combinations of rules, outcomes, fates and currencies that an answer is made of, at most."""


class Fate(StrEnum):
    """What became of a payment, as far as we know."""

    FRAUD = "fraud"
    GENUINE = "genuine"
    EARLY_FRAUD = "early_fraud"  # known as fraud before it is old enough: of its age, nobody knows the genuine ones yet
    YOUNG = "young"  # nobody has said anything, and it is not old enough for that to mean anything
    UNTOLD = "untold"  # the issuer refused it, or nobody told us what became of it, and no reviewer: it has no label


REVIEWED_WITHIN: Final = timedelta(days=7)
"""After the last payment of a question: reviewers' words are looked for until then. They are promised within hours."""

VERDICTS_SQL: Final = f"""LEFT JOIN (
  SELECT SUBSTR(label_id, 1, LENGTH(label_id) - {len(OF_REVIEW)}) AS reviewed, label AS verdict, UNIX_MICROS(known_at) AS verdict_us
  FROM fraud_labels
  WHERE known_at >= @since AND known_at < @reviewed_until AND source = '{LabelSource.MANUAL_REVIEW}'
  QUALIFY ROW_NUMBER() OVER (PARTITION BY label_id ORDER BY known_at) = 1
) AS said ON said.reviewed = told.event_id"""  # noqa: S608 - constants of ours
"""What reviewers said of the decisions of `told`: a word of theirs bears the id of the decision that asked for it."""

# Of two words the later one counts. A claim that fell (`claims_revision` without `fraud_reported_at`) fell after the review.
_FOUND = f"COALESCE(verdict IN {tuple(map(str, FRAUD_CLASSES))}, FALSE)"
_FRAUD = f"""CASE
    WHEN fraud_reported_at IS NULL THEN COALESCE(claims_revision, 0) = 0 AND {_FOUND}
    ELSE {_FOUND} OR COALESCE(verdict_us, 0) < UNIX_MICROS(fraud_reported_at) END"""

FATE_SQL: Final = f"""CASE
  WHEN {_FRAUD} THEN
    CASE WHEN occurred_at <= @matured_until THEN '{Fate.FRAUD}' ELSE '{Fate.EARLY_FRAUD}' END
  WHEN (last_step IS NULL OR last_step = '{PaymentStep.DECLINED}') AND verdict IS NULL THEN '{Fate.UNTOLD}'
  WHEN occurred_at <= @matured_until THEN '{Fate.GENUINE}'
  ELSE '{Fate.YOUNG}' END"""
"""Of a row of `LAST_TOLD_SQL` beside `VERDICTS_SQL`."""

LAST_TOLD_SQL: Final = """SELECT {columns}, MAX(step) OVER (PARTITION BY event_id) AS last_step
  FROM fraud_decisions
  WHERE occurred_at >= @since AND occurred_at < @until AND sample >= @from_sample AND sample <= @sample
  QUALIFY ROW_NUMBER() OVER (
    PARTITION BY event_id ORDER BY COALESCE(claims_revision, 0) DESC, linked_event_id DESC, decided_at
  ) = 1"""
"""Each decision once, as it was told last."""


def backtest_sql(candidates: Sequence[Rule], live: Sequence[Rule]) -> tuple[str, dict[str, str]]:
    """The query of `candidates` beside the `live` rules over decisions on payments from @since to before @until whose
    `sample` lies from @from_sample to @sample, and the parameters that it has beside those, @matured_until and @reviewed_until: a row for each combination of `held` (a digit a
    rule, the candidates' first; null where a decision has features of another schema), `outcome`, `fate` and `currency`,
    with how many `payments` there are and the sum of their amounts, `minor`."""
    texts: dict[str, str] = {}

    def parameter(text: str) -> str:
        return f"@{texts.setdefault(text, f'text_{len(texts)}')}"

    held = ",\n      ".join(
        f"CASE WHEN ({sql_of(rule.tree, _recorded)}) AND {_not_snoozed(parameter(rule.code))}"
        f"{''.join(f' AND {part}' for part in _within(rule.scope, parameter))} THEN '1' ELSE '0' END"
        for rule in (*candidates, *live)
    )
    columns = (
        "event_id, occurred_at, fraud_reported_at, claims_revision, outcome, amount, schema_version, features, listed, "
        "provider, account, country, initiator, product"
    )
    sql = f"""SELECT held, outcome, fate, currency, COUNT(*) AS payments, SUM(minor) AS minor
FROM (
  SELECT outcome, told.amount.currency AS currency, told.amount.minor AS minor,
    {FATE_SQL} AS fate,
    CASE WHEN schema_version = '{SCHEMA_VERSION}' THEN CONCAT(
      {held}
    ) END AS held
  FROM (
  {LAST_TOLD_SQL.format(columns=columns)}
  ) AS told
  {VERDICTS_SQL}
) AS tried
GROUP BY held, outcome, fate, currency
ORDER BY held, outcome, fate, currency
LIMIT {MOST_GROUPS + 1}"""  # noqa: S608 - compiled from checked trees and our own declarations, values are parameters
    return sql, {name: text for text, name in texts.items()}


_PLACES: Mapping[str, int] = {name: place for place, name in enumerate(NAMES)}


def _recorded(name: str) -> str:
    return f"told.features[OFFSET({_PLACES[name]})].value"


def _not_snoozed(code: str) -> str:
    return f"NOT EXISTS (SELECT 1 FROM UNNEST(told.listed) AS one WHERE one.rule = {code})"  # noqa: S608 - code is a parameter


def _within(scope: Scope, parameter: Callable[[str], str]) -> Iterable[str]:
    for column, named in (
        ("account", scope.accounts),
        ("provider", scope.providers),
        ("country", scope.countries),
        ("initiator", scope.initiators),
        ("product", scope.products),
    ):
        if named:
            yield f"{column} IN ({', '.join(map(parameter, named))})"


@dataclass(frozen=True, slots=True)
class Payments:
    """So many, and what they amount to: minor units of each currency."""

    payments: int = 0
    money: Mapping[str, int] = field(default_factory=dict)


Fates = dict[Fate, Payments]
"""What became of payments; a fate that none of them had is not in it."""


class Tally:
    """Adds up payments by what became of them."""

    def __init__(self) -> None:
        self._payments: dict[Fate, int] = {}
        self._money: dict[Fate, dict[str, int]] = {}

    def add(self, fate: Fate, currency: str | None, payments: int, minor: int | None) -> None:
        self._payments[fate] = self._payments.get(fate, 0) + payments
        if currency is not None and minor is not None:
            money = self._money.setdefault(fate, {})
            money[currency] = money.get(currency, 0) + minor

    @property
    def fates(self) -> Fates:
        return {
            fate: Payments(self._payments[fate], dict(sorted(self._money.get(fate, {}).items())))
            for fate in Fate
            if fate in self._payments
        }

    def of(self, *fates: Fate) -> int:
        return sum(self._payments.get(fate, 0) for fate in fates or Fate)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """What one rule would have done. hits: payments that it holds for, by what became of them. precision: the part of its
    hits that was fraud; caught: of all fraud that it holds for; hindered: of all genuine payments. All three with an
    interval and of payments that are old enough. alone: hits for which no live rule but itself holds. milder: hits that
    were answered more mildly than it asks for. beside: code of a live rule → for how many payments both hold."""

    code: str
    hits: int
    fates: Fates
    precision: Interval
    caught: Interval
    hindered: Interval
    alone: Fates
    milder: Fates
    beside: Mapping[str, int] = field(default_factory=dict)


def summed(
    rows: Iterable[Mapping[str, Any]], candidates: Sequence[Rule], live: Sequence[Rule]
) -> tuple[Fates, int, tuple[Tried, ...]]:
    """Of the answer to `backtest_sql`: what became of all payments that could be judged, how many could not, and what each
    candidate would have done."""
    whole, others = Tally(), 0
    hits, alone, milder = ([Tally() for _ in candidates] for _ in range(3))
    beside: list[dict[str, int]] = [{} for _ in candidates]
    for row in rows:
        payments = int(row["payments"])
        if row["held"] is None:
            others += payments
            continue
        told = (Fate(row["fate"]), row["currency"], payments, row["minor"])
        whole.add(*told)
        tried, standing = row["held"][: len(candidates)], row["held"][len(candidates) :]
        holding = [rule.code for rule, held in zip(live, standing, strict=True) if held == "1"]
        for place, rule in enumerate(candidates):
            if tried[place] != "1":
                continue
            hits[place].add(*told)
            if SEVERITY.index(row["outcome"]) < SEVERITY.index(rule.outcome):
                milder[place].add(*told)
            if not set(holding) - {rule.code}:
                alone[place].add(*told)
            for code in holding:
                beside[place][code] = beside[place].get(code, 0) + payments
    return (
        whole.fates,
        others,
        tuple(
            Tried(
                code=rule.code,
                hits=hits[place].of(),
                fates=hits[place].fates,
                precision=_share(hits[place].of(Fate.FRAUD), hits[place].of(Fate.FRAUD, Fate.GENUINE)),
                caught=_share(hits[place].of(Fate.FRAUD), whole.of(Fate.FRAUD)),
                hindered=_share(hits[place].of(Fate.GENUINE), whole.of(Fate.GENUINE)),
                alone=alone[place].fates,
                milder=milder[place].fates,
                beside=dict(sorted(beside[place].items())),
            )
            for place, rule in enumerate(candidates)
        ),
    )


def _share(with_it: int, of: int) -> Interval:
    return Count(of=of, with_it=with_it).interval
