"""`payin deadlines`, `payin ready`."""

from datetime import timedelta
from typing import Annotated

import typer
from rich.console import Console

from shared.cli.output import Json, answer, beside, since, table
from shared.cli.session import session_of
from shared.flows.dispute_desk import LISTED
from shared.flows.readiness import flags_of
from shared.operations.deadlines import deadlines as due_until


def register(app: typer.Typer) -> None:
    app.command()(deadlines)
    app.command()(ready)


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


def ready(
    context: typer.Context,
    customer: Annotated[str, typer.Argument(help="The customer's id, as providers have it.")],
    as_json: Json = False,
) -> None:
    """Whether a subscriber's newest payment could be defended by its network's own rule, were it called fraud: last night's flag.

    Examples: `payin ready cus_9fQ2`; `payin ready cus_9fQ2 --json`
    """
    session = session_of(context)
    found = flags_of(session.ports.warehouse, customer, session.now())

    def tell(console: Console) -> None:
        if not found:
            console.print("no flag: they paid through neither network in the last year, or not before last night")
            return
        columns = ("rule", "as of the end of", "ready", ">earlier payments", "alike", "what is missing")
        rows = (
            (one.rule, f"{one.day:%Y-%m-%d}", "yes" if one.ready else "no", one.priors, one.matched, one.missing)
            for one in found
        )
        console.print(table("why, payment by payment: /v1/disputes/readiness", columns, rows))

    answer(found, tell, as_json=as_json)
