"""`payin find` and `payin trace`."""

import typer
from rich.console import Console
from rich.markup import escape

from shared.cli.asking import AnyId, Since, since_of, the_one
from shared.cli.codes import NotFound
from shared.cli.output import Json, answer, at, cell, lasting, table
from shared.cli.session import session_of
from shared.operations.finding import find
from shared.operations.stories import Story, pauses, story


def register(app: typer.Typer) -> None:
    app.command("find")(find_id)
    app.command("trace")(trace)


def find_id(context: typer.Context, name: AnyId, since: Since = None, as_json: Json = False) -> None:
    """Everything that an id may mean, whoever's it is.

    Examples: `payin find ch_3Nk`; `payin find order-1001 --since 30d`; `payin find evt_1 --json`
    """
    session = session_of(context)
    now = session.now()
    found = find(session.ports, name, now, since=since_of(since, now))
    if not found:
        raise NotFound(f"nothing is called {name}: look further back by --since 90d")

    def tell(console: Console) -> None:
        rows = ((one.kind, one.name, one.how, one.event_id) for one in found)
        console.print(table("", ("what", "name", "by", "event"), rows))

    answer(found, tell, as_json=as_json)


def trace(context: typer.Context, name: AnyId, since: Since = None, as_json: Json = False) -> None:
    """The whole story of a payment, a dispute or a delivery in order, from bytes to outcome, with the times between.

    Times are ours: when we received, published, decided. `told` is how long after the provider's own time that was.
    What does not fit, or is missing, stands below.

    Examples: `payin trace pi_3Nk`; `payin trace stripe:dp_1 --json`; `payin trace order-1001`
    """
    session = session_of(context)
    found = story(session.ports, the_one(session, name, since), session.now())
    answer(found, lambda console: _tell(console, found), as_json=as_json)


def _tell(console: Console, found: Story) -> None:
    names = [name for name in found.names if name != found.id]
    console.print(f"[bold]{found.kind}[/bold] {escape(cell(found.name))}")
    if names:
        console.print(f"also called {cell(names)}", markup=False)
    for name, value in found.state.items():
        console.print(f"{name}: {cell(value)}", markup=False)
    rows = (
        (
            at(moment.at) + (" (theirs)" if moment.theirs else ""),
            f"+{lasting(pause)}" if pause is not None else "",
            moment.kind,
            moment.what,
            lasting(moment.at - moment.told_at) if moment.told_at and not moment.theirs else "",
            moment.id,
        )
        for moment, pause in pauses(found.moments)
    )
    console.print(table("", ("at", ">after", "", "what", ">told", "id"), rows))
    for doubt in found.doubts:
        console.print(f"! {doubt}", markup=False)
