"""Canaries: deliveries of our own, by which is seen that a provider's deliveries would arrive.

One is posted to a webhook as its provider would post, and signed by a scheme that no provider has:

    X-PayIn-Canary: v1 <key version> <milliseconds since 1970> <hex HMAC-SHA256 of what follows>
    pay-in canary \\n <provider> \\n <key version> \\n <milliseconds> \\n <the exact body>

The header alone says what a request is. With it, it is a canary or is refused, whatever its bytes and its other headers
prove; without it, no key of canaries is looked at. So a canary's key proves no business event, and no provider's key a canary.

The keys are derived from those of pseudonyms (HMAC under a word of their own, as HKDF expands), which every webhook has: one
tells nothing about the other, and there is no further secret to keep, to rotate and to forget.
"""

import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from shared.domain.delivery import Delivery
from shared.domain.errors import SignatureInvalid
from shared.domain.pseudonyms import Keyring

HEADER = "x-payin-canary"
"""In lower case, as a delivery's headers are."""

FRESH = timedelta(minutes=5)
"""How far its time may lie from when it is received, either way."""

_WORD = b"pay-in canaries, version 1"
_SIGNED = re.compile("v1 ([0-9A-Za-z]{1,16}) ([0-9]{1,15}) ([0-9a-f]{64})", flags=re.ASCII)


@dataclass(frozen=True, slots=True)
class CanaryKeys:
    """keys: version → key, each of which proves. current: the version that signs."""

    keys: Mapping[str, bytes] = field(repr=False)
    current: str


def derived(keyring: Keyring) -> CanaryKeys:
    """The keys of canaries that belong to `keyring`."""
    keys = {version: hmac.digest(secret, _WORD, "sha256") for version, secret in keyring.keys.items()}
    return CanaryKeys(keys, keyring.current)


def sign(keys: CanaryKeys, provider: str, body: bytes, now: datetime) -> str:
    """The header's value for a canary with `body`, sent to `provider`'s webhook `now`."""
    milliseconds = str(round(now.timestamp() * 1000))
    digest = _digest(keys.keys[keys.current], provider, keys.current, milliseconds, body)
    return f"v1 {keys.current} {milliseconds} {digest}"


@dataclass(frozen=True, slots=True)
class Proved:
    """A genuine canary. canary_id: the same for every copy of it."""

    canary_id: str
    sent_at: datetime
    key_id: str


def prove(keys: CanaryKeys, delivery: Delivery) -> Proved:
    """What the canary `delivery` says. Raises SignatureInvalid, with a reason, for one that we did not send, or not lately."""
    said = _SIGNED.fullmatch(delivery.headers.get(HEADER, ""))
    if said is None:
        raise SignatureInvalid("not a canary's header", reason="malformed_canary")
    version, milliseconds, offered = said.groups()
    # A version that is none of ours is compared as well, so that time says nothing of which there are.
    key = keys.keys.get(version, b"")
    expected = _digest(key, delivery.provider, version, milliseconds, delivery.body)
    if not hmac.compare_digest(expected, offered) or not key:
        raise SignatureInvalid("no canary of ours", reason="canary_mismatch")
    # In milliseconds, for such a number may be in no calendar.
    if abs(delivery.received_at.timestamp() * 1000 - int(milliseconds)) > FRESH / timedelta(milliseconds=1):
        raise SignatureInvalid("a canary of another time", reason="canary_stale")
    sent_at = datetime.fromtimestamp(int(milliseconds) / 1000, UTC)
    return Proved(canary_id=expected[:32], sent_at=sent_at, key_id=version)


def _digest(key: bytes, provider: str, version: str, milliseconds: str, body: bytes) -> str:
    message = b"\n".join((b"pay-in canary", provider.encode(), version.encode(), milliseconds.encode(), body))
    return hmac.new(key, message, hashlib.sha256).hexdigest()
