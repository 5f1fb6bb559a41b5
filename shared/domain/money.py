"""Money: integer minor units and an ISO 4217 currency, always together."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Context, Decimal, Inexact, InvalidOperation, Overflow

# ISO 4217:2015 amendment 177. Currencies that are not listed have two decimals.
EXPONENTS: Mapping[str, int] = {
    **dict.fromkeys(
        [
            "BIF",
            "CLP",
            "DJF",
            "GNF",
            "ISK",
            "JPY",
            "KMF",
            "KRW",
            "PYG",
            "RWF",
            "UGX",
            "UYI",
            "VND",
            "VUV",
            "XAF",
            "XOF",
            "XPF",
        ],
        0,
    ),
    **dict.fromkeys(["BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"], 3),
    **dict.fromkeys(["CLF", "UYW"], 4),
}

# Far above any payment, far below what BigQuery's INT64 holds: a larger amount is a misread field.
LARGEST_MINOR = 10**15

# Wider than any amount: what does not fit is refused rather than rounded, and 1e999999 before it takes a gigabyte.
_EXACT = Context(prec=50, Emin=-50, Emax=50, traps=[InvalidOperation, Overflow, Inexact])


def exponent(currency: str) -> int:
    """Decimals of `currency` by ISO 4217: JPY 0, EUR 2, KWD 3."""
    return EXPONENTS.get(currency, 2)


@dataclass(frozen=True, slots=True)
class Money:
    """`minor` units of `currency` (upper-case ISO 4217): `Money(1999, "EUR")` is EUR 19.99, `Money(1999, "JPY")` JPY 1999.

    Raises ValueError for a currency that is not three capital letters, a `minor` that is no integer, or one
    beyond `LARGEST_MINOR`.
    """

    minor: int
    currency: str

    def __post_init__(self) -> None:
        if (
            len(self.currency) != 3
            or not self.currency.isascii()
            or not self.currency.isalpha()
            or not self.currency.isupper()
        ):
            raise ValueError("a currency is three capital letters of ISO 4217")
        if type(self.minor) is not int:
            raise ValueError("minor units are an integer")
        if abs(self.minor) > LARGEST_MINOR:
            raise ValueError("an amount this large is a misread field")

    def __str__(self) -> str:
        return f"{self.currency} {self.major():f}"

    def major(self) -> Decimal:
        """The amount for people, exactly: Decimal("19.99")."""
        return Decimal(self.minor).scaleb(-exponent(self.currency))


def from_minor(value: int, currency: str, sent_with: Mapping[str, int] | None = None) -> Money:
    """Money from a provider's integer, where `sent_with` lists the decimals it uses when they differ from ISO 4217.

    Adyen sends CLP with two decimals: `from_minor(500000, "CLP", {"CLP": 2}) == Money(5000, "CLP")`.
    Raises ValueError when the provider's extra decimals are not zero, for then an ISO amount does not exist.
    """
    currency = currency.upper()
    decimals = exponent(currency)
    shift = (sent_with or {}).get(currency, decimals) - decimals
    if shift <= 0:
        return Money(value * 10**-shift, currency)
    whole, rest = divmod(value, 10**shift)
    if rest:
        raise ValueError(f"an amount in {currency} has digits below its minor unit")
    return Money(whole, currency)


def from_major(value: str | int | Decimal, currency: str) -> Money:
    """Money from a decimal amount in major units ("19.99", 58.80 read as Decimal). Never from a float.

    Raises ValueError for text that is no plain decimal number and for digits below the minor unit.
    """
    currency = currency.upper()
    if isinstance(value, str) and (len(value) > 32 or not value.isascii() or "_" in value or value != value.strip()):
        raise ValueError("an amount is a plain decimal number")
    try:
        # Decimal of an int or str is exact; scaleb only moves the point, or says that it cannot.
        amount = Decimal(value)
        minor = amount.scaleb(exponent(currency), _EXACT)
        if not amount.is_finite() or minor != minor.to_integral_value():
            raise ValueError(f"an amount in {currency} has digits below its minor unit")
    except ArithmeticError as error:
        raise ValueError("an amount is a plain decimal number") from error
    return Money(int(minor), currency)


def total_of(amounts: Sequence[Money]) -> tuple[Money | None, bool]:
    """The sum of those in the first one's currency, and whether those were all."""
    if not amounts:
        return None, True
    currency = amounts[0].currency
    same = [amount.minor for amount in amounts if amount.currency == currency]
    return Money(sum(same), currency), len(same) == len(amounts)
