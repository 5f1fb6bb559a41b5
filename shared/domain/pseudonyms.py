"""Names that stand for what must not be kept: the address of a customer, and an id that could be a card's number.

Whoever has a list of addresses, or of all card numbers, can try them all on a plain digest. So the digest that an adapter
makes is marked as one that is not to leave the process, and what is published holds its HMAC under a key of ours:

    unkeyed-mail-<SHA-256>  →  mail-<version>-<HMAC-SHA256 of the digest>

Keys have versions. E-mail addresses go by the current one: with a rotation every customer's history by address (at most
its longest window) begins anew. While several keys are held an event tells the address's names under the others beside it, so
that who is listed by one of them stays listed; once a key is left out, what was named under it can be matched no longer,
which is the point of rotating.
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
# As an event's own member: in a text within a message its quotes would be escaped.
_TOLD = re.compile(rb'"email_hash":"(unkeyed-mail-[0-9a-f]{64})"')
_PSEUDONYM = re.compile("(mail|name)-([0-9A-Za-z]{1,16})-[0-9a-f]{64}")


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

    def others(self, marked: str) -> tuple[str, ...]:
        """What the address of this marked digest is called under the keys that are not the current one: nothing with one key."""
        found = _UNKEYED.fullmatch(marked.encode("utf-8", "surrogatepass"))
        return tuple(self._under(one, found).decode() for one in self.keys if one != self.current) if found else ()

    def keyed_event(self, data: bytes) -> bytes:
        """`keyed` of an event as it travels, with `email_hash_also` beside its `email_hash` where there are other keys."""
        if len(self.keys) > 1 and MARK in data:
            data = _TOLD.sub(self._beside, data)
        return self.keyed(data)

    def names_by(self, kind: str, version: str) -> bool:
        """Whether what is told today may be called by a pseudonym of this kind under the key of that version: an address
        under any that is held, an id under the oldest alone."""
        return version in self.keys if kind == MAIL else version == next(iter(self.keys))

    def _beside(self, found: re.Match[bytes]) -> bytes:
        others = ",".join(f'"{one}"' for one in self.others(found[1].decode()))
        return found[0] + b',"email_hash_also":[' + others.encode() + b"]"

    def _replacement(self, found: re.Match[bytes]) -> bytes:
        return self._under(self.current if found[1].decode() == MAIL else next(iter(self.keys)), found)

    def _under(self, version: str, found: re.Match[bytes]) -> bytes:
        digest = hmac.digest(self.keys[version], found[2], "sha256").hex()
        return f"{found[1].decode()}-{version}-{digest}".encode()


def version_of(name: str) -> tuple[str, str] | None:
    """Of a pseudonym its kind and the version of its key; None for what is none."""
    found = _PSEUDONYM.fullmatch(name)
    return (found[1], found[2]) if found else None


def names_in(data: bytes) -> int:
    """How many ids `data` has that could be card numbers."""
    return len({found[2] for found in _UNKEYED.finditer(data) if found[1] == NAME.encode()}) if MARK in data else 0


DEVELOPMENT = Keyring({"dev": b"for local stacks alone: anybody can read this key"}, "dev")
