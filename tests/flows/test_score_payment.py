"""Scoring, for real on SQLite: once per payment, whatever comes twice, late, or at the same moment."""

import contextlib
import hashlib
import json
import logging
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from itertools import permutations
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.backends.tables import columns
from shared.domain.codec import decode, encode
from shared.domain.decisions import Decision, Fallback, Outcome
from shared.domain.errors import Conflict, Misconfigured, Unavailable
from shared.domain.events import AnyEvent, DisputeChanged, DisputeReason, DisputeStage, DisputeStatus, PaymentStep
from shared.domain.money import Money
from shared.flows.decisions import PACKED, of_stored
from shared.flows.judged import FORGOTTEN_AFTER
from shared.flows.ports import Create, Key, Message, Ports, Replace, Write
from shared.flows.score_payment import score_payment
from shared.flows.scorer import CHAMPION, Scorer
from shared.flows.train_model import COLUMNS
from shared.fraud.decide import recompute
from shared.fraud.features import NEW, SCHEMA_VERSION, Grain
from shared.fraud.model import Model, load
from tests.builders import (
    DAY,
    HOUR,
    MINUTE,
    NOON,
    SECOND,
    a_card,
    a_dispute_event,
    a_finding,
    a_fraud_warning,
    a_payment_event,
    a_payout_event,
    eur,
)
from tests.flows.counting import Counting
from tests.fraud.forests import artifact, fitted
from tests.local import everything, local_ports, published, wipe

COLLECTIONS = ("decisions", "known_frauds", "fraud_claims", "feature_state")
TOPIC = "fraud-decisions"


def by_rules() -> Scorer:
    return Scorer(use_model=False)


def score(ports: Ports, *events: AnyEvent, scorer: Scorer | None = None) -> list[Decision]:
    """What is published when `events` come in this order, a second after each occurred."""
    scorer = scorer or by_rules()
    for event in events:
        score_payment(event, ports, event.occurred_at + SECOND, scorer)
    return decisions(ports)


def decisions(ports: Ports) -> list[Decision]:
    """Without those that are told again for what is claimed of their payments."""
    rows = [row for row in published(ports, TOPIC) if not row["claims_revision"]]
    return [decode(msgspec.json.encode(row), Decision) for row in rows]


def labels(ports: Ports) -> dict[str, str | None]:
    """Since when each payment counts as fraud, by the latest word of all that was published."""
    rows = sorted(published(ports, TOPIC), key=lambda row: row["claims_revision"])
    return {row["event_id"]: row["fraud_reported_at"] for row in rows}


def values(decision: Decision) -> dict[str, float | None]:
    return {feature.name: feature.value for feature in decision.features}


def codes(decision: Decision) -> list[str]:
    return [reason.code for reason in decision.reasons if reason.source == "rule"]


def a_model(ports: Ports, iterations: int = 20, **changes: Any) -> str:
    """Store a model on our own features, fitted on noise; answers its digest."""
    content = json.loads(artifact(COLUMNS, fitted(COLUMNS, iterations=iterations))) | changes
    return ports.models.store(json.dumps(content).encode())


def crown(ports: Ports, digest: str) -> None:
    [before] = ports.documents.get([CHAMPION])
    document = {"digest": digest, "since": NOON, "former": []}
    ports.documents.commit([Replace(CHAMPION, document, before.version) if before else Create(CHAMPION, document)])


# Once.


def test_a_first_payment_is_approved_and_says_that_nothing_was_known(ports: Ports) -> None:
    [decision] = score(ports, a_payment_event())
    assert (decision.outcome, decision.score, decision.fallback) == (Outcome.APPROVE, None, Fallback.NO_MODEL)
    assert values(decision)["card_payments_30d"] is None
    assert values(decision)["amount"] == 1999
    assert {part.entity: part.state for part in decision.history} == {
        "card": "new",
        "customer": "new",
        "device": "new",
        "ip": "new",
        "email_domain": "new",
    }


def test_the_same_event_again_publishes_the_same_record_and_counts_nothing(ports: Ports) -> None:
    event = a_payment_event()
    first, again = score(ports, event), []
    state = everything(ports, COLLECTIONS)
    score_payment(event, ports, NOON + 30 * DAY, by_rules())
    again = decisions(ports)
    assert again == first
    assert everything(ports, COLLECTIONS) == state


def test_other_events_of_a_payment_change_nothing(ports: Ports) -> None:
    [first] = score(ports, a_payment_event(PaymentStep.AUTHORIZED))
    before = everything(ports, COLLECTIONS)
    assert score(ports, a_dispute_event(reason=DisputeReason.NOT_RECEIVED)) == []
    state = everything(ports, COLLECTIONS)
    assert set(state) - {Key("fraud_claims", "stripe:dp_1")} == set(before)
    assert score(ports, a_payment_event(PaymentStep.CAPTURED), a_payment_event(PaymentStep.REFUNDED)) == []
    assert score(ports, a_payout_event()) == []
    assert everything(ports, COLLECTIONS) == state
    assert first.event_id


