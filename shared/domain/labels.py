"""What a payment turned out to be, who says so, and since when that is known."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class FraudLabel:
    """A message of `fraud-labels` and a row of `fraud_labels`. label_id: the same for every copy of it.

    label: third_party_fraud, first_party_fraud, service or genuine. occurred_at: when it was said. known_at: when we heard.
    supersedes: the label_id of which this is the correction, or "". by: the reviewer, or "".
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
