"""`make console`: the pages, on what a demo has left, until Ctrl-C.

Of a demo, where nothing is open at the end, they show the day on which the most was under way.
Everything is as deployed but for Google's part: a stand-in lets you choose who you are, and signs it as Identity-Aware Proxy does.
What you do there is done to the demo's documents; functions that would carry it out further do not run.
"""

import argparse
import contextlib
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import urllib3

from tests.stack import front
from tests.stack.servers import free_port
from tests.stack.stack import MIDWAY, Process, orderly, virtual_now
from tests.stack.topology import ROOT

HOME = ROOT / ".payin" / "demo-embedded"
STARTS_WITHIN = 30.0


@dataclass(frozen=True, slots=True)
class Served:
    """url: where people see the pages. behind: the console itself, around the stand-in."""

    url: str
    behind: str


@contextmanager
def pages(home: Path, port: int = 0, **environment: str) -> Iterator[Served]:
    """The pages over what stands in `home`, a local stack's folder."""
    with contextlib.ExitStack() as cleanup:
        proxy = cleanup.enter_context(front.standing_in(port))
        proxy.behind = f"127.0.0.1:{free_port()}"
        source = ROOT / "functions" / "console" / "main.py"
        command = [sys.executable, "-m", "functions_framework", "--source", str(source), "--target", "console"]
        command += ["--host", "127.0.0.1", "--port", proxy.behind.rpartition(":")[2]]
        told: dict[str, str] = {"PAYIN_HOME": str(home), "THREADS": "8", **front.environment(proxy.address)}
        if (home / "clock").is_file():
            told["PAYIN_CLOCK"] = str(home / "clock")
        process = Process(command, {**told, **environment}, home / "logs" / "console.log")
        cleanup.callback(process.end)
        _wait_for(process, f"http://{proxy.behind}/")
        yield Served(f"http://{proxy.address}", f"http://{proxy.behind}")


def _wait_for(process: Process, url: str) -> None:
    http = urllib3.PoolManager(retries=False, timeout=5.0)
    until = time.monotonic() + STARTS_WITHIN
    while time.monotonic() < until and not process.ended():
        with contextlib.suppress(urllib3.exceptions.HTTPError):
            http.request("GET", url)
            return
        time.sleep(0.05)
    raise RuntimeError(f"the console does not start:\n{process.last_words()}")


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.stack.console", description=__doc__)
    parser.add_argument("--home", type=Path, default=HOME, help="what a demo or `make dev` has left")
    parser.add_argument("--port", type=int, default=8090)
    asked = parser.parse_args(arguments)
    home: Path = asked.home.resolve()
    if (home / MIDWAY).is_dir():
        home = home / MIDWAY
    if not (home / "payin.sqlite").is_file():
        print(f"nothing has run in {home}: `make demo` first, or name another --home", file=sys.stderr)
        return 2
    with orderly(), pages(home, asked.port) as served:
        url = served.url
        if (home / "clock").is_file():
            print(f"as it stood on {virtual_now(home):%d %B %Y, %H:%M} UTC, in {home}")
        print(f"{url}/_who   who are you? then\n{url}/       the pages\nCtrl-C stops them.", flush=True)
        while True:
            time.sleep(1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
