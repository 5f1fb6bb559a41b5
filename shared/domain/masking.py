"""What a person may see of a provider's message: all of it but who is meant.

`shared.domain.privacy` knows personal data by its form (numbers of cards and accounts, addresses of e-mail). Names, streets and
telephone numbers have none: here members are known by what they are called, in the words of all providers. What is left out
wrongly can be looked up at the provider; what is shown wrongly is in a ticket for good.
"""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from shared.domain.privacy import mask

PERSONAL = "[personal]"

_APART = re.compile(r"[^a-z0-9]")
_MEANT = re.compile(
    r"name[0-9]?$|holder|mail|phone|mobile|telephone|address|street|^line[0-9]$|addressline|housenumber|city$|town|postal|postcode"
    r"|^zip|birth|^dob$|^ip(network)?$|ipv[46]|shopperip|vpa$|^iban|accountnumber|accountno$|taxid|cpf|cnpj|passport|ssn|nationalid|^document$"
    r"|recipient|^notes?$|comment|latitude|longitude"
)
_NOBODY = re.compile(
    r"(event|product|plan|package|merchant|network|scheme|issuer|bank|resource|type|business|store|service|rule|field|method"
    r"|descriptor|item|variant|brand|object|class)name$|^(ip|email)domain$"
)
# IPv4 in full, and IPv6 with so many groups that it is no time.
_HOST = re.compile(r"(?<![\w.])(?:[0-9]{1,3}(?:\.[0-9]{1,3}){3}|(?:[0-9A-Fa-f]{1,4}:){3,7}:?[0-9A-Fa-f]{0,4})(?![\w.])")
_COUNTRY = re.compile("country(code)?$")
# `"member": "value"`, `member=value`, `<member>value</member>`: in a text that nobody could open.
_PAIR = re.compile(
    r"""(?P<lead>["'<&?]|^)(?P<name>[\w.\-\[\]]{1,60})(?P<mark>["']?\s{0,8}[:=]\s{0,8}["']?|>)(?P<value>[^"'<&\r\n]{1,2000})""",
    flags=re.MULTILINE,
)
_PACKED = re.compile(r"[A-Za-z0-9+/=_%\-.]{120,}")


def masked(value: Any, *, personal: bool = False) -> Any:
    """`value`, a message as nested objects, with `[personal]` where a person is meant, and every text masked.

    personal: all of it is about a person, but for the country.
    """
    match value:
        case Mapping():
            return {mask(str(name)): _member(str(name), child, personal=personal) for name, child in value.items()}
        case list() | tuple():
            return [masked(child, personal=personal) for child in value]
        case None | bool() | datetime():
            return value
        case _ if personal:
            return PERSONAL
        case str():
            return _said(value)
        case int():
            # A card's number may come as a number.
            return value if mask(str(value)) == str(value) else mask(str(value))
        case _:
            return mask(str(value))


def _member(name: str, child: Any, *, personal: bool) -> Any:
    plain = _APART.sub("", name.lower())
    return masked(child, personal=not _COUNTRY.search(plain) and (personal or _is_personal(plain)))


def _is_personal(plain: str) -> bool:
    return bool(_MEANT.search(plain)) and not _NOBODY.search(plain)


def masked_text(text: str) -> str:
    """A text that nobody could open: values of members that mean a person are left out, and what may pack some."""

    def pair(found: re.Match[str]) -> str:
        personal = _is_personal(_APART.sub("", found["name"].lower()))
        return f"{found['lead']}{found['name']}{found['mark']}{PERSONAL if personal else found['value']}"

    shown = _PACKED.sub(lambda found: f"[{len(found[0])} characters]", text)
    return _said(_PAIR.sub(pair, shown))


def _said(text: str) -> str:
    return _HOST.sub(PERSONAL, mask(text))
