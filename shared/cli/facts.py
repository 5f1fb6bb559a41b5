"""`payin facts`: what functions have said of themselves."""

from collections.abc import Mapping
from typing import Annotated, Any

import typer
from rich.console import Console

from shared.cli.deliveries import ProviderName
from shared.cli.output import Json, answer, beside, cell, table
from shared.cli.session import past, session_of
from shared.operations.facts import unknown
from shared.runtime.topology import ROOT

# Of the line's form, or told in a column of its own.
_FORM = frozenset({"at", "event", "function", "severity", "time", "message"})


def register(app: typer.Typer) -> None:
    app.command()(facts)


def facts(
    context: typer.Context,
    events: Annotated[list[str], typer.Argument(metavar="FACT...", help="One or more, as an alert names them.")],
    since: Annotated[str, typer.Option(help="2026-11-27, 2026-11-27T08:00Z, or how long ago: 6h.")] = "1h",
    provider: Annotated[ProviderName | None, typer.Option(help="Only lines of one provider.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many, the newest first.")] = 50,
    as_json: Json = False,
) -> None:
    """Lines of the functions' log by what they tell, the newest first: of a fact's name, its fields. An alert names the facts
    that it counts.

    Examples: `payin facts deadline_missed`; `payin facts request_failed dependency_unavailable --since 6h --json`
    """
    session = session_of(context)
    if strange := unknown(events, ROOT):
        raise typer.BadParameter(". ".join(map(_strange, strange.items())), param_hint="'FACT...'")
    where = {"provider": provider} if provider else {}
    found = session.logs.lines(events, past(since, session.now()), limit, where)

    def tell(console: Console) -> None:
        if not found:
            console.print(f"nobody told of {', '.join(events)}{f' of {provider}' if provider else ''} since {since}")
            return
        rows = ((line["at"], line.get("function"), line["event"], _fields(line)) for line in found)
        console.print(table("", ("at", "function", "fact", "with"), rows))

    answer(found, tell, as_json=as_json)
    if len(found) == limit:
        beside(f"these are the newest {limit}: --limit, or a shorter time")


def _strange(one: tuple[str, list[str]]) -> str:
    event, near = one
    return f"nothing tells {event}" + (f": did you mean {', '.join(near)}?" if near else "")


def _fields(line: Mapping[str, Any]) -> str:
    told = {
        name: value
        for name, value in line.items()
        if name not in _FORM and not name.startswith("logging.googleapis.com")
    }
    return "  ".join(f"{name}={cell(value)}" for name, value in told.items())
