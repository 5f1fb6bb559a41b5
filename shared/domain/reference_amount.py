"""Amounts of every currency on one scale, in integers, so that a sum over a card's payments means something.

The rates are fixed: they compare sizes and are no accounting. A feature must give the same number today and when
the payment is replayed in a year, so a rate is changed only together with the feature schema (its hash covers them).
"""

from collections.abc import Mapping

from shared.domain.money import Money, exponent

# Millionths of a euro for one major unit of the currency: round figures near the mean of 2024-2025.
EURO_MILLIONTHS: Mapping[str, int] = {
    "EUR": 1_000_000,
    "AED": 250_000,
    "ARS": 900,
    "AUD": 600_000,
    "BGN": 511_000,
    "BHD": 2_450_000,
    "BRL": 165_000,
    "CAD": 670_000,
    "CHF": 1_050_000,
    "CLP": 970,
    "CNY": 127_000,
    "COP": 225,
    "CZK": 40_000,
    "DKK": 134_000,
    "EGP": 19_000,
    "GBP": 1_180_000,
    "HKD": 118_000,
    "HUF": 2_500,
    "IDR": 57,
    "ILS": 250_000,
    "INR": 10_800,
    "ISK": 6_700,
    "JOD": 1_300_000,
    "JPY": 6_100,
    "KES": 7_100,
    "KRW": 670,
    "KWD": 3_000_000,
    "MAD": 93_000,
    "MXN": 50_000,
    "MYR": 205_000,
    "NGN": 600,
    "NOK": 86_000,
    "NZD": 555_000,
    "OMR": 2_400_000,
    "PEN": 247_000,
    "PHP": 16_100,
    "PLN": 233_000,
    "QAR": 253_000,
    "RON": 200_000,
    "SAR": 246_000,
    "SEK": 88_000,
    "SGD": 690_000,
    "THB": 26_500,
    "TND": 298_000,
    "TRY": 27_000,
    "TWD": 28_500,
    "UAH": 22_500,
    "USD": 920_000,
    "VND": 37,
    "ZAR": 50_500,
}

LARGEST = 10_000_000
"""Larger amounts count as this many: EUR 100,000. It keeps sums of squares within 64 bits."""


def scale(currency: str) -> tuple[int, int, int] | None:
    """(numerator, denominator, ceiling): reference minor units are `min(minor, ceiling) * numerator / denominator`,
    rounded half up. None for a currency without a rate: a guess would be worse than a missing feature."""
    rate = EURO_MILLIONTHS.get(currency)
    if rate is None:
        return None
    denominator = 10 ** (exponent(currency) + 6)
    return rate * 100, denominator, LARGEST * denominator // (rate * 100)


def reference_minor(money: Money | None) -> int | None:
    """Euro cents, at the fixed rate, 0 to LARGEST; None when there is no amount or no rate."""
    terms = scale(money.currency) if money is not None else None
    if money is None or terms is None:
        return None
    numerator, denominator, ceiling = terms
    return (2 * min(max(money.minor, 0), ceiling) * numerator + denominator) // (2 * denominator)


def reference_minor_sql(minor: str, currency: str) -> str:
    """The same in BigQuery SQL, over the columns `minor` and `currency`."""
    cases = []
    # sqlglot forgets that DIV binds its first argument together: the extra parentheses keep the sum whole.
    for code in EURO_MILLIONTHS:
        numerator, denominator, ceiling = scale(code) or (0, 1, 0)
        cases.append(
            f"WHEN '{code}' THEN DIV((2 * LEAST(GREATEST({minor}, 0), {ceiling}) * {numerator} + {denominator}), "
            f"{2 * denominator})"
        )
    return f"CASE {currency} {' '.join(cases)} END"