def test_fifty_copies_at_the_same_moment_have_one_effect(ports: Ports) -> None:
    event = a_payment_event(aliases=("ch_1",))
    with ThreadPoolExecutor(50) as threads:
        for _ in threads.map(lambda _: score_payment(event, ports, NOON + SECOND, by_rules()), range(50)):
            pass
    assert len({encode(decision) for decision in decisions(ports)}) == 1
    state = everything(ports, COLLECTIONS)
    assert state[Key("feature_state", "card:fp_1")]["ever"]["payments"] == 1


def test_payments_of_one_card_at_the_same_moment_all_count(ports: Ports) -> None:
    events = [a_payment_event(payment_id=f"pi_{n}", occurred_at=NOON + n * SECOND) for n in range(40)]
    with ThreadPoolExecutor(20) as threads:
        for _ in threads.map(lambda event: score_payment(event, ports, NOON + HOUR, by_rules()), events):
            pass
    assert len(decisions(ports)) == 40
    card = everything(ports, COLLECTIONS)[Key("feature_state", "card:fp_1")]
    assert card["ever"]["payments"] == 40
    [later] = score(ports, a_payment_event(payment_id="pi_later", occurred_at=NOON + 30 * MINUTE))
    assert values(later)["card_payments_1h"] == 40


def test_a_payment_costs_one_read_and_one_commit(ports: Ports) -> None:
    digest = a_model(ports)
    crown(ports, digest)
    scorer = Scorer()
    scorer.start(ports, NOON)
    counting = Counting(ports.documents)
    counted = replace(ports, documents=counting)
    score_payment(a_payment_event(), counted, NOON + 5 * MINUTE, scorer)
    assert (counting.reads, counting.commits) == (1, 1)
    # The decision, five entities, and of the registry the champion and the book because a minute has passed.
    assert counting.documents == 8
    score_payment(a_payment_event(payment_id="pi_2"), counted, NOON + 5 * MINUTE + SECOND, scorer)
    assert (counting.reads, counting.commits, counting.documents) == (2, 2, 14)
    score_payment(a_fraud_warning(payment_id="pi_2"), counted, NOON + 6 * MINUTE, scorer)
    assert counting.commits == 3
    # One more after the commit: what is claimed of the payment, to publish it with its decision.
    assert counting.reads <= 5


# Never lost.


class Breaking:
    """Documents or a bus that break down at one step: before it (nothing happened) or after it (nobody was told)."""

    def __init__(self, inner: Any, method: str, *, after: bool) -> None:
        self._inner, self._method, self._after = inner, method, after

    def __getattr__(self, name: str) -> Any:
        inner = getattr(self._inner, name)

        def broken(*arguments: Any) -> Any:
            if self._after:
                inner(*arguments)
            raise Unavailable("down")

        return broken if name == self._method else inner


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("step", ["get", "commit", "publish"])
def test_a_breakdown_at_any_step_is_made_good_by_redelivery(step: str, after: bool, tmp_path: Path) -> None:
    smooth, rough = local_ports(tmp_path / "smooth"), local_ports(tmp_path / "rough")
    events: list[AnyEvent] = [a_fraud_warning(payment_id="pi_1"), a_payment_event(), a_payment_event(payment_id="pi_2")]
    broken = Breaking(rough.bus if step == "publish" else rough.documents, step, after=after)
    down = replace(rough, bus=broken) if step == "publish" else replace(rough, documents=broken)
    for event in events:
        score_payment(event, smooth, NOON + SECOND, by_rules())
        if step != "publish" or not isinstance(event, type(events[0])):
            with pytest.raises(Unavailable):
                score_payment(event, down, NOON + SECOND, by_rules())
        score_payment(event, rough, NOON + SECOND, by_rules())
    assert everything(rough, COLLECTIONS) == everything(smooth, COLLECTIONS)
    assert {encode(decision) for decision in decisions(rough)} == {encode(decision) for decision in decisions(smooth)}


# Any order.


@st.composite
def a_shop_hour(draw: st.DrawFn) -> tuple[list[AnyEvent], list[AnyEvent]]:
    """Payments of few cards and devices within an hour, news of fraud on them, and a delivery of it in any order."""
    events: list[AnyEvent] = []
    for number in range(draw(st.integers(1, 4))):
        few = st.integers(0, 1)
        payment = a_payment_event(
            payment_id=f"pi_{number}",
            aliases=(f"ch_{number}",),
            occurred_at=NOON + draw(st.integers(0, 50)) * MINUTE,
            card=a_card(fingerprint=f"fp_{draw(few)}"),
            device_id=f"dev_{draw(few)}",
        )
        told = st.integers(-1, 5).map(lambda days: NOON + days * DAY)
        names = st.sampled_from([{"payment_id": f"pi_{number}"}, {"payment_id": f"ch_{number}"}])
        unnamed = st.just({"payment_id": None})
        reports = st.sampled_from([a_fraud_warning, a_finding])
        news = st.builds(lambda report, at, name: report(occurred_at=at, **name), reports, told, names) | st.builds(
            lambda at, dispute_id, name, stage, status, final, reason: a_dispute_event(
                occurred_at=at,
                dispute_id=dispute_id,
                stage=stage,
                status=status,
                final=final,
                reason=reason,
                **name,
            ),
            told,
            st.just(f"dp_{number}"),
            names | unnamed,
            st.sampled_from([None, *DisputeStage]),
            st.sampled_from([None, *DisputeStatus]),
            st.booleans(),
            st.sampled_from([None, DisputeReason.FRAUD, DisputeReason.FRAUD, DisputeReason.DUPLICATE]),
        )
        events += [payment, *draw(st.lists(news, max_size=4))]
    copies = draw(st.lists(st.sampled_from(events), max_size=4))
    return events, draw(st.permutations(events + copies))


