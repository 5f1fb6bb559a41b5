"""What people do about disputes over HTTP: who calls is Google's word, and the clock and other people are told."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from functions_framework import create_app

from shared.flows.record_payment import record_payment
from shared.flows.track_dispute import track_dispute
from shared.runtime.disputes import PATH, openapi
from terraform.tools import bundle
from tests.builders import DAY, NOON, a_card, a_dispute_event, a_payment_event, eur
from tests.functions.attacked import attack_desk
from tests.local import local_ports, published
from tests.stack.identity import identity

ANA, BEN = identity("Ana@shop.example"), identity("ben@shop.example")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("desk")


@pytest.fixture(scope="module")
def desk(home: Path) -> Iterator[FlaskClient]:
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setenv("PAYIN_HOME", str(home))
        monkeypatch.setenv("PAYIN_CLOCK", str(home / "clock"))
        (home / "clock").write_text(NOON.isoformat())
        main = bundle.ROOT / "functions" / "manage_dispute" / "main.py"
        yield create_app("manage_dispute", str(main)).test_client()  # type: ignore[no-untyped-call]


@pytest.fixture
def named(home: Path, desk: FlaskClient, request: pytest.FixtureRequest) -> dict[str, str]:
    """A dispute of the test's own that waits for an answer."""
    number = abs(hash(request.node.name))
    ports = local_ports(home)
    record_payment(a_payment_event(payment_id=f"pi_{number}", amount=eur(1999)), ports, NOON)
    event = a_dispute_event(
        dispute_id=f"dp_{number}", payment_id=f"pi_{number}", respond_by=NOON + 20 * DAY, amount=eur(1999)
    )
    track_dispute(event, ports, NOON)
    for topic in ("dispute-actions", "dispute-updates"):
        published(ports, topic)
    return {"provider": "stripe", "dispute_id": f"dp_{number}"}


def ask(desk: FlaskClient, act: str, by: dict[str, str], /, **told: Any) -> tuple[int, dict[str, Any]]:
    answer = desk.post(f"{PATH}/{act}", json=told, headers=by)
    return answer.status_code, json.loads(answer.data)


def test_the_contract_is_served(desk: FlaskClient) -> None:
    served = desk.get("/openapi.json")
    assert (served.status_code, served.data) == (200, openapi())


def test_a_person_submits_and_the_answer_is_asked_for_in_their_name(
    desk: FlaskClient, named: dict[str, str], home: Path
) -> None:
    status, told = ask(desk, "submit", ANA, reason="we have the log of plays", **named)
    answer = told["answers"][told["round"]]
    assert (status, answer["state"], answer["act"]) == (200, "announced", "submit")
    assert (answer["by"], answer["why"]) == ("ana@shop.example", ["we have the log of plays"])
    ports = local_ports(home)
    told_people, asked = published(ports, "dispute-actions")
    assert (told_people["state"], told_people["by"]) == ("announced", "ana@shop.example")
    assert asked == {**named, "round": "chargeback/0"}
    [row] = published(ports, "dispute-updates")
    assert (row["answer"], row["answer_by"]) == ("submit", "ana@shop.example")


def test_of_two_people_the_later_one_has_the_last_word_until_it_is_on_its_way(
    desk: FlaskClient, named: dict[str, str]
) -> None:
    assert ask(desk, "accept", ANA, reason="too small", **named)[0] == 200
    until = (NOON + 3 * DAY).isoformat()
    status, told = ask(desk, "hold", BEN, reason="wait for the label", until=until, **named)
    assert (status, told["answers"]["chargeback/0"]["state"], told["answers"]["chargeback/0"]["act"]) == (
        200,
        "held",
        None,
    )


def test_a_hold_never_loses_the_case(desk: FlaskClient, named: dict[str, str]) -> None:
    status, problem = ask(desk, "hold", ANA, reason="let it rest", until=(NOON + 20 * DAY).isoformat(), **named)
    assert (status, problem["reason"]) == (409, "hold_too_long")


