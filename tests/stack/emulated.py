"""The stack's broker on the Google Cloud SDK's emulators: real topics, real push subscriptions, Firestore, bqemulator.

The Pub/Sub emulator accepts filters and ignores them, so every function sees every message of its topic, and lets be
what is not for it. It acts on no BigQuery subscription either: the stack pulls and stores instead.
"""

import base64
import json
import re
import time
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import urllib3

from tests.stack import emulators, topology
from tests.stack.stack import Taken

PROJECT = "payin-local"
DATASET = "payin"

DRAINS_WITHIN = 300.0

_TRACE = re.compile(rb'"logging.googleapis.com/trace":"[^"]*/([0-9a-f]{32})"')
_PUBLISHED = re.compile(rb'"event":"(?:delivery|resource_fetched)",.*"events":([0-9]+)')
_TOLD = re.compile(rb'"event":"(?:payment_assessed|alert_heard)"')
_ANSWER_ASKED = re.compile(rb'"event":"answer_asked",')
# What is announced is either sent at once or waits, and says so.
_ANSWER_LEFT = re.compile(
    rb'"event":"(?:answer_(?:waits|ignored|delayed|parked|lost_to_another)|dispute_answered",.*"outcome":"(?!announced))'
)
_OF_DISPUTE = re.compile(rb'"dispute_id":"([^"]*)"')
# A tick's last line, of a job that logs what it does on the way.
_LAST = {"check_deadlines": re.compile(rb'"event":"reviews_checked"')}
_NOT_DONE = re.compile(rb'"event":"(dependency_unavailable|request_failed|message_unreadable)"')


class Traces:
    """What functions still have to do, by their logs: the emulator tells no backlog.

    A message carries the trace of the request that published it, and whoever handles it logs one line under that trace
    that names its event. The webhook and `fetch_resource`, which publish events, say how many; `assess_payment`, and
    `manage_dispute` of an alert, publish one.
    `check_deadlines` names each dispute that it has answered, and `respond_dispute` each with which it is done for now.
    """

    def __init__(self, logs: Path, followers: Collection[str]) -> None:
        self._logs = logs
        self._followers = tuple(followers)
        self._read: Counter[str] = Counter()
        # By function and trace: how many messages there are, and how many were handled.
        self._told: Counter[tuple[str, bytes]] = Counter()
        self._done: Counter[tuple[str, bytes]] = Counter()
        self._open: set[tuple[str, bytes]] = set()

    def expect(self, function: str, trace: str) -> None:
        self._tell(function, trace.encode(), 1)

    def _tell(self, function: str, trace: bytes, messages: int) -> None:
        self._told[function, trace] += messages
        self._open.add((function, trace))

    def left(self) -> dict[str, int]:
        """Messages that a function has not logged, by function."""
        for function in dict.fromkeys(
            ["webhook", "assess_payment", "manage_dispute", *self._followers, *(function for function, _ in self._told)]
        ):
            for line in self._lines(function):
                self._learn(function, line)
        left: Counter[str] = Counter()
        for one in list(self._open):
            missing = self._told[one] - self._done[one]
            if missing > 0:
                left[one[0]] += missing
            else:
                self._open.discard(one)
        return dict(left)

    def _learn(self, function: str, line: bytes) -> None:
        trace = _TRACE.search(line)
        if not trace or _NOT_DONE.search(line):
            return
        published = _PUBLISHED.search(line)
        if published or _TOLD.search(line):
            for follower in self._followers:
                self._tell(follower, trace[1], int(published[1]) if published else 1)
        if _ANSWER_ASKED.search(line):
            self._tell("respond_dispute", _of_dispute(trace[1], line), 1)
        if function == "respond_dispute":
            if _ANSWER_LEFT.search(line):
                self._done[function, _of_dispute(trace[1], line)] += 1
        # Of a tick no event is named.
        elif b'"event_id":' in line or (
            function not in self._followers and (function not in _LAST or _LAST[function].search(line))
        ):
            self._done[function, trace[1]] += 1

    def _lines(self, function: str) -> list[bytes]:
        """Whole lines that were added since the last look."""
        with (self._logs / f"{function}.log").open("rb") as file:
            file.seek(self._read[function])
            new = file.read()
        whole = new[: new.rfind(b"\n") + 1]
        self._read[function] += len(whole)
        return whole.splitlines()


def _of_dispute(trace: bytes, line: bytes) -> bytes:
    """One tick asks for the answers to many disputes."""
    named = _OF_DISPUTE.search(line)
    return trace + b"/" + (named[1] if named else b"")


