"""Erasing a person: what is kept of them in documents is removed, or says no longer whose it is; what has to stay is told with
its ground, and a report proves it.

Four stages: `look` says what there is and changes nothing; `begin` writes the request down and erases; `follow_up` looks again,
after a day, a week, and when rows are nameless (`shared.flows.nameless`), so that what was on its way is found; and when nothing is
left it proves so, and forgets the person's name. Every step may be repeated: names go last from what the others are found by.
While a dispute is fought nothing goes: what was paid and used before is its evidence. Whoever goes on paying loses what is of before all the
same: a history that began before they asked goes whole, and begins anew with their next payment, as everybody's does who is new.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from shared.domain import timeline, usage
from shared.domain.codec import encode, from_document, to_document
from shared.domain.disputes import Dispute
from shared.domain.erasing import BATCH, COLLECTIONS, ELSEWHERE, FRESH, SETTLED, TABLES, Fate
from shared.domain.errors import Rejected
from shared.domain.events import DisputeStatus
from shared.domain.instants import microseconds
from shared.domain.payments import Payment, without_person
from shared.domain.privacy import email_parts, mask, nameable
from shared.domain.pseudonyms import NAME, Keyring, unkeyed
from shared.domain.reviews import CLOCK, Review
from shared.domain.telemetry import alarm, fact
from shared.domain.usage import Usage
from shared.flows import audit as audits
from shared.flows import cases
from shared.flows.audit import Errand, begun, ended
from shared.flows.committing import Decision as Effect
from shared.flows.committing import Seen, change, write
from shared.flows.filing import dispute_of, key_of
from shared.flows.judged import EXPIRES, NAMELESS, TRIED_BY, Judged, decision_key, entity_key, nameless
from shared.flows.keep_evidence import COLLECTION as USAGE
from shared.flows.keep_evidence import document_of
from shared.flows.listing import LISTS, ListedEntity
from shared.flows.nameless import nameless_until
from shared.flows.ports import Accumulate, Create, Delete, Document, Documents, Key, Ports, Snapshot, Write
from shared.flows.readiness import forget
from shared.flows.record_payment import ROWS
from shared.flows.reviews import REVIEWS
from shared.fraud.features import GRAIN_MICROSECONDS, Entity, Grain, Measure, document_name
from shared.fraud.lists import LISTED

COLLECTION = "erasures"
DAY: Final = timedelta(days=1)
MOST: Final = 1000
"""Payments that one look finds by one text; what is left is found by the next."""
BATCHED: Final = Key("registry", "rows_batch")
DAYS_A_RUN: Final = 15
"""BigQuery rewrites a day's partition in half a minute, and two at once of a table: assumed."""
TOGETHER: Final = 10_000
"""Persons whose rows one batch rewrites."""
PAGE: Final = 200
AGAIN: Final = (DAY, 7 * DAY)
"""After a request: what was on its way when it was made has come by then, or is found when rows are nameless."""
WORDS: Final = "erased"
_REVIEW: Final = f"{REVIEWS}:"
WORDLESS: Final = "(erased)"
"""Why, of which nothing may be said any more."""
NAMES: Final = 5_000
"""Texts that one statement names: BigQuery takes 10,000 parameters."""
LATEST: Final = 21 * DAY
"""So long after the end of an erasure that finds something each week somebody has to look."""

_FOUGHT: Final = frozenset({DisputeStatus.NEEDS_RESPONSE, DisputeStatus.UNDER_REVIEW})


class Nobody(Rejected):
    """Nothing at all is known of whom an erasure was asked for."""

    reason = "nobody_known"


