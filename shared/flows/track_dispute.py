"""A dispute, a fraud warning or a refund becomes part of its dispute and of its payment's case."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from shared.disputes import lifecycle
from shared.disputes.case import with_dispute, with_refund, with_unplaced, with_warning
from shared.domain import timeline
from shared.domain.codec import encode, from_document
from shared.domain.disputes import Case, CaseFlag, Dispute, DisputeUpdate
from shared.domain.events import AnyEvent, DisputeChanged, FraudWarned, PaymentChanged, PaymentStep
from shared.domain.telemetry import alarm, fact
from shared.flows import cases
from shared.flows.committing import Decision, Seen, change, write
from shared.flows.ports import Key, Message, Ports, Snapshot, Write

COLLECTION = "disputes"
TOPIC = "dispute-updates"


def track_dispute(event: AnyEvent, ports: Ports, now: datetime) -> None:
    """Keep `disputes/<provider>:<dispute_id>` and `cases/<provider>:<payment_id>`, and publish what changed.

    DisputeChanged, FraudWarned and refunds are followed, everything else is left. One read, one commit, then one
    publish to `dispute-updates`: a row for each dispute of the payment (a further read, only where the event is
    not of its only dispute, or does not name its payment). A known event commits nothing and publishes the same
    updates again: that is what repairs a crash between the two. Raises Unavailable.
    """
    match event:
        case DisputeChanged():
            tracked = _track(event, ports, now)
        case FraudWarned() | PaymentChanged(step=PaymentStep.REFUNDED | PaymentStep.REFUND_FAILED):
            tracked = _file(event, ports)
        case PaymentChanged() if "step" in event.unsigned:  # a release, or a refund after all
            tracked = _file(event, ports)
        case _:
            fact("dispute_event_ignored", event_id=event.event_id, provider=event.provider)
            return
    updates = [
        lifecycle.update_of(
            dispute,
            tracked.case,
            update_id=f"{event.event_id}/{dispute.dispute_id}",
            event_id=event.event_id,
            occurred_at=event.occurred_at,
        )
        for dispute in tracked.disputes
    ]
    if updates:
        ports.bus.publish([message(update) for update in updates])
    _tell(event, tracked)


def message(update: DisputeUpdate) -> Message:
    """`update` as it travels, with what subscriptions may filter by."""
    told = {"provider": update.provider, "stage": update.stage, "status": update.status}
    return Message(TOPIC, encode(update), {name: value for name, value in told.items() if value})


def dispute_of(snapshot: Snapshot | None) -> Dispute | None:
    """The dispute in a stored document."""
    return from_document(snapshot.document, Dispute) if snapshot else None


@dataclass(frozen=True, slots=True)
class _Tracked:
    """What is durable now. `disputes`: all those of the case. `case` is None for a dispute of an unnamed payment."""

    known: bool
    disputes: tuple[Dispute, ...]
    case: Case | None
    flags_before: tuple[CaseFlag, ...] = ()
    inconsistent_before: tuple[str, ...] = ()


def _track(event: DisputeChanged, ports: Ports, now: datetime) -> _Tracked:
    key = Key(COLLECTION, f"{event.provider}:{event.dispute_id}")
    told = [name for name in (event.payment_id, *event.payment_aliases) if name]
    namesakes = _namesakes(event.provider, told) if told else cases.keys_to_find(event.provider, [event.dispute_id])

    def decide(seen: Seen) -> Decision[_Tracked]:
        before = dispute_of(seen[key])
        blank = Dispute(provider=event.provider, dispute_id=event.dispute_id, account=event.account)
        recorded, case, filing = linked(lifecycle.record(before or blank, event, now), seen)
        if case is None:
            case = _case_by_own_id(recorded, seen)  # nobody has named its payment: its own id may be that name
        family = _family(recorded, case, seen)
        if case is not None:
            for one in family:
                case = with_dispute(case, one) if lifecycle.names(one) else with_unplaced(case, one)
            filing = cases.filing(case, lifecycle.names(recorded), seen)
        changed = [one for one in family if one != dispute_of(seen[_key(one)])]
        own = next(one for one in family if one.dispute_id == event.dispute_id)
        first = own.same_as or own.dispute_id
        return Decision(
            _Tracked(
                known=before is not None and event.event_id in before.facts,
                disputes=tuple(sorted(family, key=lambda one: (one.dispute_id != first, one.dispute_id))),
                case=case,
                flags_before=_flags(case, seen),
                inconsistent_before=before.inconsistent if before else (),
            ),
            [*(write(_key(one), seen[_key(one)], timeline.compact(one)) for one in changed), *filing],
        )

    return change(ports.documents, [key, *cases.keys_to_find(event.provider, told), *namesakes], decide)


def _case_by_own_id(dispute: Dispute, seen: Seen) -> Case | None:
    """The case of which a dispute calls its payment by the id of `dispute`."""
    payment_id = cases.find_payment(dispute.provider, [dispute.dispute_id], seen) or dispute.dispute_id
    if dispute.same_as is not None:
        heirs = _stored(dispute.provider, [dispute.same_as], seen)
        payment_id = next((heir.payment_id for heir in heirs if heir.payment_id), payment_id)
    case = cases.of(dispute.provider, payment_id, seen)
    return case if case and case.disputes and dispute.dispute_id in _names(case, seen) else None


def _names(case: Case, seen: Seen) -> dict[str, None]:
    """Every name by which `case`, its payment or one of its disputes calls the payment."""
    found = _stored(case.provider, case.disputes, seen)
    return dict.fromkeys([case.payment_id, *(name for dispute in found for name in lifecycle.names(dispute))])


def _stored(provider: str, ids: Iterable[str], seen: Seen) -> list[Dispute]:
    """The disputes that are stored under `ids`, in one read."""
    keys = _namesakes(provider, ids)
    seen.read(keys)
    return [dispute for key in keys if (dispute := dispute_of(seen[key])) is not None]


def _namesakes(provider: str, names: Iterable[str]) -> list[Key]:
    """Where what was told under the payment's `names` is, if it was taken for the dispute's."""
    return [Key(COLLECTION, f"{provider}:{name}") for name in names]


def _key(dispute: Dispute) -> Key:
    return Key(COLLECTION, f"{dispute.provider}:{dispute.dispute_id}")


def _family(dispute: Dispute, case: Case | None, seen: Seen) -> list[Dispute]:
    """`dispute` and all others of its payment, with what was told of the only one under the payment's name."""
    if case is None:
        return [dispute]
    names = {**_names(case, seen), **dict.fromkeys(lifecycle.names(dispute))}
    known = dict.fromkeys(name for name in (*case.disputes, *names) if name != dispute.dispute_id)
    family = [
        one
        for one in _stored(case.provider, known, seen)
        if one.dispute_id in case.disputes or not lifecycle.names(one)
    ]
    return lifecycle.reunited([dispute, *family], names)


