"""Webhook acknowledgement against a bare handler that computes one HMAC and makes the same confirmed publish.

Target: p50 at most 1.5 times the baseline's. Both are served by functions-framework with the same threads, loaded in
alternation, so that a machine that slows down slows both.
"""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

from rich.console import Console
from rich.table import Table

from tests.benchmarks.requests import stripe_delivery
from tests.benchmarks.servers import Load, Request, load, running
from tests.benchmarks.worlds import worlds

ROOT = Path(__file__).resolve().parents[2]
ROUNDS = 5
FIGURES: dict[str, Callable[[Load], float]] = {
    "requests/s": lambda run: run.rate,
    "p50 ms": lambda run: run.quantile(0.5) * 1000,
    "p99 ms": lambda run: run.quantile(0.99) * 1000,
}
REQUESTS = 300


def fresh(number: int) -> list[Request]:
    return [stripe_delivery(datetime.now(UTC), f"{time.time_ns()}{n}") for n in range(number)]


def main() -> None:
    console = Console()
    for world, environment in worlds():
        for threads in (1, 8):
            with environment() as settings:
                settings |= {"THREADS": "8"}
                ours_at, bare_at = ROOT / "functions/webhook/main.py", ROOT / "tests/benchmarks/baseline/publish.py"
                with (
                    running(ours_at, "webhook", settings, fresh(1)[0]) as ours_port,
                    running(bare_at, "publish", settings, fresh(1)[0]) as bare_port,
                ):
                    load(ours_port, fresh(100), threads)
                    load(bare_port, fresh(100), threads)
                    ours: list[Load] = []
                    bare: list[Load] = []
                    for _ in range(ROUNDS):
                        ours.append(load(ours_port, fresh(REQUESTS), threads))
                        bare.append(load(bare_port, fresh(REQUESTS), threads))
            table = Table(title=f"acknowledgement, {world}, {threads} connection(s), {ROUNDS} x {REQUESTS} requests")
            for heading in ("", "webhook", "one HMAC + publish", "ratio"):
                table.add_column(heading, justify="right")
            for name, of in FIGURES.items():
                a, b = median(map(of, ours)), median(map(of, bare))
                pairs = median(of(x) / of(y) for x, y in zip(ours, bare, strict=True))
                table.add_row(name, f"{a:.1f}", f"{b:.1f}", f"{pairs:.2f}")
            console.print(table)
