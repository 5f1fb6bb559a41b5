"""The pages over a small shop's days, in a browser."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.shop import Shop, a_shop
from tests.console.browser import Desk, chromium
from tests.stack.console import Served, pages
from tests.stack.servers import Absent
from tests.stack.topology import ROOT

PICTURES = ROOT / ".payin" / "pictures"


@pytest.fixture(scope="session")
def browser() -> Iterator[object]:
    try:
        with chromium() as started:
            yield started
    except Absent as missing:
        pytest.skip(str(missing))


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """A module's own, for its tests change what stands there."""
    return a_shop(tmp_path_factory.mktemp("shop") / "home")


@pytest.fixture(scope="module")
def served(shop: Shop) -> Iterator[Served]:
    with pages(shop.home) as started:
        yield started


@pytest.fixture(scope="module")
def url(served: Served) -> str:
    return served.url


@pytest.fixture(scope="module")
def desk(browser: object, url: str) -> Desk:
    return Desk(browser, url, PICTURES)  # type: ignore[arg-type]


@pytest.fixture
def home(shop: Shop) -> Path:
    return shop.home
