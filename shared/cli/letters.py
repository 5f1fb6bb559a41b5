"""`payin dead-letters`: what was given up, by what it has in common; tried again, or dropped."""

from typing import Annotated

import typer
from rich.console import Console

from shared.cli.changing import Reason, Yes, agreed
from shared.cli.output import Json, answer, beside, table
from shared.cli.session import Session, session_of
from shared.flows.audit import Errand
from shared.operations.dead_letters import PORTION, Group, dead_letters, drop, requeue
from shared.runtime import topology
from shared.runtime.rehearsing import diagnosing

group = typer.Typer(no_args_is_help=True, help="Messages that were given up after all their tries.")

Fingerprint = Annotated[str, typer.Argument(help="What a group is called by in `payin dead-letters list`.")]
Limit = Annotated[int, typer.Option(min=1, max=5000, help="How many of each consumer to look at.")]


def register(app: typer.Typer) -> None:
    app.add_typer(group, name="dead-letters")


def _found(session: Session, limit: int) -> tuple[Group, ...]:
    found = dead_letters(session.subscriptions, topology.dead_letters(), diagnosing(session.bench), limit)
    for name, why in found.unseen.items():
        beside(f"nobody looked into {name}: {why}")
    return found.groups


@group.command("list")
def list_letters(context: typer.Context, limit: Limit = PORTION, as_json: Json = False) -> None:
    """What was given up, in groups: by consumer, provider, kind, and what would come of it today.

    Each event is given to its consumer once more, on documents that forget; so `goes through now` means that whatever held it
    up is mended. The messages stay where they are (for 31 days on Google Cloud).

    Example: `payin dead-letters list`
    """
    found = _found(session_of(context), limit)

    def tell(console: Console) -> None:
        if not found:
            console.print("nothing was given up")
            return
        columns = ("group", "given up by", "provider", "kind", "why", ">count", "first", "last", "example")
        rows = (
            (
                one.fingerprint,
                one.source or one.letters.removeprefix("dead-letter-"),
                one.provider,
                one.kind,
                one.reason,
                one.count,
                one.first,
                one.last,
                one.example,
            )
            for one in found
        )
        console.print(table("", columns, rows))

    answer(found, tell, as_json=as_json)


def _asked(session: Session, fingerprint: str, limit: int, what: str, *, yes: bool) -> None:
    if not yes:
        counted = {one.fingerprint: one for one in _found(session, limit)}
        one = counted.get(fingerprint)
        told = f"{one.count} messages of {one.source or one.letters} ({one.reason})" if one else "nothing"
        agreed(f"{told} would be {what} at {session.where}", yes=yes)


@group.command("requeue")
def requeue_letters(
    context: typer.Context,
    fingerprint: Fingerprint,
    reason: Reason,
    limit: Limit = PORTION,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Publish the messages of a group once more, where they came from, and take them out of the dead letters then.

    All who follow that topic hear them; each knows what it has had, so only whoever gave up has news.

    Example: `payin dead-letters requeue 1f0c2a9b --reason "the adapter is mended"`
    """
    session = session_of(context)
    errand = Errand(who=session.person, why=reason, what="dead-letters requeue", at=session.now())
    _asked(session, fingerprint, limit, "published again", yes=yes)
    topics = {name: topic for name, (_, topic) in topology.given_up_from().items()}
    named = (session.subscriptions, session.ports.bus, session.ports.documents, topics, fingerprint)
    done = requeue(*named, diagnosing(session.bench), errand, limit)
    answer(done, lambda console: console.print(f"{done.count} published again"), as_json=as_json)


@group.command("drop")
def drop_letters(
    context: typer.Context,
    fingerprint: Fingerprint,
    reason: Reason,
    limit: Limit = PORTION,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Take the messages of a group away for good. The audit keeps their ids; events stay in the warehouse, from where
    `payin replay --events --event <id>` tells one again.

    Example: `payin dead-letters drop 1f0c2a9b --reason "a load test's, of no payment"`
    """
    session = session_of(context)
    errand = Errand(who=session.person, why=reason, what="dead-letters drop", at=session.now())
    _asked(session, fingerprint, limit, "dropped for good", yes=yes)
    named = (session.subscriptions, session.ports.documents, topology.dead_letters(), fingerprint)
    done = drop(*named, diagnosing(session.bench), errand, limit)
    answer(done, lambda console: console.print(f"{done.count} dropped"), as_json=as_json)
