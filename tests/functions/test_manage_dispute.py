"""What people do about disputes over HTTP: who calls is Google's word, and the clock and other people are told."""

import base64
import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from zlib import crc32

import pytest
from flask.testing import FlaskClient
from functions_framework import create_app

from shared.domain.codec import decode_event
from shared.domain.events import DisputeReason, DisputeStatus
from shared.domain.telemetry import told_instead
from shared.flows.record_payment import record_payment
from shared.flows.track_dispute import track_dispute
from shared.runtime.disputes import PATH, openapi
from terraform.tools import bundle
from tests.builders import DAY, MINUTE, NOON, a_card, a_dispute_event, a_payment_event, eur
from tests.disputes.test_files import a_pdf, a_picture
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
    number = crc32(request.node.name.encode())  # ten digits: no card has so few
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
    status, problem = ask(desk, "hold", ANA, reason="let it rest", until=(NOON - DAY).isoformat(), **named)
    assert (status, problem["reason"]) == (409, "hold_past")


def test_what_was_answered_elsewhere_is_recorded_and_closed_to_everybody(
    desk: FlaskClient, named: dict[str, str]
) -> None:
    record = {"act": "submit", "at": NOON.isoformat(), "reason": "on the dashboard"}
    status, told = ask(desk, "record", ANA, **record, **named)
    assert (status, told["status"], told["told_status"]) == (200, "under_review", "needs_response")
    status, problem = ask(desk, "submit", BEN, reason="me too", **named)
    assert (status, problem["reason"]) == (409, "answered")


def put(desk: FlaskClient, by: dict[str, str], data: bytes, named: dict[str, str], **told: Any) -> tuple[int, Any]:
    return ask(desk, "evidence", by, item="usage", file=base64.b64encode(data).decode(), **told, **named)


def test_a_file_and_a_text_go_with_the_answer_and_what_they_are_and_whose_is_told(
    desk: FlaskClient, named: dict[str, str], home: Path
) -> None:
    picture = a_picture("PNG")
    status, told = put(desk, ANA, picture, named)
    [piece] = told["answers"][told["round"]]["evidence"]
    assert (status, piece["item"], piece["media_type"], piece["bytes"]) == (200, "usage", "image/png", len(picture))
    assert (piece["by"], piece["sha256"]) == ("ana@shop.example", hashlib.sha256(picture).hexdigest())
    assert local_ports(home).evidence.load(piece["sha256"]) == picture
    text = "He wrote from carl@music.example that he had listened."
    status, told = ask(desk, "evidence", BEN, item="messages", text=text, **named)
    [said] = [one for one in told["answers"][told["round"]]["evidence"] if one["media_type"] == "text/plain"]
    assert (status, said["by"], said["item"]) == (200, "ben@shop.example", "messages")
    assert b"carl@music.example" not in local_ports(home).evidence.load(said["sha256"])
    asked = [one for one in published(local_ports(home), "dispute-actions") if "action_id" not in one]
    assert asked == [{**named, "round": "chargeback/0"}] * 2
    status, told = ask(desk, "withdraw", BEN, name=piece["name"], **named)
    withdrawn = {one["name"]: one["withdrawn_by"] for one in told["answers"][told["round"]]["evidence"]}
    assert (status, withdrawn) == (200, {piece["name"]: "ben@shop.example", said["name"]: None})
    assert ask(desk, "withdraw", BEN, name=piece["name"], **named)[0] == 404


@pytest.mark.parametrize(
    ("told", "reason"),
    [
        ({"file": base64.b64encode(b"%PDF-1.7 and no more").decode()}, "unreadable_file"),
        ({"file": base64.b64encode(b"MZ\x90\x00").decode()}, "unreadable_file"),
        ({"file": "no base64"}, "invalid_request"),
        ({}, "invalid_request"),
        ({"text": "both", "file": "AAAA"}, "invalid_request"),
    ],
)
def test_what_is_no_evidence_is_refused_with_why(
    desk: FlaskClient, named: dict[str, str], told: dict[str, str], reason: str
) -> None:
    status, problem = ask(desk, "evidence", ANA, item="usage", **told, **named)
    assert (status, problem["reason"]) == (422, reason)


@pytest.mark.parametrize(
    ("act", "told"),
    [
        ("accept", {"reason": "\u200b\u200b\u200b\u200b"}),
        ("accept", {"reason": "\u200d\u200d \u202e\u200d"}),
        ("accept", {"reason": "\x00\x1b\x07ok"}),
        ("evidence", {"item": "usage", "text": "\ufeff\u200b\x00"}),
    ],
)
def test_what_nobody_sees_is_nothing_that_was_said(
    desk: FlaskClient, named: dict[str, str], act: str, told: dict[str, str]
) -> None:
    status, problem = ask(desk, act, ANA, **told, **named)
    assert (status, problem["reason"]) == (422, "invalid_request")


