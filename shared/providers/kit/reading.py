"""Reading a provider's JSON without trusting its shape.

Whatever the bytes, only `Unreadable` comes out, and its message names a path and what is wrong there, never a value.
`text` and its kin are for what an event cannot do without; `hint` and its kin are for what it can, and give None
where the value is absent or not what it should be. Neither lets a card number, an IBAN or an e-mail address through. A name
that holds one, or only looks so, is not lost: its marked digest stands for it (`shared.domain.pseudonyms`), the same one
wherever it is named. In an id of the provider's own, digits between letters are no card number: PayPal really sent
`WH-2MW4820926242972J-…`.

What nobody reads sinks no delivery. One policy holds for every JSON text of a provider, whether delivered, in a token or
read back (RFC 8259 leaves all of it to the reader, or to luck):

| in the text | read as |
|---|---|
| half a surrogate pair (`"\\ud83c"`, §8.2), bytes that are no UTF-8 (§8.1) | U+FFFD, as decoders do that have to go on (Unicode §3.9) |
| a byte order mark before it (§8.1) | nothing |
| a control character in a text (§7) | itself: where the text is needed it is unreadable, as it was escaped |
| a member named twice (§4) | the last one, as in every provider's own library |
| a number that nobody can mean (`1e400`, 500 digits), `NaN`, `Infinity` (§6) | no number at all: unreadable where it is needed |
| arrays and objects deeper than `DEEPEST` (§9) | null |
| anything else that is no JSON object | Unreadable, as a whole |
"""

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any, TypeVar, cast

import msgspec

from shared.domain.addresses import address
from shared.domain.delivery import Delivery
from shared.domain.errors import Unreadable
from shared.domain.money import Money, from_major, from_minor, total_of
from shared.domain.privacy import email_parts, holds_personal, nameable
from shared.domain.pseudonyms import NAME, unkeyed

T = TypeVar("T")
Email = tuple[str | None, str | None]
"""(hash, domain) of an address; (None, None) of none."""
DEEPEST = 64
LONGEST_TEXT = 255
UNREADABLE = "unreadable"
"""What stands for a text that was told and cannot be repeated."""
_LARGEST_INTEGER = 2**63 - 1
_MOST_DIGITS = 40
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
_LATEST = datetime(2100, 1, 1, tzinfo=UTC)
# RFC 3339 §5.6: the offset is not optional, and fractions may be longer than we keep.
_RFC3339 = re.compile(
    r"(\d{4}-\d{2}-\d{2})[Tt ](\d{2}:\d{2}:\d{2})(?:\.(\d{1,9}))?([Zz]|[+-]\d{2}:?\d{2})", flags=re.ASCII
)
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")
# Every escape, so that a backslash before a word (`\\ud83c`) is taken for no half of a pair.
_ESCAPE = re.compile(
    r"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(?P<half>u[dD][89a-fA-F][0-9a-fA-F]{2})|.)",
    flags=re.DOTALL,
)
# Strings, which may hold brackets, to their end or the text's; and brackets.
_STRUCTURE = re.compile(r'"(?:[^"\\]++|\\.)*+(?:"|\Z)|[\[\]{}]', flags=re.DOTALL)
_NOTHING: dict[str, Any] = {}
_IDENTIFIER = re.compile(r"[A-Za-z0-9._\-]{1,100}")
# What a merchant or provider would name something by: one word, and no address.
_NAME = re.compile(r"[!-?A-~]+", flags=re.ASCII)


class _NoNumber:
    """What stands for a number that nobody can mean: neither absent nor of any type that is asked for."""

    __slots__ = ()


NO_NUMBER = _NoNumber()


def _number(text: str) -> Decimal | _NoNumber:
    # 1e999999 must not become a Decimal that takes a gigabyte to expand.
    try:
        value = Decimal(text)
    except InvalidOperation:
        return NO_NUMBER
    return value if -40 <= value.adjusted() <= 40 else NO_NUMBER


def _integer(text: str) -> int | _NoNumber:
    return int(text) if len(text) <= _MOST_DIGITS else NO_NUMBER


_DECODER = msgspec.json.Decoder(float_hook=_number)
_LENIENT = json.JSONDecoder(parse_float=_number, parse_int=_integer, parse_constant=lambda _: NO_NUMBER, strict=False)


