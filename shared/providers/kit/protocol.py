"""What a provider's `webhook` module must offer. There is no default to forget."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from shared.domain.delivery import Credentials, Delivery, Verdict
from shared.domain.events import AnyEvent

if TYPE_CHECKING:
    from shared.providers.kit.reading import Node

FetchCertificate = Callable[[str], bytes]
"""PEM at a URL that the adapter has already judged safe; cached; raises Unavailable."""


@dataclass(frozen=True, slots=True)
class Answer:
    """How the provider wants to be told that a delivery was accepted."""

    status: int = 200
    body: bytes = b""
    content_type: str = "text/plain"


@dataclass(frozen=True, slots=True)
class Normalized:
    """A delivery, translated.

    delivery_id: `<provider>:<account>:<id>`, the same for every copy of this delivery.
    events: in our words, in the payload's order. types: the provider's names of what was inside, for counting.
    livemode: what the payload says of itself; None where it does not say.
    ignored: types that nothing of ours follows. unreadable: one line for each item that could not be read, naming
        the path and the reason, never a value; the other items of the batch stand.
    """

    delivery_id: str
    events: tuple[AnyEvent, ...] = ()
    types: tuple[str, ...] = ()
    livemode: bool | None = None
    ignored: tuple[str, ...] = ()
    unreadable: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Traits:
    """What `make providers` shows of a provider.

    scheme: what proves a delivery. replay: what stops an old one. rotation: how a key changes without a gap.
    ack_seconds: how long the provider waits for its 2xx; retry_days: for how long it repeats; None where that is not
        settled. deadline: its field that says until when a dispute can be answered. response_api: its call that
        answers one; both empty where there is none. verified_again: whether a stored delivery can be, by its row and the
        endpoint's keys alone. fetch_back: whether some messages only name what is to be read.
    payments, refunds, disputes, warnings: its types of message that tell of each, out of the adapter's own tables.
    """

    scheme: str
    replay: str
    rotation: str
    ack_seconds: int | None = None
    retry_days: float | None = None
    deadline: str = ""
    response_api: str = ""
    verified_again: str = "yes"
    fetch_back: bool = False
    payments: Collection[str] = ()
    refunds: Collection[str] = ()
    disputes: Collection[str] = ()
    warnings: Collection[str] = ()


class Provider(Protocol):
    """`shared.providers.<name>.webhook`. It knows the provider's words and none of our rules.

    A provider that proves an endpoint by a GET before it sends anything also has a function
    `challenge(query: str, credentials: Credentials) -> Answer | None`: the answer to that query string, None for one
    that is no challenge.

    One whose signature comes in a header that is never stored has a function
    `kept_headers(headers: Mapping[str, str]) -> Mapping[str, str]`: that signature, under the name of a signed header.

    One that says a part of a delivery in its URL names those parameters in `KEPT_QUERY`: they are kept with the raw
    bytes, so that a stored delivery can be translated again. Never one that holds a secret.

    NAME: the path segment, metric label and first part of every event id.
    ANSWER: what an accepted delivery is answered.
    SIGNED_HEADERS: lower-case header names that verification reads and that are kept with the raw bytes, so that
        a stored delivery can be verified again. Never one that holds a secret (`authorization`).
    PAYLOAD_VERSION: paths at which a message says of which version of the provider's API it is; empty where it does not.
    WORDS: path in its `shape.json` → the words that may stand there, out of the adapter's own tables; any other
        is told of (see `unmapped`).
    TRAITS: for the table of providers.
    """

    NAME: str
    ANSWER: Answer
    SIGNED_HEADERS: tuple[str, ...]
    PAYLOAD_VERSION: tuple[tuple[str, ...], ...]
    WORDS: Mapping[str, Collection[str]]
    TRAITS: Traits

    def check_credentials(self, credentials: Credentials) -> None:
        """Raises Misconfigured, saying what to set, for credentials that could never verify anything."""

    def verify(self, delivery: Delivery, credentials: Credentials, fetch_certificate: FetchCertificate) -> Verdict:
        """Prove that the provider sent exactly these bytes, recently by `delivery.received_at`.

        Raises SignatureInvalid (with a `reason`) when nothing proves it, Unavailable when the proof needs
        something that is down. Nothing else, whatever the bytes.
        """

    def opened(self, delivery: Delivery) -> "Node":
        """What is in the body, as nested objects; read once however often it is asked for. Raises Unreadable."""

    def normalize(self, delivery: Delivery, verdict: Verdict, credentials: Credentials) -> Normalized:
        """Translate verified bytes. Raises Unreadable when the whole body cannot be read. Nothing else."""
