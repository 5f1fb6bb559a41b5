"""Google's REST interfaces over one pool of kept-alive connections.

urllib3 and google-auth rather than a client library of each service: importing `google.cloud.pubsub_v1` alone takes
longer than everything else that a webhook does before its first answer.
"""

import random
import time
from collections.abc import Mapping
from threading import Lock
from typing import Any, Final

import urllib3

from shared.backends.once import Once
from shared.domain.errors import Misconfigured, Unavailable

# Too many requests, or the server's own trouble: the same request may go better a moment later.
_AGAIN: Final = frozenset({408, 429, 500, 502, 503, 504})
_SCOPES: Final = ("https://www.googleapis.com/auth/cloud-platform",)


class Http:
    """Authorised requests, retried with jitter until `patience` seconds have passed. Thread-safe."""

    def __init__(self, *, authorised: bool, patience: float = 8.0, read_timeout: float = 5.0) -> None:
        self._patience = patience
        self._read_timeout = read_timeout
        self._pool = urllib3.PoolManager(num_pools=4, maxsize=64, retries=False)
        self._credentials: Once[Any] | None = Once(self._default_credentials) if authorised else None
        self._refreshing = Lock()

    def request(
        self, method: str, url: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> tuple[int, bytes]:
        """The final status and body. Raises Unavailable when there is none within `patience`.

        A request may have been carried out more than once.
        """
        until = time.monotonic() + self._patience
        attempt = 0
        while True:
            left = max(until - time.monotonic(), 0.1)
            timeout = urllib3.Timeout(connect=min(2.0, left), read=min(self._read_timeout, left))
            trouble = ""
            try:
                answer = self._pool.request(
                    method, url, body=body, headers={**(headers or {}), **self._authorisation()}, timeout=timeout
                )
                if answer.status not in _AGAIN:
                    return answer.status, answer.data
                trouble = f"status_{answer.status}"
            except urllib3.exceptions.HTTPError as error:
                trouble = type(error).__name__
            pause = random.uniform(0, min(0.1 * 2**attempt, 2.0))  # noqa: S311 - jitter
            if time.monotonic() + pause >= until:
                host = urllib3.util.parse_url(url).host
                raise Unavailable(f"{host} does not answer: {trouble}", reason="google_unavailable")
            time.sleep(pause)
            attempt += 1

    def _default_credentials(self) -> Any:
        import google.auth
        from google.auth.exceptions import DefaultCredentialsError
        from google.auth.transport.urllib3 import Request

        try:
            credentials, _project = google.auth.default(scopes=_SCOPES, request=Request(self._pool))  # type: ignore[no-untyped-call]
        except DefaultCredentialsError as error:
            raise Misconfigured(
                "no Google credentials: run as a service account, or `gcloud auth application-default login`",
                reason="missing_credentials",
            ) from error
        return credentials

    def _authorisation(self) -> dict[str, str]:
        if self._credentials is None:
            return {}
        from google.auth.exceptions import GoogleAuthError
        from google.auth.transport.urllib3 import Request

        credentials = self._credentials()
        if not credentials.valid:
            with self._refreshing:
                if not credentials.valid:
                    try:
                        credentials.refresh(Request(self._pool))  # type: ignore[no-untyped-call]
                    except GoogleAuthError as error:
                        raise Unavailable("no access token to be had", reason="no_token") from error
        return {"authorization": f"Bearer {credentials.token}"}
