"""Whoever answers a dispute is killed after every single step it takes, and is asked again: the provider has one answer.

The sender is a real process with its real transport, killed by SIGKILL; the provider's desk is another process, which knows
nothing of that; documents, messages and evidence are SQLite and files, or what stands on the Google Cloud SDK's emulators.
"""

import json
import multiprocessing
import signal
import uuid
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pytest
import urllib3

from shared import providers, settings
from shared.domain.answers import Act, Contest
from shared.domain.api import ApiAnswer, ApiCredentials, ApiRequest
from shared.domain.codec import decode, encode
from shared.domain.disputes import AnswerAsked, AnswerState
from shared.domain.evidence import Item
from shared.flows.ports import Ports
from shared.flows.respond_dispute import respond_dispute
from shared.runtime.apis import Apis, ProviderApi
from tests.builders import MINUTE
from tests.crashing import Steps, stepping
from tests.flows.branches import a_clerk, answer_to, example, opened
from tests.simulator.answering import NOON, a_document, a_packet, desk_of
from tests.simulator.desks import ApiCall, Desk, open_desk
from tests.simulator.providers.shaping import ApiReply

# An idempotency key; none, and the answer is known again by what is read back; none, and files go first.
PROVIDERS = ("stripe", "paypal", "square")
TOPICS = ("dispute-actions", "dispute-updates", "fraud-labels")
MOST_STEPS = 60
# One of each kind: where every text is a step, more of them are more of the same.
PACKET = a_packet(texts={Item.USAGE: "Played on 12 days after the payment."}, documents=(a_document(Item.USAGE),))

# Forked from a server that has imported everything: a real process, without the start of a new interpreter.
_processes = multiprocessing.get_context("forkserver")
_processes.set_forkserver_preload(
    [
        *("pytest", "tests.flows.test_crashes", "tests.flows.test_answers_killed", "shared.backends.local.bus"),
        *("shared.backends.local.documents", "shared.backends.gcp.rest_documents", "shared.backends.gcp.bus"),
        *("shared.learning.fit", "shared.learning.evaluate", "shared.backends.local.warehouse"),
    ]
)


class _Renewed:
    """A desk that is another one for each run."""

    def __init__(self, name: str) -> None:
        self.NAME = name
        self.renew()

    def renew(self) -> None:
        self._desk: Desk = desk_of(self.NAME).DESK()
        self._desk.open(example(self.NAME))
        self.taken = self._desk.taken

    def open(self, contest: Contest) -> None:
        self._desk.open(contest)

    def reply(self, call: ApiCall) -> ApiReply:
        return self._desk.reply(call)


def keep_a_desk(name: str, told: Connection) -> None:
    """The other process: its address first, and then what it took of each run, whenever that is asked for."""
    desk = _Renewed(name)
    with open_desk(desk, NOON) as running:
        told.send(running.url)
        while told.recv():
            told.send([one.act for one in desk.taken])
            desk.renew()


@pytest.fixture(params=PROVIDERS)
def desk(request: pytest.FixtureRequest) -> Iterator[tuple[str, str, Callable[[], list[Act]]]]:
    """(the provider, where its desk is, what that took since the last time we asked)."""
    ours, theirs = _processes.Pipe()
    process = _processes.Process(target=keep_a_desk, args=(request.param, theirs), daemon=True)
    process.start()

    def taken() -> list[Act]:
        ours.send(True)
        told: list[Act] = ours.recv()
        return told

    yield request.param, ours.recv(), taken
    ours.send(False)
    process.join(10)


@pytest.fixture(params=["sqlite", pytest.param("emulators", marks=pytest.mark.emulators)])
def stack(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], dict[str, str]]:
    """The settings of an empty backend, another one on every call."""
    if request.param == "sqlite":
        return lambda: {"PAYIN_HOME": str(tmp_path / uuid.uuid4().hex)}
    hosts = {name: request.getfixturevalue(name) for name in ("firestore_emulator", "pubsub_emulator")}

    def emulated() -> dict[str, str]:
        project = f"payin-{uuid.uuid4().hex[:12]}"
        for topic in TOPICS:
            url = f"http://{hosts['pubsub_emulator']}/v1/projects/{project}/topics/{topic}"
            assert urllib3.request("PUT", url, json={}).status in (200, 409)
        return {
            "PAYIN_BACKEND": "gcp",
            "GOOGLE_CLOUD_PROJECT": project,
            "PAYIN_EVIDENCE_BUCKET": (tmp_path / project).as_uri(),
            "FIRESTORE_EMULATOR_HOST": hosts["firestore_emulator"],
            "PUBSUB_EMULATOR_HOST": hosts["pubsub_emulator"],
        }

    return emulated


class _Stepping:
    """A provider's API, each of whose answers is a step."""

    def __init__(self, api: ProviderApi, steps: Steps) -> None:
        self._api = api
        self._steps = steps

    def credentials(self, *, livemode: bool) -> ApiCredentials:
        return self._api.credentials(livemode=livemode)

    def send(self, request: ApiRequest, *, once: bool = False) -> ApiAnswer:
        answer = self._api.send(request, once=once)
        self._steps.take()
        return answer


def connected(environment: Mapping[str, str]) -> Ports:
    if environment.get("PAYIN_BACKEND") == "gcp":
        from shared.backends.gcp import connect
    else:
        from shared.backends.local import connect
    return connect(settings.read(environment))


def respond(environment: Mapping[str, str], message: bytes, now: datetime, kill_after: int | None = None) -> None:
    """One delivery of `message`. Over without an exception, it is acknowledged."""
    asked, steps = decode(message, AnswerAsked), Steps(kill_after)
    ports = stepping(connected(environment), steps)
    module: Any = providers.load_answer(asked.provider)
    api = _Stepping(Apis(settings.read(environment))(module), steps)
    respond_dispute(asked, ports, a_clerk(asked.provider, api, ports, PACKET), lambda: now)


def test_killed_after_any_step_a_process_has_given_one_answer_when_its_message_comes_again(
    desk: tuple[str, str, Callable[[], list[Act]]], stack: Callable[[], dict[str, str]]
) -> None:
    name, url, taken = desk
    for step in range(1, MOST_STEPS):
        api = {"key": desk_of(name).KEY, "base_url": url}
        environment = {**stack(), f"API_{name.upper()}": json.dumps(api)}
        ports = connected(environment)
        asked = opened(name, ports, NOON)
        child = _processes.Process(target=respond, args=(environment, encode(asked), NOON, step))
        child.start()
        child.join(60)
        if child.exitcode == 0:
            break
        assert child.exitcode == -signal.SIGKILL
        # Once at once, while the dead one's lease holds; then by the clock.
        for minutes in (0, 11, 60):
            respond(environment, encode(asked), NOON + minutes * MINUTE)
        assert (step, taken()) == (step, [Act.SUBMIT])
        assert (step, answer_to(asked, ports).state) == (step, AnswerState.TAKEN)
    # To read, to decide, to tell, to keep the evidence, to say what is about to be sent, to send it, to say so.
    assert step > 12
    assert taken() == [Act.SUBMIT]
