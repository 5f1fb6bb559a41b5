"""A small shop's days, once for all who only look."""

from pathlib import Path

import pytest

from tests.cli.shop import Shop, a_shop


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    return a_shop(tmp_path_factory.mktemp("shop") / "home")


@pytest.fixture
def home(shop: Shop) -> Path:
    return shop.home
