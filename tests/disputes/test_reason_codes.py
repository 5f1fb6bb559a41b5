"""Network codes, as providers really write them."""

import pytest

from shared.disputes.reason_codes import look_up
from shared.domain.events import DisputeReason


@pytest.mark.parametrize(
    ("network", "code", "reason"),
    [
        ("visa", "10.4", DisputeReason.FRAUD),
        ("Visa", " 10.4 ", DisputeReason.FRAUD),
        ("visa", "12.6.1", DisputeReason.DUPLICATE),
        ("visa", "13.1", DisputeReason.NOT_RECEIVED),
        ("visa", "13.2", DisputeReason.CANCELED),
        ("visa", "13.6", DisputeReason.CREDIT_NOT_PROCESSED),
        ("mc", "4837", DisputeReason.FRAUD),
        ("mastercard", " 4853", DisputeReason.OTHER),
        ("amex", "f29", DisputeReason.FRAUD),
        ("amex", "FR4", DisputeReason.OTHER),
        ("diners", "UA02", DisputeReason.FRAUD),
        ("discover", "RM", DisputeReason.NOT_AS_DESCRIBED),
        ("jcb", "546", DisputeReason.FRAUD),
        ("jcb", "554", DisputeReason.NOT_RECEIVED),
    ],
)
def test_a_code_says_what_is_claimed(network: str, code: str, reason: DisputeReason) -> None:
    found = look_up(network, code)
    assert found is not None
    assert found.reason is reason
    assert found.name


@pytest.mark.parametrize(("network", "code"), [("visa", "4837"), ("visa", None), (None, "10.4"), ("elo", "10.4")])
def test_a_code_of_another_list_says_nothing(network: str | None, code: str | None) -> None:
    assert look_up(network, code) is None
