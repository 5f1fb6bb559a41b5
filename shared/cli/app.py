"""The root of `payin`: which commands there are, which backend they run on, and with what it leaves."""

import os
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from shared.cli import (
    auditing,
    deciding,
    deliveries,
    disputes,
    endpoints,
    erasing,
    explaining,
    facts,
    jobs,
    keys,
    letters,
    models,
    payouts,
    providers,
    reconciling,
    replaying,
    reviews,
    rules,
    tracing,
)
from shared.cli.codes import TOLD, NotFound, Several, code_of
from shared.cli.output import beside
from shared.cli.session import Session
from shared.domain.errors import Misconfigured, PayInError, Unavailable
from shared.domain.privacy import mask

_HEADLINES: tuple[tuple[type[PayInError], str], ...] = (
    (NotFound, "not found"),
    (Several, "not clear"),
    (Unavailable, "not now"),
    (Misconfigured, "cannot start"),
    (PayInError, "refused"),
)


class Telling(TyperGroup):
    """Our errors are one sentence on standard error, and an exit code."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except PayInError as error:
            headline = next(said for kind, said in _HEADLINES if isinstance(error, kind))
            beside(f"payin: {headline}: {mask(str(error))} [{error.reason}]")
            raise typer.Exit(code_of(error)) from None


CODES = "Exit codes: " + "; ".join(f"{code.value} {told}" for code, told in TOLD.items()) + "."

app = typer.Typer(
    name="payin",
    cls=Telling,
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_show_locals=False,  # what a local variable holds may be personal data
    epilog=CODES,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def root(
    context: typer.Context,
    home: Annotated[
        Path | None,
        typer.Option(
            help="The folder of a local stack. Left out: PAYIN_HOME, else the one that runs, else the newest."
        ),
    ] = None,
) -> None:
    """Ask what happened, why, and what is next; and change what has to change.

    On the local backend by itself; on Google Cloud by the environment: PAYIN_BACKEND=gcp, GOOGLE_CLOUD_PROJECT and what else
    `shared/settings.py` reads.
    """
    context.obj = Session(home, os.environ)


READING = (tracing, explaining, deliveries, disputes, reviews, models, rules, facts, payouts)
CHANGING = (replaying, letters, providers, keys, deciding, jobs, endpoints, erasing, auditing, reconciling)

for module in (*READING, *CHANGING):
    module.register(app)


def main() -> None:
    app(prog_name="payin")
