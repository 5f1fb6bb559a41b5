"""What a reviewer sees: the queue, most urgent first, and of a payment what was known at the decision and what is known now;
and what they say of those whom it names."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from shared.domain.codec import from_document
from shared.domain.decisions import Action, Decision, HistoryState
from shared.domain.disputes import Case
from shared.domain.errors import Rejected
from shared.domain.reference_amount import reference_minor
from shared.domain.reviews import Promise, Review, ReviewTaken, ReviewUnknown
from shared.flows.judged import Judged, claims_key, entity_key
from shared.flows.listing import list_entity
from shared.flows.ports import Document, Documents, Ports, Snapshot
from shared.flows.reviews import LEASE, Word, claim, decide, decision_of, present_keys, review_key, waiting
from shared.fraud.features import Entity, Grain, Measure
from shared.fraud.history import instant
from shared.fraud.lists import Entry
from shared.fraud.words import in_words

TOLD_OF = (Measure.PAYMENTS, Measure.DECLINED, Measure.FRAUDS, Measure.NEW_CARDS, Measure.NEW_CUSTOMERS)


def queue(documents: Documents, now: datetime, promise: Promise) -> list[Review]:
    """What waits, whoever holds it: what waits longer than was promised first, the longest before all; then what most is
    likely to be lost of, by amount and score. Of the hundred that wait longest."""
    return sorted(waiting(documents, now), key=lambda review: _urgency(review, now, promise))


def _urgency(review: Review, now: datetime, promise: Promise) -> tuple[bool, float, datetime]:
    late = now - review.opened_at >= promise.within
    # Where rules alone decided, the whole amount.
    risk = (reference_minor(review.amount) or 0) * (1.0 if review.score is None else review.score)
    return not late, 0.0 if late else -risk, review.opened_at


def claim_next(ports: Ports, by: str, now: datetime, promise: Promise, lease: timedelta = LEASE) -> Review | None:
    """The most urgent review that nobody else holds, for `by`: one that they hold already first. None: there is none."""
    queued = queue(ports.documents, now, promise)
    for review in sorted(queued, key=lambda one: one.holder(now) != by):
        if review.holder(now) in (None, by):
            try:
                return claim(ports, review.id, by, now, lease)
            except ReviewTaken:  # in between, or nothing is left to decide of it
                continue
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """Whom the payment names of this `kind` is to be listed for so many days."""

    action: Action
    kind: str
    days: int


def decide_and_list(
    ports: Ports, review_id: str, by: str, now: datetime, word: Word, listings: Sequence[Listing]
) -> Review:
    """The last word (`decide`), and then an entry for each of `listings`, from the verdict on: the same again lists the same.

    Raises Rejected, before anything is done, for one whom the payment does not name; ReviewUnknown and ReviewTaken as `decide`,
    the latter also where the word that stands listed others.
    """
    named = _named(ports.documents, review_id) if listings else {}
    for one in listings:
        if one.kind not in named:
            raise Rejected(f"the payment names no {one.kind}", reason="bad_entry")
    listed = tuple(sorted(f"{one.action} {one.kind} {one.days}" for one in listings))
    review = decide(ports, review_id, by, now, replace(word, listed=listed))
    assert review.verdict is not None
    for one in listings:
        until = review.verdict.at + timedelta(days=one.days)
        why = f"review of {review_id}: {word.code}"
        entry = Entry(action=one.action, kind=one.kind, value=named[one.kind], until=until, owner=by, reason=why)
        list_entity(ports, entry, now, author=by)
    return review


def _named(documents: Documents, review_id: str) -> dict[str, str]:
    [decided] = documents.get([decision_of(review_id)])
    if (judged := Judged.of(decided)) is None:
        raise ReviewUnknown("no payment of this name was ever sent to review")
    return {entity.value: value for entity, value in judged.own.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Present:
    """What is known now of one whom the payment named. value: personal data, never logged. state, last_seen_at: as of the
    decision. counts: of 30 days, by measure."""

    entity: str
    value: str | None
    state: HistoryState
    last_seen_at: datetime | None
    first_seen: datetime | None = None
    last_seen: datetime | None = None
    counts: dict[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """A review with what was known when it was opened (`decision`, `reasons` in words), and now. payment_state: None while
    the provider told nothing. fraud_reported_at: since when fraud is claimed on it."""

    review: Review
    decision: Decision
    reasons: tuple[str, ...]
    payment_id: str
    payment_state: str | None
    fraud_reported_at: datetime | None
    disputes: tuple[str, ...]
    entities: tuple[Present, ...]


def view(documents: Documents, review_id: str, now: datetime) -> View:
    """All that is known of a review, in two round trips. Raises ReviewUnknown."""
    found, decided = documents.get([review_key(review_id), decision_of(review_id)])
    judged = Judged.of(decided)
    if found is None or judged is None:
        raise ReviewUnknown("no payment of this name was ever sent to review")
    review, told = from_document(found.document, Review), judged.told
    named = [one for one in told.history if one.value is not None]
    keys = [entity_key(Entity(one.entity), one.value or "") for one in named]
    payment, case, claims, *pasts = documents.get([*present_keys(review, decided), claims_key(judged), *keys])
    return View(
        review=review,
        decision=told,
        reasons=tuple(in_words(reason, told) for reason in told.reasons),
        payment_id=told.payment_id,
        payment_state=payment.document.get("state") if payment else None,
        fraud_reported_at=claims.document.get("known_at") if claims else None,
        disputes=tuple(from_document(case.document, Case).opened) if case else (),
        entities=tuple(
            Present(
                entity=one.entity,
                value=one.value,
                state=one.state,
                last_seen_at=one.last_seen_at,
                first_seen=_moment(past, "first"),
                last_seen=_moment(past, "last"),
                counts=_counts(past.document if past else {}, now),
            )
            for one, past in zip(named, pasts, strict=True)
        ),
    )


def _moment(past: Snapshot | None, name: str) -> datetime | None:
    at = past.document.get(name) if past else None
    return None if at is None else instant(int(at))


def _counts(past: Document, now: datetime) -> dict[str, int]:
    oldest = (now - timedelta(days=30)).timestamp() // 86_400
    days: Iterable[dict[str, int]] = [bucket for day, bucket in past.get(Grain.DAYS, {}).items() if int(day) > oldest]
    summed = {measure.value: sum(day.get(measure, 0) for day in days) for measure in TOLD_OF}
    return {name: number for name, number in summed.items() if number}
