"""What exploration let pass today: one document, read and written with explored payments alone."""

from collections.abc import Callable
from datetime import UTC, datetime

from shared.domain.decisions import Decision
from shared.flows.committing import Seen, write
from shared.flows.ports import Key, Snapshot, Write
from shared.fraud.book import Book

EXPLORED = Key("registry", "explored")


def may_lose(seen: Seen, book: Book, now: datetime) -> Callable[[int], bool]:
    """Whether so much more may be let pass on the day of `now`, reference minor units (`shared.fraud.decide.decide`)."""
    most = book.policy.exploration.most_a_day
    return lambda amount: most is None or _spent(seen.glance(EXPLORED), _day(now)) + amount <= most


def spend(seen: Seen, decision: Decision) -> list[Write]:
    """Count a payment that was let pass to its day. News of an earlier day comes too late to change anything."""
    if not decision.explored:
        return []
    before, day = seen[EXPLORED], _day(decision.decided_at)
    if before is not None and before.document["day"] > day:
        return []
    amount = next(int(one.value) for one in decision.features if one.name == "amount" and one.value is not None)
    return [write(EXPLORED, before, {"day": day, "amount": _spent(before, day) + amount})]


def _day(now: datetime) -> str:
    return now.astimezone(UTC).date().isoformat()


def _spent(found: Snapshot | None, day: str) -> int:
    return int(found.document["amount"]) if found is not None and found.document["day"] == day else 0
