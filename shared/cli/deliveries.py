"""`payin deliveries`: what providers sent, as it was kept."""

import json
from enum import StrEnum
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from shared.cli.asking import AnyId, Since, since_of
from shared.cli.codes import NotFound, Several
from shared.cli.output import Json, answer, beside, cell, table
from shared.cli.session import instant, past, session_of
from shared.domain.codec import encode
from shared.domain.delivery import DeliveryOutcome
from shared.operations import archive
from shared.operations.archive import Kept, Looked
from shared.operations.finding import AHEAD, WITHIN
from shared.providers import names

group = typer.Typer(no_args_is_help=True, help="What providers sent, as it was received.")

ProviderName = StrEnum("ProviderName", {name: name for name in names()})  # type: ignore[misc]


def register(app: typer.Typer) -> None:
    app.add_typer(group, name="deliveries")


@group.command("list")
def list_deliveries(
    context: typer.Context,
    provider: Annotated[ProviderName | None, typer.Option(help="Of one provider.")] = None,
    outcome: Annotated[DeliveryOutcome | None, typer.Option(help="Of one outcome.")] = None,
    kind: Annotated[str, typer.Option("--type", help="Of one type, in the provider's word.")] = "",
    key_id: Annotated[str, typer.Option("--key", help="Proved by this key.")] = "",
    since: Annotated[str, typer.Option(help="2026-11-27, 2026-11-27T08:00Z, or how long ago: 6h.")] = "24h",
    until: Annotated[str | None, typer.Option(help="As --since. Left out: now.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=archive.MOST_LISTED, help="How many, the newest first.")] = 50,
    as_json: Json = False,
) -> None:
    """Deliveries of a time, the newest first. The time and the provider say how much is read, and paid for.

    Examples: `payin deliveries list --outcome unparsed`; `payin deliveries list --provider stripe --type
    charge.dispute.created --since 7d`; `payin deliveries list --provider adyen --key k2 --since 2h --json`
    """
    session = session_of(context)
    now = session.now()
    found = archive.listed(
        session.ports.warehouse,
        past(since, now),
        instant(until, now) if until else now + AHEAD,
        provider=provider or "",
        outcome=outcome or "",
        kind=kind,
        key_id=key_id,
        most=limit,
    )

    def row(one: Kept) -> tuple[object, ...]:
        trouble = one.reason or (f"{len(one.unknown)} unknown members" if one.unknown else "")
        return one.received_at, one.provider, one.outcome, one.types, one.key_ids, trouble, one.delivery_id

    def tell(console: Console) -> None:
        if not found:
            console.print("nothing of this kind was received in that time")
            return
        columns = ("received at", "provider", "outcome", "types", "key", "", "delivery")
        console.print(table("", columns, map(row, found)))

    answer(found, tell, as_json=as_json)
    if len(found) == limit:
        beside(f"these are the newest {limit}: --limit, or a shorter time")


@group.command("show")
def show(context: typer.Context, name: AnyId, since: Since = None, as_json: Json = False) -> None:
    """One delivery: its bytes with personal data masked, what proved it, what was understood and what was not, then and by
    the adapter of now. A provider's own event id finds it too, also where nothing could be read.

    Examples: `payin deliveries show evt_1`; `payin deliveries show stripe:main:evt_1 --since 30d --json`
    """
    session = session_of(context)
    now = session.now()
    warehouse, from_then = session.ports.warehouse, since_of(since, now) or now - WITHIN
    called = archive.meant(warehouse, name, from_then, now + AHEAD)
    if len(called) > 1:
        raise Several(f"{name} is {len(called)} deliveries, name one: {'; '.join(one.delivery_id for one in called)}")
    found = archive.looked_into(warehouse, called[0]) if called else None
    if found is None:
        raise NotFound(f"no delivery is called {name} since {cell(from_then)}: look further back by --since 90d")
    answer(found, lambda console: _tell(console, found), as_json=as_json)


def _tell(console: Console, found: Looked) -> None:
    kept = found.kept

    def say(name: str, value: object) -> None:
        console.print(f"{name:<16} {cell(value)}", markup=False)

    console.print(f"[bold]{escape(kept.delivery_id)}[/bold]")
    say("received", kept.received_at)
    say("proved by", kept.key_ids)
    say("signed at", kept.signed_at)
    say("unsigned", found.unsigned)
    say("endpoint", f"{kept.endpoint_account}, {'live' if kept.endpoint_live else 'test'}")
    say("types", kept.types)
    say("came to", f"{kept.outcome}{f' ({kept.reason})' if kept.reason else ''}")
    say("unreadable", kept.unreadable)
    say("unknown", kept.unknown)
    adapter = f"adapter {kept.adapter_version}, now {found.adapter_now}"
    say("would come to", f"{found.outcome_now} ({adapter})")
    if found.outcome_now != kept.outcome or found.unreadable_now != kept.unreadable:
        say("", "a replay would tell more: payin replay")
    for event in found.events:
        console.print(f"\n[bold]{event['kind']}[/bold] {escape(event['event_id'])}")
        for name in sorted(event.keys() - {"kind", "event_id", "provider", "account", "delivery_id"}):
            value = event[name]
            say(f"  {name}", encode(value).decode() if isinstance(value, dict) else value)
    say("\nheaders", "")
    for name, value in found.headers.items():
        say(f"  {name}", value)
    if found.query:
        say("query", found.query)
    what = "as the adapter opens it" if found.opened else "which nobody can open"
    console.print(f"\n{found.size} bytes, {what}, personal data left out:", markup=False)
    shown = json.dumps(found.body, indent=2, ensure_ascii=False) if found.opened else str(found.body)
    console.print(shown, markup=False)
