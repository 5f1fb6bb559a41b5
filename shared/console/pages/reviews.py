"""Payments that wait for a person: the queue, one case with a lease, and the last word with what it does."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from shared.console.site import Site, Visit, Went, address, done, link
from shared.domain.decisions import Action
from shared.domain.errors import Rejected
from shared.domain.people import Role, colleague
from shared.domain.privacy import mask
from shared.domain.reviews import Review, ReviewAction
from shared.flows.judged import Judged
from shared.flows.review_desk import Listing, claim_next, decide_and_list, queue, view
from shared.flows.reviews import LEASE, Word, claim, decision_of, release
from shared.operations.explaining import Knew, explain

HERE = "/reviews"
CODES: Mapping[str, tuple[tuple[str, str], ...]] = {
    "release": (
        ("known_customer", "we know this customer"),
        ("confirmed_by_customer", "the customer confirmed it"),
        ("false_alarm", "nothing speaks against it"),
    ),
    "refuse": (
        ("stolen_card", "the card is not theirs"),
        ("account_takeover", "somebody else is in the account"),
        ("card_testing", "cards are being tried out"),
        ("trial_abuse", "one more trial of the same person"),
    ),
}
LABELS: Mapping[str, tuple[str, ...]] = {
    "release": ("genuine",),
    "refuse": ("third_party_fraud", "first_party_fraud", "service"),
}
DAYS = 90
"""For which whom a payment names is listed by a verdict."""


def register(site: Site) -> None:
    site.page(HERE, "reviews", _queue, title="Review")
    site.page(f"{HERE}/<name:name>", "review", _one)
    site.act(f"{HERE}/next", "review_next", Role.ANALYST, _next)
    site.act(f"{HERE}/claim", "review_claim", Role.ANALYST, _claim)
    site.act(f"{HERE}/release", "review_release", Role.ANALYST, _release)
    site.act(f"{HERE}/decide", "review_decide", Role.ANALYST, _decide)


def at(review_id: str) -> str:
    return address("reviews", review_id)


def _queue(visit: Visit) -> Mapping[str, Any]:
    promise = visit.bench.settings.promise()
    found = queue(visit.ports.documents, visit.now, promise)
    late = [one for one in found if visit.now - one.opened_at >= promise.within]
    return {
        "reviews": [(one, one.holder(visit.now)) for one in found],
        "late": {one.id for one in late},
        "promise": promise,
        "colleague": colleague,
    }


def _one(visit: Visit) -> Mapping[str, Any]:
    seen = view(visit.ports.documents, visit.asked["name"], visit.now)
    visit.saw(f"reviews:{seen.review.id}")
    review = seen.review
    [decided] = visit.ports.documents.get([decision_of(review.id)])
    judged = Judged.of(decided)
    told = explain(visit.ports, judged) if judged else None
    known = [one for one in told.known if one.value] if told else []
    return {
        "seen": seen,
        "review": review,
        "told": told,
        "known": sorted(known, key=_telling),
        "holder": review.holder(visit.now),
        "mine": review.holder(visit.now) == visit.person.email,
        "open": review.verdict is None and review.closed is None,
        "colleague": colleague,
        "codes": CODES,
        "labels": LABELS,
        "days": DAYS,
        "listable": [
            one.entity for one in seen.entities if one.value and one.entity in ("card", "customer", "device", "ip")
        ],
        "minutes": LEASE // timedelta(minutes=1),
    }


def _telling(one: Knew) -> tuple[bool, str]:
    """What is of somebody's history first, whose freshness says how much it is worth."""
    return one.freshness is None, one.name


def _next(visit: Visit) -> Went:
    ports = visit.acting("review_payment claim", "the most urgent")
    found = claim_next(ports, visit.person.email, visit.now, visit.bench.settings.promise())
    if found is None:
        return done(
            HERE, "Nothing waits that somebody else does not hold; where nothing was left to decide it is closed now."
        )
    return done(at(found.id), _held(found, visit))


def _claim(visit: Visit) -> Went:
    ports = visit.acting("review_payment claim", "this one")
    found = claim(ports, visit.asked.get("review", ""), visit.person.email, visit.now)
    return done(at(found.id), _held(found, visit))


def _held(review: Review, visit: Visit) -> str:
    assert review.lease is not None, "it was taken just now"
    return f"It is yours until {visit.reader.instant(review.lease.until)}."


def _release(visit: Visit) -> Went:
    ports = visit.acting("review_payment release", visit.why)
    release(ports, visit.asked.get("review", ""), visit.person.email, visit.now, mask(visit.why))
    return done(HERE, "It waits again, for somebody else.")


def _decide(visit: Visit) -> Went:
    name, action = visit.asked.get("review", ""), visit.asked.get("action", "")
    if action not in CODES:
        raise Rejected("say what becomes of the payment: it is released or refused", reason="no_action")
    code, label = visit.asked.get(f"{action}_code", ""), visit.asked.get(f"{action}_label", "") or LABELS[action][0]
    if code not in dict(CODES[action]) or label not in LABELS[action]:
        raise Rejected("say why it is released or refused: one of those that are offered", reason="no_code")
    wanted = Action.ALLOW if action == "release" else Action.BLOCK
    listings = [
        Listing(action=wanted, kind=kind, days=DAYS)
        for kind in ("card", "customer", "device", "ip")
        if visit.asked.get(f"list_{kind}")
    ]
    reason = mask(visit.why)
    word = Word(request_id=visit.once, action=ReviewAction(action), code=code, reason=reason, label=label)
    ports = visit.acting(f"review_payment {action}", reason)
    decide_and_list(ports, name, visit.person.email, visit.now, word, listings)
    told = (
        f"{name} is {'released' if action == 'release' else 'refused'}, and learned from as {label.replace('_', ' ')}."
    )
    if visit.asked.get("then") == "next":
        found = claim_next(
            visit.acting("review_payment claim", "the next one"),
            visit.person.email,
            visit.now,
            visit.bench.settings.promise(),
        )
        if found is not None:
            return done(at(found.id), f"{told} This is the next one. {_held(found, visit)}")
        told += " Nothing else waits."
    return done(link(HERE), told)
