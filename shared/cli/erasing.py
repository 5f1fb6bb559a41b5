"""`payin erase`: what is kept of a customer goes, or says no longer whose it is; what has to stay is told with its ground."""

from typing import Annotated

import typer
from rich.console import Console

from shared.cli.changing import Reason, Yes, agreed
from shared.cli.codes import NotFound
from shared.cli.output import Json, answer, table
from shared.cli.session import session_of
from shared.flows.erasure import Nobody, Report, begin, look, proof

Customer = Annotated[
    str,
    typer.Argument(
        help="As payments know the customer: `customer_id`, or the e-mail address where that is all they know."
    ),
]


def register(app: typer.Typer) -> None:
    app.command()(erase)


def erase(
    context: typer.Context,
    customer: Customer,
    reason: Reason = "",
    show: Annotated[
        bool, typer.Option("--show", help="How far an erasure is, or the report of one that is proved.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would become of what.")] = False,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Erase a customer, in four stages: looked for, erased from documents, gone from rows, proved.

    The first says what there is, what would go, what loses its name, what stays and by which law, and when the rest goes by itself. The
    second waits while a dispute is fought. The others follow by themselves within six weeks: what was on its way is looked for
    after a day, a week and at the end, when everything is searched once more and the name is forgotten.
    Whoever asks again by the same name is shown the report; nobody else can tell whose it is. An address is looked for as it is kept,
    under each key; of whom nothing at all is known, nothing is written down. Whoever is known by an id and an address is asked for by both.

    Examples: `payin erase customer-1 --dry-run`; `payin erase customer-1 --reason "asked on 2026-11-27" --yes`; `payin erase
    customer-1 --show --json`
    """
    session = session_of(context)
    if show:
        told = proof(session.ports, customer, session.keyring)
        if told is None:
            raise NotFound("nobody has asked to erase a customer of that name")
        answer(told, lambda console: _tell(console, told), as_json=as_json)
        return
    try:
        found = look(session.ports, customer, session.keyring, session.now())
    except Nobody as error:
        raise NotFound(str(error)) from error
    if not dry_run:
        if not as_json:
            answer(found, lambda console: _tell(console, found), as_json=False)
        agreed(f"this erases {found.person}, for good", yes=yes)
        found = begin(session.ports, customer, session.keyring, session.now(), who=session.person, why=reason)
    answer(found, lambda console: _tell(console, found), as_json=as_json)


def _tell(console: Console, told: Report) -> None:
    rows = [
        (one.place, "not counted" if one.found is None else one.found, one.fate, one.ends_at, one.ground)
        for one in told.lines
    ]
    title = f"{told.person}: {told.stage}"
    console.print(table(title, ("where", ">found", "becomes", "by", "why"), rows))
    if told.fought:
        console.print(f"waits for the end of {', '.join(told.fought)}: what is asked for is evidence there")
    if told.returned:
        console.print("they have paid again since they asked: that is no part of this, and what is of before goes")
    console.print(f"report {told.digest}")
