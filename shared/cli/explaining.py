"""`payin why`."""

from dataclasses import replace
from datetime import timedelta
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from shared.cli.asking import AnyId, Since, the_one
from shared.cli.codes import NotFound
from shared.cli.output import Json, answer, beside, cell, table
from shared.cli.session import session_of
from shared.operations.explaining import Explained, Otherwise, Why, explain, otherwise
from shared.operations.finding import Kind, decision_on
from shared.operations.stories import payment_of_dispute


def register(app: typer.Typer) -> None:
    app.command("why")(why)


def why(
    context: typer.Context,
    name: AnyId,
    what_if: Annotated[
        bool, typer.Option("--what-if", help="And what --rules or --model would have decided of the same features.")
    ] = False,
    rules: Annotated[
        str | None,
        typer.Option(help="For --what-if: a revision's number, `shipped`, or `standing` for the book of now."),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            help="For --what-if: a digest or its beginning, `champion`, `challenger`, or `none` for rules alone."
        ),
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Features that are missing or zero, too.")] = False,
    since: Since = None,
    as_json: Json = False,
) -> None:
    """Why a payment was decided as it was: reasons in words, features with their freshness, the versions that decided, and
    what rules and model each said.

    Examples: `payin why pi_3Nk`; `payin why request:r-1`; `payin why pi_3Nk --what-if --rules standing --model challenger`
    """
    if what_if is not bool(rules or model):
        raise typer.BadParameter("--what-if goes with --rules, --model, or both")
    session = session_of(context)
    found = the_one(session, name, since)
    payment_id: str | None = found.id
    if found.kind is Kind.DISPUTE:
        payment_id = payment_of_dispute(session.ports, found)
    elif found.kind is not Kind.PAYMENT:
        raise NotFound(f"{found.name} is a {found.kind}, of which nothing is decided: name a payment or a request")
    judged = decision_on(session.ports.documents, found.provider, payment_id) if payment_id else None
    if judged is None:
        raise NotFound(f"nobody decided on {found.name}: payin trace {found.name} says what happened to it")
    told = explain(session.ports, judged)
    if what_if:
        told = replace(told, otherwise=otherwise(session.ports, judged.decision, rules=rules, model=model))
    answer(told, lambda console: _tell(console, told, every=every), as_json=as_json)
    if told.recomputed is False:
        beside("computing it again gives another decision: damage, or a change that its versions do not tell")


def _tell(console: Console, told: Explained, *, every: bool) -> None:
    decision = told.decision

    def say(name: str, value: object) -> None:
        console.print(f"{name:<12} {cell(value)}", markup=False)

    console.print(f"[bold]{decision.outcome}[/bold] {escape(cell(f'{decision.provider}:{told.payment_id}'))}")
    say("amount", decision.amount)
    say("decided at", decision.decided_at)
    say("on event", decision.event_id)
    if decision.request_id:
        say("request", decision.request_id)
    if told.linked_event_id:
        say("linked to", told.linked_event_id)
    say("rules said", told.by_rules)
    score = f"score {decision.score:.4f}" if decision.score is not None else f"not asked: {decision.fallback}"
    say("model said", f"{cell(told.by_model)}, {score}")
    book = f"revision {decision.book_revision}" if decision.book_revision else "as shipped"
    say("book", f"{book} ({decision.rules_version})")
    say("model", decision.model_digest)
    say("policy", decision.policy_version)
    say("features of", decision.schema_version)
    again = {True: "the same to the byte", False: "another one", None: "what made it is not here"}
    say("recomputed", again[told.recomputed])
    _tell_reasons(console, "because", told.reasons)
    if told.rules:
        rows = ((one.code, "live" if one.live else "in shadow", one.outcome, one.sql) for one in told.rules)
        console.print(table("\nrules that held", ("rule", "", "wants", "when"), rows))
    for listed in decision.listed:
        say("listed", f"{listed.action} {listed.kind}{f', {listed.rule}' if listed.rule else ''}")
    entities = ((one.entity, one.value, one.state, _ago(told, one.entity)) for one in told.entities)
    console.print(table("\nwhose past was known", ("of", "named", "was", "last seen before"), entities))
    known = [one for one in told.known if every or one.value]
    members = ((one.name, one.value, one.entity, one.freshness) for one in known)
    console.print(table("\nwhat was known", ("feature", ">value", "of", ">fresh"), members))
    if told.otherwise is not None:
        _tell_otherwise(console, told, told.otherwise)


def _ago(told: Explained, entity: str) -> timedelta | None:
    return next((one.freshness for one in told.known if one.entity == entity and one.freshness is not None), None)


def _tell_reasons(console: Console, title: str, reasons: tuple[Why, ...]) -> None:
    if reasons:
        rows = ((one.source, one.words, f"{one.weight:+.2f}" if one.weight is not None else "") for one in reasons)
        console.print(table(f"\n{title}", ("by", "reason", ">log-odds"), rows))


def _tell_otherwise(console: Console, told: Explained, other: Otherwise) -> None:
    by = f"revision {other.book_revision}" if other.book_revision else "shipped rules"
    asked = f"model {other.model_digest[:12]}" if other.model_digest else "no model"
    score = f", score {other.score:.4f}" if other.score is not None else ""
    changed = f"instead of {told.decision.outcome}" if other.changed else "as it was"
    console.print(f"\n[bold]what if[/bold] {by}, {asked}: [bold]{other.outcome}[/bold], {changed}{score}")
    _tell_reasons(console, "then also because", other.new)
    _tell_reasons(console, "and no longer because", other.gone)
