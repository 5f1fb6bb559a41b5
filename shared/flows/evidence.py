"""The evidence of a dispute, put together from our own records, and kept as it was sent."""

from collections.abc import Sequence
from datetime import datetime

from shared.disputes import packet as packets
from shared.disputes.evidence import DIGITAL_SUBSCRIPTION, Known, template
from shared.disputes.packet import ANYWHERE, Limits
from shared.domain.codec import from_document
from shared.domain.disputes import Case, Dispute
from shared.domain.evidence import CompellingEvidence, Merchant, Packet, Purchase
from shared.domain.payments import Payment
from shared.domain.usage import KEPT
from shared.flows import cases
from shared.flows.keep_evidence import COLLECTION, usage_of
from shared.flows.ports import Key, Models, Ports
from shared.flows.record_payment import payment_of


def assemble(
    provider: str,
    dispute: Dispute,
    ports: Ports,
    now: datetime,
    *,
    purchases: Sequence[Purchase] = (),
    compelling: CompellingEvidence | None = None,
    merchant: Merchant | None = None,
    product: str = DIGITAL_SUBSCRIPTION,
    limits: Limits = ANYWHERE,
) -> Packet:
    """The best packet there is for `dispute` at `provider`, its document within `limits`, in two round trips.

    purchases: the subscriber's payments over all providers, among which this one does not count; those that were disputed or
    reported are told from the rest here. Of a payment that is not among ours there is little to say, and completeness
    tells so. Raises packet.TooLarge, and Unavailable when the documents are down.
    """
    payment_id = dispute.linked_to or dispute.payment_id or dispute.dispute_id
    others = [one for one in purchases if (one.provider, one.payment_id) != (provider, payment_id)]
    key = Key(cases.PAYMENTS, f"{provider}:{payment_id}")
    of_others = {name: Key(cases.COLLECTION, name) for one in others if (name := f"{one.provider}:{one.payment_id}")}
    paid, *theirs = ports.documents.get([key, *of_others.values()])
    payment = payment_of(paid) or Payment(provider=provider, payment_id=payment_id, account=dispute.account)
    undisputed = {
        name
        for name, snapshot in zip(of_others, theirs, strict=True)
        if snapshot is None or not _in_trouble(from_document(snapshot.document, Case))
    }
    usage = None
    if customer := payment.details.customer_id:
        [found] = ports.documents.get([Key(COLLECTION, customer)])
        usage = usage_of(found)
    if usage and usage.newest_at and usage.newest_at + KEPT <= now:
        usage = None  # its expiry is over, and the document may be there for a day longer
    known = Known(
        payment=payment,
        dispute=dispute,
        usage=usage,
        purchases=tuple(others),
        undisputed=frozenset(undisputed),
        compelling=compelling,
        merchant=merchant or Merchant(),
    )
    return packets.build(known, template(product, dispute.reason, dispute.network), limits)


def _in_trouble(case: Case) -> bool:
    return bool(case.disputes or case.warnings or case.moved_to)


def keep(packet: Packet, store: Models) -> str:
    """Store `packet` under its digest and its documents under theirs, so that what was sent can be shown; again is harmless.
    It holds personal data: `store` is one whose objects go when disputes are over for good."""
    for document in packet.documents:
        store.store(document.data)
    return store.store(packets.written(packet))


def kept(digest: str, store: Models) -> Packet:
    """The packet that was stored under `digest`, each byte proved by its name. Raises Misconfigured where it is not there."""
    return packets.read(store.load(digest), store.load)
