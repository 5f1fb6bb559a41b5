"""A dispute stands in one case, that of its payment: putting it there, with all that this changes for others."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from shared.disputes import lifecycle
from shared.disputes.case import knowing_more, known, with_dispute, with_unplaced, without
from shared.domain import timeline
from shared.domain.codec import from_document
from shared.domain.disputes import Case, CaseFlag, Dispute
from shared.flows import cases
from shared.flows.cases import Opened
from shared.flows.committing import Seen, write
from shared.flows.ports import Key, Snapshot, Write

COLLECTION = "disputes"


@dataclass(frozen=True, slots=True)
class Filed:
    """What is durable once `writes` are. rows: each dispute of which a row may tell something new, with its case (None
    while nobody names its payment). cases: those that changed, with the flags that each raised before."""

    writes: Sequence[Write]
    rows: Sequence[tuple[Dispute, Case | None]]
    cases: Sequence[tuple[Case, tuple[CaseFlag, ...]]] = ()


def key_of(provider: str, dispute_id: str) -> Key:
    return Key(COLLECTION, f"{provider}:{dispute_id}")


def dispute_of(snapshot: Snapshot | None) -> Dispute | None:
    """The dispute in a stored document."""
    return from_document(snapshot.document, Dispute) if snapshot else None


def keys_to_file(provider: str, dispute_id: str, names: Iterable[str]) -> list[Key]:
    """All that `linked` and `filed` look at for a dispute that stands alone, if its payment is called by `names` and
    nothing else: also where what was told under these is, if it was taken for a dispute's."""
    called = list(names) or [dispute_id]
    return [*(key_of(provider, id_) for id_ in (dispute_id, *called)), *cases.keys_to_find(provider, called)]


def linked(dispute: Dispute, seen: Seen) -> Dispute:
    """`dispute` tied to its payment, if that is among ours by now; and to no other ever after."""
    names = lifecycle.names(dispute)
    if dispute.linked_to is not None or not names:
        return dispute
    # Already read, unless the names are known from earlier messages only.
    seen.read(keys_to_file(dispute.provider, dispute.dispute_id, names))
    payment_id = cases.find_payment(dispute.provider, names, seen)
    return lifecycle.settle(replace(dispute, linked_to=payment_id)) if payment_id else dispute


def filed(dispute: Dispute, seen: Seen) -> Filed:
    """`dispute`, as it is now, in the case of its payment and in no other; it comes first in `rows`.

    What was told under a name of the payment is told of the only dispute in the case, and goes where that goes.
    """
    home = _home(dispute, seen)
    if home is None:
        return Filed(_written([dispute], seen), [(dispute, None)])
    opened = cases.opened(dispute.provider, home, lifecycle.names(dispute), seen)
    case, arriving, left = opened.case, [dispute], Filed([], [])
    for name in dispute.filed_under[-1:]:
        if name not in (home, *opened.gathered):
            before, left, along = _taken_out(dispute, name, seen)
            case, arriving = knowing_more(case, known(before)), [dispute, *along]
    own = _filed(case, _family(arriving, case, seen), opened, seen)
    # Again on a repeat: the copy before may have died between its commit and its rows.
    rows = [*own.rows, *(left.rows or _former_rows(own.rows[0][0], seen))]
    return Filed([*own.writes, *left.writes], rows, [*own.cases, *left.cases])


def refiled(case: Case, opened: Opened, seen: Seen) -> Filed:
    """`case`, which was `opened` and has learned something, with all the disputes that stand in it: where several cases
    were gathered, what was told of the only dispute of one may tell of none by now."""
    return _filed(case, members(case, seen), opened, seen)


def members(case: Case, seen: Seen) -> list[Dispute]:
    """The disputes of `case`, as stored, with what was told under a name of their payment."""
    return _stored(case.provider, sorted({*case.disputes, *case.unplaced}), seen)


