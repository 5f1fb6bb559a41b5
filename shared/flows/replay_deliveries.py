"""What the warehouse keeps is told again: deliveries that could not be read when they came, or any others, by the adapter of
today, and events as they were told."""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import msgspec

from shared.domain.codec import decode, from_document
from shared.domain.delivery import Credentials, Delivery, DeliveryOutcome, Verdict
from shared.domain.errors import Misconfigured, Rejected
from shared.domain.events import KINDS, AnyEvent
from shared.domain.telemetry import fact
from shared.flows.event_messages import event_message
from shared.flows.pacing import PacedBus
from shared.flows.ports import Bus, Message, Warehouse
from shared.flows.receive_delivery import Understood, messages, understand
from shared.providers.kit.protocol import Provider

PAGE = 200  # bodies may have a mebibyte each, and a page is held at once

# The latest word on each delivery, oldest first, from where the page before ended. Bytes that were read and are past
# `erasing.FRESH` are gone.
STORED_SQL = """SELECT delivery_id, received_at, signed_at, outcome, key_ids, unsigned, types, unreadable,
  endpoint_live, endpoint_account, headers, query, body
FROM (
  SELECT *, ROW_NUMBER() OVER (PARTITION BY delivery_id, received_at ORDER BY publish_time DESC) AS nth
  FROM deliveries
  WHERE provider = @provider AND received_at >= @since AND received_at < @until
    AND (@delivery_id = '' OR delivery_id = @delivery_id)
) AS told
WHERE nth = 1 AND body IS NOT NULL
  AND (outcome = @outcome OR (@outcome = '' AND (outcome = 'unparsed' OR (outcome = 'ignored' AND @ignored) OR @delivery_id != '')))
  AND (@type = '' OR @type IN UNNEST(types))
  AND (received_at > @since OR delivery_id > @after)
ORDER BY received_at, delivery_id
LIMIT @page"""

EVENTS_PAGE = 5000  # of a kilobyte each, and every page is a query that is paid for

# Each event as it was first heard in that time. Rows lie by when a thing happened, and some are heard of late.
TOLD_SQL = """SELECT *
FROM (
  SELECT *, COALESCE(heard_at, publish_time) AS heard,
    ROW_NUMBER() OVER (PARTITION BY event_id ORDER BY COALESCE(heard_at, publish_time), publish_time) AS nth
  FROM payment_events
  WHERE provider = @provider AND (@kind = '' OR kind = @kind)
    AND (@delivery_id = '' OR delivery_id = @delivery_id) AND (@event_id = '' OR event_id = @event_id)
    AND (@payment_id = '' OR payment_id = @payment_id)
    AND occurred_at >= @earliest AND occurred_at < @latest
    AND COALESCE(heard_at, publish_time) >= @since AND COALESCE(heard_at, publish_time) < @until
) AS told
WHERE nth = 1 AND (heard > @since OR event_id > @after)
ORDER BY heard, event_id
LIMIT @page"""
AHEAD = timedelta(days=1)  # a provider's clock may be

# What is of the other mode is never acted upon.
REPLAYED = tuple(
    one.value for one in DeliveryOutcome if one not in (DeliveryOutcome.MODE_MISMATCH, DeliveryOutcome.CANARY)
)


class ReplayRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which deliveries: of `provider`, received from `since` on and before `until` (aware instants; until left out: now).

    Those that could not be read, unless one `outcome`, or one delivery by its id, is asked for; all or with one `type` of the
    provider's in them. ignored: those of types that nothing followed when they came, too. again: those too of which nothing
    more is understood than before.

    events: not deliveries but the events that were published in that time, those read back from an API among them: all, of
    one `kind`, of one payment or delivery, or one by its id. late_days: how long before `since` they may have happened.

    rate: so many messages a second at most, events and rows of deliveries alike.
    """

    provider: str
    since: datetime
    until: datetime | None = None
    delivery_id: str = ""
    outcome: str = ""
    type: str = ""
    ignored: bool = False
    again: bool = False
    events: bool = False
    kind: str = ""
    event_id: str = ""
    payment_id: str = ""
    late_days: Annotated[float, msgspec.Meta(ge=0, le=4000)] = 40
    rate: Annotated[float, msgspec.Meta(gt=0, le=100_000)] | None = None

    def __post_init__(self) -> None:
        if self.kind and self.kind not in KINDS:
            raise ValueError(f"an event is one of {', '.join(KINDS)}")
        if self.outcome and self.outcome not in REPLAYED:
            raise ValueError(f"the outcome of a delivery that is replayed is one of {', '.join(REPLAYED)}")
        of_events, of_deliveries = self.kind or self.event_id or self.payment_id, self.ignored or self.again
        if (of_events and not self.events) or ((of_deliveries or self.outcome or self.type) and self.events):
            raise ValueError(
                "`kind`, `event_id` and `payment_id` are of events, `ignored`, `again`, `outcome`, `type` of deliveries"
            )
        for instant in (self.since, self.until):
            if instant is not None and instant.tzinfo is None:
                raise ValueError("an instant without a zone")
            try:
                _ = instant and instant.astimezone(UTC)
            except OverflowError:
                raise ValueError("an instant that is out of the calendar") from None


@dataclass(frozen=True, slots=True)
class Replayed:
    """replayed: deliveries that were published anew, with so many events: those of which more was understood than before, or
    all that were asked for `again`. unchanged: those of which nothing more was. Of a replay of events: how many of them, and nothing of deliveries."""

    looked_at: int
    replayed: int
    unchanged: int
    events: int


def read(parameters: bytes) -> ReplayRequest:
    """The request in a call's JSON. Raises Rejected, naming the member that does not fit."""
    try:
        return msgspec.json.decode(parameters, type=ReplayRequest)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Rejected(f"not a replay request: {error}", reason="bad_replay_request") from error


