"""What names a person, and nobody reads any more, leaves the rows of a day once that day is past, whoever's they are: one rewriting of each partition in
its life.

`registry/nameless` says of each table until when its rows name nobody. Each night a day is added; a run that is missed, or
killed, is made up for by the next one. Rows that were written late into days before that are looked for once in `erasing.FRESH`.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Final

from shared.domain.erasing import FRESH, TABLES, Nameless
from shared.domain.telemetry import fact
from shared.flows.ports import Accumulate, Documents, Key, Ports

MARK: Final = Key("registry", "nameless")
MOST: Final = 10
"""Days of a table that one run rewrites, so that it ends in its time."""
DAY: Final = timedelta(days=1)
_LOOKED: Final = "looked_at"


def nameless_until(documents: Documents, table: str) -> datetime | None:
    """Before when the rows of `table` name nobody; None while they all do."""
    [found] = documents.get([MARK])
    until: datetime | None = found.document.get(table) if found else None
    return until


def make_nameless(ports: Ports, now: datetime) -> None:
    """Take the names out of all rows of days that are FRESH past, at most MOST days of each table. Raises Unavailable."""
    limit = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - FRESH
    [found] = ports.documents.get([MARK])
    mark = found.document if found else {}
    for table, rule in TABLES.items():
        if rule.by_person or not rule.names:
            continue
        day = mark.get(table) or _first(ports, table, rule, limit)
        days = 0
        while day is not None and day < limit and days < MOST:
            _blank(ports, table, rule, day)
            day, days = day + DAY, days + 1
            # After each: whoever is killed goes on from here.
            ports.documents.commit([Accumulate(MARK, put={(table,): day})])
        if days:
            fact("rows_nameless", table=table, days=days, behind=max((limit - day).days, 0) if day else 0)
    if (looked := mark.get(_LOOKED)) is None or now - looked >= FRESH:
        for table, rule in TABLES.items():
            for day in _late(ports, table, rule) if rule.names and not rule.by_person else ():
                _blank(ports, table, rule, day)
                fact("rows_nameless_late", table=table, day=f"{day:%Y-%m-%d}")
        ports.documents.commit([Accumulate(MARK, put={(_LOOKED,): now})])


def _blank(ports: Ports, table: str, rule: Nameless, day: datetime) -> None:
    only = {rule.only[0]: rule.only[1]} if rule.only else None
    ports.warehouse.blank(table, rule.names, rule.at, day, day + DAY, only)


def _first(ports: Ports, table: str, rule: Nameless, limit: datetime) -> datetime | None:
    sql = f"SELECT MIN({rule.at}) AS first FROM {table} WHERE {rule.at} < @limit"  # noqa: S608 - our own declarations
    first = ports.warehouse.query(sql, {"limit": limit})[0]["first"]
    # Of a table with nothing so old there is nothing to look for again.
    return _day(first) if first else limit


def _late(ports: Ports, table: str, rule: Nameless) -> Iterator[datetime]:
    until = nameless_until(ports.documents, table)
    if until is None:
        return
    where = f"{rule.at} < @until AND ({' OR '.join(_named(table, rule))})"
    if rule.only:
        where += f" AND {rule.only[0]} IN ({', '.join(repr(one) for one in rule.only[1])})"
    sql = f"SELECT DISTINCT TIMESTAMP_TRUNC({rule.at}, DAY) AS day FROM {table} WHERE {where}"  # noqa: S608
    yield from sorted(_day(row["day"]) for row in ports.warehouse.query(sql, {"until": until}))


def _named(table: str, rule: Nameless) -> Iterator[str]:
    """Conditions of which one holds for a row that names somebody. Null costs nothing to read."""
    for path in rule.names:
        record, _, member = path.partition(".")
        if record in rule.repeated and not member:
            yield f"ARRAY_LENGTH({table}.{path}) > 0"
        elif record in rule.repeated:
            yield f"EXISTS (SELECT 1 FROM UNNEST({record}) AS one WHERE one.{member} IS NOT NULL)"  # noqa: S608
        else:
            yield f"{table}.{path} IS NOT NULL"


def _day(instant: datetime) -> datetime:
    return instant.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
