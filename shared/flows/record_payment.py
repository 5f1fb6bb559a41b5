"""A payment event becomes part of its payment: state, money, timeline."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from shared.disputes import lifecycle
from shared.disputes.case import with_captured
from shared.domain import payments, timeline
from shared.domain.codec import from_document
from shared.domain.disputes import Case, CaseFlag, Dispute
from shared.domain.events import AnyEvent, CanarySent, PaymentChanged, ReviewChanged
from shared.domain.instants import microseconds
from shared.domain.payments import Payment
from shared.domain.telemetry import alarm, fact
from shared.flows import cases
from shared.flows.canaries import hear
from shared.flows.committing import Decision, Seen, change, write
from shared.flows.filing import members
from shared.flows.ports import Accumulate, Key, Ports, Snapshot, Write
from shared.flows.track_dispute import message, tell_of_collision

ROWS: Final = Key("registry", "nameless_rows")
"""Rows that were told of payments whose customer was erased: the days, and the payments."""


@dataclass(frozen=True, slots=True)
class _Recorded:
    """What is durable now. `case`, `disputes`: of a payment that is disputed, or was refunded."""

    before: Payment
    after: Payment
    known: bool
    flags_before: tuple[CaseFlag, ...] = ()
    case: Case | None = None
    disputes: tuple[Dispute, ...] = ()


def record_payment(event: AnyEvent, ports: Ports, now: datetime) -> None:
    """Add `event` to `payments/<provider>:<payment_id>`, in one read and one commit; a known event changes nothing.

    The first time a payment is known by an alias, `payment_aliases/<provider>:<alias>` learns its id in the same
    commit: `{"payments": {<payment_id>: true}}`, so that an alias of two payments is seen to be one. A case that the
    payment has learns in the same commit what was captured, for refunds and disputes collide only beyond that; where
    this changes what the case says, the rows of its disputes are published (a further read). A canary ends here: it is
    written down that it was heard (`shared.flows.canaries`), and no payment is touched. Raises Unavailable when
    the documents are down or too contended.
    """
    if isinstance(event, CanarySent):
        hear(event, ports.documents, now)
        return
    if not isinstance(event, PaymentChanged | ReviewChanged):
        fact("payment_event_ignored", event_id=event.event_id, provider=event.provider)
        return
    name = f"{event.provider}:{event.payment_id}"
    key, case_key = Key(cases.PAYMENTS, name), Key(cases.COLLECTION, name)

    def decide(seen: Seen) -> Decision[_Recorded]:
        before = payment_of(seen[key]) or Payment(
            provider=event.provider, payment_id=event.payment_id, account=event.account
        )
        after = payments.record(before, event)
        known = after == before
        # Only news of what can be given back must reach a case that somebody opens at this moment: proofs are billed. A
        # repeat tells of the case's disputes, which are read after it and must be as they stand in it.
        told, told_before = (payments.takeable(each.captured, each.authorized) for each in (after, before))
        filed = cases.stored(seen[case_key] if known or told != told_before else seen.glance(case_key))
        case = with_captured(filed, told, after.known) if filed else None
        flags_before = filed.flags if filed else ()
        writes: list[Write] = [] if known else [write(key, seen[key], timeline.compact(after))]
        writes += [
            Accumulate(Key(cases.ALIASES, f"{event.provider}:{alias}"), put={("payments", event.payment_id): True})
            for alias in after.aliases
            if alias not in before.aliases
        ]
        if before.nameless and not known:
            # Its row is written beside us, and names whoever was erased: the next batch goes over that day again.
            day = f"{event.occurred_at.astimezone(UTC):%Y-%m-%d}"
            told_at = microseconds(now)
            writes.append(Accumulate(ROWS, put={("days", day, event.payment_id): True}, smallest={("since",): told_at}))
        if case != filed:
            writes += [write(case_key, seen[case_key], timeline.compact(case))]
        # Of a known event too: the copy before may have died between its commit and its rows.
        news = case if case and case.disputes and (known or case.flags != flags_before) else None
        disputes = tuple(members(news, seen)) if news else ()
        return Decision(_Recorded(before, after, known, flags_before, news, disputes), writes)

    recorded = change(ports.documents, [key, case_key], decide)
    before, after, case = recorded.before, recorded.after, recorded.case
    if case:
        _publish(event, recorded, case, ports)
    fact(
        "payment_recorded",
        event_id=event.event_id,
        provider=event.provider,
        payment_id=event.payment_id,
        state=after.state,
        outcome="duplicate" if recorded.known else "recorded",
        lag_seconds=(now - event.occurred_at).total_seconds(),
    )
    troubles = set(after.inconsistent) - {*before.inconsistent, payments.TIMELINE_FULL}
    if payments.may_have_happened_again(before, event):
        troubles.add("undone_and_told_again")
    for trouble in sorted(troubles):
        alarm("payment_inconsistent", provider=event.provider, payment_id=event.payment_id, trouble=trouble)


def payment_of(snapshot: Snapshot | None) -> Payment | None:
    """The payment in a stored document."""
    return from_document(snapshot.document, Payment) if snapshot else None


def _publish(event: PaymentChanged | ReviewChanged, recorded: _Recorded, case: Case, ports: Ports) -> None:
    """Tell what the disputes of `case` look like now that more is known of their payment."""
    updates = [
        lifecycle.update_of(
            dispute,
            case,
            update_id=f"{event.event_id}/{dispute.dispute_id}/payment",
            event_id=event.event_id,
            occurred_at=event.occurred_at,
        )
        for dispute in recorded.disputes
    ]
    if updates:
        ports.bus.publish([message(update) for update in updates])
    if recorded.known or CaseFlag.REFUND_DISPUTE_COLLISION not in recorded.flags_before:
        tell_of_collision(case)
