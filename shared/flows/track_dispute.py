"""A dispute, a fraud warning or a refund becomes part of its dispute and of its payment's case."""

from dataclasses import dataclass, replace
from datetime import datetime

from shared.disputes import lifecycle
from shared.disputes.case import with_finding, with_refund, with_warning
from shared.domain.codec import encode
from shared.domain.disputes import Case, CaseFlag, Dispute, DisputeUpdate
from shared.domain.entitlements import Suspends
from shared.domain.events import AnyEvent, DisputeChanged, FraudFound, FraudWarned, PaymentChanged, PaymentStep
from shared.domain.telemetry import alarm, fact
from shared.flows import cases
from shared.flows.committing import Decision, Seen, change
from shared.flows.entitlements import entitlement_messages
from shared.flows.filing import Filed, dispute_of, filed, key_of, keys_to_file, linked, refiled
from shared.flows.labels import label_message, told_of
from shared.flows.ports import Message, Ports

TOPIC = "dispute-updates"


def track_dispute(event: AnyEvent, ports: Ports, now: datetime, suspends: Suspends = Suspends.NOTHING) -> None:
    """Keep `disputes/<provider>:<dispute_id>` and `cases/<provider>:<payment_id>`, and publish what changed.

    DisputeChanged, FraudWarned, FraudFound and refunds are followed, everything else is left. One read, one commit, then one
    publish: to `dispute-updates` a row for each dispute of the payment (a further read, only where the event is
    not of its only dispute, or does not name its payment), to `fraud-labels` each label that the payment has had. A
    known event commits nothing and publishes the same again: that is what repairs a crash between the two. Raises Unavailable.
    """
    match event:
        case DisputeChanged():
            tracked = _track(event, ports, now)
        case FraudWarned():
            warned = _file(event, ports, now)
            tracked = replace(_track(lifecycle.alert_of(event), ports, now), dispute=None)
            tracked = replace(tracked, filed=_of_both(tracked.filed, warned.filed))
        case FraudFound() | PaymentChanged(step=PaymentStep.REFUNDED | PaymentStep.REFUND_FAILED):
            tracked = _file(event, ports, now)
        case PaymentChanged() if "step" in event.unsigned:  # a release, or a refund after all
            tracked = _file(event, ports, now)
        case _:
            fact("dispute_event_ignored", event_id=event.event_id, provider=event.provider)
            return
    updates = [
        lifecycle.update_of(
            dispute,
            case,
            update_id=f"{event.event_id}/{dispute.dispute_id}",
            event_id=event.event_id,
            occurred_at=event.occurred_at,
        )
        for dispute, case in tracked.filed.rows
    ]
    told = told_of((case for case, _ in tracked.filed.cases), tracked.filed.rows)
    labels = [label_message(label) for labels in told for label in labels]
    entitlements = entitlement_messages(told, suspends, ports.documents)
    if messages := [*(message(update) for update in updates), *labels, *entitlements]:
        ports.bus.publish(messages)
    _tell(event, tracked)


def message(update: DisputeUpdate) -> Message:
    """`update` as it travels, with what subscriptions may filter by."""
    told = {"provider": update.provider, "stage": update.stage, "status": update.status}
    return Message(TOPIC, encode(update), {name: value for name, value in told.items() if value})


@dataclass(frozen=True, slots=True)
class _Tracked:
    """What is durable now. dispute: the one that the event tells of, where it is a dispute's."""

    known: bool
    filed: Filed
    dispute: Dispute | None = None
    inconsistent_before: tuple[str, ...] = ()


def _track(event: DisputeChanged, ports: Ports, now: datetime) -> _Tracked:
    key = key_of(event.provider, event.dispute_id)
    told = [name for name in (event.payment_id, *event.payment_aliases) if name]

    def decide(seen: Seen) -> Decision[_Tracked]:
        before = dispute_of(seen[key])
        blank = Dispute(provider=event.provider, dispute_id=event.dispute_id, account=event.account)
        found = filed(linked(lifecycle.record(before or blank, event, now), seen), seen)
        own, _ = found.rows[0]
        tracked = _Tracked(
            known=before is not None and event.event_id in before.facts,
            filed=found,
            dispute=next((one for one, _ in found.rows if one.dispute_id == own.same_as), own),
            inconsistent_before=before.inconsistent if before else (),
        )
        return Decision(tracked, found.writes)

    return change(ports.documents, keys_to_file(event.provider, event.dispute_id, told), decide)


