"""The simulated providers, found by name as the real ones are."""

import importlib
from pathlib import Path
from typing import cast

from shared import providers as adapters
from tests.simulator import providers
from tests.simulator.facts import ProviderSimulator


def names() -> tuple[str, ...]:
    """Every provider that has an adapter and a simulator, in order."""
    folder = Path(providers.__path__[0])
    return tuple(name for name in adapters.names() if (folder / f"{name}.py").exists())


def load(name: str, seed: int, folder: Path) -> ProviderSimulator:
    """The simulator of `name`; it may keep its throw-away certificates in `folder`/`name`. Raises ValueError for no such name."""
    if name not in names():
        raise ValueError(f"no simulator is called {name!r}; there are: {', '.join(names())}")
    own = folder / name
    own.mkdir(parents=True, exist_ok=True)
    module = importlib.import_module(f"{providers.__name__}.{name}")
    return cast(ProviderSimulator, module.Simulator(seed, own))