class Stage(StrEnum):
    FOUND = "found"  # looked for, and nothing was changed
    WAITS = "waits"  # a dispute is being fought
    ERASED = "erased"  # gone from documents; rows lose their names by themselves
    PROVED = "proved"  # looked for again everywhere, and nothing was found


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """What was found in one place, and what becomes of it. found: None where nobody counts. ends_at: when that is gone which
    goes by itself."""

    place: str
    found: int | None
    fate: Fate
    ground: str
    ends_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """person: the erasure's name, a keyed pseudonym. fought: disputes for whose end it waits. returned: they have paid again since
    they asked, which is no part of this. digest: SHA-256 of all the rest, by
    which whoever was given the report can prove that it is ours: it stays with the erasure."""

    person: str
    stage: Stage
    asked_at: datetime
    at: datetime
    lines: tuple[Line, ...]
    fought: tuple[str, ...] = ()
    returned: bool = False
    digest: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Erasure:
    """A request and how far it is. customer, also: the names to look for, until nothing is left; then nobody can say who it was without
    knowing one already. due_at: when it is looked at again. found: how many documents of each collection that is looked through, by the look
    that found most. kept: entries of lists that hold, the last one of them until kept_until. days: on which the payments had events, by
    which names; subjects: whom and which reviews a record of the audit may name that is written before the end; rows_at: by when these rows are to be rewritten, with those of others."""

    person: str
    stage: Stage
    asked_at: datetime
    customer: str | None = None
    also: tuple[str, ...] = ()
    due_at: datetime | None = None
    found: Mapping[str, int] = field(default_factory=dict)
    kept: int = 0
    kept_until: datetime | None = None
    days: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    rows_at: datetime | None = None
    digest: str | None = None
    proved_at: datetime | None = None
    returned: bool = False
    fought: tuple[str, ...] = ()
    subjects: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        return (self.customer, *self.also) if self.customer else ()


def names_of(customer: str, keyring: Keyring) -> tuple[str, ...]:
    """Under which names they may be kept: an address, or what could be a card's number, is kept as a pseudonym alone, under any of the
    keys. Raises Rejected where nobody is named."""
    given = customer.strip()
    if not given:
        raise Rejected("an erasure says whom", reason="no_customer")
    mail, _ = email_parts(given)
    # The address is one in whatever case; an id that was told is a text.
    marked = [nameable(given), *([mail, nameable(given.lower())] if mail else [])]
    return tuple(dict.fromkeys(name for one in marked for name in keyring.every(one)))


def name_of(customer: str, keyring: Keyring) -> str:
    """What an erasure is called: nobody learns from it who it was, and who asks again for the same person finds it."""
    given = customer.strip()
    return keyring.keyed(unkeyed(NAME, f"{WORDS}:{email_parts(given)[0] or given}").encode()).decode()


@dataclass(frozen=True, slots=True)
class Traces:
    """What documents hold of a customer from before they asked. decisions: with what they link. owned: histories of entities that nobody
    else has used. lists, standing: their entries, those that have ended and those that hold. audited: who looked at these or changed them, or decided their reviews. fought: disputes that are.
    returned: paid again since. more: there may be payments or requests that this look has not seen."""

    payments: tuple[Snapshot, ...] = ()
    decisions: tuple[Snapshot, ...] = ()
    owned: tuple[Snapshot, ...] = ()
    lists: tuple[Snapshot, ...] = ()
    standing: tuple[Snapshot, ...] = ()
    usage: tuple[Snapshot, ...] = ()
    reviews: tuple[Snapshot, ...] = ()
    audited: tuple[Snapshot, ...] = ()
    subjects: tuple[str, ...] = ()
    fought: tuple[str, ...] = ()
    returned: bool = False
    more: bool = False

    def counts(self) -> dict[str, int]:
        """Of each collection that is looked through, of which something has to go."""
        return {
            "payments": len(self.payments),
            "decisions": len(self.decisions),
            "feature_state": len(self.owned),
            LISTS: len(self.lists),
            USAGE: len(self.usage),
            REVIEWS: len(self.reviews),
            audits.COLLECTION: len(self.audited),
        }

    @property
    def something(self) -> bool:
        return self.returned or bool(self.standing) or any(self.counts().values())


NOTHING: Final = Traces()


