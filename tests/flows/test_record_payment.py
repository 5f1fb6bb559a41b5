"""Payment events, recorded for real on SQLite."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from itertools import permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.domain.errors import Unavailable
from shared.domain.events import AnyEvent, DisputeStatus, PaymentStep
from shared.domain.money import Money
from shared.flows.event_messages import event_message
from shared.flows.ports import Key, Ports
from shared.flows.record_payment import record_payment
from shared.flows.track_dispute import track_dispute
from tests.builders import (
    DAY,
    HOUR,
    MINUTE,
    NOON,
    SECOND,
    a_dispute_event,
    a_payment_event,
    a_payout_event,
    a_refund_event,
    a_resource_event,
    a_review_event,
    eur,
)
from tests.flows.counting import Counting
from tests.local import everything, published, wipe

PAYMENT, CASE = Key("payments", "stripe:pi_1"), Key("cases", "stripe:pi_1")


def record(ports: Ports, *events: AnyEvent) -> None:
    for event in events:
        record_payment(event, ports, NOON + DAY)


@st.composite
def a_life(draw: st.DrawFn) -> tuple[list[AnyEvent], list[AnyEvent]]:
    """Events of one payment, few instants and references so that they meet, and a delivery of them: every event at
    least once, in any order."""
    times = st.integers(0, 3).map(lambda number: NOON + number * MINUTE)
    steps = st.sampled_from(PaymentStep)
    payment_events = st.builds(
        a_payment_event,
        steps,
        account=st.sampled_from(["acct_1", "acct_2"]),
        occurred_at=times,
        amount=st.none() | st.builds(Money, st.integers(0, 3000), st.sampled_from(["EUR", "EUR", "EUR", "JPY"])),
        cumulative=st.booleans(),
        reference=st.sampled_from([None, "r1", "r2"]),
        aliases=st.sampled_from([(), ("ch_1",), ("ch_1", "ch_2")]),
        customer_id=st.sampled_from([None, "cus_1", "cus_2"]),
        decline_code=st.sampled_from([None, "do_not_honor"]),
    )
    reviews = st.builds(a_review_event, occurred_at=times, open=st.booleans())
    events: list[AnyEvent] = draw(st.lists(payment_events | reviews, min_size=1, max_size=7))
    copies: list[AnyEvent] = draw(st.lists(st.sampled_from(events), max_size=5))
    # A copy may have come in another delivery.
    copies = [replace(copy, delivery_id="another") for copy in copies]
    return events, draw(st.permutations(events + copies))


@settings(max_examples=60, deadline=None)
@given(a_life())
def test_any_order_and_any_repetition_of_a_payments_events_gives_the_same_documents(
    shared_ports: Ports, life: tuple[list[AnyEvent], list[AnyEvent]]
) -> None:
    events, delivered = life
    record(shared_ports, *events)
    once = wipe(shared_ports)
    record(shared_ports, *delivered)
    assert wipe(shared_ports) == once


def test_fifty_copies_at_once_have_one_effect(ports: Ports) -> None:
    event = a_payment_event(aliases=("ch_1",))
    with ThreadPoolExecutor(50) as pool:
        list(pool.map(lambda _: record(ports, event), range(50)))
    concurrent = everything(ports)
    wipe(ports)
    record(ports, event)
    assert everything(ports) == concurrent


def test_many_different_events_of_one_payment_at_once_are_all_recorded(ports: Ports) -> None:
    refunds = [a_refund_event(amount=eur(10), reference=f"re_{number}") for number in range(12)]
    with ThreadPoolExecutor(12) as pool:
        list(pool.map(lambda event: record(ports, event), [*refunds, *refunds]))
    assert everything(ports)[PAYMENT]["refunded"] == {"minor": 120, "currency": "EUR"}


def test_an_event_costs_one_read_and_one_commit_and_a_copy_only_the_read(ports: Ports) -> None:
    documents = Counting(ports.documents)
    event = a_payment_event(aliases=("ch_1",))
    record(replace(ports, documents=documents), event)
    assert (documents.reads, documents.commits) == (1, 1)
    record(replace(ports, documents=documents), event)
    assert (documents.reads, documents.commits) == (2, 1)


def test_an_alias_leads_to_its_payment(ports: Ports) -> None:
    record(ports, a_payment_event(aliases=("ch_1", "pi_1")))
    assert everything(ports, ("payment_aliases",)) == {
        Key("payment_aliases", "stripe:ch_1"): {"payments": {"pi_1": True}}
    }


def test_an_alias_that_two_payments_claim_names_both(ports: Ports) -> None:
    record(ports, a_payment_event(aliases=("order",)), a_payment_event(payment_id="pi_2", aliases=("order",)))
    found = everything(ports, ("payment_aliases",))
    assert found[Key("payment_aliases", "stripe:order")] == {"payments": {"pi_1": True, "pi_2": True}}


def test_the_same_id_at_two_providers_is_two_payments(ports: Ports) -> None:
    record(ports, a_payment_event(), a_payment_event(provider="paypal"))
    assert set(everything(ports)) == {PAYMENT, Key("payments", "paypal:pi_1")}


def test_times_are_the_providers_and_never_ours(ports: Ports) -> None:
    event = a_payment_event(occurred_at=NOON - HOUR)
    record_payment(event, ports, NOON + timedelta(days=300))
    stored = everything(ports)[PAYMENT]
    assert stored["first_at"] == stored["last_at"] == NOON - HOUR


def test_what_is_no_news_of_a_payment_is_left_alone(ports: Ports) -> None:
    record(ports, a_dispute_event(), a_payout_event(), a_resource_event())
    assert everything(ports) == {}


@pytest.mark.parametrize(("copies", "outcomes"), [(1, ["recorded"]), (2, ["recorded", "duplicate"])])
def test_the_log_tells_a_duplicate_from_news(
    ports: Ports, caplog: pytest.LogCaptureFixture, copies: int, outcomes: list[str]
) -> None:
    caplog.set_level("INFO", "payin")
    record(ports, *[a_payment_event(event_id="stripe:acct_1:evt")] * copies)
    assert [entry.fields["outcome"] for entry in caplog.records if entry.message == "payment_recorded"] == outcomes  # type: ignore[attr-defined]


def test_two_currencies_in_one_payment_alarm_once(ports: Ports, caplog: pytest.LogCaptureFixture) -> None:
    yen = a_payment_event(amount=Money(5, "JPY"))
    record(ports, a_payment_event(), yen, yen, a_payment_event())
    assert [entry.message for entry in caplog.records if entry.levelname == "ERROR"] == ["payment_inconsistent"]


def test_an_undone_step_told_again_under_a_later_unsigned_date_counts_and_somebody_is_told(
    ports: Ports, caplog: pytest.LogCaptureFixture
) -> None:
    """Adyen may repeat a failed capture under its reference; the date alone tells that from a replay."""
    captured = a_payment_event(reference="psp_1", unsigned=("occurred_at",))
    failed = a_payment_event(PaymentStep.CAPTURE_FAILED, reference="psp_1", occurred_at=NOON + DAY)
    record(ports, captured, failed, captured)
    assert not [entry for entry in caplog.records if entry.levelname == "ERROR"]
    assert everything(ports)[PAYMENT]["state"] == "declined"
    again = replace(captured, occurred_at=NOON + 2 * DAY)
    record(ports, again, again, captured)
    assert everything(ports)[PAYMENT]["captured"] == {"minor": 1999, "currency": "EUR"}
    (told,) = [entry for entry in caplog.records if entry.levelname == "ERROR"]
    assert told.message == "payment_inconsistent"


def a_disputed_payment() -> list[AnyEvent]:
    """EUR 1.00 captured, 0.30 refunded, the other 0.70 disputed."""
    return [
        a_payment_event(amount=eur(100), reference="cap_1"),
        a_refund_event(amount=eur(30)),
        a_dispute_event(amount=eur(70), occurred_at=NOON + 2 * DAY),
    ]


def both(ports: Ports, *events: AnyEvent) -> None:
    for event in events:
        record_payment(event, ports, NOON)
        track_dispute(event, ports, NOON)


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_a_part_refunded_and_the_rest_disputed_do_not_collide_whatever_is_known_first(
    ports: Ports, order: tuple[int, ...]
) -> None:
    events = a_disputed_payment()
    both(ports, *[events[place] for place in order])
    found = everything(ports, ("payments", "cases"))
    assert "flags" not in found[CASE]
    assert published(ports, "dispute-updates")[-1]["flags"] == []
    wipe(ports)
    both(ports, *events, *events)
    assert everything(ports, ("payments", "cases")) == found


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_of_a_payment_whose_capture_is_never_told_what_is_held_can_be_given_back(
    ports: Ports, order: tuple[int, ...]
) -> None:
    """Adyen captures by itself, without a word."""
    _, refund, dispute = a_disputed_payment()
    events = [a_payment_event(PaymentStep.AUTHORIZED, amount=eur(100), reference="psp_1"), refund, dispute]
    both(ports, *[events[place] for place in order])
    assert "flags" not in everything(ports)[CASE]
    assert published(ports, "dispute-updates")[-1]["flags"] == []
    both(ports, a_refund_event(amount=eur(1), reference="re_2"))
    assert everything(ports)[CASE]["flags"] == ["refund_dispute_collision"]


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_an_unsigned_release_of_what_is_disputed_is_a_refund(ports: Ports, order: tuple[int, ...]) -> None:
    """Adyen's CANCEL_OR_REFUND: which of the two it was is not signed, and only what was captured can be disputed."""
    released = a_payment_event(
        PaymentStep.CANCELED, amount=eur(100), reference="psp_2", occurred_at=NOON + DAY, unsigned=("step",)
    )
    events: list[AnyEvent] = [
        a_payment_event(amount=eur(100), reference="cap_1"),
        released,
        a_dispute_event(amount=eur(100), occurred_at=NOON + 2 * DAY),
    ]
    both(ports, *[events[place] for place in order])
    assert event_message(released, NOON).attributes["step"] == "refunded"
    found = everything(ports)
    assert (found[PAYMENT]["state"], found[CASE].get("flags")) == ("refunded", ["refund_dispute_collision"])


