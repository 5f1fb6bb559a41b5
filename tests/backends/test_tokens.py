"""Access tokens: one from the metadata server for everybody, in time, and another before it ends."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler

import pytest

from shared import settings
from shared.backends.gcp import tokens as tokens_module
from shared.backends.gcp.http import Http
from shared.backends.gcp.tokens import MetadataTokens
from shared.domain.errors import Unavailable
from tests.stack.metadata import Metadata, metadata_server
from tests.stack.servers import free_port
from tests.stack.serving import served
from tests.stack.topology import ROOT


class Time:
    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def metadata() -> Iterator[Metadata]:
    with metadata_server() as running:
        yield running


@pytest.fixture
def clock() -> Time:
    return Time()


@pytest.fixture
def tokens(metadata: Metadata, clock: Time) -> MetadataTokens:
    return MetadataTokens(metadata.host, clock=clock)


def at_once(times: int, ask: Callable[[], str]) -> list[str]:
    """What each was given, or the reason why not."""

    def one(_: int) -> str:
        try:
            return ask()
        except Unavailable as error:
            return error.reason

    with ThreadPoolExecutor(times) as pool:
        return list(pool.map(one, range(times)))


def test_a_token_is_asked_for_once_and_used_until_shortly_before_it_ends(
    metadata: Metadata, tokens: MetadataTokens, clock: Time
) -> None:
    assert [tokens.token() for _ in range(3)] == ["token-1"] * 3
    clock.now += 3599 - 226
    assert tokens.token() == "token-1"
    clock.now += 2
    assert tokens.token() == tokens.token() == "token-2"
    assert metadata.asked == 2


def test_however_many_need_the_first_token_one_asks(metadata: Metadata, tokens: MetadataTokens) -> None:
    metadata.moods = [0.3]
    assert at_once(40, tokens.token) == ["token-1"] * 40
    assert metadata.asked == 1


def test_while_the_next_is_asked_for_the_others_go_on_with_the_one_that_there_is(
    metadata: Metadata, tokens: MetadataTokens, clock: Time
) -> None:
    tokens.token()
    clock.now += 3599 - 100
    metadata.moods = [1.0]
    with ThreadPoolExecutor(1) as pool:
        asking = pool.submit(tokens.token)
        began = time.monotonic()
        while metadata.asked < 2:
            assert time.monotonic() - began < 5
            time.sleep(0.005)
        began = time.monotonic()
        assert at_once(20, tokens.token) == ["token-1"] * 20
        assert time.monotonic() - began < 0.8
        assert asking.result() == "token-2"
    assert metadata.asked == 2


def test_a_next_token_that_is_not_to_be_had_yet_is_no_trouble_and_is_asked_for_seldom(
    metadata: Metadata, tokens: MetadataTokens, clock: Time
) -> None:
    tokens.token()
    clock.now += 3599 - 100
    metadata.moods = [503] * 1000
    assert tokens.token() == "token-1"
    asked = metadata.asked
    assert at_once(20, tokens.token) == ["token-1"] * 20
    assert metadata.asked == asked
    metadata.moods = []
    clock.now += 6
    assert tokens.token() != "token-1"


def test_a_token_that_has_ended_is_never_given(metadata: Metadata, tokens: MetadataTokens, clock: Time) -> None:
    tokens.token()
    clock.now += 3599 - 5
    metadata.moods = [503] * 1000
    with pytest.raises(Unavailable) as refused:
        tokens.token(within=0.3)
    assert refused.value.reason == "no_token"
    assert "status 503" in str(refused.value)


@pytest.mark.parametrize("mood", [500, 503, 429, 404, b"", b"{}", b"\xff", b'{"access_token": "", "expires_in": 3600}'])
def test_trouble_that_passes_is_asked_again(metadata: Metadata, tokens: MetadataTokens, mood: int | bytes) -> None:
    metadata.moods = [mood, mood]
    assert tokens.token() == "token-3"


@pytest.mark.parametrize("mood", [503, 4.0])
def test_whoever_waits_for_a_token_waits_no_longer_than_his_patience(
    metadata: Metadata, tokens: MetadataTokens, mood: int | float
) -> None:
    metadata.moods = [mood] * 10_000
    began = time.monotonic()
    assert set(at_once(20, lambda: tokens.token(within=1.0))) == {"no_token"}
    assert time.monotonic() - began < 3.0


def test_a_metadata_server_that_is_not_there_is_unavailable_in_time() -> None:
    began = time.monotonic()
    with pytest.raises(Unavailable, match="NewConnectionError"):
        MetadataTokens(f"127.0.0.1:{free_port()}").token(within=0.5)
    assert time.monotonic() - began < 2.0


def test_another_server_in_googles_place_is_not_believed(metadata: Metadata, tokens: MetadataTokens) -> None:
    metadata.flavor = "Another"
    with pytest.raises(Unavailable, match="no token"):
        tokens.token(within=0.2)


def test_a_token_for_another_interface_is_asked_for_by_its_scope(metadata: Metadata) -> None:
    scope = "https://www.googleapis.com/auth/androidpublisher"
    MetadataTokens(metadata.host, scope).token()
    MetadataTokens(metadata.host).token()
    assert metadata.scopes == [scope, ""]


def test_a_token_that_ends_soon_is_not_asked_for_at_every_request(
    metadata: Metadata, tokens: MetadataTokens, clock: Time
) -> None:
    metadata.expires_in = 60
    assert [tokens.token() for _ in range(5)] == ["token-1"] * 5
    clock.now += 6
    assert tokens.token() == "token-2"


def test_a_token_that_google_refuses_is_replaced_once(metadata: Metadata) -> None:
    tokens = MetadataTokens(metadata.host)
    seen: list[str] = []

    class Google(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.append(self.headers["authorization"])
            self.send_response(200 if seen[-1] == "Bearer token-2" else 401)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its own word
            return

    with served(Google) as host:
        assert Http(tokens).request("GET", f"http://{host}/") == (200, b"")
        assert seen == ["Bearer token-1", "Bearer token-2"]
        tokens.forget("token-2")
        # The third is refused, and so is the fourth: a refusal that stays is the answer.
        assert Http(tokens).request("GET", f"http://{host}/") == (401, b"")
        assert len(seen) == 4


def test_a_request_without_a_token_is_not_sent(metadata: Metadata) -> None:
    metadata.moods = [503] * 1000
    with pytest.raises(Unavailable) as refused:
        Http(MetadataTokens(metadata.host), patience=0.3).request("GET", f"http://127.0.0.1:{free_port()}/")
    assert refused.value.reason == "no_token"


@pytest.mark.parametrize(
    ("environment", "host"),
    [
        ({}, None),
        ({"K_SERVICE": "webhook-stripe"}, "metadata.google.internal"),
        ({"GCE_METADATA_HOST": "127.0.0.1:9"}, "127.0.0.1:9"),
        ({"K_SERVICE": "webhook-stripe", "GCE_METADATA_HOST": "169.254.169.254"}, "169.254.169.254"),
    ],
)
def test_tokens_come_from_the_metadata_server_on_cloud_run_and_where_one_is_named(
    environment: dict[str, str], host: str | None
) -> None:
    read = settings.read({"PAYIN_BACKEND": "gcp", "GOOGLE_CLOUD_PROJECT": "payin", **environment})
    assert read.metadata_host == host


def test_elsewhere_google_auth_finds_them_or_says_what_to_do() -> None:
    code = (
        "import sys; from shared.backends.gcp.tokens import access_tokens; from shared.domain.errors import Misconfigured\n"
        "tokens = access_tokens(None); assert 'google.auth' not in sys.modules\n"
        "try: tokens.token()\n"
        "except Misconfigured as error: print(error.reason, 'gcloud auth application-default login' in str(error))"
    )
    environment = {"NO_GCE_CHECK": "true", "HOME": "/nonexistent", "PATH": "/nonexistent"}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["missing_credentials", "True"]


def test_a_developers_own_credentials_are_renewed_when_they_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    import google.auth

    class Credentials:
        token: str | None = None
        times = 0

        @property
        def valid(self) -> bool:
            return self.token is not None

        def refresh(self, _: object) -> None:
            self.times += 1
            self.token = f"own-{self.times}"

    monkeypatch.setattr(google.auth, "default", lambda **_: (Credentials(), "payin"))
    tokens = tokens_module.access_tokens(None)
    assert [tokens.token(), tokens.token()] == ["own-1", "own-1"]
    tokens.forget("another")
    assert tokens.token() == "own-1"
    tokens.forget("own-1")
    assert tokens.token() == "own-2"
