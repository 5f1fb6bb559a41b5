"""How answers are said: one JSON document for a script, or tables and sentences for people."""

import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from shared.domain.codec import encode
from shared.domain.money import Money
from shared.domain.privacy import mask

Json = Annotated[bool, typer.Option("--json", help="One JSON document on standard output, for scripts.")]


def console() -> Console:
    """Standard output as it is now. Not a terminal: as wide as its lines are, without colours."""
    return Console(file=sys.stdout, highlight=False, width=None if sys.stdout.isatty() else 200)


def answer(found: object, tell: Callable[[Console], None], *, as_json: bool) -> None:
    """`found` in deterministic JSON (instants in RFC 3339, money in minor units), or what `tell` says of it."""
    if as_json:
        sys.stdout.write(encode(found).decode() + "\n")
    else:
        tell(console())


def beside(text: str) -> None:
    """A word to people on standard error, where no script reads it."""
    Console(stderr=True, highlight=False, soft_wrap=True).print(f"[dim]{escape(text)}[/dim]")


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> Table:
    """Cells as `cell` says them; a column whose name begins with `>` stands to the right."""
    made = Table(
        title=escape(title) if title else None, title_justify="left", box=None, header_style="bold", pad_edge=False
    )
    for name in columns:
        made.add_column(name.removeprefix(">"), justify="right" if name.startswith(">") else "left", overflow="fold")
    for row in rows:
        made.add_row(*(escape(cell(one)) for one in row))
    return made


@dataclass(frozen=True, slots=True)
class Staff:
    """Somebody of ours, who is called by their address: what they did is theirs to answer for."""

    name: str


def cell(value: object) -> str:
    """A value for people. Text is masked once more: what is shown on a screen is copied into tickets."""
    match value:
        case None:
            return "–"
        case bool():
            return "yes" if value else "no"
        case datetime():
            return at(value)
        case timedelta():
            return lasting(value)
        case Money():
            return str(value)
        case float():
            return f"{value:.4g}"
        case Staff(name=name):
            return name
        case str():
            return mask(value)
        case list() | tuple() | set() | frozenset():
            return ", ".join(map(cell, value)) or "–"
        case _:
            return mask(str(value))


def at(instant: datetime) -> str:
    """`2026-11-27 08:00:00 UTC`."""
    return instant.strftime("%Y-%m-%d %H:%M:%S UTC")


def lasting(time: timedelta) -> str:
    """`3 ms`, `1.5 s`, `12 min`, `5 h 10 min`, `3 d 4 h`; after a minus sign where it is less than nothing."""
    if time < timedelta(0):
        return f"-{lasting(-time)}"
    seconds = time.total_seconds()
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, hours, days = int(seconds // 60), int(seconds // 3600), time.days
    if minutes < 60:
        return f"{minutes} min"
    if hours < 48:
        return f"{hours} h {minutes % 60} min"
    return f"{days} d {hours % 24} h"


def since(instant: datetime, now: datetime) -> str:
    """`3 d 4 h ago`, `in 12 min`."""
    return f"{lasting(now - instant)} ago" if instant <= now else f"in {lasting(instant - now)}"
