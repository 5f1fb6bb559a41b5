"""Whatever id somebody has, the whole story is told from it, in order; what is missing is said, and nothing is guessed."""

import json
from datetime import datetime
from pathlib import Path

from shared.flows.audit import Errand, audited
from shared.flows.ports import Replace
from tests.builders import DAY
from tests.cli.calling import payin, told
from tests.cli.shop import LATER, Shop, a_shop
from tests.providers.kits import NOON, a_fact
from tests.simulator.facts import FactKind

KINDS = ["delivery", "event", "decision", "delivery", "delivery", "event", "event"]


def own_event_ids(shop: Shop) -> list[str]:
    """By which the provider knows the messages that it sent of the payment that could not be read."""
    rows = shop.ports.warehouse.query("SELECT body FROM deliveries WHERE outcome = 'unparsed' ORDER BY delivery_id")
    return [json.loads(row["body"])["id"] for row in rows]


def test_every_name_of_a_payment_leads_to_its_story(shop: Shop, home: Path) -> None:
    story = told(home, "trace", shop.payment)
    assert (story["kind"], story["provider"], story["id"]) == ("payment", "stripe", shop.payment)
    dispute, [alias] = shop.dispute, [name for name in story["names"] if name != shop.payment]
    events = [moment["id"] for moment in story["moments"] if moment["kind"] == "event"]
    assert len(events) == 5
    # The provider's own part of an event's id is enough.
    for name in (
        f"stripe:{shop.payment}",
        alias,
        dispute,
        "stripe:attempt-1",
        events[-1],
        events[0].rpartition(":")[2],
    ):
        assert told(home, "trace", name) == story, name


def test_a_story_goes_from_the_bytes_to_what_was_made_of_them(shop: Shop, home: Path) -> None:
    story = told(home, "trace", shop.payment)
    assert [moment["kind"] for moment in story["moments"]][: len(KINDS)] == KINDS
    first, event, decision = story["moments"][:3]
    assert first["what"] == "received, charge.succeeded: accepted; proved by current"
    assert event["what"] == f"payment authorized of {shop.payment}, EUR 19.99"
    assert event["details"]["delivery_id"] == first["id"]
    assert (decision["what"], decision["id"]) == ("approve by rules alone (no_model)", event["id"])
    last = [moment["what"] for moment in story["moments"] if moment["kind"] in ("dispute", "label")]
    assert last[0] == "told as chargeback needs_response"
    assert last[-1] == "third_party_fraud, says dispute"
    assert story["state"]["payment"] == "captured"
    assert story["state"]["captured"] == {"minor": 1999, "currency": "EUR"}
    assert story["doubts"] == []
    assert not any("told 2 times" in moment["what"] for moment in story["moments"])
    assert sorted(story["moments"], key=lambda moment: moment["at"]) == story["moments"]


def test_people_read_times_between_money_and_where_to_go_on(shop: Shop, home: Path) -> None:
    result = payin(home, "trace", shop.payment)
    assert result.exit_code == 0
    assert "captured: EUR 19.99" in result.stdout
    assert "2026-05-01 12:00:01 UTC" in result.stdout
    assert "+1.0 s" in result.stdout


def test_an_order_of_two_providers_is_listed_and_not_guessed(shop: Shop, home: Path) -> None:
    result = payin(home, "trace", "attempt-1")
    assert result.exit_code == 4
    assert f"stripe:{shop.payment}" in result.stderr
    assert "adyen:" in result.stderr
    found = told(home, "find", "attempt-1")
    assert {(one["provider"], one["how"]) for one in found} == {
        ("stripe", "an order reference"),
        ("adyen", "an order reference"),
    }
    assert all(told(home, "trace", f"{one['provider']}:{one['id']}")["id"] == one["id"] for one in found)


def test_what_nobody_knows_is_not_found(home: Path) -> None:
    for command in ("trace", "why", "find"):
        result = payin(home, command, "ch_nobody")
        assert (result.exit_code, result.stdout) == (3, "")
        assert "--since" in result.stderr
    assert payin(home, "deliveries", "show", "ch_nobody").exit_code == 3


def test_an_instant_that_is_none_is_a_matter_of_usage(home: Path) -> None:
    assert payin(home, "trace", "ch_nobody", "--since", "soon").exit_code == 2


