"""Servers that tests and the local stack start for themselves, and stop."""

import http.client
import os
import pwd
import shutil
import signal
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.stack import leash


class Absent(Exception):
    """This machine lacks what the server needs; the message says what."""


@dataclass(frozen=True, slots=True)
class Server:
    """A running server: how to reach it, and the process group to stop. Plain values, so that any process may stop it."""

    name: str
    address: str
    process: int
    folder: str = ""  # its own, removed when it stops
    sign: int = signal.SIGTERM  # how it is asked to stop

    def stop(self) -> None:
        """Ask it and its children to stop, and kill what is left after five seconds."""
        leash.end(self.process, (self.sign, 5.0), (signal.SIGKILL, 5.0))
        leash.let_go(self.process)
        if self.folder:
            shutil.rmtree(self.folder, ignore_errors=True)


def start(
    name: str,
    command: Callable[[int], Sequence[str]],
    log: Path,
    ready: Callable[[int], bool],
    *,
    environment: Mapping[str, str] | None = None,
    user: str | None = None,
    folder: str = "",
    sign: int = signal.SIGTERM,
    within: float = 60.0,
) -> Server:
    """Start `command(port)` on a free port and wait until `ready(port)`. Raises RuntimeError with the log's last lines.

    The process leads a group of its own. A port that somebody else took in the meantime is given up for another.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    for _ in range(3):
        port = free_port()
        with log.open("ab") as output:
            process = leash.start(
                command(port),
                output,
                environment={**os.environ, **(environment or {})},
                folder=folder or None,
                user=user,
                group=pwd.getpwnam(user).pw_gid if user else None,
            )
        until = time.monotonic() + within
        while process.poll() is None and time.monotonic() < until:
            if ready(port):
                return Server(name, f"127.0.0.1:{port}", process.pid, folder, int(sign))
            time.sleep(0.05)
        Server(name, "", process.pid).stop()
        process.wait(10)
    last = "\n".join(log.read_text(errors="replace").splitlines()[-12:])
    raise RuntimeError(f"{name} does not start; the end of {log}:\n{last}")


def answers_http(path: str) -> Callable[[int], bool]:
    """Whether a server answers `GET path` with 200."""

    def ready(port: int) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
        try:
            connection.request("GET", path)
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    return ready


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
