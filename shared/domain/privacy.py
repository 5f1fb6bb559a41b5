"""What keeps personal data out of events and logs.

Every search here takes time in proportion to its text: repetitions are bounded or possessive, so that no text makes one
go over the same characters again and again.
"""

import re
import unicodedata
from collections.abc import Iterator
from contextlib import suppress
from urllib.parse import unquote

from shared.domain.pseudonyms import MAIL, NAME, unkeyed

LONGEST = 16_384
"""Of a longer text no more than this is looked at, and the rest is dropped."""

# What people and programs put between the groups of a number: spaces of every width and ends of lines, hyphens and dashes,
# dots, underscore, slash, bar, star, plus, tilde, comma, semicolon; no colon, which times have, but see _COLONS. Eight at a
# time at most, as what stands for `&#8209;` or `<br />` and the ends of its line.
_BETWEEN = "[ \\t\\r\\n._/|*+~,;\u00b7\u2022\u2219\ufe58\ufe63\uff0d\u2043\\-\u00a0\u00ad\u2000-\u200f\u2010-\u2015\u202f\u205f\u2060\u2212\u3000\ufeff]{0,8}+"
# UUIDs and digests (32 to 64 hexadecimal digits on their own) may hold a number like a card's, one in some thousand: they
# are stepped over as a whole, and so are Google's order ids, which have 17 digits in groups of another size than a card's.
_OPAQUE = re.compile(
    r"(?<![0-9A-Za-z])(?:[0-9A-Fa-f]{8}-(?:[0-9A-Fa-f]{4}-){3}[0-9A-Fa-f]{12}|[0-9A-Fa-f]{32,64}"
    r"|GPA\.[0-9]{4}-[0-9]{4}-[0-9]{4}-[0-9]{5})(?![0-9A-Za-z])"
)
_RUN = re.compile(f"[0-9](?:{_BETWEEN}[0-9])*+")
_GROUP = re.compile("[0-9]++")
_LEAST, _MOST = 13, 19
_LONG_NUMBER = re.compile(f"[0-9](?:{_BETWEEN}[0-9]){{{_LEAST - 1}}}")
# First digits, from and to, and how many digits such a number may have: ISO/IEC 7812-1 and the networks' own tables
# (Mastercard and Maestro, Visa, American Express, Discover with Diners Club, JCB, UnionPay, Mir). Left out: what begins with
# 1, 8 or 9 (instants in ms and Adyen's pspReference do), and Maestro's 12 digits, which fewer cards have than order numbers.
_NETWORKS: dict[str, tuple[tuple[str, str, frozenset[int]], ...]] = {
    "2": (
        ("2131", "2131", frozenset({15})),
        ("2200", "2204", frozenset({16, 17, 18, 19})),
        ("2205", "2205", frozenset({16})),
        ("2221", "2720", frozenset({16})),
    ),
    "3": (
        ("34", "34", frozenset({15})),
        ("37", "37", frozenset({15})),
        ("300", "305", frozenset({14, 16, 17, 18, 19})),
        ("3095", "3095", frozenset({14, 16, 17, 18, 19})),
        ("36", "36", frozenset({14, 16, 17, 18, 19})),
        ("38", "39", frozenset({14, 16, 17, 18, 19})),
        ("3528", "3589", frozenset({16, 17, 18, 19})),
    ),
    "4": (("4", "4", frozenset({13, 16, 18, 19})),),
    "5": (
        ("51", "55", frozenset({16})),
        ("50", "50", frozenset(range(13, 20))),
        ("56", "58", frozenset(range(13, 20))),
    ),
    "6": (("6", "6", frozenset(range(13, 20))),),
}
# How long an account's number is in each country (ISO 13616, the SWIFT IBAN registry).
_IBANS = (
    "AD24 AE23 AL28 AT20 AZ28 BA20 BE16 BG22 BH22 BI27 BR29 BY28 CH21 CR22 CY28 CZ24 DE22 DJ27 DK18 DO28 EE20 EG29 ES24 FI18"
    " FK18 FO18 FR27 GB22 GE22 GI23 GL18 GR27 GT28 HN28 HR21 HU28 IE22 IL23 IQ23 IS26 IT27 JO30 KW30 KZ20 LB28 LC32 LI21 LT20"
    " LU20 LV21 LY25 MC27 MD24 ME22 MK19 MN20 MR27 MT31 MU30 NI28 NL18 NO15 OM23 PK24 PL28 PS29 PT25 QA29 RO24 RS22 RU33 SA24"
    " SC31 SD18 SE24 SI19 SK24 SM27 SO23 ST25 SV28 TL23 TN24 TR26 UA29 VA22 VG24 XK20 YE30"
)
_IBAN_LENGTHS = {code[:2]: int(code[2:]) for code in _IBANS.split()}
# Only looked at, not consumed: it may begin within what looks like the beginning of another.
_IBAN = re.compile(
    f"(?:(?<![0-9A-Za-z])|(?<=[Ii][Bb][Aa][Nn]))(?=([A-Za-z]{{2}})[0-9]{{2}}(?:{_BETWEEN}[0-9A-Za-z]){{11,29}})",
    flags=re.ASCII,
)
# Letters of every script: addresses have them on both sides since RFC 6531. Before the sign anything may stand in quotes,
# behind it a host's number in brackets (RFC 5321 §4.1.3).
_EMAIL = re.compile(
    r"(?:[\w.%+'\-]{1,64}|\"[^\"@]{1,64}\")(?:[@\uff20]|%40)"
    r"(?:[\w\-]++(?:\.[\w\-]++)+|(?:\[|%5[Bb])(?:[Ii][Pp][Vv]6:)?[0-9A-Fa-f.:]{2,45}(?:\]|%5[Dd]))"
)
_AT = re.compile("[@\uff20]|%40")
# As it stands in an address on the web: of the same length as what stands for it here.
# So do HTML's ends of lines, and the spaces and dashes that have a name or a number there.
_ESCAPED_GAP = re.compile(
    "%(?:20|09|0[AaDd]|2[BbCcDdEeFf]|3[Bb])|<[Ww]?[Bb][Rr] ?/?>|&(?:[A-Za-z]{2,6}|#[0-9]{2,4}|#[xX][0-9A-Fa-f]{2,4});"
)
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)++)"', flags=re.DOTALL)
_ESCAPED = re.compile(r"\\(.)", flags=re.DOTALL)
# Groups of four, or of American Express' sizes, which no time has.
_COLONS = re.compile(r"(?<![0-9:])[0-9]{4}:(?:[0-9]{4}:[0-9]{4}:[0-9]{4}|[0-9]{6}:[0-9]{5})(?![0-9:])")
_STRANGE_DIGIT = re.compile(r"(?![0-9])\d")
_UNKEYED = re.compile(r"unkeyed-(mail|name)-[0-9a-f]{64}")
_LUHN_DOUBLED = (0, 2, 4, 6, 8, 1, 3, 5, 7, 9)
_LONGEST_MARK = 256  # no card number and no IBAN is written with more characters

