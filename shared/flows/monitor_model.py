"""Every few minutes: is somebody trying out cards, and does a canary approve as the champion does? Once a day: is what the
model sees and says still what it was judged on, and is as much approved as the weeks before say?

What is measured becomes rows of `model_health`, and what is unusual an alarm:

| measure | of what | unusual |
|---|---|---|
| `stability`, `distance` | each feature, and `score`, against what the champion was judged on | from an index of 0.25 |
| `approved`, `declined` | all payments; each account, country, network; each of the three together | out of the band of the same weekday of the weeks before |
| `challenger_approved`, `challenger_agrees` | what the challenger would have approved, and where both say the same | – |
| `skew`, `skew_natural` | how many of a sample of decisions, and of which features, are not what the rows say; by cause, where it is a natural one (`shared.flows.skew`) | any |
| `cohort_precision`, `cohort_recall`, `cohort_money`, `cohort_average_precision` | a week's decisions, as their labels were known so many days after it (`AGES`), with 95 % intervals (`shared.learning.cohort`) | – |
| `challenger_money`, `challenger_average_precision` | by how much more of the fraud's money the challenger catches than the champion on that week's payments, where both hinder as many, and how much better it ranks | – |
| `canary` | by how much more the canary approves than the champion | beyond a hundredth: the canary ends |
| `programme_items`, `programme_ratio` | each account in each network's monitoring programme: how many items there will be at the month's end, and of how many payments (`shared.disputes.programmes`) | – |
| `programme_left` | how many more items until it is in the programme | the forecast's interval reaches it |
| `readiness`, `readiness_unfit` | by network's rule, what share of all subscribers who pay through it could be defended were their newest payment called fraud; and of what share of the others an earlier payment cannot be used, by why (`shared.flows.readiness`) | – |
| `deadlines_at_risk` | each queue of open disputes: how many will miss their deadline at the pace at which it is answered (`shared.disputes.at_risk`) | some would at the quickest plausible pace too |
| `deadline_at_risk` | each of those, with its queue: the hours that are left; of as many as are due until then | – |
| `rule_hits`, `rule_precision`, `rule_dead` | each rule that judged, in its version (`shared.flows.rule_health`) | – |
| `table_rows` | each table that marts and models are made of: the day's rows (`shared.flows.freshness`) | less than half of the fewest of the same weekday |
| `table_stale` | each in which nothing happened for longer than it ever should: for how many hours | always |
| `attack` | new cards on one BIN, device or address | a burst (`shared.fraud.attacks`) |
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import msgspec

from shared.disputes import at_risk
from shared.disputes.programmes import COUNTS_SQL, asked_at, standings
from shared.domain.codec import decode, encode
from shared.domain.decisions import CHALLENGER_DIGITS, Outcome
from shared.domain.errors import Rejected
from shared.domain.events import PaymentStep
from shared.domain.health import HealthMeasured
from shared.domain.instants import MICROSECOND
from shared.domain.telemetry import alarm, fact
from shared.flows import cohorts, freshness, readiness, rule_health
from shared.flows.backtest import sample_of
from shared.flows.challengers import give_share, line_in
from shared.flows.champions import TRAINED, Line, usable
from shared.flows.cohorts import both_of
from shared.flows.committing import Decision as Effect
from shared.flows.committing import Seen, change, write
from shared.flows.ports import Key, Message, Ports, Snapshot
from shared.flows.scorer import CHAMPION
from shared.flows.skew import audit
from shared.fraud import attacks
from shared.fraud.attacks import NEWCOMERS_SQL, Newcomers, bursts
from shared.fraud.features import NAMES, SCHEMA_VERSION

TOPIC = "model-health"
HEALTH = Key("registry", "health")
DAY = timedelta(days=1)
FROM_HOUR = 4
"""UTC: by then what happened yesterday has come, but for what comes days late."""

WEEKS = 5
VECTORS = 20_000
"""Vectors that a day's spread is measured on, and that are computed again, at most about so many."""

GUARD = 0.01
"""By how much a canary's approval rate may differ from the champion's."""

AGES = (7, 14, 30, 60, 90)
"""Days after the end of a week at which its decisions are measured: once each, by what was known then."""

LEAST_CANARY = 500
NAMED = 5

TICK_MINUTES = 15

