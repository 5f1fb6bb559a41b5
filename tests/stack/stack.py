"""The local stack: every function under functions-framework, wired by `functions/topology.json`.

`embedded` runs on the local backend (SQLite, DuckDB, files) and needs nothing installed; a pusher of ours stands in
for push subscriptions. `emulators` runs on the Google Cloud SDK's Pub/Sub and Firestore emulators and bqemulator, with
real push subscriptions. What stands in for BigQuery subscriptions is the same in both: `store`.
"""

import contextlib
import fcntl
import json
import os
import shutil
import signal
import socket
import sqlite3
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Protocol

import urllib3

from shared.backends.local.bus import LocalBus
from shared.backends.local.filters import compiled
from shared.backends.local.sql import Database
from shared.domain.codec import utc_text
from shared.flows.ports import Message, Ports
from shared.providers import names
from shared.settings import Settings, read
from tests.stack import leash, topology
from tests.stack.topology import ROOT

TEAM = "dispute-actions"
"""The subscription of the people who answer disputes: their reminders, and what becomes of our own answers."""

MIDWAY = "midway"
"""In a demo's home: what stood while the most was under way."""

STARTS_WITHIN = 60.0
DRAINS_WITHIN = 180.0


@dataclass(frozen=True, slots=True)
class Taken:
    """A message that was pulled and acknowledged."""

    message_id: str
    published_at: datetime
    data: bytes
    attributes: Mapping[str, str]


class Broker(Protocol):
    """What differs between the two stacks."""

    def environment(self) -> dict[str, str]:
        """The settings under which functions reach this broker and its databases."""

    def prepare(self) -> None:
        """Topics, tables and pull subscriptions, before anything runs."""

    def push_to(self, urls: Mapping[str, str]) -> None:
        """Start delivering each function's subscriptions to its URL."""

    def take(self, name: str, limit: int) -> list[Taken]:
        """Pull and acknowledge what waits in a pull subscription, at most `limit`."""

    def expect(self, function: str, trace: str) -> None:
        """A message was published that `function` will handle under this trace."""

    def drain(self) -> None:
        """Return when no function has a message left. Raises TimeoutError."""

    def close(self) -> None: ...


