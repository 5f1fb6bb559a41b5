"""Which one thing is meant by an id that somebody has."""

from datetime import datetime
from typing import Annotated

import typer

from shared.cli.codes import NotFound, Several
from shared.cli.output import cell
from shared.cli.session import Session, past
from shared.operations.finding import WITHIN, Found, find

AnyId = Annotated[
    str,
    typer.Argument(
        metavar="ID",
        help="Of a payment, a dispute, a delivery, an event, a decision or a request; an alias; an order reference."
        " `<provider>:<id>` asks of one provider alone.",
    ),
]
Since = Annotated[
    str | None,
    typer.Option(
        "--since",
        help="Look in the warehouse from then on: 2026-11-27, 2026-11-27T08:00Z, 6h, 30d."
        f" Left out: only for what documents do not know, {WITHIN.days} days back.",
    ),
]


def the_one(session: Session, text: str, since: str | None) -> Found:
    """Raises NotFound and Several, with what to ask instead."""
    now = session.now()
    from_then = since_of(since, now)
    found = find(session.ports, text, now, since=from_then)
    if not found:
        where = f"since {cell(from_then)}" if from_then else f"in our documents and the last {WITHIN.days} days"
        raise NotFound(f"nothing is called {text} {where}: look further back by --since 90d")
    if len(found) > 1:
        listed = "; ".join(f"{one.name} ({one.kind}, {one.how})" for one in found[:20])
        raise Several(f"{text} is {len(found)} things, name one: {listed}")
    return found[0]


def since_of(text: str | None, now: datetime) -> datetime | None:
    return past(text, now) if text else None
