"""What a document says of an entity, where it holds little."""

from shared.domain.decisions import HistoryState
from shared.fraud.features import Attempt, Entity
from shared.fraud.history import Document, Known
from shared.fraud.lists import LISTED
from tests.builders import NOON, an_assessment


def state_by(document: Document) -> HistoryState:
    known = Known(Attempt.of(an_assessment()), {Entity.DEVICE: document})
    return next(one.state for one in known.history() if one.entity is Entity.DEVICE)


def test_of_whom_only_lists_say_something_was_never_seen() -> None:
    assert state_by({LISTED: {}, "expires_at": NOON}) is HistoryState.NEW


def test_of_whom_no_minutes_are_kept_is_known_and_takes_more_payments() -> None:
    assert state_by({"ever": {"payments": 3}}) is HistoryState.KNOWN
