"""A payment that waits for a person: one decides, once, whoever else tries and whatever comes meanwhile."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.backends import gcp
from shared.domain.codec import decode_event, encode, from_document
from shared.domain.decisions import Outcome
from shared.domain.errors import Unavailable
from shared.domain.events import AnyEvent, PaymentStep
from shared.domain.labels import FRAUD_CLASSES, LabelClass
from shared.domain.reviews import CLOCK, MOST_STEPS, Promise, Review, ReviewAction, ReviewTaken, ReviewUnknown
from shared.flows.assess_payment import count
from shared.flows.decisions import of_stored
from shared.flows.ports import Key, Ports
from shared.flows.record_payment import record_payment
from shared.flows.review_desk import claim_next, queue, view
from shared.flows.reviews import LEASE, REVIEWS, TOPIC, Word, check_reviews, claim, decide, release
from shared.flows.score_payment import score_payment
from shared.flows.scorer import Scorer
from shared.flows.track_dispute import track_dispute
from shared.fraud.decide import decide as judge
from shared.settings import read
from tests.builders import (
    DAY,
    HOUR,
    MINUTE,
    NOON,
    a_dispute_event,
    a_fraud_warning,
    a_payment_event,
    a_refund_event,
    an_assessment,
    eur,
)
from tests.flows.interleaving import interleaved, orders
from tests.local import COLLECTIONS, local_ports, published, wipe

ANA, BEN = "ana@shop.example", "ben@shop.example"
PROMISE = Promise()
SEEN = ("decisions", "feature_state", "known_frauds", "fraud_claims", "reviews", "assessments", *COLLECTIONS)
REFUSE = Word(request_id="w-1", action=ReviewAction.REFUSE, code="stolen_card", reason="", label="third_party_fraud")
RELEASE = Word(request_id="w-2", action=ReviewAction.RELEASE, code="known_customer", reason="called", label="genuine")


def score(ports: Ports, event: AnyEvent, now: datetime = NOON) -> None:
    score_payment(event, ports, now, Scorer(use_model=False))


def sent_to_review(ports: Ports, payment_id: str = "pi_1", now: datetime = NOON, **fields: Any) -> str:
    """A payment whose authentication failed, which the shipped rules send to review."""
    score(ports, a_payment_event(payment_id=payment_id, three_d_secure="failed", **fields), now)
    return f"stripe:{payment_id}"


def assessed(ports: Ports, **fields: Any) -> str:
    asked = an_assessment(three_d_secure="failed", **fields)
    count(asked, ports, NOON, None, lambda known, _model, book, _seen: judge(known, None, NOON, book))
    return f"stripe:{asked.payment_id}"


def stored(ports: Ports, review_id: str) -> Review:
    [found] = ports.documents.get([Key(REVIEWS, review_id)])
    assert found is not None
    return from_document(found.document, Review)


def waiting(ports: Ports, now: datetime = NOON) -> list[str]:
    return [review.id for review in queue(ports.documents, now, PROMISE)]


def actions(ports: Ports) -> list[tuple[str, str]]:
    return [(row["payment_id"], row["action"]) for row in published(ports, TOPIC)]


def test_a_decision_puts_a_payment_into_the_queue_and_one_that_does_not_ask_for_it_puts_none(ports: Ports) -> None:
    score(ports, a_payment_event(payment_id="pi_0"))
    assert waiting(ports) == []
    review_id = sent_to_review(ports)
    assert waiting(ports) == [review_id]
    sent_to_review(ports)
    assert waiting(ports) == [review_id]


def test_a_payment_is_reviewed_once_whichever_door_was_first(ports: Ports) -> None:
    review_id = assessed(ports)
    score(ports, a_payment_event(merchant_reference="order-1", three_d_secure="failed"))
    assert waiting(ports) == [review_id]
    wipe(ports, SEEN)
    sent_to_review(ports, merchant_reference="order-1")
    assessed(ports)
    assert waiting(ports) == ["stripe:pi_1"]


def test_who_asked_is_told_what_becomes_of_a_payment_that_passed_at_the_other_door(ports: Ports) -> None:
    score(ports, a_payment_event(merchant_reference="order-1"))
    assert waiting(ports) == []
    review_id = assessed(ports)
    assert waiting(ports) == [review_id]


def test_what_is_late_comes_first_and_then_what_most_is_to_be_lost_of(ports: Ports) -> None:
    for number, (minutes, minor) in enumerate([(0, 100), (1, 90_000), (241, 100), (242, 5_000), (243, 20_000)]):
        at = NOON + minutes * MINUTE
        sent_to_review(ports, f"pi_{number}", at, occurred_at=at, amount=eur(minor), customer_id=f"c{number}")
    order = [name.removeprefix("stripe:pi_") for name in waiting(ports, NOON + 244 * MINUTE)]
    assert order == ["0", "1", "4", "3", "2"]


def test_a_review_is_claimed_for_some_minutes_and_is_anybodys_again_when_they_are_over(ports: Ports) -> None:
    review_id = sent_to_review(ports)
    claim(ports, review_id, ANA, NOON)
    with pytest.raises(ReviewTaken, match="ana holds it until 12:15:00 UTC"):
        claim(ports, review_id, BEN, NOON + LEASE - MINUTE)
    claim(ports, review_id, ANA, NOON + 10 * MINUTE)
    with pytest.raises(ReviewTaken):
        claim(ports, review_id, BEN, NOON + LEASE)
    claim(ports, review_id, BEN, NOON + 10 * MINUTE + LEASE)
    with pytest.raises(ReviewTaken, match="ben holds it"):
        decide(ports, review_id, ANA, NOON + 26 * MINUTE, REFUSE)
    assert [(step.by, step.act) for step in stored(ports, review_id).trail] == [(ANA, "claimed"), (BEN, "claimed")]


def test_a_review_that_is_given_back_is_the_next_ones(ports: Ports) -> None:
    review_id = sent_to_review(ports)
    mine = claim_next(ports, ANA, NOON, PROMISE)
    assert mine is not None
    assert claim_next(ports, BEN, NOON, PROMISE) is None
    with pytest.raises(ReviewTaken):
        release(ports, review_id, BEN, NOON, "not mine")
    release(ports, review_id, ANA, NOON, "I know them")
    assert claim_next(ports, BEN, NOON, PROMISE) == stored(ports, review_id)
    assert stored(ports, review_id).trail[1].why == "I know them"


def test_who_holds_one_gets_it_again_and_not_another(ports: Ports) -> None:
    sent_to_review(ports, "pi_1", amount=eur(100))
    sent_to_review(ports, "pi_2", amount=eur(90_000), customer_id="c2")
    claim(ports, "stripe:pi_1", ANA, NOON)
    again = claim_next(ports, ANA, NOON + MINUTE, PROMISE)
    assert again is not None
    assert again.id == "stripe:pi_1"


def test_nobody_decides_what_they_do_not_hold(ports: Ports) -> None:
    review_id = sent_to_review(ports)
    with pytest.raises(ReviewTaken, match="claim it first"):
        decide(ports, review_id, ANA, NOON, REFUSE)
    claim(ports, review_id, ANA, NOON)
    with pytest.raises(ReviewTaken, match="claim it first"):
        decide(ports, review_id, ANA, NOON + LEASE, REFUSE)
    with pytest.raises(ReviewUnknown):
        claim(ports, "stripe:pi_none", ANA, NOON)
    assert actions(ports) == []


def test_a_verdict_is_told_and_labels_the_payment_and_the_same_again_tells_the_same(ports: Ports) -> None:
    review_id = sent_to_review(ports)
    claim(ports, review_id, ANA, NOON)
    decided = decide(ports, review_id, ANA, NOON + MINUTE, REFUSE)
    assert decide(ports, review_id, ANA, NOON + HOUR, REFUSE).verdict == decided.verdict
    first, again = published(ports, TOPIC)
    assert first == again
    assert (first["action"], first["payment_id"], first["by"], first["code"]) == ("refuse", "pi_1", ANA, "stolen_card")
    label, repeated = published(ports, "fraud-labels")
    assert label == repeated
    assert (label["label"], label["source"], label["by"]) == ("third_party_fraud", "manual_review", ANA)
    assert waiting(ports) == []
    assert stored(ports, review_id).tell_at is None
    assert [(step.by, step.act, step.why) for step in stored(ports, review_id).trail] == [
        (ANA, "claimed", ""),
        (ANA, "refuse", "stolen_card"),
    ]


@pytest.mark.parametrize("door", [sent_to_review, assessed])
@pytest.mark.parametrize("label", [*LabelClass, None])
def test_what_a_reviewer_calls_fraud_is_known_fraud_of_whom_the_payment_named(
    ports: Ports, door: Callable[[Ports], str], label: LabelClass | None
) -> None:
    review_id = door(ports)
    claim(ports, review_id, ANA, NOON)
    decide(ports, review_id, ANA, NOON + MINUTE, replace(REFUSE, label=label))
    decide(ports, review_id, ANA, NOON + HOUR, replace(REFUSE, label=label))
    is_fraud = label in FRAUD_CLASSES
    told = [decode_event(encode(row)) for row in published(ports, "payment-events")]
    assert [event.event_id for event in told] == 2 * is_fraud * [f"{stored(ports, review_id).decision_id}/review"]
    for event in told:
        score(ports, event, NOON + HOUR)
    next_one = a_payment_event(payment_id="pi_9", occurred_at=NOON + 2 * HOUR)
    score(ports, next_one, NOON + 2 * HOUR)
    [decision] = ports.documents.get([Key("decisions", "stripe:pi_9")])
    assert decision is not None
    known = {one.name: one.value for one in of_stored(decision.document).features}
    assert known["card_frauds_ever"] == int(is_fraud)


def test_what_was_found_before_the_payment_came_is_told_with_the_payment(ports: Ports) -> None:
    review_id = assessed(ports)
    claim(ports, review_id, ANA, NOON)
    decide(ports, review_id, ANA, NOON + MINUTE, REFUSE)
    [found] = published(ports, "payment-events")
    score(ports, decode_event(encode(found)), NOON + HOUR)
    published(ports, "fraud-decisions")
    score(ports, a_payment_event(merchant_reference="order-1"), NOON + 2 * HOUR)
    told = [row for row in published(ports, "fraud-decisions") if row["linked_event_id"]]
    assert max(told, key=lambda row: row["claims_revision"])["fraud_reported_at"] is not None


def test_what_waited_under_another_name_of_the_payment_is_told_with_the_payment(ports: Ports) -> None:
    assessed(ports, aliases=("pi_1",))
    score(ports, a_fraud_warning(payment_id="ch_1"))
    score(ports, a_payment_event(aliases=("ch_1",)), NOON + HOUR)
    told = [row for row in published(ports, "fraud-decisions") if row["linked_event_id"]]
    assert max(told, key=lambda row: row["claims_revision"])["fraud_reported_at"] is not None


@pytest.mark.parametrize("word", [RELEASE, replace(REFUSE, code="other"), replace(REFUSE, request_id="w-3")])
def test_a_word_that_stands_is_not_changed(ports: Ports, word: Word) -> None:
    review_id = sent_to_review(ports)
    claim(ports, review_id, ANA, NOON)
    decide(ports, review_id, ANA, NOON, REFUSE)
    with pytest.raises(ReviewTaken, match="ana has decided: refuse"):
        decide(ports, review_id, ANA, NOON, word)
    assert actions(ports) == [("pi_1", "refuse")]


def test_a_verdict_on_an_assessment_names_the_payment_that_came_of_it(ports: Ports) -> None:
    review_id = assessed(ports)
    other = assessed(ports, request_id="req_2", merchant_reference="order-2", customer_id="c2")
    score(ports, a_payment_event(PaymentStep.AUTHORIZED, merchant_reference="order-1"))
    for one in (review_id, other):
        claim(ports, one, ANA, NOON)
        decide(ports, one, ANA, NOON, RELEASE)
    assert [(row["payment_id"], row["request_id"]) for row in published(ports, TOPIC)] == [
        ("pi_1", "req_1"),
        ("request:req_2", "req_2"),
    ]


# Two at once


def _raced(*works: Callable[[], object]) -> list[object]:
    """What each of `works` answers or raises, all started at one moment."""
    barrier, answers = threading.Barrier(len(works)), [None] * len(works)

    def run(number: int, work: Callable[[], object]) -> None:
        barrier.wait()
        try:
            answers[number] = work()  # type: ignore[call-overload]
        except ReviewTaken as error:
            answers[number] = error  # type: ignore[call-overload]

    threads = [threading.Thread(target=run, args=one) for one in enumerate(works)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return list(answers)


@pytest.fixture(params=["sqlite", pytest.param("gcp", marks=pytest.mark.emulators)])
def shared_ports(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Ports]:
    if request.param == "gcp":
        yield gcp.connect(read(request.getfixturevalue("gcp_environment")))
    else:
        yield local_ports(tmp_path)


def test_of_two_reviewers_at_once_one_wins_and_the_other_is_told_who(shared_ports: Ports) -> None:
    for number in range(3):
        review_id = sent_to_review(shared_ports, f"pi_raced_{number}", customer_id=f"c{number}")
        answers = _raced(*(lambda by=by, at=review_id: claim(shared_ports, at, by, NOON) for by in (ANA, BEN)))
        [lost] = [one for one in answers if isinstance(one, ReviewTaken)]
        [won] = [one for one in answers if isinstance(one, Review)]
        assert won.lease is not None
        assert str(lost).startswith(f"{won.lease.by.partition('@')[0]} holds it until")
        assert claim_next(shared_ports, won.lease.by, NOON, PROMISE) == won
        decide(shared_ports, review_id, won.lease.by, NOON, REFUSE)
        assert claim_next(shared_ports, ANA, NOON, PROMISE) is None
        check_reviews(shared_ports, NOON + DAY, PROMISE)


@pytest.mark.parametrize("order", orders(3))
def test_a_verdict_beside_the_clocks_is_the_only_one(ports: Ports, order: str) -> None:
    review_id = sent_to_review(ports)
    late = NOON + PROMISE.after
    claim(ports, review_id, ANA, late - LEASE / 2)
    promise = replace(PROMISE, then=ReviewAction.RELEASE)

    def person(outside: Ports) -> None:
        decide(outside, review_id, ANA, late, REFUSE)

    # Held, it is not the clock's; as soon as it is given back it is.
    interleaved(ports, (person, lambda outside: check_reviews(outside, late, promise)), order)
    assert set(actions(ports)) == {("pi_1", "refuse")}
    assert stored(ports, review_id).verdict is not None


# What dies in between


def test_a_verdict_that_was_not_told_is_told_by_the_clock(ports: Ports) -> None:
    class Down:
        def publish(self, messages: object) -> None:
            raise Unavailable("down")

    review_id = sent_to_review(ports)
    claim(ports, review_id, ANA, NOON)
    with pytest.raises(Unavailable):
        decide(replace(ports, bus=Down()), review_id, ANA, NOON, REFUSE)
    check_reviews(ports, NOON, PROMISE)
    assert actions(ports) == []
    check_reviews(ports, NOON + MINUTE, PROMISE)
    check_reviews(ports, NOON + 2 * MINUTE, PROMISE)
    assert actions(ports) == [("pi_1", "refuse")]
    assert len(published(ports, "fraud-labels")) == 1


# The clock


def test_what_waits_too_long_is_alarmed_and_goes_on_waiting(ports: Ports, caplog: pytest.LogCaptureFixture) -> None:
    sent_to_review(ports)
    check_reviews(ports, NOON + PROMISE.within - MINUTE, PROMISE)
    assert "reviews_late" not in caplog.messages
    check_reviews(ports, NOON + 3 * DAY, PROMISE)
    [alarmed] = [record for record in caplog.records if record.message == "reviews_late"]
    assert alarmed.__dict__["fields"] == {"reviews": 1, "longest_minutes": 3 * 24 * 60}
    assert waiting(ports) == ["stripe:pi_1"]
    assert actions(ports) == []


def test_where_the_promise_says_so_the_clock_decides_and_labels_nothing(ports: Ports) -> None:
    review_id = sent_to_review(ports)
    promise = replace(PROMISE, then=ReviewAction.REFUSE)
    check_reviews(ports, NOON + PROMISE.after - MINUTE, promise)
    assert waiting(ports) == [review_id]
    check_reviews(ports, NOON + PROMISE.after, promise)
    check_reviews(ports, NOON + PROMISE.after + HOUR, promise)
    [told] = published(ports, TOPIC)
    assert (told["action"], told["by"], told["code"]) == ("refuse", CLOCK, "nobody_looked")
    assert published(ports, "fraud-labels") == []
    assert waiting(ports) == []


def test_what_somebody_holds_is_nobody_elses_not_the_clocks_either(ports: Ports) -> None:
    review_id = sent_to_review(ports)
    late = NOON + PROMISE.after
    claim(ports, review_id, ANA, late)
    check_reviews(ports, late, replace(PROMISE, then=ReviewAction.REFUSE))
    assert stored(ports, review_id).verdict is None
    decide(ports, review_id, ANA, late, RELEASE)
    assert actions(ports) == [("pi_1", "release")]


# What comes meanwhile


REFUNDED = a_refund_event()
CANCELED = a_payment_event(PaymentStep.CANCELED, occurred_at=NOON + HOUR)
DISPUTED = a_dispute_event(occurred_at=NOON + DAY)
CAPTURED = a_payment_event()
WARNED = a_fraud_warning()


def tell(ports: Ports, event: AnyEvent) -> None:
    record_payment(event, ports, NOON)
    track_dispute(event, ports, NOON)
    score(ports, event)


@pytest.mark.parametrize(
    ("news", "why"),
    [
        ((CAPTURED, REFUNDED), "it was refunded"),
        ((CANCELED,), "it was canceled"),
        ((CAPTURED, DISPUTED), "it is disputed"),
    ],
)
def test_a_payment_of_which_nothing_is_left_to_decide_needs_nobody(
    ports: Ports, news: tuple[AnyEvent, ...], why: str
) -> None:
    review_id = sent_to_review(ports)
    for event in news:
        tell(ports, event)
    assert claim_next(ports, ANA, NOON + HOUR, PROMISE) is None
    with pytest.raises(ReviewTaken, match=why):
        claim(ports, review_id, ANA, NOON + HOUR)
    assert (stored(ports, review_id).closed, waiting(ports), actions(ports)) == (why, [], [])
    assert stored(ports, review_id).trail[-1].why == why


def test_what_somebody_holds_is_theirs_whatever_became_of_the_payment(ports: Ports) -> None:
    review_id, late = sent_to_review(ports), NOON + PROMISE.after
    claim(ports, review_id, ANA, late)
    tell(ports, CANCELED)
    check_reviews(ports, late, PROMISE)
    assert stored(ports, review_id).closed is None
    decide(ports, review_id, ANA, late, REFUSE)
    assert actions(ports) == [("pi_1", "refuse")]


def test_a_report_of_fraud_closes_nothing_and_is_seen(ports: Ports) -> None:
    review_id = sent_to_review(ports)
    tell(ports, CAPTURED)
    tell(ports, WARNED)
    claim(ports, review_id, ANA, NOON)
    seen = view(ports.documents, review_id, NOON + HOUR)
    assert (seen.payment_state, seen.fraud_reported_at, seen.disputes) == ("captured", WARNED.occurred_at, ())


@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.permutations([CAPTURED, REFUNDED, DISPUTED, WARNED, CAPTURED]))
def test_the_order_of_news_does_not_matter(ports: Ports, news: list[AnyEvent]) -> None:
    wipe(ports, SEEN)
    review_id = sent_to_review(ports)
    for event in news:
        tell(ports, event)
    check_reviews(ports, NOON + 2 * DAY, PROMISE)
    assert stored(ports, review_id).closed == "it was refunded"


ACTS = st.one_of(
    st.tuples(st.sampled_from(["claim", "release", "next"]), st.sampled_from([ANA, BEN])),
    st.tuples(st.just("decide"), st.sampled_from([ANA, BEN]), st.sampled_from([REFUSE, RELEASE])),
    st.tuples(st.just("tell"), st.sampled_from([REFUNDED, CANCELED, DISPUTED, WARNED, CAPTURED])),
    st.tuples(st.just("wait"), st.sampled_from([5 * MINUTE, LEASE, 5 * HOUR, DAY])),
    st.tuples(st.just("tick"), st.sampled_from([None, ReviewAction.REFUSE, ReviewAction.RELEASE])),
)


@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(ACTS, max_size=14))
def test_whatever_comes_in_whatever_order_a_review_ends_once_and_as_it_was_told(
    ports: Ports, acts: list[tuple[Any, ...]]
) -> None:
    wipe(ports, SEEN)
    for topic in (TOPIC, "fraud-labels"):
        published(ports, topic)
    review_id, now, ended = sent_to_review(ports), NOON, None
    for act, *rest in acts:
        try:
            match act:
                case "claim":
                    claim(ports, review_id, rest[0], now)
                case "next":
                    claim_next(ports, rest[0], now, PROMISE)
                case "release":
                    release(ports, review_id, rest[0], now, "later")
                case "decide":
                    decide(ports, review_id, rest[0], now, rest[1])
                case "tell":
                    tell(ports, rest[0])
                case "wait":
                    now += rest[0]
                case "tick":
                    check_reviews(ports, now, replace(PROMISE, then=rest[0]))
        except ReviewTaken:
            pass
        review = stored(ports, review_id)
        end = (review.verdict, review.closed)
        assert ended in (None, end), "what has ended stays as it is"
        assert (review.queued_at is None) == (end != (None, None))
        assert None in end
        if end != (None, None):
            ended = end
    told = {row["action"] for row in published(ports, TOPIC)}
    labels = {(row["label"], row["by"]) for row in published(ports, "fraud-labels") if row["source"] == "manual_review"}
    verdict = stored(ports, review_id).verdict
    assert told == ({verdict.action} if verdict else set())
    assert labels == ({(verdict.label, verdict.by)} if verdict and verdict.label else set())


# What is shown


def test_a_case_is_seen_as_it_was_decided_on_and_as_it_is_now(ports: Ports) -> None:
    for number in range(3):
        score(ports, a_payment_event(payment_id=f"pi_b{number}", occurred_at=NOON - DAY))
    review_id = sent_to_review(ports)
    for number in range(2):
        at = NOON + HOUR
        score(ports, a_payment_event(payment_id=f"pi_a{number}", occurred_at=at), at)
    seen = view(ports.documents, review_id, NOON + HOUR)
    assert (seen.decision.outcome, seen.reasons) == (Outcome.REVIEW, ("failed authentication",))
    [card] = [one for one in seen.entities if one.entity == "card"]
    then = next(one.value for one in seen.decision.features if one.name == "card_payments_7d")
    assert (then, card.counts["payments"], card.last_seen_at, card.last_seen) == (3, 6, NOON - DAY, NOON + HOUR)


def test_the_trail_keeps_what_is_newest(ports: Ports) -> None:
    review = stored(ports, sent_to_review(ports))
    for minute in range(MOST_STEPS):
        by = (ANA, BEN)[minute % 2]
        review = review.claimed(by, NOON + minute * HOUR, NOON + minute * HOUR + LEASE)
        review = review.released(by, NOON + minute * HOUR, "not mine")
    assert len(review.trail) == MOST_STEPS
    assert review.trail[-1].at == NOON + (MOST_STEPS - 1) * HOUR
