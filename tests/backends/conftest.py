"""Every backend there is, by the same words."""

import uuid
from dataclasses import replace
from pathlib import Path

import pytest

from shared import settings
from shared.backends import gcp, local
from shared.backends.overlay import Overlay
from shared.flows.ports import Ports

BACKENDS = [
    "sqlite",
    "overlay",
    pytest.param("postgresql", marks=pytest.mark.postgres),
    pytest.param("gcp-grpc", marks=pytest.mark.emulators),
    pytest.param("gcp-rest", marks=pytest.mark.emulators),
]


@pytest.fixture(scope="session", params=BACKENDS)
def backend(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Ports:
    """A connected backend without a warehouse; tests tell themselves apart by collection and topic."""
    return _connected(request, request.param, tmp_path_factory.mktemp(request.param))


@pytest.fixture(scope="module", params=["duckdb", pytest.param("bigquery", marks=pytest.mark.emulators)])
def warehouses(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Ports:
    """A backend whose warehouse is empty and has its tables."""
    home = tmp_path_factory.mktemp(request.param)
    if request.param == "duckdb":
        return local.connect(settings.read({"PAYIN_HOME": str(home)}))
    from shared.backends.gcp.warehouse import BigQueryWarehouse

    dataset = f"d{uuid.uuid4().hex[:12]}"
    emulator = request.getfixturevalue("bigquery_emulator")
    BigQueryWarehouse("payin-test", dataset, emulator).ensure_tables()
    environment = {
        "PAYIN_BACKEND": "gcp",
        "GOOGLE_CLOUD_PROJECT": "payin-test",
        "PAYIN_DATASET": dataset,
        "BIGQUERY_EMULATOR_HOST": emulator,
    }
    return gcp.connect(settings.read(environment))


def _connected(request: pytest.FixtureRequest, name: str, home: Path) -> Ports:
    match name:
        case "sqlite":
            return local.connect(settings.read({"PAYIN_HOME": str(home)}))
        case "overlay":
            below = local.connect(settings.read({"PAYIN_HOME": str(home)}))
            return replace(below, documents=Overlay(below.documents))
        case "postgresql":
            url = request.getfixturevalue("postgres_url")
            return local.connect(settings.read({"PAYIN_HOME": str(home), "PAYIN_DATABASE_URL": url}))
        case _:
            environment = {
                "PAYIN_BACKEND": "gcp",
                "GOOGLE_CLOUD_PROJECT": f"payin-{uuid.uuid4().hex[:12]}",
                "PAYIN_FIRESTORE_TRANSPORT": name.removeprefix("gcp-"),
                "PAYIN_MODEL_BUCKET": f"file://{home}/models",
                "PAYIN_EVIDENCE_BUCKET": f"file://{home}/evidence",
                "FIRESTORE_EMULATOR_HOST": request.getfixturevalue("firestore_emulator"),
                "PUBSUB_EMULATOR_HOST": request.getfixturevalue("pubsub_emulator"),
            }
            return gcp.connect(settings.read(environment))
