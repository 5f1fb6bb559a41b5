"""What the warehouse counts of disputes, against cases counted by hand; on both warehouses."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

from shared.disputes.strategy import OUTCOMES_SQL, Count, Outcomes
from shared.domain.codec import utc_text
from shared.flows.ports import Ports

DAY = timedelta(days=1)
_numbers = count(1)


def an_update(dispute_id: str, at: datetime, revision: int, status: str, **fields: Any) -> dict[str, Any]:
    """A row of `dispute_updates` of a fraud chargeback by Visa at Stripe."""
    return {
        "update_id": f"u{next(_numbers)}",
        "occurred_at": utc_text(at),
        "revision": revision,
        "provider": "stripe",
        "account": "acct_1",
        "dispute_id": dispute_id,
        "payment_id": f"pi_{dispute_id}",
        "payment_known": True,
        "stage": "chargeback",
        "status": status,
        "told_status": status,
        "final": True,
        "amount": {"minor": 1999, "currency": "EUR"},
        "reason": "fraud",
        "reason_code": "10.4",
        "network": "visa",
        "deadline_unsigned": False,
        "deadline_estimated": False,
        "can_respond": True,
        "flags": [],
        **fields,
    }


def story(dispute_id: str, at: datetime, *statuses: str, **fields: Any) -> Iterator[dict[str, Any]]:
    """A row a day, one for each status."""
    for day, status in enumerate(statuses):
        yield an_update(dispute_id, at + day * DAY, day + 1, status, **fields)


def test_outcomes_count_what_was_answered_and_finally_decided_once(warehouses: Ports) -> None:
    found, since = warehouses.warehouse, datetime(2029, 3, 1, tzinfo=UTC)
    asked = ("needs_response", "under_review")
    won = list(story("won", since, *asked, "won"))
    late = an_update("won", since, 1, "needs_response")  # heard last, and older
    rows = [
        *won,
        won[-1],  # told twice
        late,
        *story("lost", since, *asked, "lost"),
        *story("again", since, *asked, "lost", "needs_response", "under_review", "won"),
        *story("unanswered", since, "needs_response", "lost"),
        *story("accepted", since, *asked, "accepted"),
        *story("open", since, *asked),
        *story("turned over", since, *asked, "won", final=False),
        *story("for us", since, "needs_response", "under_review", "lost", answered_by="provider"),
        *story("stray", since, *asked, "won", same_as="won"),
        *story("elsewhere", since, *asked, "won", provider="adyen", network="mc"),
        *story("untold", since, *asked, "lost", reason=None, network=None),
        *story("before", since - 9 * DAY, *asked, "won"),
    ]
    found.append("dispute_updates", rows)
    told = found.query(OUTCOMES_SQL, {"since": since, "until": since + 30 * DAY})
    assert Outcomes.of(told).counts == {
        ("fraud", "visa", "stripe"): Count(won=2, lost=1),
        ("fraud", "mastercard", "adyen"): Count(won=1, lost=0),
        ("other", "", "stripe"): Count(won=0, lost=1),
    }
