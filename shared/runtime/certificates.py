"""Certificates that a provider names by URL, fetched once a day per instance.

Which URLs may be fetched is the adapter's judgement; here they are only fetched carefully: no redirect, seconds of
timeout, a small body, one fetch at a time per URL.
"""

import threading
import time
from pathlib import PurePosixPath
from urllib.parse import urlsplit

from shared.domain.errors import SignatureInvalid, Unavailable

DAY = 86_400.0
LARGEST = 64 * 1024
MOST = 64  # certificates kept: a provider has a handful, an attacker may name any number under the allowed path


class Certificates:
    """PEM by URL. With `folder`, a local stack's simulator left the file there and nothing is fetched."""

    def __init__(self, folder: str | None = None) -> None:
        self._folder = folder
        self._cache: dict[str, tuple[float, bytes]] = {}
        self._lock = threading.Lock()

    def __call__(self, url: str) -> bytes:
        """The PEM at `url`. Raises Unavailable when it cannot be had now, SignatureInvalid when its host knows of none."""
        known = self._cache.get(url)
        if known is not None and time.monotonic() - known[0] < DAY:
            return known[1]
        with self._lock:
            known = self._cache.get(url)
            if known is not None and time.monotonic() - known[0] < DAY:
                return known[1]
            pem = self._read(url) if self._folder else _fetch(url)
            if len(self._cache) >= MOST:
                self._cache.pop(next(iter(self._cache)))
            self._cache[url] = (time.monotonic(), pem)
            return pem

    def _read(self, url: str) -> bytes:
        name = PurePosixPath(urlsplit(url).path).name
        try:
            with open(f"{self._folder}/{name}.pem", "rb") as file:
                return file.read(LARGEST)
        except FileNotFoundError as error:
            raise SignatureInvalid("there is no such certificate", reason="unknown_certificate") from error


def _fetch(url: str) -> bytes:
    import urllib3  # only where a certificate is fetched at all

    try:
        answer = urllib3.request(
            "GET", url, redirect=False, retries=False, timeout=urllib3.Timeout(connect=2, read=3), preload_content=False
        )
        with answer:
            pem: bytes = answer.read(LARGEST)
            if answer.status in (404, 410):
                raise SignatureInvalid("there is no such certificate", reason="unknown_certificate")
            if answer.status != 200:
                raise Unavailable(f"the certificate's host answered {answer.status}", reason="certificate_unavailable")
            return pem
    except urllib3.exceptions.HTTPError as error:
        raise Unavailable("the certificate's host does not answer", reason="certificate_unavailable") from error
