"""A provider's API, as flows may use it, and what a module offers as well where the API takes tokens in the place of a key."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from shared.domain.api import ApiAnswer, ApiCredentials, ApiRequest


class Api(Protocol):
    """One provider's API."""

    def credentials(self, *, livemode: bool) -> ApiCredentials:
        """For live or for test data. Raises Misconfigured where there are none, Unavailable where they cannot be had
        now."""

    def send(self, request: ApiRequest, *, once: bool = False) -> ApiAnswer:
        """The final answer. once: never sent a second time, unless the provider said that it did nothing (too many requests).
        Raises Unavailable while there is none: no connection, a server's own trouble, too many requests, or so much of it
        lately that nobody is asked (a circuit breaker)."""


class ReportApi(Api, Protocol):
    """One that gives reports of any length as well."""

    def stream(self, request: ApiRequest) -> "Streamed":
        """As `send`, but an answer of any length that is read once, as it comes. Raises Unavailable, also while it is read."""


@dataclass(frozen=True, slots=True)
class Streamed:
    status: int
    pieces: Iterator[bytes]


class Exchanger(Protocol):
    """For short-lived tokens that a key is exchanged for (RFC 6749 §4.4)."""

    def token_request(self, api: ApiCredentials, *, livemode: bool) -> ApiRequest:
        """How to exchange the configured key for a token, of live or of test data."""

    def read_token(self, body: bytes) -> tuple[str, float]:
        """The token, and for how many seconds it is good. Raises Unreadable."""


class Signer(Protocol):
    """For tokens that the configured key signs."""

    def signed_token(self, api: ApiCredentials, now: datetime) -> str:
        """The token in the place of the key. Raises Misconfigured for a key that signs nothing."""
