"""Google's REST interfaces over one pool of kept-alive connections.

urllib3 rather than a client library of each service: importing `google.cloud.pubsub_v1` alone takes longer than everything
else that a webhook does before its first answer.
"""

import os
import random
import ssl
import time
from collections.abc import Mapping
from typing import Final

import urllib3
from urllib3.util.ssl_ import create_urllib3_context

from shared.backends.gcp.tokens import Tokens
from shared.backends.once import Once
from shared.domain.errors import Unavailable

# Too many requests, or the server's own trouble: the same request may go better a moment later.
_AGAIN: Final = frozenset({408, 429, 500, 502, 503, 504})
_NO_LONGER_GOOD: Final = 401


def _trusting_the_system() -> ssl.SSLContext:
    """The system's certificate authorities, one context for all connections: urllib3 would read all 150 of them anew for
    each. Where they are a folder with a link for each authority's name, as Debian keeps them, OpenSSL reads only the one
    that it meets. https://docs.openssl.org/3.0/man3/SSL_CTX_load_verify_locations/"""
    context = create_urllib3_context()
    folder = ssl.get_default_verify_paths().capath
    if folder and any(name.endswith(".0") for name in os.listdir(folder)):
        context.load_verify_locations(capath=folder)
    else:
        context.load_default_certs()
    return context


trusting_the_system: Final = Once(_trusting_the_system)


def _whole(answer: urllib3.BaseHTTPResponse, until: float) -> bytes:
    """The body. urllib3's time limit is for each piece of it, this one for all of them."""
    body = bytearray()
    while piece := answer.read1(1 << 20, decode_content=True):
        body += piece
        if time.monotonic() >= until:
            answer.close()
            raise urllib3.exceptions.TimeoutError("an answer that takes too long")
    return bytes(body)


class Http:
    """Requests with a token where `tokens` gives some, repeated with jitter until `patience` seconds have passed.
    Thread-safe."""

    def __init__(self, tokens: Tokens | None = None, *, patience: float = 8.0, read_timeout: float = 5.0) -> None:
        self._tokens = tokens
        self._patience = patience
        self._read_timeout = read_timeout
        self._pool = Once(
            lambda: urllib3.PoolManager(num_pools=4, maxsize=64, retries=False, ssl_context=trusting_the_system())
        )

    def request(
        self,
        method: str,
        url: str,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        *,
        again: bool = True,
    ) -> tuple[int, bytes]:
        """The final status and body. Raises Unavailable when there is none within `patience`.

        A request may have been carried out more than once, unless `again` is false: then it is sent once, and its status
        is the final one, whatever it is.
        """
        until = time.monotonic() + self._patience
        attempt = 0
        refused = False
        while True:
            left = max(until - time.monotonic(), 0.1)
            token = self._tokens.token(left) if self._tokens else ""
            sent = {**(headers or {}), "authorization": f"Bearer {token}"} if token else headers
            timeout = urllib3.Timeout(connect=min(2.0, left), read=min(self._read_timeout, left))
            try:
                answer = self._pool().request(
                    method, url, body=body, headers=sent, timeout=timeout, preload_content=False
                )
                with answer:
                    data = _whole(answer, until)
                if answer.status == _NO_LONGER_GOOD and self._tokens and not refused:
                    # Nothing was carried out. The clocks may disagree on when a token ends: once more, with another.
                    refused = True
                    self._tokens.forget(token)
                    continue
                if answer.status not in _AGAIN or not again:
                    return answer.status, data
                trouble = f"status_{answer.status}"
            except urllib3.exceptions.HTTPError as error:
                trouble = type(error).__name__
            pause = random.uniform(0, min(0.1 * 2**attempt, 2.0))  # noqa: S311 - jitter
            if not again or time.monotonic() + pause >= until:
                host = urllib3.util.parse_url(url).host
                raise Unavailable(f"{host} does not answer: {trouble}", reason="google_unavailable")
            time.sleep(pause)
            attempt += 1
