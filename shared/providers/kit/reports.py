"""Reports that providers give as CSV (RFC 4180), read row by row: a day's may have millions, and none is held whole.

UTF-8, with or without a byte order mark. A row is a mapping of the header's names; what the header does not name is left out.
"""

import codecs
import csv
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal, InvalidOperation

from shared.domain.errors import Unreadable
from shared.domain.money import from_major
from shared.providers.kit.reading import unreadable

LONGEST_LINE = 1 << 16


def rows(pieces: Iterable[bytes], needed: Iterable[str]) -> Iterator[Mapping[str, str]]:
    """Each row after the header. Raises Unreadable for a report without one of the columns `needed`, or that is no CSV."""
    reader = csv.reader(_lines(pieces), strict=True)
    try:
        header = [name.strip() for name in next(reader, [])]
        missing = sorted(set(needed) - set(header))
        if missing:
            raise unreadable("header", f"has no column {missing[0]}", "unreadable_report")
        for row in reader:
            if row:
                yield dict(zip(header, row, strict=False))
    except csv.Error:
        # Its own message may quote the text.
        raise Unreadable("report: not CSV", reason="unreadable_report") from None


def minor(row: Mapping[str, str], column: str, currency: str) -> int:
    """Minor units of `currency` from a decimal text; 0 where there is none. Raises Unreadable."""
    text = row.get(column, "").strip()
    if not text:
        return 0
    try:
        # Trailing zeros beyond the minor unit are no digits.
        return from_major(Decimal(text).normalize(), currency).minor
    except (ValueError, InvalidOperation):
        raise unreadable(column, "not an amount of that currency", "unreadable_money") from None


def _lines(pieces: Iterable[bytes]) -> Iterator[str]:
    decoder = codecs.getincrementaldecoder("utf-8-sig")("replace")
    rest = ""
    for piece in pieces:
        *whole, rest = (rest + decoder.decode(piece)).split("\n")
        if len(rest) > LONGEST_LINE:
            raise unreadable("report", "a line longer than any", "unreadable_report")
        for line in whole:
            yield line + "\n"
    rest += decoder.decode(b"", final=True)
    if rest:
        yield rest
