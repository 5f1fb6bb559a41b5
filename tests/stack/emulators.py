"""The Google Cloud SDK's Firestore and Pub/Sub emulators and bqemulator, started on free ports and stopped."""

import fcntl
import json
import os
import shutil
import subprocess
import sys
import venv
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import cache
from pathlib import Path

from tests.stack import servers
from tests.stack.servers import Absent, Server

ROOT = Path(__file__).resolve().parents[2]

# bqemulator brings a DuckDB and packages of its own, so it lives in an environment of its own. It loads DuckDB's
# `spatial` at its start, which the last two packages carry, and numpy, which it does not declare.
BQ_VENV = ROOT / ".venv-bq"
BQ_PACKAGES = (
    "bqemulator==1.4.0",
    "duckdb==1.5.5",
    "duckdb-extensions==1.5.5",
    "duckdb-extension-spatial==1.5.5",
    "numpy==2.4.6",
)

VARIABLES = {
    "firestore": "FIRESTORE_EMULATOR_HOST",
    "pubsub": "PUBSUB_EMULATOR_HOST",
    "bigquery": "BIGQUERY_EMULATOR_HOST",
}


def start(name: str, logs: Path) -> Server:
    """Start the emulator `name`, a key of VARIABLES. Raises Absent where the machine lacks what it needs."""
    return {"firestore": _firestore, "pubsub": _pubsub, "bigquery": _bigquery}[name](logs / f"{name}.log")


@contextmanager
def running(logs: Path, names: Sequence[str] = tuple(VARIABLES)) -> Iterator[dict[str, str]]:
    """The environment variables that lead to these emulators, which stop at the end."""
    with ExitStack() as stopping:
        environment = {}
        for name in names:
            server = start(name, logs)
            stopping.callback(server.stop)
            environment[VARIABLES[name]] = server.address
        yield environment


def _firestore(log: Path) -> Server:
    jar = _sdk() / "platform" / "cloud-firestore-emulator" / "cloud-firestore-emulator.jar"
    if not jar.exists():
        raise Absent("the Google Cloud SDK has no Firestore emulator (google-cloud-cli-firestore-emulator)")
    java = _java()
    main = "com.google.cloud.datastore.emulator.firestore.CloudFirestore"
    return servers.start(
        "firestore",
        lambda port: [java, "-Xmx768m", "-cp", str(jar), main, "--host=127.0.0.1", f"--port={port}"],
        log,
        servers.answers_http("/"),
    )


def _pubsub(log: Path) -> Server:
    binary = _sdk() / "platform" / "pubsub-emulator" / "bin" / "cloud-pubsub-emulator"
    if not binary.exists():
        raise Absent("the Google Cloud SDK has no Pub/Sub emulator (google-cloud-cli-pubsub-emulator)")
    _java()
    return servers.start(
        "pubsub",
        lambda port: [str(binary), "--host=127.0.0.1", f"--port={port}"],
        log,
        servers.answers_http("/"),
        environment={"JAVA_OPTS": "-Xmx512m"},
    )


def _bigquery(log: Path) -> Server:
    python = bigquery_environment()
    return servers.start(
        "bigquery",
        lambda port: [
            str(python.parent / "bqemulator"),
            "start",
            "--ephemeral",
            "--rest-port",
            str(port),
            "--grpc-port",
            str(servers.free_port()),
            "--log-level",
            "warning",
        ],
        log,
        servers.answers_http("/healthz"),
        environment=_bigquery_home(),
    )


def bigquery_environment() -> Path:
    """bqemulator's Python, installed at first use (about half a gigabyte). Raises Absent where it cannot be."""
    python = BQ_VENV / "bin" / "python"
    installed = BQ_VENV / "installed.json"
    wanted = json.dumps(BQ_PACKAGES)
    BQ_VENV.mkdir(exist_ok=True)
    with (BQ_VENV / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if installed.exists() and installed.read_text(encoding="utf-8") == wanted:
            return python
        size = "DuckDB with its extension for maps, and the emulator's own libraries"
        print(f"installing bqemulator into {BQ_VENV.name}, once, about 500 MB: {size}", file=sys.stderr, flush=True)
        uv = shutil.which("uv", path=f"{Path(sys.executable).parent}:{os.environ.get('PATH', '')}")
        venv.create(BQ_VENV, with_pip=uv is None, symlinks=True)
        install = [uv, "pip", "install", "--python", str(python)] if uv else [str(python), "-m", "pip", "install", "-q"]
        load = "from duckdb_extensions import import_extension; import_extension('spatial')"
        for command, environment in (([*install, *BQ_PACKAGES], {}), ([str(python), "-c", load], _bigquery_home())):
            done = subprocess.run(
                command,
                env={**os.environ, **environment},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                check=False,
            )
            if done.returncode:
                raise Absent(f"bqemulator cannot be installed: {done.stderr.strip()[-400:]}")
        installed.write_text(wanted, encoding="utf-8")
    return python


def _bigquery_home() -> dict[str, str]:
    """DuckDB keeps extensions under HOME: here, so that nothing is left behind outside the project."""
    return {"HOME": str(BQ_VENV)}


@cache
def _java() -> str:
    java = shutil.which("java")
    if java is None:
        raise Absent("no Java, in which the Google Cloud SDK's emulators run")
    return java


@cache
def _sdk() -> Path:
    """The Google Cloud SDK's folder."""
    places = [os.environ.get("CLOUDSDK_ROOT"), "/usr/lib/google-cloud-sdk", str(Path.home() / "google-cloud-sdk")]
    if gcloud := shutil.which("gcloud"):
        places.insert(1, str(Path(gcloud).resolve().parents[1]))
    for place in places:
        if place and (Path(place) / "platform").is_dir():
            return Path(place)
    raise Absent("no Google Cloud SDK (looked at CLOUDSDK_ROOT, gcloud on PATH, /usr/lib and the home folder)")