def test_of_what_was_said_only_what_is_seen_is_kept(desk: FlaskClient, named: dict[str, str], home: Path) -> None:
    status, told = ask(desk, "accept", ANA, reason=" too\x00 small\x1b[31m, says \u202eBen ", **named)
    assert (status, told["answers"][told["round"]]["why"]) == (200, ["too small[31m, says Ben"])
    text = "\u0646\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645\n\u200bplayed\x00"
    status, told = ask(desk, "evidence", BEN, item="usage", text=text, **named)
    [said] = told["answers"][told["round"]]["evidence"]
    kept = local_ports(home).evidence.load(said["sha256"]).decode()
    assert (status, kept) == (200, text.replace("\u200b", "").replace("\x00", ""))


def test_what_the_provider_would_not_take_is_refused_in_its_terms(desk: FlaskClient, named: dict[str, str]) -> None:
    status, problem = put(desk, ANA, a_pdf(60), named)
    assert (status, problem["reason"]) == (422, "evidence_not_taken")
    assert "pages" in problem["detail"]


def test_after_it_is_answered_no_evidence_is_taken(desk: FlaskClient, named: dict[str, str]) -> None:
    record = {"act": "submit", "at": NOON.isoformat(), "reason": "on the dashboard"}
    assert ask(desk, "record", ANA, **record, **named)[0] == 200
    status, problem = put(desk, BEN, a_picture("JPEG"), named)
    assert (status, problem["reason"]) == (409, "answered")


def test_a_file_may_be_large_and_nothing_else(desk: FlaskClient, named: dict[str, str]) -> None:
    large = a_pdf() + b"\n%" + b"x" * 1_000_000
    assert put(desk, ANA, large, named)[0] == 200
    assert put(desk, ANA, large + bytes(7 << 20), named)[0] == 413
    assert ask(desk, "submit", ANA, reason="x" * 20_000, **named)[0] == 413


def test_where_nothing_can_be_accepted_a_person_is_told_what_to_do_instead(desk: FlaskClient) -> None:
    named = {"provider": "mercadopago", "dispute_id": "217"}
    status, problem = ask(desk, "accept", ANA, reason="too small", **named)
    assert (status, problem["reason"]) == (409, "no_acceptance")
    assert "`record`" in problem["detail"]


def test_who_wants_to_refund_is_told_that_they_would_pay_twice(desk: FlaskClient, named: dict[str, str]) -> None:
    payment = {"provider": "stripe", "payment_id": named["dispute_id"].replace("dp_", "pi_")}
    status, advice = ask(desk, "refund", ANA, **payment)
    assert (status, advice["may"], advice["left"]) == (200, "no", {"minor": 0, "currency": "EUR"})
    assert "accept it instead" in advice["why"][0]
    status, advice = ask(desk, "refund", ANA, provider="stripe", payment_id="pi_unheard_of")
    assert (status, advice["may"]) == (200, "no")


ALERT: dict[str, Any] = {
    "alert": "cdrn",
    "provider": "stripe",
    "account": "acct_1",
    "issued_at": NOON.isoformat(),
    "amount": {"minor": 1999, "currency": "EUR"},
}


def test_an_alert_is_news_of_the_payment_that_it_names_and_its_copies_are_one(
    desk: FlaskClient, named: dict[str, str], home: Path
) -> None:
    ports, payment_id = local_ports(home), named["dispute_id"].replace("dp_", "pi_")
    published(ports, "payment-events")
    said: list[tuple[str, Mapping[str, Any]]] = []
    for _ in range(2):
        with told_instead(lambda _, event, fields: said.append((event, fields))):
            status, told = ask(desk, "alert", ANA, alert_id="C 1", payment_id=payment_id, **ALERT)
        assert (status, told["dispute_id"], told["payment_id"]) == (200, "cdrn:C 1", payment_id)
    heard = {"provider": "stripe", "dispute_id": "cdrn:C 1", "payment_id": payment_id, "outcome": "matched"}
    assert said.count(("alert_heard", heard)) == 2
    first, second = published(ports, "payment-events")
    assert first == second
    assert (first["alert"], first["stage"], first["status"]) == ("cdrn", "inquiry", "needs_response")
    # Verifi's 72 hours, where the alert names no deadline.
    assert first["respond_by"] == "2026-11-05T12:00:00Z"


def test_an_alert_of_a_payment_that_nobody_can_tell_is_news_without_one(desk: FlaskClient, home: Path) -> None:
    ports = local_ports(home)
    published(ports, "payment-events")
    status, told = ask(desk, "alert", ANA, alert_id="C2", **ALERT)
    assert (status, told["payment_id"]) == (200, None)
    [event] = published(ports, "payment-events")
    assert (event["payment_id"], event["provider_status"]) == (None, told["why"])


