"""The door before authorisation, beside a bare handler that reads as many documents in one batch and commits as many in
another, and waits for no message either. Target: at most 1.5 times its time. And the door's cold start, with a model and
without, beside a bare hello-world. The door judges by a model of 200 trees, and its budget is as large as any caller's.
"""

import json
import random
import time
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

from rich.console import Console
from rich.progress import track
from rich.table import Table

from shared.flows.ports import Create
from shared.flows.scorer import CHAMPION
from shared.flows.train_model import COLUMNS
from shared.runtime.app import App
from shared.runtime.assessments import LONGEST_BUDGET, PATH
from tests.benchmarks.acknowledgement import figures
from tests.benchmarks.cold_start import HELLO
from tests.benchmarks.servers import Request, Start, beside, cold_start, running
from tests.benchmarks.worlds import worlds
from tests.fraud.forests import artifact, fitted
from tests.stack.topology import environment as own

ROOT = Path(__file__).resolve().parents[2]
DOOR, BARE = ROOT / "functions/assess_payment/main.py", ROOT / "tests/benchmarks/baseline/round_trips.py"
ROUNDS, REQUESTS, STARTS = 5, 300, 7


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
    for connections in (1, 4):
        with (
            running(DOOR, "assess_payment", settings, asked(1)[0]) as port,
            running(BARE, "read_and_commit", settings, asked(1)[0]) as bare_port,
        ):
            loads = beside((port, asked), (bare_port, asked), connections, ROUNDS, REQUESTS, warm=200)
        title = f"the door, {world}, {connections} connection(s), {ROUNDS} x {REQUESTS} requests"
        console.print(figures(title, "assess_payment", "one read, one commit", *loads))


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
            answers(world, settings, console)
            starts(world, settings, console)


if __name__ == "__main__":
    main()
