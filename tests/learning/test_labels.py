"""What a payment turned out to be, read as of an instant, on what both warehouses answer alike."""

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.domain.codec import utc_text
from shared.flows.ports import Warehouse
from shared.fraud.features import microseconds
from shared.learning.labels import with_labels
from tests.builders import DAY, HOUR, NOON
from tests.local import local_ports

SINCE, LATER = NOON - DAY, NOON + 200 * DAY
OF_DECISIONS = """SELECT event_id, MAX(step) AS step, MAX(UNIX_MICROS(fraud_reported_at)) AS fraud_reported_at
FROM fraud_decisions WHERE occurred_at >= @since AND occurred_at <= @until GROUP BY event_id"""

Row = Mapping[str, Any]


def decided(payment_id: str = "pi_1", **members: Any) -> Row:
    return {
        "event_id": f"stripe:a:{payment_id}",
        "provider": "stripe",
        "payment_id": payment_id,
        "occurred_at": utc_text(NOON),
        "sample": "00",
        "step": "captured",
        **members,
    }


def said(days: float, label: str = "third_party_fraud", source: str = "dispute", **members: Any) -> Row:
    """A word that was heard so many days after the payment."""
    return {
        "label_id": f"{label}/{source}/{days}",
        "provider": "stripe",
        "payment_id": "pi_1",
        "label": label,
        "source": source,
        "known_at": utc_text(NOON + days * DAY),
        "revision": 1,
        **members,
    }


def as_of(warehouse: Warehouse, instant: datetime = LATER) -> dict[str, tuple[Any, ...]]:
    """By payment: its label, whose word it is, after how many days fraud was known first, and by whom."""
    asked = {"since": SINCE, "until": NOON + DAY, "as_of": instant, "sample": "ff"}
    return {
        row["event_id"].rpartition(":")[2]: (
            row["label"],
            row["label_source"],
            None if row["fraud_known_at"] is None else (row["fraud_known_at"] - microseconds(NOON)) / 86_400e6,
            row["fraud_source"],
        )
        for row in warehouse.query(with_labels(OF_DECISIONS), asked)
    }


FRAUD, GENUINE, UNKNOWN = "third_party_fraud", "genuine", (None, None, None, None)


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        ([], UNKNOWN),
        ([said(3)], (FRAUD, "dispute", 3, "dispute")),
        # Disproved, and claimed again: it was known as fraud from the first word on.
        ([said(3), said(9, GENUINE, "dispute_won")], (GENUINE, "dispute_won", None, None)),
        (
            [said(3, source="early_fraud_warning"), said(9, GENUINE, "dispute_won"), said(20)],
            (FRAUD, "dispute", 3, "early_fraud_warning"),
        ),
        # A reviewer's word is one among the others: the latest counts.
        ([said(0.1, source="manual_review")], (FRAUD, "manual_review", 0.1, "manual_review")),
        ([said(0.1, GENUINE, "manual_review"), said(3)], (FRAUD, "dispute", 3, "dispute")),
        ([said(3), said(5, GENUINE, "manual_review")], (GENUINE, "manual_review", None, None)),
        (
            [said(0.1, "first_party_fraud", "manual_review")],
            ("first_party_fraud", "manual_review", 0.1, "manual_review"),
        ),
        ([said(3, "service", "dispute")], ("service", "dispute", None, None)),
    ],
)
def test_the_latest_word_is_the_label(tmp_path: Path, words: list[Row], meant: tuple[Any, ...]) -> None:
    warehouse = local_ports(tmp_path).warehouse
    warehouse.append("fraud_decisions", [decided(), decided("pi_2")])
    warehouse.append("fraud_labels", words)
    assert as_of(warehouse) == {"pi_1": pytest.approx(meant), "pi_2": UNKNOWN}


