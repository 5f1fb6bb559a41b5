"""Do providers still send what they usually send? Each hour, of all that each sends and of each type of it.

The day's deliveries are counted out of the warehouse, by the quarter of an hour. A day that is over is counted once more and
told as rows of `provider_traffic`, from which later days know what is usual (`shared.learning.expectation`). So each look
reads the deliveries of one day, and of the days before only what was counted of them.

Canaries, what is of the other mode and what was published again later are left out. A silence is told once, with its end; its
days are not learned from, so that it never becomes usual by itself: a person says that it is (`accept`). Of a provider that is
parked nothing is told: somebody is at it.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING

import msgspec

from shared.domain.codec import encode, from_document, to_document
from shared.domain.delivery import DeliveryOutcome
from shared.domain.errors import Rejected
from shared.domain.telemetry import alarm, fact
from shared.domain.traffic import TrafficCounted
from shared.flows.committing import Decision, Seen, change, write
from shared.flows.parked import parked_key
from shared.flows.ports import ASKED, Documents, Key, Message, Ports, Warehouse

if TYPE_CHECKING:
    from shared.learning.expectation import Judgement, Past

TOPIC = "provider-traffic"
STATE = Key("registry", "traffic")
DAY, HOUR = timedelta(days=1), timedelta(hours=1)
QUARTERS = 96
SETTLED = timedelta(minutes=2)
"""What came until so long ago is in the warehouse."""

REPLAYED_AFTER = 600
"""Seconds after its receipt from which a row is one that was published again."""

CATCH_UP = 7
"""Days that one query counts, and that a look counts by itself where looks were missed."""

AT_FIRST = 91
"""Days before the first look that it counts: as many as are learned from."""

LOOKED_BACK = 120
"""Days before a silence, or today, of which counts are read."""

HURRY = 10
"""Deliveries an hour from which a suspicion is looked at with each tick, and not with the next hour."""

NAMED = 5

_HEARD = ", ".join(f"'{one}'" for one in (DeliveryOutcome.ACCEPTED, DeliveryOutcome.IGNORED, DeliveryOutcome.UNPARSED))

# An empty type is the delivery itself, whatever is in it.
COUNTED_SQL = f"""SELECT provider, type, DIV(TIMESTAMP_DIFF(received_at, @since, MILLISECOND), 900000) AS quarter,
  COUNT(*) AS deliveries
FROM deliveries CROSS JOIN UNNEST(ARRAY_CONCAT([''], types)) AS type
WHERE received_at >= @since AND received_at < @until AND outcome IN ({_HEARD})
  AND TIMESTAMP_DIFF(COALESCE(publish_time, received_at), received_at, MILLISECOND) < {REPLAYED_AFTER}000
GROUP BY provider, type, quarter"""  # noqa: S608 - constants of ours

# Before @recent only of those who are silent since then, and on which days anything was counted.
PAST_SQL = """SELECT provider, type, day, hours FROM provider_traffic
WHERE day >= @since AND day < @until
  AND (day >= @recent OR provider = '' OR STRPOS(@silent, CONCAT(' ', provider, ' ')) > 0)
