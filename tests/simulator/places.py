"""Where the simulated business sells: countries, currencies, price tables in minor units, networks and mail domains."""

from collections.abc import Mapping
from dataclasses import dataclass

from shared.domain.events import DisputeReason


@dataclass(frozen=True, slots=True)
class Country:
    """Prices are minor units of `currency`: JPY 1480 is ¥1,480, KWD 3990 is 3.990 dinars.

    Three-decimal prices end in 0, as card networks settle two decimals. `sca`: most customer-initiated payments go
    through 3-D Secure. `network`: the first number of its addresses in 198.18.0.0/15, which RFC 2544 keeps for
    tests.
    """

    code: str
    currency: str
    weight: float
    trial: int
    monthly: int
    premium: int
    gifts: tuple[int, int, int]
    network: int
    sca: bool = False


COUNTRIES = (
    Country("US", "USD", 30, 100, 1299, 2199, (2500, 5000, 10000), 10),
    Country("GB", "GBP", 13, 100, 1099, 1899, (2500, 5000, 10000), 30, sca=True),
    Country("DE", "EUR", 14, 100, 1199, 1999, (2500, 5000, 10000), 50, sca=True),
    Country("FR", "EUR", 10, 100, 1199, 1999, (2500, 5000, 10000), 70, sca=True),
    Country("SE", "SEK", 7, 900, 12900, 21900, (25000, 50000, 100000), 90, sca=True),
    Country("JP", "JPY", 8, 100, 1480, 2480, (3000, 5000, 10000), 110),
    Country("BR", "BRL", 8, 490, 3490, 5990, (10000, 20000, 40000), 130),
    Country("AU", "AUD", 4, 150, 1799, 2999, (3000, 6000, 12000), 150),
    Country("KW", "KWD", 3, 300, 3990, 6990, (7500, 15000, 30000), 170),
    Country("IS", "ISK", 3, 150, 1690, 2890, (3500, 7000, 14000), 190, sca=True),
    Country("IN", "INR", 4, 200, 13900, 22900, (50000, 100000, 200000), 210),
)
# Where a provider of part of the world is used: it takes the currency there, and people there pay with it.
SELLS_IN: Mapping[str, frozenset[str]] = {
    "paypal": frozenset({"US", "GB", "DE", "FR", "SE", "JP", "BR", "AU"}),
    "braintree": frozenset({"US", "GB", "DE", "FR", "SE", "JP", "AU"}),
    "dlocal": frozenset({"BR", "IN"}),
    "gocardless": frozenset({"US", "GB", "DE", "FR", "SE", "AU"}),
    "klarna": frozenset({"US", "GB", "DE", "FR", "SE", "AU"}),
    "mercadopago": frozenset({"BR"}),
    "mollie": frozenset({"GB", "DE", "FR", "SE"}),
    "razorpay": frozenset({"IN"}),
    "square": frozenset({"US", "GB", "FR", "JP", "AU"}),
}
BY_CODE: Mapping[str, Country] = {country.code: country for country in COUNTRIES}

# The first numbers of addresses rented by anyone: data centres, proxies, VPNs. Honest people use them too.
PROXY_NETWORK = 230

MAIL = (
    ("gmail.com", 46),
    ("outlook.com", 17),
    ("icloud.com", 14),
    ("yahoo.com", 9),
    ("proton.me", 5),
    ("example.org", 9),
)
DISPOSABLE_MAIL = ("mailinator.com", "tempmail.dev", "guerrillamail.com", "10minutemail.net")

NETWORKS = (("visa", 52), ("mastercard", 38), ("amex", 10))
BINS: Mapping[str, tuple[str, ...]] = {
    "visa": ("424242", "400000", "453201", "491653"),
    "mastercard": ("555555", "520082", "222300", "545454"),
    "amex": ("378282", "371449"),
}

# What the networks call each claim (Visa, Mastercard and American Express publish these codes).
REASON_CODES: Mapping[DisputeReason, Mapping[str, str]] = {
    DisputeReason.FRAUD: {"visa": "10.4", "mastercard": "4837", "amex": "F29"},
    DisputeReason.NOT_RECEIVED: {"visa": "13.1", "mastercard": "4853", "amex": "C08"},
    DisputeReason.NOT_AS_DESCRIBED: {"visa": "13.3", "mastercard": "4853", "amex": "C31"},
    DisputeReason.CANCELED: {"visa": "13.2", "mastercard": "4853", "amex": "C28"},
    DisputeReason.CREDIT_NOT_PROCESSED: {"visa": "13.6", "mastercard": "4853", "amex": "C02"},
    DisputeReason.DUPLICATE: {"visa": "12.6", "mastercard": "4834", "amex": "P08"},
}
SERVICE_REASONS = (
    DisputeReason.CANCELED,
    DisputeReason.CREDIT_NOT_PROCESSED,
    DisputeReason.NOT_RECEIVED,
    DisputeReason.NOT_AS_DESCRIBED,
    DisputeReason.DUPLICATE,
)
