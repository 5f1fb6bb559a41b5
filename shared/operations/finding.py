"""What an id means, whoever's it is: a payment's, a dispute's, an alias, an order, a request, an event, a delivery.

Documents answer first, in one round trip or two, for they cost next to nothing. What they do not know is looked for in the
warehouse, in the events and deliveries of a time that is bounded: a scan, which is paid for by the day.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from shared.domain.codec import from_document
from shared.flows import cases
from shared.flows.filing import key_of
from shared.flows.judged import Judged, Purchase, decision_key, purchase_key, request_name
from shared.flows.ports import ASKED, Documents, Key, Ports, Snapshot
from shared.operations import archive
from shared.providers import names

WITHIN: Final = timedelta(days=7)
AHEAD: Final = timedelta(days=1)
"""A provider's clock may be."""
MOST: Final = 200
REQUEST: Final = request_name("")
LONGEST_NAME: Final = 900
"""Bytes: a document's name has room for its provider beside it."""

_ORDERED: Final = "an order reference"

# Whose id it may be, in a row of events: what it leads to, and what that is called.
_OF_PAYMENTS: Final = {
    "payment_id": "its own id",
    "merchant_reference": _ORDERED,
    "request_id": "a request's id",
    "reference": "the id of a capture or a refund",
    "network_transaction_id": "the network's id",
}
_OF_DISPUTES: Final = {
    "dispute_id": "its own id",
    "answer_id": "the id of a round",
    "arn": "the acquirer's reference",
}
_OF_EVENTS: Final = {"warning_id": "a warning's id", "payout_id": "a payout's id", "resource_id": "a resource's id"}

EVENTS_SQL: Final = f"""SELECT kind, provider, event_id, delivery_id, occurred_at, aliases, payment_aliases,
  {", ".join((*_OF_PAYMENTS, *_OF_DISPUTES, *_OF_EVENTS))}
FROM payment_events
WHERE occurred_at >= @since AND occurred_at < @until AND (@provider = '' OR provider = @provider)
  AND (
    event_id = @text OR STRPOS(CONCAT(REPLACE(event_id, '.', ':'), ':'), @part) > 0
    OR delivery_id = @text OR STRPOS(CONCAT(REPLACE(delivery_id, '.', ':'), ':'), @part) > 0
    OR {" OR ".join(f"{one} = @name" for one in (*_OF_PAYMENTS, *_OF_DISPUTES, *_OF_EVENTS))}
    OR @name IN UNNEST(aliases) OR @name IN UNNEST(payment_aliases)
  )
ORDER BY occurred_at, event_id
LIMIT {MOST}"""  # noqa: S608 - constants of ours


class Kind(StrEnum):
    PAYMENT = "payment"  # `request:<id>` is one of which no provider has told yet
    DISPUTE = "dispute"
    EVENT = "event"  # of neither: a payout, a resource
    DELIVERY = "delivery"  # that tells of nothing, or of several


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """One thing that has the name. how: in words, what that name is to it; event_id, at: the event by which it was found, and
    the provider's time of that."""

    kind: Kind
    provider: str
    id: str
    how: str
    event_id: str | None = None
    at: datetime | None = None

    @property
    def name(self) -> str:
        """By which it is asked for again, without doubt."""
        return name_of(self.kind, self.provider, self.id)


def name_of(kind: Kind, provider: str, name: str) -> str:
    return name if kind in (Kind.EVENT, Kind.DELIVERY) else f"{provider}:{name}"


def find(ports: Ports, text: str, now: datetime, *, since: datetime | None = None) -> list[Found]:
    """Everything that `text` names: several, where it names several. `<provider>:<id>` asks of one provider alone.

    since: look in the warehouse in any case, from this instant on; None: only where documents know nothing but an order (of
    which they know those that wait for their other half), WITHIN from `now`.
    Raises Rejected where too much would have to be read.
    """
    text = text.strip()
    if not text:
        return []
    provider, name = archive.of_provider(text)
    found: list[Found] = []
    if len(name.encode("utf-8", "replace")) <= LONGEST_NAME:
        found += _in_documents(ports.documents, [provider] if provider else names(), name)
    if since is not None or all(one.how == _ORDERED for one in found):
        found += _in_warehouse(ports, text, name, provider, since or now - WITHIN, now)
    first: dict[tuple[Kind, str, str], Found] = {}
    for one in found:
        first.setdefault((one.kind, one.provider, one.id), one)
    return list(first.values())


def _in_documents(documents: Documents, among: Sequence[str], name: str) -> Iterator[Found]:
    asked = [(provider, key) for provider in among for key in _keys(provider, name)]
    snapshots = documents.get([key for _, key in asked])
    there = [(provider, one) for (provider, _), one in zip(asked, snapshots, strict=True) if one is not None]
    for provider, snapshot in there:
        yield from _meant(documents, provider, name, snapshot)


def _keys(provider: str, name: str) -> Iterator[Key]:
    yield Key(cases.PAYMENTS, f"{provider}:{name}")
    yield Key(cases.ALIASES, f"{provider}:{name}")
    yield key_of(provider, name)
    yield decision_key(provider, name)
    if not name.startswith(REQUEST):
        yield decision_key(provider, request_name(name))
    if (waiting := purchase_key(provider, name)) is not None:
        yield waiting


