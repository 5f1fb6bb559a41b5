"""What was paid out, of what it is made, what of it nobody explains, and what of ours was not paid."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from shared.domain.codec import from_document
from shared.domain.money import Money
from shared.domain.payouts import Payout, name_of
from shared.flows.explain_payouts import COLLECTION, key_of, owed_to_us
from shared.flows.ports import Bound, Documents, Warehouse

MOST: Final = 1000
BOUND: Final = Bound(bytes=2**34, seconds=50.0)

PAID_SQL: Final = """SELECT provider, account, payout_id, paid_at, read_at, status, currency, paid, rest, rest_since
FROM payouts
WHERE paid_at >= @since AND paid_at < @until AND part = 0 AND (@provider = '' OR provider = @provider)
QUALIFY ROW_NUMBER() OVER (PARTITION BY row_id, paid_at ORDER BY read_at DESC) = 1
ORDER BY paid_at DESC, provider, account, payout_id"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Paid:
    """A payout, in short. rest: what no line explains; rest_since: since when there is one that nobody has accepted."""

    name: str
    provider: str
    paid_at: datetime
    status: str
    paid: Money
    rest: Money
    rest_since: datetime | None
    accepted: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Unread:
    """A payout that is to be read, and is not. prepared: its provider prepares a report of it."""

    name: str
    provider: str
    paid_at: datetime
    unread_since: datetime
    prepared: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Missing:
    """`Unpaid`, as a person accepts it: by `name`."""

    name: str
    payments: int
    captured: Money
    oldest: datetime
    example: str


@dataclass(frozen=True, slots=True, kw_only=True)
class UnpaidAsOf:
    """linked_at: when it was looked for; None: never yet. providers: at which; what others paid nobody can say."""

    linked_at: datetime | None
    providers: tuple[str, ...]
    found: tuple[Missing, ...]


def paid_out(
    warehouse: Warehouse, documents: Documents, since: datetime, until: datetime, *, provider: str | None = None
) -> Sequence[Paid]:
    """What was paid from `since` to before `until`, the latest first, MOST at most."""
    asked = {"since": since, "until": until, "provider": provider or ""}
    found = [
        Paid(
            name=name_of(row["provider"], row["account"], row["payout_id"]),
            provider=row["provider"],
            paid_at=row["paid_at"],
            status=row["status"],
            paid=Money(row["paid"], row["currency"]),
            rest=Money(row["rest"], row["currency"]),
            rest_since=row["rest_since"],
        )
        for row in warehouse.query(PAID_SQL, asked, bound=BOUND)[:MOST]
    ]
    # A row tells what was read; what a person has said since then is in the document.
    known = _known(documents, [one.name for one in found if one.rest.minor])
    return [
        replace(one, rest_since=known[one.name].rest_since, accepted=known[one.name].accepted == one.rest.minor)
        if one.name in known and known[one.name].rest == one.rest.minor
        else one
        for one in found
    ]


def _known(documents: Documents, names: Sequence[str]) -> dict[str, Payout]:
    found = documents.get([key_of(name) for name in names]) if names else []
    return {one.key.id: from_document(one.document, Payout) for one in found if one is not None}


def with_rest(documents: Documents, now: datetime, *, provider: str | None = None) -> Sequence[Paid]:
    """Those that are not explained, whose rest is the oldest first, MOST at most."""
    return [
        Paid(
            name=one.name,
            provider=one.provider,
            paid_at=one.paid_at,
            status=one.status,
            paid=Money(one.paid, one.currency),
            rest=Money(one.rest, one.currency),
            rest_since=one.rest_since,
        )
        for one in _waiting(documents, "rest_since", now, provider)
    ]


def with_unread(documents: Documents, now: datetime, *, provider: str | None = None) -> Sequence[Unread]:
    """Those that are to be read, and are not, the longest first, MOST at most."""
    return [
        Unread(
            name=one.name,
            provider=one.provider,
            paid_at=one.paid_at,
            unread_since=one.unread_since,
            prepared=one.waits_for is not None,
        )
        for one in _waiting(documents, "unread_since", now, provider)
        if one.unread_since is not None
    ]


def _waiting(documents: Documents, since: str, now: datetime, provider: str | None) -> Iterator[Payout]:
    """Of one `provider` or all, those with an instant in `since`, the oldest first; of MOST."""
    payouts = (from_document(one.document, Payout) for one in documents.due(COLLECTION, since, now, MOST))
    return (one for one in payouts if provider in (None, one.provider))


def payout(documents: Documents, name: str) -> Payout | None:
    """All that is known of one, by `<provider>:<account>:<payout id>`."""
    [found] = documents.get([key_of(name)])
    return from_document(found.document, Payout) if found else None


def not_paid(documents: Documents) -> UnpaidAsOf:
    """What was captured and is in no payout, as of the last look, the oldest first."""
    owed = owed_to_us(documents)
    found = tuple(
        Missing(
            name=one.name,
            payments=one.payments,
            captured=Money(one.minor, one.currency),
            oldest=one.oldest,
            example=one.example,
        )
        for one in sorted(owed.found, key=lambda one: (one.oldest, one.name))
    )
    return UnpaidAsOf(linked_at=owed.linked_at, providers=owed.providers, found=found)
