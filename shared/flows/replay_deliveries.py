"""Deliveries that could not be read when they came are translated again, by the adapter of today."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

import msgspec

from shared.domain.codec import decode
from shared.domain.delivery import Credentials, Delivery, Verdict
from shared.domain.errors import Misconfigured, Rejected
from shared.domain.telemetry import fact
from shared.flows.ports import Bus, Warehouse
from shared.flows.receive_delivery import Understood, messages, understand
from shared.providers.kit.protocol import Provider

PAGE = 200  # bodies may have a mebibyte each, and a page is held at once

# The latest word on each delivery, oldest first, from where the page before ended.
STORED_SQL = """SELECT delivery_id, received_at, signed_at, outcome, key_ids, unsigned, types, unreadable,
  endpoint_live, endpoint_account, headers, query, body
FROM (
  SELECT *, ROW_NUMBER() OVER (PARTITION BY delivery_id, received_at ORDER BY publish_time DESC) AS nth
  FROM deliveries
  WHERE provider = @provider AND received_at >= @since AND received_at < @until
) AS told
WHERE nth = 1 AND (outcome = 'unparsed' OR (outcome = 'ignored' AND @ignored))
  AND (received_at > @since OR delivery_id > @after)
ORDER BY received_at, delivery_id
LIMIT @page"""


class ReplayRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which deliveries: of `provider`, received from `since` on and before `until` (aware instants; until left out: now).

    ignored: those of types that nothing followed when they came, too.
    """

    provider: str
    since: datetime
    until: datetime | None = None
    ignored: bool = False

    def __post_init__(self) -> None:
        for instant in (self.since, self.until):
            if instant is not None and instant.tzinfo is None:
                raise ValueError("an instant without a zone")
            try:
                _ = instant and instant.astimezone(UTC)
            except OverflowError:
                raise ValueError("an instant that is out of the calendar") from None


@dataclass(frozen=True, slots=True)
class Replayed:
    """replayed: deliveries of which more was understood than before, published anew, with so many events. unchanged:
    those of which nothing more was."""

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
    parameters: bytes, load: Callable[[str], Provider], warehouse: Warehouse, bus: Bus, now: datetime
) -> Replayed:
    """Translate stored deliveries again and publish what is understood of them, under the ids that they have.

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
    for row in _stored(request, warehouse, request.until or now):
        delivery, verdict, credentials = as_received(request.provider, row)
        understood = understand(delivery, provider, verdict, credentials)
        counts["looked_at"] += 1
        if not _is_more(understood, row):
            counts["unchanged"] += 1
            continue
        bus.publish(messages(delivery, provider, verdict, credentials, understood, row["delivery_id"], now))
        counts["replayed"] += 1
        counts["events"] += len(understood.events)
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
                "page": PAGE,
            },
        )
        yield from page
        if len(page) < PAGE:
            return
        since, after = page[-1]["received_at"], page[-1]["delivery_id"]


def as_received(provider: str, row: Mapping[str, Any]) -> tuple[Delivery, Verdict, Credentials]:
    """The delivery in a row of `deliveries`, what proved it then, and its endpoint, without keys. `Traits.verified_again`
    says of which providers that delivery proves itself once more."""
    delivery = Delivery(
        provider=provider,
        body=row["body"] or b"",
        headers=decode(row["headers"], dict[str, str]),
        received_at=row["received_at"],
        path=f"/{provider}",
        query=row["query"] or "",
    )
    verdict = Verdict(tuple(row["key_ids"]), row["signed_at"], tuple(row["unsigned"]))
    return delivery, verdict, Credentials({}, live=bool(row["endpoint_live"]), account=row["endpoint_account"])