def test_what_was_answered_elsewhere_is_recorded_and_closed_to_everybody(
    desk: FlaskClient, named: dict[str, str]
) -> None:
    record = {"act": "submit", "at": NOON.isoformat(), "reason": "on the dashboard"}
    status, told = ask(desk, "record", ANA, **record, **named)
    assert (status, told["status"], told["told_status"]) == (200, "under_review", "needs_response")
    status, problem = ask(desk, "submit", BEN, reason="me too", **named)
    assert (status, problem["reason"]) == (409, "answered")


def test_who_wants_to_refund_is_told_that_they_would_pay_twice(desk: FlaskClient, named: dict[str, str]) -> None:
    payment = {"provider": "stripe", "payment_id": named["dispute_id"].replace("dp_", "pi_")}
    status, advice = ask(desk, "refund", ANA, **payment)
    assert (status, advice["may"], advice["left"]) == (200, "no", {"minor": 0, "currency": "EUR"})
    assert "accept it instead" in advice["why"][0]
    status, advice = ask(desk, "refund", ANA, provider="stripe", payment_id="pi_unheard_of")
    assert (status, advice["may"]) == (200, "no")


def test_whether_a_subscriber_could_be_defended_today_is_told_with_what_is_missing(
    desk: FlaskClient, home: Path
) -> None:
    ports = local_ports(home)
    card = a_card(network="visa")
    for number, days in enumerate((10, 200, 300)):
        event = a_payment_event(
            payment_id=f"pi_ready_{number}",
            occurred_at=NOON - days * DAY,
            amount=eur(1999),
            customer_id="cus_ready",
            card=card,
            ip="203.0.114.7",
            device_id="device-0123456789abcdef",
        )
        record_payment(event, ports, NOON)
    status, told = ask(desk, "readiness", ANA, customer_id="cus_ready")
    [found] = told["findings"]
    assert (status, found["rule"], found["ready"]) == (200, "visa_ce3", True)
    assert sorted(found["priors"]) == ["stripe:pi_ready_1", "stripe:pi_ready_2"]
    track_dispute(a_dispute_event(dispute_id="dp_prior", payment_id="pi_ready_2"), ports, NOON)
    _, told = ask(desk, "readiness", ANA, customer_id="cus_ready")
    assert not told["findings"][0]["ready"]
    assert told["findings"][0]["missing"]
    assert ask(desk, "readiness", ANA, customer_id="nobody") == (200, {"findings": []})


def test_what_is_due_is_listed_and_one_is_shown(desk: FlaskClient, named: dict[str, str]) -> None:
    listed = json.loads(desk.get(PATH, headers=ANA).data)["disputes"]
    assert named["dispute_id"] in [one["dispute_id"] for one in listed]
    status, told = ask(desk, "case", ANA, **named)
    assert (status, told["respond_by"], told["answers"]) == (200, "2026-11-22T12:00:00Z", {})
    assert ask(desk, "case", ANA, provider="stripe", dispute_id="dp_unheard_of")[0] == 404


@pytest.mark.parametrize("act", ["case", "submit", "accept", "hold", "record", "refund", "readiness"])
def test_nobody_without_a_name_does_anything(desk: FlaskClient, named: dict[str, str], act: str) -> None:
    assert ask(desk, act, {}, reason="because", **named)[0] == 401


def test_reasons_are_kept_without_card_numbers_and_addresses(desk: FlaskClient, named: dict[str, str]) -> None:
    _, told = ask(desk, "accept", ANA, reason="4242 4242 4242 4242 of carl@music.example", **named)
    [why] = told["answers"]["chargeback/0"]["why"]
    assert "4242 4242" not in why
    assert "music.example" not in why


@pytest.mark.parametrize("path", ["", "/case", "/submit", "/accept", "/hold", "/record", "/refund", "/readiness"])
def test_whatever_is_sent_is_answered_as_the_document_says(desk: FlaskClient, path: str) -> None:
    attack_desk(desk, PATH, path, 10, ANA)
