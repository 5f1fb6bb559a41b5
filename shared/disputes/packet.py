"""The packet: what our records say of a dispute, as JSON for machines and as a PDF for whoever decides.

The same evidence makes the same bytes: the PDF is written in reportlab's invariant mode and not compressed, so that neither the
hour nor the zlib at hand shows in it. Its letters are Roboto's, which it carries along: Latin, Greek, Cyrillic and Vietnamese.
Of any other script the PDF says how many characters it leaves out; the JSON has them.
"""

import hashlib
import io
import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib.util import find_spec
from itertools import groupby
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any
from xml.sax.saxutils import escape

from shared.disputes import evidence
from shared.disputes.evidence import Known, Template, Wanted
from shared.domain.codec import decode, encode
from shared.domain.errors import Misconfigured
from shared.domain.evidence import CompellingEvidence, Consumption, Document, Item, Own, Packet

if TYPE_CHECKING:
    from reportlab.pdfgen.canvas import Canvas
    from reportlab.platypus import Flowable

NAME = "evidence.pdf"
PDF = "application/pdf"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a provider takes of one file. 0: it says nothing."""

    pages: int = 0
    bytes: int = 0


UNLIMITED = Limits()
ANYWHERE = Limits(pages=19, bytes=2_000_000)
"""What every provider takes of a PDF in a chargeback: Mastercard charges for more than 19 pages or leaves them out (Stripe,
Checkout.com, Adyen), Adyen takes 2 MB. Whoever takes less (Adyen's requests for information: 4 pages) is asked for."""


_REQUIRED = Limits(pages=3, bytes=60_000)
"""What no template's required items of ours exceed: half of it is usual."""


def least(texts: Mapping[Item, str]) -> Limits:
    """Pages and bytes that our PDF takes at most where it has what is required and people's `texts`, and nothing else. By the
    widths and heights of its own lines, rounded up, without drawing it."""
    height = sum(map(_height, texts.values()))
    rare = set("".join(texts.values())) - set(_PLAIN)
    size = sum(12 * len(text) + 110 * (text.count("\n") + 1) for text in texts.values()) + 250 * len(rare)
    return Limits(pages=_REQUIRED.pages + -(-height // _PAGE), bytes=_REQUIRED.bytes + size)


_PAGE, _ROOM, _LINE = 680, 480, 14  # points: of a page what text fills of it, of a line its width and height
_PLAIN = "abcdefghijklmnopqrstuvwxyz0123456789 .,:;'-()/\n"


def _height(text: str) -> int:
    """Points that it takes under its heading."""
    height = 32
    for line in text.split("\n"):
        dated = _DATED.fullmatch(line)
        parts = [(dated[1], _ROOM // 4), (dated[2], _ROOM * 7 // 10)] if dated else [(line, _ROOM)]
        height += _LINE * max(_rows(part, room) for part, room in parts) + (15 if dated else 0)
    return height


def _rows(line: str, room: int) -> int:
    rows, filled = 1, 0
    for word in line.split():
        wide = sum(6 if letter in _PLAIN and letter not in "mw" else 9 for letter in word)
        if filled and filled + wide > room:
            rows, filled = rows + 1, 0
        rows, filled = rows + (filled + wide) // room, (filled + wide) % room + 3
    return rows


class TooLarge(Exception):
    """Even without what is optional the packet is over its limits: a person has to choose."""


TITLES: Mapping[Item, str] = {
    Item.PAYMENT: "Timeline",
    Item.DESCRIPTOR: "Statement descriptor",
    Item.PRODUCT: "What was sold",
    Item.PURCHASE_IP: "IP address of the purchase",
    Item.DEVICE: "Device",
    Item.LOGIN: "Account",
    Item.BILLING_COUNTRY: "Billing country",
    Item.AUTHENTICATION: "Authentication",
    Item.PRIOR_PAYMENTS: "Earlier payments that nobody disputed",
    Item.USAGE: "Use of the service",
    Item.SERVICE_DATE: "Service available from",
    Item.PLAN: "Subscription",
    Item.CANCELLATION: "Cancellation",
    Item.POLICY: "Terms that were accepted",
    Item.REFUNDS: "Refunds",
    Item.DUPLICATE: "Two payments",
    Item.MESSAGES: "Correspondence",
}


def build(
    known: Known,
    asked: Template,
    limits: Limits = UNLIMITED,
    *,
    consumption: Consumption | None = None,
    own: Own | None = None,
) -> Packet:
    """The packet of what is `known`, by its template, within `limits`. Over them, the optional item of least weight goes first,
    from the document alone: texts are the provider's to limit. consumption: for an app store. own: a person's evidence; its texts
    take the place of ours and its documents stand beside ours, which is smaller by theirs, down to the `least`. Raises
    TooLarge."""
    own = own or Own()
    texts = {**evidence.collect(known, asked), **own.texts}
    # What a person wrote is said, whatever the template asks for.
    more = [Wanted(item, 1, required=True) for item in own.texts if item not in asked.items]
    shown = [one for one in (*asked.wanted, *more) if one.item in texts]
    if own.documents:
        limits = _beside(own, limits)
    while True:
        items = tuple(one.item for one in shown)
        data, pages = pdf(known, {item: texts[item] for item in items})
        if (not limits.pages or pages <= limits.pages) and (not limits.bytes or len(data) <= limits.bytes):
            break
        spare = [one for one in shown if not one.required and one.item not in own.texts]
        if not spare:
            raise TooLarge(f"{pages} pages and {len(data)} bytes, where {limits.pages} and {limits.bytes} are taken")
        shown.remove(min(reversed(spare), key=lambda one: one.weight))
    document = Document(name=NAME, media_type=PDF, data=data, pages=pages, items=items)
    packet = Packet(
        digest="",
        template=asked.name,
        completeness=asked.completeness({*texts, *(item for one in own.documents for item in one.items)}),
        texts=texts,
        documents=(document, *own.documents),
        compelling=known.compelling,
        consumption=consumption,
    )
    return _signed(packet)


def _beside(own: Own, limits: Limits) -> Limits:
    """What `limits` leave of ours beside a person's documents: all together are within them, or ours is at its least."""
    needed = least(own.texts)
    pages = limits.pages - sum(one.pages for one in own.documents)
    size = limits.bytes - sum(len(one.data) for one in own.documents)
    return Limits(pages=max(pages, min(limits.pages, needed.pages)), bytes=max(size, min(limits.bytes, needed.bytes)))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Named:
    name: str
    media_type: str
    sha256: str
    bytes: int
    pages: int
    items: tuple[Item, ...]


def written(packet: Packet) -> bytes:
    """What the packet says, as JSON: its documents by the SHA-256 of their bytes. `packet.digest` is its SHA-256."""
    documents = tuple(
        _Named(
            name=one.name,
            media_type=one.media_type,
            sha256=one.digest,
            bytes=len(one.data),
            pages=one.pages,
            items=one.items,
        )
        for one in packet.documents
    )
    told = _Written(
        template=packet.template,
        completeness=packet.completeness,
        texts=packet.texts,
        documents=documents,
        compelling=packet.compelling,
        consumption=packet.consumption,
    )
    return encode(told)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Written:
    """What `written` writes of a packet, its documents by name."""

    template: str
    completeness: float
    texts: Mapping[Item, str]
    documents: tuple[_Named, ...]
    compelling: CompellingEvidence | None = None
    consumption: Consumption | None = None


def read(data: bytes, load: Callable[[str], bytes]) -> Packet:
    """The packet that was `written`; `load` has the bytes of a document by their SHA-256. Raises Unreadable."""
    told = decode(data, _Written)
    documents = tuple(
        Document(name=one.name, media_type=one.media_type, data=load(one.sha256), pages=one.pages, items=one.items)
        for one in told.documents
    )
    return Packet(
        digest=hashlib.sha256(data).hexdigest(),
        template=told.template,
        completeness=told.completeness,
        texts=told.texts,
        documents=documents,
        compelling=told.compelling,
        consumption=told.consumption,
    )


def _signed(packet: Packet) -> Packet:
    return replace(packet, digest=hashlib.sha256(written(packet)).hexdigest())


# The PDF


def pdf(known: Known, texts: Mapping[Item, str]) -> tuple[bytes, int]:
    """The document and how many pages it has."""
    from reportlab.lib.pagesizes import A4
    from reportlab.lib.units import mm
    from reportlab.pdfgen.canvas import Canvas
    from reportlab.platypus import SimpleDocTemplate

    _register()
    file = io.BytesIO()
    template = SimpleDocTemplate(
        file,
        pagesize=A4,
        leftMargin=20 * mm - _PADDING,
        rightMargin=20 * mm - _PADDING,
        topMargin=20 * mm,
        bottomMargin=22 * mm,
        title=_shown(f"Evidence for dispute {known.dispute.dispute_id}"),
        author=_shown(known.merchant.name),
        creator="Pay-In",
        invariant=1,
        pageCompression=0,
    )
    pages: list[int] = []
    footer = _shown(f"Dispute {known.dispute.dispute_id} · payment {known.payment.payment_id}")

    class Numbered(Canvas):  # type: ignore[misc]
        """Numbers its pages once it knows how many there are."""

        def __init__(self, *arguments: Any, **named: Any) -> None:
            super().__init__(*arguments, **named)
            self._pages: list[dict[str, Any]] = []

        def showPage(self) -> None:  # noqa: N802 - reportlab's own name
            self._pages.append(dict(self.__dict__))
            self._startPage()

        def save(self) -> None:
            for number, page in enumerate(self._pages, 1):
                self.__dict__.update(page)
                _number(self, footer, number, len(self._pages))
                super().showPage()
            pages.append(len(self._pages))
            super().save()

    with _ONE_AT_A_TIME:
        template.build(list(_story(known, texts)), canvasmaker=Numbered)
    return file.getvalue(), pages[0]


# reportlab reads a font's file by a place that all documents share. Python draws one at a time in any case.
_ONE_AT_A_TIME = Lock()
_PADDING = 6  # points that reportlab's frames leave on each side
_INK, _QUIET, _RULE = "#1a1f2b", "#5b6472", "#d5dae1"
_REGULAR, _BOLD = "Roboto", "Roboto-Bold"


def _number(canvas: "Canvas", footer: str, number: int, of: int) -> None:
    from reportlab.lib.colors import HexColor
    from reportlab.lib.pagesizes import A4
    from reportlab.lib.units import mm

    canvas.setStrokeColor(HexColor(_RULE))
    canvas.setLineWidth(0.5)
    canvas.line(20 * mm, 16 * mm, A4[0] - 20 * mm, 16 * mm)
    canvas.setFont(_REGULAR, 8)
    canvas.setFillColor(HexColor(_QUIET))
    room = A4[0] - 70 * mm
    while canvas.stringWidth(footer, _REGULAR, 8) > room:
        footer = footer[:-2].rstrip() + "…"
    canvas.drawString(20 * mm, 11 * mm, footer)
    canvas.drawRightString(A4[0] - 20 * mm, 11 * mm, f"Page {number} of {of}")


def _story(known: Known, texts: Mapping[Item, str]) -> Iterator["Flowable"]:
    from reportlab.lib.colors import HexColor
    from reportlab.lib.styles import ParagraphStyle
    from reportlab.lib.units import mm
    from reportlab.platypus import Paragraph, Spacer, Table

    body = ParagraphStyle("body", fontName=_REGULAR, fontSize=9.5, leading=14, textColor=HexColor(_INK))
    quiet = ParagraphStyle("quiet", parent=body, textColor=HexColor(_QUIET))
    title = ParagraphStyle("title", parent=body, fontName=_BOLD, fontSize=18, leading=23)
    heading = ParagraphStyle(
        "heading", parent=body, fontName=_BOLD, fontSize=12, leading=16, spaceBefore=12, spaceAfter=4, keepWithNext=1
    )

    def paragraph(text: str, style: ParagraphStyle) -> "Flowable":
        return Paragraph(escape(_shown(text)), style)

    def table(rows: Sequence[tuple[str, str]], wide: float) -> "Flowable":
        cells = [[paragraph(name, quiet), paragraph(text, body)] for name, text in rows]
        lines = [
            ("LINEBELOW", (0, 0), (-1, -1), 0.5, HexColor(_RULE)),
            ("VALIGN", (0, 0), (-1, -1), "TOP"),
            ("LEFTPADDING", (0, 0), (-1, -1), 0),
            ("TOPPADDING", (0, 0), (-1, -1), 3),
            ("BOTTOMPADDING", (0, 0), (-1, -1), 4),
        ]
        return Table(cells, colWidths=[wide * mm, (170 - wide) * mm], style=lines, hAlign="LEFT")

    yield paragraph(f"Evidence for dispute {known.dispute.dispute_id}", title)
    if known.merchant.name:
        yield paragraph(known.merchant.name, quiet)
    yield Spacer(0, 4 * mm)
    yield table(_facts(known), 45)
    for item, text in texts.items():
        yield paragraph(TITLES[item], heading)
        # What is dated stands in tables, between what is not.
        for dated, lines in groupby(text.split("\n"), lambda line: _DATED.fullmatch(line) is not None):
            if dated:
                yield Spacer(0, 1 * mm)
                yield table([(found[1], found[2]) for line in lines if (found := _DATED.fullmatch(line))], 45)
                yield Spacer(0, 1.5 * mm)
            else:
                yield from (paragraph(line, body) for line in lines)


# A row stands on one page: what is longer is no row.
_DATED = re.compile(r"(\d{4}-\d\d-\d\d(?: \d\d:\d\d UTC)?(?:, [^:]{0,100})?): (.{0,1000})")


def _facts(known: Known) -> list[tuple[str, str]]:
    payment, dispute = known.payment, known.dispute
    card = payment.details.card
    rows = {
        "Claim": evidence.claim(dispute),
        "Stage": (dispute.stage or "").replace("_", " ").capitalize(),
        "Amount in dispute": str(dispute.amount) if dispute.amount else "",
        "Opened": evidence.instant(dispute.first_at) if dispute.first_at else "",
        "Payment": payment.payment_id,
        "Paid": evidence.instant(known.paid_at) if known.paid_at else "",
        "Amount paid": str(payment.captured or payment.authorized or ""),
        "Card": f"{evidence.title(card.network or '')} ending in {card.last4}" if card and card.last4 else "",
        "Acquirer reference": dispute.arn or "",
    }
    return [(name, text) for name, text in rows.items() if text]


@cache
def _register() -> frozenset[int]:
    """The code points that the font has. Raises Misconfigured where it is not installed."""
    from reportlab.pdfbase import pdfmetrics
    from reportlab.pdfbase.ttfonts import TTFont

    found = find_spec("font_roboto")
    if found is None or found.origin is None:
        raise Misconfigured("font-roboto is not installed: a packet cannot be written", reason="font_missing")
    folder = Path(found.origin).parent / "files"
    fonts = {name: TTFont(name, str(folder / file)) for name, file in _FILES.items()}
    for font in fonts.values():
        pdfmetrics.registerFont(font)
    pdfmetrics.registerFontFamily(_REGULAR, normal=_REGULAR, bold=_BOLD, italic=_REGULAR, boldItalic=_BOLD)
    return frozenset(fonts[_REGULAR].face.charToGlyph) & frozenset(fonts[_BOLD].face.charToGlyph)


_FILES = {_REGULAR: "Roboto-Regular.ttf", _BOLD: "Roboto-Bold.ttf"}


def _shown(text: str) -> str:
    """`text` without what the font has no picture of, nor anything that a line cannot hold."""
    has = _register()
    parts: list[str] = []
    hidden = 0
    # What shows nothing, or turns what stands around it, is no letter.
    seen = "".join(one for one in text if one.isspace() or not unicodedata.category(one).startswith("C"))
    for word in " ".join(seen.split()).split(" "):
        missing = sum(ord(character) not in has for character in word)
        if hidden and not missing:
            parts.append(_hidden(hidden))
        hidden = hidden + missing if missing else 0
        if rest := "".join(character for character in word if ord(character) in has):
            parts += [_hidden(hidden), rest] if hidden else [rest]
            hidden = 0
    return " ".join([*parts, *([_hidden(hidden)] if hidden else [])])


def _hidden(count: int) -> str:
    return f"[{count} {'character' if count == 1 else 'characters'} of another script]"
