"""What the provider simulators share: names derived from the world's ids, and amounts as providers write them."""

import hashlib
import json
import os
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from shared.domain.money import Money, exponent
from tests.simulator.facts import Fact, SignedRequest

_LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz23456789"


def name(kind: str, world_id: str, length: int, letters: str = _LETTERS) -> str:
    """A provider's id for something of the world: the same every run, with no run of digits like a card's."""
    number = int.from_bytes(hashlib.sha256(f"{kind}:{world_id}".encode()).digest())
    found = []
    for _ in range(length):
        number, rest = divmod(number, len(letters))
        found.append(letters[rest])
    return "".join(found)


def secret(seed: int, kind: str) -> str:
    """64 hex digits."""
    return hashlib.sha256(f"secret:{seed}:{kind}".encode()).hexdigest()


def once(fact: Fact) -> str:
    """What tells this fact from every other of the same payment."""
    dispute = fact.dispute.id if fact.dispute else ""
    return f"{fact.kind}:{fact.attempt.id}:{fact.refund_id or ''}:{dispute}:{fact.at.isoformat()}"


def in_minor(money: Money, sent_with: Mapping[str, int]) -> int:
    """The integer that a provider sends, where `sent_with` has the decimals in which it differs from ISO 4217."""
    shift = sent_with.get(money.currency, exponent(money.currency)) - exponent(money.currency)
    return money.minor * int(10**shift) if shift >= 0 else money.minor // int(10**-shift)


def without(body: bytes, member: str) -> bytes:
    """The JSON object in `body` less one of its members."""
    return json.dumps({name: value for name, value in json.loads(body).items() if name != member}).encode()


def write_whole(file: Path, content: bytes) -> None:
    """Whole or not at all, for readers in other processes."""
    draft = file.with_suffix(f".{os.getpid()}")
    draft.write_bytes(content)
    draft.replace(file)


def unix(at: datetime) -> int:
    return int(at.timestamp())


def zulu(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class SignsTheBody(ABC):
    """A provider whose signature is of the body and nothing else, by one of two keys: a retry is the same request."""

    _keys: dict[str, str]
    _signing = "current"

    def rotate(self) -> None:
        self._signing = "next"

    def sign(self, body: bytes, at: datetime) -> SignedRequest:
        return self._signed(body, self._keys[self._signing])

    def forge(self, body: bytes, at: datetime) -> SignedRequest:
        return self._signed(body, "guessed_by_an_attacker")

    @abstractmethod
    def _signed(self, body: bytes, key: str) -> SignedRequest: ...


@dataclass(frozen=True, slots=True)
class ApiReply:
    """What a simulated provider's API answers."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


def not_found() -> ApiReply:
    return ApiReply(404, b'{"error": "not found"}')