def told_in_any_order(ports: Ports, events: Sequence[AnyEvent]) -> dict[Key, Any]:
    """What `events` leave behind, apart from what each payment saw, and from when a pair was found to be new: both
    are as of the moment at which it was judged."""
    for event in events:
        score_payment(event, ports, NOON + 6 * DAY, by_rules())
    left: dict[Key, Any] = wipe(ports, COLLECTIONS)
    wipe(ports, ("reviews",))
    for key, document in left.items():
        if key.collection == "decisions":
            left[key] = of_stored(document).event_id if PACKED in document else document
        if "ever" in document:
            document["ever"] = {measure: number for measure, number in document["ever"].items() if number}
        for grain in set(Grain) & set(document):
            counted = {
                index: {measure: number for measure, number in bucket.items() if number and measure not in NEW.values()}
                for index, bucket in document[grain].items()
            }
            # Nothing is the same as a count of 0.
            document[grain] = {index: bucket for index, bucket in counted.items() if bucket}
    return left


@settings(max_examples=60, deadline=None)
@given(a_shop_hour())
def test_any_order_and_any_repetition_of_payments_and_news_leaves_the_same_history(
    shared_ports: Ports, hour: tuple[list[AnyEvent], list[AnyEvent]]
) -> None:
    events, delivered = hour
    assert told_in_any_order(shared_ports, events) == told_in_any_order(shared_ports, delivered)


def test_many_reports_of_one_fraud_at_the_same_moment_count_once_at_the_earliest(ports: Ports) -> None:
    score(ports, a_payment_event())
    reports = [a_fraud_warning(occurred_at=NOON + days * DAY) for days in range(5)] * 10
    with ThreadPoolExecutor(50) as pool:
        list(pool.map(lambda report: score_payment(report, ports, NOON + 6 * DAY, by_rules()), reports))
    state = everything(ports, COLLECTIONS)
    assert state[Key("known_frauds", "stripe:pi_1")]["known_at"] == NOON
    card = state[Key("feature_state", "card:fp_1")]
    assert card["ever"]["frauds"] == 1
    assert [bucket["frauds"] for bucket in card["days"].values() if bucket.get("frauds")] == [1]


def test_news_of_fraud_does_not_age_the_payments_that_are_still_on_their_way(ports: Ports) -> None:
    news = a_fraud_warning(payment_id="pi_2", occurred_at=NOON + DAY)
    late, later = (a_payment_event(payment_id=f"pi_{n}", occurred_at=NOON + n * 10 * MINUTE) for n in (2, 3))
    *_, last = score(ports, a_payment_event(), news, late, later)
    assert values(last)["card_payments_1h"] == 2


@pytest.mark.parametrize("order", list(permutations(range(4))), ids=str)
def test_fraud_counts_once_for_each_payment_whichever_comes_first(order: Sequence[int], ports: Ports) -> None:
    events: list[AnyEvent] = [
        a_payment_event(aliases=("ch_1",)),
        a_fraud_warning(payment_id="ch_1", occurred_at=NOON + DAY),
        a_dispute_event(payment_id="pi_1", payment_aliases=("ch_1",), occurred_at=NOON + 2 * DAY),
        a_payment_event(PaymentStep.AUTHORIZED, aliases=("ch_1",), occurred_at=NOON - SECOND),
    ]
    for index in (*order, *order):
        score_payment(events[index], ports, NOON + 3 * DAY, by_rules())
    state = everything(ports, COLLECTIONS)
    assert state[Key("known_frauds", "stripe:pi_1")]["known_at"] == NOON + DAY
    for name in ("card:fp_1", "device:dev_1", "ip:203.0.113.7", "email_domain:example.com"):
        days = state[Key("feature_state", name)]["days"]
        assert sum(bucket.get("frauds", 0) for bucket in days.values()) == 1
    assert state[Key("feature_state", "customer:cus_1")]["ever"]["frauds"] == 1
    assert state[Key("feature_state", "card:fp_1")]["ever"]["payments"] == 1


