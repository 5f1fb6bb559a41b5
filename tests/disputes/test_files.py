"""What people upload is what it can be read as, whatever it is called."""

import io
import random
import tracemalloc
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from pypdf import PdfWriter

from shared.disputes import files
from shared.disputes.evidence import DIGITAL_SUBSCRIPTION, template
from shared.disputes.files import JPEG, PDF, PNG, NotTaken, read
from shared.disputes.packet import build
from tests.disputes.proofs import known


def a_picture(kind: str, size: tuple[int, int] = (64, 48)) -> bytes:
    file = io.BytesIO()
    noise = random.Random(7).randbytes(size[0] * size[1] * 3)
    Image.frombytes("RGB", size, noise).save(file, kind)
    return file.getvalue()


def a_pdf(pages: int = 2, password: str | None = None) -> bytes:
    writer, file = PdfWriter(), io.BytesIO()
    for _ in range(pages):
        writer.add_blank_page(200, 200)
    if password:
        writer.encrypt(password, algorithm="RC4-128")
    writer.write(file)
    return file.getvalue()


FILES = {PNG: a_picture("PNG"), JPEG: a_picture("JPEG"), PDF: a_pdf()}


def test_a_file_is_known_by_its_contents_and_a_pdf_by_its_pages() -> None:
    assert {kind: read(data) for kind, data in FILES.items()} == {PNG: (PNG, 1), JPEG: (JPEG, 1), PDF: (PDF, 2)}
    ours = build(known(), template(DIGITAL_SUBSCRIPTION, None, None)).documents[0]
    assert read(ours.data) == (PDF, ours.pages)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"evidence",
        b"%PDF-1.7\nno more than a beginning",
        b"\x89PNG\r\n\x1a\n" + bytes(100),
        b"\xff\xd8\xff\xe0" + bytes(100),
        FILES[PNG][: len(FILES[PNG]) // 2],
        FILES[JPEG][: len(FILES[JPEG]) // 2],
        a_pdf(pages=0),
        a_pdf(pages=files.MOST_PAGES + 1),
        a_pdf(password="secret"),
        FILES[PDF] + bytes(files.LARGEST),
    ],
)
def test_what_cannot_be_read_to_its_end_is_not_taken(data: bytes) -> None:
    with pytest.raises(NotTaken):
        read(data)


def test_a_small_file_that_is_a_huge_picture_is_not_decoded() -> None:
    file = io.BytesIO()
    Image.new("1", (6000, 5000)).save(file, "PNG")
    assert len(file.getvalue()) < 10_000
    with pytest.raises(NotTaken, match="pixels"):
        read(file.getvalue())


def a_written_pdf(root: bytes, *objects: bytes) -> bytes:
    """A PDF of `objects`, the first of them number 1, which begins its cross-references by a stream where `root` is empty."""
    data, places = b"%PDF-1.5\n", []
    for number, one in enumerate(objects, 1):
        places.append(len(data))
        data += b"%d 0 obj\n%b\nendobj\n" % (number, one)
    if not root:
        return data + b"startxref\n%d\n%%%%EOF" % places[0]
    lines = b"".join(b"%010d 00000 n \n" % place for place in places)
    table = b"xref\n0 %d\n0000000000 65535 f \n%b" % (len(places) + 1, lines)
    end = b"trailer\n<</Root %b/Size %d>>\nstartxref\n%d\n%%%%EOF" % (root, len(places) + 1, len(data))
    return data + table + end


def a_stream(data: bytes, filters: bytes, told: bytes = b"") -> bytes:
    return b"<</Length %d/Filter%b%b>>stream\n%b\nendstream" % (len(data), filters, told, data)


_PAGE = (b"<</Type/Catalog/Pages 2 0 R>>", b"<</Type/Pages/Count 1/Kids[3 0 R]>>")
_CROSS = b"/Type/XRef/W[1 2 1]/Size 100/Root 2 0 R"


@pytest.mark.parametrize(
    "data",
    [
        a_written_pdf(
            b"1 0 R",
            *_PAGE,
            b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 9 9]/Contents 4 0 R>>",
            a_stream(b"z" * 4_900_000 + b"~>", b"/ASCII85Decode"),
        ),
        a_written_pdf(b"", a_stream(b"z" * 4_900_000 + b"~>", b"/ASCII85Decode", _CROSS)),
        a_written_pdf(b"", a_stream(zlib.compress(b"z" * 60_000_000 + b"~>"), b"[/FlateDecode/ASCII85Decode]", _CROSS)),
        a_written_pdf(b"", a_stream(b"z" * 490_000 + b"~>", b"/ASCII85Decode", _CROSS)),
        a_written_pdf(b"", a_stream(zlib.compress(bytes(70_000_000)), b"/FlateDecode", _CROSS)),
    ],
    ids=["contents", "cross-references", "packed twice", "as much as is decoded", "zeros"],
)
def test_a_few_bytes_that_are_made_to_fill_the_memory_do_not(data: bytes) -> None:
    tracemalloc.start()
    try:
        read(data)
    except NotTaken as error:
        assert "cannot be read" in str(error)  # noqa: PT017 - it may be read as well
    finally:
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert most < 100_000_000


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(sorted(FILES)), st.integers(0, 10_000), st.binary(max_size=12))
def test_whatever_bytes_are_changed_it_is_read_or_not_taken(kind: str, at: int, other: bytes) -> None:
    data = FILES[kind]
    at %= len(data)
    try:
        found = read(data[:at] + other + data[at + len(other) :])
    except NotTaken:
        return
    assert found.media_type == kind
