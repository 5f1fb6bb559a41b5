"""A small shop behind its functions' own handlers: what they answer decides what becomes of a message, as at Pub/Sub; and
`payin` beside it."""

import base64
import json
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from flask import Flask, request
from typer.testing import Result

from shared.flows.ports import Pulled
from shared.flows.score_payment import score_payment
from shared.flows.scorer import Scorer
from shared.runtime import entry, intake, logs
from shared.runtime.app import App
from tests.cli import calling
from tests.cli.shop import SECOND, Shop
from tests.providers.kits import NOON, a_dispute, a_fact, an_attempt
from tests.runtime.test_tracing import recording, tracking
from tests.simulator.facts import Fact, FactKind, SignedRequest
from tests.stack import topology

PROVIDER = "stripe"
SOLD = 2
"""Payments that a day of the shop has; the last one is disputed."""


def scoring(app: App) -> entry.Handler:
    scorer = Scorer()
    return entry.consume(lambda event: score_payment(event, app.ports, app.now(), scorer))


class Stage:
    """One provider, its webhook, the three consumers of its events, and what they have logged."""

    def __init__(self, home: Path, now: datetime = NOON) -> None:
        self.shop = Shop(home, now, served=(PROVIDER,))
        self.home = home
        self.environment = dict(self.kit.simulator.environment())
        (home / "logs").mkdir()
        self.restart()

    @property
    def kit(self) -> Any:
        return self.shop.kit(PROVIDER)

    def restart(self) -> None:
        """New instances of every function, by the environment of now."""
        told = {
            "PAYIN_HOME": str(self.home),
            "PAYIN_CLOCK": str(self.home / "clock"),
            "PAYIN_ASSESSMENTS": "off",
            **self.environment,
        }
        builds: Mapping[str, Any] = {
            "webhook": intake.webhook,
            "record_payment": recording,
            "score_payment": scoring,
            "track_dispute": tracking,
        }
        self.doors = {name: _door(name, entry.start(name, build, told)) for name, build in builds.items()}

    def at(self, now: datetime) -> None:
        self.shop.at(now)

    def later(self, time: timedelta) -> None:
        self.at(self.shop.now + time)

    # What providers do.

    def requests(self, fact: Fact) -> list[SignedRequest]:
        return [self.kit.simulator.sign(body, self.shop.now) for body in self.kit.simulator.requests(fact)]

    def send(self, *requests: SignedRequest) -> list[int]:
        return [self._post("webhook", one.path, one.headers, one.body) for one in requests]

    def sells(self, number: int = SOLD) -> list[Fact]:
        """Facts of a day: so many payments of people who have nothing in common, the last one disputed. (Of one card a decision
        may know of a dispute that came before it in a wave, and is then another one for a reason.)"""
        found = []
        for one in range(number):
            card = replace(an_attempt().card, token=f"card-{one}")
            whose = {"customer": f"customer-{one}", "device": f"device-{one}", "ip": f"198.51.100.{one}", "card": card}
            attempt = an_attempt(id=f"attempt-{one}", email=f"c{one}@shop.example", at=self.shop.now, **whose)
            kinds = [FactKind.AUTHORIZED, FactKind.CAPTURED] + [FactKind.DISPUTE_OPENED] * (one == number - 1)
            found += [
                a_fact(kind, attempt, at=self.shop.now + place * SECOND, dispute=a_dispute(id=f"dispute-{one}"))
                for place, kind in enumerate(kinds)
            ]
        return found

    def happens(self, *facts: Fact) -> None:
        """Each is told as it happens, heard, and stored."""
        for fact in facts:
            self.later(SECOND)
            assert self.send(*self.requests(fact)) == [200] * len(self.requests(fact))
            self.push()
        self.shop.store()

    # What Pub/Sub does.

    def push(self, rounds: int = 1) -> None:
        """Every message that waits is offered once a round; what is not taken waits for the next one."""
        for _ in range(rounds):
            for own in topology.pushed([PROVIDER]):
                if own.function in self.doors:
                    for one in self.shop.bus.pull(own.name, 1000, 600):
                        taken = self._offer(str(own.function), one)
                        (self.shop.bus.ack if taken else self.shop.bus.nack)(own.name, [one.ack_id])

    def _offer(self, function: str, one: Pulled) -> bool:
        message = {"data": base64.b64encode(one.data).decode(), "attributes": dict(one.attributes)}
        body = json.dumps({"message": message, "subscription": "s"}).encode()
        return 200 <= self._post(function, "/", {}, body) < 300

    def _post(self, function: str, path: str, headers: Mapping[str, str], body: bytes) -> int:
        with self._logging(function):
            status: int = self.doors[function].test_client().post(path, headers=headers, data=body).status_code
            return status

    @contextmanager
    def _logging(self, function: str) -> Iterator[None]:
        log = logging.getLogger("payin")
        before = log.handlers
        handler = logging.FileHandler(self.home / "logs" / f"{function}.log")
        handler.setFormatter(logs.CloudLogging(function, "local", lambda: self.shop.now))
        log.handlers = [handler]
        try:
            yield
        finally:
            log.handlers = before
            handler.close()

    # What people see and do.

    def payin(self, *arguments: str, answer: str | None = None) -> Result:
        return calling.payin(self.home, *arguments, answer=answer)

    def done(self, *arguments: str, answer: str | None = None) -> None:
        result = self.payin(*arguments, "--yes", "-r", "a drill", answer=answer)
        assert result.exit_code == 0, result.output

    def told(self, *arguments: str) -> Any:
        return calling.told(self.home, *arguments)

    def facts(self, *names: str, since: str = "7d") -> list[str]:
        return [one["event"] for one in self.told("facts", *names, "--since", since, "--limit", "1000")]

    def outcomes(self) -> dict[str, str]:
        """Payment to what was decided on it."""
        found = self.shop.ports.documents.scan("decisions", 1000)
        named = [(one.key.id, self.told("why", one.key.id)["decision"]["outcome"]) for one in found]
        return dict(named)

    def state(self) -> dict[str, Any]:
        """What stands in the end, without when we came to know it."""
        names = [one.key.id for one in self.shop.ports.documents.scan("payments", 1000)]
        stories = {name: self.told("trace", name) for name in names}
        return {
            name: (story["state"], sorted(story["names"]), story["doubts"], _heard(story))
            for name, story in stories.items()
        }


def _heard(story: dict[str, Any]) -> set[tuple[str, str]]:
    """A decision is by whichever event of its attempt came first, and a label is told anew when its case knows more."""
    told = ((one["kind"], one["id"] if one["kind"] == "event" else "") for one in story["moments"])
    return {one for one in told if one[0] in ("event", "decision", "label")}


def _door(name: str, handle: entry.Handler) -> Flask:
    app = Flask(name)
    app.add_url_rule("/", "root", lambda: handle(request), methods=["POST"])
    app.add_url_rule("/<path:_>", "path", lambda _: handle(request), methods=["POST"])
    return app


def calm(home: Path) -> dict[str, Any]:
    """The state after a day on which nothing breaks."""
    stage = Stage(home)
    stage.happens(*stage.sells())
    return stage.state()
