"""Requests in, statuses out, through the same Flask application that functions-framework serves."""

import base64
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import Flask, request
from flask.testing import FlaskClient
from functions_framework import read_request

from shared.domain.codec import encode_event
from shared.domain.errors import Conflict, Misconfigured, Unavailable
from shared.runtime import entry, logs
from tests.builders import DAY, HOUR, NOON, SECOND, a_payment_event


def serving(build: Callable[[Any], entry.Handler], tmp_path: Path, **environment: str) -> FlaskClient:
    handle = entry.start("under_test", build, {"PAYIN_HOME": str(tmp_path), **environment})
    app = Flask("under_test")
    app.add_url_rule("/", view_func=lambda: handle(request), methods=["GET", "POST", "PUT"])
    app.after_request(read_request)
    return app.test_client()


def push(data: bytes, **attributes: str) -> dict[str, Any]:
    return {
        "message": {"data": base64.b64encode(data).decode(), "attributes": attributes, "messageId": "1"},
        "subscription": "projects/p/subscriptions/s",
    }


def test_a_pushed_event_reaches_the_consumer_and_is_acknowledged(tmp_path: Path) -> None:
    seen: list[object] = []
    event = a_payment_event()
    client = serving(lambda _: entry.consume(seen.append), tmp_path)
    assert client.post("/", json=push(encode_event(event), kind="payment")).status_code == 204
    assert seen == [event]


def test_what_a_filter_would_have_kept_from_a_consumer_is_acknowledged_and_left_alone(tmp_path: Path) -> None:
    seen: list[object] = []
    client = serving(lambda _: entry.consume(seen.append, bytes.decode, "answer"), tmp_path)
    for action in ("answer", "remind", "answer_told"):
        assert client.post("/", json=push(action.encode(), action=action)).status_code == 204
    # Whoever calls directly names no action.
    assert client.post("/", json=push(b"by hand")).status_code == 204
    assert seen == ["answer", "by hand"]


def test_an_eventarc_delivery_of_the_same_message_is_read_alike(tmp_path: Path) -> None:
    seen: list[object] = []
    client = serving(lambda _: entry.consume(seen.append), tmp_path)
    headers = {"ce-type": "google.cloud.pubsub.topic.v1.messagePublished", "ce-id": "1", "ce-specversion": "1.0"}
    assert client.post("/", json=push(encode_event(a_payment_event())), headers=headers).status_code == 204
    assert len(seen) == 1


def in_cloud_event(pushed: dict[str, Any]) -> dict[str, Any]:
    return {
        "specversion": "1.0",
        "id": "1",
        "source": "//pubsub.googleapis.com/projects/p/topics/t",
        "type": "google.cloud.pubsub.topic.v1.messagePublished",
        "datacontenttype": "application/json",
        "data": pushed,
    }


@pytest.mark.parametrize("encoded", [False, True])
def test_a_cloud_event_in_structured_mode_is_read_alike(encoded: bool, tmp_path: Path) -> None:
    seen: list[object] = []
    event = a_payment_event()
    told = in_cloud_event(push(encode_event(event), kind="payment"))
    if encoded:
        told["data_base64"] = base64.b64encode(json.dumps(told.pop("data")).encode()).decode()
    client = serving(lambda _: entry.consume(seen.append), tmp_path)
    headers = {"Content-Type": "application/cloudevents+json; charset=utf-8"}
    assert client.post("/", data=json.dumps(told), headers=headers).status_code == 204
    assert seen == [event]


