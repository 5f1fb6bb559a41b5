"""Requests to a provider's API, and its answers."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class ApiCredentials:
    """How we prove ourselves at a provider's API. key: its secret or access token, as its requests carry it; before a
    secret is exchanged for a token, that secret.
    base_url: where a simulator stands in for the provider; empty for the provider's own address."""

    key: str = field(repr=False)
    base_url: str = ""


@dataclass(frozen=True, slots=True)
class ApiRequest:
    """A request that a provider's module has put together, its ids proved harmless to an address. `headers` hold
    secrets: none of it is ever logged."""

    method: str
    url: str
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True)
class ApiAnswer:
    status: int
    body: bytes


Ask = Callable[[ApiRequest], bytes]
"""Asks a provider's API; answers the body of a 200. Raises Unavailable, and Unreadable for any other answer."""
