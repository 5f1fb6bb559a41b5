"""`make dev`: every function running, in our own time, until Ctrl-C. `make send` signs and posts events to it."""

import argparse
import contextlib
import json
import signal
import socket
import sys
import threading
from pathlib import Path

import msgspec

from tests.simulator.apis import Answering, ApiSimulator, serving
from tests.simulator.facts import Fact, ProviderSimulator
from tests.simulator.loading import load, names
from tests.simulator.providers.shaping import ApiReply
from tests.stack.stack import Stack, running
from tests.stack.topology import ROOT

HOME = ROOT / ".payin" / "dev"
SAID = "said.jsonl"
SEED = 1
TICK_EVERY = 60.0  # seconds; Cloud Scheduler's five minutes would be long to wait for


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


def free_from(port: int) -> int:
    """`port`, or the next one that nobody listens on."""
    while True:
        with socket.socket() as one, contextlib.suppress(OSError):
            one.bind(("127.0.0.1", port))
            return port
        port += 1


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
    print(f"  tail -f {stack.home}/logs/*.log")
    print("Ctrl-C stops everything.", flush=True)


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.stack.dev", description=__doc__)
    parser.add_argument("--stack", choices=("embedded", "emulators"), default="embedded")
    parser.add_argument("--home", type=Path, default=HOME)
    parser.add_argument("--port", type=int, default=8080, help="the webhook's, or the next free one")
    asked = parser.parse_args(arguments)
    home: Path = asked.home.resolve()
    home.mkdir(parents=True, exist_ok=True)
    (home / SAID).touch()
    environment: dict[str, str] = {}
    stopped = threading.Event()
    for one in (signal.SIGINT, signal.SIGTERM):
        signal.signal(one, lambda *_: stopped.set())
    ports = {"webhook": free_from(asked.port)}
    with contextlib.ExitStack() as cleanup:
        for name in names():
            simulator = load(name, SEED, home / "providers")
            environment |= simulator.environment()
            if isinstance(simulator, ApiSimulator):
                api = cleanup.enter_context(serving(Informed(simulator, simulator.answer, home / SAID)))
                environment |= api.environment(name)
        stack = cleanup.enter_context(running(asked.stack, home, environment, ports=ports, PAYIN_MODEL="none"))
        note = home / "running.json"
        note.write_text(json.dumps({"webhook": stack.urls["webhook"], "providers": str(home / "providers")}))
        tell(stack)
        waited = 0.0
        while not stopped.wait(1):
            stack.store()
            waited += 1
            if waited % TICK_EVERY == 0:
                stack.tick("check_deadlines")
        note.unlink()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