@pytest.mark.parametrize("wrap", [lambda pushed: pushed, in_cloud_event])
def test_attributes_and_data_that_are_null_are_none(wrap: Callable[[Any], Any], tmp_path: Path) -> None:
    seen: list[object] = []
    pushed = push(encode_event(a_payment_event()))
    pushed["message"] |= {"attributes": None, "messageId": None}
    client = serving(lambda _: entry.consume(seen.append), tmp_path)
    assert client.post("/", json=wrap(pushed)).status_code == 204
    assert len(seen) == 1
    ticks: list[bytes] = []
    tick = push(b"", job="nightly")
    tick["message"]["data"] = None
    assert (
        serving(lambda _: entry.on_tick("nightly", ticks.append), tmp_path).post("/", json=wrap(tick)).status_code
        == 204
    )
    assert ticks == [b""]
    other = push(b"", job="another")
    assert (
        serving(lambda _: entry.on_tick("nightly", ticks.append), tmp_path).post("/", json=wrap(other)).status_code
        == 204
    )
    assert ticks == [b""]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"[]",
        b'{"message": 1}',
        b'{"message": {"data": "%%%"}}',
        b'{"message": {"data": "e30="}}',
        b"\xff",
        b'{"data": {}}',
        b'{"data_base64": "%"}',
        b'{"message": null}',
    ],
)
def test_a_message_that_nobody_can_read_is_not_acknowledged_so_that_it_ends_in_the_dead_letters(
    body: bytes, tmp_path: Path
) -> None:
    client = serving(lambda _: entry.consume(lambda _: None), tmp_path)
    assert client.post("/", data=body).status_code == 400


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (Unavailable("store is down"), 503),
        (Conflict("contended"), 503),
        (Misconfigured("x"), 500),
        (KeyError("bug"), 500),
    ],
)
def test_whose_turn_it_is_decides_the_status_and_the_body_tells_nothing(
    error: Exception, status: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(_: object) -> None:
        raise error

    client = serving(lambda _: entry.consume(fail), tmp_path)
    answer = client.post("/", json=push(encode_event(a_payment_event())))
    assert (answer.status_code, answer.data) == (status, b"")
    line = json.loads(capsys.readouterr().out.strip().splitlines()[-1])
    assert line["reason"]
    assert line["function"] == "under_test"


def test_only_a_post_is_a_message(tmp_path: Path) -> None:
    answer = serving(lambda _: entry.consume(lambda _: None), tmp_path).get("/")
    assert (answer.status_code, answer.headers["Allow"]) == (405, "POST")


def test_a_tick_of_another_job_is_acknowledged_and_left_alone(tmp_path: Path) -> None:
    ticks: list[bytes] = []
    client = serving(lambda _: entry.on_tick("check_deadlines", ticks.append), tmp_path)
    assert client.post("/", json=push(b"", job="train_model")).status_code == 204
    assert ticks == []
    assert client.post("/", json=push(b"{}", job="check_deadlines")).status_code == 204
    assert ticks == [b"{}"]


def test_of_several_jobs_a_tick_does_the_one_that_it_names_and_a_call_that_names_none_is_told(tmp_path: Path) -> None:
    done: list[str] = []
    jobs = [
        entry.Job("canary", lambda _: done.append("canary")),
        entry.Job("subscriptions", lambda _: done.append("subscriptions")),
    ]
    client = serving(lambda _: entry.on_ticks(jobs), tmp_path)
    for job in ("subscriptions", "train_model", "canary"):
        assert client.post("/", json=push(b"", job=job)).status_code == 204
    assert done == ["subscriptions", "canary"]
    answer = client.post("/", data=b"{}")
    assert (answer.status_code, json.loads(answer.data)["reason"]) == (400, "no_job")
    assert done == ["subscriptions", "canary"]


@pytest.mark.parametrize(
    ("apart", "acts"),
    [(0 * DAY, True), (HOUR, True), (-HOUR, True), (HOUR + SECOND, False), (30 * DAY, False), (-30 * DAY, False)],
)
def test_a_tick_that_was_published_far_from_our_own_time_alarms_and_does_nothing(
    apart: timedelta, acts: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ticks: list[bytes] = []
    client = serving(lambda _: entry.on_tick("check_deadlines", ticks.append, lambda: NOON + apart), tmp_path)
    tick = push(b"", job="check_deadlines")
    tick["message"]["publishTime"] = "2026-11-02T12:00:00.000Z"
    assert client.post("/", json=tick).status_code == 204
    assert bool(ticks) is acts
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    told = ("job_ended", "INFO", None) if acts else ("clocks_disagree", "ERROR", apart.total_seconds())
    assert [(line["event"], line["severity"], line.get("seconds")) for line in lines] == [told]


def test_a_run_says_that_it_ended_and_one_that_breaks_off_or_is_of_another_job_does_not(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(_: bytes) -> None:
        raise Unavailable("store is down")

    jobs = [entry.Job("canary", lambda _: None), entry.Job("subscriptions", fail)]
    client = serving(lambda _: entry.on_ticks(jobs), tmp_path)
    for job in ("subscriptions", "train_model", "canary"):
        client.post("/", json=push(b"", job=job))
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(line["event"], line.get("job")) for line in lines] == [
        ("dependency_unavailable", None),
        ("job_ended", "canary"),
    ]


def test_a_tick_that_comes_again_is_of_the_same_instant_and_a_call_is_of_its_own(tmp_path: Path) -> None:
    told: list[object] = []

    def act(_: bytes, at: object) -> None:
        told.append(at)

    by_clock = serving(lambda _: entry.on_dated_tick("nightly", act, lambda: NOON + HOUR / 2), tmp_path)
    without = serving(lambda _: entry.on_dated_tick("nightly", act), tmp_path)
    tick = push(b"", job="nightly")
    tick["message"]["publishTime"] = "2026-11-02T12:00:00.000Z"
    for client in (by_clock, by_clock, without):
        assert client.post("/", json=tick).status_code == 204
    assert by_clock.post("/", data=b"{}").status_code == 204
    assert told == [NOON, NOON, None, None]


@pytest.mark.parametrize("published", [None, "", "soon", "2026-11-02T12:00:00"])
def test_a_tick_that_does_not_say_when_it_was_published_is_done(published: str | None, tmp_path: Path) -> None:
    ticks: list[bytes] = []
    client = serving(lambda _: entry.on_tick("check_deadlines", ticks.append, lambda: NOON), tmp_path)
    tick = push(b"", job="check_deadlines")
    if published is not None:
        tick["message"]["publishTime"] = published
    assert client.post("/", json=tick).status_code == 204
    assert len(ticks) == 1


@pytest.mark.parametrize(("body", "parameters"), [(b"", b""), (b'{"seed": 1}', b'{"seed": 1}')])
def test_a_job_may_be_called_directly_with_its_parameters(body: bytes, parameters: bytes, tmp_path: Path) -> None:
    ticks: list[bytes] = []
    client = serving(lambda _: entry.on_tick("train_model", ticks.append), tmp_path)
    assert client.post("/", data=body).status_code == 204
    assert ticks == [parameters]
    assert client.post("/", data=b"[1]").status_code == 400


def test_reading_a_job_starts_none_and_alarms_nobody(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    client = serving(lambda _: entry.on_tick("train_model", lambda _: None), tmp_path)
    assert client.get("/").status_code == 405
    (line,) = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert (line["event"], line["severity"], line["reason"]) == ("request_refused", "INFO", "method_not_allowed")


def test_an_operators_call_is_answered_with_what_was_done(tmp_path: Path) -> None:
    client = serving(lambda _: entry.on_call(lambda call: {"asked": call.body.decode(), "done": 2}), tmp_path)
    answer = client.post("/", data=b"all")
    assert (answer.status_code, answer.json) == (200, {"asked": "all", "done": 2})
    assert client.get("/").status_code == 405


def test_the_trace_of_the_message_is_on_every_line_logged_for_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trace = "00-" + "a" * 32 + "-" + "b" * 16 + "-01"

    def fail(_: object) -> None:
        raise Unavailable("down")

    client = serving(lambda _: entry.consume(fail), tmp_path, GOOGLE_CLOUD_PROJECT="shop")
    client.post("/", json=push(encode_event(a_payment_event()), traceparent=trace))
    line = json.loads(capsys.readouterr().out.strip().splitlines()[-1])
    assert line["logging.googleapis.com/trace"] == f"projects/shop/traces/{'a' * 32}"
    assert logs.traceparent.get() == ""


@pytest.mark.parametrize(
    "trace", ["4111111111111111", f"00-4111111111111111-ana@music.example-01{'0' * 15}", "00-a-b-01"]
)
def test_what_is_no_trace_is_not_taken_for_one(trace: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def fail(_: object) -> None:
        raise Unavailable("down")

    client = serving(lambda _: entry.consume(fail), tmp_path)
    body = push(encode_event(a_payment_event()), traceparent=trace)
    client.post("/", json=body, headers={"traceparent": trace})
    told = json.loads(capsys.readouterr().out)["logging.googleapis.com/trace"]
    assert re.fullmatch("projects/local/traces/[0-9a-f]{32}", told)


NOBODY_THERE = {"PAYIN_DATABASE_URL": "postgresql+psycopg://payin@127.0.0.1:1/postgres"}


@pytest.mark.parametrize(
    ("function", "environment", "says", "code"),
    [
        ("webhook", {"PROVIDERS": "stripe"}, "WEBHOOK_STRIPE is not set", 78),
        ("webhook", {"PROVIDERS": "strype"}, "no provider is called 'strype'", 78),
        ("webhook", {}, "no provider can be served", 78),
        ("score_payment", {"PAYIN_MODEL": "latest"}, "PAYIN_MODEL", 78),
        ("train_model", {"PAYIN_BACKEND": "gcp", "GOOGLE_CLOUD_PROJECT": "p"}, "PAYIN_MODEL_BUCKET is not set", 78),
        ("record_payment", {"PAYIN_DATABASE_URL": "mysql://db"}, "PAYIN_DATABASE_URL is no database", 78),
        ("score_payment", NOBODY_THERE, "the database does not answer", 75),
    ],
)
def test_what_cannot_start_never_serves_and_says_in_one_sentence_why(
    function: str, environment: dict[str, str], says: str, code: int, tmp_path: Path
) -> None:
    root = Path(__file__).resolve().parents[2]
    started = subprocess.run(
        [sys.executable, "-c", f"import functions.{function}.main"],
        cwd=root,
        env={"PATH": os.environ["PATH"], "PAYIN_HOME": str(tmp_path), **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert started.returncode == code
    assert started.stderr.strip().splitlines()[-1].startswith(f"{function} cannot start: {says}")
    assert "Traceback" not in started.stderr


STRANGER = """
import sys
from functions_framework import create_app
client = create_app("under_test", sys.argv[1]).test_client()
headers = {"Function-Execution-Id": sys.argv[2], "X-Cloud-Trace-Context": "a1/4111111111111111;o=1"}
assert client.post("/", data=b"{}", headers=headers).status_code == 400
assert client.post("/", data=b"{}").status_code == 400
"""


@pytest.mark.parametrize("told", ["4111111111111111", "ana@music.example", "x" * 5000])
def test_what_a_stranger_calls_his_execution_is_in_no_line(told: str, tmp_path: Path) -> None:
    """Through the framework itself, which labels our lines anew as it does when deployed, and takes over all logging."""
    source = tmp_path / "main.py"
    source.write_text(
        "import functions_framework\n"
        "from shared.runtime import entry\n"
        "handle = entry.start('under_test', lambda _: entry.consume(print))\n"
        "@functions_framework.http\n"
        "def under_test(request):\n"
        "    return handle(request)\n"
    )
    environment = {**os.environ, "LOG_EXECUTION_ID": "true", "PAYIN_HOME": str(tmp_path), "PYTHONPATH": os.getcwd()}
    command = [sys.executable, "-c", STRANGER, str(source), told]
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    strange, own = [line for line in ran.stdout.splitlines() if "message_unreadable" in line]
    assert "4111111111111111" not in strange
    assert told not in strange
    assert json.loads(own)["logging.googleapis.com/labels"]["execution_id"]
