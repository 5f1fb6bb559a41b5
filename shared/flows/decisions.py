"""What is kept of a decision: whole in the warehouse, packed in its document."""

import base64
import hashlib
import zlib
from collections.abc import Mapping
from typing import Any

from shared.domain.codec import decode, encode, from_document, to_document
from shared.domain.decisions import Decision, FeatureValue
from shared.flows.ports import Document


def row_of(decision: Decision) -> bytes:
    """JSON of `decision`, as it is published, with `sample`: the first two digits of the hash of its event's id, by which
    training reads a part of all payments and nothing of the others."""
    digest = hashlib.md5(decision.event_id.encode(), usedforsecurity=False).hexdigest()
    return encode({**to_document(decision), "sample": digest[:2]})


def stored(decision: Decision) -> Document:
    """The document. The features' names are three quarters of a decision, and every document and every backup of it is
    paid for by the byte: they are packed."""
    return {**to_document(decision), "features": _packed(decision.features)}


def of_stored(document: Mapping[str, Any]) -> Decision:
    """The decision in a document. Raises Unreadable for one that is damaged."""
    return from_document({**document, "features": _unpacked(document["features"])}, Decision)


def _packed(features: tuple[FeatureValue, ...]) -> str:
    return base64.b64encode(zlib.compress(encode(features))).decode("ascii")


def _unpacked(text: str) -> tuple[FeatureValue, ...]:
    return decode(zlib.decompress(base64.b64decode(text)), tuple[FeatureValue, ...])
