"""`payin` called in this process, on a local stack's folder."""

import json
from pathlib import Path
from typing import Any

from typer.testing import CliRunner, Result

from shared.cli.app import app
from shared.domain.codec import utc_text
from tests.builders import NOON

NARROW = {"COLUMNS": "200", "PAYIN_BACKEND": "local", "PAYIN_HOME": "", "PAYIN_DATABASE_URL": "", "PAYIN_CLOCK": ""}


def payin(home: Path, *arguments: str, answer: str | None = None) -> Result:
    """What the command says and with what it leaves, at NOON."""
    clock = home / "clock"
    if home.is_dir() and not clock.exists():
        clock.write_text(utc_text(NOON), encoding="ascii")
    return CliRunner().invoke(app, ["--home", str(home), *arguments], env=NARROW, input=answer, catch_exceptions=False)


def told(home: Path, *arguments: str) -> Any:
    """The JSON that the command says. It must be done."""
    result = payin(home, *arguments, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)