CATCH_UP = 7 * DAY
"""How far back days are measured that nobody measured: each of them may be the one on which a week is as old as one of `AGES`."""

UNTRAINED = 2 * DAY
"""Since the last training that came to its end, whatever it said of its model: one night may be missed."""

_OF_THE_DAY = "occurred_at >= @since AND occurred_at < @until"

RATES_SQL = f"""SELECT provider, account, country, network, COUNT(*) AS payments,
  SUM(CASE WHEN outcome = '{Outcome.APPROVE}' THEN 1 ELSE 0 END) AS approved,
  SUM(CASE WHEN outcome = '{Outcome.DECLINE}' THEN 1 ELSE 0 END) AS declined
FROM (
  SELECT provider, account, country, network, outcome FROM fraud_decisions WHERE {_OF_THE_DAY}
  QUALIFY ROW_NUMBER() OVER (PARTITION BY event_id ORDER BY decided_at) = 1
) AS decided
GROUP BY provider, account, country, network"""  # noqa: S608 - constants of ours

# The same weekday of the weeks before.
BEFORE_SQL = f"""SELECT measure, subject, value, payments FROM model_health
WHERE day IN ({", ".join(f"@week_{week}" for week in range(1, WEEKS + 1))}) AND measure IN ('approved', 'declined')
QUALIFY ROW_NUMBER() OVER (PARTITION BY row_id ORDER BY measured_at DESC) = 1"""  # noqa: S608 - constants of ours

# Of what issuers refused nothing was learned: it has no label.
VECTORS_SQL = f"""SELECT decided.score,
  {", ".join(f"decided.features[OFFSET({place})].value AS {name}" for place, name in enumerate(NAMES))}
FROM (
  SELECT step, score, features FROM fraud_decisions
  WHERE {_OF_THE_DAY} AND schema_version = '{SCHEMA_VERSION}' AND sample <= @sample AND model_digest = @model
  QUALIFY ROW_NUMBER() OVER (PARTITION BY event_id ORDER BY CASE WHEN linked_event_id IS NULL THEN 1 ELSE 0 END) = 1
) AS decided
WHERE step <> '{PaymentStep.DECLINED}'"""  # noqa: S608 - constants of ours

SHADOW_SQL = f"""SELECT COUNT(*) AS payments,
  SUM(CASE WHEN other < @challenger_from THEN 1 ELSE 0 END) AS approved,
  SUM(CASE WHEN (own < @champion_from) = (other < @challenger_from) THEN 1 ELSE 0 END) AS agreed
FROM (
  SELECT CASE WHEN challenger = @challenger THEN score ELSE challenger_score END AS own,
    CASE WHEN challenger = @challenger THEN challenger_score ELSE score END AS other
  FROM fraud_decisions
  WHERE {_OF_THE_DAY} AND challenger IN (@champion, @challenger)
    AND SUBSTR(model_digest, 1, {CHALLENGER_DIGITS}) IN (@champion, @challenger)
  QUALIFY ROW_NUMBER() OVER (PARTITION BY event_id ORDER BY decided_at) = 1
) AS asked"""  # noqa: S608 - constants of ours

# Whoever is named as the other one did not decide.
CANARY_SQL = f"""SELECT challenger = @champion AS canary, COUNT(DISTINCT event_id) AS payments,
  COUNT(DISTINCT CASE WHEN outcome = '{Outcome.APPROVE}' THEN event_id END) AS approved
FROM fraud_decisions
WHERE {_OF_THE_DAY} AND challenger IN (@champion, @challenger)
GROUP BY challenger"""  # noqa: S608 - constants of ours


class HealthRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """day: measure this day (UTC, past), again if need be; without it each day up to yesterday is measured, once."""

    day: date | None = None


class _State(msgspec.Struct, frozen=True):
    """measured: the last day that was. owed: earlier ones that were not."""

    measured: date
    owed: tuple[date, ...] = ()

    def after(self, day: date) -> "_State":
        """When `day` was measured."""
        if day <= self.measured:
            return _State(self.measured, tuple(one for one in self.owed if one != day))
        between = (self.measured + number * DAY for number in range(1, (day - self.measured).days))
        return _State(day, tuple(one for one in (*self.owed, *between) if one > day - CATCH_UP))


