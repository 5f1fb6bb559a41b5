"""What every command of `payin` shares: its backend, its errors, its exit codes, and that it asks before it changes."""

import getpass
import json
import os
import subprocess
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest
import typer
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from typer.main import get_command
from typer.testing import CliRunner

from shared.cli import session as sessions
from shared.cli.app import Telling, app
from shared.cli.changing import agreed
from shared.cli.codes import Code, NotAgreed, NotFound, Several
from shared.cli.output import lasting
from shared.cli.session import Session, instant
from shared.domain.errors import Misconfigured, PayInError, Rejected, Unavailable, Unreadable
from shared.operations.finding import find
from shared.providers import names
from tests.builders import DAY, HOUR, MINUTE, NOON, SECOND
from tests.cli.calling import NARROW, payin
from tests.cli.shop import Shop
from tests.stack.metadata import metadata_server
from tests.stack.serving import served
from tests.stack.topology import ROOT


def test_a_folder_where_nothing_ran_is_a_setting_to_mend(tmp_path: Path) -> None:
    result = payin(tmp_path, "deadlines")
    assert result.exit_code == Code.MISCONFIGURED
    assert "make dev" in result.stderr
    assert result.stdout == ""


def test_help_needs_no_backend(tmp_path: Path) -> None:
    result = payin(tmp_path, "deadlines", "--help")
    assert result.exit_code == 0
    assert "payin deadlines --days 14" in result.stdout


def test_on_google_cloud_a_missing_project_is_named() -> None:
    result = CliRunner().invoke(app, ["deadlines"], env={**NARROW, "PAYIN_BACKEND": "gcp", "GOOGLE_CLOUD_PROJECT": ""})
    assert result.exit_code == Code.MISCONFIGURED
    assert "GOOGLE_CLOUD_PROJECT" in result.stderr


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (NotFound("none"), 3),
        (Several("two"), 4),
        (NotAgreed("no"), 5),
        (Rejected("does not fit"), 65),
        (Unreadable("cannot be read"), 65),
        (Unavailable("down"), 75),
        (Misconfigured("not set"), 78),
    ],
)
def test_an_error_is_one_masked_sentence_and_its_exit_code(error: PayInError, code: int) -> None:
    failing = typer.Typer(cls=Telling)

    @failing.callback()
    def root() -> None: ...

    @failing.command()
    def fail() -> None:
        raise type(error)(f"{error}: ana@shop.example")

    result = CliRunner().invoke(failing, ["fail"], env=NARROW)
    assert result.exit_code == code
    assert str(error) in result.stderr
    assert error.reason in result.stderr
    assert "ana@" not in result.output


def test_where_nobody_can_be_asked_nothing_is_changed_without_yes() -> None:
    agreed("drop three messages", yes=True)
    with pytest.raises(NotAgreed, match="--yes"):
        agreed("drop three messages", yes=False)


def test_instants_are_told_as_dates_and_as_how_long_ago() -> None:
    assert instant("2026-11-02", NOON) == NOON - 12 * HOUR
    assert instant("2026-11-02T13:00+01:00", NOON) == NOON
    assert [instant(text, NOON) for text in ("90s", "15m", "6h", "7d")] == [
        NOON - ago for ago in (90 * SECOND, 15 * MINUTE, 6 * HOUR, 7 * DAY)
    ]
    for wrong in ("", "soon", "7w", "٣d", "999999999999d"):
        with pytest.raises(typer.BadParameter, match="no instant"):
            instant(wrong, NOON)


def test_times_are_told_for_people() -> None:
    shown = [lasting(one) for one in (SECOND / 500, 1.5 * SECOND, 12 * MINUTE, 5.5 * HOUR, 3 * DAY + 4 * HOUR, -MINUTE)]
    assert shown == ["2 ms", "1.5 s", "12 min", "5 h 30 min", "3 d 4 h", "-1 min"]


def test_on_this_machine_its_user_asks(home: Path) -> None:
    session = Session(home, {})
    assert (session.person, session.where) == (getpass.getuser(), f"local, {home}")


@pytest.mark.parametrize(
    ("said", "person"), [({"email": "Ana@shop.example"}, "ana@shop.example"), ({"sub": "1"}, None), (None, None)]
)
def test_on_google_cloud_who_asks_is_whom_google_knows(
    said: dict[str, str] | None, person: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Tokeninfo(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = parse_qs(self.rfile.read(int(self.headers["content-length"])).decode())
            body = json.dumps(said).encode() if said and asked["access_token"] == ["token-1"] else b""
            self.send_response(200 if body else 400)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its own word
            return

    with metadata_server() as metadata, served(Tokeninfo) as tokeninfo:
        monkeypatch.setattr(sessions, "TOKENINFO", f"http://{tokeninfo}")
        told = {"PAYIN_BACKEND": "gcp", "GOOGLE_CLOUD_PROJECT": "p", "GCE_METADATA_HOST": metadata.host}
        session = Session(None, told)
        if person is not None:
            assert session.person == person
        else:
            with pytest.raises(Misconfigured, match="name nobody"):
                _ = session.person


def test_the_script_runs_from_anywhere(shop: Shop, tmp_path: Path) -> None:
    command = [str(ROOT / "shared/cli/payin"), "--home", str(shop.home), "find", shop.payment, "--json"]
    ran = subprocess.run(
        command, cwd=tmp_path, env={**os.environ, **NARROW}, capture_output=True, text=True, timeout=60
    )
    assert (ran.returncode, json.loads(ran.stdout)[0]["id"]) == (0, shop.payment)


def commands(group: Any, above: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    for name, one in group.commands.items():
        if hasattr(one, "commands"):
            yield from commands(one, (*above, name))
        else:
            yield (*above, name), one


def test_every_command_has_json_for_scripts_and_an_example_for_people() -> None:
    found = dict(commands(get_command(app)))
    assert ("trace",) in found
    for name, one in found.items():
        assert any("--json" in parameter.opts for parameter in one.params), name
        assert f"payin {' '.join(name)}" in (one.help or ""), name


def test_shells_complete_commands_and_what_may_stand_for_an_option() -> None:
    def completed(words: str) -> list[str]:
        told = {**NARROW, "_PAYIN_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(words.count(" "))}
        return CliRunner().invoke(app, [], env=told, prog_name="payin").stdout.split()

    assert completed("payin tra") == ["trace"]
    assert set(completed("payin deliveries ")) >= {"list", "show"}
    assert completed("payin deliveries list --outcome unp") == ["unparsed"]


@given(st.text(max_size=400))
@example("stripe:")
@example("a" * 5000)
@example("..")
@example("__x__")
@example("\x00")
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_is_asked_for_is_found_or_is_not(shop: Shop, text: str) -> None:
    for one in find(shop.ports, text, shop.now):
        assert one.provider in names()
