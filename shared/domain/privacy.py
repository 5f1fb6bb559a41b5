"""What keeps personal data out of events and logs."""

import hashlib
import re

# A PAN: 13 to 19 digits (ISO/IEC 7812-1), single spaces or hyphens between them, first digit 2 to 6, as every
# network's are. References of providers that begin with 1, 8 or 9 (instants in ms, Adyen's pspReference) are none.
# Of UUIDs and digests (32 to 64 hexadecimal digits on their own, at least one of them a letter) one in some thousand
# has such a run: they are stepped over as a whole.
_DIGITS = re.compile(
    r"(?<![0-9A-Za-z])(?=[0-9\-]*[A-Fa-f])"
    r"(?:[0-9A-Fa-f]{8}-(?:[0-9A-Fa-f]{4}-){3}[0-9A-Fa-f]{12}|[0-9A-Fa-f]{32,64})(?![0-9A-Za-z])"
    r"|(?<![0-9])(?P<pan>[2-6](?:[ -]?[0-9]){12,18})(?![0-9])"
)
# Letters of every script: addresses have them on both sides since RFC 6531.
_EMAIL = re.compile(r"[\w.%+'\-]{1,64}@[\w\-]+(?:\.[\w\-]+)+")
_LUHN_DOUBLED = (0, 2, 4, 6, 8, 1, 3, 5, 7, 9)


def luhn(digits: str) -> bool:
    """Whether `digits` carry a valid check digit (ISO/IEC 7812-1 annex B)."""
    total = sum(_LUHN_DOUBLED[int(digit)] if place % 2 else int(digit) for place, digit in enumerate(reversed(digits)))
    return total % 10 == 0


def mask(text: str) -> str:
    """`text` with every card number (Luhn-valid run of 13 to 19 digits that begins as cards do) and e-mail address replaced."""
    return _EMAIL.sub("[e-mail]", _DIGITS.sub(lambda found: "[card number]" if _is_pan(found) else found[0], text))


def holds_card_number(text: str) -> bool:
    return any(_is_pan(found) for found in _DIGITS.finditer(text))


def _is_pan(found: re.Match[str]) -> bool:
    return found["pan"] is not None and luhn(re.sub("[ -]", "", found["pan"]))


def email_parts(email: str | None) -> tuple[str | None, str | None]:
    """(hash, domain) of an e-mail address; (None, None) of what is none.

    The hash is SHA-256 of the lower-cased address: the same customer's address gives the same token at every
    provider. It is a pseudonym, not anonymous: treat it as personal data in access rules, never as a secret.
    """
    if not email or len(email) > 320 or email.count("@") != 1:
        return None, None
    local, domain = email.strip().lower().split("@")
    if not local or not domain:
        return None, None
    return hashlib.sha256(f"{local}@{domain}".encode()).hexdigest(), domain