class EmulatedBroker:
    """Topics and subscriptions through Pub/Sub's REST interface, which is the emulator's too."""

    def __init__(self, home: Path, hosts: Mapping[str, str], providers: Sequence[str]) -> None:
        self._home = home
        self._providers = providers
        self._hosts = dict(hosts)
        self._origin = f"http://{hosts['PUBSUB_EMULATOR_HOST']}/v1"
        self._http = urllib3.PoolManager(retries=False, timeout=urllib3.Timeout(connect=5, read=60))
        self._pushed: list[str] = []
        followers = {own.function for own in topology.pushed() if own.function and own.topic == "payment-events"}
        self._traces = Traces(home / "logs", followers)

    @classmethod
    @contextmanager
    def started(cls, home: Path, providers: Sequence[str]) -> Iterator["EmulatedBroker"]:
        """With emulators of its own, which stop at the end. Raises Absent where the machine lacks them."""
        with emulators.running(home / "logs") as hosts:
            yield cls(home, hosts, providers)

    def environment(self) -> dict[str, str]:
        return {
            "PAYIN_BACKEND": "gcp",
            "GOOGLE_CLOUD_PROJECT": PROJECT,
            "PAYIN_DATASET": DATASET,
            "PAYIN_MODEL_BUCKET": (self._home / "models").as_uri(),
            "PAYIN_EVIDENCE_BUCKET": (self._home / "evidence").as_uri(),
            **self._hosts,
        }

    def prepare(self) -> None:
        from shared.backends.gcp.warehouse import BigQueryWarehouse

        BigQueryWarehouse(PROJECT, DATASET, self._hosts["BIGQUERY_EMULATOR_HOST"]).ensure_tables()
        for topic in [*topology.topics(self._providers), *topology.dead_letters()]:
            self._put(f"projects/{PROJECT}/topics/{topic}", {})
        for own in [*(own for _, own in topology.stored(self._providers)), *topology.pulled()]:
            self._subscribe(own.name, own.address, {})
        for name in topology.dead_letters():
            self._subscribe(name, name, {})

    def push_to(self, urls: Mapping[str, str]) -> None:
        seen: set[tuple[str, str]] = set()
        for own in topology.pushed(self._providers):
            assert own.function is not None
            if (own.function, own.address) in seen:
                continue  # without filters, the one beside would deliver everything a second time
            seen.add((own.function, own.address))
            told = {
                "pushConfig": {"pushEndpoint": urls[own.function]},
                "filter": own.filter,
                "deadLetterPolicy": {
                    "deadLetterTopic": f"projects/{PROJECT}/topics/{own.dead_letters}",
                    "maxDeliveryAttempts": topology.TRIES,
                },
            }
            self._subscribe(own.name, own.address, told)
            self._pushed.append(own.name)

    def take(self, name: str, limit: int) -> list[Taken]:
        at = f"projects/{PROJECT}/subscriptions/{name}"
        answer = self._call("POST", f"{at}:pull", {"maxMessages": limit, "returnImmediately": True})
        received = answer.get("receivedMessages", [])
        if received:
            self._call("POST", f"{at}:acknowledge", {"ackIds": [one["ackId"] for one in received]})
        return [
            Taken(
                message["messageId"],
                datetime.fromisoformat(message["publishTime"]),
                base64.b64decode(message.get("data", "")),
                message.get("attributes", {}),
            )
            for message in (one["message"] for one in received)
        ]

    def expect(self, function: str, trace: str) -> None:
        self._traces.expect(function, trace)

    def drain(self) -> None:
        until = time.monotonic() + DRAINS_WITHIN
        while left := self._traces.left():
            if time.monotonic() > until:
                raise TimeoutError(f"messages do not drain: {left}; see {self._home}/logs")
            time.sleep(0.01)

    def close(self) -> None:
        for name in self._pushed:  # or the emulator would go on knocking at closed doors
            self._call("DELETE", f"projects/{PROJECT}/subscriptions/{name}", None)

    def _subscribe(self, name: str, topic: str, told: Mapping[str, Any]) -> None:
        subscription = {"topic": f"projects/{PROJECT}/topics/{topic}", "ackDeadlineSeconds": 60, **told}
        self._put(f"projects/{PROJECT}/subscriptions/{name}", subscription)

    def _put(self, path: str, told: Mapping[str, Any]) -> None:
        self._call("PUT", path, told)

    def _call(self, method: str, path: str, told: Mapping[str, Any] | None) -> dict[str, Any]:
        body = None if told is None else json.dumps(told).encode()
        headers = {"Content-Type": "application/json"}
        answer = self._http.request(method, f"{self._origin}/{path}", body=body, headers=headers)
        if answer.status != 200:
            raise RuntimeError(
                f"the Pub/Sub emulator answers {answer.status} to {method} {path}: {answer.data[:300]!r}"
            )
        read: dict[str, Any] = json.loads(answer.data)
        return read
