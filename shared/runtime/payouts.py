"""Whose payouts are explained: providers whose module reads them, where their API's key is here."""

from collections.abc import Mapping
from typing import cast

from shared.flows.explain_payouts import PayoutReader
from shared.providers import load_payouts, names
from shared.settings import Settings


def readers(settings: Settings) -> Mapping[str, PayoutReader]:
    """By provider, in order."""
    found = {name: load_payouts(name) for name in names() if settings.has_api(name)}
    return {name: cast(PayoutReader, module) for name, module in found.items() if module is not None}
