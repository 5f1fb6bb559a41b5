"""A payment is judged once, by what was known of its card, customer, device, address and e-mail domain before it."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from time import perf_counter
from typing import NamedTuple

from shared.domain.codec import from_document
from shared.domain.decisions import Decision
from shared.domain.events import AnyEvent, DisputeChanged, FraudWarned, PaymentChanged
from shared.domain.telemetry import fact
from shared.domain.timeline import compact
from shared.flows.book_of_rules import BOOK
from shared.flows.committing import Decision as Effect
from shared.flows.committing import Seen, change, write
from shared.flows.decisions import PACKED, of_stored, row_of, stored
from shared.flows.ports import Accumulate, Create, Document, Key, Message, Ports, Snapshot, Write
from shared.flows.scorer import CHAMPION, Scorer
from shared.fraud.claims import Claims, DisputeClaim
from shared.fraud.decide import decide
from shared.fraud.features import Attempt, Entity, is_attempt
from shared.fraud.history import Change, Known, fraud_change, instant, merge

TOPIC = "fraud-decisions"
KNOWN_FRAUDS = "known_frauds"
# A feature looks a month back, training 400 days. Who has not paid for longer is forgotten, and is new again to both.
FORGOTTEN_AFTER = timedelta(days=400)
EXPIRES = {"feature_state": "expires_at"}


def score_payment(event: AnyEvent, ports: Ports, now: datetime, scorer: Scorer) -> None:
    """Judge the payment of `event`, or note what became of a claim of fraud on one; everything else is let pass.

    The first attempt that comes decides; its decision, what it adds to history and its claim on the payment are one
    commit. The same event again publishes the same record again; other events of the payment change nothing. Fraud
    counts once for each payment on all that the payment named, whether its news comes before the payment or after, and
    no longer once it is disproved.
    Raises Unavailable when documents, bus or model store are down or too contended.
    """
    match event:
        case PaymentChanged() if is_attempt(event):
            _judge(event, ports, now, scorer)
        case FraudWarned() | DisputeChanged():
            _note_claim(event, ports)
        case _:
            fact("scoring_ignored", event_id=event.event_id, provider=event.provider)


class _Judged(NamedTuple):
    """The payment's decision, where this event made it; `repeated` when it had made it before."""

    decision: Decision | None
    repeated: bool


def _judge(event: PaymentChanged, ports: Ports, now: datetime, scorer: Scorer) -> None:
    started = perf_counter()
    attempt = Attempt.of(event)
    names = [_decision_key(event.provider, name) for name in dict.fromkeys((event.payment_id, *event.aliases))]
    entities = {entity: Key("feature_state", f"{entity}:{value}") for entity, value in attempt.entities.items()}
    registry = scorer.keys(now)

    def effect(seen: Seen) -> Effect[_Judged]:
        found = _Found.of(seen, names)
        if found.roots:
            own = next((root for root in found.roots.values() if root.event_id == event.event_id), None)
            return Effect(_Judged(own, repeated=True), list(_join(seen, found)))
        model = scorer.model(seen.glance(CHAMPION), ports.models, now) if CHAMPION in registry else scorer.current()
        book = scorer.book(seen.glance(BOOK), now) if BOOK in registry else scorer.current_book()
        # Payments of one moment need not see each other, and all the world writes what they share.
        histories = {entity: seen.glance(key) for entity, key in entities.items()}
        documents = {entity: snapshot.document if snapshot else None for entity, snapshot in histories.items()}
        known = Known(attempt, documents)
        decision = decide(known, model, now, book)
        changes = known.changes()
        writes: list[Write] = [write(names[0], seen[names[0]], stored(decision))]
        writes += (write(name, seen[name], {"same_as": event.payment_id}) for name in names[1:])
        if found.claims != Claims():
            writes.append(Create(_claims_key(event.provider, event.payment_id), _claims_document(found.claims)))
            if (known_at := found.claims.known_at) is not None:
                for entity in entities:
                    fraud = fraud_change(entity, known_at, before=None)
                    changes[entity] = merge(changes[entity], fraud) if entity in changes else fraud
        writes += (
            _accumulate(entities[entity], made, _kept(documents[entity], attempt.at))
            for entity, made in changes.items()
        )
        return Effect(_Judged(decision, repeated=False), writes)

    decision, repeated = change(ports.documents, [*names, *entities.values(), *registry], effect)
    if decision is None:
        fact("payment_already_judged", event_id=event.event_id, provider=event.provider, payment_id=event.payment_id)
        return
    ports.bus.publish([_message(decision)])
    fact(
        "payment_judged",
        event_id=event.event_id,
        provider=event.provider,
        payment_id=event.payment_id,
        outcome=decision.outcome,
        score=decision.score,
        rules=",".join(reason.code for reason in decision.reasons if reason.source == "rule"),
        model=decision.model_digest[:12] if decision.model_digest else None,
        fallback=decision.fallback,
        repeated=repeated,
        latency_ms=round((perf_counter() - started) * 1000, 3),
    )


