"""Servers that end with whoever started them, whatever ends that: an exception, a closed terminal, SIGTERM, SIGKILL.

Each process that starts servers has one helper, which reads a pipe: the names of the servers' process groups. When the
pipe is closed, which the kernel does for a process that can no longer do anything itself, the helper ends every group
that is still there. Portable: nothing here is Linux's own.
"""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextvars import ContextVar
from pathlib import Path
from typing import IO

PATIENCE = 5.0  # seconds between asking and force

# A server tells its own name before it is what it shall be, and lets go of the pipe, which is its input until then: there
# is no moment in which it is there and nobody knows of it.
_TOLD = 'echo "+$$" >&0; exec "$@" </dev/null'

_lock = threading.Lock()
_pipes: dict[tuple[int, str], int] = {}
"""Process and owner to the end of the pipe into which names are written. A fork is another process, and has none."""
_owner: ContextVar[str] = ContextVar("owner", default="")


def start(
    command: Sequence[str],
    output: IO[bytes],
    *,
    environment: Mapping[str, str],
    folder: Path | str | None = None,
    user: str | None = None,
    group: int | None = None,
) -> "subprocess.Popen[bytes]":
    """`command` as the leader of a session of its own, which does not outlive this process."""
    return subprocess.Popen(
        ["/bin/sh", "-c", _TOLD, "sh", *command],
        stdin=_pipe(),
        stdout=output,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        env=dict(environment),
        cwd=folder,
        user=user,
        group=group,
        extra_groups=[] if user else None,
    )


def let_go(group: int) -> None:
    """`group` has ended, and its number may be another's."""
    if (os.getpid(), _owner.get()) in _pipes:
        os.write(_pipe(), f"-{group}\n".encode())


def hold(owner: Path) -> None:
    """Be the `owner` of what others start in its name: all of it ends when all of them have."""
    os.mkfifo(owner)
    reader = os.open(owner, os.O_RDONLY | os.O_NONBLOCK)
    os.set_blocking(reader, True)
    _pipes[os.getpid(), str(owner)] = os.open(owner, os.O_WRONLY)
    _help(reader)


@contextlib.contextmanager
def belonging_to(owner: Path) -> Iterator[None]:
    """What is started here is not this process's own: it lives as long as `owner`, somewhere, holds it."""
    token = _owner.set(str(owner))
    try:
        yield
    finally:
        _owner.reset(token)


def end(group: int, *signs: tuple[int, float]) -> None:
    """Send each of `signs` to the group, with so many seconds to obey, until nothing of it is left."""
    for sign, patience in signs:
        until = time.monotonic() + patience
        try:
            os.killpg(group, sign)
        except ProcessLookupError:
            return
        except PermissionError:
            pass  # macOS says so of a group of which only the dead are left
        while time.monotonic() < until:
            if not alive(group):
                return
            time.sleep(0.02)


def alive(group: int) -> bool:
    with contextlib.suppress(ChildProcessError):
        # Reaps it where it is our own child, which would otherwise linger and look alive.
        os.waitpid(group, os.WNOHANG)
    try:
        os.killpg(group, 0)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def _pipe() -> int:
    with _lock:
        key = os.getpid(), _owner.get()
        if key not in _pipes:
            if key[1]:
                _pipes[key] = os.open(key[1], os.O_WRONLY)
            else:
                reader, _pipes[key] = os.pipe()
                _help(reader)
        return _pipes[key]


def _help(reader: int) -> None:
    """Start the helper, in a session of its own: what ends this process and its terminal must not end it."""
    try:
        subprocess.Popen(
            [sys.executable, "-S", __file__],
            stdin=reader,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            cwd="/",
        )
    finally:
        os.close(reader)


def watch(told: IO[bytes]) -> None:
    """The helper: learn of groups until the pipe is closed, then end those that are left."""
    for sign in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(sign, signal.SIG_IGN)
    groups: dict[int, None] = {}
    for line in told:
        group = int(line[1:])
        if line.startswith(b"+"):
            groups[group] = None
        else:
            groups.pop(group, None)
    endings = [
        threading.Thread(target=end, args=(group, (signal.SIGTERM, PATIENCE), (signal.SIGKILL, PATIENCE)))
        for group in groups
    ]
    for ending in endings:
        ending.start()


if __name__ == "__main__":
    watch(sys.stdin.buffer)
