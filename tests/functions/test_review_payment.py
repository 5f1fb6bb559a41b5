"""The reviewers' door over HTTP: who calls is Google's word, and what stands is told to whoever comes too late."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from zlib import crc32

import pytest
from flask.testing import FlaskClient
from functions_framework import create_app

from shared.domain.decisions import Action
from shared.flows.listing import listed_entity
from shared.flows.score_payment import score_payment
from shared.flows.scorer import Scorer
from shared.runtime.reviews import PATH, openapi
from terraform.tools import bundle
from tests.builders import NOON, a_payment_event
from tests.functions.attacked import attack_desk
from tests.local import local_ports, published
from tests.stack.identity import identity

ANA, BEN = identity("Ana@shop.example"), identity("ben@shop.example")
WORD = {"request_id": "w-1", "action": "refuse", "code": "stolen_card", "reason": "the owner said so"}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("desk")


@pytest.fixture(scope="module")
def desk(home: Path) -> Iterator[FlaskClient]:
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setenv("PAYIN_HOME", str(home))
        main = bundle.ROOT / "functions" / "review_payment" / "main.py"
        yield create_app("review_payment", str(main)).test_client()  # type: ignore[no-untyped-call]


@pytest.fixture
def review_id(home: Path, desk: FlaskClient, request: pytest.FixtureRequest) -> str:
    """A payment of the test's own that waits."""
    name = f"pi_{crc32(request.node.name.encode())}"  # ten digits: no card has so few
    event = a_payment_event(payment_id=name, customer_id=name, three_d_secure="failed")
    score_payment(event, local_ports(home), NOON, Scorer(use_model=False))
    return f"stripe:{name}"


def ask(desk: FlaskClient, act: str, by: dict[str, str], /, **told: Any) -> tuple[int, dict[str, Any]]:
    answer = desk.post(f"{PATH}/{act}", json=told, headers=by)
    return answer.status_code, json.loads(answer.data)


def test_the_contract_is_served(desk: FlaskClient) -> None:
    served = desk.get("/openapi.json")
    assert (served.status_code, served.data) == (200, openapi())


def test_a_review_that_there_is_none_of_is_not_found_whomever_its_verdict_would_list(desk: FlaskClient) -> None:
    listed = {"lists": [{"action": "block", "kind": "card", "days": 30}]}
    for word in (WORD, {**WORD, **listed}):
        status, problem = ask(desk, "decide", ANA, review_id="stripe:nobody", **word)
        assert (status, problem["reason"]) == (404, "unknown_review")


@pytest.mark.parametrize("payment_id", ["Pedido nº 7/é", "注文-1", "x" * 255])
def test_a_payment_that_its_provider_calls_by_any_letters_is_taken_looked_at_and_decided(
    desk: FlaskClient, home: Path, payment_id: str
) -> None:
    event = a_payment_event(payment_id=payment_id, customer_id=payment_id, three_d_secure="failed")
    score_payment(event, local_ports(home), NOON, Scorer(use_model=False))
    for act, word in (("claim", {}), ("case", {}), ("decide", WORD)):
        status, answer = ask(desk, act, ANA, review_id=f"stripe:{payment_id}", **word)
        assert status == 200, answer


