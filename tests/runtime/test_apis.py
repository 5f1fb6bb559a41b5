"""A provider's API: asked patiently, left alone when it asks for that, and never another host in its place."""

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from time import monotonic
from time import sleep as pause
from types import SimpleNamespace
from typing import Any, cast

import pytest
import urllib3

from shared import settings
from shared.domain.api import ApiCredentials, ApiRequest
from shared.domain.errors import Misconfigured, Unavailable, Unreadable
from shared.flows.fetch_resource import Fetcher
from shared.providers.paypal import api as paypal
from shared.runtime import apis
from shared.runtime.apis import Apis, Breaker, ProviderApi, fetcher, retry_after
from tests.simulator.apis import SimulatedApi, serving
from tests.simulator.providers.shaping import ApiReply

OK = ApiReply(200, b'{"id": 1}')


class Time:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


class RealTime(Time):
    def clock(self) -> float:
        return monotonic()


@pytest.fixture
def api() -> Iterator[SimulatedApi]:
    with serving(lambda method, path, headers: OK) as running:
        yield running


def environment(key: str = "a-key", base_url: str = "") -> dict[str, str]:
    return {"API_GOCARDLESS": json.dumps({"key": key, "base_url": base_url})}


def an_api(base_url: str, time: Time | None = None) -> ProviderApi:
    time = time or Time()
    of = cast(Fetcher, SimpleNamespace(NAME="gocardless", API_HOSTS=frozenset({"api.gocardless.com"})))
    pool = urllib3.PoolManager(retries=False)
    return ProviderApi(of, settings.read(environment(base_url=base_url)), pool, time.clock, time.sleep)


def a_request(base_url: str) -> ApiRequest:
    return ApiRequest("GET", f"{base_url}/payments/PM1", {"Authorization": "Bearer a-key"})


def test_an_answer_is_passed_on_as_it_is(api: SimulatedApi) -> None:
    api.troubles = [ApiReply(404, b"no such thing")]
    answer = an_api(api.url).send(a_request(api.url))
    assert (answer.status, answer.body) == (404, b"no such thing")
    assert api.asked == ["/payments/PM1"]


@pytest.mark.parametrize("status", [408, 500, 502, 503, 504])
def test_a_servers_trouble_is_tried_again_with_growing_pauses(api: SimulatedApi, status: int) -> None:
    api.troubles = [ApiReply(status)] * 2
    time = Time()
    assert an_api(api.url, time).send(a_request(api.url)).status == 200
    assert len(api.asked) == 3
    assert len(time.slept) == 2
    assert all(0 < pause < apis.PATIENCE for pause in time.slept)


def test_after_three_tries_it_is_unavailable_and_pubsub_comes_back(api: SimulatedApi) -> None:
    api.troubles = [ApiReply(500)] * 9
    with pytest.raises(Unavailable, match="500"):
        an_api(api.url).send(a_request(api.url))
    assert len(api.asked) == apis.TRIES


def test_nobody_listening_is_unavailable() -> None:
    with serving(lambda method, path, headers: OK) as gone:
        url = gone.url
    with pytest.raises(Unavailable):
        an_api(url).send(a_request(url))


def test_a_short_wait_that_the_provider_asks_for_is_kept_here(api: SimulatedApi) -> None:
    api.troubles = [ApiReply(429, headers={"Retry-After": "3"})]
    time = Time()
    assert an_api(api.url, time).send(a_request(api.url)).status == 200
    assert time.slept == [3.0]


def test_a_long_wait_is_kept_by_everybody_and_pubsub_comes_back(api: SimulatedApi) -> None:
    api.troubles = [ApiReply(429, headers={"Retry-After": "60"})]
    time = Time()
    asking = an_api(api.url, time)
    for _ in range(3):
        with pytest.raises(Unavailable):
            asking.send(a_request(api.url))
    assert (len(api.asked), time.slept) == (1, [])
    time.now += 61
    assert asking.send(a_request(api.url)).status == 200


def test_a_limited_rate_opens_no_circuit(api: SimulatedApi) -> None:
    api.troubles = [ApiReply(429, headers={"Retry-After": "60"})] * (2 * apis.BREAKS_AFTER)
    time = Time()
    asking = an_api(api.url, time)
    while api.troubles:
        with pytest.raises(Unavailable):
            asking.send(a_request(api.url))
        time.now += 61
    assert asking.send(a_request(api.url)).status == 200


