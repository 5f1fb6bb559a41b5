"""What every command of `payin` shares: its backend, its errors, its exit codes, and that it asks before it changes."""

from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from shared.cli.app import Telling, app
from shared.cli.changing import agreed
from shared.cli.codes import Code, NotAgreed, NotFound, Several
from shared.cli.output import lasting
from shared.cli.session import instant
from shared.domain.errors import Misconfigured, PayInError, Rejected, Unavailable, Unreadable
from tests.builders import DAY, HOUR, MINUTE, NOON, SECOND
from tests.cli.calling import NARROW, payin


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