class _Noted(NamedTuple):
    """claimed: somebody claims, or claimed, fraud. named: on a payment that we can look for. payments: of how many
    known ones it said something new."""

    claimed: bool
    named: bool
    payments: int = 0


def _note_claim(event: FraudWarned | DisputeChanged, ports: Ports) -> None:
    told = [name for name in (event.payment_id, *event.payment_aliases) if name]
    keys = [_decision_key(event.provider, name) for name in dict.fromkeys(told)]
    memory = [_dispute_key(event)] if isinstance(event, DisputeChanged) else []

    def effect(seen: Seen) -> Effect[_Noted]:
        remembered: list[Write] = []
        names, claims = keys, Claims()
        if isinstance(event, DisputeChanged):
            before = _Dispute.of(seen[memory[0]])
            after = before.joined(DisputeClaim.of(event), told)
            if after != before:
                remembered.append(write(memory[0], seen[memory[0]], compact(after)))
            names = [_decision_key(event.provider, name) for name in after.names]
            claims = Claims.of_dispute(event.dispute_id, after.claim)
        else:
            claims = Claims.of_warning(event)
        if not names or claims == Claims():
            return Effect(_Noted(claimed=claims != Claims(), named=bool(names)), remembered)
        seen.read(names)
        found = _Found.of(seen, names)
        noted = list(_claimed(seen, found.roots.values(), claims))
        # The payment may come later, or be known by this name later: whoever brings it counts the fraud then.
        waiting: list[Write] = []
        for name in found.missing:
            known = _claims(seen[name])
            if (joined := known.joined(claims)) != known:
                waiting.append(write(name, seen[name], {"claims": compact(joined)}))
        changed = sum(made.key.collection == KNOWN_FRAUDS for made in noted)
        return Effect(_Noted(claimed=True, named=True, payments=changed), [*remembered, *noted, *waiting])

    noted = change(ports.documents, [*keys, *memory], effect)
    if not noted.claimed:
        fact("scoring_ignored", event_id=event.event_id, provider=event.provider)
    elif not noted.named:
        fact("fraud_on_unnamed_payment", event_id=event.event_id, provider=event.provider)
    else:
        fact("fraud_noted", event_id=event.event_id, provider=event.provider, payments=noted.payments)


@dataclass(frozen=True, slots=True)
class _Dispute:
    """What is remembered of a dispute, for its messages do not all name the payment, or the reason."""

    claim: DisputeClaim = field(default_factory=DisputeClaim)
    names: tuple[str, ...] = ()

    @classmethod
    def of(cls, snapshot: Snapshot | None) -> "_Dispute":
        return from_document(snapshot.document, cls) if snapshot else cls()

    def joined(self, claim: DisputeClaim, names: Iterable[str]) -> "_Dispute":
        return _Dispute(self.claim.joined(claim), tuple(sorted({*self.names, *names})))


