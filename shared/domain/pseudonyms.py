"""Names that stand for what must not be kept: the address of a customer, and an id that could be a card's number.

Whoever has a list of addresses, or of all card numbers, can try them all on a plain digest. So the digest that an adapter
makes is marked as one that is not to leave the process, and what is published holds its HMAC under a key of ours:

    unkeyed-mail-<SHA-256>  →  mail-<version>-<HMAC-SHA256 of the digest>

Keys have versions. E-mail addresses go by the current one: with a rotation every customer's history by address (at most
its longest window) begins anew, and addresses of before cannot be matched with later ones, which is the point of rotating.
Ids go by the oldest version that is still listed: a payment must keep its name, so that its later events find it. Leave
that version out only when no payment named by it can change any more. Pseudonyms, not anonymous data, all of them.
"""

import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

MAIL, NAME = "mail", "name"
MARKED = "unkeyed-"
MARK = MARKED.encode()
_UNKEYED = re.compile(rb"unkeyed-(mail|name)-([0-9a-f]{64})")


def unkeyed(kind: str, text: str) -> str:
    """The marked digest of `text`, for a `Keyring` to replace before anything is published."""
    return unkeyed_digest(kind, hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest())


def unkeyed_digest(kind: str, digest: str) -> str:
    """The same of a SHA-256 that somebody else made, in lower-case hexadecimal."""
    return f"unkeyed-{kind}-{digest}"


@dataclass(frozen=True, slots=True)
class Keyring:
    """keys: version → secret, oldest first. current: the version of new e-mail pseudonyms."""

    keys: Mapping[str, bytes] = field(repr=False)
    current: str

    def keyed(self, data: bytes) -> bytes:
        """`data` with every marked digest replaced: the same digest by the same text, wherever it stands."""
        return _UNKEYED.sub(self._replacement, data) if MARK in data else data

    def keyed_text(self, text: str) -> str:
        """`keyed` of a text."""
        return (
            self.keyed(text.encode("utf-8", "surrogatepass")).decode("utf-8", "surrogatepass")
            if MARKED in text
            else text
        )

    def every(self, marked: str) -> tuple[str, ...]:
        """All that this marked digest may have become, a name a version; of another text that text itself."""
        found = _UNKEYED.fullmatch(marked.encode("utf-8", "surrogatepass"))
        return tuple(self._under(version, found).decode() for version in self.keys) if found else (marked,)

    def _replacement(self, found: re.Match[bytes]) -> bytes:
        return self._under(self.current if found[1].decode() == MAIL else next(iter(self.keys)), found)

    def _under(self, version: str, found: re.Match[bytes]) -> bytes:
        digest = hmac.digest(self.keys[version], found[2], "sha256").hex()
        return f"{found[1].decode()}-{version}-{digest}".encode()


def names_in(data: bytes) -> int:
    """How many ids `data` has that could be card numbers."""
    return len({found[2] for found in _UNKEYED.finditer(data) if found[1] == NAME.encode()}) if MARK in data else 0


DEVELOPMENT = Keyring({"dev": b"for local stacks alone: anybody can read this key"}, "dev")
