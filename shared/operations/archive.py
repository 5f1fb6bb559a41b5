"""Deliveries as the warehouse keeps them: listed, found, and looked into."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from shared.domain.codec import to_document
from shared.domain.delivery import Delivery
from shared.domain.errors import Unreadable
from shared.domain.events import KIND_OF, AnyEvent
from shared.domain.masking import masked, masked_text
from shared.domain.privacy import LONGEST, mask
from shared.flows.ports import ASKED, Warehouse
from shared.flows.receive_delivery import understand
from shared.flows.replay_deliveries import as_received
from shared.providers import load, names, version

MOST_LISTED: Final = 500
MOST_OPENED: Final = 2_000
"""Of the deliveries that could not be read, so many are looked into for a text: of each one somebody was called."""
LATE: Final = timedelta(days=30)
"""A delivery may tell of what happened so long ago."""

_HEAD: Final = (
    "delivery_id, provider, received_at, signed_at, outcome, reason, key_ids, types, unreadable, unknown,"
    " endpoint_live, endpoint_account, adapter_version, payload_version, publish_time"
)

# The latest word on each delivery; it is received again under the same id where the provider repeats it.
LISTED_SQL: Final = f"""SELECT {_HEAD}
FROM deliveries
WHERE received_at >= @since AND received_at < @until
  AND (@provider = '' OR provider = @provider)
QUALIFY ROW_NUMBER() OVER (PARTITION BY delivery_id, received_at ORDER BY publish_time DESC) = 1
  AND (@outcome = '' OR outcome = @outcome)
  AND (@type = '' OR @type IN UNNEST(types)) AND (@key_id = '' OR @key_id IN UNNEST(key_ids))
ORDER BY received_at DESC, delivery_id
LIMIT @most"""  # noqa: S608 - constants of ours

NAMED_SQL: Final = f"""SELECT {_HEAD}
FROM deliveries
WHERE received_at >= @since AND received_at < @until
  AND (@provider = '' OR provider = @provider)
  AND (delivery_id = @text OR STRPOS(CONCAT(REPLACE(delivery_id, '.', ':'), ':'), @part) > 0)
ORDER BY received_at, publish_time
LIMIT @most"""  # noqa: S608 - constants of ours

DELIVERED_SQL: Final = """SELECT DISTINCT delivery_id
FROM payment_events
WHERE occurred_at >= @earliest AND occurred_at < @until AND COALESCE(heard_at, publish_time) >= @since
  AND (@provider = '' OR provider = @provider)
  AND (event_id = @text OR STRPOS(CONCAT(REPLACE(event_id, '.', ':'), ':'), @part) > 0)
ORDER BY delivery_id
LIMIT 20"""

WHOLE_SQL: Final = """SELECT *
FROM deliveries
WHERE provider = @provider AND received_at = @received_at AND delivery_id = @delivery_id
ORDER BY publish_time DESC
LIMIT 1"""

UNREAD_SQL: Final = """SELECT delivery_id, provider, received_at, signed_at, key_ids, unsigned, endpoint_live, endpoint_account,
  headers, query, body
FROM deliveries
WHERE received_at >= @since AND received_at < @until AND outcome = 'unparsed'
  AND (@provider = '' OR provider = @provider)
ORDER BY received_at DESC
LIMIT @most"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A row of `deliveries` but its bytes. publish_time: when that word on it was published, by the webhook or by a replay."""

    delivery_id: str
    provider: str
    received_at: datetime
    signed_at: datetime | None
    outcome: str
    reason: str
    key_ids: tuple[str, ...]
    types: tuple[str, ...]
    unreadable: tuple[str, ...]
    unknown: tuple[str, ...]
    endpoint_live: bool
    endpoint_account: str
    adapter_version: str | None
    payload_version: str | None
    publish_time: datetime | None

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> "Kept":
        lists = ("key_ids", "types", "unreadable", "unknown")
        made: dict[str, Any] = {name: tuple(row[name] or ()) if name in lists else row[name] for name in cls.__slots__}
        return cls(**{**made, "reason": row["reason"] or ""})


@dataclass(frozen=True, slots=True, kw_only=True)
class Unread:
    """A delivery that could not be read, by its name."""

    provider: str
    delivery_id: str
    received_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """A delivery and what is in it, masked. body: as the adapter opens it; where it cannot, as text (`opened` False), and
    nothing but its length where it is none. size: of the bytes as they were received.

    events: what the adapter of now understands, each with its `kind` and without what is not told (`adapter_version` in `kept` is that of then); outcome_now, unreadable_now,
    unknown_now: what it would come to. Nothing is published."""

    kept: Kept
    headers: Mapping[str, str]
    query: str
    size: int
    opened: bool
    body: Any
    unsigned: tuple[str, ...]
    adapter_now: str
    outcome_now: str
    events: tuple[Mapping[str, Any], ...]
    unreadable_now: tuple[str, ...]
    unknown_now: tuple[str, ...]


def listed(
    warehouse: Warehouse,
    since: datetime,
    until: datetime,
    *,
    provider: str = "",
    outcome: str = "",
    kind: str = "",
    key_id: str = "",
    most: int = 50,
) -> list[Kept]:
    """The newest `most` deliveries that were received from `since` on and before `until`. Their bytes are not read.

    kind: of which something inside was of that type, in the provider's word. Raises Rejected for a time of which too much
    would have to be read.
    """
    asked = {"provider": provider, "outcome": outcome, "type": kind, "key_id": key_id}
    parameters = {"since": since, "until": until, **asked, "most": min(most, MOST_LISTED)}
    return [Kept.of(row) for row in warehouse.query(LISTED_SQL, parameters, bound=ASKED)]


