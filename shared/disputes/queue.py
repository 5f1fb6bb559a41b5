"""In which order people go through the disputes that are open: by deadline, and of one deadline by what an answer is worth.

Of an open dispute the provider waits for our answer, or would have it recorded that one was given: its deadline has passed, and
the provider has not ruled.
"""

from datetime import UTC

from shared.disputes.deadlines import is_ours
from shared.domain.disputes import AnsweredBy, Dispute
from shared.domain.events import DisputeStatus
from shared.domain.reference_amount import LARGEST, reference_minor

LAST = "without a deadline"
"""In the place of a deadline: after every other."""


def place_of(dispute: Dispute) -> str | None:
    """A text that is less for what comes before; None where the dispute is not open."""
    if not is_open(dispute):
        return None
    until = dispute.respond_by
    # As long for each instant, so that texts are in the order of instants.
    deadline = f"{until.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%fZ}" if until else LAST
    return f"{deadline}/{LARGEST - _worth(dispute):08d}"


def is_open(dispute: Dispute) -> bool:
    if dispute.same_as is not None:
        return False
    missed = (
        dispute.status is DisputeStatus.EXPIRED
        and dispute.told_status is DisputeStatus.NEEDS_RESPONSE
        and dispute.answered_by is AnsweredBy.US
    )
    return is_ours(dispute) or missed


def _worth(dispute: Dispute) -> int:
    """Euro cents, by fixed rates: nothing while nobody has weighed it."""
    expected = dispute.answer.expected if dispute.answer else None
    if expected is None:
        return 0
    sign = -1 if expected.minor < 0 else 1
    return sign * (reference_minor(type(expected)(abs(expected.minor), expected.currency)) or 0)
