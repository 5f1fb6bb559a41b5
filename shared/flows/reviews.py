"""Payments that wait for a person: taken from the queue, given back, decided, and told of; each once, whoever else tries.

What became of a payment meanwhile is read where it is kept when somebody looks, and written nowhere else: no order of its
news can matter here. A verdict is committed, then published, then marked as told; `check_reviews` tells again what was not.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from shared.domain.codec import encode, from_document
from shared.domain.disputes import Case
from shared.domain.events import Finder, FraudFound
from shared.domain.labels import FRAUD_CLASSES, OF_REVIEW, FraudLabel, LabelClass, LabelSource
from shared.domain.reviews import (
    CLOCK,
    OVER,
    PaymentAction,
    Promise,
    Review,
    ReviewAction,
    ReviewUnknown,
    Verdict,
)
from shared.domain.telemetry import alarm, fact
from shared.domain.timeline import compact
from shared.flows.committing import Decision as Effect
from shared.flows.committing import Seen, change, write
from shared.flows.event_messages import event_message
from shared.flows.labels import label_message
from shared.flows.ports import Documents, Key, Message, Ports, Snapshot

TOPIC = "payment-actions"
REVIEWS = "reviews"
LEASE = timedelta(minutes=15)
LOOKED_AT = 100
"""So many of those that wait longest are looked at at once."""


def review_key(review_id: str) -> Key:
    """`review_id` is `Review.id`."""
    return Key(REVIEWS, review_id)


def claim(ports: Ports, review_id: str, by: str, now: datetime, lease: timedelta = LEASE) -> Review:
    """The review, for `by` until `lease` from now; once more: for longer.

    Raises ReviewUnknown, ReviewTaken for one that somebody else holds or that is closed; one of whose payment nothing is
    left to decide is closed here.
    """

    def effect(seen: Seen) -> Effect[Review]:
        review = _review(seen, review_id)
        return _written(seen, review, _ended(seen, review, now) or review.claimed(by, now, now + lease))

    claimed = change(ports.documents, [review_key(review_id), decision_of(review_id)], effect)
    if claimed.closed is not None:
        _tell_closed(claimed)
        # Whoever comes later is told the same.
        claimed.claimed(by, now, now + lease)
    return claimed


def release(ports: Ports, review_id: str, by: str, now: datetime, why: str) -> Review:
    """Back in the queue. Raises ReviewUnknown, ReviewTaken for whoever does not hold it."""

    def effect(seen: Seen) -> Effect[Review]:
        review = _review(seen, review_id)
        return _written(seen, review, review.released(by, now, why))

    return change(ports.documents, [review_key(review_id)], effect)


@dataclass(frozen=True, slots=True, kw_only=True)
class Word:
    """What a reviewer says. See `Verdict`."""

    request_id: str
    action: ReviewAction
    code: str
    reason: str = ""
    label: str | None = None
    listed: tuple[str, ...] = ()


def decide(ports: Ports, review_id: str, by: str, now: datetime, word: Word) -> Review:
    """The last word of whoever holds the review; the same once more changes nothing, and is told once more.

    Raises ReviewUnknown, ReviewTaken for whoever does not hold it and for another word than the one that stands.
    """

    def effect(seen: Seen) -> Effect[Review]:
        review = _review(seen, review_id)
        return _written(seen, review, _decided(seen, review, by, now, word))

    decided = change(ports.documents, [review_key(review_id), decision_of(review_id)], effect)
    _tell(ports, decided, now)
    return decided


def _decided(seen: Seen, review: Review, by: str, now: datetime, word: Word) -> Review:
    return review.decided(
        Verdict(
            request_id=word.request_id,
            action=word.action,
            code=word.code,
            reason=word.reason,
            label=word.label,
            listed=word.listed,
            by=by,
            at=now,
            payment_id=_paid(seen.glance(decision_of(review.id)), review),
        )
    )


def _tell(ports: Ports, review: Review, now: datetime) -> None:
    """The world is told of the verdict, and that is noted."""
    ports.bus.publish(list(_messages(review, now)))

    def effect(seen: Seen) -> Effect[None]:
        found = _review(seen, review.id)
        return Effect(None, _written(seen, found, found.told()).writes)

    change(ports.documents, [review_key(review.id)], effect)
    verdict = review.verdict
    assert verdict is not None
    fact(
        "review_decided",
        review_id=review.id,
        provider=review.provider,
        outcome=verdict.action,
        by_clock=verdict.by == CLOCK,
        minutes=(verdict.at - review.opened_at) / timedelta(minutes=1),
    )


def _messages(review: Review, now: datetime) -> Iterator[Message]:
    verdict = review.verdict
    assert verdict is not None
    action = PaymentAction(
        action_id=f"{review.decision_id}/review",
        action=verdict.action,
        provider=review.provider,
        account=review.account,
        livemode=review.livemode,
        payment_id=verdict.payment_id,
        request_id=review.request_id,
        decision_id=review.decision_id,
        by=verdict.by,
        code=verdict.code,
        decided_at=verdict.at,
    )
    yield Message(TOPIC, encode(action), {"provider": review.provider, "action": verdict.action})
    if verdict.label is not None:
        yield label_message(
            FraudLabel(
                label_id=f"{review.decision_id}{OF_REVIEW}",
                provider=review.provider,
                account=review.account,
                payment_id=verdict.payment_id,
                label=verdict.label,
                source=LabelSource.MANUAL_REVIEW,
                occurred_at=verdict.at,
                known_at=verdict.at,
                supersedes="",
                by=verdict.by,
            )
        )
    if verdict.label in FRAUD_CLASSES:
        found = FraudFound(
            event_id=f"{review.decision_id}{OF_REVIEW}",
            provider=review.provider,
            account=review.account,
            occurred_at=verdict.at,
            livemode=review.livemode,
            payment_id=verdict.payment_id,
            found_by=Finder.REVIEW,
            label=LabelClass(verdict.label),
        )
        yield event_message(found, now)


def check_reviews(ports: Ports, now: datetime, promise: Promise) -> None:
    """What was decided and not told is told; what waits longer than was promised is alarmed and, where the promise says so,
    decided by the clock; where nothing is left to decide, closed. Of each kind the `LOOKED_AT` that are due longest.

    Raises Unavailable; a later run goes on.
    """
    for review in _untold(ports.documents, now):
        _tell(ports, review, now)
    late = waiting(ports.documents, now - promise.within)
    settled = {one.id for one in _to_settle(ports.documents, late, now, promise) if _settled(ports, one, now, promise)}
    late = [review for review in late if review.id not in settled]
    waited = [(now - review.opened_at) / timedelta(minutes=1) for review in late]
    fact("reviews_checked", late=len(late), longest_minutes=max(waited, default=0.0))
    if late:
        alarm("reviews_late", reviews=len(late), longest_minutes=max(waited))


def _to_settle(documents: Documents, late: Sequence[Review], now: datetime, promise: Promise) -> list[Review]:
    """Those of `late` that the clock may end, by two round trips for all."""
    free = [review for review in late if review.holder(now) is None]
    if not free:
        return []
    decisions = documents.get([decision_of(review.id) for review in free])
    keys = [present_keys(review, decision) for review, decision in zip(free, decisions, strict=True)]
    known = iter(documents.get([key for pair in keys for key in pair]))
    over = [_over(next(known), next(known)) for _ in free]
    return [review for review, why in zip(free, over, strict=True) if why or _is_the_clocks(review, now, promise)]


def _is_the_clocks(review: Review, now: datetime, promise: Promise) -> bool:
    return promise.then is not None and now - review.opened_at >= promise.after


def _settled(ports: Ports, late: Review, now: datetime, promise: Promise) -> bool:
    """Whether a review that is late has ended, by now at the latest."""

    def effect(seen: Seen) -> Effect[Review]:
        review = _review(seen, late.id)
        after = _ended(seen, review, now)
        waits = review.queued_at is not None and review.holder(now) is None
        if after is None and waits and promise.then is not None and _is_the_clocks(review, now, promise):
            word = Word(request_id=CLOCK, action=promise.then, code="nobody_looked")
            after = _decided(seen, review, CLOCK, now, word)
        return _written(seen, review, after or review)

    settled = change(ports.documents, [review_key(late.id), decision_of(late.id)], effect)
    if settled.verdict is not None and settled.verdict.by == CLOCK:
        _tell(ports, settled, now)
    elif settled.closed is not None:
        _tell_closed(settled)
    return settled.queued_at is None


def _tell_closed(review: Review) -> None:
    fact("review_closed", review_id=review.id, provider=review.provider, outcome="closed")


def waiting(documents: Documents, until: datetime) -> list[Review]:
    """The `LOOKED_AT` that have waited longest, since `until` at least."""
    return list(map(_read, documents.due(REVIEWS, "queued_at", until, LOOKED_AT)))


def _untold(documents: Documents, now: datetime) -> list[Review]:
    return list(map(_read, documents.due(REVIEWS, "tell_at", now, LOOKED_AT)))


def _read(found: Snapshot) -> Review:
    return from_document(found.document, Review)


def _review(seen: Seen, review_id: str) -> Review:
    found = seen[review_key(review_id)]
    if found is None:
        raise ReviewUnknown("no payment of this name was ever sent to review")
    return _read(found)


def _written(seen: Seen, before: Review, after: Review) -> Effect[Review]:
    key = review_key(before.id)
    return Effect(after, [write(key, seen[key], compact(after))] if after != before else [])


def decision_of(review_id: str) -> Key:
    return Key("decisions", review_id)


def _paid(decision: Snapshot | None, review: Review) -> str:
    """What the provider calls the payment, as far as anybody has heard."""
    link = decision.document.get("link") if decision and review.request_id is not None else None
    return str(link["payment_id"]) if link else review.payment_id


def present_keys(review: Review, decision: Snapshot | None) -> tuple[Key, Key]:
    """Where it stands what became of the payment: itself, and its case."""
    name = f"{review.provider}:{_paid(decision, review)}"
    return Key("payments", name), Key("cases", name)


def _ended(seen: Seen, review: Review, now: datetime) -> Review | None:
    """The review, closed, where it waits and nobody holds it and nothing is left to release or refuse. An older state of the
    payment does no harm: who claims it sees the present."""
    if review.queued_at is None or review.holder(now) is not None:
        return None
    keys = present_keys(review, seen.glance(decision_of(review.id)))
    seen.read(keys)
    payment, case = (seen.glance(key) for key in keys)
    over = _over(payment, case)
    return review.ended(now, over) if over else None


def _over(payment: Snapshot | None, case: Snapshot | None) -> str | None:
    """Why nothing is left to release or refuse."""
    over = OVER.get(str(payment.document.get("state"))) if payment is not None else None
    if over is None and case is not None and from_document(case.document, Case).opened:
        return "it is disputed"
    return over
