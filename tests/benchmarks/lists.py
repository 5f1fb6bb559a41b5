"""What a page of the list of disputes takes as more of them are open: nothing more. First, middle and narrowed pages of 50.

On the emulators, where they are, at the first size: they hold everything in memory and have no indexes.
"""

import time
from statistics import median

from shared.flows.ports import Create, Document, Key, Ports
from shared.flows.teamwork import in_queue
from tests.benchmarks.deadlines import RESPOND_BY, _connected, _dispute
from tests.benchmarks.worlds import worlds
from tests.builders import MINUTE
from tests.flows.counting import Counting

SIZES = {"local on SQLite": (1_000, 100_000), "gcp on emulators": (1_000,)}
ROUNDS, PAGE, MOST_GROWTH = 15, 51, 1.5
ANA = "ana@shop.example"


def main() -> None:
    for name, world in worlds():
        with world() as environment:
            _growth(name, _connected(environment))


def _growth(name: str, ports: Ports) -> None:
    model, stored = _dispute(ports, RESPOND_BY), 0
    costs: dict[str, list[float]] = {}
    for size in SIZES[name]:
        _store(ports, model, range(stored, size))
        stored = size
        middle = (_place(size // 2), f"stripe:open_{size // 2}")
        pages = {
            "the first page": ({"status": "needs_response"}, None),
            "one in the middle": ({"status": "needs_response"}, middle),
            # Every 500th is hers: two at the smallest size, and as few of each page at any.
            "one person's": ({"status": "needs_response", "assignee": ANA}, None),
        }
        for what, (where, after) in pages.items():
            documents, took = Counting(ports.documents), []
            for _ in range(ROUNDS):
                started = time.perf_counter()
                found = in_queue(documents, where, PAGE, after)
                took.append(1000 * (time.perf_counter() - started))
            costs.setdefault(what, []).append(median(took) / len(found))
            print(
                f"{name}, {size:,} open, {what}: {len(found)} in {median(took):.1f} ms (best {min(took):.1f}), "
                f"{documents.reads // ROUNDS} query, {documents.documents // ROUNDS} documents read",
                flush=True,
            )
    for what, (first, *_, last) in ((what, cost) for what, cost in costs.items() if len(cost) > 1):
        growth = last / first
        verdict = "holds" if growth <= MOST_GROWTH else "LACKS"
        print(f"{name}, {what}: a document takes {growth:.2f} times what it took, {MOST_GROWTH} at most: {verdict}")


def _place(number: int) -> str:
    return f"{RESPOND_BY + number * MINUTE:%Y-%m-%dT%H:%M:%S.%fZ}/10000000"


def _store(ports: Ports, model: Document, numbers: range) -> None:
    for first in range(numbers.start, numbers.stop, 500):
        writes = [
            Create(
                Key("disputes", f"stripe:open_{n}"),
                {**model, "dispute_id": f"open_{n}", "queue": _place(n), "assignee": ANA if n % 500 == 0 else ""},
            )
            for n in range(first, min(first + 500, numbers.stop))
        ]
        ports.documents.commit(writes)


if __name__ == "__main__":
    main()
