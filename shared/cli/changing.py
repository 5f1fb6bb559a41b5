"""What changes something: it says what it would change, asks, and keeps who agreed and why."""

import sys
from typing import Annotated

import typer

from shared.cli.codes import NotAgreed
from shared.cli.output import beside

Yes = Annotated[bool, typer.Option("--yes", "-y", help="Change it without asking.")]
Reason = Annotated[str, typer.Option("--reason", "-r", help="Why, for those who ask later. Kept in the audit.")]


def agreed(what: str, *, yes: bool) -> None:
    """Return where `what` may be done: somebody says so now, or --yes has. Raises NotAgreed; without a terminal to ask at
    nobody has agreed."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise NotAgreed(f"{what}: there is nobody to ask here, so say --yes")
    beside(what)
    if not typer.confirm("Go on?", err=True):
        raise NotAgreed("nothing was changed")