def linked(dispute: Dispute, seen: Seen) -> tuple[Dispute, Case | None, list[Write]]:
    """`dispute` tied to its payment if that is among ours by now, its case with this dispute in it, and the writes
    that file the case. There is no case until somebody names the payment."""
    names = lifecycle.names(dispute)
    if not names:
        return dispute, None, []
    # Already read, unless the names are known from earlier messages only.
    seen.read([*cases.keys_to_find(dispute.provider, names), *_namesakes(dispute.provider, names)])
    payment_id = dispute.linked_to or cases.find_payment(dispute.provider, names, seen)
    if payment_id != dispute.linked_to:
        dispute = lifecycle.settle(replace(dispute, linked_to=payment_id))
    case = with_dispute(cases.opened(dispute.provider, payment_id, names, seen), dispute)
    return dispute, case, cases.filing(case, names, seen)


def _file(event: FraudWarned | PaymentChanged, ports: Ports) -> _Tracked:
    """Put a fraud warning or a refund into the payment's case."""
    aliases = event.payment_aliases if isinstance(event, FraudWarned) else event.aliases
    names = list(dict.fromkeys(name for name in (event.payment_id, *aliases) if name))

    def decide(seen: Seen) -> Decision[_Tracked]:
        if isinstance(event, FraudWarned):
            payment_id = cases.find_payment(event.provider, names, seen)
            before = cases.opened(event.provider, payment_id, names, seen)
            after, known = with_warning(before, event), event.event_id in before.warnings
        else:
            # A payment's own event names it by its own id.
            before = cases.opened(event.provider, event.payment_id, names, seen)
            after = with_refund(before, event)
            known = event.event_id in before.refunds or after == before
        return Decision(
            _Tracked(known=known, disputes=others(after, seen), case=after, flags_before=before.flags),
            cases.filing(after, names, seen),
        )

    return change(ports.documents, cases.keys_to_find(event.provider, names), decide)


def others(case: Case | None, seen: Seen, but: Dispute | None = None) -> tuple[Dispute, ...]:
    """The disputes of `case`, as stored, without `but`; with what was told under a name of their payment."""
    if case is None:
        return ()
    ids = {*case.disputes, *case.unplaced} - {but.dispute_id if but else ""}
    return tuple(_stored(case.provider, sorted(ids), seen))


def _flags(case: Case | None, seen: Seen) -> tuple[CaseFlag, ...]:
    """The flags that the stored case raises already."""
    return cases.opened(case.provider, case.payment_id, [], seen).flags if case else ()


def _tell(event: DisputeChanged | FraudWarned | PaymentChanged, tracked: _Tracked) -> None:
    outcome = "duplicate" if tracked.known else "recorded"
    case = tracked.case
    if isinstance(event, DisputeChanged):
        dispute = tracked.disputes[0]
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
        for trouble in set(dispute.inconsistent) - set(tracked.inconsistent_before):
            alarm("dispute_inconsistent", provider=event.provider, dispute_id=event.dispute_id, trouble=trouble)
    else:
        name = "fraud_warning_tracked" if isinstance(event, FraudWarned) else "refund_tracked"
        fact(name, event_id=event.event_id, provider=event.provider, payment_id=event.payment_id, outcome=outcome)
    # Again on a repeat: the copy before may have died between its commit and this line.
    if case and (tracked.known or CaseFlag.REFUND_DISPUTE_COLLISION not in tracked.flags_before):
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
