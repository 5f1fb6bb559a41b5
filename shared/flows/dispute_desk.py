"""What people see of disputes before they act: which are due, all that is known of one, and whether a refund is safe."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from shared.disputes.compelling import Finding, readiness
from shared.disputes.refunds import Advice, may_refund
from shared.domain.disputes import Case, Dispute
from shared.domain.payments import Payment
from shared.flows import cases
from shared.flows.answering import DisputeUnknown
from shared.flows.filing import COLLECTION, dispute_of, key_of
from shared.flows.ports import Documents, Key, Ports
from shared.flows.record_payment import payment_of
from shared.flows.subscribers import purchases_of

LISTED = 100


def due_next(documents: Documents, now: datetime, within: timedelta) -> list[Dispute]:
    """The LISTED disputes at which the clock is due first, until `within` from `now`. One query."""
    found = documents.due(COLLECTION, "next_action_at", now + within, LISTED)
    return [dispute for one in found if (dispute := dispute_of(one)) is not None]


def view(documents: Documents, provider: str, dispute_id: str) -> Dispute:
    """Raises DisputeUnknown."""
    [found] = documents.get([key_of(provider, dispute_id)])
    dispute = dispute_of(found)
    if dispute is None:
        raise DisputeUnknown("no dispute of this name was ever told of")
    return dispute


def before_a_refund(documents: Documents, provider: str, payment_id: str) -> Advice:
    """Whether the payment of that name, its own or an alias, may be refunded. Three round trips at most."""
    return may_refund(*all_of(documents, provider, payment_id))


def all_of(documents: Documents, provider: str, payment_id: str) -> tuple[Payment | None, Case | None, list[Dispute]]:
    """The payment of that name, its own or an alias, with all that there is of its disputes. Nothing, where several are meant."""
    alias = Key(cases.ALIASES, f"{provider}:{payment_id}")
    payment, other = documents.get([Key(cases.PAYMENTS, f"{provider}:{payment_id}"), alias])
    names: Sequence[str] = list(other.document["payments"]) if other and payment is None else [payment_id]
    if len(names) != 1:
        return None, None, []
    [name] = names
    read = [Key(cases.COLLECTION, f"{provider}:{name}")] + (
        [] if payment else [Key(cases.PAYMENTS, f"{provider}:{name}")]
    )
    filed, *paid = documents.get(read)
    case = cases.stored(filed)
    keys = [key_of(provider, one) for one in sorted(case.disputes)] if case else []
    disputes = [one for one in map(dispute_of, documents.get(keys)) if one is not None] if keys else []
    return payment_of(payment or paid[0]), case, disputes


def ready_for(ports: Ports, customer_id: str, now: datetime) -> tuple[Finding, ...]:
    """What each network's rule would say if the newest payment of `customer_id` in it were disputed now. A query and a read."""
    return readiness(purchases_of(customer_id, ports), now)