def test_another_payment_after_known_fraud_is_reviewed_and_says_why(ports: Ports) -> None:
    _, decision = score(
        ports,
        a_payment_event(),
        a_fraud_warning(occurred_at=NOON + DAY),
        a_payment_event(payment_id="pi_2", occurred_at=NOON + 2 * DAY),
    )
    assert decision.outcome is Outcome.REVIEW
    assert codes(decision)[0] == "known_fraud_on_card"


@pytest.mark.parametrize(
    "event",
    [
        a_dispute_event(stage=DisputeStage.INQUIRY, occurred_at=NOON + DAY),
        a_dispute_event(reason=DisputeReason.NOT_RECEIVED, occurred_at=NOON + DAY),
        a_dispute_event(payment_id=None, occurred_at=NOON + DAY),
    ],
)
def test_a_question_another_claim_or_an_unnamed_payment_is_no_known_fraud(event: AnyEvent, ports: Ports) -> None:
    _, later = score(ports, a_payment_event(), event, a_payment_event(payment_id="pi_2", occurred_at=NOON + 2 * DAY))
    assert values(later)["card_frauds_ever"] == 0


@pytest.mark.parametrize("stage", [DisputeStage.INQUIRY, None])
@pytest.mark.parametrize("end", [DisputeStatus.LOST, DisputeStatus.ACCEPTED])
def test_an_inquiry_into_fraud_that_ends_for_the_customer_is_known_fraud(
    stage: DisputeStage | None, end: DisputeStatus, ports: Ports
) -> None:
    asked = a_dispute_event(stage=DisputeStage.INQUIRY, occurred_at=NOON + DAY)
    ended = a_dispute_event(stage=stage, status=end, reason=None, occurred_at=NOON + 2 * DAY)
    next_one = a_payment_event(payment_id="pi_2", occurred_at=NOON + 3 * DAY)
    assert "known_fraud_on_card" in codes(score(ports, a_payment_event(), asked, ended, next_one)[-1])


# Fraud that was disproved.


def renewal(ports: Ports, at: timedelta) -> Decision:
    """The decision on the cardholder's next payment."""
    number = len(everything(ports, ("decisions",)))
    return score(ports, a_payment_event(payment_id=f"renewal_{number}", occurred_at=NOON + at))[-1]


WON = {"status": DisputeStatus.WON, "occurred_at": NOON + 30 * DAY}


@pytest.mark.parametrize(
    ("ending", "stands"),
    [
        (WON, False),
        ({**WON, "payment_id": None, "reason": None}, False),
        ({**WON, "status": DisputeStatus.CLOSED}, False),
        ({**WON, "final": False}, True),
        ({**WON, "status": DisputeStatus.LOST}, True),
        ({**WON, "status": DisputeStatus.ACCEPTED}, True),
        ({**WON, "status": DisputeStatus.UNDER_REVIEW}, True),
        ({**WON, "status": DisputeStatus.EXPIRED}, True),
        ({**WON, "status": None}, True),
        ({**WON, "occurred_at": NOON}, True),  # older than the chargeback that we know of
        ({**WON, "dispute_id": "dp_2"}, True),  # of another dispute
        ({**WON, "reason": DisputeReason.NOT_RECEIVED, "status": None}, False),  # it was never about fraud
    ],
)
def test_a_fraud_dispute_that_was_won_for_good_or_withdrawn_stops_no_renewal(
    ending: dict[str, Any], stands: bool, ports: Ports
) -> None:
    score(ports, a_payment_event(), a_dispute_event(occurred_at=NOON + DAY))
    during = renewal(ports, 10 * DAY)
    assert during.outcome is Outcome.REVIEW
    assert codes(during) == ["known_fraud_on_card", "known_fraud_on_device", "known_fraud_of_customer"]
    score(ports, a_dispute_event(**ending))
    after = renewal(ports, 31 * DAY)
    assert (after.outcome is not Outcome.APPROVE) is stands
    assert values(after)["card_frauds_ever"] == values(after)["customer_frauds_ever"] == int(stands)
    if not stands:
        assert values(after)["card_frauds_30d"] == values(after)["device_frauds_30d"] == 0


def test_a_claim_that_is_made_again_stops_again(ports: Ports) -> None:
    again = {**WON, "stage": DisputeStage.PRE_ARBITRATION, "status": DisputeStatus.NEEDS_RESPONSE}
    told: list[tuple[DisputeChanged, bool]] = [
        (a_dispute_event(occurred_at=NOON + DAY), True),
        (a_dispute_event(**WON), False),
        (a_dispute_event(**{**again, "occurred_at": NOON + 40 * DAY}), True),
        (a_dispute_event(**{**WON, "occurred_at": NOON + 50 * DAY}), False),
        (a_dispute_event(**{**again, "status": DisputeStatus.LOST, "occurred_at": NOON + 60 * DAY}), True),
    ]
    score(ports, a_payment_event())
    for event, stands in told:
        score(ports, event)
        assert (codes(renewal(ports, 61 * DAY)) != []) is stands


