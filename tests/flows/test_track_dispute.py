"""Disputes, warnings and refunds, tracked for real on SQLite."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields, replace
from itertools import cycle
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from shared.backends.tables import columns
from shared.domain.disputes import DisputeUpdate
from shared.domain.errors import Unavailable
from shared.domain.events import AnyEvent, DisputeStage, DisputeStatus, Finder, PaymentStep
from shared.flows.check_deadlines import check_deadlines
from shared.flows.ports import Key, Message, Ports
from shared.flows.record_payment import record_payment
from shared.flows.track_dispute import track_dispute
from tests.builders import (
    DAY,
    HOUR,
    NOON,
    SECOND,
    a_dispute_event,
    a_finding,
    a_fraud_warning,
    a_payment_event,
    a_payout_event,
    a_refund_event,
    a_resource_event,
    eur,
)
from tests.flows.counting import Counting
from tests.local import everything, published, wipe

DISPUTE, CASE = Key("disputes", "stripe:dp_1"), Key("cases", "stripe:pi_1")


def track(ports: Ports, *events: AnyEvent) -> None:
    for event in events:
        track_dispute(event, ports, NOON + HOUR)


def record(ports: Ports, *events: AnyEvent) -> None:
    for event in events:
        record_payment(event, ports, NOON + HOUR)


def document(ports: Ports, key: Key) -> dict[str, Any]:
    return everything(ports)[key]


def alarms(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [entry.message for entry in caplog.records if entry.levelname == "ERROR"]


@st.composite
def a_fight(draw: st.DrawFn) -> tuple[list[AnyEvent], list[AnyEvent]]:
    """Everything that can happen around one payment, at few instants, and a delivery of it in any order."""
    times = st.integers(0, 3).map(lambda number: NOON + number * DAY)
    dispute_events = st.builds(
        a_dispute_event,
        dispute_id=st.sampled_from(["dp_1", "dp_1", "dp_2"]),
        payment_id=st.sampled_from(["pi_1", None]),
        account=st.sampled_from(["acct_1", "acct_2"]),
        occurred_at=times,
        stage=st.none() | st.sampled_from(DisputeStage),
        status=st.none() | st.sampled_from(DisputeStatus),
        final=st.booleans(),
        moved=st.sampled_from([None, eur(-1999), eur(1999)]),
        amount=st.sampled_from([None, eur(1999), eur(500)]),
        respond_by=st.none() | st.integers(0, 9).map(lambda number: NOON + number * DAY),
        can_respond=st.sampled_from([None, True, False]),
        unsigned=st.sampled_from([(), ("respond_by",), ("amount",)]),
        autodefended=st.booleans(),
        status_unknown=st.booleans(),
        answer_id=st.sampled_from([None, "round_1", "round_2"]),
    )
    # Told under the payment's name, which the provider leaves open.
    strays = st.builds(
        a_dispute_event,
        dispute_id=st.just("pi_1"),
        payment_id=st.none(),
        occurred_at=times,
        stage=st.none() | st.sampled_from(DisputeStage),
        status=st.none() | st.sampled_from(DisputeStatus),
        moved=st.sampled_from([None, eur(1999)]),
    )
    warnings = st.builds(a_fraud_warning, occurred_at=times, warning_id=st.sampled_from(["w1", "w2"]))
    findings = st.builds(a_finding, occurred_at=times, found_by=st.sampled_from(Finder))
    refunds = st.builds(
        a_refund_event,
        step=st.sampled_from([PaymentStep.REFUNDED, PaymentStep.REFUND_FAILED]),
        occurred_at=times,
        reference=st.sampled_from([None, "re_1", "re_2"]),
        amount=st.sampled_from([None, eur(500), eur(1999)]),
    )
    events: list[AnyEvent] = draw(
        st.lists(dispute_events | strays | warnings | findings | refunds, min_size=1, max_size=7)
    )
    copies: list[AnyEvent] = draw(st.lists(st.sampled_from(events), max_size=5))
    return events, draw(st.permutations(events + copies))


@settings(max_examples=60, deadline=None)
@given(a_fight(), st.booleans())
def test_any_order_and_any_repetition_of_a_disputes_events_gives_the_same_documents(
    shared_ports: Ports, fight: tuple[list[AnyEvent], list[AnyEvent]], is_known: bool
) -> None:
    events, delivered = fight
    payment = [a_payment_event()] if is_known else []
    record(shared_ports, *payment)
    track(shared_ports, *events)
    once = wipe(shared_ports)
    record(shared_ports, *payment)
    track(shared_ports, *delivered)
    assert {key: found for key, found in wipe(shared_ports).items() if key.collection != "payments"} == {
        key: found for key, found in once.items() if key.collection != "payments"
    }


# What we heard when, and what we did about it.
OURS = {"actions", "answers", "heard_at", "deadline_heard_at", "expired_cause", "next_action_at"}


def theirs(found: dict[Key, dict[str, Any]]) -> dict[Key, dict[str, Any]]:
    """What follows from the provider's facts, and where each dispute stands when everything due is done."""
    return {
        key: {
            name: {id_: {**fact, "heard_at": None} for id_, fact in value.items()}
            if name in ("facts", "warnings", "findings")
            else value
            for name, value in document.items()
            if name not in OURS
        }
        for key, document in found.items()
        if key.collection != "payments"
    }


