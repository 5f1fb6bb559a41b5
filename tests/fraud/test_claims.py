"""What one message about a dispute says of fraud."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.events import DisputeReason, DisputeStage, DisputeStatus
from shared.fraud.claims import Claims, DisputeClaim
from shared.fraud.features import microseconds
from tests.builders import NOON, a_dispute_event

AT = microseconds(NOON)


@pytest.mark.parametrize(
    ("reason", "fraud_at", "other_at"),
    [(DisputeReason.FRAUD, AT, None), (DisputeReason.DUPLICATE, None, AT), (None, None, None)],
)
def test_a_reason_is_fraud_or_another_and_none_is_neither(
    reason: DisputeReason | None, fraud_at: int | None, other_at: int | None
) -> None:
    claim = DisputeClaim.of(a_dispute_event(reason=reason))
    assert (claim.fraud_at, claim.other_at) == (fraud_at, other_at)


def test_a_dispute_that_was_won_for_good_disproves_and_one_that_is_won_for_now_does_not() -> None:
    won = {"status": DisputeStatus.WON, "stage": DisputeStage.CHARGEBACK}
    assert DisputeClaim.of(a_dispute_event(**won, final=True)).disproved_at == AT
    assert DisputeClaim.of(a_dispute_event(**won, final=False)).disproved_at is None


def test_a_message_without_a_status_is_no_word_on_how_it_ended() -> None:
    assert DisputeClaim.of(a_dispute_event(status=None)).word is None
    early = DisputeClaim.of(a_dispute_event(stage=DisputeStage.INQUIRY)).word
    late = DisputeClaim.of(a_dispute_event(stage=DisputeStage.CHARGEBACK)).word
    assert early is not None
    assert late is not None
    assert early < late


instants = st.one_of(st.none(), st.integers(1, 2**51))
dispute_claims = st.builds(
    DisputeClaim,
    fraud_at=instants,
    other_at=instants,
    claimed_at=instants,
    word=st.one_of(st.none(), st.integers(1, 2**55)),
    disproved_at=instants,
)
claims = st.builds(
    lambda warned, disputes: Claims(warned_from=warned, warned_until=warned, disputes=disputes),
    instants,
    st.dictionaries(st.sampled_from(["dp_1", "dp_2"]), dispute_claims),
)


@given(claims, claims)
def test_whoever_was_told_more_has_the_greater_revision_whatever_came_first(one: Claims, other: Claims) -> None:
    both = one.joined(other)
    assert both.revision == other.joined(one).revision < 2**63
    for part in (one, other):
        assert both.revision >= part.revision
        # A dispute of which nothing is known is none.
        if both.revision == part.revision:
            assert both.known_at == part.known_at