def test_what_a_dispute_came_to_is_the_same_in_every_order(ports: Ports) -> None:
    events: list[AnyEvent] = [
        a_payment_event(aliases=("ch_1",)),
        a_dispute_event(payment_id="ch_1", occurred_at=NOON + DAY),
        a_dispute_event(payment_id=None, stage=DisputeStage.PRE_ARBITRATION, occurred_at=NOON + 2 * DAY, reason=None),
        a_dispute_event(payment_id=None, status=DisputeStatus.WON, occurred_at=NOON + 3 * DAY, reason=None),
        a_fraud_warning(payment_id="pi_1", occurred_at=NOON + 12 * HOUR),
    ]
    left = [told_in_any_order(ports, [*order, *order[:2]]) for order in permutations(events)]
    assert all(documents == left[0] for documents in left)
    assert "frauds" not in left[0][Key("feature_state", "card:fp_1")]["ever"]


@pytest.mark.parametrize(("reported", "stands"), [(0.5 * DAY, False), (29 * DAY, False), (31 * DAY, True)])
@pytest.mark.parametrize("report", [a_fraud_warning, a_finding])
def test_a_report_falls_with_the_dispute_that_answered_it_and_a_later_one_stands(
    reported: timedelta, stands: bool, report: Callable[..., AnyEvent], ports: Ports
) -> None:
    warning = report(occurred_at=NOON + reported)
    score(ports, a_payment_event(), a_dispute_event(occurred_at=NOON + DAY), warning)
    assert codes(renewal(ports, 2 * DAY))
    score(ports, a_dispute_event(**WON))
    assert bool(codes(renewal(ports, 40 * DAY))) is stands


def test_a_report_stands_whatever_becomes_of_a_dispute_about_something_else(ports: Ports) -> None:
    other = {"reason": DisputeReason.NOT_RECEIVED}
    score(ports, a_payment_event(), a_fraud_warning(), a_dispute_event(**other), a_dispute_event(**WON, **other))
    assert codes(renewal(ports, 40 * DAY))[0] == "known_fraud_on_card"


def test_another_fraud_dispute_of_the_payment_stands_when_one_was_won(ports: Ports) -> None:
    second = a_dispute_event(dispute_id="dp_2", occurred_at=NOON + 2 * DAY)
    score(ports, a_payment_event(), a_dispute_event(occurred_at=NOON + DAY), second, a_dispute_event(**WON))
    assert values(renewal(ports, 40 * DAY))["card_frauds_ever"] == 1


@pytest.mark.parametrize("stage", [*DisputeStage, None])
def test_a_prevented_fraud_dispute_is_known_fraud_at_whatever_stage_the_provider_puts_it(
    stage: DisputeStage | None, ports: Ports
) -> None:
    prevented = a_dispute_event(stage=stage, status=DisputeStatus.PREVENTED, occurred_at=NOON + DAY)
    score(ports, a_payment_event(), prevented)
    assert codes(renewal(ports, 2 * DAY))[0] == "known_fraud_on_card"


def test_a_payment_by_another_name_is_the_same_payment(ports: Ports) -> None:
    authorized = a_payment_event(PaymentStep.AUTHORIZED, payment_id="auth_1")
    captured = a_payment_event(payment_id="capture_1", aliases=("auth_1",))
    news = a_fraud_warning(payment_id="capture_1", occurred_at=NOON + DAY)
    assert len(score(ports, authorized, captured, news)) == 1
    assert everything(ports, COLLECTIONS)[Key("feature_state", "card:fp_1")]["ever"] == {
        "payments": 1,
        "amount": 1999,
        "frauds": 1,
    }


# What is counted.


def test_windows_reach_back_in_event_time_and_no_further(ports: Ports) -> None:
    before = [NOON - ago for ago in (31 * DAY, 8 * DAY, 2 * DAY, 2 * HOUR, 10 * MINUTE)]
    score(ports, *(a_payment_event(payment_id=f"pi_{n}", occurred_at=at) for n, at in enumerate(before)))
    [decision] = score(ports, a_payment_event(payment_id="pi_now"))
    found = values(decision)
    assert [found[f"card_payments_{window}"] for window in ("1h", "24h", "7d", "30d")] == [1, 2, 3, 4]
    assert found["since_last_of_card"] == 600
    assert found["since_first_of_card"] == 31 * 86400


@pytest.mark.parametrize(
    ("window", "inside", "outside"),
    [
        ("1h", 55 * MINUTE, 55 * MINUTE + SECOND),
        ("24h", 23 * HOUR, 23 * HOUR + SECOND),
        ("7d", 6 * DAY + 12 * HOUR, 6 * DAY + 12 * HOUR + SECOND),
        ("30d", 29 * DAY + 12 * HOUR, 29 * DAY + 12 * HOUR + SECOND),
    ],
)
def test_a_window_ends_with_its_oldest_bucket(window: str, inside: timedelta, outside: timedelta, ports: Ports) -> None:
    [*_, decision] = score(
        ports,
        a_payment_event(payment_id="pi_1", occurred_at=NOON - outside),
        a_payment_event(payment_id="pi_2", occurred_at=NOON - inside),
        a_payment_event(payment_id="pi_3"),
    )
    assert values(decision)[f"card_payments_{window}"] == 1


