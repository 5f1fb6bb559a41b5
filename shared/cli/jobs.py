"""`payin jobs`: what runs by schedule."""

from typing import Annotated

import typer
from rich.console import Console

from shared.cli import output
from shared.cli.changing import Reason, Yes, agreed
from shared.cli.output import Json, answer, table
from shared.cli.session import past, session_of
from shared.flows.audit import Errand
from shared.operations.jobs import MOST_LINES, declared, jobs, run
from shared.runtime import topology

group = typer.Typer(no_args_is_help=True, help="What runs by schedule.")


def register(app: typer.Typer) -> None:
    app.add_typer(group, name="jobs")


@group.command("show")
def show(
    context: typer.Context,
    since: Annotated[str, typer.Option(help="2026-11-27, 2026-11-27T08:00Z, or how long ago: 6h.")] = "2d",
    as_json: Json = False,
) -> None:
    """Each job on a line: its schedule, when a run of it last came to its end, and how many did, out of the functions' log.

    Example: `payin jobs show`
    """
    session = session_of(context)
    now = session.now()
    found = jobs(declared(topology.read()["functions"]), session.logs, past(since, now))

    def tell(console: Console) -> None:
        rows = (
            (
                one.name,
                one.schedule,
                output.since(one.last, now) if one.last else "not seen",
                one.runs if one.runs < MOST_LINES else f"{MOST_LINES:,} or more",
            )
            for one in found
        )
        console.print(table(f"since {since}", ("job", "schedule, UTC", "last ended", ">runs"), rows))

    answer(found, tell, as_json=as_json)


@group.command("run")
def run_job(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="As `payin jobs show` has it.")],
    reason: Reason,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Run a job now, as its schedule would: by a tick. Each does what is due, once, however often it runs.

    Example: `payin jobs run check_deadlines --reason "its schedule stood still"`
    """
    session = session_of(context)
    errand = Errand(who=session.person, why=reason, what="jobs run", at=session.now())
    agreed(f"{name} would run at {session.where}", yes=yes)
    run(declared(topology.read()["functions"]), session.ports.bus, session.ports.documents, name, errand)
    answer({"asked": name}, lambda console: console.print(f"{name} is asked to run"), as_json=as_json)