def of_provider(text: str) -> tuple[str, str]:
    """The provider that `text` asks of, "" where it asks of all, and the name that it asks for: `stripe:evt_1` is `evt_1`
    of one. What we call something begins so too: `stripe:acct_1:evt_1`, which is looked for as a whole beside it."""
    head, colon, rest = text.partition(":")
    return (head, rest) if colon and rest and head in names() else ("", text)


def part(name: str) -> str:
    """What is looked for in our names of events and deliveries, whose parts stand between colons or full stops."""
    return f":{name.replace('.', ':')}:"


def named(warehouse: Warehouse, text: str, since: datetime, until: datetime) -> list[Kept]:
    """The last word on each delivery that we call `text`, or of which that is the provider's own part of our name
    (`<provider>:<account>:<id>`)."""
    provider, name = of_provider(text)
    parameters = {"text": text, "part": part(name), "since": since, "until": until, "provider": provider}
    parameters |= {"most": MOST_LISTED}
    rows = warehouse.query(NAMED_SQL, parameters, bound=ASKED)
    return list({(row["provider"], row["delivery_id"]): Kept.of(row) for row in rows}.values())


def meant(warehouse: Warehouse, text: str, since: datetime, until: datetime) -> list[Kept]:
    """The deliveries that `text` means: called so, told of by an event that is called so, or not to be read and holding it."""
    if found := named(warehouse, text, since, until):
        return found
    provider, name = of_provider(text)
    parameters = {"text": text, "part": part(name), "since": since, "until": until, "provider": provider}
    rows = warehouse.query(DELIVERED_SQL, {**parameters, "earliest": since - LATE}, bound=ASKED)
    ids = {row["delivery_id"]: None for row in rows}
    ids |= {one.delivery_id: None for one in unread_with(warehouse, text, since, until)} if not ids else {}
    return [one for delivery_id in ids for one in named(warehouse, delivery_id, since, until)]


def unread_with(warehouse: Warehouse, text: str, since: datetime, until: datetime) -> list[Unread]:
    """The deliveries that could not be read and hold the name in `text`, in their bytes or in what these pack: of the newest
    MOST_OPENED of that time."""
    provider, name = of_provider(text)
    parameters = {"since": since, "until": until, "provider": provider, "most": MOST_OPENED}
    rows = warehouse.query(UNREAD_SQL, parameters, bound=ASKED)
    return [
        Unread(provider=row["provider"], delivery_id=row["delivery_id"], received_at=row["received_at"])
        for row in rows
        if _holds(row, name)
    ]


def _holds(row: Mapping[str, Any], text: str) -> bool:
    if text in (row["headers"] or "") or text in (row["query"] or "") or text.encode() in (row["body"] or b""):
        return True
    delivery, _, _ = as_received(row["provider"], row)
    opened = _opened(delivery)
    return opened is not None and any(text in value for value in _texts(opened))


def _texts(value: Any) -> Iterator[str]:
    match value:
        case dict():
            for child in value.values():
                yield from _texts(child)
        case list():
            for child in value:
                yield from _texts(child)
        case str():
            yield value
        case _:
            yield str(value)


def _opened(delivery: Delivery) -> Mapping[str, Any] | None:
    try:
        return load(delivery.provider).opened(delivery).value
    except Unreadable:
        return None
    except Exception:  # noqa: BLE001 - bytes that an adapter stumbles over are the very ones that are looked for here
        return None


def looked_into(warehouse: Warehouse, kept: Kept) -> Looked | None:
    """All that is known of the delivery of that row, personal data masked. None where its row has gone."""
    parameters = {"provider": kept.provider, "received_at": kept.received_at, "delivery_id": kept.delivery_id}
    rows = warehouse.query(WHOLE_SQL, parameters, bound=ASKED)
    if not rows:
        return None
    delivery, verdict, credentials = as_received(kept.provider, rows[0])
    provider = load(kept.provider)
    opened = _opened(delivery)
    understood = understand(delivery, provider, verdict, credentials)
    return Looked(
        kept=Kept.of(rows[0]),
        headers={name: mask(value) for name, value in delivery.headers.items()},
        query=mask(delivery.query),
        size=len(delivery.body),
        opened=opened is not None,
        body=masked(opened) if opened is not None else _as_text(delivery.body),
        unsigned=verdict.unsigned,
        adapter_now=version(kept.provider),
        outcome_now=understood.outcome,
        events=tuple(map(_shown, understood.events)),
        unreadable_now=understood.normalized.unreadable,
        unknown_now=understood.unknown,
    )


def _shown(event: AnyEvent) -> Mapping[str, Any]:
    told = {name: value for name, value in to_document(event).items() if value not in (None, [], "")}
    return {"kind": KIND_OF[type(event)], **masked(told)}


def _as_text(body: bytes) -> str:
    """What a person may see of bytes that nobody can open: text with what looks personal masked. Members cannot be told
    apart there, so values that are words stay out."""
    try:
        text = body[:LONGEST].decode("utf-8")
    except UnicodeDecodeError:
        return f"{len(body)} bytes that are no text"
    return masked_text(text)