@dataclass(frozen=True, slots=True)
class _Found:
    """What the names of a payment led to. roots: decisions by payment id. missing: names that lead nowhere yet.
    claims: what waits under those."""

    roots: Mapping[str, Decision]
    missing: Sequence[Key]
    claims: Claims

    @classmethod
    def of(cls, seen: Seen, names: Sequence[Key]) -> "_Found":
        roots: dict[str, Decision] = {}
        missing: list[Key] = []
        waiting = Claims()
        for name in names:
            document = snapshot.document if (snapshot := seen[name]) else {}
            if "same_as" in document:
                provider = name.id.partition(":")[0]
                root = seen[_decision_key(provider, document["same_as"])]
                document = root.document if root else {}
            if PACKED in document:
                decision = of_stored(document)
                roots[decision.payment_id] = decision
                continue
            missing.append(name)
            waiting = waiting.joined(_claims(snapshot))
        return cls(roots, missing, waiting)


def _join(seen: Seen, found: _Found) -> Iterator[Write]:
    """A known payment has got another name: lead it to the decision, and count what waited under it."""
    if not found.missing:
        return
    root = min(found.roots.values(), key=lambda decision: (decision.occurred_at, decision.event_id))
    for name in found.missing:
        yield write(name, seen[name], {"same_as": root.payment_id})
    yield from _claimed(seen, [root], found.claims)


def _claimed(seen: Seen, decisions: Iterable[Decision], claims: Claims) -> Iterator[Write]:
    """`claims` are made of each of these payments too: fraud counts once a payment, on all that it named, since it was
    first claimed and for as long as it stands."""
    changes: dict[Key, Change] = {}
    for decision in decisions:
        own = _claims_key(decision.provider, decision.payment_id)
        before = _claims(seen[own])
        after = before.joined(claims)
        if after == before:
            continue
        yield write(own, seen[own], _claims_document(after))
        for history in decision.history:
            if history.value is not None and after.known_at != before.known_at:
                key = Key("feature_state", f"{history.entity}:{history.value}")
                fraud = fraud_change(Entity(history.entity), after.known_at, before=before.known_at)
                changes[key] = merge(changes[key], fraud) if key in changes else fraud
    yield from (_accumulate(key, made) for key, made in changes.items())


def _claims(snapshot: Snapshot | None) -> Claims:
    """What is claimed of a payment, or waits under a name of one."""
    claims = snapshot.document.get("claims") if snapshot else None
    return from_document(claims, Claims) if claims else Claims()


def _claims_document(claims: Claims) -> Document:
    known_at = claims.known_at
    return {"known_at": None if known_at is None else instant(known_at), "claims": compact(claims)}


def _claims_key(provider: str, payment_id: str) -> Key:
    return Key(KNOWN_FRAUDS, f"{provider}:{payment_id}")


def _dispute_key(event: DisputeChanged) -> Key:
    return Key("fraud_claims", f"{event.provider}:{event.dispute_id}")


def _decision_key(provider: str, payment_id: str) -> Key:
    return Key("decisions", f"{provider}:{payment_id}")


def _accumulate(key: Key, made: Change, put: Mapping[tuple[str, ...], datetime] | None = None) -> Accumulate:
    return Accumulate(key, add=made.add, largest=made.largest, smallest=made.smallest, put=put or {}, drop=made.drop)


def _kept(document: Document | None, at: int) -> dict[tuple[str, ...], datetime]:
    """Keep the entity's history for long enough after a payment at `at` microseconds, in whole days: said once a day."""
    until = instant(at).replace(hour=0, minute=0, second=0, microsecond=0) + FORGOTTEN_AFTER
    field = EXPIRES["feature_state"]
    kept = (document or {}).get(field)
    return {} if kept is not None and kept >= until else {(field,): until}


def _message(decision: Decision) -> Message:
    return Message(
        TOPIC,
        row_of(decision),
        {
            "kind": "decision",
            "outcome": decision.outcome,
            "provider": decision.provider,
            "event_id": decision.event_id,
            "payment_id": decision.payment_id,
        },
    )
