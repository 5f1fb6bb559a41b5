"""The warehouse's tables as declared in `shared/learning/sql/tables/<table>.json`, BigQuery's own schema format."""

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import msgspec

from shared.domain.errors import Misconfigured

_FOLDER = Path(__file__).parents[1] / "learning" / "sql" / "tables"


class Column(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One column. `type` is BigQuery's standard name; a RECORD has `fields`."""

    name: str
    type: str
    mode: str = "NULLABLE"
    description: str = ""
    fields: tuple["Column", ...] = ()


# Made here, by the one thread that imports: see `shared.domain.codec` on what msgspec learns of a class.
_COLUMNS = msgspec.json.Decoder(tuple[Column, ...])


@cache
def columns(table: str) -> tuple[Column, ...]:
    """The columns of `table`. Raises Misconfigured for a table that is not declared."""
    if table not in names():
        raise Misconfigured(
            f"no warehouse table is named {table!r}: declare it in shared/learning/sql/tables", reason="unknown_table"
        )
    return _COLUMNS.decode((_FOLDER / f"{table}.json").read_bytes())


@cache
def names() -> tuple[str, ...]:
    """Every declared table, sorted."""
    return tuple(sorted(path.stem for path in _FOLDER.glob("*.json")))


def declared(row: Mapping[str, Any], of: tuple[Column, ...]) -> dict[str, Any]:
    """`row` without the members that `of` does not declare, at every depth."""
    return {column.name: _declared(row[column.name], column) for column in of if column.name in row}


def _declared(value: Any, column: Column) -> Any:
    if value is None:
        # BigQuery keeps no null list: the same row reads back with an empty one.
        return [] if column.mode == "REPEATED" else None
    if not column.fields:
        return value
    if column.mode == "REPEATED":
        return [declared(item, column.fields) for item in value]
    return declared(value, column.fields)


def of_the_day(table: str, at: str, sql: str) -> str:
    """What `sql` answers of each column of `table`, of the day from @day_begins until @day_ends."""
    named = ", ".join(column.name for column in columns(table))
    # As a table of its own: the emulator takes a column of a subquery for one of what that reads.
    return f"""WITH answered AS ({sql})
SELECT {named} FROM answered WHERE {at} >= @day_begins AND {at} < @day_ends"""  # noqa: S608 - names of our own declarations


def members_of(table: str, paths: Sequence[str]) -> dict[str, frozenset[str]]:
    """Top-level column to those of its members that `paths` name, none where it is named itself. Raises Misconfigured for what is
    not declared, or may be neither null nor empty."""
    known = {column.name: column for column in columns(table)}
    found: dict[str, frozenset[str]] = {}
    for path in paths:
        name, _, member = path.partition(".")
        column = known.get(name)
        fields = {field.name for field in column.fields if field.mode == "NULLABLE"} if column else set()
        if column is None or (
            member not in fields if member else column.mode not in ("NULLABLE", "REPEATED") or column.fields
        ):
            raise Misconfigured(f"{table} has no {path} that may be null or empty", reason="unknown_column")
        found[name] = found.get(name, frozenset()) | ({member} if member else frozenset())
    return found


def blanked(row: Mapping[str, Any], members: Mapping[str, frozenset[str]]) -> dict[str, Any]:
    """`row` with `members`, as `members_of` tells them, null or, repeated, empty; records that are null stay so."""
    return {name: _blanked(value, members[name]) if name in members else value for name, value in row.items()}


def _blanked(value: Any, members: frozenset[str]) -> Any:
    match value:
        case list():
            return [_blanked(item, members) for item in value] if members else []
        case dict() if members:
            return {name: None if name in members else item for name, item in value.items()}
        case _:
            return value if members else None