def test_a_late_payment_sees_nothing_of_what_happened_after_it(ports: Ports) -> None:
    late = a_payment_event(payment_id="pi_late", occurred_at=NOON - 2 * DAY)
    _, decision = score(ports, a_payment_event(), late)
    assert values(decision)["card_payments_24h"] == 0
    assert values(decision)["since_last_of_card"] == 0


def test_old_buckets_are_dropped(ports: Ports) -> None:
    for day in range(100):
        score(ports, a_payment_event(payment_id=f"pi_{day}", occurred_at=NOON + day * DAY))
    card = everything(ports, COLLECTIONS)[Key("feature_state", "card:fp_1")]
    assert len(card["days"]) <= 31
    assert len(card["hours"]) <= 2
    assert card["ever"]["payments"] == 100


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
def test_history_is_kept_for_four_hundred_days_after_the_latest_payment_whichever_comes_first(
    order: Sequence[int], ports: Ports
) -> None:
    days = (0, 3, 7)
    events = [a_payment_event(payment_id=f"pi_{day}", occurred_at=NOON + day * DAY) for day in days]
    score(ports, *(events[place] for place in order))
    kept = {
        document["expires_at"] for key, document in everything(ports, COLLECTIONS).items() if key[0] == "feature_state"
    }
    midnight = NOON.replace(hour=0)
    assert kept == {midnight + 7 * DAY + FORGOTTEN_AFTER}


def test_the_amount_is_measured_against_the_customers_own_in_any_currency(ports: Ports) -> None:
    usual = [
        a_payment_event(payment_id=f"pi_{n}", amount=Money(3000, "JPY"), occurred_at=NOON - n * DAY)
        for n in range(5, 0, -1)
    ]
    [*_, decision] = score(ports, *usual, a_payment_event(payment_id="pi_now", amount=eur(18300)))
    assert values(decision)["amount_over_customer_mean"] == pytest.approx(10)
    assert values(decision)["amount_deviation_of_customer"] == pytest.approx(36)


def test_cards_tried_on_one_device_are_seen_as_card_testing(ports: Ports) -> None:
    tried = [
        a_payment_event(
            PaymentStep.DECLINED if n % 2 else PaymentStep.CAPTURED,
            payment_id=f"pi_{n}",
            customer_id=f"cus_{n}",
            card=a_card(fingerprint=f"fp_{n}"),
            amount=eur(100),
            occurred_at=NOON + n * MINUTE,
        )
        for n in range(7)
    ]
    [*_, last] = score(ports, *tried)
    assert "card_testing_on_device" in codes(last)
    assert last.outcome is Outcome.DECLINE


def test_a_free_mail_domain_keeps_no_history(ports: Ports) -> None:
    [decision] = score(ports, a_payment_event(email_domain="gmail.com"))
    assert values(decision)["free_mail"] == 1
    assert {part.entity: part.state for part in decision.history}["email_domain"] == "shared"
    assert Key("feature_state", "email_domain:gmail.com") not in everything(ports, COLLECTIONS)


def test_names_of_any_length_and_script_are_kept_apart(ports: Ports) -> None:
    odd = a_payment_event(customer_id="c" * 5000, device_id="d/\x00\u202e`.", ip="::1%" + "x" * 900)
    assert len(score(ports, odd, replace(odd, payment_id="pi_2", event_id="stripe:acct_1:odd"))) == 2


# The model.


def test_a_model_scores_and_its_reasons_are_named(ports: Ports) -> None:
    digest = a_model(ports)
    crown(ports, digest)
    [decision] = score(ports, a_payment_event(), scorer=Scorer())
    assert decision.model_digest == digest
    assert decision.score is not None
    assert 0 < decision.score < 1
    assert decision.fallback is None
    assert {reason.code for reason in decision.reasons if reason.source == "model"} <= set(COLUMNS)
    weights = [reason.weight for reason in decision.reasons if reason.weight is not None]
    assert weights == sorted(weights, reverse=True)


def test_a_stored_decision_computed_again_gives_the_same_bytes(ports: Ports) -> None:
    digest = a_model(ports)
    crown(ports, digest)
    events = [a_payment_event(payment_id=f"pi_{n}", occurred_at=NOON + n * MINUTE, amount=eur(n)) for n in range(5)]
    model: Model = load(ports.models.load(digest), digest)
    for by, made in ((model, score(ports, *events, scorer=Scorer())),):
        for decision in made:
            blank = replace(decision, outcome=Outcome.REVIEW, score=0.5, raw_score=None, reasons=())
            assert encode(recompute(blank, by)) == encode(decision)
    wipe(ports)
    with pytest.raises(ValueError, match="other versions"):
        recompute(decision, None)


