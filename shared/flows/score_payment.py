"""A payment is judged once, by what was known of its card, customer, device, address and e-mail domain before it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from time import perf_counter
from typing import NamedTuple

from shared.domain.codec import from_document
from shared.domain.decisions import Decision
from shared.domain.events import AnyEvent, DisputeChanged, FraudFound, FraudWarned, PaymentAssessed, PaymentChanged
from shared.domain.telemetry import fact
from shared.domain.timeline import compact
from shared.flows.assess_payment import settle
from shared.flows.committing import Decision as Effect
from shared.flows.committing import Seen, change, write
from shared.flows.decisions import stored
from shared.flows.exploring import may_lose, spend
from shared.flows.judged import (
    KNOWN_FRAUDS,
    Found,
    Judged,
    Purchase,
    add,
    also_keys,
    claimed,
    claims_in,
    claims_key,
    counted,
    decision_key,
    entity_keys,
    join,
    known_of,
    message,
    purchase_key,
    purchase_write,
    request_name,
    review_asked,
    tell_claims,
    waiting,
)
from shared.flows.ports import Key, Ports, Snapshot, Write
from shared.flows.scorer import Scorer
from shared.fraud.claims import Claims, DisputeClaim
from shared.fraud.decide import decide
from shared.fraud.features import Attempt, is_attempt


def score_payment(event: AnyEvent, ports: Ports, now: datetime, scorer: Scorer) -> None:
    """Judge the payment of `event`, or note what became of a claim of fraud on one; everything else is let pass.

    The first attempt that comes decides, unless the payment was assessed before its provider heard of it; its decision, what it adds to history and its claim on the payment are one
    commit. The same event again publishes the same record again; other events of the payment change nothing. Fraud
    counts once for each payment on all that the payment named, whether its news comes before the payment or after, and
    no longer once it is disproved.
    Raises Unavailable when documents, bus or model store are down or too contended.
    """
    match event:
        case PaymentChanged() if is_attempt(event):
            _judge(event, ports, now, scorer)
        case PaymentAssessed():
            settle(event, ports)
        case FraudWarned() | FraudFound() | DisputeChanged():
            _note_claim(event, ports)
        case _:
            fact("scoring_ignored", event_id=event.event_id, provider=event.provider)


class _Judged(NamedTuple):
    """The payment's decision, where this event made it; `repeated` when it had made it before. claimed: the payment of
    which something is claimed, or may be, that this event brings to it. untold: that is to be published first, with these
    claims; nothing was written."""

    decision: Decision | None
    repeated: bool
    claimed: Sequence[Judged] = ()
    untold: Claims | None = None


def _judge(event: PaymentChanged, ports: Ports, now: datetime, scorer: Scorer) -> None:
    started = perf_counter()
    attempt = Attempt.of(event)
    names = [decision_key(event.provider, name) for name in dict.fromkeys((event.payment_id, *event.aliases))]
    purchase = purchase_key(event.provider, event.merchant_reference) if scorer.assessments else None
    also, registry = also_keys(attempt), scorer.keys(now)
    told = Claims()

    def effect(seen: Seen) -> Effect[_Judged]:
        found = Found.of(seen, names)
        if found.roots:
            return _known(seen, found, attempt, event, told)
        waited = found.claims != Claims()
        paid = waiting(attempt)
        asked, bought = Purchase.at(seen, purchase).for_payment(paid)
        root = Judged.of(seen[decision_key(event.provider, request_name(asked))]) if asked else None
        if root is not None and root.link is None:
            root, writes = add(seen, root, found.missing, found.claims, attempt, event.payment_id)
            writes += purchase_write(seen, purchase, bought)
            return Effect(_Judged(root.told, repeated=False, claimed=_claimed_with(seen, found, root)), writes)
        judges, book = scorer.at(seen, registry, ports.models, now)
        known = known_of(attempt, seen, also)
        model, beside = judges.of(attempt)
        decision = decide(known, model, now, book, beside=beside, may_lose=may_lose(seen, book, now))
        writes = [write(names[0], seen[names[0]], stored(decision)), *spend(seen, decision)]
        writes += (write(name, seen[name], {"same_as": event.payment_id}) for name in names[1:])
        writes += counted(known, found.claims, names[0])
        writes += review_asked(decision)
        bought = replace(bought, payments={**bought.payments, event.payment_id: paid})
        writes += purchase_write(seen, purchase, bought)
        own = [Judged(names[0], decision)]
        return Effect(_Judged(decision, repeated=False, claimed=own if waited else ()), writes)

    keys = [*names, *([purchase] if purchase else []), *entity_keys(attempt).values(), *also, *registry]
    decision, repeated, claimed, untold = change(ports.documents, keys, effect)
    while untold is not None:
        # Once the name leads to the payment, this event again would find nothing that waits under it: told before that,
        # it is told whatever happens then.
        ports.bus.publish([message(root.told, claims=untold) for root in claimed])
        told = untold
        decision, repeated, claimed, untold = change(ports.documents, keys, effect)
    tell_claims(ports, claimed)
    if decision is None:
        fact("payment_already_judged", event_id=event.event_id, provider=event.provider, payment_id=event.payment_id)
        return
    ports.bus.publish([message(decision, event)])
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
        assessed=decision.request_id is not None,
        repeated=repeated,
        latency_ms=round((perf_counter() - started) * 1000, 3),
    )


def _known(seen: Seen, found: Found, attempt: Attempt, event: PaymentChanged, told: Claims) -> Effect[_Judged]:
    """The payment is judged. Where that was before authorisation, this is the first word of what became of it, or it is
    that same word again. told: what was published of its claims."""
    first = found.first
    if found.claims != Claims():
        claims = claims_in(seen[claims_key(first)]).joined(found.claims)
        if claims != told:
            return Effect(_Judged(None, repeated=True, claimed=[first], untold=claims))
    for root in found.roots.values():
        if root.decision.event_id == event.event_id or (root.link is not None and root.link.event_id == event.event_id):
            return Effect(_Judged(root.told, repeated=True, claimed=[root]), list(join(seen, found)))
    if first.decision.request_id is not None and first.link is None:
        linked, writes = add(seen, first, found.missing, found.claims, attempt, event.payment_id)
        return Effect(_Judged(linked.told, repeated=False, claimed=_claimed_with(seen, found, linked)), writes)
    return Effect(_Judged(None, repeated=True), list(join(seen, found)))


def _claimed_with(seen: Seen, found: Found, linked: Judged) -> Sequence[Judged]:
    """`linked`, where anything was claimed of it, or waited under its names, before it was linked to its payment: that is told of
    the payment too."""
    return [linked] if found.claims != Claims() or claims_in(seen[claims_key(linked)]) != Claims() else ()


class _Noted(NamedTuple):
    """claimed: somebody claims, or claimed, fraud. named: on a payment that we can look for. payments: of how many
    known ones it said something new. roots: those that are known."""

    claimed: bool
    named: bool
    payments: int = 0
    roots: Sequence[Judged] = ()


def _note_claim(event: FraudWarned | FraudFound | DisputeChanged, ports: Ports) -> None:
    told = [name for name in (event.payment_id, *event.payment_aliases) if name]
    keys = [decision_key(event.provider, name) for name in dict.fromkeys(told)]
    memory = [_dispute_key(event)] if isinstance(event, DisputeChanged) else []

    def effect(seen: Seen) -> Effect[_Noted]:
        remembered: list[Write] = []
        names, claims = keys, Claims()
        if isinstance(event, DisputeChanged):
            before = _Dispute.of(seen[memory[0]])
            after = before.joined(DisputeClaim.of(event), told)
            if after != before:
                remembered.append(write(memory[0], seen[memory[0]], compact(after)))
            names = [decision_key(event.provider, name) for name in after.names]
            claims = Claims.of_dispute(event.dispute_id, after.claim).called(after.names)
        else:
            claims = Claims.of_report(event).called(told)
        if not names or claims == Claims():
            return Effect(_Noted(claimed=claims != Claims(), named=bool(names)), remembered)
        seen.read(names)
        found = Found.of(seen, names)
        noted = list(claimed(seen, found.roots.values(), claims))
        # The payment may come later, or be known by this name later: whoever brings it counts the fraud then.
        waiting: list[Write] = []
        for name in found.missing:
            known = claims_in(seen[name])
            if (joined := known.joined(claims)) != known:
                waiting.append(write(name, seen[name], {"claims": compact(joined)}))
        changed = sum(made.key.collection == KNOWN_FRAUDS for made in noted)
        result = _Noted(claimed=True, named=True, payments=changed, roots=list(found.roots.values()))
        return Effect(result, [*remembered, *noted, *waiting])

    noted = change(ports.documents, [*keys, *memory], effect)
    tell_claims(ports, noted.roots)
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


def _dispute_key(event: DisputeChanged) -> Key:
    return Key("fraud_claims", f"{event.provider}:{event.dispute_id}")
