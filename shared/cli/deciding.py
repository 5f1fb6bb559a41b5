"""What changes how payments are decided: `payin models`, `rules` and `lists`, by the flows that functions use."""

import json
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from shared.cli.changing import Reason, Yes, agreed
from shared.cli.codes import NotFound
from shared.cli.models import group as models
from shared.cli.output import Json, Staff, answer, table
from shared.cli.rules import Number, asking, lists, revision_of, rules
from shared.cli.session import Session, instant, past, session_of
from shared.domain.codec import encode, utc_text
from shared.domain.decisions import Action
from shared.domain.errors import Rejected
from shared.flows.audit import Errand, audited
from shared.flows.backtest import MATURITY, Backtested
from shared.flows.challengers import dismiss, give_share, pin, promote, roll_back
from shared.flows.champions import Line
from shared.flows.ports import Ports
from shared.fraud.lists import ENTITIES
from shared.fraud.rules import State
from shared.operations.model_quality import standing
from shared.runtime.rule_book import Published, Shown, Standing

Digest = Annotated[str, typer.Argument(help="The model's digest, or as many of its first characters as name one.")]
Code = Annotated[str, typer.Argument(help="The rule's code.")]


def register(app: typer.Typer) -> None:
    """The groups are the reading commands'."""
    del app


# Models


def _line(session: Session) -> Line:
    return standing(session.ports.documents).line


def _digest(line: Line, text: str) -> str:
    """Raises NotFound where no model that stands is called so, or several are."""
    found = line.called(text)
    if len(found) != 1:
        raise NotFound(f"{len(found)} models are called {text}: `payin models show` lists them")
    return found[0]


def _change_models(
    context: typer.Context,
    act: str,
    would: str,
    reason: str,
    change: Callable[[Ports, Session], object],
    *,
    yes: bool,
    as_json: bool,
) -> None:
    session = session_of(context)
    errand = Errand(who=session.person, why=reason, what=f"models {act}", at=session.now())
    before = _line(session)
    now_decides = before.current.digest[:12] if before.current else "nobody"
    agreed(f"{would} at {session.where}; {now_decides} decides now", yes=yes)
    change(audited(session.ports, errand), session)
    after = standing(session.ports.documents)
    decides = after.line.current.digest[:12] if after.line.current else "nobody"
    answer(after, lambda console: console.print(f"{decides} decides, within a minute"), as_json=as_json)


@models.command("promote")
def promote_model(
    context: typer.Context, digest: Digest, reason: Reason, yes: Yes = False, as_json: Json = False
) -> None:
    """Let the challenger decide for everyone. `payin models show` shows what it came to.

    Example: `payin models promote 9f3c21 --reason "better on the same payments"`
    """
    whole = _digest(_line(session_of(context)), digest)
    _change_models(
        context,
        "promote",
        f"{whole[:12]} would decide for everyone",
        reason,
        lambda ports, session: promote(ports, session.now(), whole),
        yes=yes,
        as_json=as_json,
    )


@models.command("roll-back")
def roll_back_model(context: typer.Context, reason: Reason, yes: Yes = False, as_json: Json = False) -> None:
    """Let the champion before this one decide again, and pin it.

    Example: `payin models roll-back --reason "declines doubled since 3:15"`
    """
    line = _line(session_of(context))
    before = line.former[-1].digest[:12] if line.former else "the one before"
    unwanted = line.current.digest if line.current else None
    _change_models(
        context,
        "roll-back",
        f"{before} would decide again",
        reason,
        lambda ports, session: roll_back(ports, session.now(), unwanted),
        yes=yes,
        as_json=as_json,
    )