def test_a_decision_by_rules_alone_can_be_computed_again_too(ports: Ports) -> None:
    [decision] = score(ports, a_payment_event(decline_code="stolen_card", step=PaymentStep.DECLINED))
    assert codes(decision) == ["card_reported_stolen"]
    assert encode(recompute(replace(decision, outcome=Outcome.APPROVE, reasons=()), None)) == encode(decision)


def test_until_a_first_champion_rules_decide_and_every_look_alarms_and_then_it_decides(
    ports: Ports, caplog: pytest.LogCaptureFixture
) -> None:
    scorer = Scorer()
    scorer.start(ports, NOON)

    def at(payment_id: str, later: timedelta) -> AnyEvent:
        return a_payment_event(payment_id=payment_id, occurred_at=NOON + later)

    [early] = score(ports, at("pi_1", 30 * SECOND), scorer=scorer)
    assert (early.model_digest, early.fallback) == (None, Fallback.NO_MODEL)
    [later] = score(ports, at("pi_2", 90 * SECOND), scorer=scorer)
    assert (later.model_digest, later.fallback) == (None, Fallback.NO_MODEL)
    alarms = [(record.message, record.fields) for record in caplog.records if record.levelno >= logging.ERROR]  # type: ignore[attr-defined]
    lacking = ("scoring_without_model", {"reason": "no_champion", "schema_version": SCHEMA_VERSION})
    assert alarms == [lacking] * 2  # at the start and a minute later

    crown(ports, first := a_model(ports))
    [decided] = score(ports, at("pi_3", 3 * MINUTE), scorer=scorer)
    assert (decided.model_digest, decided.fallback) == (first, None)


def test_rules_alone_decide_within_a_minute_of_an_operators_word_and_the_champion_again(
    ports: Ports, caplog: pytest.LogCaptureFixture
) -> None:
    crown(ports, digest := a_model(ports))
    scorer = Scorer()
    scorer.start(ports, NOON)

    def decided(payment_id: str, later: timedelta) -> str | None:
        [decision] = score(ports, a_payment_event(payment_id=payment_id, occurred_at=NOON + later), scorer=scorer)
        return decision.model_digest

    def say(*, alone: bool) -> None:
        [champion] = ports.documents.get([CHAMPION])
        assert champion is not None
        ports.documents.commit([Replace(CHAMPION, {**champion.document, "rules_alone": alone}, champion.version)])

    assert decided("pi_1", 5 * SECOND) == digest
    say(alone=True)
    assert decided("pi_2", 65 * SECOND) is None
    assert decided("pi_3", 70 * SECOND) is None  # without another look
    say(alone=False)
    assert decided("pi_4", 130 * SECOND) == digest
    alarms = [(record.message, record.fields) for record in caplog.records if record.levelno >= logging.ERROR]  # type: ignore[attr-defined]
    assert alarms == [("scoring_without_model", {"reason": "rules_alone"})]


def test_a_new_champion_decides_within_a_minute(ports: Ports) -> None:
    old, new = a_model(ports), a_model(ports, iterations=21)
    crown(ports, old)
    scorer = Scorer()
    scorer.start(ports, NOON)
    crown(ports, new)
    first, second = score(
        ports,
        a_payment_event(payment_id="pi_1", occurred_at=NOON + 30 * SECOND),
        a_payment_event(payment_id="pi_2", occurred_at=NOON + 90 * SECOND),
        scorer=scorer,
    )
    assert (first.model_digest, second.model_digest) == (old, new)


def test_a_champion_that_cannot_be_loaded_is_alarmed_and_the_old_one_goes_on(
    ports: Ports, caplog: pytest.LogCaptureFixture
) -> None:
    old, foreign = a_model(ports), a_model(ports, schema_version="0" * 16)
    crown(ports, old)
    scorer = Scorer()
    scorer.start(ports, NOON)
    crown(ports, foreign)
    [decision] = score(ports, a_payment_event(occurred_at=NOON + 2 * MINUTE), scorer=scorer)
    assert decision.model_digest == old
    assert [(record.message, record.levelno) for record in caplog.records if record.levelno >= logging.ERROR] == [
        ("champion_not_loaded", logging.ERROR)
    ]


def test_a_model_whose_bytes_were_changed_is_never_loaded(ports: Ports) -> None:
    data = artifact(COLUMNS, fitted(COLUMNS, iterations=20))
    digest = hashlib.sha256(b"something else").hexdigest()

    class Changed:
        def load(self, _: str) -> bytes:
            return data

        def store(self, _: bytes) -> str:
            raise AssertionError

    crown(ports, digest)
    with pytest.raises(Misconfigured, match="damaged"):
        Scorer().start(replace(ports, models=Changed()), NOON)


# What is published.


def test_the_message_names_what_subscribers_filter_by(ports: Ports) -> None:
    sent: list[Message] = []

    class Recording:
        def publish(self, messages: Sequence[Message]) -> None:
            sent.extend(messages)

    event = a_payment_event()
    score_payment(event, replace(ports, bus=Recording()), NOON, by_rules())
    assert sent[0].topic == TOPIC
    assert sent[0].attributes == {
        "kind": "decision",
        "outcome": "approve",
        "provider": "stripe",
        "event_id": event.event_id,
        "payment_id": "pi_1",
    }