QUALIFY ROW_NUMBER() OVER (PARTITION BY row_id ORDER BY counted_at DESC) = 1"""

TYPES_SQL = """SELECT DISTINCT type FROM provider_traffic
WHERE day >= @since AND day < @until AND provider = @provider AND type <> ''
ORDER BY type"""


class TrafficRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """since: count the days from this one on (UTC, past) again, as after the warehouse was mended; `LOOKED_BACK` at most."""

    since: date | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Silence:
    """Of a provider's type, or of all of the provider, where the type is empty. since: when less began to come; told_at: when it
    was noticed. part: `gone` or `thin`. lost: how many deliveries less had come by then. aside: it is of a silence of the whole
    provider, and nobody was called for it. ended: when as many as ever came again, None while they do not."""

    provider: str
    type: str
    since: datetime
    told_at: datetime
    part: str
    lost: int
    aside: bool = False
    ended: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """A provider at the last look. heard, expected: of the day until then; expected is None where too little is known, and why
    says so. expecting: of how many of its types something is expected, of so many `types`."""

    heard: int
    expected: float | None
    why: str | None
    expecting: int
    types: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What is remembered from look to look. counted: the last day of which rows were told. hurry: whether something is suspected
    that the next minutes may show. usual_from: by provider and type, the day from which on what comes is usual, because
    a person said so."""

    looked: datetime
    counted: date
    hurry: bool = False
    silences: tuple[Silence, ...] = ()
    usual_from: Mapping[str, Mapping[str, date]] = field(default_factory=dict)
    providers: Mapping[str, Outlook] = field(default_factory=dict)

    def open_of(self, provider: str) -> dict[str, Silence]:
        """By type, those of a provider that stand."""
        return {one.type: one for one in self.silences if one.provider == provider and one.ended is None}


Subject = tuple[str, str]
"""A provider and a type of its messages; no type: all of them, no provider: everybody."""

EVERYBODY: Subject = ("", "")


def watch_traffic(ports: Ports, now: datetime, parameters: bytes = b"") -> list[TrafficCounted]:
    """Look, unless somebody has within the hour and nothing is suspected; answers the days' rows that were told.

    parameters: JSON of `TrafficRequest`. A repeated tick looks once. Raises Rejected for parameters that do not fit,
    Unavailable when a part of the world is down; the next tick makes good for it.
    """
    asked = _read(parameters)
    today = now.date()
    if asked.since is not None and not DAY <= today - asked.since <= LOOKED_BACK * DAY:
        raise Rejected(f"{asked.since} is not of the {LOOKED_BACK} days before today", reason="bad_traffic_request")
    before = standing(ports.documents)
    if asked.since is None and before is not None and not _due(before, now):
        return []
    until = now - SETTLED
    if until.date() < today:  # just after midnight the day before is not whole yet
        return []
    if asked.since is not None:
        begins = asked.since
    elif before is None:
        begins = today - AT_FIRST * DAY
    else:
        begins = max(before.counted + DAY, today - CATCH_UP * DAY)
    counts = _counted(ports.warehouse, begins, until)
    days = [begins + nth * DAY for nth in range((today - begins).days)]
    history = _History.read(ports.warehouse, before, days, counts, today)
    told = list(_rows(history, counts, days, before, now))
    if told:
        ports.bus.publish([Message(TOPIC, encode(row), {"provider": row.provider or "all"}) for row in told])
    found = {subject: _judged(history, counts, subject, before, until) for subject in history.subjects(counts)}
    _conclude(ports, found, before, now, max(today - DAY, before.counted if before else date.min))
    return told


def standing(documents: Documents) -> Standing | None:
    """What the last look left; None where nobody has looked yet."""
    [found] = documents.get([STATE])
    return None if found is None else from_document(found.document, Standing)


def types_of(warehouse: Warehouse, provider: str, now: datetime) -> list[str]:
    """The types that were counted of `provider` in the last `LOOKED_BACK` days, today's new ones left out."""
    asked = {"provider": provider, "since": now - LOOKED_BACK * DAY, "until": now}
    return [row["type"] for row in warehouse.query(TYPES_SQL, asked, bound=ASKED)]


def accept(ports: Ports, provider: str, kind: str | None, since: date) -> list[Silence]:
    """What `provider` sends from the day `since` on is what it usually sends: of one type, or of all. Answers the silences that
    end by that. Nothing is expected until enough days are known again. Raises Rejected where nobody has looked yet."""

    def decide(seen: Seen) -> Decision[list[Silence]]:
        found = seen[STATE]
        if found is None:
            raise Rejected("nobody has looked at what comes yet", reason="nothing_expected")
        before = from_document(found.document, Standing)
        mine = [one for one in before.silences if one.provider == provider and kind in (None, one.type)]
        own = {**before.usual_from.get(provider, {}), (kind if kind is not None else ALL): since}
        after = replace(
            before,
            silences=tuple(one for one in before.silences if one not in mine),
            usual_from={**before.usual_from, provider: own},
        )
        return Decision([one for one in mine if one.ended is None], [write(STATE, found, to_document(after))])

    return change(ports.documents, [STATE], decide)