@pytest.mark.parametrize("captured_first", [True, False])
def test_a_collision_ends_with_what_is_learned_of_the_payment_and_begins_with_it(
    ports: Ports, caplog: pytest.LogCaptureFixture, captured_first: bool
) -> None:
    captured, refund, dispute = a_disputed_payment()
    failed = a_payment_event(PaymentStep.CAPTURE_FAILED, reference="cap_1", occurred_at=NOON + 3 * DAY)
    both(ports, *((captured, refund, dispute) if captured_first else (dispute, refund, captured)))
    caplog.clear()
    record(ports, failed)
    assert everything(ports)[CASE]["flags"] == ["refund_dispute_collision"]
    assert [entry.message for entry in caplog.records if entry.levelname == "ERROR"] == ["refund_dispute_collision"]
    ended, begun = published(ports, "dispute-updates")[-2:]
    assert (ended["flags"], begun["flags"]) == ([], ["refund_dispute_collision"])
    assert begun["revision"] > ended["revision"]
    record(ports, a_payment_event(amount=eur(100), reference="cap_1", occurred_at=NOON + 4 * DAY))
    (over,) = published(ports, "dispute-updates")
    assert (over["flags"], over["revision"] > begun["revision"]) == ([], True)


def test_rows_that_could_not_be_published_are_published_by_the_redelivery(ports: Ports) -> None:
    class Down:
        def publish(self, messages: object) -> None:
            raise Unavailable("the bus is down")

    captured, refund, dispute = a_disputed_payment()
    both(ports, dispute, refund)
    published(ports, "dispute-updates")
    with pytest.raises(Unavailable):
        record(replace(ports, bus=Down()), captured)
    assert published(ports, "dispute-updates") == []
    record(ports, captured)
    assert [update["flags"] for update in published(ports, "dispute-updates")] == [[]]


