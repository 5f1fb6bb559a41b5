"""What only the Google Cloud backend has to prove."""

import hashlib
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from shared import settings
from shared.backends.gcp import connect
from shared.backends.gcp.documents import FirestoreDocuments
from shared.backends.gcp.firestore import _escape_id, _unescape_id, escape_key, unescape_key
from shared.backends.gcp.models import BucketModels
from shared.domain.errors import Misconfigured, Unavailable
from shared.flows.ports import Create, Key
from tests.stack.servers import free_port

ROOT = Path(__file__).resolve().parents[2]


class Bucket(ThreadingHTTPServer):
    """The two calls of Cloud Storage's JSON interface that we make. `moods` are statuses to answer with first."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _BucketHandler)
        self.objects: dict[str, bytes] = {}
        self.moods: list[int] = []
        self.asked = 0
        self.origin = f"http://127.0.0.1:{self.server_address[1]}"


class _BucketHandler(BaseHTTPRequestHandler):
    server: Bucket
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        name = urlsplit(self.path).path.removeprefix("/storage/v1/b/models/o/")
        data = self.server.objects.get(name)
        self._answer(404 if data is None else 200, data or b"{}")

    def do_POST(self) -> None:
        data = self.rfile.read(int(self.headers["content-length"]))
        asked = parse_qs(urlsplit(self.path).query)
        assert urlsplit(self.path).path == "/upload/storage/v1/b/models/o"
        assert asked["ifGenerationMatch"] == ["0"]
        new = not self.server.moods and asked["name"][0] not in self.server.objects
        if new:
            self.server.objects[asked["name"][0]] = data
        self._answer(200 if new else 412, b"{}")

    def _answer(self, status: int, body: bytes) -> None:
        self.server.asked += 1
        if self.server.moods:
            status = self.server.moods.pop(0)
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        return


@pytest.fixture
def bucket() -> Iterator[Bucket]:
    with Bucket() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def models_in(bucket: Bucket) -> BucketModels:
    return BucketModels("models", None, bucket.origin, patience=3)


def test_a_model_is_stored_once_and_loaded_by_its_digest(bucket: Bucket) -> None:
    models = models_in(bucket)
    digest = models.store(b"model")
    assert digest == hashlib.sha256(b"model").hexdigest() == models.store(b"model")
    assert models.load(digest) == b"model"
    assert bucket.objects == {digest: b"model"}


def test_a_model_that_is_missing_or_no_longer_itself_is_misconfigured(bucket: Bucket) -> None:
    models = models_in(bucket)
    digest = models.store(b"model")
    bucket.objects[digest] = b"other"
    for wanted in (digest, "0" * 64, "nonsense"):
        with pytest.raises(Misconfigured):
            models.load(wanted)


def test_a_server_in_trouble_is_asked_again(bucket: Bucket) -> None:
    models = models_in(bucket)
    bucket.moods = [503, 429]
    digest = models.store(b"model")
    bucket.moods = [500]
    assert models.load(digest) == b"model"
    assert bucket.asked == 5


def test_a_refusal_is_not_asked_again(bucket: Bucket) -> None:
    bucket.moods = [403]
    with pytest.raises(Unavailable, match="403"):
        models_in(bucket).store(b"model")
    assert bucket.asked == 1


def test_a_server_that_stays_in_trouble_is_unavailable_within_its_patience(bucket: Bucket) -> None:
    bucket.moods = [503] * 1000
    begun = time.monotonic()
    with pytest.raises(Unavailable):
        models_in(bucket).store(b"model")
    assert time.monotonic() - begun < 4


def test_a_firestore_that_is_gone_is_unavailable_within_ten_seconds() -> None:
    documents = FirestoreDocuments("payin", "(default)", f"127.0.0.1:{free_port()}")
    begun = time.monotonic()
    with pytest.raises(Unavailable):
        documents.commit([Create(Key("c", "a"), {})])
    assert time.monotonic() - begun < 3, "a commit is not repeated"
    with pytest.raises(Unavailable):
        documents.get([Key("c", "a")])
    assert time.monotonic() - begun < 10


def gcp(**environment: str) -> settings.Settings:
    return settings.read({"PAYIN_BACKEND": "gcp", "GOOGLE_CLOUD_PROJECT": "payin", **environment})


def test_a_folder_of_models_is_refused_on_cloud_run() -> None:
    with pytest.raises(Misconfigured, match="PAYIN_MODEL_BUCKET"):
        connect(gcp(PAYIN_MODEL_BUCKET="file:///models", K_SERVICE="score-payment"))


def test_models_without_a_bucket_are_misconfigured() -> None:
    with pytest.raises(Misconfigured, match="PAYIN_MODEL_BUCKET"):
        connect(gcp()).models.load("0" * 64)


def test_connecting_imports_no_client_and_publishing_only_what_it_needs() -> None:
    code = (
        "import sys; from shared import settings; from shared.backends.gcp import connect; "
        "ports = connect(settings.read({'PAYIN_BACKEND': 'gcp', 'GOOGLE_CLOUD_PROJECT': 'p', "
        "'PUBSUB_EMULATOR_HOST': 'localhost:1'})); "
        "heavy = {'google.auth', 'google.cloud.bigquery', 'grpc', 'urllib3', 'sqlalchemy', 'requests'}; "
        "print(sorted(heavy & set(sys.modules))); ports.bus.publish([]); print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split("\n")[:2] == ["[]", "['urllib3']"]


@pytest.mark.parametrize("text", ["", "\x01", "____", "__a__", "__a__\x01", "__a", "a__", "a\x01", "plain"])
def test_an_escaped_key_is_legal_and_comes_back(text: str) -> None:
    escaped = escape_key(text)
    assert escaped
    assert not (escaped.startswith("__") and escaped.endswith("__") and len(escaped) > 3)
    assert unescape_key(escaped) == text


def test_escaped_ids_keep_their_order_and_come_back() -> None:
    alphabet = ["", ".", "/", "0", "-", "_", "\x00", "\x01", "\x02", "\U0010fffd", "\U0010fffe", "\U0010ffff", "__"]
    ids = sorted({a + b + c + d for a in alphabet for b in alphabet for c in alphabet for d in ("", "__")} - {""})
    escaped = [_escape_id(text) for text in ids]
    assert [_unescape_id(text) for text in escaped] == ids
    assert sorted(escaped) == escaped
    assert not any("/" in text or text in (".", "..") for text in escaped)
    assert not any(text.startswith("__") and text.endswith("__") and len(text) > 3 for text in escaped)
