"""Start functions under functions-framework, and load them, for the benchmarks."""

import http.client
import os
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.stack.servers import free_port

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True)
class Request:
    path: str
    headers: dict[str, str]
    body: bytes


def launch(source: Path, target: str, port: int, environment: dict[str, str]) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [
            *(sys.executable, "-m", "functions_framework", "--source", str(source), "--target", target),
            *("--host", "127.0.0.1", "--port", str(port)),
        ],
        cwd=ROOT,
        env={**os.environ, **environment, "PYTHONPATH": f"{environment.get('PYTHONPATH', '')}{os.pathsep}{ROOT}"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def stop(process: "subprocess.Popen[bytes]") -> None:
    os.killpg(process.pid, 15)
    process.wait(20)


def first_answer(port: int, request: Request, process: "subprocess.Popen[bytes]", within: float = 60) -> int:
    """Status of the first request that gets through; asks every few milliseconds until then."""
    until = time.perf_counter() + within
    while time.perf_counter() < until:
        if process.poll() is not None:
            raise RuntimeError(f"the server ended with {process.returncode}")
        try:
            return post(http.client.HTTPConnection("127.0.0.1", port, timeout=30), request)
        except (ConnectionError, http.client.BadStatusLine):
            time.sleep(0.002)
    raise RuntimeError("the server does not answer")


def post(connection: http.client.HTTPConnection, request: Request) -> int:
    connection.request("POST", request.path, request.body, request.headers)
    answer = connection.getresponse()
    answer.read()
    return answer.status


@dataclass(frozen=True, slots=True)
class Start:
    """Seconds from starting the process to its first 2xx, and those of the processor that it took, which the machine's other
    work does not lengthen."""

    seconds: float
    cpu_seconds: float


def cold_start(source: Path, target: str, environment: dict[str, str], request: Callable[[], Request]) -> Start:
    port = free_port()
    began = time.perf_counter()
    process = launch(source, target, port, environment)
    try:
        status = first_answer(port, request(), process)
        took = time.perf_counter() - began
        if not 200 <= status < 300:
            raise RuntimeError(f"{target} answered {status}")
        return Start(took, Served(port, process.pid).cpu_seconds())
    finally:
        stop(process)


@dataclass(frozen=True, slots=True)
class Served:
    port: int
    process: int

    def megabytes(self) -> float:
        """What the process and its children hold in memory."""
        pages = sum(int((one / "statm").read_text().split()[1]) for one in self._family())
        return pages * os.sysconf("SC_PAGE_SIZE") / 1e6

    def cpu_seconds(self) -> float:
        """The processor's time that they have taken so far."""
        stats = [(one / "stat").read_text().rpartition(")")[2].split() for one in self._family()]
        return sum(int(stat[11]) + int(stat[12]) for stat in stats) / os.sysconf("SC_CLK_TCK")

    def _family(self) -> list[Path]:
        """Their folders in /proc: functions-framework serves in a group of its own."""
        return [
            one for one in Path("/proc").iterdir() if one.name.isdigit() and os.getpgid(int(one.name)) == self.process
        ]


@contextmanager
def serve(source: Path, target: str, environment: dict[str, str], warm: Request) -> Iterator[Served]:
    port = free_port()
    process = launch(source, target, port, environment)
    try:
        status = first_answer(port, warm, process)
        if not 200 <= status < 300:
            raise RuntimeError(f"{target} answered {status}")
        yield Served(port, process.pid)
    finally:
        stop(process)


@contextmanager
def running(source: Path, target: str, environment: dict[str, str], warm: Request) -> Iterator[int]:
    with serve(source, target, environment, warm) as served:
        yield served.port


@dataclass(frozen=True, slots=True)
class Load:
    seconds: float
    latencies: list[float]

    @property
    def rate(self) -> float:
        return len(self.latencies) / self.seconds

    def quantile(self, share: float) -> float:
        return statistics.quantiles(self.latencies, n=1000, method="inclusive")[round(share * 1000) - 1]


def load(port: int, requests: Sequence[Request], threads: int) -> Load:
    """Post every request once over `threads` keep-alive connections; each must be answered 2xx."""
    latencies: list[float] = []
    wrong: list[int] = []

    def work(mine: Sequence[Request]) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        for request in mine:
            began = time.perf_counter()
            status = post(connection, request)
            latencies.append(time.perf_counter() - began)
            if not 200 <= status < 300:
                wrong.append(status)

    workers = [threading.Thread(target=work, args=(requests[n::threads],)) for n in range(threads)]
    began = time.perf_counter()
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    if wrong:
        raise RuntimeError(f"{len(wrong)} requests were not accepted: {sorted(set(wrong))}")
    return Load(time.perf_counter() - began, latencies)


Side = tuple[int, Callable[[int], Sequence[Request]]]
"""A server's port, and what makes so many requests for it."""


def beside(sides: Sequence[Side], threads: int, rounds: int, number: int, warm: int = 100) -> list[list[Load]]:
    """Each under the same load of `number` requests, in alternation, so that a machine that slows down slows all."""
    loads: list[list[Load]] = [[] for _ in sides]
    for port, fresh in sides:
        load(port, fresh(warm), threads)
    for _ in range(rounds):
        for (port, fresh), of in zip(sides, loads, strict=True):
            of.append(load(port, fresh(number), threads))
    return loads
