"""What a payment turned out to be, who says so, and since when that is known."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

OF_REVIEW: Final = "/review"
"""What the `label_id` of a reviewer's word has after the id of the decision that asked for it."""


class LabelClass(StrEnum):
    """What a payment turned out to be. Only people say `first_party_fraud`: no provider proves who held the card."""

    THIRD_PARTY_FRAUD = "third_party_fraud"
    FIRST_PARTY_FRAUD = "first_party_fraud"
    SERVICE = "service"
    GENUINE = "genuine"


FRAUD_CLASSES: Final = (LabelClass.THIRD_PARTY_FRAUD, LabelClass.FIRST_PARTY_FRAUD)
"""What counts as fraud, to who learns and to who judges: the money is lost either way."""


class LabelSource(StrEnum):
    """Whose word made it so."""

    EARLY_FRAUD_WARNING = "early_fraud_warning"
    REFUND = "refund"  # which whoever made it called fraud
    DISPUTE = "dispute"
    PREVENTED = "prevented"
    MANUAL_REVIEW = "manual_review"
    DISPUTE_WON = "dispute_won"
    DISPUTE_WITHDRAWN = "dispute_withdrawn"


@dataclass(frozen=True, slots=True, kw_only=True)
class FraudLabel:
    """A message of `fraud-labels` and a row of `fraud_labels`. label_id: the same for every copy of it.

    label: a LabelClass, source: a LabelSource; category: of a dispute's word its `events.DisputeReason`, or "". occurred_at: when it was said. known_at: when we heard.
    supersedes: the label_id of which this is the correction, or "". by: the reviewer, or "".
    revision: how many words it rests on are known; of two rows of a label the greater is newer.
    """

    label_id: str
    provider: str
    account: str
    payment_id: str
    label: str
    source: str
    occurred_at: datetime
    known_at: datetime
    supersedes: str = ""
    by: str = ""
    revision: int = 0
    category: str = ""
