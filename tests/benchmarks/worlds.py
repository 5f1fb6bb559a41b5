"""Where a benchmark runs: on the emulators when the Google Cloud SDK is here (what is deployed), else on SQLite."""

import json
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import urllib3

from tests.stack import emulators
from tests.stack.servers import Absent
from tests.stack.topology import topics

PROJECT = "bench"
SECRET = "whsec_" + "b" * 32
STRIPE = json.dumps({"keys": {"bench": SECRET}})


@contextmanager
def local() -> Iterator[dict[str, str]]:
    with tempfile.TemporaryDirectory() as home:
        yield {"PAYIN_BACKEND": "local", "PAYIN_HOME": home, "WEBHOOK_STRIPE": STRIPE, "PROVIDERS": "stripe"}


@contextmanager
def emulated() -> Iterator[dict[str, str]]:
    """The gcp backend on the emulators, topics made. Raises Absent when they are not installed."""
    with tempfile.TemporaryDirectory() as home, emulators.running(Path(home), ("firestore", "pubsub")) as hosts:
        for topic in topics():
            url = f"http://{hosts['PUBSUB_EMULATOR_HOST']}/v1/projects/{PROJECT}/topics/{topic}"
            if urllib3.request("PUT", url, json={}).status != 200:
                raise RuntimeError(f"the Pub/Sub emulator does not make topic {topic}")
        yield {
            **hosts,
            "PAYIN_BACKEND": "gcp",
            "GOOGLE_CLOUD_PROJECT": PROJECT,
            "PAYIN_MODEL_BUCKET": (Path(home) / "models").as_uri(),
            "PAYIN_EVIDENCE_BUCKET": (Path(home) / "evidence").as_uri(),
            "WEBHOOK_STRIPE": STRIPE,
            "PROVIDERS": "stripe",
        }


def worlds() -> Iterator[tuple[str, Callable[[], AbstractContextManager[dict[str, str]]]]]:
    try:
        with emulated():
            pass
        yield "gcp on emulators", emulated
    except Absent as absent:
        print(f"without the emulators: {absent}")
    yield "local on SQLite", local