class Process:
    """One server of ours, that stops with all its children, and with us."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str], log: Path) -> None:
        log.parent.mkdir(parents=True, exist_ok=True)
        self.log = log
        told = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", **environment}
        with log.open("ab") as file:
            self._process = leash.start(command, file, environment=told, folder=ROOT)

    def ended(self) -> bool:
        return self._process.poll() is not None

    def end(self, how: signal.Signals = signal.SIGTERM) -> None:
        """Stop it and its children; by force when it takes longer than ten seconds."""
        leash.end(self._process.pid, (how, 10.0), (signal.SIGKILL, 10.0))
        leash.let_go(self._process.pid)
        self._process.wait(10)

    def last_words(self) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-12:])


class Stack:
    """Running functions. Use `running`, which also stops them."""

    def __init__(
        self,
        broker: Broker,
        home: Path,
        environment: Mapping[str, str],
        ports: Mapping[str, int] | None = None,
        own: Mapping[str, Mapping[str, str]] | None = None,
    ) -> None:
        self.home = home
        self.clock = home / "clock"
        self._broker = broker
        self._providers = served(environment)
        self._environment = {
            "PAYIN_HOME": str(home),
            "THREADS": "8",
            "OMP_WAIT_POLICY": "PASSIVE",  # training must not spin on the cores that the others need
            **broker.environment(),
            **environment,
        }
        self._own = own or {}
        taken = dict(ports or {})
        free = _free_ports(len(topology.functions()))
        self._ports = {name: taken.get(name, port) for name, port in zip(topology.functions(), free, strict=True)}
        self._processes: dict[str, Process] = {}
        self._http = urllib3.PoolManager(retries=False, timeout=urllib3.Timeout(connect=1, read=30))

    @property
    def urls(self) -> dict[str, str]:
        return {name: f"http://127.0.0.1:{port}" for name, port in self._ports.items()}

    @cached_property
    def settings(self) -> Settings:
        return read(self._environment)

    @cached_property
    def ports(self) -> Ports:
        """Everything the functions wrote, as they see it."""
        from shared.runtime.app import App

        return App("stack", self._environment).ports

    def set_clock(self, instant: datetime) -> None:
        """Move the virtual clock; atomically, as functions read it at any moment."""
        new = self.clock.with_suffix(".new")
        new.write_text(utc_text(instant), encoding="ascii")
        os.replace(new, self.clock)

    def use_clock(self, instant: datetime) -> None:
        """Functions that start from now on live in virtual time."""
        self.set_clock(instant)
        self._environment["PAYIN_CLOCK"] = str(self.clock)

    def start(self, *names: str, **environment: str) -> None:
        """Start these functions together and wait until each answers. Raises RuntimeError with a log's last lines."""
        for name in names:
            source = ROOT / "functions" / name / "main.py"
            command = [sys.executable, "-m", "functions_framework", "--source", str(source), "--target", name]
            command += ["--host", "127.0.0.1", "--port", str(self._ports[name])]
            log = self.home / "logs" / f"{name}.log"
            own = {**self._environment, **self._addresses(name), **topology.environment(name)}
            own |= {**self._own.get(name, {}), **environment}
            self._processes[name] = Process(command, own, log)
        for name in names:
            self._wait_for(name)

    def _addresses(self, name: str) -> dict[str, str]:
        """Where webhooks are, of a function that wants to know."""
        if "PAYIN_WEBHOOK_URLS" not in topology.settings(name):
            return {}
        urls = {one: f"{self.urls['webhook']}/{one}" for one in self._providers}
        return {"PAYIN_WEBHOOK_URLS": json.dumps(urls)}

    def start_all(self, **environment: str) -> None:
        self._broker.prepare()
        self.start(*topology.functions(), **environment)
        self._broker.push_to({name: f"{url}/" for name, url in self.urls.items()})

    def stop(self, name: str, how: signal.Signals = signal.SIGTERM) -> None:
        self._processes.pop(name).end(how)

    def close(self) -> None:
        self._broker.close()
        for process in self._processes.values():
            process.end()
        self._processes.clear()

    def publish(self, topic: str, data: bytes, **attributes: str) -> None:
        self.ports.bus.publish([Message(topic, data, attributes)])

    def tick(self, job: str, data: bytes = b"{}") -> None:
        """What Cloud Scheduler does: a message of `ticks` for `job`."""
        self.tell(topology.function_of(job), "ticks", data, job=job)

    def tell(self, function: str, topic: str, data: bytes, **attributes: str) -> None:
        """A message of `topic` that `function` has to handle before everything is drained."""
        trace = os.urandom(16).hex()
        self.publish(topic, data, **attributes, traceparent=f"00-{trace}-{trace[:16]}-01")
        self._broker.expect(function, trace)

    def drain(self) -> None:
        """Return when no function has anything left to do. Raises TimeoutError."""
        self._broker.drain()

    def take(self, name: str, limit: int = 1000) -> list[Taken]:
        """Messages of a pull subscription, acknowledged."""
        return self._broker.take(name, limit)

    def given_up(self) -> list[Taken]:
        """Dead letters of every function."""
        return [message for name in topology.dead_letters() for message in self.take(name)]

    def store(self) -> int:
        """BigQuery subscriptions: what waits for the warehouse becomes rows, with the message's own id and time."""
        stored = 0
        for table, own in topology.stored(self._providers):
            while messages := self._broker.take(own.name, 1000):
                # Once more, for Pub/Sub's emulator knows no filters.
                wanted = compiled(own.filter)
                rows = [
                    {**json.loads(one.data), "message_id": one.message_id, "publish_time": utc_text(one.published_at)}
                    for one in messages
                    if wanted(one.attributes)
                ]
                self.ports.warehouse.append(table, rows)
                stored += len(rows)
        return stored

    def keep(self) -> None:
        """What stands now on the embedded stack, in `MIDWAY` of its home, for whoever looks at it later. Everything must be
        drained."""
        file = self.home / "payin.sqlite"
        if not file.is_file():
            return
        kept = self.home / MIDWAY
        shutil.rmtree(kept, ignore_errors=True)
        shutil.copytree(self.home, kept, ignore=shutil.ignore_patterns("payin.sqlite*", MIDWAY))
        with (
            contextlib.closing(sqlite3.connect(file)) as running,
            contextlib.closing(sqlite3.connect(kept / file.name)) as copied,
        ):
            running.backup(copied)

    def _wait_for(self, name: str) -> None:
        """Any HTTP answer will do: functions refuse a GET, and so prove that they serve."""
        process = self._processes[name]
        until = time.monotonic() + STARTS_WITHIN
        while time.monotonic() < until and not process.ended():
            try:
                self._http.request("GET", self.urls[name])
                return
            except urllib3.exceptions.HTTPError:
                time.sleep(0.02)
            if process.log.stat().st_size and "cannot start" in process.last_words():
                break
        process.end(signal.SIGKILL)
        raise RuntimeError(f"{name} does not start:\n{process.last_words()}")


def virtual_now(home: Path) -> datetime:
    """The virtual clock of the stack in `home`."""
    return datetime.fromisoformat((home / "clock").read_text(encoding="ascii"))


