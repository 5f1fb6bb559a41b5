"""One definition of a feature: what the flow served from documents is what the warehouse computes of the past."""

import hashlib
import math
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from unittest import mock

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.domain.codec import encode_event
from shared.domain.decisions import Decision
from shared.domain.events import (
    AnyEvent,
    Card,
    DisputeReason,
    DisputeStage,
    DisputeStatus,
    Initiator,
    PaymentAssessed,
    PaymentChanged,
    PaymentStep,
)
from shared.domain.money import Money
from shared.flows.assess_payment import count
from shared.flows.committing import Seen
from shared.flows.decisions import PACKED, stored
from shared.flows.ports import Ports
from shared.flows.score_payment import score_payment
from shared.flows.scorer import Scorer
from shared.fraud import features, history
from shared.fraud.book import Book
from shared.fraud.decide import decide
from shared.fraud.features import NAMES
from shared.fraud.history import Known
from shared.fraud.judges import Judges
from shared.fraud.point_in_time import logged_sql, point_in_time_sql, served_sql
from shared.learning import data_set
from tests.builders import (
    DAY,
    MINUTE,
    NOON,
    a_card,
    a_dispute_event,
    a_finding,
    a_fraud_warning,
    a_payment_event,
    an_assessment,
)
from tests.local import local_ports, published

CAP = 3
FIRST, LAST = NOON - 400 * DAY, NOON + 400 * DAY


Arrival = tuple[datetime, AnyEvent]
"""An event, and when a copy of it was heard."""


def replayed(events: Sequence[AnyEvent], ports: Ports) -> dict[str, dict[str, Any]]:
    """The decisions published when `events` come in this order, by the event decided on."""
    return served_on([(event.occurred_at, event) for event in events], ports)


def served_on(arrivals: Sequence[Arrival], ports: Ports) -> dict[str, dict[str, Any]]:
    """The decisions published on `arrivals`, in this order, by the event decided on."""
    return by_event(decisions_on(arrivals, ports))


