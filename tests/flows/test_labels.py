"""What a payment turned out to be: labels out of disputes and issuers' reports, tracked for real on SQLite."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from shared.backends.tables import columns
from shared.domain.events import (
    AnyEvent,
    DisputeChanged,
    DisputeReason,
    DisputeStage,
    DisputeStatus,
    Finder,
    FraudFound,
    FraudWarned,
)
from shared.domain.labels import LabelClass
from shared.flows.check_deadlines import check_deadlines
from shared.flows.ports import Ports
from shared.flows.record_payment import record_payment
from shared.flows.track_dispute import track_dispute
from shared.fraud.claims import Claims, DisputeClaim
from tests.builders import DAY, HOUR, MINUTE, NOON, a_dispute_event, a_finding, a_fraud_warning, a_payment_event
from tests.local import published, wipe

WON, LOST, CLOSED = DisputeStatus.WON, DisputeStatus.LOST, DisputeStatus.CLOSED
NOT_RECEIVED = DisputeReason.NOT_RECEIVED


def labels_after(ports: Ports, *events: AnyEvent) -> dict[str, dict[str, Any]]:
    """The labels by id, where each event is heard an hour after the one before. Copies of one must be alike."""
    for hours, event in enumerate(events):
        track_dispute(event, ports, NOON + 30 * DAY + hours * HOUR)
    return told(ports)


def told(ports: Ports, *, alike: bool = True) -> dict[str, dict[str, Any]]:
    """The newest row of each label."""
    found: dict[str, dict[str, Any]] = {}
    for row in published(ports, "fraud-labels"):
        before = found.setdefault(row["label_id"], row)
        assert not alike or {**before, "revision": 0} == {**row, "revision": 0}
        found[row["label_id"]] = max(before, row, key=lambda one: int(one["revision"]))
    return found


def label_at(labels: Mapping[str, dict[str, Any]], instant: datetime) -> dict[str, Any]:
    """The label as of `instant`; nothing, where none was known."""
    known = [row for row in labels.values() if datetime.fromisoformat(row["known_at"]) <= instant]
    return max(known, key=lambda row: datetime.fromisoformat(row["known_at"]), default={})


def is_known_fraud(events: list[AnyEvent]) -> bool:
    """As scoring sees it."""
    disputes: dict[str, DisputeClaim] = {}
    claims = Claims()
    for event in events:
        if isinstance(event, FraudWarned | FraudFound):
            claims = claims.joined(Claims.of_report(event))
        elif isinstance(event, DisputeChanged):
            before = disputes.get(event.dispute_id, DisputeClaim())
            disputes[event.dispute_id] = before.joined(DisputeClaim.of(event))
    for dispute_id, claim in disputes.items():
        claims = claims.joined(Claims.of_dispute(dispute_id, claim))
    return claims.known_at is not None


@st.composite
def a_quarrel(draw: st.DrawFn) -> tuple[list[AnyEvent], list[AnyEvent]]:
    """All that is said of fraud on one payment, at few instants; and a delivery of it in any order, some of it twice."""
    times = st.integers(0, 4).map(lambda number: NOON + number * DAY)
    said = st.builds(
        a_dispute_event,
        dispute_id=st.sampled_from(["dp_1", "dp_1", "dp_2"]),
        occurred_at=times,
        reason=st.none() | st.sampled_from([DisputeReason.FRAUD, *DisputeReason]),
        stage=st.none() | st.sampled_from(DisputeStage),
        status=st.none() | st.sampled_from([WON, LOST, CLOSED, *DisputeStatus]),
        final=st.booleans(),
    )
    reported = st.builds(a_fraud_warning, occurred_at=times, warning_id=st.sampled_from(["w1", "w2"]))
    found = st.builds(a_finding, occurred_at=times)
    events: list[AnyEvent] = draw(
        st.lists(said | reported | found, min_size=1, max_size=6, unique_by=lambda one: one.event_id)
    )
    copies: list[AnyEvent] = draw(st.lists(st.sampled_from(events), max_size=3))
    return events, draw(st.permutations(events + copies))


REPORTED = a_fraud_warning(occurred_at=NOON + DAY)
WON_LATER = a_dispute_event(occurred_at=NOON + 2 * DAY, status=WON)


@settings(max_examples=40, deadline=None)
@given(a_quarrel())
@example(([REPORTED, WON_LATER], [WON_LATER, REPORTED, WON_LATER]))
def test_as_of_any_instant_a_payment_is_labeled_fraud_if_it_was_known_fraud_to_scoring(
    shared_ports: Ports, quarrel: tuple[list[AnyEvent], list[AnyEvent]]
) -> None:
    _, delivered = quarrel
    labels = labels_after(shared_ports, *delivered)
    wipe(shared_ports)
    for heard in range(len(delivered)):
        label = label_at(labels, NOON + 30 * DAY + heard * HOUR)
        assert (label.get("label") == "third_party_fraud") is is_known_fraud(delivered[: heard + 1])


@settings(max_examples=40, deadline=None)
@given(a_quarrel())
def test_any_order_and_any_repetition_ends_with_the_same_label(
    shared_ports: Ports, quarrel: tuple[list[AnyEvent], list[AnyEvent]]
) -> None:
    last = []
    for events in quarrel:
        label = label_at(labels_after(shared_ports, *events), NOON + 100 * DAY)
        wipe(shared_ports)
        last.append((label.get("label"), label.get("source"), label.get("category")))
    assert last[0] == last[1]


def after(days: int, **told: Any) -> DisputeChanged:
    return a_dispute_event(occurred_at=NOON + timedelta(days=days), **told)


REVIEWED = a_finding(found_by=Finder.REVIEW, label=LabelClass.FIRST_PARTY_FRAUD)


def test_a_verdict_that_is_heard_behind_the_dispute_after_it_tells_its_label_anew(ports: Ports) -> None:
    dispute, verdict = after(1, reason=NOT_RECEIVED), a_finding(found_by=Finder.REVIEW, occurred_at=NOON + 29 * DAY)
    track_dispute(dispute, ports, NOON + 30 * DAY)
    track_dispute(verdict, ports, NOON + 30 * DAY + MINUTE)
    assert label_at(told(ports, alike=False), NOON + 30 * DAY)["label"] == "third_party_fraud"


@pytest.mark.parametrize(
    ("events", "meant"),
    [
        ([a_finding()], ("third_party_fraud", "refund", "")),
        # Whoever speaks first: the money of a refund is gone.
        ([a_finding(), a_fraud_warning(occurred_at=NOON + DAY)], ("third_party_fraud", "refund", "")),
        ([a_fraud_warning(), a_finding(occurred_at=NOON + DAY)], ("third_party_fraud", "refund", "")),
        (
            [a_finding(), after(1), after(2, status=WON), a_fraud_warning(occurred_at=NOON + 3 * DAY)],
            ("third_party_fraud", "early_fraud_warning", ""),
        ),
        # What a reviewer called it stands too, and a fraud dispute that was won answers it.
        ([REVIEWED, after(1, reason=NOT_RECEIVED)], ("first_party_fraud", "manual_review", "")),
        ([REVIEWED, after(1), after(2, status=WON)], ("genuine", "dispute_won", "fraud")),
        ([REVIEWED, a_fraud_warning(occurred_at=NOON + DAY)], ("third_party_fraud", "early_fraud_warning", "")),
        ([REVIEWED], (None, None, None)),
        ([a_finding(), after(1)], ("third_party_fraud", "dispute", "fraud")),
        ([a_finding(), after(1), after(2, status=WON)], ("genuine", "dispute_won", "fraud")),
        # A claim of something else does not take back what whoever refunded it said.
        ([a_finding(), after(1, reason=NOT_RECEIVED)], ("third_party_fraud", "refund", "")),
        ([a_fraud_warning()], ("third_party_fraud", "early_fraud_warning", "")),
        ([a_fraud_warning(), after(1)], ("third_party_fraud", "dispute", "fraud")),
        ([after(0), after(1, status=LOST)], ("third_party_fraud", "dispute", "fraud")),
        (
            [after(0, stage=DisputeStage.INQUIRY, status=DisputeStatus.PREVENTED)],
            ("third_party_fraud", "prevented", "fraud"),
        ),
        ([after(0), after(1, status=WON)], ("genuine", "dispute_won", "fraud")),
        # Its last word does not repeat the reason.
        ([after(0), after(1, status=CLOSED, reason=None)], ("genuine", "dispute_withdrawn", "fraud")),
        ([a_fraud_warning(), after(1), after(2, status=WON)], ("genuine", "dispute_won", "fraud")),
        (
            [after(0), after(1, status=WON), a_fraud_warning(occurred_at=NOON + 2 * DAY)],
            ("third_party_fraud", "early_fraud_warning", ""),
        ),
        ([after(0), after(1, status=WON, final=False)], ("third_party_fraud", "dispute", "fraud")),
        ([after(0, reason=NOT_RECEIVED)], ("service", "dispute", "not_received")),
        (
            [after(0, reason=NOT_RECEIVED, stage=DisputeStage.INQUIRY, status=DisputeStatus.PREVENTED)],
            ("service", "prevented", "not_received"),
        ),
        (
            [after(0, reason=NOT_RECEIVED), after(1, reason=NOT_RECEIVED, status=WON)],
            ("genuine", "dispute_won", "not_received"),
        ),
        ([after(0), after(1, reason=DisputeReason.CANCELED)], ("service", "dispute", "canceled")),
        # Fraud in one dispute outweighs another that was won before.
        (
            [after(0, reason=NOT_RECEIVED, status=WON), after(1, dispute_id="dp_2")],
            ("third_party_fraud", "dispute", "fraud"),
        ),
        ([after(0, reason=None)], (None, None, None)),
        ([after(0, stage=DisputeStage.INQUIRY)], (None, None, None)),
        ([after(0, stage=DisputeStage.INQUIRY, status=CLOSED)], (None, None, None)),
    ],
)
def test_what_a_payment_turned_out_to_be(
    ports: Ports, events: list[AnyEvent], meant: tuple[str | None, str | None, str | None]
) -> None:
    label = label_at(labels_after(ports, *events), NOON + 100 * DAY)
    assert (label.get("label"), label.get("source"), label.get("category")) == meant


def test_the_category_is_what_the_last_word_on_any_of_its_disputes_calls_the_matter(ports: Ports) -> None:
    received, described = after(0, reason=NOT_RECEIVED), after(2, reason=DisputeReason.NOT_AS_DESCRIBED)
    other = after(1, dispute_id="dp_2", reason=DisputeReason.DUPLICATE)
    untold = after(3, dispute_id="dp_2", reason=DisputeReason.OTHER)
    labels = labels_after(ports, received, described, other, untold).values()
    assert [row["category"] for row in labels] == ["not_received", *["not_as_described"] * 3]


def test_a_label_says_what_it_corrects_and_the_former_one_stays_true_of_its_time(ports: Ports) -> None:
    opened, won = after(0), after(20, status=WON)
    first, second = labels_after(ports, opened, won).values()
    assert (first["supersedes"], second["supersedes"]) == ("", first["label_id"])
    assert datetime.fromisoformat(second["occurred_at"]) == won.occurred_at
    assert datetime.fromisoformat(second["known_at"]) == NOON + 30 * DAY + HOUR


def test_of_two_words_that_meet_the_one_that_was_committed_first_is_told_anew(ports: Ports) -> None:
    # The win was received first, lost the race to be committed, and answers the report.
    win, report = after(2, status=WON), a_fraud_warning(occurred_at=NOON + DAY)
    track_dispute(report, ports, NOON + 30 * DAY + HOUR)
    track_dispute(win, ports, NOON + 30 * DAY)
    assert label_at(told(ports, alike=False), NOON + 100 * DAY)["label"] == "genuine"


def test_a_label_is_a_row_of_its_table(ports: Ports) -> None:
    [row] = labels_after(ports, a_fraud_warning()).values()
    # The last four are what a BigQuery subscription writes beside the message.
    assert list(row) == [column.name for column in columns("fraud_labels")[:-4]]
    assert (row["provider"], row["account"], row["payment_id"], row["by"]) == ("stripe", "acct_1", "pi_1", "")


def test_a_payment_that_is_found_later_gets_its_labels_under_its_own_name(ports: Ports) -> None:
    track_dispute(a_dispute_event(payment_id="psp_1"), ports, NOON)
    record_payment(a_payment_event(aliases=("psp_1",)), ports, NOON + MINUTE)
    check_deadlines(ports, NOON + 11 * MINUTE)
    before, found = published(ports, "fraud-labels")
    assert (before["payment_id"], found["payment_id"]) == ("psp_1", "pi_1")
    assert (before["label"], before["known_at"]) == (found["label"], found["known_at"])
