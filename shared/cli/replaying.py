"""`payin replay`: what the warehouse keeps is told again, and before that what it would change."""

from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Any

import typer
from rich.console import Console

from shared.cli.changing import Reason, Yes, agreed
from shared.cli.deliveries import ProviderName
from shared.cli.output import Json, answer, beside, console, table
from shared.cli.session import instant, past, session_of
from shared.domain.codec import encode, utc_text
from shared.domain.events import KINDS
from shared.flows.audit import Changed, Errand, begun, ended
from shared.flows.pseudonyms import PseudonymousBus
from shared.flows.replay_deliveries import REPLAYED, Replayed, replay_deliveries
from shared.operations.rehearsal import SHOWN_FIRST, Rehearsed
from shared.providers import load
from shared.runtime.rehearsing import rehearsal_on

Outcome = StrEnum("Outcome", {name: name for name in REPLAYED})  # type: ignore[misc]
Kind = StrEnum("Kind", {name: name for name in KINDS})  # type: ignore[misc]
SHOWN = 100


def register(app: typer.Typer) -> None:
    app.command()(replay)


def replay(
    context: typer.Context,
    provider: Annotated[ProviderName, typer.Argument(help="Of one provider.")],
    reason: Reason,
    delivery: Annotated[str, typer.Option(help="One delivery, by its id.")] = "",
    outcome: Annotated[Outcome | None, typer.Option(help="Left out: those that could not be read.")] = None,
    kind: Annotated[str, typer.Option("--type", help="Of one type, in the provider's word.")] = "",
    ignored: Annotated[bool, typer.Option("--ignored", help="Those too of types that nothing followed then.")] = False,
    again: Annotated[bool, typer.Option("--again", help="Those too of which no more is understood now.")] = False,
    events: Annotated[bool, typer.Option("--events", help="Not deliveries: the events, as they were told.")] = False,
    event_kind: Annotated[Kind | None, typer.Option("--kind", help="Events of one kind.")] = None,
    event: Annotated[str, typer.Option(help="One event, by its id.")] = "",
    payment: Annotated[str, typer.Option(help="Events of one payment, by the provider's id.")] = "",
    since: Annotated[str, typer.Option(help="2026-11-27, 2026-11-27T08:00Z, or how long ago: 6h.")] = "24h",
    until: Annotated[str | None, typer.Option(help="As --since. Left out: now.")] = None,
    rate: Annotated[float | None, typer.Option(min=0.01, help="Messages a second at most.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would change, and end.")] = False,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Tell again what the warehouse keeps: deliveries, translated by today's adapter, or events as they were told.

    Before it asks, and with --dry-run instead, it lets the consumers' own code take the events on documents that forget, and
    shows which payments, disputes and decisions would be other ones. Consumers know what they have had, so that a repeat
    changes nothing.

    Of the last seven days Pub/Sub can do the same by itself, for one consumer: `gcloud pubsub subscriptions seek
    record-payment-stripe --time=2026-11-27T08:00:00Z` gives it all again that was published since then. It is quicker and
    costs nothing, but knows no single payment, no rate and no dry run, and translates nothing anew.

    Examples: `payin replay stripe --since 6h --dry-run -r "adapter mended"`; `payin replay adyen --events --payment
    8835 --since 30d -r "lost by a bug"`; `payin replay stripe --delivery stripe:acct_1:evt_1 --again --since 7d -r test`
    """
    session = session_of(context)
    now = session.now()
    begin, end = past(since, now), instant(until, now) if until else now + timedelta(microseconds=1)
    if end <= begin:
        raise typer.BadParameter("the time ends before it begins", param_hint="'--until'")
    asked: dict[str, Any] = {
        "provider": str(provider),
        "since": utc_text(begin),
        "until": utc_text(end),
        "delivery_id": delivery,
        "outcome": str(outcome or ""),
        "type": kind,
        "ignored": ignored,
        "again": again,
        "events": events or bool(event_kind or event or payment),
        "kind": str(event_kind or ""),
        "event_id": event,
        "payment_id": payment,
    }
    errand = Errand(who=session.person, why=reason, what="replay", at=now)
    parameters = encode(asked)
    if dry_run or not yes:
        rehearsal = rehearsal_on(session.bench)
        # Under the keys of whoever tells it, so that the same documents are looked at.
        bus = PseudonymousBus(rehearsal, session.keyring)
        replayed = replay_deliveries(parameters, load, session.ports.warehouse, bus, now)
        rehearsed = rehearsal.result()
        if dry_run:
            answer(
                {"replayed": replayed, "rehearsed": rehearsed},
                lambda where: _tell_rehearsed(where, replayed, rehearsed),
                as_json=as_json,
            )
            return
        if not as_json:
            _tell_rehearsed(console(), replayed, rehearsed)
        agreed(f"{_counted(replayed)} would be told again at {session.where}", yes=yes)
    record = begun(session.ports.documents, errand, [Changed(name=f"replay:{provider}", after=parameters.decode())])
    paced = encode({**asked, "rate": rate})
    done = replay_deliveries(paced, load, session.ports.warehouse, session.telling, now)
    ended(session.ports.documents, record, encode(done).decode())
    answer(done, lambda where: where.print(f"{_counted(done)} told again"), as_json=as_json)


def _counted(one: Replayed) -> str:
    if not one.looked_at:
        return f"{one.events} events"
    return f"{one.replayed} of {one.looked_at} deliveries, with {one.events} events,"


def _tell_rehearsed(where: Console, replayed: Replayed, found: Rehearsed) -> None:
    where.print(f"{_counted(replayed)} would be told; {len(found.changes)} documents would change")
    if found.payments:
        rows = [(one.name, one.before, one.after) for one in found.payments[:SHOWN]]
        where.print(table("", ("what", "is", "would be"), rows))
        if len(found.payments) > SHOWN:
            where.print(f"and {len(found.payments) - SHOWN} more")
    beside_them = len(found.changes) - len(found.payments)
    if beside_them:
        where.print(f"beside {', '.join(SHOWN_FIRST)}: {beside_them} documents of history, names and claims")
    for title, counts in (
        ("would be published", found.published),
        ("would call somebody", found.alarms),
        ("could not be taken", found.failed),
    ):
        if counts:
            where.print(f"{title}: {', '.join(f'{count} {name}' for name, count in counts.items())}")
    if found.unread:
        beside(f"{found.unread} only name what is to be read back from the provider: what that changes is not shown")