def monitor_model(ports: Ports, now: datetime, parameters: bytes = b"") -> list[HealthMeasured]:
    """Look for attacks, guard a canary, and from `FROM_HOUR` on measure the day before, once. Days on which that did not come
    to pass (nobody ran, or nobody answered) are measured after it, one a run, `CATCH_UP` back. Answers what was measured.

    parameters: JSON of `HealthRequest`. A repeated tick tells the same rows again under the same ids; a canary is ended and
    told of once. Raises Rejected for parameters that do not fit, Unavailable when a part of the world is down.
    """
    asked = _read(parameters)
    if asked.day is not None and asked.day >= now.date():
        raise Rejected(f"{asked.day} is not over", reason="bad_health_request")
    [registry, health, trained] = ports.documents.get([CHAMPION, HEALTH, TRAINED])
    line = line_in(registry)
    found = [*_attacks(ports, now), *_guarded(ports, line, now), *_stale(ports, now)]
    _tell(ports, found)
    day, yesterday = asked.day, (now - DAY).date()
    if day is None and now.hour >= FROM_HOUR:
        day = _due(health, yesterday)
    if day is not None:
        if day == yesterday:  # once a day, whatever else is owed
            _watch_training(trained, now)
        measured = _day(ports, line, day, now)
        _tell(ports, measured)
        _remember(ports, day)
        found += measured
    # After the rest, which does not wait for it: it has the one query that may take longer than a run, and the next run goes on.
    if asked.day is not None:
        found += _readiness(ports, _Rows.of(asked.day, now, line))
    elif now.hour >= FROM_HOUR:
        found += _flagged(ports, _Rows.of((now - DAY).date(), now, line))
    return found


def _due(health: Snapshot | None, yesterday: date) -> date | None:
    """The day that is to be measured next."""
    if health is None:
        return yesterday
    state = _state(health)
    return yesterday if state.measured < yesterday else min(state.owed, default=None)


def _state(health: Snapshot) -> "_State":
    return msgspec.convert(health.document, _State, strict=False)


def _watch_training(trained: Snapshot | None, now: datetime) -> None:
    """A night's rest is longer than Monitoring can miss a job's end: told here, once a day. Where nobody ever trained,
    `scoring_without_model` calls."""
    if trained is not None and now - trained.document["trained_at"] > UNTRAINED:
        days = (now - trained.document["trained_at"]) // DAY
        alarm("training_stands_still", days=days)


def _read(parameters: bytes) -> HealthRequest:
    try:
        return msgspec.json.decode(parameters or b"{}", type=HealthRequest)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Rejected(f"not a health request: {error}", reason="bad_health_request") from error


def _tell(ports: Ports, rows: Sequence[HealthMeasured]) -> None:
    if rows:
        ports.bus.publish([Message(TOPIC, encode(row), {"measure": row.measure}) for row in rows])


def _remember(ports: Ports, day: date) -> None:
    def effect(seen: Seen) -> Effect[None]:
        before = seen[HEALTH]
        known = _state(before) if before else _State(day)
        after = known.after(day)
        if before is not None and after == known:
            return Effect(None)
        return Effect(None, [write(HEALTH, before, msgspec.to_builtins(after))])

    change(ports.documents, [HEALTH], effect)


@dataclass(frozen=True, slots=True)
class _Rows:
    """Makes rows of one day."""

    day: datetime
    now: datetime
    model: str | None

    @classmethod
    def of(cls, day: date, now: datetime, line: Line) -> "_Rows":
        return cls(datetime.combine(day, time(), UTC), now, line.current.digest if line.current else None)

    @property
    def within(self) -> dict[str, datetime]:
        return {"since": self.day, "until": self.day + DAY}

    def row(
        self,
        measure: str,
        subject: str,
        value: float,
        payments: int,
        *,
        usual: tuple[float, float] | None = None,
        unusual: bool = False,
        model: str | None = None,
    ) -> HealthMeasured:
        low, high = usual or (None, None)
        return HealthMeasured(
            row_id=f"{self.day:%Y-%m-%d}/{measure}/{subject}",
            day=self.day,
            measured_at=self.now,
            measure=measure,
            subject=subject,
            model=model or self.model,
            value=value,
            low=low,
            high=high,
            payments=payments,
            unusual=unusual,
        )


