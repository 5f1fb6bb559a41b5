"""Who may go on using what was bought, told as it changes. It follows from the labels of a payment, in whose order it is told.

Every message says how things stand by all that is known, under a revision that only rises: whoever takes the greatest is right,
whatever is late, doubled or lost on the way.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from shared.domain.codec import encode, from_document
from shared.domain.entitlements import EntitlementAction, EntitlementChanged, Suspends
from shared.domain.labels import FRAUD_CLASSES, FraudLabel, LabelSource
from shared.domain.payments import Details
from shared.flows.cases import PAYMENTS
from shared.flows.ports import Documents, Key, Message

TOPIC = "payment-actions"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Paid:
    """All that is to be known of a payment."""

    details: Details = field(default_factory=Details)


def entitlement_messages(
    told: Iterable[Sequence[FraudLabel]], suspends: Suspends, documents: Documents
) -> list[Message]:
    """How it stands with each payment whose labels are `told`, in order: nothing of those that were never suspended. One read,
    where there is anything to tell."""
    changes = [found for labels in told if (found := _last_change(labels, suspends))]
    keys = [Key(PAYMENTS, f"{label.provider}:{label.payment_id}") for _, label, _ in changes]
    paid = [from_document(one.document, _Paid) if one else _Paid() for one in documents.get(keys)] if keys else []
    return [
        Message(
            TOPIC,
            encode(
                EntitlementChanged(
                    action_id=f"{label.label_id}/entitlement",
                    action=action,
                    provider=label.provider,
                    account=label.account,
                    payment_id=label.payment_id,
                    customer_id=payment.details.customer_id,
                    label_id=label.label_id,
                    source=label.source,
                    known_at=label.known_at,
                    revision=revision,
                )
            ),
            {"provider": label.provider, "action": action},
        )
        for (action, label, revision), payment in zip(changes, paid, strict=True)
    ]


def _last_change(labels: Sequence[FraudLabel], suspends: Suspends) -> tuple[EntitlementAction, FraudLabel, int] | None:
    """What was last to be done, the label that made it so, and how much is known."""
    last: tuple[EntitlementAction, FraudLabel, int] | None = None
    for label in labels:
        suspended = last is not None and last[0] is EntitlementAction.SUSPEND
        if _suspends(label, suspends) is not suspended:
            last = (EntitlementAction.RESTORE if suspended else EntitlementAction.SUSPEND, label, labels[-1].revision)
    return last


def _suspends(label: FraudLabel, suspends: Suspends) -> bool:
    # What a reviewer says is an action of its own: whom it stops they decide with it.
    if suspends is Suspends.NOTHING or label.label not in FRAUD_CLASSES or label.source == LabelSource.MANUAL_REVIEW:
        return False
    return suspends is Suspends.WARNINGS or label.source != LabelSource.EARLY_FRAUD_WARNING