ALL = "*"
"""Instead of a type: each of them."""


def _read(parameters: bytes) -> TrafficRequest:
    try:
        return msgspec.json.decode(parameters or b"{}", type=TrafficRequest)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Rejected(f"not a request about traffic: {error}", reason="bad_traffic_request") from error


def _due(before: Standing, now: datetime) -> bool:
    """Once an hour, at its first tick; where something is suspected, with each that is ten minutes after the last."""
    if before.hurry:
        return now - before.looked >= timedelta(minutes=10)
    return now.replace(minute=0, second=0, microsecond=0) > before.looked


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)


Counts = Mapping[Subject, Mapping[date, Sequence[int]]]
"""By the quarter of an hour."""


def _counted(warehouse: Warehouse, begins: date, until: datetime) -> Counts:
    """What came from `begins` on, of everybody too."""
    found: dict[Subject, dict[date, list[int]]] = {EVERYBODY: {}}
    first = _midnight(begins)
    while first < until:
        last = min(first + CATCH_UP * DAY, until)
        for row in warehouse.query(COUNTED_SQL, {"since": first, "until": last}):
            days, quarter = divmod(row["quarter"], QUARTERS)
            subjects = [(row["provider"], row["type"]), *([EVERYBODY] if not row["type"] else [])]
            for subject in subjects:
                of_day = found.setdefault(subject, {}).setdefault(first.date() + days * DAY, [0] * QUARTERS)
                of_day[quarter] += row["deliveries"]
        first = last
    return found


def _hours(quarters: Sequence[int]) -> tuple[int, ...]:
    return tuple(sum(quarters[at : at + 4]) for at in range(0, QUARTERS, 4))


@dataclass(frozen=True, slots=True)
class _History:
    """By subject and day what came in each hour; days that were counted have something of everybody."""

    first: date
    today: date
    hours: Mapping[Subject, Mapping[date, Sequence[int]]]

    @classmethod
    def read(
        cls, warehouse: Warehouse, before: Standing | None, days: Iterable[date], counts: Counts, today: date
    ) -> "_History":
        stand = [one for one in before.silences if one.ended is None] if before else []
        first = min([today, *(one.since.date() for one in stand)]) - LOOKED_BACK * DAY
        asked = {
            "since": _midnight(first),
            "until": _midnight(today),
            "recent": _midnight(today - LOOKED_BACK * DAY),
            "silent": f" {' '.join(sorted({one.provider for one in stand}))} ",
        }
        hours: dict[Subject, dict[date, Sequence[int]]] = {EVERYBODY: {}}
        for row in warehouse.query(PAST_SQL, asked):
            hours.setdefault((row["provider"], row["type"]), {})[row["day"].date()] = row["hours"]
        for day in days:
            for subject in {*hours, *counts}:
                quarters = counts.get(subject, {}).get(day)
                # A day without anything of anybody is known too. What is counted again stands for what was, also as nothing.
                if quarters or subject == EVERYBODY or day in hours.get(subject, {}):
                    hours.setdefault(subject, {})[day] = _hours(quarters or [0] * QUARTERS)
        return cls(first, today, hours)

    def subjects(self, counts: Counts) -> list[Subject]:
        return sorted({*self.hours, *counts} - {EVERYBODY})

    def past(self, subject: Subject, before: Standing | None) -> "Past":
        import numpy as np

        from shared.learning.expectation import Past

        number = (self.today - self.first).days
        counts = np.zeros((number, 24), dtype=np.int64)
        known = np.zeros(number, dtype=np.bool_)
        for day in self.hours[EVERYBODY]:
            if self.first <= day < self.today:
                known[(day - self.first).days] = True
        for day, hours in self.hours.get(subject, {}).items():
            if self.first <= day < self.today:
                counts[(day - self.first).days] = hours
        learned = known.copy()
        if before is not None:
            provider, kind = subject
            for one in before.silences:
                if one.provider == provider and one.type in ("", kind):
                    end = one.ended.date() if one.ended else self.today
                    learned[max(0, (one.since.date() - self.first).days) : (end - self.first).days + 1] = False
            said = before.usual_from.get(provider, {})
            if since := max((day for of, day in said.items() if of in (ALL, kind)), default=None):
                counts[: max(0, (since - self.first).days)] = 0
                known[: max(0, (since - self.first).days)] = False
        return Past(first=self.first, counts=counts, known=known, learned=learned & known)


