"""Which provider's module answers its disputes, and which refunds, loaded when first asked for; and whether it is told that a claim
is accepted."""

from collections.abc import Callable
from typing import cast

from shared.domain.disputes import Dispute
from shared.flows.answering import AnswerTaken, NotTaken
from shared.flows.responding import Responder, takes_acceptance
from shared.providers import load_answer, load_refund, names


def responder(name: str) -> Responder | None:
    """How disputes are answered at a provider; None where there is no API for that."""
    return cast("Responder | None", load_answer(name)) if name in names() else None


def responder_of(dispute: Dispute) -> Responder | None:
    """How it is answered, an alert by a refund; None where there is no API for that."""
    if dispute.alert is None or dispute.provider not in names():
        return responder(dispute.provider)
    return cast("Responder | None", load_refund(dispute.provider))


def check_acceptance(provider: str, look: Callable[[], Dispute]) -> None:
    """look: at the dispute, where that is to be known. Raises AnswerTaken where the provider takes no acceptance of a claim, and NotTaken where it is told nothing by us."""
    if not takes_acceptance(responder(provider)):
        raise AnswerTaken(
            f"{provider} takes no acceptance: what nobody answers is lost. `record` that it is accepted, and nothing is"
            " sent",
            reason="no_acceptance",
        )
    if responder_of(look()) is None:
        raise NotTaken(f"{provider} is told nothing by us: do it on its own pages, and `record` it", reason="no_api")