def test_what_the_network_refunded_by_its_own_rules_asks_for_nothing(desk: FlaskClient, home: Path) -> None:
    ports = local_ports(home)
    published(ports, "payment-events")
    rdr = {**ALERT, "alert": "rdr", "refunded": True, "payment_id": "pi_rdr"}
    assert ask(desk, "alert", ANA, alert_id="R1", **rdr)[0] == 200
    [event] = published(ports, "payment-events")
    assert (event["status"], event["respond_by"]) == ("prevented", None)


@pytest.mark.parametrize(
    "wrong",
    [
        {"alert_id": "4242424242424242"},
        {"payment_id": "ana@shop.example"},
        {"card_bin": "4242424242424242"},
        {"amount": {"minor": 0, "currency": "EUR"}},
        {"alert": "tc40"},
        {"issued_at": "9999-12-31T23:00:00Z"},
        {"issued_at": "0001-01-01T00:00:00+14:00"},
        {"issued_at": (NOON + 300 * DAY).isoformat()},
        {"paid_at": "0001-01-01T00:00:00Z"},
        {"paid_at": "9999-12-31T00:00:00Z"},
        {"respond_by": "0001-01-01T00:00:00+14:00"},
        {"respond_by": "9999-12-31T23:59:59.999999Z"},
        {"respond_by": (NOON - DAY).isoformat()},
    ],
)
def test_an_alert_that_is_of_another_contract_is_refused(desk: FlaskClient, wrong: dict[str, Any]) -> None:
    status, problem = ask(desk, "alert", ANA, **{"alert_id": "C3", **ALERT, **wrong})
    assert (status, problem["reason"]) == (422, "invalid_request")
    assert "4242424242424242" not in problem["detail"]
    [member] = wrong
    assert member in problem["detail"]


@pytest.mark.parametrize(
    ("act", "told"),
    [
        ("record", {"act": "submit", "at": "0001-01-01T00:00:00+23:59"}),
        ("record", {"act": "submit", "at": "9999-12-31T23:59:59.999999-14:00"}),
        ("hold", {"until": "0001-01-01T00:00:00+14:00"}),
    ],
)
def test_an_instant_of_no_century_of_ours_is_refused(
    desk: FlaskClient, named: dict[str, str], act: str, told: dict[str, str]
) -> None:
    status, problem = ask(desk, act, ANA, reason="by the calendar", **told, **named)
    assert (status, "not of this century" in problem["detail"]) == (422, True)


def test_what_is_told_otherwise_of_an_alert_is_news_and_its_copies_are_one(desk: FlaskClient, home: Path) -> None:
    ports, named = local_ports(home), {"provider": "stripe", "dispute_id": "cdrn:C9"}
    published(ports, "payment-events")
    later = (NOON + 2 * DAY).isoformat()
    sooner = (NOON + DAY).isoformat()
    heard = []
    for more in ({"respond_by": later}, {"respond_by": sooner}, {"respond_by": sooner}, {"respond_by": later}):
        assert ask(desk, "alert", ANA, alert_id="C9", payment_id="pi_c9", **ALERT, **more)[0] == 200
        [event] = published(ports, "payment-events")
        heard.append({name: value for name, value in event.items() if name != "heard_at"})
        track_dispute(decode_event(json.dumps(event).encode()), ports, NOON)
        (home / "clock").write_text((NOON + len(heard) * MINUTE).isoformat())
    # The last one is a late copy of the first.
    assert (heard[1], heard[3]) == (heard[2], heard[0])
    told = ask(desk, "case", ANA, **named)[1]
    assert (told["respond_by"], told["status"]) == ("2026-11-03T12:00:00Z", "needs_response")
    assert ask(desk, "alert", ANA, alert_id="C9", payment_id="pi_c9", refunded=True, **ALERT)[0] == 200
    [event] = published(ports, "payment-events")
    track_dispute(decode_event(json.dumps(event).encode()), ports, NOON)
    (home / "clock").write_text(NOON.isoformat())
    assert ask(desk, "case", ANA, **named)[1]["status"] == "prevented"


@pytest.mark.parametrize("status", [DisputeStatus.WON, DisputeStatus.LOST, DisputeStatus.CLOSED])
def test_of_what_is_over_no_answer_is_recorded(
    desk: FlaskClient, named: dict[str, str], home: Path, status: DisputeStatus
) -> None:
    ruled = a_dispute_event(
        event_id=f"{named['dispute_id']}:over", dispute_id=named["dispute_id"], status=status, occurred_at=NOON + DAY
    )
    track_dispute(ruled, local_ports(home), NOON + DAY)
    answered, problem = ask(desk, "record", ANA, act="accept", at=NOON.isoformat(), reason="in the dashboard", **named)
    assert (answered, problem["reason"]) == (409, "nothing_asked")


