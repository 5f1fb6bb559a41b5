"""One HTTP request from a provider, and what we can say about it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any


@dataclass(frozen=True, slots=True)
class Delivery:
    """The request exactly as received, not yet trusted.

    `headers` have lower-case names (HTTP names are case-insensitive); repeated headers are joined by ", " as
    RFC 9110 §5.3 allows. `received_at` is aware UTC: every judgement of age is made against it, never later.
    `memo` is what an adapter has read of these bytes already: no part of the delivery, nor of a changed copy.
    """

    provider: str
    body: bytes
    headers: Mapping[str, str]
    received_at: datetime
    path: str = "/"
    query: str = ""
    memo: dict[str, Any] = field(default_factory=dict, init=False, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Credentials:
    """What proves deliveries at one endpoint. Immutable for an instance's life; a rotation is a new revision.

    keys: key id → secret, every one of them active. What a secret is, is the provider's: a `whsec_…` string, a
        hex HMAC key, a webhook id, and where certificates prove it, who it has to be for (Apple: an app) or from
        (Google: a service account). Never empty (settings refuse it).
    basic_auth: user → password, each active; empty where the provider has none.
    live: whether this endpoint takes real money; a delivery of the other mode is stored and never acted upon.
    account: the name used in event ids when the provider's payload names no account.
    trust: PEM of root certificates that replace the public roots; only a local stack may set it.
    url: the endpoint's URL, character for character as the provider has it, where its signature covers that (Square:
        several, with a space between) or its token is for it (Google: the audience).
    """

    keys: Mapping[str, str] = field(repr=False)
    basic_auth: Mapping[str, str] = field(default_factory=dict, repr=False)
    live: bool = False
    account: str = "main"
    trust: bytes | None = None
    url: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Proof that the provider sent these bytes: which key said so, and what the signature leaves open.

    key_ids: the key that verified; several when a batch mixes keys (Adyen while a key is rotated).
    signed_at: the provider's signed instant, where its scheme has one.
    unsigned: names of our event fields that the scheme does not cover ("respond_by"); copied on every event.
    """

    key_ids: tuple[str, ...]
    signed_at: datetime | None = None
    unsigned: tuple[str, ...] = ()


class DeliveryOutcome(StrEnum):
    """What became of an authentic delivery. Forgeries are counted, never published."""

    ACCEPTED = "accepted"
    IGNORED = "ignored"  # a type that nothing of ours follows
    UNPARSED = "unparsed"  # authentic, but unreadable in whole or in part: a person must look
    MODE_MISMATCH = "mode_mismatch"  # test data at a live endpoint or the reverse: stored, never acted upon
    CANARY = "canary"  # our own, to see that deliveries arrive: published, never stored


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryRow:
    """A message of `deliveries` and a row of `deliveries`: what was received, what proved it, and what it came to.

    delivery_id: the same for every copy of a delivery. key_ids: which keys proved it; unsigned: members of our events that
    its signature does not cover. reason: why it could not be read. types: what kinds of message were in it; unreadable:
    which of them could not be read, and why; unknown: what the adapter does not know of it. endpoint_live: whether the
    endpoint takes real money. headers: JSON text of those that take part in the signature; body: base64 of the exact bytes.
    """

    delivery_id: str
    provider: str
    received_at: datetime
    signed_at: datetime | None
    outcome: DeliveryOutcome
    reason: str
    key_ids: tuple[str, ...]
    unsigned: tuple[str, ...]
    types: tuple[str, ...]
    unreadable: tuple[str, ...]
    unknown: tuple[str, ...]
    livemode: bool | None
    endpoint_live: bool
    endpoint_account: str
    adapter_version: str
    payload_version: str | None
    headers: str
    query: str
    body: bytes