def parse(body: bytes) -> "Node":
    """The JSON object in `body`, read as the table at the top of this module says. Raises Unreadable for what is none.

    Numbers with a point or an exponent are Decimal.
    """
    try:
        value = _DECODER.decode(body)
    except (msgspec.MsgspecError, UnicodeError, ValueError, RecursionError):
        value = _parse_leniently(body)
    if type(value) is not dict:
        raise Unreadable("body: not a JSON object", reason="not_an_object")
    if _deeper_than(value, DEEPEST, body):
        value = _parse_leniently(body)
    return Node(value, "")


def _parse_leniently(body: bytes) -> Any:
    """For the few texts that the fast decoder refuses, or reads too deep. Raises Unreadable."""
    text = body.decode("utf-8-sig", "replace")
    try:
        return _LENIENT.decode(_ESCAPE.sub(_whole, _flattened(text)))
    except (ValueError, RecursionError):
        # The decoder's own message may quote the text.
        raise Unreadable("body: not JSON", reason="not_json") from None


def _whole(escape: re.Match[str]) -> str:
    return "\\ufffd" if escape["half"] else escape[0]


def _flattened(text: str) -> str:
    """`text` with null in the place of every array and object that is deeper than DEEPEST."""
    if text.count("{") + text.count("[") <= DEEPEST:
        return text
    parts: list[str] = []
    depth = kept = 0
    for token in _STRUCTURE.finditer(text):
        mark = token[0]
        if mark in "{[":
            depth += 1
            if depth == DEEPEST + 1:
                parts += text[kept : token.start()], "null"
        elif mark in "}]":
            depth -= 1
            if depth == DEEPEST:
                kept = token.end()
    return "".join((*parts, text[kept:])) if depth == 0 else text


def opened(delivery: Delivery) -> "Node":
    """`parse` of the body, once however often it is asked for."""
    found = delivery.memo.get("opened")
    if found is None:
        found = delivery.memo["opened"] = parse(delivery.body)
    return cast(Node, found)


def _deeper_than(value: object, limit: int, body: bytes) -> bool:
    if body.count(b"{") + body.count(b"[") <= limit:
        return False
    level: list[Any] = [value]
    for _ in range(limit):
        level = [
            child
            for parent in level
            for child in (parent.values() if type(parent) is dict else parent)
            if type(child) in (dict, list)
        ]
        if not level:
            return False
    return True


def unreadable(path: str, why: str, reason: str = "unreadable_field") -> Unreadable:
    return Unreadable(f"{path}: {why}", reason=reason)


