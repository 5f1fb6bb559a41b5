"""`payin rules` and `payin lists`: what is said of them. By the contract of `manage_rules`, which says it to everybody."""

from typing import Annotated, Any, Protocol

import typer
from rich.console import Console

from shared.cli.output import Json, Staff, answer, beside, since, table
from shared.cli.session import session_of
from shared.domain.codec import encode
from shared.flows.entries_by_key import NamedEntry, named_entries
from shared.flows.listing import Change
from shared.runtime.rule_book import Changed, Entities, Revisions, Shown, Standing, manage_rules

rules = typer.Typer(no_args_is_help=True, help="The book of rules.")
lists = typer.Typer(no_args_is_help=True, help="Cards, customers, devices and addresses that are listed.")

MOST_PAGES = 50
Number = Annotated[str, typer.Argument(help="A revision's number, or `shipped`.")]


class Asked(Protocol):
    def __call__(self, act: str, **members: Any) -> Any: ...


def asking(context: typer.Context) -> Asked:
    """`manage_rules`, called by whoever is asking. An answer's members are as that contract says."""
    session = session_of(context)

    def ask(act: str, **members: Any) -> Any:
        return manage_rules(encode({"act": act, **members}), session.ports, session.now(), session.person)

    return ask


def register(app: typer.Typer) -> None:
    app.add_typer(rules, name="rules")
    app.add_typer(lists, name="lists")


@rules.command("list")
def list_rules(
    context: typer.Context,
    revision: Annotated[int | None, typer.Option(min=1, help="Not the book that decides now, but this one.")] = None,
    health: Annotated[bool, typer.Option("--health", help="And how right each was, by the last 30 days.")] = False,
    as_json: Json = False,
) -> None:
    """The rules that decide: what each asks, what it does, in which state it is, who answers for it, and who changed it last.
    `--json` has why each is there, too.

    Examples: `payin rules list`; `payin rules list --revision 3 --health`
    """
    shown: Shown = asking(context)("show", revision=revision, health=health)

    def row(rule: dict[str, Any]) -> list[object]:
        told: list[object] = [rule["code"], rule["state"], rule["outcome"], rule["sql"], rule["owner"], _changed(rule)]
        if shown.health is not None:
            measured = shown.health.get(rule["code"])
            right = measured.precision if measured and measured.matured else None
            told += [
                f"{measured.hits} of {measured.judged}" if measured else None,
                f"{right.low:.0%} to {right.high:.0%}" if right else None,
                "dead" if measured and measured.dead else "",
            ]
        return told

    def tell(console: Console) -> None:
        name = f"revision {shown.revision}" if shown.revision else "as shipped"
        columns = ["rule", "state", "outcome", "when", "owner", "changed"]
        columns += [">hits", ">right", ""] if shown.health is not None else []
        console.print(table(f"{name} ({shown.rules_version})", columns, map(row, shown.book["rules"])))

    answer(shown, tell, as_json=as_json)


def _changed(rule: dict[str, Any]) -> Staff | None:
    last = rule["changed"]
    return Staff(f"revision {last['revision']}, {last['at'][:10]} by {last['author']}") if last else None


@rules.command("history")
def rules_history(
    context: typer.Context,
    limit: Annotated[int, typer.Option(min=1, max=50, help="How many.")] = 20,
    as_json: Json = False,
) -> None:
    """Revisions of the book, the newest first: who made each, when and why.

    Example: `payin rules history`
    """
    found: Revisions = asking(context)("history", limit=limit)

    def tell(console: Console) -> None:
        if not found.revisions:
            console.print("nothing was published: the rules are as shipped")
            return
        rows = ((one.revision, one.after or "shipped", one.at, Staff(one.author), one.why) for one in found.revisions)
        console.print(table("", (">revision", ">after", "at", "by", "why"), rows))

    answer(found, tell, as_json=as_json)


