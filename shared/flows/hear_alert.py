"""A network's alert becomes news of the payment that it means, as if that payment's provider had told it."""

import hashlib
from dataclasses import dataclass, replace
from datetime import datetime

from shared.disputes.alerts import WINDOWS
from shared.disputes.matching import CANDIDATES_SQL, Candidate, Match, Sought, by_card, by_name, looked_for
from shared.domain.codec import encode
from shared.domain.events import Alert, DisputeChanged, DisputeReason, DisputeStage, DisputeStatus
from shared.domain.telemetry import fact
from shared.flows.dispute_desk import all_of
from shared.flows.event_messages import event_message
from shared.flows.filing import dispute_of, key_of
from shared.flows.ports import Bound, Ports

BOUND = Bound(bytes=64 << 30, seconds=20.0)
"""Of six days of payments four narrow columns are read, and of one provider's alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """An alert as its network tells it. alert_id: the network's own. provider, account: where the payment was made, as our
    events name them. payment_id: by its own name there or an alias, where that is known. refunded: the network says that it was
    (RDR)."""

    alert: Alert
    alert_id: str
    provider: str
    account: str
    livemode: bool
    sought: Sought
    issued_at: datetime
    respond_by: datetime | None = None
    payment_id: str | None = None
    reason: DisputeReason | None = None
    network: str | None = None
    refunded: bool = False


def hear_alert(heard: Heard, ports: Ports, now: datetime) -> Match:
    """Publish `heard` to those who follow disputes, with the payment that it means or, where nobody knows, without: then a
    person is called within the hour, and may send the alert again with the payment's name. Each copy of it is the same event; what
    is told otherwise of an alert that we know already, as a refund or another deadline, is news of now.

    Four round trips and a publish; a query where the payment is not named. Raises Unavailable, and then nothing is published.
    """
    match = _matched(heard, ports)
    window = WINDOWS.get(heard.alert)
    dispute_id = f"{heard.alert}:{heard.alert_id}"
    event = DisputeChanged(
        event_id=f"{heard.provider}:{heard.account}:alert:{dispute_id}:{match.payment_id or ''}:{_digest(heard)}",
        provider=heard.provider,
        account=heard.account,
        occurred_at=heard.issued_at,
        livemode=heard.livemode,
        dispute_id=dispute_id,
        payment_id=match.payment_id,
        stage=DisputeStage.INQUIRY,
        status=DisputeStatus.PREVENTED if heard.refunded else DisputeStatus.NEEDS_RESPONSE,
        amount=heard.sought.amount,
        reason=heard.reason,
        network=heard.network,
        respond_by=heard.respond_by or (heard.issued_at + window if window else None),
        provider_status=match.why,
        alert=heard.alert,
    )
    known = dispute_of(ports.documents.get([key_of(heard.provider, dispute_id)])[0])
    if known is not None and known.facts:
        said = known.facts.get(event.event_id)
        event = replace(event, occurred_at=said.occurred_at if said else max(heard.issued_at, now))
    ports.bus.publish([event_message(event, now)])
    fact(
        "alert_heard",
        provider=heard.provider,
        dispute_id=event.dispute_id,
        payment_id=match.payment_id,
        outcome="matched" if match.payment_id else "unmatched",
    )
    return match


def _digest(heard: Heard) -> str:
    """Of what may be told otherwise later: too short to be taken for a card's number."""
    told = (heard.refunded, heard.issued_at, heard.respond_by, heard.sought.amount, heard.reason, heard.network)
    return hashlib.sha256(encode(told)).hexdigest()[:10]


def _matched(heard: Heard, ports: Ports) -> Match:
    if heard.payment_id is not None:
        payment, _, _ = all_of(ports.documents, heard.provider, heard.payment_id)
        return by_name(heard.sought, payment, heard.payment_id)
    if not heard.sought.is_told:
        return by_card(heard.sought, ())
    rows = ports.warehouse.query(CANDIDATES_SQL, looked_for(heard.sought, heard.provider), bound=BOUND)
    candidates = [
        Candidate(
            payment_id=row["payment_id"],
            at=row["at"],
            amount=heard.sought.amount,
            bin=row["bin"],
            last4=heard.sought.last4,
        )
        for row in rows
    ]
    return by_card(heard.sought, candidates)
