"""How pages say amounts, numbers and instants: as the reader's own language writes them."""

from datetime import UTC, datetime

import pytest

from shared.console.words import LOCALES, Reader, zones
from shared.domain.money import Money

AT = datetime(2026, 3, 4, 13, 5, tzinfo=UTC)
GAPS = dict.fromkeys(map(ord, "\N{NO-BREAK SPACE}\N{NARROW NO-BREAK SPACE}"), " ")


@pytest.mark.parametrize(
    ("locale", "money", "number", "percent", "instant", "day"),
    [
        ("en_GB", "€1,234,567.80", "1,234,567.5", "12.3%", "4 Mar 2026, 14:05 CET", "4 Mar 2026"),
        ("en_US", "€1,234,567.80", "1,234,567.5", "12.3%", "Mar 4, 2026, 2:05 PM", "Mar 4, 2026"),
        ("de", "1.234.567,80 €", "1.234.567,5", "12,3 %", "04.03.2026, 14:05 MEZ", "04.03.2026"),
        ("ja", "€1,234,567.80", "1,234,567.5", "12.3%", "2026/03/04 14:05", "2026/03/04"),
        ("hi_IN", "€12,34,567.80", "12,34,567.5", "12.3%", "4 मार्च 2026, 2:05 pm", "4 मार्च 2026"),
    ],
)
def test_each_language_writes_in_its_own_way(
    locale: str, money: str, number: str, percent: str, instant: str, day: str
) -> None:
    reader = Reader(locale, "Europe/Berlin")
    said = (
        reader.money(Money(123_456_780, "EUR")),
        reader.number(1_234_567.5, 1),
        reader.percent(0.123),
        reader.day(AT),
    )
    assert tuple(one.translate(GAPS) for one in said) == (money, number, percent, day)
    assert reader.instant(AT).translate(GAPS).startswith(instant)


@pytest.mark.parametrize("locale", LOCALES)
def test_an_amount_has_the_decimals_of_its_currency_in_every_language(locale: str) -> None:
    reader = Reader(locale)
    for currency, digits in (("JPY", "1999"), ("EUR", "1999"), ("KWD", "1999"), ("HUF", "1999"), ("ISK", "1999")):
        told = reader.money(Money(1999, currency))
        assert "".join(one for one in told if one.isdigit()) == digits, told
    assert "–" in reader.money(None)


def test_zones_are_looked_for_once() -> None:
    assert zones() is zones()
    assert "Europe/Berlin" in zones()
