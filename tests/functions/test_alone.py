"""Every function starts from exactly what is deployed, with only its own requirements importable, and answers."""

import fnmatch
import http.client
import json
import os
import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from shared import providers
from shared.backends.gcp.warehouse import BigQueryWarehouse
from shared.domain.codec import encode
from shared.domain.disputes import AnswerAsked
from terraform.tools import bundle
from tests.benchmarks.requests import pushed, pushed_dispute, pushed_payment, stripe_delivery
from tests.benchmarks.servers import Request, post
from tests.benchmarks.worlds import STRIPE
from tests.flows.test_keep_evidence import MESSAGE
from tests.functions import pins
from tests.functions.alone import normalised, only_its_packages, required, serving, unpack
from tests.providers.kits import NOON, a_kit
from tests.stack.deployed import deployed
from tests.stack.identity import identity
from tests.stack.topology import environment

CONSUMED = {
    "assess_payment": Request(
        "/v1/assessments",
        {},
        b'{"request_id": "r1", "provider": "stripe", "amount": {"minor": 999, "currency": "EUR"}, "customer_id": "c1"}',
    ),
    "fetch_resource": pushed_payment("1"),  # no poke: nobody is asked
    "record_payment": pushed_payment("1"),
    "score_payment": pushed_payment("1"),
    "track_dispute": pushed_dispute("1"),
    "keep_evidence": pushed(encode(MESSAGE)),
    "respond_dispute": pushed(encode(AnswerAsked(provider="stripe", dispute_id="dp_none", round="chargeback/0"))),
    "manage_dispute": Request("/v1/disputes/readiness", identity("ana@shop.example"), b'{"customer_id": "cus_none"}'),
    "check_deadlines": pushed(b"", job="check_deadlines"),
    "train_model": pushed(b"", job="another"),
    "erase": pushed(b"", job="erase"),
    "monitor_model": pushed(b"", job="monitor_model"),
    "reconcile": pushed(b"", job="reconcile"),  # no provider's key is set: nobody is asked
    "watch_traffic": pushed(b"", job="watch_traffic"),
    "watch_providers": pushed(b"", job="canary"),
    "explain_payouts": pushed(b"", job="explain_payouts"),
    "replay_deliveries": Request("/", {}, b'{"provider": "stripe", "since": "2026-11-01T00:00:00Z"}'),
    "manage_rules": Request("/", {}, b'{"act": "show"}'),
    "notify": Request("/v1/notifications/list", identity("ana@shop.example"), b'{"endpoint": "crm"}'),
    "console": Request("/", {}, b""),  # around the proxy
    "review_payment": Request("/v1/reviews/next", identity("ana@shop.example"), b"{}"),
}
ANSWERS = dict.fromkeys(
    (
        "assess_payment",
        "manage_dispute",
        "manage_rules",
        "notify",
        "replay_deliveries",
        "review_payment",
        "webhook-stripe",
    ),
    200,
) | {"console": 401}  # others: 204
FUNCTIONS = sorted(["webhook", *CONSUMED])
DEPLOYMENTS = sorted([*CONSUMED, *(f"webhook-{name}" for name in providers.names())])


@pytest.fixture(scope="session")
def deployed_environment(gcp_environment: dict[str, str], bigquery_emulator: str) -> dict[str, str]:
    """The gcp backend's settings on emulators, the warehouse's tables among it, and those that a webhook starts with."""
    BigQueryWarehouse(gcp_environment["GOOGLE_CLOUD_PROJECT"], "payin", bigquery_emulator).ensure_tables()
    served = {"PAYIN_MODEL": "none", "PROVIDERS": "stripe", "WEBHOOK_STRIPE": STRIPE}
    told = {
        "PAYIN_ENDPOINTS": '{"crm": {"url": "https://crm.example/"}}',
        "NOTIFY_CRM": json.dumps({"keys": {"1": "whsec_" + "b2xk" * 8}}),
        "PAYIN_CONSOLE": json.dumps({"audience": "/projects/1/x", "groups": {"viewer": ["all@shop.example"]}}),
        "PAYIN_CONSOLE_KEY": "k" * 32,
    }
    return {**gcp_environment, "BIGQUERY_EMULATOR_HOST": bigquery_emulator, **served, **told}


def settings_of(function: str, shared: dict[str, str]) -> dict[str, str]:
    return {**shared, **environment(function)}


def ask(url: str, request: Request) -> int:
    address = urlsplit(url)
    return post(http.client.HTTPConnection(str(address.hostname), address.port, timeout=60), request)


