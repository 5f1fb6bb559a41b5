"""The webhook function as its senders meet it: real adapter, real signature, real local bus."""

import io
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import Flask, request
from flask.testing import FlaskClient
from functions_framework import read_request

from shared.runtime import entry, intake
from tests.benchmarks.requests import stripe_delivery
from tests.benchmarks.worlds import STRIPE
from tests.simulator.providers.stripe import Simulator

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


class Webhook:
    """The function behind Flask's test client and functions-framework's own hook, at a standing clock, and what it
    published."""

    def __init__(self, home: Path, **environment: str) -> None:
        clock = home / "clock"
        clock.write_text(NOW.isoformat())
        self.home = home
        settings = {"PAYIN_HOME": str(home), "PAYIN_CLOCK": str(clock), "WEBHOOK_STRIPE": STRIPE, **environment}
        handle = entry.start("webhook", self._build, settings)
        app = Flask("webhook")
        for rule in ("/", "/<path:_>"):
            app.add_url_rule(
                rule, endpoint=rule, view_func=lambda **_: handle(request), methods=["GET", "POST", "PUT", "DELETE"]
            )
        app.after_request(read_request)
        self.client: FlaskClient = app.test_client()

    def _build(self, app: Any) -> entry.Handler:
        self.app = app
        self.bus = app.ports.bus.bus
        self.bus.subscribe("deliveries-check", "deliveries")
        self.bus.subscribe("events-check", "payment-events")
        return intake.webhook(app)

    def post(self, body: bytes, headers: dict[str, str], path: str = "/stripe") -> Any:
        return self.client.post(path, data=body, headers=headers)

    def published(self, topic: str) -> list[dict[str, Any]]:
        name = {"deliveries": "deliveries-check", "payment-events": "events-check"}[topic]
        received = self.bus.pull(name, 1000, 60.0)
        return [json.loads(message.data) for message in received]


@pytest.fixture
def webhook(tmp_path: Path) -> Webhook:
    return Webhook(tmp_path)


def test_a_signed_delivery_is_stored_raw_and_translated_before_it_is_acknowledged(webhook: Webhook) -> None:
    delivery = stripe_delivery(NOW, "1")
    assert webhook.post(delivery.body, delivery.headers).status_code == 200
    (stored,) = webhook.published("deliveries")
    (event,) = webhook.published("payment-events")
    assert (stored["outcome"], stored["key_ids"]) == ("accepted", ["bench"])
    assert (event["kind"], event["step"], event["amount"]) == (
        "payment",
        "captured",
        {"minor": 1199, "currency": "EUR"},
    )
    assert stored["delivery_id"] == event["delivery_id"]


def test_a_forgery_is_refused_with_an_empty_401_and_leaves_nothing_behind(webhook: Webhook) -> None:
    delivery = stripe_delivery(NOW, "1")
    answer = webhook.post(delivery.body.replace(b"1199", b"0001"), delivery.headers)
    assert (answer.status_code, answer.data) == (401, b"")
    assert webhook.published("deliveries") == []


def test_a_delivery_signed_too_long_ago_is_refused_and_one_from_the_future_too(webhook: Webhook) -> None:
    for skew in (timedelta(seconds=-301), timedelta(seconds=301)):
        delivery = stripe_delivery(NOW + skew, "1")
        assert webhook.post(delivery.body, delivery.headers).status_code == 401
    for skew in (timedelta(seconds=-300), timedelta(seconds=300)):
        delivery = stripe_delivery(NOW + skew, "1")
        assert webhook.post(delivery.body, delivery.headers).status_code == 200


def test_one_trace_goes_from_the_senders_request_to_every_message_of_it(webhook: Webhook) -> None:
    delivery = stripe_delivery(NOW, "1")
    trace = f"00-{'a' * 32}-{'b' * 16}-01"
    webhook.post(delivery.body, delivery.headers | {"traceparent": trace})
    for name in ("deliveries-check", "events-check"):
        assert [message.attributes["traceparent"] for message in webhook.bus.pull(name, 10, 60.0)] == [trace]


@pytest.mark.parametrize("method", ["get", "put", "delete"])
def test_only_a_post_is_a_delivery(webhook: Webhook, method: str) -> None:
    answer = getattr(webhook.client, method)("/stripe")
    assert (answer.status_code, answer.headers["Allow"], answer.data) == (405, "POST", b"")