Found = tuple[int, int, str]
"""From, to, and what stands there."""


def luhn(digits: str) -> bool:
    """Whether `digits` carry a valid check digit (ISO/IEC 7812-1 annex B)."""
    total = sum(_LUHN_DOUBLED[int(digit)] if place % 2 else int(digit) for place, digit in enumerate(reversed(digits)))
    return total % 10 == 0


def is_card_number(digits: str) -> bool:
    """Whether a card network could have issued `digits`: its first digits, its length and its check digit."""
    ranges = _NETWORKS.get(digits[:1], ())
    return any(
        len(digits) in lengths and first <= digits[: len(first)] <= last for first, last, lengths in ranges
    ) and luhn(digits)


def mask(text: str, longest: int | None = None) -> str:
    """`text` with every card number, IBAN, e-mail address and digest of one replaced; of a long text, its first
    `longest` characters, or LONGEST. Whoever keeps what somebody wrote refuses what is longer before."""
    if longest is None and len(text) < _LEAST and not _AT.search(text):
        # Shorter than any number, and no address: most texts that are masked.
        return text
    until, most = len(text), LONGEST if longest is None else longest
    if until > most:
        # What the cut might halve is left out as well: half a card number is none that anybody would know.
        text, until = text[:most], most - _LONGEST_MARK
    parts: list[str] = []
    place = 0
    for start, end, word in sorted((*_cards(text), *_ibans(text), *_addresses(text), *_digests(text))):
        if place <= start < until:
            parts += text[place:start], word
        if start < until:
            place = max(place, end)
    return "".join((*parts, text[place:until]))


def holds_free_standing(text: str) -> bool:
    """Whether `text` holds personal data that is not grown together with letters, as digits in a provider's ids are."""
    if _AT.search(text) or any(True for _ in _ibans(text)):
        return True
    return any(not (text[:start][-1:].isalnum() or text[end : end + 1].isalnum()) for start, end, _ in _cards(text))


def holds_card_number(text: str) -> bool:
    return any(True for _ in _cards(text))


def holds_personal(text: str) -> bool:
    """Whether `mask` would replace anything in `text`."""
    if _AT.search(text) and _EMAIL.search(text):
        return True
    if len(text) < _LEAST:
        return False
    return any(True for _ in _ibans(text)) or holds_card_number(text)


