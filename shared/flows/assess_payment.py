"""Before a payment is sent to its provider, somebody asks: approve, challenge, review or decline? Within a budget.

One read, one commit, and beside the commit one message. An answer never waits longer than the caller's budget: what is
not known by then is left out, and `late` says so; whoever works on it goes on. The message carries the answer, so that
`score_payment` counts what could not be counted here (`settle`), and publishes the decision that stands.
"""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass, replace
from datetime import datetime
from threading import BoundedSemaphore, Event, Lock
from time import monotonic, sleep

from shared.domain.codec import to_document
from shared.domain.decisions import Decision, Fallback, Outcome
from shared.domain.errors import PayInError, Rejected, Unavailable
from shared.domain.events import PaymentAssessed
from shared.domain.instants import microseconds
from shared.domain.telemetry import alarm, fact, failure
from shared.flows.committing import Decision as Effect
from shared.flows.committing import Seen, change, write
from shared.flows.decisions import PACKED, of_stored, stored
from shared.flows.event_messages import event_message
from shared.flows.exploring import may_lose, spend
from shared.flows.judged import (
    TRIED_BY,
    Found,
    Judged,
    Link,
    Purchase,
    add,
    also_keys,
    counted,
    decision_key,
    entity_keys,
    known_of,
    message,
    purchase_key,
    purchase_write,
    review_asked,
    tell_claims,
    waiting,
)
from shared.flows.ports import Create, Document, Key, Ports
from shared.flows.scorer import Scorer
from shared.fraud.book import SHIPPED, Book
from shared.fraud.decide import decide, same_request
from shared.fraud.features import Attempt
from shared.fraud.history import Known
from shared.fraud.judges import Judges

COMMIT_LATE = "commit_late"
NOT_COUNTED = "not_counted"
PUBLISH_WAITS = (0.1, 0.5, 2.0)
"""Seconds between tries at publishing."""
LONGEST_TELLING = 1.0
"""Seconds for which a request keeps its place while its message is not out."""
MESSAGES_WAITING = 1000


class RequestIdTaken(Rejected):
    """The caller's id of this request is that of another one. Answered 409."""

    reason = "request_id_taken"
    status = 409


@dataclass(frozen=True, slots=True)
class Assessment:
    """The decision, and what is not done yet: `commit_late` (it is being counted), `not_counted` (it will be, by a
    redelivery)."""

    decision: Decision
    late: tuple[str, ...] = ()


