"""`payin providers`: how each is doing, and whether what it tells is acted upon."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer
from rich.console import Console

from shared.cli.changing import Reason, Yes, agreed
from shared.cli.deliveries import ProviderName
from shared.cli.output import Json, answer, at, since, table
from shared.cli.session import instant, past, session_of
from shared.flows.audit import Errand, audited
from shared.flows.canaries import Heard, heard
from shared.flows.event_messages import TOPIC
from shared.flows.reconcile import Standing, standings
from shared.flows.subscriptions import Listening, listening
from shared.flows.watch_traffic import Outlook, Silence, accept, standing, types_of
from shared.operations.parking import Parked, drain, ongoing, park, parked, unpark
from shared.operations.provider_health import Health, health, told_by
from shared.providers import names
from shared.runtime import topology

group = typer.Typer(
    no_args_is_help=True, help="Payment providers: how they are doing, and whether they are acted upon."
)


def register(app: typer.Typer) -> None:
    app.add_typer(group, name="providers")


@dataclass(frozen=True, slots=True)
class _Shown:
    """pushed: subscriptions of a parked provider that are pushed all the same. reconciled: None where its list was never held
    against ours. traffic: what came today, as of the last look, beside what usually comes; None where nobody has looked, or
    nothing came for months. silences: those that stand. canary: our own delivery that was heard last,
    canary_seconds: how long it was on its way. listening: what the provider sends to our endpoint, as it was read last; None of
    one that does not tell."""

    health: Health
    parked: Parked | None
    pushed: tuple[str, ...]
    reconciled: Standing | None
    traffic: Outlook | None
    silences: tuple[Silence, ...]
    canary: Heard | None
    canary_seconds: float | None
    listening: Listening | None


@group.command("show")
def show(
    context: typer.Context,
    from_then: Annotated[str, typer.Option("--since", help="2026-11-27, 2026-11-27T08:00Z, or how long ago.")] = "24h",
    all_of_them: Annotated[bool, typer.Option("--all", help="Those too of which nothing was heard.")] = False,
    as_json: Json = False,
) -> None:
    """Each provider on a line: when it was last heard of, what of it could not be read or is not known, how late it is, which
    keys prove it, what nothing proves, whether it sends today what it usually sends and since when it does not, whether its API is
    left alone, until when all that it told is known to be here, how many gaps were healed and when last, when a canary of ours was
    last heard through its webhook and after how long, whether it sends what we follow, where it tells, and whether it is parked.

    What was refused names no key that is ours, so it is counted by its reason; out of the log, with the breaker.

    Examples: `payin providers show`; `payin providers show --since 7d --all --json`
    """
    session = session_of(context)
    now = session.now()
    then = past(from_then, now)
    documents = session.ports.documents
    kept = parked(documents, names())
    canaries, listened = heard(documents, names()), listening(documents, names())
    reconciled = standings(documents, names())
    asked = health(session.ports.warehouse, names(), then, now + timedelta(days=1))
    watched = standing(session.ports.documents)
    silent = {one.provider for one in watched.silences if one.ended is None} if watched else set()
    found = [
        _Shown(
            one,
            here := kept.get(one.provider),
            tuple(ongoing(here, session.subscriptions)) if here else (),
            reconciled.get(one.provider),
            watched.providers.get(one.provider) if watched else None,
            tuple(watched.open_of(one.provider).values()) if watched else (),
            canary := canaries.get(one.provider),
            canary.seconds if canary else None,
            listened.get(one.provider),
        )
        for one in told_by(session.logs, asked, then)
        if all_of_them
        or one.deliveries
        or one.refused
        or one.breaker_open_since
        or one.provider in {*kept, *silent, *canaries}
    ]

    def state(one: _Shown) -> str:
        if one.parked is None:
            return ""
        told = f"since {since(one.parked.since, now)}, by {one.parked.by}: {one.parked.why}"
        return f"{told}; BUT PUSHED: {', '.join(one.pushed)}" if one.pushed else told

    def whole(one: Standing | None) -> str | None:
        return None if one is None or one.until is None else since(one.until, now)

    def healed(one: Standing | None) -> str:
        return f"{one.healed}, last {since(one.healed_at, now)}" if one and one.healed_at else ""

    def tell(console: Console) -> None:
        if not found:
            console.print("nothing was heard of anybody: look further back by --since 7d")
            return
        columns = (
            "provider",
            "last",
            ">deliveries",
            ">unread",
            ">other mode",
            ">unknown in",
            "late",
            "keys",
            "refused",
            "API",
            "parked",
        )
        rows = (
            (
                one.health.provider,
                since(one.health.last, now) if one.health.last else None,
                one.health.deliveries,
                one.health.unparsed,
                one.health.mode_mismatch,
                one.health.unmapped,
                None if one.health.lag_seconds is None else timedelta(seconds=one.health.lag_seconds),
                ", ".join(f"{key} {count}" for key, count in one.health.keys.items()),
                ", ".join(f"{reason} {count}" for reason, count in one.health.refused.items()),
                f"left alone since {at(one.health.breaker_open_since)}" if one.health.breaker_open_since else "",
                state(one),
            )
            for one in found
        )
        console.print(table("", columns, rows))
        arrives = ("provider", "today, usual", "silent", "whole until", "healed", "canary", "sends us")
        whether = (
            (
                one.health.provider,
                _usual(one.traffic),
                _silent(one.silences, now),
                whole(one.reconciled),
                healed(one.reconciled),
                f"{since(one.canary.sent_at, now)}, took {one.canary.seconds:.1f} s" if one.canary else None,
                _sends(one.listening, now) if one.listening else None,
            )
            for one in found
        )
        console.print(table("\nwhether all of it arrives", arrives, whether))

    answer(found, tell, as_json=as_json)


def _usual(one: Outlook | None) -> str:
    if one is None:
        return ""
    return f"{one.heard}, {one.expected:.0f}" if one.expected is not None else f"{one.heard}, {one.why}"


def _sends(one: Listening, now: datetime) -> str:
    """What is not sent, or since when nobody can say."""
    found = "; ".join(one.differences)
    if one.read_at and not found:
        found = f"all, as of {since(one.read_at, now)}"
    mute = f"does not answer since {since(one.unanswered_since, now)}" if one.unanswered_since else ""
    return "; ".join(filter(None, (found, mute)))


def _silent(silences: Sequence[Silence], now: datetime) -> str:
    """All of it, or its types."""
    whole = [one for one in silences if not one.type]
    return ", ".join(f"{one.type or 'all'} ({one.part}) since {since(one.since, now)}" for one in whole or silences)


@group.command("usual")
def usual(
    context: typer.Context,
    provider: ProviderName,
    reason: Reason,
    kind: Annotated[
        str | None, typer.Option("--type", help="One type of its messages, as it names it; without: all of it.")
    ] = None,
    from_then: Annotated[str, typer.Option("--since", help="2026-11-27, or how long ago.")] = "0d",
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """What a provider sends from a day on (UTC) is what it usually sends: silences that stand end, and what was before is
    forgotten. Nothing is expected until three weeks are known again.

    Examples: `payin providers usual adyen --since 2026-11-01 --reason "we take Mollie since then"`;
    `payin providers usual stripe --type charge.updated --reason "switched off at Stripe"`
    """
    session = session_of(context)
    day = instant(from_then, session.now()).astimezone(UTC).date()
    if day > session.now().date():
        raise typer.BadParameter(
            "that day is yet to come: until then nothing would be expected", param_hint="'--since'"
        )
    if kind is not None and kind not in (known := types_of(session.ports.warehouse, provider, session.now())):
        told = f"these were counted: {', '.join(known)}" if known else f"nothing of {provider} was counted by type"
        raise typer.BadParameter(f"{kind!r} was never counted; {told}", param_hint="'--type'")
    errand = Errand(who=session.person, why=reason, what="providers usual", at=session.now())
    what = f"{kind} of {provider}" if kind else f"all of {provider}"
    agreed(f"at {session.where} what comes of {what} from {day} on would be usual", yes=yes)
    ended = accept(audited(session.ports, errand), provider, kind, day)
    answer(ended, lambda console: console.print(f"{len(ended)} silences end"), as_json=as_json)


def _subscriptions(provider: str) -> list[str]:
    return [own.name for own in topology.pushed([provider]) if own.topic == TOPIC]


@group.command("park")
def park_provider(
    context: typer.Context, provider: ProviderName, reason: Reason, yes: Yes = False, as_json: Json = False
) -> None:
    """Let nothing act on what a provider tells: its deliveries are accepted, verified and kept.

    Pushing stops, within seconds, for the subscriptions by which its events reach payments, decisions and disputes. What comes
    waits in them, for seven days at most, and is in the warehouse too. Deadlines go on: a dispute that is opened meanwhile is
    not heard of before `unpark` or `drain`. Answers to disputes that are known already go out. A deployment leaves it
    parked; where something is pushed all the same, `payin providers show` says so, and the same again parks it again.

    Example: `payin providers park adyen --reason "amounts of refunds are wrong since 9:00"`
    """
    session = session_of(context)
    errand = Errand(who=session.person, why=reason, what="providers park", at=session.now())
    stopped = _subscriptions(provider)
    agreed(f"nothing would act on what {provider} tells at {session.where}: {', '.join(stopped)}", yes=yes)
    done = park(session.ports, session.subscriptions, provider, stopped, errand)
    answer(done, lambda console: console.print(f"{provider} is parked"), as_json=as_json)


@group.command("unpark")
def unpark_provider(
    context: typer.Context, provider: ProviderName, reason: Reason, yes: Yes = False, as_json: Json = False
) -> None:
    """Let what was kept, and what comes, be acted upon: as fast as consumers take it. At a rate: `payin providers drain`.

    Example: `payin providers unpark adyen --reason "they have mended it"`
    """
    session = session_of(context)
    errand = Errand(who=session.person, why=reason, what="providers unpark", at=session.now())
    agreed(f"all that {provider} told would go through at once at {session.where}", yes=yes)
    unpark(session.ports, session.subscriptions, provider, errand)
    answer({"unparked": provider}, lambda console: console.print(f"{provider} goes on"), as_json=as_json)


@group.command("drain")
def drain_provider(
    context: typer.Context,
    provider: ProviderName,
    reason: Reason,
    rate: Annotated[float, typer.Option(min=0.1, max=10_000, help="Messages a second.")] = 50.0,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Unpark a provider, and let what was kept go through by when it was told, at a rate. What comes meanwhile goes at once.

    Broken off, the same again goes on with what is left; nothing is lost by that, and consumers know what they have had.

    Example: `payin providers drain adyen --rate 20 --reason "they have mended it"`
    """
    session = session_of(context)
    errand = Errand(who=session.person, why=reason, what="providers drain", at=session.now())
    agreed(f"{provider} would go on at {session.where}, what was kept at {rate:g} a second", yes=yes)
    count = drain(session.ports, session.subscriptions, provider, errand, rate)
    answer({"passed_on": count}, lambda console: console.print(f"{count} messages went through"), as_json=as_json)