def served(environment: Mapping[str, str]) -> list[str]:
    """Providers of which we have a secret."""
    return [name for name in names() if f"WEBHOOK_{name.upper()}" in environment]


class EmbeddedBroker:
    """The local bus, and a process that pushes."""

    def __init__(self, home: Path, providers: Sequence[str]) -> None:
        self._home = home
        self._providers = providers
        self._file = home / "payin.sqlite"
        self._pusher: Process | None = None

    def environment(self) -> dict[str, str]:
        return {"PAYIN_BACKEND": "local", "PAYIN_DATABASE_URL": f"sqlite:///{self._file}"}

    @cached_property
    def _bus(self) -> LocalBus:
        return LocalBus(Database(f"sqlite:///{self._file}"))

    def prepare(self) -> None:
        stored = [own for _, own in topology.stored(self._providers)]
        for own in [*topology.pushed(self._providers), *stored, *topology.pulled()]:
            self._bus.subscribe(own.name, own.topic, own.whole_filter, topology.TRIES, own.dead_letters)
        for name in topology.dead_letters():
            self._bus.subscribe(name, name)

    def push_to(self, urls: Mapping[str, str]) -> None:
        to = {own.name: urls[own.function] for own in topology.pushed(self._providers) if own.function}
        command = [sys.executable, "-m", "tests.stack.push", str(self._file), json.dumps(to)]
        self._pusher = Process(command, {}, self._home / "logs" / "push.log")

    def take(self, name: str, limit: int) -> list[Taken]:
        pulled = self._bus.pull(name, limit, 60)
        if pulled:
            self._bus.ack(name, [message.ack_id for message in pulled])
        return [Taken(one.message_id, one.published_at, one.data, one.attributes) for one in pulled]

    def expect(self, function: str, trace: str) -> None:
        """The queue itself says what is left."""

    def drain(self) -> None:
        # A function publishes before its message is acknowledged, so one look that sees nothing waiting for any of them
        # means that nothing is on its way. It is taken often: by SQL of our own, in microseconds.
        pushed = [own.name for own in topology.pushed(self._providers)]
        waiting = f"SELECT EXISTS (SELECT 1 FROM queue WHERE subscription IN ({','.join('?' * len(pushed))}))"
        until = time.monotonic() + DRAINS_WITHIN
        with contextlib.closing(sqlite3.connect(self._file)) as connection:
            while connection.execute(waiting, pushed).fetchone()[0]:
                if time.monotonic() > until or (self._pusher is not None and self._pusher.ended()):
                    left = {name: self._bus.backlog(name) for name in pushed}
                    raise TimeoutError(f"messages do not drain: {left}; see {self._home}/logs")
                time.sleep(0.004)

    def close(self) -> None:
        if self._pusher is not None:
            self._pusher.end()


def _free_ports(count: int) -> list[int]:
    """Ports that nobody held a moment ago, all different."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [int(one.getsockname()[1]) for one in sockets]
    finally:
        for one in sockets:
            one.close()


@contextlib.contextmanager
def alone(home: Path) -> Iterator[None]:
    """One stack at a time in `home`."""
    home.parent.mkdir(parents=True, exist_ok=True)
    with home.with_name(f".{home.name}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SystemExit(f"another stack is running in {home}: stop it, or choose another --home") from None
        yield


@contextlib.contextmanager
def orderly() -> Iterator[None]:
    """What asks this process to end lets it clean up, and says so in a line rather than in a traceback."""

    def leave(sign: int, _frame: object) -> None:
        raise SystemExit(128 + sign)

    for sign in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(sign, leave)
    try:
        yield
    except KeyboardInterrupt:
        print("\nstopped; nothing is left running", file=sys.stderr)
        raise SystemExit(128 + signal.SIGINT) from None


@contextlib.contextmanager
def running(
    kind: str,
    home: Path,
    environment: Mapping[str, str],
    *,
    clock: datetime | None = None,
    ports: Mapping[str, int] | None = None,
    own: Mapping[str, Mapping[str, str]] | None = None,
    **overrides: str,
) -> Iterator[Stack]:
    """A stack of `kind`, all functions answering; everything it started is stopped at the end.

    environment: the providers' secrets. clock: where virtual time begins; without it functions live in ours. own: settings of
    single functions.
    """
    home.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as cleanup:
        if kind == "emulators":
            from tests.stack.emulated import EmulatedBroker

            broker: Broker = cleanup.enter_context(EmulatedBroker.started(home, served(environment)))
        else:
            broker = EmbeddedBroker(home, served(environment))
        stack = Stack(broker, home, environment, ports, own)
        if clock is not None:
            stack.use_clock(clock)
        cleanup.callback(stack.close)
        stack.start_all(**overrides)
        yield stack
