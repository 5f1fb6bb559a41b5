"""What one message about a dispute says of fraud."""

import pytest

from shared.domain.events import DisputeReason, DisputeStage, DisputeStatus
from shared.fraud.claims import DisputeClaim
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