class Node:
    """A JSON object and where it was found.

    doubts: what was found in the whole document and could not be read, and its event does without, a line each (the
    keys); the delivery says so in `unreadable`.
    """

    __slots__ = ("_above", "_keys", "doubts", "value")

    def __init__(
        self,
        value: Mapping[str, Any],
        above: "Node | str",
        keys: tuple[str, ...] = (),
        doubts: dict[str, None] | None = None,
    ) -> None:
        self.value = value
        self._above = above
        self._keys = keys
        self.doubts: dict[str, None] = {} if doubts is None else doubts

    @property
    def path(self) -> str:
        """Put together only when something is wrong there."""
        return self._above if isinstance(self._above, str) else self._above.where(*self._keys)

    def raw(self, *keys: str) -> Any:
        """Whatever is there; None where the way to it is missing."""
        found: Any = self.value
        for key in keys:
            if type(found) is not dict:
                return None
            found = found.get(key)
        return found

    def at(self, *keys: str) -> "Node":
        """The object there; an empty one where there is none."""
        found = self.raw(*keys)
        return Node(found if type(found) is dict else _NOTHING, self, keys, self.doubts)

    def where(self, *keys: str) -> str:
        return ".".join((self.path, *keys) if self.path else keys)

    def nodes(self, *keys: str) -> "list[Node]":
        """The objects of the array there; none where there is no array."""
        found = self.raw(*keys)
        if type(found) is not list:
            return []
        path = self.where(*keys)
        return [
            Node(item, f"{path}[{place}]", (), self.doubts) for place, item in enumerate(found) if type(item) is dict
        ]

    # What an event cannot do without.

    def text(self, *keys: str) -> str:
        """The stripped text there, or its digest where it holds personal data. Raises Unreadable."""
        value = self.maybe_text(*keys)
        if value is None:
            raise unreadable(self.where(*keys), "missing", "missing_field")
        return value

    def maybe_text(self, *keys: str) -> str | None:
        """As `text`, but None where it is absent, null or blank."""
        value = self.raw(*keys)
        if value is None:
            return None
        if type(value) is not str:
            raise unreadable(self.where(*keys), "not text")
        value = value.strip()
        if not _fits(value):
            raise unreadable(self.where(*keys), "too long, or not printable")
        return nameable(value) or None

    def word(self, *keys: str) -> str:
        """A type or status name. Raises Unreadable for anything but letters, digits, dot, hyphen, underscore."""
        value = self.text(*keys)
        if not _IDENTIFIER.fullmatch(value):
            raise unreadable(self.where(*keys), "not a name")
        return value

    def reference(self, *keys: str) -> str | None:
        """An id that may be absent, or expanded into the object that it names."""
        return self.at(*keys).maybe_text("id") if type(self.raw(*keys)) is dict else self.maybe_text(*keys)

    def integer(self, *keys: str) -> int:
        value = self.raw(*keys)
        if type(value) is not int or abs(value) > _LARGEST_INTEGER:
            raise unreadable(self.where(*keys), "not an integer in range")
        return value

    def instant(self, *keys: str) -> datetime:
        """An RFC 3339 instant, as aware UTC."""
        value = self.raw(*keys)
        found = rfc3339(value) if type(value) is str else None
        if found is None:
            raise unreadable(self.where(*keys), "not an RFC 3339 instant with an offset", "unreadable_time")
        return found

    def unix(self, *keys: str) -> datetime:
        """Unix seconds, as aware UTC."""
        found = unix_time(self.integer(*keys))
        if found is None:
            raise unreadable(self.where(*keys), "not a time of this century", "unreadable_time")
        return found

    # What an event can do without.

    def hint(self, *keys: str) -> str | None:
        """The stripped text there, or None: absent, not text, too long, unprintable, or a sentence or an address with
        personal data in it. Of a name that could be a card's number, its digest."""
        value = self.raw(*keys)
        if type(value) is not str:
            return None
        value = value.strip()
        if not value or not _fits(value):
            return None
        if holds_personal(value):
            return unkeyed(NAME, value) if _NAME.fullmatch(value) else None
        return value

    def first_hint(self, *names: str) -> str | None:
        """The first of these members that holds a usable text."""
        return next((value for name in names if (value := self.hint(name)) is not None), None)

    def lowered(self, *keys: str) -> str | None:
        value = self.hint(*keys)
        return value.lower() if value else None

    def deadline(self, *keys: str) -> dict[str, Any]:
        """`respond_by` and `respond_by_text` of the dispute whose deadline stands there: unix seconds, or a text as the
        function `deadline` reads it.

        A dispute stands without its deadline: one that cannot be read leaves `respond_by` None beside a text, and is
        among the `doubts`. Absent, null and blank tell of none.
        """
        value = self.raw(*keys)
        if value is None or (type(value) is str and not value.strip()):
            return {"respond_by": None, "respond_by_text": None}
        number = type(value) is int
        found = unix_time(value) if number else deadline(value) if type(value) is str else None
        if found is None:
            self.doubts[f"{self.where(*keys)}: neither an instant nor a date"] = None
        text = str(value) if number and found else self.hint(*keys)
        return {"respond_by": found, "respond_by_text": text or UNREADABLE}

    def flag(self, *keys: str) -> bool | None:
        """A boolean, or the texts "true" and "false" (Adyen); None for anything else."""
        value = self.raw(*keys)
        if type(value) is str:
            return {"true": True, "false": False}.get(value.strip().lower())
        return value if type(value) is bool else None

    def score(self, *keys: str) -> float | None:
        """A number from 0 to 100, sent as number or text."""
        value = self.raw(*keys)
        try:
            number = Decimal(value) if type(value) in (int, str, Decimal) and len(str(value)) <= 20 else None
        except InvalidOperation:
            return None
        return float(number) if number is not None and number.is_finite() and 0 <= number <= 100 else None

    def ip(self, *keys: str) -> str | None:
        value = self.hint(*keys)
        return address(value) if value else None

    def digits(self, *keys: str, least: int, most: int) -> str | None:
        """A short number kept as text: a BIN, the last four digits of a card."""
        value = self.raw(*keys)
        if type(value) is not str or not value.isascii() or not value.isdigit() or not least <= len(value) <= most:
            return None
        return value

    def email(self, *keys: str) -> Email:
        """Of an e-mail address; a domain that holds digits like a card's is none."""
        value = self.raw(*keys)
        if type(value) is not str or _UNPRINTABLE.search(value):
            return None, None
        hashed, domain = email_parts(value)
        return (None, None) if domain and (len(domain) > LONGEST_TEXT or holds_personal(domain)) else (hashed, domain)

    def customer(self, *names: str) -> str | None:
        """Our customer's id. A merchant who uses an e-mail or UPI address for it gets the address's hash instead."""
        for name in names:
            found = self.hint(name)
            if found is None or "@" in found:
                found = self.email(name)[0]
            if found:
                return found
        return None