def test_where_no_api_takes_an_answer_accepting_is_refused_at_once(desk: FlaskClient, home: Path) -> None:
    event = a_dispute_event(provider="mollie", dispute_id="chb_1", payment_id="tr_1", respond_by=NOON + 20 * DAY)
    track_dispute(event, local_ports(home), NOON)
    status, problem = ask(desk, "accept", ANA, reason="too small", provider="mollie", dispute_id="chb_1")
    assert (status, problem["reason"]) == (422, "no_api")
    assert "`record`" in problem["detail"]


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


def test_people_look_at_the_strategy_change_it_and_take_it_back_and_each_version_says_who(desk: FlaskClient) -> None:
    _, shipped = ask(desk, "strategy", ANA)
    assert (shipped["version"], shipped["strategy"]["announced_hours"]) == (0, 48)
    costs = {"EUR": {**shipped["strategy"]["costs"]["EUR"], "answer": 100, "accept_below": 0}}
    bolder = {**shipped["strategy"], "costs": costs, "buffer_hours": 36}
    _, compared = ask(desk, "strategy/check", ANA, strategy=bolder)
    changes = {one["member"]: (one["before"], one["after"]) for one in compared["changes"]}
    assert (changes["buffer_hours"], changes["costs.EUR.answer"], changes["costs.JPY.answer"]) == (
        (24, 36),
        (300, 100),
        (500, None),
    )
    status, published_ = ask(desk, "strategy/publish", ANA, strategy=bolder, after=0, reason="nothing is given away")
    assert (status, published_["version"], published_["strategy"]) == (200, 1, bolder)
    status, problem = ask(desk, "strategy/publish", BEN, strategy=bolder, after=0, reason="I did not look")
    assert (status, problem["reason"]) == (409, "strategy_changed")
    status, again = ask(desk, "strategy/back", BEN, to=0, reason="too bold")
    assert (status, again["version"], again["strategy"]) == (200, 2, shipped["strategy"])
    assert ask(desk, "strategy", ANA, version=1)[1] == {"version": 1, "standing": 2, "strategy": bolder}
    assert ask(desk, "strategy", ANA, version=9)[0] == 404
    versions = ask(desk, "strategy/history", ANA)[1]["versions"]
    assert [(one["version"], one["after"], one["author"], one["why"]) for one in versions] == [
        (2, 1, "ben@shop.example", "too bold"),
        (1, 0, "ana@shop.example", "nothing is given away"),
    ]


@pytest.mark.parametrize(
    ("wrong", "where"),
    [
        ({"buffer_hours": 1}, "strategy.buffer_hours"),
        ({"priors": {"fraud": 0.5}}, "strategy: Value error, every reason has a prior"),
        ({"costs": {"EUR": {"answer": -1, "accept_below": 0, "programme_item": 0}}}, "strategy.costs.EUR.answer"),
        ({"completeness": 1.5}, "strategy.completeness"),
        ({"weight": 1e-5}, "strategy.weight"),
        ({"priors": dict.fromkeys(DisputeReason, 1e-300)}, "strategy.priors."),
    ],
)
def test_a_strategy_by_which_nothing_could_be_decided_is_refused_with_the_member(
    desk: FlaskClient, wrong: dict[str, Any], where: str
) -> None:
    _, shipped = ask(desk, "strategy", ANA, version=0)
    candidate = {**shipped["strategy"], **wrong}
    status, problem = ask(desk, "strategy/check", ANA, strategy=candidate)
    assert (status, problem["detail"][: len(where)]) == (422, where)


STRATEGY = ["strategy", "strategy/check", "strategy/publish", "strategy/back", "strategy/history"]
DISPUTES = ["case", "submit", "accept", "hold", "evidence", "withdraw", "record", "refund", "readiness"]
ACTS = [*DISPUTES, *STRATEGY]


@pytest.mark.parametrize("act", ACTS)
def test_nobody_without_a_name_does_anything(desk: FlaskClient, named: dict[str, str], act: str) -> None:
    assert ask(desk, act, {}, reason="because", **named)[0] == 401


def test_reasons_are_kept_without_card_numbers_and_addresses(desk: FlaskClient, named: dict[str, str]) -> None:
    _, told = ask(desk, "accept", ANA, reason="4242 4242 4242 4242 of carl@music.example", **named)
    [why] = told["answers"]["chargeback/0"]["why"]
    assert "4242 4242" not in why
    assert "music.example" not in why


@pytest.mark.parametrize("path", ["", *(f"/{act}" for act in ACTS)])
def test_whatever_is_sent_is_answered_as_the_document_says(desk: FlaskClient, path: str) -> None:
    attack_desk(desk, PATH, path, 10, ANA)