# Asked, answered, and told in either order while the deadline passes: what was expired meanwhile must not stay so.
ASKED = a_dispute_event(respond_by=NOON + DAY)
ANSWERED = a_dispute_event(respond_by=NOON + DAY, status=DisputeStatus.UNDER_REVIEW, occurred_at=NOON + HOUR)
# A new deadline without a status asks again, whatever was done about the one before.
AGAIN = a_dispute_event(respond_by=NOON + 5 * DAY, status=None, occurred_at=NOON + 2 * HOUR)
# After how many hours a word is heard, and after how many more somebody looks for what is due, if anybody does.
a_clock = st.lists(st.tuples(st.integers(1, 72), st.none() | st.integers(0, 72)), min_size=1, max_size=6)


@settings(max_examples=60, deadline=None)
@given(a_fight(), st.booleans(), a_clock)
@example(([ASKED, ANSWERED], [ANSWERED, ASKED]), True, [(30, 1)])
@example(([ASKED, AGAIN], [AGAIN, ASKED]), False, [(30, 1), (72, 72)])
def test_whenever_each_word_is_heard_and_whatever_was_done_in_between_the_dispute_is_the_same(
    shared_ports: Ports,
    fight: tuple[list[AnyEvent], list[AnyEvent]],
    is_known: bool,
    clock: list[tuple[int, int | None]],
) -> None:
    found, hours = [], cycle(clock)
    for events in fight:
        record(shared_ports, *([a_payment_event()] if is_known else []))
        now = NOON
        for event in events:
            heard, looked = next(hours)
            now += heard * HOUR
            track_dispute(event, shared_ports, now)
            if looked is not None:
                now += looked * HOUR
                check_deadlines(shared_ports, now)
        check_deadlines(shared_ports, NOON + 100 * DAY)
        found.append(theirs(wipe(shared_ports)))
    assert found[0] == found[1]


@settings(max_examples=60, deadline=None)
@given(a_fight(), st.integers(0, 12))
def test_of_two_rows_of_a_dispute_that_differ_the_later_has_the_greater_revision(
    shared_ports: Ports, fight: tuple[list[AnyEvent], list[AnyEvent]], paid_after: int
) -> None:
    _, delivered = fight
    published(shared_ports, "dispute-updates")
    for event in [*delivered[:paid_after], a_payment_event(), *delivered[paid_after:]]:
        record(shared_ports, event)
        track(shared_ports, event)
    wipe(shared_ports)
    newest: dict[str, dict[str, Any]] = {}
    for row in published(shared_ports, "dispute-updates"):
        told = {name: value for name, value in row.items() if name not in ("update_id", "event_id", "occurred_at")}
        before = newest.setdefault(row["dispute_id"], told)
        assert told["revision"] > before["revision"] or told == before
        newest[row["dispute_id"]] = told


