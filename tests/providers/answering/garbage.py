"""Whatever an API may answer: objects with the provider's own words in odd places, and bytes that are nothing."""

import json
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st

from shared.domain.answers import Done, Refused, Standing
from shared.domain.api import ApiAnswer
from shared.domain.errors import Unreadable

# A machine that is busy is no failure.
FUZZ = settings(max_examples=40, deadline=None)

_VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


def answers(*names: str) -> st.SearchStrategy[ApiAnswer]:
    """`names`: members that the provider has."""
    objects = st.dictionaries(st.sampled_from(names) | st.text(max_size=8), _VALUES, max_size=6)
    bodies = objects.map(lambda value: json.dumps(value).encode()) | st.binary(max_size=60)
    statuses = st.sampled_from((200, 201, 202, 204, 301, 304, 400, 401, 403, 404, 409, 410, 413, 415, 422))
    return st.builds(ApiAnswer, statuses, bodies)


def holds(module: Any, contest: Any, steps: list[Any], answer: ApiAnswer) -> None:
    """No answer brings anything but an outcome, or Unreadable; only a success is done."""
    for step in steps:
        try:
            outcome = module.read_step(contest, step, answer)
        except Unreadable:
            assert answer.status < 400
            continue
        assert isinstance(outcome, Done if 200 <= answer.status < 300 else Refused)
        if isinstance(outcome, Refused):
            assert len(outcome.told) <= 300
            assert 0 < len(outcome.code) <= 64
    try:
        assert module.read_standing(contest, answer) in Standing
    except Unreadable:
        assert answer.status == 200
