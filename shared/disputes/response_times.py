"""How long there is to answer a dispute of which the provider names no deadline: an estimate, so that somebody looks.

The networks' own windows, in calendar days from the day on which the case was filed; those of other cases are as short
as the shortest. An acquirer keeps a part of its window to itself, so the deadline that it would have named is earlier:
whoever is reminded by an estimate looks the real one up, and the provider's own always beats it.

Sources: Chargeflow docs "Network timelines" (response and pre-arbitration: Visa 30, Mastercard 45, American Express 20,
Discover 30; arbitration: Visa 10 after pre-arbitration); Klarna docs "Disputes states" (7 where the purchase was
unauthorized, 21 for other reasons; 10 for an appeal).
"""

from collections.abc import Mapping
from datetime import timedelta

from shared.domain.events import DisputeStage

_DAYS: Mapping[str, Mapping[DisputeStage, int]] = {
    "visa": {DisputeStage.CHARGEBACK: 30, DisputeStage.PRE_ARBITRATION: 30, DisputeStage.ARBITRATION: 10},
    "mastercard": {DisputeStage.CHARGEBACK: 45, DisputeStage.PRE_ARBITRATION: 45, DisputeStage.ARBITRATION: 45},
    "amex": {DisputeStage.CHARGEBACK: 20, DisputeStage.PRE_ARBITRATION: 20},
    "discover": {DisputeStage.CHARGEBACK: 30, DisputeStage.PRE_ARBITRATION: 30},
    "klarna": {DisputeStage.CHARGEBACK: 7, DisputeStage.PRE_ARBITRATION: 10},
}
_OF_ANY = 10
_OTHER_NAMES = {"mc": "mastercard", "american_express": "amex", "american express": "amex", "diners": "discover"}


def response_time(network: str | None, stage: DisputeStage | None) -> timedelta:
    """From the opening of `stage` to when an answer is likely to be too late."""
    name = (network or "").lower()
    days = _DAYS.get(_OTHER_NAMES.get(name, name), {})
    return timedelta(days=days.get(stage, _OF_ANY) if stage else _OF_ANY)
