"""The door before authorisation, beside two bare handlers that wait for no message either, and where its time goes.

`the same round trips`: one batched read of as many documents and one commit of as many documents, sums and bytes, by the same
client; nothing is made of what is read. `the same by Google's client`: as its documentation shows them, where there is a Firestore.
Target: at most 1.5 times its time. `the least`: the same documents with one sum in
each, which is less than any door could read and write. The door judges by a model of 200 trees, publishes a message beside
its commit, and its budget is as large as any caller's.

And the door's cold start, with a model and without, beside a bare hello-world.
"""

import json
import random
import time
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

import urllib3
from rich.console import Console
from rich.progress import track
from rich.table import Table

from shared.flows.ports import Create
from shared.flows.scorer import CHAMPION
from shared.flows.train_model import COLUMNS
from shared.runtime.app import App
from shared.runtime.assessments import LONGEST_BUDGET, PATH
from tests.benchmarks.acknowledgement import FIGURES
from tests.benchmarks.cold_start import HELLO
from tests.benchmarks.servers import Request, Start, beside, cold_start, load, serve
from tests.benchmarks.worlds import worlds
from tests.fraud.forests import artifact, fitted
from tests.stack.topology import environment as own

ROOT = Path(__file__).resolve().parents[2]
DOOR, BARE = ROOT / "functions/assess_payment/main.py", ROOT / "tests/benchmarks/baseline/round_trips.py"
DOORS = "assess_payment"
SIDES = {
    DOORS: (DOOR, "assess_payment"),
    "the same round trips": (BARE, "read_and_commit_as_much"),
    "the least": (BARE, "read_and_commit"),
}
GOOGLES = {"the same by Google's client": (BARE, "read_and_commit_by_googles_client")}
ROUNDS, REQUESTS, WARM, STARTS = 5, 300, 200, 7


def asked(number: int) -> list[Request]:
    """From a shop with some thousands of customers, a few of whom pay often."""
    first = time.time_ns()
    return [_request(first + n) for n in range(number)]


def _request(number: int) -> Request:
    who = int(random.Random(number).paretovariate(1.2)) % 5000
    body = {
        "request_id": f"r{number}",
        "provider": "stripe",
        "payment_ids": [f"pi_{number}"],
        "flow": "checkout",
        "amount": {"minor": 1199, "currency": "EUR"},
        "card": {"fingerprint": f"fp_{who}", "bin": "424242", "network": "visa", "funding": "debit", "country": "SE"},
        "customer_id": f"cus_{who}",
        "device_id": f"device_{who % 900}",
        "ip": f"192.0.2.{who % 250}",
        "email": f"person{who}@music.example",
        "billing_country": "SE",
        "budget_ms": LONGEST_BUDGET,
    }
    return Request(PATH, {"Content-Type": "application/json"}, json.dumps(body).encode())


def promote(settings: dict[str, str]) -> None:
    """A champion of 200 trees, where there is none."""
    ports = App("bench", settings).ports
    digest = ports.models.store(artifact(COLUMNS, fitted(COLUMNS)))
    ports.documents.commit([Create(CHAMPION, {"digest": digest, "since": datetime.now(UTC), "former": []})])


def answers(world: str, settings: dict[str, str], console: Console) -> None:
    sides_of = {**SIDES, **(GOOGLES if "FIRESTORE_EMULATOR_HOST" in settings else {})}
    for connections in (1, 4):
        with ExitStack() as serving:
            servers = {
                name: serving.enter_context(serve(source, target, settings, asked(1)[0]))
                for name, (source, target) in sides_of.items()
            }
            for one in servers.values():
                load(one.port, asked(WARM), connections)
            before = {name: one.cpu_seconds() for name, one in servers.items()}
            sides = [(one.port, asked) for one in servers.values()]
            loads = dict(zip(servers, beside(sides, connections, ROUNDS, REQUESTS, warm=0), strict=True))
            cpu = {name: one.cpu_seconds() - before[name] for name, one in servers.items()}
        table = Table(title=f"the door, {world}, {connections} connection(s), {ROUNDS} x {REQUESTS} requests")
        for heading in ("", *FIGURES, "CPU ms", *(f"{figure} ratio" for figure in (*FIGURES, "CPU"))):
            table.add_column(heading, justify="right")
        for name, runs in loads.items():
            figures = [f"{median(map(of, runs)):.1f}" for of in FIGURES.values()]
            ratios = [
                f"{median(of(x) / of(y) for x, y in zip(loads[DOORS], runs, strict=True)):.2f}"
                for of in FIGURES.values()
            ]
            each = cpu[name] / (ROUNDS * REQUESTS) * 1000
            table.add_row(name, *figures, f"{each:.2f}", *ratios, f"{cpu[DOORS] / cpu[name]:.2f}")
        console.print(table)


def phases(world: str, settings: dict[str, str], console: Console) -> None:
    """Where the processor's time of an answer goes. Clocking it takes a few per cent itself."""
    with serve(ROOT / "tests/benchmarks/baseline/clocked_door.py", "clocked_door", settings, asked(1)[0]) as served:

        def told() -> dict[str, float]:
            found: dict[str, float] = urllib3.request("GET", f"http://127.0.0.1:{served.port}/phases").json()
            return found

        load(served.port, asked(WARM), 1)
        before = told()
        load(served.port, asked(ROUNDS * REQUESTS), 1)
        spent = {name: seconds - before.get(name, 0.0) for name, seconds in told().items()}
    whole = spent.pop("")
    spent["the rest: the connections' loop, gRPC's threads, threads that change places"] = whole - sum(spent.values())
    table = Table(title=f"the processor's time of one answer, {world}: {whole / ROUNDS / REQUESTS * 1000:.2f} ms")
    for heading in ("", "ms", "share"):
        table.add_column(heading, justify="left" if not heading else "right")
    for name, seconds in sorted(spent.items(), key=lambda one: -one[1]):
        table.add_row(name, f"{seconds / ROUNDS / REQUESTS * 1000:.3f}", f"{seconds / whole:.0%}")
    console.print(table)


def starts(world: str, settings: dict[str, str], console: Console) -> None:
    found: dict[str, list[Start]] = {"hello-world": [], "without a model": [], "with a model": []}
    for _ in track(range(STARTS), description=f"cold starts, {world}", console=console, transient=True):
        found["hello-world"].append(cold_start(HELLO, "hello", {}, lambda: Request("/", {}, b"")))
        for name, model in (("without a model", "none"), ("with a model", "champion")):
            told = {**settings, "PAYIN_MODEL": model}
            found[name].append(cold_start(DOOR, "assess_payment", told, lambda: asked(1)[0]))
    table = Table(title=f"cold start of the door to its first answer, {world}, median of {STARTS}")
    for heading in ("", "ms", "ratio", "CPU ms", "CPU ratio"):
        table.add_column(heading, justify="right")
    hello = found["hello-world"]
    least, least_cpu = median(one.seconds for one in hello), median(one.cpu_seconds for one in hello)
    for name, those in found.items():
        took, cpu = median(one.seconds for one in those), median(one.cpu_seconds for one in those)
        table.add_row(name, f"{took * 1000:.0f}", f"{took / least:.2f}", f"{cpu * 1000:.0f}", f"{cpu / least_cpu:.2f}")
    console.print(table)


def main() -> None:
    console = Console()
    for world, environment in worlds():
        with environment() as settings:
            settings |= {"THREADS": "8", **own("assess_payment")}
            promote(settings)
            phases(world, settings, console)
            answers(world, settings, console)
            starts(world, settings, console)


if __name__ == "__main__":
    main()