def test_a_circuit_opens_after_failures_in_a_row_and_one_request_finds_out_for_all(api: SimulatedApi) -> None:
    api.troubles = [ApiReply(500)] * apis.BREAKS_AFTER
    time = Time()
    asking = an_api(api.url, time)
    for _ in range(2):
        with pytest.raises(Unavailable):
            asking.send(a_request(api.url))
    asked = len(api.asked)
    assert asked == apis.BREAKS_AFTER
    with pytest.raises(Unavailable, match="left alone"):
        asking.send(a_request(api.url))
    assert len(api.asked) == asked
    time.now += apis.OPEN_FOR + 1
    assert asking.send(a_request(api.url)).status == 200
    assert asking.send(a_request(api.url)).status == 200


def test_a_request_that_pauses_hears_what_another_was_told_meanwhile(api: SimulatedApi) -> None:
    api.troubles = [ApiReply(500), ApiReply(429, headers={"Retry-After": "60"})]

    class Meanwhile(Time):
        def sleep(self, seconds: float) -> None:
            super().sleep(seconds)
            with pytest.raises(Unavailable):
                asking.send(a_request(api.url))

    asking = an_api(api.url, Meanwhile())
    with pytest.raises(Unavailable, match="left alone"):
        asking.send(a_request(api.url))
    assert len(api.asked) == 2


def test_the_one_that_finds_out_asks_once(api: SimulatedApi) -> None:
    api.troubles = [ApiReply(500)] * 9
    time = Time()
    asking = an_api(api.url, time)
    for asked in (3, apis.BREAKS_AFTER, apis.BREAKS_AFTER + 1):
        with pytest.raises(Unavailable):
            asking.send(a_request(api.url))
        assert len(api.asked) == asked
        time.now += apis.OPEN_FOR + 1


def test_an_answer_in_drops_is_given_up_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apis, "READ", 0.3)
    monkeypatch.setattr(apis, "TRIES", 1)
    began = monotonic()
    with socket.create_server(("127.0.0.1", 0)) as listening:
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"

        def drip() -> None:
            connection, _ = listening.accept()
            with connection, suppress(OSError):
                connection.recv(4096)
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n")
                for _ in range(100):
                    connection.sendall(b"x")
                    pause(0.1)

        dripping = threading.Thread(target=drip)
        dripping.start()
        with pytest.raises(Unavailable, match="TimeoutError"):
            an_api(url, RealTime()).send(a_request(url))
        assert monotonic() - began < 3
        dripping.join(10)
        assert not dripping.is_alive()


@pytest.mark.parametrize("length", ["20", "chunked"])
def test_an_answer_that_ends_early_is_no_answer(length: str) -> None:
    head = "Transfer-Encoding: chunked" if length == "chunked" else f"Content-Length: {length}"
    with socket.create_server(("127.0.0.1", 0)) as listening:
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"

        def cut() -> None:
            for _ in range(apis.TRIES):
                connection, _ = listening.accept()
                with connection:
                    connection.recv(4096)
                    connection.sendall(f"HTTP/1.1 200 OK\r\n{head}\r\n\r\n".encode() + b'9\r\n{"id": 1}')

        cutting = threading.Thread(target=cut)
        cutting.start()
        with pytest.raises(Unavailable):
            an_api(url).send(a_request(url))
        cutting.join(10)


def test_while_one_finds_out_the_others_wait() -> None:
    time = Time()
    breaker = Breaker("any", time.clock)
    for _ in range(apis.BREAKS_AFTER):
        breaker.failed()
    time.now += apis.OPEN_FOR + 1
    outcomes: list[str] = []

    def ask() -> None:
        try:
            breaker.ask()
            outcomes.append("asked")
        except Unavailable:
            outcomes.append("waited")

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["asked"] + ["waited"] * 7


def test_a_redirect_is_not_followed(api: SimulatedApi) -> None:
    api.troubles = [ApiReply(302, headers={"Location": f"{api.url}/elsewhere"})]
    assert an_api(api.url).send(a_request(api.url)).status == 302
    assert api.asked == ["/payments/PM1"]


def test_an_answer_longer_than_any_object_is_not_held(api: SimulatedApi) -> None:
    api.troubles = [ApiReply(200, b"x" * (apis.LARGEST + 1))]
    with pytest.raises(Unreadable, match="bytes"):
        an_api(api.url).send(a_request(api.url))


