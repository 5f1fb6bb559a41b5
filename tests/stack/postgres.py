"""A PostgreSQL of our own: a fresh cluster in a temporary folder, on a free port, forgotten when it stops."""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.stack import servers
from tests.stack.servers import Absent, Server

# Nothing of a test's needs to survive a power cut.
_CARELESS = ("fsync=off", "synchronous_commit=off", "full_page_writes=off")


def start(log: Path) -> Server:
    """A running server. Raises Absent where the machine has no PostgreSQL server binaries."""
    binaries = _binaries()
    user = _other_user() if os.geteuid() == 0 else None
    folder = tempfile.mkdtemp(prefix="payin-postgres-")
    try:
        if user:
            shutil.chown(folder, user)
        data = f"{folder}/data"
        made = subprocess.run(
            [
                str(binaries / "initdb"),
                "-D",
                data,
                "-U",
                "payin",
                "-A",
                "trust",
                "-E",
                "UTF8",
                "--locale=C",
                "--no-sync",
            ],
            user=user,
            group=pwd.getpwnam(user).pw_gid if user else None,
            extra_groups=[] if user else None,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if made.returncode:
            raise RuntimeError(f"initdb failed: {made.stderr.strip()[-500:]}")

        def command(port: int) -> list[str]:
            settings = (
                f"port={port}",
                "listen_addresses=127.0.0.1",
                "unix_socket_directories=",
                "max_connections=300",
                "shared_buffers=64MB",
                *_CARELESS,
            )
            return [str(binaries / "postgres"), "-D", data, *(word for one in settings for word in ("-c", one))]

        # SIGTERM would wait for clients to leave; SIGINT sends them away.
        return servers.start("postgresql", command, log, _accepts, user=user, folder=folder, sign=signal.SIGINT)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


@contextmanager
def running(log: Path) -> Iterator[str]:
    """The URL of a database of its own server, stopped at the end."""
    server = start(log)
    try:
        yield database_url(server.address, "postgres")
    finally:
        server.stop()


def database_url(address: str, name: str) -> str:
    return f"postgresql+psycopg://payin@{address}/{name}"


def create_database(address: str, name: str) -> str:
    """Make a database on the server at `address`; its URL."""
    import psycopg
    from psycopg import sql

    host, port = address.split(":")
    with psycopg.connect(host=host, port=int(port), user="payin", dbname="postgres", autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    return database_url(address, name)


def _accepts(port: int) -> bool:
    import psycopg

    try:
        psycopg.connect(host="127.0.0.1", port=port, user="payin", dbname="postgres", connect_timeout=2).close()
    except psycopg.OperationalError:
        return False
    return True


def _binaries() -> Path:
    """The folder with `initdb` and `postgres`, the newest where Debian installed several."""
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name), reverse=True)
    on_path = shutil.which("postgres")
    for folder in [*debian, *([Path(on_path).resolve().parent] if on_path else [])]:
        if (folder / "initdb").exists() and (folder / "postgres").exists():
            return folder
    raise Absent("no PostgreSQL server binaries (Debian: apt-get install postgresql)")


def _other_user() -> str:
    """PostgreSQL refuses to run as root."""
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name).pw_name
        except KeyError:
            continue
    raise Absent("PostgreSQL refuses to run as root, and there is no user postgres or nobody")