@models.command("canary")
def give_model_a_share(
    context: typer.Context,
    digest: Digest,
    share: Annotated[float, typer.Argument(min=0, max=1, help="Of customers: 0.05. 0 ends it.")],
    reason: Reason,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Let the challenger decide for a share of the customers.

    Example: `payin models canary 9f3c21 0.05 --reason "first customers"`
    """
    whole = _digest(_line(session_of(context)), digest)
    _change_models(
        context,
        "canary",
        f"{whole[:12]} would decide for {share:.1%} of the customers",
        reason,
        lambda ports, session: give_share(ports.documents, session.now(), whole, share),
        yes=yes,
        as_json=as_json,
    )


@models.command("dismiss")
def dismiss_model(
    context: typer.Context, digest: Digest, reason: Reason, yes: Yes = False, as_json: Json = False
) -> None:
    """Ask a challenger no more.

    Example: `payin models dismiss 9f3c21 --reason "no better"`
    """
    whole = _digest(_line(session_of(context)), digest)
    _change_models(
        context,
        "dismiss",
        f"{whole[:12]} would be asked no more",
        reason,
        lambda ports, _: dismiss(ports.documents, whole),
        yes=yes,
        as_json=as_json,
    )


@models.command("pin")
def pin_model(
    context: typer.Context,
    digest: Digest,
    reason: Reason,
    off: Annotated[bool, typer.Option("--off", help="Take the pin out: a better one may follow.")] = False,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Keep the champion, whatever training finds; or let a better one follow again.

    Examples: `payin models pin 9f3c21 --reason "until the audit"`; `payin models pin 9f3c21 --off --reason "audit is over"`
    """
    whole = _digest(_line(session_of(context)), digest)
    _change_models(
        context,
        "unpin" if off else "pin",
        f"{whole[:12]} would {'give way to a better one' if off else 'stay'}",
        reason,
        lambda ports, _: pin(ports, whole, pinned=not off),
        yes=yes,
        as_json=as_json,
    )


# Rules


def _read(file: Path) -> Any:
    """JSON in a file, `-` for standard input. Raises Rejected."""
    try:
        return json.loads(sys.stdin.read() if str(file) == "-" else file.read_text(encoding="utf-8"))
    except OSError as error:
        raise Rejected(f"{file} cannot be read: {error.strerror}", reason="bad_file") from error
    except ValueError as error:
        raise Rejected(f"{file} is not JSON: {error}", reason="bad_file") from error


File = Annotated[Path, typer.Argument(help="JSON, as `payin rules list --json` shows a book; `-` for standard input.")]


def _publish(
    context: typer.Context, book: Any, after: int | None, would: str, reason: str, *, yes: bool, as_json: bool
) -> None:
    session = session_of(context)
    agreed(f"{would} at {session.where}, after {f'revision {after}' if after else 'what is shipped'}", yes=yes)
    done: Published = asking(context)("publish", book=book, after=after, reason=reason)
    answer(done, lambda console: console.print(f"revision {done.revision} decides, within a minute"), as_json=as_json)


@rules.command("publish")
def publish_rules(
    context: typer.Context,
    file: File,
    reason: Reason,
    after: Annotated[str, typer.Option(help="The revision that it was made from, or `shipped`.")],
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Judge by the book in a file from now on. Refused where somebody else has changed it since `--after`, and where something
    new or changed in it (a rule, a list entry, limits, exemptions) says no `owner`, who answers for it, or no `reason`.

    Example: `payin rules publish book.json --after 3 --reason "a wave of new cards"`
    """
    told = _read(file)
    book = told["book"] if isinstance(told, dict) and "book" in told else told
    count = len(book.get("rules", ())) if isinstance(book, dict) else 0
    _publish(
        context, book, revision_of(after), f"a book of {count} rules would decide", reason, yes=yes, as_json=as_json
    )


def _put(context: typer.Context, code: str, state: State, reason: str, *, yes: bool, as_json: bool) -> None:
    shown: Shown = asking(context)("show")
    [before] = [one for one in shown.book["rules"] if one["code"] == code] or [None]
    if before is None:
        raise NotFound(f"no rule of the book is called {code}")
    after = [{**one, "state": state.value} if one["code"] == code else one for one in shown.book["rules"]]
    _publish(
        context,
        {**shown.book, "rules": after},
        shown.revision,
        f"{code} would be {state.value} instead of {before['state']}",
        reason,
        yes=yes,
        as_json=as_json,
    )


@rules.command("shadow")
def shadow_rule(context: typer.Context, code: Code, reason: Reason, yes: Yes = False, as_json: Json = False) -> None:
    """Let a rule be noted where it holds, and decide nothing.

    Example: `payin rules shadow new_card_large --reason "it hinders renewals"`
    """
    _put(context, code, State.SHADOW, reason, yes=yes, as_json=as_json)


@rules.command("retire")
def retire_rule(context: typer.Context, code: Code, reason: Reason, yes: Yes = False, as_json: Json = False) -> None:
    """Let a rule be asked no more; it stays in the book.

    Example: `payin rules retire new_card_large --reason "dead for 30 days"`
    """
    _put(context, code, State.RETIRED, reason, yes=yes, as_json=as_json)


@rules.command("back")
def take_rules_back(
    context: typer.Context, revision: Number, reason: Reason, yes: Yes = False, as_json: Json = False
) -> None:
    """Judge by an older revision once more, as a new one; `shipped` is what the release brought.

    Example: `payin rules back 3 --reason "declines doubled"`
    """
    session = session_of(context)
    agreed(f"the book of revision {revision} would decide again at {session.where}", yes=yes)
    done: Published = asking(context)("back", to=revision_of(revision), reason=reason)
    answer(done, lambda console: console.print(f"revision {done.revision} decides, within a minute"), as_json=as_json)


@rules.command("backtest")
def backtest_rule(
    context: typer.Context,
    sql: Annotated[str, typer.Argument(help="The condition: `new_card_of_customer >= 1 AND amount >= 5000`.")],
    outcome: Annotated[str, typer.Option(help="approve, challenge, review or decline")] = "review",
    since: Annotated[str, typer.Option(help="2026-11-27, 2026-11-27T08:00Z, or how long ago: 90d.")] = "90d",
    until: Annotated[str | None, typer.Option(help="As --since. Left out: now.")] = None,
    maturity_days: Annotated[
        int, typer.Option(min=0, max=400, help="How old is genuine without news.")
    ] = MATURITY.days,
    as_json: Json = False,
) -> None:
    """What a rule would have hit, of what became fraud and of what was genuine. Nothing is changed.

    Example: `payin rules backtest "amount >= 50000" --outcome review --since 90d`
    """
    session = session_of(context)
    now = session.now()
    found: Backtested = asking(context)(
        "backtest",
        rules=[{"code": "tried", "outcome": outcome, "sql": sql}],
        since=utc_text(past(since, now)),
        until=utc_text(instant(until, now) if until else now),
        maturity_days=maturity_days,
    )

    def tell(console: Console) -> None:
        console.print_json(encode(found).decode())

    answer(found, tell, as_json=as_json)


# Lists

Kind = Annotated[str, typer.Argument(help=", ".join(ENTITIES))]
Value = Annotated[str, typer.Argument(help="As a decision's history names it: `payin why` shows it.")]


@lists.command("add")
def add_to_list(
    context: typer.Context,
    kind: Kind,
    value: Value,
    action: Action,
    reason: Reason,
    days: Annotated[float, typer.Option(min=0.01, max=365, help="For how long.")] = 30.0,
    rule: Annotated[str | None, typer.Option(help="Of a snooze: the rule that is not asked.")] = None,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """List a card, a customer, a device or an address: allow, block, or snooze a rule.

    Examples: `payin lists add customer cus_123 block --days 30 --reason "card testing"`; `payin lists add device dev_9 snooze
    --rule new_card_large --days 7 --reason "a shared tablet"`
    """
    session = session_of(context)
    agreed(f"{action} of {kind} {value} would hold for {days:g} days at {session.where}", yes=yes)
    until = utc_text(session.now() + timedelta(days=days))
    said = {"action": action.value, "kind": kind, "value": value, "rule": rule}
    done: Standing = asking(context)("list", **said, until=until, owner=session.person, reason=reason)
    _standing(done, as_json=as_json)


@lists.command("remove")
def remove_from_list(
    context: typer.Context,
    kind: Kind,
    value: Value,
    action: Action,
    reason: Reason,
    rule: Annotated[str | None, typer.Option(help="Of a snooze: its rule.")] = None,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Take an entry back.

    Example: `payin lists remove customer cus_123 block --reason "it was her own card"`
    """
    session = session_of(context)
    agreed(f"{action} of {kind} {value} would hold no longer at {session.where}", yes=yes)
    said = {"action": action.value, "kind": kind, "value": value, "rule": rule}
    done: Standing = asking(context)("unlist", **said, reason=reason)
    _standing(done, as_json=as_json)


def _standing(done: Standing, *, as_json: bool) -> None:
    def tell(console: Console) -> None:
        rows = [(name, one.until, Staff(one.author), one.reason) for name, one in done.standing.items()]
        title = f"{done.kind} {done.value}"
        console.print(table(title, ("what", "until", "by", "why"), rows) if rows else f"of {title} nothing stands")
        if done.note:
            console.print(done.note)

    answer(done, tell, as_json=as_json)
