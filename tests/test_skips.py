"""A skip means a missing server or data set, and CI has them all; a failure says nothing of how busy the machine is."""

import os
import subprocess
import sys
from pathlib import Path

import hypothesis
import pytest

ROOT = Path(__file__).resolve().parents[1]
SKIPS = """
import pytest

def test_that_needs_a_server(): pytest.skip("no server")

@pytest.mark.skip(reason="the folder of real payloads is absent")
def test_that_needs_data(): pass

@pytest.mark.xfail
def test_that_fails(): raise AssertionError

def test_that_passes(): pass
"""


@pytest.mark.parametrize(("ci", "outcome"), [("true", "1 failed, 1 passed, 1 xfailed, 1 error"), ("", "2 skipped")])
def test_what_is_skipped_on_a_laptop_fails_in_ci(ci: str, outcome: str, tmp_path: Path) -> None:
    (tmp_path / "test_some.py").write_text(SKIPS)
    environment = {**os.environ, "CI": ci, "PYTHONPATH": str(ROOT)}
    for inherited in [name for name in environment if name.startswith("PYTEST_")]:
        del environment[inherited]
    told = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "tests.conftest", "-p", "no:cacheprovider", str(tmp_path)],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert outcome in told.stdout, told.stdout
    assert ("CI skips nothing: no server" in told.stdout) is bool(ci)


def test_no_property_fails_because_its_machine_is_busy() -> None:
    assert hypothesis.settings().deadline is None
