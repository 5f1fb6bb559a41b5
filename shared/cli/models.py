"""`payin models`: which model decides, which is asked beside it, and how good they are."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated

import typer
from rich.console import Console

from shared.cli.output import Json, answer, at, since, table
from shared.cli.session import session_of
from shared.flows.champions import Champion, Line
from shared.operations.model_quality import Standing, measured, standing

group = typer.Typer(no_args_is_help=True, help="The models that score payments.")


def register(app: typer.Typer) -> None:
    app.add_typer(group, name="models")


@dataclass(frozen=True, slots=True)
class _Row:
    role: str
    model: Champion
    since: datetime


@group.command("show")
def show(context: typer.Context, as_json: Json = False) -> None:
    """The champion, the challenger and its share, and those before, with what each came to on payments it had not seen.

    Example: `payin models show`
    """
    session = session_of(context)
    found: Standing = standing(session.ports.documents)

    def tell(console: Console) -> None:
        rows = list(_roles(found.line))
        if not rows:
            console.print("no model of this release's features decides: rules alone do")
        else:
            now = session.now()
            names = sorted({name for one in rows for name in one.model.quality})
            columns = ("role", "model", "since", *(f">{name}" for name in names))
            told = (
                (
                    one.role,
                    one.model.digest[:12],
                    since(one.since, now),
                    *(one.model.quality.get(name) for name in names),
                )
                for one in rows
            )
            console.print(table(f"features {found.schema}", columns, told))
        if found.line.pinned:
            console.print("pinned: training changes nothing until the pin is taken out")
        if found.rules_alone:
            console.print("an operator has models asked of nothing: rules alone decide")

    answer(found, tell, as_json=as_json)


def _roles(line: Line) -> list[_Row]:
    rows = [_Row("champion", line.current, line.current.since)] if line.current else []
    if line.challenger:
        share = line.canary.share if line.canary else 0.0
        role = f"challenger, decides for {share:.0%}" if share else "challenger, decides nothing"
        rows += [_Row(role, line.challenger, line.challenger.since)]
    return rows + [_Row("before", one, one.since) for one in reversed(line.former)]


@group.command("health")
def health(
    context: typer.Context,
    days: Annotated[int, typer.Option(min=1, max=90, help="How many days back.")] = 7,
    measure: Annotated[str | None, typer.Option(help="One measure alone.")] = None,
    unusual: Annotated[bool, typer.Option("--unusual", help="Only what lies outside its band.")] = False,
    as_json: Json = False,
) -> None:
    """What `monitor_model` measured: drift of features and scores, rates, attacks, quality of matured decisions.

    Examples: `payin models health --unusual`; `payin models health --days 30 --measure score_drift`
    """
    session = session_of(context)
    now = session.now()
    found = measured(session.ports.warehouse, now - timedelta(days=days), now, measure=measure, unusual=unusual)

    def tell(console: Console) -> None:
        if not found:
            console.print("nothing was measured, or nothing is out of its band")
            return
        columns = ("day", "measure", "of", "model", ">value", ">from", ">to", ">payments", "unusual")
        rows = (
            (
                at(one.day)[:10],
                one.measure,
                one.subject,
                (one.model or "")[:12],
                one.value,
                one.low,
                one.high,
                one.payments,
                "!" if one.unusual else "",
            )
            for one in found
        )
        console.print(table("", columns, rows))

    answer(found, tell, as_json=as_json)