STRAY = Key("disputes", "stripe:pi_1")


@pytest.mark.parametrize("opened_first", [True, False])
def test_what_is_told_under_the_payments_name_is_told_of_its_only_dispute(ports: Ports, opened_first: bool) -> None:
    opened = a_dispute_event(respond_by=NOON + 9 * DAY)
    won = a_dispute_event(
        dispute_id="pi_1", payment_id=None, status=DisputeStatus.WON, moved=eur(1999), occurred_at=NOON + DAY
    )
    track(ports, *((opened, won) if opened_first else (won, opened)))
    found = document(ports, DISPUTE)
    assert (found["status"], found["moved"]) == ("won", {"minor": 1999, "currency": "EUR"})
    assert set(document(ports, CASE)["disputes"]) == {"dp_1"}
    assert document(ports, STRAY)["same_as"] == "dp_1"
    assert "next_action_at" not in document(ports, STRAY)
    newest = {row["dispute_id"]: row for row in published(ports, "dispute-updates")}
    assert (newest["dp_1"]["status"], newest["dp_1"]["payment_id"], newest["dp_1"]["same_as"]) == ("won", "pi_1", None)
    # The warehouse must not count it twice.
    assert newest["pi_1"]["same_as"] == "dp_1"


def test_what_is_told_again_under_an_alias_of_a_known_payment_finds_its_dispute_again(ports: Ports) -> None:
    record_payment(a_payment_event(aliases=("ch_1",)), ports, NOON)
    stray = a_dispute_event(dispute_id="ch_1", payment_id=None, status=DisputeStatus.WON, occurred_at=NOON + DAY)
    opened = a_dispute_event(payment_id=None, payment_aliases=("ch_1",))
    later = replace(stray, event_id="stripe:a:later", status=DisputeStatus.LOST, occurred_at=NOON + 2 * DAY)
    track(ports, stray, opened, stray, later)
    assert document(ports, DISPUTE)["status"] == "lost"
    assert document(ports, Key("disputes", "stripe:ch_1"))["same_as"] == "dp_1"


def test_what_is_told_under_an_alias_finds_its_dispute_whichever_comes_first(ports: Ports) -> None:
    record_payment(a_payment_event(aliases=("ch_1",)), ports, NOON)
    stray = a_dispute_event(dispute_id="ch_1", payment_id=None, status=DisputeStatus.WON, occurred_at=NOON + DAY)
    track(ports, a_dispute_event(payment_id=None, payment_aliases=("ch_1",)), stray)
    assert document(ports, DISPUTE)["status"] == "won"


def test_what_nobody_can_place_learns_of_its_case_too(ports: Ports) -> None:
    stray = a_dispute_event(dispute_id="pi_1", payment_id=None, status=DisputeStatus.WON, occurred_at=NOON + DAY)
    track(ports, a_dispute_event(), a_dispute_event(dispute_id="dp_2"), stray, a_refund_event(amount=eur(500)))
    newest = {row["dispute_id"]: row for row in published(ports, "dispute-updates")}
    assert newest["pi_1"]["same_as"] is None
    assert "refund_dispute_collision" in newest["pi_1"]["flags"]


def test_what_is_told_under_the_payments_name_stands_by_itself_while_there_are_several_disputes(ports: Ports) -> None:
    won = a_dispute_event(dispute_id="pi_1", payment_id=None, status=DisputeStatus.WON, occurred_at=NOON + DAY)
    track(ports, a_dispute_event(), won, a_dispute_event(dispute_id="dp_2"))
    assert document(ports, DISPUTE)["status"] == "needs_response"
    assert "same_as" not in document(ports, STRAY)
    # Looked for, and in a day told of as a dispute without a payment.
    assert document(ports, STRAY)["next_action_at"]


