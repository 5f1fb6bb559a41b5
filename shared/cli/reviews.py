"""`payin reviews`: payments that wait for a person."""

from typing import Annotated

import typer
from rich.console import Console

from shared.cli.output import Json, answer, beside, since, table
from shared.cli.session import session_of
from shared.flows.review_desk import queue


def register(app: typer.Typer) -> None:
    app.command()(reviews)


def reviews(
    context: typer.Context,
    late: Annotated[bool, typer.Option("--late", help="Only those that wait longer than was promised.")] = False,
    as_json: Json = False,
) -> None:
    """Payments under review, of the hundred that wait longest, the most urgent first, and who holds each.

    They are worked on through `review_payment`; `payin why` tells why one is here.

    Examples: `payin reviews`; `payin reviews --late --json`
    """
    session = session_of(context)
    now, promise = session.now(), session.settings.promise()
    every = queue(session.ports.documents, now, promise)
    found = [one for one in every if not late or now - one.opened_at >= promise.within]

    def tell(console: Console) -> None:
        if not found:
            console.print("nobody waits longer than was promised" if late else "nobody waits")
            return
        rows = ((one.id, one.amount, one.score, since(one.opened_at, now), one.holder(now)) for one in found)
        console.print(table(f"{len(found)} wait", ("payment", ">amount", ">score", "since", "held by"), rows))

    answer(found, tell, as_json=as_json)
    if promise.then is not None:
        beside(f"after {promise.after} nobody's is decided: {promise.then}")
