"""`payin keys`: a provider's keys are changed without a gap."""

import json
import os
import sys
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from shared.cli.changing import Reason, Yes, agreed
from shared.cli.deliveries import ProviderName
from shared.cli.output import Json, answer, since, table
from shared.cli.session import Session, past, session_of
from shared.domain.delivery import Credentials
from shared.domain.errors import Misconfigured, Rejected
from shared.flows.audit import Changed, Errand, begun, ended
from shared.operations.key_rotation import quiet_for, used, with_key, without_key
from shared.providers import load

group = typer.Typer(no_args_is_help=True, help="Keys by which providers prove that a delivery is theirs.")

Secrets = Annotated[
    Path,
    typer.Option(
        help='The file that a deployment takes (SECRETS=): {"WEBHOOK_<PROVIDER>": {"keys": {...}}}, as it is deployed.'
    ),
]


def register(app: typer.Typer) -> None:
    app.add_typer(group, name="keys")


@group.command("show")
def show(
    context: typer.Context,
    provider: ProviderName,
    from_then: Annotated[str, typer.Option("--since", help="2026-11-27, 2026-11-27T08:00Z, or how long ago.")] = "31d",
    as_json: Json = False,
) -> None:
    """Which key ids prove a provider's deliveries, and when each last did: what to watch while a key is changed.

    Example: `payin keys show stripe --since 7d`
    """
    session = session_of(context)
    now = session.now()
    found = used(session.ports.warehouse, provider, past(from_then, now), now + timedelta(days=1))
    traits = load(provider).TRAITS

    def tell(console: Console) -> None:
        rows = [(one.key_id, one.deliveries, since(one.first, now), since(one.last, now)) for one in found]
        console.print(table(f"{provider}: {traits.rotation}", ("key", ">deliveries", "first", "last"), rows))
        console.print(f"a key may go when it has proved nothing for {quiet_for(traits).total_seconds() / 86400:g} days")

    answer(found, tell, as_json=as_json)


@group.command("rotate")
def rotate(
    context: typer.Context,
    provider: ProviderName,
    reason: Reason,
    secrets: Secrets,
    add: Annotated[
        str, typer.Option(help="The new key's id. Its secret is asked for, or read from standard input.")
    ] = "",
    remove: Annotated[str, typer.Option(help="The id of the key that goes.")] = "",
    lost: Annotated[
        bool, typer.Option("--lost", help="With --remove: at once, for somebody else may have it.")
    ] = False,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Change a provider's key without a gap, in three steps: add the new one beside the old, watch, remove the old one.

    1. `--add k2` writes the new key beside the old into the file of secrets; both are active once it is deployed: add a version to
       `secret_versions` of the provider and `make deploy ENV=<env> SECRETS=<file>`. Then the provider is given the new key.
    2. `payin keys show <provider>` counts by key id.
    3. `--remove k1` takes the old key out of the file, once it has proved nothing for as long as the provider repeats what it
       signed with it, and another one has. Deploy that too, and remove the old version. A key that somebody else may have goes with
       `--lost`, as soon as another one has proved something: what it proved since is listed by `payin deliveries list --key k1`.

    No secret is an argument, is shown, or is in the audit.

    Examples: `payin keys rotate stripe --add k2 --secrets secrets.json --reason "yearly"`; `payin keys rotate stripe --remove k1
    --secrets secrets.json --reason "yearly"`
    """
    if bool(add) is bool(remove):
        raise typer.BadParameter("say either --add or --remove")
    session = session_of(context)
    errand = Errand(who=session.person, why=reason, what="keys rotate", at=session.now())
    variable = f"WEBHOOK_{provider.upper()}"
    whole = _whole(secrets)
    before = whole.get(variable)
    if not isinstance(before, dict):
        raise Misconfigured(f"{secrets} has no {variable}: put in what is deployed now", reason="missing_secret")
    after = _added(provider, before, add) if add else _removed(session, provider, before, remove, lost=lost)
    ids = {"before": list(before["keys"]), "after": list(after["keys"])}
    agreed(f"{variable} in {secrets} would have the keys {', '.join(ids['after'])}", yes=yes)
    change = Changed(name=variable, before=json.dumps(ids["before"]), after=json.dumps(ids["after"]))
    record = begun(session.ports.documents, errand, [change])
    _write(secrets, {**whole, variable: after})
    ended(session.ports.documents, record, "written; it holds once it is deployed")
    answer(
        ids,
        lambda console: console.print(f"{secrets} is written: deploy it as a new version ({variable})"),
        as_json=as_json,
    )


def _added(provider: str, before: dict[str, Any], key_id: str) -> dict[str, Any]:
    secret = typer.prompt("secret", hide_input=True) if sys.stdin.isatty() else sys.stdin.readline().strip()
    after = with_key(before, key_id, secret)
    _check(provider, after)
    return after


def _removed(session: Session, provider: str, before: dict[str, Any], key_id: str, *, lost: bool) -> dict[str, Any]:
    now, quiet = session.now(), quiet_for(load(provider).TRAITS)
    uses = used(session.ports.warehouse, provider, now - quiet, now + timedelta(days=1))
    return without_key(before, key_id, uses, now, quiet, lost=lost)


def _check(provider: str, secret: dict[str, Any]) -> None:
    """Raises Rejected for what could never verify anything."""
    try:
        load(provider).check_credentials(
            Credentials(
                keys=secret["keys"],
                basic_auth=secret.get("basic_auth", {}),
                live=bool(secret.get("live")),
                account=secret.get("account", "main"),
                url=secret.get("url", ""),
            )
        )
    except Misconfigured as error:
        raise Rejected(str(error), reason="bad_key") from error


def _whole(file: Path) -> dict[str, Any]:
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise Misconfigured(f"{file} cannot be read: {error.strerror}", reason="missing_secret") from error
    except ValueError:
        found = None
    if not isinstance(found, dict):
        # Nothing of it is repeated: it holds secrets.
        raise Misconfigured(f"{file} is no JSON object", reason="bad_secret")
    return found


def _write(file: Path, whole: dict[str, Any]) -> None:
    """At once, and for nobody else's eyes."""
    new = file.with_name(f".{file.name}.new")
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as out:
        json.dump(whole, out, indent=2)
        out.write("\n")
    os.replace(new, file)
