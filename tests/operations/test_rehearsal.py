"""What a replay would change is told before it is made: the same documents as after it, and nothing is written meanwhile."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.backends.overlay import Overlay
from shared.domain.errors import Unavailable
from shared.domain.events import AnyEvent, DisputeStatus, PaymentStep
from shared.flows.event_messages import event_message
from shared.flows.ports import Accumulate, Create, Delete, Documents, Key, Message, Ports, Replace, Snapshot, Write
from shared.flows.scorer import Scorer
from shared.operations.rehearsal import Rehearsal
from tests.builders import (
    DAY,
    HOUR,
    NOON,
    a_dispute_event,
    a_fraud_warning,
    a_payment_event,
    a_refund_event,
    a_resource_event,
    eur,
)
from tests.local import COLLECTIONS, everything, published, wipe

LOOKED_AT = (*COLLECTIONS, "decisions", "feature_state", "known_frauds", "fraud_claims", "reviews")

STORY: list[AnyEvent] = [
    a_payment_event(PaymentStep.AUTHORIZED, event_id="stripe:acct_1:evt_a"),
    a_payment_event(PaymentStep.CAPTURED, event_id="stripe:acct_1:evt_b", aliases=("ch_1",)),
    a_payment_event(PaymentStep.CAPTURED, event_id="stripe:acct_1:evt_c", payment_id="pi_2", amount=eur(500)),
    a_refund_event(event_id="stripe:acct_1:evt_d", amount=eur(300)),
    a_dispute_event(event_id="stripe:acct_1:evt_e"),
    a_dispute_event(event_id="stripe:acct_1:evt_f", status=DisputeStatus.LOST, occurred_at=NOON + DAY),
    a_fraud_warning(event_id="stripe:acct_1:evt_g", payment_id="ch_1"),
]


def a_rehearsal(ports: Ports) -> Rehearsal:
    return Rehearsal(ports, Overlay(ports.documents), lambda: NOON + 2 * DAY, Scorer(use_model=False))


def tell(ports: Ports, events: list[AnyEvent]) -> None:
    """Let the consumers take `events` for good."""
    consumers = a_rehearsal(ports).consumers()
    for event in events:
        for consume in consumers.values():
            consume(event, ports, NOON + 2 * DAY)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.permutations(STORY), st.integers(0, len(STORY)), st.data())
def test_what_is_rehearsed_is_what_comes_of_it(
    shared_ports: Ports, events: list[AnyEvent], heard: int, data: st.DataObject
) -> None:
    wipe(shared_ports, LOOKED_AT)
    tell(shared_ports, events[:heard])
    again = data.draw(st.lists(st.sampled_from(events), max_size=2))
    before = everything(shared_ports, LOOKED_AT)
    rehearsal = a_rehearsal(shared_ports)
    rehearsal.publish([event_message(event, NOON) for event in (*events[heard:], *again)])
    told = rehearsal.result()
    assert told.failed == {}
    assert everything(shared_ports, LOOKED_AT) == before
    tell(shared_ports, [*events[heard:], *again])
    after = everything(shared_ports, LOOKED_AT)
    assert {one.name for one in told.changes} == {
        f"{key.collection}:{key.id}" for key in {*before, *after} if before.get(key) != after.get(key)
    }
    written = {key: then for key, _, then in rehearsal.documents.written()}
    assert written == {key: after[key] for key in written}


def test_a_rehearsal_tells_the_difference_and_reaches_no_topic(ports: Ports) -> None:
    tell(ports, STORY[:2])
    for topic in ("dispute-updates", "fraud-labels", "fraud-decisions"):
        published(ports, topic)
    rehearsal = a_rehearsal(ports)
    rehearsal.publish([event_message(STORY[3], NOON), Message("deliveries", b"{}")])
    told = rehearsal.result()
    [payment] = [one for one in told.payments if one.name == "payments:stripe:pi_1"]
    assert payment.before is not None
    assert payment.after is not None
    assert '"state":"captured"' in payment.before
    assert '"state":"partially_refunded"' in payment.after
    assert told.published["deliveries"] == 1
    assert told.events == 1
    for topic in ("dispute-updates", "fraud-labels", "fraud-decisions", "payment-events"):
        assert published(ports, topic) == []


def test_whom_a_replay_would_call_is_told_and_nobody_is_called(ports: Ports, caplog: pytest.LogCaptureFixture) -> None:
    rehearsal = a_rehearsal(ports)
    caplog.clear()
    with caplog.at_level(logging.INFO, logger="payin"):
        rehearsal.publish([event_message(a_dispute_event(respond_by=None, respond_by_text="soon"), NOON)])
    assert rehearsal.result().alarms == {"deadline_unreadable": 1}
    assert caplog.records == []


def test_what_is_heard_before_changes_nothing(ports: Ports) -> None:
    tell(ports, STORY)
    rehearsal = a_rehearsal(ports)
    rehearsal.publish([event_message(event, NOON) for event in STORY])
    assert rehearsal.result().changes == ()


def test_what_has_to_be_read_back_is_not_tried_and_counted(ports: Ports) -> None:
    rehearsal = a_rehearsal(ports)
    rehearsal.publish([event_message(a_resource_event(), NOON)])
    told = rehearsal.result()
    assert (told.events, told.unread, told.changes) == (1, 1, ())


def test_a_consumer_that_cannot_take_an_event_is_named_with_its_reason(
    ports: Ports, monkeypatch: pytest.MonkeyPatch
) -> None:
    def down(*_: object) -> None:
        raise Unavailable("the store is down", reason="store_down")

    monkeypatch.setattr("shared.operations.rehearsal.record_payment", down)
    rehearsal = a_rehearsal(ports)
    rehearsal.publish([event_message(STORY[0], NOON)])
    assert rehearsal.result().failed == {"record_payment: store_down": 1}


# Documents that forget

KEYS = [Key("payments", name) for name in ("a", "b", "c")]
PLACES = st.sampled_from(KEYS)
BODIES = st.builds(
    lambda at, by, n: {"next_action_at": NOON + at * HOUR, "paid_by": by, "n": n},
    st.integers(0, 3),
    st.sampled_from(["x", "y"]),
    st.integers(0, 9),
)
STEPS = st.one_of(
    st.tuples(st.just("put"), PLACES, BODIES),
    st.tuples(st.just("add"), PLACES, BODIES),
    st.tuples(st.just("drop"), PLACES, BODIES),
)


def do(documents: Documents, step: tuple[str, Key, dict[str, object]]) -> None:
    act, key, body = step
    [found] = documents.get([key])
    made: dict[str, Callable[[], Write]] = {
        "put": lambda: Create(key, dict(body)) if found is None else Replace(key, dict(body), found.version),
        "add": lambda: Accumulate(key, add={("n",): 1}, put={("paid_by",): body["paid_by"]}),
        "drop": lambda: Delete(key),
    }
    documents.commit([made[act]()])


def looks(documents: Documents) -> list[object]:
    """Whatever can be asked."""
    found: list[Sequence[Snapshot | None]] = [
        documents.get(KEYS),
        documents.scan("payments", 2),
        documents.scan("payments", 9, "a"),
    ]
    found += [documents.due("payments", "next_action_at", NOON + hours * HOUR, 2) for hours in range(4)]
    found += [documents.find("payments", "paid_by", by, 2) for by in "xy"]
    return [[one and (one.key, one.document) for one in each] for each in found]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(STEPS, max_size=6), st.lists(STEPS, max_size=6))
def test_what_is_laid_over_a_store_answers_as_if_it_were_written(
    shared_ports: Ports,
    stored: list[tuple[str, Key, dict[str, object]]],
    tried: list[tuple[str, Key, dict[str, object]]],
) -> None:
    wipe(shared_ports)
    for step in stored:
        do(shared_ports.documents, step)
    before, overlay = everything(shared_ports), Overlay(shared_ports.documents)
    for step in tried:
        do(overlay, step)
    answers = looks(overlay)
    assert everything(shared_ports) == before
    for step in tried:
        do(shared_ports.documents, step)
    assert looks(shared_ports.documents) == answers
    assert {key: after for key, _, after in overlay.written() if after is not None} == {
        key: document for key, document in everything(shared_ports).items() if key in {one for _, one, _ in tried}
    }


def test_a_rehearsal_is_of_documents_as_they_were_first_seen(ports: Ports) -> None:
    key = Key("payments", "a")
    ports.documents.commit([Create(key, {"n": 1})])
    overlay = Overlay(ports.documents)
    overlay.get([key])
    ports.documents.commit([Accumulate(key, add={("n",): 5})])
    overlay.commit([Accumulate(key, add={("n",): 1})])
    assert overlay.written() == [(key, {"n": 1}, {"n": 2})]
    assert replace(ports, documents=overlay).documents.scan("payments", 5)[0].document == {"n": 2}