def _rows(
    history: _History, counts: Counts, days: Sequence[date], before: Standing | None, now: datetime
) -> Iterator[TrafficCounted]:
    from shared.learning.expectation import fit

    for day in days:
        for subject in sorted(history.hours):
            hours = history.hours[subject].get(day)
            if hours is None:
                continue
            # As it is expected today: of a day that is counted long after, nobody had expected anything.
            usual = fit(history.past(subject, before)) if day == history.today - DAY and subject != EVERYBODY else ""
            provider, kind = subject
            yield TrafficCounted(
                row_id=f"{day:%Y-%m-%d}/{provider}/{kind}",
                day=_midnight(day),
                counted_at=now,
                provider=provider,
                type=kind,
                deliveries=sum(hours),
                hours=tuple(hours),
                expected=None if isinstance(usual, str) else round(float(usual.hours(day).sum()), 1),
            )


def _judged(
    history: _History, counts: Counts, subject: Subject, before: Standing | None, until: datetime
) -> "Judgement":
    from shared.learning.expectation import judge

    stands = before.open_of(subject[0]).get(subject[1]) if before else None
    today = counts.get(subject, {}).get(until.date(), [0] * QUARTERS)
    return judge(history.past(subject, before), today, until, stands.since if stands else None)


def _conclude(
    ports: Ports, found: Mapping[Subject, "Judgement"], before: Standing | None, now: datetime, counted: date
) -> None:
    """Remember what stands, and tell what is new, once: whoever looked at the same time has not."""
    providers = sorted({provider for provider, _ in found})
    parked = {
        provider
        for provider, document in zip(
            providers, ports.documents.get([parked_key(one) for one in providers]), strict=True
        )
        if document is not None
    }

    def decide(seen: Seen) -> Decision[tuple[_News, Standing] | None]:
        stored = seen[STATE]
        if (None if stored is None else from_document(stored.document, Standing)) != before:
            # Somebody else has looked meanwhile, or said what is usual: the next tick looks again.
            return Decision(None)
        base = before or Standing(looked=now, counted=counted)
        news = _turned(base, found, parked, now)
        silences = {(one.provider, one.type, one.since): one for one in base.silences}
        silences |= {(one.provider, one.type, one.since): one for one in (*news.begun, *news.within, *news.ended)}
        kept = [one for one in silences.values() if one.ended is None or one.ended > now - LOOKED_BACK * DAY]
        after = replace(
            base,
            looked=now,
            counted=counted,
            hurry=any(_hurries(one, now) for one in found.values()),
            silences=tuple(kept),
            providers={provider: _outlook(provider, found) for provider in providers},
        )
        return Decision((news, after), [write(STATE, stored, to_document(after))])

    told = change(ports.documents, [STATE], decide)
    if told is None:
        return
    news, after = told
    _tell(news, found)
    silent = sum(one.ended is None for one in after.silences)
    expecting = sum(one.expected is not None for one in found.values())
    fact("traffic_watched", subjects=len(found), expecting=expecting, silent=silent)


def _named(one: Silence) -> Subject:
    return one.provider, one.type


