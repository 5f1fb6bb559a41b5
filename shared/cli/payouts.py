"""`payin payouts`: what providers paid us, explained to the minor unit."""

from datetime import datetime, timedelta
from typing import Annotated

import typer
from rich.console import Console

from shared.cli.changing import Reason, Yes, agreed
from shared.cli.codes import NotFound
from shared.cli.deliveries import ProviderName
from shared.cli.output import Json, answer, at, since, table
from shared.cli.session import Session, session_of
from shared.domain.money import Money
from shared.domain.payouts import Payout
from shared.flows.audit import Errand, audited
from shared.flows.explain_payouts import accept_rest, accept_unpaid
from shared.operations.payouts import Paid, not_paid, paid_out, payout, with_rest, with_unread

group = typer.Typer(no_args_is_help=True, help="What providers paid us, and what nobody explains.")


def register(app: typer.Typer) -> None:
    app.add_typer(group, name="payouts")


READ = "of what was asked for: `payin jobs show` says when that was last done"
"""Nothing is no news where nobody has looked."""


@group.command("list")
def list_payouts(
    context: typer.Context,
    days: Annotated[int, typer.Option(min=1, max=180, help="How many days back.")] = 30,
    rest: Annotated[bool, typer.Option("--rest", help="Only what is not explained, whenever it was paid.")] = False,
    unread: Annotated[bool, typer.Option("--unread", help="Only what could not be read yet.")] = False,
    provider: Annotated[ProviderName | None, typer.Option(help="Of one provider.")] = None,
    as_json: Json = False,
) -> None:
    """Payouts, the latest first; with --rest those that no line explains, the oldest rest first; with --unread those whose lines could
    not be read.

    Examples: `payin payouts list`; `payin payouts list --rest`; `payin payouts list --provider stripe --days 90`
    """
    session = session_of(context)
    now = session.now()
    if rest and unread:
        raise typer.BadParameter("what is not read has no rest yet: one of the two", param_hint="'--rest', '--unread'")
    if unread:
        _list_unread(session, now, provider, as_json=as_json)
        return
    if rest:
        found = with_rest(session.ports.documents, now, provider=provider)
    else:
        from_then = now - timedelta(days=days)
        found = paid_out(session.ports.warehouse, session.ports.documents, from_then, now, provider=provider)

    def tell(console: Console) -> None:
        if not found:
            console.print(
                f"every payout is explained, {READ}" if rest else f"nothing was paid within {days} days, {READ}"
            )
            return
        rows = ((at(one.paid_at), one.name, one.paid, one.rest, _standing(one, now)) for one in found)
        console.print(table("", ("paid at", "payout", ">paid", ">not explained", "since"), rows))

    answer(found, tell, as_json=as_json)


def _standing(one: Paid, now: datetime) -> str | None:
    if one.accepted:
        return "accepted"
    return since(one.rest_since, now) if one.rest_since else None


def _list_unread(session: Session, now: datetime, provider: str | None, *, as_json: bool) -> None:
    found = with_unread(session.ports.documents, now, provider=provider)

    def tell(console: Console) -> None:
        if not found:
            console.print(f"every payout that we know of is read, {READ}")
            return
        rows = (
            (
                at(one.paid_at),
                one.name,
                since(one.unread_since, now),
                "its report is prepared" if one.prepared else None,
            )
            for one in found
        )
        console.print(table("", ("paid at", "payout", "not read since", ""), rows))

    answer(found, tell, as_json=as_json)


@group.command("show")
def show(context: typer.Context, name: str, as_json: Json = False) -> None:
    """One payout: its lines by kind, what was exchanged, what of it nobody explains, and which lines are no payment of ours.

    Example: `payin payouts show stripe:main:po_1`
    """
    session = session_of(context)
    found = payout(session.ports.documents, name)
    if found is None:
        raise NotFound(f"no payout is called {name}: `payin payouts list` names them")
    one = found

    def tell(console: Console) -> None:
        if one.unread_since is not None:
            why = "its provider prepares the report" if one.waits_for else "it could not be read"
            console.print(f"{name}: {why}, since {at(one.unread_since)}; it is asked for at the next run")
        if one.read_at is None:
            if one.forgone:
                console.print(f"{name}: it was never read, and somebody has accepted that")
        elif one.currencies:
            console.print(
                f"{name}: one payout for each currency: {', '.join(one.currencies)}, after the id and a stroke"
            )
        else:
            _tell(console, one)

    answer(one, tell, as_json=as_json)


