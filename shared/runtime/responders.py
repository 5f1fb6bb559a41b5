"""Which provider's module answers its disputes: loaded when first asked for."""

from typing import cast

from shared.flows.responding import Responder
from shared.providers import load_answer, names


def responder(name: str) -> Responder | None:
    """How disputes are answered at a provider; None where there is no API for that."""
    return cast("Responder | None", load_answer(name)) if name in names() else None
