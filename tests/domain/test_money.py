from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.money import EXPONENTS, LARGEST_MINOR, Money, exponent, from_major, from_minor

CURRENCIES = ("EUR", "USD", "JPY", "KWD", "ISK", "CLP", "UGX", "HUF", "TWD", "CLF", "BHD")


@given(st.sampled_from(sorted({*EXPONENTS, *CURRENCIES})), st.integers(-LARGEST_MINOR, LARGEST_MINOR))
def test_money_round_trips_through_major_units_in_every_currency(currency: str, minor: int) -> None:
    money = Money(minor, currency)
    assert from_major(str(money.major()), currency) == money
    assert from_major(money.major(), currency.lower()) == money


@given(st.sampled_from(CURRENCIES), st.integers(-(10**9), 10**9), st.integers(0, 4))
def test_a_provider_that_sends_other_decimals_means_the_same_money(currency: str, minor: int, decimals: int) -> None:
    shift = decimals - exponent(currency)
    if shift >= 0:
        assert from_minor(minor * 10**shift, currency, {currency: decimals}) == Money(minor, currency)
    else:
        assert from_minor(minor, currency, {currency: decimals}) == Money(minor * 10**-shift, currency)


def test_an_amount_below_the_minor_unit_is_refused_not_rounded() -> None:
    with pytest.raises(ValueError, match="below its minor unit"):
        from_major("19.999", "EUR")
    with pytest.raises(ValueError, match="below its minor unit"):
        from_major("100.5", "JPY")
    with pytest.raises(ValueError, match=r"."):
        from_major("1." + "0" * 28 + "1", "EUR")
    with pytest.raises(ValueError, match="below its minor unit"):
        from_minor(150050, "ISK", {"ISK": 2})


@pytest.mark.parametrize(
    "text", ["", "1e400", "1e999999", "1e-999999", "NaN", "Infinity", "1_000", " 1", "one", "١", "9" * 40, "1,5"]
)
def test_what_is_no_plain_decimal_number_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        from_major(text, "EUR")


@pytest.mark.parametrize("currency", ["", "eur", "EURO", "E1R", "€UR"])
def test_a_currency_is_three_capital_letters(currency: str) -> None:
    with pytest.raises(ValueError, match="three capital letters"):
        Money(1, currency)


def test_money_prints_for_people_with_its_own_decimals() -> None:
    assert [str(Money(1999, currency)) for currency in ("EUR", "JPY", "KWD")] == ["EUR 19.99", "JPY 1999", "KWD 1.999"]
    assert Money(1999, "EUR").major() == Decimal("19.99")