def by_event(decisions: Sequence[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {decision["event_id"]: decision for decision in decisions}


def decisions_on(arrivals: Sequence[Arrival], ports: Ports) -> list[dict[str, Any]]:
    """All that is published of decisions on `arrivals`, in this order; requests come in at the other door, and are told of
    when they are answered."""
    scorer = Scorer(use_model=False)
    for now, event in arrivals:
        if isinstance(event, PaymentAssessed):

            def judged(known: Known, judges: Judges, book: Book, _seen: Seen, at: datetime = now) -> Decision:
                return decide(known, judges.champion, at, book)

            made = count(event, ports, now, scorer, judged)
            event = replace(event, decision=stored(made.decision)[PACKED])
        score_payment(event, ports, now, scorer)
    return published(ports, "fraud-decisions")


def from_warehouse(
    events: Sequence[AnyEvent], ports: Ports, as_of: datetime = LAST, cap: int = features.CAP
) -> dict[str, dict[str, Any]]:
    ports.warehouse.append("payment_events", [msgspec.json.decode(encode_event(event)) for event in events])
    return computed(ports, as_of, cap)


def computed(
    ports: Ports, as_of: datetime = LAST, cap: int = features.CAP, seen_limit: int = features.SEEN_LIMIT
) -> dict[str, dict[str, Any]]:
    rows = ports.warehouse.query(point_in_time_sql(cap, seen_limit), {"since": FIRST, "as_of": as_of})
    return {row["event_id"]: row for row in rows}


def served_rows(ports: Ports, as_of: datetime = LAST, sample: str = "ff") -> dict[str, dict[str, Any]]:
    """What training reads where it computes what no decision recorded, less what nobody said how it ended."""
    asked = {"since": FIRST, "as_of": as_of, "sample": sample}
    rows = ports.warehouse.query(data_set.named_sql(served_sql()), asked)
    # Who is named by several ids is told as the last of them; nothing is learned from that.
    return {row["event_id"]: {**row, "payment_id": None} for row in rows if row["step"] is not None}


def logged(ports: Ports, as_of: datetime = LAST, sample: str = "ff") -> dict[str, dict[str, Any]]:
    """What training reads where decisions recorded enough, less what nobody said how it ended."""
    rows = ports.warehouse.query(logged_sql(), {"since": FIRST, "as_of": as_of, "sample": sample})
    assert len(rows) == len({row["event_id"] for row in rows})
    return {row["event_id"]: {**row, "payment_id": None} for row in rows if row["step"] is not None}


def in_order(events: Sequence[AnyEvent]) -> list[AnyEvent]:
    return sorted(events, key=lambda event: (event.occurred_at, event.event_id))


def as_they_came(arrivals: Sequence[Arrival]) -> list[Arrival]:
    """`arrivals` in the order in which they are told apart: of two at one instant, what happened first comes first."""
    return sorted(arrivals, key=lambda arrival: (arrival[0], arrival[1].occurred_at, arrival[1].event_id))


def assert_same(served: dict[str, dict[str, Any]], computed: dict[str, dict[str, Any]]) -> None:
    assert served.keys() == computed.keys()
    for event_id, decision in served.items():
        vector = {feature["name"]: feature["value"] for feature in decision["features"]}
        row = computed[event_id]
        assert tuple(vector) == NAMES
        for name, value in vector.items():
            assert (value is None) == (row[name] is None), (event_id, name, value, row[name])
            if value is not None:
                assert math.isclose(value, float(row[name]), rel_tol=1e-9, abs_tol=0), (
                    event_id,
                    name,
                    value,
                    row[name],
                )
                assert value % 1 or value == row[name], (event_id, name)


few = st.sampled_from
# Steps that fall in the same bucket, on its edges, and out of every window.
gaps = st.one_of(
    few([0, 1, 299_999_999, 300_000_000, 3_600_000_000, 86_400_000_000, 7 * 86_400_000_000, 31 * 86_400_000_000]),
    st.integers(0, 4 * 3_600_000_000),
    st.integers(0, 20 * 86_400_000_000),
)


@st.composite
def histories(draw: st.DrawFn, *, assessed: bool = False) -> list[AnyEvent]:
    """Payments of few cards, customers, devices and addresses over months, repeats and summaries of them, and news
    of fraud on payments that were, will be or never are."""
    at = NOON
    events: list[AnyEvent] = []
    for index in range(draw(st.integers(1, 14))):
        at += timedelta(microseconds=draw(gaps))
        number = draw(st.integers(0, 5))
        kind = draw(few(["payment"] * 5 + ["warning"] + ["dispute"] * 3 + ["assessment"] * 4 * assessed))
        names: dict[str, Any] = {
            "event_id": f"stripe:a:{draw(st.integers(0, 9))}{index}",
            "occurred_at": at,
            "payment_id": f"pi_{number}",
        }
        order = draw(few([None, f"order-{number % 2}"]))
        if kind == "assessment":
            events.append(
                an_assessment(
                    request_id=f"r{index}",
                    occurred_at=at,
                    merchant_reference=order,
                    aliases=draw(few([(), (f"pi_{number}",), (f"ch_{number}",)])),
                    amount=draw(few([Money(0, "EUR"), Money(199, "USD"), Money(700, "EUR")])),
                    card=draw(few([None, a_card(fingerprint="A"), a_card(fingerprint="B", country="US")])),
                    customer_id=draw(few(["c1", "c2", None])),
                    email_hash=draw(few(["e1", None])),
                    device_id=draw(few(["d1", "d2", None])),
                    ip=draw(few(["192.0.2.1", "2001:db8::1", None])),
                    email_domain=draw(few(["example.com", "gmail.com", None])),
                )
            )
        elif kind == "payment":
            aliases = draw(few([(), (f"ch_{number}",), (f"ch_{number}", f"ch_{number | 1}")]))
            events.append(
                a_payment_event(
                    **names,
                    aliases=aliases,
                    merchant_reference=order,
                    step=draw(few([PaymentStep.AUTHORIZED, PaymentStep.CAPTURED, PaymentStep.DECLINED])),
                    amount=draw(
                        few(
                            [
                                None,
                                Money(0, "EUR"),
                                Money(150, "EUR"),
                                Money(199, "USD"),
                                Money(5, "KWD"),
                                Money(1000, "XAU"),
                            ]
                        )
                        | st.builds(Money, st.integers(0, 10**12), few(["EUR", "JPY", "KWD", "IDR", "CLF"]))
                    ),
                    method=draw(few(["card", "card", None, "paypal"])),
                    card=draw(
                        few([None])
                        | st.builds(
                            lambda fingerprint, country, funding: a_card(
                                fingerprint=fingerprint, country=country, funding=funding
                            ),
                            few(["A", "B", "", None]),
                            few(["DE", "US", None]),
                            few(["credit", "prepaid", None]),
                        )
                    ),
                    customer_id=draw(few(["c1", "c2", "", None])),
                    email_hash=draw(few(["e1", None])),
                    device_id=draw(few(["d1", "d2", None])),
                    ip=draw(
                        few(
                            ["192.0.2.1", "::ffff:192.0.2.1", "2001:db8::1", "2001:DB8:0:0:1::2", "2001:db8:1::1", None]
                        )
                    ),
                    email_domain=draw(few(["example.com", "gmail.com", None])),
                    billing_country=draw(few(["DE", None])),
                    initiator=draw(few([*Initiator, None])),
                    three_d_secure=draw(few(["authenticated", "failed", None])),
                    cvv_result=draw(few(["match", "mismatch", None])),
                    decline_code=draw(few(["stolen_card", "do_not_honor", None])),
                    provider_score=draw(few([None, 0.0, 12.5, 99.0])),
                )
            )
        elif kind == "warning":
            report = draw(few([a_fraud_warning, a_finding]))
            events.append(report(**names, payment_aliases=draw(few([(), (f"ch_{number}",)]))))
        else:
            events.append(
                a_dispute_event(
                    **{**names, "payment_id": draw(few([names["payment_id"], names["payment_id"], None]))},
                    dispute_id=f"dp_{draw(st.integers(number, number + 1))}",
                    stage=draw(few([*DisputeStage, DisputeStage.CHARGEBACK, None])),
                    status=draw(few([*DisputeStatus, DisputeStatus.WON, None])),
                    final=draw(few([True, True, False])),
                    reason=draw(
                        few([DisputeReason.FRAUD] * 3 + [DisputeReason.NOT_RECEIVED, DisputeReason.OTHER, None])
                    ),
                    payment_aliases=draw(few([(), (f"ch_{number}",)])),
                )
            )
    return in_order(events)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(histories())
def test_features_served_online_equal_those_computed_from_the_warehouse_row_by_row(events: list[AnyEvent]) -> None:
    with tempfile.TemporaryDirectory() as folder, mock.patch.object(history, "CAP", CAP):
        ports = local_ports(Path(folder))
        served = replayed(events, ports)
        assert_same(served, from_warehouse([*events, *events[:3]], ports, cap=CAP))


delays = few(
    [0] * 6 + [1, 60_000_000, 600_000_000, 3_600_000_000, 90_000_000_000, 3 * 86_400_000_000, 33 * 86_400_000_000]
)


@st.composite
def deliveries(draw: st.DrawFn, *, assessed: bool = False) -> list[Arrival]:
    """Histories as they are heard: late by minutes to a month, some of it at one instant, some of it twice."""
    arrivals: list[Arrival] = []
    for event in draw(histories(assessed=assessed)):
        if isinstance(event, PaymentAssessed):
            arrivals.append((event.occurred_at, event))
            continue
        heard = event.occurred_at + timedelta(microseconds=draw(delays))
        if draw(few([False, False, True])):
            heard = heard.replace(hour=12, minute=0, second=0, microsecond=0) + DAY  # once a day, all at once
        arrivals.append((heard, event))
        if draw(few([False, False, False, True])):
            arrivals.append((heard + timedelta(microseconds=draw(delays)), event))
    return as_they_came(arrivals)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(deliveries(), st.booleans())
def test_features_are_computed_as_served_however_late_twice_and_out_of_order_things_were_heard(
    arrivals: list[Arrival], decisions_stored: bool
) -> None:
    with (
        tempfile.TemporaryDirectory() as folder,
        mock.patch.object(history, "CAP", CAP),
        mock.patch.object(history, "SEEN_LIMIT", 1),
    ):
        ports = local_ports(Path(folder))
        decisions = decisions_on(arrivals, ports)
        served = by_event(decisions)
        # Rows come in any order.
        rows = [msgspec.json.decode(encode_event(event, heard)) for heard, event in arrivals[::-1]]
        ports.warehouse.append("payment_events", rows)
        if decisions_stored:
            ports.warehouse.append("fraud_decisions", decisions[::-1])
        assert_same(served, computed(ports, LAST + 400 * DAY, CAP, seen_limit=1))
        if decisions_stored:
            assert logged(ports, LAST + 400 * DAY) == served_rows(ports, LAST + 400 * DAY)


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(deliveries(assessed=True))
def test_features_of_both_doors_are_computed_as_served_whichever_comes_first(arrivals: list[Arrival]) -> None:
    with (
        tempfile.TemporaryDirectory() as folder,
        mock.patch.object(history, "CAP", CAP),
        mock.patch.object(history, "SEEN_LIMIT", 2),
    ):
        ports = local_ports(Path(folder))
        decisions = decisions_on(arrivals, ports)
        served = by_event(decisions)
        ports.warehouse.append(
            "payment_events", [msgspec.json.decode(encode_event(event, heard)) for heard, event in arrivals[::-1]]
        )
        ports.warehouse.append("fraud_decisions", decisions[::-1])
        # Where the provider was quicker, the payment's row is that of its event.
        once = {name: one for name, one in served.items() if one["linked_event_id"] not in served}
        assert_same(once, computed(ports, LAST + 400 * DAY, CAP, seen_limit=2))
        assert logged(ports, LAST + 400 * DAY) == served_rows(ports, LAST + 400 * DAY)


def test_a_busy_device_stops_counting_at_the_cap_in_both_places(tmp_path: Path) -> None:
    events = [
        a_payment_event(
            payment_id=f"pi_{index}",
            event_id=f"stripe:a:{index:04}",
            card=a_card(fingerprint=f"fp_{index % 7}"),
            occurred_at=NOON + timedelta(seconds=index),
        )
        for index in range(features.CAP + 5)
    ]
    later = replace(
        events[0], event_id="stripe:a:later", payment_id="pi_later", occurred_at=NOON + timedelta(minutes=6)
    )
    ports = local_ports(tmp_path)
    served = replayed([*events, later], ports)
    assert_same(served, from_warehouse([*events, later], ports))
    vector = {feature["name"]: feature["value"] for feature in served["stripe:a:later"]["features"]}
    assert vector["device_payments_1h"] == features.CAP
    states = {part["entity"]: part["state"] for part in served[events[-1].event_id]["history"]}
    assert states == {
        "card": "known",
        "customer": "known",
        "device": "saturated",
        "ip": "saturated",
        "email_domain": "saturated",
    }


def test_no_fraud_is_known_before_somebody_told_of_it(tmp_path: Path) -> None:
    fraud = a_payment_event(payment_id="pi_fraud", occurred_at=NOON)
    before = a_payment_event(payment_id="pi_before", occurred_at=NOON + 5 * DAY)
    news = a_fraud_warning(payment_id="pi_fraud", occurred_at=NOON + 6 * DAY)
    after = a_payment_event(payment_id="pi_after", occurred_at=NOON + 7 * DAY)
    ports = local_ports(tmp_path)
    # The same fraud by another road: it counts once.
    chargeback = a_dispute_event(payment_id="pi_fraud", occurred_at=NOON + 6.5 * DAY)
    served = replayed([fraud, before, news, chargeback, after], ports)
    computed = from_warehouse([fraud, before, news, chargeback, after], ports)
    assert_same(served, computed)
    frauds = {row["payment_id"]: row["card_frauds_ever"] for row in computed.values()}
    assert frauds == {"pi_fraud": None, "pi_before": 0, "pi_after": 1}


def test_a_payment_is_large_by_what_was_usual_of_the_customer_when_it_was_decided_on(tmp_path: Path) -> None:
    # Nothing is usual yet when the second is decided on; at the fifth it is.
    amounts = [1000, 9000, 1000, 1000, 9000, 3000, 4000, 1000]
    payments = [
        a_payment_event(payment_id=f"pi_{n}", occurred_at=NOON + n * DAY, amount=Money(minor, "EUR"))
        for n, minor in enumerate(amounts)
    ]
    # The sixth is heard last but one.
    arrivals: list[Arrival] = [(event.occurred_at, event) for event in payments]
    arrivals[5] = (NOON + 7.5 * DAY, payments[5])
    arrivals.append((NOON + 8 * DAY, a_payment_event(payment_id="pi_last", occurred_at=NOON + 8 * DAY)))
    ports = local_ports(tmp_path)
    served = served_on(as_they_came(arrivals), ports)
    rows = [msgspec.json.decode(encode_event(event, heard)) for heard, event in arrivals]
    ports.warehouse.append("payment_events", rows)
    computed_rows = computed(ports)
    assert_same(served, computed_rows)
    large = {row["payment_id"]: row["customer_large_7d"] for row in computed_rows.values()}
    assert large == {"pi_0": None, **dict.fromkeys(("pi_1", "pi_2", "pi_3", "pi_4"), 0)} | dict.fromkeys(
        ("pi_5", "pi_6", "pi_7", "pi_last"), 1
    )


def test_what_is_usual_of_payments_of_nothing_is_the_same_in_both_places(tmp_path: Path) -> None:
    # Of 3 the magnitude is one short of what is large beside nothing.
    events = [
        a_payment_event(payment_id=f"pi_{n}", occurred_at=NOON + n * DAY, amount=Money(minor, "EUR"))
        for n, minor in enumerate([0, 0, 0, 3, 3])
    ]
    ports = local_ports(tmp_path)
    assert_same(replayed(events, ports), from_warehouse(events, ports))


def test_a_late_payment_is_beside_the_oldest_bucket_that_is_kept_and_none_before(tmp_path: Path) -> None:
    days = [0, 1, 30]
    events = [a_payment_event(payment_id=f"pi_{n}", occurred_at=NOON + n * DAY) for n in days]
    late = a_payment_event(payment_id="pi_late", occurred_at=NOON + 29 * DAY)
    arrivals: list[Arrival] = [*((event.occurred_at, event) for event in events), (NOON + 30.1 * DAY, late)]
    ports = local_ports(tmp_path)
    served = served_on(arrivals, ports)
    rows = [msgspec.json.decode(encode_event(event, heard)) for heard, event in arrivals]
    ports.warehouse.append("payment_events", rows)
    assert_same(served, computed(ports))
    assert computed(ports)[late.event_id]["card_payments_30d"] == 1


def test_the_run_of_frauds_at_a_device_begins_after_the_latest_day_that_is_known_to_be_free_of_it(
    tmp_path: Path,
) -> None:
    payments = [
        a_payment_event(payment_id=f"pi_{n}", occurred_at=NOON + n * DAY) for n in (0, 1, 2, 4, 6, 8, 9, 12, 13, 40)
    ]
    early = a_fraud_warning(payment_id="pi_2", occurred_at=NOON + 5.5 * DAY)
    older = a_fraud_warning(event_id="stripe:a:older", payment_id="pi_0", occurred_at=NOON + 7.5 * DAY)
    claimed = a_dispute_event(payment_id="pi_4", occurred_at=NOON + 10.5 * DAY)
    disproved = replace(claimed, event_id="stripe:a:won", status=DisputeStatus.CLOSED, occurred_at=NOON + 12.5 * DAY)
    events = in_order([*payments, early, older, claimed, disproved])
    ports = local_ports(tmp_path)
    served = replayed(events, ports)
    computed_rows = from_warehouse(events, ports)
    assert_same(served, computed_rows)
    runs = {row["payment_id"]: row["device_fraud_run_30d"] for row in computed_rows.values()}
    assert runs["pi_4"] is None  # nobody has told of fraud
    assert runs["pi_6"] == 4  # since pi_2, and of the days before nothing is known yet
    assert runs["pi_8"] == 8  # pi_0 is fraud too, and of pi_1 a week is not over before noon
    assert runs["pi_9"] == 7  # pi_1 was none
    assert runs["pi_12"] == 10  # pi_4 is fraud as well: it goes on
    assert runs["pi_13"] is None  # of pi_4 it was disproved, and its day was free of it, as that of pi_6 was
    assert runs["pi_40"] is None  # longer ago than the window


def test_fraud_is_confirmed_in_the_bucket_of_its_payment_for_as_long_as_it_stands(tmp_path: Path) -> None:
    """The label of eight days ago is a share of its own, whatever news came in between."""
    payments = [a_payment_event(payment_id=f"pi_{n}", occurred_at=NOON + n * DAY) for n in range(12)]
    claimed = a_dispute_event(payment_id="pi_2", occurred_at=NOON + 8.5 * DAY)
    withdrawn = replace(claimed, event_id="stripe:a:won", status=DisputeStatus.CLOSED, occurred_at=NOON + 10.5 * DAY)
    early = a_fraud_warning(payment_id="pi_7", occurred_at=NOON + 7.5 * DAY)
    events = in_order([*payments, claimed, withdrawn, early])
    ports = local_ports(tmp_path)
    served = replayed(events, ports)
    computed_rows = from_warehouse(events, ports)
    assert_same(served, computed_rows)
    shares = {
        row["payment_id"]: (row["device_matured_share_8d"], row["device_matured_share_10d"])
        for row in computed_rows.values()
    }
    assert shares["pi_6"] == (None, None)  # nothing is old enough, and nobody told of fraud
    assert shares["pi_7"] == (0, 0)
    # Of the day that is old enough, and of the early news: pi_1 and pi_7, then pi_2, found fraudulent, beside them.
    assert shares["pi_8"] == (1 / 2, 1 / 3)
    assert shares["pi_9"] == (2 / 2, 2 / 4)
    assert shares["pi_10"] == (1 / 2, 2 / 4)
    assert shares["pi_11"] == (1 / 2, 1 / 4)


def test_a_dispute_that_we_won_is_no_label_but_its_fraud_was_known_all_the_same(tmp_path: Path) -> None:
    payment = a_payment_event(payment_id="pi_1", occurred_at=NOON)
    lost = a_dispute_event(payment_id="pi_1", occurred_at=NOON + DAY)
    later = a_payment_event(payment_id="pi_2", occurred_at=NOON + 2 * DAY)
    won = replace(lost, event_id="stripe:a:won", status=DisputeStatus.WON, occurred_at=NOON + 30 * DAY)
    ports = local_ports(tmp_path)
    computed = from_warehouse([payment, lost, later, won], ports)
    assert computed[payment.event_id]["fraud_reported_at"] is None
    assert computed[later.event_id]["card_frauds_ever"] == 1
    earlier = ports.warehouse.query(point_in_time_sql(), {"since": FIRST, "as_of": NOON + 3 * DAY})
    assert [row["fraud_reported_at"] is not None for row in earlier if row["payment_id"] == "pi_1"] == [True]


@pytest.mark.parametrize("stage", [*DisputeStage, None])
def test_a_prevented_fraud_dispute_is_a_label_at_whatever_stage_the_provider_puts_it(
    stage: DisputeStage | None, tmp_path: Path
) -> None:
    payment = a_payment_event()
    prevented = a_dispute_event(stage=stage, status=DisputeStatus.PREVENTED, occurred_at=NOON + DAY)
    row = from_warehouse([payment, prevented], local_ports(tmp_path))[payment.event_id]
    assert row["fraud_reported_at"] == features.microseconds(NOON + DAY)


@pytest.mark.parametrize(
    ("end", "label"),
    [
        (DisputeStatus.NEEDS_RESPONSE, False),
        (DisputeStatus.WON, False),
        (DisputeStatus.LOST, True),
        (DisputeStatus.ACCEPTED, True),
    ],
)
def test_an_inquiry_into_fraud_is_a_label_once_it_ends_for_the_customer(
    end: DisputeStatus, label: bool, tmp_path: Path
) -> None:
    payment, asked = a_payment_event(), a_dispute_event(stage=DisputeStage.INQUIRY, occurred_at=NOON + DAY)
    ended = a_dispute_event(stage=DisputeStage.INQUIRY, status=end, occurred_at=NOON + 2 * DAY)
    row = from_warehouse([payment, asked, ended], local_ports(tmp_path))[payment.event_id]
    assert row["fraud_reported_at"] == (features.microseconds(NOON + 2 * DAY) if label else None)


@pytest.mark.parametrize(
    ("event", "label"),
    [
        (a_dispute_event(status=DisputeStatus.WON, occurred_at=NOON + 3 * DAY), False),
        (a_dispute_event(status=DisputeStatus.CLOSED, payment_id=None, occurred_at=NOON + 3 * DAY), False),
        (a_dispute_event(status=DisputeStatus.WON, final=False, occurred_at=NOON + 3 * DAY), True),
        (a_dispute_event(status=DisputeStatus.WON, dispute_id="dp_2", occurred_at=NOON + 3 * DAY), True),
        (a_fraud_warning(occurred_at=NOON + 3 * DAY), True),
    ],
)
def test_a_label_falls_with_the_claim_that_was_disproved_and_the_report_beside_it(
    event: AnyEvent, label: bool, tmp_path: Path
) -> None:
    payment, report = a_payment_event(), a_fraud_warning(occurred_at=NOON + DAY)
    told: list[AnyEvent] = [payment, report, a_dispute_event(occurred_at=NOON + 2 * DAY), event]
    row = from_warehouse(told, local_ports(tmp_path))[payment.event_id]
    assert (row["fraud_reported_at"] is not None) is label


def test_the_event_that_was_decided_on_is_the_one_that_the_decision_names(tmp_path: Path) -> None:
    authorized = a_payment_event(PaymentStep.AUTHORIZED, amount=Money(500, "EUR"))
    captured = a_payment_event(PaymentStep.CAPTURED, amount=Money(400, "EUR"), occurred_at=NOON + MINUTE)
    ports = local_ports(tmp_path)
    # Heard in one order, decided in the other: the first delivery of the authorization failed.
    served = served_on([(NOON + 2 * MINUTE, captured), (NOON + 3 * MINUTE, authorized)], ports)
    rows = [msgspec.json.decode(encode_event(event, NOON + MINUTE)) for event in (authorized, captured)]
    ports.warehouse.append("payment_events", rows)
    ports.warehouse.append("fraud_decisions", [*served.values(), *served.values()])
    assert_same(served, computed(ports))


def test_what_decisions_recorded_needs_no_event_and_is_read_by_the_sample(
    tmp_path: Path,
) -> None:
    events: list[AnyEvent] = [a_payment_event(payment_id=f"pi_{n}", occurred_at=NOON + n * MINUTE) for n in range(40)]
    # Known by another name, and by that name reported: through an attempt that decided nothing.
    events.append(a_payment_event(payment_id="pi_3", aliases=("ch_3",), occurred_at=NOON + DAY))
    events.append(a_dispute_event(payment_id="ch_3", occurred_at=NOON + 2 * DAY))
    ports = local_ports(tmp_path)
    decisions = decisions_on([(event.occurred_at, event) for event in events], ports)
    served = by_event(decisions)
    ports.warehouse.append("fraud_decisions", [*decisions[::-1], *decisions])
    whole = logged(ports)
    ports.warehouse.append("payment_events", [msgspec.json.decode(encode_event(event)) for event in events])
    assert whole == served_rows(ports)
    assert whole.keys() == served.keys()
    assert [name for name, row in whole.items() if row["fraud_reported_at"] is not None] == [events[3].event_id]
    hashes = {name: hashlib.md5(name.encode(), usedforsecurity=False).hexdigest()[:2] for name in served}
    part = logged(ports, sample="7f")
    assert part == {name: row for name, row in whole.items() if hashes[name] <= "7f"}
    assert 0 < len(part) < len(whole)


def test_nothing_after_as_of_is_seen(tmp_path: Path) -> None:
    events = [a_payment_event(payment_id=f"pi_{n}", occurred_at=NOON + n * DAY) for n in range(4)]
    ports = local_ports(tmp_path)
    whole = from_warehouse(events, ports)
    part = ports.warehouse.query(point_in_time_sql(), {"since": FIRST, "as_of": NOON + DAY})
    assert {row["event_id"]: row for row in part} == {e.event_id: whole[e.event_id] for e in events[:2]}


@pytest.mark.parametrize(
    ("event", "judged"),
    [
        (a_payment_event(), True),
        (a_payment_event(card=None), False),
        (a_payment_event(card=None, method="paypal"), True),
        (
            a_payment_event(
                PaymentStep.AUTHORIZED,
                card=Card(last4="4242"),
                customer_id=None,
                device_id=None,
                ip=None,
                email_hash=None,
                email_domain=None,
            ),
            True,
        ),
        (
            a_payment_event(
                card=Card(last4="4242"), customer_id=None, device_id=None, ip=None, email_hash=None, email_domain=None
            ),
            False,
        ),
        (a_payment_event(PaymentStep.REFUNDED), False),
    ],
)
def test_summaries_and_notices_are_left_to_the_event_that_names_who_paid(
    event: PaymentChanged, judged: bool, tmp_path: Path
) -> None:
    ports = local_ports(tmp_path)
    assert bool(replayed([event], ports)) is judged
    assert bool(from_warehouse([event], ports)) is judged