def _file(event: FraudWarned | FraudFound | PaymentChanged, ports: Ports, now: datetime) -> _Tracked:
    """Put a fraud warning, a refund or our own word into the payment's case."""
    aliases = event.aliases if isinstance(event, PaymentChanged) else event.payment_aliases
    names = list(dict.fromkeys(name for name in (event.payment_id, *aliases) if name))

    def decide(seen: Seen) -> Decision[_Tracked]:
        # A payment's own event names it by its own id.
        own = isinstance(event, PaymentChanged)
        home = event.payment_id if own else cases.home(event.provider, names, seen)
        opened = cases.opened(event.provider, home, names, seen)
        before = opened.case
        if isinstance(event, FraudWarned):
            after, known = with_warning(before, event, now), event.event_id in before.warnings
        elif isinstance(event, FraudFound):
            after, known = with_finding(before, event, now), event.event_id in before.findings
        else:
            after = with_refund(before, event)
            known = event.event_id in before.refunds or after == before
        found = refiled(after, opened, seen)
        return Decision(_Tracked(known, found), found.writes)

    return change(ports.documents, cases.keys_to_find(event.provider, names), decide)


def _of_both(later: Filed, earlier: Filed) -> Filed:
    """What two commits are to tell: in between, what the event names may have become another payment's."""
    told = {dispute.dispute_id for dispute, _ in later.rows}
    filed_under = {case.payment_id for case, _ in later.cases}
    return replace(
        later,
        rows=[*later.rows, *(row for row in earlier.rows if row[0].dispute_id not in told)],
        cases=[*later.cases, *(one for one in earlier.cases if one[0].payment_id not in filed_under)],
    )


def _tell(event: DisputeChanged | FraudWarned | FraudFound | PaymentChanged, tracked: _Tracked) -> None:
    outcome = "duplicate" if tracked.known else "recorded"
    if isinstance(event, DisputeChanged) and (dispute := tracked.dispute):
        fact(
            "dispute_tracked",
            event_id=event.event_id,
            provider=event.provider,
            dispute_id=event.dispute_id,
            payment_id=dispute.payment_id,
            payment_known=dispute.linked_to is not None,
            stage=dispute.stage,
            status=dispute.status,
            outcome=outcome,
        )
        if event.respond_by is None and event.respond_by_text:
            alarm("deadline_unreadable", provider=event.provider, dispute_id=event.dispute_id)
        if event.status_unknown:
            alarm("dispute_status_unknown", provider=event.provider, dispute_id=event.dispute_id)
        for trouble in set(dispute.inconsistent) - set(tracked.inconsistent_before):
            alarm("dispute_inconsistent", provider=event.provider, dispute_id=event.dispute_id, trouble=trouble)
    else:
        found = isinstance(event, FraudFound)
        warned = isinstance(event, FraudWarned)
        name = "fraud_finding_tracked" if found else "fraud_warning_tracked" if warned else "refund_tracked"
        fact(name, event_id=event.event_id, provider=event.provider, payment_id=event.payment_id, outcome=outcome)
    # Again on a repeat: the copy before may have died between its commit and this line.
    for case, flags_before in tracked.filed.cases:
        if tracked.known or CaseFlag.REFUND_DISPUTE_COLLISION not in flags_before:
            tell_of_collision(case)


def tell_of_collision(case: Case) -> None:
    """Alarm, if refunds and disputes of `case` collide."""
    if CaseFlag.REFUND_DISPUTE_COLLISION in case.flags:
        alarm(
            "refund_dispute_collision",
            provider=case.provider,
            payment_id=case.payment_id,
            refunded_minor=case.refunded.minor if case.refunded else None,
            refunded_currency=case.refunded.currency if case.refunded else None,
            disputed_minor=case.disputed.minor if case.disputed else None,
            disputed_currency=case.disputed.currency if case.disputed else None,
        )
