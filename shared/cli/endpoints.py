"""`payin endpoints`: systems outside of Google Cloud, as far as they have said something of themselves."""

from typing import Annotated

import typer
from rich.console import Console

from shared.cli.changing import Reason, Yes, agreed
from shared.cli.codes import NotFound
from shared.cli.output import Json, answer, table
from shared.cli.session import session_of
from shared.flows.audit import Errand, audited
from shared.flows.notify import enable, states

group = typer.Typer(no_args_is_help=True, help="Systems outside of Google Cloud that are told what happens.")


def register(app: typer.Typer) -> None:
    app.add_typer(group, name="endpoints")


@group.command("show")
def show(context: typer.Context, as_json: Json = False) -> None:
    """Endpoints that have said once that nobody listens there (410), and who has enabled them since. The others hear what is
    told: `payin facts notification_sent` shows it.

    Example: `payin endpoints show`
    """
    found = states(session_of(context).ports.documents)

    def tell(console: Console) -> None:
        if not found:
            console.print("no endpoint has ever said that nobody listens there")
            return
        rows = ((name, one.url, one.disabled_at, one.enabled_by) for name, one in found.items())
        console.print(table("", ("endpoint", "address", "gone since", "enabled by"), rows))

    answer(found, tell, as_json=as_json)


@group.command("enable")
def enable_endpoint(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="As `payin endpoints show` has it.")],
    reason: Reason,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Tell an endpoint again what happens: its owner says that somebody listens. What was withheld stays on its topics for
    seven days: seek its subscriptions back to when it was gone, and what it took before is not sent again.

    Example: `payin endpoints enable crm --reason "their release was taken back"`
    """
    session = session_of(context)
    errand = Errand(who=session.person, why=reason, what="endpoints enable", at=session.now())
    if name not in states(session.ports.documents):
        raise NotFound(f"no endpoint called {name} has said that nobody listens: `payin endpoints show`")
    agreed(f"{name} would be told what happens again at {session.where}", yes=yes)
    enable(name, audited(session.ports, errand), errand.who)
    answer({"enabled": name}, lambda console: console.print(f"{name} is told again"), as_json=as_json)
