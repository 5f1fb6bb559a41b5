"""What the warehouse counts of disputes, against cases counted by hand; on both warehouses."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

from shared.disputes.matching import CANDIDATES_SQL, Sought, looked_for
from shared.disputes.programmes import COUNTS_SQL, asked_at
from shared.disputes.strategy import OUTCOMES_SQL, Count, Outcomes
from shared.domain.codec import utc_text
from shared.domain.money import Money
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


def test_candidates_for_an_alert_are_the_payments_of_that_day_with_its_amount_and_digits(warehouses: Ports) -> None:
    found, at = warehouses.warehouse, datetime(2032, 5, 10, 12, tzinfo=UTC)
    sought = Sought(amount=Money(1999, "EUR"), bin="424242", last4="4242", paid_at=at)

    def paid(payment_id: str, **fields: Any) -> dict[str, Any]:
        row = {"kind": "payment", "event_id": f"sought{next(_numbers)}", "provider": "stripe", "account": "acct_1"}
        row |= {"occurred_at": utc_text(at), "payment_id": payment_id, "step": "captured"}
        card, amount = {"bin": "424242", "last4": "4242"}, {"minor": 1999, "currency": "EUR"}
        return {**row, "card": card, "amount": amount, **fields}

    rows = [
        paid("meant", step="authorized", occurred_at=utc_text(at - timedelta(minutes=1))),
        paid("meant"),
        paid("same digits", card={"bin": "555555", "last4": "4242"}),
        paid("no bin", card={"last4": "4242"}),
        paid("declined", step="declined"),
        paid("other digits", card={"bin": "424242", "last4": "1111"}),
        paid("other amount", amount={"minor": 2000, "currency": "EUR"}),
        paid("other currency", amount={"minor": 1999, "currency": "USD"}),
        paid("elsewhere", provider="adyen"),
        paid("long before", occurred_at=utc_text(at - 6 * DAY)),
        paid("later", occurred_at=utc_text(at + 2 * DAY)),
    ]
    found.append("payment_events", rows)
    told = found.query(CANDIDATES_SQL, looked_for(sought, "stripe"))
    assert sorted((row["payment_id"], row["bin"]) for row in told) == [
        ("meant", "424242"),
        ("no bin", None),
        ("same digits", "555555"),
    ]


def test_programmes_count_each_account_and_network_of_the_month_once(warehouses: Ports) -> None:
    found, month = warehouses.warehouse, datetime(2032, 3, 1, tzinfo=UTC)
    now, before = month + 14 * DAY, month - 10 * DAY

    def paid(
        payment_id: str, at: datetime, network: str = "visa", step: str = "captured", **fields: Any
    ) -> dict[str, Any]:
        return {
            "kind": "payment",
            "event_id": f"paid{next(_numbers)}",
            "occurred_at": utc_text(at),
            "provider": "stripe",
            "account": "acct_1",
            "payment_id": payment_id,
            "step": step,
            "card": {"network": network},
            **fields,
        }

    def reported(warning_id: str, at: datetime) -> dict[str, Any]:
        own = {"kind": "fraud_warning", "step": None, "card": None, "network": "visa", "warning_id": warning_id}
        return paid(f"pi_{warning_id}", at) | own

    found.append(
        "payment_events",
        [
            paid("p1", month),
            paid("p1", month + DAY),  # the rest of it
            paid("p2", month + DAY),
            paid("p3", month + DAY, "mastercard"),
            paid("p4", month - DAY, "mastercard"),
            paid("p5", month + DAY, step="declined"),
            paid("p6", month + DAY, account="acct_2"),
            paid("p7", now),
            reported("w1", month + DAY),
            reported("w1", month + 2 * DAY),
            reported("w2", month - DAY),
        ],
    )
    found.append(
        "dispute_updates",
        [
            *story("this month", month, "needs_response", "under_review", "lost"),
            *story("last month", before, "needs_response"),
            an_update("last month", month + DAY, 2, "lost"),
            *story("asked", month, "needs_response", stage="inquiry"),
            # An inquiry of last month that was filed in this one.
            an_update("asked before", before, 1, "needs_response", stage="inquiry"),
            an_update("asked before", month + DAY, 2, "needs_response"),
            *story("stray", month, "needs_response", same_as="this month"),
            *story("after", now, "needs_response"),
            *story("theirs", month, "needs_response", network="mastercard", account="acct_2"),
        ],
    )
    rows = found.query(COUNTS_SQL, asked_at(now))
    counted = {
        (row["account"], row["network"]): tuple(
            int(row[name]) for name in ("settled", "settled_before", "disputes", "reports")
        )
        for row in rows
    }
    assert counted == {
        ("acct_1", "visa"): (2, 0, 2, 1),
        ("acct_1", "mastercard"): (1, 1, 0, 0),
        ("acct_2", "visa"): (1, 0, 0, 0),
        ("acct_2", "mastercard"): (0, 0, 1, 0),
    }