def traces(
    documents: Documents, names: Sequence[str], asked_at: datetime, now: datetime, subjects: Sequence[str] = ()
) -> Traces:
    """Look, in some ten round trips, some more a name and as many as there are hundreds of payments, and one for each that
    nobody else has used and each review. subjects: of looks before, when more led to them. Raises Unavailable."""
    pages = [documents.find(cases.PAYMENTS, "paid_by", name, MOST) for name in names]
    pages += [documents.find(cases.PAYMENTS, TRIED_BY, name, MOST) for name in names]
    requested = [documents.find("decisions", TRIED_BY, name, MOST) for name in names]
    paid, asked = _by_key(pages), _by_key(requested)
    own = [one for one in paid.values() if not _since(one, asked_at)]
    requests = [one for one in asked.values() if _judged_by(one, asked_at)]
    later = _decisions(
        documents,
        [one for one in paid.values() if _since(one, asked_at)],
        [one for one in asked.values() if not _judged_by(one, asked_at)],
    )
    # A payment of after may have been asked about before.
    decisions = _decisions(documents, own, [*requests, *(one for one in later if _judged_by(one, asked_at))])
    returned = len(own) < len(paid) or len(requests) < len(asked)
    keyed = {entity_key(Entity.CUSTOMER, document_name(name)) for name in names}
    used, since = _used(decisions), _used([one for one in later if not _judged_by(one, asked_at)])
    keys = sorted({*used, *keyed})
    read = _read(documents, [*keys, *(Key(LISTS, key.id) for key in keys), *(Key(USAGE, name) for name in names)])
    owned = [
        one
        for key in keys
        if (one := read.get(key)) is not None
        and (key in keyed or _alone(one.document, [*used[key], *since.get(key, ())]))
        and (not returned or _began(one.document, asked_at))
    ]
    listed = [
        found
        for key in sorted({one.key for one in owned} | keyed)
        if (found := read.get(Key(LISTS, key.id))) is not None
    ]
    kept = [read[key] for name in names if (key := Key(USAGE, name)) in read]
    judged = {one.key.id for one in decisions} | {one.partition(":")[2] for one in subjects if one.startswith(_REVIEW)}
    reviewed = _read(documents, [Key(REVIEWS, name) for name in sorted(judged)])
    about = {one.key.id for one in owned} | {key.id for key in keyed} | {f"{_REVIEW}{key.id}" for key in reviewed}
    # What has expired is not known to be others'.
    about |= {key.id for key in used if key not in read}
    subjects = sorted(about.union(subjects))
    audited = [documents.find(audits.COLLECTION, audits.SUBJECT, one, MOST) for one in subjects]
    return Traces(
        payments=tuple(own),
        decisions=tuple(one for one in decisions if not one.document.get(NAMELESS)),
        owned=tuple(one for one in owned if one.document != _listed_alone(one.document, now)),
        lists=tuple(one for one in listed if not _said(one).standing(now)),
        standing=tuple(one for one in listed if _said(one).standing(now)),
        usage=tuple(one for one in kept if not returned or _cut(one.document, asked_at, now) != one.document),
        reviews=tuple(_worded(reviewed.values())),
        audited=tuple(_by_key(audited).values()),
        subjects=tuple(subjects),
        fought=tuple(_fought(documents, own)),
        returned=returned,
        more=any(len(page) == MOST for page in (*pages, *requested, *audited)),
    )


def _by_key(pages: Iterable[Sequence[Snapshot]]) -> dict[Key, Snapshot]:
    return {one.key: one for page in pages for one in page}


def _judged_by(decision: Snapshot, asked_at: datetime) -> bool:
    judged = Judged.of(decision)
    return judged is not None and judged.decision.occurred_at <= asked_at


def _began(document: Document, asked_at: datetime) -> bool:
    """Whether a history began by then. One without a beginning has only heard of payments that it does not know any more."""
    first: int | None = document.get("first")
    return first is not None and first <= microseconds(asked_at)


def _cut(document: Document, asked_at: datetime, now: datetime) -> Document | None:
    """The use since."""
    before = from_document(document, Usage)
    after = usage.after(before, asked_at)
    return document if after == before else document_of(after, now) if after else None


def _since(payment: Snapshot, asked_at: datetime) -> bool:
    first: datetime | None = payment.document.get("first_at")
    return first is not None and first > asked_at


def _read(documents: Documents, keys: Iterable[Key]) -> dict[Key, Snapshot]:
    unique = list(dict.fromkeys(keys))
    pages = (unique[start : start + PAGE] for start in range(0, len(unique), PAGE))
    return {one.key: one for page in pages for one in documents.get(page) if one is not None}


def _decisions(documents: Documents, payments: Sequence[Snapshot], requests: Sequence[Snapshot]) -> list[Snapshot]:
    """Of these payments and requests, and whatever they lead to."""
    found = {one.key: one for one in requests}
    keys = [
        decision_key(one.document["provider"], name)
        for one in payments
        for name in (one.document["payment_id"], *one.document.get("aliases", ()))
    ]
    while missing := [key for key in keys if key not in found]:
        read = _read(documents, missing)
        found |= read
        keys = [key for one in read.values() for key in _led_to(one)]
    return [one for one in found.values() if Judged.of(one) is not None]


def _led_to(decision: Snapshot) -> Iterator[Key]:
    provider, document = decision.key.id.partition(":")[0], decision.document
    link = document.get("link") or {}
    yield from (decision_key(provider, name) for name in (document.get("same_as"), link.get("payment_id")) if name)