def test_a_payment_is_taken_looked_at_and_refused_and_the_second_reviewer_is_told_by_whom(
    desk: FlaskClient, review_id: str, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    listed = json.loads(desk.get(PATH, headers=ANA).data)["reviews"]
    assert review_id in [one["review_id"] for one in listed]
    status, taken = ask(desk, "claim", ANA, review_id=review_id)
    assert (status, taken["state"], taken["held_by"]) == (200, "claimed", "ana@shop.example")
    status, problem = ask(desk, "claim", BEN, review_id=review_id)
    assert (status, problem["reason"]) == (409, "review_taken")
    assert problem["detail"].startswith("ana holds it until ")
    status, case = ask(desk, "case", BEN, review_id=review_id)
    assert (status, case["reasons"][0]["text"], case["payment_state"]) == (200, "failed authentication", None)
    assert {one["entity"] for one in case["entities"]} == {"card", "customer", "device", "ip", "email_domain"}
    assert case["trail"][0]["by"] == "ana@shop.example"
    status, decided = ask(desk, "decide", ANA, review_id=review_id, **WORD)
    assert (status, decided["state"], decided["held_by"]) == (200, "refuse", None)
    assert ask(desk, "decide", ANA, review_id=review_id, **WORD) == (status, decided)
    status, problem = ask(desk, "decide", BEN, review_id=review_id, **WORD)
    assert (status, problem["reason"], problem["detail"]) == (409, "review_decided", "ana has decided: refuse")
    told = [row for row in published(local_ports(home), "payment-actions") if row["payment_id"] in review_id]
    assert [(row["action"], row["by"]) for row in told] == [("refuse", "ana@shop.example")] * 2
    said = capsys.readouterr().out
    assert "review_decided" in said
    assert "shop.example" not in said


def test_the_next_one_is_given_back_for_somebody_else(desk: FlaskClient, review_id: str) -> None:
    _, taken = ask(desk, "next", ANA, minutes=5)
    assert ask(desk, "next", ANA)[1]["review"]["review_id"] == taken["review"]["review_id"]
    status, back = ask(desk, "release", ANA, review_id=taken["review"]["review_id"], reason="I know them")
    assert (status, back["state"]) == (200, "waiting")


def test_what_a_reviewer_writes_is_kept_without_card_numbers_and_addresses(desk: FlaskClient, review_id: str) -> None:
    ask(desk, "claim", ANA, review_id=review_id)
    reason = "4242 4242 4242 4242 is that of carl@music.example"
    ask(desk, "decide", ANA, review_id=review_id, **WORD | {"reason": reason})
    _, case = ask(desk, "case", ANA, review_id=review_id)
    assert "4242 4242" not in case["trail"][-1]["why"]
    assert "music.example" not in case["trail"][-1]["why"]


def test_whom_the_payment_names_is_listed_with_the_verdict(desk: FlaskClient, review_id: str, home: Path) -> None:
    ask(desk, "claim", ANA, review_id=review_id)
    block = [{"action": "block", "kind": "customer", "days": 30}]
    for _ in range(2):
        assert ask(desk, "decide", ANA, review_id=review_id, lists=block, **WORD)[0] == 200
    ports, name = local_ports(home), review_id.removeprefix("stripe:")
    [said] = listed_entity(ports.documents, "customer", name).changes
    assert (said.action, said.author, said.reason) == (
        Action.BLOCK,
        "ana@shop.example",
        f"review of {review_id}: stolen_card",
    )
    score_payment(a_payment_event(payment_id=f"{name}_2", customer_id=name), ports, NOON, Scorer(use_model=False))
    [told] = [row for row in published(ports, "fraud-decisions") if row["payment_id"] == f"{name}_2"]
    assert told["outcome"] == "decline"


def test_whom_the_payment_does_not_name_is_not_listed_and_nothing_is_decided(desk: FlaskClient, home: Path) -> None:
    event = a_payment_event(payment_id="pi_no_device", device_id=None, customer_id="c", three_d_secure="failed")
    score_payment(event, local_ports(home), NOON, Scorer(use_model=False))
    named = {"review_id": "stripe:pi_no_device"}
    ask(desk, "claim", ANA, **named)
    block = [{"action": "block", "kind": "device", "days": 30}]
    status, problem = ask(desk, "decide", ANA, lists=block, **named, **WORD)
    assert (status, problem["detail"]) == (400, "the payment names no device")
    assert ask(desk, "case", ANA, **named)[1]["review"]["state"] == "claimed"


NOBODY = identity("")["Authorization"]


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer ya29.an-access-token"},
        {"Authorization": "Basic a.b.c"},
        {"Authorization": "Bearer a.!!!.c"},
        {"Authorization": identity("ana@shop.example", email_verified=False)["Authorization"]},
        {"Authorization": NOBODY},
        # Google has verified the first, and nobody the second.
        {"X-Serverless-Authorization": NOBODY, **ANA},
        {"X-Serverless-Authorization": "", **ANA},
    ],
)
def test_who_does_not_say_who_they_are_is_refused(
    desk: FlaskClient, headers: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    for answer in (desk.get(PATH, headers=headers), desk.post(f"{PATH}/next", json={}, headers=headers)):
        assert (answer.status_code, json.loads(answer.data)["reason"]) == (401, "unidentified")
    assert "shop.example" not in capsys.readouterr().out


def test_of_two_tokens_the_one_that_google_looked_at_counts(desk: FlaskClient, review_id: str) -> None:
    both = {"X-Serverless-Authorization": BEN["Authorization"], **ANA}
    assert ask(desk, "claim", both, review_id=review_id)[1]["held_by"] == "ben@shop.example"


@pytest.mark.parametrize(
    ("told", "at"),
    [
        ({"label": "genuine"}, "body"),
        ({"action": "approve"}, "action"),
        ({"reason": " "}, "reason"),
        ({"request_id": "a b"}, "request_id"),
        ({"by": "carl@shop.example"}, "by"),
    ],
)
def test_a_word_that_does_not_fit_is_told_where(desk: FlaskClient, told: dict[str, Any], at: str) -> None:
    status, problem = ask(desk, "decide", ANA, review_id="stripe:pi_1", **WORD | told)
    assert (status, problem["reason"]) == (422, "invalid_request")
    assert problem["detail"].startswith(f"{at}: ")


def test_a_payment_that_was_never_sent_to_review_is_unknown(desk: FlaskClient) -> None:
    for act, told in (("case", {}), ("claim", {}), ("release", {"reason": "not mine"}), ("decide", WORD)):
        assert ask(desk, act, ANA, review_id="stripe:pi_none", **told)[0] == 404


@pytest.mark.parametrize("path", ["", "/next", "/case", "/claim", "/release", "/decide"])
def test_whatever_is_sent_is_answered_as_the_document_says(desk: FlaskClient, path: str) -> None:
    attack_desk(desk, PATH, path, 15, ANA)
