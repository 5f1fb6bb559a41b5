"""Comparing signatures: constant time, bytes only, and never an exception whatever a header holds."""

import base64
import binascii
import hmac
from collections.abc import Callable, Iterable, Mapping

from shared.domain.delivery import Credentials, Delivery, Verdict
from shared.domain.errors import Misconfigured, SignatureInvalid

_LONGEST_HEADER = 8192


def header(headers: Mapping[str, str], name: str) -> str:
    """The value of header `name` (lower case), stripped; empty when absent or longer than any real one."""
    value = headers.get(name, "")
    return value.strip() if len(value) <= _LONGEST_HEADER else ""


def is_text_key(secret: str) -> bool:
    """Whether `secret` can be a provider's key that is used as it is written: 16 printable ASCII characters or more."""
    return len(secret) >= 16 and secret.isascii() and secret.isprintable() and " " not in secret


def check_text_keys(provider: str, credentials: Credentials, wrong: str) -> None:
    """Raises Misconfigured, saying what is `wrong`, for a key that no provider could have: see `is_text_key`."""
    for key_id, secret in credentials.keys.items():
        if not is_text_key(secret):
            raise Misconfigured(f"WEBHOOK_{provider.upper()} key {key_id!r} {wrong}", reason="bad_secret")


def verified_body(delivery: Delivery, credentials: Credentials, name: str) -> Verdict:
    """The verdict of header `name`, which holds the hex HMAC-SHA256 of the body by a key used as it is written. Raises
    SignatureInvalid."""
    offered = header(delivery.headers, name).lower()
    if not offered:
        raise SignatureInvalid(f"no {name}", reason="missing_signature")
    keys = {key_id: as_bytes(secret) for key_id, secret in credentials.keys.items()}
    key_id = matching_key(keys, delivery.body, [offered], hex_text)
    if key_id is None:
        raise SignatureInvalid("no signature matches", reason="signature_mismatch")
    return Verdict(key_ids=(key_id,))


def as_bytes(text: str) -> bytes:
    """`text` for comparison: never raises, not even for lone surrogates, which no digest contains."""
    return text.encode("utf-8", "surrogatepass")


def hex_text(digest: bytes) -> bytes:
    return digest.hex().encode()


def matching_key(
    keys: Mapping[str, bytes],
    message: bytes,
    offered: Iterable[str],
    encode: Callable[[bytes], bytes],
    digest: str = "sha256",
) -> str | None:
    """The id of the key whose HMAC over `message`, written by `encode`, is among `offered`; None if none is.

    An empty key never matches: HMAC accepts one, and anyone could sign with it. Every pair is compared, so that
    the time taken says nothing about which key or signature came close.
    """
    texts = [as_bytes(text) for text in offered]
    found: str | None = None
    for key_id, key in keys.items():
        expected = encode(hmac.digest(key, message, digest))
        for text in texts:
            if hmac.compare_digest(expected, text) and key:
                found = found or key_id
    return found


def base64url(text: str) -> bytes | None:
    """The bytes of `text`; None unless it is exactly how base64url writes them, without padding (RFC 7515 §2).

    The last character has bits that no byte uses: another one there would be the same bytes in another text.
    """
    try:
        decoded = base64.b64decode(as_bytes(text) + b"=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return None
    return decoded if base64.urlsafe_b64encode(decoded).rstrip(b"=") == as_bytes(text) else None


def basic_auth_matches(value: str, users: Mapping[str, str]) -> bool:
    """Whether an `Authorization` header names one of `users` with its password (RFC 7617, UTF-8)."""
    scheme, _, encoded = value.partition(" ")
    try:
        given = base64.b64decode(as_bytes(encoded.strip()), validate=True) if scheme.lower() == "basic" else b""
    except (binascii.Error, ValueError):
        given = b""
    matched = False
    for user, password in users.items():
        matched |= hmac.compare_digest(given, as_bytes(f"{user}:{password}")) and bool(user and password)
    return matched
