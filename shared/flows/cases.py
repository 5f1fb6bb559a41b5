"""A payment's case: finding it under whatever name somebody uses, and writing it whole."""

from collections.abc import Iterable, Sequence

from shared.disputes.case import merge
from shared.domain import timeline
from shared.domain.codec import from_document
from shared.domain.disputes import Case
from shared.flows import record_payment
from shared.flows.committing import Seen, write
from shared.flows.ports import Key, Snapshot, Write

COLLECTION = "cases"


def keys_to_find(provider: str, names: Iterable[str]) -> list[Key]:
    """All that `find_payment` and `opened` look at for a payment that is called by `names`."""
    collections = (record_payment.COLLECTION, record_payment.ALIASES, COLLECTION)
    return [Key(collection, f"{provider}:{name}") for name in names for collection in collections]


def find_payment(provider: str, names: Sequence[str], seen: Seen) -> str | None:
    """The payment among ours that `names` mean; None while there is none, or while an alias means several."""
    for name in names:
        # A payment that is there stays there, whatever becomes of it.
        if seen.glance(Key(record_payment.COLLECTION, f"{provider}:{name}")) is not None:
            return name
    for name in names:
        alias = seen[Key(record_payment.ALIASES, f"{provider}:{name}")]
        if alias is not None and len(alias.document["payments"]) == 1:
            return str(next(iter(alias.document["payments"])))
    return None


def opened(provider: str, payment_id: str | None, names: Sequence[str], seen: Seen) -> Case:
    """The case of the payment `payment_id`, or, while it is not among ours, of whatever is called by `names` (one
    at least). What was filed under other names of it is taken in."""
    if payment_id is None:
        cases = [_case(seen[Key(COLLECTION, f"{provider}:{name}")]) for name in names]
        payment_id = next((case.moved_to for case in cases if case and case.moved_to), names[0])
    case = Case(provider=provider, payment_id=payment_id)
    for name in dict.fromkeys([payment_id, *names]):
        filed = _case(seen[Key(COLLECTION, f"{provider}:{name}")])
        if filed is not None and not filed.moved_to:
            case = merge(case, filed)
    return case


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
        else:
            new = Case(provider=case.provider, payment_id=name, moved_to=case.payment_id) if filed else None
        if new is not None and new != filed:
            writes.append(write(key, seen[key], timeline.compact(new)))
    return writes


def _case(snapshot: Snapshot | None) -> Case | None:
    return from_document(snapshot.document, Case) if snapshot else None
