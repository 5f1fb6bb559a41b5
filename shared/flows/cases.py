"""A payment's case: finding it under whatever name somebody uses, and writing it whole."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from shared.disputes.case import merge, with_captured
from shared.domain import timeline
from shared.domain.codec import from_document
from shared.domain.disputes import Case
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
        alias = seen[Key(ALIASES, f"{provider}:{name}")]
        if alias is not None and len(alias.document["payments"]) == 1:
            return str(next(iter(alias.document["payments"])))
    return None


def opened(provider: str, payment_id: str | None, names: Sequence[str], seen: Seen) -> Case:
    """The case of the payment `payment_id`, or, while it is not among ours, of whatever is called by `names` (one
    at least). What was filed under other names of it is taken in, and what its payment says was captured."""
    if payment_id is None:
        cases = [_case(seen[Key(COLLECTION, f"{provider}:{name}")]) for name in names]
        payment_id = next((case.moved_to for case in cases if case and case.moved_to), names[0])
    case, payment = Case(provider=provider, payment_id=payment_id), Key(PAYMENTS, f"{provider}:{payment_id}")
    seen.read([payment, Key(COLLECTION, f"{provider}:{payment_id}")])
    for name in dict.fromkeys([payment_id, *names]):
        filed = _case(seen[Key(COLLECTION, f"{provider}:{name}")])
        if filed is not None and not filed.moved_to and not _is_another(provider, name, payment_id, seen):
            case = merge(case, filed)
    return judged_by(seen[payment], case)


def judged_by(payment: Snapshot | None, case: Case) -> Case:
    """`case` with what the stored `payment` says was captured, or is held."""
    told = from_document(payment.document, _Captured) if payment else _Captured()
    return with_captured(case, takeable(told.captured, told.authorized), told.known)


def of(provider: str, name: str, seen: Seen) -> Case | None:
    """The case that is filed under `name`, wherever it has moved; None where there is none."""
    case = _case(seen[Key(COLLECTION, f"{provider}:{name}")])
    return of(provider, case.moved_to, seen) if case and case.moved_to else case


def filing(case: Case, names: Iterable[str], seen: Seen) -> list[Write]:
    """The writes that put `case` where it belongs and leave a signpost at every other name it was filed under.

    A signpost rather than nothing, so that who read the old case before the move writes into a conflict.
    """
    writes: list[Write] = []
    for name in dict.fromkeys([case.payment_id, *names]):
        key = Key(COLLECTION, f"{case.provider}:{name}")
        filed = _case(seen[key])
        if name == case.payment_id:
            new: Case | None = case
        elif filed and not filed.moved_to and _is_another(case.provider, name, case.payment_id, seen):
            new = filed
        else:
            new = Case(provider=case.provider, payment_id=name, moved_to=case.payment_id) if filed else None
        if new is not None and new != filed:
            writes.append(write(key, seen[key], timeline.compact(new)))
    return writes


def _is_another(provider: str, name: str, payment_id: str, seen: Seen) -> bool:
    """Whether `name`, by which somebody calls `payment_id`, is a payment of ours in its own right, with a case of its own."""
    return name != payment_id and seen[Key(PAYMENTS, f"{provider}:{name}")] is not None


def stored(case: Snapshot | None) -> Case | None:
    """The case in a document, but no signpost to one."""
    found = _case(case)
    return None if found is None or found.moved_to else found


@dataclass(frozen=True, slots=True, kw_only=True)
class _Captured:
    """All that a case wants to know of a payment."""

    captured: Money | None = None
    authorized: Money | None = None
    known: int | None = None


def _case(snapshot: Snapshot | None) -> Case | None:
    return from_document(snapshot.document, Case) if snapshot else None
