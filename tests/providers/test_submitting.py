"""What the modules that answer disputes share."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.api import ApiAnswer
from shared.domain.evidence import Item
from shared.providers.kit.submitting import (
    JPEG,
    PDF,
    PNG,
    TIFF,
    Limits,
    Part,
    is_refusal,
    multipart,
    refused,
    said,
    words_of,
    wrong_files,
)
from tests.simulator.answering import PDF as A_PDF
from tests.simulator.answering import PNG as A_PNG
from tests.simulator.answering import a_document, multipart_parts

NAMES = st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1, max_size=12)


@given(st.lists(st.builds(Part, name=NAMES, data=st.binary(max_size=200), file_name=NAMES | st.just("")), max_size=4))
def test_a_body_of_several_parts_is_read_back_as_it_was(parts: list[Part]) -> None:
    content_type, body = multipart(parts)
    assert multipart(parts) == (content_type, body)
    found = list(multipart_parts(content_type, body)) if parts else []
    assert [(name, file_name, data) for name, file_name, _, data in found] == [
        (part.name, part.file_name, part.data) for part in parts
    ]


def test_a_name_cannot_end_its_header() -> None:
    _, body = multipart([Part("a\r\nX-Y: z", b"", file_name='b".pdf\r\n')])
    assert body.count(b"\r\n\r\n") == 1
    assert b"\r\nX-Y" not in body
    assert b'b%22.pdf%0D%0A"' in body


def test_other_parts_have_another_boundary() -> None:
    assert multipart([Part("a", b"1")])[0] != multipart([Part("a", b"2")])[0]


LIMITS = Limits({PDF: 200, PNG: 100}, together=300, pages=3, at_most=2)


@pytest.mark.parametrize(
    ("documents", "problem"),
    [
        ((a_document(Item.USAGE),), ""),
        ((a_document(Item.USAGE, data=A_PDF + bytes(200)),), "at most 200"),
        ((replace(a_document(Item.USAGE), media_type=JPEG),), "is not taken"),
        ((replace(a_document(Item.USAGE), media_type=PNG),), "is none"),
        ((a_document(Item.USAGE, name="a b.pdf"),), "name"),
        ((a_document(Item.USAGE, name="a.pdf.exe"),), "name"),
        ((replace(a_document(Item.USAGE), pages=4),), "4 pages"),
        (
            (a_document(Item.USAGE, data=A_PDF + bytes(120)), a_document(Item.USAGE, data=A_PDF + bytes(120))),
            "together",
        ),
        ((a_document(Item.USAGE, data=A_PNG),) * 3, "3 files"),
    ],
)
def test_files_are_held_against_each_limit(documents: tuple[object, ...], problem: str) -> None:
    found = list(wrong_files(documents, LIMITS))  # type: ignore[arg-type]
    assert [problem in one for one in found] == ([True] if problem else [])


def test_a_picture_without_pages_counts_as_one() -> None:
    pictures = (replace(a_document(Item.USAGE, data=A_PNG), pages=0),) * 2
    assert list(wrong_files(pictures, Limits({PNG: 100}, pages=2))) == []
    assert list(wrong_files(pictures, Limits({PNG: 100}, pages=1)))


def test_tiffs_are_known_in_both_orders_of_bytes() -> None:
    for begins in (b"II*\x00", b"MM\x00*"):
        document = replace(a_document(Item.USAGE, name="fax.tiff"), media_type=TIFF, data=begins + b"...")
        assert list(wrong_files((document,), Limits({TIFF: 100}))) == []


def test_texts_are_told_in_the_order_of_items_under_their_names() -> None:
    texts = {Item.USAGE: " Played. ", Item.PAYMENT: "Paid.", Item.PLAN: "  "}
    assert said(texts, tuple(Item)) == "Payment: Paid.\n\nUsage: Played."
    assert said(texts, (Item.USAGE, Item.PLAN)) == "Played."
    assert said(texts, ()) == ""


def test_a_refusal_is_short_printable_and_masked() -> None:
    found = refused(
        "bad code\n", "Card 4242 4242 4242 4242 of ann@example.com\r\nis wrong", "x" * 500, None, stands=True
    )
    assert found.code == "bad_code"
    assert found.stands
    assert len(found.told) <= 300
    assert found.told.isprintable()
    assert "4242" not in found.told
    assert "ann@" not in found.told
    assert refused(None).code == refused("  ").code == refused(["a"]).code == "refused"


def test_what_may_pass_is_no_refusal() -> None:
    assert [
        status for status in (200, 302, 400, 401, 404, 408, 409, 422, 425, 429, 500, 503) if is_refusal(status)
    ] == [*(400, 401, 404, 409, 422)]


def test_a_refusal_without_words_is_one_all_the_same() -> None:
    assert words_of(ApiAnswer(400, b"<html>")).value == {}
