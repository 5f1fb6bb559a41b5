"""What an answer is made of: the evidence as our records have it now, and what is to be done by it."""

from dataclasses import dataclass
from datetime import datetime

from shared.disputes import compelling, strategy
from shared.disputes.compelling import Finding
from shared.disputes.packet import TooLarge
from shared.disputes.strategy import OUTCOMES_SQL, Outcomes, Strategy
from shared.domain.disputes import Dispute
from shared.domain.errors import Unavailable, Unreadable
from shared.domain.evidence import Merchant, Packet
from shared.domain.payments import takeable
from shared.domain.telemetry import fact
from shared.flows.evidence import assemble, paid_for
from shared.flows.own_evidence import own_of
from shared.flows.ports import Ports, Warehouse
from shared.flows.respond_dispute import Verdict
from shared.flows.subscribers import purchase_of, purchases_of


@dataclass(frozen=True, slots=True)
class Prepared:
    """The best packet that there is, and whether it meets a network's own criteria."""

    packet: Packet
    finding: Finding


def prepare(dispute: Dispute, ports: Ports, now: datetime, merchant: Merchant, *, use: bool = False) -> Prepared:
    """Of what is stored now, over all providers. Four round trips at most. use: see `assemble`. Raises Unavailable, and
    Unreadable for a packet that no provider would take, of which a person has to choose."""
    paid = paid_for(dispute, ports)
    payment_id, payment = paid.payment_id, paid.payment
    customer = payment.details.customer_id if payment else None
    history = purchases_of(customer, ports) if customer else ()
    disputed = next((one for one in history if (one.provider, one.payment_id) == (dispute.provider, payment_id)), None)
    if disputed is None and payment is not None and takeable(payment.captured, payment.authorized) and payment.first_at:
        disputed = purchase_of(payment, None)
    finding = compelling.examine(dispute, disputed, history)
    own = own_of(dispute.answer.supplied, ports) if dispute.answer and dispute.answer.supplied else None
    try:
        packet = assemble(
            dispute,
            paid,
            ports,
            now,
            purchases=history,
            compelling=finding.evidence,
            merchant=merchant,
            use=use,
            own=own,
        )
    except TooLarge as error:
        raise Unreadable(str(error), reason="packet_too_large") from error
    return Prepared(packet, finding)


def judge(
    dispute: Dispute,
    prepared: Prepared,
    outcomes: Outcomes,
    rules: Strategy,
    now: datetime,
    *,
    acceptable: bool = True,
) -> Verdict:
    """What is to be done by itself, from when on. An answer that is worth it waits as long for people as an acceptance
    does, so that they can better it, but never longer than the buffer before the deadline."""
    found = strategy.decide(
        dispute,
        packet_completeness=prepared.packet.completeness,
        compelling=prepared.finding.evidence,
        outcomes=outcomes,
        strategy=rules,
        now=now,
        acceptable=acceptable,
    )
    due_at = found.earliest_at or now + rules.announced
    if dispute.respond_by is not None:
        due_at = min(due_at, dispute.respond_by - rules.buffer)
    return Verdict(
        act=found.act,
        by=found.by,
        why=(*found.why, *prepared.finding.missing),
        due_at=max(due_at, now),
        chance=found.interval or (),
        expected=found.expected,
        compelling=prepared.finding.evidence.rule if prepared.finding.evidence else None,
        completeness=prepared.packet.completeness,
    )


def outcomes_until(now: datetime, warehouse: Warehouse, since: datetime) -> Outcomes:
    """Our disputes that were decided between `since` and `now`. A warehouse that is down loses no case: then there are only the
    priors, which is told."""
    try:
        return Outcomes.of(warehouse.query(OUTCOMES_SQL, {"since": since, "until": now}))
    except Unavailable as error:
        fact("outcomes_unknown", reason=error.reason)
        return Outcomes()
