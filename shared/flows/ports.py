"""What the flows need from the world. Two backends provide it; one conformance suite holds both to these words.

Every method may raise `Unavailable` (try again later). Nothing else escapes a backend but what is named here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple, Protocol

Document = dict[str, Any]
"""Plain values only: None, bool, int (64 bit), float (of a zero the sign may be lost), str, aware datetime (microseconds),
list, dict with str keys."""


class Key(NamedTuple):
    """A document's name. `id` is any non-empty text up to 1,000 bytes; backends escape what their store dislikes."""

    collection: str
    id: str


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A document as read. `version` is opaque: give it back in `Replace` or `Unchanged` to prove that nobody wrote in
    between."""

    key: Key
    document: Document
    version: object


@dataclass(frozen=True, slots=True)
class Create:
    """Write a document that must not exist yet: the atomic claim."""

    key: Key
    document: Document


@dataclass(frozen=True, slots=True)
class Replace:
    """Write the whole document anew, if it is still at `version`."""

    key: Key
    document: Document
    version: object


@dataclass(frozen=True, slots=True)
class Accumulate:
    """Commutative changes to a document that is made if it is missing: no version, no conflict, any order.

    Paths are tuples of map keys, one to four deep: `("buckets", "h:493021", "count")`. A missing number counts as 0 in
    `add` and as absent in `largest` and `smallest`; `put` sets plain values; `drop` deletes fields. One path
    appears in one of them only, and no path is a prefix of another. Path segments are any non-empty text.
    """

    key: Key
    add: Mapping[tuple[str, ...], int] = field(default_factory=dict)
    largest: Mapping[tuple[str, ...], int] = field(default_factory=dict)
    smallest: Mapping[tuple[str, ...], int] = field(default_factory=dict)
    put: Mapping[tuple[str, ...], Any] = field(default_factory=dict)
    drop: Sequence[tuple[str, ...]] = ()


@dataclass(frozen=True, slots=True)
class Delete:
    """Remove a document; no complaint if it is gone already."""

    key: Key


@dataclass(frozen=True, slots=True)
class Unchanged:
    """Write nothing, and prove that the document is still at `version`; None: that there is still none. It costs as much
    as a write, and two proofs of one document may wait for each other."""

    key: Key
    version: object | None


Write = Create | Replace | Accumulate | Delete | Unchanged


FOUND_BY = frozenset({"paid_by", "tried_by", "subject"})
"""The top-level texts by which documents may be found: whatever else is asked for is no index, and would be a scan."""

FINDABLE = 1000
"""Bytes of UTF-8 that such a text may have: documents with a longer one are not found."""

LISTED_BY: Mapping[str, Sequence[str]] = {"queue": ("assignee", "provider", "status")}
"""The top-level texts in whose order documents are listed, and by which others each such list may be narrowed: those that few
documents share come first, for a list is read along the first one that is asked for."""


class Documents(Protocol):
    """One document per entity, atomic commits over several of them, optimistic versions."""

    def get(self, keys: Sequence[Key]) -> list[Snapshot | None]:
        """Read `keys` in one round trip, answers in the same order; None where there is no document."""

    def commit(self, writes: Sequence[Write]) -> None:
        """All or nothing, one round trip. Raises Conflict when a Create finds a document, or a Replace or an Unchanged
        another version than its own; then nothing was written. Each key appears once."""

    def due(self, collection: str, field: str, until: datetime, limit: int) -> list[Snapshot]:
        """Documents whose top-level instant `field` is not later than `until`, earliest first, at most `limit`.
        Costs what it returns: documents without the field, or with null, cost nothing."""

    def find(self, collection: str, field: str, value: str, limit: int) -> list[Snapshot]:
        """Documents whose top-level text `field`, one of FOUND_BY, is `value`, by id (code points), at most `limit`.
        Costs what it returns. ValueError for another field."""

    def listed(
        self, collection: str, order: str, where: Mapping[str, str], limit: int, after: tuple[str, str] | None = None
    ) -> list[Snapshot]:
        """Documents that have the top-level text `order`, one of LISTED_BY, and each other text as `where` says, in order of that
        text and then of id (code points), at most `limit`: those after `after`, the text and the id of the last one seen.
        Costs what it returns: documents without the text cost nothing. ValueError for another field."""

    def scan(self, collection: str, limit: int, after: str = "") -> list[Snapshot]:
        """Documents by id, in order of id (code points), those after id `after`. For reports and repairs, never for a request."""


@dataclass(frozen=True, slots=True)
class Message:
    """A Pub/Sub message to be. Attribute values are text, and their SHA-256 where that has more than 1,024 bytes (a
    provider's id may be long, and nobody filters by one); `data` is JSON of ours."""

    topic: str
    data: bytes
    attributes: Mapping[str, str] = field(default_factory=dict)


class Bus(Protocol):
    def publish(self, messages: Sequence[Message]) -> None:
        """Returns when every message is durably accepted; raises Unavailable otherwise, when any part of them
        may have been published (a repeat is harmless: consumers know every event by its id)."""


@dataclass(frozen=True, slots=True)
class Pulled:
    """A message leased to us. `attempt` counts from 1; the same message has the same `message_id` in every subscription."""

    ack_id: str
    message_id: str
    published_at: datetime
    attempt: int
    data: bytes
    attributes: Mapping[str, str]


class Subscriptions(Protocol):
    """What waits in subscriptions, for people and their tools; functions are pushed to. Raises Misconfigured for a subscription
    that is not there."""

    def take(self, name: str, limit: int) -> list[Pulled]:
        """Some of what waits, at most `limit`, longest waiting first as far as the bus knows; hidden from others for a minute.
        None where nothing came within seconds."""

    def ack(self, name: str, ack_ids: Sequence[str]) -> None:
        """These are done, and gone."""

    def give_back(self, name: str, ack_ids: Sequence[str]) -> None:
        """These wait again, at once."""

    def pushed_to(self, name: str) -> str | None:
        """Where messages are pushed, as `push_to` takes it; None where they are not."""

    def push_to(self, name: str, where: str | None) -> None:
        """Push there from now on; None: nowhere, so that messages wait until somebody takes them, as long as the subscription
        keeps them. A repeat changes nothing."""


class Logs(Protocol):
    """What functions have logged, for people and their tools."""

    def lines(
        self, events: Sequence[str], since: datetime, most: int, where: Mapping[str, str]
    ) -> list[dict[str, Any]]:
        """Lines of those `events` from `since` on whose fields are as `where` says, the newest first, at most `most`: each with
        `event`, `at` (an aware instant) and its fields."""


class Models(Protocol):
    """Immutable artifacts by SHA-256 (lower-case hex) of their bytes."""

    def store(self, data: bytes) -> str:
        """Keep `data`, answer its digest. Storing the same bytes again is harmless."""

    def load(self, digest: str) -> bytes:
        """The bytes; raises Misconfigured when there are none, or when they no longer match their digest."""


@dataclass(frozen=True, slots=True)
class Bound:
    """What one query may take: bytes that are billed, by the estimate that BigQuery makes before it runs (of a table's
    partitions, whatever clustering leaves out of them), and seconds."""

    bytes: int
    seconds: float


ASKED = Bound(bytes=2**40, seconds=50.0)
"""Of what a person asks, and waits for."""


class Warehouse(Protocol):
    """BigQuery, or what runs the same BigQuery SQL."""

    def query(
        self,
        sql: str,
        parameters: Mapping[str, Any] | None = None,
        *,
        once: bool = False,
        bound: Bound | None = None,
    ) -> list[dict[str, Any]]:
        """Run one SELECT in BigQuery's dialect, tables named plainly (`payment_events`), `@name` parameters
        (int, float, str, bool, aware datetime). TIMESTAMP columns answer aware UTC datetimes.

        What runs longer than a caller waits is stopped, and Unavailable. once: the same question with the same parameters
        may be answered, for a day, by the run that another caller has begun: for what is dear, and asks what was known at
        an instant that is among its parameters.

        bound: for what a person asks and waits for. Raises Rejected where the bytes would be more, Unavailable where the
        seconds are over; then it is stopped."""

    def append(self, table: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """Add rows to a declared table (`shared/learning/sql/tables/<table>.json`); members that the table does
        not declare are dropped, as a BigQuery subscription does. Values are JSON values: instants as RFC 3339 text."""

    def derive(
        self,
        table: str,
        at: str,
        day: datetime,
        sql: str,
        parameters: Mapping[str, Any] | None = None,
        *,
        as_of: datetime,
    ) -> None:
        """The rows of the day that begins at `day`, by the instant `at`, the column of its partitions, of a declared table that
        nothing else writes become what one SELECT answers of each of its columns, of that day. It may read the table itself. All rows or none; a repeat changes nothing.

        as_of: of what instant the rows are. The same question of the same instant may be answered by the run that another
        caller has begun, which goes on when its caller is killed, or is told Unavailable because it takes longer than a caller waits."""

    def blank(
        self,
        table: str,
        members: Sequence[str],
        at: str,
        since: datetime,
        until: datetime,
        only: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        """Make `members` null in every row of a declared table whose instant `at`, the column of its partitions, is from `since`
        on and before `until`; of a record's member that is `card.last4`, and of one that is repeated it is so in each item.
        only: in rows alone in which each of these columns is one of its texts. All rows or none; a repeat changes nothing. What it costs is
        what these partitions hold."""


@dataclass(frozen=True, slots=True)
class Ports:
    """Everything outside, in one argument. Parts connect when first used."""

    documents: Documents
    bus: Bus
    models: Models
    warehouse: Warehouse
    evidence: Models
    """What was sent to whom, in a place of its own: it holds personal data, and goes when disputes are over for good."""