def _attacks(ports: Ports, now: datetime) -> list[HealthMeasured]:
    rows = ports.warehouse.query(NEWCOMERS_SQL, attacks.asked_at(now))
    found = bursts(map(Newcomers.of, rows))
    fact("attacks_watched", bursts=len(found))
    make = _Rows.of(now.date(), now, Line())
    for burst in found:
        # A device's id and an address are personal: whoever is called finds them in the row.
        alarm(
            "attack_suspected",
            kind=burst.kind,
            bin=burst.value if burst.kind == "bin" else None,
            cards=burst.cards,
            refused=burst.refused,
            doubted=burst.doubted,
            usual=round(burst.usual, 1),
        )
    return [
        make.row("attack", f"{burst.kind} {burst.value}", burst.cards, burst.cards, unusual=True) for burst in found
    ]


def _stale(ports: Ports, now: datetime) -> list[HealthMeasured]:
    """Tables in which nothing happens any more; looked for at the first tick of each hour."""
    if now.minute >= TICK_MINUTES:
        return []
    make = _Rows.of(now.date(), now, Line())
    found = list(freshness.silences(ports.warehouse, now))
    for one in found:
        alarm("table_stale", table=one.table, hours=one.hours)
    return [make.row("table_stale", one.table, one.hours, 0, unusual=True) for one in found]


def _volumes(ports: Ports, make: _Rows) -> Iterator[HealthMeasured]:
    for one in freshness.volumes(ports.warehouse, make.day):
        low = None if one.least is None else one.least / 2
        row = make.row("table_rows", one.table, one.rows, one.rows, unusual=one.thin)
        # Of no model, and with no upper limit: more than usual is no trouble of the table's.
        yield replace(row, model=None, low=low)


def _guarded(ports: Ports, line: Line, now: datetime) -> list[HealthMeasured]:
    """The canary, ended where it approves otherwise than the champion, beyond chance and by more than `GUARD`."""
    if line.canary is None or line.challenger is None or line.current is None:
        return []
    from shared.learning.health import Count, difference

    rows = ports.warehouse.query(
        CANARY_SQL, {"since": max(line.canary.since, now - DAY), "until": now, **both_of(line)}
    )
    arms = {bool(row["canary"]): Count(of=row["payments"], with_it=row["approved"]) for row in rows}
    if min((arms[arm].of if arm in arms else 0) for arm in (True, False)) < LEAST_CANARY:
        return []
    apart = difference(arms[True], arms[False])
    ends = apart.low > GUARD or apart.high < -GUARD
    if ends and give_share(ports.documents, now, line.challenger.digest, 0.0):
        alarm(
            "canary_ended",
            digest=line.challenger.digest,
            approved=round(arms[True].rate, 4),
            champion_approved=round(arms[False].rate, 4),
            payments=arms[True].of,
        )
    usual = (apart.low, apart.high)
    make = _Rows.of(now.date(), now, line)
    return [
        make.row(
            "canary", "approved", apart.estimate, arms[True].of, usual=usual, unusual=ends, model=line.challenger.digest
        )
    ]


def _day(ports: Ports, line: Line, day: date, now: datetime) -> list[HealthMeasured]:
    make = _Rows.of(day, now, line)
    sample = sample_of(ports.warehouse, make.day, make.day + DAY, VECTORS)
    measured = [*_spreads(ports, line, make, sample), *_rates(ports, make), *_shadow(ports, line, make)]
    measured += [*_skew(ports, make, sample), *_programmes(ports, make)]
    measured += _at_risk(ports, make)
    measured += _cohorts(ports, line, make)
    measured += _rules(ports, make)
    measured += _volumes(ports, make)
    told: Mapping[str, Callable[[str, int], None]] = {
        "stability": lambda worst, count: alarm("model_drifted", subjects=count, worst=worst),
        "approved": lambda worst, count: alarm("rates_unusual", subjects=count, worst=worst),
        "declined": lambda worst, count: alarm("rates_unusual", subjects=count, worst=worst),
        "skew": lambda worst, count: alarm("features_skewed", subjects=count, worst=worst),
        "deadlines_at_risk": lambda worst, count: alarm("deadlines_at_risk", subjects=count, worst=worst),
        "programme_left": lambda worst, count: alarm("programme_at_risk", subjects=count, worst=worst),
        "table_rows": lambda worst, count: alarm("table_thin", subjects=count, worst=worst),
    }
    for measure, tell in told.items():
        if unusual := [row for row in measured if row.measure == measure and row.unusual]:
            ranked = sorted(unusual, key=lambda row: (-row.payments, -row.value, row.subject))[:NAMED]
            tell("; ".join(f"{measure} {row.subject} {row.value:.3f}" for row in ranked), len(unusual))
    scores = {row.measure: row.value for row in measured if row.subject == "score"}
    fact("model_measured", day=day.isoformat(), rows=len(measured), score_stability=scores.get("stability"))
    return measured


