"""The benchmark of bundles can run: no figure is judged here."""

from pathlib import Path

import pytest

from tests.benchmarks.bundles import MEASURED, import_ms
from tests.functions.alone import only_its_packages, unpack


@pytest.mark.parametrize("function", MEASURED)
def test_every_bundle_can_be_imported_with_the_settings_of_the_benchmark(function: str, tmp_path: Path) -> None:
    source, python = unpack(function, tmp_path / "bundle"), only_its_packages(function, tmp_path / "venv")
    assert import_ms("import main", source, python) > 0
