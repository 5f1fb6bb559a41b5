"""Access tokens of our own service account, for Google's REST interfaces.

On Cloud Run the metadata server gives them, for one GET and no library: importing google-auth costs a function more than
half of what starting it does. Elsewhere, on the machine of somebody who works against the real services, google-auth finds
what `gcloud auth application-default login` left. Settings say which (`Settings.metadata_host`), nothing is guessed.
https://cloud.google.com/run/docs/securing/service-identity#access_tokens
"""

import random
import time
from collections.abc import Callable
from threading import Lock
from typing import Any, Final, Protocol

import msgspec
import urllib3

from shared.backends.once import Once
from shared.domain.errors import Misconfigured, Unavailable

CLOUD_PLATFORM: Final = "https://www.googleapis.com/auth/cloud-platform"

# The metadata server hands out the same token until four minutes before it ends: google-auth's REFRESH_THRESHOLD.
_RENEWED_BEFORE: Final = 225.0
# A token that would end on its way is none.
_USED_UNTIL: Final = 10.0
_TRIED_AGAIN_AFTER: Final = 5.0
_PATIENCE: Final = 8.0
_CONNECT, _READ = 1.0, 3.0


class Tokens(Protocol):
    """Thread-safe."""

    def token(self, within: float = _PATIENCE) -> str:
        """A token that is good now, after at most so many seconds. Raises Unavailable, and Misconfigured where there are
        no credentials."""

    def forget(self, token: str) -> None:
        """Google refused `token`: the next one is another."""


def access_tokens(metadata_host: str | None, scope: str = CLOUD_PLATFORM) -> Tokens:
    """Of the metadata server at `metadata_host`; None: by google-auth, from whatever credentials it finds."""
    return MetadataTokens(metadata_host, scope) if metadata_host else FoundTokens(scope)


class _Answer(msgspec.Struct):
    access_token: str
    expires_in: float


# Made here, by the one thread that imports: see `shared.domain.codec` on what msgspec learns of a class.
_ANSWER: Final = msgspec.json.Decoder(_Answer)


class MetadataTokens:
    """One thread asks, and the others go on with the token that there is; only without one do they wait for it."""

    def __init__(self, host: str, scope: str = CLOUD_PLATFORM, clock: Callable[[], float] = time.time) -> None:
        # Cloud Run's tokens are for the whole platform unless other scopes are named.
        scopes = "" if scope == CLOUD_PLATFORM else f"?scopes={scope}"
        self._url = f"http://{host}/computeMetadata/v1/instance/service-accounts/default/token{scopes}"
        self._pool = urllib3.PoolManager(num_pools=1, retries=False)
        # The wall's clock: a monotonic one may have stood still while the instance was frozen.
        self._clock = clock
        self._asking = Lock()
        self._held = ("", 0.0, 0.0)  # the token, until when it is used, when the next is asked for

    def token(self, within: float = _PATIENCE) -> str:
        token, until, renewed = self._held
        now = self._clock()
        if now < renewed:
            return token
        began = time.monotonic()
        if now < until:
            if self._asking.acquire(blocking=False):
                self._renew(token, until, within)
            return self._held[0] or token
        if not self._asking.acquire(timeout=max(within, 0.0)):
            raise _none("another waits for it already")
        try:
            if self._clock() >= self._held[1]:
                self._held = self._asked(within - (time.monotonic() - began))
            return self._held[0]
        finally:
            self._asking.release()

    def forget(self, token: str) -> None:
        with self._asking:
            if self._held[0] == token:
                self._held = ("", 0.0, 0.0)

    def _renew(self, token: str, until: float, within: float) -> None:
        """While the token that there is still serves: a refusal is no trouble yet."""
        try:
            self._held = self._asked(min(within, _READ))
        except Unavailable:
            self._held = (token, until, self._clock() + _TRIED_AGAIN_AFTER)
        finally:
            self._asking.release()

    def _asked(self, within: float) -> tuple[str, float, float]:
        ends = time.monotonic() + within
        attempt = 0
        while True:
            left = max(ends - time.monotonic(), 0.05)
            timeout = urllib3.Timeout(connect=min(_CONNECT, left), read=min(_READ, left))
            try:
                answer = self._pool.request("GET", self._url, headers={"metadata-flavor": "Google"}, timeout=timeout)
                # Google's own server says that it is: another in its place does not know that it should.
                if answer.status == 200 and answer.headers.get("metadata-flavor") == "Google":
                    read = _ANSWER.decode(answer.data)
                    if read.access_token and read.expires_in > _USED_UNTIL:
                        now = self._clock()
                        ended = now + read.expires_in
                        renewed = max(ended - _RENEWED_BEFORE, now + _TRIED_AGAIN_AFTER)
                        return read.access_token, ended - _USED_UNTIL, renewed
                trouble = f"status {answer.status}" if answer.status != 200 else "no token in its answer"
            except urllib3.exceptions.HTTPError as error:
                trouble = type(error).__name__
            except (msgspec.MsgspecError, UnicodeDecodeError):
                trouble = "an answer that cannot be read"
            pause = random.uniform(0, min(0.1 * 2**attempt, 1.0))  # noqa: S311 - jitter
            if time.monotonic() + pause >= ends:
                raise _none(trouble)
            time.sleep(pause)
            attempt += 1


def _none(trouble: str) -> Unavailable:
    return Unavailable(f"the metadata server gives no access token: {trouble}", reason="no_token")


class FoundTokens:
    """Of the credentials that google-auth finds, which only a developer's machine imports."""

    def __init__(self, scope: str) -> None:
        self._scope = scope
        self._credentials: Once[Any] = Once(self._find)
        self._renewing = Lock()

    def token(self, within: float = _PATIENCE) -> str:
        credentials = self._credentials()
        from google.auth.exceptions import GoogleAuthError

        with self._renewing:
            try:
                if not credentials.valid:
                    credentials.refresh(self._request())
            except GoogleAuthError as error:
                raise Unavailable("no access token to be had", reason="no_token") from error
            return str(credentials.token)

    def forget(self, token: str) -> None:
        with self._renewing:
            if self._credentials().token == token:
                self._credentials().token = None

    def _find(self) -> Any:
        try:
            import google.auth
            from google.auth.exceptions import DefaultCredentialsError
        except ImportError as error:
            raise _no_credentials() from error
        try:
            credentials, _project = google.auth.default(scopes=[self._scope], request=self._request())
        except DefaultCredentialsError as error:
            raise _no_credentials() from error
        return credentials

    @staticmethod
    def _request() -> Any:
        from google.auth.transport.urllib3 import Request

        return Request(urllib3.PoolManager(retries=False))  # type: ignore[no-untyped-call]


def _no_credentials() -> Misconfigured:
    return Misconfigured(
        "no Google credentials: run as a service account, or `gcloud auth application-default login`",
        reason="missing_credentials",
    )
