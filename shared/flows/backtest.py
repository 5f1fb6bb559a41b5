"""Rules are tried on what was decided already: one question to the warehouse, and what it would have meant."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from shared.domain.errors import Rejected
from shared.domain.telemetry import fact
from shared.flows.ports import ASKED, Ports, Warehouse
from shared.fraud.backtest import MOST_GROUPS, REVIEWED_WITHIN, Fates, Tried, backtest_sql, summed
from shared.fraud.book import Book
from shared.fraud.features import SCHEMA_VERSION
from shared.fraud.rules import Rule, State, Table

MATURITY: Final = timedelta(days=60)
"""How old a payment is before no news means that it was genuine: as training has it."""

LONGEST: Final = timedelta(days=92)
MOST_DECISIONS: Final = 2_000_000
"""Of a window with more of them a part is looked at: a share of all payments, by the hash of their events' ids."""

LONGEST_SQL: Final = 900_000
"""BigQuery takes a megabyte of SQL."""

SAMPLES: Final = 256

COUNT_SQL = f"""SELECT COUNT(DISTINCT event_id) AS payments FROM fraud_decisions
WHERE occurred_at >= @since AND occurred_at < @until AND schema_version = '{SCHEMA_VERSION}' AND sample = '00'"""  # noqa: S608 - a constant of ours


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """Decisions on payments from `since` to before `until`, whenever they were made. maturity: `MATURITY`."""

    since: datetime
    until: datetime
    maturity: timedelta = MATURITY

    def checked(self, longest: timedelta) -> "Window":
        """Itself. Raises Rejected for one that holds nothing, or more than may be asked at once."""
        if not timedelta(0) < self.until - self.since <= longest:
            raise Rejected(f"until comes after since, by {longest.days} days at most", reason="bad_window")
        return self

    def parameters(self, now: datetime) -> dict[str, datetime]:
        return {
            "since": self.since,
            "until": self.until,
            "matured_until": now - self.maturity,
            "reviewed_until": self.until + REVIEWED_WITHIN,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Backtested:
    """What `rules` would have done in the window. share: the part of the payments that were looked at; counts and money are of
    that part. fates: what became of all of them. other_versions: decisions whose features are not those of this release, on
    which no rule of today can be tried."""

    since: datetime
    until: datetime
    matured_until: datetime
    share: float
    fates: Fates
    other_versions: int
    rules: tuple[Tried, ...]


def backtest(ports: Ports, candidates: Sequence[Rule], standing: Book, window: Window, now: datetime) -> Backtested:
    """Try each of `candidates` as if it had been live, alone, beside the rules of `standing` that are. Snoozes count that stood
    when a decision was made. Raises Rejected for what cannot be tried, Unavailable when it takes too long."""
    try:
        Table(candidates)
    except ValueError as error:
        raise Rejected(str(error), reason="bad_rule") from error
    live = [rule for rule in standing.contents.rules if rule.state is State.LIVE]
    sql, texts = backtest_sql(candidates, live)
    if len(sql) > LONGEST_SQL:
        raise Rejected("these are too many conditions for one question: try fewer rules at once", reason="bad_call")
    parameters = window.checked(LONGEST).parameters(now)
    sample = sample_of(ports.warehouse, window.since, window.until, MOST_DECISIONS)
    rows = ports.warehouse.query(sql, {**parameters, **texts, "from_sample": "00", "sample": sample}, bound=ASKED)
    if len(rows) > MOST_GROUPS:
        raise Rejected("these rules hold in too many combinations: try fewer at once", reason="bad_call")
    fates, others, tried = summed(rows, candidates, live)
    fact("rules_backtested", rules=len(candidates), payments=sum(one.payments for one in fates.values()))
    return Backtested(
        since=window.since,
        until=window.until,
        matured_until=parameters["matured_until"],
        share=share_of(sample),
        fates=fates,
        other_versions=others,
        rules=tried,
    )


def sample_of(warehouse: Warehouse, since: datetime, until: datetime, most: int) -> str:
    """Decisions' greatest `sample`, so that about `most` of the time are looked at."""
    [counted] = warehouse.query(COUNT_SQL, {"since": since, "until": until})
    parts = min(max(most // max(int(counted["payments"]), 1), 1), SAMPLES)
    return f"{parts - 1:02x}"


def share_of(sample: str) -> float:
    return (int(sample, 16) + 1) / SAMPLES
