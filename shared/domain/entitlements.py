"""May a customer go on using what was paid for by a payment that its cardholder calls fraud? What we tell of that."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Suspends(StrEnum):
    """What suspends: nothing, a dispute for fraud or a refund that was called that, or an issuer's report of fraud as well."""

    NOTHING = "off"
    DISPUTES = "disputes"
    WARNINGS = "warnings"


class EntitlementAction(StrEnum):
    SUSPEND = "suspend"
    RESTORE = "restore"  # the claim was withdrawn or won for good, or was of something else


@dataclass(frozen=True, slots=True, kw_only=True)
class EntitlementChanged:
    """A message of `payment-actions`: suspend what was bought with this payment, or restore it.

    action_id: the same for every copy of one change. revision: how much was known; of two messages of a payment the greater is
    newer, in whatever order they come. A customer is suspended as long as the newest message of any payment says so.
    customer_id: None while the payment is not among ours; then it is told again. label_id: the row of `fraud_labels` that
    changed it, source: whose word that is.
    """

    action_id: str
    action: EntitlementAction
    provider: str
    account: str
    payment_id: str
    customer_id: str | None
    label_id: str
    source: str
    known_at: datetime
    revision: int