class Assessor:
    """Answers requests within their budgets, by threads of its own, which log and publish under the request's trace.

    without_history: flow → the outcome of its payments at least, while history is not known; "" is any other flow.
    most: how many requests may be worked on at once; those beyond are answered without history.
    """

    def __init__(
        self, ports: Callable[[], Ports], scorer: Scorer, without_history: Mapping[str, Outcome], most: int
    ) -> None:
        self._ports = ports
        self._scorer = scorer
        self._without_history = without_history
        self._workers = ThreadPoolExecutor(most, thread_name_prefix="assess")
        self._messengers = ThreadPoolExecutor(most, thread_name_prefix="tell")
        self._places = BoundedSemaphore(most)
        self._messages = BoundedSemaphore(MESSAGES_WAITING)

    def assess(self, asked: PaymentAssessed, now: datetime, until: float) -> Assessment:
        """What to do with the payment `asked` about, by `until` on the monotonic clock.

        Raises RequestIdTaken when the request's id is that of another one.
        """
        task = _Task(asked, now)
        if self._places.acquire(blocking=False):
            self._workers.submit(copy_context().run, self._work, task)
            task.done.wait(max(until - monotonic(), 0))
        else:
            self._tell(task, stored(self._settled(task)))
            task.done.set()
        if task.taken:
            raise RequestIdTaken("this request_id is that of another request: give each attempt at paying its own")
        decision = self._settled(task)
        late = () if task.counted else (NOT_COUNTED,) if task.done.is_set() else (COMMIT_LATE,)
        fact(
            "payment_assessed",
            event_id=asked.event_id,
            provider=asked.provider,
            outcome=decision.outcome,
            score=decision.score,
            rules=",".join(reason.code for reason in decision.reasons if reason.source == "rule"),
            model=decision.model_digest[:12] if decision.model_digest else None,
            fallback=decision.fallback,
            late=",".join(late) or None,
        )
        return Assessment(decision, late)

    def _settled(self, task: "_Task") -> Decision:
        """The decision that was made, or, where there is none yet, the one by what the request says itself."""

        def alone() -> Decision:
            known = Known(Attempt.of(task.asked), {}, read=False)
            least = self._without_history.get(task.asked.flow, self._without_history.get("", Outcome.APPROVE))
            fallback, book = task.failed or Fallback.STORE_SLOW, self._scorer.current_book()
            return decide(known, None, task.now, book, fallback=fallback, without_history=least)

        return task.settle(alone)

    def _work(self, task: "_Task") -> None:
        def judged(known: Known, judges: Judges, book: Book, seen: Seen) -> Decision:
            # Before it is settled: exploration may have to read, and whoever answers waits for no read.
            model, beside = judges.of(known.attempt)
            made = decide(known, model, task.now, book, beside=beside, may_lose=may_lose(seen, book, task.now))
            return task.settle(lambda: made)

        def tell(document: Document) -> None:
            # Beside the commit, not after it: whoever hears of it first counts it, and the other finds that done.
            self._tell(task, document)

        try:
            task.settle_as(count(task.asked, self._ports(), task.now, self._scorer, judged, tell).decision)
            task.counted = True
        except RequestIdTaken:
            task.taken = True
        except Unavailable as error:
            task.failed = Fallback.STORE_DOWN
            fact("dependency_unavailable", reason=error.reason, detail="assessments are answered without it")
        except Exception as error:  # noqa: BLE001 - a thread's boundary: logged, and the caller gets what can be said
            task.failed = Fallback.STORE_DOWN
            failure("assessment_failed", error, reason="bug")
        finally:
            try:
                if not task.taken and not task.counted:
                    self._tell(task, stored(self._settled(task)))
                if task.telling:
                    task.told.wait(LONGEST_TELLING)
            finally:
                task.done.set()
                self._places.release()

    def _tell(self, task: "_Task", document: Document) -> None:
        """Publish the request and its answer, the decision in `document`, once, by another thread."""
        if task.telling:
            return
        task.telling = True
        if self._messages.acquire(blocking=False):
            self._messengers.submit(copy_context().run, self._publish, task, document)
        else:
            task.told.set()
            alarm(
                "assessment_unpublished", event_id=task.asked.event_id, provider=task.asked.provider, reason="backlog"
            )

    def _publish(self, task: "_Task", document: Document) -> None:
        told = replace(task.asked, decision=document[PACKED])
        reason = "bug"
        try:
            for wait in (*PUBLISH_WAITS, 0.0):
                try:
                    self._ports().bus.publish([event_message(told, task.now)])
                    return
                except Unavailable as error:
                    reason = error.reason
                # Nobody waits for the further tries.
                task.told.set()
                sleep(wait)
            alarm("assessment_unpublished", event_id=told.event_id, provider=told.provider, reason=reason)
        except Exception as error:  # noqa: BLE001 - a thread's boundary
            failure("assessment_failed", error, reason=reason)
        finally:
            task.told.set()
            self._messages.release()