def _spreads(ports: Ports, line: Line, make: _Rows, sample: str) -> Iterator[HealthMeasured]:
    """Features and scores of a sample of the day, against what the champion was judged on."""
    if line.current is None or line.current.reference is None:
        return
    import numpy as np

    from shared.learning.health import ACT, LEAST_SPREAD, Reference

    reference = decode(ports.models.load(line.current.reference), Reference)
    rows = ports.warehouse.query(VECTORS_SQL, {**make.within, "sample": sample, "model": line.current.digest})
    spreads = {**reference.features, "score": reference.score}
    for name, spread in spreads.items():
        drift = spread.drift(np.array([row[name] for row in rows], dtype=np.float64))
        unusual = len(rows) >= LEAST_SPREAD and drift.stability >= ACT
        yield make.row("stability", name, drift.stability, len(rows), usual=(0.0, ACT), unusual=unusual)
        yield make.row("distance", name, drift.distance, len(rows))


def _skew(ports: Ports, make: _Rows, sample: str) -> Iterator[HealthMeasured]:
    """Decisions of the day computed again from the rows: what training would learn from, beside what was served."""
    found = audit(ports.warehouse, make.day, make.day + DAY, sample)
    if not found.compared:
        return
    for subject, count in {"all": found.different, **found.by_feature}.items():
        yield make.row("skew", subject, count, found.compared, usual=(0.0, 0.0), unusual=count > 0)
    for cause, count in found.natural.items():
        yield make.row("skew_natural", cause, count, found.compared)


def _programmes(ports: Ports, make: _Rows) -> Iterator[HealthMeasured]:
    """Where each account stands with the networks when the day ends; payments: the items that there are by then."""
    end = make.day + DAY - timedelta(microseconds=1)
    for one in standings(ports.warehouse.query(COUNTS_SQL, asked_at(end)), end):
        subject = f"{one.programme} {one.provider}:{one.account}"
        usual = (float(one.low), float(one.high))
        yield make.row("programme_items", subject, one.forecast, one.items, usual=usual)
        yield make.row("programme_left", subject, one.left, one.items, unusual=one.at_risk)
        if one.ratio_forecast is not None:
            yield make.row("programme_ratio", subject, one.ratio_forecast, one.items)


def _flagged(ports: Ports, make: _Rows) -> list[HealthMeasured]:
    """Who could be defended at the end of that day: derived and told of once."""
    if readiness.is_flagged(ports, make.day):
        return []
    readiness.flag(ports, make.day)
    told = _readiness(ports, make)
    readiness.flagged(ports, make.day)
    return told


def _readiness(ports: Ports, make: _Rows) -> list[HealthMeasured]:
    """Of everybody, by the flags of that day, as long as they are kept; payments: how many subscribers."""
    told = []
    for one in readiness.measured(ports.warehouse, make.day):
        short = one.subscribers - one.ready
        told.append(make.row("readiness", one.rule, one.ready / one.subscribers, one.subscribers))
        told += [
            make.row("readiness_unfit", f"{one.rule}: {why}", count / short, short) for why, count in one.unfit.items()
        ]
    # No model's: a network's rule is the same whoever decides.
    rows = [replace(row, model=None) for row in told]
    _tell(ports, rows)
    return rows


def _at_risk(ports: Ports, make: _Rows) -> Iterator[HealthMeasured]:
    """Disputes that will miss their deadline, as it stands when the day ends; none of a queue that keeps up."""
    end = make.day + DAY
    rows = ports.warehouse.query(at_risk.AT_RISK_SQL, at_risk.asked_at(end))
    for queue in at_risk.DAYS:
        mine = [row for row in rows if row["queue"] == queue]
        calls = any(row["calls"] for row in mine)
        cases = max((row["cases"] for row in mine), default=0)
        yield make.row("deadlines_at_risk", queue, cases, cases, unusual=calls)
        for row in mine:
            subject = f"{queue} {row['provider']}:{row['dispute_id']}"
            left = (row["respond_by"] - end) / timedelta(hours=1)
            yield make.row("deadline_at_risk", subject, left, row["place"])


