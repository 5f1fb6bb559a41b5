"""Deliveries are listed by what is known of them, and shown whole, but for whom they are about."""

import base64
from pathlib import Path
from typing import Any

import pytest

from shared import providers
from shared.domain.codec import encode
from shared.domain.masking import PERSONAL
from shared.operations import archive
from tests.cli.calling import payin, told
from tests.cli.shop import LATER, Shop
from tests.providers.kits import NOON, a_fact, an_attempt
from tests.simulator.facts import FactKind

PEOPLE = ("ana@music.example", "music.example", "198.51.100.7")


@pytest.mark.parametrize(
    ("asked", "outcomes"),
    [
        ((), ["unparsed"] * 2 + ["accepted"] * 6),
        (("--outcome", "unparsed"), ["unparsed"] * 2),
        (("--provider", "adyen"), ["accepted"]),
        (("--type", "charge.dispute.created"), ["accepted"]),
        (("--key", "current", "--provider", "adyen"), ["accepted"]),
        (("--key", "next"), []),
        (("--since", "2s"), ["unparsed"] * 2 + ["accepted"] * 3),
        (("--until", "3s"), ["accepted"]),
        (("--limit", "1"), ["unparsed"]),
    ],
)
def test_deliveries_are_listed_the_newest_first_by(asked: tuple[str, ...], outcomes: list[str], home: Path) -> None:
    found = told(home, "deliveries", "list", *asked)
    assert [one["outcome"] for one in found] == outcomes
    assert [one["received_at"] for one in found] == sorted((one["received_at"] for one in found), reverse=True)


def test_a_type_that_is_none_of_ours_is_a_matter_of_usage(home: Path) -> None:
    assert payin(home, "deliveries", "list", "--provider", "nobody").exit_code == 2
    assert payin(home, "deliveries", "list", "--outcome", "lost").exit_code == 2


def test_a_list_that_is_cut_says_so_beside_it(home: Path) -> None:
    result = payin(home, "deliveries", "list", "--limit", "2")
    assert "--limit" in result.stderr
    assert result.stdout.count("unparsed") == 2


def test_a_delivery_is_shown_as_it_was_proved_and_as_it_would_be_understood_now(shop: Shop, home: Path) -> None:
    [first, *_] = told(home, "deliveries", "list", "--outcome", "unparsed")
    shown = told(home, "deliveries", "show", first["delivery_id"])
    assert shown["kept"] == first
    assert (shown["kept"]["reason"], shown["kept"]["unreadable"]) == (
        "missing_field",
        ["data.object: not as it was last week"],
    )
    assert (shown["outcome_now"], shown["unreadable_now"]) == ("accepted", [])
    [event] = shown["events"]
    assert (event["kind"], event["step"], event["merchant_reference"]) == ("payment", "captured", "attempt-2")
    assert shown["body"]["data"]["object"]["metadata"]["order_id"] == "attempt-2"
    assert "stripe-signature" in shown["headers"]
    assert told(home, "deliveries", "show", shown["body"]["id"]) == shown
    assert "a replay would tell more" in payin(home, "deliveries", "show", first["delivery_id"]).stdout


@pytest.mark.parametrize("provider", providers.names())
def test_of_every_provider_all_is_shown_but_people_and_what_cannot_be_read_is_found(
    provider: str, tmp_path: Path
) -> None:
    shop = Shop(tmp_path, served=(provider,))
    kit = shop.kit(provider)
    for kind in (FactKind.CAPTURED, FactKind.DISPUTE_OPENED):
        fact = a_fact(kind, an_attempt(id=f"attempt-{kind}"))
        for body in kit.simulator.requests(fact):
            event = kit.normalize(sent := kit.signed(body), kit.verify(sent)).events[0]
        shop.tell(fact, provider, unmended=True)
    shop.store()
    name = str(getattr(event, "payment_id", None) or getattr(event, "resource_id", ""))
    warehouse, around = shop.ports.warehouse, (NOON - LATER, NOON + LATER)
    assert archive.unread_with(warehouse, name, *around)
    assert archive.unread_with(warehouse, f"{name}-none", *around) == []
    for one in archive.listed(warehouse, *around):
        shown = archive.looked_into(warehouse, one)
        assert shown is not None
        assert (shown.opened, shown.outcome_now) == (True, "accepted")
        said = encode([shown.body, [{**event, "email_domain": ""} for event in shown.events]]).decode()
        assert [person for person in PEOPLE if person in said] == []


def test_bytes_that_nobody_can_open_are_shown_without_people(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    row: dict[str, Any] = {
        "delivery_id": "stripe:acct:sha256-1",
        "provider": "stripe",
        "received_at": NOON.isoformat(),
        "publish_time": NOON.isoformat(),
        "outcome": "unparsed",
        "reason": "not_json",
        "headers": "{}",
        "query": "",
        "endpoint_live": True,
        "endpoint_account": "acct",
    }
    bodies = {"1": b'{"id": "evt_9", "name": "Ana Example", "amo', "2": b"\xff\xfe\x00"}
    for number, body in bodies.items():
        name = f"stripe:acct:sha256-{number}"
        shop.ports.warehouse.append(
            "deliveries", [{**row, "delivery_id": name, "body": base64.b64encode(body).decode()}]
        )
    cut = told(tmp_path, "deliveries", "show", "evt_9")
    assert (cut["opened"], cut["body"]) == (False, f'{{"id": "evt_9", "name": "{PERSONAL}", "amo')
    assert (cut["outcome_now"], cut["events"]) == ("unparsed", [])
    assert told(tmp_path, "deliveries", "show", "sha256-2")["body"] == "3 bytes that are no text"


def test_a_name_of_several_deliveries_is_listed(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    for name in ("attempt-1", "attempt-2"):
        shop.tell(a_fact(FactKind.CAPTURED, an_attempt(id=name)), unmended=True)
    shop.run()
    shop.at(NOON + LATER)
    result = payin(tmp_path, "deliveries", "show", "customer-1")
    assert result.exit_code == 4
    assert result.stderr.count("stripe:acct_simulated:sha256-") == 4