@rules.command("diff")
def rules_diff(context: typer.Context, before: Number, after: Number, as_json: Json = False) -> None:
    """What changed between two revisions of the book.

    Example: `payin rules diff shipped 3`
    """
    found: Changed = asking(context)("diff", **{"from": revision_of(before), "to": revision_of(after)})

    def tell(console: Console) -> None:
        rows: list[tuple[object, ...]] = []
        for code, (was, now) in sorted(found.rules.items()):
            names = sorted({*(was or {}), *(now or {})})
            rows += [
                (f"{code}.{name}", _one(was, name), _one(now, name))
                for name in names
                if _one(was, name) != _one(now, name)
            ]
        rows += [("entry", encode(one).decode(), None) for one in found.removed_entries]
        rows += [("entry", None, encode(one).decode()) for one in found.added_entries]
        if found.policy is not None:
            rows += [("policy", *(encode(one).decode() for one in found.policy))]
        console.print(table("", ("what", before, after), rows) if rows else "no difference")

    answer(found, tell, as_json=as_json)


def _one(rule: dict[str, Any] | None, name: str) -> str | None:
    if rule is None or name == "tree":
        return None
    value = rule.get(name)
    return value if isinstance(value, str) or value is None else encode(value).decode()


def revision_of(text: str) -> int | None:
    """A revision's number; None for what is shipped. Raises BadParameter."""
    if text == "shipped":
        return None
    if not (text.isascii() and text.isdigit() and int(text)):
        raise typer.BadParameter(f"{text!r} is no revision: give its number, or `shipped`")
    return int(text)


@lists.command("show")
def show_lists(
    context: typer.Context,
    kind: Annotated[str | None, typer.Argument(help="card, customer, device or ip")] = None,
    value: Annotated[str | None, typer.Argument(help="As a decision's history names it: `payin why` shows it.")] = None,
    as_json: Json = False,
) -> None:
    """What stands on the lists; or of one entity all that was ever said.

    Examples: `payin lists show`; `payin lists show customer cus_123`
    """
    ask, now = asking(context), session_of(context).now()
    if (kind is None) is not (value is None):
        raise typer.BadParameter("an entity is named by its kind and its value")
    note: str | None = None
    if kind is not None:
        one: Standing = ask("listed", kind=kind, value=value)
        note = one.note
        found, changes = [one], [(one, change) for change in one.changes]
    else:
        found = _all(ask)
        changes = [(one, change) for one in found for change in one.standing.values()]

    def row(one: Standing, change: Change) -> tuple[object, ...]:
        until = since(change.until, now) if change.until else "taken back"
        return (
            one.kind,
            one.value,
            change.name,
            until,
            change.at,
            Staff(change.author),
            Staff(change.owner),
            change.reason,
        )

    def tell(console: Console) -> None:
        columns = ("kind", "value", "what", "until", "said at", "by", "owner", "why")
        shown = table("", columns, (row(one, change) for one, change in changes))
        console.print(shown if changes else "nothing is listed")
        if note:
            console.print(note)

    answer(found, tell, as_json=as_json)


@lists.command("keys")
def listed_by_key(context: typer.Context, as_json: Json = False) -> None:
    """Who is listed by a pseudonym, by the version of its key in PAYIN_PSEUDONYM_KEYS: before a key is left out, whom that would
    let go; and afterwards, of whom an entry stands by which nobody is found. Those of the book go with another revision of it.

    Example: `payin lists keys`
    """
    session = session_of(context)
    found = named_entries(session.ports.documents, session.keyring, session.now())

    def row(one: NamedEntry) -> tuple[object, ...]:
        return one.version, one.kind, one.value, one.name, since(one.until, session.now()), Staff(one.owner), one.holds

    def tell(console: Console) -> None:
        columns = ("key", "kind", "value", "what", "until", "owner", "found by it")
        console.print(table("", columns, map(row, found)) if found else "nobody is listed by a pseudonym")

    answer(found, tell, as_json=as_json)


def _all(ask: Asked) -> list[Standing]:
    found: list[Standing] = []
    after: str | None = ""
    for _ in range(MOST_PAGES):
        page: Entities = ask("listed", after=after)
        found += page.entities
        after = page.after
        if after is None:
            return found
    beside(f"these are the first {len(found)}: name a kind and a value for another one")
    return found
