"""Cold start: process start to first 2xx, against a bare functions-framework hello-world. Target: webhook at most 1.5, its
token from the metadata server included.

Alternating starts, warm page cache; the median of each. TLS with Google is part of the first table and not of hello-world.
"""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

from rich.console import Console
from rich.progress import track
from rich.table import Table

from tests.benchmarks.requests import pushed, pushed_dispute, pushed_payment, stripe_delivery
from tests.benchmarks.servers import Request, Start, cold_start
from tests.benchmarks.worlds import emulated, worlds
from tests.stack.deployed import deployed
from tests.stack.emulators import VARIABLES
from tests.stack.topology import environment as own

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
    "explain_payouts": lambda: pushed(b"", job="check_deadlines"),
    "monitor_model": lambda: pushed(b"", job="check_deadlines"),
    "watch_traffic": lambda: pushed(b"", job="check_deadlines"),
}


def as_deployed() -> Iterator[tuple[str, Callable[[], AbstractContextManager[dict[str, str]]]]]:
    """`worlds`, and before them Cloud Run's: Google's names over TLS, with a token from a metadata server."""
    found = list(worlds())
    if any(environment is emulated for _, environment in found):
        yield "as on Cloud Run, emulators behind TLS", on_cloud_run
    yield from found


@contextmanager
def on_cloud_run() -> Iterator[dict[str, str]]:
    with emulated() as settings, deployed(settings) as (environment, _):
        kept = {name: value for name, value in settings.items() if name not in VARIABLES.values()}
        yield {**kept, "PAYIN_MODEL_BUCKET": "bench", "PAYIN_EVIDENCE_BUCKET": "bench", **environment}


def main() -> None:
    console = Console()
    for world, environment in as_deployed():
        with environment() as settings:
            settings |= {"PAYIN_MODEL": "none"}
            # The client of Firestore takes neither our names nor our authority: it speaks to the emulator itself.
            names = [name for name in FIRST if environment is not on_cloud_run or "grpc" not in own(name).values()]
            bare: list[Start] = []
            ours: dict[str, list[Start]] = {name: [] for name in names}
            for _ in track(range(STARTS), description=f"cold starts, {world}", console=console, transient=True):
                for name in names:
                    bare.append(cold_start(HELLO, "hello", {}, lambda: Request("/", {}, b"")))
                    source = ROOT / "functions" / name / "main.py"
                    ours[name].append(cold_start(source, name, {**settings, **own(name)}, FIRST[name]))
        table = Table(title=f"cold start to first 2xx, {world}, median of {STARTS}")
        for heading in ("function", "ms", "hello-world ms", "ratio", "CPU ms", "hello-world CPU ms", "CPU ratio"):
            table.add_column(heading, justify="right")
        least, least_cpu = median(one.seconds for one in bare), median(one.cpu_seconds for one in bare)
        for name, starts in ours.items():
            took, cpu = median(one.seconds for one in starts), median(one.cpu_seconds for one in starts)
            seconds = (f"{took * 1000:.0f}", f"{least * 1000:.0f}", f"{took / least:.2f}")
            table.add_row(name, *seconds, f"{cpu * 1000:.0f}", f"{least_cpu * 1000:.0f}", f"{cpu / least_cpu:.2f}")
        console.print(table)
    for statement in (
        "google.cloud.pubsub_v1",
        "urllib3, google.auth.transport.urllib3, google.auth.compute_engine",
        "urllib3",
    ):
        taken = median(_import_ms(f"import {statement}") for _ in range(5))
        console.print(f"importing {statement}: {taken:.0f} ms")


def _import_ms(statement: str) -> float:
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", statement], check=True)
    return (time.perf_counter() - began) * 1000