@pytest.mark.parametrize("path", ["/", "/adyen", "/stripe/extra", "/../stripe"])
def test_a_path_that_no_provider_owns_is_not_found(webhook: Webhook, path: str) -> None:
    delivery = stripe_delivery(NOW, "1")
    assert webhook.post(delivery.body, delivery.headers, path).status_code == 404


class Unread(io.BytesIO):
    """A body that nobody may read."""

    def read(self, size: int | None = -1, /) -> bytes:
        raise AssertionError("the body is read")

    readline = readinto = read  # type: ignore[assignment]


def test_an_oversized_body_is_refused_by_its_announced_length_without_reading_it(tmp_path: Path) -> None:
    webhook = Webhook(tmp_path, PAYIN_MAX_BODY_BYTES="1000")
    answer = webhook.client.post("/stripe", input_stream=Unread(b"x" * 1001))
    assert (answer.status_code, answer.data) == (413, b"")
    assert webhook.post(b"x" * 1000, {}).status_code == 401


@pytest.mark.parametrize(("size", "status"), [(1000, 401), (1001, 413), (100_000, 413)])
def test_a_chunked_body_is_refused_where_it_grows_too_long(tmp_path: Path, size: int, status: int) -> None:
    webhook = Webhook(tmp_path, PAYIN_MAX_BODY_BYTES="1000")
    body = io.BytesIO(b"x" * size)
    answer = webhook.client.post(
        "/stripe",
        input_stream=body,
        headers={"Transfer-Encoding": "chunked"},
        environ_overrides={"wsgi.input_terminated": True},
    )
    assert (answer.status_code, answer.data) == (status, b"")
    assert body.tell() <= 1001


@pytest.mark.parametrize("terminated", [True, False])
def test_a_body_shorter_than_announced_is_refused_whatever_the_server_makes_of_it(
    webhook: Webhook, terminated: bool
) -> None:
    delivery = stripe_delivery(NOW, "1")
    answer = webhook.client.post(
        "/stripe",
        input_stream=io.BytesIO(delivery.body),
        headers=delivery.headers,
        environ_overrides={"wsgi.input_terminated": terminated, "CONTENT_LENGTH": str(len(delivery.body) + 1)},
    )
    assert (answer.status_code, webhook.published("deliveries")) == (400, [])


@pytest.mark.parametrize(("method", "path", "status"), [("PUT", "/stripe", 405), ("POST", "/nobody", 404)])
def test_the_body_of_what_is_no_delivery_is_not_read(webhook: Webhook, method: str, path: str, status: int) -> None:
    answer = webhook.client.open(path, method=method, input_stream=Unread(b"x" * 2000))
    assert (answer.status_code, answer.data) == (status, b"")


def test_every_refusal_says_in_the_log_why(webhook: Webhook, capsys: pytest.CaptureFixture[str]) -> None:
    delivery = stripe_delivery(NOW, "1")
    webhook.post(delivery.body, {})
    webhook.post(b"x" * ((1 << 20) + 1), {})
    webhook.post(delivery.body, delivery.headers, "/adyen")
    webhook.client.get("/stripe")
    webhook.client.put("/adyen")
    webhook.post(b"", {}, f"/{'x' * 50}/4111111111111111/ana@music.example")
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    refused = [(line["status"], line["reason"]) for line in lines if line["event"] == "request_refused"]
    assert refused == [
        (401, "missing_signature"),
        (413, "too_large"),
        (404, "unknown_path"),
        (405, "method_not_allowed"),
        (405, "method_not_allowed"),
        (404, "unknown_path"),
    ]
    assert lines[-1]["path"] == f"/{'x' * 50}/[card number]"[:64]


def signed(webhook: Webhook, body: bytes) -> dict[str, str]:
    simulator = Simulator(seed=1, folder=webhook.home)
    return simulator.sign(body, NOW).headers


@pytest.fixture
def simulated(tmp_path: Path) -> Webhook:
    return Webhook(tmp_path, **Simulator(seed=1, folder=tmp_path).environment())


