"""A payment event becomes part of its payment: state, money, timeline."""

from datetime import datetime

from shared.domain import payments, timeline
from shared.domain.codec import from_document
from shared.domain.events import AnyEvent, PaymentChanged, ReviewChanged
from shared.domain.payments import Payment
from shared.domain.telemetry import alarm, fact
from shared.flows.committing import Decision, Seen, change, write
from shared.flows.ports import Accumulate, Key, Ports, Snapshot, Write

COLLECTION = "payments"
ALIASES = "payment_aliases"


def record_payment(event: AnyEvent, ports: Ports, now: datetime) -> None:
    """Add `event` to `payments/<provider>:<payment_id>`, in one read and one commit; a known event changes nothing.

    The first time a payment is known by an alias, `payment_aliases/<provider>:<alias>` learns its id in the same
    commit: `{"payments": {<payment_id>: true}}`, so that an alias of two payments is seen to be one. Raises
    Unavailable when the documents are down or too contended.
    """
    if not isinstance(event, PaymentChanged | ReviewChanged):
        fact("payment_event_ignored", event_id=event.event_id, provider=event.provider)
        return
    key = Key(COLLECTION, f"{event.provider}:{event.payment_id}")

    def decide(seen: Seen) -> Decision[tuple[Payment, Payment]]:
        before = payment_of(seen[key]) or Payment(
            provider=event.provider, payment_id=event.payment_id, account=event.account
        )
        after = payments.record(before, event)
        if after == before:
            return Decision((before, after))
        named = [
            Accumulate(Key(ALIASES, f"{event.provider}:{alias}"), put={("payments", event.payment_id): True})
            for alias in after.aliases
            if alias not in before.aliases
        ]
        writes: list[Write] = [write(key, seen[key], timeline.compact(after)), *named]
        return Decision((before, after), writes)

    before, after = change(ports.documents, [key], decide)
    fact(
        "payment_recorded",
        event_id=event.event_id,
        provider=event.provider,
        payment_id=event.payment_id,
        state=after.state,
        outcome="duplicate" if event.event_id in before.facts else "recorded",
        lag_seconds=(now - event.occurred_at).total_seconds(),
    )
    for trouble in set(after.inconsistent) - set(before.inconsistent):
        alarm("payment_inconsistent", provider=event.provider, payment_id=event.payment_id, trouble=trouble)


def payment_of(snapshot: Snapshot | None) -> Payment | None:
    """The payment in a stored document."""
    return from_document(snapshot.document, Payment) if snapshot else None
