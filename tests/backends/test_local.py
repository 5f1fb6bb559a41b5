"""What only the local backend has to prove: several processes, files, and databases that are not there."""

import gc
import os
import subprocess
import sys
import time
import warnings
from pathlib import Path

import pytest

from shared import settings
from shared.backends.local import connect
from shared.backends.local.models import FileModels
from shared.domain.errors import Misconfigured, Unavailable
from shared.flows.ports import Create, Key, Message, Ports
from tests.stack import postgres
from tests.stack.servers import free_port

ROOT = Path(__file__).resolve().parents[2]

# One of several processes that meet an empty folder at the same moment.
WORKER = """
import sys
from shared import settings
from shared.backends.local import connect
from shared.domain.errors import Conflict
from shared.flows.ports import Accumulate, Create, Key, Message
ports = connect(settings.read({"PAYIN_HOME": sys.argv[1], "PAYIN_DATABASE_URL": sys.argv[2]}))
won = 0
for n in range(15):
    try:
        ports.documents.commit([Create(Key("claims", str(n)), {}), Accumulate(Key("all", "hot"), add={("n",): 1})])
        won += 1
    except Conflict:
        pass
    ports.documents.commit([Accumulate(Key("all", f"d{n % 3}"), add={("n",): 1})])
    ports.bus.publish([Message("t", b"x")])
ports.models.store(b"the same model")
ports.warehouse.append("payment_events", [{"event_id": sys.argv[3], "kind": "payment"}])
print(won)
"""


@pytest.mark.parametrize("kind", ["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def test_several_processes_share_a_database_that_none_of_them_made(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    url = f"sqlite:///{tmp_path}/shared.sqlite"
    if kind == "postgresql":
        host, port = request.getfixturevalue("postgres_url").split("@")[1].split("/")[0].split(":")
        url = postgres.create_database(f"{host}:{port}", f"shared_{os.getpid()}")
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", WORKER, str(tmp_path), url, f"w{n}"],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for n in range(3)
    ]
    told = [worker.communicate(timeout=60) for worker in workers]
    assert [worker.returncode for worker in workers] == [0] * 3, told
    ports = connect(settings.read({"PAYIN_HOME": str(tmp_path), "PAYIN_DATABASE_URL": url}))
    assert sum(int(out) for out, _ in told) == 15
    counts = ports.documents.get([Key("all", name) for name in ("hot", "d0", "d1", "d2")])
    assert [one and one.document["n"] for one in counts] == [15, 15, 15, 15]
    rows = ports.warehouse.query("SELECT event_id FROM payment_events ORDER BY event_id")
    assert [row["event_id"] for row in rows] == ["w0", "w1", "w2"]


@pytest.mark.postgres
@pytest.mark.parametrize("kind", ["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def test_a_forgotten_database_gives_its_connections_back(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    url = request.getfixturevalue("postgres_url") if kind == "postgresql" else ""
    ports = connect(settings.read({"PAYIN_HOME": str(tmp_path), "PAYIN_DATABASE_URL": url}))
    assert ports.documents.get([Key("nothing", "there")]) == [None]
    gc.collect()
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        del ports
        gc.collect()
    assert [str(warning.message) for warning in told] == []


@pytest.mark.usefixtures("postgres_url")  # skips, or fails, where there is no PostgreSQL
def test_a_database_that_goes_away_is_unavailable_at_once(tmp_path: Path) -> None:
    server = postgres.start(tmp_path / "log")
    url = postgres.database_url(server.address, "postgres")
    ports = connect(settings.read({"PAYIN_DATABASE_URL": url, "PAYIN_HOME": str(tmp_path)}))
    try:
        ports.documents.commit([Create(Key("c", "a"), {})])
    finally:
        server.stop()
    _is_unavailable(ports)


def test_a_database_that_was_never_there_is_unavailable_at_once(tmp_path: Path) -> None:
    url = f"postgresql://payin@127.0.0.1:{free_port()}/payin"
    _is_unavailable(connect(settings.read({"PAYIN_DATABASE_URL": url, "PAYIN_HOME": str(tmp_path)})))


def _is_unavailable(ports: Ports) -> None:
    begun = time.monotonic()
    with pytest.raises(Unavailable):
        ports.documents.get([Key("c", "a")])
    with pytest.raises(Unavailable):
        ports.documents.commit([Create(Key("c", "b"), {})])
    with pytest.raises(Unavailable):
        ports.bus.publish([Message("t", b"x")])
    assert time.monotonic() - begun < 5


@pytest.mark.parametrize(
    "url", ["nonsense", "sqlite:nonsense", "mysql://a@b/c", "sqlite://", "sqlite:///:memory:", "x://y"]
)
def test_a_database_that_we_cannot_share_is_misconfigured(url: str, tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match="PAYIN_DATABASE_URL"):
        connect(settings.read({"PAYIN_DATABASE_URL": url, "PAYIN_HOME": str(tmp_path)})).documents.get([Key("c", "a")])


def test_a_model_whose_file_was_changed_is_misconfigured(tmp_path: Path) -> None:
    models = FileModels(tmp_path)
    digest = models.store(b"model")
    (tmp_path / digest).write_bytes(b"other")
    with pytest.raises(Misconfigured, match=digest):
        models.load(digest)


def test_connecting_imports_and_makes_nothing(tmp_path: Path) -> None:
    code = (
        "import sys; from shared import settings; from shared.backends.local import connect; "
        f"connect(settings.read({{'PAYIN_HOME': {str(tmp_path / 'home')!r}}})); "
        "print(sorted({'sqlalchemy', 'duckdb', 'sqlglot', 'google.auth', 'grpc'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    assert list(tmp_path.iterdir()) == []
