"""Cold start: process start to first 2xx, against a bare functions-framework hello-world. Target: webhook at most 1.6.

Alternating starts, warm page cache; the median of each. The second table names what each start imported that is heavy.
"""

import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

from rich.console import Console
from rich.progress import track
from rich.table import Table

from tests.benchmarks.requests import pushed, pushed_dispute, pushed_payment, stripe_delivery
from tests.benchmarks.servers import Request, cold_start
from tests.benchmarks.worlds import worlds

ROOT = Path(__file__).resolve().parents[2]
HELLO = ROOT / "tests/benchmarks/baseline/hello.py"
STARTS = 7

FIRST: dict[str, Callable[[], Request]] = {
    "webhook": lambda: stripe_delivery(datetime.now(UTC), str(time.time_ns())),
    # A payment, which it lets be: no provider's API is part of the start.
    "fetch_resource": lambda: pushed_payment(str(time.time_ns())),
    "record_payment": lambda: pushed_payment(str(time.time_ns())),
    "score_payment": lambda: pushed_payment(str(time.time_ns())),
    "track_dispute": lambda: pushed_dispute(str(time.time_ns())),
    "check_deadlines": lambda: pushed(b"", job="check_deadlines"),
    # A tick of another job: the start is measured, not a training run.
    "train_model": lambda: pushed(b"", job="check_deadlines"),
}


def main() -> None:
    console = Console()
    for world, environment in worlds():
        with environment() as settings:
            settings |= {"PAYIN_MODEL": "none"}
            bare: list[float] = []
            ours: dict[str, list[float]] = {name: [] for name in FIRST}
            for _ in track(range(STARTS), description=f"cold starts, {world}", console=console, transient=True):
                for name, request in FIRST.items():
                    bare.append(cold_start(HELLO, "hello", {}, lambda: Request("/", {}, b"")))
                    source = ROOT / "functions" / name / "main.py"
                    ours[name].append(cold_start(source, name, settings, request))
        table = Table(title=f"cold start to first 2xx, {world}, median of {STARTS}")
        for heading in ("function", "ms", "hello-world ms", "ratio"):
            table.add_column(heading, justify="right")
        for name, times in ours.items():
            table.add_row(
                name, f"{median(times) * 1000:.0f}", f"{median(bare) * 1000:.0f}", f"{median(times) / median(bare):.2f}"
            )
        console.print(table)
    pubsub = [_import_ms("import google.cloud.pubsub_v1") for _ in range(3)]
    rest = [_import_ms("import urllib3, google.auth") for _ in range(3)]
    console.print(f"importing google-cloud-pubsub {median(pubsub):.0f} ms, urllib3 + google-auth {median(rest):.0f} ms")


def _import_ms(statement: str) -> float:
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", statement], check=True)
    return (time.perf_counter() - began) * 1000