def test_fifty_copies_at_once_have_one_effect_and_tell_of_one_update(ports: Ports) -> None:
    event = a_dispute_event()
    with ThreadPoolExecutor(50) as pool:
        list(pool.map(lambda _: track(ports, event), range(50)))
    concurrent = everything(ports)
    assert len({update["update_id"] for update in published(ports, "dispute-updates")}) == 1
    wipe(ports)
    track(ports, event)
    assert everything(ports) == concurrent


def test_a_dispute_event_costs_one_read_one_commit_and_one_publish(ports: Ports) -> None:
    documents = Counting(ports.documents)
    event = a_dispute_event(payment_aliases=("ch_1",))
    track(replace(ports, documents=documents), event)
    assert (documents.reads, documents.commits) == (1, 1)
    track(replace(ports, documents=documents), event)
    assert (documents.reads, documents.commits) == (2, 1)
    first, again = published(ports, "dispute-updates")
    assert first == again


def test_an_update_is_a_row_of_its_table(ports: Ports) -> None:
    track(ports, a_dispute_event())
    (row,) = published(ports, "dispute-updates")
    # The last four are what a BigQuery subscription writes beside the message.
    declared = columns("dispute_updates")[:-4]
    assert list(row) == [column.name for column in declared] == [member.name for member in fields(DisputeUpdate)]
    assert all(row[column.name] is not None for column in declared if column.mode == "REQUIRED")
    assert row["amount"] == {"minor": 1999, "currency": "EUR"}
    assert (row["stage"], row["status"], row["respond_by"]) == ("chargeback", "needs_response", "2026-11-22T12:00:00Z")


def test_an_update_that_could_not_be_published_is_published_by_the_redelivery(ports: Ports) -> None:
    class Down:
        def publish(self, messages: object) -> None:
            raise Unavailable("the bus is down")

    event = a_dispute_event()
    with pytest.raises(Unavailable):
        track(replace(ports, bus=Down()), event)
    assert published(ports, "dispute-updates") == []
    track(ports, event)
    assert [update["event_id"] for update in published(ports, "dispute-updates")] == [event.event_id]


def test_a_chargeback_that_does_not_name_its_payment_is_tied_to_the_one_that_did(ports: Ports) -> None:
    opened = a_dispute_event(provider="adyen", payment_id="psp_1")
    won = a_dispute_event(
        provider="adyen", payment_id=None, status=DisputeStatus.WON, final=False, occurred_at=NOON + DAY
    )
    second = a_dispute_event(
        provider="adyen", payment_id=None, status=DisputeStatus.LOST, respond_by=None, occurred_at=NOON + 2 * DAY
    )
    track(ports, second, won, opened)
    found = document(ports, Key("disputes", "adyen:dp_1"))
    assert (found["status"], found["payment_id"]) == ("lost", "psp_1")
    case = document(ports, Key("cases", "adyen:psp_1"))
    assert case["disputes"]["dp_1"]["status"] == "lost"
    # The last one cannot know its case before it has read its dispute.
    track(ports, replace(won, event_id="adyen:acct_1:late"))
    assert published(ports, "dispute-updates")[-1]["payment_id"] == "psp_1"


def test_a_dispute_whose_payment_nobody_names_is_tracked_with_its_deadline(ports: Ports) -> None:
    track(ports, a_dispute_event(payment_id=None))
    found = document(ports, DISPUTE)
    assert found["respond_by"] == NOON + 20 * DAY
    assert found["next_action_at"] is not None
    assert "payment_id" not in found
    assert set(everything(ports)) == {DISPUTE}


