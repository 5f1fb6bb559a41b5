"""What people upload is what it can be read as, whatever it is called."""

import io
import random

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