def _used(decisions: Sequence[Snapshot]) -> dict[Key, list[int]]:
    """Each entity that they named, and when they were counted for it."""
    judged = [one for found in decisions if (one := Judged.of(found)) is not None]
    events = {one.decision.event_id for one in judged}
    used: dict[Key, list[int]] = {}
    for one in judged:
        # A request that came after its payment was counted with that.
        if one.decision.request_id is not None and one.link is not None and one.link.event_id in events:
            continue
        for (entity, value), at in one.counted.items():
            used.setdefault(entity_key(entity, value), []).append(at)
    return used


def _alone(document: Document, counted: Sequence[int]) -> bool:
    """Whether all that a history remembers are the payments that were counted for it at these times."""
    if any(
        bucket.get(Measure.PAYMENTS, 0) > sum(at // GRAIN_MICROSECONDS[grain] == int(index) for at in counted)
        for grain in Grain
        for index, bucket in document.get(grain, {}).items()
    ):
        return False
    first, last = document.get("first", min(counted)), document.get("last", max(counted))
    ever = document.get("ever", {}).get(Measure.PAYMENTS, 0)
    return bool(first >= min(counted) and last <= max(counted) and ever <= len(counted))


def _said(listed: Snapshot) -> ListedEntity:
    return from_document(listed.document, ListedEntity)


def _listed_alone(document: Document, now: datetime) -> Document | None:
    """What an entity's document keeps: what lists say of it, while they do."""
    standing = {name: until for name, until in document.get(LISTED, {}).items() if until > now}
    return {LISTED: standing, EXPIRES["feature_state"]: max(standing.values())} if standing else None


def _worded(reviews: Iterable[Snapshot]) -> Iterator[Snapshot]:
    """Those in which somebody has said something in their own words, once they are over."""
    for found in reviews:
        review = from_document(found.document, Review)
        if (review.verdict is not None or review.closed is not None) and _wordless(review) != review:
            yield found


def _wordless(review: Review) -> Review:
    verdict = replace(review.verdict, reason="") if review.verdict else None
    trail = tuple(one if one.by == CLOCK else replace(one, why="") for one in review.trail)
    return replace(review, verdict=verdict, trail=trail)


def _fought(documents: Documents, payments: Sequence[Snapshot]) -> Iterator[str]:
    filed = _read(documents, [Key(cases.COLLECTION, one.key.id) for one in payments])
    keys = [
        key_of(case.provider, name)
        for one in filed.values()
        if (case := cases.stored(one)) is not None
        for name in case.disputes
    ]
    for found in sorted(_read(documents, keys).values(), key=lambda one: one.key):
        if (dispute := dispute_of(found)) is not None and _is_fought(dispute):
            yield found.key.id


def _is_fought(dispute: Dispute) -> bool:
    # A warning is answered by a refund, or left alone, and of neither is anything more asked.
    return dispute.same_as is None and dispute.alert is None and (dispute.status in _FOUGHT or not dispute.final)


# What is done.


def look(ports: Ports, customer: str, keyring: Keyring, now: datetime) -> Report:
    """What an erasure of `customer` would come to. Nothing is changed. Raises Rejected where nothing at all is known of them,
    Unavailable."""
    person, names = name_of(customer, keyring), names_of(customer, keyring)
    found = _known(ports, customer, person, names, now)
    return report_of(_counted(Erasure(person=person, stage=Stage.FOUND, asked_at=now), found, now), found, now)


def _known(ports: Ports, customer: str, person: str, names: Sequence[str], now: datetime) -> Traces:
    """What there is of somebody; of whom there is nothing is refused, unless their erasure is on its way."""
    found = traces(ports.documents, names, now, now)
    [known] = ports.documents.get([Key(COLLECTION, person)])
    before = erasure_of(known)
    if found.something or (before is not None and before.stage is not Stage.PROVED):
        return found
    if ids := _beside(ports, customer, names, now):
        raise Nobody(
            "under that address alone nothing is kept, so nothing was erased and nothing written down: payments name it beside an"
            f" id of the customer's, and are erased by that: {', '.join(ids)}"
        )
    raise Nobody(
        "nothing at all is known under that name, so nothing was erased and nothing written down: give the customer's id as"
        " payments have it, or their e-mail address; --show tells of an erasure that was proved"
    )


BESIDE_SQL: Final = """SELECT DISTINCT customer_id FROM payment_events
WHERE occurred_at >= @since AND occurred_at <= @until AND customer_id IS NOT NULL AND email_hash IN ({names})
ORDER BY customer_id LIMIT 10"""
PAYS_WITHIN: Final = 35 * DAY
"""A subscriber pays once within it, and to look further back costs as much again each month."""


def _beside(ports: Ports, customer: str, names: Sequence[str], now: datetime) -> list[str]:
    """The ids beside which an address was told of late."""
    if not email_parts(customer.strip())[0]:
        return []
    rows = _naming(ports, BESIDE_SQL, names, now - PAYS_WITHIN, now)
    return [row["customer_id"] for row in rows]


def _counted(erasure: Erasure, found: Traces, now: datetime) -> Erasure:
    until = [one.until for listed in found.standing for one in _said(listed).standing(now).values() if one.until]
    return replace(
        erasure,
        found={place: max(number, erasure.found.get(place, 0)) for place, number in found.counts().items()},
        kept=max(erasure.kept, len(found.standing)),
        kept_until=max([*until, *([erasure.kept_until] if erasure.kept_until else [])], default=None),
    )


def begin(ports: Ports, customer: str, keyring: Keyring, now: datetime, *, who: str, why: str) -> Report:
    """Write the request down, and erase what may go at once. Again is the same request, unless that was proved: then it is another
    one. The audit names the person by the erasure's name. Raises Rejected where nobody says why or nothing is known of whom,
    Unavailable."""
    person, names = name_of(customer, keyring), names_of(customer, keyring)
    errand = Errand(
        who=who, why=audits.renamed(why, dict.fromkeys((customer.strip(), *names), person)), what="erase", at=now
    )
    _known(ports, customer, person, names, now)
    record = begun(ports.documents, errand, [audits.Changed(name=f"{COLLECTION}:{person}")])
    key = Key(COLLECTION, person)

    def asked(seen: Seen) -> Effect[Erasure]:
        before = erasure_of(seen[key])
        if before is not None and before.stage is not Stage.PROVED:
            return Effect(before)
        made = Erasure(person=person, stage=Stage.WAITS, asked_at=now, customer=names[0], also=names[1:], due_at=now)
        return Effect(made, [write(key, seen[key], timeline.compact(made))])

    after, found = _looked(ports, change(ports.documents, [key], asked), now)
    ended(ports.documents, record, after.stage)
    return report_of(after, found, now)


def follow_up(ports: Ports, now: datetime, limit: int = PAGE) -> None:
    """Look again at every erasure that is due, rewrite the rows of those who have waited for others long enough, and prove what
    is done. Raises Unavailable; what was done by then stays done."""
    due = [one for found in ports.documents.due(COLLECTION, "due_at", now, limit) if (one := erasure_of(found))]
    looked = [_looked(ports, erasure, now) for erasure in due]
    sweep(ports, now)
    ending = [(one, found) for one, found in looked if _ends(one, now)]
    _prove(ports, ending, now)
    fact("erasures_followed", looked_at=len(looked), ending=len(ending))


def _ends(erasure: Erasure, now: datetime) -> bool:
    return erasure.stage is Stage.ERASED and erasure.rows_at is None and now >= erasure.asked_at + SETTLED


def erasure_of(found: Snapshot | None) -> Erasure | None:
    return from_document(found.document, Erasure) if found else None


def _looked(ports: Ports, erasure: Erasure, now: datetime) -> tuple[Erasure, Traces]:
    """What there is of them goes, unless a dispute is fought."""
    if not erasure.names:
        raise Rejected("this erasure is proved: nobody knows any more whose it was", reason="already_proved")
    found = traces(ports.documents, erasure.names, erasure.asked_at, now, erasure.subjects)
    erasure = replace(_counted(erasure, found, now), subjects=found.subjects)
    if found.fought:
        after = replace(erasure, stage=Stage.WAITS, due_at=now + 7 * DAY, fought=found.fought)
        _written(ports.documents, after)
    else:
        days = _days(found)
        after = replace(
            erasure,
            stage=Stage.ERASED,
            fought=(),
            due_at=_due(erasure.asked_at, now),
            days={
                day: tuple(sorted({*erasure.days.get(day, ()), *days.get(day, ())})) for day in {*erasure.days, *days}
            },
            rows_at=(erasure.rows_at or _batch(erasure.asked_at, now)) if erasure.days or days else None,
        )
        # Before: payments are not found again once they name nobody, and their rows still do.
        _written(ports.documents, replace(after, due_at=erasure.due_at or now))
        _erase(ports.documents, found, erasure, now)
        _written(ports.documents, after)
    fact("person_erased", person=erasure.person, stage=after.stage, found=sum(found.counts().values()))
    return after, found


def _batch(asked_at: datetime, now: datetime) -> datetime:
    """When their rows are due: whoever had to wait longer than for a batch is of none that has begun."""
    return asked_at + BATCH if asked_at + BATCH > now else now + BATCH + DAY


def _written(documents: Documents, erasure: Erasure) -> None:
    key = Key(COLLECTION, erasure.person)
    change(documents, [key], lambda seen: Effect(None, [write(key, seen[key], timeline.compact(erasure))]))


def _days(found: Traces) -> dict[str, set[str]]:
    """The days on which something was told of their payments and requests, and by which names."""
    days: dict[str, set[str]] = {}
    for one in found.payments:
        payment = from_document(one.document, Payment)
        told = [fact.occurred_at for fact in payment.facts.values()]
        told += payment.folded.told_at.values() if payment.folded else ()
        told += payment.folded.steps.values() if payment.folded else ()
        for at in told:
            days.setdefault(_day(at), set()).update((payment.payment_id, *payment.aliases))
    for one in found.decisions:
        if (judged := Judged.of(one)) is not None:
            days.setdefault(_day(judged.decision.occurred_at), set()).add(judged.decision.payment_id)
    return days


def _day(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d}"


def sweep(ports: Ports, now: datetime) -> None:
    """Once somebody has waited for BATCH: the names leave the events of all who asked, each day's in one statement, as many as a
    run has time for. The next run goes on, also after a kill; who asks meanwhile is of the next batch. Raises Unavailable."""
    documents = ports.documents
    _sweep_heard(ports, now)
    [running] = documents.get([BATCHED])
    if running is None and not documents.due(COLLECTION, "rows_at", now, 1):
        return
    batch: Document = running.document if running else {"until": now + BATCH, "done": ""}
    if running is None:
        documents.commit([Create(BATCHED, batch)])
    waiting = [erasure_of(one) for one in documents.due(COLLECTION, "rows_at", batch["until"], TOGETHER)]
    together = [one for one in waiting if one is not None]
    days: dict[str, set[str]] = {}
    for one in together:
        for day, payments in one.days.items():
            days.setdefault(day, set()).update(payments)
    open_days = sorted(day for day in days if day > batch["done"])
    for day in open_days[:DAYS_A_RUN]:
        _blank(ports, day, sorted(days[day]), now)
        documents.commit([Accumulate(BATCHED, put={("done",): day})])
    if len(open_days) > DAYS_A_RUN:
        return
    for one in together:
        documents.commit([Accumulate(Key(COLLECTION, one.person), drop=[("days",), ("rows_at",)])])
    documents.commit([Delete(BATCHED)])
    fact("rows_unlinked", days=len(days), persons=len(together))


def _sweep_heard(ports: Ports, now: datetime) -> None:
    """What was told of payments that name nobody: `record_payment` writes down which."""
    [heard] = ports.documents.get([ROWS])
    if heard is None or heard.document.get("since", microseconds(now)) > microseconds(now - BATCH):
        return
    for day, payments in sorted(heard.document.get("days", {}).items())[:DAYS_A_RUN]:
        _blank(ports, day, sorted(payments), now)
        ports.documents.commit([Accumulate(ROWS, drop=[("days", day, payment) for payment in payments])])
    if len(heard.document.get("days", {})) <= DAYS_A_RUN:
        ports.documents.commit([Accumulate(ROWS, drop=[("since",)])])


def _blank(ports: Ports, day: str, payments: Sequence[str], now: datetime) -> None:
    since, rule = datetime.fromisoformat(day).replace(tzinfo=UTC), TABLES["payment_events"]
    for start in range(0, len(payments), NAMES):
        only = {"payment_id": payments[start : start + NAMES]}
        ports.warehouse.blank("payment_events", rule.names, rule.at, since, since + DAY, only)
    # After what they are made of: derived anew they would have come back.
    forget(ports.warehouse, since, payments, as_of=now)


def _due(asked_at: datetime, now: datetime) -> datetime:
    """The next look. The last ones are made on Mondays, so that those of a week share what they ask of rows."""
    last = (asked_at + SETTLED + 7 * DAY).astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    last -= last.weekday() * DAY
    return next((at for at in (*(asked_at + wait for wait in AGAIN), last) if at > now), now + 7 * DAY)


def _erase(documents: Documents, found: Traces, erasure: Erasure, now: datetime) -> None:
    """By what others are found goes last, so that whoever is killed finds the rest again."""
    for one in found.audited:
        _replaced(documents, one.key, lambda document: _unlinked(document, erasure.names, erasure.person))
    for one in (*found.lists, *found.standing):
        _replaced(documents, one.key, lambda document: _while_it_holds(document, erasure.person, now))
    for one in found.owned:
        _replaced(documents, one.key, lambda document: _listed_alone(document, now))
    for one in found.usage:
        _replaced(
            documents, one.key, lambda document: _cut(document, erasure.asked_at, now) if found.returned else None
        )
    for one in found.reviews:
        _replaced(documents, one.key, lambda document: timeline.compact(_wordless(from_document(document, Review))))
    for one in found.decisions:
        _replaced(documents, one.key, nameless)
    for one in found.payments:
        _replaced(documents, one.key, _payment_without_person)


def _while_it_holds(document: Document, person: str, now: datetime) -> Document | None:
    """What was said of an entity, while any of it holds: of who was not erased it is kept for longer. Why it was said names nobody."""
    entity = from_document(document, ListedEntity)
    until = [one.until for one in entity.standing(now).values() if one.until]
    if not until:
        return None
    said = [replace(one, reason=audits.renamed(mask(one.reason), {entity.value: person})) for one in entity.changes]
    kept = to_document(replace(entity, changes=tuple(said), erased_as=person))
    return {**document, **kept, EXPIRES[LISTS]: max(until)}


def _payment_without_person(document: Document) -> Document:
    return timeline.compact(without_person(from_document(document, Payment)))


def _replaced(documents: Documents, key: Key, made: Any) -> None:
    """The document at `key` becomes what `made` says of it, as it is then; None: it goes."""

    def effect(seen: Seen) -> Effect[None]:
        if (found := seen[key]) is None:
            return Effect(None)
        after = made(found.document)
        if after == found.document:
            return Effect(None)
        writes: list[Write] = [Delete(key)] if after is None else [write(key, found, after)]
        return Effect(None, writes)

    change(documents, [key], effect)


def _unlinked(document: Document, names: Sequence[str], person: str) -> Document:
    """A record of the audit. Who did what, and when, stays: of a list by the erasure's name, of a review without its words."""
    kind, _, subject = document.get(audits.SUBJECT, "").partition(":")
    if kind == REVIEWS:
        named = [{"name": one["name"]} for one in document["changes"]]
        kept = {**document, "why": WORDLESS, "changes": named}
    else:
        kept = audits.unnamed(document, dict.fromkeys((*names, *([subject] if subject else [])), person))
    return {name: value for name, value in kept.items() if name != audits.SUBJECT}


# What is proved.

ROWS_SQL: Final = """SELECT DISTINCT COALESCE(customer_id, email_hash) AS customer, provider, payment_id,
  TIMESTAMP_TRUNC(occurred_at, DAY) AS day
FROM payment_events
WHERE occurred_at <= @until AND occurred_at >= @since AND COALESCE(customer_id, email_hash) IN ({names})"""
BEGINNING: Final = datetime(2000, 1, 1, tzinfo=UTC)


def _prove(ports: Ports, ending: Sequence[tuple[Erasure, Traces]], now: datetime) -> None:
    """Search everything again, the rows for all of them at once. What came late goes, and is proved a week later."""
    if not ending:
        return
    rows = _rows_of(ports, [name for one, _ in ending for name in one.names], now)
    payments = _read(ports.documents, [_paid(row) for row in rows])
    for erasure, found in ending:
        # What they have paid since they asked is named in its document.
        theirs = [
            row
            for row in rows
            if row["customer"] in erasure.names and _is_of(row, payments.get(_paid(row)), erasure.asked_at)
        ]
        again = traces(ports.documents, erasure.names, erasure.asked_at, now, erasure.subjects)
        left = {place: number for place, number in again.counts().items() if number}
        if again.more:
            left["payments that were not seen"] = 1
        if theirs:
            left["rows of payment_events"] = len(theirs)
            for row in theirs:
                _blank(ports, _day(row["day"]), [row["payment_id"]], now)
        for table, rule in TABLES.items():
            until_then = nameless_until(ports.documents, table) if rule.names and not rule.by_person else None
            if until_then is not None and until_then <= erasure.asked_at:
                left[f"rows of {table}"] = 1
        if left:
            if now >= erasure.asked_at + SETTLED + LATEST:
                alarm("erasure_incomplete", person=erasure.person, places=" ".join(sorted(left)))
            _written(ports.documents, replace(erasure, due_at=now + 7 * DAY, days={}, rows_at=None))
            continue
        proved = replace(
            erasure,
            stage=Stage.PROVED,
            customer=None,
            also=(),
            subjects=(),
            due_at=None,
            days={},
            rows_at=None,
            proved_at=now,
            returned=found.returned,
        )
        told = report_of(proved, found, now)
        _written(ports.documents, replace(proved, digest=told.digest))
        fact("erasure_proved", person=erasure.person)


def _paid(row: Mapping[str, Any]) -> Key:
    return Key(cases.PAYMENTS, f"{row['provider']}:{row['payment_id']}")


def _is_of(row: Mapping[str, Any], payment: Snapshot | None, asked_at: datetime) -> bool:
    """Whether a row is part of the erasure: of a payment that names nobody, or of none at all and of before."""
    return bool(payment.document.get(NAMELESS)) if payment is not None else bool(row["day"] <= asked_at)


def _rows_of(ports: Ports, customers: Sequence[str], until: datetime) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for start in range(0, len(customers), NAMES):
        rows += _naming(ports, ROWS_SQL, customers[start : start + NAMES], BEGINNING, until)
    return rows


def _naming(ports: Ports, sql: str, customers: Sequence[str], since: datetime, until: datetime) -> list[dict[str, Any]]:
    """What `sql` answers of NAMES customers at most."""
    named = {f"c{number}": one for number, one in enumerate(customers)}
    asked = sql.format(names=", ".join(f"@{name}" for name in named))
    return ports.warehouse.query(asked, {"since": since, "until": until, **named})


def proof(ports: Ports, customer: str, keyring: Keyring) -> Report | None:
    """The report of an erasure that was made, again: the one that was given out, where it is proved, to the byte. None where
    nobody asked for it. Raises Unavailable."""
    [found] = ports.documents.get([Key(COLLECTION, name_of(customer, keyring))])
    erasure = erasure_of(found)
    if erasure is None:
        return None
    return report_of(erasure, NOTHING, erasure.proved_at or erasure.asked_at)


TOLD: Final = ("payment_aliases", "disputes", "cases", "comments", "known_frauds", "fraud_claims")
"""What stays as it is, and is of payments."""
HOLDS: Final = f"{LISTS}, entries that hold"


def report_of(erasure: Erasure, found: Traces, now: datetime) -> Report:
    midnight = erasure.asked_at.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    by_day, by_batch = midnight + FRESH + 2 * DAY, erasure.asked_at + BATCH + DAY
    lines = [
        Line(place=collection, found=erasure.found.get(collection), fate=rule.fate, ground=rule.ground)
        for collection, rule in COLLECTIONS.items()
        if rule.fate is not Fate.KEPT or collection in TOLD
    ]
    if erasure.kept:
        held = Line(place=HOLDS, found=erasure.kept, fate=Fate.KEPT, ground=COLLECTIONS[LISTS].ground)
        lines.append(replace(held, ends_at=erasure.kept_until))
    for table, rule in TABLES.items():
        what, ends = f"loses {', '.join(rule.names)}", by_batch if rule.by_person else by_day
        if rule.names:
            fate = Fate.UNLINKED if rule.by_person else Fate.EXPIRES
            line = Line(place=f"rows of {table}", found=None, fate=fate, ground=what, ends_at=ends + rule.after)
            lines.append(line)
        else:
            lines.append(Line(place=f"rows of {table}", found=None, fate=Fate.KEPT, ground="it names no customer"))
    lines += [Line(place=place, found=None, fate=Fate.EXPIRES, ground=ground) for place, ground in ELSEWHERE.items()]
    told = Report(
        person=erasure.person,
        stage=erasure.stage,
        asked_at=erasure.asked_at,
        at=now,
        lines=tuple(lines),
        fought=found.fought or erasure.fought,
        returned=found.returned or erasure.returned,
    )
    return replace(told, digest=hashlib.sha256(encode(told)).hexdigest())
