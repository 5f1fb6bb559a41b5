"""The page on operating says what works: every line of it is run, on what a small shop's days have left."""

import re
import shlex
from pathlib import Path

import pytest

from shared.cli.codes import Code
from tests.cli.calling import payin
from tests.cli.operated import filled_in, operated
from tests.stack.topology import ROOT

PAGE = (ROOT / "README.md").read_text(encoding="utf-8").partition("## Operating with `payin`")[2].partition("\n## ")[0]
LINES = re.findall(r"^payin .*", PAGE, flags=re.MULTILINE)


@pytest.fixture(scope="module")
def meant(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return operated(tmp_path_factory.mktemp("operated"))


def test_the_page_shows_every_command_that_reads() -> None:
    shown = {" ".join(re.findall(r"[a-z]+", line)[1:3]) for line in LINES}
    for command in (
        "find",
        "trace",
        "why",
        "deliveries list",
        "deliveries show",
        "deadlines",
        "models show",
        "rules list",
    ):
        assert any(f"{one} ".startswith(f"{command} ") for one in shown), command


@pytest.mark.parametrize("line", LINES)
def test_a_line_of_the_page_does_what_it_says(line: str, meant: dict[str, str]) -> None:
    _, *arguments = shlex.split(filled_in(line, meant), comments=True)
    # Lines may run by themselves, and in any order.
    if arguments[:2] == ["providers", "drain"]:
        payin(Path(meant["home"]), "providers", "park", arguments[2], "--yes", "-r", "to be drained")
    if arguments[:2] == ["lists", "remove"]:
        payin(Path(meant["home"]), "lists", "add", *arguments[2:5], "--yes", "-r", "to be removed")
    result = payin(Path(meant["home"]), *arguments)
    assert (result.exit_code, bool(result.stdout.strip())) == (0, True), result.output


def test_the_page_says_with_what_it_ends() -> None:
    codes = {int(found) for found in re.findall(r"\b(\d+) where\b", PAGE)}
    assert codes == {code.value for code in Code} - {Code.DONE, Code.BROKEN}
