"""Real servers for tests: started by the first test that needs one, shared by all workers, stopped at the end."""

import fcntl
import json
import os
import shutil
import tempfile
import uuid
from collections.abc import Generator
from dataclasses import asdict
from pathlib import Path

import pytest
import urllib3
from hypothesis import HealthCheck, settings

from tests.stack import emulators, leash, postgres
from tests.stack.servers import Absent, Server
from tests.stack.topology import topics

_FOLDER = "PAYIN_TEST_SERVERS"
_CONTROLLER = pytest.StashKey[Path]()

# How long one example takes says how busy the machine is, and nothing of the code.
settings.register_profile("payin", settings.default, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("payin")


def pytest_configure(config: pytest.Config) -> None:
    # The controller, or the only process there is; pytest-xdist's workers inherit its environment.
    if not hasattr(config, "workerinput"):
        folder = Path(tempfile.mkdtemp(prefix="payin-servers-"))
        config.stash[_CONTROLLER] = folder
        os.environ[_FOLDER] = str(folder)
        leash.hold(folder / "leash")


def pytest_unconfigure(config: pytest.Config) -> None:
    folder = config.stash.get(_CONTROLLER, None)
    if folder is not None:
        for started in folder.glob("*.json"):
            told = json.loads(started.read_text(encoding="utf-8"))
            if "absent" not in told:
                with leash.belonging_to(folder / "leash"):
                    Server(**told).stop()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A skip means that this machine lacks a server or a data set. CI has them all, so that there a skip fails."""
    report = yield
    if report.skipped and not hasattr(report, "wasxfail") and os.environ.get("CI") == "true":
        report.outcome = "failed"
        report.longrepr = f"CI skips nothing: {call.excinfo.value if call.excinfo else ''}"
    return report


def address_of(name: str) -> str:
    """The address of the server `name`, started if nobody has. Skips where this machine cannot have it."""
    folder = Path(os.environ[_FOLDER])
    told_in = folder / f"{name}.json"
    with (folder / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not told_in.exists():
            try:
                log = folder / "postgresql.log"
                with leash.belonging_to(folder / "leash"):  # not to this worker, which may be done before the others
                    server = postgres.start(log) if name == "postgresql" else emulators.start(name, folder)
                told_in.write_text(json.dumps(asdict(server)), encoding="utf-8")
            except Absent as error:
                told_in.write_text(json.dumps({"absent": str(error)}), encoding="utf-8")
    told = json.loads(told_in.read_text(encoding="utf-8"))
    if "absent" in told:
        pytest.skip(f"no {name}: {told['absent']}")
    return str(told["address"])


@pytest.fixture(scope="session")
def postgres_url() -> str:
    """A database of this worker's own."""
    return postgres.create_database(address_of("postgresql"), f"payin_{os.getpid()}")


@pytest.fixture(scope="session")
def firestore_emulator() -> str:
    return address_of("firestore")


@pytest.fixture(scope="session")
def pubsub_emulator() -> str:
    return address_of("pubsub")


@pytest.fixture(scope="session")
def bigquery_emulator() -> str:
    return address_of("bigquery")


@pytest.fixture(scope="session")
def gcp_environment(
    firestore_emulator: str, pubsub_emulator: str, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, str]:
    """The gcp backend's settings on the emulators, in a project of its own with every topic."""
    project = f"payin-{uuid.uuid4().hex[:12]}"
    for topic in topics():
        url = f"http://{pubsub_emulator}/v1/projects/{project}/topics/{topic}"
        # 409: an earlier try made it, whose answer did not come in time.
        assert urllib3.request("PUT", url, json={}).status in (200, 409)
    models: Path = tmp_path_factory.mktemp("models")
    return {
        "PAYIN_BACKEND": "gcp",
        "GOOGLE_CLOUD_PROJECT": project,
        "PAYIN_MODEL_BUCKET": models.as_uri(),
        "PAYIN_EVIDENCE_BUCKET": models.as_uri(),
        "FIRESTORE_EMULATOR_HOST": firestore_emulator,
        "PUBSUB_EMULATOR_HOST": pubsub_emulator,
    }