def test_what_could_not_be_read_is_found_by_the_providers_own_id(shop: Shop, home: Path) -> None:
    for event_id in own_event_ids(shop):
        story = told(home, "trace", event_id)
        assert (story["kind"], len(story["moments"])) == ("delivery", 1)
        assert "unparsed (missing_field)" in story["moments"][0]["what"]
        assert story["doubts"] == [f"{story['id']}: data.object: not as it was last week"]


def test_what_its_consumers_never_heard_is_said(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    shop.at(NOON)
    shop.tell(a_fact(FactKind.AUTHORIZED))
    shop.run("record_payment", "score_payment")
    shop.at(NOON + LATER)
    doubts = told(tmp_path, "trace", shop.payment)["doubts"]
    assert [doubt.rpartition("letters of ")[2] for doubt in doubts] == ["record-payment", "score-payment"]


def test_an_event_that_its_payment_never_heard_of_is_named_once_that_is_no_matter_of_time(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    shop.happens(FactKind.AUTHORIZED)
    shop.tell(a_fact(FactKind.REFUNDED))
    shop.run("record_payment")
    assert told(tmp_path, "trace", shop.payment)["doubts"] == []
    shop.at(NOON + LATER)
    story = told(tmp_path, "trace", shop.payment)
    lost = {moment["id"] for moment in story["moments"] if "refunded" in moment["what"] and moment["kind"] == "event"}
    assert lost
    assert {doubt.partition(" ")[0] for doubt in story["doubts"]} == lost


def test_a_delivery_that_came_again_is_told_as_such_and_its_event_once(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    for _ in range(2):
        shop.at(shop.now + LATER)
        shop.tell(a_fact(FactKind.AUTHORIZED))
        shop.run()
    story = told(tmp_path, "trace", shop.payment)
    assert [moment["kind"] for moment in story["moments"]] == ["delivery", "event", "decision", "delivery"]
    assert story["moments"][1]["what"].endswith("EUR 19.99; told 2 times")
    assert story["doubts"] == []


def test_the_clock_of_the_bus_is_left_alone_where_ours_is_a_simulated_one(tmp_path: Path) -> None:
    shop = Shop(tmp_path, bus_ahead=90 * DAY)
    shop.happens(FactKind.AUTHORIZED)
    shop.happens(FactKind.DISPUTE_OPENED)
    for moment in told(tmp_path, "trace", shop.payment)["moments"]:
        assert datetime.fromisoformat(moment["at"]) <= shop.now
        assert "replayed" not in moment["what"]


def test_what_people_did_to_a_thing_is_part_of_its_story_and_nothing_else_that_they_did(tmp_path: Path) -> None:
    shop = a_shop(tmp_path)
    shop.at(shop.now + LATER)
    errand = Errand(who="ana@shop.example", why="she has the receipt", what="manage_dispute hold", at=shop.now)
    documents = audited(shop.ports, errand).documents
    [dispute] = documents.scan("disputes", 9)
    documents.commit([Replace(dispute.key, {**dispute.document, "note": "seen"}, dispute.version)])
    for line in (
        ["providers", "park", "stripe", "--yes", "-r", "refunds are wrong"],
        ["providers", "park", "adyen", "--yes", "-r", "theirs too"],
        ["lists", "add", "customer", "customer-9", "block", "--yes", "-r", "another one"],
    ):
        assert payin(tmp_path, *line).exit_code == 0
    for name in (shop.payment, f"stripe:{shop.dispute}"):
        people = [one for one in told(tmp_path, "trace", name)["moments"] if one["kind"] == "person"]
        assert [one["id"] for one in people] == [f"disputes:stripe:{shop.dispute}", "registry:parked:stripe"]
        assert people[0]["what"].endswith("manage_dispute hold, because: she has the receipt")
        assert json.loads(people[0]["details"]["changes"][0]["is"]) == {"note": "seen"}


def test_a_shop_that_hears_everything_twice_and_backwards_has_the_same_story(tmp_path: Path, shop: Shop) -> None:
    def essence(home: Path) -> object:
        story = told(home, "trace", shop.payment)
        told_of = {(moment["kind"], moment["id"]) for moment in story["moments"] if moment["kind"] != "dispute"}
        return story["names"], story["state"], told_of, story["doubts"]

    again = a_shop(tmp_path, twice=True)
    again.at(again.now + LATER)
    assert essence(tmp_path) == essence(shop.home)
