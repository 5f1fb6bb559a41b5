"""Providers' HTTP clients: keep-alive, several at once, patient only as long as providers are."""

import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import urllib3

from tests.simulator.facts import SignedRequest

NO_ANSWER = 0


@dataclass(frozen=True, slots=True)
class Answered:
    """status is NO_ANSWER where nobody answered; seconds are the sender's, from connect to the last byte."""

    status: int
    seconds: float
    body: bytes = b""

    @property
    def accepted(self) -> bool:
        return 200 <= self.status < 300

    @property
    def failed(self) -> bool:
        """Ours to mend: the provider will send it again."""
        return self.status == NO_ANSWER or self.status >= 500


class Sender:
    """Posts to `base`, at most `at_once` requests in flight."""

    def __init__(self, base: str, at_once: int = 8) -> None:
        self._base = base
        self._http = urllib3.PoolManager(
            maxsize=at_once, block=True, retries=False, timeout=urllib3.Timeout(connect=5, read=30)
        )
        self._workers = ThreadPoolExecutor(at_once, thread_name_prefix="sender")

    def send_all(self, requests: Iterable[SignedRequest]) -> list[Answered]:
        """Every request's answer, in their order."""
        return list(self._workers.map(self.send, requests))

    def send(self, request: SignedRequest) -> Answered:
        began = time.perf_counter()
        try:
            answer = self._http.request("POST", self._base + request.path, body=request.body, headers=request.headers)
            return Answered(answer.status, time.perf_counter() - began, answer.data)
        except urllib3.exceptions.HTTPError:
            return Answered(NO_ANSWER, time.perf_counter() - began)

    def close(self) -> None:
        self._workers.shutdown()
        self._http.clear()