def _fits(text: str) -> bool:
    # isprintable alone would refuse a no-break space; as the first question it spares nearly every text the search.
    return len(text) <= LONGEST_TEXT and (text.isprintable() or not _UNPRINTABLE.search(text))


def unix_time(seconds: int) -> datetime | None:
    """Aware UTC; None outside this century."""
    if not 946_684_800 <= seconds < 4_102_444_800:
        return None
    return _EPOCH + timedelta(seconds=seconds)


def unix_milliseconds(milliseconds: int) -> datetime | None:
    """Aware UTC; None outside this century."""
    seconds = unix_time(milliseconds // 1000)
    return seconds + timedelta(milliseconds=milliseconds % 1000) if seconds else None


def rfc3339(text: str) -> datetime | None:
    """Aware UTC; None for anything that is not an RFC 3339 instant of this century with an offset."""
    found = _RFC3339.fullmatch(text.strip()) if len(text) <= 64 else None
    if not found:
        return None
    day, clock, fraction, offset = found.groups()
    try:
        instant = datetime.fromisoformat(f"{day}T{clock}.{(fraction or '0')[:6]:0<6}{offset.upper()}").astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return instant if _EARLIEST <= instant < _LATEST else None


def date_begins(text: str) -> datetime | None:
    """The first moment of the date `text` (YYYY-MM-DD) anywhere on Earth, midnight at UTC+14, as aware UTC.

    A deadline that is a date without a zone has not passed before then. None for anything that is no such date.
    """
    return rfc3339(f"{text.strip()}T00:00:00+14:00") if len(text) <= 16 else None


def deadline(text: str) -> datetime | None:
    """The instant at which a deadline that a provider wrote as `text` is over, as aware UTC.

    RFC 3339; a time without a zone is over where it comes first (UTC+14), and a date as `date_begins` says. None for
    anything else.
    """
    text = text.strip()
    return rfc3339(text) or rfc3339(f"{text}+14:00") or rfc3339(f"{text}:00+14:00") or date_begins(text)


def or_doubt(read: Callable[[], T | None], node: Node) -> T | None:
    """What `read` finds in `node`; where it cannot be read, None and a doubt: what nobody decides by sinks no event."""
    try:
        return read()
    except Unreadable as error:
        node.doubts[str(error)] = None
        return None


def first_email(told: Iterable[Email]) -> Email:
    """The first address that is told."""
    return next((each for each in told if each[0]), (None, None))


def one_sum(amounts: Sequence[Money]) -> Money | None:
    """All of `amounts`; None where there are none, or several currencies."""
    total, are_all = total_of(amounts)
    return total if are_all else None


def minor_money(node: Node, value: str, currency: str, sent_with: Mapping[str, int]) -> Money:
    """Money from integer members `value` and `currency` of `node`. Raises Unreadable."""
    try:
        return from_minor(node.integer(value), node.text(currency), sent_with)
    except ValueError:
        raise unreadable(node.where(value), "not an amount of that currency", "unreadable_money") from None


def major_money(node: Node, value: str, currency: str) -> Money:
    """Money from a decimal text (or exact number) and a currency. Raises Unreadable."""
    amount = node.raw(value)
    try:
        if type(amount) is Decimal or type(amount) is int:
            return from_major(amount, node.text(currency))
        return from_major(node.text(value), node.text(currency))
    except ValueError:
        raise unreadable(node.where(value), "not an amount of that currency", "unreadable_money") from None
