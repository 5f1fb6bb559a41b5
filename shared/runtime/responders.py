"""Which provider's module answers its disputes, and which refunds: loaded when first asked for."""

from typing import cast

from shared.domain.disputes import Dispute
from shared.flows.responding import Responder
from shared.providers import load_answer, load_refund, names


def responder(name: str) -> Responder | None:
    """How disputes are answered at a provider; None where there is no API for that."""
    return cast("Responder | None", load_answer(name)) if name in names() else None


def responder_of(dispute: Dispute) -> Responder | None:
    """How it is answered, an alert by a refund; None where there is no API for that."""
    if dispute.alert is None or dispute.provider not in names():
        return responder(dispute.provider)
    return cast("Responder | None", load_refund(dispute.provider))