def test_a_report_of_any_length_is_read_as_it_comes(api: SimulatedApi) -> None:
    body = b"a,b\n" * (apis.LARGEST // 2)
    api.troubles = [ApiReply(200, body)]
    found = an_api(api.url).stream(a_request(api.url))
    assert (found.status, sum(map(len, found.pieces))) == (200, len(body))
    api.troubles = [ApiReply(404, b"none")]
    found = an_api(api.url).stream(a_request(api.url))
    assert (found.status, b"".join(found.pieces)) == (404, b"none")


def test_a_report_that_is_too_long_or_too_slow_or_not_given_is_told(
    api: SimulatedApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    for status in (503, 429):
        api.troubles = [ApiReply(status)]
        with pytest.raises(Unavailable):
            an_api(api.url).stream(a_request(api.url))
    assert len(api.asked) == 2, "a report is asked for once"
    with pytest.raises(Unavailable):
        an_api("http://127.0.0.1:9").stream(a_request("http://127.0.0.1:9"))
    monkeypatch.setattr(apis, "LARGEST_REPORT", 4)
    with pytest.raises(Unreadable, match="bytes"):
        list(an_api(api.url).stream(a_request(api.url)).pieces)
    monkeypatch.undo()
    time = Time()
    found = an_api(api.url, time).stream(a_request(api.url))
    monkeypatch.setattr(apis, "LONGEST_READ", 0.0)
    with pytest.raises(Unavailable, match="slowly"):
        list(found.pieces)


@pytest.mark.parametrize(
    "url",
    [
        "http://api.gocardless.com/payments/PM1",
        "https://api.gocardless.com.example/payments/PM1",
        "https://evil.example/payments/PM1",
        "https://api.gocardless.com@evil.example/payments/PM1",
        "https://api.gocardless.com:8443/payments/PM1",
        "https://user@api.gocardless.com/payments/PM1",
        "//api.gocardless.com/x",
        "",
    ],
)
def test_a_request_goes_to_the_providers_own_hosts_only(url: str) -> None:
    with pytest.raises(Misconfigured, match="host"):
        an_api("").send(ApiRequest("GET", url, {}))


def test_a_simulators_address_takes_the_place_of_the_providers_and_nothing_else(api: SimulatedApi) -> None:
    with pytest.raises(Misconfigured, match="host"):
        an_api(api.url).send(a_request("https://api.gocardless.com"))


NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("7", 7.0),
        ("0", 0.1),
        ("99999", apis.LONGEST_WAIT),
        ("Fri, 01 May 2026 12:00:30 GMT", 30.0),
        ("Fri, 01 May 2026 11:00:00 GMT", 0.1),
        ("soon", 1.0),
        ("-5", 1.0),
        ("Fri, 01 May 2026 12:00:30", 1.0),
        ("", 1.0),
        ("9" * 50, 1.0),
    ],
)
def test_a_retry_after_is_read_within_bounds(text: str, seconds: float) -> None:
    assert retry_after({"retry-after": text}, NOW) == seconds


# Settings


@pytest.mark.parametrize("text", ["no JSON", '{"key": ""}', '{"key": "a\\nb"}', '{"keys": {}}', "[]"])
def test_a_key_that_no_request_can_carry_is_refused_at_start(text: str) -> None:
    with pytest.raises(Misconfigured, match="API_GOCARDLESS") as refused:
        Apis(settings.read({"API_GOCARDLESS": text}))
    assert "a\nb" not in str(refused.value)


def test_a_simulators_address_is_refused_on_cloud_run() -> None:
    deployed = {"K_SERVICE": "fetch-resource", "PAYIN_BACKEND": "gcp", "GOOGLE_CLOUD_PROJECT": "p"}
    with pytest.raises(Misconfigured, match="base_url"):
        Apis(settings.read(deployed | environment(base_url="http://127.0.0.1:1")))


def test_a_key_that_is_missing_is_said_when_it_is_needed() -> None:
    of = fetcher("gocardless")
    with pytest.raises(Misconfigured, match="API_GOCARDLESS"):
        Apis(settings.read({}))(of).credentials(livemode=True)


def test_one_api_is_kept_for_all_requests_of_a_provider() -> None:
    made = Apis(settings.read(environment()))
    assert made(fetcher("gocardless")) is made(fetcher("gocardless"))


def test_a_provider_of_which_nothing_is_read_back_says_so() -> None:
    with pytest.raises(Unreadable, match="worldpay"):
        fetcher("worldpay")


def test_a_key_is_in_no_text_of_ours() -> None:
    made: Any = Apis(settings.read(environment(key="sk-very-secret")))(fetcher("gocardless")).credentials(livemode=True)
    assert "very-secret" not in repr(made)


# A token in the place of the key