@dataclass(frozen=True, slots=True)
class _News:
    """begun: to be told. within: of silences of whole providers that are told, or stand. ended."""

    begun: Sequence[Silence]
    within: Sequence[Silence]
    ended: Sequence[Silence]


def _turned(base: Standing, found: Mapping[Subject, "Judgement"], parked: set[str], now: datetime) -> _News:
    """A type that was silent with all of its provider, and still is a day after the rest came back, is told then."""
    begun: list[Silence] = []
    within: list[Silence] = []
    ended: list[Silence] = []
    for (provider, kind), one in found.items():
        stands = base.open_of(provider).get(kind)
        if stands is not None and one.over:
            ended.append(replace(stands, ended=now))
        elif stands is not None and stands.aside and one.calls and _back_since(base, provider, now) > DAY:
            begun.append(replace(stands, aside=False))
        elif stands is None and one.calls and one.since is not None and provider not in parked:
            whole = "" in base.open_of(provider) or (
                (whole_of := found.get((provider, ""))) is not None and whole_of.calls
            )
            made = Silence(
                provider=provider,
                type=kind,
                since=one.since,
                told_at=now,
                part="gone" if one.gone >= one.thin else "thin",
                lost=round(one.lost),
                aside=whole and kind != "",
            )
            (within if made.aside else begun).append(made)
    return _News(begun, within, ended)


def _back_since(base: Standing, provider: str, now: datetime) -> timedelta:
    """How long all of a provider is no longer silent; not at all while it is."""
    ends = [one.ended for one in base.silences if one.provider == provider and not one.type]
    return timedelta(0) if None in ends else now - max((one for one in ends if one), default=now)


def _hurries(one: "Judgement", now: datetime) -> bool:
    """Whether minutes may tell that it is silent, or that it is over; of what began within the day."""
    from shared.learning.expectation import SUSPECT

    if one.an_hour < HURRY or max(one.gone, one.thin) < SUSPECT or one.since is None:
        return False
    return one.since > now - DAY


def _outlook(provider: str, found: Mapping[Subject, "Judgement"]) -> Outlook:
    whole = found.get((provider, ""))
    types = [one for (of, kind), one in found.items() if of == provider and kind]
    return Outlook(
        heard=whole.heard if whole else 0,
        expected=None if whole is None or whole.expected is None else round(whole.expected, 1),
        why=whole.why if whole else None,
        expecting=sum(one.expected is not None for one in types),
        types=len(types),
    )


def _tell(news: _News, found: Mapping[Subject, "Judgement"]) -> None:
    """One line for each provider. Where all of it is silent, its types are of that silence."""
    everyone = len({one.provider for one in news.begun if not one.type})
    for provider in sorted({one.provider for one in news.begun}):
        mine = _of(provider, news.begun)
        first = mine[0]
        alarm(
            "traffic_silent",
            provider=provider,
            type=_types(mine),
            types=sum(bool(one.type) for one in (*mine, *_of(provider, news.within))),
            part=first.part,
            since=first.since.isoformat(),
            lost=first.lost,
            an_hour=round(found[_named(first)].an_hour, 1),
            providers=everyone,
        )
    for provider in sorted({one.provider for one in news.ended}):
        mine = _of(provider, news.ended)
        minutes = max((one.ended - one.since) / timedelta(minutes=1) for one in mine if one.ended)
        fact("traffic_resumed", provider=provider, type=_types(mine), minutes=round(minutes))


def _of(provider: str, silences: Iterable[Silence]) -> list[Silence]:
    """All of a provider first, then what lost most."""
    mine = (one for one in silences if one.provider == provider)
    return sorted(mine, key=lambda one: (one.type != "", -one.lost))


def _types(silences: Sequence[Silence]) -> str:
    """The worst; `all` where all that a provider sends is meant."""
    if not silences[0].type:
        return "all"
    return ", ".join(one.type for one in silences[:NAMED])
