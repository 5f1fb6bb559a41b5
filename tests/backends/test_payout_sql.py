"""Lines of payouts joined with our events, alike on both warehouses."""

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from shared.domain.codec import encode, encode_event
from shared.domain.events import PaymentStep
from shared.domain.money import Money
from shared.domain.payouts import LineKind, LinkedLine, PayoutExplained, Unlinked
from shared.flows.explain_payouts import HEARD_SQL
from shared.flows.payout_links import SETTLED_WITHIN, Owed, Unpaid, linked, owed
from shared.flows.ports import Ports
from shared.operations.payouts import paid_out
from tests.builders import DAY, NOON, a_payment_event, a_payout_event
from tests.local import local_ports

NAME = "stripe:main:po_1"


def a_row(part: int, read_at: Any = NOON, **members: Any) -> dict[str, Any]:
    told = {
        "row_id": f"{NAME}#{part}",
        "provider": "stripe",
        "account": "main",
        "payout_id": "po_1",
        "paid_at": NOON - DAY,
        "status": "paid",
        "currency": "EUR",
    }
    found: dict[str, Any] = json.loads(encode(PayoutExplained(**{**told, **members}, part=part, read_at=read_at)))
    return found


def lines(*named: tuple[str, int]) -> tuple[LinkedLine, ...]:
    return tuple(LinkedLine(reference=name, minor=minor) for name, minor in named)


def an_event(payment_id: str, step: PaymentStep, minor: int, **members: Any) -> dict[str, Any]:
    event = a_payment_event(payment_id=payment_id, step=step, amount=Money(minor, "EUR"), **members)
    found: dict[str, Any] = json.loads(encode_event(event))
    return found


def test_lines_are_found_by_any_name_and_missed_by_both_warehouses_alike(warehouses: Ports, tmp_path: Path) -> None:
    warehouse, documents = warehouses.warehouse, local_ports(tmp_path).documents
    captured = lines(("ch_alias", 1999), ("pi_id", 500), ("pi_other", 700), ("ch_none", 11))
    whole = a_row(0, paid=3000, rest=7, rest_since=NOON)
    part = a_row(1, kind=LineKind.CAPTURE, charged_in="EUR", lines=captured)
    earlier = NOON - timedelta(hours=1)
    warehouse.append(
        "payouts",
        [
            part,
            part,  # a copy
            whole,
            a_row(2, kind=LineKind.REFUND, charged_in="EUR", lines=lines(("re_1", -40))),
            # An earlier reading, and a later one that broke off.
            a_row(0, earlier, paid=2999, rest=0),
            a_row(1, earlier, kind=LineKind.CAPTURE, charged_in="EUR", lines=lines(("ch_gone", 1))),
            a_row(1, NOON + timedelta(hours=1), kind=LineKind.CAPTURE, charged_in="EUR", lines=lines(("ch_half", 1))),
        ],
    )
    then = NOON - SETTLED_WITHIN - DAY
    events = [
        an_event("pi_1", PaymentStep.CAPTURED, 1999, aliases=("ch_alias",), occurred_at=then),
        an_event("pi_id", PaymentStep.CAPTURED, 500, occurred_at=then),
        an_event("pi_other", PaymentStep.CAPTURED, 701, occurred_at=then),
        an_event("pi_other", PaymentStep.AUTHORIZED, 700, occurred_at=then),
        an_event("pi_1", PaymentStep.REFUNDED, 40, reference="re_1", occurred_at=then),
        an_event("pi_lost", PaymentStep.CAPTURED, 250, occurred_at=then),
        an_event("pi_live", PaymentStep.CAPTURED, 1, occurred_at=then, livemode=True),
        an_event("pi_elsewhere", PaymentStep.CAPTURED, 1, occurred_at=then, provider="mollie"),
    ]
    warehouse.append("payment_events", [*events, *events])

    found = linked(warehouse, NOON + 2 * timedelta(hours=1), livemode=False)
    common: dict[str, Any] = {"kind": LineKind.CAPTURE, "currency": "EUR", "lines": 1}
    assert found == {
        NAME: (
            Unlinked(why="other_amount", minor=700, example="pi_other", **common),
            Unlinked(why="unknown", minor=11, example="ch_none", **common),
        )
    }
    [missed] = owed(warehouse, NOON, Owed(), ["stripe"], livemode=False).found
    wanted: dict[str, Any] = {
        "provider": "stripe",
        "currency": "EUR",
        "payments": 1,
        "minor": 250,
        "example": "pi_lost",
    }
    assert missed == Unpaid(**wanted, account=missed.account, oldest=then)

    [paid] = paid_out(warehouse, documents, NOON - 2 * DAY, NOON)
    assert (paid.name, paid.paid, paid.rest, paid.rest_since) == (NAME, Money(3000, "EUR"), Money(7, "EUR"), NOON)
    assert paid_out(warehouse, documents, NOON - 2 * DAY, NOON, provider="adyen") == []

    heard = a_payout_event(provider="adyen", account="shop", payout_id="report", occurred_at=NOON - DAY)
    again = replace(heard, occurred_at=NOON - timedelta(hours=1))
    warehouse.append("payment_events", [json.loads(encode_event(one)) for one in (heard, heard, again)])
    asked = {"since": NOON - 2 * DAY, "until": NOON, "provider": "adyen", "livemode": False}
    assert warehouse.query(HEARD_SQL, asked) == [
        {"account": "shop", "payout_id": "report", "at": NOON - DAY, "told_at": NOON - timedelta(hours=1)}
    ]
