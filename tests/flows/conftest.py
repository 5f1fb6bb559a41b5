"""The local backend, where flows are tried."""

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from shared.flows.ports import Ports
from tests.local import local_ports


@pytest.fixture
def ports(tmp_path: Path) -> Ports:
    return local_ports(tmp_path)


@pytest.fixture(scope="module")
def shared_ports() -> Iterator[Ports]:
    """For properties with many examples: each wipes what the one before has left (`tests.local.wipe`)."""
    with TemporaryDirectory() as folder:
        yield local_ports(Path(folder))
