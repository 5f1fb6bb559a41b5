"""`make dev`: every function running, in our own time, until Ctrl-C. `make send` signs and posts events to it."""

import argparse
import contextlib
import itertools
import json
import socket
import sys
import threading
import time
from pathlib import Path

import msgspec

from tests.simulator.apis import Answering, ApiSimulator, serving
from tests.simulator.endpoints import TOLD, Console, as_it_should_be
from tests.simulator.facts import Fact, ProviderSimulator
from tests.simulator.loading import load, names
from tests.simulator.providers.shaping import ApiReply
from tests.stack.identity import identity
from tests.stack.servers import Absent
from tests.stack.stack import Stack, alone, orderly, running
from tests.stack.topology import ROOT

HOME = ROOT / ".payin" / "dev"
SAID = "said.jsonl"
SEED = 1
PORT = 8080
TICK_EVERY = 60  # seconds; Cloud Scheduler's five minutes would be long to wait for
SUBSCRIPTIONS_EVERY = 3600


class Informed:
    """A provider's API that knows what `make send` has said since its last answer, and nothing before."""

    def __init__(self, simulator: ProviderSimulator, api: Answering, said: Path) -> None:
        self._simulator, self._api, self._said = simulator, api, said
        self._read = said.stat().st_size
        self._lock = threading.Lock()

    def __call__(self, method: str, path: str, headers: dict[str, str]) -> ApiReply:
        with self._lock:
            with self._said.open("rb") as file:
                file.seek(self._read)
                lines = file.readlines()
                self._read = file.tell()
            for line in lines:
                fact = msgspec.json.decode(line, type=Fact)
                if fact.attempt.provider == self._simulator.name:
                    self._simulator.requests(fact)
            return self._api(method, path, headers)


def free_port(asked: int | None) -> int:
    """The port that was asked for, which must be free; else the usual one, or the next free one, and a word about it."""
    for port in [asked] if asked else range(PORT, PORT + 100):
        with socket.socket() as one, contextlib.suppress(OSError):
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            one.bind(("127.0.0.1", port))
            if port not in (asked, PORT):
                print(f"port {PORT} is taken by another program: the webhook listens on {port}")
            return port
    raise SystemExit(f"port {asked or PORT} is taken by another program: choose another one (make dev PORT=...)")


def tell(stack: Stack) -> None:
    """What to try."""
    webhook = stack.urls["webhook"]
    print(f"webhook            {webhook}/<provider>   ({', '.join(names())})")
    for name, url in stack.urls.items():
        if name != "webhook":
            print(f"{name:<18} {url}/")
    print(f"written to         {stack.home}\n")
    print("Try:")
    print("  make send PROVIDER=stripe EVENT=charge.succeeded")
    print("  make send PROVIDER=stripe EVENT=charge.dispute.created")
    print(f"  curl -i -X POST {webhook}/stripe -d '{{}}'        # not signed: 401, and an empty body")
    push = json.dumps({"message": {"data": "e30=", "attributes": {"job": "check_deadlines"}}, "subscription": "s"})
    print(f"  curl -i -X POST {stack.urls['check_deadlines']}/ -H 'Content-Type: application/json' -d '{push}'")
    asked = {
        "request_id": "r-1",
        "provider": "stripe",
        "amount": {"minor": 999, "currency": "EUR"},
        "customer_id": "cus_1",
    }
    print(f"  curl -i -X POST {stack.urls['assess_payment']}/v1/assessments -d '{json.dumps(asked)}'")
    person = identity("ana@shop.example")["Authorization"]
    print(f"  curl -i {stack.urls['review_payment']}/v1/reviews -H 'Authorization: {person}'")
    print(f"  curl -i {stack.urls['manage_dispute']}/v1/disputes -H 'Authorization: {person}'")
    print(f"  tail -f {stack.home}/logs/*.log")
    print("Ctrl-C stops everything.", flush=True)


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.stack.dev", description=__doc__)
    parser.add_argument("--stack", choices=("embedded", "emulators"), default="embedded")
    parser.add_argument("--home", type=Path, default=HOME)
    parser.add_argument("--port", type=int, help=f"the webhook's (default {PORT}, or the next free one)")
    asked = parser.parse_args(arguments)
    home: Path = asked.home.resolve()
    with orderly(), alone(home):
        try:
            return run(asked.stack, home, free_port(asked.port))
        except Absent as missing:
            print(f"the {asked.stack} stack cannot run here: {missing}", file=sys.stderr)
            return 2


def run(kind: str, home: Path, port: int) -> int:
    """The stack, until somebody asks it to stop."""
    home.mkdir(parents=True, exist_ok=True)
    (home / SAID).touch()
    environment: dict[str, str] = {}
    print("starting every function, which takes some seconds ...", flush=True)
    with contextlib.ExitStack() as cleanup:
        for name in names():
            simulator = load(name, SEED, home / "providers")
            environment |= simulator.environment()
            if isinstance(simulator, ApiSimulator):
                api = cleanup.enter_context(serving(Informed(simulator, simulator.answer, home / SAID)))
                environment |= api.environment(name)
        consoles = {name: Console(name) for name in TOLD}
        asked: dict[str, str] = {}
        for name, console in consoles.items():
            asked |= cleanup.enter_context(serving(console.answer)).environment(name)
        own = {"watch_providers": asked}
        stack = cleanup.enter_context(
            running(kind, home, environment, ports={"webhook": port}, own=own, PAYIN_MODEL="none")
        )
        for name, console in consoles.items():
            console.endpoints.append(as_it_should_be(name, f"{stack.urls['webhook']}/{name}"))
        note = home / "running.json"
        cleanup.callback(note.unlink, missing_ok=True)
        note.write_text(json.dumps({"webhook": stack.urls["webhook"], "providers": str(home / "providers")}))
        tell(stack)
        with contextlib.suppress(KeyboardInterrupt):
            for seconds in itertools.count(1):
                time.sleep(1)
                stack.store()
                if seconds % TICK_EVERY == 0:
                    stack.tick("check_deadlines")
                    stack.tick("canary")
                if seconds % SUBSCRIPTIONS_EVERY == TICK_EVERY:
                    stack.tick("subscriptions")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