def _addresses(text: str) -> Iterator[Found]:
    if _AT.search(text):
        for found in _EMAIL.finditer(text):
            yield *found.span(), "[e-mail]"


def _digests(text: str) -> Iterator[Found]:
    if "unkeyed-" in text:
        for found in _UNKEYED.finditer(text):
            yield *found.span(), f"[{found[1]}]"


def _with_gaps(text: str) -> str:
    """`text` with spaces for what stands for one, or for another mark between groups, each as long as that."""
    return _ESCAPED_GAP.sub(lambda gap: " " * len(gap[0]), text) if any(mark in text for mark in "%&<") else text


def _cards(text: str) -> Iterator[Found]:
    text = _with_gaps(text)
    if ":" in text:
        text = _COLONS.sub(lambda groups: groups[0].replace(":", " "), text)
    if not text.isascii():
        # Digits of every script, one for one.
        text = _STRANGE_DIGIT.sub(lambda digit: str(int(digit[0])), text)
    if not _LONG_NUMBER.search(text):
        return
    place = 0
    for opaque in _OPAQUE.finditer(text):
        if not opaque[0].replace("-", "").isdigit():
            yield from _cards_between(text, place, opaque.start())
            place = opaque.end()
    yield from _cards_between(text, place, len(text))


def _cards_between(text: str, start: int, end: int) -> Iterator[Found]:
    """Groups of digits that together are a card number: a date may stand before them, or an amount after. All that are, for
    a number before them may happen to fit as well."""
    for run in _RUN.finditer(text, start, end):
        if run.end() - run.start() < _LEAST:
            continue
        groups = list(_GROUP.finditer(text, *run.span()))
        for first, group in enumerate(groups):
            digits = ""
            for last in groups[first : first + _MOST]:
                digits += last[0]
                if len(digits) > _MOST:
                    break
                if len(digits) >= _LEAST and is_card_number(digits):
                    yield group.start(), last.end(), "[card number]"


def _ibans(text: str) -> Iterator[Found]:
    text = _with_gaps(text)
    for found in _IBAN.finditer(text):
        length = _IBAN_LENGTHS.get(found[1].upper())
        if length is not None and (end := _iban_end(text, found.start(), length)):
            yield found.start(), end, "[IBAN]"


def _iban_end(text: str, start: int, length: int) -> int | None:
    """Where the IBAN of `length` characters that begins at `start` ends; None where its check digits (ISO 7064, 97-10) say
    that it is none."""
    told = ""
    for place in range(start, min(start + _LONGEST_MARK, len(text))):
        if text[place].isascii() and text[place].isalnum():
            told += text[place]
        if len(told) == length:
            number = int("".join(str(int(character, 36)) for character in told[4:] + told[:4]))
            whole = not (text[place + 1 : place + 2].isascii() and text[place + 1 : place + 2].isalnum())
            return place + 1 if number % 97 == 1 and whole else None
    return None


def nameable(text: str) -> str:
    """`text` as a name of something: its marked digest where it could be a card's number, or holds another personal one."""
    return unkeyed(NAME, text) if holds_personal(text) and holds_free_standing(text) else text


def email_parts(email: str | None) -> tuple[str | None, str | None]:
    """(marked digest, domain) of an e-mail address; (None, None) of what is none.

    The digest is of the lower-cased address, composed (NFC), its domain as DNS has it (RFC 5891), without a name before it
    (`Ana <ana@music.example>`, RFC 5322 §3.4), quotes around what is before the sign (§3.2.4), percent-encoding (RFC 3986)
    or `mailto:` (RFC 6068): the same customer's address gives the same token at every provider. It is keyed before it is published (`shared.domain.pseudonyms`). A pseudonym, not anonymous: personal data in access rules.
    """
    if not email or len(email) > 320:
        return None, None
    email = email.replace("\uff20", "@").strip()
    if "@" not in email:
        email = unquote(email)  # what an address on the web makes of one; elsewhere a percent sign stands for itself
    email = unicodedata.normalize("NFC", email.lower()).strip()
    if email.endswith(">") and "<" in email:
        email = email[email.rindex("<") + 1 : -1].strip()
    if email.startswith("mailto:"):
        email = unquote(email.removeprefix("mailto:").partition("?")[0]).lower()
    local, sign, domain = (part.strip() for part in email.rpartition("@"))
    if quoted := _QUOTED.fullmatch(local):
        local = _ESCAPED.sub(r"\1", quoted[1])
    elif "@" in local or '"' in local:
        return None, None
    domain = domain.rstrip(".")
    if not domain.isascii():
        with suppress(UnicodeError):  # what DNS cannot have stays as it was told
            domain = domain.encode("idna").decode("ascii")
    if not sign or not local or not domain:
        return None, None
    return unkeyed(MAIL, f"{local}@{domain}"), domain