def test_every_member_of_a_decision_has_its_column(ports: Ports) -> None:
    score_payment(a_payment_event(), ports, NOON, by_rules())
    [row] = published(ports, TOPIC)

    def missing(value: Any, of: Any, path: str) -> list[str]:
        known = {column.name: column for column in of}
        found = []
        for name, inner in value.items():
            if name not in known:
                found.append(f"{path}{name}")
            elif known[name].fields:
                for item in inner if isinstance(inner, list) else [inner] if inner else []:
                    found += missing(item, known[name].fields, f"{path}{name}.")
        return found

    assert missing(row, columns("fraud_decisions"), "") == []
    ports.warehouse.append("fraud_decisions", [row])
    [back] = ports.warehouse.query("SELECT payment_id, occurred_at, features FROM fraud_decisions")
    assert (back["payment_id"], back["occurred_at"]) == ("pi_1", NOON)
    assert [feature["value"] for feature in back["features"]] == [feature["value"] for feature in row["features"]]


def test_nothing_personal_is_logged(ports: Ports, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    event = a_payment_event()
    score(ports, event, a_fraud_warning(occurred_at=NOON + DAY))
    logged = " ".join(str(record.__dict__) for record in caplog.records)
    for secret in (event.ip, event.email_hash, event.email_domain, "fp_1", event.device_id, event.customer_id):
        assert str(secret) not in logged
    assert "payment_judged" in logged


def test_contention_without_end_is_times_turn(ports: Ports, monkeypatch: pytest.MonkeyPatch) -> None:
    class Contended(Counting):
        def commit(self, writes: Sequence[Write]) -> None:
            raise Conflict("somebody was first")

    monkeypatch.setattr("shared.flows.committing._LONGEST_WAIT", 0.0)
    contended = Contended(ports.documents)
    with pytest.raises(Unavailable):
        score_payment(a_payment_event(), replace(ports, documents=contended), NOON + timedelta(1), by_rules())


# What is claimed of a payment is published with its decision: that is what training learns from.

PAID = a_payment_event(PaymentStep.AUTHORIZED, payment_id="auth_1", event_id="stripe:a:paid")
RENAMED = a_payment_event(payment_id="capture_1", aliases=("auth_1",), event_id="stripe:a:renamed")
WARNED = a_fraud_warning(payment_id="capture_1", occurred_at=NOON + DAY, event_id="stripe:a:warned")


@pytest.mark.parametrize("order", list(permutations((PAID, RENAMED, WARNED))), ids=str)
@pytest.mark.parametrize("again", [PAID, RENAMED, WARNED], ids=lambda event: event.event_id)
def test_every_order_of_a_payment_its_other_name_and_its_news_labels_it(
    order: Sequence[AnyEvent], again: AnyEvent, ports: Ports
) -> None:
    for event in (*order, again):
        score_payment(event, ports, NOON + 2 * DAY, by_rules())
    told = labels(ports)
    decided = next(event.event_id for event in order if event is not WARNED)
    assert told == {decided: "2026-11-03T12:00:00Z"}


@pytest.mark.parametrize("order", list(permutations((PAID, RENAMED, WARNED))), ids=str)
def test_a_label_survives_a_bus_that_is_down_whenever_an_event_first_comes(
    order: Sequence[AnyEvent], ports: Ports
) -> None:
    class Down:
        def publish(self, messages: Sequence[Message]) -> None:
            raise Unavailable("down")

    for event in order:
        with contextlib.suppress(Unavailable):
            score_payment(event, replace(ports, bus=Down()), NOON + 2 * DAY, by_rules())
        score_payment(event, ports, NOON + 2 * DAY, by_rules())
    assert set(labels(ports).values()) == {"2026-11-03T12:00:00Z"}


@pytest.mark.parametrize("order", list(permutations((PAID, RENAMED, WARNED))), ids=str)
def test_by_whatever_name_fraud_is_claimed_the_decision_tells_it(order: Sequence[AnyEvent], ports: Ports) -> None:
    for event in order:
        score_payment(event, ports, NOON + 2 * DAY, by_rules())
    rows = published(ports, TOPIC)
    decided = next(event for event in order if event is not WARNED)
    named = {(row["event_id"], name) for row in rows for name in row["claimed_as"]}
    assert named == {(decided.event_id, WARNED.payment_id)}


def test_a_claim_that_is_disproved_is_told_as_none(ports: Ports) -> None:
    disputed = a_dispute_event(payment_id="auth_1", occurred_at=NOON + DAY, event_id="stripe:a:d1")
    won = a_dispute_event(
        payment_id="auth_1", occurred_at=NOON + 2 * DAY, event_id="stripe:a:d2", status=DisputeStatus.WON, final=True
    )
    for event in (PAID, won, disputed):
        score_payment(event, ports, NOON + 2 * DAY, by_rules())
    assert labels(ports) == {PAID.event_id: None}
