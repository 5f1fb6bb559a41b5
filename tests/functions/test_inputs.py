"""What comes in at every function, turned in every member: what does not fit is the sender's turn (400), never a fault of
ours (500), and our own people are told what it was."""

import base64
import importlib.util
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask, request
from flask.testing import FlaskClient
from functions_framework import read_request

from shared.domain.codec import encode_event
from shared.domain.events import AnyEvent
from terraform.tools import bundle
from tests.builders import (
    a_dispute_event,
    a_fraud_warning,
    a_payment_event,
    a_payout_event,
    a_refund_event,
    a_resource_event,
    a_review_event,
    an_assessment,
)
from tests.flows.test_keep_evidence import MESSAGE
from tests.stack.servers import free_port

CONSUMERS = ("record_payment", "score_payment", "track_dispute", "fetch_resource")
CALLED: dict[str, dict[str, Any]] = {
    "replay_deliveries": {"provider": "stripe", "since": "2026-11-01T00:00:00Z", "until": "2026-11-02T00:00:00Z"},
    "manage_rules": {"act": "publish", "book": {}, "after": None, "author": "ana", "reason": "a wave"},
    "check_deadlines": {},
    "monitor_model": {"day": "2026-11-01"},
    "reconcile": {"calls": 100, "seconds": 10.0},
    "watch_traffic": {"since": "2026-11-01"},
    "train_model": {"history_days": 400, "maturity_days": 60, "train_part": 0.6, "least_leaf": 1, "seed": 1},
}
EVENTS: tuple[AnyEvent, ...] = (
    a_payment_event(),
    a_refund_event(),
    a_dispute_event(),
    a_fraud_warning(),
    a_review_event(),
    a_payout_event(),
    a_resource_event(provider="mollie", event_id="mollie:main:evt_1"),
    an_assessment(),
)
INSTANTS = (
    "0001-01-01T00:00:00Z",
    "0001-01-01T00:00:00+23:59",
    "9999-12-31T23:59:59.999999Z",
    "9999-12-31T23:59:59-23:59",
    "2026-01-01T00:00:00",
    "2026-02-30T00:00:00Z",
)
TEXTS = ("", " ", "x" * 5000, "\x00", "é" * 600, "__x__", ".", "../a", "::1", *INSTANTS)
ODD: tuple[Any, ...] = (
    *TEXTS,
    None,
    -1,
    2**63,
    10**40,
    1.5,
    1e308,
    True,
    [],
    [""],
    [None],
    {},
    {"minor": -5, "currency": ""},
)


