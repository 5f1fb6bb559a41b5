"""Providers' APIs over HTTP: asked patiently, but never more than they bear, and nobody else in their place.

One pool an instance, one circuit breaker a provider. A request goes to a host that the provider's module lists, over
TLS, follows no redirect, and its answer is cut off at a megabyte; a report is streamed, and never held whole.
"""

import random
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from threading import Lock
from typing import Protocol, cast
from urllib.parse import urlsplit

import urllib3

from shared.backends.gcp.http import trusting_the_system
from shared.backends.gcp.tokens import access_tokens
from shared.backends.once import Once
from shared.domain.api import ApiAnswer, ApiCredentials, ApiRequest
from shared.domain.errors import Misconfigured, Unavailable, Unreadable
from shared.domain.telemetry import alarm, fact
from shared.flows.apis import Exchanger, Signer, Streamed
from shared.flows.fetch_resource import Fetcher
from shared.providers import load_api, names
from shared.settings import Settings

CONNECT, READ = 2.0, 5.0
PATIENCE = 8.0
TRIES = 3
LARGEST = 1 << 20
LARGEST_REPORT, PIECE, LONGEST_READ = 1 << 31, 1 << 16, 420.0
LONGEST_WAIT = 300.0
BREAKS_AFTER = 5
OPEN_FOR = 30.0
# A token that would end on its way is none.
RENEWED_BEFORE = 60.0

_SERVERS_TROUBLE = frozenset({408, 500, 502, 503, 504})
_TOO_MANY = 429
_NO_LONGER_GOOD = 401


def fetcher(name: str) -> Fetcher:
    """The module of a provider whose objects we read back. Raises Unreadable, also for a provider that nobody knows."""
    module = load_api(name) if name in names() else None
    if module is None:
        raise Unreadable(f"nothing of {name} is read back", reason="not_fetched")
    return cast(Fetcher, module)


class Asked(Protocol):
    """A provider's module, as far as asking the provider goes."""

    NAME: str
    API_HOSTS: frozenset[str]