class Exchanging:
    """A provider's API that gives tokens and takes them until they are revoked."""

    def __init__(self) -> None:
        self.given = 0
        self.revoked = 0
        self.status = 200

    def __call__(self, method: str, path: str, headers: dict[str, str]) -> ApiReply:
        if path == "/v1/oauth2/token":
            assert (method, headers["authorization"]) == ("POST", "Basic YS1rZXk=")
            self.given += 1
            return ApiReply(self.status, json.dumps({"access_token": f"t{self.given}", "expires_in": 600}).encode())
        number = int(headers["authorization"].removeprefix("Bearer t"))
        return OK if number > self.revoked else ApiReply(401)


def an_exchange(url: str, time: Time) -> ProviderApi:
    told = {"API_PAYPAL": json.dumps({"key": "a-key", "base_url": url})}
    return ProviderApi(
        fetcher("paypal"), settings.read(told), urllib3.PoolManager(retries=False), time.clock, time.sleep
    )


def asked_with_a_token(asking: ProviderApi, url: str, *, livemode: bool = True) -> int:
    key = asking.credentials(livemode=livemode).key
    return asking.send(ApiRequest("GET", f"{url}/thing", {"Authorization": f"Bearer {key}"})).status


def test_a_key_is_exchanged_once_until_its_token_is_about_to_end() -> None:
    provider, time = Exchanging(), Time()
    with serving(provider) as running:
        asking = an_exchange(running.url, time)
        assert [asked_with_a_token(asking, running.url) for _ in range(3)] == [200] * 3
        assert provider.given == 1
        time.now += 600 - apis.RENEWED_BEFORE
        assert asked_with_a_token(asking, running.url) == 200
        assert provider.given == 2


def test_a_token_of_test_data_is_none_for_live_data() -> None:
    provider = Exchanging()
    with serving(provider) as running:
        asking = an_exchange(running.url, Time())
        assert asking.credentials(livemode=True) != asking.credentials(livemode=False)


def test_a_token_that_is_refused_is_not_used_again() -> None:
    provider = Exchanging()
    with serving(provider) as running:
        asking = an_exchange(running.url, Time())
        assert asked_with_a_token(asking, running.url) == 200
        provider.revoked = 1
        assert [asked_with_a_token(asking, running.url) for _ in range(2)] == [401, 200]


def test_a_key_that_gets_no_token_is_for_an_operator_and_the_poke_is_kept(caplog: pytest.LogCaptureFixture) -> None:
    provider = Exchanging()
    provider.status = 401
    with serving(provider) as running, pytest.raises(Unavailable, match="401"):
        an_exchange(running.url, Time()).credentials(livemode=True)
    assert [record.getMessage() for record in caplog.records if record.levelname == "ERROR"] == ["fetch_refused"]


@pytest.mark.parametrize("body", [b"", b"[]", b'{"access_token": "t"}', b'{"access_token": "a b", "expires_in": 1}'])
def test_an_answer_without_a_token_is_unreadable(body: bytes) -> None:
    with serving(lambda method, path, headers: ApiReply(200, body)) as running, pytest.raises(Unreadable):
        an_exchange(running.url, Time()).credentials(livemode=True)


@pytest.mark.parametrize(("livemode", "host"), [(True, "api-m.paypal.com"), (False, "api-m.sandbox.paypal.com")])
def test_paypals_token_is_asked_of_the_environment_that_the_event_is_of(*, livemode: bool, host: str) -> None:
    asked = paypal.token_request(ApiCredentials(key="client:secret"), livemode=livemode)
    assert (asked.method, asked.url) == ("POST", f"https://{host}/v1/oauth2/token")
    assert (asked.body, asked.headers["Authorization"]) == (
        b"grant_type=client_credentials",
        "Basic Y2xpZW50OnNlY3JldA==",
    )
    assert "secret" not in repr(asked)


def test_a_key_that_signs_gives_a_token_of_now_in_its_place() -> None:
    asked: list[datetime] = []

    def signed_token(api: ApiCredentials, now: datetime) -> str:
        asked.append(now)
        return f"signed by {api.key}"

    of = SimpleNamespace(NAME="gocardless", API_HOSTS=frozenset({"api.gocardless.com"}), signed_token=signed_token)
    configured = settings.read(environment("a-key", "http://127.0.0.1:1"))
    before = datetime.now(UTC)
    api = ProviderApi(cast(Fetcher, of), configured, urllib3.PoolManager())
    assert api.credentials(livemode=True) == ApiCredentials("signed by a-key", "http://127.0.0.1:1")
    assert before <= asked[0] <= datetime.now(UTC)
