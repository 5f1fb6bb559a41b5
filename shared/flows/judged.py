"""What is kept of a judged payment: its decision, the names that lead to it, and what is claimed of it.

A payment is judged once, at either door: before authorisation (`assess_payment`), or when its provider tells of it
(`score_payment`). Whichever comes first decides and counts it; the other finds the decision and adds what is new: an
issuer's refusal, and whom the first did not name. That stands beside the decision, as its `link`; the decision stays.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from shared.domain.codec import from_document, to_document
from shared.domain.decisions import Decision, Outcome
from shared.domain.events import PaymentAssessed, PaymentChanged
from shared.domain.instants import microseconds
from shared.domain.reviews import Review
from shared.domain.timeline import compact
from shared.flows.committing import Seen, write
from shared.flows.decisions import PACKED, of_stored, row_of, stored, without_person
from shared.flows.ports import Accumulate, Create, Delete, Document, Key, Message, Ports, Replace, Snapshot, Write
from shared.fraud.claims import Claims
from shared.fraud.features import Attempt, Entity
from shared.fraud.history import Change, Known, fraud_change, instant, merge

TOPIC = "fraud-decisions"
KNOWN_FRAUDS = "known_frauds"
# A feature looks a month back, training 400 days. Who has not paid for longer is forgotten, and is new again to both.
FORGOTTEN_AFTER = timedelta(days=400)
# How long a payment and a request under one merchant reference may be apart: a subscription's next month is none of both.
ONE_PURCHASE = timedelta(hours=24)
MOST_WAITING = 20
NAMELESS = "nameless"
TRIED_BY = "tried_by"
"""By which a request is found of which no payment has come: the customer."""
EXPIRES = {"feature_state": "expires_at", "assessments": "expires_at", "lists": "expires_at"}


@dataclass(frozen=True, slots=True)
class Link:
    """The other attempt of a judged payment, at microseconds. named: the entities that only it named, by value. step: what
    the issuer said of it, where a provider told."""

    event_id: str
    payment_id: str
    at: int
    named: Mapping[str, str] = field(default_factory=dict)
    step: str | None = None


@dataclass(frozen=True, slots=True)
class Judged:
    """A decision as it is stored, and what was linked to it. nameless: whoever paid was erased, and is counted nowhere again."""

    key: Key
    decision: Decision
    link: Link | None = None
    nameless: bool = False

    @classmethod
    def of(cls, snapshot: Snapshot | None) -> "Judged | None":
        if snapshot is None or PACKED not in snapshot.document:
            return None
        link = snapshot.document.get("link")
        nameless = bool(snapshot.document.get(NAMELESS))
        return cls(snapshot.key, of_stored(snapshot.document), from_document(link, Link) if link else None, nameless)

    @property
    def own(self) -> dict[Entity, str]:
        """What the attempt that was judged named."""
        return {Entity(one.entity): one.value for one in self.decision.history if one.value is not None}

    @property
    def counted(self) -> dict[tuple[Entity, str], int]:
        """All that the payment named, at either door, and was counted for; when, in microseconds."""
        own = dict.fromkeys(self.own.items(), microseconds(self.decision.occurred_at))
        link = self.link
        return own | ({(Entity(entity), value): link.at for entity, value in link.named.items()} if link else {})

    @property
    def told(self) -> Decision:
        """The decision as it is published: of an assessment, with the payment that came of it."""
        if self.decision.request_id is None or self.link is None:
            return self.decision
        link = self.link
        return replace(self.decision, linked_event_id=link.event_id, payment_id=link.payment_id, step=link.step)


@dataclass(frozen=True, slots=True)
class Waiting:
    """One of `Purchase`. at: microseconds since the epoch. card: its fingerprint, where it is told."""

    at: int
    card: str | None = None


@dataclass(frozen=True, slots=True)
class Purchase:
    """What waits for its counterpart under one merchant reference: requests by id, payments by id.

    A payment belongs to the request that came first of those that have none, within `ONE_PURCHASE` and not of another
    card; and a request that was counted late to such a payment. However they come, each counts once.
    """

    requests: Mapping[str, Waiting] = field(default_factory=dict)
    payments: Mapping[str, Waiting] = field(default_factory=dict)

    @classmethod
    def at(cls, seen: Seen, key: Key | None) -> "Purchase":
        """What waits at `key`; without one, nothing does."""
        snapshot = seen[key] if key else None
        return from_document(snapshot.document, cls) if snapshot else cls()

    def for_payment(self, paid: Waiting) -> tuple[str | None, "Purchase"]:
        """The request that a payment belongs to, and what waits without it."""
        request = _first(self.requests, paid)
        return request, replace(self, requests=_without(self.requests, request))

    def for_request(self, asked: Waiting) -> tuple[str | None, "Purchase"]:
        """The payment that belongs to a request, and what waits without it."""
        payment = _first(self.payments, asked)
        return payment, replace(self, payments=_without(self.payments, payment))


def _first(waiting: Mapping[str, Waiting], of: Waiting) -> str | None:
    near = [
        (one.at, name)
        for name, one in waiting.items()
        if abs(one.at - of.at) <= ONE_PURCHASE // timedelta(microseconds=1)
        and (one.card == of.card or one.card is None or of.card is None)
    ]
    return min(near)[1] if near else None


def _without(waiting: Mapping[str, Waiting], name: str | None) -> dict[str, Waiting]:
    return {other: one for other, one in waiting.items() if other != name}


def nameless(document: Document) -> Document:
    """The document of a decision, or of what leads to one, without the person whose payment it was on."""
    if PACKED not in document:
        return document
    kept = {**document, **stored(without_person(of_stored(document))), NAMELESS: True}
    if (link := document.get("link")) is not None:
        kept["link"] = to_document(replace(from_document(link, Link), named={}))
    return {name: value for name, value in kept.items() if name != TRIED_BY}


def purchase_key(provider: str, merchant_reference: str | None) -> Key | None:
    """Where what is of this merchant reference waits; None without one."""
    if not merchant_reference:
        return None
    digest = hashlib.sha256(merchant_reference.encode("utf-8", "surrogatepass")).hexdigest()
    return Key("assessments", f"{provider}:{digest[:40]}")


def purchase_write(seen: Seen, key: Key | None, purchase: Purchase) -> list[Write]:
    """The newest that wait, kept until none of them can find a counterpart; nothing, where nothing waits any more."""
    if key is None:
        return []
    if not purchase.requests and not purchase.payments:
        return [Delete(key)] if seen[key] else []
    kept = Purchase(_newest(purchase.requests), _newest(purchase.payments))
    latest = max(one.at for side in (kept.requests, kept.payments) for one in side.values())
    document = {**to_document(kept), EXPIRES["assessments"]: instant(latest) + 2 * ONE_PURCHASE}
    return [write(key, seen[key], document)]


def _newest(waiting: Mapping[str, Waiting]) -> dict[str, Waiting]:
    return dict(sorted(waiting.items(), key=lambda item: (item[1].at, item[0]))[-MOST_WAITING:])


@dataclass(frozen=True, slots=True)
class Found:
    """What the names of a payment led to. roots: judged payments by id. missing: names that lead nowhere yet.
    claims: what waits under those."""

    roots: Mapping[str, Judged]
    missing: Sequence[Key]
    claims: Claims

    @classmethod
    def of(cls, seen: Seen, names: Sequence[Key]) -> "Found":
        roots: dict[str, Judged] = {}
        missing: list[Key] = []
        waiting = Claims()
        for name in names:
            snapshot = seen[name]
            if snapshot and "same_as" in snapshot.document:
                snapshot = seen[decision_key(name.id.partition(":")[0], snapshot.document["same_as"])]
            if (judged := Judged.of(snapshot)) is not None:
                roots[judged.decision.payment_id] = judged
                continue
            missing.append(name)
            waiting = waiting.joined(claims_in(seen[name]))
        return cls(roots, missing, waiting)

    @property
    def first(self) -> Judged:
        """Of several payments that turn out to be one, the first."""
        return min(self.roots.values(), key=lambda root: (root.decision.occurred_at, root.decision.event_id))


def join(seen: Seen, found: Found) -> Iterator[Write]:
    """A known payment has got another name: lead it to the decision, and count what waited under it."""
    if not found.missing:
        return
    for name in found.missing:
        yield write(name, seen[name], {"same_as": found.first.decision.payment_id})
    yield from claimed(seen, [found.first], found.claims)


def add(
    seen: Seen, root: Judged, missing: Sequence[Key], waiting: Claims, other: Attempt, payment_id: str
) -> tuple[Judged, list[Write]]:
    """`root` is judged, and `other` is its attempt at the other door, of the payment `payment_id`: count what is new of it.

    missing: its names that lead nowhere yet. waiting: what is claimed under those.
    """
    counted = root.counted
    whole = replace(other, entities={} if root.nameless else {**root.own, **other.entities})
    seen.read(entity_keys(whole).values())
    known = known_of(whole, seen)
    event = other.event
    named = {entity: value for entity, value in whole.entities.items() if (entity, value) not in counted}
    linked = replace(
        root,
        link=Link(
            event.event_id,
            payment_id,
            whole.at,
            {entity.value: value for entity, value in named.items()},
            event.step if isinstance(event, PaymentChanged) else None,
        ),
    )
    changes: dict[Key, Change] = {
        entity_key(entity, whole.entities[entity]): made for entity, made in known.changes(counted).items()
    }
    before = claims_in(seen[claims_key(root)])
    after = before.joined(waiting)
    writes: list[Write] = [write(name, seen[name], {"same_as": root.decision.payment_id}) for name in missing]
    snapshot = seen[root.key]
    if snapshot is None:
        raise ValueError(f"{root.key} was judged and is not there")
    # From now on it is found by its payment.
    document = {name: value for name, value in snapshot.document.items() if name != TRIED_BY}
    writes.append(Replace(root.key, {**document, "link": to_document(linked.link)}, snapshot.version))
    if after != before:
        writes.append(write(claims_key(root), seen[claims_key(root)], claims_document(after)))
    for (entity, value), at in counted.items():
        if after.known_at != before.known_at:
            _and(changes, entity_key(entity, value), fraud_change(entity, at, after.known_at, before=before.known_at))
    for entity, value in named.items():
        if after.known_at is not None:
            _and(changes, entity_key(entity, value), fraud_change(entity, whole.at, after.known_at, before=None))
    documents = {entity_key(entity, value): known.documents.get(entity) for entity, value in named.items()}
    writes += (
        accumulate(key, made, kept(documents[key], whole.at) if key in documents else None)
        for key, made in changes.items()
    )
    return linked, writes


def _and(changes: dict[Key, Change], key: Key, made: Change) -> None:
    changes[key] = merge(changes[key], made) if key in changes else made


def claimed(seen: Seen, roots: Iterable[Judged], claims: Claims) -> Iterator[Write]:
    """`claims` are made of each of these payments too: fraud counts once a payment, on all that it named, since it was
    first claimed and for as long as it stands."""
    changes: dict[Key, Change] = {}
    for root in roots:
        before = claims_in(seen[claims_key(root)])
        after = before.joined(claims)
        if after == before:
            continue
        yield write(claims_key(root), seen[claims_key(root)], claims_document(after))
        for (entity, value), at in root.counted.items():
            if after.known_at != before.known_at:
                fraud = fraud_change(entity, at, after.known_at, before=before.known_at)
                _and(changes, entity_key(entity, value), fraud)
    yield from (accumulate(key, made) for key, made in changes.items())


def claims_in(snapshot: Snapshot | None) -> Claims:
    """What is claimed of a payment, or waits under a name of one."""
    claims = snapshot.document.get("claims") if snapshot else None
    return from_document(claims, Claims) if claims else Claims()


def claims_document(claims: Claims) -> Document:
    known_at = claims.known_at
    return {"known_at": None if known_at is None else instant(known_at), "claims": compact(claims)}


def tell_claims(ports: Ports, roots: Sequence[Judged]) -> None:
    """Publish, with the decision of each of these payments of which anything is claimed, what that is by now: its label."""
    found = ports.documents.get([claims_key(root) for root in roots]) if roots else []
    claims = [(root, claims_in(one)) for root, one in zip(roots, found, strict=True)]
    if told := [message(root.told, claims=one) for root, one in claims if one != Claims()]:
        ports.bus.publish(told)


def claims_key(root: Judged) -> Key:
    return Key(KNOWN_FRAUDS, f"{root.decision.provider}:{root.decision.payment_id}")


def decision_key(provider: str, payment_id: str) -> Key:
    return Key("decisions", f"{provider}:{payment_id}")


def entity_key(entity: Entity, value: str) -> Key:
    return Key("feature_state", f"{entity}:{value}")


def entity_keys(attempt: Attempt) -> dict[Entity, Key]:
    return {entity: entity_key(entity, value) for entity, value in attempt.entities.items()}


def also_keys(attempt: Attempt) -> list[Key]:
    """Where the customer may be listed by other names of their address: nowhere, with one key of pseudonyms."""
    return [entity_key(Entity.CUSTOMER, name) for name in attempt.also]


def known_of(attempt: Attempt, seen: Seen, also: Sequence[Key] = ()) -> Known:
    """What is known of `attempt`: payments of one moment need not see each other, and all the world writes what they
    share, so none of it is proved. also: `also_keys`, where what is listed counts."""
    documents = {entity: seen.glance(key) for entity, key in entity_keys(attempt).items()}
    return Known(
        attempt,
        {entity: found.document if found else None for entity, found in documents.items()},
        also=[found.document if (found := seen.glance(key)) else None for key in also],
    )


def counted(known: Known, claims: Claims, payment: Key) -> Iterator[Write]:
    """A payment that is judged for the first time: what it adds to history, with what was claimed of it before."""
    changes = known.changes()
    if claims != Claims():
        yield Create(Key(KNOWN_FRAUDS, payment.id), claims_document(claims))
        if (known_at := claims.known_at) is not None:
            for entity in known.attempt.entities:
                fraud = fraud_change(entity, known.attempt.at, known_at, before=None)
                changes[entity] = merge(changes[entity], fraud) if entity in changes else fraud
    keys = entity_keys(known.attempt)
    yield from (
        accumulate(keys[entity], made, kept(known.documents[entity], known.attempt.at))
        for entity, made in changes.items()
    )


def review_asked(decision: Decision) -> Iterator[Write]:
    """The review for which `decision` asks, if it does: in the commit of the decision itself."""
    if decision.outcome is Outcome.REVIEW:
        review = Review.of(decision)
        yield Create(Key("reviews", review.id), compact(review))


def accumulate(key: Key, made: Change, put: Mapping[tuple[str, ...], datetime] | None = None) -> Accumulate:
    return Accumulate(key, add=made.add, largest=made.largest, smallest=made.smallest, put=put or {}, drop=made.drop)


def kept(document: Mapping[str, object] | None, at: int) -> dict[tuple[str, ...], datetime]:
    """Keep the entity's history for long enough after a payment at `at` microseconds, in whole days: said once a day."""
    until = instant(at).replace(hour=0, minute=0, second=0, microsecond=0) + FORGOTTEN_AFTER
    field = EXPIRES["feature_state"]
    before = (document or {}).get(field)
    return {} if isinstance(before, datetime) and before >= until else {(field,): until}


def message(
    decision: Decision, event: PaymentChanged | PaymentAssessed | None = None, claims: Claims | None = None
) -> Message:
    """What is published of `decision` on hearing of `event`. claims: what is claimed of the payment, where that is told with
    it."""
    return Message(
        TOPIC,
        row_of(decision, event, claims or Claims()),
        {
            "kind": "decision",
            "outcome": decision.outcome,
            "provider": decision.provider,
            "event_id": decision.event_id,
            "payment_id": decision.payment_id,
        },
    )


def waiting(attempt: Attempt) -> Waiting:
    return Waiting(attempt.at, attempt.entities.get(Entity.CARD))


def request_name(request_id: str) -> str:
    """What an assessed payment goes by here: nobody knows yet what its provider will call it."""
    return f"request:{request_id}"
