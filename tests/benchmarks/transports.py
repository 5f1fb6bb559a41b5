"""The two ways to Firestore, by function: when it first answers and what it then holds, what an event takes once it is warm,
and how many a second a process does with 8 connections. What a function takes is in functions/topology.json: `firestore`.

Alternating starts and rounds, against the same emulator; the medians.
"""

from collections.abc import Callable
from statistics import median

from rich.console import Console
from rich.table import Table

from shared.settings import FirestoreTransport
from tests.benchmarks.cold_start import FIRST, HELLO
from tests.benchmarks.requests import pushed
from tests.benchmarks.servers import Request, Start, cold_start, load, serve
from tests.benchmarks.throughput import CONNECTIONS, disputes, payments
from tests.benchmarks.worlds import emulated
from tests.stack.servers import Absent
from tests.stack.topology import ROOT

STARTS, ROUNDS, REQUESTS = 7, 5, 200


def ticks(number: int) -> list[Request]:
    return [pushed(b"", job="check_deadlines") for _ in range(number)]


LOADS: dict[str, Callable[[int], list[Request]]] = {
    "record_payment": payments,
    "score_payment": payments,
    "track_dispute": disputes,
    "check_deadlines": ticks,
}


def main() -> None:
    console = Console()
    table = Table(title=f"Firestore by its client (grpc) and by REST, {STARTS} starts, {ROUNDS} x {REQUESTS} events")
    for heading in ("function", "transport", "first 2xx ms", "of hello-world", "MB", "CPU ms", "p50 ms", "events/s"):
        table.add_column(heading, justify="right")
    try:
        for name, fresh in LOADS.items():
            _measure(table, name, fresh)
    except Absent as absent:
        print(f"without the emulators: {absent}")
        return
    console.print(table)


def _measure(table: Table, name: str, fresh: Callable[[int], list[Request]]) -> None:
    source = ROOT / "functions" / name / "main.py"
    with emulated() as settings:
        worlds = {
            transport: {**settings, "PAYIN_MODEL": "none", "THREADS": str(CONNECTIONS), "PAYIN_FIRESTORE_TRANSPORT": transport}
            for transport in FirestoreTransport
        }  # fmt: skip
        bare = [cold_start(HELLO, "hello", {}, lambda: Request("/", {}, b"")) for _ in range(STARTS)]
        starts: dict[str, list[Start]] = {transport: [] for transport in worlds}
        for _ in range(STARTS):
            for transport, environment in worlds.items():
                starts[transport].append(cold_start(source, name, environment, FIRST[name]))
        for transport, environment in worlds.items():
            with serve(source, name, environment, FIRST[name]()) as served:
                held = served.megabytes()
                load(served.port, fresh(50), CONNECTIONS)
                alone, spent, together = [], [], []
                for _ in range(ROUNDS):
                    before = served.cpu_seconds()
                    alone += load(served.port, fresh(REQUESTS // 4), 1).latencies
                    spent.append((served.cpu_seconds() - before) / (REQUESTS // 4))
                    together.append(load(served.port, fresh(REQUESTS), CONNECTIONS).rate)
            table.add_row(
                name,
                transport,
                f"{median(one.seconds for one in starts[transport]) * 1000:.0f}",
                f"{median(one.seconds for one in starts[transport]) / median(one.seconds for one in bare):.2f}",
                f"{held:.0f}",
                f"{median(spent) * 1000:.1f}",
                f"{median(alone) * 1000:.1f}",
                f"{median(together):.0f}",
            )


if __name__ == "__main__":
    main()
