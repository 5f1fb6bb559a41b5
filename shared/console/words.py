"""How pages say things to people: money, instants and numbers by Babel in the reader's own language and zone."""

import json
import re
from collections.abc import Mapping
from copy import copy
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

from shared.domain.money import Money, exponent
from shared.domain.privacy import mask

LOCALES = ("en_GB", "en_US", "de", "fr", "es", "it", "nl", "pt_BR", "pl", "sv", "ja", "hi_IN")
"""Whose way of writing dates and amounts is known; the words are English."""
UTC_NAME = "UTC"


@dataclass(frozen=True, slots=True)
class Reader:
    """locale: one of LOCALES. zone: a name of the IANA time zone database."""

    locale: str = "en_GB"
    zone: str = UTC_NAME

    def money(self, money: Money | None) -> str:
        """In the currency's own decimals: `€9.99`, `JP¥1,999`, `9,99 €`."""
        from babel import Locale

        if money is None:
            return "–"
        places = exponent(money.currency)
        amount, locale = Decimal(money.minor).scaleb(-places), Locale.parse(self.locale)
        pattern = _with(locale.currency_formats["standard"], places)
        return str(pattern.apply(amount, locale, currency=money.currency, currency_digits=False))

    def instant(self, at: datetime | None) -> str:
        """In the reader's zone, with its name."""
        from babel.dates import format_date, format_time, get_datetime_format

        if at is None:
            return "–"
        zone = ZoneInfo(self.zone)
        day = format_date(at.astimezone(zone), "medium", locale=self.locale)
        time = format_time(at, "short", tzinfo=zone, locale=self.locale)
        name = format_time(at, "z", tzinfo=zone, locale=self.locale)
        return str(get_datetime_format("medium", locale=self.locale)).format(f"{time} {name}", day)

    def day(self, at: datetime | None) -> str:
        from babel.dates import format_date

        return "–" if at is None else format_date(at.astimezone(ZoneInfo(self.zone)), "medium", locale=self.locale)

    def number(self, value: float | None, places: int = 0) -> str:
        from babel import Locale

        if value is None:
            return "–"
        locale = Locale.parse(self.locale)
        return str(_with(locale.decimal_formats[None], places).apply(value, locale))

    def percent(self, share: float | None, places: int = 1) -> str:
        from babel import Locale

        if share is None:
            return "–"
        locale = Locale.parse(self.locale)
        return str(_with(locale.percent_formats[None], places).apply(share, locale))


def _with(pattern: Any, places: int) -> Any:
    """A locale's own way of writing a number, with so many decimals."""
    own = copy(pattern)
    own.frac_prec = (places, places)
    return own


@cache
def zones() -> frozenset[str]:
    """Names of the IANA time zone database: hundreds of files, looked for once."""
    return frozenset(available_timezones())


def utc(at: datetime | None) -> str:
    return "–" if at is None else at.strftime("%Y-%m-%d %H:%M UTC")


def lasting(time: timedelta) -> str:
    """`12 minutes`, `5 h 10 min`, `3 days 4 h`."""
    minutes = int(abs(time).total_seconds() // 60)
    hours, days = minutes // 60, minutes // 1440
    if minutes < 1:
        return "less than a minute"
    if minutes < 60:
        return f"{minutes} minute{'s' * (minutes != 1)}"
    if hours < 48:
        return f"{hours} h {minutes % 60} min"
    return f"{days} days {hours % 24} h" if days < 10 else f"{days} days"


def until(at: datetime | None, now: datetime) -> str:
    """`due in 5 h 10 min`, `overdue by 42 days`: what is past is never said to be left."""
    if at is None:
        return "no deadline told"
    return f"due in {lasting(at - now)}" if at > now else f"overdue by {lasting(now - at)}"


def ago(at: datetime | None, now: datetime) -> str:
    if at is None:
        return "never"
    return f"{lasting(now - at)} ago" if at <= now else f"in {lasting(at - now)}"


def plain(name: object) -> str:
    """`needs_response` as `needs response`; nothing as a dash."""
    if name is None or name == "":
        return "–"
    return str(getattr(name, "value", name)).replace("_", " ")


def masked(text: object) -> str:
    return "–" if text is None else mask(str(text))


def pretty(document: Any) -> str:
    """JSON for people, with what names a person masked."""
    return mask(json.dumps(document, indent=2, ensure_ascii=False, sort_keys=True, default=str))


_UNSAFE = re.compile(r"[^A-Za-z0-9_.:-]+")


def anchor(name: str) -> str:
    """`name` as an element's id."""
    return _UNSAFE.sub("-", name)


def filters() -> Mapping[str, Any]:
    return {"utc": utc, "lasting": lasting, "plain": plain, "masked": masked, "pretty": pretty, "anchor": anchor}
