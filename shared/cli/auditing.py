"""`payin audit`: who changed what, when and why."""

from typing import Annotated

import typer
from rich.console import Console

from shared.cli.output import Json, Staff, answer, table
from shared.cli.session import past, session_of
from shared.flows.audit import records


def register(app: typer.Typer) -> None:
    app.command()(audit)


def audit(
    context: typer.Context,
    since: Annotated[str, typer.Option(help="2026-11-27, 2026-11-27T08:00Z, or how long ago: 7d.")] = "7d",
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many, the oldest first.")] = 100,
    as_json: Json = False,
) -> None:
    """Who changed what, when and why: by `payin`, or by a function that people call.

    Examples: `payin audit`; `payin audit --since 30d --json`
    """
    session = session_of(context)
    found = records(session.ports.documents, past(since, session.now()), limit)

    def tell(console: Console) -> None:
        if not found:
            console.print("nothing was changed by anybody")
            return
        rows = [
            (
                one.at,
                Staff(one.who),
                one.what,
                one.why,
                change.name if change else None,
                change.before if change else None,
                change.after if change else one.outcome,
            )
            for one in found
            for change in (one.changes or (None,))
        ]
        console.print(table("", ("at", "who", "did", "why", "to", "was", "is"), rows))

    answer(found, tell, as_json=as_json)
