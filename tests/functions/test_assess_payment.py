"""The door before authorisation as its callers see it: over HTTP, by its own OpenAPI document."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from flask.testing import FlaskClient
from functions_framework import create_app

from shared.domain.codec import encode_event
from shared.domain.events import PaymentAssessed
from shared.domain.privacy import email_parts
from shared.domain.pseudonyms import DEVELOPMENT, MARK, NAME, unkeyed
from shared.runtime.assessments import PATH, AssessmentRequest, openapi, read
from shared.runtime.contracts import DoesNotFit
from terraform.tools import bundle
from tests.builders import NOON
from tests.functions.attacked import attack

ASKED: dict[str, Any] = {
    "request_id": "r-1",
    "provider": "stripe",
    "merchant_reference": "order-1",
    "amount": {"minor": 999, "currency": "EUR"},
    "card": {"fingerprint": "fp_1", "country": "DE"},
    "customer_id": "cus_1",
    "ip": "203.0.113.7",
    "email": "Ana@music.example",
    "budget_ms": 1000,
}


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FlaskClient]:
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setenv("PAYIN_HOME", str(tmp_path_factory.mktemp("door")))
        monkeypatch.setenv("PAYIN_MODEL", "none")
        monkeypatch.setenv("PROVIDERS", "stripe,adyen")
        yield create_app(  # type: ignore[no-untyped-call]
            "assess_payment", str(bundle.ROOT / "functions" / "assess_payment" / "main.py")
        ).test_client()


def ask(door: FlaskClient, **told: Any) -> tuple[int, dict[str, Any]]:
    answer = door.post(PATH, json={**ASKED, **told})
    return answer.status_code, json.loads(answer.data)


def test_the_contract_is_served(door: FlaskClient) -> None:
    served = door.get("/openapi.json")
    assert (served.status_code, served.data) == (200, openapi())


def test_an_answer_says_what_to_do_why_and_by_which_versions(door: FlaskClient) -> None:
    status, answer = ask(door)
    assert status == 200
    assert (answer["outcome"], answer["decision_id"], answer["fallback"]) == (
        "approve",
        "stripe:main:assessment:r-1",
        ["no_model"],
    )
    assert set(answer["versions"]) == {"model", "schema", "rules", "policy"}
    assert ask(door) == (status, answer), "the same request again gets the same answer"


def test_reasons_are_in_words(door: FlaskClient) -> None:
    _, answer = ask(door, request_id="r-3ds", merchant_reference="order-3ds", three_d_secure="failed")
    assert answer["outcome"] == "review"
    assert {(one["code"], one["text"]) for one in answer["reasons"]} == {
        ("failed_authentication", "failed authentication")
    }


def test_another_request_under_the_same_id_is_told_so(door: FlaskClient) -> None:
    ask(door, request_id="r-taken")
    status, problem = ask(door, request_id="r-taken", customer_id="cus_2")
    assert (status, problem["reason"]) == (409, "request_id_taken")


@pytest.mark.parametrize(
    ("told", "at"),
    [
        ({"amount": {"minor": 9.99, "currency": "EUR"}}, "amount.minor"),
        ({"amount": {"minor": 999, "currency": "euro"}}, "amount.currency"),
        ({"request_id": ""}, "request_id"),
        ({"ip": "somewhere"}, "ip"),
        ({"card": {"number": "4242424242424242"}}, "card.number"),
        ({"email_sha256": "0" * 64}, "body"),
        ({"budget_ms": 5000}, "budget_ms"),
        ({"provider": "worldpay"}, "provider"),
        ({"secret": "Ana@music.example"}, "secret"),
    ],
)
def test_what_does_not_fit_is_named_and_its_value_is_not_repeated(
    door: FlaskClient, told: dict[str, Any], at: str, capsys: pytest.CaptureFixture[str]
) -> None:
    status, problem = ask(door, **told)
    said = json.dumps(problem) + capsys.readouterr().out
    assert (status, problem["reason"]) == (422, "invalid_request")
    assert problem["detail"].startswith(f"{at}: ")
    assert "4242424242424242" not in said
    assert "music.example" not in said.lower()


def test_other_paths_and_methods_are_told_what_there_is(door: FlaskClient) -> None:
    assert door.get("/").status_code == 404
    refused = door.get(PATH)
    assert (refused.status_code, refused.headers["Allow"]) == (405, "POST")
    assert door.post("/openapi.json").headers["Allow"] == "GET"
    assert door.post(PATH, data=b" " * 70_000).status_code == 413


def test_no_address_and_no_card_number_is_kept_or_logged(
    door: FlaskClient, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = read(json.dumps({**ASKED, "customer_id": "4242424242424242"}).encode()).asked(DEVELOPMENT, NOON)
    assert isinstance(asked, PaymentAssessed)
    assert str(asked.customer_id).startswith("name-dev-")
    assert str(asked.email_hash).startswith("mail-dev-")
    assert (asked.email_domain, asked.ip_network) == ("music.example", "203.0.113.7")
    ask(door, request_id="r-log", merchant_reference="4242 4242 4242 4242", customer_id="4242424242424242")
    assert "4242424242424242" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("member", "held"),
    [
        ("product", "for ana@music.example"),
        ("product", "DE89370400440532013000"),
        ("flow", "4242424242424242"),
        ("method", "4242424242424242"),
        ("email_domain", "4242424242424242"),
    ],
)
def test_no_text_that_is_told_brings_an_address_or_a_number_into_the_event(member: str, held: str) -> None:
    rest = {name: value for name, value in ASKED.items() if name != "email"}
    asked = read(json.dumps({**rest, member: held}).encode()).asked(DEVELOPMENT, NOON)
    assert getattr(asked, member) == DEVELOPMENT.keyed_text(unkeyed(NAME, held))
    assert held not in encode_event(asked).decode()


def test_the_callers_hash_of_an_address_names_the_same_customer_as_the_address() -> None:
    import hashlib

    digest = hashlib.sha256(b"ana@music.example").hexdigest()
    rest = {name: value for name, value in ASKED.items() if name != "email"}
    by_hash = read(json.dumps({**rest, "email_sha256": digest, "email_domain": "music.example"}).encode())
    assert by_hash.asked(DEVELOPMENT, NOON) == read(json.dumps(ASKED).encode()).asked(DEVELOPMENT, NOON)
    assert DEVELOPMENT.keyed(str(email_parts("ANA@music.example")[0]).encode()).decode().startswith("mail-dev-")


def test_no_marked_digest_leaves_whatever_member_it_was_told_in() -> None:
    marked = unkeyed(NAME, "4242424242424242")
    texts = ("request_id", "merchant_reference", "product", "customer_id", "device_id", "email_domain")
    rest = {name: value for name, value in ASKED.items() if name != "email"}
    told = {**rest, **dict.fromkeys(texts, marked), "payment_ids": [marked], "card": {"fingerprint": marked}}
    unknown = {name for name, member in AssessmentRequest.model_fields.items() if _takes(name, marked)} - {*texts}
    assert unknown == {"payment_ids"}, "a member that takes such a text is told here"
    asked = encode_event(read(json.dumps(told).encode()).asked(DEVELOPMENT, NOON))
    assert MARK not in asked
    assert asked.count(DEVELOPMENT.keyed(marked.encode())) == len(texts) + 4, (
        "the ids of the event, the payment and the card"
    )


def _takes(name: str, text: str) -> bool:
    rest = {member: value for member, value in ASKED.items() if member != "email"}
    for value in (text, [text]):
        try:
            read(json.dumps({**rest, name: value}).encode())
        except DoesNotFit:
            continue
        return True
    return False


@pytest.mark.parametrize("mode", list(schemathesis.GenerationMode), ids=str)
def test_whatever_is_sent_is_answered_as_the_document_says(
    door: FlaskClient, mode: schemathesis.GenerationMode
) -> None:
    attack(door, "POST", PATH, mode, 80, {})
