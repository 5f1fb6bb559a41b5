"""What people ask is answered alike on every warehouse: by any name, in order, with nothing told twice."""

import base64
from datetime import timedelta
from typing import Any

import pytest

from shared.domain.codec import utc_text
from shared.flows.ports import Ports, Warehouse
from shared.flows.reconcile import ENDPOINT_SQL, HAD_SQL, HELD_SQL, RECEIVED_SQL
from shared.flows.replay_deliveries import STORED_SQL, TOLD_SQL
from shared.operations import archive
from shared.operations.explaining import NAMES_SQL
from shared.operations.finding import EVENTS_SQL
from shared.operations.key_rotation import used
from shared.operations.model_quality import measured
from shared.operations.provider_health import health
from shared.operations.stories import (
    DELIVERIES,
    EVENT,
    EVENTS_OF_DELIVERY,
    EVENTS_OF_DISPUTES,
    EVENTS_OF_PAYMENT,
    LABELS,
    UPDATES,
)
from tests.builders import DAY, HOUR, MINUTE
from tests.providers.kits import NOON

# A day of its own: other tests fill the same warehouse.
AT = NOON + 400 * DAY
SINCE, UNTIL = AT - DAY, AT + DAY


def event(number: int, **members: Any) -> dict[str, Any]:
    return {
        "kind": "payment",
        "event_id": f"stripe:acct:evt_q{number}",
        "provider": "stripe",
        "account": "acct",
        "occurred_at": utc_text(AT + number * MINUTE),
        "heard_at": utc_text(AT + number * MINUTE),
        "publish_time": utc_text(AT + number * MINUTE),
        "delivery_id": f"stripe:acct:evt_q{number}",
        "payment_id": "pi_q1",
        "step": "captured",
        "amount": {"minor": 999, "currency": "EUR"},
        "aliases": ["ch_q1"],
        "merchant_reference": "order-q1",
        **members,
    }


def delivery(number: int, **members: Any) -> dict[str, Any]:
    return {
        "delivery_id": f"stripe:acct:evt_q{number}",
        "provider": "stripe",
        "received_at": utc_text(AT + number * MINUTE),
        "publish_time": utc_text(AT + number * MINUTE),
        "outcome": "accepted",
        "reason": "",
        "key_ids": ["k1"],
        "types": ["charge.captured"],
        "headers": "{}",
        "endpoint_live": True,
        "endpoint_account": "acct",
        "body": base64.b64encode(b"{}").decode(),
        **members,
    }


@pytest.fixture(scope="module")
def warehouse(warehouses: Ports) -> Warehouse:
    found = warehouses.warehouse
    dispute = {"kind": "dispute", "dispute_id": "dp_q1", "payment_id": None, "step": None, "stage": "chargeback"}
    found.append("payment_events", [event(1), event(2, step="refunded", reference="re_q1"), event(3, **dispute)])
    later = utc_text(AT + HOUR)
    unread = {
        "outcome": "unparsed",
        "types": [],
        "unreadable": ["body: not JSON"],
        "delivery_id": "stripe:acct:sha256-q",
    }
    found.append(
        "deliveries",
        [delivery(1), delivery(2), delivery(1, publish_time=later, types=["a", "b"]), delivery(4, **unread)],
    )
    label = {"label_id": "l1", "provider": "stripe", "payment_id": "pi_q1", "label": "service", "source": "dispute"}
    found.append("fraud_labels", [{**label, "known_at": utc_text(AT), "revision": 1, "by": "ana"}])
    return found


def names(warehouse: Warehouse, text: str) -> list[str]:
    provider, name = archive.of_provider(text)
    asked = {
        "text": text,
        "name": name,
        "part": archive.part(name),
        "provider": provider,
        "since": SINCE,
        "until": UNTIL,
    }
    return [row["event_id"].rpartition("_")[2] for row in warehouse.query(EVENTS_SQL, asked)]


@pytest.mark.parametrize(
    ("text", "events"),
    [
        ("evt_q2", ["q2"]),
        ("stripe:acct:evt_q2", ["q2"]),
        ("adyen:evt_q2", []),
        ("vt_q2", []),
        ("evt_q", []),
        ("ch_q1", ["q1", "q2", "q3"]),
        ("order-q1", ["q1", "q2", "q3"]),
        ("stripe:pi_q1", ["q1", "q2"]),
        ("re_q1", ["q2"]),
        ("dp_q1", ["q3"]),
        ("' OR 1=1 --", []),
    ],
)
def test_any_name_finds_its_events_and_no_others(warehouse: Warehouse, text: str, events: list[str]) -> None:
    assert names(warehouse, text) == events


def test_the_last_word_on_each_delivery_is_listed_the_newest_first(warehouse: Warehouse) -> None:
    found = archive.listed(warehouse, SINCE, UNTIL, provider="stripe")
    assert [(one.delivery_id[-2:], one.types) for one in found] == [
        ("-q", ()),
        ("q2", ("charge.captured",)),
        ("q1", ("a", "b")),
    ]
    assert [one.delivery_id for one in archive.listed(warehouse, SINCE, UNTIL, kind="b", key_id="k1")] == [
        "stripe:acct:evt_q1"
    ]
    assert archive.listed(warehouse, SINCE, UNTIL, key_id="k2") == []
    assert len(archive.listed(warehouse, SINCE, UNTIL, most=1)) == 1