def test_every_function_is_known_here_and_in_the_topology() -> None:
    topology = json.loads((bundle.ROOT / "functions" / "topology.json").read_text())
    assert bundle.functions() == FUNCTIONS == sorted(topology["functions"])
    assert bundle.deployments() == DEPLOYMENTS


@pytest.mark.parametrize("file", pins.files(), ids=lambda file: file.parent.name)
def test_every_package_that_a_function_is_deployed_with_is_pinned(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    assert text == pins.completed(text), "run `make pins`"


def test_the_client_of_firestore_is_there_for_those_that_take_it_and_google_auth_for_those_that_need_it() -> None:
    topology = json.loads((bundle.ROOT / "functions" / "topology.json").read_text())
    for name, declared in topology["functions"].items():
        packages = {normalised(one.name) for one in required(name)}
        assert ("firestore" in declared) is ("documents" in declared["needs"]), name
        assert ("google-cloud-firestore" in packages) is (declared.get("firestore") == "grpc"), name
        client = declared.get("firestore") == "grpc" or "warehouse" in declared["needs"]
        assert ("google-auth" in packages) is client, name


def test_no_main_is_longer_than_thirty_lines() -> None:
    for function in FUNCTIONS:
        assert len((bundle.ROOT / "functions" / function / "main.py").read_text().splitlines()) <= 30


@pytest.mark.parametrize("function", CONSUMED)
def test_a_bundle_starts_alone_and_answers(function: str, tmp_path: Path, deployed_environment: dict[str, str]) -> None:
    with serving(function, tmp_path, settings_of(function, deployed_environment)) as url:
        assert ask(url, CONSUMED[function]) == ANSWERS.get(function, 204), (tmp_path / "log").read_text()[-3000:]


@pytest.mark.parametrize("name", providers.names())
def test_a_webhook_starts_with_its_own_adapter_alone_and_takes_a_signed_delivery(
    name: str, tmp_path: Path, gcp_environment: dict[str, str]
) -> None:
    kit = a_kit(name, tmp_path)
    signed = kit.simulator.sign(kit.bodies()[0], NOON)
    (tmp_path / "clock").write_text(NOON.isoformat())
    own = {**kit.simulator.environment(), "PROVIDERS": name, "PAYIN_CLOCK": str(tmp_path / "clock")}
    with serving(f"webhook-{name}", tmp_path, settings_of("webhook", {**gcp_environment, **own})) as url:
        taken = ask(url, Request(signed.path, dict(signed.headers), signed.body))
        assert 200 <= taken < 300, (tmp_path / "log").read_text()[-3000:]
        assert ask(url, Request(f"/{name}", {}, b"{}")) in (400, 401)
        assert ask(url, Request(f"/{name}", {}, b"x" * (1 << 20) + b"x")) == 413
    there = {path.name for path in (tmp_path / "bundle" / "shared" / "providers").iterdir() if path.is_dir()}
    assert there - {"__pycache__"} == {name, "kit"}


def test_a_function_asks_google_with_the_metadata_servers_token_over_tls_as_deployed(
    tmp_path: Path, gcp_environment: dict[str, str]
) -> None:
    stripes = {"PROVIDERS": "stripe", "WEBHOOK_STRIPE": STRIPE}
    asked = {"webhook-stripe": stripe_delivery(datetime.now(UTC), "3"), "track_dispute": pushed_dispute("3")}
    with deployed(gcp_environment) as (cloud_run, metadata):
        shared = {**cloud_run, **stripes, "GOOGLE_CLOUD_PROJECT": gcp_environment["GOOGLE_CLOUD_PROJECT"]}
        for number, (function, request) in enumerate(asked.items(), 1):
            with serving(function, tmp_path / function, settings_of(function.partition("-")[0], shared)) as url:
                for _ in range(3):
                    assert ask(url, request) == ANSWERS.get(function, 204), (tmp_path / function / "log").read_text()
            assert metadata.asked == number, "an instance asks once"
        metadata.moods = [503] * 1000
        with serving("webhook-stripe", tmp_path / "none", settings_of("webhook", shared)) as url:
            assert ask(url, asked["webhook-stripe"]) == 503
            metadata.moods = []
            assert ask(url, asked["webhook-stripe"]) == 200


def test_a_deployed_functions_facts_are_lines_of_json_with_their_trace(
    tmp_path: Path, gcp_environment: dict[str, str]
) -> None:
    """With the settings of modules/function: the framework then writes our lines anew, with the execution's id."""
    deployed = {"THREADS": "8", "LOG_EXECUTION_ID": "true"}
    environment = {**gcp_environment, **deployed, "PROVIDERS": "stripe", "WEBHOOK_STRIPE": STRIPE}
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    headers = {"traceparent": f"00-{trace}-00f067aa0ba902b7-01"}
    with serving("webhook-stripe", tmp_path, environment) as url, ThreadPoolExecutor(8) as pool:
        asked = [pool.submit(ask, url, Request("/stripe", headers, b"{}")) for _ in range(40)]
        assert {one.result() for one in asked} == {401}
    lines = [line for line in (tmp_path / "log").read_text().splitlines() if "delivery_refused" in line]
    told = [json.loads(line) for line in lines]
    assert len(told) == 40
    for one in told:
        assert (one["severity"], one["event"], one["provider"]) == ("INFO", "delivery_refused", "stripe")
        assert one["logging.googleapis.com/trace"].endswith(f"/traces/{trace}")
        assert one["logging.googleapis.com/labels"]["execution_id"]


# What a start must not import: a client it does not use, a framework for training, a database driver of the local stack.
TOKENS = ("google.auth", "requests")
FIRESTORES_CLIENT = ("google.cloud.firestore", "grpc", *TOKENS)
TRAINING = ("sklearn", "numpy", "pydantic", "google.cloud.bigquery", "shared.learning")
LOCAL = ("sqlalchemy", "duckdb", "sqlglot", "shared.backends.local", "google.cloud.pubsub")
# What a claim means, in the words of the domain and with nothing behind it: labels are told by it.
CLAIMS = ("shared.fraud", "shared.fraud.claims")
NEVER_ON_THE_PATH = {
    "webhook-stripe": (
        *TRAINING,
        *LOCAL,
        *FIRESTORES_CLIENT,
        "google.cloud.storage",
        "shared.fraud",
        "cryptography",
    ),
    "fetch_resource": (
        *TRAINING,
        *LOCAL,
        *FIRESTORES_CLIENT,
        "google.cloud.storage",
        "shared.fraud",
        "shared.disputes",
        "cryptography",
    ),
    "record_payment": (*TRAINING, *LOCAL, "google.cloud.storage", "shared.providers", "shared.fraud"),
    "score_payment": (*TRAINING, *LOCAL, "google.cloud.storage", "shared.providers", "shared.disputes"),
    "track_dispute": (
        *TRAINING,
        *LOCAL,
        *FIRESTORES_CLIENT,
        "google.cloud.storage",
        "shared.providers",
        "shared.fraud",
    ),
    "check_deadlines": (
        *TRAINING,
        *LOCAL,
        *FIRESTORES_CLIENT,
        "google.cloud.storage",
        "shared.providers",
        "shared.fraud",
    ),
    "assess_payment": (
        *(name for name in TRAINING if name != "pydantic"),
        *LOCAL,
        "google.cloud.storage",
        "shared.providers",
        "shared.disputes",
    ),
    "keep_evidence": (
        *(name for name in TRAINING if name != "pydantic"),
        *LOCAL,
        *FIRESTORES_CLIENT,
        "google.cloud.storage",
        "shared.providers",
        "shared.fraud",
        "shared.disputes",
        "reportlab",
    ),
    "manage_rules": (
        *(name for name in TRAINING if name != "pydantic"),
        *(name for name in LOCAL if name != "sqlglot"),
        *FIRESTORES_CLIENT,
        "google.cloud.storage",
        "shared.providers",
        "shared.disputes",
    ),
    "review_payment": (
        *(name for name in TRAINING if name != "pydantic"),
        *LOCAL,
        *FIRESTORES_CLIENT,
        "google.cloud.storage",
        "shared.providers",
        "shared.disputes",
    ),
    "reconcile": (
        *(name for name in TRAINING if name != "google.cloud.bigquery"),
        *LOCAL,
        "google.cloud.firestore",
        "google.cloud.storage",
        "shared.fraud",
    ),
    # BigQuery's client brings cryptography along.
    "replay_deliveries": (
        *(name for name in TRAINING if name != "google.cloud.bigquery"),
        *LOCAL,
        "google.cloud.firestore",
        "google.cloud.storage",
        "shared.fraud",
    ),
}

_ONE_REQUEST = """
import json, sys
import functions_framework
function, path, headers, body = sys.argv[1], sys.argv[2], json.loads(sys.argv[3]), sys.argv[4].encode()
client = functions_framework.create_app(function, "main.py").test_client()
status = client.post(path, headers=headers, data=body).status_code
print(json.dumps([status, sorted(sys.modules)]))
"""


@pytest.mark.parametrize("function", sorted(NEVER_ON_THE_PATH))
def test_a_function_imports_nothing_heavy_that_its_path_does_not_use(
    function: str, tmp_path: Path, deployed_environment: dict[str, str]
) -> None:
    source, python = unpack(function, tmp_path / "bundle"), only_its_packages(function, tmp_path / "venv")
    request = CONSUMED.get(function) or stripe_delivery(datetime.now(UTC), "2")
    ran = subprocess.run(
        [
            *(str(python), "-c", _ONE_REQUEST, function.partition("-")[0]),
            *(request.path, json.dumps(request.headers), request.body.decode()),
        ],
        cwd=source,
        env=settings_of(function.partition("-")[0], deployed_environment),
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    status, modules = json.loads(ran.stdout.splitlines()[-1])
    assert status == ANSWERS.get(function, 204), ran.stdout + ran.stderr
    forbidden = NEVER_ON_THE_PATH[function]
    assert [name for name in modules if name.startswith(forbidden) and name not in CLAIMS] == []


@pytest.mark.parametrize("function", [*CONSUMED, "webhook-stripe"])
def test_what_a_function_does_not_require_is_not_there_to_be_imported(function: str, tmp_path: Path) -> None:
    python = only_its_packages(function, tmp_path / "venv")
    for module, is_there in (("functions_framework", True), ("pytest", False), ("sqlalchemy", False)):
        ran = subprocess.run([str(python), "-c", f"import {module}"], capture_output=True, check=False)
        assert (ran.returncode == 0) is is_there, module


def test_a_bundle_holds_nothing_that_is_never_deployed() -> None:
    for deployment in DEPLOYMENTS:
        names = set(bundle.files(deployment))
        assert not any(name.startswith(("tests/", "shared/backends/local/")) for name in names)
        assert any(name.startswith("shared/learning/") and name.endswith(".py") for name in names) == (
            deployment in ("monitor_model", "train_model", "watch_traffic")
        )


# A change of one byte, and every deployment whose bundle it renames, a webhook for each provider written `webhook-*`.
CHANGED = {
    "shared/providers/stripe/webhook.py": {
        "explain_payouts",
        "webhook-stripe",
        "console",
        "fetch_resource",
        "reconcile",
        "replay_deliveries",
        "respond_dispute",
        "manage_dispute",
        "watch_providers",
    },
    "shared/providers/stripe/shape.json": {
        "explain_payouts",
        "webhook-stripe",
        "console",
        "fetch_resource",
        "reconcile",
        "replay_deliveries",
        "respond_dispute",
        "manage_dispute",
        "watch_providers",
    },
    "shared/providers/stripe/api.py": {
        "explain_payouts",
        "console",
        "fetch_resource",
        "reconcile",
        "respond_dispute",
        "manage_dispute",
        "watch_providers",
    },
    "shared/providers/stripe/endpoint.py": {"watch_providers"},
    "shared/providers/stripe/answer.py": {"console", "respond_dispute", "manage_dispute"},
    "shared/providers/stripe/listing.py": {"reconcile"},
    # Nothing of Adyen's is read back.
    "shared/providers/adyen/webhook.py": {
        "console",
        "explain_payouts",
        "webhook-adyen",
        "reconcile",
        "replay_deliveries",
        "respond_dispute",
        "manage_dispute",
        "watch_providers",
    },
    "shared/providers/adyen/shape.json": {
        "console",
        "explain_payouts",
        "webhook-adyen",
        "reconcile",
        "replay_deliveries",
        "respond_dispute",
        "manage_dispute",
        "watch_providers",
    },
    "shared/providers/kit/countries.py": {
        "console",
        "explain_payouts",
        "webhook-apple",
        "webhook-braintree",
        "webhook-razorpay",
        "reconcile",
        "replay_deliveries",
        "respond_dispute",
        "manage_dispute",
    },
    "shared/providers/kit/signing.py": {
        "explain_payouts",
        "webhook-*",
        "console",
        "fetch_resource",
        "reconcile",
        "replay_deliveries",
        "respond_dispute",
        "manage_dispute",
        "watch_providers",
    },
    "shared/flows/record_payment.py": {
        "record_payment",
        "console",
        "respond_dispute",
        "manage_dispute",
        "erase",
    },
    "functions/webhook/main.py": {"webhook-*"},
}


@pytest.mark.parametrize("file", CHANGED)
def test_a_change_renames_the_bundles_that_it_reaches_and_no_other(
    file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for part in ("shared", "functions"):
        shutil.copytree(bundle.ROOT / part, tmp_path / part, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(bundle, "ROOT", tmp_path)
    before = bundle.names()
    (tmp_path / file).write_bytes((tmp_path / file).read_bytes() + b"\n")
    renamed = {deployment for deployment, name in bundle.names().items() if name != before[deployment]}
    reached = {one for word in CHANGED[file] for one in fnmatch.filter(DEPLOYMENTS, word)}
    assert renamed == reached


def test_adapters_are_asked_for_by_names_that_the_bundler_follows() -> None:
    """`from shared import providers` would hide which half of an adapter is loaded."""
    for file in (*(bundle.ROOT / "shared").rglob("*.py"), *(bundle.ROOT / "functions").rglob("*.py")):
        assert not re.search(r"from shared import .*\bproviders\b|import shared\.providers\b", file.read_text()), file


@pytest.mark.parametrize("name", providers.names())
def test_a_version_is_of_the_adapter_and_of_what_it_imports_of_the_kit_and_the_same_everywhere(
    name: str, tmp_path: Path
) -> None:
    """Told by each bundle, and changed by every file that the bundler finds that the adapter imports."""
    tell = f"from shared.providers import version; print(version({name!r}))"
    told = {
        subprocess.check_output([sys.executable, "-c", tell], cwd=unpack(one, tmp_path / one), text=True).strip()
        for one in (f"webhook-{name}", "replay_deliveries")
    }
    assert told == {providers.version(name)}
    folder = bundle.ROOT / "shared" / "providers"
    found, waiting = set[Path](), [folder / name / "webhook.py"]
    while waiting:
        found.add(file := waiting.pop())
        kit = {
            folder / "kit" / f"{one.split('.')[3]}.py" for one in bundle._imports(file.read_bytes()) if ".kit." in one
        }
        waiting += (one for one in kit - found if one.exists())
    assert set(providers._translating(name)) == found


def test_the_same_sources_give_the_same_bytes(tmp_path: Path) -> None:
    first, second = bundle.write("webhook-stripe", tmp_path), tmp_path / "again"
    second.mkdir()
    assert bundle.write("webhook-stripe", second).read_bytes() == first.read_bytes()


def test_a_bundle_is_the_same_bytes_under_another_umask_another_time_and_another_python(tmp_path: Path) -> None:
    ours = bundle.write("webhook-stripe", tmp_path)
    script = "import os, sys; os.umask(0o077); sys.argv[1:] = [sys.argv[1], 'webhook-stripe']; exec(open('terraform/tools/bundle.py').read())"
    # Beside what is on the path: a version manager's, whose shims answer for the chosen version alone.
    managed = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv").glob("versions/3.1[1-9]*/bin/python3")
    found = [sys.executable, *map(shutil.which, ("python3.12", "python3.13", "python3.14")), *map(str, managed)]
    versions = {_version(python): python for python in found if python}
    for number, python in enumerate(one for version, one in versions.items() if version):
        tree = tmp_path / f"tree{number}"
        shutil.copytree(bundle.ROOT / "shared", tree / "shared", ignore=shutil.ignore_patterns("__pycache__"))
        for name in ("functions", "terraform"):
            shutil.copytree(bundle.ROOT / name, tree / name, ignore=shutil.ignore_patterns("__pycache__", ".terraform"))
        for path in tree.rglob("*.py"):
            os.utime(path, (0, 0))
            path.chmod(0o600)
        # Run as a file, so that it finds its own tree.
        out = tmp_path / f"out{number}"
        subprocess.run(
            [
                python,
                "-c",
                script.replace("exec(", f"__file__ = {str(tree / 'terraform/tools/bundle.py')!r}; exec("),
                str(out),
            ],
            cwd=tree,
            check=True,
            capture_output=True,
        )
        assert (out / ours.name).read_bytes() == ours.read_bytes(), python
    assert _version(sys.executable) in versions


def _version(python: str) -> str:
    """`3.13`; empty for a shim of a Python that is not chosen."""
    told = "import sys; print('.'.join(map(str, sys.version_info[:2])))"
    return subprocess.run([python, "-c", told], capture_output=True, text=True, check=False).stdout.strip()
