"""Adapters: one package a provider, found by name, imported only when that provider is served."""

import hashlib
import importlib
import pkgutil
import re
from functools import lru_cache
from pathlib import Path
from typing import Any, cast

from shared.domain.errors import Misconfigured
from shared.providers.kit.protocol import Provider

_KIT = "kit"
"""What adapters share."""

_TAKEN = re.compile(rb"^ *from shared\.providers\.kit(?:\.(\w+)| import (\w+))", flags=re.MULTILINE)


def names() -> tuple[str, ...]:
    """Every provider there is a package for, in order; imports none of them."""
    return tuple(sorted(module.name for module in pkgutil.iter_modules(__path__) if module.name != _KIT))


def load(name: str) -> Provider:
    """The adapter called `name`: its `webhook` module. Raises Misconfigured when there is none."""
    return cast(Provider, _module(name, "webhook"))


def load_api(name: str) -> Any:
    """How the provider `name` is asked: its `api` module; None where there is nothing to ask for. Raises Misconfigured
    for a provider that there is none of."""
    return _module(name, "api")


def load_answer(name: str) -> Any:
    """How disputes are answered at the provider `name`: its `answer` module (`flows.responding.Responder`); None where we
    answer none. Raises Misconfigured for a provider that there is none of."""
    return _module(name, "answer")


def load_refund(name: str) -> Any:
    """How payments are refunded at the provider `name`, to answer an alert: its `refund` module (`flows.responding.Responder`);
    None where people refund. Raises Misconfigured for a provider that there is none of."""
    return _module(name, "refund")


def load_listing(name: str) -> Any:
    """What the provider `name` lists of what it told: its `listing` module (`providers.kit.listing`); None where it lists nothing
    that our events could be told apart by. Raises Misconfigured for a provider that there is none of."""
    return _module(name, "listing")


def load_endpoint(name: str) -> Any:
    """How the provider `name` is asked what it sends to our endpoint: its `endpoint` module (`flows.subscriptions.EndpointReader`);
    None where it does not tell. Raises Misconfigured for a provider that there is none of."""
    return _module(name, "endpoint")


def load_payouts(name: str) -> Any:
    """How payouts of the provider `name` are explained: its `payouts` module (`flows.explain_payouts.PayoutReader`); None where
    we read none. Raises Misconfigured for a provider that there is none of."""
    return _module(name, "payouts")


@lru_cache(maxsize=64)
def version(name: str) -> str:
    """Which text of the adapter called `name`, and of what it takes from the kit, translates: a digest, for nobody
    forgets to raise it, and the same text has the same one wherever it is deployed, whatever is deployed beside it."""
    digest = hashlib.sha256()
    for file in _translating(name):
        digest.update(file.read_bytes())
    return digest.hexdigest()[:12]


def _translating(name: str) -> list[Path]:
    """The adapter and what it takes from the kit, on and on."""
    folder = Path(__file__).parent
    found, waiting = set[Path](), [folder / name / "webhook.py"]
    while waiting:
        file = waiting.pop()
        if file not in found:
            found.add(file)
            taken = (one or other for one, other in _TAKEN.findall(file.read_bytes()))
            waiting += (folder / _KIT / f"{module.decode()}.py" for module in taken)
    return sorted(found)


def _module(name: str, part: str) -> Any:
    if name not in names():
        raise Misconfigured(
            f"no provider is called {name!r}; there are: {', '.join(names())}", reason="unknown_provider"
        )
    whole = f"{__name__}.{name}.{part}"
    try:
        return importlib.import_module(whole)
    except ModuleNotFoundError as error:
        if error.name != whole:
            raise
        return None
