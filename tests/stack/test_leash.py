"""Nothing that a stack starts outlives it, whatever ends it."""

import json
import os
import pty
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import urllib3

from tests.stack import leash
from tests.stack.servers import free_port
from tests.stack.topology import ROOT

# Starts an obedient server with a child and one that ignores SIGTERM, says their groups, and waits.
PARENT = """
import json, pathlib, sys, time
from tests.stack.stack import Process, orderly
folder = pathlib.Path(sys.argv[1])
def main():
    child = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'import time; time.sleep(600)'])"
    deaf = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(600)"
    servers = [Process([sys.executable, "-c", text], {}, folder / f"{n}.log") for n, text in enumerate((child, deaf))]
    while not servers[1].log.read_text():
        time.sleep(0.01)
    (folder / "new").write_text(json.dumps([one._process.pid for one in servers]))
    (folder / "new").rename(folder / "groups")
    if sys.argv[2] == "fails":
        raise ValueError("a bug")
    time.sleep(600)
with orderly():
    main()
"""


@pytest.fixture
def groups(tmp_path: Path) -> Iterator[Callable[[], list[int]]]:
    def told() -> list[int]:
        wait_until((tmp_path / "groups").exists, 30)
        found: list[int] = json.loads((tmp_path / "groups").read_text())
        return found

    yield told
    for group in told():
        leash.end(group, (signal.SIGKILL, 5.0))


def wait_until(holds: Callable[[], bool], seconds: float) -> None:
    until = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < until
        time.sleep(0.05)


def interruptible() -> None:
    """A shell ignores Ctrl-C for its background work (`&`), and so does what that starts, until it says otherwise."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def command(folder: Path, how: str) -> list[str]:
    return [sys.executable, "-c", PARENT, str(folder), how]


@pytest.mark.slow
@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_servers_end_with_their_parent_whatever_signal_ends_it(
    sign: signal.Signals, tmp_path: Path, groups: Callable[[], list[int]]
) -> None:
    with subprocess.Popen(
        command(tmp_path, "waits"), cwd=ROOT, stderr=subprocess.PIPE, text=True, preexec_fn=interruptible
    ) as parent:
        started = groups()
        assert all(map(leash.alive, started))
        parent.send_signal(sign)
        _, said = parent.communicate(timeout=20)
    wait_until(lambda: not any(map(leash.alive, started)), 20)
    assert "Traceback" not in said
    if sign is not signal.SIGKILL:
        assert parent.returncode == 128 + sign


@pytest.mark.slow
def test_servers_end_with_a_parent_that_fails(tmp_path: Path, groups: Callable[[], list[int]]) -> None:
    done = subprocess.run(command(tmp_path, "fails"), cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert "a bug" in done.stderr
    wait_until(lambda: not any(map(leash.alive, groups())), 20)


@pytest.mark.slow
def test_servers_end_when_the_terminal_is_closed(tmp_path: Path, groups: Callable[[], list[int]]) -> None:
    parent, terminal = pty.fork()
    if parent == 0:
        os.chdir(ROOT)
        os.execv(sys.executable, command(tmp_path, "waits"))  # noqa: S606 - a fork of this very test
    started = groups()
    os.close(terminal)
    wait_until(lambda: not any(map(leash.alive, started)), 20)
    os.waitpid(parent, 0)


def test_what_belongs_to_another_lives_as_long_as_its_owner(tmp_path: Path) -> None:
    owner = tmp_path / "leash"
    holder = subprocess.Popen(
        [
            sys.executable,
            "-c",
            f"import pathlib, time; from tests.stack import leash; leash.hold(pathlib.Path({str(owner)!r})); time.sleep(600)",
        ],
        cwd=ROOT,
    )
    wait_until(owner.exists, 30)
    starts = f"""
import os, pathlib, sys
from tests.stack import leash
with leash.belonging_to(pathlib.Path({str(owner)!r})), open(os.devnull, "ab") as nowhere:
    print(leash.start(["/bin/sleep", "600"], nowhere, environment=os.environ).pid)
"""
    done = subprocess.run([sys.executable, "-c", starts], cwd=ROOT, capture_output=True, text=True, check=True)
    group = int(done.stdout)
    time.sleep(0.5)
    assert leash.alive(group)
    holder.kill()
    holder.wait()
    wait_until(lambda: not leash.alive(group), 20)


def dev(home: Path, *more: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "tests.stack.dev", "--home", str(home), *more],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        preexec_fn=interruptible,
    )


@pytest.mark.slow
def test_a_second_make_dev_leaves_the_first_alone_and_both_end_without_a_trace(tmp_path: Path) -> None:
    home, port = tmp_path / "dev", free_port()
    note = home / "running.json"
    with dev(home, "--port", str(port)) as first:
        wait_until(note.exists, 120)
        with dev(home, "--port", str(free_port())) as second:
            said, _ = second.communicate(timeout=60)
        assert second.returncode == 1
        assert "another stack is running in" in said
        with dev(tmp_path / "other", "--port", str(port)) as third:
            said, _ = third.communicate(timeout=60)
        assert third.returncode == 1
        assert f"port {port} is taken" in said
        assert note.exists()
        url = json.loads(note.read_text())["webhook"]
        assert urllib3.request("POST", f"{url}/stripe", body=b"{}").status == 401
        first.send_signal(signal.SIGINT)
        said, _ = first.communicate(timeout=60)
    assert first.returncode == 0
    assert "Traceback" not in said
    assert not note.exists()
    with socket.socket() as closed:
        assert closed.connect_ex(("127.0.0.1", port)) != 0
