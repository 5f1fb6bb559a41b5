"""Spans of a share of the traces: linked from the provider's request to the decision, sent where nobody waits for them."""

import json
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from shared.domain.errors import Misconfigured, Unavailable
from shared.runtime import intake, spans
from shared.runtime.spans import BATCH, WAITING, Spans, joined
from shared.settings import read
from tests.providers.kits import NOON, a_fact, a_kit
from tests.runtime.test_tracing import TRACE, TRACEPARENT, Stack, recording, scoring
from tests.simulator.facts import FactKind

SPAN = "00f067aa0ba902b7"


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spans, "GATHERED", 0.01)


def within(seconds: float, found: Callable[[], Any]) -> Any:
    """What is found, as soon as there is something."""
    until = time.monotonic() + seconds
    while not (something := found()) and time.monotonic() < until:
        time.sleep(0.01)
    return something


def told_of(folder: Path) -> list[dict[str, Any]]:
    """Each span, with the function whose it is."""
    found = []
    for line in (line for file in folder.glob("spans/*.jsonl") for line in file.read_text().splitlines()):
        [resource] = json.loads(line)["resourceSpans"]
        names = {one["key"]: one["value"]["stringValue"] for one in resource["resource"]["attributes"]}
        found += [{**one, "function": names["service.name"]} for one in resource["scopeSpans"][0]["spans"]]
    return found


def test_one_trace_from_the_webhook_to_the_decision_has_linked_spans(tmp_path: Path) -> None:
    kit = a_kit("stripe", tmp_path)
    stack = Stack(tmp_path, {**kit.simulator.environment(), "PAYIN_SPANS": "1"})
    [body, *_] = kit.simulator.requests(a_fact(FactKind.AUTHORIZED))
    signed = kit.simulator.sign(body, NOON)
    headers = {**signed.headers, "traceparent": TRACEPARENT}
    assert stack.post("webhook", intake.webhook, signed.path, headers, signed.body) == 200
    [event] = stack.pulled("payment-events")
    for function, build in {"record_payment": recording, "score_payment": scoring}.items():
        assert stack.push(function, build, event) == 204
    [decision] = stack.pulled("fraud-decisions")
    assert len(within(5, lambda: told if len(told := told_of(tmp_path)) == 3 else [])) == 3
    by = {one["function"]: one for one in told_of(tmp_path)}
    assert {one["traceId"] for one in by.values()} == {TRACE}
    assert by["webhook"]["parentSpanId"] == SPAN
    assert {by[name]["parentSpanId"] for name in ("record_payment", "score_payment")} == {by["webhook"]["spanId"]}
    assert len({one["spanId"] for one in by.values()}) == 3
    assert (by["webhook"]["kind"], by["score_payment"]["kind"]) == (spans.SERVER, spans.CONSUMER)
    assert all(int(one["startTimeUnixNano"]) < int(one["endTimeUnixNano"]) for one in by.values())
    # Whoever follows decisions goes on from there.
    assert decision.attributes["traceparent"].split("-")[2] == by["score_payment"]["spanId"]


def test_a_trace_is_kept_by_all_or_by_none_and_as_many_as_the_share_says() -> None:
    half, tenth = (Spans("webhook", "p", share, lambda _: None) for share in (0.5, 0.1))
    traces = [f"{'0' * 16}{(number * 0x9E3779B97F4A7C15) % (1 << 64):016x}" for number in range(4000)]
    assert sum(map(half.kept, traces)) == pytest.approx(2000, abs=60)
    assert sum(map(tenth.kept, traces)) == pytest.approx(400, abs=40)
    assert all(half.kept(one) for one in traces if tenth.kept(one))


def test_what_is_not_kept_travels_as_it_came() -> None:
    none, nearly = Spans("webhook", "p", 0.0, lambda _: None), Spans("webhook", "p", 1e-9, lambda _: None)
    for one in (none, nearly):
        with one.request() as told:
            assert joined(TRACEPARENT) == TRACEPARENT
            told(200)
        assert not one._waiting


def test_a_stranger_chooses_no_trace_of_ours_and_a_failure_is_told() -> None:
    sent: list[bytes] = []
    kept = Spans("webhook", "p", 1.0, sent.append)
    for status in (401, 404, 500):
        with kept.request() as told:
            joined(TRACEPARENT)
            told(status)
    [span] = json.loads(within(5, lambda: sent)[0])["resourceSpans"][0]["scopeSpans"][0]["spans"]
    assert (span["status"], span["attributes"][0]["value"]) == ({"code": 2}, {"intValue": "500"})


def test_what_begins_here_has_no_parent() -> None:
    sent: list[bytes] = []
    kept = Spans("webhook", "p", 1.0, sent.append)
    with kept.request() as told:
        assert joined(TRACEPARENT, first=True) == TRACEPARENT
        told(200)
    [span] = json.loads(within(5, lambda: sent)[0])["resourceSpans"][0]["scopeSpans"][0]["spans"]
    assert (span["spanId"], span["parentSpanId"]) == (SPAN, "")


def test_nobody_waits_for_who_takes_spans_and_what_is_left_out_is_counted(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    going, told_facts = threading.Event(), []

    def down(_: bytes) -> None:
        going.wait(10)
        raise Unavailable("nobody answers", reason="google_unavailable")

    monkeypatch.setattr(spans, "fact", lambda event, **fields: told_facts.append((event, fields)))
    kept = Spans("webhook", "p", 1.0, down)
    began = time.perf_counter()
    for _ in range(WAITING + BATCH + 100):
        with kept.request() as told:
            joined(TRACEPARENT)
            told(200)
    assert time.perf_counter() - began < 1.0
    going.set()
    within(5, lambda: sum(fields["spans"] for _, fields in told_facts) >= WAITING + BATCH + 100)
    assert {event for event, _ in told_facts} == {"spans_left_out"}
    assert sum(fields["spans"] for _, fields in told_facts) == WAITING + BATCH + 100


@pytest.mark.parametrize("text", ["2", "-0.1", "nan", "often"])
def test_a_share_that_is_none_ends_a_revision_before_it_serves(text: str) -> None:
    with pytest.raises(Misconfigured, match="PAYIN_SPANS"):
        read({"PAYIN_SPANS": text})