class Apis:
    """Every provider's API, made when first used. What is configured is checked at once. now: when tokens are signed. Raises
    Misconfigured."""

    def __init__(self, settings: Settings, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        for name in names():
            if settings.has_api(name):
                settings.api(name)
        self._settings = settings
        self._now = now
        self._pool = urllib3.PoolManager(num_pools=8, maxsize=16, retries=False, ssl_context=trusting_the_system())
        self._apis: dict[str, ProviderApi] = {}
        self._making = Lock()

    def __call__(self, of: Asked) -> "ProviderApi":
        with self._making:
            if of.NAME not in self._apis:
                self._apis[of.NAME] = ProviderApi(of, self._settings, self._pool, now=self._now)
            return self._apis[of.NAME]


class ProviderApi:
    """One provider's API. Thread-safe; what it learns of the provider's troubles holds for every request."""

    def __init__(
        self,
        of: Asked,
        settings: Settings,
        pool: urllib3.PoolManager,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._of = of
        self._settings = settings
        self._pool = pool
        self._sleep = sleep
        self._clock = clock
        self._now = now
        self._breaker = Breaker(of.NAME, clock)
        self._scope: str | None = getattr(of, "API_SCOPE", None)
        self._tokens = Once(lambda: access_tokens(settings.metadata_host, self._scope or ""))
        self._exchanged: dict[bool, tuple[str, float]] = {}
        self._exchanging = Lock()

    def credentials(self, *, livemode: bool) -> ApiCredentials:
        """The configured key, the token that it signs or that the provider wants in its place or, where there is no key and
        the provider takes it, our service account's token."""
        if self._scope is not None and not self._settings.has_api(self._of.NAME):
            return ApiCredentials(key=self._tokens().token())
        configured = self._settings.api(self._of.NAME)
        if hasattr(self._of, "signed_token"):
            return replace(configured, key=cast(Signer, self._of).signed_token(configured, self._now()))
        if not hasattr(self._of, "token_request"):
            return configured
        return replace(configured, key=self._token(cast(Exchanger, self._of), configured, livemode=livemode))

    def _token(self, of: Exchanger, configured: ApiCredentials, *, livemode: bool) -> str:
        """The token that is good now; one request gets it for all."""
        with self._exchanging:
            token, until = self._exchanged.get(livemode, ("", 0.0))
            if self._clock() < until:
                return token
            answer = self.send(of.token_request(configured, livemode=livemode))
            if answer.status != 200:
                alarm("fetch_refused", provider=self._of.NAME, resource="token", status=answer.status)
                raise Unavailable(f"{self._of.NAME} gave no token: {answer.status}", reason="fetch_refused")
            token, seconds = of.read_token(answer.body)
            self._exchanged[livemode] = token, self._clock() + seconds - RENEWED_BEFORE
            return token

    def send(self, request: ApiRequest, *, once: bool = False) -> ApiAnswer:
        """The answer, after at most three tries; `once`: after a single one, for what must not be done twice. Raises
        Unavailable, Unreadable (an answer longer than any object) and Misconfigured (an address that is not the provider's)."""
        self._check(request.url)
        until = self._clock() + PATIENCE
        for tries_left in reversed(range(1 if once else TRIES)):
            # Anew each time: another request may have been told to leave the provider alone meanwhile.
            self._breaker.ask()
            trouble, answer, wait = self._try(request)
            if answer is not None:
                self._breaker.fine()
                if answer.status == _NO_LONGER_GOOD:
                    self._exchanged.clear()
                return answer
            if wait is not None:
                # The provider says how long to leave it alone, and that holds for everybody here.
                self._breaker.wait(wait)
            else:
                wait = random.uniform(0.05, 0.4 * 2 ** (TRIES - 1 - tries_left))  # noqa: S311 - jitter
                self._breaker.failed()
            if not tries_left or self._clock() + wait >= until:
                break
            self._sleep(wait)
        raise Unavailable(f"{self._of.NAME} does not answer: {trouble}", reason="provider_unavailable")

    def stream(self, request: ApiRequest) -> Streamed:
        """One try: whoever reads reports comes again. A piece has to come within READ seconds, all of them within
        LONGEST_READ and LARGEST_REPORT bytes. Raises as `send`."""
        self._check(request.url)
        self._breaker.ask()
        try:
            answer = self._asked(request)
        except urllib3.exceptions.HTTPError as error:
            self._breaker.failed()
            trouble = type(error).__name__
            raise Unavailable(f"{self._of.NAME} does not answer: {trouble}", reason="provider_unavailable") from error
        if answer.status in _SERVERS_TROUBLE or answer.status == _TOO_MANY:
            answer.close()
            if "retry-after" in answer.headers or answer.status == _TOO_MANY:
                self._breaker.wait(retry_after(answer.headers, datetime.now(UTC)))
            else:
                self._breaker.failed()
            raise Unavailable(f"{self._of.NAME} answered {answer.status}", reason="provider_unavailable")
        self._breaker.fine()
        return Streamed(answer.status, self._pieces(answer))

    def _pieces(self, answer: urllib3.BaseHTTPResponse) -> Iterator[bytes]:
        until, length = self._clock() + LONGEST_READ, 0
        try:
            with answer:
                for piece in answer.stream(PIECE, decode_content=True):
                    length += len(piece)
                    if length > LARGEST_REPORT:
                        raise Unreadable(
                            f"{self._of.NAME} answered more than {LARGEST_REPORT} bytes", reason="answer_too_large"
                        )
                    if self._clock() >= until:
                        raise Unavailable(f"{self._of.NAME} answers too slowly", reason="provider_unavailable")
                    yield piece
        except urllib3.exceptions.HTTPError as error:
            raise Unavailable(
                f"{self._of.NAME} broke off: {type(error).__name__}", reason="provider_unavailable"
            ) from error
        finally:
            answer.close()

    def _asked(self, request: ApiRequest) -> urllib3.BaseHTTPResponse:
        return self._pool.request(
            request.method,
            request.url,
            body=request.body or None,
            headers=dict(request.headers),
            timeout=urllib3.Timeout(connect=CONNECT, read=READ),
            redirect=False,
            preload_content=False,
        )

    def _try(self, request: ApiRequest) -> tuple[str, ApiAnswer | None, float | None]:
        """(what went wrong, the answer, for how long the provider wants to be left alone)."""
        try:
            answer = self._asked(request)
            with answer:
                body = self._body(answer)
                answer.drain_conn() if len(body) <= LARGEST else answer.close()
        except urllib3.exceptions.HTTPError as error:
            return type(error).__name__, None, None
        if answer.status == _TOO_MANY or (answer.status == 503 and "retry-after" in answer.headers):
            return f"status_{answer.status}", None, retry_after(answer.headers, datetime.now(UTC))
        if answer.status in _SERVERS_TROUBLE:
            return f"status_{answer.status}", None, None
        if len(body) > LARGEST:
            self._breaker.fine()
            raise Unreadable(f"{self._of.NAME} answered more than {LARGEST} bytes", reason="answer_too_large")
        return "", ApiAnswer(answer.status, body), None

    def _body(self, answer: urllib3.BaseHTTPResponse) -> bytes:
        """At most a byte more than LARGEST. urllib3's time limit is for each piece of it, this one for all of them."""
        until = self._clock() + READ
        body = bytearray()
        while len(body) <= LARGEST and (piece := answer.read1(LARGEST + 1 - len(body), decode_content=True)):
            body += piece
            if self._clock() >= until:
                raise urllib3.exceptions.TimeoutError("an answer that takes too long")
        return bytes(body)

    def _check(self, url: str) -> None:
        address = urlsplit(url)
        own = urlsplit(self._settings.api_base_url(self._of.NAME))
        allowed = address.scheme == "https" and address.hostname in self._of.API_HOSTS and address.port in (None, 443)
        if own.hostname:
            allowed = (address.scheme, address.netloc) == (own.scheme, own.netloc)
        if not allowed or "@" in address.netloc:
            raise Misconfigured(f"a request of {self._of.NAME} to another host than its own", reason="foreign_host")


class Breaker:
    """Closed, requests pass. After five failures in a row it opens and nobody is asked for half a minute; then one
    request finds out for all."""

    def __init__(self, name: str, clock: Callable[[], float]) -> None:
        self._name = name
        self._clock = clock
        self._lock = Lock()
        self._failures = 0
        # Nobody is asked before: because too much went wrong, and because the provider said so.
        self._open_until = 0.0
        self._left_alone_until = 0.0

    def ask(self) -> None:
        """Raises Unavailable while nobody is to be asked."""
        with self._lock:
            if self._clock() < max(self._open_until, self._left_alone_until):
                raise Unavailable(f"{self._name} is left alone for a while", reason="circuit_open")
            if self._failures >= BREAKS_AFTER:
                # The one that finds out; the others wait for what it says.
                self._open_until = self._clock() + PATIENCE

    def fine(self) -> None:
        with self._lock:
            if self._failures >= BREAKS_AFTER:
                fact("circuit_closed", provider=self._name)
            self._failures = 0
            self._open_until = 0.0

    def failed(self) -> None:
        with self._lock:
            self._failures += 1
            if self._failures >= BREAKS_AFTER:
                if self._failures == BREAKS_AFTER:
                    alarm("circuit_opened", provider=self._name)
                self._open_until = self._clock() + OPEN_FOR

    def wait(self, seconds: float) -> None:
        with self._lock:
            self._left_alone_until = max(self._left_alone_until, self._clock() + seconds)


def retry_after(headers: Mapping[str, str], now: datetime) -> float:
    """How long a Retry-After asks us to wait (RFC 9110 §10.2.3: seconds or a date), within bounds; a second where
    there is none that can be read."""
    text = headers.get("retry-after", "").strip()
    wait = 1.0
    if text.isascii() and text.isdigit() and len(text) < 10:
        wait = float(text)
    else:
        with suppress(ValueError, TypeError):
            wait = (parsedate_to_datetime(text) - now).total_seconds()
    return min(max(wait, 0.1), LONGEST_WAIT)