def test_a_dispute_that_arrives_before_its_payment_is_tracked_and_tied_later(ports: Ports) -> None:
    track(ports, a_dispute_event())
    (early,) = published(ports, "dispute-updates")
    assert (early["payment_id"], early["payment_known"]) == ("pi_1", False)
    record(ports, a_payment_event())
    track(ports, a_dispute_event(status=DisputeStatus.UNDER_REVIEW, occurred_at=NOON + DAY))
    (later,) = published(ports, "dispute-updates")
    assert (later["payment_id"], later["payment_known"]) == ("pi_1", True)


def test_a_dispute_that_names_a_charge_finds_the_payment_of_that_charge(ports: Ports) -> None:
    record(ports, a_payment_event(aliases=("ch_1",)))
    track(ports, a_refund_event(aliases=("ch_1",)), a_dispute_event(payment_id="ch_1"))
    assert document(ports, DISPUTE)["payment_id"] == "pi_1"
    assert set(everything(ports, ("cases",))) == {CASE}
    assert document(ports, CASE)["flags"] == ["refund_dispute_collision"]


def test_an_alias_of_two_payments_ties_a_dispute_to_neither(ports: Ports) -> None:
    record(ports, a_payment_event(aliases=("order",)), a_payment_event(payment_id="pi_2", aliases=("order",)))
    track(ports, a_dispute_event(payment_id="order"))
    assert "linked_to" not in document(ports, DISPUTE)


def test_what_was_filed_under_a_charge_moves_to_the_payment_when_that_is_known(ports: Ports) -> None:
    track(ports, a_fraud_warning(payment_id="ch_1", occurred_at=NOON - DAY), a_dispute_event(payment_id="ch_1"))
    record(ports, a_payment_event(aliases=("ch_1",)))
    track(ports, a_dispute_event(payment_id="ch_1", occurred_at=NOON + HOUR, status=DisputeStatus.UNDER_REVIEW))
    cases = everything(ports, ("cases",))
    assert cases[CASE]["flags"] == ["warned_before_dispute"]
    assert cases[CASE]["disputes"]["dp_1"]["status"] == "under_review"
    assert cases[Key("cases", "stripe:ch_1")] == {"provider": "stripe", "payment_id": "ch_1", "moved_to": "pi_1"}


def test_what_names_only_a_charge_follows_the_signpost_of_its_case(ports: Ports) -> None:
    track(ports, a_dispute_event(payment_id="ch_1"))
    track(ports, a_fraud_warning(payment_id="pi_1", payment_aliases=("ch_1",), occurred_at=NOON - DAY))
    track(ports, a_refund_event(payment_id="ch_1"))
    track(ports, a_fraud_warning(payment_id="ch_1"))
    cases = [case for case in everything(ports, ("cases",)).values() if "moved_to" not in case]
    assert sum(len(case.get("warnings", {})) for case in cases) == 2


@pytest.mark.parametrize("refund_first", [True, False])
def test_a_refund_and_a_chargeback_of_one_payment_alarm_and_tell_both_amounts(
    ports: Ports, caplog: pytest.LogCaptureFixture, refund_first: bool
) -> None:
    refund, dispute = a_refund_event(amount=eur(500)), a_dispute_event()
    track(ports, *((refund, dispute) if refund_first else (dispute, refund)))
    assert alarms(caplog) == ["refund_dispute_collision"]
    told = caplog.records[-1].fields  # type: ignore[attr-defined]
    assert (told["refunded_minor"], told["disputed_minor"]) == (500, 1999)
    assert published(ports, "dispute-updates")[-1]["flags"] == ["refund_dispute_collision"]


def test_a_collision_alarms_once_for_news_and_again_for_a_repeat_of_what_might_have_died(
    ports: Ports, caplog: pytest.LogCaptureFixture
) -> None:
    refund = a_refund_event()
    track(ports, a_dispute_event(), refund)
    track(ports, a_dispute_event(status=DisputeStatus.UNDER_REVIEW, occurred_at=NOON + HOUR))
    assert alarms(caplog) == ["refund_dispute_collision"]
    track(ports, refund)
    assert alarms(caplog) == ["refund_dispute_collision"] * 2


