"""Webhook acknowledgement against a bare handler that computes one HMAC and makes the same confirmed publish.

Target: p50 at most 1.5 times the baseline's. Both are served by functions-framework with the same threads, loaded in
alternation, so that a machine that slows down slows both.
"""

import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

from rich.console import Console
from rich.table import Table

from tests.benchmarks.requests import stripe_delivery
from tests.benchmarks.servers import Load, Request, beside, running
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


def figures(title: str, name: str, baseline: str, ours: Sequence[Load], bare: Sequence[Load]) -> Table:
    """`FIGURES` of both, and the median of their ratios, pair by pair."""
    table = Table(title=title)
    for heading in ("", name, baseline, "ratio"):
        table.add_column(heading, justify="right")
    for figure, of in FIGURES.items():
        pairs = median(of(x) / of(y) for x, y in zip(ours, bare, strict=True))
        table.add_row(figure, f"{median(map(of, ours)):.1f}", f"{median(map(of, bare)):.1f}", f"{pairs:.2f}")
    return table


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
                    loads = beside([(ours_port, fresh), (bare_port, fresh)], threads, ROUNDS, REQUESTS)
            title = f"acknowledgement, {world}, {threads} connection(s), {ROUNDS} x {REQUESTS} requests"
            console.print(figures(title, "webhook", "one HMAC + publish", *loads))