@pytest.mark.parametrize(
    ("claimed_after", "words", "meant"),
    [
        (None, [], UNKNOWN),
        (3, [], (FRAUD, "claimed", 3, "claimed")),
        # A label was told of a dispute: the decision's own word says nothing more, not even where it says otherwise.
        (3, [said(30, GENUINE, "dispute_won")], (GENUINE, "dispute_won", None, None)),
        (None, [said(3)], (FRAUD, "dispute", 3, "dispute")),
        # Only a reviewer spoke: whoever spoke last.
        (3, [said(0.1, GENUINE, "manual_review")], (FRAUD, "claimed", 3, "claimed")),
        (3, [said(0.1, source="manual_review")], (FRAUD, "claimed", 0.1, "manual_review")),
        (3, [said(5, GENUINE, "manual_review")], (GENUINE, "manual_review", None, None)),
    ],
)
def test_a_decision_of_before_there_were_labels_has_its_own_word(
    tmp_path: Path, claimed_after: float | None, words: list[Row], meant: tuple[Any, ...]
) -> None:
    warehouse = local_ports(tmp_path).warehouse
    reported = None if claimed_after is None else utc_text(NOON + claimed_after * DAY)
    warehouse.append("fraud_decisions", [decided(), decided(fraud_reported_at=reported, claims_revision=1)])
    warehouse.append("fraud_labels", words)
    assert as_of(warehouse) == {"pi_1": pytest.approx(meant)}
    if claimed_after and not words:
        assert as_of(warehouse, NOON + claimed_after * DAY - HOUR) == {"pi_1": UNKNOWN}


def test_a_label_is_found_under_each_name_by_which_fraud_was_claimed(tmp_path: Path) -> None:
    warehouse = local_ports(tmp_path).warehouse
    warehouse.append("fraud_decisions", [decided(), decided(claimed_as=["ch_1"]), decided("pi_2")])
    other = decided("request:r1", event_id="stripe:a:pi_3")
    warehouse.append("fraud_decisions", [other, {**other, "payment_id": "pi_3"}])
    # Filed under a name, under the payment that a request became, and under one of another provider.
    elsewhere = said(5, payment_id="pi_2", provider="adyen", label_id="x")
    warehouse.append("fraud_labels", [said(3, payment_id="ch_1"), said(4, payment_id="pi_3"), elsewhere])
    assert {name: row[2] for name, row in as_of(warehouse).items()} == {"pi_1": 3, "pi_2": None, "pi_3": 4}


def test_of_a_labels_copies_the_one_that_rests_on_most_counts(tmp_path: Path) -> None:
    warehouse = local_ports(tmp_path).warehouse
    warehouse.append("fraud_decisions", [decided(), decided("pi_2")])
    of_one = [said(3, GENUINE, "dispute_won", label_id="l", revision=2), said(3, label_id="l", revision=1)]
    of_other = [{**one, "payment_id": "pi_2", "label_id": "m"} for one in of_one[::-1]]
    warehouse.append("fraud_labels", [*of_one, *of_other])
    assert {name: row[0] for name, row in as_of(warehouse).items()} == {"pi_1": GENUINE, "pi_2": GENUINE}


@st.composite
def heard(draw: st.DrawFn) -> list[Row]:
    """Words on a payment, each told with those before it again, by `revision`."""
    words = [
        said(days, label, source)
        for days, label, source in draw(
            st.lists(
                st.tuples(
                    st.integers(1, 12),
                    st.sampled_from([FRAUD, "first_party_fraud", "service", GENUINE]),
                    st.sampled_from(["dispute", "early_fraud_warning", "manual_review"]),
                ),
                max_size=5,
                unique_by=lambda one: one[0],
            )
        )
    ]
    # What was told before an earlier word was there had another meaning.
    stale = [{**one, "label": draw(st.sampled_from([FRAUD, GENUINE])), "revision": 0} for one in words]
    return words + draw(st.lists(st.sampled_from(stale), max_size=4) if stale else st.just([]))


@settings(max_examples=12, deadline=None)
@given(heard(), st.data())
def test_nothing_of_the_future_is_seen_and_no_order_or_repetition_matters(
    words: list[Row], data: st.DataObject
) -> None:
    again = data.draw(st.lists(st.sampled_from(words), max_size=4) if words else st.just([]))
    instants = {f"until_{days}": NOON + days * DAY for days in (0, 3, 6, 12)}
    told = {
        "whole": words,
        "mixed": data.draw(st.permutations(words + again)),
        # As if nothing had been said since.
        **{name: [one for one in words if _known_at(one) <= instant] for name, instant in instants.items()},
    }
    with TemporaryDirectory() as folder:
        warehouse = local_ports(Path(folder)).warehouse
        warehouse.append("fraud_decisions", [decided(name) for name in told])
        of = [
            {**one, "payment_id": name, "label_id": f"{name}/{one['label_id']}"}
            for name, those in told.items()
            for one in those
        ]
        warehouse.append("fraud_labels", of)
        ended = as_of(warehouse)
        for name, instant in instants.items():
            seen = as_of(warehouse, instant)
            assert seen["whole"] == seen["mixed"] == ended[name]


def _known_at(word: Row) -> datetime:
    return datetime.fromisoformat(word["known_at"])