def test_deliveries_are_meant_by_their_own_name_and_looked_into_alone(warehouse: Warehouse) -> None:
    for text in ("evt_q1", "stripe:acct:evt_q1", "sha256-q"):
        [one] = archive.meant(warehouse, text, SINCE, UNTIL)
        assert one.delivery_id.endswith(text)
    assert archive.meant(warehouse, "evt_q9", SINCE, UNTIL) == []
    # What is in the bytes is tried on the local warehouse alone: bqemulator gives back the base64 in which they came.
    asked = {"since": SINCE, "until": UNTIL, "provider": "", "most": 10}
    assert [row["delivery_id"] for row in warehouse.query(archive.UNREAD_SQL, asked)] == ["stripe:acct:sha256-q"]
    [kept] = archive.named(warehouse, "evt_q2", SINCE, UNTIL)
    looked = archive.looked_into(warehouse, kept)
    assert looked is not None
    assert looked.kept == kept


@pytest.mark.parametrize(
    ("sql", "name", "rows"),
    [
        (EVENTS_OF_PAYMENT, "pi_q1", 2),
        (EVENTS_OF_DISPUTES, "dp_q1", 1),
        (EVENTS_OF_DELIVERY, "stripe:acct:evt_q1", 1),
        (EVENT, "stripe:acct:evt_q3", 1),
        (DELIVERIES, "stripe:acct:evt_q1", 2),
        (LABELS, "pi_q1", 1),
        (UPDATES, "dp_q1", 0),
    ],
)
def test_what_a_story_is_told_of_is_found_by_any_of_several_names(
    warehouse: Warehouse, sql: str, name: str, rows: int
) -> None:
    asked = {"n0": name, "n1": "another", "provider": "stripe", "since": SINCE, "until": UNTIL}
    assert len(warehouse.query(sql.format(names="@n0, @n1"), asked)) == rows


def test_what_lists_go_by_is_read_of_the_event_that_was_decided_on(warehouse: Warehouse) -> None:
    at = AT + MINUTE
    asked = {"provider": "stripe", "event_id": "stripe:acct:evt_q1", "since": at, "until": at + timedelta(seconds=1)}
    [row] = warehouse.query(NAMES_SQL, asked)
    assert set(row) == {"bin", "card_country", "billing_country", "email_domain", "email_hash", "email_hash_also"}


def test_no_measures_are_none(warehouse: Warehouse) -> None:
    assert measured(warehouse, SINCE, UNTIL, measure=None, unusual=False) == []


def test_how_a_provider_is_doing_is_told_by_the_last_word_on_each_delivery(warehouse: Warehouse) -> None:
    adyen, stripe = health(warehouse, ["stripe", "adyen"], SINCE, UNTIL)
    assert (adyen.provider, adyen.deliveries, adyen.last, dict(adyen.keys)) == ("adyen", 0, None, {})
    assert (stripe.deliveries, stripe.accepted, stripe.unparsed, stripe.unmapped) == (3, 2, 1, 0)
    assert (stripe.last, dict(stripe.keys)) == (AT + 4 * MINUTE, {"k1": 3})
    assert stripe.lag_seconds is None
    [key] = used(warehouse, "stripe", SINCE, UNTIL)
    assert (key.key_id, key.deliveries, key.first, key.last) == ("k1", 3, AT + MINUTE, AT + 4 * MINUTE)


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({}, ["sha256-q"]),
        ({"outcome": "accepted"}, ["q1", "q2"]),
        ({"outcome": "accepted", "type": "b"}, ["q1"]),
        ({"delivery_id": "stripe:acct:evt_q2"}, ["q2"]),
    ],
)
def test_which_deliveries_are_replayed(warehouse: Warehouse, asked: dict[str, str], found: list[str]) -> None:
    between = {"provider": "stripe", "since": SINCE, "until": UNTIL, "after": "", "ignored": False, "page": 10}
    rows = warehouse.query(STORED_SQL, {**between, "delivery_id": "", "outcome": "", "type": "", **asked})
    assert [row["delivery_id"].rpartition("_")[2].removeprefix("stripe:acct:") for row in rows] == found


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({}, ["q1", "q2", "q3"]),
        ({"payment_id": "pi_q1"}, ["q1", "q2"]),
        ({"event_id": "stripe:acct:evt_q3"}, ["q3"]),
        ({"delivery_id": "stripe:acct:evt_q2", "kind": "payment"}, ["q2"]),
    ],
)
def test_which_events_are_replayed(warehouse: Warehouse, asked: dict[str, str], found: list[str]) -> None:
    between = {"provider": "stripe", "since": SINCE, "until": UNTIL, "earliest": SINCE, "latest": UNTIL, "after": ""}
    named = {"kind": "", "delivery_id": "", "event_id": "", "payment_id": "", "page": 10, **asked}
    assert [row["event_id"].rpartition("_")[2] for row in warehouse.query(TOLD_SQL, between | named)] == found


def test_what_of_a_providers_list_we_have(warehouse: Warehouse) -> None:
    of, between = {"provider": "stripe"}, {"since": SINCE, "until": UNTIL}
    had = warehouse.query(HAD_SQL, of | between)
    assert sorted(row["id"] for row in had) == [f"stripe:acct:evt_q{number}" for number in (1, 2, 3)]
    assert warehouse.query(HAD_SQL, {"provider": "adyen", **between}) == []
    ids = {"ids": "stripe:acct:evt_q1\nstripe:acct:evt_q9\nstripe:acct:evt_q3"}
    held = warehouse.query(HELD_SQL, of | between | ids | {"kind": "payment"})
    assert [row["id"] for row in held] == ["stripe:acct:evt_q1"]
    unread = {"since": SINCE, "ids": "stripe:acct:sha256-q\nstripe:acct:sha256-r"}
    assert warehouse.query(RECEIVED_SQL, of | unread) == [{"id": "stripe:acct:sha256-q"}]
    newest = warehouse.query(ENDPOINT_SQL, of | {"since": SINCE})
    assert newest == [{"endpoint_account": "acct", "endpoint_live": True}]
