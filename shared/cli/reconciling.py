"""`payin reconcile`: what a provider says it told, held against the archive now, and the gaps told as if they had come."""

import time
from datetime import datetime, timedelta
from typing import Annotated

import typer
from rich.console import Console

from shared.cli.changing import Reason, Yes, agreed
from shared.cli.deliveries import ProviderName
from shared.cli.output import Json, answer, beside, console
from shared.cli.session import Session, instant, past, session_of
from shared.domain.codec import encode, utc_text
from shared.domain.errors import Rejected
from shared.flows.audit import Changed, Errand, begun, ended
from shared.flows.reconcile import NO_ENDPOINT, TOO_YOUNG, Budget, Reconciled, reconcile_by_hand
from shared.runtime.apis import Apis
from shared.runtime.reconciling import listed, ours, source

MOST_CALLS = 50_000
SHOWN = 50
NOT_ASKED = {
    NO_ENDPOINT: "nothing of it was ever delivered here, so nobody knows which endpoint's list is ours",
    TOO_YOUNG: "all of that time is younger than half an hour, and may be on its way",
}


def register(app: typer.Typer) -> None:
    app.command()(reconcile)


def reconcile(
    context: typer.Context,
    provider: ProviderName,
    reason: Reason,
    since: Annotated[str, typer.Option(help="2026-11-27, 2026-11-27T08:00Z, or how long ago: 6h.")] = "24h",
    until: Annotated[str | None, typer.Option(help="As --since. Left out: half an hour ago.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Name the gaps, and end.")] = False,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Ask a provider for all that it told in a time, and tell what of it never arrived, by its own ids: the webhook that comes after
    all is a duplicate then. What is younger than half an hour may be on its way, and is no gap.

    It runs by itself every two hours. Where the provider has a list of everything this reads that list, so a long time is many
    requests. The key is API_<PROVIDER>, as a function has it; of a deployed platform:
    `export API_STRIPE="$(gcloud secrets versions access latest --secret=api-stripe)"`.

    Examples: `payin reconcile stripe --since 3d --dry-run -r "the endpoint was off"`; `payin reconcile paypal --since
    2026-11-27T08:00Z --until 2026-11-27T12:00Z -r INC-7`
    """
    session = session_of(context)
    name, now = str(provider), session.now()
    if name not in listed():
        raise Rejected(f"{name} has no list: there are {', '.join(listed())}", reason="no_list")
    begin, end = past(since, now), instant(until, now) if until else None
    if end is not None and end <= begin:
        raise typer.BadParameter("the time ends before it begins", param_hint="'--until'")
    errand = Errand(who=session.person, why=reason, what="reconcile", at=now)
    if dry_run or not yes:
        found = _run(session, name, begin, end, dry_run=True)
        if dry_run:
            answer(found, lambda where: _tell(where, found), as_json=as_json)
            return
        if not as_json:
            _tell(console(), found)
        if not found.missing:
            return
        agreed(f"{found.missing} gaps would be told at {session.where}", yes=yes)
    asked = encode({"provider": name, "since": utc_text(begin), "until": utc_text(end) if end else ""})
    record = begun(session.ports.documents, errand, [Changed(name=f"reconcile:{name}", after=asked.decode())])
    done = _run(session, name, begin, end, dry_run=False)
    ended(session.ports.documents, record, encode(done).decode())
    answer(done, lambda where: _tell(where, done), as_json=as_json)


def _run(session: Session, name: str, begin: datetime, end: datetime | None, *, dry_run: bool) -> Reconciled:
    against = ours(session.ports, session.telling, session.keyring)
    budget = Budget(MOST_CALLS, time.monotonic() + timedelta(hours=6).total_seconds(), time.monotonic)
    asked = source(name, Apis(session.settings, session.now))
    return reconcile_by_hand(asked, against, session.now(), begin, end, budget, dry_run=dry_run)


def _tell(where: Console, found: Reconciled) -> None:
    if found.not_asked:
        where.print(f"{found.provider} was not asked: {NOT_ASKED[found.not_asked]}")
        return
    where.print(
        f"{found.provider} told {found.listed} in that time, by {found.calls} requests; {found.missing} never arrived"
        f"{f', {found.healed} of them are told now' if found.healed else ''}"
    )
    for name in found.gaps[:SHOWN]:
        where.print(f"  {name}", soft_wrap=True)
    if len(found.gaps) > SHOWN:
        where.print(f"  and {len(found.gaps) - SHOWN} more")
    if found.unread:
        beside(f"{found.unread} things in the list cannot be read")
    if found.endless:
        beside("the list leads in a circle: what may be behind that nobody knows")
    elif not found.complete:
        beside("the list is longer than this looked: ask for a shorter time")
