"""Certificates that a provider names by URL, fetched once a day per instance.

Which URLs may be fetched is the adapter's judgement; here they are only fetched carefully: no redirect, seconds of
timeout, a small body, and few at a time, so that forgers who name ever other ones keep neither the instance's threads nor
their host busy. What is known needs no turn.
"""

import threading
import time
from pathlib import PurePosixPath
from urllib.parse import urlsplit

from shared.domain.errors import SignatureInvalid, Unavailable

DAY = 86_400.0
LARGEST = 64 * 1024
AT_ONCE = 2
PATIENCE = 1.0  # seconds until the sender is told to come again
MOST = 64  # certificates kept: a provider has a handful, an attacker may name any number under the allowed path


class Certificates:
    """PEM by URL. With `folder`, a local stack's simulator left the file there and nothing is fetched."""

    def __init__(self, folder: str | None = None) -> None:
        self._folder = folder
        self._cache: dict[str, tuple[float, bytes]] = {}
        self._turns = threading.BoundedSemaphore(AT_ONCE)

    def __call__(self, url: str) -> bytes:
        """The PEM at `url`. Raises Unavailable when it cannot be had now, SignatureInvalid when its host knows of none."""
        known = self._known(url)
        if known is not None:
            return known
        if not self._turns.acquire(timeout=PATIENCE):
            raise Unavailable("too many certificates are asked for at once", reason="certificate_unavailable")
        try:
            known = self._known(url)
            if known is not None:
                return known
            pem = self._read(url) if self._folder else _fetch(url)
            while len(self._cache) >= MOST:
                self._cache.pop(next(iter(self._cache)), None)
            self._cache[url] = (time.monotonic(), pem)
            return pem
        finally:
            self._turns.release()

    def _known(self, url: str) -> bytes | None:
        found = self._cache.get(url)
        return found[1] if found is not None and time.monotonic() - found[0] < DAY else None

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