def _filed(case: Case, disputes: Sequence[Dispute], opened: Opened, seen: Seen) -> Filed:
    """`disputes`, all that stand in `case`, in it. The first comes first in `rows`."""
    first = [one.dispute_id for one in disputes[:1]]
    family = [_moved(one, opened) for one in lifecycle.reunited(disputes)]
    for one in family:
        case = with_dispute(case, one) if lifecycle.names(one) else with_unplaced(case, one)
    writes = [*_written(family, seen), *cases.filing(case, opened.gathered, seen)]
    rows = sorted(family, key=lambda one: one.dispute_id not in first)
    return Filed(writes, [(one, case) for one in rows], [(case, opened.flags)])


def _home(dispute: Dispute, seen: Seen) -> str | None:
    """Under which name the case of `dispute` is filed; None while nobody has named its payment."""
    if names := lifecycle.names(dispute):
        return dispute.linked_to or cases.home(dispute.provider, names, seen)
    if dispute.filed_under:
        return dispute.filed_under[-1]
    # Its own id may be a name of the payment, if a dispute calls it so.
    case = cases.of(dispute.provider, cases.home(dispute.provider, [dispute.dispute_id], seen), seen)
    called = case and dispute.dispute_id in _names(case.payment_id, members(case, seen))
    return case.payment_id if case and case.disputes and called else None


def _family(arriving: Sequence[Dispute], case: Case, seen: Seen) -> list[Dispute]:
    """All that will stand in `case` with those `arriving`: among it what was told under one of the payment's names and
    stands nowhere yet."""
    ids = {one.dispute_id for one in arriving}
    known = _stored(case.provider, sorted({*case.disputes, *case.unplaced} - ids), seen)
    names = _names(case.payment_id, [*arriving, *known]) - ids - {one.dispute_id for one in known}
    strays = [
        one
        for one in _stored(case.provider, sorted(names), seen)
        if not (one.filed_under or lifecycle.names(one))
        and cases.may_mean(case.provider, one.dispute_id, case.payment_id, seen)
    ]
    return [*arriving, *known, *strays]


def _taken_out(dispute: Dispute, name: str, seen: Seen) -> tuple[Case, Filed, list[Dispute]]:
    """The case `name` as it was, and without `dispute`; and what was told under a name that nobody else there calls the
    payment by, which goes along."""
    opened = cases.opened(dispute.provider, name, [], seen)
    stay = [one for one in members(opened.case, seen) if one.dispute_id != dispute.dispute_id]
    names = _names(name, stay)
    along = [one for one in stay if not lifecycle.names(one) and one.dispute_id not in names]
    case = without(opened.case, [dispute.dispute_id, *(one.dispute_id for one in along)])
    return opened.case, _filed(case, [one for one in stay if one not in along], opened, seen), along


def _former_rows(dispute: Dispute, seen: Seen) -> list[tuple[Dispute, Case | None]]:
    """Those that stand where `dispute` once stood."""
    *names, home = dispute.filed_under
    former = [case for name in names if (case := cases.of(dispute.provider, name, seen)) and case.payment_id != home]
    return [(one, case) for case in former for one in members(case, seen)]


def _moved(dispute: Dispute, opened: Opened) -> Dispute:
    """`dispute` where it stands now. A case that moved as a whole is no place of its own."""
    places = (*opened.gathered, opened.case.payment_id)
    former = [name for name in dispute.filed_under if name not in places]
    return replace(dispute, filed_under=(*former, opened.case.payment_id))


def _names(payment_id: str, disputes: Iterable[Dispute]) -> set[str]:
    """Every name by which the payment or one of its `disputes` calls the payment."""
    return {payment_id, *(name for one in disputes for name in lifecycle.names(one))}


def _stored(provider: str, ids: Iterable[str], seen: Seen) -> list[Dispute]:
    """The disputes that are stored under `ids`, in one read."""
    keys = [key_of(provider, id_) for id_ in ids]
    seen.read(keys)
    return [dispute for key in keys if (dispute := dispute_of(seen[key])) is not None]


def _written(disputes: Iterable[Dispute], seen: Seen) -> list[Write]:
    keys = [(key_of(one.provider, one.dispute_id), one) for one in disputes]
    return [write(key, seen[key], timeline.compact(one)) for key, one in keys if one != dispute_of(seen[key])]
