"""A decision's document is small, and says the same as the decision."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.codec import decode, encode
from shared.domain.decisions import Decision, FeatureValue, History, HistoryState, Outcome, Reason
from shared.domain.errors import Unreadable
from shared.domain.money import Money
from shared.flows.decisions import PACKED, DecisionRow, of_stored, row_of, stored
from shared.fraud.features import NAMES
from tests.builders import an_assessment

AT = datetime(2026, 11, 2, 12, 0, 0, 123456, tzinfo=UTC)


def a_decision(values: tuple[float | None, ...] = (1.0, None, 0.25)) -> Decision:
    return Decision(
        provider="stripe",
        account="acct_1",
        payment_id="pi_1",
        event_id="stripe:acct_1:evt_1",
        livemode=True,
        occurred_at=AT,
        decided_at=AT,
        amount=Money(1999, "EUR"),
        outcome=Outcome.REVIEW,
        score=0.125,
        raw_score=-1.5,
        reasons=(Reason(source="model", code="card_payments_24h", weight=0.5),),
        fallback=None,
        model_digest="a" * 64,
        schema_version="b" * 16,
        rules_version="c" * 16,
        policy_version="d" * 16,
        features=tuple(FeatureValue(name=name, value=value) for name, value in zip(NAMES, values, strict=False)),
        history=(History(entity="card", value="fp_1", state=HistoryState.KNOWN, last_seen_at=AT),),
    )


@given(st.lists(st.one_of(st.none(), st.floats(allow_nan=False, allow_infinity=False)), max_size=len(NAMES)))
def test_what_is_stored_is_read_back_to_the_byte(values: list[float | None]) -> None:
    decision = a_decision(tuple(values))
    assert encode(of_stored(stored(decision))) == encode(decision)


def test_a_document_is_a_quarter_of_a_decision() -> None:
    decision = a_decision(tuple(float(n % 7) for n in range(len(NAMES))))
    assert len(stored(decision)[PACKED]) < len(encode(decision)) / 6


FIRST = (
    "eLv4hBjIpZgxDoMwDEXvwlwhfVcZcg9WhhbEjLqi3J0kSqH8OAlSPXux37eHt6mTkm6CskeUhRGiMQoNzFWhCE9RBkg6DsjTzxNg"
    "5uKq2Hq6sKS+YK19sBhzvwH5+GuIB3PsAmKuiNGbK+KMY4X5idgEcOzOKOCvP0vj/qbq8vhMVNptzFTdPfGHtviLoa6aPzGtd/t9"
    "J8sa88YPVfthhRS50e3J+v1W"
)


def test_what_the_first_release_stored_is_read_by_every_other() -> None:
    assert of_stored({PACKED: FIRST}) == a_decision()


@pytest.mark.parametrize("text", ["", "!", FIRST[:-8], "AAAA" + FIRST[4:]])
def test_a_damaged_document_is_unreadable(text: str) -> None:
    with pytest.raises(Unreadable):
        of_stored({PACKED: text})


AT_THE_DOOR = {"request_id": "r", "step": None}


@pytest.mark.parametrize(
    ("doubted", "changes"),
    [
        (True, {**AT_THE_DOOR, "outcome": Outcome.CHALLENGE}),
        (True, {**AT_THE_DOOR, "outcome": Outcome.REVIEW}),
        # The holder authenticated, or a person released it.
        (False, {**AT_THE_DOOR, "outcome": Outcome.CHALLENGE, "step": "authorized"}),
        (False, {**AT_THE_DOOR, "outcome": Outcome.REVIEW, "step": "captured"}),
        # Its issuer agreed before we were asked; a release would be told by no row.
        (False, {"outcome": Outcome.CHALLENGE, "step": "authorized"}),
        (False, {"outcome": Outcome.REVIEW, "step": "authorized"}),
        (False, {**AT_THE_DOOR, "outcome": Outcome.APPROVE}),
        # A segment of which everybody authenticates; a rule says more than such a score.
        (False, {**AT_THE_DOOR, "outcome": Outcome.CHALLENGE, "score": 0.01}),
        (
            True,
            {
                **AT_THE_DOOR,
                "outcome": Outcome.CHALLENGE,
                "score": 0.01,
                "reasons": (Reason(source="rule", code="new_card"),),
            },
        ),
        # What an operator wants of payments whose history is not known.
        (
            False,
            {
                **AT_THE_DOOR,
                "outcome": Outcome.REVIEW,
                "score": None,
                "reasons": (Reason(source="fallback", code="store_slow"),),
            },
        ),
    ],
)
def test_a_newcomer_is_doubted_who_is_stopped_for_suspicion_and_whom_nobody_let_through(
    doubted: bool, changes: Mapping[str, Any]
) -> None:
    new = History(entity="card", value="fp_1", state=HistoryState.NEW)
    decision = replace(a_decision(), history=(new,), initiator="customer", **changes)
    row = decode(row_of(decision, an_assessment()), DecisionRow)
    assert row.newcomer is not None
    assert (row.newcomer.refused, row.newcomer.doubted) == (False, doubted)


def test_accounts_of_one_name_at_two_providers_are_two() -> None:
    new = History(entity="card", value="fp_1", state=HistoryState.NEW)
    told = set()
    for provider in ("stripe", "adyen", "stripe"):
        decision = replace(a_decision(), history=(new,), initiator="customer", provider=provider, account="main")
        row = decode(row_of(decision, an_assessment()), DecisionRow)
        assert row.newcomer is not None
        told.add(row.newcomer.account)
    assert len(told) == 2
