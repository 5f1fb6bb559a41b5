"""Adapters: one module a provider, found by name, imported only when that provider is served."""

import importlib
import pkgutil
from typing import cast

from shared.domain.errors import Misconfigured
from shared.providers.protocol import Provider

_NOT_PROVIDERS = frozenset({"protocol", "signing", "reading", "unmapped"})


def names() -> tuple[str, ...]:
    """Every provider there is a module for, in order; imports none of them."""
    found = (module.name for module in pkgutil.iter_modules(__path__))
    return tuple(sorted(name for name in found if name not in _NOT_PROVIDERS))


def load(name: str) -> Provider:
    """The adapter called `name`. Raises Misconfigured when there is none."""
    if name not in names():
        raise Misconfigured(
            f"no provider is called {name!r}; there are: {', '.join(names())}", reason="unknown_provider"
        )
    return cast(Provider, importlib.import_module(f"{__name__}.{name}"))
