"""A payment's case: finding it under whatever name somebody uses, and writing it whole."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from shared.disputes.case import merge, with_captured
from shared.domain import timeline
from shared.domain.codec import from_document
from shared.domain.disputes import Case, CaseFlag
from shared.domain.money import Money
from shared.domain.payments import takeable
from shared.flows.committing import Seen, write
from shared.flows.ports import Key, Snapshot, Write

COLLECTION = "cases"
PAYMENTS = "payments"
ALIASES = "payment_aliases"


def keys_to_find(provider: str, names: Iterable[str]) -> list[Key]:
    """All that `find_payment` and `opened` look at for a payment that is called by `names`."""
    collections = (PAYMENTS, ALIASES, COLLECTION)
    return [Key(collection, f"{provider}:{name}") for name in names for collection in collections]


def find_payment(provider: str, names: Sequence[str], seen: Seen) -> str | None:
    """The payment among ours that `names` mean; None while there is none, or while an alias means several."""
    for name in names:
        # A payment that is there stays there, whatever becomes of it.
        if seen.glance(Key(PAYMENTS, f"{provider}:{name}")) is not None:
            return name
    for name in names:
        if len(owners := _owners(provider, name, seen)) == 1:
            return owners[0]
    return None


def home(provider: str, names: Sequence[str], seen: Seen) -> str:
    """Under which name the case of a payment is filed that is called by `names` (one at least): its own id, or, while
    it is not among ours, the first of them, or wherever what was filed under that has moved."""
    payment_id = find_payment(provider, names, seen)
    if payment_id is not None:
        return payment_id
    # An alias of several payments is none of them, whoever was the first to be called so.
    case = None if _owners(provider, names[0], seen) else of(provider, names[0], seen)
    return case.payment_id if case else names[0]


def may_mean(provider: str, name: str, payment_id: str, seen: Seen) -> bool:
    """Whether no payment among ours but `payment_id` is called `name`."""
    return set(_owners(provider, name, seen)) <= {payment_id}


@dataclass(frozen=True, slots=True)
class Opened:
    """A case with all that belongs into it. gathered: the names under which that is filed. flags: what was raised."""

    case: Case
    gathered: tuple[str, ...] = ()
    flags: tuple[CaseFlag, ...] = ()


def opened(provider: str, payment_id: str, names: Sequence[str], seen: Seen) -> Opened:
    """The case that is filed under `payment_id`. What was filed under other `names` of the payment is taken in, unless
    that is another payment's; and what its payment says was captured."""
    case, payment = Case(provider=provider, payment_id=payment_id), Key(PAYMENTS, f"{provider}:{payment_id}")
    seen.read([payment, Key(COLLECTION, f"{provider}:{payment_id}")])
    filed = {name: stored(seen[Key(COLLECTION, f"{provider}:{name}")]) for name in (payment_id, *names)}
    found = {
        name: one
        for name, one in filed.items()
        if one and (name == payment_id or may_mean(provider, name, payment_id, seen))
    }
    for one in found.values():
        case = merge(case, one)
    flags = found[payment_id].flags if payment_id in found else ()
    return Opened(_judged_by(seen[payment], case), tuple(found), flags)


def _judged_by(payment: Snapshot | None, case: Case) -> Case:
    """`case` with what the stored `payment` says was captured, or is held."""
    told = from_document(payment.document, _Captured) if payment else _Captured()
    return with_captured(case, takeable(told.captured, told.authorized), told.known)


def of(provider: str, name: str, seen: Seen) -> Case | None:
    """The case that is filed under `name`, wherever it has moved; None where there is none."""
    case = _case(seen[Key(COLLECTION, f"{provider}:{name}")])
    return of(provider, case.moved_to, seen) if case and case.moved_to else case


def filing(case: Case, gathered: Iterable[str], seen: Seen) -> list[Write]:
    """The writes that put `case` where it belongs and leave a signpost at every other name it was `gathered` from.

    A signpost rather than nothing, so that who read the old case before the move writes into a conflict.
    """
    moved = [name for name in gathered if name != case.payment_id]
    new = [case, *(Case(provider=case.provider, payment_id=name, moved_to=case.payment_id) for name in moved)]
    keys = [Key(COLLECTION, f"{one.provider}:{one.payment_id}") for one in new]
    return [
        write(key, seen[key], timeline.compact(one))
        for key, one in zip(keys, new, strict=True)
        if one != _case(seen[key])
    ]


def stored(case: Snapshot | None) -> Case | None:
    """The case in a document, but no signpost to one."""
    found = _case(case)
    return None if found is None or found.moved_to else found


def _owners(provider: str, name: str, seen: Seen) -> Sequence[str]:
    """The payments among ours that are called `name`: the one of that id, else those that have it as an alias."""
    if seen.glance(Key(PAYMENTS, f"{provider}:{name}")) is not None:
        return [name]
    alias = seen[Key(ALIASES, f"{provider}:{name}")]
    return list(alias.document["payments"]) if alias else []


@dataclass(frozen=True, slots=True, kw_only=True)
class _Captured:
    """All that a case wants to know of a payment."""

    captured: Money | None = None
    authorized: Money | None = None
    known: int | None = None


def _case(snapshot: Snapshot | None) -> Case | None:
    return from_document(snapshot.document, Case) if snapshot else None