def replay_deliveries(
    parameters: bytes,
    load: Callable[[str], Provider],
    warehouse: Warehouse,
    bus: Bus,
    now: datetime,
    sleep: Callable[[float], None] = time.sleep,
) -> Replayed:
    """Translate stored deliveries again and publish what is understood of them, under the ids that they have; or publish
    stored events again, to the byte as they were published. Every consumer hears them, and knows by their ids those that
    it has.

    The bytes were proved when they came, and nobody but the webhook writes `deliveries`: they are not verified anew,
    for their keys may be gone. Events have the ids that they would have had, so a repeat, or a part that was
    understood at the first time, changes nothing. Raises Rejected, Unavailable.
    """
    request = read(parameters)
    try:
        provider = load(request.provider)
    except Misconfigured as error:
        raise Rejected(str(error), reason="unknown_provider") from error
    counts: Counter[str] = Counter()
    if request.rate is not None:
        bus = PacedBus(bus, request.rate, sleep)
    if request.events:
        for told in _told(request, warehouse, request.until or now):
            bus.publish(told)
            counts["events"] += len(told)
        return _summary(request, counts)
    for row in _stored(request, warehouse, request.until or now):
        delivery, verdict, credentials = as_received(request.provider, row)
        understood = understand(delivery, provider, verdict, credentials)
        counts["looked_at"] += 1
        if not request.again and not _is_more(understood, row):
            counts["unchanged"] += 1
            continue
        bus.publish(messages(delivery, provider, verdict, credentials, understood, row["delivery_id"], now))
        counts["replayed"] += 1
        counts["events"] += len(understood.events)
    return _summary(request, counts)


def _summary(request: ReplayRequest, counts: Counter[str]) -> Replayed:
    summary = Replayed(*(counts[name] for name in ("looked_at", "replayed", "unchanged", "events")))
    fact("deliveries_replayed", provider=request.provider, **asdict(summary))
    return summary


def _is_more(understood: Understood, row: Mapping[str, Any]) -> bool:
    """Whether that is more than the row says: another outcome, fewer items unread, or any item at all."""
    now = understood.normalized
    return (
        understood.outcome.value != row["outcome"]
        or len(now.unreadable) < len(row["unreadable"])
        or len(now.types) > len(row["types"])
    )


def _stored(request: ReplayRequest, warehouse: Warehouse, until: datetime) -> Iterator[Mapping[str, Any]]:
    since, after = request.since.astimezone(UTC), ""
    while True:
        page = warehouse.query(
            STORED_SQL,
            {
                "provider": request.provider,
                "since": since,
                "until": until,
                "after": after,
                "ignored": request.ignored,
                "delivery_id": request.delivery_id,
                "outcome": request.outcome,
                "type": request.type,
                "page": PAGE,
            },
        )
        yield from page
        if len(page) < PAGE:
            return
        since, after = page[-1]["received_at"], page[-1]["delivery_id"]


def _told(request: ReplayRequest, warehouse: Warehouse, until: datetime) -> Iterator[list[Message]]:
    """The messages of the events in `request`, a page at a time."""
    since, after = request.since.astimezone(UTC), ""
    between = {
        "provider": request.provider,
        "kind": request.kind,
        "delivery_id": request.delivery_id,
        "event_id": request.event_id,
        "payment_id": request.payment_id,
        "earliest": _back(since, timedelta(days=request.late_days)),
        "latest": until + AHEAD,
        "until": until,
        "page": EVENTS_PAGE,
    }
    while page := warehouse.query(TOLD_SQL, between | {"since": since, "after": after}):
        yield [event_message(event_in(row), row["heard"]) for row in page]
        since, after = page[-1]["heard"], page[-1]["event_id"]


def _back(instant: datetime, time: timedelta) -> datetime:
    """`time` before `instant`; the beginning of the calendar where that is nearer."""
    first = datetime.min.replace(tzinfo=UTC)
    return instant - time if instant - first > time else first


def event_in(row: Mapping[str, Any]) -> AnyEvent:
    """The event in a row of `payment_events`. Raises Unreadable."""
    event: AnyEvent = from_document(dict(row), KINDS[row["kind"]])
    return event


def as_received(provider: str, row: Mapping[str, Any]) -> tuple[Delivery, Verdict, Credentials]:
    """The delivery in a row of `deliveries`, what proved it then, and its endpoint, without keys. `Traits.verified_again`
    says of which providers that delivery proves itself once more."""
    delivery = Delivery(
        provider=provider,
        body=row["body"] or b"",
        headers=decode(row["headers"] or "{}", dict[str, str]),
        received_at=row["received_at"],
        path=f"/{provider}",
        query=row["query"] or "",
    )
    verdict = Verdict(tuple(row["key_ids"]), row["signed_at"], tuple(row["unsigned"]))
    return delivery, verdict, Credentials({}, live=bool(row["endpoint_live"]), account=row["endpoint_account"])
