"""A key goes when the other one proves deliveries, and it has not for as long as they are repeated."""

from datetime import datetime
from typing import Any

import pytest

from shared import providers
from shared.domain.errors import Rejected
from shared.operations.key_rotation import KeyUse, quiet_for, with_key, without_key
from tests.builders import DAY, HOUR, NOON

BOTH: dict[str, Any] = {"keys": {"k1": "old", "k2": "new"}, "live": True}
QUIET = 3 * DAY


def use(key_id: str, last: datetime) -> KeyUse:
    return KeyUse(key_id=key_id, deliveries=1, first=last, last=last)


def test_the_new_key_stands_beside_the_old_and_last() -> None:
    assert with_key({"keys": {"k1": "old"}, "live": True}, "k2", "new") == BOTH


@pytest.mark.parametrize(("key_id", "value"), [("k1", "other"), ("k3", "old"), ("", "other"), ("k3", "")])
def test_a_key_that_is_there_or_is_none_is_refused(key_id: str, value: str) -> None:
    with pytest.raises(Rejected) as refused:
        with_key(BOTH, key_id, value)
    assert "old" not in str(refused.value)


def test_the_old_key_goes_once_it_is_quiet_and_the_new_one_is_not() -> None:
    uses = [use("k1", NOON - 4 * DAY), use("k2", NOON - HOUR)]
    assert without_key(BOTH, "k1", uses, NOON, QUIET) == {"keys": {"k2": "new"}, "live": True}


@pytest.mark.parametrize(
    ("key_id", "uses", "why"),
    [
        ("k1", [use("k1", NOON - DAY), use("k2", NOON - HOUR)], "ago"),
        ("k1", [], "none of k2"),
        ("k1", [use("k2", NOON - 4 * DAY)], "none of k2"),
        ("k3", [use("k2", NOON)], "k1, k2"),
    ],
)
def test_a_key_stays_while_anything_may_still_come_by_it(key_id: str, uses: list[KeyUse], why: str) -> None:
    with pytest.raises(Rejected, match=why):
        without_key(BOTH, key_id, uses, NOON, QUIET)


def test_the_last_key_never_goes() -> None:
    with pytest.raises(Rejected, match="no keys"):
        without_key({"keys": {"k1": "old"}}, "k1", [use("k1", NOON - 9 * DAY)], NOON, QUIET)


def test_a_key_is_watched_for_as_long_as_its_provider_repeats_what_it_signed() -> None:
    for name in providers.names():
        traits = providers.load(name).TRAITS
        assert quiet_for(traits) >= max(traits.retry_days or 31, 1) * DAY
