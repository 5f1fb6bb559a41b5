"""The evidence of a dispute, put together from our own records, and kept as it was sent."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from shared.disputes import packet as packets
from shared.disputes.evidence import DIGITAL_SUBSCRIPTION, Known, consumption, template
from shared.disputes.packet import ANYWHERE, Limits
from shared.domain.addresses import address
from shared.domain.disputes import Dispute
from shared.domain.evidence import CompellingEvidence, Merchant, Own, Packet, Purchase
from shared.domain.payments import Details, Payment
from shared.domain.usage import KEPT
from shared.flows import cases
from shared.flows.judged import Judged, decision_key
from shared.flows.keep_evidence import COLLECTION, usage_of
from shared.flows.ports import Key, Ports, Snapshot
from shared.flows.record_payment import payment_of
from shared.fraud.features import Entity


@dataclass(frozen=True, slots=True)
class Paid:
    """The disputed payment, None where it is not among ours, and its decision, as they are stored."""

    payment_id: str
    payment: Payment | None
    judged: Snapshot | None


def paid_for(dispute: Dispute, ports: Ports) -> Paid:
    """In one round trip. Raises Unavailable."""
    payment_id = dispute.linked_to or dispute.payment_id or dispute.dispute_id
    key = Key(cases.PAYMENTS, f"{dispute.provider}:{payment_id}")
    paid, judged = ports.documents.get([key, decision_key(dispute.provider, payment_id)])
    return Paid(payment_id, payment_of(paid), judged)


def assemble(
    dispute: Dispute,
    paid: Paid,
    ports: Ports,
    now: datetime,
    *,
    purchases: Sequence[Purchase] = (),
    compelling: CompellingEvidence | None = None,
    merchant: Merchant | None = None,
    product: str = DIGITAL_SUBSCRIPTION,
    limits: Limits = ANYWHERE,
    use: bool = False,
    own: Own | None = None,
) -> Packet:
    """The best packet there is for `dispute` of what was `paid`, its document within `limits`, in one round trip.

    purchases: the subscriber's payments over all providers, as `subscribers.purchases_of` tells them; this one does not count
    among them. use: with what an app store asks of it. own: a person's evidence. Of a payment that is not among ours there is little to say, and
    completeness tells so. Raises packet.TooLarge, and Unavailable when the documents are down.
    """
    provider, payment_id, judged = dispute.provider, paid.payment_id, paid.judged
    others = [one for one in purchases if (one.provider, one.payment_id) != (provider, payment_id)]
    payment = paid.payment or Payment(provider=provider, payment_id=payment_id, account=dispute.account)
    # Both have names that only the payment and its decision tell.
    customer, asked = payment.details.customer_id, (judged.document if judged else {}).get("same_as")
    usage_key, asked_key = Key(COLLECTION, customer or ""), decision_key(provider, asked or "")
    wanted = [one for one, is_named in ((usage_key, customer), (asked_key, asked)) if is_named]
    found = dict(zip(wanted, ports.documents.get(wanted), strict=True)) if wanted else {}
    usage, decided = usage_of(found.get(usage_key)), Judged.of(found.get(asked_key) if asked else judged)
    if usage and usage.newest_at and usage.newest_at + KEPT <= now:
        usage = None  # its expiry is over, and the document may be there for a day longer
    known = Known(
        payment=replace(payment, details=_as_asked(payment.details, decided)),
        dispute=dispute,
        usage=usage,
        purchases=tuple(others),
        compelling=compelling,
        merchant=merchant or Merchant(),
    )
    told = consumption(known, now) if use else None
    return packets.build(known, template(product, dispute.reason, dispute.network), limits, consumption=told, own=own)


def _as_asked(details: Details, decided: Judged | None) -> Details:
    """`details`, and where the provider told nothing of device and address those that the payment's decision was made on:
    asked before authorisation, we know them though the provider never will."""
    if decided is None:
        return details
    named: dict[Entity, str] = {}
    for entity, value in sorted(decided.counted, key=lambda each: (decided.counted[each], each)):
        named.setdefault(entity, value)
    # Of IPv6 the decision has the network alone, which is no address.
    ip = address(named.get(Entity.IP, "-"))
    return replace(details, ip=details.ip or ip, device_id=details.device_id or named.get(Entity.DEVICE))


def keep(packet: Packet, ports: Ports) -> str:
    """Store `packet` under its digest and its documents under theirs, so that what was sent can be shown; again is harmless."""
    for document in packet.documents:
        ports.evidence.store(document.data)
    return ports.evidence.store(packets.written(packet))


def kept(digest: str, ports: Ports) -> Packet:
    """The packet that was stored under `digest`, each byte proved by its name. Raises Misconfigured where it is not there."""
    return packets.read(ports.evidence.load(digest), ports.evidence.load)