def test_hundreds_of_refunds_are_recorded_in_full_and_say_that_the_timeline_is_full_but_call_nobody(
    ports: Ports, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("ERROR", "payin")
    refunds = [
        a_refund_event(amount=eur(10), reference=f"re_{number}", occurred_at=NOON + number * SECOND)
        for number in range(600)
    ]
    record(ports, a_payment_event(amount=eur(6000), occurred_at=NOON - DAY), *reversed(refunds), *refunds[:9])
    stored = everything(ports)[PAYMENT]
    assert (stored["refunded"], stored["state"]) == ({"minor": 6000, "currency": "EUR"}, "refunded")
    assert stored["inconsistent"] == ["timeline_full"]
    assert caplog.records == []


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.builds(
            a_payment_event,
            st.sampled_from([PaymentStep.AUTHORIZED, PaymentStep.CAPTURED, PaymentStep.CAPTURE_FAILED]),
            amount=st.sampled_from([None, eur(100), eur(40)]),
            reference=st.sampled_from([None, "r1", "r2"]),
            occurred_at=st.integers(0, 3).map(lambda number: NOON + number * DAY),
        )
        | st.builds(
            a_refund_event,
            amount=st.sampled_from([None, eur(30)]),
            step=st.sampled_from([PaymentStep.REFUNDED, PaymentStep.REFUND_FAILED]),
            occurred_at=st.integers(0, 3).map(lambda number: NOON + number * DAY),
        )
        | st.builds(
            a_dispute_event,
            amount=st.just(eur(70)),
            status=st.sampled_from([DisputeStatus.NEEDS_RESPONSE, DisputeStatus.LOST]),
            occurred_at=st.integers(0, 3).map(lambda number: NOON + number * DAY),
        ),
        min_size=1,
        max_size=6,
    ),
    st.data(),
)
def test_a_case_and_its_last_row_are_the_same_in_any_order_of_payments_refunds_and_disputes(
    shared_ports: Ports, events: list[AnyEvent], data: st.DataObject
) -> None:
    def told() -> dict[str, object]:
        rows = published(shared_ports, "dispute-updates")
        newest = max(rows, key=lambda row: row["revision"], default=None)
        case = everything(shared_ports).get(CASE, {})
        assert newest is None or newest["flags"] == case.get("flags", [])
        return {key.collection: stored for key, stored in wipe(shared_ports).items() if key.collection != "disputes"}

    both(shared_ports, *events)
    once = told()
    both(
        shared_ports, *data.draw(st.permutations([*events, *data.draw(st.lists(st.sampled_from(events), max_size=4))]))
    )
    assert told() == once