@pytest.mark.parametrize(("warned_at", "flags"), [(NOON - SECOND, ["warned_before_dispute"]), (NOON + SECOND, [])])
def test_a_warning_is_linked_to_the_dispute_before_or_after_it(ports: Ports, warned_at: Any, flags: list[str]) -> None:
    warning = a_fraud_warning(occurred_at=warned_at)
    track(ports, warning, a_dispute_event())
    case = document(ports, CASE)
    assert list(case["warnings"]) == [warning.event_id]
    assert published(ports, "dispute-updates")[-1]["flags"] == flags


def test_a_second_dispute_of_a_payment_tells_of_both(ports: Ports) -> None:
    track(ports, a_dispute_event())
    published(ports, "dispute-updates")
    track(ports, a_dispute_event(dispute_id="dp_2"))
    told = published(ports, "dispute-updates")
    assert {update["dispute_id"] for update in told} == {"dp_1", "dp_2"}
    assert all(update["flags"] == ["several_disputes"] for update in told)


def test_a_refund_of_an_undisputed_payment_is_kept_and_publishes_nothing(ports: Ports) -> None:
    track(ports, a_refund_event())
    assert len(document(ports, CASE)["refunds"]) == 1
    assert published(ports, "dispute-updates") == []


def test_what_a_refund_was_called_stands_in_the_case_and_warns_of_nothing(ports: Ports) -> None:
    finding = a_finding(payment_id="ch_1")
    track(ports, finding, finding, a_payment_event(aliases=("ch_1",)), a_finding(payment_aliases=("ch_1",)))
    case = document(ports, CASE)
    assert (len(case["findings"]), case.get("warnings", {}), case.get("disputes", {})) == (2, {}, {})
    assert [row["source"] for row in published(ports, "fraud-labels")][-1] == "refund"
    assert published(ports, "dispute-updates") == []


def test_what_a_reviewer_found_is_told_by_the_review(ports: Ports) -> None:
    track(ports, a_finding(found_by=Finder.REVIEW))
    assert len(document(ports, CASE)["findings"]) == 1
    assert published(ports, "fraud-labels") == []


def test_what_concerns_no_dispute_reads_nothing(ports: Ports) -> None:
    documents = Counting(ports.documents)
    track(replace(ports, documents=documents), a_payment_event(), a_payout_event(), a_resource_event())
    assert documents.reads == 0


def test_a_message_says_what_subscriptions_filter_by(ports: Ports) -> None:
    sent: list[Message] = []

    class Bus:
        publish = staticmethod(sent.extend)

    track(replace(ports, bus=Bus()), a_dispute_event())
    assert sent[0].attributes == {"provider": "stripe", "stage": "chargeback", "status": "needs_response"}


def test_a_deadline_that_cannot_be_read_alarms(ports: Ports, caplog: pytest.LogCaptureFixture) -> None:
    track(ports, a_dispute_event(status=DisputeStatus.UNDER_REVIEW, respond_by=None, respond_by_text="soon"))
    assert alarms(caplog) == ["deadline_unreadable"]
    assert document(ports, DISPUTE)["status"] == "under_review"


def test_a_status_that_nobody_knows_alarms_and_is_in_the_row(ports: Ports, caplog: pytest.LogCaptureFixture) -> None:
    track(ports, a_dispute_event())
    track(ports, a_dispute_event(status=None, status_unknown=True, answer_id="round_2", occurred_at=NOON + DAY))
    assert alarms(caplog) == ["dispute_status_unknown"]
    first, last = published(ports, "dispute-updates")
    assert (first["status_unknown"], first["answer_id"]) == (False, None)
    assert (last["status"], last["status_unknown"], last["answer_id"]) == ("needs_response", True, "round_2")
    assert last["revision"] > first["revision"]