def _cohorts(ports: Ports, line: Line, make: _Rows) -> Iterator[HealthMeasured]:
    """The weeks, from Monday to Sunday (UTC), that are as old as one of `AGES` when the day ends."""
    as_of = make.day + DAY
    for age in AGES:
        end = as_of - age * DAY
        if end.weekday() != 0:
            continue
        cohort = cohorts.read(ports.warehouse, line, end - 7 * DAY, end - MICROSECOND, as_of)
        subject = f"week from {end - 7 * DAY:%Y-%m-%d} after {age} days"
        found = cohort.performance()
        if found is not None:
            yield from (
                make.row(f"cohort_{name}", subject, one.estimate, cohort.payments, usual=(one.low, one.high))
                for name, one in (
                    ("precision", found.precision),
                    ("recall", found.recall),
                    ("money", found.money),
                    ("average_precision", found.average_precision),
                )
                if one is not None
            )
        compared = cohort.comparison()
        if compared is not None and line.challenger is not None:
            for name, apart in (("money", compared.money), ("average_precision", compared.average_precision)):
                yield make.row(
                    f"challenger_{name}",
                    subject,
                    apart.estimate,
                    compared.payments,
                    usual=(apart.low, apart.high),
                    model=line.challenger.digest,
                )


def _rules(ports: Ports, make: _Rows) -> Iterator[HealthMeasured]:
    for one in rule_health.measured(ports, make.day):
        # No model's: the champion has no part in it.
        yield replace(make.row(one.measure, one.subject, one.value, one.payments, usual=one.usual), model=None)


def _rates(ports: Ports, make: _Rows) -> Iterator[HealthMeasured]:
    from shared.learning.health import Count, band

    today: dict[tuple[str, str], Count] = {}
    for row in ports.warehouse.query(RATES_SQL, make.within):
        for measure in ("approved", "declined"):
            count = Count(of=row["payments"], with_it=row[measure])
            for segment in _segments(row):
                today[measure, segment] = today.get((measure, segment), Count(of=0, with_it=0)) + count
    weeks = {f"week_{week}": make.day - week * 7 * DAY for week in range(1, WEEKS + 1)}
    before: dict[tuple[str, str], list[Count]] = {}
    for row in ports.warehouse.query(BEFORE_SQL, weeks):
        count = Count(of=row["payments"], with_it=round(row["value"] * row["payments"]))
        subject = row["measure"], row["subject"]
        before[subject] = [*before.get(subject, ()), count]
    for (measure, segment), count in sorted(today.items()):
        usual = band(before.get((measure, segment), ()), count.of)
        unusual = usual is not None and not usual[0] <= count.rate <= usual[1]
        yield make.row(measure, segment, count.rate, count.of, usual=usual, unusual=unusual)


def _segments(row: Mapping[str, Any]) -> Sequence[str]:
    account = f"{row['provider']}:{row['account']}"
    country, network = (row[name] or "not told" for name in ("country", "network"))
    return (
        "all",
        f"account {account}",
        f"country {country}",
        f"network {network}",
        f"{account} {country} {network}",
    )


def _shadow(ports: Ports, line: Line, make: _Rows) -> Iterator[HealthMeasured]:
    """What the challenger said of the day's payments, by its own thresholds, whoever decided."""
    if line.challenger is None or line.current is None:
        return
    champion, challenger = (usable(ports.models, one.digest) for one in (line.current, line.challenger))
    if champion is None or challenger is None:
        return
    [asked] = ports.warehouse.query(
        SHADOW_SQL,
        {
            **make.within,
            **both_of(line),
            "champion_from": champion.thresholds.challenge,
            "challenger_from": challenger.thresholds.challenge,
        },
    )
    payments = int(asked["payments"])
    for measure, counted in (("challenger_approved", asked["approved"]), ("challenger_agrees", asked["agreed"])):
        if payments:
            yield make.row(measure, "all", counted / payments, payments, model=challenger.digest)