@pytest.fixture
def function(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FlaskClient:
    """The function that is named, its main.py run anew, behind Flask's test client."""
    nobody = json.dumps({"key": "k", "base_url": f"http://127.0.0.1:{free_port()}"})
    for name, value in {"PAYIN_HOME": str(tmp_path), "PAYIN_MODEL": "none", "API_MOLLIE": nobody}.items():
        monkeypatch.setenv(name, value)
    return client(request.param)


def client(name: str) -> FlaskClient:
    spec = importlib.util.spec_from_file_location(f"main_of_{name}", bundle.ROOT / "functions" / name / "main.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    app = Flask(name)
    app.add_url_rule("/", view_func=lambda: module.handle(request), methods=["GET", "POST"])
    app.after_request(read_request)
    return app.test_client()


def a_push(data: bytes, **attributes: str) -> dict[str, Any]:
    message = {"data": base64.b64encode(data).decode(), "attributes": attributes, "messageId": "1"}
    return {"message": message, "subscription": "projects/p/subscriptions/s"}


def turned(value: dict[str, Any]) -> Iterator[tuple[str, Any, dict[str, Any]]]:
    """`value` again and again, each time with something odd in the place of one member."""
    for name, member in value.items():
        for odd in ODD:
            yield name, odd, {**value, name: odd}
        if isinstance(member, dict):
            for inner, odd, other in turned(member):
                yield f"{name}.{inner}", odd, {**value, name: other}


@pytest.mark.parametrize("function", CONSUMERS, indirect=True)
def test_no_event_that_does_not_fit_is_a_fault_of_ours(
    function: FlaskClient, capsys: pytest.CaptureFixture[str]
) -> None:
    for event in EVENTS:
        for member, odd, mutant in turned(json.loads(encode_event(event))):
            answer = function.post("/", json=a_push(json.dumps(mutant).encode()))
            told = capsys.readouterr().out
            # A poke leads to its provider, whom nobody answers for here.
            assert answer.status_code in (204, 400, 503), (event, member, odd, told)
            assert (answer.status_code != 503) or '"provider_unavailable"' in told or "circuit_open" in told, told
            assert answer.data == b""


@pytest.mark.parametrize("function", ["keep_evidence"], indirect=True)
def test_no_message_of_use_that_does_not_fit_is_a_fault_of_ours(function: FlaskClient) -> None:
    for record in MESSAGE["records"]:
        message = {**MESSAGE, "records": [record]}
        mutants = [
            *turned(message),
            *((f"records.{name}", odd, {**message, "records": [one]}) for name, odd, one in turned(record)),
        ]
        for member, odd, mutant in mutants:
            answer = function.post("/", json=a_push(json.dumps(mutant).encode()))
            assert answer.status_code in (204, 400), (record["kind"], member, odd)
            assert answer.data == b""
    assert function.post("/", json=a_push(json.dumps(MESSAGE).encode())).status_code == 204


@pytest.mark.parametrize("name", ["event_id", "provider", "payment_id", "aliases", "occurred_at"])
@pytest.mark.parametrize("function", ["record_payment"], indirect=True)
def test_an_event_without_a_name_or_outside_the_calendar_is_not_recorded(function: FlaskClient, name: str) -> None:
    odd: Any = {"aliases": ["pi_2", ""], "occurred_at": "0001-01-01T00:00:00+23:59"}.get(name, "")
    mutant = {**json.loads(encode_event(a_payment_event())), name: odd}
    assert function.post("/", json=a_push(json.dumps(mutant).encode())).status_code == 400


@pytest.mark.parametrize(
    "function",
    [
        *CONSUMERS,
        "keep_evidence",
        "check_deadlines",
        "train_model",
        "monitor_model",
        "reconcile",
        "watch_traffic",
        "erase",
    ],
    indirect=True,
)
def test_a_push_that_nobody_can_read_is_not_a_fault_of_ours(function: FlaskClient) -> None:
    whole = a_push(b"{}")
    for member, odd, mutant in turned(whole):
        answer = function.post("/", json=mutant)
        assert answer.status_code in (204, 400), (member, odd)
    for data in ("é", "\x00", "=", "e30", "\ud83c", "e30=\n"):
        assert function.post("/", json={"message": {"data": data}}).status_code == 400


@pytest.mark.parametrize("function", list(CALLED), indirect=True)
def test_our_own_people_are_told_what_does_not_fit(function: FlaskClient, request: pytest.FixtureRequest) -> None:
    name = request.node.callspec.params["function"]
    base = CALLED[name]
    calls = [json.dumps(mutant).encode() for _, _, mutant in turned({**base, "unknown": 1})]
    calls += [b"\xff\xfe", b"{", b"[]", b"null", b"[" * 100_000, b'{"a":' * 100_000, b'{"since": "\xff"}', b"\x00"]
    calls += [json.dumps({**base, "since": odd}).encode() for odd in INSTANTS]
    calls += [json.dumps(a_push(call, job=name)).encode() for call in calls]
    refused = 0
    for call in calls:
        answer = function.post("/", data=call)
        assert answer.status_code in (200, 204, 400), call[:200]
        if answer.status_code == 400:
            refused += 1
            problem = answer.get_json(force=True)
            assert answer.content_type == "application/problem+json"
            assert (problem["status"], problem["title"], problem["type"]) == (400, "Bad Request", "about:blank")
            assert problem["detail"]
            assert problem["reason"]
            assert len(problem["trace"]) == 32
    assert refused > 5


@pytest.mark.parametrize(
    ("function", "call", "says"),
    [
        (
            "replay_deliveries",
            {"provider": "strype", "since": "2026-11-01T00:00:00Z"},
            "no provider is called 'strype'",
        ),
        ("replay_deliveries", {"provider": "stripe", "since": "yesterday"}, "$.since"),
        ("replay_deliveries", {"provider": "stripe", "since": "0001-01-01T00:00:00+14:00"}, "out of the calendar"),
        ("replay_deliveries", {"provider": "stripe"}, "`since`"),
        ("train_model", {"train_part": 2}, "$.train_part"),
        ("train_model", {"train_parts": 0.5}, "`train_parts`"),
        ("train_model", {"promote": "a" * 64}, "the challenger is another one"),
        ("train_model", {"canary": "a" * 64, "share": 2}, "$.share"),
        ("monitor_model", {"day": "2999-01-01"}, "is not over"),
        ("watch_traffic", {"since": "2999-01-01"}, "is not of the 120 days before today"),
        ("train_model", {"roll_back": "a" * 64}, "no champion came before"),
    ],
    indirect=["function"],
)
def test_the_member_that_does_not_fit_is_named(function: FlaskClient, call: dict[str, Any], says: str) -> None:
    answer = function.post("/", json=call)
    assert answer.status_code == 400
    assert says in answer.get_json(force=True)["detail"]


@pytest.mark.parametrize("function", list(CALLED), indirect=True)
def test_whoever_only_looks_is_told_to_post(function: FlaskClient) -> None:
    answer = function.get("/")
    assert (answer.status_code, answer.headers["Allow"]) == (405, "POST")
    assert answer.get_json(force=True)["reason"] == "method_not_allowed"