def _meant(documents: Documents, provider: str, name: str, snapshot: Snapshot) -> Iterator[Found]:
    match snapshot.key.collection:
        case cases.PAYMENTS:
            yield _payment(provider, name, "its own id")
        case cases.ALIASES:
            yield from (_payment(provider, one, "an alias") for one in sorted(snapshot.document["payments"]))
        case "decisions":
            if (judged := decided(documents, snapshot)) is not None:
                told = judged.told.payment_id
                yield _payment(provider, told, "its own id" if told == name else "a name of its decision")
        case "assessments":
            waits = from_document(snapshot.document, Purchase)
            yield from (_payment(provider, request_name(one), _ORDERED) for one in sorted(waits.requests))
            yield from (_payment(provider, one, _ORDERED) for one in sorted(waits.payments))
        case _:
            yield Found(kind=Kind.DISPUTE, provider=provider, id=name, how="its own id")


def _payment(provider: str, payment_id: str, how: str) -> Found:
    return Found(kind=Kind.PAYMENT, provider=provider, id=payment_id, how=how)


def decided(documents: Documents, snapshot: Snapshot | None) -> Judged | None:
    """The decision in a document of `decisions`, or the one that it leads to. None where there is none yet."""
    if snapshot is not None and "same_as" in snapshot.document:
        provider = snapshot.key.id.partition(":")[0]
        [snapshot] = documents.get([decision_key(provider, snapshot.document["same_as"])])
    return Judged.of(snapshot)


def decision_on(documents: Documents, provider: str, payment_id: str) -> Judged | None:
    """What was decided on the payment of that name, its own or an alias, or on the request."""
    return decided(documents, documents.get([decision_key(provider, payment_id)])[0])


def _in_warehouse(ports: Ports, text: str, name: str, provider: str, since: datetime, now: datetime) -> Iterator[Found]:
    until = now + AHEAD
    asked = {
        "text": text,
        "name": name,
        "part": archive.part(name),
        "since": since,
        "until": until,
        "provider": provider,
    }
    rows = ports.warehouse.query(EVENTS_SQL, asked, bound=ASKED)
    found = [one for row in rows for named in _of_row(row, text, name) for one in _resolved(ports.documents, named)]
    if found:
        deliveries = {row["delivery_id"] for row in rows}
        several = len({(one.kind, one.provider, one.id) for one in found}) > 1
        if several and len(deliveries) == 1 and all(one.how == _DELIVERED for one in found):
            [delivery_id] = deliveries
            yield Found(kind=Kind.DELIVERY, provider=found[0].provider, id=delivery_id, how="its own id")
        else:
            yield from found
        return
    kept = archive.named(ports.warehouse, text, since, until)
    for one in kept:
        yield Found(kind=Kind.DELIVERY, provider=one.provider, id=one.delivery_id, how="its own id", at=one.received_at)
    if not kept:
        for unread in archive.unread_with(ports.warehouse, text, since, until):
            how = "in the bytes of what could not be read"
            of, delivery_id, at = unread.provider, unread.delivery_id, unread.received_at
            yield Found(kind=Kind.DELIVERY, provider=of, id=delivery_id, how=how, at=at)


_DELIVERED: Final = "a delivery of it"


def _of_row(row: Mapping[str, Any], text: str, name: str) -> Iterator[Found]:
    """What a row says that either is."""
    either = {text, name}
    event_id = row["event_id"]
    at = {"provider": row["provider"], "event_id": row["event_id"], "at": row["occurred_at"]}
    for member, how in _OF_DISPUTES.items():
        if row[member] in either and row["dispute_id"]:
            yield Found(kind=Kind.DISPUTE, id=row["dispute_id"], how=how, **at)
            return
    for member, how in _OF_PAYMENTS.items():
        if row[member] in either and row["payment_id"]:
            yield Found(kind=Kind.PAYMENT, id=row["payment_id"], how=how, **at)
            return
    if row["payment_id"] and either & {*(row["aliases"] or ()), *(row["payment_aliases"] or ())}:
        yield Found(kind=Kind.PAYMENT, id=row["payment_id"], how="an alias", **at)
        return
    how = next((how for member, how in _OF_EVENTS.items() if row[member] in either), "")
    how = how or (
        "an event of it" if event_id == text or archive.part(name) in archive.part(event_id)[1:] else _DELIVERED
    )
    if row["dispute_id"]:
        yield Found(kind=Kind.DISPUTE, id=row["dispute_id"], how=how, **at)
    elif row["payment_id"]:
        yield Found(kind=Kind.PAYMENT, id=row["payment_id"], how=how, **at)
    else:
        yield Found(kind=Kind.EVENT, id=row["event_id"], how=how, **at)


def _resolved(documents: Documents, found: Found) -> Iterator[Found]:
    """A payment by its own name: events may call it by an alias, and a request by its own."""
    if found.kind is not Kind.PAYMENT:
        yield found
        return
    name = f"{found.provider}:{found.id}"
    keys = [Key(cases.PAYMENTS, name), Key(cases.ALIASES, name), decision_key(found.provider, found.id)]
    own, alias, decision = documents.get(keys)
    if own is not None:
        yield found
    elif alias is not None:
        yield from (replace(found, id=one) for one in sorted(alias.document["payments"]))
    else:
        judged = decided(documents, decision)
        yield replace(found, id=judged.told.payment_id) if judged else found