def count(
    asked: PaymentAssessed,
    ports: Ports,
    now: datetime,
    scorer: Scorer | None,
    judged: Callable[[Known, Judges, Book, Seen], Decision],
    tell: Callable[[Document], None] = lambda _: None,
) -> Judged:
    """The decision that stands: the one that a request of this id got before, or else that of `judged`, committed with all
    that the payment adds to history. `judged` may be asked again, when somebody else writes in between. tell: takes its
    document when it is made, before it is committed.

    Where the provider was quicker and the payment is counted, only what is new of the request is. Raises RequestIdTaken
    when another request has this id, Unavailable.
    """
    attempt = Attempt.of(asked)
    own = decision_key(asked.provider, asked.payment_id)
    names = [decision_key(asked.provider, name) for name in dict.fromkeys(asked.aliases)]
    purchase = purchase_key(asked.provider, asked.merchant_reference)
    # Whoever counts an answer late asks no list again.
    also = also_keys(attempt) if scorer else []
    registry = scorer.keys(now) if scorer else []

    def effect(seen: Seen) -> Effect[Judged]:
        if (stands := Judged.of(seen[own])) is not None:
            if not same_request(asked, stands.decision.request_digest):
                raise RequestIdTaken("the request_id of another request")
            return Effect(stands)
        known = known_of(attempt, seen, also)
        decision = judged(
            known, *(_by(scorer, seen, ports, now, registry) if scorer else (Judges(None), SHIPPED)), seen
        )
        document = stored(decision)
        tell(document)
        found = Found.of(seen, names)
        bought = Purchase.at(seen, purchase)
        link = None
        paid = found.first if found.roots else None
        if paid is None:
            payment, bought = bought.for_request(waiting(attempt))
            paid = Judged.of(seen[decision_key(asked.provider, payment)]) if payment else None
        if paid is not None and paid.decision.request_id is None and paid.link is None:
            _, writes = add(seen, paid, found.missing, found.claims, attempt, asked.payment_id)
            link = Link(paid.decision.event_id, paid.decision.payment_id, microseconds(paid.decision.occurred_at))
            writes.append(Create(own, {**document, "link": to_document(link)}))
        else:
            customer = asked.customer_id or asked.email_hash
            who = {TRIED_BY: customer} if customer else {}
            writes = [Create(own, {**document, **who})]
            writes += (write(name, seen[name], {"same_as": asked.payment_id}) for name in found.missing)
            writes += counted(known, found.claims, own)
            if not names:
                bought = replace(bought, requests={**bought.requests, asked.request_id: waiting(attempt)})
        # Where the payment itself is under review, that one is enough.
        if link is None or paid is None or paid.decision.outcome is not Outcome.REVIEW:
            writes += review_asked(decision)
        writes += (*purchase_write(seen, purchase, bought), *spend(seen, decision))
        return Effect(Judged(own, decision, link), writes)

    keys = [own, *names, *([purchase] if purchase else []), *entity_keys(attempt).values(), *also, *registry]
    return change(ports.documents, keys, effect)


def _by(scorer: Scorer, seen: Seen, ports: Ports, now: datetime, registry: Sequence[Key]) -> tuple[Judges, Book]:
    """What to judge by. A model that cannot be had is alarmed, and rules alone answer: a customer is waiting."""
    try:
        return scorer.at(seen, registry, ports.models, now)
    except PayInError as error:
        alarm("scoring_without_model", reason=error.reason)
        return Judges(None), scorer.current_book()


def settle(event: PaymentAssessed, ports: Ports) -> None:
    """Count a request that could not be counted when it was answered, and publish the decision that stands.

    Raises Unavailable; Unreadable when the answer that it carries is damaged.
    """
    own = decision_key(event.provider, event.payment_id)
    [found] = ports.documents.get([own])
    standing = Judged.of(found)
    late = standing is None
    if standing is None:
        answered = of_stored({PACKED: event.decision})
        asked = replace(event, decision="")
        standing = count(asked, ports, answered.decided_at, None, lambda *_: answered)
    ports.bus.publish([message(standing.told, event)])
    fact("assessment_published", event_id=event.event_id, provider=event.provider, counted_late=late)
    if event.aliases:
        # Under one of the names that the request told something may have been claimed before.
        tell_claims(ports, [_counted_as(standing, ports)])


def _counted_as(standing: Judged, ports: Ports) -> Judged:
    """The decision that the payment of an assessment is counted by: that of its provider's event, where that was quicker."""
    if standing.link is None:
        return standing
    [found] = ports.documents.get([decision_key(standing.decision.provider, standing.link.payment_id)])
    return Judged.of(found) or standing


class _Task:
    """One request while it is worked on. Whoever settles it first decides what is answered and counted."""

    def __init__(self, asked: PaymentAssessed, now: datetime) -> None:
        self.asked, self.now = asked, now
        self.done, self.told = Event(), Event()
        self.telling = False
        self.counted = self.taken = False
        self.failed: Fallback | None = None
        self._decision: Decision | None = None
        self._lock = Lock()

    def settle(self, made: Callable[[], Decision]) -> Decision:
        with self._lock:
            if self._decision is None:
                self._decision = made()
            return self._decision

    def settle_as(self, stands: Decision) -> None:
        """What stands in the documents is what was decided, whoever asked first."""
        with self._lock:
            self._decision = stands
