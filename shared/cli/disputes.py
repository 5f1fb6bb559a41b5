"""`payin deadlines`."""

from datetime import timedelta
from typing import Annotated

import typer
from rich.console import Console

from shared.cli.output import Json, answer, beside, since, table
from shared.cli.session import session_of
from shared.flows.dispute_desk import LISTED
from shared.operations.deadlines import deadlines as due_until


def register(app: typer.Typer) -> None:
    app.command()(deadlines)


def deadlines(
    context: typer.Context,
    days: Annotated[float, typer.Option(min=0, max=400, help="How far ahead to look.")] = 3.0,
    at_risk: Annotated[bool, typer.Option("--at-risk", help="Only those that may end without an answer.")] = False,
    as_json: Json = False,
) -> None:
    """The disputes of which something is to be done next, by the clock or a person, and what is at risk; the first deadline first.

    Examples: `payin deadlines`; `payin deadlines --days 14 --at-risk`
    """
    session = session_of(context)
    now = session.now()
    found = due_until(session.ports.documents, now, timedelta(days=days))
    if len(found) == LISTED:
        beside(f"these are the {LISTED} that are due first")
    found = [one for one in found if one.risks or not at_risk]

    def tell(console: Console) -> None:
        if not found:
            console.print(f"nothing is {'at risk' if at_risk else 'to be done'} within {days:g} days")
            return
        columns = ("respond by", "dispute", "stage", "status", ">amount", "our answer", "at risk")
        console.print(
            table(
                f"{len(found)} of which something is to be done within {days:g} days",
                columns,
                (
                    (
                        since(one.respond_by, now) if one.respond_by else None,
                        f"{one.provider}:{one.dispute_id}",
                        one.stage,
                        one.status,
                        one.amount,
                        one.answer,
                        "; ".join(one.risks),
                    )
                    for one in found
                ),
            )
        )

    answer(found, tell, as_json=as_json)