@pytest.mark.parametrize("body", [b"{", b"[]", b"\xff\xfe", b'{"id": "evt_1"}', b"[" * 5000])
def test_an_authentic_delivery_that_cannot_be_read_is_kept_alarmed_and_acknowledged(
    simulated: Webhook, body: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    assert simulated.post(body, signed(simulated, body)).status_code == 200
    (stored,) = simulated.published("deliveries")
    assert stored["outcome"] == "unparsed"
    assert stored["reason"]
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    (line,) = [line for line in lines if line["event"] == "delivery"]
    assert (line["severity"], line["outcome"]) == ("ERROR", "unparsed")
    assert line["ack_ms"] > 0


def test_a_type_that_nothing_of_ours_follows_is_stored_as_ignored_and_acknowledged(simulated: Webhook) -> None:
    body = json.dumps(
        {
            "id": "evt_1",
            "object": "event",
            "created": 1,
            "type": "customer.created",
            "livemode": False,
            "data": {"object": {}},
        }
    ).encode()
    assert simulated.post(body, signed(simulated, body)).status_code == 200
    assert [row["outcome"] for row in simulated.published("deliveries")] == ["ignored"]
    assert simulated.published("payment-events") == []


def test_live_data_at_a_test_endpoint_is_stored_and_never_acted_upon(simulated: Webhook) -> None:
    body = stripe_delivery(NOW, "1").body.replace(b'"livemode": false', b'"livemode": true')
    assert simulated.post(body, signed(simulated, body)).status_code == 200
    assert [row["outcome"] for row in simulated.published("deliveries")] == ["mode_mismatch"]
    assert simulated.published("payment-events") == []


def test_while_the_bus_is_down_the_provider_is_asked_to_come_again(tmp_path: Path) -> None:
    from shared.flows.ports import Message

    webhook = Webhook(tmp_path)

    class Down:
        def publish(self, messages: list[Message]) -> None:
            from shared.domain.errors import Unavailable

            raise Unavailable("the bus is down")

    object.__setattr__(webhook.app.ports, "bus", Down())
    delivery = stripe_delivery(NOW, "1")
    assert webhook.post(delivery.body, delivery.headers).status_code == 503


def test_a_card_number_in_any_field_reaches_no_log_line_and_no_event(
    simulated: Webhook, capsys: pytest.CaptureFixture[str]
) -> None:
    pan = "4111111111111111"

    def poisoned(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, bytes]]:
        """The delivery again and again, each time with another text replaced by the card number."""
        for name, member in value.items():
            if isinstance(member, dict):
                yield from poisoned(member, (*path, name))
            else:
                copy = json.loads(original)
                inner = copy
                for step in path:
                    inner = inner[step]
                inner[name] = pan
                yield ".".join((*path, name)), json.dumps(copy).encode()

    original = stripe_delivery(NOW, "1").body
    for path, body in poisoned(json.loads(original)):
        assert simulated.post(body, signed(simulated, body)).status_code == 200, path
        assert pan not in capsys.readouterr().out, path
        assert pan not in json.dumps(simulated.published("payment-events")), path
        simulated.published("deliveries")
    headers = signed(simulated, original)
    traced = f"00-{pan}-ana@music.example-01{'0' * 15}"
    for name, text in (("User-Agent", pan), ("Referer", pan), ("traceparent", pan), ("traceparent", traced)):
        simulated.post(original, headers | {name: text})
        simulated.post(original, {name: text}, f"/{pan}")
    simulated.client.post(f"/stripe?card={pan}", data=original, headers=headers)
    assert pan not in capsys.readouterr().out


def test_a_challenge_is_answered_to_whom_it_belongs_and_refused_to_others(tmp_path: Path) -> None:
    keys = json.dumps({"keys": {"integration_public_key": "integration_private_key"}})
    webhook = Webhook(tmp_path, WEBHOOK_BRAINTREE=keys)
    challenge = "bt_challenge=20f9f8ed05f77439fe955c977e4c8a53"
    answer = webhook.client.get(f"/braintree?{challenge}")
    assert (answer.status_code, answer.data) == (
        200,
        b"integration_public_key|d9b899556c966b3f06945ec21311865d35df3ce4",
    )
    assert webhook.client.get("/braintree?bt_challenge=notachallenge").status_code == 400
    assert webhook.client.get(f"/stripe?{challenge}").status_code == 405
    assert webhook.client.get(f"/adyen?{challenge}").status_code == 405
