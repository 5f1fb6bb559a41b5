"""Models are named by the SHA-256 of their bytes; both backends check the name the same way."""

import hashlib
import re

from shared.domain.errors import Misconfigured

_DIGEST = re.compile(r"[0-9a-f]{64}")


def verified(data: bytes, digest: str) -> bytes:
    """`data`, if its SHA-256 is `digest`. Raises Misconfigured."""
    if hashlib.sha256(data).hexdigest() != digest:
        raise Misconfigured(
            f"model {digest} is not the bytes it was named for: train again, or restore it from a backup",
            reason="model_corrupt",
        )
    return data


def named(digest: str) -> str:
    """`digest`, if it is one: it becomes a file's name. Raises Misconfigured."""
    if not _DIGEST.fullmatch(digest):
        raise Misconfigured("a model is named by 64 hexadecimal digits in lower case", reason="bad_model_digest")
    return digest


def missing(digest: str, where: str) -> Misconfigured:
    return Misconfigured(
        f"there is no model {digest} in {where}: train one, or set the registry to one that is there",
        reason="model_missing",
    )
