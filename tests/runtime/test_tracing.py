"""One trace from a provider's request to the decision, or to the dispute, that it led to."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from flask import Flask, request

from shared.flows.ports import Bus
from shared.flows.record_payment import record_payment
from shared.flows.score_payment import score_payment
from shared.flows.scorer import Scorer
from shared.flows.track_dispute import track_dispute
from shared.runtime import assessments, entry, intake
from shared.runtime.app import App
from shared.runtime.entry import Handler
from tests.providers.kits import NOON, a_fact, a_kit
from tests.simulator.facts import FactKind

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
TRACEPARENT = f"00-{TRACE}-00f067aa0ba902b7-01"


def recording(app: App) -> Handler:
    return entry.consume(lambda event: record_payment(event, app.ports, app.now()))


def scoring(app: App) -> Handler:
    scorer = Scorer(use_model=False)
    return entry.consume(lambda event: score_payment(event, app.ports, app.now(), scorer))


def tracking(app: App) -> Handler:
    return entry.consume(lambda event: track_dispute(event, app.ports, app.now()))


class Stack:
    """Functions on one local backend, at a standing clock; what is published waits for `pulled`."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        (folder / "clock").write_text(NOON.isoformat())
        self._settings = {
            "PAYIN_HOME": str(folder),
            "PAYIN_CLOCK": str(folder / "clock"),
            "GOOGLE_CLOUD_PROJECT": "shop",
            **environment,
        }
        self.bus: Any = self._bus()

    def _bus(self) -> Bus:
        bus: Any = App("test", self._settings).ports.bus
        for topic in ("payment-events", "fraud-decisions", "dispute-updates"):
            bus.bus.subscribe(topic, topic)
        inner: Bus = bus.bus
        return inner

    def post(self, function: str, build: Any, path: str, headers: dict[str, str], body: bytes) -> int:
        handle = entry.start(function, build, self._settings)
        app = Flask(function)
        app.add_url_rule("/", "root", lambda: handle(request), methods=["POST"])
        app.add_url_rule("/<path:_>", "path", lambda _: handle(request), methods=["POST"])
        return app.test_client().post(path, headers=headers, data=body).status_code

    def push(self, function: str, build: Any, message: Any) -> int:
        """As Pub/Sub does: a request of its own, with a trace of its own; ours is in the message."""
        pushed = {"data": base64.b64encode(message.data).decode(), "attributes": dict(message.attributes)}
        body = json.dumps({"message": pushed, "subscription": "s"}).encode()
        return self.post(function, build, "/", {"traceparent": f"00-{'1' * 32}-{'2' * 16}-01"}, body)

    def pulled(self, topic: str) -> list[Any]:
        return list(self.bus.pull(topic, 100, 60.0))


@pytest.mark.parametrize(
    ("kind", "consumers", "topic", "told"),
    [
        (
            FactKind.AUTHORIZED,
            {"record_payment": recording, "score_payment": scoring},
            "fraud-decisions",
            {"delivery", "payment_recorded", "payment_judged"},
        ),
        (
            FactKind.DISPUTE_OPENED,
            {"track_dispute": tracking},
            "dispute-updates",
            {"delivery", "dispute_tracked"},
        ),
    ],
)
def test_one_trace_goes_from_the_providers_request_to_what_became_of_it(
    kind: FactKind,
    consumers: dict[str, Any],
    topic: str,
    told: set[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    kit = a_kit("stripe", tmp_path)
    stack = Stack(tmp_path, kit.simulator.environment())
    [body, *_] = kit.simulator.requests(a_fact(kind))
    signed = kit.simulator.sign(body, NOON)
    headers = {**signed.headers, "traceparent": TRACEPARENT}
    assert stack.post("webhook", intake.webhook, signed.path, headers, signed.body) == 200
    [event] = stack.pulled("payment-events")
    for function, build in consumers.items():
        assert stack.push(function, build, event) == 204
    [outcome] = stack.pulled(topic)
    assert outcome.attributes["traceparent"] == TRACEPARENT
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    traced = {line["event"]: line.get("logging.googleapis.com/trace") for line in lines}
    assert {event: traced[event] for event in told} == dict.fromkeys(told, f"projects/shop/traces/{TRACE}")


def test_one_trace_goes_from_a_request_before_authorisation_to_its_published_decision(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stack = Stack(tmp_path, {"PAYIN_MODEL": "none"})
    asked = {"request_id": "r-1", "provider": "stripe", "amount": {"minor": 999, "currency": "EUR"}, "budget_ms": 1000}
    body = json.dumps(asked).encode()
    assert stack.post("assess_payment", assessments.door, assessments.PATH, {"traceparent": TRACEPARENT}, body) == 200
    [event] = stack.pulled("payment-events")
    assert stack.push("score_payment", scoring, event) == 204
    [outcome] = stack.pulled("fraud-decisions")
    assert outcome.attributes["traceparent"] == TRACEPARENT
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    told = [line for line in lines if line["event"] in ("payment_assessed", "assessment_published")]
    assert {line["logging.googleapis.com/trace"] for line in told} == {f"projects/shop/traces/{TRACE}"}
    assert [line["event"] for line in told] == ["payment_assessed", "assessment_published"]
    assert told[1]["counted_late"] is False
