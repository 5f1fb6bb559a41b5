"""A night that is too large for the function: the same models from a process, started once, whatever gets lost."""

import json
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from shared.backends.local import connect
from shared.domain.errors import Misconfigured, PayInError, Unavailable
from shared.flows.champions import TRAINED, Champion
from shared.flows.ports import Ports, Warehouse
from shared.flows.scorer import CHAMPION
from shared.flows.train_model import on_request
from shared.flows.training_job import Elsewhere
from shared.runtime import training
from shared.runtime.app import App
from shared.settings import read
from tests.flows.test_train_model import FEW, NOW, champion, line
from tests.learning.shop import fill, past
from tests.local import local_ports
from tests.stack.vertex import PROJECT, REGION, REVISION, SERVICE, Vertex, vertex

ASKED = json.dumps({"maturity_days": 8, "gap_days": 2, "burn_in_days": 0, "iterations": 5, **FEW}).encode()
JOB = {
    "above": 100,
    "region": REGION,
    "machine": "n1-highmem-8",
    "service_account": "job-train-model@shop.iam.gserviceaccount.com",
}


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A shop with a past that nobody has learned from."""
    folder = tmp_path_factory.mktemp("shop")
    fill(local_ports(folder), past())
    return folder


@pytest.fixture(scope="module")
def in_the_function(filled: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Champion, dict[str, Any]]:
    """The champion of a night that the function can take, and what the night left besides. No job was started."""
    folder = tmp_path_factory.mktemp("function") / "shop"
    shutil.copytree(filled, folder)
    with vertex({}) as google:
        tick(folder, google, above=3_000)  # the shop has fewer payments; the request would take a hundred thousand
        assert not google.jobs
    ports = ports_in(folder)
    return champion(ports), trained(ports)


@pytest.fixture
def shop(filled: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "shop"
    shutil.copytree(filled, folder)
    return folder


@pytest.fixture
def google(shop: Path) -> Iterator[Vertex]:
    with vertex({"PAYIN_BACKEND": "local", "PAYIN_HOME": str(shop), "OMP_WAIT_POLICY": "passive"}) as here:
        yield here


def ports_in(folder: Path) -> Ports:
    return connect(read({"PAYIN_HOME": str(folder)}))


def trained(ports: Ports) -> dict[str, Any]:
    [snapshot] = ports.documents.get([TRAINED])
    assert snapshot is not None
    return snapshot.document


def elsewhere(google: Vertex, **job: object) -> Elsewhere:
    """As the function has it that runs on `google`."""
    where = {"GOOGLE_CLOUD_PROJECT": PROJECT, "K_REVISION": REVISION, "PAYIN_JOBS_URL": google.url}
    app = App("train_model", {**where, "PAYIN_TRAINING_JOB": json.dumps({**JOB, **job})})
    # Under its own name the service would be on Cloud Run, where no stand-in may answer for Google.
    object.__setattr__(app.settings, "environment", {**app.settings.environment, "K_SERVICE": SERVICE})
    found = training.elsewhere(app)
    assert found is not None
    return found


def tick(shop: Path, google: Vertex, **job: object) -> None:
    on_request(ports_in(shop), NOW, ASKED, elsewhere(google, **job))


def test_a_night_of_too_many_rows_ends_in_the_champion_of_the_function_killed_once_and_delivered_four_times(
    shop: Path, google: Vertex, in_the_function: tuple[Champion, Mapping[str, Any]]
) -> None:
    tick(shop, google)
    [process] = google.processes.values()
    assert process.stdout is not None
    # Between two fits: nobody is crowned yet.
    assert any('"model_fitted"' in said for said in iter(process.stdout.readline, ""))
    process.kill()
    assert google.ended() == [-9]
    assert ports_in(shop).documents.get([CHAMPION]) == [None]
    tick(shop, google)  # starts it again
    tick(shop, google)  # while it runs
    assert google.ended() == [-9, 0]
    tick(shop, google)  # and when it has ended well
    assert len(google.jobs) == 2
    ports = ports_in(shop)
    assert (champion(ports), trained(ports)) == in_the_function
    assert line(ports).former == ()


def test_a_start_whose_answer_is_lost_is_found_and_not_repeated(shop: Path, google: Vertex) -> None:
    google.losing = 1
    with pytest.raises(Unavailable):
        tick(shop, google)
    tick(shop, google)
    assert len(google.jobs) == 1


@pytest.mark.parametrize("status", [409, 429, 500, 503])
def test_a_start_that_google_puts_off_is_tried_again_with_the_tick(shop: Path, google: Vertex, status: int) -> None:
    google.failing = [status]
    with pytest.raises(Unavailable):
        tick(shop, google)
    assert not google.jobs
    tick(shop, google)
    assert len(google.jobs) == 1


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"machine": "f1-micro"}, "Machine type is not supported"),
        ({"service_account": "nobody@example.com"}, "The service account does not exist"),
        ({"region": "europe-west9"}, "404"),
    ],
)
def test_what_google_refuses_for_good_is_an_operators_to_mend(
    shop: Path, google: Vertex, wrong: dict[str, str], said: str
) -> None:
    with pytest.raises(Misconfigured, match=said):
        tick(shop, google, **wrong)


def test_a_job_that_somebody_stopped_stays_stopped_for_its_tick(shop: Path, google: Vertex) -> None:
    tick(shop, google)
    google.cancel(google.jobs[0])
    tick(shop, google)
    assert len(google.jobs) == 1


def test_a_request_that_can_never_be_too_large_counts_nothing_beforehand(shop: Path, google: Vertex) -> None:
    asked: list[str] = []
    ports = ports_in(shop)

    class Counting:
        def query(self, sql: str, *_: object, **__: object) -> list[dict[str, Any]]:
            asked.append(sql)
            raise Unavailable("down", reason="test")

    with pytest.raises(Unavailable):
        on_request(replace(ports, warehouse=cast(Warehouse, Counting())), NOW, b"{}", elsewhere(google, above=200_000))
    assert len(asked) == 1
    assert not google.jobs


def test_a_job_is_told_where_to_work_and_no_secret() -> None:
    told = read(
        {
            "PAYIN_BACKEND": "gcp",
            "GOOGLE_CLOUD_PROJECT": "shop",
            "PAYIN_MODEL_BUCKET": "models",
            "PAYIN_PSEUDONYM_KEYS": "secret",
            "API_STRIPE": "secret",
        }
    )
    assert told.of_a_job() == {
        "PAYIN_BACKEND": "gcp",
        "GOOGLE_CLOUD_PROJECT": "shop",
        "PAYIN_MODEL_BUCKET": "models",
    }


@pytest.mark.parametrize(
    "text", ["{", '{"above": 1}', json.dumps({**JOB, "region": "eu/../x"}), json.dumps({**JOB, "above": 0})]
)
def test_a_setting_that_names_no_job_keeps_the_function_from_starting(text: str) -> None:
    with pytest.raises(Misconfigured, match="PAYIN_TRAINING_JOB"):
        read({"PAYIN_TRAINING_JOB": text}).training_job()


def test_on_cloud_run_nobody_stands_in_for_google() -> None:
    deployed = {"K_SERVICE": "x", "PAYIN_BACKEND": "gcp", "GOOGLE_CLOUD_PROJECT": "p", "PAYIN_JOBS_URL": "http://x"}
    with pytest.raises(PayInError, match="PAYIN_JOBS_URL"):
        read(deployed)


def test_a_process_whose_request_cannot_be_read_says_so_and_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PAYIN_HOME", str(tmp_path))
    assert training.main(["--at", "2026-11-28T03:15:00+00:00", "--request", '{"max_rows": 0}']) == 1
    assert "max_rows" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        training.main(["--at", "2026-11-28T03:15:00"])