def _tell(console: Console, one: Payout) -> None:
    def money(minor: int, currency: str = one.currency) -> Money:
        return Money(minor, currency)

    rows = [(str(total.kind), money(total.minor), total.lines) for total in one.totals]
    rows.append(("accepted" if one.accepted is not None else "not explained", money(one.rest), 0))
    rows.append(("paid", money(one.paid), one.lines))
    console.print(table(f"{one.name}, {at(one.paid_at)}", ("what", ">amount", ">lines"), rows))
    if one.arrives is not None:
        console.print(f"arrives as {one.arrives}")
    for word, minor in one.words.items():
        console.print(f"a word that we do not know: {word}, {money(minor)}")
    for leg in one.exchanged:
        console.print(f"customers paid {money(leg.charged, leg.currency)}, which is {money(leg.moved)} here")
    for lines in one.unlinked:
        why = "no payment of ours" if lines.why == "unknown" else "another amount than we know"
        console.print(
            f"{lines.lines} {lines.kind} lines, {money(lines.minor, lines.currency)}: {why}, as {lines.example}"
        )


@group.command("accept")
def accept(context: typer.Context, name: str, reason: Reason, yes: Yes = False, as_json: Json = False) -> None:
    """Say that somebody knows what the rest of a payout is: it ages and alarms no more, until it is another one. Of one that cannot be
    read: it is asked for no more, until its provider tells of it anew.

    Example: `payin payouts accept stripe:main:po_1 --reason "a fee by letter of 2026-11-20"`
    """
    session = session_of(context)
    errand = Errand(who=session.person, why=reason, what="payouts accept", at=session.now())
    found = payout(session.ports.documents, name)
    if found is None:
        raise NotFound(f"no payout is called {name}: `payin payouts list --rest` names them")
    told = Money(found.rest, found.currency) if found.currency else "all"
    agreed(f"{told} of {name} would be taken for explained at {session.where}", yes=yes)
    after = accept_rest(audited(session.ports, errand).documents, name, found.rest)
    answer(after, lambda console: console.print(f"{told} of {name} is accepted"), as_json=as_json)


@group.command("unpaid")
def unpaid(context: typer.Context, as_json: Json = False) -> None:
    """What was captured and is in no payout, although it is old enough, until it is paid or somebody accepts it: as of the weekly
    look.

    Example: `payin payouts unpaid`
    """
    session = session_of(context)
    found, now = not_paid(session.ports.documents), session.now()

    def tell(console: Console) -> None:
        if found.linked_at is None:
            console.print("nobody has looked yet")
            return
        whose = ", ".join(found.providers) or "no provider: of none payouts are read"
        if not found.found:
            console.print(f"everything that was old enough was paid, as of {at(found.linked_at)}, by {whose}")
            return
        rows = (
            (one.name, one.payments, one.captured, at(one.oldest), since(one.oldest, now), one.example)
            for one in found.found
        )
        columns = ("unpaid", ">payments", ">captured", "oldest", "", "one of them")
        console.print(table(f"as of {at(found.linked_at)}, by {whose}", columns, rows))

    answer(found, tell, as_json=as_json)


@group.command("accept-unpaid")
def accept_not_paid(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="As `payin payouts unpaid` has it.")],
    reason: Reason,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Say that somebody knows why captures of one account and currency are in no payout: they are listed and alarm no more; later
    ones do.

    Example: `payin payouts accept-unpaid stripe:main:EUR --reason "paid to the old bank account, letter of 2026-11-20"`
    """
    session = session_of(context)
    errand = Errand(who=session.person, why=reason, what="payouts accept-unpaid", at=session.now())
    found = [one for one in not_paid(session.ports.documents).found if one.name == name]
    if not found:
        raise NotFound(f"nothing unpaid is called {name}: `payin payouts unpaid` names it")
    [one] = found
    agreed(f"{one.payments} payments, {one.captured} of {name} would be taken for settled at {session.where}", yes=yes)
    documents = audited(session.ports, errand).documents
    accept_unpaid(documents, name, one.payments, one.captured.minor)
    answer(one, lambda console: console.print(f"{one.captured} of {name} is accepted"), as_json=as_json)
