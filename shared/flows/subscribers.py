"""What a subscriber paid, at all providers."""

from shared.domain.disputes import Case
from shared.domain.evidence import Purchase
from shared.domain.payments import Payment, PaymentState, takeable
from shared.domain.telemetry import fact
from shared.flows import cases
from shared.flows.ports import Key, Ports
from shared.flows.record_payment import payment_of

LIMIT = 200
"""Payments that are looked at: sixteen years of one a month. Of more it is those whose names come first."""

_STANDS = frozenset({PaymentState.CAPTURED, PaymentState.PARTIALLY_CAPTURED})


def purchases_of(customer_id: str, ports: Ports) -> tuple[Purchase, ...]:
    """The payments of which `customer_id` has paid something, newest first, at every provider that calls the customer so.

    Each says whether it settled (captured, and nothing given back), was disputed in whatever way and however that ended, or
    was reported as fraud: of a payment whose case was filed under another of its names before the payment was among ours,
    once a message about either has brought the two together. A payment of the releases before `paid_by` is found from its
    next event on. A query and one read, of LIMIT payments and their cases at most; that there may be more is told. Raises Unavailable.
    """
    found = ports.documents.find(cases.PAYMENTS, "paid_by", customer_id, LIMIT)
    if len(found) == LIMIT:
        fact("subscriber_cut", payments=LIMIT)
    paid = [payment for one in found if (payment := payment_of(one)) is not None]
    keys = [Key(cases.COLLECTION, f"{one.provider}:{one.payment_id}") for one in paid]
    filed = map(cases.stored, ports.documents.get(keys))
    purchases = [purchase_of(payment, case) for payment, case in zip(paid, filed, strict=True)]
    return tuple(sorted(purchases, key=lambda one: (one.at, one.provider, one.payment_id), reverse=True))


def purchase_of(payment: Payment, case: Case | None) -> Purchase:
    """`payment` as it was made, and what has gone wrong with it. The account that paid is the login: whoever pays is logged in."""
    details, card = payment.details, payment.details.card
    amount = takeable(payment.captured, payment.authorized)
    if amount is None or payment.first_at is None:
        raise ValueError("nothing was paid")
    return Purchase(
        provider=payment.provider,
        payment_id=payment.payment_id,
        at=payment.first_at,
        amount=amount,
        credential=card.fingerprint if card else None,
        network=card.network if card else None,
        network_reference=details.network_transaction_id,
        ip=details.ip,
        device_id=details.device_id,
        login=details.customer_id,
        bin=card.bin if card else None,
        last4=card.last4 if card else None,
        settled=payment.state in _STANDS,
        disputed=case is not None and bool(case.opened or case.unplaced),
        fraud_reported=case is not None and bool(case.warnings),
    )
